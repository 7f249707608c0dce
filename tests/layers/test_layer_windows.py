"""The pixels and channels that belong together, what the walk shows of a layer, and the memory that it takes."""

import numpy as np
import pytest
from small_layers import RNG, X, conv, norm

from tinysegnet.errors import StateError
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
    Windows,
)

# --- pixels that belong together -------------------------------------------------------------------------------------


def definition(windows, small, large_size):
    """Mark all large pixels that belong to the wanted small ones, by the definition of Windows."""
    found = np.zeros(large_size, bool)
    for i, j in np.argwhere(small):
        for a in range(windows.kernel[0]):
            for b in range(windows.kernel[1]):
                row = i * windows.stride[0] - windows.before[0] + a
                column = j * windows.stride[1] - windows.before[1] + b
                if 0 <= row < large_size[0] and 0 <= column < large_size[1]:
                    found[row, column] = True
    return found


@pytest.mark.parametrize("large", ["in", "out"])
@pytest.mark.parametrize(
    ("kernel", "stride", "before"),
    [((3, 2), (2, 3), (1, 0)), ((1, 4), (1, 2), (0, 2)), ((2, 2), (2, 2), (0, 0)), ((5, 3), (1, 1), (2, 1))],
)
def test_windows_find_the_corresponding_pixels_in_both_directions(large, kernel, stride, before):
    windows, small, large_size = Windows(kernel, stride, before, large), (4, 5), (7, 9)
    other = {"in": "out", "out": "in"}[large]
    for index in np.ndindex(*small):
        wanted = np.zeros(small, bool)
        wanted[index] = True
        expected = definition(windows, wanted, large_size)
        np.testing.assert_array_equal(windows.needed(wanted, large_size, of=other), expected)
        for pixel in np.argwhere(expected)[:2]:
            marked = np.zeros(large_size, bool)
            marked[tuple(pixel)] = True
            back = windows.needed(marked, small, of=large)
            assert back[index]
            for place in np.ndindex(*small):
                one = np.zeros(small, bool)
                one[place] = True
                assert back[place] == definition(windows, one, large_size)[tuple(pixel)]


def traced(layer, x=X, tape=None):
    return layer.trace(x, tape or Tape())


def test_the_walk_shows_the_windows_of_each_layer():
    assert traced(conv(4, 3)).windows == ((3, 3), (1, 1), (1, 1), "in")
    assert traced(conv(4, 5, stride=2, padding=(2, 1))).windows == ((5, 5), (2, 2), (2, 1), "in")
    transposed = ConvTranspose2d(3, 4, 3, stride=2, rng=RNG, dtype=float)
    windows = traced(transposed).windows  # "same" padding of the 10x12 output: one zero, at the end
    assert windows == ((3, 3), (2, 2), (0, 0), "out")
    assert traced(MaxPool2d(3, 2)).windows == ((3, 3), (2, 2), (0, 0), "in")
    assert traced(Upsample("nearest", scale_factor=3)).windows == ((3, 3), (3, 3), (0, 0), "out")
    assert traced(Upsample("bilinear", scale_factor=4)).windows == ((8, 8), (4, 4), (2, 2), "out")
    assert traced(Upsample("bilinear", scale_factor=4)).settings == {"factor": 4}
    assert traced(ReLU()).windows is None


def test_the_walk_shows_positions_of_pooling_and_unpooling():
    x = np.zeros((1, 4, 4, 5))
    x[0, 1, 0], x[0, 0, 3], x[0, 2, 2], x[0, 3, 1] = 1, 2, 3, 4
    expected = [[2, 1], [3, 0]]  # row * 2 + column within each window
    for kind, fixed in ((MaxUnpool2d, False), (FixedUnpool2d, True)):
        pool, tape = MaxPool2d(), Tape()
        pool.name = "encoder1.pool"
        trace = traced(pool, x, tape)
        assert (trace.kind, trace.op, trace.partner) == ("max_pool2d", "max_pool2d", "")
        for channel in range(5):
            assert trace.positions[0, :, :, channel].tolist() == expected
        up = traced(kind(pool), trace.out, tape)
        assert up.positions[0, :, :, 4].tolist() == ([[0, 0], [0, 0]] if fixed else expected)
        assert (up.partner, up.settings) == ("encoder1.pool", {"fixed": fixed})
        assert up.windows == Windows((2, 2), (2, 2), (0, 0), "out")
        assert kind(pool).source is (None if fixed else pool)
    wide, tape = MaxPool2d(3, 3), Tape()
    assert traced(wide, x[:, :3, :3], tape).positions[0, 0, 0].tolist() == [8] * 5


