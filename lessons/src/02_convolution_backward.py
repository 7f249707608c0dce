# %% [markdown]
# # 02 Convolution backward
#
# **The question.** A convolution computes `out` from a picture `x`, a kernel `weight` and a `bias`. The network ends
# with the loss $J$, one number, and the array `dout` contains the derivative of $J$ with respect to every number of
# `out`. What are its derivatives with respect to `x`, `weight` and `bias`?
#
# **At the end** you can derive, program and check these three gradients.
#
# **Prerequisites:** lesson 01 (the forward pass), the chain rule and matrix products.

# %%
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import ops, runtime
from tinysegnet.ops import conv, windows
from tinysegnet_lessons import figures, fragments, grader
from tinysegnet_lessons.bugs import bugs

# %% [markdown]
# ## What a backward pass computes
#
# In all lessons, a d before a name means a gradient of the loss:
# $\mathrm{dout}[u] = \partial J / \partial \mathrm{out}[u]$, and `dx` is the gradient of $J$ with respect to `x`. The
# chain rule sums over all paths from one input number $x[p]$ to the loss:
#
# $$\mathrm{dx}[p] \;=\; \frac{\partial J}{\partial x[p]} \;=\; \sum_u \frac{\partial J}{\partial \mathrm{out}[u]}\,
# \frac{\partial\, \mathrm{out}[u]}{\partial x[p]} \;=\; \sum_u \mathrm{dout}[u]\,
# \frac{\partial\, \mathrm{out}[u]}{\partial x[p]} .$$
#
# So only one question remains for each of SegNet's 26 convolutions (Badrinarayanan et al. 2017): which outputs does
# $x[p]$ affect, and with which factor?

# %% [markdown]
# ## One dimension first
#
# Take a line of five pixels, a kernel $w$ of three weights and one zero of padding on each side:
#
# $$\mathrm{out}[u] = \sum_{i=0}^{2} x_{\mathrm{padded}}[u+i]\; w[i] \;=\; \sum_{i=0}^{2} x[u+i-1]\; w[i],
# \qquad x[-1] = x[5] = 0 .$$

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
# ## A convolution is a matrix
#
# `out` is linear in `x`, so there is a matrix $A$ with $\mathrm{out} = A x$. Column $p$ of $A$ is the convolution of a
# unit vector, a line that is 1 at pixel $p$ and 0 elsewhere.
#
# ### Warm-up: the matrix of a linear map
#
# Write `my_matrix_of(linear, n)`. `linear` is a linear function that takes an array (n,) and returns an array (m,).
# Return its matrix (m, n). The rows of `np.eye(n)` are the unit vectors.


# %%
def my_matrix_of(linear, n):
    ### BEGIN SOLUTION
    columns = [linear(unit) for unit in np.eye(n)]
    return np.stack(columns, axis=1)
    ### END SOLUTION


# %%
my_matrix_of = grader.grade("matrix_of_a_linear_map", my_matrix_of)

# %%
A = my_matrix_of(lambda line: convolve_line(line, w_line), 5)
assert np.array_equal(A @ x_line, out_line)
figures.show_arrays([("A", A), "@", ("x", x_line[:, None]), "=", ("out", out_line[:, None])], indices=True)

# %% [markdown]
# Row $u$ of $A$ contains the kernel `1 2 -1`, centred at pixel $u$: $A[u, p] = w[i]$ with $i = p - u + 1$, and 0 if no
# such $i$ exists.
#
# ## dx: the transposed matrix
#
# The factor in the chain rule is $\partial\, \mathrm{out}[u] / \partial x[p] = A[u, p]$. So
#
# $$\mathrm{dx}[p] = \sum_u \mathrm{dout}[u]\, A[u, p] = \sum_u A^T[p, u]\; \mathrm{dout}[u],
# \qquad\text{that is}\qquad \mathrm{dx} = A^T\, \mathrm{dout}.$$

# %% tags=["map"]
dx_line = A.T @ dout_line
panels = [("A transposed", A.T), "@", ("dout", dout_line[:, None]), "=", ("dx", dx_line[:, None])]
figures.show_arrays(panels, indices=True)

