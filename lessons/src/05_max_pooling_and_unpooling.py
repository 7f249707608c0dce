# %% [markdown]
# # 05 Max-pooling and unpooling
#
# **The question.** The encoder of SegNet throws three of four pixels away, four or five times over. How does the
# decoder know where things were?
#
# **At the end** you can pool and unpool by hand, derive both backwards, say what two bits a window cost and buy, and
# you have measured what other ways of upsampling lose.
#
# **Needed before:** lessons 01 to 03: convolution, its backward, gradient checks.
#
# Badrinarayanan et al. 2017 call this the key component of SegNet (section 3, figure 3): the decoder upsamples with
# the *indices* of the encoder's max-pooling.

# %%
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import checks, layers, ops, viz
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import Network
from tinysegnet.ops import pool, pool_2x2

# %% [markdown]
# ## The arrows picture
#
# A picture `x` of 4x4 numbers is cut into *windows* of 2x2. Max-pooling keeps the largest number of each window.
# Unpooling goes back: it puts a number for each window to the place where the maximum was.

# %%
x_small = np.array([[1.0, 6, 2, 0], [5, 3, 1, 4], [0, 2, 7, 8], [9, 1, 3, 5]])
viz.show_pool_arrows(x_small, decoder_map=[[10, 20], [30, 40]])

# %% [markdown]
# What to see: left, every window's maximum travels along its arrow into the pooled map. In between, other layers make
# new numbers, here 10 to 40. Right, these travel along the same arrows, backwards, to where the maxima were; all other
# pixels are 0. The values 6, 4, 9 and 8 are gone. What the decoder is told of `x` is the table below: for each window
# the place of its maximum, a number from 0 to 3. That is its *index*, and two bits hold it.
#
# ## The formula
#
# Let $u$ count the windows downwards, $v$ to the right, and let $(i, j)$ with $i, j \in \{0, 1\}$ be a pixel within a
# window. For every picture $n$ and every channel $c$ by itself (both left out below):
#
# $$\text{out}[u, v] = \max_{i, j}\ \text{x}[2u + i,\ 2v + j] \qquad p[u, v] = 2i + j \text{ of the first maximum}$$
#
# Unpooling takes a map `x` of the windows and the positions $p$:
#
# $$\text{out}[2u + i,\ 2v + j] = \begin{cases} \text{x}[u, v] & \text{if } p[u, v] = 2i + j \\ 0 & \text{else}
# \end{cases}$$

# %%
(out, indices), cache = ops.max_pool2d_forward(x_small[None, :, :, None])
position = ops.unpack_indices(indices, 1)
print("out       ", out[0, :, :, 0].tolist())
print("positions ", position[0, :, :, 0].tolist())

# %% [markdown]
# These are the numbers of the picture above. The library's definition, in NumPy:

# %%
viz.show_source(pool.max_pool2d_forward_numpy)

# %% [markdown]
# `_taps` gives for each of the four places in a window the pixels that all windows have there; stacked, they are an
# array (4, N, h, w, C), and `argmax` along its first axis is the position. `argmax` returns the first maximum.
#
# ### Exercise 1: pooling
#
# Write `my_max_pool2d(x)` for windows of 2x2.
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
checks.grade("max_pool2d_forward", my_max_pool2d)

# %% [markdown]
# ## Two bits a window
#
# A number from 0 to 3 is two bits: `00`, `01`, `10`, `11`. The library packs the positions of four channels into one
# byte. Channel 0 has the lowest bits:

# %%
four = np.array([1, 3, 2, 0], np.uint8).reshape(1, 1, 1, 4)  # the positions of four channels at one window
packed = ops.pack_indices(four)
print(f"positions {four.ravel().tolist()} -> byte {packed.ravel()[0]:08b}: 00 10 11 01, channel 0 on the right")
assert f"{packed.ravel()[0]:08b}" == "00101101"
assert np.array_equal(ops.unpack_indices(packed, 4), four)

