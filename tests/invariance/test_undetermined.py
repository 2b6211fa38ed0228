"""Where the data do not determine an answer there is no number, and something says why."""

from __future__ import annotations

import pytest
from invariance.analyses import ANALYSES, Analysis
from invariance.defects import DEFECTS, Defect, outcome
from invariance.known_failures import SILENT

MEANS = {
    "R": "refused",  # with a reason that names something
    "U": "undetermined",  # no estimate, a flag or a note by name, and a verdict that agrees
    "V": "variances",  # estimates, and it says which variances cannot be told apart
    "L": "left out",  # a column, by name
    "F": "Firth",  # and labelled so
    "A": "answered",  # the data do determine it
}
EXPECTED = {
    # empty, one row, one patient, one group | flat response, flat covariate, collinear, nearly
    # collinear | one row each | no events, one event, separated, last group alone | all below the
    # limit, one group below the limit, every group at a site of its own (of a model with sites)
    "LMM":                        "R R R L | R L L L | UVR | . . . .  | . . .",
    "LMM, nested":                "R R R L | R L L L | VR | . . . .  | . . U",
    "LMM, crossed":               "R R R L | R L L L | VR | . . . .  | . . U",
    "LMM, cs":                    "R R R L | R L L L | VR | . . . .  | . . .",
    "LMM, unstructured":          "R R R L | R L L L | R  | . . . .  | . . .",
    "GLMM, bernoulli":            "R R R L | R L L L | R  | . . R .  | . . A",
    "GLMM, ordinal":              "R R R L | R L L L | R  | . . R .  | . . A",
    "GLMM, censored":             "R R R L | R L L L | V  | . . . .  | R R A",
    "GLMM, student":              "R R R L | R L L L | V  | . . . .  | . . A",
    # Counts that are all alike are a maximum, with no spread at all; a row alone shows the spread
    # between Poisson counts, and no two spreads.
    "GLMM, poisson":              "R R R L | A L L L | A  | . . R .  | . . A",
    "GLMM, negative_binomial":    "R R R L | A L L L | R  | . . R .  | . . A",
    "GLMM, nbinom1":              "R R R L | A L L L | R  | . . R .  | . . A",
    "GLMM, bernoulli, sites":     "R R R L | R L L L | R  | . . R .  | . . U",
    "GLMM, censored, sites":      "R R R L | R L L L | V  | . . . .  | R R U",
    "GLMM, bernoulli, crossed":   "R R R L | R L L L | R  | . . R .  | . . U",
    "GLMM, poisson, crossed":     "R R R L | A L L L | A  | . . R .  | . . R",
    "Linear":                     "R R R L | R L L L | A  | . . . .  | . . A",
    "CoxPH":                      "R R . L | . L L L | .  | R F F UR | . . .",
    "CoxPH, sites":               "R R . L | . L L L | .  | R R R R  | . . R",
    "Hazard, sites":              "R R . L | . L L L | .  | R R R R  | . . R",
    # Its covariance is robust, and knows nothing of groups without events: there is no answer.
    "FineGray":                   "R R . L | . L L L | .  | R U U UR | . . .",
    "Hazard, exponential":        "R R . L | . L L L | .  | R F F F  | . . .",
    "Hazard, weibull":            "R R . L | . L L L | .  | R F F F  | . . .",
    "Hazard, piecewise":          "R R . L | . L L L | .  | R F F F  | . . .",
    "Hazard, mspline":            "R R . L | . L L L | .  | R F F F  | . . .",
    # Firth's penalty is not for events between two times: what it would answer is refused.
    "Hazard between visits, exponential": "R R . L | . L L L | .  | R R R R  | . . .",
    "Hazard between visits, weibull": "R R . L | . L L L | .  | R R R R  | . . .",
    "Hazard between visits, piecewise": "R R . L | . L L L | .  | R R R R  | . . .",
    "Hazard between visits, mspline": "R R . L | . L L L | .  | R R R R  | . . .",
    "JointModel, value, weibull": "R R R L | R L L L | VR | R UR UR UR | . . .",
    "JointModel, slope, spline":  "R R R U | R L L L | VR | R UR UR UR | . . .",
    "JointModel, area, piecewise": "R R R LV | R L L L | VR | R UR UR UR | . . .",
    "Hazard, weibull, time-varying": "R R . R | . L L L | . | R UF F UF | . . .",
    "Hazard, mspline, time-varying": "R R . R | . L L L | . | R UF F UF | . . .",
    "JointModel at risk from entry": "R R R L | R L L L | R | R UR UR UR | . . .",
    "JointModel of all before entry": "R R R L | R L L L | R | R UR UR UR | . . .",
    "JointModel of two markers":  "R R R L | R L L L | R  | R UR UR UR | . . .",
    "JointModel of two causes":   "R R R L | R L L L | R  | R UR UR UR | . . .",
    "difference_in_change":       "R R R R | R A A A | R  | . . . .  | . . .",
    "incidence_table":            "R R . A | . . . . | .  | R A A A  | . . .",
    "survival_table":             "R R . A | . . . . | .  | A A A A  | . . .",
    "survival_quantiles":         "R R . A | . . . . | .  | U U U U  | . . .",
    "follow_up_quantiles":        "R R . A | . . . . | .  | A A A A  | . . .",
    "log_rank_table":             "R R . R | . . . . | .  | R A A R  | . . .",
    "weighted_log_rank":          "R R . R | . . . . | .  | R UA A R  | . . .",
    "restricted_mean_table":      "R R . R | . . . . | .  | V A A V  | . . .",
    "incidence_difference":       "R R . R | . . . . | .  | U U AU U | . . .",
    "incidence_posterior":        "R R . R | . . . . | .  | A A A A  | . . .",
    "exact_hazard_ratio":         "R R . R | . . . . | .  | R A A R  | . . .",
    "weighted_difference":        "R R . R | VR . . . | . | . . . .  | . . .",
    "weighted_comparison":        "R R . R | . . . . | .  | U U A U  | . . .",
    # Its arms are the levels of the stage: that all have one treatment is nothing to it.
    "weighted_comparison, several arms": "R R . A | . . . . | . | U U A U | . . .",
    "weighted_incidence":         "R R . R | . . . . | .  | V A A V  | . . .",
    "weighted_survival":          "R R . R | . . . . | .  | V A A V  | . . .",
    "doubly_robust_risk":         "R R . R | . . . . | .  | R A A R  | . . .",
    "standardised_survival":      "R R . R | . A A A | .  | R UR A UR | . . .",
    "risk_difference":            "R R . R | . A A A | .  | R UR A UR | . . .",
    "Panel":                      "R R R R | R . . . | R  | R A A A  | . . .",
    "BaselineAdjustment":         "R R R R | U . . . | R  | R A A A  | . . .",
    "DeathInMarkers":             "R R R R | U . . . | R  | R A A A  | . . .",
    "Mortality":                  "R R . R | . . . . | .  | U U U U  | . . .",
    "Mortality, subgroups":       "R R . R | . . . . | .  | R U A R  | . . .",
    "Imputation":                 "R R R A | R A A A | R  | . . . .  | . . .",
    "Imputation, censored":       "R R R A | R A A A | R  | . . . .  | R R .",
    "TargetTrial":                "R R . R | . . . . | .  | U A A R  | . . .",
}  # fmt: skip


