# %% [markdown]
# # 01 Convolution forward
#
# **The question.** What exactly does a convolution compute, and how does a definition with seven nested loops become
# nine matrix products?
#
# **At the end** you can compute any output of a convolution by hand and predict the output size for any kernel, stride
# and padding. You can program a convolution in two ways, and you can say how much of the picture affects a number deep
# in a network.
#
# **Prerequisites:** lesson 00 and matrix products.
#
# SegNet uses convolutions in every stage of its encoder and decoder (Badrinarayanan et al. 2017, section 3).
# Convolutions contain nearly all of its parameters and account for nearly all of its computation; lesson 07 counts
# both.

# %%
import numpy as np

import tinysegnet as ts
from tinysegnet import ops
from tinysegnet.ops.engine import cost_model, direct
from tinysegnet_lessons import figures, grader
from tinysegnet_lessons.bugs import bugs, compare_op

# %% [markdown]
# ## One number of the output
#
# Take a picture `x` of 4x4 pixels with one number each, and a *kernel* `weight` of 3x3 numbers. Place the kernel on the
# picture, multiply each kernel number by the pixel under it, and sum the products. The sum is one number of the output.

# %% tags=["map"]
x_small = np.array([[1, 2, 0, 1], [0, 1, 3, 1], [2, 0, 1, 0], [1, 1, 0, 2]])
w_small = np.array([[1, 0, -1], [2, 0, -2], [1, 0, -1]])
figures.show_kernel(x_small, w_small, at=(0, 0), padding="valid")

# %% [markdown]
# The frame shows where the kernel lies. Of the nine products, some are zero; the others sum to -4. Positive numbers are
# orange, and negative numbers are blue.
#
# For the next output, the kernel moves one pixel to the right. At the end of a row, it moves one pixel down and starts
# again at the left.

# %%
figures.show_kernel_sliding(x_small, w_small, padding="valid")

# %% [markdown]
# A kernel of 3 rows fits into 4 rows at two positions, so the output is 2x2. This kernel compares the pixels on its
# left with those on its right: its output is large where brightness changes from column to column.
#
# ## The formula
#
# Real pictures have several numbers per pixel, the *channels*, and a layer has several kernels, each of which produces
# one output channel. The formula uses three arrays:
#
# * `x` (N, H, W, C): N pictures of H x W pixels with C channels.
# * `weight` (K, K, C, F): F kernels of K x K pixels with C channels.
# * `bias` (F,): one number per kernel.

# %% [markdown]
# The output `out` has the shape (N, H', W', F):
#
# $$\text{out}[n, u, v, f] = \text{bias}[f] + \sum_{i=0}^{K-1} \sum_{j=0}^{K-1} \sum_{c=0}^{C-1}
# \text{x}[n,\ u + i,\ v + j,\ c]\ \text{weight}[i, j, c, f]$$
#
# Four indices identify an output: picture $n$, row $u$, column $v$ and kernel $f$. The sum runs over three more: the
# kernel's row $i$ and column $j$, and the channel $c$. Each of the seven indices becomes a loop. The kernel does not
# slide over the channels; each output depends on all of them.
#
# In mathematics, a convolution rotates the kernel by 180 degrees first, and the sum above is called a
# cross-correlation. Deep-learning libraries do not rotate the kernel but still call the operation a convolution. The
# difference does not matter, because the kernel is learned: training finds the rotated kernel instead.

# %% [markdown]
# How much computation is this? The innermost line runs $N H' W' F \cdot K K C$ times, with one multiplication and one
# addition each time. SegNet-Basic, the paper's small network, has 7x7 kernels and 64 channels. Its last 7x7 convolution
# works at the full size of 360x480 pixels:

# %%
basic = dict(ts.build("basic").named_parameters())
kernels = sum(p.size for p in basic.values() if p.ndim == 4)
print(f"{kernels:,} of its {sum(p.size for p in basic.values()):,} parameters are kernel weights")
multiply_adds = 360 * 480 * 64 * 7 * 7 * 64
print(f"{multiply_adds / 1e9:.1f} billion multiply-adds for one picture, in one layer")

