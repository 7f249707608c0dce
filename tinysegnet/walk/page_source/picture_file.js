// Saves the present step as a picture, SVG or PNG, or its sum as an animated GIF. All have the same width on every
// screen.

import { theme } from "walk/colours.js";
import { el, svg } from "walk/elements.js";
import { encodeGif } from "walk/gif.js";
import { data } from "walk/payload.js";
import { state } from "walk/state.js";
import { steps } from "walk/steps.js";

const WIDTH = 1280; // pixels
const GIF_DELAY = 800; // milliseconds per frame

/** Return the buttons that save the present step. */
export const saveButtons = () => el("p", { class: "choices" },
  el("button", { type: "button", class: "choice", onclick: saveSvg }, "save as SVG"),
  el("button", { type: "button", class: "choice", onclick: savePng }, "save as PNG"));

// Not part of a picture: controls, and what belongs to further questions. Links in sentences and tables become text.
const LEFT_OUT = [".choices", ".thumbs", ".statistics", ".readout", ".small-map", ".trail", ".what-if", ".gradient",
  ".dot", ".hover", ".opens", ".screen-only", "button:not(.stage, .follow)", "select", "input"].join();

/** Return the step's title, pictures and calculation without controls. Canvases become images. */
function contents() {
  const parts = steps[state.step].way === "start" ? "main > .headline, main > .network-map" : "main > .sight";
  const copies = Array.from(document.querySelectorAll(parts), (part) => {
    const copy = /** @type {HTMLElement} */ (part.cloneNode(true)), canvases = part.querySelectorAll("canvas");
    copy.querySelectorAll("canvas").forEach((canvas, k) => {
      const image = el("img", { src: canvases[k].toDataURL(), alt: "", style: canvas.getAttribute("style") });
      canvas.replaceWith(image);
    });
    copy.querySelectorAll(LEFT_OUT).forEach((element) => element.remove());
    copy.querySelectorAll("[role=img]").forEach((element) =>
      element.setAttribute("aria-label", (element.getAttribute("aria-label") ?? "").replace(/\. Click.*/, "")));
    copy.querySelectorAll("button").forEach((button) =>
      button.replaceWith(el("span", { class: button.className.replace("follow", "") }, ...button.childNodes)));
    return copy;
  });
  return el("div", { class: "picture-file" }, copies, el("p", { class: "quiet" }, `${data.title} · tinysegnet`));
}

/**
 * Return the height of a page as wide as the picture.
 *
 * @param {HTMLElement} content
 * @param {string} style
 */
async function heightOf(content, style) {
  const frame = el("iframe", { width: WIDTH, height: 800, style: "position: fixed; left: -9999px; border: 0" });
  document.body.append(frame);
  const page = /** @type {Document} */ (frame.contentDocument), sheet = page.createElement("style");
  page.write("<!doctype html>"); // without it, tables would have other sizes
  page.close();
  sheet.textContent = style;
  page.head.append(sheet);
  page.body.replaceWith(page.adoptNode(content));
  await Promise.all(Array.from(content.querySelectorAll("img"), (image) => image.decode()));
  const { height } = content.getBoundingClientRect();
  frame.remove();
  return Math.ceil(height);
}

/** Return the present step as SVG, in the page's own elements and style. */
async function drawing() {
  const style = [...document.querySelectorAll("style")].map((element) => element.textContent).join("\n");
  const height = await heightOf(contents(), style);
  const root = svg("svg", { width: WIDTH, height }), frame = svg("foreignObject", { width: WIDTH, height });
  const sheet = svg("style", {});
  sheet.textContent = style;
  root.dataset.theme = theme();
  root.style.background = "var(--paper)"; // also below a fraction of a pixel
  frame.append(contents());
  root.append(sheet, frame);
  return { height, text: new XMLSerializer().serializeToString(root) };
}

/** @param {string} text */
const urlOf = (text) => `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;

/**
 * @param {string} href
 * @param {string} ending
 */
function download(href, ending) {
  const link = el("a", { href, download: `${steps[state.step].id.replace(/[^\w.]+/g, "_")}.${ending}` });
  link.click();
}

async function saveSvg() {
  download(urlOf((await drawing()).text), "svg");
}

/** Draw the present step on a canvas. */
async function painted() {
  const { text, height } = await drawing(), image = new Image();
  image.src = urlOf(text);
  await image.decode();
  const canvas = el("canvas", { width: WIDTH, height });
  canvas.getContext("2d")?.drawImage(image, 0, 0);
  return canvas;
}

async function savePng() {
  download((await painted()).toDataURL("image/png"), "png");
}

/**
 * Save the present step as an animation.
 *
 * @param {(() => void)[]} states  functions that show what its frames contain
 */
export async function saveGif(states) {
  const frames = [];
  for (const show of states) {
    show();
    const canvas = await painted(), frame = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height);
    if (frame) frames.push(frame);
  }
  const url = URL.createObjectURL(encodeGif(frames, GIF_DELAY));
  download(url, "gif");
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
