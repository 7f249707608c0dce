// What pages are made of: elements, numbers as text, colours, and an array as a panel of pictures.

// place: of the picture, 0..1 from above and from the left. channel: of what is made; reading: of what is read;
// chosen, readings: those that the reader chose, by family and by array. clicked: the place is a click's. strip: all
// channels are shown small.
const state = { step: 0, place: [0.5, 0.5], channel: 0, reading: 0, chosen: {}, readings: {}, clicked: false,
  common: true, sorted: true, all: false, strip: false };
const STRIP = 16; // small channels, before all are asked for
let drawings = 0;
const main = document.getElementById("main");

/** An element: el("p", { class: "quiet" }, "text", other elements). Handlers are functions: { onclick: f }. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") node[name] = value;
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

/** An element with HTML in its text: only for texts of tinysegnet itself, never for names from outside. */
function rich(tag, attributes, text) {
  const node = el(tag, attributes);
  node.innerHTML = text;
  return node;
}

function svg(tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

/** A button that is down or up. */
function toggle(text, on, change) {
  const press = () => { change(); render(); };
  return el("button", { type: "button", class: "choice", "aria-pressed": String(on), onclick: press }, text);
}

function table(heads, rows) {
  const head = el("thead", {}, el("tr", {}, heads.map((text) => el("th", { scope: "col" }, text))));
  const cellOf = (cell) =>
    (typeof cell === "number" ? el("td", { class: "number" }, format(cell)) : el("td", {}, cell));
  const body = el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map(cellOf))));
  return el("div", { class: "wide" }, el("table", {}, heads.some(Boolean) ? head : null, body));
}

/** A number with six digits, minus as a minus. */
function format(value) {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "?";
  return written(value, 6, 1e-4, 1e6);
}

/** The same in less room. */
const short = (value) => written(value, 3, 1e-3, 1e4);

function written(value, digits, least, most) {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value), far = size !== 0 && (size < least || size >= most);
  return (far ? value.toExponential(digits - 2) : String(Number(value.toPrecision(digits)))).replace(/-/g, "−");
}

const times = (shape) => shape.join(" × ");

// --- colours ------------------------------------------------------------------------------------------------------

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The shades of -127..127 in this theme, 3 bytes each. */
const shades = () => data.colours[isDark() ? "dark" : "light"];

/** The colour of a number where `scale` has the strongest. */
function colourOf(value, scale) {
  const strength = scale > 0 ? Math.max(-1, Math.min(1, value / scale)) : 0, k = 3 * (127 + Math.round(127 * strength));
  return shades().slice(k, k + 3);
}

