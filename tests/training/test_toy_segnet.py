"""The toy network in which lessons plant bugs: without a bug, its gradients are correct and it learns."""

import numpy as np
import pytest

from tinysegnet_lessons.bugs import bugs
from tinysegnet_lessons.bugs.toy_segnet import ToySegNet


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(0)
    pictures, labels = rng.standard_normal((2, 9, 11, 3)), rng.integers(0, 3, (2, 9, 11))
    labels[:, 7:] = 255
    return pictures, labels, np.array([0.5, 1.0, 2.0]), 255


def test_gradients_of_the_toy_network_match_differences(scene):
    net = ToySegNet(*scene, width=3)
    _, go_back = net.forward()
    dx, gradients = go_back()
    assert set(gradients) == set(net.weights)
    rng = np.random.default_rng(1)
    for name, array, gradient in [
        ("pictures", net.pictures, dx),
        *((n, net.weights[n], gradients[n]) for n in gradients),
    ]:
        direction = rng.standard_normal(array.shape)
        slopes = []
        for h in (1e-6, -1e-6):
            array += h * direction
            net.forward()
            array -= h * direction
            slopes.append(net.losses[-1])
        slope = (slopes[0] - slopes[1]) / 2e-6
        assert slope == pytest.approx((gradient * direction).sum(), rel=1e-5, abs=1e-8), name


def test_the_toy_network_learns_the_same_in_every_run(scene):
    net, again = ToySegNet(*scene).train(30), ToySegNet(*scene).train(30)
    assert net.losses[-1] < 0.7 * net.losses[0]
    assert net.losses == again.losses
    assert 0 <= net.accuracy() <= 1
    assert net.predict().shape == scene[1].shape


@pytest.mark.parametrize("bug", bugs.values(), ids=lambda bug: bug.name)
def test_every_planted_bug_runs_in_float32_and_float64(scene, bug):
    pictures, labels, weights, void = scene
    for dtype in (np.float32, np.float64):
        net = ToySegNet(pictures.astype(dtype), labels, weights.astype(dtype), void, bug, width=2).train(2)
        assert net.predict().shape == labels.shape
        assert net.picture_gradient().dtype == dtype
