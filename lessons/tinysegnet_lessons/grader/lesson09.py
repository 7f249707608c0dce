"""Exercises of lesson 09: update-to-weight ratio, dead channels, saliency by gradient and by occlusion."""

import numpy as np

from tinysegnet.ops import conv2d_backward, conv2d_forward, relu_backward, relu_forward

from .exercise import Exercise

GREY = 127.5

# --- one step of the optimizer ----------------------------------------------------------------------------------------


def _ratio(before, after):
    return np.linalg.norm(after - before) / np.linalg.norm(before)


def _ratio_cases():
    rng = np.random.default_rng(0)
    cases = [(np.array([3.0, 0, -4]), np.array([3.0, 0.5, -4]))]
    for shape in ((3, 3, 2, 4), (3, 3, 4, 5)):
        before = rng.standard_normal(shape)
        cases.append((before, before + 0.01 * rng.standard_normal(shape) - 0.02 * before))
    return cases


# --- dead channels ----------------------------------------------------------------------------------------------------


def _dead(x):
    return np.mean(x.max((0, 1, 2)) <= 0)


def _dead_cases():
    """Channels: two dead, one dead with zeros, dead up to one number, on one picture, alive with a negative mean."""
    rng = np.random.default_rng(1)
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
    return cases


# --- which pixels a logit rests on ------------------------------------------------------------------------------------


def _logit_gradient(x, weight1, weight2, at, k, dlogits_of=None, through_relu=relu_backward):
    hidden, cache1 = conv2d_forward(x, weight1)
    active, cache2 = relu_forward(hidden)
    logits, cache3 = conv2d_forward(active, weight2)
    dlogits = np.zeros_like(logits)
    if dlogits_of is None:
        dlogits[0, at[0], at[1], k] = 1
    else:
        dlogits[...] = dlogits_of(logits, at, k)
    dactive, _, _ = conv2d_backward(dlogits, cache3)
    return conv2d_backward(through_relu(dactive, cache2), cache1)[0][0]


def _saliency(x, weight1, weight2, at, k):
    return np.abs(_logit_gradient(x, weight1, weight2, at, k)).sum(-1)


def _saliency_cases():
    rng = np.random.default_rng(2)
    cases = []
    for size, C, F, K, at, k in (((5, 6), 1, 3, 2, (2, 3), 1), ((7, 8), 3, 4, 5, (1, 5), 3)):
        weights = rng.standard_normal((3, 3, C, F)), rng.standard_normal((3, 3, F, K))
        cases.append((rng.standard_normal((1, *size, C)), *weights, at, k))
    return cases


def _of_gradient(colours=lambda dx, x: np.abs(dx).sum(-1), **settings):
    """Return a map made from the gradient in another way, or from another gradient."""

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
    """Return the map of score losses with one step changed."""

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
    """Return a nonlinear function of all pixels, which replaces a network in the cases."""
    weights = np.cos(np.arange(image.size)).reshape(image.shape)
    total = float((weights * image).sum()) / 255
    return total + 0.1 * total**2


def _occlusion_cases():
    rng = np.random.default_rng(3)
    sizes = ((4, 6), 2), ((6, 9), 3), ((7, 9), 4)
    return [(rng.uniform(0, 255, (*shape, 3)), bright_corner_score, size) for shape, size in sizes]


