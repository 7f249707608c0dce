"""A walk in a real browser, as one reads it: numbers that lead on, Back, answers to clicks, channels, the answer."""

import re

import numpy as np
import pytest
from browser import PHONE
from walk_pages import FIVE, IMAGE, Opened, lively

import tinysegnet as ts
from tinysegnet.walk.trace import trace

MINUS = "\N{MINUS SIGN}"

# Of every step, at the middle of its grid: how many names lead on, and how many numbers that were read could.
EVERY_LINK = """async () => {
  const found = {};
  for (const step of steps.slice(1)) {
    await go(step.index);
    const node = await nodeOf(step.node), result = resultOf(step, node);
    const [y, x] = pixelAt(result, state.place), c = Math.min(state.channel, result.shown - 1);
    const { sum = { terms: [] }, lines = [], softmax = { sources: [] } } = explain(step, node, y, x, c);
    const sources = [...sum.terms.map((term) => term.source), ...lines.map((line) => line[3]),
      ...softmax.sources].filter(Boolean);
    const leading = sources.filter(explainableMaker).length;
    state.allRows = true;
    await redraw();
    found[step.id] = [document.querySelectorAll(".derivation .follow").length, leading, sources.length];
  }
  return found;
}"""


def test_every_number_with_a_sum_of_its_own_leads_on(browser, tiny_walk):
    """Wherever the page has the number's sum: a layer that looks at one pixel reads at a pixel with a sum."""
    with Opened(browser, tiny_walk) as opened:
        found = opened.evaluate(f"({EVERY_LINK})()")
        for step, (buttons, leading, sources) in found.items():
            assert buttons == leading, step
            if any(kind in step for kind in (".bn", ".relu", "input", "answer", "loss")):
                assert leading == sources > 0, step
        for kind in ("conv1", ".pool", ".unpool", "classifier"):
            assert any(leading for step, (_, leading, _) in found.items() if kind in step)
        opened.evaluate("go(2)")
        said = opened.page.locator(".derivation .quiet").last.inner_text()
        assert re.match(r"\d+ of these 27 numbers leads? on to what made (it|them) \(.\)\. Of the others", said)


def test_back_returns_from_a_followed_number(browser, tiny_walk):
    with Opened(
        browser, tiny_walk, address="#forward:encoder2.conv1", viewport={"width": 1280, "height": 900}
    ) as opened:
        page = opened.page
        opened.evaluate("(state.place = [0.3, 0.7], chooseChannel(5))")
        before, clicked = opened.evaluate("JSON.stringify(state.place)"), page.locator(".clicked code").inner_text()
        page.locator(".derivation .follow").first.click()
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
        page.locator("#steps button").nth(3).click()
        page.locator("#next").click()
        page.locator("#slider").fill("9")
        page.go_back()  # from the step of the list, however far one went on from there
        opened.wait_for_step("forward:encoder2.conv1")


SUM_IN_SIGHT = "document.querySelector('.derivation h3').getBoundingClientRect().bottom < innerHeight"


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["desk", "phone"])
def test_a_click_is_answered_in_sight(browser, tiny_walk, size):
    """The number stands in the window, whichever picture was clicked, and leads to the sum."""
    viewport = dict(zip(("width", "height"), size, strict=True))
    with Opened(browser, tiny_walk, address="#forward:encoder1.relu1", viewport=viewport) as opened:
        assert "clicked" not in opened.page.locator("main").inner_text()
        for letter in ("x", "out"):
            picture = opened.page.locator(f"section.panel[data-letter={letter}] .picture")
            picture.click(position={"x": 100, "y": 60})
            opened.evaluate("redraw()")
            box = opened.page.locator(".readout").bounding_box()
            assert 0 <= box["y"] <= box["y"] + box["height"] <= size[1]
            name = opened.page.locator(".clicked code").inner_text()
            assert opened.page.locator(".readout").inner_text().startswith(f"{name} = ")
        opened.page.locator(".readout button").click()
        opened.page.wait_for_function(SUM_IN_SIGHT)


def test_a_click_between_the_dots_says_where_it_went(browser, tmp_path):
    model, path = lively("tiny", width=1 / 16), tmp_path / "walk.html"
    image = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    ts.walk(model, image).save(path)
    with Opened(browser, path, address="#forward:encoder1.conv1") as opened:
        note = opened.page.locator(".readout small")
        assert note.count() == 0
        opened.evaluate("(state.place = [1.5 / 48, 1.5 / 64], state.clicked = true, redraw())")
        assert note.inner_text() == "Row 1, column 1 lies between the dots: this is the nearest of them."
        opened.evaluate("(state.place = [0.5 / 48, 0.5 / 64], redraw())")
        assert note.count() == 0


def test_the_answer_shows_the_answer(browser, tiny_walk):
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


def test_channels_begin_with_one_that_shows_something_and_stay(browser, tiny_walk):
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


def test_many_channels_are_asked_for(browser, tmp_path):
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
        assert "≥" in texts, "the bar ends before the largest number"


def test_a_page_says_that_it_is_loading(browser, tiny_walk, tmp_path):
    text = tiny_walk.read_text(encoding="utf-8")
    (tmp_path / "still.html").write_text(text[: text.index('<script type="application/json"')], encoding="utf-8")
    with Opened(browser, tmp_path / "still.html", is_walk=False) as opened:
        assert opened.page.locator("main").inner_text() == "Loading the numbers …"
