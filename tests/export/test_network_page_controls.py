"""The controls of the live page in a real browser: legend, pointer, keys, error messages, screens."""

import re
from itertools import product

import numpy as np
import pytest
from browser import DESKTOP, PHONE
from forms import amount
from live_pages import HTML_NAMES, LivePage, png, street, toy


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


def test_a_browser_that_cannot_run_the_network_is_told(browser, plain_page, tmp_path):
    text = plain_page.read_text(encoding="utf-8")
    path = tmp_path / "damaged.html"
    path.write_text(re.sub(r'(id="wasm">).*?(</script>)', r"\1AAAA\2", text), encoding="utf-8")
    with LivePage(browser, path) as live:
        assert "cannot run here. Try" in live.problem()
        assert not live.page.locator("#loading").is_visible()


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
