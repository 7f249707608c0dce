"""Training: networks learn, results are saved, and errors are reported."""

import csv
import dataclasses
import json
import warnings
from dataclasses import replace

import numpy as np
import pytest
from forms import amount

import tinysegnet as ts
from tinysegnet.data import CAMVID, InMemory, Sample
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import DataError, SettingError
from tinysegnet.training import Recipe, fit, recipe_for
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.training.training_step import TrainingStep
from tinysegnet.weights import checkpoint

SIZE = amount((20, 28), (48, 64))
SMALL = Recipe(epochs=2, batch_size=2, size=SIZE)


class Samples:
    """A data set made from a list."""

    palette, name = CAMVID, "a few samples"

    def __init__(self, samples):
        self.samples = samples

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


@pytest.fixture(scope="module")
def scenes():
    return InMemory(ToyScenes(6, seed=0, size=SIZE))


@pytest.fixture(scope="module")
def val():
    return InMemory(ToyScenes(3, seed=1, size=SIZE))


def small_model(seed=0):
    return ts.build("tiny", width=amount(1 / 16, 1 / 4), seed=seed)


def run_folder(path, recipe=SMALL):
    config = {"data": "toy", "model": "tiny", **dataclasses.asdict(recipe)}
    return RunFolder(path, config, CAMVID)


class WatchedRun(RunFolder):
    """A run folder that records for each epoch whether it received scores."""

    def record(self, model, scores, progress, optimizer):
        self.scored = [*getattr(self, "scored", []), scores is not None]
        super().record(model, scores, progress, optimizer)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, scenes, val):
    """The folder, network and result of a run of three epochs, validated after the second and the last one."""
    recipe = dataclasses.replace(SMALL, epochs=3, validate_every=2)
    config = {"data": "toy", "model": "tiny", **dataclasses.asdict(recipe)}
    folder, model = WatchedRun(tmp_path_factory.mktemp("trained") / "run", config, CAMVID), small_model()
    return folder, model, fit(model, scenes, val, recipe=recipe, run=folder, progress=False)


def test_a_network_memorises_two_pictures(scenes):
    """Memorising two pictures is the first test to try if a network does not learn."""
    pair = Samples([scenes[0], scenes[1]])
    model = ts.build("tiny", width=amount(1 / 4, 1))
    recipe = Recipe(epochs=amount(100, 150), batch_size=2, size=SIZE, flip=0.0, learning_rate=amount(0.02, 0.005))
    history = fit(model, pair, recipe=recipe, progress=False).history
    assert history[-1]["train_loss"] < 0.1 < 1.5 < history[0]["train_loss"]
    assert ts.evaluate(model, pair).G > 0.97


def test_weights_depend_on_the_seed_only(scenes):
    def weights(seed):
        model = small_model()
        fit(model, scenes, recipe=dataclasses.replace(SMALL, seed=seed, color_jitter=0.2), progress=False)
        return np.concatenate([a.ravel() for a in model.state().values()])

    first = weights(0)
    np.testing.assert_array_equal(first, weights(0))
    assert not np.array_equal(first, weights(1))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("schedule", ["constant", "step", "poly", "one_cycle"])
def test_every_optimizer_and_schedule_lowers_the_loss(scenes, optimizer, schedule):
    rate = 0.1 if optimizer == "sgd" else 0.01
    epochs = amount(5, 12)
    recipe = Recipe(epochs=epochs, batch_size=2, size=SIZE, optimizer=optimizer, schedule=schedule, learning_rate=rate)
    history = fit(small_model(), scenes, recipe=recipe, progress=False).history
    assert history[-1]["train_loss"] < 0.9 * history[0]["train_loss"]


