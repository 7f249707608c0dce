"""Toy scenes: an endless world of drawn streets, the offline stand-in for real pictures of streets.

Scene i of seed s at one size is always the same picture, whatever else is drawn. A scene is a street in
perspective with the eleven classes of CamVid and some void, seen by a camera that is never held the
same way twice, in a light that changes; all things share one box of paints. So neither a pixel's
place nor its colour tells its class, nor both together (`floors.py` measures how much they tell):
shape, texture and surroundings must be learned. The labels are exact. The scenes are drawn in
metres and look alike at any size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..errors import DataError
from . import toyfigures, toyhouses
from .palette import CAMVID
from .sample import Sample
from .toydrawing import (
    BUILDING,
    DARK,
    MOODS,
    OVERSAMPLING,
    PAVEMENT,
    ROAD,
    SKY,
    TREE,
    VOID,
    WHITE,
    Camera,
    Canvas,
    Color,
    Point,
    Sheet,
    between,
    chance,
    develop,
    mix,
    paint,
    pick,
)

__all__ = ["ToyScenes", "draw_scene"]

ASPHALT: tuple[Color, ...] = ((92, 92, 98), (108, 108, 112), (122, 120, 122), (112, 104, 100), (104, 110, 124))
SLABS: tuple[Color, ...] = (
    (168, 164, 160), (186, 176, 158), (150, 116, 98), (176, 150, 132), (146, 150, 150), (122, 120, 122), (198, 190, 180),
)  # fmt: skip
GRAIN = np.zeros(256, np.float32)
GRAIN[[BUILDING, ROAD, PAVEMENT, TREE]] = 2.0, 3.0, 2.0, 6.0

Thing = tuple[float, Callable[[], None]]  # how far away it is, and how to draw it


class ToyScenes:
    """A data set of `count` drawn streets. `toys[i]` is a pure function of the seed, i and the size.

    size: (H, W) of the pictures, at least (16, 16). Raises DataError for a size or a count that cannot be.
    """

    palette = CAMVID
    name = "toy scenes"

    def __init__(self, count: int, *, seed: int = 0, size: tuple[int, int] = (96, 128)) -> None:
        if count < 0 or seed < 0:
            raise DataError(f"toy scenes need a count and a seed of at least 0, not count={count}, seed={seed}")
        if min(size) < 16:
            raise DataError(f"toy scenes need at least 16x16 pixels, not {size[0]}x{size[1]}")
        self.count, self.seed, self.size = count, seed, (int(size[0]), int(size[1]))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """Scene `index`, 0 <= index < len(self): image (H, W, 3) uint8 RGB, labels (H, W) uint8, 11 is void."""
        if not 0 <= index < self.count:
            raise IndexError(f"toy scene {index} of {self.count}")
        image, labels = draw_scene(np.random.default_rng([self.seed, index]), self.size)
        return Sample(image, labels, f"toy-{self.seed}-{index:05d}")


def draw_scene(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """One street: image (H, W, 3) uint8 RGB and labels (H, W) uint8, classes 0..10 and 11 for void. size: (H, W)."""
    street = Street(rng, size)
    street.draw_sky()
    street.draw_ground()
    for _, draw in sorted(street.plan(), key=lambda thing: -thing[0]):
        draw()
    street.draw_bonnet()
    return develop(street.canvas, rng, GRAIN)


def _random_camera(rng: np.random.Generator, size: tuple[int, int]) -> Camera:
    """A camera at a driver's, a cyclist's or a bus driver's eye, looking roughly along the street."""
    return Camera(
        focal=between(rng, 0.75, 1.25),
        height=between(rng, 1.3, 2.6),
        horizon=between(rng, 0.3, 0.58),
        center=between(rng, 0.2, 0.8) * size[1] / size[0],
        bend=between(rng, -0.006, 0.006) if chance(rng, 0.6) else 0.0,
        roll=between(rng, -0.05, 0.05),
        scale=size[0] * OVERSAMPLING,
    )


