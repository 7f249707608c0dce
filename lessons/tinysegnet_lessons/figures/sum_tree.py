"""The fixed tree in which pictures are added, with the parts that each rank computes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tinysegnet.errors import ShapeError
from tinysegnet.runtime.distributed import share
from tinysegnet.viz.figures import DARK_WINDOWS, LIGHT, LIGHT_WINDOWS, Theme, both_themes, new_figure

__all__ = ["show_sum_tree"]

PANEL, GAP, EDGE, ROW = 4.3, 0.35, 0.2, 0.62  # inches
TOP, BOTTOM = 0.55, 0.42  # inches above and below the circles' rows
RADIUS = 0.15  # of a circle, in inches


@both_themes
def show_sum_tree(pictures: int, ranks: Sequence[int], *, theme: Theme = LIGHT) -> Figure:
    """Draw the pairwise tree over pictures once for each number of ranks, with the ranks in colours.

    A circle with a number is a picture, one with a plus is a sum. Neighbours are added in each row from the bottom up;
    the last of an odd row moves up unchanged. Sums over pictures of several ranks need messages: their lines are
    dashed. Raises ShapeError unless there is a picture for each rank.
    """
    if not ranks or any(not 1 <= count <= pictures for count in ranks):
        raise ShapeError(f"show_sum_tree: each rank needs a picture, got {pictures} pictures and {list(ranks)} ranks")
    rows = _rows(pictures)
    height = TOP + ROW * (len(rows) - 1) + 2 * RADIUS + BOTTOM
    width = 2 * EDGE + len(ranks) * PANEL + (len(ranks) - 1) * GAP
    figure = new_figure(width, height, theme)
    told = []
    for number, count in enumerate(ranks):
        axes = figure.add_axes(((EDGE + number * (PANEL + GAP)) / width, 0, PANEL / width, 1))
        axes.set(xlim=(0, PANEL), ylim=(0, height), aspect="equal")
        axes.set_axis_off()
        shares = [share(pictures, rank, count) for rank in range(count)]
        messages = f"{_draw(axes, rows, shares, theme)} dashed lines"
        title = f"{count} rank{'s' * (count > 1)}"
        axes.text(0, height - 0.3, title, fontsize=11, fontweight="bold", color=theme.ink)
        told.append(f"{title}: {messages}")
    figure.alt = f"The same tree of sums over {pictures} pictures; {'; '.join(told)}"
    return figure


def _rows(pictures: int) -> list[list[tuple[float, int, int]]]:
    """Return the nodes of each row, from the bottom: the place in pictures, and the first and last picture."""
    rows = [[(float(k), k, k) for k in range(pictures)]]
    while len(rows[-1]) > 1:
        low = rows[-1]
        pairs = [((a[0] + b[0]) / 2, a[1], b[2]) for a, b in zip(low[::2], low[1::2], strict=False)]
        rows.append(pairs + low[len(low) - len(low) % 2 :])
    return rows


def _draw(axes: Axes, rows: list[list[tuple[float, int, int]]], shares: list[range], theme: Theme) -> int:
    """Draw one tree for ranks with these pictures, and return how many lines are messages."""
    pictures, crossing = len(rows[0]), 0
    colors = LIGHT_WINDOWS if theme == LIGHT else DARK_WINDOWS
    step = min((PANEL - 2 * RADIUS - 0.1) / max(pictures - 1, 1), 0.6)
    left = (PANEL - step * (pictures - 1)) / 2

    def place(row: int, k: int) -> tuple[float, float]:
        return left + step * rows[row][k][0], BOTTOM + RADIUS + ROW * row

    def owner(row: int, k: int) -> int | None:
        """Return the rank that adds a node alone, or None."""
        _, first, last = rows[row][k]
        return next((rank for rank, own in enumerate(shares) if first in own and last in own), None)

    for row in range(1, len(rows)):
        for k in range(len(rows[row])):
            x, y = place(row, k)
            children = range(2 * k, min(2 * k + 2, len(rows[row - 1])))
            for child in children:
                message = owner(row, k) is None and len(children) > 1
                crossing += message
                own = owner(row - 1, child)
                color = theme.ink if own is None else colors[own % len(colors)]
                axes.plot(*zip(place(row - 1, child), (x, y), strict=True), color=color, linewidth=1.6, zorder=1,
                          linestyle=(0, (3, 2)) if message else "solid")  # fmt: skip
    for row, nodes in enumerate(rows):
        for k in range(len(nodes)):
            if row and len(rows[row - 1]) % 2 and k == len(nodes) - 1:
                continue  # the last of an odd row moves up; the line shows it
            own = owner(row, k)
            color = theme.ink if own is None else colors[own % len(colors)]
            x, y = place(row, k)
            axes.plot(x, y, "o", markersize=2 * 72 * RADIUS, markeredgewidth=1.6, color=color, zorder=2,
                      markerfacecolor=color if row == 0 else theme.paper)  # fmt: skip
            axes.text(x, y - 0.005, str(k) if row == 0 else "+", ha="center", va="center_baseline", zorder=3,
                      fontsize=9 if row == 0 else 11, color=theme.paper if row == 0 else color)  # fmt: skip
    for rank, own_pictures in enumerate(shares):
        middle = left + step * (own_pictures[0] + own_pictures[-1]) / 2
        axes.text(middle, 0.12, f"rank {rank}", ha="center", fontsize=9, color=colors[rank % len(colors)])
    return crossing
