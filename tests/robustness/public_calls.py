"""Everything public that can be called, with arguments that are right."""

from __future__ import annotations

import inspect
import math
import pkgutil
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from invariance import families_cohort, families_groups
from matplotlib.figure import Figure

import longsurv as ls
from longsurv import analyses, diagnostics, estimands, models, priors
from longsurv.cohort import scores
from longsurv.cohort.settings import ModelSettings, SamplingSettings
from longsurv.estimands.baseline_adjusted import ComparedRows
from longsurv.estimands.counts import Counts
from longsurv.estimands.follow_up import two_groups
from longsurv.estimands.log_odds import LogOddsRatio
from longsurv.estimands.tipping import Unseen
from longsurv.models.joint_smoothing import Smoothing
from longsurv.simulate.worlds import Effect
from longsurv.study.store import FitStore

NOT_CALLED = {
    "analyses.TargetTrialAnswer": "a result, which TargetTrial makes",
    "estimands.allocations": "of arrays of scores, through weighted_log_rank",
    "estimands.cloning": "of arrays, through TargetTrial",
    "estimands.changes.contrast_weights": "of a design, through difference_in_change",
    "estimands.changes.start_weights": "of a design, through BaselineAdjustment",
    "estimands.densities": "of a posterior's draws and priors, through plot_priors",
    "estimands.new_patients": "of the arrays of a joint model, through its predict_survival",
    "estimands.dynamic": "of the arrays of a joint model, through its predict_survival",
    "estimands.incidence_posterior.hazard_draws": "draws of a generator, of incidence_posterior",
    "estimands.incidence_posterior.two_hazards": "draws of two groups, of incidence_posterior",
    "estimands.limited_spread": "of arrays, through baseline_sd",
    "estimands.intervals": "of numbers from tables that are made here",
    "estimands.joint_effects": "of the arrays of a joint model, through joint_effects itself",
    "estimands.joint_incidence": "of the arrays of a joint model, through joint_effects",
    "estimands.joint_worlds": "of the arrays of a joint model, through joint_effects",
    "estimands.joint_rows": "of the rows of a joint model, through joint_effects",
    "estimands.prediction_folds": "of a refitted joint model, through prediction_quality",
    "estimands.prediction_measures": "of the arrays of a joint model, through prediction_quality",
    "estimands.prediction_quality": "of a refitted joint model, through prediction_quality itself",
    "estimands.propensity": "of arrays, through overlap_weights",
    "estimands.several_arms": "names the rows of weighted_comparison",
    "estimands.weighted_influence": "of weights and derivatives, through weighted_comparison",
    "estimands.weighted_sample": "of weights and follow-up, through weighted_comparison",
    "estimands.propensity_result.patients": "a number in words",
    "estimands.standardised_curves.averaged_survival": "part of standardised_survival",
    "estimands.side_by_side": "of columns, through weighted_difference and rank_comparison",
    "estimands.standardised.check_begun": "part of risk_difference",
    "estimands.standardised.cohort_weights": "part of risk_difference",
    "estimands.standardised.mean_draws": "part of risk_difference",
    "estimands.standardised.both_treatments": "part of risk_difference",
    "estimands.truncation.dead_by": "of arrays of people, through DeathInMarkers",
    "estimands.truncation.survivor_bounds": "of arrays of weights, through DeathInMarkers",
    "estimands.worst_rank.two_groups_ranked": "part of rank_comparison",
    "estimands.weighting.full_rank": "of columns, through weighted_difference",
    "estimands.standardised.check_horizon": "of a design, through risk_difference",
    "estimands.standardised.reduction_column": "the name of a column, of risk_difference",
    "estimands.standardised.marked": "part of risk_difference",
    "estimands.standardised.of_draws": "of risks, through risk_difference",
    "estimands.standardised.of_moments": "of risks, through risk_difference",
    "estimands.treatments": "part of risk_difference",
    "diagnostics.clusters.split_rows": "of arrays, through residuals",
    "diagnostics.clusters.residual_blocks": "of a fit's kernel, through residuals",
    "diagnostics.censoring_influence": "of a kernel's arrays, through a fit of FineGray",
    "diagnostics.convergence": "of an optimum or draws, through diagnose()",
    "diagnostics.cox_residuals": "of a kernel's arrays, through residuals itself",
    "diagnostics.influence": "of a kernel's sums, through influence itself",
    "diagnostics.joint_checks": "of a joint model's arrays, through its checks of results",
    "diagnostics.joint_influence": "of a joint model's arrays, through joint_influence itself",
    "diagnostics.joint_innovations": "of a joint model's arrays, through marker_residuals",
    "diagnostics.joint_replicates": "of a joint model's arrays, through predictive_checks",
    "diagnostics.linearity.straight_lines": "of a fit's design, through linearity",
    "diagnostics.quantile_residuals": "of a kernel's arrays, through residuals",
    "diagnostics.replicates": "of a posterior's kernel and draws, through predictive_checks",
    "diagnostics.residuals.bin_count": "part of residual_bands",
    "diagnostics.residuals.binned": "of residuals' simulations, through residual_bands",
    "diagnostics.residuals.check_band": "part of qq",
    "diagnostics.residuals.ordered": "of residuals' simulations, through qq",
    "diagnostics.residuals.simultaneous_band": "of curves, through qq",
    "priors.centred_basis": "of a design's columns, through prior_stack",
    "priors.moments": "of a model's priors",
    "priors.distribution": "of numbers, through prior_grid",
    "priors.quantiles": "of numbers, through prior_grid",
    "priors.log_densities": "of arrays, for posteriors",
    "priors.log_density": "of numbers, for the kernels", "priors.prior_of": "of a model's stack",
    "estimands.baseline_adjusted.Adjustment": "one of the ADJUSTMENTS there are",
    "estimands.baseline_adjusted.covariance_of": "of ComparedRows, through BaselineAdjustment",
    "estimands.survival_by_group": "what is drawn of tables made here, through plot()",
    "estimands.curve_plots": "what is drawn of a curve, through its plot()",
    "estimands.weighting.outcome_of": "of weights, through weighted_difference",
    "priors.Alike": "columns of a model's own factor", "priors.apart": "of a model's stack",
    "priors.TrialsPrior": "a result, of from_trials",
    "priors.as_normal": "of a posterior's draws, for prior shares",
    "priors.local_information": "of numbers, for as_normal",
    "priors.choose": "a model's own names, through prior_stack",
    "priors.PriorStack": "made by a model, of its own names", "priors.Stack": "a protocol",
    "priors.Prior": "the kind that the families are of", "DataError": "an error",
    "EstimationError": "an error", "FormulaError": "an error", "LongsurvError": "an error",
    "Estimate": "made by a fit; its methods are called of one",
    "Posterior": "made by a model; its methods are called of one", "__version__": "text",
}  # fmt: skip
"""Public names that are called through others, or that are no calls. A module stands for those of
its functions that are not called by name below."""

