"""Weights files of other libraries as NumPy arrays: torch.save's .pth, Keras's .h5, and safetensors.

    read_arrays(path) returns {"features.0.weight": array (64, 3, 3, 3), ...}

The format is recognised by the content of the file, not by its name. Nothing in a file is executed, and claimed sizes
are compared with the size of the file before memory is allocated. Keras's HDF5 files that refer to other files or
compress data are refused.
"""

import struct
import zipfile
from collections.abc import Callable, Iterator
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CheckpointError
from ..files import kind_of
from .limits import MAX_AXES, MAX_TENSORS, check_name, check_total, damaged, shown
from .safetensors_file import read_safetensors
from .torch_file import read_torch

MAX_DEPTH = 10  # of groups in Keras's HDF5 files


def read_keras(path: Path, keep: Callable[[str], object]) -> dict[str, np.ndarray]:
    """Read the arrays of an HDF5 file by their path within it; see `read_arrays`."""
    try:
        import h5py
    except ImportError as error:
        raise CheckpointError("Keras's HDF5 files need h5py, which is not installed. Run "
                              'pip install "tinysegnet[pretrained]"') from error  # fmt: skip
    with h5py.File(path, "r") as file:
        wanted = {name: dataset for name, dataset in _datasets(h5py, file) if keep(name)}
        for name, dataset in wanted.items():
            _check_plain(name, dataset)
        check_total(sum(dataset.nbytes for dataset in wanted.values()), path.stat().st_size)
        return {name: np.array(a[()], a.dtype.newbyteorder("="), order="C") for name, a in wanted.items()}


def _datasets(h5py: Any, file: Any) -> Iterator[tuple[str, Any]]:
    """Yield (path, dataset) of all arrays. Groups may contain each other, so number and depth are limited."""
    groups, seen = [("", file, 0)], 0
    while groups:
        path, group, depth = groups.pop()
        for name in group:
            seen += 1
            if seen > MAX_TENSORS or depth > MAX_DEPTH:
                raise damaged("too many or too deeply nested groups")
            inner = check_name(f"{path}{name}")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise CheckpointError(f"{inner} is a link, possibly to another file. Download it again")
            item = group[name]
            if isinstance(item, h5py.Group):
                groups.append((f"{inner}/", item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                yield inner, item
            else:
                raise CheckpointError(f"{inner} is a {shown(type(item).__name__)}, not an array. Download it again")


def _check_plain(name: str, dataset: Any) -> None:
    if dataset.shape is None or dataset.dtype.kind != "f" or len(dataset.shape) > MAX_AXES:
        raise CheckpointError(f"{name} is not a floating-point array. Save only the weights")
    filters = dataset.id.get_create_plist().get_nfilters()
    if dataset.is_virtual or dataset.external or filters or dataset.id.get_storage_size() != dataset.nbytes:
        raise CheckpointError(f"{name} is compressed, incomplete, or in another file. Save the weights uncompressed "
                              "or download them again")  # fmt: skip


_READERS = {"a PyTorch file": read_torch, "a zip archive": read_torch, "a pickle": read_torch,
            "an HDF5 file": read_keras, "a safetensors file": read_safetensors}  # fmt: skip
_ADVICE = "Give a .pth file from torchvision, an .h5 file from Keras, or a .safetensors file"
_ERRORS = (ArithmeticError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError, struct.error,
           zipfile.BadZipFile)  # fmt: skip


def read_arrays(path: str | PathLike[str], *, keep: Callable[[str], object] | None = None) -> dict[str, np.ndarray]:
    """Read the tensors of a weights file by name, each as a separate C-contiguous array. Raises CheckpointError.

    `keep` is called with each name. Tensors for which it returns a false value are not read.
    """
    path = Path(path)
    try:
        kind = kind_of(path)
        if kind not in _READERS:
            raise CheckpointError(f"{kind}, not a known weights file. {_ADVICE}")
        return _READERS[kind](path, keep or (lambda name: True))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file. {_ADVICE}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except _ERRORS as error:
        said = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: damaged and cannot be read ({said}). Download it again") from error