# %% [markdown]
# ### Exercise 1: seven loops
#
# Write `my_conv2d_loops(x, weight, bias)` with seven loops, without padding.
#
# * `x` (N, H, W, C), `weight` (K, K, C, F), `bias` (F,): float64.
# * Returns `out` (N, H - K + 1, W - K + 1, F).
#
# Create the output array first. `np.ndindex(out.shape)` runs through all four indices of the output, so it replaces
# four loops.


# %%
def my_conv2d_loops(x, weight, bias):
    N, H, W, C = x.shape
    K, _, _, F = weight.shape
    ### BEGIN SOLUTION
    out = np.zeros((N, H - K + 1, W - K + 1, F))
    for n, u, v, f in np.ndindex(out.shape):
        out[n, u, v, f] = bias[f]
        for i, j, c in np.ndindex(K, K, C):
            out[n, u, v, f] += x[n, u + i, v + j, c] * weight[i, j, c, f]
    return out
    ### END SOLUTION


# %%
my_conv2d_loops = grader.grade("conv2d_seven_loops", my_conv2d_loops)

# %% [markdown]
# ## Padding: what happens at the border
#
# Without padding, the output has $K - 1$ fewer rows and columns than the input, and pixels at the border count less: a
# corner pixel lies under a 3x3 kernel once, but a pixel far from the border lies under it nine times. SegNet must
# assign a class to every pixel, so its convolutions first put zeros around the picture. This is called *same* padding,
# because the output has the same size as the input.

# %%
figures.show_kernel(x_small, w_small, at=(0, 0))

# %% [markdown]
# The small zeros are the padding. The output is now 4x4. Its border depends on zeros that are not part of the picture,
# so the border is less reliable than the middle.
#
# ## The size of the output
#
# Besides the kernel size, two numbers determine the size of the output. The *stride* $s$ is the kernel's step: with
# $s = 2$ the kernel stops at every second position, both in rows and in columns. The padding $P$ is the number of rows
# of zeros added above the picture; the same number is added below it.
#
# At how many positions does the kernel stop?
#
# 1. The padded picture has $H + 2P$ rows, and the kernel covers $K$ of them.
# 2. So the kernel's top row can lie at rows $0, 1, \dots, H + 2P - K$.
# 3. With stride $s$ the kernel stops at rows $0, s, 2s, \dots$, up to at most $H + 2P - K$.
# 4. The number of positions is one larger than the number of steps, $\lfloor (H + 2P - K) / s \rfloor$:

# %% [markdown]
# $$H' = \left\lfloor \frac{H + 2P - K}{s} \right\rfloor + 1$$
#
# For stride 1, $H' = H$ requires $2P = K - 1$ rows of zeros in total, so $P = (K - 1) / 2$. If $K$ is even, this is not
# a whole number, and one side gets one row more than the other. This library adds that row at the end, as TensorFlow
# and Keras do.

# %%
figures.show_source(ops.windows.same_padding)

# %%
for K in (1, 2, 3, 4, 7):
    before, after = ops.windows.same_padding(8, K, 1)
    size = (8 + before + after - K) // 1 + 1
    print(f"K = {K}: {before} before, {after} after, 8 rows -> {size}")
    assert size == 8

# %% [markdown]
# ### Odd sizes
#
# With stride 2, "same" means $H' = \lceil H / 2 \rceil$. The size is rounded up so that the last row is not lost. The
# paper trains on pictures of 360x480 pixels (section 3.2). Halving this size four times gives:

# %%
rows, columns = 360, 480
for _ in range(4):
    smaller = ops.conv2d_output_size((rows, columns), (3, 3), stride=2)
    print(f"{rows:3} x {columns:3}  ->  {smaller[0]:3} x {smaller[1]:3}")
    rows, columns = smaller

# %% [markdown]
# 45 rows become 23. In a decoder, doubling 23 rows gives 46, one row too many. If you ignore this, the predicted label
# map is one row taller than its picture, or shifted by one row. SegNet halves its feature maps by pooling, which rounds
# in the same way (lesson 05).
#
# ### Exercise 2: the size of the output
#
# Write `my_output_size(H, K, stride, padding)`, which returns the number of rows of the output, an integer. `padding`
# is $P$, the number of rows of zeros added above the picture; the same number is added below it.


