"""tinysegnet data scenes."""

from cyclopts.types import NonNegativeInt, PositiveInt

from .options import OutFolder, Size


def run(*, out: OutFolder, count: PositiveInt = 10, seed: NonNegativeInt = 0, size: Size = (96, 128)) -> int:
    """Draw toy street scenes and their labels, a data set to look at, to segment and to train on.

    Args:
        out: A folder for images/, labels/, overlays/ and classes.txt. It is created if it is missing.
        count: The number of scenes.
        seed: The seed of the random scenes.
        size: Height and width of the pictures.
    """
    from PIL import Image

    from .. import viz
    from ..data import CAMVID
    from ..data.crops import write_classes
    from ..data.toyscenes import ToyScenes

    scenes = ToyScenes(count, seed=seed, size=size)
    for folder in (out, *(out / name for name in ("images", "labels", "overlays"))):
        folder.mkdir(parents=True, exist_ok=True)
    write_classes(out / "classes.txt", CAMVID)
    for index in range(count):
        sample = scenes[index]
        name = f"{sample.name}.png"
        Image.fromarray(sample.image).save(out / "images" / name)
        Image.fromarray(sample.labels).save(out / "labels" / name)
        viz.labelled_picture(sample.image, sample.labels, CAMVID).save(out / "overlays" / name)
    print(out)
    return 0
