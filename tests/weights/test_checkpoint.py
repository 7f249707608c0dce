"""Checkpoints restore everything that was saved, and other files raise a one-line error."""

import dataclasses
import json
import re

import numpy as np
import pytest
import safetensors
import safetensors.numpy

import tinysegnet as ts
from tinysegnet.data import CAMVID, Palette
from tinysegnet.errors import CheckpointError, SettingError
from tinysegnet.layers import Conv2d
from tinysegnet.training import Progress
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.weights import checkpoint

PALETTE = Palette(("wall", "door"), ((1, 2, 3), (4, 5, 6)), ignore_label=255, ignore_color=(9, 9, 9))


@pytest.fixture
def model():
    model = ts.build("tiny", num_classes=2, width=1 / 16, seed=5)
    model.forward(np.random.default_rng(0).uniform(0, 255, (2, 20, 28, 3)).astype(np.float32), training=True)
    return model


def test_a_checkpoint_restores_everything_that_was_saved(tmp_path, model):
    path = tmp_path / "a.safetensors"
    checkpoint.save(path, model, palette=PALETTE, training={"size": [20, 28], "epoch": 3})
    back = checkpoint.read(path)
    assert back.palette == PALETTE
    assert back.training == {"size": [20, 28], "epoch": 3}
    assert back.size == (20, 28)
    for name, array in model.state().items():
        np.testing.assert_array_equal(array, back.model.state()[name])
    x = np.random.default_rng(1).uniform(0, 255, (1, 21, 27, 3)).astype(np.float32)
    np.testing.assert_array_equal(model.forward(x), ts.load(path).forward(x))


def test_a_checkpoint_preserves_float64(tmp_path):
    model = ts.build("basic", width=1 / 16, dtype=np.float64)
    ts.save(tmp_path / "a.safetensors", model)
    assert ts.load(tmp_path / "a.safetensors").dtype == np.float64


def test_a_missing_file_is_an_error_with_its_name(tmp_path):
    with pytest.raises(CheckpointError, match=r"none\.safetensors: no such file"):
        ts.load(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"hello, this is not a checkpoint", b"\xff" * 100])
