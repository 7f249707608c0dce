"""The command line: `tinysegnet COMMAND --help`.

Exit codes: 0 well, 1 the work failed (a loss is not finite, the disk is full, a gradient is wrong), 2 bad input,
130 interrupted. Errors are one line on stderr; --debug shows where they come from.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from typing import Annotated, Any

import tyro

from . import backend
from .commands import benching, checking, datasets, export, options, pictures, predicting, setup, training
from .errors import DataError, MeasurementError, NonFiniteError, TinySegNetError
from .train import recipe_for

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; -> exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        backend.on_compile(_announce)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            return _parse(arguments).run()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (TinySegNetError, OSError) as error:
        if debug:
            raise
        print(f"error: {_in_one_line(error)}", file=sys.stderr)
        return 1 if isinstance(error, (NonFiniteError, MeasurementError, OSError)) else 2
    except Exception as error:  # nobody should meet one, but who does is told in a line, too
        if debug:
            raise
        print(f"error: {type(error).__name__}: {_in_one_line(error)}. --debug shows where", file=sys.stderr)
        return 1


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _in_one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}. Files that were saved before are as they were"
    return " ".join(str(error).split())


def _parse(arguments: list[str]) -> Any:
    train = tyro.conf.subcommand("train", default=_train_defaults(arguments))
    commands = (
        Annotated[training.Train, train]
        | Annotated[predicting.Evaluate, tyro.conf.subcommand("evaluate")]
        | Annotated[predicting.Predict, tyro.conf.subcommand("predict")]
        | Annotated[export.Export, tyro.conf.subcommand("export")]
        | Annotated[checking.Gradcheck, tyro.conf.subcommand("gradcheck")]
        | Annotated[checking.Summary, tyro.conf.subcommand("summary")]
        | Annotated[benching.Bench, tyro.conf.subcommand("bench")]
        | Annotated[benching.Profile, tyro.conf.subcommand("profile")]
        | Annotated[pictures.Data, tyro.conf.subcommand("data")]
        | Annotated[setup.Doctor, tyro.conf.subcommand("doctor")]
        | Annotated[setup.Warmup, tyro.conf.subcommand("warmup")]
    )
    config = (tyro.conf.OmitSubcommandPrefixes, tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    return tyro.cli(
        commands, prog="tinysegnet", description=_DESCRIPTION, args=arguments, config=config, registry=options.registry
    )  # type: ignore[call-overload]


_DESCRIPTION = "SegNet from NumPy up: train it, see what it does, prove its gradients."


def _train_defaults(arguments: list[str]) -> training.Train:
    """The recipe fits the data, so that --help shows what would really be done."""
    if arguments[:1] != ["train"]:
        return training.Train()
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--data", default="toy")
    parser.add_argument("--ignore", type=int)
    parser.add_argument("--classes", choices=("merged", "all"), default="merged")
    try:
        known = parser.parse_known_args(arguments)[0]
    except argparse.ArgumentError:  # the parser proper will say so
        return training.Train()
    labels = datasets.LabelOptions(known.ignore, known.classes)
    dataset = labels.open(known.data, "train")
    try:
        return training.Train(data=known.data, labels=labels, recipe=recipe_for(dataset))
    except DataError:  # its first files are bad: the check before training names all that are
        return training.Train(data=known.data, labels=labels)


def _announce(kernel: str, seconds: float | None) -> None:
    """Compiling takes a while, once: say so, or it looks like a hang."""
    if seconds is None and not _announced:
        _announced.append(kernel)
        print("compiling kernels for this processor; this happens once and takes about half a minute",
              file=sys.stderr, flush=True)  # fmt: skip


_announced: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
