"""A walk in a real browser, as a reader uses it: links, Back, clicks, channels, the prediction."""

from importlib import import_module

import numpy as np
import pytest
from browser import PHONE
from forms import LONG
from walk_pages import FIVE, IMAGE, Opened, lively

import tinysegnet as ts
from tinysegnet.walk.payload import PLANS
from tinysegnet.walk.trace import trace

pytestmark = pytest.mark.usefixtures("without_compiling")

# Returns, for every step (in the short form, for the first of every kind), at the middle of its grid, the number of
# links and how many of the numbers that were read have an explanation.
EVERY_LINK = """async () => {
  const found = {}, seen = new Set();
  for (const step of steps.slice(1)) {
    const node = await nodeOf(step.node), result = resultOf(step, node), kind = step.way + node.kind;
    if (seen.has(kind) && !LONG) continue;
    seen.add(kind);
    await go(step.index);
    const [y, x] = pixelAt(result, state.place), c = Math.min(state.channel, result.shown - 1);
    const { sum = { terms: [] }, lines = [], softmax = { sources: [] } } = explain(step, node, y, x, c);
    const sources = [...sum.terms.map((term) => term.source), ...lines.map((line) => line[3]),
      ...softmax.sources].filter(Boolean);
    const leading = sources.filter(explainableMaker).length;
    state.allRows = true;
    await redraw();
    found[step.id] = [document.querySelectorAll(".derivation table .follow").length, leading, sources.length];
  }
  return found;
}""".replace("LONG", "true" if LONG else "false")


def test_every_number_that_the_page_explains_is_a_link(browser, tiny_walk):
    """Layers that read a single pixel read one that the page can explain."""
    with Opened(browser, tiny_walk) as opened:
        found = opened.evaluate(f"({EVERY_LINK})()")
        for step, (buttons, leading, sources) in found.items():
            assert buttons == leading, step
            if any(kind in step for kind in (".bn", ".relu", "input", "answer", "loss")):
                assert leading == sources > 0, step
            assert leading == sources, step
        opened.evaluate("go(2)")
        said = opened.page.locator(".derivation .quiet").last.inner_text()
        assert "no link" not in said
        assert said.endswith("to see how a number was computed.")


def test_back_returns_from_a_link(browser, tiny_walk):
    with Opened(
        browser, tiny_walk, address="#forward:encoder2.conv1", viewport={"width": 1280, "height": 900}
    ) as opened:
        page = opened.page
        opened.evaluate("(state.place = [0.3, 0.7], chooseChannel(5))")
        before, clicked = opened.evaluate("JSON.stringify(state.place)"), page.locator(".clicked code").inner_text()
        page.locator(".derivation table .follow").first.click()
        opened.wait_for_step("forward:encoder1.pool")
        page.wait_for_function(f"scrollY > 0 && {SUM_IN_SIGHT}")
        for _ in range(2):
            page.go_back()
            opened.wait_for_step("forward:encoder2.conv1")
            opened.page.wait_for_function(f"document.querySelector('.clicked code').innerText === '{clicked}'")
            assert opened.evaluate("JSON.stringify(state.place)") == before
            page.go_forward()
            opened.wait_for_step("forward:encoder1.pool")
        page.go_back()
        page.locator("#contents summary").click()
        page.locator("#steps button").nth(3).click()
        page.locator("#next").click()
        page.locator("#slider").fill("9")
        page.go_back()  # steps chosen by button and slider are not in the history
        opened.wait_for_step("forward:encoder2.conv1")


SUM_IN_SIGHT = "document.querySelector('.derivation h2').getBoundingClientRect().bottom < innerHeight"


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["desk", "phone"])
def test_click_shows_the_number_within_the_window(browser, tiny_walk, size):
    """The number is visible whichever picture was clicked, and leads to its sum."""
    viewport = dict(zip(("width", "height"), size, strict=True))
    with Opened(browser, tiny_walk, address="#forward:encoder1.relu1", viewport=viewport) as opened:
        assert "clicked" not in opened.page.locator("main").inner_text()
        for letter in ("x", "out"):
            picture = opened.page.locator(f"section.panel[data-letter={letter}] .picture")
            picture.click(position={"x": 100, "y": 60})
            opened.evaluate("redraw()")
            shown = opened.page.locator(".readout" if size == PHONE else ".clicked")
            box = shown.bounding_box()
            assert 0 <= box["y"] <= box["y"] + box["height"] <= size[1]
            name = opened.page.locator(".clicked code").inner_text()
            assert shown.inner_text().startswith(f"{name} = ")
        if size == PHONE:
            opened.page.locator(".readout button").click()
        opened.page.wait_for_function(SUM_IN_SIGHT)


