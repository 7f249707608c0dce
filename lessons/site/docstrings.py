"""Plain-text docstrings -> reStructuredText that reads well, without touching the sources.

The house writes docstrings for `help()`: paragraphs, `code` in single backticks, formulas and drawings indented by
four, arguments as sentences ("seed: of the initial weights."), errors as "Raises X for ...". So:

    an indented block               a literal block, as it stands; so are lines of Python
    `name`                          code; a link, where it is a public name
    "seed: ... width: ..."          a list with an item for each argument
    "Raises X ...", "Fast version"  a paragraph of its own

Nothing else has a meaning: stars, bars and underscores are letters.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterator

__all__ = ["convert", "escape", "first_sentence"]

SPECIAL = re.compile(r"([\\*|]|_(?=\W|$)|(?<!\w)_)")
CODE = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
OWN_PARAGRAPH = re.compile(r"(?<=[.;)]) +(?=Raises? [A-Z]\w+)")
BULLET = re.compile(r"[*-] +")

Link = Callable[[str], "str | None"]


def convert(text: str, names: tuple[str, ...] = (), link: Link = lambda name: None) -> list[str]:
    """Lines of reStructuredText. names: of the arguments; link: the full name of a public name, or None."""
    lines: list[str] = []
    for block in _blocks(text):
        if block.startswith(" ") or _is_python(block):
            lines += ["::", "", *textwrap.indent(textwrap.dedent(block), "    ").split("\n"), ""]
        elif BULLET.match(block):
            lines += [_prose(block, link), ""]
        else:
            for paragraph in OWN_PARAGRAPH.split(" ".join(block.split("\n"))):
                lines += _arguments(paragraph, names, link)
    return [line for part in lines for line in part.split("\n")]


def first_sentence(text: str) -> str:
    """Of a docstring, in one line: what a list of names says about each."""
    paragraph = " ".join(text.strip().split("\n\n")[0].split())
    return re.split(r"(?<=[.])\s+(?=[A-Z(])", paragraph, maxsplit=1)[0].rstrip(":")


def escape(text: str) -> str:
    """Letters that reStructuredText would take for markup, so that it does not."""
    return SPECIAL.sub(r"\\\1", text)


def _blocks(text: str) -> Iterator[str]:
    """Paragraphs, and indented pieces: neighbours with only empty lines between them are one piece."""
    waiting: list[str] = []  # an indented piece goes on across empty lines
    for block in re.split(r"\n[ \t]*\n", text.strip("\n")):
        for piece in _pieces(block.rstrip()):
            if piece.startswith("    "):
                waiting.append(piece)
                continue
            if waiting:
                yield "\n\n".join(waiting)
            waiting = []
            if piece.strip():
                yield piece.strip("\n")
    if waiting:
        yield "\n\n".join(waiting)


def _is_python(block: str) -> bool:
    """Two lines or more that Python would run, which no prose does."""
    try:
        return "\n" in block and bool(ast.parse(block).body)
    except SyntaxError:
        return False


def _pieces(block: str) -> Iterator[str]:
    """A paragraph that an indented block follows at once is two pieces; a bullet's second line is indented by two."""
    piece: list[str] = []
    for line in block.split("\n"):
        if piece and line.startswith("    ") != piece[-1].startswith("    "):
            yield "\n".join(piece)
            piece = []
        piece.append(line)
    yield "\n".join(piece)


def _arguments(paragraph: str, names: tuple[str, ...], link: Link) -> list[str]:
    """The paragraph; what it says of arguments as a list."""
    if not names:
        return [_prose(paragraph, link), ""]
    known = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    start = re.compile(rf"(?:^|(?<=[.;)]) )((?:{known})(?:(?:, | and | or )(?:{known}))*)(?: \([^)]*\))?: ")
    found = list(start.finditer(paragraph))
    if not found:
        return [_prose(paragraph, link), ""]
    lines = [_prose(paragraph[: found[0].start()], link), ""] if paragraph[: found[0].start()].strip() else []
    for this, after in zip(found, [*found[1:], None], strict=True):
        said = paragraph[this.end() : after.start() if after else len(paragraph)].strip().rstrip(";")
        heads = ", ".join(f"``{name}``" for name in re.split(r", | and | or ", this[1]))
        shape = paragraph[this.end(1) : this.end() - 2]
        lines.append(f"* {heads}{_prose(shape, link)}: {_prose(said, link)}")
    return [*lines, ""]


def _prose(text: str, link: Link) -> str:
    parts, place = [], 0
    for code in CODE.finditer(text):
        name = " ".join(code[1].split())
        target = link(name)
        before, after = text[: code.start()], text[code.end() :]
        quoted = f":py:obj:`{name} <{target}>`" if target else f"``{name.strip()}``"
        glue = "\\ " if before and not re.search(r"[\s(\[\"'/]$", before) else ""
        tail = "\\ " if after and not re.match(r"[\s.,:;!?)\]\"'/-]", after) else ""
        parts += [escape(text[place : code.start()]), glue, quoted, tail]
        place = code.end()
    return "".join([*parts, escape(text[place:])])
