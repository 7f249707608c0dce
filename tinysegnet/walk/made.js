// The number at the chosen pixel: what made it, and where its gradient goes.

const FEW = 16; // rows, before all are asked for

/** What made the number. */
function made(step, node, found) {
  const body = [el("h3", {}, `What made ${found.name}`)];
  body.push(el("p", { class: "clicked" }, el("code", {}, found.name), ` = ${format(found.shown)}`));
  if (found.note) body.push(el("p", {}, found.note));
  if (!found.complete) {
    body.push(el("p", {}, "The weights of this channel are not in this page, or it would be too large."));
    return el("section", { class: "made", tabindex: -1 }, body);
  }
  if (found.terms) body.push(windowSheets(found, node, Math.min(state.reading, found.read.C - 1)), sumTable(found));
  if (found.classes) body.push(classTable(found));
  if (found.lines) body.push(table(["", "", ""], found.lines.map(lineCells)));
  body.push(verdict(found), leadsOn(found));
  return el("section", { class: "made", tabindex: -1 }, body);
}

const lineCells = ([name, value, remark, source]) => [source ? follow(name, ...source) : name, value, remark];

/** How many of the numbers that were read lead on, and why the others do not. */
function leadsOn(found) {
  const fromTerms = (found.terms || []).map(({ at, k }) => [found.read, ...at, k]);
  const fromLines = (found.lines || []).map((line) => line[3]);
  const fromClasses = found.classes ? found.classes.sources : [];
  const sources = [...fromTerms, ...fromLines, ...fromClasses].filter(Boolean), count = sources.length;
  const leading = sources.filter((source) => makerWithSum(...source)).length;
  if (!count) return null;
  const why = "their sums are not in this page, since they lie between the dots of their picture, or in a channel " +
    "that is not shown.";
  const lead = leading === 1 ? "leads on to what made it" : "lead on to what made them";
  let text = `${leading} of these ${count} numbers ${lead} (›). Of the others the page has the values; ${why}`;
  if (leading === count) text = "A number with › leads on to what made it.";
  if (!leading) text = `These numbers lead no further: ${why}`;
  return el("p", { class: "quiet" }, text);
}

/** The result, beside the number that the network had. Below 1e-37 float32 has not all its digits. */
function verdict(found) {
  const difference = Object.is(found.computed, found.shown) ? 0 : Math.abs(found.computed - found.shown); // NaN is NaN
  const same = difference <= 1e-5 * Math.max(found.scale || 0, Math.abs(found.shown) || 0, 1e-37);
  const text = same ? `✓ the same (difference ${short(difference)})` : `✗ difference ${short(difference)}`;
  const values = { "data-computed": found.computed, "data-shown": found.shown, "data-scale": found.scale };
  return el("p", { class: "verdict", ...values },
    el("span", {}, "computed here ", el("b", {}, format(found.computed))),
    el("span", {}, "in the network ", el("b", {}, format(found.shown))),
    el("span", { class: same ? "good" : "bad" }, text));
}

/** Products, the largest first or in place, with the running total. */
function sumTable(found) {
  const terms = found.terms.map((t) => ({ ...t, product: t.a * t.w }));
  if (state.sorted) terms.sort((a, b) => Math.abs(b.product) - Math.abs(a.product));
  let total = found.start ? found.start.value : 0;
  const rows = found.start ? [[found.start.name, "", "", total, total]] : [];
  for (const { where, at, k, a, w, tag, product } of terms) {
    total += product;
    rows.push([[where, at, k], a, [w, tag], product, total]);
  }
  const weightCell = ([w, tag]) => el("span", {}, format(w), el("small", {}, tag.replace("weight", " ")));
  const shown = (state.all ? rows : rows.slice(0, FEW)).map(([where, a, weight, product, sum]) =>
    [linked(found, where), a, weight && weightCell(weight), product, sum]);
  const rest = rows.length - shown.length;
  if (rest) shown.push([`and ${rest} more`, "", "", total - rows[FEW - 1][4], total]);
  const order = el("p", { class: "choices" },
    toggle("largest first", state.sorted, () => { state.sorted = true; }),
    toggle("in place", !state.sorted, () => { state.sorted = false; }),
    rows.length > FEW ? toggle(`all ${rows.length} rows`, state.all, () => { state.all = !state.all; }) : null);
  const weight = found.terms.length && found.terms[0].tag.startsWith("weight") ? "weight" : "share";
  const outside = `${found.outside} more lie outside of the picture and count as 0.`;
  return el("div", {}, order, table(["number", "its value", `× ${weight}`, "= product", "total so far"], shown),
    found.outside ? el("p", { class: "quiet" }, outside) : null);
}

/** The name of a sum's term, or of its start. */
const linked = (found, where) =>
  (Array.isArray(where) ? follow(where[0], found.read, ...where[1], where[2]) : where);

/** The step that made a number, if the page has the number's sum there; else undefined. */
function makerWithSum(tensor, y, x, c) {
  const exact = tensor.grid[0].includes(y) && tensor.grid[1].includes(x) && c < tensor.shown;
  return exact ? makerOf(tensor.number, steps[state.step]) : undefined;
}