def test_the_walk_shows_parameters_and_settings():
    layer = norm(3, eps=0.5)
    trace = traced(layer)
    assert trace.settings == {"eps": 0.5}
    assert {name: id(a) for name, a in trace.params.items()} == {
        "gamma": id(layer.params["gamma"]), "beta": id(layer.params["beta"]),
        "mean": id(layer.buffers["running_mean"]), "var": id(layer.buffers["running_var"]),
    }  # fmt: skip
    assert traced(LocalResponseNorm(3, 0.5, 2.0, 4.0)).settings == {"size": 3, "alpha": 0.5, "beta": 2.0, "k": 4.0}
    assert (traced(Dropout(0.25)).op, traced(Dropout(0.25)).settings) == ("", {"p": 0.25})
    for bgr in (True, False):
        first = traced(Normalize((1, 2, 3), 4, bgr=bgr, dtype=np.float64))
        assert (first.kind, first.settings) == ("normalize", {"reversed": bgr})
        assert first.params["mean"].tolist() == [1, 2, 3]
        assert first.params["scale"].tolist() == [4, 4, 4]
    assert traced(conv()).params.keys() == {"weight", "bias"}


def test_the_walk_shows_both_ends_of_a_skip_connection():
    for through in (None, conv(4, 1)):
        source, tape = SkipSource(through), Tape()
        source.name = "score1"
        trace = traced(source, X, tape)
        maps = X if through is None else through.forward(X)
        assert trace.kind == "skip_source"
        np.testing.assert_array_equal(trace.other, maps)
        assert trace.out is X
        assert trace.result is trace.other
        trace.dout, trace.dother = "dout", "dother"
        assert trace.dresult == "dother"
        assert source.params is (source.through.params)
        end = traced(SkipAdd(source), maps, tape)
        assert (end.kind, end.partner) == ("skip_add", "score1")
        np.testing.assert_array_equal(end.out, 2 * maps)
        assert end.result is end.out
        end.dout = "dout"
        assert end.dresult == "dout"


# --- bytes and dependences -------------------------------------------------------------------------------------------


def test_indices_masks_and_maps_have_their_bytes():
    shape = (2, 5, 6, 9)
    assert MaxPool2d().indices_bytes(shape) == MaxPool2d().skip_bytes(shape, 4) == 2 * 3 * 3 * 3  # 4 per byte
    assert MaxPool2d(3, 2).indices_bytes(shape) == 2 * np.prod(MaxPool2d(3, 2).output_shape(shape)[1:3]) * 9
    assert Dropout().kept_bytes(shape) == 2 * 5 * 6 * 9
    assert ReLU().kept_bytes(shape) == ReLU().indices_bytes(shape) == ReLU().skip_bytes(shape, 4) == 0
    assert SkipSource().skip_bytes(shape, 4) == 2 * 5 * 6 * 9 * 4
    assert SkipSource(Conv2d(9, 2, 1, rng=None)).skip_bytes(shape, 8) == 2 * 5 * 6 * 2 * 8


def test_layers_declare_what_they_keep_mix_and_pass_on():
    rows = {layer.name: (layer.keeps, layer.mixes_channels, layer.passes_on, layer.random) for layer in (
        ReLU(), conv(), DepthwiseConv2d(3, 3, rng=None), ConvTranspose2d(3, 3, 3, rng=None), BatchNorm2d(3), Dropout(),
        LocalResponseNorm(), MaxPool2d(), SkipSource(), Normalize(0, 1), Upsample("nearest"))}  # fmt: skip
    assert rows == {
        "ReLU": ("output", False, False, False), "Conv2d": ("input", True, False, False),
        "DepthwiseConv2d": ("input", False, False, False), "ConvTranspose2d": ("input", True, False, False),
        "BatchNorm2d": ("input", False, False, False), "Dropout": (None, False, False, True),
        "LocalResponseNorm": ("input", True, False, False), "MaxPool2d": (None, False, False, False),
        "SkipSource": (None, True, True, False), "Normalize": (None, False, False, False),
        "Upsample": (None, False, False, False),
    }  # fmt: skip
    assert SkipSource(conv()).keeps == "input"


def dependence(layer, size, axis, output, tape=None):
    """Return the first and last input row or column that change this output row or column, by trying them all."""
    rng = np.random.default_rng(4)
    base = rng.standard_normal((1, *size, 3))
    touched = []
    for n in range(size[axis]):
        changed = base.copy()
        changed[(slice(None),) * (axis + 1) + (n,)] += 1
        before, after = (np.take(layer.forward(x), output, axis + 1) for x in (base, changed))
        touched += [n] if not np.array_equal(before, after) else []
    return touched


