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
import math
import sys
import time
from contextlib import suppress
from pathlib import Path
from statistics import mean

import numpy as np
from filelock import FileLock, Timeout
from matplotlib.ticker import MaxNLocator

import tinysegnet as ts
from tinysegnet.data import InMemory, open_dataset
from tinysegnet.files import write_atomically
from tinysegnet.metrics import Scores, boundary_f1, confusion_matrix
from tinysegnet.training.run_folder import RunFolder, environment
from tinysegnet.viz.figures import DARK, LIGHT, new_figure, save_figure, style_axes

# The paper's G, C, mIoU and BF in per cent on CamVid's 233 test pictures, with median-frequency weights and with
# natural weights. For the last two decoders, the paper has no figures; it says that they "performed quite poorly".
PAPER = {
    "bilinear-interpolation": ((77.9, 61.1, 43.3, 20.83), (82.7, 52.5, 43.8, 23.08)),
    "basic": ((82.7, 62.0, 47.7, 35.78), (84.0, 54.6, 46.3, 36.67)),
    "basic-encoder-addition": ((83.4, 63.6, 48.5, 35.92), (84.2, 56.5, 47.7, 36.27)),
    "basic-single-channel-decoder": ((81.2, 60.7, 46.1, 31.62), (83.5, 53.9, 45.2, 32.45)),
    "fcn-basic": ((81.7, 62.4, 47.3, 38.11), (83.9, 55.6, 45.0, 37.33)),
    "fcn-basic-no-addition": ((80.5, 58.6, 44.1, 31.96), (82.3, 53.9, 44.2, 29.43)),
    "fcn-basic-no-dim-reduction": ((84.1, 63.4, 50.1, 37.37), (83.5, 57.3, 47.0, 37.13)),
    "fcn-basic-no-addition-no-dim-reduction": ((80.5, 61.6, 45.9, 30.47), (83.7, 54.8, 45.5, 33.17)),
    "replication": (None, None),
    "fixed-index": (None, None),
}
NATURAL = ("basic", "bilinear-interpolation", "fcn-basic")
WEIGHTS = {"median frequency": "median_frequency", "natural": "none"}
SCORES = ("G", "C", "mIoU", "BF")
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


def values(rows, decoder, weights, score):
    return [float(row[score]) for row in rows if (row["decoder"], row["weights"]) == (decoder, weights)]


def spread(rows, score):
    """Return the largest difference between two seeds of one network. Smaller differences count as ties."""
    found = [values(rows, name, weights, score) for name in PAPER for weights in WEIGHTS]
    return max((max(v) - min(v) for v in found if len(v) > 1), default=float("nan"))


def table(rows, times):
    """Return a Markdown table with the mean over the seeds and, in brackets, the paper's figure.

    times: the time of each decoder in milliseconds.
    """
    lines = ["| decoder | weights | parameters | crossing | ms | G | C | mIoU | BF |", "|---" * 9 + "|"]
    for weights in WEIGHTS:
        for name, published in PAPER.items():
            own = [row for row in rows if (row["decoder"], row["weights"]) == (name, weights)]
            if not own:
                continue
            theirs = published[list(WEIGHTS).index(weights)]
            cells = [f"{mean(values(rows, name, weights, score)):.1f}" + (f" ({theirs[i]:.1f})" if theirs else "")
                     for i, score in enumerate(SCORES)]  # fmt: skip
            crossing = f"{int(own[0]['crossing_bytes']) / 1e3:.0f} kB"
            cells = [name, weights, f"{int(own[0]['parameters']):,}", crossing, times.get(name, ""), *cells]
            lines.append(f"| {' | '.join(cells)} |")
    spreads = ", ".join(f"{score} {spread(rows, score):.1f}" for score in SCORES)
    ties = f"Two seeds of one network differ by up to {spreads}. Smaller differences are ties."
    if math.isnan(spread(rows, "mIoU")):
        ties = "With one seed, differences cannot be distinguished from chance, so there are no verdicts."
    return "\n".join([*lines, "", ties, "", *claims(rows)])


def claims(rows):
    """Return a Markdown table that compares the paper's conclusions with the differences measured here."""
    said = [
        (
            "bilinear interpolation is worse than the next worst decoder",
            "bilinear-interpolation",
            "fcn-basic-no-addition",
            -1,
        ),
        ("indices beat bilinear interpolation", "basic", "bilinear-interpolation", 1),
        ("indices beat replication", "basic", "replication", 1),
        ("indices beat a fixed corner", "basic", "fixed-index", 1),
        ("SegNet-Basic improves when the encoder's feature maps are added", "basic-encoder-addition", "basic", 1),
        ("a single-channel decoder is worse", "basic-single-channel-decoder", "basic", -1),
        ("FCN-Basic is about as good as SegNet-Basic", "fcn-basic", "basic", 0),
        ("FCN-Basic is worse without the addition", "fcn-basic-no-addition", "fcn-basic", -1),
        ("FCN-Basic improves with all feature maps", "fcn-basic-no-dim-reduction", "fcn-basic", 1),
    ]
    lines = ["| the paper's claim | mIoU here | BF here |", "|---|---|---|"]
    for text, one, other, sign in said:
        found = [verdict(rows, score, one, other, sign) for score in ("mIoU", "BF")]
        if all(found):
            lines.append(f"| {text} | {found[0]} | {found[1]} |")
    return lines


def verdict(rows, score, one, other, sign):
    """Compare the difference of two decoders' means with its sign in the paper, where 0 means about the same."""
    a, b = (values(rows, name, "median frequency", score) for name in (one, other))
    if not (a and b):
        return None
    difference = mean(a) - mean(b)
    luck = spread(rows, score)
    if math.isnan(luck):
        return f"{difference:+.1f}"
    if abs(difference) < luck:
        return f"{difference:+.1f}, a tie{'' if sign else ', as claimed'}"
    return f"{difference:+.1f}, {'holds' if math.copysign(1, difference) == sign else 'does not hold'}"


def picture(rows, theme):
    """Draw mIoU and BF, with one filled dot per seed and a hollow dot for the paper's figure."""
    figure = new_figure(11, 5.6, theme)
    names = list(PAPER)
    subtitles = {"mIoU": "median-frequency weights", "BF": "filled: one dot per seed; hollow: the paper"}
    for column, (score, subtitle) in enumerate(subtitles.items()):
        axes = figure.add_axes((0.29 + 0.36 * column, 0.1, 0.33, 0.74))
        style_axes(axes, theme, f"{score}, per cent", subtitle)
        axes.grid(axis="x", color=theme.grid, linewidth=0.8)
        for i, name in enumerate(names):
            ours = values(rows, name, "median frequency", score)
            axes.plot(ours, [i] * len(ours), "o", color=theme.mIoU, markersize=7, alpha=0.8, markeredgewidth=0)
            if PAPER[name][0]:
                theirs = PAPER[name][0][SCORES.index(score)]
                axes.plot(theirs, i, "o", markerfacecolor="none", markeredgecolor=theme.muted, markersize=7)
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), names if column == 0 else [""] * len(names))
    return figure


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
