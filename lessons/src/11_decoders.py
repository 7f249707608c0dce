# %% [markdown]
# # 11 The paper's decoders, repeated small
#
# **The question.** An encoder has made small maps of a picture. A decoder makes large ones of them again. Which
# decoder, what does it cost, and what does it buy?
#
# **At the end** you can say what crosses from encoder to decoder in ten networks, in bytes; derive the backward of maps
# that are read twice; read a table of scores with its ties; and name what such a table compares besides the thing in
# its title.
#
# **Needed before:** lesson 05 (unpooling), 07 (the network), 08 (training) and 10 (scores).
#
# Badrinarayanan et al. 2017 compare eight decoders in Table 1 and section 3.3; two more are named in section 3.1. They
# published no code for it. The library has all ten, and a study of them, which this lesson reads.

# %%
import csv
import time
from pathlib import Path

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, metrics, ops
from tinysegnet.data import CAMVID, labelled_images
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import decoders
from tinysegnet.ops import upsample
from tinysegnet_lessons import figures, grader

ts.runtime.set_threads(1)  # the arrays of this lesson are too small for two to help

# %% [markdown]
# ## Five ways up
#
# A pool has made four numbers of sixteen. Other layers have worked on them; call the result `z`. How can 2x2 numbers
# become 4x4 again? The library's five ways, as layers. Each is given the pool, for its size or its indices.

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
# `z` need have nothing in common with the pooled map but its size. Up it goes:

# %%
ups = {name: way.forward(z_small[None, :, :, None], training=True)[0, :, :, 0] for name, way in ways.items()}
figures.show_arrays([(name, up.round(1)) for name, up in ups.items()])

# %% [markdown]
# What to see: *indices* puts each number where the pool found its maximum; *fixed* always into the first corner.
# *Replication* repeats it, *bilinear* blends neighbours. A *transposed convolution* spreads each number with a kernel.
# Here the kernel is as training begins, a wide bilinear one; training changes it. It is eight pixels wide, so on 4x4
# all is border, where it fades.
#
# Only the first way asks the encoder for something besides a size: two bits per window. It is what crosses.

# %% [markdown]
# ## What else may cross: the maps themselves
#
# A decoder stage ends with maps as large as those that the pool before it gave. So they can be added. Let `x` above be
# such a map of the encoder, the way a pool left it:

# %%
sum_small = ups["bilinear"] + x_small
figures.show_arrays([("from below", ups["bilinear"]), "+", ("x, from the encoder", x_small), "=", ("out", sum_small)],
                decimals=0)  # fmt: skip

# %% [markdown]
# What to see: the smooth map gets back every number that the pool threw away, not only the places of the largest. The
# price is the whole map, 32 bits per pixel and channel.
#
# It can be made cheaper: mix the 64 channels of every pixel to as many as there are classes, by a 1x1 convolution, and
# let those cross. Two channels to one:

# %%
one, two = np.array([[4.0, 0], [2, 6]]), np.array([[1.0, 3], [0, 2]])
weight = np.array([0.5, -1.0]).reshape(1, 1, 2, 1)
reduced, _ = ops.conv2d_forward(np.stack([one, two], -1)[None], weight)
assert np.array_equal(reduced[0, :, :, 0], 0.5 * one - two)
figures.show_arrays([("channel 0", one), ("channel 1", two), ("0.5, -1: crosses", reduced[0, :, :, 0])])

# %% [markdown]
# ## The formula
#
# Let $p_s$ be the maps that pool $s$ leaves, and $i_s$ its indices, $s = 1 \dots 4$. The decoder counts down. $U$ is
# one of the five ways up, $D_s$ what follows it, $R_s$ the 1x1 reduction or nothing:
#
# $$d_s = D_s\big(U(d_{s+1};\ i_s)\big) + R_{s-1}(p_{s-1}), \qquad s = 4, 3, 2, \qquad d_5 = p_4,$$
#
# and $d_1 = D_1(U(d_2;\ i_1))$, since above the last stage there is only the picture. (With a reduction, $d_5 =
# R_4(p_4)$: it is the classifier, and stands before the decoder instead of after it.) Ten networks come of four
# choices: how $U$ goes up; whether $D_s$ is a convolution; whether maps are added; whether they, and the decoder, have
# 64 channels or one for each class. In the library a decoder *is* these four words, and one function builds all:

# %%
figures.show_source(decoders.Decoder.layers)

