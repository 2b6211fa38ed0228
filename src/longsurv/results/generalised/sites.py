"""What a fitted generalised mixed model says of the variance between sites."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol, cast

import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.results.reference import no_variance_test
from longsurv.results.simulated import SimulatedGLMM, check_determined


class FittedWithSites(SimulatedGLMM, Protocol):
    """An estimate of a generalised mixed model."""

    @property
    def llf(self) -> float:
        """Log-likelihood."""


def variance_test(fit: FittedWithSites) -> pd.DataFrame:
    """See `GeneralisedEstimate.variance_test`."""
    design = fit.design
    if not design.outer:
        raise LongsurvError(
            f"{fit.spec.formula!r} has no random effect of a site beside those of "
            f"{design.group_name}; a term such as (1 | site) makes one"
        )
    check_determined(fit, "tested for a variance between sites")
    alone = replace(design, outer=(), row_pairs=None, crossed=False)
    without = cast("FittedWithSites", fit.again(fit.spec.with_design(alone)))
    name = design.deviations[-1]
    value = fit.variance.values[fit.variance.names.index(name)]
    statistic = max(2.0 * (fit.llf - without.llf), 0.0)
    return no_variance_test(name, 0.0 if value == 0.0 else statistic, value == 0.0)
