// What an explanation of one number is made of. Each computes the number again, in float64, from the float32 numbers of
// the page.

/** @import { LoadedNode, Tensor } from "walk/store.js" */

/**
 * @typedef {object} Explanation
 * @property {string} name
 * @property {number} shown                   the number as the network had it
 * @property {number | null} computed         what the explanation arrives at; null: the page does not compute it
 * @property {number} scale                   the largest number in it
 * @property {boolean} complete               the page has everything that it takes
 * @property {string} [note]
 * @property {Sum} [sum]                      one of these three says how the number was computed
 * @property {Line[]} [lines]
 * @property {Softmax} [softmax]
 * @property {number} [label]                 of the pixel
 */

/** @typedef {[tensor: Tensor, y: number, x: number, c: number]} Source  a number that was read */

/**
 * A line of a calculation. The last line has the result.
 *
 * @typedef {[name: string, value: number | string, remark: string, source?: Source | null]} Line
 */

/**
 * A sum of products.
 *
 * @typedef {object} Sum
 * @property {Term[]} terms
 * @property {{ name: string, value: number } | null} start   what the sum begins with, such as a bias
 * @property {number} outside                 how many further terms lie outside of the picture and count as 0
 * @property {Tensor} read
 * @property {string} letter                  of the array that was read
 * @property {boolean} rotated                the kernel is rotated by 180°
 */

/**
 * @typedef {object} Term
 * @property {number} i                       row in the kernel
 * @property {number} j                       column in the kernel
 * @property {number} channel                 of the number that was read
 * @property {string} name                    of the number that was read
 * @property {Source} source
 * @property {number} value                   the number that was read
 * @property {number} weight                  NaN where the page does not have it
 * @property {string} weightName
 * @property {number} product
 */

/**
 * @typedef {object} Softmax
 * @property {number[]} scores                logits, of all classes
 * @property {number} largest                 of the scores
 * @property {number[]} exps                  exp(score - largest)
 * @property {number} total                   of these
 * @property {number[]} probs
 * @property {number} best                    the class with the largest score; -1 if none is a number
 * @property {(Source | null)[]} sources      of the scores
 */

/**
 * How one number of an op is computed that is no sum of products, and where its gradient goes. One number of `out` is
 * at (y, x, c), or at (u, v, c) where `out` is the smaller side.
 *
 * @typedef {object} Formula
 * @property {(node: LoadedNode, y: number, x: number, c: number) => Line[]} forward    how a number of out was computed
 * @property {(node: LoadedNode, y: number, x: number, c: number) => Line[]} backward   how a number of dx was computed
 * @property {(node: LoadedNode, y: number, x: number, c: number, g: number) => Share[]} shares
 *   where the gradient g of a number of out goes
 * @property {(node: LoadedNode, y: number, x: number, c: number) => number} [largestSummand]
 *   of forward, if neither its first nor its last line has it
 */

/** @typedef {[to: string, gradient: number, remark: string]} Share */

/**
 * An explanation by lines. scale: if the first and the last line do not have the largest number.
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
 * The numbers that an explanation reads.
 *
 * @param {Explanation} explanation
 * @returns {Source[]}
 */
export function sourcesOf({ sum, lines = [], softmax }) {
  const sources = [...(sum?.terms ?? []).map((term) => term.source), ...lines.map((line) => line[3]),
    ...(softmax?.sources ?? [])];
  return sources.filter((source) => source !== null && source !== undefined);
}
