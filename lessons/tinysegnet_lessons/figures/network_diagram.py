"""A diagram of a network's layers and of the connections from encoder to decoder, and a figure of its costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tinysegnet.layers import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    DepthwiseConv2d,
    Layer,
    MaxPool2d,
    MaxUnpool2d,
    ReLU,
    SkipAdd,
    SkipSource,
    Upsample,
)
from tinysegnet.models import Network
from tinysegnet.models.summary import Summary
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, inches, new_figure, shortened

__all__ = ["show_costs", "show_network"]

CONVOLUTIONS = (Conv2d, ConvTranspose2d, DepthwiseConv2d)
WIDEST, EDGE, GAP, TALL, SHORT, BELOW = 11.0, 0.25, 0.055, 1.7, 0.42, 0.27  # inches
COSTS = {  # column of a summary -> title, unit, size of the unit
    "parameters": ("Parameters", "million", 1e6),
    "kept": ("Kept for backward", "MB", 1e6),
    "multiply_adds": ("Multiply-adds, forward", "billion", 1e9),
}


@dataclass
class _Block:
    """A layer as a bar, with its position and size in inches."""

    name: str
    layer: Layer
    shape: tuple[int, ...]
    width: float
    height: float
    x: float = 0.0

    @property
    def centre(self) -> float:
        return self.x + self.width / 2


@both_themes
def show_network(model: Network, size: tuple[int, int], *, theme: Theme = LIGHT) -> Figure:
    """Draw the layers for one picture of `size` (H, W), from left to right, and what crosses from encoder to decoder.

    Each layer is a bar, taller for larger maps and wider for more channels, both on a logarithmic scale. A convolution
    shows its number of output channels. Lines below the bars join a pool to the unpooling that uses its indices, and
    the layers between which maps cross. The lines' labels give the number of bytes stored.
    """
    blocks = _blocks(model, size)
    _lay_out(blocks)
    crossings = _crossings(blocks, model.summary(size))
    bottom = 0.55 + BELOW * len(crossings) + (0.15 if crossings else 0)
    right = max(blocks[-1].x + blocks[-1].width, _key_width(blocks, theme))
    figure = new_figure(right + EDGE, TALL + 0.3 + bottom, theme)
    figure.alt = _told(blocks, crossings, size)
    axes = _paper(figure)
    middle = bottom + TALL / 2
    for block in blocks:
        _draw_block(axes, block, middle, theme)
    _write_sizes(figure, axes, blocks, middle, theme)
    for depth, (start, end, text, maps) in enumerate(sorted(crossings, key=lambda c: c[1].x - c[0].x)):
        room = end.x - start.x - inches(text, 8.5)
        _draw_crossing(axes, start, end, maps, middle, y := bottom - 0.15 - BELOW * depth, theme)
        _name_crossing(axes, start.centre, end.centre, y, text, room > 0.4, "#c04a86" if maps else theme.C, theme)
    _draw_key(figure, axes, blocks, theme)
    return figure


def _told(blocks: list[_Block], crossings: list[tuple[_Block, _Block, str, bool]], size: tuple[int, int]) -> str:
    """Return the diagram as a text: the convolutions with their channels, and what crosses."""
    convolutions = [f"{block.name} {block.shape[3]}" for block in blocks if isinstance(block.layer, CONVOLUTIONS)]
    crossing = [f"{text} from {start.name} to {end.name}" for start, end, text, _ in crossings]
    return (f"Diagram of a network of {len(blocks)} layers for pictures of {size[0]} x {size[1]} pixels. Convolutions "
            f"and channels: {', '.join(convolutions)}. Across: {', '.join(crossing) or 'nothing'}")  # fmt: skip


def _blocks(model: Network, size: tuple[int, int]) -> list[_Block]:
    rows = [row for row in model.output_shapes((1, *size, 3)) if row[0] != "input"]
    heights = np.log2([shape[1] for *_, shape in rows])
    span = max(float(np.ptp(heights)), 1.0)
    tall = SHORT + (TALL - SHORT) * (heights - heights.max() + span) / span
    return [_Block(name, layer, shape, _width(layer, shape[3]), height)
            for (name, layer, _, shape), height in zip(rows, tall.tolist(), strict=True)]  # fmt: skip


def _width(layer: Layer, channels: int) -> float:
    return 0.09 + 0.025 * float(np.log2(channels)) if isinstance(layer, CONVOLUTIONS) else 0.06


def _lay_out(blocks: list[_Block]) -> None:
    """Place bars side by side, batch norm and ReLU next to their convolution, narrower if the page is small."""

    def place(scale: float) -> float:
        x = EDGE
        for number, block in enumerate(blocks):
            touches = isinstance(block.layer, (BatchNorm2d, ReLU))
            x += 0 if touches or number == 0 else GAP * scale * (3.2 if isinstance(block.layer, MaxUnpool2d) else 1)
            block.x, block.width = x, block.width * scale
            x += block.width
        return x + EDGE

    width = place(1.0)
    place(min(2.0, (WIDEST - 2 * EDGE) / (width - 2 * EDGE)))


def _paper(figure: Figure) -> Axes:
    """Return axes over the whole figure, measured in inches from its lower left corner."""
    axes = figure.add_axes((0, 0, 1, 1))
    width, height = figure.get_size_inches()
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return axes


def _kind(layer: Layer, theme: Theme) -> tuple[str, str]:
    """Return a layer's name and its colour."""
    kinds: dict[Any, tuple[str, str]] = {
        ConvTranspose2d: ("transposed convolution", theme.loss),
        CONVOLUTIONS: ("convolution", theme.mIoU),
        BatchNorm2d: ("batch norm", "#9db8e0"),
        ReLU: ("ReLU", theme.ink),
        MaxPool2d: ("max-pool", theme.C),
        MaxUnpool2d: ("max-unpool", theme.G),
        Upsample: ("interpolation", theme.muted),
        (SkipSource, SkipAdd): ("maps cross and are added", "#c04a86"),
    }
    return next((named for kind, named in kinds.items() if isinstance(layer, kind)), ("other", theme.muted))


