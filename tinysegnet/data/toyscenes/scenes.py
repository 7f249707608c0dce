"""Toy scenes: an endless world of drawn streets, the offline stand-in for real pictures of streets.

Scene i of seed s at one size is always the same picture: a street in perspective with the eleven classes of CamVid and
some void, seen by a camera that is never held the same way twice, in a light that changes; all things may have any
colour of one box of paints. So neither a pixel's place nor its colour tells its class, nor both together
(`metrics.baselines` measures how much they tell): shape, texture and surroundings must be learned. Labels are exact.

Files: `paints` (colours), `drawing` (camera, canvas, light), `houses` and `street_objects` (what stands in a street),
`street` (the empty street), and here the plan of what stands where.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ...errors import DataError
from ..palette import CAMVID
from ..sample import Sample
from . import houses, street_objects
from .drawing import Point, develop
from .paints import between, chance, pick
from .street import Street

Thing = tuple[float, Callable[[], None]]  # how far away it is, and how to draw it


class ToyScenes:
    """A data set of `count` drawn streets of size (H, W), at least (16, 16).

    `toys[i]` is a pure function of the seed, i and the size. Raises DataError if one of them is out of range.
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
    for _, draw in sorted(_Plan(street, rng).things, key=lambda thing: -thing[0]):
        draw()
    street.draw_bonnet()
    return develop(street.canvas, rng)


class _Plan:
    def __init__(self, street: Street, rng: np.random.Generator) -> None:
        self.street, self.canvas, self.rng = street, street.canvas, rng
        self.columns: list[float] = []  # where in the picture things stand already
        self.things: list[Thing] = []  # everything that stands in the street, in no order
        self._plan_row(street.wall_left)
        self._plan_row(street.wall_right)
        road, middle = [(street.left, street.right)], (street.left + street.right) / 2
        pavements = [(street.wall_left + 0.4, street.left - 0.4), (street.right + 0.4, street.wall_right - 0.4)]
        # The edges of the two pavements, where posts and signs stand.
        kerbs = [(street.left - 0.8, street.left - 0.3), (street.right + 0.3, street.right + 0.8)]
        # The rarer and smaller a thing, the earlier it chooses its place.
        for _ in self._several(1.0, 3.0):
            self._stand(road if chance(rng, 0.3) else pavements, 4.2, 7.8, street_objects.pedestrian)
        for _ in self._several(1.0, 2.3):
            draw = street_objects.traffic_light if chance(rng, 0.35) else street_objects.sign
            self._stand(kerbs, 4.5, 8.0, draw)
        for _ in self._several(0.9, 2.3):
            self._stand(pavements if chance(rng, 0.15) else road, 4.2, 7.8, street_objects.cyclist)
        for _ in self._several(0.3, 2.2):
            self._plan_barrier()
        for _ in self._several(1.0, 2.6):  # a car that crosses the street, a parked one, or one in its lane
            form = rng.random()
            lane = 1.1 if form < 0.6 else 0.25 * (street.right - street.left)
            lanes = [(street.left + lane, street.left + lane), (street.right - lane, street.right - lane)]
            if form < 0.2:
                self._stand(road, 4.5, 10.0, street_objects.crossing_car)
            elif (spot := self._spot(lanes, 4.5, 10.5)) is not None:
                self._add(spot[1], street_objects.car, *spot, spot[0] > middle)
        for _ in self._several(0.8, 2.4):
            self._stand(kerbs, 5.0, 9.5, street_objects.lamp_post)
        for _ in self._several(0.0, 1.7):
            self._stand(kerbs, 6.0, 12.0, houses.tree)
        for _ in self._several(0.0, 1.7):
            self._stand(pavements, 4.0, 14.0, street_objects.oddity)

    def _several(self, low: float, high: float) -> range:
        """Between low and high things of a kind, rounded down."""
        return range(int(between(self.rng, low, high)))

    def _add(self, distance: float, draw: Callable[..., None], *where: float) -> None:
        self.things.append((distance, partial(draw, self.canvas, self.rng, *where)))

    def _plan_row(self, x: float) -> None:
        """Houses and gardens along one side of the street, from the camera to its end."""
        rng, start, open_before = self.rng, 0.9, True
        built_up = between(rng, 0.25, 0.9)
        while start < self.street.length + 4.0:
            end, built = start + between(rng, 6.5, 13.0), chance(rng, built_up)
            if built and (x > 0) == (self.canvas.sun > 0):
                self.things.append((1e3, partial(self._draw_house_shadow, x, start, end)))
            columns = [self.canvas.camera.project(x, 0.0, z)[0] for z in (start, end)]
            if max(columns) > 0 if x < 0 else min(columns) < self.canvas.picture.size[0]:  # the camera sees the lot
                if built:
                    self._add(end, houses.house, x, start, end, open_before)
                else:
                    self._add(end, houses.garden, x, start, end)
            start, open_before = end, not built

    def _draw_house_shadow(self, x: float, start: float, end: float) -> None:
        reach = -self.canvas.sun * 3.5
        outline = ((x, start), (x, end), (x + reach, end - 1.5), (x + reach, start - 1.5))
        self.canvas.ground().glaze(outline, (24, 26, 52), 0.38 * self.street.mood.shadow)

    def _spot(self, strips: Sequence[Point], near: float, far: float) -> Point | None:
        """A place (x, z) on one of these strips (from a left to a right x) that the camera sees; None if none is found.

        Near places are likelier, so that a thing is as likely to be large as to be small. No thing hides another.
        """
        width, apart = self.canvas.picture.size[0], 0.15 * self.canvas.picture.size[1]
        for _ in range(16):
            x, z = between(self.rng, *pick(self.rng, strips)), 1.0 / between(self.rng, 1.0 / far, 1.0 / near)
            column = self.canvas.camera.project(x, 0.0, z)[0]
            if 0.0 <= column < width and all(abs(column - other) > apart for other in self.columns):
                self.columns.append(column)
                return x, z
        return None

    def _stand(self, strips: Sequence[Point], near: float, far: float, draw: Callable[..., None]) -> None:
        spot = self._spot(strips, near, far)
        if spot is not None:
            self._add(spot[1], draw, *spot)

    def _plan_barrier(self) -> None:
        """A short fence that faces the camera, or a railing along the kerb."""
        rng, street = self.rng, self.street
        spot = self._spot([(street.wall_left, street.wall_right)], 5.0, 10.0)
        if spot is None:
            return
        x, z = spot
        if chance(rng, 0.5):
            half = between(rng, 1.0, 2.5)
            self.things.append((z, partial(houses.fence, self.canvas.facing(x, z), rng, -half, half)))
        else:
            wall = self.canvas.along(street.left - 0.2 if chance(rng, 0.5) else street.right + 0.2, z)
            self.things.append((z + 3.0, partial(houses.fence, wall, rng, 0.0, between(rng, 3.0, 9.0))))
