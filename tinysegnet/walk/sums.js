// How one number came about: every explanation computes it again, in float64, from the float32 numbers of the page.
//
//   { name, shown, computed, scale, complete }          and one of
//   { terms, start, outside, read, letter, turned }     a sum of products
//   { lines }                                           [name, number or text, remark, source] each, last the result
//   { classes }                                         a softmax
//
// source: [array, row, column, channel] of a number that was read, if it was.
// shown: the number as the network had it. computed: what the explanation arrives at. scale: the largest thing in it.
// complete: the page has all that it takes.

/** Pixels of the larger side that belong to (u, v) of the smaller: [i, j, row, column] each. */
function under(windows, u, v, large) {
  const found = [];
  for (let i = 0; i < windows.kernel[0]; i++) {
    for (let j = 0; j < windows.kernel[1]; j++) {
      const y = u * windows.stride[0] - windows.before[0] + i, x = v * windows.stride[1] - windows.before[1] + j;
      if (y >= 0 && y < large.H && x >= 0 && x < large.W) found.push([i, j, y, x]);
    }
  }
  return found;
}

/** Pixels of the smaller side that (y, x) of the larger belongs to: [i, j, row, column] each. */
function over(windows, y, x, small) {
  const found = [];
  for (let i = 0; i < windows.kernel[0]; i++) {
    for (let j = 0; j < windows.kernel[1]; j++) {
      const u = (y + windows.before[0] - i) / windows.stride[0], v = (x + windows.before[1] - j) / windows.stride[1];
      const whole = Number.isInteger(u) && Number.isInteger(v);
      if (whole && u >= 0 && u < small.H && v >= 0 && v < small.W) found.push([i, j, u, v]);
    }
  }
  return found;
}

const MIXES = new Set(["conv2d", "conv_transpose2d", "tap"]); // every channel of one side meets every one of the other
const SUMS = new Set([...MIXES, "depthwise_conv2d", "upsample_nearest2d", "upsample_bilinear2d"]);

/** Is a step of this node a sum of products over windows? A tap without a convolution is not. */
const isSum = (node) => SUMS.has(node.kind) && Boolean(node.windows);

/** The weight with which a pixel of the smaller side counts for one of the larger, along one axis of an upsampling. */
function blend(large, small, factor, size) {
  const position = Math.min(Math.max((large + 0.5) / factor - 0.5, 0), size - 1);
  return Math.max(0, 1 - Math.abs(position - small));
}

/** The weight between pixels of the two sides, and what it is called. at: [i, j] and the pixels [y, x], [u, v]. */
function weightBetween(node, [i, j], [y, x], [u, v], large, small, smallSide) {
  if (node.weight) {
    const first = node.kind === "depthwise_conv2d" ? 0 : large;
    return [node.weight(i, j, first, small), `weight[${i}, ${j}, ${first}, ${small}]`];
  }
  if (node.kind === "upsample_nearest2d") return [1, "share"];
  const { factor } = node.facts;
  return [blend(y, u, factor, smallSide.H) * blend(x, v, factor, smallSide.W), "share"];
}

/** The terms of a number of `target` ("out": forward, "in": the gradient of x): what was read, and its weight. */
function termsOf(node, target, y, x, c) {
  const back = target === "in", tap = node.kind === "tap";
  const read = back ? (tap ? node.dother : node.dout) : node.x, letter = back ? (tap ? "dkept" : "dout") : "x";
  const targetIsLarge = node.windows.large === target, channels = MIXES.has(node.kind) ? read.C : 1;
  const pixels = (targetIsLarge ? over : under)(node.windows, y, x, read), terms = [];
  const smallSide = targetIsLarge ? read : node.dx;
  for (const [i, j, p, q] of pixels) {
    for (let n = 0; n < channels; n++) {
      const k = channels === 1 ? (MIXES.has(node.kind) ? 0 : c) : n;
      const [large, small] = targetIsLarge ? [c, k] : [k, c], ends = [[y, x], [p, q]];
      const [w, tag] = weightBetween(node, [i, j], ...(targetIsLarge ? ends : ends.reverse()), large, small, smallSide);
      if (w === 0 && tag === "share") continue;
      terms.push({ i, j, k, at: [p, q], where: `${letter}[${p}, ${q}, ${k}]`, a: read.value(p, q, k), w, tag });
    }
  }
  const taps = node.windows.kernel[0] * node.windows.kernel[1];
  const outside = targetIsLarge ? 0 : (taps - pixels.length) * channels;
  return { terms, outside, read, letter, turned: targetIsLarge };
}

/** A number as a sum of products. start: what the sum begins with, a bias for example. */
function asSum(node, target, tensor, name, y, x, c, start) {
  const parts = termsOf(node, target, y, x, c), first = start ? start.value : 0;
  const computed = parts.terms.reduce((sum, t) => sum + t.a * t.w, first);
  const complete = parts.terms.every((t) => t.a !== undefined && t.w !== undefined);
  const scale = Math.max(Math.abs(first), ...parts.terms.map((t) => Math.abs(t.a * t.w)));
  return { name, shown: tensor.value(y, x, c), computed, scale, complete, start, ...parts };
}

/** A number as the last of some lines. scale: if the first and the last line do not tell. */
function asLines(tensor, name, y, x, c, lines, scale) {
  const shown = tensor.value(y, x, c), computed = lines[lines.length - 1][1];
  const complete = lines.every((line) => line[1] !== undefined);
  const sizes = [lines[0][1], computed, shown].map((value) => Math.abs(Number(value)) || 0);
  return { name, shown, computed, scale: scale || Math.max(...sizes), complete, lines };
}

