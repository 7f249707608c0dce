"""Exercises of lesson 03: slopes by differences, the allowed error, and a bug to find."""

import numpy as np

from .exercise import Exercise, generator

EPS = np.finfo(float).eps


def _cubes(x):
    return float((x**3).sum() + x.sum() ** 2)


def _ends(x):
    """Multiply the first row by the square of the last, which requires the shape of x."""
    return float((x[0] * x[-1] ** 2).sum())


def _numeric_gradient(f, x, h, *, left=1.0, right=1.0, divisor=None):
    """Return (f(x + right h) - f(x - left h)) / divisor for every entry."""
    gradient = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += right * h
        down[at] -= left * h
        gradient[at] = (f(up) - f(down)) / (divisor or (left + right) * h)
    return gradient


def _never_put_back(f, x, h):
    gradient, moved = np.zeros(x.shape), x.copy()
    for at in np.ndindex(x.shape):
        moved[at] += h
        up = f(moved)
        moved[at] -= 2 * h
        gradient[at] = (up - f(moved)) / (2 * h)
    return gradient


def _row_at_once(f, x, h):
    gradient = np.zeros(x.shape)
    for row in range(len(x)):
        up, down = x.copy(), x.copy()
        up[row] += h
        down[row] -= h
        gradient[row] = (f(up) - f(down)) / (2 * h)
    return gradient


def _flat(f, x, h):
    gradient = _numeric_gradient(f, x.ravel(), h)  # f never sees the shape
    return gradient.reshape(x.shape)


def _slope_cases():
    rng = generator(0)
    return [(_cubes, np.array([[1.0, 2.0]]), 0.125), (_cubes, rng.standard_normal((2, 3)), 0.25),
            (_ends, rng.standard_normal((3, 2, 2)), 0.0625)]  # fmt: skip


def _largest_size(analytic, numeric):
    return np.maximum(np.abs(analytic), np.abs(numeric))


def _excess(analytic, numeric, F, h, *, largest=_largest_size, rtol=1e-7, floor=10.0, signed=False, join=np.add):
    error = analytic - numeric if signed else np.abs(analytic - numeric)
    return error / join(rtol * largest(analytic, numeric), floor * EPS * F / h)


def _excess_cases():
    """Return cases: the first with enough noise to reveal every mistake, the others as in a real check."""
    rng = generator(1)
    right = rng.standard_normal((3, 4))
    wrong = right * (1 + 4e-7 * rng.standard_normal((3, 4)))
    zero = np.zeros(3)
    return [(right, wrong, 1e7, 0.5), (wrong, right, 300.0, 1e-6), (zero, np.array([0.0, 3e-10, -8e-10]), 7.0, 1e-5)]


def _floor_times_h(analytic, numeric, F, h):
    return _excess(analytic, numeric, F, 1 / h)


def _floor_without_F(analytic, numeric, F, h):
    return _excess(analytic, numeric, 1.0, h)


def _affine(dout, cache):
    x, gain = cache
    return dout * gain, (dout * x).sum((0, 1, 2)), dout.sum((0, 1, 2))


def _affine_cases():
    rng = generator(2)
    sizes = (2, 2, 3, 2), (3, 4, 3, 5)
    return [(rng.standard_normal(s), (rng.standard_normal(s), rng.uniform(0.5, 2, s[3]))) for s in sizes]


def _affine_changed(which, change):
    """Replace the gradient number `which` by change(dout, x, gain)."""

    def wrong(dout, cache):
        gradients = list(_affine(dout, cache))
        gradients[which] = change(dout, *cache)
        return tuple(gradients)

    return wrong


