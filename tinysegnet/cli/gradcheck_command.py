"""tinysegnet gradcheck."""

from .. import gradcheck
from .options import Json


def run(ops: tuple[str, ...] = (), /, *, as_json: Json = False) -> int:
    """Prove the gradients: compare every op's backward with finite differences of its forward.

    Exit code 1 if a gradient is wrong.

    Args:
        ops: Names of ops, such as conv2d. Default: all.
    """
    text, ok = gradcheck.run(list(ops), json=as_json)
    print(text)
    return 0 if ok else 1
