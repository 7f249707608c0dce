# %% [markdown]
# # 02 Convolution backward
#
# **The question.** A convolution computes a picture `out` from a picture `x`, a kernel `weight` and a `bias`. The
# network ends with a loss $J$, which is one number. The given array `dout` contains the derivative of the loss with
# respect to every number of `out`. What are the derivatives with respect to the numbers of `x`, `weight` and `bias`?
#
# **At the end** you can derive the three gradients `dx`, `dweight` and `dbias` and read the library's backward line by
# line. You can also recognise five wrong backward passes from the report of a gradient check.
#
# **Prerequisites:** lesson 01 (the forward pass), the chain rule and matrix products.

# %%
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet.ops import conv, windows
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs

# %% [markdown]
# ## What a backward pass computes
#
# Write $\mathrm{dout}[u] = \partial J / \partial \mathrm{out}[u]$. This array has the shape of `out` and comes from the
# next layer. In all lessons, a d before a name means the gradient of the loss: `dx` is the gradient of $J$ with respect
# to `x`. The chain rule sums over all paths from one input number $x[p]$ to the loss:
#
# $$\mathrm{dx}[p] \;=\; \frac{\partial J}{\partial x[p]} \;=\; \sum_u \frac{\partial J}{\partial \mathrm{out}[u]}\,
# \frac{\partial\, \mathrm{out}[u]}{\partial x[p]} \;=\; \sum_u \mathrm{dout}[u]\,
# \frac{\partial\, \mathrm{out}[u]}{\partial x[p]} .$$
#
# So only one question remains: which outputs does $x[p]$ affect, and with which factor? This question arises for each
# of SegNet's 26 convolutions, 13 in the encoder and 13 in the decoder (Badrinarayanan et al. 2017, section 3).

# %% [markdown]
# ## One dimension first
#
# Take a line of five pixels, a kernel of three weights and "same" padding. The padding is one zero on each side, so
# `out` also has five pixels. The bias has its own section below.
#
# $$\mathrm{out}[u] = \sum_{i=0}^{2} x_{\mathrm{padded}}[u+i]\; w[i] \;=\; \sum_{i=0}^{2} x[u+i-1]\; w[i],
# \qquad x[-1] = x[5] = 0 .$$
#
# The library convolves pictures `(N, H, W, C)`. A line is a picture of height 1 with one channel. (On a new computer,
# the first cells that convolve compile the fast version, which takes 10 to 15 seconds each.)

# %%
x_line = np.array([2.0, 0, 1, 3, 1])
w_line = np.array([1.0, 2, -1])
dout_line = np.array([1.0, 0, 2, -1, 0])


def convolve_line(line, kernel, stride=1):
    out, _ = ops.conv2d_forward(line.reshape(1, 1, -1, 1), kernel.reshape(1, -1, 1, 1), stride=stride)
    return out.ravel()


out_line = convolve_line(x_line, w_line)
figures.show_arrays([("x", x_line[None]), ("w", w_line[None]), ("out", out_line[None])])

# %% [markdown]
# Check the first number by hand: $0 \cdot 1 + 2 \cdot 2 + 0 \cdot (-1) = 4$. The 0 in the first product is the padding.
#
# ## A convolution is a matrix
#
# `out` is linear in `x`: there is a matrix $A$ with $\mathrm{out} = A x$. Column $p$ of $A$ is the convolution of a
# picture that is 1 at pixel $p$ and 0 elsewhere. Five calls to the library therefore produce $A$. The sign `@` between
# two arrays is the matrix product, as in NumPy.

# %%
A = np.stack([convolve_line(unit, w_line) for unit in np.eye(5)], axis=1)
assert np.array_equal(A @ x_line, out_line)
figures.show_arrays([("A", A), "@", ("x", x_line[:, None]), "=", ("out", out_line[:, None])], indices=True)

