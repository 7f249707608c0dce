# %% [markdown]
# # 07 Building SegNet
#
# **The question.** How do the parts of lessons 01 to 06 become a network, and what does it cost in parameters, memory
# and computation?
#
# **At the end** you can
#
# * build a SegNet and check its gradient;
# * explain why 360 rows become 23 and then 360 again;
# * compute its parameters, the memory of its indices, its receptive fields and its computation.
#
# **Prerequisites:** lessons 01 to 06. Section and table numbers refer to Badrinarayanan, Kendall and Cipolla 2017
# (arXiv:1511.00561).

# %%
import numpy as np

import tinysegnet as ts
from tinysegnet import layers, ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import Network, segnet
from tinysegnet_lessons import figures, fragments, grader
from tinysegnet_lessons.bugs import bugs

# %% [markdown]
# ## Two pools, two unpools
#
# Begin without convolutions: two pooling layers (*pools*), and two unpooling layers (*unpools*), which restore the
# size. A layer object is an op with its parameters. A `MaxUnpool2d` gets the pool whose indices it uses.

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
# The last pool is undone first, so pools and unpools are nested like brackets.
#
# ## The formula
#
# Let $C$ be a convolution with batch norm and ReLU, $P$ a pool, and $U$ an unpool. A pool has two results, $(p, i) =
# P(a)$: the pooled map and the indices. A SegNet with two stages is
#
# $$
# \begin{aligned}
# (p_1, i_1) &= P(C_1(x)), & (p_2, i_2) &= P(C_2(p_1)) && \text{encoder}\\
# d_2 &= C_3\big(U(p_2;\ i_2)\big), & d_1 &= C_4\big(U(d_2;\ i_1)\big) && \text{decoder}\\
# \text{logits} &= W * d_1 + b && && \text{classifier}
# \end{aligned}
# $$
#
# (section 3). The classifier is a convolution alone, with one output channel per class. Only $i_1$ and $i_2$ bypass the
# *bottleneck*, the smallest map $p_2$.

# %% [markdown]
# ## Piece by piece
#
# Build this network in float64, so that its gradient can be checked:

# %%
numbers = {"rng": np.random.default_rng(0), "dtype": np.float64}


def conv_norm_relu(in_channels, out_channels):
    """Make a convolution without bias (batch norm has its own shift), a batch norm and a ReLU."""
    convolution = layers.Conv2d(in_channels, out_channels, 3, bias=False, **numbers)
    return {"conv1": convolution, "bn1": layers.BatchNorm2d(out_channels, dtype=np.float64), "relu1": layers.ReLU()}


encoder1 = {**conv_norm_relu(3, 8), "pool": layers.MaxPool2d()}
encoder2 = {**conv_norm_relu(8, 16), "pool": layers.MaxPool2d()}
decoder2 = {"unpool": layers.MaxUnpool2d(encoder2["pool"]), **conv_norm_relu(16, 8)}
decoder1 = {"unpool": layers.MaxUnpool2d(encoder1["pool"]), **conv_norm_relu(8, 8)}
classifier = layers.Conv2d(8, 11, 3, **numbers)

# %% [markdown]
# The first layer scales 0..255 to about -2..2:

# %%
line = {"input": layers.Normalize(127.5, 64, dtype=np.float64)}
stages = {"encoder1": encoder1, "encoder2": encoder2, "decoder2": decoder2, "decoder1": decoder1}
for stage, parts in stages.items():
    line |= {f"{stage}.{part}": layer for part, layer in parts.items()}
line["classifier"] = classifier
print(*line, sep="\n")

# %% [markdown]
# ### Warm-up: forward
#
# Write `my_run_forward(line, x)`. `line` is a dictionary of layers, as above. Run the layers in order, each on the
# output of the layer before it, and return the last output. Call `layer.forward(..., training=True)`, which keeps what
# backward needs.


# %%
def my_run_forward(line, x):
    ### BEGIN SOLUTION
    for layer in line.values():
        x = layer.forward(x, training=True)
    return x
    ### END SOLUTION


# %%
my_run_forward = grader.grade("run_forward", my_run_forward)

