"""Commands warn about pictures that are unlike the training pictures, and `predict` writes probabilities."""

import numpy as np
import pytest
from PIL import Image

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.weights.checkpoint import save

KNOWN = {"mean": [9.0] * 9, "std": [0.1] * 9, "count": 50}  # no picture has such statistics


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A drawn street and a picture of noise."""
    folder = tmp_path_factory.mktemp("pictures")
    Image.fromarray(ToyScenes(1, seed=7)[0].image).save(folder / "street.png")
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")
    return folder


@pytest.mark.parametrize("command", ["predict", "walk"])
def test_the_bundled_network_warns_about_a_picture_that_is_no_drawn_street(command, pictures, tmp_path, capsys):
    for name in ("street", "noise"):
        out = tmp_path / (name if command == "predict" else f"{name}.html")
        smaller = ["--size", "24x32"] if command == "walk" else []
        assert main([command, "toy", str(pictures / f"{name}.png"), "--out", str(out), *smaller]) == 0
        warned = "training pictures" in capsys.readouterr().err
        assert warned == (name == "noise")


def test_one_line_counts_the_unfamiliar_pictures_and_names_the_farthest(pictures, tmp_path, capsys):
    assert main(["predict", "toy", str(pictures), "--out", str(tmp_path)]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert "1 of 2 pictures" in line
    assert "noise.png" in line
    assert "street" not in line


def test_evaluate_warns_once_about_all_pictures(tmp_path, capsys):
    save(tmp_path / "net.safetensors", ts.build("tiny", width=1 / 8), training={"input": KNOWN, "size": [24, 32]})
    assert main(["evaluate", str(tmp_path / "net.safetensors"), "--data", "toy", "--limit", "3", "--no-baseline"]) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "training pictures" in line]
    assert "3 of 3 pictures" in line


def test_a_network_without_statistics_does_not_warn(pictures, tmp_path, capsys):
    save(tmp_path / "net.safetensors", ts.build("tiny", width=1 / 8))
    out = str(tmp_path / "out")
    assert main(["predict", str(tmp_path / "net.safetensors"), str(pictures / "noise.png"), "--out", out]) == 0
    assert "warning" not in capsys.readouterr().err


@pytest.mark.parametrize("options", [[], ["--mirror", "--test-scales", "0.5", "1"], ["--samples", "3"]])
def test_probabilities_agree_with_the_labels_and_the_classes(options, pictures, tmp_path):
    net = tmp_path / "net.safetensors"
    save(net, ts.build("bayesian-basic", width=1 / 8), training={"size": [32, 32]})
    command = ["predict", str(net), str(pictures / "noise.png"), *options]
    assert main([*command, "--out", str(tmp_path / "without")]) == 0
    assert main([*command, "--out", str(tmp_path / "with"), "--probabilities"]) == 0
    with np.load(tmp_path / "with" / "noise_probabilities.npz", allow_pickle=False) as file:
        probabilities, names = file["probabilities"], file["names"]
    assert probabilities.shape == (90, 120, 11)
    assert probabilities.dtype == np.float32
    assert tuple(names) == ts.data.CAMVID.names
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    for folder in ("without", "with"):  # the label map does not depend on the option
        labels = np.asarray(Image.open(tmp_path / folder / "noise_labels.png"))
        np.testing.assert_array_equal(labels, probabilities.argmax(-1))
    assert not list((tmp_path / "without").glob("*.npz"))


def test_probabilities_of_a_huge_picture_are_refused_before_they_are_computed(pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("tinysegnet.prediction.segment_files.MAX_PROBABILITIES", 90 * 120 * 11 - 1)
    out = tmp_path / "out"
    assert main(["predict", "toy", str(pictures / "noise.png"), "--out", str(out), "--probabilities"]) == 2
    assert "--probabilities" in capsys.readouterr().err
    assert not list(out.iterdir())
