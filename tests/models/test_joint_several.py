"""Joint models of several markers, competing causes, values below a limit and late entry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from longsurv import priors as pr
from longsurv.design.links import links_of
from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.likelihood import joint, lmm
from longsurv.likelihood.arithmetic.covariance import partial_correlations
from longsurv.models import GLMM, LMM, CoxPH, Hazard, JointModel, area, slope, value

TRUTH = {
    "bili.Intercept": 1.0, "bili.t": 0.3, "albumin.Intercept": 2.0, "albumin.t": -0.1,
    "event[dead].treated": -0.4, "assoc[dead].value[bili]": 0.7, "assoc[dead].value[albumin]": -0.5,
    "assoc[home].value[bili]": -0.4, "bili.sigma": 0.4, "albumin.sigma": 0.3,
}  # fmt: skip


def simulated(n=300, seed=1, limit=None):
    """Two markers with correlated intercepts and a slope; two causes with constant baselines."""
    rng = np.random.default_rng(seed)
    treated = rng.integers(0, 2, n)
    D = np.array([[0.5, 0.03, -0.25], [0.03, 0.06, 0.0], [-0.25, 0.0, 0.4]])
    b = rng.multivariate_normal(np.zeros(3), D, n)
    grid = np.linspace(0, 6, 601)
    bili = 1.0 + b[:, :1] + (0.3 + b[:, 1:2]) * grid
    albumin = 2.0 + b[:, 2:] - 0.1 * grid
    log_h = {
        "dead": -2.2 - 0.4 * treated[:, None] + 0.7 * (bili - 1) - 0.5 * (albumin - 2),
        "home": -2.0 - 0.4 * (bili - 1) + 0.0 * albumin,
    }
    first, what = np.full(n, 6.0), np.full(n, "", dtype=object)
    for cause, log in log_h.items():
        h = np.exp(log)
        step = (h[:, 1:] + h[:, :-1]) / 2 * grid[1]
        H = np.hstack([np.zeros((n, 1)), np.cumsum(step, axis=1)])
        target = rng.exponential(size=n)
        t = np.array([np.interp(u, x, grid) for u, x in zip(target, H, strict=True)])
        sooner = (H[:, -1] > target) & (t < first)
        first, what = np.where(sooner, t, first), np.where(sooner, cause, what)
    stop = np.minimum(first, rng.uniform(2, 6, n))
    patients = pd.DataFrame({"id": np.arange(n) + 100, "treated": treated, "stop": stop})
    for cause in log_h:
        patients[cause] = ((what == cause) & (first <= stop)).astype(int)
    tables = []
    for values, sd, every in ((bili, 0.4, 0.5), (albumin, 0.3, 0.8)):
        visits = [np.arange(0, s, every) for s in stop]
        who = np.repeat(np.arange(n), [len(v) for v in visits])
        t = np.concatenate(visits)
        y = values[who, np.rint(t / grid[1]).astype(int)] + sd * rng.normal(size=len(t))
        tables.append(pd.DataFrame({"id": who + 100, "t": t, "y": y}))
    one, two = (
        t.rename(columns={"y": n}) for t, n in zip(tables, ("bili", "albumin"), strict=True)
    )
    if limit is not None:
        two["seen"] = np.where(two["albumin"] < limit, "left", "none")
        two["albumin"] = two["albumin"].clip(lower=limit)
    return one, two, patients


def specs(one, two, patients):
    second = "albumin ~ t + (1 | id)"
    markers = [
        LMM("bili ~ t + (t | id)", data=one),
        GLMM(second, data=two, family="censored", censored="seen") if "seen" in two
        else LMM(second, data=two),
    ]  # fmt: skip
    causes = [
        CoxPH("Surv(stop, dead) ~ treated", data=patients),
        CoxPH("Surv(stop, home) ~ treated", data=patients),
    ]
    return markers, causes


@pytest.fixture(scope="module")
def both():
    """Two markers and two causes, fitted."""
    one, two, patients = simulated(400, seed=3)
    markers, causes = specs(one, two, patients)
    link = {"dead": value(), "home": {"bili": value()}}
    return JointModel(markers, causes, time="t", link=link, baseline="exponential").fit()


def test_known_parameters_are_recovered(both):
    variance = both.tidy(component="variance").set_index("term")
    z = []
    for term, truth in TRUTH.items():
        at = term in both.params.index
        estimate = both.params[term] if at else variance.loc[term, "estimate"]
        se = both.bse[term] if at else variance.loc[term, "std_error"]
        z.append((estimate - truth) / se)
    assert both.converged
    assert np.abs(z).max() < 3.0 and np.sqrt(np.mean(np.square(z))) < 1.7
    across = variance.loc["cor(bili.Intercept,albumin.Intercept|id)", "estimate"]
    assert across == pytest.approx(-0.25 / np.sqrt(0.2), abs=0.12)


def test_parameters_are_named_by_marker_and_cause(both):
    assert both.tidy(component="event")["term"].tolist() == [
        "event[dead].treated", "assoc[dead].value[bili]", "assoc[dead].value[albumin]",
        "event[home].treated", "assoc[home].value[bili]",
    ]  # fmt: skip
    assert both.tidy(component="marker")["term"].tolist() == [
        "bili.Intercept", "bili.t", "albumin.Intercept", "albumin.t",
    ]  # fmt: skip
    assert both.tidy(component="baseline")["term"].tolist() == [
        "baseline[dead].log_hazard", "baseline[home].log_hazard",
    ]  # fmt: skip
    assert both.tidy(component="variance")["term"].tolist()[:3] == [
        "bili.sigma", "albumin.sigma", "sd(bili.Intercept|id)",
    ]  # fmt: skip
    words = both.association().set_index("term")["change"]
    assert (
        "one unit more of the current value of albumin"
        in words["assoc[dead].value[albumin]"][:1].item()
    )
    sentences = both.association().set_index("term")["words"]["assoc[home].value[bili]"]
    assert "bili multiplies the hazard of home by 0.6" in sentences.iloc[0]
    assert set(both.ranef()["effect"]) == {"bili.Intercept", "bili.t", "albumin.Intercept"}
    assert "400 patients" in both.method and "home" in both.method


def test_fitted_curves_are_each_marker_s(both):
    frame = pd.DataFrame({"t": [0.0, 2.0]})
    got = both.predict(frame, marker="albumin")["estimate"].to_numpy()
    b = both.params
    expected = b["albumin.Intercept"] + b["albumin.t"] * frame["t"]
    np.testing.assert_allclose(got, expected)
    with pytest.raises(LongsurvError, match=r"marker is one of \['bili', 'albumin'\]"):
        both.predict(frame)


def test_survival_and_incidences_add_up_to_one(both):
    markers = both.spec.markers
    people = both.design.labels[:4]
    new = {name: spec.data[spec.data["id"].isin(people)] for name, spec in markers.items()}
    new = {
        name: frame.merge(both.spec.causes["dead"].data[["id", "treated"]])
        for name, frame in new.items()
    }
    times = [1.5, 3.0, 5.0]
    S = both.predict_survival(new, at=1.0, times=times, draws=20)
    F = both.predict_incidence(new, at=1.0, times=times, draws=20)
    total = F.groupby(["id", "time"])["estimate"].sum()
    np.testing.assert_allclose(total + S.set_index(["id", "time"])["estimate"], 1.0, atol=1e-6)
    assert (F["estimate"] > 0.01).all() and (S["std_error"] > 0).all()
    # In one frame the same; a marker may be missing from a row.
    wide = pd.concat(new.values())
    again = both.predict_survival(wide, at=1.0, times=times, draws=20)
    pd.testing.assert_frame_equal(again, S)
    only = both.predict_survival(
        wide.drop(columns="albumin").assign(albumin=np.nan), at=1.0, times=times
    )
    assert (only["estimate"] - S["estimate"]).abs().max() > 1e-3


def test_the_own_curve_of_a_marker_that_tells_nothing_of_the_hazard_is_the_mixed_models():
    """Of a marker without a link, whose effects are uncorrelated with the other's."""
    one, two, patients = simulated(40, seed=4)
    (bili, albumin), (dead, _) = specs(one, two, patients)
    fit = JointModel([bili, albumin], dead, "t", link={"bili": value()}, baseline="weibull").fit()
    theta = fit.theta.copy()
    q, first = fit.data.q, fit.data.p + 2 + fit.data.q
    theta[first : first + q * (q - 1) // 2] = 0.0
    uncorrelated = replace(fit, theta=theta, cov_theta=np.zeros_like(fit.cov_theta))
    rows = two.merge(patients[["id", *(c for c in patients if c not in two)]], on="id")
    rows = rows[rows["id"].isin(two["id"].unique()[:6]) & (rows["t"] <= 2.0)]
    frames = {"bili": rows.drop(columns=["albumin"]).assign(bili=1.0), "albumin": rows}
    got = uncorrelated.predict_marker(frames, at=2.0, times=[0.0, 4.0], marker="albumin")
    beta, D, sigma = by_hand(uncorrelated, "albumin")
    design = albumin.design
    for k, (_, mine) in enumerate(rows.groupby("id")):
        X, Z = design.fixed.rebuild(mine), design.random.rebuild(mine)
        V = Z @ D @ Z.T + sigma**2 * np.eye(len(mine))
        later = mine.iloc[[0, 0]].assign(t=[0.0, 4.0])
        x, z = design.fixed.rebuild(later), design.random.rebuild(later)
        gain = z @ D @ Z.T @ np.linalg.inv(V)
        mean = x @ beta + gain @ (mine["albumin"].to_numpy() - X @ beta)
        cov = z @ D @ z.T - gain @ Z @ D @ z.T
        own = got.iloc[2 * k : 2 * k + 2]
        np.testing.assert_allclose(own["estimate"], mean, atol=1e-6)
        np.testing.assert_allclose(own["std_error"], np.sqrt(np.diag(cov)), rtol=1e-5)
    with pytest.raises(LongsurvError, match="marker is one of"):
        fit.predict_marker(frames, at=2.0, times=[4.0])


def by_hand(fit, marker):
    """Coefficients, D and sigma of one of the markers, from the tables."""
    table = fit.tidy(component="variance").set_index("term")["estimate"]
    k = [one.name for one in fit.design.markers].index(marker)
    design, p = fit.design.markers[k], fit.data.p
    start = sum(len(one.coefficient_names) for one in fit.design.markers[:k])
    beta = fit.theta[start : start + len(design.coefficient_names)]
    tau = np.array([table[f"sd({name}|id)"] for name in design.effect_names])
    return beta, np.diag(tau**2), float(np.exp(fit.theta[p + k]))


def test_an_unlinked_uncorrelated_marker_is_a_model_of_its_own():
    """Joint model of one marker, and mixed model of the other, at any such parameters."""
    one, two, patients = simulated(40, seed=4)
    (bili, albumin), (dead, _) = specs(one, two, patients)
    with_both = JointModel([bili, albumin], dead, "t", link={"bili": value()}, baseline="weibull")
    alone = JointModel(bili, dead, "t", baseline="weibull")
    tau, r, sigma = [0.7, 0.3, 0.5], 0.2, [0.4, 0.3]
    C = np.eye(3)
    C[0, 1] = C[1, 0] = r
    hazard = [-2.0, 0.1, -0.3, 0.6]
    theta = np.concatenate(
        [[1.0, 0.3, 2.0, -0.1], np.log(sigma), np.log(tau), partial_correlations(C), hazard]
    )
    first = [1.0, 0.3, np.log(0.4), *np.log(tau[:2]), np.arctanh(r), *hazard]
    second = [2.0, -0.1, np.log(0.3), np.log(0.5)]
    expected = joint.loglik(alone.statistics, np.array(first))[0]
    d = with_both.design.markers[1]
    own = lmm.prepare(d.design.fixed.X, d.design.y, d.design.Z, d.group, 40)
    expected += lmm.loglik(own, np.array(second))[0]
    # Three effects have three nodes each, as the two of the smaller model: the rule is the same.
    assert joint.loglik(with_both.statistics, theta)[0] == pytest.approx(expected, abs=1e-9)


def test_causes_without_association_are_separate_fits():
    one, _, patients = simulated(80, seed=5)
    (bili, _), (dead, home) = specs(one, one.rename(columns={"bili": "albumin"}), patients)
    more = {"time": "t", "link": None, "baseline": {"dead": "weibull", "home": "piecewise"}}
    whole = JointModel(bili, {"dead": dead, "home": home}, **more).fit()
    parts = [
        JointModel(bili, cause, "t", link=None, baseline=kind).fit()
        for cause, kind in ((dead, "weibull"), (home, "piecewise"))
    ]
    marker = bili.fit(method="ML")
    expected = parts[0].llf + parts[1].llf - marker.llf
    assert whole.llf == pytest.approx(expected, abs=1e-6)
    assert whole.params["event[home].treated"] == pytest.approx(parts[1].params["event.treated"])
    assert whole.bse["event[dead].treated"] == pytest.approx(
        parts[0].bse["event.treated"], rel=1e-4
    )


def test_values_below_a_limit_are_those_of_the_glmm():
    """Without a link the likelihood is the GLMM's, which integrates all rows by quadrature."""
    _, two, patients = simulated(60, seed=6, limit=1.8)
    assert 0.2 < (two["seen"] == "left").mean() < 0.6
    dead = CoxPH("Surv(stop, dead) ~ treated", data=patients)
    albumin = GLMM("albumin ~ t + (1 | id)", two, family="censored", censored="seen", nodes=25)
    fit = JointModel(albumin, dead, "t", link=None, baseline="exponential", nodes=25).fit()
    alone = albumin.fit()
    without = two.assign(albumin=np.random.default_rng(0).normal(size=len(two)))
    other = LMM("albumin ~ t + (1 | id)", without)
    event = JointModel(other, dead, "t", link=None, baseline="exponential").fit().llf
    event -= other.fit(method="ML").llf
    assert fit.llf == pytest.approx(alone.llf + event, abs=1e-5)
    for term in ("Intercept", "t"):
        assert fit.params[term] == pytest.approx(alone.params[term], abs=1e-4)
    assert any("values are below" in flag for flag in fit.flags)


def test_values_below_a_limit_do_not_bias():
    """Taken at the limit they would raise the intercept and hide the spread."""
    one, two, patients = simulated(300, seed=7, limit=1.7)
    markers, (dead, _) = specs(one, two, patients)
    more = {"time": "t", "link": [None, value()], "baseline": "exponential"}
    fit = JointModel(markers, dead, **more).fit()
    naive = JointModel([markers[0], LMM("albumin ~ t + (1 | id)", data=two)], dead, **more).fit()
    gap, se = fit.params["albumin.Intercept"] - 2.0, fit.bse["albumin.Intercept"]
    assert abs(gap) < 3 * se < abs(naive.params["albumin.Intercept"] - 2.0)


def test_many_random_effects_by_laplace():
    one, two, patients = simulated(60, seed=8)
    dead = CoxPH("Surv(stop, dead) ~ treated", data=patients)
    markers = [LMM("bili ~ t + (t | id)", one), LMM("albumin ~ t + (t | id)", two)]
    four = JointModel(markers, dead, "t", baseline="exponential")
    five = JointModel(
        [LMM("bili ~ t + (t + I(t**2) | id)", one), markers[1]], dead, "t", baseline="exponential"
    )
    assert four.quadrature_nodes == 3 and five.quadrature_nodes == 1
    few = JointModel(markers, dead, "t", baseline="exponential", nodes=1).fit()
    assert few.converged
    assert any("Laplace's approximation" in flag and "3 nodes" in flag for flag in few.flags)
    table = few.node_convergence()
    assert table["nodes"].tolist() == [1, 3, 5, 7, 9] and table["used"].tolist()[0]
    error = table["difference"].abs()
    assert error.is_monotonic_decreasing and error[1] < 0.3 * error[0] < 0.3
    # The likelihood is that of Laplace; the estimates are near those of three nodes.
    more = four.fit()
    assert ((few.params - more.params).abs() / more.bse).max() < 0.3


def test_late_entry_from_a_population():
    """The likelihood given survival to entry, against integrals over a dense grid of b."""
    one, _, patients = simulated(30, seed=9)
    patients["start"] = np.where(np.arange(30) % 3, 0.4, 0.0) * patients["stop"]
    late = CoxPH("Surv(start, stop, dead) ~ treated", data=patients)
    marker = LMM("bili ~ t + (1 | id)", data=one)
    more = {"time": "t", "baseline": "exponential", "nodes": 31}
    spec = JointModel(marker, late, entry="population", **more)
    theta = np.array([1.0, 0.3, np.log(0.5), np.log(0.7), -2.0, -0.4, 0.9])
    b = np.linspace(-6, 6, 4001)
    x = patients["treated"] - patients["treated"].mean()
    centre, expected = one["bili"].mean(), 0.0
    nodes, weights = np.polynomial.legendre.leggauss(15)

    def log_h(t, i):
        m = 1.0 + 0.3 * np.atleast_1d(t)[:, None] + b - centre
        return -2.0 - 0.4 * x[i] + 0.9 * m

    def cumulative(t, i):
        return t / 2 * weights @ np.exp(log_h(t / 2 * (nodes + 1), i))

    def log_integral(logs):
        return np.log(np.exp(logs).sum() * (b[1] - b[0]))

    for i, person in patients.iterrows():
        prior = norm.logpdf(b, 0, 0.7)
        rows = one[one["id"] == person["id"]]
        mean = (1.0 + 0.3 * rows["t"]).to_numpy()[:, None] + b
        logs = prior + norm.logpdf(rows["bili"].to_numpy()[:, None], mean, 0.5).sum(axis=0)
        logs += person["dead"] * log_h(person["stop"], i)[0] - cumulative(person["stop"], i)
        expected += log_integral(logs) - log_integral(prior - cumulative(person["start"], i))
    got, gradient = joint.loglik(spec.statistics, theta)
    assert got == pytest.approx(expected, abs=1e-6)
    step = np.zeros(7)
    for j in range(7):
        step[:] = 0.0
        step[j] = 1e-5
        up, down = (joint.loglik(spec.statistics, theta + s)[0] for s in (step, -step))
        assert gradient[j] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-5)
    # Everyone there from the start: nothing to condition on.
    early = CoxPH("Surv(stop, dead) ~ treated", data=patients)
    whole, same = (
        JointModel(marker, early, entry=e, **more).statistics for e in ("population", "at_risk")
    )
    assert joint.loglik(whole, theta)[0] == joint.loglik(same, theta)[0]
    parts = joint.within_patients(spec.statistics, theta)
    assert parts.shape == (30,)


