# %% [markdown]
# # 03 Gradient checking
#
# **The question.** You have derived a backward pass by hand and programmed it. Is its result right? A network with a
# wrong gradient raises no error; it trains, but often badly.
#
# **At the end** you have written a gradient check. You can say how accurate a measured slope is, tell a bug from a
# kink, and name the laws that every backward pass must obey.
#
# **Prerequisites:** lesson 02 (what a backward pass computes) and Taylor's formula. The paper (Badrinarayanan et al.
# 2017) does not derive the gradients of its layers.

# %%
import numpy as np

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet_lessons import figures, fragments, grader
from tinysegnet_lessons.bugs import bugs, compare_op

# %% [markdown]
# ## Measuring a slope
#
# The derivative of $J$ is the limit of the **forward difference** $(J(t + h) - J(t)) / h$ as $h$ goes to 0. Its error
# is, by Taylor's formula:
#
# $$J(t+h) = J + h J' + \tfrac{h^2}{2} J'' + \tfrac{h^3}{6} J''' + \dots
# \quad\Rightarrow\quad \frac{J(t+h) - J(t)}{h} = J' + \underbrace{\tfrac{h}{2} J''}_{\text{error}} + \dots$$
#
# The **central difference** takes a step to each side. In $J(t-h)$ every odd power changes sign, so the even powers
# cancel:
#
# $$\frac{J(t+h) - J(t-h)}{2h} = \frac{2 h J' + \tfrac{2 h^3}{6} J''' + \dots}{2h}
# = J' + \underbrace{\tfrac{h^2}{6} J'''}_{\text{error}} + \dots$$
#
# ### Warm-up: the central difference
#
# Write `my_central_difference(f, t, h)` for a function `f` of one number. Return the central difference at `t`.


# %%
def my_central_difference(f, t, h):
    ### BEGIN SOLUTION
    difference = f(t + h) - f(t - h)
    return difference / (2 * h)
    ### END SOLUTION


# %%
my_central_difference = grader.grade("central_difference", my_central_difference)

# %% [markdown]
# Try both differences on $J(t) = \log(1 + e^{-t})$ at $t = 1$. With $p = 1/(1 + e^{-t})$, its derivatives are
# $J' = p - 1$, $J'' = p(1-p)$ and $J''' = p(1-p)(1-2p)$.


# %%
def loss_at(t, dtype=np.float64):
    return np.log1p(np.exp(-dtype(t)))


p = 1 / (1 + np.exp(-1))
exact = p - 1
for h in (1e-1, 1e-2, 1e-3):
    forward = (loss_at(1 + h) - loss_at(1)) / h
    both = abs(forward - exact), abs(my_central_difference(loss_at, 1, h) - exact)
    print(f"h = {h:g}    forward: error {both[0]:.1e}    central: error {both[1]:.1e}")

# %% [markdown]
# If $h$ becomes ten times smaller, the errors shrink by factors of 10 and 100.
#
# ## Truncation and rounding
#
# Predict: in float64, which step gives the smallest error of the central difference? (a) $h = 10^{-2}$, (b)
# $h = 10^{-5}$, (c) $h = 10^{-12}$.

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("best_step_in_float64", prediction)

# %% [markdown]
# Every result in float64 has a relative rounding error of at most $\varepsilon = 2.2 \cdot 10^{-16}$. If $J$ is a sum
# of terms of total size $F$, its rounding error is about $\varepsilon F$. The central difference contains two of these
# errors, divided by $2h$:
#
# $$\text{error} \;\approx\; \underbrace{\tfrac{h^2}{6}\,|J'''|}_{\text{truncation}} \;+\;
# \underbrace{\tfrac{\varepsilon F}{h}}_{\text{rounding}} .$$
#
# At the best step, the derivative of this sum is zero: $h^3 = 3 \varepsilon F / |J'''|$. If $F$ and $J'''$ are of order
# 1, then $h \approx 10^{-5}$, the library's step.

