// Saves the present step as a picture, SVG or PNG, as it is on the screen, or its sum as an animated GIF.

import { theme } from "walk/colours.js";
import { el, svg } from "walk/elements.js";
import { encodeGif } from "walk/gif.js";
import { state } from "walk/state.js";
import { steps } from "walk/steps.js";

const SCALE = 2; // pixels of the PNG per pixel of the page
const GIF_DELAY = 800; // milliseconds per frame

/** Return the buttons that save the present step. */
export const saveButtons = () => el("p", { class: "choices" },
  el("button", { type: "button", class: "choice", onclick: saveSvg }, "save as SVG"),
  el("button", { type: "button", class: "choice", onclick: savePng }, "save as PNG"));

/** Return the present step as SVG: the page's own elements and style, with canvases as pictures. */
function drawing() {
  const shown = /** @type {HTMLElement} */ (document.querySelector(".sight, .network-map"));
  const { width } = shown.getBoundingClientRect(), copy = /** @type {HTMLElement} */ (shown.cloneNode(true));
  const canvases = shown.querySelectorAll("canvas");
  copy.querySelectorAll("canvas").forEach((canvas, k) => {
    const image = el("img", { src: canvases[k].toDataURL(), alt: "", style: canvas.getAttribute("style") });
    canvas.replaceWith(image);
  });
  const column = /** @type {HTMLElement | null} */ (shown.querySelector(".sum"));
  const height = Math.max(shown.scrollHeight, column?.scrollHeight ?? 0) + 40;
  const root = svg("svg", { width: Math.ceil(width + 40), height: Math.ceil(height) }), style = svg("style", {});
  style.textContent = [...document.querySelectorAll("style")].map((element) => element.textContent).join("\n");
  root.dataset.theme = theme();
  root.style.background = getComputedStyle(document.body).backgroundColor;
  const frame = svg("foreignObject", { width: "100%", height: "100%" });
  frame.append(el("div", { class: "picture-file" }, copy));
  root.append(style, frame);
  return { width: width + 40, height, text: new XMLSerializer().serializeToString(root) };
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

const saveSvg = () => download(urlOf(drawing().text), "svg");

/**
 * Draw the present step on a canvas.
 *
 * @param {number} scale
 */
async function painted(scale) {
  const { text, width, height } = drawing(), image = new Image();
  image.src = urlOf(text);
  await image.decode();
  const canvas = el("canvas", { width: scale * width, height: scale * height });
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

async function savePng() {
  download((await painted(SCALE)).toDataURL("image/png"), "png");
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
    const canvas = await painted(1), frame = canvas.getContext("2d")?.getImageData(0, 0, canvas.width, canvas.height);
    if (frame) frames.push(frame);
  }
  const url = URL.createObjectURL(encodeGif(frames, GIF_DELAY));
  download(url, "gif");
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
