# %% [markdown]
# # 04 ReLU and batch normalisation
#
# **The question.** After every convolution of SegNet's encoder stand two small operations. Batch normalisation brings
# each channel to mean 0 and variance 1, then lets the network choose another mean and another spread. ReLU cuts off
# what is negative (Badrinarayanan et al. 2017, section 3). What are they for, and how does a gradient pass back through
# them?
#
# **At the end** you know
#
# * why a network without ReLU is a single convolution, and what ReLU's slope is, 0 included;
# * what batch normalisation does to the feature maps of a deep network, in training and in inference;
# * its backward, first in ten small steps, then in one line that you have derived yourself;
# * why a bias before batch normalisation has gradient zero, and what that does to a gradient check.
#
# **Needed before:** lessons 01 to 03: convolution, its gradient, and gradient checks.

# %%
import timeit

import numpy as np

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs, compare_op

# %% [markdown]
# ## Why there must be a bend
#
# A function $f$ is *linear* if $f(a + b) = f(a) + f(b)$. A convolution is linear, and linear functions one after
# another are linear again. Two 3x3 convolutions in a row are one 5x5 convolution; thirteen of them, as in SegNet's
# encoder, are one convolution with a large kernel. Depth would buy nothing. A bend between them changes that.

# %%
rng = np.random.default_rng(0)
weights = rng.standard_normal((2, 3, 3, 1, 1))
a, b = rng.standard_normal((2, 1, 6, 6, 1))


def two_layers(x, between):
    hidden, _ = ops.conv2d_forward(x, weights[0])
    return ops.conv2d_forward(between(hidden), weights[1])[0]


for name, between in [("nothing between", lambda h: h), ("ReLU between", lambda h: np.maximum(h, 0))]:
    gap = two_layers(a + b, between) - two_layers(a, between) - two_layers(b, between)
    print(f"{name:<16} f(a + b) - f(a) - f(b): at most {np.abs(gap).max():.1e}")

# %% [markdown]
# The first gap is rounding: without a bend the two layers are linear. The second is of the order of the numbers
# themselves.
#
# ## ReLU forward
#
# ReLU, the *rectified linear unit*, is the cheapest bend there is. It acts on each number by itself:
#
# $$\text{out} = \max(x, 0)$$

# %%
x = np.array([[3.0, -1, 0, 2], [-2, 4, -3, 1], [0, -4, 5, -1], [1, 2, -2, -5]])
out, cache = ops.relu_forward(x)
figures.show_arrays([("x", x), ("out", out)])

# %% [markdown]
# What is positive (orange) passes as it is. What is negative (blue) becomes 0, and a 0 stays 0.
#
# ## ReLU backward
#
# One number of `out` depends on one number of $x$, so the chain rule has a single term:
#
# $$\mathrm{dx} = \frac{\partial J}{\partial x}
# = \frac{\partial J}{\partial\, \text{out}} \cdot \frac{\partial\, \text{out}}{\partial x}
# = \mathrm{dout} \cdot \frac{\partial\, \text{out}}{\partial x}
# \qquad\text{with}\qquad
# \frac{\partial\, \text{out}}{\partial x} = \begin{cases} 1 & x > 0 \\ 0 & x < 0 \end{cases}$$
#
# Here $J$ is the loss, and `dx` and `dout` are its gradients by `x` and `out`, as in lesson 02. In words: `dx` is
# `dout` where $x > 0$, and 0 elsewhere.

# %%
dout = np.array([[1.0, 2, 3, -4], [2, -1, 1, 5], [-3, 1, 2, -2], [-1, 3, -2, 1]])
dx = ops.relu_backward(dout, cache)
figures.show_arrays([("x", x), ("dout", dout), ("dx", dx)], highlight={"x": (0, 3), "dout": (0, 3), "dx": (0, 3)})

# %% [markdown]
# The framed cell: $x = 2$ was positive, so the gradient $-4$ passes, although it is negative. A negative gradient is
# good news about a larger number ("more of this lowers the loss"), and it must not be lost.
#
# **At zero** there is no slope. From the right it is 1, from the left 0, and a central difference takes the mean:

# %%
h = 1e-5
print("central difference at 0:", (max(h, 0) - max(-h, 0)) / (2 * h))
print("the library's slope at 0:", ops.relu_backward(np.ones(1), ops.relu_forward(np.zeros(1))[1])[0])

# %% [markdown]
# Every number from 0 to 1 would do. 0 is the convention, here and in PyTorch: where `out` is 0, nothing goes back.
# It is a convention and no theorem. So a gradient check must not ask about it (lesson 03), and two libraries must
# agree on it to get the same numbers.
#
# The convention has a practical side. `out` is positive exactly where $x$ is, so backward can ask `out` and need not
# keep $x$. The next layer keeps `out` anyway: ReLU's cache costs no memory. This is the library's own code:

# %%
figures.show_source(ops.relu.relu_forward_numpy)

# %%
figures.show_source(ops.relu.relu_backward_numpy)

# %% [markdown]
# The gradient check compares it with central differences, on numbers that are never within a step of 0:

# %%
ts.gradcheck.check_op("relu")

