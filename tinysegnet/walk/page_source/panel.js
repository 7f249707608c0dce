// An array as a panel: a large picture to click on, all channels small, statistics.

import { colourOf, css, paint, scaleOf } from "walk/colours.js";
import { el, svg, toggle } from "walk/elements.js";
import { showDerivation } from "walk/navigation.js";
import { format, short, times } from "walk/numbers.js";
import { redraw, state } from "walk/state.js";

/** @import { Statistics } from "walk/payload.js" */
/** @import { Tensor } from "walk/store.js" */

/** @typedef {[y: number, x: number, height: number, width: number]} Box  of pixels */

const FEW_CHANNELS = 16; // before all are asked for

/**
 * @param {Tensor} tensor
 * @param {number} channel
 */
const channelName = (tensor, channel) => (tensor.names ? tensor.names[channel] : `channel ${channel}`);

/**
 * letter: x, out, dout, ... from: where it comes from or goes to. choose: called with a channel. box: what is framed.
 *
 * @param {{ letter: string, from: string, tensor: Tensor, channel: number, choose: (channel: number) => void, box: Box
 *   }} what
 */
export function panel({ letter, from, tensor, channel, choose, box }) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  paint(canvas, tensor, channel);
  const label = `${letter}, ${channelName(tensor, channel)}. Click a pixel to see the sum behind it`;
  return el("section", { class: "panel", "data-letter": letter },
    el("h3", {}, el("b", {}, letter), ` ${times(tensor.shape)}`, el("small", {}, from)),
    clickable(canvas, label, tensor, box),
    scaleBar(tensor, channel),
    smallPictures(tensor, channel, choose),
    statistics(tensor.statistics));
}

/**
 * A picture to click on, with a dot at each pixel that can be explained and a frame around a box.
 *
 * @param {HTMLElement} picture
 * @param {string} label
 * @param {Tensor} tensor
 * @param {Box} box
 */
export function clickable(picture, label, { H, W, grid: [rows, columns] }, [y, x, height, width]) {
  const above = svg("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none" }), r = Math.min(0.35, W / 250);
  for (const row of rows) {
    for (const column of columns) above.append(svg("circle", { cx: column + 0.5, cy: row + 0.5, r, class: "dot" }));
  }
  above.append(svg("rect", { x, y, width, height, class: "mark" }));
  const onclick = (/** @type {MouseEvent} */ event) => {
    const bounds = picture.getBoundingClientRect();
    state.place = [(event.clientY - bounds.top) / bounds.height, (event.clientX - bounds.left) / bounds.width];
    state.clicked = true;
    redraw();
  };
  const style = `aspect-ratio: ${W} / ${H}; max-width: min(100%, ${Math.round(26 * Math.max(W / H, 0.4))}rem)`;
  return el("div", { class: "picture", role: "img", "aria-label": label, onclick, style }, picture, above);
}

/**
 * The number of the chosen pixel, with the way to its derivation. On steps it stays in sight while the pictures are.
 *
 * @param {string} name
 * @param {string} value
 * @param {Tensor} tensor
 * @param {[y: number, x: number]} pixel
 * @param {string} [way]
 */
export function readout(name, value, { H, W }, [y, x], way = "what made it ↓") {
  const row = Math.floor(state.place[0] * H), column = Math.floor(state.place[1] * W);
  const beside = state.clicked && (row !== y || column !== x);
  const note = `Row ${row}, column ${column} lies between the dots: this is the nearest of them.`;
  return el("div", { class: "readout" },
    el("span", {}, el("code", {}, name), ` = ${value}`),
    el("button", { type: "button", class: "follow-down", onclick: showDerivation }, way),
    beside ? el("small", {}, note) : null);
}

/**
 * What the colours mean. Without a negative number only the upper half is used.
 *
 * @param {Tensor} tensor
 * @param {number} channel
 */
function scaleBar(tensor, channel) {
  const scale = scaleOf(tensor, channel), { min = 0, max = 0 } = tensor.statistics, signed = min < 0;
  const stops = [];
  for (let k = signed ? -1 : 0; k <= 1; k += 1 / 16) stops.push(css(colourOf(k, 1)));
  const low = signed ? (min < -scale ? "≤ " : "") + short(-scale) : "0";
  const high = (max > scale ? "≥ " : "") + short(scale); // what lies beyond the end has the end's colour
  return el("p", { class: "scale" },
    el("span", {}, low),
    el("i", { style: `background: linear-gradient(to right, ${stops.join(", ")})` }),
    el("span", {}, high),
    el("span", { class: "name" }, channelName(tensor, channel)));
}

/**
 * All channels, or the first of them and the chosen one.
 *
 * @param {Tensor} tensor
 * @param {number} channel
 * @param {(channel: number) => void} choose
 */
function smallPictures(tensor, channel, choose) {
  const { shown, C, names } = tensor, many = shown > FEW_CHANNELS;
  if (shown === 1) return null;
  const first = !many || state.allChannels ? shown : channel < FEW_CHANNELS ? FEW_CHANNELS : FEW_CHANNELS - 1;
  const list = el("div", { class: "thumbs", role: "group", "aria-label": "channels" });
  for (let c = 0; c < shown; c++) {
    if (c >= first && c !== channel) continue;
    const canvas = el("canvas"), name = channelName(tensor, c), onclick = () => choose(c);
    paint(canvas, tensor, c);
    const attributes = { type: "button", "aria-pressed": String(c === channel), title: name, "aria-label": name };
    list.append(el("button", { ...attributes, onclick }, canvas, el("small", {}, names ? name : c)));
  }
  const change = () => { state.allChannels = !state.allChannels; };
  const rest = `The first ${shown} of ${C} channels; with the others the page would be too large.`;
  return el("div", {}, list,
    many ? toggle(`all ${shown} channels`, state.allChannels, change) : null,
    C > shown ? el("p", { class: "quiet" }, rest) : null);
}

/** @param {Statistics} statistics */
function statistics({ min, max, mean, std, zeros, broken, counts, edges }) {
  const rows = [["smallest", format(min)], ["largest", format(max)], ["mean", format(mean)], ["spread", format(std)],
    ["zeros", zeros === undefined ? "?" : `${(100 * zeros).toFixed(1)} %`]];
  if (broken) rows.push(["not finite", String(broken)]);
  const list = rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)));
  return el("div", { class: "statistics" }, el("dl", {}, list), counts && edges ? histogram(counts, edges) : null);
}

/**
 * @param {number[]} counts
 * @param {[number, number]} edges
 */
function histogram(counts, edges) {
  const bars = svg("svg", { viewBox: "0 0 40 20", preserveAspectRatio: "none", class: "bars" });
  const most = Math.max(...counts);
  counts.forEach((count, k) => {
    const height = count ? Math.max(0.6, 20 * Math.sqrt(count / most)) : 0;
    bars.append(svg("rect", { x: k + 0.08, y: 20 - height, width: 0.84, height }));
  });
  const labels = [short(edges[0]), "all numbers", short(edges[1])].map((text) => el("span", {}, text));
  const title = "how often which number occurs; heights are square roots";
  return el("div", { class: "histogram", title }, bars, el("p", {}, labels));
}
