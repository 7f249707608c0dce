"""Hostile weights files: nothing in them runs, and each raises a one-line error at once."""

import io
import os
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from forms import amount
from measures import Cost
from pickle_programs import PROGRAMS, TOUCH, attempt
from weight_samples import LITTLE, Stored, described, dump, legacy, legacy_file, some_arrays, tensor, zip_file, zipped

MUTANTS = int(os.environ.get("TINYSEGNET_MUTANTS", amount(40, 150)))  # of each kind
ROW = {"100": np.arange(6, dtype=np.float32).tobytes()}
GOOD = dump({"a": tensor(Stored("100", 6), 0, (2, 3), (3, 1))})


@pytest.fixture(autouse=True)
def canary(tmp_path, monkeypatch):
    """Check that no program ran and created this file."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not os.path.exists("canary")


@pytest.fixture(scope="module")
def total():
    return Cost()


def test_a_program_that_runs_creates_the_canary(monkeypatch):
    pickle.loads(dump(TOUCH))
    assert os.path.exists("canary")
    os.remove("canary")


@pytest.mark.parametrize(("program", "said"), PROGRAMS.values(), ids=PROGRAMS)
def test_programs_are_refused(total, program, said):
    """Both formats are read by the same reader of pickles, so long programs are tried in one of them only."""
    for write in (zipped, legacy) if len(program) < amount(10_000, 1 << 20) else (zipped,):
        found = attempt(write(program, ROW), total)
        assert isinstance(found, str)
        assert said in found


@pytest.mark.parametrize("part", ["magic", "version", "system", "keys"])
def test_programs_around_the_tensors_are_refused(total, part):
    found = attempt(legacy(GOOD, ROW, **{part: TOUCH}), total)
    assert ".system" in found


def deflated(data):
    return zipped(GOOD, {"100": data}, compression=zipfile.ZIP_DEFLATED)


def twice(data):
    """Add a second member of the same name. Some readers use the last one, others the first one."""
    stream = io.BytesIO(data)
    with pytest.warns(UserWarning, match="Duplicate"), zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("archive/data/100", bytes(24))
    return stream.getvalue()


def outside(data):
    stream = io.BytesIO(data)
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("../data/100", bytes(24))
    return stream.getvalue()


def claiming(data, field, value):
    """Forge a field of the member with the values: its stored size (field 20), its size (24) or its place (42)."""
    place = data.rindex(b"archive/data/100") - 46
    return data[: place + field] + struct.pack("<I", value) + data[place + field + 4 :]


def flipped(data):
    place = data.index(ROW["100"])
    return data[: place + 9] + bytes([data[place + 9] ^ 1]) + data[place + 10 :]


ZIP, OLD = zipped(GOOD, ROW), legacy(GOOD, ROW)
ARCHIVES = {
    "compressed": (deflated(ROW["100"] * 10), "its members are compressed"),
    "one member compressed": (zipped(GOOD, ROW | {"100": bytes(24)}, deflated="100"), "its members are compressed"),
    "100 MB in 100 kB": (deflated(bytes(100_000_000)), "its members are compressed"),
    "a member twice": (twice, "twice"),
    "a member outside": (outside, "outside"),
    "no data.pkl": (lambda data: data.replace(b"data.pkl", b"data.txt"), "data.pkl"),
    "another byte order": (zipped(GOOD, ROW, byteorder=b"big"), "byte order"),
    "no storage": (zipped(GOOD, {}), "storage 100"),
    "a short storage": (zipped(GOOD, {"100": bytes(20)}), "storage 100"),
    "a long storage": (zipped(GOOD, {"100": bytes(28)}), "storage 100"),
    "a storage in another folder": (zipped(GOOD, {"../100": bytes(24)}), "storage 100"),
    "a large pickle": (zipped(GOOD + bytes(2_000_000), ROW), "data.pkl has 2,000,"),
    "a size of 4 GB": (lambda data: claiming(claiming(data, 20, 0xFFFFFFF0), 24, 0xFFFFFFF0), "its arrays need"),
    "a place past the end": (lambda data: claiming(data, 42, 0x7FFFFFF0), ""),
    "a place of another member": (lambda data: claiming(data, 42, 0), "differ"),
    "a flipped bit": (flipped, "Bad CRC-32"),
    "one byte less": (lambda data: data[:-1], ""),
    "half of it": (lambda data: data[: len(data) // 2], ""),
    "a list of members of 10 MB": (zipped(GOOD, {"100": ROW["100"]} | {"x" * 60_000 + str(k): b"" for k in range(170)}),
                                   "zip directory"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), ARCHIVES.values(), ids=ARCHIVES)
def test_hostile_zip_archives_are_refused(total, change, said):
    assert set(attempt(ZIP, total)) == {"a"}
    found = attempt(change(ZIP) if callable(change) else change, total)
    assert isinstance(found, str)
    assert said in found


def doubled(times):
    """Return a list that contains another list twice, and so on. Comparing two of them takes 2^times steps."""
    value = []
    for _ in range(times):
        value = [value, value]
    return value


LEGACY = {
    "another magic number": (legacy(GOOD, ROW, magic=1), "not a file of torch.save"),
    "another version": (legacy(GOOD, ROW, version=1000), "not a file of torch.save"),
    "another byte order": (legacy(GOOD, ROW, system={**LITTLE, "little_endian": False}), "byte order"),
    "no byte order": (legacy(GOOD, ROW, system=3), "byte order"),
    "no storage": (legacy(GOOD, {}, keys=["100"]), "storage 100"),
    "no keys": (legacy(GOOD, ROW, keys=[]), "its list of storages"),
    "keys twice": (legacy(GOOD, ROW, keys=["100", "100"]), "its list of storages"),
    "keys that are numbers": (legacy(GOOD, ROW, keys=[100]), "its list of storages"),
    "a short storage": (legacy(GOOD, {"100": bytes(20)}), "storage 100"),
    "a long storage": (legacy(GOOD, {"100": bytes(28)}), "storage 100"),
    "keys that take years to sort": (legacy(GOOD, ROW, keys=[doubled(30), doubled(30), "100"]), "its list of storages"),
    "keys that are a number": (legacy(GOOD, ROW, keys=3), "damaged"),
    "a byte more": (OLD + b"x", f"end at byte {len(OLD)}, but the file has {len(OLD) + 1}"),
    "2^62 numbers": (OLD[:-32] + struct.pack("<q", 1 << 62) + OLD[-24:], "storage 100"),
    "-1 numbers": (OLD[:-32] + struct.pack("<q", -1) + OLD[-24:], "storage 100"),
}


@pytest.mark.parametrize(("data", "said"), LEGACY.values(), ids=LEGACY)
def test_hostile_files_of_the_older_format_are_refused(total, data, said):
    found = attempt(data, total)
    assert isinstance(found, str)
    assert said in found


def test_incomplete_files_of_the_older_format_are_refused(total):
    assert set(attempt(OLD, total)) == {"a"}
    for length in range(0, len(OLD), amount(3, 1)):
        assert isinstance(attempt(OLD[:length], total), str)


@pytest.mark.parametrize("write", [zipped, legacy])
def test_many_tensors_of_one_storage_are_refused_before_they_fill_memory(total, write):
    """A file of 100 kB claims 1,000 arrays of 40 kB."""
    value = {f"a{i}": tensor(Stored("100", 10_000), 0, (10_000,), (1,)) for i in range(1000)}
    assert "40,000,000 bytes" in attempt(write(dump(value), {"100": bytes(40_000)}), total)


def mutated(data, rng):
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 50])):
        place, kind = rng.randrange(len(data)), rng.randrange(4)
        if kind == 0:
            data[place] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place] = rng.randrange(256)
        elif kind == 2:
            del data[place : place + rng.randrange(1, 20)]
        else:
            data[place:place] = rng.randbytes(rng.randrange(1, 20))
    return bytes(data)


def safetensors_file(arrays):
    return safetensors.numpy.save({name: np.ascontiguousarray(array) for name, array in arrays.items()})


@pytest.mark.parametrize("write", [zip_file, legacy_file, safetensors_file])
def test_mutated_files_are_refused_or_give_sound_arrays(record_property, write):
    """Bytes are changed, removed or inserted. Without a checksum, a changed value cannot be detected."""
    rng, total, refused, sound = random.Random(0), Cost(), 0, 0
    arrays, kinds = some_arrays(), {array.dtype for array in some_arrays().values()}
    data = write(arrays)
    for _ in range(MUTANTS):
        found = attempt(mutated(data, rng), total)
        if isinstance(found, str):
            refused += 1
            continue
        sound += 1
        for name, array in found.items():
            assert array.dtype in kinds | {np.dtype(kind) for kind in ("i2", "i4", "i1", "u2", "u4", "u8", "?")}
            assert array.flags.c_contiguous
            assert array.nbytes <= len(data) + 1000
            if write is zip_file:
                np.testing.assert_array_equal(array, arrays[name])
    assert refused > 0.5 * MUTANTS
    record_property(f"mutated weights, {write.__name__}", f"{MUTANTS} files, {refused} refused, {sound} sound, {total}")


def test_a_digest_in_the_name_reveals_every_mutation(total):
    import hashlib

    rng, data = random.Random(1), legacy_file(some_arrays())
    path = f"vgg16-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    assert not isinstance(attempt(data, total, path), str)
    for _ in range(MUTANTS):
        changed = mutated(data, rng)
        assert isinstance(attempt(changed, total, path), str) == (changed != data)


def test_the_figures_of_the_hostile_files_are_recorded(record_property, total):
    count = 2 * len(PROGRAMS) + len(ARCHIVES) + len(LEGACY) + 4
    record_property("crafted weights", f"{count} files, all refused, nothing run, {total}")


def test_described_keeps_the_names_of_the_arrays():
    assert set(described(some_arrays())[0]) == set(some_arrays())