def _draw_block(axes: Axes, block: _Block, middle: float, theme: Theme) -> None:
    corner = (block.x, middle - block.height / 2)
    patch = Rectangle(corner, block.width, block.height, facecolor=_kind(block.layer, theme)[1], edgecolor="none")
    patch.set_gid(block.name)
    axes.add_patch(patch)
    if isinstance(block.layer, CONVOLUTIONS):
        fontsize = min(9.0, 72 * block.width * 0.75)
        axes.text(block.centre, middle, str(block.shape[3]), rotation=90, ha="center", va="center", fontsize=fontsize,
                  color=theme.paper)  # fmt: skip


def _write_sizes(figure: Figure, axes: Axes, blocks: list[_Block], middle: float, theme: Theme) -> None:
    """Write height x width above the layers that share it, or the height alone where both do not fit."""
    runs: list[list[_Block]] = []
    for block in blocks:
        if runs and runs[-1][-1].shape[1:3] == block.shape[1:3]:
            runs[-1].append(block)
        else:
            runs.append([block])
    ends = [0.0, *(run[-1].x + run[-1].width for run in runs)]
    starts = [*(run[0].x for run in runs[1:]), figure.get_size_inches()[0]]
    for run, before, after in zip(runs, ends, starts, strict=False):
        centre = (run[0].x + run[-1].x + run[-1].width) / 2
        H, W = run[0].shape[1:3]
        text = f"{H} x {W}"
        text = text if inches(text, 8.5) + 0.04 < after - before else str(H)
        half = inches(text, 8.5) / 2 + 0.02
        centre = float(np.clip(centre, before + half, after - half))
        y = middle + max(block.height for block in run) / 2 + 0.08
        axes.text(centre, y, text, ha="center", va="bottom", fontsize=8.5, color=theme.muted)


def _crossings(blocks: list[_Block], summary: Summary) -> list[tuple[_Block, _Block, str, bool]]:
    """Return (from, to, label, whether maps cross) for each crossing."""
    waiting = {row.name: row.skip_bytes for row in summary.rows}
    by_layer = {id(block.layer): block for block in blocks}
    found = []
    for block in blocks:
        if type(block.layer) is MaxUnpool2d:
            start, maps = by_layer[id(block.layer.pool)], False
        elif isinstance(block.layer, SkipAdd):
            start, maps = by_layer[id(block.layer.source)], True
        else:
            continue
        found.append((start, block, f"{'maps' if maps else 'indices'}, {_bytes(waiting[start.name])}", maps))
    return found


def _bytes(count: int) -> str:
    return f"{count} B" if count < 10_000 else f"{count / 1e3:.1f} kB" if count < 100_000 else f"{count / 1e6:.2f} MB"


def _draw_crossing(axes: Axes, start: _Block, end: _Block, maps: bool, middle: float, y: float, theme: Theme) -> None:
    left, right = start.centre, end.centre
    tops = [middle - block.height / 2 - 0.03 for block in (start, end)]
    style: dict[str, Any] = {"color": "#c04a86" if maps else theme.C, "linewidth": 2.4 if maps else 1.2}
    axes.plot([left, left, right], [tops[0], y, y], **style)
    arrow = {"arrowstyle": "-|>", "shrinkA": 0, "shrinkB": 0, **style}
    axes.annotate("", (right, tops[1]), (right, y), arrowprops=arrow)


