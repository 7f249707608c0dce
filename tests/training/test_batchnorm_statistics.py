"""Exact statistics of batch norm match those of all pixels at once, and nothing else changes."""

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.data import CAMVID, Sample
from tinysegnet.errors import DataError, NonFiniteError, SettingError
from tinysegnet.layers import BatchNorm2d, Conv2d, MaxPool2d, MaxUnpool2d, Normalize, ReLU, thread_tape
from tinysegnet.models import Network
from tinysegnet.ops.conv import conv2d_forward_numpy

SIZE = (7, 10)


class Pictures:
    """Random pictures, some much brighter than others, so that the spread between batches matters."""

    palette, name = CAMVID, "pictures"

    def __init__(self, count):
        rng = np.random.default_rng(0)
        self.images = [rng.integers(0, 60 + 195 * (n % 3 == 0), (*SIZE, 3)).astype(np.uint8) for n in range(count)]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return Sample(self.images[index], np.zeros(SIZE, np.uint8), str(index))


def network(stages, dtype=np.float64):
    rng = np.random.default_rng(1)
    layers = {"input": Normalize(100, 50, dtype=dtype)}
    for n in range(1, stages + 1):
        layers[f"conv{n}"] = Conv2d(3 if n == 1 else 4, 4, 3, rng=rng, dtype=dtype)
        layers[f"bn{n}"] = BatchNorm2d(4, dtype=dtype)
        layers[f"relu{n}"] = ReLU()
        for key in ("gamma", "beta"):
            layers[f"bn{n}"].params[key] += 0.2 * rng.standard_normal(4).astype(dtype)
        if n == 1:
            layers["pool"] = MaxPool2d()
            layers["unpool"] = MaxUnpool2d(layers["pool"])
    layers["classifier"] = Conv2d(4, 11, 1, rng=rng, dtype=dtype)
    return Network(layers, {"num_classes": 11})


def by_force(model, data, batch_size):
    """Compute {norm: (mean, var)} with plain NumPy from all inputs of each batch norm at once."""
    heaps = {name: [] for name in model.layers if name.startswith("bn")}
    for part in np.array_split(np.arange(len(data)), -(-len(data) // batch_size)):
        x = np.stack([data.images[k] for k in part]).astype(np.float64)
        for name, layer in model.layers.items():
            if isinstance(layer, Conv2d):
                x, _ = conv2d_forward_numpy(x, layer.params["weight"], layer.params["bias"])
            elif name in heaps:
                heaps[name].append(x.reshape(-1, 4))
                x_hat = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + layer.eps)
                x = layer.params["gamma"] * x_hat + layer.params["beta"]
            else:
                x = layer.forward(x)
    heaps = {name: np.concatenate(heap) for name, heap in heaps.items()}
    return {name: (heap.mean(0), heap.var(0, ddof=1)) for name, heap in heaps.items()}


@pytest.mark.parametrize(("batch_size", "count"), [(2, 6), (3, 8), (4, 5), (9, 9)])  # batches may differ in size
@pytest.mark.parametrize("stages", [1, 2])
def test_statistics_match_all_pixels_at_once(stages, batch_size, count):
    model, data = network(stages), Pictures(count)
    expected = by_force(model, data, batch_size)
    ts.recompute_statistics(model, data, size=SIZE, batch_size=batch_size)
    for name, (mean, var) in expected.items():
        np.testing.assert_allclose(model.layers[name].buffers["running_mean"], mean, rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(model.layers[name].buffers["running_var"], var, rtol=1e-11)


def test_statistics_include_the_spread_between_batches():
    model, data = network(1), Pictures(6)
    ts.recompute_statistics(model, data, size=SIZE, batch_size=1)
    exact = model.layers["bn1"].buffers["running_var"].copy()
    within = []
    model.layers["bn1"].momentum = 1.0
    for image in data.images:
        model.forward(image[None].astype(np.float64), training=True)
        within.append(model.layers["bn1"].buffers["running_var"].copy())
    assert (exact / np.mean(within, 0)).max() > 3


def test_statistics_are_accurate_in_float32():
    model, data = network(2, np.float32), Pictures(6)
    expected = by_force(network(2), data, 2)
    ts.recompute_statistics(model, data, size=SIZE, batch_size=2)
    for name, (mean, var) in expected.items():
        assert model.layers[name].buffers["running_var"].dtype == np.float32
        np.testing.assert_allclose(model.layers[name].buffers["running_mean"], mean, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(model.layers[name].buffers["running_var"], var, rtol=1e-5)


def test_statistics_are_repeatable_and_leave_parameters_unchanged():
    model, data = network(2), Pictures(5)
    parameters = {name: array.copy() for name, array in model.named_parameters()}
    ts.recompute_statistics(model, data, size=SIZE, batch_size=2)
    first = {name: array.copy() for name, array in model.named_buffers()}
    ts.recompute_statistics(model, data, size=SIZE, batch_size=2)
    assert all(np.array_equal(first[name], array) for name, array in model.named_buffers())
    assert all(np.array_equal(parameters[name], array) for name, array in model.named_parameters())


def test_training_continues_as_usual_after_the_statistics():
    model, other = network(2), network(2)
    x = np.random.default_rng(0).uniform(0, 255, (2, *SIZE, 3))
    ts.recompute_statistics(model, Pictures(4), size=SIZE)
    assert not any(step in thread_tape().caches for step in model.fused_layers)
    other.load_state(model.state())
    for net in (model, other):
        net.forward(x, training=True)
    for name, array in model.named_buffers():
        np.testing.assert_array_equal(array, dict(other.named_buffers())[name])


def test_batches_have_four_pictures_by_default():
    model, data = network(2), Pictures(9)
    expected = by_force(model, data, 4)
    ts.recompute_statistics(model, data, size=SIZE)
    for name, (mean, _) in expected.items():
        np.testing.assert_allclose(model.layers[name].buffers["running_mean"], mean, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("wrong", ["interrupted", "not finite"])
def test_failed_statistics_leave_the_network_unchanged(wrong):
    model, data = network(2), Pictures(6)

    def stops(batches):
        yield next(iter(batches))
        raise KeyboardInterrupt

    error, progress = (KeyboardInterrupt, stops) if wrong == "interrupted" else (NonFiniteError, iter)
    if wrong == "not finite":
        model.layers["conv2"].params["weight"][...] = np.nan
    before = {name: array.copy() for name, array in model.state().items()}
    with pytest.raises(error):
        ts.recompute_statistics(model, data, size=SIZE, batch_size=2, progress=progress)
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, before[name])
    model.forward(np.ones((2, *SIZE, 3)), training=True)
    assert not np.array_equal(model.layers["bn1"].buffers["running_mean"], before["bn1.running_mean"])


def test_a_network_without_batch_norm_is_accepted():
    model = ts.build("tiny", width=1 / 16, folded=True)
    ts.recompute_statistics(model, Pictures(2), size=SIZE)
    assert not dict(model.named_buffers())


def test_statistics_reject_invalid_arguments():
    model = network(1)
    for settings in ({"size": 7}, {"size": SIZE, "batch_size": "2"}, {"size": SIZE, "batch_size": 0}):
        with pytest.raises(SettingError, match=r"size"):
            ts.recompute_statistics(model, Pictures(2), **settings)
    with pytest.raises(SettingError, match="Network"):
        ts.recompute_statistics("tiny", Pictures(2), size=SIZE)
    with pytest.raises(DataError, match="no pictures"):
        ts.recompute_statistics(model, Pictures(0), size=SIZE)
