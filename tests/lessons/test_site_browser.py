"""Every page of the site works in a browser: links, pictures, formulas and widths, without errors and requests.

The long form builds the site without running lessons, unless TINYSEGNET_SITE names a folder with a site. If chromium,
playwright, the site's packages or npm are missing, the tests are skipped with a message. In the short form,
test_site.py checks the links and pictures of the sources.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import pytest
from browser import DESKTOP, PHONE, demand, missing, opened

ROOT = Path(__file__).parents[2]
PACKAGES = ("sphinx", "myst_nb", "furo")

# Describe a page after its formulas have been drawn.
LOOK = """async () => {
    if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
    for (const image of document.images) { image.loading = "eager"; try { await image.decode(); } catch {} }
    const all = (what) => [...document.querySelectorAll(what)];
    return {
        links: all("a[href]").map((a) => a.href),
        ids: all("[id], a[name]").map((element) => element.id || element.name),
        empty: all("img").filter((image) => !image.naturalWidth).map((image) => image.src),
        formulas: all(".math").length,
        drawn: all(".math").filter((formula) => formula.querySelector("mjx-container svg")).length,
        refused: all("mjx-merror, [data-mml-node=merror]").map((formula) => formula.textContent),
    };
}"""


def _why_not() -> str | None:
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    return missing() or (f"needs {', '.join(absent)} (make site)" if absent else None)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    demand(_why_not())
    if given := os.environ.get("TINYSEGNET_SITE"):
        folder = ROOT / given
        assert (folder / "index.html").exists(), f"TINYSEGNET_SITE: no site in {folder}"
        return folder
    work = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(ROOT / "lessons" / "site" / "make.py"), "--lessons", "off", "--work", str(work)]
    done = subprocess.run([*command, "--out", str(work / "site")], capture_output=True, text=True, check=False)
    if done.returncode and "npm" in done.stderr:
        demand(done.stderr.strip().removeprefix("error: "))
    assert done.returncode == 0, done.stdout + done.stderr
    return work / "site"


@pytest.fixture(scope="module")
def pages(site):
    """Return for each path the page's content, its errors, and by how much it is wider than a phone."""
    found = {}
    with opened(DESKTOP) as browser:
        for path in sorted(site.rglob("*.html")):
            browser.page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
            browser.open(path)
            looked = browser.page.evaluate(LOOK)
            browser.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
            wide = browser.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found[path] = {**looked, "wide": wide, "errors": browser.take(), "away": browser.away}
    return found


@pytest.mark.long
def test_every_lesson_has_a_page(site, pages):
    lessons = len(list((ROOT / "lessons" / "src").glob("[0-9][0-9]*_*.py")))
    assert len([path for path in pages if re.match(r"\d\da?_", path.name)]) == lessons
    assert len(pages) > lessons + 30


@pytest.mark.long
def test_pages_have_no_errors_and_request_nothing(pages):
    assert {str(path): page["errors"] for path, page in pages.items() if page["errors"]} == {}
    assert next(reversed(pages.values()))["away"] == []  # requests of all pages, because one browser has opened them


@pytest.mark.long
def test_no_link_is_broken(pages):
    """Check links to files of the site and to places in them, but not web addresses."""
    ids = {path: set(page["ids"]) for path, page in pages.items()}
    broken = []
    for path, page in pages.items():
        for link in page["links"]:
            address, anchor = urldefrag(link)
            if urlparse(address).scheme != "file":
                continue
            target = Path(unquote(urlparse(address).path))
            if not target.is_file() or (anchor and unquote(anchor) not in ids.get(target, {unquote(anchor)})):
                broken.append(f"{path.name}: {link}")
    assert broken == []


@pytest.mark.long
def test_no_picture_is_missing(pages):
    assert {path.name: page["empty"] for path, page in pages.items() if page["empty"]} == {}


