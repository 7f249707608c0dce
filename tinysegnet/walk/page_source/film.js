// The film: the chosen pixel from the picture to the loss, and its gradient on the way home, one step after another.

import { byId, el, svg } from "walk/elements.js";
import { explain } from "walk/explain.js";
import { chosenPixel, go } from "walk/navigation.js";
import { short } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { state } from "walk/state.js";
import { resultOf, steps } from "walk/steps.js";
import { nodeOf } from "walk/store.js";

/** @import { Explanation } from "walk/explanation.js" */
/** @import { LoadedNode } from "walk/store.js" */

const SPEEDS = [0.5, 1, 2, 4], DURATION = 4000; // milliseconds per step at speed 1
const film = { playing: false, speed: 1, timer: 0, op: "" };
const ops = [...new Set(steps.filter((step) => step.layer).map((step) => step.title))]; // such as convolution

/** Start the film at the present step, or pause it. */
export function playOrPause() {
  film.playing = !film.playing;
  if (film.playing && state.step === steps.length - 1) return go(0, { film: true }).then(show);
  return show();
}

/** Pause the film, because the reader does something else. */
export function pause() {
  if (!film.playing) return;
  film.playing = false;
  show();
}

/** Show the present step's caption and, if the film plays, wait for the next step. */
async function show() {
  clearTimeout(film.timer);
  const button = byId("play", HTMLButtonElement), bar = byId("film", HTMLElement);
  button.replaceChildren(film.playing ? pauseSign() : "▶");
  button.setAttribute("aria-label", film.playing ? "pause the film" : "play the film");
  bar.hidden = !film.playing;
  if (!film.playing) return;
  const step = steps[state.step], speed = el("button", { type: "button", class: "choice", onclick: changeSpeed },
    `speed ${film.speed}×`);
  bar.replaceChildren(el("p", {}, el("b", {}, step.shown), ": ", await caption()), opChoice(), speed);
  film.timer = window.setTimeout(advance, DURATION / film.speed);
}

function pauseSign() {
  const sign = svg("svg", { viewBox: "0 0 10 10", width: 14, height: 14, fill: "currentColor" });
  sign.append(svg("rect", { x: 1, width: 3, height: 10 }), svg("rect", { x: 6, width: 3, height: 10 }));
  return sign;
}

/** Let the reader choose the op whose steps the film shows. */
function opChoice() {
  const select = el("select", { "aria-label": "steps of the film" }, ["", ...ops].map((op) =>
    el("option", { value: op, selected: op === film.op }, op || "all steps")));
  select.onfocus = () => clearTimeout(film.timer); // an open list must stay
  select.onchange = () => {
    film.op = select.value;
    show();
  };
  return select;
}

function changeSpeed() {
  film.speed = SPEEDS[(SPEEDS.indexOf(film.speed) + 1) % SPEEDS.length];
  show();
}

async function advance() {
  const next = steps.findIndex((step, k) => k > state.step && (!film.op || step.title === film.op));
  if (next < 0) return pause();
  await go(next, { film: true });
  return show();
}

/** Return a sentence on how the present step computes the chosen pixel's number. */
async function caption() {
  const step = steps[state.step], node = await nodeOf(step.node), result = resultOf(step, node);
  const [y, x] = chosenPixel(result), c = Math.min(state.channel, result.shown - 1);
  if (step.way === "start") return `the journey of the pixel in row ${y}, column ${x} begins.`;
  return sentence(node, explain(step, node, y, x, c));
}

/**
 * @param {LoadedNode} node
 * @param {Explanation} explanation
 */
function sentence(node, { name, shown, note, sum, softmax, label, lines }) {
  if (sum) return `${sum.terms.length} products add up to ${name} = ${short(shown)}.`;
  if (softmax && label !== undefined) {
    const { name: right } = data.classes[label], p = short(softmax.probs[label]);
    return `p of ${right}, the true class, is ${p}, so ${name} = ${short(shown)}.`;
  }
  if (softmax && softmax.best >= 0) {
    const best = softmax.probs[softmax.best], { name: predicted } = data.classes[softmax.best];
    return `the largest of ${softmax.probs.length} probabilities is ${short(best)}, for ${predicted}.`;
  }
  if (!lines) return `${name} = ${short(shown)}. ${note ?? ""}`;
  const [, value, remark] = lines[0], pools = node.kind === "max_pool2d" && name.startsWith("out");
  if (pools) return `the largest of ${lines.length - 1} numbers is ${name} = ${short(shown)}.`;
  const from = typeof value === "number" ? `${short(value)} becomes ` : "", last = lines[lines.length - 1][2];
  return `${from}${name} = ${short(shown)}${remark || last ? ` (${remark || last})` : ""}.`;
}
