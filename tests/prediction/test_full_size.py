"""`predict --full-size`, `--tiles` and `--no-tiles`: which pixels the network gets, and when it gets them in tiles."""

import numpy as np
import pytest
from PIL import Image
from small_networks import noise, shaken

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import read_labels
from tinysegnet.prediction import segment_files
from tinysegnet.weights.checkpoint import save


@pytest.fixture(scope="module")
def model():
    return shaken(ts.build("bayesian-basic", width=1 / 16, seed=3))


@pytest.fixture
def run(model, tmp_path, monkeypatch):
    """Return a function that predicts a picture of 60x340 pixels and returns the exit code and the used tiles."""
    save(tmp_path / "net.safetensors", model, training={"size": [24, 32]})
    Image.fromarray(noise(60, 340)).save(tmp_path / "p.png")
    tiles = []

    def predict(*arguments, tile=None, **options):
        tiles.append(tile)
        return ts.predict(*arguments, **options, tile=tile)

    monkeypatch.setattr(segment_files, "predict", predict)

    def run_command(*options):
        paths = [str(tmp_path / name) for name in ("net.safetensors", "p.png")]
        return main(["predict", *paths, "--out", str(tmp_path / "out"), *options]), tiles

    return run_command


def labels(tmp_path):
    return read_labels(tmp_path / "out" / "p_labels.png")


@pytest.mark.parametrize(("options", "size"), [
    ([], (24, 32)), (["--full-size"], None), (["--full-size", "--scale", "0.5"], (30, 170)),
    (["--full-size", "--tiles"], None), (["--tiles"], (24, 32)),
])  # fmt: skip
def test_full_size_gives_the_network_the_pixels_of_the_picture(run, model, tmp_path, options, size):
    code, tiles = run(*options)
    assert code == 0
    np.testing.assert_array_equal(labels(tmp_path), ts.predict(model, noise(60, 340), size=size))
    assert tiles == [1024 if "--tiles" in options else None]


@pytest.mark.parametrize(("pixels", "expected"), [(60 * 340, None), (60 * 340 - 1, 1024)])
def test_tiles_are_chosen_above_a_number_of_pixels(run, monkeypatch, pixels, expected):
    monkeypatch.setattr(segment_files, "MAX_WORKING_PIXELS", pixels)
    assert run("--full-size") == (0, [expected])


@pytest.mark.parametrize(("options", "help"), [
    (["--no-tiles"], "--scale 0.99 or less, or leave out --no-tiles"),
    (["--samples", "2"], "--scale 0.99 or less"),
    (["--test-scales", "1", "0.5"], "--scale 0.199 or less, or --full-size and --test-scales 1 without --scale"),
    (["--scale", "0.9"], "--scale 0.199 or less, or --full-size and --test-scales 1 without --scale"),
])  # fmt: skip
def test_too_many_pixels_for_the_options_suggest_a_scale(run, monkeypatch, capsys, options, help):
    monkeypatch.setattr(
        segment_files, "MAX_WORKING_PIXELS", 20_000 if len(options) < 2 or "--samples" in options else 10
    )
    monkeypatch.setattr(segment_files, "MAX_LOGITS", 11 * 810)
    code, tiles = run("--full-size", *options)
    assert (code, tiles) == (2, [])
    (line,) = capsys.readouterr().err.splitlines()
    assert "p.png: " in line
    assert line.endswith(f"Give {help}")


def test_samples_are_not_computed_in_tiles(run, capsys):
    assert run("--full-size", "--tiles", "--samples", "2")[0] == 2
    assert "tiles and samples" in capsys.readouterr().err


def test_probabilities_are_computed_in_tiles(run, model, tmp_path):
    assert run("--full-size", "--tiles", "--probabilities")[0] == 0
    with np.load(tmp_path / "out" / "p_probabilities.npz") as file:
        np.testing.assert_allclose(file["probabilities"], ts.predict_probs(model, noise(60, 340)), atol=1e-6)
