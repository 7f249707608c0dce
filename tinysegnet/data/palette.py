"""The names and colours of the classes.

A label map is an (H, W) uint8 array of class numbers, displayed in the colours of a `Palette`. `CAMVID` has the eleven
classes of the SegNet papers in the authors' colours (SegNet-Tutorial, Scripts/test_segmentation_camvid.py).
"""

import colorsys
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from ..errors import DataError

Color = tuple[int, int, int]

ERROR_RED: Color = (226, 40, 48)  # marks wrong pixels, so classes get other colours
_NEAR_RED = 70  # the distance in RGB within which an automatic colour could be mistaken for ERROR_RED


@dataclass(frozen=True)
class Palette:
    """Names and colours of the classes 0, 1, ..., and the label that means "not labelled" ("void")."""

    names: tuple[str, ...]  # one per class
    colors: tuple[Color, ...]  # (R, G, B) in 0..255, one per class
    ignore_label: int | None = None  # the value of void pixels, or None if every pixel has a class
    ignore_color: Color = (0, 0, 0)

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colors):
            raise DataError(f"palette: {len(self.names)} names but {len(self.colors)} colours. Use equal numbers.")
        if self.ignore_label is not None and 0 <= self.ignore_label < len(self.names):
            name = self.names[self.ignore_label]
            raise DataError(f"ignore_label: {self.ignore_label} is the number of the class {name}. Choose another.")

    @property
    def num_classes(self) -> int:
        """The number of classes, not counting void."""
        return len(self.names)

    def lookup_table(self) -> np.ndarray:
        """Return the colour of every label value, (256, 3) uint8. Values that are not classes get the void colour."""
        table = np.full((256, 3), self.ignore_color, np.uint8)
        table[: self.num_classes] = self.colors
        return table

    def colorize(self, labels: np.ndarray) -> np.ndarray:
        """Convert a label map (..., H, W) to a picture (..., H, W, 3) uint8."""
        return self.lookup_table().take(labels, axis=0)  # a third of the time of indexing

    def with_colors(self, kind: str) -> "Palette":
        """Return this palette ("own"), or a copy with SAFE_COLORS, followed by `distinct_colors` ("safe")."""
        if kind == "own":
            return self
        colors = SAFE_COLORS + distinct_colors(self.num_classes - len(SAFE_COLORS), SAFE_COLORS)
        return replace(self, colors=colors[: self.num_classes], ignore_color=(0, 0, 0))


#: the 11 classes of CamVid in the order and colours of the SegNet authors
CAMVID = Palette(
    names=("Sky", "Building", "Pole", "Road", "Pavement", "Tree",
           "SignSymbol", "Fence", "Car", "Pedestrian", "Bicyclist"),
    colors=((128, 128, 128), (128, 0, 0), (192, 192, 128), (128, 64, 128), (60, 40, 222), (128, 128, 0),
            (192, 128, 128), (64, 64, 128), (64, 0, 128), (64, 64, 0), (0, 128, 192)),
    ignore_label=11,
)  # fmt: skip

# People with any colour vision can tell these colours apart. A search maximised their smallest distance in CIELAB for
# normal vision and simulated protanopia, deuteranopia and tritanopia (Machado et al. 2009), with the condition that
# CamVid's sky is blue, its trees are green, and so on.
SAFE_COLORS: tuple[Color, ...] = (
    (180, 195, 255), (105, 0, 0), (150, 255, 210), (90, 45, 75), (180, 135, 150), (75, 150, 75), (255, 255, 0),
    (15, 0, 90), (0, 0, 255), (240, 150, 30), (180, 0, 195), (105, 105, 150), (240, 210, 135), (30, 60, 120),
    (240, 90, 255), (135, 60, 60), (150, 60, 255), (180, 180, 135), (255, 60, 195), (195, 255, 105),
)  # fmt: skip

# The classes among CamVid's 32 that form each of the eleven classes. All other classes are void. The table follows
# other loaders of CamVid, because the authors of SegNet did not publish theirs.
CAMVID_MERGE = {
    "Sky": ("Sky",),
    "Building": ("Building", "Bridge", "Wall", "Tunnel", "Archway"),
    "Pole": ("Column_Pole", "TrafficCone"),
    "Road": ("Road", "LaneMkgsDriv", "LaneMkgsNonDriv"),
    "Pavement": ("Sidewalk", "ParkingBlock", "RoadShoulder"),
    "Tree": ("Tree", "VegetationMisc"),
    "SignSymbol": ("SignSymbol", "Misc_Text", "TrafficLight"),
    "Fence": ("Fence",),
    "Car": ("Car", "SUVPickupTruck", "Truck_Bus", "Train", "OtherMoving"),
    "Pedestrian": ("Pedestrian", "Child", "CartLuggagePram", "Animal"),
    "Bicyclist": ("Bicyclist", "MotorcycleScooter"),
}


def distinct_colors(count: int, taken: Iterable[Color] = ()) -> tuple[Color, ...]:
    """Return `count` fixed colours that differ from each other, from the taken ones, from black and from ERROR_RED.

    The hue advances by the golden angle, so that similar hues are far apart in the sequence.
    """
    seen, k, golden = {*taken}, 0, (5**0.5 - 1) / 2
    colors: list[Color] = []
    while len(colors) < count:
        for hue in (k * golden, k * golden + 0.5):  # the complementary hue replaces hues near ERROR_RED
            parts = colorsys.hsv_to_rgb(hue, (0.75, 0.45)[k // 3 % 2], (0.95, 0.7, 0.5)[k % 3])
            color = round(255 * parts[0]), round(255 * parts[1]), round(255 * parts[2])
            if math.dist(color, ERROR_RED) > _NEAR_RED:
                break
        if color not in seen:
            colors.append(color)
        seen.add(color)
        k += 1
    return tuple(colors)
