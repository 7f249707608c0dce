// How one number came about: every explanation computes it again, in float64 from the float32 numbers of the page.
//
//   { name, shown, computed, scale, terms | lines | classes, start, outside, note }
//
// shown: the number as the network had it. computed: what the explanation arrives at. scale: the largest thing in it.

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
      if (Number.isInteger(u) && Number.isInteger(v) && u >= 0 && u < small.H && v >= 0 && v < small.W) {
        found.push([i, j, u, v]);
      }
    }
  }
  return found;
}

const FULL = new Set(["conv2d", "conv_transpose2d", "tap"]); // every channel of one side meets every one of the other
const WINDOWED = new Set([...FULL, "depthwise_conv2d", "upsample_nearest2d", "upsample_bilinear2d"]);

/** The weight with which a pixel of the smaller side counts for one of the larger, along one axis of an upsampling. */
function blend(large, small, factor, size) {
  const position = Math.min(Math.max((large + 0.5) / factor - 0.5, 0), size - 1);
  return Math.max(0, 1 - Math.abs(position - small));
}

/** The terms of a number of `target` ("out": forward, "in": the gradient of x): what was read, and its weight. */
function termsOf(node, target, y, x, c) {
  const back = target === "in", tap = node.kind === "tap";
  const read = back ? (tap ? node.dother : node.dout) : node.x, letter = back ? (tap ? "dkept" : "dout") : "x";
  const targetIsLarge = node.windows.large === target, per = !FULL.has(node.kind);
  const pixels = (targetIsLarge ? over : under)(node.windows, y, x, read), terms = [];
  for (const [i, j, p, q] of pixels) {
    for (let k = per ? c : 0; k < (per ? c + 1 : read.C); k++) {
      const [large, small] = targetIsLarge ? [c, k] : [k, c];
      let w, tag;
      if (node.weight) {
        w = node.weight(i, j, node.kind === "depthwise_conv2d" ? 0 : large, small);
        tag = `weight[${i}, ${j}, ${node.kind === "depthwise_conv2d" ? 0 : large}, ${small}]`;
      } else if (node.kind === "upsample_nearest2d") {
        [w, tag] = [1, "copied"];
      } else {
        const [Y, X, U, V] = targetIsLarge ? [y, x, p, q] : [p, q, y, x], small_ = targetIsLarge ? read : node.dx;
        w = blend(Y, U, node.facts.factor, small_.H) * blend(X, V, node.facts.factor, small_.W);
        tag = "share";
        if (w === 0) continue;
      }
      terms.push({ i, j, p, q, k, where: `${letter}[${p}, ${q}, ${k}]`, a: read.value(p, q, k), w, tag });
    }
  }
  const all = targetIsLarge ? 0 : node.windows.kernel[0] * node.windows.kernel[1] - pixels.length;
  return { terms, outside: all * (per ? 1 : read.C), read, letter };
}

/** An explanation as a sum of products. */
function asSum(node, target, tensor, name, y, x, c, start) {
  const { terms, outside, read, letter } = termsOf(node, target, y, x, c);
  const computed = terms.reduce((sum, t) => sum + t.a * t.w, start ? start.value : 0);
  const complete = terms.every((t) => t.a !== undefined && t.w !== undefined);
  const scale = Math.max(...terms.map((t) => Math.abs(t.a * t.w)), start ? Math.abs(start.value) : 0);
  return { name, shown: tensor.value(y, x, c), computed, scale, terms, outside, start, read, letter, complete };
}

/** An explanation in lines of [name, number or text, remark]; the last number is the result. */
function asLines(tensor, name, y, x, c, lines, scale) {
  const computed = lines[lines.length - 1][1], first = typeof lines[0][1] === "number" ? lines[0][1] : 0;
  const shown = tensor.value(y, x, c), complete = Number.isFinite(computed) && lines.every((line) => line[1] !== undefined);
  return { name, shown, computed, scale: scale || Math.max(Math.abs(first), Math.abs(computed), Math.abs(shown)), lines, complete };
}

/** s and the window of a local response normalisation. */
function energy(node, y, x, c) {
  const { size, alpha, k } = node.facts, half = Math.floor(size / 2);
  let sum = 0;
  for (let j = Math.max(0, c - half); j < Math.min(node.x.C, c + half + 1); j++) sum += node.x.value(y, x, j) ** 2;
  return { s: k + (alpha / size) * sum, sum, from: Math.max(0, c - half), to: Math.min(node.x.C, c + half + 1) };
}

