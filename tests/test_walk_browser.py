"""A walk in a real browser: every step, slider, keys, clicks; sums that add up; no error and no request."""

import re

import numpy as np
import pytest
from browser import PHONE, launched
from walk_pages import FIVE, IMAGE, labels_for, lively

import tinysegnet as ts
from tinysegnet.walk.trace import trace

DRAWN = ("basic", "article", "bilinear-interpolation", "fcn-basic", "basic-encoder-addition", "bayesian-basic",
         "basic-single-channel-decoder")  # fmt: skip
MINUS = "\N{MINUS SIGN}"

# Of every step, at the corners and the middle of its grid, in the first, a middle and the last channel: what the page's
# explanation makes of its numbers, and the network's number.
EVERY_SUM = """async () => {
  const found = [];
  for (const step of steps.slice(1)) {
    const node = { ...(await nodeOf(step.node)), k: step.node }, result = resultOf(step, node);
    const some = (axis) => [...new Set([axis[0], axis[axis.length >> 1], axis[axis.length - 1]])];
    for (const y of some(result.grid[0])) for (const x of some(result.grid[1]))
      for (const c of new Set([0, result.shown >> 1, result.shown - 1])) {
        const { name, computed, shown, scale, complete } = explain(step, node, y, x, c);
        found.push([step.id + " " + name, computed, shown, scale, complete]);
      }
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser():
    with launched() as browser:
        yield browser


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The path of a walk through a small `tiny` of five classes."""
    path = tmp_path_factory.mktemp("walk") / "tiny.html"
    model = lively("tiny", width=1 / 8)
    ts.walk(model, IMAGE, labels_for(model), palette=FIVE).save(path)
    return path


class Opened:
    """A page in the browser; `complaints` has what it said to the console, and what it asked the network for."""

    def __init__(self, browser, path, *, address="", **settings):
        self.context = browser.new_context(**settings)
        self.page, self.complaints = self.context.new_page(), []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._requested)
        self.path = path
        self.page.goto(f"file://{path}{address}")
        self.page.evaluate("window.walking")

    def _requested(self, request):
        if request.url.split("#")[0] != f"file://{self.path}":
            self.complaints.append(request.url)

    @property
    def step(self):
        return self.page.evaluate("steps[state.step].id")

    @property
    def count(self):
        return self.page.evaluate("steps.length")

    def settled(self):
        """The step is drawn."""
        self.page.evaluate("go(state.step)")
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()
        if error[0] is None:
            assert self.complaints == []


def test_errors_and_requests_are_seen(browser, tmp_path):
    """The eyes of these tests: an error and a request are seen."""
    path = tmp_path / "bad.html"
    path.write_text("<script>window.walking = 1; missing()</script><img src='https://example.com/x.png'>")
    opened = Opened(browser, path)
    opened.page.wait_for_timeout(200)
    assert any("missing" in complaint for complaint in opened.complaints)
    assert any("example.com" in complaint for complaint in opened.complaints)
    opened.context.close()


@pytest.mark.parametrize("name", list(ts.models))
def test_every_sum_of_every_network_adds_up(browser, tmp_path, name):
    """To 1e-5 of the largest thing in it; and every step can be drawn, of networks that have all kinds of steps."""
    model = lively(name, 1 if name == "article" else 5)
    path = tmp_path / "walk.html"
    ts.walk(model, IMAGE, labels_for(model)).save(path)
    with Opened(browser, path) as opened:
        assert opened.count == 2 * len(model.layers) + 4
        found = opened.page.evaluate(EVERY_SUM)
        assert len(found) > 9 * (opened.count - 1)
        for where, computed, shown, scale, complete in found:
            assert complete, where
            # what is below 1e-37, float32 has not all its digits for
            assert abs(computed - shown) <= 1e-5 * max(scale, abs(shown), 1e-37), (where, computed, shown, scale)
        for k in range(opened.count if name in DRAWN else 0):
            opened.page.evaluate(f"go({k})")
            assert opened.page.locator("main h1").count() == 1
            assert opened.page.locator(".bad").count() == 0


