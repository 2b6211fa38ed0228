"""A hazard ratio that changes over time: in pieces, or with the logarithm of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import pandas as pd

from longsurv.arguments import choice
from longsurv.design.weights import are_counts
from longsurv.errors import EstimationError, LongsurvError
from longsurv.results.reference import Reference, chi2_p_value, t_p_value, t_quantile
from longsurv.results.survival.clustered import FewClusters

if TYPE_CHECKING:
    from longsurv.design.survival import SurvivalDesign
    from longsurv.results.estimate import Estimate
    from longsurv.results.survival.specification import OfTable

CONSTANT = "no change over time"


class ChangingCox(Protocol):
    """What is used of a fitted Cox model."""

    @property
    def spec(self) -> OfTable:
        """The model."""

    @property
    def design(self) -> SurvivalDesign:
        """Its arrays."""

    @property
    def names(self) -> tuple[str, ...]:
        """Coefficients."""

    @property
    def undetermined(self) -> tuple[str, ...]:
        """Those that the data do not determine."""

    @property
    def reference(self) -> Reference:
        """Their covariance, and against what they are tested."""

    @property
    def llf(self) -> float:
        """The maximum."""

    @property
    def penalty(self) -> str | None:
        """The penalty of its likelihood."""


def over_time(
    fit: ChangingCox, term: str, cuts: Sequence[float] | None, times: Sequence[float] | None,
    level: float,
) -> pd.DataFrame:  # fmt: skip
    """The table of `SurvivalEstimate.hazard_ratio_over_time`."""
    choice("term", term, fit.names)
    if (cuts is None) == (times is None):
        raise LongsurvError(
            "give cuts=, the times at which the ratio may change, or times=, at which a ratio that"
            " changes with log time is wanted"
        )
    if term in fit.undetermined:
        raise EstimationError(f"the data do not determine {term}; fit.flags says why")
    if fit.penalty is not None:
        raise EstimationError(
            "the groups are separated, so one hazard ratio is all, and more than, the data have"
        )
    d = fit.design
    last = float(d.exit[d.event == 1].max())
    if cuts is not None:
        at = np.unique(np.asarray(cuts, dtype=float))
        first = float(d.exit[d.event == 1].min())
        if not len(at) or at[0] < first or at[-1] >= last:
            raise LongsurvError(
                f"events are from {first:g} to {last:g}: cut from the first on, and before the last"
            )
        rows = _cut(d, at)
        piece = np.searchsorted(at, rows["exit"].to_numpy(), "left")
        columns = np.eye(len(at) + 1)[piece]
    else:
        steps = np.unique(d.exit[d.event == 1])
        if steps[0] <= 0 or min(times or (0.0,)) <= 0:
            raise LongsurvError("the logarithm of time needs times after 0")
        rows = _cut(d, steps)
        columns = np.column_stack([np.ones(len(rows)), np.log(rows["exit"])])
    changing = _fitted(fit, rows, columns, term)
    k = columns.shape[1]
    changing = _as_few_clusters_allow(fit, changing, fit.names.index(term), k)
    df = changing.reference.df(np.append(np.ones(k), np.zeros(len(changing.names) - k)))
    z = t_quantile(level, df)
    beta, cov = changing.coefficients[:k], changing.reference.cov[:k, :k]
    if cuts is not None:
        ends = np.append(at, last)
        starts = np.append(float(d.entry.min()), at)
        table = pd.DataFrame({"start": starts, "end": ends})
        weights = np.eye(k)
        counts = d.weights is not None and are_counts(d.weights)
        died = np.repeat(d.exit, (d.event * (d.weights if counts else 1)).astype(int))
        table["events"] = [
            int(((died > a) & (died <= b)).sum()) for a, b in zip(starts, ends, strict=True)
        ]
    else:
        assert times is not None
        table = pd.DataFrame({"time": np.asarray(times, dtype=float)})
        weights = np.column_stack([np.ones(len(table)), np.log(table["time"])])
    log_ratio, error = weights @ beta, np.sqrt(np.einsum("ij,jk,ik->i", weights, cov, weights))
    table["hazard_ratio"] = np.exp(log_ratio)
    table["conf_low"], table["conf_high"] = (np.exp(log_ratio + s * z * error) for s in (-1, 1))
    table["p_value"] = [t_p_value(float(t), df) for t in log_ratio / error]
    of_change = np.eye(k)[1:] if cuts is None else np.diff(np.eye(k), axis=0)
    statistic, p_value, how = _change(fit, changing, of_change)
    table.attrs |= {
        "statistic": statistic, "df": k - 1, "p_value": p_value,
        "test": f"{CONSTANT}, {how}", "coefficients": changing.tidy(level),
    }  # fmt: skip
    return table


def _as_few_clusters_allow(fit: ChangingCox, changing: Estimate, j: int, k: int) -> Estimate:
    """The effects of the j-th term over time, the first k, with the clusters that are left for it.

    Cut at times, a covariate that differs between clusters only looks as if it did within them: few
    clusters leave its pieces as many degrees of freedom as they left the covariate itself.
    """
    whole, cut = fit.reference, changing.reference
    if not (isinstance(whole, FewClusters) and isinstance(cut, FewClusters)):
        return changing
    left = np.append(np.full(k, whole.left[j]), np.delete(whole.left, j))
    factor = np.sqrt(cut.left / left)
    held = replace(cut, cov=cut.cov * np.outer(factor, factor), left=left)
    return replace(changing, reference=held)


def _change(
    fit: ChangingCox, changing: Estimate, of_change: np.ndarray
) -> tuple[float, float, str]:
    """Chi-squared of no change, its p value, and how: by the likelihood ratio, or Wald's where the
    rows are dependent, of few clusters by the F distribution.

    Changes are `of_change` (k - 1, k) times the first k coefficients.
    """
    many, k = of_change.shape
    if changing.reference.method != "robust":
        ratio = max(2.0 * (changing.llf - fit.llf), 0.0)
        return ratio, float(chi2_p_value(ratio, many)), "likelihood ratio"
    L = np.hstack([of_change, np.zeros((many, len(changing.names) - k))])
    tested = changing.test(L).iloc[0]
    return float(tested["statistic"] * tested["df_num"]), float(tested["p_value"]), "Wald"


def _cut(d: SurvivalDesign, at: np.ndarray) -> pd.DataFrame:
    """Rows of the design, `source`, cut at some times."""
    first, last = np.searchsorted(at, d.entry, "right"), np.searchsorted(at, d.exit, "left")
    count = last - first + 1
    source = np.repeat(np.arange(len(d.exit)), count)
    step = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    edges = np.append(at, np.inf)
    place = first[source] + step
    entry = np.where(step == 0, d.entry[source], edges[np.maximum(place - 1, 0)])
    exit = np.minimum(edges[place], d.exit[source])
    event = np.where(exit == d.exit[source], d.event[source], 0)
    return pd.DataFrame({"source": source, "entry": entry, "exit": exit, "event": event})


def _fitted(fit: ChangingCox, rows: pd.DataFrame, columns: np.ndarray, term: str) -> Estimate:
    """The same model with these columns times the term's in place of it, and first."""
    d, source = fit.design, rows["source"].to_numpy()
    j, k = fit.names.index(term), columns.shape[1]
    X = d.fixed.X[source]
    values = np.column_stack([columns * X[:, [j]], np.delete(X, j, axis=1)])
    frame = rows.assign(**{f"x{i}": column for i, column in enumerate(values.T)})
    right = [f"x{i}" for i in range(values.shape[1])]
    special = {"strata": d.stratum, "cluster": d.cluster, "offset": d.offset}
    for name, given in special.items():
        if given is not None:
            frame[name] = given[source]
            right.append(f"{name}({name})")
    weights = None
    if d.weights is not None:
        frame["weight"], weights = d.weights[source], "weight"
        if d.cluster is None and not are_counts(d.weights):  # the pieces of a row are one
            right.append("cluster(source)")
    formula = f"Surv(entry, exit, event) ~ {' + '.join(right)}"
    spec = replace(  # type: ignore[type-var]
        fit.spec, formula=formula, data=frame, weights=weights, patient="source", functions=None
    )
    found = cast("Estimate", spec.fit())  # type: ignore[attr-defined]
    if getattr(found, "penalty", None) is not None or found.undetermined or len(found.names) < k:
        raise EstimationError(
            f"the data do not determine a hazard ratio of {term} that changes so: in some stretch"
            " nobody of one group has the event; use fewer cuts"
        )
    return found
