"""Verdicts on convergence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from longsurv.inference import Draws, Optimum
from longsurv.tables.notebook import Readable
from longsurv.words import listed, plural, verb

R_HAT_LIMIT = 1.01
ESS_LIMIT = 400.0
BFMI_LIMIT = 0.3
CONDITION_LIMIT = 1e8
DECREMENT_LIMIT = 1e-6
QUADRATURE_LIMIT = 1e-4
NO_DATA = "coefficients that are all prior"


@dataclass(frozen=True, eq=False)
class Verdict(Readable):
    """A verdict on one result.

    Attributes
    ----------
    ok : bool
        Every check passed.
    words : str
        The verdict in a sentence or two.
    checks : DataFrame
        check, value, limit, ok: the numbers behind it.
    remarks : tuple of str
        What else is to be known, good or not: sentences that `words` has at its end.
    """

    read_as: ClassVar[tuple[str, ...]] = ("words",)

    no_plot: ClassVar[str] = "a verdict is sentences; summary() shows them"

    ok: bool
    words: str
    checks: pd.DataFrame
    remarks: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return self.words


def _verdict(rows: list[tuple[str, float, str, bool]], good: str, flags: Sequence[str]) -> Verdict:
    checks = pd.DataFrame(rows, columns=["check", "value", "limit", "ok"])
    failed = checks.loc[~checks["ok"]]
    if failed.empty:
        words = good
    else:
        listed = "; ".join(
            f"{check} {_found(value, 'is ')} (expected {limit})"
            for check, value, limit in zip(
                failed["check"], failed["value"], failed["limit"], strict=True
            )
        )
        words = f"Not to be relied on as it stands: {listed}."
    return Verdict(bool(failed.empty), " ".join([words, *flags]), checks, tuple(flags))


def _found(value: float, verb: str = "") -> str:
    """A check's value in words; R-hat of one chain, or of one that never moved, is none."""
    return "cannot be computed" if math.isnan(value) else f"{verb}{value:.4g}"


def headings(
    optimum: Optimum, undetermined: Sequence[str] = (), *, arrived: bool | None = None
) -> tuple[str, ...]:
    """What is wrong with a fit, to stand before its numbers wherever they are shown.

    Parameters
    ----------
    optimum : Optimum
    undetermined : sequence of str
        Coefficients without an estimate.
    arrived : bool, optional
        Whether the climb ended at a maximum along what the data determine; by default, whether the
        optimiser says so.
    """
    found = []
    if not (optimum.converged if arrived is None else arrived):
        found.append(
            f"NOT CONVERGED: {optimum.status}. The numbers are where the climb ended, not estimates"
        )
    if undetermined:
        found.append(
            f"NOT DETERMINED BY THE DATA: {listed(undetermined)}"
            f" {verb(len(undetermined), 'has', 'have')} no estimate"
        )
    return tuple(found)


def of_estimate(
    optimum: Optimum,
    flags: Sequence[str] = (),
    undetermined: Sequence[str] = (),
    *,
    arrived: bool | None = None,
) -> Verdict:
    """Verdict on a maximum-likelihood fit; `undetermined` and `arrived` as for `headings`."""
    there = optimum.converged if arrived is None else arrived
    level = optimum.newton_decrement < DECREMENT_LIMIT
    condition = optimum.condition_number < CONDITION_LIMIT
    rows = [
        ("converged", float(there), "1", there),
        ("Newton decrement", optimum.newton_decrement, "< 1e-6", level),
        ("condition number", optimum.condition_number, f"< {CONDITION_LIMIT:.0e}", condition),
    ]
    if undetermined:
        rows.append(("coefficients not determined", float(len(undetermined)), "0", False))
    good = f"Converged in {plural(optimum.evaluations, 'evaluation')}."
    if not there:
        flags = (f"The optimiser says: {optimum.status}.", *flags)
    if undetermined:
        flags = (f"No estimate of {listed(undetermined)}.", *flags)
    return _verdict(rows, good, flags)


