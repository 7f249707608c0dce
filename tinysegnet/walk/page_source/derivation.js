// How the chosen number was computed: a sum of products, a softmax, or the lines of a calculation.

import { swatch } from "walk/classes.js";
import { el, table } from "walk/elements.js";
import { sourcesOf } from "walk/explanation.js";
import { link, linksNote } from "walk/links.js";
import { format, short } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { state } from "walk/state.js";
import { kernelGrids, sumTable } from "walk/sum_view.js";

/** @import { Child } from "report/dom.js" */
/** @import { Explanation, Line, Softmax } from "walk/explanation.js" */
/** @import { LoadedNode } from "walk/store.js" */

/**
 * Show how the chosen number was computed.
 *
 * @param {LoadedNode} node
 * @param {Explanation} explanation
 */
export function derivation(node, explanation) {
  const { name, shown, note, complete } = explanation;
  const missing = el("p", {}, "To limit its size, this page does not contain the weights of this channel.");
  return el("section", { class: "derivation", tabindex: -1 },
    el("h3", {}, `How ${name} was computed`),
    el("p", { class: "clicked" }, el("code", {}, name), ` = ${format(shown)}`),
    note ? el("p", {}, note) : null,
    complete ? calculation(node, explanation) : missing);
}

/**
 * @param {LoadedNode} node
 * @param {Explanation} explanation
 * @returns {Child[]}
 */
function calculation(node, explanation) {
  const { sum, softmax, label, lines } = explanation;
  return [
    sum ? kernelGrids(node, sum, Math.min(state.reading, sum.read.C - 1)) : null,
    sum ? sumTable(sum) : null,
    softmax ? softmaxTable(softmax, label) : null,
    lines ? lineTable(lines) : null,
    explanation.computed === null ? null : verdict(explanation.computed, explanation),
    linksNote(sourcesOf(explanation)),
  ];
}

/**
 * Compare the result with the network's number. The tolerance does not shrink for numbers below 1e-37, because the
 * smallest float32 numbers have fewer digits.
 *
 * @param {number} computed
 * @param {Explanation} explanation
 */
function verdict(computed, { shown, scale }) {
  const difference = Object.is(computed, shown) ? 0 : Math.abs(computed - shown); // NaN equals NaN here
  const same = difference <= 1e-5 * Math.max(scale || 0, Math.abs(shown) || 0, 1e-37);
  const text = same ? `✓ the same (difference ${short(difference)})` : `✗ difference ${short(difference)}`;
  const values = { "data-computed": computed, "data-shown": shown, "data-scale": scale };
  return el("p", { class: "verdict", ...values },
    el("span", {}, "computed here ", el("b", {}, format(computed))),
    el("span", {}, "in the network ", el("b", {}, format(shown))),
    el("span", { class: same ? "good" : "bad" }, text));
}

/** @param {Line[]} lines */
const lineTable = (lines) =>
  table(["", "", ""], lines.map(([name, value, remark, source]) => [link(name, source), value, remark]));

/**
 * @param {Softmax} softmax
 * @param {number} [label]  the true class
 */
function softmaxTable({ scores, largest, exps, total, probs, best, sources }, label) {
  const rows = probs.map((p, k) => {
    const { name, colour } = data.classes[k], source = sources[k];
    const bar = el("span", { class: "bar" }, el("i", { style: `width: ${100 * p}%; background: ${colour}` }));
    const tags = [k === best ? "predicted" : "", k === label ? "true" : ""].filter(Boolean).join(", ");
    const named = el("span", { class: "class" }, swatch(colour), el(k === best ? "b" : "span", {}, name),
      tags ? el("small", {}, tags) : null);
    return [named, source ? link(format(scores[k]), source) : scores[k], exps[k], bar, p];
  });
  const sum = `m = ${format(largest)}, and the exponentials sum to ${format(total)}.`;
  const one = data.oneLogit ? " Class 0 has no logit; 0 is used instead." : "";
  return el("div", {}, table(["class", "logit", "exp(logit − m)", "", "probability"], rows),
    el("p", { class: "quiet" }, sum + one));
}