# %%
third, F, eps = abs(p * (1 - p) * (1 - 2 * p)), loss_at(1), np.finfo(float).eps
steps = np.logspace(-13, 0, 66)


def error_at(h, dtype=np.float64):
    return abs(my_central_difference(lambda t: float(loss_at(t, dtype)), 1, h) - exact) + 1e-18


curves = {"float64": (steps, [error_at(h) for h in steps]),
          "float32": (steps, [error_at(h, np.float32) for h in steps]),
          "truncation, h² J'''/6": (steps[30:], steps[30:] ** 2 * third / 6),
          "rounding, eps F / h": (steps[:52], eps * F / steps[:52])}  # fmt: skip
best = (3 * eps * F / third) ** (1 / 3)
figures.show_plot(curves, title="Error of the central difference", x="step h", y="error", log=True,
              marks={"best h": (best, best**2 * third / 6 + eps * F / best)})  # fmt: skip

# %% [markdown]
# Choose the step yourself, for the loss of a small convolution. The smaller the step, the fewer digits of the two
# losses differ, and only these digits determine the slope.

# %%
fragments.show("slope")

# %% [markdown]
# In float32, the dtype of training, $\varepsilon = 1.2 \cdot 10^{-7}$, and the smallest error is several powers of ten
# larger. So check in float64.
#
# ### Exercise 1: a numeric gradient
#
# Write `my_numeric_gradient(f, x, h)`. `f` takes an array and returns a number, and `x` is an array of any shape.
# Return an array with the shape of `x`: the central difference of `f` for each entry. Pass `f` the whole array with one
# entry moved, and leave `x` unchanged.


# %%
def my_numeric_gradient(f, x, h):
    ### BEGIN SOLUTION
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[index] += h
        down[index] -= h
        gradient[index] = (f(up) - f(down)) / (2 * h)
    return gradient
    ### END SOLUTION


# %%
my_numeric_gradient = grader.grade("numeric_gradient", my_numeric_gradient)

# %% [markdown]
# ## From a layer to one number
#
# A layer returns an array, but a gradient belongs to a single number. So draw a random array `dout` with the shape of
# `out`, and let $q$ run over all entries:
#
# $$J = \sum_q \mathrm{out}[q]\, \mathrm{dout}[q] \qquad\Rightarrow\qquad \frac{\partial J}{\partial\,\mathrm{out}[q]} =
# \mathrm{dout}[q] .$$
#
# Then `backward(dout, cache)` should return the gradient of this $J$. The total size of the terms is
# $F = \sum_q |\mathrm{out}[q]\,\mathrm{dout}[q]|$. Try this on a convolution:

# %%
rng = np.random.default_rng(0)
x, weight, bias = rng.standard_normal((2, 4, 5, 1)), rng.standard_normal((3, 3, 1, 2)), np.zeros(2)
out, cache = ops.conv2d_forward(x, weight, bias)
dout = rng.standard_normal(out.shape)
dx, _, _ = ops.conv2d_backward(dout, cache)
numeric = my_numeric_gradient(lambda x: (ops.conv2d_forward(x, weight, bias)[0] * dout).sum(), x, 1e-5)
print("largest |dx| ", np.abs(dx).max(), "   largest difference", np.abs(dx - numeric).max())
figures.show_arrays([("dx, sample 0", dx[0, :, :, 0]), ("measured", numeric[0, :, :, 0])], decimals=4)

# %% [markdown]
# ## The allowed difference
#
# Let $a$ be the gradient from backward (analytic) and $n$ the measured gradient (numeric). A common rule is that the
# relative error $|a - n| / \max(|a|, |n|)$ must be below $10^{-7}$. This rule fails where the true gradient is zero.
# Example: in $\text{out} = x - \text{mean}(x)$, a constant that is added to all $x$ does not change `out`, so its
# gradient is 0. In practice, both $a$ and $n$ are rounding errors:

# %%
numbers, weights = rng.standard_normal(50), rng.standard_normal(50)


def J(constant):
    moved = numbers + constant
    return ((moved - moved.mean()) * weights).sum()


