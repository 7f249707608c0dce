"""The page's texts, above all those of each kind of step, from explanations.toml with numbers filled in."""

import inspect
import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined, Template

from ..layers import LayerTrace, Windows


def explain(kind: str, **fields: Any) -> dict[str, str]:
    """Return the texts of a kind of step by name, in HTML, with these fields of a LayerTrace filled in."""
    templates = _templates().get(kind, _templates()["unknown"])
    return {name: template.render(kind=kind, **fields) for name, template in templates.items()}


def explain_layer(traced: LayerTrace) -> dict[str, str]:
    """Return the texts of a layer: the layer's own texts and, where it has none, those of its kind."""
    documentation = (inspect.getdoc(traced.layer) or "A layer without documentation.").partition("\n\n")[0]
    place = "" if traced.windows is None else _place(traced.windows)
    return explain(**vars(traced), documentation=documentation, place=place) | traced.layer.explanation()


@cache
def _templates() -> dict[str, dict[str, Template]]:
    """Return the texts by kind and name. A text can include another one by its name, "kind.name"."""
    texts = tomllib.loads(files(__package__).joinpath("explanations.toml").read_text(encoding="utf-8"))
    named = {f"{kind}.{name}": text for kind, table in texts.items() for name, text in table.items()}
    load = Environment(loader=DictLoader(named), autoescape=True, undefined=StrictUndefined).get_template
    return {kind: {name: load(f"{kind}.{name}") for name in table} for kind, table in texts.items()}


def _place(windows: Windows) -> str:
    """Return the larger side's pixel for pixel (u, v) of the smaller side and tap (i, j): "2u + i − 1, 2v + j − 1"."""
    parts = []
    for pixel, tap, stride, before in zip("uv", "ij", windows.stride, windows.before, strict=True):
        parts.append(f"{pixel if stride == 1 else f'{stride}{pixel}'} + {tap}" + (f" − {before}" if before else ""))
    return ", ".join(parts)
