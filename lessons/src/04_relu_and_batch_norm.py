# %% [markdown]
# # 04 ReLU and batch normalisation
#
# **The question.** Batch normalisation and ReLU follow every convolution of SegNet's encoder (Badrinarayanan et al.
# 2017, section 3). What are they for, and what are their gradients?
#
# **At the end** you have derived the backward of batch normalisation, in ten small steps and in one line.
#
# **Prerequisites:** lessons 01 to 03.

# %%
import timeit

import numpy as np

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs, compare_op

# %% [markdown]
# ## ReLU
#
# ### Warm-up: ReLU's forward pass
#
# ReLU, the *rectified linear unit*, acts on each number separately: $\text{out} = \max(x, 0)$. Write `my_relu(x)` for
# an array of any shape. Return `out` and the share, from 0 to 1, of its numbers that are positive.


# %%
def my_relu(x):
    ### BEGIN SOLUTION
    out = np.maximum(x, 0)
    share = (out > 0).mean()
    return out, share
    ### END SOLUTION


# %%
my_relu = grader.grade("relu_and_share", my_relu)

# %% [markdown]
# ## Why a network needs a nonlinearity
#
# A convolution without bias is linear (lesson 01), and so is a chain of convolutions: $f(a + b) = f(a) + f(b)$. With
# ReLU between two convolutions, the chain is not:

# %%
rng = np.random.default_rng(0)
weights = rng.standard_normal((2, 3, 3, 1, 1))
a, b = rng.standard_normal((2, 1, 8, 8, 1))


def two_layers(x, between=lambda hidden: hidden):
    hidden, _ = ops.conv2d_forward(x, weights[0])
    return ops.conv2d_forward(between(hidden), weights[1])[0]


for name, between in [("nothing between", lambda h: h), ("ReLU between", lambda h: my_relu(h)[0])]:
    gap = two_layers(a + b, between) - two_layers(a, between) - two_layers(b, between)
    print(f"{name:<16} f(a + b) - f(a) - f(b): at most {np.abs(gap).max():.1e}")

# %% [markdown]
# Without ReLU, two 3x3 convolutions equal one 5x5 convolution, except at the border: there the second convolution pads
# the *hidden* map with zeros, which no 5x5 kernel can imitate. A picture with a single 1 reveals the 5x5 kernel:

# %%
spike = np.zeros((1, 9, 9, 1))
spike[0, 4, 4] = 1
kernel_5x5 = two_layers(spike)[0, 2:7, 2:7, :, None][::-1, ::-1]  # a spike's output is the kernel, rotated
difference = np.abs(ops.conv2d_forward(a, kernel_5x5)[0] - two_layers(a))[0, :, :, 0]
print(f"difference inside {difference[1:-1, 1:-1].max():.0e}, in the outermost rows and columns {difference.max():.1f}")

# %% [markdown]
# ## ReLU backward
#
# The chain rule has a single term:
#
# $$\mathrm{dx} = \mathrm{dout} \cdot \frac{\partial\, \text{out}}{\partial x}
# \qquad\text{with}\qquad
# \frac{\partial\, \text{out}}{\partial x} = \begin{cases} 1 & x > 0 \\ 0 & x < 0 \end{cases}$$
#
# At zero, ReLU has no derivative. By convention, here and in PyTorch, the slope is 0.
#
# ### Exercise 1: ReLU's backward
#
# Write `my_relu_backward(dout, x)`. Both arrays have the same, arbitrary shape. Return `dx` in this shape.


# %%
def my_relu_backward(dout, x):
    ### BEGIN SOLUTION
    return np.where(x > 0, dout, 0)
    ### END SOLUTION


# %%
my_relu_backward = grader.grade("relu_backward", my_relu_backward)

# %%
x = np.array([[3.0, -1, 0, 2], [-2, 4, -3, 1], [0, -4, 5, -1], [1, 2, -2, -5]])
dout = np.array([[1.0, 2, 3, -4], [2, -1, 1, 5], [-3, 1, 2, -2], [-1, 3, -2, 1]])
panels = [("x", x), ("out", my_relu(x)[0]), ("dout", dout), ("dx", my_relu_backward(dout, x))]
figures.show_arrays(panels, highlight={name: (0, 3) for name, _ in panels})

