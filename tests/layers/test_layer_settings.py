"""Layers with other settings than the usual ones: dropout, the initial weights, and the first layers of networks.

The settings of layers in a network may be changed at any time.
"""

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.errors import SettingError
from tinysegnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, DepthwiseConv2d, Dropout, Normalize, ReLU, Tape

# --- dropout ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.3, 0.8])
def test_dropout_drops_its_share_and_scales_the_rest(p):
    layer, x = Dropout(p), np.ones((4, 20, 30, 8))
    for kind in ({"training": True}, {"sample": True}):
        out = layer.forward(x, Tape(generator=np.random.default_rng(0), **kind))
        np.testing.assert_allclose(np.unique(out), [0, 1 / (1 - p)])
        deviation = np.sqrt(p * (1 - p) / x.size)
        assert abs((out == 0).mean() - p) < 4 * deviation
    np.testing.assert_array_equal(layer.forward(x), x)


def test_every_picture_and_every_call_has_its_own_dropout_mask():
    layer, tape = Dropout(0.25), Tape(training=True, generator=np.random.default_rng(1))
    masks = [picture == 0 for _ in range(3) for picture in layer.forward(np.ones((2, 9, 11, 5)), tape)]
    share = 2 * 0.25 * 0.75  # of independent masks
    for i, mask in enumerate(masks):
        assert all(0.5 * share < (mask != other).mean() < 1.5 * share for other in masks[:i])
        assert len(np.unique(mask.reshape(-1, 5), axis=1).T) == 5  # channels differ too


def test_the_gradient_of_dropout_passes_where_the_value_did():
    layer, tape = Dropout(0.7), Tape(training=True, generator=np.random.default_rng(2))
    x, dout = np.random.default_rng(3).normal(size=(2, 2, 5, 6, 3))
    out = layer.forward(x, tape)
    np.testing.assert_allclose(layer.backward(dout, tape), np.where(out == 0, 0, dout / 0.3), rtol=1e-12)
    out = layer.forward(x, Tape())
    assert out is x


def test_the_seed_of_a_generator_determines_the_masks_for_ever():
    """A training that is resumed with a newer version continues with the same masks."""
    out = Dropout(0.3).forward(np.ones((2, 3, 4, 5)), Tape(training=True, generator=np.random.default_rng(6)))
    np.testing.assert_array_equal(out > 0, np.random.default_rng(6).random((2, 3, 4, 5), np.float32) >= 0.3)


# --- initial weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "terms"),
    [(lambda rng: Conv2d(7, 90, 3, rng=rng), 3 * 3 * 7),
     (lambda rng: Conv2d(20, 70, 5, stride=2, rng=rng), 5 * 5 * 20),
     (lambda rng: ConvTranspose2d(7, 90, 3, rng=rng), 3 * 3 * 7),
     (lambda rng: ConvTranspose2d(20, 70, 4, stride=2, rng=rng), 4 * 4 * 20 / 4),
     (lambda rng: ConvTranspose2d(6, 90, 9, stride=3, rng=rng), 9 * 9 * 6 / 9),
     (lambda rng: DepthwiseConv2d(900, 5, rng=rng), 5 * 5)],
)  # fmt: skip
def test_the_initial_deviation_follows_from_the_number_of_terms_of_an_output_value(make, terms):
    weight = make(np.random.default_rng(0)).params["weight"]
    assert weight.std() == pytest.approx(np.sqrt(2 / terms), rel=4 / np.sqrt(2 * weight.size))
    assert abs(weight.mean()) < 4 * weight.std() / np.sqrt(weight.size)
    assert not make(None).params["weight"].any()
    assert not make(np.random.default_rng(0)).params["bias"].any()


def test_a_transposed_convolution_that_is_smaller_than_its_stride_has_a_finite_weight():
    weight = ConvTranspose2d(1, 400, 1, stride=2, rng=np.random.default_rng(0)).params["weight"]
    assert weight.std() == pytest.approx(np.sqrt(2), rel=0.15)


def test_a_signal_keeps_its_size_through_relu_and_convolution():
    """He et al. 2015: E[y^2] after a ReLU equals E[x^2] before it, for each kind of convolution."""
    rng = np.random.default_rng(4)
    x = np.maximum(0, rng.normal(size=(1, 24, 24, 16)))
    for layer in (Conv2d(16, 64, 3, padding=0, rng=rng), ConvTranspose2d(16, 64, 4, stride=2, rng=rng)):
        out = layer.forward(x.astype(np.float32))[:, 4:-4, 4:-4]
        assert (out**2).mean() == pytest.approx(2 * (x**2).mean(), rel=0.2)


