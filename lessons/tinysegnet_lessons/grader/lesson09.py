"""Exercises of lesson 09: update-to-weight ratio, dead channels, saliency by gradient and by occlusion."""

import numpy as np

from tinysegnet.ops.conv import conv2d_backward_numpy, conv2d_forward_numpy
from tinysegnet.ops.relu import relu_backward_numpy, relu_forward_numpy

from .exercise import Exercise, generator

GREY = 127.5

# --- one step of the optimizer ----------------------------------------------------------------------------------------


def _ratio(before, after):
    return np.linalg.norm(after - before) / np.linalg.norm(before)


def _ratio_cases():
    rng = generator(0)
    cases = [(np.array([3.0, 0, -4]), np.array([3.0, 0.5, -4]))]
    for shape in ((3, 3, 2, 4), (3, 3, 4, 5)):
        before = rng.standard_normal(shape)
        cases.append((before, before + 0.01 * rng.standard_normal(shape) - 0.02 * before))
    return cases


# --- dead channels ----------------------------------------------------------------------------------------------------


def _dead(x):
    return np.mean(x.max((0, 1, 2)) <= 0)


def _dead_cases():
    """Include channels that are dead, at most 0, dead except for one number or on one picture, and alive."""
    rng = generator(1)
    cases = []
    for N, H, W in ((2, 3, 4), (3, 5, 4)):
        x = rng.standard_normal((N, H, W, 11))
        x[..., [0, 6, 8, 10]] += 0.8
        x[..., [1, 2, 9]] = -abs(x[..., [1, 2, 9]])
        x[-1, -1, -1, 2] = 0.5
        x[0, ..., 3] = -abs(x[0, ..., 3])
        x[1:, ..., 3] += 4
        x[..., 4] = np.minimum(x[..., 4], 0)
        x[..., [5, 7]] = -1
        x[:, 1, 2, [5, 7]] = 0.2
        cases.append((x,))
    return [*cases, (cases[0][0][..., :5],)]  # another share


# --- which pixels a logit depends on ----------------------------------------------------------------------------------


def _logit_gradient(x, weight1, weight2, at, k, dlogits_of=None, through_relu=relu_backward_numpy):
    hidden, cache1 = conv2d_forward_numpy(x, weight1)
    active, cache2 = relu_forward_numpy(hidden)
    logits, cache3 = conv2d_forward_numpy(active, weight2)
    dlogits = np.zeros_like(logits)
    if dlogits_of is None:
        dlogits[0, at[0], at[1], k] = 1
    else:
        dlogits[...] = dlogits_of(logits, at, k)
    dactive, _, _ = conv2d_backward_numpy(dlogits, cache3)
    return conv2d_backward_numpy(through_relu(dactive, cache2), cache1)[0][0]


def _saliency(x, weight1, weight2, at, k):
    return np.abs(_logit_gradient(x, weight1, weight2, at, k)).sum(-1)


def _saliency_cases():
    rng = generator(2)
    cases = []
    for size, C, F, K, at, k in (((5, 6), 1, 3, 2, (2, 3), 1), ((7, 8), 3, 4, 5, (1, 5), 3)):
        weights = rng.standard_normal((3, 3, C, F)), rng.standard_normal((3, 3, F, K))
        cases.append((rng.standard_normal((1, *size, C)), *weights, at, k))
    return cases


def _of_gradient(colours=lambda dx, x: np.abs(dx).sum(-1), **settings):
    """Return a saliency function with another gradient or another reduction over the colours."""

    def wrong(x, weight1, weight2, at, k):
        return colours(_logit_gradient(x, weight1, weight2, at, k, **settings), x[0])

    return wrong


def _one_hot(logits, index):
    dlogits = np.zeros_like(logits)
    dlogits[index] = 1
    return dlogits


# --- occlusion --------------------------------------------------------------------------------------------------------


def _occlusion(image, score, size):
    return _covered()(image, score, size)


def _covered(grey=GREY, value=lambda whole, covered: whole - covered, size_of=lambda size: size, restore=True,
             rounds=np.ceil):  # fmt: skip
    """Return an occlusion function with one step changed."""

    def occlusion(image, score, size):
        H, W = image.shape[:2]
        rows, columns = int(rounds(H / size)), int(rounds(W / size))
        out, covered, side = np.zeros((rows, columns)), image.copy(), size_of(size)
        for row in range(rows):
            for column in range(columns):
                covered = image.copy() if restore else covered
                covered[row * size : row * size + side, column * size : column * size + side] = grey
                out[row, column] = value(score(image), score(covered))
        return out

    return occlusion


def bright_corner_score(image):
    """Return a score that depends nonlinearly on all pixels and replaces a network in the cases."""
    weights = np.cos(np.arange(image.size)).reshape(image.shape)
    total = float((weights * image).sum()) / 255
    return total + 0.1 * total**2


def _occlusion_cases():
    rng = generator(3)
    sizes = ((4, 6), 2), ((6, 9), 3), ((7, 9), 4)
    return [(rng.uniform(0, 255, (*shape, 3)), bright_corner_score, size) for shape, size in sizes]


