"""A mistake on the command line is reported in one line that names it and says what to do."""

import errno
import os
import subprocess
import sys
import zlib

import pytest
from mistake_samples import DATA, MISTAKES, TINY, USAGE, five
from PIL import Image

import tinysegnet as ts
from tinysegnet.cli.main import main


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


@pytest.mark.parametrize(("command", "facts"), USAGE.items(), ids=USAGE)
def test_wrong_usage_is_one_line_with_a_pointer_to_the_help(workplace, capsys, command, facts):
    assert main(command.split()) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: ")
    assert [fact for fact in (*facts, "See tinysegnet", "--help") if fact not in line] == []


@pytest.mark.parametrize("command", MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(workplace, capsys, command):
    words, *facts = command
    assert main(words.split()) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: ")
    assert [fact for fact in facts if fact not in line] == []
    assert not (workplace / "r").exists()  # no run was started


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
    for options, facts in ([], ["30000 x 30000", "--full-size"]), (["--full-size"], ["damaged"]):
        assert main(["predict", "toy", "bomb.png", "--out", "o", *options]) == 2
        (line,) = error_lines(capsys)
        assert line.startswith("error: bomb.png: ")
        assert all(fact in line for fact in facts)
        assert not os.listdir("o")


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


def test_too_little_memory_for_a_picture_names_it(workplace, capsys, monkeypatch):
    def fails(*arguments, **settings):
        raise MemoryError("for an array")

    monkeypatch.setattr("PIL.Image.Image.load", fails)
    assert main(["predict", "toy", "x.png", "--out", "o"]) == 2
    (line,) = error_lines(capsys)
    assert line.startswith("error: x.png: there is not enough memory")
    assert all(option in line for option in ("--scale", "--jobs"))


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
