"""Build the site: python lessons/site/make.py [--lessons full|fast|off|00,04] [--out build/site]

"full" runs all lessons with their solutions, which takes a few minutes the first time. "fast" runs them with the
smaller numbers of the tests. "off" shows the lessons without outputs. With lesson numbers, only those lessons run.
Outputs are kept in build/site-cache until the lesson or the library changes. Warnings count as errors. The first build
needs npm, which fetches MathJax.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from gather import ROOT, gather, library_digest, write_scene
from mathjax import Missing, vendor

HERE = Path(__file__).parent
WORK = ROOT / "build"
MODES = ("full", "fast", "off")

# Sphinx runs one lesson after another. In the fast mode, whose times nobody reads, each core runs a lesson, and Sphinx
# finds the outputs in its cache. It repeats a lesson that failed, and reports the error.
SIDE_BY_SIDE = """
import sys
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
cache = get_cache(sys.argv[1])
for notebook in sys.argv[2:]:
    cache.add_nb_to_project(notebook)
load_executor("local-parallel", cache).run_and_cache(timeout=300)
"""


def build(out: Path, *, lessons: str = "full", work: Path = WORK, mathjax: Path = WORK / "mathjax") -> int:
    """Build the site in the folder `out`, and return Sphinx's exit code.

    work: the folder for sources, doctrees and outputs of lessons.
    """
    digest = library_digest()
    static, drawn, cache = work / "site-static", work / "site-drawn", work / "site-cache" / digest
    shutil.copytree(vendor(mathjax), static / "mathjax", dirs_exist_ok=True)
    _write_pages(drawn, digest)
    gather(work / "site-sources", lessons=lessons, drawn=lessons in ("full", "fast"))
    for old in (work / "site-cache").glob("*"):
        if old != cache:
            shutil.rmtree(old)
    cache.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / "_modules", ignore_errors=True)  # Sphinx does not remove pages of deleted files
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "-b", "html"]
        command += ["-c", str(HERE), "-d", str(work / "site-doctrees"), str(work / "site-sources"), str(out)]
        environment = _environment(static, drawn / "extra", cache, lessons, scratch)
        if lessons == "fast":
            notebooks = sorted((work / "site-sources" / "lessons").glob("*.ipynb"))
            run_side_by_side = [sys.executable, "-c", SIDE_BY_SIDE, str(cache), *map(str, notebooks)]
            one_thread = {"NUMBA_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
            subprocess.run(run_side_by_side, env={**environment, **one_thread}, check=True)
        return subprocess.run(command, env=environment, check=False).returncode


def _environment(static: Path, extra: Path, cache: Path, lessons: str, scratch: str) -> dict[str, str]:
    """Return an environment like that of a learner, without data sets and with a separate folder for IPython."""
    own = {name: value for name, value in os.environ.items() if name not in ("TINYSEGNET_CAMVID", "TINYSEGNET_VGG16")}
    return {**own, "PYTHONPATH": _python_path(), "IPYTHONDIR": scratch, "TINYSEGNET_SITE_CACHE": str(cache),
            "TINYSEGNET_SITE_STATIC": str(static), "TINYSEGNET_SITE_EXTRA": str(extra),
            "TINYSEGNET_SITE_EXECUTE": "off" if lessons == "off" else "cache",
            "TINYSEGNET_SITE_SKIP": " ".join(_skipped(lessons))}  # fmt: skip


def _skipped(lessons: str) -> list[str]:
    """Return patterns for the notebooks that do not run."""
    if lessons in MODES:
        return []
    return [f"{number:02}_*.ipynb" for number in range(100) if f"{number:02}" not in lessons.split(",")]


def _write_pages(folder: Path, digest: str) -> None:
    """Write the walk and the live page of the bundled network if the library has changed."""
    mark = folder / "digest"
    if mark.exists() and mark.read_text() == digest:
        return
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "extra").mkdir(parents=True)
    picture, labels = write_scene(folder / "scene")
    environment = {**os.environ, "PYTHONPATH": _python_path()}
    for arguments in (["walk", "toy", str(picture), "--labels", str(labels), "--out", "walk_toy.html"],
                      ["export", "toy", "--html", "live_toy.html"]):  # fmt: skip
        command = [sys.executable, "-m", "tinysegnet", *arguments]
        subprocess.run(command, cwd=folder / "extra", env=environment, check=True, stdout=subprocess.DEVNULL)
    mark.write_text(digest)


def _python_path() -> str:
    """Return a PYTHONPATH that begins with this project."""
    return os.pathsep.join(filter(None, [str(ROOT), str(ROOT / "lessons"), os.environ.get("PYTHONPATH")]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("TINYSEGNET_SITE_LESSONS", "full")
    parser.add_argument("--lessons", default=default, metavar="full|fast|off|00,04")
    parser.add_argument("--out", type=Path, default=WORK / "site")
    parser.add_argument("--work", type=Path, default=WORK, help="the folder for sources and outputs of lessons")
    arguments = parser.parse_args()
    if arguments.lessons not in MODES and not re.fullmatch(r"\d\da?(,\d\da?)*", arguments.lessons):
        parser.error(f"--lessons {arguments.lessons}: choose full, fast, off, or numbers of lessons such as 00,04")
    began = time.perf_counter()
    try:
        code = build(arguments.out.resolve(), lessons=arguments.lessons, work=arguments.work.resolve())
    except Missing as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if code == 0:
        print(f"{arguments.out / 'index.html'}  ({time.perf_counter() - began:.0f} s)")
    return code


if __name__ == "__main__":
    sys.exit(main())
