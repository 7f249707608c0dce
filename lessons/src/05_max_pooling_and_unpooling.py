# %% [markdown]
# # 05 Max-pooling and unpooling
#
# **The question.** The encoder of SegNet discards three of every four pixels, and it does so four or five times. How
# does the decoder know where things were?
#
# **At the end** you can pool and unpool by hand, derive both backward passes, and say what two bits per window cost and
# preserve. You have also measured what other ways of upsampling lose.
#
# **Prerequisites:** lessons 01 to 03 (convolution, its backward, gradient checks) and ReLU from lesson 04. You may skim
# the training code of the last section.
#
# The answer is SegNet's signature idea (Badrinarayanan et al. 2017, section 3, figure 3): the decoder upsamples with
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
# ## Pooling and unpooling in one figure
#
# A picture `x` of 4x4 numbers is divided into *windows* of 2x2. Max-pooling keeps the largest number of each window.
# Unpooling reverses this: it puts one number per window at the position where the maximum was. (On a new computer, the
# first cells that pool compile the fast version, which takes a few seconds.)

# %% tags=["map"]
x_small = np.array([[1.0, 6, 2, 0], [5, 3, 1, 4], [0, 2, 7, 8], [9, 1, 3, 5]])
figures.show_pool_arrows(x_small, decoder_map=[[10, 20], [30, 40]])

# %% [markdown]
# On the left, the maximum of every window follows its arrow into the pooled map. In between, other layers compute new
# numbers, here 10 to 40. On the right, these numbers follow the same arrows backwards to the positions of the maxima;
# all other pixels are 0. The maxima 6, 4, 9 and 8 themselves are lost. The table of positions in the middle is passed
# to the decoder. Three terms describe the positions:
#
# * The **position** of a maximum is its place within the window, a number from 0 to 3, which takes two bits.
# * The **indices** of a map are its positions as the library stores them, four to a byte.
# * A **flat index** is a place in the whole picture, counted row by row. Other libraries store flat indices.
#
# ## The formula
#
# A picture has $H \times W$ pixels and $h \times w$ windows, with $h = \lceil H/2 \rceil$ and $w = \lceil W/2 \rceil$.
# Let $u$ and $v$ be the row and column of a window, and let $(i, j)$ with $i, j \in \{0, 1\}$ be a pixel within it.
# Every picture and every channel is pooled separately, and a pixel outside the picture counts as $-\infty$:
#
# $$\text{out}[u, v] = \max_{i, j}\ \text{x}[2u + i,\ 2v + j] \qquad p[u, v] = 2i + j \text{ of the first maximum}$$
#
# Unpooling takes the positions $p$ and a map $z$ with one number per window:
#
# $$\text{out}[2u + i,\ 2v + j] = \begin{cases} z[u, v] & \text{if } p[u, v] = 2i + j \\ 0 & \text{else}
# \end{cases}$$

# %%
(out, indices), cache = ops.max_pool2d_forward(x_small[None, :, :, None])
position = ops.unpack_indices(indices, 1)  # for one channel
print("out       ", out[0, :, :, 0].tolist())
print("positions ", position[0, :, :, 0].tolist())

# %% [markdown]
# This is the library's definition in NumPy:

# %%
figures.show_source(pool.max_pool2d_forward_numpy)

# %% [markdown]
# For each of the four positions in a window, `_windows` collects the pixels at that position in all windows, and stacks
# them into an array (4, N, h, w, C). `argmax` along the first axis gives the position of the first maximum.
#
# ### Exercise 1: pooling
#
# Write `my_max_pool2d(x)` for windows of 2x2. (For a wrong answer, the grader shows the first wrong number and names
# the likely mistake. The solutions are in the project's folder `lessons/src`.)
#
# * `x` (N, H, W, C), float64, H and W even.
# * Returns `out` (N, H/2, W/2, C) and `position` (N, H/2, W/2, C), integers 0..3: $2i + j$ of the first maximum.


