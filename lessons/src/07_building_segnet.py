# %% [markdown]
# # 07 Building SegNet
#
# **The question.** Lessons 01 to 06 made the parts: convolution, batch normalisation, ReLU, pooling that remembers,
# unpooling, a loss. How do they become a network that labels every pixel, and what does each choice cost in parameters,
# memory and work?
#
# **At the end** you know
#
# * how a SegNet is a straight line of layers, and how each pool hands its indices to its mirror;
# * why 360 rows go down to 23 and come back as 360, although 23 was never half of 45;
# * how one backward runs through the whole line, and how it is proven;
# * where "134 million", "14.7 million" and "29.4 million" parameters come from, and what the 134 million are;
# * what a SegNet must remember, how far it sees, and where it spends its multiplications;
# * how to read a summary of a paper: claim by claim, with a computation for each.
#
# **Needed before:** lessons 01 to 06. The paper is Badrinarayanan, Kendall and Cipolla 2017 (arXiv:1511.00561);
# sections and tables cited are its own.

# %%
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, ops
from tinysegnet.data import InMemory, OneClass
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import Network, segnet
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs

# %% [markdown]
# ## Two pools, two unpools
#
# The skeleton first, without convolutions, on a picture of 4x4 numbers. Two pools make it 2x2, then 1x1. Two unpools
# bring it back. A layer object is an op and its parameters; a `MaxUnpool2d` is given the pool whose indices it uses.
# What a call leaves for later, such as these indices, is recorded on a *tape*: by default the one of this thread.

# %%
x = np.array([[3.0, 1, 2, 0], [0, 5, 4, 6], [1, 2, 9, 7], [8, 0, 3, 2]])
first, second = layers.MaxPool2d(), layers.MaxPool2d()
skeleton = [first, second, layers.MaxUnpool2d(second), layers.MaxUnpool2d(first)]

maps = [x[None, :, :, None]]  # N, H, W, C
for layer in skeleton:
    maps.append(layer.forward(maps[-1]))
names = ["x", "pool 1", "pool 2", "unpool 2", "unpool 1"]
figures.show_arrays([(name, a[0, :, :, 0]) for name, a in zip(names, maps, strict=True)],
                highlight={"x": (2, 2), "unpool 1": (2, 2)})  # fmt: skip

# %% [markdown]
# The largest number, 9, comes back to the cell where it was; all else is 0. The 1x1 map in the middle knows the number
# but not the place. The place came through two indices, one from each pool, and the last pool is the first to be
# undone: a SegNet is nested like brackets.

# %% [markdown]
# ## The formula
#
# Write $C$ for a convolution with batch norm and ReLU, $P$ for a pool, and $U$ for an unpool. A pool gives two
# results, the pooled map and the indices:
#
# $$(p, i) = P(a), \qquad i = \text{where in its window each maximum was}$$
#
# A SegNet with two stages is then
#
# $$
# \begin{aligned}
# (p_1, i_1) &= P(C_1(x)), & (p_2, i_2) &= P(C_2(p_1)) && \text{encoder}\\
# d_2 &= C_3\big(U(p_2;\ i_2)\big), & d_1 &= C_4\big(U(d_2;\ i_1)\big) && \text{decoder}\\
# \text{logits} &= W * d_1 + b && && \text{classifier}
# \end{aligned}
# $$
#
# (Badrinarayanan et al. 2017, section 3 and figure 2.) The classifier is a convolution without batch norm and ReLU,
# to one channel per class. Only $i_1$ and $i_2$ go round the bottleneck; the maps themselves do not.

# %% [markdown]
# ## Piece by piece
#
# Now with `tinysegnet.layers`. In float64, so that its gradient can be checked. First the encoder: convolution,
# batch norm, ReLU, pool, twice.

# %%
numbers = {"rng": np.random.default_rng(0), "dtype": np.float64}


def conv_norm_relu(in_channels, out_channels):
    """Convolution (no bias: batch norm has its own shift), batch norm, ReLU."""
    convolution = layers.Conv2d(in_channels, out_channels, 3, bias=False, **numbers)
    return {"conv1": convolution, "bn1": layers.BatchNorm2d(out_channels, dtype=np.float64), "relu1": layers.ReLU()}


encoder1 = {**conv_norm_relu(3, 8), "pool": layers.MaxPool2d()}
encoder2 = {**conv_norm_relu(8, 16), "pool": layers.MaxPool2d()}

# %% [markdown]
# Then the decoder, from the bottom up. Each stage begins with the unpool that is given its mirror pool. The unpool
# multiplies neither height nor width by 2: it asks its pool.

# %%
decoder2 = {"unpool": layers.MaxUnpool2d(encoder2["pool"]), **conv_norm_relu(16, 8)}
decoder1 = {"unpool": layers.MaxUnpool2d(encoder1["pool"]), **conv_norm_relu(8, 8)}
classifier = layers.Conv2d(8, 11, 3, **numbers)

# %% [markdown]
# One dictionary, in order, is the whole network. The first layer is the input normalisation, without parameters: it
# brings 0..255 to about -2..2.

# %%
line = {"input": layers.Normalize(127.5, 64, dtype=np.float64)}
stages = {"encoder1": encoder1, "encoder2": encoder2, "decoder2": decoder2, "decoder1": decoder1}
for stage, parts in stages.items():
    line |= {f"{stage}.{part}": layer for part, layer in parts.items()}
line["classifier"] = classifier
print(*line, sep="\n")

# %% [markdown]
# Forward is a loop down the line. The picture has 9x13 pixels, odd on purpose:

# %%
rng = np.random.default_rng(1)
pictures = rng.uniform(0, 255, (2, 9, 13, 3))
out = pictures
for name, layer in line.items():
    out = layer.forward(out, training=True)
    print(f"{name:<16} {out.shape}")

# %% [markdown]
# 9 rows became 5, then 3, and came back as 5 and 9. And backward is the same loop up the line, each layer's `dx` being
# the next one's `dout`:

# %%
dout = rng.standard_normal(out.shape)
for layer in reversed(line.values()):
    dout = layer.backward(dout)
