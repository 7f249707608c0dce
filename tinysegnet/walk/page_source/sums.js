// Numbers that are sums of products over a window: convolutions, transposed convolutions, upsampling.

import { largerPixels, smallerPixels } from "walk/windows.js";

/** @import { Explanation, Term } from "walk/explanation.js" */
/** @import { LoadedNode, Tensor } from "walk/store.js" */
/** @import { Tap } from "walk/windows.js" */

/** @typedef {"out" | "in"} Side  out: the output; in: the gradient of the input */
/** @typedef {[y: number, x: number, c: number]} Place */
/** @typedef {[i: number, j: number, large: number, small: number]} WeightPlace */

const SUMS = new Set(["conv2d", "conv_transpose2d", "depthwise_conv2d", "skip_source", "upsample_nearest2d",
  "upsample_bilinear2d"]);
const SHARE = "share"; // the name of a weight that is not learned

/**
 * Return whether the numbers of this node are sums of products, which excludes skip sources without a convolution.
 *
 * @param {{ kind: string, windows?: object | null }} node
 */
export const isSum = (node) => SUMS.has(node.kind) && Boolean(node.windows);

/**
 * Return whether every number depends on all channels of the array that is read.
 *
 * @param {LoadedNode} node
 */
export const mixesChannels = (node) => node.mixesChannels && isSum(node);

/**
 * Visit the terms of a sum that a number of `tensor` on this side of the node is. weightAt: the place in the weight.
 *
 * @param {LoadedNode} node
 * @param {Side} side
 * @param {Tensor} tensor
 * @param {Place} at
 * @param {(tap: Tap, channel: number, weight: number | undefined, weightAt: WeightPlace | null) => void} visit
 * @returns {number}  the number of taps
 */
function eachTerm(node, side, tensor, at, visit) {
  const [, read] = readBy(node, side), sumIsLarge = node.windows.large === side, small = sumIsLarge ? read : tensor;
  const taps = tapsOf(node, side, at[0], at[1], read);
  const mixes = mixesChannels(node), from = mixes ? 0 : at[2], to = mixes ? read.C : from + 1;
  for (const tap of taps) {
    for (let channel = from; channel < to; channel++) {
      if (node.weight) {
        const place = weightPlace(node, sumIsLarge, at[2], tap, channel);
        visit(tap, channel, node.weight(...place), place);
      } else {
        const share = shareBetween(node, sumIsLarge, at, tap, small);
        if (share) visit(tap, channel, share, null);
      }
    }
  }
  return taps.length;
}

/**
 * Return a number as a sum of products.
 *
 * @param {LoadedNode} node
 * @param {Side} side
 * @param {Tensor} tensor
 * @param {Place} at
 */
export function sumAt(node, side, tensor, at) {
  const [, read] = readBy(node, side);
  let total = startOf(node, side, at)?.value ?? 0;
  eachTerm(node, side, tensor, at, ([, , y, x], channel, weight = NaN) => {
    total += read.value(y, x, channel) * weight;
  });
  return total;
}

/**
 * Return the numbers of all channels of a pixel as sums of products, which is faster than one by one. Return null if
 * they do not depend on all channels, or if the page does not contain the whole weight.
 *
 * @param {LoadedNode} node
 * @param {Side} side
 * @param {Tensor} tensor
 * @param {number} y
 * @param {number} x
 */
export function sumsAt(node, side, tensor, y, x) {
  const weight = mixesChannels(node) ? node.weight?.whole : undefined;
  if (!weight) return null;
  const [, read] = readBy(node, side), [ownStride, stride] = node.windows.large === side ? [read.C, 1] : [1, tensor.C];
  const totals = Float64Array.from({ length: tensor.C }, (_, c) => startOf(node, side, [y, x, c])?.value ?? 0);
  for (const [i, j, row, column] of tapsOf(node, side, y, x, read)) {
    const values = read.pixel(row, column), first = (i * node.windows.kernel[1] + j) * tensor.C * read.C;
    for (let k = 0; k < read.C; k++) {
      const value = values[k], start = first + k * stride;
      for (let c = 0; c < tensor.C; c++) totals[c] += value * weight[start + c * ownStride];
    }
  }
  return totals;
}

/**
 * Return the pixels that are read for pixel (y, x) on this side of the node.
 *
 * @param {LoadedNode} node
 * @param {Side} side
 * @param {number} y
 * @param {number} x
 * @param {Tensor} read
 */
const tapsOf = (node, side, y, x, read) =>
  (node.windows.large === side ? smallerPixels : largerPixels)(node.windows, y, x, read);

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
  const sumIsLarge = node.windows.large === side;
  /** @type {Term[]} */
  const terms = [];
  let complete = true;
  const taps = eachTerm(node, side, tensor, at, ([i, j, y, x], channel, weight, weightAt) => {
    const value = read.value(y, x, channel);
    if (weight === undefined) complete = false;
    terms.push({
      i, j, channel, name: `${letter}[${y}, ${x}, ${channel}]`, source: [read, y, x, channel], value, weightAt,
      weight: weight ?? NaN, weightName: weightAt ? `weight[${weightAt.join(", ")}]` : SHARE,
      product: value * (weight ?? NaN),
    });
  });
  const [KH, KW] = node.windows.kernel, channels = mixesChannels(node) ? read.C : 1;
  const outside = sumIsLarge ? 0 : (KH * KW - taps) * channels;
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
 * Return the place in the weight that connects a channel of the sum's side with one of the other side.
 *
 * @param {LoadedNode} node
 * @param {boolean} sumIsLarge
 * @param {number} own       the channel on the sum's side
 * @param {Tap} tap          on the other side
 * @param {number} channel   on the other side
 * @returns {WeightPlace}
 */
function weightPlace(node, sumIsLarge, own, [i, j], channel) {
  const [large, smaller] = sumIsLarge ? [own, channel] : [channel, own];
  return [i, j, node.kind === "depthwise_conv2d" ? 0 : large, smaller];
}

/**
 * Return the share of a pixel of the other side in a number of an upsampling.
 *
 * @param {LoadedNode} node
 * @param {boolean} sumIsLarge
 * @param {Place} at         on the sum's side
 * @param {Tap} tap          on the other side
 * @param {Tensor} small     the array of the smaller side
 */
function shareBetween(node, sumIsLarge, [y, x], [, , p, q], small) {
  if (node.kind === "upsample_nearest2d") return 1;
  const { factor } = node.settings, [[row, column], [u, v]] = sumIsLarge ? [[y, x], [p, q]] : [[p, q], [y, x]];
  return bilinearShare(row, u, factor, small.H) * bilinearShare(column, v, factor, small.W);
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
