# %% [markdown]
# # 11 The paper's decoders at small scale
#
# **The question.** An encoder has reduced a picture to small maps. A decoder enlarges these maps again. Which decoder
# should you choose, what does it cost, and what does it gain?
#
# **At the end** you can say how many bytes ten networks pass from encoder to decoder. You can derive the gradient of
# feature maps that are read twice, and tell differences from ties in a table of scores. You can also say what a
# comparison of decoders varies besides the decoder.
#
# **Prerequisites:** lessons 05 (unpooling), 07 (the network), 08 (training) and 10 (scores).
#
# Badrinarayanan et al. 2017 compare eight decoders in Table 1 and section 3.3, and mention two more in section 3.1. The
# authors published no code for the comparison. The library implements all ten, and this lesson analyses a study of
# them.

# %%
import csv
import time
from pathlib import Path

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, metrics, ops
from tinysegnet.data import CAMVID, labelled_images
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import decoders, segnet
from tinysegnet.ops import upsample
from tinysegnet_lessons import figures, grader

ts.runtime.set_threads(1)  # the arrays of this lesson are too small to gain from two threads

# %% [markdown]
# ## Five ways to upsample
#
# A pool has reduced sixteen numbers to four. Other layers have processed these numbers; call the result `z`. How can
# 2x2 numbers become 4x4 again? The library has five layers for this. Each layer gets the pool as an argument, for its
# output size or its indices.

# %%
x_small = np.array([[1.0, 6, 2, 0], [5, 3, 1, 4], [0, 2, 7, 8], [9, 1, 3, 5]])
z_small = np.array([[16.0, 0], [-16, 32]])
halve = layers.MaxPool2d()
pooled = halve.forward(x_small[None, :, :, None])
transposed = layers.ConvTranspose2d(1, 1, 8, stride=2, bias=False, pool=halve, bilinear=True,
                                    rng=np.random.default_rng(0), dtype=np.float64)  # fmt: skip
ways = {"indices": layers.MaxUnpool2d(halve), "fixed": layers.FixedUnpool2d(halve),
        "replication": layers.Upsample("nearest", pool=halve), "bilinear": layers.Upsample("bilinear", pool=halve),
        "transposed": transposed}  # fmt: skip
figures.show_arrays([("x", x_small), ("pooled", pooled[0, :, :, 0]), ("z", z_small)])

# %% [markdown]
# `z` has only its size in common with the pooled map. The next cell upsamples `z`:

# %%
ups = {name: way.forward(z_small[None, :, :, None], training=True)[0, :, :, 0] for name, way in ways.items()}
figures.show_arrays([(name, up.round(1)) for name, up in ups.items()])

# %% [markdown]
# *indices* puts each number where the pool found its maximum; *fixed* always uses the top left pixel of
# each window. *Replication* repeats each number, and *bilinear* interpolates between neighbours. A *transposed
# convolution* spreads each number with a kernel. Here the kernel is the initial one, a wide bilinear kernel; training
# changes it. The kernel is eight pixels wide, so its border covers the whole 4x4 map, and the values fade.
#
# Only *indices* needs more than a size from the encoder: two bits per window are passed across to the decoder.

# %% [markdown]
# ## The maps themselves can be passed across
#
# A decoder stage can return maps of the same size as an encoder's pool, so the two can be added. Let `x` above be an
# encoder map that a pool returned:

# %%
sum_small = ups["bilinear"] + x_small
figures.show_arrays([("from below", ups["bilinear"]), "+", ("x, from the encoder", x_small), "=", ("out", sum_small)],
                decimals=0)  # fmt: skip

# %% [markdown]
# The sum contains every number of the encoder's map, not only the positions of the maxima. The price is
# passing the whole map, 32 bits per pixel and channel.
#
# A cheaper way is to reduce the 64 channels of every pixel to one channel per class with a 1x1 convolution, and to pass
# the reduced maps across. This example reduces two channels to one:

# %%
one, two = np.array([[4.0, 0], [2, 6]]), np.array([[1.0, 3], [0, 2]])
weight = np.array([0.5, -1.0]).reshape(1, 1, 2, 1)
reduced, _ = ops.conv2d_forward(np.stack([one, two], -1)[None], weight)
assert np.array_equal(reduced[0, :, :, 0], 0.5 * one - two)
figures.show_arrays([("channel 0", one), ("channel 1", two), ("0.5, -1: crosses", reduced[0, :, :, 0])])