INWARD = {
    "to_pymc": "of a prior: inside a PyMC model", "values": "of parameters, for means",
    "undetermined": "of weights, for means", "arrays": "of a kernel", "thetas": "of draws",
    "spec": "of names that the class has", "estimable": "of rows of a design",
}  # fmt: skip
"""Methods that nobody calls but longsurv itself, whatever object has them."""
ENTRANCES = (
    "estimands.joint_effects.joint_effects", "estimands.prediction_quality.prediction_quality",
    "diagnostics.cox_residuals.residuals", "diagnostics.influence.influence",
    "diagnostics.joint_checks.marker_residuals", "diagnostics.joint_checks.event_residuals",
    "diagnostics.joint_checks.cox_snell_curve", "diagnostics.joint_influence.joint_influence",
    "diagnostics.joint_replicates.predictive_checks",
)  # fmt: skip
"""Functions that are called, of modules whose others have a reason not to be."""


def trials() -> pd.DataFrame:
    """Two trials that nobody made."""
    return pd.DataFrame(
        {"source": ["one", "two"], "ratio": [0.8, 1.1], "low": [0.5, 0.7], "high": [1.28, 1.73]}
    )


@cache
def sepsis() -> ls.Study:
    """Two markers of few patients."""
    cohort = families_cohort.cohort_of(families_cohort.cohort_case(1))
    return ls.Study(
        cohort,
        ModelSettings(trajectory="phase * arm + (1 | id)", mortality="arm + age"),
        SamplingSettings(draws=20, chains=1, seed=1),
    )


