// The page contains the numbers at the dots and those that they need. It computes other numbers from these, layer by
// layer in float64, when a reader asks for them.

import { explain, formulaOf } from "walk/explain.js";
import { data } from "walk/payload.js";
import { resultIndex, steps } from "walk/steps.js";
import { calculatingNodeOf, computeMissing, pixelAt } from "walk/store.js";
import { isSum, sumAt, sumsAt } from "walk/sums.js";

/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode, Tensor } from "walk/store.js" */

/** Thrown if a number needs a node whose arrays are not unpacked yet. */
class NotLoaded extends Error {
  /**
   * @param {number} node
   * @param {boolean} backward
   */
  constructor(node, backward) {
    super(data.nodes[node].name);
    this.node = node;
    this.backward = backward;
  }
}

const READ_AGAIN = new Set(["relu", "local_response_norm"]); // kinds whose gradient depends on x

/** @type {Map<number, Step>} the first step that computes an array, by the array's index */
const makers = new Map(steps.toReversed().map((step) => [resultIndex(step), step]));
/** @type {Map<number, boolean>} */
const computable = new Map();
/** @type {Map<number, Map<number, number[] | Float64Array>>} the computed numbers of channels, by array and pixel */
const computed = new Map();

/** @type {Map<string, LoadedNode>} */
const loaded = new Map();

/**
 * Return a node for calculations, or throw NotLoaded.
 *
 * @param {number} index
 * @param {boolean} [backward]   whether gradients are needed, too
 */
export function needNode(index, backward = false) {
  const node = loaded.get(`${index} ${backward}`);
  if (!node) throw new NotLoaded(index, backward);
  return node;
}

/**
 * Return the value of a function. If it needs nodes that are not loaded, load them and call it again.
 *
 * @template T
 * @param {() => T} make
 */
export async function whenLoaded(make) {
  for (;;) {
    try {
      return make();
    } catch (error) {
      if (!(error instanceof NotLoaded)) throw error;
      const { node, backward } = error;
      loaded.set(`${node} ${backward}`, await calculatingNodeOf(node, backward));
    }
  }
}

/**
 * Return whether the page can explain every number of an array in the channels that are shown: it knows the formula,
 * and has or can compute all numbers that are read.
 *
 * @param {number} index   of the array
 * @returns {boolean}
 */
export function isComputable(index) {
  const found = computable.get(index);
  if (found !== undefined) return found;
  const step = makers.get(index), allChannels = step !== undefined && mixes(step);
  const known = step !== undefined && hasFormula(step) && readBy(step).every((read) => isObtainable(read, allChannels));
  computable.set(index, known);
  return known;
}

/**
 * Return whether the page can explain every pixel of an array, at least in the channels that are shown.
 *
 * @param {number} index   of the array
 */
export function explainsAllPixels(index) {
  const { grid: [rows, columns], shape: [H, W] } = data.tensors[index];
  return isComputable(index) || (rows.length === H && columns.length === W);
}

/**
 * @param {number} index          of an array
 * @param {boolean} allChannels   whether channels that are not shown are needed, too
 */
function isObtainable(index, allChannels) {
  const { known, shape, shown } = data.tensors[index];
  return (known.all && (!allChannels || known.channels === shape[2])) ||
    ((!allChannels || shown === shape[2]) && isComputable(index));
}

/** @param {Step} step */
const mixes = ({ layer, node }) => !layer || Boolean(data.nodes[node].mixesChannels);

/** @param {Step} step */
const hasFormula = ({ layer, node }) => !layer || isSum(data.nodes[node]) || formulaOf(data.nodes[node]) !== undefined;

/**
 * Return the arrays that a step reads to compute its result.
 *
 * @param {Step} step
 * @returns {number[]}
 */
export function readBy({ way, node: index }) {
  const node = data.nodes[index], { x, other, logits, dout, dother, kind } = node;
  if (way === "start") return [];
  const found = way === "backward" ? [dout, kind === "skip_source" ? dother : null, READ_AGAIN.has(kind) ? x : null]
    : [x, logits, kind === "skip_add" ? other : null];
  return found.filter((array) => array !== null && array !== undefined);
}

computeMissing((tensor, y, x, c) => {
  const pixels = computed.get(tensor.index) ?? new Map(), numbers = pixels.get(y * tensor.W + x) ?? [];
  const step = makers.get(tensor.index);
  if (numbers[c] !== undefined) return numbers[c];
  if (!step || step.way === "start" || !isComputable(tensor.index)) return NaN;
  const backward = step.way.endsWith("backward"), node = needNode(step.node, backward);
  computed.set(tensor.index, pixels.set(y * tensor.W + x, numbers));
  numbers[c] = NaN; // explain() asks for this number, too
  try {
    const all = isSum(node) ? sumsAt(node, backward ? "in" : "out", tensor, y, x) : null;
    if (all) pixels.set(y * tensor.W + x, all);
    else if (isSum(node)) numbers[c] = sumAt(node, backward ? "in" : "out", tensor, [y, x, c]);
    else numbers[c] = numberAt(step, node, y, x, c);
    return all ? all[c] : numbers[c];
  } catch (error) {
    delete numbers[c];
    throw error;
  }
});

/** @type {(step: Step, node: LoadedNode, y: number, x: number, c: number) => number} */
function numberAt(step, node, y, x, c) {
  const formula = step.layer ? formulaOf(node) : undefined;
  if (!formula) return explain(step, node, y, x, c).computed ?? NaN;
  const lines = formula[step.way === "backward" ? "backward" : "forward"](node, y, x, c);
  return Number(lines[lines.length - 1][1]);
}

/**
 * Return the pixel at a position (0..1 from the top and from the left) or, if the page cannot explain the array's
 * numbers there, the nearest dot.
 *
 * @param {Tensor} tensor
 * @param {[number, number]} place
 * @returns {[number, number]}
 */
export function explainedPixel(tensor, place) {
  if (!isComputable(tensor.index)) return pixelAt(tensor, place);
  const [y, x] = [place[0] * tensor.H, place[1] * tensor.W].map(Math.floor);
  return [Math.max(0, Math.min(tensor.H - 1, y)), Math.max(0, Math.min(tensor.W - 1, x))];
}
