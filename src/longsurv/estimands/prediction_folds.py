"""Risks that a joint model predicts, of its own data and of patients it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.estimands.joint_rows import JointSpecification, histories
from longsurv.estimands.prediction_measures import Outcomes, status_of

POSTERIOR_DRAWS = 200


type Refit = Callable[..., object]


@runtime_checkable
class PredictingSurvival(Protocol):
    """An answer of a joint model, which says how long patients measured so far will live."""

    engine: Literal["ml", "bayes"]

    def predict_survival(
        self,
        newdata: Mapping[str, pd.DataFrame],
        *,
        at: float,
        times: Sequence[float],
        draws: int = 200,
    ) -> pd.DataFrame:
        """Survival of patients alive at `at` to each of the times: column "estimate"."""

    def predict_incidence(
        self,
        newdata: Mapping[str, pd.DataFrame],
        *,
        at: float,
        times: Sequence[float],
        draws: int = 200,
        cause: str | None = None,
    ) -> pd.DataFrame:
        """Probability of a cause's event by each of the times: column "estimate"."""


def predicted_risk(
    result: PredictingSurvival,
    spec: JointSpecification,
    labels: pd.Index,
    start: float,
    window: float,
    cause: str | None = None,
) -> np.ndarray:
    """Risk of the event within the window given the measurements until its start, shape (n,).

    Parameters
    ----------
    result : JointEstimate or JointPosterior
        Fitted with or without these patients.
    spec : JointModel
        With the data of these patients.
    labels : Index, length n
    start, window : float
    cause : str, optional
        The cause meant, of several.
    """
    rows = histories(spec.design, labels, start)
    # An estimate's interval, which is not used here, would cost 200 draws.
    draws = 2 if result.engine == "ml" else POSTERIOR_DRAWS
    name, end = spec.design.group_name, [start + window]
    if cause is not None:
        table = result.predict_incidence(rows, at=start, times=end, draws=draws, cause=cause)
        return table.set_index(name)["estimate"].loc[labels].to_numpy()
    table = result.predict_survival(rows, at=start, times=end, draws=draws)
    survival = table.set_index(name)["estimate"]
    return 1.0 - survival.loc[labels].to_numpy()


def out_of_fold_risks(
    spec: JointSpecification,
    sets: dict[float, Outcomes],
    window: float,
    folds: int,
    seed: int,
    refit: Refit,
    cause: str | None,
) -> dict[float, np.ndarray]:
    """Risks by models fitted without each patient's fold."""
    design = spec.design
    name, labels = design.group_name, design.labels
    # The events judged are dealt out first, then the competing ones.
    fold = fold_of((3.0 - status_of(design, cause)) % 3.0, folds, seed)
    out = {s: np.full(len(one.labels), np.nan) for s, one in sets.items()}
    for k in range(folds):
        left_out = labels[fold == k]
        others = spec.with_data(
            {of: _without(marker.data, name, left_out) for of, marker in spec.markers.items()},
            {of: _without(event.data, name, left_out) for of, event in spec.causes.items()},
        )
        result = as_predicting(refit(others))
        for s, one in sets.items():
            mine = one.labels.isin(left_out)
            if mine.any():
                out[s][mine] = predicted_risk(result, spec, one.labels[mine], s, window, cause)
    return out


def _without(data: pd.DataFrame, name: str, left_out: pd.Index) -> pd.DataFrame:
    return data.loc[~data[name].isin(left_out)]


def as_predicting(result: object) -> PredictingSurvival:
    """A result that predicts; LongsurvError for what a `refit` should not return."""
    if not isinstance(result, PredictingSurvival):
        raise LongsurvError(
            "refit is a function of a JointModel that returns its fit or posterior, as "
            f"lambda m: m.sample(seed=1); it returned {type(result).__name__}"
        )
    return result


def fold_of(event: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Fold of each patient, shape (N,): sizes and numbers of events differ by at most one each.

    Of several kinds of event the largest value is the one whose numbers are sure to.
    """
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(event))
    order = shuffled[np.argsort(-event[shuffled], kind="stable")]
    fold = np.empty(len(event), dtype=int)
    fold[order] = np.arange(len(event)) % folds
    return fold
