# %% [markdown]
# # 17 How few bits
#
# **The question.** A trained network stores every weight and every activation in 32 bits. How many of these bits does
# its prediction need, and where?
#
# **At the end** you can quantise weights and activations, predict the size of the rounding error, measure what each bit
# is worth, and explain why sums of integers do not depend on their order, but sums of floats do.
#
# **Prerequisites:** lessons 01 (convolution), 04 (batch norm), 10 (mIoU) and 14 (folding batch norm).
#
# SegNet was "primarily motivated by scene understanding applications" and is therefore designed to need little memory
# and time at inference (Badrinarayanan et al. 2017).

# %%
import copy
import io

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet_lessons import figures, grader

# %% [markdown]
# ## Rounding to a grid
#
# Take nine weights of the bundled network and three bits. Three bits can represent eight numbers. The *symmetric* grid
# uses seven of them, $-3 \dots 3$, times a scale $s$, so that the largest weight becomes 3 or $-3$:

# %% tags=["map"]
model = ts.fold_batchnorm(ts.load_bundled("toy"))
nine = model.layers["encoder1.conv1"].params["weight"][:, :, 1, 2].astype(np.float64)
scale_nine = np.abs(nine).max() / 3
levels = np.round(nine / scale_nine)
panels = [("w", nine), ("w / s", nine / scale_nine), ("q", levels), ("s q", levels * scale_nine),
          ("error", levels * scale_nine - nine)]  # fmt: skip
figures.show_arrays([(name, array.round(2)) for name, array in panels])

# %% [markdown]
# In symbols, for $b$ bits and the weights $w$ that share a scale,
#
# $$s = \frac{\max |w|}{2^{b-1} - 1}, \qquad q = \text{round}(w / s), \qquad \hat w = s\, q .$$
#
# $q$ is an integer of $b$ bits. Computing with $\hat w$ in float, to see what an integer network would predict, is
# called *fake quantisation*.
#
# ### Warm-up: the symmetric grid
#
# Write `my_symmetric(w, bits)` for an array `w` of any shape with at least one number that is not 0. Return `q`, an
# integer array of the same shape, and the number `scale`.


# %%
def my_symmetric(w, bits):
    ### BEGIN SOLUTION
    scale = np.abs(w).max() / (2 ** (bits - 1) - 1)
    return np.round(w / scale).astype(int), scale
    ### END SOLUTION


# %%
my_symmetric = grader.grade("symmetric", my_symmetric)

# %% [markdown]
# ## Rounding error is noise
#
# The error $e = \hat w - w$ lies between $-s/2$ and $s/2$. If the weights are spread over many steps of the grid, all
# errors in this interval are equally likely: $e$ is *uniform* with the density $1/s$, and
#
# $$E[e^2] = \int_{-s/2}^{s/2} e^2\, \frac{1}{s}\, \mathrm{d}e = \frac{s^2}{12}, \qquad
# \text{and the typical error is } \frac{s}{\sqrt{12}} .$$
#
# One more bit roughly halves $s$, and so the error:

# %%
weight = model.layers["encoder3.conv1"].params["weight"].astype(np.float64)
print("bits   measured   scale / sqrt(12)   ratio")
for bits in range(2, 9):
    q, scale = my_symmetric(weight, bits)
    measured = np.sqrt(np.mean((scale * q - weight) ** 2))
    print(f"{bits:4} {measured:10.5f} {scale / np.sqrt(12):18.5f} {measured / (scale / np.sqrt(12)):7.2f}")

# %% [markdown]
# From three bits on, the formula fits. With two bits, most weights round to 0, and their error is the weight itself.
#
# ## One scale per channel
#
# The network above has its batch norms folded into the convolutions (lesson 14), so the weights of each output channel
# $f$ are multiplied by their own factor $\gamma_f / \sigma_f$. The channels differ in size:

# %%
largest = np.abs(weight).max((0, 1, 2))
print(f"encoder3.conv1: largest weight of a channel {largest.min():.3f} to {largest.max():.3f}")
for bits in (3, 4, 8):
    top = 2 ** (bits - 1) - 1
    used = np.round(largest.min() / largest.max() * top)
    print(f"{bits} bits, one scale: the smallest channel reaches level {used:.0f} of {top}")

