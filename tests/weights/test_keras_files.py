"""Keras's HDF5 files: arrays are read by their paths, and hostile files raise errors."""

import io
import os
import random
import sys
from functools import partial

import numpy as np
import pickle_programs
import pytest
from forms import amount
from measures import Cost

from tinysegnet.weights.weight_files import read_arrays

h5py = pytest.importorskip("h5py", reason='h5py is not installed (pip install "tinysegnet[pretrained]")')
attempt = partial(pickle_programs.attempt, path="x.h5")

MUTANTS = int(os.environ.get("TINYSEGNET_MUTANTS", amount(40, 150)))
ROW = np.arange(6, dtype=np.float32).reshape(2, 3)


def build(fill, **settings):
    stream = io.BytesIO()
    with h5py.File(stream, "w", **settings) as file:
        fill(file)
    return stream.getvalue()


@pytest.fixture(scope="module")
def total():
    return Cost()


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with h5py.File("secret.h5", "w") as file:
        file["a"] = ROW
    (tmp_path / "secret.raw").write_bytes(ROW.tobytes())


def some(file):
    file["block1/kernel:0"], file["block1/bias:0"] = ROW, ROW[0]
    file["double"], file["big"], file["half"] = ROW.astype("f8"), ROW.astype(">f4"), ROW.astype("f2")
    file.create_group("empty")
    file.attrs["layer_names"] = ["block1"]


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_read_arrays_names_arrays_by_their_path(version):
    found = attempt(build(some, libver=version))
    assert set(found) == {"block1/kernel:0", "block1/bias:0", "double", "big", "half"}
    np.testing.assert_array_equal(found["block1/kernel:0"], ROW)
    for name, kind in (("double", "f8"), ("big", "f4"), ("half", "f2")):
        np.testing.assert_array_equal(found[name], ROW)
        assert found[name].dtype == np.dtype(kind)
        assert found[name].flags.c_contiguous
    assert set(read_arrays("x.h5", keep=lambda name: name.startswith("block1"))) == {"block1/kernel:0", "block1/bias:0"}


def virtual(file):
    layout = h5py.VirtualLayout((2, 3), "f4")
    layout[:] = h5py.VirtualSource("secret.h5", "a", shape=(2, 3))
    file.create_virtual_dataset("a", layout)


def endless(file):
    group = file.create_group("a")
    for name in "bcdefghijk":
        group[name] = group


def forged(data, old, new):
    """Change the shape of the array in the header, but not its 24 bytes."""
    old, new = (b"".join(n.to_bytes(8, "little") for n in shape) for shape in (old, new))
    assert old in data
    return data.replace(old, new)


