"""Joint models of data that do not determine them: no number, and the reason."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from longsurv.errors import DataError, EstimationError
from longsurv.likelihood.joint.data import marker_data
from longsurv.likelihood.joint.separable import inseparable
from longsurv.models import GLMM, LMM, CoxPH, JointModel, slope, value

sys.path.append(str(Path(__file__).resolve().parents[1] / "support"))
from joint_cohorts import joint, simulated


@cache
def cohort(n=80, seed=3):
    return simulated(np.random.default_rng(seed), n)


def test_the_slope_of_a_random_intercept():
    """The same for all patients: association and level are one line; the rest is that without it.

    The hazard's other coefficients are those of a model without a link.
    """
    rows, patients = cohort()
    marker = "y ~ t + (1 | id)"
    fit = joint(rows, patients, marker=marker, link=slope()).fit()
    without = joint(rows, patients, marker=marker, link=None).fit()
    assert not fit.converged and without.converged
    assert fit.undetermined == ("assoc.slope", "baseline.log_hazard")
    assert fit.llf == pytest.approx(without.llf, abs=1e-6)
    for name in without.names:
        if name not in fit.undetermined:
            assert fit.params[name] == pytest.approx(without.params[name], abs=1e-4)
            assert fit.bse[name] == pytest.approx(without.bse[name], rel=1e-3)
    assert fit.tidy().set_index("term").loc["assoc.slope"].isna().all()
    assert any("assoc.slope" in flag and "slope" in flag for flag in fit.flags)
    assert fit.association()["words"].str.startswith("The data do not determine").all()
    assert "assoc.slope" in repr(fit)
    assert not fit.diagnose().ok
    # The survival of a patient does not depend on where along the line it is.
    person, asked = rows[rows["id"] == rows["id"].iloc[0]], {"at": 1.0, "times": [3.0], "draws": 2}
    found = [one.predict_survival(person, **asked)["estimate"].item() for one in (fit, without)]
    assert found[0] == pytest.approx(found[1], abs=1e-5)


def test_what_happens_to_a_group_without_events_is_not_known():
    """There the hazard has no estimate: survival of 1, without an error, would be none either."""
    rows, patients = cohort()
    patients = patients.assign(event=patients["event"] * (1 - patients["treated"]))
    rows = rows.drop(columns="treated", errors="ignore").merge(patients[["id", "treated"]], on="id")
    fit = joint(rows, patients, marker="y ~ t + (t | id)").fit()
    assert "event.treated" in fit.undetermined
    asked = {"at": 1.0, "times": [3.0], "draws": 5}
    for treated, whose in rows[rows["id"].isin(rows["id"].unique()[:9])].groupby("treated"):
        for ask in (fit.predict_survival, fit.predict_incidence):
            if treated:
                with pytest.raises(EstimationError, match=r"is not known: .* event\.treated"):
                    ask(whose, **asked)
            else:
                found = ask(whose, **asked)
                assert (found["std_error"] > 0.0).all() and found["estimate"].between(0, 1).all()
        assert np.isfinite(fit.predict_marker(whose, **asked)["estimate"]).all()


def all_below(rows, patients):
    """Every value of the treated lies below a limit, and of the others three in ten."""
    rows = rows.drop(columns="treated", errors="ignore").merge(patients[["id", "treated"]], on="id")
    limit = np.where(rows["treated"] == 1, rows["y"].max(), rows["y"].quantile(0.3))
    kind = np.where((rows["treated"] == 1) | (rows["y"] < limit), "left", "none")
    return rows.assign(y=rows["y"].clip(lower=limit), kind=kind)


def test_the_curve_of_a_group_that_lies_beyond_a_limit_is_not_known():
    rows, patients = cohort()
    rows = all_below(rows, patients)
    marker = GLMM("y ~ t + treated + (1 | id)", rows, family="censored", censored="kind")
    event = CoxPH("Surv(stop, event) ~ treated", patients)
    fit = JointModel(marker, event, time="t", baseline="weibull").fit()
    assert "treated" in fit.undetermined
    asked = {"at": 1.0, "times": [0.5, 3.0], "draws": 5}
    few = rows[rows["id"].isin(rows["id"].unique()[:6])]
    for treated, whose in few.groupby("treated"):
        for at in (0.0, 1.0):
            if treated:
                with pytest.raises(EstimationError, match=r"the curve of 3 .* treated, "):
                    fit.predict_marker(whose, **asked | {"at": at})
            else:
                found = fit.predict_marker(whose, **asked | {"at": at})
                assert found["std_error"].between(0.0, 2.0, "neither").all()
        later = {"at": 1.0, "times": [3.0], "draws": 5}
        for ask in (fit.predict_survival, fit.predict_incidence):
            if treated:
                with pytest.raises(EstimationError, match=r"what happens to 3 .* treated, "):
                    ask(whose, **later)
            else:  # nobody's survival was known because of the others' marker
                assert ask(whose, **later)["std_error"].between(0.0, 0.5, "neither").all()
    who = few.groupby("id").head(1)
    mean = fit.predict(who).set_index("treated")["estimate"]
    assert mean.loc[1].isna().all() and mean.loc[0].notna().all()


def test_two_markers_that_are_one():
    rows, patients = cohort()
    twice = rows.assign(twice=2.0 * rows["y"])
    markers = [LMM("y ~ t + (t | id)", twice), LMM("twice ~ t + (t | id)", twice)]
    event = CoxPH("Surv(stop, event) ~ treated", patients)
    with pytest.raises(EstimationError, match=r"assoc\.value\[y\], assoc\.value\[twice\]"):
        JointModel(markers, event, time="t", baseline="weibull").fit()


@pytest.mark.parametrize("marker", ["y ~ 1 + (1 | id)", "y ~ t + (t | id)", "y ~ 1 + (t | id)"])
def test_one_value_a_patient(marker):
    rows, patients = cohort()
    why = "80 values of 80 patients"
    if "t" in marker.split("~")[1]:  # of whose curve after time 0 nothing is known, either
        why = r"markers' curves until every patient's exit.*: t is left out"
    with pytest.raises((EstimationError, DataError), match=why):
        joint(rows[rows["t"] == 0], patients, marker=marker).fit()


@pytest.mark.parametrize(
    ("times", "Z", "told"),
    [
        ([[0.0]] * 5, "1", False),
        ([[0.0, 1.0]] * 5, "1", True),
        ([[0.0, 1.0]] * 5, "1 + t", False),
        ([[0.0, 1.0], [0.0, 2.0], [0.0, 3.0], [0.0, 2.5], [0.0, 0.5]], "1 + t", True),
        ([[0.0, 1.0, 2.0]] * 5, "1 + t", True),
        ([[0.0, 1.0], [0.0], [1.0]], "1 + t", False),
    ],
)
def test_separable_variances(times, Z, told):
    """Against the rank of the covariances' derivatives, written out."""
    t = np.concatenate(times)
    group = np.repeat(np.arange(len(times)), [len(one) for one in times])
    columns = np.column_stack([np.ones(len(t)), t]) if "t" in Z else np.ones((len(t), 1))
    arrays = marker_data(np.ones((len(t), 1)), t, columns, group, len(times))
    assert (inseparable(arrays) == "") is told
    q = columns.shape[1]
    stacked = []
    for i, j in zip(*np.tril_indices(q), strict=True):
        E = np.zeros((q, q))
        E[i, j] = E[j, i] = 1.0
        stacked.append((columns @ E @ columns.T * (group[:, None] == group)).ravel())
    D = np.array(stacked).T
    whole = np.column_stack([D, np.eye(len(t)).ravel()])
    assert bool(np.linalg.matrix_rank(whole) > np.linalg.matrix_rank(D)) is told


