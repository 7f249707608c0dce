"""The process of `class_table` that executes one student's answers, with limits.

It reads {"sources": {exercise: source}, "seed", "seconds", "megabytes"} from standard input. For each exercise, it
prints a line "SEED EXERCISE VERDICT"; the verdict is right, wrong, or time.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import signal
import sys
from typing import Any

import numpy as np

from .grader.exercise import exercises, hidden_seed
from .progress import is_right

try:
    import resource
except ImportError:  # on Windows there are no limits
    resource = None  # type: ignore[assignment]


class TooLong(BaseException):
    """Sign that an answer takes too long; not an Exception, so that the answer does not catch it by accident."""


def _stop(*_: Any) -> None:
    raise TooLong


def main() -> None:
    """Examine each answer and print its verdict."""
    work = json.load(sys.stdin)
    known = exercises()
    if resource is not None:
        size = work["megabytes"] * 1_000_000
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        signal.signal(signal.SIGALRM, _stop)
    # An answer cannot import the right ones.
    sys.modules.update(dict.fromkeys([name for name in sys.modules if name.startswith("tinysegnet_lessons")]))  # type: ignore[arg-type]
    for name, source in work["sources"].items():
        verdict = "wrong"
        if resource is not None:
            signal.alarm(work["seconds"])
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                space: dict[str, Any] = {"np": np, "__name__": "answer"}
                exec(compile(source, f"<{name}>", "exec"), space)
                with hidden_seed(work["seed"]):
                    verdict = "right" if is_right(known[name], space[_last_function(source)]) else "wrong"
        except TooLong:
            verdict = "time"
        except BaseException:  # sys.exit and all else that a student's code may raise
            pass
        finally:
            if resource is not None:
                signal.alarm(0)
        print(work["seed"], name, verdict, flush=True)


def _last_function(source: str) -> str:
    return next(node.name for node in reversed(ast.parse(source).body) if isinstance(node, ast.FunctionDef))


if __name__ == "__main__":
    main()
