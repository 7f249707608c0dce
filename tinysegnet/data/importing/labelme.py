"""Annotations of labelme: one JSON file per picture. Masks are drawn exactly as by labelme's own converter."""

import base64
import io
import os
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from ...errors import DataError
from ..pairs import inside
from .plain_folder import Drawing, find_picture, read_points

_FEWEST_POINTS = {"polygon": 3, "oriented_rectangle": 3, "rectangle": 2, "circle": 2, "mask": 2}


def read_labelme(path: Path, record: dict[str, Any], root: Path, split: str, dropped: Counter[str]) -> Drawing:
    """Return the shapes in a JSON file of labelme, and count those without an area in `dropped`.

    Raises DataError if the picture is missing, and errors of all kinds if the annotations are damaged.
    """
    listed, embedded = record["imagePath"], record.get("imageData")
    direct = path.parent / listed.replace("\\", "/")
    as_listed = os.path.isfile(direct) and inside(direct, root)
    picture = direct if as_listed else find_picture(listed, [path.parent], root)
    if picture is None and not embedded:
        raise DataError(f"{path}: there is no picture {listed!r} in {root}. Put it beside the JSON file.")
    shapes = []
    for shape in record["shapes"]:
        kind, points = shape.get("shape_type") or "polygon", read_points(shape["points"])
        if kind not in _FEWEST_POINTS:
            dropped[f"shapes without an area ({kind})"] += 1
        elif len(points) < _FEWEST_POINTS[kind]:
            dropped[f"shapes with too few points ({kind})"] += 1
        else:
            draw = partial(_paste, points, shape["mask"]) if kind == "mask" else partial(_draw, kind, points)
            shapes.append((" ".join(shape["label"].splitlines()).strip(), draw))
    size = record.get("imageHeight"), record.get("imageWidth")
    return Drawing(str(path), split, picture or direct, None if picture else embedded, size, shapes)


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
    return np.asarray(canvas) > 0


def _paste(points: np.ndarray, encoded: str, height: int, width: int) -> np.ndarray:
    """Return the mask of a box, which is stored as a PNG file in base64."""
    (left, top), (right, bottom) = points[:2].astype(int).tolist()
    try:
        with Image.open(io.BytesIO(base64.b64decode(encoded)), formats=["PNG"]) as image:
            if image.size != (right - left + 1, bottom - top + 1) or image.width > width or image.height > height:
                raise ValueError("another size than its box, or larger than the picture")
            inner = Image.fromarray(np.asarray(image) > 0)
    except Exception as error:  # for damaged bytes, Pillow raises OSError, SyntaxError, zlib.error, ...
        raise ValueError(f"a mask cannot be read: {error}") from error
    canvas = Image.new("1", (width, height))
    canvas.paste(inner, (left, top))
    return np.asarray(canvas)