# %% [markdown]
# In the framed cell, $x = 2$ is positive, so the gradient $-4$ passes. The check refuses a mask made from the sign of
# `dout`:

# %%
bug = bugs["relu_sign_of_dout"]
report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
assert not report.ok
print(bug.sentence, "\nbroken laws:", report.broken_laws)
figures.show_gradient(report, "dx")

# %% [markdown]
# ## Why normalise: a deep network before any training
#
# Take thirteen convolutions with 16 channels each and random weights, and ReLU after each. Compare weights of the size
# that He et al. (2015) recommend with weights half and twice as large. Predict: how many times smaller do half-size
# weights make the spread (the standard deviation) of layer 13?

# %%
prediction = ...  # a number
grader.predict("spread_with_half_weights", prediction)

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


# %% tags=["map"]
spreads = {}
for normalise in (False, True):
    for scale in (0.5, 1.0, 2.0):
        name = f"weights x {scale:g}" + (", normalised" if normalise else "")
        spreads[name] = [float(maps.std()) for maps in deep_feature_maps(pixels, scale, normalise)]
ratio = spreads["weights x 1"][-1] / spreads["weights x 0.5"][-1]
print(f"layer 13 without normalisation: half-size weights make the spread {ratio:.0f} times smaller")
figures.show_plot(spreads, title="Spread of the feature maps", x="layer", y="standard deviation", log="y", first=1)

# %% [markdown]
# With normalisation, the three lines coincide. Here are feature maps for the half-size weights:

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
# ## Batch normalisation forward
#
# Each channel is normalised separately. It has $m = N \cdot H \cdot W$ numbers, one for each pixel of each picture in
# the batch. For one channel (Ioffe and Szegedy 2015, algorithm 1):
#
# $$\mu = \frac1m \sum_i x_i \qquad
# \sigma^2 = \frac1m \sum_i (x_i - \mu)^2 \qquad
# \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \varepsilon}} \qquad
# \text{out}_i = \gamma\, \hat x_i + \beta$$
#
# Each channel has its own learned $\gamma$ and $\beta$. $\varepsilon = 10^{-5}$ prevents a division by 0. Here is one
# channel of a 4x4 picture with $\gamma = 3$, $\beta = 1$ and $\varepsilon = 0$:

# %%
x = np.array([[7.0, -1, 5, 1], [3, 5, 3, 1], [1, 3, 5, 3], [3, 5, 1, 3]])
(out, mean, var), _ = ops.batchnorm2d_forward(x[None, :, :, None], np.array([3.0]), np.array([1.0]), eps=0.0)
print(f"mean {mean[0]:g}, variance {var[0]:g}, so standard deviation {np.sqrt(var[0]):g}")
x_hat = (x - mean) / np.sqrt(var)
panels = [("x", x), ("x - mean", x - mean), ("x_hat", x_hat), ("out", out[0, :, :, 0])]
figures.show_arrays(panels, highlight={"x": (0, 1)})

# %% [markdown]
# ### Two passes, not one
#
# $\sigma^2$ is also $\frac1m\sum x_i^2 - \mu^2$, which needs one pass over the numbers instead of two. The SegNet
# authors' code uses this formula. Far from zero, it subtracts two large numbers that agree in nearly all digits.
# float32 has about seven:

# %%
far = (rng.standard_normal((2, 20, 20, 1)) + 1e4).astype(np.float32)
one_pass = (far**2).mean() - far.mean() ** 2
two_passes = ((far - far.mean()) ** 2).mean()
print(f"true variance {far.astype(np.float64).var():.4f}, two passes {two_passes:.4f}, one pass {one_pass:.4f}")

# %% [markdown]
# ### Exercise 2: batch normalisation forward
#
# Write `my_batchnorm(x, gamma, beta, eps)` for `x` (N, H, W, C) and `gamma`, `beta` (C,). Return `out` (N, H, W, C),
# `mean` (C,) and `var` (C,), where `var` is $\sigma^2$ with the divisor $m$. Your function must be accurate for numbers
# far from zero, too.


# %%
def my_batchnorm(x, gamma, beta, eps):
    ### BEGIN SOLUTION
    mean = x.mean((0, 1, 2))
    centred = x - mean
    var = (centred**2).mean((0, 1, 2))
    x_hat = centred / np.sqrt(var + eps)
    return gamma * x_hat + beta, mean, var
    ### END SOLUTION


