"""Weights files of other libraries as NumPy arrays: torch.save's .pth, Keras's .h5, and safetensors.

    read_arrays(path) returns {"features.0.weight": array (64, 3, 3, 3), ...}

The format is recognised by the content of the file, not by its name. Nothing in a file is executed, and claimed sizes
are compared with the size of the file before memory is allocated.
"""

import os
import struct
import zipfile
from collections.abc import Callable
from os import PathLike
from pathlib import Path

import numpy as np

from ..errors import CheckpointError
from ..files import is_special, kind_of
from .keras_file import read_keras
from .safetensors_file import read_safetensors
from .torch_file import read_torch

ADVICE = "Give a .pth file from torchvision, an .h5 file from Keras, or a .safetensors file"
_ERRORS = (ArithmeticError, EOFError, LookupError, OSError, RuntimeError, TypeError, ValueError, struct.error,
           zipfile.BadZipFile)  # fmt: skip


def read_arrays(path: str | PathLike[str], *, keep: Callable[[str], object] | None = None) -> dict[str, np.ndarray]:
    """Read the tensors of a weights file by name, each as a separate C-contiguous array. Raises CheckpointError.

    `keep` is called with each name. Tensors for which it returns a false value are not read.
    """
    path = Path(path)
    try:
        if is_special(path):
            raise CheckpointError(f"a pipe or a device, not a file. {ADVICE}")
        if os.path.isdir(path):
            raise CheckpointError(f"{kind_of(path)}, not a weights file. {ADVICE}")
        with open(path, "rb") as file:
            head = file.read(9)
        if head.startswith((b"PK\x03\x04", b"\x80")):  # a zip archive or a bare pickle
            read = read_torch
        elif head.startswith(b"\x89HDF\r\n\x1a\n"):
            read = read_keras
        elif head[8:] == b"{":  # after the length of the header
            read = read_safetensors
        else:
            raise CheckpointError(f"{kind_of(path)}, not a known weights file. {ADVICE}")
        return read(path, keep or (lambda name: True))
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: no such file. {ADVICE}") from error
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except _ERRORS as error:
        said = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: damaged and cannot be read ({said}). Download it again") from error
