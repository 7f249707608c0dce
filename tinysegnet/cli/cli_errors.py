"""Errors on the command line in one line: what is wrong, what was expected, and where the help is."""

import os
from collections.abc import Sequence
from typing import Any

from cyclopts import Argument, ArgumentCollection
from cyclopts.exceptions import CoercionError, CycloptsError, UnusedCliTokensError

from ..errors import SettingError, TinySegNetError


def usage_error(error: CycloptsError) -> TinySegNetError:
    """The parser's error as an error of one line."""
    if isinstance(error.__cause__, TinySegNetError):  # raised by the dataclass of some options
        return error.__cause__
    error.verbose = False  # no signatures of our functions
    match error:
        case UnusedCliTokensError(unused_tokens=[word, *_], app=app):
            sentence = f"Unexpected argument `{word}`{_meant_as_data(word, app)}"
        case CoercionError(argument=Argument() as argument, msg=str(msg)):  # a message of `options`
            sentence = f"Invalid value for {argument.name}: {msg}"
        case _:
            sentence = str(error)
    command = " ".join(["tinysegnet", *(error.command_chain or ())])
    return SettingError(f"{sentence}{'' if sentence.endswith(('.', '?')) else '.'} See {command} --help")


def check_required(app: Any, commands: Sequence[str], arguments: ArgumentCollection) -> None:
    """Report all missing arguments at once; the parser would report the first. A hook of cyclopts (`App.config`)."""
    missing = [argument.name for argument in arguments if argument.required and not argument.has_tokens]
    if len(missing) > 1:
        raise CycloptsError(msg=f"{' and '.join(missing)}: missing")


def _meant_as_data(word: str, app: Any) -> str:
    """The option that is probably missing, as in `train toy`."""
    takes_data = app and "--data" in app.assemble_argument_collection()
    if takes_data and (word == "toy" or os.path.isdir(word)):
        return f"; did you mean `--data {word}`?"
    return " (expected options and their values)"
