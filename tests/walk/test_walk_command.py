"""The command `tinysegnet walk`: the page that it writes, and its errors."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from walk_pages import FIVE, IMAGE, SIZE, Page, labels_for, lively

import tinysegnet as ts
from tinysegnet.cli.data_options import LabelOptions
from tinysegnet.cli.main import main
from tinysegnet.cli.walk_command import _read_labels
from tinysegnet.weights.checkpoint import read

pytestmark = pytest.mark.usefixtures("without_compiling")


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    ts.save(tmp_path / "five.safetensors", lively("tiny"), palette=FIVE, training={"size": list(SIZE)})
    Image.fromarray(IMAGE).save(tmp_path / "x.png")
    Image.fromarray(labels_for(lively("tiny"))).save(tmp_path / "y.png")
    Image.fromarray(labels_for(lively("tiny"))[:-1]).save(tmp_path / "short.png")
    Image.fromarray(np.full(SIZE, 7, np.uint8)).save(tmp_path / "seven.png")
    (tmp_path / "text.png").write_text("hello")
    for name in ("folder", "folder.html"):
        (tmp_path / name).mkdir()
    (tmp_path / "mine.html").write_text("<!doctype html>\n<title>mine</title>")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_walk_writes_a_page(workplace, capsys):
    assert main(["walk", "five.safetensors", "x.png", "--labels", "y.png", "--out", "new/walk.html"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("new/walk.html  ")
    assert said.err == "", "predict makes one pass as well"
    page = Page((workplace / "new" / "walk.html").read_text(encoding="utf-8"))
    assert page.data["title"] == "x.png in tiny"
    assert page.data["classes"][4]["name"] == "Straße"
    assert page.data["labelled"]
    assert page.data["void"]


def test_walk_replaces_an_older_walk(workplace, capsys):
    command = ["walk", "five.safetensors", "x.png", "--out", "walk.HTM"]
    assert main(command) == 0
    (workplace / "walk.HTM").write_bytes((workplace / "walk.HTM").read_bytes()[:500])
    assert main(command) == 0
    assert (workplace / "walk.HTM").stat().st_size > 10000


def test_walk_shows_a_network_that_was_trained_on_a_folder(workplace, capsys):
    rng = np.random.default_rng(4)
    for k in range(6):
        labels = rng.integers(0, 5, (6, 8), np.uint8).repeat(4, 0).repeat(4, 1)
        picture = np.array(FIVE.colors, np.uint8)[labels]
        for folder, array in (("images", picture), ("labels", labels)):
            (workplace / "own" / folder).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(workplace / "own" / folder / f"{k}.png")
    (workplace / "own" / "classes.txt").write_text("sea\nland\nboat\ngull\nrock\n")
    options = "--epochs 1 --size 24x32 --width 0.1 --batch-size 2 --runs runs --name own"
    assert main(f"train --data own {options}".split()) == 0
    walk = "walk runs/own/best.safetensors own/images/1.png --labels own/labels/1.png --out w.html"
    capsys.readouterr()
    assert main(walk.split()) == 0
    assert "mirror images" in capsys.readouterr().err, "the recipe of folders does"
    page = Page((workplace / "w.html").read_text(encoding="utf-8"))
    assert [one["name"] for one in page.data["classes"]] == ["sea", "land", "boat", "gull", "rock"]
    assert page.node("classifier")["weight"]["shape"][3] == 5
    assert "averages 8 passes" in page.data["notice"]
    assert "by the square root of median frequency" in page.data["weighting"]


@pytest.mark.parametrize("void", [0, 2, 9])
def test_walk_reads_255_as_void(workplace, capsys, void):
    """Training does the same, for any number of void in the network's palette."""
    palette = ts.data.Palette(FIVE.names, FIVE.colors, 200)
    ts.save("other.safetensors", lively("tiny"), palette=palette, training={"size": list(SIZE)})
    labels = np.random.default_rng(0).integers(0, 5, SIZE).astype(np.uint8)
    labels[: void + 1] = 255
    Image.fromarray(labels).save("v.png")
    found = _read_labels(workplace / "v.png", workplace / "x.png", read(workplace / "other.safetensors"))
    np.testing.assert_array_equal(found, np.where(labels == 255, 200, labels))
    assert main(["walk", "other.safetensors", "x.png", "--labels", "v.png", "--out", "w.html"]) == 0


