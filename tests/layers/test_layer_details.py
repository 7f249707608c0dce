"""Details of single layers: defaults, what a call stores, statistics, convolutions, shapes and initial weights."""

import inspect

import numpy as np
import pytest
from small_layers import RNG, X, conv, norm, shaken

from tinysegnet import layers as package
from tinysegnet.errors import StateError
from tinysegnet.layers import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    Dropout,
    Layer,
    MaxPool2d,
    Normalize,
    ReLU,
    SkipSource,
    Tape,
    Upsample,
)
from tinysegnet.layers.convolution_layers import bilinear_weight
from tinysegnet.layers.layer import he_normal
from tinysegnet.layers.tape import thread_tape

DEFAULTS = {
    "BatchNorm2d": {"eps": 1e-5, "momentum": 0.1, "dtype": np.float32},
    "Conv2d": {"stride": 1, "padding": "same", "bias": True, "dtype": np.float32},
    "ConvTranspose2d": {"stride": 1, "bias": True, "pool": None, "bilinear": False, "dtype": np.float32},
    "DepthwiseConv2d": {"bias": True, "dtype": np.float32},
    "Dropout": {"p": 0.5},
    "LocalResponseNorm": {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0},
    "MaxPool2d": {"kernel_size": 2, "stride": 2},
    "Normalize": {"bgr": False, "dtype": np.float32},
    "SkipSource": {"through": None},
    "Upsample": {"scale_factor": 2, "pool": None},
    "Tape": {"training": False, "sample": False, "keep": False, "definitions": False, "statistics": None,
             "generator": None},
}  # fmt: skip


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_defaults_are_the_documented_ones(name):
    parameters = inspect.signature(getattr(package, name)).parameters
    found = {key: p.default for key, p in parameters.items() if p.default is not inspect.Parameter.empty}
    assert found == DEFAULTS[name]


def test_new_layers_have_unit_scale_zero_shift_and_no_gradients():
    layer = BatchNorm2d(3)
    values = {**layer.params, **layer.buffers}
    assert {name: array.tolist() for name, array in values.items()} == {
        "gamma": [1, 1, 1], "beta": [0, 0, 0], "running_mean": [0, 0, 0], "running_var": [1, 1, 1],
    }  # fmt: skip
    assert {array.dtype for array in values.values()} == {np.dtype(np.float32)}
    assert layer.grads == {}
    assert layer.name == "BatchNorm2d"
    assert list(Conv2d(2, 5, 3, bias=False, rng=RNG).params) == ["weight"]
    for made in (Conv2d(2, 5, 3, rng=RNG), ConvTranspose2d(2, 5, 3, rng=RNG), DepthwiseConv2d(5, 3, rng=RNG)):
        assert made.params["bias"].tolist() == [0] * 5
        assert made.params["bias"].dtype == np.float32


def test_weights_that_are_only_built_for_their_shape_take_no_memory():
    weight = he_normal(None, (1000, 1000), 1, np.float64)
    assert weight.shape == (1000, 1000)
    assert weight.strides == (0, 0)
    assert weight.dtype == np.float64
    assert not weight.any()
    drawn = he_normal(np.random.default_rng(0), (3, 2), 8, np.float32)
    np.testing.assert_allclose(drawn, np.random.default_rng(0).standard_normal((3, 2)) / 2, rtol=1e-6)


# --- calls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("settings", "kept"), [({}, False), ({"training": True}, True), ({"keep": True}, True),
                                                ({"sample": True, "generator": RNG}, False)])  # fmt: skip
def test_a_cache_is_kept_for_training_or_on_request(settings, kept):
    layer, tape = ReLU(), Tape(**settings)
    layer.forward(X, tape)
    assert (layer in tape.caches) == kept
    assert tape.sizes[layer] == (5, 6)
    layer.forward(X, Tape())
    if kept:
        np.testing.assert_array_equal(layer.backward(X, tape), np.where(X > 0, X, 0))
        assert layer not in tape.caches


def test_a_forward_forgets_what_the_layer_stored_before():
    layer, other, tape = SkipSource(), ReLU(), Tape(training=True)
    other.forward(X, tape)
    layer.forward(X, tape)
    tape.map_gradients[layer] = X
    tape.training = False
    layer.forward(X + 1, tape)
    assert layer not in tape.caches
    assert layer not in tape.map_gradients
    np.testing.assert_array_equal(tape.maps[layer], X + 1)
    assert other in tape.caches


@pytest.mark.parametrize("kind", ["training", "sample"])
def test_a_call_without_a_tape_is_recorded_by_the_thread(kind):
    layer = Dropout(0.5)
    out = layer.forward(np.ones((1, 8, 8, 4)), **{kind: True})
    assert set(np.unique(out)) == {0, 2}
    tape = thread_tape()
    assert (tape.training, tape.sample) == (kind == "training", kind == "sample")
    with pytest.raises(StateError, match="cannot be combined"):
        layer.forward(X, Tape(), **{kind: True})
    layer.forward(X)
    assert (tape.training, tape.sample) == (False, False)


