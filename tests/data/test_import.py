"""Annotations of labelme become label maps. Shapes that cannot be drawn are counted, and bad files are refused."""

import os
from pathlib import Path

import numpy as np
import pytest
from import_samples import SHAPES, H, W, all_labels, box, encoded, labelme, photo, read_back, shape
from PIL import Image

from tinysegnet.cli.main import main
from tinysegnet.data.importing import import_annotations
from tinysegnet.data.importing.labelme import _draw

GOLDEN = np.load(Path(__file__).parents[1] / "golden" / "import" / "labelme_masks.npz")


@pytest.mark.parametrize("name", SHAPES)
def test_shapes_are_drawn_as_by_labelmes_converter(name):
    kind, points = SHAPES[name]
    expected = np.unpackbits(GOLDEN[name], count=H * W).reshape(H, W)
    np.testing.assert_array_equal(_draw(kind, np.array(points, float), H, W), expected)


def test_later_shapes_cover_earlier_ones_and_classes_are_sorted(tmp_path):
    labelme(tmp_path / "in", "a", [box("pear", 0, 0, 9, 9), box("apple", 5, 5, 14, 14)])
    labelme(tmp_path / "in", "b", [box("apple", 5, 5, 14, 14), box("pear", 0, 0, 9, 9)])
    imported = import_annotations(tmp_path / "in", tmp_path / "out")
    assert imported.classes == ("background", "apple", "pear")
    assert imported.counts == {"": 2}
    names, labels = all_labels(tmp_path / "out")
    assert names == imported.classes
    assert [labels["a"][y, y] for y in (0, 7, 12, 17)] == [2, 1, 1, 0]
    assert [labels["b"][y, y] for y in (0, 7, 12, 17)] == [2, 2, 1, 0]
    assert (tmp_path / "out/images/a.png").read_bytes() == (tmp_path / "in/a.png").read_bytes()
    assert Image.open(tmp_path / "out/labels/a.png").mode == "P"
    assert not (tmp_path / "out.part").exists()


@pytest.mark.parametrize(("label", "value"), [
    ("background", 0), ("Background", 0), ("_BACKGROUND_", 0), ("VOID", 255), ("__ignore__", 255), ("Unlabelled", 255),
    ("UnLabeled", 255), ("ignore", 255),
])  # fmt: skip
def test_background_and_void_may_be_drawn_in_any_case(tmp_path, label, value):
    labelme(tmp_path / "in", "a", [box("apple", 2, 2, 12, 12), box(label, 5, 5, 14, 14)])
    import_annotations(tmp_path / "in", tmp_path / "out")
    names, labels = all_labels(tmp_path / "out")
    assert names[1:] == ("apple",)
    assert names[0].lower() == ("background" if value else label.lower())
    assert [labels["a"][y, y] for y in (1, 3, 7, 13, 16)] == [0, 1, value, value, 0]


@pytest.mark.parametrize(("left", "top"), [(3, 2), (0, 0), (W - 4, H - 3), (-2, -1), (W - 2, 5)])
def test_masks_are_pasted_into_their_boxes(tmp_path, left, top):
    mask = np.array([[0, 1, 1, 0], [1, 1, 1, 1], [1, 0, 0, 1]], np.uint8)
    points = [[left + 0.4, top + 0.4], [left + 3.4, top + 2.4]] if left >= 0 else [[left, top], [left + 3, top + 2]]
    drawn = shape("apple", "mask", points, mask=encoded(mask))
    labelme(tmp_path / "in", "a", [drawn])
    import_annotations(tmp_path / "in", tmp_path / "out")
    expected = np.zeros((H + 8, W + 8), np.uint8)  # with a margin of 4
    expected[top + 4 : top + 7, left + 4 : left + 8] = mask
    np.testing.assert_array_equal(all_labels(tmp_path / "out")[1]["a"], expected[4:-4, 4:-4])


