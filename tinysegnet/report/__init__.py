"""The page of a run."""

from .run_page import write_report

__all__ = ["write_report"]
