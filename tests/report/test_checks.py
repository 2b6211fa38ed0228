from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from longsurv.compare import SHIFT_LIMIT, WIDTH_LIMIT
from longsurv.figures.agreement import VERDICTS, agreement
from longsurv.report.guidelines import BARG, STROBE
from longsurv.report.sections import SECTIONS
from longsurv.report.sections.checks import LIGHTS, SIGNS, lights
from longsurv.report.sections.methods import further, references
from longsurv.study import StudyResults


def test_a_light_says_what_its_checks_say(results: StudyResults) -> None:
    found = {(light.label, light.engine): light for light in lights(results)}
    assert len(found) == 2 * len(results.all_models) >= 2 * len(results.models)
    for label, model in results.all_models:
        for engine, shown in (("ml", "Maximum likelihood"), ("bayes", "Bayes")):
            light = found[label, shown]
            answer = model.answers.get(engine)
            if answer is None:
                assert (light.colour, light.evidence.rows) == ("red", ())
                assert model.reasons[engine] in light.words
                continue
            verdict = answer.diagnose()
            assert len(light.evidence.rows) == len(verdict.checks)
            expected = "red" if not verdict.ok else "amber" if answer.flags else "green"
            assert light.colour == expected


def test_a_light_is_never_colour_alone() -> None:
    assert len(set(SIGNS.values())) == len(set(LIGHTS.values())) == 3


def test_guidelines_point_to_sections_that_exist() -> None:
    known = {section.id for section in SECTIONS} | {""}
    assert {item.section for item in (*BARG, *STROBE)} <= known
    assert all(item.what for item in (*BARG, *STROBE))


def test_references_follow_what_was_fitted(results: StudyResults) -> None:
    found = " ".join(references(results))
    assert "Cox DR (1972)" in found
    assert "Kenward" in found
    models = results.tables["models"]
    no_kr = results.tables | {"models": models.assign(ml="maximum likelihood")}
    bare = replace(results)
    bare.__dict__["tables"] = no_kr
    assert "Kenward" not in " ".join(references(bare))


def test_agreement_draws_every_verdict_where_it_belongs() -> None:
    table = pd.DataFrame({
        "label": ["a", "b", "c", "d", "lost"],
        "shift": [0.1, -1.0, 0.5, 0.0, 0.0],
        "width_ratio": [1.1, 0.5, 1.0, 2.0, np.nan],
        "verdict": ["agree", "prior pulls", "asymptotics", "boundary", "boundary"],
    })  # fmt: skip
    for width in (860.0, 358.0):
        ax = agreement(table, shift_limit=SHIFT_LIMIT, width_limit=WIDTH_LIMIT, width=width)
        drawn = {c.get_label(): np.asarray(c.get_offsets()) for c in ax.collections}
        assert set(drawn) == set(VERDICTS)
        np.testing.assert_allclose(drawn["prior pulls"], [[0.5, -1.0]])
        assert len(drawn["boundary"]) == 1
        low, high = ax.get_xlim()
        assert low < 0.5
        assert high > 2.0
        named = {text.get_text() for text in ax.texts}
        assert named == {"b", "c", "d"}


def test_agreement_of_nothing() -> None:
    table = pd.DataFrame(columns=["label", "shift", "width_ratio", "verdict"])
    table = table.astype({"shift": float, "width_ratio": float})
    assert agreement(table, shift_limit=SHIFT_LIMIT, width_limit=WIDTH_LIMIT).get_legend() is None


def test_the_methods_tell_only_what_was_done(results: StudyResults) -> None:
    said = " ".join(further(results))
    assert "sceptical Normal(0, 0.355)" in said
    assert "Joint models" not in said, "none was asked for"
    nothing = replace(results, parts={k: results.parts[k] for k in ("markers", "mortality")})
    assert further(nothing) == []
