"""Run the tests in random order, many times: `python tests/shuffle.py --runs 20 --seed 1 [options of pytest]`.

A run shuffles the files, and the tests in each file. The seeds of failed runs are printed; a seed always gives
the same order. As a plugin of pytest (`-p shuffle` with the environment variable TINYSEGNET_ORDER), this file
does the shuffling.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
LEFT_OUT = ["tests/oracle", "tests/lessons", "tests/walk/test_walk_browser.py"]
ORDER = "TINYSEGNET_ORDER"


def pytest_collection_modifyitems(config, items):
    """Shuffle the files, and the tests in each file. Those of one file stay together, as they share their set-up."""
    order = random.Random(os.environ[ORDER])
    places = {str(item.path): order.random() for item in items}
    items.sort(key=lambda item: (places[str(item.path)], order.random()))


def run(seed, options):
    """Run the tests in one order, and return whether they passed."""
    path = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "pytest", "-p", "shuffle", "-q", "--numprocesses", "2", "--dist", "loadfile",
               *(f"--ignore={name}" for name in LEFT_OUT), *options]  # fmt: skip
    began = time.monotonic()
    done = subprocess.run(command, cwd=HERE.parent, env={**os.environ, ORDER: str(seed), "PYTHONPATH": path},
                          capture_output=True, text=True, check=False)  # fmt: skip
    if done.returncode != 0:
        print(done.stdout[-20_000:], done.stderr[-2_000:], sep="\n")
    last = (done.stdout.splitlines() or ["no output"])[-1]
    print(f"seed {seed}: {last.strip('= ')} ({time.monotonic() - began:.0f} s)", flush=True)
    return done.returncode == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first run; the others follow")
    settings, options = parser.parse_known_args()
    seeds = range(settings.seed, settings.seed + settings.runs)
    failed = [seed for seed in seeds if not run(seed, options)]
    print(f"{settings.runs} runs, {len(failed)} failed" + (f": seeds {failed}" if failed else ""))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
