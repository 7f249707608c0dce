"""Fetch MathJax once, so that the site works offline.

The site uses the SVG build, a single file that contains all TeX extensions. It draws formulas as paths and needs no
fonts, which browsers refuse to load for pages opened from a disk.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

__all__ = ["VERSION", "Missing", "vendor"]

VERSION = "3.2.2"
SHA256 = "1b9c0a1c44df864e915690558e72adb9cc5203360daefd385084ced3b6c64c09"  # of the npm package, a .tgz file
WANTED = {"package/es5/tex-svg-full.js": "tex-svg-full.js", "package/LICENSE": "LICENSE"}


class Missing(RuntimeError):
    """MathJax is missing and cannot be fetched. The message says what to do."""


def vendor(folder: Path) -> Path:
    """Put MathJax into the folder if it is missing, and return the folder."""
    if all((folder / name).exists() for name in WANTED.values()):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    package = folder / f"mathjax-{VERSION}.tgz"
    if not package.exists():
        _fetch(folder)
    if hashlib.sha256(package.read_bytes()).hexdigest() != SHA256:
        package.unlink()
        raise Missing(f"mathjax {VERSION}: the SHA-256 of the download is wrong, so it was deleted. Try again")
    with tarfile.open(package) as archive:
        for member, name in WANTED.items():
            content = archive.extractfile(member)
            assert content is not None
            (folder / name).write_bytes(content.read())
    package.unlink()
    return folder


def _fetch(folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm, which fetches MathJax, is missing. Install it (on Debian: apt-get install npm)")
    command = [npm, "pack", "--silent", f"mathjax@{VERSION}", "--pack-destination", str(folder.resolve())]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        raise Missing(f"npm could not fetch mathjax {VERSION}: {' '.join(done.stderr.split())[:300]}")