# %% [markdown]
# **What breaks it.** The mask must come from $x$ or `out`. A mask made from the sign of `dout` looks much the same in
# code. The library keeps such mistakes as *planted bugs*, right except for one thing, and the check must refuse each:

# %%
bug = bugs["relu_sign_of_dout"]
report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
assert not report.ok
print(bug.sentence, "\nbroken laws:", report.broken_laws)
figures.show_gradient(report, "dx")

# %% [markdown]
# Red cells are refused. They are those where $x > 0$ and `dout` is negative, or the other way round. A second law is
# broken, too: a backward is linear in `dout`, so twice the gradient in must give twice the gradient out, and the
# negative of it the negative. A mask made from `dout` fails that without any difference being taken.
#
# A slope of 1 at zero is the other kind of mistake. No difference can judge it; a comparison with the right answers,
# zeros included, does:

# %%
bug = bugs["relu_slope_at_zero"]
print("the check accepts it:", ts.gradcheck.check_op(bug.op, pair=bug.pair).ok)
print(f"relative difference from the library: {compare_op(bug.op, *bug.pair):.2g}")

# %% [markdown]
# ### Exercise 1: ReLU's backward
#
# Write `my_relu_backward(dout, x)`. Both arrays have the same shape, any shape; return `dx` of that shape. Here you
# are given $x$ itself. The slope at 0 is 0.


# %%
def my_relu_backward(dout, x):
    ### BEGIN SOLUTION
    return np.where(x > 0, dout, 0)
    ### END SOLUTION


# %%
grader.grade("relu_backward", my_relu_backward)

# %% [markdown]
# ## Why normalise: a deep network before any training
#
# Thirteen convolutions with 16 channels each, ReLU after each one, random weights. He et al. 2015 give the spread (the
# standard deviation) that such weights should have. A network does not stay there: training changes its weights, and a
# layer's input with them. So look at three networks whose weights are half as large as that rule says, as it says, and
# twice as large. Each with and without normalisation:

# %%
picture = ToyScenes(1, seed=4, size=(48, 64))[0].image
pixels = (picture[None] / 255).astype(np.float32)


def deep_feature_maps(x, scale, normalise):
    rng, maps = np.random.default_rng(0), []
    for _ in range(13):
        C = x.shape[3]
        weight = scale * np.sqrt(2 / (9 * C)) * rng.standard_normal((3, 3, C, 16))
        x, _ = ops.conv2d_forward(x, weight.astype(np.float32))
        if normalise:
            (x, _, _), _ = ops.batchnorm2d_forward(x, np.ones(16, np.float32), np.zeros(16, np.float32))
        maps.append(ops.relu_forward(x)[0])
        x = maps[-1]
    return maps


# %%
spreads = {}
for normalise in (False, True):
    for scale in (0.5, 1.0, 2.0):
        name = f"weights x {scale:g}" + (", normalised" if normalise else "")
        spreads[name] = [float(maps.std()) for maps in deep_feature_maps(pixels, scale, normalise)]
for name, values in spreads.items():
    print(f"{name:<25} spread of layer 1: {values[0]:.2g}, of layer 13: {values[-1]:.2g}")

# %% tags=["map"]
figures.show_plot(spreads, title="Spread of the feature maps", x="layer", y="standard deviation", log="y", first=1)

# %% [markdown]
# The vertical axis is logarithmic. Without normalisation the spread is multiplied by about the same factor in every
# layer: after thirteen of them it is thousands of times too small or too large, unless the weights have the one right
# size. With normalisation the three lines lie on each other. The size of the weights no longer matters.
#
# The feature maps themselves, for weights half as large. Four layers, of each the channel that varies most:

# %%
small = {normalise: deep_feature_maps(pixels, 0.5, normalise) for normalise in (False, True)}
panels, titles = [], []
for normalise, maps in small.items():
    for layer in (1, 5, 9, 13):
        channel = small[True][layer - 1].std((0, 1, 2)).argmax()
        panels.append(maps[layer - 1][0, :, :, channel])
        titles.append(f"layer {layer}" + (", normalised" if normalise else ""))
figures.show_feature_maps(np.stack(panels, -1), titles, columns=4, scale=2.0)

# %% [markdown]
# Above: without normalisation the street is pale in layer 1, and from layer 5 on there is nothing left to see in this
# scale. Below: the same weights, normalised. Something of the street reaches layer 13, although nothing has been
# learned yet. (The strong lines at the edges come from the zeros that the convolutions pad with.)
#
# ## Batch normalisation forward
#
# Each channel is treated by itself. Its numbers are those of all pixels of all pictures in the batch,
# $m = N \cdot H \cdot W$ of them. For one channel (Ioffe & Szegedy 2015, algorithm 1):
#
# $$\mu = \frac1m \sum_i x_i \qquad
# \sigma^2 = \frac1m \sum_i (x_i - \mu)^2 \qquad
# \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad
# \text{out}_i = \gamma\, \hat x_i + \beta$$
#
# $\gamma$ and $\beta$ are learned, one of each a channel. $\varepsilon = 10^{-5}$ keeps the root from 0 where a
# channel is constant. One channel of one 4x4 picture, with $\gamma = 3$, $\beta = 1$, and for once $\varepsilon = 0$:

