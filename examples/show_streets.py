"""Draw the streets at the top of the README with the bundled network: python examples/show_streets.py [FOLDER]

The script writes toy_streets.png with two streets, and toy_streets_narrow.png with one street for phones. Captions are
inside the panels, and gaps are transparent, so that the pictures suit light and dark pages.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

import tinysegnet as ts
from tinysegnet.data import CAMVID, open_dataset
from tinysegnet.viz.canvas import load_font
from tinysegnet.viz.panels import compared_panels, pixel_accuracy

STREETS = 66, 68
PANEL, GAP = (400, 300), 12


def panels(sample, model):
    """Return the panels of a street with their captions: picture, ground truth, prediction and errors."""
    prediction = ts.predict(model, sample.image)
    accuracy = pixel_accuracy(sample.labels, prediction, CAMVID)
    captions = "picture", "ground truth", "prediction", f"errors: {1 - accuracy:.0%} of pixels"
    drawn = compared_panels((sample.image, sample.labels, prediction, sample.name), CAMVID, *PANEL)
    return [captioned(picture, text) for picture, text in zip(drawn, captions, strict=True)]


def captioned(picture, text):
    font, place = load_font(22), (12, picture.height - 12)
    draw = ImageDraw.Draw(picture)
    left, top, right, bottom = draw.textbbox(place, text, font=font, anchor="ls")
    draw.rounded_rectangle((left - 6, top - 6, right + 6, bottom + 6), 4, fill=(20, 20, 24))
    draw.text(place, text, "white", font=font, anchor="ls")
    return picture


def grid(tiles, columns):
    """Arrange the tiles in rows with transparent gaps."""
    W, H = tiles[0].size
    rows = -(-len(tiles) // columns)
    canvas = Image.new("RGBA", (columns * (W + GAP) - GAP, rows * (H + GAP) - GAP))
    for i, tile in enumerate(tiles):
        canvas.paste(tile, (i % columns * (W + GAP), i // columns * (H + GAP)))
    return canvas


folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
streets, toy = open_dataset("toy", "val"), ts.load_bundled("toy")
rows = [panels(streets[number], toy) for number in STREETS]
grid([tile for row in rows for tile in row], 4).save(folder / "toy_streets.png", optimize=True)
grid(rows[0], 2).save(folder / "toy_streets_narrow.png", optimize=True)
