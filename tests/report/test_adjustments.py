"""The figure and the table of the adjusted differences in change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

import longsurv as ls
from longsurv.analyses.markers.adjustment import adjusted_changes
from longsurv.estimands.changes import Change
from longsurv.figures import to_svg
from longsurv.figures.adjustments import adjustments
from longsurv.report.sections.adjustments import remarks
from longsurv.report.tables.adjustments import adjustments_display
from longsurv.study.tables.adjustments import adjustments_table, questions_table

CHANGE = Change("phase", "baseline", "after", "treatment", "ivig", "control")


@pytest.fixture(scope="module")
def table():
    cohort = ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml")
    return adjusted_changes(cohort, CHANGE, ["crp", "pct", "plt"], draws=200, tune=200).table


def marks(ax) -> list[float]:
    return [
        float(line.get_xdata()[0])
        for line in ax.lines
        if line.get_marker() in ("o", "s", "^", "D") and len(line.get_xdata()) == 1
    ]


def test_every_answer_has_its_mark(table) -> None:
    assert marks(adjustments(table)) == pytest.approx(table["std_estimate"].tolist())
    ratios = table[table["scale"] == "ratio"]
    ax = adjustments(table, scale="ratio")
    assert ax.get_xscale() == "log"
    assert marks(ax) == pytest.approx(ratios["estimate"].tolist())
    assert len(ratios) == 12


@pytest.mark.parametrize("width", [860, 358])
@pytest.mark.parametrize("hostile", ["", "<script>$\\frac{1$ 検査 " + "long " * 60])
def test_no_text_is_cut_and_the_svg_is_the_same_every_time(table, width, hostile) -> None:
    changed = table.assign(label=table["label"] + hostile)
    ax = adjustments(changed, width=width, left_label="fell further", right_label="fell less")
    svg = to_svg(ax.figure, "a", "text")
    assert svg == to_svg(ax.figure, "a", "text")
    assert "<script>" not in svg
    if hostile:
        return  # matplotlib's own font lacks the glyphs that the measurement below would need
    canvas = FigureCanvasAgg(ax.figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    for text in ax.figure.findobj(Text):
        box = text.get_window_extent(renderer)
        if text.get_text().strip() and text.get_visible():
            assert box.x0 >= -1 and box.x1 <= ax.figure.bbox.width + 1, text.get_text()
            assert box.y0 >= -1 and box.y1 <= ax.figure.bbox.height + 1, text.get_text()


def test_what_was_not_estimated_is_said(table) -> None:
    gone = (table["marker"] == "crp") & (table["adjustment"] == "overlap")
    columns = ["estimate", "conf_low", "conf_high", "std_estimate", "std_low", "std_high"]
    lacking = table.copy()
    lacking.loc[gone, columns] = np.nan
    lacking.loc[gone, "reason"] = "too few patients"
    ax = adjustments(lacking)
    assert len(marks(ax)) == len(table) - 2
    assert sum(text.get_text() == "not estimated" for text in ax.texts) == 2
    rows = adjustments_display(lacking).rows
    assert rows[2][2] == "not estimated"
    assert rows[1][2] != "not estimated"


def test_unknown_scales_and_nothing_to_draw_are_refused(table) -> None:
    with pytest.raises(ls.LongsurvError, match="scale is one of"):
        adjustments(table, scale="log")
    with pytest.raises(ls.LongsurvError, match="no marker is analysed as a logarithm"):
        adjustments(table[table["marker"] == "crp"], scale="ratio")


def test_the_table_sets_the_engines_beside_each_other(table) -> None:
    wide = adjustments_table(table)
    assert len(wide) == 9
    row = wide[(wide["marker"] == "pct") & (wide["adjustment"] == "baseline")].iloc[0]
    part = table[(table["marker"] == "pct") & (table["adjustment"] == "baseline")]
    part = part.set_index("engine")
    assert row["estimate_ml"] == part.loc["ml", "estimate"]
    assert row["conf_high_bayes"] == part.loc["bayes", "conf_high"]
    assert row["p_value"] == part.loc["ml", "p_value"]
    assert row["prob_benefit"] == part.loc["bayes", "prob_benefit"]
    shown = adjustments_display(table)
    assert len(shown.rows) == 9
    assert [cells[0] for cells in shown.rows[:4]] == ["C-reactive protein", "", "", "Procalcitonin"]
    assert shown.rows[3][2].startswith("\N{MULTIPLICATION SIGN}0.36")
    assert shown.rows[5][7] == "40 (24)"


def test_one_engine_alone(table) -> None:
    ml = table[table["engine"] == "ml"]
    assert len(marks(adjustments(ml))) == 9
    assert {cells[5] for cells in adjustments_display(ml).rows} == {"\N{EN DASH}"}


def test_questions_say_what_differs(table) -> None:
    questions = questions_table(table)
    assert list(questions["adjustment"]) == ["unadjusted", "baseline", "overlap"]
    assert questions["question"].is_unique
    assert "APACHE II" in questions["question"][2]


def test_remarks_that_differ_in_numbers_only_are_one() -> None:
    rows = [
        ("A", "Weighted", "1 of 80 values lies beyond the limit; left out: 1 without 2.5 days"),
        ("B", "Weighted", "12 of 81 values lie beyond the limit; left out: 1 without 2.5 days"),
        ("B", "Baseline", "left out: 1 without 2.5 days"),
    ]
    table = pd.DataFrame(rows, columns=["label", "adjustment_label", "notes"]).assign(reason="")
    shown = remarks(table)
    gap = "\N{HORIZONTAL ELLIPSIS}"
    assert shown.rows == (
        ("Weighted", f"{gap} of {gap} values lie beyond the limit", "A (1, 80), B (12, 81)"),
        ("Weighted", "left out: 1 without 2.5 days", "A, B"),
        ("Baseline", "left out: 1 without 2.5 days", "B"),
    )
    assert gap in shown.note
    alone = remarks(table.iloc[2:])
    assert alone.rows == (("All", "left out: 1 without 2.5 days", "B"),) and not alone.note
