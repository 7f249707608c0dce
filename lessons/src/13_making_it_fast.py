# %% [markdown]
# # 13 Making it fast
#
# **The question.** A convolution is seven nested loops. In plain Python, one layer takes many thousand times as long as
# in the library. Where does this factor come from, and what limits it?
#
# **At the end** you can explain six steps from seven loops to the library's speed, and derive Winograd's F(2, 3) by
# hand. You have measured the roofline of your own machine. You can avoid four mistakes in timing and one in using
# threads.
#
# **Prerequisites:** lessons 01 and 02 (convolution as seven loops and as shifted products, and its backward pass).
#
# Times depend on the processor and its load. The text therefore quotes no times: the cells print what they measure on
# your machine, and the text says what to compare. Badrinarayanan et al. 2017 compare the times of networks in Table 6;
# this lesson shows what determines them.

# %%
import time
from fractions import Fraction
from statistics import median

import numba
import numpy as np

import tinysegnet as ts
from tinysegnet import ops, runtime
from tinysegnet.bench import costs, machine, ours
from tinysegnet.bench.validate import distance
from tinysegnet.bench.workloads import Workload
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.ops.engine import cost_model, direct, gemm_microkernel, simd, winograd, winograd_transform
from tinysegnet_lessons import figures, grader

# %%
most_threads = runtime.threads()  # saved, because later cells change the number of threads

# %% [markdown]
# ## What is computed
#
# Each number of the output is a sum of products. The figure shows one channel, with a 3x3 kernel on a 4x4 picture:

# %%
x_small = np.array([[1.0, 2, 0, 1], [3, 1, 2, 0], [0, 2, 4, 1], [1, 0, 1, 2]])
w_small = np.array([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]])
figures.show_kernel(x_small, w_small, at=(1, 2))

# %% [markdown]
# Nine products and their sum give one pixel, for one pair of channels. (The zeros around the picture are
# its padding.) A *multiply-add* is one product and its addition to the sum. With C input channels and F output
# channels, an output of $H \times W$ pixels takes
#
# $$H \cdot W \cdot K^2 \cdot C \cdot F \quad\text{multiply-adds}$$
#
# All rungs of the ladder below compute the same layer, with 64 input and 64 output channels:

# %% tags=["parameters"] fast="H, W, ROUNDS = 24, 32, 3"
H, W, ROUNDS = 60, 80, 5  # height and width of the picture (even numbers), runs per rung

# %%
C = F = 64
rng = np.random.default_rng(0)
x = rng.standard_normal((1, H, W, C), np.float32)
weight = rng.standard_normal((3, 3, C, F), np.float32) / 24
multiply_adds = H * W * 9 * C * F
print(f"{multiply_adds / 1e6:.0f} million multiply-adds")
runtime.set_threads(1)  # one thread for the ladder; more at the end of the lesson

# %% [markdown]
# A network has many such layers. The next cell prints the total number of multiply-adds for SegNet at 360x480, the size
# in the paper:

# %%
total = sum(row.multiply_adds for row in ts.build("vgg16").summary((360, 480)).rows)
print(f"{total / 1e9:.0f} billion multiply-adds forward; about three times as many in a step of training")

# %% [markdown]
# ## First right, then fast
#
# The speed of a wrong result is meaningless. Each rung is therefore first compared with an earlier rung, and only then
# timed. The comparison is the distance $\lVert a - b \rVert / \lVert b \rVert$ over the whole array. In float32, sums
# of the same numbers in another order differ by rounding errors of about $10^{-7}$ to $10^{-6}$.
#
# The machine's load may change between two runs. For this reason the rungs take turns, round by round, and the result
# of each rung is the *median* of its times, which one disturbed run hardly changes.


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


# %% [markdown]
# ## Rung 1: seven loops
#
# The seven loops are the definition. For every multiply-add, Python looks up names and wraps numbers in objects.


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


# %% [markdown]
# The whole layer would take too long. The next cell computes a piece of 3x4 pixels, and the time per multiply-add:


# %%
def my_padded(x):
    return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))


def my_zeros(x):
    return np.zeros((*x.shape[:3], F), x.dtype)


piece = x[:, :3, :4]
began = time.perf_counter()
slow = my_loops(my_padded(piece), weight, my_zeros(piece))
each = (time.perf_counter() - began) / (slow[..., 0].size * 9 * C * F)
print(f"{1e9 * each:.0f} ns per multiply-add; the layer would take {each * multiply_adds:.0f} s")
print(f"and one forward of SegNet {each * total / 3600:.1f} hours")

# %% [markdown]
# ## Rung 2: shifted products in NumPy
#
# As in lesson 01, for one tap $(i, j)$ of the kernel the whole picture is shifted and multiplied by one $C \times F$
# matrix. Nine matrix products replace seven loops, and the remaining loops run inside a linear algebra library. This is
# the library's definition of a convolution:

# %%
figures.show_source(ops.conv.conv2d_forward_numpy)

# %%
found, _ = ops.conv.conv2d_forward_numpy(piece, weight)
print(f"distance from the seven loops: {distance(found, slow):.0e}")
assert distance(found, slow) < 1e-4

# %% [markdown]
# ## Rung 3: the same loops, compiled
#
# Rung 2 calls a linear algebra library, which already uses a register tile (rung 5). Rungs 3 to 5 build such a tile
# from the loops of rung 1, so expect rungs 3 and 4 to be slower than rung 2.
#
# At its first call, `numba.njit` compiles the function `my_loops` to machine code for the types of its arguments.

# %%
compiled = numba.njit(my_loops)
seconds = []
for _ in range(2):
    began = time.perf_counter()
    out = compiled(my_padded(piece), weight, my_zeros(piece))
    seconds.append(time.perf_counter() - began)
print(f"first call {1e3 * seconds[0]:.1f} ms, second {1e3 * seconds[1]:.2f} ms")
print(f"distance from the seven loops: {distance(out, slow):.0e}")
assert distance(out, slow) < 1e-4

