"""Mixed models compared and summed up: likelihood-ratio tests, F tests by term, R squared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError

if TYPE_CHECKING:
    from longsurv.results.mixed import MixedEstimate, MixedPosterior


def lrt(smaller: MixedEstimate, larger: MixedEstimate) -> pd.DataFrame:
    """Likelihood-ratio test of two nested mixed models of the same data.

    A variance of zero lies on the edge of what is possible, so the chi-squared p value of a test of
    random effects is too large. For one random effect more, the statistic follows an equal mixture
    of chi-squared distributions with one df less and with all (Self & Liang 1987, J Am Stat Assoc
    82:605-610, case 5; Stram & Lee 1994, Biometrics 50:1171-1177).

    Parameters
    ----------
    smaller, larger : MixedEstimate
        Fitted by the same method; by "ML" if their fixed effects differ.

    Returns
    -------
    DataFrame
        One row: term (the two formulas), statistic, df, p_value (chi-squared), p_boundary (the
        mixture's; NaN unless the models differ by exactly one random effect), method, note.

    Raises
    ------
    LongsurvError
        If the models are not nested, are of different data, or their likelihoods cannot be
        compared.
    """
    from scipy.stats import chi2

    _check_comparable(smaller, larger)
    statistic = 2.0 * (larger.llf - smaller.llf)
    if statistic < -1e-6 * max(1.0, abs(larger.llf)):
        raise LongsurvError(
            f"the larger model {larger.spec.formula!r} has the lower likelihood, so the models are "
            "not nested or a fit has not converged"
        )
    statistic = max(statistic, 0.0)
    df = larger.n_params - smaller.n_params
    p = float(chi2.sf(statistic, df))
    more_effects = _count_sds(larger) - _count_sds(smaller)
    boundary, note = np.nan, ""
    if more_effects == 1:
        less = float(chi2.sf(statistic, df - 1)) if df > 1 else float(statistic <= 0.0)
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


def _check_comparable(smaller: MixedEstimate, larger: MixedEstimate) -> None:
    a, b = smaller.design, larger.design
    if _criterion(smaller) != _criterion(larger):
        raise LongsurvError(
            f"one model was fitted by {_criterion(smaller)}, the other by {_criterion(larger)}; "
            "fit both alike"
        )
    if not np.array_equal(a.y, b.y):
        raise LongsurvError(
            f"the models are of different data ({len(a.y)} and {len(b.y)} rows): a "
            "likelihood-ratio test needs the same response of the same rows; leave out rows with "
            "missing values beforehand"
        )
    if larger.n_params <= smaller.n_params:
        raise LongsurvError(
            f"{larger.spec.formula!r} has no more parameters than {smaller.spec.formula!r}; give "
            "the smaller model first"
        )
    larger_random = {grouping.name: grouping.random.X for grouping in b.groupings}
    parts = [("fixed", a.fixed.X, b.fixed.X)]
    parts += [
        ("random", grouping.random.X, larger_random.get(grouping.name, np.empty((len(b.y), 0))))
        for grouping in a.groupings
    ]
    for what, small, large in parts:
        if not _within(small, large):
            raise LongsurvError(
                f"the {what} effects of {smaller.spec.formula!r} are not a part of those of "
                f"{larger.spec.formula!r}: the models are not nested"
            )
    if _criterion(smaller) == "REML" and not _within(b.fixed.X, a.fixed.X):
        raise LongsurvError(
            "REML likelihoods of different fixed effects cannot be compared, as each is of other "
            "contrasts of the data; fit both with method='ML', or test the coefficients with test()"
        )


def _criterion(fit: MixedEstimate) -> str:
    return "REML" if fit.method.startswith("REML") else "ML"


def _within(A: np.ndarray, B: np.ndarray) -> bool:
    """Whether the columns of B span those of A."""
    if B.shape[1] == 0:
        return A.shape[1] == 0
    left = A - B @ np.linalg.lstsq(B, A, rcond=None)[0]
    return bool((np.abs(left).max(axis=0, initial=0.0) <= 1e-8 * np.abs(A).max(axis=0)).all())


def _count_sds(fit: MixedEstimate) -> int:
    return sum(name.startswith("sd(") for name in fit.variance.names)


def anova(fit: MixedEstimate) -> pd.DataFrame:
    """F test of each term of the fixed effects given all others.

    The hypotheses are those of "type III" sums of squares: with sum-to-zero coding of every factor,
    the term's coefficients are zero. A main effect is thus tested at equal weights of the levels of
    the other factors (and where numeric variables it interacts with are zero), however factors are
    coded in the model.

    Returns
    -------
    DataFrame
        term, statistic, df_num, df_den, p_value, method.

    Raises
    ------
    LongsurvError
        If the design had to leave out columns (an empty cell).
    """
    design = fit.design.fixed
    if design.aliased:
        raise LongsurvError(
            f"columns {list(design.aliased)} are determined by others, so effects of whole terms "
            "are not determined by the data; ask for the differences you want with means()"
        )
    data = fit.spec.data.iloc[fit.design.rows]
    coded, slices = _sum_coded(design.recipe, data)
    to_coded = np.linalg.lstsq(coded, design.X, rcond=None)[0]
    rows = [
        fit.test(to_coded[where]).assign(term=term) for term, where in slices.items() if term != "1"
    ]
    return pd.concat(rows, ignore_index=True)


def _sum_coded(recipe: Any, data: pd.DataFrame) -> tuple[np.ndarray, dict[str, slice]]:
    """The design with factors in sum-to-zero coding, and the columns of each term."""
    from formulaic import Formula

    kinds = {name: kind.value for name, (kind, _) in recipe.encoder_state.items()}
    variables = {str(f): used & set(data.columns) for f, used in recipe.factor_variables.items()}

    def coded(factor: str) -> str:
        if kinds.get(factor) != "categorical":
            return factor
        (variable,) = variables[factor]
        return f"C({variable}, contr.sum)"

    terms = {
        str(term): ":".join(coded(str(factor)) for factor in term.factors)
        for term in recipe.term_slices
    }
    right = " + ".join(t for t in terms.values() if t != "1")
    right = right if "1" in terms else f"0 + {right}"
    matrix = Formula(right or "1").get_model_matrix(data, context={}, na_action="ignore")
    slices = {str(term): where for term, where in matrix.model_spec.term_slices.items()}
    return matrix.to_numpy(dtype=float), {name: slices[text] for name, text in terms.items()}


def r2(fit: MixedEstimate | MixedPosterior, level: float = 0.95) -> pd.DataFrame:
    """Share of the variance explained by the fixed effects, and by all effects together.

    Nakagawa & Schielzeth (2013), Methods Ecol Evol 4:133-142; with random slopes, the mean variance
    of the random part over the rows (Johnson 2014, Methods Ecol Evol 5:944-946). The variance of
    the fixed part has divisor n - 1.

    Returns
    -------
    DataFrame
        Rows "marginal" and "conditional". Of an estimate: term, estimate. Of a posterior: the
        columns of `tidy`.

    Raises
    ------
    LongsurvError
        For a posterior with nested groups or correlated residuals.
    """
    from longsurv.results.mixed import MixedPosterior
    from longsurv.results.posterior import summarise

    spread = np.atleast_2d(np.cov(fit.design.fixed.X, rowvar=False))
    beta = np.asarray(fit.coefficients)
    fixed = np.einsum("...j,jk,...k->...", beta, spread, beta)
    if isinstance(fit, MixedPosterior):
        if fit.design.structured:
            raise LongsurvError(
                "R squared of a posterior is for models with one grouping and independent residuals"
            )
        Z = fit.design.Z
        random = np.einsum("...ab,ab->...", _drawn_covariance(fit), Z.T @ Z / len(Z))
        total = fixed + random + fit.samples["sigma"] ** 2
        return summarise(
            {"marginal": fixed / total, "conditional": (fixed + random) / total}, level
        )
    residual, total = _mean_variances(fit)
    total += float(fixed)
    shares = [float(fixed) / total, 1.0 - residual / total]
    return pd.DataFrame({"term": ["marginal", "conditional"], "estimate": shares})


def _mean_variances(fit: MixedEstimate) -> tuple[float, float]:
    """Variance of the residuals, and of residuals and random effects, averaged over the rows."""
    from longsurv.diagnostics.clusters import clusters

    residual = total = 0.0
    for cluster in clusters(fit):
        residual += float(np.trace(cluster.R))
        total += float(np.trace(cluster.V))
    return residual / fit.nobs, total / fit.nobs


def _drawn_covariance(post: MixedPosterior) -> np.ndarray:
    """Draws of D, shape (chains, draws, q, q)."""
    q = post.data.q
    names = post.design.variance_names
    sd = np.stack([post.samples[name] for name in names[1 : 1 + q]], axis=-1)
    D = sd[..., :, None] ** 2 * np.eye(q)
    for name, (i, j) in zip(names[1 + q :], post.design.random.pairs, strict=True):
        D[..., i, j] = D[..., j, i] = post.samples[name] * sd[..., i] * sd[..., j]
    return D
