from .contact_sheet import contact_sheet
from .curves import curves_figure, rate_curve_figure
from .figures import save_figure
from .image_bytes import Animation, index_picture, picture_bytes
from .legend import legend_strip
from .overlay import colour_map, error_picture, overlay
from .panels import labelled_picture, overlays_picture
from .score_figures import confusion_figure, per_class_figure
from .themes import DARK, LIGHT, Theme
from .uncertainty import uncertainty_picture

__all__ = ["DARK", "LIGHT", "Animation", "Theme", "colour_map", "confusion_figure", "contact_sheet", "curves_figure",
           "error_picture", "index_picture", "labelled_picture", "legend_strip", "overlay", "overlays_picture",
           "per_class_figure", "picture_bytes", "rate_curve_figure", "save_figure", "uncertainty_picture"]  # fmt: skip
