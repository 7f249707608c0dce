"""The private folder where compiled kernels are kept between processes."""

import hashlib
import os
import re
import shutil
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from .progress import say, show_compiling

compiled_kernels: list[Any] = []
_announcing: list[None] = []  # filled by `announce_compiling`, emptied when the first kernel is compiled
SAME_CODE = ("NUMBA_NUM_THREADS", "NUMBA_THREADING_LAYER")  # settings that do not change the compiled code


def _sources_hash() -> str:
    """Hash the sources of all kernels and the settings that change the compiled code.

    numba looks only at the file of the kernel itself, so it would not notice an edited helper in another file.
    """
    digest = hashlib.sha256()
    package = Path(__file__).parents[1]
    ours = [package / "runtime" / name for name in ("jit.py", "lean_compiling.py", "safe_cache.py")]
    for path in (*ours, *sorted((package / "ops").rglob("*.py"))):
        digest.update(path.read_bytes())
    names = (name for name in os.environ if name.startswith(("NUMBA_", "TINYSEGNET_PARALLEL")))
    settings = sorted(f"{name}={os.environ[name]}" for name in names if not name.startswith(SAME_CODE))
    digest.update(repr(settings).encode())
    return digest.hexdigest()[:16]


def user_cache() -> Path:
    """Return the folder of all caches. Each version of the sources has its own cache in it."""
    if folder := os.environ.get("TINYSEGNET_CACHE"):
        return Path(folder)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "tinysegnet"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tinysegnet"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinysegnet"


@cache
def cache_folder() -> Path | None:
    """Return the private folder of compiled kernels for these sources, or None if it cannot be written.

    numba's cache consists of pickles, so anyone who can write there can run code here. Its mode is therefore 0700, and
    it is never in a shared /tmp.
    """
    with suppress(OSError, RuntimeError):
        folder = user_cache() / _sources_hash()
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.access(folder, os.W_OK):
            return folder
    print("tinysegnet: there is no writable cache folder, so every process compiles its kernels again", file=sys.stderr)
    return None


def cached_files() -> list[Path]:
    """List all files of compiled kernels, for all versions of the sources."""
    return [path for folder in _version_folders() for path in folder.rglob("*") if path.is_file()]


def clear_cache() -> None:
    """Remove all compiled kernels."""
    for folder in _version_folders():
        shutil.rmtree(folder)
    with suppress(OSError):  # other files are in the folder, or it does not exist
        user_cache().rmdir()


def _version_folders() -> list[Path]:
    return [path for path in user_cache().glob("*") if re.fullmatch(r"[0-9a-f]{16}", path.name) and path.is_dir()]


def announce_compiling() -> None:
    """Print one line to stderr when the first kernel is compiled. Otherwise, compiling looks like a hang."""
    _announcing[:] = [None]


def say_compiling() -> None:
    """Print the line if it was requested and has not been printed. The progress of a training run shows it too."""
    if _announcing:
        _announcing.clear()
        say("Compiling kernels that no earlier command has needed. This takes up to a minute, and they are kept.")
    show_compiling()