# %%
def my_output_size(H, K, stride, padding):
    ### BEGIN SOLUTION
    return (H + 2 * padding - K) // stride + 1
    ### END SOLUTION


# %%
my_output_size = grader.grade("output_size", my_output_size)

# %% [markdown]
# ## From seven loops to K x K matrix products
#
# Seven loops in Python are slow, as the end of this lesson shows. The same sum in a different order is faster.
#
# **Step 1.** Call the padded picture $\tilde x$. A finite sum may be taken in any order, so move the sums over the
# kernel's positions $i, j$, its *taps*, to the outside:
#
# $$\text{out}[n, u, v, f] = \text{bias}[f] + \sum_{i, j} \Big( \sum_{c}
# \tilde x[n, u + i, v + j, c]\ \text{weight}[i, j, c, f] \Big)$$

# %% [markdown]
# **Step 2.** In the sum in brackets, the tap $(i, j)$ is fixed. The pixel $\tilde x[n, u+i, v+j]$ is a vector of $C$
# numbers and $\text{weight}[i, j]$ is a $C \times F$ matrix. The sum is entry $f$ of the product of this vector and
# this matrix.
#
# **Step 3.** Do this for all pixels at once. For tap $(i, j)$, the required pixels are the padded picture, shifted by
# $i$ rows and $j$ columns. Let $X_{ij}$ be this part of $\tilde x$, with shape (N, H', W', C):
#
# $$X_{ij} = \tilde x[\,:,\ i : i + H',\ j : j + W',\ :\,]$$
#
# **Step 4.** Then the convolution is a sum of $K \cdot K$ matrix products over the last axis:
#
# $$\text{out} = \text{bias} + \sum_{i, j} X_{ij} \; \text{weight}[i, j]$$

# %% [markdown]
# On the 4x4 picture with one channel, each of these matrices is a single number. The kernel's middle row is (2, 0, -2).
# The next figure shows the three taps of this row:

# %%
taps = [(1, 0), (1, 1), (1, 2)]
boxes = {f"x, tap {i, j}": np.s_[i : i + 2, j : j + 2] for i, j in taps}
figures.show_arrays([(name, x_small) for name in boxes], highlight=boxes)

# %% [markdown]
# The frame marks $X_{ij}$, which contains the input pixel under this tap for every output pixel. The frame moves with
# the tap and has the size of the output. Multiply each framed part by the kernel's number at this tap, and sum over all
# nine taps:

# %%
total = np.zeros((2, 2), int)
for i, j in np.ndindex(3, 3):
    total += x_small[i : i + 2, j : j + 2] * w_small[i, j]
left, middle, right = (x_small[box] * w_small[tap] for tap, box in zip(taps, boxes.values(), strict=True))
terms = ("2 * tap (1, 0)", left), "+", ("0 * tap (1, 1)", middle), "+", ("-2 * tap (1, 2)", right)
figures.show_arrays([*terms, "+", ("the other six", total - left - middle - right), "=", ("out", total)])

# %% [markdown]
# The array on the right is the 2x2 output from the beginning: -4, 1, 0, -1. The fourth array is the sum over the six
# taps of the kernel's upper and lower rows.
#
# This is the library's definition of a convolution. `shifted` is $X_{ij}$.

# %%
figures.show_source(ops.conv.conv2d_forward_numpy)

# %%
figures.show_source(ops.windows.shifted)

# %% [markdown]
# The loop runs `K * K` times, whatever the size of the picture. Each iteration multiplies an (N, H', W', C) array by a
# (C, F) matrix. NumPy leaves this product to a library that is optimised for the processor.
#
# Many libraries first copy all windows into one large matrix, which is K x K times as large as the picture. This method
# is called *im2col*. This library copies nothing: `shifted` returns a view, which accesses the same memory with a
# different shape.

