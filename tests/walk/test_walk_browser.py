"""A walk in a real browser: steps, slider, keys, clicks, and sums that add up, without errors or requests."""

import numpy as np
import pytest
from browser import PHONE
from forms import LONG, amount
from walk_pages import EVERY_KIND, FIVE, IMAGE, NETWORKS, Opened, evaluate, labels_for, lively, network

import tinysegnet as ts
from tinysegnet.walk.trace import trace

pytestmark = pytest.mark.usefixtures("without_compiling")

# The networks whose steps are drawn.
DRAWN = (EVERY_KIND, "basic", "article", "bilinear-interpolation", "fcn-basic", "basic-encoder-addition",
         "bayesian-basic", "basic-single-channel-decoder")  # fmt: skip
MINUS = "\N{MINUS SIGN}"

# Returns, for every step, at the corners and the middle of its grid, in the first, a middle and the last channel, the
# number that the page computes and the network's number.
EVERY_SUM = """async () => {
  const found = [];
  for (const step of steps.slice(1)) {
    const node = await nodeOf(step.node), result = resultOf(step, node);
    const some = (axis) => [...new Set([axis[0], axis[axis.length >> 1], axis[axis.length - 1]])];
    for (const y of some(result.grid[0])) for (const x of some(result.grid[1]))
      for (const c of new Set([0, result.shown >> 1, result.shown - 1])) {
        const { name, computed, shown, scale, complete } = explain(step, node, y, x, c);
        found.push([step.id + " " + name, computed, shown, scale, complete]);
      }
  }
  return found;
}"""