# %% [markdown]
# Each row of $A^T$ contains the **flipped** kernel `-1 2 1`, so `dx` is a convolution of `dout` with the flipped
# kernel. In formulas, substitute $u = p + 1 - i$, and let `dout` be zero outside the line:
#
# $$\mathrm{dx}[p] = \sum_{i=0}^{2} \mathrm{dout}[p + 1 - i]\; w[i]
# \;\overset{i = 2 - k}{=}\; \sum_{k=0}^{2} \mathrm{dout}[p + k - 1]\; w[2 - k] .$$

# %%
print("A^T dout                    ", dx_line)
print("convolution, kernel flipped ", convolve_line(dout_line, w_line[::-1]))
print("convolution, not flipped    ", convolve_line(dout_line, w_line))
assert np.array_equal(dx_line, convolve_line(dout_line, w_line[::-1]))

# %% [markdown]
# ### Exercise 1: dx in one dimension
#
# Write `my_conv1d_dx(dout, weight)` for `dout` (W,) and `weight` (K,), with K odd and at most W. The stride is 1, and
# the padding is "same". Return `dx` (W,). Use a loop over the taps or `np.convolve`, which itself flips its second
# argument.


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
# ## The adjoint
#
# Write $\langle a, b\rangle = \sum a[p]\, b[p]$ for the inner product. For any matrix $A$,
#
# $$\langle A x, \mathrm{dout} \rangle = \sum_u \sum_p A[u,p]\, x[p]\, \mathrm{dout}[u]
# = \langle x, A^T \mathrm{dout} \rangle .$$
#
# $A^T$ is called the **adjoint** of $A$. So two inner products test the forward and backward of any linear layer:

# %%
print("<A x, dout>   =", out_line @ dout_line)
print("<x, A^T dout> =", x_line @ my_conv1d_dx(dout_line, w_line))
print("with the kernel not flipped:", x_line @ convolve_line(dout_line, w_line))
assert np.isclose(out_line @ dout_line, x_line @ my_conv1d_dx(dout_line, w_line))

# %% [markdown]
# ## Stride 2
#
# With stride 2, $A$ keeps only its rows 0, 2 and 4, and $A^T$ keeps only these columns.

# %%
A2 = my_matrix_of(lambda line: convolve_line(line, w_line, stride=2), 5)
assert np.array_equal(A2, A[::2])
spread = np.zeros(5)
spread[::2] = dout_line[:3]  # the three numbers of dout with zeros between them
assert np.array_equal(A2.T @ dout_line[:3], my_conv1d_dx(spread, w_line))
figures.show_arrays([("A transposed", A2.T), "@", ("dout", dout_line[:3, None])], indices=True)

# %% [markdown]
# A missing column has the same effect as multiplication by 0. So insert a zero into `dout` for each skipped output, and
# convolve as before.
#
# ## dweight: x correlated with dout
#
# The factor of $w[i]$ in $\mathrm{out}[u]$ is the pixel that forward multiplied by this weight:
#
# $$\frac{\partial\,\mathrm{out}[u]}{\partial w[i]} = x_{\mathrm{padded}}[u+i]
# \qquad\Rightarrow\qquad \mathrm{dweight}[i] = \sum_u x_{\mathrm{padded}}[u + i]\; \mathrm{dout}[u] .$$
#
# This is a **correlation** of `x` with `dout`, without a flip. It sums over all pixels, because the weight is used at
# every pixel.

# %%
x_windows = np.stack([np.pad(x_line, 1)[i : i + 5] for i in range(3)])
dweight_line = x_windows @ dout_line
print("<w, dweight> =", w_line @ dweight_line, "  <out, dout> =", out_line @ dout_line)
panels = [("x_padded[i : i + 5]", x_windows), "@", ("dout", dout_line[:, None])]
figures.show_arrays([*panels, "=", ("dweight", dweight_line[:, None])], indices=True)

# %% [markdown]
# Here a loss of the same line depends on one weight. Move the weight: the exact slope, `dweight`, is always the sum of
# x times `dout`. Then make the step smaller, and observe how the secant approaches the tangent.

# %%
fragments.show("slope")

# %% [markdown]
# ## dbias
#
# The bias $b$ is added to every output, so $\partial\,\mathrm{out}[u]/\partial b = 1$ for all $u$. Predict: if `dout`
# (2, 4, 5, 1) is 1 everywhere, what is `dbias`?

