"""Sums over the pictures of a batch have the same bits for every division of the pictures over ranks."""

import itertools
import threading
from functools import reduce

import numpy as np
import pytest
from forms import amount

from tinysegnet.ops import merge_moments
from tinysegnet.runtime.distributed import Communicator, SplitBatch, merge, run_ranks, share, split_batch, subtrees

COUNTS = amount([1, 2, 3, 5, 6, 8], range(1, 35))


def arrays(count, shape=(7,), dtype=np.float32):
    """Numbers of very different sizes, whose sum depends on the order."""
    rng = np.random.default_rng(count)
    return (rng.standard_normal((count, *shape)) * 10.0 ** rng.integers(-4, 5, (count, *shape))).astype(dtype)


def pairwise(values, add=np.add):
    """Add neighbours level by level. The last value of an odd level moves up."""
    while len(values) > 1:
        values = [reduce(add, values[i : i + 2]) for i in range(0, len(values), 2)]
    return values[0]


def divisions(count, rng):
    """Yield bounds of ranges that cover 0..count, also uneven and empty ones."""
    for ranks in range(1, 7):
        yield [0, *sorted(rng.integers(0, count + 1, ranks - 1).tolist()), count]


@pytest.mark.parametrize("count", COUNTS)
def test_every_division_gives_the_sum_of_the_tree(count):
    values, rng = arrays(count), np.random.default_rng(count)
    for bounds in divisions(count, rng):
        parts = {}
        for begin, end in itertools.pairwise(bounds):
            own = merge({(0, n): values[n] for n in range(begin, end)}, count, np.add)
            assert list(own) == subtrees(begin, end, count)
            assert len(own) <= 2 * count.bit_length()
            parts |= own
        (total,) = merge(parts, count, np.add).values()
        np.testing.assert_array_equal(total, pairwise(list(values)))


def test_other_orders_give_other_bits():
    values = arrays(16)
    assert (pairwise(list(values)) != reduce(np.add, values)).any()
    assert (pairwise(list(values)) != pairwise(list(np.roll(values, 1, 0)))).any()


def test_siblings_are_added_from_left_to_right():
    letters = {(0, n): letter for n, letter in enumerate("abcdef")}
    assert merge(letters, 6, lambda left, right: f"({left}{right})") == {(3, 0): "(((ab)(cd))(ef))"}
    assert subtrees(1, 6, 6) == [(0, 1), (1, 1), (2, 1)]


@pytest.mark.parametrize("ranks", range(1, 7))
def test_shares_cover_the_batch_and_differ_by_at_most_one(ranks):
    for count in range(9):
        shares = [share(count, rank, ranks) for rank in range(ranks)]
        assert [n for own in shares for n in own] == list(range(count))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("ranks", range(1, 7))
@pytest.mark.parametrize("count", amount([1, 5], range(1, 9)))
def test_all_ranks_get_the_same_total(ranks, count, monkeypatch):
    """Small arrays are sent whole, and large ones in parts. Some ranks have no picture."""
    monkeypatch.setattr(split_batch, "LARGE", 100)
    kinds = [(arrays(count), np.add), (arrays(count, (101,)), np.add), (arrays(count, (2, 3)), np.add),
             (abs(arrays(count, (3, 4), np.float64)) + 1, merge_moments)]  # fmt: skip

    def totals(communicator):
        batch = SplitBatch(communicator, count)
        return [batch.total([values[n] for n in batch.pictures], np.empty_like(values[0]), add)
                for values, add in kinds]  # fmt: skip

    for found in run_ranks(ranks, totals):
        for total, (values, add) in zip(found, kinds, strict=True):
            assert total.dtype == values.dtype
            np.testing.assert_array_equal(total, pairwise(list(values), add))


def test_one_process_needs_no_exchange():
    alone = Communicator()
    assert (alone.rank, alone.size, alone.any(0), alone.any(1), list(alone.share(3))) == (0, 1, False, True, [0, 1, 2])
    own = np.arange(3.0)
    assert alone.allgather_arrays(own, [3]) == alone.alltoall_arrays([own], [3]) == [own]


def test_an_error_of_one_rank_is_raised_and_the_others_stop():
    def fails(communicator):
        if communicator.rank == 2:
            raise ValueError("rank 2")
        return communicator.allgather(0)

    before = threading.active_count()
    with pytest.raises(ValueError, match="rank 2"):
        run_ranks(4, fails)
    assert threading.active_count() == before
