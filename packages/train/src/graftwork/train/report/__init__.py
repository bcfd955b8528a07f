"""The report of a run: one self-contained page that tells what it was, did and made."""

from graftwork.train.report.page import write_report

__all__ = ["write_report"]
