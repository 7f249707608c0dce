// The page's data, as page.py embeds it. The types below describe the output of steps.py, payload.py, overview.py
// and page.py.

import { textOf } from "report/dom.js";

/** @typedef {"start" | "forward" | "answer" | "loss" | "loss backward" | "backward"} Way */

/**
 * @typedef {object} Payload
 * @property {string} title
 * @property {string} notice                  how `predict` differs from this one pass; "" if it does not
 * @property {string} weighting               how the loss weights the classes
 * @property {[name: string, text: string][]} overview
 * @property {boolean} labelled               whether labels were given, for the loss and backward steps
 * @property {boolean} void                   whether some pixels have no label
 * @property {boolean} oneLogit               whether two classes share a single logit
 * @property {Themed<number[]>} colours       the colours of -127..127, three bytes each
 * @property {Themed<string[]>} arrows        the colours of pooling windows
 * @property {ClassOfPixels[]} classes
 * @property {Pictures} pictures
 * @property {[number, number]} place        the position in the picture at which the walk begins, 0..1
 * @property {{ description: any, weights: number, kernels: string } | null} live   the network for the page's own
 *   forward pass: float32 weights (blob), compiled kernels in base64; null if the page cannot run it
 * @property {PackedTensor[]} tensors
 * @property {PackedNode[]} nodes             the layers, then the prediction, then the loss
 * @property {PackedStep[]} steps
 * @property {Record<string, SourceCode>} sources
 */

/**
 * @template T
 * @typedef {{ light: T, dark: T }} Themed
 */

/** @typedef {{ name: string, colour: string }} ClassOfPixels */

/** @typedef {{ picture: string, prediction: string, labels?: string, error?: string }} Pictures  data: URLs */

/** @typedef {{ head: string, text: string }} SourceCode */

/**
 * @typedef {object} PackedTensor
 * @property {[H: number, W: number, C: number]} shape
 * @property {number} shown                   number of channels, from the first, that have pictures
 * @property {string[] | null} names          the names of the channels
 * @property {[rows: number[], columns: number[]]} grid   the pixels whose numbers the page can explain
 * @property {{ mask: number, numbers: number, channels: number, all: boolean }} known   blobs: exact pixels, their
 *   numbers; all: whether all pixels are exact
 * @property {number} planes                  blob: int8, channel by channel
 * @property {boolean} differences            whether planes contain differences from the left neighbour
 * @property {number[]} scales                the value that 127 represents, per channel
 * @property {Statistics} statistics
 * @property {number} strongest               the channel with the largest standard deviation
 */

/**
 * If no value is finite, only `count` and `broken` exist.
 *
 * @typedef {object} Statistics
 * @property {number} count
 * @property {number} broken                  how many values are not finite
 * @property {number} [min]
 * @property {number} [max]
 * @property {number | null} [mean]           null: not finite
 * @property {number | null} [std]
 * @property {number} [zeros]                 the share of values that are 0
 * @property {number[]} [counts]              the histogram
 * @property {[number, number]} [edges]       the ends of the histogram
 */

/**
 * A computation: a layer, the prediction or the loss. Numbers are indices of tensors or blobs.
 *
 * @typedef {object} PackedNode
 * @property {string} name
 * @property {string} kind                    the op, or the class name of another library's layer
 * @property {string} [partner]               the layer that this one exchanges maps or indices with
 * @property {number} x
 * @property {number} out
 * @property {number | null} [other]          for skip connections: the map that goes to the decoder
 * @property {number} result                  what the layer computes: `other` in a skip source, else `out`
 * @property {number | null} dout             null without labels
 * @property {number | null} dx
 * @property {number | null} [dother]
 * @property {number | null} [dresult]        the gradient of `result`
 * @property {number} [logits]                only for the loss
 * @property {number} [labels]                blob of the loss: one class per pixel, 255 for none
 * @property {number} [predicted]             blob of the loss: one class per pixel
 * @property {Windows | null} [windows]
 * @property {boolean} [mixesChannels]        whether each result depends on all channels of x
 * @property {Settings} settings
 * @property {PackedWeight} [weight]
 * @property {Record<string, number>} [vectors]   blobs: the parameters with one value per channel
 * @property {number} [positions]             blob of a pooling or unpooling: the indices
 */

/**
 * The windows that say which pixels of a layer's input and output belong together (layer_trace.py).
 *
 * @typedef {object} Windows
 * @property {[number, number]} kernel        rows, columns
 * @property {[number, number]} stride
 * @property {[number, number]} before        rows and columns of padding
 * @property {"in" | "out"} large             the larger side
 */

/**
 * The settings of a node. Each kind has only some of them.
 *
 * @typedef {object} Settings
 * @property {boolean} reversed               input scaling: red, green, blue become blue, green, red
 * @property {number} size                    local response normalisation, like the next three
 * @property {number} alpha
 * @property {number} beta
 * @property {number} k
 * @property {number} eps                     batch norm
 * @property {boolean} fixed                  unpooling to a fixed corner
 * @property {number} factor                  upsampling
 * @property {number} divisor                 the loss, like the next two
 * @property {number | null} value
 * @property {number[]} weights               per class
 */

/**
 * A weight [row, column, larger side's channel, smaller side's channel]: whole, or the parts for the shown channels.
 *
 * @typedef {object} PackedWeight
 * @property {[KH: number, KW: number, large: number, small: number]} shape
 * @property {number} [whole]                 blob
 * @property {number} [large]                 blob: the shown channels of the larger side
 * @property {number} [small]                 blob: the shown channels of the smaller side
 * @property {{ large: number, small: number }} [shown]   how many channels these parts have
 */

/**
 * @typedef {object} PackedStep
 * @property {Way} way
 * @property {number} node
 * @property {string} title
 * @property {string} what                    what, why and formula may contain HTML
 * @property {string} why
 * @property {string} formula
 * @property {string} source                  a name in the payload's sources, or ""
 * @property {Parameter[]} params
 */

/**
 * @typedef {object} Parameter
 * @property {string} name
 * @property {number[]} shape
 * @property {number | null} low
 * @property {number | null} high
 * @property {number | null} [norm]           of a gradient: its norm
 * @property {number | null} [share]          of a gradient: its norm divided by the parameter's
 */

/** @type {Payload} */
export const data = JSON.parse(textOf("data"));
