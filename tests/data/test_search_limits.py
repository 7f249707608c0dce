"""How far folders are searched, how long lines may be, and how pictures are divided, at and beyond each limit."""

from pathlib import Path

import pytest
from folder_samples import names_of, write_pairs

from tinysegnet.data import find, open_dataset
from tinysegnet.data.find import find_inputs
from tinysegnet.data.layouts import find_layout
from tinysegnet.data.pairs import FilePair, files_below, pairs_of_files, pairs_of_list, read_lines
from tinysegnet.data.splits import hold_out
from tinysegnet.errors import DataError


@pytest.mark.parametrize(("outer", "is_found"), [("", True), ("a", True), ("a/b", True), ("a/b/c", False)])
def test_two_enclosing_folders_are_entered(tmp_path, outer, is_found):
    write_pairs(tmp_path / outer, "x", image="train/{}.png", labels="trainannot/{}.png")
    assert find_layout(tmp_path).is_tutorial == is_found


@pytest.mark.parametrize(("image", "labels"), [
    ("train/images/{}.png", "train/labels/{}.png"), ("images/{}.png", "images/{}_L.png"),
    ("Test/{}.png", "Test/{}_L.png"),
])  # fmt: skip
def test_a_folder_whose_name_has_a_meaning_is_not_entered(tmp_path, image, labels):
    write_pairs(tmp_path, *"abcde", image=image, labels=labels)
    assert find_layout(tmp_path).root == tmp_path


@pytest.mark.parametrize("beside", ["other/x.txt", "p.png", "train.txt"])
def test_an_enclosing_folder_contains_nothing_else(tmp_path, beside):
    write_pairs(tmp_path / "outer", *"abcde", image="train/{}.png", labels="trainannot/{}.png")
    assert find_layout(tmp_path).is_tutorial
    (tmp_path / beside).parent.mkdir(exist_ok=True)
    (tmp_path / beside).write_text("")
    layout = find_layout(tmp_path)
    assert not layout.is_tutorial or layout.root == tmp_path


@pytest.mark.parametrize("outer", ["", "data/", "a/b/"])
def test_a_split_of_any_name_may_stand_beside_the_others(tmp_path, outer):
    for split in ("train", "val", "night", "far/away"):
        write_pairs(tmp_path, "a", image=f"{outer}{split}/images/{{}}.png", labels=f"{outer}{split}/labels/{{}}.png")
    assert names_of(tmp_path) == {"train": ["a"], "val": ["a"], "night": ["a"]}


def test_a_folder_with_the_name_of_a_picture_is_no_picture(tmp_path):
    write_pairs(tmp_path, "a", image="train/{}.png", labels="trainannot/{}.png")
    (tmp_path / "train/b.png").mkdir()
    assert [pair.image.stem for pair in find_layout(tmp_path).pairs("train")] == ["a"]


@pytest.mark.parametrize("place", ["", "data"])
def test_lists_of_names_may_stand_beside_the_folder_of_the_data_or_in_it(tmp_path, place):
    write_pairs(tmp_path / "data", *"abcde")
    (tmp_path / "notes").mkdir()
    (tmp_path / place / "val.txt").write_text("b\n")
    assert names_of(tmp_path) == {"train": ["a", "c", "d", "e"], "val": ["b"]}
    assert find_layout(tmp_path).root == tmp_path / "data"


def test_files_are_found_four_folders_below(tmp_path):
    for depth in range(7):
        folder = tmp_path.joinpath(*["f"] * depth)
        folder.mkdir(exist_ok=True)
        (folder / f"{depth}.png").write_bytes(b"")
    assert sorted(path.stem for path in files_below(tmp_path)) == ["0", "1", "2", "3", "4"]
    assert sorted(path.stem for path in files_below(tmp_path, 1)) == ["0", "1"]


def test_missing_files_are_expected_where_the_others_are(tmp_path):
    places = tmp_path / "x", tmp_path / "y"

    def paired(images, labels):
        paths = [places[0] / name for name in images], [places[1] / name for name in labels]
        return [(pair.image.relative_to(tmp_path).as_posix(), pair.labels.relative_to(tmp_path).as_posix())
                for pair in pairs_of_files(tmp_path, *paths, places)]  # fmt: skip

    assert paired(["b.jpg", "a.jpg"], ["a_L.png", "c_L.png"]) == [
        ("x/a.jpg", "y/a_L.png"), ("x/b.jpg", "y/b_L.png"), ("x/c.jpg", "y/c_L.png")
    ]  # fmt: skip
    assert paired([], ["a_mask.png"]) == [("x/a.png", "y/a_mask.png")]
    assert paired(["a.tif", "b.jpg"], ["b.png"]) == [("x/a.tif", "y/a.png"), ("x/b.jpg", "y/b.png")]
    assert paired(["a.tif"], []) == [("x/a.tif", "y/a.png")]


def test_missing_files_of_a_list_are_expected_in_their_last_folder(tmp_path):
    (tmp_path / "train.txt").write_text("\n/a/b/c/x.png d/e/x.png\ny.png y.png\n")
    first, second = pairs_of_list(tmp_path / "train.txt")
    assert (first.image, first.labels) == (tmp_path / "c/x.png", tmp_path / "e/x.png")
    assert (first.root, first.origin, second.origin) == (tmp_path, "train.txt line 2", "train.txt line 3")
    assert second.image == tmp_path / "y.png"