@pytest.mark.parametrize(("text", "names"), [
    ("__ignore__\n_background_\npear\napple\n", ("_background_", "pear", "apple")),
    ("_background_\npear\napple\n", ("_background_", "pear", "apple")),
    ("pear\napple\n", ("background", "pear", "apple")),
    ("0 0 255 pear\n255 255 0 apple\n", ("background", "pear", "apple")),
    ("0 0 0 pear\n255 255 0 apple\n", ("background", "pear", "apple")),
    ("9 9 9 pear\n255 255 0 apple\n8 8 8 background\n7 7 7 void\n", ("background", "pear", "apple")),
])  # fmt: skip
def test_a_list_of_classes_gives_their_order(tmp_path, text, names):
    labelme(tmp_path / "in", "a", [box("apple", 0, 0, 9, 9), box("__ignore__", 20, 0, 25, 9), box("pear", 3, 3, 5, 5)])
    (tmp_path / "in" / "labels.txt").write_text(text)
    assert import_annotations(tmp_path / "in", tmp_path / "out").classes == names
    found, labels = all_labels(tmp_path / "out")
    assert found == names
    assert [labels["a"][4, x] for x in (1, 4, 15, 22)] == [2, 1, 0, 255]


def test_void_shapes_beside_one_class_are_not_taken_as_a_mask_of_0_and_255(tmp_path):
    for name, label in (("a", "apple"), ("b", "__ignore__"), ("c", "Void")):
        labelme(tmp_path / "in", name, [box(label, 0, 0, 9, 9)])
    import_annotations(tmp_path / "in", tmp_path / "out")
    names, labels = all_labels(tmp_path / "out")
    assert names == ("background", "apple")
    assert [sorted(np.unique(labels[name]).tolist()) for name in "abc"] == [[0, 1], [0, 255], [0, 255]]


