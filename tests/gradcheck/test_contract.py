"""What a layer must return and must not do: the bounds, the violations one by one, and the errors."""

import numpy as np
import pytest

from tinysegnet.errors import ShapeError
from tinysegnet.gradcheck import check
from tinysegnet.gradcheck.contract import draw_dout

X = np.random.default_rng(0).uniform(0.5, 1.5, (3, 4))


def problems(forward, backward, *arrays, **kwargs):
    return check(forward, backward, *arrays, **kwargs).problems


def only(found, words):
    assert len(found) == 1, found
    assert words in found[0]
    return True


# --- dout ------------------------------------------------------------------------------------------------------------


def test_dout_of_a_number_is_near_one_and_dout_of_an_array_is_normal():
    rng = np.random.default_rng(0)
    numbers = [draw_dout(rng, np.float64(3)) for _ in range(300)]
    assert 0.5 <= min(numbers) < 0.55
    assert 1.45 < max(numbers) <= 1.5
    values = draw_dout(rng, np.zeros((50, 60)))
    assert values.shape == (50, 60)
    assert abs(values.mean()) < 0.06
    assert values.std() == pytest.approx(1, rel=0.05)


def test_dout_differs_from_the_arguments_and_the_directions_of_the_same_seed():
    seen, moved = [], []

    def forward(x):
        moved.append(x.copy())
        return np.tanh(x), np.tanh(x)

    def backward(dout, out):
        seen.append(dout.copy())
        return dout * (1 - out**2)

    x = np.random.default_rng([7, 0]).standard_normal((50, 50))
    check(forward, backward, x, seed=7, directions=1, entries=0)
    direction = (moved[-1] - x) / np.linalg.norm(moved[-1] - x)  # of the Taylor slope
    steps = [(m - x) / np.linalg.norm(m - x) for m in moved if (m != x).all()]
    dout = seen[0] / np.linalg.norm(seen[0])
    assert abs((x / np.linalg.norm(x) * dout).sum()) < 0.1
    assert all(abs((step * dout).sum()) < 0.1 for step in (*steps, direction))
    assert all(abs((step * x).sum()) / np.linalg.norm(x) < 0.1 for step in (*steps[1:], direction))


def test_F_is_the_sum_of_the_sizes_of_all_terms():
    seen = []

    def backward(dout, x):
        seen.append(dout.copy())
        return -2 * dout

    probe = check(lambda x: (-2 * x, x), backward, X, h=1e-4, rtol=0, floor=1000).tensors[0].probes[0]
    F = 2 * np.abs(X * seen[0]).sum()
    assert probe.allowed == pytest.approx(1000 * 2.0**-52 * F / 1e-4)
    assert probe.h == 1e-4


# --- violations ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.8, 1.25])
@pytest.mark.parametrize("factor", [3, 0])
def test_a_gradient_must_be_linear_up_to_rounding(share, factor):
    """The bound is 1e-12 of the size of the two terms, plus 2e-14 of the largest dout."""
    douts = []

    def backward(extra):
        def function(dout, x):
            douts.append(dout.copy())
            return factor * dout + extra * np.abs(dout)

        return function

    def forward(x):
        return factor * x, x

    assert problems(forward, backward(0), X) == []
    u = douts[0]
    others = [d for d in douts if not np.array_equal(d, u)]
    assert len(others) == 2  # a u + b v, and v
    mixed, v = others
    (a, b), *_ = np.linalg.lstsq(np.stack([u.ravel(), v.ravel()], 1), mixed.ravel(), rcond=None)
    nonlinear = np.abs(np.abs(mixed) - (a * np.abs(u) + b * np.abs(v))).max()
    size = factor * (np.abs(a * u).max() + np.abs(b * v).max())
    bound = 1e-12 * size + 2e-14 * max(np.abs(u).max(), np.abs(v).max())
    found = problems(forward, backward(share * bound / nonlinear), X, floor=1e9)
    assert found == [] if share < 1 else only(found, "the gradient of x is not linear in dout")


