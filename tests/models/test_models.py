"""Networks: published parameter counts, gradients, names, and the memory that `summary` reports."""

import importlib

import numpy as np
import pytest
from small_networks import images, shaken, without_memory

import tinysegnet as ts
from tinysegnet.errors import CheckpointError, SettingError, ShapeError, StateError
from tinysegnet.layers import Tape

# As in the authors' model files: weights and biases of convolutions, gamma and beta of batch norm.
PUBLISHED = {"basic": 1_416_587, "vgg16": 29_449_355, "tiny": 493_707}


@pytest.mark.parametrize(("name", "count"), PUBLISHED.items())
def test_networks_have_the_published_numbers_of_parameters(name, count):
    model = without_memory(name)
    assert model.num_parameters == count
    assert model.summary((45, 61)).total("parameters") == count


def test_convolutions_have_the_published_numbers_of_weights():
    assert without_memory("basic").summary((32, 32)).kernels == 1_415_040
    assert without_memory("vgg16").summary((32, 32)).kernels == 29_425_536


def test_vgg16_has_13_convolutions_in_the_encoder_and_13_in_the_decoder():
    model = without_memory("vgg16")
    names = [name for name in model.layers if ".conv" in name or name == "classifier"]
    assert sum(name.startswith("encoder") for name in names) == 13
    assert sum(not name.startswith("encoder") for name in names) == 13
    encoder = [a.size for key, a in model.named_parameters() if key.startswith("encoder") and ".conv" in key]
    assert sum(encoder) == 14_714_688  # VGG16 without its fully connected layers


CBR, CB = "conv norm relu ", "conv norm "
ENCODER = "lrn " + 4 * (CBR + "pool ")  # of SegNet-Basic
LAYERS = {
    "tiny": "scale " + 4 * (CBR + "pool ") + 4 * ("unpool " + CBR) + "conv",
    "basic": ENCODER + 4 * ("unpool " + CB) + "conv",
    "vgg16": "scale " + "".join(n * CBR + "pool " for n in (2, 2, 3, 3, 3))
             + "".join("unpool " + n * CBR for n in (3, 3, 3, 2, 1)) + "conv",
    "bayesian-basic": "lrn " + 2 * (CBR + "pool ") + 2 * (CBR + "pool drop ") + 2 * ("unpool " + CB + "drop ")
                      + 2 * ("unpool " + CB) + "conv",
    "bayesian-vgg16": "scale " + 2 * (2 * CBR + "pool ") + 3 * (3 * CBR + "pool drop ")
                      + 3 * ("unpool " + 3 * CBR + "drop ") + "unpool " + 2 * CBR + "unpool " + CBR + "conv",
    "bilinear-interpolation": ENCODER + "conv " + 4 * "bilinear " ,
    "basic-encoder-addition": "lrn " + 3 * (CBR + "pool source ") + CBR + "pool " + 3 * ("unpool " + CB + "add ")
                              + "unpool " + CB + "conv",
    "basic-single-channel-decoder": ENCODER + 4 * "unpool depthwise norm " + "conv",
    "fcn-basic": "lrn " + 3 * (CBR + "pool source ") + CBR + "pool conv " + 3 * "transposed add " + "transposed",
    "fcn-basic-no-addition": ENCODER + "conv " + 4 * "transposed ",
    "fcn-basic-no-dim-reduction": "lrn " + 3 * (CBR + "pool source ") + CBR + "pool " + 3 * "transposed add "
                                  + "transposed conv",
    "fcn-basic-no-addition-no-dim-reduction": ENCODER + 4 * "transposed " + "conv",
    "replication": ENCODER + 4 * ("nearest " + CB) + "conv",
    "fixed-index": ENCODER + 4 * ("fixed " + CB) + "conv",
    "article": "scale " + 2 * "conv relu pool " + "conv relu " + 2 * "transposed relu nearest " + "conv",
}  # fmt: skip
WORDS = {"Normalize": "scale", "LocalResponseNorm": "lrn", "Conv2d": "conv", "BatchNorm2d": "norm", "ReLU": "relu",
         "MaxPool2d": "pool", "MaxUnpool2d": "unpool", "FixedUnpool2d": "fixed", "Dropout": "drop", "SkipAdd": "add",
         "SkipSource": "source", "DepthwiseConv2d": "depthwise", "ConvTranspose2d": "transposed"}  # fmt: skip


