"""The label maps of a folder have one meaning, or an error names a file, the numbers and the remedy."""

import io
from pathlib import Path

import numpy as np
import pytest
from folder_samples import H, W, label_map, picture, save
from PIL import Image, ImageFilter

import tinysegnet.data.label_survey as label_survey
from tinysegnet.data import CAMVID, Folder
from tinysegnet.data.label_files import read_label_pixels
from tinysegnet.data.layouts import find_layout
from tinysegnet.errors import DataError

SHAPES = np.repeat(np.repeat(label_map(3)[:3, :4], 12, 0), 12, 1)  # (36, 48), three classes in large squares
BLACK_RED_GREEN = [(0, 0, 0), (128, 0, 0), (0, 128, 0)]


def folder(root, *maps, classes=None, layout="images/{}.png labels/{}.png", names="p{}"):
    """Write pairs with these label maps (arrays or Pillow images), and return a function that opens the folder."""
    for k, labels in enumerate(maps):
        image = labels if isinstance(labels, Image.Image) else Image.fromarray(np.asarray(labels, np.uint8))
        shape = image.size[::-1]
        for path, content in zip(
            layout.split(), (Image.fromarray(np.zeros((*shape, 3), np.uint8)), image), strict=True
        ):
            target = root / path.format(names.format(k))
            target.parent.mkdir(parents=True, exist_ok=True)
            content.save(target)
    if classes is not None:
        (root / "classes.txt").write_text(classes)
    return root


def indexed(numbers, colors):
    image = Image.fromarray(np.asarray(numbers, np.uint8)).convert("P")
    image.putdata(np.asarray(numbers).ravel().tolist())
    image.putpalette([value for color in colors for value in color])
    return image


def labels_of(root, **options):
    return [sample.labels for split in ("train", "val") for sample in Folder(root, split, **options)]


def refused(root, **options):
    with pytest.raises(DataError) as caught:
        Folder(root, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


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
    assert problem.file.name == "p1.png"
    assert "77" in problem.text


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


@pytest.mark.parametrize("name", ["classes.json", "data.yaml", "labelmap.xml"])
def test_lists_in_other_formats_are_named(tmp_path, name):
    folder(tmp_path, *[SHAPES] * 3)
    (tmp_path / name).write_text("{}")
    assert f"{name} is not read" in Folder(tmp_path).source


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
        label_survey, "read_label_pixels", lambda path: read.append(Path(path).name) or read_label_pixels(path)
    )
    rgb = Image.fromarray(np.array(BLACK_RED_GREEN, np.uint8)[SHAPES])
    folder(tmp_path, SHAPES, rgb, SHAPES, rgb, SHAPES, classes="0 0 0 a\n128 0 0 b\n0 128 0 c")
    seen = []
    for split in ("train", "val"):
        dataset = Folder(tmp_path, split, progress=lambda loop: (seen.append(i) or i for i in loop))
    assert read == ["p0.png", "p2.png", "p4.png"]
    assert seen == [*range(5)] * 2
    counts = [facts.counts for facts in label_survey.survey(dataset.layout, skip_colors=True)]
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
    facts = label_survey.survey(find_layout(tmp_path), skip_colors=False)
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
