"""Disseminated intravascular coagulation (DIC) scores from their components.

Every score is computed for all rows of a table at once, and refuses to guess: a row with a missing
component has the score NaN, the verdict NA and a reason, even where the other components alone
would decide it. A value that cannot be what the component says (text, a negative count, a platelet
count that must be in another unit) is an error naming the row.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.cohort.score_components import Component, FloatArray, components_of, points_of, scored
from longsurv.errors import DataError


@checked
def jaam_dic(
    table: pd.DataFrame | None = None,
    *,
    sirs: Component = "sirs",
    platelets: Component = "platelets",
    pt_ratio: Component = "pt_ratio",
    fdp: Component | None = "fdp",
    platelet_fall: Component | None = None,
    d_dimer: Component | None = None,
    d_dimer_cutoffs: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Score DIC by the Japanese Association for Acute Medicine (JAAM), 0 to 8, DIC from 4.

    SIRS criteria 3 or more: 1. Platelets 80 to <120 or a fall of 30 to 50 % within 24 h: 1; <80 or
    a fall of more than 50 %: 3. PT ratio 1.2 or more: 1. FDP 10 to <25: 1; 25 or more: 3.
    (Some open papers print 2 for the two highest classes; 3 is right.)

    Parameters
    ----------
    table : DataFrame, optional
        Wide table, a row a patient and time. Needed when a component is given as a column name.
    sirs : column name or array, shape (n,)
        Number of SIRS criteria met, 0 to 4.
    platelets : column name or array, shape (n,)
        Platelet count, 10^9/L.
    pt_ratio : column name or array, shape (n,)
        Prothrombin time over the control's.
    fdp : column name or array, shape (n,), or None
        Fibrin degradation products, ug/mL. None only when `d_dimer` stands in.
    platelet_fall : column name or array, shape (n,), optional
        Fall of the platelet count within 24 h, in percent. Not given: the count alone is scored.
        Given, but missing in a row: the platelet points are unknown there, unless the count alone
        gives 3.
    d_dimer : column name or array, shape (n,), optional
        Stands in for FDP, for the whole table, together with `fdp=None`.
    d_dimer_cutoffs : (float, float), optional
        The D-dimer from which 1 and 3 points are given, in the unit of `d_dimer`. Assays differ, so
        there is no default.

    Returns
    -------
    DataFrame, shape (n, 7)
        sirs_points, platelet_points, pt_points, fibrin_points, score (NaN where a component is
        missing), positive (nullable boolean), reason ("" or which components are missing).

    Raises
    ------
    DataError
        If a column is not in the table, a value is not possible, or FDP and D-dimer are not
        exactly one of the two; every problem at once.

    References
    ----------
    Gando S et al. A multicenter, prospective validation of disseminated intravascular coagulation
    diagnostic criteria for critically ill patients. Crit Care Med 2006;34:625-631.
    """
    fibrin = _fibrin_source(fdp, d_dimer, d_dimer_cutoffs, "d_dimer_cutoffs")
    values = components_of(
        table,
        sirs=sirs,
        platelets=platelets,
        platelet_fall=platelet_fall,
        pt_ratio=pt_ratio,
        **fibrin,
    ).pipe(_needless_fall)
    points = {"sirs_points": points_of(values["sirs"], (values["sirs"] >= 3, 1))}
    points |= _jaam_coagulation(values, d_dimer_cutoffs)
    return scored(values, points, lambda score: score >= 4)


