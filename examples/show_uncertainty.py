"""Draw a toy street, the errors of a Bayesian network's prediction, and the network's uncertainty.

python examples/show_uncertainty.py CHECKPOINT [--number 3] [--samples 50] [--out uncertainty.png]
"""

import argparse
import time

from PIL import Image

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet.data import CAMVID, open_dataset
from tinysegnet.weights import open_checkpoint

SCALE, GAP = 4, 8

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint", help="a checkpoint of a bayesian-... network, written by `tinysegnet train`")
parser.add_argument("--number", type=int, default=3, help="number of the street")
parser.add_argument("--samples", type=int, default=50)
parser.add_argument("--out", default="uncertainty.png")
arguments = parser.parse_args()

trained, street = open_checkpoint(arguments.checkpoint), open_dataset("toy", "val")[arguments.number]
times = {}
for samples in (None, None, arguments.samples):  # the first pass may compile
    began = time.perf_counter()
    if samples is None:
        ts.predict(trained.model, street.image, size=trained.size)
    else:
        labels, uncertainty = ts.predict_with_uncertainty(
            trained.model, street.image, samples=samples, size=trained.size
        )
    times[samples] = time.perf_counter() - began
image, truth, labels = (a.repeat(SCALE, 0).repeat(SCALE, 1) for a in (street.image, street.labels, labels))
errors = viz.error_picture(image, truth, labels, CAMVID)
panels = [
    Image.fromarray(image),
    Image.fromarray(errors),
    viz.uncertainty_picture(uncertainty, narrowest=image.shape[1]),
]
width = image.shape[1] + GAP
canvas = Image.new("RGB", (3 * width - GAP, panels[2].height), "white")
for i, panel in enumerate(panels):
    canvas.paste(panel, (i * width, 0))
canvas.save(arguments.out)
print(f"{arguments.out}: {arguments.samples} samples {times[arguments.samples]:.3f} s, one pass {times[None]:.3f} s")
