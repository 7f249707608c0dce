"""Declarations of ops: the variants, the cache that they share, and the arguments that have a gradient.

Each op file ends with its declaration, which creates the public functions. `tinysegnet.ops.REGISTRY` contains them all.
"""

import functools
import inspect
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..errors import ShapeError
from ..runtime import BACKEND

KEYWORD_ARRAYS = ("mean", "var", "scale")  # all other arguments that must be given by name are settings


class Variant(NamedTuple):
    """An implementation of an op: a forward and the backward that belongs to it."""

    forward: Callable
    backward: Callable


def public_function(name: str, *, numpy: Callable, numba: Callable) -> Callable:
    """Return the function that users call: the variant for this backend, with the NumPy variant's docstring."""
    variant = numba if BACKEND == "numba" else numpy
    parameters = inspect.signature(numpy).parameters
    arrays = {key: p.default is None for key, p in parameters.items() if key not in ("dloss", "cache")
              and (p.kind is p.POSITIONAL_OR_KEYWORD or key in KEYWORD_ARRAYS)}  # fmt: skip

    @functools.wraps(numpy)
    def public(*args, **kwargs):
        for key, value in (*zip(parameters, args, strict=False), *kwargs.items()):
            if type(value) is np.ndarray or key not in arrays or (value is None and arrays[key]):
                continue
            if not isinstance(value, np.ndarray | np.generic) or isinstance(value, np.ma.MaskedArray):
                raise ShapeError(f"{name} needs a NumPy array as {key}, got {type(value).__name__}. "
                                 "Convert it with numpy.array(...)")  # fmt: skip
        return variant(*args, **kwargs)

    public.__name__ = public.__qualname__ = name
    return public


class Op:
    """The declaration of an op.

    Args:
        name: a name such as "conv2d". The public functions are `<name>_forward` and `<name>_backward`.
        cache: the class of named tuples that every forward returns and every backward takes.
        differentiable: the arguments that have a gradient, in the order in which backward returns them.
        numpy: the definition of the op, the shortest correct code.
        numba: the fast variant, which supports every case that the definition supports, or None where NumPy is as
            fast.
        others: further variants by name, such as direct=Variant(...), which may raise a ShapeError for some shapes.
    """

    def __init__(self, name: str, *, cache: type, differentiable: tuple[str, ...],
                 numpy: Variant, numba: Variant | None = None, **others: Variant):  # fmt: skip
        numba = numba or numpy
        self.name, self.cache, self.differentiable = name, cache, differentiable
        self.variants: dict[str, Variant] = {"numpy": numpy, "numba": numba, **others}
        self.forward = public_function(f"{name}_forward", numpy=numpy.forward, numba=numba.forward)
        self.backward = public_function(f"{name}_backward", numpy=numpy.backward, numba=numba.backward)

    def __repr__(self) -> str:
        return f"Op({self.name!r}, variants={list(self.variants)}, differentiable={self.differentiable})"
