"""A run is continued with its own classes and settings, or it is refused; validations follow the number of epochs."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from tinysegnet.cli.main import main
from tinysegnet.training.recipes import validation_interval


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder with pictures of two classes, and a run that was trained on them for one epoch."""
    root, rng = tmp_path_factory.mktemp("two classes"), np.random.default_rng(0)
    for split, count in (("train", 2), ("val", 1)):
        for index in range(count):
            for folder, values in (("images", rng.integers(0, 256, (20, 28, 3))), ("labels", np.eye(20, 28))):
                (root / folder / split).mkdir(parents=True, exist_ok=True)
                Image.fromarray(values.astype(np.uint8)).save(root / folder / split / f"{index}.png")
    (root / "classes.txt").write_text("sky\nroad\n")
    assert main(["train", "--data", str(root), "--runs", str(root), "--name", "run", "--epochs", "1", "--width",
                 "0.0625", "--quiet"]) == 0  # fmt: skip
    return root


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished / "run", tmp_path / "run")


def resumed(run, capsys, *options):
    capsys.readouterr()
    code = main(["train", "--resume", str(run), *options, "--quiet"])
    return code, capsys.readouterr()


def changed(run, **values):
    config = json.loads((run / "config.json").read_text()) | values
    (run / "config.json").write_text(json.dumps({name: value for name, value in config.items() if value is not ...}))


@pytest.mark.parametrize("names", ["road\nsky\n", "sky\nstreet\n"])
def test_a_run_is_not_continued_with_other_classes(names, finished, run, capsys):
    (finished / "classes.txt").write_text(names)
    try:
        code, printed = resumed(run, capsys, "--epochs", "2")
    finally:
        (finished / "classes.txt").write_text("sky\nroad\n")
    assert code == 2
    assert "sky, road" in printed.err
    assert "--config" in printed.err


@pytest.mark.parametrize(("wrong", "right"), [("learning_rte", "learning_rate"), ("epohcs", "epochs")])
def test_a_misspelled_setting_does_not_become_its_default(wrong, right, run, capsys):
    changed(run, **{right: ..., wrong: 3})
    code, printed = resumed(run, capsys)
    assert code == 2
    assert "config.json" in printed.err
    assert wrong in printed.err
    assert right in printed.err


@pytest.mark.parametrize("name", ["environment", "pictures"])
@pytest.mark.parametrize("value", [None, 3, "text"])
def test_a_damaged_part_of_the_configuration_is_one_line(name, value, run, capsys):
    changed(run, **{name: value})
    code, printed = resumed(run, capsys)
    assert code == 2
    assert printed.err.count("\n") == 1
    assert "config.json" in printed.err
    assert name in printed.err


def test_settings_of_later_versions_are_ignored(run, capsys):
    changed(run, something_new=3)
    assert resumed(run, capsys)[0] == 0


@pytest.mark.parametrize(("every", "expected"), [(validation_interval(1), validation_interval(40)), (7, 7)])
def test_validations_follow_the_new_number_of_epochs_unless_they_were_chosen(every, expected, run, monkeypatch, capsys):
    monkeypatch.setattr("tinysegnet.cli.train_command._train", lambda folder, *_: plans.append(folder.config) or 0)
    plans = []
    changed(run, validate_every=every)
    assert resumed(run, capsys, "--epochs", "40")[0] == 0
    assert plans[0]["validate_every"] == expected


def test_a_configuration_file_does_not_fix_the_validations_of_another_number_of_epochs(run, monkeypatch, tmp_path):
    recipes = []
    monkeypatch.setattr("tinysegnet.cli.train_command._train", lambda *run: recipes.append(run[4]) or 0)
    changed(run, epochs=80, validate_every=validation_interval(80))
    for options in ([], ["--epochs", "16"], ["--epochs", "16", "--validate-every", "3"]):
        config = ["train", "--config", str(run / "config.json"), "--runs", str(tmp_path), "--name", f"n{len(options)}"]
        assert main([*config, *options, "--quiet"]) == 0
    assert [recipe.validate_every for recipe in recipes] == [10, 2, 3]


def test_a_frozen_encoder_with_random_weights_is_noted(finished, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("tinysegnet.cli.train_command._train", lambda *_: 0)
    assert main(["train", "--data", str(finished), "--runs", str(tmp_path), "--freeze-encoder", "--quiet"]) == 0
    assert "random weights" in capsys.readouterr().out


@pytest.mark.parametrize(("count", "name"), [(1, "last"), (5, "best")])
def test_few_validation_pictures_do_not_choose_the_suggested_network(count, name, finished, tmp_path, capsys):
    folder = shutil.copytree(finished, tmp_path / "data")
    for index in range(1, count):
        for kind in ("images", "labels"):
            shutil.copy(folder / kind / "train" / "0.png", folder / kind / "val" / f"v{index}.png")
    options = ["--epochs", "1", "--width", "0.0625", "--runs", str(tmp_path), "--name", "n", "--quiet"]
    assert main(["train", "--data", str(folder), *options]) == 0
    assert f"predict {tmp_path / 'n' / name}.safetensors" in capsys.readouterr().out
