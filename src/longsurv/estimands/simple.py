"""The simple comparisons a summary reports: medians, rank tests, two-by-two tables.

They are here because readers expect them and because the models are judged against them. None
of them answers the question of a study like the example: "significant in one group and not in the
other" is not a difference between the groups, and nothing is adjusted for.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.estimands.counts import Counts

if TYPE_CHECKING:
    from longsurv.cohort import Cohort

type Interval = Literal["newcombe", "miettinen-nurminen"]


class _Test(NamedTuple):
    """A test's result; a reason instead when there is none."""

    statistic: float = np.nan
    p_value: float = np.nan
    reason: str = ""


@checked
def baseline_differences(cohort: Cohort) -> pd.DataFrame:
    """Compare each group with the reference at the first phase, marker by marker.

    The first value of each patient in the first phase counts (without phases: the first of all).
    Medians and quartiles are of the values in the marker's unit; the test is Mann-Whitney's,
    two-sided. A value beyond a detection limit stands at the limit, as summaries do.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    DataFrame
        A row a marker and group other than the reference: marker, label, unit, phase, reference,
        group; ``n_``, ``median_``, ``q1_``, ``q3_`` and ``censored_`` (values beyond a detection
        limit) of ``_reference`` and ``_group``; statistic (U of the group), p_value; reason ("" or
        why there is no test).

    References
    ----------
    Mann HB, Whitney DR. On a test of whether one of two random variables is stochastically larger
    than the other. Ann Math Stat 1947;18:50-60.
    """
    reference, *others = cohort.groups
    rows = []
    for name, marker in cohort.markers.items():
        values = _occasions(cohort, name)
        first = _first_name(cohort)
        values = values[values["occasion"] == first]
        for group in others:
            sides = {"reference": _of(values, reference), "group": _of(values, group)}
            row: dict[str, object] = {
                "marker": name, "label": marker.label, "unit": marker.unit, "phase": first,
                "reference": reference, "group": group,
            }  # fmt: skip
            for side, chosen in sides.items():
                row |= {f"{key}_{side}": value for key, value in _summary(chosen).items()}
            test = _mann_whitney(sides["group"], sides["reference"], group, reference)
            rows.append(row | test._asdict())
    columns = ["marker", "label", "unit", "phase", "reference", "group"]
    columns += [
        f"{key}_{side}"
        for side in ("reference", "group")
        for key in ("n", "median", "q1", "q3", "censored")
    ]
    return pd.DataFrame(rows, columns=[*columns, *_Test._fields])


@checked
def within_group_changes(cohort: Cohort) -> pd.DataFrame:
    """Compare each later phase with the first within each group, marker by marker.

    The first value of each patient in a phase counts (without phases: the first and the last of
    all), and only patients with both. The test is Wilcoxon's signed ranks, two-sided, on the values
    in the marker's unit, as scipy does it by default: patients without a change are left out of it.
    A value beyond a detection limit stands at the limit.

    Parameters
    ----------
    cohort : Cohort

    Returns
    -------
    DataFrame
        A row a marker, group and later phase: marker, label, unit, group, phase_from, phase_to,
        n_pairs, n_censored (values beyond a detection limit), median_from, median_to,
        median_change, statistic, p_value, reason ("" or why there is no test).

    References
    ----------
    Wilcoxon F. Individual comparisons by ranking methods. Biometrics Bulletin 1945;1:80-83.
    """
    first = _first_name(cohort)
    later = [phase.name for phase in cohort.schema.phases[1:]]
    if not cohort.schema.phases:
        later = ["last"]
    rows = []
    for name, marker in cohort.markers.items():
        values = _occasions(cohort, name)
        for group in cohort.groups:
            chosen = _of(values, group)
            wide = chosen.pivot(index="patient", columns="occasion", values=["value", "censored"])
            wide = wide.reindex(
                columns=pd.MultiIndex.from_product([["value", "censored"], [first, *later]])
            )
            for phase in later:
                both = wide.loc[wide["value"][[first, phase]].notna().all(axis=1)]
                before = both["value"][first].to_numpy(dtype=float)
                after = both["value"][phase].to_numpy(dtype=float)
                rows.append(
                    {
                        "marker": name, "label": marker.label, "unit": marker.unit,
                        "group": group, "phase_from": first, "phase_to": phase,
                        "n_pairs": len(both),
                        "n_censored": int(both["censored"][[first, phase]].to_numpy().sum()),
                        "median_from": _quantile(before, 0.5),
                        "median_to": _quantile(after, 0.5),
                        "median_change": _quantile(after - before, 0.5),
                        **_wilcoxon(after - before, group, first, phase)._asdict(),
                    }
                )  # fmt: skip
    columns = [
        "marker", "label", "unit", "group", "phase_from", "phase_to", "n_pairs", "n_censored",
        "median_from", "median_to", "median_change",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[*columns, *_Test._fields])


