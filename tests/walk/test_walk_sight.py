"""What a walk shows at first sight: the network on one screen, the sum beside the pictures, the film."""

import io
import itertools
import re

import numpy as np
import pytest
from browser import DESKTOP, PHONE
from forms import amount
from PIL import Image
from walk_pages import EVERY_KIND, IMAGE, Opened, labels_for, lively, network

import tinysegnet as ts
from tinysegnet.walk.trace import trace

pytestmark = pytest.mark.usefixtures("without_compiling")

SIZES = {"phone": PHONE, "desk": DESKTOP, "projector": (1920, 1080)}


def viewport(size):
    return dict(zip(("width", "height"), size, strict=True))


def test_map_shows_every_stage_with_its_strongest_channel(browser, tiny_walk):
    walk = trace(lively("tiny", width=1 / 8), IMAGE, None)
    relu = next(layer for layer in walk.layers if layer.name == "encoder2.relu1").out[0]
    with Opened(browser, tiny_walk, viewport=viewport(DESKTOP)) as opened:
        cards = opened.page.locator(".network-map .stage")
        names = [card.get_attribute("data-stage") for card in cards.all()]
        assert names == ["picture", "input", "encoder1", "decoder1", "classifier", "prediction", "loss", "encoder2",
                         "decoder2", "encoder3", "decoder3", "encoder4", "decoder4"]  # fmt: skip
        assert opened.page.locator(".crossing").all_inner_texts() == ["indices"] * 4 + ["maps"]
        canvas = "document.querySelector('[data-stage=encoder2] canvas')"
        while opened.page.evaluate(f"{canvas}.width") != relu.shape[1]:
            opened.page.wait_for_timeout(20)
        H, W = relu.shape[:2]
        pixels = opened.page.evaluate(f"Array.from({canvas}.getContext('2d').getImageData(0, 0, {W}, {H}).data)")
        light = np.reshape(pixels, (H, W, 4))[:, :, :3].sum(2).ravel()
        strongest = relu[:, :, relu.std((0, 1)).argmax()]
        assert np.all(np.diff(light[np.argsort(strongest, axis=None)]) <= 0)


def test_map_leads_to_a_stage_and_marks_it(browser, tiny_walk):
    with Opened(browser, tiny_walk, viewport=viewport(DESKTOP)) as opened:
        page = opened.page
        assert page.locator(".stage[aria-current]").get_attribute("data-stage") == "picture"
        page.locator("[data-stage=encoder3]").click()
        opened.wait_for_step("forward:encoder3.relu1")
        assert page.locator(".small-map").get_attribute("aria-label").endswith("encoder3")
        page.locator(".small-map").click()
        opened.wait_for_step("start")
        page.get_by_role("button", name="gradients").click()
        opened.settled()
        page.locator("[data-stage=encoder3]").click()
        opened.wait_for_step("backward:encoder3.relu1")


def test_bars_of_the_map_show_the_sizes_of_gradients(browser, tiny_walk):
    model = lively("tiny", width=1 / 8)
    walk = trace(model, IMAGE, labels_for(model), ignore_label=255)
    names = {"encoder1": "encoder1.relu1", "decoder3": "decoder3.relu1", "classifier": "classifier"}
    with Opened(browser, tiny_walk) as opened:
        for stage, layer in names.items():
            size = next(found for found in walk.layers if found.name == layer).dout.std()
            title = opened.page.locator(f"[data-stage={stage}]").get_attribute("title")
            shown = float(re.search(r"about (\S+)", title)[1].replace("\N{MINUS SIGN}", "-"))
            assert shown == pytest.approx(size, rel=0.06)


@pytest.mark.parametrize("name", [EVERY_KIND, "article", "fcn-basic", "fixed-index"])
def test_map_of_other_networks(browser, tmp_path, name):
    model, path = network(name), tmp_path / "walk.html"
    ts.walk(model, IMAGE, labels_for(model)).save(path)
    with Opened(browser, path, viewport=viewport(DESKTOP)) as opened:
        stages = {layer.split(".")[0] for layer in model.layers}
        shown = {card.get_attribute("data-stage") for card in opened.page.locator(".stage").all()}
        assert shown == stages | {"picture", "prediction", "loss"}
        crossings = opened.page.locator(".crossing:not(.main)").all_inner_texts()
        assert crossings == {"article": [], "fixed-index": [], "fcn-basic": ["maps"] * 3}.get(name, crossings)
        assert opened.page.evaluate("document.documentElement.scrollWidth") == DESKTOP[0]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_sum_is_beside_the_pictures_or_within_a_link(browser, tiny_walk, size):
    with Opened(browser, tiny_walk, address="#forward:encoder2.conv1", viewport=viewport(size)) as opened:
        look, total = (opened.page.locator(f".{name}").bounding_box() for name in ("look", "sum"))
        if size == PHONE:
            assert total["y"] >= look["y"] + look["height"]
        else:
            assert total["x"] >= look["x"] + look["width"]
            assert total["y"] < look["y"] + 10
            stack = opened.page.locator(".stack").bounding_box()
            assert stack["y"] + stack["height"] <= size[1]
        assert opened.page.evaluate("document.documentElement.scrollWidth") == size[0]


