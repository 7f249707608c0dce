"""The live page in a real browser segments pictures, drawings and the camera, without requests or console messages."""

import io

import numpy as np
import pytest
from forms import amount
from live_networks import rounded, wrong_classes
from live_pages import HTML_NAMES, LivePage, png, street, toy
from PIL import Image

import tinysegnet as ts
from tinysegnet.export.network_page import STREET_SIZE, build_live_page
from tinysegnet.prediction.predict import predict, predict_logits
from tinysegnet.weights.checkpoint import Checkpoint

pytestmark = pytest.mark.usefixtures("defined_ops")  # so that near-ties in pooling windows are decided alike


def wrong(labels, image, loaded=None):
    """Count the pixels that the library, with the page's weights, labels otherwise, except for near-ties."""
    loaded = loaded or toy()
    return wrong_classes(labels, predict_logits(rounded(loaded.model), image, size=loaded.size))


@pytest.mark.smoke
def test_the_sample_is_segmented_as_by_predict(browser, toy_page):
    loaded = toy()
    with LivePage(browser, toy_page) as live:
        live.finished("street.png")
        labels = live.labels(loaded.palette)
    assert labels.shape == STREET_SIZE
    assert wrong(labels, street()) == 0
    assert (labels != predict(loaded.model, street(), size=loaded.size)).mean() < 1e-3  # with its own weights


@pytest.mark.parametrize("size", amount([(150, 97)], [(96, 128), (150, 97), (40, 60)]))
def test_pictures_of_any_size_are_segmented_as_by_predict(browser, toy_page, size):
    """Larger and smaller pictures than those of the training are resized with the same sums."""
    loaded, image = toy(), street(size, 3)
    with LivePage(browser, toy_page) as live:
        live.finished("street.png").choose("own.png", png(image))
        live.finished("own.png")
        assert (live.pixels("picture")[..., :3] == image).all()
        labels = live.labels(loaded.palette)
    assert wrong(labels, image) == 0


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_dropped_and_pasted_pictures_replace_the_sample(browser, toy_page, event):
    with LivePage(browser, toy_page) as live:
        before = live.finished("street.png").pixels("overlay")
        live.transfer(event, "other.png", png(street(number=4)))
        assert (live.finished("other.png").pixels("overlay") != before).any()


def test_drawing_changes_the_classes_and_undo_restores_them(browser, toy_page):
    with LivePage(browser, toy_page) as live:
        page, palette = live.page, toy().palette
        before = live.finished("street.png").labels(palette)
        page.click("#draw")
        page.locator("#brush").fill("20")
        page.get_by_label("yellow").check(force=True)
        box = page.locator("#frame").bounding_box()
        at = [(box["x"] + share * box["width"], box["y"] + 0.2 * box["height"]) for share in (0.4, 0.5, 0.6)]
        page.mouse.move(*at[0])
        page.mouse.down()
        page.mouse.move(*at[1])
        page.mouse.move(*at[2])
        page.mouse.up()
        live.finished("street.png")
        drawn = live.labels(palette)
        changed = drawn != before
        H, W = changed.shape
        assert changed[: H // 2, W // 3 : 2 * W // 3].mean() > 0.05
        assert changed.sum() > 3 * changed[2 * H // 3 :].sum()  # most changes are near the stroke
        page.keyboard.press("Control+z")
        live.finished("street.png")
        assert (live.labels(palette) == before).all()


def test_the_camera_is_segmented_frame_by_frame_until_it_is_switched_off(browser, toy_page, record_property):
    with LivePage(browser, toy_page, permissions=["camera"]) as live:
        page = live.finished("street.png").page
        page.click("#camera")
        page.locator("#sizes", has_text="camera").wait_for()
        frames = []
        while len(frames) < 4:  # the fake camera shows a clock
            frame = live.pixels("picture").tobytes()
            frames += [frame] if frame not in frames else []
            page.wait_for_timeout(100)
        assert float(page.inner_text("#rate")) > 0
        record_property("camera, pictures per second", page.inner_text("#rate"))
        page.click("#camera")
        live.finished("camera")
        still = live.pixels("picture")
        page.wait_for_timeout(500)
        assert (live.pixels("picture") == still).all()


def test_save_writes_the_overlay_at_the_size_of_the_picture(browser, toy_page):
    loaded, image = toy(), street((150, 200), 4)
    with LivePage(browser, toy_page) as live:
        live.finished("street.png").choose("my street.v2.png", png(image))
        live.finished("my street.v2.png")
        with live.page.expect_download() as download:
            live.page.click("#save")
        assert download.value.suggested_filename == "my street.v2_overlay.png"
        saved = np.asarray(Image.open(io.BytesIO(download.value.path().read_bytes())).convert("RGB")).astype(int)
        labels = live.labels(loaded.palette)
    expected = ts.viz.overlay(image, labels, loaded.palette)
    assert saved.shape == image.shape
    assert np.abs(saved - expected).max() <= 2  # browsers round twice


def test_a_network_of_one_logit_without_pool_indices_runs(browser, tmp_path):
    """Its pictures have sizes that are multiples of 4, and its logit decides between two classes."""
    model, image = ts.build("article", 1, width=1 / 8), street((30, 41), 3)
    palette = ts.data.Palette(HTML_NAMES, ((200, 40, 40), (40, 40, 200)))
    loaded = Checkpoint(model, palette, {"size": [32, 44]})
    (tmp_path / "article.html").write_text(build_live_page(loaded), encoding="utf-8")
    with LivePage(browser, tmp_path / "article.html") as live:
        live.page.locator("#prompt").wait_for()
        live.choose("own.png", png(image))
        assert wrong(live.finished("own.png").labels(palette), image, loaded) == 0
        rows = [box.evaluate("box => box.className + getComputedStyle(box).gridRowStart")
                for box in live.page.locator(".stage-box").all()]  # fmt: skip
        assert [row.split()[-1] for row in rows] == ["down1", "down2", "down3", "up2", "up1"]
        assert live.page.locator(".link").count() == 0


def test_a_picture_unlike_the_training_pictures_gets_a_notice(browser, toy_page):
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    far, quality = toy().training_pictures.deviation(noise)
    assert far > 2
    with LivePage(browser, toy_page) as live:
        live.finished("street.png")
        assert not live.page.locator("#unlike").is_visible()
        live.choose("noise.png", png(noise))
        live.finished("noise.png")
        assert quality in live.page.inner_text("#unlike")


def test_where_workers_are_not_allowed_the_page_computes_itself(browser, toy_page, tmp_path):
    path, text = tmp_path / "no_worker.html", toy_page.read_text(encoding="utf-8")
    assert text.count("<main") == 1
    path.write_text(text.replace("<main", "<script>delete self.Worker</script><main"))
    with LivePage(browser, path) as here, LivePage(browser, toy_page) as there:
        palette = toy().palette
        assert (here.finished("street.png").labels(palette) == there.finished("street.png").labels(palette)).all()
