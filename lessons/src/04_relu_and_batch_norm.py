# %% [markdown]
# # 04 ReLU and batch normalisation
#
# **The question.** Two small operations follow every convolution of SegNet's encoder. Batch normalisation brings each
# channel to mean 0 and variance 1, then lets the network choose another mean and spread. ReLU sets negative numbers to
# 0 (Badrinarayanan et al. 2017, section 3). What are they for, and how does a gradient pass back through them?
#
# **At the end** you know
#
# * why a network without ReLU is a single linear map, and what slope ReLU has everywhere, including at 0;
# * what batch normalisation does to the feature maps of a deep network, in training and in inference;
# * its backward, first in ten small steps and then in one line;
# * why a bias before batch normalisation has gradient zero, and what that means for a gradient check.
#
# **Prerequisites:** lessons 01 to 03: convolution, its gradient, and gradient checks.

# %%
import timeit

import numpy as np

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs, compare_op

# %% [markdown]
# ## Why a network needs a nonlinearity
#
# A function $f$ is *linear* if $f(a + b) = f(a) + f(b)$. A convolution is linear (without its bias), and a chain of
# linear functions is also linear. Away from the border, two 3x3 convolutions in a row equal one 5x5 convolution, and
# thirteen of them equal one convolution with a large kernel. Without a nonlinear function between the convolutions,
# depth would gain nothing.

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
# The first gap is rounding error: without a nonlinear function, the two layers together are linear. The second gap is
# as large as the outputs themselves.
#
# ## ReLU forward
#
# ReLU, the *rectified linear unit*, is one of the cheapest nonlinear functions. It acts on each number separately:
#
# $$\text{out} = \max(x, 0)$$

# %%
x = np.array([[3.0, -1, 0, 2], [-2, 4, -3, 1], [0, -4, 5, -1], [1, 2, -2, -5]])
out, cache = ops.relu_forward(x)
figures.show_arrays([("x", x), ("out", out)])

# %% [markdown]
# Positive numbers (orange) pass unchanged. Negative numbers (blue) become 0, and a 0 stays 0.
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
# Here $J$ is the loss, and `dx` and `dout` are its gradients with respect to `x` and `out`, as in lesson 02. In words:
# `dx` is `dout` where $x > 0$, and 0 elsewhere.

# %%
dout = np.array([[1.0, 2, 3, -4], [2, -1, 1, 5], [-3, 1, 2, -2], [-1, 3, -2, 1]])
dx = ops.relu_backward(dout, cache)
figures.show_arrays([("x", x), ("dout", dout), ("dx", dx)], highlight={"x": (0, 3), "dout": (0, 3), "dx": (0, 3)})

# %% [markdown]
# In the framed cell $x = 2$ is positive, so the gradient $-4$ passes although it is negative. A negative gradient means
# that a larger number lowers the loss. This information must not be lost.
#
# **At zero**, ReLU has no derivative. The slope is 1 from the right and 0 from the left, and a central difference gives
# the mean:

# %%
h = 1e-5
print("central difference at 0:", (max(h, 0) - max(-h, 0)) / (2 * h))
print("the library's slope at 0:", ops.relu_backward(np.ones(1), ops.relu_forward(np.zeros(1))[1])[0])

# %% [markdown]
# Any slope from 0 to 1 would be acceptable. The convention, here and in PyTorch, is 0: where `out` is 0, no gradient
# passes. This is only a convention, so a gradient check must not test it (lesson 03), and two libraries must share it
# to get the same numbers.
#
# The convention has a practical advantage. `out` is positive exactly where $x$ is positive, so backward can use `out`
# and need not keep $x$. The next layer keeps `out` anyway, so ReLU's cache costs no memory. This is the library's own
# code:

# %%
figures.show_source(ops.relu.relu_forward_numpy)

# %%
figures.show_source(ops.relu.relu_backward_numpy)

# %% [markdown]
# The gradient check compares this backward with central differences, at numbers that are more than one step away from
# 0:

