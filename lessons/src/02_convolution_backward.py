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
from tinysegnet import checks, ops, viz
from tinysegnet.ops import conv, windows

# %% [markdown]
# ## What a backward pass is asked for
#
# Write $\mathrm{dout}[q] = \partial J / \partial \mathrm{out}[q]$. It has the shape of `out` and comes from the layer
# above. In all lessons a d before a name means this: `dx` is the gradient of the loss $J$ by `x`. The chain rule adds
# up all ways by which one input number $x[p]$ reaches the loss:
#
# $$\mathrm{dx}[p] \;=\; \frac{\partial J}{\partial x[p]} \;=\; \sum_q \frac{\partial J}{\partial \mathrm{out}[q]}\,
# \frac{\partial\, \mathrm{out}[q]}{\partial x[p]} \;=\; \sum_q \mathrm{dout}[q]\,
# \frac{\partial\, \mathrm{out}[q]}{\partial x[p]} .$$
#
# So all that is left is one question: which outputs does $x[p]$ reach, and with which factor? SegNet asks it in each of
# its convolutions, 13 in the encoder and 13 in the decoder (Badrinarayanan et al. 2017, section 3).

# %% [markdown]
# ## One dimension first
#
# A line of five pixels, a kernel of three weights, "same" padding: one zero on each side, so `out` has five pixels,
# too.
#
# $$\mathrm{out}[q] = \sum_{i=0}^{2} x_{\mathrm{padded}}[q+i]\; w[i] \;=\; \sum_{i=0}^{2} x[q+i-1]\; w[i],
# \qquad x[-1] = x[5] = 0 .$$
#
# The library convolves pictures `(N, H, W, C)`. A line is a picture of height 1 with one channel.

# %%
x = np.array([2.0, 0, 1, 3, 1])
w = np.array([1.0, 2, -1])
dout = np.array([1.0, 0, 2, -1, 0])


def convolve_line(x, w):
    out, _ = ops.conv2d_forward(x.reshape(1, 1, -1, 1), w.reshape(1, -1, 1, 1))
    return out.ravel()


viz.show_arrays([("x", x[None]), ("w", w[None]), ("out", convolve_line(x, w)[None])])

# %% [markdown]
# Check the first number by hand: $0 \cdot 1 + 2 \cdot 2 + 0 \cdot (-1) = 4$. The zero stands before the picture.
#
# ## A convolution is a matrix
#
# `out` is linear in `x`: there is a matrix $A$ with $\mathrm{out} = A x$. Its column $p$ is what the convolution makes
# of a picture that is 1 at pixel $p$ and 0 elsewhere. So we get $A$ by asking the library five times.

# %%
A = np.stack([convolve_line(unit, w) for unit in np.eye(5)], axis=1)
assert np.array_equal(A @ x, convolve_line(x, w))
viz.show_arrays([("A", A), "*", ("x", x[:, None]), "=", ("out", (A @ x)[:, None])], indices=True)

# %% [markdown]
# What to see: row $q$ holds the kernel `1 2 -1`, laid around pixel $q$, the rest is 0. The same three numbers stand in
# every row, shifted by one; at the first and last row the padding cuts one of them off.
# In symbols, $A[q, p] = w[i]$ where $p = q + i - 1$, and 0 where no such $i$ exists.
#
# ## dx: the matrix, transposed
#
# The factor in the chain rule is now in front of us: $\partial\, \mathrm{out}[q] / \partial x[p] = A[q, p]$. So
#
# $$\mathrm{dx}[p] = \sum_q \mathrm{dout}[q]\, A[q, p] = \sum_q A^T[p, q]\; \mathrm{dout}[q],
# \qquad\text{that is}\qquad \mathrm{dx} = A^T\, \mathrm{dout}.$$

# %%
dx = A.T @ dout
panels = [("A transposed", A.T), "*", ("dout", dout[:, None]), "=", ("dx", dx[:, None])]
viz.show_arrays(panels, indices=True)

# %% [markdown]
# What to see: each row of $A^T$ again holds three numbers around the diagonal, but in the order `-1 2 1`: the kernel
# **flipped**. A matrix of this form is a convolution. So `dx` is a convolution of `dout` with the flipped kernel.
#
# The indices say the same. In the sum over $q$ only those terms live where $p = q + i - 1$, so put $q = p + 1 - i$:
#
# $$\mathrm{dx}[p] = \sum_{i=0}^{2} \mathrm{dout}[p + 1 - i]\; w[i]
# \;\overset{i = 2 - k}{=}\; \sum_{k=0}^{2} \mathrm{dout}[p + k - 1]\; w[2 - k] .$$
#
# The last form is the formula of the forward pass with `dout` for `x` and `w[::-1]` for `w`.

