"""Draw picture, truth, prediction and errors: python examples/show_predictions.py CHECKPOINT [DATA] [--out FILE]

DATA is "toy" or a folder, as for `tinysegnet evaluate`. With --extremes N: the N best pictures of DATA and the N worst,
by the share of their labelled pixels that is right.
"""

import argparse

import numpy as np

from tinysegnet import predict, viz
from tinysegnet.data import open_dataset
from tinysegnet.pretrained import open_checkpoint
from tinysegnet.viz.pictures import pixel_accuracy

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint", help="a .safetensors file that `tinysegnet train` wrote, or toy")
parser.add_argument("data", nargs="?", default="toy")
parser.add_argument("--first", type=int, default=0, help="number of the first picture")
parser.add_argument("--count", type=int, default=3)
parser.add_argument("--extremes", type=int, metavar="N", help="the N best and the N worst instead, each once")
parser.add_argument("--out", default="predictions.png")
arguments = parser.parse_args()

trained = open_checkpoint(arguments.checkpoint)
data = open_dataset(arguments.data, "val")
first, last = (0, len(data)) if arguments.extremes else (arguments.first, arguments.first + arguments.count)
if not 0 <= first < last <= len(data) or (arguments.extremes or 1) < 1:
    parser.error(f"there are {len(data)} pictures, from 0 to {len(data) - 1}; give --first, --count, --extremes to fit")


def row(i):
    sample = data[i]
    return sample.image, sample.labels, predict(trained.model, sample.image, **trained.prediction), sample.name


rows = [row(i) for i in range(first, last)]
if arguments.extremes:
    accuracies = np.array([pixel_accuracy(row[1], row[2], data.palette) for row in rows], float)  # None: no labels
    order = [k for k in np.argsort(-accuracies) if accuracies[k] == accuracies[k]]
    worst = max(arguments.extremes, len(order) - arguments.extremes)
    rows = [rows[k] for k in order[: arguments.extremes] + order[worst:]]
viz.overlays_picture(rows, data.palette).save(arguments.out)
print(arguments.out)