# %%
ts.gradcheck.check_op("relu")

# %% [markdown]
# **What breaks it.** The mask must come from $x$ or `out`. A mask made from the sign of `dout` looks very similar in
# code. These lessons contain *planted bugs*: copies of the library's code with one mistake each. The check must refuse
# this bug:

# %%
bug = bugs["relu_sign_of_dout"]
report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
assert not report.ok
print(bug.sentence, "\nbroken laws:", report.broken_laws)
figures.show_gradient(report, "dx")

# %% [markdown]
# Red entries are refused. For each of them, either $x$ is positive and `dout` negative, or $x$ is negative and `dout`
# positive. The bug also breaks a second law: every backward pass is linear in `dout`, so doubling `dout` must double
# the result, and negating it must negate the result. A mask made from `dout` fails this test, which needs no finite
# differences.
#
# A slope of 1 at zero is a different kind of mistake. Finite differences cannot judge it, but a comparison with the
# right answers at zeros can:

# %%
bug = bugs["relu_slope_at_zero"]
print("the check accepts it:", ts.gradcheck.check_op(bug.op, pair=bug.pair).ok)
print(f"relative difference from the library: {compare_op(bug.op, *bug.pair):.2g}")

# %% [markdown]
# ### Exercise 1: ReLU's backward
#
# Write `my_relu_backward(dout, x)`. Both arrays have the same, arbitrary shape; return `dx` in this shape. Your
# function gets $x$ itself instead of a cache. The slope at 0 is 0.


# %%
def my_relu_backward(dout, x):
    ### BEGIN SOLUTION
    return np.where(x > 0, dout, 0)
    ### END SOLUTION


# %%
my_relu_backward = grader.grade("relu_backward", my_relu_backward)

# %% [markdown]
# ## Why normalise: a deep network before any training
#
# Take thirteen convolutions with 16 channels each, random weights, and ReLU after each convolution. He et al. (2015)
# give the spread (the standard deviation) that these weights should have. But training changes the weights, and with
# them the input of every later layer. So compare three networks: one with the weights that this rule gives, one with
# weights half as large, and one with weights twice as large. Build each network with and without normalisation:

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
    print(f"{name:<25} spread in layer 1: {values[0]:.2g}, in layer 13: {values[-1]:.2g}")

# %% tags=["map"]
figures.show_plot(spreads, title="Spread of the feature maps", x="layer", y="standard deviation", log="y", first=1)

# %% [markdown]
# The vertical axis is logarithmic. Without normalisation, every layer multiplies the spread by about the same factor.
# After thirteen layers the spread is thousands of times too small or too large, unless the weights have exactly the
# right size. With normalisation, the three lines coincide: the size of the weights no longer matters.
#
# Now look at the feature maps for the half-size weights. For each of four layers, the figure shows the channel that
# varies most:

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
# In the upper row, without normalisation, the street is pale in layer 1, and from layer 5 on nothing is visible at this
# scale. The lower row shows the same weights with normalisation. Some structure of the street still reaches layer 13,
# although the network is untrained. (The strong lines at the edges come from the zeros of the padding.)
#
# ## Batch normalisation forward
#
# Each channel is treated separately. It has $m = N \cdot H \cdot W$ numbers, one for each pixel of each picture in the
# batch. For one channel (Ioffe & Szegedy 2015, algorithm 1):
#
# $$\mu = \frac1m \sum_i x_i \qquad
# \sigma^2 = \frac1m \sum_i (x_i - \mu)^2 \qquad
# \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad
# \text{out}_i = \gamma\, \hat x_i + \beta$$
#
# $\gamma$ and $\beta$ are learned, one of each per channel. $\varepsilon = 10^{-5}$ prevents a division by 0 where a
# channel is constant. The example is one channel of one 4x4 picture, with $\gamma = 3$, $\beta = 1$ and, only here,
# $\varepsilon = 0$:

