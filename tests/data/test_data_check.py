"""`tinysegnet data check`, and how train and evaluate treat good and bad folders."""

import json
import re
import warnings

import numpy as np
import pytest
from folder_samples import H, W, fastai, label_map, picture, save, spoil, write
from PIL import Image

from tinysegnet.cli.data_options import load_splits
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, Folder, plausibility
from tinysegnet.data.palette import SAFE_COLORS
from tinysegnet.weights import checkpoint


def test_data_check_names_every_bad_file(tmp_path, capsys):
    bad = spoil(tmp_path)
    assert main(["data", "check", str(tmp_path)]) == 2
    text = capsys.readouterr().out
    lines = [line for line in text.splitlines() if line.startswith(f"{tmp_path}/")]
    assert [line.split(":")[0] for line in lines] == bad
    for line, what in zip(
        lines,
        [
            r"value 37 at row 3, column 5 .*0\.\.2, void 255",
            "no such file",
            f"{H} x {W - 1} pixels.*{H} x {W}",
            "damaged",
        ],
        strict=True,
    ):
        assert re.search(what, line)
    assert "3 classes, from classes.txt: a, b, c" in text
    assert text.splitlines()[-1] == "5 pairs checked: 4 files cannot be used"
    assert "pictures: 4 train, 1 val" in text


def test_a_single_high_value_is_an_error_and_not_a_class(tmp_path):
    spoil(tmp_path)
    (tmp_path / "classes.txt").unlink()
    assert re.search(r"value 37 at row 3, column 5 .*0\.\.2, void 255", Folder(tmp_path).problems()[0])


def test_extra_files_jpegs_and_unknown_colours_are_reported(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 4)
    (tmp_path / "classes.txt").write_text("0 0 9 a\n0 9 0 b\n9 0 0 c\n")
    (tmp_path / "images/p0.png").unlink()
    save(tmp_path / "labels/p1.jpg", label_map())
    (tmp_path / "labels/p1.png").unlink()
    save(tmp_path / "labels/p2.png", np.full((H, W, 3), 5, np.uint8))
    problems = Folder(tmp_path).problems()
    for problem, what in zip(problems, ["no such file", "JPEG", "colour 5 5 5 at row 0"], strict=True):
        assert what in problem
        assert problem.startswith(f"{tmp_path}/")


def test_both_bad_files_of_a_pair_are_reported(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 3)
    for name in ("images/p0.png", "labels/p0.png"):
        (tmp_path / name).write_bytes(b"nonsense")
    problems = Folder(tmp_path).problems()
    assert [problem.split(":")[0] for problem in problems] == [f"{tmp_path}/images/p0.png", f"{tmp_path}/labels/p0.png"]


def test_data_check_prints_what_it_inferred(tmp_path, capsys):
    write(tmp_path, "images/{}.png", "labels/{}.png", 5)
    assert main(["data", "check", str(tmp_path), "--ignore", "2"]) == 0
    text = capsys.readouterr().out
    assert "images/ and labels/; pictures: 4 train, 1 val" in text
    assert "2 classes, from the values in the label maps" in text
    assert text.endswith("5 pairs checked: all can be used\n")


