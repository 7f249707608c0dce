"""The entry point of the command line.

Slow modules are imported only when the command is known, so that help appears at once and Ctrl-C is handled early.
"""

import os
import sys

from .help_pages import COMMANDS, data_overview, overview
from .interrupts import EXIT_CODE, is_interrupt, leave, leave_on_interrupt

__all__ = ["COMMANDS", "main"]

DISTRIBUTED = ("train", "evaluate", "predict")  # the commands that several processes can share
HELP = ("-h", "--help")
OLD_NAMES = {"data floors": "data baselines", "--no-floor": "--no-baseline",
             "--mirror yes": "--mirror", "--mirror no": "--no-mirror", "--mirror recipe": ""}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run a command line, the words after the program's name, and return the exit code.

    Without this argument, sys.argv is used, and Ctrl-C ends the process.
    """
    program = arguments is None
    if arguments is None:
        leave_on_interrupt()
        # Notebooks set a backend that draws into their page, and an unknown name would make matplotlib's import fail.
        os.environ["MPLBACKEND"] = "agg"
        arguments = sys.argv[1:]
    debug = "--debug" in arguments
    _prepare_streams()
    try:
        code = _run([argument for argument in arguments if argument != "--debug"])
        sys.stdout.flush()  # an error here is still reported
        return code
    except BrokenPipeError:  # the reader of the output, such as `head`, has ended
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (KeyboardInterrupt, Exception) as error:
        if is_interrupt(error):
            if program:  # a library whose import was interrupted may crash when Python shuts down
                leave()
            print("interrupted", file=sys.stderr)
            return EXIT_CODE
        if debug:
            raise
        from .cli_errors import explain

        text, code = explain(error)
        print("error:", " ".join(text.replace("\0", "\\0").split()), file=sys.stderr)
        return code


def _run(arguments: list[str]) -> int:
    arguments = _with_new_names(arguments)
    if arguments[:1] in (["-h"], ["--help"], ["help"]):  # help for the command in the next argument
        arguments = [*arguments[1:], "--help"]
    if arguments in (["--version"], ["-V"]):
        from .. import __version__

        print(__version__)
        return 0
    for page, words in ((overview, []), (data_overview, ["data"])):
        if arguments[: len(words) + 1] in ([*words, flag] for flag in HELP):
            print(page(), end="")
            return 0
        if arguments == words:  # no command
            print(page(), end="")
            return 2
    return _run_command(arguments)


def _run_command(arguments: list[str]) -> int:
    import signal
    import warnings
    from contextlib import nullcontext
    from functools import cache

    from ..runtime import announce_compiling
    from ..runtime.progress import hidden, say
    from ..training.signals import signal_handler
    from .distributed_job import check_alone, distributed_job
    from .parser import parse

    say_once = cache(say)
    command, bound = parse(arguments)
    announce_compiling()
    # A KeyboardInterrupt lets commands remove half-written files. A SIGINT that nohup ignores stays ignored.
    numbers = [signal.SIGTERM, *([signal.SIGINT] if signal.getsignal(signal.SIGINT) == leave else [])]
    handler = signal_handler(signal.default_int_handler, *numbers)
    quiet, distributed = (bound.arguments.get(name, getattr(bound.arguments.get("options"), name, False))
                          for name in ("quiet", "distributed"))  # fmt: skip
    if arguments[0] in DISTRIBUTED and not distributed:
        check_alone()
    job = distributed_job() if distributed else nullcontext()
    with handler, hidden(quiet), warnings.catch_warnings(), job:
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *where, **more: say_once(f"warning: {str(message).splitlines()[0]}")
        return command(*bound.args, **bound.kwargs) or 0


def _with_new_names(arguments: list[str]) -> list[str]:
    """Replace the argument names of version 0.1 with the new names, and print a note on stderr."""
    for old, new in OLD_NAMES.items():
        words = old.split()
        for at in range(len(arguments)):
            if arguments[at : at + len(words)] == words:
                now = f"`{new}`" if new else "the default"
                print(f"note: `{old}` is now {now}; the old name will be removed in version 0.3", file=sys.stderr)
                arguments = [*arguments[:at], *new.split(), *arguments[at + len(words) :]]
    return arguments


def _prepare_streams() -> None:
    """Let the output accept all text, because file names may contain letters that a terminal cannot encode."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed, as by `2>&-`; otherwise a file opened later could take its place
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