# %% [markdown]
# Row $u$ of $A$ contains the kernel `1 2 -1`, centred at pixel $u$, and zeros elsewhere. Every row has the same three
# numbers, shifted by one. In the first and last rows, one of the three numbers falls on the padding and is missing. In
# symbols, $A[u, p] = w[i]$ where $p = u + i - 1$, and 0 where no such $i$ exists.
#
# ## dx: the transposed matrix
#
# The matrix contains the factor in the chain rule: $\partial\, \mathrm{out}[u] / \partial x[p] = A[u, p]$. So
#
# $$\mathrm{dx}[p] = \sum_u \mathrm{dout}[u]\, A[u, p] = \sum_u A^T[p, u]\; \mathrm{dout}[u],
# \qquad\text{that is}\qquad \mathrm{dx} = A^T\, \mathrm{dout}.$$

# %% tags=["map"]
dx_line = A.T @ dout_line
panels = [("A transposed", A.T), "@", ("dout", dout_line[:, None]), "=", ("dx", dx_line[:, None])]
figures.show_arrays(panels, indices=True)

# %% [markdown]
# Each row of $A^T$ again has three numbers around the diagonal, but in the order `-1 2 1`. This is the **flipped**
# kernel. A matrix of this form is a convolution. So `dx` is a convolution of `dout` with the flipped kernel.
#
# A calculation with indices leads to the same result. The sum over $u$ contains only terms with $p = u + i - 1$, so
# substitute $u = p + 1 - i$. Like `x` before, `dout` counts as zero outside the line:
#
# $$\mathrm{dx}[p] = \sum_{i=0}^{2} \mathrm{dout}[p + 1 - i]\; w[i]
# \;\overset{i = 2 - k}{=}\; \sum_{k=0}^{2} \mathrm{dout}[p + k - 1]\; w[2 - k] .$$
#
# The last form is the formula of the forward pass, with `dout` in place of `x` and `w[::-1]` in place of `w`.

# %%
print("A^T dout                    ", dx_line)
print("convolution, kernel flipped ", convolve_line(dout_line, w_line[::-1]))
print("convolution, not flipped    ", convolve_line(dout_line, w_line))
assert np.array_equal(dx_line, convolve_line(dout_line, w_line[::-1]))

# %% [markdown]
# ## The adjoint
#
# Write $\langle a, b\rangle = \sum a[p]\, b[p]$ for the inner product. For any matrix $A$,
#
# $$\langle A x, \mathrm{dout} \rangle = \sum_u \sum_p A[u,p]\, x[p]\, \mathrm{dout}[u]
# = \langle x, A^T \mathrm{dout} \rangle .$$
#
# Both sides are the same double sum in different orders. $A^T$ is called the **adjoint** of $A$. To test the forward
# and backward of any linear layer, pass them random arrays and compare two numbers.

# %%
print("<A x, dout>   =", out_line @ dout_line)
print("<x, A^T dout> =", x_line @ dx_line)
assert out_line @ dout_line == x_line @ dx_line
print("with the kernel not flipped:", x_line @ convolve_line(dout_line, w_line))

# %% [markdown]
# ## Stride 2
#
# With stride 2, forward skips every second position, so $A$ keeps only its rows 0, 2 and 4. Its transpose has three
# columns.

# %%
A2 = np.stack([convolve_line(unit, w_line, stride=2) for unit in np.eye(5)], axis=1)
assert np.array_equal(A2, A[::2])
spread = np.zeros(5)
spread[::2] = dout_line[:3]  # the three numbers of dout with zeros between them
assert np.array_equal(A2.T @ dout_line[:3], convolve_line(spread, w_line[::-1]))
figures.show_arrays([("A transposed", A2.T), "@", ("dout", dout_line[:3, None])], indices=True)

# %% [markdown]
# This matrix is the transpose for stride 1 with every second column removed. A missing column has the same effect as a
# column that is multiplied by 0. So insert a zero into `dout` for each skipped output, and convolve as before. The last
# assertion checks this.
#
# ## dweight: x correlated with dout
#
# `out` is linear in the kernel as well. The factor of $w[i]$ in $\mathrm{out}[u]$ is the pixel that forward multiplied
# by this weight:
#
# $$\frac{\partial\,\mathrm{out}[u]}{\partial w[i]} = x_{\mathrm{padded}}[u+i]
# \qquad\Rightarrow\qquad \mathrm{dweight}[i] = \sum_u x_{\mathrm{padded}}[u + i]\; \mathrm{dout}[u] .$$
#
# Place `dout` on the padded picture at position $i$, multiply the overlapping numbers, and sum the products. This is a
# **correlation** of `x` with `dout`, without a flip. A weight is used at every pixel, so its gradient is a sum over all
# pixels.

