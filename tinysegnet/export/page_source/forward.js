// The forward pass of an exported network, for one picture at a time, in a page, in a worker or in Node.
//
// Python describes the network (network_data.py), kernels.ts computes, and this file connects the two. For each size of
// pictures, it makes a plan: the steps, and the address of every array in the memory of WebAssembly. The weights come
// first. The feature maps alternate between two regions, because most layers only read the map before them. The
// positions of the maxima in pooling and the maps of skip connections have their own regions.

/**
 * @typedef {{kind: string, name: string, stage?: string, [setting: string]: any}} Layer
 * @typedef {{input: any, layers: Layer[], size_multiple: number, [more: string]: any}} Description
 * @typedef {{bytes: number, at: number}} Region  a part of the memory, whose address is known when the plan is complete
 * @typedef {(name: string, values: Float32Array, height: number, width: number, channels: number) => void} OnStage
 * @typedef {{labels: Uint8Array, logits: Float32Array}} Result  a class for each pixel, and K logits for each pixel
 * @typedef {{at: number, unit: number, block: number, scale: number[], bias: number[]}} Weights  see network_data.py
 * @typedef {Uint8Array | Uint8ClampedArray} Bytes
 * @typedef {Record<string, any>} Kernels
 * @typedef {{before: number, count: number}} Axis  the zeros before x along an axis, and the number of windows
 */

const PAGE = 65536; // bytes, the unit in which the memory grows
/** @param {number} n @param {number} unit */
const roundUp = (n, unit) => Math.ceil(n / unit) * unit;

/** A network that is ready to run. */
export class LiveNetwork {
  // Bytes of weights are float16, little-endian. `wasm` contains the compiled kernels.
  /** @param {Description} description @param {Uint8Array | Float32Array} weights @param {BufferSource} wasm */
  static async create(description, weights, wasm) {
    const module = await WebAssembly.compile(wasm);
    const { exports } = await WebAssembly.instantiate(module, { math: { pow: Math.pow } });
    return new LiveNetwork(description, weights, exports);
  }

  /** @param {Description} description @param {Uint8Array | Float32Array} weights @param {Kernels} kernels */
  constructor(description, weights, kernels) {
    this.description = description;
    this.kernels = kernels;
    this.weights = roundUp(kernels.firstAddress(), 16);
    const values = weights instanceof Float32Array ? weights : widen(weights);
    this.end = roundUp(this.weights + 4 * values.length, 16);
    grow(kernels.memory, this.end, "The network");
    for (const { weights: array, through } of description.layers) {
      for (const found of [array, through?.weights].filter(Boolean)) {
        fill(new Float32Array(kernels.memory.buffer, this.weights + 4 * found.at, found.length), values, found);
      }
    }
    this.plan = /** @type {Plan | undefined} */ (undefined);
  }

  /**
   * Predict the class of every pixel. `onStage` receives the output of each stage, which is valid only during the call.
   *
   * @param {Bytes} rgb  H * W * 3 bytes
   * @param {number} height @param {number} width @param {OnStage} [onStage] @returns {Result}
   */
  forward(rgb, height, width, onStage) {
    const multiple = this.description.size_multiple;
    if (![height, width].every((n) => Number.isInteger(n) && n > 0 && n % multiple === 0)) {
      throw new Error(`Height and width must be multiples of ${multiple}, not ${height} x ${width}.`);
    }
    if (rgb.length !== height * width * 3) {
      throw new Error(`A picture of ${height} x ${width} pixels has ${height * width * 3} bytes, not ${rgb.length}.`);
    }
    if (this.plan?.height !== height || this.plan.width !== width) this.plan = new Plan(this, height, width);
    return this.plan.run(rgb, onStage);
  }
}

// At their place in a float32, the bits of a float16 mean the same number divided by 2^112, because the exponents of
// the two formats have different biases.
/** Convert float16 to float32. @param {Uint8Array} bytes */
function widen(bytes) {
  const halves = new Uint16Array(new Uint8Array(bytes).buffer); // a copy, because it must start at an even address
  const bits = Uint32Array.from(halves, (half) => ((half & 0x8000) << 16) | ((half & 0x7fff) << 13));
  return new Float32Array(bits.buffer).map((value) => value * 2 ** 112);
}

/**
 * Store the weights of a layer, multiplied by the factors of their output channels, and the biases.
 *
 * @param {Float32Array} stored @param {Float32Array} values @param {Weights} weights
 */
function fill(stored, values, { at, unit, block, scale, bias }) {
  const size = stored.length / Math.ceil(bias.length / block);
  for (let k = 0; k < stored.length; k++) {
    const channel = Math.floor(k / size) * block + k % block;
    stored[k] = k % size < block ? bias[channel] ?? 0 : values[at + k] * unit * (scale[channel] ?? 0);
  }
}

/** @param {WebAssembly.Memory} memory @param {number} bytes @param {string} what */
function grow(memory, bytes, what) {
  const pages = Math.ceil(bytes / PAGE) + 1 - memory.buffer.byteLength / PAGE; // 1 more, to end before address 2^32
  try {
    if (pages > 0) memory.grow(pages);
  } catch {
    throw new Error(`${what} needs ${(bytes / 1e9).toFixed(1)} GB of memory, more than this browser gives to a page.`);
  }
}

