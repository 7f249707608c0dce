"""Predict the time of a training step on many machines: python examples/scaling.py [--model tiny] [--batch 12]

The script measures the steps of a process (rank) with one thread for small batches, alone and beside a second process,
because cores that share memory and caches slow each other down. It also measures the messages of two ranks. From these,
the model predicts the step of the whole batch for 1 and 2 ranks, which is also measured, and the steps of up to 1,024
ranks for several connections, as a table and a picture. --latency and --bandwidth add a connection.

    step      = pictures per rank * seconds per picture + seconds per step + messages
    messages  = for each batch norm, forward and backward: ceil(log2 R) * latency + (R - 1) * its bytes / bandwidth
                for the gradient: 2 * (ceil(log2 R) * latency + (R - 1) / R * its bytes / bandwidth)

Batch norm's sums are gathered by all R ranks. The gradient is divided into R pieces, which the ranks add and gather.

With mpi4py and mpiexec, the ranks are processes: pip install "tinysegnet[mpi]". Without them, they are threads of one
process, and the script says so. The picture has a variant for dark pages, scaling_dark.png.
"""

import argparse
import json
import math
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import NullLocator, PercentFormatter

import tinysegnet as ts
from tinysegnet import layers, viz
from tinysegnet.data.toyscenes import ToyScenes
from tinysegnet.runtime.distributed import Communicator, run_ranks
from tinysegnet.runtime.distributed.communicator import open_mpi
from tinysegnet.training.training_step import TrainingStep
from tinysegnet.viz.figures import new_figure, style_axes
from tinysegnet_lessons.figures.end_labels import label_end, spread

MOMENTS, SUMS = 3 * 8, 2 * 4  # bytes per channel: count, mean and deviations in float64; two sums in float32
MESSAGES = (1, 1 << 21)  # bytes whose times give latency and bandwidth
RANKS = [2**k for k in range(11)]
SIZE, WIDTH = (12.0, 4.3), 3.4  # inches of the picture, and the width of a panel


class Link(NamedTuple):
    """A connection: seconds before a message arrives, and bytes per second."""

    latency: float
    bandwidth: float


FREE = Link(0, math.inf)
LINKS = {
    "cluster": Link(2e-6, 1e10),
    "office, 1 Gbit/s": Link(2e-4, 1.25e8),
    "internet, 100 Mbit/s": Link(0.05, 1.25e7),
}


@dataclass(frozen=True)
class StepModel:
    """The constants of a network on one rank: seconds per picture and per step, bytes and channels."""

    per_picture: float
    per_step: float
    gradient_bytes: int
    norm_channels: tuple[int, ...]

    @classmethod
    def fitted(cls, steps: dict[int, float], pictures: int, gradient_bytes: int, channels: tuple[int, ...]):
        """Return the constants that give the measured steps of 1 picture and of this number of pictures."""
        per_picture = max(steps[pictures] - steps[1], 1e-9) / (pictures - 1)
        return cls(per_picture, max(steps[1] - per_picture, 0), gradient_bytes, channels)

    def parts(self, ranks: int, batch: int, link: Link) -> dict[str, float]:
        """Return the seconds of computing, of batch norm's messages, and of the gradient's messages."""
        hops = math.ceil(math.log2(ranks)) * link.latency
        others = (ranks - 1) / link.bandwidth
        norms = sum(2 * hops + others * (MOMENTS + SUMS) * channels for channels in self.norm_channels)
        return {"computing": self.per_step + math.ceil(batch / ranks) * self.per_picture, "batch norm": norms,
                "gradient": 2 * (hops + others * self.gradient_bytes / ranks)}  # fmt: skip

    def seconds(self, ranks: int, batch: int, link: Link) -> float:
        """Return the seconds of a step."""
        return sum(self.parts(ranks, batch, link).values())


# --- measurements on a rank -------------------------------------------------------------------------------------------


def measure(communicator: Communicator, settings: dict) -> dict:
    """Return the seconds of a step for each number of pictures, and of a message of each size.

    With the setting "apart", each rank takes steps of its own at the same time, and nothing is exchanged.
    """
    ts.runtime.set_threads(1)
    ts.runtime.keep_freed_memory()
    size, rounds = tuple(settings["size"]), settings["rounds"]
    data = ts.data.InMemory(ToyScenes(max(settings["batches"]), seed=1, size=size))
    images, labels = (np.stack([getattr(data[k], name) for k in range(len(data))]) for name in ("image", "labels"))
    steps: dict[int, Callable[[int], object]] = {}
    sharing = Communicator() if settings["apart"] else communicator
    for batch in settings["batches"]:
        model = ts.build(settings["model"], width=settings["width"])
        recipe = ts.Recipe(batch_size=batch, size=size, reduction="tree")
        step = TrainingStep(model, data, recipe, rounds + 1, None, sharing)
        own = sharing.share(batch)
        given = images[own.start : own.stop].astype(np.float32), labels[own.start : own.stop]
        steps[batch] = lambda k, step=step, given=given: step.run(*given, k)
    messages: dict[int, Callable[[int], object]] = {}
    for count in MESSAGES if sharing.size > 1 else ():
        sent, counts = np.zeros(count, np.uint8), [count] * communicator.size
        messages[count] = lambda _, sent=sent, counts=counts: communicator.allgather_arrays(sent, counts)
    return {"steps": shortest(steps, communicator, rounds), "messages": shortest(messages, communicator, 10 * rounds)}


