"""Numbers that may stand for "not measured"."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longsurv.cohort.flow import Ledger
from longsurv.cohort.problems import show_list
from longsurv.cohort.readings import Readings
from longsurv.cohort.schema import Marker

_NEGATIVE = (-1.0, -9.0, -99.0, -999.0, -9999.0)
_POSITIVE = (999.0, 9999.0, 99999.0)
_FAR = 10.0


def code_advice(values: np.ndarray) -> str:
    """What to write if values that cannot be are a code for "not measured"."""
    codes = sorted({f"{v:.10g}" for v in values})[:3]
    return f"If it is a code for a missing value, set missing = [{show_list(codes)}]. "


def likely_codes(values: np.ndarray) -> list[float]:
    """Which values of a marker look like codes for a missing one.

    The only negative ones, if they are -1, -9, -99, ...; or 999, 9999, ... far above all others.
    """
    negative = np.unique(values[values < 0])
    found = [float(v) for v in negative] if np.isin(negative, _NEGATIVE).all() else []
    largest = np.unique(values)[-2:]
    if len(largest) == 2 and largest[1] in _POSITIVE and largest[1] > _FAR * max(largest[0], 1.0):
        found.append(float(largest[1]))
    return found


def note_codes(readings: Readings, markers: Sequence[Marker], ledger: Ledger) -> None:
    """Say which values stay although they look like codes, of markers without a range."""
    said = []
    for k, marker in enumerate(markers):
        values = readings.value[readings.marker == k]
        codes = [] if marker.range is not None else likely_codes(values)
        counts = [f"{code:g} ({np.count_nonzero(values == code):,})" for code in codes]
        said += [f"{marker.label}: {', '.join(counts)}"] if counts else []
    if said:
        advice = 'kept; if they are, set missing = ["-1"], say, or a range of the marker'
        ledger.note("perhaps codes for a missing value", f"{'; '.join(said)}; {advice}")
