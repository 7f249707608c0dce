"""Plant one small bug at a time in a copy of the project, and see whether a test fails (`make mutants`).

A bug that no test finds is a survivor. Survivors that cannot change a result stand in equivalent.toml, each with the
reason, and do not count. Every area has the same share of the sample, within an area all edits are equally likely, and
a larger sample contains the smaller one. Results are kept in build/mutants, so a second run continues the first.
"""

import json
import os
import random
import re
import runpy
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue

import cyclopts
from edits import Edits

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutants"
AREAS = ("ops", "gradcheck", "layers", "models", "metrics", "data", "weights", "prediction", "training")
TESTS = [path.relative_to(ROOT) for path in sorted((ROOT / "tests").rglob("test_*.py"))
         if not re.search("oracle|lessons|browser|mutation", str(path.relative_to(ROOT)))]  # fmt: skip


def draw(area, seed, count):
    """Draw bugs of an area without repeats: {(file, line, operator, lines before, lines after): (start, end, text)}."""
    found = {}
    for path in sorted((ROOT / "tinysegnet" / area).rglob("*.py")):
        source = path.read_bytes()
        for operator, start, end, text in Edits(source).all:
            first, last = source.rfind(b"\n", 0, start) + 1, source.find(b"\n", end)
            lines = source[first:last], source[first:start] + text.encode() + source[end:last]
            place = str(path.relative_to(ROOT)), source.count(b"\n", 0, start) + 1
            found[(*place, operator, *(part.decode().strip() for part in lines))] = start, end, text
    return dict(random.Random(f"{seed} {area}").sample(list(found.items()), len(found))[:count])


def tests_for(file, near):
    """Return the tests of the area that name the file, other tests that do, and other tests of the area, then all."""
    names = [Path(file).stem, *re.findall(r"^(?:def|class) ([a-zA-Z]\w*)", (ROOT / file).read_text(), re.MULTILINE)]
    named = re.compile(rf"\b({'|'.join(names)})\b")
    rank = {test: (test.parts[1] != Path(file).parts[1]) + 2 * (not named.search((ROOT / test).read_text())) for test in TESTS}
    return [str(test) for test in sorted(TESTS, key=rank.get) if not near or rank[test] < 3]


