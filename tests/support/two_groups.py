"""Two groups the other way round."""

from __future__ import annotations

from longsurv.estimands.counts import Counts


def swapped(counts: Counts) -> Counts:
    """The reference compared with the group."""
    return Counts(counts.reference_events, counts.reference_n, counts.events, counts.n)