# %%
x_windows = np.stack([np.pad(x_line, 1)[i : i + 5] for i in range(3)])
dweight_line = x_windows @ dout_line
print("<w, dweight> =", w_line @ dweight_line, "  <out, dout> =", out_line @ dout_line)
panels = [("x_padded[i : i + 5]", x_windows), "@", ("dout", dout_line[:, None])]
figures.show_arrays([*panels, "=", ("dweight", dweight_line[:, None])], indices=True)

# %% [markdown]
# Row $i$ contains five pixels of the padded line, starting at pixel $i$. The inner product of this row and `dout` is
# `dweight[i]`. The printed line confirms the adjoint identity:
# $\langle w, \mathrm{dweight}\rangle = \langle \mathrm{out}, \mathrm{dout}\rangle$, because `out` is linear in `w` as
# well.
#
# ## dbias: a sum
#
# The bias $b$ is added to every output: $\partial\,\mathrm{out}[u]/\partial b = 1$, so
# $\mathrm{dbias} = \sum_u \mathrm{dout}[u]$. The gradient is a sum, not a mean, because a bias that acts on a thousand
# pixels has a thousand times the influence of a bias that acts on one.

# %% [markdown]
# ### Exercise 1: dx in one dimension
#
# Write `my_conv1d_dx(dout, weight)`. `dout` has shape `(W,)`, and `weight` has shape `(K,)` with K odd and at most W.
# The stride is 1 and the padding "same", so the result `dx` has shape `(W,)`. Use a loop over the taps or
# `np.convolve`, which itself flips its second argument.


# %%
def my_conv1d_dx(dout, weight):
    ### BEGIN SOLUTION
    K, W = len(weight), len(dout)
    dx_padded = np.zeros(W + K - 1)
    for i in range(K):
        dx_padded[i : i + W] += dout * weight[i]
    return dx_padded[K // 2 : K // 2 + W]
    ### END SOLUTION


# %%
my_conv1d_dx = grader.grade("conv1d_dx", my_conv1d_dx)

# %% [markdown]
# ## Two dimensions
#
# Two dimensions only add one more index: $u$ is the row and $v$ the column, as in lesson 01. With a $3 \times 3$ kernel
# and "same" padding,
#
# $$\mathrm{out}[u, v] = \sum_{i,j} x_{\mathrm{padded}}[u + i,\, v + j]\; w[i, j] .$$
#
# Begin with a `dout` that is 1 at pixel (1, 2) and 0 elsewhere. The loss then depends on that one output only.

# %%
x_map = np.array([[2.0, 0, 1, 0], [1, 3, 0, 1], [0, 1, 2, 1], [1, 0, 0, 2]])
w_map = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])


def dx_of(dout_map, backward=ops.conv2d_backward, kernel=w_map):
    _, cache = ops.conv2d_forward(x_map[None, :, :, None], kernel[:, :, None, None])
    return backward(dout_map[None, :, :, None], cache)[0][0, :, :, 0]


one = np.zeros((4, 4))
one[1, 2] = 1
panels = [("dout", one), ("weight", w_map), ("dx", dx_of(one))]
figures.show_arrays(panels, highlight={"dx": np.s_[0:3, 1:4]}, indices=True)

# %% [markdown]
# `dx` is a copy of the kernel around pixel (1, 2), and it is **not** flipped. Output (1, 2) read nine pixels through
# nine weights, so its `dout` goes back to the same nine pixels through the same nine weights. This is the **scatter**
# view: every output sends its share back along the connections of the forward pass.
#
# Now take two outputs, with `dout` 1 and 10.

# %%
two = one.copy()
two[2, 1] = 10
panels = [("dout", two), ("dx from (1, 2)", dx_of(one)), "+", ("dx from (2, 1)", dx_of(two - one))]
panels += ["=", ("dx", dx_of(two))]
figures.show_arrays(panels, highlight={"dx": (1, 1)})

