"""Exercises of lesson 18: gradients and batch norm over ranks, a fixed tree of sums, and the cost of communication."""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from .compare import equal
from .exercise import Challenge, Exercise, Prediction, generator

# --- gradients of shards ----------------------------------------------------------------------------------------------


def _combine(gradients, labelled):
    return labelled @ gradients / labelled.sum()


def _combine_cases():
    rng = generator(0)
    missing = rng.standard_normal((4, 3))
    missing[2] = 0
    return [(np.array([[1.0, 2.0], [5.0, 10.0]]), np.array([30, 10])),
            (rng.standard_normal((3, 5)), rng.integers(50, 900, 3)),
            (missing, np.array([70, 20, 0, 35]))]  # fmt: skip


# --- batch norm over ranks --------------------------------------------------------------------------------------------


def _sync_backward(dout, x_hat, gamma, inv_std, m, all_sum, *, count=lambda m, dout: m, summed=(True, True),
                   returned=None, project=(1, 1), whole=False):  # fmt: skip
    """Return dx, dgamma and dbeta of synchronised batch norm, with one step changed."""
    own = (dout * x_hat).sum((0, 1, 2)), dout.sum((0, 1, 2))
    dgamma, dbeta = (all_sum(value) if over else value for value, over in zip(own, summed, strict=True))
    n = count(m, dout)
    dx = gamma * inv_std * (dout - project[0] * dbeta / n - project[1] * x_hat * dgamma / n)
    return all_sum(dx) if whole else dx, *((dgamma, dbeta) if returned is None else own)


@dataclass(frozen=True)
class _AllSum:
    """The sum over ranks of which the others have multiples of this rank's arrays."""

    factor: float

    def __call__(self, values):
        return self.factor * np.asarray(values, float)

    def __repr__(self):
        return "a function"


def _sync_case(rng, shape, others):
    """Return the arguments on one rank; the others have the same x, and their dout is a multiple of this rank's."""
    x, dout = rng.standard_normal((2, *shape))
    var = x.var((0, 1, 2))
    inv_std = 1 / np.sqrt(var + 1e-5)
    m = (1 + len(others)) * dout.size // shape[3]
    return dout, (x - x.mean((0, 1, 2))) * inv_std, rng.uniform(0.5, 2, shape[3]), inv_std, m, _AllSum(1 + sum(others))


def _sync_cases():
    rng = generator(1)
    return [_sync_case(rng, (1, 2, 3, 1), ()), _sync_case(rng, (2, 3, 4, 2), (0.5,)),
            _sync_case(rng, (1, 4, 3, 3), (0.25, -2.5, 3.0))]  # fmt: skip


# --- a tree of sums ---------------------------------------------------------------------------------------------------


def _neighbours(rows):
    return rows[::2], rows[1::2]


def _tree_sum(rows, *, odd=lambda sums, last: [*sums, *last], pairs=_neighbours):
    rows = list(rows)
    while len(rows) > 1:
        rows = odd([a + b for a, b in zip(*pairs(rows), strict=False)], rows[len(rows) - len(rows) % 2 :])
    return rows[0]


def _running_sum(rows):
    total = rows[0]
    for row in rows[1:]:
        total = total + row
    return total


def _halves(rows):
    middle = len(rows) // 2
    return _halves(rows[:middle]) + _halves(rows[middle:]) if middle else rows[0]


def _in_float64(rows):
    """Return sums that are rounded only once."""
    return np.apply_along_axis(math.fsum, 0, rows)


