"""Writing a file so that it is never half there.

Checkpoints and reports are rewritten while people look at them, disks fill up and laptops go to sleep. So the
bytes go into a new file beside the old one, reach the disk, and only then take its name: whoever opens the path
finds either the whole old file or the whole new one.
"""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether it is a pipe, a socket or a device: reading one may wait for ever, or never end."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def write_atomically(path: str | os.PathLike[str], data: bytes | bytearray | memoryview) -> None:
    """Make `data` the content of the file `path`; its folder must exist.

    Raises OSError as the system reports it (disk full, read-only folder, ...). Then the old file, if there was
    one, is untouched and the temporary one is gone. A symbolic link stays one: what it points to is replaced.
    """
    target = Path(os.path.realpath(path))
    # In the same folder: a rename is atomic within one file system only. The name is cut so that it cannot be too long.
    temporary = target.with_name(f".{target.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        _write_to_disk(temporary, data)
        os.replace(temporary, target)
    except BaseException as error:  # Ctrl-C too must not leave the temporary file behind
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = os.fspath(path), None  # the name that somebody knows
        raise
    _sync_folder(target.parent)


def _write_to_disk(path: Path, data: bytes | bytearray | memoryview) -> None:
    """Create the file `path` and return when its content is on the disk, not only in the system's memory."""
    with open(path, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk as well; where a folder cannot be synced, the system does so in its own time."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        # Some network file systems refuse, and a folder may be writable but not readable. Neither loses the file.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EACCES):
            raise
