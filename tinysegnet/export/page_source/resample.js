// Antialiased bilinear resizing with the same results as Pillow's, so that the page predicts what the library predicts.

const FIXED = 2 ** 22; // for pictures, Pillow rounds weights to multiples of 1 / FIXED

/**
 * For each of `to` positions along one axis: the first of the `from` positions that contribute, and their weights.
 *
 * @param {number} from
 * @param {number} to
 * @param {boolean} fixed
 */
function taps(from, to, fixed) {
  const scale = from / to, reach = Math.max(scale, 1);
  return Array.from({ length: to }, (_, k) => {
    const centre = (k + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5)), end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const raw = Array.from({ length: end - first },
      (_, i) => Math.max(0, 1 - Math.abs((first + i - centre + 0.5) / reach)));
    while (raw.length > 1 && raw[raw.length - 1] === 0) raw.pop(); // saves a third of the time of enlarging
    const sum = raw.reduce((a, b) => a + b, 0);
    const weights = raw.map((weight) => (fixed ? Math.floor((weight / sum) * FIXED + 0.5) / FIXED : weight / sum));
    return { first, weights };
  });
}

/**
 * Resize the rows of an array (h, w, stride) to width W, and keep its first channels: (h, W, channels). fixed: round to
 * whole numbers.
 *
 * @param {Uint8ClampedArray | Float32Array} x
 * @param {{ h: number, w: number, stride: number, W: number, channels: number }} sizes
 * @param {boolean} fixed
 */
function resizeRows(x, { h, w, stride, W, channels }, fixed) {
  const out = new Float32Array(h * W * channels), columns = taps(w, W, fixed);
  for (let y = 0, k = 0; y < h; y++) {
    for (const { first, weights } of columns) {
      for (let c = 0; c < channels; c++, k++) {
        let sum = 0;
        const start = (y * w + first) * stride + c;
        for (let i = 0; i < weights.length; i++) sum += weights[i] * x[start + i * stride];
        out[k] = fixed ? Math.floor(sum + 0.5) : sum;
      }
    }
  }
  return out;
}

/**
 * Resize an RGBA picture (h, w) to RGB (H, W, 3).
 *
 * @param {Uint8ClampedArray} rgba
 * @param {[number, number]} from
 * @param {[number, number]} to
 */
export function resizePicture(rgba, [h, w], [H, W]) {
  const rows = resizeRows(rgba, { h, w, stride: 4, W, channels: 3 }, true), n = W * 3, out = new Uint8Array(H * n);
  taps(h, H, true).forEach(({ first, weights }, y) => {
    for (let k = 0; k < n; k++) {
      let sum = 0;
      for (let i = 0; i < weights.length; i++) sum += weights[i] * rows[(first + i) * n + k];
      out[y * n + k] = Math.floor(sum + 0.5);
    }
  });
  return out;
}

/**
 * Resize logits (h, w, K) and return the class of the largest one at each of the H x W pixels.
 *
 * @param {Float32Array} logits
 * @param {[number, number, number]} from
 * @param {[number, number]} to
 */
export function largestClass(logits, [h, w, K], [H, W]) {
  const rows = w === W ? logits : resizeRows(logits, { h, w, stride: K, W, channels: K }, false);
  const labels = new Uint8Array(H * W), n = W * K, row = new Float32Array(n);
  taps(h, H, false).forEach(({ first, weights }, y) => {
    row.fill(0);
    weights.forEach((weight, i) => {
      for (let k = 0, at = (first + i) * n; k < n; k++) row[k] += weight * rows[at + k];
    });
    for (let x = 0, k = 0; x < W; x++) {
      let best = -Infinity, label = 0;
      for (let c = 0; c < K; c++, k++) {
        if (row[k] > best) {
          best = row[k];
          label = c;
        }
      }
      labels[y * W + x] = label;
    }
  });
  return labels;
}

/**
 * Return the probability of each class at a place of the picture, 0..1 from the top and from the left.
 *
 * @param {Float32Array} logits
 * @param {[number, number, number]} size
 * @param {[number, number]} place
 */
export function probabilitiesAt(logits, [h, w, K], [down, right]) {
  const along = (/** @type {number} */ share, /** @type {number} */ n) => {
    const at = Math.max(0, Math.min(n - 1, share * n - 0.5)), first = Math.min(Math.floor(at), Math.max(0, n - 2));
    return { first, second: Math.min(first + 1, n - 1), t: at - first };
  };
  const y = along(down, h), x = along(right, w);
  const mixed = Array.from({ length: K }, (_, c) => {
    const inRow = (/** @type {number} */ i) =>
      (1 - x.t) * logits[(i * w + x.first) * K + c] + x.t * logits[(i * w + x.second) * K + c];
    return (1 - y.t) * inRow(y.first) + y.t * inRow(y.second);
  });
  const largest = Math.max(...mixed), powers = mixed.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((power) => power / sum);
}
