"""CamVid as the SegNet tutorial lays it out: 367 + 101 + 233 street pictures of 480 x 360, 11 classes.

    train.txt  val.txt  test.txt      lines "image labels", one pair each
    train/     trainannot/            pictures (PNG or JPEG), label maps (PNG of class numbers, 11 = void)
    val/       valannot/ ...

The tutorial's own lists say `/SegNet/CamVid/train/0001TP_006690.png ...`, a path on its authors' machine;
each is looked up under the root by its longest ending that exists there. Without a list the two folders
are paired by file stem.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from .folders import Folder
from .label_encoding import LabelEncoding
from .layouts import tutorial_layout
from .palette import CAMVID, Palette

__all__ = ["CamVid"]


class CamVid(Folder):
    """One split of a CamVid folder, a `Folder` that need not be recognised.

    root: the folder with train.txt or train/ and trainannot/. split: "train", "val" or "test".
    palette: what the numbers and colours in the label maps mean. Raises DataError if no pairs are found at all.
    """

    def __init__(self, root: str | PathLike[str], split: str = "train", *, palette: Palette = CAMVID) -> None:
        super().__init__(root, split, layout=tutorial_layout(Path(root)), label_encoding=LabelEncoding.plain(palette))
        self.name = f"CamVid {split}"
