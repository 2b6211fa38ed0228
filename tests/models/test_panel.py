"""Panel of markers: the table, the joint density and the shrinkage."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv import priors as pr
from longsurv.estimands.changes import Change
from longsurv.likelihood.panel import log_density
from longsurv.models import LMM, Panel
from longsurv.models.panel import FAMILY_PRIORS

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
    layout = panel._layout()
    hyper = pr.PriorStack(tuple(FAMILY_PRIORS), tuple(FAMILY_PRIORS.values()))
    rng = np.random.default_rng(5)
    for _ in range(10):
        theta = layout.start() + 0.3 * rng.normal(size=layout.size)

        def density(x: np.ndarray) -> float:
            return log_density(layout, hyper.value_and_gradient, x)[0]

        exact = log_density(layout, hyper.value_and_gradient, theta)[1]
        assert exact == pytest.approx(numeric_gradient(density, theta), rel=1e-5, abs=1e-5)


@pytest.mark.slow
def test_shrinkage_is_that_of_the_normal_hierarchy(panel: Panel) -> None:
    """Against the two-stage posterior on a grid: each marker's own posterior taken as normal.

    The stand-in ignores what the variances' uncertainty does to the tails, so the tolerance is
    a fifth of a posterior standard deviation.
    """
    shrunken = panel.shrink(draws=1000, seed=2)
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
