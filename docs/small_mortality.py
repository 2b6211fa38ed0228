"""How methods for a hazard ratio behave in cohorts of 41 patients with about five deaths.

    .venv/bin/python docs/small_mortality.py             # 2 x 500 cohorts, 10 to 20 minutes
    .venv/bin/python docs/small_mortality.py 20 out.csv  # 2 x 20 cohorts, to somewhere else

19 treated and 22 control patients are followed from day 0 to day 28, when all who live are
censored: vital status at day 28 is known of everybody, discharged or not. Days of death are
exponential, rounded up to whole days, with the control group's hazard such that five of the 41 are
expected to die. A cohort in which nobody dies is drawn again, since nothing can be said of it; all
others count for every method. Each cohort has a seed of its own, so the results do not depend on
how many processes share the work.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import optimize, stats

from longsurv.errors import EstimationError
from longsurv.estimands.counts import Counts
from longsurv.estimands.exact_hazard import exact_hazard_ratio
from longsurv.estimands.follow_up import two_groups
from longsurv.estimands.log_rank import log_rank, permutation_test
from longsurv.estimands.two_by_two import mid_p
from longsurv.likelihood import cox
from longsurv.models import CoxPH
from longsurv.priors import TREATMENT

HERE = Path(__file__).parent
TREATED, CONTROL = 19, 22
HORIZON = 28
EXPECTED_DEATHS = 5.0
SCENARIOS: Mapping[str, float] = {"no effect": 1.0, "hazard ratio 0.3": 0.3}
PRIORS = ("flat-ish", "weak", "sceptical")
SEED = 2014
WIDEST = 1000.0  # an interval whose limits are further apart than this factor answers nothing


class Answer(NamedTuple):
    """A log hazard ratio, its 95 % limits and a p value; what a method lacks is NaN."""

    estimate: float = math.nan
    low: float = -math.inf
    high: float = math.inf
    p_value: float = math.nan


def control_hazard(ratio: float) -> float:
    """Hazard a day of the control group with which `EXPECTED_DEATHS` are expected."""

    def excess(hazard: float) -> float:
        control = CONTROL * -math.expm1(-hazard * HORIZON)
        return control + TREATED * -math.expm1(-ratio * hazard * HORIZON) - EXPECTED_DEATHS

    return float(optimize.brentq(excess, 1e-6, 1.0))


def cohort(rng: np.random.Generator, ratio: float) -> tuple[pd.DataFrame, int]:
    """One cohort with a death in it, and how many without one were drawn before it."""
    treated = np.repeat([True, False], [TREATED, CONTROL])
    scale = 1.0 / (control_hazard(ratio) * np.where(treated, ratio, 1.0))
    empty = 0
    while True:
        day = np.ceil(rng.exponential(scale))
        if (day <= HORIZON).any():
            break
        empty += 1
    labels = np.where(treated, "treated", "control")
    data = pd.DataFrame(
        {
            "treatment": pd.Categorical(labels, categories=["control", "treated"]),
            "exit": np.minimum(day, HORIZON),
            "event": (day <= HORIZON).astype(int),
        }
    )
    return data, empty


def answers(data: pd.DataFrame, seed: int, draws: int = 500) -> dict[str, Answer]:
    """Every method's answer for one cohort."""
    spec = CoxPH("Surv(exit, event) ~ treatment", data)
    return {
        **_likelihood(spec),
        **_exact(data),
        **_posteriors(spec, seed, draws),
        **{name: Answer(p_value=p) for name, p in _tests(data).items()},
    }


def _likelihood(spec: CoxPH) -> dict[str, Answer]:
    """Wald, likelihood ratio and Firth. Without a maximum the first two have no estimate."""
    firth = spec.fit(penalty="firth")
    found = {"Cox, Firth, profile": _from_tidy(firth.tidy())}
    wald = spec.fit()
    if wald.penalty is None:
        found["Cox, Wald"] = _from_tidy(wald.tidy())
        found["Cox, likelihood ratio"] = _from_tidy(spec.fit(intervals="profile").tidy())
    else:  # separated groups: CoxPH went on to Firth's penalty, which is not what is asked here
        found["Cox, Wald"] = Answer()
        found["Cox, likelihood ratio"] = _one_sided(spec.statistics)
    return found


