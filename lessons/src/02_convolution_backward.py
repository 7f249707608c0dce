# %% [markdown]
# # 02 Convolution backward
#
# **The question.** A convolution has made a picture `out` from a picture `x`, a kernel `weight` and a `bias`. At the
# end of the network stands a loss $J$, one number. Somebody hands us, for every number of `out`, how much the loss
# changes when that number grows a little: the array `dout`. How much does the loss change when a number of `x`, of
# `weight` or of `bias` grows a little?
#
# **At the end** you can derive the three answers `dx`, `dweight` and `dbias`; read the library's backward line by line;
# and recognise five ways to get it wrong by what a gradient check says about them.
#
# **Needed before:** lesson 01 (the forward pass), the chain rule, matrix products.

# %%
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet.ops import conv, windows
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs

# %% [markdown]
# ## What a backward pass is asked for
#
# Write $\mathrm{dout}[u] = \partial J / \partial \mathrm{out}[u]$. It has the shape of `out` and comes from the layer
# above. In all lessons a d before a name means this: `dx` is the gradient of the loss $J$ by `x`. The chain rule adds
# up all ways by which one input number $x[p]$ reaches the loss:
#
# $$\mathrm{dx}[p] \;=\; \frac{\partial J}{\partial x[p]} \;=\; \sum_u \frac{\partial J}{\partial \mathrm{out}[u]}\,
# \frac{\partial\, \mathrm{out}[u]}{\partial x[p]} \;=\; \sum_u \mathrm{dout}[u]\,
# \frac{\partial\, \mathrm{out}[u]}{\partial x[p]} .$$
#
# So all that is left is one question: which outputs does $x[p]$ reach, and with which factor? SegNet asks it 26 times:
# 13 convolutions in its encoder, 13 in its decoder (Badrinarayanan et al. 2017, section 3).

# %% [markdown]
# ## One dimension first
#
# A line of five pixels, a kernel of three weights, "same" padding: one zero on each side, so `out` has five pixels,
# too. The bias is left out until its own section.
#
# $$\mathrm{out}[u] = \sum_{i=0}^{2} x_{\mathrm{padded}}[u+i]\; w[i] \;=\; \sum_{i=0}^{2} x[u+i-1]\; w[i],
# \qquad x[-1] = x[5] = 0 .$$
#
# The library convolves pictures `(N, H, W, C)`. A line is a picture of height 1 with one channel. (On a new
# computer the first cells that convolve compile the fast version, 10 to 15 seconds each; a second run does not.)

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
# Check the first number by hand: $0 \cdot 1 + 2 \cdot 2 + 0 \cdot (-1) = 4$. The zero stands before the picture.
#
# ## A convolution is a matrix
#
# `out` is linear in `x`: there is a matrix $A$ with $\mathrm{out} = A x$. Its column $p$ is what the convolution makes
# of a picture that is 1 at pixel $p$ and 0 elsewhere. So we get $A$ by asking the library five times. The sign `@`
# between two arrays is the matrix product, as in NumPy.

# %%
A = np.stack([convolve_line(unit, w_line) for unit in np.eye(5)], axis=1)
assert np.array_equal(A @ x_line, out_line)
figures.show_arrays([("A", A), "@", ("x", x_line[:, None]), "=", ("out", out_line[:, None])], indices=True)

# %% [markdown]
# What to see: row $u$ holds the kernel `1 2 -1`, laid around pixel $u$, the rest is 0. The same three numbers stand in
# every row, shifted by one; at the first and last row the padding cuts one of them off.
# In symbols, $A[u, p] = w[i]$ where $p = u + i - 1$, and 0 where no such $i$ exists.
#
# ## dx: the matrix, transposed
#
# The factor in the chain rule is now in front of us: $\partial\, \mathrm{out}[u] / \partial x[p] = A[u, p]$. So
#
# $$\mathrm{dx}[p] = \sum_u \mathrm{dout}[u]\, A[u, p] = \sum_u A^T[p, u]\; \mathrm{dout}[u],
# \qquad\text{that is}\qquad \mathrm{dx} = A^T\, \mathrm{dout}.$$

# %% tags=["map"]
dx_line = A.T @ dout_line
panels = [("A transposed", A.T), "@", ("dout", dout_line[:, None]), "=", ("dx", dx_line[:, None])]
figures.show_arrays(panels, indices=True)

