"""The papers' recipes: the authors' settings, the effects of the fields, and the command line's defaults."""

import dataclasses
import json

import numpy as np
import pytest

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, InMemory, Sample, num_batches
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import SettingError
from tinysegnet.training.optim import SGD, Adam
from tinysegnet.training.recipes import Recipe, papers, recipe_for, validation_interval
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.training.training_step import make_optimizer
from tinysegnet.weights import checkpoint

SIZE = (20, 28)
SMALL = {"size": SIZE, "batch_size": 2, "flip": 0.0}

# name: network, learning rate, steps, kinds of parameters that decay, initial beta of batch norm
AUTHORS = {
    "paper-basic": ("basic", 0.1, 10_000, "weight_gamma_beta", 0.001),
    "paper-vgg16": ("vgg16", 0.001, 40_000, "weight_gamma", 0.001),
    "paper-bayesian-basic": ("bayesian-basic", 0.1, 10_000, "weight_gamma_beta", 0.001),
    "paper-bayesian-vgg16": ("bayesian-vgg16", 0.001, 60_000, "weight_gamma", 0.0),
}


@pytest.fixture(scope="module")
def data():
    return InMemory(ToyScenes(5, seed=0, size=SIZE))


@pytest.mark.parametrize("name", AUTHORS)
def test_paper_recipes_have_the_authors_settings(name):
    network, rate, iterations, decayed, beta = AUTHORS[name]
    r = ts.paper_recipe(name)
    assert papers[name].model == network
    assert (r.learning_rate, r.iterations, r.decayed, r.initial_beta) == (rate, iterations, decayed, beta)
    assert (r.momentum, r.weight_decay, r.bias_rate, r.batch_size, r.size) == (0.9, 5e-4, 2.0, 4, (360, 480))
    assert (r.optimizer, r.schedule, r.class_weights) == ("caffe_sgd", "constant", "median_frequency")
    assert (r.flip, r.scale, r.color_jitter, r.statistics) == (0.0, (1.0, 1.0), 0.0, "exact")
    optimizer = make_optimizer(ts.build("tiny", width=1 / 16), r)
    assert optimizer.rate_in_velocity
    assert optimizer.decayed == {"weight", "gamma", "beta"} - ({"beta"} if network.endswith("vgg16") else set())


def test_paper_recipe_rejects_unknown_names():
    assert set(papers) == set(AUTHORS)
    with pytest.raises(SettingError, match=r"'paper'.*paper-basic, paper-vgg16"):
        ts.paper_recipe("paper")


@pytest.mark.parametrize(("iterations", "epochs"), [(None, 5), (1, 1), (2, 1), (3, 2), (10_000, 5000)])
def test_iterations_are_rounded_up_to_whole_epochs(iterations, epochs):
    assert Recipe(iterations=iterations).num_epochs(2) == epochs


def test_10_000_steps_on_camvid_take_109_epochs():
    assert num_batches(range(367), 4) == 92  # 91 batches of four pictures, and one of three
    assert ts.paper_recipe("paper-basic").num_epochs(92) == 109


def test_a_training_stops_after_its_iterations(data):
    result = ts.fit(ts.build("tiny", width=1 / 16), data, recipe=Recipe(iterations=4, **SMALL), progress=False)
    assert len(result.history) == 2  # two epochs of three steps each


def test_initial_beta_applies_to_new_networks_only(data):
    """The learning rate is too small to change the betas."""
    recipe = Recipe(epochs=1, initial_beta=0.25, learning_rate=1e-12, **SMALL)
    model = ts.build("tiny", width=1 / 16)
    model.layers["encoder2.bn1"].params["beta"][0] = 1.0  # as in a trained network
    ts.fit(model, data, recipe=recipe, progress=False)
    betas = {name: layer.params["beta"] for name, layer in model.layers.items() if "beta" in layer.params}
    assert betas.pop("encoder2.bn1") == pytest.approx([1] + [0] * 3, abs=1e-6)
    assert all(beta == pytest.approx(0.25, abs=1e-6) for beta in betas.values())


