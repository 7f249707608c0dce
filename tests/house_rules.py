"""The rules of the project's layout. Each is a function that lists the violations in a package."""

import ast
import re
from collections import Counter
from functools import lru_cache
from importlib.util import resolve_name

MAX_LINES = 300


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
