"""A tape keeps each array for as long as a later call needs it, and a copy of a tape has tables of its own."""

from weakref import WeakKeyDictionary

import numpy as np
import pytest
from small_layers import RNG, X, conv
from small_networks import images, network

from tinysegnet.errors import StateError
from tinysegnet.layers import ReLU, SkipAdd, SkipSource, Tape

TABLES = ("caches", "indices", "map_gradients", "maps", "sizes")


def contents(tape):
    return {name: dict(getattr(tape, name).items()) for name in TABLES}


def test_these_are_all_tables_of_a_tape():
    assert sorted(name for name, value in vars(Tape()).items() if isinstance(value, WeakKeyDictionary)) == [*TABLES]


@pytest.mark.parametrize("name", TABLES)
def test_a_copy_has_every_table_with_the_same_arrays_and_changes_on_its_own(name):
    tape, layer, other = Tape(), ReLU(), ReLU()
    table = getattr(tape, name)
    table[layer] = X
    copied = getattr(tape.copy(), name)
    assert copied[layer] is X
    copied[other] = X
    assert other not in table
    del table[layer]
    assert layer in copied


@pytest.mark.parametrize("through", [None, conv(3, 1)], ids=["plain", "with a convolution"])
def test_feature_maps_are_added_once_in_each_copy(through):
    source, tape = SkipSource(through), Tape()
    end = SkipAdd(source)
    source.forward(X, tape)
    copies = tape, tape.copy(), tape.copy()
    expected = X + (X if through is None else through.forward(X))
    for each in copies:
        np.testing.assert_array_equal(end.forward(X, each), expected)
        assert source not in each.maps
        with pytest.raises(StateError, match="SkipSource has not run yet"):
            end.forward(X, each)


def test_samples_of_a_network_with_a_skip_connection_around_its_dropout_are_equal_to_whole_passes():
    model, x = network(dropout=("dropout",)), images(1, 8, 12)
    generator = np.random.default_rng(3)
    whole = [model.forward(x, tape=Tape(sample=True, generator=generator)) for _ in range(3)]
    np.testing.assert_array_equal(list(model.samples(x, 3, generator=np.random.default_rng(3))), whole)


def test_after_training_only_sizes_and_indices_are_left():
    model, x = network(dropout=("dropout",)), images(2, 8, 12)
    tape = Tape(training=True, generator=np.random.default_rng(0))
    logits = model.forward(x, tape=tape)
    left = contents(tape)
    assert left["caches"]
    assert not left["maps"]
    assert not left["map_gradients"]
    model.backward(RNG.standard_normal(logits.shape).astype(logits.dtype), tape=tape)
    left = contents(tape)
    assert not left["caches"]
    assert not left["maps"]
    assert not left["map_gradients"]
    assert len(left["sizes"]) == len(model.fused_layers)
    assert len(left["indices"]) == 1


@pytest.mark.parametrize("sample", [False, True])
def test_inference_leaves_no_feature_maps_and_no_caches(sample):
    model, tape = network(dropout=("dropout",)), Tape(sample=sample)
    model.forward(images(1, 8, 12), tape=tape)
    left = contents(tape)
    assert not left["caches"]
    assert not left["maps"]
    assert not left["map_gradients"]