# %% [markdown]
# `dx` contains two copies of the kernel, and the second is ten times as strong. Where the copies overlap, their numbers
# **add up**. An assignment instead of the addition would keep only one of the two numbers.
#
# ## Scatter and gather
#
# Now collect the shares that the framed pixel (1, 1) of `dx` receives. Output (1, 2) contributes $w[1, 0] = 4$ times 1,
# and output (2, 1) contributes $w[0, 1] = 2$ times 10. The output one row *below* the pixel used the tap one row
# *above* the centre. Seen from the pixel, the kernel is therefore rotated by 180 degrees. This is the **gather** view
# (`dout` is zero outside):
#
# $$\mathrm{dx}[u, v] = \sum_{i,j} \mathrm{dout}[u + 1 - i,\; v + 1 - j]\; w[i, j]
# = \sum_{k,l} \mathrm{dout}[u + k - 1,\; v + l - 1]\; w[2 - k,\, 2 - l] .$$

# %%
figures.show_kernel(two, w_map[::-1, ::-1], at=(1, 1), names=("dout", "weight, flipped", "dx"))

# %% [markdown]
# The flipped kernel lies on `dout` as a kernel lies on a picture in the forward pass. The sum of the products is
# $4 \cdot 1 + 2 \cdot 10 = 24$, the same number as before. Scatter and gather compute the same sum in two orders.
#
# ## The border
#
# In the forward pass, the kernel reads the zeros around the picture; in the backward pass, it writes gradients there.
# These pixels are not part of `x`, so they are cropped.
#
# The adjoint identity leads to the same result. Forward first pads ($P$) and then convolves without padding ($V$):
# $A = V P$. A transposed product has its factors in reverse order, $A^T = P^T V^T$, so backward first scatters and then
# crops. The adjoint $P^T$ of padding is cropping: in $\langle P a, b\rangle = \langle a, P^T b\rangle$, the zeros
# contribute nothing to the left side.

# %%
rng = np.random.default_rng(0)
pads = ((1, 1), (1, 1))
a, b = rng.standard_normal((2, 4, 5, 3)), rng.standard_normal((2, 6, 7, 3))
left, right = (windows.pad(a, pads) * b).sum(), (a * windows.crop(b, pads, (4, 5))).sum()
print(f"<pad(a), b> = {left:.12f}    <a, crop(b)> = {right:.12f}")
assert np.isclose(left, right, rtol=1e-12)

# %% [markdown]
# ## Channels: a matrix product at each tap
#
# A pixel has $C$ numbers before the convolution and $F$ numbers after it, and each tap is a $C \times F$ matrix, here
# called $w$. For one tap, let $X$ be the shifted picture and $D$ be `dout`, both with one row per pixel. The tap's
# share of `out` is $X w$; its row $r$ is $\sum_c X[r, c]\, w[c, f]$. The chain rule gives
#
# $$\mathrm{d}w[c, f] = \sum_r X[r, c]\, D[r, f] = (X^T D)[c, f], \qquad
#   \mathrm{d}X[r, c] = \sum_f D[r, f]\, w[c, f] = (D\, w^T)[r, c] .$$
#
# The sum over rows $r$ runs over all pixels of **all** samples, because every sample uses the same kernel. `dx` has no
# sum over samples, because each sample has its own pixels. Here is an example with two pixels, $C = 2$ and $F = 3$:

# %%
X, D = np.array([[1.0, 2], [3, 0]]), np.array([[1.0, 0, -1], [0, 2, 1]])
w_tap = np.array([[1.0, 0, 2], [0, 1, -1]])
panels = [("X transposed", X.T), "@", ("D", D), "=", ("dw", X.T @ D)]
figures.show_arrays([*panels, ("D", D), "@", ("w transposed", w_tap.T), "=", ("dX", D @ w_tap.T)])

# %% [markdown]
# `dw` has the shape of $w$, 2 x 3, and `dX` has the shape of $X$, two rows of two channels. The shapes tell you which
# factor to transpose. For $R$ rows, each of the products $X w$, $X^T D$ and $D w^T$ takes $R \cdot C \cdot F$
# multiplications, so a backward pass costs twice as much as a forward pass.

