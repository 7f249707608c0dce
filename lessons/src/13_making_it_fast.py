# %% [markdown]
# # 13 Making it fast
#
# **The question.** A convolution is seven nested loops. In plain Python, one layer takes many thousand times as long as
# in the library. Where does this factor come from, and what limits it?
#
# **At the end** you can explain six steps to the library's speed, derive Winograd's F(2, 3), and measure the roofline
# of your machine.
#
# **Prerequisites:** lessons 01 (convolution) and 06 (softmax).
#
# Badrinarayanan et al. 2017 compare the times of networks in Table 6. Times depend on the machine, so the cells measure
# them, and the text quotes none.

# %%
import time
from statistics import median

import numpy as np

import tinysegnet as ts
from tinysegnet import ops, runtime
from tinysegnet.bench import costs, ours
from tinysegnet.bench.measure import distance
from tinysegnet.bench.workloads import Workload
from tinysegnet_lessons import figures, grader

# %%
try:
    import numba
except ImportError:
    print("numba is not installed. What stands under `if runtime.JIT` is left out; the NumPy parts remain.")

# %% [markdown]
# ## What is computed
#
# A *multiply-add* is one product and its addition to a sum. With C input channels, F output channels and a K x K
# kernel, an output of H x W pixels takes $HWK^2CF$ multiply-adds. All versions below, the *rungs* of a ladder, compute
# the same layer:

# %% tags=["parameters"] fast="H, W, ROUNDS, LINE = 24, 32, 3, 1 << 18"
H, W, ROUNDS, LINE = 60, 80, 5, 1 << 23  # picture size (even numbers), timed runs per rung, numbers in a line

# %%
C = F = 64
rng = np.random.default_rng(0)
x = rng.standard_normal((1, H, W, C), np.float32)
weight = rng.standard_normal((3, 3, C, F), np.float32) / 24
multiply_adds = H * W * 9 * C * F
most_threads = runtime.threads()
runtime.set_threads(1)  # one thread for the ladder; more at the end of the lesson
total = sum(row.multiply_adds for row in ts.build("vgg16").summary((360, 480)).rows)
print(f"this layer {multiply_adds / 1e6:.0f} million multiply-adds, SegNet at 360x480 {total / 1e9:.0f} billion")

# %% [markdown]
# ## Numbers in memory
#
# In a new NumPy array, neighbours along the last axis are neighbours in memory. The *stride* of an axis is the distance
# in bytes between two neighbours along it (lesson 00).
#
# ### Warm-up: strides
#
# Write `my_strides(shape, itemsize)`, without creating an array. Return the strides of a new array, a tuple with one
# number per axis, for numbers of `itemsize` bytes.


# %%
def my_strides(shape, itemsize):
    ### BEGIN SOLUTION
    steps = [itemsize]
    for length in reversed(shape[1:]):
        steps.insert(0, steps[0] * length)
    return tuple(steps)
    ### END SOLUTION


# %%
my_strides = grader.grade("array_strides", my_strides)

# %%
print("weight (K, K, C, F): one step along each axis moves", my_strides(weight.shape, 4), "bytes")
assert my_strides(weight.shape, 4) == weight.strides

# %% [markdown]
# Add up all numbers of a long array in s passes, each of which reads every s-th number. Only the order of the additions
# differs. The versions take turns, because the machine's load changes, and the *median* ignores disturbed runs:


# %%
def my_medians(runs, rounds):
    seconds = {name: [] for name in runs}
    for work in runs.values():
        work()  # untimed: compiling, loading, first touch of memory
    for _ in range(rounds):
        for name, work in runs.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    return {name: median(found) for name, found in seconds.items()}


# %%
def my_sum_in_passes(line, step):
    return sum(line[k::step].sum() for k in range(step))


