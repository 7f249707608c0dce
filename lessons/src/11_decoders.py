# %% [markdown]
# # 11 The paper's decoders at small scale
#
# **The question.** A decoder enlarges the encoder's small maps again. What does each of ten decoders cost, and what
# does it gain?
#
# **At the end** you can count the bytes that a network passes from encoder to decoder, derive the gradient of maps that
# are read twice, and tell differences from ties in a table of scores.
#
# **Prerequisites:** lessons 05 (unpooling), 07 (the network), 08 (training) and 10 (scores).
#
# Badrinarayanan et al. 2017 compare eight decoders in Table 1 and section 3.3, and mention two more in section 3.1.
# This lesson analyses a study of all ten.

# %%
import csv
import time
from pathlib import Path

import numpy as np
from scipy import stats

import tinysegnet as ts
from tinysegnet import layers, metrics, ops
from tinysegnet.data import CAMVID, labelled_images
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import segnet
from tinysegnet_lessons import figures, grader

ts.runtime.set_threads(1)  # the arrays of this lesson are too small to gain from two threads

# %% [markdown]
# ## Five ways to upsample
#
# A pool has reduced 4x4 numbers to 2x2, and other layers have turned these into `z`. The simplest way back to 4x4 is to
# repeat each number.
#
# ### Warm-up: replication
#
# Write `my_replication(z)` for `z` (N, h, w, C). Return an array (N, 2h, 2w, C) in which each number fills a 2x2
# window.


# %%
def my_replication(z):
    ### BEGIN SOLUTION
    taller = np.repeat(z, 2, axis=1)
    return np.repeat(taller, 2, axis=2)
    ### END SOLUTION


# %%
my_replication = grader.grade("replication", my_replication)

# %% [markdown]
# The library has five layers for upsampling:

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

# %%
ups = {name: way.forward(z_small[None, :, :, None], training=True)[0, :, :, 0] for name, way in ways.items()}
assert np.array_equal(ups["replication"], np.array(my_replication(z_small[None, :, :, None]))[0, :, :, 0])
figures.show_arrays([(name, up.round(1)) for name, up in ups.items()])

# %% [markdown]
# *Indices* puts each number where the pool found its maximum; *fixed* always uses the top left pixel of each window.
# *Bilinear* interpolates between neighbours. A *transposed convolution* spreads each number with a trained kernel, here
# its initial bilinear kernel.
#
# Only *indices* needs more from the encoder than a size.
#
# ### Exercise 1: a transposed convolution
#
# Write `my_transposed_convolution(z, weight)` for one channel and stride 2, without padding.
#
# * `z` has the shape (h, w), and `weight` (K, K). Each number `z[u, v]` adds `z[u, v] * weight` to the window of K x K
#   pixels whose top left pixel is (2u, 2v). Windows overlap if K is larger than 2.
# * Return the sum (2(h - 1) + K, 2(w - 1) + K).


# %%
def my_transposed_convolution(z, weight):
    ### BEGIN SOLUTION
    h, w = z.shape
    K = len(weight)
    out = np.zeros((2 * (h - 1) + K, 2 * (w - 1) + K))
    for u in range(h):
        for v in range(w):
            out[2 * u : 2 * u + K, 2 * v : 2 * v + K] += z[u, v] * weight
    return out
    ### END SOLUTION


# %%
my_transposed_convolution = grader.grade("transposed_convolution", my_transposed_convolution)

# %%
tent = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 16
spread_out = np.array(my_transposed_convolution(z_small, tent))
library, _ = ops.conv_transpose2d_forward(z_small[None, :, :, None], tent[:, :, None, None], stride=2, padding=0)
assert np.allclose(spread_out, library[0, :, :, 0])
figures.show_arrays([("z", z_small), ("kernel", tent), ("out", spread_out)], decimals=1)

# %% [markdown]
# ## The maps themselves can be passed across
#
# A decoder stage can return maps of the same size as an encoder's pool, so the two can be added. Let `x` be an encoder
# map that a pool returned:

# %%
sum_small = ups["bilinear"] + x_small
figures.show_arrays([("from below", ups["bilinear"]), "+", ("x, from the encoder", x_small), "=", ("out", sum_small)],
                decimals=0)  # fmt: skip

# %% [markdown]
# How many times as many bytes does the output of a pool take in float32, compared with the indices of this pool?

# %%
prediction = ...  # a number
grader.predict("maps_against_indices", prediction)