def test_a_run_folder_contains_everything(scenes, val, trained):
    folder, model, result = trained
    ts.write_report(folder, model, scenes, val, result)

    names = {path.name for path in folder.path.iterdir()}
    assert names == {".lock", "config.json", "metrics.csv", "last.safetensors", "best.safetensors",
                     "curves.png", "overlays.png", "per_class.png", "report.html"}  # fmt: skip

    config = json.loads((folder.path / "config.json").read_text())
    assert config["epochs"] == 3
    assert config["environment"]["numpy"] == np.__version__

    rows = list(csv.DictReader((folder.path / "metrics.csv").open()))
    classes = [f"IoU {name}" for name in CAMVID.names]
    assert list(rows[0]) == [
        "epoch", "train_loss", "val_G", "val_C", "val_mIoU", "seconds", "learning_rate", *classes
    ]  # fmt: skip
    for name, IoU in zip(classes, result.scores.IoU, strict=True):
        assert float(rows[2][name] or np.nan) == pytest.approx(IoU, rel=1e-5, nan_ok=True)
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert float(rows[2]["val_mIoU"]) == pytest.approx(result.scores.mIoU, rel=1e-5)

    last = checkpoint.read(folder.path / "last.safetensors")
    assert last.size == SIZE
    assert last.palette == CAMVID
    assert ts.evaluate(last.model, val, size=SIZE).mIoU == pytest.approx(result.scores.mIoU)

    page = (folder.path / "report.html").read_text()
    assert f"{result.scores.mIoU:.3f}" in page
    assert "position prior" in page
    assert "toy scenes: 6 training pictures, 3 validation pictures" in page
    assert "Pedestrian" in page


def test_epochs_without_validation_have_empty_cells(trained):
    rows = list(csv.DictReader((trained[0].path / "metrics.csv").open()))
    assert [bool(row["val_mIoU"]) for row in rows] == [False, True, True]


def test_scores_belong_to_validated_epochs_only(trained):
    assert trained[0].scored == [False, True, True]


def nearly_void():
    """A sample whose only labelled pixel disappears when the picture is halved, so that its batches are void."""
    labels = np.full((2 * SIZE[0], 2 * SIZE[1]), 11, np.uint8)
    labels[0, 0] = 3
    return Sample(np.zeros((*labels.shape, 3), np.uint8), labels, "nearly void")


def test_void_batches_are_skipped_with_one_warning(scenes):
    void = nearly_void()
    model = small_model()
    recipe = Recipe(epochs=2, batch_size=1, size=SIZE, weight_decay=0.1, class_weights="none")
    before = {name: array.copy() for name, array in model.state().items()}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = fit(model, Samples([void, void]), recipe=recipe, progress=False)
    assert result.void_batches == 4
    (warned,) = caught
    assert "no labelled pixel" in str(warned.message)
    assert [row["train_loss"] for row in result.history] == [0.0, 0.0]
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, before[name])
    with pytest.warns(UserWarning, match="no labelled pixel"):
        half = fit(model, Samples([void, scenes[0]]), recipe=recipe, progress=False)
    with pytest.warns(UserWarning, match="no labelled pixel"):  # the first one warns, even if it is the only one
        assert fit(model, Samples([void]), recipe=replace(recipe, epochs=1), progress=False).void_batches == 1
    whole = fit(small_model(), Samples([scenes[0]]), recipe=recipe, progress=False)
    assert half.void_batches == 2
    assert half.history[0]["train_loss"] == pytest.approx(whole.history[0]["train_loss"], rel=0.3)  # not halved


def test_fit_rejects_a_network_with_other_classes(scenes):
    with pytest.raises(SettingError, match=r"20 classes.*toy scenes has 11"):
        fit(ts.build("tiny", num_classes=20, width=1 / 16), scenes, recipe=SMALL, progress=False)


def test_the_default_recipe_depends_on_the_data(scenes):
    assert recipe_for(scenes) == Recipe(size=SIZE)
    for shape, size in (
        ((45, 61), (45, 61)),
        ((360, 480), (120, 160)),
        ((1000, 400), (220, 88)),
        ((1, 90000), (1, 41568)),
    ):
        recipe = recipe_for(Samples([Sample(np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8), "a")]))
        assert (recipe.size, recipe.class_weights, recipe.mirror) == (size, "sqrt_median_frequency", True)


def test_recipe_rejects_invalid_settings():
    for wrong in ({"epochs": 0}, {"batch_size": -1}, {"size": (0, 5)}, {"validate_every": 0}, {"optimizer": "SGD"},
                  {"schedule": "linear"}, {"class_weights": "median"}, {"momentum": 1.0}, {"momentum": -0.1},
                  {"flip": 2.0}, {"scale": (0.5, 1.0)}, {"learning_rate": 0.0}, {"size": (2000, 2001)},
                  {"test_scales": (1.0, 2.0), "size": (1000, 1001)}, {"test_scales": (0.0,)}):  # fmt: skip
        with pytest.raises(SettingError, match=next(iter(wrong))):
            Recipe(**wrong)