# %%
my_batchnorm = grader.grade("batchnorm_forward", my_batchnorm)

# %%
x = rng.standard_normal((2, 5, 6, 3)) * [1.0, 5.0, 0.2] + [0.0, 10.0, -3.0]
gamma, beta = np.array([1.0, -2.0, 0.5]), np.array([0.0, 3.0, -1.0])
out, mean, var = my_batchnorm(x, gamma, beta, 1e-5)
print("mean of each channel     ", out.mean((0, 1, 2)).round(4), " beta ", beta)
print("deviation of each channel", out.std((0, 1, 2)).round(4), " gamma", gamma)
print("means in picture 0 alone ", out[0].mean((0, 1)).round(4))
stretched, _, _ = my_batchnorm(7 * x + 4, gamma, beta, 0)
print(f"eps 0: x -> 7 x + 4 changes out by {np.abs(stretched - my_batchnorm(x, gamma, beta, 0)[0]).max():.0e}")

# %% [markdown]
# Scaling and shifting the input changes nothing, so the size of the weights did not matter above.
#
# ### What gamma and beta are for
#
# $\beta$ shifts the channel, so training can choose how many numbers pass ReLU. $\gamma$ scales it. Predict: if `x` is
# normally distributed, and $\gamma = \beta = 1$, what share of the numbers passes?

# %%
prediction = ...  # a number from 0 to 1
grader.predict("relu_share_at_beta_1", prediction)

# %%
x = rng.standard_normal((2, 40, 40, 1)) * 3 + 5
for shift in (-1.0, 0.0, 1.0):
    out, _, _ = my_batchnorm(x, np.ones(1), np.array([shift]), 1e-5)
    print(f"beta {shift:+.0f}: ReLU passes {my_relu(out)[1]:.2f} of the numbers")

# %% [markdown]
# ## Training and inference
#
# In training, the output for a picture depends on the other pictures in its batch. In inference, it must not. So the
# layer keeps *running statistics*, which replace $\mu$ and $\sigma^2$ in inference. After each training batch, they
# move a tenth of the way (`momentum=0.1`) towards the batch's statistics.
#
# A batch's own mean lies closer to its numbers than the true mean does, so the *biased* variance $\sigma^2$ is too
# small, on average by a factor of $(m-1)/m$. The running variance uses the *unbiased* variance, $\sigma^2 m/(m-1)$. For
# $m = 4$ and true variance 1:

# %%
small_batches = rng.standard_normal((20_000, 4))
print(f"biased, divided by m = 4:       {small_batches.var(1).mean():.3f} on average")
print(f"unbiased, divided by m - 1 = 3: {small_batches.var(1, ddof=1).mean():.3f} on average")

# %% [markdown]
# ### Exercise 3: running statistics
#
# Write `my_running(running_mean, running_var, mean, var, m, momentum)`. The first four are arrays (C,); `var` is the
# biased variance of a batch with `m` numbers per channel. Return the new running mean and running variance, and leave
# the arguments unchanged. `momentum` is the share of the way.


# %%
def my_running(running_mean, running_var, mean, var, m, momentum):
    ### BEGIN SOLUTION
    unbiased = var * m / (m - 1)
    new_mean = (1 - momentum) * running_mean + momentum * mean
    new_var = (1 - momentum) * running_var + momentum * unbiased
    return new_mean, new_var
    ### END SOLUTION


# %%
my_running = grader.grade("running_statistics", my_running)

# %%
running = np.zeros(1), np.ones(1)
for batch in range(1, 51):
    x = rng.standard_normal((2, 8, 8, 1)) * 2 + 10
    _, mean, var = my_batchnorm(x, np.ones(1), np.zeros(1), 1e-5)
    running = my_running(*running, mean, var, 128, 0.1)
    if batch in (1, 5, 10, 50):
        print(f"after {batch:>2} batches: running mean {running[0][0]:6.3f} (true: 10), share {1 - 0.9**batch:.2f};   "
              f"running variance {running[1][0]:.3f} (true: 4)")  # fmt: skip