EXERCISES = [
    Exercise(
        name="update_ratio",
        results=("ratio",),
        reference=_ratio,
        cases=_ratio_cases,
        mistakes={
            "the divisor is the norm after the step; use the one before":
                lambda before, after: np.linalg.norm(after - before) / np.linalg.norm(after),
            "these are squared norms: take the root": lambda before, after: _ratio(before, after) ** 2,
            "this compares the two norms; a weight can turn without growing: take the norm of the difference":
                lambda before, after: abs(np.linalg.norm(after) - np.linalg.norm(before)) / np.linalg.norm(before),
            "the ratio is inverted: divide update by weight": lambda before, after: 1 / _ratio(before, after),
            "absolute values are summed; the norm is the root of the sum of squares":
                lambda before, after: np.abs(after - before).sum() / np.abs(before).sum(),
            "this is the mean of the ratios of single weights, dominated by those near 0: divide norm by norm":
                lambda before, after: np.mean(np.abs(after - before) / np.abs(before)),
            "the division by the weight's norm is missing": lambda before, after: np.linalg.norm(after - before),
        },
    ),
    Exercise(
        name="dead_fraction",
        results=("fraction",),
        reference=_dead,
        cases=_dead_cases,
        mistakes={
            "this is the share of zeros: a channel is dead only if it is 0 at every pixel of every picture":
                lambda x: np.mean(x <= 0),
            "a channel that is 0 at some pixel is not dead yet: check all of its pixels":
                lambda x: np.mean(x.min((0, 1, 2)) <= 0),
            "this counts channels that are dead on one picture only: check all pictures":
                lambda x: np.mean((x.max((1, 2)) <= 0).any(0)),
            "the mean is below 0, but one number above 0 passes the ReLU and has a gradient: take the maximum":
                lambda x: np.mean(x.mean((0, 1, 2)) <= 0),
            "this is the share of the living channels": lambda x: 1 - _dead(x),
            "this is the number of dead channels; return their share": lambda x: np.sum(x.max((0, 1, 2)) <= 0),
            "x is the input of the ReLU: a channel whose maximum is negative is also dead":
                lambda x: np.mean(x.max((0, 1, 2)) == 0),
            "a channel whose maximum is 0 is also dead: ReLU passes a gradient only where x is above 0":
                lambda x: np.mean((x < 0).all((0, 1, 2))),
            "x is the input of the ReLU, so dead channels are not all 0 yet: they are nowhere above 0":
                lambda x: np.mean((x == 0).all((0, 1, 2))),
        },
    ),
    Exercise(
        name="saliency",
        results=("strength",),
        reference=_saliency,
        cases=_saliency_cases,
        mistakes={
            "this is the gradient of class k's logit at all pixels: dlogits is 1 at one pixel only":
                _of_gradient(dlogits_of=lambda logits, at, k: np.arange(logits.shape[3]) == k),
            "this is the gradient of all logits of the pixel: dlogits is 1 for class k only":
                _of_gradient(dlogits_of=lambda logits, at, k: _one_hot(logits, np.s_[0, at[0], at[1], :])),
            "row and column are swapped: at is (row, column)":
                _of_gradient(dlogits_of=lambda logits, at, k: _one_hot(logits, np.s_[0, at[1], at[0], k])),
            "dlogits contains the logit itself; its derivative with respect to itself is 1":
                _of_gradient(dlogits_of=lambda logits, at, k: logits * _one_hot(logits, np.s_[0, at[0], at[1], k])),
            "the ReLU is skipped in backward: where its output is 0, no gradient passes":
                _of_gradient(through_relu=lambda dout, cache: dout),
            "the colours' gradients cancel: take absolute values before adding up":
                _of_gradient(lambda dx, x: dx.sum(-1)),
            "take absolute values first, then the sum: here the colours' gradients cancel":
                _of_gradient(lambda dx, x: np.abs(dx.sum(-1))),
            "this is the gradient times the picture; return the gradient alone":
                _of_gradient(lambda dx, x: np.abs(dx * x).sum(-1)),
        },
    ),
    Exercise(
        name="occlusion",
        results=("loss_of_score",),
        reference=_occlusion,
        cases=_occlusion_cases,
        mistakes={
            "the sign is wrong: the score of the whole picture minus that of the covered one":
                _covered(value=lambda whole, covered: covered - whole),
            "the squares remain: cover a fresh copy of the picture each time": _covered(restore=False),
            "the squares are black; grey is 127.5": _covered(grey=0),
            "this is the score of the covered picture: subtract it from the score of the whole picture":
                _covered(value=lambda whole, covered: covered),
            "a single pixel is covered, not the square": _covered(size_of=lambda size: 1),
            "the squares at the border are missing: round up": _covered(rounds=np.floor),
            "these are absolute values; a square can also raise the score, so keep the sign":
                _covered(value=lambda whole, covered: abs(whole - covered)),
        },
    ),
]  # fmt: skip
