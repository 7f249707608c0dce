"""Annotations in COCO's instance format, which CVAT, Label Studio and Roboflow export."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from .plain_folder import Drawing, Imported, find_picture


def read_coco(path: Path, record: dict[str, Any], root: Path, split: str, imported: Imported) -> list[Drawing]:
    """Return the pictures in a COCO file. Adds its categories and the counts of dropped annotations to `imported`.

    Raises DataError if a category contradicts another file, and other errors if the annotations are damaged.
    """
    known = dict(imported.categories)
    for category in record["categories"]:
        number, name = int(category["id"]), " ".join(category["name"].split())
        for other, (old, _, file) in known.items():
            if (other == number) != (old == name):
                raise DataError(f"{path}: category {number} is {name!r}, but {other} is {old!r} in {file}. Rename one.")
        known[number] = name, str(category.get("supercategory")), path
    by_image: dict[Any, list[Any]] = {_id(image["id"]): [] for image in record["images"]}
    if len(by_image) < len(record["images"]):
        raise DataError(f"{path}: two images have the same id. Export the file again.")
    unlisted: list[Any] = []
    for annotation in record["annotations"]:
        if "segments_info" in annotation:
            raise DataError(f"{path}: the annotations are panoptic ('segments_info'). Export COCO's instance format.")
        by_image.get(_id(annotation["image_id"]), unlisted).append(annotation)
    named = path.stem.removeprefix("instances_")
    own = [folder / name for name in (named, split) for folder in (root / "images", root)]
    folders = [path.parent / "images", path.parent, *own, root / "images", root]  # where the pictures may be
    drawings = []
    places = [f"{path}: {image['file_name']} (id {image['id']})" for image in record["images"]]
    # from here on, no error refuses the whole file
    imported.dropped["annotations of pictures that are not listed"] += len(unlisted)
    for where, image in zip(places, record["images"], strict=True):
        with imported.attempt(where):
            picture = find_picture(image["file_name"], folders, root)
            if picture is None:
                raise DataError(f"{where}: there is no such picture in {root}. Add it, or export pictures too.")
            shapes = []
            for annotation in by_image[_id(image["id"])]:
                number, shape = _id(annotation["category_id"]), annotation.get("segmentation")
                if number not in known:
                    raise DataError(f"{where}: category_id {number} is not in categories. Export the file again.")
                imported.annotated.add(known[number][0])
                imported.dropped["annotations without an outline (boxes only), which become background"] += not shape
                if isinstance(shape, list):
                    if len(shape) > 2 and all(np.size(part) < 3 for part in shape):
                        raise DataError(f"{where}: segmentation must be a list of lists [[x, y, ...]]. Correct it.")
                    polygons = [imported.read_points(polygon) for polygon in shape]
                    shape = [points for points in polygons if len(points) > 2]
                    imported.dropped["polygons with fewer than three points"] += len(polygons) - len(shape)
                if shape:
                    shapes.append((known[number][0], partial(_draw, shape)))
            drawings.append(Drawing(where, split, picture, (image.get("height"), image.get("width")), shapes))
    imported.categories = known
    return drawings


def _id(value: Any) -> Any:
    """Return an id, converted to a number if it is a text such as "7"."""
    return int(value) if str(value).isdecimal() else value


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
    x = column + 0.5 and y = row + 0.5. In each column that an edge crosses, the edge toggles all pixels below it.

    Args:
        points: (n, 2) float64, x and y of the corners.
    """
    height, width = mask.shape
    corners = points - 0.5  # now the centres of the pixels have integer coordinates
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
    """Decode run lengths to a mask (H, W) bool. The runs go down the columns, and the first is outside the mask.

    Args:
        counts: the run lengths as a list, or as COCO's compressed text.

    Raises:
        ValueError: a length is negative, or the lengths do not add up to H * W.
    """
    runs = _decompress(counts) if isinstance(counts, str) else counts
    if min(runs) < 0 or sum(runs) != height * width:
        raise ValueError(f"the run lengths of a mask do not add up to {width} x {height} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _decompress(text: str) -> list[int]:
    """Return the run lengths of COCO's compressed text. Damaged text yields wrong lengths.

    Each letter encodes five bits of a number, the lowest bits first, and one bit that says whether more letters follow.
    From the fourth run on, the number is the difference from the length of the run two places before.
    """
    runs: list[int] = []
    for letters in re.findall("[P-o]{0,12}[0-O]", text):
        bits = [ord(letter) - 48 for letter in letters]
        value = sum((five & 31) << (5 * place) for place, five in enumerate(bits))
        value -= (bits[-1] & 16) << (5 * len(bits) - 4)  # the highest bit of the last five is the sign
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
    return runs
