"""The cases of the gradient checks: they are what their names say, and a seed always draws the same.

The figures of all arguments are in tests/golden/cases.json. Run this file to store those of new cases.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tinysegnet import ops
from tinysegnet.gradcheck.cases import CASES, cases_of

STORED = Path(__file__).parents[1] / "golden" / "cases.json"


def figure(value):
    """Return a setting itself, or the shape, dtype and a weighted sum of an array, which depends on the order."""
    if not isinstance(value, np.ndarray):
        return json.loads(json.dumps(value))
    weights = 1 + np.arange(value.size) % 7
    return [*value.shape, value.dtype.str, float(f"{(value.ravel() * weights).sum():.9g}")]


def figures(case):
    """Return figures of the arguments for a seed that is not the default."""
    arrays, settings = case.arguments(seed=3)
    return [[figure(a) for a in arrays], {name: figure(a) for name, a in settings.items()}, case.gradient]


def test_a_seed_draws_the_same_arguments_in_every_version():
    """A failed check prints its seed, with which anybody can repeat it."""
    stored = json.loads(STORED.read_text())
    found = {f"{case.op}: {case.name}": figures(case) for case in CASES}
    assert found.keys() == stored.keys()
    assert [name for name in found if str(found[name]) != str(stored[name])] == []


def test_the_default_seed_is_zero_and_other_seeds_draw_other_arguments():
    for case in (case for case in CASES if case.gradient):
        default, zero, other = ([figure(a) for a in drawn[0]] for drawn in
                                (case.arguments(), case.arguments(0), case.arguments(1)))  # fmt: skip
        assert default == zero
        assert default != other


@pytest.mark.parametrize("op", ["conv2d", "conv_transpose2d", "depthwise_conv2d", "max_pool2d"])
def test_a_case_is_what_its_name_says(op):
    for case in cases_of(op):
        (x, *others), settings = case.arguments()
        window = others[0].shape[:2] if others else np.broadcast_to(settings.get("size", 2), 2)
        assert len(x) >= 2
        if match := re.search(r"(\d)x(\d)(?! picture)", case.name):
            assert tuple(window) == tuple(map(int, match.groups())), case.name
        if match := re.search(r"stride (?:(\d)|\((\d), (\d)\))", case.name):
            stride = tuple(int(match[1] or n) for n in (match[2], match[3]))
            default = 2 if op == "max_pool2d" else 1
            assert tuple(np.broadcast_to(settings.get("stride", default), 2)) == stride, case.name
        if "1x1 picture" in case.name:
            assert x.shape[1:3] == (1, 1)
        if "larger than the picture" in case.name:
            assert min(window) > max(x.shape[1:3]) or window[0] > x.shape[1], case.name
        if "no bias" in case.name:
            assert others[1] is None
        if "odd sizes" in case.name:
            assert x.shape[1] % 2 == x.shape[2] % 2 == 1


def test_values_of_cases_with_a_kink_are_far_from_it():
    for case in (c for c in CASES if c.gradient and c.op in ("relu", "max_pool2d")):
        values = np.sort(case.arguments(seed=5)[0][0], axis=None)
        np.testing.assert_allclose(np.diff(values), 4 / values.size)
        assert np.abs(values).min() > 1 / values.size
        assert max(abs(values)) <= 2


def test_every_picture_of_a_loss_case_has_a_label_and_about_a_third_is_void():
    shares = []
    losses = ("softmax_cross_entropy", "sigmoid_cross_entropy", "focal_loss", "dice_loss")
    for case in (c for op in losses for c in cases_of(op) if c.gradient):
        (_, labels), settings = case.arguments(seed=7)
        void = settings["ignore_label"]
        assert void is None or (labels[:, 0, 0] != void).all()
        shares += [(labels == void).mean()] if "larger" in case.name else []
    assert shares == pytest.approx([0.3] * 4, abs=0.06)


def test_unpooling_cases_have_the_indices_of_a_pooling():
    for case in cases_of("max_unpool2d"):
        (x, indices), settings = case.arguments()
        window = {name: settings[name] for name in ("size", "stride") if name in settings}
        assert x.shape[1:3] == ops.max_pool2d_output_size(settings["output_size"], **window)
        assert indices.dtype == np.uint8


if __name__ == "__main__":
    rows = (f"{json.dumps(f'{case.op}: {case.name}')}: {json.dumps(figures(case))}" for case in CASES)
    STORED.write_text("{\n" + ",\n".join(rows) + "\n}\n")