a = (weights - weights.mean()).sum()  # the layer's dx is dout - mean(dout); the constant is added to every x
n = my_central_difference(J, 0, 1e-5)
F = np.abs((numbers - numbers.mean()) * weights).sum()
print(f"analytic {a:.1e}   numeric {n:.1e}   relative error {abs(a - n) / max(abs(a), abs(n)):.2f}")
print(f"noise of the difference, 10 eps F / h = {10 * eps * F / 1e-5:.1e}")

# %% [markdown]
# The relative error is large although nothing is wrong: it is noise divided by noise. A better rule accepts $a$ if
#
# $$|a - n| \;\le\; 10^{-7} \max(|a|, |n|) \;+\; 10\,\frac{\varepsilon F}{h} .$$
#
# The first term allows for truncation. The second, the *noise floor*, is ten times the rounding error from above.
#
# ### Exercise 2: error over allowed
#
# Write `my_error_over_allowed(analytic, numeric, F, h)` for two arrays of the same shape and two numbers. Return an
# array of this shape: for each entry, the error divided by the error that the rule allows. An entry above 1 is refused.
# `np.finfo(float).eps` is $\varepsilon$.


# %%
def my_error_over_allowed(analytic, numeric, F, h):
    ### BEGIN SOLUTION
    larger = np.maximum(np.abs(analytic), np.abs(numeric))
    allowed = 1e-7 * larger + 10 * np.finfo(float).eps * F / h
    return np.abs(analytic - numeric) / allowed
    ### END SOLUTION


# %%
my_error_over_allowed = grader.grade("error_over_allowed", my_error_over_allowed)

# %% [markdown]
# ### Exercise 3: a gradient check
#
# Put the parts together in `my_check(forward, backward, x, dout, h)`. `forward(x)` returns `(out, cache)`, and
# `backward(dout, cache)` returns `dx`. Return the largest error over allowed. You may call your earlier functions.


# %%
def my_check(forward, backward, x, dout, h):
    ### BEGIN SOLUTION
    out, cache = forward(x)
    F = np.abs(out * dout).sum()

    def loss(moved):
        return (forward(moved)[0] * dout).sum()

    numeric = my_numeric_gradient(loss, x, h)
    analytic = backward(dout, cache)
    return my_error_over_allowed(analytic, numeric, F, h).max()
    ### END SOLUTION


# %%
my_check = grader.grade("gradient_check", my_check)


# %%
def my_forward(x):
    return ops.conv2d_forward(x, weight, bias)


def my_scaled_backward(dout, cache):
    return factor * ops.conv2d_backward(dout, cache)[0]


for factor in (1, 1.00001, 2):
    print(f"dx times {factor}: error over allowed {my_check(my_forward, my_scaled_backward, x, dout, 1e-5):.3g}")

# %% [markdown]
# The library's check works in the same way. Here it checks a *planted bug*: `bugs` contains 28 mistakes, each planted
# in a copy of this library's code (appendix 06a).

# %%
bug = bugs["dx_kernel_flipped"]
print(bug.sentence)
report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
report

# %% tags=["map"]
figures.show_gradient(report, "dx")

# %% [markdown]
# Every red entry is refused. For its hint, the checker tests whether a common mistake explains the difference.
#
# ## Why `dout = 1` hides bugs
#
# With `J = out.sum()`, `dout` is 1 everywhere. Predict: if `dx` is computed with the flipped kernel, for a picture of
# 5x6 pixels and a 3x3 kernel, at how many of the 12 pixels that do not touch the border is it then wrong?

# %%
prediction = ...  # a number from 0 to 12
grader.predict("wrong_inner_pixels_for_ones", prediction)

# %%
w = np.arange(1.0, 10).reshape(3, 3, 1, 1)
_, cache = ops.conv2d_forward(rng.standard_normal((1, 5, 6, 1)), w)
ones, inside = np.ones((1, 5, 6, 1)), np.s_[1:4, 1:5]
right, wrong = (backward(ones, cache)[0][0, :, :, 0] for backward in (ops.conv2d_backward, bug.backward))
figures.show_arrays([("dx, dout = 1", right), ("kernel flipped", wrong)],
                highlight={"dx, dout = 1": inside, "kernel flipped": inside})  # fmt: skip

