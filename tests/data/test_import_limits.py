"""Imports at and beyond each limit, and outlines and run lengths against plain definitions."""

from pathlib import Path

import numpy as np
import pytest
from import_samples import H, W, box, coco, encoded, labelme, photo, photos, shape, square
from PIL import Image

from tinysegnet.data.class_lists import ClassList
from tinysegnet.data.importing import _split, import_annotations
from tinysegnet.data.importing.coco import decode_runs, fill_polygon
from tinysegnet.data.importing.labelme import _FEWEST_POINTS, _draw
from tinysegnet.data.importing.plain_folder import Imported, find_picture, number_classes
from tinysegnet.errors import DataError


@pytest.fixture
def refused(tmp_path):
    """Return a function that imports the folder `in`, and returns the message of the error, or ""."""

    def run():
        try:
            import_annotations(tmp_path / "in", tmp_path / "out")
        except DataError as error:
            return str(error)
        return ""

    return run


@pytest.mark.parametrize(("length", "wrong"), [(1, ""), (100, ""), (101, "Use up to 100 characters")])
def test_a_name_of_a_class_has_at_most_100_characters(tmp_path, refused, length, wrong):
    labelme(tmp_path / "in", "a", [box("x" * length, 0, 0, 9, 9)])
    message = refused()
    assert wrong in message
    assert bool(message) == bool(wrong)


@pytest.mark.parametrize(("count", "wrong"), [(253, ""), (254, "255 classes with background exceed the limit of 254")])
def test_there_are_at_most_254_classes(tmp_path, refused, count, wrong):
    labelme(tmp_path / "in", "a", [box(f"c{k:03}", 0, 0, 9, 9) for k in range(count)][::-1])
    message = refused()
    assert wrong in message
    assert bool(message) == bool(wrong)
    if not wrong:
        assert np.asarray(Image.open(tmp_path / "out/labels/a.png"))[0, 0] == 1  # c000 was drawn last


@pytest.mark.parametrize(("value", "expected"), [
    ([[1, 2], [3, -7]], [[1, 2], [3, -7]]), ([1, 2, 3, 4], [[1, 2], [3, 4]]), ([], []), ([[1e6, -1e6]], [[1e6, -1e6]]),
    ([[123456.789, 0.1]], [[123456.789, 0.1]]),
    ([[1e6 + 1, 0]], None), ([[0, -1e6 - 1]], None), ([1, 2, 3], None), ([[1, 2, 3, 4]], None), ([[1], [2]], None),
    ([[[1, 2]]], None), ([[float("nan"), 0]], None), ("ab", None),
])  # fmt: skip
def test_points_are_pairs_of_numbers_up_to_a_million(value, expected):
    imported = Imported(Path("x"))
    if expected is None:
        with pytest.raises(ValueError):  # noqa: PT011 - NumPy's own errors are accepted too
            imported.read_points(value)
    else:
        assert imported.read_points(value).tolist() == expected
        assert imported.largest == max((abs(number) for pair in expected for number in pair), default=0)
        imported.read_points([[0.5, 0.25]])
        assert imported.largest >= 0.5


@pytest.mark.parametrize(("largest", "is_relative"), [(0.5, True), (1.0, True), (1.01, False)])
def test_coordinates_up_to_1_are_relative(tmp_path, refused, largest, is_relative):
    coco(tmp_path / "in" / "x.json", {"a.png": [(1, [[0, 0, largest, 0, largest, largest]])]})
    photos(tmp_path / "in", "a.png")
    assert ("between 0 and 1" in refused()) == is_relative


@pytest.mark.parametrize(("name", "expected"), [("n" * 60, "n" * 60), ("n" * 61, "n" * 60), ("...", "picture"),
                                                ("a b+c.d-e_f", "a_b_c.d-e_f"), ("a.", "a")])  # fmt: skip
def test_names_of_pictures_are_short_and_safe(tmp_path, name, expected):
    labelme(tmp_path / "in", name, [box("apple", 0, 0, 9, 9)], picture=False)
    Image.fromarray(photo()).save(tmp_path / "in" / f"{name}.png", "PNG")
    import_annotations(tmp_path / "in" / f"{name}.json", tmp_path / "out")
    assert [path.name for path in (tmp_path / "out/images").iterdir()] == [f"{expected}.png"]


def test_long_reasons_are_shortened_to_100_characters():
    imported = Imported(Path("x"))
    with imported.attempt("a.json"):
        raise ValueError("x \n" * 80)
    (line,) = imported.refused
    assert line.partition("(")[2].partition(")")[0] == ("ValueError: " + "x " * 80)[:100]


