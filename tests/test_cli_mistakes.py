"""What people get wrong on the command line: an exit code, and one line that names it and says what to do."""

import os
import subprocess
import sys

import pytest
from PIL import Image

import tinysegnet as ts
from tinysegnet.cli import main


def error_lines(capsys):
    """What stands on stderr, less progress bars; every line of it is an error or a warning."""
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    lines = [
        line for line in lines if line.strip() and "it/s" not in line and "picture" not in line[:60].split(": ")[0]
    ]
    return lines


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    ts.save(tmp_path / "good.safetensors", ts.build("tiny", width=1 / 16))
    (tmp_path / "text.safetensors").write_text("hello")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text("{}")
    Image.new("RGB", (20, 12)).save(tmp_path / "x.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


USAGE = {
    "": "tinysegnet: no command given (expected train, evaluate,",
    "trian": "trian: no such command (did you mean train?). See tinysegnet --help",
    "data": "tinysegnet data: no command given (expected check, crops,",
    "data chekc": "chekc: no such command (did you mean check?). See tinysegnet data --help",
    "xyz": "xyz: no such command (expected train, ",
    "--bogus train": "--bogus: no such option",
    "train --epchs 3": "train --epchs: no such option (did you mean --epochs?). See tinysegnet train --help",
    "train --batchsize=3": "train --batchsize: no such option (did you mean --batch-size?)",
    "data crops d --otu x": "data crops --otu: no such option (did you mean --out?). See tinysegnet data crops --help",
    "train --lr 3": "train --lr: no such option (expected one of those in the help)",
    "train -x": "train -x: no such option",
    "train extra": "train extra: a word too many",
    "train --deterministic yes": "train yes: a word too many",
    "train --epochs many": "train --epochs: 'many' is not a whole number (expected one such as 8)",
    "train --epochs": "train --epochs: too few values (expected 1)",
    "train --epochs 1e3": "train --epochs: '1e3' is not a whole number",
    "train --seed 1.5": "train --seed: '1.5' is not a whole number",
    "train --ignore x": "train --ignore: 'x' is not a whole number",
    "evaluate toy --limit x": "evaluate --limit: 'x' is not a whole number",
    "train --flip=": "train --flip: '' is not a number",
    "train --scale 1": "train --scale: too few values (expected 2)",
    "train --scale 1 2 3": "train 3: a word too many",
    "train --scale inf inf": "train --scale: 'inf' is not a number (expected a finite one",
    "train --learning-rate nan": "train --learning-rate: 'nan' is not a number",
    "train --weight-decay inf": "train --weight-decay: 'inf' is not a number",
    "train --width 1e999": "train --width: '1e999' is not a number",
    "predict toy x.png --out o --scale inf": "predict --scale: 'inf' is not a number",
    "train --size 96,128": "train --size: '96,128' is not a size (expected HEIGHTxWIDTH, such as 96x128)",
    "train --size 48": "train --size: '48' is not a size",
    "train --size 0x0": "train --size: '0x0' is not a size",
    "train --size 99999x99999": "train --size: '99999x99999' is too large (expected at most 50 Mpx)",
    "train --model resnet": "train --model: 'resnet' (expected tiny, basic, vgg16). See tinysegnet train --help",
    "train --optimizer SGD": "train --optimizer: 'SGD' (expected sgd, adam)",
    "train --classes foo": "train --classes: 'foo' (expected merged, all)",
    "summary resnet": "'resnet' (expected tiny, basic, vgg16)",
    "summary": "summary {tiny,basic,vgg16}: missing",
    "predict": "predict CHECKPOINT and --out PATH: missing. See tinysegnet predict --help",
    "export toy": "export --out PATH: missing",
}


@pytest.mark.parametrize(("command", "said"), USAGE.items(), ids=USAGE)
def test_wrong_usage_is_one_line_and_exit_code_2(workplace, capsys, command, said):
    assert main(command.split()) == 2
    (line,) = error_lines(capsys)
    assert line.startswith(f"error: {said}" if not said.startswith("'") else "error: ")
    assert said in line
    assert "See tinysegnet" in line
    assert "--help" in line


@pytest.mark.parametrize("command", ["--help", "train --help", "data --help", "data crops -h", "predict toy --help"])
def test_help_is_no_mistake(capsys, command):
    with pytest.raises(SystemExit) as end:
        main(command.split())
    assert end.value.code == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert "usage: tinysegnet" in shown.out


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_usage_errors_in_any_terminal(encoding):
    done = subprocess.run(
        [sys.executable, "-m", "tinysegnet", "predict"],
        env={**os.environ, "PYTHONIOENCODING": encoding}, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "error: predict CHECKPOINT and --out PATH: missing. See tinysegnet predict --help\n"