# %% [markdown]
# ### Exercise 2: dx
#
# Write `my_conv2d_dx(dout, weight)` for stride 1, "same" padding and odd K. `dout` is `(N, H, W, F)`, `weight` is
# `(K, K, C, F)`, and the result is `(N, H, W, C)`. Loop over the K*K taps; you need no loop over pixels.


# %%
def my_conv2d_dx(dout, weight):
    ### BEGIN SOLUTION
    (N, H, W, _), (K, _, C, _) = dout.shape, weight.shape
    dx_padded = np.zeros((N, H + K - 1, W + K - 1, C))
    for i in range(K):
        for j in range(K):
            dx_padded[:, i : i + H, j : j + W] += dout @ weight[i, j].T
    p = K // 2
    return dx_padded[:, p : p + H, p : p + W]
    ### END SOLUTION


# %%
my_conv2d_dx = grader.grade("conv2d_dx", my_conv2d_dx)

# %% [markdown]
# ### Exercise 3: dweight and dbias
#
# Write `my_conv2d_dweight_dbias(x, dout, K)`, again for stride 1, "same" padding and odd K. `x` is `(N, H, W, C)` and
# `dout` is `(N, H, W, F)`. Return `dweight` `(K, K, C, F)` and `dbias` `(F,)`.
# `np.tensordot(a, b, axes=([0, 1, 2], [0, 1, 2]))` sums over the samples, rows and columns of both arrays.


# %%
def my_conv2d_dweight_dbias(x, dout, K):
    ### BEGIN SOLUTION
    (_, H, W, C), F, p = x.shape, dout.shape[3], K // 2
    x_padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    dweight = np.empty((K, K, C, F))
    for i in range(K):
        for j in range(K):
            x_shifted = x_padded[:, i : i + H, j : j + W]
            dweight[i, j] = np.tensordot(x_shifted, dout, axes=([0, 1, 2], [0, 1, 2]))
    return dweight, dout.sum((0, 1, 2))
    ### END SOLUTION


# %%
my_conv2d_dweight_dbias = grader.grade("conv2d_dweight_dbias", my_conv2d_dweight_dbias)

# %% [markdown]
# ## The library's own code
#
# `shifted(x_padded, i, j, ...)` returns a view of the pixels that tap (i, j) reads, one for each output. Forward reads
# this view, and backward adds to it.

# %%
figures.show_source(conv.conv2d_backward_numpy)

# %% [markdown]
# `tensordot` over axes 0, 1 and 2 computes $X^T D$, summed over samples, rows and columns. `dout @ weight[i, j].T` is
# $D w^T$, and `+=` adds this product where the tap read its pixels, as in the scatter view. `crop` is the adjoint of
# the padding and comes last. `dbias` is the sum over all pixels of all samples. The code contains no flip, because the
# scatter view has none.
#
# ## The adjoint test
#
# Take random arrays in the usual layout. `out - bias` is linear in `x` and linear in `weight`, so three inner products
# must be equal. The broadcast of `bias` to all pixels is linear in `bias`, which gives two more equal inner products.

# %%
x, weight = rng.standard_normal((2, 7, 5, 3)), rng.standard_normal((3, 3, 3, 4))
bias = rng.standard_normal(4)
out, cache = ops.conv2d_forward(x, weight, bias)
dout = rng.standard_normal(out.shape)
dx, dweight, dbias = ops.conv2d_backward(dout, cache)
inner = [((out - bias) * dout).sum(), (x * dx).sum(), (weight * dweight).sum()]
print("<out - bias, dout> = {:.12f}\n<x, dx>            = {:.12f}\n<w, dweight>       = {:.12f}".format(*inner))
assert np.ptp(inner) < 1e-10
sides = (np.broadcast_to(bias, out.shape) * dout).sum(), (bias * dbias).sum()
print("<bias everywhere, dout> = {:.12f}   <bias, dbias> = {:.12f}".format(*sides))
assert np.isclose(*sides)