@pytest.mark.parametrize(("path", "split"), [
    ("instances_train2017.json", "train"), ("instances_val1999.json", "val"), ("instances_2017.json", "2017"),
    ("instances_x1234.json", "x1234"), ("a/b/x.json", "b"), ("a/labels/x.json", "a"), ("Train/JSON/x.json", "train"),
    ("annotations/x.json", "other"), ("My Set+1/x.json", "my_set_1"), ("a/instances_Val.json", "val"),
])  # fmt: skip
def test_the_split_follows_from_the_path(path, split):
    assert _split(Path("root", path), Path("root"), "other") == split


BLACK = (0, 0, 0)


@pytest.mark.parametrize(("names", "listed", "expected"), [
    (("pear",), None, {"background": BLACK, "pear": None, "void": None}),
    (("a", "b"), ((1, 1, 1), None), {"background": BLACK, "a": (1, 1, 1), "b": None, "void": None}),
    (("a", "b"), (BLACK, (2, 2, 2)), {"background": None, "a": BLACK, "b": (2, 2, 2), "void": None}),
    (("a", "_Background_"), ((1, 1, 1), (3, 3, 3)), {"_Background_": (3, 3, 3), "a": (1, 1, 1), "void": None}),
    (("a", "Void", "background"), (BLACK, (5, 5, 5), None), {"background": None, "a": BLACK, "void": None}),
])  # fmt: skip
def test_background_is_black_unless_a_class_is(names, listed, expected):
    """None stands for an automatic colour, which differs from all others."""
    classes = None if listed is None else ClassList(names, listed, "classes.txt")
    found = number_classes(Path("x"), names, classes)
    assert [*found] == [*expected]
    assert len({*found.values()}) == len(found)
    assert {name: color for name, color in found.items() if color in {*(listed or ()), BLACK}} == {
        name: color for name, color in expected.items() if color
    }


def test_json_files_are_found_two_folders_below(tmp_path):
    for folder in ("", "a", "a/b", "a/b/c"):
        labelme(tmp_path / "in" / folder, f"p{folder[-1:]}", [box("apple", 0, 0, 9, 9)])
    assert import_annotations(tmp_path / "in", tmp_path / "out").counts == {"other": 1, "a": 1, "b": 1}


@pytest.mark.parametrize("count", [1, 2])
def test_files_and_categories_that_are_not_used_are_counted(tmp_path, count):
    categories = [(0, "fruit"), (1, "apple")]
    coco(tmp_path / "in" / "instances_x.json", {"a.png": [(1, [square(2, 3, 5, 7)])]}, categories=categories)
    photos(tmp_path / "in", "a.png")
    for k in range(count):
        (tmp_path / "in" / f"captions_{k}.json").write_text(('{"annotations": []}', '{"images": []}')[k])
    dropped = +import_annotations(tmp_path / "in", tmp_path / "out").dropped
    assert dropped == {"JSON files other than instances_*.json": count,
                       "unused category that only names the group of the others": 1}  # fmt: skip
    (tmp_path / "in" / "instances_x.json").rename(tmp_path / "in" / "x.json")
    dropped = +import_annotations(tmp_path / "in", tmp_path / "out2").dropped
    assert dropped["JSON files of other kinds"] == count


def test_earlier_folders_and_longer_paths_have_priority(tmp_path):
    photos(tmp_path / "x" / "sub", "a.png")
    photos(tmp_path / "x", "a.png", "b.png")
    photos(tmp_path / "y" / "sub", "a.png")
    photos(tmp_path / "y", "b.png")
    folders = [tmp_path / "y", tmp_path / "x"]
    assert find_picture("/home/sub/a.png", folders, tmp_path) == tmp_path / "y/sub/a.png"
    assert find_picture("home/b.png", folders, tmp_path) == tmp_path / "y/b.png"
    assert find_picture("other/a.png", folders, tmp_path) == tmp_path / "x/a.png"
    assert find_picture("c.png", folders, tmp_path) is None
    assert find_picture("a.png", folders, tmp_path / "y") is None


@pytest.mark.parametrize("kind", _FEWEST_POINTS)
def test_shapes_need_two_or_three_points(tmp_path, kind):
    fewest = 3 if kind in ("polygon", "oriented_rectangle") else 2
    points = [[2, 2], [5, 4], [2, 9]]
    mask = {"mask": encoded(np.ones((3, 4), np.uint8))} if kind == "mask" else {}
    drawn = [shape(f"has {n}", kind, points[:n], **mask) for n in (3, fewest, fewest - 1)]
    labelme(tmp_path / "in", "a", drawn)
    dropped = +import_annotations(tmp_path / "in", tmp_path / "out").dropped
    assert dropped == {f"shapes without an area ({kind}), which become background": 1}


