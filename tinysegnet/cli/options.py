"""The types of options and arguments, with their placeholders, conversions and checks."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, get_args

import cyclopts
from cyclopts import Parameter, Token
from cyclopts.types import PositiveInt

from ..errors import SettingError
from ..files import kind_of

#: the names in `tinysegnet.models`, whose import would make --help slow
MODELS = ("tiny", "basic", "vgg16", "bayesian-basic", "bayesian-vgg16", "bilinear-interpolation",
          "basic-encoder-addition", "basic-single-channel-decoder", "fcn-basic", "fcn-basic-no-addition",
          "fcn-basic-no-dim-reduction", "fcn-basic-no-addition-no-dim-reduction", "replication", "fixed-index",
          "article")  # fmt: skip
MOST_PIXELS = 50_000_000  # the limit per picture in a data set


def parse_size(text: str) -> tuple[int, int]:
    """Return (96, 128) for "96x128"."""
    match = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text)
    if not match:
        raise ValueError(f"{text!r} is not a size. Give height x width, such as 96x128")
    height, width = int(match[1]), int(match[2])
    if height * width > MOST_PIXELS:
        raise ValueError(f"{text!r} has too many pixels. Give at most {MOST_PIXELS / 1e6:.0f} megapixels")
    return height, width


def _convert(hint: Any, tokens: Sequence[Token]) -> Any:
    """Convert as the parser does, but refuse 1.5 as a whole number and '' as a path."""
    kinds = (hint, *get_args(hint))
    for text in (token.value for token in tokens):
        if int in kinds and not re.fullmatch(r"[+-]?\d{1,18}", text, re.ASCII):
            raise ValueError(f"{text!r} is not a whole number, such as 8")
        if Path in kinds and not text:
            raise ValueError("the path is empty. Name a file or a folder")
    return cyclopts.convert(hint, tokens)


def _written(default: Any) -> str | None:
    """Return a default as the help page shows it. Nothing is shown for None, False and an empty tuple."""
    if isinstance(default, tuple) and default:
        return ("x" if isinstance(default[0], int) else " ").join(map(str, default))
    return None if default is None or default is False or default == () else str(default)


def check_folder(hint: Any, path: Any) -> None:
    """Raise SettingError if the path of a folder is a file. The folder may be missing."""
    if path is not None and path != "toy" and os.path.isfile(path):
        is_in_run = (Path(path).parent / "config.json").exists()
        meant = f"Did you mean {Path(path).parent}?" if is_in_run else "Choose a folder"
        raise SettingError(f"{path}: {kind_of(path)}, not a folder. {meant}")


def check_order(command: str, checkpoint: Path, pictures: Sequence[Path]) -> None:
    """Raise SettingError if the checkpoint and a picture were swapped."""
    later = next((path for path in pictures if str(path) == "toy" or _is(path, "a safetensors file")), None)
    if later is not None and (_is(checkpoint, "picture") or checkpoint.is_dir()):
        raise SettingError(f"{checkpoint} is {kind_of(checkpoint)}, and {later} is a checkpoint. Did you swap them? "
                           f"Give the checkpoint first: tinysegnet {command} CHECKPOINT IMAGE --out OUT")  # fmt: skip


def _is(path: Path, kind: str) -> bool:
    with suppress(OSError):
        return kind_of(path).endswith(kind)
    return False


DEFAULT_PARAMETER = Parameter(
    converter=_convert, show_default=_written, negative=(), allow_repeating=True, json_list=False, json_dict=False
)
"""The settings that all options and arguments share."""

Size = Annotated[
    tuple[int, int], Parameter(converter=lambda hint, tokens: parse_size(tokens[0].value), n_tokens=1, metavar="HxW")
]
Numbers = Annotated[tuple[float, ...], Parameter(consume_multiple=(1, None), metavar="NUMBER")]
Names = Annotated[  # separated by commas
    tuple[str, ...],
    Parameter(converter=lambda hint, tokens: tuple(dict.fromkeys(",".join(t.value for t in tokens).split(","))),
              n_tokens=1, metavar="NAMES"),
]  # fmt: skip
Switch = Annotated[bool, Parameter(negative=None)]  # because a recipe may switch it on
CheckpointPath = Annotated[
    Path, Parameter(help='A .safetensors file that `train` wrote, or "toy" for the bundled network.')
]
FolderPath = Annotated[Path, Parameter(name="DIR", validator=check_folder)]
OutFolder = Annotated[Path, Parameter(metavar="DIR", validator=check_folder)]
RunFolderPath = Annotated[Path, Parameter(metavar="DIR", validator=check_folder)]
FilePath = Annotated[Path, Parameter(metavar="FILE")]
ModelName = Annotated[str, Parameter(choices=MODELS, metavar="MODEL", help="The network.")]
Width = Annotated[float, Parameter(metavar="NUMBER", help="A factor on the number of channels of every stage.")]
BatchSize = Annotated[PositiveInt, Parameter(help="Pictures per batch.")]
Quiet = Annotated[bool, Parameter(help="Show no progress. Results and warnings are still printed.")]
Json = Annotated[bool, Parameter(name="--json", help="Print one JSON object instead of text.")]