# %% [markdown]
# What does that save? SegNet pools a picture of 360x480 five times. A pooled number in float32 takes 4 bytes. If the
# decoder were given the maps before pooling, as other networks do, it would have four of them for each window. Caffe's
# code, with which the paper was made, stores an index as a float32; PyTorch stores it as an int64, its place in the
# whole plane.

# %%
size, channels = (360, 480), (64, 128, 256, 512, 512)
print("pool   windows      2 bits   uint8  float32  int64   map before pooling, MB")
for number, C in enumerate(channels, start=1):
    (h, w), before = ops.max_pool2d_output_size(size), size[0] * size[1] * C
    windows, size = h * w * C, (h, w)
    bits, *others = (windows * b / 1e6 for b in (1 / 4, 1, 4, 8))
    stored = "".join(f"{megabytes:8.2f}" for megabytes in others)
    print(f"{number}   {windows:9,}   {bits:8.3f}{stored}   {4 * before / 1e6:8.1f}")

# %% [markdown]
# The first pool: 0.69 MB in two bits; 11.06 MB in float32 and 22.12 MB as int64. The maps before pooling take 44.2 MB,
# 64 times as much as the two bits. Section 3.1 of the paper compares 11 MB of feature maps at 180x240 with 0.17 MB of
# indices. The 11 MB are the float32 column of the first line. The 0.17 MB are not its two bits: 64 channels need that
# little at the *second* pool, 90x120. On a real array:

# %%
whole = np.zeros((1, 360, 480, 64), np.float32)
(pooled, indices), _ = ops.max_pool2d_forward(whole)
second = 64 * 90 * 120 / 4
print(f"indices {indices.nbytes:,} bytes, pooled map {pooled.nbytes:,}, map before {whole.nbytes:,}")
print(f"64 channels at the second pool: {second / 1e6:.2f} MB")
assert (16 * indices.nbytes, 64 * indices.nbytes) == (pooled.nbytes, whole.nbytes)

# %% [markdown]
# ## Ties and NaN
#
# Which of several equal numbers is the maximum? Any answer is a maximum, but not any answer is the same network: the
# decoder writes where the index says. The rule here, in Caffe and in PyTorch: the first in reading order.

# %%
x_ties = np.array([[0.0, 0, 3, 3], [0, 0, 1, 3], [2, 5, 0, 0], [5, 5, 0, 4]])
viz.show_pool_arrows(x_ties, decoder_map=[[10, 20], [30, 40]])

# %% [markdown]
# Dashed pixels are as large as the maximum and lost, because they come later. In the upper left window all four are 0.
# That is no rare case: after a ReLU (lesson 04) many numbers are 0. In a trained network, on one picture:

# %%
model, scene = ts.load_ready("toy"), ToyScenes(1, seed=7)[0]
x = scene.image[None].astype(np.float32)
for name, layer in model.layers.items():
    if isinstance(layer, layers.MaxPool2d):
        (largest, _), _ = ops.max_pool2d_forward(x)
        print(f"{name}: {np.mean(largest == 0):.0%} of the windows hold only zeros; their index is 0")
    x = layer.forward(x)

# %% [markdown]
# In such a window unpooling writes to the upper left pixel, and what it writes need not be 0: it comes from the
# decoder. With another tie rule a trained network would give other outputs.
#
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
# 360 rows are halved to 180, 90 and 45. And then? The last window sticks out of the picture and is *clipped*: 45 rows
# become 23. So Caffe does it (rounding up, "ceil mode").

# %%
x_odd = np.array([[1, 6, 2, 0, 3], [5, 3, 1, 4, 2], [0, 2, 7, 8, 1], [9, 1, 3, 5, 6], [4, 2, 0, 7, 5]])
viz.show_pool_arrows(x_odd)

# %% [markdown]
# The windows at the right have two pixels, those below two, the corner one. An index means the same place in every
# window, clipped or not. Going back, 3 must become 5, not 6. The pooled map alone cannot know this:

# %%
for rows in (44, 45, 46, 47):
    print(rows, "rows ->", ops.max_pool2d_output_size((rows, 60))[0])
