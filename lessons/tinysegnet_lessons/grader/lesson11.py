"""Exercises of lesson 11: upsampling, bytes that cross, maps that are read twice, and verdicts with ties."""

import numpy as np
from scipy.special import stdtrit

from .exercise import Challenge, Exercise, Prediction, generator

PREDICTIONS = {
    "maps_against_indices": Prediction(16, "32 bits are 16 times as many as two bits."),
    "replication_of_ones": Prediction(4, "Each number was copied to four pixels, so its gradient is a sum of four "
                                         "ones."),
    "equal_networks_told_apart": Prediction("a", "The largest of thirteen differences is larger than nearly all "
                                                 "differences of means."),
}  # fmt: skip

# --- upsampling -------------------------------------------------------------------------------------------------------


def _replication_cases():
    rng = generator(1)
    return [(np.array([[1.0, 2], [3, 4]])[None, :, :, None],), (rng.standard_normal((2, 3, 4, 5)),),
            (rng.standard_normal((3, 1, 2, 2)),)]  # fmt: skip


def _replication(z):
    return z.repeat(2, axis=1).repeat(2, axis=2)


def _corner_only(z):
    out = np.zeros_like(_replication(z))
    out[:, ::2, ::2] = z
    return out


def _transposed_cases():
    rng = generator(2)
    kernel = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]])
    return [(np.array([[1.0, 0], [10, 100]]), kernel), (rng.standard_normal((3, 4)), rng.standard_normal((4, 4))),
            (rng.standard_normal((2, 5)), rng.standard_normal((2, 2))),
            (rng.standard_normal((4, 2)), rng.standard_normal((5, 5)))]  # fmt: skip


def _transposed(stride=2, add=True, kernel=lambda weight: weight):
    """Return a transposed convolution with one step changed."""

    def transposed(z, weight):
        (h, w), K = z.shape, len(weight)
        out = np.zeros((stride * (h - 1) + K, stride * (w - 1) + K))
        for u, v in np.ndindex(h, w):
            window = out[stride * u : stride * u + K, stride * v : stride * v + K]
            window[...] = z[u, v] * kernel(weight) + (window if add else 0)
        return out

    return transposed


_transposed_convolution = _transposed()


def _left_out_of_the_sum(z, weight):
    out = _transposed_convolution(z, weight)
    return out[: 2 * z.shape[0], : 2 * z.shape[1]]


# --- what crosses -----------------------------------------------------------------------------------------------------