def test_patients_with_one_marker_only_count():
    one, two, patients = simulated(40, seed=10)
    markers, (dead, _) = specs(one, two[two["id"] != 105], patients)
    more = {"time": "t", "baseline": "exponential", "link": [value(), None]}
    spec = JointModel(markers, dead, **more)
    assert len(spec.design.labels) == 40
    assert "1 patients without a measurement of albumin count elsewhere only." in spec.design.flags
    # The missing marker's formula needs what only the other marker's data say.
    sexes = one.assign(sex=np.where(one["id"] % 2, "f", "m"))
    both_sexes = two.assign(sex=np.where(two["id"] % 2, "f", "m"))
    with_sex = [
        LMM("bili ~ t + sex + (1 | id)", data=sexes),
        LMM("albumin ~ t + sex + (1 | id)", data=both_sexes[both_sexes["id"] != 105]),
    ]
    design = JointModel(with_sex, dead, time="t", baseline="exponential").design
    rows = design.markers[1].curve.patients.set_index("id")["sex"]
    assert rows[105] == "f" and rows[106] == "m"


def test_links_by_marker_and_cause():
    markers, causes = ["bili", "albumin"], ["dead", "home"]
    v, s = value(), slope()

    def kinds(wanted):
        return [
            [[link.kind for link in of] for of in by] for by in links_of(wanted, markers, causes)
        ]

    assert kinds(v) == [[["value"], ["value"]]] * 2
    assert kinds([v + s, None]) == [[["value", "slope"], []]] * 2
    assert kinds({"albumin": s}) == [[[], ["slope"]]] * 2
    assert kinds({"dead": {"bili": v}, "home": [None, area()]}) == [
        [["value"], []], [[], ["area"]],
    ]  # fmt: skip
    assert kinds({"home": v}) == [[[], []], [["value"], ["value"]]]
    assert kinds(None) == [[[], []]] * 2
    with pytest.raises(LongsurvError, match=r"link names \['albumen'\]; the markers are"):
        links_of({"albumen": v}, markers, causes)
    with pytest.raises(LongsurvError, match="lists 1 links for 2 markers"):
        links_of([v], markers, causes)
    with pytest.raises(LongsurvError, match="names of markers and of causes"):
        links_of({"x": v}, ["x"], ["x"])


