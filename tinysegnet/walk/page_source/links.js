// Links from a number that was read to the step that made it.

import { familyOf } from "walk/channels.js";
import { el } from "walk/elements.js";
import { go } from "walk/navigation.js";
import { state } from "walk/state.js";
import { makerOf, steps } from "walk/steps.js";

/** @import { Source } from "walk/explanation.js" */

/**
 * The step that made a number, if the page can explain the number there.
 *
 * @param {Source} source
 */
export function explainableMaker([tensor, y, x, c]) {
  const exact = tensor.grid[0].includes(y) && tensor.grid[1].includes(x) && c < tensor.shown;
  return exact ? makerOf(tensor.index, steps[state.step]) : undefined;
}

/**
 * The name of a number that was read: a button to the step that made it, where that step can explain it.
 *
 * @param {string} name
 * @param {Source | null} [source]
 */
export function link(name, source) {
  const maker = source ? explainableMaker(source) : undefined;
  if (!source || !maker) return name;
  const [tensor, y, x, c] = source;
  const onclick = () => {
    state.place = [(y + 0.5) / tensor.H, (x + 0.5) / tensor.W];
    state.chosen[familyOf(maker)] = c;
    go(maker.index, { push: true, sum: true });
  };
  return el("button", { type: "button", class: "follow", title: "what made this number?", onclick }, name);
}

/**
 * How many of the numbers that were read are links, and why the others are not.
 *
 * @param {Source[]} sources
 */
export function linksNote(sources) {
  const count = sources.length, links = sources.filter(explainableMaker).length;
  if (!count) return null;
  const why = "their sums are not in this page, since they lie between the dots of their picture, or in a channel " +
    "that is not shown.";
  const lead = links === 1 ? "leads on to what made it" : "lead on to what made them";
  let text = `${links} of these ${count} numbers ${lead} (›). Of the others the page has the values; ${why}`;
  if (links === count) text = "A number with › leads on to what made it.";
  if (!links) text = `These numbers lead no further: ${why}`;
  return el("p", { class: "quiet" }, text);
}