# %%
x = np.array([[7.0, -1, 5, 1], [3, 5, 3, 1], [1, 3, 5, 3], [3, 5, 1, 3]])
(out, mean, var), _ = ops.batchnorm2d_forward(x[None, :, :, None], np.array([3.0]), np.array([1.0]), eps=0.0)
print(f"mean {mean[0]:g}, variance {var[0]:g}, so standard deviation {np.sqrt(var[0]):g}")
x_hat = (x - mean) / np.sqrt(var)
figures.show_arrays(
    [("x", x), ("x - mean", x - mean), ("x_hat", x_hat), ("out", out[0, :, :, 0])], highlight={"x": (0, 1)}
)

# %% [markdown]
# Follow the framed $-1$ to the right: minus the mean 3 is $-4$, divided by the standard deviation 2 is $-2$, times 3
# plus 1 is $-5$. The middle of `x_hat` is 0 and its spread 1; the middle of `out` is $\beta = 1$ and its spread
# $\gamma = 3$.
#
# The library's source. The second line of the mean repairs what rounding lost in a long sum:

# %%
figures.show_source(ops.batchnorm.batchnorm2d_forward_numpy)

# %% [markdown]
# Three things to verify. Every channel of the result has mean $\beta$ and standard deviation $|\gamma|$. The
# statistics run over the batch, not over each picture. And an input that is stretched and shifted gives the same
# result, which is why the size of the weights did not matter above:

# %%
x = rng.standard_normal((2, 5, 6, 3)) * [1.0, 5.0, 0.2] + [0.0, 10.0, -3.0]
gamma, beta = np.array([1.0, -2.0, 0.5]), np.array([0.0, 3.0, -1.0])
(out, mean, var), cache = ops.batchnorm2d_forward(x, gamma, beta)
print("mean of each channel     ", out.mean((0, 1, 2)).round(4), " beta ", beta)
print("deviation of each channel", out.std((0, 1, 2)).round(4), " gamma", gamma)
print("means in picture 0 alone ", out[0].mean((0, 1)).round(4))
for eps in (1e-5, 0.0):
    (out, _, _), _ = ops.batchnorm2d_forward(x, gamma, beta, eps=eps)
    (stretched, _, _), _ = ops.batchnorm2d_forward(7 * x + 4, gamma, beta, eps=eps)
    print(f"eps {eps:g}: x -> 7 x + 4 changes the result by at most {np.abs(stretched - out).max():.1e}")

# %% [markdown]
# The small difference comes from $\varepsilon$: without it only rounding is left.
#
# ### Two passes, not one
#
# $\sigma^2$ is also $\frac1m\sum x_i^2 - \mu^2$, which needs one pass over the numbers instead of two. The SegNet
# authors' own code computes it so. In float32, which holds about seven digits, it subtracts two large numbers that
# agree in nearly all of them:

# %%
far = (rng.standard_normal((2, 20, 20, 1)) + 1e4).astype(np.float32)
one_pass = (far**2).mean() - far.mean() ** 2
(_, _, two_passes), _ = ops.batchnorm2d_forward(far, np.ones(1, np.float32), np.zeros(1, np.float32))
print(f"true variance {far.astype(np.float64).var():.4f}, two passes {two_passes[0]:.4f}, one pass {one_pass:.4f}")

# %% [markdown]
# The one-pass result has no right digit left. It may even be negative, and the root of that is not a number.
#
# ### Exercise 2: batch normalisation forward
#
# Write `my_batchnorm(x, gamma, beta, eps)` for `x` (N, H, W, C) and `gamma`, `beta` (C,). Return three results: `out`
# (N, H, W, C), `mean` (C,) and `var` (C,), the variance divided by $m$. Use NumPy only.


# %%
def my_batchnorm(x, gamma, beta, eps):
    ### BEGIN SOLUTION
    mean = x.mean((0, 1, 2))
    var = ((x - mean) ** 2).mean((0, 1, 2))
    return gamma * (x - mean) / np.sqrt(var + eps) + beta, mean, var
    ### END SOLUTION


# %%
grader.grade("batchnorm_forward", my_batchnorm)

# %% [markdown]
# ## In training and in inference
#
# There is a price. In training, what the network says of a picture depends on the other pictures of its batch:

# %%
one, other, third = (spread * rng.standard_normal((1, 4, 4, 3)) for spread in (1, 2, 5))
with_other = ops.batchnorm2d_forward(np.concatenate([one, other]), gamma, beta)[0][0][:1]
with_third = ops.batchnorm2d_forward(np.concatenate([one, third]), gamma, beta)[0][0][:1]
print("the same picture in two batches differs by up to", np.abs(with_other - with_third).max().round(2))

# %% [markdown]
# In inference this must not be: a prediction may depend on the picture only. So the layer keeps *running statistics*.
# After each training batch they move a tenth of the way towards the batch's own (`momentum=0.1`), and in inference they
# take the place of $\mu$ and $\sigma^2$. (What the factor `count / (count - 1)` is for comes after the backward.)

# %%
figures.show_source(ts.layers.BatchNorm2d.observe)

