"""Where the fast versions come from: without numba everything still works, and the cache of kernels is private."""

import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from tinysegnet import runtime
from tinysegnet.errors import SettingError

# Trains two steps and prints what serves; the same numbers must come out whatever computes them.
PROGRAM = """
import sys
{before}
import numpy as np
import tinysegnet as ts
from tinysegnet.data.toyscenes import ToyScenes
model = ts.build("tiny", width=1 / 8)
recipe = ts.Recipe(epochs=1, batch_size=2, size=(32, 48))
loss = ts.fit(model, ToyScenes(4, size=(32, 48)), recipe=recipe, progress=False).history[0]["train_loss"]
report = ts.gradcheck.check_op("conv2d")
print(ts.runtime.BACKEND, ts.ops.conv2d_forward.__name__, f"{{loss:.4f}}", report.ok)
"""

ONE_KERNEL = """
import numpy as np
import tinysegnet as ts
print(ts.ops.relu_forward(np.array([[[[-1.0, 2.0]]]]))[0].sum())
"""


def run(before="", program=PROGRAM, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program.format(before=before)],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.fixture(scope="module")
def usual():
    return run()


def test_numpy_serves_everything_when_asked(usual):
    assert run(TINYSEGNET_BACKEND="numpy") == ["numpy", "conv2d_forward", usual[2], "True"]


def test_numpy_serves_everything_without_numba(usual):
    assert run("sys.modules['numba'] = None") == ["numpy", "conv2d_forward", usual[2], "True"]


@pytest.mark.skipif(not runtime.JIT, reason="numba is not here")
def test_kernels_as_plain_python_agree_too(usual):
    assert run(NUMBA_DISABLE_JIT="1")[2:] == [usual[2], "True"]


@pytest.mark.skipif(not runtime.JIT, reason="numba is not here")
def test_one_thread_agrees():
    assert run(program=ONE_KERNEL, TINYSEGNET_PARALLEL="0") == ["2.0"]


@pytest.mark.skipif(not runtime.JIT or os.name != "posix", reason="numba is not here, or folders have no mode")
def test_the_cache_is_private(tmp_path):
    run(program=ONE_KERNEL, TINYSEGNET_CACHE=str(tmp_path))
    (folder,) = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.rglob("*.nbi"))


@pytest.mark.skipif(not runtime.JIT, reason="numba is not here")
def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert run(program=ONE_KERNEL, TINYSEGNET_CACHE=str(tmp_path / "file")) == ["2.0"]


def test_threads_can_be_chosen():
    before = runtime.threads()
    runtime.set_threads(1)
    assert runtime.threads() == 1
    runtime.set_threads(before)
    with pytest.raises(SettingError, match="threads 0"):
        runtime.set_threads(0)


# --- memory ----------------------------------------------------------------------------------------------------------

SHAPE = (runtime.memory.LARGE // 4 + 1,)


@pytest.fixture
def keeping():
    runtime.keep_freed_memory()
    yield
    runtime.release_freed_memory()


def place(array):
    return array.__array_interface__["data"][0]


def test_a_large_array_takes_over_the_memory_of_one_that_is_gone(keeping):
    first = runtime.empty(SHAPE, np.float32)
    where = place(first)
    assert (first.shape, first.dtype, first.flags.writeable) == (SHAPE, np.float32, True)
    assert first.flags.c_contiguous
    del first
    assert place(runtime.empty((2, *SHAPE), np.float32)) != where  # too small for this one
    assert place(runtime.empty_like(np.broadcast_to(np.float32(0), SHAPE))) == where


def test_memory_is_never_taken_from_an_array_that_somebody_holds(keeping):
    first = runtime.empty(SHAPE, np.float32)
    first[:] = 7
    view, where = first[5:], place(first)
    del first  # the view is still there
    other = runtime.empty(SHAPE, np.float32)
    other[:] = 8
    assert place(other) != where
    assert (view == 7).all()


def test_little_is_kept_and_nothing_after_release(keeping, monkeypatch):
    monkeypatch.setattr(runtime.memory, "MOST_KEPT", 3 * runtime.memory.LARGE)
    arrays = [runtime.empty(SHAPE, np.float32) for _ in range(5)]
    del arrays
    assert len(runtime.memory._left) == 2
    runtime.release_freed_memory()
    array = runtime.empty(SHAPE, np.float32)
    assert array.base is None  # a plain array again
    assert runtime.empty((3, 2), np.float64).shape == (3, 2)
