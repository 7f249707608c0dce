"""A network of given layers: settings, seeds, checks of pictures, tapes, and freezing."""

import numpy as np
import pytest
from small_networks import images, layers, network

import tinysegnet as ts
from tinysegnet.errors import CheckpointError, SettingError, ShapeError, StateError
from tinysegnet.layers import Tape
from tinysegnet.models import check_network

X = images(2, 5, 6)


def test_a_network_without_config_is_custom_and_counts_its_classes():
    model = network(classes=7)
    assert model.config == {"name": "custom", "num_classes": 7}
    assert (model.num_classes, model.size_multiple, model.frozen) == (7, 1, frozenset())
    assert network(classes=1).num_classes == 2
    assert [layer.name for layer in model.layers.values()] == list(model.layers)
    made = layers()
    assert ts.Network(made).layers is not made
    names = [layer.name for layer in model.fused_layers]
    assert names == [name for name in model.layers if name != "encoder1.relu1"]


def test_the_seed_determines_the_masks_of_dropout_for_ever():
    """Checkpoints store the seed, so other masks would change resumed runs."""
    for seed in (0, 5):
        model = ts.build("tiny", width=1 / 64, seed=seed)
        assert model.generator.random() == np.random.default_rng([seed, 1]).random()
    assert ts.Network(layers()).generator.random() == np.random.default_rng([0, 1]).random()
    model.reseed(3, 4)
    assert model.generator.random() == np.random.default_rng([3, 4]).random()


