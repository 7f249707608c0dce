"""Pieces of the project's own Markdown files as pages: sections by their headings, links that lead to pages."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

__all__ = ["README", "Links", "Section", "sections", "shifted"]

# What each section of the README is on the site; a section that is not here gets a page of its own under its title.
README = {
    "Begin": "begin",
    "Use": "begin",
    "Look inside": None,  # a part of the page with the walk
    "Lessons": None,  # the lessons have pages
    "What it reaches": "results/scores",
    "Every SegNet": "results/networks",
    "How fast": "results/speed",
    "Why believe it": "results/proofs",
    "Your own pictures": "guides/own_pictures",
    "Start from VGG16": "guides/vgg16",
    "CamVid": "guides/camvid",
    "The papers' recipes": "guides/recipes",
    "Project layout": "guides/layout",
}

# Files that are pages, or parts of one.
PAGES = {
    "README.md": "index.md",
    "lessons": "lessons/index.md",
    "lessons/README.md": "lessons/index.md",
    "lessons/teaching.md": "lessons/teaching.md",
    "examples/own_pictures.md": "guides/own_pictures.md",
}

FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
AWAY = re.compile(r"[a-z]+:|#")


@dataclass(frozen=True)
class Section:
    """A heading of the second level, and what stands below it."""

    title: str
    text: str

    @property
    def page(self) -> str | None:
        """Where it is shown, without an ending; None for a section that the site does not show."""
        slug = re.sub(r"\W+", "_", self.title.lower()).strip("_")
        return README.get(self.title, f"guides/{slug}")


def sections(text: str) -> list[Section]:
    """The sections of a README; what stands before the first one is left out."""
    hidden = FENCE.sub(lambda fence: re.sub(r"^#", "\0", fence[0], flags=re.M), text)
    parts = re.split(r"^## +(.+)\n", hidden, flags=re.M)[1:]
    return [Section(title.strip(), body.replace("\0", "#").strip() + "\n")
            for title, body in zip(parts[::2], parts[1::2], strict=True)]  # fmt: skip


def shifted(text: str, by: int) -> str:
    """Headings one level up (-1: a section becomes a page) or down (1); what is fenced stays as it is."""
    fences = FENCE.findall(text)
    bare = FENCE.sub("\0", text)
    bare = re.sub(r"^#(#+ )", r"\1", bare, flags=re.M) if by < 0 else re.sub(r"^(#+ )", r"#\1", bare, flags=re.M)
    return re.sub("\0", lambda _: fences.pop(0), bare)


class Links:
    """Turns links to files of the project into links to pages, and remembers which files must become pages."""

    def __init__(self, root: Path, note: Callable[[str], None] = lambda path: None) -> None:
        self.root, self.note = root, note
        self.pages = (
            root / "lessons" / "site" / "pages"
        )  # they link to each other, and to the project's files by ../../..

    def rewritten(self, text: str, *, of: str, page: str) -> str:
        """The text of the file `of`, for the page `page`; both are paths, from the project and from the site."""
        fences = FENCE.findall(text)
        bare = LINK.sub(lambda link: self._link(link, of, page), FENCE.sub("\0", text))
        return re.sub("\0", lambda _: fences.pop(0), bare)

    def _link(self, link: re.Match, of: str, page: str) -> str:
        picture, words, target = link.groups()
        words = LINK.sub(lambda inner: self._link(inner, of, page), words)  # a picture that is itself a link
        if AWAY.match(target) or ((self.root / of).is_relative_to(self.pages) and not target.startswith("../../../")):
            return f"{picture}[{words}]({target})"
        path, _, anchor = target.partition("#")
        goal = self.goal(os.path.normpath(PurePosixPath(of).parent / path))
        relative = os.path.relpath(goal, PurePosixPath(page).parent)
        return f"{picture}[{words}]({relative}{'#' + anchor if anchor else ''})"

    def goal(self, path: str) -> str:
        """Where the site shows a file of the project."""
        if not (self.root / path).exists():
            raise FileNotFoundError(f"a link to {path}, which is not there")
        if path in PAGES:
            return PAGES[path]
        if re.fullmatch(r"lessons/\d\d_\w+\.ipynb", path):
            return path
        self.note(path)
        return f"pictures/{PurePosixPath(path).name}" if path.endswith(".png") else f"files/{path}.md"