# %% [markdown]
# ## The formula
#
# Let $p_s$ be the maps that pool $s$ returns, and $i_s$ its indices, $s = 1 \dots 4$. The decoder's stages are numbered
# downwards, from 4 to 1. $U$ is one of the five ways to upsample, $D_s$ the layers after it, and $R_s$ the 1x1
# reduction or the identity:
#
# $$d_s = D_s\big(U(d_{s+1};\ i_s)\big) + R_{s-1}(p_{s-1}), \qquad s = 4, 3, 2, \qquad d_5 = p_4,$$
#
# and $d_1 = D_1(U(d_2;\ i_1))$, since only the picture comes before the first stage. (With a reduction, $d_5 =
# R_4(p_4)$ is the classifier, which comes before the decoder instead of after it.) Four choices lead to ten networks:
# how $U$ upsamples; which convolution, if any, $D_s$ contains; whether maps are added; and whether the maps and the
# decoder have 64 channels or one for each class. `SegNetConfig`, the description of a network from lesson 07, has the
# settings `up`, `add` and `reduce` for this. Its `decoder` lists the channels of the convolutions in each stage, and
# `depthwise` says of which kind they are. Read its method `layers` again. In lesson 07, `add` and `reduce` were off:

# %%
figures.show_source(segnet.SegNetConfig.layers)

# %%
figures.show_source(segnet.SegNetConfig._skip)

# %%
figures.show_source(segnet.SegNetConfig._up)

# %% [markdown]
# `SkipSource` stores the maps, and `SkipAdd` adds them at a later layer. The next cell prints all settings:

# %%
names = ["bilinear-interpolation", "basic", "basic-encoder-addition", "basic-single-channel-decoder", "fcn-basic",
         "fcn-basic-no-addition", "fcn-basic-no-dim-reduction", "fcn-basic-no-addition-no-dim-reduction",
         "replication", "fixed-index"]  # fmt: skip
print(f"{'':39} up          convolution  reduce  add")
for name in names:
    d = ts.models[name]()
    convolution = ("depthwise" if d.depthwise else "full") if any(d.decoder) else "-"
    print(f"{name:39} {d.up:11} {convolution:12} {'yes' if d.reduce else '-':7} {'yes' if d.add else '-'}")

# %% [markdown]
# Each network is therefore `basic` with a few settings replaced. `FCN` has no convolutions in the decoder and upsamples
# with transposed convolutions, and `fcn-basic` is `FCN` with reduced maps that are added:

# %%
figures.show_source(decoders.fcn_basic)

# %% [markdown]
# A comparison of decoders should change nothing but the decoder. Do the ten networks also start from the same weights
# in the encoder, if they are built with the same seed? Compare the layers that have the same names and shapes:

# %%
basic = ts.build("basic").state()
for name in names:
    other = ts.build(name).state()
    common = [key for key in basic if key.startswith("encoder") and other[key].shape == basic[key].shape]
    differ = [key.removesuffix(".weight") for key in common if not np.array_equal(other[key], basic[key])]
    print(f"{name:39} {'differ: ' + ', '.join(differ) if differ else f'all {len(common)} arrays are equal'}")
    assert bool(differ) == (name == "fcn-basic")

# %% [markdown]
# Nine networks start from the same encoder. `fcn-basic` does not: `layers` creates each reduction right after its pool,
# so the reductions draw random numbers before the next encoder stage does. With this network, the same seed means other
# first weights, which is one more reason to train with several seeds.

# %%
figures.show_network(ts.build("basic-encoder-addition"), (360, 480))

# %% [markdown]
# Thin green lines carry indices from each pool to its unpooling. Thick pink lines carry maps from a pool
# to the end of the decoder stage of the same size. Nothing else bypasses the bottleneck.
#
# ## Costs of the decoders
#
# `network.summary` computes the costs from shapes alone. The next table is for networks of full width and pictures of
# 360x480, as in the paper:

# %%
print(f"{'':39} numbers in kernels   crossing, MB: indices   maps   GFLOP")
summaries = {name: ts.build(name).summary((360, 480)) for name in names}
for name, s in summaries.items():
    maps = sum(row.skip_bytes for row in s.rows if row.kind == "SkipSource")
    indices = s.total("skip_bytes") - maps
    print(f"{name:39} {s.kernels:18,}   {indices / 1e6:21.2f} {maps / 1e6:6.2f} {s.gflops:7.1f}")

# %% [markdown]
# There are three groups of parameter counts: 0.6 million where the decoder has no convolution, a depthwise one, or few
# channels; 1.4 million with 7x7 convolutions of 64 channels; and 1.7 million with transposed convolutions of 8x8. The
# bytes that cross from encoder to decoder do not follow these groups: networks with equally many parameters pass
# nothing, one megabyte, or fifteen megabytes.
#
# Table 1 gives "storage multipliers": 64 for all maps, 11 for reduced maps, 1 for indices. Lesson 07 explained how
# these multipliers were computed. The next cell adds up everything that the decoder receives, indices and maps, at its
# real size:

# %%
one_time = summaries["basic"].total("skip_bytes")
storage = {"basic": 1, "fcn-basic": 11, "fcn-basic-no-dim-reduction": 64, "basic-encoder-addition": 64}  # Table 1
for name, paper in storage.items():
    print(f"{name:39} {summaries[name].total('skip_bytes') / one_time:5.1f} times the indices   (the paper: {paper})")

