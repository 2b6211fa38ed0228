"""Imputed values against dense conditional distributions, closed forms and the likelihood."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.errors import DataError, LongsurvError
from longsurv.models import LMM

VISITS = [1, 2, 3]
WITHIN = ls.Residual("unstructured", visit="visit", patient="id")


def trial(seed: int, n: int = 40, slope: float = 0.0) -> pd.DataFrame:
    """A trial in which low values make drop-out likelier, and a value may be missing between."""
    rng = np.random.default_rng(seed)
    V = np.array([[1.0, 0.6, 0.4], [0.6, 1.2, 0.7], [0.4, 0.7, 1.5]])
    arm = np.arange(n) % 2
    y = 10.0 + rng.multivariate_normal(np.zeros(3), V, n) + np.outer(arm, [0.0, 0.5, 1.0 + slope])
    gone = rng.random(n) < 1.0 / (1.0 + np.exp(0.5 + (y[:, 0] - 10.0)))
    y[gone, 2] = np.nan
    y[gone & (rng.random(n) < 0.4), 1] = np.nan
    y[~gone & (rng.random(n) < 0.1), 1] = np.nan
    return pd.DataFrame(
        {
            "id": np.repeat(np.arange(n) + 100, 3), "visit": np.tile(VISITS, n),
            "occasion": pd.Categorical(np.tile(VISITS, n)), "y": y.ravel(),
            "arm": pd.Categorical(np.repeat(np.where(arm, "new", "old"), 3), ["old", "new"]),
        }
    )  # fmt: skip


def mmrm(data: pd.DataFrame) -> LMM:
    return LMM("y ~ occasion * arm", data, WITHIN)


GROUPS = {"treatment": "arm", "reference": "old", "randomised": True}
METHODS = ("jump_to_reference", "copy_increments", "copy_reference")


@pytest.fixture(scope="module")
def data():
    return trial(1)


@pytest.fixture(scope="module")
def posterior(data):
    return mmrm(data).sample(draws=60, tune=120, chains=2, seed=3)


def last_visit(data: pd.DataFrame) -> pd.DataFrame:
    """The difference of the groups' means at the last visit, with a variance each."""
    end = data[data["visit"] == VISITS[-1]]
    new, old = (end.loc[end["arm"] == name, "y"].to_numpy() for name in ("new", "old"))
    return difference(new, old)


def difference(new: np.ndarray, old: np.ndarray) -> pd.DataFrame:
    error = np.sqrt(new.var(ddof=1) / len(new) + old.var(ddof=1) / len(old))
    gap, df = new.mean() - old.mean(), len(new) + len(old) - 2.0
    return pd.DataFrame({"term": ["new"], "estimate": [gap], "std_error": [error], "df": [df]})


def composed(method: str, own: np.ndarray, reference: np.ndarray, last: int) -> np.ndarray:
    """The mean of three visits, the last value seen being at position `last` (-1: none)."""
    if last == 2 or method == "mar":
        return own
    if method == "copy_reference":
        return reference
    if method == "jump_to_reference":
        return np.where(np.arange(3) > last, reference, own)
    if last < 0:
        return reference
    return np.where(np.arange(3) > last, own[last] + reference - reference[last], own)


@pytest.mark.parametrize("method", ["mar", *METHODS])
def test_expected_values_are_those_of_the_dense_conditional_normal(data, method):
    """Jump to reference and its like are linear in the parameters of the MMRM."""
    fit = mmrm(data).fit(df="normal")
    V = fit.visit_cov.to_numpy()
    cells = pd.MultiIndex.from_product([["old", "new"], VISITS], names=["arm", "visit"]).to_frame()
    cells = cells.reset_index(drop=True).assign(
        arm=lambda d: pd.Categorical(d["arm"], ["old", "new"]),
        occasion=lambda d: pd.Categorical(d["visit"]),
    )
    means = fit.predict(cells)["estimate"].to_numpy().reshape(2, 3)
    done = ls.Imputation(mmrm(data), n=2, method=method, **GROUPS).expected()
    for patient, rows in data.groupby("id"):
        y = rows["y"].to_numpy()
        seen, own = ~np.isnan(y), means[int(rows["arm"].iloc[0] == "new")]
        last = int(np.flatnonzero(seen)[-1]) if seen.any() else -1
        mean = composed(method, own, means[0], last)
        expected = y.copy()
        cross = V[np.ix_(~seen, seen)]
        expected[~seen] = mean[~seen] + cross @ np.linalg.solve(
            V[np.ix_(seen, seen)], y[seen] - mean[seen]
        )
        found = done.loc[done["id"] == patient, "y"].to_numpy()
        assert found == pytest.approx(expected, abs=1e-9), (patient, method)


