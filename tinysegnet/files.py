"""Functions that recognise the kind of a file by its content, and that write files and folders atomically.

A crash or a full disk must not destroy an older checkpoint. Therefore the content is written to a new file in the same
folder and synced to the disk, and only then does the new file replace the old one.
"""

import codecs
import csv
import errno
import io
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import DataError

# Signatures at the start of files, as (offset, bytes at this offset, kind of file).
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "a PNG picture"), (0, b"\xff\xd8\xff", "a JPEG picture"), (0, b"GIF8", "a GIF picture"),
    (0, b"BM", "a BMP picture"), (0, b"II*\0", "a TIFF picture"), (0, b"MM\0*", "a TIFF picture"),
    (8, b"WEBP", "a WebP picture"), (0, b"8BPS", "a Photoshop picture"),
    (4, b"jP  \r\n\x87\n", "a JPEG 2000 picture"), (4, b"JXL \r\n\x87\n", "a JPEG XL picture"),
    *((4, b"ftyp" + brand, "a HEIC picture") for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")),
    (8, b"avif", "an AVIF picture"), (8, b"avis", "an AVIF picture"),
    (4, b"ftyp", "a video"), (8, b"AVI ", "a video"), (0, b"\x1aE\xdf\xa3", "a video"),
    (0, b"%PDF", "a PDF document"), (0, b"PK\x03\x04", "a zip archive"), (0, b"\x1f\x8b", "a gzip archive"),
    *((0, bytes([0x80, protocol]), "a pickle") for protocol in range(2, 6)),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file"), (0, b"\x93NUMPY", "a NumPy array"),
    (4, b"\0\0\0\0{", "a safetensors file"),
)  # fmt: skip
MARK = "Software", "tinysegnet"  #: the keyword and the text in PNG files
COMMENT = "Software: tinysegnet"  #: the comment in other results of `predict`: videos, animations and arrays
UNKNOWN = "a file of an unknown kind"  #: the result of `kind_of` for unrecognised content


def kind_of(path: str | os.PathLike[str]) -> str:
    """Describe a path in words, such as "a PNG picture" or "a folder". Only a file's content counts, not its name.

    Raises OSError if the path does not exist or may not be read.
    """
    if os.path.isdir(path):
        return "the folder of a run" if os.path.exists(os.path.join(path, "config.json")) else "a folder"
    if is_special(path):
        return "a pipe or a device"
    with open(path, "rb") as file:
        head = file.read(4096)
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)  # accepts an incomplete character at the end
    except UnicodeDecodeError:
        text = "\0"
    if not text:
        return "an empty file"
    if all(letter.isprintable() or letter.isspace() for letter in text):
        if text.lstrip()[0:1] == "<" and "<svg" in text:
            return "an SVG drawing"
        return "a Jupyter notebook" if text.lstrip()[0:1] == "{" and '"cells"' in text else "a text file"
    for place, signature, kind in _SIGNATURES:
        if head[place : place + len(signature)] == signature:
            return "a PyTorch file" if kind == "a zip archive" and b"/data.pkl" in head else kind
    return UNKNOWN


def is_special(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a pipe, a socket or a device, from which reading may never end."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_marked(path: str | os.PathLike[str]) -> bool:
    """Return whether MARK or COMMENT is in the first or last 4096 bytes of a file, as in all results of `predict`."""
    with open(path, "rb") as file:
        ends = [file.read(4096)]
        file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
        ends.append(file.read())
    return any(text.encode() in end for text in ("\0".join(MARK), COMMENT) for end in ends)


def as_csv(rows: Iterable[Iterable[Any]]) -> bytes:
    """Return rows as the content of a CSV file in UTF-8, with an empty cell for None."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode(errors="backslashreplace")


def write_atomically(path: str | os.PathLike[str], data: bytes, *, durable: bool = True) -> None:
    """Write a file so that its path always has either the whole old content or the whole new content.

    Args:
        path: The file; its folder must exist. If it is a symbolic link, the file that it points to is replaced.
        data: The new content.
        durable: Return only when the content is on the disk, so that it survives a power failure.

    Raises:
        OSError: The disk is full or the folder is read-only, for example. An older file is then unchanged.
    """
    with new_file(path, durable=durable) as temporary, open(temporary, "xb") as file:
        file.write(data)


@contextmanager
def new_file(path: str | os.PathLike[str], *, durable: bool = True) -> Iterator[Path]:
    """Give a block of code a temporary path to write to. The file replaces `path` if the block raises no error.

    The arguments and the errors are those of `write_atomically`.
    """
    target = Path(os.path.realpath(path))
    # Renaming is atomic only within a file system, so the temporary file is in the same folder. Long names are cut.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
        if durable:
            with open(temporary, "r+b") as file:
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:  # including Ctrl-C, because no temporary file must remain
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.errno:
            raise OSError(error.errno, error.strerror, os.fspath(path)) from error  # not the temporary file's name
        raise
    if durable and os.name == "posix":  # other systems cannot sync a folder
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Write the new name to the disk."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Some network file systems refuse to sync, and a folder may be unreadable. The file is safe in both cases.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield the new folder `out`.part. It is renamed to `out` at the end, or deleted if an error occurs.

    Raises DataError if `out` exists and is not empty, or if it cannot be written.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DataError(f"{out}: the folder exists and is not empty. Choose another name, or delete it.")
    part = out.with_name(out.name + ".part")
    try:
        part.mkdir(parents=True)
    except FileExistsError:
        raise DataError(f"{part}: this folder was left by an interrupted run. Delete it.") from None
    except OSError as error:
        raise DataError(f"{part}: cannot be created: {error.strerror}. Choose a writable folder.") from error
    try:
        yield part
        if out.exists():
            out.rmdir()  # an empty folder; on Windows, a folder cannot be renamed to an existing one
        part.rename(out)
    except OSError as error:
        raise DataError(f"{part}: cannot be written: {error.strerror}. Check free space and permissions.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)  # the folder exists only after a failure
