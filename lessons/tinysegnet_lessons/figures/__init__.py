"""Figures that only the lessons draw: arrays, kernels, the arrows of pooling, networks, source code.

Each function returns a matplotlib figure made without pyplot, or an object that a notebook can display.
"""

from .arrays import show_array, show_arrays
from .class_histogram import class_histogram_figure
from .feature_maps import show_feature_maps
from .gallery import show_gallery
from .gradient import show_gradient
from .heat import show_heat
from .kernels import show_kernel, show_kernel_sliding
from .ladder import show_ladder
from .lines import show_plot
from .live import LivePlot
from .network_diagram import show_costs, show_network
from .paths import show_paths
from .pixel import show_pixel
from .pool_arrows import show_pool_arrows
from .receptive_field_figure import show_receptive_field
from .roofline import RooflineDot, roofline_figure
from .samples import overlays_figure, show_batch, show_labels, show_picture, show_sample, show_worst
from .source_listing import SourceListing, show_source
from .strip_plot import show_strip_plot
from .sum_tree import show_sum_tree

__all__ = [
    "LivePlot",
    "RooflineDot",
    "SourceListing",
    "class_histogram_figure",
    "overlays_figure",
    "roofline_figure",
    "show_array",
    "show_arrays",
    "show_batch",
    "show_costs",
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
    "show_picture",
    "show_pixel",
    "show_plot",
    "show_pool_arrows",
    "show_receptive_field",
    "show_sample",
    "show_source",
    "show_strip_plot",
    "show_sum_tree",
    "show_worst",
]
