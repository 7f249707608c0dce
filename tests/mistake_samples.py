"""Command lines and data with a mistake, and the facts that the line of the error must contain."""

import os

import numpy as np
from folder_samples import H, W, label_map, save, spoil, write

TINY = "--epochs 1 --size 20x28 --width 0.1 --runs r"
LONG = "x" * 300


def five(root):
    write(root, "images/{}.png", "labels/{}.png", 5)


# Command lines with a mistake that the parser finds, and the facts that the line of the error must contain.
USAGE = {
    "trian": ("'trian'", "'train'", "See tinysegnet --help"),
    "data chekc": ("'chekc'", "'check'", "See tinysegnet data --help"),
    "dat check": ("'dat'", "'data'"),
    "xyz": ("'xyz'",),
    "--bogus train": ("'--bogus'",),
    "train --epchs 3": ("--epchs", "Did you mean --epochs?", "See tinysegnet train --help"),
    "train --epoch 3": ("--epoch.", "Did you mean --epochs?"),
    "train --batchsize=3": ("--batchsize.", "Did you mean --batch-size?"),
    "train --lr 3": ("--lr", "Did you mean --learning-rate?"),
    "data crops d --otu x": ("--otu", "Did you mean --out?", "See tinysegnet data crops --help"),
    "predict toy --otu o": ("--otu", "Did you mean --out?"),
    "train -x": ("-x",),
    "train --modle tinny": ("--modle", "Did you mean --model?"),
    "train --model tinny": ("--model", "'tinny'", "Did you mean 'tiny'?", "vgg16"),
    "train --model resnet": ("--model", "'resnet'", "tiny, basic, vgg16"),
    "train --optimizer SGD": ("--optimizer", "'SGD'", "Did you mean 'sgd'?", "adam"),
    "train --recipe paper": ("--recipe", "Did you mean 'paper-basic'?"),
    "train --recipe paper-basik": ("--recipe", "Did you mean 'paper-basic'?"),
    "train --recipe mine": ("--recipe", "'mine'", "default, paper-basic"),
    "train --recipe paper-basic --epchs 3": ("--epchs", "Did you mean --epochs?"),
    "train --classes foo": ("--classes", "'foo'", "merged, all"),
    "summary tinny": ("MODEL", "'tinny'", "Did you mean 'tiny'?"),
    "train toy": ("'toy'", "Did you mean --data toy?"),
    "train empty": ("'empty'", "Did you mean --data empty?"),
    "train extra": ("'extra'",),
    "train --deterministic yes": ("'yes'",),
    "train --test-scales": ("--test-scales", "value"),
    "train --epochs": ("--epochs", "value"),
    "train --scale 1": ("--scale", "2 values"),
    "train --scale 1 2 3": ("'3'",),
    "train --scale 1 x": ("--scale", '"x"'),
    "train --epochs many": ("--epochs", "'many'", "whole number"),
    "train --epochs 1e3": ("--epochs", "'1e3'", "whole number"),
    "train --seed 1.5": ("--seed", "'1.5'", "whole number"),
    "train --ignore x": ("--ignore", "'x'"),
    "evaluate toy --limit x": ("--limit", "'x'"),
    "train --iterations x": ("--iterations", "'x'"),
    "train --flip=": ("--flip", "float"),
    "predict toy x.png --out=": ("--out", "empty"),
    "evaluate toy --out=": ("--out", "empty"),
    "train --resume=": ("--resume", "empty"),
    "predict toy x.png --out o --scale inf": ("--scale", "inf", "1000000"),
    "predict toy x.png --out o --scale 1e308": ("--scale", "1e+308", "1000000"),
    "predict toy x.png --out o --scale 0": ("--scale", "> 0"),
    "predict toy x.png --out o --scale nan": ("--scale", "nan"),
    "train --size 96,128": ("--size", "'96,128'", "96x128"),
    "train --size 48": ("--size", "'48'", "96x128"),
    "train --size 0x0": ("--size", "'0x0'", "96x128"),
    "train --size 99999x99999": ("--size", "'99999x99999'", "50 megapixels"),
    "summary": ("MODEL", "missing", "See tinysegnet summary --help"),
    "predict": ("CHECKPOINT, IMAGE and --out", "missing", "See tinysegnet predict --help"),
    "predict toy --out o": ("IMAGE", "missing"),
    "export toy": ("--out", "missing"),
    "data scenes --out r --count 0": ("--count", "> 0"),
    "data scenes --out r --seed -1": ("--seed", ">= 0"),
    "data crops empty --out r --per-picture 0": ("--per-picture", "> 0"),
    "summary tiny --batch-size 0": ("--batch-size", "> 0"),
    f"train {TINY} --limit 0": ("--limit", "> 0"),
    "evaluate toy --limit -1": ("--limit", "-1", "> 0"),
}


