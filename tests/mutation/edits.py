"""Small realistic bugs in numerical code: each is one edit of a source file, and all other bytes stay as they are.

Only code that computes is changed: no docstring, annotation, decorator, message, `raise` or `__repr__`.
"""

import ast
import re
from itertools import accumulate, pairwise

SYMBOLS = dict(Add="+ -", Sub="- +", Mult="* /", Div="/ *", Lt="< <=", LtE="<= <", Gt="> >=", GtE=">= >", Eq="== !=",
               NotEq="!= ==", Is="is is%not", IsNot="is%not is", In="in not%in", NotIn="not%in in", And="and or",
               Or="or and")  # fmt: skip
FUNCTIONS = "min max, minimum maximum, argmin argmax, floor ceil, any all, zeros ones, float32 float64, uint8 uint16"
AXES = "H W, h w, KH KW, C F, y x, i j, row column, rows columns, top left, height width, stride_y stride_x, grid_y grid_x"
FUNCTIONS, AXES = ({a: b for pair in text.split(", ") for a, b in (pair.split(), pair.split()[::-1])}
                   for text in (FUNCTIONS, AXES))  # fmt: skip
SILENT = re.compile(r"raise\b|(if )?TYPE_CHECKING\b|[\w.]*(Error|Warning|print|warn|say|debug|info|warning)\(")
LOOPS = re.compile(r"for ([\w, ()]+) in [\w.]*(?:range|ndindex|enumerate)\(")


class Edits:
    """The edits (operator, start, end, text) of a source: `text` replaces the bytes from start to end."""

    def __init__(self, source):
        self.source, self.lines = source, [0, *accumulate(map(len, source.splitlines(keepends=True)))]
        found = {edit for node, function in self.walk(ast.parse(source), "") for edit in self.of(node, function)}
        self.all = sorted(edit for edit in found if source[edit[1] : edit[2]] != edit[3].encode())

    def span(self, node):
        return self.lines[node.lineno - 1] + node.col_offset, self.lines[node.end_lineno - 1] + node.end_col_offset

    def text(self, node):
        return self.source[slice(*self.span(node))].decode()

    def walk(self, node, function):
        """Yield the nodes that compute, each with the text of the function around it."""
        if isinstance(node, ast.JoinedStr) or (hasattr(node, "lineno") and SILENT.match(self.text(node))):
            return
        children = ast.iter_child_nodes(node)
        if isinstance(node, ast.FunctionDef):
            children = [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]
            children, function = [] if node.name in ("__repr__", "__str__") else children, self.text(node)
        elif isinstance(node, ast.AnnAssign):
            children = filter(None, [node.value])
        yield node, function
        for child in children:
            yield from self.walk(child, function)

    def put(self, operator, node, *texts):
        return [(operator, *self.span(node), text) for text in texts]

    def shifted(self, operator, *nodes):
        return [edit for node in nodes if node is not None and not isinstance(node, ast.Constant)
                for edit in self.put(operator, node, f"({self.text(node)} + 1)", f"({self.text(node)} - 1)")]  # fmt: skip

    def swapped(self, operator, nodes):
        for a, b in pairwise(nodes):
            (start, end), (second, stop) = self.span(a), self.span(b)
            yield operator, start, stop, self.text(b) + self.source[end:second].decode() + self.text(a)

    def symbol(self, kind, left, right, suffix=""):  # no edit for kinds that are not in SYMBOLS
        old, new = (text.replace("%", " ") + suffix for text in SYMBOLS.get(type(kind).__name__, " ").split(" "))
        start = self.source.index(old.encode(), self.span(left)[1], self.span(right)[0])
        return f"{old} to {new}", start, start + len(old), new

    def of(self, node, function):
        """Yield the edits of one node."""
        match node:
            case ast.Constant(bool(value)):
                yield from self.put("constant", node, str(not value))
            case ast.Constant(int(value)):
                yield from self.put("constant", node, str(value + 1), str(value - 1))
            case ast.Constant(float(value)):
                yield from self.put("constant", node, repr(value / 2 or 1.0))
            case ast.Name(name, ast.Load()) if name in AXES and re.search(rf"\b{AXES[name]}\b", function):
                yield from self.put("axes", node, AXES[name])
            case ast.Name(name, ast.Load()) | ast.Attribute(_, name) if name in FUNCTIONS:
                yield "function or dtype", self.span(node)[1] - len(name), self.span(node)[1], FUNCTIONS[name]
            case ast.UnaryOp(ast.USub() | ast.Not(), operand):
                yield from self.put("sign or not", node, f"({self.text(operand)})")
            case ast.BinOp(left, kind, right):
                a, b, both = self.text(left), self.text(right), isinstance(kind, ast.Add | ast.Mult)
                floor = [f"(-(-({a}) // ({b})))"] if isinstance(kind, ast.FloorDiv) else []
                yield self.symbol(kind, left, right)
                yield from self.put("rounding" if floor else "dropped term", node, *floor or [f"({a})", f"({b})"][: 1 + both])
            case ast.Compare(left, kinds, others):
                yield from map(self.symbol, kinds, [left, *others], others)
            case ast.BoolOp(kind, values):
                yield from (self.symbol(kind, *pair) for pair in pairwise(values))
                yield from self.put("dropped term", node, *(f"({self.text(values[end])})" for end in (0, -1)))
            case ast.If(test) | ast.IfExp(test) | ast.While(test):
                yield from self.put("condition", test, f"(not ({self.text(test)}))")
            case ast.Subscript(_, index):
                parts, loops = getattr(index, "elts", [index]), re.findall(r"\w+", " ".join(LOOPS.findall(function)))
                yield from self.swapped("axes", parts)
                yield from self.shifted("index", *(p for p in parts if isinstance(p, ast.BinOp) or self.text(p) in loops))
            case ast.Slice(lower, upper, step):
                yield from self.shifted("boundary", lower, upper)
                if (lower is None) != (upper is None) and step is None:
                    place, text = (self.span(node)[0], "1") if upper else (self.span(node)[1], "-1")
                    yield "boundary", place, place, text
            case ast.Call(ast.Name("range" | "prange"), args):
                yield from self.shifted("boundary", *args[:2])
            case ast.Return(ast.Tuple(values)):
                yield from self.swapped("returned values", values)
            case ast.AugAssign(target, kind, value):
                yield self.symbol(kind, target, value, "=")
                yield from self.put("dropped statement", node, "pass")
            case ast.Assign([ast.Subscript() | ast.Attribute(), *_]) | ast.Expr(ast.Call()):
                yield from self.put("dropped statement", node, "pass")