def test_the_sums_are_those_of_a_click(browser, tiny):
    with Opened(browser, tiny, address="#forward:decoder2.conv1") as opened:
        assert opened.step == "forward:decoder2.conv1"
        clicked = set()
        for share in (0.1, 0.5, 0.95):
            picture = opened.page.locator("section.panel[data-letter=out] .picture")
            box = picture.bounding_box()
            picture.click(position={"x": share * box["width"], "y": share * box["height"]})
            opened.settled()
            clicked.add(opened.page.locator(".clicked code").inner_text())
            verdict = opened.page.locator(".verdict")
            computed, shown = (float(verdict.get_attribute(f"data-{name}")) for name in ("computed", "shown"))
            assert abs(computed - shown) <= 1e-5 * abs(shown) + 1e-7
            assert "the same" in verdict.inner_text()
        assert len(clicked) == 3
        opened.page.get_by_role("button", name="all ").first.click()
        opened.settled()
        opened.page.evaluate("state.all = true; render()")
        rows = opened.page.locator(".made table").last.locator("tbody tr")
        products = [float(text.replace(MINUS, "-")) for text in rows.locator("td:nth-child(4)").all_inner_texts()]
        assert sum(products) == pytest.approx(shown, abs=1e-4)


def test_a_number_can_be_followed_to_what_made_it(browser, tiny):
    with Opened(browser, tiny, address="#forward:encoder2.conv1") as opened:
        row = opened.page.locator(".made tr", has=opened.page.locator(".follow")).first
        name, value = row.locator(".follow").inner_text(), row.locator("td").nth(1).inner_text()
        row.locator(".follow").click()
        opened.settled()
        assert opened.step == "forward:encoder1.pool"
        assert opened.page.locator(".clicked").inner_text() == f"{name.replace('x', 'out')} = {value}"
    with Opened(browser, tiny, address="#backward:encoder2.conv1") as opened:
        name = opened.page.locator(".follow").first.inner_text()
        opened.page.locator(".follow").first.click()
        opened.settled()
        assert opened.step == "backward:encoder2.bn1"
        assert opened.page.locator(".clicked code").inner_text() == name.replace("dout", "dx")


def test_slider_keys_buttons_and_address(browser, tiny):
    with Opened(browser, tiny) as opened:
        keyboard, last = opened.page.keyboard, opened.count - 1
        assert opened.step == "start"
        right, left = "ArrowRight", "ArrowLeft"
        for key, expected in ((right, 1), (right, 2), (left, 1), ("End", last), (right, last), ("Home", 0), (left, 0)):
            keyboard.press(key)
            assert opened.page.evaluate("state.step") == expected
        slider = opened.page.locator("#slider")
        slider.fill("5")
        assert opened.step == "forward:encoder1.pool"
        assert opened.page.evaluate("location.hash") == "#forward:encoder1.pool"
        slider.press("ArrowRight")  # one step, not two, although the slider has the focus
        assert opened.page.evaluate("[state.step, slider.value]") == [6, "6"]
        opened.page.locator("#next").click()
        opened.page.locator("#previous").click()
        assert opened.page.evaluate("state.step") == 6
        keyboard.press("b")
        assert opened.step == "backward:encoder2.conv1"
        keyboard.press("b")
        assert opened.step == "forward:encoder2.conv1"
        opened.page.locator("#steps button").nth(3).click()
        assert opened.page.evaluate("state.step") == 3
        opened.page.evaluate("location.hash = '#loss:loss'")
        opened.page.wait_for_function("steps[state.step].id === 'loss:loss'")
        opened.page.reload()
        opened.page.evaluate("window.walking")
        assert opened.step == "loss:loss"


