// Draws the page, and responds to slider, buttons, keys and the browser's history.

import { reusingPictures } from "walk/colours.js";
import { whenLoaded } from "walk/computable.js";
import { byId, el } from "walk/elements.js";
import { pause, playOrPause } from "walk/film.js";
import { beforeSteps, changeTheme, embedded, go, keepState, onKey, restore, stepOfAddress } from "walk/navigation.js";
import { startView } from "walk/start_view.js";
import { drawWith, state } from "walk/state.js";
import { stepView } from "walk/step_view.js";
import { WAYS, steps, wayClass } from "walk/steps.js";
import { nodeOf } from "walk/store.js";
import { undoLast } from "walk/what_if_controls.js";
import { showNotice } from "walk/what_if_view.js";

const main = byId("main", HTMLElement), slider = byId("slider", HTMLInputElement);
const PAUSE = 100; // milliseconds before a step is prepared
let drawings = 0, drawn = -1;

/** Draw the current step. */
async function render() {
  keepState();
  const drawing = ++drawings, step = steps[state.step];
  slider.value = String(step.index);
  const node = await nodeOf(step.node, step.way);
  if (drawing !== drawings) return; // another step was requested in the meantime
  const view = step.way === "start" ? startView : stepView;
  const parts = await whenLoaded(() => reusingPictures(() => view(step, node)));
  if (drawing !== drawings) return;
  const scroll = main.querySelector(".sum")?.scrollTop ?? 0; // read before the page changes
  const way = el("span", { class: `way ${wayClass(step)}` }, WAYS[step.way]);
  byId("where", HTMLElement).replaceChildren(`${step.index + 1} of ${steps.length}`, way, el("b", {}, step.shown));
  slider.setAttribute("aria-valuetext", `${step.shown}, ${WAYS[step.way]}`);
  replaceContent(step.index, parts.filter((part) => part !== null), scroll);
  if (step.way !== "start") prepare([step.index + 1, step.index - 1]);
}

/**
 * Unpack the arrays of these steps, each after a moment in which the page does not change.
 *
 * @param {number[]} indices
 */
function prepare([index, ...others]) {
  const step = steps[index], drawing = drawings;
  setTimeout(async () => {
    if (drawing !== drawings) return;
    if (step) await nodeOf(step.node, step.way);
    if (others.length && drawing === drawings) prepare(others);
  }, PAUSE);
}

/**
 * Replace the content of the page. If the step is the same, the panel keeps its scroll position, and the control in
 * focus is found again by its label.
 *
 * @param {number} step
 * @param {Node[]} parts
 * @param {number} scroll   of the panel
 */
function replaceContent(step, parts, scroll) {
  const same = step === drawn, focused = document.activeElement;
  const label = focused && main.contains(focused) ? labelOf(focused) : "";
  main.replaceChildren(...parts);
  drawn = step;
  showNotice();
  markInList(step);
  markWideContent();
  if (same) main.querySelector(".sum")?.scrollTo({ top: scroll });
  if (!same || !label) return;
  const found = [...main.querySelectorAll("button, input, select")].find((each) => labelOf(each) === label);
  if (found instanceof HTMLElement) found.focus({ preventScroll: true });
}

/** Let the keyboard scroll tables and code that are wider than their place. */
function markWideContent() {
  const boxes = [...document.querySelectorAll(".wide, .source pre")];
  const wide = boxes.map((box) => box.scrollWidth > box.clientWidth + 1); // all read first: the page is laid out once
  const attributes = { tabindex: "0", role: "group", "aria-label": "scroll sideways to see all" };
  boxes.forEach((box, k) => {
    for (const [name, value] of Object.entries(attributes)) {
      if (wide[k]) box.setAttribute(name, value);
      else box.removeAttribute(name);
    }
  });
}

/** @param {Element} element */
const labelOf = (element) => element.tagName + (element.getAttribute("aria-label") ?? element.textContent);

/**
 * Mark the current step in the list of all steps, and scroll the list so that this step is visible.
 *
 * @param {number} current
 */
function markInList(current) {
  const nav = byId("navigation", HTMLElement), button = document.querySelectorAll("#steps button")[current];
  document.querySelector("#steps [aria-current]")?.removeAttribute("aria-current");
  button.setAttribute("aria-current", "step");
  const box = nav.getBoundingClientRect(), at = button.getBoundingClientRect();
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
  addEventListener("keydown", (event) => onKey(event, { p: playOrPause, z: undoLast }));
  addEventListener("resize", markWideContent);
  beforeSteps(pause);
  byId("play", HTMLElement).onclick = playOrPause;
  return restore(history.state);
}

/** Resolves when the first step is drawn. */
export const ready = begin();