def test_each_argument_whose_gradient_is_not_linear_is_named():
    def backward(dout, cache):
        x, weight = cache
        return dout * weight, np.maximum(dout, 0) * x

    found = problems(lambda x, weight: (x * weight, (x, weight)), backward, X, X + 1)
    assert only(found, "gradient of weight is not linear")


def test_writes_to_arguments_settings_and_the_cache_are_reported_once():
    def writes_setting(x, mask):
        mask[0] = 5
        return x * 2, None

    def cache_of_the_caller(dout, cache):
        cache[1][0] = 9  # an array that the caller passed to forward
        return 2 * dout

    def double(dout, cache):
        return 2 * dout

    assert only(problems(writes_setting, double, X, mask=np.ones(4)), "forward writes to one of its arguments")
    found = problems(lambda x, labels: (2 * x, (x, labels)), cache_of_the_caller, X, np.arange(3))
    assert only(found, "backward writes to dout or to an array of the caller")

    def writes_second(douts, cache):
        douts[1][0] = 0
        return douts[0] + 2 * douts[1]

    found = problems(lambda x: ((x, 2 * x), None), writes_second, X, outputs=(0, 1))
    assert any("backward writes to dout" in problem for problem in found)


def test_other_layouts_of_arguments_reach_the_layer():
    """Copies keep the order of the axes in memory, so that a layer which needs another one is found."""
    seen = []

    def forward(x, mask):
        seen.append((x.flags.f_contiguous, mask.flags.f_contiguous))
        return x * mask, mask

    mask = np.asfortranarray(np.ones((3, 4)))
    assert check(forward, lambda dout, mask: dout * mask, np.asfortranarray(X), mask=mask).ok
    assert set(seen) >= {(True, True)}


def test_a_layer_that_does_not_repeat_is_not_accused_of_being_nonlinear():
    calls = []

    def unstable(dout, x):
        calls.append(1)
        return dout * (1 + 1e-3 * len(calls))

    assert only(problems(lambda x: (x, x), unstable, X), "called again with the same cache")
    last = []

    def forward(x):
        last[:] = [x]
        return x**2, None

    assert only(problems(forward, lambda dout, _: 2 * last[0] * dout, X), "after another forward")


