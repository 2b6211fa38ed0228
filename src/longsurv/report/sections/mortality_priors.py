"""The treatment's effect under several priors: before the data, and after."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.estimands.densities import ratio_densities
from longsurv.figures import prior_grid
from longsurv.records import Record
from longsurv.report import sentences_adjusted, sentences_mortality
from longsurv.report.sections.common import Picture
from longsurv.report.sections.mortality_part import Part, comparison, prior_text
from longsurv.report.sentences_mortality import Compared
from longsurv.study.deaths import named_priors
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.words import capital

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.priors import Prior
    from longsurv.study import StudyResults

REDUCTIONS = (0.01, 0.05)
PERCENTILES = (2.5, 25.0, 50.0, 75.0, 97.5)


def priors_part(results: StudyResults) -> Part | None:
    """Posteriors under every named prior; None if that stage did not run or failed."""
    part = results.parts.get("priors")
    if part is None:
        return None
    table, asked, known = part["table"], comparison(results, part), named_priors(results.study)
    below = dict(zip(table["prior"], 1.0 - table["prob_positive"], strict=True))
    widths = np.log(table["prior_hr_high"]) - np.log(table["prior_hr_low"])
    flattest = str(table["prior"].iloc[int(np.argmax(widths))])
    events = part["counts"][0] + part["counts"][2]
    shares = dict(zip(table["prior"], table["prior_share"], strict=True))
    risk = float(part["baseline_risk"])
    return Part(
        "How much is the prior's",
        (
            sentences_mortality.prior_range(below, flattest, asked),
            sentences_mortality.prior_shares(shares, events),
            _predictive(known, table["prior"], risk, asked),
            sentences_adjusted.no_risks(part["no_risks"], asked),
            _picture(table, part["draws"], known, asked),
            _after(table, asked),
        ),
        (_before(table, risk, known, asked),),
    )


def _predictive(
    known: Mapping[str, Prior], names: Iterable[str], risk: float, asked: Compared
) -> str:
    """What the priors say of the treated risk, or why they say nothing of it."""
    if math.isnan(risk):
        return sentences_adjusted.no_baseline_risk(asked)
    spans = {
        name: (treated_risk(known[name], risk, 0.025), treated_risk(known[name], risk, 0.975))
        for name in names
    }
    return sentences_adjusted.prior_predictive(spans, risk, asked)


def _picture(
    table: pd.DataFrame, draws: pd.DataFrame, priors: Mapping[str, Prior], asked: Compared
) -> Picture:
    curves = ratio_densities({str(name): draws[name].to_numpy() for name in draws}, priors)
    rows = table.set_index("prior")
    under = {
        name: f"P(HR < 1) = {numbers.probability(1.0 - rows.loc[name, 'prob_positive'])}"
        for name in rows.index
    }

    def draw(width: float) -> Axes:
        return prior_grid(curves, subtitles=under, width=width)

    said = "; ".join(
        f"{name} prior {_hr(rows.loc[name], 'prior_hr')} before, {_hr(rows.loc[name], 'hr')} after"
        for name in rows.index
    )
    caption = (
        f"Posterior density of the hazard ratio of {asked.group} against {asked.reference}"
        " under every named prior, and that prior; logarithmic axis."
    )
    label = f"Hazard ratio with 95 % interval before and after the data: {said}."
    return Picture("prior-grid", draw, label, caption)


def _after(table: pd.DataFrame, asked: Compared) -> DisplayTable:
    # Where the hazards are proportional a lower hazard is a lower risk, whatever the draw.
    alike = bool((table["prob_benefit"] + table["prob_positive"] - 1.0).abs().lt(0.005).all())
    lower = Column("P(risk lower)", lambda row: numbers.probability(row["prob_benefit"]))
    risks = bool(table["risk_difference"].notna().any())
    by_size = [
        Column(f"P(risk lower {_more_than(by)})", partial(_reduced, by)) for by in (1, 5) if risks
    ]
    columns = [
        Column("Prior", _name, numeric=False),
        Column("Hazard ratio (95 % CrI)", lambda row: _hr(row, "hr")),
        *([Column("Risk difference, points (95 % CrI)", _risk_difference)] if risks else []),
        Column("P(HR < 1)", lambda row: numbers.probability(1.0 - row["prob_positive"])),
        *([lower] if risks and not alike else []),
        *by_size,
        Column("Prior's share", lambda row: f"{100 * row['prior_share']:.1f} %"),
        Column("Prior predictive p", lambda row: numbers.p_value(row["conflict_p"])),
        Column("Prior against data", "diagnosis", numeric=False),
    ]  # fmt: skip
    of_risks = (
        f" Risk: {asked.risk}, standardised over the cohort"
        f"{', as probably lower as the hazard' * alike}; by > 1 %: by more than one percentage"
        " point."
    ) * risks
    note = (
        f"Of {asked.group} against {asked.reference}.{of_risks} Prior's share: posterior variance"
        " of the log hazard ratio over the prior's, mostly prior from half on. Prior predictive p:"
        " for someone who believed the prior, the probability of events as unevenly spread or more,"
        " twice the smaller tail;"
        " below 0.05 prior and data are called in conflict."
    )
    return display(table, "After the data, under each prior", columns, note, name="priors_after")


def _before(
    table: pd.DataFrame, risk: float, priors: Mapping[str, Prior], asked: Compared
) -> DisplayTable:
    known = not math.isnan(risk)

    def treated(percentile: float, row: Record) -> str:
        return f"{100 * treated_risk(priors[row['prior']], risk, percentile / 100):.1f}"

    def reduced(by: float, row: Record) -> str:
        return numbers.probability(probability_reduction(priors[row["prior"]], risk, by))

    columns = [
        Column("Prior", _name, numeric=False),
        Column("Log hazard ratio", lambda row: prior_text(row["density"]), numeric=False),
        Column("Hazard ratio (95 %)", lambda row: _hr(row, "prior_hr")),
        *(
            Column(
                f"Risk in {asked.group}, %: percentile {percentile:g}"
                if not k
                else f"{percentile:g}",
                partial(treated, percentile),
            )
            for k, percentile in enumerate(PERCENTILES)
            if known
        ),
        Column("P(HR < 1)", lambda row: numbers.probability(1.0 - row["prior_prob_positive"])),
        *(
            Column(f"P(risk lower {_more_than(round(100 * d))})", partial(reduced, d))
            for d in REDUCTIONS
            if known
        ),
    ]
    note = (
        f"What each prior says of the {asked.risk} if it is {100 * risk:.1f} % in"
        f" {asked.reference}: the Kaplan-Meier estimate there (of all patients, where that is 0,"
        " 1 or not known). Percentiles of the prior predictive distribution, exact for proportional"
        " hazards."
    ) * known
    caption = "Before the data: what each prior says"
    return display(table, caption, columns, note, name="priors_before")


def treated_risk(prior: Prior, risk: float, p: float) -> float:
    """The p-quantile of the treated risk that a prior of the log hazard ratio implies.

    With proportional hazards the treated risk is 1 - (1 - risk)^HR, which rises with HR: its
    quantiles are those of the prior.

    Parameters
    ----------
    prior : Normal, StudentT or Mixture
        Of the log hazard ratio.
    risk : float
        Of the reference group.
    p : float
        Between 0 and 1.
    """
    from longsurv.priors import quantiles

    ratio = np.exp(float(quantiles(prior, np.array([p]))[0]))
    return float(-np.expm1(ratio * math.log1p(-risk)))


def probability_reduction(prior: Prior, risk: float, by: float) -> float:
    """The prior's probability that the treated risk is lower by more than `by`.

    With proportional hazards the treated risk is 1 - (1 - risk)^HR.

    Parameters
    ----------
    prior : Normal, StudentT or Mixture
        Of the log hazard ratio.
    risk : float
        Of the reference group.
    by : float
        As a proportion.
    """
    from longsurv.priors import distribution

    if by >= risk:
        return 0.0
    log_ratio = math.log(math.log1p(by - risk) / math.log1p(-risk))
    return float(distribution(prior, np.array([log_ratio]))[0])


def _more_than(percent: int) -> str:
    return f"by > {percent} %".replace(" %", "\N{NO-BREAK SPACE}%").replace(
        "> ", ">\N{NO-BREAK SPACE}"
    )


def _hr(row: Record, name: str) -> str:
    low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
    ends = (
        "<0.01" if low < 0.01 else numbers.number(low),
        ">100" if high > 100 else numbers.number(high),
    )
    return f"{numbers.number(row[name])} ({ends[0]} to {ends[1]})"


def _reduced(by: int, row: Record) -> str:
    return numbers.probability(float(row[f"prob_benefit_{by}"]))


def _risk_difference(row: Record) -> str:
    names = (f"risk_difference{end}" for end in ("", "_low", "_high"))
    values = [100 * float(row[name]) for name in names]
    return numbers.MISSING if math.isnan(values[0]) else numbers.difference(*values)


def _name(row: Record) -> str:
    return capital(str(row["prior"]))