def test_click_between_dots_names_the_nearest_dot(browser, tmp_path, monkeypatch):
    """If channels are hidden, the page can explain only the numbers at the dots."""
    monkeypatch.setattr(import_module("tinysegnet.walk.page"), "PLANS", PLANS[-1:])
    model, path = lively("tiny", width=1 / 2), tmp_path / "walk.html"
    image = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    ts.walk(model, image).save(path)
    with Opened(browser, path, address="#forward:encoder2.conv1") as opened:
        note, dots = opened.page.locator(".readout small"), opened.page.locator(".dot").count()
        assert note.count() == 0
        assert 64 <= dots < 128, "out has dots, but the channels of x depend on the picture alone"
        opened.evaluate("(state.place = [1.5 / 24, 1.5 / 32], state.clicked = true, redraw())")
        assert note.inner_text().startswith("Row 1, column 1 is between the dots")
        opened.evaluate("(state.place = [0.5 / 24, 0.5 / 32], redraw())")
        assert note.count() == 0
        opened.evaluate("go(steps.findIndex((step) => step.id === 'forward:encoder3.conv1'))")
        assert "numbers here have no link" in opened.page.locator(".derivation .quiet").last.inner_text()


def test_prediction_step_shows_the_predicted_class(browser, tiny_walk):
    walk = trace(lively("tiny", width=1 / 8), IMAGE, None)
    best = walk.logits[0].argmax(-1)
    with Opened(browser, tiny_walk, address="#answer:answer") as opened:
        for row, column in ((0, 0), (23, 31), (0, 31)):
            name, p = FIVE.names[best[row, column]], walk.probs[0, row, column].max()
            opened.evaluate(f"(state.place = [{(row + 0.5) / 24}, {(column + 0.5) / 32}], redraw())")
            assert opened.page.locator(".predicted").inner_text() == f"predicted here: {name}, {p:.2f}"
            assert opened.page.locator(".derivation b").first.inner_text() == name
            assert opened.page.locator(".readout").inner_text().split("(")[1].startswith(name)
            opened.evaluate(f"(state.channel = {(best[row, column] + 1) % 5}, redraw())")
            assert opened.page.locator(".derivation b").first.inner_text() == name
        assert opened.page.locator(".answered img").evaluate("image => image.naturalWidth") == 32


def test_first_channel_has_the_largest_spread_and_choices_are_kept(browser, tiny_walk):
    found = trace(lively("tiny", width=1 / 8), IMAGE, None)
    last = next(passage for passage in found.layers if passage.name == "encoder2.pool").out[0]
    with Opened(browser, tiny_walk, address="#forward:encoder2.conv1") as opened:
        channel = "state.channel"
        assert opened.evaluate(channel) == last.std((0, 1)).argmax()
        opened.evaluate("chooseChannel(3)")
        for key in ("ArrowRight", "ArrowRight", "b", "b"):
            opened.page.keyboard.press(key)
            assert opened.evaluate(channel) == 3
        opened.evaluate("go(state.step + 2)")
        opened.evaluate("go(state.step - 2)")
        assert opened.evaluate(channel) == 3


def test_small_pictures_of_many_channels_are_shown_on_request(browser, tmp_path):
    path = tmp_path / "walk.html"
    ts.walk(lively("tiny", width=3 / 4), IMAGE).save(path)
    with Opened(browser, path, address="#forward:encoder1.relu1") as opened:
        small = opened.page.locator("section.panel[data-letter=out] .thumbs button")
        assert small.count() == 16
        opened.evaluate("chooseChannel(20)")
        assert opened.page.locator(".thumbs button[aria-pressed=true] small").first.inner_text() == "20"
        opened.page.get_by_role("button", name="all 24 channels").first.click()
        opened.settled()
        assert small.count() == 24
        clip = opened.page.locator(".thumbs").first
        assert clip.evaluate("list => list.scrollHeight <= list.clientHeight + 1")
        texts = opened.page.locator("section.panel[data-letter=out] .scale").inner_text()
        assert "≥" in texts, "the colours saturate below the largest number"


def test_page_says_that_it_is_loading(browser, tiny_walk, tmp_path):
    text = tiny_walk.read_text(encoding="utf-8")
    (tmp_path / "still.html").write_text(text[: text.index('<script type="application/json"')], encoding="utf-8")
    with Opened(browser, tmp_path / "still.html", is_walk=False) as opened:
        assert opened.page.locator("main").inner_text().startswith("Loading")
