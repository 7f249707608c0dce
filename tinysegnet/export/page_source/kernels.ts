// The kernels of the live page, in AssemblyScript: one function per op, as in tinysegnet/ops, for one picture.
//
// A feature map is stored as in NumPy, row by row, pixel by pixel, channel by channel, in float32. The only difference
// is that zeros pad the channels to a multiple of 4. So each v128, a vector of 128 bits, contains 4 channels of one
// pixel, and no loop needs a case for the last channels. Arguments called x, out or weight are addresses in bytes.
// H, W, C belong to the map at x, and outH, outW, F to the map at out. C and F include the padding.

const FLOAT: usize = 4; // bytes
const VECTOR: usize = 16;
const CHANNELS = 4; // per vector
const TILE = 4; // pixels that conv2d computes together
const BLOCK = 8; // output channels that conv2d computes together
const LOWEST = -f32.MAX_VALUE;

@external("math", "pow")
declare function pow(base: f64, exponent: f64): f64;

/** Return the first address that is not used by this module. */
export function firstAddress(): usize {
  return __heap_base;
}

@inline
function pixel(map: usize, row: i32, column: i32, W: i32, C: i32): usize {
  return map + (<usize>row * W + column) * C * FLOAT;
}

// --- convolution -----------------------------------------------------------------------------------------------------

/** Return whether a padded, spread-out picture has row y of the original picture, and not zeros. */
@inline
function isStored(y: i32, H: i32, spread: i32): bool {
  return y >= 0 && y < H * spread && y % spread == 0;
}

/** Return the bytes of one row of conv2d's strip: all pixels that are stored in it, and all that the tiles read. */
export function stripRow(W: i32, C: i32, KW: i32, stride: i32, left: i32, spread: i32, outW: i32): usize {
  const tiles = (outW + TILE - 1) / TILE, read = (tiles * TILE - 1) * stride + KW;
  return <usize>max(read, left + W * spread) * C * FLOAT;
}

/**
 * Convolve a picture with a kernel, add a bias and, if `relu` is set, apply ReLU: `conv2d_forward_numpy` in
 * ops/conv.py.
 *
 *     out[u, v, f] = bias[f] + sum over i, j, c of  x_padded[u*s + i, v*s + j, c] * weight[i, j, c, f]
 *
 * The pixels of x are `spread` apart, with zeros between them, for a transposed convolution: it is the convolution of
 * this picture with the rotated kernel (`spread_out` in ops/windows.py). An ordinary convolution has spread 1.
 *
 * `weight` consists of blocks of 8 output channels. Each block contains 8 biases and KH * KW * C vectors of 8 weights,
 * in the order in which they are read. `strip` has room for KH rows of x_padded: each row of the picture is copied
 * there once, between zeros. In a row, the pixels of a window are neighbours. So for each row i of the kernel, the sum
 * over j and c is one dot product of KW * C values. 4 pixels x 8 output channels are computed together, because their
 * 32 sums fit in the registers. So each weight is loaded once for 4 pixels, and each value once for 8 channels.
 */