def test_pixels_and_channels_by_keys(browser, tiny):
    with Opened(browser, tiny, address="#forward:encoder1.conv1") as opened:
        name = opened.page.locator(".clicked code")

        def press(key):
            opened.page.keyboard.press(key)
            opened.settled()
            return name.inner_text()

        seen = [name.inner_text(), *map(press, ("Shift+ArrowRight", "Shift+ArrowDown", "c", "c", "Shift+C"))]
        assert len(set(seen)) == 5
        assert seen[3] == seen[5]
        opened.page.locator("section.panel[data-letter=out] .thumbs button").nth(3).click()
        assert opened.settled().page.locator(".clicked code").inner_text().endswith(", 3]")
        opened.page.locator("section.panel[data-letter=x] .thumbs button").nth(2).click()
        assert "Channel 2 of x" in opened.settled().page.locator(".sheets p").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_in_light_and_dark(browser, tiny, scheme):
    with Opened(
        browser,
        tiny,
        viewport=dict(zip(("width", "height"), PHONE, strict=True)),
        color_scheme=scheme,
        is_mobile=True,
        has_touch=True,
    ) as opened:
        paper = {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 24, 28)"}
        background = "getComputedStyle(document.body).backgroundColor"
        for k in range(opened.count):
            opened.page.evaluate(f"go({k})")
            assert opened.page.evaluate("document.documentElement.scrollWidth") == PHONE[0], opened.step
        assert opened.page.evaluate(background) == paper[scheme]
        opened.page.locator("#theme").tap()
        assert opened.page.evaluate(background) == paper["dark" if scheme == "light" else "light"]


def test_what_is_not_a_number_is_shown_as_that(browser, tmp_path):
    model, path = lively("tiny"), tmp_path / "walk.html"
    model.layers["encoder2.conv1"].params["weight"][:] = np.nan
    ts.walk(model, IMAGE, labels_for(model), palette=FIVE).save(path)
    with Opened(browser, path) as opened:
        for k in range(opened.count):
            opened.page.evaluate(f"go({k})")
        opened.page.evaluate("go(steps.findIndex((step) => step.id === 'forward:encoder2.conv1'))")
        assert "= NaN" in opened.page.locator(".clicked").inner_text()
        assert "not finite" in opened.page.locator("section.panel[data-letter=out]").inner_text()
        assert opened.page.locator(".bad").count() == 0


def test_names_are_text(browser, tiny):
    with Opened(browser, tiny, address="#answer:answer") as opened:
        assert "<b>land</b>" in opened.page.locator(".made").inner_text()


def test_pictures_are_the_arrays(browser, tiny):
    """The large picture of a channel has the array's size, and the more colour the larger the number."""
    relu = trace(lively("tiny", width=1 / 8), IMAGE, None).passages[3].out[0, :, :, 0]
    H, W = relu.shape
    with Opened(browser, tiny, address="#forward:encoder1.relu1") as opened:
        opened.page.evaluate("chooseChannel(0)")
        canvas = "document.querySelector('section.panel[data-letter=out] .picture canvas')"
        assert opened.page.evaluate(f"[{canvas}.height, {canvas}.width]") == [H, W]
        pixels = opened.page.evaluate(f"Array.from({canvas}.getContext('2d').getImageData(0, 0, {W}, {H}).data)")
        light = np.reshape(pixels, (H, W, 4))[:, :, :3].sum(2)
        order = np.argsort(relu, axis=None)
        assert np.all(np.diff(light.ravel()[order]) <= 0)
        assert len(np.unique(light)) > 20


def test_in_a_notebooks_frame(browser, tmp_path):
    """srcdoc: the address and the notebook's keys are not the page's."""
    path = tmp_path / "notebook.html"
    shown = ts.walk(lively("tiny"), IMAGE)._repr_html_()
    path.write_text(f"<!doctype html><script>window.walking = 1</script>{shown}", encoding="utf-8")
    with Opened(browser, path) as opened:
        frame = opened.page.frames[1]
        frame.wait_for_function("window.walking !== undefined")
        frame.evaluate("window.walking")
        frame.locator("#next").click()
        frame.evaluate("render()")
        assert frame.locator("main h1").inner_text() == "input"
        assert "#" not in opened.page.url


