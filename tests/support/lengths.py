"""Tests with a short version for `make test` and a long one, of many cases, for `make studies`."""

from __future__ import annotations

import pytest


def lengths(name: str, short: int, long: int) -> pytest.MarkDecorator:
    """Call a test with `name` as the short number, and once more with the long one in studies."""
    return pytest.mark.parametrize(name, [short, pytest.param(long, marks=pytest.mark.study)])