def _name_crossing(axes: Axes, left: float, right: float, y: float, text: str, inside: bool, color: str,
                   theme: Theme) -> None:  # fmt: skip
    """Write the label on the line, or to the right of a short one."""
    x, ha = ((left + right) / 2, "center") if inside else (right + 0.1, "left")
    box = {"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5}
    axes.text(x, y, text, ha=ha, va="center", fontsize=8.5, color=color, bbox=box, zorder=6)


def _draw_key(figure: Figure, axes: Axes, blocks: list[_Block], theme: Theme) -> None:
    x = EDGE
    for text, color in _key(blocks, theme):
        axes.text(x, 0.16, "■", fontsize=9, color=color, va="center")
        axes.text(x + 0.15, 0.16, text, fontsize=8.5, color=theme.muted, va="center")
        x += inches(text, 8.5) + 0.42


def _key(blocks: list[_Block], theme: Theme) -> list[tuple[str, str]]:
    return list(dict.fromkeys(_kind(block.layer, theme) for block in blocks))


def _key_width(blocks: list[_Block], theme: Theme) -> float:
    """Return where the last text ends, in inches."""
    return EDGE + sum(inches(text, 8.5) + 0.42 for text, _ in _key(blocks, theme)) - 0.27


@both_themes
def show_costs(model: Network, size: tuple[int, int], *, theme: Theme = LIGHT) -> Figure:
    """Draw parameters, memory and work in three panels, with one bar per convolution and its share in percent.

    The costs are for one picture of `size` (H, W). Batch norms, ReLUs and pools count with the convolution before them.
    """
    rows = list(_grouped(model.summary(size)))
    names = [shortened(name) for name, _ in rows]
    figure = new_figure(WIDEST, height := 0.23 * len(rows) + 0.85, theme)
    left = 0.3 + max(inches(name, 9) for name in names)
    width = (WIDEST - left) / len(COSTS)
    told = []
    for number, (column, (title, unit, one)) in enumerate(COSTS.items()):
        place = ((left + number * width) / WIDEST, 0.1 / height, (width - 0.3) / WIDEST, 1 - 0.75 / height)
        axes = figure.add_axes(place)
        values = np.array([costs[column] for _, costs in rows]) / one
        axes.annotate(title, (0, 1), (0, 22), xycoords="axes fraction", textcoords="offset points", fontsize=11,
                      fontweight="bold", color=theme.ink)  # fmt: skip
        axes.annotate(f"{values.sum():.4g} {unit}", (0, 1), (0, 8), xycoords="axes fraction",
                      textcoords="offset points", fontsize=9, color=theme.muted)  # fmt: skip
        _draw_bars(axes, values, names if number == 0 else None, theme)
        most = int(values.argmax())
        told.append(f"{title} {values.sum():.4g} {unit}, most in {names[most]} ({values[most] / values.sum():.0%})")
    figure.alt = f"Bars of the costs of {len(rows)} convolutions. {'; '.join(told)}"
    return figure


def _grouped(summary: Summary) -> Iterator[tuple[str, dict[str, int]]]:
    """Return the costs of each convolution together with the layers after it."""
    name, costs, begun = "", dict.fromkeys(COSTS, 0), False
    for row in summary.rows:
        if row.multiply_adds and begun:
            yield name, costs
            costs = dict.fromkeys(COSTS, 0)
        if row.multiply_adds:
            name, begun = row.name, True
        costs = {column: value + getattr(row, column) for column, value in costs.items()}
    yield name, costs


def _draw_bars(axes: Axes, values: np.ndarray, names: list[str] | None, theme: Theme) -> None:
    axes.barh(range(len(values)), values, height=0.74, color=theme.mIoU)
    axes.set(xlim=(0, 1.22 * values.max()), ylim=(len(values) - 0.4, -0.6), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_facecolor(theme.paper)
    style: dict[str, Any] = {"va": "center", "textcoords": "offset points"}
    for row, value in enumerate(values):
        share = 100 * value / values.sum()
        text = f"{share:.0f} %" if share >= 0.5 else "< 1 %"
        axes.annotate(text, (value, row), (4, 0), fontsize=8, color=theme.muted, **style)
        if names is not None:
            axes.annotate(names[row], (0, row), (-6, 0), ha="right", fontsize=9, color=theme.ink, **style)
