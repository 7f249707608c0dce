// The steps in the order of the walk, and the array that each step computes.

import { data } from "walk/payload.js";

/** @import { PackedStep, Way } from "walk/payload.js" */

/**
 * A step with its node's name, its heading (shown), whether it belongs to a layer, and its id in the page's address.
 *
 * @typedef {PackedStep & { index: number, name: string, shown: string, layer: boolean, id: string }} Step
 */

/** @type {Record<Way, string>} */
export const WAYS = {
  start: "the picture", forward: "forward", answer: "prediction", loss: "loss", "loss backward": "backward",
  backward: "backward",
};

/**
 * Return the direction of a step as a CSS class.
 *
 * @param {Step} step
 */
export const wayClass = (step) => WAYS[step.way].replace(" ", "-");

export const steps = data.steps.map((step, index) => {
  const { name } = data.nodes[step.node], layer = step.way === "forward" || step.way === "backward";
  const shown = step.way === "start" ? data.title : layer ? name : step.title;
  const id = step.way === "start" ? "start" : `${step.way.replace(" ", "-")}:${name}`;
  return { ...step, index, name, shown, layer, id };
});

/**
 * Return the same node's step in the other direction, if there is one.
 *
 * @param {Step} step
 */
export function twinOf(step) {
  return steps.find((s) => s.index !== step.index && s.node === step.node && step.way !== "start" && s.way !== "start");
}

/**
 * Return the array that a step computes: for a node its Tensor, for a packed node its index.
 *
 * @template T
 * @param {PackedStep} step
 * @param {{ x: T, result: T, dx: T | null }} node
 */
export function resultOf(step, node) {
  const backward = step.way === "backward" || step.way === "loss backward";
  const result = step.way === "start" ? node.x : backward ? node.dx : node.result;
  return /** @type {T} */ (result); // a step exists only if its node has the result
}

/**
 * Return the index of the array that a step computes.
 *
 * @param {PackedStep} step
 */
export const resultIndex = (step) => resultOf(step, data.nodes[step.node]);

/**
 * Return the index of the array that a step reads.
 *
 * @param {PackedStep} step
 */
export function readIndex(step) {
  const node = data.nodes[step.node];
  const read = step.way === "backward" ? node.dresult : node.x;
  return /** @type {number} */ (read);
}

/**
 * Return the last step before `step` or else the first step that computed the array with this index, if there is one.
 *
 * @param {number} index
 * @param {Step} step
 */
export const makerOf = (index, step) => steps.slice(0, step.index).findLast((s) => resultIndex(s) === index) ??
  steps.find((s) => resultIndex(s) === index);
