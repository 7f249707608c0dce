"""The examples run as they are written."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(arguments, folder):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_own_pictures(tmp_path):
    """Every block of Python and of commands in the tutorial, in order."""
    text = (EXAMPLES / "own_pictures.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```(python|sh)\n(.*?)^ *```", text, re.M | re.S)
    assert [kind for kind, _ in blocks] == ["python", "sh", "sh", "sh", "sh", "python"]
    for kind, block in blocks:
        if kind == "python":
            run([sys.executable, "-c", textwrap.dedent(block)], tmp_path)
            continue
        for line in block.splitlines():
            program, *arguments = line.split()
            assert program == "tinysegnet"
            run([sys.executable, "-m", "tinysegnet", *arguments], tmp_path)
    assert (tmp_path / "runs" / "fruit" / "report.html").exists()
    assert (tmp_path / "worst.png").exists()
    assert len(list((tmp_path / "fruit-out").glob("*_overlay.png"))) == 10
    assert "banana" in (tmp_path / "walk.html").read_text(encoding="utf-8")


def test_camvid_crops(tmp_path):
    camvid = Path(__file__).parents[2] / "shared" / "camvid"
    if not camvid.exists():
        pytest.skip("needs CamVid beside the repository, in ../shared/camvid")
    script = [sys.executable, str(EXAMPLES / "train_camvid_crops.py"), str(camvid), "--out", "small", "--epochs", "1"]
    assert "trained for" in run(script, tmp_path)


def test_show_predictions(tmp_path):
    run([sys.executable, str(EXAMPLES / "show_predictions.py"), "toy", "--count", "1"], tmp_path)
    assert (tmp_path / "predictions.png").stat().st_size > 10_000


def test_show_walk(tmp_path):
    pytest.importorskip("playwright")
    assert run([sys.executable, str(EXAMPLES / "show_walk.py")], tmp_path).startswith("walk.html  ")
    assert (tmp_path / "walk.png").exists() == bool(shutil.which("chromium"))


def test_every_model(tmp_path):
    """Two of them, small; the second call finds them done."""
    script = [sys.executable, str(EXAMPLES / "every_model.py"), "--width", "0.05", "--epochs", "1", "--limit", "4"]
    for _ in range(2):
        table = run([*script, "--out", "table", "tiny", "article-road"], tmp_path)
    assert [line.split()[0] for line in table.splitlines()] == ["model", "tiny", "article-road"]


def test_show_doubt(tmp_path):
    trained = [
        sys.executable,
        "-m",
        "tinysegnet",
        "train",
        "--model",
        "bayesian-basic",
        "--width",
        "0.1",
        "--limit",
        "2",
    ]
    run([*trained, "--epochs", "1", "--name", "b"], tmp_path)
    run([sys.executable, str(EXAMPLES / "show_doubt.py"), "runs/b/last.safetensors", "--samples", "2"], tmp_path)
    assert (tmp_path / "doubt.png").stat().st_size > 10_000
