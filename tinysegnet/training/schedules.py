"""Learning-rate schedules: progress through training, 0 to 1 -> factor of the learning rate."""

import math
from collections.abc import Callable

from ..errors import SettingError


def constant(progress: float) -> float:
    """Always the full rate."""
    return 1.0


def step(progress: float) -> float:
    """A tenth of the rate after half of the training, a hundredth after three quarters."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


def poly(progress: float) -> float:
    """(1 - progress)^0.9: the "poly" policy of DeepLab (Chen et al. 2018)."""
    return (1 - progress) ** 0.9


def one_cycle(progress: float) -> float:
    """Rise along half a cosine from 1/25 over the first 30 %, then fall to 1e-4 (Smith & Topin 2018)."""
    warmup, start, end = 0.3, 1 / 25, 1e-4
    if progress < warmup:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / warmup)) / 2
    return end + (1 - end) * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2


#: every schedule by its name
schedules: dict[str, Callable[[float], float]] = {f.__name__: f for f in (constant, step, poly, one_cycle)}


def schedule(name: str, step_number: int, total_steps: int) -> float:
    """The factor of the learning rate for a step (0, 1, ..., total_steps - 1), by a schedule's name."""
    if name not in schedules:
        raise SettingError(f"no schedule named {name!r}; choose one of {', '.join(schedules)}")
    return schedules[name](step_number / max(total_steps, 1))