/** The softmax of the page's logits at a pixel; of one logit, the sigmoid's two probabilities. */
function softmaxAt(logits, y, x) {
  const values = Array.from({ length: logits.C }, (_, k) => logits.value(y, x, k));
  const scores = logits.C === 1 ? [0, values[0]] : values;
  const most = Math.max(...scores), exps = scores.map((z) => Math.exp(z - most));
  const total = exps.reduce((a, b) => a + b, 0);
  return { scores, most, exps, total, probs: exps.map((e) => e / total) };
}

const forwards = {
  normalize(node, y, x, c) {
    const from = node.facts.reversed ? node.x.C - 1 - c : c, value = node.x.value(y, x, from);
    const { mean, scale } = node.vectors;
    return [["x", value, `x[${y}, ${x}, ${from}]`], ["mean", mean[from], ""], ["scale", scale[from], ""],
            ["(x − mean) / scale", (value - mean[from]) / scale[from], ""]];
  },
  local_response_norm(node, y, x, c) {
    const { s, sum, from, to } = energy(node, y, x, c), value = node.x.value(y, x, c);
    return [["x", value, ""], ["Σ x²", sum, `channels ${from} to ${to - 1} of this pixel`],
            ["s = k + alpha / size · Σ x²", s, `k ${node.facts.k}, alpha ${node.facts.alpha}, size ${node.facts.size}`],
            ["x / s^beta", value / s ** node.facts.beta, `beta ${node.facts.beta}`]];
  },
  batchnorm2d(node, y, x, c) {
    const value = node.x.value(y, x, c), { mean, var: variance, gamma, beta } = node.vectors;
    const std = Math.sqrt(variance[c] + node.facts.eps), hat = (value - mean[c]) / std;
    return [["x", value, ""], ["mean", mean[c], "of the channel, remembered from training"],
            ["var", variance[c], "likewise"], ["√(var + eps)", std, `eps ${node.facts.eps}`],
            ["x̂ = (x − mean) / √(var + eps)", hat, ""], ["gamma", gamma[c], "learned"], ["beta", beta[c], "learned"],
            ["gamma · x̂ + beta", gamma[c] * hat + beta[c], ""]];
  },
  relu(node, y, x, c) {
    const value = node.x.value(y, x, c);
    return [["x", value, value > 0 ? "positive: it stays" : "not positive: it becomes 0"], ["max(x, 0)", Math.max(value, 0), ""]];
  },
  max_pool2d(node, u, v, c) {
    const pixels = under(node.windows, u, v, node.x), winner = node.position(u, v, c), K = node.windows.kernel[1];
    const lines = pixels.map(([i, j, y, x]) => [`x[${y}, ${x}, ${c}]`, node.x.value(y, x, c),
      `position ${i * K + j}` + (i * K + j === winner ? ", the maximum: this is the index" : "")]);
    return [...lines, ["the largest", Math.max(...lines.map((line) => line[1])), ""]];
  },
  max_unpool2d(node, y, x, c) {
    const [[i, j, u, v]] = over(node.windows, y, x, node.x), K = node.windows.kernel[1];
    const winner = node.position(u, v, c), here = i * K + j;
    return [["the window's number", node.x.value(u, v, c), `x[${u}, ${v}, ${c}]`],
            ["its index", `${winner}`, `position ${winner} of the window; here is position ${here}`],
            [winner === here ? "it lands here" : "it lands elsewhere, so here is", winner === here ? node.x.value(u, v, c) : 0, ""]];
  },
  dropout: (node, y, x, c) => [["x", node.x.value(y, x, c), "goes through unchanged"]],
  tap: (node, y, x, c) => [["x", node.x.value(y, x, c), `goes on, and crosses to ${node.partner}`]],
  add(node, y, x, c) {
    const [own, kept] = [node.x.value(y, x, c), node.other.value(y, x, c)];
    return [["x", own, "from the layer before"], ["kept", kept, `from ${node.partner}`], ["x + kept", own + kept, ""]];
  },
};

