// Ops whose numbers depend on a single pixel: input scaling, normalisation, ReLU, dropout, skip connections.

import { format } from "walk/numbers.js";

/** @import { Formula, Share } from "walk/explanation.js" */
/** @import { LoadedNode } from "walk/store.js" */

/**
 * Return the channel of x that becomes channel c of out: input scaling may reverse red, green, blue.
 *
 * @param {LoadedNode} node
 * @param {number} c
 */
const sourceChannel = (node, c) => (node.settings.reversed ? node.x.C - 1 - c : c);

/** @type {Formula} */
export const normalize = {
  forward(node, y, x, c) {
    const from = sourceChannel(node, c), value = node.x.value(y, x, from), { mean, scale } = node.vectors;
    return [
      ["x", value, `x[${y}, ${x}, ${from}]`, [node.x, y, x, from]],
      ["mean", mean[from], ""],
      ["scale", scale[from], ""],
      ["(x − mean) / scale", (value - mean[from]) / scale[from], ""],
    ];
  },

  // forward: out = (x - mean) / scale        so: dx = dout / scale
  backward(node, y, x, c) {
    const from = sourceChannel(node, c), g = node.dout.value(y, x, from), scale = node.vectors.scale[c];
    return [["dout", g, "", [node.dout, y, x, from]], ["scale", scale, ""], ["dout / scale", g / scale, ""]];
  },

  shares(node, y, x, c, g) {
    const from = sourceChannel(node, c);
    return [[`dx[${y}, ${x}, ${from}]`, g / node.vectors.scale[from], "dout / scale", [y, x, from]]];
  },
};

/**
 * Return s of a local response normalisation, its sum of squares, and the channels [from, to) of its window.
 *
 * @param {LoadedNode} node
 * @param {number} y
 * @param {number} x
 * @param {number} c
 */
function energy(node, y, x, c) {
  const { size, alpha, k } = node.settings, half = Math.floor(size / 2);
  const from = Math.max(0, c - half), to = Math.min(node.x.C, c + half + 1);
  let sum = 0;
  for (let j = from; j < to; j++) sum += node.x.value(y, x, j) ** 2;
  return { s: k + (alpha / size) * sum, sum, from, to };
}

/** @type {Formula} */
export const local_response_norm = {
  forward(node, y, x, c) {
    const { s, sum, from, to } = energy(node, y, x, c), value = node.x.value(y, x, c);
    const { k, alpha, size, beta } = node.settings;
    return [
      ["x", value, "", [node.x, y, x, c]],
      ["Σ x²", sum, `channels ${from} to ${to - 1} of this pixel`],
      ["s = k + alpha / size · Σ x²", s, `k ${k}, alpha ${alpha}, size ${size}`],
      ["x / s^beta", value / s ** beta, `beta ${beta}`],
    ];
  },

  // forward: out_c = x_c / s_c^beta, and x_c is in the s of every channel j of its window
  // so:      dx_c = dout_c / s_c^beta - 2 alpha beta / size * x_c * sum_j dout_j x_j / s_j^(beta + 1)
  backward(node, y, x, c) {
    const { s, from, to } = energy(node, y, x, c), { beta, alpha, size } = node.settings, g = node.dout.value(y, x, c);
    let sum = 0;
    for (let j = from; j < to; j++) {
      sum += (node.dout.value(y, x, j) * node.x.value(y, x, j)) / energy(node, y, x, j).s ** (beta + 1);
    }
    const own = g / s ** beta, rest = ((2 * alpha * beta) / size) * node.x.value(y, x, c) * sum;
    return [
      ["dout", g, "", [node.dout, y, x, c]],
      ["dout / s^beta", own, `s is ${format(s)}`],
      ["2 alpha beta / size · x · Σ", rest, "the gradient through the sums of the window"],
      ["the difference", own - rest, ""],
    ];
  },

  shares(node, y, x, c, g) {
    const { s, from, to } = energy(node, y, x, c), { beta, alpha, size } = node.settings;
    const common = (((2 * alpha * beta) / size) * node.x.value(y, x, c) * g) / s ** (beta + 1);
    /** @type {Share[]} */
    const rows = [];
    for (let j = from; j < to; j++) {
      const through = -common * node.x.value(y, x, j), own = j === c ? g / s ** beta : 0;
      const remark = `${j === c ? "directly, and " : ""}through the sum`;
      rows.push([`dx[${y}, ${x}, ${j}] +=`, own + through, remark, [y, x, j]]);
    }
    return rows;
  },
};

/**
 * Return the factor of a batch norm, gamma / √(var + eps), and its parts.
 *
 * @param {LoadedNode} node
 * @param {number} c
 */
function factorOf(node, c) {
  const std = Math.sqrt(node.vectors.var[c] + node.settings.eps), gamma = node.vectors.gamma[c];
  return { std, gamma, factor: gamma / std };
}

