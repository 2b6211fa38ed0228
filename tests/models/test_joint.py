"""Joint models: the real study, what can be wrong with data, what must not matter, predictions."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm

from longsurv import priors as pr
from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.inference import maximise
from longsurv.likelihood import joint
from longsurv.likelihood.arithmetic.covariance import covariance
from longsurv.models import LMM, CoxPH, JointModel, area, slope, value


@pytest.fixture(scope="module")
def pbc(table):
    """The study as two tables; death or transplantation is the event."""
    visits = table("pbc")
    patients = visits.drop_duplicates("id").drop(columns=["year", "bili"])
    patients["event"] = (patients["status"] != "censored").astype(int)
    return visits[["id", "year", "bili", "drug"]], patients


@pytest.fixture(scope="module")
def fitted(pbc):
    visits, patients = pbc

    @cache
    def fit(baseline: str, nodes: int = 3):
        growth = LMM("log(bili) ~ year * drug + (year | id)", data=visits)
        death = CoxPH("Surv(years, event) ~ drug + age", data=patients)
        return JointModel(growth, death, time="year", baseline=baseline, nodes=nodes).fit()

    return fit


# R's JM (pseudo-adaptive quadrature around the mixed model's modes): log-likelihood; estimate and
# SE. Its association with the spline baseline, 1.3091 (0.0916), is not quite the maximum: the same
# kind of quadrature climbed to the end gives 1.3226 with 5 nodes a dimension and 1.3245 with 15
# (log-likelihood -1949.469), and our adaptive one 1.3244 with 5 and 1.3246 with 9.
JM = {
    "spline": (-1949.62, {"event.drug[T.D-penicillamine]": (-0.0500, 0.1684)}),
    "weibull": (-1953.26, {"event.drug[T.D-penicillamine]": (-0.0756, 0.1672)}),
}


def adaptive_rules(fit, *columns):
    """The log-likelihood by three nodes a dimension around each patient's mode, in plain NumPy.

    What directions the nodes lie along depends on the columns of the random effects: with effects
    to @ b of covariance F F' and C C' = I + F'Z'Z F / sigma^2, along those of F C^-T L^-T, L L' the
    curvature in these coordinates. One value for each `to` in columns.
    """
    (marker,), (cause,), theta = fit.design.markers, fit.data.causes, fit.theta
    p, m, c = fit.data.p, *cause.sizes[:2]
    beta, sigma = theta[:p], np.exp(theta[p])
    D = covariance(np.exp(theta[p + 1 : p + 3]), theta[p + 3 : fit.data.n_marker])
    gamma, omega, (alpha,) = np.split(theta[fit.data.n_marker :], [m, m + c])
    (link,), P = cause.links, np.linalg.inv(D)
    x, w = np.polynomial.hermite_e.hermegauss(3)
    grid = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    log_mass = np.log(np.outer(w, w).ravel()) + 0.5 * (grid**2).sum(axis=1)
    eta = gamma @ cause.basis + alpha * (beta @ link.x - link.centre)
    total = np.zeros(len(columns))
    for i in range(len(fit.design.labels)):
        mine, at = marker.group == i, slice(cause.start[i], cause.start[i + 1])
        Z, zb, weight = marker.design.Z[mine], alpha * link.z[:, at], cause.weight[at]
        r = marker.design.y[mine] - marker.design.fixed.X[mine] @ beta
        own = eta[at] + cause.covariates[i] @ omega

        def log_integrand(b, Z=Z, r=r, own=own, zb=zb, weight=weight, died=cause.event[i]):
            values = norm.logpdf(r, b @ Z.T, sigma).sum(axis=-1)
            curve = own + b @ zb
            survival = np.exp(curve)[..., 1:] @ weight[1:]
            values += died * curve[..., 0] - survival
            return values + multivariate_normal.logpdf(b, np.zeros(2), D)

        flat = P + Z.T @ Z / sigma**2
        b, step = np.linalg.solve(flat, Z.T @ r / sigma**2), np.ones(2)
        while np.abs(step).max() > 1e-9:
            h = weight * np.exp(own + b @ zb)
            slope = Z.T @ (r - Z @ b) / sigma**2 + cause.event[i] * zb[:, 0] - zb @ h - P @ b
            H = flat + (zb * h) @ zb.T
            step = np.linalg.solve(H, slope)
            while log_integrand(b + step) < log_integrand(b) - 1e-9:
                step = step / 2
            b = b + step
        for k, to in enumerate(columns):
            back = np.linalg.inv(to)
            F = back @ np.linalg.cholesky(to @ D @ to.T)
            C = np.linalg.cholesky(np.eye(2) + F.T @ Z.T @ Z @ F / sigma**2)
            T = F @ np.linalg.inv(C).T
            root = T @ np.linalg.inv(np.linalg.cholesky(T.T @ H @ T)).T
            logs = log_integrand(b + grid @ root.T) + log_mass
            total[k] += np.logaddexp.reduce(logs) + np.log(abs(np.linalg.det(root)))
    return total


@pytest.mark.parametrize("baseline", ["spline", "weibull"])
def test_pbc_against_jm(fitted, baseline):
    fit = fitted(baseline)
    llf, terms = JM[baseline]
    assert fit.converged
    # Like with like: nodes along the directions of the columns as written, an intercept in year 0
    # and a slope. Ours lie along those of the centred columns, nearer to the integral.
    ours, like_jm = adaptive_rules(fit, fit.data.markers[0].to, np.eye(2))
    assert fit.llf == pytest.approx(ours, abs=1e-6)
    assert like_jm == pytest.approx(llf, abs=0.015)
    limit = fitted(baseline, 9).llf
    assert limit == pytest.approx(llf, abs=0.16)
    assert abs(fit.llf - limit) < abs(llf - limit)
    for term, (estimate, se) in terms.items():
        assert fit.params[term] == pytest.approx(estimate, abs=0.03 * se)
        assert fit.bse[term] == pytest.approx(se, rel=0.02)
    assert fit.params["assoc.value"] == pytest.approx(1.3091, abs=0.15 * 0.0916)
    assert fit.bse["assoc.value"] == pytest.approx(0.0916, rel=0.03)
    assert fit.bse["event.age"] == pytest.approx(0.00799, rel=0.02)


def test_jm_s_estimate_is_not_the_maximum(fitted):
    """With the integrals as exact as need be, the likelihood rises from JM's 1.3091 and 0.04197.

    Held at JM's association and coefficient of age and climbed in all else, it is as far below the
    maximum as a parabola with the observed information says, and has a slope in both.
    """
    fit = fitted("spline", 9)
    names, at = fit.design.theta_names, fit.theta.copy()
    held = np.array([names.index("assoc.value"), names.index("event.age")])
    others = np.delete(np.arange(len(at)), held)
    at[held] = 1.3091, 0.04197

    def of_the_others(x):
        full = at.copy()
        full[others] = x
        value, gradient = joint.loglik(fit.data, full)
        return value, gradient[others]

    found = maximise(of_the_others, at[others])
    at[others] = found.x
    assert found.converged
    away = fit.theta[held] - at[held]
    pull = np.linalg.solve(fit.cov_theta[np.ix_(held, held)], away)
    assert fit.llf - found.value == pytest.approx(0.5 * away @ pull, rel=0.05)
    assert fit.llf - found.value > 0.02
    assert joint.loglik(fit.data, at)[1][held] == pytest.approx(pull, rel=0.05)


def test_pbc_with_a_piecewise_baseline(fitted):
    """JM: association 1.3088 (0.0911), log-likelihood -1951.57, with knots of its own."""
    fit = fitted("piecewise")
    assert fit.params["assoc.value"] == pytest.approx(1.3088, abs=0.05 * 0.0911)
    assert fit.llf == pytest.approx(-1951.57, abs=0.5)


def test_pbc_converges_in_the_nodes(fitted):
    """The estimates with 3 and 9 nodes agree to 3 % of a standard error."""
    few, many = fitted("spline"), fitted("spline", 9)
    assert many.params["assoc.value"] == pytest.approx(1.3245, abs=5e-4)
    assert many.llf == pytest.approx(-1949.469, abs=0.01)
    gap = (few.params - many.params).abs() / many.bse
    assert gap[list(few.tidy()["term"])].max() < 0.03
    table = few.node_convergence()
    assert table["used"].tolist() == [False, True, False, False, False]
    assert table["difference"].abs().iloc[1] < 0.2 and table["difference"].abs().iloc[3] < 0.01


def test_blocks_and_words(fitted):
    fit = fitted("weibull")
    assert fit.tidy(component="event")["term"].tolist() == [
        "event.drug[T.D-penicillamine]",
        "event.age",
        "assoc.value",
    ]
    everything = fit.tidy(component="all")["term"]
    blocks = [fit.tidy(component=c)["term"] for c in ("marker", "event", "baseline", "variance")]
    assert everything.tolist() == pd.concat(blocks).tolist()
    words = fit.association()
    alpha = fit.params["assoc.value"]
    doubled = words.loc[words["change"] == "a doubling of bili", "hazard_ratio"].item()
    assert doubled == pytest.approx(2.0**alpha)
    per_sd = words.loc[words["change"].str.startswith("one SD"), "hazard_ratio"].item()
    assert per_sd == pytest.approx(np.exp(alpha * fit.link_sd["assoc.value"]))
    with pytest.raises(LongsurvError, match="component is one of"):
        fit.tidy(component="hazard")


def simulated(n=300, seed=1, entry=False, effect=0.8, shape=1.5):
    """Random intercept and slope; Weibull hazard times exp(effect * value - 0.5 * treated)."""
    rng = np.random.default_rng(seed)
    treated = rng.integers(0, 2, n)
    b = rng.multivariate_normal([0, 0], [[0.5, 0.05], [0.05, 0.09]], n)
    grid = np.linspace(0, 8, 801)
    m = 1.0 + b[:, :1] + (0.3 + b[:, 1:]) * grid - 0.2 * treated[:, None] * grid
    middle = (grid[1:] + grid[:-1]) / 2
    hazard = (
        shape
        * 0.04
        * middle ** (shape - 1)
        * np.exp(effect * (m[:, 1:] + m[:, :-1]) / 2 - 0.5 * treated[:, None])
    )
    H = np.hstack([np.zeros((n, 1)), np.cumsum(hazard * np.diff(grid), axis=1)])
    target = rng.exponential(size=n)
    died = H[:, -1] > target
    death = np.array([np.interp(u, h, grid) for u, h in zip(target, H, strict=True)])
    stop = np.minimum(np.where(died, death, 8.0), rng.uniform(3, 8, n))
    patients = pd.DataFrame(
        {
            "id": np.arange(n) + 100,
            "treated": treated,
            "stop": stop,
            "event": (death <= stop) & died,
        }
    ).astype({"event": int})
    visits = [np.arange(0, s, 0.5) for s in stop]
    who = np.repeat(np.arange(n), [len(v) for v in visits])
    t = np.concatenate(visits)
    y = (
        1.0
        + b[who, 0]
        + (0.3 + b[who, 1]) * t
        - 0.2 * treated[who] * t
        + 0.4 * rng.normal(size=len(t))
    )
    rows = pd.DataFrame({"id": who + 100, "t": t, "y": y, "treated": treated[who]})
    return rows, patients


def model(rows, patients, **more):
    return JointModel(
        LMM("y ~ t + t:treated + (t | id)", data=rows),
        CoxPH("Surv(stop, event) ~ treated", data=patients),
        time="t",
        **{"baseline": "weibull"} | more,
    )


def test_known_parameters_are_recovered():
    truth = {
        "Intercept": 1.0,
        "t": 0.3,
        "t:treated": -0.2,
        "event.treated": -0.5,
        "assoc.value": 0.8,
        "baseline.shape_minus_1": 0.5,
    }
    fit = model(*simulated(400, seed=4)).fit()
    z = [(fit.params[k] - v) / fit.bse[k] for k, v in truth.items()]
    assert np.abs(z).max() < 3.0 and np.sqrt(np.mean(np.square(z))) < 1.8
    table = fit.tidy(component="variance").set_index("term")["estimate"]
    assert table["sigma"] == pytest.approx(0.4, rel=0.05)
    assert table["sd(t|id)"] == pytest.approx(0.3, rel=0.15)


def test_units_and_labels_do_not_matter():
    rows, patients = simulated(60, seed=2)
    fit = model(rows, patients, link=value() + slope()).fit()
    rng = np.random.default_rng(0)
    labels = dict(zip(patients["id"], rng.permutation(60), strict=True))
    days = rows.assign(t=rows["t"] * 365.25, id=rows["id"].map(labels)).sample(
        frac=1, random_state=1
    )
    moved = patients.assign(stop=patients["stop"] * 365.25, id=patients["id"].map(labels))
    other = model(days, moved.sample(frac=1, random_state=2), link=value() + slope()).fit()
    events = patients["event"].sum()
    assert other.llf + events * np.log(365.25) == pytest.approx(fit.llf, abs=1e-6)
    for term, factor in [
        ("Intercept", 1.0), ("t", 1 / 365.25), ("event.treated", 1.0), ("assoc.value", 1.0),
        ("assoc.slope", 365.25), ("baseline.shape_minus_1", 1.0),
    ]:  # fmt: skip
        assert other.params[term] == pytest.approx(fit.params[term] * factor, rel=2e-4, abs=1e-6)


def test_links_are_what_they_say():
    """Rows of the links against the curve b0 + b1 t + b2 t^2 + b3 treated t, by hand."""
    rows, patients = simulated(30, seed=3)
    growth = LMM("y ~ t + I(t**2) + t:treated + (t | id)", data=rows)
    death = CoxPH("Surv(stop, event) ~ treated", data=patients)
    spec = JointModel(
        growth, death, time="t", link=value(by="treated") + slope() + area(), baseline="exponential"
    )
    d, (cause,) = spec.design, spec.design.causes
    terms = ("value", "value:treated", "slope", "area")
    assert cause.association_names == tuple(f"assoc.{term}" for term in terms)
    t, last = patients["stop"].to_numpy(), cause.points.start[:-1]
    treated, one = patients["treated"].to_numpy(), np.ones(30)
    curve = {"Intercept": one, "t": t, "I(t ** 2)": t**2, "t:treated": t * treated}
    rate = {"Intercept": 0 * t, "t": one, "I(t ** 2)": 2 * t, "t:treated": treated}
    below = {"Intercept": t, "t": t**2 / 2, "I(t ** 2)": t**3 / 3, "t:treated": t**2 / 2 * treated}
    names = d.markers[0].design.fixed.names
    got = [link.x[:, last] for link in cause.points.links]
    for k, (expected, factor) in enumerate(
        [(curve, one), (curve, treated), (rate, one), (below, one)]
    ):
        table = np.stack([expected[n] * factor for n in names])
        np.testing.assert_allclose(got[k], table, rtol=1e-7, atol=1e-8)
    mean = d.markers[0].curve.mean
    np.testing.assert_allclose(
        [link.centre[last] for link in cause.points.links],
        [mean * one, mean * treated, 0 * t, mean * t],
    )


def test_delayed_entry_leaves_out_the_time_before():
    """A hazard that is constant: the likelihood differs by the hazard between 0 and entry."""
    rows, patients = simulated(40, seed=5)
    patients["start"] = np.minimum(patients["stop"] * 0.4, 1.0)
    growth = LMM("y ~ t + (1 | id)", data=rows)
    late = CoxPH("Surv(start, stop, event) ~ treated", data=patients)
    early = CoxPH("Surv(stop, event) ~ treated", data=patients)
    whole = JointModel(growth, early, time="t", baseline="exponential").statistics
    part = JointModel(growth, late, time="t", baseline="exponential").statistics
    theta = np.concatenate([[1.0, 0.3], np.log([0.5, 0.7]), [-2.0], [-0.5], [0.0]])
    means = patients["treated"] - patients["treated"].mean()
    before = (patients["start"] * np.exp(-2.0 - 0.5 * means)).sum()
    gained = joint.loglik(part, theta)[0] - joint.loglik(whole, theta)[0]
    assert gained == pytest.approx(before, rel=1e-10)


def test_what_is_wrong_is_said_with_the_patient():
    rows, patients = simulated(20, seed=6)
    late = pd.concat([rows, rows.head(1).assign(t=99.0)])
    with pytest.raises(DataError, match=r"id 100 have measurements after their event"):
        assert model(late, patients).design
    with pytest.raises(DataError, match="id 103 have measurements but no row in the event data"):
        assert model(rows, patients[patients["id"] != 103]).design
    with pytest.raises(DataError, match=r"one row a patient; id 101 have more"):
        assert model(rows, pd.concat([patients, patients.iloc[[1]]])).design
    changing = rows.assign(treated=np.arange(len(rows)) % 2)
    with pytest.raises(DataError, match=r"'treated'.* change within patients"):
        assert model(changing, patients).design
    with pytest.raises(FormulaError, match="no column 'day'"):
        assert JointModel(
            model(rows, patients).marker, model(rows, patients).event, time="day"
        ).design
    with pytest.raises(LongsurvError, match="given once"):
        model(rows, patients, link=value() + value())
    with pytest.raises(LongsurvError, match="nodes is a whole number"):
        model(rows, patients, nodes=0)


def test_patients_never_measured_and_missing_covariates_are_counted():
    rows, patients = simulated(30, seed=7)
    unmeasured = model(rows[rows["id"] != 105], patients).design
    assert len(unmeasured.labels) == 30
    assert "1 patients without a measurement" in " ".join(unmeasured.flags)
    holes = patients.assign(treated=patients["treated"].astype(float))
    holes.loc[holes["id"] == 110, "treated"] = np.nan
    fit = model(rows, holes).fit()
    assert len(fit.design.labels) == 29 and 110 not in fit.design.labels
    assert "1 patient was left out with their measurements" in " ".join(fit.flags)
    assert fit.nobs == (rows["id"] != 110).sum()


PERSON = 12


def whole_person(pbc):
    visits, patients = pbc
    return visits[visits["id"] == PERSON].merge(patients[["id", "age"]], on="id")


def on_a_grid(fit, person, until, times):
    """A dense grid of the random effects b (G, 2) of a patient measured until a time: log of their
    density given the measurements, their curve as a function, cumulative hazards (G, times)."""
    theta, p = fit.params, person[person["year"] <= until]
    on = float(person["drug"].iloc[0] == "D-penicillamine")
    variance = fit.tidy(component="variance").set_index("term")["estimate"]
    s0, s1 = variance["sd(Intercept|id)"], variance["sd(year|id)"]
    r = variance["cor(Intercept,year|id)"]
    D = np.array([[s0**2, r * s0 * s1], [r * s0 * s1, s1**2]])
    x = np.linspace(-6, 6, 97)
    b = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2) @ np.linalg.cholesky(D).T
    drift = theta["year"] + on * theta["year:drug[T.D-penicillamine]"]
    level = theta["Intercept"] + on * theta["drug[T.D-penicillamine]"]

    def curve(t):
        return level + b[:, :1] + (drift + b[:, 1:]) * np.asarray(t)

    log_p = -0.5 * np.einsum("nq,qr,nr->n", b, np.linalg.inv(D), b)
    gap = np.log(p["bili"].to_numpy()) - curve(p["year"])
    log_p -= 0.5 * (gap**2).sum(axis=1) / variance["sigma"] ** 2
    cause = fit.design.causes[0]
    means, base = cause.covariate_means, cause.baseline
    risk = theta["event.drug[T.D-penicillamine]"] * (on - means[0])
    risk += theta["event.age"] * (person["age"].iloc[0] - means[1])
    t = np.linspace(1e-9, 6.0, 601)
    log_h0 = theta["baseline.log_hazard"] + theta["baseline.shape_minus_1"] * np.log(t / base.unit)
    h = np.exp(log_h0 + risk + theta["assoc.value"] * (curve(t) - fit.design.markers[0].curve.mean))
    H = np.hstack([np.zeros((len(b), 1)), np.cumsum((h[:, 1:] + h[:, :-1]) / 2 * t[1], axis=1)])
    return log_p - log_p.max(), curve, H[:, [np.searchsorted(t, u) - (u == 6) for u in times]]


def test_survival_of_a_patient_against_brute_force(fitted, pbc):
    """P(T > u | T > 2, y) as a ratio of integrals over a dense grid of random effects."""
    fit, person = fitted("weibull"), whole_person(pbc)
    times = [2.0, 3.0, 6.0]
    got = fit.predict_survival(person, at=2.0, times=times)
    assert got["time"].tolist() == times and (got["id"] == PERSON).all()
    log_p, _, H = on_a_grid(fit, person, 2.0, times)
    survival = np.exp(log_p) @ np.exp(-H)
    assert got["estimate"].to_numpy() == pytest.approx(survival / survival[0], abs=2e-3)
    inside = (got["conf_low"] <= got["estimate"]) & (got["estimate"] <= got["conf_high"])
    assert inside.all() and got["std_error"].iloc[-1] > 0
    with pytest.raises(LongsurvError, match="follow-up ended at"):
        fit.predict_survival(person, at=2.0, times=[40.0])
    with pytest.raises(LongsurvError, match="not before at"):
        fit.predict_survival(person, at=2.0, times=[1.0])


def test_a_patients_own_curve_against_brute_force(fitted, pbc):
    """E[curve(u) | T > 2, y until 2] and its variance over the same grid; far fewer patients die
    by then than the mixed model alone would have, which the curve has to know."""
    fit, person = fitted("weibull"), whole_person(pbc)
    times = [0.0, 1.0, 2.0, 5.0]
    got = fit.predict_marker(person, at=2.0, times=times)
    assert got.columns.tolist() == ["id", "time", "estimate", "std_error", "conf_low", "conf_high"]
    log_p, curve, H = on_a_grid(fit, person, 2.0, [2.0])
    weights = np.exp(log_p - H[:, 0])
    weights /= weights.sum()
    mean = weights @ curve(times)
    spread = np.sqrt(weights @ (curve(times) - mean) ** 2)
    assert got["estimate"].to_numpy() == pytest.approx(mean, abs=2e-3)
    # The parameters' own uncertainty comes on top, and is small in 312 patients.
    assert (got["std_error"] > spread).all() and (got["std_error"] < 1.2 * spread).all()
    new = fit.predict_marker(person, at=2.0, times=times, interval="prediction")
    sigma = fit.tidy(component="variance").set_index("term").loc["sigma", "estimate"]
    assert (new["estimate"] == got["estimate"]).all()
    assert new["std_error"].to_numpy() == pytest.approx(np.hypot(got["std_error"], sigma), rel=2e-3)
    with pytest.raises(LongsurvError, match="not before 0"):
        fit.predict_marker(person, at=2.0, times=[-1.0])


def test_a_patients_own_curve_is_that_of_the_random_effects(fitted, pbc):
    """Until the end of follow-up, given all that is known of each who left without an event."""
    fit, (visits, patients) = fitted("weibull"), pbc
    left = patients[patients["event"] == 0].head(5)
    b = fit.ranef().set_index(["id", "effect"])["estimate"].unstack()
    for _, one in left.iterrows():
        rows = visits[visits["id"] == one["id"]].assign(age=one["age"])
        got = fit.predict_marker(rows, at=one["years"], times=[0.0, 3.0], draws=5)
        means = fit.predict(rows.head(1).loc[rows.index[[0, 0]]].assign(year=[0.0, 3.0]))
        own = b.loc[one["id"], "Intercept"] + b.loc[one["id"], "year"] * np.array([0.0, 3.0])
        assert got["estimate"].to_numpy() == pytest.approx(means["estimate"] + own, abs=3e-3)


def test_predicted_curves_and_random_effects(fitted, pbc):
    fit = fitted("weibull")
    new = pbc[0].head(3)
    on = (new["drug"] == "D-penicillamine").to_numpy().astype(float)
    t, b = new["year"].to_numpy(), fit.params
    expected = b["Intercept"] + on * b["drug[T.D-penicillamine]"]
    expected += t * (b["year"] + on * b["year:drug[T.D-penicillamine]"])
    assert fit.predict(new)["estimate"].to_numpy() == pytest.approx(expected)
    effects = fit.ranef()
    assert len(effects) == 624 and (effects["std_error"] > 0).all()
    # Those who died have steeper curves than those who did not.
    died = pbc[1].set_index("id")["event"]
    steep = effects[effects["effect"] == "year"].set_index("id")["estimate"]
    assert steep[died == 1].mean() > steep[died == 0].mean() + 0.05


def test_priors_by_name():
    rows, patients = simulated(30, seed=8)
    spec = model(rows, patients)
    stack = spec.prior_stack(
        {
            "event.treated": pr.Normal(0, 0.355),
            "assoc.value": pr.Normal(0, 0.1),
            "t": pr.Normal(0, 9),
        },
        eta=2.0,
        smoothing=None,
    )
    chosen = dict(zip(stack.names, stack.priors, strict=True))
    assert chosen["event.treated"].sd == 0.355 and chosen["t"].sd == 9
    default = dict(
        zip(*(lambda s: (s.names, s.priors))(spec.prior_stack(None, 2.0, None)), strict=True)
    )
    assert default["assoc.value"].sd == pytest.approx(1 / spec.link_sd["assoc.value"])
    with pytest.raises(LongsurvError, match=r"event\.treated"):
        spec.prior_stack({"event.treatd": pr.Normal(0, 1)}, 2.0, None)
