"""Limits of draws some of which are infinite."""

from __future__ import annotations

import numpy as np
import pytest

from longsurv.estimands.intervals import drawn_limits
from longsurv.estimands.standardised import of_draws


def test_finite_draws_have_their_quantiles() -> None:
    values = np.random.default_rng(1).normal(size=501)
    assert drawn_limits(values, 0.9) == pytest.approx(np.quantile(values, [0.05, 0.95]))


@pytest.mark.parametrize(("share", "infinite"), [(0.01, False), (0.1, True)])
def test_infinite_draws_count_as_such(share: float, infinite: bool) -> None:
    """A limit is infinite where more draws are than may lie beyond it, and else a number."""
    values = np.linspace(0.0, 1.0, 1000)
    values[-int(1000 * share) :] = np.inf
    low, high = drawn_limits(values, 0.95)
    assert low == pytest.approx(0.025, abs=1e-3)
    assert np.isinf(high) == infinite
    assert drawn_limits(-values, 0.95) == pytest.approx((-high, -low))


def test_ratios_of_risks_of_nothing_are_infinite_and_not_lost() -> None:
    """One draw in twenty has no risk in the reference group: the ratio has no upper limit."""
    p = np.full((2, 1000), 0.3) + np.random.default_rng(2).uniform(-0.1, 0.1, (2, 1000))
    p[0, ::20] = 0.0
    table = of_draws(p, ["a", "b"], 0.95).set_index("term")
    assert np.isinf(table.loc["risk ratio", "conf_high"])
    assert 0.4 < table.loc["risk ratio", "conf_low"] < table.loc["risk ratio", "estimate"] < 1.5
    assert np.isnan(table.loc["risk ratio", "std_error"])
    assert table.loc["risk difference"].drop(["prob_benefit"], errors="ignore").notna().any()