print("gradient of the pictures", dout.shape)
print("gradient of the first kernel", line["encoder1.conv1"].grads["weight"].shape)

# %% [markdown]
# That is all a network does. `Network` puts these two loops, and the names of all parameters, into one object:

# %% tags=["map"]
net = Network(line, {"name": "two_stages", "num_classes": 11})
figures.show_network(net, (9, 13))

# %% [markdown]
# Each bar is a layer, taller for larger maps, wider for more channels; the number in a convolution is how many
# channels come out. The green lines are what goes round the bottleneck: from each pool to its mirror, nested, with
# the bytes that wait there.
#
# **What if the mirrors are mixed up?** Give both unpools the first pool:

# %%
wrong = dict(line)
wrong["decoder2.unpool"] = layers.MaxUnpool2d(encoder1["pool"])
try:
    Network(wrong, net.config).forward(pictures)
except ts.errors.ShapeError as error:
    print(error)

# %% [markdown]
# The indices of the first pool lie on another grid, so it is refused. The decoder's order is not a matter of taste.
#
# ## The library's builder
#
# The library makes its networks in the same way, from a description in words: the channels of every convolution,
# stage by stage. This is the whole of it, for the smallest and the largest SegNet:

# %%
figures.show_source(segnet.SegNetConfig.layers)

# %% [markdown]
# `pools.append(...)` on the way down and `pools.pop()` on the way up: the last pool is the first to be undone. Our
# network in its words has the same layers under the same names:

# %%
ours = segnet.SegNetConfig(encoder=((8,), (16,)), decoder=((8,), (8,)), bias=False)
print(ours)
context = segnet.InitContext(np.random.default_rng(0), np.float64, "scaled")
assert list(ours.layers(11, context)) == list(line)
print("the same", len(line), "layers")

# %% [markdown]
# `ts.build` makes the networks that have names. `tiny` is the one that trains in minutes on a laptop: four stages, one
# convolution each.

# %%
figures.show_network(ts.build("tiny"), (360, 480))

# %% [markdown]
# The hourglass is the same, with four pairs of brackets. The outermost indices are the largest: half of all that
# crosses comes from the first pool.
#
# SegNet itself, `vgg16`, has five stages and 26 convolutions. Its 13 in the encoder are those of VGG16, a network that
# names the object in a photograph (Simonyan and Zisserman 2015).

# %%
vgg16 = ts.build("vgg16")
figures.show_network(vgg16, (360, 480))

# %% [markdown]
# Each stage has as many convolutions as its mirror, but the last decoder stage has one and the classifier: the
# classifier *is* the thirteenth convolution of the decoder.
#
# ## Odd sizes
#
# 360 rows can be halved three times, to 45. The fourth pool leaves 23, since the last row gets a window of its own
# (lesson 05). Twice 23 is 46, and 46 is not 45: a decoder that doubles is one row off, and after three more doublings
# eight rows.

# %%
for name, _, before, after in ts.build("basic").output_shapes((1, 360, 480, 3)):
    if before[1:3] != after[1:3]:
        H, W = after[1:3]
        doubled = f"   twice: {2 * before[1]}x{2 * before[2]}" if "unpool" in name else ""
        print(f"{name:<16} {before[1]:>3}x{before[2]:<3} -> {H:>3}x{W:<3}{doubled}")

# %% [markdown]
# Unpooling takes the size from its pool, and every picture size works. Down to one pixel:

# %%
tiny = ts.build("tiny")
for H, W in ((45, 61), (17, 1), (1, 1)):
    logits = tiny.forward(np.zeros((1, H, W, 3), np.float32))
    assert logits.shape == (1, H, W, 11)
    print(f"{H}x{W}: logits {logits.shape}")

# %% [markdown]
# ### Exercise 1: the shapes
#
# Write `my_segnet_shapes(H, W, encoder, decoder)`. `encoder` holds the channels that come out of each encoder stage,
# `decoder` those of each decoder stage, from the bottom up, as many. Return one row (height, width, channels) for each
# stage: after each pool, then after each decoder stage.


# %%
def my_segnet_shapes(H, W, encoder, decoder):
    ### BEGIN SOLUTION
    seen, rows = [], []
    for channels in encoder:
        seen.append((H, W))
        H, W = (H + 1) // 2, (W + 1) // 2
        rows.append((H, W, channels))
    for channels in decoder:
        rows.append((*seen.pop(), channels))
    return np.array(rows)
    ### END SOLUTION


# %%
grader.grade("segnet_shapes", my_segnet_shapes)

# %% [markdown]
# ## Backward through the whole line
#
# Number the layers 1 to $L$ and call their outputs $a_1, \dots, a_L$, with $a_0 = x$ and $a_k = f_k(a_{k-1})$. The
# loss $J$ hangs on $a_L$, the logits. The chain rule, one layer at a time:
#
# $$\frac{\partial J}{\partial a_{k-1}} = \Big(\frac{\partial f_k}{\partial a_{k-1}}\Big)^{\!\top}
# \frac{\partial J}{\partial a_k} \qquad k = L, L-1, \dots, 1$$
#
# No layer needs to know the others. It gets $\partial J/\partial a_k$ as `dout`, and returns
# $\partial J/\partial a_{k-1}$ as `dx`. Parameters $w_k$ take their share on the way:
# $\partial J/\partial w_k = (\partial f_k/\partial w_k)^\top\, \partial J/\partial a_k$.

# %% [markdown]
# **But the indices jump over the line.** $U(d; i)$ has two arguments, and $i$ comes from the encoder. Does a gradient
# go back along the green lines? An index is one of four whole numbers. Move the picture a little, and it stays what
# it is; move it far, and it jumps. Where it does not jump its derivative is 0:
#
# $$\frac{\partial J}{\partial i} = 0 \quad\text{almost everywhere}$$
#
# So nothing goes back along the green lines, and the line stays a line. (At a tie the index jumps, the output with
# it, and there is no derivative at all: lesson 03.)
#
# A pool followed by its own unpool shows what that means. Forward, one pixel of each window survives in its place;
# backward must do the same with the gradient:

# %%
pool, unpool = skeleton[0], skeleton[3]
unpool.forward(pool.forward(maps[0], training=True), training=True)
dout = np.arange(1.0, 17).reshape(1, 4, 4, 1)
dx = pool.backward(unpool.backward(dout))
figures.show_arrays([("x", x), ("dout", dout[0, :, :, 0]), ("dx", dx[0, :, :, 0])])

# %% [markdown]
# `dx` is `dout` where `x` had its maxima, and 0 elsewhere. Unpool's backward gathered those four numbers, pool's
# backward put them back.
#
# The library's loop is the one above. What is new in it: a frozen part needs no gradient, so the loop may end early.

# %%
figures.show_source(Network.backward)

# %% [markdown]
# ### Exercise 2: a SegNet's backward
#
# The smallest SegNet: convolution, pool, unpool, convolution. Write `my_mini_segnet_backward(x, weight1, weight2,
# dout)`: run it forward with `ops`, keeping the caches, then backward. `x` is (N, H, W, C), `weight1` (3, 3, C, F),
# `weight2` (3, 3, F, K), `dout` (N, H, W, K); no biases. Return `dx, dweight1, dweight2`. Sizes may be odd.


# %%
def my_mini_segnet_backward(x, weight1, weight2, dout):
    a, cache1 = ops.conv2d_forward(x, weight1)
    ### BEGIN SOLUTION
    (pooled, indices), cache2 = ops.max_pool2d_forward(a)
    up, cache3 = ops.max_unpool2d_forward(pooled, indices, output_size=a.shape[1:3])
    _, cache4 = ops.conv2d_forward(up, weight2)
    dup, dweight2, _ = ops.conv2d_backward(dout, cache4)
    dpooled = ops.max_unpool2d_backward(dup, cache3)
    da = ops.max_pool2d_backward(dpooled, cache2)
    dx, dweight1, _ = ops.conv2d_backward(da, cache1)
    return dx, dweight1, dweight2
    ### END SOLUTION


# %%
grader.grade("mini_segnet_backward", my_mini_segnet_backward)

# %% [markdown]
# ### The proof
#
# `ts.gradcheck.check_model` compares the backward of the whole network with central differences, loss included
# (lesson 03). It moves every parameter tensor, and the pictures, along random directions. Each line is one tensor;
# "crossed" counts the steps that changed a ReLU's side or a pool's index.

# %%
report = ts.gradcheck.check_model(net, size=(9, 13))
assert report.ok
report

# %% [markdown]
# ### What breaks it
#
# A planted bug: the backward of `decoder2.unpool` reads the first corner of every window and ignores the indices.

# %%
bug = bugs["unpool_fixed_corner"]
net.layers["decoder2.unpool"]._backward = lambda dout, cache, *_: bug.backward(dout, cache)
report = ts.gradcheck.check_model(net, size=(9, 13), directions=1, entries=1)
del net.layers["decoder2.unpool"]._backward  # the right one again
for tensor in report.tensors:
    print(f"{'ok' if tensor.ok else 'WRONG':<7} {tensor.name}")

# %% [markdown]
# Everything after `decoder2.unpool` is right, everything before it is wrong. Backward carries a mistake towards the
# picture and never the other way. So of the wrong tensors the one nearest the output points at the culprit: it is the
# last parameter before the broken layer.
#
# ## The same numbers faster
#
# In inference, batch norm has fixed statistics $\mu, \sigma^2$, and is then a factor and a shift for each channel. A
# convolution is linear, so both can move into its kernel and bias:
#
# $$\gamma\,\frac{(W * x + b) - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta
# \;=\; \underbrace{\frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}}}_{s}\,(W * x) \;+\;
# \underbrace{\beta + s\,(b - \mu)}_{b'}$$

# %%
figures.show_source(layers.Conv2d.absorb)

# %% [markdown]
# `net.forward` without `training` does that, and lets the numba convolution cut off at zero in the same pass. Against
# the layers one after another, with a network that has seen streets:

# %%
ready = ts.load_bundled("toy")
street = ToyScenes(1, seed=5)[0]
x = street.image[None].astype(np.float32)


def layer_by_layer(x):
    for layer in ready.layers.values():
        x = layer.forward(x)
    return x


gap = np.abs(layer_by_layer(x) - ready.forward(x)).max()
print(f"largest logit {np.abs(ready.forward(x)).max():.1f}, largest difference {gap:.1e}")
assert gap < 1e-3

# %%
for name, function in (("layer by layer", layer_by_layer), ("absorbed", ready.forward)):
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        function(x)
        seconds.append(time.perf_counter() - start)
    print(f"{name:<15} {1000 * min(seconds):6.1f} ms")

# %% [markdown]
# The same logits, up to rounding in float32. What is saved are passes over memory, two for each convolution. How much
# time that is depends on the machine and on what else it does; on a picture as small as this it may be none.
#
# ## Parameters, kernel by kernel
#
# A convolution of kernel size $K$ from $C$ to $F$ channels has $K \cdot K \cdot C \cdot F$ weights and, if it has
# biases, $F$ of those. A batch norm after it has $2F$: $\gamma$ and $\beta$. The running mean and variance are not
# learned and do not count.
#
# ### Exercise 3: a stack
#
# Write `my_stack_parameters(in_channels, widths, kernel_size)` for convolutions one after another, each with a bias
# and a batch norm, the first from `in_channels` to `widths[0]` channels. Return three whole numbers: weights, biases,
# and the parameters of the batch norms.


# %%
def my_stack_parameters(in_channels, widths, kernel_size):
    ### BEGIN SOLUTION
    weights = 0
    for width in widths:
        weights += kernel_size * kernel_size * in_channels * width
        in_channels = width
    return weights, sum(widths), 2 * sum(widths)
    ### END SOLUTION


# %%
grader.grade("stack_parameters", my_stack_parameters)