def _one_sided(data: cox.CoxData) -> Answer:
    """Likelihood ratio where the likelihood rises without end: a limit on one side, and a test."""

    def loglik(b: float) -> float:
        return cox.loglik(data, np.array([b]))

    side = -1.0 if loglik(-30.0) > loglik(30.0) else 1.0
    top = loglik(30.0 * side)
    p = float(stats.chi2.sf(2.0 * (top - loglik(0.0)), 1))
    fall = stats.chi2.ppf(0.95, 1) / 2.0
    limit = optimize.brentq(lambda b: top - loglik(b) - fall, -30.0, 30.0)
    low, high = (-math.inf, limit) if side < 0 else (limit, math.inf)
    return Answer(side * math.inf, low, high, p)


def _from_tidy(table: pd.DataFrame) -> Answer:
    row = table.iloc[0]
    p = float(row["p_value"]) if "p_value" in table else math.nan
    return Answer(float(row["estimate"]), float(row["conf_low"]), float(row["conf_high"]), p)


def _exact(data: pd.DataFrame) -> dict[str, Answer]:
    found = {}
    for row in exact_hazard_ratio(data, "treatment").to_dict("records"):
        with np.errstate(divide="ignore"):
            b, low, high = np.log([row["estimate"], row["conf_low"], row["conf_high"]])
        name = "exact given the risk sets" + (", mid-p" if row["method"] == "mid-p" else "")
        found[name] = Answer(float(b), float(low), float(high), row["p_value"])
    return found


def _posteriors(spec: CoxPH, seed: int, draws: int) -> dict[str, Answer]:
    found = {}
    for name in PRIORS:
        priors = {"treatment": TREATMENT[name]}
        post = spec.sample(draws=draws, tune=250, chains=2, seed=seed, priors=priors)
        found[f"posterior, {name} {TREATMENT[name]}"] = _from_tidy(post.tidy())
    return found


def _tests(data: pd.DataFrame) -> dict[str, float]:
    _, mine, _, reference = two_groups(data, "treatment")
    return {
        "log-rank, asymptotic": float(2 * stats.norm.sf(abs(log_rank(mine, reference).statistic))),
        "log-rank, permutation": permutation_test(mine, reference).p_value,
    }


