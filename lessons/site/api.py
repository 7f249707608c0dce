"""Write the API reference: one page per folder and one section per file. Sphinx's autodoc reads the docstrings."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from types import GenericAlias, ModuleType

import tinysegnet

__all__ = ["index_page", "links", "page", "pages", "prepare_docstring", "public_names"]

# The folders in the order of the project map, without cli, whose page shows the output of --help. A page documents what
# its packages export or, if a package has no __all__, what the files of the package export.
ROOMS = [room for room in re.findall(r"^ +(\w+)(?:/|\.py) +\S", tinysegnet.__doc__ or "", re.M) if room != "cli"]
MORE = {
    "runtime": ["settings", "distributed"],
    "data": ["toyscenes"],
    "weights": ["weight_files"],
    "training": ["optim"],
}
PAGES = {
    **{room: [f"tinysegnet.{name}" for name in (room, *(f"{room}.{part}" for part in MORE.get(room, ())))]
       for room in ROOMS},
    "lessons": [f"tinysegnet_lessons.{part}" for part in ("grader", "figures", "bugs", "influence")],
}  # fmt: skip

Sections = dict[str, list[str]]  # the public names that each file defines


@cache
def pages() -> dict[str, Sections]:
    """Return what each page documents. A name that several folders export is on the page of its own file."""
    found: dict[str, Sections] = {}
    for name, packages in PAGES.items():
        sections: Sections = {}
        for package in packages:
            files = list(_files(importlib.import_module(package)))
            listing = files[:1] if hasattr(files[0], "__all__") else files
            public = {name: getattr(file, name) for file in listing for name in public_names(file)}
            for file in files:
                bound = [name for name in _bound(file) if name in public and public[name] is getattr(file, name)]
                sections[file.__name__] = [name for name in bound if not inspect.ismodule(public[name])]
        found[name] = {file: sections[file] for file in sorted(sections, key=_place_of_op)}
    return found


def _place_of_op(file: str) -> int:
    """Return a sort key that puts the files of ops in the order of the registry, and keeps the order of other files."""
    places = {op.forward.__module__: place for place, op in reversed(list(enumerate(tinysegnet.ops.REGISTRY.values())))}
    return places.get(file, len(tinysegnet.ops.REGISTRY) if file.startswith("tinysegnet.ops.") else -1)


def _files(module: ModuleType) -> Iterator[ModuleType]:
    """Yield the module and, if it is a package, its files. Skip files that need PyTorch if it is not installed."""
    yield module
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        if not info.ispkg:
            try:
                yield importlib.import_module(f"{module.__name__}.{info.name}")
            except ModuleNotFoundError as error:
                if error.name != "torch":
                    raise


def public_names(file: ModuleType) -> list[str]:
    """Return a file's `__all__` or, without it, the names that the file defines without a leading underscore."""
    bound = [name for name in _bound(file, imported=False) if not name.startswith("_")]
    return list(getattr(file, "__all__", bound))