# %%
print("A^T dout                    ", dx)
print("convolution, kernel flipped ", convolve_line(dout, w[::-1]))
print("convolution, not flipped    ", convolve_line(dout, w))
assert np.array_equal(dx, convolve_line(dout, w[::-1]))

# %% [markdown]
# ## The adjoint
#
# Write $\langle a, b\rangle = \sum a[p]\, b[p]$ for the inner product. For any matrix
#
# $$\langle A x, \mathrm{dout} \rangle = \sum_q \sum_p A[q,p]\, x[p]\, \mathrm{dout}[q]
# = \langle x, A^T \mathrm{dout} \rangle .$$
#
# Both sides are the same double sum, read in another order. $A^T$ is called the **adjoint** of $A$. The equation needs
# no matrix to be written down and no small step: whoever hands us a forward and a backward of a linear layer, we can
# feed random arrays and compare two numbers.

# %%
print("<A x, dout>   =", convolve_line(x, w) @ dout)
print("<x, A^T dout> =", x @ dx)
assert convolve_line(x, w) @ dout == x @ dx
print("with the kernel not flipped:", x @ convolve_line(dout, w))

# %% [markdown]
# ## dweight: x correlated with dout
#
# `out` is linear in the kernel as well. The factor of $w[i]$ in $\mathrm{out}[q]$ is the pixel it was multiplied with:
#
# $$\frac{\partial\,\mathrm{out}[q]}{\partial w[i]} = x_{\mathrm{padded}}[q+i]
# \qquad\Rightarrow\qquad \mathrm{dweight}[i] = \sum_q x_{\mathrm{padded}}[q + i]\; \mathrm{dout}[q] .$$
#
# Lay `dout` on the padded picture at place $i$, multiply what lies on top of each other, add up: that is a
# **correlation** of `x` with `dout`, without any flip. A weight is used at every pixel, so its gradient is a sum over
# all pixels.

# %%
x_padded = np.pad(x, 1)
panels = [("dout", dout[None])]
for i in range(3):
    panels += [(f"x_padded[{i}:{i + 5}]", x_padded[None, i : i + 5])]
dweight = np.array([x_padded[i : i + 5] @ dout for i in range(3)])
print("dweight =", dweight)
print("<w, dweight> =", w @ dweight, "  <out, dout> =", convolve_line(x, w) @ dout)
viz.show_arrays(panels)

# %% [markdown]
# What to see: three windows of the padded line, each one pixel further on. Each times `dout`, summed, is one number of
# `dweight`. The printed line shows the adjoint law once more:
# $\langle w, \mathrm{dweight}\rangle = \langle \mathrm{out}, \mathrm{dout}\rangle$, because `out` is linear in `w`,
# too.
#
# ## dbias: a sum
#
# The bias $b$ is added to every output: $\partial\,\mathrm{out}[q]/\partial b = 1$, so $\mathrm{dbias} = \sum_q
# \mathrm{dout}[q]$. A sum, not a mean: a bias that acts at a thousand pixels has a thousand times the influence.
#
# ### Exercise 1: dx in one dimension
#
# Write `my_conv1d_dx(dout, weight)`. `dout` has shape `(W,)`, `weight` `(K,)` with K odd and at most W, stride 1,
# "same" padding; the result `dx` has shape `(W,)`. A loop over the taps, or `np.convolve`, both are fine.


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
checks.grade("conv1d_dx", my_conv1d_dx)

# %% [markdown]
# ## Two dimensions
#
# Nothing new happens; there is one more index. With a kernel of $3 \times 3$ and "same" padding
#
# $$\mathrm{out}[u, v] = \sum_{i,j} x_{\mathrm{padded}}[u + i,\, v + j]\; w[i, j] .$$
#
# Here $u$ and $v$ are the row and the column of a pixel, as in lesson 01. Begin with a `dout` that is 1 at one pixel,
# (1, 2), and 0 elsewhere: the loss looks at that one output only.

