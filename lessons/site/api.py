"""The pages of the API reference: which names are public, where each is documented, and the text of every page."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
import types
from dataclasses import dataclass, field
from typing import Any

from docstrings import convert, escape, first_sentence

__all__ = ["AREAS", "Area", "Entry", "areas", "index_page", "linker", "page"]

# Page, title, and the modules it shows: a package with __all__ in its own order, else each of its files.
AREAS = [
    ("tinysegnet", "tinysegnet: the usual names", ["tinysegnet"]),
    ("ops", "ops: the mathematics", ["tinysegnet.ops"]),
    ("layers", "layers: ops with a memory", ["tinysegnet.layers"]),
    ("models", "models: networks by name", ["tinysegnet.models"]),
    ("gradcheck", "gradcheck: is a backward right?", ["tinysegnet.gradcheck"]),
    ("data", "data: pictures and label maps", ["tinysegnet.data", "tinysegnet.data.toyscenes"]),
    ("metrics", "metrics: how good is it?", ["tinysegnet.metrics"]),
    ("training", "train, predict: the loop and its use",
     ["tinysegnet.training", "tinysegnet.training.loop", "tinysegnet.training.recipes", "tinysegnet.training.optim",
      "tinysegnet.training.batchnorm_statistics", "tinysegnet.training.run_folder", "tinysegnet.training.signals",
      "tinysegnet.prediction", "tinysegnet.prediction.predict", "tinysegnet.weights", "tinysegnet.weights.checkpoint",
      "tinysegnet.weights.bundled", "tinysegnet.weights.encoders", "tinysegnet.report", "tinysegnet.report.run_page"]),
    ("viz", "viz: pictures", ["tinysegnet.viz"]),
    ("walk", "walk: inside a network", ["tinysegnet.walk"]),
    ("checks", "checks: the graders of the lessons", ["tinysegnet_lessons.grader"]),
    ("weightfiles", "weightfiles: what others wrote", ["tinysegnet.weights.weight_files"]),
    ("bench", "bench: how fast", ["tinysegnet.bench"]),
    ("foundations", "errors, backend, files, settings",
     ["tinysegnet.errors", "tinysegnet.runtime", "tinysegnet.files", "tinysegnet.runtime.settings"]),
]  # fmt: skip

USUAL = ["models", "train", "predict", "checkpoint", "pretrained", "recipes", "walk"]  # the first page's order


@dataclass
class Entry:
    """A public name: where it is imported from, and what it is."""

    path: str
    value: Any

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def directive(self) -> str:
        if inspect.isclass(self.value):
            return "autoclass"
        return "autofunction" if inspect.isroutine(self.value) else "py:data"


@dataclass
class Area:
    """A page: its sections are the files in which the names are defined, with the files' docstrings."""

    name: str
    title: str
    doc: str
    sections: dict[str, list[Entry]] = field(default_factory=dict)


def areas() -> list[Area]:
    """All pages. A name that can be imported from two places is documented once, on the page of its own area."""
    found, seen = [], set[tuple[str, str]]()
    for name, title, modules in sorted(AREAS, key=lambda area: area[0] == "training"):
        present = [module for module in map(_module, modules) if module]
        if not present:
            continue
        area = Area(name, title, present[0].__doc__ or "" if len(present) == 1 or name == "data" else "")
        for module in present:
            for entry in _entries(module):
                home = _home(entry)
                if (home, entry.name) not in seen:
                    seen.add((home, entry.name))
                    area.sections.setdefault(home, []).append(entry)
        area.sections = {home: sorted(area.sections[home], key=lambda entry: _line(entry, home))
                         for home in sorted(area.sections, key=lambda home: _imported(home, present[0]))}  # fmt: skip
        found.append(area)
    order = [name for name, _, _ in AREAS]
    return sorted(found, key=lambda area: order.index(area.name))


def _module(name: str) -> types.ModuleType | None:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name in (name, "torch"):  # not written yet, or the side of a comparison that only PyTorch can run
            return None
        raise


def _entries(module: types.ModuleType) -> list[Entry]:
    if hasattr(module, "__all__"):
        found = [Entry(f"{module.__name__}.{name}", getattr(module, name)) for name in module.__all__]
        return [entry for entry in found if not inspect.ismodule(entry.value)]
    files = pkgutil.iter_modules(module.__path__) if hasattr(module, "__path__") else ()
    present = [_module(f"{module.__name__}.{file.name}") for file in files if not file.name.startswith("_")]
    return [entry for file in present if file for entry in _entries(file)]


def _home(entry: Entry) -> str:
    """The module whose file defines the name; of data, the module that binds it first."""
    home = getattr(entry.value, "__module__", None)
    if entry.directive != "py:data" and isinstance(home, str) and home.startswith("tinysegnet"):
        return home
    package = entry.path.rpartition(".")[0]
    for name, module in sorted(_loaded().items()):
        if name.startswith(f"{package}.") and _binding(module, entry.name):
            return name
    return package