MISTAKES = {
    "a missing checkpoint": ("evaluate none.safetensors", "none.safetensors: no such file"),
    "a checkpoint's name mistyped": ("evaluate tyo", "tyo", "'toy'"),
    "a checkpoint of other classes": ("evaluate three.safetensors --data toy --limit 2", "11 classes", "predicts 3"),
    "missing data": (f"train --data nowhere {TINY}", "nowhere: no such folder"),
    "an empty folder as data": (f"train --data empty {TINY}", "empty: no pictures with label maps"),
    "data of a long name": (f"train --data {LONG} {TINY}", f"{LONG}: no such folder"),
    "data check of a missing folder": ("data check nowhere", "nowhere: no such folder"),
    "baselines of a missing folder": ("data baselines --data nowhere", "nowhere: no such folder"),
    "a mistyped split": ("evaluate toy --split vla --limit 2", "'vla'", "'val'"),
    "a missing picture": ("predict toy none.png --out o", "none.png: no such file"),
    "half a picture": ("predict toy cut.png --out o", "cut.png: damaged"),
    "a picture of a long name": (f"predict toy {LONG}.png --out o", f"{LONG}.png: "),
    "a folder without pictures": ("predict toy run --out o", "run: no file in this folder is a picture"),
    "empty data": ("train --data=", "data: ''"),
    "results below a file": ("predict toy x.png --out file/o", "file/o: Not a directory"),
    "results of a long name": (f"predict toy x.png --out {LONG}", f"{LONG}: File name too long"),
    "export over a file": ("export toy --out good.safetensors", "good.safetensors", "exists"),
    "export over a folder": ("export toy --out empty", "empty", "exists"),
    "export below a file": ("export toy --out file/x", "file: File exists"),
    "export to a long name": (f"export toy --out {LONG}", f"{LONG}: File name too long"),
    "tiny scenes": ("data scenes --out r --size 8x8", "8x8", "16x16"),
    "import of a missing folder": ("data import nowhere --out r", "nowhere: no such file or folder"),
    "crops of a missing folder": ("data crops nowhere --out r", "nowhere: no such folder"),
    "an unknown op": ("gradcheck conv", "'conv'", "softmax_cross_entropy", "Did you mean 'conv2d'?"),
    "an unknown workload": ("bench basik", "'basik'", "infer basic 1x360x480"),
    "no epochs": (f"train {TINY} --epochs 0", "epochs: 0"),
    "empty batches": (f"train {TINY} --batch-size 0", "batch_size: 0"),
    "pictures that exceed memory": (f"train {TINY} --size 7000x7000", "(7000, 7000)", "4 Mpx"),
    "a rate that is not a number": (f"train {TINY} --learning-rate nan", "learning_rate: nan"),
    "an infinite decay": (f"train {TINY} --weight-decay inf", "weight_decay: inf"),
    "an infinite scale": (f"train {TINY} --scale inf inf", "scale: (inf, inf)"),
    "an infinite width": (f"train {TINY} --limit 2 --width 1e999", "width: inf"),
    "a negative rate": (f"train {TINY} --learning-rate -1", "learning_rate: -1.0"),
    "a negative decay": (f"train {TINY} --weight-decay -1", "weight_decay: -1.0"),
    "a momentum of 1": (f"train {TINY} --momentum 1", "momentum: 1.0"),
    "a negative seed": (f"train {TINY} --seed -1", "seed: -1"),
    "an impossible flip": (f"train {TINY} --flip 2", "flip: 2.0"),
    "a scale that shrinks": (f"train {TINY} --scale 0.5 1", "scale: (0.5, 1.0)"),
    "too much jitter": (f"train {TINY} --color-jitter 1", "color_jitter: 1.0"),
    "a width of zero": (f"train {TINY} --limit 2 --width 0", "width", "8"),
    "a billion classes": ("summary tiny --num-classes 1000000000", "255 classes", "1000000000"),
    "no threads": (f"train {TINY} --limit 2 --threads 0", "threads", "0", "1"),
    "too many threads": (f"train {TINY} --limit 2 --threads 4096", "threads", "4096"),
    "a run without a name": (f"train {TINY} --name=", "--name ''", "--runs"),
    "a path as a name": (f"train {TINY} --name a/b", "--name 'a/b'", "--runs"),
    "the parent folder as a name": (f"train {TINY} --name ..", "--name '..'"),
    "a long name": (f"train {TINY} --limit 2 --name {LONG}", f"--name '{LONG}'"),
    "an existing run": (f"train {TINY} --limit 2 --runs . --name run", "run", "Choose another"),
    "epochs and iterations": (f"train {TINY} --iterations 9", "--epochs", "--iterations"),
    "no iterations": ("train --size 20x28 --width 0.1 --runs r --iterations 0", "iterations: 0"),
    "resuming a missing folder": ("train --resume nowhere", "nowhere/config.json: no such file", "runs/"),
    "resuming an empty folder": ("train --resume empty", "empty/config.json: no such file", "runs/"),
    "resuming a broken run": ("train --resume run", "run/config.json: cannot be read"),
    "resuming with another option": ("train --resume run --width 0.5", "--resume", "--width"),
    "minutes and epochs": (f"train {TINY} --minutes 3", "--epochs", "--minutes"),
    "no time": ("train --minutes 0", "--minutes 0", "above 0"),
    "a year": ("train --minutes 525600", "--minutes 525600", "a week"),
    "no patience": (f"train {TINY} --patience 0", "patience: 0"),
    "two trained networks": (f"train {TINY} --from toy --encoder run/config.json", "--from", "--encoder"),
    "a model that is not that of the checkpoint": ("train --from toy --model basic", "--model basic", "tiny", "--from"),
    "a width that is not that of the checkpoint": ("train --from toy --width 0.5", "--width 0.5", "1.0"),
    "a checkpoint that does not exist": ("train --from nothing.safetensors", "nothing.safetensors"),
    "a missing file of options": ("train --config nothing.toml", "nothing.toml", "No such file"),
    "find-lr without steps": ("find-lr --limit 2 --size 20x28 --width 0.1 --steps 3", "3 steps", "10"),
    "find-lr with a number of epochs": ("find-lr --epochs 3", "--epochs"),
    "find-lr with another kind of picture": ("find-lr --out curve.gif", "curve.gif", "PNG"),
}


