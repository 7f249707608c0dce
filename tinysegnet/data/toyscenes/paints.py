"""The colours of the toy scenes, and random choices."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

Color = tuple[float, float, float]
T = TypeVar("T")

# All objects share these colours. Each kind of object prefers some of them, but any colour is possible.
PAINTS: tuple[Color, ...] = (
    (196, 98, 74), (222, 160, 96), (236, 208, 152), (244, 234, 214), (214, 202, 186), (168, 160, 152),
    (122, 120, 124), (84, 86, 94), (52, 54, 64), (142, 178, 190), (96, 138, 166), (62, 92, 132), (70, 130, 128),
    (120, 158, 130), (98, 124, 84), (160, 168, 100), (218, 178, 66), (206, 126, 52), (176, 62, 56), (222, 142, 138),
    (170, 112, 130), (120, 92, 132), (128, 88, 66), (94, 70, 58), (178, 138, 108), (228, 228, 224),
)  # fmt: skip
GLASS: tuple[Color, ...] = ((72, 92, 116), (50, 62, 82), (120, 150, 170), (176, 200, 210), (90, 96, 100))
LAMPLIGHT: Color = (255, 222, 138)
WHITE: Color = (240, 238, 230)
DARK: Color = (40, 42, 52)


def chance(rng: np.random.Generator, probability: float) -> bool:
    """Return True with this probability."""
    return rng.random() < probability


def between(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number from [low, high), uniformly."""
    return low + (high - low) * rng.random()


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """Draw one of the choices, uniformly."""
    return choices[int(rng.random() * len(choices))]


def mix(first: Color, second: Color, share: float) -> Color:
    """Mix two colours, with `share` of the second."""
    (r, g, b), keep = first, 1.0 - share
    return (keep * r + share * second[0], keep * g + share * second[1], keep * b + share * second[2])


def paint(rng: np.random.Generator, favourites: Sequence[Color] = PAINTS, share: float = 1.0) -> Color:
    """Draw one of the favourites or, with probability 1 - share, any paint, and make it slightly lighter or darker."""
    r, g, b = pick(rng, favourites if share == 1.0 or chance(rng, share) else PAINTS)
    light = between(rng, 0.85, 1.12)
    return (r * light, g * light, b * light)