line = np.ones(LINE, np.float32)
runs = {4 * step: lambda step=step: my_sum_in_passes(line, step) for step in (1, 2, 4, 8, 16, 32, 64)}
nanoseconds = {stride: 1e9 * seconds / LINE for stride, seconds in my_medians(runs, ROUNDS).items()}
print(", ".join(f"{stride} bytes: {each:.2f} ns" for stride, each in nanoseconds.items()))
curve = {"sum": (list(nanoseconds), list(nanoseconds.values()))}
figures.show_plot(curve, title="The same additions", x="bytes between a number and the next", y="ns per number",
                  log=True, marks={"64 bytes": (64, nanoseconds[64])})  # fmt: skip

# %% [markdown]
# The processor fetches memory in *cache lines*, of 64 bytes on most machines. At a stride of 4 bytes, all 16 numbers of
# a line are used. From 64 bytes on, each number needs its own line.
#
# ## Rung 1: seven loops
#
# For every multiply-add, Python looks up names and wraps numbers in objects:


# %%
def my_loops(padded, weight, out):
    N, H, W, F = out.shape
    K, _, C, _ = weight.shape
    for n in range(N):
        for y in range(H):
            for column in range(W):
                for f in range(F):
                    for i in range(K):
                        for j in range(K):
                            for c in range(C):
                                out[n, y, column, f] += padded[n, y + i, column + j, c] * weight[i, j, c, f]
    return out


# %%
def my_padded(x):
    return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def my_zeros(x):
    return np.zeros((*x.shape[:3], F), x.dtype)


piece = x[:, :3, :4]  # the whole layer would take too long
began = time.perf_counter()
slow = my_loops(my_padded(piece), weight, my_zeros(piece))
each = (time.perf_counter() - began) / (slow[..., 0].size * 9 * C * F)
print(f"{1e9 * each:.0f} ns per multiply-add; the layer would take {each * multiply_adds:.0f} s")
print(f"and one forward of SegNet {each * total / 3600:.1f} hours")

# %% [markdown]
# ## Rung 2: shifted products in NumPy
#
# As in lesson 01, the loops run inside a compiled linear algebra library. The speed of a wrong result is meaningless,
# so each rung is compared with another by the distance $\lVert a-b\rVert/\lVert b\rVert$. In float32, sums in different
# orders differ by about $10^{-6}$.

# %%
reference, _ = ops.conv.conv2d_forward_numpy(x, weight)
found, _ = ops.conv.conv2d_forward_numpy(piece, weight)
print(f"distance from the seven loops: {distance(found, slow):.0e}")
assert distance(found, slow) < 1e-4

# %% [markdown]
# ## Rung 3: the same loops, compiled
#
# At its first call, a function made by `numba.njit` is compiled to machine code for the types of its arguments:

# %%
if runtime.JIT:
    compiled = numba.njit(my_loops)
    for call in ("first", "second"):
        began = time.perf_counter()
        out = compiled(my_padded(piece), weight, my_zeros(piece))
        print(f"{call} call {1e3 * (time.perf_counter() - began):.1f} ms")
    print(f"distance from the seven loops: {distance(out, slow):.0e}")
    assert distance(out, slow) < 1e-4

# %% [markdown]
# **Trap 1:** the first call includes the compilation, so `my_medians` runs everything once untimed.
#
# **Trap 2:** two compiled functions add up the same million numbers, but the second does not return the sum. Does it
# take (a) as long as the first, (b) half as long, or (c) almost no time?

# %%
prediction = ...  # "a", "b" or "c"
grader.predict("sum_that_is_not_returned", prediction)


# %%
def my_total(a):
    total = 0.0
    for value in a:
        total += value
    return total


def my_forgotten_total(a):
    total = 0.0
    for value in a:
        total += value


# %%
numbers = rng.standard_normal(1_000_000)
if runtime.JIT:
    both = {"returned": numba.njit(my_total), "forgotten": numba.njit(my_forgotten_total)}
    found = my_medians({name: lambda add=add: add(numbers) for name, add in both.items()}, 5)
    for name, seconds in found.items():
        print(f"{name:10} {1e6 * seconds:8.2f} us, {len(numbers) / seconds / 1e9:.1f} billion additions per second")

# %% [markdown]
# A benchmark must use its result.
#
# ## Rung 4: another order of the loops
#
# In rung 3 the innermost loop runs over $c$, so each step in `weight` (K, K, C, F) moves by F numbers. With $f$
# innermost, `weight` and `out` are read in memory order. Neighbours can then be processed together: a *vector register*
# contains several numbers, and one instruction processes all of them.