def one_bad(change):
    def make(root):
        five(root)
        (root / "classes.txt").write_text("a\nb\nc\n")
        change(root)

    return make


def listed(line):
    def make(root):
        five(root)
        for name in ("train", "val"):
            (root / f"{name}.txt").write_text(line)

    return make


DATA = {  # a function that makes a bad folder, options, and the facts that the error must contain
    "four bad files": (spoil, "", "d: files that cannot be used: 4. d/labels/p0.png: "),
    "three bad files within a limit": (spoil, "--limit 2", "d: files that cannot be used: 3. d/labels/p0.png: "),
    "a value that is not a class": (
        one_bad(lambda root: save(root / "labels/p1.png", np.full((H, W), 7, np.uint8))), "",
        "d/labels/p1.png: value 7 at row 0, column 0",
    ),
    "a JPEG label map": (
        one_bad(lambda root: save(root / "labels/p1.png", label_map(), format="JPEG")), "",
        "d/labels/p1.png: ", "a JPEG picture",
    ),
    "a missing label map": (
        one_bad(lambda root: (root / "labels/p1.png").unlink()), "", "d/labels/p1.png: no such file",
    ),
    "another size": (
        one_bad(lambda root: save(root / "labels/p1.png", label_map()[:-1])), "",
        f"d/labels/p1.png: the label map has {H - 1} x {W} pixels",
    ),
    "a pipe in a folder": (
        one_bad(lambda root: ((root / "images/p1.png").unlink(), os.mkfifo(root / "images/p1.png"))), "",
        "d/images/p1.png: a pipe or a device",
    ),
    "only void": (
        one_bad(lambda root: [save(root / f"labels/p{k}.png", np.full((H, W), 255, np.uint8)) for k in range(5)]), "",
        "d train: no pixel is labelled",
    ),
    "only void, without class weights": (
        one_bad(lambda root: [save(root / f"labels/p{k}.png", np.full((H, W), 255, np.uint8)) for k in range(5)]),
        "--class-weights none", "d train: no pixel is labelled",
    ),
    "empty folders": (
        lambda root: [(root / name).mkdir(parents=True) for name in ("images", "labels")], "", "is empty",
    ),
    "a void value above 255": (five, "--ignore 300", "ignore: 300", "255"),
    "one class": (one_bad(lambda root: (root / "classes.txt").write_text("a")), "", "d/classes.txt: ", " 1."),
    "a list with a NUL": (listed("images/p0\0.png labels/p0\0.png"), "", "train.txt: cannot be read"),
    "a list of long names": (listed(f"{LONG}.png {LONG}.png"), "", "d: files that cannot be used: "),
    "a list that leads outside": (listed("../x.png ../../x.png"), "", "d: files that cannot be used: "),
    "a list of mismatched names": (listed("images/p0.png labels/p1.png"), "", "d: files that cannot be used: "),
    "a list of three": (listed("a.png b.png c.png"), "", "d/train.txt: line 1: 'a.png b.png c.png'"),
    "a binary list": (
        one_bad(lambda root: (root / "train.txt").write_bytes(b"\xff\xfe\x00")), "", "d/train.txt: cannot be read",
    ),
    "a list that is a pipe": (one_bad(lambda root: os.mkfifo(root / "train.txt")), "", "d/train.txt: a pipe"),
}  # fmt: skip
