"""Label files are decoded by their numbers, by the colours of their palettes, or by listed greys."""

from dataclasses import replace

import numpy as np
import pytest

from tinysegnet.data import CAMVID, Palette
from tinysegnet.data.class_lists import ClassList
from tinysegnet.data.label_encoding import VOID, LabelEncoding, _frequent, _key
from tinysegnet.data.label_files import LabelPixels
from tinysegnet.errors import DataError, SettingError

COLORS = ((0, 0, 0), (128, 0, 0), (0, 128, 0))
LISTED = ClassList(("ground", "apple", "leaf"), COLORS, "classes.txt")


def stored(numbers, *palette):
    return LabelPixels(np.array([numbers], np.uint8), np.array(palette, np.uint8).reshape(-1, 3) if palette else None)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_palette_files_go_by_listed_colours(order):
    encoding = LabelEncoding.of_classes(LISTED)
    palette = [COLORS[k] for k in order]
    assert encoding.decode(stored([0, 1, 2, 1], *palette), "x").tolist() == [[*order, order[1]]]
    assert encoding.decode(stored([0, 1, 2, 1], *palette), "x").dtype == np.uint8
    assert encoding.decode(stored([0, 0], palette[0]), "x").tolist() == [[order[0]] * 2], "a palette of one colour"


def test_a_palette_that_is_a_grey_ramp_means_nothing():
    ramp = [(grey, grey, grey) for grey in range(256)]
    listed = ClassList(LISTED.names, ((1, 1, 1), *COLORS[:2]), "classes.txt")
    assert LabelEncoding.of_classes(listed).decode(stored([0, 1, 2], *ramp), "x").tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("shape", [(1, 70_000), (70_000, 1), (331, 401), (256, 256), (257, 256)])
def test_large_pictures_of_colours_are_decoded_like_small_ones(shape):
    """Colours are looked up in parts. The last rows belong to a smaller part."""
    encoding, rng = LabelEncoding.of_classes(LISTED), np.random.default_rng(0)
    labels = rng.integers(0, 3, shape).astype(np.uint8)
    pixels = LabelPixels(np.array(COLORS, np.uint8)[labels])
    np.testing.assert_array_equal(encoding.decode(pixels, "x"), labels)
    assert encoding.decode(pixels, "x").dtype == encoding.decode(LabelPixels(labels), "x").dtype == np.uint8
    for at in ((0, 0), (-1, -1)):
        pixels.values[at] = 0, 0, 9
        row, column = at[0] % shape[0], at[1] % shape[1]
        with pytest.raises(DataError, match=rf"colour 0 0 9 at row {row}, column {column} .*unknown colours: 1\)"):
            encoding.decode(pixels, "x")
        pixels.values[at] = COLORS[labels[at]]


@pytest.mark.parametrize("number", [1, 2, 7, 254])
def test_unlisted_colours_of_palettes_are_named(number):
    palette = np.random.default_rng(number).integers(130, 256, (256, 3)).tolist()
    palette[0] = COLORS[0]
    with pytest.raises(DataError, match="x: number {} .*{} {} {}.*remove all colours".format(number, *palette[number])):
        LabelEncoding.of_classes(LISTED).decode(stored([0, number], *palette), "x")
    assert LabelEncoding.of_classes(LISTED).decode(stored([0, 255], *palette), "x").tolist() == [[0, VOID]]


def test_numbers_beyond_the_palette_are_refused():
    with pytest.raises(DataError, match="x: number 5"):
        LabelEncoding.of_classes(LISTED).decode(stored([0, 5], *COLORS), "x")


def test_palettes_do_not_count_without_listed_colours():
    encoding = LabelEncoding.of_classes(ClassList(LISTED.names, (None,) * 3, "classes.txt"))
    assert encoding.decode(stored([0, 1, 2], *COLORS[::-1]), "x").tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("numbers", [(7, 11, 26), (26, 7, 11), (200, 0, 3)])
def test_explicit_numbers_are_renumbered(numbers):
    encoding = LabelEncoding.of_classes(ClassList(LISTED.names, COLORS, "classes.txt", numbers))
    assert encoding.decode(stored(numbers), "x").tolist() == [[0, 1, 2]]
    assert encoding.decode(LabelPixels(np.array([COLORS], np.uint8)), "x").tolist() == [[0, 1, 2]]
    with pytest.raises(DataError, match="value 1 at row 0"):
        encoding.decode(stored([1]), "x")
    ignored = LabelEncoding.of_classes(ClassList(LISTED.names, COLORS, "", numbers), ignore=numbers[1])
    assert ignored.palette.names == ("ground", "leaf")
    assert ignored.decode(stored(numbers), "x").tolist() == [[0, VOID, 1]]


