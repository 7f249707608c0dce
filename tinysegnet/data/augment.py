"""Random changes of a sample that leave its meaning alone: flip, scale and crop, colour jitter.

Scale and crop are one resize. Enlarging the picture s times and cropping it to `size` shows the same pixels as cutting
a box of 1/s of the size out of the original and resizing it to `size`. Pillow does the latter in one antialiased pass,
with fractional positions. Picture (bilinear) and labels (nearest) use the same box, and both sample at pixel centres:
output x corresponds to box_left + (x + 1/2) * box_width / W.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ..errors import SettingError
from ..runtime.settings import convert_fields
from .sample import Sample

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the original, as Pillow has it

_LUMA = np.array([0.299, 0.587, 0.114])  # how bright red, green and blue look (ITU-R BT.601)


@dataclass(frozen=True)
class Augment:
    """Draws a random flip, box and colour change per call; calling it gives image and labels of `size`.

    Args:
        flip: probability of mirroring left-right.
        scale: (low, high) >= 1: the picture is enlarged to a random scale times `size`, then cropped to `size`;
            (1, 1) shows it whole.
        color_jitter: strength j: brightness, contrast and saturation are each multiplied by a random factor in
            [1 - j, 1 + j]; 0 for none.
    """

    flip: float = 0.5
    scale: tuple[float, float] = (1.0, 1.5)
    color_jitter: float = 0.2

    def __post_init__(self) -> None:
        convert_fields(self)
        if not 0 <= self.flip <= 1:
            raise SettingError(f"flip: {self.flip} (expected a probability, 0..1)")
        if not 1 <= self.scale[0] <= self.scale[1]:
            raise SettingError(f"scale: {self.scale} (expected 1 <= low <= high): below 1 the picture leaves a border")
        if not 0 <= self.color_jitter < 1:
            raise SettingError(f"color_jitter: {self.color_jitter} (expected 0 <= strength < 1)")

    def __call__(
        self, sample: Sample, *, rng: np.random.Generator, size: tuple[int, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sample -> image (H, W, 3) uint8 and labels (H, W) uint8 with (H, W) = size."""
        # All numbers are drawn whatever the settings, so that disabling one change keeps the others.
        flip, zoom, left, top = rng.random(4)
        factors = 1 + self.color_jitter * rng.uniform(-1, 1, 3)
        s = self.scale[0] + zoom * (self.scale[1] - self.scale[0])
        H, W = sample.labels.shape
        height, width = H / s, W / s
        x, y = left * (W - width), top * (H - height)
        box = x, y, min(x + width, W), min(y + height, H)  # rounding must not exceed the picture
        image, labels = _resize(sample, size, box)
        if self.color_jitter:
            image = _jitter(image, *factors)
        if flip < self.flip:
            image, labels = (picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in (image, labels))
        return np.asarray(image), np.asarray(labels)


def resize_sample(sample: Sample, size: tuple[int, int], box: Box | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The box (default: all) of a sample, resized to size (H, W): image uint8 (H, W, 3) and labels (H, W).

    The image is averaged (bilinear, antialiased). Labels are picked (nearest), so no new class numbers appear.
    """
    image, labels = _resize(sample, size, box)
    return np.asarray(image), np.asarray(labels)


def _resize(sample: Sample, size: tuple[int, int], box: Box | None) -> tuple[Image.Image, Image.Image]:
    H, W = size  # NumPy has rows first, Pillow columns
    image = Image.fromarray(sample.image).resize((W, H), Image.Resampling.BILINEAR, box=box)
    labels = Image.fromarray(sample.labels).resize((W, H), Image.Resampling.NEAREST, box=box)
    return image, labels


def _jitter(image: Image.Image, brightness: float, contrast: float, saturation: float) -> Image.Image:
    """All three are affine in the colour, so together they are one 3x3 matrix and an offset.

    saturation: x -> grey(x) + saturation * (x - grey(x)).  contrast: x -> mean + contrast * (x - mean).
    brightness: x -> brightness * x.  Pillow applies the matrix and clips to 0..255.
    """
    mix = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
    mean = np.asarray(image.resize((1, 1), Image.Resampling.BOX))[0, 0] @ _LUMA
    offset = brightness * (1 - contrast) * mean
    matrix = np.column_stack([brightness * contrast * mix, np.full(3, offset)])
    return image.convert("RGB", tuple(matrix.ravel().tolist()))
