"""Train a small SegNet on small CamVid pictures: python examples/train_camvid_crops.py CAMVID

CAMVID is the folder of the SegNet tutorial with train.txt, val.txt and their pictures. The script scales whole pictures
down to 96x128, which preserves the class frequencies, and trains `tiny` on them in a few minutes. These two commands do
the same, and have an option for every number:

    tinysegnet data crops CAMVID --size 96x128 --whole --out camvid-96x128
    tinysegnet train --data camvid-96x128 --size 96x128
"""

import argparse
import dataclasses
from pathlib import Path

import tinysegnet as ts
from tinysegnet.data import Folder, InMemory, make_crops
from tinysegnet.training import RunFolder

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("camvid", type=Path, help="the folder of CamVid")
parser.add_argument(
    "--out", type=Path, default=Path("runs/camvid-96x128"), help="the folder for the crops and the report"
)
parser.add_argument(
    "--crops", action="store_true", help="use random crops at full resolution instead of whole pictures"
)
parser.add_argument("--epochs", type=int, default=20)
arguments = parser.parse_args()

# 1. Make a folder of small pictures and labels in the layout of the original folder.
small = arguments.out / "pictures"
splits = {split: Folder(arguments.camvid, split) for split in ("train", "val")}
print(make_crops(splits, (96, 128), small, crops_per_picture=2, whole=not arguments.crops))

# 2. Load them into memory.
train, val = (InMemory(Folder(small, split)) for split in ("train", "val"))

# 3. Choose a network, a recipe, and a folder for the run.
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

# 4. Train.
result = ts.fit(model, train, val, recipe=recipe, run=run)
print(result.scores.table())

# 5. Write the report.
page = ts.write_report(run, model, train, val, result)
print(f"Trained for {result.seconds:.0f} s. Open {page}")