# %%
def my_max_pool2d(x):
    ### BEGIN SOLUTION
    windows = np.stack([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    return windows.max(0), windows.argmax(0)
    ### END SOLUTION


# %%
my_max_pool2d = grader.grade("max_pool2d_forward", my_max_pool2d)

# %% [markdown]
# ## Two bits per window
#
# A number from 0 to 3 takes two bits: `00`, `01`, `10`, `11`. The library packs the positions of four channels into one
# byte, with channel 0 in the lowest bits. `unpack_indices` needs the number of channels, because the last byte may be
# only partly used.

# %%
four = np.array([1, 3, 2, 0], np.uint8).reshape(1, 1, 1, 4)  # the positions of four channels at one window
packed = ops.pack_indices(four)
bits = " ".join(f"{p:02b}" for p in four.ravel()[::-1])
print(f"positions {four.ravel().tolist()} -> {bits}, channel 0 on the right: the byte {packed.item()}")
assert packed.item() == int(bits.replace(" ", ""), 2)
assert np.array_equal(ops.unpack_indices(packed, 4), four)

# %% [markdown]
# How much memory does that save? SegNet-Basic pools its 64 feature maps four times, beginning at 360x480. A number in a
# feature map is a float32, 4 bytes. Some networks pass the input of each pooling layer, a whole feature map, to the
# decoder. PyTorch stores flat indices as int64. The paper's Caffe code stores them as float32, so they take as much
# memory as the pooled map.

# %%
size = (360, 480)
print("megabytes:       map before   map after   int64 indices   two bits")
for number in range(1, 5):
    (h, w), before = ops.max_pool2d_output_size(size), 64 * size[0] * size[1] * 4
    windows, size = 64 * h * w, (h, w)
    one = [f"{count / 1e6:.2f}" for count in (before, 4 * windows, 8 * windows)]
    print(f"pool {number} to {h:3}x{w:3} {one[0]:>10} {one[1]:>11} {one[2]:>15} {windows / 4e6:10.3f}")

# %% [markdown]
# Section 3.1 of the paper gives 11 MB for encoder maps of 180x240 and 0.17 MB for indices. Both figures match the row
# of pool 2, if the maps are the input of that pool. The indices then take 64 times less memory, which is also the
# paper's factor in Table 1. If the maps are the output of pool 1, their indices take 0.69 MB, 16 times less. Caffe's
# indices save nothing compared with the pooled map. The next cell measures the arrays of the second pool:

# %%
before = np.zeros((1, 180, 240, 64), np.float32)
(pooled, indices), _ = ops.max_pool2d_forward(before)
print(f"map before {before.nbytes:,} bytes, after {pooled.nbytes:,}, indices {indices.nbytes:,}")
assert (16 * indices.nbytes, 64 * indices.nbytes) == (pooled.nbytes, before.nbytes)

# %% [markdown]
# ## Ties and NaN
#
# Which of several equal numbers is the maximum? The pooled number is the same in any case, but its position decides
# where the decoder writes. As in Caffe's code, the rule is that the first in reading order wins.

# %%
x_ties = np.array([[0.0, 0, 3, 3], [0, 0, 1, 3], [2, 5, 0, 0], [5, 5, 0, 4]])
figures.show_pool_arrows(x_ties, decoder_map=[[10, 20], [30, 40]])

# %% [markdown]
# Dashed pixels equal the maximum but do not count, because they come later. In the upper left window all four pixels
# are 0, and the 10 goes to the first of them. If the last one won, the 10 would be at (1, 1) instead, and every later
# layer would see it there. Ties are common, because many numbers are 0 after a ReLU. The next cell counts them in a
# trained network, for one picture:

# %%
model, scene = ts.load_bundled("toy"), ToyScenes(1, seed=7)[0]
activations = scene.image[None].astype(np.float32)
for name, layer in model.layers.items():
    if isinstance(layer, layers.MaxPool2d):
        (largest, _), _ = ops.max_pool2d_forward(activations)
        print(f"{name}: {np.mean(largest == 0):.0%} of the windows contain only zeros; their position is 0")
    activations = layer.forward(activations)

# %% [markdown]
# A NaN, "not a number", is the sign of a failed computation. A NaN must not disappear, so the first NaN wins over every
# number:

# %%
x_nan = np.array([[1.0, np.nan], [np.nan, 7.0]])
(out, indices), _ = ops.max_pool2d_forward(x_nan[None, :, :, None])
print("out", out.item(), "  position", ops.unpack_indices(indices, 1).item())
assert np.isnan(out.item())
assert ops.unpack_indices(indices, 1).item() == 1

# %% [markdown]
# ## Odd sizes
#
# 360 rows are halved to 180, 90 and 45, an odd number. PyTorch rounds down by default, to 22, and ignores the last row.
# Caffe rounds up ("ceil mode"), and so does this library: the last window extends beyond the picture and is *clipped*,
# and 45 rows become 23.

# %%
x_odd = np.array([[1, 6, 2, 0, 3], [5, 3, 1, 4, 2], [0, 2, 7, 8, 1]])
figures.show_pool_arrows(x_odd)

# %% [markdown]
# The windows at the right and lower edges have two pixels, and the window in the corner has one. A position means the
# same place in every window, whether the window is clipped or not. Unpooling must restore exactly 3 rows, but the
# pooled map alone does not determine this number:

# %%
for rows in (44, 45, 46, 47):
    print(rows, "rows ->", ops.max_pool2d_output_size((rows, 60))[0])
assert [ops.max_pool2d_output_size((rows, 60))[0] for rows in (44, 45, 46, 47)] == [22, 23, 23, 24]

# %% [markdown]
# 45 and 46 both become 23. So unpooling takes the size of the pool's input as `output_size`; the layer
# `MaxUnpool2d(pool)` gets it from its pool. If a network uses 2 x 23 = 46 instead, its sizes no longer fit, and it
# stops with an error. A worse mistake raises no error. Flat indices count $W$ pixels per row. The next cell restores a
# cross, 17 pixels wide, first with flat indices that count 17 pixels per row and then with flat indices that count
# $2w = 18$:

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
# In the middle panel, every maximum is at its position, and one pixel of each window remains. In the right panel, row
# $r$ is $r$ pixels too far to the right. The vertical line slants, and pixels that leave on the right reappear on the
# left, one row lower (or, from the last row, at the top).
#
# ### Exercise 2: unpooling
#
# Write `my_max_unpool2d(z, position, output_size)`.
#
# * `z` (N, h, w, C): the numbers to put back. `position` (N, h, w, C): 0..3. `output_size` (H, W), which may be odd.
# * Returns `out` (N, H, W, C).
#
# No position points outside the picture. `np.indices(z.shape)` returns four arrays: the n, row, column and c of each
# element. (If you use slices such as `out[:, i::2, j::2]`, remember that clipped windows lack pixels, so the slice can
# be smaller than `z`.)


# %%
def my_max_unpool2d(z, position, output_size):
    out = np.zeros((len(z), *output_size, z.shape[3]))
    ### BEGIN SOLUTION
    n, row, column, c = np.indices(z.shape)
    out[n, 2 * row + position // 2, 2 * column + position % 2, c] = z
    ### END SOLUTION
    return out


# %%
my_max_unpool2d = grader.grade("max_unpool2d_forward", my_max_unpool2d)

# %% [markdown]
# ## Backward of pooling
#
# Let $J$ be the loss and $\text{dout} = \partial J / \partial\, \text{out}$. The pixel $(2u + i, 2v + j)$ belongs to
# only one window, so the loss depends on it only through $\text{out}[u, v]$:
#
# $$\text{dx}[2u+i, 2v+j] = \text{dout}[u, v] \cdot
# \frac{\partial\, \text{out}[u, v]}{\partial\, \text{x}[2u+i, 2v+j]}$$
#
# If this pixel is the maximum and the others are smaller, a small change in the pixel changes the output by the same
# amount, so the slope is 1. If another pixel is the maximum, a small change has no effect, so the slope is 0. Together:
#
# $$\text{dx}[2u+i, 2v+j] = \begin{cases} \text{dout}[u, v] & \text{if } p[u, v] = 2i + j \\ 0 & \text{else}
# \end{cases}$$
#
# This is the formula of unpooling. In other words, **the backward of pooling is unpooling**, applied to `dout`. At a
# tie, the maximum has a kink and no derivative. The first maximum then gets the gradient, because forward chose it.

# %%
(_, indices), cache = ops.max_pool2d_forward(x_small[None, :, :, None])
dout = np.array([[0.5, -1], [2, 3]])[None, :, :, None]
dx = ops.max_pool2d_backward(dout, cache)
unpooled, unpool_cache = ops.max_unpool2d_forward(dout, indices, output_size=(4, 4))
assert np.array_equal(dx, unpooled)
figures.show_arrays([("x", x_small), ("dout", dout[0, :, :, 0]), ("dx", dx[0, :, :, 0])])

# %% [markdown]
# `dx` contains each number of `dout` at the position where `x` has the window's maximum.

# %%
figures.show_source(pool.max_pool2d_backward_numpy)

# %% [markdown]
# **Windows that overlap.** `_scatter_numpy` adds, although for windows of 2x2 an assignment would be enough. Some
# networks pool windows of 3x3 with stride 2. Then one pixel can be the maximum of several windows. Such a pixel affects
# the loss through each of these windows, and the chain rule adds the contributions: `dx` at a pixel is the **sum** of
# `dout` over all windows whose maximum it is.
#
# ### Exercise 3: the backward of pooling
#
# Write `my_max_pool2d_backward(dout, x)` for windows of **3x3 with stride 2**: window (u, v) begins at pixel (2u, 2v).
# If several maxima are equal, the first gets the whole gradient.
#
# * `x` (N, H, W, C), H and W odd, so that no window is clipped; `dout` (N, (H-1)/2, (W-1)/2, C).
# * Returns `dx` (N, H, W, C).
#
# A loop over `np.ndindex(dout.shape)` is fine. `np.unravel_index(k, (3, 3))` returns the row and column of position k.


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
my_max_pool2d_backward = grader.grade("max_pool2d_backward", my_max_pool2d_backward)

# %% [markdown]
# ## Backward of unpooling
#
# Forward wrote $z[u, v]$ to one pixel and zeros to the other three. The zeros are constants and depend on no input, so
# the gradients at these pixels are dropped:
#
# $$\text{dz}[u, v] = \text{dout}[2u + i,\ 2v + j] \quad\text{with } 2i + j = p[u, v]$$
#
# Like pooling, this backward reads at the positions, but here the positions are given. Each op is the mirror image of
# the other:
#
# | | forward | backward |
# |---|---|---|
# | pool | reads at the maxima | writes to the maxima, zeros elsewhere |
# | unpool | writes to the positions, zeros elsewhere | reads at the positions |
#
# Both can be written as matrices. Let the 16 pixels of `x_small` be one vector. With fixed positions, pooling is a
# matrix $P$ with one row per window and one column per pixel. Each row of $P$ has a single 1, at the maximum. The next
# cell builds $P$ from the positions:

# %%
u, v = np.indices((2, 2))
p = position[0, :, :, 0]
flat = 4 * (2 * u + p // 2) + 2 * v + p % 2
P = np.eye(16)[flat.ravel()]
figures.show_array(P, "P: one row per window, one column per pixel", indices=True)

# %% [markdown]
# Pixel 1 has the value 6, pixel 7 has the value 4, and so on. Pooling is $\text{out} = P\,\text{x}$, and its backward
# is $P^T\,\text{dout}$. Unpooling is $P^T z$, and its backward is $P\,\text{dout}$. But $P$ depends on `x`, so may the
# derivative treat it as a constant? As long as the maximum of every window is unique, a small enough change in `x`
# leaves every maximum where it is. So $P$ is constant in a neighbourhood of `x`, and the derivative depends on nothing
# else. At a tie this fails, and pooling has a kink.

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
# The two equal numbers confirm the adjoint identity of lesson 02. Moreover, $P P^T$ is the identity: writing and then
# reading at the same positions loses nothing. Does unpooling followed by max-pooling also restore the numbers? It does
# if the numbers are at least 0, as after a ReLU. A negative number is lost, because it is smaller than the zeros beside
# it:

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
# * `dout` (N, H, W, C): H and W may be odd. `position` (N, h, w, C): 0..3.
# * Returns `dz` (N, h, w, C).


# %%
def my_max_unpool2d_backward(dout, position):
    ### BEGIN SOLUTION
    n, row, column, c = np.indices(position.shape)
    return dout[n, 2 * row + position // 2, 2 * column + position % 2, c]
    ### END SOLUTION


# %%
my_max_unpool2d_backward = grader.grade("max_unpool2d_backward", my_max_unpool2d_backward)

# %% [markdown]
# ## Checking both ops, and what breaks them
#
# Run the gradient check of lesson 03 on the library's cases for both ops: odd sizes, windows that overlap or leave
# gaps, several pictures and channels. Then run the check on four planted bugs. A bug has a `pair`, a forward and a
# backward that replace the library's own. (The first run also compiles, which takes half a minute.)

# %%
for op in ("max_pool2d", "max_unpool2d"):
    report = ts.gradcheck.check_op(op)
    print(f"{op}: passed: {report.ok}, {len(report.parts)} cases, {report.checked} numbers")
for name in ("unpool_fixed_corner", "pool_row_stride", "pool_overlap_overwritten", "pool_tie_to_all"):
    bug = bugs[name]
    report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
    refused = [case.title for case in report.parts if not case.ok]
    print(f"\n{name}: {bug.sentence}\n   refused in: {'; '.join(refused) or 'no case'}")
    print(f"   largest difference from the right op: {compare_op(bug.op, *bug.pair):.2f}")

# %% [markdown]
# The check refuses three of the four bugs. `unpool_fixed_corner` passes where each window has one pixel, and
# `pool_row_stride` passes where the width is $2w$ or the picture is a single row. `pool_overlap_overwritten` is wrong
# only where windows overlap. The fourth bug necessarily passes everywhere: the cases of a gradient check avoid ties,
# because a kink has no derivative to compare with. `compare_op` detects this bug, because it compares with the NumPy
# definition on cases that include ties. This is the report on the first bug, for `x_small`:

# %%
bug = bugs["unpool_fixed_corner"]
ts.gradcheck.check(bug.forward, bug.backward, dout, indices, output_size=(4, 4), names=("z", "indices"), title=bug.name)

# %% [markdown]
# `analytic` is the gradient at the upper left pixel of a window; `numeric` is the gradient at the position of the
# maximum, which is right.
#
# ## The fast version
#
# For 2x2 windows, the library computes packed indices directly. numba compiles this code to machine code. `prange`
# shares the rows of windows among the processor's cores, and the innermost loop runs over channels, so the processor's
# vector units handle several channels at a time.

# %%
figures.show_source(pool_2x2.pool)

# %% [markdown]
# The line `wins = ...` also handles NaN. A NaN is not equal to itself, and `<=` with a NaN is always false:

# %%
for new, value in ((2.0, 1.0), (1.0, 1.0), (1.0, 2.0), (np.nan, 1.0), (1.0, np.nan)):
    wins = not new <= value and value == value
    print(f"{new} against {value}: {'wins' if wins else 'loses'}")

# %%
big = rng.standard_normal((4, 96, 128, 32)).astype(np.float32)
results, seconds = [], []
for variant in (pool.max_pool2d_forward_numpy, ops.max_pool2d_forward):
    variant(big)  # the first call compiles
    begin = time.perf_counter()
    (largest, _), _ = variant(big)
    seconds.append(time.perf_counter() - begin)
    results.append(largest)
slow, fast = seconds
print(f"NumPy {1000 * slow:.1f} ms, numba {1000 * fast:.2f} ms; equal:", np.array_equal(*results))

# %% [markdown]
# ## What other upsampling methods lose: an edge
#
# *Nearest* upsampling repeats every pixel. *Bilinear* upsampling interpolates between pixels. A *transposed
# convolution* (end of lesson 02) adds a scaled copy of a learned kernel for every pixel. None of them uses the
# positions of the maxima.
#
# An edge detector might produce this feature map: a line one pixel wide, with zeros elsewhere.

# %%
row, column = np.indices((24, 24))
line = (np.abs(column - 5 - 0.6 * row) < 0.5).astype(float)
print("pixels of the line:", int(line.sum()))
(pooled, _), _ = ops.max_pool2d_forward(line[None, :, :, None])
enlarged = np.kron(pooled[0, ..., 0], np.ones((2, 2)))
figures.show_feature_maps(np.stack([line, enlarged], -1), ["line", "pooled, enlarged"])

# %% [markdown]
# After one pool, each lit pixel stands for four pixels, and the pooled map does not say which of them was lit. Now
# enlarge the map in four ways. The transposed convolution gets 4x4 kernels fitted to this picture, one level after the
# other. Its output is a weighted sum of 16 known pictures, one for each number of the kernel, so least squares finds
# the numbers with the smallest squared error.


# %%
def best_transposed(small, target, depth):
    """Upsample by 2**depth; at each level, use the 16 numbers that best approximate the level's map."""
    for level in reversed(range(depth)):
        wanted = target[level]
        taps = np.eye(16).reshape(16, 4, 4, 1, 1)
        settings = {"stride": 2, "output_size": wanted.shape[1:3]}
        parts = np.stack([ops.conv_transpose2d_forward(small, tap, **settings)[0].ravel() for tap in taps], 1)
        small = (parts @ np.linalg.lstsq(parts, wanted.ravel())[0]).reshape(wanted.shape)
    return small


# %%
def ways_back(picture, depth):
    """Pool `depth` times, then upsample `depth` times; return the restored maps (1, H, W, 1) by name."""
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
# Each panel after the first shows the result of two pools and two upsampling steps, divided by its largest number,
# which the title gives. With indices, every lit pixel is on the line, but there are gaps: only one pixel of each 4x4
# window remains. Nearest upsampling produces blocks; bilinear upsampling and the transposed convolution produce a broad
# band. The transposed convolution also produces a checkerboard pattern with the period of its stride.
#
# Call a pixel lit if its value exceeds half of the largest value in its panel. Precision $P$ is the share of lit pixels
# that lie on the line. Recall $R$ is the share of the line's pixels that are lit. F1 is $2PR/(P + R)$.

# %%
print("depth  method       precision  recall    F1   mean squared error")
for depth in (1, 2, 3):
    for name, way in ways_back(line, depth).items():
        lit = way[0, ..., 0] > way.max() / 2
        P_line, R_line = line[lit].mean(), lit[line > 0].mean()
        assert name != "indices" or P_line == 1, "indices restore every pixel at its place"
        scores = f"{P_line:9.2f} {R_line:7.2f} {2 * P_line * R_line / (P_line + R_line):5.2f}"
        print(f"{depth:5}  {name:12} {scores} {np.mean((way[0, ..., 0] - line) ** 2):12.3f}")

# %% [markdown]
# With indices, the precision is 1 at any depth, because no pixel beside the line is lit. The price is recall: with
# every pooling step, fewer pixels of the line are restored. At depth 3, the transposed convolution is better in F1 and
# in squared error, but its kernels were fitted to this very line. Nearest and bilinear upsampling restore the whole
# line, in a band whose width about doubles with each pooling step. Section 3 of the paper also says that unpooling
# gives sparse maps, which the decoder's trained convolutions make dense.

# %% [markdown]
# ## What other upsampling methods lose: a network
#
# Do indices also help a whole network, which can learn to compensate? Compare networks with the same encoder, the same
# decoder convolutions and the same initial weights. The networks differ only in the upsampling. The next cell replaces
# the unpooling layers of SegNet:


# %%
def segnet_with(up, seed):
    model = ts.build("tiny", num_classes=2, seed=seed, width=0.25)
    parts, rng, pooled = dict(model.layers), np.random.default_rng(seed), 0
    for name, layer in model.layers.items():
        if isinstance(layer, layers.Conv2d):
            pooled = layer.params["weight"].shape[3]  # output channels
        elif isinstance(layer, layers.MaxUnpool2d) and up == "transposed":
            kernel = {"stride": 2, "bias": False, "bilinear": True, "pool": layer.pool, "rng": rng}
            parts[name] = layers.ConvTranspose2d(pooled, pooled, 4, **kernel)
        elif isinstance(layer, layers.MaxUnpool2d) and up != "indices":
            parts[name] = layers.Upsample(up, pool=layer.pool)
    return Network(parts, model.config)


# %% [markdown]
# The task is to find the road in synthetic street scenes of 48x64 pixels. For each seed, all networks are trained on
# the same pictures in the same order for the same small number of epochs. mIoU measures how well areas agree. BF, the
# boundary F1 of the paper's section 3.3, measures how well outlines agree (lesson 10 explains both). Bilinear
# upsampling is left out because its results resemble those of nearest upsampling. The training takes half a minute.

# %% tags=["parameters"] fast="EPOCHS, SEEDS, PICTURES = 1, (0, 1), 16"
EPOCHS, SEEDS, PICTURES = 8, (0, 1, 2, 3), 96

# %%
drawn = (ToyScenes(PICTURES, seed=1, size=(48, 64)), ToyScenes(48, seed=2, size=(48, 64)))
train, test = (ts.data.InMemory(ts.data.OneClass(streets, "road")) for streets in drawn)
recipe = {"epochs": EPOCHS, "batch_size": 8, "size": (48, 64), "learning_rate": 0.01, "validate_every": EPOCHS}
found, threads = {}, ts.runtime.threads()
ts.runtime.set_threads(1)  # pictures this small gain nothing from a second thread
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
# Read a difference whose sign changes from seed to seed as a tie. When this lesson was written, mIoU was a tie, because
# the convolutions can also learn *what* is at a place from coarse maps. BF was higher with indices for each of the four
# seeds. But a BF of 0.10 to 0.18 is very low: after such short training, all networks are poor at outlines. Four seeds
# and one task are weak evidence. Table 1 of the paper makes the comparison at full size. In that table, SegNet-Basic
# beats bilinear interpolation in mIoU, and by a larger margin in BF; decoders that receive whole feature maps are
# better still. Lesson 11 repeats this comparison.
#
# The transposed convolutions double the number of parameters without any gain in this experiment.

# %% [markdown]
# ## What to remember
#
# * Max-pooling keeps each window's maximum and its position. Unpooling puts a number at that position and zeros around
#   it.
# * A position in a 2x2 window takes two bits: 1/16 of a pooled number in float32, and 1/32 of an int64 index in
#   PyTorch.
# * Among equal numbers the first wins, so windows of zeros get position 0. The first NaN wins over every number.
# * 45 rows become 23. To restore 45, unpooling must be given the original size.
# * The backward of pooling is unpooling, and the backward of unpooling reads at the positions. Where windows overlap,
#   gradients add up.
# * A position records where the maximum was but not the values beside it, so the restored map is sparse but correctly
#   placed.
#
# Lesson 06 computes one number from the logits of all pixels: the loss.
