"""tinysegnet bench."""

from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from .options import Json


def run(
    words: Annotated[tuple[str, ...], Parameter(name="WORD")] = (), /, *, against: Literal["torch"] | None = None,
    compile: bool = False, rounds: PositiveInt = 5, threads: int | None = None, explain: bool = False,
    as_json: Json = False,
) -> int:  # fmt: skip
    """Time single ops and whole networks at SegNet's sizes, alone or against PyTorch. The results are checked first.

    The exit code is 1 if a result is wrong. Measure on an idle machine, because other work distorts the times.

    Args:
        words: Words such as "conv3x3 64" or train. Only workloads with one of them in the name are timed. Default: all.
        against: Also measure PyTorch, in a separate process and in the faster of its two memory formats.
        compile: Also try torch.compile.
        rounds: The number of measurements of each library. The libraries take turns, and the median is reported.
        threads: The number of threads of each library. Default: all cores.
        explain: Measure nothing, but print the algorithm of each convolution and the estimated costs.
    """
    import importlib.util
    import io
    from functools import partial
    from importlib.metadata import version

    from .. import runtime
    from ..bench import costs, table
    from ..bench.measure import Bench, BenchSettings
    from ..bench.workloads import WORKLOADS, find_workloads
    from ..errors import SettingError, unknown_name
    from ..training.run_folder import environment

    workloads = find_workloads(words)
    if not workloads:
        raise SettingError(unknown_name("workload", ", ".join(words), (workload.name for workload in WORKLOADS)))
    if explain:
        print(costs.explain(workloads))
        return 0
    if against and importlib.util.find_spec(against) is None:
        raise SettingError("--against torch needs PyTorch, which is not installed. Install it: pip install torch")
    if threads is not None:
        runtime.set_threads(threads)  # its SettingError names the possible numbers
    settings = BenchSettings(against, runtime.threads(), rounds, compile)
    facts = environment() | ({"torch": version("torch")} if against else {})
    say = partial(print, flush=True, file=io.StringIO() if as_json else None)  # None: stdout
    results = []
    with Bench(settings) as bench:
        peaks = bench.peaks()
        say(table.facts_line(facts, settings, peaks), table.head(settings), sep="\n\n")
        for workload in workloads:
            results.append(bench.measure(workload))
            say(table.row(results[-1], settings, peaks))
    for note in table.notes(results):
        say(note)
    if as_json:
        print(table.as_json(facts, settings, peaks, results))
    return 1 if any(result.wrong for result in results) else 0