def test_expected_values_under_missing_at_random_give_the_likelihood_s_answer_exactly(data):
    """Where every group has its own mean at every visit, by the score equations of the means."""
    row = last_visit(ls.Imputation(mmrm(data), n=2).expected()).iloc[0]
    means = mmrm(data).fit(df="normal").means(["occasion", "arm"]).contrast("arm")
    direct = means.loc[means["occasion"].astype(str) == "3", "estimate"].iloc[0]
    assert row["estimate"] == pytest.approx(direct, abs=1e-5)


def test_imputation_and_likelihood_agree_within_monte_carlo_error(data, posterior):
    answer = ls.Imputation(posterior, n=100).analyse(last_visit).table.iloc[0]
    means = mmrm(data).fit().means(["occasion", "arm"]).contrast("arm")
    direct = means[means["occasion"].astype(str) == "3"].iloc[0]
    assert abs(answer["estimate"] - direct["estimate"]) < 4.5 * answer["mcse"]
    assert answer["std_error"] == pytest.approx(direct["std_error"], rel=0.12)
    assert 0.05 < answer["fmi"] < 0.7


def test_draws_have_the_dense_conditional_mean_and_covariance(data):
    """8,000 draws at one value of the parameters, of a patient without the last two visits."""
    from longsurv.analyses.imputation.values import GivenValues

    imputation = ls.Imputation(mmrm(data), n=2)
    fit, rows = imputation.estimate, imputation.rows
    one = GivenValues.of(fit.kernel, [fit.point], imputation.arrays)
    beta, by_kind = np.repeat(one.beta, 8000, axis=0), np.repeat(one.by_kind, 8000, axis=0)
    given = GivenValues(beta, tuple(np.repeat(D, 8000, axis=0) for D in one.D), by_kind)
    drawn = imputation.conditional.draws(given, np.random.default_rng(1))
    two = np.bincount(rows.patient, rows.asked)
    place = imputation.conditional.places
    of = np.flatnonzero(rows.patient[place] == np.flatnonzero(two == 2)[0])
    V = fit.visit_cov.to_numpy()
    at = np.array([VISITS.index(v) for v in rows.frame["visit"].iloc[place[of]]])
    seen = np.setdiff1d(np.arange(3), at)
    cross = V[np.ix_(at, seen)]
    expected = V[np.ix_(at, at)] - cross @ np.linalg.solve(V[np.ix_(seen, seen)], cross.T)
    assert np.cov(drawn[:, of].T) == pytest.approx(expected, rel=0.08, abs=0.02)
    mean = imputation.conditional.means(one)[0, of]
    error = np.sqrt(np.diag(expected) / 8000)
    assert (np.abs(drawn[:, of].mean(axis=0) - mean) < 4.5 * error).all()


STRUCTURES = {
    "a patient's slope": ("y ~ visit * arm + (visit | id)", ls.Residual()),
    "patients in sites": ("y ~ visit * arm + (1 | site/id)", ls.Residual()),
    "continuous time": (
        "y ~ visit * arm", ls.Residual("exponential", visit="week", patient="id")
    ),
    "compound symmetry": ("y ~ visit * arm", ls.Residual("cs", patient="id")),
    "a spread by group": ("y ~ visit * arm + (1 | id)", ls.Residual(by="arm")),
    "both": ("y ~ visit * arm + (1 | id)", ls.Residual("ar1", visit="visit")),
}  # fmt: skip