# %%
figures.show_source(decoders.Decoder._up)

# %% [markdown]
# `SkipSource` keeps the maps, `SkipAdd` adds them further down the line. One line for each network,
# and where the words stand:

# %%
names = ["bilinear-interpolation", "basic", "basic-encoder-addition", "basic-single-channel-decoder", "fcn-basic",
         "fcn-basic-no-addition", "fcn-basic-no-dim-reduction", "fcn-basic-no-addition-no-dim-reduction",
         "replication", "fixed-index"]  # fmt: skip
described = {name: ts.models[name]() for name in names if name != "basic"}
described["basic"] = decoders.Decoder("indices", "full")
print(f"{'':39} up          convolution  reduce  add")
for name in names:
    d = described[name]
    print(f"{name:39} {d.up:11} {d.convolution or '-':12} {'yes' if d.reduce else '-':7} {'yes' if d.add else '-'}")

# %%
figures.show_source(decoders.fcn_basic)

# %% [markdown]
# SegNet-Basic has a description of its own, in the words of lesson 07. Is it the same network as `indices`, `full`?
# Build both from the same seed and compare all numbers:

# %%
rng = np.random.default_rng(0)
as_words = described["basic"].layers(11, decoders.InitContext(rng, np.float32, "local_response"))
basic = ts.build("basic")
same = all(np.array_equal(array, basic.layers[name].params[key])
           for name, layer in as_words.items() for key, array in layer.params.items())  # fmt: skip
print("the same layers:", list(as_words) == list(basic.layers), "  the same first weights:", same)
assert same

# %%
figures.show_network(ts.build("basic-encoder-addition"), (360, 480))

# %% [markdown]
# What to see: two kinds of lines. Thin green ones carry indices from each pool to its unpooling, thick pink ones carry
# maps from after a pool to the end of the stage that has their size. Nothing else passes round the bottleneck.
#
# ## What it costs
#
# `network.summary` counts from shapes alone. At the paper's size, 360x480, with full width:

# %%
print(f"{'':39} numbers in kernels   crossing, MB: indices   maps   GFLOP")
summaries = {name: ts.build(name).summary((360, 480)) for name in names}
for name, s in summaries.items():
    maps = sum(row.skip_bytes for row in s.rows if row.kind == "SkipSource")
    indices = s.total("skip_bytes") - maps
    print(f"{name:39} {s.kernels:18,}   {indices / 1e6:21.2f} {maps / 1e6:6.2f} {s.gflops:7.1f}")

# %% [markdown]
# Three groups of parameters: 0.6 million where the decoder has no convolution, a depthwise one, or few channels; 1.4
# with 7x7 convolutions of 64 channels; 1.7 with transposed ones of 8x8. But what crosses is another matter: networks of
# one size pass on nothing, a megabyte, or fifteen.
#
# Table 1 gives "storage multipliers": 64 for all maps, 11 for reduced ones, 1 for indices. Lesson 07 found how they
# come about. Here all that crosses is added up, indices and maps at the sizes that they have:

# %%
one_time = summaries["basic"].total("skip_bytes")
storage = {"basic": 1, "fcn-basic": 11, "fcn-basic-no-dim-reduction": 64, "basic-encoder-addition": 64}  # Table 1
for name, paper in storage.items():
    print(f"{name:39} {summaries[name].total('skip_bytes') / one_time:5.1f} times the indices   (the paper: {paper})")

# %% [markdown]
# The order is the paper's, the factors are not: 64 maps of float32 are 16 times as large as their indices at two bits.
# Reduced to 11 classes, maps are still larger than the indices of all 64 channels.
#
# ### Time
#
# The same networks at half the width and a quarter of the size, as the study has them. Each has its turn in every
# round, so that whatever else the machine does meets all alike; the median of the rounds counts.

# %% tags=["parameters"] fast="ROUNDS = 2"
ROUNDS = 9

# %%
picture = np.random.default_rng(0).uniform(0, 255, (1, 90, 120, 3)).astype(np.float32)
halves = {name: ts.build(name, width=0.5) for name in names}
taken = {name: [] for name in names}
for turn in range(ROUNDS + 1):  # the first one compiles and does not count
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
# How to read this: compare the ratios. The paper's times are of a GPU whose library did not have unpooling, so that it
# was slower there than it need be. What is cheap is the same on both sides: a decoder of 11 channels, or none.
#
# ### Exercise 1: what crosses
#
# Write `my_crossing_bytes(H, W, C, K)` for the encoder above: four pools of 2x2, C channels.
#
# * Returns three whole numbers, bytes for one picture of H x W. `indices`: of all four pools, two bits per window,
#   where the channels of a pixel fill whole bytes. `maps`: those that the first three pools leave, in float32.
#   `reduced`: the same maps with K channels instead of C.
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
grader.grade("crossing_bytes", my_crossing_bytes)

