// What each kind of layer that is no sum over a window does to one number: lines of
// [name, number or text, remark, source: array, row, column, channel of a number that was read].
//
//   forwards    what made a number of out; the last line is the result
//   backwards   what made a number of dx; likewise
//   onwards     where the gradient g of a number of out goes: [to, number, remark]

/** s and the window of a local response normalisation. */
function energy(node, y, x, c) {
  const { size, alpha, k } = node.facts, half = Math.floor(size / 2);
  const from = Math.max(0, c - half), to = Math.min(node.x.C, c + half + 1);
  let sum = 0;
  for (let j = from; j < to; j++) sum += node.x.value(y, x, j) ** 2;
  return { s: k + (alpha / size) * sum, sum, from, to };
}

/** The factor of a batch norm, gamma / √(var + eps), and its parts. */
function factorOf(node, c) {
  const std = Math.sqrt(node.vectors.var[c] + node.facts.eps), gamma = node.vectors.gamma[c];
  return { std, gamma, factor: gamma / std };
}

/** A channel of the other side of the input scaling, which may turn red, green, blue round. */
const turned = (node, c) => (node.facts.reversed ? node.x.C - 1 - c : c);

const forwards = {
  normalize(node, y, x, c) {
    const from = turned(node, c), value = node.x.value(y, x, from), { mean, scale } = node.vectors;
    return [
      ["x", value, `x[${y}, ${x}, ${from}]`, [node.x, y, x, from]],
      ["mean", mean[from], ""],
      ["scale", scale[from], ""],
      ["(x − mean) / scale", (value - mean[from]) / scale[from], ""],
    ];
  },

  local_response_norm(node, y, x, c) {
    const { s, sum, from, to } = energy(node, y, x, c), value = node.x.value(y, x, c);
    const { k, alpha, size, beta } = node.facts;
    return [
      ["x", value, "", [node.x, y, x, c]],
      ["Σ x²", sum, `channels ${from} to ${to - 1} of this pixel`],
      ["s = k + alpha / size · Σ x²", s, `k ${k}, alpha ${alpha}, size ${size}`],
      ["x / s^beta", value / s ** beta, `beta ${beta}`],
    ];
  },

  batchnorm2d(node, y, x, c) {
    const value = node.x.value(y, x, c), { std, gamma } = factorOf(node, c), mean = node.vectors.mean[c];
    const hat = (value - mean) / std, beta = node.vectors.beta[c];
    return [
      ["x", value, "", [node.x, y, x, c]],
      ["mean", mean, "of the channel, remembered from training"],
      ["var", node.vectors.var[c], "likewise"],
      ["√(var + eps)", std, `eps ${node.facts.eps}`],
      ["x̂ = (x − mean) / √(var + eps)", hat, ""],
      ["gamma", gamma, "learned"],
      ["beta", beta, "learned"],
      ["gamma · x̂ + beta", gamma * hat + beta, ""],
    ];
  },

  relu(node, y, x, c) {
    const value = node.x.value(y, x, c), remark = value > 0 ? "positive: it stays" : "not positive: it becomes 0";
    return [["x", value, remark, [node.x, y, x, c]], ["max(x, 0)", Math.max(value, 0), ""]];
  },

  max_pool2d(node, u, v, c) {
    const winner = node.position(u, v, c), K = node.windows.kernel[1];
    const lines = under(node.windows, u, v, node.x).map(([i, j, y, x]) => {
      const here = i * K + j, remark = here === winner ? ", the maximum: this is the index" : "";
      return [`x[${y}, ${x}, ${c}]`, node.x.value(y, x, c), `position ${here}${remark}`, [node.x, y, x, c]];
    });
    return [...lines, ["the largest", Math.max(...lines.map((line) => line[1])), ""]];
  },

  max_unpool2d(node, y, x, c) {
    const [[i, j, u, v]] = over(node.windows, y, x, node.x), here = i * node.windows.kernel[1] + j;
    const winner = node.position(u, v, c), lands = winner === here, value = node.x.value(u, v, c);
    return [
      ["the window's number", value, `x[${u}, ${v}, ${c}]`, [node.x, u, v, c]],
      ["its index", String(winner), `it goes to position ${winner} of the window; here is position ${here}`],
      [lands ? "it lands here" : "it lands elsewhere, so here is", lands ? value : 0, ""],
    ];
  },

  dropout: (node, y, x, c) => [["x", node.x.value(y, x, c), "goes through unchanged", [node.x, y, x, c]]],

  tap: (node, y, x, c) => [
    ["x", node.x.value(y, x, c), `goes on, and crosses to ${node.partner}`, [node.x, y, x, c]],
  ],

  add(node, y, x, c) {
    const own = node.x.value(y, x, c), kept = node.other.value(y, x, c);
    return [
      ["x", own, "from the layer before", [node.x, y, x, c]],
      ["kept", kept, `from ${node.partner}`, [node.other, y, x, c]],
      ["x + kept", own + kept, ""],
    ];
  },
};