# %% [markdown]
# ### VGG16 from nothing
#
# Thirteen convolutions of 3x3, then three fully connected layers: matrices that take the last map, 7x7 with 512
# channels for a picture of 224x224, to 4096 numbers, to 4096, to the 1000 classes of ImageNet.

# %%
channels, convolutions = 3, 0
for stage, widths in enumerate(segnet.vgg16().encoder, start=1):
    for number, width in enumerate(widths, start=1):
        weights = 3 * 3 * channels * width
        print(f"conv{stage}_{number}   3 x 3 x {channels:>3} x {width:>3} = {weights:>9,}  + {width:>3} biases")
        convolutions += weights + width
        channels = width
print(f"13 convolutions {convolutions:,}")

# %%
total = convolutions
for name, inputs, outputs in (("fc6", 7 * 7 * 512, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000)):
    count = inputs * outputs + outputs
    total += count
    print(f"{name}   {inputs:>6} x {outputs} + {outputs} = {count:>11,}   so far {total:>11,}")
print(f"\nall of VGG16     {total:,}")
print(f"without fc8      {total - count:,}")
print(f"convolutions     {convolutions:,}")

# %% [markdown]
# Now "from 134M to 14.7M" (section 3) can be read. **14.7 million are the thirteen convolutions**, weights and
# biases. **134 million are those and the first two fully connected layers**, 134,260,544; all of VGG16 with its
# ImageNet classifier is 138 million. The paper does not say so, but no other sum of these layers gives 134. What is
# removed is the matrix `fc6` above all: one layer with 103 million numbers, for a single grid of 7x7.

# %%
fc6 = 7 * 7 * 512 * 4096 + 4096
print(f"fc6 alone: {fc6:,}, {100 * fc6 / 134_260_544:.0f} % of 134 million")
assert (convolutions, total, total - count) == (14_714_688, 138_357_544, 134_260_544)

# %% [markdown]
# The 14.7 million are an encoder, not a SegNet. The decoder mirrors it, and the real network, counted array by array:

# %%
counts = {"encoder": 0, "decoder": 0, "classifier": 0, "biases": 0, "batch norm": 0}
for name, array in vgg16.named_parameters():
    kind = name.rpartition(".")[2]
    part = {"bias": "biases", "gamma": "batch norm", "beta": "batch norm"}.get(kind, name[:7])
    counts[part if part in counts else "classifier"] += array.size
for part, count in counts.items():
    print(f"{part:<11} {count:>11,}")
kernels = sum(counts[part] for part in ("encoder", "decoder", "classifier"))
print(f"{'kernels':<11} {kernels:>11,}\n{'all':<11} {sum(counts.values()):>11,}")
assert kernels == 29_425_536
assert sum(counts.values()) == vgg16.num_parameters == 29_449_355

# %% [markdown]
# 29.4 million: twice the encoder. Stored as float32 that is 118 MB, and the model file in the paper's Table 6 has 117.
# The decoder's kernels are as many as the encoder's up to the difference between the first convolution (from 3
# channels) and the classifier (to 11).
#
# ## Memory
#
# Training keeps, for every layer, what its backward needs: the caches. `summary` adds that up from shapes alone, here
# for one picture of 360x480:

# %%
print(tiny.summary((360, 480)))

# %% [markdown]
# "kept" counts each array once, with the layer that needs it first. A convolution keeps its input, for `dweight`; so
# does batch norm. ReLU adds nothing, since the next layer keeps its output anyway, and a pool keeps its indices only.
#
# The same totals for SegNet:

# %%
summary = vgg16.summary((360, 480))
weights = summary.total("parameters") * 4
print(f"weights, gradients, momentum  {3 * weights / 1e6:6.1f} MB")
print(f"maps kept for backward        {summary.total('kept') / 1e6:6.1f} MB")
print(f"pool indices                  {summary.total('indices') / 1e6:6.1f} MB")

# %% [markdown]
# In training the maps of one single picture take more than all that belongs to the parameters. In inference nothing is
# kept for backward, and a map can be thrown away as soon as the next one is made.
#
# ### Two bits per window
#
# With one exception: what crosses from the encoder to the decoder. The first encoder stage's part waits longest, since
# the stage that needs it comes last. If whole maps cross, whole maps wait. SegNet lets indices cross. A maximum in a
# 2x2 window has four possible places, so two bits hold it (section 3), and four channels share a byte:

# %%
pool, tape = layers.MaxPool2d(), layers.Tape()
features = rng.standard_normal((1, 180, 240, 64)).astype(np.float32)
pooled = pool.forward(features, tape)
indices = tape.indices[pool]
print(f"map before the pool {features.nbytes:>10,} bytes")
print(f"map after the pool  {pooled.nbytes:>10,} bytes")
print(f"indices             {indices.nbytes:>10,} bytes, {indices.dtype} {indices.shape}")
print(f"1/{features.nbytes // indices.nbytes} and 1/{pooled.nbytes // indices.nbytes} of them")
as_int64 = ops.flat_plane_indices(indices, 64, (180, 240))
print(f"as int64            {as_int64.nbytes:>10,} bytes")

# %% [markdown]
# A sixteenth of the pooled map it belongs to, as promised: 2 bits instead of 32. PyTorch keeps the same indices as
# int64, so they take twice the memory of the map that they were meant to replace.
#
# ### Exercise 4: bytes of the indices
#
# Write `my_index_bytes(H, W, C)`: the bytes that a pool of 2x2 windows leaves for a map of H x W pixels with C
# channels. Sizes are rounded up (45 rows give 23). Two bits per index; the channels of one pixel fill whole bytes, so
# 3 channels take one byte and 5 take two.