# %%
layer = ts.layers.BatchNorm2d(1, dtype=np.float64)
for batch in range(1, 51):
    layer.forward(rng.standard_normal((2, 8, 8, 1)) * 2 + 10, training=True)
    if batch in (1, 10, 50):
        mean, var = (layer.buffers[name][0] for name in ("running_mean", "running_var"))
        print(f"after {batch:>2} batches: running mean {mean:6.3f} (10 wanted), running variance {var:.3f} (4 wanted)")
print("share of the way after 1, 5, 10, 50 batches:", [round(1 - 0.9**k, 2) for k in (1, 5, 10, 50)])

# %% [markdown]
# The running mean starts at 0 and has gone $1 - 0.9^k$ of the way after $k$ batches. A network that is used after
# five steps of training is normalised by numbers that are mostly the starting values.

# %%
pictures = rng.standard_normal((4, 8, 8, 1)) * 2 + 10
alone = layer.forward(pictures[:1])
print("inference, alone or in a batch, the same:", np.array_equal(alone, layer.forward(pictures)[:1]))

# %% [markdown]
# ### What gamma and beta are for
#
# With mean 0 and variance 1 alone, ReLU would always cut about half of every channel. $\beta$ moves the bend, and a
# channel may choose how often it speaks. $\gamma$ sets how loudly. Both could even undo the normalisation:

# %%
x = rng.standard_normal((2, 40, 40, 1)) * 3 + 5
for shift in (-1.0, 0.0, 1.0):
    (out, mean, var), _ = ops.batchnorm2d_forward(x, np.ones(1), np.array([shift]))
    print(f"beta {shift:+.0f}: ReLU lets {np.mean(out > 0):.2f} of the numbers through")
(back, _, _), _ = ops.batchnorm2d_forward(x, np.sqrt(var + 1e-5), mean)
print(f"gamma = sqrt(var + eps), beta = mean gives x back, up to {np.abs(back - x).max():.1e}")

# %% [markdown]
# ## Backward, in ten steps
#
# Backward is harder than ReLU's because every output depends on every input of its channel: $x_i$ stands in the
# formula itself, in $\mu$, and in $\sigma^2$. The way to stay calm is to write the forward as a *computational graph*,
# a list of steps so small that each has a derivative one knows by heart, and to walk it in reverse.

# %% [markdown]
# Ten steps, with the name of what each makes:
#
# | step | makes | from | formula |
# |---|---|---|---|
# | 1 | `mean` | `x` | $\mu = \frac1m\sum_i x_i$ |
# | 2 | `centred` | `x`, `mean` | $c_i = x_i - \mu$ |
# | 3 | `squared` | `centred` | $q_i = c_i^2$ |
# | 4 | `var` | `squared` | $\sigma^2 = \frac1m\sum_i q_i$ |
# | 5 | `var_eps` | `var` | $v = \sigma^2 + \varepsilon$ |
# | 6 | `std` | `var_eps` | $r = \sqrt v$ |
# | 7 | `inv_std` | `std` | $s = 1 / r$ |
# | 8 | `x_hat` | `centred`, `inv_std` | $\hat x_i = c_i\, s$ |
# | 9 | `scaled` | `x_hat`, `gamma` | $g_i = \gamma\, \hat x_i$ |
# | 10 | `out` | `scaled`, `beta` | $\text{out}_i = g_i + \beta$ |

# %% [markdown]
# As code, the same list. Each step is a function of what came before it:

# %%
PIXELS = (0, 1, 2)  # the axes that a channel's sums run over
STEPS = {
    "mean": lambda v: v["x"].mean(PIXELS),
    "centred": lambda v: v["x"] - v["mean"],
    "squared": lambda v: v["centred"] ** 2,
    "var": lambda v: v["squared"].mean(PIXELS),
    "var_eps": lambda v: v["var"] + 1e-5,
    "std": lambda v: np.sqrt(v["var_eps"]),
    "inv_std": lambda v: 1 / v["std"],
    "x_hat": lambda v: v["centred"] * v["inv_std"],
    "scaled": lambda v: v["gamma"] * v["x_hat"],
    "out": lambda v: v["scaled"] + v["beta"],
}

# %% [markdown]
# Walk them in order. `nudges` lets us add something to any intermediate result, as if somebody had reached into the
# machine. That will be needed in a moment:


# %%
def walk_forward(inputs, **nudges):
    v = {name: value + nudges.get(name, 0) for name, value in inputs.items()}
    for name, step in STEPS.items():
        v[name] = step(v) + nudges.get(name, 0)
    return v


x, gamma, beta = rng.standard_normal((2, 3, 2, 3)), np.array([1.0, -0.5, 2.0]), np.array([0.3, -1.0, 0.0])
inputs = {"x": x, "gamma": gamma, "beta": beta}
(library, _, _), _ = ops.batchnorm2d_forward(x, gamma, beta)
print("as the library:", np.allclose(walk_forward(inputs)["out"], library, rtol=0, atol=1e-14))

