"""PyTorch's names and layouts of every kind of layer, checked value by value without PyTorch."""

import numpy as np
import pytest
from small_networks import shaken

import tinysegnet as ts
from tinysegnet.errors import CheckpointError
from tinysegnet.layers import BatchNorm2d, Conv2d, ConvTranspose2d, DepthwiseConv2d


def network(seed=0):
    """Make a network with one layer of each kind that has parameters. All sizes differ."""
    rng = np.random.default_rng(seed)
    return shaken(ts.Network({
        "a.conv1": Conv2d(3, 4, 5, rng=rng), "a.bn1": BatchNorm2d(4),
        "b.conv1": DepthwiseConv2d(4, 3, rng=rng), "c.conv1": ConvTranspose2d(4, 6, 2, stride=2, bias=False, rng=rng),
        "classifier": Conv2d(6, 2, 1, rng=rng),
    }), seed)  # fmt: skip


def test_arrays_have_pytorchs_names_shapes_and_order_of_axes():
    model, state = network(), ts.to_torch_state(network())
    own = model.state()
    assert {name: array.shape for name, array in state.items()} == {
        "a.conv1.weight": (4, 3, 5, 5), "a.conv1.bias": (4,), "a.bn1.weight": (4,), "a.bn1.bias": (4,),
        "a.bn1.running_mean": (4,), "a.bn1.running_var": (4,), "a.bn1.num_batches_tracked": (),
        "b.conv1.weight": (4, 1, 3, 3), "b.conv1.bias": (4,), "c.conv1.weight": (4, 6, 2, 2),
        "classifier.weight": (2, 6, 1, 1), "classifier.bias": (2,),
    }  # fmt: skip
    for name in ("a.conv1.weight", "classifier.weight"):  # ours (K, K, C, F), PyTorch's (F, C, K, K)
        for f, c, i, j in np.ndindex(state[name].shape):
            assert state[name][f, c, i, j] == own[name][i, j, c, f]
    for c, f, i, j in np.ndindex(4, 6, 2, 2):  # ours (K, K, F, C), PyTorch's (C, F, K, K)
        assert state["c.conv1.weight"][c, f, i, j] == own["c.conv1.weight"][i, j, f, c]
    for c, i, j in np.ndindex(4, 3, 3):
        assert state["b.conv1.weight"][c, 0, i, j] == own["b.conv1.weight"][i, j, 0, c]
    for theirs, ours in (("weight", "gamma"), ("bias", "beta"), ("running_mean",) * 2, ("running_var",) * 2):
        np.testing.assert_array_equal(state[f"a.bn1.{theirs}"], own[f"a.bn1.{ours}"])
    assert state["a.bn1.num_batches_tracked"].dtype == np.int64


def test_the_arrays_are_copies_in_both_directions():
    model = network()
    before = {name: array.copy() for name, array in model.state().items()}
    state = ts.to_torch_state(model)
    for array in state.values():
        assert array.flags.c_contiguous
        assert array.flags.writeable
        array[...] = 5
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, before[name])
    ts.from_torch_state(model, state)
    for array in state.values():
        array[...] = 6
    assert all((array == 5).all() for array in model.state().values())


def test_a_state_returns_to_another_network():
    model, other = network(0), network(1)
    state = ts.to_torch_state(model)
    assert not np.array_equal(other.state()["a.conv1.weight"], model.state()["a.conv1.weight"])
    state["a.bn1.num_batches_tracked"] += 3
    ts.from_torch_state(other, state)
    for name, array in model.state().items():
        np.testing.assert_array_equal(other.state()[name], array)
    del state["a.bn1.num_batches_tracked"]  # PyTorch's older files lack it
    ts.from_torch_state(other, state)


@pytest.mark.parametrize(
    ("change", "said"),
    [(lambda s: s.pop("a.bn1.weight"), "missing a.bn1.gamma"),
     (lambda s: s.update(extra=np.ones(1)), "unexpected extra"),
     (lambda s: s.update({"a.conv1.bias": np.ones(3)}), r"a\.conv1\.bias has shape \(3,\), expected \(4,\)"),
     (lambda s: s.update({"a.conv1.bias": np.ones(4, int)}), "a.conv1.bias has dtype int64"),
     (lambda s: s.update({"a.conv1.weight": s["a.conv1.weight"].transpose(2, 3, 1, 0)}), "a.conv1.weight has shape")],
)  # fmt: skip
def test_states_that_do_not_fit_change_nothing(change, said):
    model, state = network(0), ts.to_torch_state(network(1))
    before = {name: array.copy() for name, array in model.state().items()}
    change(state)
    with pytest.raises(CheckpointError, match=said):
        ts.from_torch_state(model, state)
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, before[name])
