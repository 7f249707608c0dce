"""Annotations of labelme: one JSON file per picture. Masks are drawn exactly as in labelme's own converter."""

import base64
import io
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ...errors import DataError
from ..pairs import PICTURES, belong_together, inside
from .plain_folder import Drawing, Imported, find_picture

_FEWEST_POINTS = {"polygon": 3, "oriented_rectangle": 3, "rectangle": 2, "circle": 2, "mask": 2}


def read_labelme(path: Path, record: dict[str, Any], root: Path, split: str, imported: Imported) -> Drawing:
    """Return the shapes in a JSON file of labelme, and count those without an area in `imported`.

    Raises DataError if the picture is missing or ambiguous, and other errors if the annotations are damaged.
    """
    listed = record["imagePath"]
    direct = path.parent / listed.replace("\\", "/")
    picture = direct if os.path.isfile(direct) and inside(direct, root) else find_picture(listed, [path.parent], root)
    if picture is None:
        raise DataError(f"{path}: there is no picture {listed!r} in {root}. Put it beside the JSON file.")
    if not belong_together(picture, path):  # the JSON file may be a copy of another one
        suffixes = [*PICTURES, *map(str.upper, PICTURES)]
        own = [folder / (path.stem + suffix) for folder in (path.parent, picture.parent) for suffix in suffixes]
        for other in filter(os.path.isfile, own):
            raise DataError(f"{path}: imagePath is {listed!r}, but {other} exists too. Correct imagePath or the names.")
    shapes = []
    for shape in record["shapes"]:
        label, kind = " ".join(shape["label"].split()), shape.get("shape_type") or "polygon"
        points = imported.read_points(shape["points"])
        imported.annotated.add(label)
        if len(points) < _FEWEST_POINTS.get(kind, np.inf):
            imported.dropped[f"shapes without an area ({kind}), which become background"] += 1
        else:
            draw = partial(_paste, points, shape["mask"]) if kind == "mask" else partial(_draw, kind, points)
            shapes.append((label, draw))
    size = record.get("imageHeight"), record.get("imageWidth")
    return Drawing(str(path), split, picture, size, shapes)


def _draw(kind: str, points: np.ndarray, height: int, width: int) -> np.ndarray:
    canvas = Image.new("L", (width, height))
    draw = ImageDraw.Draw(canvas)
    if kind == "circle":
        (x, y), (edge_x, edge_y) = points[:2].tolist()
        radius = ((x - edge_x) ** 2 + (y - edge_y) ** 2) ** 0.5
        if radius > width + height:  # Pillow would need a minute for a radius of a million pixels
            raise ValueError("a circle is larger than the picture")
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=1, outline=1)
    elif kind == "rectangle":
        draw.rectangle([*points.min(0).tolist(), *points.max(0).tolist()], fill=1, outline=1)
    else:
        draw.polygon([tuple(point) for point in points.tolist()], fill=1, outline=1)
    return np.asarray(canvas) == 1


def _paste(points: np.ndarray, encoded: str, height: int, width: int) -> np.ndarray:
    """Return a mask (H, W) bool whose box is stored as a base64-encoded PNG file."""
    (left, top), (right, bottom) = points[:2].astype(int).tolist()
    try:
        with Image.open(io.BytesIO(base64.b64decode(encoded)), formats=["PNG"]) as image:
            if image.size != (right - left + 1, bottom - top + 1) or image.width > width or image.height > height:
                raise ValueError("its size differs from its box, or it is larger than the picture")
            inner = Image.fromarray(np.asarray(image) > 0)
    except Exception as error:  # for damaged bytes, Pillow raises OSError, SyntaxError, zlib.error, ...
        raise ValueError(f"a mask cannot be read: {error}") from error
    canvas = Image.new("1", (width, height))
    canvas.paste(inner, (left, top))
    return np.asarray(canvas)
