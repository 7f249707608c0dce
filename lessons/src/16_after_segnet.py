# %% [markdown]
# # 16 After SegNet
#
# **The question.** SegNet passes two bits per pooling window from the encoder to the decoder. U-Net passes whole
# feature maps, and networks with *dilated* convolutions pool less. What do SegNet's indices gain at equal training
# time?
#
# **At the end** you can build both alternatives from the library's parts, derive their gradients, and compare networks
# at equal time.
#
# **Prerequisites:** lessons 02 (backward of a convolution), 05 (unpooling), 08 (training), 10 (scores), 11 (decoders).

# %%
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import layers
from tinysegnet.data import CAMVID
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models.layer_builder import LayerBuilder
from tinysegnet_lessons import figures, grader

ts.runtime.set_threads(1)  # the arrays of this lesson are too small to gain from two threads

# %% [markdown]
# ## Two ways out of pooling
#
# SegNet's decoder puts each pooled number where the maximum was, and zeros elsewhere. A U-Net (Ronneberger et al. 2015)
# enlarges the map, here by repetition, and appends the encoder's map as further channels:

# %%
maps_small = np.array([[1.0, 6, 2, 0], [5, 3, 1, 4], [0, 2, 7, 8], [9, 1, 3, 5]])
pool = layers.MaxPool2d()
pooled = pool.forward(maps_small[None, :, :, None])
unpooled = layers.MaxUnpool2d(pool).forward(pooled)[0, :, :, 0]
repeated = layers.Upsample("nearest", pool=pool).forward(pooled)[0, :, :, 0]
figures.show_arrays([("encoder's map", maps_small), ("pooled", pooled[0, :, :, 0]), ("SegNet: unpooled", unpooled),
                     ("U-Net: channel 0", repeated), ("U-Net: channel 1", maps_small)])  # fmt: skip

# %% [markdown]
# A dilated convolution (Yu and Koltun 2016) keeps the size of the map, and moves its nine taps apart. With rate $r$,
# the kernel has $r - 1$ zeros between neighbouring taps:

# %% tags=["map"]
kernel = np.arange(1.0, 10).reshape(3, 3)
panels = [("rate 1", kernel)]
for rate in (2, 3):
    spread = np.zeros((2 * rate + 1, 2 * rate + 1))
    spread[::rate, ::rate] = kernel
    panels.append((f"rate {rate}", spread))
figures.show_arrays(panels)

# %% [markdown]
# All three have nine weights, but the third covers 7x7 pixels.
#
# ## Concatenation
#
# Let $u$ be the enlarged maps with $C$ channels and $p$ the encoder's maps with $K$ channels. Concatenation puts them
# side by side at every pixel: $\text{out} = [u, p]$, with $C + K$ channels. The next convolution multiplies each pixel
# by a matrix per tap. Split this matrix into its upper $C$ rows $A$ and its lower $K$ rows $B$:
#
# $$[u, p] \begin{pmatrix} A \\ B \end{pmatrix} = u A + p B .$$
#
# The addition of lesson 11 is the special case $A = B$.
#
# **Backward.** Each number of $u$ and $p$ is copied to one place of `out`, so its slope is 1 at that place and 0
# elsewhere. Its gradient is the gradient at that place: `dout` is cut at channel $C$.

# %% [markdown]
# ### Warm-up: cut the gradient
#
# Write `my_concat_backward(dout, C)` for `out = np.concatenate([u, p], axis=3)`, where `u` has C channels.
#
# * `dout` has the shape (N, H, W, C + K). Return `du` (N, H, W, C) and `dp` (N, H, W, K).


# %%
def my_concat_backward(dout, C):
    ### BEGIN SOLUTION
    du, dp = dout[..., :C], dout[..., C:]
    return du, dp
    ### END SOLUTION


# %%
my_concat_backward = grader.grade("concat_backward", my_concat_backward)

# %% [markdown]
# The layer below uses your function. `SkipSource` (lesson 11) stores the encoder's maps, and adds the gradient that
# comes back to that of the layers after it.


# %%
class Concatenation(layers.SkipAdd):
    """Append the feature maps of a skip source to the channels, instead of adding them."""

    def __init__(self, source, channels):
        super().__init__(source)
        self.channels = channels

    def _forward(self, x, tape):
        return np.concatenate([x, tape.maps.pop(self.source)], axis=3), x.shape[3]

    def _backward(self, dout, C, tape, input_gradient):
        du, tape.map_gradients[self.source] = map(np.ascontiguousarray, my_concat_backward(dout, C))
        return du


# %% [markdown]
# The summary of a network also needs the shape of the output:


# %%
def my_concat_shape(self, input_shape):
    return (*input_shape[:3], input_shape[3] + self.channels)


Concatenation.output_shape = my_concat_shape

# %% [markdown]
# ### What crosses
#
# U-Net's decoder gets the maps from *before* the pool, at full size, in float32. SegNet's decoder gets two bits for
# each pooling window and channel. By which factor is the number of bytes larger in U-Net?

# %%
prediction = ...  # a number
grader.predict("bytes_across_in_unet", prediction)

# %% [markdown]
# ## Three networks with one encoder
#
# `LayerBuilder` builds the networks of the library. The encoder has one convolution per stage. A *plain* decoder
# enlarges by repetition and gets nothing else from the encoder.

# %%
WIDTHS = (8, 16, 32, 32)


def my_encoder(seed, dtype, stages=4, keep=False):
    """Return a builder that has built the encoder, its pools and, if wanted, its skip sources."""
    line, pools, sources = LayerBuilder(np.random.default_rng(seed), dtype, "scaled"), [], []
    for stage, channels in enumerate(WIDTHS[:stages], start=1):
        line.stage(f"encoder{stage}", (channels,), 3, bias=False, relu=True)
        if keep:
            sources.append(line.add(f"encoder{stage}.source", layers.SkipSource()))
        pools.append(line.add(f"encoder{stage}.pool", layers.MaxPool2d()))
    return line, pools, sources


# %%
def my_network(way, seed=0, dtype=np.float32):
    """Return a network whose decoder is "plain", "SegNet" or "U-Net"."""
    line, pools, sources = my_encoder(seed, dtype, keep=way == "U-Net")
    for stage in (4, 3, 2, 1):
        pool, channels = pools.pop(), WIDTHS[stage - 1]
        up = layers.MaxUnpool2d(pool) if way == "SegNet" else layers.Upsample("nearest", pool=pool)
        line.add(f"decoder{stage}.up", up)
        if way == "U-Net":
            line.add(f"decoder{stage}.concat", Concatenation(sources.pop(), channels))
            line.channels += channels
        line.stage(f"decoder{stage}", (WIDTHS[max(stage - 2, 0)],), 3, bias=False, relu=True)
    line.convolution("classifier", 11, 3)
    return ts.Network(line.layers)


# %%
figures.show_network(my_network("U-Net"), (96, 128))

# %% [markdown]
# The lines carry whole maps. (The legend is that of lesson 11; here the maps are appended, not added.) Check the
# gradients:

# %%
report = ts.gradcheck.check_model(my_network("U-Net", dtype=np.float64), size=(18, 22), directions=1, entries=1)
print(f"U-Net: right: {report.ok}, {len(report.tensors)} tensors")
assert report.ok

# %% [markdown]
# ## Dilated convolution
#
# With rate $r$ and taps $i, j = 0, 1, 2$,
#
# $$\text{out}[u, v] = \sum_{i,j} x[u + r(i - 1),\; v + r(j - 1)]\; w[i, j],$$
#
# where $x$ is zero outside the map. As in lesson 01, pad $x$, here by $r$ on each side, and multiply nine shifted
# copies by nine matrices $C \times F$.

# %% [markdown]
# ### Exercise 1: dilated convolution
#
# Write `my_dilated(x, weight, rate)` with "same" padding and stride 1.
#
# * `x` has the shape (N, H, W, C), and `weight` has the shape (3, 3, C, F). Return `out` (N, H, W, F), in the dtype of
#   `x`. Loop over the nine taps.


# %%
def my_dilated(x, weight, rate):
    ### BEGIN SOLUTION
    N, H, W, _ = x.shape
    padded = np.pad(x, ((0, 0), (rate, rate), (rate, rate), (0, 0)))
    out = np.zeros((N, H, W, weight.shape[3]), x.dtype)
    for i in range(3):
        for j in range(3):
            out += padded[:, i * rate : i * rate + H, j * rate : j * rate + W] @ weight[i, j]
    return out
    ### END SOLUTION


# %%
my_dilated = grader.grade("dilated", my_dilated)

# %% [markdown]
# **Backward.** As in lesson 02, one tap's share of `out` is $X w$, where $X$ is the shifted copy with one row per
# pixel. So $\text{d}w = X^T D$ and $\text{d}X = D\, w^T$, where $D$ is `dout`. $\text{d}X$ is added where forward read
# $X$, in the padded map from row $r i$ and column $r j$ on. At the end, $r$ pixels on each side are cropped.
#
# ### Exercise 2: its backward pass
#
# Write `my_dilated_backward(dout, x, weight, rate)`. `dout` has the shape (N, H, W, F). Return `dx` and `dweight`, with
# the shapes and dtypes of `x` and `weight`.