def shortest(works: dict[int, Callable[[int], object]], communicator: Communicator, rounds: int) -> dict[int, float]:
    """Return the shortest time of each work in seconds. The works take turns; the first round is not timed."""
    times: dict[int, list[float]] = {key: [] for key in works}
    for k in range(rounds + 1):
        for key, work in works.items():
            communicator.any(False)  # all ranks begin together
            began = time.perf_counter()
            work(k)
            times[key].append(time.perf_counter() - began)
    return {key: min(found[1:]) for key, found in times.items()}


def measured(ranks: int, settings: dict, mpiexec: str | None) -> dict:
    """Measure with this number of ranks: processes if there is an mpiexec, threads otherwise."""
    if ranks == 1 or mpiexec is None:
        return run_ranks(ranks, lambda communicator: measure(communicator, settings))[0]
    command = [mpiexec, "-n", str(ranks), sys.executable, __file__, "--rank", json.dumps(settings)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:3])} failed:\n{done.stderr or done.stdout}")
    found = json.loads(done.stdout)
    return {kind: {int(key): value for key, value in times.items()} for kind, times in found.items()}


def find_mpiexec() -> str | None:
    """Return the path of mpiexec, in the environment of this Python first, or None if MPI cannot be used."""
    places = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")])
    return shutil.which("mpiexec", path=places) if find_spec("mpi4py") else None


# --- picture ----------------------------------------------------------------------------------------------------------


def draw(model: StepModel, batch: int, links: dict[str, Link], subtitle: str, theme):
    """Draw strong scaling (one batch for all ranks) and weak scaling (a batch per rank)."""
    figure = new_figure(*SIZE, theme)
    figure.text(0.55 / SIZE[0], 0.08 / SIZE[1], subtitle, fontsize=8.5, color=theme.muted)
    alone = model.seconds(1, batch, FREE)
    few = [n for n in range(1, batch + 1) if batch % n == 0]
    strong = {name: [alone / model.seconds(n, batch, link) for n in few] for name, link in links.items()}
    axes = panel(figure, 0, few, f"Strong scaling: {batch} pictures for all ranks", "times as fast as one rank", theme)
    ideal = [alone / model.seconds(n, batch, FREE) for n in few]
    axes.plot(few, ideal, color=theme.muted, linewidth=1.2, linestyle=(0, (3, 3)))
    plot(axes, few, strong, "{:.1f} x", theme, {"without messages": ideal[-1]})
    weak = {name: [alone / model.seconds(n, batch * n, link) for n in RANKS] for name, link in links.items()}
    title = f"Weak scaling: {batch} pictures per rank"
    axes = panel(figure, 1, RANKS, title, "computing, as a share of the step", theme)
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    plot(axes, RANKS, weak, "{:.0%}", theme, {})
    return figure


