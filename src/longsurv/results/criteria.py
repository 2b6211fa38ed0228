"""Several models of the same data side by side: information criteria, or leave-one-out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Annotated

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.design import SurvivalDesign
from longsurv.design.rank import within
from longsurv.errors import EstimationError, LongsurvError
from longsurv.results.estimate import Estimate
from longsurv.results.nested import answers, lrt, nesting, same_answers
from longsurv.results.posterior import Posterior
from longsurv.words import listed

if TYPE_CHECKING:
    from arviz_stats.utils import ELPDData

type Answer = Estimate | Posterior
type Fits = Annotated[
    Mapping[str, Answer] | Sequence[Answer], "fits or posteriors in a list, or by name in a dict"
]


@checked
def information_criteria(fits: Fits) -> pd.DataFrame:
    """Compare models of the same data by what they would predict.

    Of estimates: Akaike's criterion (AIC), corrected for the sample size (AICc; Hurvich & Tsai
    1989, Biometrika 76:297-307) and Schwarz's (BIC), with likelihood-ratio tests where models are
    nested. Of posteriors: leave-one-out cross-validation by Pareto-smoothed importance sampling,
    with stacking weights (Yao et al. 2018, Bayesian Anal 13:917-1007; ArviZ).

    Criteria say which of these models predicts best, not whether it predicts well; a confounder
    belongs in a model of a treatment's effect whatever they say.

    Parameters
    ----------
    fits : mapping of str to result, or sequence of results
        Two or more, all estimates or all posteriors, of models of one kind. Those in a sequence are
        called by their formulas.

    Returns
    -------
    DataFrame
        One row a model, in the order given. Of estimates: model, df (parameters), llf, aic, aicc,
        bic, delta_aic (less the least), weight (Akaike's), then of the likelihood-ratio test
        against the largest model that is nested in it: against (that model; "" if none is),
        statistic, df_test, p_value, p_boundary (of one more variance). AICc and BIC count rows, and
        events of survival models. Of posteriors: model, elpd, se, p_loo, elpd_diff (to the best),
        se_diff, weight, unit (what is left out), k_above (units whose Pareto k is too large for the
        importance sampling to be relied on).

    Raises
    ------
    LongsurvError
        If models are of different data or of different kinds, REML fits have different fixed
        effects, fits are penalised or robust, or posteriors leave out different units.
    EstimationError
        If a fit has not converged.
    """
    named = _named(fits)
    results = list(named.values())
    estimates = [fit for fit in results if isinstance(fit, Estimate)]
    posteriors = [fit for fit in results if isinstance(fit, Posterior)]
    if estimates and posteriors:
        raise LongsurvError(
            "estimates are compared by likelihood, posteriors by what they predict of data left "
            "out: give only the ones or only the others"
        )
    kinds = sorted({type(fit.spec).__name__ for fit in results})
    if len(kinds) > 1:
        raise LongsurvError(
            f"models of one kind can be compared, not of {listed(kinds)}: their likelihoods are of "
            "different things"
        )
    if estimates:
        return _of_estimates(dict(zip(named, estimates, strict=True)))
    return _of_posteriors(dict(zip(named, posteriors, strict=True)))


def _named(fits: Mapping[str, Answer] | Sequence[Answer]) -> dict[str, Answer]:
    if isinstance(fits, Mapping):
        named = dict(fits)
    else:
        named = {fit.spec.formula: fit for fit in fits}
        if len(named) < len(fits):
            raise LongsurvError(
                "two of the models have the same formula; give them names, as in "
                "information_criteria({'first': a, 'second': b})"
            )
    if len(named) < 2:
        raise LongsurvError(f"a comparison takes two models or more, not {len(named)}")
    return named


def _of_estimates(fits: Mapping[str, Estimate]) -> pd.DataFrame:
    for a, b in combinations(fits.values(), 2):
        _check_alike(a, b)
    rows = [
        {
            "model": name,
            "df": fit.n_params,
            "llf": fit.llf,
            "aic": fit.aic,
            "aicc": _corrected(fit),
            "bic": fit.bic,
        }
        for name, fit in fits.items()
    ]
    table = pd.DataFrame(rows)
    delta = table["aic"] - table["aic"].min()
    table["delta_aic"] = delta
    table["weight"] = np.exp(-0.5 * delta) / np.exp(-0.5 * delta).sum()
    return table.join(pd.DataFrame([_tested(name, fits) for name in fits]))


def _check_alike(a: Estimate, b: Estimate) -> None:
    """Refuse two fits whose likelihoods are not of the same thing."""
    for fit in (a, b):
        if not fit.converged:
            raise EstimationError(
                f"{fit.spec.formula!r} has not converged ({fit.optimum.status}), so its "
                "log-likelihood is no maximum"
            )
    first, second = nesting(a.design, a), nesting(b.design, b)
    for what, choice in first.measure.items():
        if second.measure.get(what) != choice:
            raise LongsurvError(
                f"one model was fitted by {choice} ({what}), another by "
                f"{second.measure.get(what)}; fit all alike"
            )
    if not same_answers(first.answers, second.answers):
        raise LongsurvError(
            f"the models are of different data ({a.nobs} and {b.nobs} rows): criteria need the "
            "same response of the same rows; leave out rows with missing values beforehand"
        )
    if first.measure.get("method") == "REML":
        X, Y = first.parts["fixed"], second.parts["fixed"]
        if not (within(X, Y) and within(Y, X)):
            raise LongsurvError(
                "REML likelihoods of different fixed effects cannot be compared, as each is of "
                "other contrasts of the data; fit all with method='ML'"
            )


def _corrected(fit: Estimate) -> float:
    """AICc; infinite where there are hardly more data than parameters."""
    design = fit.design
    n = design.counted_events if isinstance(design, SurvivalDesign) else fit.nobs
    # Of a smoothed baseline its effective number, which AIC counts.
    k = 0.5 * (fit.aic + 2.0 * fit.llf)
    return fit.aic + 2.0 * k * (k + 1.0) / (n - k - 1.0) if n > k + 1.0 else np.inf


def _tested(name: str, fits: Mapping[str, Estimate]) -> dict[str, object]:
    """The likelihood-ratio test of a model against the largest one nested in it."""
    larger = fits[name]
    smaller = [other for other, fit in fits.items() if fit.n_params < larger.n_params]
    for other in sorted(smaller, key=lambda other: fits[other].n_params, reverse=True):
        try:
            found = lrt(fits[other], larger).iloc[0]
        except LongsurvError:  # not nested
            continue
        return {
            "against": other,
            "statistic": found["statistic"],
            "df_test": found["df"],
            "p_value": found["p_value"],
            "p_boundary": found["p_boundary"],
        }
    columns = ("statistic", "df_test", "p_value", "p_boundary")
    return {"against": "", **dict.fromkeys(columns, np.nan)}


def _of_posteriors(posts: Mapping[str, Posterior]) -> pd.DataFrame:
    import arviz as az

    for a, b in combinations(posts.values(), 2):
        if not same_answers(answers(a.design), answers(b.design)):
            raise LongsurvError(
                f"the models are of different data ({a.nobs} and {b.nobs} rows): what they predict "
                "can only be compared for the same response of the same rows"
            )
    with warnings.catch_warnings():
        # Of units whose importance sampling is doubtful: they are counted below, in a column.
        warnings.filterwarnings("ignore", "Estimated shape parameter of Pareto", UserWarning)
        found = {name: post.loo(pointwise=True) for name, post in posts.items()}
    units = {name: _unit(elpd) for name, elpd in found.items()}
    if len({labels for _, labels in units.values()}) > 1:
        raise LongsurvError(
            "the models leave out different units: "
            + "; ".join(f"{name} each {unit}" for name, (unit, _) in units.items())
            + ". What is left out of one must be left out of the other"
        )
    table = az.compare(found, round_to="none")
    rows = [
        {
            "model": name,
            "elpd": elpd.elpd,
            "se": elpd.se,
            "p_loo": elpd.p,
            "elpd_diff": table.loc[name, "elpd_diff"],
            "se_diff": table.loc[name, "dse"],
            "weight": table.loc[name, "weight"],
            "unit": units[name][0],
            "k_above": int((elpd.pareto_k.to_numpy() > elpd.good_k).sum()),
        }
        for name, elpd in found.items()
    ]
    return pd.DataFrame(rows)


def _unit(elpd: ELPDData) -> tuple[str, tuple[str, ...]]:
    """What is left out, and the labels of all such."""
    (dimension,) = elpd.elpd_i.dims
    labels = tuple(str(v) for v in elpd.elpd_i[dimension].to_numpy())
    return str(dimension).removesuffix("_unit"), labels