# %%
def my_dilated_backward(dout, x, weight, rate):
    ### BEGIN SOLUTION
    (_, H, W, C), F = x.shape, weight.shape[3]
    padded = np.pad(x, ((0, 0), (rate, rate), (rate, rate), (0, 0)))
    dpadded, dweight = np.zeros_like(padded), np.zeros_like(weight)
    for i in range(3):
        for j in range(3):
            rows, columns = slice(i * rate, i * rate + H), slice(j * rate, j * rate + W)
            dweight[i, j] = padded[:, rows, columns].reshape(-1, C).T @ dout.reshape(-1, F)
            dpadded[:, rows, columns] += dout @ weight[i, j].T
    return dpadded[:, rate : rate + H, rate : rate + W], dweight
    ### END SOLUTION


# %%
my_dilated_backward = grader.grade("dilated_backward", my_dilated_backward)

# %%
rng = np.random.default_rng(0)
x_check, w_check = rng.standard_normal((2, 5, 7, 3)), rng.standard_normal((3, 3, 3, 2))
report = ts.gradcheck.check(lambda x, w: (my_dilated(x, w, 2), (x, w)),
                            lambda dout, cache: my_dilated_backward(dout, *cache, 2), x_check, w_check)  # fmt: skip
print(report)
assert report.ok

# %% [markdown]
# ## Holes
#
# A stack of dilated convolutions sees far, but does it see every pixel? In one dimension, an output of a layer with
# rate $r$ reads the offsets $-r$, 0 and $r$. Two layers read all sums of two such offsets, and so on. With three layers
# of rate 2, the receptive field is 13 pixels wide. How many of the 13 can affect the output in the middle?

# %%
prediction = ...  # a number
grader.predict("pixels_through_three_dilated_layers", prediction)

# %% [markdown]
# ### Exercise 3: count the paths
#
# Write `my_paths(rates)` for a stack of layers with three taps in one dimension.
#
# * `rates` is a list of integers. Return an integer array of length $1 + 2 \sum r$, whose entries are the numbers of
#   paths from each pixel of the field to the output, from left to right. Hint: a layer of rate $r$ adds three copies of
#   the array, shifted by 0, $r$ and $2 r$ (`np.convolve`).


# %%
def my_paths(rates):
    ### BEGIN SOLUTION
    paths = np.ones(1, int)
    for rate in rates:
        taps = np.zeros(2 * rate + 1, int)
        taps[::rate] = 1
        paths = np.convolve(paths, taps)
    return paths
    ### END SOLUTION


# %%
my_paths = grader.grade("paths", my_paths)

# %%
for rates in ([1, 1, 1], [2, 2, 2], [1, 2, 4]):
    paths = my_paths(rates)
    print(f"rates {rates}: {np.count_nonzero(paths)} of {len(paths)} pixels, paths {paths}")
figures.show_arrays([("rates 2, 2, 2", my_paths([2, 2, 2])[None]), ("rates 1, 2, 4", my_paths([1, 2, 4])[None])])

# %% [markdown]
# Equal rates above 1 leave holes, an effect called *gridding*. Rates that double leave none, and the width grows
# exponentially with the number of layers.
#
# ### Challenge: the widest field without holes
#
# Write `my_rates(count)`, which returns a list of `count` rates, integers from 1; a single layer must have no hole. The
# grader measures how many pixels in a row five layers see, around the middle and up to the first hole. With rates that
# double they see 63 pixels. Can they see more than 100?


# %%
def my_rates(count):
    ### BEGIN SOLUTION
    return [3**layer for layer in range(count)]
    ### END SOLUTION


# %%
my_rates = grader.grade("rates_without_holes", my_rates)

# %% [markdown]
# ## A network that pools twice
#
# The dilated network keeps two of the four pools. In place of a removed pool, the rate doubles, because one pixel of a
# half-size map is two pixels here. There is no decoder, and nothing crosses: the logits at a quarter of the size are
# interpolated, as in the first DeepLab networks.


# %%
class DilatedConv(layers.Layer):
    mixes_channels = True

    def __init__(self, in_channels, out_channels, rate, *, rng, dtype):
        super().__init__()
        deviation = np.sqrt(2 / (9 * in_channels))  # He et al. 2015, as in the library
        self.rate, shape = rate, (3, 3, in_channels, out_channels)
        self.params["weight"] = (deviation * rng.standard_normal(shape)).astype(dtype)

    def _forward(self, x, tape):
        return my_dilated(x, self.params["weight"], self.rate), x

    def _backward(self, dout, x, tape, input_gradient):
        dx, self.grads["weight"] = my_dilated_backward(dout, x, self.params["weight"], self.rate)
        return dx


