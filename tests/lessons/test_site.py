"""The site's sources contain every page, lesson and public name, have no broken links, and are valid markup."""

import importlib
import inspect
import json
import pkgutil
import re
from types import SimpleNamespace

import pytest
from site_modules import ROOT, SITE, module, modules  # noqa: F401

import tinysegnet as ts
from tinysegnet_lessons.figures import show_plot

SOURCES = sorted((ROOT / "lessons" / "src").glob("[0-9][0-9]*_*.py"))
PLAIN_FILES = ("errors", "files", "runtime.settings", "weights.weight_files", "training.optim",
               "bench.measure", "bench.table", "bench.workloads")  # fmt: skip


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    module("gather").gather(folder)
    return folder


def read(path):
    return path.read_text(encoding="utf-8")


# --- content ----------------------------------------------------------------------------------------------------------


def test_settings_fetch_nothing():
    text = read(SITE / "conf.py")
    assert "mathjax_path" in text
    assert "nb_ipywidgets_js = {}" in text
    for path in [*SITE.glob("*.py"), *(SITE / "static").iterdir()]:
        addresses = set(re.findall(r"https?://[^\s\"'>]+", read(path)))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path


@pytest.mark.long
def test_every_lesson_is_a_page(sources):
    lessons = sorted(path.stem for path in (ROOT / "lessons" / "src").glob("[0-9][0-9]*_*.py"))
    toctree = read(sources / "lessons" / "index.md").split("{toctree}")[1]
    assert [line for line in toctree.splitlines() if re.match(r"\d\da?_", line)] == lessons
    first_page = read(sources / "index.md")
    for name in lessons:
        assert (sources / "lessons" / f"{name}.ipynb").exists()
        (said,) = re.findall(rf"\(lessons/{name}\.ipynb\)\n  (.*)", first_page.split("{container} lesson-map")[1])
        assert said.endswith("?"), f"{name} asks no question"


def test_lists_of_lessons_have_their_titles():
    """Only lessons/README.md also contains the appendices and the questions."""
    titles = {source.stem: re.search(r"^# # (.*)$", read(source), re.M)[1] for source in SOURCES}
    lessons = {name: title for name, title in titles.items() if re.match(r"\d\d_", name)}
    for path, folder, expected in ((ROOT / "README.md", "lessons/", lessons), (ROOT / "lessons/README.md", "", titles)):
        found = re.findall(rf"\[(\d\da? [^\]]+)\]\({folder}(\d\da?_\w+)\.ipynb\)", read(path))
        assert {name: title for title, name in found} == expected, path
    assert list(module("gather").questions()) == list(titles)


def test_every_page_has_a_title_of_its_own_and_is_in_a_table_of_contents(sources):
    titles, listed = [], set()
    for path in sources.rglob("*.md"):
        text = read(path)
        titles += [re.search(r"^# (.+)", text, re.M)[1]]
        for toctree in re.findall(r"```\{toctree\}\n(.*?)```", text, re.S):
            names = [line for line in toctree.splitlines() if line and not line.startswith(":")]
            listed |= {(path.parent / name).relative_to(sources).as_posix() for name in names}
    assert len(set(titles)) == len(titles)
    pages = {path.stem for path in (SITE / "pages").glob("*.md")}
    assert pages - {"index"} <= listed


def test_no_link_or_picture_of_a_page_is_broken(sources):
    """Check links to files and to their headings. The long form opens the built pages in a browser."""
    broken = [
        f"{path.relative_to(sources)}: {target}"
        for path in sources.rglob("*.md")
        if path.relative_to(sources).parts[0] != "files"  # source listings
        for target in targets(read(path))
        if not leads_somewhere(path, target)
    ]
    assert broken == []


def test_no_link_of_the_readmes_is_broken():
    """Check the pages as they are shown by a code host."""
    pages = [ROOT / "README.md", ROOT / "lessons" / "README.md", *(SITE / "pages").glob("*.md")]
    broken = [f"{path.name}: {target}" for path in pages for target in targets(read(path))
              if not leads_somewhere(path, target)]  # fmt: skip
    assert broken == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "a.md").write_text("# One `title`\n[a](b.md) [b](#one-title) [c](#two) <img src='d.png'>")
    found = targets(read(tmp_path / "a.md"))
    assert [target for target in found if not leads_somewhere(tmp_path / "a.md", target)] == ["b.md", "#two", "d.png"]


def targets(text):
    """Return the targets of a page's links and pictures, without web addresses."""
    bare = re.sub(r"^ *(```+|~~~+).*?^ *\1", "", text, flags=re.M | re.S)
    found = re.findall(r"\]\(([^)\s]+)\)", bare) + re.findall(r"(?:src|srcset)=['\"]([^'\"]+)['\"]", bare)
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    goal = page.parent / path if path else page
    headings = re.findall(r"^#+ (.+)$", read(goal), re.M) if anchor and goal.is_file() else []
    slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    return goal.exists() and (not anchor or anchor in slugs)


def test_a_site_without_outputs_says_why_figures_are_missing(tmp_path):
    """The gallery shows the project's pictures, and no cells without outputs."""
    gather = module("gather")
    gather._own_pages(gather.Gathered(tmp_path), module("markdown").Links(ROOT), [], drawn=False)
    gallery = read(tmp_path / "gallery.md")
    assert "pictures/walk.png" in gallery
    assert "code-cell" not in gallery
    assert "make site" in gallery


