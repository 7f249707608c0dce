"""How options that are not plain words are written, and what is said of wrong ones."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

__all__ = ["CheckpointPath", "FolderPath", "parse_number", "parse_path", "parse_size", "parse_whole", "registry"]

MOST_PIXELS = 50_000_000  # as many as a picture of a data set may have

CheckpointPath = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="CHECKPOINT")]
FolderPath = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(metavar="DIR")]

registry = ConstructorRegistry()


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
    """ "1e-3" -> 0.001; infinity and not-a-number are no numbers here."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{text!r} is not a number (expected a finite one such as 0.5)")
    return number


def parse_path(text: str) -> Path:
    """An empty one, as from a shell variable that is not set, would mean the current folder."""
    if not text:
        raise ValueError("'' is not a path (expected a file or a folder)")
    return Path(text)


@registry.primitive_rule
def path_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Paths, also one that may be None, and any number of them."""
    if info.type in (Path, Path | None):
        return _spec("PATH", lambda words: parse_path(words[0]), lambda path: [str(path)])
    if info.type == tuple[Path, ...]:
        return _spec("PATH ...", lambda words: tuple(map(parse_path, words)), lambda paths: [*map(str, paths)], "*")
    return None


@registry.primitive_rule
def number_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Numbers, also those that may be None; every pair of whole numbers is a size, HEIGHTxWIDTH."""
    if info.type in (int, int | None):
        return _spec("INT", lambda words: parse_whole(words[0]), lambda number: [str(number)])
    if info.type is float:
        return _spec("FLOAT", lambda words: parse_number(words[0]), lambda number: [str(number)])
    if info.type == tuple[int, int] | None or (get_origin(info.type), get_args(info.type)) == (tuple, (int, int)):
        return _spec("HxW", lambda words: parse_size(words[0]), lambda size: ["x".join(map(str, size or [None]))])
    if (get_origin(info.type), get_args(info.type)) == (tuple, (float, float)):
        return _spec("FLOAT FLOAT", lambda words: tuple(map(parse_number, words)), lambda pair: [*map(str, pair)], 2)
    return None


def _spec(
    metavar: str, parse: Callable[[list[str]], Any], write: Callable[[Any], list[str]], nargs: int | Literal["*"] = 1
) -> PrimitiveConstructorSpec:
    return PrimitiveConstructorSpec(
        nargs=nargs,
        metavar=metavar,
        instance_from_str=parse,
        is_instance=lambda value: True,  # no option takes one of several types
        str_from_instance=write,
    )