@pytest.mark.parametrize("name", list(ts.models))
def test_the_layers_follow_the_published_order(name):
    layers = ts.build(name, 2, width=1 / 64).layers.values()
    kinds = [WORDS.get(type(layer).__name__) or layer.mode for layer in layers]
    assert kinds == LAYERS[name].split()
    pools = [layer for layer in layers if type(layer).__name__ == "MaxPool2d"]
    ups = [layer.pool for layer in layers if layer.pool is not None]
    assert ups == ([] if name == "article" else pools[::-1])  # the innermost stage comes first
    assert all(layer.p == 0.5 for layer in layers if type(layer).__name__ == "Dropout")


def test_basic_has_no_relu_in_its_decoder():
    kinds = {name: type(layer).__name__ for name, layer in ts.build("basic", width=1 / 16).layers.items()}
    assert "ReLU" not in {kind for name, kind in kinds.items() if name.startswith("decoder")}
    assert kinds["decoder1.bn1"] == "BatchNorm2d"


def test_gradients_have_the_shapes_and_dtype_of_their_parameters():
    model = ts.build("tiny", width=1 / 16)
    model.backward(model.forward(images(2, 20, 28), training=True), input_gradient=False)
    gradients = dict(model.named_gradients())
    for name, parameter in model.named_parameters():
        assert gradients[name].shape == parameter.shape, name
        assert gradients[name].dtype == np.float32, name


