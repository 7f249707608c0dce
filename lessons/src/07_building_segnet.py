# %% [markdown]
# # 07 Building SegNet
#
# **The question.** Lessons 01 to 06 explained the parts: convolution, batch normalisation, ReLU, pooling with indices,
# unpooling and the loss. How do they become a network that labels every pixel, and what does each choice cost in
# parameters, memory and computation?
#
# **At the end** you know
#
# * that a SegNet is a simple chain of layers, and how each pooling layer passes its indices to the matching unpooling
#   layer;
# * why 360 rows become 23 and then 360 again, although 23 is not half of 45;
# * how one backward pass runs through the whole chain, and how to check it;
# * where the parameter counts "134 million", "14.7 million" and "29.4 million" come from;
# * what a SegNet must keep in memory, how large its receptive fields are, and where it spends its multiplications;
# * how to test a summary of a paper, claim by claim, with a computation for each.
#
# **Prerequisites:** lessons 01 to 06. The paper is Badrinarayanan, Kendall and Cipolla 2017 (arXiv:1511.00561); section
# and table numbers refer to it.

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
# Begin with the skeleton, without convolutions, on a picture of 4x4 numbers. Two pooling layers (*pools*) reduce it to
# 2x2 and then 1x1, and two unpooling layers (*unpools*) restore its size. A layer object is an op with its parameters.
# A `MaxUnpool2d` is given the pool whose indices it uses. A *tape* records what later calls need, such as these
# indices; by default, each thread has one tape.

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
# The largest number, 9, returns to its original cell; all other cells are 0. The 1x1 map in the middle contains the
# number but not its place. The place is stored in two indices, one from each pool. The last pool is the first to be
# undone, so pools and unpools are nested like brackets.

# %% [markdown]
# ## The formula
#
# Write $C$ for a convolution with batch norm and ReLU, $P$ for a pool, and $U$ for an unpool. A pool gives two
# results, the pooled map and the indices:
#
# $$(p, i) = P(a), \qquad i = \text{the position of each maximum in its window}$$
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
# with one output channel per class. Only $i_1$ and $i_2$ bypass the bottleneck; the feature maps themselves do not. (In
# SegNet-Basic, the paper's small network, the decoder's convolutions have batch norm but no ReLU; section 3.1.)

# %% [markdown]
# ## Piece by piece
#
# Now build this network with `tinysegnet.layers`, in float64 so that its gradient can be checked. The encoder repeats
# convolution, batch norm, ReLU and pool twice.

# %%
numbers = {"rng": np.random.default_rng(0), "dtype": np.float64}


def conv_norm_relu(in_channels, out_channels):
    """Make a convolution without bias (batch norm has its own shift), a batch norm and a ReLU."""
    convolution = layers.Conv2d(in_channels, out_channels, 3, bias=False, **numbers)
    return {"conv1": convolution, "bn1": layers.BatchNorm2d(out_channels, dtype=np.float64), "relu1": layers.ReLU()}


encoder1 = {**conv_norm_relu(3, 8), "pool": layers.MaxPool2d()}
encoder2 = {**conv_norm_relu(8, 16), "pool": layers.MaxPool2d()}

# %% [markdown]
# Now build the decoder, beginning at the bottleneck. Each stage begins with an unpool, which is given the matching
# pool. The unpool does not double height and width; it uses the input size of its pool.

# %%
decoder2 = {"unpool": layers.MaxUnpool2d(encoder2["pool"]), **conv_norm_relu(16, 8)}
decoder1 = {"unpool": layers.MaxUnpool2d(encoder1["pool"]), **conv_norm_relu(8, 8)}
classifier = layers.Conv2d(8, 11, 3, **numbers)

# %% [markdown]
# The whole network is one ordered dictionary. Its first layer normalises the input and has no parameters: it scales
# 0..255 to about -2..2.

# %%
line = {"input": layers.Normalize(127.5, 64, dtype=np.float64)}
stages = {"encoder1": encoder1, "encoder2": encoder2, "decoder2": decoder2, "decoder1": decoder1}
for stage, parts in stages.items():
    line |= {f"{stage}.{part}": layer for part, layer in parts.items()}
line["classifier"] = classifier
print(*line, sep="\n")

# %% [markdown]
# Forward is a loop over the layers. The pictures have 9x13 pixels; the sizes are deliberately odd:

# %%
rng = np.random.default_rng(1)
pictures = rng.uniform(0, 255, (2, 9, 13, 3))
out = pictures
for name, layer in line.items():
    out = layer.forward(out, training=True)
    print(f"{name:<16} {out.shape}")

# %% [markdown]
# 9 rows became 5, then 3, then 5 and 9 again. Backward is the same loop in reverse: the `dx` of each layer is the
# `dout` of the layer before it:

# %%
dout = rng.standard_normal(out.shape)
for layer in reversed(line.values()):
    dout = layer.backward(dout)
print("gradient of the pictures", dout.shape)
print("gradient of the first kernel", line["encoder1.conv1"].grads["weight"].shape)

