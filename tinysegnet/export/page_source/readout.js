// What the last pass says in words: its time, and the class of one pixel.

import { byId, el } from "report/dom.js";
import { nameOf, percent } from "live/legend.js";
import { data } from "live/payload.js";
import { probabilitiesAt } from "live/resample.js";

/** @import { Done } from "live/passes.js" */
/** @import { Place } from "live/pointer.js" */

const SPAN = 2000; // ms over which the camera's pictures per second are counted
const html = (/** @type {string} */ id) => byId(id, HTMLElement);
/** @type {number[]} when the last passes ended, in ms */
let ends = [];

/**
 * Show the time of a pass. For the camera, the pictures per second are counted; else they follow from the time.
 *
 * @param {Done} done
 * @param {boolean} live
 */
export function showTimes({ time, networkTime }, live) {
  const now = performance.now(), written = (/** @type {number} */ n) => n.toFixed(n < 10 ? 1 : 0);
  ends = live ? [...ends.filter((end) => now - end < SPAN), now] : [];
  const rate = ends.length > 2 ? (1000 * (ends.length - 1)) / (now - ends[0]) : 1000 / time;
  const seconds = time >= 10_000;
  html("time").textContent = written(seconds ? time / 1000 : time);
  html("unit").textContent = seconds ? "s" : "ms";
  html("rate").textContent = written(rate);
  html("times").title = `the network alone: ${networkTime.toFixed(1)} ms`;
}

/**
 * Name the class at a place of the picture, and its probability.
 *
 * @param {Done | null} result
 * @param {Place | null} place
 */
export function nameClass(result, place) {
  const readout = html("readout"), cross = html("cross");
  cross.hidden = !place;
  if (!result || !place) {
    readout.replaceChildren(el("span", { class: "quiet" }, "Point at a pixel to see its class."));
    return;
  }
  const [H, W] = result.size;
  const y = Math.min(H - 1, Math.floor(place[0] * H)), x = Math.min(W - 1, Math.floor(place[1] * W));
  const down = (y + 0.5) / H, right = (x + 0.5) / W, label = result.labels[y * W + x];
  const shares = probabilitiesAt(result.logits, result.shape, [down, right]);
  const order = shares.map((_, k) => k).filter((k) => k !== label).sort((a, b) => shares[b] - shares[a]);
  cross.style.cssText = `top: ${100 * down}%; left: ${100 * right}%`;
  readout.replaceChildren(
    el("span", { class: "swatch", style: `background: rgb(${data.network.classes[label].color.join(" ")})` }),
    el("b", {}, nameOf(label)), percent(shares[label]),
    el("span", { class: "quiet" }, order.length ? `then ${nameOf(order[0])} ${percent(shares[order[0]])}` : ""));
}