# %% [markdown]
# ## Backward
#
# ### Maps that are read twice
#
# The encoder's maps $p$ go two ways: on to the next encoder stage, and across to the addition. Forward, with a
# reduction $r = p\,W$ at every pixel (a row of C numbers times a matrix C x K):
#
# $$\text{next} = E(p), \qquad \text{out} = u + p\,W .$$
#
# The loss $J$ depends on $p$ through both. For one number $p_c$ of a pixel the chain rule adds up all ways:
#
# $$\frac{\partial J}{\partial p_c} =
# \underbrace{\frac{\partial J}{\partial\, \text{next}} \cdot
# \frac{\partial\, \text{next}}{\partial p_c}}_{\text{dnext}_c\text{, from the stages below}} +
# \sum_k \underbrace{\frac{\partial J}{\partial\, \text{out}_k}}_{\text{dout}_k}
# \underbrace{\frac{\partial\, \text{out}_k}{\partial p_c}}_{W_{ck}}$$

# %% [markdown]
# So $\text{dp} = \text{dnext} + \text{dout}\, W^T$. Without a reduction $W$ is the identity, and $\text{dp} =
# \text{dnext} + \text{dout}$. The other two: $\partial\, \text{out}_k / \partial u_k = 1$, so $\text{du} =
# \text{dout}$, all of it; an addition copies its gradient and does not share it out. And $W_{ck}$ is used at every
# pixel of every picture: $\text{dW}_{ck} = \sum_{n, i, j} p_{nijc}\, \text{dout}_{nijk}$.
#
# In the line of layers backward meets the `SkipAdd` first. It leaves `dout` on the tape, and when backward
# has come up to the `SkipSource`, with dnext, that adds the two:

# %%
figures.show_source(layers.SkipAdd._backward)

# %%
figures.show_source(layers.SkipSource._backward)

# %% [markdown]
# ### Exercise 2: its backward
#
# Write `my_skip_backward(dout, dnext, maps, weight)`, for `out = up + maps @ weight`, where `maps` also goes on to the
# encoder's next stage.
#
# * `dout` (N, h, w, K): gradient of `out`. `dnext` (N, h, w, C): the gradient of `maps` that comes from the next stage.
#   `maps` (N, h, w, C). `weight` (C, K).
# * Returns `dup` (N, h, w, K), `dmaps` (N, h, w, C), `dweight` (C, K).


# %%
def my_skip_backward(dout, dnext, maps, weight):
    ### BEGIN SOLUTION
    C, K = weight.shape
    dweight = maps.reshape(-1, C).T @ dout.reshape(-1, K)
    return dout, dnext + dout @ weight.T, dweight
    ### END SOLUTION


# %%
grader.grade("skip_backward", my_skip_backward)

# %% [markdown]
# ### The ways up
#
# All five are linear in `z`, so each backward is a transposed matrix (lesson 05). It reads where forward wrote, with
# the same weights. The five on the same `dout`:

# %%
dout_small = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])
dzs = {name: way.backward(dout_small[None, :, :, None])[0, :, :, 0] for name, way in ways.items()}
assert np.array_equal(dzs["fixed"], dout_small[::2, ::2])
assert np.array_equal(dzs["replication"], dout_small.reshape(2, 2, 2, 2).sum((1, 3)))
for name, dz in dzs.items():
    assert np.isclose((dz * z_small).sum(), (dout_small * ups[name]).sum())
figures.show_arrays([("dout", dout_small), *((name, dz.round(1)) for name, dz in dzs.items())])

# %% [markdown]
# What to see: *indices* reads four numbers of `dout` at the maxima, *fixed* four at the corners. *Replication* adds
# each window up: four copies, four ways to the loss. *Bilinear* adds, too, with weights that reach over the window's
# edge. The assertion in the loop is the adjoint law of lesson 02, $\langle \text{dz}, z\rangle = \langle \text{dout},
# \text{out} \rangle$; it holds for all five.

# %%
figures.show_source(upsample.upsample_nearest2d_backward_numpy)

