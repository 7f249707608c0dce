"""Writing a whole folder so that it is either complete or absent."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import DataError


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
