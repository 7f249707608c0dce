// The network on one screen: every stage with its strongest feature map, from the picture to the loss and back.

import { colourOf, paint } from "walk/colours.js";
import { el, svg, toggle } from "walk/elements.js";
import { go } from "walk/navigation.js";
import { format, plain, times } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { bottleneck, crossings, stageOf, stages } from "walk/stages.js";
import { state } from "walk/state.js";
import { steps, wayClass } from "walk/steps.js";
import { tensorOf } from "walk/store.js";
import { changedRun } from "walk/what_if.js";
import { indicesOff, switchIndices, unpoolings } from "walk/what_if_controls.js";
import { coloursOfClasses, paintRgb } from "walk/what_if_view.js";

/** @import { Child } from "report/dom.js" */
/** @import { Stage } from "walk/stages.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { StageMap } from "walk/what_if.js" */

/** The root mean squares of all stages' gradients, also as 0..1 on a logarithmic scale over six powers of ten. */
const gradientSizes = (() => {
  const sizes = stages.map(({ node }) => {
    const { mean, std } = data.tensors[data.nodes[node].dresult ?? -1]?.statistics ?? {};
    return Math.hypot(mean ?? 0, std ?? 0);
  });
  const most = Math.max(...sizes);
  return new Map(stages.map((stage, k) =>
    [stage, { size: sizes[k], share: sizes[k] > 0 ? Math.max(0.02, 1 + Math.log10(sizes[k] / most) / 6) : 0 }]));
})();

/** Show the network as a U, with a mark at the current step. */
export function networkMap() {
  const step = steps[state.step], backward = state.mapShows === "gradients" && data.labelled;
  const changed = state.mapShows === "changes" && state.changes.length > 0;
  const cut = changed && indicesOff();
  const top = stages.filter(({ level }) => level === 0), ends = data.labelled ? 2 : 1;
  const half = Math.max(1 + top.filter(({ left }) => left).length, ends + top.filter(({ left }) => !left).length);
  const levels = [...new Set(stages.map((stage) => stage.level))].sort((a, b) => a - b);
  const rows = levels.map((level) => {
    const here = stages.filter((stage) => stage.level === level);
    const left = here.filter((stage) => stage.left), right = here.filter((stage) => !stage.left);
    const cards = (/** @type {Stage[]} */ some) => some.map((stage) => stageCard(stage, step, backward, changed));
    return el("div", { class: "level", style: `--level: ${level}` },
      el("div", { class: "left" }, level === 0 ? pictureCard(step, changed) : null, cards(left)),
      el("div", { class: "crossings" }, crossings.filter(({ from, to }) => left.includes(from) && right.includes(to))
        .map(({ what }) => (cut && what === "indices" ? el("span", { class: "crossing cut" }, "no indices")
          : el("span", { class: "crossing" }, what))),
        level === levels[levels.length - 1] ? bottom() : null),
      el("div", { class: "right" }, cards(right), level === 0 ? endCards(step, changed) : null));
  });
  const choose = (/** @type {typeof state.mapShows} */ what) => () => { state.mapShows = what; };
  return el("section", { class: `network-map ${backward ? "backward" : "forward"}`, "aria-label": "the network" },
    el("h2", {}, "The network"),
    el("p", { class: "choices" },
      toggle("feature maps", !backward && !changed, choose("maps")),
      data.labelled ? toggle("gradients", backward, choose("gradients")) : null,
      state.changes.length ? toggle("with your changes", changed, choose("changes")) : null,
      data.live && unpoolings ? toggle("without indices", indicesOff(), () => {
        switchIndices();
        state.mapShows = "changes";
      }) : null),
    el("div", { style: `--columns: ${2 * half}` }, rows),
    el("p", { class: "quiet" }, explanationOf(backward, changed)));
}

/** Return the arrow at the bottom of the U, with the size of the smallest maps. */
function bottom() {
  if (!bottleneck) return el("span", { class: "crossing main" }, "maps");
  return el("span", { class: "crossing main" }, el("b", {}, "bottleneck"), el("small", {}, times(bottleneck)));
}

/** Return a button with a small drawing of the network and a dot at the current stage. It leads to the network. */
export function smallMap() {
  const step = steps[state.step], here = stageOf(step), depth = Math.max(...stages.map(({ level }) => level)) + 1;
  const drawing = svg("svg", { viewBox: `0 0 64 ${8 * depth}`, width: 96, height: 12 * depth });
  /** @type {Record<string, number>} */
  const counts = {};
  const drawn = [...stages.filter(({ left }) => left).reverse(), ...stages.filter(({ left }) => !left)];
  for (const stage of drawn) {
    const { level, left } = stage, key = `${level}${left}`, k = counts[key] = (counts[key] ?? 0) + 1;
    const width = 13 - level, x = left ? 28 - k * 14 + level : 22 + k * 14, y = 8 * level + 2;
    drawing.append(svg("rect", { x, y, width, height: 4, rx: 1, class: stage === here ? "here" : "" }));
    if (stage === here) drawing.append(svg("circle", { cx: x + width / 2, cy: y + 2, r: 3.5, class: wayClass(step) }));
  }
  const end = step.way === "answer" || step.way.startsWith("loss");
  if (end) drawing.append(svg("circle", { cx: 61, cy: 4, r: 3, class: wayClass(step) }));
  const onclick = () => go(0, { push: true });
  const label = `the network${here ? `, now at ${here.name}` : ""}`;
  return el("button", { type: "button", class: "small-map", "aria-label": label, title: "show the network", onclick },
    drawing);
}

