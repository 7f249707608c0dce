"""Listings of the library's own source for the lessons."""

from __future__ import annotations

import html
import inspect
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tinysegnet
from tinysegnet.errors import SettingError
from tinysegnet.viz.figures import on_dark_pages

__all__ = ["SourceListing", "show_source"]

_PACKAGE = Path(tinysegnet.__file__).parent
# The colours are for light pages; on dark pages they are inverted.
_DARK = on_dark_pages(".tinysegnet-source", "filter:invert(.92) hue-rotate(180deg)")
_BOX = "background:#f8f8f8;color:#1d1d22;border-left:3px solid #1f62d0;padding:.6em 1em"
_CODE = ("background:none;color:#1d1d22;margin:0;padding:0;border:0;font:12.5px/1.4 monospace;"
         "white-space:pre;overflow-x:auto")  # fmt: skip


@dataclass(frozen=True)
class SourceListing:
    """A piece of source code: text in a terminal, coloured in a notebook. `compiled` is true if numba compiles it."""

    file: str
    line: int
    text: str
    compiled: bool = False

    @property
    def head(self) -> str:
        """Return the heading, such as "tinysegnet/ops/conv.py, line 41", and whether the code is compiled."""
        return f"{self.file}, line {self.line}" + (" (compiled by numba)" if self.compiled else "")

    def __str__(self) -> str:
        return f"# {self.head}\n{self.text}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = f'<div style="font:12px monospace;padding-bottom:.5em">{html.escape(self.head)}</div>'
        style = f"<style>{_DARK}</style>"
        return f'{style}<div class="tinysegnet-source" style="{_BOX}">{head}{_coloured(self.text)}</div>'


def show_source(function: Any) -> SourceListing:
    """Return the source of a function, class or numba kernel, with its file and first line.

    To show the listing, make it the last expression of a cell, or print it.

    Raises:
        SettingError: If Python has no source for it.
    """
    below = inspect.unwrap(getattr(function, "py_func", function))
    try:
        lines, first = inspect.getsourcelines(below)
        file = Path(inspect.getsourcefile(below) or "")
    except (TypeError, OSError):
        raise SettingError(f"no Python source of {function!r}. Give a function, a kernel or a class") from None
    inside = file.is_relative_to(_PACKAGE)
    name = file.relative_to(_PACKAGE.parent).as_posix() if inside else "this notebook"
    return SourceListing(name, max(first, 1), textwrap.dedent("".join(lines)), compiled=hasattr(function, "py_func"))


def _coloured(text: str) -> str:
    """Return HTML, with pygments' colours if it is installed, as it is with Jupyter."""
    try:
        from pygments import highlight
        from pygments.formatters import HtmlFormatter
        from pygments.lexers import PythonLexer
    except ImportError:
        return f'<pre style="{_CODE}">{html.escape(text)}</pre>'
    formatter = HtmlFormatter(noclasses=True, nobackground=True, cssclass="source", prestyles=_CODE)
    return highlight(text, PythonLexer(), formatter)
