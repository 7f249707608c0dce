"""tinysegnet lessons."""

import importlib.util
import shlex
from pathlib import Path

from ..errors import DataError
from ..files import write_atomically
from .options import FolderPath

_PACKAGE = Path(__file__).parents[1]


def run(folder: FolderPath, /) -> int:
    """Copy the lessons, which are Jupyter notebooks with self-grading exercises, into a folder.

    The files that the notebooks read are also copied. Existing files are never overwritten, so your work is safe, but
    the command prints the names of those that differ from the originals.

    Args:
        folder: The folder for the lessons. It is created if it is missing.
    """
    notebooks = find_notebooks()
    folder.mkdir(parents=True, exist_ok=True)
    files = notebooks + sorted(notebooks[0].parent.glob("*.csv"))
    copied = [file for file in files if _copied(file, folder / file.name)]
    kept = [notebook for notebook in notebooks if notebook not in copied]
    for file in (file for file in files if _differs(file, folder / file.name)):
        print(f"kept    {folder / file.name}  (your file differs from the original; move it away to get a new copy)")
    if len(kept) == len(notebooks):
        print(f"All {len(kept)} lessons are in {folder} already, and were kept.")
    else:
        kept_too = f" The other {len(kept)} are there already, and were kept." if kept else ""
        print(f"Copied {len(notebooks) - len(kept)} of {len(notebooks)} lessons to {folder}.{kept_too}")
    if importlib.util.find_spec("jupyterlab") is None:
        print('JupyterLab is not installed: pip install "tinysegnet[lessons]"')
    print(f"begin with    jupyter lab {shlex.quote(str(folder / notebooks[0].name))}")
    return 0


def find_notebooks() -> list[Path]:
    """Find the notebooks inside an installed package, or in the folder lessons/ of a clone of the project."""
    for folder in (_PACKAGE / "lessons", _PACKAGE.parent / "lessons"):
        if found := sorted(folder.glob("[0-9][0-9]*_*.ipynb")):
            return found
    raise DataError(
        f"{_PACKAGE / 'lessons'}: there are no notebooks here. In a clone of the project, `make lessons` builds them"
    )


def _copied(file: Path, target: Path) -> bool:
    """Copy a file unless the target exists. Return whether it was copied."""
    if target.is_symlink() or target.exists():
        return False
    write_atomically(target, file.read_bytes())
    return True


def _differs(file: Path, target: Path) -> bool:
    return not target.is_file() or target.read_bytes() != file.read_bytes()
