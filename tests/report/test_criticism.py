"""What the report says of how its models fit is what the fits' own methods say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from longsurv import numbers
from longsurv.analyses import BaselineAdjustment
from longsurv.estimands.adjusted_curves import weighted_comparison
from longsurv.estimands.standardised import risk_difference
from longsurv.estimands.weighting import propensity_weights
from longsurv.figures.model_checks import positions
from longsurv.models import CoxPH
from longsurv.priors import Mixture, Normal
from longsurv.report import sentences_adjusted, sentences_checks
from longsurv.report.sections import criticism
from longsurv.report.sections.common import Picture
from longsurv.report.sections.mortality_adjusted import adjusted_part, risks_at_end
from longsurv.report.sections.mortality_priors import PERCENTILES, treated_risk
from longsurv.report.sections.trajectories import FEWEST
from longsurv.report.sentences import Answer
from longsurv.report.sentences_mortality import Compared
from longsurv.report.sentences_unseen import left_early
from longsurv.study import StudyResults
from longsurv.study.adjusted_curves import CURVES
from longsurv.study.criticism import ADJUSTED, CRITICISM, TRAJECTORY, Criticism

ASKED = Compared("active", "control", "death", "by 28 days")


def test_lines_count_what_the_tables_hold(results: StudyResults) -> None:
    found, part = results.parts[CRITICISM], criticism.build(results)
    assert part is not None
    lines = {text.split()[0]: text for text in part.items if isinstance(text, str)}
    fit = results.markers["crp"].fit
    assert fit is not None
    bands = fit.residual_bands()
    kinds = found.residuals.groupby(["label", "model"])
    own = kinds.get_group(("CRP", TRAJECTORY))
    np.testing.assert_allclose(own["observed"], bands["observed"])
    models = len(kinds)
    assert f"{models} marker models" in lines["Residuals"]
    out = int((np.abs(positions(found.replicates)) > 1).sum())
    total = len(found.replicates)
    expected = f"all {total} statistics" if not out else f"{total - out} of {total} statistics"
    assert expected in lines["Data"]
    whole = results.mortality.fit.proportional_hazards().table.iloc[-1]  # type: ignore[union-attr]
    assert found.hazards["p_value"].iloc[-1] == pytest.approx(whole["p_value"])
    tested = int(found.lines["p_value"].notna().sum())
    assert f"{tested} straight line" in lines["Linearity:"]
    assert set(found.lines["covariate"]) == {"baseline value"}  # phases, arms: factors


def test_changes_adjusted_for_the_baseline_have_residuals_of_their_own(
    results: StudyResults,
) -> None:
    found: Criticism = results.parts[CRITICISM]
    asked = BaselineAdjustment(results.cohort, "crp", results.study.contrasts[0])
    fit = asked.spec("baseline")[0].fit()
    expected = [fit.residual_bands(), fit.qq()]
    for table, other in zip((found.residuals, found.quantiles), expected, strict=True):
        own = table[(table["label"] == "CRP") & (table["model"] == ADJUSTED)]
        np.testing.assert_allclose(own["observed"], other["observed"])
    shown = drawings(results)
    assert {"residual-bands", "residual-bands-adjusted", "quantiles-adjusted"} <= set(shown)
    assert "adjusted for its baseline value" in shown["quantiles-adjusted"].caption
    both = found.quantiles.assign(out=found.quantiles["model"] == ADJUSTED)
    part = criticism.build(
        replace(results, parts={**results.parts, CRITICISM: replace(found, quantiles=both)})
    )
    assert part is not None
    assert "leave theirs in CRP, adjusted" in str(part.items[0])


def drawings(results: StudyResults) -> dict[str, Picture]:
    part = criticism.build(results)
    assert part is not None
    return {p.name: p for p in part.more if isinstance(p, Picture)}


def test_a_run_without_checks_has_no_heading_of_them(results: StudyResults) -> None:
    left = {key: part for key, part in results.parts.items() if key != CRITICISM}
    assert criticism.build(replace(results, parts=left)) is None


def test_figures_hold_no_single_residual_unless_patients_are_shown(results: StudyResults) -> None:
    pictures = drawings(results)
    quantiles = results.parts[CRITICISM].quantiles
    values = quantiles["observed"].to_numpy()

    def drawn(picture: Picture) -> np.ndarray:
        figure = picture.draw(860.0).figure
        lines = [line for ax in figure.axes for line in ax.get_lines()]
        return np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])

    names = ["quantiles", "quantiles-adjusted"]
    for name in names:
        assert not np.isin(drawn(pictures[name]), values).any()
    shown = drawings(replace(results, study=replace(results.study, show_patients=True)))
    assert np.isin(values, np.concatenate([drawn(shown[name]) for name in names])).all()


@pytest.mark.parametrize("n", [1, 4, 5, 9, 10, 23])
def test_means_are_of_five_neighbours_or_more(n: int) -> None:
    x = np.arange(n, dtype=float)
    table = pd.DataFrame({"theoretical": x, "observed": x**2, "low": x, "high": x})
    found = criticism.averaged(table)
    assert len(found) == max(n // FEWEST, 1)
    assert found["theoretical"].iloc[0] == x[: max(FEWEST, n if n < 2 * FEWEST else 0)].mean()
    assert len(table) / len(found) >= min(FEWEST, n)


def test_of_each_statistic_the_furthest_is_told_and_all_that_lie_outside() -> None:
    rows = [("a", "mean", 0.2), ("b", "mean", -0.9), ("c", "mean", 0.1), ("a", "SD", 1.5),
            ("b", "SD", -2.0), ("c", "SD", 0.9), ("a", "events", 0.0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["label", "statistic", "observed"], index=range(3, 10))
    found = criticism.furthest(table.assign(conf_low=-1.0, conf_high=1.0))
    told = list(zip(found["label"], found["statistic"], found["models"], strict=True))
    assert told == [("b", "mean", 3), ("b", "SD", 3), ("a", "SD", 3), ("a", "events", 1)]


def test_events_are_no_measured_values(results: StudyResults) -> None:
    found = results.parts[CRITICISM]
    events = found.replicates.assign(of="events", label="CRP, joint", part="survival")
    both = replace(found, replicates=pd.concat([found.replicates, events], ignore_index=True))
    pd.testing.assert_frame_equal(both.measured, found.replicates)


def test_statistics_of_events_have_the_unit_of_their_times() -> None:
    names = ["survival at 0.5", "incidence by 20", "mean time of events", "events", "mean"]
    table = pd.DataFrame({"statistic": names, "of": ["events"] * 4 + ["values"]})
    told = Criticism(replicates=table).replicates_in("weeks")["statistic"].tolist()
    assert told == ["survival at 0.5 weeks", "incidence by 20 weeks",
                    "mean time of events, weeks", "events", "mean"]  # fmt: skip


def test_sentences_say_which_and_how_many() -> None:
    said = sentences_checks.residuals(14, ["CRP"], [], 4)
    assert (
        said
        == "Residuals of 14 marker models against bands of 95 %: quantiles leave theirs in CRP."
    )
    assert "all within theirs" in sentences_checks.residuals(1, [], [], 4)
    many = [f"m{k}" for k in range(6)]
    assert "6 (m0, m1, m2, m3 and others)" in sentences_checks.residuals(9, [], many, 4)
    assert "all 12 statistics" in sentences_checks.replicates(2, 12, [], 4)
    assert "11 of 12 statistics" in sentences_checks.replicates(2, 12, ["CRP: mean"], 4)
    few = sentences_checks.proportional(0.41, 5, 1, [])
    assert "p = 0.41" in few and "5 events the test can hardly see a change" in few
    assert "no sign" in sentences_checks.proportional(0.41, 150, 1, [])
    moving = sentences_checks.proportional(0.0004, 150, 1, ["age"])
    assert "p <0.001" in moving and "of age seems to change" in moving
    assert "cannot be tested" in sentences_checks.proportional(math.nan, 1, 1, [])
    tests = [("CRP, baseline value", 0.02, 0.28), ("age", 0.5, 0.5)]
    assert "1 fits better bent at p < 0.05, most CRP, baseline value (lowest p: 0.020, 0.280" in (
        sentences_checks.straight(tests)
    )
    assert "none is better bent (p: 0.500)" in sentences_checks.straight(tests[1:])


@pytest.mark.parametrize(
    "prior", [Normal(0.0, 1.0), Mixture((Normal(-0.5, 0.3), Normal(0.0, 1.0)), (0.7, 0.3))]
)
def test_percentiles_of_the_treated_risk_are_those_of_draws(prior) -> None:
    rng = np.random.default_rng(1)
    if isinstance(prior, Normal):
        draws = rng.normal(0.0, 1.0, 400_000)
    else:
        first = rng.random(400_000) < 0.7
        draws = np.where(first, rng.normal(-0.5, 0.3, 400_000), rng.normal(0.0, 1.0, 400_000))
    risks = 1.0 - (1.0 - 0.18) ** np.exp(draws)
    exact = [treated_risk(prior, 0.18, p / 100) for p in PERCENTILES]
    np.testing.assert_allclose(exact, np.percentile(risks, PERCENTILES), atol=0.004)
    if isinstance(prior, Normal):
        expected = 1 - 0.82 ** np.exp(stats.norm.ppf(0.975))
        assert exact[-1] == pytest.approx(expected, rel=1e-12)


def test_the_line_of_the_priors_names_the_narrowest_and_the_widest() -> None:
    spans = {"flat": (0.001, 0.999), "weak": (0.03, 0.7), "sceptical": (0.1, 0.3)}
    assert sentences_adjusted.prior_predictive(spans, 0.18, ASKED) == (
        "Before the data, if the risk in control is 18 %, that in active was with 95 % probability"
        " 10 to 30 % (sceptical prior) or 0 to 100 % (flat prior)."
    )


def test_adjusted_curves_end_where_the_comparisons_say(results: StudyResults) -> None:
    part = results.parts[CURVES]
    data = results.cohort.survival_data()
    found = risks_at_end(part)
    weights = propensity_weights(data, "arm", "age + sex", target="overlap")
    compared = weighted_comparison(weights, data, 28.0).set_index("quantity")["estimate"]
    np.testing.assert_allclose(
        found["weighted"], [compared["risk of active"], compared["risk of control"]], atol=1e-9
    )
    (name,) = part["standardised_for"]
    fit = CoxPH(f"Surv(entry, exit, event) ~ arm + {name}", data).fit(penalty="firth")
    risks = risk_difference(fit, "arm", 28.0).set_index("term")["estimate"]
    np.testing.assert_allclose(
        found["standardised"], [risks["risk (active)"], risks["risk (control)"]], atol=1e-9
    )
    text = adjusted_part(results).items[0]  # type: ignore[union-attr]
    assert f"{100 * found['weighted'][0]:.1f} % in active" in text
    assert f"{100 * found['weighted'][1]:.1f} % in control" in text


def test_who_left_by_a_competing_event_is_counted() -> None:
    one = left_early(1, "discharge alive", ASKED)
    assert one == (
        "1 patient left by discharge alive before 28 days: a later death of theirs is not counted."
    )
    assert left_early(9, "transplantation", ASKED).startswith("9 patients left by transplantation")


def test_no_decimal_is_smaller_than_what_chance_would_change() -> None:
    answer = Answer(0.4621, 0.1186, 1.8712, True, mcse=0.0041)
    assert (answer.point, answer.interval) == ("0.46", "0.12 to 1.87")
    assert replace(answer, mcse=math.nan).text == "0.462 (0.119 to 1.87)"
    exact = Answer(-12.34, -30.2, 5.6, mcse=0.2)
    assert exact.text == numbers.difference(-12, -30, 6).replace(".0", "")


def test_tables_of_changes_have_the_monte_carlo_error(results: StudyResults) -> None:
    table = results.changes
    bayes = table[(table["engine"] == "bayes") & table["estimate"].notna()]
    assert (bayes["mcse"] > 0).all() and table.loc[table["engine"] == "ml", "mcse"].isna().all()
    crp = bayes[bayes["marker"] == "crp"].iloc[0]  # a ratio
    post = results.markers["crp"].post
    term = next(name for name in post.names if ":" in name)  # type: ignore[union-attr]
    row = post.tidy().set_index("term").loc[term]  # type: ignore[union-attr]
    assert crp["mcse"] == pytest.approx(row["mcse_mean"] * crp["estimate"], rel=1e-6)
