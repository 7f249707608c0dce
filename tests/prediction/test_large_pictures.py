"""Picture files that are too large for memory get the same results as others, and errors leave no incomplete files."""

import io
import sys

import numpy as np
import pytest
from forms import amount
from PIL import Image
from small_networks import shaken

import tinysegnet as ts
from tinysegnet.cli.main import main
from tinysegnet.data import CAMVID, read_labels
from tinysegnet.errors import DataError
from tinysegnet.prediction import large_pictures, segment_files, tiles
from tinysegnet.prediction.large_pictures import LargePicture
from tinysegnet.weights.checkpoint import save

pyvips = pytest.importorskip("pyvips")
pytestmark = pytest.mark.usefixtures("defined_ops")
RESULTS = ("overlay", "colours", "labels")
H, W = 421, 483  # the overlay of a narrower picture has margins


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    save(path, shaken(ts.build("tiny", width=1 / 8, seed=3)), training={"size": [48, 64]})
    return path


@pytest.fixture
def small_limits(monkeypatch):
    """Treat every picture as too large for memory, and use tiles of 256 pixels."""
    monkeypatch.setattr(segment_files, "MAX_PIXELS_SINGLE", 1000)
    monkeypatch.setattr(large_pictures, "ROWS", 50)
    monkeypatch.setitem(tiles.tile_logits.__kwdefaults__, "tile", 256)


