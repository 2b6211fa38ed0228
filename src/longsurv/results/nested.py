"""Likelihood-ratio tests of two nested models of the same data, whatever their family."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import singledispatch
from typing import Protocol, cast

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design import MixedDesign, SurvivalDesign
from longsurv.design.generalised import GeneralisedDesign
from longsurv.design.joint import JointDesign
from longsurv.design.links import Link
from longsurv.design.rank import within
from longsurv.errors import EstimationError, LongsurvError
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.results.estimate import Estimate
from longsurv.results.generalised.specification import GeneralisedSpecification
from longsurv.results.nested_covariance import not_nested
from longsurv.results.reference import chi2_p_value
from longsurv.results.survival.specification import CoxSpecification, SitesSpecification


class Penalised(Protocol):
    """A fitted survival model, with or without a penalty."""

    penalty: str | None
    smoothing: float | None


@dataclass(frozen=True)
class Nesting:
    """What two models must share, and what the larger one must contain, to be compared.

    Attributes
    ----------
    answers : mapping of str to ndarray
        The response and all that is conditioned on; the same rows of the same data.
    parts : mapping of str to ndarray
        Columns of each linear part; those of the smaller model lie in the span of the larger's.
    alike : mapping of str to object
        Choices that a model and one nested in it share.
    measure : mapping of str to object
        Choices without which two likelihoods are not of the same thing, nested or not.
    knots : mapping of str to sequence of float
        Of each baseline; those of the smaller model are among the larger's.
    links : frozenset of (str, str, Link)
        Of a cause and a marker; the larger model has those of the smaller, or the same by group.
    """

    answers: Mapping[str, np.ndarray]
    parts: Mapping[str, np.ndarray]
    alike: Mapping[str, object] = field(default_factory=dict)
    measure: Mapping[str, object] = field(default_factory=dict)
    knots: Mapping[str, Sequence[float]] = field(default_factory=dict)
    links: frozenset[tuple[str, str, Link]] = frozenset()


@checked
def lrt(smaller: Estimate, larger: Estimate) -> pd.DataFrame:
    """Likelihood-ratio test of two nested models of the same data.

    Of two fits of `LMM`, `GLMM`, `CoxPH` (partial likelihood), `Hazard` or `JointModel`.

    A variance of zero lies on the edge of what is possible, so the chi-squared p value of a test of
    random effects is too large. For one random effect more, the statistic follows an equal mixture
    of chi-squared distributions with one df less and with all (Self & Liang 1987, J Am Stat Assoc
    82:605-610, case 5; Stram & Lee 1994, Biometrics 50:1171-1177).

    Parameters
    ----------
    smaller, larger : Estimate
        Fitted by the same method; mixed models by "ML" if their fixed effects differ.

    Returns
    -------
    DataFrame
        One row: term (the two formulas), statistic, df, p_value (chi-squared), p_boundary (the
        mixture's; NaN unless the models differ by exactly one random effect), method, note.

    Raises
    ------
    LongsurvError
        If one is no fit, the models are not nested, are of different data, or their likelihoods
        cannot be compared: penalised, with a robust covariance, or with a smoothed baseline.
    EstimationError
        If a fit has not converged.
    """
    _check_comparable(smaller, larger)
    statistic = 2.0 * (larger.llf - smaller.llf)
    if statistic < -1e-6 * max(1.0, abs(larger.llf)):
        raise LongsurvError(
            f"the larger model {larger.spec.formula!r} has the lower likelihood, so the models are "
            "not nested or a fit has not converged"
        )
    statistic = max(statistic, 0.0)
    df = larger.n_params - smaller.n_params
    p = float(chi2_p_value(statistic, df))
    more_effects = _count_sds(larger) - _count_sds(smaller)
    boundary, note = np.nan, ""
    if more_effects == 1:
        less = float(chi2_p_value(statistic, df - 1)) if df > 1 else float(statistic <= 0.0)
        boundary = 0.5 * less + 0.5 * p
        note = "A variance is tested against 0, its boundary: p_boundary is the one to use."
    elif more_effects > 1:
        note = (
            f"{more_effects} variances are tested against 0, their boundary: p_value is too large "
            "by an amount that no simple formula gives; a parametric bootstrap would."
        )
    return pd.DataFrame(
        [
            {
                "term": f"{larger.spec.formula} against {smaller.spec.formula}",
                "statistic": statistic,
                "df": df,
                "p_value": p,
                "p_boundary": boundary,
                "method": larger.method,
                "note": note,
            }
        ]
    )


def criterion(fit: Estimate) -> str:
    """What a mixed model was fitted by."""
    return "REML" if fit.method.startswith("REML") else "ML"


@singledispatch
def nesting(design: object, fit: Estimate) -> Nesting:
    """What a design shares with one it is nested in; a function a kind of design."""
    raise LongsurvError(
        f"lrt compares fits of LMM, GLMM, CoxPH, Hazard and JointModel; "
        f"{type(fit).__name__} is none of them"
    )


@nesting.register
def _of_mixed(design: MixedDesign, fit: Estimate) -> Nesting:
    if fit.method == "least squares":
        raise LongsurvError(
            "of a linear model the F test is exact: use test() on the coefficients in question"
        )
    parts = {"fixed": design.fixed.X}
    parts |= {f"{g.name}'s random": g.random.X for g in design.groupings}
    return Nesting(answers(design), parts, measure={"method": criterion(fit)})


@nesting.register
def _of_generalised(design: GeneralisedDesign, fit: Estimate) -> Nesting:
    plain = _of_mixed(design, fit)
    spec = cast(GeneralisedSpecification, fit.spec)
    X = design.fixed.X
    if design.levels:  # the thresholds absorb what is constant
        X = np.column_stack([X, np.ones(len(X))])
    family = FAMILIES[design.family]
    kind = "measurements" if family.measured else "counts" if family.log else "categories"
    return Nesting(
        plain.answers,
        {**plain.parts, "fixed": X},
        {"family": design.family, "df": spec.df},
        {
            "nodes": spec.quadrature_nodes,
            "response": kind,
        },
    )


@nesting.register
def _of_survival(design: SurvivalDesign, fit: Estimate) -> Nesting:
    given = cast(Penalised, fit)
    if given.penalty is not None:
        raise LongsurvError(
            "likelihood-ratio tests need unpenalised fits: of Firth's, the interval and p value of "
            "a coefficient in tidy() are already those of its own likelihood ratio"
        )
    if fit.reference.method == "robust":
        raise LongsurvError(
            "a likelihood-ratio test takes the rows to be independent, which a robust covariance "
            "(cluster or weights) does not; use test() on the coefficients"
        )
    hazard = getattr(fit, "hazard", None)  # only parametric models have a baseline
    X = design.fixed.X
    parts = {"covariate": np.column_stack([X, np.ones(len(X))])}
    spec, sites = cast(SitesSpecification, fit.spec), design.sites
    alike = {} if sites is None else {"site effects": f"{spec.frailty} ones of {sites.name}"}
    if hazard is None:
        return Nesting(answers(design), parts, alike, {"ties": cast(CoxSpecification, spec).ties})
    if given.smoothing is not None:
        raise LongsurvError(
            "the likelihood of a smoothed baseline is penalised, each model's by an amount of its "
            "own; compare with baseline='piecewise' or 'weibull', or use test() on the coefficients"
        )
    t = design.exit
    parts["covariate"] = np.column_stack([hazard.columns(X, t), np.ones(len(X))])
    base = hazard.baseline
    return Nesting(
        answers(design), parts, alike | {"baseline": base.kind}, knots={"baseline": base.knots}
    )


@nesting.register
def _of_joint(design: JointDesign, fit: Estimate) -> Nesting:
    parts: dict[str, np.ndarray] = {}
    alike: dict[str, object] = {}
    knots: dict[str, Sequence[float]] = {}
    measure = {"nodes": len(fit.data.nodes)}  # type: ignore[attr-defined]
    if (design.entry > 0.0).any():  # whom the random effects describe
        alike["entry"] = "population" if design.from_zero else "at_risk"
    for marker in design.markers:
        parts[f"{marker.name}'s fixed"] = marker.design.fixed.X
        parts[f"{marker.name}'s random"] = marker.design.Z
    for cause in design.causes:
        ones = np.ones((len(cause.status), 1))
        parts[f"{cause.name}'s covariate"] = np.hstack([cause.covariates, ones])
        base, named = cause.baseline, f"baseline {cause.name}"
        alike[named], knots[named] = (base.kind, len(cause.baseline_names)), base.knots
    links = frozenset(
        (cause.name, design.markers[m].name, link)
        for cause in design.causes
        for m, link, _ in cause.links
    )
    return Nesting(answers(design), parts, alike, measure, knots, links)


@singledispatch
def answers(design: object) -> dict[str, np.ndarray]:
    """The response of a design and all that is conditioned on; a function a kind of design."""
    raise LongsurvError(
        f"{type(design).__name__} has no response that could be compared with another's"
    )


@answers.register
def _measurements(design: MixedDesign) -> dict[str, np.ndarray]:
    return {"response": design.y}


@answers.register
def _responses(design: GeneralisedDesign) -> dict[str, np.ndarray]:
    return {"response": design.y, "censoring": design.extent, "offset": design.offsets}


@answers.register
def _markers_and_events(design: JointDesign) -> dict[str, np.ndarray]:
    out = {"exit": design.exit, "entry": design.entry}
    for marker in design.markers:
        beyond = marker.kind
        out[marker.name] = marker.design.y
        out[f"limits of {marker.name}"] = np.zeros(0) if beyond is None else 1.0 * beyond
    return out | {f"event {cause.name}": cause.status for cause in design.causes}


@answers.register
def _events(design: SurvivalDesign) -> dict[str, np.ndarray]:
    n = len(design.exit)
    w = design.windows
    return {
        "left": np.zeros(0) if w is None else w.left,
        "right": np.zeros(0) if w is None else w.right,
        "entry": design.entry,
        "exit": design.exit,
        "event": design.event,
        "weights": np.ones(n) if design.weights is None else design.weights,
        "offset": np.zeros(n) if design.offset is None else design.offset,
        "strata": np.zeros(n) if design.stratum is None else design.stratum,
    }


def same_answers(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> bool:
    """Whether two designs have the same response."""
    # As arrays first: rows that are not in memory say so, and array_equal would take it for a no.
    return a.keys() == b.keys() and all(
        np.array_equal(np.asarray(mine), np.asarray(b[what])) for what, mine in a.items()
    )


def of_same_rows(one: object, other: object) -> bool:
    """Whether two designs are of the same rows: with one response, and one set of columns.

    Parameters
    ----------
    one, other : design
        Of models with one formula.
    """
    if type(one) is not type(other) or not same_answers(answers(one), answers(other)):
        return False
    sides = [_columns(design) for design in (one, other)]
    return len(sides[0]) == len(sides[1]) and all(map(np.array_equal, *sides))


def _columns(design: object) -> list[np.ndarray]:
    """Covariates of a design, part by part."""
    if isinstance(design, JointDesign):
        marked = [one.design.fixed.X for one in design.markers]
        return marked + [cause.covariates for cause in design.causes]
    return [design.fixed.X]  # type: ignore[attr-defined]


def _check_comparable(smaller: Estimate, larger: Estimate) -> None:
    for fit in (smaller, larger):
        if not fit.converged:
            raise EstimationError(
                f"{fit.spec.formula!r} has not converged ({fit.optimum.status}), so its "
                "log-likelihood is no maximum"
            )
    if type(smaller.spec) is not type(larger.spec):
        kinds = f"{type(smaller.spec).__name__} and {type(larger.spec).__name__}"
        raise LongsurvError(f"lrt compares two models of one kind, not {kinds}")
    a, b = nesting(smaller.design, smaller), nesting(larger.design, larger)
    other = {**b.alike, **b.measure}
    for what, choice in {**a.alike, **a.measure}.items():
        if other.get(what, choice) != choice:
            raise LongsurvError(
                f"one model was fitted by {choice} ({what}), the other by {other[what]}; fit "
                "both alike"
            )
    if not same_answers(a.answers, b.answers):
        raise LongsurvError(
            f"the models are of different data ({smaller.nobs} and {larger.nobs} rows): a "
            "likelihood-ratio test needs the same response of the same rows; leave out rows with "
            "missing values beforehand"
        )
    if larger.n_params <= smaller.n_params:
        raise LongsurvError(
            f"{larger.spec.formula!r} has no more parameters than {smaller.spec.formula!r}; give "
            "the smaller model first"
        )
    for what, columns in a.parts.items():
        if not within(columns, b.parts.get(what, np.empty((len(columns), 0)))):
            raise LongsurvError(
                f"the {what} effects of {smaller.spec.formula!r} are not a part of those of "
                f"{larger.spec.formula!r}: the models are not nested"
            )
    for what, at in a.knots.items():
        theirs = b.knots.get(what, ())
        if not np.isin(at, theirs).all():
            raise LongsurvError(
                f"the {what} of {smaller.spec.formula!r} has knots at {_listed(at)}, not all of"
                f" which are among those of {larger.spec.formula!r}, {_listed(theirs)}: the models"
                " are not nested; give both the same knots="
            )
    more = b.links | {(cause, name, Link(link.kind)) for cause, name, link in b.links}
    if lost := ", ".join(sorted({str(link) for _, _, link in a.links - more})):
        raise LongsurvError(
            f"the larger model does not have the link {lost} of the smaller one: the models are not"
            " nested; compare them with information_criteria()"
        )
    if isinstance(smaller.design, MixedDesign) and isinstance(larger.design, MixedDesign):
        why = not_nested(smaller.design, larger.design)
        if why:
            raise LongsurvError(
                f"{smaller.spec.formula!r} is no case of {larger.spec.formula!r}, {why}: the models"
                " are not nested; compare them with information_criteria()"
            )
    if a.measure.get("method") == "REML" and not within(b.parts["fixed"], a.parts["fixed"]):
        raise LongsurvError(
            "REML likelihoods of different fixed effects cannot be compared, as each is of other "
            "contrasts of the data; fit both with method='ML', or test the coefficients with test()"
        )


def _listed(knots: Sequence[float]) -> str:
    return ", ".join(f"{knot:.4g}" for knot in knots) or "none"


def _count_sds(fit: Estimate) -> int:
    if isinstance(fit.design, SurvivalDesign):
        return int(fit.design.sites is not None)
    variance = getattr(fit, "variance", None)
    return 0 if variance is None else sum(name.startswith("sd(") for name in variance.names)
