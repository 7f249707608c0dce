"""A mistake on the command line is reported in one line that names it and says what to do."""

import errno
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from folder_samples import H, W, label_map, save, spoil, write
from PIL import Image

import tinysegnet as ts
from tinysegnet.cli.main import main

TINY = "--epochs 1 --size 20x28 --width 0.1 --runs r"
LONG = "x" * 300


def error_lines(capsys):
    """Return the lines of stderr without progress bars and warnings."""
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    lines = [line for line in lines if line.strip() and not line.startswith("warning: ")]
    return [line for line in lines if "%|" not in line and "picture/s]" not in line]


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    ts.save(tmp_path / "good.safetensors", ts.build("tiny", width=1 / 16))
    ts.save(tmp_path / "three.safetensors", ts.build("tiny", num_classes=3, width=1 / 16))
    for name in ("text.safetensors", "file"):
        (tmp_path / name).write_text("hello")
    for name in ("empty", "run", "half a run"):
        (tmp_path / name).mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    (tmp_path / "half a run" / "config.json").write_text('{"size": [20, 28]}')
    picture = Image.new("RGB", (20, 12))
    picture.save(tmp_path / "x.png")
    picture.save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "x.png").read_bytes()[:50])
    monkeypatch.chdir(tmp_path)
    return tmp_path


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


@pytest.mark.parametrize(("command", "facts"), USAGE.items(), ids=USAGE)
def test_wrong_usage_is_one_line_with_a_pointer_to_the_help(workplace, capsys, command, facts):
    assert main(command.split()) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: ")
    assert [fact for fact in (*facts, "See tinysegnet", "--help") if fact not in line] == []


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
    "an unknown workload": ("bench basik", "'basik'", "infer basic"),
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


@pytest.mark.parametrize("command", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(workplace, capsys, command):
    words, *facts = command
    assert main(words.split()) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: ")
    assert [fact for fact in facts if fact not in line] == []
    assert not (workplace / "r").exists()  # no run was started


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
        f"d/labels/p1.png: the label map has {W} x {H - 1} pixels",
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


@pytest.mark.parametrize("case", DATA.values(), ids=DATA)
def test_bad_data_is_refused_before_training(workplace, capsys, case):
    make, options, *facts = case
    make(workplace / "d")
    assert main(f"train --data d {TINY} {options}".split()) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: ")
    assert [fact for fact in facts if fact not in line] == []
    assert not (workplace / "r").exists()


def test_a_pipe_is_refused_and_not_waited_for(workplace, capsys):
    os.mkfifo("pipe.png")
    for command in ("predict toy pipe.png --out o", "predict pipe.png x.png --out o", "evaluate pipe.png"):
        assert main(command.split()) == 2
        (line,) = error_lines(capsys)
        assert line.startswith("error: pipe.png: a pipe or a device")


def chunk(kind, content):
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def test_a_picture_that_claims_a_huge_size_is_refused(workplace, capsys):
    header = (30_000).to_bytes(4) * 2 + bytes([1, 0, 0, 0, 0])  # one bit per pixel
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"")), chunk(b"IEND", b"")
    (workplace / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    assert main(["predict", "toy", "bomb.png", "--out", "o"]) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: bomb.png: ")
    assert "Mpx; at most 175 are allowed" in line
    assert "175" in line


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everything")
@pytest.mark.parametrize("place", ["d/images", "d/images/p1.png", "d", "x.png", "good.safetensors"])
def test_an_unreadable_file_is_named(workplace, capsys, place):
    five(workplace / "d")
    os.chmod(place, 0)
    commands = {"d": f"train --data d {TINY}", "x": "predict toy x.png --out o", "g": "evaluate good.safetensors"}
    try:
        assert main(commands[place[0]].split()) == 2
    finally:
        os.chmod(place, 0o700)
    (line,) = error_lines(capsys)
    assert line.startswith("error: ")
    assert f"{place}: " in line


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (errno.EACCES, 2, "Choose another"),
        (errno.EROFS, 2, "Choose another"),
        (errno.ENOSPC, 1, "Free some space"),
        (errno.EIO, 1, "Files that were saved before are unchanged"),
    ],
)
def test_a_failed_write_says_what_to_do(workplace, capsys, monkeypatch, number, code, said):

    def refuses(path, data):
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("tinysegnet.training.run_folder.write_atomically", refuses)
    assert main(f"train {TINY} --limit 2 --name x".split()) == code
    (line,) = error_lines(capsys)
    assert line.startswith("error: r/x/config.json: ")
    assert said in line


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (f"train {TINY} --limit 2", ["tinysegnet.training.training_step.TrainingStep.run"]),
        ("predict toy x.png --out o", ["PIL.Image.Image.load"]),
        ("summary tiny", [ts.Network, "summary"]),
        ("evaluate toy --limit 1", ["tinysegnet.prediction.evaluate"]),
    ],
)
def test_too_little_memory_says_what_to_do(workplace, capsys, monkeypatch, command, place):
    def fails(*arguments, **settings):
        raise MemoryError("for an array")

    monkeypatch.setattr(*place, fails)
    assert main(command.split()) == 1
    (line,) = error_lines(capsys)
    assert line.startswith("error: not enough memory for an array")
    assert all(option in line for option in ("--size", "--batch-size", "--width"))


def test_commands_work_with_closed_output(workplace, monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(["predict", "good.safetensors", "x.png", "cut.png", "--out", "o"]) == 1
    assert (workplace / "o" / "x_overlay.png").exists()


def test_names_that_the_terminal_cannot_encode_are_escaped(workplace):
    """This test also shows that the package runs as a module."""
    (workplace / "x.png").rename(workplace / "Straße é.png")
    command = [sys.executable, "-m", "tinysegnet", "predict", "good.safetensors", "Straße é.png", "é.png"]
    command += ["--out", "o"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "TINYSEGNET_BACKEND": "numpy"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "o/Stra\\xdfe \\xe9_overlay.png\n"
    assert "error: \\xe9.png: no such file" in done.stderr
    assert done.returncode == 1
