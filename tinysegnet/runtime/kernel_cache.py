"""The private folder where compiled kernels are kept between processes."""

import hashlib
import os
import sys
from functools import cache
from pathlib import Path
from typing import Any

compiled_kernels: list[Any] = []
SAME_CODE = ("NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER")  # settings that do not change the compiled code


def _sources_hash() -> str:
    """A hash that changes when a kernel's source changes, or a setting that changes the compiled code.

    numba looks only at the file of the kernel itself, so an edited helper in another file would go unnoticed.
    """
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    for path in [package / "runtime" / "jit.py", *sorted((package / "ops").rglob("*.py"))]:
        digest.update(path.read_bytes())
    names = (name for name in os.environ if name.startswith(("NUMBA_", "TINYSEGNET_PARALLEL")))
    settings = sorted(f"{name}={os.environ[name]}" for name in names if not name.startswith(SAME_CODE))
    digest.update(repr(settings).encode())
    return digest.hexdigest()[:16]


def _user_cache() -> Path:
    if folder := os.environ.get("TINYSEGNET_CACHE"):
        return Path(folder)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "tinysegnet"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tinysegnet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinysegnet"


@cache
def cache_folder() -> Path | None:
    """The private folder of compiled kernels for these sources, or None where no folder can be written.

    numba's cache consists of pickles: anyone who can write there can run code here. So its mode is 0700, and it is
    never in a shared /tmp.
    """
    try:
        folder = _user_cache() / _sources_hash()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK):
            return folder
    except (OSError, RuntimeError):
        pass
    print("tinysegnet: no writable cache folder: kernels are compiled anew in every process", file=sys.stderr)
    return None


def enable_cache(compiled: Any) -> None:
    """Give one kernel our cache folder; other users of numba in this process keep theirs."""
    folder = cache_folder()
    if folder is None:
        return
    import numba

    before, numba.config.CACHE_DIR = numba.config.CACHE_DIR, str(folder)
    try:
        compiled.enable_caching()
    except RuntimeError:  # "no locator available": run from a zip or a frozen program
        pass
    finally:
        numba.config.CACHE_DIR = before