/** @type {Formula} */
export const batchnorm2d = {
  forward(node, y, x, c) {
    const value = node.x.value(y, x, c), { std, gamma } = factorOf(node, c), mean = node.vectors.mean[c];
    const hat = (value - mean) / std, beta = node.vectors.beta[c];
    return [
      ["x", value, "", [node.x, y, x, c]],
      ["mean", mean, "running mean of the channel"],
      ["var", node.vectors.var[c], "running variance of the channel"],
      ["√(var + eps)", std, `eps ${node.settings.eps}`],
      ["x̂ = (x − mean) / √(var + eps)", hat, ""],
      ["gamma", gamma, "learned"],
      ["beta", beta, "learned"],
      ["gamma · x̂ + beta", gamma * hat + beta, ""],
    ];
  },

  // forward: out = gamma / √(var + eps) * (x - mean) + beta, with mean and var constant
  // so:      dx = gamma / √(var + eps) * dout
  backward(node, y, x, c) {
    const g = node.dout.value(y, x, c), { std, gamma, factor } = factorOf(node, c);
    return [
      ["dout", g, "", [node.dout, y, x, c]],
      ["gamma", gamma, ""],
      ["√(var + eps)", std, ""],
      ["gamma / √(var + eps) · dout", factor * g, ""],
    ];
  },

  shares(node, y, x, c, g) {
    const { std, factor } = factorOf(node, c), hat = (node.x.value(y, x, c) - node.vectors.mean[c]) / std;
    return [
      [`dx[${y}, ${x}, ${c}]`, factor * g, "gamma / √(var + eps) · dout", [y, x, c]],
      [`dgamma[${c}] +=`, hat * g, "x̂ · dout"],
      [`dbeta[${c}] +=`, g, "dout"],
    ];
  },

  // The difference between x and mean loses digits where both are far from 0.
  largestSummand(node, y, x, c) {
    const factor = Math.abs(factorOf(node, c).factor), { mean, beta } = node.vectors;
    return Math.max(factor * Math.abs(node.x.value(y, x, c)), factor * Math.abs(mean[c]), Math.abs(beta[c]));
  },
};

/** @type {Formula} */
export const relu = {
  forward(node, y, x, c) {
    const value = node.x.value(y, x, c), remark = value <= 0 ? "not positive: becomes 0" : "positive: unchanged";
    return [["x", value, remark, [node.x, y, x, c]], ["max(x, 0)", Math.max(value, 0), ""]];
  },

  // forward: out = x where x > 0, else 0        so: dx = dout where x > 0, else 0. A NaN lets dout through.
  backward(node, y, x, c) {
    const value = node.x.value(y, x, c), g = node.dout.value(y, x, c), passes = !(value <= 0);
    return [
      ["dout", g, passes ? "passed on" : "blocked", [node.dout, y, x, c]],
      ["x was", value, "", [node.x, y, x, c]],
      ["dx", passes ? g : 0, ""],
    ];
  },

  shares(node, y, x, c, g) {
    const passes = !(node.x.value(y, x, c) <= 0);
    const remark = passes ? "x was positive: passed on" : "x was not positive: blocked";
    return [[`dx[${y}, ${x}, ${c}]`, passes ? g : 0, remark, [y, x, c]]];
  },
};

/** @type {Formula} */
export const dropout = {
  forward: (node, y, x, c) => [["x", node.x.value(y, x, c), "passes unchanged", [node.x, y, x, c]]],
  backward: (node, y, x, c) => [["dout", node.dout.value(y, x, c), "passes unchanged", [node.dout, y, x, c]]],
  shares: (node, y, x, c, g) => [[`dx[${y}, ${x}, ${c}]`, g, "unchanged", [y, x, c]]],
};

/** @type {Formula} */
export const skip_source = {
  forward: (node, y, x, c) => [
    ["x", node.x.value(y, x, c), `goes to the next layer and to ${node.partner}`, [node.x, y, x, c]],
  ],

  // forward: out = x, kept = x        so: dx = dout + dkept
  backward(node, y, x, c) {
    const g = node.dout.value(y, x, c), kept = node.dother.value(y, x, c);
    return [
      ["dout", g, "from the next layer", [node.dout, y, x, c]],
      ["dkept", kept, `from ${node.partner}`, [node.dother, y, x, c]],
      ["dout + dkept", g + kept, ""],
    ];
  },

  shares: (node, y, x, c, g) => [
    [`dx[${y}, ${x}, ${c}] +=`, g, `the gradient from ${node.partner} is added`, [y, x, c]],
  ],
};

/** @type {Formula} */
export const skip_add = {
  forward(node, y, x, c) {
    const own = node.x.value(y, x, c), kept = node.other.value(y, x, c);
    return [
      ["x", own, "from the previous layer", [node.x, y, x, c]],
      ["kept", kept, `from ${node.partner}`, [node.other, y, x, c]],
      ["x + kept", own + kept, ""],
    ];
  },

  // forward: out = x + kept        so: dx = dout, dkept = dout
  backward: (node, y, x, c) => [
    ["dout", node.dout.value(y, x, c), `to the previous layer, and the same to ${node.partner}`, [node.dout, y, x, c]],
  ],

  shares: (node, y, x, c, g) => [
    [`dx[${y}, ${x}, ${c}]`, g, "to the previous layer", [y, x, c]],
    [`dkept[${y}, ${x}, ${c}]`, g, `to ${node.partner}`],
  ],
};
