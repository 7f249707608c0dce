"""Results as a table at most 120 characters wide, or as one JSON object."""

import json
from collections.abc import Sequence
from typing import Any

from . import costs
from .measure import BenchSettings, Result

Peaks = tuple[float, float]  # operations and copied bytes per second, from `ours.peaks`

#: Title, alignment and width of each column. PyTorch's columns are printed only if PyTorch is measured.
COLUMNS = [("workload", "<21"), ("ms", ">8"), ("PyTorch", ">8"), ("ratio", ">6"), ("layout", "<13"), ("speed", ">12"),
           ("peak", ">5"), ("error", ">7"), ("PyTorch", ">7"), ("MB", ">6"), ("PyTorch", ">7"), ("", "<9")]  # fmt: skip
PYTORCH = (2, 3, 4, 8, 10)  #: Indices of PyTorch's columns.


def facts_line(facts: dict[str, Any], settings: BenchSettings, peaks: Peaks) -> str:
    """Return versions, processor and peak performance as two lines."""
    versions = [f"{name} {facts[name]}" for name in ("tinysegnet", "numpy", "numba", "torch") if name in facts]
    return (f"{', '.join(versions)}\n{facts['processor']}, {settings.threads} threads; "
            f"peak: {peaks[0] / 1e9:.0f} GFLOP/s in products, {peaks[1] / 1e9:.1f} GB/s in copies")  # fmt: skip


def head(settings: BenchSettings) -> str:
    """Return the underlined column titles."""
    titles = _line([title for title, _ in COLUMNS], settings)
    return f"{titles.rstrip()}\n{'-' * len(titles)}"


def row(result: Result, settings: BenchSettings, peaks: Peaks) -> str:
    """Return the line of one workload."""
    cells = [
        result.workload.name, _milliseconds(result.seconds), _milliseconds(result.peer_seconds),
        _number(result.ratio, ".2f"), result.variant, _speed(result), _number(result.share(*peaks), ".0%"),
        _number(result.error, ".0e"), _number(result.peer_error, ".0e"), _number(result.bytes, ",.0f", 1e-6),
        _number(result.peer_bytes, ",.0f", 1e-6), result.verdict,
    ]  # fmt: skip
    return _line(cells, settings).rstrip()


def notes(results: Sequence[Result]) -> list[str]:
    """Return the notes that do not fit into the table, one line each, wrong results first."""
    wrong = [f"{r.workload.name}: not timed because its result is wrong: {r.wrong}" for r in results if r.wrong]
    return wrong + [f"{r.workload.name}: {note}" for r in results for note in r.notes]


def as_json(facts: dict[str, Any], settings: BenchSettings, peaks: Peaks, results: Sequence[Result]) -> str:
    """Return one JSON object with machine, settings and all results. Times are in seconds, sizes in bytes."""
    machine = {"product_flops_per_second": peaks[0], "copy_bytes_per_second": peaks[1]}
    workloads = [{**r.as_dict(), "share_of_peak": r.share(*peaks)} for r in results]
    return json.dumps({**facts, **vars(settings), **machine, "workloads": workloads})


def _number(value: float | None, form: str, factor: float = 1) -> str:
    return "" if value is None else f"{value * factor:{form}}"


def _milliseconds(seconds: float | None) -> str:
    return _number(seconds, ".2f" if seconds and seconds < 0.1 else ".1f", 1e3)


def _speed(result: Result) -> str:
    if not result.rate:
        return ""
    memory = costs.bound_by_memory(result.workload)
    return f"{result.rate / 1e9:.1f} GB/s" if memory else f"{result.rate / 1e9:.0f} GFLOP/s"


def _line(cells: Sequence[str], settings: BenchSettings) -> str:
    shown = [i for i in range(len(COLUMNS)) if settings.against or i not in PYTORCH]
    return " ".join(f"{cells[i]:{COLUMNS[i][1]}}" for i in shown)
