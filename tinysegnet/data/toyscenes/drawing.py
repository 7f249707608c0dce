"""The graphics of the toy scenes: a camera, a canvas, flat sheets to draw on, and the light.

Positions are in metres: x to the right, y up, z away from the camera, with the ground at y = 0. `Canvas` contains two
drawings of the same polygons, the picture and the label map, both enlarged by `OVERSAMPLING`. `develop` reduces them: a
pixel's colour is the mean of its fine pixels, so edges are smooth, and its label is the class of the central fine
pixel, so labels are exact.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ..palette import CAMVID
from .paints import Color, between, mix

OVERSAMPLING = 3  # odd, so that a pixel has a central fine pixel
NEAR = 0.7  # metres; points closer to the camera are projected as if they were this far away
CIRCLE = [(math.cos(2 * math.pi * i / 16), math.sin(2 * math.pi * i / 16)) for i in range(16)]

Point = tuple[float, float]

SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, CYCLIST = range(CAMVID.num_classes)
VOID = 11
assert CAMVID.ignore_label == VOID

# The texture of five classes: fine grain, horizontal or vertical strokes, or dabs, and its strength in grey levels.
FINE, ACROSS, DOWN, DABS = range(4)
STROKES, STRENGTH = np.zeros(256, np.int64), np.zeros(256, np.float32)
STROKES[[BUILDING, ROAD, PAVEMENT, TREE, FENCE]] = ACROSS, FINE, DABS, DABS, DOWN
STRENGTH[[BUILDING, ROAD, PAVEMENT, TREE, FENCE]] = 12, 3, 10, 20, 15


@dataclass(frozen=True)
class Mood:
    """The weather and the time of day."""

    sky: tuple[Color, Color]  # colours at the top and at the bottom
    cast: Color  # factors for red, green and blue
    shadow: float  # strength from 0 (overcast) to 1 (full sun)
    haze: float  # distance in metres at which two thirds of a colour are lost to haze
    lamps: float  # probability that a window is lit


MOODS: tuple[Mood, ...] = (
    Mood(((88, 148, 214), (198, 224, 240)), (1.04, 1.02, 0.98), 1.0, 170, 0.0),  # clear noon
    Mood(((138, 178, 214), (244, 230, 208)), (1.05, 1.00, 0.94), 0.8, 110, 0.05),  # morning
    Mood(((172, 178, 186), (212, 214, 216)), (0.96, 0.98, 1.00), 0.2, 120, 0.1),  # overcast
    Mood(((140, 156, 182), (250, 208, 152)), (1.12, 0.98, 0.80), 1.0, 120, 0.1),  # golden hour
    Mood(((126, 118, 160), (246, 176, 160)), (1.04, 0.90, 0.92), 0.6, 110, 0.25),  # pink evening
    Mood(((52, 62, 104), (158, 134, 152)), (0.66, 0.68, 0.86), 0.1, 130, 0.6),  # dusk
    Mood(((206, 208, 206), (226, 224, 220)), (1.00, 1.00, 1.00), 0.1, 75, 0.2),  # fog
    Mood(((92, 102, 116), (168, 172, 170)), (0.82, 0.86, 0.92), 0.15, 120, 0.3),  # before the storm
    Mood(((240, 236, 222), (232, 214, 190)), (1.06, 1.00, 0.90), 0.5, 100, 0.0),  # white sky
)


@dataclass(frozen=True)
class Camera:
    """A projection from metres to pixels of the enlarged drawing."""

    focal: float  # focal length, in picture heights
    height: float  # height of the eye, in metres
    horizon: float  # distance of the horizon from the upper edge, in picture heights
    center: float  # distance of the vanishing point from the left edge, in picture heights
    bend: float  # curvature of the street, in 1/metres
    roll: float  # rotation of the camera, a small angle in radians
    scale: float  # fine pixels per picture height

    def project(self, x: float, y: float, z: float) -> Point:
        """Project a point of the scene, in metres, to (column, row) in fine pixels."""
        z = max(z, NEAR)
        zoom = self.focal / z
        right, down = zoom * (x + self.bend * z * z), zoom * (self.height - y)
        u, v = self.center + right - self.roll * down, self.horizon + down + self.roll * right
        return u * self.scale, v * self.scale


class Canvas:
    """The enlarged picture and label map of a scene of `size` (H, W). Distant objects must be drawn first.

    Polygons with a class are also drawn into the label map. All others are details of the objects behind them.
    """

    def __init__(self, size: tuple[int, int], camera: Camera, mood: Mood, sun: float, background: int) -> None:
        fine = (size[1] * OVERSAMPLING, size[0] * OVERSAMPLING)
        self.camera, self.mood, self.sun = camera, mood, sun
        self.picture = Image.new("RGB", fine)
        self.labels = Image.new("L", fine, background)
        self._brush = ImageDraw.Draw(self.picture)
        self._glaze = ImageDraw.Draw(self.picture, "RGBA")
        self._marker = ImageDraw.Draw(self.labels)

    def polygon(self, points: Sequence[Point], color: Color, label: int | None = None) -> None:
        """Fill a polygon, given in fine pixels, in the picture and, if it has a label, in the label map."""
        self._brush.polygon(points, _ink(color))
        if label is not None:
            self._marker.polygon(points, label)

    def glaze(self, points: Sequence[Point], color: Color, opacity: float) -> None:
        """Tint a polygon of the picture, for shadows and haze, without changing the label map."""
        self._glaze.polygon(points, _ink(color, 255 * opacity))

    def glaze_ellipse(self, box: tuple[float, float, float, float], color: Color, opacity: float) -> None:
        self._glaze.ellipse(box, _ink(color, 255 * opacity))

    def facing(self, x: float, z: float, light: float = 1.0) -> Sheet:
        """Return a sheet that stands at (x, 0, z) and faces the camera: a points to the right, and b up."""
        return Sheet(self, (x, 0, z), (1, 0, 0), (0, 1, 0), light)

    def along(self, x: float, z: float, light: float = 1.0) -> Sheet:
        """Return a wall along the street through (x, 0, z): a points away from the camera, and b up."""
        return Sheet(self, (x, 0, z), (0, 0, 1), (0, 1, 0), light)

    def ground(self, z: float = 0.0) -> Sheet:
        """Return the ground, starting at z: a points to the right, and b away from the camera."""
        return Sheet(self, (0, 0, z), (1, 0, 0), (0, 0, 1))

    def wall_light(self, x: float) -> float:
        """Return the brightness of a wall along the street at x, which is lit if it faces the sun."""
        lit = (x < 0) == (self.sun > 0)
        return 1.0 + (0.1 if lit else -0.3) * self.mood.shadow

    def drop_shadow(self, x: float, z: float, radius: float, depth: float) -> None:
        """Draw the soft shadow under an object at (x, z)."""
        shift = -self.sun * radius * 0.5 * self.mood.shadow
        outline = ellipse(x + shift, 0.0, radius, depth)
        self.ground(z).glaze(outline, (24, 26, 48), 0.20 + 0.22 * self.mood.shadow)


def _ink(color: Color, *opacity: float) -> tuple[int, ...]:
    return tuple(int(part) for part in (*color, *opacity))


def ellipse(a: float, b: float, radius_a: float, radius_b: float) -> list[Point]:
    """Return the outline of an ellipse with axes along a and b."""
    return [(a + radius_a * cos, b + radius_b * sin) for cos, sin in CIRCLE]


class Sheet:
    """A plane in the scene, where the point (a, b) is origin + a * right + b * up, in metres."""

    def __init__(self, canvas: Canvas, origin: Color, right: Color, up: Color, light: float = 1.0) -> None:
        self.canvas, self.origin, self.right, self.up, self.light = canvas, origin, right, up, light
        self.mist = 1.0 - math.exp(-max(origin[2], NEAR) / canvas.mood.haze)

    def points(self, points: Iterable[Point]) -> list[Point]:
        """Project points of the sheet to fine pixels."""
        project = self.canvas.camera.project
        (x, y, z), (rx, ry, rz), (ux, uy, uz) = self.origin, self.right, self.up
        return [project(x + a * rx + b * ux, y + a * ry + b * uy, z + a * rz + b * uz) for a, b in points]

    def shade(self, color: Color) -> Color:
        """Return the colour as the camera sees it, in the sheet's light and through the haze."""
        red, green, blue = (min(self.light * part, 255) for part in color)
        return mix((red, green, blue), self.canvas.mood.sky[1], self.mist)

    def polygon(self, points: Iterable[Point], color: Color, label: int | None = None) -> None:
        self.canvas.polygon(self.points(points), self.shade(color), label)

    def box(self, left: float, bottom: float, right: float, top: float, color: Color, label: int | None = None) -> None:
        self.polygon(((left, bottom), (right, bottom), (right, top), (left, top)), color, label)

    def disc(self, a: float, b: float, radius: float, color: Color, label: int | None = None,
             radius_b: float | None = None) -> None:  # fmt: skip
        """Fill a circle, or an ellipse if radius_b is given."""
        self.polygon(ellipse(a, b, radius, radius_b or radius), color, label)

    def bar(self, start: Point, end: Point, width: float, color: Color, label: int | None = None) -> None:
        """Draw a straight bar between two points, such as an arm, a leg or the tube of a bicycle."""
        (a, b), (c, d) = start, end
        half = width / (2.0 * math.hypot(c - a, d - b))
        p, q = (b - d) * half, (c - a) * half
        self.polygon(((a + p, b + q), (c + p, d + q), (c - p, d - q), (a - p, b - q)), color, label)

    def glaze(self, points: Iterable[Point], color: Color, opacity: float) -> None:
        self.canvas.glaze(self.points(points), color, opacity)


