"""What people get wrong on the command line: an exit code, and one line that names it and says what to do."""

import errno
import os
import subprocess
import sys

import numpy as np
import pytest
from folder_samples import H, W, label_map, save, spoil, write
from PIL import Image

import tinysegnet as ts
from tinysegnet.cli.main import main

TINY = "--epochs 1 --size 20x28 --width 0.1 --runs r"
LONG = "x" * 300


def error_lines(capsys):
    """The lines of stderr, less progress bars and warnings."""
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


USAGE = {
    "": "tinysegnet: no command given (expected train, evaluate,",
    "trian": 'Unknown command "trian". Did you mean "train"?',
    "data": "tinysegnet data: no command given (expected check, crops,",
    "data chekc": 'Unknown command "chekc". Did you mean "check"? Available commands: check, crops, baselines, scenes.',
    "xyz": 'Unknown command "xyz". Available commands: train, ',
    "--bogus train": 'Unknown command "--bogus". Available commands: train, ',
    "train --epchs 3": "Unknown option: --epchs. Did you mean --epochs? See tinysegnet train --help",
    "train --batchsize=3": "Unknown option: --batchsize. Did you mean --batch-size?",
    "data crops d --otu x": 'Command "data crops" parameter --out requires an argument. Did you mean --out instead of',
    "train --lr 3": "Unknown option: --lr. ",
    "train -x": "Unknown option: -x. See tinysegnet train --help",
    "train --modle tinny": "Unknown option: --modle. Did you mean --model?",
    "train --model tinny": 'Invalid value "tinny" for --model. Choose from: "tiny", ',
    "train toy": "Unexpected argument `toy`; did you mean `--data toy`? See tinysegnet train --help",
    "train empty": "Unexpected argument `empty`; did you mean `--data empty`? See",
    "train extra": "Unexpected argument `extra` (expected options and their values). See",
    "train --deterministic yes": "Unexpected argument `yes` (expected",
    "train --test-scales": 'Command "train" parameter --test-scales requires at least 1 element. Got 0.',
    "predict toy --otu o": "Unknown option: --otu. Did you mean --out?",
    "train --epochs many": "Invalid value for --epochs: 'many' is not a whole number (expected one such as 8)",
    "train --epochs": 'Command "train" parameter --epochs requires an argument.',
    "train --epochs 1e3": "Invalid value for --epochs: '1e3' is not a whole number",
    "train --seed 1.5": "Invalid value for --seed: '1.5' is not a whole number",
    "train --ignore x": "Invalid value for --ignore: 'x' is not a whole number",
    "evaluate toy --limit x": "Invalid value for --limit: 'x' is not a whole number",
    "train --flip=": 'Invalid value for --flip: unable to convert "" into float.',
    "predict toy x.png --out=": "Invalid value for --out: '' is not a path (expected a file or a folder)",
    "evaluate toy --out=": "Invalid value for --out: '' is not a path",
    "train --resume=": "Invalid value for --resume: '' is not a path",
    "train --scale 1": 'Command "train" parameter --scale requires 2 positional arguments. Only got 1.',
    "train --scale 1 2 3": "Unexpected argument `3`",
    "train --scale 1 x": 'Invalid value for --scale: unable to convert "x" into float.',
    "predict toy x.png --out o --scale inf": 'Invalid value "inf" for --scale. Must be <= 1000000.',
    "predict toy x.png --out o --scale 1e308": 'Invalid value "1e+308" for --scale. Must be <= 1000000.',
    "predict toy x.png --out o --scale 0": 'Invalid value "0.0" for --scale. Must be > 0.',
    "predict toy x.png --out o --scale nan": 'Invalid value "nan" for --scale. Must be <= 1000000.',
    "train --size 96,128": "Invalid value for --size: '96,128' is not a size (expected HEIGHTxWIDTH, such as 96x128)",
    "train --size 48": "Invalid value for --size: '48' is not a size",
    "train --size 0x0": "Invalid value for --size: '0x0' is not a size",
    "train --size 99999x99999": "Invalid value for --size: '99999x99999' is too large (expected at most 50 Mpx)",
    "train --model resnet": 'Invalid value "resnet" for --model. Choose from: "tiny", "basic", "vgg16", ',
    "train --optimizer SGD": 'Invalid value "SGD" for --optimizer. Choose from: "sgd", "adam", "caffe_sgd".',
    "train --recipe paper": 'Invalid value "paper" for --recipe. Choose from: "default", "paper-basic", ',
    "train --recipe mine": 'Invalid value "mine" for --recipe. Choose from: "default", "paper-basic", "paper-vgg16", ',
    "train --recipe paper-basic --epchs 3": "Unknown option: --epchs. Did you mean --epochs?",
    "train --iterations x": "Invalid value for --iterations: 'x' is not a whole number",
    "train --classes foo": 'Invalid value "foo" for --classes. Choose from: "merged", "all".',
    "summary resnet": 'Invalid value "resnet" for MODEL. Choose from: "tiny", "basic", "vgg16", ',
    "summary": 'Command "summary" parameter MODEL requires an argument. See tinysegnet summary --help',
    "predict": "CHECKPOINT and --out: missing. See tinysegnet predict --help",
    "export toy": 'Command "export" parameter --out requires an argument.',
    "data scenes --out r --count 0": 'Invalid value "0" for --count. Must be > 0.',
    "data scenes --out r --seed -1": 'Invalid value "-1" for --seed. Must be >= 0.',
    "data crops empty --out r --per-picture 0": 'Invalid value "0" for --per-picture. Must be > 0.',
    "summary tiny --batch-size 0": 'Invalid value "0" for --batch-size. Must be > 0.',
    f"train {TINY} --limit 0": 'Invalid value "0" for --limit. Must be > 0.',
    "evaluate toy --limit -1": 'Invalid value "-1" for --limit. Must be > 0.',
}


