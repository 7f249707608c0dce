"""Measure what each choice of the default recipe improves on CamVid: python examples/camvid_ablation.py CAMVID

Every network is scored on two sets. The validation pictures come from drives that also have frames among the training
pictures. Sequence 0006R0 of the training pictures is a drive that is left out of all training runs. The test pictures
are not used. The first rows of the table are baselines without a network. `default` is the complete default recipe.
The names of the other variants say how they differ from it. Each network is scored twice: with the average over
mirror images and scales, which the default recipe uses, and with a single pass.

The script saves each network as OUT/NAME.safetensors and does not train it again. The table is in OUT/table.md.
"""

import argparse
import dataclasses
import time
from functools import partial
from pathlib import Path

import numpy as np

import tinysegnet as ts
from tinysegnet.data import InMemory, labelled_images, open_dataset
from tinysegnet.metrics import baselines
from tinysegnet.models import models, segnet
from tinysegnet.models.segnet import SegNetConfig
from tinysegnet.training import recipe_for
from tinysegnet.weights import checkpoint

HELD_OUT = "0006R0"
WEAK = {"scale": (1.0, 1.5), "color_jitter": 0.2}

# Alternatives to `tiny`, described by the channels of the encoder's stages and of the decoder's stages.
FIVE = ((32,), (64,), (128,), (128,), (128,)), ((128,), (128,), (64,), (32,), (32,))
DEEP = (((32,), (64,), (128, 128), (128, 128), (128, 128)), ((128, 128), (128, 128), (128, 64), (32,), (32,)))
WIDE = ((48,), (96,), (192,), (192,)), ((192,), (96,), (48,), (48,))
THIN = ((16,), (32,), (64,), (128,), (128,)), ((128,), (64,), (32,), (16,), (16,))
NETWORKS = {"five": FIVE, "deep": DEEP, "wide": WIDE, "thin": THIN}
models.update({name: partial(SegNetConfig, *channels, bias=False) for name, channels in NETWORKS.items()})
models["drop"] = lambda: dataclasses.replace(segnet.tiny(), dropout_after=("encoder4", "decoder4"))

# For each variant, the network and the differences from the default recipe.
VARIANTS = {
    "default": ("tiny", {}),
    "shorter": ("tiny", {"epochs": 150}),
    "weaker-augmentation": ("tiny", {"epochs": 150, **WEAK}),
    "batches-of-2": ("tiny", {"epochs": 140, "batch_size": 2, "learning_rate": 0.07}),
    "dropout": ("drop", {"epochs": 150}),
    "five-stages": ("five", {"epochs": 140}),
    "five-stages-thin-180x240": ("thin", {"epochs": 125, "size": (180, 240)}),
    "wide-weaker-augmentation": ("wide", {"epochs": 80, **WEAK}),
    "deep-weaker-augmentation": ("deep", {"epochs": 110, **WEAK}),
    "brief-weaker-augmentation": ("tiny", {"epochs": 53, **WEAK}),
    "brief-weaker-augmentation-180x240": ("tiny", {"epochs": 30, "size": (180, 240), **WEAK}),
}

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("camvid", help="the folder of CamVid")
parser.add_argument(
    "--out", type=Path, default=Path("runs/camvid-ablation"), help="the folder for the networks and the table"
)
parser.add_argument("--limit", type=int, help="use at most this many pictures per split, to try the script")
parser.add_argument("names", nargs="*", help=f"train only these variants: {', '.join(VARIANTS)}")
arguments = parser.parse_intermixed_args()
for wrong in sorted(set(arguments.names) - set(VARIANTS)):
    parser.error(f"{wrong} is not a variant. Choose from {', '.join(VARIANTS)}")
if arguments.limit is not None and arguments.limit < 1:
    parser.error(f"--limit must be at least 1, not {arguments.limit}")


class Part:
    """Some of the samples of a data set."""

    def __init__(self, data, name, samples):
        self.palette, self.name, self.samples = data.palette, name, samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def street(data, *, held_out):
    chosen = [sample for sample in data.samples if (HELD_OUT in sample.name) == held_out]
    return Part(data, HELD_OUT if held_out else f"{data.name} without {HELD_OUT}", chosen)


def trained(path, model_name, recipe, data):
    """Return the network of a variant. Read it from its file if the file exists; otherwise train it."""
    if not path.exists():
        model = ts.build(model_name, data.palette.num_classes, seed=recipe.seed)
        began = time.process_time()
        ts.fit(model, data, None, recipe=recipe)
        seconds = round(time.process_time() - began)
        how = {"size": recipe.size, "mirror": recipe.mirror, "test_scales": recipe.test_scales, "seconds": seconds}
        checkpoint.save(path, model, palette=data.palette, training=how)
    return checkpoint.read(path)


def cells(found, data, default):
    """Return G, C and mIoU with its interval for the default recipe's predictions, and the mIoU of a single pass."""
    how = {**default.prediction, "size": found.size}
    scores = ts.evaluate(found.model, data, **how, rng=np.random.default_rng(0))
    once = ts.evaluate(found.model, data, size=found.size)
    low, high = scores.intervals["mIoU"] if scores.intervals else (np.nan, np.nan)
    return [f"{100 * scores.G:.1f}", f"{100 * scores.C:.1f}",
            f"{100 * scores.mIoU:.1f} [{100 * low:.1f}, {100 * high:.1f}]", f"{100 * once.mIoU:.1f}"]  # fmt: skip


def baseline_rows(train, *judges):
    """Yield table rows of the no-network baselines, which are fitted on the training pictures."""
    names, void = train.palette.names, train.palette.ignore_label
    found = [baselines(labelled_images(train), labelled_images(data), names, void) for data in judges]
    for name in found[0]:
        scores = [(scores[name].G, scores[name].C, scores[name].mIoU) for scores in found]
        yield [name, "", "", "", *(cell for judged in scores for cell in (*(f"{100 * x:.1f}" for x in judged), ""))]


def main():
    train, val = (InMemory(open_dataset(arguments.camvid, split)) for split in ("train", "val"))
    seen, unseen = street(train, held_out=False), street(train, held_out=True)
    if arguments.limit:
        arguments.out /= f"limit-{arguments.limit}"  # a different folder from that of networks trained on all pictures
        for part in (seen, unseen, val):
            part.samples = part.samples[: arguments.limit]
    arguments.out.mkdir(parents=True, exist_ok=True)
    columns = ("G", "C", "mIoU", "one pass")
    judged = [f"{part}: {name}" for part in (HELD_OUT, "val") for name in columns]
    head = ["", "parameters", "epochs", "CPU min", *judged]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in baseline_rows(seen, unseen, val)]
    print("\n".join(lines), flush=True)
    default = recipe_for(train)
    for name in arguments.names or VARIANTS:
        model_name, changes = VARIANTS[name]
        recipe = dataclasses.replace(default, validate_every=default.epochs, **changes)
        found = trained(arguments.out / f"{name}.safetensors", model_name, recipe, seen)
        minutes = f"{found.training['seconds'] / 60:.0f}"
        row = [name, f"{found.model.num_parameters:,}", str(recipe.epochs), minutes,
               *cells(found, unseen, default), *cells(found, val, default)]  # fmt: skip
        lines.append(f"| {' | '.join(row)} |")
        print(lines[-1], flush=True)
        (arguments.out / "table.md").write_text("\n".join([*lines, ""]), encoding="utf-8")


main()
