"""The examples run as they are written."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from tinysegnet.bench import table
from tinysegnet.bench.measure import BenchSettings, Result
from tinysegnet.bench.workloads import WORKLOADS
from tinysegnet.data import CAMVID, toyscenes
from tinysegnet.viz.figures import figure_bytes
from tinysegnet_lessons.figures import roofline_figure

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(arguments, folder):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    packages = os.pathsep.join([str(EXAMPLES.parent), str(EXAMPLES.parent / "lessons")])
    environment = {**os.environ, "PATH": path, "PYTHONPATH": packages}
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
    script = [sys.executable, str(EXAMPLES / "show_predictions.py"), "toy"]
    run([*script, "--count", "1"], tmp_path)
    assert (tmp_path / "predictions.png").stat().st_size > 10_000
    done = subprocess.run([*script, "--first", "199"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "there are 200 pictures" in done.stderr.splitlines()[-1]


def test_show_the_best_and_the_worst(tmp_path):
    """Of three pictures, one of them without labels: two rows, however many are asked for."""
    write_streets(tmp_path / "streets", 9)
    labels = sorted((tmp_path / "streets" / "val" / "labels").iterdir())
    Image.fromarray(np.full((24, 32), CAMVID.ignore_label, np.uint8)).save(labels[0])
    script = [sys.executable, str(EXAMPLES / "show_predictions.py"), "toy", "streets", "--extremes"]
    heights = []
    for extremes in ("1", "5"):
        run([*script, extremes], tmp_path)
        heights.append(Image.open(tmp_path / "predictions.png").height)
    assert heights[0] == heights[1]


@pytest.mark.parametrize("peers", [True, False])
def test_the_roofline_is_a_picture(tmp_path, peers):
    """A workload with a wrong result was not timed, and has no dot."""
    results = [Result(workload, 0.02, 0.05 if peers else None) for workload in WORKLOADS[:-1]]
    printed = table.as_json({"processor": "a processor"}, BenchSettings(None, 2), (100e9, 20e9),
                            [*results, Result(WORKLOADS[-1], wrong="no")])  # fmt: skip
    (tmp_path / "bench.json").write_text(printed)
    assert run([sys.executable, str(EXAMPLES / "roofline.py"), "bench.json"], tmp_path) == "roofline.png\n"
    assert (tmp_path / "roofline.png").read_bytes().startswith(b"\x89PNG")


def test_a_roofline_without_workloads_has_roofs():
    assert figure_bytes(roofline_figure([], 100e9, 20e9))


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


def test_show_uncertainty(tmp_path):
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
    run([sys.executable, str(EXAMPLES / "show_uncertainty.py"), "runs/b/last.safetensors", "--samples", "2"], tmp_path)
    assert (tmp_path / "uncertainty.png").stat().st_size > 10_000


def write_streets(folder, count):
    """Toy streets as a folder of one's own, two thirds to train on, of CamVid's two kinds of names."""
    streets = toyscenes.ToyScenes(size=(24, 32), count=count)
    for number in range(count):
        split, street = ("train", "val")[number % 3 == 2], streets[number]
        for kind, array in (("images", street.image), ("labels", street.labels)):
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / split / kind / f"{('0006R0', '0001TP')[number % 2]}_{number}.png")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in (*CAMVID.names, "void")))


def test_decoder_study(tmp_path):
    """Small: a run that another process has begun is left to it, one that was killed early begins anew, and a line that
    is missing is the only one that is trained for again.
    """
    write_streets(tmp_path / "streets", 6)
    small = ["--epochs", "1", "--seeds", "1", "--width", "0.05", "--size", "24", "32"]
    script = [sys.executable, str(EXAMPLES / "decoder_study.py"), "streets", *small]
    out = tmp_path / "runs" / "decoder-study"
    begun = out / "networks" / "basic-natural-0"
    begun.mkdir(parents=True)
    with FileLock(begun / ".lock").acquire(blocking=False):
        found = run(script, tmp_path)
    assert len(re.findall(r"^training ", found, re.M)) == 12
    assert "another process still trains" in found
    assert not (out / "times.csv").exists()
    (begun / "run").mkdir()
    (begun / "run" / "config.json").write_text("{}")
    found = run(script, tmp_path)
    assert re.findall("training .*", found) == ["training basic natural 0"]
    assert len(re.findall(r"^\| .* \| (?:median frequency|natural) \|", found, re.M)) == 13
    assert "no verdicts" in found
    assert "holds" not in found
    lines = (out / "runs.csv").read_text().splitlines()
    shutil.rmtree(out / "networks" / "fcn-basic-natural-0")
    assert re.findall("training .*", run(script, tmp_path)) == ["training fcn-basic natural 0"]
    again = (out / "runs.csv").read_text().splitlines()
    assert [line.split(",")[:9] for line in again] == [line.split(",")[:9] for line in lines]
    assert (out / "decoders.png").stat().st_size > 10_000


def test_decoder_study_refuses(tmp_path):
    """In one line, and no line of a study is lost."""
    write_streets(tmp_path / "streets", 3)
    shutil.copytree(EXAMPLES / "results", tmp_path / "results")
    (tmp_path / "begun" / "networks").mkdir(parents=True)
    (tmp_path / "begun" / "settings.json").write_text('{"epochs": 3, "width": 0.5, "size": [90, 120], "limit": null}')
    for arguments, complaint in (
        (["streets", "--seeds", "0"], "0 (expected at least 1)"),
        (["--draw", "--out", "nowhere"], "runs.csv: no such file"),
        (["streets", "--out", "results"], "the networks of these lines are not here"),
        (["streets", "--out", "begun"], "has runs with {'epochs': 3"),
        (["nowhere"], "nowhere"),
    ):
        script = [sys.executable, str(EXAMPLES / "decoder_study.py"), *arguments]
        done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode, arguments
        assert complaint in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    assert (tmp_path / "results" / "runs.csv").read_bytes() == (EXAMPLES / "results" / "runs.csv").read_bytes()


def test_the_published_study_is_drawn_from_its_lines(tmp_path):
    shutil.copytree(EXAMPLES / "results", tmp_path / "results")
    (tmp_path / "results" / "table.md").unlink()
    run([sys.executable, str(EXAMPLES / "decoder_study.py"), "--draw", "--out", "results"], tmp_path)
    table = (tmp_path / "results" / "table.md").read_text()
    assert table == (EXAMPLES / "results" / "table.md").read_text()
    readme = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8").splitlines()
    assert set(table.splitlines()) <= set(readme)


def test_camvid_ablation(tmp_path):
    """One of its networks, on few pictures; the second call finds it trained."""
    write_streets(tmp_path / "streets", 9)
    script = [sys.executable, str(EXAMPLES / "camvid_ablation.py"), "streets", "--limit", "2", "--out", "ablation"]
    lines = [run([*script, "brief-weaker-augmentation-180x240"], tmp_path).splitlines()[-1] for _ in range(2)]
    assert lines[0].split("|")[5:] == lines[1].split("|")[5:]
    assert (tmp_path / "ablation" / "limit-2" / "table.md").read_text().splitlines()[-1] == lines[1]
