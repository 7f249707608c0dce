"""Lists of classes in the forms of many tools give the same classes or an error, but never shifted classes."""

import csv
import io

import pytest
from folder_samples import write
from forms import amount
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tinysegnet.data import Folder, Palette
from tinysegnet.data.class_lists import ClassList, find_class_list, is_void_name
from tinysegnet.data.crops import write_classes
from tinysegnet.data.palette import distinct_colors
from tinysegnet.errors import DataError

NAMES = ("table", "red apple", "Bäume", "lane 1")
COLORS = ((0, 0, 0), (128, 0, 255), (7, 8, 9), (255, 255, 255))


def read(folder, text, name="classes.txt"):
    (folder / name).write_text(text, encoding="utf-8")
    return ClassList.read(folder / name)


def lines(form, names=NAMES[:3], numbers=(0, 1, 2)):
    rows = zip(numbers, names, COLORS, strict=False)
    return "\n".join(
        form.format(number, name, *color, hex="#{:02x}{:02X}{:02x}".format(*color)) for number, name, color in rows
    )


PLAIN = ["{1}"]
COLORED = ["{2} {3} {4} {1}", "{2} {3} {4}\t\t{1}", "{2},{3},{4},{1}", "{2}, {3}, {4} {1}", "{1} {2} {3} {4}",
           "{1}\t{2}\t{3}\t{4}", "{1},{2},{3},{4}", "{1}; {2}; {3}; {4}", '"{1}","{2}","{3}","{4}"',
           '"{1}",{2},{3},{4}',
           "{hex} {1}", "{1} {hex}", "{1},{hex}", "{1}:{2},{3},{4}::", "{1}:{2},{3},{4}:part,other:action"]  # fmt: skip
NUMBERED = [
    "{0}: {1}",
    "{0}:{1}",
    "{0} {1}",
    "{0},{1}",
    "{0}\t{1}",
    '{0};"{1}"',
    "{0}. {1}",
    "{0}) {1}",
    "{0}={1}",
    "{0} = {1}",
]
BOTH = ["{0}: {1} {2} {3} {4}", "{0},{1},{2},{3},{4}", "{0} {hex} {1}", "{0},{1},{hex}"]
HEADERS = {"{1},{2},{3},{4}": ["name,r,g,b", "Name, Red, Green, Blue", "class_name,r,g,b"],
           "{2} {3} {4} {1}": ["r g b label"], "{0},{1}": ["Pixel Value, Class", "id,name", '"index","class"'],
           "{0},{1},{2},{3},{4}": ["index,name,r,g,b"]}  # fmt: skip


@pytest.mark.parametrize("form", PLAIN + COLORED + NUMBERED + BOTH)
@pytest.mark.parametrize("start", ["", "# my classes\n", "\ufeff// by me\n\n", "# label:color_rgb:parts:actions\n"])
def test_every_form_gives_the_same_classes(tmp_path, form, start):
    numbers = (0, 7, 26) if form in NUMBERED + BOTH else (0, 1, 2)
    found = read(tmp_path, start + lines(form, numbers=numbers) + "\n\n")
    assert found.names == NAMES[:3]
    assert found.numbers == numbers
    assert found.colors == (COLORS[:3] if form in COLORED + BOTH else (None,) * 3)