# %% [markdown]
# Now in reverse. As in lesson 02, $\mathrm{d}z$ stands for $\partial J / \partial z$, the gradient of the loss $J$ by
# $z$. It is one name, `dx` or `dout` in the code, for every intermediate result $z$. Two rules are all that is needed.
# A number that is *used in several places* gets the *sum* of what comes back from them. A number that is *broadcast*
# to all pixels is used $m$ times, so its gradient is a sum over the pixels.
#
# **Step 10**, $\text{out}_i = g_i + \beta$. The slope is 1 for both, and $\beta$ is used at every pixel:
#
# $$\mathrm{d}g_i = \mathrm{dout}_i \qquad \mathrm{d}\beta = \sum_i \mathrm{dout}_i$$
#
# **Step 9**, $g_i = \gamma\,\hat x_i$. The slope for one factor is the other one:
#
# $$\mathrm{d}\hat x_i = \gamma\,\mathrm{d}g_i \qquad \mathrm{d}\gamma = \sum_i \mathrm{d}g_i\,\hat x_i$$

# %% [markdown]
# **Step 8**, $\hat x_i = c_i\, s$. A product again; $s$ is one number for all pixels. What comes back to $c_i$ from
# here is only the first part of its gradient, for step 3 uses $c_i$, too:
#
# $$\mathrm{d}s = \sum_i \mathrm{d}\hat x_i\, c_i \qquad \mathrm{d}c_i = \mathrm{d}\hat x_i\, s + (\text{from step 3})$$
#
# **Step 7**, $s = 1/r$, so $\partial s/\partial r = -1/r^2$:
#
# $$\mathrm{d}r = -\frac{\mathrm{d}s}{r^2}$$
#
# **Step 6**, $r = \sqrt v$, so $\partial r/\partial v = 1/(2\sqrt v) = 1/(2r)$:
#
# $$\mathrm{d}v = \frac{\mathrm{d}r}{2 r}$$

# %% [markdown]
# **Step 5**, $v = \sigma^2 + \varepsilon$. $\varepsilon$ is a constant: $\mathrm{d}(\sigma^2) = \mathrm{d}v$.
#
# **Step 4**, $\sigma^2 = \frac1m\sum_i q_i$. Each $q_i$ counts for one $m$-th:
#
# $$\mathrm{d}q_i = \frac{\mathrm{d}(\sigma^2)}{m}$$
#
# **Step 3**, $q_i = c_i^2$, so $\partial q_i/\partial c_i = 2c_i$. This is the second part of $\mathrm{d}c_i$, and now
# it is complete:
#
# $$\mathrm{d}c_i = \mathrm{d}\hat x_i\, s + 2 c_i\, \mathrm{d}q_i$$

# %% [markdown]
# **Step 2**, $c_i = x_i - \mu$. The slope is 1 for $x_i$ and $-1$ for $\mu$, which all pixels use:
#
# $$\mathrm{d}\mu = -\sum_i \mathrm{d}c_i \qquad \mathrm{d}x_i = \mathrm{d}c_i + (\text{from step 1})$$
#
# **Step 1**, $\mu = \frac1m\sum_i x_i$. Each $x_i$ counts for one $m$-th:
#
# $$\mathrm{d}x_i = \mathrm{d}c_i + \frac{\mathrm{d}\mu}{m}$$
#
# Line by line as code:


# %%
def walk_backward(dout, v):
    d, m = {"out": dout, "scaled": dout}, dout.size // dout.shape[3]
    d["beta"] = d["out"].sum(PIXELS)  # step 10
    d["gamma"] = (d["scaled"] * v["x_hat"]).sum(PIXELS)  # 9
    d["x_hat"] = v["gamma"] * d["scaled"]
    d["inv_std"] = (d["x_hat"] * v["centred"]).sum(PIXELS)  # 8
    d["std"] = -d["inv_std"] / v["std"] ** 2  # 7
    d["var_eps"] = d["std"] / (2 * v["std"])  # 6
    d["var"] = d["var_eps"]  # 5
    d["squared"] = np.ones_like(v["squared"]) * d["var"] / m  # 4
    d["centred"] = d["x_hat"] * v["inv_std"] + 2 * v["centred"] * d["squared"]  # 8 and 3
    d["mean"] = -d["centred"].sum(PIXELS)  # 2
    d["x"] = d["centred"] + d["mean"] / m  # 2 and 1
    return d


# %% [markdown]
# ### Every intermediate gradient, checked
#
# $\mathrm{d}z$ claims how $J$ changes when $z$ changes. So reach into the machine, add a little to $z$, and look. The
# nudge starts as an array of zeros, and `check` moves each of its numbers up and down:


# %%
def check_gradient_of(name):
    v = walk_forward(inputs)
    return ts.gradcheck.check(
        lambda nudge: (walk_forward(inputs, **{name: nudge})["out"], None),
        lambda dout, cache: walk_backward(dout, v)[name],
        np.zeros(np.shape(v[name])),
        title=f"gradient of {name}",
    )


reports = [check_gradient_of(name) for name in [*inputs, *STEPS]]
print(ts.gradcheck.table(reports))
assert all(report.ok for report in reports)