export function conv2d(x: usize, H: i32, W: i32, C: i32, weight: usize, KH: i32, KW: i32, strideY: i32, strideX: i32,
                       top: i32, left: i32, spreadY: i32, spreadX: i32, relu: bool, strip: usize,
                       out: usize, outH: i32, outW: i32, F: i32): void {
  const row = stripRow(W, C, KW, strideX, left, spreadX, outW), taps = <usize>KW * C;
  const step = <usize>strideX * C * FLOAT, lowest = f32x4.splat(relu ? 0 : LOWEST);
  memory.fill(strip, 0, row * KH);
  let filled = -top; // the rows of the picture before this one are in the strip, or are not needed any more
  for (let u = 0; u < outH; u++) {
    const first = u * strideY - top; // the row of the picture that row 0 of the kernel reads
    for (let y = max(filled, first); y < first + KH; y++) {
      if (isStored(y, H, spreadY)) {
        copyRow(strip + row * ((y + top) % KH) + left * C * FLOAT, pixel(x, y / spreadY, 0, W, C), W, C, spreadX);
      }
    }
    filled = first + KH;
    for (let f = 0; f < F; f += BLOCK) {
      const block = weight + <usize>f * (1 + KH * taps) * FLOAT;
      for (let v = 0; v < outW; v += TILE) {
        let a0 = v128.load(block), b0 = v128.load(block, VECTOR); // 8 sums of the first pixel, which start as biases
        let a1 = a0, b1 = b0, a2 = a0, b2 = b0, a3 = a0, b3 = b0;
        for (let i = 0; i < KH; i++) {
          if (!isStored(first + i, H, spreadY)) continue;
          let w = block + BLOCK * (1 + taps * i) * FLOAT;
          let x0 = strip + row * ((first + i + top) % KH) + v * step;
          const end = x0 + taps * FLOAT;
          for (let x1 = x0 + step, x2 = x1 + step, x3 = x2 + step; x0 < end;) {
            const wa = v128.load(w), wb = v128.load(w, VECTOR);
            let value = v128.load32_splat(x0);
            a0 = f32x4.add(a0, f32x4.mul(value, wa));
            b0 = f32x4.add(b0, f32x4.mul(value, wb));
            value = v128.load32_splat(x1);
            a1 = f32x4.add(a1, f32x4.mul(value, wa));
            b1 = f32x4.add(b1, f32x4.mul(value, wb));
            value = v128.load32_splat(x2);
            a2 = f32x4.add(a2, f32x4.mul(value, wa));
            b2 = f32x4.add(b2, f32x4.mul(value, wb));
            value = v128.load32_splat(x3);
            a3 = f32x4.add(a3, f32x4.mul(value, wa));
            b3 = f32x4.add(b3, f32x4.mul(value, wb));
            x0 += FLOAT, x1 += FLOAT, x2 += FLOAT, x3 += FLOAT, w += 2 * VECTOR;
          }
        }
        const at = pixel(out, u, v, outW, F) + f * FLOAT, both = f + CHANNELS < F;
        storePixel(at, a0, b0, lowest, both);
        if (v + 1 < outW) storePixel(at + F * FLOAT, a1, b1, lowest, both);
        if (v + 2 < outW) storePixel(at + 2 * F * FLOAT, a2, b2, lowest, both);
        if (v + 3 < outW) storePixel(at + 3 * F * FLOAT, a3, b3, lowest, both);
      }
    }
  }
}

function copyRow(to: usize, from: usize, W: i32, C: i32, spread: i32): void {
  if (spread == 1) {
    memory.copy(to, from, <usize>W * C * FLOAT);
    return;
  }
  for (let v = 0; v < W; v++) memory.copy(pixel(to, 0, v * spread, 0, C), pixel(from, 0, v, 0, C), C * FLOAT);
}

@inline
function storePixel(at: usize, a: v128, b: v128, lowest: v128, both: bool): void {
  v128.store(at, f32x4.max(a, lowest));
  if (both) v128.store(at, f32x4.max(b, lowest), VECTOR);
}

/**
 * Convolve each channel with its own kernel, and add a bias: `depthwise_conv2d_forward_numpy` in ops/depthwise.py, for
 * stride 1. `weight` contains C biases, and then C weights for each tap of the kernel.
 */
export function depthwiseConv2d(x: usize, H: i32, W: i32, C: i32, weight: usize, KH: i32, KW: i32, top: i32, left: i32,
                                out: usize): void {
  const taps = pixel(weight, 0, 1, 0, C);
  for (let u = 0; u < H; u++) {
    for (let v = 0; v < W; v++) {
      for (let c = 0; c < C; c += CHANNELS) {
        let sum = v128.load(weight + c * FLOAT);
        for (let i = max(0, top - u); i < min(KH, H + top - u); i++) {
          for (let j = max(0, left - v); j < min(KW, W + left - v); j++) {
            const value = v128.load(pixel(x, u + i - top, v + j - left, W, C) + c * FLOAT);
            sum = f32x4.add(sum, f32x4.mul(value, v128.load(pixel(taps, i, j, KW, C) + c * FLOAT)));
          }
        }
        v128.store(pixel(out, u, v, W, C) + c * FLOAT, sum);
      }
    }
  }
}

