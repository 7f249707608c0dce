"""The file of `train --config`: a run's config.json, or a TOML file with the names of the options."""

import json
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any, get_args, get_type_hints

from ..errors import SettingError, did_you_mean
from ..files import is_special
from ..runtime.settings import convert
from ..training.recipes import Recipe, validation_interval
from .data_options import LabelOptions
from .train_command import Train

RECORDED = {"environment", "pictures", "plans"}  # what a run's config.json contains beside options
LENGTHS = {"epochs", "iterations", "minutes"}  # of these options, only one may be given


def with_config(arguments: list[str]) -> list[str]:
    """Put the options in the file of --config before the words after `tinysegnet train`, unless given there.

    Raises SettingError if the file cannot be read, or contains an unknown name or an invalid value.
    """
    words = [part for argument in arguments for part in argument.split("=", 1)]
    if "--config" not in words[:-1]:
        return arguments
    path = Path(words[words.index("--config") + 1])
    values = {key.replace("-", "_"): value for key, value in _read(path).items() if value is not None}
    given = {word.removeprefix("--no-").removeprefix("--").replace("-", "_") for word in words if word[:2] == "--"}
    given |= LENGTHS if given & LENGTHS else set()
    epochs = values.get("epochs")
    if given & LENGTHS and isinstance(epochs, int) and values.get("validate_every") == validation_interval(epochs):
        given.add("validate_every")  # it follows the number of epochs
    if "environment" in values and "iterations" in values:
        given.add("epochs")  # a run's file contains both, and the iterations count
    hints = get_type_hints(Train) | get_type_hints(LabelOptions) | get_type_hints(Recipe)
    options = {name.rstrip("_"): str if Path in (hint, *get_args(hint)) else hint for name, hint in hints.items()
               if name not in ("labels", "resume", "config")}  # fmt: skip
    unknown = next((name for name in values if name not in RECORDED | set(options)), None)
    if unknown is not None:
        raise SettingError(f"{path}: unknown option {unknown!r}.{did_you_mean(unknown, options)} See tinysegnet train "
                           "--help")  # fmt: skip
    chosen = {name: value for name, value in values.items() if name not in RECORDED | given}
    try:
        found = [_words(name, convert(name, value, options[name])) for name, value in chosen.items()]
    except SettingError as error:
        raise SettingError(f"{path}: {error}") from error
    return [*chain(*found), *arguments]


def _read(path: Path) -> dict[str, Any]:
    try:
        if is_special(path):
            raise ValueError("it is a pipe or a device")
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
        values = json.loads(text) if text.lstrip()[:1] == "{" else tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise SettingError(f"--config {path}: cannot be read: {reason}. Give a run's config.json, or TOML such as "
                           "epochs = 100") from error  # fmt: skip
    return dict(values)


def _words(name: str, value: Any) -> list[str]:
    """Return an option as it is written on the command line."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option] if value else ["--no-mirror"] if name == "mirror" else []
    if isinstance(value, tuple):
        return [option, "x".join(map(str, value))] if name == "size" else [option, *map(str, value)]
    return [f"{option}={value}"]
