"""Damaged annotations are refused in one line that names the file. Reading them never takes much memory or time."""

import copy
import json
import random
import tracemalloc

import pytest
from forms import amount
from import_samples import H, W, box, coco, encoded, labelme, photos, shape, square
from measures import MB, Cost, measured

from tinysegnet.cli.main import main
from tinysegnet.data import Folder
from tinysegnet.data.importing import import_annotations

HUGE = [10**9, 10**18, 10**400, -1, -(10**9), 1e308, float("nan"), float("inf"), 0.5]
HOSTILE = [
    *HUGE,
    None,
    True,
    "",
    "x" * 1000,
    "\0",
    "\ud800",
    "../../etc/passwd",
    "/dev/zero",
    [],
    {},
    [[]],
    [{}],
    [[None]],
    {"a": 1},
]


def places(record, path=()):
    """Yield the path of every value in a JSON record."""
    if path:
        yield path
    for key, value in record.items() if isinstance(record, dict) else enumerate(record):
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))
        else:
            yield (*path, key)


def replaced(record, path, value):
    """Return a copy of a record with another value at this path."""
    changed = inner = copy.deepcopy(record)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


def write_both(folder):
    """Write a labelme folder and a COCO folder. Returns the paths and contents of one JSON file in each."""
    mask = shape("pear", "mask", [[2, 2], [5, 4]], mask=encoded(photo_mask()))
    shapes = [box("apple", 0, 0, 9, 9), shape("pear", "circle", [[9, 9], [12, 9]]), mask]
    for name in ("good", "bad"):
        labelme(folder / "labelme", name, shapes)
    runs = {"size": [H, W], "counts": [5 * H, H, 24 * H]}
    text = {"size": [H, W], "counts": "Q25?" + "0" * 37 + "W4"}
    for name in ("train", "val"):
        coco(folder / "coco" / "annotations" / f"instances_{name}.json",
             {"a.png": [(1, [square(2, 3, 5, 7)]), (2, runs), (2, text)]})  # fmt: skip
        photos(folder / "coco" / "images" / name, "a.png")
    files = folder / "labelme" / "bad.json", folder / "coco" / "annotations" / "instances_val.json"
    return [(path, json.loads(path.read_text())) for path in files]


def photo_mask():
    import numpy as np

    return np.arange(12, dtype=np.uint8).reshape(3, 4) % 2


def check_import(folder, out, capsys):
    """Import a folder. The import must succeed, or name everything that it refused."""
    tracemalloc.start()
    with measured(Cost()) as cost:
        code = main(["data", "import", str(folder), "--out", str(out)])
    cost.growth = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    printed = capsys.readouterr()
    assert not cost.exceeds(seconds=5, growth=20 * MB)
    assert "Traceback" not in printed.out + printed.err
    if code == 2:
        assert printed.err.rpartition("\r")[2].startswith("error: ")  # after the progress bar
        assert printed.err.count("\n") == 1
        assert not out.exists()
        return
    refused = [line for line in printed.out.splitlines() if line.startswith("not imported: ")]
    assert code == (1 if refused else 0)
    known = ("bad.json", "instances_val.json", "classes without a single pixel")
    assert [line for line in refused if not any(fact in line for fact in known)] == []
    for split in Folder(out).layout.splits:
        if Folder(out).layout.splits[split]:
            assert Folder(out, split).problems() == []


@pytest.mark.parametrize("kind", [0, 1], ids=["labelme", "coco"])
def test_wrong_values_in_any_place_are_refused_in_one_line(tmp_path, capsys, kind):
    path, record = write_both(tmp_path)[kind]
    rng = random.Random(kind)
    cases = [(place, value) for place in places(record) for value in HOSTILE]
    for number, (place, value) in enumerate(rng.sample(cases, amount(25, 600))):
        path.write_text(json.dumps(replaced(record, place, value)))
        check_import(tmp_path / ["labelme", "coco"][kind], tmp_path / f"out{number}", capsys)


