"""Options that answers of several families take; `longsurv.arguments` holds callers to them."""

from __future__ import annotations

from typing import Literal

type Component = Literal["fixed", "variance", "all"]
"""Which terms a table has: coefficients, variance parameters, or both."""
type NewGroups = Literal["error", "population"]
"""What to do with patients that a model has not seen: refuse, or predict their population mean."""
