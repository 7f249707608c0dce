"""Every form of a picture and of a gradient: each layer computes the right result, or names itself in an error."""

import numpy as np
import pytest

from tinysegnet.errors import ShapeError
from tinysegnet.layers import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    Dropout,
    FixedUnpool2d,
    LocalResponseNorm,
    MaxPool2d,
    MaxUnpool2d,
    Normalize,
    ReLU,
    SkipAdd,
    SkipSource,
    Tape,
    Upsample,
)

X = np.random.default_rng(0).standard_normal((2, 4, 6, 3)).astype(np.float32)
LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "gaps": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: np.ascontiguousarray(a[..., ::-1, :])[..., ::-1, :],
    "transposed": lambda a: np.ascontiguousarray(a.transpose(3, 0, 1, 2)).transpose(1, 2, 3, 0),
}
REFUSED = {
    "list": lambda a: a.tolist(),
    "None": lambda a: None,
    "number": lambda a: 1.0,
    "NumPy number": lambda a: a[0, 0, 0, 0],
    "string": lambda a: "picture",
    "masked array": lambda a: np.ma.masked_array(a, a > 1),
    "three axes": lambda a: a[0],
    "five axes": lambda a: a[None],
    "no picture": lambda a: a[:0],
    "no row": lambda a: a[:, :0],
    "no channel": lambda a: a[..., :0],
    "complex": lambda a: a.astype(complex),
    "objects": lambda a: a.astype(object),
    "strings": lambda a: a.astype(str),
    "dates": lambda a: a.astype("M8[s]"),
}
DTYPES = ["f2", "g", "i8", "u1", "?", ">f4", ">f8"]  # only the first layer of a network converts them


def layers():
    rng = np.random.default_rng(1)
    yield Conv2d(3, 2, 3, rng=rng)
    yield ConvTranspose2d(3, 2, 3, rng=rng)
    yield DepthwiseConv2d(3, 3, rng=rng)
    yield BatchNorm2d(3)
    yield BatchNorm2d(3).fuse(ReLU())
    yield ReLU()
    yield MaxPool2d()
    yield MaxPool2d(3, 2)
    yield LocalResponseNorm()
    yield Normalize((1, 2, 3), 2)
    yield Dropout(0.5)
    yield Upsample("nearest")
    yield Upsample("bilinear")
    yield SkipSource()
    yield unpool(MaxUnpool2d)
    yield unpool(FixedUnpool2d)
    yield add()


def unpool(kind):
    layer = kind(MaxPool2d())
    layer.prepare = lambda tape: layer.pool.forward(np.repeat(np.repeat(X, 2, 1), 2, 2), tape)
    return layer


def add():
    layer = SkipAdd(SkipSource())
    layer.prepare = lambda tape: layer.source.forward(X + 1, tape)
    return layer


def forward(layer, x):
    """Return the output in training, and the tape. Layers with a source get its indices or maps first."""
    tape = Tape(training=True, generator=np.random.default_rng(2))
    getattr(layer, "prepare", lambda tape: None)(tape)
    return layer.forward(x, tape), tape


LAYERS = list(layers())
each = pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: f"{layer.name} {LAYERS.index(layer)}")


@each
def test_pictures_and_gradients_may_have_any_layout(layer):
    expected, tape = forward(layer, X)
    dout = np.random.default_rng(3).standard_normal(expected.shape).astype(np.float32)
    if isinstance(layer, SkipSource):
        tape.map_gradients[layer] = dout
    dx = layer.backward(dout, tape)
    for form in LAYOUTS.values():
        out, tape = forward(layer, form(X))
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)
        if isinstance(layer, SkipSource):
            tape.map_gradients[layer] = dout
        np.testing.assert_allclose(layer.backward(form(dout), tape), dx, rtol=1e-4, atol=1e-5)


@each
def test_what_is_no_picture_is_refused_with_the_name_of_the_layer(layer):
    out, tape = forward(layer, X)
    for kind, form in REFUSED.items():
        with pytest.raises(ShapeError, match=f"{layer.name} needs x as a NumPy array"):
            forward(layer, form(X))
        with pytest.raises(ShapeError, match=rf"{layer.name} needs dout as a NumPy array .*numpy\.array"):
            layer.backward(form(out), tape)
        assert kind


@each
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_picture_of_another_dtype_is_converted_by_normalisation_and_refused_by_others(layer, dtype):
    x = np.abs(X * 50).astype(dtype)
    if isinstance(layer, Normalize):
        out, _ = forward(layer, x)
        assert out.dtype == np.float32
        np.testing.assert_allclose(out, (x.astype(float) - [1, 2, 3]) / 2, rtol=1e-6)
    elif not isinstance(layer, SkipSource | SkipAdd):
        with pytest.raises(ShapeError, match="float32"):
            forward(layer, x)


@pytest.mark.parametrize("layer", [Conv2d(3, 2, 3, rng=None), ConvTranspose2d(3, 2, 3, rng=None), BatchNorm2d(3),
                                   DepthwiseConv2d(3, 3, rng=None), Normalize((1, 2, 3), 2), Normalize(0, (1, 2, 3)),
                                   add()], ids=lambda layer: layer.name)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 2, 4])
def test_another_number_of_channels_is_refused(layer, channels):
    with pytest.raises(ShapeError, match="3"):
        forward(layer, np.ones((2, 4, 6, channels), np.float32))


def test_any_number_of_channels_can_be_normalised_by_one_value():
    out = Normalize(1, 2).forward(np.ones((1, 1, 1, 5), np.float32) * 4)
    np.testing.assert_array_equal(out, np.full((1, 1, 1, 5), 1.5))
