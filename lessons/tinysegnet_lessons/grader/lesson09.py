"""Exercises of lesson 09 and its appendix: one number of a convolution, and what a decision depends on."""

import numpy as np

from tinysegnet.errors import StateError
from tinysegnet.ops.conv import conv2d_backward_numpy, conv2d_forward_numpy
from tinysegnet.ops.relu import relu_backward_numpy, relu_forward_numpy

from .attribution import GREY, largest, loss_by_attribution, smoothed_gradient, without
from .exercise import Challenge, Exercise, Prediction, generator

# --- one number of a convolution --------------------------------------------------------------------------------------


def _one_number(x, weight, bias, at, f):
    return _sum_of_window()(x, weight, bias, at, f)


def _sum_of_window(kernel=lambda k: k, place=lambda at: at, window=lambda a: a, biased=True, corner=0):
    """Return a function that computes one number of a convolution, with one step changed."""

    def one_number(x, weight, bias, at, f):
        K, (row, column) = len(weight), place(at)
        padded = np.pad(x, ((K // 2, K), (K // 2, K), (0, 0)))
        part = padded[row + corner * (K // 2) :, column + corner * (K // 2) :][:K, :K]
        return (window(part) * kernel(weight)[..., f]).sum() + biased * bias[f]

    return one_number


def _no_padding(x, weight, bias, at, f):
    rows, columns = (slice(max(n - len(weight) // 2, 0), n + len(weight) // 2 + 1) for n in at)
    part = x[rows, columns]
    return (part * weight[: len(part), : part.shape[1], :, f]).sum() + bias[f]


def _one_number_cases():
    rng = generator(4)
    cases = []
    inside = ((5, 6), 3, 1, 1, (2, 3), 0), ((5, 6), 3, 2, 3, (1, 4), 2)
    at_the_border = ((4, 7), 3, 3, 4, (0, 0), 1), ((6, 7), 5, 2, 3, (5, 6), 0)
    for size, K, C, F, at, f in inside + at_the_border:
        cases.append((rng.standard_normal((*size, C)) + 1, rng.standard_normal((K, K, C, F)),
                      rng.standard_normal(F) + 2, at, f))  # fmt: skip
    return cases


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
    wide = rng.standard_normal((1, 3, 2, 3)), rng.standard_normal((3, 3, 3, 2))
    return [*cases, (rng.standard_normal((1, 4, 5, 2)), *wide, (0, 4), 0)]


def _of_gradient(colours=lambda dx, x: np.abs(dx).sum(-1), **settings):
    """Return a saliency function with another gradient or another reduction over the colours."""

    def wrong(x, weight1, weight2, at, k):
        return colours(_logit_gradient(x, weight1, weight2, at, k, **settings), x[0])

    return wrong


def _one_hot(logits, index):
    dlogits = np.zeros_like(logits)
    dlogits[index] = 1
    return dlogits


class TwoConvolutions:
    """A convolution, a ReLU and a convolution, which can be called like a network."""

    def __init__(self, weight1, weight2):
        self.weights, self.caches = (weight1, weight2), None

    def __eq__(self, other):
        return all(map(np.array_equal, self.weights, other.weights))

    def forward(self, x, training=False):
        hidden, first = conv2d_forward_numpy(x, self.weights[0])
        active, middle = relu_forward_numpy(hidden)
        logits, last = conv2d_forward_numpy(active, self.weights[1])
        self.caches = (first, middle, last) if training else None
        return logits

    def backward(self, dlogits):
        if self.caches is None:
            raise StateError("backward has no forward pass to follow. Call model.forward(x, training=True) first")
        (first, middle, last), self.caches = self.caches, None
        dactive, _, _ = conv2d_backward_numpy(dlogits, last)
        return conv2d_backward_numpy(relu_backward_numpy(dactive, middle), first)[0]


def _network_gradient(model, image, at, k):
    return _through_network()(model, image, at, k)


def _through_network(dlogits_of=lambda logits, at, k: _one_hot(logits, np.s_[0, at[0], at[1], k]),
                     value=lambda dx, image: dx[0]):  # fmt: skip
    """Return a function for the gradient of a logit, with one step changed."""

    def logit_gradient(model, image, at, k):
        logits = model.forward(image[None], training=True)
        return value(model.backward(dlogits_of(logits, at, k)), image)

    return logit_gradient


def _network_gradient_cases():
    return [(TwoConvolutions(*weights), x[0], at, k) for x, *weights, at, k in _saliency_cases()]


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


# --- deletion ---------------------------------------------------------------------------------------------------------


def _score_without(image, ranks, score, count):
    return without()(image, ranks, score, count)


def _score_without_cases():
    rng = generator(5)
    shapes = ((4, 6), 3), ((5, 9), 7), ((8, 3), 10)
    return [(rng.uniform(0, 255, (*shape, 3)), rng.standard_normal(shape), bright_corner_score, count)
            for shape, count in shapes]  # fmt: skip


# --- positions of maxima ----------------------------------------------------------------------------------------------


def _shares(positions):
    counts = np.bincount(positions.ravel(), minlength=4)
    return counts[counts > 0] / positions.size


def _entropy(positions):
    shares = _shares(positions)
    return -(shares * np.log2(shares)).sum()


def _entropy_cases():
    rng = generator(6)
    drawn = [rng.choice(4, 40, p=shares) for shares in ((0.25, 0.25, 0.25, 0.25), (0.6, 0.2, 0.1, 0.1))]
    return [(np.array([0, 0, 0, 1, 1, 2, 3, 3]),), *((np.append(one, [0, 1, 2, 3]),) for one in drawn),
            (np.array([3, 1, 1, 1, 1]),)]  # fmt: skip


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


EXERCISES = [
    Exercise(
        name="one_number",
        results=("number",),
        reference=_one_number,
        cases=_one_number_cases,
        tier="warm-up",
        mistakes={
            "The bias is missing.": _sum_of_window(biased=False),
            "The window begins at the pixel. The pixel is the middle of its window, so pad x by K // 2 zeros first.":
                _sum_of_window(corner=1),
            "The zeros around x are missing at the border, so the window is cut off there.": _no_padding,
            "The kernel is flipped. Multiply each number of the window by the weight at the same place.":
                _sum_of_window(kernel=lambda weight: weight[::-1, ::-1]),
            "Row and column are swapped. The argument `at` is (row, column).":
                _sum_of_window(place=lambda at: at[::-1]),
            "The kernel's rows and columns are swapped.": _sum_of_window(kernel=lambda weight: weight.swapaxes(0, 1)),
            "Only the first channel is used. Sum over all channels.":
                _sum_of_window(window=lambda part: part * (np.arange(part.shape[2]) == 0)),
            "This is output channel 0. Take channel f of the kernel and of the bias.":
                lambda x, weight, bias, at, f: _one_number(x, weight, bias, at, 0),
            "The bias is the sum of all biases. Add only bias[f].":
                lambda x, weight, bias, at, f: _one_number(x, weight, bias, at, f) + bias.sum() - bias[f],
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
        name="logit_gradient",
        results=("gradient",),
        reference=_network_gradient,
        cases=_network_gradient_cases,
        mistakes={
            "This is the gradient of class k's logits at all pixels. dlogits must be 1 at one pixel only.":
                _through_network(lambda logits, at, k: np.zeros_like(logits) + (np.arange(logits.shape[3]) == k)),
            "This is the gradient of all logits of the pixel. dlogits must be 1 for class k only.":
                _through_network(lambda logits, at, k: _one_hot(logits, np.s_[0, at[0], at[1], :])),
            "Row and column are swapped. The argument `at` is (row, column).":
                _through_network(lambda logits, at, k: _one_hot(logits, np.s_[0, at[1], at[0], k])),
            "dlogits contains the logits. The derivative of the logit with respect to itself is 1.":
                _through_network(lambda logits, at, k: logits * _one_hot(logits, np.s_[0, at[0], at[1], k])),
            "This is the gradient of the sum of all logits. dlogits must be 1 at one place and 0 elsewhere.":
                _through_network(lambda logits, at, k: np.ones_like(logits)),
            "These are absolute values. Return the gradient with its signs.":
                _through_network(value=lambda dx, image: np.abs(dx[0])),
            "This is the gradient times the picture. Return the gradient alone.":
                _through_network(value=lambda dx, image: dx[0] * image),
            "The batch axis is still there. Return the gradient of the one picture, [0].":
                _through_network(value=lambda dx, image: dx),
            "The colours are summed up. Return one number per pixel and colour.":
                _through_network(value=lambda dx, image: dx[0].sum(-1)),
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
    Exercise(
        name="score_without",
        results=("score",),
        reference=_score_without,
        cases=_score_without_cases,
        mistakes={
            "The pixels with the smallest ranks are covered. Cover those with the largest ranks.":
                without(lambda ranks, count: np.argsort(ranks, axis=None)[:count]),
            "The pixels are black. Fill the pixels with grey, 127.5.": without(grey=0),
            "One pixel too few is covered.": without(lambda ranks, count: largest(ranks, count - 1)),
            "One pixel too many is covered.": without(lambda ranks, count: largest(ranks, count + 1)),
            "This is the score of the whole picture. Return the score of the covered copy.":
                lambda image, ranks, score, count: score(image),
            "This is the loss of the score. Return the score of the covered picture.":
                lambda image, ranks, score, count: score(image) - _score_without(image, ranks, score, count),
            "Only the first colour is covered. Fill all three.": without(colours=np.s_[:1]),
            "The first pixels are covered. Cover those with the largest ranks.":
                without(lambda ranks, count: np.arange(count)),
            "Row and column are computed with the height. Pixel i is in row i // W and column i % W.":
                without(lambda ranks, count: (lambda i, H, W: i // H % H * W + i % H)(largest(ranks, count),
                                                                                     *ranks.shape)),
        },
    ),
    Challenge(
        name="attribution",
        results=("ranks",),
        reference=smoothed_gradient,
        cases=lambda: [],
        measure=loss_by_attribution,
        unit="times the loss of the absolute gradient",
        goal=1.7,
    ),
    Exercise(
        name="position_entropy",
        results=("bits",),
        reference=_entropy,
        cases=_entropy_cases,
        mistakes={
            "The sign is wrong. Logarithms of shares are negative, so the sum needs a minus.":
                lambda positions: -_entropy(positions),
            "The logarithm is natural. Bits need the logarithm with base 2.":
                lambda positions: _entropy(positions) * np.log(2),
            "The factor s before the logarithm is missing. Weight each logarithm with its share.":
                lambda positions: -np.log2(_shares(positions)).sum(),
            "This is the mean over the positions. Add them up.": lambda positions: _entropy(positions) / 4,
            "This is the logarithm of the number of positions that occur, which ignores how often each occurs.":
                lambda positions: np.log2(len(np.unique(positions))),
            "The shares are not divided by their sum. The four shares add up to 1.":
                lambda positions: -(lambda n: n * np.log2(n))(np.bincount(positions.ravel())).sum(),
        },
    ),
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
]  # fmt: skip

PREDICTIONS = {
    "pixels_behind_one_number": Prediction(
        4, "The kernel reaches five numbers of the unpooled map, two of them come from the pool, and each is the "
           "difference of two pixels."),
    "zeros_after_unpooling": Prediction(
        0.75, "Each window of four pixels receives one number, and the other three are 0."),
    "broken_saliency_map": Prediction(
        "c", "The wrong gradient still passes through the right convolutions, which spread it around the pixel."),
    "indices_of_another_picture": Prediction(
        "b", "All pooled numbers are right, but the decoder draws the outlines of the other picture."),
}  # fmt: skip
