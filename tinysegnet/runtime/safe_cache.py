"""numba's cache of compiled kernels, safe against damaged files and full disks. Imported only where numba compiles."""

import glob
import hashlib
import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import FunctionCache, IndexDataCacheFile
from numba.core.runtime import rtsys

from ..files import write_atomically
from . import kernel_cache
from .lean_compiling import TESTED


class KernelFiles(IndexDataCacheFile):
    """The files of one kernel, which are replaced atomically."""

    def save(self, key: Any, data: Any) -> None:
        """Save a compiled kernel in a file that is named after its signature.

        numba numbers the files, so two processes that compile at the same time could use one number for two kernels.
        """
        number = int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8])
        self._save_data(self._data_name(number), data)
        self._save_index({**self._load_index(), key: self._data_name(number)})

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[io.BytesIO]:
        buffer = io.BytesIO()
        yield buffer
        write_atomically(filepath, buffer.getvalue(), durable=False)


class SafeCache(FunctionCache):
    """The cache of one kernel: damaged files are replaced, and files that cannot be written are not an error."""

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        self._cache_file.__class__ = KernelFiles

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Load a compiled kernel, or return None if it is missing or damaged."""
        found = None
        try:
            found = self._load_quickly(sig, target_context)
        except Exception:  # wrong content can raise any error
            for path in glob.glob(glob.escape(str(Path(self.cache_path) / self._impl.filename_base)) + ".*"):
                with suppress(OSError):
                    Path(path).unlink()
            _say(f"a damaged file in the kernel cache {self.cache_path} is replaced")
        if found is None:
            kernel_cache.say_compiling()
        return found

    def _load_quickly(self, sig: Any, target_context: Any) -> Any:
        """Load without `target_context.refresh`, which imports all that compiling needs and takes half a second."""
        if numba.version_info.short != TESTED:
            return super().load_overload(sig, target_context)
        rtsys.initialize(target_context)  # the part of `refresh` that compiled code needs
        with self._guard_against_spurious_io_errors():
            return self._load_overload(sig, target_context)

    def save_overload(self, sig: Any, data: Any) -> None:
        """Save a compiled kernel, if possible."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _say(f"cannot write the kernel cache {self.cache_path} ({error.strerror}); kernels will be compiled again")


def enable_cache(compiled: Any) -> None:
    """Give one kernel tinysegnet's cache folder. Other users of numba in this process keep their folders."""
    if folder := kernel_cache.cache_folder():
        before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
        try:
            compiled._cache = SafeCache(compiled.py_func)  # instead of compiled.enable_caching()
        except RuntimeError:  # numba finds no source file in a zip or a frozen program
            pass
        finally:
            numba.config.CACHE_DIR = before


@cache
def _say(text: str) -> None:
    print(f"tinysegnet: {text}", file=sys.stderr)
