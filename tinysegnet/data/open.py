"""Opening a data set by name: "toy" for drawn streets, or the path of a folder."""

from os import PathLike, fspath

from ..errors import DataError, did_you_mean
from .folders import Folder
from .infer_encoding import Classes
from .label_survey import Progress
from .sample import Dataset

_TOY = {"train": (450, 0), "val": (200, 1)}  # number of streets and seed; no street is in both splits


def open_dataset(
    data: str | PathLike[str],
    split: str = "train",
    *,
    size: tuple[int, int] = (96, 128),
    ignore: int | None = None,
    classes: Classes = "merged",
    progress: Progress = iter,
) -> Dataset:
    """Open a data set by name. Raises DataError if it is not found; `Folder.problems` checks the files themselves.

    Args:
        data: "toy", or a folder in any layout that `Folder` recognises.
        split: "train", "val", ...
        size: (H, W) of the toy scenes; pictures on disk keep their own sizes.
        ignore: the label value in the files that means void, or None to infer it.
        classes, progress: see `Folder`.
    """
    if not isinstance(data, str | PathLike) or not fspath(data):  # an empty path would mean the current folder
        what = type(data).__name__ if data != "" else repr(data)
        raise DataError(f'data: {what} is not a path. Give "toy", or the path of a folder.')
    if fspath(data) != "toy":
        return Folder(data, split, ignore=ignore, classes=classes, progress=progress)
    if split not in _TOY:
        raise DataError(f"toy: there is no split {split!r}. Choose {' or '.join(_TOY)}.{did_you_mean(split, _TOY)}")
    from .toyscenes import ToyScenes  # imported here, so that reading pictures does not load the drawing code

    count, seed = _TOY[split]
    return ToyScenes(count, seed=seed, size=size)
