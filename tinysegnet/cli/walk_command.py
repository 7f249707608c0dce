"""tinysegnet walk."""

import sys
from pathlib import Path

from ..errors import DataError, SettingError
from .options import CheckpointPath, FilePath, Size, check_order


def run(
    checkpoint: CheckpointPath, image: Path, /, *, out: FilePath, labels: FilePath | None = None,
    size: Size | None = None,
) -> int:  # fmt: skip
    """Write one HTML page that walks a picture through every layer of a network: forward, loss and backward.

    Each step shows its formula, its input and output arrays, and its source. Click a pixel to see the sum that made
    its value, product by product, and where its gradient goes. The page works offline and fits a phone.

    Args:
        image: A picture: PNG or JPEG.
        out: The page, such as walk.html. An older walk is replaced; any other file is kept.
        labels: The picture's label map, a PNG with the numbers or colours of the network's classes. Without it there is
            no loss, and the walk ends with the prediction.
        size: The network works at the area of this height and width. Default: the size of its training pictures.
    """
    from ..data import read_image, read_labels
    from ..data.image_files import MAX_PIXELS_SINGLE
    from ..walk import walk
    from ..weights.bundled import open_checkpoint

    check_order("walk", checkpoint, [image])
    _check_page(out)
    loaded = open_checkpoint(checkpoint)
    picture = read_image(image, upright=True, max_pixels=MAX_PIXELS_SINGLE)
    label_map = None if labels is None else read_labels(labels, loaded.palette)
    if label_map is not None and label_map.shape != picture.shape[:2]:
        (H, W), (h, w) = picture.shape[:2], label_map.shape
        raise DataError(f"{labels} has {w} x {h} pixels, but {image} has {W} x {H}. Give the label map of this picture")
    how = loaded.prediction if size is None else {**loaded.prediction, "size": size}
    page = walk(
        loaded.model, picture, label_map, palette=loaded.palette, **how, trained_weights=loaded.class_weights,
        title=f"{image.name} in {loaded.model.config['name']}",
    )  # fmt: skip
    if loaded.prediction["mirror"] or loaded.prediction["scales"] != (1.0,):
        print("predict averages mirror images and scales, as in training; a walk shows one pass", file=sys.stderr)
    out.parent.mkdir(parents=True, exist_ok=True)
    page.save(out)
    print(f"{out}  {page.size / 1e6:.1f} MB")
    return 0


def _check_page(path: Path) -> None:
    """Raise SettingError unless the page may be written here: only an older walk is overwritten."""
    from ..walk import is_walk

    if path.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"{path}: the output file must end in .html. Give another --out, such as walk.html")
    if path.exists() and not is_walk(path):
        raise SettingError(f"{path}: exists already and is not a walk. Choose another --out, or remove it")
