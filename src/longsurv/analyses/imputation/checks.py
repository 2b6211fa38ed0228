"""What an imputation is refused for."""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np

from longsurv.analyses.imputation.rows import ImputedRows
from longsurv.analyses.imputation.strategies import Method
from longsurv.errors import DataError, EstimationError, LongsurvError
from longsurv.results.generalised.estimate import GeneralisedEstimate
from longsurv.results.mixed.estimate import MixedEstimate
from longsurv.results.reference import estimable
from longsurv.words import plural, verb


def check_reference(
    method: Method,
    treatment: str | None,
    reference: Hashable,
    randomised: bool,
    rows: ImputedRows,
) -> None:
    """Refuse values from a reference group that is not comparable, or not named."""
    if not randomised:
        raise LongsurvError(
            f"method={method!r} takes values from the reference group, which only allocation at"
            " random makes comparable: say randomised=True if it was, or use method='mar' with"
            " delta="
        )
    if treatment is None or reference is None:
        raise LongsurvError(
            f"method={method!r} needs the groups: treatment= (their column) and reference="
        )
    if not rows.ordered:
        raise LongsurvError(
            f"method={method!r} depends on which value was a patient's last: visit= names the"
            " column with the order of the visits, as numbers or a Categorical with its categories"
            " in order (text has none), and different at each row of a patient"
        )
    if treatment in rows.frame:
        groups = rows.frame[treatment].groupby(rows.patient).nunique()
        if several := int((groups > 1).sum()):
            raise DataError(
                f"{plural(several, 'patient')} {verb(several, 'has', 'have')} rows of several"
                f" groups in {treatment!r}: method={method!r} needs the group that each patient was"
                " allocated to, the same in every row"
            )


def check_determined(
    fit: MixedEstimate | GeneralisedEstimate, X: np.ndarray, reference: np.ndarray | None
) -> None:
    """Refuse what would be drawn from priors alone.

    Parameters
    ----------
    fit : MixedEstimate or GeneralisedEstimate
    X : ndarray, shape (n, p)
        Fixed effects of the rows.
    reference : ndarray, shape (n, p), optional
        The same as if everybody were of the reference group.
    """
    if lost := _lost(fit):
        raise EstimationError(
            f"the data do not determine {', '.join(lost)}, on which the imputed values depend;"
            " a simpler random part or residual structure is needed"
        )
    needed = X if reference is None else np.vstack([X, reference])
    if not estimable(fit.reference, needed).all():
        raise EstimationError("the data do not determine the means of the values to impute")


def _lost(fit: MixedEstimate | GeneralisedEstimate) -> tuple[str, ...]:
    """Variances without an estimate; a correlation has none beside a variance of 0."""
    variance = fit.variance
    if variance.undetermined:
        return variance.undetermined
    none = np.isnan(variance.values)
    return tuple(
        name
        for name, lacks in zip(variance.names, none, strict=True)
        if lacks and not name.startswith("cor(")
    )