@checked
def mortality_table(
    cohort: Cohort,
    *,
    interval: Interval = "newcombe",
    level: float = 0.95,
) -> pd.DataFrame:
    """Count the events by the horizon in each group and compare each with the reference.

    Crude proportions: who is censored or has a competing event (discharge alive, say) before the
    horizon counts as having no event, and the reason says how many were censored.

    Parameters
    ----------
    cohort : Cohort
    interval : {"newcombe", "miettinen-nurminen"}
        Interval of the difference of the risks.
    level : float
        Of all intervals.

    Returns
    -------
    DataFrame
        A row a group, the reference first: group, n, deaths (events of interest), risk, percent,
        conf_low, conf_high (Wilson, of the risk), difference (risk minus the reference's),
        difference_low, difference_high, p_value (Fisher's exact test, two-sided, against
        the reference), reason ("" or what to know about the row). NaN where not defined.

    Raises
    ------
    LongsurvError
        If the interval or level is not one there is.

    References
    ----------
    Newcombe RG. Interval estimation for the difference between independent proportions. Stat Med
    1998;17:873-890. Miettinen O, Nurminen M. Comparative analysis of two rates. Stat Med
    1985;4:213-226. Wilson EB. Probable inference. J Am Stat Assoc 1927;22:209-212.
    """
    if not 0 < level < 1:
        raise LongsurvError(f"level must be between 0 and 1, not {level}")
    follow_up = cohort.survival_data()
    counts: list[tuple[int, int]] = []
    rows = []
    for group in cohort.groups:
        chosen = follow_up[follow_up[cohort.schema.treatment] == group]
        counts.append((int(chosen["event"].sum()), len(chosen)))
        row = _risk(*counts[-1], level)
        if len(counts) > 1:
            row |= _comparison(counts[-1], counts[0], interval, level)
        rows.append({"group": group, **row, "reason": _caveat(chosen, cohort)})
    columns = [
        "group", "n", "deaths", "risk", "percent", "conf_low", "conf_high",
        "difference", "difference_low", "difference_high", "p_value", "reason",
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


@checked
def miettinen_nurminen(
    events: int, n: int, reference_events: int, reference_n: int, *, level: float = 0.95
) -> tuple[float, float]:
    """Interval of the difference of two risks by inverting the score test.

    Written out here because statsmodels' search for the limits fails for counts as small as 1 of
    19 against 4 of 22.

    Parameters
    ----------
    events, n, reference_events, reference_n : int
        Counts and sizes of a group and of the reference, both with someone in them.
    level : float

    Returns
    -------
    (float, float)
        Limits of the group's risk minus the reference's.

    References
    ----------
    Miettinen O, Nurminen M. Comparative analysis of two rates. Stat Med 1985;4:213-226.
    """
    Counts(events, n, reference_events, reference_n)  # refuses what is no table of counts
    total, total_events = n + reference_n, events + reference_events
    observed = events / n - reference_events / reference_n
    z_squared = float(stats.chi2.ppf(level, 1))

    def variance(difference: float) -> float:
        """Variance at the most likely risks with this difference: the root of a cubic."""
        c2 = (n + 2 * reference_n) * difference - total - total_events
        c1 = (reference_n * difference - total - 2 * reference_events) * difference + total_events
        c0 = reference_events * difference * (1 - difference)
        shift = c2 / (3 * total)
        q = shift**3 - c1 * c2 / (6 * total**2) + c0 / (2 * total)
        p = np.copysign(np.sqrt(max(shift**2 - c1 / (3 * total), 0.0)), q)
        cosine = np.clip(q / p**3, -1, 1) if p else 1.0
        base = np.clip(2 * p * np.cos((np.pi + np.arccos(cosine)) / 3) - shift, 0, 1)
        risk = np.clip(base + difference, 0, 1)
        parts = risk * (1 - risk) / n + base * (1 - base) / reference_n
        return float(parts * total / (total - 1))

    def excess(difference: float) -> float:
        return (observed - difference) ** 2 - z_squared * variance(difference)

    def limit(end: float) -> float:
        # Just off the estimate, where the variance can be zero (no events at all).
        start = observed + np.sign(end - observed) * 1e-9
        return end if excess(end) <= 0 else float(optimize.brentq(excess, start, end))

    low = -1.0 if observed == -1 else limit(-1.0)
    high = 1.0 if observed == 1 else limit(1.0)
    return low, high


def _first_name(cohort: Cohort) -> str:
    return cohort.schema.phases[0].name if cohort.schema.phases else "first"


def _occasions(cohort: Cohort, name: str) -> pd.DataFrame:
    """One value a patient and occasion (a phase; without phases the first and the last).

    Returns
    -------
    DataFrame
        patient, group, occasion, value, censored (True beyond a detection limit).
    """
    schema = cohort.schema
    data = cohort.marker_data(name).sort_values(schema.time, kind="stable")
    long = pd.DataFrame(
        {
            "patient": data[schema.patient],
            "group": data[schema.treatment],
            "value": data["value"],
            "censored": data["censored"] != "none",
        }
    )
    if schema.phases:
        long = long.assign(occasion=data["phase"].astype(object)).dropna(subset="occasion")
        return long.drop_duplicates(["patient", "occasion"])
    again = long["patient"].duplicated()
    last = long[again].drop_duplicates("patient", keep="last")
    return pd.concat([long[~again].assign(occasion="first"), last.assign(occasion="last")])


def _of(values: pd.DataFrame, group: Hashable) -> pd.DataFrame:
    return values[values["group"] == group]


def _summary(values: pd.DataFrame) -> dict[str, float]:
    numbers = values["value"].to_numpy(dtype=float)
    return {
        "n": len(numbers),
        "median": _quantile(numbers, 0.5),
        "q1": _quantile(numbers, 0.25),
        "q3": _quantile(numbers, 0.75),
        "censored": int(values["censored"].sum()),
    }


def _quantile(values: np.ndarray, p: float) -> float:
    return float(np.quantile(values, p)) if len(values) else np.nan


def _mann_whitney(
    values: pd.DataFrame, reference_values: pd.DataFrame, group: Hashable, reference: Hashable
) -> _Test:
    x = values["value"].to_numpy(dtype=float)
    y = reference_values["value"].to_numpy(dtype=float)
    empty = [str(who) for who, found in ((reference, y), (group, x)) if not len(found)]
    if empty:
        return _Test(reason=f"no values in {' and '.join(empty)}")
    if np.ptp(np.concatenate([x, y])) == 0:
        return _Test(reason="all values are equal")
    found = stats.mannwhitneyu(x, y, alternative="two-sided")
    return _Test(float(found.statistic), float(found.pvalue))


def _wilcoxon(change: np.ndarray, group: Hashable, first: str, later: str) -> _Test:
    if not len(change):
        return _Test(reason=f"no patient of {group} has values at both {first} and {later}")
    # Differences of decimals such as 1.3 - 1.2 and 0.4 - 0.3 are ties, but not to the last bit.
    magnitude = np.abs(change).max()
    digits = 0 if magnitude == 0 else 9 - int(np.floor(np.log10(magnitude)))
    change = np.round(change, digits)
    if not change.any():
        return _Test(reason=f"no patient of {group} changed")
    found = stats.wilcoxon(change, alternative="two-sided")
    return _Test(float(found.statistic), float(found.pvalue))


def _risk(deaths: int, n: int, level: float) -> dict[str, float]:
    from statsmodels.stats.proportion import proportion_confint

    if n == 0:
        return {"n": 0, "deaths": 0}
    low, high = proportion_confint(deaths, n, alpha=1 - level, method="wilson")
    risk = deaths / n
    return {
        "n": n, "deaths": deaths, "risk": risk, "percent": 100 * risk,
        "conf_low": float(low), "conf_high": float(high),
    }  # fmt: skip


def _comparison(
    group: tuple[int, int], reference: tuple[int, int], interval: str, level: float
) -> dict[str, float]:
    from statsmodels.stats.proportion import confint_proportions_2indep

    if group[1] == 0 or reference[1] == 0:
        return {}
    if interval == "newcombe":
        low, high = confint_proportions_2indep(
            *group, *reference, method="newcomb", compare="diff", alpha=1 - level
        )
    else:
        low, high = miettinen_nurminen(*group, *reference, level=level)
    table = [[deaths, n - deaths] for deaths, n in (group, reference)]
    return {
        "difference": group[0] / group[1] - reference[0] / reference[1],
        "difference_low": float(low),
        "difference_high": float(high),
        "p_value": float(stats.fisher_exact(table).pvalue),
    }


def _caveat(chosen: pd.DataFrame, cohort: Cohort) -> str:
    """What a reader of a group's proportion has to know."""
    horizon = cohort.schema.horizon
    if not len(chosen):
        return "no patients"
    if horizon is None:
        return "no horizon: events over all of follow-up, whose length differs between patients"
    early = int(((chosen["status"] == 0) & (chosen["exit"] < horizon)).sum())
    if early:
        return f"{early} censored before {horizon:g} {cohort.schema.time_unit}, counted as no event"
    return ""
