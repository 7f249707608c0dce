"""Single layers: one backward per forward, running statistics, and the link between pooling and unpooling."""

import numpy as np
import pytest

from tinysegnet.errors import ShapeError, StateError
from tinysegnet.layers import BatchNorm2d, Conv2d, MaxPool2d, MaxUnpool2d, Normalize, ReLU, Tape, Upsample, Windows


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_a_second_backward_raises_an_error_with_the_name_of_the_layer(rng):
    layer = ReLU()
    layer.name = "encoder1.relu1"
    x = rng.normal(size=(1, 2, 3, 4))
    layer.forward(x, training=True)
    layer.backward(x)
    with pytest.raises(StateError, match=r"encoder1\.relu1"):
        layer.backward(x)


def test_backward_after_inference_is_an_error(rng):
    layer = Conv2d(2, 3, 3, rng=rng)
    x = rng.normal(size=(1, 4, 4, 2)).astype(np.float32)
    layer.forward(x, training=True)
    out = layer.forward(x)
    with pytest.raises(StateError):
        layer.backward(out)


def test_backward_uses_the_latest_forward(rng):
    layer = Conv2d(2, 3, 3, rng=rng, dtype=np.float64)
    first, second = rng.normal(size=(2, 1, 4, 5, 2))
    layer.forward(first, training=True)
    out = layer.forward(second, training=True)
    layer.backward(np.ones_like(out))
    after_both = layer.grads["weight"]
    layer.forward(second, training=True)
    layer.backward(np.ones_like(out))
    np.testing.assert_array_equal(after_both, layer.grads["weight"])


def test_backward_assigns_gradients_and_does_not_accumulate_them(rng):
    layer = Conv2d(2, 3, 3, rng=rng)
    x = rng.normal(size=(1, 4, 5, 2)).astype(np.float32)
    results = []
    for _ in range(2):
        out = layer.forward(x, training=True)
        layer.backward(np.ones_like(out))
        results.append(layer.grads["weight"].copy())
    np.testing.assert_array_equal(*results)
    assert layer.params.keys() == layer.grads.keys()


def test_conv2d_starts_with_he_initialisation(rng):
    weight = Conv2d(64, 128, 3, rng=rng).params["weight"]
    assert weight.std() == pytest.approx(np.sqrt(2 / (9 * 64)), rel=0.02)
    assert weight.dtype == np.float32


def test_batchnorm_updates_running_statistics_as_pytorch_does(rng):
    layer = BatchNorm2d(3, momentum=0.1, dtype=np.float64)
    x = 5 + 2 * rng.normal(size=(2, 4, 5, 3))
    layer.forward(x, training=True)
    pixels = x.reshape(-1, 3)
    np.testing.assert_allclose(layer.buffers["running_mean"], 0.1 * pixels.mean(0))
    np.testing.assert_allclose(layer.buffers["running_var"], 0.9 + 0.1 * pixels.var(0, ddof=1))


def test_batchnorm_in_inference_ignores_the_batch(rng):
    layer = BatchNorm2d(3, dtype=np.float64)
    layer.forward(rng.normal(size=(2, 4, 5, 3)), training=True)
    before = layer.buffers["running_mean"].copy()
    x = rng.normal(size=(2, 4, 5, 3))
    np.testing.assert_allclose(layer.forward(x)[:1], layer.forward(x[:1]))
    np.testing.assert_array_equal(before, layer.buffers["running_mean"])


def test_batchnorm_rejects_training_on_one_value_per_channel():
    with pytest.raises(ShapeError, match="per channel"):
        BatchNorm2d(3).forward(np.zeros((1, 1, 1, 3), np.float32), training=True)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 4), (6, 9)])