def test_the_weights_follow_from_the_seed_in_the_order_of_the_layers():
    first = ts.build("tiny", width=1 / 64, seed=2, dtype="float64").layers["encoder1.conv1"].params["weight"]
    np.testing.assert_array_equal(first, np.random.default_rng(2).standard_normal(first.shape) * np.sqrt(2 / 27))


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float32, np.float64, float])
def test_both_dtypes_have_several_names(dtype):
    model = ts.build("tiny", width=1 / 64, dtype=dtype)
    assert model.config["dtype"] == model.dtype.name == np.dtype(dtype).name
    assert {a.dtype for a in model.state().values()} == {np.dtype(dtype)}
    assert model.forward(images(1, 4, 4, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("picture", [X[0], X[None], X[..., :2], X[:0], X[:, :0], X.astype(float), X.tolist(), None,
                                     X.astype(np.uint8)], ids=lambda p: str(getattr(p, "shape", p))[:12])  # fmt: skip
def test_what_is_no_batch_of_pictures_is_refused(picture):
    model = network(dropout=("drop",))
    for call in (model.forward, lambda x: model.samples(x, 1), lambda x: model.forward(x, training=True)):
        with pytest.raises(ShapeError, match="pictures"):
            call(picture)
    with pytest.raises(ShapeError, match="gradient of the logits"):
        model.backward(picture if not isinstance(picture, np.ndarray) else picture.astype(float))


def test_a_mask_of_pictures_is_not_ignored_in_silence():
    for training in (False, True):
        with pytest.raises(ShapeError, match=r"input needs x .*without a mask, got MaskedArray"):
            network().forward(np.ma.masked_array(X, X > 9), training=training)


def test_models_are_checked_by_their_type():
    model = network()
    assert check_network(model) is model
    with pytest.raises(SettingError, match="dict is not a Network"):
        check_network({})


# --- calls -----------------------------------------------------------------------------------------------------------


def test_inference_without_a_tape_records_nothing_and_forgets_the_last_training():
    model = network()
    tape = ts.layers.thread_tape()
    model.forward(X, training=True)
    assert set(model.fused_layers) <= set(tape.caches)
    model.forward(X)
    assert not set(model.fused_layers) & set(tape.caches)
    own = Tape(keep=True)
    logits = model.forward(X, tape=own)
    assert set(own.caches) == set(model.fused_layers)
    np.testing.assert_allclose(logits, model.forward(X), rtol=1e-4, atol=1e-5)
    assert model.backward(logits, tape=own).shape == X.shape
    assert not own.caches
    used = Tape(training=True)
    model.forward(X, tape=used)
    model.forward(X, tape=used)
    model.backward(logits, tape=used)
    with pytest.raises(StateError, match="classifier"):
        model.backward(logits, tape=used)


def test_samples_share_the_layers_before_the_first_dropout():
    model = network(dropout=("drop1", "drop2"))
    calls = []
    for name in ("encoder1.pool", "encoder2.conv1"):
        layer = model.layers[name]
        layer.infer = lambda x, following, tape, layer=layer: calls.append(layer.name) or (layer.forward(x, tape), 0)
    generator = np.random.default_rng(3)
    found = list(model.samples(X, 3, generator=generator))
    assert calls == ["encoder1.pool"] + 3 * ["encoder2.conv1"]
    assert len({logits.tobytes() for logits in found}) == 3
    again = list(model.samples(X, 3, generator=np.random.default_rng(3)))
    np.testing.assert_array_equal(again, found)
    with pytest.raises(SettingError, match=r"custom has no dropout.*bayesian-basic"):
        network().check_dropout()


def test_the_branch_signature_is_that_of_this_threads_last_training():
    model = network()
    model.forward(X, training=True)
    first = model.branch_signature()
    model.forward(X, training=True)
    assert model.branch_signature() == first
    model.forward(255 - X, training=True)
    other = model.branch_signature()
    assert other != first
    model.forward(X)
    empty = model.branch_signature()
    assert empty not in (first, other)
    model.forward(255 - X)
    assert model.branch_signature() == empty


# --- freezing --------------------------------------------------------------------------------------------------------


def test_frozen_layers_get_no_gradients_and_the_others_the_same_ones():
    model, free = network(), network()
    logits = model.forward(X, training=True)
    free.backward(free.forward(X, training=True) * 0 + 1)
    model.backward(np.ones_like(logits))
    model.freeze("encoder1")
    assert model.frozen == {name for name in model.layers if name.startswith("encoder1")}
    assert not any(model.layers[name].grads for name in model.frozen)
    tape = Tape(training=True)
    logits = model.forward(X, tape=tape)
    assert {layer.name for layer in tape.caches} == {"encoder2.conv1", "decoder1.unpool", "decoder1.add", "classifier"}
    with pytest.raises(StateError, match="input_gradient=False"):
        model.backward(np.ones_like(logits), tape=tape)
    assert model.backward(np.ones_like(logits), input_gradient=False, tape=tape) is None
    assert not tape.caches
    assert not tape.map_gradients
    expected = dict(free.named_gradients())
    found = dict(model.named_gradients())
    assert set(found) == {name for name in expected if not name.startswith("encoder1")}
    for name, gradient in found.items():
        np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-4)
    model.freeze(None)
    assert model.frozen == frozenset()
    assert model.backward(model.forward(X, training=True)) is not None


def test_gradients_of_frozen_layers_behind_trained_ones_are_dropped():
    model = network()
    model.freeze("encoder2")
    model.backward(model.forward(X, training=True), input_gradient=False)
    assert {name.split(".")[0] for name, _ in model.named_gradients()} == {"encoder1", "classifier"}
    assert not model.layers["encoder2.conv1"].grads


@pytest.mark.parametrize(("prefix", "message"), [
    ("bottleneck", r"'bottleneck'.*input, encoder1, encoder2, decoder1, classifier$"),
    ("decoder1", "no layer with parameters"),  # which has none
    ("input", "no layer with parameters"),
    ("", "whole network"),
])  # fmt: skip
def test_nothing_and_everything_cannot_be_frozen(prefix, message):
    model = network()
    with pytest.raises(SettingError, match=message):
        model.freeze(prefix)
    assert model.frozen == frozenset()


@pytest.mark.parametrize("fault", ["missing", "unexpected", "shape"])
def test_a_refused_call_changes_nothing_in_a_network(fault):
    model = ts.build("tiny", 3, width=1 / 32)
    model.freeze("encoder1")
    before = {name: array.copy() for name, array in model.state().items()}
    given = {name: array + 1 for name, array in before.items()}
    last = "decoder1.bn1.running_var"  # the last array, so that all others fit
    if fault == "missing":
        del given[last]
    else:
        given["x" if fault == "unexpected" else last] = np.zeros(99, np.float32)
    with pytest.raises(CheckpointError, match=fault):
        model.load_state(given)
    for prefix in ("decoder9", ""):
        with pytest.raises(SettingError, match=prefix or "freezes"):
            model.freeze(prefix)
    assert {name.split(".")[0] for name in model.frozen} == {"encoder1"}
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, before[name])
