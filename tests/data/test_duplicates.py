"""Pictures that occur more than once in a data set are reported."""

import os
import shutil

import pytest
from folder_samples import write_pairs

from tinysegnet.data import Folder
from tinysegnet.data.plausibility import shared_pictures


def reported(root):
    layout = Folder(root).layout
    return shared_pictures([Folder(root, split, layout=layout) for split in layout.splits])


def test_different_pictures_are_not_reported(tmp_path):
    write_pairs(tmp_path, "train/a", "train/b", "val/c")
    assert reported(tmp_path) == []


@pytest.mark.parametrize("shared", [["d"], ["c", "d"]])
def test_pictures_listed_for_two_splits_are_reported(tmp_path, shared):
    write_pairs(tmp_path, *"abcde")
    (tmp_path / "train.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "val.txt").write_text("\n".join([*shared, "e"]))
    lines = reported(tmp_path)
    assert len(lines) == len(shared)
    for name, line in zip(shared, lines, strict=True):
        assert f"{name}.png in train, {name}.png in val" in line
        assert str(tmp_path / f"images/{name}.png") in line


@pytest.mark.parametrize("count", [1, 3, 5])
def test_copies_under_other_names_are_reported(tmp_path, count):
    write_pairs(tmp_path, *(f"train/t{k}" for k in range(5)), *(f"val/v{k}" for k in range(5)))
    for k in range(count):
        shutil.copy(tmp_path / f"images/train/t{k}.png", tmp_path / f"images/val/v{k}.png")
    lines = reported(tmp_path)
    assert len(lines) == min(count, 4)
    assert "t0.png in train, v0.png in val" in lines[0]
    assert (": 2." in lines[-1]) == (count == 5)


def test_links_to_a_picture_of_another_split_are_reported(tmp_path):
    write_pairs(tmp_path, "train/a", "val/a")
    (tmp_path / "images/val/a.png").unlink()
    (tmp_path / "images/val/a.png").symlink_to("../train/a.png")
    (line,) = reported(tmp_path)
    assert "a.png in train, a.png in val" in line


def test_repeated_lines_of_pairs_are_reported(tmp_path):
    write_pairs(tmp_path, *"ab")
    (tmp_path / "train.txt").write_text("images/a.png labels/a.png\n" * 3 + "images/b.png labels/b.png\n")
    (line,) = reported(tmp_path)
    assert "a.png in train 3 times" in line


def test_pictures_in_two_splits_come_first(tmp_path):
    write_pairs(tmp_path, *(f"train/t{k}" for k in range(9)), "val/v")
    for k in range(1, 8, 2):
        shutil.copy(tmp_path / f"images/train/t{k}.png", tmp_path / f"images/train/t{k - 1}.png")
    shutil.copy(tmp_path / "images/train/t8.png", tmp_path / "images/val/v.png")
    assert "t8.png in train, v.png in val" in reported(tmp_path)[0]


def test_equal_names_of_different_pictures_give_one_line(tmp_path):
    write_pairs(tmp_path, *(f"{split}/{k:04}" for split in ("train", "val") for k in range(5)), "val/other")
    (line,) = reported(tmp_path)
    assert "several splits: 5," in line
    assert "0000" in line


def test_missing_files_do_not_prevent_the_comparison(tmp_path):
    write_pairs(tmp_path, "train/a", "train/b", "val/c")
    (tmp_path / "images/train/a.png").unlink()
    assert reported(tmp_path) == []


def test_files_that_may_not_be_read_and_empty_ones_do_not_prevent_the_comparison(tmp_path, monkeypatch):
    write_pairs(tmp_path, "train/a", "train/b", "val/c", "val/d", "val/e")
    shutil.copy(tmp_path / "images/train/a.png", tmp_path / "images/val/c.png")
    assert len(reported(tmp_path)) == 1
    monkeypatch.setattr(os, "access", lambda path, mode: path.stem != "a" or mode != os.R_OK)
    assert reported(tmp_path) == []
    (tmp_path / "images/train/b.png").unlink()
    for name in "de":  # a missing file is not compared with these
        (tmp_path / f"images/val/{name}.png").write_bytes(b"")
    (line,) = reported(tmp_path)
    assert "d.png in val, e.png in val" in line


@pytest.mark.parametrize("name", ["missing", "x" * 300])
def test_missing_pictures_are_not_compared(tmp_path, name):
    write_pairs(tmp_path, "train/a", "val/b")
    (tmp_path / "train.txt").write_text(f"images/train/{name}.png labels/train/{name}.png\n")
    (tmp_path / "val.txt").write_text("images/val/b.png labels/val/b.png\n")
    assert reported(tmp_path) == []
