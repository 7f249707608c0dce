"""Networks: published parameter counts, any size, names, and the memory that `summary` claims."""

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.errors import CheckpointError, SettingError, ShapeError, StateError
from tinysegnet.layers import Tape

# SegNet-Basic and SegNet from the authors' model files: convolutions' weights and biases, batch norm's gamma and beta.
PUBLISHED = {"basic": 1_416_587, "vgg16": 29_449_355, "tiny": 493_707}


@pytest.mark.parametrize(("name", "count"), PUBLISHED.items())
def test_parameter_counts_are_exact(name, count):
    model = ts.build(name)
    assert model.num_parameters == count
    assert sum(row.parameters for row in model.summary((45, 61)).rows) == count


def test_the_papers_convolution_weights():
    def weights(name):
        return sum(a.size for key, a in ts.build(name).named_parameters() if key.endswith(".weight"))

    assert weights("basic") == 1_415_040
    assert weights("vgg16") == 29_425_536


def test_vgg16_has_13_convolutions_down_and_13_up():
    names = [name for name in ts.build("vgg16").layers if ".conv" in name or name == "classifier"]
    assert sum(name.startswith("encoder") for name in names) == 13
    assert sum(not name.startswith("encoder") for name in names) == 13
    encoder = [a.size for key, a in ts.build("vgg16").named_parameters()
               if key.startswith("encoder") and ".conv" in key]  # fmt: skip
    assert sum(encoder) == 14_714_688  # VGG16 without its fully connected layers


def test_basic_has_no_relu_in_its_decoder():
    kinds = {name: type(layer).__name__ for name, layer in ts.build("basic", width=1 / 16).layers.items()}
    assert "ReLU" not in {kind for name, kind in kinds.items() if name.startswith("decoder")}
    assert kinds["decoder1.bn1"] == "BatchNorm2d"


@pytest.mark.parametrize("name", ["tiny", "basic", "vgg16"])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 13), (45, 61), (20, 28)])
def test_any_size_comes_back_at_its_own_size(name, size):
    model = ts.build(name, num_classes=5, width=1 / 16)
    x = np.random.default_rng(0).uniform(0, 255, (2, *size, 3)).astype(np.float32)
    logits = model.forward(x, training=True)
    assert logits.shape == (2, *size, 5)
    assert logits.dtype == np.float32
    dx = model.backward(np.ones_like(logits))
    assert dx.shape == x.shape
    assert [n for n, _ in model.named_parameters()] == [n for n, _ in model.named_gradients()]


def test_gradients_have_the_shapes_and_dtype_of_their_parameters():
    model = ts.build("tiny", width=1 / 8)
    model.backward(model.forward(np.ones((2, 20, 28, 3), np.float32), training=True), input_gradient=False)
    gradients = dict(model.named_gradients())
    for name, parameter in model.named_parameters():
        assert gradients[name].shape == parameter.shape, name
        assert gradients[name].dtype == np.float32, name


def test_without_the_input_gradient_the_parameters_gradients_are_the_same():
    model = ts.build("tiny", width=1 / 16, dtype=np.float64)
    x = np.random.default_rng(0).uniform(0, 255, (2, 20, 28, 3))
    found = []
    for wanted in (True, False):
        dx = model.backward(model.forward(x, training=True), input_gradient=wanted)
        assert (dx is not None) == wanted
        found.append([g.copy() for _, g in model.named_gradients()])
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_same_seed_same_weights_other_seed_other_weights():
    states = [ts.build("tiny", seed=seed, width=1 / 8).state() for seed in (3, 3, 4)]
    assert all((states[0][k] == states[1][k]).all() for k in states[0])
    assert any((states[0][k] != states[2][k]).any() for k in states[0])


def test_a_batch_is_its_pictures_one_by_one_at_test_time():
    model = ts.build("tiny", width=1 / 8)
    x = np.random.default_rng(0).uniform(0, 255, (3, 21, 27, 3)).astype(np.float32)
    one_by_one = np.concatenate([model.forward(x[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(model.forward(x), one_by_one, atol=1e-5)


@pytest.mark.parametrize("name", list(ts.models))
def test_summary_claims_the_memory_that_a_training_forward_really_keeps(name):
    model = ts.build(name, width=1 / 8)
    size = model.fitting_size((45, 61))
    summary = model.summary(size, batch_size=2)
    model.forward(np.ones((2, *size, 3), np.float32), training=True, tape=(tape := Tape()))
    assert summary.total("indices") == sum(indices.nbytes for indices in tape.indices.values())
    assert summary.total("kept") == sum(array.nbytes for array in kept_activations(model, tape))


def kept_activations(model, tape):
    """Distinct large arrays in the caches that are neither parameters nor indices."""
    own = {id(a) for _, a in model.named_parameters()}
    arrays = {}
    assert set(tape.caches) == set(model.fused_layers)
    for cache in tape.caches.values():
        for value in cache if isinstance(cache, tuple) else (cache,):
            if isinstance(value, np.ndarray) and value.ndim == 4 and value.dtype != np.uint8 and id(value) not in own:
                arrays[value.__array_interface__["data"][0]] = value
    return arrays.values()


def test_indices_are_two_bits_a_window():
    model = ts.build("basic")
    summary = model.summary((360, 480))
    windows = 3_672_960  # segnet at 360x480, all four pools
    assert summary.total("indices") * 4 == windows
    assert "int64" in str(summary)


def test_summary_counts_multiply_adds_as_the_paper_sized_network_has_them():
    assert ts.build("basic").summary((360, 480)).gflops / 2 == pytest.approx(59.2, abs=0.05)  # GMAC


def test_wrong_names_and_sizes_are_refused_with_the_remedy():
    with pytest.raises(SettingError, match="tiny, basic, vgg16"):
        ts.build("segnet")
    with pytest.raises(ShapeError, match=r"\(N, H, W, 3\)"):
        ts.build("tiny", width=1 / 16).forward(np.zeros((1, 3, 20, 20)))


def test_load_state_lists_everything_that_does_not_fit():
    model = ts.build("tiny", width=1 / 16)
    state = model.state()
    state["extra"] = np.zeros(1)
    state["classifier.bias"] = np.zeros(3)
    del state["encoder1.conv1.weight"]
    with pytest.raises(CheckpointError) as error:
        model.load_state(state)
    for part in ("missing encoder1.conv1.weight", "unexpected extra", "classifier.bias has shape (3,), expected (11,)"):
        assert part in str(error.value)


def test_inference_leaves_nothing_for_a_backward():
    model, x = ts.build("tiny", width=1 / 16), np.ones((1, 20, 28, 3), np.float32)
    logits = model.forward(x, training=True)
    model.forward(x)
    with pytest.raises(StateError, match="classifier"):
        model.backward(np.ones_like(logits))


@pytest.mark.parametrize("name", ["tiny", "basic"])
def test_inference_is_the_layers_one_by_one(name):
    """Batch norm and ReLU inside the convolution change the rounding and nothing else."""
    model = ts.build(name, width=1 / 8, dtype=np.float64)
    rng = np.random.default_rng(0)
    for array in (array for _, array in (*model.named_parameters(), *model.named_buffers())):
        array += 0.1 * rng.random(array.shape)
    x = rng.uniform(0, 255, (2, 45, 61, 3))
    expected = x
    for layer in model.layers.values():
        expected = layer.forward(expected)
    np.testing.assert_allclose(model.forward(x), expected, rtol=1e-9, atol=1e-9)
