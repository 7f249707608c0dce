"""Passes of single pictures give the logits, gradients and statistics of a pass of the whole batch."""

import numpy as np
import pytest
from forms import amount

import tinysegnet as ts
from tinysegnet.models.picture_passes import backward_pictures, batch_tape, forward_pictures
from tinysegnet.runtime.distributed import SplitBatch, run_ranks

MODELS = amount(["tiny", "fcn-basic", "basic-encoder-addition"], [n for n in ts.models if "bayesian" not in n])
SIZE = 32, 48


def pass_over_ranks(model, x, dlogits, ranks, *, frozen=None):
    """Return logits, gradients and statistics of a batch on each rank."""

    def run(communicator):
        network = model()
        network.freeze(frozen)
        batch = SplitBatch(communicator, len(x))
        tape, own = batch_tape(batch, (0, 1)), list(batch.pictures)
        logits = forward_pictures(network, x[own], tape)
        backward_pictures(network, [dlogits[n : n + 1] for n in own], tape, batch)
        untrained = network.fused_layers[: network.first_trained]
        assert all(layer in untrained for picture in tape.pictures for layer in picture.caches)
        return logits, dict(network.named_gradients()), dict(network.named_buffers())

    found = run_ranks(ranks, run)
    return [out for logits, _, _ in found for out in logits], found


@pytest.mark.parametrize("frozen", [None, "encoder"])
@pytest.mark.parametrize("name", MODELS)
def test_single_pictures_give_the_results_of_the_batch(name, frozen):
    """In float64, only rounding differs. One of four ranks has no picture."""
    rng, whole = np.random.default_rng(0), ts.build(name, width=1 / 16, dtype=np.float64)
    x, dlogits = rng.uniform(0, 255, (3, *SIZE, 3)), rng.standard_normal((3, *SIZE, 11))
    if frozen and not any(layer.startswith(frozen) for layer in whole.layers):
        pytest.skip(f"{name} has no encoder")
    whole.freeze(frozen)
    out = whole.forward(x, training=True)
    whole.backward(dlogits, input_gradient=False)
    logits, ranks = pass_over_ranks(lambda: ts.build(name, width=1 / 16, dtype=np.float64), x, dlogits, 4,
                                    frozen=frozen)  # fmt: skip
    np.testing.assert_allclose(np.concatenate(logits), out, rtol=1e-9, atol=1e-9)
    expected, statistics = dict(whole.named_gradients()), dict(whole.named_buffers())
    largest = max(abs(array).max() for array in expected.values())
    for _, gradients, buffers in ranks:
        assert set(gradients) == set(expected)
        for key, array in gradients.items():
            np.testing.assert_allclose(array, expected[key], rtol=1e-8, atol=1e-11 * largest, err_msg=key)
        for key, array in buffers.items():
            np.testing.assert_allclose(array, statistics[key], rtol=1e-9, atol=1e-9, err_msg=key)


@pytest.mark.parametrize("name", amount(["tiny", "bayesian-basic"], ["tiny", "basic", "bayesian-basic", "fcn-basic"]))
def test_the_bits_do_not_depend_on_the_ranks(name):
    size = (21, 27) if name == "tiny" else (16, 32)
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 255, (5, *size, 3)).astype(np.float32)
    dlogits = rng.standard_normal((5, *size, 11)).astype(np.float32)

    def results(ranks):
        logits, found = pass_over_ranks(lambda: ts.build(name, width=1 / 8), x, dlogits, ranks)
        arrays = [{key: array.tobytes() for part in own[1:] for key, array in part.items()} for own in found]
        assert all(own == arrays[0] for own in arrays)
        return [out.tobytes() for out in logits], arrays[0]

    assert results(1) == results(2) == results(3) == results(4) == results(6)
