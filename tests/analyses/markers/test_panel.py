"""Panel of markers: the table, the joint density and the shrinkage."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import halfnorm, norm

import longsurv as ls
from longsurv.analyses import Panel
from longsurv.analyses.markers.hierarchy import hierarchy
from longsurv.analyses.markers.panel import FAMILY_PRIORS
from longsurv.analyses.markers.responses import in_hierarchy
from longsurv.analyses.markers.shrunken import PanelResults
from longsurv.estimands.changes import Change
from longsurv.inference import added
from longsurv.likelihood.glmm import loglik
from longsurv.likelihood.panel.coordinates import Recentred
from longsurv.likelihood.panel.loglik import log_density
from longsurv.models import GLMM, LMM

CHANGE = Change("phase", "baseline", "after", "treatment", "ivig", "control")
TRAJECTORY = "phase * treatment + (1 | patient)"


@pytest.fixture(scope="module")
def cohort() -> ls.Cohort:
    return ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml")


@pytest.fixture(scope="module")
def panel(cohort: ls.Cohort) -> Panel:
    return Panel.from_cohort(cohort, TRAJECTORY, CHANGE, ["wbc", "crp", "pct", "il6"])


def test_the_table_holds_each_marker_s_own_fit(panel: Panel, cohort: ls.Cohort) -> None:
    table = panel.fit().tidy().set_index("marker")
    alone = LMM(f"y ~ {TRAJECTORY}", cohort.marker_data("crp")).fit().tidy().iloc[-1]
    for column in ("estimate", "std_error", "df", "p_value"):
        assert table.loc["crp", column] == pytest.approx(alone[column], rel=1e-9)
    first = cohort.marker_data("crp").query("phase == 'baseline'")["y"].std()
    # Lower is better: a fall counts as a benefit above 0.
    assert table.loc["crp", "std_estimate"] == pytest.approx(-alone["estimate"] / first, rel=1e-6)
    assert (table["std_low"] < table["std_estimate"]).all()
    assert (table["std_estimate"] < table["std_high"]).all()
    p = table["p_value"].to_numpy()
    assert table["p_holm"].min() == pytest.approx(4 * p.min())
    assert (table["p_fdr"] >= p).all()


def test_values_beyond_a_limit_count_as_beyond_it(panel: Panel, cohort: ls.Cohort) -> None:
    """One of interleukin-6; procalcitonin, which has a limit and no value below it, as measured."""
    kinds = {name: type(member.spec) for name, member in panel.members.items()}
    assert kinds == {"wbc": LMM, "crp": LMM, "pct": LMM, "il6": GLMM}
    data = cohort.marker_data("il6")
    data = data[data["phase"].notna()]
    alone = GLMM(f"y ~ {TRAJECTORY}", data, family="censored", censored="censored").fit()
    row = panel.fit().tidy().set_index("marker").loc["il6"]
    expected = alone.tidy().iloc[-1]
    for column in ("estimate", "std_error", "df", "p_value"):
        assert row[column] == pytest.approx(expected[column], rel=1e-9)
    former = Panel.from_cohort(cohort, TRAJECTORY, CHANGE, ["il6"], beyond_limit="at the limit")
    assert isinstance(former.members["il6"].spec, LMM)
    with pytest.raises(ls.LongsurvError, match="one residual spread"):
        Panel.from_cohort(cohort, TRAJECTORY, CHANGE, ["il6"], residual=ls.Residual(by="treatment"))


def test_components_are_left_out_unless_named(cohort: ls.Cohort) -> None:
    everything = Panel.from_cohort(cohort, TRAJECTORY, CHANGE)
    assert len(everything.members) == 14
    assert set(everything.families) == {"inflammation", "coagulation"}
    with pytest.raises(ls.LongsurvError, match="no markers"):
        Panel.from_cohort(cohort, TRAJECTORY, CHANGE, ["lactate"])


def test_shrinking_needs_a_family(cohort: ls.Cohort) -> None:
    two = Panel.from_cohort(cohort, TRAJECTORY, CHANGE, ["wbc", "crp"])
    with pytest.raises(ls.LongsurvError, match="at least 3 markers"):
        two.shrink()


def test_gradient_of_the_joint_density(panel: Panel, numeric_gradient) -> None:
    layout, stack = hierarchy(panel.members, panel.families, FAMILY_PRIORS)
    coordinates = Recentred.of(layout)
    joint = added(partial(log_density, layout), stack.value_and_gradient)
    rng = np.random.default_rng(5)
    for density in (joint, coordinates.density(joint)):
        for _ in range(5):
            x = coordinates.start() + 0.3 * rng.normal(size=layout.size)
            numeric = numeric_gradient(lambda v, f=density: f(v)[0], x)
            assert density(x)[1] == pytest.approx(numeric, rel=1e-5, abs=1e-5)


def test_the_joint_density_is_the_sum_of_its_parts(panel: Panel) -> None:
    """Against scipy, each marker's own kernel and own priors at its own part of the vector."""
    layout, stack = hierarchy(panel.members, panel.families, FAMILY_PRIORS)
    rng = np.random.default_rng(2)

    def joint(theta: np.ndarray) -> float:
        return log_density(layout, theta)[0] + stack.value_and_gradient(theta)[0]

    def apart(theta: np.ndarray) -> float:
        mu, log_spread = theta[:2]
        total = norm.logpdf(mu) + halfnorm(scale=0.5).logpdf(np.exp(log_spread)) + log_spread
        for member, at in zip(layout.members, layout.offsets, strict=False):
            marker = panel.members[member.name]
            spec, own = marker.spec, theta[layout.order[at : at + len(member.start)]]
            term = "phase[T.after]:treatment[T.ivig]"
            position = spec.design.fixed.names.index(term)
            assert member.pivot == position  # so that this is the coefficient without a prior
            effect = -own[position] / marker.spread
            total += norm(mu, np.exp(log_spread)).logpdf(effect)
            priors = spec.prior_stack(None)
            alone = spec.kernel.loglik if isinstance(spec, LMM) else partial(loglik, spec.arrays)
            total += alone(own)[0] + priors.value_and_gradient(own)[0]
            total -= norm(0.0, priors.priors[position].sd).logpdf(own[position])
        return total

    points = [layout.start() + 0.3 * rng.normal(size=layout.size) for _ in range(4)]
    difference = [joint(x) - apart(x) for x in points]
    assert difference == pytest.approx([difference[0]] * 4, abs=1e-8)  # up to one constant


