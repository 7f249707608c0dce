"""numba's cache of compiled kernels, safe against damaged files and full disks. Imported only where numba compiles."""

import glob
import hashlib
import io
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba.core.caching import FunctionCache, IndexDataCacheFile

from ..files import write_atomically

DIGEST = 32  # bytes of SHA-256


class DamagedKernelError(Exception):
    """A file of the cache does not have the content that was written."""


class CheckedFiles(IndexDataCacheFile):
    """The files of one kernel, each with the SHA-256 of its content at its end, where unpickling ignores it."""

    def save(self, key: Any, data: Any) -> None:
        """Save a compiled kernel in a file that is named after its signature.

        numba numbers the files, so two processes that compile at the same time could use one number for two kernels.
        """
        number = int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8])
        self._save_data(self._data_name(number), data)
        self._save_index({**self._load_index(), key: self._data_name(number)})

    def _load_index(self) -> Any:
        with suppress(FileNotFoundError):
            _check(self._index_path)
        return super()._load_index()

    def _load_data(self, name: str) -> Any:
        _check(self._data_path(name))
        return super()._load_data(name)

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[io.BytesIO]:
        buffer = io.BytesIO()
        yield buffer
        content = buffer.getvalue()
        write_atomically(filepath, content + hashlib.sha256(content).digest(), durable=False)


def _check(path: str) -> None:
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedKernelError from error
    if hashlib.sha256(content[:-DIGEST]).digest() != content[-DIGEST:]:
        raise DamagedKernelError


class SafeCache(FunctionCache):
    """The cache of one kernel: damaged files are replaced, and files that cannot be written are not an error."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file.__class__ = CheckedFiles

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load a compiled kernel, or return None if it is not there or is damaged."""
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # unpickling wrong content can raise anything
            self._remove_files()
            _say(f"a damaged file in the kernel cache {self.cache_path} is replaced")
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save a compiled kernel, if possible."""
        try:
            super().save_overload(sig, data)
        except (OSError, DamagedKernelError) as error:
            reason = getattr(error, "strerror", None) or "a file there is damaged"
            _say(f"the kernel cache {self.cache_path} cannot be written ({reason}); kernels will be compiled again")

    def _remove_files(self) -> None:
        for path in glob.glob(glob.escape(str(Path(self.cache_path) / self._impl.filename_base)) + ".*"):
            with suppress(OSError):
                shutil.rmtree(path) if Path(path).is_dir() else Path(path).unlink()


@cache
def _say(text: str) -> None:
    print(f"tinysegnet: {text}", file=sys.stderr)