def dense(fit, frame: pd.DataFrame) -> np.ndarray:
    """V of all rows, written out."""
    D, week = fit.random_cov.to_numpy(), frame["week"].to_numpy()
    same = frame["id"].to_numpy()[:, None] == frame["id"].to_numpy()
    kind = fit.spec.residual.kind
    variances = fit.variance_table().set_index("term")["estimate"]
    one = variances.get("sigma")
    gap = np.abs(week[:, None] - week)
    if kind == "exponential":
        R = one**2 * variances.drop("sigma").iloc[0] ** gap
    elif kind == "cs":
        R = one**2 * np.where(np.eye(len(frame)) > 0, 1.0, variances.drop("sigma").iloc[0])
    elif kind == "ar1":
        step = np.abs(frame["visit"].to_numpy()[:, None] - frame["visit"].to_numpy())
        rho = variances[[t for t in variances.index if "rho" in t]].iloc[0]
        R = one**2 * rho**step
    elif fit.spec.residual.by:
        sd = frame["arm"].map({g: variances[f"sigma({g})"] for g in ("old", "new")}).astype(float)
        R = np.diag(sd.to_numpy() ** 2)
    else:
        R = one**2 * np.eye(len(frame))
    V = R * same
    if "site" in fit.spec.formula:
        site = frame["site"].to_numpy()[:, None] == frame["site"].to_numpy()
        by_site = fit.random_cov.loc["site", "site"].to_numpy().item()
        return (
            V + by_site * site + fit.random_cov.loc["site:id", "site:id"].to_numpy().item() * same
        )
    if not len(D):
        return V
    Z = np.column_stack([np.ones(len(frame)), frame["visit"]])[:, : len(D)]
    return V + (Z @ D @ Z.T) * same


@pytest.mark.parametrize("name", STRUCTURES)
def test_every_covariance_is_the_dense_one(data, name):
    """Rows of a quarter that are missing lie at times that nobody else has, and in every site."""
    formula, residual = STRUCTURES[name]
    rng = np.random.default_rng(4)
    rows = data.assign(
        week=data["visit"] + rng.integers(0, 8, len(data)) / 16, site=data["id"] % 5,
        y=data["y"] + (data["id"] % 5) * 0.6 + 0.5 * rng.normal(size=40).repeat(3),
    )  # fmt: skip
    if name == "compound symmetry":
        rows = rows.drop(columns="week").assign(week=rows["visit"])
    model = LMM(formula, rows, residual)
    fit = model.fit(df="normal")
    V, y = dense(fit, rows), rows["y"].to_numpy(copy=True)
    mu = fit.predict(rows)["estimate"].to_numpy()
    seen = ~np.isnan(y)
    y[~seen] = mu[~seen] + V[np.ix_(~seen, seen)] @ np.linalg.solve(
        V[np.ix_(seen, seen)], y[seen] - mu[seen]
    )
    done = ls.Imputation(model, n=2, visit="visit").expected()["y"].to_numpy()
    assert done == pytest.approx(y, abs=1e-7)


class TestDelta:
    def test_an_answer_that_is_linear_moves_in_proportion(self, data, posterior):
        imputation = ls.Imputation(posterior, n=10, treatment="arm")
        end = data[data["visit"] == 3]
        share = end.loc[end["arm"] == "new", "y"].isna().mean()
        before, after = (
            one.analyse(last_visit).table["estimate"].iloc[0]
            for one in (imputation, imputation.with_delta({"new": -2.0}))
        )
        assert after - before == pytest.approx(-2.0 * share, abs=1e-12)

    def test_the_tipping_point_is_where_the_limit_is_at_no_effect(self, posterior):
        imputation = ls.Imputation(posterior, n=10, treatment="arm")
        deltas = np.linspace(-6.0, 6.0, 9)
        found = imputation.tipping_point(last_visit, deltas, group="new")
        assert len(found.table) == 9 and found.tips
        for tip in found.tips:
            row = imputation.with_delta({"new": tip}).analyse(last_visit).table.iloc[0]
            assert min(abs(row["conf_low"]), abs(row["conf_high"])) < 0.1
        flips = int(found.table["clear"].astype(int).diff().abs().sum())
        assert len(found.tips) == flips
        assert "changes from clear" in found.words and "new" in found.words
        assert found.plot().get_label() == found.words

    def test_deltas_of_everybody_are_added_to_all_that_is_imputed(self, data, posterior):
        imputation = ls.Imputation(posterior, n=2)
        plain, moved = (
            next(one.completed())["y"] for one in (imputation, imputation.with_delta(0.5))
        )
        gap = np.where(data["y"].isna(), 0.5, 0.0)
        assert (moved - plain).to_numpy() == pytest.approx(gap, abs=1e-12)


