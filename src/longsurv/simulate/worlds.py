"""Where simulated cohorts come from: a fitted model taken for the truth, with effects put in.

A world draws one cohort and analyses it, for every size of the effect at once and from the same
random numbers, so that differences between effects are not noise.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.cohort import Marker
from longsurv.errors import LongsurvError

if TYPE_CHECKING:
    from longsurv.results.mixed.estimate import MixedEstimate
    from longsurv.study import Study

TIMES_FITTED = {"null": 0.0, "half": 0.5, "fitted": 1.0, "double": 2.0}


@checked
@dataclass(frozen=True)
class Effect:
    """A size of the true effect.

    Parameters
    ----------
    label : str
    kind : {"times", "hr", "sd"}
        Times the fitted effect (of the log of a ratio), a hazard ratio (mortality only), or
        standard deviations of a marker at baseline (markers only).
    size : float
    """

    label: str
    kind: str
    size: float

    @classmethod
    def parse(cls, text: str) -> Effect:
        """Read "null", "half", "fitted", "double", "1.5", "hr=0.5" or "sd=0.8".

        Parameters
        ----------
        text : str

        Returns
        -------
        Effect

        Raises
        ------
        LongsurvError
            If it is none of these.
        """
        text = text.strip()
        if text in TIMES_FITTED:
            # "null" in a CSV file is read as a missing value.
            return cls("no effect" if text == "null" else text, "times", TIMES_FITTED[text])
        kind, _, number = text.rpartition("=")
        try:
            size = float(number)
        except ValueError:
            size = np.nan
        usable = np.isfinite(size) and (kind in ("", "sd") or (kind == "hr" and size > 0))
        if not usable:
            raise LongsurvError(
                f"an effect is null, half, fitted, double, a number (times the fitted effect),"
                f" hr=0.5 (a hazard ratio above 0) or sd=0.8 (baseline standard deviations); got"
                f" {text!r}"
            )
        return cls(text, kind or "times", size)


Streams = Iterable[np.random.Generator]
"""One stream of random numbers a cohort."""


@dataclass(frozen=True)
class Estimand:
    """What is estimated from every cohort."""

    name: str
    level: str
    ratio: bool


class World(Protocol):
    """A model taken for the truth."""

    @property
    def name(self) -> str:
        """What its results go by."""

    @property
    def label(self) -> str:
        """What a reader calls it."""

    @property
    def estimands(self) -> tuple[Estimand, ...]:
        """What is estimated from each cohort."""

    @property
    def identity(self) -> object:
        """Everything its numbers depend on."""

    def truth(self, effect: Effect) -> np.ndarray:
        """True value of each estimand, its log for a ratio; NaN where it does not apply."""

    def replicates(self, rngs: Streams, effects: Sequence[Effect]) -> np.ndarray:
        """A cohort a stream: shape (cohorts, effects, estimands, 3), estimate and two limits."""


@dataclass(frozen=True, eq=False)
class MarkerWorld:
    """A fitted trajectory, and its difference in change.

    Attributes
    ----------
    name, label : str
    estimands : tuple of Estimand
    fit : MixedEstimate
    weights : ndarray, shape (estimands, p)
        Of the coefficients in each difference in change.
    spread : float
        SD of the marker between patients at baseline, on the scale of the model.
    limit : float
        Detection limit on the scale of the model; -inf without one.
    identity : tuple
    """

    name: str
    label: str
    estimands: tuple[Estimand, ...]
    fit: MixedEstimate
    weights: np.ndarray
    spread: float
    limit: float
    identity: object

    @classmethod
    def from_study(cls, study: Study, marker: Marker, data: pd.DataFrame) -> MarkerWorld:
        """Fit a marker of a study: the linear model, a value beyond a limit at the limit.

        Parameters
        ----------
        study : Study
        marker : Marker
        data : DataFrame
            Its measurements.

        Returns
        -------
        MarkerWorld
        """
        from longsurv.estimands.changes import baseline_sd, contrast_weights

        spec, schema = study.linear_model(data), study.cohort.schema
        names = list(spec.design.fixed.names)
        log = marker.transform == "log"
        weights, estimands = [], []
        for change in study.contrasts:
            given = contrast_weights(spec.design.fixed, change, data)
            weights.append([given.get(name, 0.0) for name in names])
            what = f"difference in change, {change.start} to {change.end}"
            estimands.append(Estimand(what, str(change.level), log))
        below = data.loc[data["censored"] == "left", "y"]
        return cls(
            name=marker.name,
            label=marker.label,
            estimands=tuple(estimands),
            fit=spec.fit(),
            weights=np.array(weights),
            spread=baseline_sd(data, schema.patient, schema.time),
            limit=float(below.max()) if len(below) else -np.inf,
            identity=(spec, study.contrasts, marker),
        )

    def truth(self, effect: Effect) -> np.ndarray:
        """True differences in change.

        Parameters
        ----------
        effect : Effect

        Returns
        -------
        ndarray, shape (estimands,)
        """
        fitted = self.weights @ self.fit.coefficients
        if effect.kind == "hr":
            return np.full(len(fitted), np.nan)
        if effect.kind == "times":
            return effect.size * fitted + 0.0  # no negative zero
        return np.full(len(fitted), effect.size * self.spread)

    def replicates(self, rngs: Streams, effects: Sequence[Effect]) -> np.ndarray:
        """A cohort of this marker a stream.

        The estimates follow a shift of the mean exactly and their standard errors not at all, so
        one fit serves every effect, unless a detection limit cuts the values.

        Parameters
        ----------
        rngs : sequence of Generator
        effects : sequence of Effect

        Returns
        -------
        ndarray, shape (cohorts, effects, estimands, 3)
        """
        from longsurv.results.simulated import simulator

        draw = simulator(self.fit)
        shift = np.array([self.truth(e) for e in effects]) - self.weights @ self.fit.coefficients
        if np.isneginf(self.limit):
            answers = np.array([self._analyse(draw(rng)) for rng in rngs])
            return answers[:, None] + shift[None, :, :, None]
        # The least change of the coefficients that makes the shift.
        moved = shift @ np.linalg.pinv(self.weights).T @ self.fit.design.fixed.X.T
        nothing = np.full((len(self.weights), 3), np.nan)
        return np.array(
            [
                [
                    nothing if np.isnan(by).any() else self._analyse(np.maximum(y + by, self.limit))
                    for by in moved
                ]
                for y in map(draw, rngs)
            ]
        )

    def _analyse(self, y: np.ndarray) -> np.ndarray:
        """Estimate and limits of each difference in change, shape (estimands, 3)."""
        from longsurv.results.reference import t_quantile
        from longsurv.results.simulated import refit

        try:
            again = refit(self.fit, y)
        except (LongsurvError, np.linalg.LinAlgError):
            return np.full((len(self.weights), 3), np.nan)
        # What `again.contrast` tabulates, without the table, which would take as long as the fit.
        estimate = self.weights @ again.coefficients
        std_error = np.sqrt(np.diag(self.weights @ again.reference.cov @ self.weights.T))
        df = [again.reference.df(row) for row in self.weights]
        width = std_error * [t_quantile(0.95, d) for d in df]
        return np.column_stack([estimate, estimate - width, estimate + width])
