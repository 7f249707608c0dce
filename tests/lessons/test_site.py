"""The site's sources: nothing of the project is left out, and plain docstrings come through as they were meant."""

import importlib
import inspect
import json
import pkgutil
import re
import sys
from pathlib import Path

import pytest

import tinysegnet as ts

ROOT = Path(__file__).parents[2]
SITE = ROOT / "lessons" / "site"


@pytest.fixture(scope="module", autouse=True)
def modules():
    """The site's own modules, which belong to no package; their names are given back afterwards."""
    names = [path.stem for path in SITE.glob("*.py")]
    kept = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(SITE))
    yield
    sys.path.remove(str(SITE))
    for name in names:
        sys.modules.pop(name, None)
    sys.modules.update(kept)


def module(name):
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def sources(tmp_path_factory, modules):
    folder = tmp_path_factory.mktemp("sources")
    module("gather").gather(folder)
    return folder


def read(path):
    return path.read_text(encoding="utf-8")


# --- what is there ----------------------------------------------------------------------------------------------------


def test_the_settings_are_there_and_fetch_nothing():
    text = read(SITE / "conf.py")
    assert "mathjax_path" in text
    assert "nb_ipywidgets_js = {}" in text
    for path in [*SITE.glob("*.py"), *(SITE / "static").iterdir()]:
        addresses = set(re.findall(r"https?://[^\s\"'>]+", read(path)))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path


def test_every_lesson_is_a_page(sources):
    lessons = sorted(path.stem for path in (ROOT / "lessons" / "src").glob("[0-9][0-9]_*.py"))
    toctree = read(sources / "lessons" / "index.md").split("{toctree}")[1]
    assert [line for line in toctree.splitlines() if re.match(r"\d\d_", line)] == lessons
    first_page = read(sources / "index.md")
    for name in lessons:
        assert (sources / "lessons" / f"{name}.ipynb").exists()
        (said,) = re.findall(rf"\(lessons/{name}\.ipynb\)\n  (.*)", first_page.split("{container} lesson-map")[1])
        assert said.endswith("?"), f"{name} asks no question"


def test_a_lesson_shows_the_task_and_folds_the_solution(sources):
    notebook = json.loads(read(sources / "lessons" / "04_relu_and_batch_norm.ipynb"))
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    texts = ["".join(cell["source"]) for cell in notebook["cells"]]
    folded = [n for n, cell in enumerate(notebook["cells"]) if "hide-input" in cell["metadata"].get("tags", ())]
    assert len(folded) >= 2
    for number in folded:
        assert 'raise NotImplementedError("your turn")' in texts[number - 1]
        assert "NotImplementedError" not in texts[number]
    assert not any("SOLUTION" in text for text in texts)
    assert sum("your turn" in text for text in texts) == len(folded)


def test_every_public_name_is_documented(sources):
    """Those of the package and of each area, and in areas without such a list of their files."""
    pages = "\n".join(read(path) for path in (sources / "api").glob("*.rst"))
    documented = set(re.findall(r"^\.\. (?:auto\w+|py:data):: (\S+)$", pages, re.M))
    paths = [f"tinysegnet.{area.name}" for area in pkgutil.iter_modules(ts.__path__) if area.ispkg]
    objects = {id(_value(path)) for path in documented}
    for path in ["tinysegnet", *paths]:
        package = importlib.import_module(path)
        for name in getattr(package, "__all__", ()):
            value = getattr(package, name)
            if not hasattr(value, "__path__") and not hasattr(value, "__file__"):
                assert f"{path}.{name}" in documented or id(value) in objects, f"{path}.{name} is on no page"
    assert len(documented) == len(re.findall(r"^\.\. (?:auto\w+|py:data):: ", pages, re.M)), "one is there twice"


def _value(path):
    package, _, name = path.rpartition(".")
    return getattr(importlib.import_module(package), name)


def test_every_section_of_the_readme_has_a_page(sources):
    markdown = module("markdown")
    found = markdown.sections(read(ROOT / "README.md"))
    assert len(found) >= 8
    for section in found:
        if section.page:
            text = read(sources / f"{section.page}.md")
            fences = re.findall(r"^```.*?^```", section.text, re.M | re.S)
            assert all(fence in text for fence in fences), section.title
            words = [line for line in section.text.splitlines() if line and not re.search(r"[\[#`]", line)]
            assert all(line in text for line in words), section.title


def test_every_picture_of_the_examples_is_in_the_gallery(sources):
    gallery = read(sources / "gallery.md")
    for path in (ROOT / "examples").glob("*.png"):
        assert f"(pictures/{path.name})" in gallery, path.name
        assert (sources / "pictures" / path.name).read_bytes() == path.read_bytes()


def test_every_command_is_there(sources, capsys):
    page = read(sources / "api" / "commands.md")
    for command in ("train", "evaluate", "predict", "data check", "bench", "lessons"):
        assert f"\n## tinysegnet {command}\n" in page
    assert "--recipe" in page


