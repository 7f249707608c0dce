"""Commands print their results, write files and return exit codes."""

import contextlib
import csv
import io
import json
import math
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import tinysegnet as ts
from tinysegnet.cli import train_command
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID
from tinysegnet.weights import checkpoint

FILES = ["scores.csv", "confusion.csv", "confusion.png", "per_class.png"]  # of evaluate --out


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """The folder of a small run, and what the command printed to stderr and stdout."""
    runs = tmp_path_factory.mktemp("runs")
    options = ["--limit", "2", "--epochs", "1", "--size", "20x28", "--width", "0.1", "--name", "first"]
    with contextlib.redirect_stderr(io.StringIO()) as err, contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["train", *options, "--runs", str(runs)]) == 0
    return runs / "first", err.getvalue(), out.getvalue()


@pytest.fixture
def trained(training):
    return training[0]


def test_train_leaves_a_report_and_checkpoints(trained):
    assert (trained / "report.html").stat().st_size > 10_000
    loaded = checkpoint.read(trained / "best.safetensors")
    assert loaded.size == (20, 28)
    assert loaded.model.config["width"] == 0.1


def test_train_names_its_checkpoints_and_the_next_command(trained, training):
    lines = training[2].splitlines()
    for name in ("best", "last"):
        (line,) = [line for line in lines if line.startswith(f"{name}: ")]
        assert re.search(r"epoch 1, mIoU 0\.\d{3}", line)
        assert str(trained / f"{name}.safetensors") in line
    assert f"tinysegnet predict {trained / 'last.safetensors'} " in lines[-1]  # there are few validation pictures


def test_the_best_checkpoint_is_that_of_the_first_highest_score(tmp_path):
    scores = (0.1, 0.3, math.nan, 0.3, 0.2)
    history = [{"epoch": epoch, "val_mIoU": mIoU} for epoch, mIoU in enumerate(scores, start=1)]
    best, last = train_command._checkpoints(tmp_path, history).splitlines()
    assert best.startswith("best: epoch 2, mIoU 0.300, ")
    assert last.startswith("last: epoch 5, mIoU 0.200, ")


