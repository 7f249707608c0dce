"""Limits on what weights files claim: the last accepted values, and the first refused ones."""

import io
import types
import zipfile

import numpy as np
import pytest
import safetensors.numpy
from weight_samples import LITTLE, Stored, dump, legacy, legacy_file, tensor, zip_file, zipped

from tinysegnet.errors import CheckpointError
from tinysegnet.weights import checkpoint, limits, torch_file, torch_pickle
from tinysegnet.weights.weight_files import read_arrays


def test_names_have_1_to_200_printable_characters():
    for good in ("a", "ä" * 200, "a b"):
        assert limits.check_name(good) == good
    for wrong in ("", "a" * 201, "a\n", "\x00"):
        with pytest.raises(CheckpointError, match="a tensor has the name"):
            limits.check_name(wrong)


def test_arrays_may_need_as_many_bytes_as_the_file_has():
    limits.check_total(1000, 1000)
    with pytest.raises(CheckpointError, match=r"1,001 bytes, but the file has 1,000"):
        limits.check_total(1001, 1000)


def test_text_from_files_is_shown_short_and_printable():
    assert limits.shown("a" * 100) == "a" * 100
    assert limits.shown("a" * 101) == repr("a" * 100)
    assert limits.shown("a\n") == r"'a\n'"


@pytest.mark.parametrize("axes", [0, 1, limits.MAX_AXES, limits.MAX_AXES + 1])
def test_arrays_have_at_most_8_axes(tmp_path, axes):
    value = {"a": tensor(Stored("0", 1), 0, (1,) * axes, (1,) * axes)}
    (tmp_path / "x").write_bytes(zipped(dump(value), {"0": np.float32(3).tobytes()}))
    if axes <= 8:
        assert read_arrays(tmp_path / "x")["a"].shape == (1,) * axes
    else:
        with pytest.raises(CheckpointError, match="x: "):
            read_arrays(tmp_path / "x")


@pytest.mark.parametrize(("shape", "strides", "offset", "fits"), [
    ((6,), (1,), 0, True), ((6,), (1,), 1, False), ((2, 3), (3, 1), 0, True), ((2, 3), (4, 1), 0, False),
    ((2, 3), (1, 2), 0, True), ((3,), (2,), 1, True), ((3,), (2,), 2, False), ((), (), 5, True), ((), (), 6, False),
    ((0,), (1,), 0, True), ((7,), (1,), 0, False), ((0,), (1,), 6, True), ((0,), (1,), 7, False),
    ((6,), (0,), 5, True), ((7,), (0,), 0, False), ((0, 1 << 48), (1, 1), 0, True),
    ((0, (1 << 48) + 1), (1, 1), 0, False),
])  # fmt: skip
def test_a_view_may_reach_the_last_value_of_its_storage_and_no_further(tmp_path, shape, strides, offset, fits):
    numbers = np.arange(6, dtype=np.float32)
    (tmp_path / "x").write_bytes(zipped(dump({"a": tensor(Stored("0", 6), offset, shape, strides)}),
                                        {"0": numbers.tobytes()}))  # fmt: skip
    if not fits:
        with pytest.raises(CheckpointError, match="x: "):
            read_arrays(tmp_path / "x")
        return
    found = read_arrays(tmp_path / "x")["a"]
    assert found.shape == shape
    for at in np.ndindex(shape) if found.size else ():
        assert found[at] == offset + np.dot(at, strides)


def test_names_at_the_limit_are_read_from_files(tmp_path):
    (tmp_path / "x").write_bytes(zip_file({"a" * 200: np.ones(2, np.float32)}))
    assert [*read_arrays(tmp_path / "x")] == ["a" * 200]
    (tmp_path / "x").write_bytes(zip_file({"a" * 201: np.ones(2, np.float32)}))
    with pytest.raises(CheckpointError, match="name"):
        read_arrays(tmp_path / "x")


# --- files at a limit and just beyond it ------------------------------------------------------------------------------

ROW = {"0": np.arange(6, dtype=np.float32).tobytes()}
GOOD = dump({"a": tensor(Stored("0", 6), 0, (6,), (1,))})
MB = 1 << 20


def read(tmp_path, data):
    (tmp_path / "x").write_bytes(data)
    return read_arrays(tmp_path / "x")


def refusal(tmp_path, data):
    with pytest.raises(CheckpointError, match="x: ") as caught:
        read(tmp_path, data)
    return str(caught.value)