ROWS = build(lambda file: file.create_dataset("a", data=ROW))
HOSTILE = {
    "a link to another file": (
        build(lambda f: f.__setitem__("a", h5py.ExternalLink("secret.h5", "a"))), "a is a link",
    ),
    "a link within": (build(lambda f: (some(f), f.__setitem__("a", h5py.SoftLink("/double")))), "a is a link"),
    "a link to nothing": (build(lambda f: f.__setitem__("a", h5py.SoftLink("/none"))), "a is a link"),
    "numbers in another file": (
        build(lambda f: f.create_dataset("a", (2, 3), "f4", external=[("secret.raw", 0, 24)])), "in another file",
    ),
    "a view of another file": (build(virtual), "in another file"),
    "compressed": (build(lambda f: f.create_dataset("a", data=np.zeros((99, 99)), compression="gzip")), "compressed"),
    "shuffled": (build(lambda f: f.create_dataset("a", data=ROW, shuffle=True)), "compressed"),
    "1 TB that was never written": (build(lambda f: f.create_dataset("a", (1 << 20, 1 << 18), "f4")), "incomplete"),
    "1 TB in pieces": (
        build(lambda f: f.create_dataset("a", (1 << 20, 1 << 18), "f4", chunks=(4, 4))), "incomplete",
    ),
    "2^60 numbers": (forged(ROWS, (2, 3), (1 << 30, 1 << 30)), ""),
    "10^6 numbers": (forged(ROWS, (2, 3), (1000, 1000)), ""),
    "whole numbers": (build(lambda f: f.create_dataset("a", data=np.arange(6))), "not a floating-point array"),
    "text": (build(lambda f: f.create_dataset("a", data="canary")), "not a floating-point array"),
    "nothing": (build(lambda f: f.create_dataset("a", data=h5py.Empty("f4"))), "not a floating-point array"),
    "pairs": (build(lambda f: f.create_dataset("a", (2,), [("x", "f4"), ("y", "f4")])), "not a floating-point array"),
    "rows of any length": (
        build(lambda f: f.create_dataset("a", (2,), h5py.vlen_dtype(np.float32))), "not a floating-point array",
    ),
    "references": (build(lambda f: f.create_dataset("a", (2,), h5py.ref_dtype)), "not a floating-point array"),
    "a type": (build(lambda f: f.__setitem__("a", np.dtype("f4"))), "a is a Datatype, not an array"),
    "groups in themselves": (build(endless), "nested groups"),
    "groups in groups": (build(lambda f: f.create_group("/".join("abcdefghijklmnopqrst"))), "nested groups"),
    "a name that cannot be printed": (build(lambda f: f.create_dataset("a\n\x1b[2J", data=ROW)), "'a\\n"),
    "a name that is no text": (build(lambda f: f.create_dataset(b"a\xff", data=ROW)), "damaged"),
    "half of it": (ROWS[: len(ROWS) // 2], "damaged"),
    "its head": (ROWS[:8], "damaged"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "said"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused(total, data, said):
    found = attempt(data, total)
    assert isinstance(found, str)
    assert said in found


def test_the_figures_of_the_hostile_files_are_recorded(record_property, total):
    record_property("crafted weights, HDF5", f"{len(HOSTILE) + 1} files, all refused, {total}")


def test_many_names_of_one_array_are_refused_before_they_fill_memory():
    def fill(file):
        file["a"] = np.zeros(10_000, np.float32)
        for number in range(200):
            file[f"b{number}"] = file["a"]

    assert "8,040,000 bytes" in attempt(build(fill))


@pytest.mark.parametrize(("groups", "said"), [(10, None), (11, "nested groups")])
def test_arrays_lie_in_up_to_10_groups(groups, said):
    found = attempt(build(lambda f: f.create_dataset("g/" * groups + "a", data=ROW)))
    assert found == {"g/" * groups + "a": pytest.approx(ROW)} if said is None else said in found


@pytest.mark.parametrize(("axes", "said"), [(8, None), (9, "not a floating-point array")])
def test_arrays_have_up_to_8_axes(axes, said):
    found = attempt(build(lambda f: f.create_dataset("a", data=np.ones((1,) * axes))))
    assert found["a"].shape == (1,) * axes if said is None else said in found


@pytest.mark.parametrize(("most", "said"), [(7, None), (6, "too many")])
def test_groups_and_arrays_are_counted_together(monkeypatch, most, said):
    """The file has the groups block1, block2 and empty, and four arrays."""
    monkeypatch.setattr("tinysegnet.weights.weight_files.MAX_TENSORS", most)
    found = attempt(build(lambda f: (some(f), f.move("double", "block2/double"), f.__delitem__("half"))))
    assert len(found) == 4 if said is None else said in found


def test_without_h5py_the_error_names_the_package_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert attempt(ROWS).endswith('pip install "tinysegnet[pretrained]"')


@pytest.mark.parametrize("version", ["earliest", "latest"])
def test_mutated_files_are_refused_or_give_sound_arrays(record_property, version):
    """Keras's files have few or no checksums, so a changed value cannot be detected."""
    rng, data, total, refused = random.Random(0), build(some, libver=version), Cost(), 0
    for _ in range(MUTANTS):
        mutant = bytearray(data)
        for _ in range(rng.choice([1, 1, 2, 5, 50])):
            place = rng.randrange(len(mutant))
            if rng.random() < 0.6:
                mutant[place] = rng.randrange(256)
            elif rng.random() < 0.5:
                del mutant[place : place + rng.randrange(1, 20)]
            else:
                mutant[place:place] = rng.randbytes(rng.randrange(1, 20))
        found = attempt(bytes(mutant), total)
        refused += isinstance(found, str)
        for array in found.values() if isinstance(found, dict) else ():
            assert array.dtype.kind == "f"
            assert array.flags.c_contiguous
            assert array.nbytes <= len(mutant)
    assert refused > 0.4 * MUTANTS
    record_property(f"mutated weights, HDF5 {version}", f"{MUTANTS} files, {refused} refused, {total}")