# %% [markdown]
# Thirteen lines, thirteen times `ok`: three arguments and ten steps. Should you ever derive a long backward and get it
# wrong, this is how to find the step: the gradients after it are right, those before it are not.
#
# ## From ten steps to one line
#
# Put the steps into each other. From step 8, with $c_i = \hat x_i / s$, and from steps 7, 6, 5, with $r = 1/s$:
#
# $$\mathrm{d}s = \frac1s \sum_j \mathrm{d}\hat x_j\, \hat x_j
# \qquad \mathrm{d}r = -s^2\, \mathrm{d}s = -s \sum_j \mathrm{d}\hat x_j\, \hat x_j
# \qquad \mathrm{d}(\sigma^2) = \mathrm{d}v = \frac{s}{2}\, \mathrm{d}r
# = -\frac{s^2}{2} \sum_j \mathrm{d}\hat x_j\, \hat x_j$$
#
# Steps 4 and 3, with $c_i = \hat x_i / s$ once more:
#
# $$\mathrm{d}c_i = s\, \mathrm{d}\hat x_i + \frac{2 c_i}{m}\, \mathrm{d}(\sigma^2)
# = s\, \mathrm{d}\hat x_i
# \;-\; \frac{2}{m} \cdot \frac{\hat x_i}{s} \cdot \frac{s^2}{2} \sum_j \mathrm{d}\hat x_j\, \hat x_j
# = s \Big( \mathrm{d}\hat x_i - \frac{\hat x_i}{m} \sum_j \mathrm{d}\hat x_j\, \hat x_j \Big)$$

# %% [markdown]
# Step 2. The $\hat x_i$ add up to 0, since the mean was taken out, so the second part adds nothing to the sum:
#
# $$\mathrm{d}\mu = -\sum_i \mathrm{d}c_i = -s \sum_i \mathrm{d}\hat x_i$$
#
# Step 1:
#
# $$\mathrm{d}x_i = \mathrm{d}c_i + \frac{\mathrm{d}\mu}{m}
# = s \Big( \mathrm{d}\hat x_i - \frac1m \sum_j \mathrm{d}\hat x_j
# \;-\; \frac{\hat x_i}{m} \sum_j \mathrm{d}\hat x_j\, \hat x_j \Big)$$
#
# Step 9 says $\mathrm{d}\hat x_i = \gamma\,\mathrm{dout}_i$. The two sums become $\gamma$ times sums that we know
# already, $\mathrm{d}\beta = \sum_j \mathrm{dout}_j$ and $\mathrm{d}\gamma = \sum_j \mathrm{dout}_j\, \hat x_j$:
#
# $$\boxed{\;\mathrm{d}x_i
# = \gamma\, s \Big( \mathrm{dout}_i - \frac{\mathrm{d}\beta}{m} - \hat x_i\, \frac{\mathrm{d}\gamma}{m} \Big)\;}$$
#
# This is the last line of the library's backward:

# %%
figures.show_source(ops.batchnorm.batchnorm2d_backward_numpy)

# %%
v, dout = walk_forward(inputs), rng.standard_normal(x.shape)
ten_steps = walk_backward(dout, v)
m = dout.size // dout.shape[3]
dbeta, dgamma = dout.sum(PIXELS), (dout * v["x_hat"]).sum(PIXELS)
one_line = v["gamma"] * v["inv_std"] * (dout - dbeta / m - v["x_hat"] * dgamma / m)
library = ops.batchnorm2d_backward(dout, ops.batchnorm2d_forward(x, gamma, beta)[1])[0]
print(f"ten steps and one line differ by at most {np.abs(ten_steps['x'] - one_line).max():.1e}")
print(f"one line and the library by at most      {np.abs(one_line - library).max():.1e}")
assert np.allclose(ten_steps["x"], one_line, rtol=0, atol=1e-13)

# %% [markdown]
# ### What the two subtracted terms mean
#
# The output does not change when all of a channel's numbers are shifted, nor (but for $\varepsilon$) when they are
# stretched. What does not change the loss must have gradient zero. So `dx` may contain nothing that would shift the
# channel and nothing that would stretch it. The two terms take exactly that out of `dout`: its mean, and its part along
# `x_hat`. The 4x4 picture from above, with $\gamma s = 1$:

# %%
x4 = np.array([[7.0, -1, 5, 1], [3, 5, 3, 1], [1, 3, 5, 3], [3, 5, 1, 3]])
dout4 = np.array([[3.0, 1, 0, 2], [1, 4, -1, 1], [0, 1, 2, 0], [2, 0, -1, 1]])
x_hat4 = (x4 - 3) / 2
shift = np.full((4, 4), dout4.mean())
stretch = x_hat4 * (dout4 * x_hat4).mean()
dx4 = dout4 - shift - stretch
panels = [("dout", dout4), "-", ("dbeta / m", shift), "-", ("x_hat dgamma / m", stretch), "=", ("dx", dx4)]
figures.show_arrays(panels)

# %%
print("sum of dx:", dx4.sum().round(12), "  sum of dx * x_hat:", (dx4 * x_hat4).sum().round(12))
full = ops.batchnorm2d_forward(x4[None, :, :, None], np.array([2.0]), np.zeros(1), eps=0.0)[1]
print("the library agrees:", np.allclose(ops.batchnorm2d_backward(dout4[None, :, :, None], full)[0][0, :, :, 0], dx4))

