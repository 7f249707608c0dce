"""Tests of the gradient check: what it accepts, what it rejects, and what it reports."""

from __future__ import annotations

import numpy as np
import pytest
from forms import LONG, amount

import tinysegnet as ts
from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import check, check_op, find_ops
from tinysegnet.gradcheck.cases import cases_of

RNG = np.random.default_rng(0)
SEEDS = amount(4, 200)


def linear_forward(x, weight, bias):
    return x @ weight + bias, (x, weight)


def linear_backward(dout, cache):
    x, weight = cache
    return dout @ weight.T, x.T @ dout, dout.sum(0)


LINEAR = (RNG.standard_normal((4, 3)), RNG.standard_normal((3, 3)), RNG.standard_normal(3))


def relu_forward(x):
    return np.maximum(x, 0), x


def relu_backward(dout, x):
    return np.where(x > 0, dout, 0)


def tanh_pair(slope=1.0):
    """Return tanh and a backward that is `slope` times too large."""
    return lambda x: (np.tanh(x), np.tanh(x)), lambda dout, out: slope * dout * (1 - out**2)


# --- accepts and refuses ------------------------------------------------------------------------------------------


def test_check_accepts_right_gradients():
    report = check(linear_forward, linear_backward, *LINEAR)
    assert report.ok
    assert report
    assert [t.name for t in report.tensors] == ["x", "weight", "bias"]
    assert report.checked == 12 + 9 + 3
    assert report.verdict == "ok"
    assert report.taylor is None  # linear
    assert check(*tanh_pair(), LINEAR[0]).taylor == pytest.approx(2, abs=0.05)


@pytest.mark.parametrize("slope", [1.001, 1.00001, 1 + 1e-6, -1, 0, 2, np.nan])
def test_check_rejects_wrong_gradients(slope):
    report = check(*tanh_pair(slope), LINEAR[0])
    assert not report.ok
    assert report.verdict == "bug"
    assert "x" in str(report)


def test_check_names_a_single_wrong_entry():
    def backward(dout, cache):
        dx, dweight, dbias = linear_backward(dout, cache)
        dweight[2, 1] += 1e-4
        return dx, dweight, dbias

    report = check(linear_forward, backward, *LINEAR)
    tensor = report.tensor("weight")
    assert [t.ok for t in report.tensors] == [True, False, True]
    assert tensor.count("wrong") == 1
    assert tensor.worst.where == (2, 1)
    assert tensor.worst.error == pytest.approx(1e-4, rel=1e-4)
    text = str(report)
    for part in ("weight[2, 1]", "1 of 9 wrong", "analytic", "numeric", "allowed", "kink?  no", "seed=0, h=1e-05"):
        assert part in text


def test_check_samples_large_tensors():
    x = RNG.standard_normal((60, 50))
    report = check(*tanh_pair(), x)
    assert report.checked == 3 + 20
    assert report.ok
    assert not check(*tanh_pair(1.001), x).ok


def test_directions_find_one_wrong_entry_of_a_large_tensor():
    def backward(dout, out):
        dx = dout * (1 - out**2)
        dx[7, 9] += 1e-2
        return dx

    report = check(tanh_pair()[0], backward, RNG.standard_normal((60, 50)))
    assert not report.ok
    assert "direction" in str(report.tensors[0].worst.where)


def test_rounding_noise_of_a_zero_gradient_counts_as_linear():
    """The sum of a batch norm's output does not depend on x, so backward returns noise, which is not a violation."""
    numpy = ts.gradcheck.find_variants("batchnorm2d")["numpy"]

    def forward(x, gamma, beta):
        (out, *_), cache = numpy.forward(x, gamma, beta)
        return out.sum(), (cache, out)

    def backward(dloss, cache):
        return numpy.backward(np.full_like(cache[1], dloss), cache[0])

    rng = np.random.default_rng(0)
    report = check(forward, backward, rng.standard_normal((2, 5, 6, 3)), np.ones(3), np.ones(3))
    assert report.ok, str(report)


