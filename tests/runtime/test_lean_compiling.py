"""Only the library of a kernel is optimised and translated to machine code, and numba is otherwise unchanged."""

import numpy as np
import pytest

from tinysegnet import runtime
from tinysegnet.errors import StateError
from tinysegnet.runtime import kernel_cache, prange

pytestmark = pytest.mark.skipif(not runtime.JIT, reason="numba is not installed")


def double(x):
    return 2 * x


def fill(x, helper):
    for k in prange(x.size):
        x[k] = helper(x[k])


def broken(x):
    x.append(1)


@pytest.fixture
def compiling(monkeypatch, tmp_path):
    """A function that compiles a new kernel and returns it with the names of the libraries that were optimised."""
    import numba
    from numba.core.codegen import CPUCodeLibrary

    from tinysegnet.runtime import lean_compiling

    if numba.version_info.short != lean_compiling.TESTED:
        pytest.skip("kernels are compiled as usual with this version of numba")
    monkeypatch.setattr(kernel_cache, "cache_folder", lambda: tmp_path)
    numba.njit(double)(1.0)  # numba compiles its own library before its first function
    optimize, names = CPUCodeLibrary._optimize_final_module, []
    monkeypatch.setattr(
        CPUCodeLibrary, "_optimize_final_module", lambda self: (names.append(self.name), optimize(self))
    )

    def compile(function, *arguments):
        before = [getattr(kind, name) for kind, name in lean_compiling.METHODS]
        kernel = runtime.kernel(function)
        try:
            kernel(*arguments)
        finally:
            kernel_cache.compiled_kernels.remove(kernel)
            assert [getattr(kind, name) for kind, name in lean_compiling.METHODS] == before
        return names

    return compile


def test_only_the_library_of_the_kernel_is_optimised(compiling):
    x = np.arange(5.0)
    assert compiling(fill, x, runtime.kernel(double, inline=True)) == ["fill"]
    assert x.tolist() == [0, 2, 4, 6, 8]


def test_numba_is_restored_after_an_error(compiling):
    with pytest.raises(Exception, match="append"):
        compiling(broken, np.zeros(1))


def test_a_helper_refuses_calls_from_python():
    with pytest.raises(StateError, match="double is a helper"):
        runtime.kernel(double, inline=True)(1.0)
