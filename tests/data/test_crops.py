"""Toy CamVid crops: they are parts of the pictures, can be read back, and are never left incomplete."""

import folder_samples
import numpy as np
import pytest
from folder_samples import fastai, original, write
from PIL import Image

from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, Folder, Sample, count_pixels, make_crops
from tinysegnet.errors import DataError

H, W = 20, 30


class Streets:
    """Pictures with the position of each pixel as its colour (red: column, green: row), and mostly void labels."""

    palette, name = CAMVID, "streets"

    def __init__(self, count, void=()):
        self.count, self.void = count, void

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        rows, columns = np.mgrid[:H, :W]
        image = np.stack([columns, rows, np.full((H, W), index)], axis=-1).astype(np.uint8)
        labels = np.full((H, W), 11, np.uint8)
        if index not in self.void:
            labels[12:, 18:] = np.arange(W - 18) % 11  # only this corner is labelled
        return Sample(image, labels, f"street {index}")


def test_crops_are_windows_of_their_pictures(tmp_path):
    source = {"train": Streets(3), "val": Streets(2)}
    seen = []
    counts = make_crops(
        source, (6, 8), tmp_path / "out", crops_per_picture=5, progress=lambda loop: (seen.append(i) or i for i in loop)
    )
    assert counts == {"train": 15, "val": 10}
    assert seen == [("train", 0), ("train", 1), ("train", 2), ("val", 0), ("val", 1)]
    assert not (tmp_path / "out.part").exists()
    corners = set()
    for split, dataset in source.items():
        crops = Folder(tmp_path / "out", split)
        assert crops.problems() == []
        assert len(crops) == counts[split]
        for crop in crops:
            x, y, index = map(int, crop.image[0, 0])
            original = dataset[index]
            assert crop.name.startswith(f"street_{index}_")
            np.testing.assert_array_equal(crop.image, original.image[y : y + 6, x : x + 8])
            np.testing.assert_array_equal(crop.labels, original.labels[y : y + 6, x : x + 8])
            assert (crop.labels != 11).any()  # although a crop is completely void at most positions
            corners.add((x, y))
    assert len(corners) > 15
    first = (tmp_path / "out" / "train.txt").read_text().splitlines()[0]
    assert first == "train/street_0_0.png trainannot/street_0_0.png"


class Labelled(Streets):
    """Pictures in which only the given pixels are labelled."""

    def __init__(self, *pixels):
        super().__init__(1)
        self.pixels = pixels

    def __getitem__(self, index):
        sample = super().__getitem__(index)
        sample.labels[...] = 11
        for pixel in self.pixels:
            sample.labels[pixel] = 10
        return sample


def test_crops_reach_every_border_and_no_further(tmp_path):
    corners = Labelled((0, 0), (0, -1), (-1, 0), (-1, -1))
    make_crops({"train": corners}, (H - 1, W - 2), tmp_path / "out", crops_per_picture=60)
    found = {(int(crop.image[0, 0, 1]), int(crop.image[0, 0, 0])) for crop in Folder(tmp_path / "out")}
    assert found == {(y, x) for y in (0, 1) for x in (0, 1, 2)} - {(0, 1), (1, 1)}  # these show no corner


@pytest.mark.parametrize("pixel", [(0, 0), (H - 1, W - 1), (H - 1, 0), (0, W - 1)])
def test_the_first_and_the_last_row_and_column_belong_to_crops(tmp_path, pixel):
    make_crops({"train": Labelled(pixel)}, (1, 1), tmp_path / "out", crops_per_picture=1)
    (crop,) = Folder(tmp_path / "out")
    assert crop.image[0, 0].tolist() == [pixel[1], pixel[0], 0]
    assert crop.labels.tolist() == [[10]]


def test_a_crop_may_be_as_large_as_the_picture(tmp_path):
    make_crops({"train": Streets(1)}, (H, W), tmp_path / "out", crops_per_picture=2)
    for crop in Folder(tmp_path / "out"):
        np.testing.assert_array_equal(crop.image, Streets(1)[0].image)
    for k, size in enumerate([(H + 1, W), (H, W + 1)]):
        with pytest.raises(DataError, match=r"street 0: .*smaller"):
            make_crops({"train": Streets(1)}, size, tmp_path / str(k))


def test_four_crops_per_picture_from_seed_0_are_the_default(tmp_path):
    assert make_crops({"train": Streets(2)}, (6, 8), tmp_path / "a") == {"train": 8}
    make_crops({"train": Streets(2)}, (6, 8), tmp_path / "b", crops_per_picture=4, whole=False, seed=0)
    for a, b in zip(Folder(tmp_path / "a"), Folder(tmp_path / "b"), strict=True):
        np.testing.assert_array_equal(a.image, b.image)