@pytest.mark.parametrize("layer", [
    conv(2, 3), conv(2, 4), conv(2, 5, stride=2), conv(2, 2, stride=3, padding=(1, 0)), conv(2, 3, padding=(2, 0)),
    ConvTranspose2d(3, 2, 3, stride=2, rng=RNG, dtype=float), ConvTranspose2d(3, 2, 8, stride=2, rng=RNG, dtype=float),
    ConvTranspose2d(3, 2, 5, stride=3, rng=RNG, dtype=float), ConvTranspose2d(3, 2, 4, rng=RNG, dtype=float),
    DepthwiseConv2d(3, 4, rng=RNG, dtype=float), ReLU(), Upsample("nearest", scale_factor=3), Upsample("bilinear"),
    Upsample("bilinear", scale_factor=3), Upsample("bilinear", scale_factor=4),
], ids=lambda layer: layer.name)  # fmt: skip
def test_the_receptive_interval_is_what_a_change_of_the_input_shows(layer):
    size = (5, 7)
    out = layer.output_shape((1, *size, 3))[1:3]
    for axis in (0, 1):
        for pixel in range(out[axis]):
            low, high = layer.receptive_interval(axis, (pixel, pixel), size, out)
            touched = dependence(layer, size, axis, pixel)
            inside = [n for n in range(size[axis]) if low <= n <= high]
            assert set(touched) <= set(inside)
            if touched and not isinstance(layer, ReLU):
                assert (touched[0], touched[-1]) == (inside[0], inside[-1])
        whole = layer.receptive_interval(axis, (1, out[axis] - 2), size, out)
        ends = [layer.receptive_interval(axis, (n, n), size, out) for n in (1, out[axis] - 2)]
        assert whole == (ends[0][0], ends[1][1])


def test_intervals_of_pools_unpoolings_and_skips_are_those_of_their_windows():
    pool = MaxPool2d(3, 2)
    assert pool.receptive_interval(0, (1, 4), (9, 9), (4, 4)) == (2, 10)
    assert pool.skip_interval(0, (3, 6), (9, 9)) == (2, 8)  # windows 1 to 3
    assert MaxUnpool2d(pool).receptive_interval(1, (3, 8), (9, 9), (20, 20)) == (1, 4)
    assert MaxUnpool2d(pool).receptive_interval(1, (4, 8), (9, 9), (20, 20)) == (1, 4)  # windows 1 and 2 share column 4
    assert SkipSource(conv(4, 3)).skip_interval(1, (2, 5), (9, 9)) == (1, 6)
    assert SkipSource().skip_interval(1, (2, 5), (9, 9)) == SkipAdd(SkipSource()).skip_interval(0, (2, 5), (9, 9))
    assert SkipSource(conv(4, 3)).receptive_interval(1, (2, 5), (9, 9), (9, 9)) == (2, 5)


def test_an_upsampling_or_transposed_convolution_restores_the_size_of_its_pool():
    pool, tape = MaxPool2d(), Tape()
    small = pool.forward(X, tape)
    transposed = ConvTranspose2d(3, 2, 3, stride=2, pool=pool, rng=RNG, dtype=float)
    for layer in (Upsample("nearest", pool=pool), Upsample("bilinear", pool=pool), transposed, MaxUnpool2d(pool)):
        assert layer.pool is pool
        assert layer.forward(small, tape).shape[1:3] == (5, 6)
        with pytest.raises(StateError, match="MaxPool2d has not run yet"):
            layer.forward(small, Tape())
    assert Upsample("nearest").forward(small).shape[1:3] == (6, 6)


def test_a_skip_connection_must_run_in_order():
    source, tape = SkipSource(), Tape(training=True)
    end = SkipAdd(source)
    with pytest.raises(StateError, match="SkipSource has not run yet"):
        end.forward(X, tape)
    source.forward(X, tape)
    with pytest.raises(StateError, match="SkipAdd has not run yet"):
        source.backward(X, tape)
    through = conv(4, 1)
    source = SkipSource(through)
    source.forward(X, tape)
    maps = SkipAdd(source).forward(np.zeros((2, 5, 6, 4)), tape)
    tape.map_gradients[source] = maps
    dx = source.backward(X, tape)
    np.testing.assert_allclose(dx, X + maps @ through.params["weight"][0, 0].T)
    np.testing.assert_allclose(source.grads["weight"][0, 0], np.einsum("nhwc,nhwf->cf", X, maps))
    assert source not in tape.map_gradients


def test_copies_of_a_tape_have_their_own_tables_of_the_same_arrays():
    tape = Tape(training=True, sample=True)
    layer = ReLU()
    layer.forward(X, tape)
    copied = tape.copy()
    assert copied.caches[layer] is tape.caches[layer]
    assert (copied.training, copied.sample) == (True, True)
    tape.clear([layer])
    assert layer in copied.caches
    assert layer not in tape.caches
