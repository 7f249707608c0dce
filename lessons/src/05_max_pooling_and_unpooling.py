# %% [markdown]
# # 05 Max-pooling and unpooling
#
# **The question.** The encoder of SegNet discards three of every four numbers, four or five times. How does the decoder
# know where things were?
#
# **At the end** you can pool and unpool, derive both backward passes, and say what two bits per window preserve.
#
# **Prerequisites:** lessons 01 to 04.
#
# The answer is the main idea of SegNet (Badrinarayanan et al. 2017, section 3): the decoder upsamples with the
# *indices* of the encoder's max-pooling.

# %%
import time

import numpy as np

import tinysegnet as ts
from tinysegnet import layers, ops
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.models import Network
from tinysegnet.ops import pool
from tinysegnet_lessons import figures, fragments, grader
from tinysegnet_lessons.bugs import bugs, compare_op

# %% [markdown]
# ## Pooling and unpooling in one figure
#
# Max-pooling divides a picture into *windows* of 2x2 and keeps the largest number of each. Unpooling puts one number
# per window where the maximum was.

# %% tags=["map"]
x_small = np.array([[1.0, 6, 2, 0], [5, 3, 1, 4], [0, 2, 7, 8], [9, 1, 3, 5]])
figures.show_pool_arrows(x_small, decoder_map=[[10, 20], [30, 40]])

# %% [markdown]
# In between, other layers compute new numbers, here 10 to 40. The decoder gets the **position** of each maximum in its
# window: 0 is upper left, 1 upper right, 2 lower left, 3 lower right. Other libraries store **flat indices**: places in
# the whole picture, counted row by row.
#
# ### Warm-up: one window
#
# Write `my_window_maximum(window)`. `window` is an array of 2x2 numbers. Return the maximum and its position. Among
# equal numbers, the first in reading order wins.


# %%
def my_window_maximum(window):
    ### BEGIN SOLUTION
    numbers = window.ravel()
    position = numbers.argmax()
    return numbers[position], position
    ### END SOLUTION


# %%
my_window_maximum = grader.grade("window_maximum", my_window_maximum)

# %%
for u, v in np.ndindex(2, 2):
    print(f"window ({u}, {v}): maximum and position", *my_window_maximum(x_small[2 * u : 2 * u + 2, 2 * v : 2 * v + 2]))

# %% [markdown]
# ## The formula
#
# A picture has $H \times W$ pixels and $h \times w$ windows, with $h = \lceil H/2 \rceil$ and $w = \lceil W/2 \rceil$.
# Let $u$ and $v$ be the row and column of a window, and $(i, j)$ a pixel within it. Every channel is pooled separately:
#
# $$\text{out}[u, v] = \max_{i, j}\ \text{x}[2u + i,\ 2v + j] \qquad p[u, v] = 2i + j \text{ of the first maximum}$$
#
# Unpooling takes the positions $p$ and a map $z$ with one number per window:
#
# $$\text{out}[2u + i,\ 2v + j] = \begin{cases} z[u, v] & \text{if } p[u, v] = 2i + j \\ 0 & \text{else}
# \end{cases}$$

# %% [markdown]
# ### Exercise 1: pooling
#
# Write `my_max_pool2d(x)` for windows of 2x2.
#
# * `x` (N, H, W, C), H and W even.
# * Return `out` and `position`, both (N, H/2, W/2, C). `position` contains integers 0..3. At a tie, the first wins.
#
# The slice `x[:, i::2, j::2]` contains pixel $(i, j)$ of all windows. `np.stack` joins slices along a new first axis.


# %%
def my_max_pool2d(x):
    ### BEGIN SOLUTION
    corners = []
    for i, j in np.ndindex(2, 2):
        corners.append(x[:, i::2, j::2])
    windows = np.stack(corners)
    return windows.max(0), windows.argmax(0)
    ### END SOLUTION


# %%
my_max_pool2d = grader.grade("max_pool2d_forward", my_max_pool2d)

