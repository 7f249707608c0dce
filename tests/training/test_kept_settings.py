"""Checkpoints of a run keep every setting with which its labels were read and its pictures are to be predicted."""

import pytest

import tinysegnet as ts
from tinysegnet.data import CAMVID
from tinysegnet.training import Progress
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.weights import checkpoint

KEPT = {
    "ignore": "void", "classes": "classes.txt", "one_class": "road", "palette": "colours.txt",
    "class_weights": "median_frequency", "mirror": True, "test_scales": [0.5, 1.5],
}  # fmt: skip
ROW = {"epoch": 1, "train_loss": 0.5, "val_G": 0.5, "val_C": 0.5, "val_mIoU": 0.25, "seconds": 1.0}


def recorded(path, config):
    """Record an epoch of a run with this configuration, and return its two checkpoints and that of a resumed run."""
    folder = RunFolder(path, {"size": [20, 28], "epochs": 3, **config}, CAMVID)
    folder.begin()
    model, progress = ts.build("tiny", width=1 / 16), Progress({"state": 1}, history=[ROW])
    folder.record(model, None, progress, {})
    found = [checkpoint.read(path / f"{name}.safetensors") for name in ("best", "last")]
    resumed = RunFolder.resume(path)
    resumed.save(model, None, progress, {})
    return [*found, checkpoint.read(path / "last.safetensors")]


@pytest.mark.parametrize("name", KEPT)
def test_each_setting_is_kept_in_every_checkpoint(tmp_path, name):
    for saved in recorded(tmp_path / "run", {name: KEPT[name]}):
        assert saved.training == {"size": [20, 28], "epoch": 1, "scores": None, name: KEPT[name]}


def test_settings_that_are_off_are_kept_too(tmp_path):
    off = {
        "ignore": None,
        "classes": None,
        "one_class": None,
        "palette": None,
        "mirror": False,
        "class_weights": "none",
    }
    for saved in recorded(tmp_path / "run", off):
        assert {name: saved.training[name] for name in off} == off
        assert saved.prediction == {"size": (20, 28), "mirror": False, "scales": (1.0,)}
        assert saved.class_weights == "none"


def test_the_settings_of_predictions_are_those_of_the_run(tmp_path):
    for saved in recorded(tmp_path / "run", KEPT):
        assert saved.prediction == {"size": (20, 28), "mirror": True, "scales": (0.5, 1.5)}
        assert saved.class_weights == "median_frequency"
