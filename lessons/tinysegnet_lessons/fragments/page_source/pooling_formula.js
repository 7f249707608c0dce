// Max-pooling in windows of 2x2, and unpooling to the original size. At a tie, the first maximum wins.

import { range } from "./shared.js";

/** @type {(x: number[][]) => { out: number[][], position: number[][] }} */
export function maxPool(x) {
  const rows = Math.ceil(x.length / 2), columns = Math.ceil(x[0].length / 2);
  const out = range(rows).map(() => range(columns).map(() => -Infinity));
  const position = out.map((row) => row.map(() => 0));
  for (const u of range(rows)) for (const v of range(columns)) for (const p of range(4)) {
    const number = x[2 * u + (p >> 1)]?.[2 * v + (p & 1)]; // undefined outside the picture
    if (number > out[u][v]) {
      out[u][v] = number;
      position[u][v] = p;
    }
  }
  return { out, position };
}

/** @type {(z: number[][], position: number[][], H: number, W: number) => number[][]} */
export function maxUnpool(z, position, H, W) {
  const out = range(H).map(() => range(W).map(() => 0));
  z.forEach((row, u) => row.forEach((number, v) => {
    out[2 * u + (position[u][v] >> 1)][2 * v + (position[u][v] & 1)] = number;
  }));
  return out;
}
