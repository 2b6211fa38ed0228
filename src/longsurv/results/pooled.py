"""One answer from the analyses of several completed data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.results.estimate import Estimate
from longsurv.results.posterior import Posterior
from longsurv.results.reference import t_p_value, t_quantile
from longsurv.tables.notebook import Readable
from longsurv.words import listed

NEEDED = ("term", "estimate", "std_error")
RUBIN = "Rubin's rules, df of Barnard and Rubin"
MIXED = "draws of all posteriors together"


@dataclass(frozen=True, eq=False)
class Pooled(Readable):
    """The answer of several completed data sets together.

    Attributes
    ----------
    table : DataFrame
        A row a term: term, estimate, std_error, statistic, df, p_value, conf_low, conf_high; how
        much was missing: within and between (variances within the completed data sets and between
        their estimates), increase (relative increase in variance due to what is missing), fmi
        (fraction of missing information), mcse (Monte Carlo standard error of the estimate, as
        there are only so many imputations). Of posteriors the draws are put together: estimate,
        std_error, conf_low, conf_high, prob_positive, within, between, increase, fmi, mcse.
    imputations : int
    method : str
        How they were put together.
    level : float
    """

    read_as: ClassVar[tuple[str, ...]] = ("words", "table")
    no_plot: ClassVar[str] = "each completed fit has plot(); what is pooled is its table, summary()"

    table: pd.DataFrame = field(repr=False)
    imputations: int
    method: str
    level: float

    @property
    def words(self) -> str:
        """What was put together, and how much is missing."""
        worst = (
            self.table.loc[self.table["fmi"].idxmax()] if self.table["fmi"].notna().any() else None
        )
        most = (
            ""
            if worst is None
            else f" At most {100 * worst['fmi']:.0f} % of the information about a term is missing"
            f" ({worst['term']})."
        )
        return f"{self.imputations} completed data sets, {self.method}.{most}"

    def tidy(self) -> pd.DataFrame:
        """The table in the grammar of every answer."""
        shown = ["term", "estimate", "std_error", "statistic", "df", "p_value", "conf_low",
                 "conf_high", "prob_positive"]  # fmt: skip
        return self.table[[name for name in shown if name in self.table]]

    def __str__(self) -> str:
        return f"{self.words}\n{self.table.to_string(index=False, float_format='{:.4g}'.format)}"


@checked
def pool(answers: Sequence[Estimate | Posterior | pd.DataFrame], *, level: float = 0.95) -> Pooled:
    """Put the answers of the same analysis of several completed data sets together.

    Estimates by Rubin's rules: the mean, and as variance the mean variance within plus
    (1 + 1 / m) times the variance between, with the degrees of freedom of Barnard and Rubin, which
    never exceed those of complete data. Draws of posteriors are those of one posterior, with what
    is missing integrated out.

    Parameters
    ----------
    answers : sequence of Estimate, Posterior or DataFrame
        Of one model, a data set each; or tables with "term", "estimate", "std_error" and, for
        complete-data degrees of freedom, "df", on a scale on which estimates are about normal (log
        hazard ratios, not hazard ratios). Without a column "df" they are infinite; where one is
        NaN, the pooled estimate has no interval and no p-value.
    level : float
        Of the intervals.

    Returns
    -------
    Pooled

    Raises
    ------
    LongsurvError
        For fewer than two answers, answers of several kinds, or of different terms.

    References
    ----------
    Rubin DB. Multiple Imputation for Nonresponse in Surveys. 1987. Barnard J, Rubin DB.
    Small-sample degrees of freedom with multiple imputation. Biometrika 1999;86:948-955. Zhou X,
    Reiter JP. A note on Bayesian inference after multiple imputation. Am Stat 2010;64:159-163.
    """
    answers = list(answers)
    if len(answers) < 2:
        raise LongsurvError(f"pooling takes two answers or more, not {len(answers)}")
    bayes = [isinstance(answer, Posterior) for answer in answers]
    if any(bayes) and not all(bayes):
        raise LongsurvError("answers to pool are all estimates or all posteriors")
    posteriors = [answer for answer in answers if isinstance(answer, Posterior)]
    tables = [_table(answer) for answer in answers]
    terms = list(tables[0]["term"])
    for k, table in enumerate(tables[1:], 2):
        if list(table["term"]) != terms:
            other = sorted(set(terms) ^ set(table["term"]), key=str)
            raise LongsurvError(
                f"answer {k} has other terms than the first"
                f"{': ' + ', '.join(map(str, other[:5])) if other else ', in another order'}; pool"
                " answers of one model (a level that is missing in one data set?)"
            )
    rows = [
        _mixed(term, posteriors, level) if posteriors else _rubin(term, *_columns(tables, k), level)
        for k, term in enumerate(terms)
    ]
    method = MIXED if posteriors else RUBIN
    return Pooled(pd.DataFrame(rows), len(answers), method, level)


def _table(answer: Estimate | Posterior | pd.DataFrame) -> pd.DataFrame:
    table = answer if isinstance(answer, pd.DataFrame) else answer.tidy()
    absent = [name for name in NEEDED if name not in table]
    if absent:
        raise LongsurvError(
            f"a table to pool has the columns {', '.join(NEEDED)}; missing: {', '.join(absent)}"
        )
    numbers = {
        name: pd.to_numeric(table[name], errors="coerce")
        for name in (*NEEDED[1:], "df")
        if name in table
    }
    text = [name for name, values in numbers.items() if (values.isna() & table[name].notna()).any()]
    wrong = [f"{name} is of numbers" for name in text]
    if (numbers["std_error"] < 0.0).any():
        wrong.append("std_error is not below 0")
    if "df" in numbers and (numbers["df"] <= 0.0).any():
        wrong.append("df is above 0")
    if wrong:
        raise LongsurvError(f"in a table to pool {listed(wrong)}, or missing")
    return table.assign(**numbers)


def _columns(tables: Sequence[pd.DataFrame], k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimates, standard errors and complete-data df of one term."""
    estimate, error = (
        np.array([float(table[name].iloc[k]) for table in tables]) for name in NEEDED[1:]
    )
    df = [float(t["df"].iloc[k]) if "df" in t else np.inf for t in tables]
    return estimate, error, np.array(df)