def test_skipping_the_input_gradient_preserves_the_gradients_of_parameters():
    model = ts.build("tiny", width=1 / 16, dtype=np.float64)
    x = images(2, 20, 28, dtype=np.float64)
    found = []
    for wanted in (True, False):
        dx = model.backward(model.forward(x, training=True), input_gradient=wanted)
        assert (dx is not None) == wanted
        found.append([g.copy() for _, g in model.named_gradients()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_seed_determines_the_weights():
    states = [ts.build("tiny", seed=seed, width=1 / 16).state() for seed in (3, 3, 4)]
    assert all((states[0][k] == states[1][k]).all() for k in states[0])
    assert any((states[0][k] != states[2][k]).any() for k in states[0])


def test_inference_on_a_batch_equals_inference_on_each_picture():
    model = ts.build("tiny", width=1 / 8)
    x = images(3, 21, 27)
    one_by_one = np.concatenate([model.forward(x[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(model.forward(x), one_by_one, atol=1e-5)


@pytest.mark.parametrize("name", list(ts.models))
def test_summary_reports_the_memory_that_a_training_forward_keeps(name):
    model = ts.build(name, width=1 / 8)
    size = model.fitting_size((45, 61))
    summary = model.summary(size, batch_size=2)
    model.forward(np.ones((2, *size, 3), np.float32), training=True, tape=(tape := Tape()))
    assert summary.total("indices") == sum(indices.nbytes for indices in tape.indices.values())
    assert summary.total("kept") == sum(array.nbytes for array in kept_activations(model, tape))


def kept_activations(model, tape):
    """Return the distinct large arrays in the caches that are neither parameters nor indices."""
    own = {id(a) for _, a in model.named_parameters()}
    arrays = {}
    assert set(tape.caches) == set(model.fused_layers)
    for cache in tape.caches.values():
        for value in cache if isinstance(cache, tuple) else (cache,):
            if isinstance(value, np.ndarray) and value.ndim == 4 and value.dtype != np.uint8 and id(value) not in own:
                arrays[value.__array_interface__["data"][0]] = value
    return arrays.values()


def test_indices_take_two_bits_per_window():
    summary = without_memory("basic").summary((360, 480))
    windows = 3_672_960  # of all four pools at 360x480
    assert summary.total("indices") * 4 == windows
    assert "int64" in str(summary)


GFLOP = {  # of one forward pass at 360x480
    "tiny": 12.541, "basic": 118.378, "vgg16": 213.425, "bilinear-interpolation": 26.012, "article": 26.321,
    "basic-single-channel-decoder": 27.694, "fcn-basic": 26.981, "fcn-basic-no-addition": 26.901,
    "fcn-basic-no-dim-reduction": 56.343,
}  # fmt: skip


@pytest.mark.parametrize(("name", "gflop"), GFLOP.items())
def test_summary_counts_the_multiply_adds(name, gflop):
    assert without_memory(name).summary((360, 480)).gflops == pytest.approx(gflop, abs=5e-4)


def test_summary_adds_up_parameters_and_bytes():
    summary = ts.build("basic-encoder-addition", 3, width=1 / 16).summary((21, 27), batch_size=2)
    values = summary.as_dict()
    names = ("parameters", "kernel_parameters", "activation_bytes", "index_bytes", "skip_bytes", "training_bytes")
    assert [values[name] for name in names] == [6187, 6088, 126416, 424, 7080, 201084]
    assert values["layers"][4]["output_shape"] == (2, 11, 14, 4)
    for part in ("2 x 11 x 14 x 4", "308 B", "13.6 kB", "6,187", "24.7 kB", "7.08 kB"):
        assert part in str(summary)


def test_width_scales_the_channels_to_at_least_one():
    def channels(width):
        return [a.shape[3] for key, a in ts.build("tiny", 5, width=width).named_parameters() if a.ndim == 4]

    assert channels(0.05) == [2, 3, 6, 6, 6, 3, 2, 2, 5]
    assert channels(0.001) == [1, 1, 1, 1, 1, 1, 1, 1, 5]


@pytest.mark.parametrize("name", list(ts.models))
def test_every_network_takes_small_odd_sizes_and_batches_of_one(name):
    """Sizes that no pool divides exactly are rounded up, and restored by the decoder."""
    model = shaken(ts.build(name, 3, width=1 / 16, dtype=np.float64))
    for size in ((1, 1), (1, 9), (7, 2), (5, 13), (17, 35)):
        size = model.fitting_size(size)
        x = images(2, *size, dtype=np.float64)
        both = model.forward(x)
        assert both.shape == (2, *size, 3)
        for k in range(2):
            np.testing.assert_allclose(model.forward(x[k : k + 1]), both[k : k + 1], rtol=1e-9, atol=1e-9)
    dx = model.backward(np.ones_like(model.forward(x[:1], training=True)))  # batch norm needs several pixels
    assert dx.shape == (1, *size, 3)
    assert np.isfinite(dx).all()


@pytest.mark.parametrize("multiple", [1, 2, 3, 4, 5])
def test_the_fitting_size_is_the_nearest_one(multiple):
    layers = ts.build("tiny", width=1 / 16).layers
    model = ts.Network(layers, {"name": "x", "num_classes": 11}, size_multiple=multiple)
    for n in range(1, 40):
        height, width = model.fitting_size((n, 41 - n))
        assert height % multiple == width % multiple == 0
        for found, wanted in ((height, n), (width, 41 - n)):
            assert found > 0
            assert abs(found - wanted) <= max(multiple / 2, multiple - wanted)
        assert model.fitting_size((height, width)) == (height, width)
        model.check_size((height, width))
        if n % multiple:
            with pytest.raises(ShapeError, match=rf"multiples of {multiple}, not {n}x{n}. Give {height}x{height}"):
                model.check_size((n, n))


def test_a_number_of_channels_is_rounded_to_the_nearest():
    for width, channels in ((0.051, 3), (0.054, 3), (0.056, 4), (0.5, 32), (1, 64), (1.01, 65)):
        assert (
            ts.build("bilinear-interpolation", 1, width=width).layers["encoder1.conv1"].params["bias"].size == channels
        )


def test_the_largest_width_is_accepted_and_more_refused(monkeypatch):
    package = importlib.import_module("tinysegnet.models")
    assert package.MAX_WIDTH == 8
    assert package.MAX_CLASSES == 255
    monkeypatch.setattr(package, "MAX_WIDTH", 0.125)
    assert ts.build("tiny", width=0.125).config["width"] == 0.125
    with pytest.raises(SettingError, match=r"at most 0\.125"):
        ts.build("tiny", width=0.1251)


def test_the_defaults_of_build_are_the_documented_ones():
    config = ts.build("bilinear-interpolation").config
    assert config == {"name": "bilinear-interpolation", "num_classes": 11, "seed": 0, "width": 1.0, "dtype": "float32",
                      "preprocessing": "local_response"}  # fmt: skip
    first = {name: make().preprocessing for name, make in ts.models.items()}
    multiples = {name: make().size_multiple for name, make in ts.models.items()}
    assert {name for name in first if first[name] != "local_response"} == {"tiny", "vgg16", "bayesian-vgg16", "article"}
    assert (first["tiny"], first["vgg16"], first["bayesian-vgg16"], first["article"]) == ("scaled",) * 3 + ("unit",)
    assert multiples == {name: 4 if name == "article" else 1 for name in ts.models}


def test_build_rejects_settings_out_of_range():
    for wrong in ({"num_classes": 0}, {"num_classes": 256}, {"width": 0}, {"width": 8.1}, {"seed": -1}, {"width": -1},
                  {"dtype": "float16"}, {"num_classes": 2.5}):  # fmt: skip
        with pytest.raises(SettingError, match=str(*wrong.values()).replace(".", r"\.")):
            ts.build("tiny", **wrong)
    assert ts.build("tiny", 255, width=0.001).num_classes == 255
    assert ts.build("tiny", 1, width=0.001, seed=0, dtype="float64").num_classes == 2


def test_unknown_names_and_wrong_shapes_are_rejected():
    for name in ("segnet", ["tiny"]):
        with pytest.raises(SettingError, match="tiny, basic, vgg16"):
            ts.build(name)
    with pytest.raises(ShapeError, match=r"\(N, H, W, 3\)"):
        ts.build("tiny", width=1 / 16).forward(np.zeros((1, 3, 20, 20)))


def test_load_state_lists_all_names_and_shapes_that_do_not_fit():
    model = ts.build("tiny", width=1 / 16)
    state = model.state()
    state["extra"] = np.zeros(1)
    state["classifier.bias"] = np.zeros(3)
    del state["encoder1.conv1.weight"]
    with pytest.raises(CheckpointError) as error:
        model.load_state(state)
    for part in ("missing encoder1.conv1.weight", "unexpected extra", "classifier.bias", "(3,)", "(11,)"):
        assert part in str(error.value)


def test_backward_after_inference_is_an_error():
    model, x = ts.build("tiny", width=1 / 16), np.ones((1, 20, 28, 3), np.float32)
    logits = model.forward(x, training=True)
    model.forward(x)
    with pytest.raises(StateError, match="classifier"):
        model.backward(np.ones_like(logits))


@pytest.mark.parametrize("name", ["tiny", "basic"])
def test_inference_equals_the_layers_one_by_one(name):
    """Applying batch norm and ReLU within the convolution changes only rounding errors."""
    model = shaken(ts.build(name, width=1 / 16, dtype=np.float64))
    x = images(2, 21, 27, dtype=np.float64)
    expected = x
    for layer in model.layers.values():
        expected = layer.forward(expected)
    np.testing.assert_allclose(model.forward(x), expected, rtol=1e-9, atol=1e-9)
