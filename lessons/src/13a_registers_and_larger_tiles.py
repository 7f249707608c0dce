# %% [markdown]
# # 13a Appendix: registers, larger tiles and fair timing
#
# **The question.** Lesson 13 used the library's register tile and its F(4x4, 3x3) without looking inside. How do they
# work, what do they cost, and which traps remain when you time them?
#
# **Prerequisites:** lessons 02 (backward pass of a convolution), 03 (gradient check) and 13. Nothing later depends on
# this appendix.
#
# Badrinarayanan et al. 2017 use 7x7 kernels in SegNet-Basic and 3x3 kernels in SegNet; both occur below.

# %%
import importlib.util
import time
from fractions import Fraction
from statistics import median

import numpy as np

import tinysegnet as ts
from tinysegnet import ops, runtime
from tinysegnet.bench.measure import distance
from tinysegnet.bench.workloads import Workload
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.ops.engine import cost_model, direct, winograd_transform
from tinysegnet_lessons import figures, grader

# %%
try:
    import numba
except ImportError:
    print("numba is not installed. What stands under `if runtime.JIT` is left out; the NumPy parts remain.")

# %% tags=["parameters"] fast="H, W, ROUNDS, LARGEST = 24, 32, 3, 20"
H, W, ROUNDS, LARGEST = 60, 80, 5, 25  # picture size (even numbers), timed runs, largest copy (2^LARGEST bytes)

# %%
C = F = 64
rng = np.random.default_rng(0)
x = rng.standard_normal((1, H, W, C), np.float32)
weight = rng.standard_normal((3, 3, C, F), np.float32) / 24
reference, _ = ops.conv.conv2d_forward_numpy(x, weight)
most_threads = runtime.threads()
runtime.set_threads(1)


# %%
def my_medians(runs, rounds):
    seconds = {name: [] for name in runs}
    for work in runs.values():
        work()  # untimed
    for _ in range(rounds):
        for name, work in runs.items():
            began = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - began)
    return {name: median(found) for name, found in seconds.items()}


# %% [markdown]
# ## Winograd in two dimensions
#
# A matrix on the left transforms the columns of a patch, and its transpose on the right transforms the rows. For a
# patch $d$ of 4x4 pixels and a 3x3 kernel $g$, with the matrices of lesson 13:
#
# $$V = B^T d\,B \qquad U = G\,g\,G^T \qquad M = U \odot V \qquad y = A^T M A$$
#
# ### Exercise 6: one tile
#
# Write `my_winograd_2d(d, g)` for `d` (4, 4) and `g` (3, 3). Return `y` (2, 2).

# %%
A2 = np.array([[1.0, 0], [1, 1], [1, -1], [0, 1]])
G2 = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
B2 = np.array([[1.0, 0, 0, 0], [0, 1, -1, -1], [-1, 1, 1, 0], [0, 0, 0, 1]])


# %%
def my_winograd_2d(d, g):
    ### BEGIN SOLUTION
    picture = B2.T @ d @ B2
    kernel = G2 @ g @ G2.T
    return A2.T @ (kernel * picture) @ A2
    ### END SOLUTION


# %%
my_winograd_2d = grader.grade("winograd_2d", my_winograd_2d)

# %% [markdown]
# With several channels, the products at one of the 16 positions, over all tiles, become a matrix product $M = V U$,
# where $V$ is (tiles x C) and $U$ is (C x F). The next cells compute the whole layer, and compare its first tile with
# your function, summed over the input channels:


