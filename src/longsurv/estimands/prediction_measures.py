"""Measures of predicted risks against outcomes of which some are censored.

The formulae are those of `longsurv.estimands.prediction_quality`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv.estimands.aalen_johansen import CumulativeIncidence, cumulative_incidence
from longsurv.estimands.follow_up import FollowUp
from longsurv.estimands.kaplan_meier import kaplan_meier

if TYPE_CHECKING:
    from longsurv.design.joint import JointDesign

MEASURES = (
    "AUC",
    "Brier score",
    "scaled Brier score",
    "calibration intercept",
    "calibration slope",
)
FURTHEST = 1e-9
LARGEST_STEP = 5.0


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Patients at risk at a landmark and what became of them by the horizon.

    Attributes
    ----------
    start, horizon : float
    labels : Index, length n
    exit : ndarray, shape (n,)
    status : ndarray, shape (n,)
        1 where follow-up ended with the event, 2 where with a competing one, 0 where censored.
    event : ndarray of bool, shape (n,)
        Had the event by the horizon; a competing one before it makes this known to be false.
    weight : ndarray, shape (n,)
        Of inverse probability of censoring; 0 for those censored before the horizon.
    excluded : int
        Patients under observation only after the landmark.
    several : bool
        Whether there are competing causes, so that observed risks are by Aalen and Johansen.
    """

    start: float
    horizon: float
    labels: pd.Index
    exit: np.ndarray
    status: np.ndarray
    event: np.ndarray
    weight: np.ndarray
    excluded: int
    several: bool = False

    def of(self, some: np.ndarray) -> Outcomes:
        """Chosen patients, repeats allowed, with weights of their own.

        Parameters
        ----------
        some : ndarray of int
            Positions, repeats allowed.

        Returns
        -------
        Outcomes
        """
        exit, status = self.exit[some], self.status[some]
        event, weight = _event_and_weight(exit, status, self.horizon)
        return replace(
            self, labels=self.labels[some], exit=exit, status=status, event=event, weight=weight
        )

    def observed_risk(self) -> float:
        """Observed risk by the horizon; missing if nobody was followed until then."""
        everyone = np.ones(len(self.exit), dtype=bool)
        if self.several:
            return _incidence(self, everyone).at(self.horizon)[0]
        curve = kaplan_meier(_follow_up(self, everyone))
        return 1.0 - float(curve.at(np.array([self.horizon]))[0][0])

    def row(self) -> dict[str, float]:
        """Counts, for the table of risk sets."""
        return {
            "landmark": self.start,
            "horizon": self.horizon,
            "at_risk": len(self.exit),
            "events": int(self.event.sum()),
            "competing": int(((self.status == 2) & (self.exit <= self.horizon)).sum()),
            "censored": int((self.weight == 0).sum()),
            "excluded": self.excluded,
            "observed_risk": self.observed_risk(),
        }


def outcomes(
    design: JointDesign, start: float, window: float, cause: str | None = None
) -> Outcomes:
    """Outcomes of the patients of a joint model's design who are at risk at `start`.

    Parameters
    ----------
    design : JointDesign
    start, window : float
    cause : str, optional
        The cause judged, of several.
    """
    left = design.exit > start
    here = left & (design.entry <= start)
    exit, status, horizon = design.exit[here], status_of(design, cause)[here], start + window
    event, weight = _event_and_weight(exit, status, horizon)
    return Outcomes(
        start,
        horizon,
        design.labels[here],
        exit,
        status,
        event,
        weight,
        int((left & ~here).sum()),
        several=cause is not None,
    )


def status_of(design: JointDesign, cause: str | None) -> np.ndarray:
    """1 where follow-up ended with the event judged, 2 with a competing one, 0 censored: (N,)."""
    if cause is None:
        return np.asarray(design.status)
    (mine,) = (one.status for one in design.causes if one.name == cause)
    return np.where(mine == 1, 1.0, 2.0 * (design.status > 0))


def _event_and_weight(
    exit: np.ndarray, status: np.ndarray, horizon: float
) -> tuple[np.ndarray, np.ndarray]:
    event = (exit <= horizon) & (status == 1)
    known = ((exit <= horizon) & (status > 0)) | (exit >= horizon)
    weight = np.zeros(len(exit))
    weight[known] = 1.0 / uncensored_before(exit, status, np.minimum(exit[known], horizon))
    return event, weight


