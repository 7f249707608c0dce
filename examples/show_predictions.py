"""Draw pictures, ground truth, predictions and errors.

python examples/show_predictions.py CHECKPOINT [DATA] [--out FILE]

DATA is "toy" or a folder, as for `tinysegnet evaluate`. With --extremes N, the picture shows the N predictions with the
best and the N predictions with the worst pixel accuracy.
"""

import argparse

from tinysegnet import viz
from tinysegnet.data import open_dataset
from tinysegnet.prediction import predict
from tinysegnet.weights import open_checkpoint
from tinysegnet_lessons.figures.samples import worst

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("checkpoint", help='a .safetensors file that `tinysegnet train` wrote, or "toy"')
parser.add_argument("data", nargs="?", default="toy")
parser.add_argument("--first", type=int, default=0, help="number of the first picture")
parser.add_argument("--count", type=int, default=3)
parser.add_argument("--extremes", type=int, metavar="N", help="show the N best and the N worst predictions instead")
parser.add_argument("--out", default="predictions.png")
arguments = parser.parse_args()

trained = open_checkpoint(arguments.checkpoint)
data = open_dataset(arguments.data, "val")
first, last = (0, len(data)) if arguments.extremes else (arguments.first, arguments.first + arguments.count)
if not 0 <= first < last <= len(data) or (arguments.extremes or 1) < 1:
    parser.error(
        f"there are {len(data)} pictures, 0 to {len(data) - 1}. Choose --first, --count and --extremes within them"
    )

if arguments.extremes:
    ranked = worst(trained.model, data, count=len(data), **trained.prediction)[::-1]
    rows = ranked[: arguments.extremes] + ranked[max(arguments.extremes, len(ranked) - arguments.extremes) :]
else:
    samples = [data[i] for i in range(first, last)]
    rows = [(s.image, s.labels, predict(trained.model, s.image, **trained.prediction), s.name) for s in samples]
viz.overlays_picture(rows, data.palette).save(arguments.out)
print(arguments.out)