# %% [markdown]
# These pictures have odd sizes, 9x13 pixels:

# %%
rng = np.random.default_rng(1)
pictures = rng.uniform(0, 255, (2, 9, 13, 3))
for end, name in enumerate(line, start=1):
    print(f"{name:<16} {my_run_forward(dict(list(line.items())[:end]), pictures).shape}")

# %% [markdown]
# ### Exercise 1: backward
#
# The `dx` of each layer is the `dout` of the layer before it. Write `my_run_backward(line, x, dout)`. Run forward, then
# backward from `dout`, the gradient of the last output. `layer.backward(dout)` returns `dx` and fills the dictionary
# `layer.grads`. Return `dx`, the gradient of `x`, and a list of the norms (`np.linalg.norm`) of all gradients in
# `layer.grads`, in the order of the line.


# %%
def my_run_backward(line, x, dout):
    ### BEGIN SOLUTION
    for layer in line.values():
        x = layer.forward(x, training=True)
    for layer in reversed(line.values()):
        dout = layer.backward(dout)
    norms = [np.linalg.norm(gradient) for layer in line.values() for gradient in layer.grads.values()]
    return dout, norms
    ### END SOLUTION


# %%
my_run_backward = grader.grade("run_backward", my_run_backward)

# %%
dout = rng.standard_normal((2, 9, 13, 11))
dx, norms = my_run_backward(line, pictures, dout)
print("gradient of the pictures", np.shape(dx))
tensors = [f"{name}.{tensor}" for name, layer in line.items() for tensor in layer.params]
for name, norm in zip(tensors, norms, strict=True):
    print(f"{name:<24} {norm:10.3f}")

# %% [markdown]
# `Network` combines these two loops in one object:

# %% tags=["map"]
net = Network(line, {"name": "two_stages", "num_classes": 11})
assert np.allclose(net.forward(pictures, training=True), my_run_forward(line, pictures))
figures.show_network(net, (9, 13))

# %% [markdown]
# Larger maps have taller bars, and more channels have wider bars. The green lines are the indices.
#
# **What if an unpool gets the wrong pool?**

# %%
wrong = dict(line)
wrong["decoder2.unpool"] = layers.MaxUnpool2d(encoder1["pool"])
try:
    Network(wrong, net.config).forward(pictures)
except ts.errors.ShapeError as error:
    print(error)

# %% [markdown]
# ## The library's networks
#
# The library builds a SegNet from a list of its convolutions' channels, stage by stage. (Lesson 11 explains `add` and
# `reduce`.)

# %%
figures.show_source(segnet.SegNetConfig.layers)

# %%
ours = segnet.SegNetConfig(encoder=((8,), (16,)), decoder=((8,), (8,)), bias=False)
builder = segnet.LayerBuilder(np.random.default_rng(0), np.float64, "scaled")
assert list(ours.layers(11, builder)) == list(line)
print("the same", len(line), "layers")

# %% [markdown]
# `ts.build` builds a network by name. `basic` is SegNet-Basic, the paper's small network. `vgg16` is SegNet itself; its
# encoder has the 13 convolutions of VGG16, a classifier of photographs.

# %%
for name in ("tiny", "basic", "vgg16"):
    kinds = [(layer_name[:7], type(layer).__name__) for layer_name, layer in ts.build(name).layers.items()]
    for part in ("encoder", "decoder"):
        print(f"{name:<6} {part}", {kind: kinds.count((part, kind)) for kind in ("Conv2d", "BatchNorm2d", "ReLU")})

# %% [markdown]
# **The decoder of SegNet-Basic has no ReLU** (section 3.1). SegNet's decoder has ReLUs, and its thirteenth convolution
# is the classifier.

# %%
vgg16 = ts.build("vgg16")
figures.show_network(vgg16, (360, 480))

# %% [markdown]
# ## Odd sizes
#
# SegNet-Basic has four pools. Three of them halve 360 rows to 45. The fourth gives 23, because the last row gets its
# own window (lesson 05). If all four unpools doubled the size instead of restoring it, how many rows would the last map
# have?

