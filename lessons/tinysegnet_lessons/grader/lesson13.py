"""Exercises of lesson 13: Winograd's F(2, 3), the multiplications it saves, and the limit of a roofline."""

import numpy as np

from .exercise import Exercise

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
    """Return the six products, summed in pairs: the outputs are right, but nothing is saved."""
    out = np.stack([d[:, 0:3] @ g, d[:, 1:4] @ g], 1)
    return np.concatenate([d[:, :3] * g, out[:, :1]], 1), out


def _winograd_cases():
    rng = np.random.default_rng(13)
    return [(np.array([[5.0, 1, 3, 2]]), np.array([2.0, -1, 4]))] + [
        (rng.standard_normal((tiles, 4)), rng.standard_normal(3)) for tiles in (1, 4, 7)
    ]


# --- how many products ------------------------------------------------------------------------------------------------


def _multiplications(H, W, C, F, m, r):
    return H * W * r * r * C * F, -(-H // m) * -(-W // m) * (m + r - 1) ** 2 * C * F


def _winograd_count(count):
    """Return the right direct count with another Winograd count."""

    def variant(H, W, C, F, m, r):
        return H * W * r * r * C * F, count(H, W, C, F, m, r)

    return variant


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


EXERCISES = [
    Exercise(
        name="winograd_1d",
        results=("products", "out"),
        reference=_winograd,
        cases=_winograd_cases,
        mistakes={
            "d is multiplied by B; the picture needs B^T, which for rows is d @ B": _winograd_with(B=B.T),
            "the halves in G are missing": _winograd_with(G=np.where(G == 0.5, 1.0, np.where(G == -0.5, -1.0, G))),
            "the kernel is reversed: g[0] belongs to d[0]": lambda d, g: _winograd(d, g[::-1]),
            "the last product has the wrong sign: here it is (d3 - d1) * g2": _winograd_with(
                B=B * np.array([1, 1, 1, -1.0]), A=A * np.array([[1], [1], [1], [-1.0]])
            ),
            "the products are right; y1 subtracts the third one and adds the last one":
                _winograd_with(A=np.abs(A)),
            "y1 is the second product minus the third plus the last":
                _winograd_with(A=A * np.array([[1], [1], [1], [-1.0]])),
            "y0 is the sum of the first three products":
                _winograd_with(A=np.abs(A) * np.array([[1, 1], [1, 1], [-1, -1], [1, 1]])),
            "the last product belongs to y1 alone": _winograd_with(A=np.array([[1.0, 0], [1, 1], [1, -1], [1, 1]])),
            "these are products of the definition; evaluate d and g at the four points first": _by_definition,
        },
    ),
    Exercise(
        name="multiplications",
        results=("direct", "winograd"),
        reference=_multiplications,
        cases=lambda: [(4, 4, 1, 1, 4, 3), (8, 12, 3, 5, 4, 3), (6, 4, 3, 5, 2, 3), (45, 60, 16, 8, 4, 3),
                       (23, 30, 4, 6, 4, 4), (90, 121, 64, 32, 4, 3)],
        mistakes={
            "a kernel has r rows and r columns: r * r products for each output and pair of channels":
                lambda H, W, C, F, m, r: (H * W * r * C * F, _multiplications(H, W, C, F, m, r)[1]),
            "a tile at the border is computed whole: round the number of tiles up, in each direction": _winograd_count(
                lambda H, W, C, F, m, r: (H // m) * (W // m) * (m + r - 1) ** 2 * C * F),
            "round the number of tiles up in both directions, not once at the end": _winograd_count(
                lambda H, W, C, F, m, r: -(-H * W // (m * m)) * (m + r - 1) ** 2 * C * F),
            "m outputs and r taps need m + r - 1 points, in each direction": _winograd_count(
                lambda H, W, C, F, m, r: -(-H // m) * -(-W // m) * (m + r) ** 2 * C * F),
            "the tiles at the border are missing: round their number up, in each direction": _winograd_count(
                lambda H, W, C, F, m, r: H * W / m**2 * (m + r - 1) ** 2 * C * F),
            "m outputs and r taps need m + r - 1 points, not m * r": _winograd_count(
                lambda H, W, C, F, m, r: -(-H // m) * -(-W // m) * (m * r) ** 2 * C * F),
            "the two results are swapped: direct comes first": lambda *shape: _multiplications(*shape)[::-1],
            "this is for one direction: in two, square the number of points": _winograd_count(
                lambda H, W, C, F, m, r: -(-H // m) * -(-W // m) * (m + r - 1) * C * F),
            "point by point there is still a sum over the channels: C * F products for each point": _winograd_count(
                lambda H, W, C, F, m, r: -(-H // m) * -(-W // m) * (m + r - 1) ** 2 * F),
            "this is for every pixel; the points are shared by a whole tile of m x m outputs": _winograd_count(
                lambda H, W, C, F, m, r: H * W * (m + r - 1) ** 2 * C * F),
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
            "a multiply-add counts as two operations": _roofline_with(operations=1),
            "these are counts of numbers; a float32 number has 4 bytes": _roofline_with(size=1),
            "float32 has 4 bytes, float64 8": _roofline_with(size=8),
            "the output must also be written": _roofline_with(output=0),
            "the kernel must also be read": _roofline_with(kernel=0),
            "the picture is read once, not once per tap: the taps find it in the cache": _roofline_with(taps=9),
            "the lower roof is the limit: take the smaller of the two": _roofline_with(choose=max),
            "intensity is operations per byte, not bytes per operation": _upside_down,
            "there are N pictures": _one_picture,
            "one kernel is used for all N pictures": _kernel_for_each_picture,
            "only the picture is read; the zeros of its padding are not loaded": _padded_picture,
            "both limits apply at once, so take the lower one; this adds up their times": _roofline_with(
                choose=lambda product, slope: 1 / (1 / product + 1 / slope)),
        },
    ),
]  # fmt: skip
