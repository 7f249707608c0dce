"""The examples and the Python code of the pages run as written, and published figures match their sources."""

import os
import re
import runpy
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from backends import numpy_in_the_short_form  # noqa: F401
from filelock import FileLock
from forms import LONG, amount
from import_samples import box, labelme
from PIL import Image

import tinysegnet as ts
from tinysegnet.bench import table
from tinysegnet.bench.measure import BenchSettings, Measurement, Result
from tinysegnet.bench.ours import Limits
from tinysegnet.bench.workloads import WORKLOADS
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, toyscenes
from tinysegnet.models import models
from tinysegnet.training import recipes
from tinysegnet.viz.figures import figure_bytes
from tinysegnet_lessons.figures import roofline_figure

ROOT = Path(__file__).parents[1]
EXAMPLES, PAGES = ROOT / "examples", ROOT / "lessons" / "site" / "pages"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run an example in this process, in an empty folder, and return its output."""
    before = dict(models)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLES)  # as Python does for a script

    def run(script, *arguments):
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / script), run_name="__main__")
        return capsys.readouterr().out

    yield run
    models.clear()  # camvid_ablation.py adds models
    models.update(before)


@pytest.fixture
def refused(run, capsys):
    """Run an example that must exit with an error, and return the last line of the message."""

    def refused(script, *arguments):
        with pytest.raises(SystemExit) as stopped:
            run(script, *arguments)
        message = stopped.value.code if isinstance(stopped.value.code, str) else capsys.readouterr().err
        assert stopped.value.code
        return message.splitlines()[-1]

    return refused


def write_streets(folder, count):
    """Write a folder of toy streets, two thirds for training, with file names like those of two CamVid drives."""
    streets = toyscenes.ToyScenes(size=(24, 32), count=count)
    for number in range(count):
        split, street = ("train", "val")[number % 3 == 2], streets[number]
        for kind, array in (("images", street.image), ("labels", street.labels)):
            (folder / split / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / split / kind / f"{('0006R0', '0001TP')[number % 2]}_{number}.png")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in (*CAMVID.names, "void")))


# --- pages ------------------------------------------------------------------------------------------------------------


def blocks(page, *kinds):
    text = (PAGES / page).read_text(encoding="utf-8")
    return [(kind, textwrap.dedent(code)) for kind, code in re.findall(r"^ *```(\w+)\n(.*?)^ *```", text, re.M | re.S)
            if kind in kinds]  # fmt: skip


@pytest.mark.long
def test_own_pictures_runs_block_by_block(tmp_path, monkeypatch):
    """Only the number of training steps, which takes minutes, is smaller."""
    monkeypatch.setattr(recipes, "STEPS_PER_ROOT", recipes.STEPS_PER_ROOT / 20)
    monkeypatch.chdir(tmp_path)
    labelme(tmp_path / "photos", "bowl", [box("apple", 2, 3, 9, 9), box("banana", 12, 3, 19, 9)])
    (tmp_path / "photos" / "labels.txt").write_text("_background_\napple\nbanana\n")
    found = blocks("own_pictures.md", "python", "sh")
    assert [kind for kind, _ in found] == ["sh", "python", "sh", "sh", "sh", "sh", "sh", "python"]
    for kind, block in found:
        if kind == "python":
            exec(compile(block, "own_pictures.md", "exec"), {"__name__": "page"})
            continue
        for line in block.splitlines():
            program, *arguments = line.split()
            assert program == "tinysegnet"
            assert main(arguments) == 0, line
    assert "banana" in (tmp_path / "bowls" / "classes.txt").read_text()
    assert (tmp_path / "runs" / "fruit" / "report.html").exists()
    assert (tmp_path / "worst.png").exists()
    assert len(list((tmp_path / "fruit-out").glob("*_overlay.png"))) == 10
    assert "banana" in (tmp_path / "walk.html").read_text(encoding="utf-8")


def test_the_python_page_runs_block_by_block(capsys, monkeypatch):
    tensorboard = Mock()
    for module in ("torch", "torch.utils", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, module, tensorboard)
    names = {}
    for _, block in blocks("python.md", "python"):
        exec(compile(block, "python.md", "exec"), names)
    assert names["classes"].shape == names["street"].labels.shape
    last = names["result"].history[-1]
    names["writer"].add_scalar.assert_any_call("val_mIoU", last["val_mIoU"], 2)
    assert "ok" in capsys.readouterr().out


def test_published_decoder_study_is_drawn_from_its_lines(tmp_path, run):
    shutil.copytree(EXAMPLES / "results", tmp_path / "results")
    (tmp_path / "results" / "table.md").unlink()
    run("decoder_study.py", "--draw", "--out", "results")
    table = (tmp_path / "results" / "table.md").read_text()
    assert table == (EXAMPLES / "results" / "table.md").read_text()
    assert set(table.splitlines()) <= set((PAGES / "decoder_study.md").read_text(encoding="utf-8").splitlines())


def test_models_page_lists_every_model_with_its_weights():
    rows = re.findall(r"^\| `([\w-]+)` \| .* \| ([\d,]+) \| [\d.]+ \| [\d.]+ \| \d+ \|$",
                      (PAGES / "models.md").read_text(encoding="utf-8"), re.M)  # fmt: skip
    assert [name for name, _ in rows] == list(models)
    for name, published in rows[:1] + rows[5:]:  # the others are large, and tests/models counts their parameters
        model = ts.build(name, 1 if name == "article" else 11)
        weights = sum(array.size for _, array in model.named_parameters() if array.ndim > 1)
        assert f"{weights:,}" == published, name


def test_benchmarks_page_has_a_row_for_every_workload():
    text = (PAGES / "benchmarks.md").read_text(encoding="utf-8")
    assert [workload.name for workload in WORKLOADS if f"\n{workload.name:<20}" not in text] == []


def test_correctness_page_has_a_row_for_every_op():
    text = (PAGES / "correctness.md").read_text(encoding="utf-8")
    assert [name for name in ts.ops.REGISTRY if f"\n{name} [numpy]" not in text] == []


# --- examples ---------------------------------------------------------------------------------------------------------


@pytest.mark.long
def test_train_camvid_crops(run):
    camvid = Path(__file__).parents[2] / "shared" / "camvid"
    if not camvid.exists():
        pytest.skip("needs CamVid beside the repository, in ../shared/camvid")
    assert "Trained for" in run("train_camvid_crops.py", camvid, "--out", "small", "--epochs", 1)


def test_show_predictions_draws_a_picture(tmp_path, run, refused):
    run("show_predictions.py", "toy", "--count", 1)
    assert (tmp_path / "predictions.png").stat().st_size > 10_000
    assert "200 pictures" in refused("show_predictions.py", "toy", "--first", 199)


def test_show_predictions_ranks_only_labelled_pictures(tmp_path, run):
    """One of the three pictures has no labels, so the picture has two rows for every value of --extremes."""
    write_streets(tmp_path / "streets", 9)
    labels = sorted((tmp_path / "streets" / "val" / "labels").iterdir())
    Image.fromarray(np.full((24, 32), CAMVID.ignore_label, np.uint8)).save(labels[0])
    heights = []
    for extremes in (1, 5):
        run("show_predictions.py", "toy", "streets", "--extremes", extremes)
        heights.append(Image.open(tmp_path / "predictions.png").height)
    assert heights[0] == heights[1]


@pytest.mark.long
def test_show_streets_and_pool_arrows_draw_all_variants(tmp_path, run):
    run("show_streets.py")
    run("show_pool_arrows.py")
    assert {path.name for path in tmp_path.iterdir()} == {
        path.name for kind in ("toy_streets", "pool_arrows") for path in EXAMPLES.glob(f"{kind}*.png")
    }
    for path in tmp_path.iterdir():
        assert Image.open(path).size == Image.open(EXAMPLES / path.name).size, path.name


@pytest.mark.parametrize("peers", [True, False])
def test_roofline_draws_a_benchmark(tmp_path, run, peers):
    """One workload with a wrong result has no time, and therefore no dot."""
    measured = {"torch": Measurement("NHWC", 0.05)} if peers else {}
    results = [Result(workload, Measurement("", 0.02), measured) for workload in WORKLOADS[:-1]]
    printed = table.as_json({"processor": "a processor"}, BenchSettings(threads=2), Limits(60e9, 100e9, 20e9, 50e9),
                            [*results, Result(WORKLOADS[-1], Measurement(wrong="no"))])  # fmt: skip
    (tmp_path / "bench.json").write_text(printed)
    assert run("roofline.py", "bench.json") == "roofline.png\n"
    assert (tmp_path / "roofline.png").read_bytes().startswith(b"\x89PNG")


def test_roofline_without_workloads_has_roofs():
    assert figure_bytes(roofline_figure([], 100e9, 20e9))


@pytest.mark.long
def test_show_walk_writes_the_page_and_its_pictures(tmp_path):
    """Run the example in a separate process because of playwright. The short form of this claim is in tests/walk."""
    pytest.importorskip("playwright")
    packages = os.pathsep.join([str(ROOT), str(ROOT / "lessons")])
    done = subprocess.run([sys.executable, str(EXAMPLES / "show_walk.py")], cwd=tmp_path, check=True,
                          env={**os.environ, "PYTHONPATH": packages}, capture_output=True, text=True)  # fmt: skip
    assert done.stdout.startswith("walk.html  ")
    assert len(list(tmp_path.glob("walk*.png"))) == 4 * bool(shutil.which("chromium"))


@pytest.mark.long
def test_every_model_trains_each_model_once(run):
    for _ in range(2):
        table = run("every_model.py", "--width", 0.05, "--epochs", 1, "--limit", 2, "--out", "table", "tiny",
                    "article-road")  # fmt: skip
    assert [line.split()[0] for line in table.splitlines()] == ["model", "tiny", "article-road"]


def test_show_uncertainty_draws_a_bayesian_network(tmp_path, run):
    ts.save("b.safetensors", ts.build("bayesian-basic", 11, width=0.1))
    run("show_uncertainty.py", "b.safetensors", "--samples", 2)
    assert (tmp_path / "uncertainty.png").stat().st_size > 10_000


@pytest.mark.long
def test_decoder_study_shares_and_resumes_its_runs(tmp_path, run):
    """The script skips a run that another process is training. A run that was killed early starts again, and only
    runs without a line are trained. The short form trains one decoder with both kinds of class weights.
    """
    write_streets(tmp_path / "streets", 6)
    small = ["--epochs", 1, "--seeds", 1, "--width", 0.05, "--size", 24, 32]
    if not LONG:
        small += ["--decoders", "bilinear-interpolation"]
    count = amount(2, 13)
    out = tmp_path / "runs" / "decoder-study"
    begun = out / "networks" / "bilinear-interpolation-natural-0"
    begun.mkdir(parents=True)
    with FileLock(begun / ".lock").acquire(blocking=False):
        found = run("decoder_study.py", "streets", *small)
    assert len(re.findall(r"^training ", found, re.M)) == count - 1
    assert "still training" in found
    assert not (out / "times.csv").exists()
    (begun / "run").mkdir()
    (begun / "run" / "config.json").write_text("{}")
    found = run("decoder_study.py", "streets", *small)
    assert re.findall("training .*", found) == ["training bilinear-interpolation natural 0"]
    assert len(re.findall(r"^\| .* \| (?:median frequency|natural) \|", found, re.M)) == count
    assert "no verdicts" in found
    assert "holds" not in found
    lines = (out / "runs.csv").read_text().splitlines()
    shutil.rmtree(out / "networks" / "bilinear-interpolation-natural-0")
    assert re.findall("training .*", run("decoder_study.py", "streets", *small)) == [
        "training bilinear-interpolation natural 0"
    ]
    again = (out / "runs.csv").read_text().splitlines()
    assert [line.split(",")[:9] for line in again] == [line.split(",")[:9] for line in lines]
    assert (out / "decoders.png").stat().st_size > 10_000


def test_decoder_study_refuses_in_one_line(tmp_path, refused):
    """The refused commands leave the lines of a study unchanged."""
    write_streets(tmp_path / "streets", 3)
    shutil.copytree(EXAMPLES / "results", tmp_path / "results")
    (tmp_path / "begun" / "networks").mkdir(parents=True)
    (tmp_path / "begun" / "settings.json").write_text('{"epochs": 3, "width": 0.5, "size": [90, 120], "limit": null}')
    for arguments, facts in (
        (["streets", "--seeds", 0], ["--seeds", "0"]),
        (["--draw", "--out", "nowhere"], ["nowhere", "runs.csv"]),
        (["streets", "--out", "results"], ["runs.csv", "networks"]),
        (["streets", "--out", "begun"], ["begun", "'epochs': 3", "'epochs': 40"]),
        (["nowhere"], ["nowhere"]),
    ):
        message = refused("decoder_study.py", *arguments)
        assert [fact for fact in facts if fact not in message] == [], message
    assert (tmp_path / "results" / "runs.csv").read_bytes() == (EXAMPLES / "results" / "runs.csv").read_bytes()


@pytest.mark.long
def test_camvid_ablation_keeps_trained_networks(tmp_path, run, monkeypatch):
    """Train a network on one picture for one epoch. The second call finds the trained network."""
    fit = ts.fit
    monkeypatch.setattr(ts, "fit", lambda *data, recipe: fit(*data, recipe=replace(recipe, epochs=1, validate_every=1)))
    write_streets(tmp_path / "streets", 9)
    asked = ["streets", "--limit", 1, "--out", "ablation", "brief-weaker-augmentation"]
    lines = [run("camvid_ablation.py", *asked).splitlines()[-1] for _ in range(2)]
    assert lines[0].split("|")[5:] == lines[1].split("|")[5:]
    assert (tmp_path / "ablation" / "limit-1" / "table.md").read_text().splitlines()[-1] == lines[1]
