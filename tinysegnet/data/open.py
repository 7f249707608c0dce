"""One name for every data set: "toy" for drawn streets, else a folder."""

from __future__ import annotations

from os import PathLike, fspath

from ..errors import DataError
from .camvid import CamVid
from .sample import Dataset

__all__ = ["open_dataset"]

# split -> (how many scenes, seed): the seeds differ, so no validation street is ever trained on.
_TOY = {"train": (450, 0), "val": (200, 1)}


def open_dataset(data: str | PathLike[str], split: str = "train", *, size: tuple[int, int] = (96, 128)) -> Dataset:
    """data: "toy", or a CamVid folder in the tutorial's layout. split: "train", "val", ...

    size: (H, W) of the toy scenes; pictures on disk have their own. Raises DataError if there is no such
    folder, split or pair; whether the files are sound is `CamVid.check`'s affair.
    """
    if fspath(data) != "toy":
        return CamVid(data, split)
    if split not in _TOY:
        raise DataError(f"toy: no split {split!r} (expected {' or '.join(_TOY)}). Correct the split")
    from .toyscenes import ToyScenes  # here, so that reading pictures does not compile the drawing

    count, seed = _TOY[split]
    return ToyScenes(count, seed=seed, size=size)