def test_coordinates_change_variables_exactly(panel: Panel) -> None:
    """The Jacobian against the determinant of finite differences, up to its one constant."""
    layout, _ = hierarchy(panel.members, panel.families, FAMILY_PRIORS)
    coordinates = Recentred.of(layout)
    rng = np.random.default_rng(8)
    steps, offsets = 1e-6 * np.eye(layout.size), []
    for _ in range(4):
        x = coordinates.start() + rng.normal(size=layout.size)
        moved = coordinates.outward(np.array([x + steps, x - steps]))
        determinant = np.linalg.slogdet((moved[0] - moved[1]) / 2e-6)[1]
        offsets.append(determinant - coordinates.log_jacobian(x))
    assert offsets == pytest.approx([offsets[0]] * 4, abs=1e-6)
    # Where u is 0 and the mean of the family is the estimate, so is the effect.
    x = coordinates.start()
    for member in layout.members:
        x[0] = member.effect
        effect = layout.effects(coordinates.outward(x))[layout.members.index(member)]
        assert effect == pytest.approx(member.effect)


def test_markers_with_correlated_effects_keep_their_own_vectors(cohort: ls.Cohort) -> None:
    trajectory = "phase * treatment + (1 + day | patient)"
    panel = Panel.from_cohort(cohort, trajectory, CHANGE, ["crp", "pct", "il6"])
    layout, stack = hierarchy(panel.members, panel.families, FAMILY_PRIORS)
    theta = layout.start()
    for member, at in zip(layout.members, layout.offsets, strict=False):
        own = theta[layout.order[at : at + len(member.start)]]
        np.testing.assert_array_equal(own, in_hierarchy(panel.members[member.name].spec).start)
    assert len(stack.priors) + 3 + 3 == layout.size  # three correlations, three pivots
    assert layout.effects(theta) == pytest.approx([m.effect for m in layout.members])


