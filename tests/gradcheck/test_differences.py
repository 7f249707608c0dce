"""Slopes of functions whose differences are known in closed form: tolerances, steps, kinks, jumps and Taylor slopes."""

import inspect

import numpy as np
import pytest

from tinysegnet.gradcheck import check
from tinysegnet.gradcheck.checker import check_tensor, choose_moves, unit_direction
from tinysegnet.gradcheck.differences import Objective, Probe, Rule

EPS = 2.0**-52
ORIGIN = np.zeros(1)


def judged(J, gradient, F=0.0, h=1e-5, move=(0,), **branches):
    """Judge the slope at 0 of a function of one number."""
    objective = Objective(lambda moved: -J(0.0) + J(float(moved[0])), ORIGIN, np.array([gradient]), F, **branches)
    return objective.judge(move, Rule(h), "here")


def test_allowed_error_is_the_sum_of_a_relative_part_and_rounding_noise():
    assert Rule() == Rule(h=1e-5, rtol=1e-7, floor=10)
    rule = Rule(h=1.0, rtol=0.25, floor=3)
    assert rule.noise(F=5, h=0.5) == pytest.approx(30 * EPS)
    assert rule.allowed(-8.0, 2.0, 0.0, 0.5) == rule.allowed(2.0, -8.0, 0.0, 0.5) == 2
    assert rule.allowed(0.0, 4.0, 2.0**52, 6.0) == 1 + 0.5


def test_the_settings_of_check_have_the_documented_defaults():
    defaults = {name: p.default for name, p in inspect.signature(check).parameters.items()}
    expected = {"seed": 0, "h": 1e-5, "rtol": 1e-7, "floor": 10, "every": 2000, "directions": 3, "entries": 20}
    assert expected.items() <= defaults.items()


@pytest.mark.parametrize(("share", "status"), [(0.99, "ok"), (-0.99, "ok"), (1.01, "wrong"), (-1.01, "wrong")])
def test_a_gradient_is_wrong_from_the_allowed_error_on(share, status):
    relative = judged(lambda x: 3 * x, 3 + share * 3e-7)
    noise = judged(lambda x: 0.0, share * 10 * EPS * 1e6 / 1e-5, F=1e6)
    for probe in (relative, noise):
        assert (probe.status, probe.kind, probe.ratio, probe.shrunk, probe.h) == (status, "smooth", None, False, 1e-5)
        assert probe.where == "here"
        assert probe.excess == pytest.approx(abs(share), rel=1e-3)
        assert probe.error == pytest.approx(abs(share) * probe.allowed, rel=1e-3)


def test_a_loss_that_is_zero_needs_no_tolerance():
    right, wrong = judged(lambda x: 0.0, 0.0), judged(lambda x: 0.0, 1.0)
    assert (right.status, right.kind) == ("ok", "smooth")
    assert (wrong.status, wrong.kind, wrong.ratio) == ("wrong", "smooth", None)
    assert taylor(lambda x: 0.0, 0.0) is None


def test_the_ratio_of_a_nan_is_infinite():
    probe = judged(lambda x: x, np.nan)
    assert (probe.excess, probe.status) == (np.inf, "wrong")
    assert Probe("d", 1.0, 3.0, 4.0, 1e-5).excess == 0.5


# The slopes of a ReLU at 0 are 0 and 1, so the numeric slope is 1/2 and the bend is 1. A kink explains 0.6 of its bend.
@pytest.mark.parametrize(("gradient", "status"), [(0, "crossed"), (1, "crossed"), (1.09, "crossed"), (1.11, "wrong"),
                                                  (-0.09, "crossed"), (-0.11, "wrong")])  # fmt: skip
def test_a_kink_at_the_point_explains_slopes_between_both_sides(gradient, status):
    probe = judged(lambda x: max(x, 0), gradient)
    assert (probe.status, probe.kind, probe.numeric) == (status, "kink", pytest.approx(0.5))
    assert probe.ratio == pytest.approx(1)
    assert probe.shrunk == (status == "crossed")
    assert probe.h == pytest.approx(1e-8 if status == "crossed" else 1e-5)


def test_steps_shrink_tenfold_down_to_the_smallest_step():
    assert judged(lambda x: max(x, 0), 0, h=6e-5).h == pytest.approx(6e-8)  # not 6e-9
    assert judged(lambda x: max(x, 0), 0, h=0.9e-7).h == pytest.approx(0.9e-7)  # not 0.9e-8
    assert judged(lambda x: max(x, 0), 0, h=1e-7).h == pytest.approx(1e-8)
    near = judged(lambda x: max(x - 3e-7, 0), 0)
    assert (near.status, near.shrunk, near.kind) == ("ok", True, "kink")
    assert near.h == pytest.approx(1e-7)


