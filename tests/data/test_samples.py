"""Samples are checked when they are read, and data sets derived from another one show the same pictures."""

import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from tinysegnet.data import InMemory, OneClass, Palette, Sample, labelled_images
from tinysegnet.data.folders import read_pair
from tinysegnet.data.label_encoding import LabelEncoding
from tinysegnet.data.pairs import FilePair
from tinysegnet.data.sample import check_classes, check_dataset, read_sample
from tinysegnet.errors import DataError, SettingError

NAMES = ("Sky", "Road", "Car")


class Labels:
    """A data set of one picture with given labels."""

    name = "labels"

    def __init__(self, *labels, ignore_label=None, classes=3):
        self.samples = [Sample(np.full((*np.shape(a), 3), k, np.uint8), np.array(a, np.uint8), f"picture {k}")
                        for k, a in enumerate(labels)]  # fmt: skip
        names = NAMES if classes == 3 else tuple(f"class {k}" for k in range(classes))
        self.palette = Palette(names, tuple((k, 0, 0) for k in range(classes)), ignore_label)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


@pytest.mark.parametrize("classes", [1, 3, 254, 255])
def test_a_label_one_past_the_last_class_is_refused_wherever_it_is(classes):
    for at in ((0, 0), (0, -1), (-1, 0), (-1, -1), (1, 2)):
        labels = np.full((3, 4), classes - 1, np.uint8)
        read_sample(Labels(labels, classes=classes), 0)
        labels[at] = classes
        row, column = at[0] % 3, at[1] % 4
        with pytest.raises(DataError, match=rf"picture 0: label {classes} at row {row}, column {column} .*0\.\."
                                            rf"{classes - 1}"):  # fmt: skip
            read_sample(Labels(labels, classes=classes), 0)
        read_sample(Labels(labels, classes=classes, ignore_label=classes), 0)
        void = 255 if classes < 255 else None
        with pytest.raises(DataError, match=f"label {classes}"):
            read_sample(Labels(labels, classes=classes, ignore_label=void), 0)


def test_the_value_255_is_void_only_if_the_palette_says_so():
    read_sample(Labels([[0, 255]], ignore_label=255), 0)
    for void in (None, 3, 254):
        with pytest.raises(DataError, match="label 255 at row 0, column 1"):
            read_sample(Labels([[0, 255]], ignore_label=void), 0)


def test_negative_labels_are_refused_with_the_allowed_ones():
    for void, allowed in ((None, r"\(0\.\.2\)"), (9, r"\(0\.\.2, void 9\)")):
        palette = Labels([[0]], ignore_label=void).palette
        check_classes("x", np.array([[0, 2]]), palette)
        with pytest.raises(DataError, match=rf"x: label -1 at row 1, column 0 .*{allowed}"):
            check_classes("x", np.array([[0, 2], [-1, -1]]), palette)


def test_the_void_of_a_palette_is_not_one_of_its_classes():
    for good in (None, 3, 255, -1):
        assert Labels([[0]], ignore_label=good).palette.ignore_label == good
    for wrong in (0, 2):
        with pytest.raises(DataError, match=f"ignore_label: {wrong} .*{NAMES[wrong]}"):
            Labels([[0]], ignore_label=wrong)
    with pytest.raises(DataError, match="2 names but 1 colours"):
        Palette(("a", "b"), ((0, 0, 0),))


def test_a_palette_shows_void_and_all_other_values_in_the_void_colour():
    palette = Palette(("a", "b"), ((1, 2, 3), (4, 5, 6)), 255, ignore_color=(7, 8, 9))
    shown = palette.colorize(np.array([[0, 1], [2, 255]], np.uint8))
    assert shown.tolist() == [[[1, 2, 3], [4, 5, 6]], [[7, 8, 9], [7, 8, 9]]]
    assert palette.lookup_table().shape == (256, 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"image": np.zeros((2, 3, 3))}, "float64"), ({"image": np.zeros((2, 3), np.uint8)}, r"\(2, 3\)"),
     ({"image": np.zeros((2, 3, 4), np.uint8)}, r"\(2, 3, 4\)"), ({"image": None}, "NoneType"),
     ({"labels": np.zeros((3, 2), np.uint8)}, r"labels is \(3, 2\).*\(2, 3\)"),
     ({"labels": np.zeros((2, 3), np.uint16)}, "uint16"), ({"labels": np.zeros((2, 3, 1), np.uint8)}, r"\(2, 3, 1\)"),
     ({"labels": np.zeros((1, 3), np.uint8)}, r"\(1, 3\)"),
     ({"image": np.zeros((0, 3, 3), np.uint8), "labels": np.zeros((0, 3), np.uint8)}, r"\(0, 3, 3\)")],
)  # fmt: skip
def test_malformed_samples_are_refused_with_their_name(change, said):
    data = Labels([[0, 1, 2], [2, 1, 0]])
    read_sample(data, 0)
    data.samples[0] = dataclasses.replace(data.samples[0], **change)
    with pytest.raises(DataError, match=rf"^picture 0: .*{said}"):
        read_sample(data, 0)
    data.samples[0] = "picture"
    with pytest.raises(DataError, match=r"labels\[0\]: str"):
        read_sample(data, 0)