const css = (rgb) => `rgb(${rgb.join(" ")})`;
const inkOn = ([red, green, blue]) => (0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#1d1d22" : "#ffffff");

/** The number that has the strongest colour: the channel's own, or one for all channels. */
const scaleOf = (tensor, channel) => (state.common ? Math.max(...tensor.scales) : tensor.scales[channel]);

const NOT_FINITE = -128, RED = [226, 40, 48];

/** Draw a channel, a pixel for a number. */
function paint(canvas, tensor, channel) {
  const { H, W, planes } = tensor, table = shades(), picture = new ImageData(W, H), from = channel * H * W;
  const stretch = tensor.scales[channel] / (scaleOf(tensor, channel) || 1);
  for (let k = 0; k < H * W; k++) {
    const step = planes[from + k], at = 3 * (127 + Math.round(step * stretch));
    const [red, green, blue] = step === NOT_FINITE ? RED : [table[at], table[at + 1], table[at + 2]];
    picture.data.set([red, green, blue, 255], 4 * k);
  }
  canvas.width = W;
  canvas.height = H;
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

// --- an array -------------------------------------------------------------------------------------------------------

const channelName = (tensor, c) => (tensor.names ? tensor.names[c] : `channel ${c}`);

/**
 * An array: a large picture of the chosen channel to click on, all channels small, statistics.
 *
 * letter: x, out, dout, ... choose: called with a channel. mark: a box [y, x, h, w] around pixels; else a pixel.
 */
function panel({ letter, from, tensor, channel, choose, mark, pixel }) {
  const head = el("h3", {}, el("b", {}, letter), ` ${times(tensor.shape)}`, el("small", {}, from));
  const picture = largePicture(letter, tensor, channel, mark, pixel);
  return el("section", { class: "panel", "data-letter": letter }, head, picture,
    scaleBar(tensor, channel), thumbs(tensor, channel, choose), statistics(tensor));
}

function largePicture(letter, tensor, channel, mark, pixel) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  paint(canvas, tensor, channel);
  const label = `${letter}, ${channelName(tensor, channel)}. Click a pixel to see the sum behind it`;
  return clickable(canvas, label, tensor, mark || [...pixel, 1, 1]);
}

/** A picture with the dots of its array, and a frame [y, x, height, width], to be clicked on. */
function clickable(picture, label, { H, W, grid }, [y, x, height, width]) {
  const above = svg("svg", { viewBox: `0 0 ${W} ${H}`, preserveAspectRatio: "none" }), r = Math.min(0.35, W / 250);
  for (const row of grid[0]) {
    for (const column of grid[1]) above.append(svg("circle", { cx: column + 0.5, cy: row + 0.5, r, class: "dot" }));
  }
  above.append(svg("rect", { x, y, width, height, class: "mark" }));
  const click = (event) => {
    const box = picture.getBoundingClientRect();
    state.place = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
    state.clicked = true;
    render();
  };
  const style = `aspect-ratio: ${W} / ${H}; max-width: min(100%, ${Math.round(26 * Math.max(W / H, 0.4))}rem)`;
  return el("div", { class: "picture", role: "img", "aria-label": label, onclick: click, style }, picture, above);
}

/** The number of the chosen pixel, with the way to its sum. On steps it stays in sight as long as the pictures are. */
function readout(name, value, tensor, [y, x], way = "what made it ↓") {
  const at = [[tensor.H, 0], [tensor.W, 1]].map(([size, axis]) => Math.floor(state.place[axis] * size));
  const beside = state.clicked && (at[0] !== y || at[1] !== x);
  const note = `Row ${at[0]}, column ${at[1]} lies between the dots: this is the nearest of them.`;
  const button = el("button", { type: "button", class: "follow-down", onclick: showSum }, way);
  return el("div", { class: "readout" }, el("span", {}, el("code", {}, name), ` = ${value}`), button,
    beside ? el("small", {}, note) : null);
}

/** Scroll to the sum. */
function showSum() {
  const sum = document.querySelector(".made");
  if (!sum) return;
  sum.scrollIntoView({ block: "start" });
  sum.focus({ preventScroll: true });
}

/** What the colours mean; without a negative number only the upper half is used. */
function scaleBar(tensor, channel) {
  const scale = scaleOf(tensor, channel), signed = tensor.statistics.min < 0, stops = [];
  for (let k = signed ? -1 : 0; k <= 1; k += 1 / 16) stops.push(css(colourOf(k, 1)));
  const ramp = el("i", { style: `background: linear-gradient(to right, ${stops.join(", ")})` });
  const { min, max } = tensor.statistics, low = signed ? (min < -scale ? "≤ " : "") + short(-scale) : "0";
  const high = (max > scale ? "≥ " : "") + short(scale); // what lies beyond the end has the end's colour
  return el("p", { class: "scale" }, el("span", {}, low), ramp, el("span", {}, high),
    el("span", { class: "name" }, channelName(tensor, channel)));
}

/** All channels small, or the first of them and the chosen one. */
function thumbs(tensor, channel, choose) {
  if (tensor.shown === 1) return null;
  const list = el("div", { class: "thumbs", role: "group", "aria-label": "channels" });
  for (let c = 0; c < tensor.shown; c++) {
    if (!state.strip && tensor.shown > STRIP && c >= (channel < STRIP ? STRIP : STRIP - 1) && c !== channel) continue;
    const canvas = el("canvas"), name = channelName(tensor, c);
    paint(canvas, tensor, c);
    const settings = { type: "button", "aria-pressed": String(c === channel), title: name, "aria-label": name };
    const text = el("small", {}, tensor.names ? name : c);
    list.append(el("button", { ...settings, onclick: () => choose(c) }, canvas, text));
  }
  const change = () => { state.strip = !state.strip; };
  const rest = `The first ${tensor.shown} of ${tensor.C} channels; with the others the page would be too large.`;
  return el("div", {}, list, tensor.shown > STRIP ? toggle(`all ${tensor.shown} channels`, state.strip, change) : null,
    tensor.C > tensor.shown ? el("p", { class: "quiet" }, rest) : null);
}

function statistics(tensor) {
  const s = tensor.statistics, zeros = s.zeros === undefined ? "?" : `${(100 * s.zeros).toFixed(1)} %`;
  const rows = [["smallest", format(s.min)], ["largest", format(s.max)], ["mean", format(s.mean)],
    ["spread", format(s.std)], ["zeros", zeros]];
  if (s.broken) rows.push(["not finite", String(s.broken)]);
  const list = rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)));
  return el("div", { class: "statistics" }, el("dl", {}, list), s.counts ? histogram(s) : null);
}

function histogram({ counts, edges }) {
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