def test_the_settings_of_a_tape_apply_to_each_call_and_its_generator_has_priority():
    own, given = np.random.default_rng(1), np.random.default_rng(2)
    tape = Tape(sample=True, generator=own)
    tape.begin(training=True, sample=False, generator=given)
    assert (tape.training, tape.sample, tape.generator) == (True, True, own)
    tape.begin(training=False, sample=False)
    assert (tape.training, tape.sample) == (False, True)
    plain = Tape(training=True)
    plain.begin(training=False, sample=True, generator=given)
    assert (plain.training, plain.sample, plain.generator) == (True, True, given)
    plain.begin(training=False, sample=False)
    assert plain.generator is not given
    assert plain.generator is not None


def test_gradients_of_the_input_are_only_omitted_on_request():
    layer = conv()
    for wanted in (True, False):
        out = layer.forward(X, training=True)
        assert (layer.backward(out, input_gradient=wanted) is not None) == wanted
        assert set(layer.grads) == {"weight", "bias"}
    for plain in (ReLU(), Normalize(0, 1, dtype=np.float64)):
        out = plain.forward(X, training=True)
        assert plain.backward(out, input_gradient=False) is None
    batch = norm(3)
    out = batch.forward(X, training=True)
    batch.backward(out, input_gradient=False)
    assert set(batch.grads) == {"gamma", "beta"}


def test_a_convolution_without_a_bias_has_one_gradient():
    layer = conv(bias=False)
    layer.backward(layer.forward(X, training=True))
    assert set(layer.grads) == {"weight"}


def test_converting_changes_parameters_and_statistics_and_drops_gradients():
    layer = norm(3)
    layer.backward(layer.forward(X, training=True))
    layer.convert(np.float32)
    assert {a.dtype.name for a in (*layer.params.values(), *layer.buffers.values())} == {"float32"}
    assert layer.grads == {}
    first = Normalize((1, 2, 3), 4, dtype=np.float64)
    first.convert(np.float32)
    assert first.forward(X).dtype == np.float32
    assert first.mean.dtype == first.scale.dtype == np.float32


# --- batch norm ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fused", [False, True])
def test_batch_norm_uses_and_stores_the_statistics_of_its_kind_of_call(fused):
    layer = norm(3, eps=0.5, momentum=0.25)
    run = layer.fuse(ReLU()) if fused else layer
    gamma, beta = layer.params["gamma"], layer.params["beta"]
    mean, var = (layer.buffers[f"running_{name}"].copy() for name in ("mean", "var"))
    batch_mean, batch_var = X.mean((0, 1, 2)), X.var((0, 1, 2))

    def expected(mean, var):
        out = gamma * (X - mean) / np.sqrt(var + 0.5) + beta
        return np.maximum(out, 0) if fused else out

    np.testing.assert_allclose(run.forward(X, Tape()), expected(mean, var))
    tape = Tape(statistics={})
    np.testing.assert_allclose(run.forward(X, tape), expected(batch_mean, batch_var))
    np.testing.assert_array_equal(layer.buffers["running_mean"], mean)
    found_mean, found_var, count = tape.statistics[run]
    np.testing.assert_allclose([found_mean, found_var], [batch_mean, batch_var])
    assert count == 60
    np.testing.assert_allclose(run.forward(X, Tape(training=True)), expected(batch_mean, batch_var))
    np.testing.assert_allclose(layer.buffers["running_mean"], 0.75 * mean + 0.25 * batch_mean)
    np.testing.assert_allclose(layer.buffers["running_var"], 0.75 * var + 0.25 * batch_var * 60 / 59)


def test_only_a_plain_batch_norm_and_a_plain_relu_are_fused():
    class Own(ReLU):
        pass

    class OwnNorm(BatchNorm2d):
        pass

    layer = norm(3)
    layer.name = "bn"
    fused = layer.fuse(ReLU())
    assert (fused.name, fused.eps, fused.momentum) == ("bn", layer.eps, layer.momentum)
    assert fused.params is layer.params
    assert fused.grads is layer.grads
    assert fused.buffers is layer.buffers
    assert layer.fuse(Own()) is layer.fuse(norm(3)) is OwnNorm(3).fuse(ReLU()) is fused.fuse(ReLU()) is None
    assert ReLU().fuse(ReLU()) is None


def test_an_identity_returns_its_input_in_inference():
    for layer in (norm(3, eps=0.5), ReLU()):
        layer.make_identity()
    layer = norm(3, eps=0.5)
    layer.make_identity()
    np.testing.assert_allclose(layer.forward(X), X)
    assert layer.buffers["running_var"].tolist() == [1, 1, 1]
    assert layer.buffers["running_mean"].tolist() == [0, 0, 0]


