"""Kernels access no memory outside their arrays, and compute the same with vectors of every width.

`make test-all` also runs the tests of kernels with numba's bounds checks, which find an access outside an array unless
a kernel uses vector instructions. Guard pages find those, too.
"""

import os
import platform
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from forms import amount

from tinysegnet import ops, runtime

SCRIPT = Path(__file__).parents[1] / "kernel_runs.py"
CHECKED = os.environ.get("NUMBA_BOUNDSCHECK") == "1"
needs_numba = pytest.mark.skipif(not runtime.JIT, reason="numba does not compile here")
unchecked = pytest.mark.skipif(CHECKED, reason="runs without bounds checks")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="the guard pages are written for Linux")


def kernel_runs(*options, **settings):
    """Run the program in an environment with these settings, where kernels run in one thread."""
    # With Python's debug allocator, a kernel that writes outside its own scratch arrays ends the process, too.
    environment = {**os.environ, "TINYSEGNET_PARALLEL": "0", "PYTHONMALLOC": "debug", **settings}
    return subprocess.run([sys.executable, str(SCRIPT), *map(str, options)], env=environment, capture_output=True,
                          text=True, timeout=3000, check=False)  # fmt: skip


def assert_success(done):
    """Fail with the last lines of stderr, which name the op and the shapes."""
    last = "\n".join(done.stderr.splitlines()[-5:])
    assert done.returncode == 0, f"ended by {done.returncode} in\n{last}"


def test_every_op_has_random_arguments():
    import kernel_runs as program

    assert set(program.ARGUMENTS) == set(ops.REGISTRY)


@unchecked
@needs_numba
@needs_linux
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("dtype", amount(["float64"], ["float32", "float64"]))
def test_kernels_stay_within_their_arrays(dtype):
    done = kernel_runs("--guard", "end", "start", "--dtype", dtype, "--shapes", amount(4, 100))
    assert_success(done)
    assert "not launched: []" in done.stdout


@unchecked
@needs_numba
@needs_linux
@pytest.mark.parametrize("side", ["end", "start"])
@pytest.mark.long
def test_guard_pages_find_an_access_outside_an_array(side):
    done = kernel_runs("--guard", side, "--plant", "--shapes", 0)
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr.splitlines()[-1] == "planted: (3, 5)"


@pytest.mark.skipif(not CHECKED, reason="only for NUMBA_BOUNDSCHECK=1")
def test_bounds_checks_find_an_access_outside_an_array():
    """numba checks no bounds in parallel loops, and its cache ignores the setting."""
    import kernel_runs as program

    assert not runtime.PARALLEL
    with pytest.raises(IndexError):
        program.read_one(np.ones(15), 15, np.zeros(1))


# --- processors ------------------------------------------------------------------------------------------------------

AVX2 = ["avx", "avx2", "fma", "f16c", "bmi", "bmi2", "lzcnt", "popcnt", "sse4.2"]
AVX512 = [*AVX2, "avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"]
# the model that numba compiles for, its features, and the bytes and the number per row of its vectors
PROCESSORS = {
    "baseline": ("generic", [], 16, 4),
    "AVX2": ("haswell", AVX2, 32, 2),
    "AVX-512": ("skylake-avx512", AVX512, 64, 4),
}


@unchecked
@needs_numba
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("processor", PROCESSORS)
def test_kernels_compute_the_same_on_other_processors(processor, dtype, tmp_path):
    """Each width of vectors and each register tile runs on every machine whose processor has the instructions."""
    import llvmlite.binding

    from tinysegnet.ops.engine import simd

    model, features, width, vectors = PROCESSORS[processor]
    present = {name for name, there in llvmlite.binding.get_host_cpu_features().items() if there}
    if features and (platform.machine() not in ("x86_64", "AMD64") or not present.issuperset(features)):
        pytest.skip(f"this processor has no {processor}")
    if simd._vector_bytes() == width:
        pytest.skip(f"the other tests use {processor} here")
    settings = {"NUMBA_CPU_NAME": model, "NUMBA_CPU_FEATURES": ",".join(f"+{name}" for name in features)}
    done = kernel_runs("--dtype", dtype, "--shapes", 25, **settings, TINYSEGNET_CACHE=str(tmp_path))
    assert_success(done)
    assert f"vectors of {width} bytes, at most {vectors} per row" in done.stdout