# %% [markdown]
# A cheaper way is to reduce the 64 channels to one channel per class with a 1x1 convolution, and to pass the reduced
# maps across.
#
# ## The formula
#
# Pool $s = 1 \dots 4$ returns the maps $p_s$ and the indices $i_s$. The decoder's stages are numbered from 4 down to 1.
# $U$ is one of the five ways to upsample, $D_s$ are the layers after it, and $R_s$ is the 1x1 reduction or the
# identity. With addition,
#
# $$d_s = D_s\big(U(d_{s+1};\ i_s)\big) + R_{s-1}(p_{s-1}), \qquad s = 4, 3, 2, \qquad d_5 = p_4,$$
#
# and $d_1 = D_1(U(d_2;\ i_1))$. (With a reduction, $d_5 = R_4(p_4)$, and $R_4$ is the classifier.) `SegNetConfig`
# (lesson 07) has the settings `up`, `depthwise`, `add` and `reduce` for these choices:

# %%
figures.show_source(segnet.SegNetConfig.layers)

# %%
names = ["bilinear-interpolation", "basic", "basic-encoder-addition", "basic-single-channel-decoder", "fcn-basic",
         "fcn-basic-no-addition", "fcn-basic-no-dim-reduction", "fcn-basic-no-addition-no-dim-reduction",
         "replication", "fixed-index"]  # fmt: skip
print(f"{'':39} up          convolution  reduce  add")
for name in names:
    d = ts.models[name]()
    convolution = ("depthwise" if d.depthwise else "full") if any(d.decoder) else "-"
    print(f"{name:39} {d.up:11} {convolution:12} {'yes' if d.reduce else '-':7} {'yes' if d.add else '-'}")

# %%
figures.show_network(ts.build("basic-encoder-addition"), (360, 480))

# %% [markdown]
# Thin green lines carry indices, and thick pink lines carry maps.
#
# ## Costs of the decoders
#
# The next table is for full width and 360x480 pixels, as in the paper:

# %%
print(f"{'':39} numbers in kernels   crossing, MB: indices   maps   GFLOP")
summaries = {name: ts.build(name).summary((360, 480)) for name in names}
for name, s in summaries.items():
    maps = sum(row.skip_bytes for row in s.rows if row.kind == "SkipSource")
    indices = s.total("skip_bytes") - maps
    print(f"{name:39} {s.kernels:18,}   {indices / 1e6:21.2f} {maps / 1e6:6.2f} {s.gflops:7.1f}")

# %% [markdown]
# ### Exercise 2: bytes passed to the decoder
#
# Write `my_crossing_bytes(H, W, C, K)` for an encoder of C channels with four pools of 2x2.
#
# * Return three integers, in bytes, for one picture of H x W. `indices` counts all four pools, at two bits per window
#   and channel, where the channels of a window fill whole bytes (lesson 07). `maps` counts the outputs of the first
#   three pools, in float32. `reduced` counts the same maps with K channels instead of C.
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
    bytes_per_pixel = (C + 3) // 4  # four channels of two bits fill a byte
    return sum(windows) * bytes_per_pixel, 4 * C * pixels, 4 * K * pixels
    ### END SOLUTION


# %%
my_crossing_bytes = grader.grade("crossing_bytes", my_crossing_bytes)

# %% [markdown]
# Compare your bytes with the "storage multipliers" of Table 1:

# %%
of_indices, of_maps, of_reduced = my_crossing_bytes(360, 480, 64, 11)
assert of_indices == summaries["basic"].total("skip_bytes")
assert of_indices + of_maps == summaries["basic-encoder-addition"].total("skip_bytes")
for name, crossing, paper in (("basic", of_indices, 1), ("fcn-basic", of_reduced, 11),
                              ("fcn-basic-no-dim-reduction", of_maps, 64)):  # fmt: skip
    print(f"{name:39} {crossing / of_indices:5.1f} times the indices   (the paper: {paper})")

# %% [markdown]
# ### Time
#
# Measure the forward time at half the width, for pictures of 90x120. Every network runs once per round, so that other
# load on the machine affects all alike.

# %% tags=["parameters"] fast="ROUNDS = 1"
ROUNDS = 9