@cache
def change() -> Any:
    return families_cohort.change_of(families_cohort.cohort_case(1))


@cache
def people() -> pd.DataFrame:
    """Follow-up of 50 patients in two groups."""
    case = families_groups.group_case(1)
    return case["rows"].assign(crp=np.linspace(1.0, 3.0, len(case["rows"])))


@cache
def specs() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    n = 24
    people = pd.DataFrame(
        {
            "id": np.arange(n),
            "arm": np.arange(n) % 2,
            "age": rng.normal(60, 8, n),
            "days": rng.exponential(20, n).clip(0.5, 28),
            "died": (rng.random(n) < 0.5) * 1,
        }
    )
    visits = people.loc[people.index.repeat(4)].reset_index(drop=True)
    visits["t"] = np.tile([0.0, 1.0, 2.0, 4.0], n)
    visits["y"] = rng.normal(size=4 * n) + np.repeat(rng.normal(size=n), 4) + 0.3 * visits["t"]
    visits["positive"] = (visits["y"] > 0) * 1
    hazard = {"data": people, "baseline": "weibull"}
    marker = ls.models.LMM("y ~ t + (1 | id)", data=visits[visits["t"] <= visits["days"]])
    cohort = sepsis().cohort
    groups = families_groups.group_case(1)
    return {
        "LMM": models.LMM("y ~ t * arm + (1 | id)", data=visits),
        "structured": models.LMM("y ~ t * arm", visits, ls.Residual("cs", "t", "id")),
        "GLMM": models.GLMM("positive ~ t + (1 | id)", data=visits),
        "CoxPH": models.CoxPH("Surv(days, died) ~ arm", data=people),
        "FineGray": models.FineGray("Surv(days, died) ~ arm", data=people),
        "Hazard": models.Hazard("Surv(days, died) ~ arm", **hazard),
        "Linear": models.Linear("age ~ arm", data=people, patient="id"),
        "JointModel": models.JointModel(
            marker, models.CoxPH("Surv(days, died) ~ arm", people), time="t", baseline="weibull"
        ),
        "Panel": analyses.Panel.from_cohort(cohort, "phase * arm + (1 | id)", change(), ["crp"]),
        "BaselineAdjustment": analyses.BaselineAdjustment(cohort, "crp", change()),
        "Mortality": analyses.Mortality(groups["rows"], "arm", 14.0),
    }


@cache
def fit(name: str) -> Any:
    return specs()[name].fit()


@cache
def posterior(name: str) -> Any:
    return specs()[name].sample(draws=20, chains=2, seed=1)


def value_of(parameter: str) -> Any:
    """What is right for an argument of this name, unless a function has its own."""
    good: dict[str, Callable[[], Any]] = {
        "data": people, "group": lambda: "arm", "treatment": lambda: "arm", "time": lambda: 10.0,
        "horizon": lambda: 10.0, "times": lambda: [3.0, 10.0], "follow_up": sides,
        "counts": lambda: Counts(3, 20, 6, 20), "cohort": lambda: sepsis().cohort,
        "change": change, "events": lambda: 3, "n": lambda: 20, "reference_events": lambda: 6,
        "reference_n": lambda: 20, "draws": lambda: 20, "tune": lambda: 20, "chains": lambda: 1,
        "simulations": lambda: 19, "replicates": lambda: 3, "study": sepsis, "jobs": lambda: 1,
        "estimate": lambda: 0.5, "day": lambda: 4.0, "path": lambda: "nowhere.toml",
        "ax": lambda: Figure().add_subplot(), "of": lambda: {}, "covariates": lambda: "age",
        "marker": lambda: "crp",
    }  # fmt: skip
    return good[parameter]() if parameter in good else inspect.Parameter.empty


