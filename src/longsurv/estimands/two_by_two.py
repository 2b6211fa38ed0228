"""One two-by-two table of deaths by treatment group, by every method in use, side by side.

The methods answer one question and differ in what they assume; with a handful of deaths they differ
visibly, and none of them is adjusted for anything.
"""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.estimands import binomial, log_odds
from longsurv.estimands.counts import Counts
from longsurv.estimands.evalues import e_value
from longsurv.estimands.simple import miettinen_nurminen
from longsurv.records import Fields

# Beyond this many tables the unconditional exact tests take minutes, and add nothing by then.
_MOST_TABLES = 40_000

COLUMNS = (
    "quantity", "method", "estimate", "conf_low", "conf_high", "p_value", "prob_benefit", "note",
)  # fmt: skip


class _Interval(NamedTuple):
    estimate: float
    low: float = math.nan
    high: float = math.nan
    note: str = ""


type Count = Annotated[int, None]  # Counts names all that are wrong


@checked
def two_by_two(
    events: Count, n: Count, reference_events: Count, reference_n: Count, *, level: float = 0.95
) -> pd.DataFrame:
    """Compare the risks of two groups by every method, a row each.

    Parameters
    ----------
    events, n, reference_events, reference_n : int
        Events and patients of a group and of the reference it is compared with.
    level : float
        Of all intervals, two-sided or equal-tailed.

    Returns
    -------
    DataFrame
        quantity ("risk", "reference risk", "risk difference", "risk ratio", "odds ratio", "no
        difference" for tests, "E-value"), method, estimate, conf_low, conf_high, p_value,
        prob_benefit (posterior probability that the group's risk is the lower), note (why a number
        is missing, or what to know about it). Effects are of the group against the reference.

    Raises
    ------
    DataError
        For counts that are not counts.

    References
    ----------
    Wilson 1927 (J Am Stat Assoc 22:209); Clopper, Pearson 1934 (Biometrika 26:404); Newcombe 1998
    (Stat Med 17:873); Miettinen, Nurminen 1985 (Stat Med 4:213); Katz and others 1978 (Biometrics
    34:469); Woolf 1955 (Ann Hum Genet 19:251); Barnard 1947 (Biometrika 34:123); Boschloo 1970
    (Stat Neerl 24:1); Lancaster 1961 (J Am Stat Assoc 56:223) for mid-p; VanderWeele, Ding 2017
    (Ann Intern Med 167:268).
    """
    if not 0 < level < 1:
        raise LongsurvError(f"level must be between 0 and 1, not {level}")
    counts = Counts(events, n, reference_events, reference_n)
    return pd.DataFrame(two_by_two_rows(counts, level=level), columns=list(COLUMNS))


@checked
def two_by_two_rows(counts: Counts, *, level: float = 0.95) -> list[Fields]:
    """The rows of `two_by_two`, each with what tells its method apart from the others.

    Parameters
    ----------
    counts : Counts
    level : float
        Of all intervals.

    Returns
    -------
    list of dict
        The columns of `two_by_two`; method_id, which is `method` but for its prior; prior_id, the
        prior's name, and prior, as the method has it in print (of the log odds ratio only).
    """
    return [
        *_risk_rows("risk", counts.events, counts.n, level),
        *_risk_rows("reference risk", counts.reference_events, counts.reference_n, level),
        *_effect_rows(counts, level),
        *_test_rows(counts),
        _e_value_row(counts, level),
        *_beta_rows(counts, level),
        *_normal_rows(counts, level),
    ]


@checked
def newcombe(counts: Counts, *, level: float = 0.95) -> tuple[float, float]:
    """Interval of the risk difference from the Wilson limits of the two risks.

    References
    ----------
    Newcombe RG. Interval estimation for the difference between independent proportions:
    comparison of eleven methods. Stat Med 1998;17:873-890, method 10.
    """
    from statsmodels.stats.proportion import confint_proportions_2indep

    low, high = confint_proportions_2indep(
        counts.events, counts.n, counts.reference_events, counts.reference_n,
        method="newcomb", compare="diff", alpha=1 - level,
    )  # fmt: skip
    return float(low), float(high)


