"""Options that answers of several families take; `longsurv.arguments` holds callers to them."""

from __future__ import annotations

from typing import Literal

type Component = Literal["fixed", "variance", "all"]
"""Which terms a table has: coefficients, variance parameters, or both."""
type NewGroups = Literal["error", "population"]
"""What to do with patients that a model has not seen: refuse, or predict their population mean."""
type Interval = Literal["mean", "prediction"]
"""Of the mean of many measurements, or of one new measurement."""
type Ties = Literal["efron", "breslow"]
"""How tied times of events enter a partial likelihood."""
type Penalty = Literal["firth"]
"""Half the log determinant of the information, added to a log-likelihood."""
type Intervals = Literal["wald", "profile"]
"""By the standard error, or by the (penalised) likelihood's profile."""
type SiteDistribution = Literal["gaussian", "gamma"]
"""Of the effects of sites: normal on the log hazard, or gamma on the hazard."""