def built(name: str) -> dict[str, Callable[[], Any]]:
    """The fields of a specification."""
    fields = inspect.signature(type(specs()[name])).parameters
    return {
        k: (lambda v=v: v) for k, v in vars(specs()[name]).items() if k in fields and v is not None
    }


@cache
def smaller() -> Any:
    return models.LMM("y ~ t + (1 | id)", specs()["LMM"].data).fit()


def sides(which: int = 1) -> Any:
    return two_groups(people(), "arm")[2 * which - 1]


@cache
def weights() -> Any:
    return weights_of("age")


@cache
def all_weights() -> Any:
    from longsurv.estimands.weighting import propensity_weights

    return propensity_weights(people(), "arm", "age")


def weights_of(covariates: Any) -> Any:
    from longsurv.estimands.weighting import overlap_weights

    return overlap_weights(people(), "arm", covariates)


def own_of(name: str) -> dict[str, Any]:
    """Arguments of one function alone."""
    joint, cox, mixed = "JointModel", "CoxPH", "LMM"
    visits = lambda: specs()["LMM"].data  # noqa: E731
    tests = {"group": lambda: sides(1), "reference": lambda: sides(2)}
    ranked = {"outcome": lambda: [1, 2, 3, 2, 4], "treated": lambda: [False, True] * 2 + [True]}
    seen = lambda: visits()[visits()["t"] <= visits()["days"]]  # noqa: E731
    counts = {"sirs": [3], "platelets": [50.0], "pt_ratio": [1.3], "fdp": [30.0]}
    own: dict[str, dict[str, Any]] = {
        "compare": {"fit": lambda: fit(mixed), "post": lambda: posterior(mixed)},
        "lrt": {"smaller": lambda: smaller(), "larger": lambda: fit(mixed)},
        "information_criteria": {"fits": lambda: [smaller(), fit(mixed)]},
        "example_path": {"name": lambda: "pbc"},
        "scan": {"source": lambda: "no/such/*.parquet"},
        "Imputation": {"model": lambda: specs()["LMM"]},
        "Study": {"models": lambda: sepsis().models},
        "Cohort": {
            "patients": lambda: sepsis().cohort.patients,
            "measurements": lambda: sepsis().cohort.measurements,
            "schema": lambda: sepsis().cohort.schema,
            "markers": lambda: sepsis().cohort.markers,
        },
        "Marker": {"name": lambda: "crp"},
        "Phase": {"name": lambda: "before", "first": lambda: 1, "last": lambda: 2},
        "Schema": {
            "patient": lambda: "id", "treatment": lambda: "arm", "reference": lambda: 0,
            "exit": lambda: "days", "status": lambda: "died", "time": lambda: "day",
        },
        "draft": {"frames": lambda: {"patients": people(), "visits": visits()}},
        "Residual": {"kind": lambda: "cs", "visit": lambda: "day", "patient": lambda: "id"},
        "scores.jaam_dic": {k: (lambda v=v: v) for k, v in counts.items()},
        "scores.jaam2": {k: (lambda v=v: v) for k, v in counts.items() if k != "sirs"},
        "scores.sic": dict.fromkeys(("pt_inr", "platelets", "sofa4"), lambda: [1.0]),
        "scores.isth_overt_dic": dict.fromkeys(
            ("platelets", "fdp", "fibrinogen", "pt_prolongation"), lambda: [1.0]),
        "priors.Mixture": {
            "parts": lambda: [priors.Normal(0, 1), priors.Normal(0, 5)],
            "weights": lambda: [0.5, 0.5]},
        "priors.effective_events": {"prior": lambda: priors.Normal(0, 1)},
        "priors.from_trials": {
            "table": trials, "outcome": lambda: "hazard_ratio", "baseline_risk": lambda: None},
        "priors.from_interval": {"ratio": lambda: 1.0, "low": lambda: 0.5, "high": lambda: 2.0},
        "analyses.adjusted_changes": {"markers": lambda: ["crp"], "engines": lambda: ["ml"]},
        "analyses.power_prior": {"history": lambda: specs()[cox], "power": lambda: 0.5},
        "analyses.commensurate_prior": {"history": lambda: specs()[cox]},
        "analyses.TargetTrial": {
            "source": lambda: people().assign(begun=None), "begun": lambda: "begun",
            "grace": lambda: 1.0, "horizon": lambda: 5.0},
        "analyses.HistoricalPrior": {
            "prior": lambda: priors.Normal(0, 1), "fit_error": lambda: 0.0,
            "effective_events": lambda: 4.0},
        "models.LMM": built(mixed), "models.GLMM": built("GLMM"), "models.CoxPH": built(cox),
        "models.FineGray": built("FineGray"),
        "models.Hazard": built("Hazard"), "models.Linear": built("Linear"),
        "models.JointModel": built(joint), "analyses.Panel": built("Panel"),
        "analyses.BaselineAdjustment": built("BaselineAdjustment"),
        "analyses.Mortality": built("Mortality"), "analyses.Panel.from_cohort": {
            "trajectory": lambda: "phase * arm + (1 | id)", "markers": lambda: ["crp"]},
        "pool": {"answers": lambda: [fit(cox), fit(cox)]},
        "next_trial": {"sizes": lambda: [20], "trials": lambda: 5},
        "operating_characteristics": {"effects": lambda: ["null"], "cohorts": lambda: 2},
        "simulate.Effect": {"label": lambda: "x", "kind": lambda: "hr", "size": lambda: 0.5},
        "diagnostics.residuals.qq": {"of": lambda: "scaled"},
        "simulate.Effect.parse": {"text": lambda: "hr=0.5"},
        "store.FitStore": {"folder": lambda: None},
        "estimands.baseline_adjusted.covariance_of": {
            "rows": lambda: ComparedRows.of(sepsis().cohort, "crp", change()).rows},
        "estimands.baseline_adjusted.propensity_table": {
            "compared": lambda: ComparedRows.of(sepsis().cohort, "crp", change()),
            "covariates": lambda: None},
        "estimands.bayesian_bootstrap.bayesian_bootstrap": {
            "weights": weights, "outcome": lambda: people()["crp"]},
        "estimands.changes.Change": {
            "variable": lambda: "t", "start": lambda: 0.0, "end": lambda: 4.0,
            "level": lambda: 1, "reference": lambda: 0},
        "estimands.changes.difference_in_change": {
            "result": lambda: fit(mixed), "data": visits,
            "change": lambda: type(change())("t", 0.0, 4.0, "arm", 1, 0)},
        "estimands.changes.mean_curves": {
            "result": lambda: fit(mixed), "data": visits, "variable": lambda: "t",
            "values": lambda: [0.0, 1.0], "groups": lambda: [0, 1]},
        "estimands.changes.adjusted_p_values": {
            "p_values": lambda: [0.1, 0.2], "method": lambda: "holm"},
        "estimands.changes.baseline_sd": {
            "data": visits, "patient": lambda: "id", "time": lambda: "t"},
        "estimands.counts.Counts.of": {"group": lambda: None},
        "estimands.truncation.deaths_of": {"deaths": lambda: None},
        **{f"estimands.{home}": ranked for home in (
            "proportional_odds.proportional_odds", "proportional_odds.odds_posterior",
            "worst_rank.rank_comparison", "worst_rank.index_draws")},
        "estimands.worst_rank.worst_ranks": {
            "value": lambda: [3.0, 8.0], "died": lambda: [math.nan, math.nan],
            "better": lambda: "lower"},
        "estimands.exact_hazard.event_distribution": tests,
        "estimands.log_rank.log_rank": tests, "estimands.log_rank.permutation_test": tests,
        "estimands.log_rank.imputation_test": tests,
        "estimands.joint_effects.joint_effects": {"result": lambda: fit(joint)},
        "estimands.prediction_quality.prediction_quality": {
            "model": lambda: specs()[joint], "landmarks": lambda: [2.0], "window": lambda: 8.0,
            "folds": lambda: 2, "resamples": lambda: 5},
        "estimands.standardised.risk_difference": {"result": lambda: fit(cox)},
        "estimands.standardised.restricted_mean_difference": {"result": lambda: fit(cox)},
        "estimands.start_stop.start_stop": {
            "measurements": seen, "values": lambda: ["y"], "patient": lambda: "id",
            "time": lambda: "t", "exit": lambda: "days", "event": lambda: "died",
            "survival": lambda: specs()[cox].data},
        **{
            f"estimands.{name}": {"weights": all_weights, "data": people, "horizon": lambda: 14.0,
                                  "times": lambda: [8.0, 14.0], "bootstrap": lambda: 3}
            for name in ("adjusted_curves.weighted_survival", "adjusted_curves.weighted_incidence",
                         "adjusted_curves.weighted_comparison", "doubly_robust.doubly_robust_risk")
        },
        "estimands.number_needed.number_needed_to_treat": {
            "difference": lambda: -0.1, "conf_low": lambda: -0.2, "conf_high": lambda: 0.1},
        "estimands.standardised_curves.standardised_survival": {
            "result": lambda: fit(cox), "times": lambda: [8.0, 14.0]},
        "estimands.weighting.weighted_difference": {
            "weights": weights, "outcome": lambda: people()["crp"]},
        "estimands.log_odds.LogOddsRatio.posterior": {"prior": lambda: priors.Normal(0, 1)},
        "diagnostics.concordance.concordance": {
            "predictor": lambda: people()["age"].to_numpy(),
            "exit": lambda: people()["exit"].to_numpy(),
            "event": lambda: (people()["status"] == 1).to_numpy()},
        "diagnostics.joint_checks.cox_snell_curve": {
            "residuals": lambda: import_module(
                "longsurv.diagnostics.joint_checks").event_residuals(fit(joint))},
        "Study.run": {"progress": lambda: False, "stages": lambda: ()},
    }  # fmt: skip
    if name.startswith("diagnostics."):
        of = next((k for k in ("joint", "cox", "proportional") if k in name), "mixed")
        chosen = {"joint": joint, "cox": cox, "proportional": cox, "mixed": mixed}[of]
        fitted = {"fit": lambda: fit(chosen), "result": lambda: fit(chosen),
                  "posterior": lambda: posterior(joint)}  # fmt: skip
        return fitted | own.get(name, {})
    return own.get(name, {})


