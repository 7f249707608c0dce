"""Where commands write their results, and how they print names of files."""

from pathlib import Path

from ..errors import DataError

__all__ = ["make_folder", "printable"]


def make_folder(path: Path) -> None:
    """Make a folder for results. Raises DataError if a file is in its place."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise DataError(f"{path}: a file is in the way (expected a folder for the results). Name another") from None


def printable(text: object) -> str:
    """The text as any terminal can print it: names of files may hold bytes that are not valid text."""
    return str(text).encode(errors="backslashreplace").decode()