@pytest.mark.parametrize(("form", "header"), [(form, header) for form in HEADERS for header in HEADERS[form]])
def test_headers_are_no_classes(tmp_path, form, header):
    assert read(tmp_path, f"{header}\n{lines(form)}").names == NAMES[:3]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("name\napple\nleaf", "line 1: 'name'"),
        ("Label\napple\nleaf", "line 1: 'Label'"),
        ("class name\napple\nleaf", "header"),
        ("Klasse,rot,grün,blau\napple,1,2,3\nleaf,4,5,6", "line 1: 'Klasse,rot"),
        *(
            (f"name,{order}\napple,1,2,3\nleaf,4,5,6", "line 1: .*r, g, b")
            for order in ("b,g,r", "r,b,g", "blue,green,red", "red,blue,green", "color red,blue", "g")
        ),
        ("apple\n__ignore__\nleaf", "__ignore__ .*first"),
        *((f"{start}\napple 1 2 3\nleaf 4 5 6", "header") for start in ("Klasse R G B", "my two classes")),
        ("Name\tFarbe\napple 1 2 3\nleaf 4 5 6", "line 1: 'Name"),
        *((f"{start}\napple\nleaf", f"line 1: '{start}'") for start in ("% fruit", "; fruit", "-- fruit", "My fruit:")),
        ("- apple\n- leaf", "line 1: '- apple'"),
        *((f"apple{a}7\nleaf{a}11", f"line 1: 'apple{a}7'") for a in ("=", " = ", ":", ": ", ",")),
        ("apple (7)\nleaf (11)", "ends of the lines"),
        ("apple # red\nleaf", "line 1: 'apple # red'"),
        ("leaf\napple // red", "line 2: 'apple // red'"),
        ("#f00 apple\n#ff0000 leaf", "line 1: '#f00 apple'"),
        ("#facade of my house\napple\nleaf", "begins with #"),
        ("apple 7\nleaf 11", "ends of the lines"),
        ("7\n11", "line 1: '7'"),
        ("0: apple\nleaf", "some lines begin with the number"),
        ("7: apple\n7: leaf", "the number 7 .*twice"),
        ("7: apple\n256: leaf", "line 2: a number .*255"),
        ("7,road,7,flat\n11,building,2,construction", "line 1: '7,road"),
        ("1 2 apple\n3 4 leaf", "line 1: '1 2 apple'"),
        ("1 2 3 4 apple\n3 4 5 6 leaf", "line 1: '1 2 3 4 apple'"),
        ("1 2 3\n4 5 6", "line 1: '1 2 3'"),
        ("s0.png\ns1.png", "line 1: 's0.png'"),
    ],
)
def test_lists_that_could_mean_two_things_are_refused(tmp_path, text, fact):
    with pytest.raises(DataError, match=f"classes.txt: .*{fact}") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", ["a" + " " * 60000 + "b", "a" + " 1" * 30000 + " b", '"' + "a" * 200000 + '"', "a\0b"])
def test_long_lines_and_zeros_are_refused_quickly(tmp_path, line):
    with pytest.raises(DataError, match=r"classes.txt: .*2000 characters, or contains null.*UTF-8"):
        read(tmp_path, f"{line}\nleaf\n")


def test_a_first_class_without_a_colour_may_be_a_word_or_have_a_number(tmp_path):
    assert read(tmp_path, "background\n1 2 3 leaf\n4 5 6 apple").colors[0] is None
    assert read(tmp_path, '"on the table"\n1 2 3 leaf\n4 5 6 apple').names[0] == "on the table"
    assert read(tmp_path, "0 on the table\n1 leaf 1 2 3\n2 apple 4 5 6").names[0] == "on the table"


def test_ignore_of_labelme_has_number_255(tmp_path):
    found = read(tmp_path, "__ignore__\n_background_\napple\nleaf\n", "labels.txt")
    assert dict(zip(found.names, found.numbers, strict=True)) == {
        "__ignore__": 255,
        "_background_": 0,
        "apple": 1,
        "leaf": 2,
    }