def uncensored_before(exit: np.ndarray, status: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Kaplan-Meier probability not to be censored before each time, shape of `times`.

    Parameters
    ----------
    exit : ndarray, shape (n,)
        Of patients who are all at risk from the start.
    status : ndarray, shape (n,)
        0 for censoring, above it for an event of any cause; events come before censorings of the
        same time.
    times : ndarray
    """
    at, count = np.unique(exit[status == 0], return_counts=True)
    later = len(exit) - np.searchsorted(np.sort(exit), at, side="right")
    survival = np.concatenate([[1.0], np.cumprod(1.0 - count / (later + count))])
    return survival[np.searchsorted(at, times, side="left")]


def measures(one: Outcomes, risk: np.ndarray) -> np.ndarray:
    """The measures of `MEASURES`, shape (5,), of predicted risks, shape (n,)."""
    score = brier(one, risk)
    null = brier(one, np.full(len(risk), one.observed_risk()))
    return np.array(
        [auc(one, risk), score, 1.0 - score / null if null > 0 else np.nan, *calibration(one, risk)]
    )


def auc(one: Outcomes, risk: np.ndarray) -> float:
    """Probability that a patient with the event was predicted a higher risk than one without."""
    cases, controls = one.event & (one.weight > 0), ~one.event & (one.weight > 0)
    order = np.argsort(risk[controls], kind="stable")
    others = risk[controls][order]
    # Those with a competing event weigh less than those followed to the horizon.
    until = np.concatenate([[0.0], np.cumsum(one.weight[controls][order])])
    below = until[np.searchsorted(others, risk[cases], side="left")]
    upto = until[np.searchsorted(others, risk[cases], side="right")]
    return float(np.average((below + upto) / (2.0 * until[-1]), weights=one.weight[cases]))


def brier(one: Outcomes, risk: np.ndarray) -> float:
    """Weighted mean squared difference of outcome and predicted risk."""
    return float(np.mean(one.weight * (one.event - risk) ** 2))


def calibration(one: Outcomes, risk: np.ndarray) -> tuple[float, float]:
    """Intercept (given slope 1) and slope of the weighted logistic regression on logit(risk).

    The slope is missing if predictions are all the same or separate the outcomes.
    """
    p = np.clip(risk, FURTHEST, 1.0 - FURTHEST)
    x, known = np.log(p / (1.0 - p)), one.weight > 0
    x, y, w = x[known], one.event[known].astype(float), one.weight[known]
    intercept = _logistic(np.ones((len(x), 1)), y, w, x)
    slope = np.array([np.nan, np.nan])
    if np.ptp(x) > 1e-12:
        slope = _logistic(np.column_stack([np.ones(len(x)), x - x.mean()]), y, w, np.zeros(len(x)))
    return float(intercept[0]), float(slope[1])


def _logistic(X: np.ndarray, y: np.ndarray, w: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Coefficients of a weighted logistic regression; missing where there is no maximum."""
    b = np.zeros(X.shape[1])
    for _ in range(50):
        with np.errstate(over="ignore"):
            mu = 1.0 / (1.0 + np.exp(-(offset + X @ b)))
        information = (X * (w * mu * (1.0 - mu))[:, None]).T @ X
        if np.linalg.cond(information) > 1e12:
            break
        step = np.linalg.solve(information, X.T @ (w * (y - mu)))
        b = b + np.clip(step, -LARGEST_STEP, LARGEST_STEP)
        if np.abs(step).max() < 1e-10:
            return b
    return np.full(X.shape[1], np.nan)


def calibration_groups(one: Outcomes, risk: np.ndarray, groups: int, level: float) -> pd.DataFrame:
    """Mean predicted and observed risk in groups of about equal size by predicted risk."""
    cuts = np.unique(np.quantile(risk, np.linspace(0, 1, groups + 1)[1:-1]))
    group = np.searchsorted(cuts, risk, side="left")
    rows = []
    for k, g in enumerate(np.unique(group), 1):
        mine = group == g
        observed, low, high = _observed(one, mine, level)
        rows.append(
            {
                "landmark": one.start,
                "group": k,
                "n": int(mine.sum()),
                "events": int(one.event[mine].sum()),
                "predicted": float(risk[mine].mean()),
                "observed": observed,
                "conf_low": low,
                "conf_high": high,
            }
        )
    return pd.DataFrame(rows)


def _observed(one: Outcomes, mine: np.ndarray, level: float) -> tuple[float, float, float]:
    """Observed risk by the horizon of some of the patients, with limits."""
    if one.several:
        incidence = _incidence(one, mine)
        return (incidence.at(one.horizon)[0], *incidence.interval(one.horizon, level))
    curve = kaplan_meier(_follow_up(one, mine))
    at = np.array([one.horizon])
    low, high = curve.interval(at, "beta-product", level)
    return 1.0 - float(curve.at(at)[0][0]), 1.0 - float(high[0]), 1.0 - float(low[0])


def _incidence(one: Outcomes, mine: np.ndarray) -> CumulativeIncidence:
    """Of the event judged, by Aalen and Johansen."""
    return cumulative_incidence(_follow_up(one, mine))


def _follow_up(one: Outcomes, mine: np.ndarray) -> FollowUp:
    start = np.full(int(mine.sum()), one.start)
    return FollowUp(start, one.exit[mine], one.status[mine].astype(int))
