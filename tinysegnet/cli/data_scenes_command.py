"""tinysegnet data scenes."""

from cyclopts.types import NonNegativeInt, PositiveInt

from .options import OutFolder, Quiet, Size


def run(
    *, out: OutFolder, count: PositiveInt = 10, seed: NonNegativeInt = 0, size: Size = (96, 128), quiet: Quiet = False
) -> int:
    """Draw toy street scenes and their labels, a data set to look at, to segment and to train on.

    Args:
        out: A new folder for images/, labels/, overlays/ and classes.txt.
        count: The number of scenes.
        seed: The seed of the random scenes.
        size: Height and width of the pictures.
    """
    from PIL import Image

    from .. import viz
    from ..data import CAMVID
    from ..data.crops import write_classes
    from ..data.new_folder import new_folder
    from ..data.toyscenes import ToyScenes
    from ..runtime.progress import track

    scenes = ToyScenes(count, seed=seed, size=size)
    with new_folder(out) as part:
        write_classes(part / "classes.txt", CAMVID)
        for folder in ("images", "labels", "overlays"):
            (part / folder).mkdir()
        for index in track("drawing scenes")(range(count)):
            sample = scenes[index]
            overlay = viz.labelled_picture(sample.image, sample.labels, CAMVID)
            pictures = {"images": Image.fromarray(sample.image), "labels": Image.fromarray(sample.labels)}
            for folder, picture in {**pictures, "overlays": overlay}.items():
                (part / folder / f"{sample.name}.png").write_bytes(viz.picture_bytes(picture))
    print(out)
    return 0
