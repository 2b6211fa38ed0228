"""Names that users of R, statsmodels, lifelines and ArviZ type, and what they are called here."""

from __future__ import annotations

import difflib

_COEFFICIENTS = (("params", "params"), ("tidy", "tidy(), column estimate"))
_ERRORS = (("bse", "bse"), ("tidy", "tidy(), column std_error"))
_COVARIANCE = (("cov_params", "cov_params()"), ("samples", "samples, draws of every parameter"))
_LIMITS = (("conf_int", "conf_int()"), ("tidy", "tidy(), columns conf_low and conf_high"))
_TESTS = (
    ("samples", "tidy(), column prob_positive: a posterior has no p value"),
    ("tidy", "tidy(), column p_value"),
    ("table", "table, a DataFrame"),
)
_FITTED = (
    ("predict", "predict(), which says whether random effects are in it"),
    ("tidy", "tidy(); there is no fitted value of each row"),
)
_RESIDUALS = (
    ("residuals", "residuals()"),
    ("marker_residuals", "marker_residuals()"),
    ("predict", "predict() for what is predicted of each row; there are no residuals"),
    ("tidy", "tidy(); there are no residuals to be had of this result"),
)
_RANDOM = (
    ("ranef", "ranef()"),
    ("tidy", "tidy(); there are no random effects to be had of this result"),
)
_SPREAD = (
    ("random_cov", "random_cov, or variance_table() with intervals"),
    ("variance_table", "variance_table()"),
    ("tidy", 'tidy(component="variance")'),
)
_LIKELIHOOD = (("llf", "llf"), ("loo", "loo(), which compares models by their predictions"))
_AIC = (("aic", "aic"), ("loo", "loo(), which compares models by their predictions"))
_BIC = (("bic", "bic"), ("loo", "loo(), which compares models by their predictions"))
_RATIOS = (("hazard_ratios", "hazard_ratios()"), ("means", "means(...).contrast(..., ratio=True)"))
_CURVE = (("survival_curve", "survival_curve(newdata)"), ("predict_survival", "predict_survival()"))
_HYPOTHESIS = (("test", "test(of), or contrast(of) with an interval"), ("contrast", "contrast(of)"))
_DRAWS = (("idata", "idata, for ArviZ, or samples as arrays"),)
_CHAINS = (("diagnose", "diagnose(), and the columns r_hat, ess_bulk and ess_tail of tidy()"),)
_CRITICISM = (
    ("predictive_checks", "predictive_checks()"),
    ("idata", "idata, with ArviZ"),
    ("diagnose", "diagnose()"),
)
_PREDICTED = (
    ("predictive", "predictive(), responses drawn from posterior and priors for ArviZ"),
    *_CRITICISM,
)
_MODEL = (("spec", "spec, the model and its data; spec.with_data(frame).fit() fits it to others"),)
_FREEDOM = (("params", "tidy(), column df: each coefficient has degrees of freedom of its own"),)
_BRIEF = (("summary", "summary()"),)
_FRAME = (("tidy", "tidy(), a DataFrame"), ("table", "table, a DataFrame"))
_PLOT = (("plot", "plot()"),)