@pytest.mark.long
def test_all_formulas_are_drawn(pages):
    for path, page in pages.items():
        assert page["drawn"] == page["formulas"], path
        assert page["refused"] == [], path
        source = ROOT / "lessons" / "src" / f"{path.stem}.py"
        if path.parent.name == "lessons" and source.exists():
            written = len(re.findall(r"\$[^$\s]", "\n".join(_prose(source))))
            assert page["formulas"] > written / 4, (
                f"{path.name}: {written} formulas in the source, {page['formulas']} on the page"
            )
    assert sum(page["formulas"] for page in pages.values()) > 300


def _prose(source: Path) -> list[str]:
    return [line for line in source.read_text(encoding="utf-8").splitlines() if line.startswith("# ")]


@pytest.mark.long
def test_pages_fit_a_phone(pages):
    assert {path.name: page["wide"] for path, page in pages.items() if page["wide"] > 0} == {}


@pytest.mark.long
def test_search_finds_lessons_and_api_pages(site):
    with opened() as browser:
        browser.page.goto((site / "search.html").as_uri() + "?q=unpool")
        browser.page.wait_for_selector("#search-results li a")
        links = browser.page.eval_on_selector_all("#search-results li a", "found => found.map((a) => a.href)")
        assert any("05_max_pooling" in link for link in links)
        assert any("/api/" in link for link in links)
        browser.page.wait_for_selector("#search-results .excerpt mark")
        assert browser.take() == []
        assert browser.away == []


@pytest.mark.long
def test_a_solution_is_folded_and_opens(site):
    with opened() as browser:
        browser.open(site / "lessons" / "04_relu_and_batch_norm.html")
        solution = browser.page.locator("details.hide", has_text="Show the solution").first
        code = solution.locator(".highlight").first
        assert not code.is_visible()
        solution.locator("summary").click()
        assert code.is_visible()


@pytest.mark.long
def test_pages_follow_the_systems_light_and_dark_theme(site):
    paper = {}
    for dark in (False, True):
        with opened(PHONE, dark=dark) as browser:
            browser.open(site / "index.html")
            paper[dark] = browser.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {False: "rgb(255, 255, 255)", True: "rgb(23, 24, 28)"}


@pytest.mark.long
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_one_variant_of_a_picture_is_shown(site, size, dark):
    with opened(size, dark=dark) as browser:
        browser.open(site / "walk.html")
        shown = browser.page.eval_on_selector_all(
            "article img", "found => found.filter((image) => image.checkVisibility()).map((image) => image.src)"
        )
    expected = f"walk{'_narrow' if size == PHONE else ''}{'_dark' if dark else ''}.png"
    assert [address.rpartition("/")[2] for address in shown] == [expected]


# --- the checks can fail ----------------------------------------------------------------------------------------------

BAD = """<!doctype html><meta charset="utf-8"><a href="gone.html">a</a><a href="#nowhere">b</a><img src="gone.png">
<span class="math">x</span><div style="width:3000px">wide</div>
<script>console.error("told"); setTimeout(() => fetch("https://example.invalid/").catch(() => 0))</script>"""


@pytest.mark.long
def test_a_bad_page_is_found(tmp_path):
    demand(missing())
    path = tmp_path / "bad.html"
    path.write_text(BAD)
    with opened(PHONE) as browser:
        browser.open(path)
        looked = browser.page.evaluate(LOOK)
        wide = browser.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        browser.page.wait_for_timeout(300)
        page = {**looked, "wide": wide, "errors": browser.take(), "away": browser.away}
    assert "console error: told" in page["errors"]
    with pytest.raises(AssertionError, match="gone"):
        test_pages_have_no_errors_and_request_nothing({path: page})
    with pytest.raises(AssertionError, match="example"):
        test_pages_have_no_errors_and_request_nothing({path: {**page, "errors": []}})
    for test in (
        test_no_link_is_broken,
        test_no_picture_is_missing,
        test_all_formulas_are_drawn,
        test_pages_fit_a_phone,
    ):
        with pytest.raises(AssertionError):
            test({path: page})
    with pytest.raises(AssertionError, match="nowhere"):
        test_no_link_is_broken({path: page})