# %%
w = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
picture = np.array([[2.0, 0, 1, 0], [1, 3, 0, 1], [0, 1, 2, 1], [1, 0, 0, 2]])


def dx_of(dout):
    _, cache = ops.conv2d_forward(picture[None, :, :, None], w[:, :, None, None])
    return ops.conv2d_backward(dout[None, :, :, None], cache)[0][0, :, :, 0]


one = np.zeros((4, 4))
one[1, 2] = 1
panels = [("dout", one), ("weight", w), ("dx", dx_of(one))]
viz.show_arrays(panels, highlight={"dx": np.s_[0:3, 1:4]}, indices=True)

# %% [markdown]
# What to see: `dx` is a stamp of the kernel around pixel (1, 2), and it is **not** flipped. Output (1, 2) read its nine
# pixels through nine weights; its `dout` goes back to the same nine pixels through the same nine weights.
# This is the **scatter** view: every output sends its share back along the arrows of the forward pass.
#
# Two outputs now, with `dout` 1 and 10.

# %%
two = one.copy()
two[2, 1] = 10
shares = dx_of(one), dx_of(two - one)
panels = [("dout", two), ("dx from (1, 2)", shares[0]), "+", ("dx from (2, 1)", shares[1])]
panels += ["=", ("dx", dx_of(two))]
viz.show_arrays(panels, highlight={"dx": (1, 1)})

# %% [markdown]
# What to see: two stamps, the second ten times as strong; where they overlap they **add**. An assignment in place of
# the addition would keep one of the two.
#
# ## Scatter and gather
#
# Now stand at one pixel of `dx`, the framed (1, 1), and collect. From output (1, 2) comes $w[1, 0] = 4$ times 1, from
# output (2, 1) comes $w[0, 1] = 2$ times 10. The output that lies one *below* used the tap one *above* the centre: seen
# from the pixel, the kernel is turned by 180 degrees. This is the **gather** view:
#
# $$\mathrm{dx}[u, v] = \sum_{i,j} \mathrm{dout}[u + 1 - i,\; v + 1 - j]\; w[i, j]
# = \sum_{k,l} \mathrm{dout}[u + k - 1,\; v + l - 1]\; w[2 - k,\, 2 - l] .$$

# %%
viz.show_kernel(two, w[::-1, ::-1], at=(1, 1))

# %% [markdown]
# What to see: the flipped kernel lies on `dout` as a kernel lies on a picture in the forward pass; products and their
# sum give $4 \cdot 1 + 2 \cdot 10 = 24$, the same number. Scatter and gather are two orders of one sum.
#
# ## The border
#
# Forward also reads the zeros around the picture, so backward writes to them, too. These gradients are of no use: the
# zeros are not part of `x`. Padding puts zeros around ($P$), and its adjoint cuts them off ($P^T$):
# $\langle P a, b\rangle = \langle a, P^T b\rangle$, because the zeros contribute nothing on the left.

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
# A pixel has $C$ numbers before and $F$ numbers after, and each tap is a $C \times F$ matrix $W = w[i, j]$. For one
# tap, let $X$ be the shifted picture, one row a pixel, and $D$ the rows of `dout`: $\mathrm{Out} = X W$, that is
# $\mathrm{Out}[q, f] = \sum_c X[q, c]\, W[c, f]$. Then
#
# $$\mathrm{d}W[c, f] = \sum_q X[q, c]\, D[q, f] = (X^T D)[c, f], \qquad
#   \mathrm{d}X[q, c] = \sum_f D[q, f]\, W[c, f] = (D\, W^T)[q, c] .$$
#
# The sum over rows $q$ runs over all pixels of **all** samples: every sample was seen through the same kernel.
# `dx` has no such sum; each sample has pixels of its own. Shapes help to remember: $X^T D$ is $C \times F$ as $W$ is.

# %% [markdown]
# ## The library's own code
#
# Now every line of the definition can be read. `shifted(x_padded, i, j, ...)` is a view: the pixel that tap (i, j)
# reads for each output. It is read in forward, and added to in backward.

# %%
viz.show_source(conv.conv2d_backward_numpy)