# %% [markdown]
# ### Check it
#
# The ops first, then whole networks, narrow ones: each parameter of the encoder feels the loss through the bottleneck
# and through every skip behind it. (The first run compiles.)

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
# ### What breaks it
#
# The bug of those who write such a network by hand: the decoder reads the encoder's maps, and backward forgets that
# way. All shapes fit, and lesson 08 saw a network learn with a wrong gradient. Planted into every skip source:


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
# What to see: the picture and the stages before a skip source are refused. The fourth stage and the whole decoder are
# right, for no skip source lies after them. (Biases before a batch norm have the gradient 0 either way, lesson 04.) The
# first tensor that is refused, looking from the loss upwards, stands right before the last skip source: there the
# mistake is.
#
# A second one: replication backward as a mean, "since the copies are one number". The check names the factor:

# %%
z = np.random.default_rng(0).standard_normal((1, 2, 3, 1))
report = ts.gradcheck.check(ops.upsample_nearest2d_forward,
                            lambda dout, cache: ops.upsample_nearest2d_backward(dout, cache) / 4, z)  # fmt: skip
print(report)
assert not report.ok

# %% [markdown]
# ### How much comes which way?
#
# At each skip source two gradients meet. Their sizes in a network of half width before training, for one drawn street:


# %%
def my_listen(skip, sizes):
    """Note the sizes of both gradients whenever the skip source's backward runs."""
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
# Both are of one order. So an addition is not only a way forward for maps. It is a second, shorter way back for the
# gradient, past the bottleneck.
#
# ## The study
#
# `examples/decoder_study.py` trained the ten networks on CamVid's 367 train pictures, reduced to 90x120, at half the
# width: 40 epochs of SGD with momentum 0.9 and weight decay 0.0005, batches of 4, mirrored at random, a rate that rises
# to 0.1 and falls (the paper's is 0.1 throughout), and median-frequency weights (lesson 06). Two seeds each; three of
# the networks also without weights. All were scored on the 101 val pictures at 360x480 after the last epoch. Each run
# is a line of `decoder_study.csv`, which lies beside this notebook.

# %%
if not Path("decoder_study.csv").exists():
    raise SystemExit("decoder_study.csv is not beside this notebook; it comes with the lessons: tinysegnet lessons .")
with open("decoder_study.csv", encoding="utf-8", newline="") as file:
    study = list(csv.DictReader(file))
