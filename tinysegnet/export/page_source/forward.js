// The forward pass of an exported network, for one picture at a time, in a page, a worker or Node.
//
// Python describes the network (network_data.py), WebAssembly computes (kernels.ts), and this file connects the two. For
// each picture size, it makes a plan: the steps, and the address of each array in the memory of WebAssembly. The
// memory starts with the network's weights. The maps alternate between two regions, because a layer reads only the
// map before it. Skip connections and the positions of pooling have regions of their own.

/**
 * @typedef {{at: number, length: number, scale: number}} Weights  float16 values from byte `at` on, to multiply by scale
 * @typedef {{kind: string, name: string, stage?: string, [setting: string]: any}} Layer
 * @typedef {{layers: Layer[], size_multiple: number, [more: string]: any}} Description
 * @typedef {{bytes: number, at: number}} Region  a part of the memory, whose address is known when the plan is complete
 * @typedef {{region: Region, height: number, width: number, channels: number}} FeatureMap
 * @typedef {(name: string, values: Float32Array, height: number, width: number, channels: number) => void} OnStage
 * @typedef {{labels: Uint8Array, logits: Float32Array}} Result  H * W classes, and H * W * K logits
 */

const PAGE = 65536; // the unit in bytes in which WebAssembly's memory grows
const MOST_PAGES = 65536;
const BLOCK = 8; // as in kernels.ts
/** @param {number} n @param {number} unit */
const roundUp = (n, unit) => Math.ceil(n / unit) * unit;
/** @param {number} channels */
const padded = (channels) => roundUp(channels, 4);
/** @param {FeatureMap} map */
const bytesOf = (map) => map.height * map.width * padded(map.channels) * 4;
/** @param {FeatureMap} map */
const pixelsOf = (map) => map.height * map.width;

/** A network that is ready to run. */
export class LiveNetwork {
  /**
   * Load a network.
   *
   * @param {Description} description
   * @param {Uint8Array} weights  float16, little-endian
   * @param {BufferSource} wasm  the compiled kernels
   */
  static async create(description, weights, wasm) {
    const { instance } = /** @type {WebAssembly.WebAssemblyInstantiatedSource} */ (
      /** @type {unknown} */ (await WebAssembly.instantiate(wasm, { math: { pow: Math.pow } })));
    return new LiveNetwork(description, weights, instance.exports);
  }

  /**
   * @param {Description} description
   * @param {Uint8Array} weights
   * @param {Record<string, any>} kernels
   */
  constructor(description, weights, kernels) {
    this.description = description;
    this.kernels = kernels;
    this.store = new WeightStore(weights, kernels);
    this.layers = description.layers.map((layer) => prepare(layer, this.store));
    /** @type {Plan | null} */
    this.plan = null;
  }

  /**
   * Predict the class of every pixel.
   *
   * @param {Uint8Array | Uint8ClampedArray} rgb  H * W * 3 bytes
   * @param {number} height
   * @param {number} width
   * @param {OnStage} [onStage]  receives the output of each stage; its values are valid only during the call
   * @returns {Result}
   */
  forward(rgb, height, width, onStage) {
    this.#check(rgb, height, width);
    if (this.plan?.height !== height || this.plan.width !== width) {
      const plan = new Plan(this, height, width);
      plan.place(this.store.end);
      this.plan = plan;
    }
    return this.plan.run(rgb, onStage);
  }

  /** @param {Uint8Array | Uint8ClampedArray} rgb @param {number} height @param {number} width */
  #check(rgb, height, width) {
    const multiple = this.description.size_multiple;
    if (![height, width].every((n) => Number.isInteger(n) && n > 0 && n % multiple === 0)) {
      throw new Error(`A picture of ${height} x ${width} pixels does not fit this network. Height and width must be ` +
        `multiples of ${multiple}.`);
    }
    if (rgb.length !== height * width * 3) {
      throw new Error(`A picture of ${height} x ${width} pixels has ${height * width * 3} bytes, not ${rgb.length}.`);
    }
  }
}

