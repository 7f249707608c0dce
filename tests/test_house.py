"""The package follows the rules of the project's layout for imports, sizes, names and docstrings.

The project map in the docstring of `tinysegnet` defines the order of the subpackages. Each rule is a function that
lists the violations in a package. Another test applies each rule to a small package that violates it.
"""

import ast
import re
from collections import Counter
from functools import lru_cache
from importlib.util import resolve_name
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "tinysegnet"
MAX_LINES = 300
MAX_ENTRIES = 20
MAX_LAYER_COMPARISONS = 5


# --- the content of the files ----------------------------------------------------------------------------------------


def sources(package):
    return sorted(package.rglob("*.py"))


def parse(path):
    return _parse_text(path.read_text(encoding="utf-8"))


_parse_text = lru_cache(maxsize=None)(ast.parse)


def project_map(package):
    """Return the lines of the map in the package's docstring, from "tinysegnet/" to the next empty line."""
    docstring = ast.get_docstring(parse(package / "__init__.py"))
    block = re.search(r"^ *tinysegnet/\n(?:.+\n?)+", docstring, re.MULTILINE).group()
    indent = len(block) - len(block.lstrip())
    return [line[indent:] for line in block.splitlines()]


def folders_of_map(package):
    """Return the folders and files of the map in order: ["errors", "files", "runtime", ...]."""
    return re.findall(r"^    (\w+)(?:/|\.py) ", "\n".join(project_map(package)), re.MULTILINE)


def module_name(path, package):
    """Return the dotted name, such as "tinysegnet.ops.conv2d". The name of an __init__.py is that of its folder."""
    return ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")


def folder_of(module):
    """Return "ops" for "tinysegnet.ops.conv2d", and "" for the package itself."""
    return (*module.split("."), "")[1]


def imported(path, package):
    """Yield all dotted names that a file imports, in any scope, including those passed to `import_module`."""
    module = module_name(path, package)
    folder = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), folder)
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (resolve_name(text.value, folder) for text in node.args[:1] if isinstance(text, ast.Constant))


def import_graph(package):
    """Return, for each module of the package, the modules of the package that it imports."""
    modules = {module_name(path, package): path for path in sources(package)}

    def existing(name):  # the module of an imported function is the longest existing prefix
        while name and name not in modules:
            name = name.rpartition(".")[0]
        return name

    return {
        module: {existing(name) for name in imported(path, package)} - {"", module} for module, path in modules.items()
    }


# --- the rules -------------------------------------------------------------------------------------------------------


def imports_of_later_folders(package):
    """List imports from a later line of the map. Only the command line may import the package itself."""
    listed = [*(folder for folder in folders_of_map(package) if folder != "cli"), "", "cli", "__main__"]
    order = {name: number for number, name in enumerate(listed)}
    return [
        f"{module} imports {target}"
        for module, targets in import_graph(package).items()
        for target in sorted(targets)
        if order[folder_of(target)] > order[folder_of(module)]
    ]


def circular_imports(package):
    """List modules that import themselves through other modules."""
    graph = import_graph(package)

    def reachable(module):
        seen, waiting = set(), [*graph[module]]
        while waiting:
            seen.add(following := waiting.pop())
            waiting += graph[following] - seen
        return seen

    return [module for module in graph if module in reachable(module)]


def differences_between_map_and_disk(package):
    """List folders and files that exist only in the map or only on disk."""
    on_disk = {module.split(".")[1] for module in import_graph(package) if "." in module} - {"__main__"}
    return sorted(on_disk ^ set(folders_of_map(package)))


def long_files(package):
    """List Python files and scripts that are too long."""
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines())
               for pattern in ("*.py", "*.js") for path in package.rglob(pattern)}  # fmt: skip
    return [f"{path.name}: {length} lines" for path, length in lengths.items() if length > MAX_LINES]