@pytest.mark.parametrize(("count", "held_out"), [(0, 0), (1, 0), (2, 1), (7, 1), (8, 2), (12, 2), (13, 3), (20, 4)])
def test_a_fifth_of_the_pictures_and_at_least_one_of_two_is_held_out(count, held_out):
    pairs = [FilePair(Path(f"{name}.png"), Path(f"{name}.png"), Path(), "") for name in "abcdefghijklmnopqrst"[:count]]
    train, val, _ = hold_out(pairs)
    assert len(val) == held_out
    assert train + val == pairs


def test_files_are_in_natural_order_and_others_are_listed(tmp_path):
    names = ["2.png", "10.png", "a2.png", "A10.png", "a10.png", "b1c2.png", "b1c10.png", "b.png"]
    for name in [*names[::-1], "z.txt", ".hidden.png"]:
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in find_inputs([tmp_path])[0]] == names
    assert [path.name for path in find_inputs([tmp_path, tmp_path / "2.png"])[2]] == [".hidden.png", "z.txt"]
    assert find_inputs([tmp_path / "b.png", tmp_path])[0][0].name == "b.png"
    assert len(find_inputs([tmp_path / "b.png", tmp_path])[0]) == len(names)


@pytest.mark.parametrize(("suffix", "is_picture"), [
    (".png", True), (".JPE", True), (".heif", True), (".cr2", True), (".exr", True), (".XCF", True), (".txt", False),
    ("", False),
])  # fmt: skip
def test_pictures_are_recognised_by_their_suffixes_even_if_they_cannot_be_read(tmp_path, suffix, is_picture):
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / f"b{suffix}").write_bytes(b"x")
    assert (tmp_path / f"b{suffix}" in find_inputs([tmp_path])[0]) == is_picture


def test_folders_without_labelled_pictures_do_not_belong_to_the_data(tmp_path):
    write_pairs(tmp_path, *"abcde", image="raw/{}.png", labels="approved/{}_L.png")
    write_pairs(tmp_path, "z", image="small/{}.png", labels="")
    assert names_of(tmp_path) == {"train": ["a", "b", "c", "d"], "val": ["e"]}
    assert "files left out: 1, such as small/z.png" in find_layout(tmp_path).note
    write_pairs(tmp_path, "z", image="raw/{}.png", labels="")  # beside labelled pictures, it is missing
    assert [pair.labels.name for pair in find_layout(tmp_path).pairs("val")][-1] == "z_L.png"


def test_a_file_that_cannot_be_read_is_no_picture_unless_its_name_says_so(tmp_path, monkeypatch):
    def refuse(path):
        raise OSError

    for name in ("a", "b.png"):
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr(find, "kind_of", refuse)
    assert [path.name for path in find_inputs([tmp_path])[0]] == ["b.png"]
    assert [path.name for path in find_inputs([tmp_path])[2]] == ["a"]


def test_a_line_may_have_2000_characters(tmp_path):
    (tmp_path / "x.txt").write_text("a" * 2000 + "\n\nb\n")
    assert read_lines(tmp_path / "x.txt") == ["a" * 2000, "", "b"]
    (tmp_path / "x.txt").write_text("b\n" + "a" * 2001)
    with pytest.raises(DataError, match="longer than 2000"):
        read_lines(tmp_path / "x.txt")


@pytest.mark.parametrize(("counts", "val"), [
    ({"a": 18, "b": 2}, {"b": 2}), ({"a": 19, "b": 1}, None),  # a tenth, and less
    ({"a": 13, "b": 7}, {"b": 7}), ({"a": 12, "b": 8}, None),  # 35 %, and more
    ({"a": 14, "b": 4, "c": 1, "d": 1}, {"c": 1, "d": 1}), ({"a": 16, "b": 3, "c": 1}, {"b": 3, "c": 1}),
])  # fmt: skip
def test_scenes_make_up_10_to_35_percent_of_the_pictures(tmp_path, counts, val):
    names = [f"{scene}_{k:02}" for scene, count in counts.items() for k in range(count)]
    write_pairs(tmp_path, *names)
    expected = sorted(names)[-4:] if val is None else sorted(name for name in names if name[0] in val)
    assert names_of(tmp_path)["val"] == expected


@pytest.mark.parametrize("scenes", [3, 4])
def test_three_scenes_are_named(tmp_path, scenes):
    write_pairs(tmp_path, *(f"s{scene}_{k}" for scene in range(5 * scenes) for k in range(2)))
    note = find_layout(tmp_path).note
    assert note.count("images/s") == 3
    assert ("*, ...:" in note) == (scenes == 4)
    assert ("*: " in note) == (scenes == 3)


def test_the_toy_data_sets_have_450_and_200_streets_with_different_seeds():
    train, val = open_dataset("toy"), open_dataset("toy", "val", size=(32, 48))
    assert [(len(data), data.seed, data.size) for data in (train, val)] == [(450, 0, (96, 128)), (200, 1, (32, 48))]
    with pytest.raises(DataError, match=r"'test'.*train or val"):
        open_dataset("toy", "test")
    for wrong, name in (("", "''"), (None, "NoneType"), (3, "int")):
        with pytest.raises(DataError, match=f"data: {name} is not a path"):
            open_dataset(wrong)


@pytest.mark.parametrize("inner", ["images", "pictures"])
def test_a_folder_without_pictures_names_one_that_may_have_them(tmp_path, inner):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="Try another folder"):
        find_inputs([tmp_path])
    (tmp_path / inner).mkdir()
    with pytest.raises(DataError, match=f"Try {tmp_path / inner}"):
        find_inputs([tmp_path])
