// The view of every step but the first: the arrays that it reads and computes, and how one number was computed.

import { poolingArrows } from "walk/arrows.js";
import { chooseChannel, chooseReading, classFor, readingFor } from "walk/channels.js";
import { legend, swatch } from "walk/classes.js";
import { explainsAllPixels } from "walk/computable.js";
import { derivation } from "walk/derivation.js";
import { el, toggle } from "walk/elements.js";
import { explain } from "walk/explain.js";
import { gradient } from "walk/gradient.js";
import { formula, headline, sourceCode } from "walk/headline.js";
import { jumps } from "walk/jumps.js";
import { softmaxAt } from "walk/loss.js";
import { chosenPixel } from "walk/navigation.js";
import { smallMap } from "walk/network_map.js";
import { format } from "walk/numbers.js";
import { clickable, frame, panel, readout } from "walk/panel.js";
import { data } from "walk/payload.js";
import { saveButtons } from "walk/picture_file.js";
import { state } from "walk/state.js";
import { resultOf, steps } from "walk/steps.js";
import { pixelAt } from "walk/store.js";
import { mixesChannels } from "walk/sums.js";
import { whatIf } from "walk/what_if_view.js";
import { largerPixels, smallerPixels } from "walk/windows.js";

/** @import { Box } from "walk/panel.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode, Tensor } from "walk/store.js" */

/** @typedef {[letter: string, from: string, tensor: Tensor]} NamedArray  from: its origin or destination */

/**
 * @param {Step} step
 * @param {LoadedNode} node
 */
export function stepView(step, node) {
  const result = resultOf(step, node);
  let [y, x] = state.settled ? chosenPixel(result) : pixelAt(result, state.place);
  state.channel = classFor(step, node, y, x) ?? state.channel;
  [y, x] = chosenPixel(result);
  state.shown = [(y + 0.5) / result.H, (x + 0.5) / result.W];
  const channel = Math.min(state.channel, result.shown - 1);
  result.value(y, x, channel); // numbers first: the rest is slow to repeat when a node was missing (whenLoaded)
  if (step.way === "forward") node.dresult?.value(y, x, channel);
  const explanation = explain(step, node, y, x, channel);
  if (explanation.sum) state.reading = readingFor(step, explanation.sum);
  const shares = gradient(step, node, explanation, y, x, channel);
  const named = result.names && result.C > 1 ? ` (${result.names[channel]})` : "";
  const dots = result.grid.map((axis) => axis.length).join(" × ");
  const which = state.commonScale ? "the largest 99.5th percentile of any channel" : "each channel's 99.5th percentile";
  const how = `Orange is above zero, and blue is below. Colours saturate at ${which}. `;
  const click = explainsAllPixels(result.index) ? "A click on a pixel shows how its number was computed."
    : `The ${dots} dots mark pixels whose numbers can be explained. A click selects the nearest dot.`;
  return [
    el("div", { class: "sight" },
      el("div", { class: "look" },
        el("div", { class: "top" }, headline(step, node), smallMap()),
        jumps(step, [y, x]),
        step.way === "answer" ? predicted(node, y, x) : null,
        el("div", { class: "panels" }, panels(step, node, y, x)),
        el("p", { class: "choices" },
          toggle("one scale for all channels", state.commonScale, () => { state.commonScale = true; }),
          toggle("one scale per channel", !state.commonScale, () => { state.commonScale = false; })),
        el("p", { class: "quiet" }, how, el("span", { class: "screen-only" }, click)),
        arrows(step, node, explanation.name, [y, x, channel]),
        saveButtons()),
      readout(explanation.name, format(explanation.shown) + named, result, [y, x]),
      el("div", { class: "sum" },
        derivation(node, explanation, result, [y, x, channel], whatIf(step, node, explanation, [y, x, channel])),
        shares)),
    formula(step),
    sourceCode(step),
  ];
}

/**
 * Show the prediction as a picture, and the class that is predicted at the pixel.
 *
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 */
function predicted(node, y, x) {
  const picture = el("img", { src: data.pictures.prediction, alt: "" }), { best, probs } = softmaxAt(node.x, y, x);
  const found = data.classes[best]; // none if the logits are NaN
  const line = el("p", { class: "predicted" }, "predicted here: ", found ? swatch(found.colour) : null,
    el("b", {}, found ? found.name : "nothing, since the logits are NaN"),
    found ? `, ${probs[best].toFixed(2)}` : "");
  const label = "the prediction. Click a pixel to see its probabilities";
  return el("section", { class: "answered" }, clickable(picture, label, node.out, [y, x, 1, 1]),
    el("div", {}, line, legend(false)));
}