def test_data_sets_need_an_interface_and_a_picture():
    for wrong in (None, [], Palette(("a",), ((0, 0, 0),))):
        with pytest.raises(DataError, match=f"{type(wrong).__name__} is not a data set"):
            check_dataset(wrong)
    with pytest.raises(DataError, match=r"labels: .*no pictures"):
        check_dataset(Labels())
    assert [(image[0, 0, 0], labels.tolist()) for image, labels in labelled_images(Labels([[1]], [[2]]))] == [
        (0, [[1]]), (1, [[2]])
    ]  # fmt: skip


@pytest.mark.parametrize(("limit", "count"), [(None, 3), (1, 1), (2, 2), (3, 3), (4, 3)])
def test_a_data_set_in_memory_has_at_most_its_limit_of_pictures(limit, count):
    data, seen = Labels([[0]], [[1]], [[2]]), []
    kept = InMemory(data, limit=limit, progress=lambda numbers: seen.extend(numbers) or range(count))
    assert seen == list(range(count))
    assert [kept[k] for k in range(len(kept))] == data.samples[:count]
    assert (kept.name, kept.palette) == (data.name, data.palette)
    for wrong in (0, -1):
        with pytest.raises(SettingError, match=f"limit: {wrong}"):
            InMemory(data, limit=wrong)


@pytest.mark.parametrize("void", [None, 3, 255])
@pytest.mark.parametrize("k", range(3))
def test_one_class_against_all_others_keeps_void(k, void):
    labels = [[0, 1, 2], [2, 0, 1]] if void is None else [[0, 1, 2], [2, void, 1]]
    data = OneClass(Labels(labels, ignore_label=void), NAMES[k].upper())
    expected = [[255 if v == void else int(v == k) for v in row] for row in labels]
    assert data[0].labels.tolist() == expected
    assert data.palette.names == (f"not {NAMES[k]}", NAMES[k])
    assert data.palette.colors == ((205, 205, 200), (k, 0, 0))
    assert data.palette.ignore_label == (None if void is None else 255)
    assert (data[0].image == 0).all()
    assert (len(data), data[0].name, data.name) == (1, "picture 0", f"labels: {NAMES[k]} or not")


@pytest.mark.parametrize(("image", "labels", "wrong"), [
    ((6, 9), (6, 9), [""]), ((6, 9), (5, 9), ["5 x 9 pixels"]), ((9, 6), (6, 9), ["upright"]),
    (None, (6, 9), ["damaged|not a picture", "value 37"]), (None, None, ["", ""]), ((6, 9), None, ["not a picture"]),
])  # fmt: skip
def test_a_pair_has_one_error_per_file_and_values_count_only_if_the_sizes_agree(tmp_path, image, labels, wrong):
    """Every label map has a value that is not allowed. A size of None stands for a damaged file."""
    encoding = LabelEncoding.plain(Labels([[0]]).palette)
    pair = FilePair(tmp_path / "a.png", tmp_path / "a_L.png", tmp_path, "folders x/ and y/")
    for path, size, channels in ((pair.image, image, (3,)), (pair.labels, labels, ())):
        path.write_bytes(b"damaged")
        if size:
            Image.fromarray(np.full((*size, *channels), 37, np.uint8)).save(path)
    sample, errors = read_pair(pair, encoding)
    assert sample is None
    assert len(errors) == len(wrong)
    assert all(re.search(fact, str(error)) for fact, error in zip(wrong, errors, strict=True))
    assert ("value 37" in str(errors[-1])) == (labels is not None and image in (None, labels))


def test_a_pair_without_errors_is_a_sample_with_the_name_of_its_picture(tmp_path):
    pair = FilePair(tmp_path / "a.png", tmp_path / "a_L.png", tmp_path, "folders x/ and y/")
    for path, channels in ((pair.image, (3,)), (pair.labels, ())):
        Image.fromarray(np.ones((2, 3, *channels), np.uint8)).save(path)
    sample, errors = read_pair(pair, LabelEncoding.plain(Labels([[0]]).palette))
    assert (sample.name, sample.labels.tolist(), errors) == ("a", [[1] * 3] * 2, [])
