"""Tests of Winograd's algorithms: their matrices, borders and rounding, and the cost model that chooses them."""

from fractions import Fraction

import numpy as np
import pytest
from forms import LONG, amount

from tinysegnet import ops
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import check
from tinysegnet.ops import conv
from tinysegnet.ops.engine import cost_model, winograd, winograd_transform

F4X3, F4X4 = winograd_transform.WinogradF4x3, winograd_transform.WinogradF4x4
F6X3 = winograd_transform.WinogradF6x3
MATRICES = {f"{name} of {algorithm.__name__}": matrix for algorithm, matrices in winograd_transform.MATRICES.items()
            for name, matrix in zip("ABG", matrices, strict=True)}  # fmt: skip


def relative(a, b):
    return np.linalg.norm(a.astype(float) - b) / np.linalg.norm(b)


def draw(shape, K, F, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    C = shape[3]
    arrays = [rng.standard_normal(s) for s in (shape, (K, K, C, F), (F,), (*shape[:3], F))]
    arrays[1] /= np.sqrt(K * K * C)
    return [array.astype(dtype) for array in arrays]


@pytest.mark.parametrize("algorithm", [F4X3(), F4X4(), F6X3()])
def test_matrices_compute_a_convolution_in_exact_fractions(algorithm):
    """A^T [(G g) * (B^T d)] is the convolution for all unit vectors g and d, without rounding."""
    A, B, G = winograd_transform.MATRICES[type(algorithm)]
    A, B = ([[Fraction(x) for x in row] for row in M] for M in (A, B))
    G = [
        [Fraction(x).limit_denominator(1000) for x in row] for row in G
    ]  # floating-point numbers cannot represent 1/6 exactly
    points = range(algorithm.side)
    for tap in range(algorithm.taps):
        for pixel in points:
            for y in range(algorithm.outputs):
                found = sum(A[p][y] * G[p][tap] * B[pixel][p] for p in points)
                assert found == (pixel == y + tap)


@pytest.mark.parametrize("name", MATRICES)
def test_product_of_the_factors_is_the_matrix(name):
    for matrix in (MATRICES[name], MATRICES[name].T):
        found = np.linalg.multi_dot([*winograd_transform.factors(matrix), np.eye(matrix.shape[1])])
        np.testing.assert_allclose(found, matrix, rtol=1e-15)
    assert len(winograd_transform.factors(winograd_transform.MATRICES[F4X3][1].T)) == 2


@pytest.mark.parametrize("channels", [1, 3, 16, 17, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_transform_is_two_matrix_products(channels, dtype):
    """The version without numba, which is the definition, is compared with einsum."""
    rng = np.random.default_rng(0)
    grid = rng.standard_normal((6, 6, channels)).astype(dtype)
    B = winograd_transform.MATRICES[F4X3][1]
    expected = np.einsum("ai,ijc,bj->abc", B.T, grid, B.T)
    found = np.zeros((6, 6, channels), dtype)
    apply = winograd_transform.make_transform_numpy({F4X3: B.T})
    places = (0, 6 * channels, channels)
    apply(F4X3(), grid.reshape(-1), *places, found.reshape(-1), *places, channels)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


# A vector has up to 8 numbers in float64 and 16 in float32, and a tile has 4 vectors. The short form has counts next to
# these limits; test_conv_transpose.py tests vectors of float32.
@pytest.mark.parametrize("dtype", amount([np.float64], [np.float32, np.float64]))
@pytest.mark.parametrize("channels", amount([1, 7, 8, 25, 33, 64], range(1, 71)))
def test_every_number_of_channels_agrees_with_the_definition(channels, dtype):
    """Divided by the vector size, the numbers of input and output channels leave every remainder."""
    F = 71 - channels
    x, weight, bias, dout = draw((1, 9, 6, channels), 3, F, dtype, seed=channels)
    for variant in VARIANTS:
        out, cache = getattr(conv, f"conv2d_forward_{variant}")(x, weight, bias)
        results = out, *getattr(conv, f"conv2d_backward_{variant}")(dout, cache)
        expected, cache = conv.conv2d_forward_numpy(x, weight, bias)
        for a, b in zip(results, (expected, *conv.conv2d_backward_numpy(dout, cache)), strict=True):
            assert relative(a, b) < (1e-5 if dtype == np.float32 else 1e-13)


VARIANTS = ["direct", "winograd", "winograd_f6"]
SHAPES = [  # (N, H, W, C), K, F, padding
    ((1, 1, 1, 2), 3, 3, "same"),
    ((2, 4, 4, 3), 3, 2, "same"),
    ((1, 5, 9, 2), 3, 3, "valid"),
    ((1, 6, 5, 2), 3, 2, 2),
    ((1, 3, 7, 2), 4, 2, "same"),
    ((1, 9, 6, 2), 5, 2, "same"),
    ((1, 8, 9, 2), 7, 2, "same"),
    ((1, 9, 11, 1), 9, 2, (0, 3)),
]


@pytest.mark.parametrize(("variant", "shape", "K", "F", "padding"), [
    (variant, *shape) for variant in VARIANTS for shape in SHAPES
    if variant != "winograd_f6" or shape[1] == 3], ids=str)  # fmt: skip
def test_results_and_gradients_at_borders_agree_with_the_definition(variant, shape, K, F, padding):
    x, weight, bias, _ = draw(shape, K, F)
    forward, backward = getattr(conv, f"conv2d_forward_{variant}"), getattr(conv, f"conv2d_backward_{variant}")
    expected, expected_cache = conv.conv2d_forward_numpy(x, weight, bias, padding=padding)
    dout = np.random.default_rng(1).standard_normal(expected.shape)
    out, cache = forward(x, weight, bias, padding=padding)
    results = out, *backward(dout, cache)
    for a, b in zip(results, (expected, *conv.conv2d_backward_numpy(dout, expected_cache)), strict=True):
        assert relative(a, b) < 1e-13
    if LONG:  # numba compiles the kernels again for the read-only arrays of a gradient check
        report = check(lambda *arrays: forward(*arrays, padding=padding), backward, x, weight, bias)
        assert report.ok, f"\n{report}"


@pytest.mark.parametrize(("name", "K"), [("winograd_f4x3", 3), ("winograd_f6x3", 3), ("winograd_f4x4", 5),
                                         ("winograd_f4x4", 7)])  # fmt: skip
def test_many_blocks_of_tiles_agree_with_the_definition(name, K, monkeypatch):
    """Tiles are processed in several blocks, which contain whole pictures and parts of pictures."""
    monkeypatch.setattr(winograd, "NARROW", 0)
    monkeypatch.setattr(winograd, "FUSED", 0)
    x, weight, bias, dout = draw((3, 42, 45, 5), K, 6)
    expected, cache = conv.conv2d_forward_numpy(x, weight, bias)
    _, dweight, _ = conv.conv2d_backward_numpy(dout, cache)
    out, found = np.empty_like(expected), np.empty_like(weight)
    assert name in winograd.algorithms_for(weight.shape, (1, 1))
    winograd.forward(name, x, weight, bias, out, cache.pads, False, budget=1)
    winograd.weight_gradient(name, x, dout, found, cache.pads, budget=1)
    assert relative(out, expected) < 1e-13
    assert relative(found, dweight) < 1e-13


ROUNDING = [((1, 90, 120, 64), 3), ((1, 23, 30, 256), 3), ((1, 90, 120, 16), 7)]


def amplification(found, exact, dtype):
    """Return the relative error as a multiple of the dtype's rounding unit."""
    return relative(found, exact) / np.finfo(dtype).eps


@pytest.mark.parametrize(("variant", "shape", "K", "dtype"), [
    (variant, *row) for variant in ("winograd", "winograd_f6") for row in amount(
        [((1, 23, 30, 64), 3, np.float64), ((1, 23, 30, 16), 7, np.float64)],
        [(*row, dtype) for row in ROUNDING for dtype in (np.float32, np.float64)])
    if variant == "winograd" or row[1] == 3], ids=str)  # fmt: skip
def test_rounding_error_is_bounded(variant, shape, K, dtype):
    """The bounds of F(6x6, 3x3), whose points are those of F(4x4, 4x4), are twice those of F(4x4, 3x3)."""
    bound = 2 if variant == "winograd_f6" else 1
    x, weight, bias, dout = draw(shape, K, shape[3], dtype)
    out, cache = getattr(conv, f"conv2d_forward_{variant}")(x, weight, bias)
    dx, dweight, _ = getattr(conv, f"conv2d_backward_{variant}")(dout, cache)
    exact, cache = conv.conv2d_forward_direct(*(a.astype(float) for a in (x, weight, bias)))
    exact_dx, exact_dweight, _ = conv.conv2d_backward_direct(dout.astype(float), cache)
    assert amplification(out, exact, dtype) < 40 * bound
    assert amplification(dx, exact_dx, dtype) < 40 * bound
    assert amplification(dweight, exact_dweight, dtype) < 250 * bound


def test_winograd_rejects_other_kernels_and_strides():
    for K, stride in ((1, 1), (2, 1), (3, 2)):
        with pytest.raises(ShapeError, match="Winograd"):
            conv.conv2d_forward_winograd(np.zeros((1, 8, 8, 2)), np.zeros((K, K, 2, 2)), stride=stride)
    with pytest.raises(ShapeError, match="Winograd"):
        conv.conv2d_forward_winograd(np.zeros((1, 8, 8, 2)), np.zeros((3, 5, 2, 2)))
    with pytest.raises(ShapeError, match="exactly 3x3"):
        conv.conv2d_forward_winograd_f6(np.zeros((1, 8, 8, 2)), np.zeros((5, 5, 2, 2)))


def test_conv2d_inference_is_forward_with_scale_and_relu():
    for shape, K in (((2, 9, 7, 3), 3), ((1, 40, 50, 32), 3), ((1, 9, 7, 3), 1), ((1, 40, 40, 16), 7)):
        x, weight, bias, _ = draw(shape, K, 5)
        out, _ = conv.conv2d_forward_numba(x, weight, bias)
        np.testing.assert_array_equal(conv.conv2d_inference_numba(x, weight, bias), out)
        np.testing.assert_array_equal(conv.conv2d_inference_numba(x, weight, bias, relu=True), np.maximum(out, 0))
        found = conv.conv2d_inference_numpy(x, weight, bias, relu=True)
        np.testing.assert_allclose(found, np.maximum(out, 0), atol=1e-13)
        scale = np.arange(5.0) - 2
        scaled = [infer(x, weight, scale=scale) for infer in (conv.conv2d_inference_numpy, conv.conv2d_inference_numba)]
        np.testing.assert_allclose(*scaled, atol=1e-13)
        np.testing.assert_allclose(scaled[0], (out - bias) * scale, atol=1e-12)
    nan = np.full((1, 12, 12, 16), np.nan)
    assert np.isnan(ops.conv2d_inference(nan, np.ones((3, 3, 16, 16)), relu=True)).all()


# --- the choice ------------------------------------------------------------------------------------------------------


def test_cost_model_chooses_winograd_at_the_sizes_of_segnet():
    for C, H, W in ((64, 360, 480), (128, 180, 240), (256, 90, 120)):
        assert cost_model.choose_convolution((3, 3, C, C), (1, 1), (1, H, W, C)) == "winograd_f6x3"
        assert cost_model.choose_weight_gradient((3, 3, C, C), (1, 1), (1, H, W, C)) == "winograd_f6x3"
    for C, H, W in ((512, 45, 60), (512, 23, 30)):  # the weight of F(6x6, 3x3) is too large
        assert cost_model.choose_convolution((3, 3, C, C), (1, 1), (1, H, W, C)) == "winograd_f4x3"
        assert cost_model.choose_weight_gradient((3, 3, C, C), (1, 1), (1, H, W, C)) == "winograd_f4x3"
    assert cost_model.choose_convolution((7, 7, 64, 64), (1, 1), (1, 180, 240, 64)) == "winograd_f4x4"
    assert cost_model.choose_convolution((1, 1, 64, 11), (1, 1), (1, 360, 480, 11)) == "direct"
    assert cost_model.choose_convolution((3, 3, 64, 64), (2, 2), (1, 180, 240, 64)) == "direct"
    assert cost_model.choose_convolution((3, 3, 8, 8), (1, 1), (1, 8, 8, 8)) == "direct"  # too small for a gain


def test_inference_leaves_out_larger_tiles_which_do_not_fit_the_cuts_of_predict():
    shapes = (3, 3, 64, 64), (1, 1), (1, 360, 480, 64)
    assert cost_model.choose_convolution(*shapes) == "winograd_f6x3"
    assert cost_model.choose_convolution(*shapes, inference=True) == "winograd_f4x3"
    rng = np.random.default_rng(0)
    picture, weight = rng.standard_normal((1, 96, 88, 32)), rng.standard_normal((3, 3, 32, 32))
    assert cost_model.choose_convolution(weight.shape, (1, 1), picture.shape) == "winograd_f6x3"
    whole = ops.conv2d_inference(picture, weight)
    np.testing.assert_array_equal(ops.conv2d_inference(picture[:, 4:], weight)[:, 4:], whole[:, 8:])


def test_cost_model_chooses_the_cheapest_algorithm():
    for C in (3, 16, 64):
        for size in (4, 20, 100):
            shapes = (3, 3, C, 16), (1, 1), (1, size, size, 16)
            for costs, choose in ((cost_model.convolution_costs, cost_model.choose_convolution),
                                  (cost_model.weight_gradient_costs, cost_model.choose_weight_gradient)):  # fmt: skip
                assert set(costs(*shapes)) == {"direct", "winograd_f4x3", "winograd_f6x3"}
                small = size**2 < cost_model.LEAST_PIXELS
                allowed = [cost for name, cost in costs(*shapes).items() if name != "winograd_f6x3" or not small]
                assert costs(*shapes)[choose(*shapes)] == min(allowed)


def test_costs_are_counted_in_multiply_adds():
    """Whole vectors have 16 channels, and the starts take as long as 1.0 and 1.9 million multiply-adds."""
    direct, winograd = 1_000_000, 1_900_000
    strided = (3, 5, 20, 17), (2, 1), (2, 10, 12, 17)
    assert cost_model.convolution_costs(*strided) == {"direct": direct + 240 * (3 * 5 * 20 + 4) * 32}
    assert cost_model.weight_gradient_costs(*strided) == {"direct": 2 * direct + 240 * 3 * 102 * 32}
    for name, K, out_shape, tiles, points, taps, pieces in (
        ("winograd_f4x3", 3, (2, 10, 12, 17), 2 * 3 * 3, 36, 3, 1),
        ("winograd_f6x3", 3, (2, 10, 12, 17), 2 * 2 * 2, 64, 3, 1),
        ("winograd_f4x4", 7, (2, 10, 12, 17), 2 * 4 * 4, 49, 4, 4),
        ("winograd_f4x3", 3, (1, 4, 3, 17), 1, 36, 3, 1),
        ("winograd_f6x3", 3, (1, 4, 7, 17), 2, 64, 3, 1),
    ):
        U, V_and_M = pieces * points * 20 * 32, tiles * points * (32 + 32)
        expected = winograd + max(tiles, 6) * U + taps * (4 * V_and_M + 24 * U)
        for costs in (cost_model.convolution_costs, cost_model.weight_gradient_costs):
            found = costs((K, K, 20, 17), (1, 1), out_shape)
            assert found.keys() == {"direct", *winograd_names(K)}
            assert found[name] == expected


def winograd_names(K):
    return ("winograd_f4x3", "winograd_f6x3") if K == 3 else ("winograd_f4x4",)
