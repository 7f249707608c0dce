"""Where the fast versions come from: without numba everything still works, and the cache of kernels is private."""

import os
import stat
import subprocess
import sys

import pytest

from tinysegnet import backend
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
print(ts.backend.BACKEND, ts.ops.conv2d_forward.__name__, f"{{loss:.4f}}", report.ok)
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
    assert run(TINYSEGNET_BACKEND="numpy") == ["numpy", "conv2d_forward_numpy", usual[2], "True"]


def test_numpy_serves_everything_without_numba(usual):
    assert run("sys.modules['numba'] = None") == ["numpy", "conv2d_forward_numpy", usual[2], "True"]


@pytest.mark.skipif(not backend.JIT, reason="numba is not here")
def test_kernels_as_plain_python_agree_too(usual):
    assert run(NUMBA_DISABLE_JIT="1")[2:] == [usual[2], "True"]


@pytest.mark.skipif(not backend.JIT, reason="numba is not here")
def test_one_thread_agrees():
    assert run(program=ONE_KERNEL, TINYSEGNET_PARALLEL="0") == ["2.0"]


@pytest.mark.skipif(not backend.JIT or os.name != "posix", reason="numba is not here, or folders have no mode")
def test_the_cache_is_private(tmp_path):
    run(program=ONE_KERNEL, TINYSEGNET_CACHE=str(tmp_path))
    (folder,) = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert list(folder.rglob("*.nbi"))


@pytest.mark.skipif(not backend.JIT, reason="numba is not here")
def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    assert run(program=ONE_KERNEL, TINYSEGNET_CACHE=str(tmp_path / "file")) == ["2.0"]


def test_threads_can_be_chosen():
    before = backend.threads()
    backend.set_threads(1)
    assert backend.threads() == 1
    backend.set_threads(before)
    with pytest.raises(SettingError, match="threads 0"):
        backend.set_threads(0)