# %% [markdown]
# Every pixel of `dx` depends on every pixel of `dout`, through the two sums. But the numbers of `dx` add up to zero,
# and so do their products with `x_hat`.
#
# One consequence for checks: `dout = ones` is all shift. It leaves nothing, no matter what backward does with the rest:

# %%
ones = ops.batchnorm2d_backward(np.ones_like(x), ops.batchnorm2d_forward(x, gamma, beta)[1])[0]
print(f"largest |dx| for dout = ones: {np.abs(ones).max():.1e}")

# %% [markdown]
# A check with `sum(out)` as its loss would compare zero with zero. The library's check draws a random `dout`:

# %%
ts.gradcheck.check_op("batchnorm2d")

# %% [markdown]
# ## What breaks it
#
# Five planted bugs. Each is the library's backward except for one thing. The check must refuse all five, and its hint
# names what is missing where it can:

# %%
names = ["no_mean_term", "no_variance_term", "statistics_constant", "other_variance", "gamma_missing"]
for name in names:
    bug = bugs[f"batchnorm_{name}"]
    report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
    assert not report.ok
    tensor = report.tensor("x")
    print(f"{bug.sentence}\n    {tensor.count('wrong')} of {len(tensor.probes)} entries refused. {tensor.hint or ''}")

# %% [markdown]
# ("numeric" is the measured slope, "analytic" what backward says.) One of them in a picture, the dropped mean term. The
# difference, in the red cells, is the same number all over a channel:

# %%
bug = bugs["batchnorm_no_mean_term"]
figures.show_gradient(ts.gradcheck.check_op(bug.op, pair=bug.pair), "dx")

# %% [markdown]
# And one that the check cannot see: $m - 1$ in forward and backward alike. Both belong together, so the backward *is*
# the derivative of the forward. It is the derivative of another function, which only a comparison with the right
# answers shows:

# %%
bug = bugs["batchnorm_variance_in_both"]
print(bug.sentence)
print("the check accepts it:", ts.gradcheck.check_op(bug.op, pair=bug.pair).ok)
print(f"relative difference from the library: {compare_op(bug.op, *bug.pair):.2g}")

# %% [markdown]
# ## Two variances, and a batch of one
#
# `observe`, which keeps the running statistics, multiplies the variance by $m/(m-1)$ before it is stored. The mean of a
# batch lies closer to its own numbers than the true mean does, so squared distances from it come out too small, by
# $(m-1)/m$ on average. That is the *biased* variance. To normalise the batch it is the right one: it makes the batch's
# own variance 1, but for $\varepsilon$. As an estimate for all other pictures the *unbiased* one is right. PyTorch does
# the same. With $m = 4$ and numbers of true variance 1:

# %%
small_batches = rng.standard_normal((20_000, 4))
print(f"biased, divided by m = 4:       {small_batches.var(1).mean():.3f} on average")
print(f"unbiased, divided by m - 1 = 3: {small_batches.var(1, ddof=1).mean():.3f} on average")

# %% [markdown]
# ### A batch of one
#
# A segmentation net can train on a single picture, because $m = N \cdot H \cdot W$ counts its pixels. Only $m = 1$ is
# impossible: the variance of one number is 0. But $m$ pixels of one street resemble each other, and its statistics are
# not those of all streets. The mean brightness of batches of toy streets:

# %%
streets = ToyScenes(16, seed=1, size=(24, 32))
brightness = np.array([street.image.mean() for street in map(streets.__getitem__, range(16))])
for size in (1, 2, 4):
    means = brightness.reshape(-1, size).mean(1)
    print(f"batches of {size}: their means spread by {means.std():.1f} grey levels around {means.mean():.0f}")
try:
    ops.batchnorm2d_forward(np.ones((1, 1, 1, 3)), gamma, beta)
except ts.errors.ShapeError as error:
    print(error)

# %% [markdown]
# The smaller the batch, the more the normalisation itself jumps from step to step. The SegNet authors trained with 4
# to 12 pictures and, before each evaluation, ran the whole training set through the network to get the statistics
# (Badrinarayanan et al. 2017, section 4.1). Here that is `ts.recompute_statistics`.

# %% [markdown]
# ## A bias before batch normalisation
#
# A convolution with bias $b$ adds the same number to all pixels of a channel. Batch normalisation subtracts the mean,
# and the mean has grown by $b$, too: nothing is left of it. So the loss does not depend on $b$, and its gradient is
# zero. The formula agrees: `dbias` is the sum of `dx` over the pixels, and that sum was zero above.

# %%
image, kernel = rng.standard_normal((2, 5, 4, 2)), rng.standard_normal((3, 3, 2, 3))


def conv_then_norm(bias):
    hidden, conv = ops.conv2d_forward(image, kernel, bias)
    (out, _, _), norm = ops.batchnorm2d_forward(hidden, gamma, beta)
    return out, (conv, norm)


def bias_gradient(dout, cache):
    return ops.conv2d_backward(ops.batchnorm2d_backward(dout, cache[1])[0], cache[0])[2]


report = ts.gradcheck.check(conv_then_norm, bias_gradient, rng.standard_normal(3), title="bias before batch norm")

