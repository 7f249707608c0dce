// The film: one step after another, from the picture to the loss and back. It shows all steps, those of one op, or the
// journey of one pixel.

import { byId, el, svg } from "walk/elements.js";
import { captionOf } from "walk/captions.js";
import { goOnJourney } from "walk/journey.js";
import { chosenPixel, go } from "walk/navigation.js";
import { state } from "walk/state.js";
import { resultOf, steps } from "walk/steps.js";
import { nodeOf } from "walk/store.js";

const SPEEDS = [0.5, 1, 2, 4], DURATION = 4000; // milliseconds per step at speed 1
const ALL = "all steps", JOURNEY = "this pixel's journey";
const film = { playing: false, speed: 1, timer: 0, shows: ALL };
const ops = [...new Set(steps.filter((step) => step.layer).map((step) => step.title))]; // such as convolution

/** Start the film at the present step, or pause it. */
export function playOrPause() {
  film.playing = !film.playing;
  if (film.playing && state.step === steps.length - 1) return goTo(0).then(show);
  return show();
}

/** Start the film of the journey of the pixel that is shown, at the picture. */
export function playJourney() {
  Object.assign(film, { playing: true, shows: JOURNEY });
  return goTo(0).then(show);
}

/** @param {number} index */
const goTo = (index) => (film.shows === JOURNEY ? goOnJourney : go)(index, { film: true });

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
  bar.replaceChildren(el("p", {}, el("b", {}, step.shown), ": ", await caption()), choice(), speed);
  film.timer = window.setTimeout(advance, DURATION / film.speed);
}

function pauseSign() {
  const sign = svg("svg", { viewBox: "0 0 10 10", width: 14, height: 14, fill: "currentColor" });
  sign.append(svg("rect", { x: 1, width: 3, height: 10 }), svg("rect", { x: 6, width: 3, height: 10 }));
  return sign;
}

/** Let the reader choose what the film shows. */
function choice() {
  const select = el("select", { "aria-label": "steps of the film" }, [ALL, JOURNEY, ...ops].map((text) =>
    el("option", { value: text, selected: text === film.shows }, text)));
  select.onfocus = () => clearTimeout(film.timer); // an open list must stay
  select.onchange = () => {
    if (select.value === JOURNEY) return playJourney();
    film.shows = select.value;
    return show();
  };
  return select;
}

function changeSpeed() {
  film.speed = SPEEDS[(SPEEDS.indexOf(film.speed) + 1) % SPEEDS.length];
  show();
}

async function advance() {
  const ofOp = ops.includes(film.shows);
  const next = steps.findIndex((step, k) => k > state.step && (!ofOp || step.title === film.shows));
  if (next < 0) return pause();
  await goTo(next);
  return show();
}

/** Return a sentence on how the present step computes the chosen pixel's number. */
async function caption() {
  const step = steps[state.step], node = await nodeOf(step.node, step.way), result = resultOf(step, node);
  const [y, x] = chosenPixel(result);
  return captionOf(step, node, y, x, Math.min(state.channel, result.shown - 1));
}