# %% [markdown]
# `Network` combines these two loops, and the names of all parameters, in one object:

# %% tags=["map"]
net = Network(line, {"name": "two_stages", "num_classes": 11})
figures.show_network(net, (9, 13))

# %% [markdown]
# Each bar is a layer. Larger maps have taller bars, and more channels have wider bars; the number in a convolution is
# its number of output channels. The green lines show the data that bypass the bottleneck, from each pool to the
# matching unpool, and their size in bytes.
#
# **What if an unpool gets the wrong pool?** Give both unpools the first pool:

# %%
wrong = dict(line)
wrong["decoder2.unpool"] = layers.MaxUnpool2d(encoder1["pool"])
try:
    Network(wrong, net.config).forward(pictures)
except ts.errors.ShapeError as error:
    print(error)

# %% [markdown]
# The indices of the first pool belong to a different grid, so the network raises an error.
#
# ## The library's builder
#
# The library builds its networks in the same way from a description that lists the channels of every convolution, stage
# by stage. The method `layers` builds every SegNet, from the smallest to the largest:

# %%
figures.show_source(segnet.SegNetConfig.layers)

# %% [markdown]
# The encoder calls `pools.append(...)` and the decoder `pools.pop()`, so the last pool is the first to be undone: `_up`
# adds its unpooling. The settings `add` and `reduce` are off in every SegNet; lesson 11 needs them for other decoders.
# A description of our network gives the same layers with the same names:

# %%
ours = segnet.SegNetConfig(encoder=((8,), (16,)), decoder=((8,), (8,)), bias=False)
print(ours)
builder = segnet.LayerBuilder(np.random.default_rng(0), np.float64, "scaled")
assert list(ours.layers(11, builder)) == list(line)
print("the same", len(line), "layers")

# %% [markdown]
# `ts.build` builds a network by name. `tiny` trains in minutes on a laptop; it has four stages with one convolution
# each.

# %%
figures.show_network(ts.build("tiny"), (360, 480))

# %% [markdown]
# `tiny` has the same hourglass shape, with four pairs of pools and unpools. The first pool has the largest indices,
# half of all the bytes that bypass the bottleneck.
#
# SegNet itself, `vgg16`, has five stages and 26 convolutions. The 13 convolutions of its encoder are those of VGG16, a
# network that classifies photographs (Simonyan and Zisserman 2015).

# %%
vgg16 = ts.build("vgg16")
figures.show_network(vgg16, (360, 480))

# %% [markdown]
# Each decoder stage has as many convolutions as the matching encoder stage. In the last decoder stage, one of them is
# the classifier: the classifier *is* the thirteenth convolution of the decoder.
#
# ## Odd sizes
#
# 360 rows can be halved three times, to 45. The fourth pool gives 23, because the last row gets its own window (lesson
# 05). But twice 23 is 46, not 45. A decoder that always doubles is one row off at this stage, and eight rows off after
# three more doublings.

# %%
for name, _, before, after in ts.build("basic").output_shapes((1, 360, 480, 3)):
    if before[1:3] != after[1:3]:
        H, W = after[1:3]
        doubled = f"   doubled: {2 * before[1]}x{2 * before[2]}" if "unpool" in name else ""
        print(f"{name:<16} {before[1]:>3}x{before[2]:<3} -> {H:>3}x{W:<3}{doubled}")

# %% [markdown]
# Unpooling takes the size from its pool, so every picture size works, even a single pixel:

# %%
tiny = ts.build("tiny")
for H, W in ((45, 61), (17, 1), (1, 1)):
    logits = tiny.forward(np.zeros((1, H, W, 3), np.float32))
    assert logits.shape == (1, H, W, 11)
    print(f"{H}x{W}: logits {logits.shape}")

# %% [markdown]
# ### Exercise 1: the shapes
#
# Write `my_segnet_shapes(H, W, encoder, decoder)`. `encoder` lists the output channels of each encoder stage, and
# `decoder` those of each decoder stage, beginning at the bottleneck. Both lists have the same length. Return an array
# with one row (height, width, channels) per stage: after each pool, then after each decoder stage.


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
my_segnet_shapes = grader.grade("segnet_shapes", my_segnet_shapes)

# %% [markdown]
# ## Backward through the whole chain
#
# Number the layers 1 to $L$ and call their outputs $a_1, \dots, a_L$, with $a_0 = x$ and $a_k = f_k(a_{k-1})$. The loss
# $J$ depends on $a_L$, the logits. The chain rule, one layer at a time, is
#
# $$\frac{\partial J}{\partial a_{k-1}} = \Big(\frac{\partial f_k}{\partial a_{k-1}}\Big)^{\!\top}
# \frac{\partial J}{\partial a_k} \qquad k = L, L-1, \dots, 1$$
#
# No layer needs information about the others. Layer $k$ gets $\partial J/\partial a_k$ as `dout` and returns
# $\partial J/\partial a_{k-1}$ as `dx`. The gradient of its parameters $w_k$ is $\partial J/\partial w_k = (\partial
# f_k/\partial w_k)^\top\, \partial J/\partial a_k$.

