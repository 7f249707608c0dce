"""What the browser of the tests reports as an error of a page, and what not."""

from __future__ import annotations

import pytest
from browser import opened


@pytest.mark.long
def test_a_missing_file_is_an_error_but_an_icon_aborted_by_the_next_page_is_not(tmp_path):
    (tmp_path / "icon.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    for number in range(20):
        page = f'<link rel="icon" href="icon.svg"><p>{number}</p>'
        (tmp_path / f"{number}.html").write_text(page)
    (tmp_path / "broken.html").write_text('<img src="missing.png">')
    with opened() as browser:
        aborted = []
        browser.page.on("requestfailed", lambda request: aborted.append(request.url))
        for number in range(20):
            browser.open(tmp_path / f"{number}.html")
        assert any("icon.svg" in url for url in aborted)
        assert browser.take() == []
        browser.open(tmp_path / "broken.html")
        assert any("failed" in error and "missing.png" in error for error in browser.take())
