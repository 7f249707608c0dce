"""A setting of 0 or without values is refused, not taken for a setting that was not given."""

import numpy as np
import pytest
from small_networks import network, noise

import tinysegnet as ts
from tinysegnet.data import InMemory, Sample
from tinysegnet.errors import SettingError
from tinysegnet.prediction import predict_samples, predict_with_uncertainty
from tinysegnet.prediction.predict import one_minus_msp, predict_logits, predict_probs

MODEL, IMAGE = network(classes=3, dropout=("dropout",)), noise(8, 12)


class One:
    """A picture whose pixels all have the same class."""

    palette, name = ts.data.Palette(("a", "b", "c"), ((255, 0, 0), (0, 255, 0), (0, 0, 255))), "one"

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return Sample(IMAGE, np.zeros((8, 12), np.uint8), "one")


DATA = InMemory(One())
ONE_PASS, SAMPLED = (ts.predict, predict_logits, predict_probs), (predict_samples, predict_with_uncertainty)
EMPTY = [{"size": ()}, {"size": (0, 0)}, {"size": 0}, {"size": ""}]


def name_of(settings):
    return next(iter(settings))


@pytest.mark.parametrize("settings", [*EMPTY, {"scales": ()}, {"scales": (0.0,)}, {"scales": None}], ids=str)
@pytest.mark.parametrize("function", ONE_PASS)
def test_predictions_refuse_empty_settings(function, settings):
    with pytest.raises(SettingError, match=name_of(settings)):
        function(MODEL, IMAGE, **settings)


@pytest.mark.parametrize("settings", [*EMPTY, {"samples": 0}, {"samples": False}, {"samples": None}, {"seed": None}],
                         ids=str)  # fmt: skip
@pytest.mark.parametrize("function", SAMPLED)
def test_sampled_predictions_refuse_empty_settings(function, settings):
    with pytest.raises(SettingError, match=name_of(settings)):
        function(MODEL, IMAGE, **settings)


@pytest.mark.parametrize("settings", EMPTY, ids=str)
def test_the_uncertainty_of_one_pass_refuses_empty_sizes(settings):
    with pytest.raises(SettingError, match="size"):
        one_minus_msp(MODEL, IMAGE, **settings)


@pytest.mark.parametrize("settings", [
    *EMPTY, {"scales": ()}, {"scales": (0.0,)}, {"samples": 0}, {"samples": False}, {"samples": ""},
    {"size": (), "samples": 2}, {"size": (0, 0), "samples": 2},
], ids=str)  # fmt: skip
def test_scoring_refuses_empty_settings(settings):
    with pytest.raises(SettingError, match=name_of(settings)):
        ts.evaluate(MODEL, DATA, **settings)