# %%
prediction = ...  # a number of rows
grader.predict("rows_after_doubling", prediction)

# %% [markdown]
# ### Exercise 2: the shapes
#
# Write `my_segnet_shapes(H, W, encoder, decoder)`. `encoder` lists the output channels of each encoder stage, and
# `decoder` those of each decoder stage, beginning at the bottleneck. Return an array with one row (height, width,
# channels) per stage: after each pool, then after each decoder stage.


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

# %%
rows = my_segnet_shapes(360, 480, (64,) * 4, (64,) * 4)
H, W = rows[3][:2]
for stage, row in zip(("pool 1", "pool 2", "pool 3", "pool 4", "unpool 4", "unpool 3", "unpool 2", "unpool 1"), rows,
                      strict=True):  # fmt: skip
    H, W = (2 * H, 2 * W) if stage.startswith("un") else (H, W)
    print(f"{stage}: {row[0]:>3} x {row[1]:<3}", f"  doubled: {H} x {W}" if stage.startswith("un") else "")
tiny = ts.build("tiny")
for size in ((45, 61), (17, 1), (1, 1)):
    assert tiny.forward(np.zeros((1, *size, 3), np.float32)).shape == (1, *size, 11)

# %% [markdown]
# ## Backward through the whole chain
#
# Let $a_k = f_k(a_{k-1})$ be the outputs of the layers $k = 1, \dots, L$, with $a_0 = x$ and the parameters $w_k$. The
# loss $J$ depends on the logits $a_L$. Your loop applies the chain rule for $k = L, \dots, 1$:
#
# $$\frac{\partial J}{\partial a_{k-1}} = \Big(\frac{\partial f_k}{\partial a_{k-1}}\Big)^{\!\top}
# \frac{\partial J}{\partial a_k} \qquad \frac{\partial J}{\partial w_k} =
# \Big(\frac{\partial f_k}{\partial w_k}\Big)^{\!\top} \frac{\partial J}{\partial a_k}$$
#
# **Does a gradient flow back along the green lines?** A small change of the picture does not change an index, so its
# derivative is 0 and no gradient flows back. (At a tie an index jumps and has no derivative; see lesson 03.)
#
# A pool and its own unpool keep one pixel of each window. Backward keeps the gradient at the same place:

# %%
pool, unpool = skeleton[0], skeleton[3]
dout = np.arange(1.0, 17).reshape(1, 4, 4, 1)
dx, _ = my_run_backward({"pool": pool, "unpool": unpool}, maps[0], dout)
figures.show_arrays([("x", x), ("dout", dout[0, :, :, 0]), ("dx", dx[0, :, :, 0])])

# %% [markdown]
# ### Exercise 3: a SegNet's backward, op by op
#
# The smallest SegNet is convolution, pool, unpool, convolution. Write `my_mini_segnet_backward(x, weight1, weight2,
# dout)` with the functions of `ops` from lessons 01, 02 and 05: run forward, keep the caches, and run backward. `x` is
# (N, H, W, C), `weight1` (3, 3, C, F), `weight2` (3, 3, F, K), `dout` (N, H, W, K). There are no biases. Return `dx,
# dweight1, dweight2`. H and W may be odd, so pass `output_size` to the unpool.


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
# `ts.gradcheck.check_model` compares all gradients with central differences. "crossed" counts the steps that crossed
# the kink of a ReLU or changed an index.

# %%
report = ts.gradcheck.check_model(net, size=(9, 13))
assert report.ok
report

# %% [markdown]
# Now plant a bug: the backward of `decoder2.unpool` ignores the indices and reads the top left pixel of each window.
# Which tensors' gradients are then wrong? (a) the parameters of `decoder2`, (b) the pictures and all parameters of the
# encoder, (c) the parameters of both decoder stages and the classifier

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("tensors_behind_a_bug", prediction)

# %%
bug = bugs["unpool_fixed_corner"]
net.layers["decoder2.unpool"]._backward = lambda dout, cache, *_: bug.backward(dout, cache)
report = ts.gradcheck.check_model(net, size=(9, 13), directions=1, entries=1)
del net.layers["decoder2.unpool"]._backward  # restore the right backward
for tensor in report.tensors:
    print(f"{'ok' if tensor.ok else 'WRONG':<7} {tensor.name}")