def test_what_is_wrong_is_said_with_the_patient():
    one, two, patients = simulated(20, seed=11)
    (bili, albumin), (dead, home) = specs(one, two, patients)

    def design(markers=(bili, albumin), causes=(dead, home)):
        return JointModel(list(markers), list(causes), time="t").design

    late = LMM(albumin.formula, pd.concat([two, two.head(1).assign(t=99.0)]))
    with pytest.raises(DataError, match="id 100 have measurements of albumin after their event"):
        design([bili, late])
    fewer = CoxPH(home.formula, patients[patients["id"] != 103])
    with pytest.raises(DataError, match="id 103 are in the data of 'dead' and not of 'home'"):
        design(causes=[dead, fewer])
    other = CoxPH(home.formula, patients.assign(stop=patients["stop"] + (patients["id"] == 104)))
    with pytest.raises(DataError, match="id 104 have another time of exit in the data of 'home'"):
        design(causes=[dead, other])
    twice = CoxPH(home.formula, patients.assign(home=1))
    with pytest.raises(DataError, match="have events of several causes"):
        design(causes=[dead, twice])
    with pytest.raises(FormulaError, match="no strata"):
        design(causes=[CoxPH("Surv(stop, dead) ~ strata(treated)", patients)])
    with pytest.raises(FormulaError, match="family 'censored', not of family 'student'"):
        design([GLMM(bili.formula, one, family="student")])
    between = one.assign(seen="interval", most=1e9)
    with pytest.raises(FormulaError, match="bili has values between two limits"):
        design([GLMM(bili.formula, between, "censored", censored="seen", upper="most")])
    renamed = LMM("albumin ~ t + (1 | who)", two.rename(columns={"id": "who"}))
    with pytest.raises(FormulaError, match="bili is by 'id', albumin by 'who'"):
        design([bili, renamed])
    with pytest.raises(LongsurvError, match=r"would be called \['bili', 'bili'\]"):
        design([bili, bili])
    with pytest.raises(
        LongsurvError, match="event is CoxPH or Hazard, or several of them by name, not LMM"
    ):
        JointModel(bili, bili, time="t")
    with pytest.raises(LongsurvError, match=r"baseline names \['death'\]; the causes are"):
        JointModel(bili, [dead, home], time="t", baseline={"death": "weibull"}).fit()
    with pytest.raises(LongsurvError, match="entry is one of"):
        JointModel(bili, dead, time="t", entry="late")


