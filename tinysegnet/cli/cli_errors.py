"""Mistakes on the command line as one line each. tyro explains them in boxes of five to nine, on stderr."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from difflib import get_close_matches
from itertools import dropwhile, takewhile
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import tyro

from ..errors import SettingError

__all__ = ["demand_alone", "demand_command", "demand_one", "demand_options", "one_line_errors", "options_of"]

_POSITIONAL = get_args(tyro.conf.Positional[int])[1]
_RULE = re.compile(r" ?[─-]{4,} ?")  # above the help that follows a message, and in plain text under the title
_BORDER = re.compile(r"^(│ |  )| *│?$")
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


def demand_command(arguments: list[str], commands: Mapping[str, Any], program: str) -> None:
    """Raise SettingError unless the first word is a command or an option. tyro takes an unknown one for an option."""
    if not arguments:
        raise SettingError(f"{program}: no command given (expected {', '.join(commands)}). See {program} --help")
    if arguments[0] not in commands and not arguments[0].startswith("-"):
        meant = _nearest(arguments[0], commands) or f"expected {', '.join(commands)}"
        raise SettingError(f"{arguments[0]}: no such command ({meant}). See {program} --help")


def demand_options(arguments: list[str], options: Iterable[str], command: str) -> None:
    """Raise SettingError for the first option that the command does not have."""
    for word in arguments:
        name = word.split("=", 1)[0].replace("_", "-")
        if re.match("--[a-z]", name) and name not in ("--help", *options):
            meant = _nearest(name, options) or "expected one of those in the help"
            raise SettingError(f"{command} {name}: no such option ({meant}). See tinysegnet {command} --help")


def demand_alone(arguments: list[str], option: str, command: str) -> None:
    """Raise SettingError if there are other options beside this one: it brings their values along."""
    names = [word.split("=", 1)[0] for word in arguments if word.startswith("--")]
    others = [name for name in names if name not in (option, "--help")]
    if option in names and others:
        raise SettingError(f"{command} {option}: cannot be changed by {others[0]} (expected {option} alone, which goes "
                           f"on with the options of the run). Leave out {others[0]}")  # fmt: skip


def demand_one(arguments: list[str], options: tuple[str, ...], command: str) -> None:
    """Raise SettingError if more than one of these options is given: each says what the others say, too."""
    given = [option for option in options if any(word.split("=", 1)[0] == option for word in arguments)]
    if len(given) > 1:
        raise SettingError(f"{command} {given[0]}: not together with {given[1]} (expected one of them). Leave out one")


@contextlib.contextmanager
def one_line_errors(command: str) -> Iterator[None]:
    """Turn what tyro writes before it exits with code 2 into a SettingError. command: for example "data crops"."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            yield
    except SystemExit as end:
        if end.code != 2:
            raise  # --help
        help_command = " ".join(["tinysegnet", *command.split(), "--help"])
        raise SettingError(f"{command} {_condensed(said.getvalue())}. See {help_command}".strip()) from None


def options_of(command: Any) -> list[str]:
    """The options of a command, "--batch-size", those of the dataclasses in it too."""
    found = []
    for name, hint in get_type_hints(command, include_extras=True).items():
        inner = get_args(hint)[0] if get_origin(hint) is Annotated else hint
        if is_dataclass(inner):
            found += options_of(inner)
        elif _POSITIONAL not in get_args(hint)[1:]:
            found.append("--" + name.replace("_", "-"))
    return found


def _condensed(box: str) -> str:
    """The message of a box. One that is unknown here, of another tyro, stays as it is, in one line."""
    lines = [_BORDER.sub("", line) for line in _COLOR.sub("", box).splitlines()[1:]]  # the first is the title
    lines = list(takewhile(lambda line: not _RULE.fullmatch(line), dropwhile(_RULE.fullmatch, lines)))
    message = " ".join(line.strip() for line in lines) or " ".join(box.split())
    if match := re.match(r"Error parsing (.*?): (.*)", message):
        return f"{match[1]}: {match[2]}"
    if match := re.match(r"invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*?),?\)", message):
        return f"{match[2]}: {match[1]!r} (expected {match[3].replace(chr(39), '')})"
    if match := re.match(r"Missing value for argument '(.*)'\. Expected (\d+)", message):
        return f"{match[1].removeprefix('command.')}: too few values (expected {match[2]})"
    if match := re.match(r"Unrecognized (?:or misplaced )?options: +([^\s,]*)", message):
        what = "no such option" if match[1].startswith("-") else "a word too many"
        return f"{match[1]}: {what} (expected options and their values)"
    if message.startswith("Missing from"):
        missing = [line.strip() for line in lines if re.match(r" {4}\S", line)]  # their help is indented further
        return f"{' and '.join(missing)}: missing"
    return message.rstrip(".")


def _nearest(word: str, known: Iterable[str]) -> str:
    bare = {name.lstrip("-"): name for name in known}
    close = get_close_matches(word.lstrip("-"), bare, 1)
    return f"did you mean {bare[close[0]]}?" if close else ""
