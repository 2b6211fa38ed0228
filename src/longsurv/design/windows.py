"""Events of which it is known that they happened after one time and by another.

``Surv(left, right, type="interval2")`` reads two columns as R does. Seen without the event last at
`left`, with it first at `right`:

    left = right               the event was at that time
    0 < left < right           between them: censored in an interval
    left 0 or missing          by `right`: left-censored
    right infinite or missing  not seen after `left`: right-censored
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from longsurv.design.formula import Formula
from longsurv.errors import LongsurvError
from longsurv.times import merged
from longsurv.words import plural

TYPE = "interval2"


@dataclass(frozen=True, eq=False)
class Windows:
    """The times between which each event happened.

    Attributes
    ----------
    left : ndarray, shape (n,)
        At least 0: 0 where it may have happened at any time by `right`.
    right : ndarray, shape (n,)
        Infinite where it did not happen while the patient was seen.
    """

    left: np.ndarray
    right: np.ndarray

    @classmethod
    def of(cls, left: np.ndarray, right: np.ndarray) -> Windows:
        """From two columns in which a missing value is an open end."""
        begun = np.where(np.isnan(left) | np.isneginf(left), 0.0, left)
        ended = np.where(np.isnan(right), np.inf, right)
        ended, both = merged(ended, begun)
        return cls(begun if both is None else both, ended)

    @property
    def happened(self) -> np.ndarray:
        """Whether the event did, shape (n,)."""
        return np.isfinite(self.right)

    @property
    def exact(self) -> np.ndarray:
        """Whether it is known when, shape (n,)."""
        return self.left == self.right

    @property
    def open(self) -> np.ndarray:
        """Whether it happened between two times, the first of which may be 0, shape (n,)."""
        return self.happened & ~self.exact

    @property
    def typical(self) -> np.ndarray:
        """A time in each: that of the event, the middle, or the last time seen without, shape (n,).

        Knots, levels of default priors and scales are chosen by it; the likelihood has no use of
        it.
        """
        return np.where(self.happened, 0.5 * (self.left + self.right), self.left)

    @property
    def ends(self) -> np.ndarray:
        """Distinct times after 0 that are an end of the window of an event, ascending."""
        both = np.concatenate([self.left[self.happened], self.right[self.happened]])
        return np.unique(both[both > 0])

    @property
    def last(self) -> float:
        """The last time that is any end."""
        return float(max(self.left.max(), self.right[self.happened].max(initial=0.0)))

    def problems(self, formula: Formula, report: Callable[[np.ndarray, str], None]) -> list[str]:
        """What is wrong with the columns as a whole; of rows it is reported."""
        left, right = formula.surv
        report(np.isposinf(self.left), f"{left!r} is infinite")
        report(self.left < 0, f"{left!r} is negative")
        late = (self.left > self.right) & np.isfinite(self.left)
        report(
            late,
            f"{left!r}, the last time without the event, is after {right!r}, the first with it,",
        )
        report((self.right <= 0) & ~late, f"{right!r} is 0 or less: nobody is at risk by then")
        nothing = (self.left == 0) & ~self.happened
        report(
            nothing,
            f"{left!r} is 0 or missing and {right!r} infinite or missing, which says nothing of the"
            " event: leave such patients out. It is so",
        )
        if not self.happened.any():
            return [
                f"{right!r} has no time by which an event had happened among"
                f" {plural(len(self.left), 'row')}: nothing can be estimated"
            ]
        if (self.left == 0).all():
            return [
                f"every event happened by {right!r} and {left!r} never says after what: any hazard"
                " that is high enough is as likely, and nothing can be estimated"
            ]
        return []


def check_known(windows: Windows | None, what: str) -> None:
    """Refuse what needs the time of every event.

    Parameters
    ----------
    windows : Windows or None
        Of the design.
    what : str
        That it is, for the message: "residuals need".

    Raises
    ------
    LongsurvError
        If the formula gives the events' times by ``type="interval2"``.
    """
    if windows is not None:
        count = int(windows.open.sum())
        raise LongsurvError(
            f"{what} the time of every event, and {plural(count, 'event')} of this model"
            f" {'is' if count == 1 else 'are'} only known to lie between two times (type={TYPE!r})"
        )
