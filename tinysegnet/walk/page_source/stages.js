// The stages of the network in the form of a U: on the left the maps become smaller, and on the right they grow again.

import { data } from "walk/payload.js";
import { steps } from "walk/steps.js";

/** @import { PackedNode } from "walk/payload.js" */
/** @import { Step } from "walk/steps.js" */

/**
 * The layers whose names begin alike, such as encoder1.conv1 and encoder1.pool. `node` is the last one with maps of the
 * stage's full size. `pooled` is the shape after the stage if it is smaller. `level` is 0 for the largest maps.
 *
 * @typedef {{ name: string, nodes: number[], node: number, pooled: number[] | null, left: boolean, level: number
 *   }} Stage
 */

/** What a stage passes to a later stage beside the network's main path. */
/** @typedef {{ from: Stage, to: Stage, what: string }} Crossing  what: indices or maps */

const layers = data.nodes.slice(0, steps.filter((step) => step.way === "forward").length);

/** @param {PackedNode} node */
const heightOf = ({ out }) => data.tensors[out].shape[0];

/** @returns {Stage[]} */
function groupLayers() {
  /** @type {Map<string, number[]>} */
  const groups = new Map();
  layers.forEach(({ name }, index) => {
    const stage = name.split(".")[0];
    groups.set(stage, [...(groups.get(stage) ?? []), index]);
  });
  const found = [...groups].map(([name, nodes]) => {
    const most = Math.max(...nodes.map((index) => heightOf(layers[index])));
    const node = nodes.findLast((index) => heightOf(layers[index]) === most) ?? nodes[0];
    const last = layers[nodes[nodes.length - 1]], pooled = heightOf(last) < most ? data.tensors[last.out].shape : null;
    return { name, nodes, node, pooled, most };
  });
  const heights = [...new Set(found.map(({ most }) => most))].sort((a, b) => b - a);
  const pooling = found.findLastIndex(({ pooled }) => pooled), least = heights[heights.length - 1];
  const turn = pooling < 0 && heights.length > 1 ? found.findLastIndex(({ most }) => most === least) : pooling;
  return found.map(({ most, ...stage }, k) => ({ ...stage, left: k <= turn, level: heights.indexOf(most) }));
}

export const stages = groupLayers();

/** The smallest maps, which the last stage on the left passes on. */
export const bottleneck = stages.findLast(({ pooled }) => pooled)?.pooled ?? null;

/** @param {number} node */
const stageWith = (node) => /** @type {Stage} */ (stages.find((stage) => stage.nodes.includes(node)));

/** @type {Crossing[]} */
export const crossings = layers.flatMap(({ kind, partner, settings }, index) => {
  const source = layers.findIndex(({ name }) => name === partner);
  if (source < 0 || source > index || settings.fixed) return [];
  return [{ from: stageWith(source), to: stageWith(index), what: kind === "max_unpool2d" ? "indices" : "maps" }];
});

/**
 * Return the stage of a step, or undefined for the picture, the prediction and the loss.
 *
 * @param {Step} step
 */
export const stageOf = (step) => (step.layer ? stageWith(step.node) : undefined);
