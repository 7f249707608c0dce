// Explains how one number of a step was computed.

import { explainByLines } from "walk/explanation.js";
import { explainAnswer, explainLoss, explainLossBackward } from "walk/loss.js";
import * as pixelwise from "walk/pixelwise.js";
import * as pooling from "walk/pooling.js";
import { resultOf } from "walk/steps.js";
import { explainBySum, isSum } from "walk/sums.js";

/** @import { Explanation, Formula } from "walk/explanation.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode } from "walk/store.js" */

export const OWN_CODE = "The layer's own code computes this number; see its source below.";

/** @type {Record<string, Formula>} */
const FORMULAS = { ...pixelwise, ...pooling };

/**
 * Return the formula of a node that is not a sum of products. Other libraries' layers have none.
 *
 * @param {{ kind: string }} node
 * @returns {Formula | undefined}
 */
export const formulaOf = (node) => FORMULAS[node.kind];

/**
 * Explain one number of a step's result.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 * @param {number} c
 * @returns {Explanation}
 */
export function explain(step, node, y, x, c) {
  if (step.way === "answer") return explainAnswer(node, y, x, c);
  if (step.way === "loss") return explainLoss(node, y, x);
  if (step.way === "loss backward") return explainLossBackward(node, y, x, c);
  const backward = step.way === "backward", result = resultOf(step, node);
  const name = `${backward ? "dx" : "out"}[${y}, ${x}, ${c}]`;
  if (isSum(node)) return explainBySum(node, backward ? "in" : "out", result, name, [y, x, c]);
  const formula = formulaOf(node);
  if (!formula) return { name, shown: result.value(y, x, c), computed: null, scale: 1, complete: true, note: OWN_CODE };
  if (backward) return explainByLines(result, name, [y, x, c], formula.backward(node, y, x, c));
  const largest = formula.largestSummand?.(node, y, x, c);
  return explainByLines(result, name, [y, x, c], formula.forward(node, y, x, c), largest);
}
