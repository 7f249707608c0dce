// Shows where the gradient of the chosen number goes, in forward steps.

import { el, table } from "walk/elements.js";
import { OWN_CODE, formulaOf } from "walk/explain.js";
import { explainableMaker, link } from "walk/links.js";
import { format } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { state } from "walk/state.js";
import { twinOf } from "walk/steps.js";
import { FEW_ROWS } from "walk/sum_view.js";
import { follow } from "walk/trail.js";

/** @import { Child } from "report/dom.js" */
/** @import { Explanation, Sum } from "walk/explanation.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode } from "walk/store.js" */

const NOTHING = "Its gradient is 0: a small change in this number would not affect the loss. On the way to the loss, " +
  "a ReLU blocks it, a pooling layer ignores it, or the pixel has no label. It contributes nothing to other gradients.";

/**
 * Show where the gradient of a number of out goes, or return null if the step is not a forward step.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {Explanation} explanation
 * @param {number} y
 * @param {number} x
 * @param {number} c
 */
export function gradient(step, node, { name, complete, sum }, y, x, c) {
  if (step.way !== "forward" || !complete) return null;
  const section = (/** @type {Child[]} */ ...children) =>
    el("section", { class: "gradient" }, el("h2", {}, "Where its gradient goes"), ...children);
  if (!data.labelled) {
    return section(el("p", { class: "quiet" }, "Without labels there is no loss, and no gradient."));
  }
  const g = node.dresult.value(y, x, c), dout = link(name, "dout", [node.dresult, y, x, c]);
  if (g === 0) return section(el("p", {}, NOTHING));
  const intro = el("p", {}, "A small increase in this number changes the loss by ", el("b", {}, format(g)),
    " times the increase. This factor is its gradient, ", dout, ".");
  if (sum) return section(intro, ...sharesOfSum(step, node, name, sum, c, g));
  const shares = formulaOf(node)?.shares(node, y, x, c, g).map(([to, gradient, remark, at]) =>
    [linkToGradient(step, node, name, to, at), gradient, remark]);
  return section(intro, shares ? table(["to", "gradient", ""], shares) : el("p", {}, OWN_CODE));
}

/**
 * Show the name of a gradient in dx. It is a button if the backward step can explain the gradient.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {string} own     the name of the present number
 * @param {string} name
 * @param {[y: number, x: number, c: number]} [at]
 */
function linkToGradient(step, { dx }, own, name, at) {
  const twin = twinOf(step);
  if (!at || !twin || !dx || !explainableMaker([dx, ...at])) return name;
  const [y, x, c] = at, onclick = () => follow(own, twin, [(y + 0.5) / dx.H, (x + 0.5) / dx.W], c);
  return el("button", { type: "button", class: "follow", title: "show how this gradient is computed", onclick }, name);
}

/**
 * Show the gradient that each input and each weight of a sum receives from the sum's gradient g.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {string} own   the name of the sum
 * @param {Sum} sum
 * @param {number} c
 * @param {number} g
 */
function sharesOfSum(step, node, own, { terms }, c, g) {
  const learned = Boolean(node.weight);
  const sorted = terms.toSorted((a, b) => Math.abs(b.weight) - Math.abs(a.weight));
  const shown = state.allRows ? sorted : sorted.slice(0, FEW_ROWS);
  const rows = shown.map(({ name, value, weight, weightName, source: [, ...at] }) =>
    [linkToGradient(step, node, own, name.replace(/^x/, "dx"), at), weight * g,
      ...(learned ? [`d${weightName}`, value * g] : [])]);
  const which = shown.length < terms.length ? `These are the ${FEW_ROWS} largest of ${terms.length}. ` : "";
  const bias = node.vectors.bias ? ` dbias[${c}] receives dout itself.` : "";
  const note = `${which}Other numbers of out contribute as well, and all contributions are added.${bias}`;
  const heads = ["this input", `receives ${learned ? "weight" : "share"} × dout`,
    ...(learned ? ["this weight", "receives x × dout"] : [])];
  return [table(heads, rows), el("p", { class: "quiet" }, note)];
}