# %%
picture = np.random.default_rng(0).uniform(0, 255, (1, 90, 120, 3)).astype(np.float32)
halves = {name: ts.build(name, width=0.5) for name in names}
taken = {name: [] for name in names}
for turn in range(ROUNDS + 1):  # the first round may compile and does not count
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
# ## Backward
#
# ### Maps that are read twice
#
# The encoder's maps $p$ are read twice: by the next encoder stage $E$ and by the addition. The reduction computes
# $p\,W$ at every pixel (a row of C numbers times a matrix C x K):
#
# $$\text{next} = E(p), \qquad \text{out} = u + p\,W .$$
#
# For one number $p_c$ of a pixel the chain rule sums over both paths to the loss $J$:
#
# $$\frac{\partial J}{\partial p_c} =
# \underbrace{\frac{\partial J}{\partial\, \text{next}} \cdot
# \frac{\partial\, \text{next}}{\partial p_c}}_{\text{dnext}_c\text{, from the stages below}} +
# \sum_k \underbrace{\frac{\partial J}{\partial\, \text{out}_k}}_{\text{dout}_k}
# \underbrace{\frac{\partial\, \text{out}_k}{\partial p_c}}_{W_{ck}}$$

# %% [markdown]
# This gives $\text{dp} = \text{dnext} + \text{dout}\, W^T$. Without a reduction $W$ is the identity. Since $\partial\,
# \text{out}_k / \partial u_k = 1$, $\text{du} = \text{dout}$: an addition copies its gradient. Since every pixel uses
# $W_{ck}$, $\text{dW}_{ck} = \sum_{n, i, j} p_{nijc}\, \text{dout}_{nijk}$.
#
# ### Exercise 3: the backward pass of a skip connection
#
# Write `my_skip_backward(dout, dnext, maps, weight)` for `out = up + maps @ weight`, where the encoder's next stage
# also reads `maps`.
#
# * `dout` (N, h, w, K) is the gradient of `out`, and `dnext` (N, h, w, C) the gradient of `maps` that comes from the
#   next stage. `maps` is (N, h, w, C), and `weight` (C, K).
# * Return `dup` (N, h, w, K), `dmaps` (N, h, w, C), `dweight` (C, K).


# %%
def my_skip_backward(dout, dnext, maps, weight):
    ### BEGIN SOLUTION
    C, K = weight.shape
    dmaps = dnext + dout @ weight.T
    dweight = maps.reshape(-1, C).T @ dout.reshape(-1, K)
    return dout, dmaps, dweight
    ### END SOLUTION


# %%
my_skip_backward = grader.grade("skip_backward", my_skip_backward)

# %% [markdown]
# In the library, the backward pass of `SkipAdd` leaves `dout` on the tape. Later `SkipSource` gets dnext and adds the
# two gradients:

# %%
figures.show_source(layers.SkipSource._backward)

# %% [markdown]
# ### Backward passes of the five layers
#
# All five ways to upsample are linear in `z`, so each backward pass multiplies by a transposed matrix (lesson 05). If
# `dout` is 1 everywhere, what is every number of replication's dz?

# %%
prediction = ...  # a number
grader.predict("replication_of_ones", prediction)

# %%
dout_small = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]])
dzs = {name: way.backward(dout_small[None, :, :, None])[0, :, :, 0] for name, way in ways.items()}
assert np.array_equal(dzs["fixed"], dout_small[::2, ::2])
assert np.array_equal(dzs["replication"], dout_small.reshape(2, 2, 2, 2).sum((1, 3)))
for name, dz in dzs.items():
    assert np.isclose((dz * z_small).sum(), (dout_small * ups[name]).sum())  # the adjoint identity of lesson 02
figures.show_arrays([("dout", dout_small), *((name, dz.round(1)) for name, dz in dzs.items())])

# %% [markdown]
# ### Check the gradients

# %%
rng = np.random.default_rng(0)
report = ts.gradcheck.check(lambda up, maps, weight: (up + maps @ weight, (maps, weight)),
                            lambda dout, cache: my_skip_backward(dout, np.zeros(cache[0].shape), *cache),
                            *map(rng.standard_normal, ((2, 3, 2, 3), (2, 3, 2, 4), (4, 3))))  # fmt: skip
print(f"{'my_skip_backward':24} right: {report.ok}")
for op in ("upsample_nearest2d", "upsample_bilinear2d", "conv_transpose2d", "depthwise_conv2d"):
    report = ts.gradcheck.check_op(op)
    print(f"{op:24} right: {report.ok}, {len(report.parts)} cases, {report.checked} numbers")
for name in ("basic-encoder-addition", "fcn-basic", "fixed-index"):
    network = ts.build(name, num_classes=3, width=1 / 32, dtype=np.float64)
    report = ts.gradcheck.check_model(network, size=(18, 22), directions=1, entries=1)
    print(f"{name:24} right: {report.ok}, {len(report.tensors)} tensors")
    assert report.ok

