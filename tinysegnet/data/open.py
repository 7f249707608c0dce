"""Opening a data set by name: "toy" for drawn streets, else a folder."""

from os import PathLike, fspath

from ..errors import DataError, did_you_mean
from .folders import Classes, Folder
from .sample import Dataset

_TOY = {"train": (450, 0), "val": (200, 1)}  # split -> (how many, seed): no validation street is ever trained on


def open_dataset(
    data: str | PathLike[str],
    split: str = "train",
    *,
    size: tuple[int, int] = (96, 128),
    ignore: int | None = None,
    classes: Classes = "merged",
) -> Dataset:
    """Open a data set by name. Raises DataError; `Folder.problems` checks the files themselves.

    Args:
        data: "toy", or a folder in any layout that `Folder` recognises.
        split: "train", "val", ...
        size: (H, W) of the toy scenes; pictures on disk have their own.
        ignore: the label value in the files that means void; None: inferred.
        classes: CamVid's 32 "merged" to eleven, or "all".
    """
    if not isinstance(data, str | PathLike) or not fspath(data):  # an empty path would be the current folder
        what = type(data).__name__ if data != "" else repr(data)
        raise DataError(f'data: {what} (expected "toy", or the path of a folder)')
    if fspath(data) != "toy":
        return Folder(data, split, ignore=ignore, classes=classes)
    if split not in _TOY:
        raise DataError(f"toy: no split {split!r} (expected {' or '.join(_TOY)}).{did_you_mean(split, _TOY)}")
    from .toyscenes import ToyScenes  # here, so that reading pictures does not compile the drawing

    count, seed = _TOY[split]
    return ToyScenes(count, seed=seed, size=size)
