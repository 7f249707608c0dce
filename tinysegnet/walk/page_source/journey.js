// One pixel's journey: its numbers in every layer from the picture to the loss, and their gradients on the way back.

import { captionOf } from "walk/captions.js";
import { channelFor, classFor, familyOf } from "walk/channels.js";
import { paint } from "walk/colours.js";
import { el } from "walk/elements.js";
import { go } from "walk/navigation.js";
import { short } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { state } from "walk/state.js";
import { makerOf, resultIndex, resultOf, steps, wayClass } from "walk/steps.js";
import { nodeOf, pixelAt, tensorOf } from "walk/store.js";

/** @import { Step } from "walk/steps.js" */

/**
 * Return the channel in which the journey shows a step: the one whose number at the pixel is largest at the end of the
 * stage. All steps of the stage with as many channels share it, and so do their gradients.
 *
 * @param {Step} step
 * @param {[number, number]} place
 */
async function channelAt(step, place) {
  const owner = step.way === "backward" ? makerOf(data.nodes[step.node].x, step) ?? step : step;
  const family = familyOf(owner), forward = steps.filter(({ way }) => way === "forward");
  const last = forward.findLast((s) => familyOf(s) === family) ?? owner, tensor = await tensorOf(resultIndex(last));
  if (tensor.names) return channelFor(step);
  const [y, x] = pixelAt(tensor, place), sizes = Array.from({ length: tensor.shown }, (_, c) =>
    Math.abs(tensor.value(y, x, c)) || 0);
  return Math.max(...sizes) > 0 ? sizes.indexOf(Math.max(...sizes)) : tensor.strongest;
}

/**
 * Go to a step of the journey of the pixel that is shown.
 *
 * @param {number} index
 * @param {{ push?: boolean, film?: boolean }} how
 */
export async function goOnJourney(index, how) {
  const step = steps[index], names = data.tensors[resultIndex(step)].names;
  if (!state.settled && steps[state.step].way !== "start") state.place = state.shown;
  state.settled = true;
  if (!names) state.chosen[familyOf(step)] = await channelAt(step, state.place);
  return go(index, how);
}

/**
 * Show the journey of the picture's chosen pixel, step by step, as cards that lead to the steps.
 *
 * @param {number} y
 * @param {number} x
 */
export function journey(y, x) {
  const { place } = state;
  const forward = steps.filter((step) => wayClass(step) !== "backward");
  const backward = steps.filter((step) => wayClass(step) === "backward");
  const part = (/** @type {string} */ title, /** @type {Step[]} */ some) => {
    const list = el("ol", {}, some.map((step) => stop(step, place)));
    return some.length ? [el("h3", {}, title), list] : [];
  };
  return el("section", { class: "journey", tabindex: -1 },
    el("h2", {}, `The journey of the pixel in row ${y}, column ${x}`),
    el("p", { class: "quiet" }, "Each card shows a map, in the channel whose number is largest at this pixel at the " +
      "end of the stage. The ring marks the pixel. A card opens its step."),
    part(data.labelled ? "From the picture to the loss" : "From the picture to the prediction", forward),
    part("The gradient's way back", backward));
}

/**
 * Return the card of a step. Its map and its numbers appear when they are unpacked.
 *
 * @param {Step} step
 * @param {[number, number]} place
 */
function stop(step, place) {
  const canvas = el("canvas", {}), ring = el("i", { class: "ring" }), number = el("b", {}), text = el("span", {});
  const name = { start: "picture", answer: "prediction" }[/** @type {string} */ (step.way)] ?? step.shown;
  const onclick = () => goOnJourney(step.index, { push: true });
  const card = el("button", { type: "button", class: wayClass(step), "data-step": step.id, onclick },
    el("small", {}, name), el("span", { class: "view" }, canvas, ring), number, text);
  const fill = async () => {
    const node = await nodeOf(step.node, step.way), result = resultOf(step, node), [y, x] = pixelAt(result, place);
    const channel = Math.min(classFor(step, node, y, x) ?? await channelAt(step, place), result.shown - 1);
    paint(canvas, result, channel);
    ring.style.cssText = `left: ${(100 * (x + 0.5)) / result.W}%; top: ${(100 * (y + 0.5)) / result.H}%`;
    number.textContent = short(result.value(y, x, channel));
    text.textContent = captionOf(step, node, y, x, channel);
  };
  fill();
  return el("li", {}, card);
}
