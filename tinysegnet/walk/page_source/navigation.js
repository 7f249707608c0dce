// Navigation between steps and pixels: keys, links, the browser's history and address.

import { isDark } from "report/dom.js";
import { channelFor, chooseChannel, familyOf } from "walk/channels.js";
import { explainedPixel, isComputable } from "walk/computable.js";
import { redraw, state } from "walk/state.js";
import { resultOf, steps, twinOf } from "walk/steps.js";
import { livingPixel, nodeOf } from "walk/store.js";

/** @import { Stop } from "walk/state.js" */
/** @import { Tensor } from "walk/store.js" */

/**
 * The browser's history entry of a step: whether the reader chose the channel (chosen), whether the step was opened at
 * the number's derivation (sum), and how far the page was scrolled when the reader left it (scroll).
 *
 * @typedef {{ place: [number, number], channel: number, chosen: boolean, sum?: boolean, scroll?: number,
 *   settled?: boolean, trail?: Stop[] }} Kept
 */

/** Whether the page is in a notebook's frame, where address and history belong to the notebook. */
export const embedded = location.protocol === "about:";

let interrupted = () => {};

/**
 * Register a function that is called before the reader goes to another step. The film itself does not call it.
 *
 * @param {() => void} action
 */
export function beforeSteps(action) {
  interrupted = action;
}

/** Return the index of the step in the browser's address. */
export function stepOfAddress() {
  const id = decodeURIComponent(location.hash.slice(1));
  return Math.max(0, steps.findIndex((step) => step.id === id));
}

/**
 * Go to a step. push: add it to the browser's history. sum: scroll to the derivation, not to the top. trail: the path
 * of links that leads there.
 *
 * @param {number} index
 * @param {{ push?: boolean, sum?: boolean, trail?: Stop[], film?: boolean }} [how]
 */
export async function go(index, { push = false, sum = false, trail = [], film = false } = {}) {
  if (!film) interrupted();
  if (push) keepScroll();
  state.trail = trail;
  enter(Math.max(0, Math.min(steps.length - 1, index)));
  if (push && !embedded) history.pushState({ sum }, "", addressOf(state.step));
  await redraw();
  if (sum) showDerivation();
  else scrollTo({ top: 0 });
}

/**
 * Restore a history entry after Back, Forward, a reload or an edited address.
 *
 * @param {Kept | null} kept
 */
export async function restore(kept) {
  const index = stepOfAddress();
  if (embedded || !kept?.place) return go(index);
  enter(index);
  Object.assign(state, { place: kept.place, channel: kept.channel, trail: kept.trail ?? [] });
  state.settled = kept.settled ?? false;
  if (kept.chosen) state.chosen[familyOf(steps[index])] = kept.channel;
  await redraw();
  if (kept.sum && kept.scroll === undefined) showDerivation();
  else scrollTo({ top: kept.scroll ?? 0 });
}

/** @param {number} index */
function enter(index) {
  Object.assign(state, { step: index, channel: channelFor(steps[index]) });
  state.allRows = state.clicked = false;
}

/** @param {number} index */
const addressOf = (index) => `#${steps[index].id}`;

/** Store the current view in the browser's history. */
export function keepState() {
  if (embedded) return;
  const { place, channel, trail, settled } = state, { sum } = history.state ?? {};
  const chosen = familyOf(steps[state.step]) in state.chosen;
  try {
    history.replaceState({ place, channel, chosen, sum, trail, settled }, "", addressOf(state.step));
  } catch { /* browsers limit the rate of calls, which a moving slider exceeds */ }
}

function keepScroll() {
  if (!embedded) history.replaceState({ ...history.state, scroll: scrollY }, "");
}

/** Scroll to the derivation of the chosen number. */
export function showDerivation() {
  const section = /** @type {HTMLElement | null} */ (document.querySelector(".derivation"));
  section?.scrollIntoView({ block: "start" });
  section?.focus({ preventScroll: true });
}

/** Go to the same node's step in the other direction. */
export function goToTwin() {
  const twin = twinOf(steps[state.step]);
  if (twin) go(twin.index, { push: true });
}

/**
 * Move to a neighbour among the pixels that can be explained.
 *
 * @param {number} down
 * @param {number} right
 */
async function movePixel(down, right) {
  const result = await currentResult(), { grid, H, W } = result, [y, x] = chosenPixel(result);
  const [rows, columns] = isComputable(result.index) ? [H, W].map((n) => [...Array(n).keys()]) : grid;
  state.settled = true;
  state.place = [(neighbour(rows, y, down) + 0.5) / H, (neighbour(columns, x, right) + 0.5) / W];
  state.clicked = false;
  return redraw();
}

/**
 * @param {number[]} axis
 * @param {number} at
 * @param {number} by
 */
const neighbour = (axis, at, by) => axis[Math.max(0, Math.min(axis.length - 1, axis.indexOf(at) + by))];

/** @param {number} by */
async function moveChannel(by) {
  const { shown } = await currentResult();
  return chooseChannel((Math.min(state.channel, shown - 1) + by + shown) % shown);
}

/**
 * Return the pixel of a step's result that the page explains.
 *
 * @param {Tensor} result
 */
export const chosenPixel = (result) => (state.settled ? explainedPixel(result, state.place)
  : livingPixel(result, state.place, Math.min(state.channel, result.shown - 1)));

async function currentResult() {
  const step = steps[state.step];
  return resultOf(step, await nodeOf(step.node, step.way));
}

export function changeTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  redraw();
}

/** @type {Record<string, () => void>} */
const KEYS = {
  ArrowLeft: () => go(state.step - 1),
  ArrowRight: () => go(state.step + 1),
  Home: () => go(0),
  End: () => go(steps.length - 1),
  b: goToTwin,
  c: () => moveChannel(1),
  t: changeTheme,
};

/** @type {Record<string, () => void>} */
const SHIFTED = {
  ArrowLeft: () => movePixel(0, -1),
  ArrowRight: () => movePixel(0, 1),
  ArrowUp: () => movePixel(-1, 0),
  ArrowDown: () => movePixel(1, 0),
  C: () => moveChannel(-1),
};

/**
 * @param {KeyboardEvent} event
 * @param {Record<string, () => void>} more   further keys
 */
export function onKey(event, more) {
  const action = (event.shiftKey ? SHIFTED : { ...KEYS, ...more })[event.key];
  const { target } = event, control = target instanceof HTMLSelectElement || target instanceof HTMLInputElement;
  if (!action || event.ctrlKey || event.metaKey || event.altKey || (control && target.id !== "slider")) return;
  event.preventDefault(); // otherwise a slider in focus would move one more step
  action();
}
