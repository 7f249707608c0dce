"""Print a table that compares tiles with whole pictures, for each network: python tests/prediction/tiles_table.py

Networks have a quarter of their channels, random weights and statistics away from 0 and 1. Pictures are random pixels,
mirrored and averaged. "differs" is the largest difference of a logit divided by the largest logit.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from small_networks import noise, shaken

import tinysegnet as ts
from tinysegnet.prediction.tiles import alignment, cuts, halo, picture_logits


def row(name):
    model = shaken(ts.build(name, 11, width=1 / 4, seed=1))
    step = alignment(model)
    halos = [halo(model, length) for length in range(0, step, model.size_multiple)]
    size = model.fitting_size((2 * max(halos) + 5 * step + 5, 101))
    tile = 2 * max(halos) + 2 * step
    whole = picture_logits(model, noise(*size), mirror=True)
    tiles = picture_logits(model, noise(*size), mirror=True, tile=tile)
    error = np.abs(tiles - whole).max() / np.abs(whole).max()
    labels = int((tiles.argmax(-1) != whole.argmax(-1)).sum())
    margins = " to ".join(map(str, sorted({min(halos), max(halos)})))
    return [
        name, step // 4, margins, f"{size[0]} x {size[1]}", len(cuts(model, size[0], tile)),
        f"{(tiles == whole).mean():.1%}", f"{error:.1e}", f"{labels} of {whole[..., 0].size}",
    ]  # fmt: skip


if __name__ == "__main__":
    print("| network | stride | halo | picture | tiles | equal bits | differs | labels that differ |")
    print("|---|---|---|---|---|---|---|---|")
    for each in sys.argv[1:] or ts.models:
        print("|", " | ".join(map(str, row(each))), "|", flush=True)
