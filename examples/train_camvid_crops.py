"""Train a small SegNet on small CamVid pictures: python examples/train_camvid_crops.py CAMVID

CAMVID is the folder of the SegNet tutorial: train.txt, val.txt and the pictures they name. Its pictures are scaled down
to 96x128, whole, which keeps the shares of the classes; then a `tiny` learns them in a few minutes. The same in two
commands, where you can change every number:

    tinysegnet data crops CAMVID --size 96x128 --whole --out camvid-96x128
    tinysegnet train --data camvid-96x128 --size 96x128
"""

import argparse
import dataclasses
from pathlib import Path

import tinysegnet as ts
from tinysegnet.data import CamVid, InMemory, make_crops
from tinysegnet.training import RunFolder

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("camvid", type=Path, help="the folder of CamVid")
parser.add_argument("--out", type=Path, default=Path("runs/camvid-96x128"), help="for the crops and the report")
parser.add_argument("--crops", action="store_true", help="random crops at full detail instead of whole pictures")
parser.add_argument("--epochs", type=int, default=20)
arguments = parser.parse_args()

# 1. A folder of small pictures with their labels, in the layout of the large one.
small = arguments.out / "pictures"
splits = {split: CamVid(arguments.camvid, split) for split in ("train", "val")}
print(make_crops(splits, (96, 128), small, crops_per_picture=2, whole=not arguments.crops))

# 2. Read them once; they fit into memory.
train, val = (InMemory(CamVid(small, split)) for split in ("train", "val"))

# 3. A network, a recipe, and the folder that keeps what comes of them.
model = ts.build("tiny", num_classes=train.palette.num_classes)
recipe = ts.Recipe(
    epochs=arguments.epochs,
    batch_size=4,
    size=(96, 128),
    learning_rate=0.1,
    class_weights="sqrt_median_frequency",
    scale=(1.0, 1.5),
    color_jitter=0.2,
)
run = RunFolder(arguments.out, {"model": "tiny", "data": str(small), **dataclasses.asdict(recipe)}, train.palette)

# 4. Learn.
result = ts.fit(model, train, val, recipe=recipe, run=run)
print(result.scores.table())

# 5. The page of the run.
page = ts.write_report(run, model, train, val, result)
print(f"trained for {result.seconds:.0f} s; open {page}")