@checked
def jaam2(
    table: pd.DataFrame | None = None,
    *,
    platelets: Component = "platelets",
    pt_ratio: Component = "pt_ratio",
    fdp: Component | None = "fdp",
    platelet_fall: Component | None = None,
    d_dimer: Component | None = None,
    d_dimer_cutoffs: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Score DIC by JAAM-2: the JAAM score without SIRS, 0 to 7, DIC from 3.

    Parameters are those of `jaam_dic`, without `sirs`.

    Returns
    -------
    DataFrame, shape (n, 6)
        platelet_points, pt_points, fibrin_points, score, positive, reason.

    Raises
    ------
    DataError
        As `jaam_dic`.
    """
    fibrin = _fibrin_source(fdp, d_dimer, d_dimer_cutoffs, "d_dimer_cutoffs")
    values = components_of(
        table, platelets=platelets, platelet_fall=platelet_fall, pt_ratio=pt_ratio, **fibrin
    ).pipe(_needless_fall)
    return scored(values, _jaam_coagulation(values, d_dimer_cutoffs), lambda score: score >= 3)


@checked
def isth_overt_dic(
    table: pd.DataFrame | None = None,
    *,
    platelets: Component = "platelets",
    fdp: Component | None = "fdp",
    pt_prolongation: Component = "pt_prolongation",
    fibrinogen: Component = "fibrinogen",
    d_dimer: Component | None = None,
    d_dimer_upper_limit: float | None = None,
) -> pd.DataFrame:
    """Score overt DIC by the ISTH, 0 to 8, overt DIC from 5.

    Platelets 100 or more: 0; 50 to <100: 1; <50: 2. FDP <10: 0; 10 to 25: 2; >25: 3. Prothrombin
    time prolonged by <3 s: 0; 3 to <6: 1; 6 or more: 2. Fibrinogen 1 g/L or more: 0; <1: 1. The
    score is meant for patients with a disorder known to cause DIC.

    Parameters
    ----------
    table : DataFrame, optional
        Wide table, a row a patient and time. Needed when a component is given as a column name.
    platelets : column name or array, shape (n,)
        Platelet count, 10^9/L.
    fdp : column name or array, shape (n,), or None
        Fibrin degradation products, mg/L. None only when `d_dimer` stands in.
    pt_prolongation : column name or array, shape (n,)
        Prothrombin time minus the control's, s.
    fibrinogen : column name or array, shape (n,)
        Fibrinogen, g/L.
    d_dimer : column name or array, shape (n,), optional
        Stands in for FDP: below 2 times its upper limit 0, 2 to 4 times 2, above 4 times 3.
    d_dimer_upper_limit : float, optional
        Upper limit of normal of the user's own D-dimer assay, in the unit of `d_dimer`.

    Returns
    -------
    DataFrame, shape (n, 7)
        platelet_points, fibrin_points, pt_points, fibrinogen_points, score, positive, reason.

    Raises
    ------
    DataError
        As `jaam_dic`.

    References
    ----------
    Taylor FB et al. Towards definition, clinical and laboratory criteria, and a scoring system for
    disseminated intravascular coagulation. Thromb Haemost 2001;86:1327-1330.
    """
    limit = d_dimer_upper_limit
    cutoffs = None if limit is None else (2 * limit, 4 * limit)
    fibrin = _fibrin_source(fdp, d_dimer, cutoffs, "d_dimer_upper_limit")
    values = components_of(
        table,
        platelets=platelets,
        pt_prolongation=pt_prolongation,
        fibrinogen=fibrinogen,
        **fibrin,
    )
    plt, pt, fib = values["platelets"], values["pt_prolongation"], values["fibrinogen"]
    marker, (low, high) = _fibrin_marker(values, cutoffs, (10.0, 25.0))
    points = {
        "platelet_points": points_of(plt, (plt < 50, 2), (plt < 100, 1)),
        "fibrin_points": points_of(marker, (marker > high, 3), (marker >= low, 2)),
        "pt_points": points_of(pt, (pt >= 6, 2), (pt >= 3, 1)),
        "fibrinogen_points": points_of(fib, (fib < 1, 1)),
    }
    return scored(values, points, lambda score: score >= 5)


@checked
def sic(
    table: pd.DataFrame | None = None,
    *,
    pt_inr: Component = "pt_inr",
    platelets: Component = "platelets",
    sofa4: Component = "sofa4",
) -> pd.DataFrame:
    """Score sepsis-induced coagulopathy (SIC) by the ISTH, 0 to 6.

    INR to 1.2: 0; >1.2 to 1.4: 1; >1.4: 2. Platelets 150 or more: 0; 100 to <150: 1; <100: 2.
    Four-item SOFA 0: 0; 1: 1; 2 or more: 2. SIC is a score of 4 or more with more than 2 points
    from INR and platelets together.

    Parameters
    ----------
    table : DataFrame, optional
        Wide table, a row a patient and time. Needed when a component is given as a column name.
    pt_inr : column name or array, shape (n,)
        Prothrombin time, INR.
    platelets : column name or array, shape (n,)
        Platelet count, 10^9/L.
    sofa4 : column name or array, shape (n,)
        Sum of the respiratory, cardiovascular, hepatic and renal SOFA items, 0 to 16; missing when
        any of the four is.

    Returns
    -------
    DataFrame, shape (n, 6)
        inr_points, platelet_points, sofa_points, score, positive, reason.

    Raises
    ------
    DataError
        As `jaam_dic`.

    References
    ----------
    Iba T et al. New criteria for sepsis-induced coagulopathy (SIC) following the revised sepsis
    definition. BMJ Open 2017;7:e017046.
    """
    values = components_of(table, pt_inr=pt_inr, platelets=platelets, sofa4=sofa4)
    inr, plt, sofa = values["pt_inr"], values["platelets"], values["sofa4"]
    points = {
        "inr_points": points_of(inr, (inr > 1.4, 2), (inr > 1.2, 1)),
        "platelet_points": points_of(plt, (plt < 100, 2), (plt < 150, 1)),
        "sofa_points": points_of(sofa, (sofa >= 2, 2), (sofa >= 1, 1)),
    }
    coagulation = points["inr_points"] + points["platelet_points"]
    return scored(values, points, lambda score: (score >= 4) & (coagulation > 2))


def _jaam_coagulation(
    values: pd.DataFrame, d_dimer_cutoffs: tuple[float, float] | None
) -> dict[str, FloatArray]:
    """Points for platelets, prothrombin time and fibrin, as JAAM and JAAM-2 share them."""
    plt, pt = values["platelets"], values["pt_ratio"]
    platelet_points = points_of(plt, (plt < 80, 3), (plt < 120, 1))
    if "platelet_fall" in values:
        fall = values["platelet_fall"]
        by_fall = points_of(fall, (fall > 50, 3), (fall >= 30, 1))
        platelet_points = np.maximum(platelet_points, by_fall)
    marker, (low, high) = _fibrin_marker(values, d_dimer_cutoffs, (10.0, 25.0))
    return {
        "platelet_points": platelet_points,
        "pt_points": points_of(pt, (pt >= 1.2, 1)),
        "fibrin_points": points_of(marker, (marker >= high, 3), (marker >= low, 1)),
    }


def _needless_fall(values: pd.DataFrame) -> pd.DataFrame:
    """A platelet count below 80 has all 3 points, so there a missing fall is not missed."""
    if "platelet_fall" not in values:
        return values
    known = values["platelet_fall"].isna() & (values["platelets"] < 80)
    return values.assign(platelet_fall=values["platelet_fall"].mask(known, 0.0))


def _fibrin_marker(
    values: pd.DataFrame,
    d_dimer_cutoffs: tuple[float, float] | None,
    fdp_cutoffs: tuple[float, float],
) -> tuple[pd.Series, tuple[float, float]]:
    """The fibrin marker in use, with its two cut-offs."""
    if d_dimer_cutoffs is None:
        return values["fdp"], fdp_cutoffs
    return values["d_dimer"], d_dimer_cutoffs


def _fibrin_source(
    fdp: Component | None,
    d_dimer: Component | None,
    cutoffs: tuple[float, float] | None,
    cutoffs_name: str,
) -> dict[str, Component | None]:
    """FDP, or D-dimer with the user's own cut-offs; never both, never neither."""
    problems = []
    if d_dimer is None and fdp is None:
        problems.append("FDP is required: give fdp, or d_dimer with your laboratory's cut-offs")
    if d_dimer is not None and cutoffs is None:
        problems.append(
            f"d_dimer has no cut-offs of its own in this score: give {cutoffs_name} for your assay"
        )
    if d_dimer is not None and fdp is not None:
        problems.append("d_dimer stands in for FDP in the whole table: give fdp=None with it")
    if d_dimer is None and cutoffs is not None:
        problems.append(f"{cutoffs_name} is given without d_dimer: give d_dimer, or drop it")
    if cutoffs is not None and not 0 < cutoffs[0] < cutoffs[1] < np.inf:
        problems.append(f"{cutoffs_name} must be positive and rising, not {cutoffs}")
    if problems:
        raise DataError(problems)
    return {"d_dimer": d_dimer} if fdp is None else {"fdp": fdp}