# %% [markdown]
# The wrong tensor nearest the output is the last parameter before the broken layer.
#
# ## Inference without batch norm
#
# In inference, the statistics $\mu$ and $\sigma^2$ of a batch norm are fixed, so it only scales and shifts each
# channel. The convolution before it can absorb both:
#
# $$\gamma\,\frac{(W * x + b) - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta
# \;=\; \underbrace{\frac{\gamma}{\sqrt{\sigma^2 + \varepsilon}}}_{s}\,(W * x) \;+\;
# \underbrace{\beta + s\,(b - \mu)}_{b'}$$

# %%
figures.show_source(layers.Conv2d.absorb)

# %%
ready = ts.load_bundled("toy")  # a trained network
x = ToyScenes(1, seed=5)[0].image[None].astype(np.float32)
layer_by_layer = x
for layer in ready.layers.values():
    layer_by_layer = layer.forward(layer_by_layer)
gap = np.abs(layer_by_layer - ready.forward(x)).max()
print(f"largest logit {np.abs(layer_by_layer).max():.1f}, largest difference {gap:.1e}")
assert gap < 1e-3

# %% [markdown]
# In inference `net.forward` uses these absorbed parameters, and the logits are the same up to rounding.
#
# ## Parameters, kernel by kernel
#
# A convolution with kernel size $K$ from $C$ to $F$ channels has $K \cdot K \cdot C \cdot F$ weights and, optionally,
# $F$ biases. A batch norm after it has $2F$ parameters, $\gamma$ and $\beta$.
#
# ### Exercise 4: a stack
#
# Write `my_stack_parameters(in_channels, widths, kernel_size)` for a chain of convolutions with biases, each followed
# by a batch norm. `widths` lists their output channels. Return three integers: the numbers of weights, of biases, and
# of batch-norm parameters.


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
# VGG16 has thirteen 3x3 convolutions and then three fully connected layers, that is, matrices, which turn the last
# feature map, 7x7 pixels with 512 channels, into 1000 classes.

# %%
widths = [width for stage in segnet.vgg16().encoder for width in stage]
weights, biases, _ = my_stack_parameters(3, widths, 3)
total = convolutions = weights + biases
print(f"{len(widths)} convolutions {convolutions:>11,}")
for name, inputs, outputs in (("fc6", 7 * 7 * 512, 4096), ("fc7", 4096, 4096), ("fc8", 4096, 1000)):
    count = inputs * outputs + outputs
    total += count
    print(f"{name}   {inputs:>6} x {outputs} + {outputs} = {count:>11,}   so far {total:>11,}")
assert (convolutions, total, total - count) == (14_714_688, 138_357_544, 134_260_544)

# %% [markdown]
# Section 3 says "from 134M to 14.7M". **14.7 million counts the convolutions. 134 million also includes `fc6` and
# `fc7`, but not `fc8`.** The whole SegNet has more than 14.7 million:

# %%
counts = {"encoder": 0, "decoder": 0, "classifier": 0, "biases": 0, "batch norm": 0}
for name, array in vgg16.named_parameters():
    kind = name.rpartition(".")[2]
    part = {"bias": "biases", "gamma": "batch norm", "beta": "batch norm"}.get(kind, name[:7])
    counts[part if part in counts else "classifier"] += array.size
for part, count in counts.items():
    print(f"{part:<11} {count:>11,}")
print(f"{'all':<11} {sum(counts.values()):>11,}, {sum(counts.values()) * 4 / 1e6:.0f} MB in float32")
assert sum(counts.values()) == vgg16.num_parameters == 29_449_355

# %% [markdown]
# ## Memory
#
# Training keeps the maps that backward needs, here for one picture of 360x480:

# %%
summary = vgg16.summary((360, 480))
weights = summary.total("parameters") * 4
print(f"weights, gradients, momentum  {3 * weights / 1e6:6.1f} MB")
print(f"maps kept for backward        {summary.total('kept') / 1e6:6.1f} MB")
print(f"pool indices                  {summary.total('indices') / 1e6:6.1f} MB")

