// What is seen: the step's words, its arrays as pictures, and the sum behind the number that was clicked.

const state = { step: 0, place: [0.5, 0.5], channel: 0, reading: 0, common: true, sorted: true, all: false, rendering: 0 };
const main = document.getElementById("main"), slider = document.getElementById("slider");
const WAYS = { start: "the picture", forward: "forward", answer: "answer", loss: "loss", "loss backward": "backward", backward: "backward" };

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

/** An element whose text has HTML in it: only texts of tinysegnet itself, never names from outside. */
function rich(tag, attributes, text) {
  const node = el(tag, attributes);
  node.innerHTML = text;
  return node;
}

/** A number with six digits, minus as a minus. */
function format(value) {
  if (typeof value === "string") return value;
  if (value === undefined || value === null) return "?";
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  const text = value === 0 ? "0" : size < 1e-4 || size >= 1e6 ? value.toExponential(4) : String(Number(value.toPrecision(6)));
  return text.replace(/-/g, "−");
}

const short = (value) => (value === 0 ? "0" : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e4 ? value.toExponential(1) : String(Number(value.toPrecision(3)))).replace(/-/g, "−");
const times = (shape) => shape.join(" × ");

// --- colours ---------------------------------------------------------------------------------------------------------

const isDark = () => document.documentElement.dataset.theme === "dark" ||
  (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);

/** The 255 colours of -127..127 in this theme, 3 bytes each. */
const colours = () => data.colours[isDark() ? "dark" : "light"];

/** The colour of a number, for a cell. */
function colourOf(value, scale) {
  const strength = scale > 0 ? Math.max(-1, Math.min(1, value / scale)) : 0;
  const k = 3 * (127 + Math.round(127 * strength));
  return colours().slice(k, k + 3);
}

const css = (rgb) => `rgb(${rgb.join(" ")})`;
const inkOn = (rgb) => (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] > 140 ? "#1d1d22" : "#ffffff");

/** Draw a channel; stretch: its own scale by the scale of all, if all are to be compared. */
function paint(canvas, tensor, channel) {
  const { H, W, planes } = tensor, table = colours(), picture = new ImageData(W, H), from = channel * H * W;
  const stretch = state.common ? tensor.scales[channel] / (Math.max(...tensor.scales) || 1) : 1;
  for (let k = 0; k < H * W; k++) {
    const step = planes[from + k], at = 3 * (127 + Math.round(step * stretch));
    const colour = step === -128 ? [226, 40, 48] : [table[at], table[at + 1], table[at + 2]];
    picture.data.set([...colour, 255], 4 * k);
  }
  canvas.width = W;
  canvas.height = H;
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

// --- an array ----------------------------------------------------------------------------------------------------------

const svg = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

const channelName = (tensor, c) => (tensor.names ? tensor.names[c] : `channel ${c}`);

/** An array: a large picture of the chosen channel to click on, all channels small, its statistics. */
function panel({ letter, from, tensor, channel, choose, marks, pixel }) {
  const canvas = el("canvas", { "aria-hidden": "true" });
  paint(canvas, tensor, channel);
  const over = svg("svg", { viewBox: `0 0 ${tensor.W} ${tensor.H}`, preserveAspectRatio: "none" });
  for (const y of tensor.grid[0]) {
    for (const x of tensor.grid[1]) over.append(svg("circle", { cx: x + 0.5, cy: y + 0.5, r: Math.min(0.35, tensor.W / 250), class: "dot" }));
  }
  for (const [y, x, h, w] of marks) over.append(svg("rect", { x, y, width: w, height: h, class: "mark" }));
  if (pixel) over.append(svg("rect", { x: pixel[1], y: pixel[0], width: 1, height: 1, class: "pixel" }));
  const click = (event) => {
    const box = canvas.getBoundingClientRect();
    state.place = [(event.clientY - box.top) / box.height, (event.clientX - box.left) / box.width];
    render();
  };
  const label = `${letter}, ${channelName(tensor, channel)}. Click a pixel to see the sum behind it`;
  const wide = tensor.W / tensor.H, picture = el("div", { class: "picture", role: "img", "aria-label": label, onclick: click,
    style: `aspect-ratio: ${tensor.W} / ${tensor.H}; max-width: min(100%, ${Math.round(26 * Math.max(wide, 0.4))}rem)` }, canvas, over);
  return el("section", { class: "panel", "data-letter": letter },
    el("h3", {}, el("b", {}, letter), ` ${times(tensor.shape)}`, el("small", {}, from)),
    picture, scaleBar(tensor, channel), thumbs(tensor, channel, choose), statistics(tensor));
}

/** What the colours mean; without a negative number only the upper half is used. */
function scaleBar(tensor, channel) {
  const scale = state.common ? Math.max(...tensor.scales) : tensor.scales[channel], table = colours();
  const from = tensor.statistics.min < 0 ? 0 : 127, stops = [];
  for (let k = from; k < 255; k += (254 - from) / 16) stops.push(css(table.slice(3 * Math.round(k), 3 * Math.round(k) + 3)));
  return el("p", { class: "scale" }, el("span", {}, from ? "0" : short(-scale)), el("i", { style: `background: linear-gradient(to right, ${stops.join(", ")})` }),
    el("span", {}, short(scale)), el("span", { class: "name" }, channelName(tensor, channel)));
}

function thumbs(tensor, channel, choose) {
  if (tensor.shown === 1) return null;
  const list = el("div", { class: "thumbs", role: "group", "aria-label": "channels" });
  for (let c = 0; c < tensor.shown; c++) {
    const canvas = el("canvas");
    paint(canvas, tensor, c);
    list.append(el("button", { type: "button", "aria-pressed": String(c === channel), title: channelName(tensor, c),
      "aria-label": channelName(tensor, c), onclick: () => choose(c) }, canvas, el("small", {}, tensor.names ? tensor.names[c] : c)));
  }
  const rest = tensor.C - tensor.shown;
  return el("div", {}, list, rest > 0 ? el("p", { class: "quiet" }, `The first ${tensor.shown} of ${tensor.C} channels; the others are not in this page.`) : null);
}

function statistics(tensor) {
  const s = tensor.statistics, rows = [["smallest", format(s.min)], ["largest", format(s.max)], ["mean", format(s.mean)],
    ["spread", format(s.std)], ["zeros", `${(100 * s.zeros).toFixed(1)} %`]];
  if (s.broken) rows.push(["not finite", String(s.broken)]);
  const most = Math.max(...(s.counts || [1])), bars = svg("svg", { viewBox: "0 0 40 20", preserveAspectRatio: "none", class: "bars" });
  (s.counts || []).forEach((count, k) => {
    const tall = count ? Math.max(0.6, 20 * Math.sqrt(count / most)) : 0;
    bars.append(svg("rect", { x: k + 0.08, y: 20 - tall, width: 0.84, height: tall }));
  });
  return el("div", { class: "statistics" }, el("dl", {}, rows.map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)))),
    s.counts ? el("div", { class: "histogram", title: "how often which number occurs; heights are square roots" }, bars,
      el("p", {}, el("span", {}, short(s.edges[0])), el("span", {}, "all numbers"), el("span", {}, short(s.edges[1])))) : null);
}

