"""Every option of `evaluate` reaches the prediction, for a network on whose predictions each option has an effect."""

import numpy as np
import pytest
from small_networks import network, noise

import tinysegnet as ts
from tinysegnet.data import InMemory, Sample
from tinysegnet.metrics import Collector
from tinysegnet.prediction import predict_with_uncertainty
from tinysegnet.prediction.predict import one_minus_msp

MODEL = network(classes=3)
BAYESIAN = network(classes=3, dropout=("dropout",))


class Noise:
    """Random pictures of different sizes with random labels."""

    palette, name = ts.data.Palette(("a", "b", "c"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)), ignore_label=7), "noise"

    def __len__(self):
        return 3

    def __getitem__(self, index):
        labels = np.random.default_rng(index).choice([0, 1, 2, 7], (14 + index, 18 - index)).astype(np.uint8)
        return Sample(noise(14 + index, 18 - index, seed=index), labels, str(index))


DATA = InMemory(Noise())


def confusion(**options):
    pairs = [(s.labels, ts.predict(MODEL, s.image, **options)) for s in DATA.samples]
    return sum(ts.metrics.confusion_matrix(labels, predicted, 3, 7) for labels, predicted in pairs)


@pytest.mark.parametrize("options", [
    {"size": (8, 12)}, {"mirror": True}, {"scales": (0.5,)}, {"scales": (0.5, 1.5), "mirror": True},
    {"size": (8, 12), "mirror": True}, {"size": (8, 12), "scales": (1.0, 2.0)},
], ids=str)  # fmt: skip
def test_each_option_changes_the_scores_as_it_changes_the_predictions(options):
    without = [{name: value for name, value in options.items() if name != left_out} for left_out in options]
    right = confusion(**options)
    np.testing.assert_array_equal(ts.evaluate(MODEL, DATA, **options).confusion, right)
    assert all((confusion(**fewer) != right).any() for fewer in without)


@pytest.mark.parametrize("size", [None, (8, 12)])
def test_samples_are_scored_with_their_number_and_size(size):
    def collected(samples, size):
        collector = Collector(3, 7, boundary=True)
        for s in DATA.samples:
            labels, uncertainty = predict_with_uncertainty(BAYESIAN, s.image, samples=samples, size=size)
            collector.add(s.labels, labels, uncertainty=uncertainty, MSP=one_minus_msp(BAYESIAN, s.image, size))
        return collector.scores(("a", "b", "c")).as_dict()

    right = collected(4, size)
    found = ts.evaluate(BAYESIAN, DATA, samples=4, size=size, boundary=True).as_dict()
    assert found == right
    others = collected(5, size), collected(4, (10, 10))
    assert all(other["uncertainty_AUROC"] != right["uncertainty_AUROC"] for other in others)
    assert others[1]["MSP_AUROC"] != right["MSP_AUROC"]
