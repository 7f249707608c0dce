"""The command line: `tinysegnet COMMAND --help`.

Exit codes: 0 well, 1 the work failed (a loss is not finite, the disk is full, a gradient is wrong), 2 bad input,
130 interrupted. Errors are one line on stderr; --debug shows where they come from.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
import warnings
from dataclasses import replace
from typing import Annotated, Any, Union

import tyro

from .. import runtime
from ..errors import DataError, MeasurementError, NonFiniteError, TinySegNetError
from ..training.recipes import papers, recipe_for
from ..training.signals import terminated_as_interrupted
from . import (
    bench_command,
    data_command,
    export_command,
    gradcheck_command,
    images_command,
    lessons_command,
    options,
    predict_command,
    setup_command,
    train_command,
    walk_command,
)
from .cli_errors import demand_alone, demand_command, demand_one, demand_options, one_line_errors, options_of

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; -> exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = _with_new_names([argument for argument in arguments if argument != "--debug"])
    _demand_streams()
    try:
        runtime.on_compile(_announce)
        with terminated_as_interrupted(), warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return _parse(arguments).run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            raise
        text, code = _explain(error)
        print("error:", " ".join(text.replace("\0", "\\0").split()), file=sys.stderr)
        return code


def _with_new_names(arguments: list[str]) -> list[str]:
    """Names of version 0.1 are understood for one more version, with a line that says the new name."""
    renamed = list(arguments)
    if renamed[:2] == ["data", "floors"]:
        renamed[1] = "baselines"
    renamed = ["--no-baseline" if argument == "--no-floor" else argument for argument in renamed]
    for old, new in zip(arguments, renamed, strict=True):
        if old != new:
            print(f"warning: {old} is now called {new}; the old name goes away in the next version", file=sys.stderr)
    return renamed


def _demand_streams() -> None:
    """Output that takes every text: names of files may have letters that a terminal or a redirected file has not."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed (`2>&-`, pythonw): a file opened later must not take its place
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _explain(error: Exception) -> tuple[str, int]:
    """What to say, and the exit code."""
    if isinstance(error, TinySegNetError):
        return str(error), 1 if isinstance(error, (NonFiniteError, MeasurementError)) else 2
    if isinstance(error, MemoryError):
        return f"not enough memory {error}. Choose a smaller --size, --batch-size or --width", 1
    if not isinstance(error, OSError):  # nobody should meet one, but who does is told in a line, too
        return f"{type(error).__name__}: {error}. --debug shows where", 1
    what = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
    if error.errno in _WRONG_PLACE:
        return f"{what} (expected a place that can be read and written). Choose another, or change permissions", 2
    return f"{what}. Files that were saved before are as they were; make room, or choose another place", 1


_WRONG_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS,
                errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTEMPTY}  # fmt: skip


COMMANDS: dict[str, Any] = {
    "train": train_command.Train,
    "evaluate": predict_command.Evaluate,
    "predict": predict_command.Predict,
    "walk": walk_command.Walk,
    "export": export_command.Export,
    "gradcheck": gradcheck_command.Gradcheck,
    "summary": gradcheck_command.Summary,
    "data": images_command.Data,
    "bench": bench_command.Bench,
    "profile": bench_command.Profile,
    "lessons": lessons_command.Lessons,
    "doctor": setup_command.Doctor,
    "warmup": setup_command.Warmup,
}


def _parse(arguments: list[str]) -> Any:
    command = _demand_command(arguments)
    kinds = [Annotated[kind, tyro.conf.subcommand(name)] for name, kind in COMMANDS.items() if name != "train"]
    train = Annotated[train_command.Train, tyro.conf.subcommand("train", default=_train_defaults(arguments))]
    config = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    with one_line_errors(command):
        return tyro.cli(
            Union[(train, *kinds)],  # type: ignore[call-overload]
            prog="tinysegnet", description=_DESCRIPTION, args=arguments, config=config, registry=options.registry,
        )  # fmt: skip


def _demand_command(arguments: list[str]) -> str:
    """The command, "data crops" for example, or "" where an option such as --help stands in its place."""
    demand_command(arguments, COMMANDS, "tinysegnet")
    command, kinds = arguments[0], COMMANDS
    if command == "data":
        demand_command(arguments[1:], images_command.COMMANDS, "tinysegnet data")
        command, kinds = arguments[1], images_command.COMMANDS
    if command not in kinds:
        return ""
    words = " ".join(arguments[: 1 + (kinds is images_command.COMMANDS)])
    demand_options(arguments, options_of(kinds[command]), words)
    if words == "train":
        demand_alone(arguments, "--resume", words)
        demand_one(arguments, ("--epochs", "--iterations"), words)
    return words


_DESCRIPTION = "SegNet from NumPy up: train it, see what it does, prove its gradients."


def _train_defaults(arguments: list[str]) -> train_command.Train:
    """The recipe fits the data, or is a paper's, so that --help shows what would really be done."""
    if arguments[:1] != ["train"]:
        return train_command.Train()
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--data", default="toy")
    parser.add_argument("--ignore", type=int)
    parser.add_argument("--classes", choices=("merged", "all"), default="merged")
    parser.add_argument("--recipe", choices=train_command.RECIPES, default="default")
    parser.add_argument("--epochs")
    try:
        known = parser.parse_known_args(arguments)[0]
    except argparse.ArgumentError:  # the parser proper will say so
        return train_command.Train()
    labels = data_command.LabelOptions(known.ignore, known.classes)
    if known.recipe in papers:
        paper = papers[known.recipe]
        recipe = paper.recipe if known.epochs is None else replace(paper.recipe, iterations=None)
        return train_command.Train(known.data, labels, recipe=known.recipe, model=paper.model, settings=recipe)
    dataset = labels.open(known.data, "train")
    try:
        return train_command.Train(data=known.data, labels=labels, settings=recipe_for(dataset))
    except DataError:  # its first files are bad: the check before training names all that are
        return train_command.Train(data=known.data, labels=labels)


def _announce(kernel: str, seconds: float | None) -> None:
    """Compiling takes a while, once: say so, or it looks like a hang."""
    if seconds is None and not _announced:
        _announced.append(kernel)
        print("compiling kernels for this processor, once for each kind of work; up to half a minute",
              file=sys.stderr, flush=True)  # fmt: skip


_announced: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