# --- what a newcomer met ----------------------------------------------------------------------------------------------

# Of every step, at the middle of its grid: how many names lead on, and how many numbers that were read could.
EVERY_LINK = """async () => {
  const found = {};
  for (const step of steps.slice(1)) {
    await go(step.k);
    const node = { ...(await nodeOf(step.node)), k: step.node }, result = resultOf(step, node);
    const [y, x] = pixelAt(result, state.place), c = Math.min(state.channel, result.shown - 1);
    const { terms = [], lines = [], read, classes } = explain(step, node, y, x, c);
    const sources = [...terms.map(({ at, k }) => [read, ...at, k]), ...lines.map((line) => line[3]),
      ...(classes ? classes.sources : [])].filter(Boolean);
    const leading = sources.filter((source) => makerWithSum(...source)).length;
    state.all = true;
    await render();
    found[step.id] = [document.querySelectorAll(".made .follow").length, leading, sources.length];
  }
  return found;
}"""


def test_every_number_with_a_sum_of_its_own_leads_on(browser, tiny):
    """Wherever the page has the number's sum: a layer that looks at one pixel reads at a pixel with a sum."""
    with Opened(browser, tiny) as opened:
        found = opened.page.evaluate(EVERY_LINK)
        for step, (buttons, leading, sources) in found.items():
            assert buttons == leading, step
            if any(kind in step for kind in (".bn", ".relu", "input", "answer", "loss")):
                assert leading == sources > 0, step
        for kind in ("conv1", ".pool", ".unpool", "classifier"):
            assert any(leading for step, (_, leading, _) in found.items() if kind in step)
        opened.page.evaluate("go(2)")
        said = opened.page.locator(".made .quiet").last.inner_text()
        assert re.match(r"\d+ of these 27 numbers leads? on to what made (it|them) \(.\)\. Of the others", said)


def test_back_returns_from_a_followed_number(browser, tiny):
    with Opened(browser, tiny, address="#forward:encoder2.conv1", viewport={"width": 1280, "height": 900}) as opened:
        page = opened.page
        page.evaluate("state.place = [0.3, 0.7]; chooseChannel(5)")
        before, clicked = page.evaluate("JSON.stringify(state.place)"), page.locator(".clicked code").inner_text()
        page.locator(".made .follow").first.click()
        page.wait_for_function("steps[state.step].id === 'forward:encoder1.pool'")
        page.wait_for_function(f"scrollY > 0 && {SUM_IN_SIGHT}")
        for _ in range(2):
            page.go_back()
            page.wait_for_function("steps[state.step].id === 'forward:encoder2.conv1'")
            opened.page.wait_for_function(f"document.querySelector('.clicked code').innerText === '{clicked}'")
            assert page.evaluate("JSON.stringify(state.place)") == before
            page.go_forward()
            page.wait_for_function("steps[state.step].id === 'forward:encoder1.pool'")
        page.go_back()
        page.locator("#steps button").nth(3).click()
        page.locator("#next").click()
        page.locator("#slider").fill("9")
        page.go_back()  # from the step of the list, however far one went on from there
        page.wait_for_function("steps[state.step].id === 'forward:encoder2.conv1'")


SUM_IN_SIGHT = "document.querySelector('.made h3').getBoundingClientRect().bottom < innerHeight"


