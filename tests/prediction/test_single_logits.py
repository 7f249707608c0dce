"""A network with a single logit z predicts like the network with the two logits 0 and z, by every function."""

import numpy as np
import pytest
from small_networks import noise, pointwise

import tinysegnet as ts
from tinysegnet.data import InMemory, Sample
from tinysegnet.prediction import predict_samples, predict_with_uncertainty
from tinysegnet.prediction.predict import class_logits, one_minus_msp, predict_logits, predict_probs

WEIGHT = [0.04, -0.03, -0.01]
SINGLE, PAIR = (pointwise(rows, p=0.4) for rows in ([WEIGHT], [[0, 0, 0], WEIGHT]))
IMAGE = noise(7, 9)
OPTIONS = [{}, {"size": (5, 4)}, {"mirror": True}, {"scales": (0.5, 1.5)}]


class Halves:
    """Two random pictures of two classes, and the second has void."""

    palette, name = ts.data.Palette(("a", "b"), ((255, 0, 0), (0, 255, 0)), ignore_label=7), "halves"

    def __len__(self):
        return 2

    def __getitem__(self, index):
        labels = np.random.default_rng(index).choice([0, 1, 7][: 2 + index], (7, 9)).astype(np.uint8)
        return Sample(noise(7, 9, seed=index), labels, str(index))


DATA = InMemory(Halves())


@pytest.mark.parametrize("function", [ts.predict, predict_logits, predict_probs])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_one_pass_predicts_as_with_two_logits(function, options):
    found, expected = (function(model, IMAGE, **options) for model in (SINGLE, PAIR))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert len(np.unique(found)) > 1


@pytest.mark.parametrize("size", [None, (5, 4)])
def test_samples_are_as_with_two_logits(size):
    """Both networks draw the same masks, because the dropout comes before the logits."""
    for function in (predict_samples, predict_with_uncertainty):
        found, expected = (function(model, IMAGE, samples=5, seed=2, size=size) for model in (SINGLE, PAIR))
        for array, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(array, right, rtol=1e-5, atol=1e-6)
            assert len(np.unique(array)) > 1
    mean, variance = predict_samples(SINGLE, IMAGE, samples=5, size=size)
    np.testing.assert_allclose(mean.sum(-1), 1, rtol=1e-5)
    assert variance.max() > 1e-3


@pytest.mark.parametrize("size", [None, (5, 4)])
def test_the_uncertainty_of_one_pass_is_as_with_two_logits(size):
    found, expected = (one_minus_msp(model, IMAGE, size) for model in (SINGLE, PAIR))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert 0.1 < found.max() <= 0.5


@pytest.mark.parametrize("options", [*OPTIONS, {"samples": 4}, {"samples": 4, "size": (5, 4)}], ids=str)
def test_the_scores_of_a_data_set_are_as_with_two_logits(options):
    found, expected = (ts.evaluate(model, DATA, **options).as_dict() for model in (SINGLE, PAIR))
    assert found["IoU"] == pytest.approx(expected["IoU"])
    assert [found[name] for name in ("G", "C", "mIoU")] == pytest.approx(
        [expected[name] for name in ("G", "C", "mIoU")]
    )
    for name in ("uncertainty_AUROC", "MSP_AUROC"):
        assert (name in found) == ("samples" in options)
        assert found.get(name) == pytest.approx(expected.get(name))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_logits_and_more_are_left_as_they_are(dtype):
    logits = np.arange(12, dtype=dtype).reshape(2, 2, 3)
    assert class_logits(logits) is logits
    pair = class_logits(logits[..., :1])
    assert pair.dtype == dtype
    np.testing.assert_array_equal(pair, np.stack([np.zeros((2, 2)), logits[..., 0]], axis=-1))
