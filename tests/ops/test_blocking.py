"""Kernels agree with the definition for sizes just below, at and above every constant that divides their work.

The sizes are computed from the constants, so a changed constant changes the cases. Random sizes follow at the end.
"""

import numpy as np
import pytest
from forms import amount
from golden_values import relative
from hypothesis import given, settings
from hypothesis import strategies as st

from tinysegnet import ops, runtime
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import find_variants
from tinysegnet.ops import batchnorm, conv, depthwise, softmax
from tinysegnet.ops.engine import direct, winograd

TILE_ROWS, TILE_COLUMNS, LANES = 6, 32, 8  # of a register tile in float64
if runtime.JIT:
    from tinysegnet.ops.engine import gemm_microkernel, simd

    LANES = simd._vector_bytes() // 8
    TILE_ROWS, TILE_COLUMNS = gemm_microkernel.ROWS, simd.MOST_VECTORS * LANES


def around(*sizes):
    """Return each size, and the sizes one below and one above it."""
    return sorted({size + more for size in sizes for more in (-1, 0, 1)} - {0})


def compare(op, *arrays, **settings):
    """Compare the results and gradients of all variants that support these arguments with the definition."""
    expected, rng = None, np.random.default_rng(1)
    for variant, (forward, backward) in find_variants(op).items():
        try:
            out, cache = forward(*arrays, **settings)
        except ShapeError:
            assert variant not in ("numpy", "numba")
            continue
        outs = out if isinstance(out, tuple) else (out,)
        if expected is None:
            dout = np.asarray(rng.standard_normal(outs[0].shape))[()]
        gradients = backward(dout, cache)
        results = [*outs, *(gradients if isinstance(gradients, tuple) else [gradients])]
        expected = expected or results
        assert max(map(relative, results, expected)) < 1e-12, variant


