"""The files that `predict` writes: label maps as palette PNGs, and the overlays of a folder as an animation."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ..data.palette import Palette
from .canvas import fitted, fitted_size, load_font, resized, text_width
from .legend import legend_strip
from .overlay import as_uint8, overlay

BAR, INK, MUTED, TRACK = (24, 24, 28), (236, 236, 240), (160, 160, 170), (64, 64, 70)
LONGEST, SHORTEST = 640, 160  # pixels; maximum of a frame's longer side, minimum of either side
LINE = 26  # height in pixels of the line with a frame's name


def index_picture(labels: np.ndarray, palette: Palette) -> Image.Image:
    """Return labels (H, W) uint8 as a palette picture: its values are class numbers, and viewers show their colours."""
    picture = Image.fromarray(np.ascontiguousarray(labels, np.uint8))
    picture.putpalette(palette.lookup_table().tobytes())  # changes the mode to P and keeps the values
    return picture


def picture_bytes(picture: Image.Image, format: str = "PNG", **options: Any) -> bytes:
    """Encode the picture in this format, with Pillow's options."""
    if format == "PNG":  # level 6, Pillow's default, takes more than twice as long and makes an overlay 3 % smaller
        options = {"compress_level": 4, **options}
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def data_uri(kind: str, data: bytes) -> str:
    """Return the file of a picture as an address for HTML; its kind is "png", "jpeg" or "svg+xml"."""
    return f"data:image/{kind};base64," + base64.b64encode(data).decode()


class Animation:
    """Overlays of many pictures as one GIF that repeats forever; all frames have the first picture's shape.

    count: the maximum number of pictures. Frames have 256 colours, so that each takes less than 1 MB of memory.
    """

    def __init__(self, palette: Palette, count: int) -> None:
        self.palette, self.count = palette, count
        self.frames: list[Image.Image] = []
        self.size: tuple[int, int] | None = None  # (H, W) of the overlays

    def add(self, image: np.ndarray, labels: np.ndarray, name: str, number: int) -> None:
        """Append the overlay of picture `number` of `count`: image (H, W, 3), labels (H, W)."""
        H, W = self.size = self.size or _frame_size(*labels.shape)
        # Pictures of other shapes are fitted in with dark bars. Scaling before painting keeps class boundaries one
        # pixel wide.
        fit = fitted_size(labels.shape, W, H)
        small = np.asarray(Image.fromarray(as_uint8(image)).resize(fit, Image.Resampling.LANCZOS))
        painted = Image.fromarray(overlay(small, resized(labels, fit), self.palette))
        legend = Image.fromarray(legend_strip(self.palette, W, font_size=13, void=False))
        frame = Image.new("RGB", (W, H + LINE + legend.height), BAR)
        frame.paste(painted, ((W - fit[0]) // 2, (H - fit[1]) // 2))
        frame.paste(legend, (0, H + LINE))
        _write_line(frame, H, name, number, self.count)
        self.frames.append(_in_256_colours(frame, painted, self.palette))

    def to_bytes(self) -> bytes:
        """Return the GIF file. It lasts half a minute if frames of 0.1 to 0.7 seconds allow this."""
        pause = min(max(30_000 // len(self.frames), 100), 700)  # milliseconds
        first, *others = self.frames
        return picture_bytes(first, "GIF", save_all=True, append_images=others, duration=pause, loop=0)


def _frame_size(H: int, W: int) -> tuple[int, int]:
    """Return (H, W) of the frames: the proportions of the first picture, and 320 to 640 pixels on the longer side."""
    factor = min(max(1.0, LONGEST / 2 / max(H, W)), LONGEST / max(H, W))
    return max(SHORTEST, round(H * factor)), max(SHORTEST, round(W * factor))


def _in_256_colours(frame: Image.Image, painted: Image.Image, palette: Palette) -> Image.Image:
    """Reduce a frame to 256 colours: the class colours, which must not be lost, greys, and colours of the overlay."""
    own = [channel for color in palette.colors[:128] for channel in color]
    greys = [level for level in range(0, 256, 17) for _ in range(3)]
    free = 256 - (len(own) + len(greys)) // 3
    chosen = painted.quantize(free, dither=Image.Dither.NONE).getpalette() or []
    table = Image.new("P", (1, 1))
    table.putpalette(own + greys + chosen[: 3 * free])
    return frame.quantize(palette=table, dither=Image.Dither.NONE)


def _write_line(frame: Image.Image, top: int, name: str, number: int, count: int) -> None:
    """Write name and number, and draw a progress bar. The number prevents equal frames from being merged."""
    draw, font, W = ImageDraw.Draw(frame), load_font(13), frame.width
    place, middle, bottom = f"{number} / {count}", top + LINE / 2 - 1, top + LINE
    draw.text((W - 10, middle), place, MUTED, font, anchor="rm")
    draw.text((10, middle), fitted(name, 13, W - 40 - text_width(place, font)), INK, font, anchor="lm")
    draw.rectangle((0, bottom - 2, W, bottom - 1), fill=TRACK)
    draw.rectangle((0, bottom - 2, round(W * number / count), bottom - 1), fill=MUTED)
