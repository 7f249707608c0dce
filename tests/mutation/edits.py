"""Small realistic bugs in code that computes, so not in docstrings, annotations, decorators, messages or `raise`."""

import ast
import re
from itertools import accumulate, pairwise, permutations

SYMBOLS = "+ -, * /, < <=, > >=, == !="
FUNCTIONS = "min max, minimum maximum, argmin argmax, floor ceil, any all, zeros ones, float32 float64, uint8 uint16"
AXES = "H W, h w, KH KW, C F, y x, i j, row column, rows columns, top left, height width, stride_y stride_x"
OTHER = dict(order for pair in f"{SYMBOLS}, {FUNCTIONS}, {AXES}".split(", ") for order in permutations(pair.split()))
SILENT = re.compile(r"raise\b|strict=|(if )?TYPE_CHECKING\b|def __(repr|str)__|[\w.]*(Error|[Ww]arn(ing)?|print|say)\(")
LOOPS = re.compile(r"for ([\w, ()]+) in [\w.]*(?:range|ndindex|enumerate)\(")


class Source:
    """The edits (operator, start, end, text) of a source: `text` replaces the bytes from start to end."""

    def __init__(self, source):
        self.source, self.lines = source, [0, *accumulate(map(len, source.splitlines(keepends=True)))]
        self.names = set(re.findall(r"\w+", f"{FUNCTIONS} {source.decode()}"))
        self.indices = set(re.findall(r"\w+", " ".join(LOOPS.findall(source.decode()))))
        found = {edit for node in self.computing(ast.parse(source)) for edit in self.edits_of(node)}
        self.edits = sorted(edit for edit in found if source[edit[1] : edit[2]] != edit[3].encode())

    def span(self, node):
        return self.lines[node.lineno - 1] + node.col_offset, self.lines[node.end_lineno - 1] + node.end_col_offset

    def text(self, node):
        return self.source[slice(*self.span(node))].decode()

    def computing(self, node):
        """Yield the nodes that compute."""
        if not isinstance(node, ast.JoinedStr) and not (hasattr(node, "lineno") and SILENT.match(self.text(node))):
            yield node
            other = {getattr(node, name, None) for name in ("annotation", "returns")}
            for child in ast.iter_child_nodes(node):
                if child not in other | set(getattr(node, "decorator_list", ())):
                    yield from self.computing(child)

    def shifted(self, operator, nodes):
        for node in (node for node in nodes if not isinstance(node, ast.Constant | None)):
            yield from ((operator, *self.span(node), f"({self.text(node)} {sign} 1)") for sign in "+-")

    def swapped(self, operator, nodes):
        for a, b in pairwise(nodes):
            (start, end), (second, stop) = self.span(a), self.span(b)
            yield operator, start, stop, self.text(b) + self.source[end:second].decode() + self.text(a)

    def symbol(self, left):  # an edit of the symbol after `left`, without effect if OTHER lacks it
        found = re.compile(rb"[^ ()\n]+").search(self.source, self.span(left)[1])
        old = found[0].decode()
        return f"{old} to {OTHER.get(old)}", *found.span(), OTHER.get(old, old)

    def edits_of(self, node):
        start, end = self.span(node) if hasattr(node, "lineno") else (0, 0)
        match node:
            case ast.Constant(bool() | int() | float() as value):
                numbers = {bool: [not value], int: [value + 1, value - 1], float: [value / 2 or 1.0]}[type(value)]
                yield from (("constant", start, end, str(number)) for number in numbers)
            case ast.Name(name, ast.Load()) | ast.Attribute(_, name, ast.Load()) if OTHER.get(name) in self.names:
                yield "other name", end - len(name), end, OTHER[name]
            case ast.UnaryOp(ast.USub() | ast.Not(), operand):
                yield "sign or not", start, end, f"({self.text(operand)})"
            case ast.BinOp(a, kind, b):
                yield self.symbol(a)
                for kept in (a, b) if isinstance(kind, ast.Add | ast.Mult) else (a,):
                    yield "dropped term", start, end, f"({self.text(kept)})"
            case ast.Compare(left, _, others):
                yield from map(self.symbol, [left, *others[:-1]])
            case ast.BoolOp(_, values):
                yield from (("dropped term", start, end, f"({self.text(values[at])})") for at in (0, -1))
            case ast.If(test) | ast.IfExp(test) | ast.While(test):
                yield "condition", *self.span(test), f"(not ({self.text(test)}))"
            case ast.Subscript(_, index):
                parts = getattr(index, "elts", [index])
                yield from self.swapped("axes", parts)
                shiftable = [p for p in parts if isinstance(p, ast.BinOp) or self.text(p) in self.indices]
                yield from self.shifted("index", shiftable)
            case ast.Slice() | ast.Call(ast.Name("range" | "prange")):
                bounds = node.args if isinstance(node, ast.Call) else [node.lower, node.upper]
                yield from self.shifted("boundary", bounds)
            case ast.Return(ast.Tuple(values)):
                yield from self.swapped("returned values", values)
            case ast.AugAssign() | ast.Assign([ast.Subscript() | ast.Attribute(), *_]) | ast.Expr(ast.Call()):
                yield "dropped statement", start, end, "pass"