def drawn(shape, kernel, features=None):
    """Return x, weight and bias of a convolution, which is depthwise without a number of features."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((*kernel, shape[3], features) if features else (*kernel, 1, shape[3]))
    return rng.standard_normal(shape), weight / np.sqrt(weight[..., 0].size), rng.standard_normal(weight.shape[3])


# --- convolution -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [*around(winograd.PANEL, winograd.ROWS), winograd.PANEL * 3 // 2])
def test_channels_may_fill_several_panels(size):
    """In the input gradient, channels and features swap roles."""
    compare("conv2d", *drawn((1, 5, 6, size), (3, 3), 2))
    compare("conv2d", *drawn((1, 6, 5, 2), (4, 4), size))


@pytest.mark.parametrize("tiles", around(winograd.TILES_PER_TASK))
def test_tiles_may_fill_several_tasks(tiles):
    compare("conv2d", *drawn((1, 3, 4 * tiles, 2), (3, 3), 3))


@pytest.mark.parametrize("tiles", around(winograd.GROUP, 3 * winograd.GROUP, winograd.CHUNKS * winograd.GROUP))
def test_tiles_may_fill_several_groups(tiles):
    compare("conv2d", *drawn((1, 3, 6 * tiles - 1, 2), (3, 3), 3))


@pytest.mark.parametrize("tiles", around(winograd.TILES_PER_WIDE_TASK))
def test_tiles_of_wide_layers_may_fill_several_tasks(tiles):
    x, weight, bias = drawn((1, 4, 4 * tiles - 1, 2), (3, 3), winograd.WIDE)
    expected, _ = conv.conv2d_forward_numpy(x, weight, bias)
    assert relative(conv.conv2d_forward_winograd(x, weight, bias)[0], expected) < 1e-12


@pytest.mark.parametrize("K", [3, 5])
@pytest.mark.parametrize("tiles", around(winograd.TILES))
def test_tiles_may_fill_several_blocks(tiles, K, monkeypatch):
    monkeypatch.setattr(winograd, "NARROW", 0)  # then no layer is computed in groups,
    monkeypatch.setattr(winograd, "FUSED", 0)  # nor a weight gradient
    x, weight, bias = drawn((1, 3, 4 * tiles - 2, 1), (K, K), 2)
    expected, cache = conv.conv2d_forward_numpy(x, weight, bias)
    dout = np.random.default_rng(1).standard_normal(expected.shape)
    for name in winograd.algorithms_for(weight.shape, (1, 1)):
        out, dweight = np.empty_like(expected), np.empty_like(weight)
        winograd.forward(name, x, weight, bias, out, cache.pads, False, budget=1)
        winograd.weight_gradient(name, x, dout, dweight, cache.pads, budget=1)
        assert relative(out, expected) < 1e-12
        assert relative(dweight, conv.conv2d_backward_numpy(dout, cache)[1]) < 1e-12


@pytest.mark.parametrize("rows", around(direct.ROWS, 2 * direct.ROWS))
def test_rows_of_the_weight_gradient_may_fill_several_tasks(rows):
    compare("conv2d", *drawn((1, 3, 4, rows), (1, 1), 2), stride=(1, 2))


@pytest.mark.parametrize("chunks", [*around(direct.TASKS), 2 * direct.TASKS, 99])
@pytest.mark.parametrize("stride", [1, (2, 3)])
def test_weight_gradient_may_be_summed_in_many_chunks(chunks, stride, monkeypatch):
    x, weight, bias = drawn((2, 25, 9, 3), (3, 2), 4)
    out, _ = conv.conv2d_forward_numpy(x, weight, bias, stride=stride)
    monkeypatch.setattr(direct, "CHUNK", out.nbytes // chunks)
    compare("conv2d", x, weight, bias, stride=stride)
    monkeypatch.setattr(direct, "PARTIAL", weight.nbytes * 2)  # at most two chunks
    compare("conv2d", x, weight, bias, stride=stride)


@pytest.mark.parametrize("features", around(conv.FEATURES, TILE_COLUMNS))
def test_features_may_fill_several_register_tiles(features):
    compare("conv2d", *drawn((1, 3, 5, 2), (3, 2), features), padding=(1, 0))
    compare("conv_transpose2d", *drawn((1, 3, 5, features), (2, 3), features)[:2], stride=(1, 2))


@pytest.mark.parametrize("width", around(TILE_ROWS, 2 * TILE_ROWS, direct.PIXELS))
def test_pixels_may_fill_several_register_tiles(width):
    for stride in (1, 2):
        compare("conv2d", *drawn((1, 3, stride * width, 3), (3, 3), 2), stride=stride)


WIDE = [(9, 9), (1, 12), (11, 10)]  # wider than a tile of the depthwise kernel and than two pieces of Winograd's


@pytest.mark.parametrize("kernel", [*WIDE, *((2, K) for K in around(depthwise.ROWS))], ids=str)
@pytest.mark.parametrize("places", [{}, {"stride": (2, 3)}, {"stride": 2, "padding": (5, 6)}], ids=str)
def test_kernels_may_be_wide(kernel, places):
    W = max(13, kernel[1])
    compare("conv2d", *drawn((2, 6, W, 3), kernel, 2), **places)
    compare("depthwise_conv2d", *drawn((2, 6, W, 3), kernel), **places)
    x, weight, bias = drawn((2, 3, 7, 3), kernel, 3)
    compare("conv_transpose2d", x, weight, bias, stride=places.get("stride", 1))


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("width", around(depthwise.BLOCK, 2 * depthwise.BLOCK))
def test_pixels_of_a_depthwise_convolution_may_fill_several_blocks(width, stride):
    for padding in ("same", "valid"):
        more = 2 if padding == "valid" else 0
        compare("depthwise_conv2d", *drawn((1, 4, stride * width + more, 2), (2, 3)), stride=stride, padding=padding)


@pytest.mark.parametrize("rows", around(depthwise.CHUNKS, 2 * depthwise.CHUNKS))
def test_rows_of_a_depthwise_convolution_may_fill_several_chunks(rows):
    compare("depthwise_conv2d", *drawn((1, rows, 3, 2), (3, 2)))


@pytest.mark.parametrize("channels", around(LANES, 2 * LANES))
def test_channels_of_a_depthwise_convolution_may_fill_several_vectors(channels):
    compare("depthwise_conv2d", *drawn((1, 4, 5, channels), (3, 3)))


# --- other ops -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [1, 2])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_pixels_may_fill_several_tasks(task, more):
    rng = np.random.default_rng(0)
    rows = softmax.ROWS_PER_TASK
    for op, size, K in (("softmax", rows, 3), ("softmax_cross_entropy", rows, 3), ("focal_loss", rows, 3),
                        ("sigmoid_cross_entropy", rows, 1)):  # fmt: skip
        logits, labels = rng.standard_normal((task * size + more, K)), rng.integers(0, 2, task * size + more)
        compare(op, logits, *([] if op == "softmax" else [labels.astype(np.uint8)]))


@pytest.mark.parametrize("K", around(LANES, 2 * LANES))
def test_classes_may_fill_several_vectors(K):
    logits = np.random.default_rng(0).standard_normal((softmax.ROWS_PER_TASK + 3, K))
    compare("softmax", logits)
    compare("softmax_cross_entropy", logits, np.arange(len(logits)) % K, class_weights=np.arange(1.0, K + 1))


@pytest.mark.parametrize("K", [*around(128, 256), 300])
def test_last_class_counts_however_many_classes_there_are(K):
    """Labels of more than 127 and more than 255 classes do not fit in small integers."""
    logits, labels = np.zeros((2, 3, K)), np.full((2, 3), K - 1, np.uint8 if K <= 256 else np.uint16)
    logits[..., -1] = np.log(K - 1)  # then the last class has a probability of one half
    weights = np.arange(1.0, K + 1)
    for forward, backward in find_variants("softmax_cross_entropy").values():
        loss, cache = forward(logits, labels, class_weights=weights)
        np.testing.assert_allclose(loss, K * np.log(2), rtol=1e-12)
        np.testing.assert_allclose(backward(1.0, cache)[..., -1], -K / 2 / 6, rtol=1e-12)


@pytest.mark.parametrize("channels", [1, 3, *around(batchnorm.TILE)])
@pytest.mark.parametrize("tiles", [1, 2])
@pytest.mark.parametrize("more", [-1, 0, 1])
def test_rows_of_batchnorm2d_may_fill_several_tiles(channels, tiles, more):
    """A tile is as many pixels as have about TILE numbers, or one pixel of more channels."""
    width = tiles * max(batchnorm.TILE // channels, 1) + more
    if width > 0:
        rng = np.random.default_rng(0)
        for op in ("batchnorm2d", "batchnorm2d_relu"):
            compare(op, rng.standard_normal((2, 3, width, channels)) + 1, *rng.standard_normal((2, channels)))


@pytest.mark.parametrize("half", around(3))
def test_window_of_local_response_norm_may_cover_all_channels(half):
    compare("local_response_norm", np.random.default_rng(0).standard_normal((2, 3, 4)), size=2 * half + 1, alpha=1.0)


@pytest.mark.parametrize("channels", around(4, 8, LANES, 2 * LANES))
def test_channels_of_pooling_may_fill_several_bytes_and_vectors(channels):
    x = np.random.default_rng(0).standard_normal((1, 5, 7, channels))
    compare("max_pool2d", x)
    (out, indices), _ = ops.max_pool2d_forward(x)
    compare("max_unpool2d", out, indices, output_size=(5, 7))


def test_windows_of_pooling_have_at_most_256_positions():
    x = np.arange(16.0 * 18).reshape(1, 16, 18, 1)
    for forward, _ in find_variants("max_pool2d").values():
        (out, indices), _ = forward(x, size=16)
        assert indices.ravel().tolist() == [255, 255]
        assert out.ravel().tolist() == x[0, 15, [15, 17], 0].tolist()
        with pytest.raises(ShapeError, match="256"):
            forward(x, size=(16, 17))


# --- random sizes ----------------------------------------------------------------------------------------------------

SIZES = st.tuples(st.integers(1, 3), st.integers(1, 24), st.integers(1, 40), st.integers(1, 20))
few = settings(max_examples=amount(15, 300))
paddings = st.sampled_from(["same", "valid", 0, 1, (0, 3), (4, 1), (6, 5)])


@few
@given(
    SIZES, st.integers(1, 20), st.integers(1, 10), st.integers(1, 10), st.integers(1, 3), st.integers(1, 4), paddings
)
def test_variants_of_convolutions_agree_for_random_sizes(shape, features, KH, KW, stride_y, stride_x, padding):
    places = {"stride": (stride_y, stride_x), "padding": padding}
    size = ops.conv2d_output_size(shape[1:3], (KH, KW), **places)
    if min(size) >= 1:
        compare("conv2d", *drawn(shape, (KH, KW), features), **places)
        compare("depthwise_conv2d", *drawn(shape, (KH, KW)), **places)
        x, weight, _ = drawn((shape[0], *size, features), (KH, KW), shape[3])  # a convolution from shape to x
        bias = weight[0, 0, 0]
        compare("conv_transpose2d", x, weight.swapaxes(2, 3).copy(), bias, output_size=shape[1:3], **places)
    square = drawn(shape, (KH + 2, KH + 2), features)  # for Winograd's algorithms
    compare("conv2d", *square, padding=(KH + 1, KW + KH))


@few
@given(SIZES, st.tuples(st.integers(1, 5), st.integers(1, 5)), st.tuples(st.integers(1, 6), st.integers(1, 6)))
def test_variants_of_pooling_agree_for_random_sizes(shape, size, stride):
    x, window = np.random.default_rng(0).integers(-3, 4, shape).astype(float), {"size": size, "stride": stride}
    compare("max_pool2d", x, **window)
    compare("max_pool2d", x)
    (out, indices), _ = find_variants("max_pool2d")["numpy"].forward(x, **window)
    if min(np.subtract(stride, size)) >= 0:
        compare("max_unpool2d", out + 0.5, indices, output_size=shape[1:3], **window)


@few
@given(SIZES, st.integers(1, 4), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_variants_of_other_ops_agree_for_random_sizes(shape, factor_y, factor_x, seed):
    rng = np.random.default_rng(seed)
    x, K = rng.standard_normal(shape), shape[3]
    size = [int(n * f - rng.integers(0, f)) for n, f in zip(shape[1:3], (factor_y, factor_x), strict=True)]
    for op in ("upsample_nearest2d", "upsample_bilinear2d"):
        compare(op, x, factor=(factor_y, factor_x), output_size=size)
    if x.size > K:
        for op in ("batchnorm2d", "batchnorm2d_relu"):
            compare(op, x + rng.standard_normal(K), *rng.standard_normal((2, K)), eps=rng.uniform(0.01, 1))
    for op in ("batchnorm2d", "batchnorm2d_relu"):
        mean, var = rng.standard_normal(K), rng.uniform(0.1, 2, K)
        compare(op, x, *rng.standard_normal((2, K)), mean=mean, var=var, eps=rng.uniform(0.01, 1))
    compare(
        "local_response_norm",
        x,
        size=2 * factor_y - 1,
        alpha=factor_x / 2,
        beta=rng.uniform(0, 2),
        k=rng.uniform(0.5, 2),
    )
    compare("dropout", x, rng.random(shape) < 0.7, rate=rng.uniform(0, 0.9))
    for op in ("relu", "sigmoid", "softmax"):
        compare(op, x)
    labels = np.where(rng.random(shape[:3]) < 0.2, 255, rng.integers(0, K, shape[:3])).astype(np.uint8)
    for normalizer in ("count", "weights"):
        places = {"ignore_label": 255, "normalizer": normalizer}
        smoothing = float(rng.choice([0, 0.2]))
        compare(
            "softmax_cross_entropy", x, labels, class_weights=rng.uniform(0, 2, K), label_smoothing=smoothing, **places
        )
        binary = np.where(labels == 255, 255, labels % 2).astype(np.uint8)
        compare("sigmoid_cross_entropy", x[..., :1], binary, class_weights=rng.uniform(0, 2, 2), **places)
