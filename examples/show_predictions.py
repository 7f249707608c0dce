"""Draw picture, truth, prediction and errors: python examples/show_predictions.py CHECKPOINT [DATA] [--out FILE]

DATA is "toy" or a folder, as for `tinysegnet evaluate`. With --extremes N: the N best pictures of DATA and the N worst,
by the share of their labelled pixels that is right.
"""

import argparse

from tinysegnet import predict, viz
from tinysegnet.data import open_dataset
from tinysegnet.pretrained import open_checkpoint
from tinysegnet.viz.pictures import pixel_accuracy

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint", help="a .safetensors file that `tinysegnet train` wrote, or toy")
parser.add_argument("data", nargs="?", default="toy")
parser.add_argument("--first", type=int, default=0, help="number of the first picture")
parser.add_argument("--count", type=int, default=3)
parser.add_argument("--extremes", type=int, metavar="N", help="the N best and the N worst instead")
parser.add_argument("--out", default="predictions.png")
arguments = parser.parse_args()

trained = open_checkpoint(arguments.checkpoint)
data = open_dataset(arguments.data, "val")


def row(i):
    sample = data[i]
    return sample.image, sample.labels, predict(trained.model, sample.image, **trained.prediction), sample.name


if arguments.extremes:
    rows = sorted(map(row, range(len(data))), key=lambda row: -pixel_accuracy(row[1], row[2], data.palette))
    rows = rows[: arguments.extremes] + rows[-arguments.extremes :]
else:
    rows = [row(i) for i in range(arguments.first, arguments.first + arguments.count)]
viz.overlays_picture(rows, data.palette).save(arguments.out)
print(arguments.out)
