"""Exercises of lesson 02: the backward pass of a convolution, first in one dimension and then in two."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from tinysegnet.gradcheck import check
from tinysegnet.gradcheck.cases import cases_of
from tinysegnet.ops.conv import Conv2dCache, conv2d_backward_numpy, conv2d_forward_numpy
from tinysegnet.ops.windows import shifted

from .exercise import Challenge, Exercise, Prediction, generator


@dataclass(frozen=True)
class LinearMap:
    """A linear map of vectors, given by the rows of its matrix."""

    rows: tuple[tuple[float, ...], ...]

    def __call__(self, vector):
        """Return the image of a vector."""
        return np.array(self.rows) @ vector


def _map_cases():
    rng = generator(3)
    return [
        (LinearMap(tuple(map(tuple, rng.standard_normal((m, n)).tolist()))), n) for m, n in ((3, 3), (2, 4), (5, 3))
    ]


def _matrix_of(linear, n):
    return np.stack([linear(unit) for unit in np.eye(n)], axis=1)


def _conv1d_dx(dout, weight):
    return np.convolve(dout, weight, "same")


def _line_cases():
    rng = generator(0)
    first = np.array([1.0, 0, 0, 2, 0]), np.array([1.0, 2, 4])
    return [first, *((rng.standard_normal(W), rng.standard_normal(K)) for W, K in ((6, 3), (9, 5), (5, 1)))]


def _conv1d_wrapped(dout, weight):
    before = len(weight) // 2
    return sum(np.roll(dout, i - before) * w for i, w in enumerate(weight))


def _conv1d_edge_taps_left_out(dout, weight):
    dx = np.convolve(dout, weight, "same")
    before = len(weight) // 2
    dx[:before] = dx[len(dx) - before :] = 0
    return dx


def _conv1d_three_taps(dout, weight):
    dx = np.zeros(len(dout) + 2)
    for i in range(3):
        dx[i : i + len(dout)] += dout * weight[i]
    return dx[1:-1]


def _dx(dout, weight):
    N, H, W, _ = dout.shape
    x = np.zeros((N, H, W, weight.shape[2]), dout.dtype)
    p = weight.shape[0] // 2
    return conv2d_backward_numpy(dout, Conv2dCache(x, weight, False, (1, 1), ((p, p), (p, p))))[0]


def _dx_cases():
    rng = generator(1)
    sizes = (1, 3, 4, 1, 3, 1), (2, 4, 5, 2, 3, 2), (2, 6, 5, 3, 5, 2), (2, 3, 4, 2, 1, 3)
    return [(rng.standard_normal((N, H, W, F)), rng.standard_normal((K, K, C, F))) for N, H, W, C, K, F in sizes]


def _dx_padded(dout, weight, add=True):
    (N, H, W, _), (K, _, C, _) = dout.shape, weight.shape
    padded = np.zeros((N, H + K - 1, W + K - 1, C))
    for i, j in np.ndindex(K, K):
        here = shifted(padded, i, j, dout.shape, (1, 1))
        here[...] = (here if add else 0) + dout @ weight[i, j].T
    return padded


def _cropped(padded, dout, weight, at):
    H, W = dout.shape[1:3]
    return padded[:, at : at + H, at : at + W]


def _dx_assigned(dout, weight):
    return _cropped(_dx_padded(dout, weight, add=False), dout, weight, weight.shape[0] // 2)


def _dx_cropped_at(side):
    return lambda dout, weight: _cropped(_dx_padded(dout, weight), dout, weight, side * (weight.shape[0] - 1))


def _dx_cropped_at_both_ends(dout, weight):
    p = weight.shape[0] // 2
    return _dx_padded(dout, weight)[:, p:-p, p:-p]


def _channels_not_exchanged(dout, weight):
    return _dx(dout, weight.swapaxes(2, 3))


def _parameters(x, dout, K):
    p = K // 2
    weight = np.zeros((K, K, x.shape[3], dout.shape[3]), x.dtype)
    return conv2d_backward_numpy(dout, Conv2dCache(x, weight, True, (1, 1), ((p, p), (p, p))))[1:]


def _parameter_cases():
    rng = generator(2)
    sizes = (2, 3, 4, 2, 3, 3), (3, 6, 5, 3, 5, 2), (2, 3, 4, 2, 1, 3)
    return [(rng.standard_normal((N, H, W, C)), rng.standard_normal((N, H, W, F)), K) for N, H, W, C, K, F in sizes]


def _dweight_changed(change):
    def wrong(x, dout, K):
        dweight, dbias = _parameters(x, dout, K)
        return change(dweight), dbias

    return wrong


def _dweight_wrapped(x, dout, K):
    """Shift the picture with np.roll, so that pixels leaving on one side return on the other."""
    p, pixels = K // 2, ([0, 1, 2], [0, 1, 2])
    rolled = [[np.roll(x, (p - i, p - j), (1, 2)) for j in range(K)] for i in range(K)]
    return np.array([[np.tensordot(a, dout, axes=pixels) for a in row] for row in rolled]), dout.sum((0, 1, 2))


def _dbias_changed(change):
    return lambda x, dout, K: (_parameters(x, dout, K)[0], change(dout))


def _dweight_of_sample(n):
    return lambda x, dout, K: (_parameters(x[n][None], dout[n][None], K)[0], dout.sum((0, 1, 2)))


def _dweight_padded(sides):
    """Put all zeros of the padding on one side."""

    def wrong(x, dout, K):
        padded = np.pad(x, ((0, 0), *((side * (K - 1), (1 - side) * (K - 1)) for side in sides), (0, 0)))
        dweight = [[np.tensordot(shifted(padded, i, j, dout.shape, (1, 1)), dout, axes=([0, 1, 2], [0, 1, 2]))
                    for j in range(K)] for i in range(K)]  # fmt: skip
        return np.array(dweight), dout.sum((0, 1, 2))

    return wrong


def _cases_passed(answer):
    """Count the cases of the gradient check of conv2d in which an answer's three gradients are right."""
    passed = 0
    for case in (case for case in cases_of("conv2d") if case.gradient):
        arrays, settings = case.arguments(0)
        if _passes(answer, arrays, settings):
            passed += 1
        else:
            words = ", ".join(f"{name} {value}" for name, value in settings.items())
            print(f"  wrong: x {arrays[0].shape}, weight {arrays[1].shape}" + (f", {words}" if words else ""))
    return passed


