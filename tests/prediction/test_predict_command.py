"""`tinysegnet predict`: pictures of any name and size give results of the right size, and no result is overwritten."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

import tinysegnet as ts
from tinysegnet import viz
from tinysegnet.cli.main import main
from tinysegnet.cli.predict_command import _own_stems
from tinysegnet.data import CAMVID, read_image, read_labels
from tinysegnet.data.find import find_inputs
from tinysegnet.errors import DataError
from tinysegnet.prediction.predict import predict_logits
from tinysegnet.prediction.segment_files import MAX_LOGITS
from tinysegnet.weights.checkpoint import save

RNG = np.random.default_rng(0)


def noise(*shape):
    return Image.fromarray(RNG.integers(0, 256, shape, np.uint8))


def held_sideways():
    exif = Image.Exif()
    exif[0x112] = 6  # rotating by 90 degrees to the right makes it upright
    return exif


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.safetensors"
    save(path, ts.build("tiny", width=1 / 8), training={"size": [48, 64]})
    return path


@pytest.fixture
def mixed(tmp_path):
    folder = tmp_path / "some pictures"
    folder.mkdir()
    noise(1, 1, 3).save(folder / "p1.png")
    Image.new("RGB", (720, 540), (90, 120, 40)).save(folder / "p10 groß.jpg")
    noise(30, 50).save(folder / "p2 grey", "PNG")  # recognised by its content
    noise(300, 200, 4).save(folder / "p3.rgba.png")
    noise(48, 64, 3).save(folder / "p4.jpg", exif=held_sideways())
    (folder / ".hidden.png").write_bytes(b"x")
    (folder / "notes.txt").write_text("x")
    return folder


SIZES = {"p1": (1, 1), "p2 grey": (50, 30), "p3.rgba": (200, 300), "p4": (48, 64), "p10 groß": (720, 540)}


def test_predict_writes_results_for_every_kind_of_picture(checkpoint, mixed, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(checkpoint), str(mixed), "--out", str(out), "--gif"]) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [*(str(out / f"{s}_overlay.png") for s in SIZES), str(out / "predictions.gif")]
    assert not [line for line in printed.err.splitlines() if line.startswith("error")]
    assert len(list(out.iterdir())) == 3 * len(SIZES) + 1
    for stem, (W, H) in SIZES.items():
        with Image.open(out / f"{stem}_labels.png") as numbers:
            assert (numbers.mode, numbers.size) == ("P", (W, H))
            colours = np.asarray(numbers.convert("RGB"))
        np.testing.assert_array_equal(read_image(out / f"{stem}_colours.png"), colours)
        np.testing.assert_array_equal(CAMVID.colorize(read_labels(out / f"{stem}_labels.png")), colours)
        overlay = read_image(out / f"{stem}_overlay.png")
        assert overlay.shape[1] == (max(W, 480) if max(W, H) >= 240 else -(-640 // W) * W), stem
        assert overlay.shape[0] > H
    with Image.open(out / "predictions.gif") as gif:
        assert gif.n_frames == len(SIZES)
        assert gif.width <= 640


def test_predict_turns_pictures_upright(checkpoint, mixed, tmp_path):
    assert main(["predict", str(checkpoint), str(mixed / "p4.jpg"), "--out", str(tmp_path / "o")]) == 0
    with Image.open(mixed / "p4.jpg") as image:
        stored = np.asarray(image)
    upright = read_image(mixed / "p4.jpg")
    np.testing.assert_array_equal(upright, np.rot90(stored, -1))
    expected = ts.predict(ts.load(checkpoint), upright, size=(48, 64))
    np.testing.assert_array_equal(read_labels(tmp_path / "o" / "p4_labels.png"), expected)


def test_scale_changes_the_working_size(checkpoint, mixed, tmp_path):
    assert main(["predict", str(checkpoint), str(mixed / "p4.jpg"), "--out", str(tmp_path), "--scale", "1.5"]) == 0
    upright = read_image(mixed / "p4.jpg")
    expected = ts.predict(ts.load(checkpoint), upright, size=(72, 96))
    np.testing.assert_array_equal(read_labels(tmp_path / "p4_labels.png"), expected)


@pytest.mark.parametrize(("options", "scales"), [([], (0.5, 1.0)), (["--test-scales", "1"], (1.0,))])
def test_predict_uses_the_scales_of_training_by_default(options, scales, tmp_path):
    model = ts.build("tiny", width=1 / 8)
    save(tmp_path / "net.safetensors", model, training={"size": [24, 32], "test_scales": [0.5, 1.0]})
    image = RNG.integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "p.png")
    paths = [str(tmp_path / name) for name in ("net.safetensors", "p.png")]
    assert main(["predict", *paths, "--out", str(tmp_path), *options]) == 0
    np.testing.assert_array_equal(read_labels(tmp_path / "p_labels.png"), ts.predict(model, image, scales=scales))


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize(("choice", "mirror"), [([], None), (["--mirror"], True), (["--no-mirror"], False)])
def test_predict_mirrors_as_in_training_by_default(recorded, choice, mirror, tmp_path):
    model = ts.build("tiny", width=1 / 8)
    save(tmp_path / "net.safetensors", model, training={"size": [24, 32], "mirror": recorded})
    image = RNG.integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "p.png")
    assert (
        main(["predict", str(tmp_path / "net.safetensors"), str(tmp_path / "p.png"), "--out", str(tmp_path), *choice])
        == 0
    )
    expected = ts.predict(model, image, mirror=recorded if mirror is None else mirror)
    np.testing.assert_array_equal(read_labels(tmp_path / "p_labels.png"), expected)


def test_too_large_a_scale_suggests_one_that_fits(checkpoint, mixed, tmp_path, capsys):
    command = ["predict", str(checkpoint), str(mixed / "p4.jpg"), "--out", str(tmp_path / "o"), "--scale", "900"]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "p4.jpg: " in error
    scale = float(error.split("--scale ")[1].split()[0])
    assert MAX_LOGITS * 0.99 < 48 * 64 * 11 * scale**2 <= MAX_LOGITS


def test_bad_pictures_are_reported_and_the_others_predicted(checkpoint, mixed, tmp_path, capsys):
    (mixed / "p3.rgba.png").write_bytes((mixed / "p3.rgba.png").read_bytes()[:500])
    (mixed / "p5.jpg").write_bytes(b"no picture")
    missing = str(mixed / "none.png")
    assert main(["predict", str(checkpoint), str(mixed), missing, "--out", str(tmp_path / "out"), "--gif"]) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    for name, line in zip(("p3.rgba.png", "p5.jpg", "none.png"), errors, strict=True):
        assert name in line
    assert len(list((tmp_path / "out").glob("*_labels.png"))) == 4
    with Image.open(tmp_path / "out" / "predictions.gif") as gif:
        assert gif.n_frames == 4


@pytest.mark.parametrize("count", [1, 3])
def test_the_exit_code_is_2_if_no_picture_could_be_read(checkpoint, tmp_path, capsys, count):
    for k in range(count):
        (tmp_path / f"p{k}.jpg").write_bytes(b"no picture")
    assert main(["predict", str(checkpoint), str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("error: ") == count


READABLE = {"a.jpg": "JPEG", "b.JPG": "JPEG", "c.jfif": "JPEG", "d.webp": "WEBP", "e.bmp": "BMP", "f.tif": "TIFF",
            "g.TIFF": "TIFF", "h.gif": "GIF", "i.avif": "AVIF", "j": "WEBP", "k.JPE": "JPEG", "l.data": "TIFF",
            }  # fmt: skip
LEFT_OUT = {"m.heic": "HEIC", "n.svg": "SVG", "o.CR2": "raw", "p.nef": "raw", "q.dng": "raw", "r.psd": "Photoshop",
            "s.jp2": "JPEG 2000", "t.jxl": "JPEG XL"}  # fmt: skip
CONTENT = {"SVG": b"<svg/>", "Photoshop": b"8BPS" + bytes(40), "raw": b"II*\0" + bytes(40), "HEIC": b"",
           "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
           "JPEG XL": b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)}  # fmt: skip
OTHERS = {"notes.txt": b"x", "weights.h5": b"\x89HDF\r\n\x1a\n" + bytes(40), ".DS_Store": b"\0\0\0\1Bud1"}


def test_predict_reads_every_format_in_a_folder(checkpoint, tmp_path, capsys):
    for name, kind in READABLE.items():
        noise(12, 16, 3).save(tmp_path / name, kind)
    assert main(["predict", str(checkpoint), str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    assert "left out" not in capsys.readouterr().err
    assert len(list((tmp_path / "out").glob("*_labels.png"))) == len(READABLE)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_pictures_that_cannot_be_read_are_reported(checkpoint, tmp_path, capsys, name):
    noise(12, 16, 3).save(tmp_path / "a.png")
    kind = LEFT_OUT[name]
    (tmp_path / name).write_bytes(CONTENT[kind] or b"\0\0\0\x18ftypheic" + bytes(40))
    assert main(["predict", str(checkpoint), str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / name}: ")
    assert kind in line
    assert (tmp_path / "out" / "a_labels.png").exists()


@pytest.mark.parametrize("names", [["notes.txt"], ["weights.h5", ".DS_Store"], list(OTHERS)])
def test_other_files_are_counted_in_one_line(checkpoint, tmp_path, capsys, names):
    noise(12, 16, 3).save(tmp_path / "a.png")
    for name in names:
        (tmp_path / name).write_bytes(OTHERS[name])
    assert main(["predict", str(checkpoint), str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert f"left out: {len(names)}," in line


def test_results_in_the_folder_of_the_pictures_are_not_predicted(checkpoint, tmp_path, capsys):
    noise(12, 16, 3).save(tmp_path / "a.png")
    command = ["predict", str(checkpoint), str(tmp_path), "--out", str(tmp_path), "--gif"]
    assert main(command) == 0
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(command) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert capsys.readouterr().err == ""


def test_pictures_with_equal_stems_get_different_results(checkpoint, tmp_path):
    for i, name in enumerate(("a/x.png", "b/x.png", "b/X.jpg")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        noise(10, 10 + i, 3).save(tmp_path / name)
    out = tmp_path / "out"
    assert main(["predict", str(checkpoint), str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(out)]) == 0
    widths = sorted(read_labels(path).shape[1] for path in out.glob("*_labels.png"))
    assert widths == [10, 11, 12]
    again = ["predict", str(checkpoint), str(tmp_path / "a"), "--out", str(tmp_path / "a")]
    assert main(again) == main(again) == 0
    assert len(list((tmp_path / "a").iterdir())) == 4, "earlier results must not be predicted"


def test_stems_of_results_are_short_and_distinct(tmp_path):
    long = tmp_path / ("ü" * 120 + ".png")
    stems = _own_stems([long, long, tmp_path / "s.png", tmp_path / "s-2.jpg", tmp_path / "s.jpg"])
    assert all(len(stem.encode()) < 240 for stem in stems)
    assert len({stem.casefold() for stem in stems}) == 5
    assert stems[2:] == ["s", "s-2", "s-3"]
    assert _own_stems([tmp_path / "Stra\u00dfe a\u0308.png", tmp_path / "stra\u00dfe \u00e4.jpg"]) == [
        "Stra\u00dfe \u00e4", "stra\u00dfe \u00e4-2"]  # fmt: skip
    assert _own_stems([tmp_path / "\udcff.png", tmp_path / "\udcfe.png"]) == ["picture", "picture-2"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems accept only names that are text")
def test_predict_accepts_names_that_are_not_text(checkpoint, tmp_path, capsys):
    path = tmp_path / b"\xff\xfe.png".decode(errors="surrogateescape")
    noise(5, 5, 3).save(path)
    assert main(["predict", str(checkpoint), str(tmp_path), "--out", str(tmp_path / "out"), "--gif"]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_pictures_are_found_in_natural_order_without_duplicates(mixed):
    assert [path.name for path in find_inputs([mixed])[0]] == [
        "p1.png",
        "p2 grey",
        "p3.rgba.png",
        "p4.jpg",
        "p10 groß.jpg",
    ]
    assert find_inputs([mixed / "p4.jpg", mixed, mixed / "p4.jpg"])[0][0] == mixed / "p4.jpg"
    assert len(find_inputs([mixed / "p4.jpg", mixed, mixed / "p4.jpg"])[0]) == 5
    with pytest.raises(DataError, match=r"no file.* is a picture"):
        find_inputs([mixed.parent])


def test_pictures_with_damaged_exif_are_read(tmp_path):
    noise(4, 6, 3).save(tmp_path / "x.jpg", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")
    assert read_image(tmp_path / "x.jpg").shape == (4, 6, 3)


def test_predict_is_the_argmax_of_the_logits():
    model = ts.build("tiny", num_classes=11, width=1 / 8)
    image = np.asarray(noise(61, 47, 3))
    logits = predict_logits(model, image, size=(24, 32))
    np.testing.assert_array_equal(ts.predict(model, image, size=(24, 32)), logits.argmax(-1))


def test_evaluate_rejects_data_with_other_classes():
    scenes = ts.data.open_dataset("toy", "val")
    with pytest.raises(DataError, match=r"11 classes.*network predicts 5"):
        ts.evaluate(ts.build("tiny", num_classes=5, width=1 / 16), scenes)


def test_index_pictures_contain_numbers_and_colours():
    labels = np.array([[0, 3, 10], [11, 255, 7]], np.uint8)
    file = io.BytesIO(viz.picture_bytes(viz.index_picture(labels, CAMVID)))
    with Image.open(file) as picture:
        np.testing.assert_array_equal(np.asarray(picture), labels)
        np.testing.assert_array_equal(np.asarray(picture.convert("RGB")), CAMVID.colorize(labels))


@pytest.mark.parametrize(
    ("first", "frame"),
    [((3000, 4000), (480, 640)), ((1, 1), (320, 320)), ((400, 300), (400, 300)), ((3, 900), (160, 640))],
)
def test_animations_have_all_frames_in_the_first_pictures_shape(first, frame):
    animation = viz.Animation(CAMVID, 3)
    for number, (H, W) in enumerate([first, (40, 30), (40, 30)], 1):
        animation.add(np.zeros((H, W, 3), np.uint8), np.full((H, W), 10, np.uint8), "same name", number)
    with Image.open(io.BytesIO(animation.to_bytes())) as gif:
        assert gif.n_frames == 3, "equal pictures are separate frames"
        assert gif.width == max(frame[1], 320)
        gif.seek(2)
        legend = np.asarray(gif.convert("RGB"), int)[frame[0] + 24 :]
    for color in CAMVID.colors:
        assert np.abs(legend - color).max(axis=-1).min() < 10, "a rare class keeps its colour in the legend"


def test_the_legend_of_an_animation_never_moves():
    animation = viz.Animation(CAMVID, 2)
    for number in (1, 2):
        labels = np.full((300, 400), number, np.uint8)
        labels[:60] = 3 + number
        animation.add(np.zeros((300, 400, 3), np.uint8), labels, "name", number)
    first, second = (np.asarray(frame.convert("L"), int)[330:] for frame in animation.frames)
    changed = np.abs(first - second) > 12
    assert 0 < changed.mean() < 0.02, "only the shares of four classes change"
