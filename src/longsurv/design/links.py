"""What of a marker's curve drives the hazard: its current value, its slope, its area.

Every link is linear in the curve's coefficients. With x(t) and z(t) the rows of the marker's
designs at time t, a link is (x*(t)'beta + z*(t)'b), where * is the identity, d/dt, or the integral
from 0 to t.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design.quadrature import time_points
from longsurv.errors import LongsurvError

RELATIVE_STEP = 1e-5
CHUNK = 200_000


@dataclass(frozen=True)
class Link:
    """One link of a marker to a hazard.

    Attributes
    ----------
    kind : {"value", "slope", "area"}
    by : str or None
        Column of the event data whose groups each have an association of their own.
    """

    kind: str
    by: str | None = None

    def __add__(self, other: Link | Links) -> Links:
        return Links((self,)) + other

    def __str__(self) -> str:
        return f"{self.kind}({f'by={self.by!r}' if self.by else ''})"


@dataclass(frozen=True)
class Links:
    """Several links together."""

    links: tuple[Link, ...]

    def __add__(self, other: Link | Links) -> Links:
        if not isinstance(other, Link | Links):
            return NotImplemented
        return Links(self.links + as_links(other).links)


def as_links(link: object) -> Links:
    """One link or several, as several.

    Raises
    ------
    LongsurvError
        For anything else, or for the same kind of link twice.
    """
    if not isinstance(link, Link | Links):
        raise LongsurvError(f"link is a sum of value(), slope() and area(), not {link!r}")
    several = link if isinstance(link, Links) else Links((link,))
    kinds = [one.kind for one in several.links]
    if len(set(kinds)) < len(kinds):
        raise LongsurvError(f"each kind of link can be given once; got {' + '.join(kinds)}")
    return several


Wanted = Link | Links | Sequence[Link | Links | None] | Mapping[str, object] | None


def links_of(
    wanted: Wanted, markers: Sequence[str], causes: Sequence[str]
) -> tuple[tuple[tuple[Link, ...], ...], ...]:
    """The links of every cause to every marker.

    Parameters
    ----------
    wanted : Link, Links, sequence, mapping or None
        One link or sum of links: the same for every marker and cause. A sequence: one for each
        marker, in their order. A mapping: by marker, or by cause, and each cause's again any of
        these. What a mapping leaves out, or says None of, has no link.
    markers, causes : sequence of str
        Their names.

    Returns
    -------
    tuple
        Of a cause, of a marker, its links.

    Raises
    ------
    LongsurvError
        For names that are neither markers nor causes, or a sequence of another length.
    """
    if isinstance(wanted, Mapping) and wanted and set(wanted) <= set(causes):
        if set(wanted) <= set(markers):
            raise LongsurvError(
                f"{sorted(wanted)} are names of markers and of causes; rename one of them"
            )
        return tuple(_links_by_marker(wanted.get(cause), markers, causes) for cause in causes)
    return (_links_by_marker(wanted, markers, causes),) * len(causes)


def _links_by_marker(
    wanted: object, markers: Sequence[str], causes: Sequence[str]
) -> tuple[tuple[Link, ...], ...]:
    if wanted is None:
        return ((),) * len(markers)
    if isinstance(wanted, Mapping):
        if wrong := [str(key) for key in wanted if key not in markers]:
            raise LongsurvError(
                f"link names {wrong}; the markers are {list(markers)} and the causes {list(causes)}"
            )
        each = [wanted.get(marker) for marker in markers]
    elif isinstance(wanted, Sequence):
        if len(wanted) != len(markers):
            raise LongsurvError(
                f"link lists {len(wanted)} links for {len(markers)} markers, {list(markers)}"
            )
        each = list(wanted)
    else:
        each = [wanted] * len(markers)
    return tuple(() if one is None else as_links(one).links for one in each)


@checked
def value(by: str | None = None) -> Link:
    """Current value of the marker's curve.

    Parameters
    ----------
    by : str, optional
        Column of the event data, such as the treatment: adds the interaction of the link with it.
    """
    return Link("value", by)


@checked
def slope(by: str | None = None) -> Link:
    """Current slope of the marker's curve, per unit of time; `by` as for `value`."""
    return Link("slope", by)


@checked
def area(by: str | None = None) -> Link:
    """Area under the marker's curve from time 0; `by` as for `value`."""
    return Link("area", by)


class Rebuilds(Protocol):
    """A design that gives its columns for new rows."""

    @property
    def names(self) -> tuple[str, ...]:
        """Columns."""
        ...

    def rebuild(self, data: pd.DataFrame) -> np.ndarray:
        """The columns for new rows."""
        ...


def link_rows(
    kind: str, design: Rebuilds, patients: pd.DataFrame, time: str, owner: np.ndarray, t: np.ndarray
) -> np.ndarray:
    """Rows of a marker's design under one kind of link.

    Parameters
    ----------
    kind : {"value", "slope", "area"}
    design : FixedDesign or RandomDesign
    patients : DataFrame
        One row a patient, with the design's variables other than time.
    time : str
        Name of the time variable.
    owner : ndarray of int, shape (G,)
        Patient of each point.
    t : ndarray, shape (G,)

    Returns
    -------
    ndarray, shape (G, columns of the design)
    """

    def rows(at: np.ndarray, who: np.ndarray) -> np.ndarray:
        out = np.empty((len(at), len(design.names)))
        for k in range(0, len(at), CHUNK):
            some = slice(k, k + CHUNK)
            out[some] = design.rebuild(patients.iloc[who[some]].assign(**{time: at[some]}))
        return out

    return TRANSFORMS[kind](rows, t, owner)


Rows = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _value(rows: Rows, t: np.ndarray, owner: np.ndarray) -> np.ndarray:
    return rows(t, owner)


def _slope(rows: Rows, t: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Central differences, one-sided at time 0; exact for curves up to a parabola away from it."""
    span = float(np.ptp(t)) if len(t) else 0.0
    step = RELATIVE_STEP * (span or float(t.max(initial=1.0)))
    up, down = t + step, np.maximum(t - step, 0.0)
    return (rows(up, owner) - rows(down, owner)) / (up - down)[:, None]


def _area(rows: Rows, t: np.ndarray, owner: np.ndarray) -> np.ndarray:
    inner = time_points(np.zeros(len(t)), t)
    values = rows(inner.time, owner[inner.owner]) * inner.weight[:, None]
    out = np.zeros((len(t), values.shape[1]))
    np.add.at(out, inner.owner, values)
    return out


TRANSFORMS = {"value": _value, "slope": _slope, "area": _area}


def constant_under(kind: str, t: np.ndarray) -> np.ndarray:
    """The link of a curve that is 1 at all times, shape of t."""
    return {"value": np.ones_like(t), "slope": np.zeros_like(t), "area": t}[kind]
