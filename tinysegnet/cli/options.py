"""The types of options: how a value is written on the command line, and what the error says about a wrong one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import cyclopts
from cyclopts import Parameter, Token

from ..errors import SettingError

__all__ = ["DEFAULT_PARAMETER", "CheckpointPath", "FolderPath", "Json", "Numbers", "Size", "check_minimum"]

MOST_PIXELS = 50_000_000  # of a size: as many as a picture of a data set may have


def parse_size(text: str) -> tuple[int, int]:
    """ "96x128" -> (96, 128), height first as everywhere."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not match:
        raise ValueError(f"{text!r} is not a size (expected HEIGHTxWIDTH, such as 96x128)")
    height, width = int(match[1]), int(match[2])
    if height * width > MOST_PIXELS:
        raise ValueError(f"{text!r} is too large (expected at most {MOST_PIXELS / 1e6:.0f} Mpx)")
    return height, width


def parse_whole(text: str) -> int:
    """ "12" -> 12."""
    if not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
        raise ValueError(f"{text!r} is not a whole number (expected one such as 8)")
    return int(text)


def parse_number(text: str) -> float:
    """ "1e-3" -> 0.001; infinity and not-a-number are refused."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a number (expected a finite one such as 0.5)")
    return number


def parse_path(text: str) -> Path:
    """An empty path, as from a shell variable that is not set, would mean the current folder."""
    if not text:
        raise ValueError("'' is not a path (expected a file or a folder)")
    return Path(text)


_PARSERS: dict[Any, Callable[[str], Any]] = {int: parse_whole, float: parse_number, Path: parse_path, str: str}


def _convert(hint: Any, tokens: Sequence[Token]) -> Any:
    """The value of an option, or of an argument, from its words."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    if type(None) in get_args(hint) and len(kinds) == 1:
        return _convert(kinds[0], tokens)
    if get_origin(hint) is tuple:
        return tuple(_convert(kinds[0], [token]) for token in tokens)
    if hint in _PARSERS:
        return _PARSERS[hint](tokens[0].value)
    return cyclopts.convert(hint, tokens)


def _written(default: Any) -> str | None:
    """A default as the help page shows it; None, an option that is off and an empty list are not shown."""
    if isinstance(default, tuple) and default:
        return ("x" if isinstance(default[0], int) else " ").join(map(str, default))
    return None if default is None or default is False or default == () else str(default)


DEFAULT_PARAMETER = Parameter(
    converter=_convert, show_default=_written, negative=(), allow_repeating=True, json_list=False, json_dict=False
)
"""What holds for every option and argument."""

Size = Annotated[
    tuple[int, int],
    Parameter(converter=lambda hint, tokens: parse_size(tokens[0].value), n_tokens=1, metavar="HEIGHTxWIDTH"),
]
Numbers = Annotated[tuple[float, ...], Parameter(consume_multiple=(1, None))]
CheckpointPath = Annotated[
    Path, Parameter(help='A .safetensors file that `train` wrote, or "toy", the bundled network.')
]
FolderPath = Annotated[Path, Parameter(name="DIR")]
Json = Annotated[bool, Parameter(name="--json", help="Print one JSON object instead of text.")]


def check_minimum(least: int, **values: int | tuple[int, ...]) -> None:
    """Raise SettingError for the first of these options, a number or a size, that is smaller than `least`."""
    for name, value in values.items():
        if min(value if isinstance(value, tuple) else (value,)) < least:
            raise SettingError(f"{name}: {value} (expected at least {least})")
