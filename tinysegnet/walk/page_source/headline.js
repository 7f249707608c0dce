// The words of a step: its name and explanation, its formula and parameters, and the code that computed it.

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
  const twin = twinOf(step), where = `${twin?.way.endsWith("backward") ? "backward" : "forward"} step (b)`;
  const total = step.way === "loss" ? `The loss of this picture is ${format(node.settings.value)}.` : "";
  const end = "The walk ends here: without labels there is no loss and no backward pass.";
  const more = step.way === "answer" && !data.labelled ? end : total;
  const weights = step.way.startsWith("loss") ? data.weighting : "";
  return el("div", { class: "headline" },
    el("p", { class: `way ${wayClass(step)}` }, WAYS[step.way], step.layer ? ` · ${step.title}` : ""),
    el("h1", {}, step.shown),
    rich("p", { class: "what" }, step.what),
    more ? el("p", {}, more) : null,
    weights ? el("p", { class: "weighting" }, weights) : null,
    twin ? el("button", { type: "button", class: "choice", onclick: goToTwin }, where) : null);
}

/**
 * Show why the step exists, its formula and the parameters of its layer.
 *
 * @param {Step} step
 */
export function formula(step) {
  if (!(step.why || step.formula || step.params.length)) return null;
  return el("section", { class: "formula-section" },
    el("h2", {}, step.params.length ? "Formula and parameters" : "Formula"),
    step.why ? rich("p", { class: "why" }, step.why) : null,
    step.formula ? rich("pre", { class: "formula" }, breakable(step.formula)) : null,
    parameters(step.params));
}

/**
 * Return a formula in HTML. If a line is too narrow for its two equations, the second one starts a new line.
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
    ["norm relative to the parameter's norm", ...params.map(({ share }) => share ?? null)]);
  return el("div", {}, table(["gradient", ...names], rows),
    el("p", { class: "quiet" }, "The page contains only these figures, not every value of the parameters' gradients."));
}

/**
 * Show the code of a step, with comments and docstrings in a muted colour.
 *
 * @param {Step} step
 */
export function sourceCode(step) {
  const source = data.sources[step.source];
  if (!source) return null;
  const code = el("code");
  let quoted = false;
  for (const line of source.text.trimEnd().split("\n")) {
    const quotes = line.split('"""').length - 1, quiet = quoted || quotes > 0 || line.trim().startsWith("#");
    if (quotes % 2) quoted = !quoted;
    code.append(quiet ? el("i", {}, line) : line, "\n");
  }
  return el("details", { class: "source", open: true }, el("summary", {}, "The code that computed this step"),
    el("p", { class: "quiet" }, source.head), el("pre", {}, code));
}
