"""A fragment of the lessons, opened in the frame of a page, for tests."""

import json

from browser import DESKTOP

from tinysegnet_lessons import fragments

OUTSIDE = '<!doctype html><html lang="en"><title>t</title><body style="margin:0;color:{colour}"><main>{fragment}</main>'


class Shown:
    """A fragment in the frame of a page."""

    def __init__(self, browser, folder, name, size=DESKTOP, *, dark=False, **settings):
        self.errors, self.requests = [], []
        self.context = browser.new_context(viewport=dict(zip(("width", "height"), size, strict=True)), **settings)
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("request", lambda request: self.requests.append(request.url))
        path = folder / f"{name}.html"
        fragment = fragments.show(name)._repr_html_()
        path.write_text(OUTSIDE.format(colour="#eee" if dark else "#111", fragment=fragment), encoding="utf-8")
        self.page.goto(path.as_uri())
        self.frame = next(frame for frame in self.page.frames if frame.parent_frame)
        self.frame.wait_for_selector("html[data-theme]")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()

    def call(self, function, *arguments):
        """Call a function of the page's scripts."""
        return self.frame.evaluate(f"{function}(...{json.dumps(arguments)})")

    def drag(self, name, value):
        """Move a slider, as the keyboard or the pointer do."""
        self.frame.get_by_label(name, exact=True).evaluate(
            "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }", str(value)
        )

    def press(self, name):
        self.frame.get_by_role("button", name=name, exact=True).click()

    def board(self, start):
        """Return the texts of a board as rows; `start` is the beginning of its name."""
        cells = self.frame.locator(f'.board[aria-label^="{start}"] .row')
        return [row.locator(".cell").all_inner_texts() for row in cells.all()]

    def text(self, selector):
        return self.frame.locator(selector).first.inner_text().replace("\N{MINUS SIGN}", "-")
