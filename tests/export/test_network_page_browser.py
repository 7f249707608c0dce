"""The live page in a real browser: pictures, drawing, camera, errors; and no requests and no console messages."""

import io
import re
from itertools import product

import numpy as np
import pytest
from browser import DESKTOP, PHONE, launched
from forms import amount
from live_networks import rounded, wrong_classes
from live_pages import LivePage, png, toy
from PIL import Image

import tinysegnet as ts
from tinysegnet.data.toyscenes import draw_scene
from tinysegnet.export.network_page import STREET, STREET_SIZE, build_live_page
from tinysegnet.prediction.predict import predict, predict_logits
from tinysegnet.weights.checkpoint import Checkpoint

HTML_NAMES = ("<b>land</b>", '"sea" & </script>')


@pytest.fixture(scope="module")
def browser():
    """A headless chromium with a fake camera, or a skipped test."""
    with launched("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream") as running:
        yield running


@pytest.fixture(scope="module")
def toy_page(tmp_path_factory):
    path = tmp_path_factory.mktemp("live") / "toy.html"
    path.write_text(build_live_page(toy()), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def plain_page(tmp_path_factory):
    """The page of an untrained network of two classes, which has no sample and no size."""
    path = tmp_path_factory.mktemp("live") / "plain.html"
    palette = ts.data.Palette(HTML_NAMES, ((200, 40, 40), (40, 40, 200)))
    path.write_text(build_live_page(Checkpoint(ts.build("tiny", 2, width=1 / 8), palette)), encoding="utf-8")
    return path


def street(size=STREET_SIZE, number=STREET[1]):
    return draw_scene(np.random.default_rng([STREET[0], number]), size)[0]


def wrong(labels, image):
    """Count the pixels that the library, with the page's weights, labels otherwise, except for near-ties."""
    loaded = toy()
    model = rounded(loaded.model)
    return wrong_classes(labels, predict_logits(model, image, size=loaded.size))


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


def test_opacity_and_the_entries_of_the_legend_change_the_overlay(browser, toy_page):
    palette = toy().palette
    with LivePage(browser, toy_page) as live:
        labels = live.finished("street.png").labels(palette)
        live.page.locator("#opacity").fill("0")
        assert (live.pixels("overlay")[..., 3] == 0).all()
        entry = live.page.locator("#classes button").nth(3)
        assert f"{100 * (labels == 3).mean():.1f} %" in entry.inner_text()
        entry.click()
        shown = live.pixels("overlay")
        color = shown[labels == 3][:, :3].astype(int)
        assert np.abs(color - palette.colors[3]).max() <= 1  # canvases round the colours of transparent pixels
        assert (shown[labels != 3] == shown[labels != 3][0]).all()
        entry.click()
        live.page.locator("h1").hover()
        entry.blur()
        assert (live.pixels("overlay")[..., 3] == 0).all()


def test_the_pointer_and_the_arrow_keys_name_the_class_of_a_pixel(browser, toy_page):
    loaded = toy()
    with LivePage(browser, toy_page) as live:
        labels, readout = live.finished("street.png").labels(loaded.palette), live.page.locator("#readout")
        H, W = labels.shape
        box = live.page.locator("#frame").bounding_box()
        live.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.9 * box["height"])
        assert loaded.palette.names[labels[round(0.9 * H), W // 2]] in readout.inner_text()
        assert re.search(r"\d+\.\d %", readout.inner_text())
        live.page.locator("#frame").focus()
        for _ in range(6):
            live.page.keyboard.press("Shift+ArrowUp")
        assert loaded.palette.names[labels[round(0.3 * H), W // 2]] in readout.inner_text()
        assert readout.get_attribute("aria-live") == "polite"


def test_all_controls_work_with_the_keyboard(browser, toy_page):
    with LivePage(browser, toy_page) as live:
        page = live.finished("street.png").page
        page.locator("body").press("Tab")
        reached = []
        for _ in range(60):
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.closest('[id]')?.id"))
            page.keyboard.press("Tab")
        assert {"theme", "choose", "camera", "sample", "draw", "save", "frame", "opacity", "classes"} <= set(reached)
        before = live.pixels("picture")
        page.locator("#draw").press("Enter")
        page.locator("#frame").press(" ")  # paints a dot
        assert (live.finished("street.png").pixels("picture") != before).any()


def test_the_feature_maps_of_all_stages_are_shown(browser, toy_page):
    with LivePage(browser, toy_page) as live:
        live.finished("street.png")
        boxes = live.page.locator(".stage-box")
        sizes = [re.findall(r"\d+", text)[-2:] for text in boxes.locator("figcaption").all_inner_texts()]
        down = [(48, 64), (24, 32), (12, 16), (6, 8)]
        assert [tuple(map(int, size)) for size in sizes] == [*down, *down[2::-1], (96, 128)]
        assert boxes.locator("canvas").count() == 8 * 4
        assert live.page.locator(".link.indices").count() == 4


@pytest.mark.parametrize(("name", "kind", "content", "said"), [
    ("notes.txt", "text/plain", b"no picture", "notes.txt is not a picture"),
    ("broken.png", "image/png", b"\x89PNG\r\n\x1a\n broken", "broken.png cannot be read"),
])  # fmt: skip
@pytest.mark.parametrize("how", ["choose", "drop"])
def test_files_that_are_no_pictures_are_refused(browser, toy_page, how, name, kind, content, said):
    with LivePage(browser, toy_page) as live:
        before = live.finished("street.png").pixels("picture")
        live.choose(name, content, kind) if how == "choose" else live.transfer("drop", name, content, kind)
        assert said in live.problem()
        assert "Choose" in live.problem()
        assert (live.pixels("picture") == before).all()
        live.choose("good.png", png(street((20, 30))))
        live.finished("good.png")
        assert not live.page.locator("#problem").is_visible()


def test_files_that_are_too_large_are_refused(browser, plain_page):
    with LivePage(browser, plain_page) as live:
        live.page.locator("#prompt").wait_for()
        live.page.evaluate("""() => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([new Uint8Array(1e8 + 1)], "huge.tif", { type: "image/tiff" }));
          dispatchEvent(new DragEvent("drop", { cancelable: true, dataTransfer }));
        }""")
        assert re.search("huge.tif is too large.*100 MB", live.problem())


CAMERA_ERRORS = {"NotAllowedError": "not allowed", "NotFoundError": "No camera", "NotReadableError": "in use",
                 "OtherError": "Try another browser"}  # fmt: skip


@pytest.mark.parametrize(("error", "said"), CAMERA_ERRORS.items())
def test_a_camera_that_cannot_be_opened_is_explained(browser, plain_page, error, said):
    with LivePage(browser, plain_page) as live:
        live.page.locator("#prompt").wait_for()
        live.page.evaluate("""(name) => {
          navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("failed", name));
        }""", error)  # fmt: skip
        live.page.click("#camera")
        assert said in live.problem()
        assert live.page.locator("#prompt").is_visible()


def test_a_page_without_a_sample_asks_for_a_picture_and_shows_names_as_text(browser, plain_page):
    with LivePage(browser, plain_page) as live:
        live.page.locator("#prompt").wait_for()
        assert not live.page.locator("#save").is_visible()
        assert not live.page.locator("#sample").is_visible()
        live.choose("own.png", png(street((30, 40))))
        live.finished("own.png")
        assert live.page.locator("#classes .name").all_inner_texts() == list(HTML_NAMES)
        assert live.page.locator("#classes b").count() == 0
        assert re.search(
            r"at 30 . 40$", live.page.inner_text("#sizes")
        )  # without a known size, the picture keeps its own


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


@pytest.mark.parametrize(
    ("size", "scheme"),
    amount([(PHONE, "dark"), (DESKTOP, "light")], list(product([PHONE, DESKTOP, (1920, 1080)], ["light", "dark"]))),
)
def test_the_page_fits_screens_and_its_targets_are_large_enough(browser, toy_page, size, scheme):
    viewport = {"width": size[0], "height": size[1]}
    with LivePage(browser, toy_page, viewport=viewport, color_scheme=scheme) as live:
        live.finished("street.png").page.click("#draw")
        assert live.page.evaluate("document.documentElement.scrollWidth") <= size[0]
        for target in live.page.locator("button:visible, input[type=range]:visible, #colors label").all():
            assert target.bounding_box()["height"] >= 44, target.inner_text()