def panel(figure, number: int, ranks: list[int], title: str, what: str, theme):
    """Add axes for these numbers of ranks; the scale of the second panel is logarithmic."""
    axes = figure.add_axes(((0.55 + 6.05 * number) / SIZE[0], 0.85 / SIZE[1], WIDTH / SIZE[0], 2.85 / SIZE[1]))
    style_axes(axes, theme, title, what)
    axes.set(xscale="log" if number else "linear", xlim=(ranks[0], ranks[-1]))
    axes.set_xticks(ranks[::2] if number else ranks, [f"{n:,}" for n in (ranks[::2] if number else ranks)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("ranks", fontsize=9, color=theme.muted)
    return axes


def plot(axes, ranks: list[int], curves: dict[str, list[float]], form: str, theme, others: dict[str, float]) -> None:
    """Draw the curves, and write their names and last values at their ends."""
    colors = dict(zip(curves, (theme.mIoU, theme.C, theme.G, theme.loss, theme.ink), strict=False))
    for name, ys in curves.items():
        axes.plot(ranks, ys, color=colors[name], linewidth=2, marker="o", markersize=4, clip_on=False, zorder=3)
    ends = {name: ys[-1] for name, ys in curves.items()} | others
    axes.set_ylim(bottom=0)
    heights = [axes.transAxes.inverted().transform(axes.transData.transform((ranks[-1], y)))[1] for y in ends.values()]
    for (name, y), at, to in zip(ends.items(), heights, spread(heights, 0.065), strict=True):
        label_end(axes, f"{name}: {form.format(y)}", colors.get(name, theme.muted), at, to, WIDTH)


# --- command ----------------------------------------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--width", type=float, default=1.0, help="a factor on the number of channels")
    parser.add_argument("--size", type=int, nargs=2, default=(96, 128), metavar=("H", "W"))
    parser.add_argument("--batch", type=int, default=12, help="pictures, at least 4")
    parser.add_argument("--rounds", type=int, default=10, help="timed steps")
    parser.add_argument("--latency", type=float, help="seconds before a message arrives on your own connection")
    parser.add_argument("--bandwidth", type=float, help="its bytes per second")
    parser.add_argument("--out", type=Path, default=Path("scaling.png"))
    parser.add_argument("--rank", help=argparse.SUPPRESS)  # the settings of a process that mpiexec started
    arguments = parser.parse_args()
    if arguments.rank:
        communicator = open_mpi()
        found = measure(communicator, json.loads(arguments.rank))
        if communicator.rank == 0:
            print(json.dumps(found))
        return
    if (arguments.latency is None) != (arguments.bandwidth is None):
        parser.error("give both --latency and --bandwidth, or neither")
    if arguments.batch < 4:
        parser.error(
            f"--batch: {arguments.batch} is too small. The model needs the times of three sizes up to it, from 4."
        )
    report(arguments, find_mpiexec())


def report(arguments: argparse.Namespace, mpiexec: str | None) -> None:
    """Measure, compare the model with the measurements, and print and draw its predictions."""
    batch, half = arguments.batch, arguments.batch // 2
    settings = {"model": arguments.model, "width": arguments.width, "size": arguments.size, "rounds": arguments.rounds,
                "apart": False}  # fmt: skip
    one = measured(1, settings | {"batches": [1, half, batch]}, mpiexec)["steps"]
    beside = measured(2, settings | {"batches": [1, half], "apart": True}, mpiexec)["steps"]
    two = measured(2, settings | {"batches": [batch]}, mpiexec)
    if mpiexec is None:
        print('mpi4py or mpiexec is missing, so threads simulate the ranks. To measure, pip install "tinysegnet[mpi]".')
    network = ts.build(arguments.model, width=arguments.width)
    norms = [layer for layer in network.layers.values() if isinstance(layer, layers.BatchNorm2d)]
    channels = tuple(len(layer.params["gamma"]) for layer in norms)
    # the step of the whole batch is not used here, because it is predicted
    alone, model = (StepModel.fitted(steps, half, 4 * network.num_parameters, channels) for steps in (one, beside))
    small, large = (two["messages"][size] for size in MESSAGES)
    here = Link(small, (MESSAGES[1] - MESSAGES[0]) / max(large - small, 1e-9))
    title = f"{arguments.model}, {arguments.size[0]}x{arguments.size[1]}"
    times = (
        f"{1e3 * alone.per_picture:.1f} ms per picture alone and {1e3 * model.per_picture:.1f} ms beside a second rank"
    )
    print(f"{title}, one thread per rank: {times}, {len(channels)} batch norms")
    print(f"gradient: {model.gradient_bytes / 1e6:.1f} MB")
    print(f"messages of two ranks here: {1e6 * here.latency:.0f} microseconds, {here.bandwidth / 1e9:.2f} GB/s\n")
    rows = []
    for constants, ranks, seconds in ((alone, 1, one[batch]), (model, 2, two["steps"][batch])):
        predicted = constants.seconds(ranks, batch, here)
        rows.append((ranks, milliseconds(predicted), milliseconds(seconds), f"{seconds / predicted:.2f}"))
    print_table((f"ranks, {batch} pictures", "predicted", "measured", "measured / predicted"), rows)
    links = {"this machine": here, **LINKS}
    if arguments.latency is not None:
        links["yours"] = Link(arguments.latency, arguments.bandwidth)
    rows = []
    for name, link in links.items():
        for ranks in (8, 64, 1024):
            parts = model.parts(ranks, batch * ranks, link).values()
            efficiency = model.seconds(1, batch, FREE) / sum(parts)
            rows.append((name, f"{ranks:,}", *map(milliseconds, parts), f"{efficiency:.1%}"))
    print_table((f"{batch} pictures per rank", "ranks", "computing", "batch norm", "gradient", "efficiency"), rows)
    subtitle = (f"{title}, {1e3 * model.per_picture:.0f} ms per picture with one thread, {platform.machine()}. "
                "Messages on this machine are measured; the others have typical latencies and bandwidths.")  # fmt: skip
    dark = arguments.out.with_stem(f"{arguments.out.stem}_dark")
    for path, theme in ((arguments.out, viz.LIGHT), (dark, viz.DARK)):
        viz.save_figure(draw(model, batch, links, subtitle, theme), path)
    print(arguments.out)


def milliseconds(seconds: float) -> str:
    return f"{1e3 * seconds:,.1f} ms"


def print_table(header: tuple, rows: list[tuple]) -> None:
    for row in (header, ("---",) * len(header), *rows):
        print(f"| {' | '.join(map(str, row))} |")
    print()


if __name__ == "__main__":
    main()