# %%
prediction = ...  # a number
grader.predict("dbias_of_ones", prediction)

# %% [markdown]
# So $\mathrm{dbias} = \sum_u \mathrm{dout}[u]$.
#
# ## Two dimensions
#
# With row $u$, column $v$, a $3 \times 3$ kernel and "same" padding,
#
# $$\mathrm{out}[u, v] = \sum_{i,j} x_{\mathrm{padded}}[u + i,\, v + j]\; w[i, j] .$$
#
# Let `dout` be 1 at pixel (1, 2) and 0 elsewhere. Predict: what does `dx` show around this pixel? **a** the kernel,
# **b** the kernel rotated by 180 degrees, **c** nine equal numbers.

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("dx_of_one_output", prediction)

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
# This is the **scatter** view: every output sends its share back to the pixels that it read, through the same weights.
# Now let `dout` be 1 at one output and 10 at another:

# %%
two = one.copy()
two[2, 1] = 10
panels = [("dout", two), ("dx from (1, 2)", dx_of(one)), "+", ("dx from (2, 1)", dx_of(two - one))]
panels += ["=", ("dx", dx_of(two))]
figures.show_arrays(panels, highlight={"dx": (1, 1)})

# %% [markdown]
# Where the two copies overlap, their numbers **add up**.
#
# ## Scatter and gather
#
# The framed pixel of `dx` receives two shares: $w[1, 0] = 4$ times 1 from output (1, 2), and $w[0, 1] = 2$ times 10
# from output (2, 1). The output one row *below* the pixel used the tap one row *above* the centre, so the kernel is
# rotated by 180 degrees when seen from the pixel. This is the **gather** view:
#
# $$\mathrm{dx}[u, v] = \sum_{i,j} \mathrm{dout}[u + 1 - i,\; v + 1 - j]\; w[i, j]
# = \sum_{k,l} \mathrm{dout}[u + k - 1,\; v + l - 1]\; w[2 - k,\, 2 - l] .$$

# %%
figures.show_kernel(two, w_map[::-1, ::-1], at=(1, 1), names=("dout", "weight, flipped", "dx"))

# %% [markdown]
# ## The border
#
# Backward also writes gradients on the zeros around the picture. They are not part of `x`, so they are cropped.
#
# Forward first pads ($P$) and then convolves without padding ($V$): $A = V P$. So $A^T = P^T V^T$: backward first
# scatters ($V^T$) and then crops, since the adjoint $P^T$ of padding is cropping:

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
# Each tap is a $C \times F$ matrix, here called $w$. Let $X$ be the picture shifted for this tap and $D$ be `dout`,
# both with one row per pixel. The tap's share of `out` is $X w$, and the chain rule gives
#
# $$\mathrm{d}w[c, f] = \sum_r X[r, c]\, D[r, f] = (X^T D)[c, f], \qquad
#   \mathrm{d}X[r, c] = \sum_f D[r, f]\, w[c, f] = (D\, w^T)[r, c] .$$
#
# Here $r$ runs over all pixels of **all** samples. For two pixels, $C = 2$ and $F = 3$:

# %%
X, D = np.array([[1.0, 2], [3, 0]]), np.array([[1.0, 0, -1], [0, 2, 1]])
w_tap = np.array([[1.0, 0, 2], [0, 1, -1]])
panels = [("X transposed", X.T), "@", ("D", D), "=", ("dw", X.T @ D)]
figures.show_arrays([*panels, ("D", D), "@", ("w transposed", w_tap.T), "=", ("dX", D @ w_tap.T)])

# %% [markdown]
# Predict: by which factor does a backward pass need more multiplications than a forward pass?

# %%
prediction = ...  # a number
grader.predict("cost_of_backward", prediction)

# %% [markdown]
# ### Exercise 2: dx
#
# Write `my_conv2d_dx(dout, weight)` for stride 1, "same" padding and odd K. `dout` is (N, H, W, F), and `weight` is (K,
# K, C, F). Return `dx` (N, H, W, C). Loop over the K*K taps, not over pixels.


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
# Write `my_conv2d_dweight_dbias(x, dout, K)`, again for stride 1 and "same" padding. `x` is (N, H, W, C), and `dout` is
# (N, H, W, F). Return `dweight` (K, K, C, F) and `dbias` (F,). `np.tensordot(a, b, axes=([0, 1, 2], [0, 1, 2]))` sums
# over the samples, rows and columns of both arrays.


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
# ## Check your backward pass
#
# `out - bias` is linear in `x` and in `weight`, so three inner products must be equal.