# %% [markdown]
# What to see: each row of $A^T$ again holds three numbers around the diagonal, but in the order `-1 2 1`: the kernel
# **flipped**. A matrix of this form is a convolution. So `dx` is a convolution of `dout` with the flipped kernel.
#
# The indices say the same. In the sum over $u$ only those terms live where $p = u + i - 1$, so put $u = p + 1 - i$. As
# `x` before, `dout` counts as zero outside:
#
# $$\mathrm{dx}[p] = \sum_{i=0}^{2} \mathrm{dout}[p + 1 - i]\; w[i]
# \;\overset{i = 2 - k}{=}\; \sum_{k=0}^{2} \mathrm{dout}[p + k - 1]\; w[2 - k] .$$
#
# The last form is the formula of the forward pass with `dout` for `x` and `w[::-1]` for `w`.

# %%
print("A^T dout                    ", dx_line)
print("convolution, kernel flipped ", convolve_line(dout_line, w_line[::-1]))
print("convolution, not flipped    ", convolve_line(dout_line, w_line))
assert np.array_equal(dx_line, convolve_line(dout_line, w_line[::-1]))

# %% [markdown]
# ## The adjoint
#
# Write $\langle a, b\rangle = \sum a[p]\, b[p]$ for the inner product. For any matrix
#
# $$\langle A x, \mathrm{dout} \rangle = \sum_u \sum_p A[u,p]\, x[p]\, \mathrm{dout}[u]
# = \langle x, A^T \mathrm{dout} \rangle .$$
#
# Both sides are the same double sum, read in another order. $A^T$ is called the **adjoint** of $A$. The equation needs
# no matrix to be written down and no small step: whoever hands us a forward and a backward of a linear layer, we can
# feed random arrays and compare two numbers.

# %%
print("<A x, dout>   =", out_line @ dout_line)
print("<x, A^T dout> =", x_line @ dx_line)
assert out_line @ dout_line == x_line @ dx_line
print("with the kernel not flipped:", x_line @ convolve_line(dout_line, w_line))

# %% [markdown]
# ## Stride 2
#
# Forward skips every second place: $A$ keeps its rows 0, 2, 4. Its transpose has three columns.

# %%
A2 = np.stack([convolve_line(unit, w_line, stride=2) for unit in np.eye(5)], axis=1)
assert np.array_equal(A2, A[::2])
spread = np.zeros(5)
spread[::2] = dout_line[:3]  # the three numbers of dout, zeros between them
assert np.array_equal(A2.T @ dout_line[:3], convolve_line(spread, w_line[::-1]))
figures.show_arrays([("A transposed", A2.T), "@", ("dout", dout_line[:3, None])], indices=True)

# %% [markdown]
# What to see: the columns of $A^T$ from before, every second one missing. A missing column counts as one that is
# multiplied by 0. So spread `dout` apart, with a zero for each output that was skipped, and convolve as before; the
# last assertion checks it.
#
# ## dweight: x correlated with dout
#
# `out` is linear in the kernel as well. The factor of $w[i]$ in $\mathrm{out}[u]$ is the pixel it was multiplied with:
#
# $$\frac{\partial\,\mathrm{out}[u]}{\partial w[i]} = x_{\mathrm{padded}}[u+i]
# \qquad\Rightarrow\qquad \mathrm{dweight}[i] = \sum_u x_{\mathrm{padded}}[u + i]\; \mathrm{dout}[u] .$$
#
# Lay `dout` on the padded picture at place $i$, multiply what lies on top of each other, add up: that is a
# **correlation** of `x` with `dout`, without any flip. A weight is used at every pixel, so its gradient is a sum over
# all pixels.

# %%
x_windows = np.stack([np.pad(x_line, 1)[i : i + 5] for i in range(3)])
dweight_line = x_windows @ dout_line
print("<w, dweight> =", w_line @ dweight_line, "  <out, dout> =", out_line @ dout_line)
panels = [("x_padded[i : i + 5]", x_windows), "@", ("dout", dout_line[:, None])]
figures.show_arrays([*panels, "=", ("dweight", dweight_line[:, None])], indices=True)

# %% [markdown]
# What to see: row $i$ is the padded line from pixel $i$ on. Row times `dout` is `dweight[i]`; the first is
# $0 \cdot 1 + 0 \cdot 2 + 1 \cdot (-1) + \dots$, and so on. The printed line shows the adjoint law once more:
# $\langle w, \mathrm{dweight}\rangle = \langle \mathrm{out}, \mathrm{dout}\rangle$, because `out` is linear in `w`,
# too.
#
# ## dbias: a sum
#
# The bias $b$ is added to every output: $\partial\,\mathrm{out}[u]/\partial b = 1$, so $\mathrm{dbias} = \sum_u
# \mathrm{dout}[u]$. A sum, not a mean: a bias that acts at a thousand pixels has a thousand times the influence.

