"""Safetensors files: the length of the header, the header (dtype, shape and place of each tensor), and the arrays."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import safetensors

from ..errors import CheckpointError
from ..files import UNKNOWN, kind_of
from .limits import MAX_HEADER_BYTES, check_name


def open_safetensors(path: Path, what: str, advice: str, *, most: int = MAX_HEADER_BYTES) -> Any:
    """Open a safetensors file. Raises CheckpointError without the path, which the caller adds.

    Messages name the expected content `what`, such as "a checkpoint", and end with `advice`. The header may have `most`
    bytes.
    """
    try:
        if (kind := kind_of(path)) not in ("a safetensors file", UNKNOWN):
            inside = [path / name for name in ("best.safetensors", "last.safetensors") if (path / name).is_file()]
            raise CheckpointError(f"{kind}, not {what}. {f'Did you mean {inside[0]}?' if inside else advice}")
        with open(path, "rb") as file:
            claimed = int.from_bytes(file.read(8), "little")
        if claimed > most:
            raise CheckpointError(f"not {what}. {advice}")
        return safetensors.safe_open(path, framework="numpy")
    except FileNotFoundError as error:
        raise CheckpointError(f"no such file. {advice}") from error
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"cannot be read as {what}: {error}. {advice}") from error


def read_safetensors(path: Path, keep: Callable[[str], object]) -> dict[str, np.ndarray]:
    """Read the arrays of a safetensors file by name; see `read_arrays`."""
    with open_safetensors(path, "a safetensors file", "Download it again") as file:
        arrays = {}
        for name in [check_name(name) for name in file.keys()]:  # noqa: SIM118
            try:
                if keep(name):
                    arrays[name] = np.array(file.get_tensor(name), order="C")
                    if arrays[name].dtype.kind not in "biufc":  # ml_dtypes, if imported, adds bfloat16 to NumPy
                        raise TypeError
            except (AttributeError, TypeError, safetensors.SafetensorError) as error:
                kind = file.get_slice(name).get_dtype()
                raise CheckpointError(f"{name} is {kind}, which NumPy lacks. Convert it to float32") from error
        return arrays