# %%
def my_conv2d_backward(dout, cache):
    x, weight = cache.x, cache.weight
    return my_conv2d_dx(dout, weight), *my_conv2d_dweight_dbias(x, dout, len(weight))


x, weight = rng.standard_normal((2, 7, 5, 3)), rng.standard_normal((3, 3, 3, 4))
bias = rng.standard_normal(4)
out, cache = ops.conv2d_forward(x, weight, bias)
dout = rng.standard_normal(out.shape)
dx, dweight, dbias = my_conv2d_backward(dout, cache)
inner = [((out - bias) * dout).sum(), (x * dx).sum(), (weight * dweight).sum()]
print("<out - bias, dout> = {:.12f}\n<x, dx>            = {:.12f}\n<w, dweight>       = {:.12f}".format(*inner))
assert np.ptp(inner) < 1e-10

# %% [markdown]
# The gradient check (lesson 03) also shows which entry is wrong, by measuring the slope for every number of `x`,
# `weight` and `bias`:

# %%
ts.gradcheck.check(ops.conv2d_forward, my_conv2d_backward, x, weight, bias, title="my_conv2d")

# %% [markdown]
# ## What breaks it
#
# `check_op` runs the gradient check on twelve small cases, with strides, even kernels, and 1x1 pictures and kernels.
# Here it checks five wrong backward passes:

# %%
planted = ["dx_kernel_flipped", "dweight_axes_swapped", "dx_assigned", "dweight_last_sample", "dx_cropped_wrong"]
for name in planted:
    report = ts.gradcheck.check_op("conv2d", backward=bugs[name].backward)
    refused = [t for t in report.all_tensors() if not t.ok]
    print(f"{name}: {bugs[name].sentence}")
    print(f"   refused: {', '.join(sorted({'d' + t.name for t in refused}))}, in {len(refused)} of 12 cases")
    print(f"   passes:  {'; '.join(case.title for case in report.parts if case.ok) or 'none'}")
    print(f"   hint:    {next((t.hint for t in refused if t.hint), 'none')}\n")

# %% [markdown]
# All bugs but one pass some of the cases, so a check needs several.
#
# Here is `dx` for the two outputs from above:

# %%
panels = [("dout", two), ("yours", dx_of(two, my_conv2d_backward))]
names = ("dx_kernel_flipped", "dx_assigned", "dx_cropped_wrong")
figures.show_arrays([*panels, *((name, dx_of(two, bugs[name].backward)) for name in names)])

# %% [markdown]
# With `dx_assigned`, each pixel keeps only the share of the last tap. A symmetric kernel hides `dx_kernel_flipped`, so
# a check needs random arguments:

# %%
blur = np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])
assert np.array_equal(dx_of(two, kernel=blur), dx_of(two, bugs["dx_kernel_flipped"].backward, blur))

# %% [markdown]
# The adjoint test also reveals all five bugs:

# %%
print(f"{'':22} {'<out, dout>':>12} {'<x, dx>':>12} {'<w, dweight>':>12}")
for name in (None, *planted):
    backward = bugs[name].backward if name else my_conv2d_backward
    bad_dx, bad_dweight, _ = backward(dout, cache)
    inner = ((out - bias) * dout).sum(), (x * bad_dx).sum(), (weight * bad_dweight).sum()
    print(f"{name or 'yours':22} {inner[0]:12.6f} {inner[1]:12.6f} {inner[2]:12.6f}")

# %% [markdown]
# ### Challenge: any convolution
#
# Write `my_conv2d_backward_any(dout, cache)`, which returns `dx`, `dweight` and `dbias` for any kernel, stride and
# padding, even if the kernel is not square. The first lines of the cell unpack the cache. The grader counts the cases
# of `check_op` that your function passes. In the forward pass, output (u, v) read the pixel `x_padded[:, u * s + i, v *
# t + j]` through tap (i, j).


