"""Predictions of patients who are told apart by several columns, as in (1 | site:id)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import DataError, LongsurvError
from longsurv.models import GLMM, LMM


@pytest.fixture(scope="module")
def visits() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    site, number = np.repeat(np.resize(list("abc"), 30), 4), np.repeat(np.arange(30) // 3, 4)
    own = np.repeat(rng.normal(size=30), 4)
    t = np.tile([0.0, 1.0, 2.0, 3.0], 30)
    y = own + 0.3 * t + 0.5 * rng.normal(size=120)
    whole = [f"{a}:{b}" for a, b in zip(site, number, strict=True)]
    return pd.DataFrame(
        {"site": site, "id": number, "whole": whole, "t": t, "y": y, "z": (y > 0.5) * 1}
    )


@pytest.mark.parametrize("model", ["LMM", "LMM, nested", "GLMM"])
@pytest.mark.parametrize("engine", ["fit", "sample"])
def test_predictions_are_those_of_one_column(visits, model, engine) -> None:
    """As of a column that tells the same patients apart, of new rows and of new patients."""
    answers = []
    for group in ("site:id", "whole"):
        if model == "GLMM":
            spec = GLMM(f"z ~ t + (1 | {group})", visits)
        else:
            outer = "(1 | site) + " if "nested" in model else ""
            spec = LMM(f"y ~ t + {outer}(1 | {group})", visits)
        how = {"draws": 30, "tune": 60, "chains": 2} if engine == "sample" else {}
        result = getattr(spec, engine)(**how)
        new = visits.iloc[[5, 40, 41, 80]].assign(t=4.5)
        stranger = new.assign(id=99, whole=[f"{s}:99" for s in new["site"]])
        both = pd.concat([new, stranger])
        answers.append(result.predict(both, by_patient=True, new_groups="population"))
        for other in (new.astype({"id": float}), new.assign(site=pd.Categorical(new["site"]))):
            pd.testing.assert_series_equal(
                result.predict(other, by_patient=True)["estimate"],
                result.predict(new, by_patient=True)["estimate"],
            )
        with pytest.raises(LongsurvError, match=r"has not seen .*a:99|has not seen .*:99"):
            result.predict(stranger, by_patient=True)
        if group == "site:id":
            with pytest.raises(LongsurvError, match="needs the column 'id' in the new data"):
                result.predict(new.drop(columns="id"), by_patient=True)
    np.testing.assert_allclose(answers[0]["estimate"], answers[1]["estimate"], rtol=1e-9)


def test_names_that_two_groups_would_share_are_refused(visits) -> None:
    torn = visits.assign(site=np.where(visits["site"] == "a", "b:1", visits["site"]))
    torn["id"] = np.where(visits["site"] == "a", "2", "1:2")
    with pytest.raises(DataError, match="would both be called 'b:1:2'"):
        LMM("y ~ t + (1 | site:id)", torn).fit()
