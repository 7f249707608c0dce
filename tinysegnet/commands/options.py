"""How options that are not plain numbers or words are written."""

from __future__ import annotations

import re
from typing import get_args, get_origin

from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

__all__ = ["parse_size", "registry"]

registry = ConstructorRegistry()


def parse_size(text: str) -> tuple[int, int]:
    """ "96x128" -> (96, 128), height first as everywhere."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not match:
        raise ValueError(f"{text!r} is not a size: give HEIGHTxWIDTH, such as 96x128")
    return int(match[1]), int(match[2])


@registry.primitive_rule
def size_rule(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Every pair of whole numbers on the command line is a size, HEIGHTxWIDTH."""
    if (get_origin(info.type), get_args(info.type)) != (tuple, (int, int)):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="HxW",
        instance_from_str=lambda words: parse_size(words[0]),
        is_instance=lambda value: isinstance(value, tuple) and len(value) == 2,
        str_from_instance=lambda value: [f"{value[0]}x{value[1]}"],
    )