# %% [markdown]
# ### Exercise 1: dx in one dimension
#
# Write `my_conv1d_dx(dout, weight)`. `dout` has shape `(W,)`, `weight` `(K,)` with K odd and at most W, stride 1,
# "same" padding; the result `dx` has shape `(W,)`. A loop over the taps is fine, or `np.convolve`; that one flips its
# second argument by itself.


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
grader.grade("conv1d_dx", my_conv1d_dx)

# %% [markdown]
# ## Two dimensions
#
# Nothing new happens; there is one more index: $u$ is the row and $v$ the column, as in lesson 01. With a kernel of
# $3 \times 3$ and "same" padding
#
# $$\mathrm{out}[u, v] = \sum_{i,j} x_{\mathrm{padded}}[u + i,\, v + j]\; w[i, j] .$$
#
# Begin with a `dout` that is 1 at one pixel, (1, 2), and 0 elsewhere: the loss looks at that one output only.

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
# What to see: `dx` is a stamp of the kernel around pixel (1, 2), and it is **not** flipped. Output (1, 2) read its nine
# pixels through nine weights; its `dout` goes back to the same nine pixels through the same nine weights.
# This is the **scatter** view: every output sends its share back along the arrows of the forward pass.
#
# Two outputs now, with `dout` 1 and 10.

# %%
two = one.copy()
two[2, 1] = 10
panels = [("dout", two), ("dx from (1, 2)", dx_of(one)), "+", ("dx from (2, 1)", dx_of(two - one))]
panels += ["=", ("dx", dx_of(two))]
figures.show_arrays(panels, highlight={"dx": (1, 1)})

# %% [markdown]
# What to see: two stamps, the second ten times as strong; where they overlap they **add**. An assignment in place of
# the addition would keep one of the two.
#
# ## Scatter and gather
#
# Now stand at one pixel of `dx`, the framed (1, 1), and collect. From output (1, 2) comes $w[1, 0] = 4$ times 1, from
# output (2, 1) comes $w[0, 1] = 2$ times 10. The output that lies one *below* used the tap one *above* the centre: seen
# from the pixel, the kernel is turned by 180 degrees. This is the **gather** view (`dout` is zero outside):
#
# $$\mathrm{dx}[u, v] = \sum_{i,j} \mathrm{dout}[u + 1 - i,\; v + 1 - j]\; w[i, j]
# = \sum_{k,l} \mathrm{dout}[u + k - 1,\; v + l - 1]\; w[2 - k,\, 2 - l] .$$

# %%
figures.show_kernel(two, w_map[::-1, ::-1], at=(1, 1), names=("dout", "weight, flipped", "dx"))

# %% [markdown]
# What to see: the flipped kernel lies on `dout` as a kernel lies on a picture in the forward pass; products and their
# sum give $4 \cdot 1 + 2 \cdot 10 = 24$, the same number. Scatter and gather are two orders of one sum.
#
# ## The border
#
# In forward the kernel read the zeros around the picture; in backward it writes gradients there. Nobody owns these
# pixels, so they are cut off.
#
# The adjoint says the same. Forward pads first ($P$), then convolves without padding ($V$): $A = V P$. A transposed
# product has its factors in reverse order, $A^T = P^T V^T$: first scatter, then crop. That $P^T$, the adjoint of
# padding, is cropping: $\langle P a, b\rangle = \langle a, P^T b\rangle$, as the zeros contribute nothing on the left.

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
# A pixel has $C$ numbers before and $F$ numbers after, and each tap is a $C \times F$ matrix, $w$ for short. For one
# tap, let $X$ be the shifted picture, one row per pixel, and $D$ the rows of `dout`. The tap's share of `out` is $X w$,
# that is $\sum_c X[r, c]\, w[c, f]$ in row $r$. Then, by the chain rule again,
#
# $$\mathrm{d}w[c, f] = \sum_r X[r, c]\, D[r, f] = (X^T D)[c, f], \qquad
#   \mathrm{d}X[r, c] = \sum_f D[r, f]\, w[c, f] = (D\, w^T)[r, c] .$$
#
# The sum over rows $r$ runs over all pixels of **all** samples: every sample was seen through the same kernel.
# `dx` has no such sum; each sample has pixels of its own. With two pixels, $C = 2$ and $F = 3$:

