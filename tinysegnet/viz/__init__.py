"""Pictures of what a network sees, predicts and gets wrong. Nothing in this package runs a network.

Overlays, legends and label maps are composed with NumPy and Pillow, so that their pixels are exact. Diagrams (curves,
bars) are matplotlib figures made without pyplot, so that the same call works in scripts, notebooks and tests.
"""

from ..runtime.lazy_imports import import_lazily

TYPE_CHECKING = False  # as in `typing`, which takes time to import
if TYPE_CHECKING:
    from .bars import per_class_figure
    from .contact_sheet import contact_sheet
    from .curves import curves_figure
    from .figures import save_figure
    from .image_bytes import Animation, index_picture, picture_bytes
    from .legend import legend_strip
    from .matrix import confusion_figure
    from .overlay import colour_map, error_picture, overlay
    from .panels import labelled_picture, overlays_picture
    from .rate_curve import rate_curve_figure
    from .themes import DARK, LIGHT, Theme
    from .uncertainty import uncertainty_picture

__all__ = ["DARK", "LIGHT", "Animation", "Theme", "colour_map", "confusion_figure", "contact_sheet", "curves_figure",
           "error_picture", "index_picture", "labelled_picture", "legend_strip", "overlay", "overlays_picture",
           "per_class_figure", "picture_bytes", "rate_curve_figure", "save_figure", "uncertainty_picture"]  # fmt: skip

import_lazily(
    __name__,
    bars="per_class_figure",
    contact_sheet="contact_sheet",
    curves="curves_figure",
    figures="save_figure",
    image_bytes="Animation index_picture picture_bytes",
    legend="legend_strip",
    matrix="confusion_figure",
    overlay="colour_map error_picture overlay",
    panels="labelled_picture overlays_picture",
    rate_curve="rate_curve_figure",
    themes="DARK LIGHT Theme",
    uncertainty="uncertainty_picture",
)