# %%
rng = np.random.default_rng(0)
x, weight = rng.standard_normal((2, 5, 7, 3)), rng.standard_normal((3, 3, 3, 4))
bias = rng.standard_normal(4)
x_padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
view = ops.windows.shifted(x_padded, 1, 2, (2, 5, 7, 4), (1, 1))
print("a view of the padded picture:", np.shares_memory(view, x_padded), "of shape", view.shape)

# %% [markdown]
# ### Exercise 3: shifted products
#
# Write `my_conv2d_shifted(x, weight, bias)` with "same" padding, stride 1 and one matrix product per tap.
#
# * `x` (N, H, W, C), `weight` (K, K, C, F) with K odd, `bias` (F,): float64.
# * Returns `out` (N, H, W, F).
#
# `np.pad` puts zeros around an array; `a @ b` multiplies the last axis of `a` by the matrix `b`.


# %%
def my_conv2d_shifted(x, weight, bias):
    N, H, W, _ = x.shape
    K, _, _, F = weight.shape
    ### BEGIN SOLUTION
    p = K // 2
    x_padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    out = np.zeros((N, H, W, F)) + bias
    for i, j in np.ndindex(K, K):
        out += x_padded[:, i : i + H, j : j + W] @ weight[i, j]
    return out
    ### END SOLUTION


# %%
my_conv2d_shifted = grader.grade("conv2d_shifted_products", my_conv2d_shifted)

# %% [markdown]
# ## Two properties
#
# **Linear.** Without a bias, the convolution of $a x_1 + b x_2$ is $a$ times the convolution of $x_1$ plus $b$ times
# the convolution of $x_2$. This follows from the formula, in which every term has exactly one factor from `x`. Lesson
# 02 uses this property: the backward pass is the transposed linear map.
#
# **Equivariant to shifts.** If the picture moves by one pixel, the output moves by one pixel. One kernel works
# everywhere: it detects a car on the left as well as on the right.

# %%
out, _ = ops.conv2d_forward(x, weight)
other = rng.standard_normal(x.shape)
mixed, _ = ops.conv2d_forward(2 * x - 3 * other, weight)
print("linear:", np.abs(mixed - (2 * out - 3 * ops.conv2d_forward(other, weight)[0])).max())
moved, _ = ops.conv2d_forward(np.roll(x, 1, axis=2), weight)
print("shifted, middle:", np.abs(moved[:, :, 2:-1] - out[:, :, 1:-2]).max())
print("shifted, border:", np.abs(moved[:, :, 0] - out[:, :, -1]).max())

# %% [markdown]
# The first two differences are 0 up to rounding. The third difference is not 0, because at the border the kernel also
# sees padding, which does not move with the picture.
#
# ## Is it right?
#
# Training also needs a layer's gradients: how much the loss changes when a number of `x`, `weight` or `bias` changes
# slightly. The layer's *backward* computes them (lesson 02). `check_op` changes every number slightly, in many small
# cases, and compares the effect with the result of backward (lesson 03). Here is its report on the convolution:

# %%
ts.gradcheck.check_op("conv2d")

# %% [markdown]
# The check passes for odd and even kernels, for several strides, and for a picture of a single pixel.
#
# ## What breaks it
#
# A gradient check has a blind spot. Here is a planted bug: forward rotates the kernel by 180 degrees, and backward is
# the correct derivative of that wrong forward.

# %%
bug = bugs["kernel_flipped_in_both"]
print(bug.sentence)
print("gradient check passes:", ts.gradcheck.check_op("conv2d", pair=bug.pair).ok)
print("largest difference from the right op:", compare_op("conv2d", *bug.pair))

# %% [markdown]
# The check passes because it compares a backward only with its own forward, not with the formula. A comparison with
# another implementation reveals the bug, and so does a test whose result you can check by eye. Let the picture be a
# single 1 surrounded by zeros, an *impulse*:

# %%
impulse, kernel = np.zeros((1, 5, 5, 1)), np.arange(1.0, 10).reshape(3, 3, 1, 1)
impulse[0, 2, 2, 0] = 1
right, _ = ops.conv2d_forward(impulse, kernel)
wrong, _ = bug.forward(impulse, kernel)
figures.show_arrays([("kernel", kernel[..., 0, 0]), ("right", right[0, ..., 0]), ("planted bug", wrong[0, ..., 0])])