# %% [markdown]
# After $k$ batches, the running mean has covered the share $1 - 0.9^k$ of its way. The SegNet authors instead ran the
# whole data set through the network before each evaluation (section 4.1), as `ts.recompute_statistics` does.
#
# ## Backward, in ten steps
#
# Every output depends on every input of its channel: $x_i$ occurs in the formula itself, in $\mu$ and in $\sigma^2$. So
# write the forward as a *computational graph*, a list of small steps, and go through it in reverse:

# %%
PIXELS = (0, 1, 2)  # sum a channel over these axes
STEPS = {
    "mean": lambda v: v["x"].mean(PIXELS),  # 1   mu = mean of x_i
    "centred": lambda v: v["x"] - v["mean"],  # 2   c_i = x_i - mu
    "squared": lambda v: v["centred"] ** 2,  # 3   q_i = c_i^2
    "var": lambda v: v["squared"].mean(PIXELS),  # 4   sigma^2 = mean of q_i
    "var_eps": lambda v: v["var"] + 1e-5,  # 5   v = sigma^2 + eps
    "std": lambda v: np.sqrt(v["var_eps"]),  # 6   r = sqrt(v)
    "inv_std": lambda v: 1 / v["std"],  # 7   s = 1 / r
    "x_hat": lambda v: v["centred"] * v["inv_std"],  # 8   x_hat_i = c_i s
    "scaled": lambda v: v["gamma"] * v["x_hat"],  # 9   g_i = gamma x_hat_i
    "out": lambda v: v["scaled"] + v["beta"],  # 10  out_i = g_i + beta
}

# %% [markdown]
# `nudges` adds numbers to intermediate results, which the check below needs:


# %%
def walk_forward(inputs, **nudges):
    v = {name: value + nudges.get(name, 0) for name, value in inputs.items()}
    for name, step in STEPS.items():
        v[name] = step(v) + nudges.get(name, 0)
    return v


x, gamma, beta = rng.standard_normal((2, 3, 2, 3)), np.array([1.0, -0.5, 2.0]), np.array([0.3, -1.0, 0.0])
inputs = {"x": x, "gamma": gamma, "beta": beta}
mine = my_batchnorm(x, gamma, beta, 1e-5)[0]
print("same result as my_batchnorm:", np.allclose(walk_forward(inputs)["out"], mine, rtol=0, atol=1e-14))

# %% [markdown]
# Now go in reverse, with $\mathrm{d}z = \partial J / \partial z$. A number that is *used in several places* gets the
# *sum* of the gradients from these places. A number that is *broadcast* to all pixels is used $m$ times, so its
# gradient is a sum over the pixels.
#
# **Step 10**, $\text{out}_i = g_i + \beta$. The slope is 1 for both:
#
# $$\mathrm{d}g_i = \mathrm{dout}_i \qquad \mathrm{d}\beta = \sum_i \mathrm{dout}_i$$
#
# **Step 9**, $g_i = \gamma\,\hat x_i$. The slope with respect to each factor is the other factor:
#
# $$\mathrm{d}\hat x_i = \gamma\,\mathrm{d}g_i \qquad \mathrm{d}\gamma = \sum_i \mathrm{d}g_i\,\hat x_i$$

# %% [markdown]
# **Step 8**, $\hat x_i = c_i\, s$, is also a product. Step 3 uses $c_i$ as well:
#
# $$\mathrm{d}s = \sum_i \mathrm{d}\hat x_i\, c_i \qquad \mathrm{d}c_i = \mathrm{d}\hat x_i\, s + (\text{from step 3})$$
#
# **Step 7**, $s = 1/r$, so $\partial s/\partial r = -1/r^2$, and $\mathrm{d}r = -\mathrm{d}s / r^2$.
#
# **Step 6**, $r = \sqrt v$, so $\partial r/\partial v = 1/(2r)$, and $\mathrm{d}v = \mathrm{d}r / (2r)$.