def _line(entry: Entry, home: str) -> int:
    """Where its file defines the name: forward comes before backward there."""
    found = re.search(rf"^(?:def |class )?{re.escape(entry.name)}\b", inspect.getsource(_module(home)), re.M)
    return found.start() if found else 0


def _imported(home: str, package: types.ModuleType) -> tuple[int, str]:
    """Where the package imports the file: the page has its order."""
    part = home.removeprefix(f"{package.__name__}.").split(".")[0]
    if package.__name__ == "tinysegnet":
        return (USUAL.index(part) if part in USUAL else len(USUAL)), home
    found = re.search(rf"^from \.{re.escape(part)}\b", inspect.getsource(package), re.M)
    return (found.start() if found else 0), home


def _loaded() -> dict[str, types.ModuleType]:
    return {name: module for name, module in sys.modules.items() if name.startswith("tinysegnet.") and module}


def _binding(module: types.ModuleType, name: str) -> re.Match | None:
    try:
        text = inspect.getsource(module)
    except (OSError, TypeError):
        return None
    return re.search(rf"^((?:# .*\n)*){re.escape(name)}(?:: [^=\n]+)? = .*?(?:  # (.*))?$", text, re.M)


def linker(found: list[Area]):
    """-> link(name): the full name of a public name that stands in backticks, None for any other text."""
    paths: dict[str, set[str]] = {}
    for area in found:
        for entry in (entry for entries in area.sections.values() for entry in entries):
            short = entry.path.removeprefix("tinysegnet.")
            for name in (entry.name, short, f"ts.{short}", entry.path):
                paths.setdefault(name, set()).add(entry.path)

    def link(name: str) -> str | None:
        matches = paths.get(name.removesuffix("()"), set())
        return next(iter(matches)) if len(matches) == 1 else None

    return link


def page(area: Area, link) -> str:
    """A page as reStructuredText: for every file its docstring, and below it the names that it defines."""
    lines = [escape(area.title), "=" * 80, "", *convert(area.doc, link=link)]
    for home, entries in area.sections.items():
        title, doc = _heading(home, area)
        lines += ["", title, "-" * 80, "", *convert(doc, link=link)]
        for entry in entries:
            lines += ["", *_directive(entry, home, link), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _heading(home: str, area: Area) -> tuple[str, str]:
    """(title, docstring) of a section; a page's own docstring is not repeated."""
    doc = importlib.import_module(home).__doc__ or ""  # as written: inspect.getdoc takes away an indentation
    name = home.removeprefix("tinysegnet.")
    return name.removeprefix(f"{area.name}."), "" if doc == area.doc or area.name == "tinysegnet" else doc


def _directive(entry: Entry, home: str, link) -> list[str]:
    if entry.directive == "autoclass":
        bases = [] if issubclass(entry.value, BaseException) else ["   :members:"]
        return [f".. autoclass:: {entry.path}", *bases]
    if entry.directive == "autofunction":
        return [f".. autofunction:: {entry.path}"]
    said = _binding(importlib.import_module(home), entry.name)
    comment = " ".join([re.sub(r"^# ?", "", said[1], flags=re.M).strip(), said[2] or ""]).strip() if said else ""
    value = repr(entry.value)
    lines = [f".. py:data:: {entry.path}", f"   :type: {type(entry.value).__name__}"]
    lines += [f"   :value: {value}"] if len(value) <= 70 and "\n" not in value and " at 0x" not in value else []
    if not comment and isinstance(entry.value, dict) and all(isinstance(key, str) for key in entry.value):
        comment = "Its keys: " + ", ".join(f"`{key}`" for key in entry.value) + "."
    return [*lines, "", *(f"   {line}".rstrip() for line in convert(comment, link=link))]


def index_page(found: list[Area]) -> str:
    """The list of all pages, each with the names on it."""
    lines = ["# API reference", "", "Made from the docstrings; `help(name)` says the same. Arrays are NHWC, a picture "
             "is RGB in 0..255, labels are a class for each pixel.", ""]  # fmt: skip
    for area in found:
        names = [entry for entries in area.sections.values() for entry in entries]
        doc = first_sentence(area.doc).rstrip(".") + "." if area.doc else ""
        lines += [f"**[{area.title}]({area.name}.rst)**", "", doc, "", "{.names}",
                  " ".join(f"{{py:obj}}`{entry.name} <{entry.path}>`" for entry in names), ""]  # fmt: skip
    return "\n".join([*lines, "```{toctree}", ":hidden:", "", *(area.name for area in found), "commands", "```", ""])