def test_pictures_have_variants_for_dark_pages_and_phones(sources):
    walk = read(sources / "walk.md")
    for name, classes in {"": ".only-light .wide", "_dark": ".only-dark .wide", "_narrow": ".narrow .only-light",
                          "_narrow_dark": ".narrow .only-dark"}.items():  # fmt: skip
        assert f"(pictures/walk{name}.png){{{classes}}}" in walk
    assert "(pictures/uncertainty.png)" + "\n" in read(sources / "models.md")


def test_the_site_links_to_the_pages_that_it_writes(sources):
    for page, name in (("walk", "walk_toy.html"), ("export", "live_toy.html")):
        assert f'href="{name}"' in read(sources / f"{page}.md")
        assert f'"{name}"' in read(ROOT / "lessons" / "site" / "make.py")


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
    """Check the names of the package, of its folders, and of files whose names no folder exports."""
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
    assert len(documented) == len(entries), "a name is documented twice"


def test_every_folder_has_a_page_in_the_order_of_the_project_map(sources):
    index = read(sources / "api" / "index.md")
    pages = re.findall(r"^\*\*\[(\w+)\]\(\1\.rst\)\*\*$", index, re.M)
    folders = {area.name for area in pkgutil.iter_modules(ts.__path__) if not area.name.startswith("_")}
    assert {*pages, "cli"} == folders | {"lessons"}  # the page of cli is commands
    assert index.split("{toctree}")[1].split()[1:-1] == [*pages, "commands"]
    assert pages == list(module("api").PAGES)


def test_ops_come_in_the_order_of_the_registry(sources):
    ops = read(sources / "api" / "ops.rst")
    assert 0 < ops.index("conv2d_forward\n") < ops.index("conv2d_backward\n") < ops.index("batchnorm2d_forward\n")


def _value(path):
    package, _, name = path.rpartition(".")
    return getattr(importlib.import_module(package), name)


def test_the_architecture_page_shows_the_project_map(sources):
    page = read(sources / "architecture.md")
    for line in re.findall(r"^    (tinysegnet/|    \w+(?:/|\.py) +\S.*)$", ts.__doc__, re.M):
        assert f"\n{line}\n" in page


def test_every_picture_of_the_examples_is_in_the_gallery(sources):
    gallery = read(sources / "gallery.md")
    for path in (ROOT / "examples").rglob("*.png"):
        assert f"(pictures/{path.name})" in gallery, path.name
        assert (sources / "pictures" / path.name).read_bytes() == path.read_bytes()


def test_every_command_is_documented(sources):
    page = read(sources / "api" / "commands.md")
    for command in ("train", "evaluate", "predict", "data check", "bench", "lessons"):
        assert f"\n## tinysegnet {command}\n" in page
    assert "--recipe" in page


def test_figures_of_lessons_become_files_with_their_texts(tmp_path):
    pytest.importorskip("docutils", reason="needs docutils (make site)")
    from docutils import nodes, utils

    conf = module("conf")
    figure = show_plot({"a": [1, 2]}, title="One <curve>")._repr_mimebundle_()["text/html"]
    page = utils.new_document("page")
    page += [nodes.paragraph("", "prose"), nodes.raw("", figure, format="html"), nodes.raw("", "<b>", format="html")]
    assert conf._text(page.deepcopy()) == "prose"
    conf.write_figures(SimpleNamespace(outdir=tmp_path), page, "lessons/05_page")
    shown, other = (node.astext() for node in page.findall(nodes.raw))
    assert other == "<b>"
    assert "base64" not in shown
    assert 'alt="One &lt;curve&gt;. a from 1' in shown
    paths = re.findall(r"\.\./(_images/figure-\w+\.png)", shown)
    assert len(set(paths)) == 2, "a light and a dark picture"
    assert all((tmp_path / path).read_bytes().startswith(b"\x89PNG") for path in paths)


def test_gathering_again_writes_nothing_and_removes_old_files(tmp_path):
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


def test_links_to_files_become_links_to_pages():
    markdown = module("markdown")
    noted = []
    links = markdown.Links(ROOT, noted.append)
    text = ("[a](../../README.md) ![b](../../../examples/uncertainty.png) [c](https://d.e/f) [d](models.md#e) "
            "[e](../../../tinysegnet/ops) [g](../../../tests/conftest.py#h) [i](#j)\n"
            "```\n[k](nowhere)\n```\n")  # fmt: skip
    assert links.rewritten(text, of="lessons/site/pages/x.md", page="x.md") == (
        "[a](lessons/index.md) ![b](pictures/uncertainty.png) [c](https://d.e/f) [d](models.md#e) "
        "[e](api/ops.rst) [g](files/tests/conftest.py.md#h) [i](#j)\n```\n[k](nowhere)\n```\n"
    )
    assert noted == ["examples/uncertainty.png", "tests/conftest.py"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        links.rewritten("[k](nowhere.md)", of="README.md", page="x.md")


def test_every_docstring_is_sound_markup(sources):
    """Let docutils, if it is installed, find invalid markup."""
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