# %% [markdown]
# **Step 5**, $v = \sigma^2 + \varepsilon$. Since $\varepsilon$ is a constant, $\mathrm{d}(\sigma^2) = \mathrm{d}v$.
#
# **Step 4**, $\sigma^2 = \frac1m\sum_i q_i$. The slope for each $q_i$ is $1/m$, so $\mathrm{d}q_i =
# \mathrm{d}(\sigma^2)/m$.
#
# **Step 3**, $q_i = c_i^2$, so $\partial q_i/\partial c_i = 2c_i$. This completes $\mathrm{d}c_i = \mathrm{d}\hat x_i\,
# s + 2 c_i\, \mathrm{d}q_i$.
#
# **Step 2**, $c_i = x_i - \mu$. The slope is 1 for $x_i$ and $-1$ for $\mu$, which all pixels use:
# $\mathrm{d}\mu = -\sum_i \mathrm{d}c_i$.
#
# **Step 1**, $\mu = \frac1m\sum_i x_i$. The slope for each $x_i$ is $1/m$: $\mathrm{d}x_i = \mathrm{d}c_i +
# \mathrm{d}\mu / m$.

# %% [markdown]
# ### Exercise 4: steps 5 to 1
#
# Write `my_last_steps(d_x_hat, d_var_eps, centred, inv_std)`. `d_x_hat` and `centred` are (N, H, W, C), `d_var_eps` and
# `inv_std` are (C,). Return the gradients of `centred` (N, H, W, C), of `mean` (C,) and of `x` (N, H, W, C).


# %%
def my_last_steps(d_x_hat, d_var_eps, centred, inv_std):
    ### BEGIN SOLUTION
    m = centred.size // centred.shape[3]
    d_squared = d_var_eps / m
    d_centred = d_x_hat * inv_std + 2 * centred * d_squared
    d_mean = -d_centred.sum((0, 1, 2))
    dx = d_centred + d_mean / m
    return d_centred, d_mean, dx
    ### END SOLUTION


# %%
my_last_steps = grader.grade("batchnorm_last_steps", my_last_steps)

# %% [markdown]
# Together with steps 10 to 6:


# %%
def walk_backward(dout, v):
    d, m = {"out": dout, "scaled": dout}, dout.size // dout.shape[3]
    d["beta"] = d["out"].sum(PIXELS)  # step 10
    d["gamma"] = (d["scaled"] * v["x_hat"]).sum(PIXELS)  # 9
    d["x_hat"] = v["gamma"] * d["scaled"]
    d["inv_std"] = (d["x_hat"] * v["centred"]).sum(PIXELS)  # 8
    d["std"] = -d["inv_std"] / v["std"] ** 2  # 7
    d["var"] = d["var_eps"] = d["std"] / (2 * v["std"])  # 6 and 5
    d["squared"] = np.ones_like(v["squared"]) * d["var"] / m  # 4
    d["centred"], d["mean"], d["x"] = my_last_steps(d["x_hat"], d["var_eps"], v["centred"], v["inv_std"])
    return d


# %% [markdown]
# Check every intermediate gradient: `check` moves each number of `nudge`, an array of zeros that is added to $z$, up
# and down:


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
# For a wrong backward, such a table shows the faulty step: the gradients of all later steps are right.
#
# ## From ten steps to one line
#
# Substitute the steps into each other. Step 8 with $c_i = \hat x_i / s$, and steps 7, 6 and 5 with $r = 1/s$, give
#
# $$\mathrm{d}s = \frac1s \sum_j \mathrm{d}\hat x_j\, \hat x_j
# \qquad \mathrm{d}r = -s^2\, \mathrm{d}s
# \qquad \mathrm{d}(\sigma^2) = \mathrm{d}v = \frac{s}{2}\, \mathrm{d}r
# = -\frac{s^2}{2} \sum_j \mathrm{d}\hat x_j\, \hat x_j$$
#
# Steps 4 and 3 give
#
# $$\mathrm{d}c_i = s\, \mathrm{d}\hat x_i + \frac{2 c_i}{m}\, \mathrm{d}(\sigma^2)
# = s \Big( \mathrm{d}\hat x_i - \frac{\hat x_i}{m} \sum_j \mathrm{d}\hat x_j\, \hat x_j \Big)$$