def test_black_is_void_only_if_it_is_listed_as_void():
    black = LabelPixels(np.zeros((2, 2, 3), np.uint8))
    for names, colors in (
        (("a", "b"), COLORS[1:]),
        (("a", "b", "void"), (*COLORS[1:], (9, 9, 9))),
        (("a", "b", "void"), (*COLORS[1:], None)),
    ):
        with pytest.raises(DataError, match=r"x: colour 0 0 0 .*: 4\)"):
            LabelEncoding.of_classes(ClassList(names, colors, "")).decode(black, "x")
    listed = ClassList(("a", "b", "void"), (*COLORS[1:], (0, 0, 0)), "")
    assert (LabelEncoding.of_classes(listed).decode(black, "x") == VOID).all()
    assert (LabelEncoding.plain(CAMVID).decode(black, "x") == CAMVID.ignore_label).all()
    with pytest.raises(DataError, match="colour 0 0 0"):
        LabelEncoding.plain(Palette(("a",), (COLORS[1],), 255)).decode(black, "x")


@pytest.mark.parametrize("different", [9, 40, 500])
def test_many_unlisted_colours_are_named_as_soft_edges(different):
    colors = np.zeros((30, 30, 3), np.uint8)
    colors.reshape(-1, 3)[:different] = np.stack(np.unravel_index(np.arange(different) + 1, (8, 8, 8)), -1) + (1, 2, 3)
    with pytest.raises(DataError, match=f"x: {different} or more colours.*soft edges"):
        LabelEncoding.of_classes(LISTED).decode(LabelPixels(colors), "x")


def test_values_of_masks_and_greys_are_described():
    assert LabelEncoding.of_mask(ClassList(("a", "b"), (None, None), "")).allowed() == "0..1, 255"
    assert LabelEncoding.of_classes(LISTED).allowed() == "0..2, void 255"
    shown_greys = ClassList(("a", "b", "c", "d"), ((0, 0, 0), (1, 1, 1), (200, 200, 200), (9, 0, 0)), "")
    assert replace(LabelEncoding.of_classes(shown_greys), by_grey=True).allowed() == "0..1, 200"


@pytest.mark.parametrize("different", [1, 8])
def test_few_unlisted_colours_are_named_by_their_first_pixel(different):
    colors = np.zeros((30, 30, 3), np.uint8)
    for k in range(different):
        colors[2, 3 + k] = 255, 255, 255 - k  # above all listed colours
    with pytest.raises(DataError, match=rf"x: colour 255 255 255 at row 2, column 3 .*: {different}\)"):
        LabelEncoding.of_classes(LISTED).decode(LabelPixels(colors), "x")


@pytest.mark.parametrize("more", [0, 1])
def test_the_four_most_frequent_colours_are_named(more):
    colors = [(1, 2, 3)] * 2 + [(200, 0, 9)] * 5 + [(0, 0, 255)] * 3 + [(255, 255, 0)] * 4 + [(7, 7, 7)] * more
    found = "200 0 9 (5 pixels), 255 255 0 (4 pixels), 0 0 255 (3 pixels), 1 2 3 (2 pixels)" + ", ..." * more
    assert _frequent(_key(np.array(colors, np.uint8))) == (4 + more, found)


@pytest.mark.parametrize(("ignore", "void"), [(None, 255), (2, 255), (3, 3), (11, 255), (12, 12), (255, 255), (0, 255)])
def test_void_keeps_its_number_if_that_is_no_class(ignore, void):
    encoding = LabelEncoding.of_classes(ClassList(LISTED.names, COLORS, "", (7, 11, 26)), ignore=ignore)
    assert encoding.palette.ignore_label == void
    assert encoding.palette.names == (("ground", "leaf") if ignore == 11 else LISTED.names)
    assert encoding.decode(stored([255 if ignore is None else ignore]), "x").tolist() == [[void]]


@pytest.mark.parametrize("ignore", [-1, 256])
def test_ignore_is_a_number_of_a_byte(ignore):
    with pytest.raises(SettingError, match=f"ignore: {ignore}"):
        LabelEncoding.of_classes(LISTED, ignore=ignore)


def test_a_palette_that_is_not_black_means_its_void_colour():
    plain = LabelEncoding.plain(Palette(("a", "b"), COLORS[1:], 7, (9, 0, 0)))
    assert plain.decode(LabelPixels(np.array([[COLORS[2], (9, 0, 0)]], np.uint8)), "x").tolist() == [[1, 7]]
    names = ("Sky", "Bicyclist", "Void", "Wall")
    merged = LabelEncoding.of_classes(ClassList(names, (*COLORS[1:], (9, 9, 9), (8, 8, 8)), ""), merge=True)
    colors = np.array([[*COLORS[1:], (9, 9, 9), (8, 8, 8), (0, 0, 0)]], np.uint8)
    assert merged.decode(LabelPixels(colors), "x").tolist() == [[0, 10, 11, 1, 11]]
    assert merged.decode(stored([0, 1, 2, 3, 255]), "x").tolist() == [[0, 10, 11, 1, 11]]
    ignored = LabelEncoding.of_classes(ClassList(names, (None,) * 4, ""), ignore=3, merge=True)
    assert ignored.decode(stored([0, 1, 2, 3]), "x").tolist() == [[0, 10, 11, 11]]