# %%
def my_conv2d_backward_any(dout, cache):
    x, weight, (s, t), ((top, bottom), (left, right)) = cache.x, cache.weight, cache.stride, cache.pads
    ### BEGIN SOLUTION
    (_, H, W, _), (_, rows, columns, _) = x.shape, dout.shape
    x_padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    dx_padded, dweight = np.zeros_like(x_padded), np.zeros_like(weight)
    for i, j in np.ndindex(weight.shape[:2]):
        read = np.s_[:, i : i + s * rows : s, j : j + t * columns : t]
        dweight[i, j] = np.tensordot(x_padded[read], dout, axes=([0, 1, 2], [0, 1, 2]))
        dx_padded[read] += dout @ weight[i, j].T
    return dx_padded[:, top : top + H, left : left + W], dweight, dout.sum((0, 1, 2))
    ### END SOLUTION


# %%
my_conv2d_backward_any = grader.grade("conv2d_backward_any", my_conv2d_backward_any)

# %% [markdown]
# Here is the library's definition. It contains no flip, because the scatter view has none.

# %%
figures.show_source(conv.conv2d_backward_numpy)

# %% [markdown]
# ## The fast version: dx is a convolution
#
# In the gather view, `dx` is a convolution of `dout` with the rotated kernel, its channel axes exchanged. So the
# library's fast forward code also computes `dx`. A layer whose *forward* inserts zeros, as for stride 2, and then
# convolves is called a *transposed convolution* (lesson 05).

# %%
rotated = weight[::-1, ::-1].swapaxes(2, 3)
gathered, _ = ops.conv2d_forward(dout, rotated)
print("largest difference", np.abs(gathered - my_conv2d_dx(dout, weight)).max())
assert np.allclose(gathered, my_conv2d_dx(dout, weight), rtol=1e-12, atol=1e-12)

# %% [markdown]
# Here is the time of one backward pass with 64 channels on 45x60 pixels.

# %%
x32, w32 = (rng.standard_normal(s).astype(np.float32) for s in ((1, 45, 60, 64), (3, 3, 64, 64)))
_, cache32 = conv.conv2d_forward_numpy(x32, w32)
dout32 = rng.standard_normal(x32.shape).astype(np.float32)
written = not isinstance(my_conv2d_dx, grader.StandIn)
versions = {"yours" if written else "stand-in": my_conv2d_backward, "numpy": conv.conv2d_backward_numpy}
if runtime.HAS_NUMBA:
    versions["numba"] = conv.conv2d_backward_numba
else:
    print("numba is not installed, so its row is missing.")

# %%
gradients = {}
for name, backward in versions.items():
    seconds = []
    for _ in range(3):  # the first call may compile
        start = time.perf_counter()
        gradients[name] = backward(dout32, cache32)
        seconds.append(time.perf_counter() - start)
    print(f"{name:10} {1000 * min(seconds):8.1f} ms")

# %%
for name, (dx32, dweight32, _) in gradients.items():
    pairs = (dx32, gradients["numpy"][0]), (dweight32, gradients["numpy"][1])
    apart = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs]
    print(f"{name:10} relative difference from numpy: dx {apart[0]:.1e}, dweight {apart[1]:.1e}")
    assert max(apart) < 1e-5

# %% [markdown]
# ## What to remember
#
# * A linear layer is a matrix $A$; its backward is $A^T$, the adjoint:
#   $\langle A x, \mathrm{dout}\rangle = \langle x, A^T \mathrm{dout}\rangle$.
# * For `dx`, every output sends its `dout` back through the weights of the forward pass, and the shares **add up**
#   (scatter). Seen from a pixel, this is a convolution with the rotated kernel (gather).
# * `dweight` is the correlation of `x` with `dout`, a sum over all pixels of all samples. `dbias` is the sum of `dout`.
# * A check needs random arguments and several cases, because symmetric or 1x1 kernels hide bugs.

# %% [markdown]
# ## Read next
#
# * Rumelhart, Hinton and Williams (1986), "Learning representations by back-propagating errors": four pages that made
#   this method of training known.
# * Baydin, Pearlmutter, Radul and Siskind (2018), "Automatic differentiation in machine learning: a survey": why a
#   backward pass costs only a few times as much as a forward pass, whatever the number of weights.
# * Goodfellow, Bengio and Courville (2016), "Deep Learning", chapter 9: convolution as a matrix with shared entries,
#   and its variants.