# %%
class CountedDilatedConv(DilatedConv):
    """The same layer, with what the summary and the receptive field need."""

    keeps = "input"  # the array that the cache refers to

    def output_shape(self, input_shape):
        return (*input_shape[:3], self.params["weight"].shape[3])

    def multiply_adds(self, input_shape):
        return int(np.prod(input_shape[:3])) * self.params["weight"].size

    def receptive_interval(self, axis, interval, size, output_size):
        return interval[0] - self.rate, interval[1] + self.rate


# %%
def my_dilated_network(seed=0, dtype=np.float32):
    line, *_ = my_encoder(seed, dtype, stages=2)
    for stage, rate in ((3, 1), (4, 2), (5, 4)):
        line.add(f"stage{stage}.conv", CountedDilatedConv(line.channels, WIDTHS[-1], rate, **line.init))
        line.add(f"stage{stage}.bn", layers.BatchNorm2d(WIDTHS[-1], dtype=dtype))
        line.add(f"stage{stage}.relu", layers.ReLU())
        line.channels = WIDTHS[-1]
    line.convolution("classifier", 11, 3)
    line.add("up", layers.Upsample("bilinear", scale_factor=4))
    return ts.Network(line.layers, size_multiple=4)


report = ts.gradcheck.check_model(my_dilated_network(dtype=np.float64), size=(16, 20), directions=1, entries=1)
print(f"dilated: right: {report.ok}, {len(report.tensors)} tensors")
assert report.ok

# %% [markdown]
# ## Costs
#
# For a picture of 192x256, the bytes that cross, the bytes kept for backward, the multiply-adds, and the height of the
# receptive field are:

# %%
makers = {way: lambda seed=0, way=way: my_network(way, seed) for way in ("plain", "SegNet", "U-Net")}
makers["dilated"] = my_dilated_network
print("          parameters   crossing, kB   kept, MB   million multiply-adds   field, rows")
for way, make in makers.items():
    network = make()
    costs = network.summary((192, 256))
    crossing, million = costs.total("skip_bytes") / 1e3, costs.total("multiply_adds") / 1e6
    field = network.receptive_field(list(network.layers)[-1], (96, 128), (192, 256)).size[0]
    print(f"{way:9} {network.num_parameters:10,} {crossing:14.1f} {costs.total('kept') / 1e6:10.1f} "
          f"{million:23.0f} {field:13}")  # fmt: skip

# %% [markdown]
# Concatenation also widens the decoder's convolutions, so U-Net has more parameters.
#
# ## Equal time
#
# Equal numbers of epochs favour slow networks. Therefore give each network the same processor time: measure an epoch,
# and choose the number of epochs. (Your NumPy convolution competes with compiled kernels here.) Which of the four
# networks will have the best outlines, measured by boundary F1 (BF, lesson 10)? Choose "a" for plain, "b" for SegNet,
# "c" for U-Net, or "d" for dilated.

# %%
prediction = ...  # "a", "b", "c" or "d"
grader.predict("best_outlines_at_equal_time", prediction)

# %% tags=["parameters"] fast="PICTURES, TESTS, SECONDS, SEEDS = 8, 4, 0.05, (0, 1)"
PICTURES, TESTS, SECONDS, SEEDS = 96, 32, 2.2, (0, 1, 2)

# %%
SIZE = (48, 64)
train = ts.data.InMemory(ToyScenes(PICTURES, seed=1, size=SIZE))
test = ts.data.InMemory(ToyScenes(TESTS, seed=2, size=SIZE))


def my_train(network, epochs, seed=0):
    """Train a network, and return the seconds of processor time that it took."""
    recipe = ts.Recipe(epochs=epochs, seed=seed, batch_size=4, size=SIZE, learning_rate=0.01, statistics="exact")
    began = time.process_time()
    ts.fit(network, train, recipe=recipe, progress=False)
    return time.process_time() - began


# %%
epochs = {}
for way, make in makers.items():
    my_train(make(), 1)  # the first call may compile
    epoch = my_train(make(), 2) / 2
    epochs[way] = max(1, round(SECONDS / epoch))
    print(f"{way:9} {1000 * epoch:6.0f} ms per epoch, so {epochs[way]} epochs in {SECONDS} s")

# %%
trained, seconds, scores = {}, {}, {}
for seed in SEEDS:  # all four networks in turn, so that other load on the machine affects all alike
    for way, make in makers.items():
        trained[way] = make(seed)
        seconds.setdefault(way, []).append(my_train(trained[way], epochs[way], seed))
        judged = ts.evaluate(trained[way], test, boundary=True)
        scores.setdefault(way, []).append((100 * judged.mIoU, 100 * judged.BF))
