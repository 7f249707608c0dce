"""Relative errors of single values have bounds that follow from the arithmetic. Norms would hide small values."""

import numpy as np
import pytest
from forms import amount
from properties import both, op, typed

RANGES = {np.float32: -87.0, np.float64: -708.0}  # below this, results are subnormal and become 0


@typed
def test_exponential_of_softmax_is_exact_to_a_few_units_in_the_last_place(variant, dtype):
    """The probabilities of (x, 0) are e^x / s and 1 / s. Their ratio contains the exponential and three roundings."""
    eps, least = np.finfo(dtype).eps, RANGES[dtype]
    steps = np.log(2) * np.arange(-120, 1)  # the series begins and ends around these values and their midpoints
    x = np.concatenate(
        [np.linspace(least, 0, amount(20_000, 1_000_000)), steps, steps - np.log(2) / 2, [-1e-7, -1e-12]]
    )
    x = x[x >= least].astype(dtype)
    probs, _ = op("softmax", variant)[0](np.stack([x, 0 * x], axis=1))
    exact = np.exp(x.astype(np.longdouble))
    assert (abs(probs[:, 0].astype(np.longdouble) / probs[:, 1] / exact - 1) / eps).max() < 3
    assert (abs(probs.sum(1) - 1) / eps).max() <= 1
    probs, _ = op("softmax", variant)[0](np.array([[2 * least, 0], [-np.inf, 0]], dtype))
    assert (probs[:, 0] <= np.exp(2 * least) * 2).all()


@both
def test_sigmoid_and_its_loss_are_exact_for_every_logit(variant):
    eps = np.finfo(float).eps
    x = np.concatenate([np.linspace(-700, 700, 20_001), [-1e-12, 0.0, 1e-12, -36.8, 36.8]])
    out, _ = op("sigmoid", variant)[0](x)
    exact = 1 / (1 + np.exp(-x.astype(np.longdouble)))
    assert (abs(out / exact - 1) / eps).max() < 4
    for label, sign in ((0, 1), (1, -1)):
        losses = [op("sigmoid_cross_entropy", variant)[0](np.array([[value]]), np.array([label], np.uint8))[0]
                  for value in x[::100]]  # fmt: skip
        exact = np.logaddexp(np.longdouble(0), sign * x[::100].astype(np.longdouble))
        assert (abs(losses / exact - 1) / eps).max() < 8


@typed
@pytest.mark.parametrize("mean", [0.0, 1e4, 1e6])
def test_batchnorm2d_loses_only_the_digits_that_its_input_lacks(variant, dtype, mean):
    """The input is rounded to multiples of eps * mean; statistics of the rounded input are exact to some eps."""
    eps, rng = np.finfo(dtype).eps, np.random.default_rng(0)
    x = (rng.standard_normal((3, 37, 41, 2)) + mean).astype(dtype)
    gamma, beta = np.array([1.5, -0.5], dtype), np.array([0.25, 2.0], dtype)
    (out, found_mean, found_var), cache = op("batchnorm2d", variant)[0](x, gamma, beta)
    wide = x.astype(np.longdouble)
    exact_mean, exact_var = wide.mean((0, 1, 2)), wide.var((0, 1, 2))
    assert (abs(found_mean - exact_mean) <= eps * abs(exact_mean) + eps).all()
    assert (abs(found_var / exact_var - 1) < 20 * eps + 0.05 * eps * mean).all()
    x_hat = (wide - exact_mean) / np.sqrt(exact_var + 1e-5)
    assert abs(out - (gamma * x_hat + beta)).max() < 2 * eps * mean + 60 * eps
    dout = rng.standard_normal(x.shape).astype(dtype)
    dx, dgamma, dbeta = op("batchnorm2d", variant)[1](dout, cache)
    share = gamma / np.sqrt(exact_var + 1e-5)
    exact = share * (dout - dout.mean((0, 1, 2), dtype=float) - x_hat * (dout * x_hat).mean((0, 1, 2)))
    assert abs(dx - exact).max() < 4 * eps * mean + 60 * eps
    assert abs(dbeta - dout.sum((0, 1, 2), dtype=float)).max() < 3000 * eps
    assert abs(dgamma - (dout * x_hat).sum((0, 1, 2))).max() < 3000 * eps + 2 * eps * mean * np.sqrt(x.size)