class TestRows:
    def test_seen_values_stay_and_the_same_seed_gives_the_same(self, data, posterior):
        one, again, other = (
            pd.concat(ls.Imputation(posterior, n=3, seed=s).completed()) for s in (5, 5, 6)
        )
        seen = data["y"].notna()
        for part in np.split(one["y"].to_numpy(), 3):
            assert (part[seen] == data["y"][seen]).all() and np.isfinite(part).all()
        assert one["y"].equals(again["y"]) and not one["y"].equals(other["y"])

    def test_the_order_of_rows_and_names_of_patients_do_not_matter(self, data):
        plain = ls.Imputation(mmrm(data), n=2, method="copy_increments", **GROUPS).expected()
        mixed = data.sample(frac=1.0, random_state=1)
        other = mmrm(mixed.assign(id=1000 - mixed["id"]))
        moved = ls.Imputation(other, n=2, method="copy_increments", **GROUPS).expected()
        assert moved["y"].reindex(plain.index).to_numpy() == pytest.approx(plain["y"], abs=1e-6)

    def test_nothing_is_imputed_after_death(self, data):
        end = data.assign(
            died=data["y"].isna() & (data["visit"] == 3) & (data["id"] % 3 == 0)
        )  # fmt: skip
        imputation = ls.Imputation(mmrm(end), n=2, dead="died")
        done = imputation.expected()
        assert (done["y"].isna() == end["died"]).all()
        assert f"{int(end['died'].sum())} values after death are none" in imputation.words

    def test_patterns_are_counted(self, data):
        text = ls.Imputation(mmrm(data), n=2).words
        y = data["y"].to_numpy().reshape(-1, 3)
        late = int(np.isnan(y[:, 2]).sum() + (np.isnan(y[:, 1]) & np.isnan(y[:, 2])).sum())
        between = int((np.isnan(y[:, 1]) & ~np.isnan(y[:, 2])).sum())
        assert f"{np.isnan(y).sum()} of 120 values of y are imputed" in text
        assert f"({late} after a patient's last value, {between} before it, 0 of" in text

    def test_means_by_visit_and_their_figure(self, posterior):
        imputation = ls.Imputation(posterior, n=5, treatment="arm")
        table = imputation.imputed_means
        assert list(table.columns[:4]) == ["visit", "arm", "seen", "imputed"]
        assert (table["seen"] + table["imputed"] == 20).all()
        assert "Mean of y by visit" in imputation.plot().get_label()
        assert "Assumed: missing at random" in imputation.words and imputation.summary()


def test_the_jackknife_has_the_estimate_of_expected_values_and_names_its_variance():
    """Under jump to reference the variance over repeated trials is below Rubin's."""
    rows = trial(2, n=16)
    model = LMM("y ~ occasion * arm + (1 | id)", rows)
    imputation = ls.Imputation(model, n=30, method="jump_to_reference", visit="visit", **GROUPS)
    jack, rubin = imputation.jackknife(last_visit), imputation.analyse(last_visit)
    assert jack.table["estimate"].iloc[0] == last_visit(imputation.expected())["estimate"].iloc[0]
    assert jack.table["std_error"].iloc[0] < rubin.table["std_error"].iloc[0]
    assert "jackknife" in jack.words and "over repeated trials" in jack.words
    assert "Rubin's" in rubin.words and list(jack.tidy()["term"]) == ["new"]
    by_hand = []
    for one in rows["id"].unique():
        part = rows[rows["id"] != one].reset_index(drop=True)
        again = ls.Imputation(
            model.with_data(part), n=2, method="jump_to_reference", visit="visit", **GROUPS
        )
        by_hand.append(last_visit(again.expected())["estimate"].iloc[0])
    spread = np.sqrt(15 / 16 * ((np.array(by_hand) - np.mean(by_hand)) ** 2).sum())
    assert jack.table["std_error"].iloc[0] == pytest.approx(spread, rel=1e-9)


