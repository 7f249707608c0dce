"""Kernels for float32 compute in float32.

An integer or a Python float beside a float32 number makes numba compute in float64: `0 if x <= 0 else x` is float64,
and so is x / n for an integer n. The results hardly differ, but conversions and double vectors take up to twice the
time.
"""

import re

import kernel_runs
import numpy as np
import pytest
from forms import amount

from tinysegnet import runtime
from tinysegnet.runtime import kernel_cache

if runtime.JIT:
    import numba

pytestmark = pytest.mark.skipif(not runtime.JIT, reason="numba does not compile here")

CONVERSION = re.compile(r"= (?:fpext|fptrunc) .*(?:float|double)")
OPS = amount(["batchnorm2d_relu", "max_pool2d", "relu", "softmax_cross_entropy"], [*kernel_runs.ARGUMENTS])


def float32_signatures(kernel):
    """Return the compiled signatures of a kernel with float32 arrays and without float64 arrays."""
    for signature in kernel.signatures:
        kinds = {argument.dtype for argument in signature if isinstance(argument, numba.types.Array)}
        if numba.float32 in kinds and numba.float64 not in kinds:
            yield signature


def conversions(function, options, signature):
    """Compile a function without the cache, which keeps no LLVM code, and return the conversions that are left.

    Types do not depend on threads, without which compiling takes half the time. The wrapper for calls from Python
    converts numbers, since a float of Python is a double.
    """
    compiled = numba.jit(**{**options, "parallel": False})(function)
    compiled.compile(signature)
    functions = compiled.inspect_llvm(compiled.signatures[0]).split("\ndefine ")
    return [found for text in functions if "cpython" not in text.split("(")[0] for found in CONVERSION.findall(text)]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_float32_kernels_do_not_convert_to_float64():
    for seed in range(8):
        for op in OPS:
            kernel_runs.run(op, seed, np.float32)
    kernel_runs.run_optimizers(0, np.float32)
    found = {}
    for kernel in kernel_cache.compiled_kernels:
        for signature in float32_signatures(kernel):
            if lines := conversions(kernel.py_func, kernel.targetoptions, signature):
                found[f"{kernel.py_func.__module__}.{kernel.__name__}"] = len(lines)
    assert found == {}


def mixed(x):
    for k in range(x.size):
        x[k] = (0 if x[k] <= 0 else x[k]) * x[k]


def divided(x):
    for k in range(x.size):
        x[k] /= x.size


def constant(x):
    for k in range(x.size):
        x[k] = 0.1 * x[k]


@pytest.mark.parametrize("function", [mixed, divided, constant])
def test_each_kind_of_accident_is_found(function):
    compiled = numba.njit(function)
    compiled(np.ones(3, np.float32))
    assert conversions(function, {"nopython": True}, compiled.signatures[0])