@pytest.mark.parametrize(("bend", "status"), [(3.9, "wrong"), (4.1, "ok")])
def test_a_kink_counts_from_four_times_the_noise_on(bend, status):
    """Above, the step shrinks, so the noise grows tenfold and covers the error."""
    noise = 10 * EPS * 1e6 / 1e-5
    probe = judged(lambda x: bend * noise * max(x, 0), 1.05 * bend * noise, F=1e6)
    assert (probe.status, probe.kind) == (status, "smooth" if status == "wrong" else "kink")
    assert (probe.ratio is None) == (status == "wrong")


@pytest.mark.parametrize(("share", "status"), [(0.95, "ok"), (1.05, "wrong")])
def test_a_kink_explains_its_share_of_the_bend_and_the_allowed_error(share, status):
    noise = 10 * EPS * 1e6 / 1e-5
    error = 0.6 * 8 * noise + share * noise
    assert judged(lambda x: 8 * noise * max(x, 0), 4 * noise + error, F=1e6).status == status


@pytest.mark.parametrize(("distance", "kind"), [(0.19, "kink"), (0.21, "smooth"), (0.42, "smooth"), (0.44, "kink")])
def test_the_half_step_tells_a_kink_from_a_curve(distance, kind):
    """For |x - c|, K(h) = 2 (1 - c/h). So the ratio is (1 - 2c/h) / (1 - c/h), which is 3/4 at 1/5 and 1/4 at 3/7."""
    probe = judged(lambda x: abs(x - distance * 1e-5), 100)
    assert (probe.status, probe.kind) == ("wrong", kind)
    assert probe.ratio == pytest.approx((1 - 2 * distance) / (1 - distance))


@pytest.mark.parametrize(("height", "kind"), [(0.95, "kink"), (1.05, "jump"), (1e3, "jump")])
def test_the_half_step_tells_a_jump_from_a_kink(height, kind):
    """A kink with bend 1 and a jump of this height in units of h: K(h) = 1 + height, and K(h/2) = 1 + 2 height."""
    probe = judged(lambda x: max(x, 0) + height * 1e-5 * (x > 0), -1e4)
    assert (probe.status, probe.kind) == ("wrong", kind)
    assert probe.ratio == pytest.approx((1 + 2 * height) / (1 + height))


def test_the_first_step_decides_what_is_at_the_point():
    """With smaller steps, the jump would dominate."""
    probe = judged(lambda x: max(x, 0) + 0.2e-5 * (x > 0), 0.5)
    assert (probe.status, probe.kind, probe.ratio) == ("crossed", "kink", pytest.approx(1.4 / 1.2))


def test_a_curve_has_ratio_one_half_along_an_entry_and_along_a_direction():
    for move in ((0,), np.ones(1)):
        probe = judged(lambda x: 5 * x + 1e3 * x**2, 5.1, move=move)
        assert (probe.status, probe.kind, probe.shrunk) == ("wrong", "smooth", False)
        assert probe.ratio == pytest.approx(0.5)
        assert (probe.analytic, probe.numeric) == (pytest.approx(5.1), pytest.approx(5))


def test_the_slope_along_a_direction_is_the_product_with_the_gradient():
    x, slopes, direction = np.array([1e3, -2.0, 0.5]), np.array([1.0, -2.0, 4.0]), np.array([2.0, 0.5, -1.0]) / 4
    objective = Objective(lambda moved: float(slopes @ (moved - x)), x, slopes, 0.0)
    probe = objective.judge(direction, Rule(), "direction 0")
    assert probe.analytic == pytest.approx((2 - 1 - 4) / 4, rel=1e-6)
    assert probe.numeric == pytest.approx((2 - 1 - 4) / 4, rel=1e-6)
    assert probe.status == "ok"
    assert objective.judge((0,), Rule(), (0,)).numeric == pytest.approx(1, rel=1e-12)  # 1e3 + h is rounded


@pytest.mark.parametrize("side", [1, -1])
def test_a_changed_branch_on_either_side_shrinks_the_step(side):
    """The value is right, but a branch changes at a distance of 3e-7."""
    last = [0.0]

    def J(x):
        last[0] = x
        return 2 * x

    branches = {"signature": lambda: b"far" if side * last[0] > 3e-7 else b"here", "branch": b"here"}
    probe = judged(J, 2.0, **branches)
    assert (probe.status, probe.shrunk, probe.kind, probe.h) == ("ok", True, "kink", pytest.approx(1e-7))
    always = judged(J, 2.0, signature=lambda: b"far" if side * last[0] > 0 else b"here", branch=b"here")
    assert (always.status, always.kind, always.ratio) == ("crossed", "kink", None)
    assert judged(J, 2.0, signature=lambda: b"here", branch=b"here").shrunk is False