# %%
X, D = np.array([[1.0, 2], [3, 0]]), np.array([[1.0, 0, -1], [0, 2, 1]])
w_tap = np.array([[1.0, 0, 2], [0, 1, -1]])
panels = [("X transposed", X.T), "@", ("D", D), "=", ("dw", X.T @ D)]
figures.show_arrays([*panels, ("D", D), "@", ("w transposed", w_tap.T), "=", ("dX", D @ w_tap.T)])

# %% [markdown]
# What to see: `dw` has the shape of $w$, 2 x 3, and `dX` that of $X$, two rows of two channels. Shapes help to
# remember which factor is transposed. For $R$ rows each of the three products $X w$, $X^T D$ and $D w^T$ takes
# $R \cdot C \cdot F$ multiplications: a backward pass costs twice a forward pass.

# %% [markdown]
# ### Exercise 2: dx
#
# Write `my_conv2d_dx(dout, weight)` for stride 1 and "same" padding, K odd. `dout` is `(N, H, W, F)`, `weight` is
# `(K, K, C, F)`, the result `(N, H, W, C)`. Loop over the K*K taps; no loop over pixels is needed.


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
grader.grade("conv2d_dx", my_conv2d_dx)

# %% [markdown]
# ### Exercise 3: dweight and dbias
#
# Write `my_conv2d_dweight_dbias(x, dout, K)`, again for stride 1, "same" padding and K odd. `x` is `(N, H, W, C)`,
# `dout` `(N, H, W, F)`; return `dweight` `(K, K, C, F)` and `dbias` `(F,)`.
# `np.tensordot(a, b, axes=([0, 1, 2], [0, 1, 2]))` sums over samples, rows and columns of both.


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
grader.grade("conv2d_dweight_dbias", my_conv2d_dweight_dbias)

# %% [markdown]
# ## The library's own code
#
# `shifted(x_padded, i, j, ...)` is a view: the pixel that tap (i, j) reads for each output. It is read in forward, and
# added to in backward.

# %%
figures.show_source(conv.conv2d_backward_numpy)

# %% [markdown]
# Line by line: `tensordot` over axes 0, 1, 2 is $X^T D$, summed over samples, rows and columns. `dout @ weight[i, j].T`
# is $D w^T$, and `+=` adds it where the tap had read: the scatter view. `crop` is the adjoint of the padding, and comes
# last. `dbias` is the sum over all pixels of all samples. The flip appears nowhere: in the scatter view there is none.
#
# ## Proof by the adjoint
#
# With random arrays of the usual layout: `out - bias` is linear in `x` and linear in `weight`, so three inner products
# have to be one and the same number. And the broadcast of `bias` to all pixels is linear in `bias`.

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
# The law compares one number for one draw. It does not say which entry is wrong, and a forward that is wrong together
# with its backward passes.
#
# ## Proof by differences
#
# `check_op` moves every number of `x`, `weight` and `bias` a little to both sides, and compares the slope that it sees
# with what backward says. Lesson 03 shows how. It has twelve cases, small and awkward on purpose: strides, even
# kernels, kernels larger than the picture, pictures and kernels of 1x1.

# %%
report = ts.gradcheck.check_op("conv2d", "numpy")
print("right:", report.ok, "  cases:", len(report.parts), "  numbers checked:", report.checked)

# %% [markdown]
# Exercises 2 and 3 together are a backward pass. This judges yours, with the library's forward:


# %%
def my_conv2d_backward(dout, cache):
    x, weight = cache.x, cache.weight
    return my_conv2d_dx(dout, weight), *my_conv2d_dweight_dbias(x, dout, len(weight))


ts.gradcheck.check(ops.conv2d_forward, my_conv2d_backward, x, weight, bias, title="my_conv2d")

# %% [markdown]
# ## What breaks it
#
# Five wrong backwards from `bugs`. The check does not know what is planted; read how far it leads.

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
# Each names the guilty array, and four get a hint: the checker tried a few likely mistakes, and with one of them the
# numbers agreed. Every bug but one passes some cases, which is why there are twelve:
#
# * A kernel of 1x1 cannot be flipped, has no axes to exchange, no taps that overlap and no padding. Of a picture of 1x1
#   a 3x3 kernel sees one pixel through its middle tap, which stays in its place.
# * `dweight_axes_swapped` leaves kernels that are not square as they are; else the shape would give it away.
# * `dx_assigned` needs windows that overlap; `dx_cropped_wrong` needs padding above the picture.
# * `dweight_last_sample` fails everywhere, because every case has at least two samples. With one it would pass.
#
# What the three wrong `dx` make of the two stamps:

