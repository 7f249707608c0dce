// Writes an animated GIF (GIF89a): a palette of the 256 most frequent colours, and frames compressed by LZW.

const COLOURS = 256, MOST_CODES = 4096;

/**
 * Encode frames of equal size as a GIF that repeats forever.
 *
 * @param {ImageData[]} frames
 * @param {number} delay  milliseconds per frame
 */
export function encodeGif(frames, delay) {
  const [{ width, height }] = frames, { colours, indexOf } = palette(frames);
  const header = [...text("GIF89a"), ...short(width), ...short(height), 0xf7, 0, 0, ...colours.flat()];
  const forever = [0x21, 0xff, 11, ...text("NETSCAPE2.0"), 3, 1, 0, 0, 0];
  const parts = frames.map((frame) => {
    const place = [0x2c, 0, 0, 0, 0, ...short(width), ...short(height), 0, 8]; // 8: bits per colour
    return [[0x21, 0xf9, 4, 0, ...short(delay / 10), 0, 0, ...place], blocks(compress(indices(frame, indexOf)))];
  });
  const all = [header, forever, ...parts.flat(), [0x3b]].map((bytes) => new Uint8Array(bytes));
  return new Blob(all, { type: "image/gif" });
}

/** @param {string} letters */
const text = (letters) => Array.from(letters, (letter) => letter.charCodeAt(0));

/** @param {number} n */
const short = (n) => [n & 255, (n >> 8) & 255];

/**
 * Return the most frequent colours, and the index of the nearest one for each colour of 5 bits per part.
 *
 * @param {ImageData[]} frames
 */
function palette(frames) {
  const counts = new Uint32Array(1 << 15);
  for (const { data } of frames) for (let k = 0; k < data.length; k += 4) counts[reduced(data, k)]++;
  const used = Array.from(counts.keys()).filter((key) => counts[key]).sort((a, b) => counts[b] - counts[a]);
  const colours = used.slice(0, COLOURS).map((key) => [10, 5, 0].map((shift) => (((key >> shift) & 31) * 255) / 31));
  const indexOf = new Uint8Array(1 << 15);
  for (const key of used) {
    const own = [10, 5, 0].map((shift) => (((key >> shift) & 31) * 255) / 31);
    const distances = colours.map((colour) => colour.reduce((sum, part, k) => sum + (part - own[k]) ** 2, 0));
    indexOf[key] = distances.indexOf(Math.min(...distances));
  }
  while (colours.length < COLOURS) colours.push([0, 0, 0]);
  return { colours: colours.map((colour) => colour.map(Math.round)), indexOf };
}

/**
 * @param {Uint8ClampedArray} data
 * @param {number} k
 */
const reduced = (data, k) => ((data[k] >> 3) << 10) | ((data[k + 1] >> 3) << 5) | (data[k + 2] >> 3);

/**
 * @param {ImageData} frame
 * @param {Uint8Array} indexOf
 */
const indices = ({ data }, indexOf) =>
  Uint8Array.from({ length: data.length / 4 }, (_, k) => indexOf[reduced(data, 4 * k)]);

/**
 * Compress by LZW with codes of 9 to 12 bits, the lowest bit first (GIF89a, appendix F).
 *
 * @param {Uint8Array} values
 */
function compress(values) {
  const clear = COLOURS, end = COLOURS + 1;
  /** @type {number[]} */
  const bytes = [];
  /** @type {Map<number, number>} */
  let codes = new Map();
  let size = 9, next = end + 1, bits = 0, waiting = 0, prefix = values[0];
  const put = (/** @type {number} */ code) => {
    waiting |= code << bits;
    for (bits += size; bits >= 8; bits -= 8, waiting >>>= 8) bytes.push(waiting & 255);
  };
  put(clear);
  for (const value of values.subarray(1)) {
    const key = (prefix << 8) | value, known = codes.get(key);
    if (known !== undefined) {
      prefix = known;
      continue;
    }
    put(prefix);
    if (next === MOST_CODES) {
      put(clear);
      [codes, size, next] = [new Map(), 9, end + 1];
    } else {
      if (next === 1 << size) size++;
      codes.set(key, next++);
    }
    prefix = value;
  }
  put(prefix);
  if (next === 1 << size && size < 12) size++; // the decoder adds a code here, too
  put(end);
  if (bits) bytes.push(waiting & 255);
  return bytes;
}

/** Divide bytes into blocks of at most 255, each after its length. @param {number[]} bytes */
function blocks(bytes) {
  const found = [];
  for (let at = 0; at < bytes.length; at += 255) {
    const block = bytes.slice(at, at + 255);
    found.push(block.length, ...block);
  }
  return [...found, 0];
}
