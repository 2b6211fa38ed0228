"""Values beyond a limit: counted as beyond it, and what taking them at it would have given."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
from support.demos import EXAMPLES, demo

from longsurv.analyses.markers.responses import AT_THE_LIMIT, CENSORED
from longsurv.models import GLMM, LMM
from longsurv.report.sections import beyond
from longsurv.study import STAGES, Study
from longsurv.study.beyond import BEYOND, counted_beyond
from longsurv.study.formulas import formula_problems

LIMITS = ["estimate", "conf_low", "conf_high"]
NEEDED = {"markers", "mortality", BEYOND}


def of_soluble_fibrin(table: pd.DataFrame) -> list[float]:
    chosen = table["marker"] == "sf"
    if "engine" in table:
        chosen &= table["engine"] == "ml"
    return table.loc[chosen, LIMITS].iloc[0].tolist()


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.from_toml(EXAMPLES / "ivig_sepsis" / "study.toml")


def test_the_main_analysis_counts_them_as_beyond_and_the_other_stands_beside_it() -> None:
    results = demo("ivig_sepsis")
    table = results.parts[BEYOND].set_index("marker", drop=False)
    counts = {
        name: int((model.data["censored"] != "none").sum())
        for name, model in results.markers.items()
    }
    assert table["censored"].to_dict() == {name: n for name, n in counts.items() if n}
    assert counted_beyond(results) == list(table["marker"])
    assert (table["reason"] == "").all() and set(table["taken"]) == {"at the limit"}
    assert of_soluble_fibrin(results.changes) == pytest.approx([0.463, 0.254, 0.843], abs=5e-4)
    assert of_soluble_fibrin(table) == pytest.approx([0.529, 0.306, 0.917], abs=5e-4)
    adjusted = results.tables["adjustments"].query("adjustment == 'unadjusted'")
    again = of_soluble_fibrin(adjusted)  # added up in another order
    assert again == pytest.approx(of_soluble_fibrin(results.changes), rel=1e-12)


def test_it_is_said_in_two_sentences() -> None:
    built = beyond.build(demo("ivig_sepsis"))
    text = built["text"][0]
    assert text.startswith("Soluble fibrin has most values beyond a limit of detection (9 of 81).")
    assert "0.463 (95 % confidence interval 0.254 to 0.843)" in text
    assert text.endswith("taken at the limit 0.529 (0.306 to 0.917).")
    assert len(built["table"].rows) == 6


def test_the_former_analysis_can_be_asked_for(study: Study) -> None:
    """Roles change: the linear model is the main one, the censored one beside it."""
    former = replace(
        study, models=replace(study.models, beyond_limit="at the limit"),
        sampling=replace(study.sampling, draws=20, chains=1),
    )  # fmt: skip
    stages = tuple(stage for stage in STAGES if stage.key in NEEDED)
    results = former.run(progress=False, stages=stages)
    assert not counted_beyond(results)
    assert of_soluble_fibrin(results.changes) == pytest.approx([0.529, 0.306, 0.917], abs=5e-4)
    table = results.parts[BEYOND]
    assert of_soluble_fibrin(table) == pytest.approx([0.463, 0.254, 0.843], abs=5e-4)
    assert set(table["taken"]) == {"beyond the limit"}


def test_what_a_kind_has_no_room_for_is_left_to_the_linear_model(study: Study) -> None:
    by = replace(study, models=replace(study.models, residual_by="treatment"))
    limited, whole = by.marker_data("sf"), by.marker_data("crp")
    assert isinstance(by.trajectory_model(limited), GLMM)
    linear = by.trajectory_model(whole)
    assert isinstance(linear, LMM) and linear.residual.by == "treatment"
    assert by.residual_of(CENSORED) is None and by.residual_of(AT_THE_LIMIT) is not None
    nested = replace(study.models, trajectory="phase * treatment + (1 | infection/patient)")
    assert not formula_problems(replace(study, models=nested))
    third = "phase * treatment + (1 | patient) + (1 | infection) + (1 | sex)"
    thrice = replace(study.models, trajectory=third)
    problems = formula_problems(replace(study, models=thrice))
    assert any('beyond_limit = "at the limit"' in text for text in problems)
    taken = replace(thrice, beyond_limit="at the limit")
    assert not formula_problems(replace(study, models=taken))


def test_every_check_of_a_linear_model_is_made_of_a_censored_one() -> None:
    results = demo("ivig_sepsis")
    found = results.parts["criticism"]
    assert "Soluble fibrin" in set(found.residuals["label"])
    assert "Soluble fibrin" in set(found.quantiles["label"])
    assert "Soluble fibrin" in set(found.replicates["label"])
    table = results.parts["independent"]
    rows = table[table["what"] == "Soluble fibrin, values taken at the limit"]
    assert len(rows) == 2 and rows["within"].all()
    remarked = results.tables["convergence"].set_index(["model", "engine"])["remarked"]
    assert not remarked["sf", "ml"]


def test_a_study_without_such_values_says_nothing() -> None:
    built = beyond.build(demo("pbc"))
    assert built["text"] == [] and not built["table"].rows
