"""Every number can be explained: pixels between the dots, links from all numbers, jumps to the wrong pixels."""

import re

import numpy as np
import pytest
from browser import DESKTOP, PHONE
from forms import LONG, amount
from walk_pages import EVERY_KIND, FIVE, IMAGE, Opened, labels_for, lively, network

import tinysegnet as ts
from tinysegnet.walk.trace import trace

pytestmark = pytest.mark.usefixtures("without_compiling")

SIZES = {"phone": PHONE, "desk": DESKTOP, "projector": (1920, 1080)}
MINUS = "\N{MINUS SIGN}"

# Returns the steps whose arrays the page can compute everywhere, and their numbers at COUNT random places.
NUMBERS = """async () => {
  const found = [];
  let seed = 1;
  const random = (n) => { seed = (seed * 48271) % 2147483647; return seed % n; };
  for (const step of steps.slice(1)) {
    const node = await nodeOf(step.node), result = resultOf(step, node);
    if (!isComputable(result.index)) continue;
    for (let k = 0; k < COUNT; k++) {
      const at = [random(result.H), random(result.W), random(result.C)];
      const { computed, shown, scale, complete } = await whenLoaded(() => explain(step, node, ...at));
      found.push([step.way, step.node, at, computed, shown, scale, complete]);
    }
  }
  return found;
}"""


def result_of(walk, way, node):
    """Return the array (H, W, C) that a step computes."""
    if way == "answer":
        return walk.probs[0]
    if way == "loss":
        return walk.loss.parts[0]
    if way == "loss backward":
        return walk.loss.dlogits[0]
    layer = walk.layers[node]
    return (layer.dx if way == "backward" else layer.result)[0]


@pytest.mark.parametrize("name", [EVERY_KIND, "basic", "article", "fcn-basic", "bilinear-interpolation"])
def test_numbers_between_the_dots_are_those_of_the_network(browser, tmp_path, name):
    """The page computes numbers that it does not contain from others, through all layers."""
    model, path = network(name, **({} if name == EVERY_KIND else {"width": 1 / 8})), tmp_path / "walk.html"
    image = np.random.default_rng(4).integers(0, 256, (64, 96, 3), np.uint8)
    labels = labels_for(model, (64, 96))
    ts.walk(model, image, labels).save(path)
    walk = trace(model, image, labels, ignore_label=255)
    with Opened(browser, path) as opened:
        found = opened.evaluate(f"({NUMBERS})()".replace("COUNT", str(amount(3, 30))))
        assert len({(way, node) for way, node, *_ in found}) == 2 * len(model.layers) + 3
        for way, node, at, computed, shown, scale, complete in found:
            exact = result_of(walk, way, node)[tuple(at)]
            assert complete
            assert computed == pytest.approx(shown, rel=1e-6, abs=max(1e-5 * scale, 1e-37))  # float32 has fewer digits
            assert abs(computed - exact) <= 2e-5 * max(scale, abs(exact), 1e-37), (way, node, at, computed, exact)