def test_the_loss_of_an_epoch_is_the_mean_over_its_batches(scenes):
    """At a negligible learning rate and with one picture per batch, the order does not matter."""
    model = small_model()
    recipe = Recipe(epochs=2, batch_size=1, size=SIZE, flip=0.0, class_weights="median_frequency", learning_rate=1e-12)
    weights = ts.data.median_frequency_weights(ts.data.count_pixels(scenes))
    losses = []
    for sample in scenes:
        logits = model.forward(sample.image[None].astype(np.float32), training=True)
        losses.append(ts.ops.softmax_cross_entropy_forward(logits, sample.labels[None], class_weights=weights,
                                                           ignore_label=11)[0])  # fmt: skip
    for row in fit(model, scenes, recipe=recipe, progress=False).history:
        assert row["train_loss"] == pytest.approx(np.mean(losses), rel=1e-4)


def test_dropout_masks_depend_on_the_seed_and_the_step_only(scenes):
    images, labels = (np.stack([array, array]) for array in (scenes[0].image.astype(np.float32), scenes[0].labels))

    def logits(seed, step):
        model = ts.build("bayesian-basic", width=1 / 16)
        training = TrainingStep(model, scenes, Recipe(batch_size=2, size=SIZE, seed=seed), 9, None)
        if step:  # another step before does not matter
            model.generator.random(3)
        return training.run(images, labels, step)[1]

    drawn = {at: logits(*at) for at in ((0, 0), (0, 1), (0, 2), (1, 1))}
    np.testing.assert_array_equal(logits(0, 1), drawn[0, 1])
    for a, b in (((0, 0), (0, 1)), ((0, 1), (0, 2)), ((0, 1), (1, 1))):
        assert (drawn[a] != drawn[b]).mean() > 0.5
    assert (drawn[0, 0][0] != drawn[0, 0][1]).mean() > 0.5  # equal pictures in one batch have different masks


def test_a_run_folder_may_lie_in_a_missing_folder(tmp_path):
    folder = run_folder(tmp_path / "a" / "b" / "run")
    assert not (tmp_path / "a").exists()
    with folder.held():
        folder.begin()
        folder.begin()
    assert json.loads((tmp_path / "a/b/run/config.json").read_text())["size"] == list(SIZE)


def relabelled(data, **changes):
    """The same pictures with another palette."""
    samples = Samples(list(data))
    samples.palette = dataclasses.replace(CAMVID, **changes)
    return samples


def test_training_and_validation_need_the_same_classes_in_the_same_order(scenes):
    model, swapped = small_model(), (CAMVID.names[1], CAMVID.names[0], *CAMVID.names[2:])
    for changes in ({"names": swapped}, {"ignore_label": 12}):
        val = relabelled([], **changes)
        val.samples = [Sample(np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8), "a")]
        with pytest.raises(DataError, match="classes differ"):
            fit(model, scenes, val, recipe=SMALL, progress=False)
    other_colors = relabelled(scenes, ignore_color=(1, 2, 3))
    fit(model, scenes, other_colors, recipe=dataclasses.replace(SMALL, epochs=1), progress=False)


def test_one_labelled_pixel_in_the_last_picture_suffices():
    void = np.full(SIZE, 11, np.uint8)
    samples = [Sample(np.zeros((*SIZE, 3), np.uint8), void.copy(), str(k)) for k in range(2)]
    recipe = dataclasses.replace(SMALL, epochs=1, class_weights="none", flip=0.0)
    with pytest.raises(DataError, match=r"no pixel is labelled"):
        fit(small_model(), Samples(samples), recipe=recipe, progress=False)
    samples[1].labels[-1, -1] = 10
    result = fit(small_model(), Samples(samples), recipe=recipe, progress=False)
    assert result.void_batches == 0
    assert result.history[0]["train_loss"] > 0


@pytest.mark.parametrize("name", ["basic", "vgg16"])
def test_large_networks_learn_at_an_odd_size(name):
    """`tests/oracle` compares every gradient with PyTorch at this size."""
    model = ts.build(name, width=amount(1 / 8, 1))
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (1, 45, 61, 3)).astype(np.float32)
    labels = rng.integers(0, 12, (1, 45, 61)).astype(np.uint8)
    optimizer = ts.optim.SGD(model, learning_rate=0.01)
    losses = []
    for _ in range(3):
        logits = model.forward(images, training=True)
        loss, cache = ts.ops.softmax_cross_entropy_forward(logits, labels, ignore_label=11)
        model.backward(ts.ops.softmax_cross_entropy_backward(1.0, cache), input_gradient=False)
        optimizer.step()
        losses.append(loss)
    assert losses[2] < losses[0]
