// The head of a step: its name, what it does, its formula, its parameters; and the code that computed it.

import { el, rich, table } from "walk/elements.js";
import { goToTwin } from "walk/navigation.js";
import { format, times } from "walk/numbers.js";
import { data } from "walk/payload.js";
import { WAYS, twinOf, wayClass } from "walk/steps.js";

/** @import { Parameter } from "walk/payload.js" */
/** @import { Step } from "walk/steps.js" */
/** @import { LoadedNode } from "walk/store.js" */

/**
 * @param {Step} step
 * @param {LoadedNode} node
 */
export function headline(step, node) {
  const twin = twinOf(step), where = `to its ${twin?.way.endsWith("backward") ? "backward" : "forward"} (b)`;
  const total = step.way === "loss" ? `Of this picture, all pixels together: ${format(node.settings.value)}.` : "";
  const end = "Here the walk ends: without labels there is no loss, and no way back.";
  const more = step.way === "answer" && !data.labelled ? end : total;
  const weights = step.way.startsWith("loss") ? data.weighting : "";
  return el("div", { class: "headline" },
    el("p", { class: `way ${wayClass(step)}` }, WAYS[step.way], step.layer ? ` · ${step.title}` : ""),
    el("h1", {}, step.shown),
    rich("p", { class: "what" }, step.what),
    step.why ? rich("p", { class: "why" }, step.why) : null,
    more ? el("p", {}, more) : null,
    weights ? el("p", { class: "weighting" }, weights) : null,
    step.formula ? rich("pre", { class: "formula" }, breakable(step.formula)) : null,
    parameters(step.params),
    twin ? el("button", { type: "button", class: "choice", onclick: goToTwin }, where) : null);
}

/**
 * A formula in HTML. Where two equations share a line and the line is too narrow, the second one begins a new line.
 *
 * @param {string} formula
 */
function breakable(formula) {
  return formula.replace(/.+/g, (line) => line.split(/ {3,}/).map((each) => `<span>${each}</span>`).join("        "));
}

/** @param {Parameter[]} params */
function parameters(params) {
  if (!params.length) return null;
  const names = params.map(({ name }) => el("code", {}, name));
  const rows = [
    ["shape", ...params.map(({ shape }) => times(shape))],
    ["smallest", ...params.map(({ low }) => low)],
    ["largest", ...params.map(({ high }) => high)],
  ];
  if (params[0].norm === undefined) return table(["parameter", ...names], rows);
  rows.push(["norm", ...params.map(({ norm }) => norm ?? null)],
    ["norm / norm of the parameter", ...params.map(({ share }) => share ?? null)]);
  return el("div", {}, table(["gradient", ...names], rows),
    el("p", { class: "quiet" }, "Of the gradients of the parameters the page has these figures, not every number."));
}

/**
 * The code of a step, its comments and docstrings in a quieter colour.
 *
 * @param {Step} step
 */
export function sourceCode(step) {
  const source = data.sources[step.source];
  if (!source) return null;
  const code = el("code");
  let quoted = false;
  for (const line of source.text.split("\n")) {
    const quotes = line.split('"""').length - 1, quiet = quoted || quotes > 0 || line.trim().startsWith("#");
    if (quotes % 2) quoted = !quoted;
    code.append(quiet ? el("i", {}, line) : line, "\n");
  }
  return el("details", { class: "source", open: true }, el("summary", {}, "The code that computed it"),
    el("p", { class: "quiet" }, source.head), el("pre", {}, code));
}
