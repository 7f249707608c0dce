"""Exercises of lesson 11: bytes that cross, the gradient of maps that are read twice, and a verdict with ties."""

import numpy as np

from .exercise import Exercise, generator

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


EXERCISES = [
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
]  # fmt: skip