/** The weights, in the order in which the kernels read them, at the beginning of the memory. */
class WeightStore {
  /** @param {Uint8Array} bytes @param {Record<string, any>} kernels */
  constructor(bytes, kernels) {
    this.halves = new Uint16Array(bytes.slice().buffer);
    this.kernels = kernels;
    this.end = roundUp(kernels.firstAddress(), 16);
  }

  /**
   * Convert float16 to float32. The bits of a float16 at the right place of a float32 are the same number divided by
   * 2^112, because the two exponents have different biases.
   *
   * @param {Weights | null} weights  null: zeros
   * @param {number} length
   */
  read(weights, length) {
    const values = new Float32Array(length), bits = new Uint32Array(values.buffer);
    if (weights === null) return values;
    const first = weights.at / 2, scale = 2 ** 112 * weights.scale;
    for (let k = 0; k < length; k++) {
      const half = this.halves[first + k];
      bits[k] = ((half & 0x8000) << 16) | ((half & 0x7fff) << 13);
      values[k] *= scale;
    }
    return values;
  }

  /** @param {Float32Array} values */
  write(values) {
    const at = this.end;
    this.end += roundUp(values.byteLength, 16);
    grow(this.kernels.memory, this.end, "The network");
    new Float32Array(this.kernels.memory.buffer, at, values.length).set(values);
    return at;
  }

  /**
   * Write values per channel, and per tap of a depthwise kernel, with zeros after the last channel.
   *
   * @param {Float32Array[]} arrays
   * @param {number} channels
   */
  writeChannels(arrays, channels) {
    const rows = arrays.map((array) => array.length / channels), stride = padded(channels);
    const result = new Float32Array(rows.reduce((a, b) => a + b) * stride);
    let row = 0;
    for (const array of arrays) {
      for (let k = 0; k < array.length; k += channels) result.set(array.subarray(k, k + channels), row++ * stride);
    }
    return this.write(result);
  }

  /**
   * Write the weight and bias of a convolution in blocks of 8 output channels, as `conv2d` in kernels.ts reads them.
   *
   * @param {Layer} layer
   */
  writeConvolution({ weight, bias, kernel: [KH, KW], inputs, outputs, kind }) {
    const from = this.read(weight, KH * KW * inputs * outputs), biases = this.read(bias, outputs);
    const rotated = kind === "conv_transpose2d", C = padded(inputs), size = BLOCK * (1 + KH * KW * C);
    const result = new Float32Array(Math.ceil(outputs / BLOCK) * size);
    for (let f = 0; f < outputs; f++) {
      const block = Math.floor(f / BLOCK) * size + f % BLOCK;
      result[block] = biases[f];
      for (let tap = 0; tap < KH * KW; tap++) {
        for (let c = 0; c < inputs; c++) {
          const at = rotated ? ((KH * KW - 1 - tap) * outputs + f) * inputs + c : (tap * inputs + c) * outputs + f;
          result[block + BLOCK * (1 + tap * C + c)] = from[at];
        }
      }
    }
    return this.write(result);
  }
}

/**
 * Write the weights of a layer, and return the layer with their addresses.
 *
 * @param {Layer} layer
 * @param {WeightStore} store
 * @returns {Layer}
 */
function prepare(layer, store) {
  const { kind, channels } = layer;
  if (kind === "conv2d" || kind === "conv_transpose2d") return { ...layer, address: store.writeConvolution(layer) };
  if (kind === "skip_source") return { ...layer, through: layer.through && prepare(layer.through, store) };
  if (kind === "normalize") {
    return { ...layer, mean: store.write(Float32Array.from(layer.mean)), scale: store.write(Float32Array.from(layer.scale)) };
  }
  if (kind === "depthwise_conv2d") {
    const arrays = [store.read(layer.bias, channels), store.read(layer.weight, layer.weight.length)];
    return { ...layer, address: store.writeChannels(arrays, channels) };
  }
  if (kind === "affine") {
    const [scale, shift] = [layer.scale, layer.shift].map((array) => store.read(array, channels));
    return { ...layer, scale: store.writeChannels([scale], channels), shift: store.writeChannels([shift], channels) };
  }
  return layer;
}