/** A feature map: height x width pixels, whose channels are padded to C, a multiple of 4. */
class FeatureMap {
  /** @param {Region} region @param {number} height @param {number} width @param {number} channels */
  constructor(region, height, width, channels) {
    this.region = region;
    this.height = height;
    this.width = width;
    this.channels = channels;
    this.C = roundUp(channels, 4);
    this.pixels = height * width;
    this.bytes = this.pixels * this.C * 4;
    region.bytes = Math.max(region.bytes, this.bytes);
  }

  get at() { return this.region.at; }

  /** Return the values without the padding of the channels. @param {ArrayBuffer} buffer */
  values(buffer) {
    const { pixels, channels, C } = this, padded = new Float32Array(buffer, this.at, pixels * C);
    if (channels === C) return padded;
    const values = new Float32Array(pixels * channels);
    for (let k = 0; k < values.length; k++) values[k] = padded[Math.floor(k / channels) * C + k % channels];
    return values;
  }
}

/** The steps and the memory for pictures of one size. */
class Plan {
  /** @param {LiveNetwork} network @param {number} height @param {number} width */
  constructor({ description: { input: { mean, scale, reversed }, layers }, kernels, weights, end }, height, width) {
    this.height = height;
    this.width = width;
    this.kernels = kernels;
    this.weights = weights;
    /** @type {Region[]} */
    this.regions = [];
    this.homes = [this.region(0), this.region(0)]; // the maps alternate between these two
    this.strip = this.region(0); // scratch memory of conv2d
    this.picture = this.region(height * width * 3);
    /** @type {Record<string, {height: number, width: number, positions?: Region, map?: FeatureMap}>} */
    this.earlier = {}; // for each layer, what later layers may need: its input's size, and what it stores
    /** @type {{run: () => void, stage?: string, map?: FeatureMap}[]} */
    this.steps = [];

    const rgb = new FeatureMap(this.homes[0], height, width, 3);
    let x = rgb;
    this.step(() => kernels.picture(this.picture.at, rgb.pixels, ...mean, ...scale, reversed, rgb.at));
    for (const layer of layers) {
      this.earlier[layer.name] = { height: x.height, width: x.width };
      x = LAYERS[layer.kind](this, layer, x, kernels);
      if (layer.stage) Object.assign(this.steps[this.steps.length - 1], { stage: layer.stage, map: x });
    }
    this.logits = x;
    this.labels = this.region(x.pixels);

    let at = end;
    for (const region of this.regions) {
      region.at = at;
      at += roundUp(region.bytes, 16);
    }
    grow(kernels.memory, at, `A picture of ${height} x ${width} pixels`);
  }

  /** @param {number} bytes @returns {Region} */
  region(bytes) {
    const region = { bytes, at: 0 };
    this.regions.push(region);
    return region;
  }

  /** @param {FeatureMap} x */
  other = (x) => this.homes[x.region === this.homes[0] ? 1 : 0];

  /** @param {() => void} run */
  step = (run) => this.steps.push({ run });

  /** @param {Bytes} rgb @param {OnStage} [onStage] @returns {Result} */
  run(rgb, onStage) {
    const { kernels, logits, labels } = this, { buffer } = kernels.memory;
    new Uint8Array(buffer, this.picture.at, rgb.length).set(rgb);
    for (const { run, stage, map } of this.steps) {
      run();
      if (onStage && stage && map) onStage(stage, map.values(buffer), map.height, map.width, map.channels);
    }
    kernels.argmax(logits.at, logits.pixels, logits.C, logits.channels, labels.at);
    return { labels: new Uint8Array(buffer, labels.at, labels.bytes).slice(), logits: logits.values(buffer).slice() };
  }
}

// --- the layers: each function appends a step to the plan and returns the layer's output -----------------------------

