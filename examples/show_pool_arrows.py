"""Draw the picture of max-pooling and unpooling in the README: python examples/show_pool_arrows.py [FOLDER]

The script writes pool_arrows.png and its variants for dark pages (_dark) and for phones (_narrow, _narrow_dark).
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from tinysegnet import viz
from tinysegnet.viz.figures import figure_bytes
from tinysegnet_lessons import figures

# In the variant for phones, unpooling is below pooling, and the table of positions is cut off. These numbers are
# fractions of the width and height.
POOLING, UNPOOLING, HEIGHT = (0.0, 0.447), (0.538, 0.985), 0.68


def narrow(picture):
    """Put the unpooling half of the picture below the pooling half."""
    W, H = picture.size
    halves = [picture.crop((int(left * W), 0, int(right * W), int(HEIGHT * H))) for left, right in (POOLING, UNPOOLING)]
    stacked = Image.new("RGB", (halves[0].width, 2 * halves[0].height))
    for i, half in enumerate(halves):
        stacked.paste(half, (0, i * half.height))
    return stacked


folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
x = np.array([[1.0, 6, 2, 0], [5, 3, 1, 4], [0, 2, 7, 8], [9, 1, 3, 5]])
for theme, suffix in ((viz.LIGHT, ""), (viz.DARK, "_dark")):
    figure = figures.show_pool_arrows(x, decoder_map=np.array([[10.0, 20], [30, 40]]), theme=theme)
    picture = Image.open(io.BytesIO(figure_bytes(figure))).convert("RGB")
    picture.save(folder / f"pool_arrows{suffix}.png", optimize=True)
    narrow(picture).save(folder / f"pool_arrows_narrow{suffix}.png", optimize=True)