def test_exact_statistics_are_scored_and_saved(tmp_path, data):
    val = InMemory(ToyScenes(2, seed=1, size=SIZE))
    for statistics in ("running", "exact"):
        recipe = Recipe(epochs=2, statistics=statistics, **SMALL)
        model = ts.build("tiny", width=1 / 16)
        folder = RunFolder(tmp_path / statistics, dataclasses.asdict(recipe), CAMVID)
        result = ts.fit(model, data, val, recipe=recipe, run=folder, progress=False)
        saved = checkpoint.read(folder.path / "last.safetensors").model
        assert ts.evaluate(saved, val, size=SIZE).mIoU == result.scores.mIoU
        left = {name: array.copy() for name, array in saved.named_buffers()}
        ts.recompute_statistics(saved, data, size=SIZE, batch_size=2)
        same = [np.array_equal(left[name], array) for name, array in saved.named_buffers()]
        assert all(same) if statistics == "exact" else not any(same)


# --- defaults and limits ---------------------------------------------------------------------------------------------

DEFAULTS = {
    "epochs": 5, "iterations": None, "batch_size": 2, "size": (96, 128), "optimizer": "adam", "learning_rate": 0.005,
    "momentum": 0.9, "bias_rate": 1.0, "weight_decay": 0.0, "decayed": "weight", "initial_beta": 0.0,
    "schedule": "one_cycle", "class_weights": "sqrt_median_frequency", "flip": 0.5, "scale": (1.0, 1.0),
    "color_jitter": 0.0, "statistics": "running", "mirror": False, "test_scales": (1.0,), "validate_every": 1,
    "patience": None,
    "seed": 0, "freeze_encoder": False, "loss": "cross_entropy", "focal_gamma": 2.0, "label_smoothing": 0.0,
    "weight_average": 0.0, "reduction": "batch",
}  # fmt: skip
PICTURES = {  # what differs for pictures from disk
    "epochs": 200, "batch_size": 4, "optimizer": "sgd", "learning_rate": 0.1, "weight_decay": 5e-4, "scale": (1.0, 2.0),
    "color_jitter": 0.4, "mirror": True, "test_scales": (0.75, 1.0, 1.5, 2.0), "validate_every": 25,
}  # fmt: skip
PAPERS = {  # what all of the papers' recipes share
    "batch_size": 4, "size": (360, 480), "optimizer": "caffe_sgd", "weight_decay": 5e-4, "bias_rate": 2.0,
    "schedule": "constant", "class_weights": "median_frequency", "flip": 0.0, "statistics": "exact",
    "validate_every": 10,
}  # fmt: skip


class Photographs:
    """A data set of pictures from disk."""

    palette, name = CAMVID, "photographs"

    def __init__(self, size, count=367):
        self.size, self.count = size, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return Sample(np.zeros((*self.size, 3), np.uint8), np.zeros(self.size, np.uint8), "a")


def test_every_setting_of_the_default_recipes_is_the_documented_one(data):
    assert dataclasses.asdict(Recipe()) == DEFAULTS
    assert dataclasses.asdict(recipe_for(data)) == DEFAULTS | {"size": SIZE}
    assert dataclasses.asdict(recipe_for(Photographs((360, 480)))) == DEFAULTS | PICTURES | {"size": (120, 160)}


