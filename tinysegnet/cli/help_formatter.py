"""The help page of a command in plain text, at most 100 columns wide."""

import textwrap
from functools import partial
from typing import Any

from cyclopts.help import PlainFormatter

NAMES = {"INT": "N", "FLOAT": "NUMBER", "STR": "TEXT", "CHOICE": "NAME"}  # readable names instead of Python's types
INDENT = 26  # the column where the descriptions of options start


class HelpFormatter(PlainFormatter):
    """The parser's plain formatter, except that it aligns the descriptions of options in a column."""

    def _print_plain(self, console: Any, text: str) -> None:
        if not text.startswith(" "):  # not a row of options or arguments
            wrap = partial(textwrap.fill, width=_width(console), break_on_hyphens=False)
            text = "\n\n".join(wrap(" ".join(paragraph.split())) for paragraph in text.split("\n\n"))
        console.print(text.replace("`", ""), markup=False, highlight=False, soft_wrap=True)

    def _format_parameter_entry(self, options: Any, desc: str, console: Any, entry: Any) -> None:
        label = ", ".join(entry.display_labels)
        if entry.metavar and not entry.positional_label:
            label += " " + " ".join(NAMES.get(word, word) for word in entry.metavar.split())
        notes = {"choices": ", ".join(entry.choices or ()), "default": entry.default}
        text = " ".join([*desc.split(), *(f"[{name}: {note}]" for name, note in notes.items() if note)])
        text += " [required]" if entry.required else ""
        wrapped = textwrap.wrap(text, _width(console) - INDENT, break_on_hyphens=False)
        if len(label) > INDENT - 4:  # the description then starts on the next line
            wrapped.insert(0, "")
        self._print_plain(console, f"  {label:<{INDENT - 2}}" + f"\n{' ' * INDENT}".join(wrapped))


def _width(console: Any) -> int:
    return max(60, min(console.width, 100))