# %% [markdown]
# ### A forgotten gradient
#
# A typical bug: the backward pass ignores the path from the decoder to the encoder's maps. All shapes fit, and the
# network may still learn. Plant the bug in every skip source:


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
# From the loss towards the picture, the first refused tensor comes directly before the last skip source, the place of
# the first mistake.
#
# ## The study
#
# `examples/decoder_study.py` trained the ten networks on CamVid's 367 training pictures, reduced to 90x120, at half the
# width, for 40 epochs by SGD with momentum 0.9, in batches of 4, with median-frequency weights (lesson 06) and two
# seeds per network. All were scored on the 101 validation pictures at 360x480, with void's outlines in BF, as in the
# authors' script.

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
    means = " ".join(f"{np.mean(my_values(name, score)):7.2f}" for score in ("G", "C", "mIoU", "BF"))
    costs = my_values(name, "parameters")[0], my_values(name, "crossing_bytes")[0]
    print(f"{name:39} {means} {costs[0]:12,.0f} {costs[1] / 1e3:14.1f}")

# %% [markdown]
# ### The spread of the seeds
#
# For each network, compute the difference between the largest and the smallest score of its seeds. The largest of these
# differences is the **spread** of a score. A smaller difference between two networks is called a **tie**.
#
# ### Exercise 4: a verdict with ties
#
# Write `my_verdict(scores, one, other)`.
#
# * `scores` has the shape (networks, seeds). `one` and `other` are row numbers.
# * Return three numbers. `spread` is that of all networks. `difference` is the mean of row `one` minus the mean of row
#   `other`. `sign` is 0 for a tie, where the absolute difference is smaller than the spread. Otherwise it is 1 or -1,
#   the sign of the difference.


# %%
def my_verdict(scores, one, other):
    ### BEGIN SOLUTION
    spread = (scores.max(axis=1) - scores.min(axis=1)).max()
    difference = scores[one].mean() - scores[other].mean()
    if abs(difference) < spread:
        return spread, difference, 0
    return spread, difference, int(np.sign(difference))
    ### END SOLUTION


# %%
my_verdict = grader.grade("verdict", my_verdict)

# %%
rows = [
    (name, weights) for weights in ("median frequency", "natural") for name in names if my_values(name, "G", weights)
]
tables = {score: np.array([my_values(name, score, weights) for name, weights in rows])
          for score in ("G", "C", "mIoU", "BF")}  # fmt: skip
spread = {score: float(my_verdict(values, 0, 1)[0]) for score, values in tables.items()}
for score, values in tables.items():
    print(f"{score:5} spread {spread[score]:5.2f}   (median of the networks {np.median(np.ptp(values, 1)):.2f})")

# %% [markdown]
# Test the rule on thirteen equally good networks with two seeds each, where every score is the same number plus normal
# noise. In how many per cent of the trials does the rule tell two of them apart: (a) fewer than 5, (b) 5 to 20, or (c)
# more than 20?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("equal_networks_told_apart", prediction)

# %%
rng = np.random.default_rng(0)
trials = [my_verdict(rng.standard_normal((13, 2)), 0, 1) for _ in range(5000)]
print(f"equal networks told apart in {np.mean([sign != 0 for _, _, sign in trials]):.1%} of the trials")
single = np.abs(rng.standard_normal((5000, 2)) @ [1, -1])
print(f"with one seed each they differ by more than the noise in {np.mean(single > 1):.0%}, and the noise is unknown")

# %% [markdown]
# A tie means "not told apart by these runs", not "equal".
#
# ### Our study next to the paper's table
#
# The dots are our scores, one per run, and the diamonds are the paper's. The paper scored other pictures, so compare
# only the order. A bar is as wide as the spread, so networks whose bars overlap are tied.

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
# ### The paper's conclusions, one by one
#
# The number in each claim is the sign of the paper's difference, with 0 for "about as good".

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
def my_difference(one, other, score):
    return my_verdict(tables[score], names.index(one), names.index(other))[1]


for k, score in enumerate(("mIoU", "BF")):
    print(f"\n{score}: spread {spread[score]:.2f}{'':32} here   the paper   verdict")
    for claim, one, other, sign in claims:
        _, here, found = my_verdict(tables[score], names.index(one), names.index(other))
        both = one in published and other in published
        paper = f"{published[one][k] - published[other][k]:+.1f}" if both else "-"
        verdict = "holds" if found == sign else "does not hold" if found else "tie"
        print(f"{claim:46} {here:+8.2f} {paper:>9}     {verdict}")