# %% [markdown]
# The order is the paper's, but the factors are not: maps of float32 are 16 times as large as indices of two bits.
#
# ### Time
#
# The next cell measures the forward time of the same networks at half the width and a quarter of the picture's height
# and width, as in the study. Every network runs once per round, so that other load on the machine affects all alike.
# The result is the median over the rounds.

# %% tags=["parameters"] fast="ROUNDS = 1"
ROUNDS = 9

# %%
picture = np.random.default_rng(0).uniform(0, 255, (1, 90, 120, 3)).astype(np.float32)
halves = {name: ts.build(name, width=0.5) for name in names}
taken = {name: [] for name in names}
for turn in range(ROUNDS + 1):  # the first round compiles and does not count
    for name, network in halves.items():
        began = time.perf_counter()
        network.forward(picture)
        if turn:
            taken[name].append(1000 * (time.perf_counter() - began))
milliseconds = {name: float(np.median(values)) for name, values in taken.items()}

# %%
gpu = dict(zip(names, (24.2, 52.6, 53.0, 33.1, 24.2, 23.8, 44.8, 43.9), strict=False))  # Table 1, 360x480
print(f"{'':39} here, ms   of basic's     the paper's, ms   of basic's")
for name in names:
    here = f"{milliseconds[name]:8.1f} {milliseconds[name] / milliseconds['basic']:12.2f}"
    there = f"{gpu[name]:19.1f} {gpu[name] / gpu['basic']:12.2f}" if name in gpu else f"{'-':>19}"
    print(f"{name:39} {here} {there}")

# %% [markdown]
# Compare the ratios. The paper's times were measured on a GPU whose library had no unpooling, so
# unpooling was slower there than necessary.
#
# ### Exercise 1: bytes passed to the decoder
#
# Write `my_crossing_bytes(H, W, C, K)` for an encoder of C channels with four pools of 2x2.
#
# * Return three integers, in bytes, for one picture of H x W. `indices` counts all four pools, at two bits per window,
#   where the channels of a pixel fill whole bytes. `maps` counts the outputs of the first three pools, in float32.
#   `reduced` counts the same maps with K channels instead of C.
#
# Pools round up: 45 rows become 23.


# %%
def my_crossing_bytes(H, W, C, K):
    ### BEGIN SOLUTION
    windows = []
    for _ in range(4):
        H, W = (H + 1) // 2, (W + 1) // 2
        windows.append(H * W)
    pixels = sum(windows[:3])
    return sum(windows) * ((C + 3) // 4), 4 * C * pixels, 4 * K * pixels
    ### END SOLUTION


# %%
my_crossing_bytes = grader.grade("crossing_bytes", my_crossing_bytes)

# %% [markdown]
# ## Backward
#
# ### Maps that are read twice
#
# The encoder's maps $p$ are read twice: by the next encoder stage and by the addition. In the forward pass, the
# reduction computes $p\,W$ at every pixel (a row of C numbers times a matrix C x K):
#
# $$\text{next} = E(p), \qquad \text{out} = u + p\,W .$$
#
# The loss $J$ depends on $p$ through both results. For one number $p_c$ of a pixel the chain rule sums over both paths:
#
# $$\frac{\partial J}{\partial p_c} =
# \underbrace{\frac{\partial J}{\partial\, \text{next}} \cdot
# \frac{\partial\, \text{next}}{\partial p_c}}_{\text{dnext}_c\text{, from the stages below}} +
# \sum_k \underbrace{\frac{\partial J}{\partial\, \text{out}_k}}_{\text{dout}_k}
# \underbrace{\frac{\partial\, \text{out}_k}{\partial p_c}}_{W_{ck}}$$

# %% [markdown]
# This gives $\text{dp} = \text{dnext} + \text{dout}\, W^T$. Without a reduction $W$ is the identity, and $\text{dp} =
# \text{dnext} + \text{dout}$. Since $\partial\, \text{out}_k / \partial u_k = 1$, $\text{du} = \text{dout}$: an
# addition copies its gradient and does not divide it. Since $W_{ck}$ is used at every pixel of every picture,
# $\text{dW}_{ck} = \sum_{n, i, j} p_{nijc}\, \text{dout}_{nijk}$.
#
# The backward pass reaches the `SkipAdd` first, which leaves `dout` on the tape. Later the backward pass reaches the
# `SkipSource` with dnext, and this layer adds the two gradients:

# %%
figures.show_source(layers.SkipAdd._backward)

# %%
figures.show_source(layers.SkipSource._backward)

# %% [markdown]
# ### Exercise 2: the backward pass of a skip connection
#
# Write `my_skip_backward(dout, dnext, maps, weight)`, for `out = up + maps @ weight`, where `maps` also goes on to the
# encoder's next stage.
#
# * `dout` (N, h, w, K) is the gradient of `out`, and `dnext` (N, h, w, C) the gradient of `maps` that comes from the
#   next stage. The other arguments are `maps` (N, h, w, C) and `weight` (C, K).
# * Return `dup` (N, h, w, K), `dmaps` (N, h, w, C), `dweight` (C, K).


# %%
def my_skip_backward(dout, dnext, maps, weight):
    ### BEGIN SOLUTION
    C, K = weight.shape
    dweight = maps.reshape(-1, C).T @ dout.reshape(-1, K)
    return dout, dnext + dout @ weight.T, dweight
    ### END SOLUTION


# %%
my_skip_backward = grader.grade("skip_backward", my_skip_backward)

# %% [markdown]
# ### Backward passes of the five layers
#
# All five ways to upsample are linear in `z`, so each backward pass multiplies by a transposed matrix (lesson 05). The
# backward pass reads where the forward pass wrote, with the same weights. Here are the five gradients for the same
# `dout`:

# %%
dout_small = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])
dzs = {name: way.backward(dout_small[None, :, :, None])[0, :, :, 0] for name, way in ways.items()}
assert np.array_equal(dzs["fixed"], dout_small[::2, ::2])
assert np.array_equal(dzs["replication"], dout_small.reshape(2, 2, 2, 2).sum((1, 3)))
for name, dz in dzs.items():
    assert np.isclose((dz * z_small).sum(), (dout_small * ups[name]).sum())