// --- the number that was clicked ---------------------------------------------------------------------------------------

function table(heads, rows, ...more) {
  return el("div", { class: "wide" }, el("table", {}, el("thead", {}, el("tr", {}, heads.map((head) => el("th", { scope: "col" }, head)))),
    el("tbody", {}, rows.map((cells) => el("tr", {}, cells.map((cell, k) => el("td", { class: typeof cell === "number" || k === undefined ? "number" : null },
      typeof cell === "number" ? format(cell) : cell))))), ...more));
}

/** The result, and the number that the network had. */
function verdict(found) {
  const difference = Math.abs(found.computed - found.shown);
  const same = difference <= 1e-5 * Math.max(found.scale, Math.abs(found.shown), 1e-37); // below, float32 has not all its digits
  return el("p", { class: "verdict", "data-computed": found.computed, "data-shown": found.shown, "data-scale": found.scale },
    el("span", {}, "computed here ", el("b", {}, format(found.computed))), el("span", {}, "in the network ", el("b", {}, format(found.shown))),
    el("span", { class: same ? "good" : "bad" }, same ? `✓ the same (difference ${short(difference)})` : `✗ difference ${short(difference)}`));
}

const FEW = 16;

/** Products, the largest first or in place, with the running total. */
function sumTable(found) {
  const terms = found.terms.map((t) => ({ ...t, product: t.a * t.w }));
  if (state.sorted) terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  let total = found.start ? found.start.value : 0;
  const rows = found.start ? [[found.start.name, "", "", found.start.value, total]] : [];
  for (const t of terms) {
    total += t.product;
    rows.push([t.where, t.a, [t.w, t.tag], t.product, total]);
  }
  const shown = state.all ? rows : rows.slice(0, FEW);
  const cells = shown.map(([where, a, w, product, sum]) => [where, a, Array.isArray(w) ? el("span", {}, format(w[0]), el("small", {}, " " + w[1].replace("weight", ""))) : w, product, sum]);
  if (shown.length < rows.length) {
    const rest = rows[rows.length - 1][4] - rows[FEW - 1][4];
    cells.push([`and ${rows.length - FEW} more`, "", "", rest, rows[rows.length - 1][4]]);
  }
  const weight = found.terms.length && found.terms[0].tag.startsWith("weight") ? "weight" : "share";
  const outside = found.outside ? `${found.outside} more lie outside of the picture and count as 0.` : "";
  return el("div", {}, el("p", { class: "choices" },
    toggle("largest first", state.sorted, () => { state.sorted = true; }), toggle("in place", !state.sorted, () => { state.sorted = false; }),
    rows.length > FEW ? toggle(`all ${rows.length} rows`, state.all, () => { state.all = !state.all; }) : null),
    table(["number", "its value", `× ${weight}`, "= product", "total so far"], cells), outside ? el("p", { class: "quiet" }, outside) : null);
}

