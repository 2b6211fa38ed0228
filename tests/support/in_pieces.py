"""Tables of fits to scans, held to those of the same rows in memory."""

from __future__ import annotations

import pandas as pd


def alike(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Tables that are the same to ten digits."""
    pd.testing.assert_frame_equal(a, b, rtol=1e-9, atol=1e-10, check_dtype=False)