def test_complaints_contain_errors_and_requests(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text("<script>missing()</script><img src='https://example.com/x.png'>")
    opened = Opened(browser, path, is_walk=False)
    opened.page.wait_for_timeout(200)
    assert any("missing" in complaint for complaint in opened.complaints)
    assert any("example.com" in complaint for complaint in opened.complaints)
    opened.context.close()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_sum_of_every_network_adds_up(browser, tmp_path, name):
    """Sums are correct to 1e-5 of their largest summand, and steps of every kind can be drawn."""
    model = network(name)
    path = tmp_path / "walk.html"
    ts.walk(model, IMAGE, labels_for(model)).save(path)
    with Opened(browser, path) as opened:
        assert opened.count == 2 * len(model.layers) + 4
        found = opened.evaluate(f"({EVERY_SUM})()")
        assert len(found) > 9 * (opened.count - 1)
        for where, computed, shown, scale, complete in found:
            assert complete, where
            # float32 numbers below 1e-37 have fewer digits
            assert abs(computed - shown) <= 1e-5 * max(scale, abs(shown), 1e-37), (where, computed, shown, scale)
        for k in range(0, opened.count if name in DRAWN else 0, 1 if LONG or name == EVERY_KIND else 4):
            opened.evaluate(f"go({k})")
            assert opened.page.locator("main h1").count() == 1
            assert opened.page.locator(".bad").count() == 0


@pytest.mark.smoke
def test_click_shows_the_sum_of_the_pixel(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:decoder2.conv1") as opened:
        assert opened.step == "forward:decoder2.conv1"
        clicked = set()
        for share in (0.1, 0.5, 0.95):
            picture = opened.page.locator("section.panel[data-letter=out] .picture")
            box = picture.bounding_box()
            picture.click(position={"x": share * box["width"], "y": share * box["height"]})
            opened.settled()
            clicked.add(opened.page.locator(".clicked code").inner_text())
            verdict = opened.page.locator(".verdict")
            computed = float(verdict.get_attribute("data-computed"))
            assert "✓" in verdict.inner_text()
        assert len(clicked) == 3
        opened.page.get_by_role("button", name="all ").first.click()
        opened.settled()
        opened.evaluate("(state.allRows = true, redraw())")
        rows = opened.page.locator(".derivation table").last.locator("tbody tr")
        products = [float(text.replace(MINUS, "-")) for text in rows.locator("td:nth-child(4)").all_inner_texts()]
        assert sum(products) == pytest.approx(computed, abs=1e-4)


def test_link_leads_from_a_number_to_its_own_sum(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder2.conv1") as opened:
        row = opened.page.locator(".derivation tr", has=opened.page.locator(".follow")).first
        name, value = row.locator(".follow").inner_text(), row.locator("td").nth(1).inner_text()
        row.locator(".follow").click()
        opened.settled()
        assert opened.step == "forward:encoder1.pool"
        assert opened.page.locator(".clicked").inner_text() == f"{name.replace('x', 'out')} = {value}"
    with Opened(browser, tiny_walk, address="#backward:encoder2.conv1") as opened:
        name = opened.page.locator(".derivation table .follow").first.inner_text()
        opened.page.locator(".derivation table .follow").first.click()
        opened.settled()
        assert opened.step == "backward:encoder2.bn1"
        assert opened.page.locator(".clicked code").inner_text() == name.replace("dout", "dx")


def test_slider_keys_buttons_and_address_select_steps(browser, tiny_walk):
    with Opened(browser, tiny_walk) as opened:
        keyboard, last = opened.page.keyboard, opened.count - 1
        assert opened.step == "start"
        right, left = "ArrowRight", "ArrowLeft"
        for key, expected in ((right, 1), (right, 2), (left, 1), ("End", last), (right, last), ("Home", 0), (left, 0)):
            keyboard.press(key)
            assert opened.evaluate("state.step") == expected
        slider = opened.page.locator("#slider")
        slider.fill("5")
        assert opened.step == "forward:encoder1.pool"
        assert opened.page.evaluate("location.hash") == "#forward:encoder1.pool"
        slider.press("ArrowRight")  # moves by one step, not two, although the slider has the focus
        assert opened.evaluate("[state.step, document.getElementById('slider').value]") == [6, "6"]
        opened.page.locator("#next").click()
        opened.page.locator("#previous").click()
        assert opened.evaluate("state.step") == 6
        keyboard.press("b")
        assert opened.step == "backward:encoder2.conv1"
        keyboard.press("b")
        assert opened.step == "forward:encoder2.conv1"
        opened.page.locator("#contents summary").click()
        opened.page.locator("#steps button").nth(3).click()
        assert opened.evaluate("state.step") == 3
        opened.page.evaluate("location.hash = '#loss:loss'")
        opened.wait_for_step("loss:loss")
        opened.page.reload()
        opened.evaluate("ready")
        assert opened.step == "loss:loss"


def test_keys_and_small_pictures_select_pixels_and_channels(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder1.conv1") as opened:
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
        assert "Channel 2 of x" in opened.settled().page.locator(".grids p").first.inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_a_phone_in_light_and_dark(browser, tiny_walk, scheme):
    with Opened(
        browser,
        tiny_walk,
        viewport=dict(zip(("width", "height"), PHONE, strict=True)),
        color_scheme=scheme,
        is_mobile=True,
        has_touch=True,
    ) as opened:
        paper = {"light": "rgb(255, 255, 255)", "dark": "rgb(23, 24, 28)"}
        background = "getComputedStyle(document.body).backgroundColor"
        for k in range(0, opened.count, amount({"light": 5, "dark": 20}[scheme], 1)):
            opened.evaluate(f"go({k})")
            assert opened.page.evaluate("document.documentElement.scrollWidth") == PHONE[0], opened.step
        assert opened.page.evaluate(background) == paper[scheme]
        opened.page.locator("#theme").tap()
        assert opened.page.evaluate(background) == paper["dark" if scheme == "light" else "light"]


def test_page_shows_nan_as_nan(browser, tmp_path):
    model, path = lively("tiny"), tmp_path / "walk.html"
    model.layers["encoder2.conv1"].params["weight"][:] = np.nan
    ts.walk(model, IMAGE, labels_for(model), palette=FIVE).save(path)
    with Opened(browser, path) as opened:
        for k in range(0, opened.count, amount(9, 1)):
            opened.evaluate(f"go({k})")
            assert opened.page.locator(".bad").count() == 0, opened.step
        opened.evaluate("go(steps.findIndex((step) => step.id === 'forward:encoder2.conv1'))")
        assert "= NaN" in opened.page.locator(".clicked").inner_text()
        assert "not finite" in opened.page.locator("section.panel[data-letter=out]").inner_text()
        assert opened.page.locator(".bad").count() == 0


def test_page_shows_names_as_text(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#answer:answer") as opened:
        assert "<b>land</b>" in opened.page.locator(".derivation").inner_text()


def test_large_picture_shows_the_array(browser, tiny_walk):
    """The picture has the array's size, and larger numbers have stronger colours."""
    relu = trace(lively("tiny", width=1 / 8), IMAGE, None).layers[3].out[0, :, :, 0]
    H, W = relu.shape
    with Opened(browser, tiny_walk, address="#forward:encoder1.relu1") as opened:
        opened.evaluate("chooseChannel(0)")
        canvas = "document.querySelector('section.panel[data-letter=out] .picture canvas')"
        assert opened.page.evaluate(f"[{canvas}.height, {canvas}.width]") == [H, W]
        pixels = opened.page.evaluate(f"Array.from({canvas}.getContext('2d').getImageData(0, 0, {W}, {H}).data)")
        light = np.reshape(pixels, (H, W, 4))[:, :, :3].sum(2)
        order = np.argsort(relu, axis=None)
        assert np.all(np.diff(light.ravel()[order]) <= 0)
        assert len(np.unique(light)) > 20


def test_page_in_a_notebook_leaves_the_address_alone(browser, tmp_path):
    path = tmp_path / "notebook.html"
    shown = ts.walk(lively("tiny"), IMAGE)._repr_html_()
    path.write_text(f"<!doctype html>{shown}", encoding="utf-8")
    with Opened(browser, path, is_walk=False) as opened:
        frame = opened.page.frames[1]
        evaluate(frame, "ready")
        frame.locator("#next").click()
        evaluate(frame, "redraw()")
        assert frame.locator("main h1").inner_text() == "input"
        assert "#" not in opened.page.url


def test_page_says_that_a_notebook_forbids_its_scripts(browser, tmp_path):
    """A notebook may allow scripts but no modules from data: URLs, and its frames inherit the policy."""
    path, policy = tmp_path / "notebook.html", "script-src 'unsafe-inline'"
    shown = ts.walk(lively("tiny"), IMAGE)._repr_html_()
    head = f'<!doctype html><meta http-equiv="Content-Security-Policy" content="{policy}">'
    path.write_text(head + shown, encoding="utf-8")
    opened = Opened(browser, path, is_walk=False)
    said = opened.page.frames[1].locator("main", has_text="cannot run here").inner_text()
    assert "Save the page" in said
    assert any("Content Security Policy" in complaint for complaint in opened.complaints)
    opened.context.close()


class Squash(ts.layers.Layer):
    """A layer that the page does not know."""

    def _forward(self, x, tape):
        return np.tanh(x), np.tanh(x)

    def _backward(self, dout, cache, tape, input_gradient):
        return dout * (1 - cache**2)


class Leaky(ts.layers.ReLU):
    """A layer that inherits from a known layer but computes something else."""

    def _forward(self, x, tape):
        return np.where(x > 0, x, 0.1 * x), x

    def _backward(self, dout, cache, tape, input_gradient):
        return np.where(cache > 0, dout, 0.1 * dout)


def test_custom_layers_refer_to_their_source(browser, tmp_path):
    tiny, path = lively("tiny"), tmp_path / "walk.html"
    model = ts.Network({**tiny.layers, "encoder1.relu1": Leaky(), "classifier.squash": Squash()}, tiny.config)
    ts.walk(model, IMAGE, labels_for(model), palette=FIVE).save(path)
    own_code = "The layer's own code"
    with Opened(browser, path) as opened:
        for layer, title in (("encoder1.relu1", "Leaky"), ("classifier.squash", "Squash")):
            for way in ("forward", "backward"):
                opened.evaluate(f"go(steps.findIndex((step) => step.id === '{way}:{layer}'))")
                assert f"{way} · {title}".lower() in opened.page.locator("main").inner_text().lower()
                assert own_code in opened.page.locator(".derivation").inner_text()
                assert opened.page.locator(".verdict").count() == 0, "the page computes nothing to compare"
                assert f"def _{way}(self" in opened.page.locator(".source").inner_text()
        opened.evaluate("go(steps.findIndex((step) => step.id === 'forward:classifier.squash'))")
        assert own_code in opened.page.locator(".gradient").inner_text()
        for where, computed, shown, scale, complete in opened.evaluate(f"({EVERY_SUM})()"):
            assert complete, where
            assert computed is None or abs(computed - shown) <= 1e-5 * max(scale, abs(shown), 1e-37), where
