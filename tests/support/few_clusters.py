"""What a robust covariance of few clusters is made up by, written out with pandas."""

from __future__ import annotations

import pandas as pd

FEW = 50


def left_of(fit) -> pd.Series:
    """Degrees of freedom of each coefficient without strata; infinite with many clusters."""
    design, names = fit.design, list(fit.names)
    if design.cluster is None or (k := len(set(design.cluster))) >= FEW:
        return pd.Series(float("inf"), names)
    values = pd.DataFrame(design.fixed.X, columns=names).groupby(design.cluster).nunique()
    between = (values == 1).all()
    return k - 1.0 - between.sum() * between


def made_up(fit) -> pd.Series:
    """By how much the variance of each coefficient is multiplied."""
    left = left_of(fit)
    if (left == float("inf")).all():
        return pd.Series(1.0, left.index)
    return len(set(fit.design.cluster)) / left
