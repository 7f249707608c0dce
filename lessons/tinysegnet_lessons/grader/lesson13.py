"""Exercises of lesson 13: memory order, register tiles, Winograd's method, partial sums, the roofline and a softmax.

The exercise `winograd_2d` belongs to appendix 13a.
"""

from math import prod
from time import perf_counter

import numpy as np

from .exercise import Challenge, Exercise, Prediction, generator

PREDICTIONS = {
    "sum_that_is_not_returned": Prediction(
        "c", "Nothing uses the sum, so the compiler removes the loop, and only the call takes time."
    ),
    "wrong_sign_in_winograd": Prediction(
        50, "The sign changes only the fourth product, which is part of y1 but not of y0."
    ),
    "two_threads_one_count": Prediction(8, "Both threads may read 7 before one of them writes, and then both write 8."),
}

# --- strides ----------------------------------------------------------------------------------------------------------


def _strides(shape, itemsize):
    return tuple(itemsize * prod(shape[axis + 1 :]) for axis in range(len(shape)))


# --- register tiles ---------------------------------------------------------------------------------------------------


def _best_tile(registers, lanes, F):
    return _tile_by()(registers, lanes, F)


def _tile_by(
    needed=lambda R, V: R * V + V + 1,
    score=lambda R, V: R * V / (R + V),
    divides=lambda V, lanes, F: F % (V * lanes) == 0,
    fits=lambda needed, registers: needed <= registers,
):
    """Return the search with one rule changed."""

    def variant(registers, lanes, F):
        tiles = [(R, V) for V in range(1, registers) for R in range(1, registers)
                 if fits(needed(R, V), registers) and divides(V, lanes, F)]  # fmt: skip
        return max(tiles, key=lambda tile: score(*tile), default=(1, 1))

    return variant


# --- F(2, 3) ----------------------------------------------------------------------------------------------------------

A = np.array([[1.0, 0], [1, 1], [1, -1], [0, 1]])
G = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
B = np.array([[1.0, 0, 0, 0], [0, 1, -1, -1], [-1, 1, 1, 0], [0, 0, 0, 1]])


def _winograd(d, g):
    return _winograd_with()(d, g)


def _winograd_with(A=A, B=B, G=G):
    def variant(d, g):
        products = (d @ B) * (G @ g)
        return products, products @ A

    return variant


def _by_definition(d, g):
    """Return the right outputs, but products of the definition instead of Winograd's."""
    out = np.stack([d[:, 0:3] @ g, d[:, 1:4] @ g], 1)
    return np.concatenate([d[:, :3] * g, out[:, :1]], 1), out


def _winograd_cases():
    rng = generator(13)
    return [(np.array([[5.0, 1, 3, 2]]), np.array([2.0, -1, 4]))] + [
        (rng.standard_normal((tiles, 4)), rng.standard_normal(3)) for tiles in (1, 4, 7)
    ]


# --- a row, and two dimensions ----------------------------------------------------------------------------------------


def _winograd_row(x, g):
    return np.convolve(x, g[::-1], "valid")


def _row_cases():
    rng = generator(18)
    return [(np.array([5.0, 1, 3, 2]), np.array([2.0, -1, 4]))] + [
        (rng.standard_normal(n + 2), rng.standard_normal(3)) for n in (6, 2, 10)
    ]


def _joined(change):
    """Return the right outputs in another arrangement; change takes the pairs, (tiles, 2)."""
    return lambda x, g: change(_winograd_row(x, g).reshape(-1, 2))


def _tiles_side_by_side(x, g):
    """Cut the row into tiles of 4 that do not overlap, and repeat the last outputs up to the right length."""
    tiles = np.pad(x, (0, -len(x) % 4)).reshape(-1, 4)
    return np.resize(_winograd(tiles, g)[1].ravel(), len(x) - 2)


def _winograd_2d(d, g):
    return _winograd_2d_with()(d, g)


def _winograd_2d_with(A=A, B=B, G=G, picture=lambda d, B: B.T @ d @ B, kernel=lambda g, G: G @ g @ G.T,
                      back=lambda M, A: A.T @ M @ A):  # fmt: skip
    return lambda d, g: back(kernel(g, G) * picture(d, B), A)