def test_click_selects_the_pixel_itself(browser, tmp_path):
    path, image = tmp_path / "walk.html", np.random.default_rng(4).integers(0, 256, (64, 96, 3), np.uint8)
    model = lively("tiny", width=1 / 8)
    ts.walk(model, image, labels_for(model, (64, 96)), palette=FIVE).save(path)
    with Opened(browser, path, address="#forward:decoder1.conv1") as opened:
        page = opened.page
        assert page.locator(".dot").count() == 0
        picture = page.locator("section.panel[data-letter=out] .picture")
        box = picture.bounding_box()
        for row, column in ((33, 51), (2, 94), (63, 0)):
            place = {"x": (column + 0.5) / 96 * box["width"], "y": (row + 0.5) / 64 * box["height"]}
            picture.click(position=place)
            page.locator(".clicked code", has_text=f"out[{row}, {column},").wait_for()
            assert page.locator(".verdict").inner_text().count("✓") == 1
            assert page.locator(".readout small").count() == 0
        before = page.locator(".clicked code").inner_text()
        page.keyboard.press("Shift+ArrowRight")
        page.locator(".clicked code", has_text="out[63, 1,").wait_for()
        assert before.startswith("out[63, 0,")


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_sums_show_the_channel_that_contributes_most(browser, tiny_walk, way):
    """In every convolution, at the pixel where the walk begins and at another one."""
    model = lively("tiny", width=1 / 8)
    walk = trace(model, IMAGE, labels_for(model), ignore_label=255)
    with Opened(browser, tiny_walk) as opened:
        page = opened.page
        for layer in (each for each in walk.layers if each.kind == "conv2d" and each.windows.kernel == (3, 3)):
            opened.evaluate(f"go(steps.findIndex((step) => step.id === '{way}:{layer.name}'))")
            for press in (None, "Shift+ArrowRight"):
                if press:
                    page.keyboard.press(press)
                    opened.settled()
                y, x, c = map(int, re.findall(r"\d+", page.locator(".clicked code").inner_text()))
                read = np.pad(layer.x[0] if way == "forward" else layer.dout[0], ((1, 1), (1, 1), (0, 0)))
                weight = layer.params["weight"]
                used = weight[..., c] if way == "forward" else weight[::-1, ::-1, c]
                parts = (read[y : y + 3, x : x + 3] * used).sum((0, 1))
                said = page.locator(".grids p").first.inner_text().replace(MINUS, "-")
                channel, part = re.fullmatch(r"Channel (\d+) of \w+ contributes (\S+):", said).groups()
                assert abs(parts[int(channel)]) == pytest.approx(abs(parts).max(), rel=1e-6)
                assert float(part) == pytest.approx(parts[int(channel)], rel=1e-4)
                letter = "x" if way == "forward" else "dout"
                small = page.locator(f"section.panel[data-letter={letter}] .thumbs button[aria-pressed=true]")
                shown = small.evaluate("(button) => [...button.parentElement.children].indexOf(button)")
                assert shown == int(channel), "the picture shows the same channel"


def test_sum_of_zeros_shows_a_channel_that_it_reads(browser, tiny_walk):
    """A depthwise convolution reads one channel, and its products may all be 0."""
    with Opened(browser, tiny_walk) as opened:
        shown = opened.page.evaluate("""async () => {
          const { readingFor } = await import("walk/channels.js"), { steps } = await import("walk/steps.js");
          const sum = (products) => products.map((product) => ({ channel: 3, product }));
          return [[0, 0], [1, -1], []].map((each) => readingFor(steps[2], { terms: sum(each), read: { shown: 6 } }));
        }""")
        assert shown == [3, 3, 0]


@pytest.mark.parametrize("step", ["forward:encoder2.conv1", "backward:encoder2.conv1"])
@pytest.mark.parametrize("by", ["click", "Enter"])
def test_cells_of_the_sum_lead_to_their_own_sums(browser, tiny_walk, step, by):
    with Opened(browser, tiny_walk, address=f"#{step}") as opened:
        page, total = opened.page, opened.page.locator(".stack > div:not(.outside)").count()
        cells = page.locator(".stack button")
        assert cells.count() == total
        name = page.locator(".stack > div:not(.outside)").first.get_attribute("title").split(" = ")[0]
        value = page.locator(".stack .value").first.inner_text()
        if by == "click":
            cells.first.click()
        else:
            cells.first.press("Enter")
        page.locator(".trail").wait_for()
        letter = "out" if "forward" in step else "dx"
        assert page.locator(".clicked code").inner_text() == letter + name[name.index("[") :]
        shown = float(page.locator(".clicked").inner_text().split(" = ")[1].replace(MINUS, "-"))
        assert shown == pytest.approx(float(value.replace(MINUS, "-")), rel=6e-3)
        page.locator(".uses button").first.click()
        opened.wait_for_step(step)


@pytest.mark.parametrize("step", ["forward:encoder2.pool", "backward:decoder2.unpool"])
def test_cells_of_the_arrows_lead_to_their_sums(browser, tiny_walk, step):
    """All cells by click, those of the selected window by Enter."""
    with Opened(browser, tiny_walk, address=f"#{step}") as opened:
        page = opened.page
        for choose in (lambda cell: cell.press("Enter"), lambda cell: cell.click(force=True)):
            cells = page.locator(".arrows .link[role=button]")
            assert cells.count() == 5, "four cells of the window and the one of the smaller map"
            assert page.locator(".arrows .link").count() > 5
            at = re.search(r"\[.*\]", cells.first.get_attribute("aria-label"))[0]
            choose(cells.first)
            page.locator(".trail").wait_for()
            assert page.locator(".clicked code").inner_text().endswith(at)
            assert opened.step != step
            page.locator(".trail button").first.click()
            opened.wait_for_step(step)
            page.locator(".trail").wait_for(state="detached")


