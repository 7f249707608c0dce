"""A learner's progress: which exercises of which lesson are done, as a page and as text.

    python -m tinysegnet_lessons.progress FOLDER      prints it, and writes FOLDER/progress.html
    progress()                                        in a notebook

An exercise is done if mysegnet.py contains an answer that is right when it is examined again.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from tinysegnet.cli.lessons_command import find_notebooks
from tinysegnet.files import write_atomically

from .grader import Exercise, exercises, kept_answers
from .grader.examine import examine, silent

__all__ = ["PAGE", "Lesson", "Progress", "answers_of_notebooks", "is_right", "lesson_titles", "progress"]

PAGE = "progress.html"
GRADE = re.compile(r"\bgrader\.grade\(\s*\"(\w+)\",\s*(\w+)")


@dataclass(frozen=True)
class Lesson:
    """A lesson's title, and each of its exercises with whether it is done."""

    title: str
    exercises: Mapping[str, bool]

    @property
    def done(self) -> int:
        """Return the number of exercises that are done."""
        return sum(self.exercises.values())


@dataclass(frozen=True)
class Progress:
    """Progress in all lessons. A notebook displays it as a page, and `str` returns it as text."""

    lessons: tuple[Lesson, ...]

    @property
    def done(self) -> int:
        """Return the number of exercises that are done."""
        return sum(lesson.done for lesson in self.lessons)

    @property
    def total(self) -> int:
        """Return the number of exercises."""
        return sum(len(lesson.exercises) for lesson in self.lessons)

    @property
    def next(self) -> str | None:
        """Return the title of the first lesson in which an exercise is not done."""
        return next((lesson.title for lesson in self.lessons if lesson.done < len(lesson.exercises)), None)

    def __str__(self) -> str:
        """Return a line per lesson, and the sum."""
        lines = [f"{lesson.done} of {len(lesson.exercises)}   {lesson.title}" for lesson in self.lessons]
        return "\n".join([*lines, f"{self.done} of {self.total} exercises are done."])

    def _repr_html_(self) -> str:
        return self.page(alone=False)

    def page(self, alone: bool = True) -> str:
        """Return the page as HTML: a whole document, or the part for a notebook."""
        templates = Environment(loader=PackageLoader(__package__, ""), autoescape=True, undefined=StrictUndefined,
                                trim_blocks=True, lstrip_blocks=True)  # fmt: skip
        return templates.get_template("progress.html.jinja").render(progress=self, headings=headings(), alone=alone)


def progress(folder: str | Path = ".") -> Progress:
    """Examine the answers in a folder's mysegnet.py again.

    Args:
        folder: Folder of the notebooks.

    Raises:
        DataError: If mysegnet.py cannot be executed.
    """
    kept, lessons = kept_answers(folder), []
    for number, title in lesson_titles().items():
        inside = exercises(number)
        lessons.append(Lesson(title, {name: name in kept and is_right(inside[name], kept[name])
                                      for name in answers_of_notebooks() if name in inside}))  # fmt: skip
    return Progress(tuple(lessons))


def is_right(exercise: Exercise, answer: Any) -> bool:
    """Return whether an answer is right in all cases of its exercise; nothing is printed or raised."""
    try:
        with silent(), np.errstate(all="ignore"):
            return all(examine(exercise, answer, case) is None for case in exercise.cases())
    except Exception:  # the learner's own
        return False


@cache
def lesson_titles() -> dict[str, str]:
    """Return the title of each lesson that has exercises, by its number, such as "05"."""
    titles = {path.name[:2]: _first_line(path) for path in reversed(find_notebooks())}  # a lesson before its appendix
    return {number: titles[number] for number in sorted(titles) if exercises(number)}


@cache
def answers_of_notebooks() -> dict[str, str]:
    """Return the name of the learner's function by the name of its exercise, in the order of the notebooks."""
    text = "\n".join("".join(cell["source"]) for path in find_notebooks() for cell in _cells(path))
    return dict(GRADE.findall(text))


@cache
def headings() -> dict[str, str]:
    """Return the heading of each exercise, such as "Exercise 1: pooling", by its name."""
    found, heading = {}, ""
    for cell in (cell for path in find_notebooks() for cell in _cells(path)):
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            heading = ([heading] + re.findall(r"^#+ (.+)$", text, re.M))[-1]
        else:
            found.update(dict.fromkeys((name for name, _ in GRADE.findall(text)), heading))
    return found


def _cells(notebook: Path) -> list[dict[str, Any]]:
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def _first_line(notebook: Path) -> str:
    return "".join(_cells(notebook)[0]["source"]).splitlines()[0].lstrip("# ")


def main() -> None:
    """Print the progress in a folder and write its page."""
    parser = argparse.ArgumentParser(prog="python -m tinysegnet_lessons.progress",
                                     description="Show which exercises are done, and write progress.html.")  # fmt: skip
    parser.add_argument("folder", type=Path, nargs="?", default=Path(), help="folder with mysegnet.py (default: .)")
    folder = parser.parse_args().folder
    found = progress(folder)
    write_atomically(folder / PAGE, found.page().encode())
    print(found)
    print(f"page    {folder / PAGE}")


if __name__ == "__main__":
    main()