# %% [markdown]
# **But the indices bypass the line.** $U(d; i)$ has two arguments, and $i$ comes from the encoder. Does a gradient flow
# back along the green lines? An index is one of four integers. If the picture changes slightly, the index stays the
# same; if the picture changes more, the index jumps. Where the index does not jump, its derivative is 0:
#
# $$\frac{\partial J}{\partial i} = 0 \quad\text{almost everywhere}$$
#
# So no gradient flows back along the green lines, and backward only has to follow the chain. (At a tie, the
# index and the output jump, and there is no derivative; see lesson 03.)
#
# A pool followed by its own unpool is a simple example. Forward keeps one pixel of each window in its place, and
# backward must do the same with the gradient:

# %%
pool, unpool = skeleton[0], skeleton[3]
unpool.forward(pool.forward(maps[0], training=True), training=True)
dout = np.arange(1.0, 17).reshape(1, 4, 4, 1)
dx = pool.backward(unpool.backward(dout))
figures.show_arrays([("x", x), ("dout", dout[0, :, :, 0]), ("dx", dx[0, :, :, 0])])

# %% [markdown]
# `dx` is `dout` where `x` had its maxima, and 0 elsewhere. The unpool's backward gathered these four numbers, and the
# pool's backward put them back.
#
# The library's loop is like the one above, with one addition: a frozen part needs no gradient, so the loop may end
# early.

# %%
figures.show_source(Network.backward)

# %% [markdown]
# ### Exercise 2: a SegNet's backward
#
# The smallest SegNet is convolution, pool, unpool, convolution. Write `my_mini_segnet_backward(x, weight1, weight2,
# dout)`. Run the network forward with `ops` and keep the caches, then run it backward. `x` is (N, H, W, C), `weight1`
# (3, 3, C, F), `weight2` (3, 3, F, K), `dout` (N, H, W, K). There are no biases. Return `dx, dweight1, dweight2`. Sizes
# may be odd.


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
my_mini_segnet_backward = grader.grade("mini_segnet_backward", my_mini_segnet_backward)

# %% [markdown]
# ### Checking the whole network
#
# `ts.gradcheck.check_model` compares the backward of the whole network with central differences, including the loss
# (lesson 03). It moves every parameter tensor, and the pictures, along random directions. Each line is one tensor;
# "crossed" counts the steps that crossed the kink of a ReLU or changed the index of a pool.

# %%
report = ts.gradcheck.check_model(net, size=(9, 13))
assert report.ok
report

# %% [markdown]
# ### What breaks it
#
# In this planted bug, the backward of `decoder2.unpool` reads the top left pixel of every window and ignores the
# indices.

# %%
bug = bugs["unpool_fixed_corner"]
net.layers["decoder2.unpool"]._backward = lambda dout, cache, *_: bug.backward(dout, cache)
report = ts.gradcheck.check_model(net, size=(9, 13), directions=1, entries=1)
del net.layers["decoder2.unpool"]._backward  # restore the right backward
for tensor in report.tensors:
    print(f"{'ok' if tensor.ok else 'WRONG':<7} {tensor.name}")

# %% [markdown]
# Everything after `decoder2.unpool` is right, and everything before it is wrong, because backward carries a mistake
# only towards the picture. So the wrong tensor nearest the output leads you to the bug: it is the last parameter before
# the broken layer.
#
# ## Faster inference
#
# In inference, batch norm has fixed statistics $\mu$ and $\sigma^2$, so it only scales and shifts each channel. A
# convolution is linear, so its kernel and bias can absorb the scale and the shift:
#
# $$\gamma\,\frac{(W * x + b) - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta
# \;=\; \underbrace{\frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}}}_{s}\,(W * x) \;+\;
# \underbrace{\beta + s\,(b - \mu)}_{b'}$$

# %%
figures.show_source(layers.Conv2d.absorb)

# %% [markdown]
# `net.forward` without `training` uses these absorbed parameters, and the numba convolution also applies ReLU in the
# same pass. Compare this with running the layers of the bundled trained network one by one:

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
# The logits are the same, up to float32 rounding. Absorbing the batch norm saves two passes over memory per
# convolution. How much time this saves depends on the machine and its load; for a picture this small, it may be none.
#
# ## Parameters, kernel by kernel
#
# A convolution with kernel size $K$ from $C$ to $F$ channels has $K \cdot K \cdot C \cdot F$ weights and, optionally,
# $F$ biases. A batch norm after it has $2F$ parameters, $\gamma$ and $\beta$. The running mean and variance are not
# learned, so they do not count.
#
# ### Exercise 3: a stack
#
# Write `my_stack_parameters(in_channels, widths, kernel_size)` for a chain of convolutions, each with a bias and a
# batch norm. The first convolution has `in_channels` input channels and `widths[0]` output channels. Return three
# integers: the numbers of weights, of biases, and of batch-norm parameters.


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
my_stack_parameters = grader.grade("stack_parameters", my_stack_parameters)

