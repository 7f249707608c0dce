// The network on one screen: every stage with its strongest feature map, from the picture to the loss and back.

import { paint } from "walk/colours.js";
import { el, svg, toggle } from "walk/elements.js";
import { go } from "walk/navigation.js";
import { format, short, times } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { crossings, stageOf, stages } from "walk/stages.js";
import { state } from "walk/state.js";
import { steps, wayClass } from "walk/steps.js";
import { tensorOf } from "walk/store.js";

/** @import { Child } from "walk/elements.js" */
/** @import { Stage } from "walk/stages.js" */
/** @import { Step } from "walk/steps.js" */

/** The sizes of the gradients of all stages, 0..1 on a logarithmic scale over six powers of ten. */
const gradientSizes = (() => {
  const sizes = stages.map(({ node }) => data.tensors[data.nodes[node].dresult ?? -1]?.statistics.std ?? 0);
  const most = Math.max(...sizes);
  return new Map(stages.map((stage, k) =>
    [stage, { size: sizes[k], share: sizes[k] > 0 ? Math.max(0.02, 1 + Math.log10(sizes[k] / most) / 6) : 0 }]));
})();

/** Show the network as a U, with a mark at the current step. */
export function networkMap() {
  const step = steps[state.step], backward = state.mapShowsGradients && data.labelled;
  const top = stages.filter(({ level }) => level === 0), ends = data.labelled ? 2 : 1;
  const half = Math.max(1 + top.filter(({ left }) => left).length, ends + top.filter(({ left }) => !left).length);
  const levels = [...new Set(stages.map((stage) => stage.level))].sort((a, b) => a - b);
  const rows = levels.map((level) => {
    const here = stages.filter((stage) => stage.level === level);
    const left = here.filter((stage) => stage.left), right = here.filter((stage) => !stage.left);
    const cards = (/** @type {Stage[]} */ some) => some.map((stage) => stageCard(stage, step, backward));
    return el("div", { class: "level", style: `--level: ${level}` },
      el("div", { class: "left" }, level === 0 ? pictureCard(step) : null, cards(left)),
      el("div", { class: "crossings" }, crossings.filter(({ from, to }) => left.includes(from) && right.includes(to))
        .map(({ what }) => el("span", { class: "crossing" }, what))),
      el("div", { class: "right" }, cards(right), level === 0 ? endCards(step) : null));
  });
  const choose = (/** @type {boolean} */ gradients) => () => { state.mapShowsGradients = gradients; };
  return el("section", { class: `network-map ${backward ? "backward" : "forward"}`, "aria-label": "the network" },
    el("h2", {}, "The network"),
    data.labelled ? el("p", { class: "choices" },
      toggle("feature maps", !backward, choose(false)), toggle("gradients", backward, choose(true))) : null,
    el("div", { style: `--columns: ${2 * half}` }, rows),
    el("p", { class: "quiet" }, explanationOf(backward)));
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

/** @param {boolean} backward */
function explanationOf(backward) {
  const which = "Each stage shows the channel with the largest standard deviation.";
  const bars = " The bar below it shows the standard deviation of its gradients, on a logarithmic scale: each tenth " +
    "of its length is a factor of 4.";
  return backward ? `${which} Gradients flow from the loss back to the picture.` : which + (data.labelled ? bars : "");
}

/**
 * @param {Stage} stage
 * @param {Step} step
 * @param {boolean} backward
 */
function stageCard(stage, step, backward) {
  const node = data.nodes[stage.node], gradient = node.dresult ?? null;
  const index = backward && gradient !== null ? gradient : node.result, { shape, strongest } = data.tensors[index];
  const canvas = el("canvas", { style: `aspect-ratio: ${shape[1]} / ${shape[0]}` });
  tensorOf(index).then((tensor) => paint(canvas, tensor, strongest));
  const { size = 0, share = 0 } = gradientSizes.get(stage) ?? {};
  const bar = data.labelled ? el("span", { class: "size" }, el("i", { style: `width: ${100 * share}%` })) : null;
  const note = data.labelled ? `, gradients of about ${short(size)}` : "";
  return card({
    name: stage.name, current: stageOf(step) === stage, target: stepOf(stage.node, backward),
    title: `${stage.name}: ${times(shape)}${note}`,
  }, canvas, el("b", {}, stage.name), el("small", {}, times(shape)), bar);
}

/** @param {Step} step */
const pictureCard = (step) => card({ name: "picture", current: step.way === "start", target: 0, title: "the picture" },
  el("img", { src: data.pictures.picture, alt: "" }), el("b", {}, "picture"));

/** @param {Step} step */
function endCards(step) {
  const answer = steps.findIndex(({ way }) => way === "answer"), loss = steps.findIndex(({ way }) => way === "loss");
  const end = step.way.startsWith("loss"), { error } = data.pictures;
  return [
    card({ name: "prediction", current: step.way === "answer", target: answer, title: "the prediction" },
      el("img", { src: data.pictures.prediction, alt: "" }), el("b", {}, "prediction")),
    error ? card({ name: "loss", current: end, target: loss, title: "the loss" },
      el("img", { src: error, alt: "" }), el("b", {}, "loss"),
      el("small", {}, format(data.nodes[steps[loss].node].settings.value))) : null,
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