def test_a_forward_that_does_not_repeat_is_reported():
    calls = []

    def forward(x):
        calls.append(1)
        return x + len(calls), None

    assert "called again with the same arguments" in problems(forward, lambda dout, _: dout, X)[0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_result_that_is_not_finite_is_reported(bad):
    report = check(lambda x: (np.where(X[1, 1] < X, x, bad), None), lambda dout, _: np.where(X[1, 1] < X, dout, 0), X)
    assert any("NaN or infinity" in problem for problem in report.problems)
    assert report.tensors[0].hint is None
    second = check(lambda x: ((x, x * bad), None), lambda d, _: d[0], X, outputs=(0, 1)).problems
    assert any("NaN or infinity" in problem for problem in second)


# --- arguments and results -------------------------------------------------------------------------------------------


def add(x, *others, **settings):
    return x * 2, None


@pytest.mark.parametrize(("gradients", "accepted"), [
    (lambda d: d, True), (lambda d: [d], True), (lambda d: (d,), True), (lambda d: (d, None), True),
    (lambda d: (d, None, None), True), (lambda d: (None, d), False), (lambda d: (d, d), False), (lambda d: (), False),
])  # fmt: skip
def test_arguments_without_a_gradient_may_have_none(gradients, accepted):
    def backward(dout, cache):
        return gradients(2 * dout)

    if accepted:
        assert check(add, backward, X, np.arange(3)).ok
    else:
        with pytest.raises(ShapeError, match="gradient"):
            check(add, backward, X, np.arange(3))


def test_the_error_about_the_number_of_gradients_names_the_arguments():
    with pytest.raises(ShapeError, match=r"3 gradients.*1 float arguments: x \(labels may have None"):
        check(lambda x, labels: (2 * x, None), lambda d, _: (d, d, d), X, np.arange(3))
    with pytest.raises(ShapeError, match=r"2 gradients.*1 float arguments: x$"):
        check(lambda x: (2 * x, None), lambda d, _: (d, d), X)


@pytest.mark.parametrize(("gradient", "message"), [
    (None, r"NoneType as the gradient of x"),
    ({}, r"dict as the gradient of x, .*\(3, 4\)"),
    (np.ones((2, 3, 4)), r"sum over axes \(0,\)"),
    (np.ones((5, 2, 3, 4)), r"sum over axes \(0, 1\)"),
    (np.ones((4, 3)), "another order: is it transposed"),
    (np.ones(12), "swapped with another gradient"),
    (np.ones((4, 3, 4, 2)), "swapped with another gradient"),
    (np.ones((3, 5)), r"has shape \(3, 5\), but x has shape \(3, 4\)$"),
    (1.0, r"shape \(\).*swapped"),
])  # fmt: skip
def test_a_gradient_of_another_kind_or_shape_is_refused_with_the_likely_reason(gradient, message):
    with pytest.raises(ShapeError, match=message):
        check(lambda x: (2 * x, None), lambda dout, _: gradient, X)


def test_a_number_has_a_number_as_its_gradient():
    report = check(lambda x: (x * x, x), lambda dout, x: float(2 * x * dout), np.array(1.5))
    assert report.ok
    assert report.tensors[0].probes[0].where == ()


def test_names_come_from_the_signature():
    def names(forward, *arrays, **settings):
        return [t.name for t in check(forward, lambda d, c: tuple(2 * d for _ in arrays), *arrays, **settings).tensors]

    def positional(first, /, second, *, third=0):
        return 2 * (first + second), None

    assert names(positional, X, X) == ["first", "second"]
    assert names(lambda *a: (2 * sum(a), None), X, X) == ["argument0", "argument1"]
    assert names(lambda a, *rest: (2 * (a + rest[0]), None), X, X) == ["a", "argument1"]
    assert names(positional, X, X, names=["p", "q"]) == ["p", "q"]
    with pytest.raises(ShapeError, match="contains 1 names for 2 arrays"):
        check(positional, lambda d, c: (2 * d, 2 * d), X, X, names=["p"])


def test_arguments_that_cannot_be_checked_are_named():
    def double(x):
        return 2 * x, None

    with pytest.raises(ShapeError, match=r"no argument is a float array, got int64, list\. .*astype"):
        check(lambda x, y: (x, y), lambda d, _: d, np.arange(3), [1])
    with pytest.raises(ShapeError, match="got none"):
        check(double, lambda d, _: d)
    with pytest.raises(ShapeError, match=r"weight of shape \(0, 3\) is empty"):
        check(lambda x, weight: (x, None), lambda d, _: (d, d), X, np.ones((0, 3)))
    with pytest.raises(ShapeError, match=r"complex128 of shape \(2,\)"):
        check(double, lambda d, _: d, X, mask=np.ones(2, complex))


@pytest.mark.parametrize(
    ("result", "found"), [(X[:2], "ndarray"), ([X, None], "list"), (3.0, "float"), ((X,), "tuple of 1")]
)
def test_a_forward_must_return_a_tuple_of_two(result, found):
    with pytest.raises(ShapeError, match=rf"\(out, cache\), a tuple of two, got (a )?{found}\."):
        check(lambda x: result, lambda dout, _: dout, X)


@pytest.mark.parametrize(("outputs", "accepted"), [((0,), True), ((1,), True), ((2,), False), ((0, 2), False)])
def test_outputs_must_exist(outputs, accepted):
    def run():
        return check(lambda x: ((2 * x, x + x), None), lambda d, _: 2 * (sum(d) if isinstance(d, tuple) else d), X,
                     outputs=outputs)  # fmt: skip

    if accepted:
        assert run().ok
    else:
        with pytest.raises(ShapeError, match="forward returned 2 results"):
            run()


def test_the_title_is_the_name_of_the_function_or_the_class():
    class Layer:
        def __call__(self, x):
            return 2 * x, None

    def backward(dout, _):
        return 2 * dout

    assert check(add, backward, X).title == "add"
    assert check(Layer(), backward, X).title == "Layer"
    report = check(add, backward, X, title="my layer", seed=4, h=2e-5)
    assert report.title == "my layer"
    assert report.reproduce == "seed=4, h=2e-05"