def test_a_parametric_hazard_states_the_event_as_well():
    one, two, patients = simulated(40, seed=13)
    (bili, _), (dead, _) = specs(one, two, patients)
    parametric = Hazard(dead.formula, patients, baseline="weibull")
    fits = [JointModel(bili, e, "t", baseline="exponential").fit() for e in (dead, parametric)]
    assert fits[0].llf == fits[1].llf
    assert parametric.default_priors()["treated"] == dead.default_priors()["treated"]
    with pytest.raises(LongsurvError, match="no time-varying hazard ratios"):
        JointModel(bili, Hazard(dead.formula, patients, time_varying=["treated"]), "t")


def test_priors_by_name():
    one, two, patients = simulated(30, seed=12)
    spec = JointModel(*specs(one, two, patients), time="t", baseline="exponential")
    given = {
        "event[home].treated": pr.Normal(0, 0.355),
        "assoc[dead].value[albumin]": pr.Normal(0, 0.1),
        "bili.t": pr.Normal(0, 9),
        "sd(albumin.Intercept|id)": pr.HalfNormal(3.0),
    }
    stack = spec.prior_stack(given, 2.0, None)
    chosen = dict(zip(stack.names, stack.priors, strict=True))
    assert all(chosen[name] == prior for name, prior in given.items())
    assert chosen["assoc[home].value[bili]"].sd == pytest.approx(
        1 / spec.link_sd["assoc[home].value[bili]"]
    )
    theta = np.zeros(len(spec.design.theta_names))
    assert np.isfinite(stack.value_and_gradient(theta)[0])
    scalars = [n for n in spec.design.theta_names if not n.startswith("cor(")]
    assert list(stack.names) == scalars
