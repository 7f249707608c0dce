"""What the browser of the tests reports as an error of a page, and what not."""

from __future__ import annotations

import pytest
from browser import opened


@pytest.mark.long
@pytest.mark.parametrize(("reason", "reported"), [("aborted", False), ("failed", True), ("connectionrefused", True)])
def test_a_request_aborted_by_the_next_page_is_no_error_and_any_other_failure_is(tmp_path, reason, reported):
    (tmp_path / "page.html").write_text('<img src="picture.png">')
    with opened() as browser:
        # Chromium itself aborts requests only at some moments; the test chooses the reason.
        browser.page.route("**/picture.png", lambda route: route.abort(reason))
        browser.open(tmp_path / "page.html")
        assert any(error.startswith("failed") and "picture.png" in error for error in browser.take()) == reported


@pytest.mark.long
def test_a_missing_file_is_an_error(tmp_path):
    (tmp_path / "broken.html").write_text('<img src="missing.png">')
    with opened() as browser:
        browser.open(tmp_path / "broken.html")
        assert any("failed" in error and "missing.png" in error for error in browser.take())