def _rubin(
    term: str, estimate: np.ndarray, error: np.ndarray, df: np.ndarray, level: float
) -> dict[str, object]:
    """One term by Rubin's rules; NaN where any of the answers is (not determined by its data)."""
    m = len(estimate)
    if not np.isfinite(estimate).all():  # at an end: not determined either
        estimate = np.full(m, np.nan)
    centre, within = float(estimate.mean()), float((error**2).mean())
    between = float(estimate.var(ddof=1))
    total = within + (1.0 + 1.0 / m) * between
    if not (np.isfinite(total) and total > 0.0):
        nothing = dict.fromkeys(
            ("estimate", "std_error", "statistic", "df", "p_value", "conf_low", "conf_high",
             "within", "between", "increase", "fmi", "mcse"), np.nan,
        )  # fmt: skip
        return {"term": term, **nothing}
    share = (1.0 + 1.0 / m) * between / total
    complete = float(np.mean(df))  # NaN where it is not known of one, which leaves no interval
    degrees = _barnard_rubin(m, share, complete)
    increase = (1.0 + 1.0 / m) * between / within if within > 0.0 else np.inf
    fmi = (
        1.0
        if np.isinf(increase)
        else (increase + (0.0 if np.isinf(degrees) else 2.0 / (degrees + 3.0))) / (increase + 1.0)
    )
    spread = float(np.sqrt(total))
    reach = t_quantile(level, degrees) * spread
    return {
        "term": term, "estimate": centre, "std_error": spread, "statistic": centre / spread,
        "df": degrees, "p_value": t_p_value(centre / spread, degrees),
        "conf_low": centre - reach, "conf_high": centre + reach, "within": within,
        "between": between, "increase": increase, "fmi": fmi,
        "mcse": float(np.sqrt(between / m)),
    }  # fmt: skip


def _barnard_rubin(m: int, share: float, complete: float) -> float:
    """Degrees of freedom where a share of the variance is due to what is missing."""
    observed = (
        np.inf
        if np.isinf(complete)
        else (complete + 1.0) / (complete + 3.0) * complete * (1.0 - share)
    )
    if share <= 0.0:
        return float(observed)
    old = (m - 1.0) / share**2
    return float(old if np.isinf(observed) else old * observed / (old + observed))


def _mixed(term: str, posteriors: Sequence[Posterior], level: float) -> dict[str, object]:
    """One parameter from the draws of all posteriors, each with the same weight."""
    draws = [np.ravel(post.draw(term)) for post in posteriors]
    m, n = len(draws), min(len(one) for one in draws)
    flat = np.concatenate([one[:: len(one) // n][:n] for one in draws])
    within = float(np.mean([one.var(ddof=1) for one in draws]))
    between = float(np.var([one.mean() for one in draws], ddof=1))
    tail = 0.5 - level / 2.0
    low, high = np.quantile(flat, [tail, 1.0 - tail])
    increase = between / within if within > 0.0 else np.nan
    return {
        "term": term, "estimate": float(flat.mean()), "std_error": float(flat.std(ddof=1)),
        "conf_low": float(low), "conf_high": float(high),
        "prob_positive": float((flat > 0.0).mean()), "within": within, "between": between,
        "increase": increase, "fmi": increase / (1.0 + increase),
        "mcse": float(np.sqrt(between / m)),
    }  # fmt: skip