def arguments_of(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Right values of those arguments that have one here."""
    own, found = own_of(name), {}
    for parameter in inspect.signature(function).parameters:
        value = own[parameter]() if parameter in own else value_of(parameter)
        if value is not inspect.Parameter.empty:
            found[parameter] = value
    return found


EXTRA = {"simulate.Effect.parse": Effect.parse,
         "simulate.Effect": Effect, "store.FitStore": FitStore,
         "models.Smoothing": Smoothing}  # fmt: skip
"""Public, and in no list of names."""


def functions() -> dict[str, Callable[..., Any]]:
    """Every public function, constructor and alternative constructor, by name."""
    found: dict[str, Any] = {n: getattr(ls, n) for n in ls.__all__}
    for package in (models, analyses):
        home = package.__name__.removeprefix("longsurv.")
        found |= {f"{home}.{n}": getattr(package, n) for n in package.__all__}
    found |= {f"scores.{n}": v for n, v in of_module(scores)}
    found |= {f"priors.{n}": getattr(priors, n) for n in dir(priors) if is_own(priors, n)}
    for package in (estimands, diagnostics):
        for info in pkgutil.iter_modules(package.__path__):
            module = import_module(f"{package.__name__}.{info.name}")
            prefix = f"{module.__name__.removeprefix('longsurv.')}."
            found |= {prefix + n: v for n, v in of_module(module)}
    modules = {n for n, v in found.items() if inspect.ismodule(v)}
    return {n: v for n, v in (found | EXTRA).items() if n not in modules}


def is_own(module: Any, name: str) -> bool:
    home = getattr(getattr(module, name), "__module__", "")
    return not name.startswith("_") and home.startswith("longsurv.priors.")


def of_module(module: Any) -> Iterator[tuple[str, Any]]:
    """Its public functions, and the public ways to make its classes."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
            continue
        if inspect.isfunction(value):
            yield name, value
        elif inspect.isclass(value):
            if hasattr(value.__init__, "__checked__"):
                yield name, value
            for method, member in vars(value).items():
                if isinstance(member, classmethod) and not method.startswith("_"):
                    yield f"{name}.{method}", getattr(value, method)


def objects() -> dict[str, Callable[[], Any]]:
    """What models and functions give, by name."""
    from longsurv.estimands.aalen_johansen import cumulative_incidence
    from longsurv.estimands.binomial import BetaBinomial
    from longsurv.estimands.kaplan_meier import kaplan_meier

    found: dict[str, Callable[[], Any]] = {
        f"{name} spec": (lambda name=name: specs()[name]) for name in specs()
    }
    for name in specs():
        if name != "Mortality":
            found[f"{name} fit"] = lambda name=name: fit(name)
        if hasattr(specs()[name], "sample"):
            found[f"{name} posterior"] = lambda name=name: posterior(name)
    return found | {
        "Means": lambda: fit("LMM").means(["arm"], at={"arm": [0, 1]}),
        "ResponseMeans": lambda: fit("GLMM").response_means(["t"], at={"t": [0, 1]}),
        "ArithmeticMeans": lambda: fit("LMM").response_means(
            ["arm"], at={"arm": [0, 1]}, logarithm="log"
        ),
        "Bootstrap": lambda: fit("LMM").bootstrap(replicates=3),
        "PanelResults": lambda: specs()["Panel"].run(draws=20, tune=20, chains=2),
        "ShrunkenEffects": lambda: shrunken(),
        "MortalityMethods": lambda: specs()["Mortality"].methods(draws=20),
        "Cohort": lambda: sepsis().cohort, "Study": sepsis,
        "PropensityWeights": weights,
        "SurvivalCurve": lambda: kaplan_meier(sides()),
        "CumulativeIncidence": lambda: cumulative_incidence(sides()),
        "BetaBinomial": lambda: BetaBinomial(Counts(3, 20, 6, 20)),
        "LogOddsRatio": lambda: LogOddsRatio.of(Counts(3, 20, 6, 20)),
        "Unseen": lambda: Unseen(1, 1),
        "FitStore": lambda: FitStore(None),
        "Normal": lambda: priors.Normal(0, 1),
    }  # fmt: skip


def shrunken() -> Any:
    panel = analyses.Panel.from_cohort(sepsis().cohort, "phase * arm + (1 | id)", change())
    return panel.shrink(draws=20, tune=20, chains=2)


def methods(owner: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in dir(type(owner)):
        found = inspect.isfunction(getattr(type(owner), name, None))
        if found and not name.startswith("_") and name not in INWARD:
            yield name, getattr(owner, name)