figures.show_arrays([("dout", dout_small), *((name, dz.round(1)) for name, dz in dzs.items())])

# %% [markdown]
# *indices* reads the four numbers of `dout` at the maxima, and *fixed* reads the four at the corners.
# *Replication* sums each window: four copies are four paths to the loss. *Bilinear* also sums, with weights that extend
# beyond the window. The assertion in the loop tests the adjoint identity of lesson 02, $\langle \text{dz}, z\rangle =
# \langle \text{dout}, \text{out} \rangle$; it holds for all five.

# %%
figures.show_source(upsample.upsample_nearest2d_backward_numpy)

# %% [markdown]
# ### Check the gradients
#
# Check the ops first, then whole networks of small width. Each parameter of the encoder affects the loss through the
# bottleneck and through every later skip connection. (The first run compiles the kernels.)

# %%
for op in ("upsample_nearest2d", "upsample_bilinear2d", "conv_transpose2d", "depthwise_conv2d"):
    report = ts.gradcheck.check_op(op)
    print(f"{op:20} right: {report.ok}, {len(report.parts)} cases, {report.checked} numbers")
for name in ("basic-encoder-addition", "fcn-basic", "fixed-index"):
    network = ts.build(name, num_classes=3, width=1 / 32, dtype=np.float64)
    report = ts.gradcheck.check_model(network, size=(18, 22), directions=1, entries=1)
    print(f"{name:24} right: {report.ok}, {len(report.tensors)} tensors")
    assert report.ok

# %% [markdown]
# ### A forgotten gradient
#
# This bug is typical of networks written by hand: the decoder reads the encoder's maps, but the backward pass ignores
# that path. All shapes fit, and the network may still learn, as in lesson 08. Plant the bug in every skip source:


# %%
def my_forgetful_skips(network):
    for layer in network.layers.values():
        if isinstance(layer, layers.SkipSource):
            layer._backward = lambda dout, cache, *_: dout


network = ts.build("basic-encoder-addition", num_classes=3, width=1 / 32, dtype=np.float64)
my_forgetful_skips(network)
report = ts.gradcheck.check_model(network, size=(18, 22), directions=1, entries=1)
refused = [tensor.name for tensor in report.tensors if not tensor.ok]
print(f"right: {report.ok}; {len(refused)} tensors refused:", *refused, sep="\n  ")
assert all(name == "x" or name.split(".")[0] in ("encoder1", "encoder2", "encoder3") for name in refused)
assert "encoder3.conv1.weight" in refused

# %% [markdown]
# The check refuses the gradients of the picture and of the stages before a skip source. The gradients of
# the fourth stage and of the whole decoder are right, because no skip source comes after them. (Biases before a batch
# norm have the gradient 0 with or without the bug, as in lesson 04.) Going from the loss towards the picture, the first
# refused tensor comes directly before the last skip source, which is where the mistake is.
#
# A second bug computes replication's backward pass as a mean instead of a sum. The check names the wrong factor:

# %%
z = np.random.default_rng(0).standard_normal((1, 2, 3, 1))
report = ts.gradcheck.check(ops.upsample_nearest2d_forward,
                            lambda dout, cache: ops.upsample_nearest2d_backward(dout, cache) / 4, z)  # fmt: skip
print(report)
assert not report.ok

