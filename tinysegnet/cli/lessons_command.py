"""tinysegnet lessons."""

from __future__ import annotations

import importlib.util
import shlex
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError, SettingError
from ..files import write_atomically
from .options import FolderPath

__all__ = ["Lessons", "find_notebooks"]

_PACKAGE = Path(__file__).parents[1]


def find_notebooks() -> list[Path]:
    """The students' notebooks: in an installed package inside it, in a clone of the project in its folder lessons/."""
    for folder in (_PACKAGE / "lessons", _PACKAGE.parent / "lessons"):
        if found := sorted(folder.glob("[0-9][0-9]_*.ipynb")):
            return found
    raise DataError(f"{_PACKAGE / 'lessons'}: no lessons (expected notebooks; in a clone `make lessons` makes them)")


@dataclass(frozen=True)
class Lessons:
    """Copy the lessons, Jupyter notebooks with exercises that grade themselves, into a folder to work in.

    What they read comes beside them. A file that is there already is never overwritten: your work is safe, and the
    names of those kept are printed.
    """

    folder: FolderPath
    """Where to: it is made if it is not there."""

    def run(self) -> int:
        notebooks = find_notebooks()
        if self.folder.exists() and not self.folder.is_dir():
            raise SettingError(f"{self.folder}: a file (expected a folder, or a name that is not taken)")
        self.folder.mkdir(parents=True, exist_ok=True)
        files = notebooks + sorted(notebooks[0].parent.glob("*.csv"))  # what notebooks read
        kept = [file for file in files if not _copied(file, self.folder / file.name)]
        for file in kept:
            print(f"kept    {self.folder / file.name}  (not as it comes: move it away to have it anew)")
        unchanged = len(set(notebooks) - set(kept))
        print(f"{unchanged} of {len(notebooks)} lessons are in {self.folder} as they come")
        first = shlex.quote(str(self.folder / notebooks[0].name))
        if importlib.util.find_spec("jupyterlab") is None:
            print('JupyterLab is not installed: pip install "tinysegnet[lessons]"')
        print(f"begin with    jupyter lab {first}")
        return 0


def _copied(file: Path, target: Path) -> bool:
    """Copy it unless something is there; -> whether it is there, unchanged."""
    text = file.read_bytes()
    if target.is_symlink() or target.exists():
        return target.is_file() and target.read_bytes() == text
    write_atomically(target, text)
    return True
