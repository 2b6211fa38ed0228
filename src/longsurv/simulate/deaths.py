"""Simulated deaths: a fitted Cox model taken for the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from longsurv.errors import LongsurvError
from longsurv.simulate.worlds import Effect, Estimand, Streams

if TYPE_CHECKING:
    from longsurv.models import CoxPH
    from longsurv.results.survival.ratios import RatioEstimate
    from longsurv.study import Study


@dataclass(frozen=True, eq=False)
class CumulativeHazard:
    """A cumulative hazard, straight between the times at which it is known.

    Attributes
    ----------
    time, total : ndarray, shape (k,)
        Both increasing; the hazard is 0 after the last.
    """

    time: np.ndarray
    total: np.ndarray

    @classmethod
    def of(
        cls, entry: np.ndarray, exit: np.ndarray, event: np.ndarray, risk: np.ndarray
    ) -> CumulativeHazard:
        """Breslow's estimate, with relative risks of shape (n,), its steps made slopes.

        Parameters
        ----------
        entry, exit, event : ndarray, shape (n,)
        risk : ndarray, shape (n,)

        Returns
        -------
        CumulativeHazard
        """
        times = np.unique(exit[event])
        at_risk = (entry[None, :] < times[:, None]) & (exit[None, :] >= times[:, None])
        deaths = ((exit[None, :] == times[:, None]) & event[None, :]).sum(axis=1)
        total = np.cumsum(deaths / (at_risk @ risk))
        start = min(float(entry.min()), times[0]) if len(times) else 0.0
        return cls(np.append(start, times), np.append(0.0, total))

    def at(self, t: np.ndarray) -> np.ndarray:
        """Cumulative hazard at times t.

        Parameters
        ----------
        t : ndarray

        Returns
        -------
        ndarray
        """
        return np.interp(t, self.time, self.total)

    def reached(self, total: np.ndarray) -> np.ndarray:
        """Times at which it reaches `total`; infinite where it never does.

        Parameters
        ----------
        total : ndarray

        Returns
        -------
        ndarray
        """
        where = np.interp(total, self.total, self.time)
        return np.where(total > self.total[-1], np.inf, where)


@dataclass(frozen=True, eq=False)
class SurvivalWorld:
    """A fitted Cox model of death, and how patients leave otherwise.

    The hazard ratio is Firth's, with profile-likelihood limits; the difference of the observed
    risks has Miettinen and Nurminen's.

    Attributes
    ----------
    name, label : str
    estimands : tuple of Estimand
        Hazard ratio and risk difference of each level.
    spec : CoxPH
    coefficients : ndarray, shape (p,)
    weights : ndarray, shape (levels, p)
        Of the coefficients in each log hazard ratio.
    arm : ndarray of int, shape (n,)
        Group of each patient, 0 the reference.
    stratum : ndarray of int, shape (n,)
    death : tuple of CumulativeHazard
        Of each stratum, for a linear predictor of 0.
    leaving : CumulativeHazard
        Of competing events and censoring before the end of follow-up, alike in all groups.
    end : float
        Of follow-up.
    identity : tuple
    """

    name: str
    label: str
    estimands: tuple[Estimand, ...]
    spec: CoxPH
    coefficients: np.ndarray
    weights: np.ndarray
    arm: np.ndarray
    stratum: np.ndarray
    death: tuple[CumulativeHazard, ...]
    leaving: CumulativeHazard
    end: float
    identity: object

    @classmethod
    def from_study(cls, study: Study) -> SurvivalWorld:
        """Fit the mortality of a study.

        Parameters
        ----------
        study : Study

        Returns
        -------
        SurvivalWorld
        """
        from longsurv.estimands.treatments import with_treatment
        from longsurv.models import CoxPH

        cohort, data = study.cohort, study.cohort.survival_data()
        schema, (reference, *levels) = cohort.schema, cohort.groups
        spec = CoxPH(study.mortality_formula, data=data)
        fit, d = spec.fit(penalty="firth"), spec.design
        used = data.iloc[d.rows]
        control = d.fixed.rebuild(with_treatment(used, schema.treatment, reference))
        treated = [d.fixed.rebuild(with_treatment(used, schema.treatment, v)) for v in levels]
        weights = np.array([(X - control).mean(axis=0) for X in treated])
        if not weights.any(axis=1).all():
            raise LongsurvError(f"the mortality model does not have {schema.treatment!r} in it")
        end = float(schema.horizon or d.exit.max())
        stratum = np.zeros(len(d.rows), dtype=int) if d.stratum is None else d.stratum
        died = d.event.astype(bool)
        risk = np.exp(d.fixed.X @ fit.coefficients + (0.0 if d.offset is None else d.offset))
        death = tuple(
            CumulativeHazard.of(*(v[stratum == s] for v in (d.entry, d.exit, died, risk)))
            for s in range(stratum.max() + 1)
        )
        left = ~died & (d.exit < end)
        by = f" by {end:g} {schema.time_unit}".rstrip()
        estimands = [
            Estimand(what, str(level), ratio)
            for level in levels
            for what, ratio in (("hazard ratio", True), (f"risk difference{by}", False))
        ]
        codes = used[schema.treatment].cat.codes.to_numpy()
        leaving = CumulativeHazard.of(d.entry, d.exit, left, np.ones(len(left)))
        return cls(
            "mortality", "Mortality", tuple(estimands), spec, fit.coefficients, weights,
            codes.astype(int), stratum, death, leaving, end, (spec, end, schema.treatment),
        )  # fmt: skip

    def _log_ratios(self, effect: Effect) -> np.ndarray:
        fitted = self.weights @ self.coefficients
        if effect.kind == "sd":
            return np.full(len(fitted), np.nan)
        if effect.kind == "times":
            return effect.size * fitted + 0.0
        return np.full(len(fitted), np.log(effect.size))

    def _risk(self, log_ratios: np.ndarray) -> np.ndarray:
        """Relative risk of each patient when the treatments have these log hazard ratios."""
        d, b = self.spec.design, self.coefficients
        change = np.linalg.pinv(self.weights) @ (log_ratios - self.weights @ b)
        return np.exp(d.fixed.X @ (b + change) + (0.0 if d.offset is None else d.offset))

    def truth(self, effect: Effect) -> np.ndarray:
        """True log hazard ratios and differences of the risk of being seen to die.

        Parameters
        ----------
        effect : Effect

        Returns
        -------
        ndarray, shape (estimands,)
        """
        log_ratios = self._log_ratios(effect)
        if np.isnan(log_ratios).any():
            return np.full(len(self.estimands), np.nan)
        risk, entry = self._risk(log_ratios), self.spec.design.entry
        seen = np.empty(len(entry))
        knots = np.unique(np.concatenate([h.time for h in (*self.death, self.leaving)]))
        for i, (e, r) in enumerate(zip(entry, risk, strict=True)):
            grid = np.unique(np.clip(np.append(knots, self.end), e, self.end))
            died = r * np.diff(self.death[self.stratum[i]].at(grid))
            gone = died + np.diff(self.leaving.at(grid))
            there = np.exp(-np.append(0.0, np.cumsum(gone)[:-1]))
            share = np.divide(died, gone, out=np.zeros_like(died), where=gone > 0)
            seen[i] = np.sum(there * share * -np.expm1(-gone))
        risks = np.array([seen[self.arm == k].mean() for k in range(len(log_ratios) + 1)])
        differences = risks[1:] - risks[0]
        differences[np.abs(differences) < 1e-12] = 0.0  # rounding of no difference at all
        return np.column_stack([log_ratios, differences]).ravel()

    def replicates(self, rngs: Streams, effects: Sequence[Effect]) -> np.ndarray:
        """A cohort a stream: the same patients, entering when they did.

        Parameters
        ----------
        rngs : sequence of Generator
        effects : sequence of Effect

        Returns
        -------
        ndarray, shape (cohorts, effects, estimands, 3)
        """
        risks = [self._risk(self._log_ratios(effect)) for effect in effects]
        return np.array([self._replicate(rng, risks) for rng in rngs])

    def _replicate(self, rng: np.random.Generator, risks: Sequence[np.ndarray]) -> np.ndarray:
        entry = self.spec.design.entry
        own, other = rng.standard_exponential((2, len(entry)))
        gone = self.leaving.reached(self.leaving.at(entry) + other)
        last = np.minimum(gone, self.end)
        out = np.full((len(risks), len(self.estimands), 3), np.nan)
        for i, risk in enumerate(risks):
            if np.isnan(risk).any():
                continue
            dead = np.empty(len(entry))
            for s, hazard in enumerate(self.death):
                mine = self.stratum == s
                dead[mine] = hazard.reached(hazard.at(entry[mine]) + (own / risk)[mine])
            out[i] = self._analyse(np.minimum(dead, last), dead <= last)
        return out

    def _analyse(self, exit: np.ndarray, died: np.ndarray) -> np.ndarray:
        """Estimate and limits of each estimand, shape (estimands, 3)."""
        out = np.full((len(self.estimands), 3), np.nan)
        design = replace(self.spec.design, exit=exit, event=died.astype(int))
        spec = self.spec.with_design(design)
        try:
            again = spec.fit(penalty="firth")
        except (LongsurvError, np.linalg.LinAlgError):
            pass
        else:
            limits = _limits(again, self.weights)
            out[0::2] = np.column_stack([self.weights @ again.coefficients, limits])
        groups = range(len(self.weights) + 1)
        (n0, *sizes), (d0, *deaths) = (
            [int(np.sum(v[self.arm == k])) for k in groups] for v in (np.ones(len(died)), died)
        )
        for k, (n, d) in enumerate(zip(sizes, deaths, strict=True)):
            out[2 * k + 1] = d / n - d0 / n0, *_score_interval(d, n, d0, n0)
        return out


def _limits(fit: RatioEstimate, weights: np.ndarray) -> np.ndarray:
    """95 % limits of log hazard ratios: profile likelihood, or Wald's with a robust covariance."""
    if fit.profile is not None:
        return np.array([fit.profile_limits(row) for row in weights])
    return fit.contrast(weights)[["conf_low", "conf_high"]].to_numpy(dtype=float)


@lru_cache(maxsize=10_000)
def _score_interval(d: int, n: int, d0: int, n0: int) -> tuple[float, float]:
    """Miettinen and Nurminen's interval; the same few counts come back again and again."""
    from longsurv.estimands.simple import miettinen_nurminen

    return miettinen_nurminen(d, n, d0, n0)
