"""What a walk shows at first sight: the network on one screen, the sum beside the pictures."""

import re

import numpy as np
import pytest
from browser import DESKTOP, PHONE
from forms import amount
from walk_pages import EVERY_KIND, IMAGE, Opened, labels_for, lively, network

import tinysegnet as ts
from tinysegnet.walk.trace import trace

pytestmark = pytest.mark.usefixtures("without_compiling")

SIZES = {"phone": PHONE, "desk": DESKTOP, "projector": (1920, 1080)}


def viewport(size):
    return dict(zip(("width", "height"), size, strict=True))


def times(layers, name):
    """Return the shape of a layer's output as the page writes it."""
    shape = next(layer for layer in layers if layer.name == name).out.shape[1:]
    return " \N{MULTIPLICATION SIGN} ".join(map(str, shape))


def test_map_shows_every_stage_with_its_strongest_channel(browser, tiny_walk):
    walk = trace(lively("tiny", width=1 / 8), IMAGE, None)
    relu = next(layer for layer in walk.layers if layer.name == "encoder2.relu1").out[0]
    with Opened(browser, tiny_walk, viewport=viewport(DESKTOP)) as opened:
        cards = opened.page.locator(".network-map .stage")
        names = [card.get_attribute("data-stage") for card in cards.all()]
        assert names == ["picture", "input", "encoder1", "decoder1", "classifier", "prediction", "loss", "encoder2",
                         "decoder2", "encoder3", "decoder3", "encoder4", "decoder4"]  # fmt: skip
        *crossings, bottom = opened.page.locator(".crossing").all_inner_texts()
        assert crossings == ["indices"] * 4
        assert bottom.split("\n") == ["bottleneck", times(walk.layers, "encoder4.pool")]
        texts = {name: opened.page.locator(f"[data-stage={name}]").inner_text().split("\n") for name in names}
        for k in range(1, 5):
            assert texts[f"encoder{k}"][1] == times(walk.layers, f"encoder{k}.relu1")
            assert texts[f"encoder{k}"][2] == f"pooled {times(walk.layers, f'encoder{k}.pool').replace(' ', '')}"
            assert texts[f"decoder{k}"][1] == times(walk.layers, f"decoder{k}.relu1")
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
        card = page.locator("[data-stage=encoder3]")
        assert card.inner_text().split("\n")[-1] == "opens conv1"
        card.click()
        opened.wait_for_step("forward:encoder3.conv1")
        assert page.locator(".small-map").get_attribute("aria-label").endswith("encoder3")
        page.locator(".small-map").click()
        opened.wait_for_step("start")
        page.get_by_role("button", name="gradients").click()
        opened.settled()
        assert card.inner_text().split("\n")[-1] == "opens pool"  # the first one that the gradient reaches
        card.click()
        opened.wait_for_step("backward:encoder3.pool")


def test_bars_of_the_map_show_the_sizes_of_gradients(browser, tiny_walk):
    model = lively("tiny", width=1 / 8)
    walk = trace(model, IMAGE, labels_for(model), ignore_label=255)
    names = {"encoder1": "encoder1.relu1", "decoder3": "decoder3.relu1", "classifier": "classifier"}
    with Opened(browser, tiny_walk, viewport=viewport(DESKTOP)) as opened:
        sizes = {stage: np.sqrt(np.mean(next(found for found in walk.layers if found.name == layer).dout ** 2))
                 for stage, layer in names.items()}  # fmt: skip
        widths = set()
        for stage, size in sizes.items():
            card = opened.page.locator(f"[data-stage={stage}]")
            assert float(card.locator(".size").inner_text()) == pytest.approx(size, rel=0.06)
            whole, bar = (card.locator(f".size {part}").bounding_box()["width"] for part in ("span", "i"))
            widths.add(round(whole))
            share = 1 + np.log10(size / largest_gradient(walk)) / 6
            assert bar / whole == pytest.approx(share, abs=0.02)
        assert len(widths) == 1  # the bars share one scale


def largest_gradient(walk):
    """Return the largest root mean square of the gradients that the bars show."""
    last = {}  # the last layer of each stage with maps of the stage's full size
    for layer in walk.layers:
        stage = layer.name.split(".")[0]
        if layer.out.shape[1] >= last.get(stage, layer).out.shape[1]:
            last[stage] = layer
    return max(np.sqrt(np.mean(layer.dout**2)) for layer in last.values())


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
        page.locator(".trail button").first.wait_for()
        second = re.findall(r"\d+", page.locator(".clicked code").inner_text())
        page.locator(".derivation table .follow").first.click()
        opened.wait_for_step("forward:decoder1.bn1")
        page.locator(".trail button").nth(1).wait_for()
        assert page.locator(".trail button").first.get_attribute("title") == first
        row, column, channel = second
        assert page.locator(".trail button").nth(1).inner_text() == (
            f"decoder1.relu1, channel {channel}, row {row}, column {column}")  # fmt: skip
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
        assert parts[row, column] == parts[np.ix_(rows[1:-1], columns[1:-1])].max() > 0


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


def test_pointer_shows_the_window_of_the_pixel(browser, tiny_walk):
    for step, box in (("forward:encoder2.conv1", [3, 3, 3, 3]), ("forward:encoder2.pool", [8, 8, 2, 2])):
        with Opened(browser, tiny_walk, address=f"#{step}", viewport=viewport(DESKTOP)) as opened:
            picture = opened.page.locator("section.panel[data-letter=out] .picture")
            place = picture.bounding_box()
            H, W = opened.evaluate("(({ H, W }) => [H, W])((await nodeOf(steps[state.step].node)).out)")
            picture.hover(position={"x": 4.5 / W * place["width"], "y": 4.5 / H * place["height"]})
            near = opened.page.locator("section.panel[data-letter=x] .near")
            assert [int(near.get_attribute(name)) for name in ("y", "x", "height", "width")] == box
            opened.page.mouse.move(0, 0)
            assert near.count() == 0


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
