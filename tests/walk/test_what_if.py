"""What if: the page's own forward pass follows a reader's changes as the library does."""

import copy
import re

import numpy as np
import pytest
from browser import DESKTOP, PHONE
from forms import amount
from walk_pages import IMAGE, Opened, labels_for, lively, network

import tinysegnet as ts
from tinysegnet import ops

pytestmark = pytest.mark.usefixtures("without_compiling")

CHANGES = amount(40, 200)
MINUS = "\N{MINUS SIGN}"
DESK = dict(zip(("width", "height"), DESKTOP, strict=True))
H, W, _ = IMAGE.shape


class Changed:
    """A network, a picture and labels with changes."""

    def __init__(self, model, image, labels):
        self.betas = {
            name: layer.params["beta"].copy() for name, layer in model.layers.items() if "beta" in layer.params
        }
        self.model, self.changed = copy.deepcopy(model), set()
        self.image, self.labels = image.copy(), labels.copy()

    def draw(self, rng):
        """Apply a random change, and return it as the page stores it. The page stores one change per parameter."""
        layers = self.model.layers
        convolutions = [name for name, layer in layers.items() if isinstance(layer, ts.layers.Conv2d)]
        norms = [name for name, layer in layers.items() if isinstance(layer, ts.layers.BatchNorm2d)]
        kind = rng.choice(["pixels", "weight", "bias", "gamma", "beta", "label", "indices"])
        y, x = int(rng.integers(H)), int(rng.integers(W))
        if kind == "pixels":
            size, rgb = int(rng.choice([1, 3, 9])), rng.integers(0, 256, 3).tolist()
            half = size // 2
            self.image[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1] = rgb
            return {"kind": kind, "y": y, "x": x, "size": size, "rgb": rgb}
        if kind == "label":
            self.labels[y, x] = label = int(rng.choice([0, 1, 2, 255]))
            return {"kind": kind, "y": y, "x": x, "label": label}
        if kind == "indices":
            for name, layer in layers.items():
                if type(layer) is ts.layers.MaxUnpool2d:
                    layers[name] = ts.layers.FixedUnpool2d(layer.pool)
            self.model = ts.Network(layers, self.model.config)
            return {"kind": kind}
        value = float(np.float32(rng.normal()))
        if kind == "weight":
            name = str(rng.choice(convolutions))
            weight = layers[name].params["weight"]
            at = tuple(int(rng.integers(n)) for n in weight.shape)
            if (name, at) in self.changed:
                return self.draw(rng)
            self.changed.add((name, at))
            was, weight[at] = float(weight[at]), value
            return {"kind": kind, "layer": name, "at": at, "value": value, "was": was}
        if kind == "bias":
            convolutions = [name for name in convolutions if "bias" in layers[name].params]
        name = str(rng.choice(convolutions if kind == "bias" else norms))
        vector = layers[name].params[kind]
        channel = int(rng.integers(len(vector)))
        if (name, kind, channel) in self.changed:
            return self.draw(rng)
        self.changed.add((name, kind, channel))
        was, vector[channel] = float(vector[channel]), value
        layer = name if kind == "bias" else name.replace("bn", "conv")
        found = {"kind": "parameter", "layer": layer, "name": kind, "channel": channel, "value": value, "was": was}
        return found | ({"beta": float(self.betas[name][channel])} if kind == "gamma" else {})

    def logits_and_loss(self):
        logits = self.model.forward(self.image[None].astype(np.float32))
        loss, _ = ops.softmax_cross_entropy_forward(logits, self.labels[None], ignore_label=255)
        return logits[0], float(loss)