assert [ops.max_pool2d_output_size((rows, 60))[0] for rows in (44, 45, 46, 47)] == [22, 23, 23, 24]

# %% [markdown]
# 45 and 46 both become 23. So unpooling is told the size that the pool saw, `output_size`; the layer
# `MaxUnpool2d(pool)` asks its pool for it. Networks that compute 2 x 23 = 46 instead do not fit any more, and many
# people have met that error message.
#
# A worse one gives no message. Indices as places in the whole plane count $W$ pixels a row. Read with rows of another
# width, $2w$, each row is shifted against the one before:

# %%
grey = ToyScenes(1, seed=3, size=(121, 161))[0].image.mean(-1)[None, :, :, None] / 255
(largest, indices), cache = ops.max_pool2d_forward(grey)
bug = ts.gradcheck.bugs["pool_row_stride"]
both = [ops.max_pool2d_backward(largest, cache), bug.backward(largest, cache)]
filled = [ops.max_pool2d_forward(one)[0][0][0, ..., 0] for one in both]  # pooled, to show no zeros in between
print(bug.sentence)
viz.show_feature_maps(np.stack(filled, -1), ["rows of 161 pixels", "rows of 162 pixels"])

# %% [markdown]
# What to see: the maxima put back into a street, without the zeros in between. Left, all are where they were. Right,
# they were put back by indices that count 162 pixels a row in a picture that has 161: what stood upright leans to one
# side, and the right border comes in again on the left.
#
# ### Exercise 2: unpooling
#
# Write `my_max_unpool2d(x, position, output_size)`.
#
# * `x` (N, h, w, C), the numbers to put back; `position` (N, h, w, C), 0..3; `output_size` (H, W), perhaps odd.
# * Returns `out` (N, H, W, C).
#
# No position points outside the picture. `np.indices(x.shape)` gives four arrays: each element's n, row, column, c.


