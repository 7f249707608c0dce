"""The classes of a folder come from its list or from the values of its label maps."""

import os

import numpy as np
import pytest
from folder_samples import save, write
from PIL import Image

from tinysegnet.data import Folder
from tinysegnet.data.class_lists import ClassList
from tinysegnet.data.label_encoding import VOID, LabelEncoding
from tinysegnet.data.palette import distinct_colors
from tinysegnet.errors import DataError, SettingError


def test_classes_are_read_from_classes_txt(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 2)
    (tmp_path / "classes.txt").write_text("\ufeff10 20 30 open water\r\nland\r\n\r\nVoid\r\n", encoding="utf-8")
    palette = Folder(tmp_path).palette
    assert palette.names == ("open water", "land")
    assert palette.colors[0] == (10, 20, 30)
    assert palette.ignore_label == VOID
    assert set(np.unique(Folder(tmp_path)[0].labels)) == {0, 1, VOID}


def test_folders_have_at_most_255_classes(tmp_path):
    values = np.arange(255, dtype=np.uint8).reshape(15, 17)
    for name in "ab":
        save(tmp_path / f"images/{name}.png", np.zeros((15, 17, 3), np.uint8))
        save(tmp_path / f"labels/{name}.png", values)
    (tmp_path / "classes.txt").write_text("\n".join(f"c{k}" for k in range(255)))
    dataset = Folder(tmp_path)
    np.testing.assert_array_equal(dataset[0].labels, values)
    assert len(set(dataset.palette.colors)) == 255
    (tmp_path / "classes.txt").write_text("\n".join(f"c{k}" for k in range(256)))
    with pytest.raises(DataError, match=r"classes.txt: .* 256\b"):
        Folder(tmp_path)


@pytest.mark.parametrize("names", [None, "sky\nsea\n"])
@pytest.mark.parametrize("mode", ["L", "1", "RGB"])
def test_binary_masks_are_recognised(tmp_path, mode, names):
    written = write(tmp_path, "images/{}.png", "labels/{}.png", 3, np.array([0, 255], np.uint8))
    for path in (tmp_path / "labels").iterdir():
        Image.open(path).convert(mode).save(path)
    if names:
        (tmp_path / "classes.txt").write_text(names)
    dataset = Folder(tmp_path)
    if names or mode != "1":  # the values of 1-bit files are 0 and 1, which are class numbers
        assert dataset.palette.names == (("sky", "sea") if names else ("background", "foreground"))
    assert dataset.palette.num_classes == 2
    np.testing.assert_array_equal(dataset[0].labels, written["p0"] // 255)


def test_void_is_inferred_or_chosen(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 3, np.array([0, 1, 2, 255], np.uint8))
    assert (Folder(tmp_path).palette.num_classes, Folder(tmp_path).palette.ignore_label) == (3, 255)
    chosen = Folder(tmp_path, ignore=0)  # the background is not labelled
    assert "value 255" in chosen.problems()[0]
    write(tmp_path, "images/{}.png", "labels/{}.png", 3, np.array([0, 1, 2], np.uint8))
    for file in (tmp_path / "labels").iterdir():
        os.utime(file, (1, 1))
    chosen = Folder(tmp_path, ignore=0)
    assert chosen.palette.names == ("class 1", "class 2")
    assert set(np.unique(chosen[0].labels)) == {0, 1, VOID}
    assert Folder(tmp_path, ignore=77).palette.ignore_label == 77
    with pytest.raises(SettingError, match=r"ignore.*256"):
        Folder(tmp_path, ignore=256)


def test_colour_label_maps_need_a_list_of_classes(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 2, np.array([[9, 8, 7], [1, 2, 3]], np.uint8))
    with pytest.raises(DataError, match=r"p0\.png: .*colours.*classes\.txt"):
        Folder(tmp_path)[0]
    (tmp_path / "classes.txt").write_text("9 8 7 a\n1 2 3 b\n")
    assert Folder(tmp_path)[0].labels[0, :2].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("a", r"classes.* 1\b"),
        ("a\na\n", "the name a .*twice"),
        ("1 2 3 a\n1 2 3 b\n", r"the colour \(1, 2, 3\) .*twice"),
        ("1 2 300 a\nb", "line 1: .*above 255"),
        ("void\nignore", "fewer than two classes"),
        ("void\nroad", "classes.txt: fewer than two classes"),
    ],
)
def test_bad_lists_of_classes_are_rejected(tmp_path, text, wrong):
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=wrong):
        LabelEncoding.of_classes(ClassList.read(tmp_path / "classes.txt"))


def test_distinct_colors_are_distinct_and_repeatable():
    colors = distinct_colors(255, taken=distinct_colors(3))
    assert len({*colors, *distinct_colors(3), (0, 0, 0)}) == 255 + 3 + 1
    assert colors == distinct_colors(255, taken=distinct_colors(3))
