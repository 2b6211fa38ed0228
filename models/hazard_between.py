"""What a hazard model of events between two times cannot do, and what its data do not determine."""

from __future__ import annotations

import numpy as np

from longsurv.design.hazard import HazardDesign
from longsurv.design.windows import check_known
from longsurv.errors import EstimationError
from longsurv.inference import Optimum, identify
from longsurv.likelihood import hazard as hz
from longsurv.words import listed

FEWEST = 1e-3
"""Expected events in a piece of the hazard below which it is 0 by maximum likelihood."""


def check_plain(
    formula: str, hazard: HazardDesign, penalty: str | None, separated: np.ndarray | None
) -> None:
    """Refuse Firth's penalty, whose information would depend on when patients are seen, and data
    whose likelihood has no maximum without it.

    Raises
    ------
    LongsurvError, EstimationError
    """
    if penalty is not None:
        check_known(hazard.survival.windows, "Firth's penalty needs")
    if separated is not None:
        names = [n for n, d in zip(hazard.names, separated, strict=True) if abs(d) > 0]
        raise EstimationError(
            f"{formula!r} cannot be estimated: the likelihood has no maximum in {listed(names)}, as"
            " where a group has no events; Firth's penalty is not for events between two times, so"
            " leave these terms out, or sample"
        )


def check_determined(
    formula: str, hazard: HazardDesign, optimum: Optimum, smoothing: float
) -> None:
    """Refuse a baseline that the times do not determine.

    Raises
    ------
    EstimationError
        If some piece has no events by maximum likelihood, or a parameter of the baseline has no
        information while those of the covariates have.
    """
    p, base, d = len(hazard.names), hazard.baseline, hazard.survival
    assert d.windows is not None
    if base.without_events(np.zeros(0)):  # a hazard of pieces
        natural = hz.natural(hazard.data, optimum.x[None, :], smoothing)[0]
        ends = np.where(d.windows.happened, d.windows.right, d.windows.left)
        at_risk = base.spent(np.zeros(len(ends)), ends).Q.sum(axis=0)
        empty = np.exp(natural[p:]) * at_risk < FEWEST
        if empty.any():
            edges = (0.0, *base.knots, np.inf)
            named = [f"({edges[k]:g}, {edges[k + 1]:g}]" for k in np.flatnonzero(empty)]
            raise EstimationError(
                f"{formula!r}: by maximum likelihood no event was in {listed(named)}, so the hazard"
                " there is 0; give fewer knots, an 'mspline' baseline, or sample"
            )
    known = identify(-optimum.hessian).flat.determined
    if known[:p].all() and not known[p:].all():
        raise EstimationError(
            f"{formula!r}: the times do not determine the {base.words} baseline, as where all are"
            " only known to be before or after one and the same; use baseline='exponential'"
        )
