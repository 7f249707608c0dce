"""Palettes, greys and numbers of label maps go by the list of classes, or an error names the files."""

import io
from pathlib import Path

import numpy as np
import pytest
from folder_samples import save
from PIL import Image
from survey_samples import BLACK_RED_GREEN, SHAPES, folder, indexed, labels_of, refused

from tinysegnet.data import Folder

# Palettes


@pytest.mark.parametrize("classes", [None, "a\nb\nc"])
@pytest.mark.parametrize("position", [1, 4])
def test_palettes_that_differ_are_refused_without_listed_colours(tmp_path, classes, position):
    maps = [indexed(SHAPES, BLACK_RED_GREEN) for _ in range(5)]
    folder(tmp_path, *maps, classes=classes)
    np.testing.assert_array_equal(labels_of(tmp_path)[0], SHAPES)
    assert "by the colours of palettes" not in Folder(tmp_path).description
    folder(tmp_path, *maps[:position], indexed(SHAPES, BLACK_RED_GREEN[::-1]))
    text = refused(tmp_path)
    assert text.startswith(str(tmp_path / f"labels/p{position}.png"))
    assert all(fact in text for fact in ("p0.png", "number 0", "0 128 0", "0 0 0", "R G B name"))


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=str)
def test_palettes_go_by_listed_colours(tmp_path, order):
    lines = ["0 0 0 ground", "128 0 0 apple", "0 128 0 leaf"]
    own = [
        indexed(np.roll([0, 1, 2], k)[SHAPES], [BLACK_RED_GREEN[n] for n in np.roll([0, 1, 2], -k)]) for k in range(3)
    ]
    rgb = Image.fromarray(np.array(BLACK_RED_GREEN, np.uint8)[SHAPES])
    folder(tmp_path, *own, rgb, classes="\n".join(lines[k] for k in order))
    expected = np.array([order.index(k) for k in range(3)])[SHAPES]
    for found in labels_of(tmp_path):
        np.testing.assert_array_equal(found, expected)
    assert "palettes" in Folder(tmp_path).description


# Greys


@pytest.mark.parametrize("greys", [(0, 128, 255), (10, 120, 200), (255, 128, 0)], ids=str)
def test_listed_greys_apply_to_grey_files(tmp_path, greys):
    values = np.array(greys, np.uint8)[SHAPES]
    rgb = Image.fromarray(values).convert("RGB")
    classes = "".join(f"{grey} {grey} {grey} c{k}\n" for k, grey in enumerate(greys))
    folder(tmp_path, values, values, rgb, values, classes=classes)
    for found in labels_of(tmp_path):
        np.testing.assert_array_equal(found, SHAPES)
    assert "grey levels" in Folder(tmp_path).description


def test_one_stray_grey_is_an_error_of_its_file(tmp_path):
    values = np.array([0, 128, 255], np.uint8)[SHAPES]
    stray = values.copy()
    stray[3, 5] = 77
    folder(tmp_path, values, stray, values, classes="0 0 0 a\n128 128 128 b\n255 255 255 c\n")
    (problem,) = Folder(tmp_path).problems()
    assert "p1.png: " in problem
    assert "77" in problem


def test_greys_that_are_numbers_of_other_classes_are_refused(tmp_path):
    folder(tmp_path, *[SHAPES] * 3, classes="2 2 2 a\n1 1 1 b\n0 0 0 c\n")
    assert all(fact in refused(tmp_path) for fact in ("p", "number", "grey", "Order the list"))
    (tmp_path / "classes.txt").write_text("0 0 0 a\n1 1 1 b\n2 2 2 c\n")
    np.testing.assert_array_equal(labels_of(tmp_path)[0], SHAPES)


def blurred(kind, numbers):
    labels = Image.fromarray(np.array(numbers, np.uint8)[SHAPES])
    if kind == "resized":
        return labels.resize((100, 70), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    labels.save(file, "JPEG", quality=kind)
    return Image.open(file).convert("L")


@pytest.mark.parametrize("numbers", [(0, 5, 15), (20, 1, 9), (3, 12, 7)])
@pytest.mark.parametrize("kind", ["resized", 95, 80])
@pytest.mark.parametrize("classes", [None, "".join(f"c{n}\n" for n in range(40))])
def test_numbers_that_were_interpolated_or_a_jpeg_are_refused(tmp_path, numbers, kind, classes):
    folder(tmp_path, *[blurred(kind, numbers)] * 3, classes=classes)
    assert all(fact in refused(tmp_path) for fact in ("p0.png", "3 of 3", "JPEG"))
    folder(tmp_path, *[np.array(numbers)[SHAPES]] * 3, classes="".join(f"c{n}\n" for n in range(40)))
    np.testing.assert_array_equal(labels_of(tmp_path)[0], np.array(numbers)[SHAPES])


def test_classes_one_pixel_thin_are_no_blur(tmp_path):
    values = np.zeros((40, 60), int)
    for number in range(1, 8):  # thin poles, each between a smaller and a larger number
        values[:, 7 * number], values[:, 7 * number + 1 :] = number, number + 1
    values[30:] = np.arange(60) // 6
    folder(tmp_path, *[values] * 3, classes="".join(f"c{n}\n" for n in range(10)))
    np.testing.assert_array_equal(labels_of(tmp_path)[0], values)


def test_palettes_beside_greys_are_refused_without_listed_colours(tmp_path):
    maps = [indexed(SHAPES, BLACK_RED_GREEN[::-1]), SHAPES, SHAPES]
    folder(tmp_path, *maps, classes="a\nb\nc\n")
    assert all(fact in refused(tmp_path) for fact in ("p0.png", "p1.png", "palette", "grey"))


@pytest.mark.parametrize("values", [(0, 65535), (0, 1, 2, 65535)])
def test_the_largest_16_bit_number_means_what_255_means(tmp_path, values):
    found = []
    for name, dtype, largest in (("8", np.uint8, 255), ("16", np.uint16, 65535)):
        numbers = np.array([min(value, largest) for value in values], dtype)
        for k in range(3):
            save(tmp_path / name / f"images/p{k}.png", np.zeros((*SHAPES.shape, 3), np.uint8))
            save(tmp_path / name / f"labels/p{k}.png", numbers[SHAPES % len(values)])
        found.append(labels_of(tmp_path / name)[0])
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("place", ["train", "train/labels", "train/images", "."])
def test_a_list_of_classes_beside_the_files_counts(tmp_path, place):
    folder(tmp_path, *[SHAPES] * 3, layout="train/images/{}.png train/labels/{}.png")
    (tmp_path / place / "classes.txt").write_text("sky\nroad\ntree\n")
    assert Folder(tmp_path).palette.names == ("sky", "road", "tree")


def test_splits_with_different_lists_are_refused(tmp_path):
    for split, names in (("train", "sky\nroad\ntree\n"), ("val", "tree\nroad\nsky\n")):
        folder(tmp_path, *[SHAPES] * 3, layout=f"{split}/images/{{}}.png {split}/labels/{{}}.png")
        (tmp_path / split / "classes.txt").write_text(names)
    assert all(str(Path(split, "classes.txt")) in refused(tmp_path) for split in ("train", "val"))
