"""The results of a gradient check: a table, and the details of each failed gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from .differences import Probe

MOST_CROSSED = 0.02  # the maximum share of the probes
MOST_ROWS, MOST_REFUSALS = 8, 3  # limits for notebooks, since a network has a hundred gradients
# Phrases in the problems that `contract` reports, and the law that each of them says is broken.
LAWS = {"not linear in dout": "linear in dout", "called again": "repeatable", "after another forward": "repeatable",
        "writes to": "arguments unwritten"}  # fmt: skip


@dataclass
class TensorReport:
    """The report of one gradient. `numeric` is NaN where nothing was measured."""

    name: str
    analytic: np.ndarray
    numeric: np.ndarray
    probes: list[Probe]
    taylor: float | None = None  # 2 for a right gradient, 1 for a wrong one, None if the loss is linear
    hint: str | None = None

    def count(self, status: str) -> int:
        """Return the number of probes with the given status: "ok", "wrong" or "crossed"."""
        return sum(p.status == status for p in self.probes)

    @property
    def worst(self) -> Probe:
        """The probe to show: the one with the largest ratio error / allowed error, preferably a wrong one."""
        return max(self.probes, key=lambda p: (p.status == "wrong", p.excess if p.status != "crossed" else -1))

    @property
    def excess(self) -> float:
        """The largest ratio error / allowed error, without crossed probes. It is above 1 if a probe is wrong."""
        return max((p.excess for p in self.probes if p.status != "crossed"), default=0.0)

    @property
    def too_many_crossed(self) -> bool:
        return self.count("crossed") > MOST_CROSSED * len(self.probes)

    @property
    def ok(self) -> bool:
        return not self.count("wrong") and not self.too_many_crossed

    def line(self, width: int) -> str:
        wrong, total = self.count("wrong"), len(self.probes)
        entries = f"{wrong} of {total} wrong" if wrong else f"{total} of {self.analytic.size}"
        shape = "x".join(map(str, self.analytic.shape)) or "number"
        mark = "ok" if self.ok else "FAIL" if wrong else "KINK"
        return (f"{mark:<5}{self.name:<{width}} {shape:<12} {entries:<16} {_number(self.excess):>13}   "
                f"{taylor_text(self.taylor):>6}   {_crossings(self.probes)}")  # fmt: skip

    def details(self) -> list[str]:
        p = self.worst if self.count("wrong") else next(p for p in self.probes if p.status == "crossed")
        place = f"[{', '.join(map(str, p.where))}]" if isinstance(p.where, tuple) else f" along {p.where}"
        lines = [f"worst  {self.name}{place}   analytic {p.analytic:+.4e}   numeric {p.numeric:+.4e}   "
                 f"error {p.error:.1e}   allowed {p.allowed:.1e}"]  # fmt: skip
        answer = "no" if p.kind == "smooth" else f"yes, a {p.kind}"
        lines.append(f"kink?  {answer} ({_sides(p)})      Taylor slope {taylor_text(self.taylor)} (2.00 expected)")
        if self.too_many_crossed:
            lines.append(f"hint   {self.count('crossed')} of {len(self.probes)} entries are at a kink or jump, where "
                         "no slope exists. Choose arguments away from ties and zeros")  # fmt: skip
        return lines + ([f"hint   {self.hint}"] if self.hint else [])


@dataclass
class Report:
    """The result of a gradient check, or of several (`parts`). Its truth value equals `ok`.

    `str()` returns the table. `problems` lists violations of the layer's contract.
    """

    title: str
    tensors: list[TensorReport] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    parts: list[Report] = field(default_factory=list)
    reproduce: str = ""
    refused: int = 0  # the number of cases that a fast variant does not support

    @property
    def ok(self) -> bool:
        return not self.problems and all(t.ok for t in self.tensors) and all(part.ok for part in self.parts)

    def __bool__(self) -> bool:
        return self.ok

    def all_tensors(self) -> Iterator[TensorReport]:
        yield from self.tensors
        for part in self.parts:
            yield from part.all_tensors()

    @property
    def verdict(self) -> str:
        """ "ok", "bug" (a wrong gradient), "contract" (a violation) or "kink" (too many entries are not judged)."""
        if self.ok:
            return "ok"
        if self.wrong:
            return "bug"
        return "contract" if self.problems or any(p.verdict == "contract" for p in self.parts) else "kink"

    @property
    def broken_laws(self) -> tuple[str, ...]:
        """The broken laws: "gradient", "linear in dout", "repeatable", "arguments unwritten" or "other"."""
        problems = " ".join(self.all_problems())
        found = ["gradient"] if self.wrong else []
        found += [law for words, law in LAWS.items() if words in problems]
        return tuple(dict.fromkeys(found)) if found or not problems else ("other",)

    @property
    def checked(self) -> int:
        return sum(len(t.probes) for t in self.all_tensors())

    @property
    def worst_ratio(self) -> float:
        return max((t.excess for t in self.all_tensors()), default=0.0)

    @property
    def wrong(self) -> int:
        return sum(t.count("wrong") for t in self.all_tensors())

    @property
    def crossed(self) -> int:
        return sum(t.count("crossed") for t in self.all_tensors())

    @property
    def taylor(self) -> float | None:
        """The slope furthest from 2, or None if every loss was linear."""
        slopes = [t.taylor for t in self.all_tensors() if t.taylor is not None]
        return max(slopes, key=lambda slope: abs(slope - 2) if slope == slope else np.inf, default=None)

    def _lines(self) -> Iterator[str]:
        note = f"   ({self.refused} cases not supported)" if self.refused else ""
        yield f"{'ok' if self.ok else 'FAIL':<5}{self.title}{note}"
        for problem in self.problems:
            yield f"     FAIL {problem}"
        width = max([len("tensor"), *(len(t.name) for t in self.tensors)])
        if self.tensors:
            yield f"{'':<10}{'tensor':<{width}} {'shape':<12} {'entries':<16} {'error/allowed':>13}   Taylor   crossed"
        for tensor in self.tensors:
            yield f"     {tensor.line(width)}"
            if not tensor.ok:
                yield from (f"            {line}" for line in tensor.details())
        if not self.ok and self.reproduce:
            yield f"     reproduce   {self.reproduce}"
        for part in self.parts:
            yield from (f"  {line}" for line in part._lines())

    def __str__(self) -> str:
        return "\n".join(self._lines())

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return HTML for notebooks: the verdict, one row per gradient over all cases, and details of failed ones."""
        # imported here, since the import takes a tenth of a second and most programs do not need it
        from jinja2 import Environment, PackageLoader, StrictUndefined

        gradients: dict[str, list[TensorReport]] = {}
        for tensor in self.all_tensors():
            gradients.setdefault(tensor.name, []).append(tensor)
        refused = [name for name, tensors in gradients.items() if not all(t.ok for t in tensors)]
        shown = [*refused, *(name for name in gradients if name not in refused)][:MOST_ROWS]
        rows = [Report(name, tensors) for name, tensors in gradients.items() if name in shown]
        # for each failed gradient, the first case with a hint
        examples = [min((t for t in gradients[name] if not t.ok), key=lambda t: t.hint is None) for name in refused]
        templates = Environment(loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined,
                                trim_blocks=True, lstrip_blocks=True)  # fmt: skip
        found = {"report": self, "rows": rows, "more_rows": len(gradients) - len(rows)}
        return templates.get_template("results.html.jinja").render(found, refused=examples[:MOST_REFUSALS])

    def all_problems(self) -> list[str]:
        """Return the problems of the report and of its parts without duplicates."""
        return list(dict.fromkeys([*self.problems, *(problem for part in self.parts for problem in part.problems)]))

    def tensor(self, name: str) -> TensorReport:
        """Return the report of the named tensor. If several parts contain one, return the first one that failed."""
        found = [t for t in self.all_tensors() if t.name == name]
        if not found:
            names = sorted({t.name for t in self.all_tensors()})
            raise KeyError(f"the report has no tensor {name!r}; it has {', '.join(names)}")
        return min(found, key=lambda t: t.ok)

    def case_of(self, tensor: TensorReport) -> str:
        """Return the title of the part that contains this tensor's report, or "" if there are no parts."""
        return next((part.title for part in self.parts if any(tensor is t for t in part.tensors)), "")