def repeated_basenames(package):
    """List names of more than one file or folder. Only a layer may have the same name as its op."""
    places = {}
    for path in sources(package):
        named = path.parent if path.name == "__init__.py" else path.with_suffix("")
        places.setdefault(named.name, []).append(named.parent.name)
    return [f"{name}: {', '.join(found)}" for name, found in places.items()
            if len(found) > 1 and sorted(found) != ["layers", "ops"]]  # fmt: skip


def repeated_classes(package):
    """List names of more than one class, including private classes."""
    counts = Counter(node.name for path in sources(package)
                     for node in ast.walk(parse(path)) if isinstance(node, ast.ClassDef))  # fmt: skip
    return [name for name, count in counts.items() if count > 1]


def imports_of_lessons(package):
    """List files that import the package of the lessons."""
    return [path.name for path in sources(package)
            if any(name.split(".")[0] == "tinysegnet_lessons" for name in imported(path, package))]  # fmt: skip


def public_names_without_docstring(package):
    """Yield modules, public functions and public classes that have no docstring."""
    for path in sources(package):
        tree = parse(path)
        for node in [tree, *tree.body]:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
                name = getattr(node, "name", "")
                if not name.startswith("_") and not ast.get_docstring(node):
                    yield f"{module_name(path, package)}: {name or 'module'}"


def layer_classes(package):
    """Return the names of the classes that tinysegnet.layers exports."""
    for node in parse(package / "layers" / "__init__.py").body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return {name for name in ast.literal_eval(node.value) if name[0].isupper()}
    raise AssertionError("tinysegnet.layers has no __all__")


def layer_comparisons(package):
    """List places outside layers/ that test the type of a layer by isinstance, type(), match, or a comparison."""
    classes = layer_classes(package)
    return [
        f"{module_name(path, package)}:{line}"
        for path in sources(package)
        if folder_of(module_name(path, package)) != "layers"
        for line in sorted(_comparing_lines(parse(path), classes))
    ]


def _comparing_lines(tree, classes):
    names = set(classes)
    for node in ast.walk(tree):  # aliases of the classes: `import ... as`, a tuple of classes
        if isinstance(node, ast.ImportFrom):
            names |= {alias.asname for alias in node.names if alias.name in classes and alias.asname}
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Tuple | ast.BinOp) and _names(node) & names:
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("isinstance", "issubclass"):
            compared = _names(node.args[1])
        elif isinstance(node, ast.Compare):
            compared = set.union(*map(_names, [node.left, *node.comparators]))
        elif isinstance(node, ast.MatchClass):
            compared = _names(node.cls)
        else:
            continue
        if compared & names:
            yield node.lineno if hasattr(node, "lineno") else node.cls.lineno


def _names(node):
    """Return the names, attributes and texts in an expression."""
    found = {getattr(part, "id", None) or getattr(part, "attr", None) for part in ast.walk(node)}
    return found | {part.value for part in ast.walk(node) if isinstance(part, ast.Constant)}


def dangerous_calls(package):
    """Yield calls and imports that could run code from a file: pickle, eval and exec."""
    for path in sources(package):
        calls = {ast.unparse(node.func) for node in ast.walk(parse(path)) if isinstance(node, ast.Call)}
        found = calls & {"eval", "exec"} | {n for n in imported(path, package) if n.split(".")[0] == "pickle"}
        yield from (f"{path.name}: {name}" for name in sorted(found))


def slow_imports(package):
    """Yield imports of SciPy at the top of a file, which would slow down every start of the program."""
    for path in sources(package):
        for node in parse(path).body:
            if isinstance(node, ast.Import | ast.ImportFrom) and re.search(r"\bscipy\b", ast.unparse(node)):
                yield f"{path.name}: {ast.unparse(node)}"


def unreadable_scripts(package):
    """Yield JavaScript files that have no comment at the top or have lines that are too long."""
    for path in package.rglob("*.js"):
        lines = path.read_text(encoding="utf-8").splitlines()
        if max(map(len, lines)) > 120 or not lines[0].startswith(("// ", "/** ")):
            yield path.name


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
    entries = [path.name for path in PACKAGE.iterdir() if path.name not in ("__pycache__", "py.typed")]
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
