"""Exercises of lesson 04: ReLU, batch norm forward and backward, and its statistics."""

import numpy as np

from tinysegnet.ops.batchnorm import batchnorm2d_forward_numpy

from .exercise import Challenge, Exercise, Prediction, generator

PIXELS = (0, 1, 2)  # the sums of a channel run over N, H and W


def _relu_and_share(x):
    out = np.maximum(x, 0)
    return out, (out > 0).mean()


def _relu_backward(dout, x):
    return np.where(x > 0, dout, 0)


def _relu_cases():
    rng = generator(0)
    small = np.array([[-2.0, 0.0, 3.0], [0.5, -1.0, 0.0]])
    cases = [(np.array([[1.0, 2.0, -3.0], [4.0, -5.0, -6.0]]), small)]
    for shape in ((2, 3, 4, 2), (3, 5, 1, 3)):
        x = rng.standard_normal(shape).round(1)  # some numbers are 0
        cases.append((rng.standard_normal(shape), x))
    return cases


def _share_cases():
    rng = generator(3)
    small = np.array([[2.0, -1.0, 0.0, 4.0], [-3.0, 5.0, -2.0, -6.0]])
    return [(small,), (rng.standard_normal((2, 3, 4, 2)).round(1),), (-rng.uniform(1, 2, 5),)]


def _forward(x, gamma, beta, eps):
    return batchnorm2d_forward_numpy(x, gamma, beta, eps=eps)[0]


def _near_cases():
    rng = generator(1)
    cases = []
    for shape, eps in (((2, 2, 3, 2), 0.1), ((3, 4, 2, 3), 0.01), ((2, 5, 1, 4), 1e-5)):
        C = shape[3]
        x = rng.standard_normal(shape) * rng.uniform(0.5, 2, C) + rng.uniform(-3, 3, C)
        cases.append((x, rng.uniform(0.5, 2, C), rng.standard_normal(C), eps))
    return cases


def _far_case():
    """Return numbers with means of 1e5 and -5e4, whose distances from the mean are small integers, once with each sign.

    Two passes are exact even in float32. In one pass, the mean of the squares, a fraction of thirds, is rounded.
    """
    rng = generator(4)
    offsets = [rng.permutation([*distances, *(-k for k in distances)])
               for distances in ((1, 1, 2, 2, 3, 4), (1, 2, 2, 3, 3, 5))]  # fmt: skip
    x = np.stack(offsets, 1).reshape(2, 3, 2, 2) + [1e5, -5e4]
    return x, np.array([2.0, -1.0]), np.array([0.5, 1.0]), 1e-5


def _forward_cases():
    return [*_near_cases(), _far_case()]


def _forward_by(mean=None, var=None, scale=None, affine=None):
    """Return a batch norm with one of its steps replaced."""
    mean = mean or (lambda x: x.mean(PIXELS))
    var = var or (lambda x, mu: ((x - mu) ** 2).mean(PIXELS))
    scale = scale or (lambda v, eps: 1 / np.sqrt(v + eps))
    affine = affine or (lambda x_hat, gamma, beta: gamma * x_hat + beta)

    def wrong(x, gamma, beta, eps):
        mu = mean(x)
        v = var(x, mu)
        return affine((x - mu) * scale(v, eps), gamma, beta), mu, v

    return wrong


def _each_picture_alone(x, gamma, beta, eps):
    pictures = [_forward(x[n : n + 1], gamma, beta, eps) for n in range(len(x))]
    out, mean, var = zip(*pictures, strict=True)
    return np.concatenate(out), mean[0], var[0]


def _running(running_mean, running_var, mean, var, m, momentum):
    return _running_by()(running_mean, running_var, mean, var, m, momentum)


def _running_by(factor=lambda m: m / (m - 1), of_mean=1.0, way=lambda momentum: momentum, both=True):
    """Return running statistics with another factor of the variance, or of the mean, or another share of the way."""

    def wrong(running_mean, running_var, mean, var, m, momentum):
        share = way(momentum)
        moved = running_mean + share * (of_mean * mean - running_mean)
        return moved, running_var + share * (factor(m) * var - running_var) if both else running_var

    return wrong


