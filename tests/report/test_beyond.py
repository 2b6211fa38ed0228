"""Values beyond a limit: the censored likelihood beside the main analysis."""

from __future__ import annotations

import pytest
from support.demos import demo

from longsurv.report.sections import beyond
from longsurv.study.beyond import BEYOND


def test_every_marker_with_such_values_has_its_row() -> None:
    results = demo("ivig_sepsis")
    table = results.parts[BEYOND].set_index("marker")
    counts = {
        name: int((model.data["censored"] != "none").sum())
        for name, model in results.markers.items()
    }
    assert table["censored"].to_dict() == {name: n for name, n in counts.items() if n}
    row = table.loc["sf"]
    assert [row["estimate"], row["conf_low"], row["conf_high"]] == pytest.approx(
        [0.463, 0.254, 0.843], abs=5e-4
    )
    assert (table["reason"] == "").all()


def test_it_is_said_with_the_main_answer_beside_it() -> None:
    built = beyond.build(demo("ivig_sepsis"))
    assert "Soluble fibrin, with 9 of 81 values beyond a limit" in built["text"][0]
    assert "goes from 0.529 to 0.463 (95 % confidence interval 0.254 to 0.843)" in built["text"][0]
    assert len(built["table"].rows) == 6


def test_a_study_without_such_values_says_nothing() -> None:
    built = beyond.build(demo("pbc"))
    assert built["text"] == [] and not built["table"].rows
