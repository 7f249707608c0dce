"""The site's sources, gathered from the project into one folder: pages, lessons, parts of the README, API, pictures.

A file is written only if its text changed, so that a build after a small change reads only what changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import re
from pathlib import Path

import nbformat
from api import index_page, page, pages
from markdown import README, Links, sections, shifted

__all__ = ["ROOT", "SCENE", "Gathered", "commands", "gather", "lesson_question",
           "library_digest", "write_scene"]  # fmt: skip

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCENE = 66  # of the toy validation streets: the one that the first page and the walk show

OWN = "guides/own_pictures"
LANGUAGES = {".py": "python", ".md": "markdown", ".toml": "toml", "": "make"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
HEAD = """:::{{container}} lesson-head
Here with its outputs, and solutions folded away. To work in it, `tinysegnet lessons my-lessons` copies all
notebooks, or take {{download}}`this one <../notebooks/{name}>`.
:::"""
STUB = """:::{{container}} stub
```python
{code}
```
:::"""


def _load_build():
    """lessons/build.py, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("lessons_build", ROOT / "lessons" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = _load_build()


class Gathered:
    """The folder of sources: what is not written in a run is removed at its end."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kept = folder, set[Path]()

    def write(self, name: str, text: str | bytes) -> None:
        path = self.folder / name
        content = text.encode() if isinstance(text, str) else text
        self.kept.add(path)
        if not path.exists() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def sweep(self) -> None:
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path.is_file() and path not in self.kept:
                path.unlink()
            elif path.is_dir() and not any(path.iterdir()):
                path.rmdir()


def gather(folder: Path, *, lessons: str = "full", drawn: Path | None = None) -> Gathered:
    """Write all sources. lessons: "fast" takes the small numbers that the tests use. drawn: where made pictures are."""
    out, linked = Gathered(folder), set[str]()
    links = Links(ROOT, linked.add)
    titles = [_lesson(source, out, fast=lessons == "fast") for source in build.SOURCES]
    for name, source in build.DATA.items():  # where the lessons run, and where they are offered
        out.write(f"lessons/{name}", source.read_bytes())
        out.write(f"notebooks/{name}", source.read_bytes())
    guides = _readme(out, links)
    _own_pages(out, links, titles, guides)
    _api(out)
    _files(out, linked)
    for picture in sorted(drawn.glob("*.png")) if drawn else ():
        out.write(f"pictures/{picture.name}", picture.read_bytes())
    out.sweep()
    return out


# --- lessons ----------------------------------------------------------------------------------------------------------


def _lesson(source: Path, out: Gathered, *, fast: bool) -> tuple[str, str, str]:
    """Write a lesson's notebook and the student's copy; -> its name, title and question."""
    notebook = build.read(source)
    name = f"{source.stem}.ipynb"
    out.write(f"notebooks/{name}", build.target(source).read_bytes())
    out.write(f"lessons/{name}", build.written(lesson_page(build.fast(notebook) if fast else notebook, name)))
    first = notebook.cells[0].source
    title = first.splitlines()[0].removeprefix("# ")
    return source.stem, title, asked_in_readme().get(source.stem[:2]) or lesson_question(first)


def asked_in_readme() -> dict[str, str]:
    """The questions in the README's table of lessons, by the lessons' numbers."""
    rows = re.findall(
        r"^\| (?:\[)?(\d\d) [^|]*\| ([^|]*\?) *\|", (ROOT / "README.md").read_text(encoding="utf-8"), re.M
    )
    return dict(rows)


def lesson_page(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """The solved notebook; before a solution the student's lines, and the solution itself folded away."""
    solved, student = build.solved(notebook), build.student(notebook)
    cells = []
    for written, cell, stub in zip(notebook.cells, solved.cells, student.cells, strict=True):
        if "### BEGIN SOLUTION" in written.source:
            code = STUB.format(code=stub.source)
            cells.append(nbformat.v4.new_markdown_cell(code, id=f"stub-{cell.id}"))
            cell.metadata = {"tags": ["hide-input"], "mystnb": {"code_prompt_show": "Show the solution",
                                                                "code_prompt_hide": "Hide the solution"}}  # fmt: skip
        cells.append(cell)
    cells.insert(1, nbformat.v4.new_markdown_cell(HEAD.format(name=name), id="head"))
    return nbformat.v4.new_notebook(cells=cells, metadata={**solved.metadata, "kernelspec": KERNEL})


def lesson_question(first: str) -> str:
    """Of a lesson's first cell: the first sentence that ends in a question mark, and the one before it."""
    paragraph = re.search(r"\*\*The question\.\*\* (.*?)(?:\n\n|\Z)", first, re.S)
    sentences = re.split(r"(?<=[.?!])\s+", " ".join(paragraph[1].split())) if paragraph else []
    asked = next((number for number, sentence in enumerate(sentences) if sentence.endswith("?")), None)
    return "" if asked is None else " ".join(sentences[max(0, asked - 1) : asked + 1])


# --- pages ------------------------------------------------------------------------------------------------------------


def _own_pages(out: Gathered, links: Links, titles: list[tuple[str, str, str]], guides: list[str]) -> None:
    """The pages that exist for the site alone, and those of the lessons' folder."""
    for source in sorted((HERE / "pages").rglob("*.md")):
        name = source.relative_to(HERE / "pages").as_posix()
        text = (
            source.read_text(encoding="utf-8")
            .replace("<!-- lessons -->", _map(titles, "lessons/"))
            .replace("<!-- guides -->", "\n".join(guides))
        )
        text = links.rewritten(text, of=f"lessons/site/pages/{name}", page=name)
        out.write(name, text.replace("<!-- look inside -->", _look_inside(links)))
    names = "\n".join([*(name for name, _, _ in titles), "teaching"])
    toctree = f"\n```{{toctree}}\n:hidden:\n\n{names}\n```\n"
    for of, name in [("lessons/README.md", "lessons/index.md"), ("lessons/teaching.md", "lessons/teaching.md")]:
        text = links.rewritten((ROOT / of).read_text(encoding="utf-8"), of=of, page=name)
        if name == "lessons/index.md":
            text = text.replace("\n## Begin\n", f"\n{_map(titles, '')}\n\n## Begin\n", 1) + toctree
        out.write(name, text)


def _map(titles: list[tuple[str, str, str]], folder: str) -> str:
    rows = [f"- [{title}]({folder}{name}.ipynb)\n  {question}" for name, title, question in titles]
    return "\n".join([":::{container} lesson-map", *rows, ":::"])


def _readme(out: Gathered, links: Links) -> list[str]:
    """A page for each section of the README, or for several; -> names of the guides."""
    pages: dict[str, list[str]] = {}
    for section in sections((ROOT / "README.md").read_text(encoding="utf-8")):
        if section.page:
            text = links.rewritten(shifted(section.text, -1), of="README.md", page=f"{section.page}.md")
            pages.setdefault(section.page, []).append(f"# {section.title}\n\n{text}")
    gone = [title for title, name in README.items() if name and name not in pages]
    if gone:
        raise ValueError(
            f"README.md has no section {gone[0]!r} any more: say in lessons/site/markdown.py what it is now"
        )
    own = "examples/own_pictures.md"
    tutorial = links.rewritten((ROOT / own).read_text(encoding="utf-8"), of=own, page=f"{OWN}.md")
    folders = [re.sub(r"^# .*\n\n(?:\[examples/own_pictures\.md\].*\n\n)?", "# Folders that are recognised\n\n", text)
               for text in pages[OWN]]  # fmt: skip
    pages[OWN] = [tutorial, *folders]
    for name, (first, *others) in pages.items():
        out.write(f"{name}.md", "\n".join([first, *(shifted(text, 1) for text in others)]))
    return [name for name in pages if name.startswith("guides/") and name != OWN]


def _look_inside(links: Links) -> str:
    """What the README says of the walk, for the page that has one."""
    found = sections((ROOT / "README.md").read_text(encoding="utf-8"))
    text = next(section.text for section in found if section.title == "Look inside")
    return links.rewritten(text, of="README.md", page="walk.md")


def _api(out: Gathered) -> None:
    for name, files in pages().items():
        out.write(f"api/{name}.rst", page(name, files))
    out.write("api/index.md", index_page())
    out.write("api/commands.md", _commands_page())


def _commands_page() -> str:
    parts = ["# Commands", "", "What `tinysegnet COMMAND --help` prints. The defaults of `train` depend on the data."]
    for command in commands():
        parts += ["", f"## tinysegnet {command}", "", "```text", help_of(command.split()).rstrip(), "```"]
    return "\n".join(parts) + "\n"


def commands() -> list[str]:
    """All commands, and those of a command that has some of its own: "data check"."""
    from tinysegnet.cli.main import COMMANDS

    return list(COMMANDS)


def help_of(command: list[str]) -> str:
    """What --help prints, on a terminal of 88 columns without colours."""
    from unittest.mock import patch

    from tinysegnet.cli.main import main

    printed = io.StringIO()
    settings = {"COLUMNS": "88", "NO_COLOR": "1", "TERM": "dumb"}
    with contextlib.redirect_stdout(printed), patch.dict("os.environ", settings):
        main([*command, "--help"])
    plain = re.sub(r"\x1b\[[\d;]*m", "", printed.getvalue())
    return "\n".join(line.rstrip() for line in plain.splitlines())


def _files(out: Gathered, linked: set[str]) -> None:
    """Pictures, and a page for each file of the project that a page links to; of a folder, its files."""
    for path in sorted(linked):
        place = ROOT / path
        if path.endswith(".png"):
            out.write(f"pictures/{place.name}", place.read_bytes())
            continue
        files = [place] if place.is_file() else sorted(place.rglob("*.py"))
        parts = ["---", "orphan: true", "---", "", f"# {path}", ""]
        for file in files:
            text = file.read_text(encoding="utf-8")
            title = [f"## {file.relative_to(place).as_posix()}", ""] if len(files) > 1 else []
            fence = "`" * 6
            parts += [*title, f"{fence}{LANGUAGES.get(file.suffix, 'text')}", text.rstrip(), fence, ""]
        out.write(f"files/{path}.md", "\n".join(parts))


# --- the library ------------------------------------------------------------------------------------------------------


def library_digest() -> str:
    """Changes when the library does, or what lessons read: their outputs are kept as long as it is the same."""
    digest = hashlib.sha256()
    packages = ROOT / "tinysegnet", ROOT / "lessons" / "tinysegnet_lessons"
    for path in sorted(path for package in packages for path in package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    for source in build.DATA.values():
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def write_scene(folder: Path) -> tuple[Path, Path]:
    """A toy street and its labels as PNG files, for the walk; -> their paths."""
    from PIL import Image

    from tinysegnet.data import open_dataset

    folder.mkdir(parents=True, exist_ok=True)
    sample = open_dataset("toy", "val")[SCENE]
    paths = folder / "street.png", folder / "street_labels.png"
    for path, array in zip(paths, (sample.image, sample.labels), strict=True):
        Image.fromarray(array).save(path)
    return paths
