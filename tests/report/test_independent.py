"""Both demos' answers beside those of lifelines, statsmodels and SciPy."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from support.demos import demo, demo_page

from longsurv import numbers
from longsurv.report.sections import independent
from longsurv.study.independent import INDEPENDENT, check_independently

pytestmark = pytest.mark.skipif(
    int(pd.__version__.partition(".")[0]) >= 3,
    reason="needs lifelines, which does not work with pandas 3",
)


def bench(study, parts):
    """What a stage is given: the study, the answers so far, and a model's estimate."""
    return SimpleNamespace(study=study, parts=parts, fit=lambda model: model.fit())


WANTED = {
    "ivig_sepsis": {"lifelines": 6, "SciPy": 5, "statsmodels": 28},
    "pbc": {"lifelines": 8, "SciPy": 5, "statsmodels": 8},
}


@pytest.mark.parametrize("name", WANTED)
def test_every_row_is_there_and_within_its_tolerance(name: str) -> None:
    table = demo(name).parts[INDEPENDENT]
    assert table["library"].value_counts().to_dict() == WANTED[name]
    assert table["theirs"].notna().all()
    assert table["within"].all(), table[~table["within"]]
    assert table["tolerance"].max() <= 1e-3
    said = independent.build(demo(name))["text"][0]
    assert f"{sum(WANTED[name].values())} numbers" in said and "all agree" in said


@pytest.mark.parametrize("what", ["Cox model", "Bilirubin"])
def test_a_wrong_answer_is_found(what: str) -> None:
    results = demo("pbc")
    model = results.mortality if what == "Cox model" else results.markers["bili"]
    changed = replace(model, fit=replace(model.fit, coefficients=model.fit.coefficients * 1.01))
    parts = {**results.parts}
    if what == "Cox model":
        parts["mortality"] = changed
    else:
        parts["markers"] = {**parts["markers"], "bili": changed}
    table = check_independently(bench(results.study, parts))
    assert not table[table["what"] == what]["within"].all()
    assert table[table["what"] != what]["within"].all()
    shown = replace(results, parts={**results.parts, INDEPENDENT: table})
    assert "not agree" in independent.build(shown)["text"][0]


def test_what_has_no_counterpart_says_why() -> None:
    results = demo("pbc")
    none = replace(results.mortality, fit=None)
    parts = {**results.parts, "mortality": none}
    table = check_independently(bench(results.study, parts))
    (row,) = table[table["what"] == "Cox model"].to_dict("records")
    assert "no maximum likelihood estimate" in row["reason"] and not row["within"]


def test_models_of_which_the_same_is_asked_have_a_row_each() -> None:
    results = demo("ivig_sepsis")
    table = results.parts[INDEPENDENT]
    others, models = independent.build(results)["tables"]
    assert len(models.rows) == len(results.markers) and len(others.rows) == 11
    marked = [row[0] for row in models.rows if row[0].endswith("\N{DAGGER}")]
    assert len(marked) == table["what"].str.contains("at the limit").sum() / 2 > 0
    own = table[table["what"] == "White cells"].set_index("quantity")
    (row,) = (row for row in models.rows if row[0] == "White cells")
    wanted = [numbers.number(own.loc[q, c], 6) for q in own.index for c in ("ours", "theirs")]
    assert [row[1], row[2], row[4], row[5]] == wanted
    # What does not agree stands in the table with remarks.
    wrong = table.assign(within=table["within"] & (table["what"] != "White cells"))
    shown = replace(results, parts={**results.parts, INDEPENDENT: wrong})
    others, models = independent.build(shown)["tables"]
    assert any("White cells" in row[0] for row in others.rows)
    assert not any("White cells" in row[0] for row in models.rows)
    assert any("NOT within" in row[-1] for row in others.rows)


def test_the_page_folds_the_table() -> None:
    page = demo_page("pbc")
    assert "<details><summary>Answers beside those of other libraries</summary>" in page
