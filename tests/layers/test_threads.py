"""The state of a call is in its tape: threads can share a network, and two training runs do not affect each other."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from forms import amount

import tinysegnet as ts
from tinysegnet.errors import StateError
from tinysegnet.layers import Dropout, Tape


def pictures(count, sizes):
    return [
        np.random.default_rng(k).integers(0, 256, (*sizes[k % len(sizes)], 3)).astype(np.uint8) for k in range(count)
    ]


def assert_same_in_threads(work, arguments):
    alone = [work(argument) for argument in arguments]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, arguments))
    assert sum(not np.array_equal(a, b) for a, b in zip(alone, together, strict=True)) == 0


@pytest.mark.long
@pytest.mark.parametrize("sizes", [[(96, 128)], [(96, 128), (61, 45), (33, 90)]], ids=["one size", "different sizes"])
def test_four_threads_can_predict_with_one_network(sizes, compiled_ops):
    model = ts.load_bundled("toy")
    assert_same_in_threads(lambda picture: ts.predict(model, picture), pictures(amount(8, 40), sizes))


@pytest.mark.parametrize("name", ["basic-encoder-addition", "fcn-basic", "replication"])
def test_threads_do_not_mix_skip_connections_and_sizes(name):
    model = ts.build(name, 5, width=1 / 8)
    images = pictures(amount(8, 16), [(48, 64), (31, 45)])
    assert_same_in_threads(lambda image: ts.predict_probs(model, image), images)


def test_samples_in_threads_depend_only_on_their_seed():
    model, image = ts.build("bayesian-basic", 5, width=1 / 8), pictures(1, [(40, 48)])[0]
    assert_same_in_threads(
        lambda seed: np.stack(ts.predict_samples(model, image, samples=3, seed=seed)), list(range(amount(4, 12)))
    )


def trained(name):
    """Return the parameters and statistics after some steps of training."""
    model = ts.build(name, 5, width=1 / 8)
    optimizer, rng = ts.optim.SGD(model, learning_rate=0.05, momentum=0.9), np.random.default_rng(1)
    for step in range(amount(2, 6)):
        model.reseed(3, step)
        logits = model.forward(rng.uniform(0, 255, (2, 21, 26, 3)).astype(np.float32), training=True)
        _, cache = ts.ops.softmax_cross_entropy_forward(logits, rng.integers(0, 5, (2, 21, 26)).astype(np.uint8))
        model.backward(ts.ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
        optimizer.step()
    return np.concatenate([array.ravel() for array in model.state().values()])


def test_training_runs_in_several_threads_end_with_the_same_bits_as_alone():
    assert_same_in_threads(trained, ["bayesian-basic", "tiny", "basic-encoder-addition", "tiny"])


def test_a_tape_carries_a_call_from_one_thread_to_another():
    model, x = ts.build("tiny", 5, width=1 / 8), np.ones((1, 20, 24, 3), np.float32)
    tape = Tape()
    logits = model.forward(x, training=True, tape=tape)
    with ThreadPoolExecutor(1) as pool:
        with pytest.raises(StateError, match=r"classifier: .*same tape"):
            pool.submit(model.backward, logits).result()
        dx = pool.submit(model.backward, logits, tape=tape).result()
    assert dx.shape == x.shape
    with pytest.raises(StateError, match="classifier"):
        model.backward(logits, tape=tape)


def test_two_calls_of_one_network_keep_their_state_apart():
    model, rng = ts.build("bayesian-basic", 5, width=1 / 8), np.random.default_rng(0)
    x, y = rng.uniform(0, 255, (2, 1, 20, 24, 3)).astype(np.float32)
    for layer in model.layers.values():
        layer.momentum = 0.0

    def call(x):
        tape = Tape(generator=np.random.default_rng(2))
        return model.forward(x, training=True, tape=tape), tape

    logits, tape = call(x)
    expected = model.backward(logits, tape=tape)
    logits, tape = call(x)
    other, other_tape = call(y)
    model.backward(other, tape=other_tape)
    np.testing.assert_array_equal(model.backward(logits, tape=tape), expected)


def test_a_call_leaves_no_state_in_network_and_layers():
    model, x = ts.build("bayesian-basic", 5, width=1 / 8), np.ones((1, 20, 24, 3), np.float32)
    objects = [model, *model.layers.values(), *model.fused_layers]
    before = [dict(vars(thing)) for thing in objects]
    model.forward(x)
    model.forward(x, training=True)
    assert [vars(thing) for thing in objects] == before


def test_tape_and_arguments_determine_the_kind_of_a_call():
    model, x = ts.build("bayesian-basic", 5, width=1 / 8), np.ones((1, 20, 24, 3), np.float32)
    own = Tape(sample=True, generator=np.random.default_rng(2))
    expected = model.forward(x, sample=True, tape=Tape(generator=np.random.default_rng(2)))
    np.testing.assert_array_equal(model.forward(x, tape=own), expected)
    tape = Tape(training=True)
    model.backward(model.forward(x, tape=tape), tape=tape)
    with pytest.raises(StateError, match=r"classifier: .*Tape\("):
        model.layers["classifier"].forward(np.ones((1, 2, 2, 8), np.float32), Tape(), training=True)


def test_inference_obeys_the_settings_of_the_tape():
    model, x = ts.build("tiny", 5, width=1 / 8), np.ones((2, 20, 24, 3), np.float32)
    model.forward(x, tape=(tape := Tape(statistics={})))
    assert {layer.name for layer in tape.statistics} == {name for name in model.layers if ".bn" in name}
    expected, tape = x, Tape(definitions=True)
    for layer in model.layers.values():
        expected = layer.forward(expected, tape)
    np.testing.assert_array_equal(model.forward(x, tape=Tape(definitions=True)), expected)


def test_dropout_without_a_generator_raises_an_error_with_the_remedy():
    with pytest.raises(StateError, match=r"Dropout: .*Tape\(training=True, generator="):
        Dropout(0.5).forward(np.ones((1, 2, 2, 1)), Tape(training=True))
