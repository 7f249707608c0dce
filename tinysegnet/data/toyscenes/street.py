"""The empty street of a toy scene: its dimensions, camera, sky and ground."""

import math

import numpy as np

from .drawing import BUILDING, MOODS, OVERSAMPLING, PAVEMENT, ROAD, SKY, TREE, VOID, Camera, Canvas, Point
from .houses import LEAVES, windows
from .paints import DARK, WHITE, Color, between, chance, mix, paint, pick

ASPHALT: tuple[Color, ...] = ((84, 84, 90), (98, 98, 102), (110, 108, 110), (100, 94, 90), (94, 100, 114))
CLOUD = (-2.0, 0, 0.7), (-1.0, 0.4, 1.0), (0.1, 0.7, 1.2), (1.2, 0.3, 1.0), (2.2, 0, 0.7)  # right, up, radius
SLABS: tuple[Color, ...] = ((200, 188, 168), (182, 140, 116), (194, 164, 142), (206, 198, 188), (178, 174, 170))


class Street:
    """A street that is being drawn: its canvas, and its dimensions in metres. The camera is at x = 0."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.rng, self.mood = rng, pick(rng, MOODS)
        self.canvas = Canvas(size, _random_camera(rng, size), self.mood, pick(rng, (-1.0, 1.0)), SKY)
        width, lane = between(rng, 5.0, 9.0), between(rng, 0.2, 0.8)
        self.left, self.right = -width * lane, width * (1.0 - lane)  # x of the kerbs; the walls are the houses' fronts
        self.wall_left = self.left - between(rng, 4.0, 7.0)
        self.wall_right = self.right + between(rng, 4.0, 7.0)
        self.length = between(rng, 16.0, 34.0)

    def draw_sky(self) -> None:
        """Draw a sky with clouds that becomes paler towards the horizon."""
        rng, canvas = self.rng, self.canvas
        columns, rows = canvas.picture.size
        top, bottom = self.mood.sky
        tint = between(rng, -14, 14)
        horizon = canvas.camera.horizon * rows * 1.05
        for band in range(24):
            red, green, blue = mix(top, bottom, (band / 23) ** 1.2)
            high, low = horizon * band / 24, rows if band == 23 else horizon * (band + 1) / 24
            outline = [(0, high), (columns, high), (columns, low), (0, low)]
            canvas.polygon(outline, (red + tint, green, blue - tint))
        for _ in range(int(between(rng, 0, 5))):  # clouds are overlapping discs
            x, y = between(rng, 0, columns), between(rng, 0.0, 0.8) * canvas.camera.horizon * rows
            size, opacity = between(rng, 0.03, 0.08) * rows, between(rng, 0.3, 0.9)
            color = mix(pick(rng, ((255, 252, 246), (250, 226, 214), (150, 154, 166))), bottom, 0.3)
            for shift, lift, wide in CLOUD:
                box = (x + (shift - 1.3 * wide) * size, y - (lift + 0.6 * wide) * size,
                       x + (shift + 1.3 * wide) * size, y - (lift - 0.6 * wide) * size)  # fmt: skip
                canvas.glaze_ellipse(box, color, opacity)

    def draw_ground(self) -> None:
        """Draw the far end of the street, the pavement, the road and its markings."""
        self._draw_far_end()
        rng, canvas = self.rng, self.canvas
        slabs, asphalt = paint(rng, SLABS, 0.9), paint(rng, ASPHALT)
        self._strip(-90.0, 90.0, slabs, PAVEMENT)
        self._draw_slabs(slabs)
        self._strip(self.left - 0.28, self.right + 0.28, mix(slabs, pick(rng, (WHITE, DARK)), 0.4))
        self._strip(self.left, self.right, asphalt, ROAD)
        self._draw_patches(asphalt)
        self._draw_markings()
        for z in (0.55, 0.75):  # the far part of the ground fades into the haze
            share = 1.0 - math.exp(-0.5 * z * self.length / self.mood.haze)
            canvas.ground().glaze(self._outline(-90.0, 90.0, z * self.length), self.mood.sky[1], share)

    def _draw_far_end(self) -> None:
        rng, x = self.rng, -40.0
        while x < 40.0:
            width = between(rng, 11, 24)
            sheet = self.canvas.facing(x, self.length + 4.0)
            if chance(rng, 0.5):
                height, color = between(rng, 4, 10), paint(rng)
                sheet.box(0, -2, width, height, color, BUILDING)
                windows(sheet, rng, 0, width, 0.4, height, color)
            else:
                height, leaves = between(rng, 2.5, 5), paint(rng, LEAVES)
                sheet.box(0, -2, width, height, leaves, TREE)
                for i in range(4):
                    rise = height * between(rng, 0.3, 0.7)
                    sheet.disc(width * (i + 0.5) / 4, height, width * 0.2, leaves, TREE, rise)
            x += width

    def _outline(self, left: float, right: float, start: float = 0.0) -> list[Point]:
        """Return the outline of a strip of the ground that follows the bend of the street."""
        far = self.length + 4.0
        depths = [start + (far - start) * (i / 9) ** 2 for i in range(10)]
        return self.canvas.ground().points([(left, z) for z in depths] + [(right, z) for z in reversed(depths)])

    def _strip(self, left: float, right: float, color: Color, label: int | None = None) -> None:
        self.canvas.polygon(self._outline(left, right), color, label)

    def _draw_slabs(self, color: Color) -> None:
        joint, ground = mix(color, pick(self.rng, (DARK, WHITE)), 0.3), self.canvas.ground()
        pitch, z = between(self.rng, 1.0, 1.8), 1.2
        while z < 24.0:
            ground.box(self.wall_left - 4, z, self.left, z + 0.12 + 0.006 * z, joint)
            ground.box(self.right, z, self.wall_right + 4, z + 0.12 + 0.006 * z, joint)
            z += pitch
        for share in (0.35, 0.7):
            for kerb, wall in ((self.left, self.wall_left), (self.right, self.wall_right)):
                x = kerb + share * (wall - kerb)
                self._strip(x - 0.04, x + 0.04, joint)

    def _draw_patches(self, asphalt: Color) -> None:
        rng, ground = self.rng, self.canvas.ground()
        for _ in range(int(between(rng, 0, 4))):
            x, z = between(rng, self.left, self.right - 1.0), between(rng, 2.0, 20.0)
            tone = mix(asphalt, pick(rng, (DARK, WHITE)), between(rng, 0.08, 0.25))
            if chance(rng, 0.4):
                ground.disc(x + 0.5, z, 0.4, tone)
            else:
                ground.box(x, z, min(x + between(rng, 0.5, 2.5), self.right), z + between(rng, 1, 5), tone)

    def _draw_markings(self) -> None:
        """Draw lines along the lanes and, sometimes, a zebra crossing. Markings are labelled as road."""
        rng, ground = self.rng, self.canvas.ground()
        color = pick(rng, ((232, 230, 220), (214, 212, 206), (226, 190, 92)))
        middle, z = between(rng, 0.4, 0.6) * (self.left + self.right), between(rng, 0.5, 3.0)
        if chance(rng, 0.85):
            dash, gap = between(rng, 1.0, 3.0), between(rng, 1.0, 4.0)
            while z < self.length:
                ground.box(middle - 0.1, z, middle + 0.1, z + dash, color)
                z += dash + gap
        if chance(rng, 0.5):
            for x in (self.left + 0.35, self.right - 0.5):
                self._strip(x, x + 0.15, color)
        if chance(rng, 0.4):
            z, count = between(rng, 3.5, 14.0), int(self.right - self.left)
            for i in range(count):
                x = self.left + (i + 0.25) * (self.right - self.left) / count
                ground.box(x, z, x + 0.5, z + 3.0, color)

    def draw_bonnet(self) -> None:
        """Sometimes draw the bonnet of the car that carries the camera, labelled as void."""
        rng, canvas = self.rng, self.canvas
        width, height = canvas.picture.size
        if chance(rng, 0.35):
            middle, rise, color = between(rng, 0.3, 0.7) * width, between(rng, 0.04, 0.12) * height, paint(rng)
            for shrink, tone in ((1.0, mix(color, DARK, 0.4)), (0.8, color), (0.3, mix(color, WHITE, 0.4))):
                reach, top = shrink * 0.6 * width, shrink * rise
                rim = [(middle + reach * a / 8, height - top * (1 - (a / 8) ** 4)) for a in range(-8, 9)]
                canvas.polygon(rim + [(middle, height + 9)], tone, VOID)


def _random_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    focal, height, horizon = between(rng, 1.0, 1.4), between(rng, 1.5, 2.5), between(rng, 0.34, 0.56)
    center = between(rng, 0.25, 0.75) * size[1] / size[0]
    bend = between(rng, -0.006, 0.006) if chance(rng, 0.6) else 0.0
    return Camera(focal, height, horizon, center, bend, between(rng, -0.05, 0.05), size[0] * OVERSAMPLING)
