"""A build hook for hatchling that copies the notebooks from lessons/ to tinysegnet/lessons/ in a wheel.

`tinysegnet lessons` reads the notebooks there, or from lessons/ in an editable installation. (A folder mapping in
pyproject.toml would also include tinysegnet_lessons.)
"""

from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NotebooksInWheel(BuildHookInterface):
    def initialize(self, version, build_data):
        if version != "editable":
            lessons = Path(self.root) / "lessons"
            for path in [*lessons.glob("*.ipynb"), *lessons.glob("*.csv")]:
                build_data["force_include"][str(path)] = f"tinysegnet/lessons/{path.name}"
