"""Inference keeps transformed weights only as long as they are right."""

import copy

import numpy as np
import pytest

from tinysegnet.ops import conv
from tinysegnet.ops.engine import cost_model, kept_weights, winograd

X = np.random.default_rng(0).standard_normal((1, 40, 44, 16))


@pytest.fixture
def weight():
    return np.random.default_rng(1).standard_normal((3, 3, 16, 24))


@pytest.fixture
def transforms(monkeypatch):
    """Return the list of algorithms by which weights were transformed."""
    found, original = [], winograd.transformed

    def transformed(name, weight):
        found.append(name)
        return original(name, weight)

    monkeypatch.setattr(winograd, "transformed", transformed)
    return found


def infer(weight, scale=None):
    return conv.conv2d_inference_numba(X, weight, None, scale=scale)


def change_one(weight, scale):
    weight[2, 1, 15, 23] = np.nextafter(weight[2, 1, 15, 23], 9)


def become_nan(weight, scale):
    weight[0, 0, 0, 0] = np.nan


def change_scale(weight, scale):
    scale[-1] += 1


@pytest.mark.parametrize("change", [change_one, become_nan, change_scale])
def test_changes_in_place_are_noticed(weight, transforms, change):
    scale = np.linspace(1, 2, 24)
    first = infer(weight, scale)
    np.testing.assert_array_equal(infer(weight, scale), first)
    assert len(transforms) == 1
    change(weight, scale)
    for _ in range(2):
        np.testing.assert_array_equal(infer(weight, scale), infer(weight.copy(), scale.copy()))
    assert not np.array_equal(infer(weight, scale), first)


def test_scale_may_come_and_go(weight):
    scales = [None, np.full(24, 2.0), None, np.ones(24)]
    for scale in scales:
        np.testing.assert_array_equal(infer(weight, scale), infer(weight.copy(), scale))


def test_other_pictures_may_need_other_algorithms(weight, transforms):
    for _ in range(2):
        for name in winograd.algorithms_for(weight.shape, (1, 1)):
            expected = winograd.transformed(name, weight)
            np.testing.assert_array_equal(kept_weights.transformed(name, weight, None), expected)
    assert sorted(set(transforms)) == sorted(winograd.algorithms_for(weight.shape, (1, 1)))


def test_weights_are_kept_no_longer_than_they_exist(weight):
    number = len(kept_weights._kept)
    copies = [copy.deepcopy(weight) for _ in range(3)]
    for one in copies:
        infer(one)
    assert len(kept_weights._kept) == number + 3
    del copies, one
    assert len(kept_weights._kept) == number


def test_large_weights_are_not_kept(weight, transforms, monkeypatch):
    monkeypatch.setattr(cost_model, "MOST_KEPT", winograd.transformed("winograd_f4x3", weight).size - 1)
    transforms.clear()
    infer(weight)
    infer(weight)
    assert len(transforms) == 2


def test_inference_chooses_winograd_for_smaller_pictures_because_weights_are_kept():
    shapes = (3, 3, 128, 128), (1, 1), (1, 12, 16, 128)
    assert cost_model.choose_convolution(*shapes) == "direct"
    assert cost_model.choose_convolution(*shapes, inference=True) == "winograd_f4x3"
    wide = (3, 3, 512, 512), (1, 1), (1, 12, 16, 512)  # this weight is not kept
    assert cost_model.convolution_costs(*wide, inference=True) == cost_model.convolution_costs(*wide)