# --- convolutions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bias", [True, False])
def test_a_folded_convolution_equals_convolution_and_batch_norm(bias):
    layer, following = shaken(conv(stride=2, bias=bias)), norm(eps=0.5)
    layer.grads["weight"] = np.zeros(1)
    folded = layer.fold(following)
    np.testing.assert_allclose(folded.forward(X), following.forward(layer.forward(X)))
    assert folded.grads == {}
    assert "weight" in layer.grads
    assert list(folded.params) == ["weight", "bias"]
    assert layer.fold(ReLU()) is layer.fold(following.fuse(ReLU())) is Layer().fold(following) is None


@pytest.mark.parametrize("tape", [Tape(definitions=True), Tape(statistics={})])
def test_nothing_is_absorbed_if_the_tape_asks_for_definitions_or_statistics(tape):
    layer = shaken(conv())
    out, absorbed = layer.infer(X, [norm(), ReLU()], tape)
    assert absorbed == 0
    np.testing.assert_allclose(out, layer.forward(X), rtol=1e-10)
    assert ReLU().infer(X, [ReLU()], Tape())[1] == 0


def test_inference_absorbs_no_subclasses_and_uses_stride_and_padding():
    class Own(BatchNorm2d):
        pass

    layer = shaken(conv(stride=2, padding=(0, 2), bias=False))
    out, absorbed = layer.infer(X, [Own(4), ReLU()], Tape())
    assert absorbed == 0
    np.testing.assert_allclose(out, layer.forward(X))
    out, absorbed = layer.infer(X, [following := norm(), Own(4)], Tape())
    assert absorbed == 1
    np.testing.assert_allclose(out, following.forward(layer.forward(X)))


@pytest.mark.parametrize(("layer", "shape", "multiply_adds"), [
    (conv(4, 3), (2, 5, 6, 4), 2 * 5 * 6 * 4 * 27),
    (conv(4, 3, stride=2), (2, 3, 3, 4), 2 * 3 * 3 * 4 * 27),
    (conv(4, 2, padding=0), (2, 4, 5, 4), 2 * 4 * 5 * 4 * 12),
    (conv(7, 3, padding=(2, 0)), (2, 7, 4, 7), 2 * 7 * 4 * 7 * 27),
    (ConvTranspose2d(3, 4, 3, stride=2, rng=RNG, dtype=float), (2, 10, 12, 4), 2 * 5 * 6 * 4 * 27),
    (DepthwiseConv2d(3, 5, rng=RNG, dtype=float), (2, 5, 6, 3), 2 * 5 * 6 * 3 * 25),
    (MaxPool2d(), (2, 3, 3, 3), 0),
    (MaxPool2d(3, 1), (2, 3, 4, 3), 0),
    (MaxPool2d(2, 3), (2, 2, 2, 3), 0),
    (Upsample("nearest", scale_factor=3), (2, 15, 18, 3), 0),
    (Upsample("bilinear"), (2, 10, 12, 3), 0),
    (SkipSource(conv(4, 1)), (2, 5, 6, 3), 2 * 5 * 6 * 12),
    (BatchNorm2d(3, dtype=float), (2, 5, 6, 3), 0),
], ids=lambda value: getattr(value, "name", ""))  # fmt: skip
def test_shape_and_cost_are_known_without_running(layer, shape, multiply_adds):
    assert layer.output_shape(X.shape) == shape
    assert layer.multiply_adds(X.shape) == multiply_adds
    assert layer.forward(X).shape == shape


def test_bilinear_weights_are_triangles_for_each_channel_alone():
    half = np.array([0.25, 0.75, 0.75, 0.25])
    expected = np.zeros((4, 4, 2, 3))
    for channel in range(2):
        expected[:, :, channel, channel] = np.outer(half, half)
    np.testing.assert_allclose(bilinear_weight((4, 4, 2, 3), 2, np.float64), expected)
    third = np.array([1, 2, 3, 2, 1]) / 3  # phases 1 + 2, 2 + 1 and 3
    np.testing.assert_allclose(bilinear_weight((5, 5, 1, 1), 3, float)[..., 0, 0], np.outer(third, third))
    assert bilinear_weight((4, 4, 1, 1), 2, np.float32).dtype == np.float32
    layer = ConvTranspose2d(2, 3, 4, stride=2, bilinear=True, rng=RNG)
    np.testing.assert_array_equal(layer.params["weight"], bilinear_weight((4, 4, 3, 2), 2, np.float32))
    assert not ConvTranspose2d(2, 3, 4, stride=2, bilinear=True, rng=None).params["weight"].any()