# %% [markdown]
# The right output shows the *rotated* kernel, because the outputs above the impulse see it through the kernel's lower
# row. With the bug, the kernel appears unrotated, which looks plausible but is wrong.
#
# A test with a symmetric kernel, such as a blur, gives the same result with and without the bug:

# %%
blur = np.outer([1, 2, 1], [1, 2, 1]).reshape(3, 3, 1, 1) / 16
same = np.array_equal(ops.conv2d_forward(x[..., :1], blur)[0], bug.forward(x[..., :1], blur)[0])
print("a blur gives the same result with and without the bug:", same)
assert same
assert not np.array_equal(right, wrong)

# %% [markdown]
# ## What kernels find
#
# Now apply a trained network to a street scene. Its first layer has 32 kernels of 3x3 pixels. The figure shows twelve
# of the 32 output channels.

# %%
model = ts.load_bundled("toy")
image = ts.data.open_dataset("toy", "val")[4].image
street = model.layers["input"].forward(image[None].astype(np.float32))
params = model.layers["encoder1.conv1"].params
maps, _ = ops.conv2d_forward(street, params["weight"], params.get("bias"))
print("kernels", params["weight"].shape, "- output", maps.shape)
figures.show_feature_maps(maps[0], most=12, columns=4)

# %% [markdown]
# Nobody designed these kernels; they are a result of training. Several respond to outlines, some to vertical ones and
# some to horizontal ones. Others respond to a colour across whole surfaces. Orange is positive, and blue is negative.
#
# ## How far does a number see?
#
# An output of a 3x3 convolution depends on 3x3 pixels. If a second 3x3 convolution follows, its output depends on 3x3
# outputs of the first and therefore on 5x5 pixels. The square of pixels on which a number depends is its *receptive
# field*. A network must see more than 3x3 pixels to distinguish a car from a house.

# %% [markdown]
# Let $r$ be the size of the receptive field, and $d$ the distance in input pixels between two neighbouring numbers of a
# layer. At the input, $r = 1$ and $d = 1$. For a layer with kernel size $K$ and stride $s$:
#
# 1. Each output depends on $K$ neighbouring numbers of the layer before it. The first and the last of them are
#    $(K - 1)\, d$ input pixels apart.
# 2. Each of these numbers depends on $r$ pixels, so the output depends on $r + (K - 1)\, d$ pixels.
# 3. Neighbouring outputs are $s$ positions apart, so $d$ becomes $s\, d$.
#
# $$r \leftarrow r + (K - 1)\, d, \qquad d \leftarrow s\, d$$
#
# Padding does not affect the receptive field. A 2x2 pooling counts as a kernel of size 2 with stride 2.

# %% [markdown]
# ### Exercise 4: the receptive field
#
# Write `my_receptive_field(kernels, strides)`.
#
# * `kernels`, `strides`: tuples of integers of equal length, from the first layer to the last.
# * Returns the size of the receptive field of one number after the last layer, an integer.


# %%
def my_receptive_field(kernels, strides):
    ### BEGIN SOLUTION
    size, distance = 1, 1
    for K, s in zip(kernels, strides, strict=True):
        size += (K - 1) * distance
        distance *= s
    return size
    ### END SOLUTION


# %%
my_receptive_field = grader.grade("receptive_field", my_receptive_field)

# %% [markdown]
# The encoder of SegNet-Basic repeats a 7x7 convolution and a 2x2 pooling four times. The paper gives 106x106 pixels as
# the receptive field after the last pooling (section 3.1). The next cell applies the rule layer by layer:

# %%
r, d = 1, 1
for K, s in [(7, 1), (2, 2)] * 4:
    r, d = r + (K - 1) * d, s * d
    print(f"{K}x{K}, stride {s}:  r = {r:3}   d = {d:2}")
assert r == 106
print("four 7x7 convolutions without pools:", 1 + 4 * (7 - 1), "pixels")