class Copy:
    """A copy of the project, in which one worker plants bugs."""

    def __init__(self, number):
        self.folder = BUILD / f"copy{number}"
        for part in ("tests", "tinysegnet"):
            shutil.rmtree(self.folder / part, ignore_errors=True)
        unused = shutil.ignore_patterns(".git", ".venv", "build", "runs", "__pycache__", ".*_cache")
        shutil.copytree(ROOT, self.folder, ignore=unused, dirs_exist_ok=True)  # with the times, which numba compares
        self.imports = {path.stem: set(re.findall(r"\w+", " ".join(re.findall(" *from .*", path.read_text()))))
                        for path in (self.folder / "tinysegnet").rglob("*.py")}  # fmt: skip

    def failure(self, tests, cache="kernels"):
        """Run tests until one fails, and return its name, or "" if all pass."""
        paths = {"PYTHONPATH": f"{self.folder}:{self.folder}/lessons", "TINYSEGNET_CACHE": f"{self.folder}/{cache}"}
        options = ["-qxp", "no:cacheprovider", "--timeout=120", "--timeout-method=thread"]
        with open(self.folder / "output", "w+") as output:
            run = subprocess.Popen([sys.executable, "-m", "pytest", *options, *tests], cwd=self.folder, stdout=output,
                                   stderr=output, env=os.environ | paths, start_new_session=True)  # fmt: skip
            with suppress(subprocess.TimeoutExpired):
                run.wait(1800)
            with suppress(ProcessLookupError):  # what the tests have started
                os.killpg(run.pid, signal.SIGKILL)
            output.seek(0)
            found = re.findall(r"^(?:FAILED|ERROR) (\S+)", output.read(), re.MULTILINE)
        return "" if run.wait() == 0 else (found or ["crash or hang"])[0]

    def failure_with(self, file, start, end, text, tests):
        """Plant a bug and run tests. Kernels are compiled again only where their file imports the changed file."""
        path, changed, hasher = self.folder / file, {Path(file).stem}, str(self.folder / "tinysegnet/runtime/kernel_cache.py")
        source, times = path.read_bytes(), path.stat()
        while more := {stem for stem, words in self.imports.items() if words & changed} - changed:
            changed |= more
        compiled = self.folder / "kernels" / runpy.run_path(hasher)["_sources_hash"]()
        kept = [kernel for kernel in compiled.rglob("*.nb*") if kernel.name.split(".")[0] in self.imports.keys() - changed]
        shutil.rmtree(self.folder / "planted", ignore_errors=True)
        try:
            path.write_bytes(source[:start] + text.encode() + source[end:])
            planted = self.folder / "planted" / runpy.run_path(hasher)["_sources_hash"]()
            for link, kernel in ((planted / kernel.relative_to(compiled), kernel) for kernel in kept):
                link.parent.mkdir(parents=True, exist_ok=True)
                link.hardlink_to(kernel)
            return self.failure(tests, "planted")
        finally:
            path.write_bytes(source)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def report(done):
    """Print the survivors, and the score of each area and of all, as markdown."""
    listed = tomllib.loads((Path(__file__).parent / "equivalent.toml").read_text())["mutant"]
    same = {(row["file"], row["operator"], row["before"], row["after"]) for row in listed}
    counts = Counter()
    for (file, line, operator, before, after), failed in done.items():
        verdict = "found" if failed else "equivalent" if (file, operator, before, after) in same else "survived"
        counts.update((area, verdict) for area in ("all", file.split("/")[1]))
        if verdict == "survived":
            print(f"{file}:{line} ({operator})\n    {before}\n    {after}\n")
    print("| area | found | equivalent | survived | score |\n|---|---|---|---|---|")
    for area in dict.fromkeys(area for area, _ in sorted(counts)):
        found, equivalent, survived = (counts[area, verdict] for verdict in ("found", "equivalent", "survived"))
        print(f"| {area} | {found} | {equivalent} | {survived} | {found / max(found + survived, 1):.1%} |")


def main(*, seed: int = 1, count: int = 200, areas: tuple[str, ...] = AREAS, near: bool = False, again: bool = False):
    """Try `count` bugs. near: run only tests of the area and tests that name the file. again: try survivors again."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests send it, but background jobs ignore it
    bugs = {}
    for number, area in enumerate(areas):
        bugs |= draw(area, seed, (count + len(areas) - 1 - number) // len(areas))
    BUILD.mkdir(parents=True, exist_ok=True)
    with open(BUILD / ("near.jsonl" if near else "results.jsonl"), "a+") as log:
        log.seek(0)
        done = {tuple(row[:5]): row[5] for row in map(json.loads, log) if not again or row[5]}
        copies, wanted = SimpleQueue(), [bug for bug in bugs if bug not in done]
        tests = list(dict.fromkeys(test for bug in wanted for test in tests_for(bug[0], near)))

        def start(number):
            if failed := (copy := Copy(number)).failure(tests):
                sys.exit(f"{failed} fails without a bug. See {copy.folder / 'output'}.")
            copies.put(copy)

        def attempt(bug):
            copy = copies.get()
            failed = copy.failure_with(bug[0], *bugs[bug], tests_for(bug[0], near))
            copies.put(copy)
            print(f"{failed or 'SURVIVED'}  {bug[0]}:{bug[1]}  {bug[4]}", file=sys.stderr)
            log.write(json.dumps([*bug, failed]) + "\n")
            log.flush()
            done[bug] = failed

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(start, range(2 if wanted else 0)))
            list(pool.map(attempt, wanted))
    report({bug: done[bug] for bug in bugs})


if __name__ == "__main__":
    cyclopts.run(main)
