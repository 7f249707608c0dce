// How the chosen number was computed: a sum of products, a softmax, or the lines of a calculation.

import { swatch } from "walk/classes.js";
import { el, table } from "walk/elements.js";
import { sourcesOf } from "walk/explanation.js";
import { kernelStack } from "walk/kernel_stack.js";
import { link, linksNote } from "walk/links.js";
import { format, short } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { redraw, state } from "walk/state.js";
import { livingPixel } from "walk/store.js";
import { sumTable } from "walk/sum_view.js";
import { breadcrumb, usesOf } from "walk/trail.js";
import { hasWeightControl } from "walk/what_if_controls.js";

/** @import { Child } from "report/dom.js" */
/** @import { Explanation, Line, Softmax } from "walk/explanation.js" */
/** @import { LoadedNode, Tensor } from "walk/store.js" */

/**
 * Show how the chosen number was computed: a drawing of the sum or a table, then the controls, then all products.
 *
 * @param {LoadedNode} node
 * @param {Explanation} explanation
 * @param {Tensor} result
 * @param {[y: number, x: number, c: number]} at
 * @param {HTMLElement | null} controls
 */
export function derivation(node, explanation, result, at, controls) {
  const { name, shown, note, complete, sum } = explanation;
  const stack = sum && complete ? kernelStack(node, name, sum, state.reading) : null;
  const numbers = complete ? calculation(node, explanation) : null;
  const missing = el("p", {}, "To limit its size, this page does not contain the weights of this channel.");
  return el("section", { class: "derivation", tabindex: -1 },
    el("h2", {}, `How ${name} was computed`),
    breadcrumb(),
    el("div", { class: "chosen" }, el("p", { class: "clicked" }, el("code", {}, name), ` = ${format(shown)}`),
      controls ? toControls(controls) : null),
    shown === 0 ? zero(result, at) : null,
    note ? el("p", {}, note) : null,
    complete ? null : missing,
    stack ?? numbers,
    complete && explanation.computed !== null ? verdict(explanation.computed, explanation, result, at) : null,
    usesOf(name, result, at),
    controls,
    stack ? [el("h3", {}, "All products"), numbers] : null,
    linksNote(sourcesOf(explanation)));
}

/**
 * Return a button that leads to the controls with which the reader changes numbers.
 *
 * @param {HTMLElement} controls
 */
export function toControls(controls) {
  const onclick = () => {
    controls.scrollIntoView({ block: "nearest" });
    const first = /** @type {HTMLElement | null} */ (controls.querySelector("input, select, button"));
    first?.focus({ preventScroll: true });
  };
  return el("button", { type: "button", class: "follow-down to-controls", onclick }, "What if? ↓");
}

/**
 * Say that the number is 0, and lead to the nearest number that is not.
 *
 * @param {Tensor} result
 * @param {[y: number, x: number, c: number]} at
 */
function zero(result, [y, x, c]) {
  const [row, column] = livingPixel(result, [(y + 0.5) / result.H, (x + 0.5) / result.W], c);
  if (row === y && column === x) {
    const count = result.grid[0].length * result.grid[1].length;
    return el("p", { class: "notice" }, `At ${count} pixels all over this channel, the numbers are 0. Choose another.`);
  }
  const onclick = () => {
    Object.assign(state, { place: [(row + 0.5) / result.H, (column + 0.5) / result.W], settled: true });
    redraw();
  };
  const button = el("button", { type: "button", class: "follow", onclick }, `row ${row}, column ${column}`);
  return el("p", { class: "notice" }, "This number is 0; the calculation below shows why. ",
    "The nearest number that is not 0: ", button);
}

/**
 * @param {LoadedNode} node
 * @param {Explanation} explanation
 * @returns {Child[]}
 */
const calculation = (node, { name, sum, softmax, label, lines }) => [
  sum ? sumTable(name, sum, hasWeightControl(node)) : null,
  softmax ? softmaxTable(name, softmax, label) : null,
  lines ? lineTable(name, lines) : null,
];

/**
 * Compare the result with the network's number or, if the page does not contain it, with the picture's. The tolerance
 * does not shrink for numbers below 1e-37, because the smallest float32 numbers have fewer digits.
 *
 * @param {number} computed
 * @param {Explanation} explanation
 * @param {Tensor} result
 * @param {[y: number, x: number, c: number]} at
 */
function verdict(computed, { shown, scale }, result, [y, x, c]) {
  const exact = result.contains(y, x, c), step = result.planes[(c * result.H + y) * result.W + x];
  const given = exact ? shown : step === -128 ? NaN : (step * result.scales[c]) / 127;
  const ends = !exact && Math.abs(step) === 127 && computed * step > 0; // the picture's colours end here
  const beyond = ends && Math.abs(computed) > Math.abs(given);
  const difference = beyond || Object.is(computed, given) ? 0 : Math.abs(computed - given); // NaN equals NaN here
  const rounding = exact ? 1e-5 * Math.max(scale || 0, Math.abs(given) || 0, 1e-37) : 0.51 * (result.scales[c] / 127);
  const same = difference <= rounding, text = exact ? `the same (difference ${short(difference)})`
    : "the same up to the 8 bits of the picture";
  const values = { "data-computed": computed, "data-shown": given, "data-scale": scale };
  return el("p", { class: "verdict", ...values },
    el("span", {}, "computed here ", el("b", {}, format(computed))),
    exact ? el("span", {}, "in the network ", el("b", {}, format(given)))
      : el("span", {}, "in the picture ", el("b", {}, `${beyond ? "beyond" : "≈"} ${short(given)}`)),
    el("span", { class: same ? "good" : "bad" }, same ? `✓ ${text}` : `✗ difference ${short(difference)}`));
}

/**
 * @param {string} own   the name of the result
 * @param {Line[]} lines
 */
const lineTable = (own, lines) =>
  table(["", "", ""], lines.map(([name, value, remark, source]) => [link(own, name, source), value, remark]));

/**
 * @param {string} own      the name of the result
 * @param {Softmax} softmax
 * @param {number} [label]  the true class
 */
function softmaxTable(own, { scores, largest, exps, total, probs, best, sources }, label) {
  const rows = probs.map((p, k) => {
    const { name, colour } = data.classes[k], source = sources[k];
    const bar = el("span", { class: "bar" }, el("i", { style: `width: ${100 * p}%; background: ${colour}` }));
    const tags = [k === best ? "predicted" : "", k === label ? "true" : ""].filter(Boolean).join(", ");
    const named = el("span", { class: "class" }, swatch(colour),
      el("span", {}, el(k === best ? "b" : "span", {}, name), tags ? el("small", {}, tags) : null));
    return [named, source ? link(own, format(scores[k]), source) : scores[k], exps[k], [format(p), bar]];
  });
  const sum = `m = ${format(largest)}, and the exponentials sum to ${format(total)}.`;
  const one = data.oneLogit ? " Class 0 has no logit; 0 is used instead." : "";
  return el("div", {}, table(["class", "logit", "exp(logit − m)", "probability"], rows),
    el("p", { class: "quiet" }, sum + one));
}
