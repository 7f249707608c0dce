"""Frames of one size for videos and animations: an overlay, and below it a legend that never moves."""

import numpy as np
from PIL import Image

from ..data.palette import Palette
from .canvas import fitted, fitted_size, load_font, resized, stacked, text_row, text_width
from .legend import legend_strip
from .overlay import as_uint8, overlay
from .panels import scaled_image
from .themes import DARK

NARROWEST = 320  # pixels; a legend needs this width to be legible


class FrameComposer:
    """Composes frames in which only the picture and the shares of the classes change.

    The legend lists all classes in the palette's order, each with its share of the picture's pixels.

    Args:
        place: (H, W) of the place for the overlays in pixels. Pictures are scaled to fit into it, with dark bars.
        captions: Whether each frame has a line of text between the overlay and the legend.
    """

    def __init__(self, palette: Palette, place: tuple[int, int], *, captions: bool = False) -> None:
        self.palette, self.place, self.captions = palette, place, captions
        self.width = -(-max(place[1], NARROWEST) // 2) * 2  # H.264 requires even sizes
        self.font_size = max(12, round(self.width / 52))

    def frame(self, image: np.ndarray, labels: np.ndarray, caption: tuple[str, str] = ("", "")) -> Image.Image:
        """Paint labels (H, W) over a picture (H, W, 3), and write the caption and the shares of the classes.

        The first text of the caption is at the left edge, and is shortened if it is too long. The second is at the
        right edge.
        """
        (H, W), size, edge = self.place, self.font_size, round(0.8 * self.font_size)
        fit = fitted_size(labels.shape, W, H)
        counts = np.bincount(labels.ravel(), minlength=self.palette.num_classes + 1)
        if fit != (labels.shape[1], labels.shape[0]):  # scaling first keeps class boundaries one pixel wide
            image, labels = scaled_image(as_uint8(image), fit), resized(labels, fit)
        rows = [Image.new("RGB", (self.width, H), DARK.paper)]
        rows[0].paste(Image.fromarray(overlay(image, labels, self.palette)),
                      ((self.width - fit[0]) // 2, (H - fit[1]) // 2))  # fmt: skip
        if self.captions:
            name = fitted(caption[0], size, self.width - 4 * edge - text_width(caption[1], load_font(size)))
            texts = (edge, name, DARK.ink, "lm"), (self.width - edge, caption[1], DARK.muted, "rm")
            rows.append(text_row(texts, self.width, size, DARK.paper))
        rows.append(Image.fromarray(legend_strip(self.palette, self.width, counts=counts, font_size=size, every=True,
                                                 theme=DARK)))  # fmt: skip
        frame = stacked(rows, self.width, DARK.paper)
        return frame.crop((0, 0, frame.width, frame.height + frame.height % 2))