def test_gradients_lead_to_the_step_that_computes_them(browser, tiny_walk):
    """In every step, each gradient that the number passes on is a link."""
    with Opened(browser, tiny_walk) as opened:
        page = opened.page
        kinds = opened.evaluate(
            "[...new Map(steps.filter((s) => s.way === 'forward').map((s) => [s.title, s.index])).values()]"
        )
        for k in kinds:
            opened.evaluate(f"go({k})")
            step, links = opened.step, page.locator(".gradient table .follow")
            assert links.count() >= 1, step
            name = links.first.inner_text().removesuffix(" +=")
            links.first.click()
            opened.wait_for_step(step.replace("forward", "backward"))
            page.locator(".clicked code", has_text=name).wait_for()


def test_numbers_are_read_by_every_step_that_reads_them(browser, tmp_path):
    """Every number that a later step reads has a way forward, also through skip connections."""
    model, path = network(EVERY_KIND), tmp_path / "walk.html"
    ts.walk(model, IMAGE, labels_for(model)).save(path)
    with Opened(browser, path) as opened:
        last = opened.count - 1
        for k in range(0, opened.count, 1 if LONG else 6):
            opened.evaluate(f"go({k})")
            ends = opened.step == "loss:loss" or k == last  # nothing reads the loss or the gradient of the picture
            assert (opened.page.locator(".uses button").count() == 0) == ends, opened.step
        source = next(name for name, layer in model.layers.items() if "skipsource" in name)
        opened.evaluate(f"go(steps.findIndex((step) => step.id === 'forward:{source}'))")
        assert "skipadd" in opened.page.locator(".uses").inner_text()


def test_jumps_lead_to_wrong_pixels_and_to_the_largest_loss(browser, tiny_walk):
    model = lively("tiny", width=1 / 8)
    labels = labels_for(model)
    walk = trace(model, IMAGE, labels, ignore_label=255)
    wrong = (walk.logits[0].argmax(-1) != labels) & (labels != 255)
    parts = walk.loss.parts[0, :, :, 0]
    for step in ("answer:answer", "loss:loss", "loss-backward:loss"):
        with Opened(browser, tiny_walk, address=f"#{step}") as opened:
            page = opened.page
            assert f"{wrong.sum()} pixels are wrong" in page.locator(".jumps").inner_text()

            def jump(name, opened=opened, page=page):
                page.get_by_role("button", name=name, exact=True).press("Enter")
                opened.evaluate("redraw()")
                return tuple(map(int, re.findall(r"\d+", page.locator(".clicked code").inner_text())[:2]))

            assert parts[jump("largest loss")] == parts.max()
            seen = [jump("next wrong pixel") for _ in range(4)]
            assert len(set(seen)) == 4
            assert all(wrong[pixel] for pixel in seen)
            opened.evaluate("(state.place = [0.01, 0.01], redraw())")  # not labelled
            row, column = jump("nearest wrong pixel")
            distances = np.hypot(*(axis for axis in np.nonzero(wrong)))
            assert np.hypot(row, column) == pytest.approx(distances.min())
            assert page.evaluate("document.activeElement.textContent") == "nearest wrong pixel"


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_tables_fit_or_can_be_scrolled(browser, tiny_walk, size):
    """No table is cut off. One that is wider than its place can be scrolled with the keyboard, and shows that."""
    viewport = dict(zip(("width", "height"), size, strict=True))
    with Opened(browser, tiny_walk, viewport=viewport) as opened:
        kinds = opened.evaluate("[...new Map(steps.map((s) => [s.way + s.title, s.index])).values()]")
        for k in kinds[:: amount(3, 1)]:
            opened.evaluate(f"go({k})")
            cut = opened.page.evaluate("""[...document.querySelectorAll("main table")].filter((table) => {
              const { clientWidth, tabIndex } = table.parentElement, fits = table.offsetWidth <= clientWidth + 1;
              const scrolls = tabIndex === 0 && getComputedStyle(table.parentElement).backgroundImage !== "none";
              return !(fits || (scrolls && (innerWidth < 400 || table.closest(".formula-section"))));
            }).map((table) => table.innerText.slice(0, 60) + table.offsetWidth)""")
            assert cut == [], opened.step
            assert opened.page.evaluate("document.documentElement.scrollWidth") == size[0], opened.step