def test_tensor_sampled_at_every_entry_gets_a_hint():
    """The sample is larger than the tensor, so it includes directions as well as the whole numeric gradient."""
    x, weight = np.random.default_rng(0).standard_normal((2, 4, 3))[0], np.eye(3)
    report = check(linear_forward, lambda d, c: (d @ c[1].T, c[0].T @ d / 4, d.sum(0)), x, weight, np.ones(3), every=5)
    assert "N = 4" in report.tensor("weight").hint


def test_dout_is_random_and_depends_on_the_seed():
    """With a dout of ones, a batch norm's backward without its subtracted terms would pass."""
    seen = []

    def backward(dout, cache):
        seen.append(dout)
        return linear_backward(dout, cache)

    check(linear_forward, backward, *LINEAR, seed=0)
    first = seen[0].copy()
    assert np.ptp(first) > 0.5
    seen.clear()
    check(linear_forward, backward, *LINEAR, seed=1)
    assert not np.array_equal(first, seen[0])


# --- kinks, jumps, bugs ----------------------------------------------------------------------------------------


def test_kinks_are_not_reported_as_bugs():
    report = check(relu_forward, relu_backward, np.zeros((4, 5)))
    assert not report.ok
    assert report.verdict == "kink"
    assert report.crossed == 20
    assert report.tensors[0].count("wrong") == 0
    assert report.tensors[0].worst.ratio == pytest.approx(1, abs=0.05)
    assert "kink" in str(report)


@pytest.mark.parametrize("distance", [1e-6, 3.3e-6, 7e-6, 9e-6])
def test_kink_within_the_step_is_judged_with_a_smaller_step(distance):
    x = np.linspace(-1, 1, 40)
    x[[3, 8]] = distance, -distance
    report = check(relu_forward, relu_backward, x)
    assert report.ok
    assert report.crossed == 0
    assert [p.where for p in report.tensors[0].probes if p.shrunk] == [(3,), (8,)]
    wrong = check(relu_forward, lambda dout, x: np.where(x > 0, 1.01 * dout, 0), x)
    assert wrong.tensors[0].count("wrong") == int((x > 0).sum())  # including the entry near the kink


def test_jumps_have_ratio_two():
    report = check(lambda x: (np.floor(x) + x, None), lambda dout, cache: dout, np.full(3, 2.0))
    assert report.verdict == "kink"
    assert {p.kind for p in report.tensors[0].probes} == {"jump"}
    assert report.tensors[0].worst.ratio == pytest.approx(2, abs=0.05)


def test_true_zero_gradients_cause_no_false_alarm():
    """For a bias before a batch norm, only rounding noise is compared, which is below the noise floor."""

    def forward(x, bias):
        y = x + bias
        return y - y.mean(0), None

    report = check(forward, lambda dout, _: (dout - dout.mean(0), 0 * dout[0]), RNG.standard_normal((9, 4)), np.ones(4))
    assert report.ok


def reports(op, seed):
    """Yield a report for each case. Larger cases, which take most of the time, run only for every tenth seed."""
    forward, backward = ts.gradcheck.find_variants(op)["numpy"]
    for case in cases_of(op):
        arrays, kwargs = case.arguments(seed)
        if case.gradient and (seed % 10 == 0 or sum(np.size(a) for a in arrays) < 1000):
            yield check(lambda *a, kwargs=kwargs: forward(*a, **kwargs), backward, *arrays, seed=seed, title=case.name,
                        every=0, directions=1, entries=3)  # fmt: skip


@pytest.mark.parametrize("op", find_ops())
def test_no_seed_causes_a_false_alarm(op):
    """Each seed draws different arguments for every case, a random direction, and a few entries of each tensor."""
    for seed in range(1, SEEDS + 1):
        for report in reports(op, seed):
            assert report.ok, f"\n{report}"
    for variant in ts.gradcheck.find_variants(op) if LONG else ():
        assert check_op(op, variant, seed=SEEDS).ok


# --- promises ------------------------------------------------------------------------------------------------


def violations(forward, backward, *arrays):
    report = check(forward, backward, *arrays)
    assert not report.ok
    return " ".join(report.problems)