def cells() -> list:
    """All analyses of all data, those known to be silent marked as such."""
    out = []
    for analysis in ANALYSES:
        marks = EXPECTED[analysis.name].replace("|", " ").split()
        for defect, letters in zip(DEFECTS, marks, strict=True):
            if letters == ".":
                continue
            seen = SILENT.get((analysis.name, defect.name))
            known = [pytest.mark.xfail(reason=seen, strict=True)] if seen else []
            name = f"{analysis.name}-{defect.name}"
            out.append(pytest.param(analysis, defect, letters, id=name, marks=known))
    return out


@pytest.mark.parametrize(("analysis", "defect", "letters"), cells())
def test_nothing_is_said_that_the_data_do_not_say(
    analysis: Analysis, defect: Defect, letters: str
) -> None:
    found = outcome(analysis.run, defect.apply(analysis.make()))
    assert found in [MEANS[letter] for letter in letters]


@pytest.mark.parametrize("analysis", ANALYSES, ids=repr)
def test_sound_data_are_answered_and_every_defect_has_its_cell(analysis: Analysis) -> None:
    case = analysis.make()
    marks = EXPECTED[analysis.name].replace("|", " ").split()
    applying = [d.name for d in DEFECTS if d.applies(case)]
    assert applying == [d.name for d, m in zip(DEFECTS, marks, strict=True) if m != "."]
    assert outcome(analysis.run, case) in ("answered", "undetermined")


def test_every_known_silence_is_of_a_cell() -> None:
    assert set(SILENT) <= {(a.name, d.name) for a in ANALYSES for d in DEFECTS}
    assert list(EXPECTED) == [a.name for a in ANALYSES]
