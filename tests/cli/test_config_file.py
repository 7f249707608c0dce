"""`train --config`: a run's config.json or TOML gives the defaults of the options."""

import json

import pytest

from tinysegnet.cli.config_file import with_config
from tinysegnet.cli.main import main
from tinysegnet.errors import SettingError


def words(tmp_path, text, *arguments):
    path = tmp_path / "options"
    path.write_text(text)
    return with_config(["--config", str(path), *arguments])[: -2 - len(arguments)]


@pytest.mark.parametrize(("text", "expected"), [
    ("epochs = 3\nlearning-rate = 0.5", ["--epochs=3", "--learning-rate=0.5"]),
    ('{"size": [96, 128], "test_scales": [0.5, 1], "limit": null}',
     ["--size", "96x128", "--test-scales", "0.5", "1.0"]),
    ('mirror = false\nfreeze_encoder = false\ndata = "toy"', ["--no-mirror", "--data=toy"]),
    ('mirror = true\none_class = "sky"\nfrom = "toy"', ["--mirror", "--one-class=sky", "--from=toy"]),
    ("minutes = 3", ["--minutes=3.0"]), ("\ufeffepochs = 3", ["--epochs=3"]), ('\ufeff{"epochs": 3}', ["--epochs=3"]),
    ("", []), ("class_weights = [1, 2.5]", ["--class-weights", "1.0", "2.5"]),
    ('{"environment": {}, "pictures": {}, "plans": [], "epochs": 5, "iterations": 9}', ["--iterations=9"]),
])  # fmt: skip
def test_a_file_gives_options(tmp_path, text, expected):
    assert words(tmp_path, text) == expected


@pytest.mark.parametrize("given", [["--epochs", "4"], ["--epochs=4"], ["--minutes", "2"], ["--iterations", "7"]])
def test_options_on_the_command_line_win(tmp_path, given):
    assert words(tmp_path, "epochs = 3\nflip = 0.0", *given) == ["--flip=0.0"]


def test_a_switch_on_the_command_line_wins(tmp_path):
    assert words(tmp_path, "mirror = true", "--no-mirror") == []


@pytest.mark.parametrize(("text", "facts"), [
    ("epoch = 3", ["epoch", "'epochs'"]), ("epochs = 'many'", ["epochs: 'many'"]), ("epochs = ", ["cannot be read"]),
    ("{", ["cannot be read"]), ('resume = "a"', ["resume"]), ("size = 5", ["size: 5"]),
    ("[recipe]\nepochs = 3", ["recipe"]), ('optimizer = "adm"', ["optimizer", "'adam'"]),
])  # fmt: skip
def test_wrong_files_are_refused(tmp_path, text, facts):
    with pytest.raises(SettingError) as error:
        words(tmp_path, text)
    for fact in [str(tmp_path / "options"), *facts]:
        assert fact in str(error.value)


def test_the_config_of_a_run_repeats_it(tmp_path, monkeypatch):
    monkeypatch.setattr("tinysegnet.report.run_report.write_run_page", lambda run, *_, **__: run.path / "report.html")
    monkeypatch.setattr("tinysegnet.report.run_report.evaluate_baselines", lambda *_: {})
    options = ["--epochs", "1", "--limit", "2", "--size", "20x28", "--width", "0.0625", "--no-mirror"]
    assert main(["train", "--runs", str(tmp_path), "--name", "a", *options]) == 0
    file = str(tmp_path / "a" / "config.json")
    assert main(["train", "--runs", str(tmp_path), "--name", "b", "--config", file, "--seed", "1"]) == 0
    first, second = (json.loads((tmp_path / name / "config.json").read_text()) for name in "ab")
    assert second.pop("seed") == 1
    assert first.pop("seed") == 0
    for config in (first, second):
        del config["environment"]
    assert second == first