print(len(study), "runs,", sum(int(line["seconds"]) for line in study) // 60, "minutes of training; the first:")
print(study[0])


# %%
def my_values(decoder, score, weights="median frequency"):
    """One number for each seed; none for a network that was not run."""
    return [float(line[score]) for line in study if (line["decoder"], line["weights"]) == (decoder, weights)]


print(f"{'mean of the seeds, per cent':39}      G       C    mIoU      BF   parameters   crossing, kB")
for name in names:
    if costs := my_values(name, "parameters"):
        means = " ".join(f"{np.mean(my_values(name, score)):7.2f}" for score in ("G", "C", "mIoU", "BF"))
        print(f"{name:39} {means} {costs[0]:12,.0f} {my_values(name, 'crossing_bytes')[0] / 1e3:14.1f}")
    else:
        print(f"{name:39} not run")

# %% [markdown]
# It is tempting to sort this table and to call the first line the winner. Before that: by how much does a network
# differ from *itself*, trained again with other first weights and another order of pictures?
#
# ### The seeds' spread
#
# For each network, the largest of its seeds' scores minus the smallest. The largest of these over all networks is the
# **spread** of a score. A difference between two networks that is smaller is called a **tie**: luck alone has made as
# much.

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
# Is this rule fair? Play it with luck alone: thirteen networks that are all equally good, two seeds each, every score
# the same number plus normal noise of size 1. How often are two of them told apart?

# %%
rng = np.random.default_rng(0)
luck = rng.standard_normal((20000, 13, 2))
yardstick = np.ptp(luck, axis=2).max(1)
apart = np.abs(luck[:, 0].mean(1) - luck[:, 1].mean(1)) >= yardstick
single = np.abs(luck[:, 0, 0] - luck[:, 1, 0])
print(f"spread {yardstick.mean():.1f} times the noise; two equal networks told apart in {apart.mean():.1%} of worlds")
print(f"with one seed each they differ by {np.median(single):.1f} times the noise or more in half of the worlds,")
print(f"and by more than the noise in {np.mean(single > 1):.0%}; nobody knows the noise then")
assert apart.mean() < 0.05

# %% [markdown]
# The rule is strict. It rarely sees a difference where there is none, and it calls small true differences ties. A tie
# says "not told apart by these runs", not "equal". The last two lines are about a table with one seed for each network,
# as the paper's is.
#
# ### Exercise 3: a verdict with ties
#
# Write `my_verdict(scores, one, other)`.
#
# * `scores` (networks, seeds). `one`, `other`: numbers of two rows.
# * Returns `spread`: for each network the largest minus the smallest of its seeds, and of these the largest;
#   `difference`: the mean of row `one` minus the mean of row `other`; `sign`: 0 for a tie, which is a difference whose
#   size is smaller than the spread, else 1 or -1 as the difference.


# %%
def my_verdict(scores, one, other):
    ### BEGIN SOLUTION
    spread = (scores.max(1) - scores.min(1)).max()
    difference = scores[one].mean() - scores[other].mean()
    return spread, difference, 0 if abs(difference) < spread else int(np.sign(difference))
    ### END SOLUTION


# %%
grader.grade("verdict", my_verdict)

# %% [markdown]
# ### The picture
#
# The paper's own figures stand beside ours. It scored other pictures at another size, so do not compare a dot with a
# diamond; compare the order of the dots with the order of the diamonds.

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
# What to see: on the left two costs, on the right what they buy. Every dot of the right panels is a training. A bar is
# as wide as the spread; where two bars overlap, the means differ by less, and that is a tie. Look for costs without a
# gain that leaves the bars, and for gains without cost.
#
# ### The paper's conclusions, one by one
#
# Each is a comparison of two networks, and a sign: which has the higher score, or 0 for "about as good".

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
# How to read a verdict: *holds*, the difference has the paper's sign and is not smaller than the spread (or both say
# "about as good"). *Tie*, these runs cannot tell. *Does not hold*, they differ the other way, or where the paper sees
# none. A claim of "about as good" is easy to keep: few seeds, a wide spread, and everything is a tie.
#
# The study's answer in three sentences, each computed below. Where indices or maps cross to a decoder that mixes
# channels, outlines are far better; what else a decoder learns hardly shows in BF. Indices buy outlines alone, maps buy
# regions as well. And FCN-Basic, about as good as SegNet-Basic in the paper, is well ahead of it in mIoU at this size.

# %%
crossing = {"basic", "basic-encoder-addition", "fcn-basic", "fcn-basic-no-dim-reduction"}
lowest = min(np.mean(my_values(name, "BF")) for name in crossing)
highest = max(np.mean(my_values(name, "BF")) for name in names if name not in crossing)
print(f"BF of the four: {lowest:.1f} and more; of the six others: {highest:.1f} and less")
indices, maps = (("basic", "replication"), ("fcn-basic", "fcn-basic-no-addition"))
assert lowest - highest > spread["BF"]
assert abs(my_difference(*indices, "mIoU")) < spread["mIoU"] < my_difference(*maps, "mIoU")
assert min(my_difference(*pair, "BF") for pair in (indices, maps)) > spread["BF"]
assert my_difference("fcn-basic", "basic", "mIoU") > spread["mIoU"]

# %% [markdown]
# The paper states its conclusions for all measures together. Its own figures do not quite agree: in BF, 64 maps are 0.7
# *worse* than the 11 of FCN-Basic.
#
# Now turn the yardstick round. Our spread is of smaller networks and smaller pictures, so it is no measure of the
# paper's luck; it is the only one at hand. Which of the paper's own differences are below it?

# %%
for k, score in enumerate(("mIoU", "BF")):
    gaps = {claim: published[one][k] - published[other][k] for claim, one, other, sign in claims
            if sign and one in published and other in published}  # fmt: skip
    below = [f"{claim} ({gap:+.1f})" for claim, gap in gaps.items() if abs(gap) < spread[score]]
    print(f"{score}: {len(below)} of {len(gaps)} of the paper's differences are smaller than {spread[score]:.2f}")
    print(*(f"   {text}" for text in below), sep="\n")

# %% [markdown]
# ### With weights and without
#
# Three networks were also trained with *natural* frequencies, every pixel counting 1. The paper: G is higher so, C much
# lower (Table 1: SegNet-Basic G 84.0 instead of 82.7, C 54.6 instead of 62.0). A network that may neglect rare classes
# gets more pixels right.

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
# A choice that has nothing to do with decoders moves the scores. Compare these numbers with those of the claims above:
# a table of decoders is a table of decoders *under one loss*.
#
# ## Train two yourself
#
# The first and the second row of the table, SegNet-Basic and bilinear interpolation, at an eighth of their width, on
# drawn streets of 48x64. Three seeds each. Guess first: which is better, by how much, and by how much will a network
# differ from itself?

# %% tags=["parameters"] fast="PICTURES, EPOCHS, SEEDS = 16, 1, (0, 1)"
PICTURES, EPOCHS, SEEDS = 96, 9, (0, 1, 2)

# %%
train = ts.data.InMemory(ToyScenes(PICTURES, seed=1, size=(48, 64)))
test = ts.data.InMemory(ToyScenes(32, seed=2, size=(48, 64)))
recipe = {"epochs": EPOCHS, "batch_size": 4, "size": (48, 64), "optimizer": "sgd", "learning_rate": 0.1,
          "weight_decay": 5e-4, "class_weights": "median_frequency", "validate_every": EPOCHS}  # fmt: skip
both = labelled_images(train), labelled_images(test)
prior = metrics.position_prior(*both, CAMVID.names, CAMVID.ignore_label)
print(f"baseline: each pixel's place alone has mIoU {100 * prior.mIoU:.1f}")
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
# How to read this: "single runs" is what one could have published with one seed each, from the luckiest for one side to
# the luckiest for the other. If its ends have two signs, one seed could have said either. So short a training of so
# small networks says little about decoders. It says how far apart two trainings of *one* network lie, and that this
# comes before any comparison.
#
# ## What Table 1 compares, and what not
#
# It is a careful table: one encoder, one recipe, one data set. Still, its rows differ in more than their names say.
#
# 1. **Size goes along.** `basic` against `bilinear-interpolation` is also 1.4 million numbers against 0.6.
#    `replication` and `fixed-index` have the size of `basic` and no indices; they are the fair opponents, and have no
#    row.
# 2. **Width goes along.** Where maps are reduced, the whole decoder has 11 channels. And what the text leaves open had
#    to be decided: the library's FCN rows have no batch norm in the decoder, as FCN has none.
# 3. **One seed**, and the iteration with the highest G on the validation pictures (section 3.3): a best of many.
# 4. **One loss** at a time; with the other weights all rows move, as above.
# 5. **BF counts void's outlines.** The published script does not leave void out, and the study follows it. How much is
#    that? Some drawn streets with void, and the ready network:

# %%
ready = ts.load_bundled("toy")
voids = [s for s in (ToyScenes(24, seed=9)[i] for i in range(24)) if (s.labels == 11).mean() > 0.02][:6]
for s in voids:
    said = ts.predict(ready, s.image)
    masked, counted = (metrics.boundary_f1(s.labels, said, 11, 11, mask_void=mask) for mask in (True, False))
    print(f"{(s.labels == 11).mean():5.1%} void   BF without void's outlines {masked:.3f}, with them {counted:.3f}")

# %% [markdown]
# What to see: the same predictions, two scores. A network cannot be right about outlines that nobody drew.
#
# 6. **Our study is smaller**, and that is not neutral. At 90x120 an encoder that sees 106 pixels sees the whole height;
#    at 360x480 it sees less than a third of it. A pixel of 90x120 is four pixels of the labels, and BF's reach is 4.5
#    (lesson 10): outlines are scored near the limit of what such a network can draw at all.
# 7. **Other pictures.** Val is 101 consecutive frames of one drive; the paper's test pictures are of two drives,
#    neither of them val's.
#
# So where study and paper agree, a conclusion has survived a change of size, pictures and seeds. Where they do not, it
# hung on one of these, and the table does not say on which.

# %% [markdown]
# ## What to remember
#
# * Decoders differ in what crosses: nothing, two bits per window, maps, or maps reduced by a 1x1 convolution.
# * Parameters, bytes that cross and time are three costs. None follows from another.
# * Maps that are read twice get the sum of two gradients; an addition gives each side all of `dout`.
# * Replication's backward adds up copies, a fixed corner's reads corners: each way up has its transpose.
# * Before one network is called better than another: how far is it from itself? What is smaller is a tie.
# * A tie is not "equal", and a table with one seed has ties that nobody can see.
# * A row's name is not all that changes from row to row: size, width, loss, and how BF treats void.
#
# Lesson 12 asks the network itself how sure it is.
