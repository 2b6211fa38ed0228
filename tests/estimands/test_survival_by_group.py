"""Survival curves as they are drawn, against those of lifelines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.estimands.survival_by_group import survival_curves


def people(seed: int, late: bool) -> pd.DataFrame:
    """Follow-up in whole days, with ties, and the last patient of a group dying or not."""
    rng = np.random.default_rng(seed)
    exit_ = np.ceil(rng.exponential(12, 40)) + 1
    entry = np.minimum(np.floor(rng.uniform(0, 6, 40)), exit_ - 1) if late else np.zeros(40)
    entry[:2] = 0
    event = (rng.uniform(size=40) < 0.6) * 1
    event[np.argmax(exit_)] = seed % 2
    return pd.DataFrame({"entry": entry, "exit": exit_, "event": event, "arm": ["a", "b"] * 20})


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_curves_and_intervals_are_those_of_lifelines(seed: int, late: bool) -> None:
    from lifelines import KaplanMeierFitter

    data = people(seed, late)
    found = survival_curves(data, "arm", ["a", "b"])
    for arm, curve in found.groupby("group"):
        rows = data[data["arm"] == arm]
        entry = rows["entry"] if late else None
        fitter = KaplanMeierFitter().fit(rows["exit"], rows["event"], entry=entry)
        curve = curve.set_index("time")[lambda t: t["estimate"].notna()].iloc[1:]
        theirs = fitter.survival_function_.iloc[:, 0].loc[curve.index]
        limits = fitter.confidence_interval_survival_function_.loc[curve.index]
        np.testing.assert_allclose(curve["estimate"], theirs, atol=1e-12)
        np.testing.assert_allclose(curve[["conf_low", "conf_high"]], limits, atol=1e-9)
        gone = rows.loc[rows["event"] == 0, "exit"].value_counts()
        assert (curve["censored"] == gone.reindex(curve.index, fill_value=0)).all()
        assert len(curve) > 5


def test_a_curve_is_not_drawn_where_nobody_was_left_before_later_entries() -> None:
    data = pd.DataFrame({"entry": [0.0, 0, 5, 0], "exit": [1.0, 2, 9, 9], "event": [1, 1, 0, 0],
                         "arm": ["a", "a", "a", "b"]})  # fmt: skip
    curve = survival_curves(data, "arm", ["a", "b"]).query("group == 'a'")
    assert curve["estimate"].isna().tolist() == [False, False, True, True]
