"""Repeat the SegNet paper's comparison of decoders (Table 1) at a small size: python examples/decoder_study.py CAMVID

The script trains the paper's eight decoders, and two that the paper only mentions, with the same encoder, recipe and
seeds. The networks have half the width, and are trained on CamVid's training pictures at a quarter of their height and
width. All networks are scored on all validation pictures at 360x480. All decoders are trained with median-frequency
class weights, and three decoders also with natural weights. BF includes void's outlines, as in the authors' script.

Each run has a folder in OUT and a line in OUT/runs.csv. A finished run is not repeated, and an interrupted run resumes.
If you start the same command twice, the processes divide the runs between them. On two cores, two processes with
NUMBA_NUM_THREADS=1 finish sooner than one process. At the end, all decoders are timed (OUT/times.csv), for which the
machine should be idle. The table (OUT/table.md) and the picture (OUT/decoders.png, OUT/decoders_dark.png) show the
results in OUT/runs.csv. With `--draw`, the script makes only the table and the picture.
"""

import argparse
import csv
import dataclasses
import io
import json
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
from decoder_table import PAPER, WEIGHTS, picture, table  # beside this script
from filelock import FileLock, Timeout

import tinysegnet as ts
from tinysegnet.data import InMemory, open_dataset
from tinysegnet.files import write_atomically
from tinysegnet.metrics import Scores, boundary_f1, confusion_matrix
from tinysegnet.training.run_folder import RunFolder, environment
from tinysegnet.viz.figures import DARK, LIGHT, save_figure

NATURAL = ("basic", "bilinear-interpolation", "fcn-basic")
ROUNDS = 30


def positive(text):
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    return int(text)


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("camvid", nargs="?", help="the folder of CamVid (not needed with --draw)")
parser.add_argument("--epochs", type=positive, default=40)
parser.add_argument("--seeds", type=positive, default=2)
parser.add_argument("--width", type=float, default=0.5)
parser.add_argument("--size", type=positive, nargs=2, default=(90, 120))
parser.add_argument("--limit", type=positive, help="use at most this many pictures per split")
parser.add_argument(
    "--out", type=Path, default=Path("runs/decoder-study"), help="the folder of the runs, the table and the picture"
)
parser.add_argument("--decoders", nargs="+", choices=PAPER, default=list(PAPER), metavar="NAME", help="the decoders")
parser.add_argument("--draw", action="store_true", help="make only the table and the picture")
arguments = parser.parse_args()
lines_path, times_path, networks = (arguments.out / name for name in ("runs.csv", "times.csv", "networks"))
if arguments.draw and not lines_path.exists():
    parser.error(f"{lines_path} does not exist. Give --out a folder with runs")
if arguments.camvid is None and not arguments.draw:
    parser.error("CAMVID is missing. Give the folder with its train and val pictures")


def jobs():
    """Yield (decoder, weights, seed), with all decoders of one seed before those of the next seed."""
    for seed in range(arguments.seeds):
        yield from ((name, "median frequency", seed) for name in PAPER)
        yield from ((name, "natural", seed) for name in NATURAL)


def check_settings():
    """Exit if runs with different settings would be mixed, or if lines without networks would be lost."""
    if lines_path.exists() and not networks.exists():
        sys.exit(f"{lines_path}: the networks of these lines are missing. Choose another --out, or add --draw")
    asked = {name: getattr(arguments, name) for name in ("epochs", "width", "size", "limit")}
    path = arguments.out / "settings.json"
    if path.exists() and (there := json.loads(path.read_text())) != json.loads(json.dumps(asked)):
        sys.exit(f"{arguments.out} has runs with {there}, but you asked for {asked}. Choose another --out")
    write(path, json.dumps(asked))


class Run(RunFolder):
    how_to_go_on = "repeat the command to continue"


