// The channels that are shown: the reader's choices, or those that explain most.

import { labelAt, softmaxAt } from "walk/loss.js";
import { data } from "walk/payload.js";
import { redraw, state } from "walk/state.js";
import { readIndex, resultIndex, steps } from "walk/steps.js";

/** @import { Sum } from "walk/explanation.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode } from "walk/store.js" */

/**
 * Return a step's family (channel names, or else stage and number of channels), whose steps share the chosen channel.
 *
 * @param {Step} step
 */
export function familyOf(step) {
  const { names, shape } = data.tensors[resultIndex(step)];
  return names ? names.join() : `${step.name.split(".")[0]} ${shape[2]}`;
}

/**
 * Return the channel of a step's result: the reader's choice, or the one whose standard deviation is largest at the end
 * of the stage.
 *
 * @param {Step} step
 */
export function channelFor(step) {
  const family = familyOf(step);
  if (family in state.chosen) return state.chosen[family];
  const forward = steps.filter((s) => s.way === "forward" || s.way === "answer");
  const last = forward.findLast((s) => familyOf(s) === family) ?? step, tensor = data.tensors[resultIndex(last)];
  return tensor.names && last.way !== "answer" ? 0 : tensor.strongest; // red comes first
}

/**
 * Return the class that a step shows at a pixel: the predicted class or, in the loss, the true class. Return null if
 * the reader chose a class, or if channels are not classes.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 */
export function classFor(step, node, y, x) {
  const answer = steps.find((s) => s.way === "answer"), family = familyOf(step), loss = step.way === "loss";
  if (family in state.chosen || !(loss || (answer && family === familyOf(answer)))) return null;
  const label = loss ? labelAt(node, y, x) : null;
  if (label !== null) return label;
  const logits = node.logits ?? (step.way === "answer" ? node.x : node.out);
  return Math.max(0, softmaxAt(logits, y, x).best);
}

/**
 * Return the channel of the array that a sum reads: the reader's choice, or the one whose products contribute most.
 *
 * @param {Step} step
 * @param {Sum} sum
 */
export function readingFor(step, { terms, read }) {
  const chosen = state.readings[readIndex(step)];
  /** @type {Map<number, number>} */
  const parts = new Map();
  for (const { channel, product } of terms) {
    if (channel < read.shown) parts.set(channel, (parts.get(channel) ?? 0) + product);
  }
  if (parts.has(chosen)) return chosen;
  const [first = [0, 0], ...others] = parts;
  return others.reduce((best, part) => (Math.abs(part[1]) > Math.abs(best[1]) ? part : best), first)[0];
}

/** @param {number} channel */
export function chooseChannel(channel) {
  state.channel = state.chosen[familyOf(steps[state.step])] = channel;
  return redraw();
}

/** @param {number} channel */
export function chooseReading(channel) {
  state.readings[readIndex(steps[state.step])] = channel;
  return redraw();
}
