"""The cache of compiled kernels is private, and a damaged or read-only cache stops no command."""

import os
import shutil
import stat
import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from tinysegnet import runtime
from tinysegnet.runtime import kernel_cache

pytestmark = [
    pytest.mark.skipif(not runtime.JIT, reason="numba is not installed"),
    pytest.mark.filterwarnings("ignore:(?s).*parallel=True"),  # the kernel below has no parallel loop
]


def add_one(x):
    for k in range(x.size):
        x[k] += 1


class Caller:
    """A function that makes and runs a new kernel of `add_one`, as a new process would, with its cache in a folder."""

    def __init__(self, folder, capsys):
        self.folder, self.capsys = folder, capsys

    def __call__(self, dtype=np.float64):
        """Run the kernel, and return the number of cache hits and the lines of stderr."""
        from tinysegnet.runtime import safe_cache

        safe_cache._say.cache_clear()
        kernel = runtime.kernel(add_one)
        kernel(x := np.zeros(3, dtype))
        kernel_cache.compiled_kernels.remove(kernel)
        assert x.sum() == 3
        lines = self.capsys.readouterr().err.splitlines()
        return sum(kernel.stats.cache_hits.values()), [line for line in lines if not line.startswith("Compiling")]

    def file(self, suffix):
        (path,) = self.folder.rglob(f"*{suffix}")
        return path


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tmp_path_factory.mktemp("whole") / "cache"


@pytest.fixture
def call(whole, tmp_path, monkeypatch, capsys):
    """A caller whose cache contains the kernel."""
    monkeypatch.setattr(kernel_cache, "cache_folder", lambda: tmp_path / "cache")
    caller = Caller(tmp_path / "cache", capsys)
    if whole.exists():
        shutil.copytree(whole, caller.folder)
    else:
        caller.folder.mkdir()
        assert caller() == (0, [])
        shutil.copytree(caller.folder, whole)
    return caller


def test_a_kernel_is_compiled_once(call):
    assert call() == (1, [])


def cut(path):
    path.write_bytes(path.read_bytes()[:-50])


def empty(path):
    path.write_bytes(b"")


def fill_with_noise(path):
    path.write_bytes(os.urandom(1000))


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
@pytest.mark.parametrize("damage", [cut, empty, fill_with_noise], ids=lambda damage: damage.__name__)
def test_a_damaged_file_is_replaced_with_one_line(call, damage, suffix):
    damage(call.file(suffix))
    hits, told = call()
    assert hits == 0
    assert len(told) == 1
    assert "damaged" in told[0]
    assert str(call.folder) in told[0]
    assert call() == (1, [])


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_folder_in_the_place_of_a_file_is_no_obstacle(call, suffix):
    path = call.file(suffix)
    path.unlink()
    path.mkdir()
    hits, told = call()
    assert hits == 0
    assert told
    assert all(str(call.folder) in line for line in told)


def test_a_kernel_of_another_signature_is_not_mistaken_for_damage(call):
    assert call(np.int64) == (0, [])
    assert call(np.int64) == (1, [])


@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_a_missing_file_is_made_again(call, suffix):
    call.file(suffix).unlink()
    assert call() == (0, [])
    assert call() == (1, [])


def test_a_full_disk_costs_one_line(call, monkeypatch):
    shutil.rmtree(call.folder)

    def full(*arguments, **settings):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tinysegnet.runtime.safe_cache.write_atomically", full)
        hits, told = call()
    assert hits == 0
    assert len(told) == 1
    assert "No space left on device" in told[0]
    assert str(call.folder) in told[0]
    assert call() == (0, [])
    assert call() == (1, [])


def test_a_kernel_is_stored_under_its_signature(call):
    """Therefore two processes that compile at the same time never write two kernels to one file."""
    first = call.file(".nbc")
    call(np.int64)
    second = next(path for path in call.folder.rglob("*.nbc") if path != first)
    second.unlink()
    call.file(".nbi").unlink()
    call(np.int64)
    assert second.exists()


# A program that runs a kernel. With an argument, it cannot write files of more bytes than that.
PROGRAM = """
import sys
import numpy as np
import tinysegnet as ts
ts.runtime.announce_compiling()
if len(sys.argv) > 1:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
print(ts.ops.relu_forward(np.array([[[[-1.0, 2.0]]]]))[0].sum())
"""


def run(cache, *arguments, program=PROGRAM):
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], env={**os.environ, "TINYSEGNET_CACHE": str(cache)},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "2.0\n"), done.stderr
    return done.stderr.splitlines()


@pytest.mark.long
def test_a_new_process_announces_compiling_and_keeps_the_cache_private(tmp_path):
    (line,) = run(tmp_path)
    assert "Compiling" in line
    assert run(tmp_path) == []
    (folder,) = tmp_path.iterdir()
    if os.name == "posix":
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.long
def test_loading_a_kernel_imports_less_than_compiling(tmp_path):
    import numba

    from tinysegnet.runtime.lean_compiling import TESTED

    if numba.version_info.short != TESTED:
        pytest.skip("other versions of numba load kernels as usual")
    program = f"{PROGRAM}print('numba.np.linalg' in sys.modules, file=sys.stderr)"
    assert [run(tmp_path, program=program)[-1] for _ in range(2)] == ["True", "False"]


TRAINING_KERNELS = """
import sys
import numpy as np
import tinysegnet as ts
from tinysegnet.gradcheck import find_variants
ts.runtime.announce_compiling()
rng = np.random.default_rng(0)
for name in ("conv2d", "batchnorm2d", "relu"):
    forward, backward = find_variants(name)["numba"]
    x = rng.standard_normal((2, 6, 7, 5))
    others = {"conv2d": [rng.standard_normal((3, 3, 5, 4))], "batchnorm2d": [np.ones(5), np.zeros(5)]}.get(name, [])
    out, cache = forward(x, *others)
    out = out[0] if isinstance(out, tuple) else out
    gradients = backward(out, cache)
    print(float(np.sum(gradients[0] if isinstance(gradients, tuple) else gradients)).hex())
"""


@pytest.mark.long
def test_eight_processes_can_fill_the_cache_at_once(tmp_path):
    command = [sys.executable, "-c", TRAINING_KERNELS]
    environment = {**os.environ, "TINYSEGNET_CACHE": str(tmp_path), "TINYSEGNET_PARALLEL": "0"}

    def start():
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    ended = [(*process.communicate(timeout=500), process.returncode) for process in [start() for _ in range(8)]]
    assert {code for _, _, code in ended} == {0}
    ((numbers, _),) = {(out, out.count("\n")) for out, _, _ in ended}
    assert all("Compiling" in line for _, err, _ in ended for line in err.splitlines())
    assert start().communicate(timeout=500) == (numbers, "")  # all kernels are in the cache
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="resource limits")
def test_a_write_that_fails_leaves_nothing_behind(tmp_path):
    told = [line for line in run(tmp_path, "100") if "Compiling" not in line]
    assert len(told) == 1
    assert "cannot write" in told[0]
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size] == []


def test_a_cache_folder_that_cannot_be_made_costs_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("TINYSEGNET_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(kernel_cache, "cache_folder", cache(kernel_cache.cache_folder.__wrapped__))
    for _ in range(2):
        kernel = runtime.kernel(add_one)
        kernel(x := np.zeros(3))
        kernel_cache.compiled_kernels.remove(kernel)
        assert x.sum() == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert "no writable cache folder" in line
