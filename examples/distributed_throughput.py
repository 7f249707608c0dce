"""Compare processes with threads: python examples/distributed_throughput.py [--model tiny] [--batch-size 8] [--ranks 2]

Training steps are timed in R processes of one thread (with mpiexec) and in one process of R threads. Both compute the
same bits, with the reduction tree. They take turns, each in new processes, and the first steps, in which kernels may be
compiled, do not count. The table shows pictures per second, and the share of the time that rank 0 spends in exchanges,
with waiting. The process with R threads is also measured with the reduction batch. Needs the extra mpi.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import tinysegnet as ts
from tinysegnet.data import InMemory
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.runtime.distributed import Communicator
from tinysegnet.runtime.distributed.communicator import open_mpi
from tinysegnet.training.training_step import TrainingStep

WARM_UP = 3  # steps


class Timed:
    """A communicator that adds up the seconds of its exchanges."""

    def __init__(self, inner: Communicator) -> None:
        self.inner, self.rank, self.size, self.seconds = inner, inner.rank, inner.size, 0.0
        self.share, self.any = inner.share, lambda condition: any(self.allgather(bool(condition)))

    def __getattr__(self, name):
        exchange = getattr(self.inner, name)

        def timed(*arguments):
            began = time.perf_counter()
            result = exchange(*arguments)
            self.seconds += time.perf_counter() - began
            return result

        return timed


def measure(options: argparse.Namespace) -> None:
    """Time the steps of one program, and print them on rank 0."""
    ranks = Timed(open_mpi() if options.worker == "ranks" else Communicator())
    ts.runtime.set_threads(1 if options.worker == "ranks" else options.ranks)
    ts.runtime.keep_freed_memory()
    data = InMemory(ToyScenes(options.batch_size, seed=0, size=options.size))
    reduction = "batch" if options.worker == "batch" else "tree"
    recipe = ts.Recipe(batch_size=options.batch_size, size=options.size, reduction=reduction)
    step = TrainingStep(ts.build(options.model), data, recipe, options.steps + WARM_UP, None, ranks)
    own = ranks.share(options.batch_size)
    images = np.stack([data[n].image for n in own]).astype(np.float32)
    labels, seconds, waiting = np.stack([data[n].labels for n in own]), [], []
    for number in range(options.steps + WARM_UP):
        began, ranks.seconds = time.perf_counter(), 0.0
        step.run(images, labels, number)
        seconds.append(time.perf_counter() - began)
        waiting.append(ranks.seconds)
    if ranks.rank == 0:
        print(json.dumps({"seconds": seconds[WARM_UP:], "waiting": waiting[WARM_UP:]}))


def main() -> None:
    """Start the programs in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--size", type=lambda text: tuple(map(int, text.split("x"))), default=(96, 128))
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--worker", choices=("ranks", "threads", "batch"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return measure(options)
    mpiexec = Path(sys.executable).with_name("mpiexec")
    mpiexec = str(mpiexec) if mpiexec.exists() else shutil.which("mpiexec")
    if mpiexec is None:
        parser.error('mpiexec is missing: pip install "tinysegnet[mpi]"')
    found: dict[str, list[dict]] = {"ranks": [], "threads": [], "batch": []}
    for _ in range(options.rounds):
        for name, results in found.items():
            start = [mpiexec, "-n", str(options.ranks)] if name == "ranks" else []
            command = [*start, sys.executable, __file__, *sys.argv[1:], "--worker", name]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            results.append(json.loads(done.stdout))
    size = "x".join(map(str, options.size))
    print(f"{options.model}, batches of {options.batch_size} pictures of {size}; {platform.machine()}, "
          f"{os.cpu_count()} cores, {options.rounds} rounds of {options.steps} steps")  # fmt: skip
    labels = {"ranks": f"{options.ranks} processes, 1 thread", "threads": f"1 process, {options.ranks} threads",
              "batch": f"1 process, {options.ranks} threads, reduction batch"}  # fmt: skip
    medians = {}
    for name, results in found.items():
        medians[name] = statistics.median(statistics.median(result["seconds"]) for result in results)
        waiting = sum(sum(r["waiting"]) for r in results) / sum(sum(r["seconds"]) for r in results)
        least = min(min(result["seconds"]) for result in results)
        print(f"{labels[name]:40}  {options.batch_size / medians[name]:7.1f} pictures/s (best step "
              f"{options.batch_size / least:7.1f}), messages {waiting:5.1%}")  # fmt: skip
    print(f"processes / threads: {medians['threads'] / medians['ranks']:.2f}")


if __name__ == "__main__":
    main()