# %% [markdown]
# **Trap 1: the first call.** The time of the first call includes compilation. If you time one call of each version, you
# compare a convolution with a compilation. For this reason `my_medians` runs everything once before it starts timing.
#
# **Trap 2: dead code.** A compiler removes results that are not used. These two functions add up the same numbers, but
# the second one does not return the sum:


# %%
@numba.njit
def my_total(a):
    total = 0.0
    for value in a:
        total += value
    return total


@numba.njit
def my_forgotten_total(a):
    total = 0.0
    for value in a:
        total += value


# %%
numbers = rng.standard_normal(1_000_000)
found = my_medians({"returned": lambda: my_total(numbers), "forgotten": lambda: my_forgotten_total(numbers)}, 5)
for name, seconds in found.items():
    print(f"{name:10} {1e6 * seconds:8.2f} us, {len(numbers) / seconds / 1e9:.1f} billion additions per second")

# %% [markdown]
# A processor performs a few billion steps per second. If the second line shows far more, the compiler has removed the
# loop, and only the call was timed. A benchmark must use its result.
#
# ## Rung 4: another order of the loops
#
# The sum does not depend on which loop is innermost, but the order of the memory accesses does. In `weight` (K, K, C,
# F) the numbers of one $c$ and all $f$ are contiguous. With $c$ in the innermost loop each step skips F numbers. With
# $f$ in the innermost loop, `weight` and `out` are read in memory order, and neighbours can be computed together: a
# *vector register* contains several numbers, and one instruction processes all of them.

# %%
lanes = simd._vector_bytes() // 4
print(f"numbers of float32 in one vector register of this machine: {lanes}")
for name, axis in (("c", 2), ("f", 3)):
    print(f"innermost {name}: each step moves {weight.strides[axis]} bytes in weight")


# %%
@numba.njit(fastmath={"contract"})
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
reference, _ = ops.conv.conv2d_forward_numpy(x, weight)
for function in (compiled, my_reordered):
    out = function(my_padded(x), weight, my_zeros(x))
    print(f"distance from NumPy: {distance(out, reference):.0e}")
    assert distance(out, reference) < 1e-4

# %% [markdown]
# The first distance is often 0, because the same additions in the same order round in the same way.
#
# `contract` allows the compiler one change: a product and the following addition may become a single instruction, the
# *fused multiply-add*, which also rounds once instead of twice. The order of the operations does not change, and NaN
# stays NaN.
#
# The speed of compiled code also depends on the addresses of its arrays. The cache is read in lines, of 64 bytes on
# most processors. A vector that begins in the middle of a line may span two lines. NumPy guarantees only addresses that
# are multiples of 16, so the same code can be fast or slow by chance. The next cell places the output once at the
# beginning of a line and once 16 bytes later. The kernel begins at the start of a line in both cases:


