// What if a pixel, a parameter, a label or the indices were different? Controls for the chosen number, and the result.

import { el, toggle } from "walk/elements.js";
import { format, short } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { redraw, state } from "walk/state.js";
import { changedRun, plainRun } from "walk/what_if.js";

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
  return el("section", { class: "what-if" }, el("h2", {}, heading), controls, state.changes.length ? outcome() : null);
}

/**
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {Explanation | null} explanation
 * @param {[y: number, x: number, c: number]} at
 * @returns {Child}
 */
function controlsOf(step, node, explanation, [y, x, c]) {
  if (step.way === "start") return pixelControls(node, y, x);
  if (step.way.startsWith("loss")) return labelControl(node, y, x);
  if (step.way !== "forward") return null;
  if (node.kind === "max_unpool2d") return indicesControl();
  if (node.kind === "conv2d" && explanation?.sum) {
    return [weightControl(node, explanation, c), parameter(node, "bias", c)];
  }
  if (node.kind === "batchnorm2d") return ["gamma", "beta"].map((name) => parameter(node, name, c));
  return null;
}

/**
 * Change the picture around a pixel.
 *
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 */
function pixelControls(node, y, x) {
  const own = [0, 1, 2].map((k) => node.x.value(y, x, k));
  const hex = `#${own.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
  const colour = el("input", { type: "color", value: hex, "aria-label": "colour" });
  const size = el("select", { "aria-label": "size" }, [1, 3, 5, 9, 15].map((n) =>
    el("option", { value: n, selected: n === 9 }, n === 1 ? "this pixel" : `${n} × ${n} pixels`)));
  const paint = () => {
    const rgb = [1, 3, 5].map((k) => parseInt(colour.value.slice(k, k + 2), 16));
    return add({ kind: "pixels", y, x, size: Number(size.value), rgb });
  };
  return el("p", { class: "control" }, size, " were ", colour,
    el("button", { type: "button", class: "choice", onclick: paint }, "try it"));
}

/**
 * Change one weight, at first the one with the largest product.
 *
 * @param {LoadedNode} node
 * @param {Explanation} explanation
 * @param {number} f
 */
function weightControl(node, { sum }, f) {
  const terms = (sum?.terms ?? []).filter(({ weight }) => Number.isFinite(weight));
  if (!terms.length) return null;
  const largest = terms.reduce((best, term) => (Math.abs(term.product) > Math.abs(best.product) ? term : best));
  /** @type {[number, number, number, number]} */
  const place = [largest.i, largest.j, largest.channel, f];
  const same = (/** @type {Change} */ change) =>
    change.kind === "weight" && change.layer === node.name && String(change.at) === String(place);
  const most = Math.max(...terms.map(({ weight }) => Math.abs(weight))), was = largest.weight;
  return slider(largest.weightName, was, most, same, (value) =>
    ({ kind: "weight", layer: node.name, at: place, value, was }));
}

/**
 * Change a parameter of a channel.
 *
 * @param {LoadedNode} node
 * @param {string} name
 * @param {number} channel
 */
function parameter(node, name, channel) {
  const vector = node.vectors[name], layer = node.kind === "conv2d" ? node.name : convolutionBefore(node);
  if (!vector || !layer) return null;
  const was = vector[channel], beta = node.vectors.beta?.[channel];
  const same = (/** @type {Change} */ change) =>
    change.kind === "parameter" && change.layer === layer && change.name === name && change.channel === channel;
  return slider(`${name}[${channel}]`, was, Math.max(...vector.map(Math.abs)), same, (value) =>
    ({ kind: "parameter", layer, name, channel, value, was, beta }));
}

/** Return the convolution into which a batch norm is folded, if it follows one. @param {LoadedNode} node */
function convolutionBefore(node) {
  const before = data.nodes[node.index - 1];
  return before?.kind === "conv2d" ? before.name : null;
}

/**
 * @param {string} name
 * @param {number} was
 * @param {number} largest
 * @param {(change: Change) => boolean} same
 * @param {(value: number) => Change} make
 */
function slider(name, was, largest, same, make) {
  const now = state.changes.find(same), value = now && "value" in now ? now.value : was, reach = 3 * largest || 1;
  const output = el("output", {}, format(value));
  const input = el("input", { type: "range", min: -reach, max: reach, step: reach / 300, value, "aria-label": name });
  input.oninput = () => { output.textContent = format(Number(input.value)); };
  input.onchange = () => add(make(Number(input.value)), same);
  return el("p", { class: "control" }, el("code", {}, name), " were ", input, output);
}

function indicesControl() {
  const off = state.changes.some(({ kind }) => kind === "indices");
  const change = () => {
    const others = state.changes.filter(({ kind }) => kind !== "indices");
    state.changes = off ? others : [...others, { kind: "indices" }];
  };
  const text = "the decoder did not know the indices, and put each value in the top left corner of its window?";
  return el("p", { class: "control" }, text,
    toggle(off ? "switch the indices on" : "switch the indices off", off, change));
}

/**
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 */
function labelControl(node, y, x) {
  const given = node.labels[y * node.out.W + x];
  const same = (/** @type {Change} */ change) => change.kind === "label" && change.y === y && change.x === x;
  const now = state.changes.find(same), label = now && "label" in now ? now.label : given;
  const names = [...data.classes.map(({ name }) => name), "no label"];
  const select = el("select", { "aria-label": "label of this pixel" }, names.map((name, k) => {
    const value = k < data.classes.length ? k : 255;
    return el("option", { value, selected: value === label }, name);
  }));
  select.onchange = () => add({ kind: "label", y, x, label: Number(select.value) }, same);
  return el("p", { class: "control" }, "the label of this pixel were ", select);
}

/**
 * @param {Change} change
 * @param {(change: Change) => boolean} [replaced]
 */
function add(change, replaced = () => false) {
  state.changes = [...state.changes.filter((each) => !replaced(each)), change];
  return redraw();
}

/** Show what follows from the changes, when it is computed. */
function outcome() {
  const place = el("div", { class: "outcome", role: "status" }, el("p", { class: "quiet" }, "Computing ..."));
  Promise.all([plainRun(), changedRun()]).then(([plain, changed]) => place.replaceChildren(...summary(plain, changed)));
  const list = state.changes.map((change, k) => {
    const onclick = () => {
      state.changes = state.changes.filter((_, index) => index !== k);
      return redraw();
    };
    return el("li", {}, describe(change), " ", el("button", { type: "button", class: "follow-down", onclick }, "undo"));
  });
  return [el("ul", { class: "changes" }, list), place];
}

/** @param {Change} change */
function describe(change) {
  if (change.kind === "indices") return "indices off";
  const place = "y" in change ? `[${change.y}, ${change.x}]` : "";
  if (change.kind === "pixels") return `${change.size} × ${change.size} pixels at ${place} repainted`;
  if (change.kind === "label") return `label at ${place}: ${data.classes[change.label]?.name ?? "none"}`;
  const what = change.kind === "weight" ? `weight[${change.at.join(", ")}]` : `${change.name}[${change.channel}]`;
  return `${change.layer} ${what}: ${short(change.was)} → ${short(change.value)}`;
}

/**
 * @param {Run} plain
 * @param {Run} changed
 */
function summary(plain, changed) {
  const { shape: [H, W] } = data.tensors[data.nodes[0].x];
  const differing = changed.classes.reduce((count, label, k) => count + Number(label !== plain.classes[k]), 0);
  const loss = Number.isNaN(plain.loss) ? "" : `The loss goes from ${format(plain.loss)} to ${format(changed.loss)}. `;
  const pictures = [plain, changed].map(({ classes }, k) => {
    const canvas = el("canvas", {});
    paintRgb(canvas, coloursOfClasses(classes));
    return el("figure", {}, canvas, el("figcaption", {}, k ? "after" : "before"));
  });
  const text = `${loss}${differing} of ${H * W} pixels get another class.`;
  return [el("p", {}, text), el("div", { class: "pictures" }, pictures)];
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