EXERCISES = [
    Exercise(
        name="update_ratio",
        results=("ratio",),
        reference=_ratio,
        cases=_ratio_cases,
        mistakes={
            "The divisor is the norm after the step. Use the norm before the step.":
                lambda before, after: np.linalg.norm(after - before) / np.linalg.norm(after),
            "The norms are squared. Take the root.": lambda before, after: _ratio(before, after) ** 2,
            "The two norms are compared, but weights can turn without growing. Take the norm of the difference.":
                lambda before, after: abs(np.linalg.norm(after) - np.linalg.norm(before)) / np.linalg.norm(before),
            "The ratio is inverted. Divide the norm of the update by the norm of the weight.":
                lambda before, after: 1 / _ratio(before, after),
            "Absolute values are summed. The norm is the root of the sum of squares.":
                lambda before, after: np.abs(after - before).sum() / np.abs(before).sum(),
            "This is the mean of the ratios of single weights, which weights near 0 dominate. Divide norm by norm.":
                lambda before, after: np.mean(np.abs(after - before) / np.abs(before)),
            "The division by the weight's norm is missing.": lambda before, after: np.linalg.norm(after - before),
        },
    ),
    Exercise(
        name="dead_fraction",
        results=("fraction",),
        reference=_dead,
        cases=_dead_cases,
        mistakes={
            "This is a share of numbers. A channel is dead only if none of its numbers is above 0.":
                lambda x: np.mean(x <= 0),
            "A channel that is 0 at one pixel is not necessarily dead. Check all of its pixels.":
                lambda x: np.mean(x.min((0, 1, 2)) <= 0),
            "This counts channels that are dead on one picture only. Check all pictures.":
                lambda x: np.mean((x.max((1, 2)) <= 0).any(0)),
            "The mean may be below 0 although some number passes the ReLU and gets a gradient. Take the maximum.":
                lambda x: np.mean(x.mean((0, 1, 2)) <= 0),
            "This is the share of the living channels.": lambda x: 1 - _dead(x),
            "This is the number of dead channels. Return the share of dead channels.":
                lambda x: np.sum(x.max((0, 1, 2)) <= 0),
            "x is the input of the ReLU, so a channel whose maximum is negative is also dead.":
                lambda x: np.mean(x.max((0, 1, 2)) == 0),
            "A channel whose maximum is 0 is also dead. ReLU passes a gradient only where x is above 0.":
                lambda x: np.mean((x < 0).all((0, 1, 2))),
            "x is the input of the ReLU, so the numbers of a dead channel are at most 0, not equal to 0.":
                lambda x: np.mean((x == 0).all((0, 1, 2))),
        },
    ),
    Exercise(
        name="saliency",
        results=("strength",),
        reference=_saliency,
        cases=_saliency_cases,
        mistakes={
            "This is the gradient of class k's logits at all pixels. dlogits must be 1 at one pixel only.":
                _of_gradient(dlogits_of=lambda logits, at, k: np.arange(logits.shape[3]) == k),
            "This is the gradient of all logits of the pixel. dlogits must be 1 for class k only.":
                _of_gradient(dlogits_of=lambda logits, at, k: _one_hot(logits, np.s_[0, at[0], at[1], :])),
            "Row and column are swapped. The argument `at` is (row, column).":
                _of_gradient(dlogits_of=lambda logits, at, k: _one_hot(logits, np.s_[0, at[1], at[0], k])),
            "dlogits contains the logit itself. The derivative of the logit with respect to itself is 1.":
                _of_gradient(dlogits_of=lambda logits, at, k: logits * _one_hot(logits, np.s_[0, at[0], at[1], k])),
            "The ReLU is skipped in the backward pass. Where its output is 0, no gradient passes.":
                _of_gradient(through_relu=lambda dout, cache: dout),
            "The colours' gradients cancel. Take absolute values before adding them up.":
                _of_gradient(lambda dx, x: dx.sum(-1)),
            "The absolute value of the sum is taken, so the colours' gradients cancel. Sum the absolute values.":
                _of_gradient(lambda dx, x: np.abs(dx.sum(-1))),
            "This is the gradient times the picture. Return the gradient alone.":
                _of_gradient(lambda dx, x: np.abs(dx * x).sum(-1)),
        },
    ),
    Exercise(
        name="occlusion",
        results=("loss_of_score",),
        reference=_occlusion,
        cases=_occlusion_cases,
        mistakes={
            "The sign is wrong. Subtract the score of the covered picture from the score of the whole picture.":
                _covered(value=lambda whole, covered: covered - whole),
            "Earlier squares remain covered. Use a fresh copy of the picture each time.": _covered(restore=False),
            "The squares are black. Fill the squares with grey, 127.5.": _covered(grey=0),
            "This is the score of the covered picture. Subtract this score from the score of the whole picture.":
                _covered(value=lambda whole, covered: covered),
            "A single pixel is covered, not the whole square.": _covered(size_of=lambda size: 1),
            "The squares at the border are missing. Round the number of squares up.": _covered(rounds=np.floor),
            "These are absolute values. A covered square can also raise the score, so keep the sign.":
                _covered(value=lambda whole, covered: abs(whole - covered)),
        },
    ),
]  # fmt: skip
