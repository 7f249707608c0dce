"""The first page of a walk leads newcomers on: film, journey, largest loss, the network without indices."""

import re

import numpy as np
import pytest
from browser import DESKTOP, PHONE
from walk_pages import IMAGE, Opened, labels_for, lively

import tinysegnet as ts
from tinysegnet.walk.trace import trace

pytestmark = pytest.mark.usefixtures("without_compiling")


def viewport(size):
    return dict(zip(("width", "height"), size, strict=True))


def button(opened, name):
    return opened.page.locator(".begin button", has_text=name)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desk", "phone"])
def test_first_screen_shows_where_to_begin(browser, tiny_walk, size):
    with Opened(browser, tiny_walk, viewport=viewport(size)) as opened:
        boxes = [each.bounding_box() for each in opened.page.locator(".begin button").all()]
        assert len(boxes) == 3
        assert max(box["y"] + box["height"] for box in boxes) < size[1]
        button(opened, "journey").click()
        opened.page.locator(".journey").wait_for()
        assert 0 <= opened.page.locator(".journey h2").bounding_box()["y"] < size[1]
        assert opened.page.get_by_role("button", name="show its journey").get_attribute("aria-pressed") == "true"


def test_first_page_leads_to_the_film_and_to_the_largest_loss(browser, tiny_walk):
    model = lively("tiny", width=1 / 8)
    parts = trace(model, IMAGE, labels_for(model), ignore_label=255).loss.parts[0, :, :, 0]
    with Opened(browser, tiny_walk, viewport=viewport(DESKTOP)) as opened:
        button(opened, "film").click()
        opened.page.locator("#film p").wait_for()
        button(opened, "largest loss").click()
        opened.wait_for_step("loss:loss")
        assert opened.page.locator("#film").is_hidden()
        opened.page.locator(".clicked code", has_text="loss[").wait_for()
        row, column = map(int, re.findall(r"\d+", opened.page.locator(".clicked code").inner_text()))
        assert parts[row, column] == parts.max()


def test_network_without_indices_is_one_click_away(browser, tiny_walk):
    model = lively("tiny", width=1 / 8)
    layers = {name: ts.layers.FixedUnpool2d(layer.pool) if type(layer) is ts.layers.MaxUnpool2d else layer
              for name, layer in model.layers.items()}  # fmt: skip
    labels = labels_for(model)
    losses = [trace(each, IMAGE, labels, ignore_label=255).loss.value for each in (model, ts.Network(layers))]
    with Opened(browser, tiny_walk, viewport=viewport(DESKTOP)) as opened:
        page, shown = opened.page, opened.page.locator("[data-stage=loss] small").first
        switch = page.get_by_role("button", name="without indices")
        for loss, crossing in ((losses[0], "indices"), (losses[1], "no indices"), (losses[0], "indices")):
            assert set(page.locator(".crossing:not(.main)").all_inner_texts()) == {crossing}
            shown.filter(has_text=f"{loss:.4g}"[:5]).wait_for()
            assert float(shown.inner_text()) == pytest.approx(loss, rel=1e-4)
            switch.click()
            opened.settled()


def test_pixel_and_its_journey_follow_the_network(browser, tiny_walk):
    """The order of the first page. A click in the picture changes the pixel whose journey is shown."""
    with Opened(browser, tiny_walk, viewport=viewport(DESKTOP)) as opened:
        page = opened.page
        button(opened, "journey").click()
        page.locator(".journey").wait_for()
        parts = [".begin", ".network-map", ".sight", ".journey", ".overview"]
        assert np.all(np.diff([page.locator(part).bounding_box()["y"] for part in parts]) > 0)
        picture = page.locator("section.panel[data-letter=x] .picture")
        box, (H, W) = picture.bounding_box(), IMAGE.shape[:2]
        picture.click(position={"x": 20.5 / W * box["width"], "y": 7.5 / H * box["height"]})
        page.locator(".journey h2", has_text="row 7, column 20").wait_for()
