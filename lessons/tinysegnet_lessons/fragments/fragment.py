"""A fragment as one HTML file in a frame: the scripts, and beside them the code of the formula that they run."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from importlib.resources import files

import jinja2

from tinysegnet.errors import SettingError, unknown_name
from tinysegnet.report.page_parts import inline
from tinysegnet.viz.figures import DARK, LIGHT

__all__ = ["NAMES", "Fragment", "show"]

SOURCE = files(__package__) / "page_source"

#: The fragments by name, each with its title.
NAMES = {
    "convolution": "A kernel moves over a picture",
    "slope": "A slope, measured and exact",
    "pooling": "Max-pooling and unpooling",
    "network": "The size of a SegNet",
    "learning_rate": "The path of gradient descent",
    "journey": "Every number of a small SegNet",
}

# The script inside the frame sets its height.
FRAME = '<iframe title="{title}" srcdoc="{page}" style="width:100%;height:40rem;border:0"></iframe>'


@dataclass(frozen=True)
class Fragment:
    """A fragment. Notebooks show it as the result of a cell.

    Attributes:
        name: a key of `NAMES`.
        open_code: whether the code is shown without a click. On phones, it is always folded.
    """

    name: str
    open_code: bool = True

    @property
    def page(self) -> str:
        """The fragment as a complete HTML file."""
        formula = _text(f"{self.name}_formula.js")
        texts = _text("shared.js"), _text("boards.js"), formula, _text(f"{self.name}.js")
        templates = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
        return templates.from_string(_text("page.html")).render(
            name=self.name,
            title=NAMES[self.name],
            open_code=self.open_code,
            themes={"light": vars(LIGHT), "dark": vars(DARK)},
            style=inline(_text("fragments.css")),
            script=inline("\n".join(map(_without_modules, texts))),
            formula=_printed(formula),
        )

    def _repr_html_(self) -> str:
        return FRAME.format(title=html.escape(NAMES[self.name]), page=html.escape(self.page))


def show(name: str, *, open_code: bool = True) -> Fragment:
    """Return a fragment by name: "convolution", "slope", "pooling", "network", "learning_rate" or "journey".

    Raises:
        SettingError: if there is no fragment of this name.
    """
    if name not in NAMES:
        raise SettingError(unknown_name("fragment", name, NAMES))
    return Fragment(name, open_code)


def _text(name: str) -> str:
    return (SOURCE / name).read_text(encoding="utf-8")


def _without_modules(script: str) -> str:
    """Remove imports and exports, because VS Code refuses modules in the HTML of a cell."""
    return re.sub(r"^import .*?;\n|^export (?=\w)", "", script, flags=re.MULTILINE | re.DOTALL)


def _printed(formula: str) -> str:
    """Return the code that the page prints, without its types."""
    types = r"/\*\*(?:(?!\*/).)*\*/"
    untyped = re.sub(rf"^ *{types}\n|{types} ", "", _without_modules(formula), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"\n{3,}", "\n\n", untyped).strip()
