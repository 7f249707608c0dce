// Classes and their colours.

import { el } from "walk/elements.js";
import { data } from "walk/payload.js";

/** @param {string} colour */
export const swatch = (colour) => el("span", { class: "swatch", style: `background: ${colour}` });

/**
 * List the colours of all classes. unlabelled: also show the pattern of pixels without a label.
 *
 * @param {boolean} unlabelled
 */
export function legend(unlabelled) {
  const entry = (/** @type {(string | HTMLElement)[]} */ ...content) => el("li", { class: "class" }, ...content);
  return el("ul", { class: "legend" },
    data.classes.map(({ name, colour }) => entry(swatch(colour), el("span", {}, name))),
    unlabelled ? entry(el("span", { class: "swatch void" }), "not labelled") : null);
}