# %%
x = np.array([[7.0, -1, 5, 1], [3, 5, 3, 1], [1, 3, 5, 3], [3, 5, 1, 3]])
(out, mean, var), _ = ops.batchnorm2d_forward(x[None, :, :, None], np.array([3.0]), np.array([1.0]), eps=0.0)
print(f"mean {mean[0]:g}, variance {var[0]:g}, so standard deviation {np.sqrt(var[0]):g}")
x_hat = (x - mean) / np.sqrt(var)
figures.show_arrays(
    [("x", x), ("x - mean", x - mean), ("x_hat", x_hat), ("out", out[0, :, :, 0])], highlight={"x": (0, 1)}
)

# %% [markdown]
# Follow the framed $-1$ to the right: subtracting the mean 3 gives $-4$, dividing by the standard deviation 2 gives
# $-2$, and multiplying by 3 and adding 1 gives $-5$. The mean of `x_hat` is 0 and its standard deviation is 1; the mean
# of `out` is $\beta = 1$ and its standard deviation is $\gamma = 3$.
#
# In the library's source, the second line of the mean corrects the rounding error of a long sum:

# %%
figures.show_source(ops.batchnorm.batchnorm2d_forward_numpy)

# %% [markdown]
# Verify three properties. Every channel of the result has mean $\beta$ and standard deviation $|\gamma|$. The
# statistics are those of the whole batch, not of each picture. If the input is scaled and shifted, the result stays the
# same, which is why the size of the weights did not matter above:

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
# The small difference comes from $\varepsilon$; without it, only rounding error remains.
#
# ### Two passes, not one
#
# $\sigma^2$ is also $\frac1m\sum x_i^2 - \mu^2$, which needs one pass over the numbers instead of two. The SegNet
# authors' own code computes the variance in this way. In float32, which has about seven digits, this formula subtracts
# two large numbers that agree in nearly all digits:

# %%
far = (rng.standard_normal((2, 20, 20, 1)) + 1e4).astype(np.float32)
one_pass = (far**2).mean() - far.mean() ** 2
(_, _, two_passes), _ = ops.batchnorm2d_forward(far, np.ones(1, np.float32), np.zeros(1, np.float32))
print(f"true variance {far.astype(np.float64).var():.4f}, two passes {two_passes[0]:.4f}, one pass {one_pass:.4f}")

# %% [markdown]
# The one-pass result has no correct digit. It can even be negative, and then its square root is NaN.
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
my_batchnorm = grader.grade("batchnorm_forward", my_batchnorm)

# %% [markdown]
# ## Training and inference
#
# Batch normalisation has a price: in training, the output for a picture depends on the other pictures in its batch.

# %%
one, other, third = (spread * rng.standard_normal((1, 4, 4, 3)) for spread in (1, 2, 5))
with_other = ops.batchnorm2d_forward(np.concatenate([one, other]), gamma, beta)[0][0][:1]
with_third = ops.batchnorm2d_forward(np.concatenate([one, third]), gamma, beta)[0][0][:1]
print("the same picture in two batches differs by up to", np.abs(with_other - with_third).max().round(2))

# %% [markdown]
# In inference, a prediction must depend only on its own picture. So the layer keeps *running statistics*. After each
# training batch, the running statistics move a tenth of the way towards the batch's statistics (`momentum=0.1`), and in
# inference they replace $\mu$ and $\sigma^2$. (The section "Two variances, and a batch of one" explains the factor
# `count / (count - 1)`.)

# %%
figures.show_source(ts.layers.BatchNorm2d.observe)

# %%
layer = ts.layers.BatchNorm2d(1, dtype=np.float64)
for batch in range(1, 51):
    layer.forward(rng.standard_normal((2, 8, 8, 1)) * 2 + 10, training=True)
    if batch in (1, 10, 50):
        mean, var = (layer.buffers[name][0] for name in ("running_mean", "running_var"))
        print(f"after {batch:>2} batches: running mean {mean:6.3f} (true: 10), running variance {var:.3f} (true: 4)")
