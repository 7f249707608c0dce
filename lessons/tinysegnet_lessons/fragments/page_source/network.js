// The U of a SegNet of any size: its maps, parameters, memory and receptive fields.

import { convolutions, encoderField, field, indexBytes, keptBytes, parameters, seenBy } from "./network_formula.js";
import { choices, el, range, slider, start, sum, table } from "./shared.js";

/** @type {import("./network_formula.js").Settings} */
const state = { stages: 4, channels: 32, H: 90, W: 121, K: 3, doubled: true, classes: 11 };
const drawing = el("div", { role: "group", "aria-label": "the maps of the network" }),
  totals = el("div", { class: "totals", "aria-live": "polite" }),
  rows = el("div", {});

/** @param {number} count */
const whole = (count) => count.toLocaleString("en-US");

/** @param {number} count */
const bytes = (count) =>
  count >= 1e6
    ? `${(count / 1e6).toPrecision(3)} MB`
    : count >= 1e4
      ? `${(count / 1e3).toPrecision(3)} kB`
      : `${count} B`;

/** @type {(title: string, H: number, W: number, C: number) => HTMLElement} */
function map(title, H, W, C) {
  const scale = (innerWidth > 700 ? 44 : 26) / Math.max(state.H, state.W),
    depth = range(Math.round(2 * Math.log2(C))).map((k) => `${k}px -${k}px 0 var(--side)`);
  const box = el("i", {
    style: `width: ${Math.max(2, W * scale)}px; height: ${Math.max(2, H * scale)}px; box-shadow: ${depth.join()}`,
    "aria-hidden": "true",
  });
  return el("div", { class: "map" }, box, el("span", {}, title, el("small", {}, `${H} × ${W} × ${C}`)));
}

function draw() {
  const convs = convolutions(state),
    { stages, K, H, W } = state,
    encoder = convs.slice(0, stages),
    decoder = convs.slice(stages, 2 * stages).reverse();
  const deepest = encoder[stages - 1],
    low = [Math.ceil(deepest.H / 2), Math.ceil(deepest.W / 2)];
  drawing.replaceChildren(
    el(
      "div",
      { class: "stage", style: "--depth: 0" },
      map("picture", H, W, 3),
      el("span"),
      map("logits", H, W, state.classes),
    ),
    ...encoder.map((conv, k) =>
      el(
        "div",
        { class: "stage", style: `--depth: ${k + 1}` },
        map(conv.name, conv.H, conv.W, conv.F),
        el("span", { class: "cross" }, "indices →", el("br"), bytes(indexBytes(conv))),
        map(decoder[k].name, conv.H, conv.W, decoder[k].F),
      ),
    ),
    el(
      "div",
      { class: "stage", style: `--depth: ${stages + 1}` },
      map("bottleneck", low[0], low[1], deepest.F),
      el("span"),
      el("span"),
    ),
  );
  const sides = (/** @type {boolean} */ bottleneck) =>
    [H, W].map((size, axis) => {
      const sizes = encoder.map((conv) => (axis ? conv.W : conv.H)),
        at = (bottleneck ? low[axis] : size) >> 1;
      /** @type {import("./network_formula.js").Interval} */
      const middle = [at, at];
      const [first, last] = bottleneck
        ? sizes.reduceRight((pixels, of) => encoderField(pixels, K, of), middle)
        : field(sizes, K, seenBy(middle, 3, size));
      return last - first + 1;
    });
  const count = sum(convs.map((conv) => parameters(conv, K)));
  const facts = [
    ["parameters", whole(count)],
    ["bytes of parameters", bytes(4 * count)],
    ["kept for backward", bytes(sum(convs.map(keptBytes)))],
    ["indices", bytes(sum(encoder.map(indexBytes)))],
    ["field at the bottleneck", sides(true).join(" × ")],
    ["field of a logit", sides(false).join(" × ")],
  ];
  totals.replaceChildren(...facts.map(([name, fact]) => el("div", {}, el("span", {}, name), el("b", {}, fact))));
  rows.replaceChildren(
    table(
      ["convolution", "input", "weights", "others", "parameters", "kept, bytes", "indices, bytes"],
      convs.map((conv) => {
        const { name, C, F } = conv,
          last = name === "classifier",
          k = last ? 3 : K;
        return [
          name,
          `${conv.H} × ${conv.W} × ${C}`,
          `${k} · ${k} · ${C} · ${F}`,
          last ? `${F}` : `2 · ${F}`,
          whole(parameters(conv, K)),
          whole(keptBytes(conv)),
          encoder.includes(conv) ? whole(indexBytes(conv)) : "",
        ];
      }),
    ),
  );
}

/** @typedef {"stages" | "channels" | "H" | "W" | "K"} Key */
/** @type {(name: string, key: Key, min: number, max: number, step?: number) => HTMLElement} */
const number = (name, key, min, max, step = 1) =>
  slider(name, { min, max, step, value: state[key], text: String }, (value) => {
    state[key] = value;
    draw();
  }).root;
start(
  [
    el(
      "div",
      { class: "sliders" },
      number("stages", "stages", 1, 5),
      number("channels", "channels", 4, 64, 2),
      number("rows", "H", 8, 128),
      number("columns", "W", 8, 128),
      number("kernel size", "K", 1, 7, 2),
    ),
    choices("per stage", { yes: "channels double", no: "channels stay" }, "yes", (key) => {
      state.doubled = key === "yes";
      draw();
    }).root,
    drawing,
    totals,
    el("p", { class: "quiet" }, "The receptive fields are those of the middle pixel, in pixels of the picture."),
    el("details", {}, el("summary", {}, "Each convolution's part of the sums"), rows),
  ],
  draw,
);
