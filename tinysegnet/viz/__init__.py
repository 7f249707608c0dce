"""Pictures of what a net sees, says and gets wrong. Nothing here computes; it only shows.

Pixels are exact where pixels matter: overlays, legends and label maps are composed with NumPy and Pillow. Diagrams
(curves, bars) are matplotlib figures made without pyplot, so the same call works in a script, a notebook and a test.
"""

from .arrays import show_array, show_arrays
from .curves import curves_figure, per_class_figure
from .dots import show_dots
from .doubt import doubt_picture
from .feature_maps import show_feature_maps
from .figures import DARK, LIGHT, Theme, save_figure
from .files import Animation, index_picture, picture_bytes
from .gallery import show_gallery
from .gradient import show_gradient
from .heat import show_heat
from .kernels import show_kernel, show_kernel_sliding
from .ladder import show_ladder
from .legend import legend_strip
from .lines import show_plot
from .live import LivePlot
from .matrix import class_histogram_figure, confusion_figure
from .network import show_costs, show_network
from .overlay import colour_map, error_picture, overlay
from .paths import show_paths
from .pictures import labelled_picture, overlays_figure, overlays_picture, show_labels, show_sample
from .pixel import show_pixel
from .pool_arrows import show_pool_arrows
from .receptive_field import show_receptive_field
from .samples import show_batch, show_worst
from .source import Source, show_source
from .speed import Dot, profile_figure, roofline_figure

__all__ = [
    "DARK",
    "LIGHT",
    "Animation",
    "Dot",
    "LivePlot",
    "Source",
    "Theme",
    "class_histogram_figure",
    "colour_map",
    "confusion_figure",
    "curves_figure",
    "doubt_picture",
    "error_picture",
    "index_picture",
    "labelled_picture",
    "legend_strip",
    "overlay",
    "overlays_figure",
    "overlays_picture",
    "per_class_figure",
    "picture_bytes",
    "profile_figure",
    "roofline_figure",
    "save_figure",
    "show_array",
    "show_arrays",
    "show_batch",
    "show_costs",
    "show_dots",
    "show_feature_maps",
    "show_gallery",
    "show_gradient",
    "show_heat",
    "show_kernel",
    "show_kernel_sliding",
    "show_labels",
    "show_ladder",
    "show_network",
    "show_paths",
    "show_pixel",
    "show_plot",
    "show_pool_arrows",
    "show_receptive_field",
    "show_sample",
    "show_source",
    "show_worst",
]
