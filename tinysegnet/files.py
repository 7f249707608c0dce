"""Recognising files by their content, and writing files that are never half there.

Checkpoints and reports are rewritten while people look at them, disks fill up and laptops go to sleep. Therefore the
bytes are written to a new file beside the old one, reach the disk, and only then replace the old file.
"""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path


def is_special(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a pipe, a socket or a device, where reading may wait for ever or never end."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_atomically(
    path: str | os.PathLike[str], data: bytes | bytearray | memoryview, *, durable: bool = True
) -> None:
    """Write a file so that its path always has either the whole old content or the whole new content.

    Args:
        path: The file; its folder must exist. If it is a symbolic link, the file that it points to is replaced.
        data: The new content.
        durable: Return only when the content is on the disk, so that it survives a power failure.

    Raises:
        OSError: The disk is full or the folder is read-only, for example. An older file is then untouched.
    """
    target = Path(os.path.realpath(path))
    # A rename is atomic only within a file system, hence the same folder. The name is cut so that it is not too long.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        _write(temporary, data, durable)
        os.replace(temporary, target)
    except BaseException as error:  # Ctrl-C too must not leave the temporary file behind
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = os.fspath(path), None  # not the temporary one
        raise
    if durable:
        _sync_folder(target.parent)


def _write(path: Path, data: bytes | bytearray | memoryview, durable: bool) -> None:
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Write the new name to the disk. Where a folder cannot be synced, the system does so later."""
    if os.name != "posix":
        return
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
