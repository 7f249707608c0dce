"""Compiling a kernel in half the time. This file is imported only where numba compiles.

numba builds a library of LLVM code for each helper of a kernel, and three for each parallel loop. It optimises each of
them, translates it to machine code, and links it into the kernel's library, where the same code is optimised and
translated again. Only the kernel's library runs. Here, the others are linked as they are.

This replaces private methods of numba, so it is done only for the version of numba that the tests use. Other versions
compile kernels as usual.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
from numba.core.codegen import CPUCodeLibrary, JITCPUCodegen

from ..errors import StateError

Dispatcher: Any = type(numba.njit(lambda: None))
TESTED = (0, 68)  # the version of numba
METHODS = ((CPUCodeLibrary, "_optimize_final_module"), (JITCPUCodegen, "_add_module"), (JITCPUCodegen, "set_env"))


class Helper(Dispatcher):
    """A function for kernels, which has no machine code of its own."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        raise StateError(f"{self.__name__} is a helper, which only kernels can call")


def compile_lean(compiled: Any) -> None:
    """Compile this kernel without work for libraries that never run."""
    compile_fully = compiled._compiler.compile

    def compile_kernel(*types: Any) -> Any:
        compiled.targetctx.refresh()  # builds the libraries of numba itself, which do run
        with _only(compiled.py_func.__qualname__):  # nothing else is compiled meanwhile: numba holds its lock
            return compile_fully(*types)

    if numba.version_info.short == TESTED:
        compiled._compiler.compile = compile_kernel


@contextmanager
def _only(library: str) -> Iterator[None]:
    optimize, add, set_env = originals = [getattr(kind, name) for kind, name in METHODS]

    def optimize_kernel(self: Any) -> None:
        if self.name == library:
            optimize(self)

    def add_kernel(self: Any, module: Any) -> Any:
        return add(self, module) if module.name == library else None

    def set_env_of_kernel(self: Any, name: str, env: Any) -> None:
        if self._engine.get_global_value_address(name):  # code that was not translated has no address
            set_env(self, name, env)

    try:
        for (kind, name), method in zip(METHODS, (optimize_kernel, add_kernel, set_env_of_kernel), strict=True):
            setattr(kind, name, method)
        yield
    finally:
        for (kind, name), method in zip(METHODS, originals, strict=True):
            setattr(kind, name, method)
