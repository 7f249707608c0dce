"""The report of a training run."""

from .run_report import write_report

__all__ = ["write_report"]