# %% [markdown]
# One scale per output channel can be taken out of the sum: $\sum_p x_p\, s_f\, q_{pf} = s_f \sum_p x_p\, q_{pf}$.
#
# ### Exercise 1: fake quantisation
#
# Write `my_fake_quantize(weight, bits, per_channel)` with the symmetric grid.
#
# * `weight` has the shape (K, K, C, F). Return $\hat w$ of the same shape and dtype. If `per_channel` is True, each of
#   the F output channels has its own scale; otherwise all weights share one. A channel of zeros stays a channel of
#   zeros.


# %%
def my_fake_quantize(weight, bits, per_channel):
    ### BEGIN SOLUTION
    axes = (0, 1, 2) if per_channel else None
    largest = np.abs(weight).max(axes, keepdims=True)
    scale = largest / (2 ** (bits - 1) - 1)
    scale = np.where(scale > 0, scale, 1)
    return (np.round(weight / scale) * scale).astype(weight.dtype)
    ### END SOLUTION


# %%
my_fake_quantize = grader.grade("fake_quantize", my_fake_quantize)

# %% [markdown]
# ## What a bit is worth
#
# Quantise all weights of the bundled network, and score it on streets that it has never seen. With one scale per
# channel, what is the smallest number of bits with which the mIoU falls by less than 0.05?

# %%
prediction = ...  # a number of bits
grader.predict("fewest_bits_per_weight", prediction)

# %% tags=["parameters"] fast="SCENES, BITS = 1, (2, 4)"
SCENES, BITS = 12, (2, 3, 4, 5, 6, 7, 8)

# %%
test = ts.data.InMemory(ToyScenes(SCENES, seed=2))


def my_network_with(change, only=None):
    """Return a copy of the network with `change` applied to the weights of all layers, or of some."""
    network = copy.deepcopy(model)
    for name, layer in network.layers.items():
        if "weight" in layer.params and (only is None or name in only):
            layer.params["weight"] = change(layer.params["weight"])
    return network


def my_mIoU(network):
    return ts.evaluate(network, test).mIoU


# %%
full = my_mIoU(model)
curves = {"per channel": [], "per tensor": []}
for bits in BITS:
    for name, values in curves.items():
        values.append(my_mIoU(my_network_with(lambda w, b=bits, n=name: my_fake_quantize(w, b, n == "per channel"))))
    print(f"{bits} bits: per tensor {curves['per tensor'][-1]:.3f}, per channel {curves['per channel'][-1]:.3f}")
print(f"32 bits, float: {full:.3f}")
shown = {name: (list(BITS), values) for name, values in curves.items()} | {"float32": ([min(BITS), 8], [full, full])}
figures.show_plot(shown, title="mIoU", x="bits per weight")

# %% [markdown]
# Eight bits cost nothing. Below five bits the scales matter: at three bits, one scale per channel makes the difference
# between a useful and a poor network, for a few hundred additional numbers.
#
# ### Not every layer is equal
#
# Quantise one layer at a time to two bits, and leave the others in float. Which layer lowers the mIoU most? Choose "a"
# for the first convolution, which has 864 of the half million weights, "b" for one of the two largest layers with
# 147,456 weights each, or "c" for the classifier.

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("layer_that_needs_its_bits", prediction)

# %%
convolutions = [name for name, layer in model.layers.items() if "weight" in layer.params]
print("only this layer with 2 bits   weights   mIoU    lost")
for name in convolutions:
    score = my_mIoU(my_network_with(lambda w: my_fake_quantize(w, 2, True), only=[name]))
    print(f"{name:27} {model.layers[name].params['weight'].size:9,} {score:8.3f} {full - score:7.3f}")

