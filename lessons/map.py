"""Draw map.png, the overview in lessons/README.md: `python lessons/map.py` takes a few minutes.

The script runs each solved lesson up to its cell with `tags=["map"]`, whose figure becomes the lesson's tile.
"""

from __future__ import annotations

import base64
import io
import tempfile
from pathlib import Path

from nbclient import NotebookClient
from PIL import Image, ImageDraw

from build import FOLDER, SOURCES, copy_data, number, read, solved
from tinysegnet.viz.canvas import load_font
from tinysegnet.viz.figures import LIGHT

LESSONS = [source for source in SOURCES if len(number(source)) == 2]  # without appendices
COLUMNS, TILE, TITLE, GAP = 3, (600, 300), 52, 20


def drawing(source: Path) -> Image.Image:
    """Run a lesson up to its tagged cell and return that cell's figure."""
    notebook = read(source)
    marked = [number for number, cell in enumerate(notebook.cells) if "map" in cell.metadata.get("tags", ())]
    if len(marked) != 1:
        raise SystemExit(f'{source}: {len(marked)} cells have tags=["map"], but there must be exactly one')
    notebook = solved(notebook)
    notebook.cells = notebook.cells[: marked[0] + 1]
    with tempfile.TemporaryDirectory() as folder:
        copy_data(Path(folder))
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
    pictures = [
        output.data["image/png"] for output in notebook.cells[-1].outputs if "image/png" in output.get("data", {})
    ]
    return Image.open(io.BytesIO(base64.b64decode(pictures[-1]))).convert("RGB")


def title(source: Path) -> str:
    """Return the first line of a lesson's prose, such as "05 Max-pooling and unpooling"."""
    return read(source).cells[0].source.splitlines()[0].lstrip("# ")


def tile(source: Path) -> Image.Image:
    W, H = TILE
    canvas = Image.new("RGB", (W, TITLE + H), LIGHT.paper)
    picture = drawing(source)
    picture.thumbnail((W - GAP, H - GAP), Image.Resampling.LANCZOS)
    canvas.paste(picture, ((W - picture.width) // 2, TITLE + (H - picture.height) // 2))
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, TITLE, W - 1, TITLE + H - 1), outline=LIGHT.grid)
    draw.text((0, TITLE - 14), title(source), LIGHT.ink, font=load_font(26), anchor="ls")
    return canvas


def main() -> None:
    rows = -(-len(LESSONS) // COLUMNS)
    W, step = TILE[0], TITLE + TILE[1] + GAP
    canvas = Image.new("RGB", (COLUMNS * (W + GAP) + GAP, rows * step + GAP), LIGHT.paper)
    for place, source in enumerate(LESSONS):
        canvas.paste(tile(source), (GAP + place % COLUMNS * (W + GAP), place // COLUMNS * step + GAP // 2))
        print(source.stem, flush=True)
    canvas.quantize(256).save(FOLDER / "map.png", optimize=True)


if __name__ == "__main__":
    main()