@pytest.mark.parametrize("command", [["train", "--runs", "r", "--data"], ["data", "baselines", "--data"]])
def test_commands_reject_bad_files_before_they_start(tmp_path, capsys, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    spoil(tmp_path / "d")
    assert main([*command, "d"]) == 2
    lines = [line for line in capsys.readouterr().err.replace("\r", "\n").splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    for part in ("d: files that cannot be used: 4. d/labels/p0.png: ", "37",
                 "tinysegnet data check d"):  # fmt: skip
        assert part in lines[0]
    assert not (tmp_path / "r").exists()


@pytest.mark.long
def test_evaluate_and_resume_use_the_options_of_training(tmp_path, capsys):
    write(tmp_path / "d", "images/{}.png", "labels/{}.png", 5)
    options = ["--epochs", "1", "--width", "0.1", "--size", "16x24", "--runs", str(tmp_path / "r"), "--name", "x"]
    data = ["--data", str(tmp_path / "d")]
    assert main(["train", *data, "--ignore", "2", "--palette", "safe", *options]) == 0
    weights = str(tmp_path / "r/x/best.safetensors")
    assert checkpoint.read(weights).palette.colors == SAFE_COLORS[:2]
    capsys.readouterr()
    assert main(["evaluate", weights, "--json"]) == 0
    shown = capsys.readouterr()
    assert set(json.loads(shown.out)["IoU"]) == {"class 0", "class 1"}
    assert "label maps are read as in training: --ignore 2 --palette safe\n" in shown.err
    assert main(["evaluate", weights, *data, "--ignore", "0", "--json"]) == 0  # the option takes precedence
    assert "--ignore 2" not in capsys.readouterr().err
    assert main(["train", "--resume", str(tmp_path / "r/x")]) == 0
    assert checkpoint.read(weights).palette.colors == SAFE_COLORS[:2]

    loaded = checkpoint.read(weights)
    checkpoint.save(weights, loaded.model, palette=loaded.palette, training={**loaded.training, "ignore": "two"})
    assert main(["evaluate", weights, *data]) == 2
    assert "ignore: 'two'" in capsys.readouterr().err


def test_own_pictures_are_trained_and_evaluated(tmp_path, capsys):
    for k in range(4):
        save(tmp_path / f"d/images/{k}.png", np.repeat(np.repeat(picture(k), 4, 0), 4, 1))
        save(tmp_path / f"d/masks/{k}_mask.png", np.repeat(np.repeat(label_map(2, k), 4, 0), 4, 1) * 255)
    options = ["--epochs", "1", "--width", "0.1", "--size", "16x24", "--runs", str(tmp_path / "r"), "--name", "x"]
    assert main(["train", "--data", str(tmp_path / "d"), *options]) == 0
    text = capsys.readouterr().out
    assert "2 classes, from the values in the label maps" in text
    assert "foreground" in text
    weights = str(tmp_path / "r/x/last.safetensors")
    assert main(["evaluate", weights, "--data", str(tmp_path / "d"), "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["IoU"]) == {"background", "foreground"}

    fastai(tmp_path / "other")
    assert main(["evaluate", weights, "--data", str(tmp_path / "other")]) == 2
    assert re.search("CamVid val has 11 classes.*predicts 2", capsys.readouterr().err)


def split_folder(root, **splits):
    """Write images/SPLIT/ and labels/SPLIT/ with one picture per label map."""
    for split, maps in splits.items():
        for k, labels in enumerate(maps):
            save(root / f"images/{split}/{split}{k}.png", picture(10 * len(split) + k))
            save(root / f"labels/{split}/{split}{k}.png", labels)
    (root / "classes.txt").write_text("sky\nroad\ntree\nvoid\n")


def test_data_check_shows_the_share_of_each_class_per_split(tmp_path, capsys):
    one, half = np.zeros((H, W), np.uint8), np.zeros((H, W), np.uint8)
    half[: H // 2] = 3
    two = np.full((H, W), 2, np.uint8)
    split_folder(tmp_path, train=[one, half], val=[one, one, one, two])
    assert main(["data", "check", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    rows = {
        line.split()[0]: line.split()[-2:]
        for line in text.splitlines()
        if line.startswith(("sky", "road", "tree", "void"))
    }
    assert rows == {"sky": ["75.0", "75.0"], "road": ["-", "-"], "tree": ["-", "25.0"], "void": ["25.0", "-"]}
    assert "classes of val that do not occur in train: tree" in text
    assert "classes of train" not in text


@pytest.mark.parametrize(
    ("splits", "missing"), [(("test",), ["train", "val"]), (("val",), ["train"]), (("train", "test"), [])]
)
def test_a_folder_without_training_pictures_is_not_called_usable(tmp_path, capsys, splits, missing):
    split_folder(tmp_path, **{split: [label_map(3, k) for k in range(4)] for split in splits})
    assert main(["data", "check", str(tmp_path)]) == bool(missing)
    last = capsys.readouterr().out.splitlines()[-1]
    if missing:
        assert f"--split {splits[0]}" in last
        assert " and ".join(missing) in last
        assert "all can be used" not in last


def test_shared_pictures_are_reported_by_check_and_train(tmp_path, capsys, monkeypatch):
    write(tmp_path / "d", "images/{}.png", "labels/{}.png", 5)
    given = []
    monkeypatch.setattr(
        plausibility, "shared_pictures", lambda folders: given.append(len([*folders])) or ["p0 is in both"]
    )
    assert main(["data", "check", str(tmp_path / "d")]) == 0
    assert "p0 is in both" in capsys.readouterr().out.splitlines()
    assert main(["data", "baselines", "--data", str(tmp_path / "d"), "--json"]) == 0
    assert "warning: p0 is in both" in capsys.readouterr().err
    assert given == [2, 2]


@pytest.mark.parametrize("palette", ["own", "safe"])
def test_predict_draws_in_safe_colours_on_request(tmp_path, palette):
    save(tmp_path / "p.png", np.zeros((24, 32, 3), np.uint8))
    assert main(["predict", "toy", str(tmp_path / "p.png"), "--out", str(tmp_path), "--palette", palette]) == 0
    colors = np.unique(np.asarray(Image.open(tmp_path / "p_colours.png")).reshape(-1, 3), axis=0).tolist()
    assert {tuple(color) for color in colors} <= {*CAMVID.with_colors(palette).colors}


def scene(k):
    """A bright box on a dark ground, and its label map, both (32, 32). Every rotation and reflection moves the box."""
    labels = np.zeros((32, 32), np.uint8)
    labels[3 + k : 12 + k, 5 : 11 + k] = 1
    return (np.where(labels[..., None], 220, 40) + np.arange(3, dtype=int)).astype(np.uint8), labels


@pytest.mark.parametrize("orientation", [2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("are_stored", [True, False])
def test_label_maps_drawn_on_the_stored_pixels_are_reported(tmp_path, capsys, orientation, are_stored):
    to_stored = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]  # the inverse, as a Pillow transposition
    exif = Image.Exif()
    exif[0x0112] = orientation
    for k in range(6):
        image, labels = (Image.fromarray(array) for array in scene(k))
        for path, upright, turn in (("images", image, True), ("labels", labels, are_stored)):
            (tmp_path / path).mkdir(exist_ok=True)
            stored = upright.transpose(Image.Transpose(to_stored)) if turn else upright
            stored.save(tmp_path / path / f"p{k}.png", **({"exif": exif} if path == "images" else {}))
    assert main(["data", "check", str(tmp_path)]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "turned by EXIF" in line]
    assert len(lines) == are_stored
    assert all("labels" in line and "exiftool" in line for line in lines)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load_splits(str(tmp_path), ("train",))
    assert ["exiftool" in str(warning.message) for warning in caught] == [True] * are_stored


def test_data_check_names_classes_that_never_occur_and_much_void(tmp_path, capsys):
    void = np.full((H, W), 3, np.uint8)
    split_folder(tmp_path, train=[void, void, void + 252], val=[np.zeros((H, W), np.uint8)])
    (tmp_path / "classes.txt").write_text("sky\nroad\ntree\nvoid\n")
    assert main(["data", "check", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "classes that occur in no label map: road, tree" in text
    assert "more than half of train is void" in text
    assert "more than half of val" not in text


def test_a_sheet_without_usable_pairs_is_not_forgotten(tmp_path, capsys):
    save(tmp_path / "images/a.png", picture())
    save(tmp_path / "labels/a.png", label_map()[:-1])
    assert main(["data", "check", str(tmp_path), "--sheet", str(tmp_path / "sheet.png")]) == 2
    assert "sheet.png: not written" in capsys.readouterr().err
    assert not (tmp_path / "sheet.png").exists()
