"""Draw picture, truth, prediction and errors: python examples/show_predictions.py CHECKPOINT [DATA] [--out FILE]

DATA is "toy" or a folder, as for `tinysegnet evaluate`.
"""

import argparse

from tinysegnet import predict, viz
from tinysegnet.data import open_dataset
from tinysegnet.pretrained import open_checkpoint

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint", help="a .safetensors file that `tinysegnet train` wrote, or toy")
parser.add_argument("data", nargs="?", default="toy")
parser.add_argument("--first", type=int, default=0, help="number of the first picture")
parser.add_argument("--count", type=int, default=3)
parser.add_argument("--out", default="predictions.png")
arguments = parser.parse_args()

trained = open_checkpoint(arguments.checkpoint)
data = open_dataset(arguments.data, "val")
rows = []
for i in range(arguments.first, arguments.first + arguments.count):
    sample = data[i]
    labels = predict(trained.model, sample.image, size=trained.size)
    rows.append((sample.image, sample.labels, labels, sample.name))
viz.overlays_picture(rows, data.palette).save(arguments.out)
print(arguments.out)