/** The steps and the memory for pictures of one size. */
class Plan {
  /** @param {LiveNetwork} network @param {number} height @param {number} width */
  constructor({ layers, kernels }, height, width) {
    this.height = height;
    this.width = width;
    this.kernels = kernels;
    /** @type {Region[]} */
    this.regions = [];
    this.homes = [this.region(0), this.region(0)]; // the maps alternate between these
    this.strip = this.region(0); // scratch memory of the convolutions
    /** @type {Record<string, {input: FeatureMap, positions?: Region, map?: FeatureMap}>} */
    this.earlier = {}; // what later layers need from earlier ones, by the names of these
    /** @type {(() => void)[]} */
    this.steps = [];
    /** @type {Map<number, [name: string, map: FeatureMap]>} */
    this.stages = new Map(); // by the number of steps after which the stage is complete
    this.picture = this.region(height * width * 3);
    this.labels = this.region(height * width);

    let map = this.output(null, height, width, 3);
    const first = map;
    this.steps.push(() => kernels.picture(this.picture.at, pixelsOf(first), first.region.at));
    for (const layer of layers) {
      this.earlier[layer.name] = { input: map };
      map = LAYERS[layer.kind](this, layer, map, kernels);
      if (layer.stage) this.stages.set(this.steps.length, [layer.stage, map]);
    }
    this.logits = map;
  }

  /** @param {number} bytes @returns {Region} */
  region(bytes) {
    const region = { bytes, at: 0 };
    this.regions.push(region);
    return region;
  }

  /**
   * Return a map in the region where x, the map before it, is not.
   *
   * @param {FeatureMap | null} x
   * @param {number} height @param {number} width @param {number} channels
   * @returns {FeatureMap}
   */
  output(x, height, width, channels) {
    const region = this.homes[x?.region === this.homes[0] ? 1 : 0], map = { region, height, width, channels };
    region.bytes = Math.max(region.bytes, bytesOf(map));
    return map;
  }

  /**
   * Give each region an address, and let the memory grow.
   *
   * @param {number} at  the first free address
   */
  place(at) {
    for (const region of this.regions) {
      region.at = at;
      at += roundUp(region.bytes, 16);
    }
    grow(this.kernels.memory, at, `A picture of ${this.height} x ${this.width} pixels`);
  }

  /** @param {Uint8Array | Uint8ClampedArray} rgb @param {OnStage} [onStage] @returns {Result} */
  run(rgb, onStage) {
    const { kernels, logits, labels } = this, { buffer } = kernels.memory;
    new Uint8Array(buffer, this.picture.at, rgb.length).set(rgb);
    for (const [k, step] of this.steps.entries()) {
      step();
      const [name, map] = this.stages.get(k + 1) ?? [];
      if (onStage && name && map) onStage(name, this.values(map), map.height, map.width, map.channels);
    }
    kernels.argmax(logits.region.at, pixelsOf(logits), padded(logits.channels), logits.channels, labels.at);
    return { labels: new Uint8Array(buffer, labels.at, labels.bytes).slice(), logits: this.values(logits).slice() };
  }

  /** Return the values without the padding of the channels. @param {FeatureMap} map */
  values(map) {
    const { channels } = map, stride = padded(channels), count = pixelsOf(map);
    const values = new Float32Array(this.kernels.memory.buffer, map.region.at, count * stride);
    if (channels === stride) return values;
    const result = new Float32Array(count * channels);
    for (let p = 0; p < count; p++) {
      for (let c = 0; c < channels; c++) result[p * channels + c] = values[p * stride + c];
    }
    return result;
  }
}

/**
 * Let the memory grow to this number of bytes.
 *
 * @param {WebAssembly.Memory} memory
 * @param {number} bytes
 * @param {string} what
 */
