"""Batch normalisation in parts gives the results and gradients of `batchnorm2d` on the whole batch."""

from functools import reduce

import numpy as np
import pytest
from forms import amount

from tinysegnet import ops
from tinysegnet.gradcheck import check
from tinysegnet.ops import synchronized_batchnorm
from tinysegnet.runtime.distributed import SplitBatch, run_ranks

SHAPE = 5, 6, 7, 3


def case(seed=0, mean=0.0):
    rng = np.random.default_rng(seed)
    x, dout = rng.normal(mean, 1, (2, *SHAPE))
    return x, dout - mean, rng.uniform(0.5, 1.5, SHAPE[3]), rng.standard_normal(SHAPE[3])


def in_parts(x, gamma, beta, parts):
    """Return the results and the caches of the forward passes of some parts of a batch."""
    m, mean, squares = reduce(ops.merge_moments, [ops.picture_moments(x[part]) for part in parts])
    settings = {"mean": mean.astype(x.dtype), "var": (squares / m).astype(x.dtype)}
    results = [ops.batchnorm2d_relu_forward(x[part], gamma, beta, **settings) for part in parts]
    return np.concatenate([out for (out, _, _), _ in results]), [cache for _, cache in results], settings


@pytest.mark.parametrize("parts", [[slice(0, 5)], [slice(0, 1), slice(1, 5)], [slice(n, n + 1) for n in range(5)]],
                         ids=len)  # fmt: skip
def test_parts_give_the_results_of_the_whole(parts):
    x, dout, gamma, beta = case()
    (out, mean, var), cache = ops.batchnorm2d_relu_forward(x, gamma, beta)
    found, caches, settings = in_parts(x, gamma, beta, parts)
    np.testing.assert_allclose(found, out, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose((settings["mean"], settings["var"]), (mean, var), rtol=1e-12, atol=1e-14)
    both = list(zip(parts, caches, strict=True))
    dbeta, dgamma = np.sum([ops.gradient_sums(dout[part], own, relu=True) for part, own in both], 0)
    m = x.size // x.shape[3]
    dx = [ops.input_gradient(dout[part], own, dbeta, dgamma, m=m, relu=True) for part, own in both]
    for one, other in zip((np.concatenate(dx), dgamma, dbeta), ops.batchnorm2d_relu_backward(dout, cache), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def test_a_large_mean_loses_no_digits():
    x, *_ = case(mean=1e4)
    x = x.astype(np.float32)
    m, mean, squares = reduce(ops.merge_moments, [ops.picture_moments(x[n : n + 1]) for n in range(len(x))])
    np.testing.assert_allclose(mean, x.mean((0, 1, 2), dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(squares / m, x.var((0, 1, 2), dtype=np.float64), rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("relu", [False, True])
def test_numba_equals_numpy(dtype, relu):
    x, dout, gamma, beta = (array.astype(dtype) for array in case())
    op = ops.batchnorm2d_relu_forward if relu else ops.batchnorm2d_forward
    _, cache = op(x, gamma, beta)
    arguments = {"picture_moments": (x,), "gradient_sums": (dout, cache), "input_gradient": (dout, cache, gamma, beta)}
    settings = {"gradient_sums": {"relu": relu}, "input_gradient": {"relu": relu, "m": 99}}
    for name, given in arguments.items():
        found, defined = (getattr(synchronized_batchnorm, f"{name}_{variant}")(*given, **settings.get(name, {}))
                          for variant in ("numba", "numpy"))  # fmt: skip
        np.testing.assert_allclose(found, defined, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-4)
        assert np.asarray(found).dtype == np.asarray(defined).dtype


@pytest.mark.parametrize("ranks", [1, 2, 3, 6])
def test_gradients_over_ranks_are_right(ranks):
    """Finite differences of the whole batch, which the ranks normalise together. One of six ranks has no picture."""

    def forward(x, gamma, beta):
        def run(communicator):
            batch = SplitBatch(communicator, len(x))
            own = [x[n : n + 1] for n in batch.pictures]
            total = batch.total([ops.picture_moments(part) for part in own], np.empty((3, len(gamma))),
                                ops.merge_moments)  # fmt: skip
            m, mean, squares = total
            results = [ops.batchnorm2d_forward(part, gamma, beta, mean=mean, var=squares / m) for part in own]
            return [out for (out, _, _), _ in results], [cache for _, cache in results]

        found = run_ranks(ranks, run)
        return np.concatenate([out for outs, _ in found for out in outs]), [caches for _, caches in found]

    def backward(dout, caches):
        def run(communicator):
            batch, own = SplitBatch(communicator, len(dout)), caches[communicator.rank]
            both = [(dout[n : n + 1], cache) for n, cache in zip(batch.pictures, own, strict=True)]
            sums = [np.stack(ops.gradient_sums(*part)) for part in both]
            dbeta, dgamma = batch.total(sums, np.empty((2, SHAPE[3])))
            m = dout.size // SHAPE[3]
            return [ops.input_gradient(*part, dbeta, dgamma, m=m) for part in both], dgamma, dbeta

        found = run_ranks(ranks, run)
        return np.concatenate([dx for dxs, _, _ in found for dx in dxs]), *found[0][1:]

    x, _, gamma, beta = case()
    report = check(forward, backward, x[:, : amount(2, 3), : amount(2, 4)], gamma, beta)
    assert report.ok, report