@pytest.mark.parametrize("baseline", ["spline", "weibull", "exponential", "piecewise"])
@pytest.mark.parametrize("seed", range(4))
def test_one_event(seed, baseline):
    """An answer with its reservations, or a refusal; nothing else, and never NumPy's."""
    rows, patients = cohort(12, seed)
    first = patients.index[patients["event"] == 1][0]
    patients = patients.assign(event=(patients.index == first).astype(int))
    try:
        fit = joint(rows, patients, baseline=baseline).fit()
    except EstimationError as refusal:
        assert "1 event for" in str(refusal)
        return
    assert not fit.converged
    assert np.isnan(fit.params["event.treated"])
    assert (fit.bse.dropna() < 10.0).all()


def test_a_group_without_events():
    """The direction is told, and the other estimates are those of the rest of the model."""
    rows, patients = cohort()
    patients = patients.assign(event=patients["event"] * (patients["treated"] == 0))
    fit = joint(rows, patients).fit()
    assert not fit.converged
    assert np.isnan(fit.params["event.treated"]) and np.isnan(fit.bse["event.treated"])
    assert any("event.treated gets smaller" in flag for flag in fit.flags)
    held = fit.theta.copy()
    held[fit.design.theta_names.index("event.treated")] -= 10.0
    assert np.isfinite(fit.params["assoc.value"]) and fit.bse["assoc.value"] < 1.0


@pytest.mark.parametrize("seed", range(4))
def test_survival_to_entry_with_a_spline(seed):
    rows, patients = simulated(np.random.default_rng(seed), 60, late=2.0)
    entry = rows["id"].map(patients.set_index("id")["entry"])
    model = joint(rows[rows["t"] >= entry], patients, "spline", late=True, entry="population")
    try:
        fit = model.fit()
    except EstimationError as refusal:
        assert "rises without end along baseline.spline" in str(refusal)
        return
    named = set(fit.undetermined)
    assert fit.converged == (not named)
    assert fit.params.drop(list(named)).abs().max() < 50.0


@pytest.mark.parametrize("scale", [1e-4, 1e4])
def test_a_refusal_does_not_depend_on_units(scale):
    rows, patients = cohort(12, 1)
    first = patients.index[patients["event"] == 1][0]
    patients = patients.assign(event=(patients.index == first).astype(int))
    said = []
    for k in (1.0, scale):
        with pytest.raises(EstimationError) as refusal:
            joint(rows.assign(y=k * rows["y"]), patients, "spline", link=value()).fit()
        said.append(str(refusal.value))
    assert said[0] == said[1]
