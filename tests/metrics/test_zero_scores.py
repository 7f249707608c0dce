"""A score of 0 is a score: it is reported like any other number, and only what was not computed is left out."""

import json

import numpy as np
import pytest

from tinysegnet.metrics import Collector, Scores

MORE = ("BF", "BF_by_distance", "uncertainty_AUROC", "MSP_AUROC")
SWAPPED = np.array([[0, 3], [2, 0]])  # every pixel is predicted as the other class


@pytest.mark.parametrize("name", MORE)
@pytest.mark.parametrize("value", [0.0, np.float64(0), 1.0])
def test_a_score_of_0_is_among_the_numbers_for_json(name, value):
    values = json.loads(json.dumps(Scores.from_confusion(SWAPPED, **{name: value}).as_dict()))
    assert values[name] == value
    also = {"doubt_AUROC"} if name == "uncertainty_AUROC" else set()
    assert {*MORE, "doubt_AUROC"} & set(values) == {name} | also
    assert all(values[other] == value for other in also)


def test_averages_classes_and_intervals_of_0_are_among_the_numbers_for_json():
    intervals = {"G": (0.0, 0.0), "mIoU": (0.0, 0.5)}
    values = Scores.from_confusion(SWAPPED, ["a", "b"], intervals=intervals).as_dict()
    assert [values[name] for name in ("G", "C", "mIoU")] == [0, 0, 0]
    assert values["IoU"] == values["accuracy"] == {"a": 0, "b": 0}
    assert values["pixels"] == {"a": 3, "b": 2}
    assert values["intervals"] == {"G": [0, 0], "mIoU": [0, 0.5]}


def test_the_table_shows_scores_of_0():
    zero = dict.fromkeys(MORE, 0.0)
    table = Scores.from_confusion(SWAPPED, ["a", "b"], **zero, intervals={"G": (0.0, 0.0), "BF": (0.0, 0.0)}).table()
    assert "G 0.000 [0.000, 0.000]  C 0.000  mIoU 0.000" in table
    assert "BF 0.000 [0.000, 0.000] one to one, 0.000 by distance" in table
    assert "AUROC 0.000 (0.5 is chance); 1 - maximum softmax probability of one pass: 0.000" in table


def test_the_table_shows_a_baseline_of_0():
    worst = Scores.from_confusion(SWAPPED, ["a", "b"])
    lines = Scores.from_confusion(np.diag([3, 2]), ["a", "b"]).table(worst, "worst").splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == ["0.000", "0.000"]
    assert lines[-1] == "G 0.000  C 0.000  mIoU 0.000  worst"


def test_a_collector_reports_that_nothing_was_right():
    labels = np.zeros((6, 8), int)
    labels[:, 4:] = 1
    collector = Collector(2, boundary=True)
    # the prediction has an outline, but far from that of the labels; the right pixels are the least certain ones
    predictions = np.ones((6, 8), int)
    predictions[:, 7] = 0
    wrong = labels != predictions
    collector.add(labels, predictions, uncertainty=np.where(wrong, 0, 1), MSP=np.where(wrong, 0.25, 0.5))
    values = collector.scores().as_dict()
    assert {name: values[name] for name in MORE} == dict.fromkeys(MORE, 0)
    assert values["doubt_AUROC"] == 0
