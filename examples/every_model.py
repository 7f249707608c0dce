"""Train every model on toy streets with the same recipe: python examples/every_model.py [--width 0.5] [--epochs 5]

The script prints parameters, training times, and scores on 200 other streets. It updates OUT/models.csv after each
model, and does not train models in this file again, so an interrupted run continues where it stopped. The last row is
the network of popular articles in its original form, with one logit for "road or not".
"""

import argparse
import csv
import dataclasses
from pathlib import Path

import tinysegnet as ts
from tinysegnet.data import InMemory, OneClass, open_dataset
from tinysegnet.training import RunFolder

COLUMNS = ("model", "parameters", "seconds", "G", "C", "mIoU")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--width", type=float, default=0.5, help="a factor on the number of channels")
parser.add_argument("--epochs", type=int, default=5)
parser.add_argument("--limit", type=int, help="use at most this many streets per split")
parser.add_argument("--out", type=Path, default=Path("runs/every-model"), help="the folder for the table and the runs")
parser.add_argument("models", nargs="*", help="train only these models")
arguments = parser.parse_args()

streets = {split: InMemory(open_dataset("toy", split), limit=arguments.limit) for split in ("train", "val")}
roads = {split: OneClass(data, "Road") for split, data in streets.items()}
arguments.out.mkdir(parents=True, exist_ok=True)
table_path = arguments.out / "models.csv"
rows = list(csv.DictReader(table_path.open())) if table_path.exists() else []


def train(name: str, model, data: dict) -> dict:
    """Train a model. Return its row of the table."""
    recipe = dataclasses.replace(ts.Recipe(), epochs=arguments.epochs, validate_every=arguments.epochs)
    folder = RunFolder(arguments.out / name, {"model": name, "data": "toy", **dataclasses.asdict(recipe)},
                       data["train"].palette)  # fmt: skip
    result = ts.fit(model, data["train"], data["val"], recipe=recipe, run=folder)
    ts.write_report(folder, model, data["train"], data["val"], result)
    scores = {key: f"{getattr(result.scores, key):.3f}" for key in ("G", "C", "mIoU")}
    return {"model": name, "parameters": model.num_parameters, "seconds": f"{result.seconds:.0f}", **scores}


jobs = {name: (name, 11, streets) for name in ts.models} | {"article-road": ("article", 1, roads)}
for job, (name, channels, data) in jobs.items():
    if any(row["model"] == job for row in rows) or (arguments.models and job not in arguments.models):
        continue
    rows.append(train(job, ts.build(name, channels, width=arguments.width), data))
    with table_path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)

print(f"{'model':<40} {'parameters':>11} {'seconds':>8} {'G':>6} {'C':>6} {'mIoU':>6}")
for row in rows:
    scores = " ".join(f"{row[key]:>6}" for key in ("G", "C", "mIoU"))
    print(f"{row['model']:<40} {int(row['parameters']):>11,} {row['seconds']:>8} {scores}")
