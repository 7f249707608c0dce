"""Annotations in COCO's format for instances, as CVAT, Label Studio and Roboflow export them."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from .plain_folder import Drawing, Imported, find_picture, read_points

Categories = dict[int, tuple[str, str]]  # id -> name, and name of the group


def read_coco(
    path: Path, record: dict[str, Any], root: Path, split: str, categories: Categories, imported: Imported
) -> list[Drawing]:
    """Return the pictures in a COCO file. Counts in `imported` what is dropped, and adds the file's `categories`.

    Raises DataError if a category contradicts another file, and errors of all kinds if the annotations are damaged.
    """
    known = dict(categories)
    for category in record["categories"]:
        number, name = int(category["id"]), " ".join(category["name"].splitlines()).strip()
        for other, (other_name, _) in known.items():
            if (other == number) != (other_name == name):
                raise DataError(f"{path}: category {number} is {name!r}, but {other} is {other_name!r}. Rename one.")
        known[number] = name, str(category.get("supercategory"))
    by_image: dict[Any, list[Any]] = {image["id"]: [] for image in record["images"]}
    if len(by_image) < len(record["images"]):
        raise DataError(f"{path}: two images have the same id. Export the file again.")
    for annotation in record["annotations"]:
        if annotation["image_id"] in by_image:
            by_image[annotation["image_id"]].append(annotation)
        else:
            imported.dropped["annotations of pictures that are not listed"] += 1
    named = path.stem.removeprefix("instances_")
    own = [folder / name for name in (named, split) for folder in (root / "images", root)]
    folders = [path.parent / "images", path.parent, *own, root / "images", root]  # where pictures may be
    drawings = []
    for image in record["images"]:
        where = f"{path}: {image['file_name']}"
        with imported.attempt(where):
            picture = find_picture(image["file_name"], folders, root)
            if picture is None:
                raise DataError(f"{where}: there is no such picture in {root}. Add it, or export with pictures.")
            shapes = []
            for annotation in by_image[image["id"]]:
                shape = annotation.get("segmentation")
                imported.dropped["annotations without an outline (boxes only)"] += not shape
                if isinstance(shape, list):
                    polygons = [read_points(polygon) for polygon in shape]
                    shape = [points for points in polygons if len(points) > 2]
                    imported.dropped["polygons with fewer than three points"] += len(polygons) - len(shape)
                if shape:
                    shapes.append((known[annotation["category_id"]][0], partial(_draw, shape)))
            size = image.get("height"), image.get("width")
            drawings.append(Drawing(where, split, picture, None, size, shapes))
    categories |= known
    return drawings


def _draw(shape: Any, height: int, width: int) -> np.ndarray:
    if isinstance(shape, dict):
        if shape["size"] != [height, width]:
            raise ValueError(f"a mask does not have {width} x {height} pixels")
        return decode_runs(shape["counts"], height, width)
    mask = np.zeros((height, width), bool)
    for points in shape:
        fill_polygon(mask, points)
    return mask


def fill_polygon(mask: np.ndarray, points: np.ndarray) -> None:
    """Set the pixels of a mask (H, W) bool whose centres are inside a polygon, by the even-odd rule.

    Coordinates start at the upper left corner of the first pixel, so the centre of pixel (row, column) is at
    x = column + 0.5 and y = row + 0.5. In each column that an edge crosses, it toggles all pixels below it.

    Args:
        points: (n, 2) float64, x and y of the corners.
    """
    height, width = mask.shape
    corners = points - 0.5  # now the centres of the pixels have whole numbers
    left, top = np.clip(np.ceil(corners.min(0)), 0, [width, height]).astype(int)
    right, bottom = np.clip(np.ceil(corners.max(0)), 0, [width, height]).astype(int)
    toggles = np.zeros((bottom - top + 1, right - left), bool)
    for start, end in zip(corners.tolist(), np.roll(corners, -1, axis=0).tolist(), strict=True):
        (x0, y0), (x1, y1) = sorted((start, end))
        columns = np.arange(max(left, np.ceil(x0)), min(right, np.ceil(x1)), dtype=int)
        if len(columns):
            rows = np.ceil(y0 + (columns - x0) * ((y1 - y0) / (x1 - x0))) - top
            toggles[rows.clip(0, bottom - top).astype(int), columns - left] ^= True
    mask[top:bottom, left:right] |= np.logical_xor.accumulate(toggles, axis=0)[:-1]


def decode_runs(counts: str | list[int], height: int, width: int) -> np.ndarray:
    """Return the mask (H, W) bool of run lengths, which go down the columns and start with the pixels outside.

    Args:
        counts: the lengths as a list, or as COCO's compressed text.

    Raises:
        ValueError: a length is negative, or the sum is not H * W.
    """
    runs = _decompress(counts) if isinstance(counts, str) else counts
    if min(runs) < 0 or sum(runs) != height * width:
        raise ValueError(f"the run lengths of a mask do not add up to {width} x {height} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _decompress(text: str) -> list[int]:
    """Return the run lengths of COCO's compressed text. Damaged text gives wrong lengths.

    A letter holds five bits of a number, lowest bits first, and one bit that says whether more follow. From the fourth
    run on, the number is the difference from the length two runs before.
    """
    runs: list[int] = []
    value = shift = 0
    for code in text.encode("ascii"):
        bits = code - 48
        value |= (bits & 31) << min(shift, 60)
        shift += 5
        if not bits & 32:
            value -= (bits & 16) << (min(shift, 60) - 4)  # the highest bit of the last five is the sign
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs
