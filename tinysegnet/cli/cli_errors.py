"""Mistakes on the command line, one line each: what is wrong, what was expected, and where the help is."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Any

from cyclopts import Argument, ArgumentCollection
from cyclopts.exceptions import (
    CoercionError,
    ConsumeMultipleError,
    CycloptsError,
    MissingArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)

from ..errors import SettingError, TinySegNetError

__all__ = ["check_alone", "check_one", "check_required", "option_names", "usage_error"]


def usage_error(error: CycloptsError) -> TinySegNetError:
    """What the parser found, as an error of one line."""
    if isinstance(error.__cause__, TinySegNetError):  # raised by the dataclass of some options
        return error.__cause__
    words = ["tinysegnet", *(error.command_chain or ())]
    help_page = f"See {' '.join(words)} --help"
    name = " ".join(words[1:]) or "tinysegnet"
    sentence = _sentence(error, name)
    return SettingError(f"{sentence}{'' if sentence.endswith('?') else '.'} {help_page}")


def check_required(app: Any, commands: Sequence[str], arguments: ArgumentCollection) -> None:
    """Report all missing arguments at once; the parser would report the first. A hook of cyclopts (`App.config`)."""
    missing = [argument for argument in arguments if argument.required and not argument.has_tokens]
    if missing:
        raise MissingArgumentError(argument=missing[0], msg=" and ".join(map(_placeholder, missing)))


def check_alone(arguments: Iterable[str], option: str, command: str) -> None:
    """Raise SettingError if `option` stands beside other options: it brings their values along."""
    names = option_names(arguments)
    others = [name for name in names if name not in (option, "--help")]
    if option in names and others:
        raise SettingError(f"{command} {option}: cannot be changed by {others[0]} (expected {option} alone, which goes "
                           f"on with the options of the run). Leave out {others[0]}")  # fmt: skip


def check_one(arguments: Iterable[str], options: tuple[str, ...], command: str) -> None:
    """Raise SettingError if more than one of these options is given: they contradict each other."""
    names = option_names(arguments)
    given = [option for option in options if option in names]
    if len(given) > 1:
        raise SettingError(f"{command} {given[0]}: not together with {given[1]} (expected one of them). Leave out one")


def option_names(arguments: Iterable[str]) -> list[str]:
    """The options among these words: ["--size=3x4", "x"] -> ["--size"]."""
    return [word.split("=", 1)[0].replace("_", "-") for word in arguments if word.startswith("--")]


def _sentence(error: CycloptsError, name: str) -> str:
    match error:
        case UnknownCommandError(unused_tokens=[word, *_], app=app):
            commands = [command for command in app or () if not command.startswith("-")]
            if word.startswith("-"):
                return f"{word}: no such option (expected a command, such as {commands[0]}, before its options)"
            return f"{word}: no such command ({_expected(word, commands)})"
        case UnknownOptionError(token=token, argument_collection=known):
            return _unknown_option(name, token.keyword or token.value, known)
        case UnusedCliTokensError(unused_tokens=[word, *_], app=app):
            return f"{name}: unexpected argument `{word}`{_meant_as_data(word, app)}"
        case CoercionError(argument=argument) if argument is not None:
            return f"{name} {argument.name}: {_wrong_value(error, argument)}"
        case ConsumeMultipleError(argument=argument, min_required=least) if argument is not None:
            return f"{name} {argument.name}: too few values (expected {least} or more)"
        case MissingArgumentError(argument=argument, msg=None) if argument is not None:
            return f"{name} {argument.name}: too few values (expected {argument.token_count()[0]})"
        case MissingArgumentError():
            mistyped = [word for word in error.unused_tokens or () if word.startswith("-")]
            known = error.app.assemble_argument_collection() if error.app else ArgumentCollection()
            return _unknown_option(name, mistyped[0], known) if mistyped else f"{name} {error.msg}: missing"
    return f"{name}: {str(error).rstrip('.')}"


def _unknown_option(name: str, word: str, known: ArgumentCollection) -> str:
    option = word.split("=", 1)[0]
    options = [option for argument in known for option in argument.names if option.startswith("-")]
    meant = _nearest(option, options)
    return f"{name} {option}: no such option ({meant or 'expected one of those in the help'})"


def _wrong_value(error: CoercionError, argument: Argument) -> str:
    word = error.token.value if error.token else ""
    if choices := argument.get_choices():
        return f"{word!r} ({_expected(word, choices)})"
    return str(error.msg) if error.msg else f"{word!r} (expected {_placeholder(argument)})"


def _meant_as_data(word: str, app: Any) -> str:
    """The option that was probably left out: a data set has no place of its own in `train toy`."""
    takes_data = app and "--data" in app.assemble_argument_collection()
    if takes_data and (word == "toy" or os.path.isdir(word)):
        return f"; did you mean `--data {word}`?"
    return " (expected options and their values)"


def _placeholder(argument: Argument) -> str:
    """As the help page has it: "CHECKPOINT", "--out PATH"."""
    if argument.index is not None:
        return argument.name
    return f"{argument.name} {argument.parameter.metavar or argument.hint.__name__.upper()}"


def _expected(word: str, known: Iterable[str]) -> str:
    return _nearest(word, known) or f"expected {', '.join(known)}"


def _nearest(word: str, known: Iterable[str]) -> str:
    bare = {name.lstrip("-"): name for name in known}
    close = get_close_matches(word.lstrip("-"), bare, 1)
    return f"did you mean {bare[close[0]]}?" if close else ""
