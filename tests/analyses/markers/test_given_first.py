"""The difference later given the first value, with values beyond a limit: read off one model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import optimize, stats

import longsurv as ls
from longsurv.analyses import BaselineAdjustment
from longsurv.analyses.markers.given_first import GivenFirst
from longsurv.cohort import Cohort, Marker, Phase, Schema
from longsurv.estimands.changes import Change
from longsurv.models import GLMM, Linear

CHANGE = Change("phase", "baseline", "after", "arm", "active", "control")
PHASES = (Phase("baseline", 1, 1), Phase("after", 2, 9))
TRAJECTORY = "phase * arm + (1 | id)"


def pairs(patients: int = 40, seed: int = 4) -> pd.DataFrame:
    """First and later value of each patient; the treated began higher and fell further."""
    rng = np.random.default_rng(seed)
    treated = np.arange(patients) % 2
    level = 0.8 * rng.standard_normal(patients)
    first, later = level + 0.6 * rng.standard_normal((2, patients))
    return pd.DataFrame(
        {"treated": treated, "first": first + 0.4 * treated, "later": later - 1 - 0.3 * treated}
    )


def cohort_of(
    table: pd.DataFrame, limit: float, *, randomised: bool = False, days: tuple[int, int] = (1, 2)
) -> Cohort:
    """A cohort of one marker, its values below the limit as a laboratory writes them."""
    ids = [f"P{k:02d}" for k in range(len(table))]
    visits = pd.concat([
        pd.DataFrame({"id": ids, "day": day, "value": table[name].to_numpy()})
        for name, day in zip(("first", "later"), days, strict=True)
    ])  # fmt: skip
    texts = [f"<{limit:.6f}" if v < limit else f"{v:.12f}" for v in visits["value"]]
    arm = np.where(table["treated"] == 1, "active", "control")
    people = pd.DataFrame({"id": ids, "arm": arm, "exit": 28.0, "died": 0})
    people.loc[0, "died"] = 1
    schema = Schema(
        patient="id", treatment="arm", reference="control", exit="exit", status="died", time="day",
        phases=PHASES, levels=("control", "active"),
    )  # fmt: skip
    return Cohort(
        people, visits.assign(marker="m", value=texts), schema, [Marker("m", direction="lower")],
        randomised=randomised,
    )  # fmt: skip


def adjusted(cohort: Cohort, **options: object) -> pd.Series:
    spec = BaselineAdjustment(cohort, "m", CHANGE, **options)
    return spec.fit().tidy().set_index("adjustment").loc["baseline"]


def test_without_limits_and_with_as_much_scatter_later_it_is_the_analysis_of_covariance() -> None:
    table = pairs()
    centred = table[["first", "later"]] - table.groupby("treated")[["first", "later"]].transform(
        "mean"
    )
    scatter = (centred**2).sum()
    table["later"] += centred["later"] * (np.sqrt(scatter["first"] / scatter["later"]) - 1.0)
    cohort = cohort_of(table, -99.0)
    data = cohort.marker_data("m")
    fit = GLMM(f"y ~ {TRAJECTORY}", data, family="censored", censored="censored").fit()
    ours = GivenFirst.of(fit, CHANGE, data)
    rows = table.assign(baseline=table["first"] - table["first"].mean(), id=range(len(table)))
    theirs = Linear("later ~ treated + baseline", rows, "id").fit().tidy().set_index("term")
    assert ours.slope == pytest.approx(theirs.loc["baseline", "estimate"], rel=1e-5)
    assert ours.row(0.95)["estimate"].iloc[0] == pytest.approx(
        theirs.loc["treated", "estimate"], rel=1e-5
    )


def dense(table: pd.DataFrame, limit: float) -> tuple[float, float]:
    """Estimate and standard error by the bivariate normal distribution, written out."""
    values, treated = table[["first", "later"]].to_numpy(), table["treated"].to_numpy()
    below = values < limit

    def pieces(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        # Means of the reference, difference at first, the answer; log SDs of patients and noise.
        first, later, apart, given, patient, noise = at
        between, within = np.exp(2 * patient), np.exp(2 * noise)
        slope = between / (between + within)
        means = np.array([[first, later], [first + apart, later + given + slope * apart]])
        cov = np.full((2, 2), between) + within * np.eye(2)
        return means, cov, slope

    def negative(at: np.ndarray) -> float:
        means, cov, slope = pieces(at)
        sd, total = np.sqrt(cov[0, 0]), 0.0
        spread = sd * np.sqrt(1 - slope**2)
        for z in (0, 1):
            y, low, mean = values[treated == z], below[treated == z], means[z]
            both = int(low.all(axis=1).sum())
            total += both * np.log(stats.multivariate_normal(mean, cov).cdf([limit, limit]))
            whole = y[~low.any(axis=1)]
            total += stats.multivariate_normal(mean, cov).logpdf(whole).sum()
            for seen in (0, 1):  # the other below the limit, given the one that is seen
                one = y[~low[:, seen] & low[:, 1 - seen], seen]
                centre = mean[1 - seen] + slope * (one - mean[seen])
                total += stats.norm(mean[seen], sd).logpdf(one).sum()
                total += stats.norm(centre, spread).logcdf(limit).sum()
        return -float(total)

    start = np.array([0.0, -1.0, 0.3, -0.3, np.log(0.8), np.log(0.6)])
    found = optimize.minimize(negative, start, method="BFGS", options={"gtol": 1e-6}).x
    h = 1e-3
    steps = h * np.eye(len(found))
    hessian = np.array([
        [
            negative(found + a + b) - negative(found + a - b) - negative(found - a + b)
            + negative(found - a - b)
            for b in steps
        ]
        for a in steps
    ]) / (4 * h * h)  # fmt: skip
    return float(found[3]), float(np.sqrt(np.linalg.inv(hessian)[3, 3]))


def test_with_limits_it_is_that_of_the_bivariate_normal_distribution() -> None:
    table = pairs(24, seed=9)
    limit = -0.9
    counts = (table[["first", "later"]] < limit).sum()
    assert counts.to_numpy().min() >= 2
    row = adjusted(cohort_of(table, limit))
    estimate, error = dense(table, limit)
    assert row["estimate"] == pytest.approx(estimate, rel=1e-3)
    assert row["std_error"] == pytest.approx(error, rel=2e-3)
    assert 20 < row["df"] < 48
    assert row["conf_low"] < estimate < row["conf_high"] and 0 < row["p_value"] < 1
    former = adjusted(cohort_of(table, limit), beyond_limit="at the limit")
    assert former["std_error"] < row["std_error"]


def test_the_posterior_agrees_and_units_do_not_matter() -> None:
    table = pairs()
    limit = -0.9
    cohort = cohort_of(table, limit)
    row = adjusted(cohort)
    post = BaselineAdjustment(cohort, "m", CHANGE, adjustments=("baseline",)).sample(
        draws=200, chains=2, seed=3
    )
    drawn = post.tidy().iloc[0]
    assert drawn["estimate"] == pytest.approx(row["estimate"], abs=0.4 * row["std_error"])
    assert drawn["std_error"] == pytest.approx(row["std_error"], rel=0.25)
    moved = table.assign(first=50 + 10 * table["first"], later=50 + 10 * table["later"])
    other = adjusted(cohort_of(moved, 50 + 10 * limit))
    assert other["estimate"] == pytest.approx(10 * row["estimate"], rel=1e-4)
    assert other["std_error"] == pytest.approx(10 * row["std_error"], rel=1e-3)
    notes = post.table["notes"].iloc[0]
    assert "given the first value: the later one rises by 0." in notes


def test_a_common_mean_at_first_is_of_the_censored_model_too() -> None:
    spec = BaselineAdjustment(cohort_of(pairs(), -0.9, randomised=True), "m", CHANGE)
    model, weights = spec.spec("clda")
    assert isinstance(model, GLMM) and weights == {"treated": 1.0}
    table = spec.fit().table.set_index("adjustment")
    assert table["estimate"].notna().all()
    # The same assumptions but for the difference at first, which is chance.
    assert table.loc["clda", "estimate"] == pytest.approx(
        table.loc["baseline", "estimate"], abs=0.15
    )


def test_what_cannot_be_said_is_refused() -> None:
    spec = BaselineAdjustment(cohort_of(pairs(), -0.9), "m", CHANGE)
    with pytest.raises(ls.LongsurvError, match="the first cannot be a covariate"):
        spec.spec("baseline")
    rng = np.random.default_rng(3)
    table = pairs()
    cohort = cohort_of(table, -0.9)
    days = rng.integers(2, 8, len(table)).astype(float)
    rows = cohort.measurements.drop(columns=["phase"])
    rows.loc[rows["day"] == 2, "day"] = days
    rows["value"] = rows["value"].to_numpy()
    sloped = Cohort(cohort.patients, rows, cohort.schema, list(cohort.markers.values()))
    asked = BaselineAdjustment(sloped, "m", CHANGE, "phase * arm + (day | id)")
    reason = asked.fit().table.set_index("adjustment").loc["baseline", "reason"]
    assert "vary within 'after'" in reason
    table.loc[table["treated"] == 1, "later"] = -5.0
    nothing = BaselineAdjustment(cohort_of(table, -0.9), "m", CHANGE).fit().table
    row = nothing.set_index("adjustment").loc["baseline"]
    assert np.isnan(row["estimate"]) and "no maximum-likelihood estimate" in row["reason"]


@pytest.mark.parametrize("where", ["first", "later"])
def test_weights_make_no_difference_of_limits(where: str) -> None:
    """One group's values at one end all lie below a limit far above the others: taken there they
    would differ from the others' by as much as the limit does, with a small standard error."""
    table = pairs()
    cohort = cohort_of(table, -99.0)
    rows, day = cohort.measurements.assign(marker="m"), 1 if where == "first" else 2
    ids = cohort.patients.loc[cohort.patients["arm"] == "active", "id"]
    hidden = rows["id"].isin(ids) & (rows["day"] == day)
    texts = ["<900" if gone else f"{v:.9f}" for gone, v in zip(hidden, rows["value"], strict=True)]
    rows = rows[["id", "day", "marker"]].assign(value=texts)
    people = cohort.patients.assign(exit=28.0, died=(cohort.patients.index == 0).astype(int))
    spoiled = Cohort(people, rows, cohort.schema, [Marker("m", direction="lower")])
    fit = BaselineAdjustment(spoiled, "m", CHANGE).fit()
    assert fit.tidy()["estimate"].isna().all()
    (answer,) = [a for a in fit.answers if a.adjustment == "overlap"]
    assert "every value of active at" in answer.reason