def _bound(file: ModuleType, *, imported: bool = True) -> list[str]:
    """Return the names that a file defines or assigns outside functions and classes, in the order of the file.

    imported: whether to include names imported from other libraries, which the file may export.
    """
    names: dict[str, None] = {}
    waiting = list(ast.parse(inspect.getsource(file)).body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] = None
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and imported:
            names |= {alias.name: None for alias in node.names}
        elif isinstance(node, ast.If | ast.Try | ast.With):
            waiting[:0] = [inner for inner in ast.iter_child_nodes(node) if isinstance(inner, ast.stmt)]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            parts = [part for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
            names |= {part.id: None for part in parts if isinstance(part.ctx, ast.Store)}
    return list(names)


@cache
def links() -> dict[str, str]:
    """Return the full name for each unambiguous short form of a public name."""
    found: dict[str, set[str]] = {}
    for full in _all_names():
        file, _, name = full.rpartition(".")
        for short in (name, f"ts.{name}", f"{file.split('.')[-1]}.{name}", full):
            found.setdefault(short, set()).add(full)
    return {short: full.pop() for short, full in found.items() if len(full) == 1}


def _all_names() -> list[str]:
    return [f"{file}.{name}" for page in pages().values() for file, names in page.items() for name in names]


def page(name: str, sections: Sections) -> str:
    """Return a page as reStructuredText, with the docstring of each file and the names that the file defines."""
    room, *_ = PAGES[name]
    lines = [name, "=" * 80, ""]
    for file, names in sections.items():
        if file == room:
            lines += [f".. automodule:: {file}", "", *(_ops_table() if name == "ops" else ())]
        elif names:
            lines += [file.removeprefix(f"{room}."), "-" * 80, "", f".. automodule:: {file}", ""]
        for entry in names:
            lines += [*_directive(file, entry), ""]
    return "\n".join(lines)


def _directive(file: str, name: str) -> list[str]:
    value = getattr(importlib.import_module(file), name)
    if inspect.isclass(value):
        return [f".. autoclass:: {file}.{name}"] + ["   :members:"] * (not issubclass(value, BaseException))
    if callable(value) and not isinstance(value, GenericAlias):  # an alias such as tuple[int, int] is data
        return [f".. autofunction:: {file}.{name}"]
    return [f".. autodata:: {file}.{name}"] + ["   :no-value:"] * (not isinstance(value, bool | int | float | str))


def _ops_table() -> list[str]:
    """Return a table of all ops of the registry, with their variants and the arguments that have a gradient."""
    rows = [("op", "variants", "gradients")]
    for name, op in tinysegnet.ops.REGISTRY.items():
        rows.append((name, ", ".join(op.variants), ", ".join(op.differentiable)))
    lines = [f"   {'* -' if cell is row[0] else '  -'} {cell}" for row in rows for cell in row]
    return [".. list-table::", "   :header-rows: 1", "", *lines, ""]


def index_page() -> str:
    """Return the page that lists all other pages, with the names on each page."""
    full = links()
    usual = [full[name] for name in tinysegnet.__all__ if name in full]
    intro = ("These pages are made from the docstrings, which `help(name)` also shows. Arrays have the layout NHWC, "
             "pictures are RGB in 0..255, and labels have one class per pixel.")  # fmt: skip
    names = _references(usual)
    lines = ["# API reference", "", intro, "", "**`import tinysegnet as ts`**", "", "{.names}", *names]
    for name, sections in pages().items():
        doc = inspect.getdoc(importlib.import_module(PAGES[name][0])) or ""
        summary = " ".join(doc.split("\n\n")[0].split())
        listed = [f"{file}.{entry}" for file, names in sections.items() for entry in names]
        lines += ["", f"**[{name}]({name}.rst)**", "", summary, "", "{.names}", *_references(listed)]
    return "\n".join([*lines, "", "```{toctree}", ":hidden:", "", *PAGES, "commands", "```", ""])


def _references(names: list[str]) -> list[str]:
    return [f"{{py:obj}}`{name.rpartition('.')[2]} <{name}>`" for name in names]


# --- docstrings -------------------------------------------------------------------------------------------------------

SECTION = re.compile(r"(Args|Attributes|Returns|Yields|Raises|Note|Notes|Example|Examples|References|Warning):")
CODE = re.compile(r"``.+?``|`([^`]+)`(\w?)", re.S)
SPECIAL = re.compile(r"([\\|]|\*(?! |$)|_(?=\W|$)|(?<!\w)_)")


def prepare_docstring(lines: list[str], link: dict[str, str]) -> list[str]:
    """Turn a docstring into reStructuredText for the extension napoleon.

    An indented block, such as a formula or a drawing, becomes a literal block, unless it belongs to a section such as
    Args. Names in backticks become code or links. Stars, bars and underscores are escaped.
    """
    found: list[str] = []
    section = literal = False
    for line in _joined(lines):
        if line.strip() and not line.startswith(" "):
            section = SECTION.fullmatch(line) is not None
        indented = line.startswith("    ") and not section
        if line.strip() and indented != literal:
            found += ["", "::", ""] if indented else [""]
            literal = indented
        found.append(line if literal or line.startswith((">>>", "...")) else _prose(line, link))
    return found


def _joined(lines: list[str]) -> list[str]:
    """Join lines where code in backticks spans two of them."""
    return CODE.sub(lambda code: code[0].replace("\n", " "), "\n".join(lines)).split("\n")


def _prose(line: str, link: dict[str, str]) -> str:
    parts, place = [], 0
    for code in CODE.finditer(line):
        name, after = code.groups()
        parts.append(SPECIAL.sub(r"\\\1", line[place : code.start()]))
        if name is None:
            parts.append(code[0])
        else:
            target = link.get(name.removesuffix("()"))
            parts.append(f":py:obj:`{name} <{target}>`" if target else f"``{name}``")
            parts.append(f"\\ {after}" * bool(after))
        place = code.end()
    return "".join([*parts, SPECIAL.sub(r"\\\1", line[place:])])