print("share of the distance covered after 1, 5, 10, 50 batches:", [round(1 - 0.9**k, 2) for k in (1, 5, 10, 50)])

# %% [markdown]
# The running mean starts at 0 and has covered $1 - 0.9^k$ of the distance after $k$ batches. After only five training
# steps, the running statistics still consist mostly of their starting values.

# %%
pictures = rng.standard_normal((4, 8, 8, 1)) * 2 + 10
alone = layer.forward(pictures[:1])
print("inference alone and in a batch gives the same result:", np.array_equal(alone, layer.forward(pictures)[:1]))

# %% [markdown]
# ### What gamma and beta are for
#
# With mean 0 and variance 1, ReLU would always set about half of every channel to 0. $\beta$ shifts the channel, so
# training can choose how many numbers pass. $\gamma$ scales the channel. Together they could even undo the
# normalisation:

# %%
x = rng.standard_normal((2, 40, 40, 1)) * 3 + 5
for shift in (-1.0, 0.0, 1.0):
    (out, mean, var), _ = ops.batchnorm2d_forward(x, np.ones(1), np.array([shift]))
    print(f"beta {shift:+.0f}: ReLU passes {np.mean(out > 0):.2f} of the numbers")
(back, _, _), _ = ops.batchnorm2d_forward(x, np.sqrt(var + 1e-5), mean)
print(f"gamma = sqrt(var + eps), beta = mean restores x up to {np.abs(back - x).max():.1e}")

# %% [markdown]
# ## Backward, in ten steps
#
# The backward of batch normalisation is harder than ReLU's, because every output depends on every input of its channel:
# $x_i$ occurs in the formula itself, in $\mu$ and in $\sigma^2$. The remedy is to write the forward as a *computational
# graph*, a list of steps so small that each has a simple derivative, and to go through the list in reverse.

# %% [markdown]
# The forward has ten steps:
#
# | step | result | inputs | formula |
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
# Here is the same list as code. Each step is a function of earlier results:

# %%
PIXELS = (0, 1, 2)  # sum a channel over these axes
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
# Now run the steps in order. `nudges` adds a number to any intermediate result, which the check below needs:


# %%
def walk_forward(inputs, **nudges):
    v = {name: value + nudges.get(name, 0) for name, value in inputs.items()}
    for name, step in STEPS.items():
        v[name] = step(v) + nudges.get(name, 0)
    return v


x, gamma, beta = rng.standard_normal((2, 3, 2, 3)), np.array([1.0, -0.5, 2.0]), np.array([0.3, -1.0, 0.0])
inputs = {"x": x, "gamma": gamma, "beta": beta}
(library, _, _), _ = ops.batchnorm2d_forward(x, gamma, beta)
print("same result as the library:", np.allclose(walk_forward(inputs)["out"], library, rtol=0, atol=1e-14))

# %% [markdown]
# Now go through the steps in reverse. As in lesson 02, $\mathrm{d}z$ stands for $\partial J / \partial z$, the gradient
# of the loss $J$ with respect to an intermediate result $z$. Only two rules are needed. A number that is *used in
# several places* gets the *sum* of the gradients that come back from them. A number that is *broadcast* to all pixels
# is used $m$ times, so its gradient is a sum over the pixels.
#
# **Step 10**, $\text{out}_i = g_i + \beta$. The slope is 1 for both, and $\beta$ is used at every pixel:
#
# $$\mathrm{d}g_i = \mathrm{dout}_i \qquad \mathrm{d}\beta = \sum_i \mathrm{dout}_i$$
#
# **Step 9**, $g_i = \gamma\,\hat x_i$. The slope with respect to each factor is the other factor:
#
# $$\mathrm{d}\hat x_i = \gamma\,\mathrm{d}g_i \qquad \mathrm{d}\gamma = \sum_i \mathrm{d}g_i\,\hat x_i$$

