"""Weights files of other libraries as NumPy arrays: torch.save's .pth, Keras's .h5, and safetensors.

    read_arrays(path) returns {"features.0.weight": array (64, 3, 3, 3), ...}

The format is recognised by the content of the file, not by its name. Nothing in a file is executed, and claimed sizes
are compared with the size of the file before memory is allocated.
"""

import struct
import zipfile
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from ..errors import CheckpointError
from ..files import kind_of
from .keras_file import read_keras
from .safetensors_file import read_safetensors
from .torch_file import read_torch

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