# %% [markdown]
# Inference needs only the indices and the current map. An index is one of four positions in a 2x2 window, so it takes
# two bits (section 3), and four channels share one byte:

# %%
pool, tape = layers.MaxPool2d(), layers.Tape()  # a tape records what later calls need, such as indices
features = rng.standard_normal((1, 180, 240, 64)).astype(np.float32)
pooled, indices = pool.forward(features, tape), tape.indices[pool]
print(f"map after the pool  {pooled.nbytes:>10,} bytes")
print(f"indices             {indices.nbytes:>10,} bytes, {indices.dtype} {indices.shape}")
print(f"ratio               1/{pooled.nbytes // indices.nbytes}")

# %% [markdown]
# ### Exercise 5: the size of the indices
#
# Write `my_index_bytes(H, W, C)`. Return the number of bytes of the indices of a 2x2 pool on a map (H, W, C). Sizes are
# rounded up (45 rows give 23). The channels of one window fill whole bytes: 3 take one byte, and 5 take two.


# %%
def my_index_bytes(H, W, C):
    ### BEGIN SOLUTION
    windows = ((H + 1) // 2) * ((W + 1) // 2)
    return windows * ((C + 3) // 4)
    ### END SOLUTION


# %%
my_index_bytes = grader.grade("index_bytes", my_index_bytes)

# %% [markdown]
# Section 3.1 gives 11 MB for SegNet-Basic's first pooled maps at 360x480, and 0.17 MB for their indices.

# %%
print(f"64 maps at 180x240, float32  {180 * 240 * 64 * 4 / 1e6:6.2f} MB")
print(f"indices of the first pool    {my_index_bytes(360, 480, 64) / 1e6:6.2f} MB")
print(f"indices of the second pool   {my_index_bytes(180, 240, 64) / 1e6:6.2f} MB")

# %% [markdown]
# But 0.17 MB belongs to the *second* pool. The saving is a factor of 16; Table 1 states 64.
#
# ## Receptive fields
#
# Lesson 01 computes the size $r$ of a receptive field with the distance $d$ of two neighbours in a map, in input
# pixels. The decoder needs a third rule:
#
# * A convolution with kernel size $K$ combines $K$ neighbours: $r \leftarrow r + (K-1)\,d$.
# * A pool combines two neighbours, $r \leftarrow r + d$, and then doubles the distance, $d \leftarrow 2d$.
# * An unpool puts values back on the finer grid, $d \leftarrow d/2$. $r$ stays the same.
#
# ### Exercise 6: receptive fields along a line
#
# Write `my_fields_of_a_line(line)`. Here a line is a tuple of pairs: `("conv", K)`, `("pool", 2)`, `("unpool", 2)`.
# Return the list of the sizes $r$ after each pair. Begin with $r = d = 1$.


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


# %%
def line_of(network):
    kinds = {layers.Conv2d: "conv", layers.MaxPool2d: "pool", layers.MaxUnpool2d: "unpool"}
    return tuple((kinds[type(layer)], layer.params["weight"].shape[0] if layer.params else 2)
                 for layer in network.layers.values() if type(layer) in kinds)  # fmt: skip


for name in ("tiny", "basic", "vgg16"):
    pairs = line_of(ts.build(name, width=1 / 16))
    fields, last_pool = my_fields_of_a_line(pairs), pairs.index(("unpool", 2)) - 1
    print(f"{name:<6} at the last pool {fields[last_pool]:>3}, at the logits {fields[-1]:>3}")
    assert name != "basic" or fields[last_pool] == 106

# %% [markdown]
# Section 3.1 also gives 106 pixels. To test it, replace everything outside the field of one pixel of the last pool with
# noise. This pixel must not change.

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

# %%
larger = ToyScenes(1, seed=5, size=(240, 320))[0]
figures.show_receptive_field(larger.image, ts.build("basic", width=1 / 8), "encoder4.pool", (7, 10))

# %% [markdown]
# On the left is what one number at the bottleneck *can* see, on the right what it *does* use: the brighter a pixel, the
# larger the gradient.
#
# Build a SegNet with sliders. Before you move one, predict which of the six numbers will change. Which setting changes
# the memory, but neither the parameters nor the field at the bottleneck?

# %%
fragments.show("network")

# %% [markdown]
# ## Computation
#
# A convolution with $H \times W$ output pixels needs $H \cdot W \cdot K^2 \cdot C \cdot F$ multiply-adds, because each
# output pixel uses each weight once. Which convolution of SegNet-Basic needs the most? (a) the first of the encoder,
# (b) the last of the encoder, (c) the last of the decoder, before the classifier

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("costliest_layer", prediction)

# %%
rows = [row for row in ts.build("basic").summary((360, 480)).rows if row.multiply_adds]
total = sum(row.multiply_adds for row in rows)
for row in rows:
    share = row.multiply_adds / total
    print(f"{row.name:<15} {row.multiply_adds / 1e9:6.2f} G   {share:6.1%}")
print(f"{'SegNet-Basic':<15} {total / 1e9:6.2f} G")

# %% [markdown]
# In SegNet, the work is spread more evenly, because most stages have twice the channels of the stage before:

# %%
figures.show_costs(vgg16, (360, 480))

# %% [markdown]
# ### Challenge: a large field from few parameters
#
# Write `my_frugal_segnet()`. Return a dictionary of layers in float32, from the picture to 11 logits per pixel. Use
# only `Normalize`, `Conv2d` with stride 1 and at least 8 output channels, `BatchNorm2d`, `ReLU`, and at most four 2x2
# pools with their unpools. The field of each logit must be at least 106 pixels. The grader counts the parameters.
# SegNet-Basic with 8 channels has:

# %%
print(f"{ts.build('basic', width=1 / 8).num_parameters:,} parameters")


# %%
def my_frugal_segnet():
    ### BEGIN SOLUTION
    rng = np.random.default_rng(0)
    pools = [layers.MaxPool2d() for _ in range(4)]
    chain = {"input": layers.Normalize(127.5, 64), "widen": layers.Conv2d(3, 8, 1, bias=False, rng=rng)}
    chain |= {f"pool{number}": pool for number, pool in enumerate(pools)}
    for number in range(3):  # a kernel enlarges the field most where the jump is largest, at the bottleneck
        chain[f"conv{number}"] = layers.Conv2d(8, 8, 3, bias=False, rng=rng)
        chain[f"relu{number}"] = layers.ReLU()
    chain |= {f"unpool{number}": layers.MaxUnpool2d(pools[number]) for number in (3, 2, 1, 0)}
    return chain | {"classifier": layers.Conv2d(8, 11, 1, bias=False, rng=rng)}
    ### END SOLUTION


# %%
my_frugal_segnet = grader.grade("frugal_segnet", my_frugal_segnet)

# %%
figures.show_network(Network(my_frugal_segnet(), {"name": "frugal", "num_classes": 11}), (90, 120))

# %% [markdown]
# ## What to remember
#
# * Each pool of a SegNet passes its indices and its input size to the matching unpool.
# * Backward runs the layers in reverse. No gradient flows back along the indices.
# * If `check_model` fails, look at the layer after the wrong tensor that is nearest the output.
# * Indices cost two bits per window, a sixteenth of the pooled map in float32.
# * A number at SegNet-Basic's bottleneck can see 106x106 pixels, but it uses mainly the middle.
#
# Appendix 07a tests two published summaries of SegNet.
#
# ## Read next
#
# * V. Badrinarayanan, A. Kendall and R. Cipolla (2017), "SegNet: A Deep Convolutional Encoder-Decoder Architecture for
#   Image Segmentation": section 3 explains the network that you have built.
# * K. Simonyan and A. Zisserman (2015), "Very Deep Convolutional Networks for Large-Scale Image Recognition": why
#   SegNet's encoder stacks 3x3 kernels.
# * W. Luo, Y. Li, R. Urtasun and R. Zemel (2016), "Understanding the Effective Receptive Field in Deep Convolutional
#   Neural Networks": why the middle of a receptive field counts most.