def test_the_pickle_of_a_zip_archive_has_up_to_1_MB(tmp_path):
    assert read(tmp_path, zipped(GOOD.ljust(MB, b"N"), ROW))["a"].tolist() == [0, 1, 2, 3, 4, 5]
    assert "1,048,577 bytes" in refusal(tmp_path, zipped(GOOD.ljust(MB + 1, b"N"), ROW))


def test_everything_before_the_arrays_of_the_older_format_has_up_to_1_MB(tmp_path):
    def padded(length):
        return legacy(GOOD, ROW, system={**LITTLE, "padding": "a" * length})

    rest = len(padded(1000)) - 1000 - 8 - len(ROW["0"])
    assert read(tmp_path, padded(MB - rest))["a"][5] == 5
    assert "damaged" in refusal(tmp_path, padded(MB - rest + 1))


@pytest.mark.parametrize("write", [zip_file, legacy_file])
def test_arrays_may_be_larger_than_a_single_read(tmp_path, write):
    """Storages are read in parts of 1 MB, and a read of more than 4 MB is refused."""
    numbers = np.arange(MB + 100, dtype=np.float32)
    np.testing.assert_array_equal(read(tmp_path, write({"a": numbers}))["a"], numbers)


def test_a_reader_of_zip_archives_reads_up_to_4_MB_at_once(tmp_path):
    (tmp_path / "x").write_bytes(bytes(5 * MB))
    with torch_file._Reader(io.FileIO(tmp_path / "x")) as file:
        assert len(file.read(4 * MB)) == 4 * MB
        assert len(file.read()) == len(file.read(None)) + MB == MB
        with pytest.raises(CheckpointError, match=r"4,194,305"):
            file.read(4 * MB + 1)


def test_a_zip_archive_has_up_to_10000_members():
    class Archive:
        def infolist(self):
            names = ("a/data.pkl", *(f"a/data/{k}" for k in range(1, self.count)))
            return [zipfile.ZipInfo(name) for name in names]

    archive = Archive()
    archive.count = 10_000
    assert len(torch_file._members(archive, 0)) == 10_000
    archive.count = 10_001
    with pytest.raises(CheckpointError, match="10,001 members"):
        torch_file._members(archive, 0)


def test_a_pickle_has_up_to_10000_tensors():
    one = torch_pickle.Tensor(torch_pickle.Storage("0", np.dtype("f4"), 1), 0, (1,), (1,))
    assert len(torch_file._named_tensors({str(k): one for k in range(10_000)})) == 10_000
    with pytest.raises(CheckpointError, match="not a dict of tensors"):
        torch_file._named_tensors({str(k): one for k in range(10_001)})


def test_the_members_of_a_zip_archive_fit_into_the_file(tmp_path):
    info = zipfile.ZipInfo("a/data.pkl")
    info.file_size = 100
    archive = types.SimpleNamespace(infolist=lambda: [info])
    assert torch_file._members(archive, 100) == {"data.pkl": info}
    with pytest.raises(CheckpointError, match="100 bytes, but the file has 99"):
        torch_file._members(archive, 99)


def test_zip_archives_without_byteorder_are_read(tmp_path):
    assert read(tmp_path, zipped(GOOD, ROW, byteorder=None))["a"][5] == 5


@pytest.mark.parametrize(("size", "fits"), [(MB, True), (MB + 1, False)])
def test_the_header_of_a_safetensors_file_has_up_to_1_MB(tmp_path, size, fits):
    data = safetensors.numpy.save({"a": np.arange(6.0)})
    length = int.from_bytes(data[:8], "little")
    data = size.to_bytes(8, "little") + data[8 : 8 + length].ljust(size) + data[8 + length :]
    if fits:
        assert read(tmp_path, data)["a"][5] == 5
    else:
        assert "not a safetensors file" in refusal(tmp_path, data)


def test_the_header_of_a_checkpoint_has_a_length_of_8_bytes(tmp_path):
    (tmp_path / "x").write_bytes(bytes([2, 0, 0, 0, 0, 0, 0, 1]) + b"{}")
    with pytest.raises(CheckpointError, match="x: not a checkpoint"):
        checkpoint.read(tmp_path / "x")


def test_what_another_library_says_is_shown_up_to_200_characters(tmp_path):
    name = "a" * 300
    data = zipped(GOOD, ROW, root=name)
    place = data.rindex(name.encode() + b"/data/0")  # in the directory, which then refers to the first member
    said = refusal(tmp_path, data[: place - 4] + bytes(4) + data[place:])
    shown = said.partition("(")[2].partition(")")[0]
    assert len(shown) == 200
    assert shown.startswith("File name in directory 'aaa")