@pytest.mark.parametrize("size", [(1280, 900), PHONE], ids=["desk", "phone"])
def test_a_click_is_answered_in_sight(browser, tiny, size):
    """The number stands in the window, whichever picture was clicked, and leads to the sum."""
    viewport = dict(zip(("width", "height"), size, strict=True))
    with Opened(browser, tiny, address="#forward:encoder1.relu1", viewport=viewport) as opened:
        assert "clicked" not in opened.page.locator("main").inner_text()
        for letter in ("x", "out"):
            picture = opened.page.locator(f"section.panel[data-letter={letter}] .picture")
            picture.click(position={"x": 100, "y": 60})
            opened.page.evaluate("render()")
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
        opened.page.evaluate("state.place = [1.5 / 48, 1.5 / 64]; state.clicked = true; render()")
        assert note.inner_text() == "Row 1, column 1 lies between the dots: this is the nearest of them."
        opened.page.evaluate("state.place = [0.5 / 48, 0.5 / 64]; render()")
        assert note.count() == 0


def test_the_answer_shows_the_answer(browser, tiny):
    walk = trace(lively("tiny", width=1 / 8), IMAGE, None)
    best = walk.logits[0].argmax(-1)
    with Opened(browser, tiny, address="#answer:answer") as opened:
        for row, column in ((0, 0), (23, 31), (0, 31)):
            name, p = FIVE.names[best[row, column]], walk.probs[0, row, column].max()
            opened.page.evaluate(f"state.place = [{(row + 0.5) / 24}, {(column + 0.5) / 32}]; render()")
            assert opened.page.locator(".predicted").inner_text() == f"predicted here: {name}, {p:.2f}"
            assert opened.page.locator(".made b").first.inner_text() == name
            assert opened.page.locator(".readout").inner_text().split("(")[1].startswith(name)
            opened.page.evaluate(f"state.channel = {(best[row, column] + 1) % 5}; render()")
            assert opened.page.locator(".made b").first.inner_text() == name
        assert opened.page.locator(".answered img").evaluate("image => image.naturalWidth") == 32


def test_channels_begin_with_one_that_shows_something_and_stay(browser, tiny):
    found = trace(lively("tiny", width=1 / 8), IMAGE, None)
    last = next(passage for passage in found.passages if passage.name == "encoder2.pool").out[0]
    with Opened(browser, tiny, address="#forward:encoder2.conv1") as opened:
        channel = "state.channel"
        assert opened.page.evaluate(channel) == last.std((0, 1)).argmax()
        opened.page.evaluate("chooseChannel(3)")
        for key in ("ArrowRight", "ArrowRight", "b", "b"):
            opened.page.keyboard.press(key)
            assert opened.page.evaluate(channel) == 3
        opened.page.evaluate("go(state.step + 2)")
        opened.page.evaluate("go(state.step - 2)")
        assert opened.page.evaluate(channel) == 3


def test_many_channels_are_asked_for(browser, tmp_path):
    path = tmp_path / "walk.html"
    ts.walk(lively("tiny", width=3 / 4), IMAGE).save(path)
    with Opened(browser, path, address="#forward:encoder1.relu1") as opened:
        small = opened.page.locator("section.panel[data-letter=out] .thumbs button")
        assert small.count() == 16
        opened.page.evaluate("chooseChannel(20)")
        assert opened.page.locator(".thumbs button[aria-pressed=true] small").first.inner_text() == "20"
        opened.page.get_by_role("button", name="all 24 channels").first.click()
        opened.settled()
        assert small.count() == 24
        clip = opened.page.locator(".thumbs").first
        assert clip.evaluate("list => list.scrollHeight <= list.clientHeight + 1")
        texts = opened.page.locator("section.panel[data-letter=out] .scale").inner_text()
        assert "≥" in texts, "the bar ends before the largest number"


def test_a_page_says_that_it_is_loading(browser, tiny, tmp_path):
    text = tiny.read_text(encoding="utf-8")
    (tmp_path / "still.html").write_text(text[: text.index('<script type="application/json"')], encoding="utf-8")
    with Opened(browser, tmp_path / "still.html") as opened:
        assert opened.page.locator("main").inner_text() == "Loading the numbers …"