# %% [markdown]
# In the first layer, each output is a sum of only 27 products, so few errors cancel, and its errors reach every later
# layer. After the classifier, no layer can correct an error. Both layers are small and are usually left at eight bits.
#
# ## Activations
#
# Weights are known before inference, but activations are not. Their ranges are *calibrated*: run a few pictures, and
# record the values. After a ReLU nothing is negative, so a symmetric grid would waste half of its numbers. The *affine*
# grid has a zero point $z$, the integer that stands for 0:
#
# $$s = \frac{\text{high} - \text{low}}{2^b - 1}, \qquad z = \text{round}(-\text{low} / s), \qquad
# q = \text{clip}\big(\text{round}(x / s) + z,\ 0,\ 2^b - 1\big), \qquad \hat x = s\,(q - z) .$$
#
# $z$ is an integer, so that $\hat x = 0$ where $x = 0$: padding, ReLU and unpooling write many zeros.
#
# ### Exercise 2: the affine grid
#
# Write `my_affine(x, low, high, bits)`. First extend the range from `low` to `high` so that it contains 0. Return `q`
# (an integer array with the shape of `x`), the number `scale`, and the integer `zero`.


# %%
def my_affine(x, low, high, bits):
    ### BEGIN SOLUTION
    low, high = min(low, 0), max(high, 0)
    top = 2**bits - 1
    scale = (high - low) / top
    zero = int(np.round(-low / scale))
    q = np.clip(np.round(x / scale) + zero, 0, top).astype(int)
    return q, scale, zero
    ### END SOLUTION


# %%
my_affine = grader.grade("affine", my_affine)

# %% [markdown]
# The next layer records values while `bits` is None, and fake-quantises afterwards. One such layer follows the
# normalised picture and every ReLU.


# %%
class Rounding(layers.Layer):
    def __init__(self):
        super().__init__()
        self.bits, self.seen, self.low, self.high = None, [], 0.0, 0.0

    def _forward(self, x, tape):
        if self.bits is None:
            self.seen.append(x.copy())
            return x, None
        q, scale, zero = my_affine(x, self.low, self.high, self.bits)
        return (scale * (q - zero)).astype(x.dtype), None


# %%
calibrated = {}
for name, layer in copy.deepcopy(model).layers.items():
    calibrated[name] = layer
    if name == "input" or isinstance(layer, layers.ReLU):
        calibrated[f"{name}.round"] = Rounding()
calibrated = ts.Network(calibrated)
calibrated.forward(np.stack([scene.image for scene in ToyScenes(8, seed=3)]).astype(np.float32))
seen = {name: layer.seen[0] for name, layer in calibrated.layers.items() if isinstance(layer, Rounding)}
print(f"{'':24}  largest   99.9 % are below")
for name, values in seen.items():
    print(f"{name:24} {values.max():8.2f} {np.percentile(values, 99.9):18.2f}")

# %% [markdown]
# A range up to the maximum spends most of the grid on one value in a thousand. A range up to a percentile *clips* the
# few large values and has a finer grid for the rest. The next cells try both, the second also with eight bits for the
# picture and for the first and last layer.


# %%
def my_quantized(weight_bits, bits, share, edges=False):
    """Quantise weights and activations; `edges` leaves picture, first and last layer at 8 bits."""
    network = copy.deepcopy(calibrated)
    for name, layer in network.layers.items():
        if isinstance(layer, Rounding):
            layer.bits = 8 if edges and name == "input.round" else bits
            layer.low = float(seen[name].min())
            layer.high = float(np.percentile(seen[name], 100 if name == "input.round" else share))
        elif "weight" in layer.params:
            edge = edges and name in (convolutions[0], convolutions[-1])
            layer.params["weight"] = my_fake_quantize(layer.params["weight"], 8 if edge else weight_bits, True)
    return network


# %%
print("bits per weight, activation   up to the maximum   99.9 %   99.9 %, edges at 8 bits")
for weight_bits, bits in ((8, 8), (4, 8), (8, 4), (4, 4), (3, 3)):
    found = [my_mIoU(my_quantized(weight_bits, bits, *how)) for how in ((100,), (99.9,), (99.9, True))]
    print(f"{weight_bits:15}, {bits:10} {found[0]:19.3f} {found[1]:8.3f} {found[2]:25.3f}")