ELSEWHERE: dict[str, tuple[tuple[str, str], ...]] = {
    **dict.fromkeys(("coef", "coefs", "coef_", "fixef", "fixed_effects", "fe_params", "params",
                     "params_", "beta", "estimates"), _COEFFICIENTS),
    **dict.fromkeys(("bse", "bse_fe", "se", "standard_errors_", "stderr"), _ERRORS),
    **dict.fromkeys(("vcov", "cov_params", "variance_matrix_", "cov", "normalized_cov_params"),
                    _COVARIANCE),
    **dict.fromkeys(("confint", "conf_int", "confidence_intervals_", "hdi", "eti",
                     "credible_interval"), _LIMITS),
    **dict.fromkeys(("pvalues", "p_values", "tvalues", "zvalues", "pvalue"), _TESTS),
    **dict.fromkeys(("fittedvalues", "fitted", "fitted_values"), _FITTED),
    **dict.fromkeys(("resid", "residuals", "resid_pearson", "resid_response"), _RESIDUALS),
    **dict.fromkeys(("ranef", "random_effects", "re"), _RANDOM),
    **dict.fromkeys(("VarCorr", "cov_re", "vcomp", "sigma", "scale", "getME"), _SPREAD),
    **dict.fromkeys(("llf", "logLik", "loglik", "loglike", "log_likelihood_", "deviance"),
                    _LIKELIHOOD),
    **dict.fromkeys(("aic", "AIC", "AIC_", "AIC_partial_", "waic"), _AIC),
    **dict.fromkeys(("bic", "BIC", "BIC_"), _BIC),
    **dict.fromkeys(("emmeans", "lsmeans", "marginal_means", "margins", "get_margeff"),
                    (("means", "means(variables)"), ("contrast", "contrast(weights)"))),
    **dict.fromkeys(("bias_adjust", "smearing", "retransform"),
                    (("response_means", "response_means(variables), of a response on a log scale"),
                     ("means", "means(variables)"))),
    **dict.fromkeys(("hazard_ratios_", "hr", "exp_coef", "odds_ratios"), _RATIOS),
    **dict.fromkeys(("survfit", "predict_survival_function", "survival_function_",
                     "baseline_survival_", "baseline_cumulative_hazard_", "baseline_hazard_",
                     "basehaz"), _CURVE),
    **dict.fromkeys(("predict_partial_hazard", "predict_log_partial_hazard"),
                    (("predict", "predict(newdata), the log relative hazard"),)),
    **dict.fromkeys(("concordance_index_", "concordance_"), (("concordance", "concordance()"),)),
    **dict.fromkeys(("check_assumptions", "cox_zph", "zph"),
                    (("proportional_hazards", "proportional_hazards()"),)),
    **dict.fromkeys(("t_test", "f_test", "wald_test", "glht", "linear_hypothesis"), _HYPOTHESIS),
    **dict.fromkeys(("compare_lr_test", "lrt", "anova"),
                    (("llf", "longsurv.lrt(smaller, larger)"), ("loo", "loo() of both"))),
    **dict.fromkeys(("posterior", "trace", "as_draws", "as_draws_df", "inference_data",
                     "to_inference_data"), _DRAWS),
    **dict.fromkeys(("rhat", "r_hat", "ess", "neff"), _CHAINS),
    **dict.fromkeys(("ppc", "pp_check"), _CRITICISM),
    **dict.fromkeys(("posterior_predictive", "prior_predictive", "posterior_predict",
                     "sample_posterior_predictive", "sample_prior_predictive"), _PREDICTED),
    "prior_summary": (("priors", "priors"),),
    **dict.fromkeys(("rsquared", "r2", "r_squared"),
                    (("r2", "r2()"), ("glance", "glance(), which has no share of variance"))),
    **dict.fromkeys(("cooks_distance", "get_influence", "dfbeta", "dfbetas"),
                    (("influence", "influence()"), ("residuals", 'residuals("dfbeta")'))),
    **dict.fromkeys(("model", "formula", "update", "refit"), _MODEL),
    **dict.fromkeys(("df_resid", "df_residual", "ddf"), _FREEDOM),
    **dict.fromkeys(("mle_retvals", "converged_", "opt"), (("optimum", "converged and optimum"),)),
    **dict.fromkeys(("print_summary", "summary2", "as_text"), _BRIEF),
    **dict.fromkeys(("summary_frame", "summary_", "to_frame", "to_dataframe"), _FRAME),
    **dict.fromkeys(("plot_forest", "plot_trace", "traceplot", "plot_diagnostics"), _PLOT),
    **dict.fromkeys(("as_latex",), (("to_latex", "to_latex()"),)),
    **dict.fromkeys(("as_html", "to_html"), (("summary", "summary().to_html()"),)),
}  # fmt: skip
"""By the name typed: what an object may have, and how to say it, in the order of preference."""


def advice(owner: type, name: str) -> str:
    """What a user of an object can do who asked for a name that it does not have, in a sentence.

    Parameters
    ----------
    owner : type
        Of the object.
    name : str
    """
    if name == "plot" and hasattr(owner, "no_plot"):
        return str(owner.no_plot)
    fields = getattr(owner, "__dataclass_fields__", {})
    for attribute, words in ELSEWHERE.get(name, ()):
        if attribute != name and (hasattr(owner, attribute) or attribute in fields):
            return f"use {words}"
    known = [other for other in {*dir(owner), *fields} if not other.startswith("_")]
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f"did you mean {near[0]}?" if near else "dir() of it lists what it has"
