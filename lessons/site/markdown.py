"""Turn Markdown files of the project into pages of the site, with adapted links and pictures."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

__all__ = ["Links"]

PAGES = {"README.md": "index.md", "lessons": "lessons/index.md", "lessons/README.md": "lessons/index.md",
         "lessons/teaching.md": "lessons/teaching.md"}  # fmt: skip

# The ending after NAME of each variant of a picture NAME.png, and the CSS classes that show it where it fits.
VARIANTS = {"": {"wide", "only-light"}, "_dark": {"wide", "only-dark"},
            "_narrow": {"narrow", "only-light"}, "_narrow_dark": {"narrow", "only-dark"}}  # fmt: skip

FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
AWAY = re.compile(r"[a-z]+:|#")


class Links:
    """A converter of links to project files into links to pages, which records the files that the site must show."""

    def __init__(self, root: Path, note: Callable[[str], None] = lambda path: None) -> None:
        self.root, self.note = root, note

    def rewritten(self, text: str, *, of: str, page: str) -> str:
        """Return the text of the project's file `of`, with links that work on the site's page `page`."""
        fences = FENCE.findall(text)
        bare = LINK.sub(lambda link: self._link(link, of, page), FENCE.sub("\0", text))
        return re.sub("\0", lambda _: fences.pop(0), bare)

    def _link(self, link: re.Match, of: str, page: str) -> str:
        picture, words, target = link.groups()
        if AWAY.match(target):
            return link[0]
        path, _, anchor = target.partition("#")
        path = os.path.normpath(PurePosixPath(of).parent / path)
        if picture:
            return " ".join(
                f"![{words}]({self._relative(file, page)}){classes}" for file, classes in self._fitting(path)
            )
        return f"[{words}]({self._relative(path, page)}{'#' + anchor if anchor else ''})"

    def _relative(self, path: str, page: str) -> str:
        return os.path.relpath(self.goal(path), PurePosixPath(page).parent)

    def _fitting(self, path: str) -> list[tuple[str, str]]:
        """Return the existing variants of a picture, with CSS classes that show only the fitting variant."""
        stem = path.removesuffix(".png")
        there = {f"{stem}{name}.png": kinds for name, kinds in VARIANTS.items()
                 if (self.root / f"{stem}{name}.png").exists()}  # fmt: skip
        if len(there) < 2:
            return [(path, "")]
        shared = set.intersection(*there.values())
        return [(file, "{" + " ".join(f".{kind}" for kind in sorted(kinds - shared)) + "}")
                for file, kinds in there.items()]  # fmt: skip

    def goal(self, path: str) -> str:
        """Return the path at which the site shows a file or folder of the project."""
        if not (self.root / path).exists():
            raise FileNotFoundError(f"a link leads to {path}, which does not exist")
        if path in PAGES or re.fullmatch(r"lessons/\d\da?_\w+\.ipynb", path):
            return PAGES.get(path, path)
        if own := re.fullmatch(r"lessons/site/pages/(\w+\.md)", path):
            return own[1]
        if room := re.fullmatch(r"tinysegnet/(\w+)", path):
            return f"api/{room[1]}.rst"
        self.note(path)
        return f"pictures/{PurePosixPath(path).name}" if path.endswith(".png") else f"files/{path}.md"