# --- Taylor's formula ------------------------------------------------------------------------------------------------


def taylor(J, gradient, F=0.0, **branches):
    objective = Objective(lambda moved: -J(0.0) + J(float(moved[0])), ORIGIN, np.array([gradient]), F, **branches)
    return objective.taylor_slope(np.ones(1))


def test_the_taylor_slope_is_the_order_of_the_remainder():
    assert taylor(lambda x: 3 * x + x**2, 3.0) == pytest.approx(2)
    assert taylor(lambda x: 3 * x + x**2, 4.0) == pytest.approx(1, abs=0.01)
    assert taylor(lambda x: 3 * x + x**3, 3.0) == pytest.approx(3)
    assert taylor(lambda x: 3 * x, 3.0) is None
    assert np.isnan(taylor(lambda x: np.nan if x > 7e-4 else x, 3.0))


@pytest.mark.parametrize(("share", "expected"), [(0.99, None), (1.01, pytest.approx(2))])
def test_a_remainder_below_the_noise_means_linear(share, expected):
    F = 1e6
    smallest = 100 * EPS * F  # of the last step, 2.5e-4
    assert taylor(lambda x: share * smallest * (x / 2.5e-4) ** 2, 0.0, F) == expected


@pytest.mark.parametrize(("change", "steps"), [
    (1.0, [1e-3, 5e-4, 2.5e-4]),
    (9e-4, [1e-3, 5e-4, 2.5e-4, 1e-4, 5e-5, 2.5e-5]),
    (9e-5, [1e-3, 5e-4, 2.5e-4, 1e-4, 5e-5, 2.5e-5, 1e-5, 5e-6, 2.5e-6]),
])  # fmt: skip
def test_the_taylor_steps_are_the_largest_without_a_changed_branch(change, steps):
    seen = []

    def J(x):
        seen.append(x)
        return x**2

    slope = taylor(J, 0.0, signature=lambda: b"far" if seen[-1] > change else b"here", branch=b"here")
    assert seen[1::2] == pytest.approx(steps)  # between them, J(0)
    assert slope == pytest.approx(2)


def test_the_taylor_slope_is_nan_if_a_branch_changes_at_every_step():
    assert np.isnan(taylor(lambda x: x**2, 0.0, signature=lambda: b"far", branch=b"here"))


# --- which slopes are measured ---------------------------------------------------------------------------------------


def test_small_tensors_are_checked_at_every_entry_and_large_ones_at_some():
    rng = np.random.default_rng(0)
    every = choose_moves((2, 3), rng, 6, 1, 1)
    assert every == [(index, index) for index in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]]
    assert choose_moves((), rng, 6, 1, 1) == [((), ())]
    some = choose_moves((7, 5), rng, 34, 2, 4)
    assert [name for name, _ in some[:2]] == ["direction 0", "direction 1"]
    for _, direction in some[:2]:
        assert direction.shape == (7, 5)
        assert np.linalg.norm(direction) == pytest.approx(1)
    assert not np.array_equal(some[0][1], some[1][1])
    assert all(name == move and move in list(np.ndindex(7, 5)) for name, move in some[2:])
    assert len(some) == 6 == len({name for name, _ in some})
    assert len(choose_moves((3,), rng, 2, 0, 9)) == 3  # no entry twice
    assert choose_moves((7, 5), rng, 35, 2, 4)[34][0] == (6, 4)


def test_a_random_direction_has_length_one_and_both_signs():
    direction = unit_direction(np.random.default_rng(0), (40, 50))
    assert np.linalg.norm(direction) == pytest.approx(1)
    assert abs(direction.mean()) < 4 / 2000
    assert direction.std() == pytest.approx(1 / np.sqrt(2000), rel=0.01)


def test_unmeasured_entries_of_the_numeric_gradient_are_nan():
    x = np.array([1.0, 2.0, 3.0])
    objective = Objective(lambda m: float((m - x) @ [1, 2, 3]), x, np.array([1.0, 2.0, 3.5]), 0.0)
    moves = [("direction 0", np.array([1.0, 0, 0])), ((0,), (0,)), ((2,), (2,))]
    report = check_tensor("x", objective, Rule(), moves, np.array([0, 0, 1.0]))
    np.testing.assert_allclose(report.numeric, [1, np.nan, 3], rtol=1e-9)
    assert [p.status for p in report.probes] == ["ok", "ok", "wrong"]
    assert [p.where for p in report.probes] == ["direction 0", (0,), (2,)]
    assert report.taylor == pytest.approx(1)
    assert report.analytic is objective.gradient