@pytest.mark.slow
def test_shrinkage_is_that_of_the_normal_hierarchy(panel: Panel) -> None:
    """Against the two-stage posterior on a grid: each marker's own posterior taken as normal.

    The stand-in ignores what the variances' uncertainty does to the tails, so the tolerance is
    a fifth of a posterior standard deviation.
    """
    shrunken = panel.shrink(draws=1000, seed=2, chains=2)
    effects = shrunken.tidy()
    assert (effects["r_hat"] < 1.02).all()
    assert (effects["ess_bulk"] > 200).all()
    raw = panel.fit().tidy()
    d = raw["std_estimate"].to_numpy()
    se = ((raw["std_high"] - raw["std_low"]) / (2 * 2.02)).to_numpy()
    mu, sd = np.meshgrid(np.linspace(-2, 3, 401), np.linspace(0.002, 2.5, 400), indexing="ij")
    log = -0.5 * mu**2 - 0.5 * (sd / 0.5) ** 2
    for x, s in zip(d, se, strict=True):
        v = s**2 + sd**2
        log += -0.5 * np.log(v) - 0.5 * (x - mu) ** 2 / v
    weight = np.exp(log - log.max())
    weight /= weight.sum()
    table = shrunken.tidy().set_index("marker")
    for name, x, s in zip(raw["marker"], d, se, strict=True):
        share = s**2 / (s**2 + sd**2)
        expected = float((weight * (share * mu + (1 - share) * x)).sum())
        row = table.loc[name]
        assert row["estimate"] == pytest.approx(expected, abs=0.2 * row["std_error"])
    # Effects are drawn together: their spread is less than that of the separate estimates.
    assert np.ptp(table["estimate"]) < np.ptp(d)


def test_treatment_relabelled_flips_every_effect(cohort: ls.Cohort, panel: Panel) -> None:
    back = Change("phase", "baseline", "after", "treatment", "control", "ivig")
    turned = Panel.from_cohort(cohort, TRAJECTORY, back, list(panel.members))
    a, b = panel.fit().tidy(), turned.fit().tidy()
    assert b["estimate"].to_numpy() == pytest.approx(-a["estimate"].to_numpy())
    pd.testing.assert_series_equal(a["p_value"], b["p_value"])


@pytest.fixture(scope="module")
def results(cohort: ls.Cohort) -> PanelResults:
    """Three markers of a family, and the JAAM score, which has none."""
    names = ["crp", "pct", "il6", "jaam"]
    return Panel.from_cohort(cohort, TRAJECTORY, CHANGE, names).run(draws=300, chains=2, seed=3)


def test_one_table_of_both_engines(results: PanelResults) -> None:
    table = results.tidy().set_index("marker")
    reml = results.estimate.tidy().set_index("marker")
    bayes = results.posterior.tidy().set_index("marker")
    for column in ("estimate", "conf_low", "conf_high"):
        assert table[f"{column}_ml"].tolist() == pytest.approx(reml[column].tolist())
        assert table[f"{column}_bayes"].tolist() == pytest.approx(bayes[column].tolist())
    assert table["p_holm"].tolist() == reml["p_holm"].tolist()
    # All four are better lower: the probability of benefit is that of a fall.
    assert table["better"].tolist() == ["lower"] * 4
    assert table["prob_benefit_bayes"].tolist() == pytest.approx(1.0 - bayes["prob_positive"])
    ends = table[["conf_low_shrunken", "estimate_shrunken", "conf_high_shrunken"]]
    assert ends.loc["jaam"].isna().all()
    assert (np.diff(ends.drop(index="jaam")) > 0).all()
    # Benefit is more probable than not exactly where most draws are of a fall.
    shrunken = table.drop(index="jaam")
    assert ((shrunken["prob_benefit_shrunken"] > 0.5) == (shrunken["estimate_shrunken"] < 0)).all()