# %% [markdown]
# ### How large are the two gradients?
#
# At each skip source two gradients meet. The next cell measures their sizes in an untrained network of half width, for
# one drawn street:


# %%
def my_listen(skip, sizes):
    """Record the norms of both gradients whenever the skip source's backward runs."""
    right = skip._backward

    def my_backward(dout, cache, tape, input_gradient):
        sizes[skip.name] = np.linalg.norm(tape.map_gradients[skip]), np.linalg.norm(dout)
        return right(dout, cache, tape, input_gradient)

    skip._backward = my_backward


# %%
street = ToyScenes(1, seed=7)[0]
network, sizes = ts.build("basic-encoder-addition", width=0.5), {}
for layer in network.layers.values():
    if isinstance(layer, layers.SkipSource):
        my_listen(layer, sizes)
logits = network.forward(street.image[None].astype(np.float32), training=True)
_, loss_cache = ops.softmax_cross_entropy_forward(logits, street.labels[None], ignore_label=11)
network.backward(ops.softmax_cross_entropy_backward(np.float32(1), loss_cache))
for name, (across, below) in sizes.items():
    print(f"{name:14} across {across:.2e}   from the stages below {below:.2e}   ratio {across / below:.2f}")
    assert 0.1 < across / below < 10

# %% [markdown]
# Both gradients are of the same order of magnitude. A skip connection therefore not only carries maps forward but is
# also a second, shorter path for the gradient.
#
# ## The study
#
# `examples/decoder_study.py` trained the ten networks on CamVid's 367 training pictures, reduced to 90x120, at half the
# width. Each network was trained for 40 epochs by SGD with momentum 0.9 and weight decay 0.0005, in batches of 4, with
# random flips. The learning rate rises to 0.1 and falls (in the paper it is constant at 0.1), and the loss has
# median-frequency weights (lesson 06). Each network was trained with two seeds; three networks were also trained
# without class weights. All were scored on the 101 validation pictures at 360x480 after the last epoch. Each run is a
# line of `decoder_study.csv`, which is in the same folder as this notebook.

# %%
if not Path("decoder_study.csv").exists():
    raise SystemExit("decoder_study.csv is not beside this notebook. Copy the lessons with `tinysegnet lessons .`")
with open("decoder_study.csv", encoding="utf-8", newline="") as file:
    study = list(csv.DictReader(file))