def with_table_tests(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the tests of the 2 x 2 table of deaths, each table tested once."""
    about = rows.drop_duplicates(["scenario", "cohort"]).drop(columns=["method", *Answer._fields])
    deaths = ["treated_deaths", "control_deaths"]
    tested = {pair: _table_tests(*pair) for pair in set(about[deaths].itertuples(False, None))}
    more = [
        {**row, "method": method, **Answer(p_value=p)._asdict()}
        for row in about.to_dict("records")
        for method, p in tested[tuple(row[c] for c in deaths)].items()
    ]
    return pd.concat([rows, pd.DataFrame(more)], ignore_index=True)


def _table_tests(treated_deaths: int, control_deaths: int) -> dict[str, float]:
    counts = Counts(treated_deaths, TREATED, control_deaths, CONTROL)
    return {
        "2 x 2, Fisher": float(stats.fisher_exact(counts.table).pvalue),
        "2 x 2, Fisher mid-p": mid_p(counts),
        "2 x 2, Boschloo": float(stats.boschloo_exact(np.array(counts.table).T).pvalue),
    }


def one(scenario: int, k: int, draws: int = 500) -> list[dict[str, object]]:
    """The rows of the k-th cohort of a scenario: one a method."""
    name, ratio = list(SCENARIOS.items())[scenario]
    rng = np.random.default_rng([SEED, scenario, k])
    data, empty = cohort(rng, ratio)
    try:
        found = answers(data, seed=k + 1, draws=draws)
    except EstimationError as error:
        raise EstimationError(f"{name}, cohort {k}: {error}") from error
    deaths = data.groupby("treatment", observed=False)["event"].sum()
    about = {
        "scenario": name, "true": math.log(ratio), "cohort": k, "empty": empty,
        "treated_deaths": int(deaths["treated"]), "control_deaths": int(deaths["control"]),
    }  # fmt: skip
    return [{**about, "method": method, **a._asdict()} for method, a in found.items()]


def simulate(cohorts: int, *, draws: int = 500, processes: int = 1) -> pd.DataFrame:
    """All answers: a row a scenario, cohort and method."""
    from joblib import Parallel, delayed

    tasks = [(s, k) for s in range(len(SCENARIOS)) for k in range(cohorts)]
    parts = Parallel(n_jobs=processes)(delayed(one)(s, k, draws) for s, k in tasks)
    return with_table_tests(pd.DataFrame([row for part in parts for row in part]))


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the behaviour of each method under each scenario, a row each.

    Returns
    -------
    DataFrame
        scenario, method, cohorts; no_estimate (share without a finite estimate), no_usable_answer
        (that, or limits that are missing or more than `WIDEST` apart); rejects (share excluding a
        hazard ratio of 1: the type-I error, or the power); coverage (of the true ratio, a limit
        that is missing counting as infinite) and coverage_usable (among usable answers);
        median_hr, median_width (of the interval of the log hazard ratio), wrong_side (share of
        estimates on the wrong side of 1), and among those that exclude 1 sign_error (share on the
        wrong side) and exaggeration (median |log estimate| / |log truth|). Tests have `rejects`.
    """
    rows = rows.sort_values("true", ascending=False, kind="stable")
    return pd.DataFrame(
        [
            {"scenario": scenario, "method": method, **_behaviour(part)}
            for (scenario, method), part in rows.groupby(["scenario", "method"], sort=False)
        ]
    )


def _behaviour(part: pd.DataFrame) -> dict[str, float]:
    b, low, high, p = (
        part[column].to_numpy(dtype=float) for column in ("estimate", "low", "high", "p_value")
    )
    truth, n = float(part["true"].iloc[0]), len(part)
    test_only = bool(np.isinf(low).all() and np.isinf(high).all() and not np.isnan(p).any())
    if test_only:
        return {"cohorts": n, "rejects": float((p < 0.05).mean())}
    finite = np.isfinite(b)
    usable = finite & (high - low <= math.log(WIDEST))
    excludes = (low > 0) | (high < 0)
    covers = (low <= truth) & (truth <= high)
    wrong = b > 0 if truth < 0 else np.zeros(n, dtype=bool)
    some = excludes & ~np.isnan(b)
    effect = truth < 0
    return {
        "cohorts": n,
        "no_estimate": float((~finite).mean()),
        "no_usable_answer": float((~usable).mean()),
        "rejects": float(excludes.mean()),
        "coverage": float(covers.mean()),
        "coverage_usable": float(covers[usable].mean()) if usable.any() else math.nan,
        "median_hr": math.exp(np.nanmedian(b)),
        "median_width": float(np.median(high - low)),
        "wrong_side": float(wrong.mean()) if effect else math.nan,
        "sign_error": float(wrong[some].mean()) if effect and some.any() else math.nan,
        "exaggeration": (
            float(np.median(np.abs(b[some])) / abs(truth)) if effect and some.any() else math.nan
        ),
    }


def markdown(table: pd.DataFrame) -> Iterator[str]:
    """Yield the lines of the tables of `small_mortality.md`, one table a scenario."""
    headings = {
        "method": "method", "no_estimate": "no estimate", "no_usable_answer": "no usable answer",
        "rejects": "excludes 1", "coverage": "coverage", "coverage_usable": "coverage, usable",
        "median_hr": "median HR", "median_width": "median width", "wrong_side": "wrong side",
        "sign_error": "sign error", "exaggeration": "exaggeration",
    }  # fmt: skip
    for scenario, part in table.groupby("scenario", sort=False):
        columns = [c for c in headings if not part[c].isna().all()]
        yield from (f"## {str(scenario).capitalize()}", "")
        yield "| " + " | ".join(headings[c] for c in columns) + " |"
        yield "|" + "---|" * len(columns)
        for row in part[columns].to_dict("records"):
            yield "| " + " | ".join(_shown(c, row[c]) for c in columns) + " |"
        yield ""


def _shown(column: str, value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return ""
    if math.isinf(value):
        return "infinite"
    if column in ("median_hr", "median_width", "exaggeration"):
        return f"{value:.2f}"
    return f"{100 * value:.1f} %"


BEGIN, END = "<!-- tables: made by small_mortality.py -->", "<!-- end of the tables -->"


def write_tables(table: pd.DataFrame, page: Path) -> None:
    """Put the tables where the page keeps them, between two comments."""
    head, rest = page.read_text(encoding="utf-8").split(BEGIN)
    _, tail = rest.split(END)
    text = "\n".join([BEGIN, "", *markdown(table), END])
    page.write_text(head + text + tail, encoding="utf-8", newline="\n")


def main(arguments: list[str]) -> None:
    """Run the study and write its table, to docs/ or to the file named."""
    cohorts = int(arguments[0]) if arguments else 500
    rows = simulate(cohorts, processes=2)
    table = summary(rows).round(6)
    target = Path(arguments[1]) if len(arguments) > 1 else HERE / "small_mortality.csv"
    table.to_csv(target, index=False, lineterminator="\n")
    if target.parent == HERE:
        write_tables(table, HERE / "small_mortality.md")
    about = rows.drop_duplicates(["scenario", "cohort"]).groupby("scenario", sort=False)
    print(about[["empty", "treated_deaths", "control_deaths"]].agg(["sum", "mean"]).to_string())


if __name__ == "__main__":
    main(sys.argv[1:])
