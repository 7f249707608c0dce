// The prediction, the loss, and the gradient with which the backward pass begins.

import { explainByLines } from "walk/explanation.js";
import { data } from "walk/payload.js";

/** @import { Explanation, Line, Softmax, Source } from "walk/explanation.js" */
/** @import { LoadedNode, Tensor } from "walk/store.js" */

const NO_LABEL = 255;

/**
 * Return the softmax at a pixel. A single logit belongs to class 1, and class 0 has logit 0, as in the sigmoid.
 *
 * @param {Tensor} logits
 * @param {number} y
 * @param {number} x
 * @returns {Softmax}
 */
export function softmaxAt(logits, y, x) {
  const values = Array.from({ length: logits.C }, (_, k) => logits.value(y, x, k)), one = logits.C === 1;
  const scores = one ? [0, values[0]] : values, largest = Math.max(...scores);
  const exps = scores.map((z) => Math.exp(z - largest)), total = exps.reduce((a, b) => a + b, 0);
  const probs = exps.map((e) => e / total), best = scores.indexOf(largest);
  const sources = values.map((_, k) => /** @type {Source} */ ([logits, y, x, k]));
  return { scores, largest, exps, total, probs, best, sources: one ? [null, ...sources] : sources };
}

/**
 * Return the class of a pixel, or null if it has no label.
 *
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 */
export function labelAt(node, y, x) {
  const label = node.labels[y * node.out.W + x];
  return label === NO_LABEL ? null : label;
}

/**
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 * @param {number} c
 * @returns {Explanation}
 */
export function explainAnswer(node, y, x, c) {
  const softmax = softmaxAt(node.x, y, x), k = node.x.C === 1 ? 1 : c, shown = node.out.value(y, x, c);
  return { name: `p[${y}, ${x}, ${k}]`, shown, computed: softmax.probs[k], scale: 1, complete: true, softmax };
}

/**
 * @param {string} name
 * @param {number} shown
 * @returns {Explanation}
 */
const explainUnlabelled = (name, shown) =>
  ({ name, shown, computed: 0, scale: 1, complete: true, note: "This pixel has no label, so it does not count." });

/**
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 * @returns {Explanation}
 */
export function explainLoss(node, y, x) {
  const label = labelAt(node, y, x), name = `loss[${y}, ${x}]`;
  if (label === null) return explainUnlabelled(name, node.out.value(y, x, 0));
  const softmax = softmaxAt(node.logits, y, x), { weights, divisor } = node.settings, weight = weights[label];
  const nll = Math.log(softmax.total) + softmax.largest - softmax.scores[label]; // exact even if p is almost 0
  /** @type {Line[]} */
  const lines = [
    ["the true class y", data.classes[label].name, ""],
    [`p of ${data.classes[label].name}`, softmax.probs[label], "", probabilitySource(node, y, x, label)],
    ["−log p", nll, "the negative log-likelihood, which is 0 if p is 1"],
    ["weight", weight, weights.every((w) => w === 1) ? "1 for every class" : "of the true class"],
    ["D", divisor, "labelled pixels"],
    ["weight · (−log p) / D", (weight * nll) / divisor, ""],
  ];
  return { ...explainByLines(node.out, name, [y, x, 0], lines, weight / divisor), softmax, label };
}

/**
 * Return the place of a class's probability in the page's arrays, or null for class 0 of a single logit.
 *
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 * @param {number} k
 * @returns {Source | null}
 */
function probabilitySource(node, y, x, k) {
  const channel = node.logits.C === 1 ? k - 1 : k;
  return channel < 0 ? null : [node.x, y, x, channel];
}

/**
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 * @param {number} c
 * @returns {Explanation}
 */
export function explainLossBackward(node, y, x, c) {
  const label = labelAt(node, y, x), k = node.logits.C === 1 ? 1 : c, name = `dlogits[${y}, ${x}, ${c}]`;
  if (label === null) return explainUnlabelled(name, node.dx.value(y, x, c));
  const p = softmaxAt(node.logits, y, x).probs[k], weight = node.settings.weights[label] / node.settings.divisor;
  const target = label === k ? 1 : 0;
  /** @type {Line[]} */
  const lines = [
    [`p of ${data.classes[k].name}`, p, "", probabilitySource(node, y, x, k)],
    ["1 if it is the true class", target, `the true class is ${data.classes[label].name}`],
    ["weight / D", weight, ""],
    [`weight / D · (p − ${target})`, weight * (p - target), ""],
  ];
  return explainByLines(node.dx, name, [y, x, c], lines, weight);
}
