"""Small realistic bugs in numerical code. Each bug is one edit of a source file, and all other bytes stay as they are.

Only code that computes is changed: no docstring, annotation, decorator, message, `raise` or `__repr__`.
"""

import ast
import re
from itertools import accumulate, pairwise

SYMBOLS = {"Add": "+ -", "Sub": "- +", "Mult": "* /", "Div": "/ *", "Lt": "< <=", "LtE": "<= <", "Gt": "> >=",
           "GtE": ">= >", "Eq": "== !=", "NotEq": "!= ==", "Is": "is is%not", "IsNot": "is%not is", "In": "in not%in",
           "NotIn": "not%in in", "And": "and or", "Or": "or and"}  # fmt: skip
FUNCTIONS = "min max, minimum maximum, argmin argmax, floor ceil, any all, zeros ones, float32 float64, uint8 uint16"
AXES = "H W, h w, KH KW, C F, y x, i j, row column, rows columns, top left, height width, stride_y stride_x"
FUNCTIONS, AXES = ({a: b for pair in names.split(", ") for a, b in (pair.split(), pair.split()[::-1])}
                   for names in (FUNCTIONS, AXES))  # fmt: skip
SILENT = re.compile(r"raise\b|strict=|(if )?TYPE_CHECKING\b|[\w.]*(Error|Warning|print|warn|say|debug|info|warning)\(")
LOOPS = re.compile(r"for ([\w, ()]+) in [\w.]*(?:range|ndindex|enumerate)\(")


class Source:
    """The edits (operator, start, end, text) of a source: `text` replaces the bytes from start to end."""

    def __init__(self, source):
        self.source, self.lines = source, [0, *accumulate(map(len, source.splitlines(keepends=True)))]
        found = {edit for node, function in self.walk(ast.parse(source)) for edit in self.edits_of(node, function)}
        self.edits = sorted(edit for edit in found if source[edit[1] : edit[2]] != edit[3].encode())

    def span(self, node):
        return self.lines[node.lineno - 1] + node.col_offset, self.lines[node.end_lineno - 1] + node.end_col_offset

    def text(self, node):
        return self.source[slice(*self.span(node))].decode()

    def walk(self, node, function=""):
        """Yield the nodes that compute, each with the text of the function around it."""
        if not isinstance(node, ast.JoinedStr) and not (hasattr(node, "lineno") and SILENT.match(self.text(node))):
            yield node, function
            children = ast.iter_child_nodes(node)
            if isinstance(node, ast.FunctionDef):
                children = [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]
                function, children = self.text(node), [] if node.name in ("__repr__", "__str__") else children
            elif isinstance(node, ast.ClassDef | ast.AnnAssign):
                children = node.body if isinstance(node, ast.ClassDef) else filter(None, [node.value])
            for child in children:
                yield from self.walk(child, function)

    def shifted(self, operator, *nodes):
        for node in (node for node in nodes if not isinstance(node, ast.Constant | None)):
            yield from ((operator, *self.span(node), f"({self.text(node)} {sign} 1)") for sign in "+-")

    def swapped(self, operator, nodes):
        for a, b in pairwise(nodes):
            (start, end), (second, stop) = self.span(a), self.span(b)
            yield operator, start, stop, self.text(b) + self.source[end:second].decode() + self.text(a)

    def symbol(self, kind, left, right, suffix=""):  # no edit for kinds that are not in SYMBOLS
        old, new = (text.replace("%", " ") + suffix for text in SYMBOLS.get(type(kind).__name__, " ").split(" "))
        start = self.source.index(old.encode(), self.span(left)[1], self.span(right)[0])
        return f"{old} to {new}", start, start + len(old), new

    def edits_of(self, node, function):
        start, end = self.span(node) if hasattr(node, "lineno") else (0, 0)
        match node:
            case ast.Constant(bool() | int() | float() as value):
                numbers = {bool: [not value], int: [value + 1, value - 1], float: [value / 2 or 1.0]}[type(value)]
                yield from (("constant", start, end, str(number)) for number in numbers)
            case ast.Name(name, ast.Load()) if name in AXES and re.search(rf"\b{AXES[name]}\b", function):
                yield "axes", start, end, AXES[name]
            case ast.Name(name, ast.Load()) | ast.Attribute(_, name) if name in FUNCTIONS:
                yield "function or dtype", end - len(name), end, FUNCTIONS[name]
            case ast.UnaryOp(ast.USub() | ast.Not(), operand):
                yield "sign or not", start, end, f"({self.text(operand)})"
            case ast.BinOp(a, ast.FloorDiv(), b):
                yield "rounding", start, end, f"(-(-({self.text(a)}) // ({self.text(b)})))"
            case ast.BinOp(a, kind, b):
                yield self.symbol(kind, a, b)
                for kept in (a, b) if isinstance(kind, ast.Add | ast.Mult) else (a,):
                    yield "dropped term", start, end, f"({self.text(kept)})"
            case ast.Compare(left, kinds, others):
                yield from map(self.symbol, kinds, [left, *others], others)
            case ast.BoolOp(kind, values):
                yield from (self.symbol(kind, *pair) for pair in pairwise(values))
                yield from (("dropped term", start, end, f"({self.text(values[at])})") for at in (0, -1))
            case ast.If(test) | ast.IfExp(test) | ast.While(test):
                yield "condition", *self.span(test), f"(not ({self.text(test)}))"
            case ast.Subscript(_, index):
                parts, loops = getattr(index, "elts", [index]), re.findall(r"\w+", " ".join(LOOPS.findall(function)))
                yield from self.swapped("axes", parts)
                yield from self.shifted(
                    "index", *(p for p in parts if isinstance(p, ast.BinOp) or self.text(p) in loops)
                )
            case ast.Slice(lower, upper) | ast.Call(ast.Name("range" | "prange"), [lower, *upper]):
                yield from self.shifted("boundary", lower, *(upper if isinstance(upper, list) else [upper]))
            case ast.Return(ast.Tuple(values)):
                yield from self.swapped("returned values", values)
            case ast.AugAssign(target, kind, value):
                yield self.symbol(kind, target, value, "=")
                yield "dropped statement", start, end, "pass"
            case ast.Assign([ast.Subscript() | ast.Attribute(), *_]) | ast.Expr(ast.Call()):
                yield "dropped statement", start, end, "pass"
