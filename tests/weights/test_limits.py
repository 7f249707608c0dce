"""Limits on what weights files claim: the last accepted values, and the first refused ones."""

import numpy as np
import pytest
from weight_samples import Stored, dump, tensor, zip_file, zipped

from tinysegnet.errors import CheckpointError
from tinysegnet.weights import limits
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
    ((0,), (1,), 0, True), ((7,), (1,), 0, False),
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
    for at in np.ndindex(shape):
        assert found[at] == offset + np.dot(at, strides)


def test_names_at_the_limit_are_read_from_files(tmp_path):
    (tmp_path / "x").write_bytes(zip_file({"a" * 200: np.ones(2, np.float32)}))
    assert [*read_arrays(tmp_path / "x")] == ["a" * 200]
    (tmp_path / "x").write_bytes(zip_file({"a" * 201: np.ones(2, np.float32)}))
    with pytest.raises(CheckpointError, match="name"):
        read_arrays(tmp_path / "x")