function grow(memory, bytes, what) {
  const pages = Math.ceil(bytes / PAGE) - memory.buffer.byteLength / PAGE;
  if (pages <= 0) return;
  try {
    if (pages + memory.buffer.byteLength / PAGE < MOST_PAGES) {
      memory.grow(pages);
      return;
    }
  } catch {
    // the message below says the same
  }
  throw new Error(`${what} needs ${(bytes / 1e9).toFixed(1)} GB of memory, which is more than this browser provides. ` +
    "Choose a smaller one.");
}

// --- the layers: each function appends steps to the plan and returns the layer's output ------------------------------

/**
 * The zeros before a picture along one axis, and the size of the output: `same_padding` in ops/windows.py, or a number.
 *
 * @param {"same" | number} padding
 * @param {number} size @param {number} kernel @param {number} stride
 */
function placeWindows(padding, size, kernel, stride) {
  if (padding !== "same") return { before: padding, count: Math.floor((size + 2 * padding - kernel) / stride) + 1 };
  const count = Math.ceil(size / stride);
  return { before: Math.floor(Math.max((count - 1) * stride + kernel - size, 0) / 2), count };
}

/** As in ops/pool.py: the last window may be clipped, but it starts inside. */
/** @param {number} n @param {number} size @param {number} stride */
function pooledSize(n, size, stride) {
  const windows = Math.max(Math.ceil((n - size) / stride) + 1, 1);
  return (windows - 1) * stride >= n ? windows - 1 : windows;
}

/**
 * Convolve x, whose pixels are `spread` apart, after `before` zeros.
 *
 * @param {Plan} plan @param {Layer} layer @param {FeatureMap} x @param {FeatureMap} out
 * @param {number[]} before @param {number[]} stride @param {number[]} spread
 */
function convolve(plan, layer, x, out, before, stride, spread) {
  const { kernels, strip } = plan, { kernel: [KH, KW], relu, address } = layer, C = padded(x.channels);
  const row = kernels.stripRow(x.width, C, KW, stride[1], before[1], spread[1], out.width);
  strip.bytes = Math.max(strip.bytes, KH * row);
  plan.steps.push(() => kernels.conv2d(x.region.at, x.height, x.width, C, address, KH, KW, ...stride, ...before,
    ...spread, relu, strip.at, out.region.at, out.height, out.width, padded(out.channels)));
  return out;
}

/** @param {Plan} plan @param {Layer} layer @param {FeatureMap} x */
function conv2d(plan, layer, x, place = plan.output.bind(plan)) {
  const sizes = [x.height, x.width];
  const axes = sizes.map((n, k) => placeWindows(layer.padding[k], n, layer.kernel[k], layer.stride[k]));
  if (axes.some(({ count }) => count < 1)) {
    throw new Error(`A picture of ${plan.height} x ${plan.width} pixels is too small for this network.`);
  }
  const out = place(x, axes[0].count, axes[1].count, layer.outputs);
  return convolve(plan, layer, x, out, axes.map(({ before }) => before), layer.stride, [1, 1]);
}