def test_violations_of_the_contract_are_named():
    x = RNG.standard_normal((4, 3))

    def writes(x):
        x += 1
        return x, None

    def writes_dout(dout, x):
        dout *= x > 0
        return dout

    def writes_cache(dout, cache):
        cache[0] += 1
        return dout * cache[0]

    class Counter:
        calls = 0

        def random(self, x):
            self.calls += 1
            return x * self.calls, self.calls

    assert "forward writes" in violations(writes, lambda dout, cache: dout, x)
    assert "backward writes to dout" in violations(relu_forward, writes_dout, x)
    assert "same cache" in violations(lambda x: (x, [0.0]), writes_cache, x)
    assert "same arguments" in violations(Counter().random, lambda dout, calls: dout * calls, x)
    assert "not linear in dout" in violations(relu_forward, lambda dout, x: np.maximum(dout, 0), x)


def test_check_copies_its_arguments():
    arrays = [a.astype(np.float32) for a in LINEAR]
    kept = [a.copy() for a in arrays]
    assert check(linear_forward, linear_backward, *arrays).ok
    assert all(a.dtype == np.float32 and np.array_equal(a, b) for a, b in zip(arrays, kept, strict=True))


def test_arguments_other_than_float_arrays_are_passed_on():
    def forward(x, labels, scale, *, mask):
        assert labels.dtype == np.int64
        return x * scale * mask + labels, mask * scale

    def backward(dout, factor):
        return dout * factor

    x, labels = RNG.standard_normal((2, 3)), np.arange(6).reshape(2, 3)
    mask = np.array([1, 0, 1], np.float32)
    report = check(forward, backward, x, labels, 2.0, mask=mask)
    assert report.ok
    assert [t.name for t in report.tensors] == ["x"]
    assert check(forward, lambda dout, f: (dout * f, None, None), x, labels, 2.0, mask=mask).ok


def test_several_results_can_be_differentiated():
    def forward(x):
        return (np.sin(x), np.cos(x), x.argmax()), x

    x = RNG.standard_normal(5)
    assert check(forward, lambda dout, x: dout * np.cos(x), x).ok
    both = check(forward, lambda douts, x: douts[0] * np.cos(x) - douts[1] * np.sin(x), x, outputs=(0, 1))
    assert both.ok
    assert not check(forward, lambda douts, x: douts[0] * np.cos(x), x, outputs=(0, 1)).ok
    with pytest.raises(ShapeError, match="outputs=\\(3,\\)"):
        check(forward, lambda dout, x: dout, x, outputs=(3,))


@pytest.mark.parametrize(("forward", "backward", "message"), [
    (lambda x, w, b: x @ w + b, linear_backward, "forward .*\\(out, cache\\)"),
    (lambda x, w, b: (x, w, b), linear_backward, "a tuple of 3"),
    (lambda x, w, b: (x.astype("f4"), 0), linear_backward, "result 0 of forward is float32"),
    (lambda x, w, b: (x > 0, 0), linear_backward, "result 0 of forward is bool"),
    (linear_forward, lambda d, c: linear_backward(d, c)[:2], "2 gradients.* 3 float arguments: x, weight, bias"),
    (linear_forward, lambda d, c: (*linear_backward(d, c)[:2], d), r"bias .*\(4, 3\).*\(3,\).*sum over axes"),
    (linear_forward, lambda d, c: (linear_backward(d, c)[0].T, *linear_backward(d, c)[1:]), "transposed"),
    (linear_forward, lambda d, c: (*linear_backward(d, c)[:2], None), "NoneType as the gradient of bias"),
    (linear_forward, lambda d, c: tuple(g.astype("f4") for g in linear_backward(d, c)), "gradient of x is float32"),
])  # fmt: skip
def test_errors_name_the_arguments_of_the_caller(forward, backward, message):
    with pytest.raises(ShapeError, match=message):
        check(forward, backward, *LINEAR, names=["x", "weight", "bias"])


def test_hint_finds_an_argument_used_the_wrong_way_round():
    report = check(linear_forward, lambda d, c: (d @ c[1], c[0].T @ d, d.sum(0)), *LINEAR)
    assert "right for weight transposed" in report.tensor("x").hint
