"""Reading weights files of PyTorch and other libraries returns the saved arrays."""

import hashlib
import os

import numpy as np
import pytest
import safetensors.numpy
from weight_samples import (
    NO_HOOKS,
    Call,
    Name,
    Stored,
    described,
    dump,
    legacy,
    legacy_file,
    old_tensor,
    some_arrays,
    tensor,
    zip_file,
    zipped,
)

from tinysegnet.errors import CheckpointError
from tinysegnet.weights.weight_files import read_arrays

GOOD = {
    "zip": lambda arrays: zip_file(arrays),
    "zip, protocol 4": lambda arrays: zip_file(arrays, protocol=4),
    "legacy": lambda arrays: legacy_file(arrays),
    "legacy of 2017": lambda arrays: legacy_file(arrays, make=old_tensor),
    "safetensors": lambda arrays: safetensors.numpy.save(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    ),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_read_arrays_returns_what_was_saved(tmp_path, make):
    path = tmp_path / "named.by.nobody"
    path.write_bytes(make(some_arrays()))
    found = read_arrays(path)
    assert set(found) == set(some_arrays())
    for name, array in some_arrays().items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
        assert found[name].flags.c_contiguous
        assert found[name].flags.writeable
        assert found[name].base is None


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_read_arrays_reads_only_the_wanted_arrays(tmp_path, make):
    path = tmp_path / "x"
    path.write_bytes(make(some_arrays()))
    seen = []
    found = read_arrays(path, keep=lambda name: seen.append(name) or name.startswith("features."))
    assert set(found) == {"features.0.weight", "features.0.bias"}
    assert set(seen) == set(some_arrays())
    assert read_arrays(path, keep=lambda name: False) == {}


@pytest.mark.parametrize("write", [zipped, legacy])
def test_views_of_one_storage_become_separate_arrays(tmp_path, write):
    numbers = np.arange(24, dtype=np.float32)
    whole = Stored("5", 24)
    views = {"all": tensor(whole, 0, (4, 6), (6, 1)), "turned": tensor(whole, 0, (6, 4), (1, 6)),
             "third row": tensor(whole, 12, (6,), (1,)), "every other": tensor(whole, 1, (2, 3), (12, 2)),
             "last": tensor(whole, 23, (), ())}  # fmt: skip
    path = tmp_path / "x"
    path.write_bytes(write(dump(views), {"5": numbers.tobytes()}))
    found, table = read_arrays(path), numbers.reshape(4, 6)
    expected = (table, table.T, table[2], table.reshape(2, 12)[:, 1:6:2], table[3, 5])
    for array, right in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(array, right)
    found["all"][...] = 0
    assert found["third row"][0] == 12


def test_parameters_and_the_attributes_of_a_dict_are_read(tmp_path):
    """state_dict(keep_vars=True) contains parameters, and every state_dict() contains the versions of its modules."""
    parameter = Call(
        Name("torch._utils", "_rebuild_parameter"), (tensor(Stored("0", 2), 0, (2,), (1,)), True, NO_HOOKS)
    )
    pickled = dump({"a": parameter})[:-1] + dump({"_metadata": {"": {"version": 1}}})[2:-1] + b"b."
    (tmp_path / "x").write_bytes(zipped(pickled, {"0": np.arange(2, dtype=np.float32).tobytes()}))
    np.testing.assert_array_equal(read_arrays(tmp_path / "x")["a"], [0, 1])


def test_dicts_in_the_form_of_python_2_are_read(tmp_path):
    pairs = [["a", old_tensor(Stored("0", 2), 0, (2,), (1,))], ["b", old_tensor(Stored("0", 2), 1, (1,), (1,))]]
    data = legacy(dump(Call(Name("collections", "OrderedDict"), (pairs,)), extra=(None,)), {"0": bytes(8)})
    (tmp_path / "x").write_bytes(data)
    assert {name: array.shape for name, array in read_arrays(tmp_path / "x").items()} == {"a": (2,), "b": (1,)}


def test_bfloat16_is_refused_with_its_name(tmp_path):
    data = safetensors.numpy.save({"a": np.zeros(2, np.int16)}).replace(b'"I16"', b'"BF16"')
    length = int.from_bytes(data[:8], "little") + 1
    (tmp_path / "x").write_bytes(length.to_bytes(8, "little") + data[8:])
    with pytest.raises(CheckpointError, match=r"x: a is BF16.*float32"):
        read_arrays(tmp_path / "x")
    pytest.importorskip("ml_dtypes", reason="comes with onnx")  # adds bfloat16 to NumPy
    with pytest.raises(CheckpointError, match=r"x: a is BF16.*float32"):
        read_arrays(tmp_path / "x")


@pytest.mark.parametrize("make", [zip_file, legacy_file])
def test_a_digest_in_the_name_must_match_the_content(tmp_path, make):
    data = make(some_arrays())
    digest = hashlib.sha256(data).hexdigest()
    good, bad = tmp_path / f"vgg16-{digest[:8]}.pth", tmp_path / "vgg16-12345678.pth"
    for path in (good, bad):
        path.write_bytes(data)
    assert len(read_arrays(good)) == len(some_arrays())
    with pytest.raises(CheckpointError, match=rf"{digest[:8]}.*12345678"):
        read_arrays(bad)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "an empty file"), (b"hello, world", "a text file"),
     (b"\x89PNG\r\n\x1a\n", "a PNG picture"), (b"\x80\x02", "damaged"), (b"PK\x03\x04", "damaged"),
     (b"\x00" * 8 + b"{}", "cannot be read as a safetensors file"),
     (b"\xff" * 4 + bytes(4) + b"{", "not a safetensors file"), (dump({"a": 1}), "a pickle, but not")],
)  # fmt: skip
def test_other_files_are_refused_with_their_name(tmp_path, content, said):
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read_arrays(tmp_path / "x.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'x.pth'}: ")
    assert said in str(caught.value)


def test_missing_files_folders_and_pipes_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.pth: no such file"):
        read_arrays(tmp_path / "none.pth")
    with pytest.raises(CheckpointError, match="a folder, not a known weights file"):
        read_arrays(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(CheckpointError, match="pipe: a pipe"):
            read_arrays(tmp_path / "pipe")


def test_described_keeps_the_strides_of_the_arrays():
    value, storages = described({"turned": some_arrays()["turned"]})
    assert value["turned"].arguments[3] == (1, 3)
    assert np.frombuffer(storages["100"], np.float32).tobytes() == some_arrays()["turned"].T.tobytes()
