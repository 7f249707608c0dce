"""Small annotations of labelme and COCO, written to disk, for the tests of imports."""

import base64
import io
import json

import numpy as np
from PIL import Image

from tinysegnet.data import Folder

H, W = 20, 30  # of every picture

# labelme's own masks of these shapes are stored in tests/golden/import/labelme_masks.npz.
SHAPES = {
    "polygon": ("polygon", [[2.4, 1.5], [20.7, 3.2], [14.5, 17.8], [5.1, 12.6]]),
    "polygon that crosses itself": ("polygon", [[2, 2], [25, 15], [25, 2], [2, 15]]),
    "polygon over the edge": ("polygon", [[-6.5, 8.2], [12.3, -4.1], [40.2, 11.7], [11.5, 33.3]]),
    "polygon on whole numbers": ("polygon", [[5, 5], [15, 5], [15, 10], [5, 10]]),
    "thin polygon": ("polygon", [[1.2, 1.2], [27.9, 17.3], [28.1, 17.2]]),
    "rectangle": ("rectangle", [[3.6, 2.2], [17.5, 11.8]]),
    "rectangle from below": ("rectangle", [[25.5, 18.1], [4.5, 6.5]]),
    "circle": ("circle", [[12.5, 9.3], [16.2, 12.9]]),
    "circle over the edge": ("circle", [[1.2, 1.7], [9.4, 3.6]]),
    "oriented rectangle": ("oriented_rectangle", [[10, 2], [22.5, 8.4], [19.1, 15.2], [6.6, 8.8]]),
}


def photo(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (H, W, 3)).astype(np.uint8)


def encoded(array):
    """Return an array as a PNG file in base64, as labelme stores masks and pictures."""
    content = io.BytesIO()
    Image.fromarray(array).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


def shape(label, kind, points, **fields):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, "flags": {}, **fields}


def box(label, left, top, right, bottom):
    """Return a polygon that covers the pixels from (left, top) to (right, bottom), both included."""
    return shape(label, "polygon", [[left, top], [right, top], [right, bottom], [left, bottom]])


def labelme(folder, name, shapes, *, picture=True, **fields):
    """Write a JSON file of labelme and, beside it, its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    if picture:
        Image.fromarray(photo()).save(folder / f"{name}.png")
    record = {"version": "6.3.1", "flags": {}, "shapes": shapes, "imagePath": f"{name}.png", "imageData": None,
              "imageHeight": H, "imageWidth": W, **fields}  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(record))


def square(left, top, right, bottom):
    """Return COCO's polygon of the pixels from (left, top) to (right, bottom), both included."""
    return [left, top, right + 1, top, right + 1, bottom + 1, left, bottom + 1]


def coco(path, pictures, *, categories=((1, "apple"), (2, "pear")), **fields):
    """Write a COCO file. `pictures` maps file names to lists of (category id, segmentation)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"id": n, "file_name": name, "height": H, "width": W} for n, name in enumerate(pictures, start=7)]
    annotations = [{"id": 1, "image_id": n, "category_id": category, "segmentation": outline, "iscrowd": 0}
                   for n, drawn in enumerate(pictures.values(), start=7) for category, outline in drawn]  # fmt: skip
    listed = [{"id": number, "name": name, "supercategory": "fruit"} for number, name in categories]
    record = {"images": images, "annotations": annotations, "categories": listed, **fields}
    path.write_text(json.dumps(record))
    return record


def photos(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(photo()).save(folder / name)


def read_back(out, split="train"):
    """Check all files of a split, and return its label maps by the names of the pictures."""
    folder = Folder(out, split)
    assert folder.problems() == []
    return folder.palette.names, {sample.name: sample.labels for sample in folder}


def all_labels(out):
    """Return the label maps of an import without splits, which `Folder` divides into train and val."""
    found = {}
    for split in Folder(out, "train").layout.splits:
        if Folder(out, "train").layout.splits[split]:
            names, labels = read_back(out, split)
            found |= labels
    return names, found