# %% [markdown]
# ### Counting VGG16
#
# VGG16 has thirteen 3x3 convolutions and then three fully connected layers, that is, matrices. For a picture of
# 224x224, the last feature map has 7x7 pixels and 512 channels. The matrices reduce it to 4096 numbers, then to 4096
# again, and then to the 1000 classes of ImageNet.

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
# This explains the phrase "from 134M to 14.7M" in section 3. **14.7 million is the count of the thirteen
# convolutions**, weights and biases. **134 million also includes the first two fully connected layers**: the sum is
# 134,260,544. The whole VGG16, with its ImageNet classifier, has 138 million parameters. The paper does not say this,
# but no other sum of these layers gives 134 million. Most of the removed parameters belong to `fc6`, a single layer
# with 103 million numbers for one 7x7 map.

# %%
fc6 = 7 * 7 * 512 * 4096 + 4096
print(f"fc6 alone: {fc6:,}, {100 * fc6 / 134_260_544:.0f} % of 134 million")
assert (convolutions, total, total - count) == (14_714_688, 138_357_544, 134_260_544)

# %% [markdown]
# The 14.7 million parameters are those of the encoder, not of a whole SegNet. The next cell counts the whole network,
# array by array:

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
# SegNet has 29.4 million parameters, twice as many as its encoder. Stored as float32, they take 118 MB; the paper's
# Table 6 gives 117 MB for the model file. Encoder and decoder have the same number of kernel weights, except for the
# difference between the first convolution (from 3 channels) and the classifier (to 11).
#
# ## Memory
#
# Training keeps the caches that the backward of every layer needs. `summary` computes their total size from shapes
# alone, here for one picture of 360x480:

# %%
print(tiny.summary((360, 480)))

# %% [markdown]
# "kept" counts each array once, with the layer that needs it first. A convolution keeps its input for `dweight`, and
# batch norm also keeps its input. ReLU adds nothing, because the next layer keeps its output anyway. A pool keeps only
# its indices.
#
# These are the totals for SegNet:

# %%
summary = vgg16.summary((360, 480))
weights = summary.total("parameters") * 4
print(f"weights, gradients, momentum  {3 * weights / 1e6:6.1f} MB")
print(f"maps kept for backward        {summary.total('kept') / 1e6:6.1f} MB")
print(f"pool indices                  {summary.total('indices') / 1e6:6.1f} MB")

# %% [markdown]
# In training, the feature maps of a single picture take more memory than the weights, their gradients and the momentum
# together. In inference, nothing is kept for backward, and a map can be freed as soon as the next one is computed.
#
# ### Two bits per window
#
# Even in inference, data that the encoder passes to the decoder must stay in memory. Some networks pass whole feature
# maps, but SegNet passes only indices. A maximum in a 2x2 window has four possible positions, so its index takes two
# bits (section 3), and four channels share one byte:

# %%
pool, tape = layers.MaxPool2d(), layers.Tape()
features = rng.standard_normal((1, 180, 240, 64)).astype(np.float32)
pooled = pool.forward(features, tape)
indices = tape.indices[pool]
print(f"map before the pool {features.nbytes:>10,} bytes")
print(f"map after the pool  {pooled.nbytes:>10,} bytes")
print(f"indices             {indices.nbytes:>10,} bytes, {indices.dtype} {indices.shape}")
print(f"ratios              1/{features.nbytes // indices.nbytes} and 1/{pooled.nbytes // indices.nbytes}")
as_int64 = ops.flat_plane_indices(indices, 64, (180, 240))
print(f"as int64            {as_int64.nbytes:>10,} bytes")

# %% [markdown]
# The indices take a sixteenth of the pooled map's memory, 2 bits instead of 32 per number. PyTorch stores indices as
# int64, so they take twice as much memory as the pooled map.
#
# ### Exercise 4: the size of the indices
#
# Write `my_index_bytes(H, W, C)`: the number of bytes for the indices of a 2x2 pool on a map of H x W pixels with C
# channels. Sizes are rounded up (45 rows give 23). Each index takes two bits. The channels of one pixel fill whole
# bytes, so 3 channels take one byte and 5 take two.