# %% [markdown]
# In step 2, the $\hat x_i$ sum to 0, so $\mathrm{d}\mu = -\sum_i \mathrm{d}c_i = -s \sum_i \mathrm{d}\hat x_i$. Then
# step 1 is
#
# $$\mathrm{d}x_i = \mathrm{d}c_i + \frac{\mathrm{d}\mu}{m}
# = s \Big( \mathrm{d}\hat x_i - \frac1m \sum_j \mathrm{d}\hat x_j
# \;-\; \frac{\hat x_i}{m} \sum_j \mathrm{d}\hat x_j\, \hat x_j \Big)$$
#
# Step 9 says $\mathrm{d}\hat x_i = \gamma\,\mathrm{dout}_i$. The two sums become $\gamma$ times $\mathrm{d}\beta =
# \sum_j \mathrm{dout}_j$ and $\mathrm{d}\gamma = \sum_j \mathrm{dout}_j\, \hat x_j$:
#
# $$\boxed{\;\mathrm{d}x_i
# = \gamma\, s \Big( \mathrm{dout}_i - \frac{\mathrm{d}\beta}{m} - \hat x_i\, \frac{\mathrm{d}\gamma}{m} \Big)\;}$$

# %% [markdown]
# ### Exercise 5: batch normalisation backward, in one line
#
# Write `my_batchnorm_backward(dout, x_hat, inv_std, gamma)` for `dout`, `x_hat` (N, H, W, C) and `inv_std`, `gamma`
# (C,). Return `dx` (N, H, W, C), `dgamma` (C,) and `dbeta` (C,).


# %%
def my_batchnorm_backward(dout, x_hat, inv_std, gamma):
    ### BEGIN SOLUTION
    m = dout.size // dout.shape[3]
    dbeta = dout.sum((0, 1, 2))
    dgamma = (dout * x_hat).sum((0, 1, 2))
    dx = gamma * inv_std * (dout - dbeta / m - x_hat * dgamma / m)
    return dx, dgamma, dbeta
    ### END SOLUTION


# %%
my_batchnorm_backward = grader.grade("batchnorm_backward", my_batchnorm_backward)

# %%
v, dout = walk_forward(inputs), rng.standard_normal(x.shape)
one_line, _, _ = my_batchnorm_backward(dout, v["x_hat"], v["inv_std"], gamma)
library = ops.batchnorm2d_backward(dout, ops.batchnorm2d_forward(x, gamma, beta)[1])[0]
print(f"ten steps and one line differ by at most {np.abs(walk_backward(dout, v)['x'] - one_line).max():.1e}")
print(f"one line and the library by at most      {np.abs(one_line - library).max():.1e}")

# %% [markdown]
# ### What the two subtracted terms mean
#
# Shifting a channel does not change the output, nor (except for $\varepsilon$) does scaling it around its mean. In
# these two directions, the gradient must be zero. So the two terms remove two components from `dout`: its mean, and its
# component along `x_hat`. For the 4x4 picture from above, with $\gamma s = 1$:

# %%
x_hat4 = (np.array([[7.0, -1, 5, 1], [3, 5, 3, 1], [1, 3, 5, 3], [3, 5, 1, 3]]) - 3) / 2
dout4 = np.array([[3.0, 1, 0, 2], [1, 4, -1, 1], [0, 1, 2, 0], [2, 0, -1, 1]])
shift, stretch = np.full((4, 4), dout4.mean()), x_hat4 * (dout4 * x_hat4).mean()
dx4 = dout4 - shift - stretch
print("sum of dx:", dx4.sum().round(12), "  sum of dx * x_hat:", (dx4 * x_hat4).sum().round(12))
panels = [("dout", dout4), "-", ("dbeta / m", shift), "-", ("x_hat dgamma / m", stretch), "=", ("dx", dx4)]
figures.show_arrays(panels)

# %% [markdown]
# Predict: with `dout = 1` everywhere, how large is the largest entry of `dx`, except for rounding?

# %%
prediction = ...  # a number
grader.predict("largest_dx_for_ones", prediction)

# %%
ones, _, _ = my_batchnorm_backward(np.ones_like(x), v["x_hat"], v["inv_std"], gamma)
print(f"largest |dx| for dout = ones: {np.abs(ones).max():.1e}")
ts.gradcheck.check_op("batchnorm2d")

# %% [markdown]
# ## What breaks it
#
# The check refuses five planted bugs. It cannot detect the sixth, which uses $m - 1$ in both forward and backward, so
# that the two match. Only a comparison with the library reveals it:

# %%
names = ["no_mean_term", "no_variance_term", "statistics_constant", "other_variance", "gamma_missing",
         "variance_in_both"]  # fmt: skip