/** @type {Record<string, (plan: Plan, layer: Layer, x: FeatureMap, kernels: any) => FeatureMap>} */
const LAYERS = {
  conv2d: (plan, layer, x) => conv2d(plan, layer, x),

  conv_transpose2d(plan, layer, x) {
    const { kernel, stride } = layer, [height, width] = restoredSize(plan, layer, x, stride);
    const before = [height, width].map((n, k) => kernel[k] - 1 - placeWindows("same", n, kernel[k], stride[k]).before);
    return convolve(plan, layer, x, plan.output(x, height, width, layer.outputs), before, [1, 1], stride);
  },

  depthwise_conv2d(plan, { kernel, address }, x, kernels) {
    const out = plan.output(x, x.height, x.width, x.channels);
    const before = [x.height, x.width].map((n, k) => placeWindows("same", n, kernel[k], 1).before);
    plan.steps.push(() => kernels.depthwiseConv2d(x.region.at, x.height, x.width, padded(x.channels), address,
      ...kernel, ...before, out.region.at));
    return out;
  },

  max_pool2d(plan, { name, size, stride }, x, kernels) {
    const height = pooledSize(x.height, size, stride), width = pooledSize(x.width, size, stride);
    const out = plan.output(x, height, width, x.channels), C = padded(x.channels);
    const positions = plan.earlier[name].positions = plan.region(height * width * C);
    plan.steps.push(() => kernels.maxPool2d(x.region.at, x.height, x.width, C, size, stride, positions.at,
      out.region.at, height, width));
    return out;
  },

  max_unpool2d(plan, { pool, size, stride, fixed }, x, kernels) {
    const { input: { height, width }, positions } = plan.earlier[pool];
    const out = plan.output(x, height, width, x.channels);
    plan.steps.push(() => kernels.maxUnpool2d(x.region.at, x.height, x.width, padded(x.channels), size, stride,
      positions?.at, fixed, out.region.at, height, width));
    return out;
  },

  upsample(plan, layer, x, kernels) {
    const { factor, bilinear } = layer, [height, width] = restoredSize(plan, layer, x, [factor, factor]);
    const out = plan.output(x, height, width, x.channels);
    plan.steps.push(() => kernels.upsample(x.region.at, x.height, x.width, padded(x.channels), factor, bilinear,
      out.region.at, height, width));
    return out;
  },

  skip_source(plan, { name, through }, x, kernels) {
    if (through) {
      plan.earlier[name].map = conv2d(plan, through, x, (_, height, width, channels) => (
        ownMap(plan, height, width, channels)));
    } else {
      const copy = plan.earlier[name].map = ownMap(plan, x.height, x.width, x.channels);
      plan.steps.push(() => new Uint8Array(kernels.memory.buffer)
        .copyWithin(copy.region.at, x.region.at, x.region.at + bytesOf(x)));
    }
    return x;
  },

  skip_add(plan, { source }, x, kernels) {
    const { map } = plan.earlier[source];
    if (!map || bytesOf(map) !== bytesOf(x)) throw new Error("The two ends of a skip connection differ in size.");
    plan.steps.push(() => kernels.add(x.region.at, pixelsOf(x), padded(x.channels), map.region.at));
    return x;
  },

  normalize(plan, { mean, scale, reversed }, x, kernels) {
    const out = plan.output(x, x.height, x.width, x.channels);
    plan.steps.push(() => kernels.normalize(x.region.at, pixelsOf(x), padded(x.channels), x.channels, mean, scale,
      reversed, out.region.at));
    return out;
  },

  local_response_norm(plan, { size, alpha, beta, k }, x, kernels) {
    const out = plan.output(x, x.height, x.width, x.channels);
    plan.steps.push(() => kernels.localResponseNorm(x.region.at, pixelsOf(x), padded(x.channels), (size - 1) / 2,
      alpha / size, beta, k, out.region.at));
    return out;
  },

  affine(plan, { scale, shift }, x, kernels) {
    plan.steps.push(() => kernels.affine(x.region.at, pixelsOf(x), padded(x.channels), scale, shift));
    return x;
  },

  relu(plan, _, x, kernels) {
    plan.steps.push(() => kernels.relu(x.region.at, pixelsOf(x), padded(x.channels)));
    return x;
  },
};

/** @param {Plan} plan @param {number} height @param {number} width @param {number} channels @returns {FeatureMap} */
function ownMap(plan, height, width, channels) {
  return { region: plan.region(height * width * padded(channels) * 4), height, width, channels };
}

/**
 * The output size of an upsampling: that of its pool's input, or a multiple of x's.
 *
 * @param {Plan} plan @param {Layer} layer @param {FeatureMap} x @param {number[]} factor
 */
function restoredSize(plan, { pool }, x, factor) {
  if (!pool) return [x.height * factor[0], x.width * factor[1]];
  const { input } = plan.earlier[pool];
  return [input.height, input.width];
}
