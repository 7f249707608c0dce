"""What the walk shows of pools with any window and stride, and of layers with code of their own."""

import numpy as np
import pytest

from tinysegnet.layers import FixedUnpool2d, Layer, MaxPool2d, MaxUnpool2d, Normalize, ReLU, Tape

X = np.random.default_rng(0).standard_normal((1, 7, 8, 5))
WINDOWS = [(size, stride) for size in (1, 2, 3) for stride in (1, 2, 3)]


@pytest.mark.parametrize("channels", [1, 4, 5])
@pytest.mark.parametrize(("size", "stride"), WINDOWS)
def test_the_walk_shows_the_position_of_each_maximum(size, stride, channels):
    x, pool, tape = X[..., :channels], MaxPool2d(size, stride), Tape()
    trace = pool.trace(x, tape)
    assert trace.positions.shape == trace.out.shape
    for n, u, v, c in np.ndindex(trace.out.shape):
        i, j = divmod(int(trace.positions[n, u, v, c]), size)
        window = x[n, u * stride : u * stride + size, v * stride : v * stride + size, c]
        assert window[i, j] == window.max() == trace.out[n, u, v, c]
    if stride < size:
        return  # overlapping windows cannot be unpooled
    for kind, positions in ((MaxUnpool2d, trace.positions), (FixedUnpool2d, 0 * trace.positions)):
        np.testing.assert_array_equal(kind(pool).trace(trace.out, tape).positions, positions)


def forward(self, x, tape):
    return np.maximum(x, 0) - 1, x


def backward(self, dout, cache, tape, input_gradient):
    return 2 * dout


@pytest.mark.parametrize("base", [ReLU, MaxPool2d])
@pytest.mark.parametrize("own", [{"_forward": forward}, {"_backward": backward},
                                 {"_forward": forward, "_backward": backward}], ids=", ".join)  # fmt: skip
def test_a_layer_with_a_method_of_its_own_is_not_explained_as_its_base(base, own):
    layer = type("Special", (base,), own | {"_details": Layer._details})()
    trace = layer.trace(X, Tape())
    assert (trace.kind, trace.op) == ("Special", "")


def test_a_subclass_without_code_of_its_own_is_explained_as_its_base():
    assert (trace := type("Renamed", (ReLU,), {})().trace(X, Tape())).kind == trace.op == "relu"
    assert type("Centred", (Normalize,), {})(0, 1).trace(X, Tape()).kind == "normalize"