for name in names:
    bug = bugs[f"batchnorm_{name}"]
    report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
    tensor = report.tensor("x")
    print(f"{bug.sentence}\n    {tensor.count('wrong')} of {len(tensor.probes)} entries refused. {tensor.hint or ''}")
    print(f"    relative difference from the library: {compare_op(bug.op, *bug.pair):.2g}")

# %% [markdown]
# ## A bias before batch normalisation
#
# A convolution's bias $b$ is added to all pixels of a channel. Batch normalisation subtracts the mean, which has also
# grown by $b$, so the gradient of $b$ is zero:

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
tiny = ts.build("tiny", num_classes=11)
print("biases of tiny:", [name for name, _ in tiny.named_parameters() if name.endswith("bias")])

# %% [markdown]
# The noise floor of lesson 03 accepts this rounding noise. So `tiny` has only one bias, in its last layer, which no
# normalisation follows.
#
# ## The fast version
#
# Most of the time is spent on memory access. So the library's fused operation `batchnorm2d_relu` applies ReLU in the
# pass that normalises:

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
ways = {"NumPy, one after the other": lambda: norm_then_relu(norms["numpy"], relus["numpy"])}
if ts.runtime.HAS_NUMBA:
    fused = ts.gradcheck.find_variants("batchnorm2d_relu")["numba"]
    ways["numba, one after the other"] = lambda: norm_then_relu(norms["numba"], relus["numba"])
    ways["numba, fused"] = lambda: fused_norm_relu(fused)
else:
    print("numba is not installed, so its versions are missing here.")
right = ways["NumPy, one after the other"]()
for name, way in ways.items():
    off = max(np.abs(a - b).max() / np.abs(b).max() for a, b in zip(way(), right, strict=True))
    seconds = min(timeit.repeat(way, number=1, repeat=5))
    print(f"{name:<27} {1000 * seconds:7.1f} ms forward and backward   difference {off:.0e}")

# %% [markdown]
# ### Challenge: statistics in one pass, without losing digits
#
# A data set is too large for memory. Write `my_statistics(batches)`. `batches` yields arrays (N, H, W, C) with
# different N; you may loop over it once. The next batch overwrites the array of the last one, so keep no batch. Return
# the mean and the biased variance of all numbers of each channel, both (C,).
#
# The grader counts the correct digits of your variance at a mean of 1e8; the one-pass formula has none. Hint: how can
# you move the numbers close to zero before you know their mean? Or how can you merge the statistics of two batches?


# %%
def my_statistics(batches):
    ### BEGIN SOLUTION
    count, total, squares, near = 0, 0.0, 0.0, None
    for batch in batches:
        near = batch[0, 0, 0].copy() if near is None else near  # any number close to the mean
        moved = batch - near
        count += moved.size // moved.shape[3]
        total = total + moved.sum((0, 1, 2))
        squares = squares + (moved**2).sum((0, 1, 2))
    mean = total / count
    return near + mean, squares / count - mean**2
    ### END SOLUTION


# %%
my_statistics = grader.grade("statistics_in_one_pass", my_statistics)

# %% [markdown]
# ## What to remember
#
# * Without a nonlinear function between them, several convolutions are one linear map.
# * Batch normalisation makes the size of the weights before it irrelevant.
# * Training uses the batch's mean and biased variance; inference uses running statistics with the unbiased variance.
# * A long backward is a list of small steps in reverse order. Check each.
# * $\mathrm{dx} = \gamma s\,(\mathrm{dout} - \mathrm{d}\beta/m - \hat x\,\mathrm{d}\gamma/m)$: the two terms remove the
#   components that shift or scale the channel.

# %% [markdown]
# ## Read next
#
# * S. Ioffe and C. Szegedy (2015), *Batch Normalization: Accelerating Deep Network Training by Reducing Internal
#   Covariate Shift*: compare its backward (section 3) with yours.
# * S. Santurkar, D. Tsipras, A. Ilyas and A. Madry (2018), *How Does Batch Normalization Help Optimization?*:
#   experiments that contradict the first paper's explanation.
# * T. Chan, G. Golub and R. LeVeque (1983), *Algorithms for Computing the Sample Variance: Analysis and
#   Recommendations*: the challenge, with error bounds.