const backwards = {
  normalize(node, y, x, c) {
    const from = node.facts.reversed ? node.x.C - 1 - c : c, g = node.dout.value(y, x, from);
    return [["dout", g, ""], ["scale", node.vectors.scale[c], ""], ["dout / scale", g / node.vectors.scale[c], ""]];
  },
  local_response_norm(node, y, x, c) {
    const { s, from, to } = energy(node, y, x, c), { beta, alpha, size } = node.facts;
    let sum = 0;
    for (let j = from; j < to; j++) {
      sum += (node.dout.value(y, x, j) * node.x.value(y, x, j)) / energy(node, y, x, j).s ** (beta + 1);
    }
    const own = node.dout.value(y, x, c) / s ** beta, rest = ((2 * alpha * beta) / size) * node.x.value(y, x, c) * sum;
    return [["dout", node.dout.value(y, x, c), ""], ["dout / s^beta", own, `s is ${format(s)}`],
            ["2 alpha beta / size · x · Σ", rest, "through the sums of the window"], ["the difference", own - rest, ""]];
  },
  batchnorm2d(node, y, x, c) {
    const { var: variance, gamma } = node.vectors, std = Math.sqrt(variance[c] + node.facts.eps);
    const g = node.dout.value(y, x, c);
    return [["dout", g, ""], ["gamma", gamma[c], ""], ["√(var + eps)", std, ""],
            ["gamma / √(var + eps) · dout", (gamma[c] / std) * g, ""]];
  },
  relu(node, y, x, c) {
    const value = node.x.value(y, x, c), g = node.dout.value(y, x, c);
    return [["x was", value, ""], ["dout", g, value > 0 ? "it passes" : "it is stopped"], ["dx", value > 0 ? g : 0, ""]];
  },
  max_pool2d(node, y, x, c) {
    const K = node.windows.kernel[1];
    const lines = over(node.windows, y, x, node.dout).map(([i, j, u, v]) => {
      const here = node.position(u, v, c) === i * K + j;
      return [`dout[${u}, ${v}, ${c}]`, here ? node.dout.value(u, v, c) : 0,
              here ? "this number was the maximum of that window" : `not its maximum: all of ${format(node.dout.value(u, v, c))} goes elsewhere`];
    });
    return [...lines, ["dx", lines.reduce((sum, line) => sum + line[1], 0), ""]];
  },
  max_unpool2d(node, u, v, c) {
    const K = node.windows.kernel[1], winner = node.position(u, v, c);
    const [, , y, x] = under(node.windows, u, v, node.dout).find(([i, j]) => i * K + j === winner);
    return [["its index", `${winner}`, `so this number was put to row ${y}, column ${x}`],
            [`dout[${y}, ${x}, ${c}]`, node.dout.value(y, x, c), "is picked up from there"]];
  },
  dropout: (node, y, x, c) => [["dout", node.dout.value(y, x, c), "passes unchanged"]],
  add: (node, y, x, c) => [["dout", node.dout.value(y, x, c), "to the layer before, and the same to " + node.partner]],
  tap(node, y, x, c) {
    const [g, kept] = [node.dout.value(y, x, c), node.dother.value(y, x, c)];
    return [["dout", g, "from the layer behind"], ["dkept", kept, `from ${node.partner}`], ["dout + dkept", g + kept, ""]];
  },
};

/** The class of a pixel, or null where nobody labelled it. */
function labelAt(node, y, x) {
  const label = node.labels[y * node.out.W + x];
  return label === 255 ? null : label;
}

function explainAnswer(node, y, x, c) {
  const soft = softmaxAt(node.x, y, x), one = node.x.C === 1, k = one ? 1 : c;
  const name = `p[${y}, ${x}, ${k}]`;
  return { name, shown: node.out.value(y, x, c), computed: soft.probs[k], scale: 1, complete: true, classes: soft, chosen: k };
}

function explainLoss(node, y, x) {
  const label = labelAt(node, y, x), name = `loss[${y}, ${x}]`, shown = node.out.value(y, x, 0);
  if (label === null) return { name, shown, computed: 0, scale: 1, complete: true, note: "Nobody labelled this pixel: it does not count." };
  const soft = softmaxAt(node.logits, y, x), { weights, divisor } = node.facts;
  const surprise = Math.log(soft.total) + soft.most - soft.scores[label];
  const lines = [["the true class y", data.classes[label].name, `p is ${format(soft.probs[label])}`],
                 ["−log p", surprise, "the surprise: 0 if p were 1"], ["weight", weights[label], "of the class"],
                 ["D", divisor, "labelled pixels"], ["weight · (−log p) / D", (weights[label] * surprise) / divisor, ""]];
  return { ...asLines(node.out, name, y, x, 0, lines, weights[label] / divisor), classes: soft, chosen: label };
}

function explainLossBackward(node, y, x, c) {
  const label = labelAt(node, y, x), one = node.logits.C === 1, k = one ? 1 : c;
  const name = `dlogit[${y}, ${x}, ${one ? 0 : c}]`, shown = node.dx.value(y, x, c);
  if (label === null) return { name, shown, computed: 0, scale: 1, complete: true, note: "Nobody labelled this pixel: its gradient is 0." };
  const soft = softmaxAt(node.logits, y, x), { weights, divisor } = node.facts, right = label === k ? 1 : 0;
  const lines = [[`p of ${data.classes[k].name}`, soft.probs[k], ""], ["1 if this is the true class", right, `the true class is ${data.classes[label].name}`],
                 ["weight / D", weights[label] / divisor, ""], ["weight / D · (p − " + right + ")", (weights[label] / divisor) * (soft.probs[k] - right), ""]];
  return asLines(node.dx, name, y, x, c, lines, weights[label] / divisor);
}