def test_unpooling_restores_the_input_size_of_its_pool(rng, size):
    pool = MaxPool2d()
    x = rng.normal(size=(2, *size, 5)).astype(np.float32)
    out = MaxUnpool2d(pool).forward(pool.forward(x))
    assert out.shape == x.shape
    assert pool.output_shape(x.shape)[1:3] == tuple(-(-n // 2) for n in size)


def test_unpooling_before_its_pool_is_an_error():
    pool = MaxPool2d()
    pool.name = "encoder4.pool"
    with pytest.raises(StateError, match=r"encoder4\.pool"):
        MaxUnpool2d(pool).forward(np.zeros((1, 2, 2, 1)))


def test_normalize_converts_integers_to_the_dtype_of_the_network():
    out = Normalize(127.5, 64, dtype=np.float32).forward(np.array([[[[0, 127, 255]]]], np.uint8))
    assert out.dtype == np.float32
    np.testing.assert_allclose(out.ravel(), [-127.5 / 64, -0.5 / 64, 127.5 / 64])


def test_conv2d_absorbs_batch_norm_and_relu_in_inference(rng):
    conv, norm, relu, pool = (
        Conv2d(2, 3, 3, rng=rng, dtype=np.float64),
        BatchNorm2d(3, dtype=float),
        ReLU(),
        MaxPool2d(),
    )
    for array in (*conv.params.values(), *norm.params.values(), *norm.buffers.values()):
        array += rng.random(array.shape)
    x = rng.normal(size=(2, 4, 5, 2))
    for following, absorbed in (([], 0), ([norm], 1), ([relu], 1), ([norm, relu, pool], 2), ([relu, norm], 1),
                                ([pool, relu], 0)):  # fmt: skip
        out, found = conv.infer(x, following, Tape())
        assert found == absorbed
        expected = conv.forward(x)
        for layer in following[:absorbed]:
            expected = layer.forward(expected)
        np.testing.assert_allclose(out, expected)


@pytest.mark.parametrize(("mode", "kernel", "before"), [("nearest", 3, 0), ("bilinear", 5, 1)])
def test_upsampling_traces_which_pixels_belong_together(mode, kernel, before):
    windows = Upsample(mode, scale_factor=3).trace(np.ones((1, 2, 4, 1)), Tape()).windows
    assert windows == Windows((kernel, kernel), (3, 3), (before, before), "out")


def test_calls_with_copies_of_a_tape_do_not_affect_each_other(rng):
    """Sampling gives each sample a copy of the tape of the layers before the first dropout."""
    pool, tape = MaxPool2d(), Tape()
    first, second = rng.normal(size=(1, 5, 4, 3)), rng.normal(size=(1, 7, 9, 3))
    pool.forward(first, tape)
    copied, indices = tape.copy(), tape.indices[pool]
    pool.forward(second, copied)
    assert (tape.sizes[pool], copied.sizes[pool]) == ((5, 4), (7, 9))
    np.testing.assert_array_equal(tape.indices[pool], indices)


def test_branch_signature_changes_exactly_when_a_value_takes_another_branch(rng):
    """With these signatures, the gradient check of networks finds steps across a kink."""
    x = rng.permutation(np.arange(-36.0, 36)).reshape(1, 4, 6, 3) + 0.5  # no zeros, and no ties

    def signature(layer, x):
        layer.forward(x, tape := Tape(keep=True))
        return layer.branch_signature(tape.caches[layer])

    for layer in (ReLU(), BatchNorm2d(3, dtype=float).fuse(ReLU()), MaxPool2d()):
        before = signature(layer, x)
        assert signature(layer, x * 1.01) == before
        for index in ((0, 0, 0, 0), (0, 3, 5, 2), (0, 1, 2, 1)):
            changed = x.copy()
            changed[index] = 100 if isinstance(layer, MaxPool2d) else -x[index]
            top, left = index[1] // 2 * 2, index[2] // 2 * 2
            largest = x[0, top : top + 2, left : left + 2, index[3]].max() == x[index]
            assert (signature(layer, changed) == before) == (isinstance(layer, MaxPool2d) and largest)
