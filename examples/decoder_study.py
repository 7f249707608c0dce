"""The SegNet paper's comparison of decoders (Table 1), repeated small: python examples/decoder_study.py CAMVID

Eight decoders and two that the paper only mentions, each on the same encoder, with the same budget, recipe and seeds:
CamVid's train pictures at a quarter of their size, networks of half the width, scores on all val pictures at 360x480.
All with median-frequency class weights; three of them with natural ones, too. Each run is a line of OUT/runs.csv; a run
that stands there is not done again, and one that was stopped goes on where it was. Times come last, of all decoders in
turn (OUT/times.csv): let nothing else run then. The table (OUT/table.md) and the picture (OUT/decoders.png) are made of
the lines that are there; `--draw` makes only them. BF counts void's outlines, as the paper's script does.
"""

import argparse
import csv
import dataclasses
import math
import time
from pathlib import Path
from statistics import mean

import numpy as np
from matplotlib.ticker import MaxNLocator

import tinysegnet as ts
from tinysegnet.data import InMemory, open_dataset
from tinysegnet.metrics import Scores, boundary_f1, confusion_matrix
from tinysegnet.runs import RunFolder, environment
from tinysegnet.viz.figures import LIGHT, new_figure, save_figure, style_axes

# name: what the paper reports on CamVid's test set (233 pictures): with median-frequency weights, then with natural
# ones; G, C, mIoU, BF each, in per cent. None: mentioned without figures ("performed quite poorly").
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
COLUMNS = ("decoder", "weights", "seed", "parameters", "crossing_bytes", *SCORES, "epochs", "seconds", "version",
           "processor")  # fmt: skip
ROUNDS = 30

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("camvid", nargs="?", help="the folder of CamVid; not needed with --draw")
parser.add_argument("--epochs", type=int, default=40)
parser.add_argument("--seeds", type=int, default=2)
parser.add_argument("--width", type=float, default=0.5)
parser.add_argument("--size", type=int, nargs=2, default=(90, 120))
parser.add_argument("--limit", type=int, help="use only so many pictures of each split")
parser.add_argument("--out", type=Path, default=Path("examples/results"), help="for the CSV, the table, the picture")
parser.add_argument("--runs", type=Path, default=Path("runs/decoder-study"), help="for what each run leaves")
parser.add_argument("--draw", action="store_true", help="only the table and the picture, of the runs that are done")
arguments = parser.parse_args()
if arguments.camvid is None and not arguments.draw:
    parser.error("CAMVID is missing: the folder with its train and val pictures")


def jobs():
    """(decoder, weights, seed): all decoders once before the next seed, so that an early end leaves a whole round."""
    for seed in range(arguments.seeds):
        yield from ((name, "median frequency", seed) for name in PAPER)
        yield from ((name, "natural", seed) for name in NATURAL)


def run(name, weights, seed, data):
    """Train and score one network: -> a line."""
    recipe = ts.Recipe(
        epochs=arguments.epochs, batch_size=4, size=tuple(arguments.size), optimizer="sgd", learning_rate=0.1,
        weight_decay=5e-4, class_weights=WEIGHTS[weights], validate_every=arguments.epochs, seed=seed,
    )  # fmt: skip
    model = ts.build(name, seed=seed, width=arguments.width)
    path = arguments.runs / f"{name}-{weights.replace(' ', '-')}-{seed}"
    if (path / "last.safetensors").exists():
        folder = RunFolder.resume(path)
    else:
        config = {"model": name, "data": "CamVid", "width": arguments.width, **dataclasses.asdict(recipe)}
        folder = RunFolder(path, config, data["train"].palette)
    result = ts.fit(model, data["train"], None, recipe=recipe, run=folder)
    scores = score(model, data["val"], recipe.size)
    where = environment()
    return {
        "decoder": name,
        "weights": weights,
        "seed": seed,
        "parameters": model.num_parameters,
        "crossing_bytes": model.summary(recipe.size).total("crossing"),
        **{name: f"{100 * value:.2f}" for name, value in scores.items()},
        "epochs": recipe.epochs,
        "seconds": f"{result.seconds:.0f}",
        "version": ts.__version__,
        "processor": where.get("processor", ""),
    }


def score(model, data, size):
    """G, C, mIoU of all pixels, and the mean of the pictures' BF with void's outlines, as fractions."""
    palette = data.palette
    matrix = np.zeros((palette.num_classes, palette.num_classes), np.int64)
    outlines = []
    for sample in data.samples:
        maps = sample.labels, ts.predict(model, sample.image, size=size), palette.num_classes, palette.ignore_label
        matrix += confusion_matrix(*maps)
        outlines.append(boundary_f1(*maps, mask_void=False))
    scores = Scores.from_confusion(matrix, palette.names)
    return {"G": scores.G, "C": scores.C, "mIoU": scores.mIoU, "BF": np.nanmean(outlines)}


