"""The label maps of a folder have one meaning, or an error names a file, the numbers and the remedy."""

import io
from pathlib import Path

import numpy as np
import pytest
from folder_samples import H, W, label_map, picture, save
from PIL import Image, ImageFilter
from survey_samples import BLACK_RED_GREEN, SHAPES, folder, labels_of, refused

from tinysegnet.data import CAMVID, Folder, infer_encoding
from tinysegnet.data.label_files import read_label_pixels
from tinysegnet.data.layouts import find_layout
from tinysegnet.errors import DataError


def one_bit(array):
    return Image.fromarray(np.asarray(array, bool))


MASK = (SHAPES == 1).astype(np.uint8)

# Masks


@pytest.mark.parametrize(
    "classes", [None, "ground\nfruit\n", "0 0 0 ground\n255 255 255 fruit\n", "9 9 9 ground\n7 8 9 fruit\n"]
)
@pytest.mark.parametrize("ones", [[], [0], [0, 1], [2]], ids=str)
def test_255_is_the_foreground_of_masks(tmp_path, classes, ones):
    """Files of 1 bit and files with only one class do not change the meaning of 255."""
    maps = [one_bit(MASK) if k in ones else MASK * 255 for k in range(3)] + [MASK * 0, MASK * 0 + 255]
    folder(tmp_path, *maps, classes=classes)
    for found, expected in zip(labels_of(tmp_path), [MASK, MASK, MASK, MASK * 0, MASK * 0 + 1], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert Folder(tmp_path).palette.num_classes == 2
    assert "masks of 0 and 255" in Folder(tmp_path).description


@pytest.mark.parametrize("ones", [[0], [4], [1, 2, 3]], ids=str)
def test_masks_that_disagree_are_refused_with_their_names(tmp_path, ones):
    folder(tmp_path, *(MASK if k in ones else MASK * 255 for k in range(5)))
    text = refused(tmp_path)
    assert text.startswith(str(tmp_path / f"labels/p{ones[0]}.png"))
    assert f"(files: {len(ones)})" in text
    assert f"(files: {5 - len(ones)})" in text
    found = labels_of(tmp_path, ignore=255)
    np.testing.assert_array_equal(found[ones[0]], MASK)


def test_255_beside_other_classes_is_void(tmp_path):
    folder(tmp_path, MASK, np.where(SHAPES == 2, 255, MASK), MASK * 255, MASK * 0 + 255)
    np.testing.assert_array_equal(labels_of(tmp_path)[2], MASK * 255)
    assert Folder(tmp_path).palette.ignore_label == 255


@pytest.mark.parametrize("classes", ["a\nb\nc", "0 0 0 a\n128 128 128 b\n255 255 255 c", "a\nb\nvoid"])
def test_masks_need_a_list_of_two_classes(tmp_path, classes):
    folder(tmp_path, *[MASK * 255] * 3, classes=classes)
    assert all(fact in refused(tmp_path) for fact in ("p0.png", "0 and 255", "3 classes", "--ignore 255"))
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    np.testing.assert_array_equal(labels_of(tmp_path, ignore=255)[0], MASK * 255)


def test_masks_go_by_the_greys_of_the_list_in_any_order(tmp_path):
    folder(tmp_path, *[MASK * 255] * 3, classes="255 255 255 paper\n0 0 0 ink\n")
    np.testing.assert_array_equal(labels_of(tmp_path)[0], 1 - MASK)


def test_black_and_white_masks_beside_a_list_that_begins_with_white_are_refused(tmp_path):
    folder(tmp_path, *[one_bit(MASK)] * 3, classes="255 255 255 paper\n0 0 0 ink\n")
    assert all(fact in refused(tmp_path) for fact in ("paper", "ink", "grey"))


def test_the_list_of_labelme_makes_255_void(tmp_path):
    folder(tmp_path, *[MASK * 255] * 3, classes="__ignore__\n_background_\napple\n")
    np.testing.assert_array_equal(labels_of(tmp_path)[0], MASK * 255)


# Soft edges, sparse numbers


def soft(kind):
    picture = Image.fromarray(MASK * 255)
    if kind == "resized":
        return picture.resize((100, 70), Image.Resampling.BILINEAR)
    if kind == "former JPEG":
        file = io.BytesIO()
        picture.save(file, format="JPEG", quality=60)
        return Image.open(file).convert("L")
    return picture.filter(ImageFilter.GaussianBlur(1.5))


@pytest.mark.parametrize("classes", [None, "a\nb", "0 0 0 a\n255 255 255 b", "0 0 0 a\n128 128 128 b\n255 255 255 c"])
@pytest.mark.parametrize("kind", ["resized", "former JPEG", "blurred"])
@pytest.mark.parametrize("count", [1, 3, 5])
def test_soft_masks_are_named(tmp_path, kind, classes, count):
    folder(tmp_path, *([MASK * 255] * (5 - count) + [soft(kind)] * count), classes=classes)
    text = refused(tmp_path)
    assert text.startswith(str(tmp_path / f"labels/p{5 - count}.png"))
    assert all(fact in text for fact in ("grey values", f"{count} of 5", "soft edges", "JPEG"))


@pytest.mark.parametrize("numbers", [(0, 7, 11, 23, 26), (7, 8, 11), (1, 30, 90)])
def test_sparse_numbers_get_the_remedy(tmp_path, numbers):
    values = np.array(numbers)[SHAPES % len(numbers)]
    values[:5, :5] = numbers[-1]
    values[5:, 5:9] = numbers[len(numbers) // 2]
    folder(tmp_path, *[values] * 4)
    assert all(fact in refused(tmp_path) for fact in ("p0.png", "classes.txt", ": name`", str(numbers[-1])))
    (tmp_path / "classes.txt").write_text("".join(f"{n}: class of {n}\n" for n in numbers))
    np.testing.assert_array_equal(np.array(numbers)[labels_of(tmp_path)[0]], values)


@pytest.mark.parametrize("odd", [250, 100, 40])
def test_one_odd_value_may_be_ignored(tmp_path, odd):
    folder(tmp_path, *[np.where(MASK, odd, SHAPES)] * 3)
    assert f"--ignore {odd}" in refused(tmp_path)
    assert (labels_of(tmp_path, ignore=odd)[0][MASK == 1] == Folder(tmp_path, ignore=odd).palette.ignore_label).all()


@pytest.mark.parametrize("count", [65, 150, 254])
def test_more_than_64_classes_need_a_list(tmp_path, count):
    values = np.random.default_rng(0).permutation(count).repeat(160).reshape(-1, 40)
    folder(tmp_path, *[values] * 3)
    assert all(fact in refused(tmp_path) for fact in ("64", "classes.txt"))
    (tmp_path / "classes.txt").write_text("".join(f"c{n}\n" for n in range(count)))
    np.testing.assert_array_equal(labels_of(tmp_path)[0], values)


# The tutorial's layout

TUTORIAL = {"layout": "train/{}.png trainannot/{}.png"}


def camvid_values(count=12):
    return np.arange(count).repeat(12).reshape(count, 12)


def test_the_tutorials_layout_is_camvid_by_its_names(tmp_path):
    folder(tmp_path, *[camvid_values()] * 3, names="0001TP_00669{}", **TUTORIAL)
    assert Folder(tmp_path).palette == CAMVID
    folder(tmp_path, camvid_values(), names="Seq05VD_f0{}", **TUTORIAL)
    assert Folder(tmp_path).palette == CAMVID
    labels = camvid_values()
    labels[0] = 255
    folder(tmp_path, labels, names="0016E5_08{}", **TUTORIAL)
    assert (Folder(tmp_path)[-2].labels[0] == 11).all()


@pytest.mark.parametrize(("count", "found"), [(2, 2), (5, 5), (11, 11), (13, 13)])
def test_the_tutorials_layout_has_the_classes_of_its_values(tmp_path, count, found):
    folder(tmp_path, *[camvid_values(count)] * 3, **TUTORIAL)
    assert Folder(tmp_path).palette.names == tuple(f"class {k}" for k in range(found))


def test_twelve_values_in_the_tutorials_layout_could_be_camvid_or_not(tmp_path):
    folder(tmp_path, *[camvid_values()] * 3, **TUTORIAL)
    assert all(fact in refused(tmp_path) for fact in ("CamVid", "11", "classes.txt"))
    assert Folder(tmp_path, ignore=11).palette.num_classes == 11
    (tmp_path / "classes.txt").write_text("".join(f"c{k}\n" for k in range(12)))
    assert Folder(tmp_path).palette.num_classes == 12


def test_masks_in_the_tutorials_layout_are_masks(tmp_path):
    folder(tmp_path, *[MASK * 255] * 3, **TUTORIAL)
    assert Folder(tmp_path).palette.names == ("background", "foreground")


# The survey


def test_the_survey_reads_each_file_once_and_no_listed_colours(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(
        infer_encoding, "read_label_pixels", lambda path: read.append(Path(path).name) or read_label_pixels(path)
    )
    rgb = Image.fromarray(np.array(BLACK_RED_GREEN, np.uint8)[SHAPES])
    folder(tmp_path, SHAPES, rgb, SHAPES, rgb, SHAPES, classes="0 0 0 a\n128 0 0 b\n0 128 0 c")
    for split in ("train", "val"):
        dataset = Folder(tmp_path, split)
    assert read == ["p0.png", "p2.png", "p4.png"]
    counts = [facts.counts for facts in infer_encoding.survey(dataset.layout, skip_colors=True)]
    assert counts == [dict(enumerate(np.bincount(SHAPES.ravel()).tolist())), {}] * 2 + counts[:1]


def test_the_survey_skips_damaged_files(tmp_path):
    for k in range(4):
        save(tmp_path / f"images/p{k}.png", picture(k))
        save(tmp_path / f"labels/p{k}.png", label_map())
    (tmp_path / "labels/p1.png").write_bytes(b"damaged")
    (tmp_path / "labels/p2.png").unlink()
    dataset = Folder(tmp_path)
    assert (dataset.palette.num_classes, dataset[0].labels.shape) == (3, (H, W))
    assert len(dataset.problems()) == 2


def test_a_survey_of_16_bit_pictures_keeps_few_numbers(tmp_path):
    folder(tmp_path, *[np.zeros((60, 60))] * 3)
    for k in range(3):
        save(
            tmp_path / f"labels/p{k}.png", np.random.default_rng(k).permutation(3600).reshape(60, 60).astype(np.uint16)
        )
    facts = infer_encoding.survey(find_layout(tmp_path), skip_colors=False)
    assert [len(fact.counts) for fact in facts] == [300] * 3
    with pytest.raises(DataError, match=r"p0\.png: .*3 of 3 label maps"):
        Folder(tmp_path)


@pytest.mark.parametrize("values", [(0, 255), (0, 1)])
@pytest.mark.parametrize("classes", ["background\nvoid\n", "void\nfruit\n"])
def test_two_classes_of_which_one_is_void_are_refused(tmp_path, values, classes):
    folder(tmp_path, *[np.where(SHAPES > 0, *values[::-1])] * 3, classes=classes)
    with pytest.raises(DataError, match=r"classes.txt: fewer than two classes are not void"):
        Folder(tmp_path)


def test_numbers_of_instances_are_refused_without_a_useless_list(tmp_path):
    folder(tmp_path, *[SHAPES] * 3)
    for k in range(3):
        save(tmp_path / f"labels/p{k}.png", SHAPES.astype(np.uint16) * 1000)
    with pytest.raises(DataError, match=r"p0\.png: .*0, 1000, 2000.*up to 255") as caught:
        Folder(tmp_path)
    assert "classes.txt" not in str(caught.value)