print(len(study), "runs,", sum(int(line["seconds"]) for line in study) // 60, "minutes of training; the first:")
print(study[0])


# %%
def my_values(decoder, score, weights="median frequency"):
    """Return one score for each seed, or an empty list for a network that was not run."""
    return [float(line[score]) for line in study if (line["decoder"], line["weights"]) == (decoder, weights)]


print(f"{'mean of the seeds, per cent':39}      G       C    mIoU      BF   parameters   crossing, kB")
for name in names:
    if costs := my_values(name, "parameters"):
        means = " ".join(f"{np.mean(my_values(name, score)):7.2f}" for score in ("G", "C", "mIoU", "BF"))
        print(f"{name:39} {means} {costs[0]:12,.0f} {my_values(name, 'crossing_bytes')[0] / 1e3:14.1f}")
    else:
        print(f"{name:39} not run")

# %% [markdown]
# Before you call one network the winner, ask how much a network differs from *itself* when it is trained with another
# seed.
#
# ### The spread of the seeds
#
# For each network, compute the difference between the largest and the smallest score of its seeds. The largest of these
# differences over all networks is the **spread** of a score. A difference between two networks that is smaller than the
# spread is called a **tie**, because chance alone has produced differences as large.

# %%
spread = {}
for score in ("G", "C", "mIoU", "BF"):
    apart = {(name, weights): np.ptp(found) for name in names for weights in ("median frequency", "natural")
             if len(found := my_values(name, score, weights)) > 1}  # fmt: skip
    widest = max(apart, key=apart.get, default=("no network", "has two seeds yet"))
    spread[score] = apart.get(widest, np.nan)
    print(f"{score:5} spread {spread[score]:5.2f}   ({', '.join(widest)}; median of {len(apart)} networks "
          f"{np.median(list(apart.values()) or [np.nan]):.2f})")  # fmt: skip

# %% [markdown]
# Is this rule fair? Test the rule on chance alone: thirteen equally good networks with two seeds each, where every
# score is the same number plus normal noise of size 1. How often does the rule tell two networks apart?

# %%
rng = np.random.default_rng(0)
luck = rng.standard_normal((20000, 13, 2))
yardstick = np.ptp(luck, axis=2).max(1)
apart = np.abs(luck[:, 0].mean(1) - luck[:, 1].mean(1)) >= yardstick
single = np.abs(luck[:, 0, 0] - luck[:, 1, 0])
print(f"spread {yardstick.mean():.1f} times the noise; equal networks told apart in {apart.mean():.1%} of the trials")
print(f"with one seed each they differ by {np.median(single):.1f} times the noise or more in half of the trials,")
print(f"and by more than the noise in {np.mean(single > 1):.0%}; with one seed the noise is unknown")
assert apart.mean() < 0.05

# %% [markdown]
# The rule is strict: it rarely finds a difference where there is none, and it calls small true differences ties. A tie
# means "not told apart by these runs", not "equal".
#
# ### Exercise 3: a verdict with ties
#
# Write `my_verdict(scores, one, other)`.
#
# * `scores` has the shape (networks, seeds). `one` and `other` are row numbers.
# * Return three numbers. `spread` is the largest difference, over all networks, between a network's highest and lowest
#   score. `difference` is the mean of row `one` minus the mean of row `other`. `sign` is 0 for a tie, where the
#   absolute difference is smaller than the spread. Otherwise it is 1 or -1, the sign of the difference.


# %%
def my_verdict(scores, one, other):
    ### BEGIN SOLUTION
    spread = (scores.max(1) - scores.min(1)).max()
    difference = scores[one].mean() - scores[other].mean()
    return spread, difference, 0 if abs(difference) < spread else int(np.sign(difference))
    ### END SOLUTION


# %%
my_verdict = grader.grade("verdict", my_verdict)

# %% [markdown]
# ### Our study next to the paper's table
#
# The figure shows our scores as dots and the paper's as diamonds. The paper scored other pictures at another size, so
# do not compare a dot with a diamond. Compare the order of the dots with the order of the diamonds.

# %%
# Table 1, median-frequency weights, test pictures: mIoU and BF, per cent
published = dict(zip(names, ((43.3, 20.83), (47.7, 35.78), (48.5, 35.92), (46.1, 31.62), (47.3, 38.11), (44.1, 31.96),
                             (50.1, 37.37), (45.9, 30.47)), strict=False))  # fmt: skip

# %% tags=["map"]
costs = {"crossing, kB": ("crossing_bytes", 1e3), "million parameters": ("parameters", 1e6)}
panels = {title: {name: [value / unit for value in my_values(name, column)[:1]] for name in names}
          for title, (column, unit) in costs.items()}  # fmt: skip
panels |= {f"{score}, per cent": {name: my_values(name, score) for name in names} for score in ("mIoU", "BF")}
ties = {f"{score}, per cent": spread[score] for score in ("mIoU", "BF") if np.isfinite(spread[score])}
others = {"mIoU, per cent": {name: scores[0] for name, scores in published.items()},
          "BF, per cent": {name: scores[1] for name, scores in published.items()}}  # fmt: skip
words = ("one seed", "overlapping bars: a tie", "the paper, one seed")
figures.show_strip_plot(panels, ties=ties, others=others, words=words)

# %% [markdown]
# The left panels show two costs, and the right panels show the gain. Every dot of the right panels is one
# training run. A bar is as wide as the spread. If two bars overlap, the networks are tied.
#
# ### The paper's conclusions, one by one
#
# Each conclusion compares two networks. The sign is 1 if the first network scores higher, -1 if it scores lower, and 0
# for "about as good".

# %%
claims = [("bilinear interpolation loses to the next worst", "bilinear-interpolation", "fcn-basic-no-addition", -1),
          ("indices beat bilinear interpolation", "basic", "bilinear-interpolation", 1),
          ("indices beat replication", "basic", "replication", 1),
          ("indices beat a fixed corner", "basic", "fixed-index", 1),
          ("added maps help SegNet-Basic", "basic-encoder-addition", "basic", 1),
          ("a single-channel decoder loses", "basic-single-channel-decoder", "basic", -1),
          ("FCN-Basic is as good as SegNet-Basic", "fcn-basic", "basic", 0),
          ("FCN-Basic loses without the addition", "fcn-basic-no-addition", "fcn-basic", -1),
          ("all maps help FCN-Basic", "fcn-basic-no-dim-reduction", "fcn-basic", 1),
          ("all maps, but not added: below SegNet-Basic",
           "fcn-basic-no-addition-no-dim-reduction", "basic", -1)]  # fmt: skip


# %%
def my_judgement(difference, yardstick, sign):
    if np.isnan(difference) or np.isnan(yardstick):
        return "not run yet"
    found = 0 if abs(difference) < yardstick else np.sign(difference)
    return "holds" if found == sign else "tie" if found == 0 else "does not hold"


def my_difference(one, other, score, weights="median frequency"):
    found = [my_values(name, score, weights) for name in (one, other)]
    return np.mean(found[0]) - np.mean(found[1]) if all(found) else np.nan


# %%
for k, score in enumerate(("mIoU", "BF")):
    print(f"\n{score}: spread {spread[score]:.2f}{'':32} here   the paper   verdict")
    for claim, one, other, sign in claims:
        here = my_difference(one, other, score)
        both = one in published and other in published
        paper = f"{published[one][k] - published[other][k]:+.1f}" if both else "-"
        print(f"{claim:46} {here:+8.2f} {paper:>9}     {my_judgement(here, spread[score], sign)}")
assert published["fcn-basic-no-dim-reduction"][1] < published["fcn-basic"][1]

# %% [markdown]
# How to read a verdict: *holds* means that the difference has the paper's sign and is not smaller than the spread, or
# that both the paper and our runs say "about as good". *Tie* means that these runs cannot decide. *Does not hold* means
# that our difference has the opposite sign, or that the paper sees no difference. A claim of "about as good" is easy to
# confirm: with few seeds and a wide spread, everything is a tie.
#
# The study supports three conclusions, which the next cell checks. First, where indices or maps cross to a decoder that
# mixes channels, outlines are far better; other differences between decoders hardly affect BF. Second, indices improve
# outlines only, while maps improve both outlines and regions. Third, FCN-Basic, which is about as good as SegNet-Basic
# in the paper, is well ahead of it in mIoU at this size.

# %%
crossing = {"basic", "basic-encoder-addition", "fcn-basic", "fcn-basic-no-dim-reduction"}
lowest = min(np.mean(my_values(name, "BF")) for name in crossing)
highest = max(np.mean(my_values(name, "BF")) for name in names if name not in crossing)
print(f"BF of the four: at least {lowest:.1f}; of the six others: at most {highest:.1f}")
indices, maps = (("basic", "replication"), ("fcn-basic", "fcn-basic-no-addition"))
assert lowest - highest > spread["BF"]
assert abs(my_difference(*indices, "mIoU")) < spread["mIoU"] < my_difference(*maps, "mIoU")
assert min(my_difference(*pair, "BF") for pair in (indices, maps)) > spread["BF"]
assert my_difference("fcn-basic", "basic", "mIoU") > spread["mIoU"]

# %% [markdown]
# The paper states its conclusions for all scores together, but its own figures do not fully agree. In BF, FCN-Basic
# with 64 maps is 0.7 *worse* than with 11 reduced maps.
#
# Now apply our spread to the paper's scores. Our spread comes from smaller networks and smaller pictures, so it does
# not measure the spread of the paper's networks, but no other is available. Which of the paper's own differences are
# smaller than our spread?

# %%
for k, score in enumerate(("mIoU", "BF")):
    gaps = {claim: published[one][k] - published[other][k] for claim, one, other, sign in claims
            if sign and one in published and other in published}  # fmt: skip
    below = [f"{claim} ({gap:+.1f})" for claim, gap in gaps.items() if abs(gap) < spread[score]]
    print(f"{score}: {len(below)} of {len(gaps)} of the paper's differences are smaller than {spread[score]:.2f}")
    print(*(f"   {text}" for text in below), sep="\n")

# %% [markdown]
# ### With and without class weights
#
# Three networks were also trained with *natural* frequencies, where every pixel has the weight 1. According to the
# paper, natural frequencies make G higher and C much lower (Table 1: SegNet-Basic has G 84.0 instead of 82.7 and C 54.6
# instead of 62.0). A network that may neglect rare classes gets more pixels right.

# %%
print(f"{'natural minus median frequency':39}       G       C    mIoU      BF")
for name in ("basic", "bilinear-interpolation", "fcn-basic"):
    cells = []
    for score in ("G", "C", "mIoU", "BF"):
        natural, weighted = (my_values(name, score, w) for w in ("natural", "median frequency"))
        cells.append(np.mean(natural) - np.mean(weighted) if natural and weighted else np.nan)
    print(f"{name:39} {' '.join(f'{cell:+7.2f}' for cell in cells)}")
print(f"{'spread':39} {' '.join(f'{spread[score]:7.2f}' for score in spread)}")

# %% [markdown]
# The class weights have nothing to do with decoders, yet they change the scores. Compare these differences with those
# between decoders above. A comparison of decoders is valid *for one loss* only.
#
# ## Train two networks yourself
#
# Train the networks of the first two rows, bilinear interpolation and SegNet-Basic, at an eighth of their width, on
# drawn streets of 48x64 pixels, with three seeds each.

# %% tags=["parameters"] fast="PICTURES, TESTS, EPOCHS, SEEDS = 8, 8, 1, (0, 1)"
PICTURES, TESTS, EPOCHS, SEEDS = 96, 32, 9, (0, 1, 2)

# %%
train = ts.data.InMemory(ToyScenes(PICTURES, seed=1, size=(48, 64)))
test = ts.data.InMemory(ToyScenes(TESTS, seed=2, size=(48, 64)))
recipe = {"epochs": EPOCHS, "batch_size": 4, "size": (48, 64), "optimizer": "sgd", "learning_rate": 0.1,
          "weight_decay": 5e-4, "class_weights": "median_frequency", "validate_every": EPOCHS}  # fmt: skip
both = labelled_images(train), labelled_images(test)
prior = metrics.position_prior(*both, CAMVID.names, CAMVID.ignore_label)
print(f"baseline: the position prior has mIoU {100 * prior.mIoU:.1f}")
found, spread_of = {}, {"mIoU": 0.0, "BF": 0.0}
for name in ("basic", "bilinear-interpolation"):
    for seed in SEEDS:
        network = ts.build(name, seed=seed, width=1 / 8)
        ts.fit(network, train, recipe=ts.Recipe(seed=seed, **recipe), progress=False)
        scores = ts.evaluate(network, test, boundary=True)
        found.setdefault(name, []).append((100 * scores.mIoU, 100 * scores.BF))

# %%
mine = {score: {name: [two[k] for two in runs] for name, runs in found.items()} for k, score in enumerate(spread_of)}
for score, by_name in mine.items():
    spread_of[score] = max(np.ptp(values) for values in by_name.values())
    gap = np.mean(by_name["basic"]) - np.mean(by_name["bilinear-interpolation"])
    pairs = [a - b for a in by_name["basic"] for b in by_name["bilinear-interpolation"]]
    verdict = "a tie" if abs(gap) < spread_of[score] else "told apart"
    print(f"{score:5} basic minus bilinear {gap:+6.2f}   spread {spread_of[score]:5.2f}   {verdict}"
          f"   single runs: {min(pairs):+.2f} to {max(pairs):+.2f}")  # fmt: skip
figures.show_strip_plot(mine, ties=spread_of)

# %% [markdown]
# "single runs" is the range of differences that could have been published with one seed each. If the
# ends of the range have different signs, one seed could have shown either result. Such short training runs with such
# small networks say little about decoders. The experiment shows how far apart two training runs of *one* network are,
# which you must know before you compare networks.
#
# ## What Table 1 does and does not compare
#
# Table 1 is a careful comparison, with one encoder, recipe and data set. Still, more than the decoder differs.
#
# 1. **Parameter counts differ.** `basic` has 1.4 million parameters, and `bilinear-interpolation` has 0.6 million.
#    `replication` and `fixed-index` are as large as `basic` but use no indices. These two networks would be a fairer
#    comparison, but the table has no row for them.
# 2. **Widths differ.** Where maps are reduced, the whole decoder has 11 channels. The paper's text also leaves some
#    details open. For example, the library's FCN variants have no batch norm in the decoder, because FCN has none.
# 3. **One seed was used** for each network, at the iteration with the best G on the validation pictures (section 3.3).
# 4. **One loss was used at a time.** With other class weights all rows change, as above.
# 5. **BF counts outlines of void.** The published script does not leave void out, and the study follows it. The next
#    cell shows how much this matters for the bundled network on some drawn streets with void:

# %%
ready = ts.load_bundled("toy")
voids = [s for s in (ToyScenes(24, seed=9)[i] for i in range(24)) if (s.labels == 11).mean() > 0.02][:6]
for s in voids:
    said = ts.predict(ready, s.image)
    masked, counted = (metrics.boundary_f1(s.labels, said, 11, 11, mask_void=mask) for mask in (True, False))
    print(f"{(s.labels == 11).mean():5.1%} void   BF without outlines of void {masked:.3f}, with them {counted:.3f}")

# %% [markdown]
# The same predictions have two scores. A network cannot be right about outlines of void, where the true
# classes are unknown.
#
# 6. **Our study is smaller**, and the size affects the result. At 90x120 an encoder with a receptive field of 106
#    pixels sees the whole height; at 360x480 it sees less than a third of the height. A pixel of a 90x120 picture
#    covers 4x4 pixels of the labels, and BF's tolerance is 4.5 pixels (lesson 10). Outlines are thus scored near the
#    limit of what such a network can draw.
# 7. **The pictures differ.** Our validation set is 101 consecutive frames of one drive; the paper's test pictures come
#    from two other drives.
#
# Where the study and the paper agree, a conclusion holds in spite of different sizes, pictures and seeds. Where they
# disagree, the conclusion depends on at least one of these differences, and the table does not say which.

# %% [markdown]
# ## What to remember
#
# * Decoders differ in what they get from the encoder: nothing, two bits per window, maps, or maps reduced by a 1x1
#   convolution.
# * Parameters, bytes passed to the decoder, and time are three separate costs. None of them determines another.
# * The gradient of maps that are read twice is a sum. An addition passes all of `dout` to both of its inputs.
# * The backward pass of each way to upsample is its transpose. The backward pass of replication sums the copies, and
#   that of a fixed corner reads the corners.
# * Before you call one network better than another, measure the spread between seeds. A smaller difference is a tie.
# * A tie does not mean that two networks are equal, and a table with one seed per network cannot show its ties.
# * The rows of a comparison may differ in parameters and width as well as in the decoder.
#
# In lesson 12 the network itself estimates its uncertainty.