def _passes(answer, arrays, settings):
    def backward(dout, cache):
        dx, dweight, dbias = answer(dout, cache)
        return dx, dweight, dbias if cache.has_bias else None

    names = ("x", "weight", "bias")[: len(arrays)]
    try:
        return check(partial(conv2d_forward_numpy, **settings), backward, *arrays, names=names).ok
    except NotImplementedError:
        raise
    except Exception:  # the answer does not support these shapes
        return False


EMPTY = "For K = 1 the result is empty, because the slice p:-p is empty for p = 0. Use p : p + H."

EXERCISES = [
    Exercise(
        name="matrix_of_a_linear_map",
        tier="warm-up",
        results=("matrix",),
        reference=_matrix_of,
        cases=_map_cases,
        mistakes={
            "The matrix is transposed. linear(unit vector p) is column p: stack along axis 1.":
                lambda linear, n: _matrix_of(linear, n).T,
            "This is the image of the vector of ones. Apply the map to one unit vector at a time.":
                lambda linear, n: linear(np.ones(n)),
            "These are the unit vectors. Apply the map to each of them.": lambda linear, n: np.eye(n),
            "The columns are in reverse order.": lambda linear, n: _matrix_of(linear, n)[:, ::-1],
        },
    ),
    Exercise(
        name="conv1d_dx",
        results=("dx",),
        reference=_conv1d_dx,
        cases=_line_cases,
        mistakes={
            "The kernel is not flipped. dout[u] goes back to x[u + i - K // 2] through w[i]. "
            "np.convolve itself flips the kernel.":
                lambda dout, weight: np.convolve(dout, weight[::-1], "same"),
            "Everything is too far to the right. The padding in front is not removed.":
                lambda dout, weight: np.convolve(dout, weight)[: len(dout)],
            "Everything is too far to the left. The whole padding was removed in front.":
                lambda dout, weight: np.convolve(dout, weight)[len(weight) - 1 :],
            "The line wraps around at its ends, but beyond the border there are zeros.": _conv1d_wrapped,
            "The border gets no gradient, but the taps that fall inside the line must count.":
                _conv1d_edge_taps_left_out,
            "Only the middle tap is used, but every tap of the kernel sends a share back.":
                lambda dout, weight: dout * weight[len(weight) // 2],
            "The answer is right only for three weights. Loop over len(weight) and crop len(weight) // 2.":
                _conv1d_three_taps,
            EMPTY: lambda dout, weight: np.convolve(dout, weight)[len(weight) // 2 : -(len(weight) // 2)],
        },
    ),
    Exercise(
        name="conv2d_dx",
        results=("dx",),
        reference=_dx,
        cases=_dx_cases,
        mistakes={
            "The kernel is the wrong way round. To gather from dout, use weight[K-1-i, K-1-j]; to scatter, tap (i, j) "
            "sends dout back to the pixels that it read.":
                lambda dout, weight: _dx(dout, weight[::-1, ::-1]),
            "The taps assign their shares, so only the last ones remain. Add them up with +=.": _dx_assigned,
            "The kernel's rows and columns are exchanged; i counts rows and j counts columns.":
                lambda dout, weight: _dx(dout, weight.swapaxes(0, 1)),
            "A transposition is missing. Backward multiplies by weight[i, j].T.": _channels_not_exchanged,
            "The padding is cropped at the end only, so dx lies K // 2 too far down and right.": _dx_cropped_at(0),
            "The padding is cropped in front only, so dx lies K // 2 too far up and left.": _dx_cropped_at(1),
            EMPTY: _dx_cropped_at_both_ends,
            "The padding is not removed, but dx must have the size of x.":
                lambda dout, weight: _dx_padded(dout, weight),
        },
    ),
    Exercise(
        name="conv2d_dweight_dbias",
        results=("dweight", "dbias"),
        reference=_parameters,
        cases=_parameter_cases,
        mistakes={
            "dweight is flipped. For tap (i, j), shift x_padded by (i, j) and multiply it by dout.":
                _dweight_changed(lambda dweight: dweight[::-1, ::-1]),
            "The kernel's rows and columns are exchanged; i counts rows and j counts columns.":
                _dweight_changed(lambda dweight: dweight.swapaxes(0, 1)),
            "dweight counts only the first sample. All N samples use the same kernel, so sum over them.":
                _dweight_of_sample(0),
            "dweight counts only the last sample. Add to dweight instead of overwriting it.": _dweight_of_sample(-1),
            "dweight is divided by the number of samples, but it must be the sum.":
                lambda x, dout, K: (_parameters(x, dout, K)[0] / len(x), dout.sum((0, 1, 2))),
            "The picture wraps around at its borders, as with np.roll, but beyond them there are zeros.":
                _dweight_wrapped,
            "The two results are exchanged. Return dweight, then dbias.":
                lambda x, dout, K: _parameters(x, dout, K)[::-1],
            "dbias is a mean. The bias was added at every pixel, so its gradient is the sum.":
                _dbias_changed(lambda dout: dout.mean((0, 1, 2))),
            "dbias is a single number, but it must have F entries. Sum over samples, rows and columns.":
                _dbias_changed(lambda dout: dout.sum()),
            "dbias counts only the first sample. Also sum over the samples.":
                _dbias_changed(lambda dout: dout[0].sum((0, 1))),
            "All the padding of x is at the end. Put K // 2 zeros on each side.": _dweight_padded((0, 0)),
            "All the padding of x is in front. Put K // 2 zeros on each side.": _dweight_padded((1, 1)),
        },
    ),
    Challenge(
        name="conv2d_backward_any",
        results=("dx", "dweight", "dbias"),
        reference=conv2d_backward_numpy,
        cases=list,
        measure=_cases_passed,
        unit="of the 12 cases of the gradient check",
        goal=12,
    ),
]  # fmt: skip

PREDICTIONS = {
    "dbias_of_ones": Prediction(40, "Each of the 2 * 4 * 5 = 40 outputs of the channel contributes 1 to the sum."),
    "dx_of_one_output": Prediction(
        "a", "The output sends its share to the pixels that it read, through the same weights."
    ),
    "cost_of_backward": Prediction(
        2, "Forward needs one product per tap, and backward needs two of the same size, one for dx and one for dweight."
    ),
}