def of_quadrature(
    draws: int, error: float, flags: Sequence[str] = (), all_prior: Sequence[str] = ()
) -> Verdict:
    """Verdict on points of equal probability that quadrature found: there are no chains.

    Parameters
    ----------
    draws : int
        All of them.
    error : float
        How far the logarithm of the integral moves with half of the grid.
    flags, all_prior
        See `of_posterior`.
    """
    rows = [
        ("points of equal probability", float(draws), f"> {ESS_LIMIT:.0f}", draws > ESS_LIMIT),
        ("error of the quadrature", error, f"< {QUADRATURE_LIMIT:g}", error < QUADRATURE_LIMIT),
    ]
    if all_prior:
        rows.append((NO_DATA, float(len(all_prior)), "0", False))
    good = (
        f"Exact: the posterior was integrated by quadrature, and its {plural(draws, 'draw')} are"
        " points of equal probability; no chain had to converge."
    )
    return _verdict(rows, good, flags)


def of_posterior(
    table: pd.DataFrame,
    stats: Mapping[str, np.ndarray],
    flags: Sequence[str] = (),
    all_prior: Sequence[str] = (),
) -> Verdict:
    """Verdict on posterior draws (Vehtari et al. 2021, Bayesian Anal 16:667; Betancourt 2016 for
    E-BFMI).

    Parameters
    ----------
    table : DataFrame
        r_hat, ess_bulk and ess_tail of every parameter.
    stats : mapping of str to ndarray
        Of the sampler: diverging and energy.
    flags : sequence of str
    all_prior : sequence of str
        Coefficients of which the data say nothing.
    """
    # A parameter that never moved has no R-hat: NaN, which passes no check.
    r_hat = float(table["r_hat"].max(skipna=False))
    ess = float(table[["ess_bulk", "ess_tail"]].to_numpy(dtype=float).min())
    divergences = float(np.asarray(stats["diverging"]).sum())
    energy = np.asarray(stats["energy"], dtype=float)
    bfmi = np.nan  # which passes no check: of fewer draws than make a difference and a variance
    if energy.shape[1] > 2:
        moved = np.square(np.diff(energy, axis=1)).mean(axis=1)
        bfmi = float((moved / energy.var(axis=1)).min())
    rows = [
        ("largest R-hat", r_hat, f"< {R_HAT_LIMIT}", r_hat < R_HAT_LIMIT),
        ("smallest effective sample size", ess, f"> {ESS_LIMIT:.0f}", ess > ESS_LIMIT),
        ("divergences", divergences, "0", divergences == 0),
        ("smallest E-BFMI", bfmi, f"> {BFMI_LIMIT}", bfmi > BFMI_LIMIT),
    ]
    if all_prior:
        rows.append((NO_DATA, float(len(all_prior)), "0", False))
    good = (
        f"The chains agree (R-hat at most {r_hat:.3f}), with at least {ess:.0f} effective draws "
        "and no divergences."
    )
    return _verdict(rows, good, flags)


def told_again(draws: Draws) -> tuple[str, ...]:
    """That chains were run twice, for the words of a verdict; nothing if they were not."""
    before, target = draws.diverged_before, draws.target_accept
    if not before or target is None:
        return ()
    return (
        f"Sampled a second time, at an acceptance of {target:g}, because {plural(before, 'draw')}"
        f" diverged at {2.0 * target - 1.0:g}.",
    )


def chain_headings(verdict: Verdict) -> tuple[str, ...]:
    """What is wrong with draws, to stand before their numbers; nothing if the verdict is good."""
    failed = set(verdict.checks.loc[~verdict.checks["ok"], "check"])
    few = {"smallest effective sample size", "points of equal probability"}
    said = {
        row["check"]: f"{row['check']} {_found(row['value'])} (expected {row['limit']})"
        for row in verdict.checks.to_dict("records")
        if not row["ok"]
    }
    chains = [text for check, text in said.items() if check not in few | {NO_DATA}]
    found = []
    if chains:
        found.append(f"CHAINS NOT CONVERGED: {'; '.join(chains)}")
    elif failed & few:
        found.append(f"TOO FEW DRAWS: {said[next(iter(failed & few))]}")
    return tuple(found)