# %%
def my_reordered(padded, weight, out):
    N, H, W, F = out.shape
    K, _, C, _ = weight.shape
    for n in range(N):
        for y in range(H):
            for column in range(W):
                pixel = out[n, y, column]
                for i in range(K):
                    for j in range(K):
                        for c in range(C):
                            value, row = padded[n, y + i, column + j, c], weight[i, j, c]
                            for f in range(F):
                                pixel[f] += value * row[f]
    return out


# %%
if runtime.JIT:
    reordered = numba.njit(my_reordered, fastmath={"contract"})  # fuses a product and its addition
    for function in (compiled, reordered):
        out = function(my_padded(x), weight, my_zeros(x))
        print(f"distance from NumPy: {distance(out, reference):.0e}")
        assert distance(out, reference) < 1e-4

# %% [markdown]
# ## Rung 5: the register tile
#
# For each product, rung 4 loads `row[f]` and `pixel[f]` and stores `pixel[f]` again: three memory accesses per
# multiply-add. The solution is to keep the sums in registers. A *tile* of R pixels and V vectors of channels has RV
# sums. For each tap and input channel it loads V vectors of the kernel and R numbers of the picture, and performs RV
# multiply-adds of vectors:
#
# $$\frac{\text{multiply-adds}}{\text{loads}} = \frac{RV}{R+V} \qquad\text{registers: } RV+V+1$$
#
# The registers contain the sums, V vectors of the kernel, and one picture number, repeated in a whole vector.
#
# ### Exercise 1: the best tile
#
# Write `my_best_tile(registers, lanes, F)`. Of all tiles that fit into the registers, return the R and V (integers from
# 1) with the most multiply-adds per load. A vector contains `lanes` numbers, and `V * lanes` must divide F, the number
# of channels.


# %%
def my_best_tile(registers, lanes, F):
    ### BEGIN SOLUTION
    best, tile = 0, None
    for R in range(1, registers):
        for V in range(1, registers):
            needed, per_load = R * V + V + 1, R * V / (R + V)
            if needed <= registers and F % (V * lanes) == 0 and per_load > best:
                best, tile = per_load, (R, V)
    return tile
    ### END SOLUTION


# %%
my_best_tile = grader.grade("best_tile", my_best_tile)

# %% [markdown]
# For 64 channels on two kinds of processors, these are the library's tiles:

# %%
for name, registers, lanes, library in (("AVX-512", 32, 16, (6, 4)), ("AVX2", 16, 8, (6, 2))):
    R, V = my_best_tile(registers, lanes, F)
    print(f"{name}: {R} x {V} vectors, {R * V} multiply-adds for {R + V} loads, {R * V / (R + V):.2f} per load")
    assert library == (R, V)
if runtime.JIT:
    found, _ = ops.conv.conv2d_forward_direct(x, weight)
    print(f"the library's tile, distance from NumPy: {distance(found, reference):.0e}")
    assert distance(found, reference) < 1e-4

# %% [markdown]
# A single sum, $R = V = 1$, has 0.5 multiply-adds per load. With more than one multiply-add per load, arithmetic limits
# the speed, not the loads.
#
# ## Rung 6: fewer products
#
# The tile multiplies nearly as fast as the machine can, but a convolution can be computed with fewer multiplications
# (Winograd 1980; for networks Lavin and Gray 2015). In one dimension, a kernel $g$ of 3 numbers and 4 numbers $d$ give
# 2 outputs, by 6 products:
#
# $$y_0=d_0g_0+d_1g_1+d_2g_2 \qquad y_1=d_1g_0+d_2g_1+d_3g_2$$
#
# Four products are enough.