def test_other_files_are_refused_with_their_name(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        ts.load(path)


def test_safetensors_files_of_other_programs_are_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    safetensors.numpy.save_file({"a": np.zeros(3)}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        ts.load(path)


def test_a_truncated_checkpoint_is_refused(tmp_path, model):
    path = tmp_path / "x.safetensors"
    ts.save(path, model)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"x\.safetensors"):
        ts.load(path)


# --- every field ------------------------------------------------------------------------------------------------------

TRAINING = {
    "size": [20, 28], "epoch": 3, "scores": {"mIoU": 0.25}, "ignore": 9, "classes": "all", "one_class": "wall",
    "palette": "safe", "class_weights": "median_frequency", "mirror": True, "test_scales": [0.5, 2.0],
}  # fmt: skip


def test_every_field_of_a_checkpoint_is_restored_with_another_value_than_its_default(tmp_path, model):
    rng = np.random.default_rng(0)
    optimizer = {f"{name}/{slot}": rng.normal(size=array.shape).astype(array.dtype)
                 for name, array in model.named_parameters() for slot in ("mean", "square")}  # fmt: skip
    progress = {"epoch": 7, "loss_sum": 0.1 + 0.2, "generator": np.random.default_rng(3).bit_generator.state}
    checkpoint.save(tmp_path / "a", model, palette=PALETTE, training=TRAINING, progress=progress, optimizer=optimizer)
    back = checkpoint.read(tmp_path / "a")
    assert (back.palette, back.training, back.progress) == (PALETTE, TRAINING, progress)
    assert (back.size, back.class_weights) == ((20, 28), "median_frequency")
    assert back.prediction == {"size": (20, 28), "mirror": True, "scales": (0.5, 2.0)}
    assert set(back.optimizer) == set(optimizer)
    for name, array in optimizer.items():
        np.testing.assert_array_equal(back.optimizer[name], array)
    assert back.model.config == model.config
    for name, array in model.state().items():
        np.testing.assert_array_equal(back.model.state()[name], array)


def test_a_checkpoint_of_a_network_alone_has_the_documented_defaults(tmp_path, model):
    ts.save(tmp_path / "a", model)
    back = checkpoint.read(tmp_path / "a")
    assert (back.palette, back.training, back.progress, back.optimizer) == (CAMVID, {}, {}, {})
    assert (back.size, back.class_weights) == (None, None)
    assert back.prediction == {"size": None, "mirror": False, "scales": (1.0,)}


@pytest.mark.parametrize("config", [
    {"name": "basic", "num_classes": 1, "seed": 7, "width": 0.125, "dtype": "float64", "preprocessing": "caffe"},
    {"name": "bayesian-basic", "num_classes": 255, "seed": 2**40, "width": 0.05, "dtype": "float32",
     "preprocessing": "unit", "folded": True},
    {"name": "article", "num_classes": 3, "seed": 0, "width": 0.001, "dtype": "float32", "preprocessing": "bgr"},
])  # fmt: skip
def test_a_checkpoint_restores_every_argument_of_build(tmp_path, config):
    model = ts.build(**config)
    assert model.config == config
    for k, array in enumerate(model.state().values()):
        array += 0.5 + k / 7
    ts.save(tmp_path / "a", model)
    back = ts.load(tmp_path / "a")
    assert back.config == config
    assert [*back.layers] == [*model.layers]
    assert (back.size_multiple, back.dtype, back.num_classes) == (model.size_multiple, model.dtype, model.num_classes)
    assert back.generator.random() == model.generator.random()
    x = np.random.default_rng(1).uniform(0, 255, (1, 8, 12, 3)).astype(model.dtype)
    np.testing.assert_array_equal(back.forward(x), model.forward(x))


def test_a_run_folder_restores_the_whole_state_of_training(tmp_path, model):
    """Every field of Progress is saved, and each has a value of its own."""
    history = [{"epoch": 1, "train_loss": 0.5, "learning_rate": 0.1, "val_G": 0.75, "val_C": 0.5, "val_mIoU": 0.25,
                "seconds": 1.5}]  # fmt: skip
    rng = np.random.default_rng(11)
    rng.random(5)
    progress = Progress(rng.bit_generator.state, epoch=2, batch=3, step=5, loss_sum=0.7, loss_count=4, void_batches=1,
                        best=0.125, seconds=2.5, history=history)  # fmt: skip
    fields = {field.name: getattr(progress, field.name) for field in dataclasses.fields(Progress)}
    assert len({json.dumps(value) for value in fields.values()}) == len(fields)
    config = {name: value for name, value in TRAINING.items() if name not in ("epoch", "scores")}
    folder = RunFolder(tmp_path / "run", {**config, "model": "tiny"}, PALETTE)
    folder.begin()
    folder.save(model, None, progress=progress, optimizer={"classifier.bias/velocity": np.ones(2, "f4")})
    resumed = RunFolder.resume(tmp_path / "run")
    assert Progress(**resumed.resumed.progress) == progress
    assert resumed.palette == PALETTE
    assert resumed.resumed.training == {**config, "epoch": 1, "scores": None}
    assert resumed.resumed.optimizer["classifier.bias/velocity"].tolist() == [1, 1]
    restored = np.random.default_rng(0)
    restored.bit_generator.state = resumed.resumed.progress["generator"]
    assert restored.random() == rng.random()


def test_a_long_run_of_many_classes_can_be_resumed(tmp_path, model):
    row = {f"IoU class number {k}": k / 997 for k in range(255)}
    checkpoint.save(tmp_path / "last.safetensors", model, progress={"history": [row] * 200})
    assert checkpoint.read(tmp_path / "last.safetensors").progress == {"history": [row] * 200}


def test_half_precision_takes_numbers_up_to_its_largest(tmp_path, model):
    bias = model.layers["classifier"].params["bias"]
    for largest in (65504, -65504):
        bias[0] = largest
        ts.save(tmp_path / "a", model, half=True)
        assert ts.load(tmp_path / "a").layers["classifier"].params["bias"][0] == largest
        assert (tmp_path / "a").stat().st_size < 2.2 * model.num_parameters + 6000
        bias[0] = 1.01 * largest
        with pytest.raises(SettingError, match=r"half: .*65504"):
            ts.save(tmp_path / "a", model, half=True)


def without(path, *parts, setting=None):
    """Rewrite a checkpoint without parts of its metadata, or without one argument of `build`."""
    with safetensors.safe_open(path, "numpy") as file:
        metadata, arrays = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    config = json.loads(metadata["model"])
    config.pop(setting, None)
    metadata = {name: text for name, text in (metadata | {"model": json.dumps(config)}).items() if name not in parts}
    safetensors.numpy.save_file(arrays, path, metadata)


@pytest.mark.parametrize("name", ["tiny", "basic"])
def test_files_of_version_0_1_lack_three_parts(tmp_path, name):
    """Their networks scaled pictures, whatever the architecture's preprocessing is now."""
    path, model = tmp_path / "a.safetensors", ts.build(name, width=1 / 16, preprocessing="scaled")
    ts.save(path, model)
    without(path, "layers", "progress", setting="preprocessing")
    back = checkpoint.read(path)
    assert back.model.config == model.config
    assert back.model.config["preprocessing"] == "scaled"
    assert back.progress == {}
    x = np.random.default_rng(1).uniform(0, 255, (1, 21, 27, 3)).astype(np.float32)
    np.testing.assert_array_equal(back.model.forward(x), model.forward(x))


@pytest.mark.parametrize("part", ["model", "palette", "training", "sha256", "format"])
def test_no_other_part_may_be_absent(tmp_path, model, part):
    path = tmp_path / "a.safetensors"
    ts.save(path, model)
    without(path, part)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: "):
        ts.load(path)


@pytest.mark.parametrize("setting", ["name", "num_classes", "width"])
def test_a_checkpoint_needs_the_size_of_its_network(tmp_path, model, setting):
    path = tmp_path / "a.safetensors"
    ts.save(path, model)
    without(path, setting=setting)
    with pytest.raises(CheckpointError, match=r"a\.safetensors: "):
        ts.load(path)


# --- what a file claims -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("claims", "said"), [
    ({"width": 8.0}, "values for a network"), ({"width": 8.001}, "width 8.001"), ({"width": 0}, "width 0"),
    ({"num_classes": 255, "width": 1.0}, "values for a network"), ({"num_classes": 256}, "256 classes"),
    ({"num_classes": 0}, "0 classes"), ({"num_classes": 2.0}, "2.0 classes"), ({"num_classes": 1}, "classifier"),
    ({"width": 1e-9}, "has shape"),
])  # fmt: skip
def test_claimed_widths_and_classes_are_checked_up_to_their_limits(tmp_path, model, claims, said):
    model.config |= claims
    ts.save(tmp_path / "a", model)
    with pytest.raises(CheckpointError, match=re.escape(said)):
        ts.load(tmp_path / "a")


