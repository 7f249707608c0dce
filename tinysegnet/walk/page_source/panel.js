// A panel shows an array: a large picture that can be clicked, small pictures of the channels, and statistics.

import { colourOf, css, paint, paintSmall, pictureOf, scaleOf } from "walk/colours.js";
import { explainsAllPixels } from "walk/computable.js";
import { el, svg, toggle } from "walk/elements.js";
import { showDerivation } from "walk/navigation.js";
import { short, times } from "walk/numbers.js";
import { redraw, state } from "walk/state.js";

/** @import { Statistics } from "walk/payload.js" */
/** @import { Tensor } from "walk/store.js" */

/** @typedef {[y: number, x: number, height: number, width: number]} Box  of pixels */
/** @typedef {(pixel: [y: number, x: number] | null) => void} Look  called for the pixel under the pointer */

const FEW_CHANNELS = 16; // number of channels that are shown until the reader asks for all

/**
 * @param {Tensor} tensor
 * @param {number} channel
 */
const channelName = (tensor, channel) => (tensor.names ? tensor.names[channel] : `channel ${channel}`);

/**
 * Show an array with its letter (x, out, dout, ...), its origin or destination (from), and a frame around the box.
 *
 * @param {{ letter: string, from: string, tensor: Tensor, channel: number, choose: (channel: number) => void, box: Box,
 *   look?: Look }} what
 */
export function panel({ letter, from, tensor, channel, choose, box, look }) {
  const canvas = pictureOf(paint, tensor, channel);
  canvas.ariaHidden = "true";
  const label = `${letter}, ${channelName(tensor, channel)}. Click a pixel to see how its number was computed`;
  return el("section", { class: "panel", "data-letter": letter },
    el("h2", {}, el("b", {}, letter), ` ${times(tensor.shape)}`, el("small", {}, from)),
    clickable(canvas, label, tensor, box, channel, look),
    scaleBar(tensor, channel),
    smallPictures(tensor, channel, choose),
    statistics(tensor.statistics));
}

/**
 * Return a frame around pixels.
 *
 * @param {Box} box
 * @param {string} kind
 */
export const frame = ([y, x, height, width], kind) => svg("rect", { x, y, width, height, class: kind });

/**
 * Return rings around a box that would be hard to find because it is small.
 *
 * @param {Box} box
 * @param {number} W   width of the picture
 */
function rings([y, x, height, width], W) {
  if (width > W / 20) return [];
  const circle = { cx: x + width / 2, cy: y + height / 2, r: Math.max(height, width) / 2 + W / 40 };
  return ["ring-halo", "ring-line"].map((kind) => svg("circle", { ...circle, class: kind }));
}

/**
 * Show a picture that can be clicked, with a frame around a box. If only some pixels can be explained, they have dots.
 *
 * @param {HTMLElement} picture
 * @param {string} label
 * @param {Tensor} tensor
 * @param {Box} box
 * @param {number} [channel]  whose numbers are shown beside the pointer
 * @param {Look} [look]
 */
export function clickable(picture, label, tensor, box, channel, look) {
  const { H, W, grid: [rows, columns] } = tensor;
  const above = svg("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none" }), r = Math.min(0.35, W / 250);
  for (const row of explainsAllPixels(tensor.index) ? [] : rows) {
    for (const column of columns) above.append(svg("circle", { cx: column + 0.5, cy: row + 0.5, r, class: "dot" }));
  }
  above.append(...rings(box, W), frame(box, "mark"));
  const onclick = (/** @type {MouseEvent} */ event) => {
    const bounds = picture.getBoundingClientRect();
    state.place = [(event.clientY - bounds.top) / bounds.height, (event.clientX - bounds.left) / bounds.width];
    state.clicked = state.settled = true;
    redraw();
  };
  const style = `aspect-ratio: ${W} / ${H}; max-width: min(100%, ${Math.round(26 * Math.max(W / H, 0.4))}rem)`;
  const hover = channel === undefined ? null : el("output", { class: "hover", "aria-hidden": "true" });
  const onpointermove = (/** @type {PointerEvent} */ event) => {
    if (!hover || channel === undefined) return;
    const bounds = picture.getBoundingClientRect();
    const across = (event.clientX - bounds.left) / bounds.width, down = (event.clientY - bounds.top) / bounds.height;
    const row = Math.min(H - 1, Math.max(0, Math.floor(down * H)));
    const column = Math.min(W - 1, Math.max(0, Math.floor(across * W)));
    hover.textContent = `[${row}, ${column}] ${readable(tensor, row, column, channel)}`;
    const side = across > 0.6 ? "-105%" : "0.8rem";
    look?.([row, column]);
    hover.style.cssText = `left: ${100 * across}%; top: ${100 * down}%; translate: ${side} 0.9rem`;
  };
  const handlers = { onclick, onpointermove, onpointerleave: () => look?.(null) };
  return el("div", { class: "picture", role: "img", "aria-label": label, style, ...handlers }, picture, above, hover);
}

