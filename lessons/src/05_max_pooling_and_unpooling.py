# %% [markdown]
# # 05 Max-pooling and unpooling
#
# **The question.** The encoder of SegNet throws three of four pixels away, four or five times over. How does the
# decoder know where things were?
#
# **At the end** you can pool and unpool by hand, derive both backwards, say what two bits per window cost and buy, and
# you have measured what other ways of upsampling lose.
#
# **Needed before:** lessons 01 to 03 (convolution, its backward, gradient checks); from 04, what a ReLU is. The
# training code of the last section may be skimmed.
#
# Badrinarayanan et al. 2017 call this the key component of SegNet (section 3, figure 3): the decoder upsamples with
# the *indices* of the encoder's max-pooling.

# %%
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import Network
from tinysegnet.ops import pool
from tinysegnet.ops.engine import pool_2x2
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs, compare_op

# %% [markdown]
# ## The arrows picture
#
# A picture `x` of 4x4 numbers is cut into *windows* of 2x2. Max-pooling keeps the largest number of each window.
# Unpooling goes back: it puts a number for each window to the place where the maximum was. (On a new computer the first
# cells that pool compile the fast version, for some seconds.)

# %% tags=["map"]
x_small = np.array([[1.0, 6, 2, 0], [5, 3, 1, 4], [0, 2, 7, 8], [9, 1, 3, 5]])
figures.show_pool_arrows(x_small, decoder_map=[[10, 20], [30, 40]])

# %% [markdown]
# What to see: left, every window's maximum travels along its arrow into the pooled map. In between, other layers make
# new numbers, here 10 to 40. Right, these travel along the same arrows, backwards, to where the maxima were; all other
# pixels are 0. The values 6, 4, 9 and 8 are gone. The decoder gets the table in the middle. Three words:
#
# * The **position** of a maximum is its place within the window, a number from 0 to 3; two bits hold it.
# * The **indices** of a map are its positions as the library stores them, four to a byte.
# * A **flat index** is a place in the whole picture, counted row by row. Other libraries store these.
#
# ## The formula
#
# A picture has H x W pixels and $h \times w$ windows, $h = \lceil H/2 \rceil$, $w = \lceil W/2 \rceil$. Let $u$ count
# the windows downwards, $v$ to the right, and let $(i, j)$ with $i, j \in \{0, 1\}$ be a pixel within a window. For
# every picture $n$ and every channel $c$ by itself (both left out below), where a pixel outside counts as $-\infty$:
#
# $$\text{out}[u, v] = \max_{i, j}\ \text{x}[2u + i,\ 2v + j] \qquad p[u, v] = 2i + j \text{ of the first maximum}$$
#
# Unpooling takes a map $z$ of the windows and the positions $p$:
#
# $$\text{out}[2u + i,\ 2v + j] = \begin{cases} z[u, v] & \text{if } p[u, v] = 2i + j \\ 0 & \text{else}
# \end{cases}$$

# %%
(out, indices), cache = ops.max_pool2d_forward(x_small[None, :, :, None])
position = ops.unpack_indices(indices, 1)  # of one channel
print("out       ", out[0, :, :, 0].tolist())
print("positions ", position[0, :, :, 0].tolist())

# %% [markdown]
# These are the numbers of the picture above. The library's definition, in NumPy:

# %%
figures.show_source(pool.max_pool2d_forward_numpy)

# %% [markdown]
# `_windows` stacks, for each of the four places in a window, the pixels that all windows have there: an array
# (4, N, h, w, C). `argmax` along its first axis is the position, and it returns the first maximum.
#
# ### Exercise 1: pooling
#
# Write `my_max_pool2d(x)` for windows of 2x2. (When you are stuck: for a wrong answer, the grader shows which number is
# wrong and what mistake it looks like. The solutions stand in the project's folder `lessons/src`.)
#
# * `x` (N, H, W, C), float64, H and W even.
# * Returns `out` (N, H/2, W/2, C) and `position` (N, H/2, W/2, C), whole numbers 0..3: $2i + j$ of the first maximum.