@checked
def score_risk_ratio(counts: Counts, *, level: float = 0.95) -> tuple[float, float]:
    """Interval of the risk ratio by inverting the score test; defined with zero events too.

    References
    ----------
    Miettinen O, Nurminen M. Comparative analysis of two rates. Stat Med 1985;4:213-226; without
    their factor N / (N - 1), Koopman PAR. Biometrics 1984;40:513-517.
    """
    c = counts
    total = c.n + c.reference_n
    z = float(special.ndtri((1 + level) / 2))
    if c.events + c.reference_events == 0:
        return 0.0, math.inf

    def excess(log_ratio: float) -> float:
        ratio = math.exp(log_ratio)
        # The most likely reference risk at this ratio solves A q^2 + B q + C = 0.
        A = total * ratio
        B = -(c.n * ratio + c.events + c.reference_n + c.reference_events * ratio)
        C = c.events + c.reference_events
        q = min((-B - math.sqrt(max(B * B - 4 * A * C, 0.0))) / (2 * A), 1.0)
        p = min(ratio * q, 1.0)
        variance = p * (1 - p) / c.n + ratio**2 * q * (1 - q) / c.reference_n
        distance = c.risk - ratio * c.reference_risk
        return distance**2 - z**2 * variance * total / (total - 1)

    start = math.log((c.events or 0.5) / c.n * c.reference_n / (c.reference_events or 0.5))
    inside = optimize.minimize_scalar(excess, bounds=(start - 10, start + 10), method="bounded").x
    limits = []
    for side, absent in ((-1, c.events == 0), (1, c.reference_events == 0)):
        far = inside + side
        while not absent and excess(far) <= 0 and abs(far) < 700:
            far += side * abs(far - inside)
        limits.append(math.nan if absent else float(optimize.brentq(excess, inside, far)))
    return (
        0.0 if math.isnan(limits[0]) else math.exp(limits[0]),
        math.inf if math.isnan(limits[1]) else math.exp(limits[1]),
    )


@checked
def mid_p(counts: Counts) -> float:
    """Two-sided mid-p value: tables less likely than the observed, and half of those as likely.

    References
    ----------
    Lancaster HO. Significance tests in discrete distributions. J Am Stat Assoc 1961;56:223-234.
    """
    c = counts
    total_events, total = c.events + c.reference_events, c.n + c.reference_n
    possible = np.arange(max(0, total_events - c.reference_n), min(c.n, total_events) + 1)
    probability = stats.hypergeom.pmf(possible, total, total_events, c.n)
    observed = probability[possible == c.events][0]
    tied = np.isclose(probability, observed, rtol=1e-9, atol=0)
    return float(probability[(probability < observed) & ~tied].sum() + probability[tied].sum() / 2)


def _risk_rows(quantity: str, events: int, n: int, level: float) -> list[Fields]:
    result = stats.binomtest(events, n)
    rows = []
    for name, method in (("Wilson", "wilson"), ("Clopper-Pearson", "exact")):
        found = result.proportion_ci(confidence_level=level, method=method)
        rows.append(_row(quantity, name, _Interval(events / n, found.low, found.high)))
    return rows


def _effect_rows(c: Counts, level: float) -> list[Fields]:
    difference = c.risk - c.reference_risk
    score = miettinen_nurminen(c.events, c.n, c.reference_events, c.reference_n, level=level)
    ratio = _divide(c.risk, c.reference_risk)
    (a, b), (d, e) = c.table
    odds = _divide(a * e, b * d)
    rows = [
        _row("risk difference", "Miettinen-Nurminen", _Interval(difference, *score)),
        _row("risk difference", "Newcombe", _Interval(difference, *newcombe(c, level=level))),
        _row("risk ratio", "Katz (log, Wald)", _katz(c, ratio, level)),
        _row("risk ratio", "score", _Interval(ratio, *score_risk_ratio(c, level=level))),
        _row("odds ratio", "Woolf (log, Wald)", _woolf(c, odds, level)),
        _row("odds ratio", "conditional, exact", _conditional(c, level)),
    ]
    return rows


def _katz(c: Counts, ratio: float, level: float) -> _Interval:
    if not (c.events and c.reference_events):
        return _Interval(ratio, note="no interval with a group without events")
    error = math.sqrt(1 / c.events - 1 / c.n + 1 / c.reference_events - 1 / c.reference_n)
    if error == 0:
        return _Interval(ratio, note="no interval with every patient having the event")
    step = math.exp(float(special.ndtri((1 + level) / 2)) * error)
    return _Interval(ratio, ratio / step, ratio * step)


