// Where the gradient of the chosen number goes, on the steps forward.

import { el, table } from "walk/elements.js";
import { OWN_CODE, formulaOf } from "walk/explain.js";
import { format } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { state } from "walk/state.js";
import { FEW_ROWS } from "walk/sum_view.js";

/** @import { Child } from "walk/elements.js" */
/** @import { Explanation, Sum } from "walk/explanation.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode } from "walk/store.js" */

const NOTHING = "Its gradient is 0: were this number a little more or less, the loss would stay. On the way to the " +
  "loss it is stopped by a ReLU, or passed over by a pooling, or its pixel has no label. So nothing goes on from here.";

/**
 * The section about the gradient of a number of out. null for other steps.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {Explanation} explanation
 * @param {number} y
 * @param {number} x
 * @param {number} c
 */
export function gradient(step, node, { complete, sum }, y, x, c) {
  if (step.way !== "forward" || !complete) return null;
  const section = (/** @type {Child[]} */ ...children) =>
    el("section", { class: "gradient" }, el("h3", {}, "Where its gradient goes"), ...children);
  if (!data.labelled) {
    return section(el("p", { class: "quiet" }, "Without labels there is no loss, and no gradient."));
  }
  const g = (node.dresult).value(y, x, c);
  if (g === 0) return section(el("p", {}, NOTHING));
  const intro = el("p", {}, "If this number were a little larger, the loss would change by ", el("b", {}, format(g)),
    " times as much: its gradient, dout.");
  if (sum) return section(intro, ...sharesOfSum(node, sum, c, g));
  const shares = formulaOf(node)?.shares(node, y, x, c, g);
  return section(intro, shares ? table(["to", "gradient", ""], shares) : el("p", {}, OWN_CODE));
}

/**
 * What each input and each weight of a sum gets of the sum's gradient g.
 *
 * @param {LoadedNode} node
 * @param {Sum} sum
 * @param {number} c
 * @param {number} g
 */
function sharesOfSum(node, { terms }, c, g) {
  const learned = Boolean(node.weight);
  /** @type {[input: string, toInput: number, ...weight: (string | number)[]][]} */
  const rows = terms.map(({ name, value, weight, weightName }) =>
    [name.replace(/^x/, "dx"), weight * g, ...(learned ? [`d${weightName}`, value * g] : [])]);
  rows.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const shown = state.allRows ? rows : rows.slice(0, FEW_ROWS);
  const which = shown.length < rows.length ? `The ${FEW_ROWS} largest of ${rows.length}. ` : "";
  const bias = node.vectors.bias ? ` dbias[${c}] gets dout itself.` : "";
  const note = `${which}Each of them gets something from other numbers of out, too; all of it is added up.${bias}`;
  const heads = ["this input", `gets ${learned ? "weight" : "share"} × dout`,
    ...(learned ? ["this weight", "gets x × dout"] : [])];
  return [table(heads, shown), el("p", { class: "quiet" }, note)];
}
