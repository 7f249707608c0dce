"""Plant one small bug at a time in a copy of the project, and check whether a test fails (`make mutants`).

Bugs that no test finds survive. Those that cannot change a result do not count; equivalent.toml gives the reasons.
Areas have equal shares of a sample. A larger sample contains the smaller one. A second run continues the first.
"""

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import cyclopts
from edits import Source

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutants"
AREAS = ("ops", "gradcheck", "layers", "models", "metrics", "data", "weights", "prediction", "training")
TESTS = {str(path.relative_to(ROOT)): path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))
         if not re.search("/(oracle|lessons|mutation)/|browser|reading", str(path))}  # fmt: skip
PYTEST = (sys.executable, "-m", "pytest", "-qxp", "no:cacheprovider", "--timeout=120", "--timeout-method=thread")
UNUSED = shutil.ignore_patterns(".git", ".venv", "build", "runs", "__pycache__", ".*_cache")


def draw(area, seed, count):
    """Draw bugs of an area once each, as {(file, line, operator, lines before, lines after): source with the bug}."""
    found = {}
    for path in sorted((ROOT / "tinysegnet" / area).rglob("*.py")):
        source = path.read_bytes()
        for operator, start, end, text in Source(source).edits:
            first, last = source.rfind(b"\n", 0, start) + 1, source.find(b"\n", end)
            before, after = source[first:last], source[first:start] + text.encode() + source[end:last]
            bug = str(path.relative_to(ROOT)), source.count(b"\n", 0, start) + 1, operator
            found[(*bug, before.decode().strip(), after.decode().strip())] = source[:first] + after + source[last:]
    return dict(random.Random(f"{seed} {area}").sample(list(found.items()), len(found))[:count])


def tests_for(file, near):
    """Return the area's tests that name the file, other tests that name it, the area's other tests, and the rest."""
    names = "|".join([Path(file).stem, *re.findall(r"^(?:def|class) (\w+)", (ROOT / file).read_text(), re.M)])
    rank = {name: 2 * (not re.search(rf"\b({names})\b", text)) + (name.split("/")[1] != file.split("/")[1])
            for name, text in TESTS.items()}  # fmt: skip
    return [name for name in sorted(rank, key=rank.get) if not near or rank[name] < 3]


def failure(folder, tests):
    """Run tests in a copy of the project until one fails, and return its name, or "" if all pass."""
    env = os.environ | {"PYTHONPATH": f"{folder}:{folder}/lessons", "TINYSEGNET_CACHE": f"{folder}-kernels"}
    with open(f"{folder}.txt", "w+", errors="replace") as out:
        run = subprocess.Popen([*PYTEST, *tests], cwd=folder, env=env, start_new_session=True, stdout=out, stderr=out)
        with suppress(subprocess.TimeoutExpired):
            run.wait(1800)
        with suppress(ProcessLookupError):  # ends all processes that the tests have started
            os.killpg(run.pid, signal.SIGKILL)
        out.seek(0)
        failed = [*re.findall(r"^(?:FAILED|ERROR) (\S+)", out.read(), re.M), "crash or hang"]
    return failed[0] if run.wait() else ""


def report(done, areas):
    """Print the survivors, and the scores of each area and of all areas as Markdown."""
    listed = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text())["mutant"]
    same = [{value for name, value in row.items() if name != "reason"} for row in listed]
    missed = [bug for bug in done if not done[bug] and not any(map(set(bug).issuperset, same))]
    for bug in missed:
        print("{}:{} ({})\n    {}\n    {}\n".format(*bug))
    print("| area | found | survived | score |\n|---|---|---|---|")
    for area in (*areas, ""):
        found, survived = (sum(bug[0].startswith(f"tinysegnet/{area}") for bug in bugs)
                           for bugs in (filter(done.get, done), missed))  # fmt: skip
        print(f"| {area or 'all'} | {found} | {survived} | {found / max(found + survived, 1):.1%} |")


def main(*, seed: int = 1, count: int = 200, areas: tuple[str, ...] = AREAS, near: bool = False, again: bool = False,
         workers: int = 2):  # fmt: skip
    """Try `count` bugs. near: run only tests of the area and tests that name the file. again: try survivors again."""
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))  # a bug may ask for any amount of memory
    bugs, log = {}, BUILD / ("near.jsonl" if near else "all.jsonl")
    for number, area in enumerate(areas):
        bugs |= draw(area, seed, len(range(number, count, len(areas))))
    rows = log.read_text().splitlines() if log.exists() else []
    done = {tuple(bug): failed for *bug, failed in map(json.loads, rows) if failed or not again}
    waiting = {bug: tests_for(bug[0], near) for bug in bugs if bug not in done}

    def work(number):
        folder = BUILD / f"copy{number}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(ROOT, folder, ignore=UNUSED)  # keeps the times of the files, by which numba finds its kernels
        if failed := failure(folder, sorted({test for tests in waiting.values() for test in tests})):
            raise SystemExit(f"{failed} fails without a bug; see {folder}.txt")
        for bug in list(waiting)[number::workers]:
            path, original = folder / bug[0], Path(f"{folder}.original")
            shutil.copy2(path, original)
            path.write_bytes(bugs[bug])
            done[bug] = failure(folder, waiting[bug])
            original.replace(path)  # with its time
            print(f"{done[bug] or 'SURVIVED'}  {bug[0]}:{bug[1]}  {bug[4]}", file=sys.stderr)
            with open(log, "a") as file:
                print(json.dumps([*bug, done[bug]]), file=file)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(min(workers, len(waiting)))))
    report({bug: done[bug] for bug in bugs}, areas)


if __name__ == "__main__":
    cyclopts.run(main)