def _running_cases():
    rng = generator(5)
    cases = [(np.array([0.0]), np.array([1.0]), np.array([10.0]), np.array([3.0]), 4, 0.1)]
    for m, momentum in ((24, 0.1), (96, 0.25)):
        numbers = rng.standard_normal(3), rng.uniform(1, 2, 3), rng.standard_normal(3) + 3, rng.uniform(2, 5, 3)
        cases.append((*numbers, m, momentum))
    return cases


def _last_steps(d_x_hat, d_var_eps, centred, inv_std, *, through_variance=2.0, sign=-1.0, over=None):
    m = centred.size // centred.shape[3]
    d_centred = d_x_hat * inv_std + through_variance * centred * d_var_eps / m
    d_mean = sign * d_centred.sum(PIXELS)
    return d_centred, d_mean, d_centred + d_mean / (over or m)


def _variance_not_divided(d_x_hat, d_var_eps, centred, inv_std):
    return _last_steps(d_x_hat, d_var_eps * (centred.size // centred.shape[3]), centred, inv_std)


def _mean_of_centred(d_x_hat, d_var_eps, centred, inv_std):
    d_centred, d_mean, dx = _last_steps(d_x_hat, d_var_eps, centred, inv_std)
    return d_centred, d_mean / (centred.size // centred.shape[3]), dx


def _first_step_forgotten(d_x_hat, d_var_eps, centred, inv_std):
    d_centred, d_mean, _ = _last_steps(d_x_hat, d_var_eps, centred, inv_std)
    return d_centred, d_mean, d_centred


def _last_steps_cases():
    rng = generator(6)
    return [(rng.standard_normal(x_hat.shape), rng.standard_normal(len(inv_std)), x_hat / inv_std, inv_std)
            for _, x_hat, inv_std, _ in _backward_cases()]  # fmt: skip


def _backward(dout, x_hat, inv_std, gamma):
    dgamma, dbeta = (dout * x_hat).sum(PIXELS), dout.sum(PIXELS)
    m = dout.size // dout.shape[3]
    return gamma * inv_std * (dout - dbeta / m - x_hat * dgamma / m), dgamma, dbeta


def _backward_cases():
    rng = generator(2)
    cases = []
    for x, gamma, _, eps in _near_cases():
        mean, var = x.mean(PIXELS), x.var(PIXELS)
        inv_std = 1 / np.sqrt(var + eps)
        cases.append((rng.standard_normal(x.shape), (x - mean) * inv_std, inv_std, gamma))
    return cases


def _backward_by(dx):
    """Return a backward with the right sums and another dx(dout, x_hat, inv_std, gamma, dgamma, dbeta, m)."""

    def wrong(dout, x_hat, inv_std, gamma):
        _, dgamma, dbeta = _backward(dout, x_hat, inv_std, gamma)
        return dx(dout, x_hat, inv_std, gamma, dgamma, dbeta, dout.size // dout.shape[3]), dgamma, dbeta

    return wrong


def _means_over_everything(dout, x_hat, inv_std, gamma):
    """Take the two means over the channels as well."""
    _, dgamma, dbeta = _backward(dout, x_hat, inv_std, gamma)
    return gamma * inv_std * (dout - dout.mean() - x_hat * (dout * x_hat).mean()), dgamma, dbeta


def _sums_swapped(dout, x_hat, inv_std, gamma):
    dx, dgamma, dbeta = _backward(dout, x_hat, inv_std, gamma)
    return dx, dbeta, dgamma


# --- statistics in one pass -------------------------------------------------------------------------------------------


def _moved_statistics(batches):
    count, total, squares, near = 0, 0.0, 0.0, np.zeros(1)
    for batch in batches:
        near = near if count else batch[0, 0, 0].copy()
        moved = batch - near
        count += moved.size // moved.shape[3]
        total, squares = total + moved.sum(PIXELS), squares + (moved**2).sum(PIXELS)
    mean = total / count
    return near + mean, squares / count - mean**2


def _statistics_cases():
    rng = generator(7)
    cases = []
    for sizes in ((2,), (1, 3, 2)):  # numbers of pictures; each batch has its own mean
        cases.append(([rng.standard_normal((N, 3, 4, 2)) + rng.uniform(-2, 2, 2) for N in sizes],))
    return cases


def _mean_of_statistics(batches):
    means, variances = zip(*((batch.mean(PIXELS), batch.var(PIXELS)) for batch in batches), strict=True)
    return np.mean(means, 0), np.mean(variances, 0)


def _weighted_statistics(batches, ddof=0, between=False):
    sizes = np.array([batch.size // batch.shape[3] for batch in batches])
    means, variances = (np.stack([f(batch) for batch in batches])
                        for f in (lambda batch: batch.mean(PIXELS), lambda batch: batch.var(PIXELS)))  # fmt: skip
    mean = np.average(means, 0, sizes)
    var = np.average(variances, 0, sizes) + between * np.average((means - mean) ** 2, 0, sizes)
    return mean, var * sizes.sum() / (sizes.sum() - ddof)


def _correct_digits(answer):
    """Return the number of correct digits in the variance of numbers with mean 1e8 and variance 1."""
    rng = np.random.default_rng(0)
    data = [1e8 + rng.standard_normal((4, 6, 8, 3)) + rng.uniform(-1, 1, 3) / 10 for _ in range(40)]
    near = np.concatenate(data) - 1e8  # exact, because the numbers are close to 1e8
    right = ((near - near.mean(PIXELS)) ** 2).mean(PIXELS)

    def batches():
        shared = np.empty_like(data[0])
        for batch in data:
            shared[...] = batch
            yield shared

    with np.errstate(all="ignore"):
        _, var = answer(batches())
    error = np.abs(np.asarray(var, float) - right).max() / right.max()
    return float(-np.log10(np.clip(error, 1e-16, 1))) if np.isfinite(error) else 0.0


PREDICTIONS = {
    "spread_with_half_weights": Prediction(8192, "Each of the 13 layers halves the spread, which makes 2 to the 13th."),
    "relu_share_at_beta_1": Prediction(0.84, "After the shift, a number is positive if it was above -1, one standard "
                                             "deviation below the mean.", tolerance=0.03),
    "largest_dx_for_ones": Prediction(0, "A shift of all numbers does not change the output, so all of dout = ones is "
                                         "removed."),
}  # fmt: skip
EXERCISES = [
    Exercise(
        name="relu_and_share",
        results=("out", "share"),
        reference=_relu_and_share,
        cases=_share_cases,
        tier="warm-up",
        mistakes={
            "This is the absolute value, but negative numbers must become 0.":
                lambda x: (np.abs(x), _relu_and_share(x)[1]),
            "The negative numbers are kept. Positive numbers must pass, and negative numbers must become 0.":
                lambda x: (np.minimum(x, 0), _relu_and_share(x)[1]),
            "out is 1 where x is positive, but it must be x there.": lambda x: ((x > 0) * 1.0, (x > 0).mean()),
            "The negative numbers are removed, but they must become 0, so that out has the shape of x.":
                lambda x: (x[x > 0], (x > 0).mean()),
            "share is the number of positive numbers. Divide it by the number of all numbers.":
                lambda x: (np.maximum(x, 0), (x > 0).sum()),
            "share counts zeros as positive. Use > instead of >=.": lambda x: (np.maximum(x, 0), (x >= 0).mean()),
            "share is the share of zeros in out, but it must be the share of positive numbers.":
                lambda x: (np.maximum(x, 0), (x <= 0).mean()),
            "share is the mean of out. Compare with 0 first: (out > 0).mean().":
                lambda x: (np.maximum(x, 0), np.maximum(x, 0).mean()),
            "share is in percent, but it must be between 0 and 1.":
                lambda x: (np.maximum(x, 0), 100 * (x > 0).mean()),
        },
    ),
    Exercise(
        name="relu_backward",
        results=("dx",),
        reference=_relu_backward,
        cases=_relu_cases,
        mistakes={
            "The mask is the sign of dout, but it must be the sign of x.":
                lambda dout, x: np.where(dout > 0, dout, 0),
            "The mask also depends on dout, but a negative gradient must pass where x > 0.":
                lambda dout, x: np.where((x > 0) & (dout > 0), dout, 0),
            "Nothing is masked. Where x is negative, out does not depend on x.": lambda dout, x: dout.copy(),
            "The slope at x = 0 is 1, but by convention it is 0. Use x > 0, not x >= 0.":
                lambda dout, x: np.where(x >= 0, dout, 0),
            "dout is multiplied by out instead of the slope, which is 1 where x > 0.":
                lambda dout, x: dout * np.maximum(x, 0),
            "This is the forward pass again, without dout.": lambda dout, x: np.maximum(x, 0),
            "The mask is inverted. The gradient passes where x is positive.":
                lambda dout, x: np.where(x > 0, 0, dout),
        },
    ),
    Exercise(
        name="batchnorm_forward",
        results=("out", "mean", "var"),
        reference=_forward,
        cases=_forward_cases,
        mistakes={
            "The variance is divided by m - 1, but normalisation divides it by m.":
                _forward_by(var=lambda x, mu: x.var(PIXELS, ddof=1)),
            "eps is outside the root. Use 1 / sqrt(var + eps).":
                _forward_by(scale=lambda v, eps: 1 / (np.sqrt(v) + eps)),
            "eps is missing. Use 1 / sqrt(var + eps).": _forward_by(scale=lambda v, eps: 1 / np.sqrt(v)),
            "The numbers are divided by the variance. The root is missing.":
                _forward_by(scale=lambda v, eps: 1 / (v + eps)),
            "gamma and beta are exchanged; gamma is the factor.":
                _forward_by(affine=lambda x_hat, gamma, beta: beta * x_hat + gamma),
            "gamma and beta are missing in out = gamma * x_hat + beta.":
                _forward_by(affine=lambda x_hat, gamma, beta: x_hat),
            "All channels share one mean and variance. Take them per channel, over axes (0, 1, 2).":
                _forward_by(mean=lambda x: np.full(x.shape[3], x.mean()),
                            var=lambda x, mu: np.full(x.shape[3], x.var())),
            "Every picture has its own statistics. Take them over the whole batch, axes (0, 1, 2).":
                _each_picture_alone,
            "var is the mean of x squared. Subtract the mean before you square.":
                _forward_by(var=lambda x, mu: (x**2).mean(PIXELS)),
            "The variance is mean(x^2) - mean(x)^2, which loses digits far from zero. Subtract the mean, then square.":
                _forward_by(var=lambda x, mu: (x**2).mean(PIXELS) - mu**2),
            "var is the standard deviation, not the variance.":
                _forward_by(var=lambda x, mu: x.std(PIXELS), scale=lambda v, eps: 1 / np.sqrt(v**2 + eps)),
        },
    ),
    Exercise(
        name="running_statistics",
        results=("new_mean", "new_var"),
        reference=_running,
        cases=_running_cases,
        mistakes={
            "The batch's variance is not made unbiased. Multiply it by m / (m - 1).": _running_by(factor=lambda m: 1),
            "The variance is multiplied by (m - 1) / m, but the unbiased variance is larger: use m / (m - 1).":
                _running_by(factor=lambda m: (m - 1) / m),
            "The mean is multiplied by m / (m - 1) as well, but only the variance is.":
                lambda *given: _running_by(of_mean=given[4] / (given[4] - 1))(*given),
            "momentum is the share of the new statistics, not of the old ones. Exchange momentum and 1 - momentum.":
                _running_by(way=lambda momentum: 1 - momentum),
            "The old statistics are not scaled by 1 - momentum.":
                lambda old_mean, old_var, mean, var, m, momentum: (
                    old_mean + momentum * mean, old_var + momentum * var * m / (m - 1)),
            "The new statistics are those of the batch alone.": _running_by(way=lambda momentum: 1),
            "The running variance does not move.": _running_by(both=False),
            "The results are exchanged. Return the mean first.": lambda *given: _running(*given)[::-1],
        },
    ),
    Exercise(
        name="batchnorm_last_steps",
        results=("d_centred", "d_mean", "dx"),
        reference=lambda d_x_hat, d_var_eps, centred, inv_std: _last_steps(d_x_hat, d_var_eps, centred, inv_std),
        cases=_last_steps_cases,
        mistakes={
            "The part of d_centred that comes through step 3 is missing.":
                lambda *given: _last_steps(*given, through_variance=0.0),
            "The part of d_centred that comes through step 8 is missing.":
                lambda d_x_hat, *given: _last_steps(0 * d_x_hat, *given),
            "The factor 2 of step 3 is missing. The slope of c^2 is 2 c.":
                lambda *given: _last_steps(*given, through_variance=1.0),
            "Step 4 is missing. The variance is a mean, so divide its gradient by m.": _variance_not_divided,
            "d_mean has the wrong sign. The slope of x - mean with respect to mean is -1.":
                lambda *given: _last_steps(*given, sign=1.0),
            "d_mean is a mean over the pixels, but every pixel uses the mean, so it must be a sum.": _mean_of_centred,
            "Step 1 is missing. x also affects the mean, so add d_mean / m to dx.": _first_step_forgotten,
            "d_mean is not divided by m in step 1. The slope of the mean for each x is 1 / m.":
                lambda *given: _last_steps(*given, over=1.0),
        },
    ),
    Exercise(
        name="batchnorm_backward",
        results=("dx", "dgamma", "dbeta"),
        reference=_backward,
        cases=_backward_cases,
        mistakes={
            "The term through the mean, - dbeta / m, is missing.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d - x_hat * dg / m)),
            "The term through the variance, - x_hat * dgamma / m, is missing.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d - db / m)),
            "Mean and variance are treated as constants. They depend on x, so two terms are missing.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * d),
            "The two terms are added, but they must be subtracted.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d + db / m + x_hat * dg / m)),
            "gamma is missing in dx.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: s * (d - db / m - x_hat * dg / m)),
            "inv_std is missing in dx.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * (d - db / m - x_hat * dg / m)),
            "The means run over all axes. Take them per channel, over axes (0, 1, 2).": _means_over_everything,
            "The two sums are not divided by m.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d - db - x_hat * dg)),
            "The two sums are divided by N, not by m = N * H * W.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d - db / len(d) - x_hat * dg / len(d))),
            "The term through the variance is divided by m - 1, but forward divides by m.":
                _backward_by(lambda d, x_hat, s, g, dg, db, m: g * s * (d - db / m - x_hat * dg / (m - 1))),
            "dgamma is the sum of dout, which is dbeta. It must be the sum of dout * x_hat.": _sums_swapped,
        },
    ),
    Challenge(
        name="statistics_in_one_pass",
        results=("mean", "var"),
        reference=_moved_statistics,
        cases=_statistics_cases,
        mistakes={
            "The mean of the batches' means counts a small batch as much as a large one. Weight it by its numbers.":
                _mean_of_statistics,
            "var ignores that the batches have different means.": _weighted_statistics,
            "The variance is divided by m - 1, but the biased variance is divided by m.":
                lambda batches: _weighted_statistics(batches, ddof=1, between=True),
        },
        measure=_correct_digits,
        unit="correct digits at a mean of 1e8",
        goal=8,
    ),
]  # fmt: skip
