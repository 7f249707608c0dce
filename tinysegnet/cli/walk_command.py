"""tinysegnet walk."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SettingError, TinySegNetError
from .data_options import LabelOptions, PaletteChoice
from .options import CheckpointPath, FilePath, Size
from .prediction_options import UnfamiliarPictures

if TYPE_CHECKING:
    import numpy as np

    from ..weights.checkpoint import Checkpoint


def run(
    checkpoint: CheckpointPath, image: Path, /, *, out: FilePath, labels: FilePath | None = None,
    size: Size | None = None, palette: PaletteChoice = "own",
) -> int:  # fmt: skip
    """Write an HTML page that follows a picture through every layer of a network, forward and backward.

    Each step shows its formula, its input and output arrays, and its source. Click a pixel to see the sum of products
    that gives its value, and the pixels that its gradient reaches. The page works offline and on a phone.

    Args:
        image: A picture in a format that `predict` reads.
        out: The page, such as walk.html. Only an older walk is overwritten.
        labels: The picture's label map. If it belongs to a data set with the network's classes, it is read as in
            training. Otherwise, it contains the numbers or colours of the classes, and 255 for void. Without it, the
            walk ends with the prediction, because there is no loss.
        size: Height and width whose area the network's input has. Default: the size of its training pictures.
    """
    from ..data import read_image
    from ..data.folders import check_sizes
    from ..data.image_files import MAX_PIXELS_SINGLE
    from ..walk import is_walk, walk
    from ..weights.checkpoint import open_checkpoint

    if out.suffix.lower() not in (".html", ".htm"):
        raise SettingError(f"{out}: the output file must end in .html. Give another --out, such as walk.html")
    if out.exists() and not is_walk(out):
        raise SettingError(f"{out}: this file exists already and is not a walk. Choose another --out, or remove it")
    loaded = open_checkpoint(checkpoint)
    picture = read_image(image, max_pixels=MAX_PIXELS_SINGLE)
    unfamiliar = UnfamiliarPictures(loaded)
    unfamiliar.add(str(image), picture)
    unfamiliar.warn()
    label_map = None
    if labels is not None:
        label_map = _read_labels(labels, image, loaded)
        check_sizes(image, picture, labels, label_map)
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


def _read_labels(path: Path, image: Path, loaded: Checkpoint) -> np.ndarray:
    """Read a label map (H, W) as in training if it and its picture belong to a data set with the network's classes.

    Otherwise, its values are the network's class numbers or colours, and 255 is void or, in a mask, class 1.
    """
    import numpy as np

    from ..data import Folder
    from ..data.label_encoding import VOID, LabelEncoding
    from ..data.label_files import read_label_pixels
    from ..data.layouts import find_layout

    pixels, palette, options = read_label_pixels(path), loaded.palette, LabelOptions.of(loaded.training)
    place, beside = Path(os.path.abspath(path)), Path(os.path.abspath(image))
    # In a data set, both names begin with the same character. The nearest common folder may be the folder of a split.
    roots = [root for root in place.parents if root in beside.parents][: 1 if place.parent == beside.parent else 2]
    for root in roots if place.name[0] == beside.name[0] else []:
        try:
            folders = [Folder(root, split, ignore=options.ignore, classes=options.classes)
                       for split in find_layout(root).splits]  # fmt: skip
            sets = [(folder.pairs, options.select(folder)) for folder in folders]
        except TinySegNetError:  # the folder is not a data set, or has other classes
            continue
        for pairs, data in sets:
            if (data.palette.names, data.palette.ignore_label) == (palette.names, palette.ignore_label):
                for index in (k for k, pair in enumerate(pairs) if pair.labels == place and pair.image.is_file()):
                    return data[index].labels
    encoding = LabelEncoding.plain(palette)
    if palette.num_classes == 2 and set(np.unique(pixels.values).tolist()) == {0, VOID}:
        encoding.table[VOID] = 1
    elif palette.ignore_label is not None and encoding.table[VOID] < 0:
        encoding.table[VOID] = palette.ignore_label
    return encoding.decode(pixels, path)