/**
 * Return the arrays that a step reads, followed by the array that it computes.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @returns {NamedArray[]}
 */
function arraysOf(step, node) {
  const { index, kind, partner } = node, layers = steps.filter((s) => s.way === "forward").length;
  const before = index > 0 ? data.nodes[index - 1].name : "the picture";
  const behind = index + 1 < layers ? data.nodes[index + 1].name : "the loss";
  if (step.way === "answer") return [["logits", `from ${before}`, node.x], ["p", "probabilities", node.out]];
  if (step.way === "loss") return [["p", "probabilities", node.x], ["loss", "contribution of each pixel", node.out]];
  if (step.way === "loss backward") {
    return [["p", "probabilities", node.x], ["dlogits", `to ${data.nodes[index - 2].name}`, node.dx]];
  }
  if (step.way === "backward") {
    /** @type {NamedArray[]} */
    const kept = kind === "skip_source" ? [["dkept", `from ${partner}`, node.dother]] : [];
    const to = index > 0 ? `to ${before}` : "of the picture";
    return [["dout", `from ${behind}`, node.dout], ...kept, ["dx", to, node.dx]];
  }
  /** @type {NamedArray} */
  const x = ["x", index > 0 ? `from ${before}` : before, node.x];
  if (kind === "skip_add") return [x, ["kept", `from ${partner}`, node.other], ["out", "x + kept", node.out]];
  if (kind === "skip_source") return [x, ["kept", `to ${partner}`, node.other]];
  return [x, ["out", "output of this layer", node.out]];
}

/**
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 */
function panels(step, node, y, x) {
  const arrays = arraysOf(step, node), last = arrays.length - 1;
  /** @type {import("walk/panel.js").Look} */
  const look = (pixel) => made.slice(0, last).forEach((element, k) => {
    element.querySelector(".near")?.remove();
    const box = pixel && boxOf(step, node, arrays[k][2], ...pixel);
    if (box) element.querySelector(".picture svg")?.append(frame(box, "mark near"));
  });
  const made = arrays.map(([letter, from, tensor], k) => {
    // the result, and the gradient that a skip source passes on unchanged, belong to the chosen pixel and channel
    const own = k === last || (node.kind === "skip_source" && letter === "dout");
    const sameChannel = own || !mixesChannels(node), choose = sameChannel ? chooseChannel : chooseReading;
    const channel = Math.min(sameChannel ? state.channel : state.reading, tensor.shown - 1);
    const box = own ? /** @type {Box} */ ([y, x, 1, 1]) : boxOf(step, node, tensor, y, x);
    return panel({ letter, from, tensor, channel, choose, box, look: k === last ? look : undefined });
  });
  return made;
}

/**
 * Return the pixels of `tensor` from which pixel (y, x) of the result was computed.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {Tensor} tensor
 * @param {number} y
 * @param {number} x
 * @returns {Box}
 */
function boxOf(step, node, tensor, y, x) {
  if (!node.windows) return [y, x, 1, 1];
  const resultIsLarge = node.windows.large === (step.way === "backward" ? "in" : "out");
  const pixels = (resultIsLarge ? smallerPixels : largerPixels)(node.windows, y, x, tensor);
  const rows = pixels.map((pixel) => pixel[2]), columns = pixels.map((pixel) => pixel[3]);
  const top = Math.min(...rows), left = Math.min(...columns);
  return [top, left, Math.max(...rows) - top + 1, Math.max(...columns) - left + 1];
}

/**
 * Draw arrows between windows and their maxima, for pooling and unpooling in both directions.
 *
 * @param {Step} step
 * @param {LoadedNode} node
 * @param {string} own   the name of the number
 * @param {[y: number, x: number, channel: number]} at
 */
function arrows(step, node, own, [y, x, channel]) {
  if (!node.position || node.settings.fixed) return null;
  const backward = step.way === "backward", pools = node.windows.large === "in", upwards = pools === backward;
  const [read, made] = backward ? [node.dout, node.dx] : [node.x, node.out];
  const [small, large] = upwards ? [read, made] : [made, read];
  const [u, v] = upwards ? smallerPixels(node.windows, y, x, small)[0].slice(2) : [y, x];
  const [[readLetter], [madeLetter]] = arraysOf(step, node);
  return poolingArrows({ node, small, large, upwards, channel, letters: [readLetter, madeLetter], own }, u, v);
}
