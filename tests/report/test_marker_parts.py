"""What is asked of the markers beyond their change: tables, figures, and reasons for none."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from longsurv.figures.scores import score_shares
from longsurv.figures.shrinkage import MEAN, shrinkage
from longsurv.figures.trajectories import trajectory
from longsurv.report.sections import adjustments, markers, panel, scores, trajectories
from longsurv.report.tables.scores import percentages, shares_display
from longsurv.report.tables.shrinkage import shrunken_display
from longsurv.study import StudyResults
from longsurv.study.tables.scores import CHANGE
from longsurv.study.tables.scores import MEAN as MEANS
from longsurv.study.tables.shrinkage import families_table, shrunken_table

GROUPS = ["control", "active"]


def uncut(ax) -> list[str]:
    """Texts that reach beyond their figure; there should be none."""
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    renderer, edge = canvas.get_renderer(), ax.figure.bbox
    found = []
    for text in ax.figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent(renderer)
            if box.x0 < -1 or box.x1 > edge.width + 1 or box.y0 < -1 or box.y1 > edge.height + 1:
                found.append(text.get_text())
    return found


def test_unadjusted_answers_are_those_of_the_markers_stage(results: StudyResults) -> None:
    table = results.tables["adjustments"]
    own = table[table["adjustment"] == "unadjusted"].set_index(["marker", "engine"])["estimate"]
    changes = results.changes.set_index(["marker", "engine"])["estimate"]
    known = own.dropna()
    assert len(known) == 6
    assert known.to_numpy() == pytest.approx(changes.loc[known.index].to_numpy(), rel=1e-12)
    assert set(table["adjustment"]) == {"unadjusted", "baseline", "overlap"}  # not randomised
    reasons = table.loc[table["marker"] == "flat", "reason"]
    assert (reasons.str.contains("every value is the same")).all()


def test_shrunken_effects_lie_nearer_to_their_family(results: StudyResults) -> None:
    table = results.tables["shrunken"].set_index("marker")
    inside = table[table["estimate_shrunken"].notna()]
    assert list(inside.index) == ["crp", "plt", "dic"]
    assert inside["estimate_shrunken"].std() < inside["estimate_bayes"].std()
    own = results.changes.query("engine == 'bayes'").set_index("marker")["std_estimate"]
    towards = inside["better"].map({"lower": -1.0, "higher": 1.0})
    assert inside["estimate_bayes"].to_numpy() == pytest.approx(
        (towards * own.loc[inside.index]).to_numpy()
    )
    fdr = results.changes.query("engine == 'ml'").set_index("marker")["p_fdr"]
    assert inside["p_fdr"].to_numpy() == pytest.approx(fdr.loc[inside.index].to_numpy())
    assert "every value is the same" in table.loc["flat", "reason"]
    assert "no patient has a second value" in table.loc["once", "reason"]


def test_scores_are_the_observed_shares_give_or_take(results: StudyResults) -> None:
    table = results.tables["scores"]
    means = table[(table["what"] == MEANS) & (table["quantity"] == "share")]
    assert len(means) == 2 * 2 * 2 * 2  # groups, phases, models, engines
    assert np.abs(means["estimate"] - means["observed"]).max() < 0.12
    data = results.cohort.marker_data("dic")
    cell = data[(data["arm"] == "active") & (data["phase"] == "after")]["value"] >= 4
    row = means[(means["level"] == "active") & (means["phase"] == "after")].iloc[0]
    assert (row["observed"], row["n"]) == (cell.mean(), len(cell))
    changes = table[table["what"] == CHANGE].set_index(["model", "quantity", "engine"])
    for model, engine in (("binary", "ml"), ("ordinal", "ml"), ("binary", "bayes")):
        of = means[(means["model"] == model) & (means["engine"] == engine)]
        share = of.set_index(["level", "phase"])["estimate"]
        by_hand = (share["active", "after"] - share["active", "before"]) - (
            share["control", "after"] - share["control", "before"]
        )
        assert changes.loc[(model, "share", engine), "estimate"] == pytest.approx(by_hand)


def test_a_share_reads_as_a_percentage() -> None:
    row = pd.Series({"estimate": 0.556, "conf_low": 0.348, "conf_high": 0.746})
    assert percentages(row) == "56\N{NO-BREAK SPACE}% (35 to 75)"
    assert percentages(row * np.nan) == "\N{EN DASH}"


def test_a_missing_engine_leaves_a_dash(results: StudyResults) -> None:
    table = results.tables["scores"]
    lacking = table[(table["model"] != "binary") | (table["engine"] != "ml")]
    shown = shares_display(lacking, "Shares")
    assert [row[3] for row in shown.rows] == ["\N{EN DASH}"] * 4
    assert all("%" in cell for row in shown.rows for cell in row[4:])


@pytest.mark.parametrize("width", [860, 358])
def test_figures_hold_every_answer_and_cut_no_text(results: StudyResults, width: float) -> None:
    (one,) = results.parts["panel"].changes
    table = shrunken_table(results, one)
    families = families_table(one, table)
    ax = shrinkage(table, families, width=width, left_label="worse", right_label="better")
    drawn = [float(line.get_xdata()[0]) for line in ax.lines if line.get_marker() in ("o", "D")]
    inside = table[table["estimate_shrunken"].notna()]
    expected = [*inside["estimate_bayes"], *inside["estimate_shrunken"], *families["mean"]]
    assert sorted(drawn) == pytest.approx(sorted(expected))
    assert any(text.get_text() == MEAN for text in ax.texts)
    assert uncut(ax) == []

    shares = results.tables["scores"].query("what == 'mean' and quantity == 'share'")
    ax = score_shares(shares, groups=GROUPS, ylabel="Share with a score", width=width)
    drawn = [
        float(line.get_ydata()[0])
        for line in ax.lines
        if line.get_marker() in ("o", "s") and len(line.get_ydata()) == 1
    ]
    assert sorted(drawn) == pytest.approx(sorted(shares["estimate"]))
    assert uncut(ax) == []


@pytest.mark.parametrize("ticks", [None, {0.0: "before", 1.0: "after"}])
def test_both_engines_have_their_band(ticks: dict[float, str] | None) -> None:
    points = pd.DataFrame({"patient": [1, 1], "group": "control", "x": [0.0, 1], "value": [1.0, 2]})
    one = pd.DataFrame({
        "group": "control", "x": [0.0, 1], "estimate": [1.0, 2], "conf_low": [0.5, 1.5],
        "conf_high": [1.5, 2.5],
    })  # fmt: skip
    shifted = one.assign(estimate=one["estimate"] + 0.1, engine="bayes")
    both = pd.concat([one.assign(engine="ml"), shifted], ignore_index=True)
    drawn = [
        list(line.get_ydata())
        for line in trajectory(points, both, groups=["control"], ticks=ticks).lines
    ]
    assert [1.0, 2.0] in drawn and [1.1, 2.1] in drawn
    alone = trajectory(points, one, groups=["control"], ticks=ticks).lines
    assert [1.1, 2.1] not in [list(line.get_ydata()) for line in alone]


def test_a_panel_says_what_both_engines_found(results: StudyResults) -> None:
    label = trajectories.panel(results, "crp", 0).label
    assert "by maximum likelihood control from" in label and "by Bayes control from" in label
    _, curve, _ = trajectories.trajectory_data(results, "crp")
    assert curve is not None and set(curve["engine"]) == {"ml", "bayes"}
    wide = curve.pivot(index=["group", "x"], columns="engine", values="estimate")
    assert np.abs(wide["ml"] / wide["bayes"] - 1).max() < 0.1
    assert "no curve" in trajectories.panel(results, "flat", 1).label


def test_without_phases_the_reason_is_given(over_time: StudyResults) -> None:
    for section in (adjustments, scores):
        (text,) = section.build(over_time)["text"]
        assert "compares phases" in text
    assert over_time.failures == {}
    assert over_time.tables["adjustments"].empty and over_time.tables["scores"].empty
    assert over_time.parts["panel"].changes[0].families["term"].tolist() == [
        "mu(answers)", "sd(answers)",
    ]  # fmt: skip


def test_a_stage_that_failed_or_was_not_run_is_said(results: StudyResults) -> None:
    parts = {k: v for k, v in results.parts.items() if k not in ("adjustments", "panel", "scores")}
    lacking = replace(
        results, parts=MappingProxyType(parts), failures={"panel": "the sampler got stuck"}
    )
    assert panel.build(lacking)["text"] == ["the sampler got stuck"]
    assert scores.build(lacking)["text"] == ["It was not part of this run."]
    assert lacking.tables["shrunken"].empty
    assert markers.build(lacking)["adjustments"]["comparisons"] == []


def test_a_warning_about_the_chains_is_shown(results: StudyResults) -> None:
    (one,) = results.parts["panel"].changes
    table = shrunken_table(results, one)
    families = families_table(one, table)
    warned = replace(one, warning="Not to be relied on as it stands: largest R-hat is 1.2.")
    assert any("R-hat is 1.2" in t for t in panel.summary(warned, table, families))
    calm = replace(one, warning="")
    assert not any("R-hat" in t for t in panel.summary(calm, table, families))
    rows = shrunken_display(table).rows
    assert [row[0] for row in rows] == ["CRP", "Platelets", "DIC score"]
