"""Arrays of the likelihood of a hazard model: events, and stretches of time at risk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longsurv.likelihood.hazard.forms import Form
from longsurv.likelihood.hazard.rows import Between, Events, Stretches


@dataclass(frozen=True, eq=False)
class HazardData:
    """Arrays of the likelihood.

    Attributes
    ----------
    events : Events
    stretches : Stretches
    units : int
        Rows of the data.
    form : Form
        How the hazard follows from the parameters.
    between : Between, optional
        Events that are only known to lie between two times.
    constant : ndarray, shape (K,), optional
        w0, for a spline.
    exposure : ndarray, shape (K,), optional
        q, for a spline.
    walk : ndarray, shape (K, K - 1), optional
        C, for a spline.
    """

    events: Events
    stretches: Stretches
    units: int
    form: Form
    between: Between | None = None
    constant: np.ndarray | None = None
    exposure: np.ndarray | None = None
    walk: np.ndarray | None = None

    @property
    def n_columns(self) -> int:
        """Number of covariates p."""
        return self.events.X.shape[1]
