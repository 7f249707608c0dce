"""Measure what each step to the library's speed gains: python examples/speed_steps.py [--rounds 7] [--threads 2]

The same training step of `tiny`, on 8 pictures of 96x128 pixels, is computed by the NumPy definitions, and then with
one more step switched on per row. Each row has a process of its own. The processes take turns, so other work on the
machine disturbs all of them alike. The table shows medians: the time, and the processor time of all threads, which is
disturbed less. Each has its gain over the row above.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import time

STEPS = [
    "NumPy definitions, 1 thread",
    "compiled kernels, direct convolution",
    "Winograd's F(4x4, 3x3)",
    "Winograd's F(6x6, 3x3) in large layers",
    "batch norm and ReLU in one pass",
    "memory of freed arrays is kept",
    "all threads",
]


def work(last: int, threads: int) -> None:
    """Do a training step per line of stdin with the first `last` steps, and print its seconds and processor seconds."""
    import numpy as np

    import tinysegnet as ts
    from tinysegnet import ops, runtime
    from tinysegnet.layers import Tape
    from tinysegnet.ops.engine import cost_model
    from tinysegnet.training import optim

    runtime.set_threads(threads if last >= STEPS.index("all threads") else 1)
    if last < 2:
        cost_model.choose_convolution = cost_model.choose_weight_gradient = lambda *shapes, **settings: "direct"
    if last < 3:
        cost_model.LEAST_PIXELS = float("inf")  # the number of outputs from which F(6x6, 3x3) is used
    model = ts.build("tiny", num_classes=11, seed=0)
    if last < 4:
        model.fused_layers = list(model.layers.values())
    if last >= 5:
        runtime.keep_freed_memory()
    optimizer, tape = optim.SGD(model, learning_rate=0.01, momentum=0.9), Tape(training=True, definitions=last == 0)
    rng = np.random.default_rng(0)
    pictures, labels = rng.integers(0, 256, (8, 96, 128, 3)).astype(np.float32), rng.integers(0, 11, (8, 96, 128))
    loss_op = ops.REGISTRY["softmax_cross_entropy"].variants["numpy" if last == 0 else "numba"]
    for _ in sys.stdin:
        began, processor = time.perf_counter(), time.process_time()
        _, cache = loss_op.forward(model.forward(pictures, tape=tape), labels)
        model.backward(loss_op.backward(1.0, cache), input_gradient=False, tape=tape)
        optimizer.step()
        print(time.perf_counter() - began, time.process_time() - processor, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity")
                        else os.cpu_count())  # fmt: skip
    parser.add_argument("--steps", type=int, help=argparse.SUPPRESS)  # in a worker: how many steps are switched on
    options = parser.parse_args()
    if options.steps is not None:
        return work(options.steps, options.threads)

    import numba

    import tinysegnet

    command = [sys.executable, __file__, "--threads", str(options.threads), "--steps"]
    workers = [subprocess.Popen([*command, str(k)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
               for k in range(len(STEPS))]  # fmt: skip

    def measure(worker: subprocess.Popen) -> list[float]:
        worker.stdin.write("\n")
        worker.stdin.flush()
        return [1e3 * float(seconds) for seconds in worker.stdout.readline().split()]

    for worker in workers * 2:
        measure(worker)  # compiles the kernels, and touches the memory
    rounds = [[measure(worker) for worker in workers] for _ in range(options.rounds)]
    for worker in workers:
        worker.stdin.close()
        worker.wait()
    print(
        f"tinysegnet {tinysegnet.__version__}, numba {numba.__version__}, {platform.machine()}, {options.threads} "
        f"threads, {options.rounds} rounds\n"
    )
    print(f"{'training step of tiny, 8x96x128':40} {'ms':>8}  gain {'CPU ms':>8}  gain")
    before = None
    for name, found in zip(STEPS, zip(*rounds, strict=True), strict=True):
        medians = [statistics.median(values) for values in zip(*found, strict=True)]
        columns = [f"{now:8.1f} {old / now:5.2f}" for old, now in zip(before or medians, medians, strict=True)]
        print(f"{name:40} {' '.join(columns)}")
        before = medians


if __name__ == "__main__":
    main()