# %%
def my_max_unpool2d(x, position, output_size):
    out = np.zeros((len(x), *output_size, x.shape[3]))
    ### BEGIN SOLUTION
    n, row, column, c = np.indices(x.shape)
    out[n, 2 * row + position // 2, 2 * column + position % 2, c] = x
    ### END SOLUTION
    return out


# %%
checks.grade("max_unpool2d_forward", my_max_unpool2d)

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
viz.show_arrays([("x", x_small), ("dout", dout[0, :, :, 0]), ("dx", dx[0, :, :, 0])])

# %% [markdown]
# Each number of `dout` stands in `dx` where `x` has the window's maximum.

# %%
viz.show_source(pool.max_pool2d_backward_numpy)

# %% [markdown]
# ### Exercise 3: the backward of pooling
#
# Write `my_max_pool2d_backward(dout, x)`, with the tie rule: of equal maxima the first gets all of the gradient.
#
# * `dout` (N, H/2, W/2, C), `x` (N, H, W, C), H and W even.
# * Returns `dx` (N, H, W, C).
#
# You have written two functions that may help.


# %%
def my_max_pool2d_backward(dout, x):
    ### BEGIN SOLUTION
    _, position = my_max_pool2d(x)
    return my_max_unpool2d(dout, position, x.shape[1:3])
    ### END SOLUTION


# %%
checks.grade("max_pool2d_backward", my_max_pool2d_backward)

# %% [markdown]
# ## Backward of unpooling
#
# Forward wrote $\text{x}[u, v]$ to one pixel and zeros to three. The zeros are constants: whatever gradient arrives
# there has nobody to go to. So
#
# $$\text{dx}[u, v] = \text{dout}[2u + i,\ 2v + j] \quad\text{with } 2i + j = p[u, v]$$
#
# This reads at the indices, as pooling does, only that the indices are given. The two ops are each other's mirror:
#
# | | forward | backward |
# |---|---|---|
# | pool | reads at the maxima | writes to the maxima, zeros elsewhere |
# | unpool | writes to the indices, zeros elsewhere | reads at the indices |
#
# As matrices: let all 16 pixels of `x_small` be one vector. Then pooling, with the places fixed, is a matrix $P$ with
# one row a window, and in that row a single 1. Here it is, computed column by column:

# %%
one_pixel = np.eye(16).reshape(16, 4, 4, 1)  # 16 pictures, each with a single 1
P = np.stack([ops.max_unpool2d_backward(e[None], unpool_cache).ravel() for e in one_pixel], 1)
viz.show_array(P, "P: one row a window, one column a pixel", indices=True)

# %% [markdown]
# Each row has its 1 in the column of the window's maximum: pixel 1 is the 6, pixel 7 the 4, and so on. Pooling is
# $\text{out} = P\,\text{x}$ and its backward $P^T\,\text{dout}$. Unpooling is $P^T \text{x}$ and its backward
# $P\,\text{dout}$. Transposed matrices are *adjoint*: $\langle P a, b\rangle = \langle a, P^T b\rangle$ for all $a$,
# $b$.

# %%
rng = np.random.default_rng(0)
a, b = rng.standard_normal((1, 4, 4, 1)), rng.standard_normal((1, 2, 2, 1))
assert np.array_equal(P @ x_small.ravel(), ops.max_pool2d_forward(x_small[None, :, :, None])[0][0].ravel())
assert np.array_equal(P.T @ dout.ravel(), dx.ravel())
written, cache_of_b = ops.max_unpool2d_forward(b, indices, output_size=(4, 4))
print("<P a, b>  ", (ops.max_unpool2d_backward(a, cache_of_b) * b).sum())
print("<a, P^T b>", (a * written).sum())
assert np.isclose((ops.max_unpool2d_backward(a, cache_of_b) * b).sum(), (a * written).sum(), rtol=1e-12)
assert np.array_equal(P @ P.T, np.eye(4)), "windows do not overlap, so reading what was written gives it back"

# %% [markdown]
# $P P^T$ is the identity: write, then read, and nothing is lost. The other way, $P^T P$ keeps the maxima and clears the
# rest. One might expect that pooling what was unpooled gives it back, too. It does for numbers of at least 0, such as a
# ReLU leaves. A negative number loses against the zeros beside it:

# %%
for values in ([[1.0, 2], [3, 4]], [[1.0, -2], [3, -4]]):
    values = np.array(values)[None, :, :, None]
    written, _ = ops.max_unpool2d_forward(values, indices, output_size=(4, 4))
    (again, _), _ = ops.max_pool2d_forward(written)
    print(values.ravel(), "-> unpool -> pool ->", again.ravel())

# %% [markdown]
# ### Exercise 4: the backward of unpooling
#
# Write `my_max_unpool2d_backward(dout, position)`.
#
# * `dout` (N, H, W, C), H and W perhaps odd; `position` (N, h, w, C), 0..3.
# * Returns `dx` (N, h, w, C).


# %%
def my_max_unpool2d_backward(dout, position):
    ### BEGIN SOLUTION
    n, row, column, c = np.indices(position.shape)
    return dout[n, 2 * row + position // 2, 2 * column + position % 2, c]
    ### END SOLUTION


# %%
checks.grade("max_unpool2d_backward", my_max_unpool2d_backward)

# %% [markdown]
# ## Check it
#
# The gradient check of lesson 03, on all cases that the library has for both ops: odd sizes, windows that overlap,
# several pictures and channels.

# %%
ts.gradcheck.check_op("max_pool2d")

# %%
ts.gradcheck.check_op("max_unpool2d")

# %% [markdown]
# ## What breaks it
#
# Four planted bugs:

# %%
for name in ("unpool_fixed_corner", "pool_row_stride", "pool_overlap_overwritten", "pool_tie_to_all"):
    bug = ts.gradcheck.bugs[name]
    report = ts.gradcheck.check_op(bug.op, pair=bug.pair)
    print(f"{'passes ' if report.ok else 'refused'}  {bug.sentence}")

# %% [markdown]
# Three are refused. The fourth passes, and must: the cases of a gradient check avoid ties, because at a kink there is
# no derivative to compare with. Here another law is needed, that every version of an op gives the same as the NumPy
# definition, ties included. The first one in full:

# %%
bug = ts.gradcheck.bugs["unpool_fixed_corner"]
report = ts.gradcheck.check_op(bug.op, backward=bug.backward)
report

# %% [markdown]
# ## The fast version
#
# For 2x2 windows the library goes straight to packed indices. numba compiles this to machine code; `prange` shares the
# rows of windows among the processor's cores, and the innermost loop runs over channels, which vector units do several
# at a time.

# %%
viz.show_source(pool_2x2.pool)

# %%
big = rng.standard_normal((4, 96, 128, 32)).astype(np.float32)
results, seconds = {}, {}
for variant in (pool.max_pool2d_forward_numpy, ops.max_pool2d_forward):
    variant(big)  # the first call compiles
    begin = time.perf_counter()
    (results[variant], indices), _ = variant(big)
    seconds[variant] = time.perf_counter() - begin
slow, fast = seconds.values()
print(f"NumPy {1000 * slow:.1f} ms, numba {1000 * fast:.2f} ms; equal:", np.array_equal(*results.values()))

# %% [markdown]
# ## What other upsamplings lose: an edge
#
# There are other ways to make a small map large. *Nearest* repeats every pixel. *Bilinear* interpolates between
# pixels. A *transposed convolution* (end of lesson 02) writes a small kernel for every pixel, and the kernel is
# learned. None of them is told where a maximum was.
#
# A map as an edge detector makes it: a line, one pixel wide, 0 elsewhere.

# %%
row, column = np.indices((24, 24))
line = (np.abs(column - 5 - 0.6 * row) < 0.5).astype(float)
print("pixels of the line:", int(line.sum()))
pooled_once, _ = ops.max_pool2d_forward(line[None, :, :, None])
viz.show_feature_maps(
    np.stack([line, np.kron(pooled_once[0][0, ..., 0], np.ones((2, 2)))], -1), ["line", "pooled, enlarged"]
)

# %% [markdown]
# After one pool, each lit pixel stands for four, and which one it was is gone. Now back, in four ways. The transposed
# convolution gets the best 4x4 kernel that there is for this very picture: its output is a sum of 16 known pictures,
# one for each number of the kernel, so least squares finds the 16 numbers with the smallest squared error.


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
viz.show_feature_maps(np.stack([line] + [way[0, ..., 0] for way in back.values()], -1), ["line", *back])

# %% [markdown]
# Two pools and back. With indices every lit pixel is on the line, with gaps: one pixel is left of each window of 4x4.
# Nearest has blocks; bilinear and the transposed convolution have a broad band, and nothing in it says where the line
# was. In numbers: of the restored pixels above half of the largest one, how many are on the line (precision)? Of the
# line's pixels, how many are restored (recall)?

# %%
print("depth   " + "".join(f"{name:>22}" for name in back))
for depth in (1, 2, 3):
    cells = []
    for way in ways_back(line, depth).values():
        lit = way[0, ..., 0] > way.max() / 2
        cells.append(f"precision {line[lit].mean():.2f}, {lit[line > 0].mean():.2f}")
    print(f"{depth}       " + "".join(f"{cell:>22}" for cell in cells))

# %%
for depth in (1, 2, 3):
    lit = ways_back(line, depth)["indices"][0, ..., 0] > 0
    assert line[lit].mean() == 1, "what indices restore is always in its place"

# %% [markdown]
# Precision stands first, recall second. With indices the precision is 1 at any depth: nothing is put beside the line.
# The price is recall: fewer and fewer points of the line come back. Nearest and bilinear have the whole line, in a
# band that gets about twice as wide with each pool. The best transposed convolution does better than these two, but
# stays far from 1, although its kernels were fitted to this very line; and it loses points, too. Section 3 of the
# paper says the same of indices: unpooling gives sparse maps, which the decoder's trained convolutions make dense
# again. What they start from is in the right place.

# %% [markdown]
# ## What other upsamplings lose: a network
#
# Does that help a whole network, which can learn to make up for much? Four networks with the same encoder and the same
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
# The task: drawn streets of 48x64 pixels, "road or not". Each network is trained on the same pictures in the same
# order, for the same short time, from two seeds. mIoU says how well areas agree; BF, the boundary F1 of the paper's
# section 3.3, how many pixels of the outlines are in their place. Lesson 10 explains both.

# %% tags=["parameters"] fast="EPOCHS, SEEDS, PICTURES = 1, (0, 1), 16"
EPOCHS, SEEDS, PICTURES = 8, (0, 1), 96

# %%
drawn = (ToyScenes(PICTURES, seed=1, size=(48, 64)), ToyScenes(48, seed=2, size=(48, 64)))
train, test = (ts.data.InMemory(ts.data.OneClass(streets, "road")) for streets in drawn)
recipe = {"epochs": EPOCHS, "batch_size": 8, "size": (48, 64), "learning_rate": 0.01, "validate_every": EPOCHS}
found, threads = {}, ts.backend.threads()
ts.backend.set_threads(1)  # on pictures as small as these a second thread would only wait
for up in back:
    for seed in SEEDS:
        model = segnet_with(up, seed)
        ts.fit(model, train, recipe=ts.Recipe(seed=seed, **recipe), progress=False)
        scores = ts.evaluate(model, test, boundary=True)
        found[up, seed] = model.num_parameters, scores.mIoU, scores.BF
ts.backend.set_threads(threads)

# %%
print("decoder      parameters     mIoU of each seed      BF of each seed")
for up in back:
    runs = np.array([found[up, seed] for seed in SEEDS])
    scores = ["  ".join(f"{score:.3f}" for score in runs[:, k]) for k in (1, 2)]
    print(f"{up:12} {int(runs[0, 0]):10,}     {scores[0]:20}   {scores[1]}")

# %%
mean = {up: np.mean([found[up, seed][1:] for seed in SEEDS], 0) for up in back}
noise = np.max([np.ptp([found[up, seed][1:] for seed in SEEDS], axis=0) for up in back], 0)
others = np.array([mean[up] for up in back if up != "indices"])
for k, name in enumerate(("mIoU", "BF")):
    gain = mean["indices"][k] - others[:, k].max()
    verdict = "a tie" if abs(gain) <= noise[k] else ("indices are better" if gain > 0 else "indices are worse")
    print(f"{name:5} indices minus the best other: {gain:+.3f}; two seeds differ by up to {noise[k]:.3f}: {verdict}")

# %% [markdown]
# How to read this: the last lines compare a difference between decoders with the difference between two seeds of one
# decoder. What is not larger than that is a tie, whatever its sign. When this lesson was written the outlines were
# clearly better with indices, and the areas a tie: convolutions can find out *what* is in a place from coarse maps,
# but not where exactly it ends. Nothing is proven by two seeds, one task and a few seconds of training. The paper's
# Table 1 compares at full size (there, SegNet-Basic beats bilinear interpolation in mIoU and by more in BF, and
# decoders that are given whole feature maps are better still); lesson 11 repeats it.
#
# The transposed convolutions make the network twice as large, for no gain here. Unpooling has no parameters at all.
#
# ## What to remember
#
# * Max-pooling keeps each window's maximum and its index; unpooling puts a number there and zeros around it.
# * An index of a 2x2 window is two bits: 1/16 of the pooled map in float32, 1/32 of PyTorch's int64 indices.
# * Of equal numbers the first wins; so do all-zero windows get index 0. The first NaN wins over everything.
# * 45 rows become 23, and 23 become 45 again only if someone remembers 45.
# * The backward of pooling is unpooling, and the backward of unpooling reads at the indices: $P^T$ and $P$.
# * Indices keep the place, not the whole content: what is restored is right, and sparse.