# %% [markdown]
# Line by line: `tensordot` over axes 0, 1, 2 is $X^T D$, summed over samples, rows and columns. `dout @ weight[i, j].T`
# is $D W^T$, and `+=` adds it where the tap had read: the scatter view. `crop` is the adjoint of the padding. `dbias`
# is the sum over all pixels of all samples. The flip appears nowhere: in the scatter view there is none.
#
# ## Proof by differences
#
# `check_op` moves every number of `x`, `weight` and `bias` a little to both sides, and compares the slope that it sees
# with what backward says. Lesson 03 shows how. Among its cases are odd sizes, strides,
# and kernels larger than the picture.

# %%
ts.gradcheck.check_op("conv2d", "numpy")

# %% [markdown]
# And by the adjoint, on arrays of the usual layout. `out` is linear in `x` and linear in `weight`, so three inner
# products have to be one and the same number.

# %%
x, weight = rng.standard_normal((2, 7, 5, 3)), rng.standard_normal((3, 3, 3, 4))
out, cache = ops.conv2d_forward(x, weight)
dout = rng.standard_normal(out.shape)
dx, dweight, _ = ops.conv2d_backward(dout, cache)
inner = [(out * dout).sum(), (x * dx).sum(), (weight * dweight).sum()]
print("<out, dout> = {:.12f}\n<x, dx>     = {:.12f}\n<w, dw>     = {:.12f}".format(*inner))
assert np.ptp(inner) < 1e-12 * abs(inner[0]) * 100

# %% [markdown]
# ## dx is a convolution: the fast way
#
# The gather view says that `dx` is itself a convolution of `dout`: kernel turned by 180 degrees, its channels exchanged
# ($F$ in, $C$ out). So the fast forward pass serves for `dx` as well, and no second kernel has to be made fast.

# %%
turned = weight[::-1, ::-1].swapaxes(2, 3)
again, _ = ops.conv2d_forward(dout, turned)
print("dx", dx.shape, "  convolution of dout", again.shape)
print("largest difference", np.abs(dx - again).max())
assert np.allclose(dx, again, rtol=1e-12, atol=1e-12)
viz.show_source(conv.input_gradient)

# %% [markdown]
# `spread_out` is there for strides: forward skipped pixels, so backward spreads `dout` apart with zeros between. A
# layer that does this in its forward pass is called a transposed convolution; lesson 05 meets it again.
#
# ## What breaks it
#
# Five wrong backwards. `ts.gradcheck.bugs` holds them, with a sentence on each. The check does not know what was
# planted; read how far its report leads. First: the kernel flipped once too often.

# %%
bug = ts.gradcheck.bugs["dx_kernel_flipped"]
print(bug.sentence)
report = ts.gradcheck.check_op("conv2d", backward=bug.backward)
report

# %% [markdown]
# `dx` is refused, `dweight` and `dbias` are not: the report names the guilty one. The hint was found by trying: with
# the weight flipped, backward would have been right. Here are the refused numbers.

# %%
report.show("dx")

# %% [markdown]
# What to see: left what backward says, in the middle what differences say, right the refused entries in red with
# the difference written in. No entry is right.
#
# A kernel that looks the same when turned by 180 degrees hides this bug. A blur is of that kind:

# %%
symmetric = np.array([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])[:, :, None, None]
_, cache = ops.conv2d_forward(picture[None, :, :, None], symmetric)
dout = rng.standard_normal((1, 4, 4, 1))
right, wrong = ops.conv2d_backward(dout, cache)[0], bug.backward(dout, cache)[0]
print("largest difference with a symmetric kernel:", np.abs(right - wrong).max())
assert np.allclose(right, wrong)

# %% [markdown]
# So a check needs arguments without symmetry. The cases of `check_op` are random, of odd sizes, with H and W different.
#
# The second bug: the two axes of the kernel exchanged in `dweight`.

# %%
bug = ts.gradcheck.bugs["dweight_axes_swapped"]
print(bug.sentence)
report = ts.gradcheck.check_op("conv2d", backward=bug.backward)
report

# %%
report.show("dweight")

# %% [markdown]
# What to see: in each small kernel (input channel c down, output f across) the diagonal is grey, that is right: it
# stays where it is when rows and columns are exchanged. The red entries come in pairs with opposite signs.
#
# The other three, in short: each tap assigns its share of `dx` where it has to add; one sample only counts; the padding
# is cut off on the wrong side.