# %% [markdown]
# **Step 8**, $\hat x_i = c_i\, s$. This step is also a product, and $s$ is one number for all pixels. The gradient that
# reaches $c_i$ here is only the first part, because step 3 also uses $c_i$:
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
# **Step 5**, $v = \sigma^2 + \varepsilon$. Since $\varepsilon$ is a constant, $\mathrm{d}(\sigma^2) = \mathrm{d}v$.
#
# **Step 4**, $\sigma^2 = \frac1m\sum_i q_i$. The slope for each $q_i$ is $1/m$:
#
# $$\mathrm{d}q_i = \frac{\mathrm{d}(\sigma^2)}{m}$$
#
# **Step 3**, $q_i = c_i^2$, so $\partial q_i/\partial c_i = 2c_i$. This gives the second part of $\mathrm{d}c_i$, which
# is then complete:
#
# $$\mathrm{d}c_i = \mathrm{d}\hat x_i\, s + 2 c_i\, \mathrm{d}q_i$$

# %% [markdown]
# **Step 2**, $c_i = x_i - \mu$. The slope is 1 for $x_i$ and $-1$ for $\mu$, which all pixels use:
#
# $$\mathrm{d}\mu = -\sum_i \mathrm{d}c_i \qquad \mathrm{d}x_i = \mathrm{d}c_i + (\text{from step 1})$$
#
# **Step 1**, $\mu = \frac1m\sum_i x_i$. The slope for each $x_i$ is $1/m$:
#
# $$\mathrm{d}x_i = \mathrm{d}c_i + \frac{\mathrm{d}\mu}{m}$$
#
# Here are the same steps as code:


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
# ### Check every intermediate gradient
#
# $\mathrm{d}z$ says how $J$ changes when $z$ changes. To test this, add a small nudge to $z$ and measure $J$. The nudge
# starts as an array of zeros, and `check` moves each of its numbers up and down:


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
# All thirteen lines, for three arguments and ten steps, say `ok`. If a long backward that you derive is wrong, you can
# find the faulty step in this way: the gradients of later steps are right, and the gradients of earlier steps are
# wrong.
#
# ## From ten steps to one line
#
# Substitute the steps into each other. Step 8 with $c_i = \hat x_i / s$, and steps 7, 6 and 5 with $r = 1/s$, give
#
# $$\mathrm{d}s = \frac1s \sum_j \mathrm{d}\hat x_j\, \hat x_j
# \qquad \mathrm{d}r = -s^2\, \mathrm{d}s = -s \sum_j \mathrm{d}\hat x_j\, \hat x_j
# \qquad \mathrm{d}(\sigma^2) = \mathrm{d}v = \frac{s}{2}\, \mathrm{d}r
# = -\frac{s^2}{2} \sum_j \mathrm{d}\hat x_j\, \hat x_j$$
#
# Steps 4 and 3, again with $c_i = \hat x_i / s$, give
#
# $$\mathrm{d}c_i = s\, \mathrm{d}\hat x_i + \frac{2 c_i}{m}\, \mathrm{d}(\sigma^2)
# = s\, \mathrm{d}\hat x_i
# \;-\; \frac{2}{m} \cdot \frac{\hat x_i}{s} \cdot \frac{s^2}{2} \sum_j \mathrm{d}\hat x_j\, \hat x_j
# = s \Big( \mathrm{d}\hat x_i - \frac{\hat x_i}{m} \sum_j \mathrm{d}\hat x_j\, \hat x_j \Big)$$