class TestRefused:
    @pytest.mark.parametrize("method", METHODS)
    def test_reference_based_without_a_randomised_trial(self, data, method):
        with pytest.raises(LongsurvError, match="allocation at random"):
            ls.Imputation(mmrm(data), method=method, treatment="arm", reference="old")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"method": "jump_to_reference", "randomised": True}, "needs the groups"),
            ({**GROUPS, "method": "copy_reference", "reference": "none"}, "no group 'none'"),
            ({"delta": {"new": 1.0}}, "treatment="),
            ({"delta": {"none": 1.0}, "treatment": "arm"}, "no group 'none'"),
            ({"delta": np.inf}, "finite"),
            ({"n": 0}, "1 or more"),
            ({"dead": "nobody"}, "no column 'nobody'"),
            ({"method": "mars"}, "method"),
        ],
    )
    def test_options(self, data, options, words):
        with pytest.raises(LongsurvError, match=words):
            _ = ls.Imputation(mmrm(data), **options).moved

    def test_precision_weights(self, data):
        model = LMM("y ~ occasion * arm", data.assign(w=2.0), WITHIN, weights="w")
        with pytest.raises(LongsurvError, match="has no precision"):
            ls.Imputation(model)

    def test_too_many_for_the_posterior(self, posterior):
        with pytest.raises(LongsurvError, match="120 draws, fewer than n = 121"):
            ls.Imputation(posterior, n=121)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            (lambda d: d.dropna(), "nothing to impute"),
            (lambda d: d.assign(y=np.exp(d["y"])), "column of its own"),
            (lambda d: d.assign(age=np.where(d["y"].isna(), np.nan, 50.0 + d["id"] % 7)),
             "complete the covariates first"),
            (lambda d: d.assign(y=d["y"].where((d["visit"] != 3) | (d["arm"] == "old"))),
             "not determined"),
            (lambda d: d.assign(y=d["y"].where(d["visit"] != 3)), "nobody has a value|levels"),
            (lambda d: d.assign(
                y=d["y"].where((d["id"] % 4 < 2) == (d["visit"] < 3))
            ), "not determined|do not determine"),
        ],
        ids=["complete", "computed", "covariate", "empty cell", "empty visit", "never together"],
    )  # fmt: skip
    def test_data_that_do_not_determine_what_is_missing(self, data, change, words):
        rows = change(data)
        formula = "y ~ occasion * arm"
        if words == "column of its own":
            formula = "log(y) ~ occasion * arm"
        if "age" in rows:
            formula += " + age"
        with pytest.raises(LongsurvError, match=words):
            ls.Imputation(LMM(formula, rows, WITHIN))

    def test_a_value_after_death(self, data):
        with pytest.raises(LongsurvError, match="after death ha"):
            ls.Imputation(mmrm(data.assign(died=data["visit"] == 3)), dead="died")

    def test_an_analysis_that_fails_says_in_which_data_set(self, posterior):
        def fails(data: pd.DataFrame) -> pd.DataFrame:
            raise LongsurvError("no answer")

        with pytest.raises(LongsurvError, match="completed data set 1 of 3: no answer"):
            ls.Imputation(posterior, n=3).analyse(fails)


def coverage(cohorts: int, n: int = 60) -> tuple[float, float]:
    """How often the interval of the last visit's difference holds the truth, values missing at
    random; and how often that of those who completed does."""
    held, complete = [], []
    for seed in range(cohorts):
        rows = two_arms(seed, n)
        imputation = ls.Imputation(
            LMM("y ~ occasion * arm + (1 | id)", rows).sample(draws=60, tune=150, chains=1, seed=1),
            n=30,
        )
        for found, table in (
            (held, imputation.analyse(last_visit).table),
            (complete, ls.pool([last_visit(rows.dropna())] * 2).table),
        ):
            row = table.iloc[0]
            found.append(row["conf_low"] < 1.0 < row["conf_high"])
    return float(np.mean(held)), float(np.mean(complete))