# %% [markdown]
# **Step 1: a product of polynomials.** Multiply $g(t)=g_0+g_1t+g_2t^2$ by some $z(t)=z_0+z_1t$. The
# result $s(t)$ has four coefficients $s_0, \ldots, s_3$, so four of its values determine it. Take $t = 0, 1, -1$, and
# "at infinity", which means the highest coefficient. Each value of $s$ is *one* product:
#
# $$\begin{aligned}
# s(0)&=g_0z_0 & s(1)&=(g_0+g_1+g_2)(z_0+z_1) \\
# s(\infty)&=g_2z_1 & s(-1)&=(g_0-g_1+g_2)(z_0-z_1)
# \end{aligned}$$
#
# **Step 2: from the values back to the coefficients.** With $s(\pm1)=s_0\pm s_1+s_2\pm s_3$:
#
# $$s_0=s(0) \quad s_1=\tfrac{s(1)-s(-1)}{2}-s(\infty) \quad s_2=\tfrac{s(1)+s(-1)}{2}-s(0) \quad s_3=s(\infty)$$

# %% [markdown]
# Write this with matrices: $G$ evaluates $g$, $A$ evaluates $z$, and $B$ returns to the coefficients. The halves of
# step 2 move to $G$, because $g$ is transformed once for the whole picture. With $\odot$ for the elementwise product,
#
# $$s = B\,\big[(Gg)\odot(Az)\big]$$
#
# **Step 3: transpose.** For any $z$, add up the outputs $y_k=\sum_j d_{k+j}g_j$ with $z$ as weights. Since $s_i$
# collects the products $z_k g_j$ with $k+j=i$,
#
# $$\sum_k z_ky_k = \sum_i d_is_i = d^TB\,\big[(Gg)\odot(Az)\big] = \big[(Gg)\odot(B^Td)\big]^TA\,z$$
#
# (The last step holds because $b^T(u\odot v) = \sum_i b_iu_iv_i = (u\odot b)^Tv$.) The left side is $y^Tz$. Both sides
# are equal for every $z$, so
#
# $$\boxed{\,y = A^T\big[(Gg)\odot(B^Td)\big]\,}$$
#
# This is F(2, 3): two outputs of a kernel with three taps by four products.

# %%
A2 = np.array([[1.0, 0], [1, 1], [1, -1], [0, 1]])  # z at 0, 1, -1, infinity
G2 = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
B2 = np.array([[1.0, 0, 0, 0], [0, 1, -1, -1], [-1, 1, 1, 0], [0, 0, 0, 1]])
figures.show_arrays([("A", A2), ("G", G2), ("B", B2)])

# %% [markdown]
# The rows of A and G and the columns of B belong to the points $0, 1, -1, \infty$. Both sides of the formula are linear
# in $d$ and in $g$, so it suffices to try every pair of unit vectors:

# %%
for d in np.eye(4):
    for g in np.eye(3):
        y = A2.T @ ((G2 @ g) * (B2.T @ d))
        assert list(y) == [d[0:3] @ g, d[1:4] @ g]
print("equal for all 12 pairs, and therefore for all d and g")

# %% [markdown]
# An example whose right outputs are 21 and 7:

# %%
d, g = np.array([5.0, 1, 3, 2]), np.array([2.0, -1, 4])
steps = {"d": d, "g": g, "B^T d": B2.T @ d, "G g": G2 @ g}
steps["product"] = steps["B^T d"] * steps["G g"]
steps["y"] = A2.T @ steps["product"]
assert steps["y"].tolist() == [21, 7]
figures.show_arrays([(name, values[:, None]) for name, values in steps.items()])

# %% [markdown]
# ### Exercise 2: F(2, 3)
#
# Write `my_winograd_1d(d, g)` for many tiles at once.
#
# * `d` (tiles, 4) contains the four numbers of each tile, `g` (3,) the kernel.
# * Return `products` (tiles, 4), the numbers in brackets in the formula, and `out` (tiles, 2).
#
# Use `A2`, `B2` and `G2`. Tiles are now rows, so $B^T d$ becomes `row @ B2`.


# %%
def my_winograd_1d(d, g):
    ### BEGIN SOLUTION
    products = (d @ B2) * (G2 @ g)
    return products, products @ A2
    ### END SOLUTION


# %%
my_winograd_1d = grader.grade("winograd_1d", my_winograd_1d)

