"""tinysegnet walk."""

import sys
from pathlib import Path

from ..errors import DataError, SettingError
from .data_options import PaletteChoice
from .options import CheckpointPath, FilePath, Size


def run(
    checkpoint: CheckpointPath, image: Path, /, *, out: FilePath, labels: FilePath | None = None,
    size: Size | None = None, palette: PaletteChoice = "own",
) -> int:  # fmt: skip
    """Write an HTML page that follows a picture through every layer of a network, forward and backward.

    Each step shows its formula, its input and output arrays, and its source. Click a pixel to see the sum of products
    that gives its value, and the pixels that its gradient reaches. The page works offline and on a phone.

    Args:
        image: A PNG or JPEG picture.
        out: The page, such as walk.html. Only an older walk is overwritten.
        labels: The picture's label map, a PNG with the numbers or colours of the classes. Without it, the walk ends
            with the prediction, because there is no loss.
        size: Height and width whose area the network's input has. Default: the size of its training pictures.
    """
    from ..data import read_image, read_labels
    from ..data.image_files import MAX_PIXELS_SINGLE
    from ..walk import walk
    from ..weights.bundled import open_checkpoint

    _check_page(out)
    loaded = open_checkpoint(checkpoint)
    picture = read_image(image, upright=True, max_pixels=MAX_PIXELS_SINGLE)
    label_map = None if labels is None else read_labels(labels, loaded.palette)
    if label_map is not None and label_map.shape != picture.shape[:2]:
        (H, W), (h, w) = picture.shape[:2], label_map.shape
        raise DataError(f"{labels} has {w} x {h} pixels, but {image} has {W} x {H}. Give the label map of this picture")
    how = loaded.prediction if size is None else {**loaded.prediction, "size": size}
    page = walk(
        loaded.model, picture, label_map, palette=loaded.palette.with_colors(palette), **how,
        trained_weights=loaded.class_weights, title=f"{image.name} in {loaded.model.config['name']}",
    )  # fmt: skip
    if loaded.prediction["mirror"] or loaded.prediction["scales"] != (1.0,):
        print("this network's predictions average mirror images or scales, but a walk shows one pass", file=sys.stderr)
    out.parent.mkdir(parents=True, exist_ok=True)
    page.save(out)
    print(f"{out}  {page.size / 1e6:.1f} MB")
    return 0


def _check_page(path: Path) -> None:
    """Raise SettingError if the page would overwrite a file that is not a walk, or does not end in .html."""
    from ..walk import is_walk

    if path.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"{path}: the output file must end in .html. Give another --out, such as walk.html")
    if path.exists() and not is_walk(path):
        raise SettingError(f"{path}: exists already and is not a walk. Choose another --out, or remove it")