def picture(height=H, width=W):
    """Draw soft colours, so that JPEG files differ little and several classes are predicted."""
    small = np.random.default_rng(5).integers(0, 256, (12, 14, 3)).astype(np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def run(checkpoint, path, out, *options):
    return main(["predict", str(checkpoint), str(path), "--full-size", "--out", str(out), *options])


def results(folder, stem="p"):
    return {name: np.asarray(Image.open(folder / f"{stem}_{name}.png")) for name in RESULTS}


FORMATS = [
    ("PNG", "RGBA", {}), ("PNG", "P", {}), ("JPEG", "L", {}), ("TIFF", "RGB", {"compression": "tiff_lzw"}),
    ("TIFF", "1", {}), ("WEBP", "RGB", {}), *amount([], [
        ("PNG", "RGB", {}), ("PNG", "L", {}), ("PNG", "LA", {}), ("PNG", "1", {}), ("JPEG", "RGB", {}),
        ("TIFF", "RGB", {}), ("TIFF", "P", {}), ("WEBP", "RGBA", {"lossless": True}),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "mode", "options"), FORMATS)
def test_the_results_are_those_of_a_picture_in_memory(kind, mode, options, checkpoint, tmp_path, request):
    image = picture().convert(mode)
    if mode.endswith("A"):
        image.putalpha(picture().convert("L"))
    image.save(tmp_path / "p", kind, **options)
    assert run(checkpoint, tmp_path / "p", tmp_path / "whole") == 0
    request.getfixturevalue("small_limits")
    assert run(checkpoint, tmp_path / "p", tmp_path / "bands") == 0
    expected, found = results(tmp_path / "whole"), results(tmp_path / "bands")
    for name in RESULTS:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert len(np.unique(found["labels"])) > 1
    assert sorted(path.name for path in (tmp_path / "bands").iterdir()) == sorted(f"p_{name}.png" for name in RESULTS)
    with Image.open(tmp_path / "bands" / "p_labels.png") as labels:
        assert labels.mode == "P"
        np.testing.assert_array_equal(np.reshape(labels.getpalette(), (-1, 3)), CAMVID.lookup_table())
    np.testing.assert_array_equal(read_labels(tmp_path / "bands" / "p_labels.png"), found["labels"])


@pytest.mark.parametrize("orientation", amount((3, 7), range(1, 9)))
def test_large_pictures_are_turned_upright(orientation, checkpoint, tmp_path, request):
    exif = Image.Exif()
    exif[0x112] = orientation
    picture(W, W).save(tmp_path / "p.jpg", exif=exif)
    assert run(checkpoint, tmp_path / "p.jpg", tmp_path / "whole") == 0
    request.getfixturevalue("small_limits")
    assert run(checkpoint, tmp_path / "p.jpg", tmp_path / "bands") == 0
    expected, found = results(tmp_path / "whole"), results(tmp_path / "bands")
    for name in RESULTS:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)


def interlaced_png(path):
    pyvips.Image.new_from_array(np.asarray(picture())).pngsave(str(path), interlace=True)


def tiff_with_two_pages(path):
    picture().save(path, "TIFF", save_all=True, append_images=[picture()])


REFUSED = {
    "interlaced": interlaced_png,
    "progressive": lambda path: picture().save(path, "JPEG", progressive=True),
    "several frames or pages": tiff_with_two_pages,
    "ushort": lambda path: Image.fromarray(np.full((H, W), 60000, np.uint16)).save(path, "PNG"),
    "cmyk": lambda path: picture().convert("CMYK").save(path, "JPEG"),
    "4 channels": lambda path: picture().convert("RGBX").save(path, "TIFF"),
    "float": lambda path: picture().convert("F").save(path, "TIFF"),
    "a BMP picture": lambda path: picture().save(path, "BMP"),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_files_that_cannot_be_read_in_bands_are_refused(reason, checkpoint, small_limits, tmp_path, capsys):
    REFUSED[reason](tmp_path / "p")
    assert run(checkpoint, tmp_path / "p", tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'p'}: ")
    assert reason in line
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_a_truncated_file_is_one_line_and_leaves_no_results(kind, checkpoint, small_limits, tmp_path, capsys):
    file = io.BytesIO()
    noisy = np.random.default_rng(0).integers(0, 256, (H, W, 3)).astype(np.uint8)
    Image.fromarray(noisy).save(file, kind)
    (tmp_path / "p").write_bytes(file.getvalue()[: -len(file.getvalue()) // 3])
    assert run(checkpoint, tmp_path / "p", tmp_path / "out") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'p'}: ")
    assert not list((tmp_path / "out").iterdir())


NEEDED = {
    "give --full-size": [],
    "leave out --scale": ["--full-size", "--scale", "2"],
    "give --test-scales 1": ["--full-size", "--test-scales", "1", "0.5"],
    "leave out --no-tiles": ["--full-size", "--no-tiles"],
    "leave out --probabilities": ["--full-size", "--probabilities"],
}


@pytest.mark.parametrize("change", NEEDED)
def test_options_that_need_the_whole_picture_are_refused(change, checkpoint, small_limits, tmp_path, capsys):
    picture().save(tmp_path / "p.png")
    assert main(["predict", str(checkpoint), str(tmp_path / "p.png"), "--out", str(tmp_path), *NEEDED[change]]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "p.png: " in line
    assert line.endswith(f"For this, {change}")


def test_a_size_that_the_network_cannot_predict_is_refused(small_limits, tmp_path, capsys):
    save(tmp_path / "net.safetensors", ts.build("article", width=1 / 8), training={"size": [48, 64]})
    picture(301, 484).save(tmp_path / "p.png")
    assert run(tmp_path / "net.safetensors", tmp_path / "p.png", tmp_path) == 2
    assert "p.png: article needs heights and widths that are multiples of 4" in capsys.readouterr().err


def test_without_pyvips_the_error_names_the_command(checkpoint, small_limits, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "pyvips", None)
    picture().save(tmp_path / "p.png")
    assert run(checkpoint, tmp_path / "p.png", tmp_path) == 2
    assert 'p.png: reading a picture of this size requires pyvips. Run pip install "tinysegnet[large]"' in (
        capsys.readouterr().err
    )


def test_an_interrupted_prediction_keeps_the_older_results(checkpoint, small_limits, monkeypatch, tmp_path):
    picture().save(tmp_path / "p.png")
    assert run(checkpoint, tmp_path / "p.png", tmp_path / "out") == 0
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def stop_after_one_band(*arguments, **options):
        yield next(tiles.predict_bands(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(large_pictures, "predict_bands", stop_after_one_band)
    assert run(checkpoint, tmp_path / "p.png", tmp_path / "out") == 130
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_only_a_band_of_rows_is_in_memory(tmp_path):
    picture(3000, 20).save(tmp_path / "p.png")
    large, expected = LargePicture(tmp_path / "p.png"), np.asarray(picture(3000, 20))
    assert large.size == (3000, 20)
    for top in range(0, 2900, 70):
        rows = large.read(top, top + 100)
        np.testing.assert_array_equal(rows, expected[top : top + 100])
        assert rows.base is None
        assert rows.nbytes == 100 * 20 * 3


def test_a_file_name_is_not_taken_for_options_of_libvips(tmp_path):
    picture(30, 20).save(tmp_path / "p[page=2].png")
    assert LargePicture(tmp_path / "p[page=2].png").size == (30, 20)


def test_a_picture_that_claims_a_huge_side_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr(large_pictures, "MAX_SIDE", 480)
    picture().save(tmp_path / "p.png")
    with pytest.raises(DataError, match="483 x 421 pixels; at most 480"):
        LargePicture(tmp_path / "p.png")


def test_animations_and_several_processes_work_with_large_pictures(checkpoint, small_limits, tmp_path):
    picture().save(tmp_path / "p.png")
    assert run(checkpoint, tmp_path / "p.png", tmp_path / "out", "--gif", "--tiles") == 0
    with Image.open(tmp_path / "out" / "predictions.gif") as gif:
        assert gif.n_frames == 1