# %% [markdown]
# ### Exercise 3: a whole row
#
# Write `my_winograd_row(x, g)` with your function. `x` (n + 2,) is a row with an even n. Return the n outputs
# $x_kg_0+x_{k+1}g_1+x_{k+2}g_2$. Neighbouring tiles overlap.


# %%
def my_winograd_row(x, g):
    ### BEGIN SOLUTION
    starts = range(0, len(x) - 2, 2)
    tiles = np.array([x[start : start + 4] for start in starts])
    _, pairs = my_winograd_1d(tiles, g)
    return pairs.reshape(-1)
    ### END SOLUTION


# %%
my_winograd_row = grader.grade("winograd_row", my_winograd_row)

# %%
row, g = my_padded(x)[0, 1, :, 0].astype(float), weight[1, :, 0, 0].astype(float)
direct = np.convolve(row, g[::-1], "valid")
print(f"a row of the picture: {2 * len(direct)} products instead of {3 * len(direct)}, "
      f"distance {distance(my_winograd_row(row, g), direct):.0e}")  # fmt: skip
assert distance(my_winograd_row(row, g), direct) < 1e-12

# %% [markdown]
# The last entry of $B$'s second row gets the wrong sign. What percentage of the outputs is then wrong?

# %%
prediction = ...  # a number from 0 to 100
grader.predict("wrong_sign_in_winograd", prediction)

# %%
wrong_B = B2.copy()
wrong_B[1, 3] = 1
tiles = np.lib.stride_tricks.sliding_window_view(row, 4)[::2]
wrong = (((tiles @ wrong_B) * (G2 @ g)) @ A2).reshape(-1)
share = (np.abs(wrong - direct) > 1e-6).mean()
print(f"wrong outputs {share:.0%}, distance {distance(wrong, direct):.2f}")
assert share == 0.5

# %% [markdown]
# For pictures, the method is applied along rows and columns. For 4x4 outputs, the library's F(4x4, 3x3) takes 36
# products instead of 144. Its rounding errors are larger, because its transforms make large numbers that later cancel
# (appendix 13a).

# %%
if runtime.JIT:
    found, _ = ops.conv.conv2d_forward_winograd(x, weight)
    print(f"the library's F(4x4, 3x3), distance from NumPy: {distance(found, reference):.0e}")
    assert distance(found, reference) < 1e-4

# %% [markdown]
# ## The ladder
#
# All rungs with one thread. The time of the seven loops in Python is scaled up from the small piece.

# %%
padded = my_padded(x)
runs = {
    "1 seven loops, Python": lambda: my_loops(my_padded(piece), weight, my_zeros(piece)),
    "2 shifted products, NumPy": lambda: ops.conv.conv2d_forward_numpy(x, weight),
}
if runtime.JIT:
    runs |= {
        "3 seven loops, compiled": lambda: compiled(padded, weight, my_zeros(x)),
        "4 another order, compiled": lambda: reordered(padded, weight, my_zeros(x)),
        "5 register tile": lambda: ops.conv.conv2d_forward_direct(x, weight),
        "6 Winograd F(4x4,3x3)": lambda: ops.conv.conv2d_forward_winograd(x, weight),
    }
ladder = my_medians(runs, ROUNDS)
ladder["1 seven loops, Python"] *= multiply_adds / (12 * 9 * C * F)

# %% tags=["map"]
figures.show_ladder(sorted(ladder.items(), key=lambda rung: -rung[1]))

# %% [markdown]
# Each label gives the factor relative to the dot above. Rungs 3 and 4 may be slower than rung 2, because the linear
# algebra library already uses a register tile.
#
# ## Threads
#
# Threads can share the outputs of a convolution, which do not depend on each other. Sums are different. A counter is 7,
# and each of two threads executes `counter += 1` once: read, add, write. What is the smallest possible value
# afterwards?

# %%
prediction = ...  # a number
grader.predict("two_threads_one_count", prediction)


# %%
def my_shared_counts(labels, counts):
    for k in numba.prange(labels.size):  # prange distributes its iterations over the threads
        counts[labels[k]] += 1


