"""The learning-rate range test, the time budget, and the lines about missing pictures."""

import hashlib
import os

import numpy as np
import pytest
from PIL import Image

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet.cli.main import main
from tinysegnet.data import InMemory, Palette, Sample
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import SettingError
from tinysegnet.training import Recipe, find_lr, time_budget
from tinysegnet.training.pictures import fingerprint, shortcomings
from tinysegnet.training.recipes import validation_interval

SIZE = (16, 24)


@pytest.fixture(scope="module")
def data():
    return InMemory(ToyScenes(4, seed=0, size=SIZE))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_suggestion_is_a_tenth_of_the_rate_with_the_lowest_loss(data, optimizer):
    model = ts.build("tiny", width=1 / 16)
    before = {name: array.copy() for name, array in model.state().items()}
    found = find_lr(model, data, recipe=Recipe(size=SIZE, optimizer=optimizer), steps=30)
    np.testing.assert_equal(model.state(), before)  # the network itself is not trained
    assert len(found.rates) == len(found.losses) == len(found.smoothed) <= 30
    assert found.rates[0] == pytest.approx(1e-5 if optimizer == "adam" else 1e-4)
    np.testing.assert_allclose(np.diff(np.log(found.rates)), np.log(1e5) / 29, rtol=1e-9)  # rises exponentially
    assert found.suggestion == pytest.approx(found.rates[np.argmin(found.smoothed)] / 10, rel=0.05)
    assert found.smoothed[0] == pytest.approx(found.losses[0])
    assert found.smoothed[1] == pytest.approx((0.9 * found.losses[0] + found.losses[1]) / 1.9)


def test_the_test_ends_when_the_loss_explodes(data):
    recipe = Recipe(size=SIZE, optimizer="sgd")
    found = find_lr(ts.build("tiny", width=1 / 16), data, recipe=recipe, steps=40, between=(1e-3, 1e9))
    assert len(found.rates) < 40
    assert np.isfinite(found.losses).all()


@pytest.mark.parametrize("wrong", [{"steps": 9}, {"between": (1.0, 0.1)}, {"between": (0.0, 1.0)}, {"steps": 2.5}])
def test_impossible_tests_are_refused(data, wrong):
    with pytest.raises(SettingError):
        find_lr(ts.build("tiny", width=1 / 16), data, recipe=Recipe(size=SIZE), **wrong)


def test_the_command_prints_a_suggestion_and_draws_the_curve(tmp_path, capsys):
    out = tmp_path / "new" / "curve.png"
    options = f"--limit 2 --size 16x24 --width 0.0625 --steps 12 --out {out}"
    assert main(["find-lr", *options.split()]) == 0
    assert "suggested: --learning-rate 0." in capsys.readouterr().out
    assert Image.open(out).width > 600


def test_the_curve_marks_the_suggestion_on_an_axis_with_plain_numbers():
    rates = np.geomspace(1e-4, 10, 50)
    figure = viz.rate_curve_figure(rates, np.linspace(2, 1, 50), np.linspace(2, 1, 50), 0.1)
    (axes,) = figure.axes
    figure.canvas.draw()
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert {"0.0001", "0.01", "1", "10"} <= set(labels)
    assert "suggested: 0.1" in [text.get_text() for text in axes.texts]


# --- the time budget -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "every", "epochs", "words"), [
    (2, None, 3, "--epochs 3."),  # an epoch of 2 steps of 15 s, and a validation of 2 pictures of 1.5 s, take 33 s
    (10, None, 19, "--epochs 19."),  # 600 s - 8 validations of 3 s each = 576 s
    (10, 1, 18, "about 9.9 min"),  # 18 * 33 s = 594 s
    (10, 2, 19, "about 10.0 min"),  # 19 * 31.5 s = 598.5 s; 19 * 30 s and 10 validations of 3 s are 600 s
    (0.1, None, 1, "the least"), (600, None, 50, "the most"),
])  # fmt: skip
def test_the_epochs_fill_the_time_beside_the_validations(data, monkeypatch, minutes, every, epochs, words):
    times = iter([15.0, 1.5])
    monkeypatch.setattr(time_budget, "_seconds", lambda action: next(times))
    found, line = time_budget.epochs_within(minutes, ts.build("tiny", width=1 / 16), data, InMemory(data, limit=2),
                                            Recipe(size=SIZE), every)  # fmt: skip
    assert found == epochs
    assert words in line


def test_the_time_for_validations_is_that_of_the_default_interval():
    assert 800 / validation_interval(800) == time_budget.VALIDATIONS


def test_measuring_leaves_the_network_as_it_is(data):
    model = ts.build("tiny", width=1 / 16)
    before = {name: array.copy() for name, array in model.state().items()}
    epochs, _ = time_budget.epochs_within(0.01, model, data, data, Recipe(size=SIZE))
    assert 1 <= epochs <= 50
    np.testing.assert_equal(model.state(), before)


# --- what pictures lack ----------------------------------------------------------------------------------------------


def pictures(*labels, names="abcdefgh"):
    palette = Palette(("sky", "road", "car"), ((0, 0, 0), (9, 9, 9), (99, 99, 99)))
    samples = [Sample(np.zeros((1, len(row), 3), np.uint8), np.array([row], np.uint8), name)
               for row, name in zip(labels, names, strict=False)]  # fmt: skip
    data = InMemory.__new__(InMemory)
    data.samples, data.palette, data.name = samples, palette, "pictures"
    return data


def test_pictures_whose_names_are_not_text_are_recognised():
    names = "a", os.fsdecode(b"\xff")
    expected = {"count": 2, "sha256": hashlib.sha256(b"a\n\\udcff").hexdigest()}
    assert (
        fingerprint(pictures([0], [0], names=names)) == fingerprint(pictures([0], [0], names=names[::-1])) == expected
    )


@pytest.mark.parametrize(("train", "val", "lines"), [
    ([[0, 1, 2]] * 2, [[0, 1, 2]] * 5, []),
    ([[0, 1, 1]] * 2, [[0, 1, 2]] * 5, ["in no training picture, so it will not be learned: car"]),
    ([[0, 1, 2], [0, 0, 0]], [[0, 1, 2]] * 5,
     ["in only one training picture, so it will hardly be learned: road, car"]),
    ([[0, 1, 2]] * 2, [[0, 0, 0]] * 5, ["in no validation picture, so it has no score: road, car"]),
    ([[0, 1, 2]] * 2, [[0, 1, 2]] * 4, ["scores are uncertain, because there are fewer than 5 validation pictures"]),
])  # fmt: skip
def test_what_the_pictures_lack_is_said(train, val, lines):
    assert shortcomings(pictures(*train), pictures(*val)) == lines


def test_a_fingerprint_depends_on_the_names_but_not_on_their_order():
    first, same, other = (pictures([0], [1], names=names) for names in ("ab", "ba", "ac"))
    assert fingerprint(first) == fingerprint(same)
    assert fingerprint(first)["sha256"] != fingerprint(other)["sha256"]
    assert fingerprint(first)["count"] == 2
