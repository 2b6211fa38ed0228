"""The ledger of a cohort: where every patient and every measurement went."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd


@dataclass
class Ledger:
    """Counts of one unit (patients or measurements) from file to model.

    Each entry records how many are kept and how many were removed since the entry before,
    so the books balance by construction: kept(before) - removed = kept.

    Parameters
    ----------
    unit : str
        "patients" or "measurements".
    """

    unit: str
    entries: list[tuple[str, int, int, str]] = field(default_factory=list)

    @property
    def kept(self) -> int:
        """Number kept after the last entry."""
        return self.entries[-1][1] if self.entries else 0

    def start(self, step: str, n: int, reason: str) -> None:
        """Open the ledger with everything that was read, unless it is open.

        Parameters
        ----------
        step : str
            What has been done.
        n : int
            Units that were read.
        reason : str
        """
        if self.entries:
            return
        self.entries.append((step, int(n), 0, reason))

    def keep(self, step: str, mask: np.ndarray, reason: str) -> None:
        """Record a step that leaves the units flagged in ``mask``.

        Parameters
        ----------
        step : str
            What has been done.
        mask : ndarray of bool
            One of each unit still there.
        reason : str
            Why the others go.
        """
        kept = int(np.count_nonzero(mask))
        self.entries.append((step, kept, self.kept - kept, reason))

    def note(self, step: str, reason: str) -> None:
        """Record a fact that removes nobody but that a reader should know.

        Parameters
        ----------
        step : str
            What has been done.
        reason : str
            The fact.
        """
        self.entries.append((step, self.kept, 0, reason))


def flow_table(*ledgers: Ledger) -> pd.DataFrame:
    """Return the ledgers as one table: step, unit, kept, removed, reason."""
    rows = [
        (step, ledger.unit, kept, removed, reason)
        for ledger in ledgers
        for step, kept, removed, reason in ledger.entries
    ]
    return pd.DataFrame(rows, columns=["step", "unit", "kept", "removed", "reason"])