def test_random_changes_give_the_logits_of_the_library(browser, tmp_path):
    model, rng, path = network("basic"), np.random.default_rng(3), tmp_path / "walk.html"
    labels = labels_for(model)
    ts.walk(model, IMAGE, labels).save(path)
    with Opened(browser, path) as opened:
        for _ in range(CHANGES // 4):
            changed, changes = Changed(model, IMAGE, labels), []
            for _ in range(4):
                changes.append(changed.draw(rng))
                run = opened.page.evaluate(
                    """async (changes) => {
                      const { state } = await import("walk/state.js");
                      const { changedRun } = await import("walk/what_if.js");
                      state.changes = changes;
                      const { logits, loss } = await changedRun();
                      return { logits: Array.from(logits), loss };
                    }""",
                    changes,
                )
                logits, loss = changed.logits_and_loss()
                difference = np.abs(np.reshape(run["logits"], logits.shape) - logits).max() / np.abs(logits).max()
                assert difference < 2e-5, changes
                assert run["loss"] == pytest.approx(loss, rel=1e-4), changes


def outcome(page):
    """Wait for the outcome of the changes, and return its rows and its sentence."""
    page.locator(".outcome:not([aria-busy]) table").wait_for()
    rows = {
        row.locator("td").first.inner_text(): row.locator("td").all_inner_texts()[1:]
        for row in page.locator(".outcome tbody tr").all()
    }
    return rows, page.locator(".outcome p").inner_text()


def number(text):
    return float(text.replace(MINUS, "-"))


def test_reader_switches_the_indices_off_and_sees_what_follows(browser, tiny_walk):
    model = lively("tiny", width=1 / 8)
    fixed = Changed(model, IMAGE, labels_for(model))
    for name, layer in fixed.model.layers.items():
        if isinstance(layer, ts.layers.MaxUnpool2d):
            fixed.model.layers[name] = ts.layers.FixedUnpool2d(layer.pool)
    logits, loss = Changed(ts.Network(fixed.model.layers), IMAGE, labels_for(model)).logits_and_loss()
    differing = int((logits.argmax(-1) != model.forward(IMAGE[None].astype(np.float32))[0].argmax(-1)).sum())
    with Opened(browser, tiny_walk, address="#forward:decoder1.unpool", viewport=DESK) as opened:
        page = opened.page
        assert "All 4 unpoolings of the network" in page.locator(".what-if").inner_text()
        page.get_by_role("button", name="indices off").press("Enter")
        rows, text = outcome(page)
        assert text == f"{differing} of {H * W} pixels get another class."
        assert number(rows["loss"][1]) == pytest.approx(loss, rel=1e-4)
        assert "indices off in all 4 unpoolings" in page.locator("#changes").inner_text()
        page.get_by_role("button", name="see the network").click()
        opened.wait_for_step("start")
        page.get_by_role("button", name="with your changes", pressed=True).wait_for()
        assert page.locator(".crossing:not(.main)").all_inner_texts() == ["no indices"] * 4
        while page.evaluate("document.querySelector('[data-stage=prediction] canvas').width") != IMAGE.shape[1]:
            page.wait_for_timeout(20)
        page.locator("#changes").get_by_role("button", name="undo").click()
        page.locator("#changes").wait_for(state="hidden")
        assert opened.evaluate("state.changes.length") == 0


@pytest.mark.parametrize("step", ["start", "forward:encoder2.conv1", "forward:encoder2.bn1", "loss:loss"])
def test_controls_change_the_network(browser, tiny_walk, step):
    with Opened(browser, tiny_walk, address=f"#{step}") as opened:
        page, control = opened.page, opened.page.locator(".what-if .control").first
        if step == "start":
            page.locator("input[type=color]").fill("#ff0000")
        elif step == "loss:loss":
            options = control.locator("option").all()
            other = next(o for o in options if not o.evaluate("option => option.selected"))
            control.locator("select").select_option(other.get_attribute("value"))
        else:
            control.locator("input[type=range]").focus()
            page.keyboard.press("PageUp")
            page.locator("#changes:not([hidden])").wait_for()
            for _ in range(8):
                page.keyboard.press("PageUp")  # the slider keeps the focus
        rows, _ = outcome(page)
        assert opened.evaluate("state.changes.length") == 1
        assert rows["loss"][0] != rows["loss"][1]


def test_reader_types_a_weight_and_takes_it_back(browser, tiny_walk):
    """With the keyboard alone: a field, buttons for 0 and for the network's value, an undo; the focus stays."""
    model = lively("tiny", width=1 / 8)
    with Opened(browser, tiny_walk, address="#forward:encoder2.conv1", viewport=DESK) as opened:
        page, notice = opened.page, opened.page.locator("#changes")
        stack, controls = page.locator(".stack").bounding_box(), page.locator(".what-if").bounding_box()
        assert stack["y"] < controls["y"] < page.locator(".derivation table").first.bounding_box()["y"]
        assert notice.is_hidden()
        page.locator(".derivation table").get_by_role("button", name="what if weight[").nth(2).press("Enter")
        field = page.locator(".what-if input[type=number]").first
        name = field.get_attribute("aria-label")
        page.locator(f".what-if input[aria-label='{name}']:focus").wait_for()
        at = tuple(map(int, re.findall(r"\d+", name)))
        own = float(model.layers["encoder2.conv1"].params["weight"][at])
        assert float(field.input_value()) == pytest.approx(own, rel=1e-5)

        def expected(value):
            changed = copy.deepcopy(model)
            changed.layers["encoder2.conv1"].params["weight"][at] = value
            return Changed(changed, IMAGE, labels_for(model)).logits_and_loss()[1]

        def kept(label):
            page.locator(f".what-if [aria-label='{label}']:focus").wait_for()

        field.press("Control+a")
        page.keyboard.type("1.5")
        page.keyboard.press("Enter")
        notice.get_by_text("to 1.5").wait_for()
        kept(name)
        assert number(outcome(page)[0]["loss"][1]) == pytest.approx(expected(1.5), rel=1e-4)
        page.get_by_role("button", name=f"set to 0: {name}").press("Enter")
        notice.get_by_text("to 0.").wait_for()
        kept(f"set to 0: {name}")
        assert number(outcome(page)[0]["loss"][1]) == pytest.approx(expected(0), rel=1e-4)
        for key in ("ArrowRight", "End"):
            page.keyboard.press(key)
            assert notice.is_visible()
            assert opened.evaluate("state.changes.length") == 1
        opened.evaluate("go(steps.findIndex((step) => step.id === 'forward:encoder2.conv1'))")
        page.get_by_role("button", name=f"reset: {name}").press("Enter")
        notice.wait_for(state="hidden")
        page.get_by_role("button", name=f"set to 0: {name}").press("Enter")
        notice.wait_for()
        page.keyboard.press("z")
        notice.wait_for(state="hidden")
        field.fill("")
        field.press("Enter")
        page.locator(f".what-if input[aria-label='{name}']:focus").wait_for()
        assert opened.evaluate("state.changes.length") == 0


def test_panel_keeps_its_scroll_position_after_a_change(browser, tiny_walk):
    with Opened(browser, tiny_walk, address="#forward:encoder2.conv1", viewport=DESK) as opened:
        page, top = opened.page, "document.querySelector('.sum').scrollTop"
        page.evaluate("document.querySelector('.sum').scrollTo(0, 150)")
        for name in ("set to 0: weight", "reset: weight", "set to 0: weight"):
            page.get_by_role("button", name=name).click()
            opened.evaluate("redraw()")
            assert page.evaluate(top) == 150
            if name.startswith("set"):
                page.locator(".outcome:not([aria-busy])").wait_for()
                assert page.evaluate(top) == 150


def test_changes_of_the_pixel_and_the_label_can_be_taken_back(browser, tiny_walk):
    with Opened(browser, tiny_walk) as opened:
        page = opened.page
        for step, control, value in (("start", "input[aria-label=red]", "250"), ("loss:loss", "select", "4")):
            opened.evaluate(f"go(steps.findIndex((step) => step.id === '{step}'))")
            field = page.locator(f".what-if .control {control}").first
            if control == "select":
                field.select_option(value)
            else:
                field.fill(value)
                field.press("Enter")
            page.locator("#changes:not([hidden])").wait_for()
            assert opened.evaluate("state.changes.length") == 1
            page.locator(".what-if .control").first.get_by_role("button", name="reset").click()
            page.locator("#changes").wait_for(state="hidden")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desk"])
def test_changed_pages_are_accessible(browser, tiny_walk, scheme, size):
    """The controls, the outcome and the notice: axe finds nothing, and every target has 44 pixels."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    viewport = dict(zip(("width", "height"), size, strict=True))
    with Opened(browser, tiny_walk, viewport=viewport, color_scheme=scheme) as opened:
        kinds = opened.evaluate("[...new Map(steps.map((s) => [s.way + s.title, s.index])).values()]")
        opened.evaluate("""Object.assign(state, { changes: [{ kind: "indices" },
          { kind: "weight", layer: "encoder2.conv1", at: [1, 1, 0, 0], value: 0, was: 0.1 }] })""")
        for k in kinds[:: amount(4, 1)]:
            opened.evaluate(f"go({k})")
            opened.page.locator(".outcome:not([aria-busy])").wait_for()
            found = axe.run(opened.page).response["violations"]
            assert [(v["id"], [n["html"][:200] for n in v["nodes"]][:3]) for v in found] == [], opened.step
            small = opened.page.evaluate("""[...document.querySelectorAll("#changes, .what-if, .jumps")].flatMap((e) =>
              [...e.querySelectorAll("button, input, select")]).filter((e) => {
              const { width, height } = e.getBoundingClientRect();
              return Math.min(width, height) < 43.5;
            }).map((e) => e.outerHTML.slice(0, 90))""")
            assert small == [], opened.step
            assert opened.page.evaluate("document.documentElement.scrollWidth") == size[0], opened.step


def test_networks_that_the_page_cannot_run_have_no_controls(browser, tmp_path):
    class Double(ts.layers.Layer):
        """Doubles every value."""

        def _forward(self, x, tape):
            return 2 * x, None

        def _backward(self, dout, cache, tape, input_gradient):
            return 2 * dout

    model, path = lively("tiny"), tmp_path / "walk.html"
    layers = {"double": Double(), **model.layers}
    ts.walk(ts.Network(layers), IMAGE, None).save(path)
    with Opened(browser, path, address="#forward:decoder1.unpool") as opened:
        assert opened.page.locator(".what-if").count() == 0