# %% [markdown]
# Inside the frames, both gradients are $1 + 2 + \dots + 9 = 45$. In lessons 04 and 05, `dout = 1` hides some bugs
# everywhere. So draw `dout` at random.
#
# ## Kinks and jumps
#
# ReLU, $\max(x, 0)$ (lesson 04), has no slope at 0: its slope is 1 on the right and 0 on the left. Predict: what does
# the central difference of $\max(2t, 0)$ give at $t = 0$?

# %%
prediction = ...  # a number
grader.predict("central_difference_at_kink", prediction)


# %%
def kink(t):
    return float(ops.relu_forward(np.array([2.0 * t]))[0][0])


def jump(t):
    return 0.5 if t >= 0 else -1.0


line = np.linspace(-0.5, 0.5, 401)
losses = {f.__name__: (line, np.array([float(f(t)) for t in line])) for f in (loss_at, kink, jump)}
losses["jump"][1][199] = np.nan  # show a gap at the jump, not a connecting line
print("central differences at 0:", *(my_central_difference(f, 0, 1e-5) for f in (kink, jump)))
figures.show_plot(losses, title="J along a line", x="t", y="J")

# %% [markdown]
# SegNet even has jumps, where the position of a maximum changes (lesson 05). The two one-sided slopes tell these cases
# from a bug. Let $K(h) = |\text{slope to the right} - \text{slope to the left}|$:
#
# | at the point | $K(h)$ | ratio $K(h/2) / K(h)$ |
# |---|---|---|
# | smooth | $h\,\lvert J''\rvert$ | 0.5 |
# | kink | the difference between the two slopes | 1 |
# | jump | height / $h$ | 2 |


# %%
def K(f, h):
    return abs((f(h) - f(0)) / h - (f(0) - f(-h)) / h)


for f, expected in ((loss_at, 0.5), (kink, 1), (jump, 2)):
    ratio = K(f, 5e-6) / K(f, 1e-5)
    print(f"{f.__name__:7} K(1e-5) = {K(f, 1e-5):10.2e}   ratio {ratio:.2f}, expected {expected}")
    assert abs(ratio - expected) < 0.05

# %% [markdown]
# So a disagreement with ratio 0.5 means a bug. With ratio 1 or 2, the checker makes $h$ ten times smaller. An entry
# exactly at a kink, such as the third in the next cell, counts as *crossed* and is not judged. If too many entries are
# crossed, as here, the check fails, and you should choose other arguments.

# %%
print(ts.gradcheck.check(ops.relu_forward, ops.relu_backward, np.array([-1.0, -0.5, 0, 3e-6, 0.7, 1.2]), title="ReLU"))

# %% [markdown]
# ## Find the bug
#
# A layer scales and shifts each channel: `out = x * gain + offset`, with `x` (N, H, W, C) and `gain` and `offset` (C,).
# This backward has a bug:


# %%
def affine_forward(x, gain, offset):
    return x * gain + offset, (x, gain)


def wrong_affine_backward(dout, cache):
    x, gain = cache
    dx = dout * gain
    return dx, (dx * x).sum((0, 1, 2)), dout.sum((0, 1, 2))


arrays = rng.standard_normal((2, 3, 4, 2)), np.array([1.5, 0.5]), np.array([0.0, 1.0])
ts.gradcheck.check(affine_forward, wrong_affine_backward, *arrays)

# %% [markdown]
# ### Exercise 4: the right backward
#
# Derive the three gradients, and write `my_affine_backward(dout, cache)`, where `cache` is `(x, gain)`. Return `dx` (N,
# H, W, C), `dgain` (C,) and `doffset` (C,).


