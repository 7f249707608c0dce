"""The colours of figures on light and dark pages. Overlays need them without the slow import of matplotlib figures."""

from dataclasses import dataclass
from typing import Any

from matplotlib.colors import to_rgb


@dataclass(frozen=True)
class Theme:
    """The colours of a diagram: paper, ink, muted ink, grid, and one colour per curve."""

    paper: str
    ink: str
    muted: str
    grid: str
    loss: str
    G: str
    C: str
    mIoU: str


#: The theme of figures on a white page.
LIGHT = Theme("#ffffff", "#1d1d22", "#6b6b74", "#e4e4e8", loss="#7a4fc4", G="#a35a00", C="#1b7f5c", mIoU="#1f62d0")
#: The theme of figures on a dark page.
DARK = Theme("#17181c", "#ececf0", "#a0a0aa", "#34353b", loss="#b394f0", G="#e8a33d", C="#4cc39a", mIoU="#76a8ff")


def readable(cell: Any, theme: Theme) -> str:
    """Return the colour of paper or ink, whichever has more contrast with this cell colour."""

    def luminance(color: Any) -> float:  # WCAG 2, 0..1
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(color: str) -> float:
        low, high = sorted((luminance(color), luminance(cell)))
        return (high + 0.05) / (low + 0.05)

    return max((theme.paper, theme.ink), key=contrast)