def test_crops_depend_on_the_seed(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_crops({"train": Streets(2)}, (6, 8), tmp_path / name, seed=seed)
    a, b, c = (np.stack([s.image for s in Folder(tmp_path / name)]) for name in "abc")
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


def test_whole_pictures_keep_the_class_shares(tmp_path):
    source = Streets(2)
    assert make_crops({"train": source}, (10, 15), tmp_path / "out", whole=True) == {"train": 2}
    small = Folder(tmp_path / "out")
    assert small[0].image.shape == (10, 15, 3)
    assert small[0].name == "street_0"
    assert abs(small[0].image[..., 0].astype(float).mean() - (W - 1) / 2) < 0.5  # all columns are visible
    before, after = count_pixels(source).pixels / (H * W), count_pixels(small).pixels / (10 * 15)
    assert before.sum() == after.sum()
    np.testing.assert_allclose(before, after, atol=0.05)


def test_void_pictures_are_skipped_with_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="street 1: .*skipped"):
        counts = make_crops({"train": Streets(3, void=(1,))}, (6, 8), tmp_path / "out", crops_per_picture=2)
    assert counts == {"train": 4}


def test_existing_folders_are_left_alone(tmp_path):
    (tmp_path / "empty").mkdir()
    make_crops({"train": Streets(1)}, (6, 8), tmp_path / "empty")
    make_crops({"train": Streets(1)}, (6, 8), tmp_path / "new/inner")
    with Image.open(tmp_path / "new/inner/trainannot/street_0_3.png") as image:
        assert image.mode == "L"
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"file: .*exists"):
        make_crops({"train": Streets(1)}, (6, 8), tmp_path / "file")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"full: .*not empty"):
        make_crops({"train": Streets(1)}, (6, 8), tmp_path / "full")
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    (tmp_path / "x.part").mkdir()
    with pytest.raises(DataError, match=r"x\.part: .*interrupted run"):
        make_crops({"train": Streets(1)}, (6, 8), tmp_path / "x")
    assert (tmp_path / "x.part").is_dir()


def test_failed_crops_leave_no_files(tmp_path):
    with pytest.raises(DataError, match=r"street 0: .*20 x 30 .*6 x 31"):
        make_crops({"train": Streets(1)}, (6, 31), tmp_path / "out")

    def interrupt(loop):
        yield next(iter(loop))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_crops({"train": Streets(2)}, (6, 8), tmp_path / "out", progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def plain(root, values=None):
    write(root, "images/{}.png", "labels/{}.png", 6, values)


def tutorial(root):
    for split in ("train", "val"):
        write(root, f"{split}/{{}}.png", f"{split}annot/{{}}.png", 2, prefix="0016E5_")


LAYOUTS = {
    "numbers": (plain, []),
    "void is 9": (lambda root: plain(root, np.uint8([0, 1, 9])), ["--ignore", "9"]),
    "one class is void": (plain, ["--ignore", "2"]),
    "a mask": (lambda root: plain(root, np.uint8([0, 255])), []),
    "CamVid merged": (fastai, []),
    "CamVid, all 32": (original, ["--classes", "all"]),
    "the tutorial's": (tutorial, []),
}


@pytest.mark.parametrize(("make", "options"), LAYOUTS.values(), ids=LAYOUTS)
def test_crops_of_any_layout_keep_pictures_labels_and_classes(tmp_path, make, options):
    """Whole pictures at their own size equal those of the folder and can be read back without options."""
    make(tmp_path / "d")
    size = "{}x{}".format(*folder_samples.picture().shape[:2])
    out = str(tmp_path / "out")
    assert main(["data", "crops", str(tmp_path / "d"), "--out", out, "--size", size, "--whole", *options]) == 0
    settings = {name.removeprefix("--"): value for name, value in zip(options[::2], options[1::2], strict=True)}
    for split in ("train", "val"):
        if "ignore" in settings:
            settings["ignore"] = int(settings["ignore"])
        before, after = Folder(tmp_path / "d", split, **settings), Folder(out, split)
        assert after.problems() == []
        assert (after.palette.names, after.palette.colors) == (before.palette.names, before.palette.colors)
        assert after.source.startswith("from classes.txt")
        assert (after.palette == CAMVID) == (before.palette == CAMVID)
        for a, b in zip(before, after, strict=True):
            np.testing.assert_array_equal(a.image, b.image)
            void = a.labels == before.palette.ignore_label
            np.testing.assert_array_equal(b.labels[~void], a.labels[~void])
            assert (b.labels[void] == after.palette.ignore_label).all()
