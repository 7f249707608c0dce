"""tinysegnet gradcheck."""

from typing import Annotated

from cyclopts import Parameter


def run(ops: Annotated[tuple[str, ...], Parameter(name="OP")] = (), /) -> int:
    """Check the gradients: compare the backward of every op with finite differences of its forward.

    The exit code is 1 if a gradient is wrong.

    Args:
        ops: The names of ops, such as conv2d. Default: all.
    """
    from .. import gradcheck

    text, ok = gradcheck.run(list(ops))
    print(text)
    return 0 if ok else 1
