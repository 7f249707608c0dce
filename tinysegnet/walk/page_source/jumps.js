// Buttons that lead to the pixels with a wrong class and to the largest part of the loss.

import { isComputable, needNode } from "walk/computable.js";
import { el } from "walk/elements.js";
import { go } from "walk/navigation.js";
import { data } from "walk/payload.js";
import { redraw, state } from "walk/state.js";
import { steps } from "walk/steps.js";
import { nodeOf } from "walk/store.js";

/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode } from "walk/store.js" */

/** @typedef {{ y: number, x: number, loss: number }} Pixel */

/** @type {Pixel[]} */
let sorted = [];
const NO_LABEL = 255, APART = 16; // wrong pixels differ by at least this part of the picture's sides

/**
 * Show the buttons at the steps of prediction and loss, if there are labels.
 *
 * @param {Step} step
 * @param {[y: number, x: number]} pixel   that is shown
 */
export function jumps(step, [y, x]) {
  if (!data.labelled || !(step.way === "answer" || step.way.startsWith("loss"))) return null;
  const node = needNode(data.nodes.length - 1), pixels = explainedPixels(node), wrong = pixels.filter(isWrong(node));
  const total = node.labels.reduce((count, label, k) => count + Number(isWrongLabel(label, node.predicted[k])), 0);
  const separate = apart(wrong, node), here = separate.findIndex((pixel) => pixel.y === y && pixel.x === x);
  const distance = (/** @type {Pixel} */ pixel) => (pixel.y - y) ** 2 + (pixel.x - x) ** 2;
  const nearest = wrong.length ? wrong.reduce((best, each) => (distance(each) < distance(best) ? each : best)) : null;
  const button = (/** @type {string} */ text, /** @type {Pixel | null} */ to) => {
    const onclick = () => {
      choose(node, to);
      redraw();
    };
    return el("button", { type: "button", class: "choice", onclick }, text);
  };
  const counted = total === 1 ? "1 pixel is wrong" : `${total} pixels are wrong`;
  return el("p", { class: "choices jumps" }, el("span", {}, "Go to:"),
    button("largest loss", pixels[0] ?? null),
    nearest ? [button("nearest wrong pixel", nearest),
      button("next wrong pixel", separate[(here + 1) % separate.length])] : null,
    el("small", {}, total && !wrong.length ? `${counted}, none of them at a dot.` : `${counted}.`));
}

/**
 * @param {LoadedNode} node
 * @param {Pixel | null} pixel
 */
function choose({ out: { H, W } }, pixel) {
  if (pixel) Object.assign(state, { place: [(pixel.y + 0.5) / H, (pixel.x + 0.5) / W], settled: true, clicked: false });
}

/** Go to the loss, at the pixel with the largest part of it. */
export async function showLargestLoss() {
  const step = steps.findIndex(({ way }) => way === "loss"), node = await nodeOf(steps[step].node, "loss");
  choose(node, explainedPixels(node)[0] ?? null);
  return go(step, { push: true });
}

/**
 * @param {number} label
 * @param {number} predicted
 */
const isWrongLabel = (label, predicted) => label !== NO_LABEL && label !== predicted;

/** @type {(node: LoadedNode) => (pixel: Pixel) => boolean} */
const isWrong = ({ labels, predicted, out }) => ({ y, x }) =>
  isWrongLabel(labels[y * out.W + x], predicted[y * out.W + x]);

/**
 * Return the pixels whose loss the page can explain, from the largest loss to the smallest.
 *
 * @param {LoadedNode} node
 */
function explainedPixels({ out }) {
  if (sorted.length) return sorted;
  const all = isComputable(out.index), [rows, columns] = out.grid;
  const ys = all ? [...Array(out.H).keys()] : rows, xs = all ? [...Array(out.W).keys()] : columns;
  const pixels = ys.flatMap((y) => xs.map((x) => ({ y, x, loss: out.value(y, x, 0) || 0 })));
  return sorted = pixels.sort((a, b) => b.loss - a.loss);
}

/**
 * Leave out pixels near others with a larger loss, so that each step leads to another part of the picture.
 *
 * @param {Pixel[]} pixels
 * @param {LoadedNode} node
 */
function apart(pixels, { out: { H, W } }) {
  /** @type {Pixel[]} */
  const kept = [];
  for (const each of pixels) {
    const near = kept.some(({ y, x }) => Math.abs(y - each.y) < H / APART && Math.abs(x - each.x) < W / APART);
    if (!near) kept.push(each);
  }
  return kept;
}
