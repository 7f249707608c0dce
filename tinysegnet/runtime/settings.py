"""Checks of the settings that a user chose, against the annotations of their fields."""

import math
from contextlib import suppress
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import SettingError, did_you_mean

UNIONS = (Union, UnionType)  # the origins of Optional[int] and of int | None


def convert_fields(settings: Any) -> None:
    """Convert every field of a dataclass as `convert` does. Call it from `__post_init__`."""
    for name, hint in get_type_hints(type(settings)).items():
        object.__setattr__(settings, name, convert(name, getattr(settings, name), hint))  # the dataclass may be frozen


def convert(name: str, value: Any, hint: Any) -> Any:
    """Convert a setting to a plain Python value of the type that its annotation names.

    An annotation can be bool, int, float, str, Literal, None, a tuple of these, or a union. Floats must be finite, and
    variable-length tuples must not be empty. Strings and Booleans are not accepted as numbers.

    Raises SettingError with a message that begins with the name of the setting.
    """
    try:
        return _converted(value, hint)
    except (ValueError, OverflowError):
        parts = get_args(hint) if get_origin(hint) in UNIONS else (hint,)
        words = [word for part in parts if get_origin(part) is Literal for word in get_args(part)]
        meant = did_you_mean(value, words) if words else ""
        raise SettingError(f"{name}: {value!r} is not {_words(hint)}.{meant}") from None


def check_at_least(settings: Any, **lowest: float) -> None:
    """Raise SettingError if one of these fields, or an item of it, is below its lowest allowed value."""
    for name, least in lowest.items():
        value = getattr(settings, name)
        if min(value if isinstance(value, tuple) else (value,)) < least:
            raise SettingError(f"{name}: {value} must be at least {least}.")


def check_augmentation(settings: Any) -> None:
    """Raise SettingError if `flip`, `scale` or `color_jitter` of an `Augment` or a `Recipe` is out of range.

    It is here because `train --help`, which shows a recipe, must not import the data sets.
    """
    if not 0 <= settings.flip <= 1:
        raise SettingError(f"flip: {settings.flip} is not a probability. Choose a number from 0 to 1.")
    if not 1 <= settings.scale[0] <= settings.scale[1]:
        raise SettingError(f"scale: {settings.scale} is not a valid range. Choose (low, high) with 1 <= low <= high.")
    if not 0 <= settings.color_jitter < 1:
        raise SettingError(f"color_jitter: {settings.color_jitter} must be at least 0 and less than 1.")


def _converted(value: Any, hint: Any) -> Any:
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Literal and isinstance(value, str) and value in parts:
        return value
    if kind is tuple and parts[-1] is ... and isinstance(value, tuple | list) and value:
        return tuple(_converted(item, parts[0]) for item in value)
    if kind is tuple and isinstance(value, tuple | list) and len(value) == len(parts):
        return tuple(_converted(item, part) for item, part in zip(value, parts, strict=True))
    for part in parts if kind in UNIONS else ():
        with suppress(ValueError, OverflowError):
            return _converted(value, part)
    if hint is NoneType and value is None:
        return None
    if (hint is str and isinstance(value, str)) or (hint is bool and isinstance(value, bool)):
        return value
    if hint is int and isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if hint is float and isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError


def _words(hint: Any) -> str:
    kind, parts = get_origin(hint), get_args(hint)
    if kind is Literal:
        return f"one of {', '.join(parts)}"
    if kind in UNIONS:
        return " or ".join(map(_words, parts))
    if kind is tuple and parts[-1] is ...:
        return f"a list in which each item is {_words(parts[0])}"
    if kind is tuple:
        return f"a list of {len(parts)} items of which each is {_words(parts[0])}"
    words = {NoneType: "None", bool: "a Boolean (true or false)", int: "a whole number", str: "a string"}
    return words.get(hint, "a finite number")
