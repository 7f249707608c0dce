"""The receptive field of a number inside a network, theoretical and effective."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from tinysegnet.models.network import Network
from tinysegnet.models.receptive_field import Box, receptive_field
from tinysegnet.viz.figures import LIGHT, Theme, both_themes, new_figure
from tinysegnet.viz.overlay import LUMA, as_uint8
from tinysegnet_lessons.influence import influence

__all__ = ["show_receptive_field"]

WIDE, EDGE, TOP, GAP = 4.6, 0.25, 0.72, 0.3  # inches; WIDE is the width of one picture
BOX, HEAT = "#ffd21f", (255, 138, 20)  # visible on any street


def show_receptive_field(
    image: np.ndarray,
    model: Network,
    layer_name: str,
    at: tuple[int, int],
    *,
    channel: int | None = None,
    theme: Theme = LIGHT,
) -> Figure:
    """Draw the receptive field of pixel `at` (row, column) of a layer's output on the picture (H, W, 3), twice.

    The left panel shows the theoretical field: all pixels that the layers can reach. The right panel shows the
    effective field: the absolute gradient of the number at `channel` (by default the largest) with respect to each
    pixel, at test time, and the smallest square that contains half of it. Raises SettingError if the network has no
    such layer or pixel.
    """
    picture = as_uint8(image)
    H, W = picture.shape[:2]
    box = receptive_field(model.layers, layer_name, at, (H, W))
    strength = influence(model.layers, layer_name, at, image, channel=channel)
    place = f"{layer_name}[{at[0]}, {at[1]}]"
    return _draw(picture, place, box, strength, theme=theme)


@both_themes
def _draw(picture: np.ndarray, place: str, box: Box, strength: np.ndarray, *, theme: Theme = LIGHT) -> Figure:
    (H, W), half = picture.shape[:2], half_box(strength)
    tall = WIDE * H / W
    figure = new_figure(2 * EDGE + 2 * WIDE + GAP, TOP + tall + EDGE, theme)
    figure.alt = (f"Receptive field of {place} in a picture of {H} x {W} pixels: {_words(box)} pixels from row "
                  f"{box.top}, column {box.left}; half of its gradient is in {_words(half)} pixels")  # fmt: skip
    left = _panel(figure, 0, tall, f"What {place} can see", f"{_words(box)} of {H} x {W} pixels", theme)
    left.imshow(_dimmed(picture, box), interpolation="nearest", aspect="auto")
    right = _panel(figure, 1, tall, "What it looks at", f"half of the gradient in {_words(half)} (dashed)", theme)
    right.imshow(_heated(picture, strength), interpolation="nearest", aspect="auto")
    for axes in (left, right):
        _outline(axes, box, "theoretical")
    _outline(right, half, "effective", dashed=True)
    return figure


def half_box(strength: np.ndarray) -> Box:
    """Return the smallest square around the centroid of an influence (H, W) that contains half of it."""
    total, (H, W) = strength.sum(), strength.shape
    if not total:
        return Box(0, 0, H, W)
    row, column = (round(float(strength.sum(1 - axis) @ np.arange(n) / total)) for axis, n in enumerate((H, W)))
    for reach in range(max(H, W)):
        box = Box(max(row - reach, 0), max(column - reach, 0), min(row + reach + 1, H), min(column + reach + 1, W))
        if strength[box.slices].sum() >= total / 2:
            break
    return box


def _words(box: Box) -> str:
    return "{} x {}".format(*box.size)


def _panel(figure: Figure, number: int, tall: float, title: str, note: str, theme: Theme) -> Axes:
    W, H = figure.get_size_inches()
    left = EDGE + number * (WIDE + GAP)
    axes = figure.add_axes((left / W, EDGE / H, WIDE / W, tall / H))
    axes.set_axis_off()
    where: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "parse_math": False}
    axes.annotate(title, (0, 1), (0, 22), color=theme.ink, fontsize=11, fontweight="bold", **where)
    axes.annotate(note, (0, 1), (0, 7), color=theme.muted, fontsize=9, **where)
    return axes


def _dimmed(picture: np.ndarray, box: Box) -> np.ndarray:
    """Return the picture, darkened and grey outside the box."""
    grey = (picture @ LUMA)[..., None].repeat(3, -1)
    out = 0.45 * grey
    out[box.slices] = picture[box.slices]
    return out.astype(np.uint8)


def _heated(picture: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """Return a dim grey picture that glows where the influence is."""
    grey = 20 + 0.4 * (picture @ LUMA)[..., None]
    most = np.percentile(strength[strength > 0], 99) if strength.any() else 1.0
    glow = np.clip(strength / most, 0, 1)[..., None] ** 0.5
    return (grey * (1 - glow) + np.array(HEAT) * glow).astype(np.uint8)


def _outline(axes: Axes, box: Box, name: str, *, dashed: bool = False) -> None:
    H, W = box.size
    style: dict[str, Any] = {"linestyle": (0, (3, 2))} if dashed else {}
    color = "#ffffff" if dashed else BOX
    patch = Rectangle((box.left - 0.5, box.top - 0.5), W, H, fill=False, edgecolor=color, linewidth=1.8, **style)
    patch.set_gid(name)
    patch.set_clip_on(False)
    patch.set_path_effects([withStroke(linewidth=3.2, foreground="#000000")])
    axes.add_patch(patch)
