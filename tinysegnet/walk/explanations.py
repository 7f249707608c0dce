"""What the page says of each kind of step: the texts of explanations.toml with the numbers of a layer in them."""

from __future__ import annotations

import inspect
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined

from ..layers import LayerTrace, Windows

__all__ = ["explain", "explain_layer"]


def explain(kind: str, **fields: Any) -> dict[str, str]:
    """The texts of a kind of step by name, in HTML, with these fields of a LayerTrace in them."""
    texts, templates = _texts_and_templates()
    known = kind if kind in texts else "unknown"
    return {name: templates.get_template(f"{known}.{name}").render(fields, kind=kind) for name in texts[known]}


def explain_layer(traced: LayerTrace) -> dict[str, str]:
    """The texts of a layer: its own, or else those of its kind."""
    documentation = (inspect.getdoc(traced.layer) or "A layer of its own.").partition("\n\n")[0]
    place = "" if traced.windows is None else _place(traced.windows)
    return explain(**vars(traced), documentation=documentation, place=place) | traced.layer.explanation()


@cache
def _texts_and_templates() -> tuple[dict[str, dict[str, str]], Environment]:
    """Kind -> name -> text, and the same texts as templates, each called kind.name."""
    texts = tomllib.loads(files(__package__).joinpath("explanations.toml").read_text(encoding="utf-8"))
    named = {f"{kind}.{name}": text for kind, table in texts.items() for name, text in table.items()}
    return texts, Environment(loader=DictLoader(named), autoescape=True, undefined=StrictUndefined)


def _place(windows: Windows) -> str:
    """ "2u + i − 1, 2v + j − 1": the pixel of the larger side for pixel (u, v) of the smaller, and tap (i, j)."""
    parts = []
    for pixel, tap, stride, before in zip("uv", "ij", windows.stride, windows.before, strict=True):
        parts.append(f"{pixel if stride == 1 else f'{stride}{pixel}'} + {tap}" + (f" − {before}" if before else ""))
    return ", ".join(parts)
