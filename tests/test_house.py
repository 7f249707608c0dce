"""The package follows the rules of the project's layout for imports, sizes, names and docstrings.

The project map in the docstring of `tinysegnet` defines the order of the subpackages. Each rule is a function of
house_rules.py. Another test applies each rule to a small package that violates it.
"""

from pathlib import Path

import pytest
from house_rules import (
    MAX_LINES,
    circular_imports,
    dangerous_calls,
    differences_between_map_and_disk,
    folders_of_map,
    imports_of_later_folders,
    imports_of_lessons,
    layer_comparisons,
    long_files,
    project_map,
    public_names_without_docstring,
    repeated_basenames,
    repeated_classes,
    slow_imports,
    unreadable_scripts,
)

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tinysegnet"
MAX_ENTRIES = 20
MAX_LAYER_COMPARISONS = 5


# For each rule, the path and text of a file that violates the rule in a package with the folders low, layers and high.
BROKEN = {
    imports_of_later_folders: ("low/a.py", "def f():\n    from ..high import b"),
    circular_imports: ("low/a.py", "from . import b"),
    differences_between_map_and_disk: ("cellar/a.py", ""),
    long_files: ("low/a.py", "\n" * (MAX_LINES + 1)),
    repeated_basenames: ("low/b.py", ""),
    repeated_classes: ("low/a.py", "class Thing: ..."),
    imports_of_lessons: ("high/a.py", "from tinysegnet_lessons.figures import heat"),
    public_names_without_docstring: ("low/a.py", '"""A module."""\ndef f(): ...'),
    dangerous_calls: ("low/a.py", "import pickle"),
    slow_imports: ("low/a.py", "from scipy import ndimage"),
    unreadable_scripts: ("high/a.js", "const wide = 0;"),
}


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule):
    broken = list(rule(PACKAGE))
    assert not broken, "\n".join(broken)


def test_few_places_test_the_type_of_a_layer():
    found = layer_comparisons(PACKAGE)
    assert len(found) <= MAX_LAYER_COMPARISONS, "\n".join(found)


def test_the_package_has_few_folders_and_files():
    entries = [path.name for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "py.typed", "__init__.pyi")]
    assert len(entries) <= MAX_ENTRIES, entries


def test_the_readme_prints_the_same_map():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "\n".join(["```", *project_map(PACKAGE)]) + "\n" in readme


# --- the rules report violations -------------------------------------------------------------------------------------

MAP = '''"""A package.

    tinysegnet/
        low/       below
        layers/    layers
        high/      above

More text.
"""
'''


@pytest.fixture
def small_package(tmp_path):
    """A package that violates no rule."""
    package = tmp_path / "tinysegnet"
    for name, text in {
        "__init__.py": MAP + "from .high import b",
        "low/__init__.py": '"""Low."""',
        "low/base.py": '"""A module."""',
        "layers/__init__.py": '"""Layers."""\n__all__ = ["Conv2d", "relu"]',
        "high/__init__.py": '"""High."""\nfrom .b import Thing',
        "high/b.py": '"""A module."""\nfrom ..low import base\n\n\nclass Thing:\n    """A thing."""',
    }.items():
        write(package, name, text)
    return package


def write(package, name, text):
    path = package / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("rule", BROKEN, ids=lambda rule: rule.__name__)
def test_the_rule_reports_a_violation(rule, small_package):
    assert list(rule(small_package)) == []
    if rule is circular_imports:
        write(small_package, "low/b.py", "if TYPE_CHECKING:\n    from .a import f")
    write(small_package, *BROKEN[rule])
    assert list(rule(small_package))


def test_only_a_layer_may_have_the_name_of_its_op(small_package):
    for name in ("ops/relu.py", "layers/relu.py"):
        write(small_package, name, "")
    assert repeated_basenames(small_package) == []
    write(small_package, "high/relu.py", "")
    assert len(repeated_basenames(small_package)) == 1


def test_only_the_command_line_may_import_the_package_itself(small_package):
    write(small_package, "__init__.py", MAP.replace("high/ ", "cli/  "))
    for name in ("cli/a.py", "low/a.py"):
        write(small_package, name, "from .. import __version__")
    (small_package / "high" / "b.py").unlink()
    (small_package / "high" / "__init__.py").unlink()
    assert imports_of_later_folders(small_package) == ["tinysegnet.low.a imports tinysegnet"]


@pytest.mark.parametrize("text", [
    "import tinysegnet.high.b",
    "from tinysegnet.high import b",
    "from .. import high",
    "from .. import __version__",
    "if TYPE_CHECKING:\n    from ..high.b import Thing",
    "from importlib import import_module\nimport_module('..high', __package__)",
])  # fmt: skip
def test_every_form_of_import_is_reported(text, small_package):
    write(small_package, "low/a.py", text)
    assert len(imports_of_later_folders(small_package)) == 1


@pytest.mark.parametrize(("text", "count"), [
    ("isinstance(x, Conv2d)", 1),
    ("isinstance(x, layers.Conv2d | Other)", 1),
    ("isinstance(x, (Other,\n  Conv2d))\nissubclass(x, Conv2d)", 2),
    ("type(x) is Conv2d or type(x) in (Other, Conv2d)", 2),
    ("from ..layers import Conv2d as C\nisinstance(x, C)", 1),
    ("KINDS = (Conv2d, Other)\nisinstance(x, KINDS)", 1),
    ("match x:\n  case Conv2d(): pass", 1),
    ("type(x).__name__ == 'Conv2d'", 1),
    ("isinstance(x, Other)\ny = Conv2d(3)\nTABLE = {Conv2d: 1}\nx == relu", 0),
])  # fmt: skip
def test_every_form_of_a_layer_comparison_is_counted(text, count, small_package):
    write(small_package, "high/a.py", text)
    assert len(layer_comparisons(small_package)) == count
    write(small_package, "layers/a.py", text)
    assert len(layer_comparisons(small_package)) == count


def test_the_map_gives_the_folders_in_order(small_package):
    assert project_map(small_package) == ["tinysegnet/", "    low/       below", "    layers/    layers",
                                          "    high/      above"]  # fmt: skip
    assert folders_of_map(small_package) == ["low", "layers", "high"]
