"""Each rule by which the meaning of label maps is inferred, with one case at its limit and one beyond it."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from folder_samples import CAMVID_32_COLORS, original, save

from tinysegnet.data import Folder
from tinysegnet.data.class_lists import ClassList
from tinysegnet.data.infer_encoding import (
    LabelFacts,
    _are_listed_greys,
    _check_blurred,
    _check_gaps,
    _check_soft,
    _examples,
    _facts,
    _looks_blurred,
    _unlisted_classes,
)
from tinysegnet.data.label_encoding import LabelEncoding
from tinysegnet.errors import DataError


def facts(counts, blurred=0, is_palette=False, name="x.png"):
    counts = counts if isinstance(counts, dict) else dict.fromkeys(counts, 9)
    return LabelFacts(Path(name), counts, {}, is_palette, blurred)


def refused(check, *arguments):
    """Return the message of a check, or ""."""
    try:
        check(*arguments)
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("numbers", "blurred", "expected"), [
    (4, 4, False), (5, 2, False), (5, 3, True), (12, 3, True), (13, 3, False), (13, 4, True), (40, 10, True),
    (41, 10, False),
])  # fmt: skip
def test_a_quarter_and_at_least_three_of_five_numbers_or_more_are_blurred(numbers, blurred, expected):
    message = refused(_check_blurred, [facts(range(numbers), blurred)])
    assert (f"x.png: {blurred} of {numbers} numbers" in message) == bool(message) == expected
    assert refused(_check_blurred, [facts(range(numbers), blurred, is_palette=True)]) == ""


@pytest.mark.parametrize(("blurred", "sharp", "expected"), [(1, 1, False), (2, 1, True), (2, 2, False), (3, 2, True)])
def test_more_than_half_of_the_label_maps_with_many_numbers_are_blurred(blurred, sharp, expected):
    files = [facts(range(9)) for _ in range(sharp)] + [facts(range(9), 5, name=f"{k}.png") for k in range(blurred)]
    message = refused(_check_blurred, [*files, facts(range(2))])
    assert (f"{blurred} of {len(files) + 1} label maps" in message) == bool(message) == expected
    assert message.startswith("0.png: 5 of 9") or not expected


@pytest.mark.parametrize(("between", "expected"), [
    ({100: 19, 150: 19, 200: 19}, True), ({100: 19, 150: 20, 200: 19}, True), ({100: 20, 150: 20, 200: 1}, False),
    ({100: 9, 150: 9}, False), ({126: 9, 127: 9, 125: 9}, False), ({128: 9, 30: 9, 31: 9}, True), ({}, False),
])  # fmt: skip
def test_three_rare_greys_of_which_one_is_above_127_are_soft_edges(between, expected):
    counts = {0: 500, 255: 500 - sum(between.values()), **between}
    message = refused(_check_soft, [facts([0]), facts(counts)], {0, 255})
    assert ("1 of 2 label maps" in message) == bool(message) == expected
    assert f"such as {', '.join(map(str, sorted(between)))} lie" in message or not expected
    assert refused(_check_soft, [facts(counts, is_palette=True)], {0, 255}) == ""


def test_examples_are_spread_evenly():
    assert _examples(range(10), 3) == "0, 4, 8"
    assert _examples({9, 1, 5}, 3) == "1, 5, 9"
    assert _examples({9, 1, 5, 7}, 3) == "1, 7"


@pytest.mark.parametrize(("files", "facts_expected"), [
    ([{0, 1, 9}], ["a.png", "`9: name`", "--ignore 9"]), ([{0, 1}, {0, 9}], []), ([{0, 9}, {0, 1}, {9}], ["`9: name`"]),
    ([{0, 7, 9}], ["`7: name`"]), ([{0, 9, 255}], ["255 is void unless"]), ([{0, 255}], []),
    ([{0, 256}], ["up to 255"]), ([{0, 9, 300}], ["Use numbers up to 255"]), ([{0, 254}], ["--ignore 254"]),
])  # fmt: skip
def test_numbers_that_are_no_classes_are_refused_in_a_single_or_several_files(files, facts_expected):
    found = [facts(sorted(numbers), name=f"{name}.png") for numbers, name in zip(files, "abc", strict=False)]
    message = refused(_check_gaps, found, {0, 1, 255})
    assert bool(message) == bool(facts_expected)
    assert [fact for fact in facts_expected if fact not in message] == []
    assert ("--ignore" in message) == ("--ignore" in str(facts_expected)) or len(files) == 3
    assert "above 63" in message or not message


def test_255_is_a_number_of_a_byte():
    assert "lines such as `255: name`" in refused(_check_gaps, [facts([0, 255])], {0})
    assert "Use numbers up to 255" in refused(_check_gaps, [facts([0, 256])], {0})


def test_numbers_above_255_do_not_count_as_explained():
    listed = ClassList(("a", "b"), ((0, 0, 0), (5, 5, 5)), "")
    shown = {number: (number,) * 3 for number in (5, 300)}
    assert _are_listed_greys([LabelFacts(Path("x"), {5: 1, 300: 1}, shown)], LabelEncoding.of_classes(listed), False)


@pytest.mark.parametrize(("numbers", "count"), [
    ((), 2), ((0,), 2), ((0, 1, 2), 3), ((0, 1, 2, 3, 9), 10), ((0, 1, 2, 3, 10), 4), ((1, 3), 4), ((2, 3), 4),
    ((3,), 2), (range(63), 63), (range(64), 64), (range(65), 64), (range(1, 128, 2), 64), ((0, 1, 2, 255), 3),
])  # fmt: skip
def test_a_number_is_a_class_if_half_of_the_numbers_up_to_it_occur(numbers, count):
    layout = SimpleNamespace(is_tutorial=False)
    classes = _unlisted_classes(layout, [], [facts(numbers)], None, False)
    assert classes.names == tuple(f"class {k}" for k in range(count))
    assert classes.colors == (None,) * count


def test_one_pixel_in_a_thousand_may_have_an_unknown_colour_in_camvid(tmp_path):
    original(tmp_path)
    colors = np.full((20, 50, 3), CAMVID_32_COLORS[0], np.uint8)
    colors[3, 4] = 1, 2, 3
    for name in ("p0", "p1"):
        save(tmp_path / f"raw/{name}.png", np.zeros_like(colors))
        save(tmp_path / f"labels/{name}_L.png", colors)
        colors[5, 6] = 1, 2, 3  # in the second file, there are two
    data = Folder(tmp_path)
    with pytest.warns(UserWarning, match=r"1 2 3 at row 3, column 4.*: 1\)"):
        assert data[0].labels[3, 4] == 11
    with pytest.raises(DataError, match=r"unknown colours: 2\)"):
        data[1]


def blurred_by_definition(values):
    """Return where a value lies between two opposite neighbours 1 to 3 pixels away, or differs from all next to it."""
    found = np.zeros(values.shape, bool)
    for y, x in np.ndindex(values.shape):

        def at(dy, dx, y=y, x=x):
            inside = 0 <= y + dy < len(values) and 0 <= x + dx < len(values[0])
            return int(values[y + dy, x + dx]) if inside else None

        here, alone = int(values[y, x]), True
        for dy, dx in ((0, 1), (1, 0)):
            alone &= here not in (at(dy, dx), at(-dy, -dx))
            for step in (1, 2, 3):
                ends = at(step * dy, step * dx), at(-step * dy, -step * dx)
                found[y, x] |= None not in ends and min(ends) < here < max(ends)
        found[y, x] |= alone
    return found


@pytest.mark.parametrize("shape", [(9, 11), (7, 7), (6, 12), (5, 4), (3, 2), (1, 8)])
@pytest.mark.parametrize("seed", range(3))
def test_blurred_pixels_equal_their_definition(shape, seed):
    values = np.random.default_rng(seed).integers(0, 4, shape).astype(np.uint8)
    np.testing.assert_array_equal(_looks_blurred(values), blurred_by_definition(values))


@pytest.mark.parametrize(("lonely", "shape", "numbers", "expected"), [
    (18, (24, 80), 5, 0), (19, (24, 80), 5, 1), (19, (23, 80), 5, 0), (19, (80, 24), 5, 1), (19, (24, 80), 4, 0),
])  # fmt: skip
def test_a_number_is_blurred_if_over_nine_tenths_of_its_pixels_are(tmp_path, lonely, shape, numbers, expected):
    """Single pixels are blurred. Two pixels side by side and squares of four are not."""
    values = np.zeros(shape, np.uint8)
    for number in range(1, numbers - 1):
        values[:2, 5 * number : 5 * number + 2] = number
    values[8, 2:4] = 9
    for k in range(lonely):
        values[12 + 2 * (k // 8), 2 * (k % 8)] = 9
    save(tmp_path / "x.png", values)
    assert _facts(tmp_path / "x.png", 0, False).blurred == expected