// --- pooling and upsampling ------------------------------------------------------------------------------------------

/**
 * Write the maximum of each window to `out` and its position in the window to `positions`, one byte per value:
 * `max_pool2d_forward_numpy` in ops/pool.py. The last windows are clipped, and the first maximum wins a tie.
 */
export function maxPool2d(x: usize, H: i32, W: i32, C: i32, size: i32, stride: i32, positions: usize,
                          out: usize, outH: i32, outW: i32): void {
  for (let u = 0; u < outH; u++) {
    const y = u * stride, rows = min(size, H - y);
    for (let v = 0; v < outW; v++) {
      const z = v * stride, columns = min(size, W - z);
      for (let c = 0; c < C; c += CHANNELS) {
        let best = v128.load(pixel(x, y, z, W, C) + c * FLOAT), position = i32x4.splat(0);
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            const value = v128.load(pixel(x, y + i, z + j, W, C) + c * FLOAT), larger = f32x4.gt(value, best);
            best = v128.bitselect(value, best, larger);
            position = v128.bitselect(i32x4.splat(i * size + j), position, larger);
          }
        }
        v128.store(pixel(out, u, v, outW, C) + c * FLOAT, best);
        const short = i16x8.narrow_i32x4_s(position, position), bytes = i8x16.narrow_i16x8_u(short, short);
        v128.store32_lane(positions, bytes, 0);
        positions += CHANNELS;
      }
    }
  }
}

/**
 * Put each value at the position of its maximum, and zeros elsewhere: `max_unpool2d_forward_numpy` in ops/pool.py. If
 * `fixed` is set, every value is put in the first pixel of its window. (H, W) is the size of the pooled map.
 */
export function maxUnpool2d(x: usize, H: i32, W: i32, C: i32, size: i32, stride: i32, positions: usize, fixed: bool,
                            out: usize, outH: i32, outW: i32): void {
  if (stride > size) memory.fill(out, 0, <usize>outH * outW * C * FLOAT); // there are pixels between the windows
  for (let u = 0; u < H; u++) {
    const y = u * stride, rows = min(size, outH - y);
    for (let v = 0; v < W; v++) {
      const z = v * stride, columns = min(size, outW - z);
      for (let c = 0; c < C; c += CHANNELS) {
        const value = v128.load(x), bytes = v128.load32_zero(positions);
        const stored = i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(bytes));
        const position = fixed ? i32x4.splat(0) : stored;
        for (let i = 0; i < rows; i++) {
          for (let j = 0; j < columns; j++) {
            const here = i32x4.eq(position, i32x4.splat(i * size + j));
            v128.store(pixel(out, y + i, z + j, outW, C) + c * FLOAT, v128.and(value, here));
          }
        }
        x += VECTOR;
        positions += CHANNELS;
      }
    }
  }
}

/**
 * Upsample without parameters: `upsample_nearest2d_forward_numpy` and `upsample_bilinear2d_forward_numpy` in
 * ops/upsample.py. Each output pixel has a position in x. Between pixels, it is a mixture of its 4 neighbours.
 */
export function upsample(x: usize, H: i32, W: i32, C: i32, factor: i32, bilinear: bool,
                         out: usize, outH: i32, outW: i32): void {
  for (let u = 0; u < outH; u++) {
    const y = position(u, H, factor, bilinear), above = <i32>floor(y), below = <i32>ceil(y);
    const s = f32x4.splat(<f32>(y - floor(y))), oneMinusS = f32x4.sub(f32x4.splat(1), s);
    for (let v = 0; v < outW; v++) {
      const z = position(v, W, factor, bilinear), before = <i32>floor(z), after = <i32>ceil(z);
      const t = f32x4.splat(<f32>(z - floor(z))), oneMinusT = f32x4.sub(f32x4.splat(1), t);
      for (let c = 0; c < C; c += CHANNELS) {
        const from = x + c * FLOAT, row = pixel(from, above, 0, W, C), nextRow = pixel(from, below, 0, W, C);
        const left = mix(pixel(row, 0, before, W, C), pixel(nextRow, 0, before, W, C), oneMinusS, s);
        const right = mix(pixel(row, 0, after, W, C), pixel(nextRow, 0, after, W, C), oneMinusS, s);
        v128.store(out, f32x4.add(f32x4.mul(left, oneMinusT), f32x4.mul(right, t)));
        out += VECTOR;
      }
    }
  }
}