# %%
def my_laid(a, offset):
    raw = np.empty(a.nbytes + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    laid = raw[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    laid[...] = a
    return laid


def my_cleared(out):
    out[...] = 0
    return out


# %%
padded, kernel_0 = my_padded(x), my_laid(weight, 0)
out_0, out_16 = my_laid(reference, 0), my_laid(reference, 16)
places = {
    "begins with a line": lambda: my_reordered(padded, kernel_0, my_cleared(out_0)),
    "begins 16 bytes later": lambda: my_reordered(padded, kernel_0, my_cleared(out_16)),
}
for name, seconds in my_medians(places, ROUNDS).items():
    print(f"out {name:22} {1e3 * seconds:7.1f} ms, {2 * multiply_adds / seconds / 1e9:.1f} GFLOP/s")
assert np.array_equal(out_0, out_16)

# %% [markdown]
# Both runs execute the same instructions. How much the address matters depends on the processor and on the width of its
# vectors; the two lines show the effect on your machine. From here on rungs 3 and 4 get arrays that begin at the start
# of a cache line.
#
# ## Rung 5: the register tile
#
# What limits rung 4? For each product rung 4 loads `row[f]` and `pixel[f]`, and stores `pixel[f]` again: three memory
# accesses for one multiply-add. A processor can start about two multiply-adds per cycle, and about two loads. The loads
# alone therefore limit rung 4 to half of the possible rate. In addition, a value stored in `pixel[f]` is loaded again
# for the next $c$, and this load has to wait for the store.
#
# The solution is to keep the sums in registers, where the arithmetic happens. A tile of the output has R pixels and V
# vectors of channels, and therefore $R \cdot V$ sums. For each $k$ (a tap and an input channel) the tile's code loads V
# vectors of the kernel and R numbers of the picture, and performs $R \cdot V$ multiply-adds with them:
#
# $$\frac{\text{multiply-adds}}{\text{loads}} = \frac{R\,V}{R + V}
# \qquad\text{registers: } R\,V + V + 1$$
#
# These registers contain the sums, the V vectors, and one picture number repeated in all lanes. Processors with AVX-512
# and 64-bit ARM processors have 32 vector registers; processors with AVX2 have 16.

# %%
for registers in (32, 16):
    tiles = [(r, v) for r in range(1, 16) for v in range(1, 16) if r * v + v + 1 <= registers]
    best = sorted(tiles, key=lambda tile: tile[0] * tile[1] / sum(tile), reverse=True)[:4]
    chosen = (6, 4) if registers == 32 else (6, 2)
    for r, v in dict.fromkeys([*best, chosen]):
        ratio = f"{r * v} multiply-adds for {r + v} loads, {r * v / (r + v):.2f} per load"
        print(f"{registers} registers: {r} x {v} tile, {ratio}" + (" (the library's)" if (r, v) == chosen else ""))
assert chosen in tiles
assert gemm_microkernel.ROWS == 6

# %% [markdown]
# A single sum, $R = V = 1$, has 0.5 multiply-adds per load. The library's tile of 6 rows and 4 vectors has 2.4
# multiply-adds per load. Since this ratio is above one, the tile's speed is limited by arithmetic and not by loads. A
# tile of 5 x 5 would have a slightly higher ratio, but SegNet's channel counts are mostly powers of two, and 4 vectors
# divide them evenly. With 16 registers, a tile of 4 x 3 would have a higher ratio than the library's 6 x 2, but 3
# vectors of 8 numbers do not divide 64 channels.
#
# A second reason for many sums is latency: the result of a multiply-add is available after about four cycles. With two
# starts per cycle, eight multiply-adds must be in progress at any time, and none may wait for another. A single sum
# forms a chain in which each addition waits for the previous one, as in `my_total` of trap 2. The library's 24 sums are
# 24 independent chains.

# %% [markdown]
# In pseudocode, the tile's code is as follows (`b_vectors`, `number` and `sums` are names in the source below):
#
#     sums = R x V vectors of zeros, in registers
#     for k in range(inner):
#         load V vectors of row k of b (the kernel)
#         for each of the R rows:
#             load one number of a (the picture), repeat it in a whole vector
#             sums[r, v] += number * b_vectors[v], for each v
#     store sums in out
#
# numba has no type for a vector register, so the library generates these instructions itself. In the library's source,
# the loop over $k$ begins at `for_range`. One detail is misleading: `load` and `store` of `sums` look like memory
# accesses. In fact, `alloca` creates a named variable, and the compiler (LLVM) keeps a variable in a register if its
# address is not used otherwise.

# %%
figures.show_source(gemm_microkernel._make_tile)

# %% [markdown]
# A loop over tiles, `gemm.multiply`, calls the tile's code. Direct convolution calls `multiply` row by row. In a row of
# an NHWC picture the three pixels under a kernel row are contiguous, $3 C$ numbers in a line. A kernel row is therefore
# one product with a matrix of $3 C$ rows. Neighbouring windows overlap in memory, and nothing is copied. Here are the
# windows for stride 1:
#
#     pixels of a row    | 0 | 1 | 2 | 3 | 4 |      C numbers each
#     window of output 0 |-----------|              begins at 0,  3 C long
#     window of output 1     |-----------|          begins at C,  3 C long
#     window of output 2         |-----------|      begins at 2 C
#
# `multiply` treats these windows as the rows of a matrix. The arguments after `x_flat` give the start of the first row
# and the distance to the next row, `stride_x * C`.

# %%
figures.show_source(direct._convolve_rows)

# %%
found, _ = ops.conv.conv2d_forward_direct(x, weight)
print(f"distance from NumPy: {distance(found, reference):.0e}")
assert distance(found, reference) < 1e-4

# %% [markdown]
# How fast can the tile be? A core that starts two fused multiply-adds per cycle, each on a whole vector, at 3 billion
# cycles per second, would perform $2 \cdot 2 \cdot \text{lanes} \cdot 3 \cdot 10^9$ operations per second (a
# multiply-add counts as two). The next cell measures the actual rate of the library's tile, with one thread and numbers
# that fit into the L1 cache (the measurement takes a few seconds):

# %%
product_1, copy_1 = machine.peaks()
print(f"with two per cycle at 3 GHz: {2 * 2 * lanes * 3:.0f} GFLOP/s")
print(f"measured: {product_1 / 1e9:.0f} GFLOP/s, or {product_1 / 2e9 / lanes:.2f} vectors of multiply-adds per ns")

# %% [markdown]
# (A GFLOP/s is a billion operations per second. Many processors start only one such instruction per cycle.) The
# measured rate is the roof for everything that follows.
#
# ## Rung 6: fewer products
#
# The tile multiplies nearly as fast as the machine can. Surprisingly, a convolution can be computed with fewer
# multiplications. Toom and Cook found the method for integers of many digits, and Winograd for filters. Lavin and Gray
# (2015) applied it to convolutional networks.
#
# In one dimension, a kernel $g$ of 3 numbers and 4 numbers $d$ give 2 outputs. The definition has 6 products:
#
# $$y_0 = d_0 g_0 + d_1 g_1 + d_2 g_2 \qquad y_1 = d_1 g_0 + d_2 g_1 + d_3 g_2$$
#
# Four products are enough. The derivation has three steps.

# %% [markdown]
# **Step 1: a product of polynomials.** Multiply $g(t) = g_0 + g_1 t + g_2 t^2$ by some $z(t) = z_0 + z_1 t$. The
# result $s(t) = s_0 + s_1 t + s_2 t^2 + s_3 t^3$ has four coefficients, so four of its values determine it. Take
# $t = 0, 1, -1$, and "at infinity", which means the highest coefficient. Each value of $s$ is *one* product:
#
# $$\begin{aligned}
# s(0) &= g_0 \cdot z_0 & s(1) &= (g_0 + g_1 + g_2)(z_0 + z_1) \\
# s(\infty) &= g_2 \cdot z_1 & s(-1) &= (g_0 - g_1 + g_2)(z_0 - z_1)
# \end{aligned}$$
#
# **Step 2: from the values back to the coefficients.** Use $s(1) = s_0 + s_1 + s_2 + s_3$ and $s(-1) = s_0 - s_1 +
# s_2 - s_3$:
#
# $$s_0 = s(0) \quad s_1 = \tfrac{s(1) - s(-1)}{2} - s(\infty) \quad s_2 = \tfrac{s(1) + s(-1)}{2} - s(0) \quad
# s_3 = s(\infty)$$

# %% [markdown]
# Write this with matrices: let $G$ evaluate $g$, let $A$ evaluate $z$, and let $B$ return to the coefficients. The
# halves of step 2 can be moved to $g$, which is transformed once for the whole picture: row 2 of $G g$ is $(g_0 + g_1 +
# g_2) / 2$. With $\odot$ for the elementwise product, the coefficients are
#
# $$s = B\,\big[(G g) \odot (A z)\big]$$
#
# **Step 3: transpose.** For any $z$, collect the outputs $y_k = \sum_j d_{k+j}\, g_j$ with $z$ as weights:
#
# $$\sum_k z_k\, y_k = \sum_k \sum_j z_k\, g_j\, d_{k+j} = \sum_i d_i\, s_i = d^T B\,\big[(G g) \odot (A z)\big]
# = \big[(G g) \odot (B^T d)\big]^T A\, z$$
#
# The second equality holds because $s_i$ collects the products $z_k g_j$ with $k + j = i$. For the last equality, write
# $u = G g$, $v = A z$ and $b = B^T d$. Then $b^T (u \odot v) = \sum_i b_i u_i v_i = (u \odot b)^T v$. The left side is
# $y^T z$, and the right side is $\big(A^T [(G g) \odot (B^T d)]\big)^T z$. Since both sides are equal for every $z$,
#
# $$\boxed{\,y = A^T\big[(G g) \odot (B^T d)\big]\,}$$
#
# This is F(2, 3), which needs only four products to compute two outputs of a kernel with three taps.

# %%
half = Fraction(1, 2)
A = np.array([[1, 0], [1, 1], [1, -1], [0, 1]]) * Fraction(1)  # z at 0, 1, -1, infinity
G = np.array([[1, 0, 0], [half, half, half], [half, -half, half], [0, 0, 1]]) * Fraction(1)
B = np.array([[1, 0, 0, 0], [0, 1, -1, -1], [-1, 1, 1, 0], [0, 0, 0, 1]]) * Fraction(1)
figures.show_arrays([(name, matrix.astype(float)) for name, matrix in (("A", A), ("G", G), ("B", B))])

# %% [markdown]
# Each row of A and of G belongs to one of the four points, in the order $0, 1, -1, \infty$. Each row of B
# belongs to one coefficient of $s$, and each column to a point. All entries are 0, $\pm 1$ or $\pm 1/2$, so the
# transforms need additions and hardly any multiplications.
#
# Is the formula right? Both sides are linear in $d$ and linear in $g$, so it is enough to try every pair of unit
# vectors, in exact fractions without rounding:

# %%
exact = Fraction(1)
for d in np.eye(4, dtype=int) * exact:
    for g in np.eye(3, dtype=int) * exact:
        y = A.T @ ((G @ g) * (B.T @ d))
        assert list(y) == [d[0:3] @ g, d[1:4] @ g]
print("equal for all 12 pairs, and therefore for all d and g")

# %% [markdown]
# Now take the numbers $d = (5, 1, 3, 2)$ and $g = (2, -1, 4)$. The six products give $2 \cdot 5 - 1 \cdot 1 + 4 \cdot
# 3 = 21$ and $2 \cdot 1 - 1 \cdot 3 + 4 \cdot 2 = 7$.

# %%
d, g = np.array([5.0, 1, 3, 2]), np.array([2.0, -1, 4])
A2, B2, G2 = (matrix.astype(float) for matrix in (A, B, G))
picture, kernel = B2.T @ d, G2 @ g
steps = {"d": d, "g": g, "B^T d": picture, "G g": kernel, "product": picture * kernel}
steps["y"] = A2.T @ steps["product"]
assert steps["y"].tolist() == [21, 7]
figures.show_arrays([(name, values[:, None]) for name, values in steps.items()])

# %% [markdown]
# `d` became four sums or differences of its numbers, and `g` four weighted sums. Each row of "product" is
# one multiplication, and `y` adds and subtracts these products.
#
# ### Exercise 1
#
# Write `my_winograd_1d(d, g)` for many tiles at once.
#
# * `d` (tiles, 4) contains the four numbers under each tile. `g` (3,) is the kernel, the same for all tiles.
# * Return `products` (tiles, 4), which are the numbers of the column "product" above, and `out` (tiles, 2).
#
# `A2`, `B2` and `G2` are the matrices as floats. Since tiles are now rows, $B^T d$ of one row is `row @ B2`.


# %%
def my_winograd_1d(d, g):
    ### BEGIN SOLUTION
    products = (d @ B2) * (G2 @ g)
    return products, products @ A2
    ### END SOLUTION


# %%
my_winograd_1d = grader.grade("winograd_1d", my_winograd_1d)

# %% [markdown]
# ### Two dimensions
#
# A picture has rows and columns, and the method applies to both. A matrix on the left transforms the columns, and its
# transpose on the right transforms the rows: $V = B^T d\, B$ for a patch $d$ of 4x4 pixels, $U = G\, g\, G^T$ for the
# 3x3 kernel, $M = U \odot V$, and $y = A^T M A$ for 2x2 outputs. This takes 16 products instead of 36. With several
# channels, the products at one position, taken over all tiles, become a matrix product $M = V U$, where $V$ is (tiles x
# C) and $U$ is (C x F):


# %%
def my_winograd_2d(x, weight, A, B, G):
    _, H, W, C = x.shape
    patches = np.lib.stride_tricks.sliding_window_view(my_padded(x)[0], (4, 4), axis=(0, 1))[::2, ::2]
    V = np.einsum("ai,yxcab,bj->ijyxc", B, patches, B, optimize=True)
    U = np.einsum("ia,abcf,jb->ijcf", G, weight, G, optimize=True)
    M = V.reshape(4, 4, -1, C) @ U  # 16 products of matrices
    tiles = np.einsum("ia,ijtf,jb->tabf", A, M, A, optimize=True).reshape(H // 2, W // 2, 2, 2, -1)
    return tiles.swapaxes(1, 2).reshape(1, H, W, -1)


# %%
matrices = [matrix.astype(np.float32) for matrix in (A, B, G)]
found = my_winograd_2d(x, weight, *matrices)
print(f"distance from NumPy: {distance(found, reference):.0e}")
assert distance(found, reference) < 1e-4

# %% [markdown]
# ### A wrong sign
#
# The next cell makes one sign in $B$ wrong, the last entry of its second row. The result has the right shape and type,
# and takes the same number of operations:

# %%
wrong_B = matrices[1].copy()
wrong_B[1, 3] = 1
wrong = my_winograd_2d(x, weight, matrices[0], wrong_B, matrices[2])
print(f"distance from NumPy: {distance(wrong, reference):.2f}")
off = np.abs(wrong - reference)[0].max(-1) > 1e-3
counts = [int(off[i::2, j::2].sum()) for i in (0, 1) for j in (0, 1)]
print("wrong pixels at each position of a 2x2 tile:", counts)
assert distance(wrong, reference) > 0.01
assert not off[::2, ::2].any()

# %% [markdown]
# The upper left pixel of each tile is right, since $y_0$ does not use the fourth product. The comparison of the whole
# array finds the error.
#
# ### F(4x4, 3x3) in the library
#
# Larger tiles save more: 4 outputs and 3 taps need $4 + 3 - 1 = 6$ products instead of 12, or 36 instead of 144 in two
# dimensions. The library constructs its matrices by the same three steps, with the points $1, -1, 2, -2, 0, \infty$.
# Step 2 uses Lagrange's formula: the polynomial with given values at the points is a sum of polynomials, one for each
# point, each of which is 0 at all other points:

# %%
figures.show_source(winograd_transform.winograd_matrices)

# %%
A4, B4, G4 = (
    np.vectorize(lambda a: Fraction(a).limit_denominator(1000), otypes=[object])(matrix)
    for matrix in winograd_transform.MATRICES[winograd_transform.WinogradF4x3]
)
for d in np.eye(6, dtype=int) * exact:
    for g in np.eye(3, dtype=int) * exact:
        assert list(A4.T @ ((G4 @ g) * (B4.T @ d))) == [d[k : k + 3] @ g for k in range(4)]
print("also exact. Largest numbers in A, B, G:", *(str(abs(m).max()) for m in (A4, B4, G4)))

# %% [markdown]
# How many products does Winograd's method save? A tile at the border is computed completely, even if some of its
# outputs lie outside.
#
# ### Exercise 2
#
# Write `my_multiplications(H, W, C, F, m, r)`, which counts the products of a convolution with an r x r kernel, C input
# channels and F output channels, for an output of H x W pixels. Return two numbers:
#
# * `direct`, the count by the definition;
# * `winograd`, the count by Winograd's F(m x m, r x r), with whole tiles. (This F is not the number of channels.)
#
# Do not count the transforms.


# %%
def my_multiplications(H, W, C, F, m, r):
    ### BEGIN SOLUTION
    tiles = -(-H // m) * -(-W // m)
    return H * W * r * r * C * F, tiles * (m + r - 1) ** 2 * C * F
    ### END SOLUTION


# %%
my_multiplications = grader.grade("multiplications", my_multiplications)

# %% [markdown]
# The next cell counts the products for outputs of SegNet's sizes, with the library's tiles:

# %%
for h, w in ((360, 480), (45, 60), (23, 30), (12, 15)):
    tiles = winograd.Tiles("winograd_f4x3", (1, h, w, 64), 3).total
    print(f"{h:3} x {w:3}: {tiles:5} tiles, {h * w * 9 / (tiles * 36):.2f} times fewer products")

# %% [markdown]
# The factor is 4 where the tiles fit the output exactly, and less where they extend beyond the border.

# %% [markdown]
# ### What the transforms cost
#
# The transforms consist mostly of additions, but they are not free. For each tile and each of the 36 points the
# transforms produce C numbers for the input and process F numbers for the output, while there are $C \cdot F$ products.
# The transforms' share of the work therefore falls as the layers get wider. The library chooses the algorithm from the
# shapes alone, by estimated costs (`ops/engine/cost_model.py`). A cost is a time, expressed as the number of
# multiply-adds that would take as long. The cost includes partly filled vectors and the start of the kernels. For
# narrow layers the cost is therefore far higher than the number of products:

# %%
print("channels   direct   Winograd   chosen      (estimated cost in millions of multiply-adds)")
for channels in (3, 8, 16, 32, 64, 128):
    estimated = cost_model.convolution_costs((3, 3, channels, channels), (1, 1), (1, 90, 120, channels))
    chosen = cost_model.choose_convolution((3, 3, channels, channels), (1, 1), (1, 90, 120, channels))
    print(f"{channels:8} {estimated['direct'] / 1e6:8.1f} {estimated['winograd_f4x3'] / 1e6:10.1f}   {chosen}")

# %% [markdown]
# The choice never depends on measured times. Such a choice could change from run to run and thereby change the rounding
# of the results.
#
# In NumPy, `my_winograd_2d` writes $V$, $M$ and all intermediate arrays to memory and reads them again. The library
# computes all three stages for one block of tiles after another, each block small enough for the processor's cache.
# This is the last stage:

# %%
figures.show_source(winograd._compute_output)

# %%
found, _ = ops.conv.conv2d_forward_winograd(x, weight)
print(f"distance from NumPy: {distance(found, reference):.0e}")
assert distance(found, reference) < 1e-4

# %% [markdown]
# In the backward pass, $dx$ is a convolution with the rotated kernel (lesson 02), so the same code computes it. For
# $dweight$ each step of the forward pass is transposed, as always. For each tile and channel $dM = A\,dy\,A^T$. At each
# of the 36 points, $M = V U$ is a product of matrices over tiles and channels, so $dU = V^T dM$. Then, for each pair of
# channels, $dg = G^T dU\, G$. The next cell runs the gradient check of lesson 03. (If the library must first compile
# its kernels, the check takes a minute or so.)

# %%
ts.gradcheck.check_op("conv2d")

# %% [markdown]
# ## The ladder
#
# The results of all rungs have been checked, so now the rungs can be timed in turns, with one thread. The figure shows
# medians. The seven loops in Python run on a small piece, and their time is scaled up.

# %%
runtime.set_threads(1)
runs = {
    "1 seven loops, Python": lambda: my_loops(my_padded(piece), weight, my_zeros(piece)),
    "2 shifted products, NumPy": lambda: ops.conv.conv2d_forward_numpy(x, weight),
    "3 seven loops, compiled": lambda: compiled(padded, kernel_0, my_cleared(out_0)),
    "4 another order, compiled": lambda: my_reordered(padded, kernel_0, my_cleared(out_0)),
    "5 register tile, direct": lambda: ops.conv.conv2d_forward_direct(x, weight),
    "6 Winograd F(2x2,3x3), NumPy": lambda: my_winograd_2d(x, weight, *matrices),
    "6 Winograd F(4x4,3x3)": lambda: ops.conv.conv2d_forward_winograd(x, weight),
}
ladder = my_medians(runs, ROUNDS)
ladder["1 seven loops, Python"] *= multiply_adds / (12 * 9 * C * F)

# %%
print(f"{'rung':28} {'ms':>10} {'GFLOP/s':>9} {'of the product roof':>20} {'times faster':>15}")
for name, seconds in ladder.items():
    rate, gain = 2 * multiply_adds / seconds, ladder["1 seven loops, Python"] / seconds
    print(f"{name:28} {1e3 * seconds:10.2f} {rate / 1e9:9.2f} {rate / product_1:20.1%} {gain:14,.0f}x")

# %% tags=["map"]
figures.show_ladder(sorted(ladder.items(), key=lambda rung: -rung[1]))

# %% [markdown]
# The rungs are sorted from the slowest to the fastest on your machine. Faster rungs are further left, and
# each grid line is a factor of ten. The label of each dot gives its factor relative to the dot above it. The rungs have
# the same numbers as in the text.
#
# Leaving Python's loops usually gains the most. Rungs 3, 4 and 5 are the same loops, first compiled, then in another
# order, then in a tile. Rungs 5 and 2 compare the library's tile with the tile inside NumPy's `@`. For Winograd a share
# of the product roof above 100 % is not an error: the counted operations are those of the definition, and Winograd
# computes a quarter of the products.
#
# Fewer products alone are not enough: compare "6 Winograd F(2x2,3x3), NumPy" with "2 shifted products, NumPy". Rung 6
# needs 16 products instead of 36, but its transforms write arrays to memory and read them again.

# %% [markdown]
# ## The price of fewer products: rounding
#
# Mathematically all rungs are equal. In float32 every operation rounds, and Winograd's transforms make large numbers
# that later cancel. The table shows distances from a sum in float64:

# %%
print("kernel  channels  products    NumPy   direct  Winograd  Winograd / direct")
for K, channels in ((3, 16), (3, 64), (3, 348), (7, 64)):
    a = rng.standard_normal((1, 24, 32, channels), np.float32)
    w = rng.standard_normal((K, K, channels, 32), np.float32)
    truth, _ = ops.conv.conv2d_forward_numpy(a.astype(float), w.astype(float))
    variants = ops.conv.conv2d_forward_numpy, ops.conv.conv2d_forward_direct, ops.conv.conv2d_forward_winograd
    off_by = [distance(forward(a, w)[0], truth) for forward in variants]
    columns = "  ".join(f"{off:.1e}" for off in off_by)
    print(f"{K}x{K}     {channels:8}  {K * K * channels:8}  {columns}   {off_by[2] / off_by[1]:.1f}")
    assert max(off_by) < 1e-4
    assert off_by[2] > off_by[1]

# %% [markdown]
# Winograd's errors are larger than those of direct sums, and the last column shows the ratio. In the rows
# of 3x3 kernels, sums of more products have larger rounding errors, however they are added. To see the effect of the
# kernel size, compare the last two rows. These two rows have nearly the same number of products per output, but a 7x7
# kernel is split into pieces of 4x4, with seven points instead of six.
#
# The large numbers come from points such as $2$ and $-2$, which are raised to high powers. The larger the tile, the
# more points it needs. The next cells test this in one dimension, with matrices for any number m of outputs:


# %%
def my_matrices(m):
    points = np.array([0, 1, -1, 2, -2, 1 / 2, -1 / 2, 3, -3, 1 / 3, -1 / 3, 4, -4])[: m + 1]
    A_m, G_m = (np.vstack([np.vander(points, n, increasing=True), np.eye(n)[-1:]]) for n in (m, 3))
    B_m = np.zeros((m + 2, m + 2))
    for i, point in enumerate(points):
        others = np.delete(points, i)
        B_m[:-1, i] = np.poly(others)[::-1]
        G_m[i] /= np.prod(point - others)
    B_m[:, -1] = np.poly(points)[::-1]
    return A_m, B_m, G_m


# %%
rounding = {}
for m in (2, 4, 6, 8, 12):
    a, w = rng.standard_normal((10_000, m + 2)), rng.standard_normal(3)
    truth = np.lib.stride_tricks.sliding_window_view(a, 3, axis=1) @ w
    for dtype in (np.float64, np.float32):
        A_m, B_m, G_m, a_m, w_m = (matrix.astype(dtype) for matrix in (*my_matrices(m), a, w))
        rounding[m, dtype] = distance(((a_m @ B_m) * (G_m @ w_m)) @ A_m, truth)
    double, single = rounding[m, np.float64], rounding[m, np.float32]
    print(f"F({m:2}, 3): {m + 2:2} products for {3 * m:2}; off by {double:.0e} in float64, {single:.0e} in float32")
assert rounding[12, np.float32] > 10 * rounding[2, np.float32]

# %% [markdown]
# Larger tiles save more products but eventually lose precision, as a comparison of the first line with the
# last shows.
#
# Do errors of this size change the predictions? The next cell compares the bundled toy network in float64 and in
# float32 (with whichever algorithm each of its layers uses):

# %%
model = ts.load_bundled("toy")
exact_model = ts.build("tiny", num_classes=model.num_classes, dtype=np.float64)
exact_model.load_state(model.state())
others = wrong_pixels = 0
for scene in ToyScenes(8, seed=13):
    single, double = ts.predict(model, scene.image), ts.predict(exact_model, scene.image)
    others += int((single != double).sum())
    wrong_pixels += int((double != scene.labels)[scene.labels < 11].sum())
print(f"of {8 * single.size:,} pixels {others} get another class in float32; {wrong_pixels:,} are wrong anyway")
assert others < wrong_pixels

# %% [markdown]
# ## Threads
#
# The outputs of a convolution do not depend on each other, so several threads can share them. In numba, `prange`
# distributes its iterations over the threads, but does not check that the iterations are independent.
#
# **Trap 3: a shared sum.** Count how often each class occurs. `counts[label] += 1` has three steps: read, add, write.
# If two threads execute these steps at the same moment, both may read 7 and write 8, and a count is lost.


# %%
@numba.njit(parallel=True)
def my_shared_counts(labels, counts):
    for k in numba.prange(labels.size):
        counts[labels[k]] += 1


labels = rng.integers(0, 11, 2_000_000).astype(np.uint8)
runtime.set_threads(most_threads)
for _ in range(3):
    counts = np.zeros(11, np.int64)
    my_shared_counts(labels, counts)
    lost = labels.size - counts.sum()
    print(f"threads {most_threads}: {lost:,} of {labels.size:,} counts lost ({lost / labels.size:.0%})")

# %% [markdown]
# With several threads the result may differ each time, without any error or warning. (With one thread nothing is lost.)
# The remedy is not to share the sums. Each task has its own row, and the rows are added up afterwards, in order:


# %%
@numba.njit(parallel=True)
def my_owned_counts(labels, rows):
    for task in numba.prange(len(rows)):
        for k in range(task * labels.size // len(rows), (task + 1) * labels.size // len(rows)):
            rows[task, labels[k]] += 1


rows = np.zeros((16, 11), np.int64)
my_owned_counts(labels, rows)
print(f"{labels.size - rows.sum()} lost")
assert np.array_equal(rows.sum(0), np.bincount(labels, minlength=11))

# %% [markdown]
# The array has a fixed number of rows, not one for each thread. For integers this makes no difference. Floats round
# differently in another order of summation, and with one part per thread the order would depend on the number of
# threads. With a fixed number of parts the bits do not depend on the threads. All kernels of the library follow this
# rule: one thread computes each output, and the parts of a sum depend on shapes only.

# %%
dout = rng.standard_normal(reference.shape, np.float32)
bits, runs = {}, {}
for count in sorted({1, 2, most_threads} & set(range(1, most_threads + 1))):
    runtime.set_threads(count)
    out, cache = ops.conv2d_forward(x, weight)
    bits[count] = [result.tobytes() for result in (out, *ops.conv2d_backward(dout, cache)[:2])]
    print(f"threads {count}: the same bits as with one, forward and both gradients: {bits[count] == bits[1]}")
    assert bits[count] == bits[1]

# %%
for count in bits:

    def my_run(count=count):
        runtime.set_threads(count)
        ops.conv2d_forward(x, weight)

    runs[count] = my_run
for count, seconds in my_medians(runs, 3 * ROUNDS).items():
    print(f"threads {count}: {1e3 * seconds:.2f} ms")
runtime.set_threads(most_threads)

# %% [markdown]
# Two threads are at best twice as fast as one, and less on a busy machine or if both run on the same core.
#
# ## The roofline
#
# Two things limit the speed of an op: the operations that the machine performs per second, and the bytes that it can
# copy per second. For an op that performs $I$ operations per byte (its *arithmetic intensity*), the limit is
#
# $$\text{rate} \le \min(\text{product},\ I \cdot \text{copy})$$
#
# (Williams, Waterman and Patterson 2009). The next cell measures both roofs on your machine, with all threads:

# %%
product, copy = machine.peaks()
ridge = product / copy
print(f"products {product / 1e9:.0f} GFLOP/s, copies {copy / 1e9:.1f} GB/s")
print(f"the roofs meet at {ridge:.1f} operations per byte: below that, memory is the limit")

# %% [markdown]
# ### Exercise 3
#
# Write `my_roofline(N, H, W, C, F, K, product, copy)` for the forward pass of a convolution with "same" padding in
# float32. Return three numbers:
#
# * `flops`, the operations of the definition, where a multiply-add counts as two;
# * `bytes`, the size of input, output and kernel, at 4 bytes per number;
# * `rate`, the operations per second that the roofline allows. `product` is in operations and `copy` in bytes per
#   second.


# %%
def my_roofline(N, H, W, C, F, K, product, copy):
    ### BEGIN SOLUTION
    flops = 2 * N * H * W * K * K * C * F
    moved = 4 * (N * H * W * (C + F) + K * K * C * F)
    return flops, moved, min(product, flops / moved * copy)
    ### END SOLUTION


# %%
my_roofline = grader.grade("roofline", my_roofline)

# %% [markdown]
# Which roof limits SegNet's ops? `tinysegnet.bench` defines workloads and their costs, and runs them:

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
print(f"{'workload':22} {'flop/B':>7} {'GFLOP/s':>8} {'GB/s':>6}   the lower roof")
for workload in workloads:
    flops, moved, seconds = costs.flops(workload), costs.traffic(workload), spent[workload.name]
    kind = "memory" if costs.bound_by_memory(workload) else "convolution"
    dots.append(figures.RooflineDot(workload.name, flops / moved, flops / seconds, kind))
    limit = "memory" if flops / moved < ridge else "products"
    rates = f"{flops / seconds / 1e9:8.1f} {moved / seconds / 1e9:6.1f}"
    print(f"{workload.name:22} {flops / moved:7.1f} {rates}   {limit}")

# %%
figures.roofline_figure(dots, product, copy, f"threads: {most_threads}", size=(10.5, 6.4))

# %% [markdown]
# On the left is the slope, the limit set by memory. On the right is the flat roof of products. The dashed
# line above the roof is the limit with a quarter of the products. Wide convolutions are far to the right, because each
# number that is loaded is used hundreds of times. Batch norm, ReLU and pooling are on the left, below the slope.
#
# A roof shows how fast an op can be, not what slows it down. The bytes are the *minimum* traffic: each array is read or
# written once. An op far below the slope does more work or moves more bytes. Batch norm reads its array several times,
# for the mean, the variance and the result, and again in the backward pass. Cross-entropy computes an exponential for
# each number. A dot above the slope is also possible: an op whose arrays fit into the cache does not wait for memory.
#
# ### Why batch norm and ReLU are fused
#
# ReLU alone reads and writes every number for a single comparison. If ReLU is applied while batch norm has the number
# in a register, it causes no additional traffic. The library's networks fuse the two layers in training
# (`BatchNormReLU2d`). In inference both are folded into the convolution (lessons 07 and 14). The next cells compare
# fused and separate layers, forward and backward:

# %%
a, da = (rng.standard_normal((4, H, W, 64), np.float32) for _ in range(2))
gamma, beta = np.ones(64, np.float32), np.zeros(64, np.float32)


def my_separate():
    (normed, _, _), norm_cache = ops.batchnorm2d_forward(a, gamma, beta)
    out, relu_cache = ops.relu_forward(normed)
    return out, ops.batchnorm2d_backward(ops.relu_backward(da, relu_cache), norm_cache)[0]


def my_together():
    (out, _, _), cache = ops.batchnorm2d_relu_forward(a, gamma, beta)
    return out, ops.batchnorm2d_relu_backward(da, cache)[0]


# %%
for one, other in zip(my_separate(), my_together(), strict=True):
    assert distance(one, other) < 1e-5
found = my_medians({"separate": my_separate, "together": my_together}, 2 * ROUNDS)
for name, seconds in found.items():
    print(f"{name}: {1e3 * seconds:.2f} ms")
print(f"separate / together: {found['separate'] / found['together']:.2f}")

# %% [markdown]
# **Trap 4: the cache.** Memory does not have a single speed. A small array fits into the cache next to the core, and a
# large array does not. The next cell measures the bytes read and written per second by copies, with one thread:

# %%
sizes = [1 << k for k in range(13, 26)]
sources = {size: np.ones(size // 8) for size in sizes}
targets = {size: np.zeros(size // 8) for size in sizes}
speeds = []
for size in sizes:
    repeats = max(1, (1 << 24) // size)

    def my_copies(size=size, repeats=repeats):
        for _ in range(repeats):
            np.copyto(targets[size], sources[size])

    speeds.append(2 * size * repeats / my_medians({"copy": my_copies}, 5)["copy"] / 1e9)
print(", ".join(f"{size / 1024:.0f} kB: {speed:.0f} GB/s" for size, speed in zip(sizes, speeds, strict=True)))

# %%
curve = {"copy": (range(13, 26), speeds)}
figures.show_plot(curve, title="A copy, by the size of its source", x="k, for 2^k bytes (20 is 1 MB)", y="GB/s")

# %% [markdown]
# Look for the peak of the curve, and for how far it has fallen at the right, where source and target together
# no longer fit into any cache. An op that is timed repeatedly on one array that fits into the cache shows the high
# speed. In a network, where other layers use the cache in between, the same op is slower. Always time an op at the size
# at which it is used.
#
# **Trap 5: changing load.** Processors slow down when they are hot and when other programs run. The next cell times the
# same function under two names: first all runs of `a`, then all runs of `b`, and then both in turns:


# %%
def my_convolution():
    return ops.conv2d_forward(x, weight)


first = my_medians({"a": my_convolution}, 3 * ROUNDS)["a"]
second = my_medians({"b": my_convolution}, 3 * ROUNDS)["b"]
turns = my_medians({"a": my_convolution, "b": my_convolution}, 3 * ROUNDS)
print(f"one after the other: b compared with a: {second / first - 1:+.1%}")
print(f"in turns:            b compared with a: {turns['b'] / turns['a'] - 1:+.1%}")

# %% [markdown]
# Without disturbances both lines would show 0. A difference between two functions means something only if it is larger
# than these values. Taking turns helps against slow changes of speed, which then affect both functions alike, but not
# against short disturbances.
#
# ## Against PyTorch
#
# PyTorch is a good reference for speed, because its convolutions are optimised for each kind of processor. `tinysegnet
# bench --against torch` measures all workloads; the next cell measures two of them. Each library runs in its own
# process, because two thread pools in one process disturb each other. The results are first compared with a computation
# in float64.


# %%
def my_comparison(workloads):
    from tinysegnet.bench.measure import Bench, BenchSettings

    with Bench(BenchSettings("torch", most_threads, rounds=3)) as bench:
        for result in map(bench.measure, workloads):
            if result.ratio is None:
                print(f"{result.workload.name}: not timed. {result.wrong}")
                continue
            times = f"ours {1e3 * result.seconds:.2f} ms, PyTorch {1e3 * result.peer_seconds:.2f} ms"
            print(f"{result.workload.name}: {times}: PyTorch / ours = {result.ratio:.2f}")


# %%
import importlib.util

if importlib.util.find_spec("torch"):
    my_comparison([workloads[0], workloads[5]])
else:
    print("PyTorch is not installed. To compare, run `pip install torch` and then run this cell again.")

# %% [markdown]
# ## What to remember
#
# * Compare each version with an earlier version before you time it.
# * Most of the speed-up comes from compiled loops, from reading memory in order, and from sums that stay in registers.
# * A tile of 6 rows x 4 vectors performs 24 multiply-adds for 10 loads, and its 24 sums do not wait for each other.
# * Winograd's method evaluates polynomials, multiplies the values, and interpolates. F(2, 3) needs 4 products instead
#   of 6, and F(4x4, 3x3) needs 36 instead of 144. The price is larger rounding errors.
# * The roofline shows the highest possible speed of an op. Left of the ridge, memory is the limit, and fusing ops
#   reduces memory traffic.
# * Two threads must never write to the same output: a shared `+=` silently loses counts. A fixed partition of sums
#   gives the same bits with any number of threads.
# * For a fair comparison, run each version once untimed, use its result, take turns, report medians, and use real
#   sizes.