def two_arms(seed: int, n: int) -> pd.DataFrame:
    """A random intercept; in the new arm those who do well leave, in the old those who do badly."""
    rng = np.random.default_rng(seed)
    arm = np.arange(n) % 2
    y = rng.normal(size=(n, 1)) + 0.7 * rng.normal(size=(n, 3)) + np.outer(arm, [0.0, 0.5, 1.0])
    seen_so_far = y[:, :2].mean(axis=1) * np.where(arm, -1.0, 1.0)
    y[rng.random(n) < 1.0 / (1.0 + np.exp(0.3 + 1.5 * seen_so_far)), 2] = np.nan
    return pd.DataFrame(
        {
            "id": np.repeat(np.arange(n), 3), "visit": np.tile(VISITS, n), "y": y.ravel(),
            "occasion": pd.Categorical(np.tile(VISITS, n)),
            "arm": pd.Categorical(np.repeat(np.where(arm, "new", "old"), 3), ["old", "new"]),
        }
    )  # fmt: skip


def test_intervals_hold_the_truth():
    """Four trials; the study has 1,000."""
    assert coverage(4)[0] >= 0.5


@pytest.mark.study
def test_intervals_hold_the_truth_in_a_thousand_trials():
    held, complete = coverage(1000)
    error = 1.96 * np.sqrt(held * (1.0 - held) / 1000)
    print(
        f"coverage {held:.3f} ({held - error:.3f} to {held + error:.3f}); completers {complete:.3f}"
    )
    assert 0.93 <= held <= 0.97
    assert complete < 0.9


LABELS = {1: "day 2", 2: "day 9", 3: "day 10"}


class TestOrderOfVisits:
    """Which value was the last depends on it."""

    def imputed(self, data, visit):
        rows = data.assign(visit=visit)
        within = ls.Residual("unstructured", visit="visit", patient="id")
        return ls.Imputation(LMM("y ~ visit * arm", rows, within), method="jump_to_reference",
                             **GROUPS)  # fmt: skip

    def test_categories_say_it(self, data):
        labels = data["visit"].map(LABELS)
        stated = pd.Series(pd.Categorical(labels, list(LABELS.values())), data.index)
        found = self.imputed(data, stated).expected()["y"]
        expected = ls.Imputation(mmrm(data), method="jump_to_reference", **GROUPS).expected()["y"]
        np.testing.assert_allclose(found, expected, atol=1e-5)

    @pytest.mark.parametrize("dtype", [object, "category"])
    def test_text_does_not(self, data, dtype):
        with pytest.raises(LongsurvError, match="text has none"):
            self.imputed(data, data["visit"].map(LABELS).astype(dtype))

    def test_rows_of_a_patient_at_one_visit_have_none(self, data):
        rows = data.assign(day=data["visit"].replace(2, 1))
        model = LMM("y ~ occasion * arm + (1 | id)", rows)
        assert "last value" not in ls.Imputation(model, visit="day").words
        with pytest.raises(LongsurvError, match="different at each row of a patient"):
            ls.Imputation(model, visit="day", method="jump_to_reference", **GROUPS)


def test_a_patient_has_one_group_for_methods_that_depend_on_it(data):
    """One row of another group moved the values of the whole patient."""
    arm = data["arm"]
    first = data["id"] == data["id"].iloc[0]
    mixed = data.assign(arm=arm.where(~first | (np.arange(len(data)) > 0), arm[~first].iloc[-1]))
    assert mixed.loc[first, "arm"].nunique() == 2
    more = {"treatment": "arm", "reference": arm.iloc[0], "randomised": True}
    for method in ("jump_to_reference", "copy_increments", "copy_reference"):
        with pytest.raises(DataError, match="1 patient has rows of several groups in 'arm'"):
            ls.Imputation(mmrm(mixed), n=5, method=method, **more)
    assert len(ls.Imputation(mmrm(mixed), n=5).expected()) == len(data)
