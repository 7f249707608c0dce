"""Commands also work with one class, one logit, dropout samples and PyTorch's layout."""

import contextlib
import dataclasses
import io
import json

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet.cli.main import main
from tinysegnet.data import InMemory, OneClass
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.errors import SettingError, ShapeError
from tinysegnet.training import Recipe, fit
from tinysegnet.training.run_folder import RunFolder
from tinysegnet.weights import checkpoint

SMALL = "--width 0.1 --limit 2 --epochs 1 --size 20x28"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMANDS = {
    "train one logit": f"train --model article --one-class road {SMALL} --name one",
    "evaluate the class": "evaluate runs/one/last.safetensors --one-class Road --limit 2 --json",
    "evaluate as in training": "evaluate runs/one/last.safetensors --limit 2",
    "evaluate other classes": "evaluate toy --one-class Road --limit 2",
    "train with averaging": f"train {SMALL} --name averaged --mirror --test-scales 0.5 1",
    "predict with samples": "predict bayesian.safetensors street.png --out out --samples 3",
    "evaluate with samples": "evaluate bayesian.safetensors --data toy --samples 3 --limit 2 --no-baseline",
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The folder in which the commands ran, and the exit code, stdout and stderr of each."""
    folder = tmp_path_factory.mktemp("commands")
    bayesian = ts.build("bayesian-basic", width=1 / 16)
    ts.save(folder / "bayesian.safetensors", bayesian, training={"size": (20, 28)})
    Image.fromarray(ToyScenes(1, seed=5)[0].image).save(folder / "street.png")
    results = {}
    with contextlib.chdir(folder):
        for name, command in COMMANDS.items():
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(command.split())
            results[name] = code, out.getvalue(), err.getvalue()
    return folder, results


def error_line(capsys):
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    return line


@pytest.mark.long
def test_the_articles_network_learns_one_class_with_one_logit(done):
    folder, results = done
    assert results["train one logit"][0] == 0, results
    saved = checkpoint.read(folder / "runs/one/last.safetensors")
    assert saved.model.config["num_classes"] == 1
    assert saved.palette.names == ("not Road", "Road")
    assert set(json.loads(results["evaluate the class"][1])["IoU"]) == {"not Road", "Road"}
    _, out, err = results["evaluate as in training"]
    assert "--one-class road" in err  # the message says how the label maps are read
    assert "not Road" in out
    code, _, err = results["evaluate other classes"]
    assert code == 2
    assert "2 classes, but the network predicts 11" in err


@pytest.mark.parametrize("command", [
    (f"train --one-class Rood {SMALL}", "'Rood'", "Sky, Building", "Did you mean 'Road'?"),
    (f"train --model article {SMALL.replace('20x28', '21x28')}", "multiples of 4", "21x28", "20x28"),
    ("summary article --size 45x60", "multiples of 4", "45x60"),
    (f"train --preprocessing x {SMALL}", "--preprocessing", "'x'", "own, scaled"),
    ("predict toy x.png --out o --samples 3", "tiny has no dropout"),
    ("predict toy x.png --out o --samples 0", "--samples", "> 0"),
    ("predict toy x.png --out o --samples 3 --mirror", "mirror and samples"),
    ("evaluate toy --samples 3 --test-scales 1 2", "test-scales", "samples"),
    ("predict toy x.png --out o --test-scales 0", "--test-scales", "> 0"),
    ("predict toy x.png --out o --test-scales 1 40", "x.png", "Mpx", "--scale 0."),
    (f"train --test-scales 1 -1 {SMALL}", "test_scales: (1.0, -1.0)"),
    ("evaluate toy --samples 3", "tiny has no dropout"),
    ("export toy --out o --torch --half", "--torch", "--half"),
    ("find-lr --epochs 3", "unknown option --epochs. See"),
], ids=lambda command: command[0])  # fmt: skip
def test_a_contradiction_is_one_line(here, capsys, command):
    words, *facts = command
    Image.new("RGB", (64, 48)).save("x.png")
    assert main(words.split()) == 2
    line = error_line(capsys)
    assert [fact for fact in facts if fact not in line] == []


def test_dropout_samples_give_an_uncertainty_map(done):
    folder, results = done
    assert results["predict with samples"][0] == 0, results
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        f"street_{kind}.png" for kind in ("colours", "labels", "overlay", "uncertainty")
    ]
    scores = results["evaluate with samples"][1]
    assert "AUROC 0." in scores
    assert "one pass: 0." in scores


@pytest.mark.parametrize(("run", "mirror", "scales"), [("one", False, (1.0,)), ("averaged", True, (0.5, 1.0))])
def test_a_checkpoint_records_how_the_network_was_validated(done, run, mirror, scales):
    for name in ("last", "best"):
        found = checkpoint.read(done[0] / "runs" / run / f"{name}.safetensors").prediction
        assert found == {"size": (20, 28), "mirror": mirror, "scales": scales}


def test_the_uncertainty_picture_is_bright_where_passes_disagree():
    uncertainty = np.zeros((30, 40))
    uncertainty[10:20, 10:20] = 0.04
    picture = np.asarray(viz.uncertainty_picture(uncertainty))
    assert picture.shape[1] >= 480
    scale = picture.shape[1] // 40
    assert picture[15 * scale, 15 * scale].sum() > 3 * picture[2, 2].sum() + 300
    assert viz.uncertainty_picture(np.zeros((2, 3))).width >= 480
    with pytest.raises(ShapeError, match="uncertainty map"):
        viz.uncertainty_picture(np.zeros((2, 3, 4)))


def test_a_resumed_bayesian_run_is_the_same_bit_for_bit(tmp_path):
    """The masks of dropout depend only on the seed and the step."""
    data, recipe = InMemory(ToyScenes(4, seed=0, size=(20, 28))), Recipe(epochs=2, size=(20, 28))
    network = {"name": "bayesian-basic", "width": 1 / 16}
    config = {"data": "toy", "model": "bayesian-basic", **dataclasses.asdict(recipe)}
    whole = ts.build(**network)
    fit(whole, data, recipe=recipe, progress=False)

    stopped, folder = ts.build(**network), RunFolder(tmp_path / "run", config, data.palette)
    with pytest.raises(KeyboardInterrupt):
        fit(stopped, _Interrupting(data, at=6), recipe=recipe, run=folder, progress=False)
    resumed = RunFolder.resume(tmp_path / "run")
    model = ts.build(**network, seed=4)
    fit(model, data, recipe=recipe, run=resumed, progress=False)
    for name, array in whole.state().items():
        np.testing.assert_array_equal(model.state()[name], array, err_msg=name)


class _Interrupting:
    """A data set that sends Ctrl-C at its n-th picture."""

    def __init__(self, data, at):
        self.data, self.at, self.palette, self.name = data, at, data.palette, data.name

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        import signal

        self.at -= 1
        if self.at == 0:
            signal.raise_signal(signal.SIGINT)
        return self.data[index]


def test_one_class_against_all_others():
    streets = ToyScenes(2, seed=0)
    roads = OneClass(streets, "road")
    labels, own = roads[1].labels, streets[1].labels
    assert roads.palette.names == ("not Road", "Road")
    np.testing.assert_array_equal(labels == 1, own == streets.palette.names.index("Road"))
    np.testing.assert_array_equal(labels == 255, own == streets.palette.ignore_label)
    with pytest.raises(SettingError, match="no class 'Rood'"):
        OneClass(streets, "Rood")


def test_pytorch_state_round_trips(here):
    assert main(["export", "toy", "--out", "toy_torch.safetensors", "--torch"]) == 0
    state = safetensors.numpy.load_file("toy_torch.safetensors")
    model = ts.load_bundled("toy")
    assert state["encoder1.conv1.weight"].shape == (32, 3, 3, 3)
    assert state["encoder1.bn1.num_batches_tracked"].shape == ()
    other = ts.build("tiny", seed=9)
    ts.from_torch_state(other, state)
    for name, array in model.state().items():
        np.testing.assert_array_equal(other.state()[name], array)
    del state["classifier.bias"]
    state["x.weight"] = np.zeros(3, np.float32)
    with pytest.raises(ts.errors.CheckpointError, match=r"missing classifier\.bias; unexpected x\.weight"):
        ts.from_torch_state(other, state)