/** What made one number of a step's result. */
function explain(step, node, y, x, c) {
  if (step.way === "answer") return explainAnswer(node, y, x, c);
  if (step.way === "loss") return explainLoss(node, y, x);
  if (step.way === "loss backward") return explainLossBackward(node, y, x, c);
  const back = step.way === "backward", tensor = resultOf(step, node), name = `${back ? "dx" : "out"}[${y}, ${x}, ${c}]`;
  const sum = node.windows && WINDOWED.has(node.kind) && (node.kind !== "tap" || node.through);
  if (sum) {
    let start = null;
    if (!back && node.vectors.bias) start = { name: "bias", value: node.vectors.bias[c] };
    if (back && node.kind === "tap") start = { name: "dout", value: node.dout.value(y, x, c) };
    return asSum(node, back ? "in" : "out", tensor, name, y, x, c, start);
  }
  const lines = (back ? backwards : forwards)[node.kind](node, y, x, c);
  return asLines(tensor, name, y, x, c, lines, back ? 0 : addends(node, lines, c));
}

/** The largest thing that batch norm adds up: where mean and x are far from 0, their digits are lost in the result. */
function addends(node, lines, c) {
  if (node.kind !== "batchnorm2d") return 0;
  const { mean, var: variance, gamma, beta } = node.vectors, factor = Math.abs(gamma[c]) / Math.sqrt(variance[c] + node.facts.eps);
  return Math.max(factor * Math.abs(lines[0][1]), factor * Math.abs(mean[c]), Math.abs(beta[c]));
}

/** The array that a step makes. */
function resultOf(step, node) {
  if (step.way === "backward" || step.way === "loss backward") return node.dx;
  return node.kind === "tap" && node.through ? node.other : node.out;
}

/** Where the gradient of a number of `out` goes: rows of [name, number, remark]. */
const onwards = {
  normalize: (node, y, x, c, g) => {
    const from = node.facts.reversed ? node.x.C - 1 - c : c;
    return [[`dx[${y}, ${x}, ${from}]`, g / node.vectors.scale[from], "dout / scale"]];
  },
  batchnorm2d(node, y, x, c, g) {
    const { mean, var: variance, gamma } = node.vectors, std = Math.sqrt(variance[c] + node.facts.eps);
    return [[`dx[${y}, ${x}, ${c}]`, (gamma[c] / std) * g, "gamma / √(var + eps) · dout"],
            [`dgamma[${c}] +=`, ((node.x.value(y, x, c) - mean[c]) / std) * g, "x̂ · dout"], [`dbeta[${c}] +=`, g, "dout"]];
  },
  relu: (node, y, x, c, g) => [[`dx[${y}, ${x}, ${c}]`, node.x.value(y, x, c) > 0 ? g : 0,
    node.x.value(y, x, c) > 0 ? "x was positive: all of it" : "x was not positive: it ends here"]],
  max_pool2d(node, u, v, c, g) {
    const K = node.windows.kernel[1], winner = node.position(u, v, c);
    return under(node.windows, u, v, node.x).map(([i, j, y, x]) => [`dx[${y}, ${x}, ${c}] +=`, i * K + j === winner ? g : 0,
      i * K + j === winner ? "the maximum gets all" : ""]);
  },
  max_unpool2d(node, y, x, c, g) {
    const [[i, j, u, v]] = over(node.windows, y, x, node.x), here = node.position(u, v, c) === i * node.windows.kernel[1] + j;
    return [[`dx[${u}, ${v}, ${c}]`, here ? g : 0, here ? "all of it, to the number that was put here" : "nothing was put here, so it ends here"]];
  },
  dropout: (node, y, x, c, g) => [[`dx[${y}, ${x}, ${c}]`, g, "unchanged"]],
  add: (node, y, x, c, g) => [[`dx[${y}, ${x}, ${c}]`, g, "to the layer before"], [`dkept[${y}, ${x}, ${c}]`, g, `to ${node.partner}`]],
  tap: (node, y, x, c, g) => [[`dx[${y}, ${x}, ${c}] +=`, g, `and what comes back from ${node.partner} is added`]],
  local_response_norm: (node, y, x, c, g) => {
    const { s, from, to } = energy(node, y, x, c), { beta, alpha, size } = node.facts, rows = [];
    for (let j = from; j < to; j++) {
      const through = -((2 * alpha * beta) / size) * node.x.value(y, x, c) * node.x.value(y, x, j) * g / s ** (beta + 1);
      rows.push([`dx[${y}, ${x}, ${j}] +=`, through + (j === c ? g / s ** beta : 0), j === c ? "itself, and through the sum" : "through the sum"]);
    }
    return rows;
  },
};