# %%
panels = [("dout", two), ("right", dx_of(two))]
names = ("dx_kernel_flipped", "dx_assigned", "dx_cropped_wrong")
figures.show_arrays([*panels, *((name, dx_of(two, bugs[name].backward)) for name in names)])

# %% [markdown]
# What to see: in the first both stamps are turned by 180 degrees. In the second each pixel has one share left, that of
# the last tap: 9 times the `dout` to its upper left. In the third all is a row too low, and the lowest row is lost.
# The check's report of the first:

# %%
bug = bugs["dx_kernel_flipped"]
arrays = x_map[None, :, :, None], w_map[:, :, None, None]
report = ts.gradcheck.check(ops.conv2d_forward, bug.backward, *arrays, names=("x", "weight"), title=bug.name)
report

# %% [markdown]
# `analytic` is what backward says at the worst entry, `numeric` the measured slope, and `allowed` how far apart they
# may be by rounding. A line is refused where error/allowed is above 1. The other columns are explained in lesson 03.
#
# A kernel that looks the same when turned by 180 degrees hides this bug. A blur is of that kind:

# %%
symmetric = np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
right, wrong = dx_of(two, kernel=symmetric), dx_of(two, bug.backward, symmetric)
print("largest difference with a symmetric kernel:", np.abs(right - wrong).max())
assert np.array_equal(right, wrong)

# %% [markdown]
# So a check needs random arguments. All five at once, judged by the adjoint law:

# %%
print(f"{'':22} {'<out, dout>':>12} {'<x, dx>':>12} {'<w, dweight>':>12}")
for name in (None, *planted):
    backward = bugs[name].backward if name else ops.conv2d_backward
    bad_dx, bad_dweight, _ = backward(dout, cache)
    inner = ((out - bias) * dout).sum(), (x * bad_dx).sum(), (weight * bad_dweight).sum()
    print(f"{name or 'right':22} {inner[0]:12.6f} {inner[1]:12.6f} {inner[2]:12.6f}")

# %% [markdown]
# In every row but the first, one number differs: in the column of `dx` or of `dweight`, as the bug's name says.
#
# ## The fast version: dx is a convolution
#
# The gather view says that `dx` is itself a convolution of `dout`: kernel rotated by 180 degrees, its channels
# exchanged ($F$ in, $C$ out). So the fast forward pass serves for `dx` as well, and no second kernel has to be made
# fast. Against the definition, which scatters:

# %%
rotated = weight[::-1, ::-1].swapaxes(2, 3)
gathered, _ = ops.conv2d_forward(dout, rotated)
scattered = conv.conv2d_backward_numpy(dout, cache)[0]
print("largest difference", np.abs(gathered - scattered).max())
assert np.allclose(gathered, scattered, rtol=1e-12, atol=1e-12)
figures.show_source(conv.convolve_transposed)

# %% [markdown]
# `spread_out` is there for strides: it puts the zeros between. A layer that does this in its forward pass is called a
# transposed convolution; lesson 05 meets it again.
#
# numba compiles Python to machine code. The next table times a backward pass of a layer with 64 channels on a picture
# of 45 x 60, float32, in four rows: `numpy`, the definition; `direct`, the same products in another order; `winograd`,
# which takes 36 multiplications where `direct` takes 144 (lesson 13); and `numba`, which takes for each shape the one
# of the two that is expected to be faster. (The first run compiles, for up to a minute.)

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
    print(f"{variant:10} relative difference to NumPy: dx {apart[0]:.1e}, dweight {apart[1]:.1e}")
    assert max(apart) < 1e-5

# %% [markdown]
# All is rounding of float32, whose numbers have about seven digits. `direct` adds the same products in another order.
# `winograd` computes other numbers on the way, and its rounding is about four times as large.
#
# ## What to remember
#
# * A linear layer is a matrix $A$; its backward is $A^T$, the adjoint:
#   $\langle A x, \mathrm{dout}\rangle = \langle x, A^T \mathrm{dout}\rangle$. Two numbers to compare, no step size.
# * `dx`: every output sends `dout` back along the arrows of the forward pass, and shares **add** (scatter). Seen from
#   the pixel, this is a convolution with the kernel turned by 180 degrees and its channels exchanged (gather).
# * `dweight`: correlation of `x` with `dout`, at each tap $X^T D$, summed over all pixels of all samples. `dbias`: a
#   sum.
# * The adjoint of a chain reverses its order: forward pads first, so backward crops last.
# * A check needs random arguments: symmetric kernels, N = 1 and 1x1 kernels hide bugs.
#
# Lesson 03 opens the check that was used here.