def test_standard_scale_and_named_array(results: PanelResults) -> None:
    table = results.tidy(level=0.9, scale="standard").set_index("marker")
    array = results.to_xarray(level=0.9)
    assert array.dims == ("engine", "marker", "quantity")
    assert array.sel(marker="crp").family == "inflammation"
    for engine in ("ml", "bayes", "shrunken"):
        one = array.sel(engine=engine, marker="pct")
        for quantity in ("estimate", "conf_low", "conf_high"):
            assert float(one.sel(quantity=quantity)) == table.loc["pct", f"{quantity}_{engine}"]
    response = results.tidy(level=0.9).set_index("marker")
    unit = results.estimate.panel.members["pct"].unit
    low, high = response.loc["pct", ["conf_low_shrunken", "conf_high_shrunken"]]
    assert table.loc["pct", "conf_low_shrunken"] == pytest.approx(high / unit)
    assert table.loc["pct", "conf_high_shrunken"] == pytest.approx(low / unit)
    with pytest.raises(ls.LongsurvError, match="scale is"):
        results.tidy(scale="ratio")


def test_every_answer_has_its_verdict(results: PanelResults) -> None:
    verdicts = results.diagnose()
    assert len(verdicts) == 4 + 4 + 1
    assert verdicts["engine"].value_counts().to_dict() == {"ml": 4, "bayes": 4, "shrunken": 1}
    assert verdicts.loc[verdicts["engine"] == "ml", "ok"].all()
    assert verdicts["words"].str.len().gt(10).all()


def test_the_shrunken_draws_are_of_the_joint_density(results: PanelResults) -> None:
    panel, shrunken = results.estimate.panel, results.shrunken
    assert shrunken is not None
    layout, stack = hierarchy(panel.members, panel.families, FAMILY_PRIORS)
    joint = added(partial(log_density, layout), stack.value_and_gradient)
    for k in range(5):
        theta = shrunken.draws.theta[1, k]
        assert shrunken.draws.stats["lp"][1, k] == pytest.approx(joint(theta)[0], abs=1e-6)
        assert shrunken.effects[1, k] == pytest.approx(layout.effects(theta))
    # The mode is one of the coordinates sampled in, but in the joint vector's own units.
    assert layout.effects(shrunken.mode.x) == pytest.approx(
        shrunken.tidy()["estimate"].to_numpy(), abs=0.2
    )
    again = panel.shrink(draws=300, tune=300, seed=3, chains=2)
    np.testing.assert_array_equal(again.effects, shrunken.effects)


def test_without_a_family_the_shrunken_columns_are_empty(cohort: ls.Cohort) -> None:
    results = Panel.from_cohort(cohort, TRAJECTORY, CHANGE, ["crp"]).run(
        draws=100, tune=100, chains=2
    )
    assert results.shrunken is None
    assert results.tidy()["estimate_shrunken"].isna().all()
    assert np.isnan(results.to_xarray().sel(engine="shrunken")).all()


def test_a_marker_never_measured_at_the_end_has_a_row_with_the_reason(cohort: ls.Cohort) -> None:
    measurements = cohort.measurements
    late = (measurements["marker"] == "pct") & (measurements["phase"] == "after")
    schema = cohort.schema
    left = measurements[~late].drop(columns=["phase"])
    again = ls.Cohort(
        cohort.patients, left[[schema.patient, schema.time, "marker", "value"]], schema,
        cohort.markers,
    )  # fmt: skip
    panel = Panel.from_cohort(again, TRAJECTORY, CHANGE, ["wbc", "crp", "pct"])
    assert list(panel.members) == ["wbc", "crp"]
    table = panel.fit().tidy().set_index("marker")
    assert "no measurement at phase 'after'" in table.loc["pct", "note"]
    assert table.loc["pct", ["estimate", "std_error", "p_value", "std_estimate"]].isna().all()
    both = Panel.from_cohort(cohort, TRAJECTORY, CHANGE, ["wbc", "crp"]).fit().tidy()
    expected = both.set_index("marker")["p_holm"]
    assert table["p_holm"].dropna().tolist() == pytest.approx(expected.tolist())
    with pytest.raises(ls.EstimationError, match="pct: there is no measurement at phase"):
        Panel.from_cohort(again, TRAJECTORY, CHANGE, ["pct"])
