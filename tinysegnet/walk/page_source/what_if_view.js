// What if a number were different? The controls of a step, what follows from the changes, and a notice on every step.

import { swatch } from "walk/classes.js";
import { byId, el, table } from "walk/elements.js";
import { go } from "walk/navigation.js";
import { short } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { state } from "walk/state.js";
import { changedRun, plainRun } from "walk/what_if.js";
import { controlsOf, undo, undoLast, unpoolings } from "walk/what_if_controls.js";

/** @import { Child } from "report/dom.js" */
/** @import { Explanation } from "walk/explanation.js" */
/** @import { Change } from "walk/state.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode } from "walk/store.js" */
/** @import { Run } from "walk/what_if.js" */

/**
 * Show the controls that suit a step, and the result of all changes.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {Explanation | null} explanation   of the chosen number
 * @param {[y: number, x: number, c: number]} at
 */
export function whatIf(step, node, explanation, at) {
  if (!data.live) return null;
  const controls = controlsOf(step, node, explanation, at);
  if (!controls && !state.changes.length) return null;
  const heading = controls ? "What if?" : "With your changes";
  return el("section", { class: "what-if" }, el("h3", {}, heading), controls, state.changes.length ? outcome() : null);
}

/** Show a notice in the header while there are changes. */
export function showNotice() {
  const notice = byId("changes", HTMLElement), { changes } = state, last = changes[changes.length - 1];
  notice.hidden = !changes.length;
  if (!last) notice.replaceChildren();
  else notice.replaceChildren(...noticeOf(last));
  const { style } = document.documentElement, height = `${last ? notice.offsetHeight : 0}px`; // of the header
  if (style.getPropertyValue("--notice") !== height) style.setProperty("--notice", height);
}

/** @param {Change} last */
function noticeOf(last) {
  const { changes } = state;
  const see = () => {
    state.mapShows = "changes";
    return go(0, { push: true });
  };
  const numbers = changes.length === 1 ? "1 change" : `${changes.length} changes, the last one`;
  const button = (/** @type {string} */ text, /** @type {() => void} */ onclick) =>
    el("button", { type: "button", class: "choice", onclick }, text);
  return [
    el("span", {}, el("b", {}, numbers), `: ${describe(last)}. `,
      el("span", { class: "more" }, "The steps show the network without changes.")),
    el("span", { class: "buttons" }, button("undo", undoLast),
      changes.length > 1 ? button("undo all", () => undo(() => true)) : "", button("see the network", see)),
  ];
}

/** Show what follows from the changes, when it is computed. Until then, the place has its final size. */
function outcome() {
  const list = state.changes.map((change) =>
    el("li", {}, describe(change), el("button", { type: "button", class: "choice",
      "aria-label": `undo: ${describe(change)}`, onclick: () => undo((each) => each === change) }, "undo")));
  const place = el("div", { class: "outcome", role: "status", "aria-busy": "true" }, summary(null, null));
  Promise.all([plainRun(), changedRun()]).then(([plain, changed]) => {
    place.replaceChildren(...summary(plain, changed));
    place.removeAttribute("aria-busy");
  });
  return [place, el("ul", { class: "changes" }, list)];
}

/** @param {Change} change */
function describe(change) {
  if (change.kind === "indices") return unpoolings > 1 ? `indices off in all ${unpoolings} unpoolings` : "indices off";
  const place = "y" in change ? `[${change.y}, ${change.x}]` : "";
  if (change.kind === "pixels") {
    return `${change.size} × ${change.size} pixels at ${place} are rgb(${change.rgb.join(", ")})`;
  }
  if (change.kind === "label") return `label at ${place} is ${data.classes[change.label]?.name ?? "none"}`;
  const what = change.kind === "weight" ? `weight[${change.at.join(", ")}]` : `${change.name}[${change.channel}]`;
  return `${change.layer} ${what} from ${short(change.was)} to ${short(change.value)}`;
}

/**
 * Compare two runs: the loss, the class of the chosen pixel, and the predictions. Without runs, show their places.
 *
 * @param {Run | null} plain
 * @param {Run | null} changed
 */
function summary(plain, changed) {
  const { shape: [H, W] } = data.tensors[data.nodes[0].x], runs = [plain, changed];
  const [y, x] = [state.shown[0] * H, state.shown[1] * W].map(Math.floor), pixel = y * W + x;
  const differing = plain && changed
    ? changed.classes.reduce((count, label, k) => count + Number(label !== plain.classes[k]), 0) : "…";
  const classes = runs.map((run) => (run ? classAt(run, pixel) : "…"));
  /** @type {Child[][]} */
  const rows = [[`class of pixel [${y}, ${x}]`, ...classes]];
  if (data.labelled) rows.unshift(["loss", ...runs.map((run) => (run ? run.loss : "…"))]);
  const pictures = runs.map((run, k) => {
    const canvas = el("canvas", { width: W, height: H });
    if (run) paintRgb(canvas, coloursOfClasses(run.classes));
    return el("figure", {}, canvas, el("figcaption", {}, k ? "prediction after" : "prediction before"));
  });
  return [table(["", "before", "after"], rows), el("p", {}, `${differing} of ${H * W} pixels get another class.`),
    el("div", { class: "pictures" }, pictures)];
}

/**
 * @param {Run} run
 * @param {number} pixel
 */
function classAt({ logits, classes }, pixel) {
  const K = logits.length / classes.length, own = logits.slice(pixel * K, (pixel + 1) * K);
  const scores = K === 1 ? [0, own[0]] : [...own], best = classes[pixel], { name, colour } = data.classes[best];
  const total = scores.reduce((sum, score) => sum + Math.exp(score - scores[best]), 0);
  return el("span", { class: "class" }, swatch(colour), el("span", {}, `${name}, ${(1 / total).toFixed(2)}`));
}

/**
 * Return the colours of a label map, three bytes per pixel.
 *
 * @param {Uint8Array} labels
 */
export function coloursOfClasses(labels) {
  const colours = data.classes.map(({ colour }) => (colour.match(/\d+/g) ?? []).map(Number));
  return Uint8Array.from({ length: 3 * labels.length }, (_, k) => colours[labels[Math.floor(k / 3)]][k % 3]);
}

/**
 * Paint a picture of the network's input size on a canvas.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} rgb
 */
export function paintRgb(canvas, rgb) {
  const { shape: [H, W] } = data.tensors[data.nodes[0].x], picture = new ImageData(W, H);
  for (let k = 0; k < H * W; k++) picture.data.set([rgb[3 * k], rgb[3 * k + 1], rgb[3 * k + 2], 255], 4 * k);
  Object.assign(canvas, { width: W, height: H });
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
}