EXERCISES = [
    Exercise(
        name="numeric_gradient",
        results=("gradient",),
        reference=_numeric_gradient,
        cases=_slope_cases,
        mistakes={
            "This is the forward difference. Step h to the left as well, and divide by 2 h.":
                lambda f, x, h: _numeric_gradient(f, x, h, left=0.0),
            "This is the backward difference. Step h to the right as well, and divide by 2 h.":
                lambda f, x, h: _numeric_gradient(f, x, h, right=0.0),
            "The difference is divided by h, but the two points are 2 h apart.":
                lambda f, x, h: _numeric_gradient(f, x, h, divisor=h),
            "An entry that was moved is not restored before the next one is moved.": _never_put_back,
            "A whole row is moved at once. Move one entry at a time: for index in np.ndindex(x.shape).": _row_at_once,
            "This is the change in f, not its slope. The division by 2 h is missing.":
                lambda f, x, h: _numeric_gradient(f, x, h, divisor=1.0),
            "The gradient is zero everywhere. Perhaps up and down are the same array (up = x, down = x), or the "
            "results are not stored.": lambda f, x, h: np.zeros(x.shape),
            "The step is much smaller than the argument h. Move by h, and divide by 2 h.":
                lambda f, x, h: _numeric_gradient(f, x, 1e-5),
            "The result is flat, but it must have the shape of x.": lambda f, x, h: _numeric_gradient(f, x, h).ravel(),
            "f gets a flat array, but it needs one with the shape of x.": _flat,
        },
    ),
    Exercise(
        name="error_over_allowed",
        results=("excess",),
        reference=lambda analytic, numeric, F, h: _excess(analytic, numeric, F, h),
        cases=_excess_cases,
        mistakes={
            "The noise floor is missing. Without it, nothing is allowed where both gradients are 0 up to rounding.":
                lambda a, n, F, h: _excess(a, n, F, h, floor=0.0),
            "The error has a sign. Take its absolute value.": lambda a, n, F, h: _excess(a, n, F, h, signed=True),
            "The relative part uses the sum of |a| and |n|, not the larger of them.":
                lambda a, n, F, h: _excess(a, n, F, h, largest=lambda a, n: np.abs(a) + np.abs(n)),
            "The relative part uses the smaller of |a| and |n|, not the larger.":
                lambda a, n, F, h: _excess(a, n, F, h, largest=lambda a, n: np.minimum(np.abs(a), np.abs(n))),
            "The absolute values inside the maximum of |a| and |n| are missing.":
                lambda a, n, F, h: _excess(a, n, F, h, largest=np.maximum),
            "The relative part is missing. It allows for truncation where the gradient is large.":
                lambda a, n, F, h: _excess(a, n, F, h, rtol=0.0),
            "This takes the larger of the two parts, but they must be added.":
                lambda a, n, F, h: _excess(a, n, F, h, join=np.maximum),
            "The noise is multiplied by h, but it grows when the step shrinks. Use F / h.": _floor_times_h,
            "F is missing. The noise grows with the size of the terms that are summed.": _floor_without_F,
            "The factor 10 is missing. Ten times the noise is allowed.":
                lambda a, n, F, h: _excess(a, n, F, h, floor=1.0),
        },
    ),
    Exercise(
        name="affine_backward",
        results=("dx", "dgain", "doffset"),
        reference=_affine,
        cases=_affine_cases,
        mistakes={
            "dgain has an extra factor gain. The slope of x * gain with respect to gain is x.":
                _affine_changed(1, lambda dout, x, gain: (dout * x * gain).sum((0, 1, 2))),
            "dgain counts only the first sample.":
                _affine_changed(1, lambda dout, x, gain: (dout[0] * x[0]).sum((0, 1))),
            "doffset is a mean, but it must be the sum.":
                _affine_changed(2, lambda dout, x, gain: dout.mean((0, 1, 2))),
            "doffset is 1, the slope of one output. Multiply each slope by its dout, and sum.":
                _affine_changed(2, lambda dout, x, gain: np.ones_like(gain)),
            "dout is missing in dx.":
                _affine_changed(0, lambda dout, x, gain: np.broadcast_to(gain, x.shape)),
            "gain is missing in dx. The slope of x * gain with respect to x is gain.":
                _affine_changed(0, lambda dout, x, gain: dout),
            "x is missing in dgain. The slope of x * gain with respect to gain is x.":
                _affine_changed(1, lambda dout, x, gain: dout.sum((0, 1, 2))),
            "dx is divided by gain, but it must be multiplied by it.":
                _affine_changed(0, lambda dout, x, gain: dout / gain),
        },
    ),
]  # fmt: skip