# %%
def my_index_bytes(H, W, C):
    ### BEGIN SOLUTION
    windows = ((H + 1) // 2) * ((W + 1) // 2)
    return windows * ((C + 3) // 4)
    ### END SOLUTION


# %%
grader.grade("index_bytes", my_index_bytes)

# %% [markdown]
# ### The paper's figures, computed
#
# Section 3.1 gives three for SegNet-Basic, whose encoder has 64 channels, at 360x480: the first encoder's maps after
# pooling take 11 MB, the same reduced to the 11 classes 1.9 MB, "while 0.17 MB are required for the indices".

# %%
maps_64 = 180 * 240 * 64 * 4  # bytes after the first pool, float32
maps_11 = 180 * 240 * 11 * 4
indices_1 = 180 * 240 * 64 * 2 // 8  # of the first pool: two bits per window
indices_2 = 90 * 120 * 64 * 2 // 8  # of the second
print(f"64 maps at 180x240, float32   {maps_64 / 1e6:6.2f} MB")
print(f"11 maps at 180x240, float32   {maps_11 / 1e6:6.2f} MB")
print(f"indices at 180x240, two bits  {indices_1 / 1e6:6.2f} MB")
print(f"indices at  90x120, two bits  {indices_2 / 1e6:6.2f} MB")

# %% [markdown]
# The first two are right. The third is the *second* pool's figure; at the size that the others have it is 0.69 MB. It
# matters: 11 over 0.17 is 64 and 1.9 over 0.17 is 11, the "storage multipliers" of Table 1. Compared at one size they
# are

# %%
for name, crossing in (("64 maps", maps_64), ("11 maps", maps_11)):
    print(f"{name} over the indices {crossing / indices_1:5.2f},  over the second pool's {crossing / indices_2:.0f}")

# %% [markdown]
# The saving is real, 16 times, and four times smaller than the table says.
#
# ## How far a pixel sees
#
# The receptive field of a number is the square of the picture that it can depend on. Lesson 01 follows it through
# convolutions and pools with two numbers: the field $r$, and the distance $d$ in the picture between two neighbours of
# a map, here called the jump. At the picture $r = 1$ and $d = 1$. A decoder adds the third rule:
#
# * A convolution of $K$ joins $K$ neighbours. They lie $d$ apart, so the outermost are $(K-1)\,d$ apart:
#   $r \leftarrow r + (K-1)\,d$.
# * A pool of 2 joins two neighbours, $r \leftarrow r + d$, and then skips every other: $d \leftarrow 2d$.
# * An unpool puts values back on the finer grid, $d \leftarrow d/2$. Each value sees what it saw, so $r$ stays.

# %%
field, jump = 1, 1
for stage in range(1, 5):
    field += (7 - 1) * jump
    print(f"encoder{stage}.conv1  7x7   field {field:>3}   jump {jump:>2}")
    field, jump = field + jump, 2 * jump
    print(f"encoder{stage}.pool   2x2   field {field:>3}   jump {jump:>2}")
assert field == 106

# %% [markdown]
# 106 pixels: the figure that section 3.1 gives for SegNet-Basic. On a picture of 360 rows a number at the bottleneck
# sees less than a third of the height.
#
# ### Exercise 5: fields along a line
#
# Write `my_fields_of_a_line(line)`. A line is a tuple of pairs: `("conv", K)`, `("pool", 2)`, `("unpool", 2)`. Return
# the field after each of them, one number each.


# %%
def my_fields_of_a_line(line):
    ### BEGIN SOLUTION
    field, jump, fields = 1, 1, []
    for kind, size in line:
        if kind != "unpool":
            field += (size - 1) * jump
        jump = {"conv": jump, "pool": jump * size, "unpool": jump // size}[kind]
        fields.append(field)
    return np.array(fields)
    ### END SOLUTION


# %%
grader.grade("fields_of_a_line", my_fields_of_a_line)

# %% [markdown]
# The decoder's convolutions widen the field further, by less and less, because their jumps shrink. Recursion for three
# networks, down to the bottleneck and up to the logits:

# %%
for name in ("tiny", "basic", "vgg16"):
    field, jump, bottleneck = 1, 1, None
    for layer in ts.build(name, width=1 / 16).layers.values():
        size = layer.params["weight"].shape[0] if isinstance(layer, layers.Conv2d) else 1
        if isinstance(layer, layers.MaxUnpool2d):
            bottleneck, jump = bottleneck or field, jump // 2
        field += (size - 1) * jump
        if isinstance(layer, layers.MaxPool2d):
            field, jump = field + jump, 2 * jump
    print(f"{name:<6} at the last pool {bottleneck:>3}, at the logits {field:>3}")

# %% [markdown]
# A recursion is a claim, and claims are tested. Take SegNet-Basic's encoder and one pixel of its last pool. Everything
# outside its 106x106 square is replaced by noise; that pixel must not notice, others must.

# %%
basic = ts.build("basic", width=1 / 16, dtype=np.float64)


def last_pool_of(x):
    for name, layer in basic.layers.items():
        x = layer.forward(x)
        if name == "encoder4.pool":
            return x


# %%
x = rng.uniform(0, 255, (1, 240, 240, 3))
low, high = 16 * 7 - 45, 16 * 7 + 60  # rows that pixel 7 of the last pool sees
noise = rng.uniform(0, 255, x.shape)
noise[:, low : high + 1, low : high + 1] = x[:, low : high + 1, low : high + 1]
change = np.abs(last_pool_of(noise) - last_pool_of(x)).max((0, 3))
print(f"{high - low + 1} rows; change at (7, 7): {change[7, 7]:.1e}; elsewhere up to {change.max():.0f}")

# %% [markdown]
# The square on a picture of 240x320 pixels, for SegNet-Basic with its random first weights. (An eighth of its channels
# is enough: the field hangs on kernels and pools alone.)

# %%
larger = ToyScenes(1, seed=5, size=(240, 320))[0]
figures.show_receptive_field(larger.image, ts.build("basic", width=1 / 8), "encoder4.pool", (7, 10))

# %% [markdown]
# On the left is all that one number at the bottleneck *can* see, 106x106 pixels. On the right is what it *does* look
# at: the brighter a pixel, the more the number changes with it (its gradient). The rim is dark. Many paths lead from
# the middle of the square to the number, few from its rim. The same for the network that was trained on streets, whose
# square has 46 pixels:

# %%
figures.show_receptive_field(street.image, ready, "encoder4.pool", (3, 4))

# %% [markdown]
# The dashed square holds half of the gradient; it is much smaller than the yellow one, and training did not fill the
# yellow one either (Luo et al. 2016 call it the effective receptive field). It is not centred: a pool lets one pixel
# of four through, and those that got through lie more to one side.
#
# ## Work
#
# A convolution to $H \times W$ pixels multiplies and adds $H \cdot W \cdot K^2 \cdot C \cdot F$ times: every output
# pixel uses every weight once.

# %%
basic = ts.build("basic")
rows = [row for row in basic.summary((360, 480)).rows if row.multiply_adds]
total = sum(row.multiply_adds for row in rows)
for row in rows:
    share = row.multiply_adds / total
    print(f"{row.name:<15} {row.multiply_adds / 1e9:6.2f} G   {share:6.1%}")
print(f"{'SegNet-Basic':<15} {total / 1e9:6.2f} G")

# %% [markdown]
# One layer, `decoder1.conv1`, does 59 % of all work: 64 channels to 64 at full resolution, with kernels of 49 taps. Its
# mirror `encoder1.conv1` begins with 3 channels and gets off lightly. SegNet spreads it more evenly:

# %%
figures.show_costs(vgg16, (360, 480))

# %% [markdown]
# Three panels, three shapes. Parameters sit in the middle, where maps are small and have 512 channels. Memory sits at
# the ends, where maps are large. Work is spread down to the fourth stage: each pool quarters the pixels, and each
# stage doubles the channels on both sides of a kernel. The fifth stage doubles no more and costs a quarter. Whoever
# wants to save must know what.
#
# ## Two summaries, read critically
#
# Most readers meet SegNet in a summary. Here are two that are widely read, in our words: **A**, a web lesson with a
# short Keras program, and **B**, a summary of the paper. Each claim gets a computation, then a verdict.
#
# ### "No fully connected layers: 134 M become 14.7 M" (B)
#
# Counted above. **Right**, for the encoder; 134 M is VGG16 without its last layer. The network has 29.4 M.
#
# ### "One decoder for each of the 13 encoders; the last feeds a softmax" (B)

# %%
convolutions = [name for name, layer in vgg16.layers.items() if isinstance(layer, layers.Conv2d)]
for part in ("encoder", "decoder", "classifier"):
    print(part, sum(name.startswith(part) for name in convolutions))
print("unpools:", sum(isinstance(layer, layers.MaxUnpool2d) for layer in vgg16.layers.values()))

# %% [markdown]
# **Right, if read well.** 13 convolutions mirror 13, the classifier being one of them, but there are five unpools, one
# for each pool and not one for each convolution.
#
# ### "Two bits per window, at a slight loss of accuracy" (B)
#
# Two bits: **right**, computed above, although the authors' published code stores each index as a float of 32 bits.
# The loss is easily misread. Nothing is rounded: two bits hold the place exactly.

# %%
pool = layers.MaxPool2d()
pooled = pool.forward(features)
back = layers.MaxUnpool2d(pool).forward(pooled)
assert np.array_equal(back[back != 0], features[back != 0])
print(f"{(back != 0).mean():.0%} of the map came back, bit for bit, each in its place")

# %% [markdown]
# What is lost are the other three numbers of each window. Whole maps would keep them; the paper adds them in
# SegNet-Basic-EncoderAddition and gets mIoU 48.5 instead of 47.7 on CamVid's test pictures, with median-frequency
# balancing (Table 1). That is the slight loss.
#
# ### "The decoder upsamples by transposed convolutions" (A)

# %%
for name in ("vgg16", "basic", "tiny", "article"):
    kinds = [type(layer).__name__ for layer in ts.build(name, width=1 / 16).layers.values()]
    print(f"{name:<8}", {kind: kinds.count(kind) for kind in ("MaxUnpool2d", "ConvTranspose2d", "Upsample")})

# %% [markdown]
# **Wrong.** A SegNet has unpools and ordinary convolutions. (`article` is A's own program, built from our layers.)
# And its transposed convolutions do not upsample, either. With stride 1 a transposed convolution is a convolution with
# the kernel turned by 180 degrees and its channels exchanged (lesson 02):

# %%
x, weight = rng.standard_normal((1, 6, 5, 4)), rng.standard_normal((3, 3, 2, 4))  # weight (K, K, out, in)
transposed, _ = ops.conv_transpose2d_forward(x, weight, stride=1)
ordinary, _ = ops.conv2d_forward(x, weight[::-1, ::-1].swapaxes(2, 3))
print(f"shape {transposed.shape}, largest difference {np.abs(transposed - ordinary).max():.1e}")

# %% [markdown]
# ### "The encoder is not trainable" (B)
#
# B argues that VGG16's weights are good already, so they stay. Look at the gradients first: does the loss reach the
# encoder? One training step, with all layers free and with the encoder frozen:

# %%
images = [sample.image for sample in InMemory(ToyScenes(4, size=(48, 64)))]
labels = np.stack([sample.labels for sample in InMemory(ToyScenes(4, size=(48, 64)))])
for prefix in (None, "encoder"):
    model = ts.build("tiny", width=0.5)
    model.freeze(prefix)
    logits = model.forward(np.stack(images).astype(np.float32), training=True)
    _, cache = ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)
    model.backward(ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
    gradients = [(name, np.linalg.norm(g)) for name, g in model.named_gradients() if name.startswith("encoder")]
    print(
        f"frozen {prefix}: gradients of {len(gradients)} encoder parameters",
        *(f"\n  {name:<22} {norm:.3f}" for name, norm in gradients if "conv" in name),
    )

# %% [markdown]
# They reach it, through all unpools. Freezing is a choice of whoever trains. The paper says that all layers are
# trained from VGG16's weights on, and the published settings give every layer's weights the same learning rate. What
# the choice is worth is measured: the same network, the same streets, with and without a frozen encoder. There is no
# VGG16 file here, so both begin from random weights. (On pictures as small as these a second thread would only wait,
# hence `set_threads`.)

# %% tags=["parameters"] fast="EPOCHS, STREETS, OTHERS = 1, 16, 4"
EPOCHS, STREETS, OTHERS = 8, 120, 40  # passes over the training streets; how many of them; how many to judge by

# %%
size = (48, 64)
train = InMemory(ToyScenes(STREETS, seed=1, size=size))
others = InMemory(ToyScenes(OTHERS, seed=2, size=size))


def train_once(frozen):
    model = ts.build("tiny", width=0.5)
    before = model.layers["encoder2.conv1"].params["weight"].copy()
    recipe = ts.Recipe(epochs=EPOCHS, batch_size=4, size=size, freeze_encoder=frozen)
    ts.fit(model, train, recipe=recipe, progress=False)
    moved = model.layers["encoder2.conv1"].params["weight"] - before
    return np.linalg.norm(moved) / np.linalg.norm(before), ts.evaluate(model, others)


# %%
threads = ts.runtime.threads()
ts.runtime.set_threads(1)
for frozen in (True, False):
    moved, scores = train_once(frozen)
    print(f"frozen {frozen!s:<5}  encoder2's kernel moved by {moved:.0%}   G {scores.G:.3f}   mIoU {scores.mIoU:.3f}")
ts.runtime.set_threads(threads)

# %% [markdown]
# **Wrong.** The encoder is trained, in the paper and here. It moves far, and even in this short training the network is
# better for it, in G and in mIoU (the mean overlap of prediction and truth, lesson 10). What a frozen
# encoder that knows photographs would do is another question, which random weights cannot answer; lesson 14 has the
# files for it.
#
# ### "A generative model" (A)
#
# A generative model describes how data come about: it has a probability (density) for the picture, $p(x)$ or
# $p(x, y)$, so it can be asked how likely a picture is, and it can draw new ones. A SegNet computes
#
# $$p(y_{uv} = k \mid x) = \text{softmax}(\text{logits}_{uv})_k$$
#
# for the label $y_{uv}$ of every pixel $(u, v)$, *given* the picture $x$. Ask it:

# %%
x = street.image[None].astype(np.float32)
probs, _ = ops.softmax_forward(ready.forward(x))
print("one output for one picture:", np.array_equal(ready.forward(x), ready.forward(x)))
print("sum over the classes of a pixel:", probs.sum(-1).min().round(5), "to", probs.sum(-1).max().round(5))
print("shape", probs.shape, "for a picture", x.shape)

# %% [markdown]
# The probabilities of one pixel's classes sum to 1 for every picture. There is no sum over pictures anywhere, and
# nothing random to draw from. What it says of a picture that is none:

# %%
static = rng.uniform(0, 255, x.shape).astype(np.float32)
for name, picture in (("street", x), ("noise", static)):
    probs, _ = ops.softmax_forward(ready.forward(picture))
    print(f"{name:<7} mean probability of the winning class {probs.max(-1).mean():.2f}")

# %% [markdown]
# It labels noise, too, and is nearly as sure of it. Nobody asked it whether this is a street, and it cannot say.
#
# Here is what would be needed, in its poorest form: a normal distribution of colours for each class,
# $p(\text{colour} \mid k)$, from the training streets.

# %%
colors = np.concatenate([sample.image.reshape(-1, 3) for sample in train.samples]).astype(float)
classes = np.concatenate([sample.labels.ravel() for sample in train.samples])
means = np.stack([colors[classes == k].mean(0) for k in range(11)])
spreads = np.stack([np.cov(colors[classes == k].T) for k in range(11)])
share = np.bincount(classes[classes < 11], minlength=11) / (classes < 11).sum()


def log_density(colors):
    """log p(colour), summed over the classes: (pixels, 3) -> (pixels,)."""
    away = colors[:, None] - means
    distance = np.einsum("nki,kij,nkj->nk", away, np.linalg.inv(spreads), away)
    density = np.exp(-distance / 2) / np.sqrt((2 * np.pi) ** 3 * np.linalg.det(spreads))
    return np.log(density @ share)


# %% [markdown]
# This model is worse at everything a SegNet is for, but it is generative. It has a density, which tells noise from a
# street, and it draws pictures: given a label map, a colour for each pixel.

# %%
for name, picture in (("street", x), ("noise", static)):
    print(f"{name:<7} mean log density of a pixel {log_density(picture.reshape(-1, 3)[::10]).mean():6.2f}")

# %%
known = np.where(street.labels < 11, street.labels, 0)
roots = np.linalg.cholesky(spreads)
drawn = means[known] + np.einsum("hwij,hwj->hwi", roots[known], rng.standard_normal((*known.shape, 3)))
drawn = np.clip(drawn, 0, 255).astype(np.uint8)
figures.show_batch(np.stack([street.image, drawn]), np.stack([street.labels, street.labels]), ts.data.CAMVID)

# %% [markdown]
# On the left a street and its labels, on the right a picture drawn from the model for the same labels: coloured noise,
# class by class. A SegNet cannot do even that. **Wrong**: SegNet is a *discriminative* model; it tells labels apart,
# given the picture.
#
# ### The formulas of A
#
# A writes the encoder as $X^{[l]} = f(W^{[l]} * X^{[l-1]} + b^{[l]})$ with ReLU for $f$, then
# $Y^{[l]} = \text{pool}(X^{[l]})$, and the decoder as $X^{[l]} = f(W^{[l]} * Y^{[l-1]} + b^{[l]})$. Follow them by
# shape, with "same" convolutions:

# %%
H, W = 360, 480
for step in ("conv", "pool", "conv", "pool", "decoder conv", "decoder conv"):
    H, W = ops.max_pool2d_output_size((H, W)) if step == "pool" else (H, W)
    print(f"{step:<13} {H}x{W}")

# %% [markdown]
# The formulas never come back up. **Incomplete**, and what is missing is the idea: (1) the pool's second result, the
# indices; (2) unpooling, which takes them; (3) batch norm; (4) the last layer, which must not have the ReLU: a logit
# may be negative. The complete formulas stand at the top of this lesson.
#
# The order within a stage is part of them: convolution, batch norm, ReLU, pool (section 3). Two of these may be
# exchanged, two may not:

# %%
a = rng.standard_normal((2, 8, 8, 5))
gamma, beta = np.array([1.0, -1.0, 0.5, 2.0, -0.5]), np.array([0.1, -0.2, 0.3, 0.0, 0.5])


def normalised(a):
    return ops.batchnorm2d_forward(a, gamma, beta)[0][0]


def pooled_by_2(a):
    return ops.max_pool2d_forward(a)[0][0]


# %%
cut = np.maximum(a, 0)
print(f"ReLU and pool:       {np.abs(pooled_by_2(cut) - np.maximum(pooled_by_2(a), 0)).max():.2f}")
print(f"batch norm and ReLU: {np.abs(np.maximum(normalised(a), 0) - normalised(cut)).max():.2f}")
print(f"batch norm and pool: {np.abs(pooled_by_2(normalised(a)) - normalised(pooled_by_2(a))).max():.2f}")

# %% [markdown]
# ReLU rises with its argument, so the maximum stays the maximum, and pooling first gives the same numbers. (Not the
# same indices: after ReLU a window may be all zeros, a tie.) Batch norm takes its mean and variance from what it sees,
# and a negative $\gamma$ turns the order round: exchanged, it gives another network.
#
# ### The program of A
#
# No indices, no batch norm, one class under a sigmoid, for pictures whose sides are multiples of four:

# %%
article = ts.build("article", num_classes=1)
by_hand = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 128 + 128 * 64) + 64 + (64 + 128 + 256 + 128 + 64 + 1)
assert article.num_parameters == by_hand
print(f"{by_hand:,} parameters")
print("bytes that cross from encoder to decoder at 128x128:", article.summary((128, 128)).total("skip_bytes"))
try:
    article.forward(np.zeros((1, 45, 60, 3), np.float32))
except ts.errors.ShapeError as error:
    print(error)
figures.show_network(article, (128, 128))

# %% [markdown]
# No green line: nothing crosses. Where in its window a maximum was is forgotten, and repeating pixels cannot bring it
# back. So is it bad? Train both on "road or not", at half their width, and see. BF is the agreement of outlines
# (lesson 10).

# %%
ts.runtime.set_threads(1)
for name in ("article", "tiny"):
    model = ts.build(name, num_classes=1, width=0.5)
    recipe = ts.Recipe(epochs=max(1, EPOCHS // 2), batch_size=4, size=size)
    ts.fit(model, OneClass(train, "Road"), recipe=recipe, progress=False)
    scores = ts.evaluate(model, OneClass(others, "Road"), boundary=True)
    print(f"{name:<8} {model.num_parameters:>7,} parameters   mIoU {scores.mIoU:.3f}   BF {scores.BF:.3f}")
ts.runtime.set_threads(threads)

# %% [markdown]
# It learns. It is a network with an encoder and a decoder, and a usable one: **not a SegNet**, but not nonsense. `tiny`
# has fewer parameters here and finds the outlines better. This is one short training with one seed, and the two differ
# in more than the indices: batch norm, depth, and the input's scaling. Lesson 05 changes the upsampling alone.
#
# ### "Strong results at low computational cost" (A)

# %%
for name in ("vgg16", "basic", "tiny"):
    rows = ts.build(name).summary((360, 480)).rows
    encoder = sum(row.multiply_adds for row in rows if row.name.startswith("encoder")) / 1e9
    total = sum(row.multiply_adds for row in rows) / 1e9
    crossing = sum(row.skip_bytes for row in rows) / 1e6
    print(f"{name:<6} {total:6.1f} G multiply-adds, {encoder:5.1f} G in the encoder; {crossing:.2f} MB cross")

# %% [markdown]
# **Half right.** SegNet saves memory, not work. 107 billion multiply-adds for one picture are many, and more than half
# of them are the decoder's. In the paper's own Table 6 it takes 422 ms for a forward pass where FCN takes 317 and
# DeepLab-LargeFOV 110, but 1052 MB in inference where they take 1806 and 1993.
#
# ### What both get right
#
# A tells its readers to compare the sizes of picture, label map and prediction, to verify the colours of the classes,
# and to begin with one simple example: that is lesson 00. B explains well why pooling blurs outlines, and that place
# must be saved before it is lost. A claim that is wrong does not make a text worthless. It makes it worth computing.
#
# ## What a SegNet is not
#
# Other networks hand whole maps across. U-Net copies the encoder's maps beside the decoder's; FCN reduces them to
# scores and adds those. SegNet hands only places. The paper compares decoders on one encoder (Table 1); what crosses
# in each, at 360x480:

# %%
names = ("basic", "basic-encoder-addition", "fcn-basic", "fcn-basic-no-dim-reduction", "replication")
for name in names:
    summary = ts.build(name, num_classes=11).summary((360, 480))
    print(f"{name:<27} {summary.total('skip_bytes') / 1e6:6.2f} MB   {summary.kernels:>9,} numbers in kernels")

# %%
figures.show_network(ts.build("basic-encoder-addition"), (360, 480))

# %% [markdown]
# The thick lines are maps. Each carries sixteen times as much as the indices of the same pool (11.06 MB and 0.69 MB at
# the first). They are what SegNet does without.
#
# ## What to remember
#
# * A SegNet is a straight line of layers. A pool leaves its indices and the size it saw to its mirror; the last pool is
#   the first to be undone.
# * Backward is the same line in reverse. Nothing goes back along the indices. `check_model` proves the whole; of the
#   wrong tensors the one nearest the output points at the broken layer.
# * 14.7 M are VGG16's convolutions, 134 M those with two of its three fully connected layers, 29.4 M a SegNet.
# * Parameters sit in the middle, memory at the ends, work everywhere.
# * Indices cost two bits per window, a sixteenth of the pooled map in float32.
# * SegNet-Basic's bottleneck sees 106 pixels; it looks at fewer.
# * SegNet is trained from end to end, is discriminative, and upsamples by unpooling, not by transposed convolution.
# * Before you believe a number in a summary, compute it.