# %% [markdown]
# The adjoint test compares only a few numbers for one random draw. It does not show which entry is wrong, and it
# accepts a wrong forward pass if the backward pass matches it.
#
# ## Check by finite differences
#
# `check_op` moves every number of `x`, `weight` and `bias` slightly up and down, and compares the measured slope with
# the result of backward. Lesson 03 explains the method. The twelve cases are deliberately small and awkward: strides,
# even kernels, kernels larger than the picture, and 1x1 pictures and kernels.

# %%
report = ts.gradcheck.check_op("conv2d", "numpy")
print("passed:", report.ok, "  cases:", len(report.parts), "  numbers checked:", report.checked)

# %% [markdown]
# Exercises 2 and 3 together are a complete backward pass. The next cell checks your backward pass against the library's
# forward pass:


# %%
def my_conv2d_backward(dout, cache):
    x, weight = cache.x, cache.weight
    return my_conv2d_dx(dout, weight), *my_conv2d_dweight_dbias(x, dout, len(weight))


ts.gradcheck.check(ops.conv2d_forward, my_conv2d_backward, x, weight, bias, title="my_conv2d")

# %% [markdown]
# ## What breaks it
#
# The next cell checks five wrong backward passes from `bugs`.

# %%
planted = ["dx_kernel_flipped", "dweight_axes_swapped", "dx_assigned", "dweight_last_sample", "dx_cropped_wrong"]
reports = {}
for name in planted:
    bug = bugs[name]
    reports[name] = ts.gradcheck.check_op("conv2d", backward=bug.backward)
    refused = [t for t in reports[name].all_tensors() if not t.ok]
    print(f"{name}: {bug.sentence}")
    print(f"   refused: {', '.join(sorted({'d' + t.name for t in refused}))}, in {len(refused)} of 12 cases")
    print(f"   passes:  {'; '.join(case.title for case in reports[name].parts if case.ok) or 'none'}")
    print(f"   hint:    {next((t.hint for t in refused if t.hint), 'none')}\n")

# %% [markdown]
# Each report names the wrong array, and four reports give a hint: the checker tried a few likely mistakes, and one of
# them explained the numbers. All bugs but one pass some of the cases, so a check needs several cases:
#
# * A 1x1 kernel is unchanged by a flip or a swap of its axes, and it has no overlapping taps and no padding. In a 1x1
#   picture, a 3x3 kernel sees one pixel through its middle tap, which a flip leaves in place.
# * `dweight_axes_swapped` swaps the axes of square kernels only; otherwise the shape would reveal the bug.
# * `dx_assigned` is wrong only where windows overlap, and `dx_cropped_wrong` only with padding above the picture.
# * `dweight_last_sample` fails everywhere, because every case has at least two samples. With one sample per case, it
#   would pass.
#
# For the two outputs from above, the three wrong versions of `dx` look like this:

# %%
panels = [("dout", two), ("right", dx_of(two))]
names = ("dx_kernel_flipped", "dx_assigned", "dx_cropped_wrong")
figures.show_arrays([*panels, *((name, dx_of(two, bugs[name].backward)) for name in names)])

# %% [markdown]
# With the first bug, both copies of the kernel are rotated by 180 degrees. With the second bug, each pixel keeps only
# the share of the last tap: 9 times the `dout` to its upper left. With the third bug, everything is one row too low,
# and the lowest row is lost. This is the report on the first bug:

# %%
bug = bugs["dx_kernel_flipped"]
arrays = x_map[None, :, :, None], w_map[:, :, None, None]
report = ts.gradcheck.check(ops.conv2d_forward, bug.backward, *arrays, names=("x", "weight"), title=bug.name)
report

# %% [markdown]
# `analytic` is the result of backward at the worst entry, `numeric` is the measured slope, and `allowed` is the largest
# difference that rounding explains. A gradient is refused if its error/allowed is above 1. Lesson 03 explains the other
# columns.
#
# A kernel that does not change when rotated by 180 degrees hides this bug. A blur is one example:

# %%
symmetric = np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
right, wrong = dx_of(two, kernel=symmetric), dx_of(two, bug.backward, symmetric)
print("largest difference with a symmetric kernel:", np.abs(right - wrong).max())
assert np.array_equal(right, wrong)