@pytest.mark.parametrize("network_void", [None, 200, 255])
def test_walk_reads_a_mask_of_0_and_255_for_two_classes(workplace, network_void):
    palette = ts.data.Palette(("off", "on"), FIVE.colors[:2], network_void)
    ts.save("two.safetensors", lively("tiny", 2), palette=palette, training={"size": list(SIZE)})
    labels = np.random.default_rng(0).integers(0, 2, SIZE).astype(np.uint8)
    for saved in (Image.fromarray(labels * 255), Image.fromarray(labels), Image.fromarray(labels * 255).convert("1")):
        saved.save("m.png")
        np.testing.assert_array_equal(
            _read_labels(workplace / "m.png", workplace / "x.png", read(workplace / "two.safetensors")), labels
        )


@pytest.mark.parametrize("folder", ["labels", "masks/val"])
@pytest.mark.parametrize("options", [{}, {"ignore": 2}, {"one_class": "boat"}])
def test_walk_reads_the_label_map_of_a_data_set_as_in_training(workplace, folder, options):
    """The file values are colours of a list in another order, of which one means void."""
    images = folder.replace("labels", "images").replace("masks", "images")
    numbers = np.random.default_rng(0).integers(0, 4, (3, *SIZE)).astype(np.uint8)
    colors = np.array([(9, 9, 9), (200, 60, 30), (60, 120, 40), (10, 90, 200)], np.uint8)
    for k, one in enumerate(numbers):
        for name, array in ((images, IMAGE), (folder, colors[one])):
            (workplace / "set" / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(workplace / "set" / name / f"{k}.png")
    lines = ["9 9 9 void", "200 60 30 boat", "60 120 40 land", "10 90 200 sea"]
    (workplace / "set" / "classes.txt").write_text("\n".join(lines))
    split = "val" if "/" in folder else "train"
    chosen = LabelOptions(**options)
    data = chosen.select(chosen.open(str(workplace / "set"), split))
    ts.save("own.safetensors", lively("tiny", data.palette.num_classes), palette=data.palette,
            training={"size": list(SIZE), **options})  # fmt: skip
    place = [Path(start, "set", name, "0.png") for start, name in (("", folder), (workplace / "five" / "..", images))]
    found = _read_labels(*place, read(workplace / "own.safetensors"))
    np.testing.assert_array_equal(found, data[0].labels)


@pytest.mark.parametrize("orientation", [3, 6])
def test_walk_turns_pictures_upright_as_training_does(workplace, capsys, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    turn = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}[orientation]
    Image.fromarray(IMAGE).transpose(turn).save("turned.png", exif=exif)
    with Image.open("y.png") as labels:
        labels.transpose(turn).save("stored.png")
    command = ["walk", "five.safetensors", "turned.png", "--out", "w.html", "--labels"]
    assert main([*command, "y.png"]) == 0
    if orientation == 6:
        assert main([*command, "stored.png"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "stored.png: " in line
        assert "exiftool -Orientation= turned.png" in line


MISTAKES = {
    "walk": ("CHECKPOINT", "IMAGE", "--out"),
    "walk five.safetensors none.png --out w.html": ("none.png", "no such file"),
    "walk five.safetensors text.png --out w.html": ("text.png",),
    "walk x.png x.png --out w.html": ("x.png",),
    "walk none.safetensors x.png --out w.html": ("none.safetensors", "no such file"),
    "walk five.safetensors x.png --labels none.png --out w.html": ("none.png", "no such file"),
    "walk five.safetensors x.png --labels short.png --out w.html": ("short.png", "23 x 32", "24 x 32"),
    "walk five.safetensors x.png --labels seven.png --out w.html": ("seven.png", "value 7", "row 0, column 0"),
    "walk five.safetensors x.png --out folder.html": ("folder.html", "directory"),
    "walk five.safetensors x.png --out folder": ("folder", ".html"),
    "walk five.safetensors x.png --out x.png/w.html": ("x.png",),
    "walk five.safetensors x.png --out x.png": ("x.png", ".html"),
    "walk five.safetensors x.png --labels y.png --out y.png": ("y.png", ".html"),
    "walk five.safetensors x.png --out five.safetensors": ("five.safetensors", ".html"),
    "walk five.safetensors x.png --out walk": ("walk", ".html"),
    "walk five.safetensors x.png --out mine.html": ("mine.html", "not a walk", "--out"),
    "walk none.safetensors none.png --out mine.html": ("mine.html", "not a walk"),
    "walk five.safetensors x.png --size 4000x4000 --out w.html": ("GB", "smaller"),
    "walk five.safetensors x.png --size 40 --out w.html": ("--size", "40"),
}


@pytest.mark.parametrize(("command", "facts"), MISTAKES.items(), ids=MISTAKES)
def test_walk_reports_an_error_in_one_line(workplace, capsys, command, facts):
    before = {path: path.read_bytes() for path in workplace.iterdir() if path.is_file()}
    assert main(command.split()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert all(fact.lower() in line.lower() for fact in facts)
    assert {path: path.read_bytes() for path in workplace.iterdir() if path.is_file()} == before
