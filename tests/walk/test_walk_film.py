"""The film of a walk, the journey of one pixel, and pictures of a step that the page saves."""

import io
import itertools
import re

import numpy as np
import pytest
from browser import DESKTOP, PHONE
from forms import amount
from PIL import Image
from walk_pages import IMAGE, Opened, labels_for, lively

import tinysegnet as ts
from tinysegnet.walk.trace import trace

pytestmark = pytest.mark.usefixtures("without_compiling")


def viewport(size):
    return dict(zip(("width", "height"), size, strict=True))


def test_film_goes_on_by_itself_until_the_reader_acts(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder1.conv1") as opened:
        page = opened.page
        page.clock.install()
        page.keyboard.press("p")
        page.wait_for_selector("#film:not([hidden]) p")
        assert re.search(r"27|18|12 products add up", page.locator("#film p").inner_text())
        page.clock.run_for(4100)
        opened.wait_for_step("forward:encoder1.bn1")
        page.locator("#film", has_text="encoder1.bn1").wait_for()
        page.keyboard.press("ArrowRight")
        opened.wait_for_step("forward:encoder1.relu1")
        assert page.locator("#film").is_hidden()
        page.clock.run_for(9000)
        assert opened.step == "forward:encoder1.relu1"


def test_film_shows_the_steps_of_one_op(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder1.conv1") as opened:
        page = opened.page
        page.clock.install()
        page.keyboard.press("p")
        page.locator("#film select").select_option("max-pooling")
        for step in ("forward:encoder1.pool", "forward:encoder2.pool", "forward:encoder3.pool"):
            page.locator("#film", has_text=opened.step.split(":")[1]).wait_for()
            page.clock.run_for(4100)
            opened.wait_for_step(step)


def test_journey_follows_one_pixel_there_and_back(browser, tiny_walk):
    """Every card shows the network's number at the chosen pixel. A stage keeps its channel on both ways."""
    model = lively("tiny", width=1 / 8)
    walk = trace(model, IMAGE, labels_for(model), ignore_label=255)
    with Opened(browser, tiny_walk, viewport=viewport(DESKTOP)) as opened:
        page = opened.page
        page.get_by_role("button", name="show its journey").click()
        cards = page.locator(".journey li button")
        assert cards.count() == opened.count
        page.locator(".journey li:last-child button b", has_text=re.compile(".")).last.wait_for()
        channels = {}
        for layer in walk.layers:
            for way, array in (("forward", layer.out), ("backward", layer.dx)):
                card = page.locator(f'[data-step="{way}:{layer.name}"]')
                card.locator("b", has_text=re.compile(".")).wait_for()
                text = card.locator("span").last.inner_text()
                row, column, channel = map(int, re.search(r"(?:out|dx)\[(\d+), (\d+), (\d+)\]", text).groups())
                H = array.shape[1]
                assert abs((row + 0.5) / H - opened.evaluate("state.place[0]")) <= 1.5 / H + 1 / len(IMAGE)
                shown = float(card.locator("b").inner_text().replace("\N{MINUS SIGN}", "-"))
                assert shown == pytest.approx(array[0, row, column, channel], rel=0.06, abs=1e-12)
                channels[way, layer.name] = channel
        for stage in ("encoder2", "decoder2"):
            assert channels["forward", f"{stage}.conv1"] == channels["backward", f"{stage}.bn1"]
        page.locator('[data-step="forward:encoder2.relu1"]').click()
        opened.wait_for_step("forward:encoder2.relu1")
        assert page.locator(".clicked code").inner_text().endswith(f", {channels['forward', 'encoder2.relu1']}]")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_journey_is_accessible(browser, tiny_walk, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    with Opened(browser, tiny_walk, viewport=viewport(DESKTOP), color_scheme=scheme) as opened:
        opened.page.get_by_role("button", name="show its journey").click()
        opened.page.locator(".journey li:last-child b", has_text=re.compile(".")).last.wait_for()
        found = axe.run(opened.page).response["violations"]
        assert [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in found] == []
        section = opened.page.locator(".journey").bounding_box()
        assert 0 <= section["y"] < DESKTOP[1], "the page scrolls to the journey"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_captions_of_the_film_leave_the_page_visible(browser, tiny_walk, size):
    with Opened(browser, tiny_walk, viewport=viewport(size)) as opened:
        for step in ("start", "forward:encoder2.conv1", "backward:encoder2.pool"):
            opened.page.evaluate(f"location.hash = '#{step}'")
            opened.wait_for_step(step)
            opened.page.keyboard.press("p")
            opened.page.locator("#film p").wait_for()
            assert opened.page.locator("#film").bounding_box()["height"] < size[1] / 5
            opened.page.keyboard.press("p")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_journey_fits_the_screen(browser, tiny_walk, size):
    with Opened(browser, tiny_walk, viewport=viewport(size)) as opened:
        opened.page.get_by_role("button", name="show its journey").click()
        opened.page.locator(".journey").wait_for()
        assert opened.page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_film_of_the_journey_begins_at_the_picture_and_keeps_the_pixel(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder2.conv1") as opened:
        page = opened.page
        page.clock.install()
        opened.evaluate("(Object.assign(state, { place: [0.3, 0.7], settled: true }), redraw())")
        page.keyboard.press("p")
        page.locator("#film select").select_option("this pixel's journey")
        opened.wait_for_step("start")
        page.locator("#film", has_text="The journey of the pixel").wait_for()
        for name in ("input", "encoder1.conv1", "encoder1.bn1", "encoder1.relu1", "encoder1.pool"):
            page.clock.run_for(4100)
            opened.wait_for_step(f"forward:{name}")
            page.locator("#film b", has_text=name).wait_for()
            assert opened.evaluate("state.place") == [0.3, 0.7]
        channel = opened.evaluate("state.channel")
        page.clock.run_for(4100)
        opened.wait_for_step("forward:encoder2.conv1")
        opened.evaluate("go(steps.findIndex((step) => step.id === 'forward:encoder1.bn1'))")
        assert opened.evaluate("state.channel") == channel


def test_journey_without_labels_ends_at_the_prediction(browser, tmp_path):
    path = tmp_path / "walk.html"
    ts.walk(lively("tiny"), IMAGE).save(path)
    with Opened(browser, path) as opened:
        opened.page.get_by_role("button", name="show its journey").click()
        assert opened.page.locator(".journey h3").all_inner_texts() == ["From the picture to the prediction"]
        assert opened.page.locator(".journey li").count() == opened.count


SAVED = ("start", "forward:encoder2.conv1", "forward:encoder2.pool", "answer:answer", "backward:encoder2.bn1")


@pytest.mark.parametrize("step", amount(SAVED[:2], SAVED))
@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desk", "phone"])
def test_step_is_saved_as_a_picture(browser, tiny_walk, step, size, scheme):
    """The picture has the same width on every screen, the theme of the page, and no controls."""
    with Opened(browser, tiny_walk, address=f"#{step}", viewport=viewport(size), color_scheme=scheme) as opened:
        with opened.page.expect_download() as found:
            opened.page.get_by_role("button", name="save as PNG").click()
        assert found.value.suggested_filename == f"{step.replace(':', '_')}.png"
        with open(found.value.path(), "rb") as file:
            picture = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
        height, width = picture.shape[:2]
        assert width == 1280
        assert 300 < height <= 1280
        assert len(np.unique(picture.reshape(-1, 3)[::101], axis=0)) > 50
        paper = {"light": (255, 255, 255), "dark": (23, 24, 28)}[scheme]
        assert (picture[0] == paper).all()
        assert (picture[-10:] == paper).all()
        assert (picture[-60:] != paper).any(), "the picture ends below its last line"
        with opened.page.expect_download() as found:
            opened.page.get_by_role("button", name="save as SVG").click()
        with open(found.value.path(), encoding="utf-8") as file:
            text = file.read()
        body = text[text.index("</style>") :]
        for control in ("<button", "<select", "<input", "save as", "play the sum", "Click", "A click"):
            assert control not in body
        assert opened.page.locator("main h1").inner_text() in body
        assert body.count("data:image/png") >= (2 if step != "answer:answer" else 1)
        assert opened.page.locator("iframe").count() == 0
        opened.complaints.clear()  # the picture of the step is a data: URL


def test_played_sum_is_saved_as_an_animation(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder2.conv1", viewport=viewport(DESKTOP)) as opened:
        positions = opened.page.locator(".stack > div:not(.outside)").count()
        opened.evaluate("document.documentElement.setAttribute('data-theme', 'light')")
        with opened.page.expect_download() as found:
            opened.page.get_by_role("button", name="save it as GIF").click()
        with Image.open(found.value.path()) as film:
            assert film.n_frames == positions + 2  # the beginning and the end
            assert film.info["loop"] == 0
            frames = []
            for number in range(film.n_frames):
                film.seek(number)
                frames.append(np.asarray(film.convert("RGB"), int))
        with opened.page.expect_download() as found:
            opened.page.get_by_role("button", name="save as PNG").click()
        end = np.asarray(Image.open(found.value.path()).convert("RGB"), int)
        assert np.abs(frames[-1] - end).mean() < 6
        assert all((one != other).any() for one, other in itertools.pairwise(frames))
        opened.complaints.clear()  # the pictures of the step are data: URLs
