// The page's data: arrays are unpacked when they are first looked at.

const data = JSON.parse(document.getElementById("data").textContent);
const remembered = new Map();

/** What `make()` gives, made once for each key; `make` may be asynchronous. */
function once(key, make) {
  if (!remembered.has(key)) remembered.set(key, make());
  return remembered.get(key);
}

/** The bytes of a blob: base64, deflated. */
async function bytesOf(number) {
  const text = atob(document.getElementById("blob" + number).textContent);
  const packed = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) packed[k] = text.charCodeAt(k);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Numbers of float32. In the blob all lowest bytes come first, all highest ones last. */
async function numbersOf(blob) {
  const bytes = await bytesOf(blob), count = bytes.length / 4, view = new DataView(new ArrayBuffer(bytes.length));
  for (let part = 0; part < 4; part++) {
    for (let k = 0; k < count; k++) view.setUint8(4 * k + part, bytes[part * count + k]);
  }
  return Float32Array.from({ length: count }, (_, k) => view.getFloat32(4 * k, true));
}

/** An array: its pictures (planes of -127..127), and `value(y, x, c)` where it is known exactly, else undefined. */
function tensorOf(number) {
  return once("tensor" + number, async () => {
    const about = data.tensors[number], [H, W, C] = about.shape;
    const [planes, mask, numbers] = await Promise.all([
      bytesOf(about.planes), bytesOf(about.known.mask), numbersOf(about.known.numbers),
    ]);
    if (about.differences) {
      for (let k = 0; k < planes.length; k++) if (k % W) planes[k] += planes[k - 1];
    }
    const place = new Int32Array(H * W).fill(-1);
    for (let k = 0, count = 0; k < H * W; k++) if ((mask[k >> 3] >> (7 - (k & 7))) & 1) place[k] = count++;
    const kept = about.known.channels;
    const value = (y, x, c) => (place[y * W + x] < 0 || c >= kept ? undefined : numbers[place[y * W + x] * kept + c]);
    return { ...about, number, H, W, C, planes: new Int8Array(planes.buffer), value };
  });
}

/** `at(i, j, large, small)`: a weight by its tap and the channels of the larger and the smaller side, or undefined. */
async function weightOf(packed) {
  const [, KW, A, B] = packed.shape;
  const read = (numbers, a, b) => (i, j, large, small) => numbers[((i * KW + j) * a + large) * b + small];
  if (packed.whole !== undefined) return read(await numbersOf(packed.whole), A, B);
  const parts = {};
  if (packed.large !== undefined) parts.large = read(await numbersOf(packed.large), packed.shown.large, B);
  if (packed.small !== undefined) parts.small = read(await numbersOf(packed.small), A, packed.shown.small);
  return (i, j, large, small) => {
    if (parts.small && small < packed.shown.small) return parts.small(i, j, large, small);
    if (parts.large && large < packed.shown.large) return parts.large(i, j, large, small);
    return undefined;
  };
}

/** A node with all its arrays. */
function nodeOf(number) {
  return once("node" + number, async () => {
    const about = data.nodes[number], loaded = { ...about };
    for (const name of ["x", "out", "other", "dout", "dx", "dother", "logits"]) {
      if (about[name] !== undefined && about[name] !== null) loaded[name] = await tensorOf(about[name]);
    }
    loaded.vectors = {};
    for (const [name, blob] of Object.entries(about.vectors || {})) loaded.vectors[name] = await numbersOf(blob);
    if (about.weight) loaded.weight = await weightOf(about.weight);
    if (about.labels !== undefined) loaded.labels = await bytesOf(about.labels);
    if (about.positions !== undefined) {
      const small = about.windows.large === "in" ? loaded.out : loaded.x, bytes = await bytesOf(about.positions);
      loaded.position = (u, v, c) => bytes[(c * small.H + u) * small.W + v];
    }
    return loaded;
  });
}

/** Of ascending numbers the one nearest to `wanted`. */
function nearest(numbers, wanted) {
  return numbers.reduce((best, n) => (Math.abs(n - wanted) < Math.abs(best - wanted) ? n : best));
}

/** The pixel with exact numbers that is nearest to a place of the picture: 0..1 from above, and from the left. */
function pixelAt(tensor, place) {
  return [nearest(tensor.grid[0], place[0] * tensor.H - 0.5), nearest(tensor.grid[1], place[1] * tensor.W - 0.5)];
}
