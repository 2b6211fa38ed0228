"""Tests of proportional odds: what must not matter, what they see, and what they refuse."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.models import GLMM

FORMULA = "grade ~ day * arm + (1 | patient)"


def patients(n: int, turn: float = 0.0, seed: int = 3) -> pd.DataFrame:
    """Grades at four visits; `turn` moves the arm's outer thresholds apart."""
    rng = np.random.default_rng(seed)
    patient, day = np.repeat(np.arange(n), 4), np.tile([1.0, 4.0, 5.0, 7.0], n)
    treated = patient % 2
    latent = 0.3 * treated - 0.1 * day + rng.normal(size=n)[patient] + rng.logistic(size=4 * n)
    cuts = np.array([-1.0, 0.2, 1.5]) + turn * treated[:, None] * np.array([-1.0, 0.0, 1.0])
    grade = (latent[:, None] > cuts).sum(axis=1)
    arm = np.where(treated == 1, "new", "control")
    return pd.DataFrame({"patient": patient, "day": day, "arm": arm, "grade": grade})


def statistics(data: pd.DataFrame, formula: str = FORMULA) -> np.ndarray:
    found = GLMM(formula, data, "ordinal").fit().proportional_odds().table
    return found["statistic"].to_numpy()


def test_origin_unit_labels_order_and_direction_do_not_matter() -> None:
    data = patients(41)
    expected = statistics(data)
    assert (expected > 0.0).all()
    changed = {
        "origin and unit": data.assign(day=2020.0 + data["day"] / 365.25),
        "reference": data.assign(arm=data["arm"].map({"new": "a", "control": "b"})),
        "order": data.sample(frac=1.0, random_state=1),
        "direction": data.assign(grade=-data["grade"]),
        "spacing": data.assign(grade=data["grade"] ** 2),
    }
    for what, rows in changed.items():
        # Where the order of rows changes, other responses are drawn for the information.
        near, more = (2e-4, 0.0) if what in ("origin and unit", "reference") else (0.02, 0.1)
        np.testing.assert_allclose(statistics(rows), expected, near, more, err_msg=what)


def test_a_turning_effect_is_seen_and_belongs_to_its_variable() -> None:
    found = GLMM(FORMULA, patients(400, turn=1.0), "ordinal").fit().proportional_odds()
    p = found.table.set_index("term")["p_value"]
    assert list(p.index) == ["day", "arm", "GLOBAL"]
    assert p["arm"] < 1e-6 and p["GLOBAL"] < 1e-6 and p["day"] > 0.05
    assert "odds ratio of arm seems to differ" in found.words
    assert list(found.table["df"]) == [4, 4, 6]
    arm = found.cuts[found.cuts["term"] == "arm[T.new]"]["estimate"].to_numpy()
    assert (np.diff(arm) < -0.5).all()


def test_effects_at_a_cut_are_those_of_its_binary_model() -> None:
    data = patients(60)
    found = GLMM(FORMULA, data, "ordinal").fit().proportional_odds(level=0.9)
    assert "no sign that an odds ratio differs" in found.words
    for k, cut in enumerate(["0|1", "1|2", "2|3"]):
        above = data.assign(grade=(data["grade"] > k).astype(int))
        expected = GLMM(FORMULA, above).fit().tidy(0.9).iloc[1:].reset_index(drop=True)
        mine = found.cuts[found.cuts["cut"] == cut].reset_index(drop=True)
        assert list(mine["term"]) == list(expected["term"])
        for column in ("estimate", "std_error", "conf_low", "conf_high"):
            np.testing.assert_allclose(mine[column], expected[column], rtol=2e-5, atol=1e-7)


def test_a_cut_that_a_covariate_separates_has_no_effects_there() -> None:
    data = patients(60)
    data.loc[(data["arm"] == "new") & (data["grade"] == 3), "grade"] = 2
    found = GLMM("grade ~ arm + (1 | patient)", data, "ordinal").fit().proportional_odds()
    by_cut = found.cuts.set_index("cut")["estimate"]
    assert np.isnan(by_cut["2|3"]) and np.isfinite(by_cut[["0|1", "1|2"]]).all()
    assert found.table["p_value"].iloc[-1] < 0.01


def test_what_has_no_cuts_to_compare_is_refused() -> None:
    data = patients(20)
    two = data.assign(grade=(data["grade"] > 1).astype(int))
    with pytest.raises(LongsurvError, match="of the family 'ordinal' with two"):
        GLMM(FORMULA, two, "ordinal").fit().proportional_odds()
    with pytest.raises(LongsurvError, match="of the family 'bernoulli'"):
        GLMM(FORMULA, two).fit().proportional_odds()
    with pytest.raises(LongsurvError, match="without covariates"):
        GLMM("grade ~ 1 + (1 | patient)", data, "ordinal").fit().proportional_odds()
