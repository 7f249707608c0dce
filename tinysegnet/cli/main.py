"""The command line: `tinysegnet COMMAND --help`."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

from cyclopts import App, CycloptsError, Group

from .. import __version__, runtime
from ..errors import MeasurementError, NonFiniteError, SettingError, TinySegNetError
from ..training.signals import terminated_as_interrupted
from .cli_errors import check_required, usage_error
from .options import DEFAULT_PARAMETER

__all__ = ["COMMANDS", "main"]

USE = Group("Train and use a network", sort_key=1)
DATA = Group("Data sets", sort_key=2)
UNDERSTAND = Group("Learn and verify", sort_key=3)
MACHINE = Group("Speed and installation", sort_key=4)

# "data check" is in data_check_command.py, and so on. The summaries stand here so that --help imports no command.
COMMANDS: dict[str, tuple[Group, str]] = {
    "train": (USE, "Train a network; write checkpoints, curves, overlays and a report."),
    "evaluate": (USE, "Score a trained network on labelled pictures."),
    "predict": (USE, "Segment pictures of any size."),
    "walk": (USE, "Write a page that walks a picture through every layer of a network."),
    "export": (USE, "Copy a checkpoint without what only training needs."),
    "data check": (DATA, "Check that every picture and label map of a folder can be used."),
    "data crops": (DATA, "Make a small data set out of a large one."),
    "data baselines": (DATA, "Score predictors without a network: position and colour."),
    "data scenes": (DATA, "Draw toy street scenes and their labels."),
    "gradcheck": (UNDERSTAND, "Prove the gradients with finite differences."),
    "summary": (UNDERSTAND, "Show shapes, parameters, memory and multiply-adds of a network."),
    "lessons": (UNDERSTAND, "Copy the lessons, notebooks with exercises, into a folder to work in."),
    "bench": (MACHINE, "Time ops and networks, alone or against PyTorch."),
    "profile": (MACHINE, "Show where the time of a training step goes."),
    "doctor": (MACHINE, "Show what this installation runs on."),
    "warmup": (MACHINE, "Compile the kernels now."),
}

RENAMED = {  # spellings of version 0.1, understood for one more version
    ("data", "floors"): ("data", "baselines"),
    ("--no-floor",): ("--no-baseline",),
}

EPILOGUE = (
    "Exit codes: 0 success, 1 the work failed (a loss is not finite, the disk is full, a gradient is wrong), "
    "2 wrong input, 130 interrupted. Errors are one line on stderr; --debug shows where they come from."
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: The words after `tinysegnet`. Default: those of this process.

    Returns:
        The exit code.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    _prepare_streams()
    try:
        runtime.announce_compiling()
        with terminated_as_interrupted(), warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _warning_printer()
            return _run(_with_new_names(arguments))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            raise
        text, code = _explain(error)
        print("error:", " ".join(text.replace("\0", "\\0").split()), file=sys.stderr)
        return code


def _run(arguments: list[str]) -> int:
    if arguments[:1] in (["-h"], ["--help"]):  # of the command that follows
        arguments = [*arguments[1:], "--help"]
    app = _app(arguments)
    try:
        command, bound, _ = app.parse_args(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise usage_error(error) from error
    if command == app.help_print and not {"-h", "--help"} & set(arguments):
        program = " ".join(["tinysegnet", *arguments])
        names = ", ".join(name for name in (app[arguments[0]] if arguments else app) if not name.startswith("-"))
        raise SettingError(f"{program}: no command given (expected {names}). See {program} --help")
    return command(*bound.args, **bound.kwargs) or 0


def _app(arguments: list[str]) -> App:
    """The parser. It imports the command that is asked for, and no other."""
    app = App(
        name="tinysegnet", help="SegNet from NumPy up: train it, see what it does, prove its gradients.",
        help_epilogue=EPILOGUE, version=__version__, default_parameter=DEFAULT_PARAMETER,
        config=check_required,
    )  # fmt: skip
    app.register_install_completion_command(help="Install completion for this shell.")
    for name, (group, summary) in COMMANDS.items():
        *parents, last = name.split()
        if parents and parents[0] not in app:
            app.command(App(name=parents[0], help="Make and examine data sets.", help_epilogue="", group=DATA))
        if name == "train" and arguments[:1] == ["train"]:
            from . import train_command

            command: Any = train_command.command(arguments[1:])
        else:
            command = f"{__package__}.{name.replace(' ', '_')}_command:run"
        asked_for = arguments[: len(name.split())] == name.split()
        parent = app[parents[0]] if parents else app
        parent.command(
            command, name=last, help=None if asked_for else summary, help_epilogue="", group=None if parents else group
        )
    return app


def _with_new_names(arguments: list[str]) -> list[str]:
    """The arguments in today's spelling, and a line on stderr for each old one."""
    for old, new in RENAMED.items():
        for start in range(len(arguments)):
            if tuple(arguments[start : start + len(old)]) == old and (start == 0 or old[0].startswith("-")):
                print(f"note: `{' '.join(old)}` is now `{' '.join(new)}`; the old name will be removed in version 0.3",
                      file=sys.stderr)  # fmt: skip
                arguments = [*arguments[:start], *new, *arguments[start + len(old) :]]
    return arguments


def _prepare_streams() -> None:
    """Let output take every text: names of files may have letters that a terminal or a redirected file has not."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed (`2>&-`, pythonw): a file opened later must not take its place
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _warning_printer() -> Callable[..., None]:
    """A `warnings.showwarning` that prints one line, once per text."""
    shown: set[str] = set()

    def show(message: Warning | str, *where: Any, **more: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            print(f"warning: {message}", file=sys.stderr)

    return show


def _explain(error: Exception) -> tuple[str, int]:
    """The text of an error, and the exit code."""
    if isinstance(error, TinySegNetError):
        return str(error), 1 if isinstance(error, (NonFiniteError, MeasurementError)) else 2
    if isinstance(error, MemoryError):
        return f"not enough memory {error}. Choose a smaller --size, --batch-size or --width", 1
    if not isinstance(error, OSError):  # a defect of ours; it is one line, too
        return f"{type(error).__name__}: {error}. --debug shows where", 1
    what = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
    if error.errno in _WRONG_PLACE:
        return f"{what} (expected a place that can be read and written). Choose another, or change permissions", 2
    return f"{what}. Files that were saved before are unchanged; make room, or choose another place", 1


_WRONG_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS,
                errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTEMPTY}  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