# %% [markdown]
# The pooling layers contribute most of this growth: after each of them, a kernel covers twice as many input rows and
# columns. The four convolutions alone would have a receptive field of 25 pixels.
#
# The network of these lessons has 3x3 kernels. The figure shows the receptive field of one number after its fourth
# pooling:

# %%
figures.show_receptive_field(image, model, "encoder4.pool", (3, 4))

# %% [markdown]
# The left panel marks the 46x46 pixels on which the number can depend. The right panel shows how much each of them
# matters, measured by the gradient of the number with respect to every pixel. The pixels in the middle matter most:
# many paths lead from there to the number, but only one path starts in a corner.
#
# ## The fast version
#
# The fast version computes the same sums in code compiled by numba. In a row of the picture, the K pixels under one
# kernel row lie side by side in memory, as K * C consecutive numbers. So the K taps of a kernel row need only one
# product, and a convolution needs K products instead of K x K. Each row of the picture is one task, and the processor's
# cores share the tasks.

# %%
figures.show_source(direct._convolve_rows)

# %% [markdown]
# `multiply` computes the product in the processor's registers; lesson 13 explains it. For some shapes another method is
# faster, so the library chooses the method according to the shape. The result must always agree with the definition:

# %%
x32 = rng.standard_normal((1, 90, 120, 64)).astype(np.float32)
w32 = (rng.standard_normal((3, 3, 64, 64)) / 24).astype(np.float32)
slow, _ = ops.conv.conv2d_forward_numpy(x32, w32)
quick, _ = ops.conv2d_forward(x32, w32)
print("products in each sum:", w32[..., 0].size)
print("method for this shape:", cost_model.choose_convolution(w32.shape, (1, 1), slow.shape))
print("largest number", np.abs(slow).max(), "- largest difference", np.abs(slow - quick).max())
assert np.allclose(slow, quick, atol=1e-4)

# %% [markdown]
# The difference is rounding error: float32 has about seven digits, and each method adds the 576 products in a different
# order.
#
# How long do the three versions take? Seven loops would take too long here, so only 20,000 runs of their innermost line
# are timed, and the time is scaled up to the full number of multiply-adds.

# %%
from time import perf_counter


def shortest_seconds(function, *arrays, repeats=20):
    times = []
    for _ in range(repeats):
        began = perf_counter()
        function(*arrays)
        times.append(perf_counter() - began)
    return min(times)


# %%
def multiply_add_in_a_loop(a, b):
    total = 0.0
    for i, j in np.ndindex(a.shape):
        total += a[i, j] * b[i, j]
    return total


# %%
work = 90 * 120 * 64 * 3 * 3 * 64
two = rng.standard_normal((2, 100, 200))
loops = shortest_seconds(multiply_add_in_a_loop, *two, repeats=3) * work / two[0].size
for name, seconds in (
    ("seven loops", loops),
    ("NumPy", shortest_seconds(ops.conv.conv2d_forward_numpy, x32, w32)),
    ("numba", shortest_seconds(ops.conv2d_forward, x32, w32)),
):
    print(f"{name:<12} {seconds * 1000:12.1f} ms   {work / seconds / 1e9:10.4f} billion multiply-adds per second")

# %% [markdown]
# The step from loops to matrix products saves by far the most time. The gain from compiled code depends on the
# processor. This gain may vanish while other programs keep the cores busy, because the threads of the fast version wait
# for each other.
#
# ## What to remember
#
# * A convolution is a sum over kernel rows, kernel columns and channels, the same at every position in the picture.
# * Computed tap by tap, a convolution is a sum of K x K matrix products with shifted views of the padded picture.
# * $H' = \lfloor (H + 2P - K)/s \rfloor + 1$; "same" padding gives $H' = \lceil H/s \rceil$. Doubling does not restore
#   an odd size.
# * The kernel is not rotated. A gradient check cannot detect a rotated kernel, but an impulse reveals it.
# * A receptive field grows from $r$ to $r + (K - 1) d$. A stride multiplies $d$.
#
# Lesson 02 derives the backward pass: how the loss changes with each number of the input, the kernel and the bias.