TREE_MISTAKES = {
    "This is a running sum. Add neighbours: rows 0 and 1, rows 2 and 3, and then their sums in the same way.":
        _running_sum,
    "The rows are halved from the top. For five rows the tree is ((0 + 1) + (2 + 3)) + 4: add from the bottom up.":
        _halves,
    "Row k is added to row k + n // 2. Add neighbours: rows 0 and 1, rows 2 and 3, ...":
        lambda rows: _tree_sum(rows, pairs=lambda rows: (rows[: len(rows) // 2], rows[len(rows) // 2 :])),
    "The last of an odd number of rows is lost. It moves up unchanged.":
        lambda rows: _tree_sum(rows, odd=lambda sums, last: sums),
    "The last of an odd number of rows moves to the front. It must stay the last.":
        lambda rows: _tree_sum(rows, odd=lambda sums, last: [*last, *sums]),
    "The last of an odd number of rows is added to the sum beside it at once. It moves up and is added later.":
        lambda rows: _tree_sum(rows, odd=lambda sums, last: [*sums[:-1], sum(last, start=sums[-1])]),
    "The sum is more accurate than the tree's. Add two arrays with +, and nothing else.": _in_float64,
}  # fmt: skip


def _rounded_rows(rng, count):
    """Return rows (count, 16) whose small sums are different in the tree and in each order of TREE_MISTAKES."""
    while True:
        rows = rng.choice([2.0**53, -(2.0**53), 2.0**54, -(2.0**54), 1, 3, -1, 5], (count, 2000))
        rows = rows[:, abs(_tree_sum(rows)) < 100][:, :16]
        sums = [add(rows) for add in (_tree_sum, *TREE_MISTAKES.values())]
        if not any(equal(a, b) for a, b in itertools.combinations(sums, 2)):
            return rows


def _tree_cases():
    rng = generator(2)
    return [(rng.standard_normal((2, 3)),), (rng.standard_normal((1, 4)),), (rng.standard_normal((5, 2, 3)),),
            (_rounded_rows(rng, 5),), (_rounded_rows(rng, 11),)]  # fmt: skip


# --- the cost of an all-reduce ----------------------------------------------------------------------------------------


def _allreduce(ranks, size, latency, bandwidth, *, passes=2, piece=lambda size, ranks: size / ranks,
               rounds=lambda ranks: math.ceil(math.log2(ranks)), message=lambda n, a, b: a + n / b):  # fmt: skip
    """Return the times of a ring and of recursive doubling, with one step changed."""
    ring = passes * (ranks - 1) * message(piece(size, ranks), latency, bandwidth)
    return ring, rounds(ranks) * message(size, latency, bandwidth)


def _allreduce_cases():
    rng = generator(3)
    return [(2, 1000.0, 1.0, 1000.0), (8, 6e6, 1e-3, 1e8), (1, 5000.0, 1e-4, 1e6),
            (12, float(rng.integers(1, 90) * 10**5), 2e-5, 1e8), (1024, 1.2e8, 0.05, 1.25e7)]  # fmt: skip


# --- challenge --------------------------------------------------------------------------------------------------------

# Backward of a VGG16-like SegNet, from the last convolution to the first: channels before and after, and height.
_LAYERS = ((64, 11, 360), (64, 64, 360), (128, 64, 180), (128, 128, 180), (256, 128, 90), (256, 256, 90),
           (256, 256, 90), (512, 256, 45), (512, 512, 45), (512, 512, 45), *((512, 512, 23),) * 6,
           (512, 512, 45), (512, 512, 45), (256, 512, 45), (256, 256, 90), (256, 256, 90), (128, 256, 90),
           (128, 128, 180), (64, 128, 180), (64, 64, 360), (3, 64, 360))  # fmt: skip
LATENCY, BANDWIDTH = 0.02, 1.25e8  # seconds and bytes per second of a slow network
_SPEED = 2e11  # multiply-adds per second


def _network():
    """Return when the gradient of each tensor is ready, in seconds, and its bytes: weight, bias, gamma, beta."""
    work = np.cumsum([2 * 9 * a * b * height * height * 4 / 3 for a, b, height in _LAYERS])
    sizes = np.array([[4 * 9.0 * a * b, *(4 * b,) * 3] for a, b, _ in _LAYERS])
    return np.repeat(work / _SPEED, 4), sizes.ravel()


def _finish(buckets, ready, sizes, latency, bandwidth):
    """Return when the last bucket has arrived; a bucket waits for its tensors and for the bucket before."""
    done = 0.0
    for bucket in range(buckets[-1] + 1):
        own = buckets == bucket
        done = max(done, ready[own].max()) + latency + sizes[own].sum() / bandwidth
    return done


def _buckets(ready, sizes, latency, bandwidth):
    count = len(ready)
    finish, first = [0.0] + [math.inf] * count, [0] * (count + 1)
    for end in range(1, count + 1):
        for begin in range(end):
            done = max(finish[begin], ready[end - 1]) + latency + sum(sizes[begin:end]) / bandwidth
            if done < finish[end]:
                finish[end], first[end] = done, begin
    cuts, end = [], count
    while end:
        end = first[end]
        cuts.append(end)
    return np.searchsorted(sorted(cuts), np.arange(count), side="right") - 1


def _added_by_communication(answer):
    """Return what communication adds to the backward pass, as a percentage of what one buffer at the end adds."""
    ready, sizes = _network()
    buckets = np.asarray(answer(ready.copy(), sizes.copy(), LATENCY, BANDWIDTH))
    steps = np.diff(buckets) if buckets.shape == ready.shape else np.array([-1])
    if buckets.shape != ready.shape or buckets[0] != 0 or not np.isin(steps, (0, 1)).all():
        return math.inf
    added, one = (_finish(b, ready, sizes, LATENCY, BANDWIDTH) - ready[-1] for b in (buckets, 0 * buckets))
    return float(100 * added / one)


EXERCISES = [
    Exercise(
        name="combine_gradients",
        results=("gradient",),
        tier="warm-up",
        reference=lambda gradients, labelled: _combine(gradients, labelled),
        cases=_combine_cases,
        mistakes={
            "This is the plain mean. A rank with more labelled pixels must count more.":
                lambda gradients, labelled: gradients.mean(0),
            "This is the plain sum, but each gradient is already a mean over its pixels.":
                lambda gradients, labelled: gradients.sum(0),
            "The weighted sum is divided by the number of ranks. Divide by the number of all labelled pixels.":
                lambda gradients, labelled: labelled @ gradients / len(labelled),
            "The weighted sum is not divided. Divide by the number of all labelled pixels.":
                lambda gradients, labelled: labelled @ gradients,
            "Each gradient is divided by its number of pixels, so a rank with fewer pixels counts more. Multiply.":
                lambda gradients, labelled: (gradients / np.maximum(labelled, 1)[:, None]).sum(0) * labelled.sum(),
        },
    ),
    Exercise(
        name="sync_batchnorm_backward",
        results=("dx", "dgamma", "dbeta"),
        reference=lambda dout, x_hat, gamma, inv_std, m, all_sum: _sync_backward(
            dout, x_hat, gamma, inv_std, m, all_sum),
        cases=_sync_cases,
        mistakes={
            "Only this rank's sums are used. Pass both sums to all_sum before you use them.":
                lambda *case: _sync_backward(*case, summed=(False, False)),
            "The sum of dout is this rank's. Pass it to all_sum, too.":
                lambda *case: _sync_backward(*case, summed=(True, False)),
            "The sum of dout * x_hat is this rank's. Pass it to all_sum, too.":
                lambda *case: _sync_backward(*case, summed=(False, True)),
            "The sums are divided by this rank's number of pixels. Divide by m, that of all ranks.":
                lambda *case: _sync_backward(*case, count=lambda m, dout: dout.size // dout.shape[3]),
            "dx is summed over the ranks. Each rank needs only the gradient of its own pixels.":
                lambda *case: _sync_backward(*case, whole=True),
            "dx is right, but dgamma and dbeta are this rank's. Return the sums over all ranks.":
                lambda *case: _sync_backward(*case, returned="own"),
            "The term with x_hat is missing in dx. The variance depends on x, too.":
                lambda *case: _sync_backward(*case, project=(1, 0)),
            "The mean of dout is not subtracted in dx. The mean depends on x, too.":
                lambda *case: _sync_backward(*case, project=(0, 1)),
        },
    ),
    Exercise(
        name="tree_sum",
        results=("total",),
        reference=lambda rows: _tree_sum(rows),
        cases=_tree_cases,
        mistakes=TREE_MISTAKES,
    ),
    Exercise(
        name="allreduce_seconds",
        results=("ring", "doubling"),
        reference=lambda ranks, size, latency, bandwidth: _allreduce(ranks, size, latency, bandwidth),
        cases=_allreduce_cases,
        mistakes={
            "The ring makes one round. It needs R - 1 steps to add, and R - 1 more to distribute the sums.":
                lambda *case: _allreduce(*case, passes=1),
            "Each step of the ring sends the whole buffer. It sends one piece of R.":
                lambda *case: _allreduce(*case, piece=lambda size, ranks: size),
            "The number of doubling steps is not an integer. Round log2(ranks) up.":
                lambda *case: _allreduce(*case, rounds=math.log2),
            "The number of doubling steps is rounded down, so some ranks are left out. Round up.":
                lambda *case: _allreduce(*case, rounds=lambda ranks: int(math.log2(ranks))),
            "Doubling takes ranks - 1 steps here. The number of added ranks doubles in each step.":
                lambda *case: _allreduce(*case, rounds=lambda ranks: ranks - 1),
            "The latency is missing. Every message waits for it.":
                lambda *case: _allreduce(*case, message=lambda n, a, b: n / b),
            "The latency counts once. Every message waits for it.":
                lambda ranks, size, a, b: tuple(t + a * (ranks > 1) for t in _allreduce(ranks, size, 0, b)),
            "The bytes are multiplied by the bandwidth. Divide: it is in bytes per second.":
                lambda *case: _allreduce(*case, message=lambda n, a, b: a + n * b),
            "The ring takes R steps per round. A rank has its own piece already, so R - 1 are enough.":
                lambda ranks, *case: (_allreduce(ranks, *case)[0] * ranks / max(ranks - 1, 1),
                                      _allreduce(ranks, *case)[1]),
        },
    ),
    Challenge(
        name="buckets",
        results=("buckets",),
        reference=_buckets,
        cases=lambda: [(np.array([1.0, 2.0, 3.0]), np.array([1.0, 1.0, 1.0]), 100.0, 1.0),
                       (np.array([0.0, 10.0, 20.0]), np.array([10.0, 10.0, 1.0]), 0.0, 1.0),
                       (np.array([0.0, 1.0, 2.0, 30.0]), np.array([4.0, 4.0, 4.0, 1.0]), 10.0, 1.0)],
        mistakes={
            "Each tensor is its own bucket, so the latency counts for every tensor. Join small ones.":
                lambda ready, sizes, latency, bandwidth: np.arange(len(ready)),
            "All tensors are in one bucket, so no communication overlaps with the backward pass.":
                lambda ready, sizes, latency, bandwidth: np.zeros(len(ready), int),
            "The numbers must begin with 0.":
                lambda *case: _buckets(*case) + 1,
            "The numbers fall. The tensor that is ready first belongs to bucket 0.":
                lambda *case: _buckets(*case)[-1] - _buckets(*case),
        },
        measure=_added_by_communication,
        unit="per cent of the time that one buffer at the end adds",
        goal=35,
        lower_is_better=True,
    ),
]  # fmt: skip

PREDICTIONS = {
    "gradients_that_differ": Prediction(
        "c", "Each shard is normalised by its own mean and variance, so the logits and all gradients differ."
    ),
    "seconds_of_waiting_per_step": Prediction(
        25.5, "51 all-reduces of 10 messages each wait 0.05 s per message, before any byte is counted.", 0.1
    ),
    "sums_of_six_divisions": Prediction(
        5, "Each division adds in another order, except that 1 rank and 12 ranks both add picture after picture."
    ),
    "limit_of_12_pictures": Prediction(
        "b", "A batch of 12 pictures has work for 12 ranks. Any further rank has no picture."
    ),
}
