// The path from number to number that the reader has followed, with a way back to each of them.

import { familyOf } from "walk/channels.js";
import { readBy } from "walk/computable.js";
import { el } from "walk/elements.js";
import { go } from "walk/navigation.js";
import { data } from "walk/payload.js";
import { state } from "walk/state.js";
import { resultIndex, steps, wayClass } from "walk/steps.js";

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

/**
 * Return the place of a number in words, such as "encoder1.conv1, channel 3, row 4, column 7".
 *
 * @param {Stop} stop
 */
export function placeName({ step: index, place, channel }) {
  const step = steps[index], { shape: [H, W, C], names } = data.tensors[resultIndex(step)];
  const way = wayClass(step) === "backward" ? `gradient of ${step.name}` : step.layer ? step.name : step.shown;
  const which = C === 1 ? [] : [names ? names[channel] : `channel ${channel}`];
  return [way, ...which, `row ${Math.floor(place[0] * H)}`, `column ${Math.floor(place[1] * W)}`].join(", ");
}

/** Show the path, if there is one. */
export function breadcrumb() {
  if (!state.trail.length) return null;
  const links = state.trail.map((stop, k) => {
    const { name, step, place, channel } = stop, onclick = () => show(state.trail.slice(0, k), step, place, channel);
    return el("li", {}, el("button", { type: "button", onclick, title: name }, placeName(stop)));
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
