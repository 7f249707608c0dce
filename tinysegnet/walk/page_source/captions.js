// A sentence per step on how it computes a number.

import { explain } from "walk/explain.js";
import { short } from "walk/numbers.js";
import { data } from "walk/payload.js";

/** @import { Explanation } from "walk/explanation.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode } from "walk/store.js" */

/**
 * Return a sentence on how a step computes the number of its result at a pixel in a channel.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 * @param {number} c
 */
export function captionOf(step, node, y, x, c) {
  if (step.way === "start") return `The journey of the pixel in row ${y}, column ${x} begins.`;
  return sentence(node, explain(step, node, y, x, c));
}

/**
 * @param {LoadedNode} node
 * @param {Explanation} explanation
 */
function sentence(node, { name, shown, note, sum, softmax, label, lines }) {
  if (sum) return `${sum.terms.length} products add up to ${name} = ${short(shown)}.`;
  if (softmax && label !== undefined) {
    const { name: right } = data.classes[label], p = short(softmax.probs[label]);
    return `p of ${right}, the true class, is ${p}, so ${name} = ${short(shown)}.`;
  }
  if (softmax && softmax.best >= 0) {
    const best = softmax.probs[softmax.best], { name: predicted } = data.classes[softmax.best];
    return `The largest of ${softmax.probs.length} probabilities is ${short(best)}, for ${predicted}.`;
  }
  if (!lines) return `${name} = ${short(shown)}. ${note ?? ""}`;
  const [, value, remark] = lines[0], pools = node.kind === "max_pool2d" && name.startsWith("out");
  if (pools) return `The largest of ${lines.length - 1} numbers is ${name} = ${short(shown)}.`;
  const from = typeof value === "number" ? `${short(value)} becomes ` : "", last = lines[lines.length - 1][2];
  return `${from}${name} = ${short(shown)}${remark || last ? ` (${remark || last})` : ""}.`;
}