words = (
    st.text(st.sampled_from("aZé0 7.-_'#,:()ß北"), min_size=1, max_size=8)
    .map(lambda text: text.strip(" ,:"))
    .filter(bool)
)
names = st.lists(words, min_size=2, max_size=4, unique=True)
quick = settings(
    max_examples=amount(50, 3000), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@quick
@given(names, st.sampled_from(PLAIN + COLORED + NUMBERED + BOTH), st.booleans())
def test_names_of_any_kind_are_read_or_refused_but_never_shifted(tmp_path, names, form, is_quoted):
    numbers = (3, 1, 20, 8)[: len(names)] if form in NUMBERED + BOTH else tuple(range(len(names)))
    if not is_quoted:  # "# apple" is a comment, and a list of "7 apple" gives the numbers of the classes
        assume(not any(name[0] == "#" or name.startswith("- ") for name in names))
        assume(form not in PLAIN + COLORED or not all(name[0].isdecimal() for name in names))
    written = [f'"{name}"' for name in names] if is_quoted and '"' not in form else names
    try:
        found = read(tmp_path, lines(form, written, numbers))
    except DataError:
        return
    assert (list(found.names), found.numbers) == (names, numbers)


@quick
@given(names, st.sampled_from([None, 77, 255]))
def test_written_classes_are_read_back(tmp_path, names, ignore_label):
    names = [name for name in names if name.lower() != "void"]
    palette = Palette(tuple(names), distinct_colors(len(names)), ignore_label)
    write_classes(tmp_path / "classes.txt", palette)
    if len(names) < 2:
        return
    found = ClassList.read(tmp_path / "classes.txt")
    void = [] if ignore_label is None else ["void"]
    assert list(found.names) == [*names, *void]
    assert found.colors[: len(names)] == palette.colors
    assert found.colors[len(names) :] == ((0, 0, 0),) * len(void)


@pytest.mark.parametrize(
    ("count", "ignore_label", "void"), [(254, 254, 1), (254, 255, 1), (255, 255, 0), (254, None, 0)]
)
def test_a_written_list_has_at_most_255_lines(tmp_path, count, ignore_label, void):
    palette = Palette(tuple(f"c{k}" for k in range(count)), distinct_colors(count), ignore_label)
    write_classes(tmp_path / "classes.txt", palette)
    assert ClassList.read(tmp_path / "classes.txt").names == palette.names + ("void",) * void


def test_the_colour_of_void_is_written_unless_a_class_has_it(tmp_path):
    for color, expected in (((0, 0, 0), None), ((7, 7, 7), (7, 7, 7))):
        write_classes(tmp_path / "classes.txt", Palette(("a", "b"), ((0, 0, 0), (1, 1, 1)), 2, color))
        assert ClassList.read(tmp_path / "classes.txt").colors == ((0, 0, 0), (1, 1, 1), expected)


def test_the_list_may_have_the_names_that_tools_use(tmp_path):
    for name in ("classes.txt", "codes.txt", "label_colors.txt", "class_dict.csv", "labelmap.txt", "labels.txt",
                 "class_names.txt", "classes.csv", "_classes.csv", "Classes.TXT"):  # fmt: skip
        (tmp_path / name).write_text("apple\nleaf\n")
        assert find_class_list([tmp_path]).names == ("apple", "leaf"), name
        (tmp_path / name).unlink()
    assert find_class_list([tmp_path]) is None


def test_lists_agree_if_names_numbers_and_known_colours_are_equal():
    one, two = (1, 2, 3), (4, 5, 6)
    own = ClassList(("a", "b"), (one, None), "x.txt")
    for colors in ((one, None), (None, two), (one, two), (None, None)):
        assert own.agrees_with(ClassList(("a", "b"), colors, "y.txt"))
    for other in (ClassList(("a", "b"), (two, None), ""), ClassList(("a", "c"), (one, None), ""),
                  ClassList(("a", "b"), (one, None), "", (0, 2))):  # fmt: skip
        assert not own.agrees_with(other)
    assert not ClassList(("a", "b"), (one, two), "").agrees_with(ClassList(("a", "b"), (one, one), ""))


@pytest.mark.parametrize(
    "names", [("red", "green", "blue"), ("id", "value"), ("colour rgb", "red"), ("names of r", "b")]
)
def test_classes_may_have_the_names_of_columns(tmp_path, names):
    assert read(tmp_path, "\n".join(names)).names == names


def test_an_empty_list_and_a_folder_with_the_name_of_a_list(tmp_path):
    (tmp_path / "labels.txt").mkdir()
    assert find_class_list([tmp_path]) is None
    for text in ("", "\n# nothing\n"):
        with pytest.raises(DataError, match="number of classes is 0"):
            read(tmp_path, text)
    assert read(tmp_path, "255: leaf\n0: apple").numbers == (255, 0)
    assert read(tmp_path, "255 255 255 leaf\n0 0 255 apple").colors == ((255, 255, 255), (0, 0, 255))


def test_two_lists_must_agree(tmp_path):
    write(tmp_path, "images/{}.png", "labels/{}.png", 3)
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    (tmp_path / "labelmap.txt").write_text("a:1,2,3::\nb:4,5,6::\nc:7,8,9::\n")
    assert Folder(tmp_path).palette.colors == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    for other in ("a\nc\nb\n", "a\nb\nc\nd\n", "1: a\n2: b\n3: c\n", "1 2 3 a\n4 5 6 b\n7 8 8 c\n"):
        (tmp_path / "classes.txt").write_text(other)
        with pytest.raises(DataError, match=r"labelmap\.txt: .*classes\.txt"):
            Folder(tmp_path)


def test_a_csv_file_of_a_spreadsheet_is_read(tmp_path):
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([("name", "r", "g", "b"), ("grass, wet", 1, 2, 3), ('12" pipe', 4, 5, 6)])
    assert read(tmp_path, text.getvalue()).names == ("grass, wet", '12" pipe')


@pytest.mark.parametrize("name", ["void", "Ignore", "ignored", "don't care", "DontCare", "ignore_region", "_ignore_",
                                  "Not labelled", "unlabeled"])  # fmt: skip
def test_names_for_pixels_without_a_label_are_void(name):
    assert is_void_name(name)


@pytest.mark.parametrize("name", ["background", "other", "voids", "unknown", "ignorance", "label"])
def test_other_names_are_classes(name):
    assert not is_void_name(name)


def test_names_may_begin_with_numbers(tmp_path):
    found = read(tmp_path, "0: background\n1: 1 euro\n2: 2 euro\n")
    assert (found.names, found.numbers) == (("background", "1 euro", "2 euro"), (0, 1, 2))


def test_colours_as_fractions_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"line 1.*0\.0 0\.5 0\.0 road"):
        read(tmp_path, "0.0 0.5 0.0 road\n0.0 0.0 0.5 tree\n")
