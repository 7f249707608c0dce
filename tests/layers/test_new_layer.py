"""A layer that a user defines works everywhere in the library like a built-in layer."""

import numpy as np
import pytest
from small_networks import images

import tinysegnet as ts
from tinysegnet.errors import CheckpointError
from tinysegnet.layers import BatchNorm2d, Conv2d, Layer, MaxPool2d, MaxUnpool2d, Normalize, ReLU

SIZE, CLASSES = (17, 22), 3


class CoordinateGate(Layer):
    """A layer that multiplies channels by a sigmoid of a weighted sum of the channels one column to the left."""

    keeps = "input"

    def __init__(self, channels, *, rng, dtype=np.float32):
        super().__init__()
        self.params = {"weight": rng.standard_normal((channels, channels)).astype(dtype) / channels,
                       "bias": np.zeros(channels, dtype)}  # fmt: skip

    def _forward(self, x, tape):
        left = np.concatenate([np.zeros_like(x[:, :, :1]), x[:, :, :-1]], axis=2)
        gate = 1 / (1 + np.exp(-(left @ self.params["weight"] + self.params["bias"])))
        return x * gate, (x, left, gate)

    def _backward(self, dout, cache, tape, input_gradient):
        x, left, gate = cache
        dz = dout * x * gate * (1 - gate)
        self.grads["weight"] = np.einsum("nhwc,nhwf->cf", left, dz)
        self.grads["bias"] = dz.sum((0, 1, 2))
        dx, dleft = dout * gate, dz @ self.params["weight"].T
        dx[:, :, :-1] += dleft[:, :, 1:]
        return dx

    def receptive_interval(self, axis, interval, size, output_size):
        return interval if axis == 0 else (interval[0] - 1, interval[1])

    def multiply_adds(self, input_shape):
        return int(np.prod(input_shape)) * input_shape[3]


def network(dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    made = {"rng": rng, "dtype": dtype}
    pool = MaxPool2d()
    return ts.Network({
        "input": Normalize(127.5, 64, dtype=dtype),
        "encoder1.conv1": Conv2d(3, 8, 3, **made),
        "encoder1.bn1": BatchNorm2d(8, dtype=dtype),
        "encoder1.relu1": ReLU(),
        "encoder1.pool": pool,
        "gate": CoordinateGate(8, **made),
        "decoder1.unpool": MaxUnpool2d(pool),
        "classifier": Conv2d(8, CLASSES, 3, **made),
    })  # fmt: skip


def test_a_new_layer_trains():
    model, x = network(), images(2, *SIZE)
    labels = (x.mean(3) // 86).astype(np.uint8)
    optimizer, losses = ts.optim.SGD(model, learning_rate=0.1, momentum=0.9), []
    gate = model.layers["gate"].params["weight"].copy()
    for _ in range(12):
        loss, cache = ts.ops.softmax_cross_entropy_forward(model.forward(x, training=True), labels)
        model.backward(ts.ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
        optimizer.step()
        losses.append(float(loss))
    assert losses[-1] < 0.75 * losses[0]
    assert not np.array_equal(model.layers["gate"].params["weight"], gate)


def test_the_gradient_check_covers_a_new_layer():
    report = ts.gradcheck.check_model(network(np.float64), size=SIZE)
    assert report.ok, f"\n{report}"
    assert report.tensor("gate.weight").ok
    wrong = network(np.float64)
    wrong.layers["gate"]._backward = lambda dout, cache, tape, input_gradient: dout * cache[2]
    with pytest.raises(ts.errors.ShapeError, match=r"gate\.weight"):
        ts.gradcheck.check_model(wrong, size=SIZE)


def test_a_checkpoint_of_a_new_layer_loads_into_a_network_with_the_same_layers(tmp_path):
    model, path = network(), tmp_path / "own.safetensors"
    model.forward(images(2, *SIZE), training=True)  # moves the running statistics
    ts.save(path, model)
    with pytest.raises(CheckpointError, match=r"own\.safetensors: .*'input'.*load\(path, model="):
        ts.load(path)
    other = network(seed=5)
    assert ts.load(path, model=other) is other
    np.testing.assert_array_equal(other.forward(images(1, *SIZE)), model.forward(images(1, *SIZE)))
    with pytest.raises(CheckpointError, match="'input' was saved as Normalize"):
        ts.load(path, model=ts.Network({"conv": Conv2d(3, 8, 3, rng=np.random.default_rng(0))}))


def test_loading_reports_an_inserted_layer_without_parameters(tmp_path):
    tiny, path = ts.build("tiny", 5, width=1 / 16), tmp_path / "inserted.safetensors"
    layers = dict(tiny.layers)
    own = ts.Network({**layers, "again": ReLU()}, tiny.config)
    ts.save(path, own)
    with pytest.raises(CheckpointError, match="'again' was saved as ReLU"):
        ts.load(path)
    assert ts.load(path, model=own) is own


def test_the_summary_counts_a_new_layer():
    model = network()
    summary = model.summary(SIZE)
    row = next(row for row in summary.rows if row.name == "gate")
    assert (row.kind, row.output_shape, row.parameters) == ("CoordinateGate", (1, 9, 11, 8), 8 * 8 + 8)
    assert row.kept == 4 * 9 * 11 * 8  # its input
    assert row.multiply_adds == 9 * 11 * 8 * 8
    assert "gate" in str(summary)
    assert model.num_classes == CLASSES


def test_the_receptive_field_includes_a_new_layer():
    box = network().receptive_field("gate", (3, 4), SIZE)
    assert (box.top, box.bottom, box.left, box.right) == (5, 9, 5, 11)  # one window to the left of encoder1.pool


def test_the_walk_explains_a_new_layer():
    model, x = network(), images(*SIZE).astype(np.uint8)
    labels = np.zeros(SIZE, np.uint8)
    page = ts.walk(model, x, labels).page
    assert "CoordinateGate" in page
    assert "multiplies channels by a sigmoid" in page
    assert "test_new_layer.py, line" in page


def test_a_network_with_a_new_layer_predicts_and_folds():
    model, x = network(), images(2, *SIZE)
    assert ts.predict(model, x[0].astype(np.uint8)).shape == SIZE
    folded = ts.fold_batchnorm(model)
    assert "encoder1.bn1" not in folded.layers
    np.testing.assert_allclose(folded.forward(x), model.forward(x), atol=1e-4)


def test_a_layer_without_op_and_backward_raises_an_error():
    class Half(Layer):
        def _forward(self, x, tape):
            return x / 2, None

    layer = Half()
    layer.forward(np.ones((1, 2, 2, 3)), training=True)
    with pytest.raises(NotImplementedError, match=r"Half.*_backward"):
        layer.backward(np.ones((1, 2, 2, 3)))


def test_a_convolution_does_not_absorb_a_subclass_of_relu():

    class Leaky(ReLU):
        def _forward(self, x, tape):
            return np.where(x > 0, x, 0.1 * x), x

        def _backward(self, dout, cache, tape, input_gradient):
            return np.where(cache > 0, dout, 0.1 * dout)

        def branch_signature(self, cache):
            return np.packbits(cache > 0).tobytes()

    layers = dict(network(np.float64).layers)
    layers["encoder1.relu1"] = Leaky()
    model, x = ts.Network(layers), images(2, *SIZE, dtype=np.float64)
    expected = x
    for layer in model.layers.values():
        expected = layer.forward(expected)
    np.testing.assert_allclose(model.forward(x), expected, rtol=1e-9, atol=1e-9)
    assert ts.gradcheck.check_model(model, size=SIZE).ok