@pytest.mark.parametrize("kind", [None, ""])
def test_a_shape_without_a_kind_is_a_polygon(tmp_path, kind):
    labelme(tmp_path / "in", "a", [shape("apple", kind, [[2, 3], [7, 3], [7, 9], [2, 9]])])
    import_annotations(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out/labels/a.png") as image:
        assert np.asarray(image).sum() == 6 * 7
        colors = np.array(image.getpalette()[:9]).reshape(3, 3).tolist()
    lines = (tmp_path / "out/classes.txt").read_text().splitlines()
    assert [line.split()[:3] for line in lines] == [[str(part) for part in color] for color in colors]


def test_a_circle_is_at_most_as_large_as_height_and_width_together():
    assert _draw("circle", np.array([[0.0, 0.0], [0.0, H + W]]), H, W).all()
    with pytest.raises(ValueError, match="larger"):
        _draw("circle", np.array([[0.0, 0.0], [0.0, H + W + 0.1]]), H, W)


@pytest.mark.parametrize(("height", "width", "change", "fits"), [
    (3, 4, (0, 0), True), (3, 4, (1, 0), False), (3, 4, (0, 1), False), (3, 4, (-1, 0), False), (H, W, (0, 0), True),
    (H + 1, W, (0, 0), False), (H, W + 1, (0, 0), False),
])  # fmt: skip
def test_a_mask_has_the_size_of_its_box_and_fits_into_the_picture(tmp_path, height, width, change, fits):
    points = [[0, 0], [width - 1 + change[0], height - 1 + change[1]]]
    mask = shape("apple", "mask", points, mask=encoded(np.ones((height, width), np.uint8)))
    labelme(tmp_path / "in", "a", [mask])
    labelme(tmp_path / "in", "b", [box("apple", 0, 0, 9, 9)])
    refusals = import_annotations(tmp_path / "in", tmp_path / "out").refused
    assert bool(refusals) != fits
    assert all("a.json" in line and "a mask cannot be read" in line for line in refusals)


def inside(points, x, y):
    """Return whether a ray from (x, y) upwards crosses an odd number of edges."""
    crossed = False
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
        if (x0 < x) != (x1 < x):
            crossed ^= y0 + (x - x0) / (x1 - x0) * (y1 - y0) < y
    return crossed


@pytest.mark.parametrize("seed", range(12))
def test_polygons_follow_the_even_odd_rule(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(-4, 16, (rng.integers(3, 8), 2))
    mask = np.zeros((9, 13), bool)
    mask[0, 0] = True
    fill_polygon(mask, points)
    expected = [[(y == x == 0) or inside(points.tolist(), x + 0.5, y + 0.5) for x in range(13)] for y in range(9)]
    np.testing.assert_array_equal(mask, expected)


def compressed(runs):
    """Return run lengths as COCO's text, after the description in `importing.coco`."""
    text = ""
    for k, run in enumerate(runs):
        number, more = run - (runs[k - 2] if k > 2 else 0), True
        while more:
            five, number = number & 31, number >> 5
            more = number != (-1 if five & 16 else 0)
            text += chr(48 + five + 32 * more)
    return text


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("longest", [3, 20, 600, 40_000])
def test_compressed_run_lengths_of_any_size_are_read(seed, longest):
    runs = np.random.default_rng(seed).integers(0, longest, 9).tolist()
    height, total = 2 if sum(runs) % 2 == 0 else 1, sum(runs)
    found = decode_runs(compressed(runs), height, total // height)
    np.testing.assert_array_equal(found, decode_runs(runs, height, total // height))


@pytest.mark.parametrize(("runs", "fits"), [([2, 4], True), ([0, 6], True), ([6], True), ([2, 5], False),
                                            ([2, 3], False), ([7, -1], False), ([-1, 7], False)])  # fmt: skip
def test_run_lengths_are_not_negative_and_add_up(runs, fits):
    if fits:
        assert decode_runs(runs, 2, 3).sum() == sum(runs[1::2])
    else:
        with pytest.raises(ValueError, match="add up"):
            decode_runs(runs, 2, 3)


@pytest.mark.parametrize(("outline", "fact"), [
    ([[2, 3, 9, 3]], "fewer than three"), ([[2, 3, 9, 3, 9, 9]], ""), ([[2, 3], [9, 3]], "fewer than three"),
    ([square(2, 3, 5, 7), [2, 3], [9, 3]], "fewer than three"), ([[2, 3], [9, 3], [9, 9]], "list of lists"),
])  # fmt: skip
def test_polygons_have_at_least_three_points(tmp_path, outline, fact):
    coco(tmp_path / "in" / "x.json", {"a.png": [(1, outline)], "b.png": [(1, [square(2, 3, 5, 7)])]})
    photos(tmp_path / "in", "a.png", "b.png")
    imported = import_annotations(tmp_path / "in", tmp_path / "out")
    told = [*imported.refused, *(f"{what}: {count}" for what, count in (+imported.dropped).items())]
    few = sum(len(part) < 6 for part in outline)
    assert any(fact in line and (fact[:5] != "fewer" or line.endswith(f": {few}")) for line in told) or told == []
    assert bool(told) == bool(fact)