@pytest.mark.parametrize(("command", "said"), USAGE.items(), ids=USAGE)
def test_wrong_usage_is_one_line_and_exit_code_2(workplace, capsys, command, said):
    assert main(command.split()) == 2
    (line,) = error_lines(capsys)
    assert line.startswith(f"error: {said}")
    assert "See tinysegnet" in line
    assert "--help" in line


MISTAKES = {  # the words, and what the line says
    "no such checkpoint": ("evaluate none.safetensors", "none.safetensors: no such file. Give a"),
    "not a checkpoint": ("evaluate text.safetensors", "text.safetensors: not a checkpoint"),
    "a folder as checkpoint": ("evaluate empty", "empty: cannot be read as a checkpoint"),
    "another number of classes": ("evaluate three.safetensors", "toy scenes has 11 classes, but the network predicts"),
    "no such data": (f"train --data nowhere {TINY}", "nowhere: no such folder (expected one with pictures"),
    "a file as data": (f"train --data file {TINY}", "file: no such folder (expected one with pictures"),
    "an empty folder as data": (f"train --data empty {TINY}", "empty: no pictures with label maps found (expected"),
    "data of a long name": (f"train --data {LONG} {TINY}", f"{LONG}: no such folder (expected"),
    "data check on a file": ("data check file", "file: no such folder (expected"),
    "data check of nothing": ("data check nowhere", "nowhere: no such folder (expected"),
    "baselines of nothing": ("data baselines --data nowhere", "nowhere: no such folder (expected"),
    "no such split": ("evaluate toy --split tset", "toy: no split 'tset' (expected train or val)"),
    "no such picture": ("predict toy none.png --out o", "none.png: no such file (expected PNG or JPEG)"),
    "not a picture": ("predict toy text.safetensors --out o", "text.safetensors: damaged, or no picture (expected"),
    "half a picture": ("predict toy cut.png --out o", "cut.png: damaged, cannot be decoded"),
    "a picture of a long name": (f"predict toy {LONG}.png --out o", f"{LONG}.png: "),
    "no pictures named": ("predict toy --out o", "predict: no picture given (expected PNG or JPEG files"),
    "no picture in a folder": ("predict toy run --out o", "run: no picture in this folder (expected"),
    "no data": ("train --data=", "data: '' (expected \"toy\", or the path of a folder)"),
    "a file in the way": ("predict toy x.png --out file", "file: File exists (expected a readable, writable path"),
    "a file above": ("predict toy x.png --out file/o", "file/o: Not a directory (expected a readable, writable path"),
    "results of a long name": (f"predict toy x.png --out {LONG}", f"{LONG}: File name too long (expected"),
    "a file for scores": ("evaluate toy --limit 2 --out file", "file: File exists (expected a readable, writable path"),
    "export over a file": ("export toy --out good.safetensors", "good.safetensors: exists already. Choose another"),
    "export over a folder": ("export toy --out empty", "empty: exists already. Choose another"),
    "export below a file": ("export toy --out file/x", "file: File exists (expected"),
    "export where nothing can be": (f"export toy --out {LONG}", f"{LONG}: File name too long (expected"),
    "scenes into a file": ("data scenes --out file", "file: File exists (expected"),
    "tiny scenes": ("data scenes --out r --size 8x8", "toy scenes of 8x8 pixels (expected at least 16x16)"),
    "crops of nothing": ("data crops nowhere --out r", "nowhere: no such folder (expected"),
    "unknown op": ("gradcheck conv3d", "no op 'conv3d'; the ops are batchnorm2d, batchnorm2d_relu, conv2d"),
    "no epochs": (f"train {TINY} --epochs 0", "epochs: 0 (expected at least 1)"),
    "no batches": (f"train {TINY} --batch-size 0", "batch_size: 0 (expected at least 1)"),
    "pictures for no memory": (f"train {TINY} --size 7000x7000", "size: (7000, 7000) (expected at most 4 Mpx)"),
    "a rate that is no number": (f"train {TINY} --learning-rate nan", "learning_rate: nan (expected a finite number)"),
    "an infinite decay": (f"train {TINY} --weight-decay inf", "weight_decay: inf (expected a finite number)"),
    "an infinite scale": (f"train {TINY} --scale inf inf", "scale: (inf, inf) (expected a tuple of 2, each a finite"),
    "an infinite width": (f"train {TINY} --limit 2 --width 1e999", "width: inf (expected a finite number)"),
    "negative rate": (f"train {TINY} --learning-rate -1", "learning_rate: -1.0 (expected a number above 0)"),
    "negative decay": (f"train {TINY} --weight-decay -1", "weight_decay: -1.0 (expected at least 0)"),
    "a momentum of 1": (f"train {TINY} --momentum 1", "momentum: 1.0 (expected 0 <= momentum < 1)"),
    "a negative seed": (f"train {TINY} --seed -1", "seed: -1 (expected at least 0)"),
    "an impossible flip": (f"train {TINY} --flip 2", "flip: 2.0 (expected a probability, 0..1)"),
    "a scale that shrinks": (f"train {TINY} --scale 0.5 1", "scale: (0.5, 1.0) (expected 1 <= low <= high)"),
    "too much jitter": (f"train {TINY} --color-jitter 1", "color_jitter: 1.0 (expected 0 <= strength < 1)"),
    "a width of nothing": (f"train {TINY} --limit 2 --width 0", "width above 0 and at most 8"),
    "a billion classes": ("summary tiny --num-classes 1000000000", "1..255 classes"),
    "no threads": (f"train {TINY} --limit 2 --threads 0", "threads 0 (expected 1.."),
    "too many threads": (f"train {TINY} --limit 2 --threads 4096", "threads 4096 (expected 1.."),
    "a void that is no byte": (f"train {TINY} --data nowhere --ignore 300", "nowhere: no such folder"),
    "a run without a name": (f"train {TINY} --name=", "--name '' (expected a name of a folder, not a path)"),
    "a path as a name": (f"train {TINY} --name a/b", "--name 'a/b' (expected a name of a folder, not a path)"),
    "the folder above": (f"train {TINY} --name ..", "--name '..' (expected a name of a folder"),
    "a long name": (f"train {TINY} --limit 2 --name {LONG}", f"--name '{LONG}' (expected a name of a folder"),
    "an existing run": (f"train {TINY} --limit 2 --runs . --name run", "run: holds a run already. Choose another"),
    "runs in a file": (f"train {TINY} --limit 2 --runs file", "Not a directory (expected a readable, writable path"),
    "epochs and iterations": (f"train {TINY} --iterations 9", "--epochs: not together with --iterations (expected one"),
    "no iterations": ("train --size 20x28 --width 0.1 --runs r --iterations 0", "iterations: 0 (expected at least 1)"),
    "resume nothing": ("train --resume nowhere", "nowhere/config.json: no such file. Give the folder of a run"),
    "resume an empty folder": ("train --resume empty", "empty/config.json: no such file. Give the folder of a run"),
    "resume a file": ("train --resume file", "file/config.json: cannot be read"),
    "resume a broken run": ("train --resume run", "run/config.json: cannot be read: it has no size. Give the folder"),
    "resume another way": ("train --resume run --epochs 3", "cannot be changed by --epochs (expected --resume alone"),
}  # fmt: skip
DO = ("expected", "Give ", "Choose ", "there are ", "Replace", "Export it", "at most", "has 1..255")


