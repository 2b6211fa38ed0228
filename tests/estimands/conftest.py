"""The reference files R made, read once."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

FOLDER = Path(__file__).resolve().parents[1] / "reference"


@cache
def _table(topic: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / f"{topic}.csv", keep_default_na=False)


@pytest.fixture
def reference() -> Callable[[str, str, str, str], float]:
    """Look up one number: (topic, model, quantity, term)."""

    def look_up(topic: str, model: str, quantity: str, term: str = "") -> float:
        table = _table(topic)
        row = table[
            (table["model"] == model) & (table["quantity"] == quantity) & (table["term"] == term)
        ]
        (value,) = row["value"]
        return math.nan if value == "NA" else float(value)

    return look_up


@pytest.fixture
def data() -> Callable[[str], pd.DataFrame]:
    """Read one of the data sets the references were computed from."""
    return lambda name: pd.read_csv(FOLDER / f"{name}.csv")