for way, pairs in scores.items():
    mIoU, BF = np.array(pairs).T.round(1)
    print(f"{way:9} seconds {np.round(seconds[way], 1)}   mIoU {mIoU}   BF {BF}")

# %%
panels = {name: {way: [pair[k] for pair in pairs] for way, pairs in scores.items()}
          for k, name in enumerate(("mIoU, per cent", "BF, per cent"))}  # fmt: skip
spread = {name: max(np.ptp(values) for values in rows.values()) for name, rows in panels.items()}
figures.show_strip_plot(panels, ties=spread)

# %% [markdown]
# As in lesson 11, a difference of means that is smaller than the spread between seeds is a tie:

# %%
for name, rows in panels.items():
    print(f"{name}, spread {spread[name]:.1f}")
    for one, other in (("SegNet", "plain"), ("U-Net", "SegNet"), ("dilated", "SegNet"), ("U-Net", "dilated")):
        gap = np.mean(rows[one]) - np.mean(rows[other])
        verdict = "a tie" if abs(gap) < spread[name] else f"{one if gap > 0 else other} is better"
        print(f"   {one:8} minus {other:8} {gap:+6.1f}   {verdict}")

# %%
street = test[0]
shown = [("street", street.image), ("truth", CAMVID.colorize(street.labels))]
shown += [(way, CAMVID.colorize(ts.predict(network, street.image))) for way, network in trained.items()]
figures.show_gallery(shown, columns=6)

# %% [markdown]
# **What was found** when this lesson was written: Compared with the plain decoder, the indices improved the outlines by
# about the spread between seeds, but not the mIoU. The position of a maximum says where an edge is, but not what is
# there. At this size the bottleneck has 3x4 pixels, and a small object that does not pass through it cannot come back.
# U-Net passes the object itself, and was far better in both scores. The maps of the dilated network never shrink below
# a quarter of the size. It was at least as good as U-Net in mIoU, but its outlines were coarser, because they are
# interpolated between logits that are four pixels apart.
#
# SegNet's speckles come from unpooling: three of four numbers are zero, and the convolutions must first learn to fill
# them. Does more time help? Train the plain network and SegNet three times as long:

# %%
for way in ("plain", "SegNet"):
    patient = makers[way](0)
    took = my_train(patient, 3 * epochs[way])
    judged = ts.evaluate(patient, test, boundary=True)
    print(f"{way:8} after {took:4.1f} s: mIoU {100 * judged.mIoU:.1f}, BF {100 * judged.BF:.1f}")
mIoU, BF = scores["U-Net"][0]
print(f"{'U-Net':8} after {seconds['U-Net'][0]:4.1f} s: mIoU {mIoU:.1f}, BF {BF:.1f}")

# %% [markdown]
# When this lesson was written, the gain in outlines grew, mIoU became about equal, and U-Net stayed ahead. These are
# small pictures, small networks and seconds of training. At full size, Badrinarayanan et al. (2017, Table 1) found
# indices much closer to whole maps: SegNet-Basic has mIoU 47.7, and 48.5 with all maps added. They chose indices to
# save memory at inference. Where memory is plentiful, whole maps became the usual choice.

# %% [markdown]
# ## What to remember
#
# * Concatenation lets the next convolution learn separate weights for both parts. Its backward pass cuts `dout`.
# * Maps before a pool take 64 times the bytes of its two-bit indices.
# * A dilated convolution has nine taps at a distance of `rate`. Its backward pass adds the gradients at the same taps.
# * Equal rates leave holes. Rates 1, 2, 4 see every pixel, and rates 1, 3, 9 see every pixel along exactly one path.
# * Indices restore positions, not content: they help outlines and take almost no memory.
# * Compare networks at equal time and with several seeds. Small differences are ties.

# %% [markdown]
# ## Read next
#
# * O. Ronneberger, P. Fischer, T. Brox (2015), *U-Net: Convolutional Networks for Biomedical Image Segmentation*: the
#   network with concatenation, and the figure that gave it its name.
# * F. Yu, V. Koltun (2016), *Multi-Scale Context Aggregation by Dilated Convolutions*: the rates that double, and how
#   to turn a classifier with pools into a dilated network.
# * L.-C. Chen, Y. Zhu, G. Papandreou, F. Schroff, H. Adam (2018), *Encoder-Decoder with Atrous Separable Convolution
#   for Semantic Image Segmentation*: DeepLabv3+, which joins both ideas of this lesson.