# %%
def my_index_bytes(H, W, C):
    ### BEGIN SOLUTION
    windows = ((H + 1) // 2) * ((W + 1) // 2)
    return windows * ((C + 3) // 4)
    ### END SOLUTION


# %%
my_index_bytes = grader.grade("index_bytes", my_index_bytes)

# %% [markdown]
# ### The paper's figures, computed
#
# Section 3.1 gives three figures for SegNet-Basic, whose encoder has 64 channels, at 360x480. The first encoder's maps
# after pooling take 11 MB. Reduced to the 11 classes, the maps take 1.9 MB. The pooling indices take 0.17 MB.

# %%
maps_64 = 180 * 240 * 64 * 4  # bytes after the first pool, float32
maps_11 = 180 * 240 * 11 * 4
indices_1 = 180 * 240 * 64 * 2 // 8  # first pool, two bits per window
indices_2 = 90 * 120 * 64 * 2 // 8  # second pool
print(f"64 maps at 180x240, float32   {maps_64 / 1e6:6.2f} MB")
print(f"11 maps at 180x240, float32   {maps_11 / 1e6:6.2f} MB")
print(f"indices at 180x240, two bits  {indices_1 / 1e6:6.2f} MB")
print(f"indices at  90x120, two bits  {indices_2 / 1e6:6.2f} MB")

# %% [markdown]
# The first two figures are right, but the third belongs to the *second* pool; for the first pool, to which the other
# two belong, the indices take 0.69 MB. Table 1 gives the quotients of these figures, 64 and 11, as "storage
# multipliers". If all three figures belong to the first pool, the ratios are:

# %%
for name, crossing in (("64 maps", maps_64), ("11 maps", maps_11)):
    print(f"{name} over the indices {crossing / indices_1:5.2f},  over the second pool's {crossing / indices_2:.0f}")

# %% [markdown]
# The saving is real, a factor of 16, but the table states four times as much.
#
# ## Receptive fields
#
# The receptive field of a number is the square of input pixels that it can depend on. Lesson 01 computes it through
# convolutions and pools with two numbers: the size $r$ of the field, and the distance $d$ in input pixels between two
# neighbours in a map, here called the jump. The decoder requires a third rule:
#
# * A convolution with kernel size $K$ combines $K$ neighbours at distance $d$. The outermost of them are $(K-1)\,d$
#   apart: $r \leftarrow r + (K-1)\,d$.
# * A pool with size 2 combines two neighbours, $r \leftarrow r + d$, and then moves two steps: $d \leftarrow 2d$.
# * An unpool puts values back on the finer grid, $d \leftarrow d/2$. The field of each value does not change, so $r$
#   stays the same.

# %%
field, jump = 1, 1
for stage in range(1, 5):
    field += (7 - 1) * jump
    print(f"encoder{stage}.conv1  7x7   field {field:>3}   jump {jump:>2}")
    field, jump = field + jump, 2 * jump
    print(f"encoder{stage}.pool   2x2   field {field:>3}   jump {jump:>2}")
assert field == 106

# %% [markdown]
# The result, 106 pixels, is the figure that section 3.1 gives for SegNet-Basic. In a picture of 360 rows, a number at
# the bottleneck sees less than a third of the height.
#
# ### Exercise 5: receptive fields along a line
#
# Write `my_fields_of_a_line(line)`. A line is a tuple of pairs: `("conv", K)`, `("pool", 2)`, `("unpool", 2)`. Return
# an array with the size of the field after each pair.


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
my_fields_of_a_line = grader.grade("fields_of_a_line", my_fields_of_a_line)

# %% [markdown]
# The decoder's convolutions enlarge the field further, but less and less, because the jumps shrink. Apply the rules to
# three networks, down to the bottleneck and up to the logits:

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
# To test the result, take SegNet-Basic's encoder and one pixel of its last pool. Replace everything outside the pixel's
# 106x106 square with noise. This pixel must not change, but others must.

# %%
basic = ts.build("basic", width=1 / 16, dtype=np.float64)


def last_pool_of(x):
    for name, layer in basic.layers.items():
        x = layer.forward(x)
        if name == "encoder4.pool":
            return x


# %%
x = rng.uniform(0, 255, (1, 240, 240, 3))
low, high = 16 * 7 - 45, 16 * 7 + 60  # first and last row that pixel 7 of the last pool sees
noise = rng.uniform(0, 255, x.shape)
noise[:, low : high + 1, low : high + 1] = x[:, low : high + 1, low : high + 1]
change = np.abs(last_pool_of(noise) - last_pool_of(x)).max((0, 3))
print(f"{high - low + 1} rows; change at (7, 7): {change[7, 7]:.1e}; elsewhere up to {change.max():.0f}")

# %% [markdown]
# The next figure shows this square in a picture of 240x320 pixels, for SegNet-Basic with random initial weights. (An
# eighth of its channels is enough, because the field depends only on kernel sizes and pools.)

# %%
larger = ToyScenes(1, seed=5, size=(240, 320))[0]
figures.show_receptive_field(larger.image, ts.build("basic", width=1 / 8), "encoder4.pool", (7, 10))

# %% [markdown]
# The left panel shows everything that one number at the bottleneck *can* see, 106x106 pixels. The right panel shows
# what it *does* use: the brighter a pixel, the larger the gradient of the number with respect to it. The rim is dark,
# because many paths lead from the middle of the square to the number, but only a few from its rim. Here is the same
# figure for the network trained on street scenes, whose square has 46x46 pixels:

# %%
figures.show_receptive_field(street.image, ready, "encoder4.pool", (3, 4))

# %% [markdown]
# The dashed square contains half of the gradient. It is much smaller than the yellow square, even after training. Luo
# et al. (2016) call the part that is actually used the effective receptive field. The dashed square is not centred: a
# pool passes on only one pixel in four, and here these pixels lie mostly to one side.
#
# ## Computation
#
# A convolution with $H \times W$ output pixels needs $H \cdot W \cdot K^2 \cdot C \cdot F$ multiply-adds, because every
# output pixel uses every weight once.

# %%
basic = ts.build("basic")
rows = [row for row in basic.summary((360, 480)).rows if row.multiply_adds]
total = sum(row.multiply_adds for row in rows)
for row in rows:
    share = row.multiply_adds / total
    print(f"{row.name:<15} {row.multiply_adds / 1e9:6.2f} G   {share:6.1%}")
print(f"{'SegNet-Basic':<15} {total / 1e9:6.2f} G")

# %% [markdown]
# One layer, `decoder1.conv1`, does 59 % of all the work: it maps 64 channels to 64 at full resolution, with kernels of
# 49 taps. The matching encoder layer, `encoder1.conv1`, has only 3 input channels and costs much less. In SegNet, the
# work is spread more evenly:

# %%
figures.show_costs(vgg16, (360, 480))

# %% [markdown]
# Most parameters are in the middle, where maps are small and have 512 channels. Most memory is used at the ends, where
# maps are large. The work is spread evenly down to the fourth stage, because each pool divides the number of pixels by
# four, while each stage doubles both the input and the output channels. The fifth stage does not double the channels
# and costs a quarter of the fourth. To save resources, first decide whether parameters, memory or computation matters
# most.
#
# ## Two summaries, read critically
#
# Many readers first meet SegNet in a summary. This section examines two published summaries, paraphrased: **A**, a web
# lesson with a short Keras program, and **B**, a summary of the paper. A computation tests each claim.
#
# ### "No fully connected layers: 134 M become 14.7 M" (B)
#
# The section on parameters computed both numbers. The claim is **right** for the encoder; 134 M is the size of VGG16
# without its last layer. The whole network has 29.4 M.
#
# ### "One decoder for each of the 13 encoders; the last feeds a softmax" (B)

# %%
convolutions = [name for name, layer in vgg16.layers.items() if isinstance(layer, layers.Conv2d)]
for part in ("encoder", "decoder", "classifier"):
    print(part, sum(name.startswith(part) for name in convolutions))
print("unpools:", sum(isinstance(layer, layers.MaxUnpool2d) for layer in vgg16.layers.values()))

# %% [markdown]
# **Right, if read carefully.** The 13 decoder convolutions, including the classifier, mirror the 13 encoder
# convolutions. But there are only five unpools, one for each pool and not one for each convolution.
#
# ### "Two bits per window, at a slight loss of accuracy" (B)
#
# Two bits are **right**, as computed above, although the authors' published code stores each index as a 32-bit float.
# But nothing is rounded: two bits describe the position exactly.

# %%
pool = layers.MaxPool2d()
pooled = pool.forward(features)
back = layers.MaxUnpool2d(pool).forward(pooled)
assert np.array_equal(back[back != 0], features[back != 0])
print(f"{(back != 0).mean():.0%} of the numbers are restored, bit for bit, at their positions")

# %% [markdown]
# The other three numbers of each window are lost. Passing whole feature maps would preserve these numbers. The paper
# adds these maps in SegNet-Basic-EncoderAddition and gets mIoU 48.5 instead of 47.7 on CamVid's test pictures, with
# median-frequency balancing (Table 1). This difference of 0.8 is the slight loss.
#
# ### "The decoder upsamples by transposed convolutions" (A)

# %%
for name in ("vgg16", "basic", "tiny", "article"):
    kinds = [type(layer).__name__ for layer in ts.build(name, width=1 / 16).layers.values()]
    print(f"{name:<8}", {kind: kinds.count(kind) for kind in ("MaxUnpool2d", "ConvTranspose2d", "Upsample")})

# %% [markdown]
# **Wrong.** A SegNet has unpools and ordinary convolutions. (`article` is A's own program, built from this library's
# layers.) The transposed convolutions of `article` do not upsample either. With stride 1, a transposed convolution is a
# convolution with the kernel rotated by 180 degrees and its channel axes exchanged (lesson 02):

# %%
x, weight = rng.standard_normal((1, 6, 5, 4)), rng.standard_normal((3, 3, 2, 4))  # weight (K, K, out, in)
transposed, _ = ops.conv_transpose2d_forward(x, weight, stride=1)
ordinary, _ = ops.conv2d_forward(x, weight[::-1, ::-1].swapaxes(2, 3))
print(f"shape {transposed.shape}, largest difference {np.abs(transposed - ordinary).max():.1e}")

# %% [markdown]
# ### "The encoder is not trainable" (B)
#
# B argues that VGG16's weights are already good, so they are not trained further. First, do gradients reach the
# encoder? Run one backward pass with all layers trainable and one with a frozen encoder:

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
# The gradients reach the encoder through all unpools. Freezing the encoder is therefore a choice. The paper trains
# SegNet end to end, and the published settings give every layer's weights the same learning rate. To measure the effect
# of this choice, train the same network on the same scenes with and without a frozen encoder. No VGG16 file is
# available here, so both begin from random weights. (Pictures this small gain nothing from a second thread, so the next
# cells use one.)

# %% tags=["parameters"] fast="EPOCHS, STREETS, OTHERS = 1, 16, 4"
EPOCHS, STREETS, OTHERS = 8, 120, 40  # epochs, training scenes, test scenes

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
    print(f"frozen {frozen!s:<5}  encoder2's kernel changed by {moved:.0%}   G {scores.G:.3f}   mIoU {scores.mIoU:.3f}")
ts.runtime.set_threads(threads)

# %% [markdown]
# **Wrong.** The encoder is trained, in the paper and here. Its weights change considerably, and even in this short
# training run the network performs better with a trained encoder, in G and in mIoU (the mean overlap of prediction and
# ground truth, lesson 10). Random weights cannot show how well a frozen encoder works if it was trained on photographs;
# lesson 14 loads weights of this kind.
#
# ### "A generative model" (A)
#
# A generative model describes how data are generated. It defines a probability density of the picture, $p(x)$ or
# $p(x, y)$, so it can say how likely a picture is and draw new pictures. A SegNet computes
#
# $$p(y_{uv} = k \mid x) = \text{softmax}(\text{logits}_{uv})_k$$
#
# for the label $y_{uv}$ of every pixel $(u, v)$, *given* the picture $x$:

# %%
x = street.image[None].astype(np.float32)
probs, _ = ops.softmax_forward(ready.forward(x))
print("one output for one picture:", np.array_equal(ready.forward(x), ready.forward(x)))
print("sum over the classes of a pixel:", probs.sum(-1).min().round(5), "to", probs.sum(-1).max().round(5))
print("shape", probs.shape, "for a picture", x.shape)

# %% [markdown]
# For every picture, the class probabilities of each pixel sum to 1. Nothing is normalised over pictures, and there is
# no random variable to draw from. Now give the network pure noise:

# %%
static = rng.uniform(0, 255, x.shape).astype(np.float32)
for name, picture in (("street", x), ("noise", static)):
    probs, _ = ops.softmax_forward(ready.forward(picture))
    print(f"{name:<7} mean probability of the winning class {probs.max(-1).mean():.2f}")

# %% [markdown]
# The network also labels noise, with almost as much confidence. The network cannot say whether its input is a street
# scene.
#
# A very simple generative model is a normal distribution of colours for each class, $p(\text{colour} \mid k)$,
# estimated from the training scenes.

# %%
colors = np.concatenate([sample.image.reshape(-1, 3) for sample in train.samples]).astype(float)
classes = np.concatenate([sample.labels.ravel() for sample in train.samples])
means = np.stack([colors[classes == k].mean(0) for k in range(11)])
spreads = np.stack([np.cov(colors[classes == k].T) for k in range(11)])
share = np.bincount(classes[classes < 11], minlength=11) / (classes < 11).sum()


def log_density(colors):
    """Return log p(colour) for colours (pixels, 3), with p summed over the classes."""
    away = colors[:, None] - means
    distance = np.einsum("nki,kij,nkj->nk", away, np.linalg.inv(spreads), away)
    density = np.exp(-distance / 2) / np.sqrt((2 * np.pi) ** 3 * np.linalg.det(spreads))
    return np.log(density @ share)


# %% [markdown]
# This model is much worse at segmentation, but it is generative. Its density distinguishes noise from a street scene.
# It can also draw a picture: for a given label map, it draws a colour for each pixel.

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
# On the left are a scene and its labels. On the right is a picture drawn from the model for the same labels; it is
# coloured noise within each class. A SegNet cannot draw even such a picture. **Wrong**: SegNet is a *discriminative*
# model, because it predicts labels for a given picture.
#
# ### The formulas of A
#
# A writes the encoder as $X^{[l]} = f(W^{[l]} * X^{[l-1]} + b^{[l]})$ with ReLU for $f$, then
# $Y^{[l]} = \text{pool}(X^{[l]})$, and the decoder as $X^{[l]} = f(W^{[l]} * Y^{[l-1]} + b^{[l]})$. The next cell
# follows the shapes through these formulas, with "same" convolutions:

# %%
H, W = 360, 480
for step in ("conv", "pool", "conv", "pool", "decoder conv", "decoder conv"):
    H, W = ops.max_pool2d_output_size((H, W)) if step == "pool" else (H, W)
    print(f"{step:<13} {H}x{W}")

# %% [markdown]
# With these formulas, the size never increases again. The formulas are **incomplete**. They lack (1) the second result
# of the pool, the indices; (2) unpooling, which uses the indices and is SegNet's main idea; (3) batch norm; and (4) a
# last layer without ReLU, because a logit may be negative.
#
# The order within a stage also matters: convolution, batch norm, ReLU, pool (section 3). Exchanging ReLU and pool does
# not change the result, but other exchanges do:

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
# ReLU is a non-decreasing function, so the maximum stays the maximum, and pooling first gives the same numbers. (The
# indices can differ, because after ReLU a window may contain only zeros, a tie.) Batch norm computes its mean and
# variance from its input, and a negative $\gamma$ reverses the order of the numbers. Exchanging batch norm with ReLU or
# with the pool gives a different network.
#
# ### The program of A
#
# A's program has no indices and no batch norm. It has one class with a sigmoid and accepts only pictures whose sides
# are multiples of four:

# %%
article = ts.build("article", num_classes=1)
by_hand = 9 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 128 + 128 * 64) + 64 + (64 + 128 + 256 + 128 + 64 + 1)
assert article.num_parameters == by_hand
print(f"{by_hand:,} parameters")
print("bytes that the encoder passes to the decoder at 128x128:", article.summary((128, 128)).total("skip_bytes"))
try:
    article.forward(np.zeros((1, 45, 60, 3), np.float32))
except ts.errors.ShapeError as error:
    print(error)
figures.show_network(article, (128, 128))

# %% [markdown]
# There is no green line: nothing bypasses the bottleneck. The position of each maximum is lost, and repeating pixels
# cannot restore it. Does the network work nevertheless? Train it and `tiny`, both at half their width, to find the
# road. BF measures how well outlines agree (lesson 10).

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
# `article` learns the task. A's program builds a usable encoder-decoder network, but **not a SegNet**. Here `tiny` has
# fewer parameters and finds the outlines better. But this is one short training run with one seed, and the two networks
# also differ in batch norm, depth and the scaling of the input. Lesson 05 changes only the upsampling.
#
# ### "Strong results at low computational cost" (A)

# %%
for name in ("vgg16", "basic", "tiny"):
    rows = ts.build(name).summary((360, 480)).rows
    encoder = sum(row.multiply_adds for row in rows if row.name.startswith("encoder")) / 1e9
    total = sum(row.multiply_adds for row in rows) / 1e9
    crossing = sum(row.skip_bytes for row in rows) / 1e6
    print(f"{name:<6} {total:6.1f} G multiply-adds, {encoder:5.1f} G in the encoder; {crossing:.2f} MB of indices")

# %% [markdown]
# **Half right.** SegNet saves memory, not computation. `vgg16` needs 107 billion multiply-adds per picture, more than
# half of them in the decoder. In the paper's own Table 6, a forward pass takes 422 ms, compared with 317 ms for FCN and
# 110 ms for DeepLab-LargeFOV. But SegNet needs only 1052 MB in inference, while FCN needs 1806 MB and DeepLab-LargeFOV
# needs 1993 MB.
#
# ### What both get right
#
# A tells its readers to compare the sizes of picture, label map and prediction, to verify the colours of the classes,
# and to begin with one simple example. Lesson 00 contains these checks too. B explains well why pooling blurs outlines,
# and why positions must be saved before they are lost.
#
# ## What a SegNet is not
#
# Other networks pass whole feature maps to the decoder. U-Net concatenates the encoder's maps with the decoder's; FCN
# reduces the encoder's maps to class scores and adds these scores. SegNet passes only positions. The paper compares
# several decoders with the same encoder (Table 1). The next cell computes how much data the encoder passes to each
# decoder at 360x480:

# %%
names = ("basic", "basic-encoder-addition", "fcn-basic", "fcn-basic-no-dim-reduction", "replication")
for name in names:
    summary = ts.build(name, num_classes=11).summary((360, 480))
    print(f"{name:<27} {summary.total('skip_bytes') / 1e6:6.2f} MB   {summary.kernels:>9,} kernel weights")

# %%
figures.show_network(ts.build("basic-encoder-addition"), (360, 480))

# %% [markdown]
# The thick lines are feature maps. Each takes sixteen times as much memory as the indices of the same pool (11.06 MB
# and 0.69 MB at the first pool).
#
# ## What to remember
#
# * A SegNet is a simple chain of layers. Each pool passes its indices and its input size to the matching unpool. The
#   last pool is the first to be undone.
# * Backward is the same line in reverse. No gradient flows back along the indices. `check_model` checks the whole
#   network. If it fails, the wrong tensor nearest the output is the last parameter before the broken layer.
# * VGG16's convolutions have 14.7 M parameters; with two of its three fully connected layers, they have 134 M. A SegNet
#   has 29.4 M.
# * Most parameters are in the middle of a SegNet and most memory is at its ends, while the computation is spread more
#   evenly.
# * Indices cost two bits per window, a sixteenth of the pooled map in float32.
# * A number at SegNet-Basic's bottleneck can see 106x106 pixels, but it depends mainly on a smaller area.
# * SegNet is trained end to end, is discriminative, and upsamples by unpooling, not by transposed convolution.
# * Before you believe a number in a summary, compute it yourself.