# %%
for probe in report.tensors[0].probes:
    relative = probe.error / max(abs(probe.analytic), abs(probe.numeric))
    print(f"analytic {probe.analytic:+.1e}   numeric {probe.numeric:+.1e}   relative error {relative:.1e}   "
          f"allowed {probe.allowed:.1e}   {probe.status}")  # fmt: skip

# %% [markdown]
# Both numbers are rounding noise around the true gradient 0, and noise divided by noise is of order 1. A check that
# judges by the relative error alone calls this right gradient wrong. The library's rule (lesson 03) allows, beside the
# relative part, what rounding can do to a difference: the *noise floor* $10\,\epsilon F / h$, with $\epsilon$ the
# rounding of float64. The last column but one is that floor, and the errors lie below it.
#
# For a network it means that such a bias never moves. The paper says "no biases are used after convolutions" (section
# 3.1); the authors' published model files have them nevertheless, without effect. Which biases has `tiny`?

# %%
tiny = ts.build("tiny", num_classes=11)
print([name for name, _ in tiny.named_parameters() if name.endswith("bias")])

# %% [markdown]
# One: the classifier's, behind which no normalisation comes.
#
# ### Exercise 3: batch normalisation backward, in one line
#
# Write `my_batchnorm_backward(dout, x_hat, inv_std, gamma)` for `dout`, `x_hat` (N, H, W, C) and `inv_std`, `gamma`
# (C,). Return `dx` (N, H, W, C), `dgamma` (C,) and `dbeta` (C,).


# %%
def my_batchnorm_backward(dout, x_hat, inv_std, gamma):
    ### BEGIN SOLUTION
    m = dout.size // dout.shape[3]
    dgamma, dbeta = (dout * x_hat).sum((0, 1, 2)), dout.sum((0, 1, 2))
    return gamma * inv_std * (dout - dbeta / m - x_hat * dgamma / m), dgamma, dbeta
    ### END SOLUTION


# %%
grader.grade("batchnorm_backward", my_batchnorm_backward)

# %% [markdown]
# ## The fast version
#
# Both operations do next to nothing with each number. What takes time is to fetch it from memory and to write it back.
# So the library has one operation for the pair, `batchnorm2d_relu`, which applies ReLU in the pass that normalises. In
# backward it computes ReLU's mask again from $x$, which is cheaper than to remember it. Its last pass in numba:

# %%
figures.show_source(ops.batchnorm._input_gradient)

# %% [markdown]
# You know the last line. `shift` and `slope` are the two sums divided by $m$; `relu` decides whether the mask applies.
# Each task of `prange` takes one row of the picture, so no two tasks write to the same place.

# %% tags=["parameters"] fast="SIZE = (45, 60)"
SIZE = (180, 240)  # of the picture whose batch normalisation is timed

# %%
x = rng.standard_normal((1, *SIZE, 64)).astype(np.float32)
dout = rng.standard_normal(x.shape).astype(np.float32)
gamma, beta = np.ones(64, np.float32), np.zeros(64, np.float32)


def norm_then_relu(norm, relu):
    (hidden, _, _), norm_cache = norm[0](x, gamma, beta)
    out, relu_cache = relu[0](hidden)
    return out, *norm[1](relu[1](dout, relu_cache), norm_cache)


def fused_norm_relu(norm):
    (out, _, _), cache = norm[0](x, gamma, beta)
    return out, *norm[1](dout, cache)


# %%
norms, relus = ts.gradcheck.find_variants("batchnorm2d"), ts.gradcheck.find_variants("relu")
fused = ts.gradcheck.find_variants("batchnorm2d_relu")
ways = {
    "NumPy, one after the other": lambda: norm_then_relu(norms["numpy"], relus["numpy"]),
    "numba, one after the other": lambda: norm_then_relu(norms["numba"], relus["numba"]),
    "numba, fused": lambda: fused_norm_relu(fused["numba"]),
}
right = ways["NumPy, one after the other"]()
for name, way in ways.items():
    off = max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(way(), right, strict=True))
    seconds = min(timeit.repeat(way, number=1, repeat=5))
    print(f"{name:<27} {1000 * seconds:7.1f} ms forward and backward   off by {off:.0e}")

# %% [markdown]
# All three agree to float32's rounding. The fused kernels read and write the large arrays least often.
#
# ## What to remember
#
# * Without a bend, convolutions in a row are one convolution. ReLU: `dx` is `dout` where $x > 0$; at 0 the slope is 0
#   by convention. The mask comes from $x$ or `out`, never from `dout`.
# * Batch normalisation makes a channel's numbers independent of the size of the weights before it. Its statistics run
#   over N, H and W.
# * In training: the batch's mean and biased variance. In inference: running statistics, with the unbiased variance. A
#   network whose running statistics are not ready yet predicts badly.
# * A long backward is a list of small steps in reverse. Every intermediate gradient can be checked by itself.
# * $\mathrm{dx} = \gamma s\,(\mathrm{dout} - \mathrm{d}\beta/m - \hat x\,\mathrm{d}\gamma/m)$: what would shift or
#   stretch the channel is taken out.
# * A bias before it has gradient zero. A check needs a noise floor, or it will refuse what is right.
#
# Lesson 05 takes the next operation of a stage: max-pooling, which remembers where its maxima were.