# %% [markdown]
# So a check needs random arguments. The adjoint test also reveals all five bugs:

# %%
print(f"{'':22} {'<out, dout>':>12} {'<x, dx>':>12} {'<w, dweight>':>12}")
for name in (None, *planted):
    backward = bugs[name].backward if name else ops.conv2d_backward
    bad_dx, bad_dweight, _ = backward(dout, cache)
    inner = ((out - bias) * dout).sum(), (x * bad_dx).sum(), (weight * bad_dweight).sum()
    print(f"{name or 'right':22} {inner[0]:12.6f} {inner[1]:12.6f} {inner[2]:12.6f}")

# %% [markdown]
# In every row but the first, one number differs from the others. Its column is the one that the bug's name mentions,
# `dx` or `dweight`.
#
# ## The fast version: dx is a convolution
#
# In the gather view, `dx` is itself a convolution of `dout`. Its kernel is rotated by 180 degrees and has its channel
# axes exchanged ($F$ in, $C$ out). So the fast forward code also computes `dx`, and only one implementation must be
# optimised. Compare its result with that of the definition, which scatters:

# %%
rotated = weight[::-1, ::-1].swapaxes(2, 3)
gathered, _ = ops.conv2d_forward(dout, rotated)
scattered = conv.conv2d_backward_numpy(dout, cache)[0]
print("largest difference", np.abs(gathered - scattered).max())
assert np.allclose(gathered, scattered, rtol=1e-12, atol=1e-12)
figures.show_source(conv.convolve_transposed)

# %% [markdown]
# `spread_out` handles strides: it inserts the zeros. A layer that inserts zeros and then convolves in its forward pass
# is called a transposed convolution; lesson 05 uses one.
#
# numba compiles Python to machine code. The next table shows the time of one backward pass of a layer with 64 channels
# on a 45 x 60 picture in float32. `numpy` is the definition, and `direct` computes the same products in another order.
# `winograd` needs 36 multiplications where `direct` needs 144 (lesson 13). `numba` chooses, for each shape, whichever
# of these two is expected to be faster. (The first run also compiles, which takes up to a minute.)

# %%
x32, w32 = (rng.standard_normal(s).astype(np.float32) for s in ((1, 45, 60, 64), (3, 3, 64, 64)))
dout32 = rng.standard_normal(x32.shape).astype(np.float32)
answers = {}
for variant, (forward, backward) in ts.gradcheck.find_variants("conv2d").items():
    _, cache32 = forward(x32, w32)
    seconds = []
    for _ in range(3):  # the first call may compile
        start = time.perf_counter()
        answers[variant] = backward(dout32, cache32)
        seconds.append(time.perf_counter() - start)
    print(f"{variant:10} {1000 * min(seconds):8.1f} ms")

# %%
for variant, gradients in answers.items():
    pairs = zip(gradients[:2], answers["numpy"][:2], strict=True)
    apart = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs]
    print(f"{variant:10} relative difference from NumPy: dx {apart[0]:.1e}, dweight {apart[1]:.1e}")
    assert max(apart) < 1e-5

# %% [markdown]
# All differences are float32 rounding errors; float32 has about seven digits. `winograd` computes different
# intermediate numbers, and its rounding error is about four times as large.
#
# ## What to remember
#
# * A linear layer is a matrix $A$; its backward is $A^T$, the adjoint:
#   $\langle A x, \mathrm{dout}\rangle = \langle x, A^T \mathrm{dout}\rangle$. The adjoint test compares two numbers
#   and needs no step size.
# * For `dx`, every output sends its `dout` back along the connections of the forward pass, and the shares **add up**
#   (scatter). Seen from a pixel, this is a convolution with the kernel rotated by 180 degrees and its channel axes
#   exchanged (gather).
# * `dweight` is the correlation of `x` with `dout`: for each tap it is $X^T D$, a sum over all pixels of all samples.
#   `dbias` is the sum of `dout`.
# * The adjoint of a chain of steps reverses their order: the forward pass pads first, so the backward pass crops last.
# * A check needs random arguments, because symmetric kernels, N = 1 and 1x1 kernels hide bugs.
#
# Lesson 03 explains the gradient check used here.
