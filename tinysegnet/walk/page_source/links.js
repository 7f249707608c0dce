// Links from a number to the step that computed it.

import { isComputable } from "walk/computable.js";
import { el } from "walk/elements.js";
import { state } from "walk/state.js";
import { makerOf, steps } from "walk/steps.js";
import { follow } from "walk/trail.js";

/** @import { Source } from "walk/explanation.js" */

/**
 * Return the step that computed a number, if the page can explain the number there.
 *
 * @param {Source} source
 */
export function explainableMaker([tensor, y, x, c]) {
  const atDot = tensor.grid[0].includes(y) && tensor.grid[1].includes(x) && c < tensor.shown;
  return atDot || isComputable(tensor.index) ? makerOf(tensor.index, steps[state.step]) : undefined;
}

/**
 * Return a function that leads to the derivation of a number, or null if the page cannot explain the number.
 *
 * @param {string} own    the name of the present number
 * @param {Source | null} [source]
 */
export function linkTo(own, source) {
  const maker = source ? explainableMaker(source) : undefined;
  if (!source || !maker) return null;
  const [tensor, y, x, c] = source;
  return () => follow(own, maker, [(y + 0.5) / tensor.H, (x + 0.5) / tensor.W], c);
}

/**
 * Show the name of a number. It is a button if the step that computed the number can explain it.
 *
 * @param {string} own    the name of the present number
 * @param {string} name
 * @param {Source | null} [source]
 */
export function link(own, name, source) {
  const onclick = linkTo(own, source);
  if (!onclick) return name;
  return el("button", { type: "button", class: "follow", title: "show how this number was computed", onclick }, name);
}

/**
 * Return a note on how many of the numbers that were read are links, and why the others are not.
 *
 * @param {Source[]} sources
 */
export function linksNote(sources) {
  const count = sources.length, links = sources.filter(explainableMaker).length;
  if (!count) return null;
  const why = "because they are between the dots of their picture or in a channel that is not shown.";
  const how = "Click › to see how a number was computed.";
  let text = `${how} ${count - links} of the ${count} numbers here have no link, ${why}`;
  if (links === count) text = how;
  if (!links) text = `These numbers have no links, ${why}`;
  return el("p", { class: "quiet screen-only" }, text);
}
