"""A finished run that is resumed only scores its network again, with the settings with which it was validated."""

import dataclasses

import numpy as np
import pytest
from small_networks import noise

import tinysegnet as ts
from tinysegnet.data import CAMVID, InMemory, Sample
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.training import Recipe, fit
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.weights import checkpoint

SIZE = (16, 24)
OPTIONS = {"size": None, "mirror": False, "scales": (1.0,)}


class Noise:
    """Random pictures, larger than those of the training, with random labels."""

    palette, name = CAMVID, "noise"

    def __len__(self):
        return 2

    def __getitem__(self, index):
        labels = np.random.default_rng(index).integers(0, 12, (20, 28)).astype(np.uint8)
        return Sample(noise(20, 28, seed=index), labels, str(index))


DATA, VAL = InMemory(ToyScenes(2, seed=0, size=SIZE)), InMemory(Noise())


def model():
    return ts.build("tiny", width=1 / 16)


@pytest.mark.parametrize("settings", [
    {}, {"mirror": True}, {"test_scales": (0.5,)}, {"test_scales": (0.75, 1.5), "mirror": True},
], ids=str)  # fmt: skip
def test_a_finished_run_is_scored_with_the_settings_of_its_predictions(tmp_path, settings):
    recipe = Recipe(epochs=1, size=SIZE, **settings)
    folder = RunFolder(tmp_path / "run", dataclasses.asdict(recipe), CAMVID)
    first = fit(model(), DATA, VAL, recipe=recipe, run=folder, progress=False)
    written = (folder.path / "last.safetensors").read_bytes()
    again, called = model(), []
    result = fit(again, DATA, VAL, recipe=recipe, run=RunFolder.resume(folder.path), progress=False,
                 on_epoch=called.append)  # fmt: skip
    np.testing.assert_array_equal(result.scores.confusion, first.scores.confusion)
    assert (result.history, result.seconds, result.void_batches) == (first.history, first.seconds, 0)
    assert not called
    assert (folder.path / "last.safetensors").read_bytes() == written
    right = recipe.prediction
    for name, other in OPTIONS.items():  # each setting that differs from the default has an effect on these pictures
        if right[name] != other:
            assert (ts.evaluate(again, VAL, **{**right, name: other}).confusion != result.scores.confusion).any(), name
    saved = checkpoint.read(folder.path / "best.safetensors")
    np.testing.assert_array_equal(ts.evaluate(saved.model, VAL, **saved.prediction).confusion, first.scores.confusion)


def test_a_finished_run_without_validation_has_no_scores(tmp_path):
    recipe = Recipe(epochs=1, size=SIZE)
    folder = RunFolder(tmp_path / "run", dataclasses.asdict(recipe), CAMVID)
    for run in (folder, RunFolder.resume):
        opened = run if run is folder else run(folder.path)
        result = fit(model(), DATA, recipe=recipe, run=opened, progress=False)
        assert result.scores is None
        assert len(result.history) == 1