def _pooled_sizes(H, W, half=lambda n: -(-n // 2)):
    """Return rows and columns after each of four pools."""
    sizes = []
    for _ in range(4):
        H, W = half(H), half(W)
        sizes.append((H, W))
    return sizes


def _crossing(sizes=_pooled_sizes, index_bytes=lambda C: -(-C // 4), index_pools=slice(4), map_pools=slice(3),
              itemsize=4, larger=1):  # fmt: skip
    """Return a function that counts bytes with one step changed; `larger` is the number of map pixels per window."""

    def crossing(H, W, C, K):
        windows = [h * w for h, w in sizes(H, W)]
        indices = sum(windows[index_pools]) * index_bytes(C)
        pixels = sum(windows[map_pools]) * larger * itemsize
        return indices, pixels * C, pixels * K

    return crossing


_crossing_bytes = _crossing()


# --- maps that are read twice -----------------------------------------------------------------------------------------


def _skip_cases():
    rng = generator(0)
    cases = []
    for N, h, w, C, K in ((2, 2, 3, 4, 3), (3, 3, 2, 2, 5)):
        dout, dnext, maps = (rng.standard_normal((N, h, w, channels)) for channels in (K, C, C))
        cases.append((dout, dnext, maps, rng.standard_normal((C, K))))
    return cases


def _skip(dup=lambda dout, scores: dout, dmaps=lambda across, below: across + below, dweight=lambda x, d: x.T @ d):
    """Return a backward function with one gradient changed; x and d have one row per pixel."""

    def backward(dout, dnext, maps, weight):
        C, K = weight.shape
        return (dup(dout, maps @ weight), dmaps(dout @ weight.T, dnext),
                dweight(maps.reshape(-1, C), dout.reshape(-1, K)))  # fmt: skip

    return backward


_skip_backward = _skip()


def _first_picture(dout, dnext, maps, weight):
    C, K = weight.shape
    dup, dmaps, _ = _skip_backward(dout, dnext, maps, weight)
    return dup, dmaps, maps[0].reshape(-1, C).T @ dout[0].reshape(-1, K)


# --- a verdict --------------------------------------------------------------------------------------------------------


def _verdict_cases():
    """Use halves and quarters, so that a difference can equal the spread exactly in floating point."""
    scores = np.array([[45.5, 46], [46.5, 46.25], [49, 47.5], [43, 44], [45.75, 46.25], [46, 45.75]])
    same = np.array([[40.0, 41.0, 40.5], [41.0, 42.0, 41.5], [50.0, 50.25, 50.5]])
    return [(scores, 2, 0), (scores, 5, 0), (scores, 4, 0), (scores, 1, 0), (scores, 3, 2), (same, 1, 0), (same, 0, 2)]


def _largest(scores):
    return np.ptp(scores, axis=1).max()


def _verdict(spread=_largest, difference=lambda a, b: a.mean() - b.mean(), tie=lambda d, s: abs(d) < s, sign=np.sign):
    """Return a verdict function with one result changed."""

    def verdict(scores, one, other):
        s, d = spread(scores), difference(scores[one], scores[other])
        return s, d, 0 if tie(d, s) else int(sign(d))

    return verdict


_judged = _verdict()


def _tie_of_the_two(scores, one, other):
    d, s = scores[one].mean() - scores[other].mean(), _largest(scores[[one, other]])
    return _largest(scores), d, 0 if abs(d) < s else int(np.sign(d))


def _all_seeds_agree(scores, one, other):
    signs = np.sign(scores[one] - scores[other])
    return *_judged(scores, one, other)[:2], int(signs[0]) if (signs == signs[0]).all() else 0


# --- a test with more power -------------------------------------------------------------------------------------------

NETWORKS, SEEDS, TRIALS, BETTER = 13, 2, 2000, 2.5


def _better_verdict(scores, one, other):
    """Compare the difference with the noise of all networks together, by Student's distribution at a level of 4 %."""
    networks, seeds = scores.shape
    noise = np.sqrt(scores.var(axis=1, ddof=1).mean())
    difference = scores[one].mean() - scores[other].mean()
    limit = stdtrit(networks * (seeds - 1), 0.98) * noise * np.sqrt(2 / seeds)
    return int(np.sign(difference)) if abs(difference) > limit else 0


def _power(answer):
    """Return the share of true differences that are found, or 0 if more than 5 % of equal networks are told apart."""
    rng = generator(6)
    told_apart = found = 0
    for _ in range(TRIALS):
        scores = 50 + rng.standard_normal((NETWORKS, SEEDS))
        one, other = (int(row) for row in rng.permutation(NETWORKS)[:2])
        told_apart += answer(scores.copy(), one, other) != 0
        scores[one] += BETTER
        found += answer(scores.copy(), one, other) == 1
    return found / TRIALS if told_apart <= 0.05 * TRIALS else 0.0


def _clear_cases():
    scores = np.array([[45.0, 45.5], [61.0, 60.5], [45.25, 45.5], [30.0, 30.5]])
    return [(scores, 1, 0), (scores, 3, 1), (scores, 0, 0)]


EXERCISES = [
    Exercise(
        name="replication",
        tier="warm-up",
        results=("out",),
        reference=_replication,
        cases=_replication_cases,
        mistakes={
            "The picture is repeated as a whole. Repeat each number: np.repeat, not np.tile.":
                lambda z: np.tile(z, (1, 2, 2, 1)),
            "The batch axis is repeated. In (N, h, w, C), rows and columns are the axes 1 and 2.":
                lambda z: z.repeat(2, axis=0).repeat(2, axis=1),
            "The channels are repeated. In (N, h, w, C), rows and columns are the axes 1 and 2.":
                lambda z: z.repeat(2, axis=2).repeat(2, axis=3),
            "Only the rows are repeated. Also repeat the columns.": lambda z: z.repeat(2, axis=1),
            "Only the columns are repeated. Also repeat the rows.": lambda z: z.repeat(2, axis=2),
            "Only the top left pixel of each window is filled.": _corner_only,
            "Each number is divided by four. Replication copies it unchanged.": lambda z: _replication(z) / 4,
        },
    ),
    Exercise(
        name="transposed_convolution",
        results=("out",),
        reference=lambda z, weight: _transposed_convolution(z, weight),
        cases=_transposed_cases,
        mistakes={
            "Overlapping windows overwrite each other. Add with +=.": _transposed(add=False),
            "The windows are one pixel apart. With stride 2, they start at (2u, 2v).": _transposed(stride=1),
            "The kernel is flipped. Each number adds z[u, v] * weight unchanged.":
                _transposed(kernel=lambda weight: weight[::-1, ::-1]),
            "The kernel is transposed. Its rows are rows of the picture.": _transposed(kernel=np.transpose),
            "The result is cut to twice the size of z. Without padding, it has 2(h - 1) + K rows.":
                _left_out_of_the_sum,
            "The windows are K pixels apart. With stride 2, they start at (2u, 2v) and may overlap.":
                lambda z, weight: _transposed(stride=len(weight))(z, weight),
        },
    ),
    Exercise(
        name="crossing_bytes",
        results=("indices", "maps", "reduced"),
        reference=lambda H, W, C, K: _crossing_bytes(H, W, C, K),
        cases=lambda: [(24, 40, 4, 3), (16, 32, 5, 2), (45, 61, 8, 3), (360, 480, 64, 11)],
        mistakes={
            "The sizes are rounded down. Pools round up, so 45 rows give 23.":
                _crossing(sizes=lambda H, W: _pooled_sizes(H, W, lambda n: n // 2)),
            "A number takes one byte here, but float32 takes four bytes per number.": _crossing(itemsize=1),
            "The last pool's maps are counted, but only those of the first three pools cross.":
                _crossing(map_pools=slice(4)),
            "Three pools are counted, but the indices of all four pools cross.": _crossing(index_pools=slice(3)),
            "The maps before the pools are counted, but the outputs of the pools cross.": _crossing(larger=4),
            "An index takes two bits, so four channels share a byte.": _crossing(index_bytes=lambda C: C),
            "The bytes per pixel are rounded down, but 5 channels take two bytes.":
                _crossing(index_bytes=lambda C: C // 4),
            "A pool has one index per window, not one per input pixel.":
                _crossing(sizes=lambda H, W: [(H, W), *_pooled_sizes(H, W)[:3]]),
        },
    ),
    Exercise(
        name="skip_backward",
        results=("dup", "dmaps", "dweight"),
        reference=lambda dout, dnext, maps, weight: _skip_backward(dout, dnext, maps, weight),
        cases=_skip_cases,
        mistakes={
            "The encoder's next stage also reads the maps. Add dnext.": _skip(dmaps=lambda across, below: across),
            "The path through the addition is missing. Add the gradient that comes back through the 1x1 convolution.":
                _skip(dmaps=lambda across, below: below),
            "An addition does not divide its gradient. dup is all of dout.": _skip(dup=lambda dout, scores: dout / 2),
            "dmaps is the mean of the two gradients. Take their sum.":
                _skip(dmaps=lambda across, below: (across + below) / 2),
            "dup is multiplied by the reduced maps, but the forward pass only adds them.":
                _skip(dup=lambda dout, scores: dout * scores),
            "The two gradients of the maps are subtracted. Add them.":
                _skip(dmaps=lambda across, below: across - below),
            "dweight comes from the first picture only, but all pictures use the same weight.": _first_picture,
            "dweight is a mean over the pixels. Take the sum.": _skip(dweight=lambda x, d: x.T @ d / len(x)),
        },
    ),
    Exercise(
        name="verdict",
        results=("spread", "difference", "sign"),
        reference=lambda scores, one, other: _judged(scores, one, other),
        cases=_verdict_cases,
        mistakes={
            "This spread is across networks. Take the largest difference within each row, then the largest of these.":
                _verdict(spread=np.ptp),
            "This is the mean of the networks' spreads. Take the largest spread.":
                _verdict(spread=lambda scores: np.ptp(scores, axis=1).mean()),
            "This is a standard deviation. The spread is the largest score minus the smallest.":
                _verdict(spread=lambda scores: scores.std(axis=1, ddof=1).max()),
            "This is the spread of one network. Take the largest spread of all networks.":
                _verdict(spread=lambda scores: np.ptp(scores[0])),
            "This is the difference of the best seeds. Use the means.":
                _verdict(difference=lambda a, b: a.max() - b.max()),
            "The difference has the wrong sign. The difference must be one minus other.":
                _verdict(difference=lambda a, b: b.mean() - a.mean()),
            "Ties are missing. The sign is 0 where the difference is smaller than the spread.":
                _verdict(tie=lambda d, s: d == 0),
            "A negative difference is below any spread. Compare the absolute value.": _verdict(tie=lambda d, s: d < s),
            "Only a difference smaller than the spread is a tie. Use <, not <=.":
                _verdict(tie=lambda d, s: abs(d) <= s),
            "The tie uses the spread of these two networks. Use the spread of all networks.": _tie_of_the_two,
            "The sign depends on whether all seeds agree. Compare the means with the spread instead.": _all_seeds_agree,
        },
    ),
    Challenge(
        name="better_verdict",
        results=("sign",),
        reference=_better_verdict,
        cases=_clear_cases,
        measure=_power,
        unit="of the true differences found",
        goal=0.55,
    ),
]  # fmt: skip
