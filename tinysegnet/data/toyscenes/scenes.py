"""Toy scenes: drawn streets with exact labels, an offline substitute for photographs of streets.

A scene shows a street in perspective with the eleven classes of CamVid and some void. The camera, the light and the
colours vary, and objects of any class may have any colour. A pixel's position and colour therefore do not determine its
class (`metrics.baselines` measures how far they help), and a network must learn shape, texture and context.

This file decides where the objects stand; the other files draw them.
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

Thing = tuple[float, Callable[[], None]]  # an object's distance, and a function that draws it


class ToyScenes:
    """A data set of `count` drawn streets of size (H, W), at least (16, 16).

    `toys[i]` depends only on the seed, i and the size. Raises DataError if an argument is out of range.
    """

    palette = CAMVID
    name = "toy scenes"

    def __init__(self, count: int, *, seed: int = 0, size: tuple[int, int] = (96, 128)) -> None:
        if count < 0 or seed < 0:
            raise DataError(f"toy scenes: count ({count}) and seed ({seed}) must be at least 0.")
        if min(size) < 16:
            raise DataError(f"toy scenes: {size[0]}x{size[1]} pixels is too small. Choose at least 16x16.")
        self.count, self.seed, self.size = count, seed, (int(size[0]), int(size[1]))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        """Draw scene `index`, 0 <= index < len(self)."""
        if not 0 <= index < self.count:
            raise IndexError(f"toy scenes: index {index} is out of range for {self.count} scenes")
        image, labels = draw_scene(np.random.default_rng([self.seed, index]), self.size)
        return Sample(image, labels, f"toy-{self.seed}-{index:05d}")


def draw_scene(rng: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Draw a street of size (H, W): image (H, W, 3) uint8 RGB, labels (H, W) uint8 with classes 0..10 and void 11."""
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
        self.columns: list[float] = []  # columns of the picture that are occupied
        self.things: list[Thing] = []  # all objects of the scene, unsorted
        self._plan_row(street.wall_left)
        self._plan_row(street.wall_right)
        road, middle = [(street.left, street.right)], (street.left + street.right) / 2
        pavements = [(street.wall_left + 0.4, street.left - 0.4), (street.right + 0.4, street.wall_right - 0.4)]
        # Posts and signs stand at the edges of the two pavements.
        kerbs = [(street.left - 0.8, street.left - 0.3), (street.right + 0.3, street.right + 0.8)]
        # Rare and small objects are placed first, while there is space for them.
        for _ in self._several(1.0, 3.0):
            self._stand(road if chance(rng, 0.3) else pavements, 4.2, 7.8, street_objects.pedestrian)
        for _ in self._several(1.0, 2.3):
            draw = street_objects.traffic_light if chance(rng, 0.35) else street_objects.sign
            self._stand(kerbs, 4.5, 8.0, draw)
        for _ in self._several(0.9, 2.3):
            self._stand(pavements if chance(rng, 0.15) else road, 4.2, 7.8, street_objects.cyclist)
        for _ in self._several(0.3, 2.2):
            self._plan_barrier()
        for _ in self._several(1.0, 2.6):  # a crossing car, a parked car, or a car in its lane
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
        """Draw a random number of objects between low and high, rounded down."""
        return range(int(between(self.rng, low, high)))

    def _add(self, distance: float, draw: Callable[..., None], *where: float) -> None:
        self.things.append((distance, partial(draw, self.canvas, self.rng, *where)))

    def _plan_row(self, x: float) -> None:
        """Place houses and gardens along one side of the street, from the camera to its end."""
        rng, start, open_before = self.rng, 0.9, True
        built_up = between(rng, 0.25, 0.9)
        while start < self.street.length + 4.0:
            end, built = start + between(rng, 6.5, 13.0), chance(rng, built_up)
            if built and (x > 0) == (self.canvas.sun > 0):
                self.things.append((1e3, partial(self._draw_house_shadow, x, start, end)))
            columns = [self.canvas.camera.project(x, 0.0, z)[0] for z in (start, end)]
            if max(columns) > 0 if x < 0 else min(columns) < self.canvas.picture.size[0]:  # if the lot is visible
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
        """Find a visible place (x, z) on one of these strips (left x, right x). Returns None if there is no space.

        Near places are more likely, so that large and small objects are equally frequent. No object hides another.
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
        """Place a short fence that faces the camera, or a railing along the kerb."""
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