def _tile_cases():
    rng = generator(19)
    whole = rng.integers(-4, 5, (4, 4)).astype(float), rng.integers(-4, 5, (3, 3)).astype(float)
    return [whole] + [(rng.standard_normal((4, 4)), rng.standard_normal((3, 3))) for _ in range(3)]


# --- how many products ------------------------------------------------------------------------------------------------


def _multiplications(H, W, C, F, m, r):
    return H * W * r * r * C * F, -(-H // m) * -(-W // m) * (m + r - 1) ** 2 * C * F


def _winograd_count(count):
    """Return the right direct count with another Winograd count."""

    def variant(H, W, C, F, m, r):
        return H * W * r * r * C * F, count(H, W, C, F, m, r)

    return variant


# --- partial sums -----------------------------------------------------------------------------------------------------


def _partial_sums(numbers, parts):
    return _sums_between(lambda k, n, parts: k * n // parts)(numbers, parts)


def _sums_between(border, total=np.sum):
    def variant(numbers, parts):
        n = len(numbers)
        return np.array([total(numbers[border(k, n, parts) : border(k + 1, n, parts)]) for k in range(parts)])

    return variant


def _shifted_border(k, n, parts):
    """Begin the parts one later where n is not divisible, so that the first parts get the additional numbers."""
    return k * (n // parts) + min(k, n % parts)


def _overlapping_sums(numbers, parts):
    n = len(numbers)
    return np.array([numbers[k * n // parts : (k + 1) * n // parts + 1].sum() for k in range(parts)])


def _short_sums(numbers, parts):
    n = len(numbers)
    return np.array([numbers[k * n // parts : (k + 1) * n // parts - 1].sum() for k in range(parts)])


def _numbers_cases():
    rng = generator(20)
    return [(np.arange(1.0, 11), 4)] + [(rng.standard_normal(n), parts) for n, parts in ((12, 3), (23, 5), (7, 6))]


# --- roofline ---------------------------------------------------------------------------------------------------------


def _roofline(N, H, W, C, F, K, product, copy):
    return _roofline_with()(N, H, W, C, F, K, product, copy)


def _roofline_with(operations=2, size=4, taps=1, output=1, kernel=1, choose=min):
    def variant(N, H, W, C, F, K, product, copy):
        flops = operations * N * H * W * K * K * C * F
        moved = size * (N * H * W * (C * (K * K if taps > 1 else 1) + output * F) + kernel * K * K * C * F)
        return flops, moved, choose(product, flops / moved * copy)

    return variant


def _upside_down(N, H, W, C, F, K, product, copy):
    flops, moved, _ = _roofline(N, H, W, C, F, K, product, copy)
    return flops, moved, min(product, moved / flops * copy)


def _one_kernel_row(N, H, W, C, F, K, product, copy):
    flops, moved = 2 * N * H * W * K * C * F, 4 * (N * H * W * (C + F) + K * K * C * F)
    return flops, moved, min(product, flops / moved * copy)


def _valid_output(N, H, W, C, F, K, product, copy):
    pixels = (H - K + 1) * (W - K + 1)
    flops, moved = 2 * N * pixels * K * K * C * F, 4 * (N * (H * W * C + pixels * F) + K * K * C * F)
    return flops, moved, min(product, flops / moved * copy)


def _one_picture(N, H, W, C, F, K, product, copy):
    return _roofline(1, H, W, C, F, K, product, copy)


def _roofline_moving(count):
    """Return the right operations with another count of the bytes."""

    def variant(N, H, W, C, F, K, product, copy):
        flops = _roofline(N, H, W, C, F, K, product, copy)[0]
        moved = 4 * count(N, H, W, C, F, K)
        return flops, moved, min(product, flops / moved * copy)

    return variant


_kernel_for_each_picture = _roofline_moving(lambda N, H, W, C, F, K: N * (H * W * (C + F) + K * K * C * F))
_padded_picture = _roofline_moving(
    lambda N, H, W, C, F, K: N * ((H + K - 1) * (W + K - 1) * C + H * W * F) + K * K * C * F
)


# --- softmax ----------------------------------------------------------------------------------------------------------


def _softmax_classes_first(logits):
    rows = np.ascontiguousarray(logits.reshape(-1, logits.shape[-1]).T)
    rows -= rows.max(0)
    np.exp(rows, out=rows)
    rows /= rows.sum(0)
    return np.ascontiguousarray(rows.T).reshape(logits.shape)


def _softmax_pixels_first(logits):
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def _softmax_without_maximum(logits):
    e = np.exp(logits)
    return e / e.sum(-1, keepdims=True)


def _softmax_over(axes):
    def variant(logits):
        e = np.exp(logits - logits.max())
        return e / e.sum(axes, keepdims=True)

    return variant


def _one_maximum(logits):
    e = np.exp(logits - logits.max())
    return e / e.sum(-1, keepdims=True)


def _classes_left_first(logits):
    return np.moveaxis(_softmax_classes_first(logits), 3, 1).reshape(logits.shape)


def _logits_cases():
    rng = generator(21)
    cases = [(np.array([[[[0.0, 1, 2], [3, 3, 3]]]]),)]
    cases += [(rng.standard_normal(shape),) for shape in ((2, 3, 5, 4), (1, 4, 3, 11))]
    far = np.arange(24).reshape(1, 2, 4, 3) // 3 * 1000.0 + np.arange(3)  # pixels with very different logits
    return [
        *cases,
        (far,),
        (1000 + 30 * rng.standard_normal((2, 2, 3, 5)),),
        (rng.standard_normal((1, 3, 2, 6), np.float32),),
    ]


def _softmax_times_as_fast(answer):
    """Compare with the formula along the last axis, in turns; a slow answer only gets a part of the picture."""
    logits = np.random.default_rng(0).standard_normal((1, 360, 480, 11), np.float32)
    rounds = 5
    if _seconds(answer, logits[:, :6]) > 0.01:
        logits, rounds = logits[:, :6].copy(), 3
    _seconds(_softmax_pixels_first, logits)
    times = [(_seconds(_softmax_pixels_first, logits), _seconds(answer, logits)) for _ in range(rounds)]
    return float(np.divide(*np.min(times, 0)))


def _seconds(function, *arguments):
    began = perf_counter()
    function(*arguments)
    return perf_counter() - began


EXERCISES = [
    Exercise(
        name="array_strides",
        results=("strides",),
        reference=_strides,
        cases=lambda: [((2, 3, 5), 4), ((3, 3, 64, 32), 4), ((7, 4), 8), ((9,), 2), ((2, 6, 3, 5), 1)],
        tier="warm-up",
        mistakes={
            "These are numbers, not bytes. Multiply by itemsize.": lambda shape, itemsize: _strides(shape, 1),
            "The steps are in the reverse order. The last axis has the smallest step.":
                lambda shape, itemsize: _strides(shape, itemsize)[::-1],
            "The first axis has the smallest step here, as in Fortran. In NumPy the last axis has.":
                lambda shape, itemsize: _strides(shape[::-1], itemsize)[::-1],
            "A step is multiplied by the length of its own axis. Multiply only the lengths of the axes after it.":
                lambda shape, itemsize: [itemsize * prod(shape[axis:]) for axis in range(len(shape))],
            "Only the length of the next axis is multiplied. Multiply the lengths of all axes after it.":
                lambda shape, itemsize: [itemsize * length for length in (*shape[1:], 1)],
            "The lengths are added. Multiply the lengths of the axes after it.":
                lambda shape, itemsize: [itemsize * max(1, sum(shape[axis + 1 :])) for axis in range(len(shape))],
        },
    ),
    Exercise(
        name="best_tile",
        results=("R", "V"),
        reference=_best_tile,
        cases=lambda: [(32, 16, 64), (16, 8, 64), (32, 8, 48), (9, 4, 4), (24, 4, 64), (32, 4, 60), (13, 8, 24),
                       (32, 16, 16), (48, 4, 128)],
        mistakes={
            "V * lanes must divide F.": _tile_by(divides=lambda V, lanes, F: True),
            "V divides F here, but V * lanes must divide F.":
                _tile_by(divides=lambda V, lanes, F: F % V == 0),
            "The sums alone fill the registers. V vectors of the kernel and one picture number need V + 1 more.":
                _tile_by(needed=lambda R, V: R * V),
            "Registers are missing. Count R * V sums, V vectors of the kernel and the repeated picture number.":
                _tile_by(needed=lambda R, V: R * V + V),
            "R + 1 registers are added to the sums, but the picture's numbers share one register. Add V + 1.":
                _tile_by(needed=lambda R, V: R * V + R + 1),
            "A register remains unused. The tile may fill all registers.":
                _tile_by(fits=lambda needed, registers: needed < registers),
            "This tile has the most sums. The highest number of multiply-adds per load is wanted.":
                _tile_by(score=lambda R, V: R * V),
            "This tile has the fewest multiply-adds per load. The most are wanted.":
                _tile_by(score=lambda R, V: -R * V / (R + V)),
            "The two results are swapped. R comes first.": lambda *given: _best_tile(*given)[::-1],
        },
    ),
    Exercise(
        name="winograd_1d",
        results=("products", "out"),
        reference=_winograd,
        cases=_winograd_cases,
        mistakes={
            "The picture is transformed with B, but it needs B^T, which for rows is d @ B.": _winograd_with(B=B.T),
            "The halves in G are missing.": _winograd_with(G=np.where(G == 0.5, 1.0, np.where(G == -0.5, -1.0, G))),
            "The kernel is reversed. g[0] belongs to d[0].": lambda d, g: _winograd(d, g[::-1]),
            "The last product has the wrong sign. This product must be (d3 - d1) * g2.": _winograd_with(
                B=B * np.array([1, 1, 1, -1.0]), A=A * np.array([[1], [1], [1], [-1.0]])
            ),
            "The products are right, but y1 adds the third product. Subtract the product instead.":
                _winograd_with(A=np.abs(A)),
            "The last product is subtracted in y1. Add the product instead.":
                _winograd_with(A=A * np.array([[1], [1], [1], [-1.0]])),
            "The third product is subtracted in y0. Add the product instead.":
                _winograd_with(A=np.abs(A) * np.array([[1, 1], [1, 1], [-1, -1], [1, 1]])),
            "The last product is added to y0, but it belongs to y1 alone.":
                _winograd_with(A=np.array([[1.0, 0], [1, 1], [1, -1], [1, 1]])),
            "These are a direct convolution's products. Transform d and g before you multiply them.": _by_definition,
        },
    ),
    Exercise(
        name="winograd_row",
        results=("y",),
        reference=_winograd_row,
        cases=_row_cases,
        mistakes={
            "The kernel is reversed. g[0] belongs to the first of its three numbers.":
                lambda x, g: _winograd_row(x, g[::-1]),
            "The tiles do not overlap. They begin 2 numbers apart, because each has 2 outputs.": _tiles_side_by_side,
            "The two outputs of a tile are not side by side. Join the tiles' outputs in reading order.":
                _joined(lambda pairs: pairs.T.ravel()),
            "The pairs of outputs must be joined to one row.": _joined(lambda pairs: pairs),
            "The two outputs of a tile are exchanged.": _joined(lambda pairs: pairs[:, ::-1].ravel()),
            "Only the first output of each tile is right, and it is repeated.":
                _joined(lambda pairs: pairs[:, :1].repeat(2, 1).ravel()),
            "Only the first output of each tile is returned. Each tile has two outputs.":
                lambda x, g: _winograd_row(x, g)[::2],
            "The row is padded, but x already contains the two additional numbers.":
                lambda x, g: _winograd_row(np.pad(x, 1), g),
        },
    ),
    Exercise(
        name="winograd_2d",
        results=("y",),
        reference=_winograd_2d,
        cases=_tile_cases,
        mistakes={
            "The picture is transformed with B, but it needs B^T on the left and B on the right.":
                _winograd_2d_with(picture=lambda d, B: B @ d @ B.T),
            "Only the columns of the picture are transformed. Its rows need B on the right.":
                _winograd_2d_with(picture=lambda d, B: B.T @ d),
            "The picture is transformed with B^T on both sides. On the right, its transpose B is needed.":
                _winograd_2d_with(picture=lambda d, B: B.T @ d @ B.T),
            "The picture is transformed with B on both sides. On the left, its transpose B^T is needed.":
                _winograd_2d_with(picture=lambda d, B: B @ d @ B),
            "Only the columns of the result are transformed. Its rows need A on the right.":
                _winograd_2d_with(back=lambda M, A: A.T @ M),
            "The kernel is flipped.": lambda d, g: _winograd_2d(d, g[::-1, ::-1]),
            "The kernel is transposed.": lambda d, g: _winograd_2d(d, g.T),
            "The picture is transposed.": lambda d, g: _winograd_2d(d.T, g),
            "U and V are multiplied as matrices. Multiply the numbers at the same place.":
                lambda d, g: A.T @ ((G @ g @ G.T) @ (B.T @ d @ B)) @ A,
            "The halves in G are missing.":
                _winograd_2d_with(G=np.where(G == 0.5, 1.0, np.where(G == -0.5, -1.0, G))),
        },
    ),
    Exercise(
        name="multiplications",
        results=("direct", "winograd"),
        reference=_multiplications,
        cases=lambda: [(4, 4, 1, 1, 4, 3), (8, 12, 3, 5, 4, 3), (6, 4, 3, 5, 2, 3), (45, 60, 16, 8, 4, 3),
                       (23, 30, 4, 6, 4, 4), (90, 121, 64, 32, 4, 3)],
        mistakes={
            "One row of the kernel is counted. A kernel takes r * r products per output and pair of channels.":
                lambda H, W, C, F, m, r: (H * W * r * C * F, _multiplications(H, W, C, F, m, r)[1]),
            "The number of tiles is rounded down. Tiles at the border are computed completely.": _winograd_count(
                lambda H, W, C, F, m, r: (H // m) * (W // m) * (m + r - 1) ** 2 * C * F),
            "The total number of tiles is rounded up. Round up in each direction instead.": _winograd_count(
                lambda H, W, C, F, m, r: -(-H * W // (m * m)) * (m + r - 1) ** 2 * C * F),
            "m + r points are counted in each direction, but m outputs and r taps need m + r - 1.": _winograd_count(
                lambda H, W, C, F, m, r: -(-H // m) * -(-W // m) * (m + r) ** 2 * C * F),
            "Parts of tiles are counted. Tiles at the border are computed completely.": _winograd_count(
                lambda H, W, C, F, m, r: H * W / m**2 * (m + r - 1) ** 2 * C * F),
            "m * r points are counted in each direction, but m outputs and r taps need m + r - 1.": _winograd_count(
                lambda H, W, C, F, m, r: -(-H // m) * -(-W // m) * (m * r) ** 2 * C * F),
            "The two results are swapped. direct comes first.": lambda *shape: _multiplications(*shape)[::-1],
            "The points of one direction are counted. In two directions, square the number of points.": _winograd_count(
                lambda H, W, C, F, m, r: -(-H // m) * -(-W // m) * (m + r - 1) * C * F),
            "The input channels are missing. Each point takes C * F products.": _winograd_count(
                lambda H, W, C, F, m, r: -(-H // m) * -(-W // m) * (m + r - 1) ** 2 * F),
            "The points are counted for every pixel, but a whole tile of m x m outputs shares them.": _winograd_count(
                lambda H, W, C, F, m, r: H * W * (m + r - 1) ** 2 * C * F),
        },
    ),
    Exercise(
        name="partial_sums",
        results=("sums",),
        reference=_partial_sums,
        cases=_numbers_cases,
        mistakes={
            "The last numbers are lost. Part k ends at (k + 1) * n // parts, and the last part ends at n.":
                _sums_between(lambda k, n, parts: k * (n // parts)),
            "The last part gets all additional numbers. Part k begins at k * n // parts.":
                _sums_between(lambda k, n, parts: n if k == parts else k * (n // parts)),
            "The first parts get the additional numbers. Part k begins at k * n // parts.":
                _sums_between(_shifted_border),
            "The borders are rounded up. Round down: k * n // parts.":
                _sums_between(lambda k, n, parts: -(-k * n // parts)),
            "The parts overlap. A part ends before index (k + 1) * n // parts, and a slice excludes its end.":
                _overlapping_sums,
            "The last number of each part is missing. A slice already excludes its end.": _short_sums,
            "A part contains every parts-th number. It must contain neighbouring numbers.":
                lambda numbers, parts: np.array([numbers[k::parts].sum() for k in range(parts)]),
            "These are the sums from the beginning. Each part has its own sum.":
                lambda numbers, parts: np.cumsum(_partial_sums(numbers, parts)),
            "These are means. Add the numbers of each part.":
                _sums_between(lambda k, n, parts: k * n // parts, lambda part: part.sum() / max(len(part), 1)),
            "The parts are added up already. Return one sum per part.": lambda numbers, parts: numbers.sum(),
        },
    ),
    Exercise(
        name="roofline",
        results=("flops", "bytes", "rate"),
        reference=_roofline,
        cases=lambda: [(1, 8, 8, 4, 4, 3, 1e9, 1e12), (1, 6, 10, 2, 3, 3, 2e11, 1e9),
                       (2, 45, 60, 64, 32, 3, 2e11, 3e10), (3, 90, 120, 3, 16, 7, 5e10, 2e10),
                       (1, 90, 120, 64, 11, 1, 3e11, 2e10)],
        mistakes={
            "A multiply-add is counted as one operation. Count each multiply-add as two.": _roofline_with(operations=1),
            "The bytes are a count of numbers. A float32 number has 4 bytes.": _roofline_with(size=1),
            "A number takes 8 bytes here, as in float64. In float32 it takes 4 bytes.": _roofline_with(size=8),
            "The output's bytes are missing. The output must also be written.": _roofline_with(output=0),
            "The kernel's bytes are missing. The kernel must also be read.": _roofline_with(kernel=0),
            "The picture is counted once per tap. Count the picture once.": _roofline_with(taps=9),
            "The higher roof is taken. The lower roof is the limit.": _roofline_with(choose=max),
            "The rate is a number of bytes. Multiply copy by the operations per byte.":
                lambda N, H, W, C, F, K, product, copy:
                    (*_roofline(N, H, W, C, F, K, product, copy)[:2], min(product, copy)),
            "One row of the kernel is counted. A kernel has K * K taps.": _one_kernel_row,
            "The output has H x W pixels, because the padding is \"same\".": _valid_output,
            "Intensity is operations per byte, not bytes per operation.": _upside_down,
            "Only one picture is counted, but there are N pictures.": _one_picture,
            "The kernel is counted once per picture, but one kernel is used for all N pictures.":
                _kernel_for_each_picture,
            "The padding is counted, but only the picture is read.": _padded_picture,
            "The times of both limits are added up. Both apply at once, so take the lower rate.": _roofline_with(
                choose=lambda product, slope: 1 / (1 / product + 1 / slope)),
        },
    ),
    Challenge(
        name="fast_softmax",
        results=("probabilities",),
        reference=_softmax_classes_first,
        cases=_logits_cases,
        mistakes={
            "Large logits overflow. Subtract the largest logit of each pixel first.": _softmax_without_maximum,
            "The largest logit of all pixels is subtracted. Subtract the largest logit of each pixel.": _one_maximum,
            "These are logarithms of the probabilities.": lambda logits: np.log(_softmax_pixels_first(logits)),
            "Each class is divided by its sum over the pixels. Divide each pixel by its sum over the classes.":
                _softmax_over((0, 1, 2)),
            "The classes are first in memory. Bring them back to the last axis.": _classes_left_first,
        },
        measure=_softmax_times_as_fast,
        unit="times as fast as the formula along the last axis",
        goal=2.0,
        timed=True,
    ),
]  # fmt: skip
