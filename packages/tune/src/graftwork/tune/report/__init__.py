"""The report of a search: one self-contained page of what was tried and what came of it."""

from graftwork.tune.report.page import write_report

__all__ = ["write_report"]