# %%
(out, indices), _ = ops.max_pool2d_forward(x_small[None, :, :, None])
position = ops.unpack_indices(indices, 1)  # for one channel
my_out, my_position = my_max_pool2d(x_small[None, :, :, None])
print("library", out.ravel(), position.ravel(), "   mine", my_out.ravel(), my_position.ravel())
figures.show_source(pool.max_pool2d_forward_numpy)

# %% [markdown]
# ## Two bits per window
#
# A position takes two bits: `00`, `01`, `10` or `11`. The library packs the positions of four channels into one byte,
# with channel 0 in the lowest bits, and calls the bytes *indices*:

# %%
four = np.array([1, 3, 2, 0], np.uint8).reshape(1, 1, 1, 4)  # the positions of four channels at one window
packed = ops.pack_indices(four)
bits = " ".join(f"{p:02b}" for p in four.ravel()[::-1])
print(f"positions {four.ravel().tolist()} -> {bits}, channel 0 on the right: the byte {packed.item()}")
assert packed.item() == int(bits.replace(" ", ""), 2)

# %% [markdown]
# ### Exercise 2: four positions in a byte
#
# Write `my_pack(position)`. `position` (N, h, w, C) contains integers 0..3, and C is a multiple of 4. Return a uint8
# array (N, h, w, C/4); the byte at index k contains the channels 4k to 4k + 3. `number << 2` shifts a number by two
# bits, and `|` joins the bits of two numbers.


