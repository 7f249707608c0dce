"""Gather the site's sources from the project into one folder: pages, lessons, API, pictures.

A file is written only if its text has changed, so that Sphinx reads only changed files again.
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
from markdown import Links

from tinysegnet_lessons import fragments

__all__ = ["ROOT", "SCENE", "Gathered", "commands", "gather", "library_digest", "questions", "write_scene"]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCENE = 66  # number of the toy validation street that the walk shows

LANGUAGES = {".py": "python", ".md": "markdown", ".toml": "toml", "": "make"}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
HEAD = """:::{{container}} lesson-head
On this page, the solutions are folded. To work through the lesson, copy all notebooks with
`tinysegnet lessons my-lessons`, or {{download}}`download this one <../notebooks/{name}>`.
:::"""
STUB = """:::{{container}} stub
```python
{code}
```
:::"""
WALK = """:::{container} doors
- <a href="walk_toy.html">Open the walk</a>
  This page shows a street on its way through the bundled network.
:::"""
LIVE = """:::{container} doors
- <a href="live_toy.html">Open the live page</a>
  This page runs the bundled network in your browser.
:::"""
FRAGMENT = "```{{raw}} html\n{html}\n```"
NOT_DRAWN = """## Drawn by the library

This copy of the site was built without running notebooks, so it lacks the figures that the library draws.
`make site` builds a copy with these figures.
"""


def _load_build():
    """Import lessons/build.py, which belongs to no package."""
    spec = importlib.util.spec_from_file_location("lessons_build", ROOT / "lessons" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = _load_build()


class Gathered:
    """The folder of sources. At the end of a run, `sweep` removes files that the run did not write."""

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


def gather(folder: Path, *, lessons: str = "full", drawn: bool = True) -> Gathered:
    """Write all sources of the site.

    Args:
        folder: the folder for the sources.
        lessons: with "fast", lessons use the small numbers of the tests.
        drawn: whether the gallery's cells will run. Otherwise, the gallery shows only the project's pictures.
    """
    out, linked = Gathered(folder), set[str]()
    links = Links(ROOT, linked.add)
    titles = [_lesson(source, out, fast=lessons == "fast") for source in build.SOURCES]
    for name, source in build.DATA.items():
        for place in ("lessons", "notebooks"):  # for the lessons that run, and for the downloads
            out.write(f"{place}/{name}", source.read_bytes())
    _own_pages(out, links, titles, drawn=drawn)
    _api(out)
    _files(out, linked)
    out.sweep()
    return out


# --- lessons ----------------------------------------------------------------------------------------------------------


def _lesson(source: Path, out: Gathered, *, fast: bool) -> tuple[str, str]:
    """Write a lesson's notebook and the student's copy, and return the lesson's name and title."""
    notebook = build.read(source)
    name = f"{source.stem}.ipynb"
    out.write(f"notebooks/{name}", build.target(source).read_bytes())
    out.write(f"lessons/{name}", build.written(lesson_page(build.fast(notebook) if fast else notebook, name)))
    return source.stem, notebook.cells[0].source.splitlines()[0].removeprefix("# ")


def lesson_page(notebook: nbformat.NotebookNode, name: str) -> nbformat.NotebookNode:
    """Return the solved notebook. Each solution is folded, and follows the cell that a student sees."""
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


# --- pages ------------------------------------------------------------------------------------------------------------


def _own_pages(out: Gathered, links: Links, titles: list[tuple[str, str]], *, drawn: bool) -> None:
    """Write the pages of lessons/site/pages, and the two pages of the folder of lessons."""
    convolution = FRAGMENT.format(html=fragments.show("convolution", open_code=False)._repr_html_())
    inserted = {"<!-- lessons -->": _map(titles), "<!-- the walk -->": WALK, "<!-- the live page -->": LIVE,
                "<!-- convolution -->": convolution}  # fmt: skip
    for source in sorted((HERE / "pages").glob("*.md")):
        text = source.read_text(encoding="utf-8")
        for mark, more in inserted.items():
            text = text.replace(mark, more)
        if not drawn:
            text = re.sub(r"<!-- drawn -->.*", NOT_DRAWN, text, flags=re.S)
        out.write(source.name, links.rewritten(text, of=f"lessons/site/pages/{source.name}", page=source.name))
    names = "\n".join([*(name for name, _ in titles), "teaching"])
    toctree = {"index": f"\n```{{toctree}}\n:hidden:\n\n{names}\n```\n", "teaching": ""}
    for name, source in [("index", "lessons/README.md"), ("teaching", "lessons/teaching.md")]:
        text = links.rewritten((ROOT / source).read_text(encoding="utf-8"), of=source, page=f"lessons/{name}.md")
        out.write(f"lessons/{name}.md", text + toctree[name])


def _map(titles: list[tuple[str, str]]) -> str:
    asked = questions()
    rows = [f"- [{title}](../../{name}.ipynb)\n  {asked[name]}" for name, title in titles]
    return "\n".join([":::{container} lesson-map", *rows, ":::"])


def questions() -> dict[str, str]:
    """Return the question of each lesson, from the table in lessons/README.md."""
    text = (ROOT / "lessons" / "README.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| \[[^\]]+\]\((\w+)\.ipynb\) \| ([^|]+\?) \|", text, re.M))


def _api(out: Gathered) -> None:
    for name, files in pages().items():
        out.write(f"api/{name}.rst", page(name, files))
    out.write("api/index.md", index_page())
    out.write("api/commands.md", _commands_page())


def _commands_page() -> str:
    parts = [
        "# Commands",
        "",
        "This page shows the output of `tinysegnet COMMAND --help`. The defaults of `train` depend on the data.",
    ]
    for command in commands():
        parts += ["", f"## tinysegnet {command}", "", "```text", help_of(command.split()).rstrip(), "```"]
    return "\n".join(parts) + "\n"


def commands() -> list[str]:
    """Return the names of all commands and subcommands, such as "data check"."""
    from tinysegnet.cli.main import COMMANDS

    return list(COMMANDS)


def help_of(command: list[str]) -> str:
    """Return the output of --help for a terminal of 88 columns without colours."""
    from unittest.mock import patch

    from tinysegnet.cli.main import main

    printed = io.StringIO()
    settings = {"COLUMNS": "88", "NO_COLOR": "1", "TERM": "dumb"}
    with contextlib.redirect_stdout(printed), patch.dict("os.environ", settings):
        main([*command, "--help"])
    plain = re.sub(r"\x1b\[[\d;]*m", "", printed.getvalue())
    return "\n".join(line.rstrip() for line in plain.splitlines())


def _files(out: Gathered, linked: set[str]) -> None:
    """Write all linked pictures, and for each other linked file or folder a page with its source."""
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
    """Return a digest of the library and of the files that lessons read. A new digest makes cached outputs invalid."""
    digest = hashlib.sha256()
    packages = ROOT / "tinysegnet", ROOT / "lessons" / "tinysegnet_lessons"
    for path in sorted(path for package in packages for path in package.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes())
    for source in build.DATA.values():
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def write_scene(folder: Path) -> tuple[Path, Path]:
    """Write a toy street and its labels as PNG files for the walk, and return the paths of both files."""
    from PIL import Image

    from tinysegnet.data import open_dataset

    folder.mkdir(parents=True, exist_ok=True)
    sample = open_dataset("toy", "val")[SCENE]
    paths = folder / "street.png", folder / "street_labels.png"
    for path, array in zip(paths, (sample.image, sample.labels), strict=True):
        Image.fromarray(array).save(path)
    return paths