# %% [markdown]
# *Tie* means that these runs cannot decide. The next cell checks three conclusions. First, where indices or maps cross
# to a decoder that mixes channels, outlines are far better. Second, indices improve outlines only, but maps improve
# outlines and regions. Third, FCN-Basic, which is about as good as SegNet-Basic in the paper, is well ahead in mIoU at
# this size.

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
# Which of the paper's own differences are smaller than our spread, which comes from smaller networks and pictures?

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
# Three networks were also trained with *natural* frequencies, where every pixel has the weight 1:

# %%
print(f"{'natural minus median frequency':39}       G       C    mIoU      BF")
for name in ("basic", "bilinear-interpolation", "fcn-basic"):
    gaps = [np.mean(my_values(name, score, "natural")) - np.mean(my_values(name, score)) for score in spread]
    print(f"{name:39} {' '.join(f'{gap:+7.2f}' for gap in gaps)}")
print(f"{'spread':39} {' '.join(f'{value:7.2f}' for value in spread.values())}")

# %% [markdown]
# A network that may neglect rare classes gets more pixels right, so a comparison of decoders is valid *for one loss*
# only.
#
# ## Train two networks yourself
#
# Train bilinear interpolation and SegNet-Basic at an eighth of their width, on drawn streets, with three seeds each.

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
# "single runs" is the range of differences that could have been published with one seed each. Such short runs say
# little about decoders.
#
# ## What Table 1 does and does not compare
#
# The networks also differ in size: `basic` has 1.4 million parameters, and `bilinear-interpolation` 0.6 million. Where
# maps are reduced, the whole decoder has 11 channels. The paper used one seed per network.
#
# In our study, an encoder with a receptive field of 106 pixels sees the whole height of 90 rows, but less than a third
# of the paper's 360. Our test pictures are 101 consecutive frames of one drive; the paper's test pictures come from two
# other drives.

# %% [markdown]
# ### Challenge: a test that finds more differences
#
# Write `my_better_verdict(scores, one, other)`, which returns only the sign: 1, -1, or 0 for a tie. It must also decide
# clear cases with fewer networks.
#
# The grader draws scores with normal noise of size 1 for 13 networks with two seeds each. In 2000 trials all networks
# are equal; at most 5 % of them may be told apart, or else the result is 0. In 2000 trials row `one` is better by 2.5.
# The result is the share of these in which your sign is 1.


# %%
def my_better_verdict(scores, one, other):
    ### BEGIN SOLUTION
    networks, seeds = scores.shape
    noise = np.sqrt(scores.var(axis=1, ddof=1).mean())  # all networks together measure the noise
    difference = scores[one].mean() - scores[other].mean()
    in_units_of_noise = difference / (noise * np.sqrt(2 / seeds))
    # Equal networks exceed this quantile of Student's distribution in 4 % of cases.
    limit = stats.t.ppf(0.98, networks * (seeds - 1))
    return int(np.sign(difference)) if abs(in_units_of_noise) > limit else 0
    ### END SOLUTION


# %%
my_better_verdict = grader.grade("better_verdict", my_better_verdict)

# %%
for score in ("mIoU", "BF"):
    both = [(my_verdict(tables[score], names.index(one), names.index(other))[2],
             my_better_verdict(tables[score], names.index(one), names.index(other)), sign)
            for _, one, other, sign in claims if sign]  # fmt: skip
    print(f"{score:5} of {len(both)} differences: told apart by the spread {sum(old != 0 for old, _, _ in both)}, "
          f"by your test {sum(new != 0 for _, new, _ in both)}")  # fmt: skip

# %% [markdown]
# ## What to remember
#
# * Decoders get nothing, two bits per window, maps, or reduced maps from the encoder.
# * Parameters, bytes passed to the decoder, and time are three separate costs.
# * The gradient of maps that are read twice is a sum. An addition passes `dout` to both of its inputs.
# * The backward pass of each way to upsample is its transpose.
# * Measure the spread between seeds. A smaller difference is a tie. A table with one seed per network cannot show its
#   ties.

# %% [markdown]
# ## Read next
#
# * Long, Shelhamer and Darrell 2015, "Fully Convolutional Networks for Semantic Segmentation": where learned upsampling
#   and added maps come from.
# * Odena, Dumoulin and Olah 2016, "Deconvolution and Checkerboard Artifacts" (Distill): what the overlaps of a
#   transposed convolution do to a picture.
# * Bouthillier et al. 2021, "Accounting for Variance in Machine Learning Benchmarks": how to compare two methods whose
#   scores depend on seeds.