print(f"float32: {full:.3f}")

# %% [markdown]
# Eight bits cost nothing measurable on these streets. With four bits, activations lose more than weights, and clipping
# and eight bits at the edges win most of the loss back.
#
# ## Memory
#
# Two weights of four bits share a byte. Write three files, and add up the activations that pass between the layers for
# one picture:


# %%
def my_file_bytes(bits):
    """Return the size of a file with the weights in this many bits, their scales and the biases."""
    arrays = {}
    for name in convolutions:
        weight, bias = model.layers[name].params["weight"], model.layers[name].params["bias"]
        q = np.round(weight / (np.abs(weight).max((0, 1, 2)) / (2 ** min(bits - 1, 7) - 1))).astype(np.int8)
        halves = q.ravel().view(np.uint8) & 15  # the lower four bits, in two's complement
        arrays[name] = {32: weight, 8: q, 4: halves[::2] | halves[1::2] << 4}[bits]
        arrays[f"{name}.scale"], arrays[f"{name}.bias"] = np.zeros(len(bias) * (bits < 32), np.float32), bias
    file = io.BytesIO()
    np.savez(file, **arrays)
    return len(file.getvalue())


# %%
activations = sum(np.prod(shape.after) for shape in model.output_shapes((1, 96, 128, 3)))
for bits in (32, 8, 4):
    print(
        f"{bits:2} bits: file {my_file_bytes(bits) / 1e3:7.1f} kB   activations {activations * bits / 8 / 1e6:5.2f} MB"
    )

# %% [markdown]
# ## Integers are exact
#
# Insert both grids into the convolution. With $x = s_x (q_x - z)$ and $w = s_f\, q_w$,
#
# $$\text{out}_f = \sum_p s_x (q_x[p] - z)\; s_f\, q_w[p] = s_x s_f \sum_p (q_x[p] - z)\, q_w[p] .$$
#
# The sum contains only integers; one multiplication by a float per output remains. An activation of eight bits minus
# its zero point is at most 255 in absolute value, and a weight at most 127. The largest layers add $9 \cdot 128$
# products. Which is the smallest type that can represent every such sum: "a" int16, "b" int32, or "c" int64?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("type_of_the_accumulator", prediction)

# %%
bound = 9 * 128 * 255 * 127
print(f"largest sum {bound:,}: {bound.bit_length() + 1} bits with the sign; int32 ends at {2**31 - 1:,}")
print(
    f"int32 is safe up to {(2**31 - 1) // (255 * 127):,} products, that is {(2**31 - 1) // (255 * 127 * 9):,} channels"
)

# %% [markdown]
# ### Exercise 3: an integer convolution
#
# Write `my_integer_conv(qx, zero, qw)` with "same" padding, stride 1 and odd K.
#
# * `qx` (N, H, W, C) and `qw` (K, K, C, F) are integer arrays. `zero` is the zero point $z$. Return the sums as an
#   int32 array (N, H, W, F), without scales. The padding stands for $x = 0$. `qx` and `qw` may have 8 bits, so convert
#   them before you subtract or multiply.


# %%
def my_integer_conv(qx, zero, qw):
    ### BEGIN SOLUTION
    (N, H, W, _), (K, _, _, F) = qx.shape, qw.shape
    p = K // 2
    centred = np.pad(qx.astype(np.int32) - zero, ((0, 0), (p, p), (p, p), (0, 0)))
    out = np.zeros((N, H, W, F), np.int32)
    for i in range(K):
        for j in range(K):
            out += centred[:, i : i + H, j : j + W] @ qw[i, j].astype(np.int32)
    return out
    ### END SOLUTION


# %%
my_integer_conv = grader.grade("integer_conv", my_integer_conv)

# %% [markdown]
# Apply it to activations of one layer, and compare with the library's float convolution of the fake-quantised arrays:

