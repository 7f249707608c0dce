// The path from number to number that the reader has followed, with a way back to each of them.

import { familyOf } from "walk/channels.js";
import { readBy } from "walk/computable.js";
import { el } from "walk/elements.js";
import { go } from "walk/navigation.js";
import { state } from "walk/state.js";
import { resultIndex, steps } from "walk/steps.js";

/** @import { Stop } from "walk/state.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { Tensor } from "walk/store.js" */

/**
 * Go to the explanation of another number, and add the present one to the path.
 *
 * @param {string} name                    of the present number
 * @param {Step} step                      that computed the other number
 * @param {[number, number]} place         of the other number
 * @param {number} channel
 */
export function follow(name, step, place, channel) {
  const trail = [...state.trail, { name, step: state.step, place: state.shown, channel: state.channel }];
  return show(trail, step.index, place, channel);
}

/**
 * @param {Stop[]} trail
 * @param {number} index
 * @param {[number, number]} place
 * @param {number} channel
 */
function show(trail, index, place, channel) {
  state.chosen[familyOf(steps[index])] = channel;
  Object.assign(state, { place, settled: true });
  return go(index, { push: true, sum: true, trail });
}

/** Show the path, if there is one. */
export function breadcrumb() {
  if (!state.trail.length) return null;
  const links = state.trail.map(({ name, step, place, channel }, k) => {
    const onclick = () => show(state.trail.slice(0, k), step, place, channel);
    return el("li", {}, el("button", { type: "button", onclick, title: steps[step].shown }, name));
  });
  return el("nav", { class: "trail", "aria-label": "numbers that you came from" }, el("ol", {}, links));
}

/**
 * Return buttons that lead to the later steps that read the present number, if there are any.
 *
 * @param {string} name
 * @param {Tensor} result
 * @param {[y: number, x: number, c: number]} at
 */
export function usesOf(name, result, [y, x, c]) {
  const step = steps[state.step], own = resultIndex(step);
  const users = steps.slice(state.step + 1).filter((s) => readBy(s).includes(own));
  if (!users.length) return null;
  const buttons = users.map((user, k) => {
    const onclick = () => {
      state.readings[own] = c;
      follow(name, user, [(y + 0.5) / result.H, (x + 0.5) / result.W], c);
    };
    const backward = user.way === "backward" && step.way !== "backward" ? ", backward" : "";
    return [k ? "; " : "", el("button", { type: "button", class: "follow", onclick }, user.shown + backward)];
  });
  return el("p", { class: "uses" }, "Read by ", buttons);
}