/** The softmax of the page's logits at a pixel; of one logit, the sigmoid's two probabilities. */
function softmaxAt(logits, y, x) {
  const values = Array.from({ length: logits.C }, (_, k) => logits.value(y, x, k));
  const scores = logits.C === 1 ? [0, values[0]] : values;
  const most = Math.max(...scores), exps = scores.map((z) => Math.exp(z - most));
  const total = exps.reduce((a, b) => a + b, 0);
  const probs = exps.map((e) => e / total), best = scores.indexOf(most); // −1: not a number
  const sources = values.map((_, k) => [logits, y, x, k]);
  return { scores, most, exps, total, probs, best, sources: logits.C === 1 ? [null, ...sources] : sources };
}

function explainAnswer(node, y, x, c) {
  const soft = softmaxAt(node.x, y, x), k = node.x.C === 1 ? 1 : c;
  const found = { name: `p[${y}, ${x}, ${k}]`, shown: node.out.value(y, x, c), computed: soft.probs[k] };
  return { ...found, scale: 1, complete: true, classes: soft };
}

/** The class of a pixel, or null where nobody labelled it. */
function labelAt(node, y, x) {
  const label = node.labels[y * node.out.W + x];
  return label === 255 ? null : label;
}

const unlabelled = (name, shown) =>
  ({ name, shown, computed: 0, scale: 1, complete: true, note: "Nobody labelled this pixel: it does not count." });

function explainLoss(node, y, x) {
  const label = labelAt(node, y, x), name = `loss[${y}, ${x}]`;
  if (label === null) return unlabelled(name, node.out.value(y, x, 0));
  const soft = softmaxAt(node.logits, y, x), { weights, divisor } = node.facts, weight = weights[label];
  const surprise = Math.log(soft.total) + soft.most - soft.scores[label];
  const lines = [
    ["the true class y", data.classes[label].name, ""],
    [`p of ${data.classes[label].name}`, soft.probs[label], "", probOf(node, y, x, label)],
    ["−log p", surprise, "the surprise: 0 if p were 1"],
    ["weight", weight, weights.every((w) => w === 1) ? "1 for every class" : "of the true class"],
    ["D", divisor, "labelled pixels"],
    ["weight · (−log p) / D", (weight * surprise) / divisor, ""],
  ];
  return { ...asLines(node.out, name, y, x, 0, lines, weight / divisor), classes: soft, label };
}

/** Where a class's probability is; class 0 of one logit has none of its own. */
function probOf(node, y, x, k) {
  const channel = node.logits.C === 1 ? k - 1 : k;
  return channel < 0 ? null : [node.x, y, x, channel];
}

function explainLossBackward(node, y, x, c) {
  const label = labelAt(node, y, x), one = node.logits.C === 1, k = one ? 1 : c, name = `dlogits[${y}, ${x}, ${c}]`;
  if (label === null) return unlabelled(name, node.dx.value(y, x, c));
  const soft = softmaxAt(node.logits, y, x), weight = node.facts.weights[label] / node.facts.divisor;
  const right = label === k ? 1 : 0;
  const lines = [
    [`p of ${data.classes[k].name}`, soft.probs[k], "", probOf(node, y, x, k)],
    ["1 if it is the true class", right, `the true class is ${data.classes[label].name}`],
    ["weight / D", weight, ""],
    [`weight / D · (p − ${right})`, weight * (soft.probs[k] - right), ""],
  ];
  return asLines(node.dx, name, y, x, c, lines, weight);
}

/** The array that a step makes. */
function resultOf(step, node) {
  if (step.way === "start") return node.x;
  if (step.way === "backward" || step.way === "loss backward") return node.dx;
  return node.kind === "tap" && node.through ? node.other : node.out;
}

/** What made one number of a step's result. */
function explain(step, node, y, x, c) {
  if (step.way === "answer") return explainAnswer(node, y, x, c);
  if (step.way === "loss") return explainLoss(node, y, x);
  if (step.way === "loss backward") return explainLossBackward(node, y, x, c);
  const back = step.way === "backward", tensor = resultOf(step, node);
  const name = `${back ? "dx" : "out"}[${y}, ${x}, ${c}]`;
  if (!isSum(node)) {
    const own = () => [["by the layer's own code", tensor.value(y, x, c), "see its source"]]; // of another library
    const lines = ((back ? backwards : forwards)[node.kind] || own)(node, y, x, c);
    return asLines(tensor, name, y, x, c, lines, back ? 0 : addends(node, lines, c));
  }
  let start = null;
  if (!back && node.vectors.bias) start = { name: "bias", value: node.vectors.bias[c] };
  if (back && node.kind === "tap") start = { name: "dout", value: node.dout.value(y, x, c) };
  return asSum(node, back ? "in" : "out", tensor, name, y, x, c, start);
}

/** The largest thing that batch norm adds up: where x and mean are far from 0, digits are lost in their difference. */
function addends(node, lines, c) {
  if (node.kind !== "batchnorm2d") return 0;
  const { mean, var: variance, gamma, beta } = node.vectors;
  const factor = Math.abs(gamma[c]) / Math.sqrt(variance[c] + node.facts.eps);
  return Math.max(factor * Math.abs(lines[0][1]), factor * Math.abs(mean[c]), Math.abs(beta[c]));
}