/** @type {Record<string, (plan: Plan, layer: Layer, x: FeatureMap, kernels: any) => FeatureMap>} */
const LAYERS = {
  conv2d: (plan, layer, x) => convolve(plan, layer, x, plan.other(x), windows(plan, layer, x)),

  // The windows of the convolution whose transpose this is are on the output.
  conv_transpose2d(plan, layer, x) {
    const { kernel, stride } = layer, axes = upsampledSize(plan, layer, x, stride).map((count, k) => (
      { before: kernel[k] - 1 - same(count, kernel[k], stride[k]).before, count }));
    return convolve(plan, layer, x, plan.other(x), axes, [1, 1], stride);
  },

  depthwise_conv2d(plan, { kernel: [KH, KW], weights }, x, kernels) {
    const out = new FeatureMap(plan.other(x), x.height, x.width, x.channels), at = plan.weights + 4 * weights.at;
    const top = same(x.height, KH, 1).before, left = same(x.width, KW, 1).before;
    plan.step(() => kernels.depthwiseConv2d(x.at, x.height, x.width, x.C, at, KH, KW, top, left, out.at));
    return out;
  },

  max_pool2d(plan, { name, size, stride }, x, kernels) {
    const [height, width] = [x.height, x.width].map((n) => pooled(n, size, stride));
    const out = new FeatureMap(plan.other(x), height, width, x.channels), positions = plan.region(out.pixels * out.C);
    plan.earlier[name].positions = positions;
    plan.step(() => kernels.maxPool2d(x.at, x.height, x.width, x.C, size, stride, positions.at, out.at, height, width));
    return out;
  },

  max_unpool2d(plan, { pool, size, stride, fixed }, x, kernels) {
    const { height, width, positions } = plan.earlier[pool];
    const out = new FeatureMap(plan.other(x), height, width, x.channels);
    plan.step(() => kernels.maxUnpool2d(x.at, x.height, x.width, x.C, size, stride, positions?.at, fixed,
      out.at, height, width));
    return out;
  },

  upsample(plan, layer, x, kernels) {
    const { factor, bilinear } = layer, [height, width] = upsampledSize(plan, layer, x, [factor, factor]);
    const out = new FeatureMap(plan.other(x), height, width, x.channels);
    plan.step(() => kernels.upsample(x.at, x.height, x.width, x.C, factor, bilinear, out.at, height, width));
    return out;
  },

  skip_source(plan, { name, through }, x, kernels) {
    if (through) {
      plan.earlier[name].map = convolve(plan, through, x, plan.region(0), windows(plan, through, x));
    } else {
      const map = plan.earlier[name].map = new FeatureMap(plan.region(0), x.height, x.width, x.channels);
      plan.step(() => new Uint8Array(kernels.memory.buffer).copyWithin(map.at, x.at, x.at + x.bytes));
    }
    return x;
  },

  skip_add(plan, { name, source }, x, kernels) {
    const { map } = plan.earlier[source];
    if (map?.bytes !== x.bytes) throw new Error(`${name}: the two ends of the skip connection differ in size.`);
    plan.step(() => kernels.add(x.at, x.pixels, x.C, map.at));
    return x;
  },

  local_response_norm(plan, { size, alpha, beta, k }, x, kernels) {
    const out = new FeatureMap(plan.other(x), x.height, x.width, x.channels), half = (size - 1) / 2;
    plan.step(() => kernels.localResponseNorm(x.at, x.pixels, x.C, half, alpha / size, beta, k, out.at));
    return out;
  },

  relu(plan, _, x, kernels) {
    plan.step(() => kernels.relu(x.at, x.pixels, x.C));
    return x;
  },
};

/**
 * Convolve x, whose pixels are `spread` apart, and put the output in the region.
 *
 * @param {Plan} plan @param {Layer} layer @param {FeatureMap} x @param {Region} region @param {Axis[]} axes
 */
function convolve(plan, layer, x, region, axes, stride = layer.stride, spread = [1, 1]) {
  const { kernels, strip } = plan, { kernel: [KH, KW], relu } = layer, at = plan.weights + 4 * layer.weights.at;
  const out = new FeatureMap(region, axes[0].count, axes[1].count, layer.outputs), pads = axes.map((a) => a.before);
  const row = kernels.stripRow(x.width, x.C, KW, stride[1], pads[1], spread[1], out.width);
  strip.bytes = Math.max(strip.bytes, KH * row);
  plan.step(() => kernels.conv2d(x.at, x.height, x.width, x.C, at, KH, KW, ...stride, ...pads, ...spread, relu,
    strip.at, out.at, out.height, out.width, out.C));
  return out;
}

/** @param {Plan} plan @param {Layer} layer @param {FeatureMap} x @returns {Axis[]} */
function windows(plan, { kernel, stride, padding }, x) {
  const axes = [x.height, x.width].map((n, k) => padding === "same" ? same(n, kernel[k], stride[k])
    : { before: padding[k], count: Math.floor((n + 2 * padding[k] - kernel[k]) / stride[k]) + 1 });
  if (axes.every(({ count }) => count > 0)) return axes;
  throw new Error(`A picture of ${plan.height} x ${plan.width} pixels is too small for this network.`);
}

/** Padding "same", as in ops/windows.py. @param {number} size @param {number} kernel @param {number} stride */
function same(size, kernel, stride) {
  const count = Math.ceil(size / stride);
  return { before: Math.floor(Math.max((count - 1) * stride + kernel - size, 0) / 2), count };
}

/** The size after pooling, as in ops/pool.py. @param {number} n @param {number} size @param {number} stride */
function pooled(n, size, stride) {
  const count = Math.max(Math.ceil((n - size) / stride) + 1, 1); // the last window may be clipped, but it starts inside
  return (count - 1) * stride >= n ? count - 1 : count;
}

/** @param {Plan} plan @param {Layer} layer @param {FeatureMap} x @param {number[]} factor */
function upsampledSize(plan, { pool }, x, factor) {
  return pool ? [plan.earlier[pool].height, plan.earlier[pool].width] : [x.height * factor[0], x.width * factor[1]];
}