if runtime.JIT:
    labels = rng.integers(0, 11, 2_000_000).astype(np.uint8)
    shared = numba.njit(my_shared_counts, parallel=True)
    runtime.set_threads(most_threads)
    for _ in range(3):
        counts = np.zeros(11, np.int64)
        shared(labels, counts)
        print(f"threads {most_threads}: {labels.size - counts.sum():,} of {labels.size:,} counts lost")

# %% [markdown]
# With several threads, counts can be lost without any error, though not in every run. The remedy is to cut the numbers
# into parts, let one thread sum each part, and add up the parts in order.
#
# ### Exercise 4: one sum per part
#
# Write `my_partial_sums(numbers, parts)`. Part k of `numbers` (n,) begins at `k * n // parts` and ends where part k + 1
# begins. Return an array (parts,) with the sum of each part.


# %%
def my_partial_sums(numbers, parts):
    ### BEGIN SOLUTION
    sums = np.zeros(parts, numbers.dtype)
    for k in range(parts):
        start, end = k * len(numbers) // parts, (k + 1) * len(numbers) // parts
        sums[k] = numbers[start:end].sum()
    return sums
    ### END SOLUTION


# %%
my_partial_sums = grader.grade("partial_sums", my_partial_sums)

# %%
single = numbers.astype(np.float32)
for parts in (1, 2, 4, 16):
    print(f"{parts:2} parts: {my_partial_sums(single, parts).sum(dtype=np.float32):.6f}")

# %% [markdown]
# Float sums round differently in another order. In the library, the parts depend on shapes only, so the compiled
# kernels give the same bits with any number of threads:

# %%
dout = rng.standard_normal(reference.shape, np.float32)
bits, runs = {}, {}


def my_run(count):
    runtime.set_threads(count)
    out, cache = ops.conv2d_forward(x, weight)
    return [result.tobytes() for result in (out, *ops.conv2d_backward(dout, cache)[:2])]


for count in sorted({1, min(2, most_threads), most_threads}):
    bits[count], runs[count] = my_run(count), lambda count=count: my_run(count)
    assert bits[count] == bits[1] or runtime.BACKEND == "numpy"
for count, seconds in my_medians(runs, ROUNDS).items():
    print(f"threads {count}: {1e3 * seconds:.2f} ms, the same bits as with one: {bits[count] == bits[1]}")

# %% [markdown]
# ## The roofline
#
# Two rates of the machine limit the speed of an op: the operations that it performs per second (`product`), and the
# bytes that it copies per second (`copy`). For an op with $I$ operations per byte (its *arithmetic intensity*),
#
# $$\text{rate} \le \min(\text{product},\ I\cdot\text{copy})$$

# %%
runtime.set_threads(most_threads)
limits = ours.limits()
product, copy = limits.product_flops_per_second, limits.copy_bytes_per_second
print(f"products {product / 1e9:.0f} GFLOP/s (billion operations per second), copies {copy / 1e9:.1f} GB/s")
print(f"the roofs meet at {product / copy:.1f} operations per byte: below that, memory is the limit")

# %% [markdown]
# ### Exercise 5: the roofline
#
# Write `my_roofline(N, H, W, C, F, K, product, copy)` for the forward pass of a "same" convolution. Return
#
# * `flops`, the operations of the definition, where a multiply-add counts as two;
# * `bytes` of input, output and kernel in float32;
# * `rate`, the operations per second that the roofline allows.


# %%
def my_roofline(N, H, W, C, F, K, product, copy):
    ### BEGIN SOLUTION
    flops = 2 * N * H * W * K * K * C * F
    moved = 4 * (N * H * W * (C + F) + K * K * C * F)
    return flops, moved, min(product, flops / moved * copy)
    ### END SOLUTION


# %%
my_roofline = grader.grade("roofline", my_roofline)

# %%
for features, K in ((64, 3), (11, 1)):
    flops, moved, rate = my_roofline(1, H, W, 64, features, K, product, copy)
    print(f"64 to {features} channels, {K}x{K}: {flops / moved:.0f} operations per byte, "
          f"at most {rate / 1e9:.0f} of {product / 1e9:.0f} GFLOP/s")  # fmt: skip

