// The parts of an explanation of one number. Each explanation recomputes the number in float64 from the page's float32
// numbers.

/** @import { LoadedNode, Tensor } from "walk/store.js" */

/**
 * @typedef {object} Explanation
 * @property {string} name
 * @property {number} shown                   the network's number
 * @property {number | null} computed         the recomputed number; null if the page cannot compute it
 * @property {number} scale                   the largest number in the calculation
 * @property {boolean} complete               whether the page contains all numbers that are needed
 * @property {string} [note]
 * @property {Sum} [sum]                      one of sum, lines and softmax shows how the number was computed
 * @property {Line[]} [lines]
 * @property {Softmax} [softmax]
 * @property {number} [label]                 the pixel's true class
 */

/** @typedef {[tensor: Tensor, y: number, x: number, c: number]} Source  a number that was read */

/**
 * A line of a calculation. The last line contains the result.
 *
 * @typedef {[name: string, value: number | string, remark: string, source?: Source | null]} Line
 */

/**
 * A sum of products.
 *
 * @typedef {object} Sum
 * @property {Term[]} terms
 * @property {{ name: string, value: number } | null} start   the first summand, for example a bias
 * @property {number} outside                 how many further terms are outside the picture and count as 0
 * @property {Tensor} read
 * @property {string} letter                  the name of the array that was read
 * @property {boolean} rotated                whether the kernel is rotated by 180°
 */

/**
 * @typedef {object} Term
 * @property {number} i                       row in the kernel
 * @property {number} j                       column in the kernel
 * @property {number} channel                 the channel of the number that was read
 * @property {string} name                    the name of the number that was read
 * @property {Source} source
 * @property {number} value                   the number that was read
 * @property {number} weight                  NaN if the page does not contain it
 * @property {string} weightName
 * @property {[i: number, j: number, large: number, small: number] | null} weightAt   its place in the layer's weight
 * @property {number} product
 */

/**
 * @typedef {object} Softmax
 * @property {number[]} scores                the logits of all classes
 * @property {number} largest                 the largest score
 * @property {number[]} exps                  exp(score - largest)
 * @property {number} total                   the sum of exps
 * @property {number[]} probs
 * @property {number} best                    the class with the largest score; -1 if none is a number
 * @property {(Source | null)[]} sources      the sources of the scores
 */

/**
 * For ops that are not sums of products: how one number is computed, and where its gradient goes. The position in `out`
 * is (y, x, c), or (u, v, c) where `out` is the smaller side.
 *
 * @typedef {object} Formula
 * @property {(node: LoadedNode, y: number, x: number, c: number) => Line[]} forward    how a number of out was computed
 * @property {(node: LoadedNode, y: number, x: number, c: number) => Line[]} backward   how a number of dx was computed
 * @property {(node: LoadedNode, y: number, x: number, c: number, g: number) => Share[]} shares
 *   where the gradient g of a number of out goes
 * @property {(node: LoadedNode, y: number, x: number, c: number) => number} [largestSummand]
 *   the largest summand of forward, if it is in neither the first nor the last line
 */

/**
 * A part of a gradient. `at`: the place in dx that receives it.
 *
 * @typedef {[to: string, gradient: number, remark: string, at?: [y: number, x: number, c: number]]} Share
 */

/**
 * Make an explanation of lines. scale: the largest number, if it is in neither the first nor the last line.
 *
 * @param {Tensor} tensor
 * @param {string} name
 * @param {[y: number, x: number, c: number]} at
 * @param {Line[]} lines
 * @param {number} [scale]
 * @returns {Explanation}
 */
export function explainByLines(tensor, name, at, lines, scale) {
  const shown = tensor.value(...at), computed = Number(lines[lines.length - 1][1]);
  const sizes = [lines[0][1], computed, shown].map((value) => Math.abs(Number(value)) || 0);
  return { name, shown, computed, scale: scale || Math.max(...sizes), complete: true, lines };
}

/**
 * Return the numbers that an explanation reads.
 *
 * @param {Explanation} explanation
 * @returns {Source[]}
 */
export function sourcesOf({ sum, lines = [], softmax }) {
  const sources = [...(sum?.terms ?? []).map((term) => term.source), ...lines.map((line) => line[3]),
    ...(softmax?.sources ?? [])];
  return sources.filter((source) => source !== null && source !== undefined);
}
