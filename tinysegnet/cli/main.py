"""The command line: `tinysegnet COMMAND --help`."""

import errno
import io
import os
import sys
import warnings
from functools import cache, partial
from typing import Any

from cyclopts import App, CycloptsError, Group

from .. import __version__, runtime
from ..errors import MeasurementError, NonFiniteError, SettingError, TinySegNetError
from ..training.signals import terminated_as_interrupted
from .cli_errors import check_required, usage_error
from .options import DEFAULT_PARAMETER

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

EPILOGUE = (
    "Exit codes: 0 success, 1 the work failed (a loss is not finite, the disk is full, a gradient is wrong), "
    "2 wrong input, 130 interrupted. Errors are one line on stderr; --debug shows where they come from."
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line `arguments` (default: sys.argv) and return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    _prepare_streams()
    print_once = cache(partial(print, file=sys.stderr))
    try:
        runtime.announce_compiling()
        with terminated_as_interrupted(), warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *where, **more: print_once(f"warning: {message}")
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
    if arguments[:1] in (["-h"], ["--help"]):  # help for the command that follows
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
    """The parser. It imports only the requested command."""
    app = App(
        name="tinysegnet", help="SegNet from NumPy up: train it, see what it does, prove its gradients.",
        help_epilogue=EPILOGUE, version=__version__, default_parameter=DEFAULT_PARAMETER, config=check_required,
    )  # fmt: skip
    app.register_install_completion_command(help="Install completion for this shell.")
    data = App(name="data", help="Make and examine data sets.", help_epilogue="", group=DATA)
    for name, (group, summary) in COMMANDS.items():
        command: Any = f"{__package__}.{name.replace(' ', '_')}_command:run"
        asked_for = arguments[: len(name.split())] == name.split()
        if asked_for and name == "train":
            from . import train_command

            command = train_command.command(arguments[1:])
        parent, own_group = (data, None) if group is DATA else (app, group)
        parent.command(
            command, name=name.split()[-1], help=None if asked_for else summary, help_epilogue="", group=own_group
        )
    app.command(data)
    return app


def _with_new_names(arguments: list[str]) -> list[str]:
    """Replace arguments of version 0.1 by their new names, with a note on stderr."""
    note = "note: `{}` is now `{}`; the old name will be removed in version 0.3"
    if arguments[:2] == ["data", "floors"]:
        print(note.format("data floors", "data baselines"), file=sys.stderr)
        arguments = ["data", "baselines", *arguments[2:]]
    if "--no-floor" in arguments:
        print(note.format("--no-floor", "--no-baseline"), file=sys.stderr)
        arguments = ["--no-baseline" if word == "--no-floor" else word for word in arguments]
    return arguments


def _prepare_streams() -> None:
    """Let output accept all text: file names may have letters that a terminal or file cannot encode."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed (`2>&-`, pythonw): a file opened later must not take its place
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if isinstance(stream := getattr(sys, name), io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _explain(error: Exception) -> tuple[str, int]:
    """The text of an error, and the exit code."""
    if isinstance(error, TinySegNetError):
        return str(error), 1 if isinstance(error, (NonFiniteError, MeasurementError)) else 2
    if isinstance(error, MemoryError):
        return f"not enough memory {error}. Choose a smaller --size, --batch-size or --width", 1
    if not isinstance(error, OSError):  # a defect in tinysegnet, also reported in one line
        return f"{type(error).__name__}: {error}. --debug shows where", 1
    what = str(error) if error.filename is None else f"{error.filename}: {error.strerror}"
    if error.errno in _WRONG_PLACE:
        return f"{what} (expected a readable, writable path). Choose another, or change permissions", 2
    return f"{what}. Files that were saved before are unchanged; make room, or choose another place", 1


_WRONG_PLACE = {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EACCES, errno.EPERM, errno.EROFS,
                errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTEMPTY}  # fmt: skip