@pytest.mark.parametrize("kind", [0, 1], ids=["labelme", "coco"])
def test_damaged_bytes_are_refused_in_one_line(tmp_path, capsys, kind):
    path, _ = write_both(tmp_path)[kind]
    whole, rng = path.read_bytes(), random.Random(kind)
    for number in range(amount(15, 300)):
        content = bytearray(whole[: rng.randrange(len(whole))] if number % 3 == 0 else whole)
        for _ in range(rng.randrange(4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        path.write_bytes(content)
        check_import(tmp_path / ["labelme", "coco"][kind], tmp_path / f"out{number}", capsys)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"shapes": ' * 5000, "1" * 5000, "\xff\xfe", "NaN", '"shapes"', ""])
def test_files_that_are_no_records_are_refused(tmp_path, capsys, text):
    path, _ = write_both(tmp_path)[0]
    path.write_text(text, encoding="latin-1")
    assert main(["data", "import", str(path.parent), "--out", str(tmp_path / "out")]) in (0, 1)
    assert "bad.json" in (printed := capsys.readouterr().out) or "JSON files of other kinds: 1" in printed


@pytest.mark.parametrize("radius", [1e3, 1e6, 1e9, 1e308])
def test_huge_circles_cost_no_time(tmp_path, capsys, radius):
    labelme(tmp_path / "in", "good", [box("apple", 0, 0, 9, 9)])
    labelme(tmp_path / "in", "bad", [shape("apple", "circle", [[0, 0], [radius, 0]])])
    check_import(tmp_path / "in", tmp_path / "out", capsys)
    assert [path.name for path in (tmp_path / "out" / "images").iterdir()] == ["good.png"]


@pytest.mark.parametrize(("counts", "size"), [
    ([10**9], [10**9, 1]), ([H * W - 1], [H, W]), ([H * W + 1], [H, W]), ([H * W + 5, -5], [H, W]), ([], [H, W]),
    ([0.5] * 2, [H, W]), ([True, H * W - 1, 10**30], [H, W]), ("o" * 10_000, [H, W]), ("é", [H, W]), ("", [H, W]),
    ([H * W], [W, H]), ([H * W], [H]), ([H * W], None), (None, [H, W]), ({}, [H, W]), ("5", [10**9, 10**9]),
])  # fmt: skip
def test_run_lengths_that_do_not_fit_the_picture_are_refused(tmp_path, capsys, counts, size):
    coco(tmp_path / "in" / "result.json", {
        "a.png": [(1, [square(1, 1, 2, 2)])], "b.png": [(2, {"size": size, "counts": counts})]
    })  # fmt: skip
    photos(tmp_path / "in", "a.png", "b.png")
    assert main(["data", "import", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 1
    refused = [line for line in capsys.readouterr().out.splitlines() if line.startswith("not imported")]
    assert len(refused) == 2
    assert "b.png" in refused[0]
    assert "without a single pixel: pear" in refused[1]


@pytest.mark.parametrize("fault", ["contradiction", "two ids", "panoptic", "no name"])
def test_a_refused_file_leaves_nothing_behind(tmp_path, fault):
    coco(tmp_path / "in" / "a.json", {"a.png": [(1, [square(2, 3, 5, 7)])]}, categories=[(1, "apple")])
    last = (1, "nut") if fault == "contradiction" else (3, "fig")
    file = tmp_path / "in" / "b.json"
    drawn = [(2, [square(2, 3, 500, 7)]), (2, [[1, 1, 5, 5]])]  # the second outline has two points
    record = coco(file, {"b.png": drawn, "c.png": []}, categories=[(2, "pear"), last])
    record["annotations"].append({"image_id": 99, "category_id": 2})
    if fault == "two ids":
        record["images"][1]["id"] = record["images"][0]["id"]
    if fault == "panoptic":
        record["annotations"][0]["segments_info"] = []
    if fault == "no name":
        del record["images"][1]["file_name"]
    file.write_text(json.dumps(record))
    photos(tmp_path / "in", "a.png", "b.png", "c.png")
    found = import_annotations(tmp_path / "in", tmp_path / "out")
    assert found.classes == ("background", "apple")
    assert (found.counts.total(), found.dropped.total(), found.largest) == (1, 0, 8)
    assert len(found.refused) == 1
    assert found.refused[0].startswith(f"{file}:")
    assert Folder(tmp_path / "out").palette.names == ("background", "apple")