# %%
def my_winograd_layer(x, weight, A, B, G):
    _, H, W, C = x.shape
    padded = np.pad(x[0], ((1, 1), (1, 1), (0, 0)))
    patches = np.lib.stride_tricks.sliding_window_view(padded, (4, 4), axis=(0, 1))[::2, ::2]
    V = np.einsum("ai,yxcab,bj->ijyxc", B, patches, B, optimize=True)
    U = np.einsum("ia,abcf,jb->ijcf", G, weight, G, optimize=True)
    M = V.reshape(4, 4, -1, C) @ U  # 16 products of matrices
    tiles = np.einsum("ia,ijtf,jb->tabf", A, M, A, optimize=True).reshape(H // 2, W // 2, 2, 2, -1)
    return tiles.swapaxes(1, 2).reshape(1, H, W, -1)


# %%
matrices = [matrix.astype(np.float32) for matrix in (A2, B2, G2)]
found = my_winograd_layer(x, weight, *matrices)
corner = np.pad(x[0, :3, :3].astype(float), ((1, 0), (1, 0), (0, 0)))
tile = sum(my_winograd_2d(corner[..., c], weight[..., c, 0].astype(float)) for c in range(C))
off = distance(found, reference), distance(tile, found[0, :2, :2, 0])
print(f"distance of the layer from NumPy {off[0]:.0e}, of your tile from the layer {off[1]:.0e}")
assert max(off) < 1e-4

# %%
runs = {
    "shifted products": lambda: ops.conv.conv2d_forward_numpy(x, weight),
    "Winograd F(2x2, 3x3)": lambda: my_winograd_layer(x, weight, *matrices),
}
for name, seconds in my_medians(runs, ROUNDS).items():
    print(f"{name:20} in NumPy: {1e3 * seconds:.1f} ms")

# %% [markdown]
# 16 products instead of 36 need not be faster: in NumPy, $V$, $M$ and all intermediate arrays are written to memory and
# read again. The library computes all stages for one block of tiles at a time, small enough for the cache.
#
# ### Exercise 7: count the products
#
# F(m x m, r x r) computes tiles of $m \times m$ outputs of an r x r kernel. Along each axis it needs $m + r - 1$
# points, so a tile takes $(m + r - 1)^2$ products per pair of an input and an output channel. A tile at the border is
# computed completely, even if some of its outputs lie outside.
#
# Write `my_multiplications(H, W, C, F, m, r)` for an output of H x W pixels, C input channels and F output channels.
# Return two numbers: `direct`, the products of the definition, and `winograd`, those of the tiles, without the
# transforms.


# %%
def my_multiplications(H, W, C, F, m, r):
    ### BEGIN SOLUTION
    tiles = -(-H // m) * -(-W // m)
    return H * W * r * r * C * F, tiles * (m + r - 1) ** 2 * C * F
    ### END SOLUTION


# %%
my_multiplications = grader.grade("multiplications", my_multiplications)

# %%
for h, w in ((360, 480), (45, 60), (23, 30), (12, 15)):
    ratios = [definition / fewer for definition, fewer in (my_multiplications(h, w, 64, 64, m, 3) for m in (2, 4))]
    print(f"{h:3} x {w:3}: F(2x2, 3x3) {ratios[0]:.2f}, F(4x4, 3x3) {ratios[1]:.2f} times fewer products")

# %% [markdown]
# ## Matrices for any number of outputs
#
# F(m, r) multiplies polynomials with $r$ and $m$ coefficients. The product $s(t)$ has $m + r - 1$ coefficients, so $m +
# r - 1$ of its values determine it: at $m + r - 2$ numbers $a_i$ and at infinity. Steps 1 and 3 of lesson 13 do not
# change: row $i$ of $G$ contains the powers of $a_i$ up to $r - 1$, and row $i$ of $A$ those up to $m - 1$. Step 2 uses
# Lagrange's formula:
#
# $$s(t) = \sum_i s(a_i) \prod_{j \ne i} \frac{t - a_j}{a_i - a_j} \;+\; s(\infty) \prod_j (t - a_j)$$
#
# The first product is 1 at $a_i$ and 0 at all other points; the last is 0 at all of them and corrects the highest
# coefficient. The coefficients of $\prod_{j \ne i} (t - a_j)$ are column $i$ of $B$. The divisors $a_i - a_j$ move to
# $G$, like the halves in lesson 13. `np.poly` returns the coefficients of a polynomial with given zeros, the highest
# first:


# %%
def my_matrices(m, points):
    """Return A, B and G of F(m, 3) for m + 1 points and infinity."""
    A, G = (np.vstack([np.vander(points, n, increasing=True), np.eye(n)[-1:]]) for n in (m, 3))
    B = np.zeros((m + 2, m + 2))
    for i, point in enumerate(points):
        others = np.delete(points, i)
        B[:-1, i] = np.poly(others)[::-1]
        G[i] /= np.prod(point - others)
    B[:, -1] = np.poly(points)[::-1]
    return A, B, G


# %% [markdown]
# The points $0, 1, -1$ must give the matrices of lesson 13, except for signs that cancel between $B$ and $G$. The
# library uses $1, -1, 2, -2, 0$. Both sides of the formula are linear, so unit vectors suffice, in exact fractions:

# %%
small = my_matrices(2, np.array([0.0, 1, -1]))
assert all(np.array_equal(abs(ours), abs(known)) for ours, known in zip(small, (A2, B2, G2), strict=True))
A4, B4, G4 = (
    np.vectorize(lambda a: Fraction(a).limit_denominator(1000), otypes=[object])(matrix)
    for matrix in my_matrices(4, np.array([1.0, -1, 2, -2, 0]))
)
one = Fraction(1)
for d in np.eye(6, dtype=int) * one:
    for g in np.eye(3, dtype=int) * one:
        assert list(A4.T @ ((G4 @ g) * (B4.T @ d))) == [d[k : k + 3] @ g for k in range(4)]
library = winograd_transform.MATRICES[winograd_transform.WinogradF4x3]
assert all(np.allclose(ours.astype(float), theirs) for ours, theirs in zip((A4, B4, G4), library, strict=True))
print("F(4, 3) is exact. Largest numbers in A, B, G:", *(str(abs(m).max()) for m in (A4, B4, G4)))

# %% [markdown]
# ## The price: rounding
#
# A larger tile needs more points. Points such as $2$ and $-2$ are raised to high powers, and the large numbers cancel
# later:

# %%
points = np.array([0, 1, -1, 2, -2, 1 / 2, -1 / 2, 3, -3, 1 / 3, -1 / 3, 4, -4])
rounding = {}
for m in (2, 4, 6, 8, 12):
    a, w = rng.standard_normal((10_000, m + 2)), rng.standard_normal(3)
    truth = np.lib.stride_tricks.sliding_window_view(a, 3, axis=1) @ w
    for dtype in (np.float64, np.float32):
        A_m, B_m, G_m, a_m, w_m = (matrix.astype(dtype) for matrix in (*my_matrices(m, points[: m + 1]), a, w))
        rounding[m, dtype] = distance(((a_m @ B_m) * (G_m @ w_m)) @ A_m, truth)
    double, single = rounding[m, np.float64], rounding[m, np.float32]
    print(f"F({m:2}, 3): {m + 2:2} products for {3 * m:2}; off by {double:.0e} in float64, {single:.0e} in float32")
assert rounding[12, np.float32] > 10 * rounding[2, np.float32]

# %% [markdown]
# Compare the library's compiled algorithms with a sum in float64. A 7x7 kernel is split into pieces of 4x4, with seven
# points instead of six:

# %%
for K, channels in ((3, 16), (3, 348), (7, 64)) if runtime.JIT else ():
    a = rng.standard_normal((1, 24, 32, channels), np.float32)
    w = rng.standard_normal((K, K, channels, 32), np.float32)
    truth, _ = ops.conv.conv2d_forward_numpy(a.astype(float), w.astype(float))
    variants = ops.conv.conv2d_forward_direct, ops.conv.conv2d_forward_winograd
    off = [distance(forward(a, w)[0], truth) for forward in variants]
    print(
        f"{K}x{K}, {K * K * channels} products: direct {off[0]:.1e}, Winograd {off[1]:.1e}, ratio {off[1] / off[0]:.1f}"
    )
    assert off[0] < off[1] < 1e-4

# %% [markdown]
# Do such errors change predictions? Compare the bundled toy network in float64 and float32:

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
# ## The price: transforms
#
# For each tile and each of the 36 points, the transforms produce C numbers of the input and process F numbers of the
# output, while there are $C \cdot F$ products. Their share falls as the layers get wider. The library chooses the
# algorithm by estimated costs, from the shapes alone. Measured times change from run to run, and the rounding of the
# results would change with the choice. `winograd_f6x3` is the same algorithm with tiles of 6x6 outputs: 64 products for
# 36 outputs. The library uses it in training for large layers.

# %%
print("channels   direct   Winograd   chosen      (estimated cost in millions of multiply-adds)")
for channels in (3, 8, 16, 32, 64, 128):
    shapes = (3, 3, channels, channels), (1, 1), (1, 90, 120, channels)
    estimated, chosen = cost_model.convolution_costs(*shapes), cost_model.choose_convolution(*shapes)
    print(f"{channels:8} {estimated['direct'] / 1e6:8.1f} {estimated['winograd_f4x3'] / 1e6:10.1f}   {chosen}")

# %% [markdown]
# In the backward pass, $dx$ is a convolution with the rotated kernel (lesson 02), so the same code computes it. For
# $dweight$ each step is transposed: $dM = A\,dy\,A^T$ per tile, $dU = V^T dM$ at each point, and $dg = G^T dU\,G$.
# Check the gradient (lesson 03). If the library must first compile its kernels, this takes a minute.

# %%
ts.gradcheck.check_op("conv2d")

# %% [markdown]
# ## How the tile is compiled
#
# numba compiles loops, but has no type for a vector register. The library therefore writes the tile's instructions
# itself, with a *builder*. The methods of this object compute nothing: each call appends one instruction to a program
# and returns the name of its result. A small builder:


# %%
class MyBuilder:
    def __init__(self):
        self.program, self.names = [], iter(range(1000))

    def emit(self, instruction):
        name = f"r{next(self.names)}"
        self.program.append(f"{name} = {instruction}")
        return name


# %%
def my_tile(builder, R, V):
    sums = {(r, v): builder.emit("zeros") for r in range(R) for v in range(V)}
    builder.program.append("for each k:")
    b = [builder.emit(f"load vector {v} of row k of b") for v in range(V)]
    for r in range(R):
        number = builder.emit(f"load a[{r}, k] and repeat it")
        for v in range(V):
            builder.program.append(f"{sums[r, v]} += {number} * {b[v]}")
    builder.program += ["end", *(f"store {name} in row {r}, vector {v} of out" for (r, v), name in sums.items())]
    return builder.program


print("\n".join(my_tile(MyBuilder(), R=2, V=2)))

# %% [markdown]
# The Python loops over $r$ and $v$ ran while the program was written; only the loop over $k$ remains in it. The library
# uses the builder of LLVM, numba's compiler:
#
# * `_write_tile` is called once for each kind of tile, when numba compiles a function that uses it.
# * `builder.gep` computes an address, and `for_range` begins the loop over $k$.
# * `alloca_once` creates a variable for each sum. LLVM keeps it in a register, because nothing else uses its address,
#   so `load` and `store` of `sums` access no memory.
# * `mask` switches off the lanes past the edge of a tile that is narrower than one vector. Other tiles have no mask.

# %%
if runtime.JIT:
    from tinysegnet.ops.engine import gemm_microkernel

figures.show_source(gemm_microkernel._write_tile) if runtime.JIT else print("numba is missing: there is no tile.")

# %% [markdown]
# Many sums have a second use. A multiply-add takes about four cycles, and two can start per cycle, so eight must be in
# progress at any time, and none may wait for another. The tile's sums are independent.
#
# The rows of `a` may overlap in memory. In a row of a picture, the three pixels under a kernel row are $3 C$ contiguous
# numbers. Direct convolution passes these windows to the tile without a copy:
#
#     pixels of a row    | 0 | 1 | 2 | 3 | 4 |      C numbers each
#     window of output 0 |-----------|              begins at 0,  3 C long
#     window of output 1     |-----------|          begins at C,  3 C long

# %%
figures.show_source(direct._convolve_rows)

# %% [markdown]
# ## More traps
#
# **Addresses.** A vector that begins in the middle of a cache line may span two lines. NumPy usually guarantees only
# addresses that are multiples of 16 bytes, so the same code can be fast or slow by chance. Run it with two addresses of
# the output:


# %%
def my_add_products(a, b, out):
    for k in range(len(a)):
        for f in range(out.size):
            out[f] += a[k] * b[k, f]


def my_placed(size, offset):
    raw = np.zeros(4 * size + 128, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    return raw[start : start + 4 * size].view(np.float32)


# %%
if runtime.JIT:
    add = numba.njit(my_add_products, fastmath={"contract"})
    a, b = rng.standard_normal(20_000, np.float32), rng.standard_normal((20_000, 64), np.float32)
    outs = {offset: my_placed(64, offset) for offset in (0, 16)}
    places = {offset: lambda out=out: add(a, b, out) for offset, out in outs.items()}
    for offset, seconds in my_medians(places, 4 * ROUNDS).items():
        print(f"out begins {offset:2} bytes after the beginning of a line: {1e3 * seconds:.2f} ms")

# %% [markdown]
# **The cache.** A small array fits into the cache next to the core, and a large one does not. Copy arrays with one
# thread:

# %%
speeds = {}
for k in range(13, LARGEST + 1):
    source, target = np.ones(1 << k, np.uint8), np.zeros(1 << k, np.uint8)
    repeats = max(1, (1 << 24) >> k)

    def my_copies(source=source, target=target, repeats=repeats):
        for _ in range(repeats):
            np.copyto(target, source)

    speeds[k] = 2 * (repeats << k) / my_medians({"copy": my_copies}, 5)["copy"] / 1e9
curve = {"copy": (list(speeds), list(speeds.values()))}
figures.show_plot(curve, title="A copy, by the size of its source", x="k, for 2^k bytes (20 is 1 MB)", y="GB/s")

# %% [markdown]
# An op that is timed repeatedly on one small array shows the high speed, but in a network other layers use the cache in
# between. Time an op at the size at which it is used.
#
# **Changing load.** Time one function under two names, first one after the other, and then in turns. Without
# disturbances, both differences would be 0. A difference between two functions means something only if it is larger:


# %%
def my_convolution():
    return ops.conv2d_forward(x, weight)


first = my_medians({"a": my_convolution}, 3 * ROUNDS)["a"]
second = my_medians({"b": my_convolution}, 3 * ROUNDS)["b"]
turns = my_medians({"a": my_convolution, "b": my_convolution}, 3 * ROUNDS)
print(f"one after the other: {second / first - 1:+.1%}, in turns: {turns['b'] / turns['a'] - 1:+.1%}")

# %% [markdown]
# ## Batch norm and ReLU, fused
#
# Compare fused and separate layers, forward and backward. (On the NumPy path both do the same work.)

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
for apart, fused in zip(my_separate(), my_together(), strict=True):
    assert distance(apart, fused) < 1e-5
found = my_medians({"separate": my_separate, "together": my_together}, 2 * ROUNDS)
print(f"separate {1e3 * found['separate']:.2f} ms, together {1e3 * found['together']:.2f} ms")

# %% [markdown]
# ## Against PyTorch
#
# `tinysegnet bench --against torch` measures all workloads; the next cells measure two. Each library runs in its own
# process, because two thread pools in one process disturb each other.


# %%
def my_comparison(workloads):
    from tinysegnet.bench.measure import Bench, BenchSettings

    with Bench(BenchSettings(("torch",), most_threads, rounds=3)) as bench:
        for result in map(bench.measure, workloads):
            if result.ratio is None:
                print(f"{result.workload.name}: not timed. {result.ours.wrong or result.best.wrong}")
                continue
            times = f"ours {1e3 * result.ours.seconds:.2f} ms, PyTorch {1e3 * result.best.seconds:.2f} ms"
            print(f"{result.workload.name}: {times}: PyTorch / ours = {result.ratio:.2f}")


# %%
runtime.set_threads(most_threads)
if importlib.util.find_spec("torch"):
    my_comparison([Workload("conv 3x3, 64 to 64", "conv", (1, H, W, 64), 64, backward=False),
                   Workload("pool + unpool", "pool_unpool", (4, H, W, 64))])  # fmt: skip
else:
    print("PyTorch is not installed. To compare, run `pip install torch` and then run this cell again.")

# %% [markdown]
# ## What to remember
#
# * Winograd's F(m, r) evaluates at $m + r - 1$ points. Larger tiles save products, but lose precision.
# * Fewer products are not enough: the transforms must stay in the cache.
# * A builder writes instructions; the loops around it take no time when the program runs.
# * Time at real sizes and in turns, and compare differences with the noise.

# %% [markdown]
# ## Read next
#
# * Winograd (1980), *Arithmetic complexity of computations*: how few multiplications a filter needs, with proofs.
# * Barabasz, Anderson, Soodhalter, Gregg (2020), *Error analysis and improving the accuracy of Winograd convolution for
#   deep neural networks*: which points keep the rounding errors small.
# * Hennessy, Patterson (2017), *Computer architecture: A quantitative approach*: caches, vectors and the roofline in
#   depth.
