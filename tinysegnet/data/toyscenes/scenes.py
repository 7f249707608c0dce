"""Toy scenes: an endless world of drawn streets, the offline stand-in for real pictures of streets.

Scene i of seed s at one size is always the same picture. A scene is a street in
perspective with the eleven classes of CamVid and some void, seen by a camera that is never held the
same way twice, in a light that changes; all things may have any colour of one box of paints. So
neither a pixel's place nor its colour tells its class, nor both together (`metrics.baselines` measures how much
they tell): shape, texture and surroundings must be learned. The labels are exact. The scenes are
drawn in metres, so that one number gives the same street at any size of one aspect.

Files: `paints` (colours), `drawing` (camera, canvas, light), `houses` and `street_objects` (what stands in a street),
`street` (the empty street), and here the plan of what stands where.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ...errors import DataError
from ..palette import CAMVID
from ..sample import Sample
from . import houses, street_objects
from .drawing import Canvas, Point, develop
from .paints import between, chance, pick
from .street import Street

__all__ = ["ToyScenes", "draw_scene"]

Thing = tuple[float, Callable[[], None]]  # how far away it is, and how to draw it


class ToyScenes:
    """A data set of drawn streets. `toys[i]` is a pure function of the seed, i and the size.

    Args:
        count: how many.
        seed: another seed gives other streets.
        size: (H, W) of the pictures, at least (16, 16).

    Raises:
        DataError: count, seed or size is out of range.
    """

    palette = CAMVID
    name = "toy scenes"

    def __init__(self, count: int, *, seed: int = 0, size: tuple[int, int] = (96, 128)) -> None:
        if count < 0 or seed < 0:
            raise DataError(f"toy scenes need a count and a seed of at least 0, not count={count}, seed={seed}")
        if min(size) < 16:
            raise DataError(f"toy scenes of {size[0]}x{size[1]} pixels (expected at least 16x16)")
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
    for _, draw in sorted(_Plan(street, rng).things(), key=lambda thing: -thing[0]):
        draw()
    street.draw_bonnet()
    return develop(street.canvas, rng)


class _Plan:
    """Where things stand in one street: each method draws lots for one kind of thing."""

    def __init__(self, street: Street, rng: np.random.Generator) -> None:
        self.street, self.canvas, self.rng = street, street.canvas, rng
        self.road = (street.left, street.right)
        self.pavements = [(street.wall_left + 0.4, street.left - 0.4), (street.right + 0.4, street.wall_right - 0.4)]
        # The edges of the two pavements, where posts and signs stand.
        self.kerbs = [(street.left - 0.8, street.left - 0.3), (street.right + 0.3, street.right + 0.8)]

        self.columns: list[float] = []  # where in the picture things stand already

    def things(self) -> list[Thing]:
        """Everything that stands in the street, in no order, each with its distance."""
        plan = self._plan_row(self.street.wall_left) + self._plan_row(self.street.wall_right)
        # The rarer and smaller a thing, the earlier it chooses its place.
        plan += self._several(self._plan_pedestrian, 1.0, 3.0) + self._several(self._plan_sign, 1.0, 2.3)
        plan += self._several(self._plan_cyclist, 0.9, 2.3) + self._several(self._plan_barrier, 0.3, 2.2)
        plan += self._several(self._plan_car, 1.0, 2.6)
        plan += self._several(partial(self._stand, self.kerbs, 5.0, 9.5, street_objects.lamp_post), 0.8, 2.4)
        plan += self._several(partial(self._stand, self.kerbs, 6.0, 12.0, houses.tree), 0.0, 1.7)
        return plan + self._several(partial(self._stand, self.pavements, 4.0, 14.0, street_objects.oddity), 0.0, 1.7)

    def _several(self, plan: Callable[[], list[Thing]], low: float, high: float) -> list[Thing]:
        """Between low and high things of a kind, rounded down."""
        return [thing for _ in range(int(between(self.rng, low, high))) for thing in plan()]

    def _plan_row(self, x: float) -> list[Thing]:
        """Houses and gardens along one side of the street, from the camera to its end."""
        rng, start, open_before = self.rng, 0.9, True
        plan: list[Thing] = []
        built_up = between(rng, 0.25, 0.9)
        while start < self.street.length + 4.0:
            end, built = start + between(rng, 6.5, 13.0), chance(rng, built_up)
            if built and (x > 0) == (self.canvas.sun > 0):
                plan.append((1e3, partial(self._draw_house_shadow, x, start, end)))
            if self._in_view(x, start, end):
                more = (open_before,) if built else ()
                draw = houses.house if built else self._draw_garden
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
        self.canvas.glaze(points, (24, 26, 52), 0.38 * self.street.mood.shadow)

    def _draw_garden(self, canvas: Canvas, rng: np.random.Generator, x: float, start: float, end: float) -> None:
        """Trees behind a fence or a hedge, or nothing but an open place."""
        side = 1.0 if x > 0 else -1.0
        form = rng.random()
        fenced = form < 0.6 and end < 18.0
        if fenced and chance(rng, 0.5):
            houses.fence(canvas.facing(x, end - 0.1), rng, 0, side * 12.0)
        for depth in sorted((between(rng, start, end) for _ in range(int(between(rng, 0, 2.8)))), reverse=True):
            houses.tree(canvas, rng, x + side * between(rng, 1.5, 6.0), depth)
        if fenced:
            houses.fence(canvas.along(x, start, canvas.wall_light(x)), rng, 0, end - start)
        elif form < 0.85:
            houses.hedge(canvas, rng, x, start, end)

    def _spot(self, strips: Sequence[Point], near: float, far: float) -> Point | None:
        """A place (x, z) on one of these strips, each from a left to a right x, that the camera sees.

        Near places are likelier, so that a thing is as likely to be large as to be small. Places that
        the camera sees right in front of or behind another thing are left free; None if no place is found.
        """
        width, apart = self.canvas.picture.size[0], 0.15 * self.canvas.picture.size[1]
        for _ in range(16):
            x, z = between(self.rng, *pick(self.rng, strips)), 1.0 / between(self.rng, 1.0 / far, 1.0 / near)
            column = self.canvas.camera.project(x, 0.0, z)[0]
            if 0.0 <= column < width and all(abs(column - other) > apart for other in self.columns):
                self.columns.append(column)
                return x, z
        return None

    def _place(self, spot: Point | None, draw: Callable[..., None], *more: bool) -> list[Thing]:
        """The thing at this spot, or nothing if there is none."""
        return [] if spot is None else [(spot[1], partial(draw, self.canvas, self.rng, *spot, *more))]

    def _stand(self, strips: Sequence[Point], near: float, far: float, draw: Callable[..., None]) -> list[Thing]:
        """The thing at a place on one of these strips."""
        return self._place(self._spot(strips, near, far), draw)

    def _plan_sign(self) -> list[Thing]:
        draw = street_objects.traffic_light if chance(self.rng, 0.35) else street_objects.sign
        return self._stand(self.kerbs, 4.5, 8.0, draw)

    def _plan_pedestrian(self) -> list[Thing]:
        strips = [self.road] if chance(self.rng, 0.3) else self.pavements
        return self._stand(strips, 4.2, 7.8, street_objects.pedestrian)

    def _plan_cyclist(self) -> list[Thing]:
        strips = self.pavements if chance(self.rng, 0.15) else [self.road]
        return self._stand(strips, 4.2, 7.8, street_objects.cyclist)

    def _plan_car(self) -> list[Thing]:
        """A parked car, one in its lane, or one that crosses the street."""
        (left, right), form = self.road, self.rng.random()
        if form < 0.2:
            return self._stand([self.road], 4.5, 10.0, street_objects.crossing_car)
        lane = 1.1 if form < 0.6 else 0.25 * (right - left)
        spot = self._spot([(left + lane, left + lane), (right - lane, right - lane)], 4.5, 10.5)
        return self._place(spot, street_objects.car, spot is not None and spot[0] > (left + right) / 2)

    def _plan_barrier(self) -> list[Thing]:
        """A short fence that faces the camera, or a railing along the kerb."""
        rng = self.rng
        spot = self._spot([(self.street.wall_left, self.street.wall_right)], 5.0, 10.0)
        if spot is None:
            return []
        x, z = spot
        if chance(rng, 0.5):
            half = between(rng, 1.0, 2.5)
            return [(z, partial(houses.fence, self.canvas.facing(x, z), rng, -half, half))]
        kerb = self.street.left - 0.2 if chance(rng, 0.5) else self.street.right + 0.2
        return [(z + 3.0, partial(houses.fence, self.canvas.along(kerb, z), rng, 0.0, between(rng, 3.0, 9.0)))]
