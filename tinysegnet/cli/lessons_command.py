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
    notebooks, copied = find_notebooks(), 0
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*notebooks, *sorted(notebooks[0].parent.glob("*.csv"))):
        target = folder / file.name
        if not target.is_symlink() and not target.exists():
            write_atomically(target, file.read_bytes())
            copied += file in notebooks
        elif not target.is_file() or target.read_bytes() != file.read_bytes():
            print(f"kept    {target}  (your file differs from the original; move it away to get a new copy)")
    kept = len(notebooks) - copied
    if copied:
        kept_too = f" The other {kept} are there already, and were kept." if kept else ""
        print(f"Copied {copied} of {len(notebooks)} lessons to {folder}.{kept_too}")
    else:
        print(f"All {kept} lessons are in {folder} already, and were kept.")
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