function toggle(text, on, change) {
  return el("button", { type: "button", class: "choice", "aria-pressed": String(on), onclick: () => { change(); render(); } }, text);
}

/** A window of one channel: numbers, weights, products, as squared paper. */
function windowSheets(found, node, reading) {
  const [KH, KW] = node.windows.kernel, terms = found.terms.filter((t) => t.k === reading);
  if (!terms.length || KH * KW === 1 || KH * KW > 64) return null;
  const cells = (pick) => {
    const values = terms.map(pick), scale = Math.max(...values.map(Math.abs));
    const grid = el("div", { class: "sheet", style: `grid-template-columns: repeat(${KW}, 1fr); --size: ${KW}` });
    for (let k = 0; k < KH * KW; k++) {
      const at = terms.findIndex((t) => t.i * KW + t.j === k), rgb = at < 0 ? null : colourOf(values[at], scale);
      grid.append(at < 0 ? el("span", { class: "outside", title: "outside of the picture" }, "0") :
        el("span", { style: `background: ${css(rgb)}; color: ${inkOn(rgb)}` }, short(values[at])));
    }
    return grid;
  };
  const part = terms.reduce((sum, t) => sum + t.a * t.w, 0);
  return el("div", { class: "sheets" }, el("p", {}, `Channel ${reading} of ${found.letter} adds ${format(part)} to it:`),
    el("div", {}, el("figure", {}, cells((t) => t.a), el("figcaption", {}, found.letter)), el("b", {}, "×"),
      el("figure", {}, cells((t) => t.w), el("figcaption", {}, "weight")), el("b", {}, "="),
      el("figure", {}, cells((t) => t.a * t.w), el("figcaption", {}, "product"))));
}

function classTable(found) {
  const { scores, most, exps, total, probs } = found.classes;
  const rows = probs.map((p, k) => [el("span", { class: "class" }, el("span", { class: "swatch", style: `background: ${data.classes[k].colour}` }),
    el(k === found.chosen ? "b" : "span", {}, data.classes[k].name)), scores[k], exps[k], el("span", { class: "bar" }, el("i", { style: `width: ${100 * p}%; background: ${data.classes[k].colour}` })), p]);
  return el("div", {}, table(["class", "logit", "exp(logit − m)", "", "probability"], rows),
    el("p", { class: "quiet" }, `m = ${format(most)}, the sum of the exponentials ${format(total)}.` + (scores.length === 2 && data.oneLogit ? " Class 0 has no logit of its own: 0." : "")));
}

/** What made the number, with everything that is known of it. */
function made(step, node, found) {
  const body = [el("h3", {}, step.way.endsWith("backward") ? "The gradient you clicked: what made it" : "The number you clicked: what made it"),
    el("p", { class: "clicked" }, el("code", {}, found.name), ` = ${format(found.shown)}`)];
  if (found.note) body.push(el("p", {}, found.note));
  if (!found.complete) body.push(el("p", {}, "The weights of this channel are not in this page: it would be too large."));
  else {
    if (found.terms) body.push(state.reading < found.read.C ? windowSheets(found, node, state.reading) : null, sumTable(found));
    if (found.classes) body.push(classTable(found));
    if (found.lines) body.push(table(["", "", ""], found.lines));
    body.push(verdict(found));
  }
  return el("section", { class: "made" }, body);
}

/** Where the gradient of the number goes. */
function goes(step, node, found, y, x, c) {
  const tensor = node.kind === "tap" && node.through ? node.dother : node.dout;
  if (step.way !== "forward" || !found.complete) return null;
  const head = el("h3", {}, "Where its gradient goes");
  if (!data.labelled) return el("section", {}, head, el("p", { class: "quiet" }, "Without labels there is no loss, and no gradient. Give labels to walk backward, too."));
  const g = tensor.value(y, x, c), intro = el("p", {}, "If this number were a little larger, the loss would change by ", el("b", {}, format(g)), " times that: its gradient, dout.");
  if (g === 0) return el("section", { class: "goes" }, head, el("p", {}, "Its gradient is 0: whatever this number were, a little more or less, the loss would stay. On the way to the loss it is " +
    "stopped by a ReLU, or passed over by a pooling, or its pixel has no label. So nothing goes on from here."));
  if (!found.terms) {
    return el("section", { class: "goes" }, head, intro, table(["to", "gradient", ""], onwards[node.kind](node, y, x, c, g)));
  }
  const rows = found.terms.map((t) => [t.where.replace(/^x/, "dx"), t.w * g, node.weight ? `d${t.tag}` : "", node.weight ? t.a * g : ""]);
  rows.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const shown = state.all ? rows : rows.slice(0, FEW);
  const heads = node.weight ? ["this input", "gets weight × dout", "this weight", "gets x × dout"] : ["this input", "gets share × dout", "", ""];
  return el("section", { class: "goes" }, head, intro, table(heads, shown),
    rows.length > shown.length ? el("p", { class: "quiet" }, `The ${FEW} largest of ${rows.length}. Each of them gets something from other outputs, too; all is added up.`) : null,
    node.vectors.bias ? el("p", { class: "quiet" }, `dbias[${c}] gets dout itself.`) : null);
}
