"""The challenge of lesson 09: rank the pixels of a picture by how much a logit of the bundled network needs them."""

from functools import cache

import numpy as np
from threadpoolctl import threadpool_limits

from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import ShapeError
from tinysegnet.layers import Tape
from tinysegnet.models import fold_batchnorm
from tinysegnet.ops.conv import conv2d_forward_numpy
from tinysegnet.weights import load_bundled

__all__ = ["GREY", "largest", "loss_by_attribution", "smoothed_gradient", "without"]

GREY = 127.5
DECISIONS, DELETED, SIZE = 8, 0.05, (48, 64)  # logits, share of the pixels that are covered, pixels of a picture
THINGS = (2, 6, 7, 8, 9, 10)  # pole, sign, fence, car, pedestrian, bicyclist


class BundledNetwork:
    """The bundled network with folded batch norms. It runs the NumPy definitions of its ops on every machine."""

    def __init__(self):
        self.line, self.tape = list(fold_batchnorm(load_bundled("toy")).layers.values()), None

    def forward(self, x, training=False):
        self.tape = Tape(keep=training, definitions=True)
        for layer in self.line:
            x = layer.forward(x, self.tape)
        return x

    def backward(self, dlogits):
        """Return the gradient of the pictures, without the gradients of the parameters."""
        dout = dlogits
        for layer in reversed(self.line):
            if "weight" in layer.params:
                flipped = layer.params["weight"][::-1, ::-1].transpose(0, 1, 3, 2)
                dout, _ = conv2d_forward_numpy(dout, np.ascontiguousarray(flipped))
            else:
                dout = layer.backward(dout, self.tape)
        return dout


@cache
def _decisions():
    """Return the network, and for each picture a right pixel of a class of things, the class, and its logit."""
    model, found = BundledNetwork(), []
    for sample in (ToyScenes(DECISIONS, seed=31, size=SIZE)[number] for number in range(DECISIONS)):
        image = sample.image.astype(np.float32)
        logits = model.forward(image[None])[0]
        right = logits.argmax(-1) == sample.labels
        k = max(THINGS, key=lambda k: np.sum(right & (sample.labels == k)))
        rows, columns = np.nonzero(right & (sample.labels == k))
        at = int(rows[rows.size // 2]), int(columns[rows.size // 2])
        found.append((image, at, k, float(logits[at][k])))
    return model, found


def largest(ranks, count):
    return np.argsort(-ranks, axis=None)[:count]


def without(chosen=largest, grey=GREY, colours=np.s_[:]):
    """Return a function for the score without the pixels that have the largest ranks; each step can be changed."""

    def score_without(image, ranks, score, count):
        covered = image.copy()
        rows, columns = np.unravel_index(chosen(ranks, count), ranks.shape)
        covered[rows, columns, colours] = grey
        return score(covered)

    return score_without


def _mean_loss(attribution):
    """Return by how much a logit falls on average if the pixels with the largest ranks are covered with grey."""
    model, decisions = _decisions()
    lost = []
    for image, at, k, logit in decisions:
        ranks = np.asarray(attribution(model, image.copy(), at, k), float)
        if ranks.shape != SIZE or not np.isfinite(ranks).all():
            raise ShapeError(f"attribution: the result must contain one finite number per pixel, shape {SIZE}; its "
                             f"shape is {ranks.shape}")  # fmt: skip

        def score(covered, at=at, k=k):
            return float(model.forward(covered[None])[0][at][k])

        lost.append(logit - without()(image, ranks, score, int(DELETED * ranks.size)))
    return float(np.mean(lost))


@cache
def _loss_by_gradient():
    return _mean_loss(lambda *decision: np.abs(_gradient(*decision)).sum(-1))


def loss_by_attribution(attribution):
    """Return the mean loss of the logits, divided by the loss for a ranking by the absolute gradient.

    The matrix products use one thread, because two threads are slower for arrays of this size.
    """
    with threadpool_limits(limits=1, user_api="blas"):
        return _mean_loss(attribution) / _loss_by_gradient()


def _gradient(model, image, at, k):
    dlogits = np.zeros_like(model.forward(image[None], training=True))
    dlogits[0, at[0], at[1], k] = 1
    return model.backward(dlogits)[0]


def smoothed_gradient(model, image, at, k):
    """Return the mean gradient over five noisy copies of a picture, times the difference of the picture from grey."""
    rng, total = np.random.default_rng(0), np.zeros_like(image)
    for _ in range(5):
        noisy = image + rng.normal(0, 25, image.shape).astype(image.dtype)
        total += _gradient(model, noisy, at, k)
    return (total * (image - GREY)).sum(-1)
