"""Measure the page of a walk: python tests/walk/walk_speed.py [--openings N] [--jumps N] [NETWORK ...]

For each network, "toy" for the bundled one or an architecture of full width with random weights, the script opens the
page of a toy street of 96x128 pixels as a file. It prints the page's size and the time until the first step is drawn
with all of its maps. It prints four times per step: a jump is from the first step of a page that has just been opened,
so nothing is prepared; next is from the step before, after a pause in which the page may prepare it; again is when it
has been drawn before; and click is the first click on a pixel between the dots, whose number the page computes, after
a jump and a pause. Times are processor times of the page's process, which depend less on other programs; those of next
and again are medians of several openings. The elapsed time until the first picture follows in brackets.
"""

import argparse
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from browser import launched
from walk_pages import Opened, enlivened

import tinysegnet as ts

OPENINGS = 3
PAINTED = """async () => {
  await (await import("walk/main.js")).ready;
  const maps = Array.from(document.querySelectorAll(".stage canvas"));
  while (maps.some((map) => map.width === 300)) await new Promise((resolve) => setTimeout(resolve)); // not painted yet
  return performance.now();
}"""
STEP = "(await go({}), document.body.getBoundingClientRect().height)"  # with its layout
PAUSE = 300  # milliseconds
JUMPS = 8  # steps, evenly spread, to which the test jumps
CLICK = """(await (async () => {
  const step = steps[state.step], result = resultOf(step, await nodeOf(step.node, step.way));
  const [rows, columns] = result.grid;
  const between = (size, axis) => [...Array(size).keys()].findLast((k) => !axis.includes(k)) ?? 0;
  const [y, x] = [between(result.H, rows), between(result.W, columns)];
  Object.assign(state, { place: [(y + 0.5) / result.H, (x + 0.5) / result.W], settled: true, clicked: true });
  return (await redraw(), document.body.getBoundingClientRect().height);
})())"""


@dataclass
class Speed:
    """Bytes, and milliseconds: the shortest times of some openings, and the times of steps."""

    size: int
    picture: float
    elapsed: float  # until the first picture
    jumps: list[float]
    following: list[float]  # all steps in order
    again: list[float]
    clicks: list[float]


def measure(browser, path, openings=OPENINGS, jumps=JUMPS) -> Speed:
    """Open a page several times, and draw all of its steps twice each time; then open it per jump. None: all steps."""
    pictures, elapsed, following, again, far, clicks = [], [], [], [], [], []
    for _ in range(openings):
        with Opened(browser, path, is_walk=False, viewport={"width": 1280, "height": 800}) as opened:
            elapsed.append(opened.page.evaluate(PAINTED))
            used = _processor_time(opened)
            pictures.append(used())
            count = opened.count
            for times in (following, again):
                times.append([_timed(opened, used, STEP.format(step)) for step in range(count)])
    jumps = jumps or count
    for k in range(jumps):
        with Opened(browser, path, viewport={"width": 1280, "height": 800}) as opened:
            used = _processor_time(opened)
            far.append(_timed(opened, used, STEP.format(k * count // jumps)))
            clicks.append(_timed(opened, used, CLICK))
    medians = ([statistics.median(step) for step in zip(*times, strict=True)] for times in (following, again))
    return Speed(path.stat().st_size, min(pictures), min(elapsed), far, *medians, clicks)


def _processor_time(opened):
    """Return a function that returns the milliseconds of processor time that the page's process has used."""
    session = opened.context.new_cdp_session(opened.page)
    session.send("Performance.enable")

    def used():
        metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
        return 1000 * metrics["ProcessTime"]

    return used


def _timed(opened, used, expression):
    opened.page.wait_for_timeout(PAUSE)  # work that goes on after a drawing does not count as the next one's
    start = used()
    opened.evaluate(expression)
    return used() - start


def toy_walk(network, folder):
    """Write the walk of a toy street, and return its path."""
    street = ts.data.open_dataset("toy", "val")[0]
    classes = int(street.labels.max()) + 1
    model = ts.load_bundled("toy") if network == "toy" else enlivened(ts.build(network, classes))
    palette = ts.data.open_dataset("toy", "val").palette
    path = Path(folder) / f"{network}.html"
    ts.walk(model, street.image, street.labels, palette=palette).save(path)
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--openings", type=int, default=OPENINGS)
    parser.add_argument("--jumps", type=int, help="evenly spread steps to jump to; default: all")
    parser.add_argument("networks", nargs="*", default=["toy"])
    arguments = parser.parse_args()
    print("| network | page | first picture | steps | jump: median, slowest | next | again | click |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, launched() as browser:
        for network in arguments.networks:
            speed = measure(browser, toy_walk(network, folder), arguments.openings, arguments.jumps)
            cells = [
                f"`{network}`",
                f"{speed.size / 1e6:.1f} MB",
                f"{speed.picture / 1000:.2f} s ({speed.elapsed / 1000:.2f} s)",
            ]
            steps = [
                f"{statistics.median(times):.0f}, {max(times):.0f} ms"
                for times in (speed.jumps, speed.following, speed.again, speed.clicks)
            ]
            print("|", " | ".join([*cells, str(len(speed.again)), *steps]), "|", flush=True)