class Street:
    """One street while it is drawn: the canvas, the widths of its strips, where things may stand.

    left, right: the kerbs' x; wall_left, wall_right: where houses and gardens begin; length: where
    the street ends. The camera is at x = 0; all metres.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.rng, self.mood = rng, pick(rng, MOODS)
        self.canvas = Canvas(size, _random_camera(rng, size), self.mood, pick(rng, (-1.0, 1.0)), SKY)
        width, lane = between(rng, 5.0, 10.0), between(rng, 0.2, 0.8)
        self.left, self.right = -width * lane, width * (1.0 - lane)
        self.wall_left = self.left - between(rng, 2.2, 5.0)
        self.wall_right = self.right + between(rng, 2.2, 5.0)
        self.length = between(rng, 22.0, 55.0)

    # The backdrop

    def draw_sky(self) -> None:
        """A sky that pales towards the horizon, clouds, perhaps a sun."""
        rng, canvas = self.rng, self.canvas
        columns, rows = canvas.picture.size
        top, bottom = self.mood.sky
        tint = between(rng, -14, 14)
        horizon = canvas.camera.horizon * rows * 1.05
        for band in range(24):
            color = mix(top, bottom, (band / 23) ** 1.2)
            color = (color[0] + tint, color[1], color[2] - tint)
            low = rows if band == 23 else horizon * (band + 1) / 24
            edge = [(0.0, horizon * band / 24), (float(columns), horizon * band / 24), (float(columns), low), (0.0, low)]
            canvas.polygon(edge, color)
        for _ in range(int(between(rng, 0, 5))):
            self._draw_cloud()

    def _draw_cloud(self) -> None:
        """A bank of overlapping discs, lighter or darker than the sky, see-through at times."""
        rng, canvas, scale = self.rng, self.canvas, self.canvas.camera.scale
        x, y = between(rng, 0, canvas.picture.size[0]), between(rng, 0.0, 0.8) * canvas.camera.horizon * scale
        size, opacity = between(rng, 0.03, 0.08) * scale, between(rng, 0.3, 0.9)
        color = mix(pick(rng, ((255, 252, 246), (250, 226, 214), (150, 154, 166))), self.mood.sky[1], 0.3)
        for shift, lift, wide in ((-2.0, 0, 0.7), (-1.0, 0.4, 1.0), (0.1, 0.7, 1.2), (1.2, 0.3, 1.0), (2.2, 0, 0.7)):
            box = (x + (shift - 1.3 * wide) * size, y - (lift + 0.6 * wide) * size,
                   x + (shift + 1.3 * wide) * size, y - (lift - 0.6 * wide) * size)  # fmt: skip
            canvas.glaze_ellipse(box, color, opacity)

    def draw_ground(self) -> None:
        """What closes the view, then pavement, road and its markings, shadows of the houses."""
        self._draw_far_end()
        rng, canvas = self.rng, self.canvas
        slabs, asphalt = paint(rng, SLABS), paint(rng, ASPHALT)
        self._strip(-90.0, 90.0, slabs, PAVEMENT)
        self._draw_slabs(slabs)
        self._strip(self.left - 0.28, self.right + 0.28, mix(slabs, pick(rng, (WHITE, DARK)), 0.4))
        self._strip(self.left, self.right, asphalt, ROAD)
        self._draw_patches(asphalt)
        self._draw_markings()
        for z in (0.55, 0.75):  # the far part of the ground fades into the haze
            far = canvas.ground()
            share = 1.0 - np.exp(-0.5 * z * self.length / self.mood.haze)
            far.glaze(self._outline(-90.0, 90.0, z * self.length), self.mood.sky[1], float(share))

    def _draw_far_end(self) -> None:
        """Houses or woods across the end of the street."""
        rng, x = self.rng, -40.0
        while x < 40.0:
            width = between(rng, 6, 16)
            sheet = self.canvas.facing(x, self.length + 4.0)
            if chance(rng, 0.5):
                height, color = between(rng, 3, 12), paint(rng)
                sheet.box(0, -2, width, height, color, BUILDING)
                toyhouses.windows(sheet, rng, 0, width, 0.4, height, self.mood.lamps, color)
            else:
                self._draw_wood(sheet, width, between(rng, 2, 6))
            x += width

    def _draw_wood(self, sheet: Sheet, width: float, height: float) -> None:
        """A row of tree tops, far away."""
        leaves = paint(self.rng, toyhouses.LEAVES)
        sheet.box(0, -2, width, height, leaves, TREE)
        for i in range(4):
            sheet.disc(width * (i + 0.5) / 4, height, width * 0.2, leaves, TREE, height * between(self.rng, 0.3, 0.7))

    def _outline(self, left: float, right: float, start: float = 0.0) -> list[Point]:
        """The points of a strip of the ground that follows the bend of the street."""
        far = self.length + 4.0
        depths = [start + (far - start) * (i / 9) ** 2 for i in range(10)]
        return self.canvas.ground().points([(left, z) for z in depths] + [(right, z) for z in reversed(depths)])

    def _strip(self, left: float, right: float, color: Color, label: int | None = None, start: float = 0.0) -> None:
        """Paint a strip of the ground from left to right, all the way to the end of the street."""
        self.canvas.polygon(self._outline(left, right, start), color, label)

    def _draw_slabs(self, color: Color) -> None:
        """The joints between the slabs of the pavement."""
        joint, ground = mix(color, pick(self.rng, (DARK, WHITE)), 0.22), self.canvas.ground()
        pitch, z = between(self.rng, 0.8, 1.6), 1.2
        while z < 24.0:
            ground.box(self.wall_left - 4, z, self.left, z + 0.09 + 0.006 * z, joint)
            ground.box(self.right, z, self.wall_right + 4, z + 0.09 + 0.006 * z, joint)
            z += pitch
        for share in (0.35, 0.7):
            for kerb, wall in ((self.left, self.wall_left), (self.right, self.wall_right)):
                x = kerb + share * (wall - kerb)
                self._strip(x - 0.04, x + 0.04, joint)

    def _draw_patches(self, asphalt: Color) -> None:
        """Mended and worn places of the road, manholes."""
        rng, ground = self.rng, self.canvas.ground()
        for _ in range(int(between(rng, 0, 6))):
            x, z = between(rng, self.left, self.right - 1.0), between(rng, 2.0, 20.0)
            tone = mix(asphalt, pick(rng, (DARK, WHITE)), between(rng, 0.08, 0.25))
            if chance(rng, 0.4):
                ground.disc(x + 0.5, z, 0.4, tone)
            else:
                ground.box(x, z, min(x + between(rng, 0.5, 2.5), self.right), z + between(rng, 1, 5), tone)

    def _draw_markings(self) -> None:
        """Lines along the lanes, at times a zebra crossing. Markings are road."""
        rng, ground = self.rng, self.canvas.ground()
        color = pick(rng, ((232, 230, 220), (214, 212, 206), (226, 190, 92)))
        middle, z = between(rng, 0.4, 0.6) * (self.left + self.right), between(rng, 0.5, 3.0)
        if chance(rng, 0.85):
            dash, gap = between(rng, 1.0, 3.0), between(rng, 1.0, 4.0)
            while z < self.length:
                ground.polygon(((middle - 0.1, z), (middle + 0.1, z), (middle + 0.1, z + dash), (middle - 0.1, z + dash)), color)
                z += dash + gap
        if chance(rng, 0.5):
            for x in (self.left + 0.35, self.right - 0.5):
                self._strip(x, x + 0.15, color)
        if chance(rng, 0.4):
            self._draw_zebra(between(rng, 3.5, 14.0), color)

    def _draw_zebra(self, z: float, color: Color) -> None:
        """A zebra crossing from kerb to kerb."""
        count = int((self.right - self.left) / 1.0)
        for i in range(count):
            x = self.left + (i + 0.25) * (self.right - self.left) / count
            self.canvas.ground().box(x, z, x + 0.5, z + 3.0, color)

    # What stands in it

    def plan(self) -> list[Thing]:
        """Everything that stands in the street, in no order, each with its distance."""
        rng = self.rng
        plan = self._plan_row(self.wall_left) + self._plan_row(self.wall_right)
        for where, count in ((self._plan_post, between(rng, 1, 4)), (self._plan_sign, between(rng, 1, 3.6)),
                             (self._plan_car, between(rng, 1, 4)), (self._plan_pedestrian, between(rng, 1, 4.6)),
                             (self._plan_cyclist, between(rng, 0.8, 3)), (self._plan_barrier, between(rng, 0, 1.8)),
                             (self._plan_street_tree, between(rng, 0, 2.5)), (self._plan_oddity, between(rng, 0, 2.4))):  # fmt: skip
            for _ in range(int(count)):
                plan += where()
        return plan

    def _plan_row(self, x: float) -> list[Thing]:
        """Houses and gardens along one side of the street, from the camera to its end."""
        rng, plan, start, open_before = self.rng, [], 0.9, True
        houses = between(rng, 0.25, 0.9)
        while start < self.length + 4.0:
            end, built = start + between(rng, 5.0, 11.0), chance(rng, houses)
            if built and (x > 0) == (self.canvas.sun > 0):
                plan.append((1e3, partial(self._draw_house_shadow, x, start, end)))
            if self._in_view(x, start, end):
                more = (open_before,) if built else ()
                draw = toyhouses.house if built else self._draw_garden
                plan.append((end, partial(draw, self.canvas, rng, x, start, end, *more)))
            start, open_before = end, not built
        return plan

    def _in_view(self, x: float, start: float, end: float) -> bool:
        """Whether the camera sees anything of a lot that begins at x and goes away from the street."""
        columns = [self.canvas.camera.project(x, 0.0, z)[0] for z in (start, end)]
        return max(columns) > 0 if x < 0 else min(columns) < self.canvas.picture.size[0]

    def _draw_house_shadow(self, x: float, start: float, end: float) -> None:
        """The shadow of a house on the pavement and the road."""
        reach = -self.canvas.sun * 3.5
        points = self.canvas.ground().points(((x, start), (x, end), (x + reach, end - 1.5), (x + reach, start - 1.5)))
        self.canvas.glaze(points, (24, 26, 52), 0.38 * self.mood.shadow)

    def _draw_garden(self, canvas: Canvas, rng: np.random.Generator, x: float, start: float, end: float) -> None:
        """Trees behind a fence or a hedge, or nothing but an open place."""
        side = 1.0 if x > 0 else -1.0
        form = rng.random()
        if form < 0.6 and chance(rng, 0.5):
            toyhouses.fence(canvas.facing(x, end - 0.1), rng, 0, side * 12.0)
        for depth in sorted((between(rng, start, end) for _ in range(int(between(rng, 0, 3.5)))), reverse=True):
            toyhouses.tree(canvas, rng, x + side * between(rng, 1.5, 6.0), depth)
        if form < 0.6:
            toyhouses.fence(canvas.along(x, start, canvas.wall_light(x)), rng, 0, end - start)
        elif form < 0.85:
            toyhouses.hedge(canvas, rng, x, start, end)

    def _spot(self, low: float, high: float, near: float = 4.0, far: float = 18.0) -> Point | None:
        """A place (x, z) with x between low and high that the camera sees; nearer ones as likely as they look large."""
        width = self.canvas.picture.size[0]
        for _ in range(5):
            x, z = between(self.rng, low, high), 1.0 / between(self.rng, 1.0 / far, 1.0 / near)
            if 0.0 <= self.canvas.camera.project(x, 0.0, z)[0] < width:
                return x, z
        return None

    def _beside(self, inset: float = 0.4) -> tuple[float, float]:
        """The strip of one of the two pavements, its left and its right edge."""
        if chance(self.rng, 0.5):
            return self.wall_left + inset, self.left - inset
        return self.right + inset, self.wall_right - inset

    def _place(self, spot: Point | None, draw: Callable[..., None], *more: bool) -> list[Thing]:
        """The thing at this spot, or nothing if there is none."""
        return [] if spot is None else [(spot[1], partial(draw, self.canvas, self.rng, *spot, *more))]

    def _kerb(self) -> tuple[float, float]:
        """The edge of one of the two pavements, where posts and signs stand."""
        return (self.left - 0.8, self.left - 0.3) if chance(self.rng, 0.5) else (self.right + 0.3, self.right + 0.8)

    def _plan_post(self) -> list[Thing]:
        return self._place(self._spot(*self._kerb(), near=5.0, far=15.0), toyfigures.lamp_post)

    def _plan_sign(self) -> list[Thing]:
        draw = toyfigures.traffic_light if chance(self.rng, 0.35) else toyfigures.sign
        return self._place(self._spot(*self._kerb(), near=4.0, far=11.0), draw)

    def _plan_street_tree(self) -> list[Thing]:
        return self._place(self._spot(*self._kerb(), near=6.0, far=30.0), toyhouses.tree)

    def _plan_oddity(self) -> list[Thing]:
        return self._place(self._spot(*self._beside(), far=14.0), toyfigures.oddity)

    def _plan_pedestrian(self) -> list[Thing]:
        strip = (self.left, self.right) if chance(self.rng, 0.3) else self._beside()
        return self._place(self._spot(*strip, far=12.0), toyfigures.pedestrian)

    def _plan_cyclist(self) -> list[Thing]:
        strip = self._beside() if chance(self.rng, 0.15) else (self.left + 0.5, self.right - 0.5)
        return self._place(self._spot(*strip, far=11.0), toyfigures.cyclist)

    def _plan_car(self) -> list[Thing]:
        """A parked car, one in its lane, or one that crosses the street."""
        rng, middle = self.rng, (self.left + self.right) / 2
        form = rng.random()
        if form < 0.2:
            return self._place(self._spot(self.left, self.right, near=5.0, far=15.0), toyfigures.crossing_car)
        if form < 0.6:
            x = self.left + 1.1 if chance(rng, 0.5) else self.right - 1.1
        else:
            x = (middle + self.left) / 2 if chance(rng, 0.5) else (middle + self.right) / 2
        return self._place(self._spot(x, x, near=4.0, far=18.0), toyfigures.car, x > middle)

    def _plan_barrier(self) -> list[Thing]:
        """A short fence that faces the camera, or a railing along the kerb."""
        rng = self.rng
        spot = self._spot(self.wall_left, self.wall_right, near=5.0, far=13.0)
        if spot is None:
            return []
        x, z = spot
        if chance(rng, 0.5):
            half = between(rng, 1.0, 2.5)
            return [(z, partial(toyhouses.fence, self.canvas.facing(x, z), rng, -half, half))]
        kerb = self.left - 0.2 if chance(rng, 0.5) else self.right + 0.2
        return [(z + 3.0, partial(toyhouses.fence, self.canvas.along(kerb, z), rng, 0.0, between(rng, 3.0, 9.0)))]

    def draw_bonnet(self) -> None:
        """At times the bonnet of our own car, or a hot-air balloon in the sky: both void."""
        rng, canvas = self.rng, self.canvas
        width, height = canvas.picture.size
        if chance(rng, 0.35):
            middle, rise, color = between(rng, 0.3, 0.7) * width, between(rng, 0.04, 0.12) * height, paint(rng)
            for shrink, tone in ((1.0, mix(color, DARK, 0.4)), (0.8, color), (0.3, mix(color, WHITE, 0.4))):
                points = [(middle + shrink * 0.6 * width * a / 8, height - shrink * rise * (1 - (a / 8) ** 4)) for a in range(-8, 9)]
                canvas.polygon(points + [(middle, height + 9)], tone, VOID)
