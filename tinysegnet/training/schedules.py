"""Learning-rate schedules: functions that map training progress, from 0 to 1, to a factor for the learning rate."""

import math
from collections.abc import Callable

from ..errors import SettingError


def constant(progress: float) -> float:
    """Keep the full rate."""
    return 1.0


def step(progress: float) -> float:
    """Reduce the rate to a tenth after half of the training, and to a hundredth after three quarters."""
    return 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01


def poly(progress: float) -> float:
    """Return (1 - progress)^0.9, the "poly" policy of DeepLab (Chen et al. 2018)."""
    return (1 - progress) ** 0.9


def one_cycle(progress: float) -> float:
    """Rise from 1/25 to 1 over the first 30 %, then fall to 1e-4, both along half a cosine (Smith & Topin 2018)."""
    warmup, start, end = 0.3, 1 / 25, 1e-4
    if progress < warmup:
        return start + (1 - start) * (1 - math.cos(math.pi * progress / warmup)) / 2
    return end + (1 - end) * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2


#: the schedules by name
schedules: dict[str, Callable[[float], float]] = {f.__name__: f for f in (constant, step, poly, one_cycle)}


def schedule(name: str, step_number: int, total_steps: int) -> float:
    """Return the named schedule's factor for the learning rate in step 0, 1, ..., or total_steps - 1."""
    if name not in schedules:
        raise SettingError(f"no schedule named {name!r}. Choose one of {', '.join(schedules)}.")
    return schedules[name](step_number / max(total_steps, 1))
