"""What an analysis found, read and drawn: every number is that of its table."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import longsurv as ls
from longsurv.analyses import BaselineAdjustment, Mortality, Panel
from longsurv.errors import LongsurvError
from longsurv.estimands.changes import Change

CHANGE = Change("phase", "baseline", "after", "treatment", "ivig", "control")


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def cohort() -> ls.Cohort:
    return ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml")


@pytest.fixture(scope="module")
def mortality(cohort: ls.Cohort) -> Mortality:
    return Mortality(cohort)


def places(ax: Axes) -> np.ndarray:
    """Where lines begin and end across."""
    return np.concatenate([np.atleast_1d(np.asarray(x.get_xdata(), float)) for x in ax.lines])


def shows(ax: Axes, values: object) -> bool:
    return all(np.isclose(places(ax), v).any() for v in np.ravel(np.asarray(values, float)))


def test_methods_are_drawn_by_quantity(mortality: Mortality) -> None:
    found = mortality.methods(draws=20)
    for quantity in ("hazard ratio", "risk difference"):
        ax, table = found.plot(quantity), found.of(quantity)
        assert shows(ax, table["estimate"].dropna())
        assert (ax.get_xscale() == "log") == (quantity == "hazard ratio")
        assert ax.get_label().count(";") == len(table) - 1
    text = str(found.summary())
    assert "1 of 19" in text and "Note: risk difference, overlap weights: no usable answer" in text
    with pytest.raises(LongsurvError, match="quantity is one of"):
        found.plot("hazzard ratio")


def test_every_prior_has_its_panel(mortality: Mortality) -> None:
    grid = mortality.prior_grid(draws=20, chains=1)
    ax = grid.plot()
    assert len(ax.figure.axes) == len(grid.table) == len(grid.posteriors)
    sceptical = ax.figure.axes[list(grid.table["prior"]).index("sceptical")]
    x, density = (np.asarray(part, float) for part in sceptical.lines[1].get_data())
    expected = np.exp(-0.5 * (x / 0.355) ** 2) / (0.355 * np.sqrt(2 * np.pi))
    assert density == pytest.approx(expected, rel=1e-3)
    text = str(grid.summary())
    assert "sceptical" in text and "P(lower risk)" in text


def test_incidences_end_where_their_table_does(mortality: Mortality) -> None:
    found = mortality.competing(draws=50)
    ax = found.plot()
    assert [panel.get_title(loc="left") for panel in ax.figure.axes] == list(found.causes)
    table = found.table[
        (found.table["engine"] == "frequentist") & (found.table["cause"] == "event")
    ]
    risks = table.set_index("quantity")["estimate"]
    ends = sorted(float(line.get_ydata()[-1]) for line in ax.lines)
    assert ends == pytest.approx(sorted([risks["risk of ivig"], risks["risk of control"]]))


def test_a_panel_is_drawn_marker_by_marker(cohort: ls.Cohort) -> None:
    formula = "phase * treatment + (1 | patient)"
    panel = Panel.from_cohort(cohort, formula, CHANGE, ["crp", "pct", "il6", "sofa"])
    fits = panel.fit()
    ax = fits.plot()
    assert shows(ax, fits.tidy()[["std_estimate", "std_low", "std_high"]])
    assert "benefit" in " ".join(text.get_text() for text in ax.texts)
    assert "pct" in str(fits.summary())
    shrunken = panel.shrink(draws=20, tune=20, chains=1)
    assert shows(shrunken.plot(), shrunken.tidy()["estimate"])


def test_adjustments_are_drawn_beside_each_other(cohort: ls.Cohort) -> None:
    found = BaselineAdjustment(cohort, "pct", CHANGE).fit()
    ax = found.plot()
    assert shows(ax, found.table[["std_estimate", "std_low", "std_high"]])
    assert shows(found.plot("ratio"), found.table["estimate"])
    assert "effective sample size" in str(found.summary())
    assert "Overlap-weighted" in found._repr_html_()


def test_what_a_simulation_found_is_read_and_drawn(cohort: ls.Cohort) -> None:
    study = ls.Study.from_toml(ls.example_path("ivig_sepsis") / "study.toml")
    found = ls.operating_characteristics(study, ["null", "hr=0.5"], cohorts=2)
    assert shows(found.plot(), found.table["power"])
    text = str(found.summary())
    assert "Cohorts:" in text and "false alarms" in text and "Reconstructed" in text


def test_two_answers_are_drawn_one_under_the_other(cohort: ls.Cohort) -> None:
    model = ls.models.LMM("y ~ phase + (1 | patient)", cohort.marker_data("crp"))
    table = ls.compare(model.fit(df="normal"), model.sample(draws=20, chains=1, seed=1))
    ax = table.plot()
    assert shows(ax, table[["estimate_ml", "conf_low_ml", "estimate_bayes", "conf_high_bayes"]])
    assert type(table.iloc[:2]).__name__ == "DataFrame"
    with pytest.raises(LongsurvError, match="lost columns"):
        type(table)(table.drop(columns="verdict")).summary()