def table(reports: Sequence[Report]) -> str:
    """Return a table with one line per report, for the terminal."""
    width = max([len("check"), *(len(r.title) for r in reports)])
    lines = [f"{'check':<{width}}  cases  entries  error/allowed  Taylor  crossed  verdict"]
    for r in reports:
        lines.append(f"{r.title:<{width}}  {len(r.parts) or 1:>5}  {r.checked:>7}  {_number(r.worst_ratio):>13}  "
                     f"{taylor_text(r.taylor):>6}  {r.crossed:>7}  {r.verdict}")  # fmt: skip
    return "\n".join(lines)


def _sides(p: Probe) -> str:
    if p.ratio is None:
        return "one-sided slopes agree" if p.kind == "smooth" else "a branch changes within the step"
    relation = "agree as the step shrinks" if p.kind == "smooth" else "differ"
    return f"one-sided slopes {relation}, with ratio {p.ratio:.2f}"


def taylor_text(slope: float | None) -> str:
    """Return a Taylor slope as text: "linear" for a linear loss, and "-" where it could not be measured."""
    return "linear" if slope is None else "-" if np.isnan(slope) else f"{slope:.2f}"


def _number(value: float) -> str:
    return f"{value:.3f}" if 5e-4 <= value < 1e3 else f"{value:.1e}"


def _crossings(probes: Sequence[Probe]) -> str:
    """Return a text such as "3 (kink), 1 judged with a smaller step"."""
    crossed = [p.kind for p in probes if p.status == "crossed"]
    shrunk = sum(p.shrunk and p.status == "ok" for p in probes)
    text = f"{len(crossed)} ({', '.join(sorted(set(crossed)))})" if crossed else "0"
    return text + (f", {shrunk} judged with a smaller step" if shrunk else "")
