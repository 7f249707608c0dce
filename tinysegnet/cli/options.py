"""The types of options: how their values are written, and the errors for wrong ones."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

import cyclopts
from cyclopts import Parameter, Token

from ..models import models

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


def _convert(hint: Any, tokens: Sequence[Token]) -> Any:
    """The parser's conversion, which by itself would round 1.5 and take '' as the current folder."""
    kinds = (hint, *get_args(hint))
    for text in (token.value for token in tokens):
        if int in kinds and not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
            raise ValueError(f"{text!r} is not a whole number (expected one such as 8)")
        if Path in kinds and not text:
            raise ValueError("'' is not a path (expected a file or a folder)")
    return cyclopts.convert(hint, tokens)


def _written(default: Any) -> str | None:
    """A default as the help page shows it; None, an option that is off and an empty list are not shown."""
    if isinstance(default, tuple) and default:
        return ("x" if isinstance(default[0], int) else " ").join(map(str, default))
    return None if default is None or default is False or default == () else str(default)


DEFAULT_PARAMETER = Parameter(
    converter=_convert, show_default=_written, negative=(), allow_repeating=True, json_list=False, json_dict=False
)
"""The settings of all options and arguments."""

Size = Annotated[
    tuple[int, int],
    Parameter(converter=lambda hint, tokens: parse_size(tokens[0].value), n_tokens=1, metavar="HEIGHTxWIDTH"),
]
Numbers = Annotated[tuple[float, ...], Parameter(consume_multiple=(1, None))]
CheckpointPath = Annotated[
    Path, Parameter(help='A .safetensors file that `train` wrote, or "toy", the bundled network.')
]
FolderPath = Annotated[Path, Parameter(name="DIR")]
ModelName = Annotated[str, Parameter(choices=tuple(models), metavar="MODEL")]
Json = Annotated[bool, Parameter(name="--json", help="Print one JSON object instead of text.")]
