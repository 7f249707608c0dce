"""Annotations in COCO's format for instances, as CVAT, Label Studio and Roboflow export them."""

from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import DataError
from .drawings import Drawing, Imported, find_picture, read_points, refuse_damage
from .masks import decode_runs, fill_polygon


def class_names(records: dict[Path, Any], dropped: Counter[str]) -> list[str]:
    """Return the names of the classes in order of their ids, which must mean the same in all files.

    Roboflow lists the name of the whole group as an unused category 0. It is left out and counted.
    """
    found: dict[int, str] = {}
    groups, used = set[Any](), set[Any]()
    for path, record in records.items():
        with refuse_damage(path):
            for category in record["categories"]:
                name = category["name"].strip()
                if found.setdefault(int(category["id"]), name) != name or list(found.values()).count(name) > 1:
                    raise DataError(f"{path}: the category {name!r} has another name or another id, too. Rename it.")
                groups.add(category.get("supercategory"))
            used.update(annotation["category_id"] for annotation in record["annotations"])
    if 0 not in used and found.get(0) in groups:
        del found[0]
        dropped["unused category that names the group of the others"] += 1
    return [found[number] for number in sorted(found)]


def read_coco(
    path: Path, record: dict[str, Any], root: Path, split: str, drawings: list[Drawing], imported: Imported
) -> None:
    """Append the pictures of a file to `drawings`. Counts what is dropped, and raises errors if the file is damaged."""
    names = {category["id"]: category["name"].strip() for category in record["categories"]}
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
                    shapes.append((names[annotation["category_id"]], partial(_draw, shape)))
            size = image.get("height"), image.get("width")
            drawings.append(Drawing(where, split, picture, None, size, shapes))


def _draw(shape: Any, height: int, width: int) -> np.ndarray:
    if isinstance(shape, dict):
        if shape["size"] != [height, width]:
            raise ValueError(f"a mask does not have {width} x {height} pixels")
        return decode_runs(shape["counts"], height, width)
    mask = np.zeros((height, width), bool)
    for points in shape:
        fill_polygon(mask, points)
    return mask
