"""Errors of the command line. Each is one line that says what is wrong, what to do, and where to find help."""

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cyclopts import Argument, ArgumentCollection, CycloptsError, Token
from cyclopts.exceptions import CoercionError, MissingArgumentError, UnknownOptionError, UnusedCliTokensError

from ..errors import MeasurementError, NonFiniteError, SettingError, TinySegNetError, did_you_mean, nearest_name
from .options import check_order


def usage_error(error: CycloptsError) -> TinySegNetError:
    """Turn the parser's error into a one-line error."""
    if isinstance(error.__cause__, TinySegNetError):  # options raise it while they check themselves
        return error.__cause__
    error.verbose = False  # the message then has no signature of a function
    command = " ".join(["tinysegnet", *(error.command_chain or ())])
    match error:
        case UnusedCliTokensError(unused_tokens=[word, *_], app=app):
            sentence = f"unexpected argument {word!r}."
            takes_data = app and "--data" in app.assemble_argument_collection()
            if takes_data and (word == "toy" or os.path.isdir(word)):
                sentence += f" Did you mean --data {word}?"
        case UnknownOptionError(token=token, argument_collection=arguments):
            options = [name for argument in arguments if argument.parse for name in argument.names]
            sentence = _unknown_option(token.keyword or token.value, options)
        case MissingArgumentError(argument=Argument() as argument):
            count = max(1, argument.token_count()[0])
            sentence = f"{argument.name} needs {'a value' if count == 1 else f'{count} values'}"
        case CoercionError(argument=Argument() as argument, msg=str(msg)):  # raised in options.py
            sentence = f"{argument.name}: {msg}"
        case CoercionError(argument=Argument() as argument, token=Token() as token) if (
            choices := argument.get_choices()
        ):
            meant = did_you_mean(token.value, choices)
            sentence = f"{argument.name}: {token.value!r} is not a choice.{meant} Choose from {', '.join(choices)}"
        case _:
            sentence = str(error)
    return SettingError(f"{sentence}{'' if sentence.endswith(('.', '?')) else '.'} See {command} --help")


def check_required(words: Sequence[str], app: Any, commands: Sequence[str], arguments: ArgumentCollection) -> None:
    """Report all missing arguments at once, or a mistyped option or swapped arguments if there are any.

    cyclopts calls this before its own check (`App.config`) and passes the last three arguments.
    """
    given = {argument.name: [Path(token.value) for token in argument.tokens] for argument in arguments}
    if given.get("CHECKPOINT") and given.get("IMAGE"):
        check_order(" ".join(commands), given["CHECKPOINT"][0], given["IMAGE"])
    required = [argument for argument in arguments if argument.required or argument.name == "IMAGE"]
    missing = [argument.name for argument in required if not argument.has_tokens]
    if "IMAGE" in missing and given.get("--camera"):
        missing.remove("IMAGE")
    if not missing:
        return
    options = [name for argument in arguments if argument.parse for name in argument.names] + ["--help"]
    for word in words:
        if word.startswith("--") and word.split("=")[0] not in options:
            raise CycloptsError(msg=_unknown_option(word, options))
    named = missing[0] if len(missing) == 1 else f"{', '.join(missing[:-1])} and {missing[-1]}"
    raise CycloptsError(msg=f"{named} {'is' if len(missing) == 1 else 'are'} missing")


def _unknown_option(word: str, options: list[str]) -> str:
    """Return a message with the option that was probably meant, also by its initials: --lr for --learning-rate."""
    word = word.split("=")[0]
    names = {option.lstrip("-"): option for option in options}
    initials = {"".join(part[0] for part in name.split("-")): name for name in names if "-" in name}
    meant = initials.get(word.lstrip("-")) or nearest_name(word.lstrip("-"), names)
    return f"unknown option {word}.{f' Did you mean {names[meant]}?' if meant else ''}"


def explain(error: BaseException) -> tuple[str, int]:
    """Return the text of an error, and the exit code."""
    if isinstance(error, TinySegNetError):
        return str(error), 1 if isinstance(error, (NonFiniteError, MeasurementError)) else 2
    if isinstance(error, MemoryError):
        return f"not enough memory {error}. Choose a smaller --size, --batch-size or --width", 1
    if not isinstance(error, OSError):  # this is a bug in tinysegnet
        return f"{type(error).__name__}: {error}. Run the command with --debug to see where", 1
    what = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
    if error.errno in _WRONG_PLACE:
        return f"{what}. Choose another path, or change its permissions", 2
    return f"{what}. Files that were saved before are unchanged. Free some space, or choose another place", 1


_WRONG_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS,
                errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTEMPTY}  # fmt: skip