@pytest.mark.parametrize(("count", "batch_size", "epochs", "interval", "steps"), [
    (1, 2, 960, 120, 960), (2, 2, 1400, 175, 1400), (10, 2, 610, 76, 3050), (39, 2, 300, 38, 6000),
    (40, 4, 610, 76, 6100), (367, 4, 200, 25, 18_400), (1000, 4, 120, 15, 30_000), (10_000, 4, 38, 5, 95_000),
])  # fmt: skip
def test_the_default_number_of_steps_grows_with_the_root_of_the_number_of_pictures(
    count, batch_size, epochs, interval, steps
):
    recipe = recipe_for(Photographs((360, 480), count))
    assert (recipe.batch_size, recipe.epochs, recipe.validate_every) == (batch_size, epochs, interval)
    assert epochs * -(-count // batch_size) == steps
    assert steps == pytest.approx(960 * count**0.5, rel=0.04)
    assert recipe.scale == ((1.0, 3.0) if count < 40 else (1.0, 2.0))
    assert recipe_for(Photographs((360, 480), 10_000), limit=count) == recipe


@pytest.mark.parametrize(("epochs", "interval"), [(1, 1), (5, 1), (8, 1), (100, 12), (200, 25), (400, 50)])
def test_a_training_run_has_about_eight_validations(epochs, interval):
    assert validation_interval(epochs) == interval


@pytest.mark.parametrize("name", AUTHORS)
def test_every_setting_of_the_papers_recipes_is_the_authors(name):
    _, rate, iterations, decayed, beta = AUTHORS[name]
    own = {"learning_rate": rate, "iterations": iterations, "decayed": decayed, "initial_beta": beta}
    assert dataclasses.asdict(ts.paper_recipe(name)) == DEFAULTS | PAPERS | own


@pytest.mark.parametrize(
    ("picture", "size"),
    [((120, 160), (120, 160)), ((119, 161), (119, 161)), ((121, 160), (120, 160)), ((360, 480), (120, 160)),
     ((480, 360), (160, 120)), ((500, 375), (160, 120)), ((7, 9000), (4, 4968)), ((3, 9000), (3, 7588)),
     ((9000, 3), (7588, 3)), ((1000, 1000), (140, 140)), ((50, 384), (50, 384)),
     ((384, 50), (384, 50))],
)  # fmt: skip
def test_large_pictures_are_reduced_to_multiples_of_4_near_120x160(picture, size):
    assert recipe_for(Photographs(picture)).size == size


TINY_STEP = 1e-9  # just beyond a limit
LIMITS = {  # setting: the last accepted values, the first refused ones
    "epochs": ([1], [0, -1, 1.5]),
    "iterations": ([1, None], [0, -1]),
    "batch_size": ([1], [0, -1]),
    "size": ([(1, 1), (2000, 2000), (1, 4_000_000)], [(0, 1), (1, 0), (2000, 2001), (4_000_001, 1), (5,), 5]),
    "learning_rate": ([1e-300], [0.0, -TINY_STEP, np.inf, np.nan]),
    "momentum": ([0.0, 1 - TINY_STEP], [1.0, -TINY_STEP]),
    "bias_rate": ([0.0], [-TINY_STEP]),
    "weight_decay": ([0.0], [-TINY_STEP]),
    "flip": ([0.0, 1.0], [-TINY_STEP, 1 + TINY_STEP]),
    "scale": ([(1.0, 1.0), (1.5, 1.5), (1.0, 9.0)], [(1 - TINY_STEP, 1.0), (1.5, 1.5 - TINY_STEP)]),
    "color_jitter": ([0.0, 1 - TINY_STEP], [1.0, -TINY_STEP]),
    "validate_every": ([1], [0, -1]),
    "patience": ([1, None], [0, -1, 1.5]),
    "seed": ([0, 2**40], [-1]),
    "test_scales": ([(TINY_STEP,), (0.5, 2.0)], [(), (0.0,), (1.0, -TINY_STEP)]),
}


@pytest.mark.parametrize("name", LIMITS)
def test_settings_are_accepted_up_to_their_limits_and_refused_beyond(name):
    accepted, refused = LIMITS[name]
    for value in accepted:
        assert getattr(Recipe(**{name: value}), name) == value
    for value in refused:
        with pytest.raises(SettingError, match=rf"^{name}: "):
            Recipe(**{name: value})


def test_the_largest_test_scale_may_just_reach_the_limit_of_4_megapixels():
    size = (500, 500)
    assert Recipe(size=size, test_scales=(1.0, 4.0, 2.0)).test_scales == (1.0, 4.0, 2.0)
    with pytest.raises(SettingError, match=r"test_scales: .*4 Mpx"):
        Recipe(size=size, test_scales=(4 + TINY_STEP, 1.0))


def test_a_recipe_gives_its_settings_to_the_optimizer_and_to_prediction():
    model = ts.build("tiny", width=1 / 16)
    shared = {"learning_rate": 0.3, "momentum": 0.7, "bias_rate": 1.5, "weight_decay": 0.01, "decayed": "weight_gamma"}
    for name, kind, caffe in (("sgd", SGD, False), ("caffe_sgd", SGD, True), ("adam", Adam, None)):
        optimizer = make_optimizer(model, Recipe(optimizer=name, **shared))
        assert type(optimizer) is kind
        assert (optimizer.learning_rate, optimizer.bias_rate, optimizer.weight_decay) == (0.3, 1.5, 0.01)
        assert optimizer.decayed == {"weight", "gamma"}
        if kind is SGD:
            assert (optimizer.momentum, optimizer.rate_in_velocity) == (0.7, caffe)
    recipe = Recipe(size=(20, 30), mirror=True, test_scales=(1.0, 0.5))
    assert recipe.prediction == {"size": (20, 30), "mirror": True, "scales": (1.0, 0.5)}


# --- the command line ------------------------------------------------------------------------------------------------

TINY = ["--size", "20x28", "--width", "0.0625", "--limit", "4", "--batch-size", "2"]


@pytest.fixture
def without_report(monkeypatch):
    """Skip the report, which takes longer than the training."""
    monkeypatch.setattr("tinysegnet.report.run_report.write_run_page", lambda run, *_, **__: run.path / "report.html")
    monkeypatch.setattr("tinysegnet.report.run_report.evaluate_baselines", lambda *_: {})


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def test_options_override_the_defaults_of_a_recipe(tmp_path, capsys, without_report):
    command = ["train", "--recipe", "paper-basic", "--runs", str(tmp_path), *TINY]
    assert main([*command, "--name", "a", "--iterations", "3"]) == 0
    config = config_of(tmp_path / "a")
    expected = dataclasses.asdict(ts.paper_recipe("paper-basic"))
    expected |= {"recipe": "paper-basic", "model": "basic", "iterations": 3}
    expected |= {"batch_size": 2, "size": [20, 28], "scale": [1.0, 1.0], "test_scales": [1.0]}
    assert {name: config[name] for name in expected} == expected
    assert checkpoint.read(tmp_path / "a" / "last.safetensors").progress["step"] == 4
    assert "basic, " in capsys.readouterr().out

    assert main([*command, "--name", "b", "--epochs", "1", "--model", "tiny"]) == 0
    config = config_of(tmp_path / "b")
    assert (config["epochs"], config["iterations"], config["model"]) == (1, None, "tiny")
    assert checkpoint.read(tmp_path / "b" / "last.safetensors").progress["step"] == 2


def test_a_resumed_run_keeps_its_recipe(tmp_path, monkeypatch, without_report):
    trained = []

    def watched(model, train, val, *, recipe, run, **others):
        trained.append((recipe, model.config, run.resumed is not None))
        return ts.fit(model, train, val, recipe=recipe, run=run)

    monkeypatch.setattr("tinysegnet.training.loop.fit", watched)
    main(["train", "--recipe", "paper-basic", "--iterations", "2", "--runs", str(tmp_path), "--name", "a", *TINY])
    assert main(["train", "--resume", str(tmp_path / "a")]) == 0
    (first, network, _), (again, same, resumed) = trained
    assert resumed
    assert (again, same) == (first, network)
    assert (first.decayed, network["name"]) == ("weight_gamma_beta", "basic")


@pytest.mark.parametrize(("name", "shown"), [("paper-basic", "10000"), ("paper-bayesian-vgg16", "60000")])
def test_help_shows_the_settings_of_the_recipe(capsys, name, shown):
    assert main(["train", "--recipe", name, "--help"]) == 0
    text = capsys.readouterr().out
    assert shown in text
    assert "360x480" in text
    assert "caffe_sgd" in text