const backwards = {
  normalize(node, y, x, c) {
    const from = turned(node, c), g = node.dout.value(y, x, from), scale = node.vectors.scale[c];
    return [["dout", g, "", [node.dout, y, x, from]], ["scale", scale, ""], ["dout / scale", g / scale, ""]];
  },

  local_response_norm(node, y, x, c) {
    const { s, from, to } = energy(node, y, x, c), { beta, alpha, size } = node.facts, g = node.dout.value(y, x, c);
    let sum = 0;
    for (let j = from; j < to; j++) {
      sum += (node.dout.value(y, x, j) * node.x.value(y, x, j)) / energy(node, y, x, j).s ** (beta + 1);
    }
    const own = g / s ** beta, rest = ((2 * alpha * beta) / size) * node.x.value(y, x, c) * sum;
    return [
      ["dout", g, "", [node.dout, y, x, c]],
      ["dout / s^beta", own, `s is ${format(s)}`],
      ["2 alpha beta / size · x · Σ", rest, "through the sums of the window"],
      ["the difference", own - rest, ""],
    ];
  },

  batchnorm2d(node, y, x, c) {
    const g = node.dout.value(y, x, c), { std, gamma, factor } = factorOf(node, c);
    return [
      ["dout", g, "", [node.dout, y, x, c]],
      ["gamma", gamma, ""],
      ["√(var + eps)", std, ""],
      ["gamma / √(var + eps) · dout", factor * g, ""],
    ];
  },

  relu(node, y, x, c) {
    const value = node.x.value(y, x, c), g = node.dout.value(y, x, c), passes = value > 0;
    return [
      ["dout", g, passes ? "it passes" : "it is stopped", [node.dout, y, x, c]],
      ["x was", value, "", [node.x, y, x, c]],
      ["dx", passes ? g : 0, ""],
    ];
  },

  max_pool2d(node, y, x, c) {
    const K = node.windows.kernel[1];
    const lines = over(node.windows, y, x, node.dout).map(([i, j, u, v]) => {
      const won = node.position(u, v, c) === i * K + j, g = node.dout.value(u, v, c);
      const remark = won ? "this number was that window's maximum" : `not its maximum: ${format(g)} goes elsewhere`;
      return [`from dout[${u}, ${v}, ${c}]`, won ? g : 0, remark, [node.dout, u, v, c]];
    });
    return [...lines, ["dx", lines.reduce((sum, line) => sum + line[1], 0), ""]];
  },

  max_unpool2d(node, u, v, c) {
    const K = node.windows.kernel[1], winner = node.position(u, v, c);
    const [, , y, x] = under(node.windows, u, v, node.dout).find(([i, j]) => i * K + j === winner);
    return [
      ["its index", String(winner), `so this number was put to row ${y}, column ${x}`],
      [`dout[${y}, ${x}, ${c}]`, node.dout.value(y, x, c), "is picked up from there", [node.dout, y, x, c]],
    ];
  },

  dropout: (node, y, x, c) => [["dout", node.dout.value(y, x, c), "passes unchanged", [node.dout, y, x, c]]],

  add: (node, y, x, c) => [
    ["dout", node.dout.value(y, x, c), `to the layer before, and the same to ${node.partner}`, [node.dout, y, x, c]],
  ],

  tap(node, y, x, c) {
    const g = node.dout.value(y, x, c), kept = node.dother.value(y, x, c);
    return [
      ["dout", g, "from the layer behind", [node.dout, y, x, c]],
      ["dkept", kept, `from ${node.partner}`, [node.dother, y, x, c]],
      ["dout + dkept", g + kept, ""],
    ];
  },
};

const onwards = {
  normalize(node, y, x, c, g) {
    const from = turned(node, c);
    return [[`dx[${y}, ${x}, ${from}]`, g / node.vectors.scale[from], "dout / scale"]];
  },

  local_response_norm(node, y, x, c, g) {
    const { s, from, to } = energy(node, y, x, c), { beta, alpha, size } = node.facts, rows = [];
    const common = (((2 * alpha * beta) / size) * node.x.value(y, x, c) * g) / s ** (beta + 1);
    for (let j = from; j < to; j++) {
      const through = -common * node.x.value(y, x, j), own = j === c ? g / s ** beta : 0;
      rows.push([`dx[${y}, ${x}, ${j}] +=`, own + through, `${j === c ? "directly, and " : ""}through the sum`]);
    }
    return rows;
  },

  batchnorm2d(node, y, x, c, g) {
    const { std, factor } = factorOf(node, c), hat = (node.x.value(y, x, c) - node.vectors.mean[c]) / std;
    return [
      [`dx[${y}, ${x}, ${c}]`, factor * g, "gamma / √(var + eps) · dout"],
      [`dgamma[${c}] +=`, hat * g, "x̂ · dout"],
      [`dbeta[${c}] +=`, g, "dout"],
    ];
  },

  relu(node, y, x, c, g) {
    const passes = node.x.value(y, x, c) > 0;
    const remark = passes ? "x was positive: all of it" : "x was not positive: none";
    return [[`dx[${y}, ${x}, ${c}]`, passes ? g : 0, remark]];
  },

  max_pool2d(node, u, v, c, g) {
    const K = node.windows.kernel[1], winner = node.position(u, v, c);
    return under(node.windows, u, v, node.x).map(([i, j, y, x]) => {
      const won = i * K + j === winner;
      return [`dx[${y}, ${x}, ${c}] +=`, won ? g : 0, won ? "the maximum gets all" : ""];
    });
  },

  max_unpool2d(node, y, x, c, g) {
    const [[i, j, u, v]] = over(node.windows, y, x, node.x);
    const here = node.position(u, v, c) === i * node.windows.kernel[1] + j;
    const remark = here ? "all of it, to the number that was put here" : "nothing was put here, so it ends here";
    return [[`dx[${u}, ${v}, ${c}]`, here ? g : 0, remark]];
  },

  dropout: (node, y, x, c, g) => [[`dx[${y}, ${x}, ${c}]`, g, "unchanged"]],

  tap: (node, y, x, c, g) => [[`dx[${y}, ${x}, ${c}] +=`, g, `what comes back from ${node.partner} is added`]],

  add: (node, y, x, c, g) => [
    [`dx[${y}, ${x}, ${c}]`, g, "to the layer before"],
    [`dkept[${y}, ${x}, ${c}]`, g, `to ${node.partner}`],
  ],
};
