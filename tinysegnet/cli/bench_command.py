"""tinysegnet bench."""

from typing import Annotated

from cyclopts import Parameter
from cyclopts.types import PositiveInt

from .options import Json, Names


def run(
    words: Annotated[tuple[str, ...], Parameter(name="WORD")] = (), /, *, against: Names = (), quick: bool = False,
    compile: bool = False, rounds: PositiveInt = 5, threads: int | None = None, explain: bool = False,
    as_json: Json = False,
) -> int:  # fmt: skip
    """Time single ops and whole networks at SegNet's sizes, alone or against other libraries.

    The results are checked first. The exit code is 1 if a result is wrong. Measure on an idle machine, because other
    work distorts the times.

    Args:
        words: Words such as "conv3x3 64" or train. Only workloads with one of them in the name are timed. Default: all.
        against: Libraries to measure, each in a separate process and in its fastest variant: any of torch, onnxruntime,
            openvino, jax, separated by commas.
        quick: Take about two minutes: short samples, no memory, nothing compiled by torch.compile, and without WORD,
            only the smaller workloads.
        compile: Try torch.compile for training and single ops, too.
        rounds: The number of measurements of each library. The libraries take turns, and the median is reported.
        threads: The number of threads of each library. Default: all cores.
        explain: Measure nothing, but print the algorithm of each convolution and the estimated costs.
    """
    import io
    from functools import partial
    from importlib.metadata import version
    from importlib.util import find_spec

    from .. import runtime
    from ..bench import costs, table
    from ..bench.measure import OURS, SMALL, Bench, BenchSettings
    from ..bench.peers import PEERS
    from ..bench.workloads import WORKLOADS, find_workloads
    from ..errors import SettingError, unknown_name
    from ..training.run_folder import environment

    workloads = find_workloads(words)
    if not workloads:
        raise SettingError(unknown_name("workload", ", ".join(words), (workload.name for workload in WORKLOADS)))
    if quick and not words:
        workloads = [workload for workload in workloads if costs.flops(workload) <= SMALL]
    if explain:
        print(costs.explain(workloads))
        return 0
    for name in against:
        if name not in PEERS:
            raise SettingError(f"against: {unknown_name('library', name, PEERS)}")
        if missing := [package for package in PEERS[name].packages if find_spec(package) is None]:
            raise SettingError(f"--against {name} needs {' and '.join(missing)}, which is not installed. "
                               f"Install it: pip install {PEERS[name].install}")  # fmt: skip
    if threads is not None:
        runtime.set_threads(threads)  # its SettingError names the possible numbers
    settings = BenchSettings(against, runtime.threads(), rounds, compile, quick)
    facts = environment() | {name: version(name) for name in against}
    say = partial(print, flush=True, file=io.StringIO() if as_json else None)  # None: stdout
    results = []
    with Bench(settings) as bench:
        limits = bench.workers[OURS].ask("limits")
        say(table.facts_lines(facts, settings, limits), table.head(settings), sep="\n\n")
        for workload in workloads:
            results.append(bench.measure(workload))
            say(table.row(results[-1], settings, limits))
    for result in results:
        for note in result.notes:
            say(f"{result.workload.name}: {note}")
    if as_json:
        print(table.as_json(facts, settings, limits, results))
    return 1 if any(result.ours.wrong for result in results) else 0