@pytest.mark.parametrize(("command", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(workplace, capsys, command, said):
    assert main(command.split()) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: ")
    assert said in line
    assert any(remedy in line for remedy in DO)
    assert not (workplace / "r").exists()  # nothing is begun that cannot be done


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


DATA = {  # a folder that is made wrong, options, and what the line says
    "all sorts": (spoil, "", "d: files that cannot be used: 4 (d/labels/p0.png, d/labels/p1"),
    "all sorts within a limit": (spoil, "--limit 2", "d: files that cannot be used: 3 (d/labels/p0.png, d/labels/p1"),
    "a value that is no class": (
        one_bad(lambda root: save(root / "labels/p1.png", np.full((H, W), 7, np.uint8))), "",
        "d/labels/p1.png: value 7 at row 0, column 0",
    ),
    "a JPEG label map": (
        one_bad(lambda root: save(root / "labels/p1.png", label_map(), format="JPEG")), "",
        "d/labels/p1.png: the label map is a JPEG",
    ),
    "a label map less": (one_bad(lambda root: (root / "labels/p1.png").unlink()), "", "d/labels/p1.png: no such file"),
    "another size": (
        one_bad(lambda root: save(root / "labels/p1.png", label_map()[:-1])), "",
        f"d/labels/p1.png: the label map has {W} x {H - 1} pixels",
    ),
    "a pipe in a folder": (
        one_bad(lambda root: ((root / "images/p1.png").unlink(), os.mkfifo(root / "images/p1.png"))), "",
        "d/images/p1.png: a pipe or a device",
    ),
    "void all over": (
        one_bad(lambda root: [save(root / f"labels/p{k}.png", np.full((H, W), 255, np.uint8)) for k in range(5)]), "",
        "d train: no pixel is labelled",
    ),
    "void all over, no weights": (
        one_bad(lambda root: [save(root / f"labels/p{k}.png", np.full((H, W), 255, np.uint8)) for k in range(5)]),
        "--class-weights none", "d train: no pixel is labelled",
    ),
    "no pair": (lambda root: [(root / name).mkdir(parents=True) for name in ("images", "labels")], "", "is empty"),
    "a void that is no byte": (five, "--ignore 300", "ignore: 300"),
    "one class": (one_bad(lambda root: (root / "classes.txt").write_text("a")), "", "classes is 1."),
    "a list with a NUL": (listed("images/p0\0.png labels/p0\0.png"), "", "d: files that cannot be used: "),
    "a list of long names": (listed(f"{LONG}.png {LONG}.png"), "", "d: files that cannot be used: "),
    "a list that leads outside": (listed("../x.png ../../x.png"), "", "d: files that cannot be used: "),
    "a list of strangers": (listed("images/p0.png labels/p1.png"), "", "d: files that cannot be used: "),
    "a list of three": (listed("a.png b.png c.png"), "", "d/train.txt: line 1: 'a.png b.png c.png'"),
    "a list that is no text": (
        one_bad(lambda root: (root / "train.txt").write_bytes(b"\xff\xfe\x00")), "", "d/train.txt: cannot be read",
    ),
    "a list that is a pipe": (one_bad(lambda root: os.mkfifo(root / "train.txt")), "", "d/train.txt: a pipe"),
}  # fmt: skip


@pytest.mark.parametrize(("make", "options", "said"), DATA.values(), ids=DATA)
def test_data_that_cannot_be_learned(workplace, capsys, make, options, said):
    make(workplace / "d")
    assert main(f"train --data d {TINY} {options}".split()) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: ")
    assert said in line
    assert not (workplace / "r").exists()


def test_a_pipe_is_no_picture_and_no_checkpoint(workplace, capsys):
    os.mkfifo("pipe.png")
    for command in ("predict toy pipe.png --out o", "predict pipe.png x.png --out o", "evaluate pipe.png"):
        assert main(command.split()) == 2
        (line,) = error_lines(capsys)
        assert line.startswith("error: pipe.png: a pipe or a device")


def test_a_bomb_is_refused(workplace, capsys):
    Image.new("1", (30_000, 30_000)).save("bomb.png")
    assert main(["predict", "toy", "bomb.png", "--out", "o"]) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: bomb.png: ")
    assert "900 Mpx (at most 175)" in line


def test_a_damaged_run_cannot_go_on(workplace, capsys):
    options = ["--epochs", "1", "--size", "20x28", "--width", "0.1", "--limit", "2"]
    assert main(["train", *options, "--runs", "runs", "--name", "x"]) == 0
    capsys.readouterr()
    config, last = (workplace / "runs" / "x" / name for name in ("config.json", "last.safetensors"))
    text = config.read_text()
    config.write_text(text.replace('"limit": 2', '"limit": "x"'))
    assert main(["train", "--resume", "runs/x"]) == 2
    assert error_lines(capsys)[0].startswith("error: runs/x/config.json: not what `train` wrote: limit: 'x'")
    config.write_text(text)
    last.write_bytes(last.read_bytes()[:-100])
    assert main(["train", "--resume", "runs/x"]) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: runs/x/last.safetensors: ")
    assert "Give a .safetensors file" in line


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everything")
@pytest.mark.parametrize("place", ["d/images", "d/images/p1.png", "d", "x.png", "good.safetensors"])
def test_what_may_not_be_read(workplace, capsys, place):
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
        (errno.ENOSPC, 1, "make room"),
        (errno.EIO, 1, "Files that were saved before are unchanged"),
    ],
)
def test_a_place_that_cannot_be_written(workplace, capsys, monkeypatch, number, code, said):
    """Whoever the tests run as."""

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
        (f"train {TINY} --limit 2", "tinysegnet.training.training_step.TrainingStep.run"),
        ("predict toy x.png --out o", "PIL.Image.Image.load"),
        ("summary tiny", "tinysegnet.cli.summary_command.build"),
        ("evaluate toy --limit 1", "tinysegnet.cli.evaluate_command.evaluate"),
    ],
)
def test_too_little_memory_says_what_to_do(workplace, capsys, monkeypatch, command, place):
    def fails(*arguments, **settings):
        raise MemoryError("for an array")

    monkeypatch.setattr(place, fails)
    assert main(command.split()) == 1
    (line,) = error_lines(capsys)
    assert line == "error: not enough memory for an array. Choose a smaller --size, --batch-size or --width"


@pytest.mark.parametrize(
    "command", ["--help", "--help train", "train --help", "data --help", "data crops -h", "predict toy --help"]
)
def test_help_is_no_mistake(capsys, command):
    assert main(command.split()) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "Usage: tinysegnet" in shown.out


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_usage_errors_in_any_terminal(encoding):
    done = subprocess.run(
        [sys.executable, "-m", "tinysegnet", "predict"],
        env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "error: CHECKPOINT and --out: missing. See tinysegnet predict --help\n"


def test_closed_output_is_no_mistake(workplace, monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    assert main(["predict", "good.safetensors", "x.png", "cut.png", "--out", "o"]) == 2
    assert (workplace / "o" / "x_overlay.png").exists()


def test_names_that_the_terminal_cannot_spell(workplace):
    (workplace / "x.png").rename(workplace / "Straße é.png")
    command = [sys.executable, "-m", "tinysegnet", "predict", "good.safetensors", "Straße é.png", "é.png", "--out", "o"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout == "o/Stra\\xdfe \\xe9_overlay.png\n"
    assert "error: \\xe9.png: no such file" in done.stderr
    assert done.returncode == 2