@inline
function position(i: i32, size: i32, factor: i32, bilinear: bool): f64 {
  return bilinear ? min(max((i + 0.5) / factor - 0.5, 0), size - 1) : <f64>(i / factor);
}

@inline
function mix(p: usize, q: usize, weightP: v128, weightQ: v128): v128 {
  return f32x4.add(f32x4.mul(v128.load(p), weightP), f32x4.mul(v128.load(q), weightQ));
}

// --- elementwise -----------------------------------------------------------------------------------------------------

/**
 * Convert a picture of bytes, red, green and blue, to a map, and normalise it: the layer `Normalize`. If `reversed` is
 * set, the channels are blue, green and red.
 */
export function picture(x: usize, pixels: i32, meanR: f32, meanG: f32, meanB: f32, scaleR: f32, scaleG: f32,
                        scaleB: f32, reversed: bool, out: usize): void {
  const mean = f32x4(meanR, meanG, meanB, 0), scale = f32x4(scaleR, scaleG, scaleB, 1);
  for (let p = 0; p < pixels; p++, x += 3, out += VECTOR) {
    const rgb = f32x4(<f32>load<u8>(x), <f32>load<u8>(x, 1), <f32>load<u8>(x, 2), 0);
    const value = f32x4.div(f32x4.sub(rgb, mean), scale);
    v128.store(out, reversed ? v128.shuffle<f32>(value, value, 2, 1, 0, 3) : value);
  }
}

/**
 * Divide each value by a power of the energy around it: `local_response_norm_forward_numpy` in
 * ops/local_response_norm.py. half: the number of channels on either side of a window's centre; share: alpha / size.
 */
export function localResponseNorm(x: usize, pixels: i32, C: i32, half: i32, share: f64, beta: f64, k: f64,
                                  out: usize): void {
  for (let p = 0; p < pixels; p++, x += C * FLOAT, out += C * FLOAT) {
    for (let c = 0; c < C; c++) {
      let s = k;
      for (let j = max(0, c - half); j < min(C, c + half + 1); j++) {
        const value = <f64>load<f32>(x + j * FLOAT);
        s += share * value * value;
      }
      store<f32>(out + c * FLOAT, <f32>(<f64>load<f32>(x + c * FLOAT) * pow(s, -beta)));
    }
  }
}

/** Replace negative values by 0, in place: `relu_forward_numpy` in ops/relu.py. */
export function relu(x: usize, pixels: i32, C: i32): void {
  const zero = f32x4.splat(0);
  for (let end = pixel(x, 0, pixels, 0, C); x < end; x += VECTOR) v128.store(x, f32x4.max(v128.load(x), zero));
}

/** Add the map at y to the map at x: the layer `SkipAdd`. */
export function add(x: usize, pixels: i32, C: i32, y: usize): void {
  for (let end = pixel(x, 0, pixels, 0, C); x < end; x += VECTOR, y += VECTOR) {
    v128.store(x, f32x4.add(v128.load(x), v128.load(y)));
  }
}

/** Write the class with the largest logit of each pixel, one byte each: numpy.argmax. F, the classes, is not padded. */
export function argmax(x: usize, pixels: i32, C: i32, F: i32, labels: usize): void {
  for (let p = 0; p < pixels; p++, x += C * FLOAT) {
    let best: f32 = F == 1 ? 0 : load<f32>(x), label = 0; // a single logit z stands for the logits (0, z)
    for (let f = F == 1 ? 0 : 1; f < F; f++) {
      const logit = load<f32>(x + f * FLOAT);
      if (logit > best) {
        best = logit;
        label = F == 1 ? 1 : f;
      }
    }
    store<u8>(labels + p, label);
  }
}