def develop(canvas: Canvas, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the finished picture (H, W, 3) uint8, with texture, light, exposure, blur and noise, and its labels."""
    middle = OVERSAMPLING // 2
    labels = np.asarray(canvas.labels)[middle::OVERSAMPLING, middle::OVERSAMPLING].copy()
    picture = np.asarray(canvas.picture.reduce(OVERSAMPLING), dtype=np.float32)
    picture = picture + _texture(labels, rng)[..., None]
    cast = np.array([c * between(rng, 0.95, 1.05) for c in canvas.mood.cast], np.float32)
    exposure, contrast = np.float32(between(rng, 0.85, 1.12)), np.float32(between(rng, 0.88, 1.12))
    picture = (picture * cast * exposure - 120) * contrast + 120  # contrast relative to middle grey
    radius = between(rng, -0.4, 0.4) * labels.shape[0] / 96.0
    if radius >= 0.05:  # the lens is slightly out of focus
        sharp = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
        picture = np.array(sharp.filter(ImageFilter.GaussianBlur(radius)), np.float32)
    picture += rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(between(rng, 0.3, 2.0))
    return np.clip(picture, 0, 255).astype(np.uint8), labels


def _texture(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the texture, (H, W) float32, in grey levels to be added to the picture."""
    height, width = labels.shape
    coarse = max(1, round(height / 96))  # strokes scale with the picture
    fine = rng.standard_normal((-(-height // coarse) + 3, -(-width // coarse) + 3), dtype=np.float32)
    across = fine[3:, 3:] + fine[3:, 2:-1] + fine[3:, 1:-2] + fine[3:, :-3]
    down = fine[3:, 3:] + fine[2:-1, 3:] + fine[1:-2, 3:] + fine[:-3, 3:]
    dabs = fine[3:, 3:] + fine[3:, 2:-1] + fine[2:-1, 3:] + fine[2:-1, 2:-1]
    strokes = np.stack([fine[3:, 3:], across / 2, down / 2, dabs / 2])
    strokes = strokes.repeat(coarse, axis=1).repeat(coarse, axis=2)[:, :height, :width]
    return STRENGTH[labels] * np.take_along_axis(strokes, STROKES[labels][None], axis=0)[0]