# %%
def my_pack(position):
    ### BEGIN SOLUTION
    N, h, w, C = position.shape
    four = position.reshape(N, h, w, C // 4, 4).astype(np.uint8)
    packed = np.zeros((N, h, w, C // 4), np.uint8)
    for k in range(4):
        packed |= four[..., k] << 2 * k
    return packed
    ### END SOLUTION


# %%
my_pack = grader.grade("pack_positions", my_pack)

# %% [markdown]
# SegNet-Basic pools 64 feature maps four times. Instead of positions, the decoder could get the maps before or after
# each pool (float32), or flat indices in int64, as in PyTorch:

# %%
size = (360, 480)
print("megabytes:       map before   map after   int64 indices   two bits")
for number in range(1, 5):
    (h, w), before = ops.max_pool2d_output_size(size), 64 * size[0] * size[1] * 4
    windows, size = 64 * h * w, (h, w)
    one = [f"{count / 1e6:.2f}" for count in (before, 4 * windows, 8 * windows)]
    print(f"pool {number} to {h:3}x{w:3} {one[0]:>10} {one[1]:>11} {one[2]:>15} {windows / 4e6:10.3f}")
second = np.zeros((1, 180, 240, 64), np.float32)
packed = my_pack(my_max_pool2d(second)[1])
print(f"\npool 2, measured: map before {second.nbytes:,} bytes, my packed positions {packed.nbytes:,}")

# %% [markdown]
# Section 3.1 of the paper gives 11 MB and 0.17 MB: the row of pool 2.
#
# ## Ties and NaN
#
# As in the authors' code, the first of several equal numbers wins. Dashed pixels equal the maximum but come later:

# %%
x_ties = np.array([[0.0, 0, 3, 3], [0, 0, 1, 3], [2, 5, 0, 0], [5, 5, 0, 4]])
figures.show_pool_arrows(x_ties, decoder_map=[[10, 20], [30, 40]])

# %% [markdown]
# Ties are common, because many numbers are 0 after a ReLU:

# %%
model, scene = ts.load_bundled("toy"), ToyScenes(1, seed=7)[0]
activations = scene.image[None].astype(np.float32)
for name, layer in model.layers.items():
    if isinstance(layer, layers.MaxPool2d):
        (largest, _), _ = ops.max_pool2d_forward(activations)
        print(f"{name}: {np.mean(largest == 0):.0%} of the windows contain only zeros; their position is 0")
    activations = layer.forward(activations)

# %% [markdown]
# A NaN, the sign of a failed computation, must not disappear. So the first NaN counts as the maximum:

# %%
(out, indices), _ = ops.max_pool2d_forward(np.array([[1.0, np.nan], [np.nan, 7.0]])[None, :, :, None])
print("out", out.item(), "  position", ops.unpack_indices(indices, 1).item())
assert np.isnan(out.item())
assert ops.unpack_indices(indices, 1).item() == 1

# %% [markdown]
# ## Odd sizes
#
# In SegNet-Basic, pooling turns 360 rows into 180, 90 and 45. Predict: how many rows does a pool that covers every row
# make of 45?

# %%
prediction = ...  # a number
grader.predict("rows_after_pooling_45", prediction)

# %%
x_odd = np.array([[1, 6, 2, 0, 3], [5, 3, 1, 4, 2], [0, 2, 7, 8, 1]])
for rows in (44, 45, 46, 47):
    print(rows, "rows ->", ops.max_pool2d_output_size((rows, 60))[0])
figures.show_pool_arrows(x_odd)

# %% [markdown]
# The last window extends beyond the picture and is *clipped*. 45 and 46 rows both become 23, so unpooling needs the
# size of the pool's input, `output_size`.
#
# Flat indices need the size as well. The next cell pools a cross in a picture 17 pixels wide, and restores it with flat
# indices that count 17, then $2w = 18$ pixels per row. Predict: what becomes of the cross's vertical line with 18? (a)
# It is lost. (b) It slants. (c) It is one pixel too far to the right.

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("cross_with_18_per_row", prediction)

# %%
x_cross = np.zeros((1, 21, 17, 1))
x_cross[0, :, 8] = x_cross[0, 10] = 1
(largest, indices), _ = ops.max_pool2d_forward(x_cross)
put_back = []
for pixels_per_row in (17, 18):
    flat = ops.flat_plane_indices(indices, 1, (21, pixels_per_row)).ravel()
    plane = np.zeros(21 * 17)
    np.maximum.at(plane, flat % plane.size, largest.ravel())
    put_back.append(plane.reshape(21, 17))
titles = ["x", "17 pixels per row", "18 pixels per row"]
figures.show_feature_maps(np.stack([x_cross[0, ..., 0], *put_back], -1), titles)

# %% [markdown]
# With 18, row $r$ is $r$ pixels too far to the right.
#
# ### Exercise 3: unpooling
#
# Write `my_max_unpool2d(z, position, output_size)`.
#
# * `z`, `position` (N, h, w, C): the numbers to put back, and where. `output_size` is the pair (H, W), which may be
#   odd.
# * Return `out` (N, H, W, C).
#
# `np.indices(z.shape)` returns four arrays: the n, row, column and c of each element.


# %%
def my_max_unpool2d(z, position, output_size):
    ### BEGIN SOLUTION
    out = np.zeros((len(z), *output_size, z.shape[3]))
    n, row, column, c = np.indices(z.shape)
    out[n, 2 * row + position // 2, 2 * column + position % 2, c] = z
    return out
    ### END SOLUTION


# %%
my_max_unpool2d = grader.grade("max_unpool2d_forward", my_max_unpool2d)

# %% [markdown]
# Choose odd sizes, and make a tie. Before you unpool in a fixed corner, predict which numbers stay where they were.
# Below, observe what three pools leave of an outline with indices and without.

# %%
fragments.show("pooling")

# %% [markdown]
# ## Backward of pooling
#
# Let $J$ be the loss. The pixel $(2u + i, 2v + j)$ affects it only through $\text{out}[u, v]$:
#
# $$\text{dx}[2u+i, 2v+j] = \text{dout}[u, v] \cdot
# \frac{\partial\, \text{out}[u, v]}{\partial\, \text{x}[2u+i, 2v+j]}$$
#
# The slope is 1 if this pixel is the maximum, and otherwise 0:
#
# $$\text{dx}[2u+i, 2v+j] = \begin{cases} \text{dout}[u, v] & \text{if } p[u, v] = 2i + j \\ 0 & \text{else}
# \end{cases}$$
#
# This is the formula of unpooling: **the backward of pooling is unpooling**, applied to `dout`. At a tie there is no
# derivative; the first maximum gets the gradient, because forward chose it.

# %%
(_, indices), cache = ops.max_pool2d_forward(x_small[None, :, :, None])
dout = np.array([[0.5, -1], [2, 3]])[None, :, :, None]
dx = ops.max_pool2d_backward(dout, cache)
assert np.array_equal(dx, my_max_unpool2d(dout, position, (4, 4)))
figures.show_arrays([("x", x_small), ("dout", dout[0, :, :, 0]), ("dx", dx[0, :, :, 0])])

# %% [markdown]
# **Windows that overlap.** With windows of 3x3 and stride 2, one pixel can be the maximum of several windows. Its `dx`
# is then the **sum** of `dout` over these windows.
#
# ### Exercise 4: the backward of pooling
#
# Write `my_max_pool2d_backward(dout, x, size)` for windows of size x size with **stride 2**: window (u, v) begins at
# pixel (2u, 2v). At a tie, the first maximum gets the whole gradient.
#
# * `x` (N, H, W, C), where no window is clipped; `dout` (N, h, w, C); `size` is 2 or 3.
# * Return `dx` (N, H, W, C).
#
# Loop over `np.ndindex(dout.shape)`. `np.unravel_index(k, (size, size))` returns the row and column of position k.


# %%
def my_max_pool2d_backward(dout, x, size):
    ### BEGIN SOLUTION
    dx = np.zeros(x.shape)
    for n, u, v, c in np.ndindex(dout.shape):
        top, left = 2 * u, 2 * v
        window = x[n, top : top + size, left : left + size, c]
        i, j = np.unravel_index(window.argmax(), (size, size))
        dx[n, top + i, left + j, c] += dout[n, u, v, c]
    return dx
    ### END SOLUTION


# %%
my_max_pool2d_backward = grader.grade("max_pool2d_backward", my_max_pool2d_backward)

# %% [markdown]
# Check your pooling and its backward:

# %%
rng = np.random.default_rng(0)


def my_pool_layer(x):
    return my_max_pool2d(x)[0], x


ts.gradcheck.check(my_pool_layer, lambda dout, x: my_max_pool2d_backward(dout, x, 2), rng.permuted(
    np.arange(96.0)).reshape(2, 4, 6, 2), title="my pooling")  # fmt: skip

# %% [markdown]
# ## Backward of unpooling
#
# Forward wrote $z[u, v]$ to one pixel and zeros to the other three, which pass no gradient on:
#
# $$\text{dz}[u, v] = \text{dout}[2u + i,\ 2v + j] \quad\text{with } 2i + j = p[u, v]$$
#
# | | forward | backward |
# |---|---|---|
# | pool | reads at the maxima | writes to the maxima, zeros elsewhere |
# | unpool | writes to the positions, zeros elsewhere | reads at the positions |
#
# Let the 16 pixels of `x_small` be a vector. With fixed positions, pooling is a matrix $P$ with a single 1 per row, at
# the maximum:

# %%
u, v = np.indices((2, 2))
p = position[0, :, :, 0]
flat = 4 * (2 * u + p // 2) + 2 * v + p % 2
P = np.eye(16)[flat.ravel()]
figures.show_array(P, "P: one row per window, one column per pixel", indices=True)

# %% [markdown]
# Pooling is $\text{out} = P\,\text{x}$, and its backward is $P^T\,\text{dout}$. Unpooling is $P^T z$, and its backward
# is $P\,\text{dout}$. The derivative may treat $P$ as a constant: if no window has a tie, a small enough change in `x`
# leaves every maximum where it is.
#
# ### Exercise 5: the backward of unpooling
#
# Write `my_max_unpool2d_backward(dout, position)`.
#
# * `dout` (N, H, W, C), where H and W may be odd; `position` (N, h, w, C), 0..3.
# * Return `dz` (N, h, w, C).


# %%
def my_max_unpool2d_backward(dout, position):
    ### BEGIN SOLUTION
    n, row, column, c = np.indices(position.shape)
    return dout[n, 2 * row + position // 2, 2 * column + position % 2, c]
    ### END SOLUTION


# %%
my_max_unpool2d_backward = grader.grade("max_unpool2d_backward", my_max_unpool2d_backward)

# %%
a, b = rng.standard_normal((1, 4, 4, 1)), rng.standard_normal((1, 2, 2, 1))
written, read = my_max_unpool2d(b, position, (4, 4)), my_max_unpool2d_backward(a, position)
assert np.array_equal(P @ x_small.ravel(), [6, 4, 9, 8])  # pooling
assert np.array_equal(P.T @ dout.ravel(), dx.ravel())  # its backward
assert np.array_equal(P.T @ b.ravel(), written.ravel())  # unpooling
assert np.array_equal(P @ a.ravel(), read.ravel())  # its backward
print("<P a, b>  ", (read * b).sum())
print("<a, P^T b>", (a * written).sum())

# %% [markdown]
# The two equal numbers confirm the adjoint identity of lesson 02. Moreover, $P P^T$ is the identity: writing and then
# reading at the same positions loses nothing. Now unpool 1, -2, 3, -4, and *max-pool* the result. Predict: how many of
# the four numbers come back?

# %%
prediction = ...  # a number from 0 to 4
grader.predict("unpool_then_pool", prediction)

# %%
assert np.array_equal(P @ P.T, np.eye(4))
for values in ([[1.0, 2], [3, 4]], [[1.0, -2], [3, -4]]):
    values = np.array(values)[None, :, :, None]
    again, _ = my_max_pool2d(my_max_unpool2d(values, position, (4, 4)))
    print(values.ravel(), "-> unpool -> pool ->", again.ravel())

# %% [markdown]
# ## Checking both ops, and what breaks them
#
# Run the gradient check on both ops, and then on four planted bugs:

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
# The check cannot detect the fourth bug, because its cases avoid ties: a kink has no derivative to compare with.
# `compare_op` includes ties.
#
# ## What other upsampling methods lose: an edge
#
# *Nearest* upsampling repeats every pixel. *Bilinear* upsampling interpolates between pixels. Neither uses positions.
# Compare them with unpooling on a line one pixel wide that is pooled and upsampled several times:


# %%
def ways_back(picture, depth):
    """Pool `depth` times, then upsample `depth` times; return the restored maps (1, H, W, 1) by name."""
    maps, kept = [picture[None, :, :, None]], []
    for _ in range(depth):
        small, position = my_max_pool2d(maps[-1])
        maps, kept = [*maps, small], [*kept, position]
    ways = dict.fromkeys(("indices", "nearest", "bilinear"), maps[-1])
    for level in reversed(range(depth)):
        size = maps[level].shape[1:3]
        ways["indices"] = my_max_unpool2d(ways["indices"], kept[level], size)
        ways["nearest"] = ops.upsample_nearest2d_forward(ways["nearest"], output_size=size)[0]
        ways["bilinear"] = ops.upsample_bilinear2d_forward(ways["bilinear"], output_size=size)[0]
    return ways


# %%
row, column = np.indices((24, 24))
line = (np.abs(column - 5 - 0.6 * row) < 0.5).astype(float)
back = ways_back(line, depth=2)
panels = [line] + [way[0, ..., 0] / way.max() for way in back.values()]
figures.show_feature_maps(np.stack(panels, -1), ["line", *back], columns=4)

# %% [markdown]
# Call a pixel lit if its value exceeds half of the largest value in its panel. *Precision* is the share of lit pixels
# that lie on the line. *Recall* is the share of the line's pixels that are lit. F1 is twice their product divided by
# their sum.

# %%
print("depth  method       precision  recall    F1")
for depth in (1, 2, 3):
    for name, way in ways_back(line, depth).items():
        lit = way[0, ..., 0] > way.max() / 2
        precision, recall = line[lit].mean(), lit[line > 0].mean()
        assert name != "indices" or precision == 1, "indices restore every pixel at its place"
        f1 = 2 * precision * recall / (precision + recall)
        print(f"{depth:5}  {name:12} {precision:9.2f} {recall:7.2f} {f1:5.2f}")

# %% [markdown]
# With indices, precision is 1 at any depth, but recall is lower: unpooling gives sparse maps, which the decoder's
# convolutions make dense.
#
# ## What other upsampling methods lose: a network
#
# These networks differ only in the upsampling: unpooling, nearest, or a transposed convolution (lesson 02).


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
# mIoU (lesson 00) measures how well areas agree. Boundary F1, **BF** (section 3.3 of the paper), is the F1 from above
# for the outlines of each class in prediction and labels, averaged over the classes. Two outline pixels match if their
# distance is at most 0.75 % of the picture's diagonal, here less than one pixel. For a square that is predicted too far
# to the right:

# %%
square = np.zeros((48, 64), int)
square[12:36, 20:44] = 1
for pixels in (0, 1, 2):
    moved = np.roll(square, pixels, axis=1)
    overlap = np.mean([((square == k) & (moved == k)).sum() / ((square == k) | (moved == k)).sum() for k in (0, 1)])
    print(f"moved by {pixels}: mIoU {overlap:.2f}, BF {ts.metrics.boundary_f1(square, moved, 2):.2f}")

# %% [markdown]
# The task is to find the road in synthetic street scenes. The training takes about half a minute.

# %% tags=["parameters"] fast="EPOCHS, SEEDS, PICTURES = 1, (0, 1), 16"
EPOCHS, SEEDS, PICTURES = 8, (0, 1, 2), 96

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
# When this lesson was written, BF was higher with indices for each seed, but the difference in mIoU changed its sign.
# Three seeds of such short training are weak evidence; lesson 11 repeats the comparison.

# %% [markdown]
# ## The fast version
#
# numba compiles the library's second version of pooling to machine code:

# %%
big = rng.standard_normal((2, 96, 128, 16)).astype(np.float32)
versions = {"mine": my_max_pool2d, "NumPy": pool.max_pool2d_forward_numpy}
if ts.runtime.HAS_NUMBA:
    versions["numba"] = pool.max_pool2d_forward_numba
else:
    print("numba is not installed, so its version is missing here.")
for name, version in versions.items():
    version(big)  # the first call compiles
    begin = time.perf_counter()
    version(big)
    print(f"{name:6} {1000 * (time.perf_counter() - begin):6.2f} ms")

# %% [markdown]
# ### Challenge: faster pooling in NumPy
#
# Write `my_fast_pool(x)`, which returns the same two results as `my_max_pool2d` in half of the time or less. Use NumPy
# only. Hint: the maximum of four numbers takes three comparisons; which of them tell you the position?


# %%
def my_fast_pool(x):
    ### BEGIN SOLUTION
    a, b, c, d = (x[:, i::2, j::2] for i, j in np.ndindex(2, 2))
    upper, lower = np.maximum(a, b), np.maximum(c, d)
    below = lower > upper
    position = np.where(below, d > c, b > a) + 2 * below.astype(np.uint8)
    return np.maximum(upper, lower), position
    ### END SOLUTION


# %%
my_fast_pool = grader.grade("fast_pool", my_fast_pool)

# %% [markdown]
# ## What to remember
#
# * Max-pooling keeps each window's maximum and its position. Unpooling puts a number at that position and zeros around
#   it.
# * A position in a 2x2 window takes two bits, 1/16 of a number in float32.
# * Among equal numbers the first wins. The first NaN wins over every number.
# * 45 and 46 rows both become 23, so unpooling needs the original size.
# * The backward of pooling is unpooling, and the backward of unpooling reads at the positions. Where windows overlap,
#   gradients add up.

# %% [markdown]
# ## Read next
#
# * M. Zeiler and R. Fergus (2014), *Visualizing and Understanding Convolutional Networks*: they unpooled with positions
#   before SegNet, in order to see what a network has learned.
# * H. Noh, S. Hong and B. Han (2015), *Learning Deconvolution Network for Semantic Segmentation*: another network that
#   unpools with positions.
# * A. Odena, V. Dumoulin and C. Olah (2016), *Deconvolution and Checkerboard Artifacts* (Distill): what transposed
#   convolutions do wrong, and why.
