"""Files of torch.save: every type of number, every form of a promised digest, and every collection of names."""

import hashlib

import numpy as np
import pytest
from weight_samples import KINDS, legacy_file, some_arrays, torchvision, zip_file

import tinysegnet as ts
from tinysegnet.errors import CheckpointError
from tinysegnet.weights.torch_pickle import DTYPES
from tinysegnet.weights.weight_files import read_arrays


def extremes(kind):
    """The smallest and the largest number of a type, 0 and numbers beside it."""
    dtype = np.dtype(f"<{kind}")
    limits = np.finfo(dtype) if dtype.kind == "f" else np.iinfo(dtype)
    near = (-1.5, 0, 0.25) if dtype.kind == "f" else (-1, 0, 1) if dtype.kind == "i" else (0, 1, 128)
    return np.array([limits.min, *near, limits.max], dtype)


def test_every_type_of_storage_is_among_the_samples():
    assert {f"torch.{name}Storage": f"<{kind}" for kind, name in KINDS.items()} == DTYPES


@pytest.mark.parametrize("make", [zip_file, legacy_file])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_every_type_are_read_as_they_were_saved(tmp_path, make, kind):
    numbers = extremes(kind)
    saved = {"row": numbers, "column": numbers[:, None], "one": numbers[4].reshape(())}
    (tmp_path / "x").write_bytes(make(saved))
    found = read_arrays(tmp_path / "x")
    for name, array in saved.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("make", [zip_file, legacy_file])
@pytest.mark.parametrize("ending", [".pth", ".pt"])
@pytest.mark.parametrize("digits", [8, 16, 63, 64])
def test_a_digest_of_any_length_is_checked_in_both_endings(tmp_path, make, ending, digits):
    data = make(some_arrays())
    digest = hashlib.sha256(data).hexdigest()
    last = "0" if digest[digits - 1] != "0" else "1"
    good, bad = (tmp_path / f"vgg16-{promised}{ending}" for promised in (digest[:digits], digest[: digits - 1] + last))
    for path in (good, bad):
        path.write_bytes(data)
    assert len(read_arrays(good)) == len(some_arrays())
    with pytest.raises(CheckpointError, match=f"its SHA-256 begins with {digest[:8]}"):
        read_arrays(bad)


@pytest.mark.parametrize("name", ["vgg16-1234567.pth", "vgg16_12345678.pth", "vgg16-12345678.bin", "12345678.pt",
                                  "vgg16-12345678.pth.old", "vgg16-1234567g.pt"])  # fmt: skip
def test_other_names_promise_no_digest(tmp_path, name):
    (tmp_path / name).write_bytes(zip_file(some_arrays()))
    assert len(read_arrays(tmp_path / name)) == len(some_arrays())


@pytest.mark.parametrize("collect", [list, tuple, dict.fromkeys, set, iter, lambda names: (name for name in names),
                                     lambda names: dict.fromkeys(names).keys()],
                         ids=["list", "tuple", "dict", "set", "iterator", "generator", "keys"])  # fmt: skip
@pytest.mark.parametrize("norms", [False, True])
def test_names_may_come_in_any_collection(collect, norms):
    imagenet = [f"classifier.{n}.bias" for n in (0, 3)] + [*torchvision(1 / 16, norms=norms)]
    assert ts.encoder_preprocessing(collect(imagenet)) == "imagenet"
    caffe = ["block1_conv1/kernel:0", "block1_conv1/bias:0"]
    assert ts.encoder_preprocessing(collect(caffe)) == "caffe"
    assert ts.encoder_preprocessing(collect(["fc1/kernel:0", "block1/layers/conv2d/vars/0"])) == "caffe"
    with pytest.raises(CheckpointError, match="unknown VGG16: it has no arrays"):
        ts.encoder_preprocessing(collect([]))
    with pytest.raises(CheckpointError, match=r"its first array is conv1\.weight"):
        ts.encoder_preprocessing(collect(["conv1.weight"]))
