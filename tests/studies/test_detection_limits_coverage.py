"""The study of intervals beside detection limits, in small, and what was published of it."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from longsurv.models import GLMM

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture(scope="module")
def study() -> ModuleType:
    path = DOCS / "detection_limits_coverage.py"
    spec = importlib.util.spec_from_file_location("detection_limits_coverage", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return pd.read_csv(DOCS / "detection_limits_coverage.csv")


@pytest.mark.parametrize("visits", [2, 5])
@pytest.mark.parametrize("below", [0.1, 0.6])
def test_as_many_values_are_below_the_limit_as_is_said(study, visits, below):
    rng = np.random.default_rng(1)
    tables = [study.cohort(rng, below, visits) for _ in range(200)]
    share = np.mean([(t["censored"] == "left").mean() for t in tables])
    # 200 cohorts: the share has a standard error of about 0.004
    assert share == pytest.approx(below, abs=0.02)


def test_the_interval_of_a_fit_is_the_one_that_was_studied(study):
    data = study.cohort(np.random.default_rng(2), 0.3, 2)
    found = study.answers(data)
    fit = GLMM(study.FORMULA, data, family="censored", censored="censored").fit()
    row = fit.tidy().set_index("term").loc[study.TERM]
    chosen = found["censored, Wald, t"]
    np.testing.assert_allclose(row[["estimate", "conf_low", "conf_high"]], chosen[:3], rtol=1e-8)
    assert row["df"] == pytest.approx(39.0, rel=1e-6)
    for answer in found.values():
        assert answer.covers == float(answer.low <= study.EFFECT <= answer.high)


def test_the_page_shows_the_published_table(study, published):
    page = (DOCS / "detection_limits_coverage.md").read_text(encoding="utf-8")
    between = page.split(study.BEGIN)[1].split(study.END)[0]
    assert between.strip() == "\n".join(study.markdown(published)).strip()
    assert (published["cohorts"] == study.COHORTS).all()
    assert set(published["method"]) == set(study.METHODS)


@pytest.mark.study
def test_the_whole_study_again(study, published):
    """The chosen interval holds its level; that with a limit in place of a value does not."""
    table = study.summary(study.simulate(study.COHORTS))
    both = published.merge(table, on=["visits", "below", "method"], suffixes=("", "_again"))
    for column in ("coverage", "no_interval"):
        assert (both[column] - both[f"{column}_again"]).abs().max() <= 0.01, column
    by = table.set_index(["method", "visits", "below"])["coverage"]
    error = 3.0 * math.sqrt(0.05 * 0.95 / study.COHORTS)
    assert (by["censored, Wald, t"] > 0.95 - error).all()
    assert (by["limit in place of the value, REML"].xs(0.6, level="below") < 0.85).all()
