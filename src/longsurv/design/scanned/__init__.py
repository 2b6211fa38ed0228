"""Designs of tables that are read in pieces, for those larger than memory."""

from longsurv.design.scanned.elsewhere import RowsElsewhere
from longsurv.design.scanned.scan import Scan, scan

__all__ = ["RowsElsewhere", "Scan", "scan"]