# %%
def my_max_pool2d(x):
    ### BEGIN SOLUTION
    windows = np.stack([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    return windows.max(0), windows.argmax(0)
    ### END SOLUTION


# %%
grader.grade("max_pool2d_forward", my_max_pool2d)

# %% [markdown]
# ## Two bits per window
#
# A number from 0 to 3 is two bits: `00`, `01`, `10`, `11`. The library packs the positions of four channels into one
# byte. Channel 0 has the lowest bits. `unpack_indices` needs the number of channels, since the last byte may not be
# full.

# %%
four = np.array([1, 3, 2, 0], np.uint8).reshape(1, 1, 1, 4)  # the positions of four channels at one window
packed = ops.pack_indices(four)
bits = " ".join(f"{p:02b}" for p in four.ravel()[::-1])
print(f"positions {four.ravel().tolist()} -> {bits}, channel 0 on the right: the byte {packed.item()}")
assert packed.item() == int(bits.replace(" ", ""), 2)
assert np.array_equal(ops.unpack_indices(packed, 4), four)

# %% [markdown]
# What does that save? SegNet-Basic pools 64 maps of 360x480 four times. A number of a map is a float32, 4 bytes. Some
# networks hand the decoder the whole map from before a pool. PyTorch stores flat indices as int64. Caffe's code, with
# which the paper was made, stores them as float32: as much as the map after the pool.

# %%
size = (360, 480)
print("megabytes of     map before   map after   int64 indices   two bits")
for number in range(1, 5):
    (h, w), before = ops.max_pool2d_output_size(size), 64 * size[0] * size[1] * 4
    windows, size = 64 * h * w, (h, w)
    one = [f"{count / 1e6:.2f}" for count in (before, 4 * windows, 8 * windows)]
    print(f"pool {number} to {h:3}x{w:3} {one[0]:>10} {one[1]:>11} {one[2]:>15} {windows / 4e6:10.3f}")

# %% [markdown]
# Section 3.1 of the paper gives 11 MB for encoder maps of 180x240 and 0.17 MB for indices. Both stand in the row of
# pool 2, if the maps are those that enter it: 64 times less, which is also the paper's factor in Table 1. If they are
# those that leave pool 1, their indices take 0.69 MB, 16 times less. Caffe's indices save nothing against the map after
# the pool. On real arrays, the second pool:

# %%
before = np.zeros((1, 180, 240, 64), np.float32)
(pooled, indices), _ = ops.max_pool2d_forward(before)
print(f"map before {before.nbytes:,} bytes, after {pooled.nbytes:,}, indices {indices.nbytes:,}")
assert (16 * indices.nbytes, 64 * indices.nbytes) == (pooled.nbytes, before.nbytes)

# %% [markdown]
# ## Ties and NaN
#
# Which of several equal numbers is the maximum? The pooled number is the same, but not its position, and the decoder
# writes there. The rule here, as in Caffe's code: the first in reading order.

# %%
x_ties = np.array([[0.0, 0, 3, 3], [0, 0, 1, 3], [2, 5, 0, 0], [5, 5, 0, 4]])
figures.show_pool_arrows(x_ties, decoder_map=[[10, 20], [30, 40]])

# %% [markdown]
# Dashed pixels are as large as the maximum and lost, because they come later. In the upper left window all four are 0,
# and the 10 goes to its first pixel; with "the last wins" it would stand at (1, 1), and every later layer would see it
# there. That is no rare case: after a ReLU many numbers are 0. In a trained network, on one picture:

# %%
model, scene = ts.load_bundled("toy"), ToyScenes(1, seed=7)[0]
activations = scene.image[None].astype(np.float32)
for name, layer in model.layers.items():
    if isinstance(layer, layers.MaxPool2d):
        (largest, _), _ = ops.max_pool2d_forward(activations)
        print(f"{name}: {np.mean(largest == 0):.0%} of the windows hold only zeros; their position is 0")
    activations = layer.forward(activations)

# %% [markdown]
# A NaN, "not a number", is the mark of a computation that went wrong. It must not vanish, so the first NaN wins over
# every number:

# %%
x_nan = np.array([[1.0, np.nan], [np.nan, 7.0]])
(out, indices), _ = ops.max_pool2d_forward(x_nan[None, :, :, None])
print("out", out.item(), "  position", ops.unpack_indices(indices, 1).item())
assert np.isnan(out.item())
assert ops.unpack_indices(indices, 1).item() == 1

# %% [markdown]
# ## Odd sizes
#
# 360 rows are halved to 180, 90 and 45. And then? PyTorch's default rounds down, to 22: nobody looks at the last row.
# Caffe rounds up ("ceil mode"), and so does this library: the last window sticks out of the picture and is *clipped*,
# 45 rows become 23.

# %%
x_odd = np.array([[1, 6, 2, 0, 3], [5, 3, 1, 4, 2], [0, 2, 7, 8, 1]])
figures.show_pool_arrows(x_odd)

# %% [markdown]
# The windows at the right and below have two pixels, the one in the corner has one. A position means the same place in
# every window, clipped or not. Going back, 3 rows must become 3 again, and the pooled map alone cannot know this:

# %%
for rows in (44, 45, 46, 47):
    print(rows, "rows ->", ops.max_pool2d_output_size((rows, 60))[0])
assert [ops.max_pool2d_output_size((rows, 60))[0] for rows in (44, 45, 46, 47)] == [22, 23, 23, 24]

# %% [markdown]
# 45 and 46 both become 23. So unpooling gets the size that the pool saw, `output_size`; the layer
# `MaxUnpool2d(pool)` asks its pool for it. A network that computes 2 x 23 = 46 instead does not fit any more, and says
# so. A worse mistake gives no message. Flat indices count $W$ pixels per row. Here is a cross, 17 pixels wide, put back
# by flat indices that count 17, and by some that count $2w = 18$:

# %%
x_cross = np.zeros((1, 21, 17, 1))
x_cross[0, :, 8] = x_cross[0, 10] = 1
(largest, indices), _ = ops.max_pool2d_forward(x_cross)
put_back = []
for pixels_a_row in (17, 18):
    flat = ops.flat_plane_indices(indices, 1, (21, pixels_a_row)).ravel()
    plane = np.zeros(21 * 17)
    np.maximum.at(plane, flat % plane.size, largest.ravel())
    put_back.append(plane.reshape(21, 17))
titles = ["x", "17 pixels per row", "18 pixels per row"]
figures.show_feature_maps(np.stack([x_cross[0, ..., 0], *put_back], -1), titles)

# %% [markdown]
# What to see: in the middle every maximum is in its place; one pixel of each window is left. On the right, row $r$ is
# $r$ pixels too far to the right: the upright line leans, and what leaves on the right comes in on the left, a row
# below (or, from the last row, at the top).
#
# ### Exercise 2: unpooling
#
# Write `my_max_unpool2d(z, position, output_size)`.
#
# * `z` (N, h, w, C), the numbers to put back; `position` (N, h, w, C), 0..3; `output_size` (H, W), perhaps odd.
# * Returns `out` (N, H, W, C).
#
# No position points outside the picture. `np.indices(z.shape)` gives four arrays: each element's n, row, column, c.
# (With slices such as `out[:, i::2, j::2]`, mind that clipped windows lack pixels: the slice is smaller than `z`.)


# %%
def my_max_unpool2d(z, position, output_size):
    out = np.zeros((len(z), *output_size, z.shape[3]))
    ### BEGIN SOLUTION
    n, row, column, c = np.indices(z.shape)
    out[n, 2 * row + position // 2, 2 * column + position % 2, c] = z
    ### END SOLUTION
    return out


# %%
grader.grade("max_unpool2d_forward", my_max_unpool2d)

# %% [markdown]
# ## Backward of pooling
#
# Let $J$ be the loss and $\text{dout} = \partial J / \partial\, \text{out}$. The pixel $(2u + i, 2v + j)$ belongs to
# one window only. So the loss depends on it through one number, $\text{out}[u, v]$:
#
# $$\text{dx}[2u+i, 2v+j] = \text{dout}[u, v] \cdot
# \frac{\partial\, \text{out}[u, v]}{\partial\, \text{x}[2u+i, 2v+j]}$$
#
# If this pixel is the maximum, and the others are smaller, a small change of it changes the output by as much: the
# slope is 1. If another pixel is the maximum, a small change has no effect: the slope is 0. Together:
#
# $$\text{dx}[2u+i, 2v+j] = \begin{cases} \text{dout}[u, v] & \text{if } p[u, v] = 2i + j \\ 0 & \text{else}
# \end{cases}$$
#
# Compare with the formula of unpooling. It is the same: **the backward of pooling is unpooling**, applied to `dout`.
# At a tie the maximum has a kink and no derivative. The first maximum gets the gradient, since forward took it.

# %%
(_, indices), cache = ops.max_pool2d_forward(x_small[None, :, :, None])
dout = np.array([[0.5, -1], [2, 3]])[None, :, :, None]
dx = ops.max_pool2d_backward(dout, cache)
unpooled, unpool_cache = ops.max_unpool2d_forward(dout, indices, output_size=(4, 4))
assert np.array_equal(dx, unpooled)
figures.show_arrays([("x", x_small), ("dout", dout[0, :, :, 0]), ("dx", dx[0, :, :, 0])])

# %% [markdown]
# Each number of `dout` stands in `dx` where `x` has the window's maximum.

# %%
figures.show_source(pool.max_pool2d_backward_numpy)

# %% [markdown]
# **Windows that overlap.** `_scatter_numpy` adds, where with windows of 2x2 it could as well write. Some networks pool
# windows of 3x3 with stride 2. Then a pixel can be the maximum of several windows. It reaches the loss in several ways,
# and the chain rule adds them up: `dx` at a pixel is the **sum** of `dout` over all windows whose maximum it is.
#
# ### Exercise 3: the backward of pooling
#
# Write `my_max_pool2d_backward(dout, x)` for windows of **3x3 with stride 2**: window (u, v) begins at pixel (2u, 2v).
# Of equal maxima the first gets all of the gradient.
#
# * `x` (N, H, W, C), H and W odd, so that no window is clipped; `dout` (N, (H-1)/2, (W-1)/2, C).
# * Returns `dx` (N, H, W, C).
#
# A loop over `np.ndindex(dout.shape)` is fine. `np.unravel_index(k, (3, 3))` is row and column of place k.


# %%
def my_max_pool2d_backward(dout, x):
    ### BEGIN SOLUTION
    dx = np.zeros(x.shape)
    for n, u, v, c in np.ndindex(dout.shape):
        window = x[n, 2 * u : 2 * u + 3, 2 * v : 2 * v + 3, c]
        i, j = np.unravel_index(window.argmax(), (3, 3))
        dx[n, 2 * u + i, 2 * v + j, c] += dout[n, u, v, c]
    return dx
    ### END SOLUTION


# %%
grader.grade("max_pool2d_backward", my_max_pool2d_backward)

# %% [markdown]
# ## Backward of unpooling
#
# Forward wrote $z[u, v]$ to one pixel and zeros to three. The zeros are constants, which depend on no input: a gradient
# that arrives there goes nowhere. So
#
# $$\text{dz}[u, v] = \text{dout}[2u + i,\ 2v + j] \quad\text{with } 2i + j = p[u, v]$$
#
# This reads at the positions, as pooling does, only that the positions are given. The two ops are each other's mirror:
#
# | | forward | backward |
# |---|---|---|
# | pool | reads at the maxima | writes to the maxima, zeros elsewhere |
# | unpool | writes to the positions, zeros elsewhere | reads at the positions |
#
# As matrices: let all 16 pixels of `x_small` be one vector. Then pooling, with the positions fixed, is a matrix $P$:
# for each window a row, for each pixel a column, and in each row a single 1, at the maximum. Built from the positions:

# %%
u, v = np.indices((2, 2))
p = position[0, :, :, 0]
flat = 4 * (2 * u + p // 2) + 2 * v + p % 2
P = np.eye(16)[flat.ravel()]
figures.show_array(P, "P: a row for each window, a column for each pixel", indices=True)

# %% [markdown]
# Pixel 1 is the 6, pixel 7 the 4, and so on. Pooling is $\text{out} = P\,\text{x}$, its backward $P^T\,\text{dout}$;
# unpooling is $P^T z$, its backward $P\,\text{dout}$. But $P$ was made from `x`; may the derivative take it as a
# constant? As long as no two numbers of a window are equal, a small enough change of `x` leaves every maximum where it
# is. So $P$ is the same matrix all around `x`, and further the derivative does not look. At a tie this fails: the kink.

# %%
rng = np.random.default_rng(0)
a, b = rng.standard_normal((1, 4, 4, 1)), rng.standard_normal((1, 2, 2, 1))
written, cache_of_b = ops.max_unpool2d_forward(b, indices, output_size=(4, 4))
read = ops.max_unpool2d_backward(a, cache_of_b)
assert np.array_equal(P @ x_small.ravel(), [6, 4, 9, 8])  # pooling
assert np.array_equal(P.T @ dout.ravel(), dx.ravel())  # its backward
assert np.array_equal(P.T @ b.ravel(), written.ravel())  # unpooling
assert np.array_equal(P @ a.ravel(), read.ravel())  # its backward
print("<P a, b>  ", (read * b).sum())
print("<a, P^T b>", (a * written).sum())

# %% [markdown]
# The two numbers are the adjoint law of lesson 02. And $P P^T$ is the identity: write, then read, and nothing is lost.
# One might expect that pooling what was unpooled gives it back, too. It does for numbers of at least 0, such as a ReLU
# leaves. A negative number loses against the zeros beside it:

# %%
assert np.array_equal(P @ P.T, np.eye(4))
for values in ([[1.0, 2], [3, 4]], [[1.0, -2], [3, -4]]):
    values = np.array(values)[None, :, :, None]
    written, _ = ops.max_unpool2d_forward(values, indices, output_size=(4, 4))
    (again, _), _ = ops.max_pool2d_forward(written)
    print(values.ravel(), "-> unpool -> pool ->", again.ravel())

# %% [markdown]
# ### Exercise 4: the backward of unpooling (optional, the mirror of exercise 2)
#
# Write `my_max_unpool2d_backward(dout, position)`.
#
# * `dout` (N, H, W, C), H and W perhaps odd; `position` (N, h, w, C), 0..3.
# * Returns `dz` (N, h, w, C).


# %%
def my_max_unpool2d_backward(dout, position):
    ### BEGIN SOLUTION
    n, row, column, c = np.indices(position.shape)
    return dout[n, 2 * row + position // 2, 2 * column + position % 2, c]
    ### END SOLUTION


# %%
grader.grade("max_unpool2d_backward", my_max_unpool2d_backward)

# %% [markdown]
# ## Check it, and what breaks it
#
# The gradient check of lesson 03, on all cases that the library has for both ops: odd sizes, windows that overlap or
# leave gaps, several pictures and channels. Then four planted bugs. A bug is a `pair`, a forward and a backward that
# stand in for the library's own. (The first run compiles, for half a minute.)

# %%
for op in ("max_pool2d", "max_unpool2d"):
    report = ts.gradcheck.check_op(op)
    print(f"{op}: right: {report.ok}, {len(report.parts)} cases, {report.checked} numbers")
for name in ("unpool_fixed_corner", "pool_row_stride", "pool_overlap_overwritten", "pool_tie_to_all"):
    bug = bugs[name]
    report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
    refused = [case.title for case in report.parts if not case.ok]
    print(f"\n{name}: {bug.sentence}\n   refused in: {'; '.join(refused) or 'no case'}")
    print(f"   largest difference from the right op: {compare_op(bug.op, *bug.pair):.2f}")

# %% [markdown]
# Three are refused. `unpool_fixed_corner` passes where each window has one pixel; `pool_row_stride` where the width
# is $2w$, or all is one row; `pool_overlap_overwritten` needs windows that overlap. The fourth passes everywhere, and
# must: the cases of a gradient check avoid ties, because at a kink there is no derivative to compare with. Another law
# catches it: `compare_op` compares with the NumPy definition, on cases with ties as well. The first bug on `x_small`:

# %%
bug = bugs["unpool_fixed_corner"]
ts.gradcheck.check(bug.forward, bug.backward, dout, indices, output_size=(4, 4), names=("z", "indices"), title=bug.name)

# %% [markdown]
# `analytic` is the gradient at the upper left pixel of a window, `numeric` the right one, at the position.
#
# ## The fast version
#
# For 2x2 windows the library goes straight to packed indices. numba compiles this to machine code; `prange` shares the
# rows of windows among the processor's cores, and the innermost loop runs over channels, which vector units do several
# at a time.

# %%
figures.show_source(pool_2x2.pool)

# %% [markdown]
# The line to read twice is `wins`. A NaN is not equal to itself, and every comparison with it is false:

# %%
for new, value in ((2.0, 1.0), (1.0, 1.0), (1.0, 2.0), (np.nan, 1.0), (1.0, np.nan)):
    wins = not new <= value and value == value
    print(f"{new} against {value}: {'wins' if wins else 'loses'}")

# %%
big = rng.standard_normal((4, 96, 128, 32)).astype(np.float32)
results, seconds = {}, {}
for variant in (pool.max_pool2d_forward_numpy, ops.max_pool2d_forward):
    variant(big)  # the first call compiles
    begin = time.perf_counter()
    (results[variant], _), _ = variant(big)
    seconds[variant] = time.perf_counter() - begin
slow, fast = seconds.values()
print(f"NumPy {1000 * slow:.1f} ms, numba {1000 * fast:.2f} ms; equal:", np.array_equal(*results.values()))

# %% [markdown]
# ## What other upsamplings lose: an edge
#
# There are other ways to make a small map large. *Nearest* repeats every pixel. *Bilinear* interpolates between
# pixels. A *transposed convolution* (end of lesson 02) writes a small kernel for every pixel, and the kernel is
# learned. None of them knows where a maximum was.
#
# A map as an edge detector makes it: a line, one pixel wide, 0 elsewhere.

# %%
row, column = np.indices((24, 24))
line = (np.abs(column - 5 - 0.6 * row) < 0.5).astype(float)
print("pixels of the line:", int(line.sum()))
(pooled, _), _ = ops.max_pool2d_forward(line[None, :, :, None])
enlarged = np.kron(pooled[0, ..., 0], np.ones((2, 2)))
figures.show_feature_maps(np.stack([line, enlarged], -1), ["line", "pooled, enlarged"])

# %% [markdown]
# After one pool, each lit pixel stands for four, and which one it was is gone. Now back, in four ways. The transposed
# convolution gets the best 4x4 kernels for this very picture, one level after the other: its output is a sum of 16
# known pictures, one for each number of the kernel, so least squares finds the numbers with the smallest squared error.


# %%
def best_transposed(small, target, depth):
    """Upsample by 2**depth, at each level with the 16 numbers that come closest to the map of that level."""
    for level in reversed(range(depth)):
        wanted = target[level]
        taps = np.eye(16).reshape(16, 4, 4, 1, 1)
        settings = {"stride": 2, "output_size": wanted.shape[1:3]}
        parts = np.stack([ops.conv_transpose2d_forward(small, tap, **settings)[0].ravel() for tap in taps], 1)
        small = (parts @ np.linalg.lstsq(parts, wanted.ravel())[0]).reshape(wanted.shape)
    return small


# %%
def ways_back(picture, depth):
    """Pool `depth` times, then upsample as often: name -> restored map (1, H, W, 1)."""
    maps, kept = [picture[None, :, :, None]], []
    for _ in range(depth):
        (small, indices), _ = ops.max_pool2d_forward(maps[-1])
        maps, kept = [*maps, small], [*kept, indices]
    ways = dict.fromkeys(("indices", "nearest", "bilinear"), maps[-1])
    for level in reversed(range(depth)):
        size = maps[level].shape[1:3]
        ways["indices"] = ops.max_unpool2d_forward(ways["indices"], kept[level], output_size=size)[0]
        ways["nearest"] = ops.upsample_nearest2d_forward(ways["nearest"], output_size=size)[0]
        ways["bilinear"] = ops.upsample_bilinear2d_forward(ways["bilinear"], output_size=size)[0]
    return ways | {"transposed": best_transposed(maps[-1], maps, depth)}


# %%
back = ways_back(line, depth=2)
titles = [f"{name}, up to {way.max():.2f}" for name, way in back.items()]
panels = [line] + [way[0, ..., 0] / way.max() for way in back.values()]
figures.show_feature_maps(np.stack(panels, -1), ["line", *titles])

# %% [markdown]
# Two pools and back, each divided by its largest number, which the title says. With indices every lit pixel is on the
# line, with gaps: one pixel is left of each window of 4x4. Nearest has blocks; bilinear and the transposed convolution
# have a broad band. The transposed convolution also has a checkerboard, of the period of its stride.
#
# In numbers: call a pixel lit if it is above half of the way's own largest number. How many lit pixels are on the line
# (precision)? How many pixels of the line are lit (recall)? F1 is $2PR/(P + R)$.

# %%
print("depth  way          precision  recall    F1   mean squared error")
for depth in (1, 2, 3):
    for name, way in ways_back(line, depth).items():
        lit = way[0, ..., 0] > way.max() / 2
        P_line, R_line = line[lit].mean(), lit[line > 0].mean()
        assert name != "indices" or P_line == 1, "what indices restore is always in its place"
        scores = f"{P_line:9.2f} {R_line:7.2f} {2 * P_line * R_line / (P_line + R_line):5.2f}"
        print(f"{depth:5}  {name:12} {scores} {np.mean((way[0, ..., 0] - line) ** 2):12.3f}")

# %% [markdown]
# With indices the precision is 1 at any depth: nothing is put beside the line. The price is recall: fewer and fewer
# points of the line come back. At depth 3 the transposed convolution is ahead, in F1 and in squared error; its kernels
# were fitted to this very line. Nearest and bilinear have the whole line, in a band that gets about twice as wide with
# each pool. Section 3 of the paper says the same of indices: unpooling gives sparse maps, which the decoder's trained
# convolutions make dense again. What they start from is in the right place.

# %% [markdown]
# ## What other upsamplings lose: a network
#
# Does that help a whole network, which can learn to make up for much? Networks with the same encoder and the same
# decoder convolutions, all with the same initial weights. They differ only in how maps become larger. Here is SegNet
# with its unpoolings exchanged:


# %%
def segnet_with(up, seed):
    model = ts.build("tiny", num_classes=2, seed=seed, width=0.25)
    parts, rng, pooled = dict(model.layers), np.random.default_rng(seed), 0
    for name, layer in model.layers.items():
        if isinstance(layer, layers.Conv2d):
            pooled = layer.params["weight"].shape[3]  # its channels
        elif isinstance(layer, layers.MaxUnpool2d) and up == "transposed":
            kernel = {"stride": 2, "bias": False, "bilinear": True, "pool": layer.pool, "rng": rng}
            parts[name] = layers.ConvTranspose2d(pooled, pooled, 4, **kernel)
        elif isinstance(layer, layers.MaxUnpool2d) and up != "indices":
            parts[name] = layers.Upsample(up, pool=layer.pool)
    return Network(parts, model.config)


# %% [markdown]
# The task: drawn streets of 48x64 pixels, "road or not". For each seed all networks are trained on the same pictures in
# the same order, for the same short time. mIoU says how well areas agree; BF, the boundary F1 of the paper's section
# 3.3, how many pixels of the outlines are in their place (lesson 10 explains both). Bilinear, which is close to
# nearest, is left out. This takes half a minute.

# %% tags=["parameters"] fast="EPOCHS, SEEDS, PICTURES = 1, (0, 1), 16"
EPOCHS, SEEDS, PICTURES = 8, (0, 1, 2, 3), 96

# %%
drawn = (ToyScenes(PICTURES, seed=1, size=(48, 64)), ToyScenes(48, seed=2, size=(48, 64)))
train, test = (ts.data.InMemory(ts.data.OneClass(streets, "road")) for streets in drawn)
recipe = {"epochs": EPOCHS, "batch_size": 8, "size": (48, 64), "learning_rate": 0.01, "validate_every": EPOCHS}
found, threads = {}, ts.runtime.threads()
ts.runtime.set_threads(1)  # on pictures as small as these a second thread would only wait
for up in ("indices", "nearest", "transposed"):
    for seed in SEEDS:
        model = segnet_with(up, seed)
        ts.fit(model, train, recipe=ts.Recipe(seed=seed, **recipe), progress=False)
        scores = ts.evaluate(model, test, boundary=True)
        found.setdefault(up, []).append((scores.mIoU, scores.BF, model.num_parameters))
ts.runtime.set_threads(threads)

# %%
print("decoder      parameters     mIoU: mean, min to max      BF: mean, min to max")
for up, runs in found.items():
    mean, low, high = np.mean(runs, 0), np.min(runs, 0), np.max(runs, 0)
    texts = [f"{mean[k]:.3f}, {low[k]:.3f} to {high[k]:.3f}" for k in (0, 1)]
    print(f"{up:12} {runs[0][2]:10,}     {texts[0]}       {texts[1]}")
for k, name in enumerate(("mIoU", "BF")):
    for up in ("nearest", "transposed"):
        gains = np.array(found["indices"])[:, k] - np.array(found[up])[:, k]
        print(f"{name} of indices minus {up}, seed by seed:", "  ".join(f"{gain:+.3f}" for gain in gains))

# %% [markdown]
# How to read this: what changes its sign from seed to seed is a tie. When this lesson was written, mIoU was one: the
# convolutions find out *what* is in a place from coarse maps as well. BF was higher with indices in each of the four
# seeds. But 0.10 to 0.18 is very low; after so short a training all are bad at outlines. More is not proven by four
# seeds and one task. The paper's Table 1 compares at full size (there, SegNet-Basic beats bilinear interpolation in
# mIoU and by more in BF, and decoders that are given whole feature maps are better still); lesson 11 repeats it.
#
# The transposed convolutions make the network twice as large, for no gain here. Unpooling has no parameters at all.
#
# ## What to remember
#
# * Max-pooling keeps each window's maximum and its position; unpooling puts a number there and zeros around it.
# * A position in a 2x2 window is two bits: 1/16 of the pooled map in float32, 1/32 of PyTorch's int64 indices.
# * Of equal numbers the first wins; so all-zero windows get position 0. The first NaN wins over everything.
# * 45 rows become 23, and 23 become 45 again only if someone remembers 45.
# * The backward of pooling is unpooling, and the backward of unpooling reads at the positions: $P^T$ and $P$. Where
#   windows overlap, gradients add.
# * Positions keep the place, not the whole content: what is restored is right, and sparse.
#
# Lesson 06 makes one number of all the pixels: the loss.
