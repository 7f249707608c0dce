"""The two formats in which torch.save writes a state_dict().

    zip (since PyTorch 1.6)   NAME/data.pkl          {"features.0.weight": tensor, ...}, pickled
                              NAME/data/0, 1, ...    the values of each storage, never compressed
                              NAME/byteorder         "little"
    before                    four pickles: a magic number, the format's version, the byte order, {name: tensor}
                              a fifth pickle: the keys of the storages in the order of the file
                              for each storage: the number of its values in 8 bytes, then the values

The older format has no checksums. The names of torchvision's files, NAME-1234abcd.pth, contain the first digits of
their SHA-256, which are checked.
"""

import hashlib
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np

from ..errors import CheckpointError
from .limits import MAX_HEADER_BYTES, MAX_TENSORS, check_name, check_total, damaged, shown
from .torch_pickle import Storage, Tensor, read_pickle

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001
BYTE_ORDER = "its byte order is not little-endian. Save it again on a little-endian machine"

Numbers = Callable[[Storage], np.ndarray]  # reads the values of a storage


def read_torch(path: Path, keep: Callable[[str], object]) -> dict[str, np.ndarray]:
    """Read the arrays of a file of torch.save by name; see `read_arrays`."""
    size = path.stat().st_size
    with _Reader(io.FileIO(path)) as file:
        tensors, numbers_of = (_open_zip if file.peek()[:2] == b"PK" else _open_legacy)(file, size)
        wanted = {name: tensor for name, tensor in tensors.items() if keep(name)}
        check_total(sum(tensor.nbytes for tensor in wanted.values()), size)
        if wanted:
            _check_promised_digest(path)
        return _arrays(wanted, numbers_of)


class _Reader(io.BufferedReader):
    """A file that refuses large reads, because zipfile would read a directory of any claimed length."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > 4 * MAX_HEADER_BYTES:
            raise damaged(f"its zip directory has {size:,} bytes")
        return super().read(size)


def _check_promised_digest(path: Path) -> None:
    if promised := re.search(r"-([0-9a-f]{8,64})\.pth?$", path.name):
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not found.startswith(promised[1]):
            raise damaged(f"its SHA-256 begins with {found[:8]}, but its name contains {promised[1]}")


def _named_tensors(value: Any) -> dict[str, Tensor]:
    if type(value) is not dict or not 0 < len(value) <= MAX_TENSORS:
        raise CheckpointError("its pickle is not a dict of tensors. Save only the state_dict() of a network")
    for name, tensor in value.items():
        if type(tensor) is not Tensor:
            wrong = f"{shown(name)} is {type(tensor).__name__}, not a tensor"
            raise CheckpointError(f"{wrong}. Save only the state_dict() of a network")
        check_name(name)
    return value


def _arrays(wanted: dict[str, Tensor], numbers_of: Numbers) -> dict[str, np.ndarray]:
    """Return the tensors as separate arrays. Each storage is read once."""
    names: dict[Storage, list[str]] = {}
    for name, tensor in wanted.items():
        names.setdefault(tensor.storage, []).append(name)
    found = {}
    for storage, of_storage in names.items():
        numbers, step = numbers_of(storage), storage.dtype.itemsize
        for name in of_storage:
            _, offset, size, stride = wanted[name]
            view = np.ndarray(size, storage.dtype, numbers, offset * step, [step * n for n in stride])
            found[name] = view.astype(storage.dtype.newbyteorder("="), order="C")
    return {name: found[name] for name in wanted}


def _numbers(stream: IO[bytes], storage: Storage) -> np.ndarray:
    numbers = np.empty(storage.length, storage.dtype)
    octets = numbers.view(np.uint8)
    for place in range(0, octets.size, MAX_HEADER_BYTES):  # zipfile makes a copy of each part
        part = octets[place : place + MAX_HEADER_BYTES]
        if stream.readinto(part.data) < part.size:  # type: ignore[attr-defined]
            raise damaged(f"it ends in storage {shown(storage.key)}")
    return numbers


def _open_zip(file: _Reader, size: int) -> tuple[dict[str, Tensor], Numbers]:
    """Open a file in the format that PyTorch has used since version 1.6."""
    archive = zipfile.ZipFile(file)
    members = _members(archive, size)
    if "byteorder" in members and _small(archive, members["byteorder"]) != b"little":
        raise CheckpointError(BYTE_ORDER)
    tensors = _named_tensors(read_pickle(io.BytesIO(_small(archive, members["data.pkl"]))))

    def numbers_of(storage: Storage) -> np.ndarray:
        info = members.get(f"data/{storage.key}")
        if info is None or info.file_size != storage.length * storage.dtype.itemsize:
            raise damaged(f"storage {shown(storage.key)} is missing or has the wrong size")
        with archive.open(info) as stream:
            return _numbers(stream, storage)

    return tensors, numbers_of


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the members by their name in the archive's folder. Their claimed sizes must fit into the file."""
    infos = archive.infolist()
    if len(infos) > MAX_TENSORS:
        raise damaged(f"{len(infos):,} members")
    roots = [info.filename[: -len("data.pkl")] for info in infos if info.filename.endswith("/data.pkl")]
    if len(roots) != 1:
        raise CheckpointError("a zip archive without data.pkl, so not a file of torch.save. Give the weights file")
    (root,) = roots
    members = {info.filename.removeprefix(root): info for info in infos if info.filename.startswith(root)}
    if len(members) != len(infos):
        raise damaged("a member occurs twice or is outside its folder")
    if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
        raise damaged("its members are compressed, which torch.save never does")
    check_total(sum(info.file_size for info in infos), size)
    return members


def _small(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    if info.file_size > MAX_HEADER_BYTES:
        raise damaged(f"{shown(info.filename)} has {info.file_size:,} bytes, too many")
    return archive.read(info)


def _open_legacy(file: _Reader, size: int) -> tuple[dict[str, Tensor], Numbers]:
    """Open a file in the format that PyTorch used before version 1.6."""
    head = io.BytesIO(file.read(MAX_HEADER_BYTES))
    if read_pickle(head) != MAGIC or read_pickle(head) != VERSION:
        raise CheckpointError("a pickle, but not a file of torch.save. Give a file from torch.save or torchvision")
    system = read_pickle(head)
    if type(system) is not dict or system.get("little_endian") is not True:
        raise CheckpointError(BYTE_ORDER)
    storages: dict[str, Storage] = {}
    tensors = _named_tensors(read_pickle(head, storages))
    keys = read_pickle(head)
    if any(type(key) is not str for key in keys) or sorted(keys) != sorted(storages):
        raise damaged("its list of storages does not match its tensors")
    places, place = {}, head.tell()
    for storage in (storages[key] for key in keys):
        file.seek(place)
        count, places[storage.key] = int.from_bytes(file.read(8), "little"), place + 8
        place += 8 + storage.length * storage.dtype.itemsize
        if count != storage.length:
            raise damaged(f"storage {shown(storage.key)} does not have {storage.length:,} values")
    if place != size:
        raise damaged(f"its storages end at byte {place:,}, but the file has {size:,}")

    def numbers_of(storage: Storage) -> np.ndarray:
        file.seek(places[storage.key])
        return _numbers(file, storage)

    return tensors, numbers_of
