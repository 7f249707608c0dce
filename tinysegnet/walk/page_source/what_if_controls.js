// Controls with which a reader changes a pixel, a parameter, a label or the indices.

import { el, toggle } from "walk/elements.js";
import { format } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { redraw, state } from "walk/state.js";

/** @import { Child } from "report/dom.js" */
/** @import { Explanation } from "walk/explanation.js" */
/** @import { Change } from "walk/state.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode } from "walk/store.js" */

/** The number of unpoolings that use indices. */
export const unpoolings = data.nodes.filter(({ kind, settings }) => kind === "max_unpool2d" && !settings.fixed).length;

/**
 * Return the controls that suit a step, or null.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {Explanation | null} explanation   of the chosen number
 * @param {[y: number, x: number, c: number]} at
 * @returns {Child}
 */
export function controlsOf(step, node, explanation, [y, x, c]) {
  if (step.way === "start") return [pixelControl(node, y, x), unpoolings ? indicesControl() : null];
  if (step.way.startsWith("loss")) return labelControl(node, y, x);
  if (unpoolings && ["max_pool2d", "max_unpool2d"].includes(node.kind)) return indicesControl();
  if (hasWeightControl(node) && explanation?.sum) {
    return [weightControl(node, explanation), step.way === "forward" ? parameter(node, "bias", c) : null];
  }
  if (node.kind !== "batchnorm2d") return null;
  const controls = ["gamma", "beta"].map((name) => parameter(node, name, c)).filter(Boolean);
  return controls.length ? controls : null;
}

/**
 * Return whether the reader can change the weights of a node.
 *
 * @param {LoadedNode} node
 */
export const hasWeightControl = (node) => data.live !== null && node.kind === "conv2d";

/**
 * Show the controls of a weight, and move the focus there.
 *
 * @param {string} name
 */
export async function chooseWeight(name) {
  state.weight = name;
  await redraw();
  const field = /** @type {HTMLElement | null} */ (document.querySelector(".what-if input"));
  field?.scrollIntoView({ block: "center" });
  field?.focus({ preventScroll: true });
}

/**
 * Change the picture around a pixel.
 *
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 */
function pixelControl(node, y, x) {
  const own = [0, 1, 2].map((k) => node.x.value(y, x, k));
  const same = (/** @type {Change} */ change) => change.kind === "pixels" && change.y === y && change.x === x;
  const found = state.changes.find(same), now = found?.kind === "pixels" ? found : null, given = now?.rgb ?? own;
  const hex = `#${given.map((part) => Math.round(part).toString(16).padStart(2, "0")).join("")}`;
  const colour = el("input", { type: "color", value: hex, "aria-label": "colour" });
  const size = el("select", { "aria-label": "size" }, [1, 3, 5, 9, 15].map((n) =>
    el("option", { value: n, selected: n === (now?.size ?? 9) }, n === 1 ? "this pixel" : `${n} × ${n} pixels`)));
  const fields = ["red", "green", "blue"].map((name, k) => numberField(name, given[k], { min: 0, max: 255, step: 1 }));
  const paint = (/** @type {number[]} */ rgb) => change({ kind: "pixels", y, x, size: Number(size.value), rgb }, same);
  colour.onchange = () => paint([1, 3, 5].map((k) => parseInt(colour.value.slice(k, k + 2), 16)));
  for (const field of fields) {
    field.onchange = () => paint(fields.map(({ value }) => Math.max(0, Math.min(255, Math.round(Number(value))))));
  }
  size.onchange = () => (now ? paint(now.rgb) : undefined);
  return control(`pixel [${y}, ${x}]`, "", [size, colour,
    el("span", { class: "fields" }, fields.map((field) => el("label", {}, field.getAttribute("aria-label"), field))),
    button("set to 0", () => paint([0, 0, 0])),
    button("reset", () => undo(same))]);
}

/**
 * Change one weight: the one that the reader chose or, without a choice, the one with the largest product.
 *
 * @param {LoadedNode} node
 * @param {Explanation} explanation
 */