# %%
for name in ("dx_assigned", "dweight_last_sample", "dx_cropped_wrong"):
    bug = ts.gradcheck.bugs[name]
    report = ts.gradcheck.check_op("conv2d", backward=bug.backward)
    wrong = [tensor for tensor in report.all_tensors() if tensor.count("wrong")]
    hint = next((tensor.hint for tensor in wrong if tensor.hint), "none")
    print(f"{bug.sentence}\n   refused: d{wrong[0].name}, in {len(wrong)} cases\n   hint: {hint}\n")

# %% [markdown]
# With one sample, N = 1, the fourth bug would pass; with a kernel of 1x1 the third and the fifth would. That is why the
# cases have N of 2 and kernels of several sizes. All five at once, judged by the adjoint law alone:

# %%
names = ["dx_kernel_flipped", "dweight_axes_swapped", "dx_assigned"]
names += ["dweight_last_sample", "dx_cropped_wrong"]
out, cache = ops.conv2d_forward(x, weight)
dout = rng.standard_normal(out.shape)
print(f"{'':22} {'<out, dout>':>12} {'<x, dx>':>12} {'<w, dw>':>12}")
for name in (None, *names):
    backward = ts.gradcheck.bugs[name].backward if name else ops.conv2d_backward
    dx, dweight, _ = backward(dout, cache)
    inner = (out * dout).sum(), (x * dx).sum(), (weight * dweight).sum()
    print(f"{name or 'right':22} {inner[0]:12.6f} {inner[1]:12.6f} {inner[2]:12.6f}")

# %% [markdown]
# In every row but the first, one number differs: in the column of `dx` or of `dw`, as the bug's name says.
#
# ## The fast version
#
# The library has three ways for a 3x3 kernel: NumPy (above), `direct` (the same products, from registers) and
# `winograd` (four times fewer multiplications; lesson 13). Time for a backward pass of a layer
# with 64 channels on a picture of 45 x 60, float32:

# %%
x32, w32 = (rng.standard_normal(s).astype(np.float32) for s in ((1, 45, 60, 64), (3, 3, 64, 64)))
dout32 = rng.standard_normal(x32.shape).astype(np.float32)
answers = {}
for way, (forward, backward) in ts.gradcheck.find_variants("conv2d").items():
    _, cache = forward(x32, w32)
    seconds = []
    for _ in range(3):  # the first call may compile
        start = time.perf_counter()
        answers[way] = backward(dout32, cache)
        seconds.append(time.perf_counter() - start)
    print(f"{way:10} {1000 * min(seconds):8.1f} ms")

# %%
for way, (dx, dweight, _) in answers.items():
    pairs = zip((dx, dweight), answers["numpy"][:2], strict=True)
    apart = [np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in pairs]
    print(f"{way:10} relative difference to NumPy: dx {apart[0]:.1e}, dweight {apart[1]:.1e}")
    assert max(apart) < 1e-5

# %% [markdown]
# `numba` takes for each shape the one of the two that is expected to be faster. The differences are rounding of
# float32, whose numbers have about seven digits: sums in another order. The innermost loops of `direct`:

# %%
viz.show_source(conv.direct._convolve_rows)

# %% [markdown]
# ## Exercises
#
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
checks.grade("conv2d_dx", my_conv2d_dx)

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
checks.grade("conv2d_dweight_dbias", my_conv2d_dweight_dbias)

# %% [markdown]
# Both together are a backward pass of your own. Prove it by differences, with the library's forward:


# %%
def my_conv2d_backward(dout, cache):
    x, weight = cache[:2]
    return my_conv2d_dx(dout, weight), *my_conv2d_dweight_dbias(x, dout, len(weight))


bias = rng.standard_normal(4)
ts.gradcheck.check(ops.conv2d_forward, my_conv2d_backward, x, weight, bias, title="my_conv2d")

# %% [markdown]
# ## What to remember
#
# * A linear layer is a matrix $A$; its backward is $A^T$, the adjoint:
#   $\langle A x, \mathrm{dout}\rangle = \langle x, A^T \mathrm{dout}\rangle$. Two numbers to compare, no step size.
# * `dx`: every output sends `dout` back along the arrows of the forward pass, and shares **add** (scatter). Seen from
#   the pixel, this is a convolution with the kernel turned by 180 degrees and its channels exchanged (gather).
# * `dweight`: correlation of `x` with `dout`, at each tap $X^T D$, summed over all pixels of all samples. `dbias`: a
#   sum.
# * Padding's adjoint is cropping, on the right side.
# * A check needs random arguments: symmetric kernels, N = 1 and 1x1 kernels hide bugs.
