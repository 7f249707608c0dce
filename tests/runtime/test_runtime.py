"""Everything works without numba, launches are safe in threads and processes, and memory is reused."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from forms import amount

from tinysegnet import runtime
from tinysegnet.errors import SettingError

# Programs that print the backend and numbers that must not depend on it. The long one trains two steps.
LONG_PROGRAM = """
import sys
{before}
import numpy as np
import tinysegnet as ts
from tinysegnet.data.toyscenes import ToyScenes
model = ts.build("tiny", width=1 / 8)
recipe = ts.Recipe(epochs=1, batch_size=2, size=(16, 24))
loss = ts.fit(model, ToyScenes(4, size=(16, 24)), recipe=recipe, progress=False).history[0]["train_loss"]
report = ts.gradcheck.check_op("max_pool2d")
print(ts.runtime.BACKEND, ts.ops.conv2d_forward.__name__, f"{{loss:.4f}}", report.ok)
"""
SHORT_PROGRAM = """
import sys
{before}
import numpy as np
import tinysegnet as ts
out, cache = ts.ops.relu_forward(np.random.default_rng(0).normal(size=(2, 3, 5, 4)))
print(ts.runtime.BACKEND, ts.ops.conv2d_forward.__name__, out.sum(), ts.gradcheck.check_op("relu").ok)
"""
PROGRAM = amount(SHORT_PROGRAM, LONG_PROGRAM)

ONE_KERNEL = """
import numpy as np
import tinysegnet as ts
print(ts.ops.relu_forward(np.array([[[[-1.0, 2.0]]]]))[0].sum())
"""


def run(before="", program=PROGRAM, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program.format(before=before)],
        env={**os.environ, "NUMBA_NUM_THREADS": "4", **environment}, capture_output=True, text=True, timeout=500,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def usual():
    return run()


# Make every import of numba fail, as in an installation without it.
NO_NUMBA = """
import importlib.abc
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("numba", "llvmlite"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
"""

EVERYTHING = """
import sys
{before}
import importlib, pkgutil
import numpy as np
import tinysegnet as ts
from tinysegnet.cli.main import main
# All modules but these must be importable by themselves.
needs_more = ("__main__", "bench.peers.", "ops.engine.", "runtime.launch", "runtime.lean_compiling",
              "runtime.safe_cache")
for module in pkgutil.walk_packages(ts.__path__, "tinysegnet."):
    if not module.name.removeprefix("tinysegnet.").startswith(needs_more):
        importlib.import_module(module.name)
model = ts.load_bundled("toy")
labels = ts.predict(model, np.zeros((20, 28, 3), np.uint8), size=(20, 28))
checks = [ts.gradcheck.check_op(op).ok for op in ("max_pool2d", "batchnorm2d")]
print(labels.shape == (20, 28), *checks, "numba" in sys.modules, main(["doctor"]))
"""


@pytest.mark.parametrize(("before", "environment"), [(NO_NUMBA, {}), ("", {"TINYSEGNET_BACKEND": "numpy"})])
def test_without_numba_the_numbers_are_the_same(before, environment, usual):
    assert run(before, **environment) == ["numpy", "conv2d_forward", usual[2], "True"]


@pytest.mark.long
def test_the_whole_package_works_without_numba():
    printed = run(NO_NUMBA, EVERYTHING)
    assert "numpy" in printed
    assert printed[-5:] == ["True", "True", "True", "False", "0"]


@pytest.mark.skipif(not runtime.JIT, reason="numba is not installed")
def test_kernels_as_plain_python_compute_the_same():
    assert run(program=ONE_KERNEL, NUMBA_DISABLE_JIT="1") == ["2.0"]


@pytest.mark.skipif(not runtime.JIT, reason="numba is not installed")
@pytest.mark.long
def test_kernels_as_plain_python_train_the_same(usual):
    assert run(NUMBA_DISABLE_JIT="1")[2:] == [usual[2], "True"]


@pytest.mark.skipif(not runtime.JIT, reason="numba is not installed")
@pytest.mark.long
def test_kernels_without_threads_compute_the_same():
    assert run(program=ONE_KERNEL, TINYSEGNET_PARALLEL="0") == ["2.0"]


def test_threads_can_be_chosen():
    before = runtime.threads()
    runtime.set_threads(1)
    assert runtime.threads() == 1
    runtime.set_threads(before)
    with pytest.raises(SettingError, match="threads: 0"):
        runtime.set_threads(0)


# --- launching -------------------------------------------------------------------------------------------------------

needs_threads = pytest.mark.skipif(not runtime.JIT, reason="kernels have no threads here")
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")

# Run a kernel in the parent if `used` says so, and then in a worker process.
WORKERS = """
import multiprocessing, sys
import numpy as np
import tinysegnet as ts
x = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
def work(x):
    return ts.ops.relu_forward(x)[0]
if __name__ == "__main__":
    method, used = sys.argv[1:]
    here = work(x) if used == "used" else None
    with multiprocessing.get_context(method).Pool(1) as pool:
        try:
            there = pool.map_async(work, [x]).get(timeout=200)[0]
        except ts.errors.StateError as error:
            sys.exit(str(error))
    print(np.array_equal(there, work(x)))
"""


def run_workers(folder, method, used, **environment):
    (folder / "workers.py").write_text(WORKERS)
    return subprocess.run(
        [sys.executable, "workers.py", method, used], cwd=folder,
        env={**os.environ, "NUMBA_NUM_THREADS": "4", **environment}, capture_output=True, text=True, timeout=500,
        check=False,
    )  # fmt: skip


@needs_fork
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere OpenMP survives a fork")
@needs_threads
@pytest.mark.long
def test_a_forked_child_without_threads_fails_with_one_line(tmp_path):
    done = run_workers(tmp_path, "fork", "used", NUMBA_THREADING_LAYER="omp", TINYSEGNET_PARALLEL="1")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    for word in ("OpenMP", '"spawn"', '"forkserver"', "before the network is first used"):
        assert word in done.stderr


@needs_fork
@pytest.mark.parametrize(("method", "used", "environment"), [
    pytest.param("fork", "unused", {}, marks=pytest.mark.long),
    pytest.param("forkserver", "used", {}, marks=pytest.mark.long),
    pytest.param("spawn", "used", {}, marks=pytest.mark.long),
    ("fork", "used", {"TINYSEGNET_BACKEND": "numpy"}),
])  # fmt: skip
def test_child_processes_compute_what_their_parent_does(method, used, environment, tmp_path):
    done = run_workers(tmp_path, method, used, **environment)
    assert (done.stdout, done.returncode) == ("True\n", 0), done.stderr


# Launch kernels from four Python threads, on numba threads that allow one launch at a time.
FOUR_THREADS = """
import sys
import numpy as np
import tinysegnet as ts
{before}
from concurrent.futures import ThreadPoolExecutor
x = np.random.default_rng(0).normal(size=(4, 1, 64, 64, 16))
def work(k):
    return all(np.array_equal(ts.ops.relu_forward(x[k])[0], np.maximum(x[k], 0)) for _ in range(200))
sys.setswitchinterval(1e-5)
print(*ThreadPoolExecutor(4).map(work, range(4)))
"""


@needs_threads
@pytest.mark.long
def test_kernels_on_the_workqueue_are_launched_one_at_a_time():
    assert run(program=FOUR_THREADS, NUMBA_THREADING_LAYER="workqueue", TINYSEGNET_PARALLEL="1") == ["True"] * 4


@needs_threads
@pytest.mark.long
def test_the_workqueue_alone_ends_the_process():
    direct = "from tinysegnet.runtime import launch; launch.OneAtATime.__call__ = launch.Dispatcher.__call__"
    with pytest.raises(AssertionError, match=r"[Cc]oncurrent"):
        run(direct, FOUR_THREADS, NUMBA_THREADING_LAYER="workqueue", TINYSEGNET_PARALLEL="1")


BEFORE_AND_AFTER = """
import numpy as np
import tinysegnet as ts
from tinysegnet.runtime.kernel_cache import compiled_kernels
relu_forward = ts.ops.relu_forward
(relu,) = [kernel for kernel in compiled_kernels if kernel.__name__ == "_relu"]
names = [type(relu).__name__]
relu_forward(np.zeros((1, 1, 1, 2)))
print(*names, type(relu).__name__, relu.py_func.__name__, len(relu.signatures))
"""


@needs_threads
@pytest.mark.long
def test_a_kernel_is_numbas_own_dispatcher_once_threads_have_started():
    """Therefore a safe launch costs nothing, and a kernel has all attributes of a dispatcher."""
    found = run(program=BEFORE_AND_AFTER, NUMBA_THREADING_LAYER="omp", TINYSEGNET_PARALLEL="1")
    assert found == ["FirstLaunch", "CPUDispatcher", "_relu", "1"]


# --- memory ----------------------------------------------------------------------------------------------------------

SHAPE = (runtime.memory.LARGE // 4 + 1,)


@pytest.fixture
def keeping():
    runtime.keep_freed_memory()
    yield
    runtime.release_freed_memory()


def place(array):
    return array.__array_interface__["data"][0]


def test_a_large_array_reuses_the_memory_of_a_freed_one(keeping):
    first = runtime.empty(SHAPE, np.float32)
    where = place(first)
    assert (first.shape, first.dtype, first.flags.writeable) == (SHAPE, np.float32, True)
    assert first.flags.c_contiguous
    del first
    assert place(runtime.empty((2, *SHAPE), np.float32)) != where  # the freed memory is too small
    assert place(runtime.empty_like(np.broadcast_to(np.float32(0), SHAPE))) == where


def test_memory_of_a_living_array_is_never_reused(keeping):
    first = runtime.empty(SHAPE, np.float32)
    first[:] = 7
    view, where = first[5:], place(first)
    del first  # the view still uses the memory
    other = runtime.empty(SHAPE, np.float32)
    other[:] = 8
    assert place(other) != where
    assert (view == 7).all()


def test_kept_memory_is_limited_and_released(keeping, monkeypatch):
    monkeypatch.setattr(runtime.memory, "MOST_KEPT", 3 * runtime.memory.LARGE)
    arrays = [runtime.empty(SHAPE, np.float32) for _ in range(5)]
    del arrays
    assert len(runtime.memory._pool.kept) == 2
    runtime.release_freed_memory()
    array = runtime.empty(SHAPE, np.float32)
    assert array.base is None  # a plain array again
    assert runtime.empty((3, 2), np.float64).shape == (3, 2)


def test_many_threads_never_get_the_same_memory(keeping, monkeypatch):
    monkeypatch.setattr(runtime.memory, "LARGE", 1)
    before = sys.getswitchinterval()

    def work(k):
        """Fill arrays of changing sizes, and return how many of them another thread overwrote."""
        rng, overwritten = np.random.default_rng(k), 0
        for round in range(amount(1000, 5000)):
            array = runtime.empty((int(rng.integers(100, 130)),), np.int64)
            array[:] = 10_000 * k + round
            copy = array.copy()
            overwritten += not (copy == 10_000 * k + round).all()
        return overwritten

    try:
        sys.setswitchinterval(1e-6)
        with ThreadPoolExecutor(8) as executor:
            assert list(executor.map(work, range(8))) == [0] * 8
    finally:
        sys.setswitchinterval(before)