# --- the first layer -------------------------------------------------------------------------------------------------

PIXEL = (10.0, 100.0, 200.0)
FIRST = {
    "scaled": [(10 - 127.5) / 64, (100 - 127.5) / 64, (200 - 127.5) / 64],
    "unit": [10 / 255, 100 / 255, 200 / 255],
    "bgr": [200, 100, 10],
    "imagenet": [(10 / 255 - 0.485) / 0.229, (100 / 255 - 0.456) / 0.224, (200 / 255 - 0.406) / 0.225],
    "caffe": [200 - 103.939, 100 - 116.779, 10 - 123.68],
}


@pytest.mark.parametrize("name", FIRST)
def test_the_first_layer_normalises_as_documented(name):
    layer = ts.build("tiny", width=1 / 16, preprocessing=name, dtype="float64").layers["input"]
    np.testing.assert_allclose(layer.forward(np.array([[[PIXEL]]]))[0, 0, 0], FIRST[name], rtol=1e-12)


@pytest.mark.parametrize("bgr", [False, True])
def test_the_gradient_of_the_normalisation_returns_to_the_channels_of_the_picture(bgr):
    layer = Normalize((1, 20, 300), (2, 5, 11), bgr=bgr, dtype=np.float64)
    x, dout = np.random.default_rng(5).normal(size=(2, 2, 3, 4, 3))
    out = layer.forward(x, training=True)
    dx = layer.backward(dout)
    for c, (mean, scale) in enumerate(((1, 2), (20, 5), (300, 11))):
        place = 2 - c if bgr else c
        np.testing.assert_allclose(out[..., place], (x[..., c] - mean) / scale, rtol=1e-12)
        np.testing.assert_allclose(dx[..., c], dout[..., place] / scale, rtol=1e-12)


@pytest.mark.parametrize("name", FIRST)
def test_the_gradient_of_the_picture_equals_differences_for_every_preprocessing(name):
    model, rng = ts.build("article", 2, width=1 / 16, preprocessing=name, dtype="float64"), np.random.default_rng(6)
    x, dout = rng.uniform(0, 255, (1, 4, 8, 3)), rng.normal(size=(1, 4, 8, 2))
    model.forward(x, training=True)
    dx = model.backward(dout)
    assert dx.all()
    for c in range(3):
        x_right, x_left = x.copy(), x.copy()
        x_right[0, 1, 5, c] += 1e-4
        x_left[0, 1, 5, c] -= 1e-4
        slope = ((model.forward(x_right) - model.forward(x_left)) * dout).sum() / 2e-4
        assert dx[0, 1, 5, c] == pytest.approx(slope, rel=1e-6, abs=1e-10)


def test_preprocessing_has_a_fixed_list_of_names():
    with pytest.raises(SettingError, match="rgb"):
        ts.build("tiny", width=1 / 16, preprocessing="rgb")


# --- changes ---------------------------------------------------------------------------------------------------------


def test_settings_that_change_after_a_network_was_built_apply_to_every_later_call():
    """Training runs other layers, in which batch norm and ReLU are fused."""
    norm, dropout, rng = BatchNorm2d(3, dtype=np.float64), Dropout(0.5), np.random.default_rng(7)
    last, x = Conv2d(3, 2, 1, rng=rng, dtype=np.float64), rng.uniform(0, 255, (2, 5, 6, 3))
    model = ts.Network({"bn": norm, "relu": ReLU(), "drop": dropout, "classifier": last})
    norm.eps, norm.momentum, dropout.p = 1e4, 0.75, 0.0

    def logits(mean, var):
        return np.maximum((x - mean) / np.sqrt(var + 1e4), 0) @ last.params["weight"][0, 0]

    np.testing.assert_allclose(model.forward(x, training=True), logits(x.mean((0, 1, 2)), x.var((0, 1, 2))), rtol=1e-9)
    mean, var = 0.75 * x.mean((0, 1, 2)), 0.25 + 0.75 * x.var((0, 1, 2), ddof=1)
    np.testing.assert_allclose(norm.buffers["running_mean"], mean)
    np.testing.assert_allclose(norm.buffers["running_var"], var)
    np.testing.assert_allclose(model.forward(x), logits(mean, var), rtol=1e-9)
