"""The site's sources: nothing of the project is left out, and docstrings become the markup that was meant."""

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
PLAIN_FILES = ("errors", "files", "runtime.settings", "weights.weight_files", "training.optim", "training.schedules",
               "bench.measure", "bench.table", "bench.workloads")  # fmt: skip


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
    """Those of the package, of each area, and of files whose names no area exports."""
    pages = "\n".join(read(path) for path in (sources / "api").glob("*.rst"))
    entries = re.findall(r"^\.\. auto(?:class|data|function):: (\S+)$", pages, re.M)
    documented = set(entries)
    paths = [f"tinysegnet.{area.name}" for area in pkgutil.iter_modules(ts.__path__) if area.ispkg]
    objects = {id(_value(path)) for path in documented}
    for path in ["tinysegnet", *paths]:
        package = importlib.import_module(path)
        for name in getattr(package, "__all__", ()):
            value = getattr(package, name)
            if not hasattr(value, "__path__") and not hasattr(value, "__file__"):
                assert f"{path}.{name}" in documented or id(value) in objects, f"{path}.{name} is on no page"
    for path in [f"tinysegnet.{name}" for name in PLAIN_FILES]:
        file = importlib.import_module(path)
        defined = {key for key, value in vars(file).items() if getattr(value, "__module__", None) == path}
        for key in getattr(file, "__all__", defined):
            found = key.startswith("_") or f"{path}.{key}" in documented or id(getattr(file, key)) in objects
            assert found, f"{path}.{key} is on no page"
    assert len(documented) == len(entries), "one is there twice"


SOURCE = """
from os.path import join
import sys
if sys:
    class A: kept = 1
def f(x): y = x
sys.z, B, _C, d = 1, 2, 3, 4
E: int = 5
"""


def test_the_public_names_of_a_file(tmp_path, monkeypatch):
    """Those of `__all__`; without one, those that the file binds itself, but for private ones."""
    (tmp_path / "site_plain.py").write_text(SOURCE)
    (tmp_path / "site_listed.py").write_text(SOURCE + "__all__ = ['join', 'f']\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert module("api").public_names(module("site_plain")) == ["A", "f", "B", "d", "E"]
    assert module("api").public_names(module("site_listed")) == ["join", "f"]


def test_every_room_has_a_page_in_the_order_of_the_list(sources):
    index = read(sources / "api" / "index.md")
    pages = re.findall(r"^\*\*\[(\w+)\]\(\1\.rst\)\*\*$", index, re.M)
    rooms = {area.name for area in pkgutil.iter_modules(ts.__path__) if not area.name.startswith("_")}
    assert {*pages, "cli"} == rooms | {"lessons"}  # cli: the page of commands
    assert index.split("{toctree}")[1].split()[1:-1] == [*pages, "commands"]
    assert pages == list(module("api").PAGES)


def test_ops_come_in_the_order_of_the_registry_and_of_their_files(sources):
    ops = read(sources / "api" / "ops.rst")
    assert 0 < ops.index("conv2d_forward\n") < ops.index("conv2d_backward\n") < ops.index("batchnorm2d_forward\n")


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
    text = ("[a](lessons/README.md) ![b](examples/walk.png) [c](https://d.e/f) [g](tests/conftest.py#h) [i](#j)\n"
            "```\n[k](nowhere)\n```\n")  # fmt: skip
    assert links.rewritten(text, of="README.md", page="results/x.md") == (
        "[a](../lessons/index.md) ![b](../pictures/walk.png) [c](https://d.e/f) "
        "[g](../files/tests/conftest.py.md#h) [i](#j)\n```\n[k](nowhere)\n```\n"
    )
    assert noted == ["examples/walk.png", "tests/conftest.py"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        links.rewritten("[k](nowhere.md)", of="README.md", page="x.md")


def test_a_lessons_question():
    question = module("gather").lesson_question
    assert question("# 1\n\n**The question.** It is 2.5. Why\nso? More.\n\nNext?") == "It is 2.5. Why so?"
    assert question("# 1\n\n**The question.** Why? How?\n") == "Why?"
    assert question("# 1\n\nNothing.") == ""


# --- docstrings -------------------------------------------------------------------------------------------------------

DOCSTRING = """Sums x * y, `a_b` and **kw: see `conv2d`s of `a
b`.

    out = x * y_

      drawn |

Like this:
    `code`

Args:
    x: an array, of `np.ndarray` (see x: above).
    **others: more.

        indented
"""


def prepared(text, **link):
    return "\n".join(module("api").prepare_docstring(text.splitlines(), link))


def test_a_docstring_comes_through():
    assert prepared(DOCSTRING, conv2d="tinysegnet.ops.conv2d") == (
        "Sums x * y, ``a_b`` and \\*\\*kw: see :py:obj:`conv2d <tinysegnet.ops.conv2d>`\\ s of ``a b``.\n\n"
        "\n::\n\n    out = x * y_\n\n      drawn |\n\n\n"
        "Like this:\n\n::\n\n    `code`\n\n\n"
        "Args:\n    x: an array, of ``np.ndarray`` (see x: above).\n    \\*\\*others: more.\n\n        indented"
    )


def test_markup_that_is_there_stays():
    text = "A list:\n\n* ``x_`` and\n  more\n* y"
    assert prepared(text) == text
    assert prepared(">>> f(*x)\n1") == ">>> f(*x)\n1"


def test_every_docstring_is_sound_markup(sources):
    """As docutils reads it, where it is installed: no markup that was not meant."""
    core = pytest.importorskip("docutils.core", reason="needs docutils (make site)")
    napoleon = pytest.importorskip("sphinx.ext.napoleon", reason="needs Sphinx (make site)")
    from docutils.parsers.rst import roles
    from docutils.utils import SystemMessage

    for role in ("py:obj", "py:class"):
        roles.register_local_role(role, lambda name, raw, text, line, inliner, **more: ([], []))
    settings = napoleon.Config(napoleon_numpy_docstring=False, napoleon_use_ivar=True)
    api = module("api")
    for full in sorted({name for area in api.pages().items() for name in _full_names(area)}):
        doc = inspect.getdoc(_value(full)) if callable(_value(full)) else ""
        text = str(napoleon.GoogleDocstring(api.prepare_docstring((doc or "").splitlines(), api.links()), settings))
        try:
            core.publish_doctree(text, settings_overrides={"halt_level": 2, "report_level": 5})
        except SystemMessage as error:
            pytest.fail(f"{full}: {error}")


def _full_names(area):
    return [f"{file}.{name}" for file, names in area[1].items() for name in names]