# %%
values = seen["encoder2.relu1.round"][:1, ::2, ::2]
qx, scale_x, zero = my_affine(values, 0, float(values.max()), 8)
scale_w = np.abs(weight).max((0, 1, 2)) / 127
qw = np.round(weight / scale_w).astype(np.int8)
sums = my_integer_conv(qx.astype(np.uint8), zero, qw)
as_float, _ = ops.conv2d_forward(scale_x * (qx - zero), scale_w * qw)
print(
    f"largest sum {np.abs(sums).max():,}; differs from float by {np.abs(sums * scale_x * scale_w - as_float).max():.1e}"
)
assert np.allclose(sums * scale_x * scale_w, as_float)

# %% [markdown]
# Add the products of one output in a thousand random orders, as integers and as float32:

# %%
rng = np.random.default_rng(0)
patch, taps = qx[0, 3:6, 3:6].ravel() - zero, qw[..., 0].ravel().astype(int)
products = patch * taps
in_float = (patch * np.float32(scale_x)) * (taps * np.float32(scale_w[0])).astype(np.float32)
orders = [rng.permutation(products.size) for _ in range(1000)]
print("different integer sums:", len({int(np.cumsum(products[order])[-1]) for order in orders}))
print("different float32 sums:", len({float(np.cumsum(in_float[order], dtype=np.float32)[-1]) for order in orders}))

# %% [markdown]
# As long as nothing overflows, integer sums are exact, so every order and every machine gives the same bits. A float
# sum is rounded after each addition, and another order rounds differently. A network of integers can therefore give
# identical predictions on all devices; a float network cannot promise this.
#
# ### Challenge: two bits
#
# Two bits per weight ruined the network above. Write `my_two_bits(weight, bits)` for `weight` (K, K, C, F) with b =
# `bits`. Return a fake-quantised weight of the same shape and dtype, with at most $2^b$ different values per output
# channel. You may choose any values. If the weights of a channel have only the values $-s$, 0 and $s$, return them
# unchanged. The grader quantises *all* layers with two bits and measures the mIoU on new streets. Can you reach 25 per
# cent? (Think of clipping.)


# %%
def my_two_bits(weight, bits):
    ### BEGIN SOLUTION
    top, largest = 2 ** (bits - 1) - 1, np.abs(weight).max((0, 1, 2))
    best, least = np.zeros_like(weight), np.full(largest.shape, np.inf)
    for share in np.linspace(0.2, 1, 33):
        scale = np.where(largest > 0, share * largest / top, 1)
        rounded = np.clip(np.round(weight / scale), -top, top) * scale
        error = ((rounded - weight) ** 2).sum((0, 1, 2))
        best, least = np.where(error < least, rounded, best), np.minimum(error, least)
    return best.astype(weight.dtype)
    ### END SOLUTION


# %%
my_two_bits = grader.grade("two_bits", my_two_bits)

# %%
for bits in BITS[:3]:
    plain, better = (my_mIoU(my_network_with(change)) for change in (
        lambda w, b=bits: my_fake_quantize(w, b, True), lambda w, b=bits: my_two_bits(w, b)))  # fmt: skip
    print(f"{bits} bits: range up to the maximum {plain:.3f}, your values {better:.3f}")

# %% [markdown]
# ## What to remember
#
# * Rounding to a grid of step $s$ adds noise of the size $s / \sqrt{12}$. One more bit roughly halves it.
# * Fold batch norm first, and then use one scale per output channel, which can be taken out of the sum.
# * The affine grid represents 0 exactly, because padding, ReLU and unpooling write zeros.
# * Calibrate the ranges of activations, and clip rare large values.
# * Eight bits lose almost nothing. With four, leave the first and the last layer at eight.
# * Sums of integers are exact and independent of the order, if the type can represent the largest possible sum.

# %% [markdown]
# ## Read next
#
# * B. Jacob et al. (2018), *Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
#   Inference*: the affine grid with its zero point, and how phones compute with it.
# * R. Krishnamoorthi (2018), *Quantizing deep convolutional networks for efficient inference: A whitepaper*: scales per
#   channel or per tensor, measured on many networks.
# * M. Nagel et al. (2021), *A White Paper on Neural Network Quantization*: what to try, and in which order, when few
#   bits lose too much.
