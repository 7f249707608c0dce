"""Sampled predictions of Bayesian networks, and scores of predictions, equal their definitions."""

import numpy as np
import pytest
import resampling
from small_networks import noise, pointwise

import tinysegnet as ts
from tinysegnet.data import Sample
from tinysegnet.errors import SettingError
from tinysegnet.metrics import auroc
from tinysegnet.prediction import predict_samples, predict_with_uncertainty
from tinysegnet.prediction.predict import working_picture

NOISY = pointwise([[0.02, 0, 0], [0, 0.02, 0], [0, 0, 0.02]], p=0.3)


def softmaxes(model, image, count, seed, size):
    """Return the probabilities (count, h, w, K) of each sample at the working size, in float64."""
    x = working_picture(model, image, size)
    logits = np.stack([z[0] for z in model.samples(x, count, generator=np.random.default_rng([seed]))]).astype(float)
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize(("count", "seed", "size"), [(1, 0, None), (2, 3, None), (7, 1, (4, 6)), (50, 0, None)])
def test_samples_have_the_mean_and_variance_of_their_definition(count, seed, size):
    image = noise(8, 12)
    probs = softmaxes(NOISY, image, count, seed, size)
    assert count == 1 or probs.std(axis=0).max() > 0.05
    mean = sum(probs) / count
    variance = sum((p - mean) ** 2 for p in probs) / count
    found = predict_samples(NOISY, image, samples=count, seed=seed, size=size)
    for array, right in zip(found, (mean, variance), strict=True):
        assert (array.shape, array.dtype) == ((8, 12, 3), np.float32)
        np.testing.assert_allclose(array, resampling.bilinear(right, (8, 12)), atol=1e-6)
    labels, uncertainty = predict_with_uncertainty(NOISY, image, samples=count, seed=seed, size=size)
    np.testing.assert_array_equal(labels, found[0].argmax(-1))
    np.testing.assert_allclose(uncertainty, found[1].mean(-1), atol=1e-6)
    assert (labels.dtype, uncertainty.dtype) == (np.uint8, np.float32)


def test_fifty_samples_from_seed_0_are_the_default():
    for function in (predict_samples, predict_with_uncertainty):
        for array, same in zip(
            function(NOISY, noise(4, 5)), function(NOISY, noise(4, 5), samples=50, seed=0), strict=True
        ):
            np.testing.assert_array_equal(array, same)
        assert (function(NOISY, noise(4, 5), seed=1)[1] != array).any()
        for wrong in ({"samples": 0}, {"samples": -1}, {"seed": -1}, {"samples": 1.5}):
            with pytest.raises(SettingError, match=next(iter(wrong))):
                function(NOISY, noise(4, 5), **wrong)


# --- scoring ----------------------------------------------------------------------------------------------------------


class Labelled:
    """Random pictures of different sizes. The label is often the strongest colour, and sometimes void."""

    palette, name = ts.data.Palette(("r", "g", "b"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)), ignore_label=7), "noise"

    def __len__(self):
        return 3

    def __getitem__(self, index):
        if not 0 <= index < 3:
            raise IndexError
        image = noise(8 + index, 12 - index, seed=index)
        rng = np.random.default_rng(index)
        labels = (image + rng.integers(0, 100, image.shape)).argmax(-1).astype(np.uint8)
        labels[rng.random(labels.shape) < 0.2] = 7
        return Sample(image, labels, str(index))


@pytest.mark.parametrize("options", [{}, {"size": (4, 6)}, {"mirror": True}, {"scales": (0.5, 1.5)}], ids=str)
def test_evaluate_scores_the_predictions_of_its_options(options):
    model = pointwise([[1, -1, 0], [0, 1, -1], [-1, 0, 1]])
    data, seen = Labelled(), []
    matrix = sum(ts.metrics.confusion_matrix(s.labels, ts.predict(model, s.image, **options), 3, 7) for s in data)
    scores = ts.evaluate(model, data, **options, progress=lambda samples: (seen.append(s.name) or s for s in samples))
    np.testing.assert_array_equal(scores.confusion, matrix)
    assert scores.names == ("r", "g", "b")
    assert seen == ["0", "1", "2"]


@pytest.mark.parametrize("size", [None, (4, 6)])
def test_evaluate_scores_the_uncertainty_of_samples_against_one_pass(size):
    data, uncertainties, doubts, wrong, matrix = Labelled(), [], [], [], 0
    for sample in data:
        labels, uncertainty = predict_with_uncertainty(NOISY, sample.image, samples=5, size=size)
        one_pass = softmaxes(pointwise(0.02 * np.eye(3), p=0.0), sample.image, 1, 0, size)[0]
        msp = resampling.bilinear(1 - one_pass.max(-1)[..., None], labels.shape)[..., 0]
        known = sample.labels != 7
        uncertainties.append(uncertainty[known])
        doubts.append(msp[known])
        wrong.append(labels[known] != sample.labels[known])
        matrix = matrix + ts.metrics.confusion_matrix(sample.labels, labels, 3, 7)
    scores = ts.evaluate(NOISY, data, samples=5, size=size)
    np.testing.assert_array_equal(scores.confusion, matrix)
    wrong = np.concatenate(wrong)
    found = scores.uncertainty_AUROC, scores.MSP_AUROC
    assert found == pytest.approx([auroc(np.concatenate(maps), wrong) for maps in (uncertainties, doubts)], abs=2e-3)
    assert abs(found[0] - found[1]) > 0.005
    assert ts.evaluate(NOISY, data).uncertainty_AUROC is None
