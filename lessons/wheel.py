"""For hatchling: the notebooks lie in lessons/ here, and in tinysegnet/lessons/ of a wheel (cli/lessons_command.py).

An editable installation finds them here. (A mapping of folders in pyproject.toml would take tinysegnet_lessons along.)
"""

from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NotebooksInWheel(BuildHookInterface):
    def initialize(self, version, build_data):
        if version != "editable":
            lessons = Path(self.root) / "lessons"
            for path in [*lessons.glob("*.ipynb"), *lessons.glob("*.csv")]:
                build_data["force_include"][str(path)] = f"tinysegnet/lessons/{path.name}"
