"""Pictures of what a net sees, says and gets wrong. Nothing here computes; it only shows.

Pixels are exact where pixels matter: overlays, legends and label maps are composed with NumPy and Pillow. Diagrams
(curves, bars) are matplotlib figures made without pyplot, so the same call works in a script, a notebook and a test.
"""

from .curves import curves_figure, per_class_figure
from .figures import DARK, LIGHT, Theme, save_figure
from .legend import legend_strip
from .overlay import colour_map, error_picture, overlay
from .pictures import labelled_picture, overlays_figure, overlays_picture, show_labels, show_sample

__all__ = [
    "DARK",
    "LIGHT",
    "Theme",
    "colour_map",
    "curves_figure",
    "error_picture",
    "labelled_picture",
    "legend_strip",
    "overlay",
    "overlays_figure",
    "overlays_picture",
    "per_class_figure",
    "save_figure",
    "show_labels",
    "show_sample",
]