def test_evaluate_without_data_uses_the_data_of_the_training(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "scenes", "--count", "5", "--out", "streets"]) == 0
    options = "--epochs 1 --size 20x28 --width 0.1 --test-scales 1 --no-mirror --name one --one-class Sky"
    assert main(["train", "--data", "streets", *options.split()]) == 0
    assert main(["data", "scenes", "--count", "5", "--seed", "9", "--out", "other"]) == 0
    capsys.readouterr()
    weights = "runs/one/best.safetensors"
    assert checkpoint.read(weights).prediction["mirror"] is False  # although the recipe for a folder says True
    assert "<title>tiny on streets: Sky or not ·" in (tmp_path / "runs/one/report.html").read_text()
    assert main(["evaluate", weights]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == "streets, split val: 1 picture"
    assert "not Sky" in out
    assert "--one-class Sky" in err
    assert main(["evaluate", weights, "--split", "train", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["data"], found["split"], found["images"]) == ("streets", "train", 4)
    assert main(["evaluate", weights, "--data", "other", "--no-baseline"]) == 0
    assert capsys.readouterr().out.startswith("other, split val: 1 picture\n")
    loaded = checkpoint.read(weights)
    checkpoint.save(weights, loaded.model, palette=loaded.palette, training={"size": loaded.size})
    assert main(["evaluate", weights, "--no-baseline"]) == 0  # config.json also records the label options
    assert "--one-class Sky" in capsys.readouterr().err

    shutil.move("streets", "elsewhere")
    assert main(["evaluate", weights]) == 2
    err = capsys.readouterr().err
    assert "runs/one/config.json" in err
    assert "streets" in err
    assert "--data" in err


@pytest.mark.parametrize("config", [None, "{}", '{"size": [20, 28]}', '{"size": [20, 28], "data": 3}', "not JSON"])
def test_evaluate_needs_data_for_a_checkpoint_without_its_run(trained, tmp_path, capsys, config):
    moved = shutil.copy(trained / "best.safetensors", tmp_path / "moved.safetensors")
    if config:
        (tmp_path / "config.json").write_text(config)
    assert main(["evaluate", str(moved), "--limit", "1"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: --data is missing")
    assert str(moved) in err
    assert err.count("\n") == 1
    assert main(["evaluate", str(moved), "--limit", "1", "--data", "toy"]) == 0


def test_evaluate_scores_the_bundled_network_on_toy_scenes(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.json").write_text('{"size": [20, 28], "data": "streets"}')  # of another run
    assert main(["evaluate", "toy", "--limit", "1", "--no-baseline", "--no-boundary"]) == 0
    assert capsys.readouterr().out.startswith("toy scenes, split val: 1 picture\n")


def test_names_that_look_like_json_are_names(trained, tmp_path, capsys):
    for name in ("[1].png", "{a}.png"):
        Image.new("RGB", (20, 12)).save(tmp_path / name)
    pictures = [str(tmp_path / name) for name in ("[1].png", "{a}.png")]
    assert main(["predict", str(trained / "best.safetensors"), *pictures, "--out", str(tmp_path / "o")]) == 0
    assert (tmp_path / "o" / "[1]_overlay.png").exists()


def test_evaluate_prints_one_json_object(trained, capsys):
    assert main(["evaluate", str(trained / "last.safetensors"), "--limit", "3", "--json"]) == 0
    out, err = capsys.readouterr()
    scores = json.loads(out)
    assert {"G", "C", "mIoU", "IoU", "images"} <= set(scores)
    assert (scores["data"], scores["split"]) == ("toy", "val")
    assert 0 <= scores["BF"] <= scores["BF_by_distance"] <= 1
    assert scores["intervals"] is None
    assert "no confidence intervals" in err
    assert "41" in err
    assert scores["images"] == 3
    assert set(scores["IoU"]) == set(CAMVID.names)
    assert 0 <= scores["G"] <= 1


def test_evaluate_prints_a_table_and_the_files_that_it_wrote(trained, tmp_path, capsys):
    assert main(["evaluate", str(trained / "last.safetensors"), "--limit", "3", "--out", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[-4:] == [str(tmp_path / name) for name in FILES]
    assert all(name in text for name in CAMVID.names)
    assert "position prior: IoU" in text
    assert "one to one" in text


def test_predict_writes_an_overlay_of_any_picture(trained, tmp_path, capsys):
    picture = tmp_path / "my street.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (45, 61, 3)).astype(np.uint8)).save(picture)
    out = tmp_path / "out"
    assert main(["predict", str(trained / "best.safetensors"), str(picture), "--out", str(out)]) == 0
    written = out / "my street_overlay.png"
    assert capsys.readouterr().out.strip() == str(written)
    with Image.open(written) as overlay:
        assert overlay.width >= 61


def test_evaluate_writes_pictures_and_the_baseline(trained, tmp_path, capsys):
    command = ["evaluate", str(trained / "last.safetensors"), "--limit", "3", "--out", str(tmp_path / "e"), "--json"]
    assert main(command) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert 0 < result["baselines"]["position prior"]["mIoU"] < 1
    assert result["floors"] == result["baselines"]  # version 0.1 used this name
    assert err.splitlines()[-4:] == [str(tmp_path / "e" / name) for name in FILES]
    assert {path.name for path in (tmp_path / "e").iterdir()} == set(FILES)
    header, *rows = csv.reader((tmp_path / "e" / "confusion.csv").read_text().splitlines())
    assert header == ["true class", *CAMVID.names] == ["true class", *result["classes"]]
    assert rows == [[name, *map(str, row)] for name, row in zip(CAMVID.names, result["confusion"], strict=True)]
    table = {row.pop("name"): row for row in csv.DictReader((tmp_path / "e" / "scores.csv").read_text().splitlines())}
    assert list(table) == [*CAMVID.names, "G", "C", "mIoU", "BF", "BF_by_distance"]
    for name, row in zip(CAMVID.names, result["confusion"], strict=True):
        assert int(table[name]["pixels"]) == sum(row) == result["pixels"][name]
        assert table[name]["IoU"] == ("" if result["IoU"][name] is None else str(result["IoU"][name]))
    assert (float(table["G"]["average"]), table["G"]["low"], table["Sky"]["average"]) == (result["G"], "", "")
    assert main([*command[:4], "--no-baseline", "--no-boundary"]) == 0
    out = capsys.readouterr().out
    assert not any(name in out for name in ("position prior", "BF"))


def test_summary_counts_parameters(capsys):
    assert main(["summary", "basic", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["parameters"] == 1_416_587
    assert main(["summary", "vgg16", "--size", "45x61"]) == 0
    assert "29,449,355" in capsys.readouterr().out


def test_gradcheck_prints_a_table(capsys):
    assert main(["gradcheck", "relu"]) == 0
    assert "relu" in capsys.readouterr().out


def test_a_wrong_gradient_gives_exit_code_1(capsys, monkeypatch):
    forward, backward = ts.ops.REGISTRY["relu"].variants["numpy"]
    wrong = ts.ops.Variant(forward, lambda dout, cache: 1.001 * backward(dout, cache))
    monkeypatch.setitem(ts.ops.REGISTRY["relu"].variants, "numpy", wrong)
    assert main(["gradcheck", "relu"]) == 1


def test_doctor_describes_the_installation(capsys):
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["numpy"] == np.__version__
    assert {"BLAS", "threads", "kernel cache", "processor"} <= set(facts)


def test_doctor_clears_the_cache_and_nothing_else(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TINYSEGNET_CACHE", str(tmp_path / "cache"))
    kernels = [tmp_path / "cache" / version / "ops" / "a.nbc" for version in ("0123456789abcdef", "fedcba9876543210")]
    for path in (*kernels, tmp_path / "cache" / "mine" / "file"):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(500_000))
    assert main(["doctor", "--clear-cache"]) == 0
    assert "2 files, 1.0 MB" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mine"]
    (tmp_path / "cache" / "mine" / "file").unlink()
    (tmp_path / "cache" / "mine").rmdir()
    assert main(["doctor", "--clear-cache"]) == 0
    assert not (tmp_path / "cache").exists()


@pytest.mark.long  # because it compiles every kernel
def test_warmup_compiles_the_kernels(capsys):
    assert main(["warmup"]) == 0
    assert "ready" in capsys.readouterr().out


def test_drawn_scenes_are_a_data_set_with_baselines(tmp_path, capsys):
    assert main(["data", "scenes", "--count", "2", "--out", str(tmp_path / "s")]) == 0
    assert [len(list((tmp_path / "s" / kind).iterdir())) for kind in ("images", "labels", "overlays")] == [2, 2, 2]
    assert main(["data", "check", str(tmp_path / "s")]) == 0
    capsys.readouterr()
    assert main(["data", "baselines", "--limit", "5", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == {"position prior", "colour", "colour and position"}


def test_old_names_work_with_a_note(trained, capsys):
    assert main(["data", "floors", "--limit", "2", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err.startswith("note: `data floors` is now `data baselines`; the old name will be removed in version")
    assert "position prior" in json.loads(out)
    assert main(["evaluate", str(trained / "last.safetensors"), "--no-floor", "--no-boundary", "--limit", "1"]) == 0
    out, err = capsys.readouterr()
    assert "note: `--no-floor` is now `--no-baseline`" in err
    assert "position prior" not in out


@pytest.mark.parametrize(("old", "new"), [("yes", "`--mirror`"), ("no", "`--no-mirror`"), ("recipe", "the default")])
def test_the_old_values_of_mirror_work_and_name_the_new_switch(tmp_path, capsys, old, new):
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(tmp_path / "p.png")
    assert main(["predict", "toy", "--mirror", old, str(tmp_path / "p.png"), "--out", str(tmp_path / "o")]) == 0
    assert f"note: `--mirror {old}` is now {new}" in capsys.readouterr().err
    assert [path.stem for path in (tmp_path / "o").glob("*_labels.png")] == ["p_labels"]


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shell_completion_knows_commands_and_options(tmp_path, monkeypatch, capsys, shell):
    for name in ("BASH_VERSION", "ZSH_VERSION", "FISH_VERSION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(f"{shell.upper()}_VERSION", "5")
    assert main(["--install-completion"]) == 0
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert all(word in written for word in ("evaluate", "baselines", "--learning-rate", "--batch-size"))


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_warnings_of_a_training_are_one_line(training):
    told = training[1].replace("\r", "\n").splitlines()
    assert all(line.startswith("warning: class ") for line in told if "does not occur" in line)
    baseline = [line for line in told if "below the no-network baseline" in line]
    assert len(baseline) == 1, "one epoch of two pictures is worse than no network"
    assert baseline[0].startswith("warning: mIoU 0.")


def test_a_damaged_run_cannot_be_resumed(trained, workplace, capsys):
    shutil.copytree(trained, "x")
    config, last = (workplace / "x" / name for name in ("config.json", "last.safetensors"))
    text = config.read_text()
    config.write_text(text.replace('"limit": 2', '"limit": "x"'))
    assert main(["train", "--resume", "x"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: x/config.json: ")
    assert "limit: 'x'" in err
    config.write_text(text)
    last.write_bytes(last.read_bytes()[:-100])
    assert main(["train", "--resume", "x"]) == 2
    err = capsys.readouterr().err
    assert "error: x/last.safetensors: " in err
    assert "Give a .safetensors file" in err