# %% [markdown]
# The next cells measure SegNet's ops:

# %%
workloads = [
    Workload("conv 3x3, 64 to 64", "conv", (1, H, W, 64), 64, backward=False),
    Workload("conv 3x3, 128 to 128", "conv", (1, H, W, 128), 128, backward=False),
    Workload("first layer, 3 to 64", "conv", (1, 2 * H, 2 * W, 3), 64, backward=False),
    Workload("conv 1x1, 64 to 11", "conv", (1, 2 * H, 2 * W, 64), 11, kernel=1, backward=False),
    Workload("batch norm + ReLU", "batchnorm_relu", (4, H, W, 64)),
    Workload("pool + unpool", "pool_unpool", (4, H, W, 64)),
    Workload("softmax cross-entropy", "loss", (4, H, W, 11)),
]
spent = my_medians({workload.name: ours.prepare(workload) for workload in workloads}, ROUNDS)

# %%
dots = []
for workload in workloads:
    flops, moved, seconds = costs.flops(workload), costs.traffic(workload), spent[workload.name]
    kind = "memory" if costs.bound_by_memory(workload) else "convolution"
    dots.append(figures.RooflineDot(workload.name, flops / moved, flops / seconds, kind))
figures.roofline_figure(dots, product, copy, f"threads: {most_threads}", size=(10.5, 6.4))

# %% [markdown]
# Wide convolutions are far to the right, because each loaded number is used hundreds of times. The dashed line is the
# limit with Winograd's quarter of the products. Batch norm, ReLU and pooling are limited by memory: fewer bytes help,
# fewer operations do not. Therefore the library applies ReLU while batch norm still has the number in a register.
#
# ### Challenge: a faster softmax
#
# The formula of lesson 06 works along the last axis, in loops of 11 steps:


# %%
def my_softmax(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


# %% [markdown]
# Write `my_fast_softmax(logits)` in NumPy: the same result, at least twice as fast for (1, 360, 480, 11) in float32. Do
# not change `logits`. Ideas: another order of the numbers in memory, blocks that fit into the cache, fewer temporary
# arrays (`out=`).


# %%
def my_fast_softmax(logits):
    ### BEGIN SOLUTION
    rows = np.ascontiguousarray(logits.reshape(-1, logits.shape[-1]).T)  # all pixels of a class are neighbours
    rows -= rows.max(0)
    np.exp(rows, out=rows)
    rows /= rows.sum(0)
    return np.ascontiguousarray(rows.T).reshape(logits.shape)
    ### END SOLUTION


# %%
my_fast_softmax = grader.grade("fast_softmax", my_fast_softmax)

# %%
logits = rng.standard_normal((1, 2 * H, 2 * W, 11), np.float32)
runs = {"my_softmax": lambda: my_softmax(logits), "my_fast_softmax": lambda: my_fast_softmax(logits)}
found = my_medians(runs, ROUNDS)
print(", ".join(f"{name} {1e3 * seconds:.2f} ms" for name, seconds in found.items()))
assert distance(my_fast_softmax(logits), my_softmax(logits)) < 1e-5

# %% [markdown]
# ## What to remember
#
# * Check each version before you time it. Run it once untimed, use its result, take turns, and report medians.
# * Most of the speed comes from compiled loops, reading memory in order, and sums that stay in registers.
# * Winograd's method evaluates polynomials, multiplies the values, and interpolates: F(2, 3) needs 4 products, not 6.
# * A shared `+=` loses counts. Fixed parts give the same bits with any number of threads.
# * Left of the roofline's ridge, memory is the limit, and right of it the products.

# %% [markdown]
# ## Read next
#
# * Lavin, Gray (2015), *Fast algorithms for convolutional neural networks*: Winograd's method for networks, with its
#   cost and accuracy measured.
# * Williams, Waterman, Patterson (2009), *Roofline: An insightful visual performance model for multicore
#   architectures*: how to read the figure, and which lower limits it can show.
# * Goto, van de Geijn (2008), *Anatomy of high-performance matrix multiplication*: why register tiles and blocks for
#   each cache make a product fast.
