"""Pieces of a scan that are small enough for small tables."""

from __future__ import annotations

import pytest

from longsurv.design.scanned import scan


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pieces of few rows."""
    monkeypatch.setattr(scan, "BATCH", 37)