def time_all(path):
    """Milliseconds of one picture at the working size: the median of ROUNDS, in each of which every decoder has its
    turn, so that the machine's moods meet all alike.
    """
    x = np.random.default_rng(0).uniform(0, 255, (1, *arguments.size, 3)).astype(np.float32)
    models = {name: ts.build(name, width=arguments.width) for name in PAPER}
    times = {name: [] for name in PAPER}
    for turn in range(ROUNDS + 3):  # the first ones compile, and wake the machine
        for name, model in models.items():
            began = time.perf_counter()
            model.forward(x)
            if turn >= 3:
                times[name].append(time.perf_counter() - began)
    rows = [{"decoder": name, "milliseconds": f"{1000 * np.median(t):.2f}"} for name, t in times.items()]
    write(path, rows, ("decoder", "milliseconds"))


def read(path):
    return list(csv.DictReader(path.open(encoding="utf-8"))) if path.exists() else []


def write(path, rows, columns=COLUMNS):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def train_all(path):
    """Every job that has no line yet."""
    rows = read(path)
    done = {(row["decoder"], row["weights"], int(row["seed"])) for row in rows}
    data = {split: InMemory(open_dataset(arguments.camvid, split), limit=arguments.limit) for split in ("train", "val")}
    for job in jobs():
        if job not in done:
            print("training", *job, flush=True)
            rows.append(run(*job, data))
            write(path, rows)


def values(rows, decoder, weights, score):
    """One for each seed."""
    return [float(row[score]) for row in rows if (row["decoder"], row["weights"]) == (decoder, weights)]


def spread(rows, score):
    """The largest difference between two seeds of one network: what is smaller is a tie."""
    found = [values(rows, name, weights, score) for name in PAPER for weights in WEIGHTS]
    return max((max(v) - min(v) for v in found if len(v) > 1), default=float("nan"))


def table(rows, times):
    """Markdown: ours (mean of the seeds) and, in brackets, the paper's. times: milliseconds by decoder."""
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
    ties = f"Two seeds of one network differ by up to: {spreads}. Smaller differences are ties."
    return "\n".join([*lines, "", ties, "", *claims(rows)])


def claims(rows):
    """What the paper concludes from its table, and what this one says."""
    said = [
        ("bilinear interpolation loses to the next worst", "bilinear-interpolation", "fcn-basic-no-addition", -1),
        ("indices beat bilinear interpolation", "basic", "bilinear-interpolation", 1),
        ("indices beat replication", "basic", "replication", 1),
        ("indices beat a fixed corner", "basic", "fixed-index", 1),
        ("adding the encoder's maps to SegNet-Basic helps", "basic-encoder-addition", "basic", 1),
        ("a single-channel decoder loses some", "basic-single-channel-decoder", "basic", -1),
        ("FCN-Basic is about as good as SegNet-Basic", "fcn-basic", "basic", 0),
        ("without the addition FCN-Basic loses", "fcn-basic-no-addition", "fcn-basic", -1),
        ("all 64 maps make FCN-Basic better", "fcn-basic-no-dim-reduction", "fcn-basic", 1),
    ]
    lines = ["| the paper | in mIoU | in BF |", "|---|---|---|"]
    for text, one, other, sign in said:
        found = [verdict(rows, score, one, other, sign) for score in ("mIoU", "BF")]
        if all(found):
            lines.append(f"| {text} | {found[0]} | {found[1]} |")
    return lines


def verdict(rows, score, one, other, sign):
    """The difference of two decoders' means, and whether it is what the paper's sign says (0: about the same)."""
    a, b = (values(rows, name, "median frequency", score) for name in (one, other))
    if not (a and b):
        return None
    difference = mean(a) - mean(b)
    found = math.copysign(1, difference) if abs(difference) > spread(rows, score) else 0
    word = "holds" if found == sign else "a tie" if found == 0 else "does not hold"
    return f"{difference:+.1f}, {word}"


def picture(rows):
    """mIoU and BF: a dot a seed, the paper's figure hollow."""
    figure = new_figure(11, 5.6, LIGHT)
    names = list(PAPER)
    subtitles = {"mIoU": "median-frequency weights", "BF": "filled: here, a dot a seed; hollow: the paper"}
    for column, (score, subtitle) in enumerate(subtitles.items()):
        axes = figure.add_axes((0.29 + 0.36 * column, 0.1, 0.33, 0.74))
        style_axes(axes, LIGHT, f"{score}, per cent", subtitle)
        axes.grid(axis="x", color=LIGHT.grid, linewidth=0.8)
        for i, name in enumerate(names):
            ours = values(rows, name, "median frequency", score)
            axes.plot(ours, [i] * len(ours), "o", color=LIGHT.mIoU, markersize=7, alpha=0.8, markeredgewidth=0)
            if PAPER[name][0]:
                theirs = PAPER[name][0][SCORES.index(score)]
                axes.plot(theirs, i, "o", markerfacecolor="none", markeredgecolor=LIGHT.muted, markersize=7)
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_yticks(range(len(names)), names if column == 0 else [""] * len(names))
    return figure


lines_path, times_path = arguments.out / "runs.csv", arguments.out / "times.csv"
if not arguments.draw:
    train_all(lines_path)
    time_all(times_path)
finished = read(lines_path)
written = table(finished, {row["decoder"]: row["milliseconds"] for row in read(times_path)})
arguments.out.mkdir(parents=True, exist_ok=True)
(arguments.out / "table.md").write_text(written + "\n", encoding="utf-8")
save_figure(picture(finished), arguments.out / "decoders.png")
print(written)