/** The name of a number that was read: a button to the step that made it, where that has its sum, too. */
function follow(name, tensor, y, x, c) {
  const maker = makerWithSum(tensor, y, x, c);
  if (!maker) return name;
  const jump = () => {
    state.place = [(y + 0.5) / tensor.H, (x + 0.5) / tensor.W];
    state.chosen[familyOf(maker)] = c;
    go(maker.k, { push: true, sum: true });
  };
  return el("button", { type: "button", class: "follow", title: "what made this number?", onclick: jump }, name);
}

/** One channel's part of the sum: numbers, weights and products, each where it lies in the window. */
function windowSheets(found, node, reading) {
  const [KH, KW] = node.windows.kernel, terms = found.terms.filter((t) => t.k === reading);
  if (!terms.length || KH * KW === 1 || KH * KW > 64) return null;
  const sheet = (name, pick) => {
    const scale = Math.max(...terms.map((t) => Math.abs(pick(t))));
    const cells = Array.from({ length: KH * KW }, (_, k) => {
      const term = terms.find((t) => t.i * KW + t.j === k);
      if (!term) return el("span", { class: "outside" }, "");
      const rgb = colourOf(pick(term), scale);
      return el("span", { style: `background: ${css(rgb)}; color: ${inkOn(rgb)}` }, short(pick(term)));
    });
    const grid = el("div", { class: "sheet", style: `grid-template-columns: repeat(${KW}, 1fr)` }, cells);
    return el("figure", { style: `--size: ${KW}` }, grid, el("figcaption", {}, name));
  };
  const part = terms.reduce((sum, t) => sum + t.a * t.w, 0);
  const words = `Channel ${reading} of ${found.letter} adds ${format(part)} to it:`;
  const letter = found.letter + (found.turned ? ", turned by 180°" : "");
  return el("div", { class: "sheets" }, el("p", {}, words),
    el("div", {}, sheet(letter, (t) => t.a), el("b", {}, "×"), sheet("weight", (t) => t.w), el("b", {}, "="),
      sheet("product", (t) => t.a * t.w)));
}

function classTable(found) {
  const { scores, most, exps, total, probs, best, sources } = found.classes;
  const rows = probs.map((p, k) => {
    const { name, colour } = data.classes[k], swatch = el("span", { class: "swatch", style: `background: ${colour}` });
    const bar = el("span", { class: "bar" }, el("i", { style: `width: ${100 * p}%; background: ${colour}` }));
    const tags = [k === best ? "predicted" : "", k === found.label ? "true" : ""].filter(Boolean).join(", ");
    const shown = el(k === best ? "b" : "span", {}, name);
    const label = el("span", { class: "class" }, swatch, shown, tags ? el("small", {}, tags) : null);
    return [label, sources[k] ? follow(format(scores[k]), ...sources[k]) : scores[k], exps[k], bar, p];
  });
  const sum = `m = ${format(most)}, the sum of the exponentials ${format(total)}.`;
  const one = data.oneLogit ? " Class 0 has no logit of its own: it counts as 0." : "";
  return el("div", {}, table(["class", "logit", "exp(logit − m)", "", "probability"], rows),
    el("p", { class: "quiet" }, sum + one));
}

const NOTHING = "Its gradient is 0: were this number a little more or less, the loss would stay. On the way to the " +
  "loss it is stopped by a ReLU, or passed over by a pooling, or its pixel has no label. So nothing goes on from here.";

/** Where the gradient of a number of out goes, on the steps forward. */
function goes(step, node, found, y, x, c) {
  if (step.way !== "forward" || !found.complete) return null;
  const head = el("h3", {}, "Where its gradient goes");
  const section = (...children) => el("section", { class: "goes" }, head, ...children);
  if (!data.labelled) {
    return section(el("p", { class: "quiet" }, "Without labels there is no loss, and no gradient."));
  }
  const g = (node.kind === "tap" && node.through ? node.dother : node.dout).value(y, x, c);
  if (g === 0) return section(el("p", {}, NOTHING));
  const intro = el("p", {}, "If this number were a little larger, the loss would change by ", el("b", {}, format(g)),
    " times as much: its gradient, dout.");
  if (!found.terms && !onwards[node.kind]) return section(intro);
  if (!found.terms) return section(intro, table(["to", "gradient", ""], onwards[node.kind](node, y, x, c, g)));
  return section(intro, ...sharesOf(node, found, c, g));
}

/** What each input, and each weight, of a sum gets of its gradient g. */
function sharesOf(node, found, c, g) {
  const weightsOwn = (t) => (node.weight ? [`d${t.tag}`, t.a * g] : []);
  const rows = found.terms.map((t) => [t.where.replace(/^x/, "dx"), t.w * g, ...weightsOwn(t)]);
  rows.sort((a, b) => Math.abs(b[1]) - Math.abs(a[1]));
  const shown = state.all ? rows : rows.slice(0, FEW), weights = node.weight ? ["this weight", "gets x × dout"] : [];
  const which = shown.length < rows.length ? `The ${FEW} largest of ${rows.length}. ` : "";
  const bias = node.vectors.bias ? ` dbias[${c}] gets dout itself.` : "";
  const note = `${which}Each of them gets something from other numbers of out, too; all of it is added up.${bias}`;
  const heads = ["this input", `gets ${node.weight ? "weight" : "share"} × dout`, ...weights];
  return [table(heads, shown), el("p", { class: "quiet" }, note)];
}
