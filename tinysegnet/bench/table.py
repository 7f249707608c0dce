"""Results as a table at most 120 characters wide, or as one JSON object."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

from .measure import BenchSettings, Measurement, Result
from .ours import Limits
from .peers import PEERS

Column = tuple[str, str, Callable[[Result], str]]  #: title, alignment and width, and text


def facts_lines(facts: dict[str, Any], settings: BenchSettings, limits: Limits) -> str:
    """Return versions, processor, and the limits of this machine."""
    versions = [f"{name} {facts[name]}" for name in ("tinysegnet", "numpy", "numba", *settings.against)]
    single, product, copy, cached = (limit / 1e9 for limit in limits)
    return (
        f"{', '.join(versions)}\n{facts['processor']}, {settings.threads} threads\nlimits: {product:.0f} GFLOP/s "
        f"in products, {single:.0f} with 1 thread; {copy:.1f} GB/s in copies, {cached:.1f} in the cache"
    )


def head(settings: BenchSettings) -> str:
    """Return the underlined column titles."""
    titles = " ".join(f"{title:{form}}" for title, form, _ in _columns(settings))
    return f"{titles.rstrip()}\n{'-' * len(titles)}"


def row(result: Result, settings: BenchSettings, limits: Limits) -> str:
    """Return the line of one workload."""
    return " ".join(f"{text(result):{form}}" for _, form, text in _columns(settings, limits)).rstrip()


def _columns(settings: BenchSettings, limits: Limits | None = None) -> list[Column]:
    peers: list[Column] = [(PEERS[name].title, ">8", partial(_peer_time, name)) for name in settings.against]
    columns: list[Column] = [
        ("workload", "<21", lambda r: r.workload.name),
        ("ms", ">7", lambda r: _milliseconds(r.ours.seconds)),
        *peers,
        ("ratio", ">5", lambda r: _number(r.ratio, ".2f")),
        ("variant", "<13", lambda r: r.best.variant),
        ("peak", ">4", lambda r: _number(limits and r.share(limits), ".0%")),
        ("error", ">5", lambda r: _number(r.best.error if r.ours.error is None else r.ours.error, ".0e")),
        ("MB", ">5", lambda r: _number(r.ours.bytes, ",.0f", 1e-6)),
        ("peer", ">6", lambda r: _number(r.best.bytes, ",.0f", 1e-6)),
        ("", "<9", lambda r: r.verdict),
    ]
    return [column for column in columns if peers or column[0] not in ("ratio", "variant", "peer")]


def as_json(facts: dict[str, Any], settings: BenchSettings, limits: Limits, results: list[Result]) -> str:
    """Return one JSON object with machine, settings and all results. Times are in seconds, sizes in bytes."""
    workloads = [{**r.as_dict(), "share_of_peak": r.share(limits)} for r in results]
    return json.dumps({**facts, **vars(settings), **limits._asdict(), "workloads": workloads})


def _number(value: float | None, form: str, factor: float = 1) -> str:
    return "" if value is None else f"{value * factor:{form}}"


def _milliseconds(seconds: float | None) -> str:
    return _number(seconds, ".2f" if seconds and seconds < 0.1 else ".1f" if seconds and seconds < 10 else ".0f", 1e3)


def _peer_time(name: str, result: Result) -> str:
    """Return a peer's milliseconds, with a star if it is the fastest."""
    peer = result.peers.get(name, Measurement())
    if peer.wrong:
        return "failed" if peer.error is None else "wrong"
    return _milliseconds(peer.seconds) + "*" * (peer is result.best)
