// Numbers that are sums of products over a window: convolutions, transposed convolutions, upsampling.

import { largerPixels, smallerPixels } from "walk/windows.js";

/** @import { Explanation, Term } from "walk/explanation.js" */
/** @import { LoadedNode, Tensor } from "walk/store.js" */
/** @import { Tap } from "walk/windows.js" */

/** @typedef {"out" | "in"} Side  out: the output; in: the gradient of the input */
/** @typedef {[y: number, x: number, c: number]} Place */

const SUMS = new Set(["conv2d", "conv_transpose2d", "depthwise_conv2d", "skip_source", "upsample_nearest2d",
  "upsample_bilinear2d"]);
const SHARE = "share"; // the name of a weight that is not learned

/**
 * Return whether the numbers of this node are sums of products, which excludes skip sources without a convolution.
 *
 * @param {LoadedNode} node
 */
export const isSum = (node) => SUMS.has(node.kind) && Boolean(node.windows);

/**
 * Return whether every number depends on all channels of the array that is read.
 *
 * @param {LoadedNode} node
 */
export const mixesChannels = (node) => node.mixesChannels && isSum(node);

/**
 * Explain a number of `tensor`, which is on this side of the node, as a sum of products.
 *
 * @param {LoadedNode} node
 * @param {Side} side
 * @param {Tensor} tensor
 * @param {string} name
 * @param {Place} at
 * @returns {Explanation}
 */
export function explainBySum(node, side, tensor, name, at) {
  const [letter, read] = readBy(node, side), start = startOf(node, side, at), first = start ? start.value : 0;
  const sumIsLarge = node.windows.large === side, small = sumIsLarge ? read : tensor;
  const taps = (sumIsLarge ? smallerPixels : largerPixels)(node.windows, at[0], at[1], read);
  const channels = mixesChannels(node) ? [...Array(read.C).keys()] : [at[2]];
  /** @type {Term[]} */
  const terms = [];
  let complete = true;
  for (const tap of taps) {
    for (const channel of channels) {
      const [i, j, y, x] = tap, value = read.value(y, x, channel);
      const [weight, weightName] = weightBetween(node, sumIsLarge, at, tap, channel, small);
      if (weightName === SHARE && weight === 0) continue;
      if (weight === undefined) complete = false;
      terms.push({
        i, j, channel, name: `${letter}[${y}, ${x}, ${channel}]`, source: [read, y, x, channel], value,
        weight: weight ?? NaN, weightName, product: value * (weight ?? NaN),
      });
    }
  }
  const [KH, KW] = node.windows.kernel, outside = sumIsLarge ? 0 : (KH * KW - taps.length) * channels.length;
  const computed = terms.reduce((total, term) => total + term.product, first);
  const scale = Math.max(Math.abs(first), ...terms.map((term) => Math.abs(term.product)));
  const sum = { terms, start, outside, read, letter, rotated: sumIsLarge };
  return { name, shown: tensor.value(...at), computed, scale, complete, sum };
}

/**
 * Return the array that a sum reads, and its letter.
 *
 * @param {LoadedNode} node
 * @param {Side} side
 * @returns {[letter: string, read: Tensor]}
 */
function readBy(node, side) {
  if (side === "out") return ["x", node.x];
  return [node.dresult === node.dother ? "dkept" : "dout", node.dresult];
}

/**
 * Return the first summand: the bias, or the gradient that a skip source passes on unchanged.
 *
 * @param {LoadedNode} node
 * @param {Side} side
 * @param {Place} at
 */
function startOf(node, side, at) {
  if (side === "in") return node.dresult === node.dother ? { name: "dout", value: node.dout.value(...at) } : null;
  return node.vectors.bias ? { name: "bias", value: node.vectors.bias[at[2]] } : null;
}

/**
 * Return the weight between a number of the sum's side and one of the other side, and its name. The weight is undefined
 * if the page does not contain it.
 *
 * @param {LoadedNode} node
 * @param {boolean} sumIsLarge
 * @param {Place} at                          on the sum's side
 * @param {Tap} tap                           on the other side
 * @param {number} channel                    on the other side
 * @param {Tensor} small                      the array of the smaller side
 * @returns {[weight: number | undefined, name: string]}
 */
function weightBetween(node, sumIsLarge, [y, x, c], [i, j, p, q], channel, small) {
  if (node.weight) {
    const [large, smaller] = sumIsLarge ? [c, channel] : [channel, c];
    const first = node.kind === "depthwise_conv2d" ? 0 : large;
    return [node.weight(i, j, first, smaller), `weight[${i}, ${j}, ${first}, ${smaller}]`];
  }
  if (node.kind === "upsample_nearest2d") return [1, SHARE];
  const { factor } = node.settings, [[row, column], [u, v]] = sumIsLarge ? [[y, x], [p, q]] : [[p, q], [y, x]];
  return [bilinearShare(row, u, factor, small.H) * bilinearShare(column, v, factor, small.W), SHARE];
}

/**
 * Return the share of pixel `small` in pixel `large` along one axis of bilinear upsampling. size: the smaller side's.
 *
 * @param {number} large
 * @param {number} small
 * @param {number} factor
 * @param {number} size
 */
function bilinearShare(large, small, factor, size) {
  const position = Math.min(Math.max((large + 0.5) / factor - 0.5, 0), size - 1);
  return Math.max(0, 1 - Math.abs(position - small));
}
