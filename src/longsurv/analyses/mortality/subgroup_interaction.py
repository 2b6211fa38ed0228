"""The test that the effect is the same in all levels of a column, by the likelihood ratio.

Of several arms there is one of each comparison, the other arms' effects free in every level, and
one of all of them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import null_space

from longsurv.inference.scoring import ascend
from longsurv.likelihood import cox
from longsurv.likelihood.cox.existence import columns
from longsurv.records import Fields
from longsurv.results.reference import chi2_p_value

if TYPE_CHECKING:
    from longsurv.analyses.mortality.subgroup_split import LevelEffects, Split
    from longsurv.results.survival.cox import SurvivalEstimate

TOGETHER = "all arms"
"""What the test of all comparisons together is called."""
RANK = 1e-10


def interactions(fit: SurvivalEstimate, split: Split) -> list[Fields]:
    """The tests of every comparison and, of several, of all arms together.

    Parameters
    ----------
    fit : SurvivalEstimate
        Of `split.separate[0]`.
    split : Split
    """
    firth = fit.penalty == "firth"
    method: Fields = {"method": f"likelihood ratio{', Firth' if firth else ''}"}
    free = [fit.names[int(j)] for j in fit.optimum.free]
    levels, part = _levels(split, free)
    if part:
        note = f"the data do not determine every effect in {part}"
        return [method | {"comparison": TOGETHER, "note": note}]
    own = [free.index(term) for found in levels for term in found.terms]
    tests = []
    for one in split.trial.comparisons:
        both = [found for found in levels if found.has(one)]
        named: Fields = method | {"comparison": one.name}
        if len(both) < 2:
            tests.append(named | {"note": "fewer than two levels have an answer"})
            continue
        W = np.zeros((len(both), len(own)))
        at = 0
        for found in levels:
            if found.has(one):
                row = both.index(found)
                W[row, at : at + len(found.terms)] = found.weights(one)
            at += len(found.terms)
        inside = np.column_stack([null_space(W), np.linalg.pinv(W).sum(axis=1)])
        tests.append(named | _test(fit, own, inside, len(both)))
    if len(split.trial.comparisons) > 1:
        shares = np.vstack([found.shares for found in levels]) if levels else np.zeros((0, 1))
        left, size, _ = np.linalg.svd(shares, full_matrices=False)
        alike = left[:, size > RANK]
        named = method | {"comparison": TOGETHER}
        if alike.shape[1] < len(own):
            tests.append(named | _test(fit, own, alike, len(levels)))
        else:
            tests.append(named | {"note": "fewer than two levels have an answer"})
    return tests


def _levels(split: Split, free: list[str]) -> tuple[list[LevelEffects], str]:
    """The levels whose effects are all determined, and one of which only some are; "" if none."""
    levels = []
    for label, found in split.effects.items():
        known = [term in free for term in found.terms]
        if all(known):
            levels.append(found)
        elif any(known):
            return [], label
    return levels, ""


def _test(fit: SurvivalEstimate, own: list[int], inside: np.ndarray, levels: int) -> Fields:
    """Twice the (penalised) log-likelihood that is lost where effects stay within a space.

    Under Firth's penalty that of the model with all effects is kept (Heinze and Schemper 2001).
    """
    firth, p = fit.penalty == "firth", len(fit.optimum.free)
    data = columns(fit.data, fit.optimum.free)
    others = [j for j in range(p) if j not in own]
    C = np.zeros((p, len(others) + inside.shape[1]))
    C[others, range(len(others))] = 1.0
    C[own, len(others) :] = inside
    climbed = cox.firth_value_gradient_information if firth else cox.value_gradient_information

    def common(gamma: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        value, gradient, information = climbed(data, C @ gamma)
        return value, C.T @ gradient, C.T @ information @ C

    start = np.linalg.lstsq(C, fit.coefficients[fit.optimum.free], rcond=None)[0]
    top = ascend(common, start, exact=not firth)
    if not top.converged:
        return {"note": f"the model of one effect: {top.status}"}
    statistic = max(2.0 * (fit.optimum.value - top.value), 0.0)
    df = len(own) - inside.shape[1]
    return {
        "levels": levels, "statistic": statistic, "df": df,
        "p_value": float(chi2_p_value(statistic, df)), "note": "",
    }  # fmt: skip