# %%
def my_affine_backward(dout, cache):
    ### BEGIN SOLUTION
    x, gain = cache
    dgain = (dout * x).sum((0, 1, 2))
    doffset = dout.sum((0, 1, 2))
    return dout * gain, dgain, doffset
    ### END SOLUTION


# %%
my_affine_backward = grader.grade("affine_backward", my_affine_backward)

# %%
ts.gradcheck.check(affine_forward, my_affine_backward, *arrays)

# %% [markdown]
# ## Laws beyond the slope
#
# The library's check also requires the following laws:
#
# * Backward is **linear in dout**: if $B(u)$ is its result for `dout = u` and a fixed cache, then
#   $B(2u + 3v) = 2 B(u) + 3 B(v)$, because every sum in the chain rule is linear.
# * Backward is **repeatable**: the same cache gives the same bits, even after another forward pass.
# * **Arguments are unwritten**: forward and backward must accept read-only arrays.
#
# Each of these two backward passes breaks a law:


# %%
def clipped(dout, cache):
    return my_affine_backward(np.clip(dout, -1, 1), cache)


def in_place(dout, cache):
    dgain, doffset = my_affine_backward(dout, cache)[1:]
    dout *= cache[1]  # right numbers, but the caller's dout is lost
    return dout, dgain, doffset


for backward in (clipped, in_place):
    report = ts.gradcheck.check(affine_forward, backward, *arrays)
    print(f"{backward.__name__}: laws broken: {', '.join(report.broken_laws)}")

# %% [markdown]
# None of these laws says what forward ought to compute. A convolution that flips its kernel in both passes obeys them
# all. Only a **comparison** with a second implementation detects it:

# %%
bug = bugs["kernel_flipped_in_both"]
print(bug.sentence)
print("gradient check:", "ok" if ts.gradcheck.check_op(bug.op, pair=bug.pair) else "refused")
print("largest difference from the library's own results:", compare_op(bug.op, *bug.pair))

# %% [markdown]
# ### Challenge: a convincing bug
#
# Write `my_convincing_bug()`, which returns `forward` and `backward` of a wrong convolution. They must obey as many of
# the four laws (gradient, linear, repeatable, unwritten) as possible. The result is 0 if `compare_op` finds no
# difference, and also for a flipped kernel. `forward(x, weight, bias=None, **settings)` returns `(out, cache)`;
# `backward(dout, cache)` returns `dx`, `dweight` and `dbias` (None if there is no bias). You may call the library's
# functions.


# %%
def my_convincing_bug():
    ### BEGIN SOLUTION
    def forward(x, weight, bias=None, **settings):  # of a picture that is twice as bright
        return ops.conv2d_forward(2 * x, weight, bias, **settings)

    def backward(dout, cache):
        dx, dweight, dbias = ops.conv2d_backward(dout, cache)
        return 2 * dx, dweight, dbias

    return forward, backward
    ### END SOLUTION


# %%
my_convincing_bug = grader.grade("convincing_bug", my_convincing_bug)

# %% [markdown]
# ## What to remember
#
# * The error of a central difference is $h^2 J'''/6$ plus $\varepsilon F/h$, smallest near $h = 10^{-5}$ in float64.
# * Allow $10^{-7} \max(|a|, |n|) + 10\, \varepsilon F / h$. A relative error alone fails where the true gradient is 0.
# * Draw `dout` at random, because with ones, errors cancel.
# * One-sided slopes distinguish a bug (ratio 0.5) from a kink (1) and a jump (2).
# * A gradient check shows only that backward belongs to forward. Also compare with a second implementation.

# %% [markdown]
# ## Read next
#
# * N. Higham (2002), *Accuracy and Stability of Numerical Algorithms*, chapter 1: rounding errors in short examples.
# * A. Griewank and A. Walther (2008), *Evaluating Derivatives*, chapter 3: how a program derives its own backward pass,
#   without the errors of differences.
# * A. Karpathy (2015), course notes of Stanford's CS231n, *Neural Networks Part 3*, on gradient checks: practical
#   advice, with another rule for the allowed error.
