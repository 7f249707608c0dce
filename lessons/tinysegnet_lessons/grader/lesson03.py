"""Exercises of lesson 03: slopes by differences, the allowed error, a gradient check, and bugs to find and to make."""

import numpy as np

from tinysegnet.gradcheck import check_op
from tinysegnet.ops.conv import conv2d_backward_numpy, conv2d_forward_numpy
from tinysegnet_lessons.bugs import compare_op

from .exercise import Challenge, Exercise, Prediction, generator

EPS = np.finfo(float).eps


def _central_difference(f, t, h):
    return (f(t + h) - f(t - h)) / (2 * h)


def _cubic(t):
    return t**3 - 2 * t


def _hyperbola(t):
    return 1 / t


def _central_cases():
    rng = generator(3)
    return [(_cubic, 1.0, 0.5), (_cubic, float(rng.uniform(-1, 1)), 0.125), (_hyperbola, 2.0, 0.25)]


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


def _copied_once(f, x, h):
    gradient, up, down = np.zeros(x.shape), x.copy(), x.copy()
    for at in np.ndindex(x.shape):
        up[at] += h
        down[at] -= h
        gradient[at] = (f(up) - f(down)) / (2 * h)
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


# --- a gradient check -------------------------------------------------------------------------------------------------
# All numbers are multiples of small powers of 2, so that every slope is exact and no result depends on rounding.


def _square(x):
    return x**2, x


def _square_right(dout, cache):
    return dout * 2 * cache


def _square_nearly_right(dout, cache):
    return _square_right(dout, cache) * (1 + 2e-5)


def _square_wrong(dout, cache):
    return dout * (2 * cache + 1)


def _products(x):
    return x[:-1] * x[1:], x


def _products_wrong(dout, cache):
    dx = np.zeros(cache.shape)
    dx[:-1] = dout * cache[1:]  # the second factor is forgotten
    return dx


def _check_cases():
    rng = generator(4)

    def quarters(*shape):
        return rng.choice([-2.0, -1.75, -0.75, -0.5, 0.25, 1.0, 1.5], shape)

    h = 2.0**-20
    first = np.array([[1.0, -3.0, 2.0]]), np.array([[0.5, -2.0, 1.0]])
    return [(_square, _square_nearly_right, *first, h), (_square, _square_wrong, *first, h),
            (_square, _square_right, quarters(2, 3), quarters(2, 3), h),
            (_products, _products_wrong, quarters(4, 3), quarters(3, 3), h / 4)]  # fmt: skip


def _checked(*, dout_of=lambda dout: dout, size=lambda terms: np.abs(terms).sum(), join=np.max, step=lambda h: h,
             backward_dout=lambda dout: dout):  # fmt: skip
    """Return a gradient check with one of its steps replaced."""

    def check(forward, backward, x, dout, h):
        out, cache = forward(x)
        weights = dout_of(dout)
        numeric = _numeric_gradient(lambda moved: float((forward(moved)[0] * weights).sum()), x, step(h))
        return join(_excess(backward(backward_dout(dout), cache), numeric, size(out * dout), step(h)))

    return check


def _reference_check(forward, backward, x, dout, h):
    return _checked()(forward, backward, x, dout, h)


# --- bugs -------------------------------------------------------------------------------------------------------------


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


def _doubled():
    def backward(dout, cache):
        dx, dweight, dbias = conv2d_backward_numpy(dout, cache)
        return 2 * dx, dweight, dbias

    return lambda x, *others, **settings: conv2d_forward_numpy(2 * x, *others, **settings), backward


def _laws_obeyed(answer):
    """Return how many laws of the checker a wrong convolution obeys, or 0 if it is right or only flips its kernel."""
    forward, backward = answer() if callable(answer) else answer
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 5, 6, 2)), rng.standard_normal((3, 3, 2, 3))
    flips = np.allclose(forward(x, weight)[0], conv2d_forward_numpy(x, weight[::-1, ::-1])[0])
    if flips or compare_op("conv2d", forward, backward) < 1e-6:
        return 0.0
    report = check_op("conv2d", pair=(forward, backward), every=8, entries=6)
    return 4.0 - len(report.broken_laws)


PREDICTIONS = {
    "best_step_in_float64": Prediction("b", "A larger step has a larger truncation error, and a smaller step has a "
                                            "larger rounding error."),
    "wrong_inner_pixels_for_ones": Prediction(0, "An inner pixel gets the sum of all nine weights, and a flip does not "
                                                 "change the sum."),
    "central_difference_at_kink": Prediction(1, "It is the mean of the two slopes, 0 and 2."),
}  # fmt: skip
EXERCISES = [
    Exercise(
        name="central_difference",
        results=("slope",),
        reference=_central_difference,
        cases=_central_cases,
        tier="warm-up",
        mistakes={
            "This is the forward difference. Step h to the left as well, and divide by 2 h.":
                lambda f, t, h: (f(t + h) - f(t)) / h,
            "This is the backward difference. Step h to the right as well, and divide by 2 h.":
                lambda f, t, h: (f(t) - f(t - h)) / h,
            "The difference is divided by h, but the two points are 2 h apart.":
                lambda f, t, h: (f(t + h) - f(t - h)) / h,
            "The division comes before the product: / 2 * h is not / (2 * h).":
                lambda f, t, h: (f(t + h) - f(t - h)) / 2 * h,
            "The division by 2 h is missing.": lambda f, t, h: f(t + h) - f(t - h),
            "The sign is wrong. Subtract f(t - h) from f(t + h).": lambda f, t, h: (f(t - h) - f(t + h)) / (2 * h),
            "Parentheses are missing. Only f(t - h) is divided by 2 h.": lambda f, t, h: f(t + h) - f(t - h) / (2 * h),
            "This steps by h / 2 to each side. Step by h, and divide by 2 h.":
                lambda f, t, h: (f(t + h / 2) - f(t - h / 2)) / h,
        },
    ),
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
            "up and down keep the moves of earlier entries. Copy x again for each entry.": _copied_once,
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
        name="gradient_check",
        results=("excess",),
        reference=_reference_check,
        cases=_check_cases,
        mistakes={
            "J is the sum of out, but it must be the sum of out * dout.":
                _checked(dout_of=np.ones_like),
            "F has no absolute values. It is the sum of |out * dout|.":
                _checked(size=lambda terms: terms.sum()),
            "F is the largest term, but it must be the sum of all terms |out * dout|.":
                _checked(size=lambda terms: np.abs(terms).max()),
            "The noise floor lacks F. It is the sum of |out * dout|.": _checked(size=lambda terms: 1.0),
            "This is the mean of error over allowed, but a single wrong entry must be found: take the largest.":
                _checked(join=np.mean),
            "This is the smallest error over allowed. Take the largest.": _checked(join=np.min),
            "This is the sum of error over allowed. Take the largest.": _checked(join=np.sum),
            "The result contains all entries. Return the largest of them.": _checked(join=np.asarray),
            "The step is always 1e-5. Use the argument h.": _checked(step=lambda h: 1e-5),
            "backward gets ones, but it must get dout.": _checked(backward_dout=np.ones_like),
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
    Challenge(
        name="convincing_bug",
        results=("pair",),
        reference=_doubled,
        cases=list,
        measure=_laws_obeyed,
        unit="of the checker's laws obeyed",
        goal=4,
    ),
]  # fmt: skip
