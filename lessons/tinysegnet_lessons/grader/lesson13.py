"""Exercises of lesson 13: Winograd's F(2, 3), the multiplications that it saves, and the limit set by a roofline."""

import numpy as np

from .exercise import Exercise, generator

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
            "Intensity is operations per byte, not bytes per operation.": _upside_down,
            "Only one picture is counted, but there are N pictures.": _one_picture,
            "The kernel is counted once per picture, but one kernel is used for all N pictures.":
                _kernel_for_each_picture,
            "The padding is counted, but only the picture is read.": _padded_picture,
            "The times of both limits are added up. Both apply at once, so take the lower rate.": _roofline_with(
                choose=lambda product, slope: 1 / (1 / product + 1 / slope)),
        },
    ),
]  # fmt: skip
