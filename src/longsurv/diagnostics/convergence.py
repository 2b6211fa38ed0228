"""Verdicts on convergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.inference import Optimum

R_HAT_LIMIT = 1.01
ESS_LIMIT = 400.0
BFMI_LIMIT = 0.3
CONDITION_LIMIT = 1e8


@dataclass(frozen=True, eq=False)
class Verdict:
    """A verdict on one result.

    Attributes
    ----------
    ok : bool
        Every check passed.
    words : str
        The verdict in a sentence or two.
    checks : DataFrame
        check, value, limit, ok: the numbers behind it.
    """

    ok: bool
    words: str
    checks: pd.DataFrame

    def __str__(self) -> str:
        return self.words


def _verdict(rows: list[tuple[str, float, str, bool]], good: str, flags: Sequence[str]) -> Verdict:
    checks = pd.DataFrame(rows, columns=["check", "value", "limit", "ok"])
    failed = checks.loc[~checks["ok"]]
    if failed.empty:
        words = good
    else:
        listed = "; ".join(
            f"{check} is {value:.4g} (expected {limit})"
            for check, value, limit in zip(
                failed["check"], failed["value"], failed["limit"], strict=True
            )
        )
        words = f"Not to be relied on as it stands: {listed}."
    return Verdict(bool(failed.empty), " ".join([words, *flags]), checks)


def of_estimate(optimum: Optimum, flags: Sequence[str] = ()) -> Verdict:
    """Verdict on a maximum-likelihood fit."""
    rows = [
        ("converged", float(optimum.converged), "1", optimum.converged),
        ("Newton decrement", optimum.newton_decrement, "< 1e-6", optimum.newton_decrement < 1e-6),
        (
            "condition number",
            optimum.condition_number,
            f"< {CONDITION_LIMIT:.0e}",
            optimum.condition_number < CONDITION_LIMIT,
        ),
    ]
    good = f"Converged in {optimum.evaluations} evaluations."
    if not optimum.converged:
        flags = (f"The optimiser says: {optimum.status}.", *flags)
    return _verdict(rows, good, flags)


def of_posterior(
    table: pd.DataFrame, stats: Mapping[str, np.ndarray], flags: Sequence[str] = ()
) -> Verdict:
    """Verdict on posterior draws (Vehtari et al. 2021, Bayesian Anal 16:667; Betancourt 2016 for
    E-BFMI)."""
    # A parameter that never moved has no R-hat: NaN, which passes no check.
    r_hat = float(table["r_hat"].max(skipna=False))
    ess = float(table[["ess_bulk", "ess_tail"]].to_numpy(dtype=float).min())
    divergences = float(np.asarray(stats["diverging"]).sum())
    energy = np.asarray(stats["energy"], dtype=float)
    bfmi = float((np.square(np.diff(energy, axis=1)).mean(axis=1) / energy.var(axis=1)).min())
    rows = [
        ("largest R-hat", r_hat, f"< {R_HAT_LIMIT}", r_hat < R_HAT_LIMIT),
        ("smallest effective sample size", ess, f"> {ESS_LIMIT:.0f}", ess > ESS_LIMIT),
        ("divergences", divergences, "0", divergences == 0),
        ("smallest E-BFMI", bfmi, f"> {BFMI_LIMIT}", bfmi > BFMI_LIMIT),
    ]
    good = (
        f"The chains agree (R-hat at most {r_hat:.3f}), with at least {ess:.0f} effective draws "
        "and no divergences."
    )
    return _verdict(rows, good, flags)
