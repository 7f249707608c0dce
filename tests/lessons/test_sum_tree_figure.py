"""The tree of sums: its circles, and the lines between the parts of two ranks."""

import pytest
from figure_texts import assert_texts_apart_and_inside
from forms import amount

from tinysegnet import viz
from tinysegnet.errors import ShapeError
from tinysegnet.runtime.distributed import SplitBatch, run_ranks
from tinysegnet.viz.figures import figure_bytes
from tinysegnet_lessons import figures


def lines(axes, dashed):
    """Return the lines between two circles, which have two points each."""
    return [
        line for line in axes.get_lines() if len(line.get_xdata()) == 2 and (line.get_linestyle() == "--") == dashed
    ]


DIVISIONS = [(pictures, ranks) for pictures in (1, 2, 5, 8, 12) for ranks in (1, 2, 3, 4, 12) if ranks <= pictures]


@pytest.mark.parametrize(("pictures", "ranks"), amount([(8, 3), (11, 2)], DIVISIONS))
def test_a_line_is_dashed_if_several_ranks_share_the_sum(pictures, ranks):
    """All but one of the ranks' subtrees need an addition that is a message, and each addition has two lines."""
    (axes,) = figures.show_sum_tree(pictures, [ranks]).axes
    subtrees = sum(run_ranks(ranks, lambda communicator: len(SplitBatch(communicator, pictures).nodes)))
    assert len(lines(axes, dashed=True)) == 2 * (subtrees - 1)
    texts = [text.get_text() for text in axes.texts]
    assert [text for text in texts if text.isdigit()] == [str(n) for n in range(pictures)]
    assert texts.count("+") == pictures - 1
    assert [text for text in texts if text.startswith("rank ")] == [f"rank {rank}" for rank in range(ranks)]


@pytest.mark.parametrize("theme", [viz.LIGHT, viz.DARK], ids=["light", "dark"])
def test_texts_of_the_tree_are_apart_and_inside(theme):
    figure = figures.show_sum_tree(12, [1, 3], theme=theme)
    assert_texts_apart_and_inside(figure)
    assert "12 pictures; 1 rank: 0 dashed lines; 3 ranks: 4 dashed lines" in figure.alt


def test_the_same_tree_gives_the_same_bytes():
    assert len({figure_bytes(figures.show_sum_tree(5, [2])) for _ in range(2)}) == 1


@pytest.mark.parametrize(("pictures", "ranks"), [(0, [1]), (4, []), (4, [0]), (4, [2, 5])])
def test_show_sum_tree_rejects_ranks_without_a_picture(pictures, ranks):
    with pytest.raises(ShapeError, match="show_sum_tree"):
        figures.show_sum_tree(pictures, ranks)
