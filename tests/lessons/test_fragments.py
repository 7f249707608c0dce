"""Every fragment opens without errors and requests, fits its frame, is accessible, and prints the code that runs."""

import re

import pytest
from browser import PHONE, launched
from fragment_pages import Shown
from house_rules import long_files, unreadable_scripts
from lesson_runs import build

from tinysegnet.errors import SettingError
from tinysegnet_lessons import fragments
from tinysegnet_lessons.fragments.fragment import SOURCE


@pytest.fixture(scope="module")
def browser():
    with launched() as browser:
        yield browser


every_fragment = pytest.mark.parametrize("name", fragments.NAMES)


# --- every fragment ---------------------------------------------------------------------------------------------------


@every_fragment
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_fragment_opens_without_errors_and_requests(browser, tmp_path, name, dark):
    with Shown(browser, tmp_path, name, dark=dark) as shown:
        assert shown.errors == []
        assert [url for url in shown.requests if not url.startswith(("file:", "about:"))] == []
        assert shown.frame.evaluate("document.documentElement.dataset.theme") == ("dark" if dark else "light")
        policy = shown.frame.evaluate("fetch('https://example.invalid').catch((error) => error.message)")
        assert policy == "Failed to fetch"
        assert any("Content Security Policy" in error for error in shown.errors)


@every_fragment
@pytest.mark.parametrize("size", [PHONE, (900, 700)], ids=["phone", "desk"])
def test_fragment_fits_its_frame(browser, tmp_path, name, size):
    with Shown(browser, tmp_path, name, size) as shown:
        shown.page.wait_for_function("document.querySelector('iframe').style.height !== '40rem'")
        beyond = [f"document.documentElement.scroll{side} - inner{side}" for side in ("Width", "Height")]
        assert [shown.frame.evaluate(side) for side in beyond] == [0, 0]
        cut = shown.frame.evaluate("""[...document.querySelectorAll(".cell, button, h2, label, .tile, .map")]
            .filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.outerHTML)""")
        assert cut == []


@every_fragment
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_fragment_is_accessible(browser, tmp_path, name, dark):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()
    (path := tmp_path / "fragment.html").write_text(fragments.show(name).page, encoding="utf-8")
    page = browser.new_page(color_scheme="dark" if dark else "light")
    try:
        page.goto(path.as_uri())
        page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
        found = axe.run(page).response["violations"]
        assert [(v["id"], [node["html"][:200] for node in v["nodes"]][:3]) for v in found] == []
    finally:
        page.close()


def test_fragment_follows_the_theme_of_the_page(browser, tmp_path):
    """As JupyterLab, VS Code, Colab and the site do, the page changes its text colour and an attribute."""
    with Shown(browser, tmp_path, "pooling") as shown:
        cell = shown.frame.locator(".cell").first
        light = cell.evaluate("(element) => getComputedStyle(element).color")
        shown.page.evaluate("document.body.style.color = '#eee'; document.body.dataset.theme = 'dark'")
        shown.frame.locator("html[data-theme=dark]").wait_for()
        assert cell.evaluate("(element) => getComputedStyle(element).color") != light


def test_fragment_needs_no_access_to_the_page_around_it(browser, tmp_path):
    (path := tmp_path / "page.html").write_text(
        fragments.show("slope")._repr_html_().replace("<iframe ", '<iframe sandbox="allow-scripts" ')
    )
    page = browser.new_page(viewport={"width": 900, "height": 700}, color_scheme="dark")
    try:
        page.goto(path.as_uri())
        page.frame_locator("iframe").locator("html[data-theme=dark] .curve").first.wait_for()
    finally:
        page.close()


@every_fragment
def test_touch_targets_are_large_enough(browser, tmp_path, name):
    """Controls have 44 pixels. Pictures that are drawn by dragging count as one target."""
    with Shown(browser, tmp_path, name, PHONE, is_mobile=True, has_touch=True) as shown:
        small = shown.frame.evaluate("""
          [...document.querySelectorAll("button, summary, input, .board:not(.drag) [role=gridcell]")].filter((e) => {
            const { width, height } = e.getBoundingClientRect();
            return width && Math.min(width, height) < 43;
          }).map((e) => e.outerHTML.slice(0, 90))""")
        assert name == "convolution" or small == []
        assert all('data-row="' in html for html in small)  # only the numbers of the output, which the pointer visits


@every_fragment
def test_printed_code_is_the_code_that_runs(browser, tmp_path, name):
    with Shown(browser, tmp_path, name) as shown:
        printed = shown.frame.locator("#code code").text_content()
        lines = [line for line in printed.splitlines() if line]
        assert 9 <= len(lines) <= 32
        functions = re.findall(r"^(?:const|function) (\w+)", printed, re.MULTILINE)
        assert functions
        for function in functions:
            running = shown.frame.evaluate(f"String({function})")
            plain = re.sub(r"\s*/\*\*.*?\*/\s*", " ", running, flags=re.DOTALL)
            assert "".join(plain.split()) in "".join(printed.split())


def test_every_lesson_shows_fragments_that_exist():
    texts = {build.number(source): source.read_text(encoding="utf-8") for source in build.SOURCES}
    shown = {lesson: re.findall(r'^fragments\.show\("(\w+)"\)$', text, re.MULTILINE) for lesson, text in texts.items()}
    found = {lesson: names for lesson, names in shown.items() if names}
    assert found == {"01": ["convolution"], "02": ["slope"], "03": ["slope"], "05": ["pooling"], "07": ["network"],
                     "08": ["learning_rate"], "09": ["journey"]}  # fmt: skip
    with pytest.raises(SettingError, match=r"fragment.*convolution"):
        fragments.show("convolutoin")


def test_scripts_are_short_and_readable():
    assert long_files(SOURCE) == []
    assert list(unreadable_scripts(SOURCE)) == []
