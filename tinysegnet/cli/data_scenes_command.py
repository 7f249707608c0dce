"""tinysegnet data scenes."""

from pathlib import Path

from cyclopts.types import NonNegativeInt, PositiveInt

from ..files import write_atomically
from .options import OutFolder, Quiet, Size


def run(
    *, out: OutFolder, count: PositiveInt = 10, seed: NonNegativeInt = 0, size: Size = (96, 128), quiet: Quiet = False
) -> int:
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
    from ..runtime.progress import say, track

    scenes = ToyScenes(count, seed=seed, size=size)
    for folder in (out, *(out / name for name in ("images", "labels", "overlays"))):
        folder.mkdir(parents=True, exist_ok=True)
    write_classes(out / "classes.txt", CAMVID)
    done, paths = 0, list[Path]()  # the scenes that are complete, and the files of the next one
    try:
        for index in track("drawing scenes")(range(count)):
            sample = scenes[index]
            paths = [out / kind / f"{sample.name}.png" for kind in ("images", "labels", "overlays")]
            overlay = viz.labelled_picture(sample.image, sample.labels, CAMVID)
            pictures = Image.fromarray(sample.image), Image.fromarray(sample.labels), overlay
            for path, picture in zip(paths, pictures, strict=True):
                write_atomically(path, viz.picture_bytes(picture), durable=False)
            done, paths = done + 1, []
    except KeyboardInterrupt:
        for path in paths:  # an image without its labels would damage the data set
            path.unlink(missing_ok=True)
        say(f"{out} contains {done} of {count} scenes. The same command draws all of them again.")
        raise
    print(out)
    return 0
