"""Plant one small bug at a time in a copy of the project, and check whether a test fails (`make mutants`).

A bug that no test finds is a survivor. Survivors that cannot change a result are listed in equivalent.toml, each with
the reason, and do not count. Every area has the same share of the sample, and within an area, all edits are equally
likely. A larger sample contains the smaller one. A second run continues the first from its results in build/mutants.
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


def draw(area, seed, count):
    """Draw bugs of an area once each, as {(file, line, operator, lines before, lines after): (start, end, text)}."""
    found = {}
    for path in sorted((ROOT / "tinysegnet" / area).rglob("*.py")):
        source = path.read_bytes()
        for operator, start, end, text in Source(source).edits:
            first, last = source.rfind(b"\n", 0, start) + 1, source.find(b"\n", end)
            lines = source[first:last], source[first:start] + text.encode() + source[end:last]
            bug = str(path.relative_to(ROOT)), source.count(b"\n", 0, start) + 1, operator
            found[(*bug, *(part.decode().strip() for part in lines))] = start, end, text
    return dict(random.Random(f"{seed} {area}").sample(list(found.items()), len(found))[:count])


def tests_for(file, near):
    """Return the area's tests that name the file, other tests that name it, the area's other tests, and the rest."""
    names = "|".join([Path(file).stem, *re.findall(r"^(?:def|class) (\w+)", (ROOT / file).read_text(), re.M)])
    rank = {name: 2 * (not re.search(rf"\b({names})\b", text)) + (name.split("/")[1] != file.split("/")[1])
            for name, text in TESTS.items()}  # fmt: skip
    return [name for name in sorted(rank, key=rank.get) if not near or rank[name] < 3]


class Copy:
    """A copy of the project, in which one worker plants bugs."""

    def __init__(self, number):
        self.folder = BUILD / f"copy{number}"
        shutil.rmtree(self.folder, ignore_errors=True)
        unused = shutil.ignore_patterns(".git", ".venv", "build", "runs", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, self.folder, ignore=unused)  # preserves the times of the files, which numba compares

    def failure(self, tests):
        """Run tests until one fails, and return its name, or "" if all pass."""
        env = {"PYTHONPATH": f"{self.folder}:{self.folder}/lessons", "TINYSEGNET_CACHE": f"{self.folder}-kernels"}
        with open(f"{self.folder}.txt", "w+", errors="replace") as output:
            run = subprocess.Popen([*PYTEST, *tests], cwd=self.folder, env=os.environ | env, start_new_session=True,
                                   stdout=output, stderr=output)  # fmt: skip
            with suppress(subprocess.TimeoutExpired):
                run.wait(1800)
            with suppress(ProcessLookupError):  # ends all processes that the tests have started
                os.killpg(run.pid, signal.SIGKILL)
            output.seek(0)
            failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", output.read(), re.M)
        return "" if run.wait() == 0 else (failed or ["crash or hang"])[0]

    def failure_with(self, file, start, end, text, tests):
        """Plant a bug and run tests. A bug in ops/ causes all kernels to be compiled again, other bugs cause none."""
        path = self.folder / file
        source, times = path.read_bytes(), path.stat()
        try:
            path.write_bytes(source[:start] + text.encode() + source[end:])
            return self.failure(tests)
        finally:
            path.write_bytes(source)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def report(done):
    """Print the survivors, and the scores of each area and of all areas as Markdown."""
    listed = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text())["mutant"]
    same = [{name: row[name] for name in row if name != "reason"}.items() for row in listed]
    rows = {bug: dict(zip(("file", "line", "operator", "before", "after"), bug, strict=True)) for bug in done}
    missed = [bug for bug, row in rows.items() if not done[bug] and not any(map(row.items().__ge__, same))]
    for bug in missed:
        print("{}:{} ({})\n    {}\n    {}\n".format(*bug))
    print("| area | found | equivalent | survived | score |\n|---|---|---|---|---|")
    for area in (*AREAS, ""):
        bugs, survived = ([b for b in part if b[0].startswith(f"tinysegnet/{area}")] for part in (done, missed))
        found = sum(done[bug] != "" for bug in bugs)
        if bugs:
            print(f"| {area or 'all'} | {found} | {len(bugs) - found - len(survived)} | {len(survived)}"
              f" | {found / max(found + len(survived), 1):.1%} |")  # fmt: skip


def main(*, seed: int = 1, count: int = 200, areas: tuple[str, ...] = AREAS, near: bool = False, again: bool = False,
         workers: int = 2):  # fmt: skip
    """Try `count` bugs. near: run only tests of the area and tests that name the file. again: try survivors again."""
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (16 << 30, most))  # a bug may ask for any amount of memory
    bugs, log = {}, BUILD / ("near.jsonl" if near else "all.jsonl")
    for number, area in enumerate(areas):
        bugs |= draw(area, seed, len(range(number, count, len(areas))))
    rows = log.read_text().splitlines() if log.exists() else []
    done = {tuple(bug): failed for *bug, failed in map(json.loads, rows) if failed or not again}
    waiting = [bug for bug in bugs if bug not in done]

    def work(number):
        if failed := (copy := Copy(number)).failure(
            sorted({test for bug in waiting for test in tests_for(bug[0], near)})
        ):
            raise SystemExit(f"{failed} fails without a bug; see {copy.folder}.txt")
        for bug in waiting[number::workers]:
            done[bug] = copy.failure_with(bug[0], *bugs[bug], tests_for(bug[0], near))
            print(f"{done[bug] or 'SURVIVED'}  {bug[0]}:{bug[1]}  {bug[4]}", file=sys.stderr)
            with open(log, "a") as file:
                print(json.dumps([*bug, done[bug]]), file=file)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(work, range(min(workers, len(waiting)))))
    report({bug: done[bug] for bug in bugs})


if __name__ == "__main__":
    cyclopts.run(main)