def test_played_sum_ends_with_the_number(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder2.conv1") as opened:
        page = opened.page
        page.clock.install()
        page.get_by_role("button", name="play the sum").click()
        marks = set()
        for _ in range(20):
            page.clock.run_for(400)
            if page.locator("[data-now]").count():
                marks.add(page.locator(".stack > div").evaluate_all("all => all.findIndex((e) => 'now' in e.dataset)"))
        number = page.locator(".clicked").inner_text().split(" = ")[1]
        assert len(marks) >= 4
        assert page.locator(".running").inner_text() == f"The sum is {number}."
        assert page.locator(".tap, [data-now]").count() == 0


def test_path_of_links_leads_back(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:classifier") as opened:
        page = opened.page
        first = page.locator(".clicked code").inner_text()
        assert page.locator(".trail").count() == 0
        page.locator(".derivation table .follow").first.click()
        opened.wait_for_step("forward:decoder1.relu1")
        page.locator(".derivation table .follow").first.click()
        opened.wait_for_step("forward:decoder1.bn1")
        page.locator(".trail button").nth(1).wait_for()
        assert page.locator(".trail button").first.inner_text() == first
        page.locator(".trail button").first.click()
        opened.wait_for_step("forward:classifier")
        page.locator(".trail").wait_for(state="detached")
        assert page.locator(".clicked code").inner_text() == first
        assert page.locator(".trail").count() == 0


def test_path_leads_back_to_the_number_that_was_shown(browser, tiny_walk):
    """Until the reader chooses a pixel, steps show one near the first whose number is not 0."""
    with Opened(browser, tiny_walk, address="#forward:decoder1.relu1") as opened:
        page = opened.page
        opened.evaluate("""(async () => {
          const step = steps[state.step], result = resultOf(step, await nodeOf(step.node));
          const [rows, columns] = result.grid, dots = rows.flatMap((row) => columns.map((column) => [row, column]));
          const zero = (c) => dots.find(([row, column]) => !result.value(row, column, c));
          const c = [...Array(result.shown).keys()].find((k) => zero(k) && dots.some((at) => result.value(...at, k)));
          await chooseChannel(c);
          const [y, x] = zero(c);
          state.place = [(y + 0.5) / result.H, (x + 0.5) / result.W];
          await redraw();
        })()""")
        first = page.locator(".clicked").inner_text()
        assert not first.endswith(" = 0")
        page.locator(".derivation table .follow").first.click()
        opened.wait_for_step("forward:decoder1.bn1")
        page.locator(".trail button").first.click()
        opened.wait_for_step("forward:decoder1.relu1")
        page.locator(".trail").wait_for(state="detached")
        assert page.locator(".clicked").inner_text() == first


def test_number_leads_to_the_step_that_reads_it(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder1.bn1") as opened:
        value = opened.page.locator(".clicked").inner_text().split(" = ")[1]
        opened.page.locator(".uses button").first.click()
        opened.wait_for_step("forward:encoder1.relu1")
        assert opened.page.locator(".derivation td").nth(1).inner_text() == value


def test_steps_begin_at_a_number_that_is_not_zero(browser, tiny_walk):
    with Opened(browser, tiny_walk) as opened:
        zeros = opened.evaluate("""(await (async () => {
          const zeros = [];
          for (const step of steps.slice(1)) {
            const result = resultOf(step, await nodeOf(step.node));
            await go(step.index);
            const channel = Math.min(state.channel, result.shown - 1), [rows, columns] = result.grid;
            const alive = rows.some((y) => columns.some((x) => result.value(y, x, channel)));
            if (alive && / = 0$/.test(document.querySelector(".clicked").innerText)) zeros.push(step.id);
          }
          return zeros;
        })())""")
        assert zeros == []


def test_zero_leads_to_the_nearest_number_that_is_not(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:decoder1.unpool") as opened:
        opened.evaluate("""(async () => {
          const step = steps[state.step], result = resultOf(step, await nodeOf(step.node));
          const [rows, columns] = result.grid;
          const y = rows.find((row) => columns.some((column) => !result.value(row, column, state.channel)));
          const x = columns.find((column) => !result.value(y, column, state.channel));
          Object.assign(state, { place: [(y + 0.5) / result.H, (x + 0.5) / result.W], settled: true });
          await redraw();
        })()""")
        assert opened.page.locator(".clicked").inner_text().endswith(" = 0")
        opened.page.locator(".notice .follow").click()
        opened.settled()
        assert not opened.page.locator(".clicked").inner_text().endswith(" = 0")


def test_walk_begins_where_the_loss_is_largest(browser, tiny_walk):
    model = lively("tiny", width=1 / 8)
    parts = trace(model, IMAGE, labels_for(model), ignore_label=255).loss.parts[0, :, :, 0]
    with Opened(browser, tiny_walk, address="#loss:loss") as opened:
        row, column = map(int, re.findall(r"\d+", opened.page.locator(".clicked code").inner_text())[:2])
        rows, columns = opened.evaluate("(await nodeOf(steps[state.step].node)).out.grid")
        assert parts[row, column] == parts[np.ix_(rows, columns)].max() > 0


def test_pointer_shows_place_and_value(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder1.relu1", viewport=viewport(DESKTOP)) as opened:
        picture = opened.page.locator("section.panel[data-letter=out] .picture")
        box = picture.bounding_box()
        picture.hover(position={"x": 0.5 * box["width"], "y": 0.25 * box["height"]})
        text = picture.locator(".hover").inner_text()
        row, column, value = re.fullmatch(r"\[(\d+), (\d+)\] (?:≈ )?(\S+)", text).groups()
        assert (int(row), int(column)) == (6, 16)
        relu = trace(lively("tiny", width=1 / 8), IMAGE, None).layers[3].out[0, 6, 16]
        channel = opened.evaluate("state.channel")
        assert float(value.replace("\N{MINUS SIGN}", "-")) == pytest.approx(relu[channel], abs=0.02)


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


def test_step_is_saved_as_a_picture(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder2.conv1", viewport=viewport(DESKTOP)) as opened:
        with opened.page.expect_download() as found:
            opened.page.get_by_role("button", name="save as PNG").click()
        assert found.value.suggested_filename == "forward_encoder2.conv1.png"
        with open(found.value.path(), "rb") as file:
            picture = np.asarray(Image.open(io.BytesIO(file.read())).convert("RGB"))
        assert picture.shape[1] > 2 * 1000
        assert len(np.unique(picture.reshape(-1, 3)[::101], axis=0)) > 50
        with opened.page.expect_download() as found:
            opened.page.get_by_role("button", name="save as SVG").click()
        with open(found.value.path(), encoding="utf-8") as file:
            text = file.read()
        assert "encoder2.conv1" in text
        assert text.count("data:image/png") >= 2
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
        end = np.asarray(Image.open(found.value.path()).convert("RGB").resize(frames[0].shape[1::-1]), int)
        assert np.abs(frames[-1] - end).mean() < 6
        assert all((one != other).any() for one, other in itertools.pairwise(frames))
        opened.complaints.clear()  # the pictures of the step are data: URLs


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_is_accessible(browser, tiny_walk, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    with Opened(browser, tiny_walk, viewport=viewport(DESKTOP), color_scheme=scheme) as opened:
        kinds = opened.evaluate("[...new Map(steps.map((s) => [s.way + s.title, s.index])).values()]")
        for k in kinds[:: amount(3, 1)]:
            opened.evaluate(f"go({k})")
            found = axe.run(opened.page).response["violations"]
            assert [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in found] == [], opened.step


def test_touch_targets_are_large_enough(browser, tiny_walk):
    """Buttons have at least 44 pixels in height or width, and links in texts are exempt (WCAG 2.5.5)."""
    with Opened(browser, tiny_walk, viewport=viewport(PHONE), is_mobile=True, has_touch=True) as opened:
        for step in ("start", "forward:encoder2.conv1"):
            opened.page.evaluate(f"location.hash = '#{step}'")
            opened.wait_for_step(step)
            small = opened.page.evaluate("""[...document.querySelectorAll("button, summary, input")].filter((e) => {
              const { width, height } = e.getBoundingClientRect();
              const exempt = e.closest(".derivation table, .trail, p:not(.choices, .play), nav ol, .changes");
              return width && !exempt && Math.min(width, height) < 43.5;
            }).map((e) => e.outerHTML.slice(0, 90) + Math.round(e.getBoundingClientRect().height))""")
            assert small == []
