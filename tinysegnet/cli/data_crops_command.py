"""tinysegnet data crops."""

from cyclopts.types import NonNegativeInt, PositiveInt

from .data_options import LabelOptions, Labels, load_splits
from .options import FolderPath, OutFolder, Quiet, Size

SPLITS = ("train", "val")


def run(
    folder: FolderPath, /, *, out: OutFolder, labels: Labels = LabelOptions(), size: Size = (96, 128),
    whole: bool = False, per_picture: PositiveInt = 4, seed: NonNegativeInt = 0,
    quiet: Quiet = False,
) -> int:  # fmt: skip
    """Make a small data set from a large one, with random crops or with whole pictures scaled down.

    Args:
        folder: A folder with pictures and label maps. Check it first with `tinysegnet data check DIR`.
        out: A new folder for the result, in the layout of the SegNet tutorial's CamVid, with a classes.txt.
        size: Height and width of the new pictures.
        whole: Scale whole pictures down instead of cropping them. This keeps the shares of the classes.
        per_picture: The number of crops per picture.
        seed: The seed of the crops' positions.
    """
    from ..data import make_crops
    from ..runtime.progress import track

    splits = dict(zip(SPLITS, load_splits(str(folder), SPLITS, labels=labels), strict=True))
    counts = make_crops(splits, size, out, crops_per_picture=per_picture, whole=whole, seed=seed,
                        progress=track("writing pictures"))  # fmt: skip
    print(f"{out}: " + ", ".join(f"{count} {split}" for split, count in counts.items()))
    return 0