def test_a_file_has_at_least_half_as_many_values_as_its_network_has_parameters(tmp_path, model, monkeypatch):
    slots = {"classifier.bias/mean": np.ones(1000, "f4")}  # the optimizer's arrays do not count
    checkpoint.save(tmp_path / "a", model, optimizer=slots, progress={"step": 1})
    found = sum(array.size for array in model.state().values())
    monkeypatch.setattr(checkpoint, "count_parameters", lambda *_: 2 * found)
    ts.load(tmp_path / "a")
    monkeypatch.setattr(checkpoint, "count_parameters", lambda *_: 2 * found + 1)
    with pytest.raises(CheckpointError, match=f"{found:,} values for a network of {2 * found + 1:,} parameters"):
        ts.load(tmp_path / "a")


def test_a_network_of_ones_own_is_loaded_into_an_equal_one_only(tmp_path):
    def own(*names, channels=3):
        layers = {name: Conv2d(3, channels if name == names[-1] else 3, 1, rng=np.random.default_rng(len(names)))
                  for name in names}  # fmt: skip
        return ts.Network(layers)

    first, same = own("a", "b"), own("a", "b")
    same.layers["a"].params["weight"] += 1
    ts.save(tmp_path / "x", first)
    assert ts.load(tmp_path / "x", model=same) is same
    np.testing.assert_array_equal(same.layers["a"].params["weight"], first.layers["a"].params["weight"])
    with pytest.raises(CheckpointError, match=r"'a' was saved as Conv2d, but it is absent .*model=network"):
        ts.load(tmp_path / "x")
    for other, said in ((own("a"), "'b' was saved as Conv2d"), (own("a", "b", "c"), "'c' was saved as absent"),
                        (own("a", "b", channels=4), "shape")):  # fmt: skip
        with pytest.raises(CheckpointError, match=said):
            ts.load(tmp_path / "x", model=other)


def test_folders_and_names_close_to_a_bundled_network_are_explained(tmp_path, model):
    for name in ("last", "best"):  # the best one is suggested first
        ts.save(tmp_path / f"{name}.safetensors", model)
        with pytest.raises(CheckpointError, match=rf"a folder.*Did you mean .*{name}\.safetensors\?"):
            checkpoint.open_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match=r"toi: no such file.*toy"):
        checkpoint.open_checkpoint("toi")


@pytest.mark.parametrize("setting", [
    {"size": "20 x 28"}, {"size": [20]}, {"size": [20, 28.5]}, {"mirror": 1}, {"mirror": "yes"}, {"test_scales": []},
    {"test_scales": 2}, {"test_scales": [1, None]}, {"class_weights": 3}, {"class_weights": ["none"]},
], ids=str)  # fmt: skip
def test_settings_of_wrong_types_are_refused_when_the_file_is_read(tmp_path, model, setting):
    checkpoint.save(tmp_path / "a", model, training={"size": [20, 28], **setting})
    (name,) = setting
    for read in (checkpoint.read, ts.load, checkpoint.open_checkpoint):
        with pytest.raises(CheckpointError, match=rf"a: .*{name}: "):
            read(tmp_path / "a")