# %% [markdown]
# In step 2, the $\hat x_i$ sum to 0 because the mean was subtracted, so the second part contributes nothing to the sum:
#
# $$\mathrm{d}\mu = -\sum_i \mathrm{d}c_i = -s \sum_i \mathrm{d}\hat x_i$$
#
# Step 1:
#
# $$\mathrm{d}x_i = \mathrm{d}c_i + \frac{\mathrm{d}\mu}{m}
# = s \Big( \mathrm{d}\hat x_i - \frac1m \sum_j \mathrm{d}\hat x_j
# \;-\; \frac{\hat x_i}{m} \sum_j \mathrm{d}\hat x_j\, \hat x_j \Big)$$
#
# Step 9 says $\mathrm{d}\hat x_i = \gamma\,\mathrm{dout}_i$. The two sums become $\gamma$ times sums that we already
# know, $\mathrm{d}\beta = \sum_j \mathrm{dout}_j$ and $\mathrm{d}\gamma = \sum_j \mathrm{dout}_j\, \hat x_j$:
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
# The output does not change when all numbers of a channel are shifted by the same amount, nor (except for
# $\varepsilon$) when they are scaled. In a direction in which the loss does not change, the gradient must be zero. So
# `dx` must have no component that shifts the channel and none that scales it. The two terms remove exactly these
# components from `dout`: its mean, and its component along `x_hat`. Here is the 4x4 picture from above, with $\gamma s
# = 1$:

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
# Through the two sums, every pixel of `dx` depends on every pixel of `dout`. The numbers of `dx` add up to zero, and so
# do their products with `x_hat`.
#
# For a check, `dout = ones` is therefore useless: it is a pure shift, which backward removes completely:

# %%
ones = ops.batchnorm2d_backward(np.ones_like(x), ops.batchnorm2d_forward(x, gamma, beta)[1])[0]
print(f"largest |dx| for dout = ones: {np.abs(ones).max():.1e}")

# %% [markdown]
# A check whose loss is `sum(out)` would compare zero with zero. The library's check draws a random `dout`:

# %%
ts.gradcheck.check_op("batchnorm2d")

# %% [markdown]
# ## What breaks it
#
# Here are five planted bugs, each in the library's backward. The check must refuse all five. Where possible, its hint
# names the missing part:

# %%
names = ["no_mean_term", "no_variance_term", "statistics_constant", "other_variance", "gamma_missing"]
for name in names:
    bug = bugs[f"batchnorm_{name}"]
    report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
    assert not report.ok
    tensor = report.tensor("x")
    print(f"{bug.sentence}\n    {tensor.count('wrong')} of {len(tensor.probes)} entries refused. {tensor.hint or ''}")

# %% [markdown]
# ("numeric" is the measured slope, and "analytic" is the result of backward.) The next figure shows the bug without the
# mean term. The difference, in the red cells, is the same number throughout a channel:

# %%
bug = bugs["batchnorm_no_mean_term"]
figures.show_gradient(ts.gradcheck.check_op(bug.op, pair=bug.pair), "dx")

# %% [markdown]
# The check cannot detect the next bug, which uses $m - 1$ in both forward and backward. The two passes match: the
# backward *is* the derivative of the forward. But the forward is a different function, which only a comparison with the
# right answers reveals:

# %%
bug = bugs["batchnorm_variance_in_both"]
print(bug.sentence)
print("the check accepts it:", ts.gradcheck.check_op(bug.op, pair=bug.pair).ok)
print(f"relative difference from the library: {compare_op(bug.op, *bug.pair):.2g}")

# %% [markdown]
# ## Two variances, and a batch of one
#
# `observe`, which updates the running statistics, multiplies the variance by $m/(m-1)$ before storing it. The mean of a
# batch lies closer to the batch's own numbers than the true mean does, so squared distances from it are too small, by a
# factor of $(m-1)/m$ on average. The mean of these squared distances is the *biased* variance. It is the right variance
# for normalising the batch, because it makes the batch's own variance 1 (except for $\varepsilon$). As an estimate for
# all other pictures, the *unbiased* variance is right. PyTorch makes the same distinction. Here is the difference for
# $m = 4$ and numbers with true variance 1:

# %%
small_batches = rng.standard_normal((20_000, 4))
print(f"biased, divided by m = 4:       {small_batches.var(1).mean():.3f} on average")
print(f"unbiased, divided by m - 1 = 3: {small_batches.var(1, ddof=1).mean():.3f} on average")

