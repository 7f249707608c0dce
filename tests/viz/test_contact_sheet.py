"""The statistics of a data set find pairs that look wrong, and the contact sheet shows these before typical pairs."""

from functools import cache

import numpy as np
import pytest
from folder_samples import save
from PIL import Image

from tinysegnet import viz
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, Folder, Sample
from tinysegnet.data.plausibility import pair_statistics, shares, suspicious
from tinysegnet.data.toyscenes import ToyScenes

COUNT = 12
CHANGES = {
    "mirrored left to right": lambda labels, other: labels[:, ::-1],
    "mirrored top to bottom": lambda labels, other: labels[::-1],
    "turned by 180 degrees": lambda labels, other: labels[::-1, ::-1],
    "shifted": lambda labels, other: np.roll(labels, (6, 12), (0, 1)),
    "swapped": lambda labels, other: other,
}


@cache
def drawn(seed):
    toys = ToyScenes(COUNT + 1, seed=seed, size=(72, 96))
    return [toys[k] for k in range(COUNT + 1)]


class Streets:
    """Toy streets, some of whose label maps are changed."""

    palette, name = CAMVID, "streets"

    def __init__(self, changed, change, seed=0):
        toys = drawn(seed)
        self.samples = [Sample(toy.image, toy.labels.copy(), toy.name) for toy in toys[:COUNT]]
        for k in changed:
            self.samples[k].labels[...] = change(toys[k].labels, toys[k + 1].labels)

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


def found_in(data):
    """Return the reasons by the index of the pair."""
    return {pair.index: reason for pair, reason in suspicious(pair_statistics(data, fits=True)).items()}


def misfits(found):
    return {k for k, reason in found.items() if "edges" in reason}


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("change", CHANGES)
def test_two_label_maps_that_do_not_fit_among_twelve_are_found(change, seed):
    found = found_in(Streets((3, 7), CHANGES[change], seed))
    assert misfits(found) == {3, 7}
    assert {*list(found)[:2]} == {3, 7}  # they come first


def test_correct_pairs_are_not_suspicious():
    assert misfits(found_in(Streets((), None))) == set()


def test_empty_and_lonely_pairs_are_found():
    data = Streets((), None)
    for sample in data.samples:
        sample.labels[sample.labels == 7] = 3
    data.samples[2].labels[...] = CAMVID.ignore_label
    data.samples[5].labels[...] = 3
    data.samples[8].labels[:9, :9] = 7
    found = found_in(data)
    assert found[2] == "no pixel is labelled"
    assert found[5] == "only one class: Road"
    assert found[8] == "no other picture has Fence"


def test_shares_add_up_and_include_void():
    data = Streets((), None)
    found = shares(pair_statistics(data))
    labels = np.concatenate([sample.labels.ravel() for sample in data.samples])
    np.testing.assert_allclose(found, [*((labels == k).mean() for k in range(11)), (labels == 11).mean()])


@pytest.mark.parametrize(("count", "height"), [(1, 1), (3, 2)])
def test_the_sheet_has_two_pairs_per_row(count, height):
    data = Streets((), None)
    data.samples = data.samples[:count]
    pairs = pair_statistics(data)
    sheet = viz.contact_sheet("streets", pairs, {})
    twice = viz.contact_sheet("streets", pairs, {pairs[0]: "reason"})
    assert sheet.width == twice.width
    assert 225 * height < sheet.height < 225 * height + 275
    assert (twice.height > sheet.height) == (count == 3)  # two parts instead of one


@pytest.mark.parametrize("palette", ["own", "safe"])
def test_data_check_writes_the_sheet_in_the_chosen_colours(tmp_path, capsys, palette):
    for sample in Streets((3, 7), CHANGES["mirrored left to right"]).samples:
        save(tmp_path / f"d/images/{sample.name}.png", sample.image)
        save(tmp_path / f"d/labels/{sample.name}.png", sample.labels)
    lines = [f"{r} {g} {b} {name}\n" for (r, g, b), name in zip(CAMVID.colors, CAMVID.names, strict=True)]
    (tmp_path / "d/classes.txt").write_text("".join([*lines, "void\n"]))
    sheet = tmp_path / "new/sheet.png"
    assert main(["data", "check", str(tmp_path / "d"), "--sheet", str(sheet), "--palette", palette]) == 0
    colors = {color for _, color in Image.open(sheet).convert("RGB").getcolors(1 << 24)}
    assert {*Folder(tmp_path / "d").palette.with_colors(palette).colors} <= colors  # in the legend
    assert main(["data", "check", str(tmp_path / "d"), "--sheet", str(tmp_path / "sheet.txt")]) == 2
    assert ".png" in capsys.readouterr().err