def test_a_label_that_the_list_lacks_is_refused(tmp_path, capsys):
    labelme(tmp_path / "in", "a", [box("aple", 0, 0, 9, 9)])
    labelme(tmp_path / "in", "b", [box("apple", 0, 0, 9, 9)])
    (tmp_path / "in" / "labels.txt").write_text("_background_\napple\n")
    assert main(["data", "import", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    printed = capsys.readouterr().out
    assert "a.json" in printed
    assert "'aple'" in printed
    assert list(all_labels(tmp_path / "out")[1]) == ["b"]


def test_what_is_dropped_is_counted(tmp_path, capsys):
    dots = [[1, 1], [5, 5], [9, 3]]
    kinds = {"point": dots[:1], "points": dots, "line": dots[:2], "linestrip": dots, "polygon": dots[:2]}
    shapes = [shape("wire", kind, points) for kind, points in kinds.items()]
    labelme(tmp_path / "in", "a", [*shapes, box("apple", 0, 0, 9, 9), box("apple", 100, 100, 109, 109)])
    labelme(tmp_path / "in", "b", [])
    Image.fromarray(photo()).save(tmp_path / "in" / "c.png")
    assert main(["data", "import", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first == f"{tmp_path / 'out'}: 2 pictures; classes: background, apple"
    for kind in kinds:
        assert len([line for line in lines if f"({kind}), which become background: 1" in line]) == 1, kind
    assert "without a single pixel: wire" in last
    for fact in ("cover no pixel", "without a JSON file", "pictures without shapes"):
        assert len([line for line in lines if fact in line and line.endswith(": 1")]) == 1, fact
    assert len(lines) == 8
    assert not all_labels(tmp_path / "out")[1]["b"].any()


@pytest.mark.parametrize(
    "listed", ["a.png", "..\\photos\\a.png", "../elsewhere/a.png", "C:\\me\\a.png", "/home/me/a.png"]
)
def test_the_picture_is_found_by_its_name_beside_the_json(tmp_path, listed):
    labelme(tmp_path / "in", "a", [box("apple", 0, 0, 9, 9)], imagePath=listed)
    import_annotations(tmp_path / "in", tmp_path / "out")
    assert list(all_labels(tmp_path / "out")[1]) == ["a"]


def test_json_files_in_another_folder_find_their_pictures(tmp_path):
    (tmp_path / "in" / "images").mkdir(parents=True)
    Image.fromarray(photo()).save(tmp_path / "in" / "images" / "a.png")
    labelme(
        tmp_path / "in" / "annotations", "a", [box("apple", 0, 0, 9, 9)], picture=False, imagePath="../images/a.png"
    )
    assert import_annotations(tmp_path / "in", tmp_path / "out").counts == {"": 1}


def test_files_outside_the_source_are_never_read(tmp_path, capsys):
    Image.fromarray(photo()).save(tmp_path / "secret.png")
    labelme(tmp_path / "in", "good", [box("apple", 0, 0, 9, 9)])
    labelme(tmp_path / "in", "a", [box("apple", 0, 0, 9, 9)], picture=False, imagePath="../secret.png")
    labelme(tmp_path / "in", "b", [box("apple", 0, 0, 9, 9)], picture=False, imagePath=str(tmp_path / "secret.png"))
    labelme(tmp_path / "in", "c", [box("apple", 0, 0, 9, 9)], picture=False)
    os.symlink(tmp_path / "secret.png", tmp_path / "in" / "c.png")
    (tmp_path / "outside.json").write_text((tmp_path / "in" / "good.json").read_text())
    os.symlink(tmp_path / "outside.json", tmp_path / "in" / "d.json")
    assert main(["data", "import", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    refused = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not imported")]
    assert [name for name in "abcd" if sum(f"{name}.json" in line for line in refused) != 1] == []
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["good.png"]


def test_a_picture_of_another_size_is_refused(tmp_path):
    labelme(tmp_path / "in", "a", [box("apple", 0, 0, 9, 9)])
    labelme(tmp_path / "in", "b", [box("apple", 0, 0, 9, 9)], imageHeight=W, imageWidth=H)
    labelme(tmp_path / "in", "c", [box("apple", 0, 0, 9, 9)], imageHeight=None, imageWidth=None)
    refused = import_annotations(tmp_path / "in", tmp_path / "out").refused
    assert len(refused) == 1
    assert all(fact in refused[0] for fact in ("b.json", f"{H} x {W}", f"{W} x {H}"))


@pytest.mark.parametrize(("orientation", "turned"), [(1, False), (3, False), (6, True), (8, True)])
def test_annotations_belong_to_the_upright_picture(tmp_path, orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    height, width = (W, H) if turned else (H, W)
    labelme(tmp_path / "in", "a", [box("apple", 0, 0, 5, 9)], imageHeight=height, imageWidth=width)
    Image.fromarray(photo()).save(tmp_path / "in" / "a.png", exif=exif)
    import_annotations(tmp_path / "in", tmp_path / "out")
    labels = np.asarray(Image.open(tmp_path / "out" / "labels" / "a.png"))
    assert labels.shape == (height, width)
    assert labels[:10, :6].all()
    assert labels.sum() == 60


def test_subfolders_become_splits_with_safe_and_unique_names(tmp_path):
    for folder in ("train/images", "val"):
        for name in ("my photo", "my_photo", "MY+photo", "ü"):
            labelme(tmp_path / "in" / folder, name, [box("apple", 0, 0, 9, 9)])
    assert import_annotations(tmp_path / "in", tmp_path / "out").counts == {"train": 4, "val": 4}
    for split in ("train", "val"):
        stems = list(read_back(tmp_path / "out", split)[1])
        assert sorted(stem.casefold() for stem in stems) == ["my_photo", "my_photo", "my_photo_", "ü"]


def test_one_json_file_is_imported_alone(tmp_path):
    for name in "ab":
        labelme(tmp_path / "in", name, [box("apple", 0, 0, 9, 9)])
    assert import_annotations(tmp_path / "in" / "a.json", tmp_path / "out").counts == {"": 1}