def _woolf(c: Counts, odds: float, level: float) -> _Interval:
    found = log_odds.LogOddsRatio.of(c)
    if found.corrected:
        return _Interval(odds, note="no interval with an empty cell")
    step = math.exp(float(special.ndtri((1 + level) / 2)) * found.std_error)
    return _Interval(odds, odds / step, odds * step)


def _conditional(c: Counts, level: float) -> _Interval:
    total = c.events + c.reference_events
    if total in (0, c.n + c.reference_n):
        return _Interval(math.nan, 0.0, math.inf, "every patient has the same outcome")
    found = stats.contingency.odds_ratio(c.table, kind="conditional")
    limits = found.confidence_interval(confidence_level=level)
    return _Interval(float(found.statistic), float(limits.low), float(limits.high))


def _test_rows(c: Counts) -> list[Fields]:
    rows = [
        _row("no difference", "Fisher", p_value=float(stats.fisher_exact(c.table).pvalue)),
        _row("no difference", "Fisher, mid-p", p_value=mid_p(c)),
    ]
    by_column = np.array(c.table).T  # scipy wants a column a group
    for name in ("Barnard", "Boschloo"):
        if c.events + c.reference_events in (0, c.n + c.reference_n):
            note = "every patient has the same outcome"
            rows.append(_row("no difference", name, p_value=1.0, note=note))
        elif (c.n + 1) * (c.reference_n + 1) > _MOST_TABLES:
            rows.append(_row("no difference", name, note="not computed for groups this large"))
        else:
            test = stats.barnard_exact if name == "Barnard" else stats.boschloo_exact
            rows.append(_row("no difference", name, p_value=float(test(by_column).pvalue)))
    return rows


def _e_value_row(c: Counts, level: float) -> Fields:
    ratio = _divide(c.risk, c.reference_risk)
    if math.isnan(ratio):
        return _row("E-value", "of the risk ratio", note="no events in either group")
    low, high = score_risk_ratio(c, level=level)
    found = e_value(ratio, min(low, ratio), max(high, ratio))
    note = f"{found.limit:.4g} for the limit of the score interval nearer to 1"
    return _row("E-value", "of the risk ratio", _Interval(found.point, found.limit), note=note)


def _beta_rows(c: Counts, level: float) -> list[Fields]:
    rows = []
    for name, prior in binomial.PRIORS.items():
        method = f"beta-binomial, {name} prior Beta({prior[0]:g}, {prior[1]:g})"
        for found in binomial.BetaBinomial(c, prior).table(level=level).to_dict("records"):
            interval = _Interval(found["estimate"], found["conf_low"], found["conf_high"])
            benefit = found["prob_benefit"]
            row = _row(found["quantity"], method, interval, prob_benefit=benefit)
            rows.append(row | {"method_id": "beta-binomial", "prior_id": name})
    return rows


def _normal_rows(c: Counts, level: float) -> list[Fields]:
    note = "1/2 added to every cell" if log_odds.LogOddsRatio.of(c).corrected else ""
    rows = []
    for found in log_odds.odds_ratio_posteriors(c, level=level).to_dict("records"):
        prior = f"N({found['prior_mean']:.3g}, {found['prior_sd']:.3g})"
        method = f"normal approximation, prior {found['prior']} {prior}"
        interval = _Interval(found["estimate"], found["conf_low"], found["conf_high"])
        benefit = found["prob_benefit"]
        row = _row("odds ratio", method, interval, prob_benefit=benefit, note=note)
        known = {"method_id": "normal approximation", "prior_id": found["prior"], "prior": prior}
        rows.append(row | known)
    return rows


def _row(
    quantity: str,
    method: str,
    interval: _Interval | None = None,
    *,
    p_value: float = math.nan,
    prob_benefit: float = math.nan,
    note: str = "",
) -> Fields:
    found = interval or _Interval(math.nan)
    return {
        "quantity": quantity, "method": method, "estimate": float(found.estimate),
        "conf_low": float(found.low), "conf_high": float(found.high), "p_value": p_value,
        "prob_benefit": prob_benefit, "note": note or found.note,
        "method_id": method, "prior_id": "", "prior": "",
    }  # fmt: skip


def _divide(above: float, below: float) -> float:
    if below == 0:
        return math.nan if above == 0 else math.inf
    return above / below
