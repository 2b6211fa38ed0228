"""Published ratios, read: one with its interval, or a table with a row a trial."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import DataError, LongsurvError
from longsurv.priors.families import Normal
from longsurv.priors.trials import Marginal, conditional_trial, normal_trial

type Ratio = Literal["hazard_ratio", "odds_ratio", "risk_ratio"]

COUNTS = ("events", "patients", "reference_events", "reference_patients")
ESTIMATE = ("estimate", "std_error")
INTERVAL = ("ratio", "low", "high")
FORMS = (COUNTS, ESTIMATE, INTERVAL)


def log_hazard_ratio(
    log_ratio: np.ndarray, outcome: Ratio, baseline_risk: float | None
) -> np.ndarray:
    """The log hazard ratio that a log odds or risk ratio is, at a risk of the reference group.

    With proportional hazards the risk of the group is 1 - (1 - r)^HR where that of the reference is
    r, so HR = log(1 - p) / log(1 - r).

    Raises
    ------
    LongsurvError
        Without a baseline risk, or where a risk ratio makes a risk of 1 or more of it.
    """
    log_ratio = np.asarray(log_ratio, dtype=float)
    if outcome == "hazard_ratio":
        return log_ratio
    if baseline_risk is None:
        words = outcome.replace("_", " ")
        raise LongsurvError(
            f"{'an' if words[0] == 'o' else 'a'} {words} becomes a hazard ratio at the risk of the"
            " reference group: name it, as in baseline_risk=0.2"
        )
    r = float(baseline_risk)
    if not 0.0 < r < 1.0:
        raise LongsurvError(f"baseline_risk is a risk between 0 and 1, not {r:g}")
    if outcome == "risk_ratio":
        risk = r * np.exp(log_ratio)
        if (risk >= 1.0).any():
            raise LongsurvError(
                f"a risk ratio of {math.exp(float(log_ratio.max())):.3g} at a baseline risk of"
                f" {r:g} is a risk above 1: name a lower baseline_risk, or use odds ratios"
            )
        left = -np.log1p(-risk)
    else:  # 1 - p = 1 / (1 + odds)
        left = np.logaddexp(0.0, math.log(r / (1.0 - r)) + log_ratio)
    return np.log(left) - math.log(-math.log1p(-r))


@checked
def from_interval(
    ratio: float,
    low: float,
    high: float,
    level: float = 0.95,
    *,
    outcome: Ratio = "hazard_ratio",
    baseline_risk: float | None = None,
) -> Normal:
    """Normal prior on a log ratio from a published ratio with its interval.

    Parameters
    ----------
    ratio, low, high : float
        Point estimate and interval of a ratio.
    level : float
        Of the interval.
    outcome : {"hazard_ratio", "odds_ratio", "risk_ratio"}
        What kind of ratio. An odds or a risk ratio is made a hazard ratio first, and needs the
        baseline risk; to have a prior of a log odds ratio itself leave this as it is.
    baseline_risk : float, optional
        Risk of the reference group by the end of follow-up.

    Raises
    ------
    LongsurvError
        Unless 0 < low < ratio < high, with the ratio in the middle half of its interval on a
        logarithmic scale; if the baseline risk is missing, or
        impossible with these ratios.
    """
    from scipy.special import ndtri

    if not 0 < low < ratio < high:
        raise LongsurvError(f"expected 0 < low < ratio < high, got {low}, {ratio}, {high}")
    if why := _lopsided(ratio, low, high):
        raise LongsurvError(why)
    logs = log_hazard_ratio(np.log([ratio, low, high]), outcome, baseline_risk)
    width = 2.0 * float(ndtri(0.5 + level / 2.0))
    return Normal(float(logs[0]), float(logs[2] - logs[1]) / width)


def read_trials(table: pd.DataFrame, outcome: Ratio) -> tuple[pd.DataFrame, list[Marginal]]:
    """The trials with their log ratios, and the likelihood of each.

    Raises
    ------
    DataError
        With all that is wrong at once.
    """
    if "source" not in table.columns:
        raise DataError(
            'the table of trials needs a column "source": where the numbers of each row are from'
        )
    form = next((one for one in FORMS if set(one) <= set(table.columns)), None)
    if form is None:
        wanted = "; or ".join(", ".join(one) for one in FORMS)
        raise DataError(f"the table of trials needs the columns {wanted}; it has {[*table]}")
    if len(table) == 0:
        raise DataError("the table of trials has no rows")
    values = table[list(form)].apply(pd.to_numeric, errors="coerce").to_numpy(float)
    problems = [
        text
        for k, (row, source) in enumerate(zip(values, table["source"], strict=True))
        for text in _wrong(
            f"trial in row {k + 1}", dict(zip(form, row, strict=True)), source, outcome
        )
    ]
    if problems:
        raise DataError(problems)
    pairs = [_log_ratio(form, row, outcome) for row in values]
    exact = form == COUNTS and outcome == "odds_ratio"
    likelihoods = [
        conditional_trial(*(int(count) for count in row)) if exact else normal_trial(*pair)
        for row, pair in zip(values, pairs, strict=True)
    ]
    shown = table.reset_index(drop=True)
    estimates, errors = zip(*pairs, strict=True)
    return shown.assign(estimate=estimates, std_error=errors), likelihoods


def _wrong(where: str, row: dict[str, float], source: object, outcome: Ratio) -> list[str]:
    """What is wrong with a row, in words."""
    found = []
    if not (isinstance(source, str) and source.strip()):
        found.append(f"{where}: source must say where its numbers are from")
    missing = [name for name, value in row.items() if not math.isfinite(value)]
    if missing:
        return [*found, f"{where}: {', '.join(missing)} must be a number"]
    if "events" in row:
        if outcome == "hazard_ratio":
            found.append(f"{where}: counts give no hazard ratio; use odds or risk ratios")
        for events, patients in (COUNTS[:2], COUNTS[2:]):
            whole = row[events] == round(row[events]) and row[patients] == round(row[patients])
            if not (whole and 0 <= row[events] <= row[patients] and row[patients] > 0):
                found.append(
                    f"{where}: {events} and {patients} must be whole numbers with"
                    f" 0 <= {events} <= {patients}, got {row[events]:g} and {row[patients]:g}"
                )
        if outcome == "risk_ratio" and 0 in (row["events"], row["reference_events"]):
            found.append(
                f"{where}: no event in one group, so the log risk ratio has no normal likelihood;"
                ' use outcome="odds_ratio", whose likelihood is exact'
            )
        if outcome == "risk_ratio" and (
            row["events"] == row["patients"] or row["reference_events"] == row["reference_patients"]
        ):
            found.append(
                f"{where}: everybody of one group had the event, so the log risk ratio has no"
                ' normal likelihood; use outcome="odds_ratio", whose likelihood is exact'
            )
    elif "std_error" in row:
        if not row["std_error"] > 0.0:
            found.append(f"{where}: std_error must be above 0, got {row['std_error']:g}")
    elif not 0.0 < row["low"] < row["ratio"] < row["high"]:
        found.append(
            f"{where}: expected 0 < low < ratio < high, got {row['low']:g}, {row['ratio']:g},"
            f" {row['high']:g}"
        )
    elif why := _lopsided(row["ratio"], row["low"], row["high"]):
        found.append(f"{where}: {why}")
    return found


def _lopsided(ratio: float, low: float, high: float) -> str:
    """That a ratio is outside the middle half of its interval, whatever was rounded; or nothing."""
    if 0.25 <= math.log(ratio / low) / math.log(high / low) <= 0.75:
        return ""
    return (
        f"{ratio:g} is far from the middle of its interval, {low:g} to {high:g}, which is"
        f" {math.sqrt(low * high):.3g}: on a logarithmic scale an interval is about as wide on"
        " either side of its ratio. Look for a slip of the pen; if it was published so, no normal"
        " prior says the same"
    )


def _log_ratio(form: tuple[str, ...], row: np.ndarray, outcome: Ratio) -> tuple[float, float]:
    """Estimate and standard error of the log ratio; NaN where a cell of the table is zero."""
    if form == ESTIMATE:
        return float(row[0]), float(row[1])
    if form == INTERVAL:
        prior = from_interval(*map(float, row))
        return prior.mean, prior.sd
    a, n, c, m = map(float, row)
    if outcome == "risk_ratio":
        return math.log(a / n / (c / m)), math.sqrt(1 / a - 1 / n + 1 / c - 1 / m)
    if min(a, n - a, c, m - c) == 0.0:
        return math.nan, math.nan
    return (
        math.log(a * (m - c) / (c * (n - a))),
        math.sqrt(1 / a + 1 / (n - a) + 1 / c + 1 / (m - c)),
    )
