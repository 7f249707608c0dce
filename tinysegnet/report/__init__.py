"""The page of a run."""

from .run_page import RunSummary, write_run_page
from .run_report import write_report

__all__ = ["RunSummary", "write_report", "write_run_page"]
