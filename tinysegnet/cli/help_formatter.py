"""The help page of a command in plain text, as wide as the window but at most 100 columns."""

import re
import textwrap
from typing import Any

NAMES = {"INT": "N", "FLOAT": "NUMBER", "STR": "TEXT", "CHOICE": "NAME"}  # instead of Python's types
INDENT = 26  # the column where descriptions start


def render_usage(console: Any, options: Any, usage: Any) -> None:
    """Print the usage line."""
    _print(console, f"Usage: {_plain(usage).removeprefix('Usage: ')}\n")


def render_description(console: Any, options: Any, description: Any) -> None:
    """Print what the command does, paragraph by paragraph."""
    paragraphs = re.split(r"\n\s*\n", _plain(description))
    _print(console, "\n\n".join(textwrap.fill(" ".join(text.split()), _width(console)) for text in paragraphs) + "\n")


def format_panel(console: Any, options: Any, panel: Any) -> None:
    """Print one group of options or arguments."""
    if panel.entries:
        rows = [_row(entry, _width(console)) for entry in panel.entries]
        _print(console, "\n".join([f"{panel.title}:", *rows, ""]))


def _row(entry: Any, width: int) -> str:
    labels = [*entry.display_labels]
    if entry.metavar and not entry.positional_label:
        labels[-1] += " " + " ".join(NAMES.get(word, word) for word in entry.metavar.split())
    label, text = ", ".join(labels), _plain(entry.description)
    if entry.choices:
        text += f" [choices: {', '.join(entry.choices)}]"
    if entry.default is not None:
        text += f" [default: {entry.default}]"
    if entry.required:
        text += " [required]"
    head = f"  {label}".ljust(INDENT)
    if len(head) > INDENT or head[-2:] != "  ":
        head = f"{head.rstrip()}\n{' ' * INDENT}"
    wrapped = textwrap.wrap(" ".join(text.split()), width - INDENT, break_on_hyphens=False) or [""]
    return (head + f"\n{' ' * INDENT}".join(wrapped)).rstrip()


def _plain(text: Any) -> str:
    text = getattr(text, "primary_renderable", text)
    return getattr(text, "plain", str(text or "")).strip().replace("`", "")


def _width(console: Any) -> int:
    return max(60, min(console.width, 100))


def _print(console: Any, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


class HelpFormatter:
    """The formatter that the parser calls."""

    render_usage = staticmethod(render_usage)
    render_description = staticmethod(render_description)
    __call__ = staticmethod(format_panel)