/**
 * Write a number of an array: exactly if the page contains it, else rounded to one of the colours, with "≈".
 *
 * @param {Tensor} tensor
 * @param {number} y
 * @param {number} x
 * @param {number} c
 */
function readable({ H, W, planes, scales, contains, value }, y, x, c) {
  const step = planes[(c * H + y) * W + x];
  if (contains(y, x, c) && !Number.isNaN(value(y, x, c))) return short(value(y, x, c));
  return step === -128 ? "not finite" : `≈ ${short((step * scales[c]) / 127)}`;
}

/**
 * Show the number of the chosen pixel, with a link to its derivation. It stays visible while the pictures are visible.
 *
 * @param {string} name
 * @param {string} value
 * @param {Tensor} tensor
 * @param {[y: number, x: number]} pixel
 * @param {string} [way]
 */
export function readout(name, value, { H, W }, [y, x], way = "how it was computed ↓") {
  const row = Math.floor(state.place[0] * H), column = Math.floor(state.place[1] * W);
  const beside = state.clicked && (row !== y || column !== x);
  const note = `Row ${row}, column ${column} is between the dots. This is the nearest dot.`;
  return el("div", { class: "readout" },
    el("span", {}, el("code", {}, name), ` = ${value}`),
    el("button", { type: "button", class: "follow-down", onclick: showDerivation }, way),
    beside ? el("small", {}, note) : null);
}

/**
 * Show the colour scale or, if there are no negative numbers, only its upper half.
 *
 * @param {Tensor} tensor
 * @param {number} channel
 */
function scaleBar(tensor, channel) {
  const scale = scaleOf(tensor, channel), { min = 0, max = 0 } = tensor.statistics, signed = min < 0;
  const stops = [];
  for (let k = signed ? -1 : 0; k <= 1; k += 1 / 16) stops.push(css(colourOf(k, 1)));
  const low = signed ? (min < -scale ? "≤ " : "") + short(-scale) : "0";
  const high = (max > scale ? "≥ " : "") + short(scale); // numbers beyond an end have its colour
  return el("p", { class: "scale" },
    el("span", {}, low),
    el("i", { style: `background: linear-gradient(to right, ${stops.join(", ")})` }),
    el("span", {}, high),
    el("span", { class: "name" }, channelName(tensor, channel)));
}

/**
 * Show all channels, or the first ones and the chosen one.
 *
 * @param {Tensor} tensor
 * @param {number} channel
 * @param {(channel: number) => void} choose
 */
function smallPictures(tensor, channel, choose) {
  const { shown, C, names } = tensor, many = shown > FEW_CHANNELS;
  if (shown === 1) return null;
  const first = !many || state.allChannels ? shown : channel < FEW_CHANNELS ? FEW_CHANNELS : FEW_CHANNELS - 1;
  const list = el("div", { class: names ? "thumbs named" : "thumbs", role: "group", "aria-label": "channels" });
  for (let c = 0; c < shown; c++) {
    if (c >= first && c !== channel) continue;
    const canvas = pictureOf(paintSmall, tensor, c), name = channelName(tensor, c), onclick = () => choose(c);
    const attributes = { type: "button", "aria-pressed": String(c === channel), title: name, "aria-label": name };
    list.append(el("button", { ...attributes, onclick }, canvas, el("small", {}, names ? name : c)));
  }
  const change = () => { state.allChannels = !state.allChannels; };
  const rest = `To limit its size, the page contains only the first ${shown} of ${C} channels.`;
  return el("div", {}, list,
    many ? toggle(`all ${shown} channels`, state.allChannels, change) : null,
    C > shown ? el("p", { class: "quiet" }, rest) : null);
}

/** @param {Statistics} statistics */
function statistics({ min, max, mean, std, zeros, broken, counts, edges }) {
  const written = [["smallest", min], ["largest", max], ["mean", mean], ["std. dev.", std]].map(([name, value]) =>
    [String(name), typeof value === "number" ? short(value) : "?"]);
  const rows = [...written,
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
  const labels = [short(edges[0]), short(edges[1])].map((text) => el("span", {}, text));
  const title = "histogram of all numbers; heights are square roots of counts";
  return el("div", { class: "histogram", title }, bars, el("p", {}, labels));
}