def run(folder, name, weights, seed, data):
    """Train and score one network. Return its line of runs.csv."""
    recipe = ts.Recipe(
        epochs=arguments.epochs, batch_size=4, size=tuple(arguments.size), optimizer="sgd", learning_rate=0.1,
        weight_decay=5e-4, class_weights=WEIGHTS[weights], validate_every=arguments.epochs, seed=seed,
    )  # fmt: skip
    model = ts.build(name, seed=seed, width=arguments.width)
    if (folder / "last.safetensors").exists():
        kept = Run.resume(folder)
    else:
        (folder / "config.json").unlink(missing_ok=True)  # from a run that was killed in its first epoch
        config = {"model": name, "data": arguments.camvid, "width": arguments.width, **dataclasses.asdict(recipe)}
        kept = Run(folder, config, data["train"].palette)
    result = ts.fit(model, data["train"], None, recipe=recipe, run=kept)
    scores = score(model, data["val"], recipe.size)
    where = environment()
    return {
        "decoder": name,
        "weights": weights,
        "seed": seed,
        "parameters": model.num_parameters,
        "crossing_bytes": model.summary(recipe.size).total("skip_bytes"),
        **{name: f"{100 * value:.2f}" for name, value in scores.items()},
        "epochs": recipe.epochs,
        "seconds": f"{result.seconds:.0f}",
        "version": ts.__version__,
        "processor": where.get("processor", ""),
    }


def score(model, data, size):
    """Compute G, C and mIoU over all pixels, and the pictures' mean BF including void's outlines, as fractions."""
    palette = data.palette
    matrix = np.zeros((palette.num_classes, palette.num_classes), np.int64)
    outlines = []
    for sample in data.samples:
        maps = sample.labels, ts.predict(model, sample.image, size=size), palette.num_classes, palette.ignore_label
        matrix += confusion_matrix(*maps)
        outlines.append(boundary_f1(*maps, mask_void=False))
    scores = Scores.from_confusion(matrix, palette.names)
    return {"G": scores.G, "C": scores.C, "mIoU": scores.mIoU, "BF": np.nanmean(outlines)}


def time_all():
    """Write the median times per picture in milliseconds.

    Every round times each decoder once, so that a change in the machine's speed affects all of them.
    """
    x = np.random.default_rng(0).uniform(0, 255, (1, *arguments.size, 3)).astype(np.float32)
    trained = {row["decoder"] for row in read(lines_path)}
    models = {name: ts.build(name, width=arguments.width) for name in PAPER if name in trained}
    times = {name: [] for name in models}
    for turn in range(ROUNDS + 3):  # the first rounds warm up and compile
        for name, model in models.items():
            began = time.perf_counter()
            model.forward(x)
            if turn >= 3:
                times[name].append(time.perf_counter() - began)
    rows = [{"decoder": name, "milliseconds": f"{1000 * np.median(t):.2f}"} for name, t in times.items()]
    write(times_path, as_csv(rows))


def read(path):
    return list(csv.DictReader(path.open(encoding="utf-8"))) if path.exists() else []


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())


def as_csv(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def train_all():
    """Train the requested networks without a line that no other process is training. Return whether all have lines."""
    data = {split: InMemory(open_dataset(arguments.camvid, split), limit=arguments.limit) for split in ("train", "val")}
    names = {job: "-".join(map(str, job)).replace(" ", "-") for job in jobs()}
    paths = {job: networks / name / "line.json" for job, name in names.items()}
    asked = {job: path for job, path in paths.items() if job[0] in arguments.decoders}
    for job, path in asked.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        # A timeout means that another process is training this network.
        with suppress(Timeout), FileLock(path.parent / ".lock").acquire(blocking=False):
            if not path.exists():
                print("training", *job, flush=True)
                write(path, json.dumps(run(path.parent / "run", *job, data)))
        if done := [json.loads(path.read_text()) for path in paths.values() if path.exists()]:
            write(lines_path, as_csv(done))
    return all(path.exists() for path in asked.values())


def main():
    if not arguments.draw:
        check_settings()
        if train_all():
            time_all()
        else:
            print("Another process is still training and will measure the times. If it was killed, repeat the command.")
    finished = read(lines_path)
    if not finished:
        return
    written = table(finished, {row["decoder"]: row["milliseconds"] for row in read(times_path)})
    write(arguments.out / "table.md", written + "\n")
    for name, theme in (("decoders.png", LIGHT), ("decoders_dark.png", DARK)):
        save_figure(picture(finished, theme), arguments.out / name)
    print(written)


try:
    main()
except KeyboardInterrupt:
    sys.exit(130)
except ts.errors.TinySegNetError as error:
    sys.exit(f"error: {error}")