/**
 * @param {boolean} backward
 * @param {boolean} changed
 */
function explanationOf(backward, changed) {
  const which = "Each stage shows the channel with the largest standard deviation. Sizes are height × width × " +
    "channels. ";
  const bars = "The amber number is the root mean square of the gradients of a stage's maps. All bars have the same " +
    "logarithmic scale: each tenth of their length is a factor of 4.";
  if (changed) return "The maps follow from your changes, in the same channels and colours as the feature maps.";
  return which + (backward ? "Gradients flow from the loss back to the picture. " : "") + (data.labelled ? bars : "");
}

/**
 * @param {Stage} stage
 * @param {Step} step
 * @param {boolean} backward
 * @param {boolean} changed
 */
function stageCard(stage, step, backward, changed) {
  const node = data.nodes[stage.node], gradient = node.dresult ?? null;
  const index = backward && gradient !== null ? gradient : node.result, { shape, strongest } = data.tensors[index];
  const canvas = el("canvas", { style: `aspect-ratio: ${shape[1]} / ${shape[0]}` });
  const painted = tensorOf(index).then((tensor) => paint(canvas, tensor, strongest));
  if (changed) painted.then(changedRun).then(({ maps }) => repaint(canvas, maps.get(stage.name), index, strongest));
  const { size = 0, share = 0 } = gradientSizes.get(stage) ?? {}, { name, nodes, pooled } = stage;
  const bar = el("span", { class: "size", title: "root mean square of the gradients" },
    el("span", {}, el("i", { style: `width: ${100 * share}%` })), plain(size));
  const first = backward ? nodes[nodes.length - 1] : nodes[0], opens = data.nodes[first].name;
  return card({
    name, current: stageOf(step) === stage, target: stepOf(first, backward), title: `opens ${opens}`,
  }, canvas, el("b", {}, name), el("small", {}, times(shape)),
  pooled ? el("small", { class: "pooled" }, `pooled ${pooled.join("×")}`) : null,
  data.labelled && !changed ? bar : null,
  nodes.length > 1 ? el("small", { class: "opens" }, `opens ${opens.slice(name.length + 1)}`) : null);
}

/**
 * Paint a channel of a map with the reader's changes, in the scale of the map without them.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {StageMap | undefined} map
 * @param {number} index      of the array without changes
 * @param {number} channel
 */
function repaint(canvas, map, index, channel) {
  if (!map || map.H !== canvas.height || map.C !== data.tensors[index].shape[2]) return;
  const picture = new ImageData(map.W, map.H), scale = data.tensors[index].scales[channel];
  for (let k = 0; k < map.H * map.W; k++) {
    picture.data.set([...colourOf(map.values[k * map.C + channel], scale), 255], 4 * k);
  }
  canvas.getContext("2d")?.putImageData(picture, 0, 0);
}

/**
 * @param {Step} step
 * @param {boolean} changed
 */
function pictureCard(step, changed) {
  const canvas = el("canvas", {});
  if (changed) changedRun().then(({ rgb }) => paintRgb(canvas, rgb));
  return card({ name: "picture", current: step.way === "start", target: 0, title: "the picture" },
    changed ? canvas : el("img", { src: data.pictures.picture, alt: "" }), el("b", {}, "picture"));
}

/**
 * Return the cards of the prediction and, if there are labels, the loss.
 *
 * @param {Step} step
 * @param {boolean} changed
 */
function endCards(step, changed) {
  const answer = steps.findIndex(({ way }) => way === "answer"), loss = steps.findIndex(({ way }) => way === "loss");
  const { prediction, error } = data.pictures, canvas = el("canvas", {}), value = el("small", {});
  const before = error ? format(data.nodes[steps[loss].node].settings.value) : "";
  value.textContent = before;
  if (changed) {
    changedRun().then((run) => {
      paintRgb(canvas, coloursOfClasses(run.classes));
      value.textContent = format(run.loss);
    });
  }
  return [
    card({ name: "prediction", current: step.way === "answer", target: answer, title: "the prediction" },
      changed ? canvas : el("img", { src: prediction, alt: "" }), el("b", {}, "prediction")),
    error ? card({ name: "loss", current: step.way.startsWith("loss"), target: loss, title: "the loss" },
      changed ? null : el("img", { src: error, alt: "" }), el("b", {}, "loss"), value,
      changed ? el("small", {}, `before: ${before}`) : null) : null,
  ];
}

/**
 * @param {{ name: string, current: boolean, target: number, title: string }} what
 * @param {...Child} content
 */
function card({ name, current, target, title }, ...content) {
  const onclick = () => go(target, { push: true });
  return el("button", { type: "button", class: "stage", "data-stage": name, title, onclick,
    "aria-current": current ? "step" : null }, content);
}

/**
 * Return the step of a node in one direction.
 *
 * @param {number} node
 * @param {boolean} backward
 */
const stepOf = (node, backward) =>
  steps.findIndex((step) => step.node === node && step.way === (backward ? "backward" : "forward"));