function weightControl(node, { sum }) {
  const terms = (sum?.terms ?? []).filter(({ weight }) => Number.isFinite(weight));
  if (!terms.length) return null;
  const largest = terms.reduce((best, term) => (Math.abs(term.product) > Math.abs(best.product) ? term : best));
  const { weight: was, weightName, weightAt: at } = terms.find((term) => term.weightName === state.weight) ?? largest;
  if (!at) return null;
  const same = (/** @type {Change} */ change) =>
    change.kind === "weight" && change.layer === node.name && String(change.at) === String(at);
  const most = Math.max(...terms.map(({ weight }) => Math.abs(weight)));
  return numberControl(weightName, was, most, same, (value) => ({ kind: "weight", layer: node.name, at, value, was }));
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
  if (name === "gamma" && was === 0) return null; // the network's description contains only products with gamma
  const same = (/** @type {Change} */ change) =>
    change.kind === "parameter" && change.layer === layer && change.name === name && change.channel === channel;
  return numberControl(`${name}[${channel}]`, was, Math.max(...vector.map(Math.abs)), same, (value) =>
    ({ kind: "parameter", layer, name, channel, value, was, beta }));
}

/** Return the convolution into which a batch norm is folded, if it follows one. @param {LoadedNode} node */
function convolutionBefore(node) {
  const before = data.nodes[node.index - 1];
  return before?.kind === "conv2d" ? before.name : null;
}

/**
 * Show a number with a field, a slider, and buttons for 0 and the network's own value.
 *
 * @param {string} name
 * @param {number} was
 * @param {number} largest
 * @param {(change: Change) => boolean} same
 * @param {(value: number) => Change} make
 */
function numberControl(name, was, largest, same, make) {
  const now = state.changes.find(same), value = now && "value" in now ? now.value : was, reach = 3 * largest || 1;
  const field = numberField(name, value, { step: "any" });
  const input = el("input", { type: "range", min: -reach, max: reach, step: reach / 300, value,
    "aria-label": `${name}, slider` });
  const set = (/** @type {number} */ number) => {
    if (number === was) return undo(same);
    if (Number.isFinite(Math.fround(number))) return change(make(number), same);
    return redraw(); // shows the last valid number again
  };
  field.onchange = () => set(field.value === "" ? NaN : Number(field.value));
  input.oninput = () => { field.value = rounded(Number(input.value)); };
  input.onchange = () => set(Number(input.value));
  return control(name, `in the network ${format(was)}`, [field, button("set to 0", () => set(0), name),
    button("reset", () => undo(same), name), input]);
}

/** @param {number} value */
const rounded = (value) => String(Number(value.toPrecision(6)));

/**
 * @param {string} name
 * @param {number} value
 * @param {{ [name: string]: string | number }} limits
 */
const numberField = (name, value, limits) =>
  el("input", { type: "number", value: rounded(value), "aria-label": name, ...limits });

/**
 * @param {string} text
 * @param {() => void} onclick
 * @param {string} [what]   the name of the number, if there are several
 */
const button = (text, onclick, what) => el("button", { type: "button", class: "choice", onclick,
  "aria-label": what ? `${text}: ${what}` : null }, text);

/**
 * @param {string} name
 * @param {string} remark
 * @param {Child[]} parts
 */
const control = (name, remark, parts) => el("div", { class: "control", role: "group", "aria-label": name },
  el("p", {}, el("code", {}, name), remark ? el("small", {}, ` ${remark}`) : null), parts);

function indicesControl() {
  const which = unpoolings === 1 ? "The unpooling then puts" : `All ${unpoolings} unpoolings of the network then put`;
  return el("div", { class: "control" }, toggle("indices off", indicesOff(), switchIndices),
    el("p", {}, `${which} each value in the top left corner of its window.`));
}

/** Return whether the reader switched the indices of the unpoolings off. */
export const indicesOff = () => state.changes.some(({ kind }) => kind === "indices");

/** Switch the indices of the unpoolings off or on. */
export function switchIndices() {
  const others = state.changes.filter(({ kind }) => kind !== "indices");
  state.changes = indicesOff() ? others : [...others, { kind: "indices" }];
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
  select.onchange = () => change({ kind: "label", y, x, label: Number(select.value) }, same);
  return control("label of this pixel", "", [select, button("reset", () => undo(same))]);
}

/**
 * Add a change. It takes the place of the change of the same number.
 *
 * @param {Change} added
 * @param {(change: Change) => boolean} same
 */
function change(added, same) {
  state.changes = [...state.changes.filter((each) => !same(each)), added];
  return redraw();
}

/**
 * Undo changes.
 *
 * @param {(change: Change) => boolean} which
 */
export function undo(which) {
  state.changes = state.changes.filter((each) => !which(each));
  return redraw();
}

/** Undo the last change. */
export const undoLast = () => undo((each) => each === state.changes[state.changes.length - 1]);