def test_gathered_again_nothing_is_written_and_what_is_old_goes(tmp_path):
    gathered = module("gather").Gathered(tmp_path)
    gathered.write("a/kept.md", "text")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "stale.md").write_text("stale")
    before = (tmp_path / "a" / "kept.md").stat().st_mtime_ns
    gathered.write("a/kept.md", "text")
    gathered.sweep()
    assert (tmp_path / "a" / "kept.md").stat().st_mtime_ns == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


# --- Markdown ---------------------------------------------------------------------------------------------------------


def test_sections_and_headings():
    markdown = module("markdown")
    text = "# t\nintro\n## A\nx\n```sh\n## no heading\n```\n### B\ny\n## C d\nz\n"
    a, c = markdown.sections(text)
    assert (a.title, c.title, c.text, c.page) == ("A", "C d", "z\n", "guides/c_d")
    raised = markdown.shifted(a.text, -1)
    assert raised == "x\n```sh\n## no heading\n```\n## B\ny\n"
    assert markdown.shifted(raised, 1) == a.text


def test_a_section_that_the_readme_has_lost_is_named(tmp_path, monkeypatch):
    gather = module("gather")
    monkeypatch.setitem(gather.README, "Once upon a time", "results/gone")
    with pytest.raises(ValueError, match="no section 'Once upon a time'"):
        gather.gather(tmp_path)


def test_links_to_files_become_links_to_pages():
    markdown = module("markdown")
    noted = []
    links = markdown.Links(ROOT, noted.append)
    text = ("[a](lessons/README.md) ![b](examples/doubt.png) [c](https://d.e/f) [g](tests/conftest.py#h) [i](#j)\n"
            "```\n[k](nowhere)\n```\n")  # fmt: skip
    assert links.rewritten(text, of="README.md", page="results/x.md") == (
        "[a](../lessons/index.md) ![b](../pictures/doubt.png) [c](https://d.e/f) "
        "[g](../files/tests/conftest.py.md#h) [i](#j)\n```\n[k](nowhere)\n```\n"
    )
    assert noted == ["examples/doubt.png", "tests/conftest.py"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        links.rewritten("[k](nowhere.md)", of="README.md", page="x.md")


def test_a_lessons_question():
    question = module("gather").lesson_question
    assert question("# 1\n\n**The question.** It is 2.5. Why\nso? More.\n\nNext?") == "It is 2.5. Why so?"
    assert question("# 1\n\n**The question.** Why? How?\n") == "Why?"
    assert question("# 1\n\nNothing.") == ""


# --- docstrings -------------------------------------------------------------------------------------------------------

DOCSTRING = """Sums x * y, `a_b` and **kw: see `conv2d`.

    out = x * y_
      drawn |

x: an array, of `np.ndarray`. y, z: two more (see x: above). Raises ShapeError for
others.
"""


def test_a_docstring_comes_through():
    names = {"conv2d": "tinysegnet.ops.conv2d"}
    lines = module("docstrings").convert(DOCSTRING, ("x", "y", "z"), names.get)
    assert "\n".join(lines).strip() == (
        "Sums x \\* y, ``a_b`` and \\*\\*kw: see :py:obj:`conv2d <tinysegnet.ops.conv2d>`.\n\n"
        "::\n\n    out = x * y_\n      drawn |\n\n"
        "* ``x``: an array, of ``np.ndarray``.\n* ``y``, ``z``: two more (see x: above).\n\n"
        "Raises ShapeError for others."
    )


def test_drawings_with_empty_lines_stay_in_one_piece():
    lines = module("docstrings").convert("A.\n\n    b\n\n        c\n\nD\n    e")
    assert lines == ["A.", "", "::", "", "    b", "", "        c", "", "D", "", "::", "", "    e", ""]


def test_lines_of_python_are_code():
    convert = module("docstrings").convert
    assert convert("Like this.\n\nimport a\nb = a.c(1)\n") == [
        "Like this.",
        "",
        "::",
        "",
        "    import a",
        "    b = a.c(1)",
        "",
    ]
    assert convert("name: word\nother words") == ["name: word other words", ""]


def test_the_first_sentence():
    first = module("docstrings").first_sentence
    assert first("ts: SegNet, at 2.5 a pixel.\nMore.\n\nNo.") == "ts: SegNet, at 2.5 a pixel."


def test_every_docstring_is_sound_markup(sources):
    """As docutils reads it, where it is installed: no markup that was not meant."""
    core = pytest.importorskip("docutils.core", reason="needs docutils (make site)")
    from docutils.parsers.rst import roles
    from docutils.utils import SystemMessage

    roles.register_local_role("py:obj", lambda name, raw, text, line, inliner, **more: ([], []))
    convert = module("docstrings").convert
    for entry in (e for area in module("api").areas() for entries in area.sections.values() for e in entries):
        doc = inspect.getdoc(entry.value) or "" if entry.directive.startswith("auto") else ""
        text = "\n".join(convert(doc))
        try:
            core.publish_doctree(text, settings_overrides={"halt_level": 2, "report_level": 5})
        except SystemMessage as error:
            pytest.fail(f"{entry.path}: {error}")
