// Draws the page, and responds to slider, buttons, keys and the browser's history.

import { byId, el } from "walk/elements.js";
import { pause, playOrPause } from "walk/film.js";
import { beforeSteps, changeTheme, embedded, go, keepState, onKey, restore, stepOfAddress } from "walk/navigation.js";
import { startView } from "walk/start_view.js";
import { drawWith, state } from "walk/state.js";
import { stepView } from "walk/step_view.js";
import { WAYS, steps, wayClass } from "walk/steps.js";
import { nodeOf } from "walk/store.js";

const main = byId("main", HTMLElement), slider = byId("slider", HTMLInputElement);
let drawings = 0;

/** Draw the current step. */
async function render() {
  keepState();
  const drawing = ++drawings, step = steps[state.step];
  slider.value = String(step.index);
  const node = await nodeOf(step.node);
  if (drawing !== drawings) return; // another step was requested in the meantime
  const way = el("span", { class: `way ${wayClass(step)}` }, WAYS[step.way]);
  byId("where", HTMLElement).replaceChildren(`${step.index + 1} of ${steps.length}`, way, el("b", {}, step.shown));
  slider.setAttribute("aria-valuetext", `${step.shown}, ${WAYS[step.way]}`);
  markInList(step.index);
  const view = step.way === "start" ? startView : stepView;
  main.replaceChildren(...view(step, node).filter((part) => part !== null));
}

/**
 * Mark the current step in the list of all steps, and scroll the list so that this step is visible.
 *
 * @param {number} current
 */
function markInList(current) {
  const nav = byId("navigation", HTMLElement), buttons = document.querySelectorAll("#steps button");
  buttons.forEach((button, k) => button.setAttribute("aria-current", k === current ? "step" : "false"));
  const box = nav.getBoundingClientRect(), at = buttons[current].getBoundingClientRect();
  const hidden = at.height > 0 && (at.top < box.top + 40 || at.bottom > box.bottom - 40);
  if (hidden) nav.scrollTop += at.top - box.top - box.height / 2;
}

function begin() {
  drawWith(render);
  slider.max = String(steps.length - 1);
  slider.oninput = () => go(Number(slider.value));
  byId("previous", HTMLElement).onclick = () => go(state.step - 1);
  byId("next", HTMLElement).onclick = () => go(state.step + 1);
  byId("theme", HTMLElement).onclick = changeTheme;
  byId("ticks", HTMLElement).append(...steps.map((step) => el("i", { class: wayClass(step) })));
  byId("steps", HTMLElement).append(...steps.map((step) => {
    const text = step.way === "start" ? "the picture" : step.shown, dot = el("i", { class: wayClass(step) });
    const onclick = () => go(step.index, { push: true });
    return el("li", {}, el("button", { type: "button", onclick }, dot, text));
  }));
  byId("contents", HTMLDetailsElement).open = matchMedia("(min-width: 105rem)").matches;
  matchMedia("(prefers-color-scheme: dark)").onchange = render;
  if (!embedded) history.scrollRestoration = "manual";
  addEventListener("popstate", (event) => restore(event.state));
  addEventListener("hashchange", () => { if (stepOfAddress() !== state.step) restore(null); });
  addEventListener("keydown", (event) => onKey(event, { p: playOrPause }));
  beforeSteps(pause);
  byId("play", HTMLElement).onclick = playOrPause;
  return restore(history.state);
}

/** Resolves when the first step is drawn. */
export const ready = begin();
