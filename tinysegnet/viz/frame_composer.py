"""Frames of one size for videos and animations: an overlay, and below it a legend that never moves."""

import numpy as np
from PIL import Image, ImageDraw

from ..data.palette import Palette
from .canvas import fitted, fitted_size, load_font, resized, text_width
from .legend import class_name
from .overlay import as_uint8, overlay
from .panels import scaled_image

BACKGROUND, INK, MUTED, EDGE = (24, 24, 28), (236, 236, 240), (160, 160, 170), (110, 110, 118)
NARROWEST = 320  # pixels; a legend needs this width to be legible


class FrameComposer:
    """Composes frames in which only the picture and the shares of the classes change.

    The legend lists all classes in the palette's order, each with its share of the picture's pixels. It is drawn once.

    Args:
        place: (H, W) of the place for the overlays in pixels. Pictures are scaled to fit into it, with dark bars.
        captions: Whether each frame has a line of text between the overlay and the legend.
    """

    def __init__(self, palette: Palette, place: tuple[int, int], *, captions: bool = False) -> None:
        self.palette, self.place = palette, place
        H, W = place
        width = max(W, NARROWEST)
        self.font_size = size = max(12, round(width / 52))
        self.line = round(2 * size)  # the height of a caption and of a row of the legend
        font, gap = load_font(size), round(0.6 * size)
        room = min(16 * size, width - 9 * size)
        names = [fitted(class_name(palette, k), size, room) for k in range(palette.num_classes)]
        cell = size + 2 * gap + max(text_width(text, font) for text in names) + text_width("100 %", font)
        columns = max(1, min(len(names), width // (cell + 2 * gap)))
        rows = -(-len(names) // columns)
        columns = -(-len(names) // rows)  # 10 entries become 5 + 5, not 6 + 4
        stride, top = width / columns, H + self.line * captions + gap
        # H.264 requires even sizes.
        self._blank = Image.new("RGB", (width + width % 2, -(-(top + rows * self.line + gap) // 2) * 2), BACKGROUND)
        draw, self._ends = ImageDraw.Draw(self._blank), []
        for k, text in enumerate(names):
            x, y = gap + round(k % columns * stride), top + round((k // columns + 0.5) * self.line)
            box = x, y - size // 2, x + size - 1, y - size // 2 + size - 1
            draw.rectangle(box, fill=palette.colors[k], outline=EDGE)
            draw.text((x + size + gap, y), text, INK, font, anchor="lm")
            self._ends.append((x + cell, y))

    def frame(self, image: np.ndarray, labels: np.ndarray, caption: tuple[str, str] = ("", "")) -> Image.Image:
        """Paint labels (H, W) over a picture (H, W, 3), and write the shares of the classes and the caption.

        The first text of the caption is at the left edge, and is shortened if it is too long. The second is at the
        right edge.
        """
        (H, W), frame, font = self.place, self._blank.copy(), load_font(self.font_size)
        fit = fitted_size(labels.shape, W, H)
        counts = np.bincount(labels.ravel(), minlength=self.palette.num_classes)
        if fit != (labels.shape[1], labels.shape[0]):  # scaling first keeps class boundaries one pixel wide
            image, labels = scaled_image(as_uint8(image), fit), resized(labels, fit)
        painted = Image.fromarray(overlay(image, labels, self.palette))
        frame.paste(painted, ((frame.width - fit[0]) // 2, (H - fit[1]) // 2))
        draw = ImageDraw.Draw(frame)
        for end, share in zip(self._ends, 100 * counts / counts.sum(), strict=False):
            draw.text(end, "< 1 %" if 0 < share < 0.5 else f"{share:.0f} %", MUTED, font, anchor="rm")
        if any(caption):
            edge, middle = round(0.8 * self.font_size), H + self.line / 2
            room = frame.width - 4 * edge - text_width(caption[1], font)
            draw.text((frame.width - edge, middle), caption[1], MUTED, font, anchor="rm")
            draw.text((edge, middle), fitted(caption[0], self.font_size, room), INK, font, anchor="lm")
        return frame
