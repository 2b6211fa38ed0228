"""How intervals behave where values of 41 patients lie below a detection limit.

    .venv/bin/python docs/detection_limits_coverage.py          # 6 x 250 cohorts, 15 minutes
    .venv/bin/python docs/detection_limits_coverage.py 20 x.csv # 6 x 20 cohorts, to another file

19 treated and 22 control patients have a logarithm measured on day 1 and once on days 4 to 7 (two
visits), or on each of five days (five visits). Patients differ by a normal intercept, values by
normal noise. The limit is where 10, 30 or 60 % of all values are expected below it. Asked is the
difference in change, of the last visit from the first, or of the slope. Each cohort has a seed of
its own, so the results do not depend on how many processes share the work.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats

from longsurv.errors import EstimationError
from longsurv.models import GLMM, LMM
from longsurv.results.generalised.estimate import GeneralisedEstimate
from longsurv.results.generalised.profile import fall
from longsurv.results.mixed.estimate import MixedEstimate

HERE = Path(__file__).parent
TREATED, CONTROL = 19, 22
BELOW = (0.1, 0.3, 0.6)
VISITS = (2, 5)
PATIENT, NOISE = 0.8, 0.6
START, CHANGE, SICKER, EFFECT = 0.0, -1.0, 0.4, -0.5
"""Of controls at the first visit, their change to the last, how much higher the treated start, and
how much further they change."""
FORMULA = "y ~ t * treated + (1 | patient)"
TERM = "t:treated"
SEED, COHORTS = 1999, 250
WITH_LIMITS = 40
"""Cohorts of a scenario in which the limits of the profiles are found; in all of them it is known
whether they hold the truth."""
NORMAL = float(stats.norm.ppf(0.975))


class Answer(NamedTuple):
    """An estimate, its 95 % limits and whether they hold the truth; what a method lacks is NaN."""

    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    covers: float = math.nan


def limit(below: float, visits: int) -> float:
    """Below which this share of all values is expected."""
    t = np.tile(np.linspace(0.0, 1.0, visits), 2)
    treated = np.repeat([0.0, 1.0], visits)
    weight = np.repeat([CONTROL, TREATED], visits) / (visits * (CONTROL + TREATED))
    mean = _mean(t, treated)
    spread = math.hypot(PATIENT, NOISE)

    def excess(at: float) -> float:
        return float(weight @ stats.norm.cdf((at - mean) / spread)) - below

    return float(optimize.brentq(excess, -20.0, 20.0))


def _mean(t: np.ndarray, treated: np.ndarray) -> np.ndarray:
    return START + CHANGE * t + SICKER * treated + EFFECT * t * treated


def cohort(rng: np.random.Generator, below: float, visits: int) -> pd.DataFrame:
    """One cohort: a row a value, at its limit where it is below."""
    patient = np.repeat(np.arange(TREATED + CONTROL), visits)
    treated = (patient < TREATED).astype(float)
    t = np.tile(np.linspace(0.0, 1.0, visits), TREATED + CONTROL)
    y = _mean(t, treated) + PATIENT * rng.standard_normal(TREATED + CONTROL)[patient]
    y = y + NOISE * rng.standard_normal(len(y))
    at = limit(below, visits)
    return pd.DataFrame(
        {
            "patient": patient, "treated": treated, "t": t, "truth": y, "y": np.maximum(y, at),
            "censored": np.where(y < at, "left", "none"),
        }
    )  # fmt: skip


def answers(data: pd.DataFrame, limits: bool = True) -> dict[str, Answer]:
    """Every method's answer for one cohort; a profile's limits, which take time, where asked."""
    known = LMM(FORMULA.replace("y ~", "truth ~"), data).fit()
    put = LMM(FORMULA, data)
    restricted = put.fit()
    found = dict(zip(METHODS, map(_of, (known, restricted)), strict=False))
    try:
        fit = GLMM(FORMULA, data, family="censored", censored="censored").fit()
    except EstimationError:
        return found | dict.fromkeys(METHODS[2:], Answer())
    at = fit.names.index(TERM)
    b, se = float(fit.coefficients[at]), math.sqrt(fit.reference.cov[at, at])
    df, ratio, wider = small_sample(put, restricted, fit, at)
    t = float(stats.t.ppf(0.975, df))
    found["censored, Wald, normal"] = _around(b, NORMAL * se)
    found["censored, Wald, t"] = _around(b, t * se)
    found["censored, Wald, t, error by ratio"] = _around(b, t * ratio * se)
    found["censored, Wald, t, wider error"] = _around(b, t * wider)
    fallen = fall(fit, TERM, EFFECT)
    for name, cut in (("censored, profile", NORMAL**2), ("censored, profile, t", t**2)):
        low = high = math.nan
        if limits:
            row = fit.profile(TERM, float(stats.chi2.cdf(cut, 1))).iloc[0]
            low, high = float(row["conf_low"]), float(row["conf_high"])
        found[name] = Answer(b, low, high, float(fallen <= cut))
    return found


def small_sample(
    put: LMM, restricted: MixedEstimate, fit: GeneralisedEstimate, at: int
) -> tuple[float, float, float]:
    """Of the analogous mixed model, in which limits stand for values: Kenward-Roger's degrees of
    freedom; by how much its standard error is above that of its likelihood; and a standard error of
    the censored model to which as much is added, more where more is lost."""
    row = np.eye(len(fit.names))[at]
    plain, V = put.fit("ML").reference.cov, fit.reference.cov
    adjusted = restricted.reference.cov
    part = np.linalg.solve(plain, V @ row)
    return (
        restricted.reference.df(row),
        math.sqrt(adjusted[at, at] / plain[at, at]),
        math.sqrt(row @ V @ row + part @ (adjusted - plain) @ part),
    )


def _of(fit: MixedEstimate) -> Answer:
    row = fit.tidy().set_index("term").loc[TERM]
    b, low, high = (float(row[c]) for c in ("estimate", "conf_low", "conf_high"))
    return Answer(b, low, high, float(low <= EFFECT <= high))


def _around(b: float, half: float) -> Answer:
    return Answer(b, b - half, b + half, float(abs(b - EFFECT) <= half))


METHODS = (
    "all values known, REML", "limit in place of the value, REML", "censored, Wald, normal",
    "censored, Wald, t", "censored, Wald, t, error by ratio", "censored, Wald, t, wider error",
    "censored, profile", "censored, profile, t",
)  # fmt: skip


def one(visits: int, below: float, k: int) -> list[dict[str, object]]:
    """The answers for cohort k, a row a method."""
    rng = np.random.default_rng([SEED, visits, round(100 * below), k])
    data = cohort(rng, below, visits)
    about = {"visits": visits, "below": below, "cohort": k}
    return [
        {**about, "method": m, **a._asdict()}
        for m, a in answers(data, limits=k < WITH_LIMITS).items()
    ]


def simulate(cohorts: int, *, processes: int = 1) -> pd.DataFrame:
    """All answers: a row a scenario, cohort and method."""
    from joblib import Parallel, delayed

    tasks = [(v, b, k) for v in VISITS for b in BELOW for k in range(cohorts)]
    parts = Parallel(n_jobs=processes)(delayed(one)(*task) for task in tasks)
    return pd.DataFrame([row for part in parts for row in part])


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """The behaviour of each method in each scenario, a row each.

    Returns
    -------
    DataFrame
        visits, below, method, cohorts; no_interval (share without one), coverage (of the true
        difference in change, among the intervals that there are), bias, width (median).
    """
    out = []
    for (visits, below, method), part in rows.groupby(["visits", "below", "method"], sort=False):
        known = part.dropna(subset="covers")
        out.append(
            {
                "visits": visits, "below": below, "method": method, "cohorts": len(part),
                "no_interval": 1.0 - len(known) / len(part),
                "coverage": float(known["covers"].mean()),
                "bias": float(known["estimate"].mean() - EFFECT),
                "width": float((known["high"] - known["low"]).median()),
            }
        )  # fmt: skip
    return pd.DataFrame(out)


def markdown(table: pd.DataFrame) -> Iterator[str]:
    """Yield the lines of the tables of the page, one a number of visits."""
    for visits, part in table.groupby("visits", sort=False):
        shares = list(dict.fromkeys(part["below"]))
        yield from (f"## {'Two' if visits == 2 else 'Five'} visits", "")
        heads = [f"{100 * b:g} % below" for b in shares]
        yield "| method | " + " | ".join(
            [*(f"coverage, {h}" for h in heads), *(f"bias, {h}" for h in heads),
             *(f"width, {h}" for h in heads), "no interval"]
        ) + " |"  # fmt: skip
        yield "|" + "---|" * (3 * len(shares) + 2)
        for method, own in part.groupby("method", sort=False):
            cells = [f"{100 * c:.1f} %" for c in own["coverage"]]
            cells += [f"{b:.3f}" for b in own["bias"]] + [f"{w:.2f}" for w in own["width"]]
            yield f"| {method} | " + " | ".join([*cells, _shares(own["no_interval"])]) + " |"
        yield ""


def _shares(values: pd.Series) -> str:
    return ", ".join(f"{100 * v:.1f}" for v in values) + " %"


BEGIN = "<!-- tables: made by detection_limits_coverage.py -->"
END = "<!-- end of the tables -->"


def write_tables(table: pd.DataFrame, page: Path) -> None:
    """Put the tables where the page keeps them, between two comments."""
    head, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, tail = rest.split(END)
    text = "\n".join([BEGIN, "", *markdown(table), END])
    page.write_text(head + text + tail, encoding="utf-8", newline="\n")


def main(arguments: list[str]) -> None:
    """Run the study and write its table, to docs/ or to the file named."""
    cohorts = int(arguments[0]) if arguments else COHORTS
    target = Path(arguments[1]) if len(arguments) > 1 else HERE / "detection_limits_coverage.csv"
    table = summary(simulate(cohorts)).round(6)
    table.to_csv(target, index=False, lineterminator="\n")
    if target.parent == HERE:
        write_tables(table, HERE / "detection_limits_coverage.md")
    print(table.to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