# %% [markdown]
# ### A batch of one
#
# A segmentation network can train on a single picture, because $m = N \cdot H \cdot W$ counts its pixels. Only $m = 1$
# is impossible, because the variance of one number is 0. But the $m$ pixels of one street scene resemble each other,
# and the scene's statistics differ from those of all scenes. Compare the mean brightness of batches of toy scenes:

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
# The smaller the batch, the more the statistics vary from step to step. The SegNet authors trained with 4 to 12
# pictures per batch and, before each evaluation, ran the whole data set through the network to obtain the statistics
# (Badrinarayanan et al. 2017, section 4.1). In this library, `ts.recompute_statistics` does the same.

# %% [markdown]
# ## A bias before batch normalisation
#
# A convolution with bias $b$ adds the same number to all pixels of a channel. Batch normalisation subtracts the mean,
# which has also grown by $b$, so $b$ cancels. The loss does not depend on $b$, and its gradient is zero. The formula
# agrees: `dbias` is the sum of `dx` over the pixels, which was zero above.

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
# uses only the relative error would refuse this right gradient. Besides the relative part, the library's rule (lesson
# 03) allows a *noise floor* for rounding in the differences, $10\,\epsilon F / h$, where $\epsilon$ is the rounding
# unit of float64. The column "allowed" shows this floor, and the errors lie below it.
#
# In a network, such a bias never changes during training. The paper says "no biases are used after convolutions"
# (section 3.1). The authors' published model files have biases nevertheless, but these biases have no effect. Which
# biases does `tiny` have?

# %%
tiny = ts.build("tiny", num_classes=11)
print([name for name, _ in tiny.named_parameters() if name.endswith("bias")])

# %% [markdown]
# `tiny` has only one bias, in the classifier, because no normalisation follows the classifier.
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
my_batchnorm_backward = grader.grade("batchnorm_backward", my_batchnorm_backward)

# %% [markdown]
# ## The fast version
#
# Both operations do very little arithmetic per number. Most of the time goes into reading the numbers from memory and
# writing them back. So the library has a fused operation, `batchnorm2d_relu`, which applies ReLU in the pass that
# normalises. In backward it recomputes ReLU's mask from $x$, which is cheaper than storing the mask. This is the last
# loop of the numba backward pass:

# %%
figures.show_source(ops.batchnorm._input_gradient)

# %% [markdown]
# The last line is the formula derived above. `shift` and `slope` are the two sums divided by $m$, and `relu` decides
# whether the mask applies. Each task of `prange` processes one row of the picture, so no two tasks write to the same
# memory.

# %% tags=["parameters"] fast="SIZE = (45, 60)"
SIZE = (180, 240)  # size of the picture for the timing

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
    print(f"{name:<27} {1000 * seconds:7.1f} ms forward and backward   difference {off:.0e}")

# %% [markdown]
# All three agree up to float32 rounding. The fused version reads and writes the large arrays least often.
#
# ## What to remember
#
# * Without a nonlinear function between them, several convolutions are one linear map. In ReLU's backward, `dx` is
#   `dout` where $x > 0$ and 0 elsewhere; at 0 the slope is 0 by convention. The mask comes from $x$ or `out`, never
#   from `dout`.
# * Batch normalisation makes a channel's numbers independent of the size of the weights before it. It computes its
#   statistics over N, H and W.
# * Training uses the batch's mean and biased variance. Inference uses running statistics with the unbiased variance. A
#   network whose running statistics have not settled predicts badly.
# * A long backward is a list of small steps in reverse order. You can check every intermediate gradient separately.
# * $\mathrm{dx} = \gamma s\,(\mathrm{dout} - \mathrm{d}\beta/m - \hat x\,\mathrm{d}\gamma/m)$: the two terms remove the
#   components that shift or scale the channel.
# * A bias before batch normalisation has gradient zero. Without a noise floor, a check would refuse right gradients
#   that are zero.
#
# Lesson 05 explains the next operation of a stage: max-pooling, which remembers the positions of its maxima.
