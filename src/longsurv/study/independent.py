"""The study's frequentist answers beside those of other libraries, from the same rows.

lifelines fits the Cox model and draws the curves, statsmodels the mixed models, SciPy tests the
2 x 2 table. None of them is used for the answer it stands beside. Where a library defines
something differently, or stops its search earlier, the row says so and how far apart the two may be
for it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import pandas as pd

from longsurv.errors import LongsurvError
from longsurv.estimands.changes import Change, contrast_weights
from longsurv.study.terms import treatment_terms
from longsurv.words import plural

if TYPE_CHECKING:
    from longsurv.cohort import Cohort
    from longsurv.results.mixed.estimate import MixedEstimate
    from longsurv.results.survival.cox import SurvivalEstimate
    from longsurv.study.bench import Bench
    from longsurv.study.model_result import ModelResult
    from longsurv.study.plan import Plan

INDEPENDENT = "independent"
EXACT, SEARCHED, JITTERED = 1e-8, 1e-4, 1e-3
"""Relative differences of one formula; of two searches for a maximum; with ties shaken apart."""
PERCENT = 0.01  # of a probability, to which a smaller one's difference is relative
MOST_ROWS = 20_000  # of a marker, beyond which statsmodels would take minutes
COLUMNS = ["what", "quantity", "library", "ours", "theirs", "difference", "tolerance", "reason"]


class SideBySide(NamedTuple):
    """One number by two libraries.

    `difference` is relative to the larger of `theirs` and `scale`: of a coefficient near no
    difference its standard error says what is far.
    """

    what: str
    quantity: str
    library: str
    ours: float
    theirs: float
    tolerance: float
    reason: str = ""
    scale: float = 0.0

    @property
    def row(self) -> tuple[object, ...]:
        """As a row of `COLUMNS`."""
        gap = abs(self.ours - self.theirs)
        size = max(abs(self.theirs), self.scale) or abs(self.ours)
        difference = 0.0 if gap == 0 else gap / size
        return (
            self.what, self.quantity, self.library, self.ours, self.theirs, difference,
            self.tolerance, self.reason,
        )  # fmt: skip


def check_independently(bench: Bench) -> pd.DataFrame:
    """Every comparison: `COLUMNS`, and whether each is `within` its tolerance.

    Where another library has no answer, `theirs` is missing and `reason` says why.
    """
    study, parts = bench.study, bench.parts
    makers: list[tuple[str, str, Callable[[], Iterator[SideBySide]]]] = [
        ("Cox model", "lifelines", lambda: _cox(study, parts["mortality"])),
        ("Curves", "lifelines", lambda: _curves(study.cohort)),
        ("2 x 2 table", "SciPy", lambda: _two_by_two(study.cohort)),
        *(
            (_checked(study, name, model), "statsmodels", _mixed_of(bench, model))
            for name, model in parts["markers"].items()
        ),
    ]
    rows: list[tuple[object, ...]] = []
    for what, library, make in makers:
        rows += _attempted(what, library, make)
    table = pd.DataFrame(rows, columns=COLUMNS)
    missing = table["theirs"].isna() | table["ours"].isna()
    return table.assign(within=(table["difference"] <= table["tolerance"]) & ~missing)


def _attempted(
    what: str, library: str, make: Callable[[], Iterator[SideBySide]]
) -> list[tuple[object, ...]]:
    """The rows, or one that says why another library has no answer."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # theirs are about their own search
            return [compared.row for compared in make()]
    except LongsurvError as error:
        why = str(error)
    except ImportError:
        why = f"{library} is not installed"
    except (ArithmeticError, ValueError, np.linalg.LinAlgError, RuntimeError) as error:
        why = f"{library} could not: {error}"
    return [(what, "", library, math.nan, math.nan, math.nan, math.nan, why)]


def _checked(study: Plan, name: str, model: ModelResult) -> str:
    """What of a marker is compared: a linear model, which may stand beside the main one only."""
    from longsurv.analyses.markers.responses import AT_THE_LIMIT

    label, response = study.cohort.markers[name].label, study.response(model.data)
    return label if response is AT_THE_LIMIT else f"{label}, {at_the_limit()}"


def at_the_limit() -> str:
    """What is said of a model that takes values beyond a limit at it, in words."""
    from longsurv.analyses.markers.responses import AT_THE_LIMIT

    return f"values taken {AT_THE_LIMIT.words}"


def _cox(study: Plan, model: ModelResult) -> Iterator[SideBySide]:
    """Each coefficient and its standard error by `CoxPHFitter`, on our design matrix."""
    from lifelines import CoxPHFitter

    fit = model.fit
    if fit is None:
        raise LongsurvError("there is no maximum likelihood estimate to compare")
    if getattr(fit, "penalty", None):
        raise LongsurvError("the likelihood has no maximum, and lifelines has no Firth's penalty")
    design = cast("SurvivalEstimate", fit).design
    if design.strata is not None:
        raise LongsurvError("the model has strata, whose baselines this check leaves alone")
    names = [f"x{k}" for k in range(len(design.fixed.names))]
    rows = pd.DataFrame(design.fixed.X, columns=names).assign(
        entry=design.entry, exit=design.exit, event=design.event
    )
    late = bool((rows["entry"] > 0).any())
    other = CoxPHFitter().fit(
        rows if late else rows.drop(columns="entry"), "exit", "event",
        entry_col="entry" if late else None, fit_options={"precision": 1e-10},
    )  # fmt: skip
    for name, term in zip(names, design.fixed.names, strict=True):
        error = float(other.standard_errors_[name])
        said = _term_label(study, model, term)
        yield SideBySide(
            "Cox model", f"log hazard ratio, {said}", "lifelines", float(fit.params[term]),
            float(other.params_[name]), SEARCHED, "both search for the maximum", error,
        )  # fmt: skip
        yield SideBySide(
            "Cox model", f"its standard error, {said}", "lifelines",
            float(fit.bse[term]), error, SEARCHED, "both search for the maximum",
        )  # fmt: skip


def _term_label(study: Plan, model: ModelResult, term: str) -> str:
    cohort = study.cohort
    named = {v: k for k, v in treatment_terms(model, cohort).items()}
    return f"{named[term]} against {cohort.groups[0]}" if term in named else term


def _curves(cohort: Cohort) -> Iterator[SideBySide]:
    """Survival and cumulative incidence of each group at the horizon."""
    from lifelines import AalenJohansenFitter, KaplanMeierFitter

    from longsurv.estimands.competing import incidence_table
    from longsurv.estimands.kaplan_meier import survival_table

    data, schema = cohort.survival_data(), cohort.schema
    horizon = schema.horizon or float(data["exit"].max())
    when = f"{horizon:g} {schema.time_unit}"
    single = data.assign(status=data["event"])
    survival = survival_table(single, schema.treatment, [horizon])["survival"].tolist()
    compete = bool((data["status"] > 1).any())
    incidence = (
        incidence_table(data, schema.treatment, [horizon], causes=[1])["estimate"].tolist()
        if compete
        else []
    )
    for k, group in enumerate(cohort.groups):
        rows = data[data[schema.treatment] == group]
        fitted = KaplanMeierFitter().fit(rows["exit"], rows["event"], entry=rows["entry"])
        yield SideBySide(
            "Curves", f"survival at {when}, {group}", "lifelines", survival[k],
            float(fitted.predict(horizon)), EXACT, scale=PERCENT,
        )  # fmt: skip
        if compete:
            other = AalenJohansenFitter(calculate_variance=False, seed=1).fit(
                rows["exit"], rows["status"], event_of_interest=1, entry=rows["entry"]
            )
            yield SideBySide(
                "Curves", f"cumulative incidence at {when}, {group}", "lifelines",
                incidence[k], float(other.cumulative_density_.iloc[-1, 0]), JITTERED,
                "lifelines moves tied times apart at random", PERCENT,
            )  # fmt: skip


def _two_by_two(cohort: Cohort) -> Iterator[SideBySide]:
    """Fisher's test and Wilson's intervals."""
    from scipy.stats import binomtest, fisher_exact

    from longsurv.estimands.simple import mortality_table

    table = mortality_table(cohort)
    for row in table.to_dict("records"):
        theirs = binomtest(int(row["deaths"]), int(row["n"])).proportion_ci(method="wilson")
        for name, ours, other in (
            ("lower", row["conf_low"], theirs.low), ("upper", row["conf_high"], theirs.high),
        ):  # fmt: skip
            yield SideBySide(
                "2 x 2 table", f"Wilson's {name} limit, {row['group']}", "SciPy", float(ours),
                float(other), EXACT, scale=PERCENT,
            )  # fmt: skip
    first = table.iloc[0]
    for row in table.iloc[1:].to_dict("records"):
        counts = [[r["deaths"], r["n"] - r["deaths"]] for r in (first, row)]
        yield SideBySide(
            "2 x 2 table", f"Fisher's p, {row['group']}", "SciPy", float(row["p_value"]),
            float(fisher_exact(np.array(counts, dtype=int)).pvalue), EXACT,
        )  # fmt: skip


def _mixed_of(bench: Bench, model: ModelResult) -> Callable[[], Iterator[SideBySide]]:
    return lambda: _mixed(bench, model)


def _mixed(bench: Bench, model: ModelResult) -> Iterator[SideBySide]:
    """The difference in change and the residual SD by `MixedLM`, by REML.

    statsmodels has no censored model: of a marker with values beyond a limit it checks the linear
    one, with these at the limit.

    Its search of the variances begins a third above ours, near enough to save it time and far
    enough to have to find its own way; the coefficients it works out for itself.
    """
    from statsmodels.regression.mixed_linear_model import MixedLM, MixedLMParams

    from longsurv.analyses.markers.responses import AT_THE_LIMIT

    study = bench.study
    label = _checked(study, model.name, model)
    if model.fit is None:
        raise LongsurvError("there is no estimate to compare")
    mixed = cast("MixedEstimate", model.fit)
    if study.response(model.data) is not AT_THE_LIMIT:
        mixed = bench.fit(study.linear_model(model.data))
    design = mixed.design
    if len(model.data) > MOST_ROWS:
        raise LongsurvError(f"not asked for {plural(len(model.data), 'row')}: it takes minutes")
    if design.structured or not design.random.names:
        raise LongsurvError("statsmodels has no such random effects or residuals")
    estimates, sigma, D = mixed.params.to_numpy(), mixed.sigma, mixed.random_cov.to_numpy()
    other = MixedLM(design.y, design.fixed.X, groups=design.group, exog_re=design.Z)
    start = MixedLMParams.from_components(
        fe_params=0.0 * estimates, cov_re=1.3 * D / sigma**2 + 1e-3 * np.eye(len(D))
    )
    found = other.fit(reml=True, start_params=start, method=["bfgs", "lbfgs"], gtol=1e-8)
    names = list(design.fixed.names)
    for change in study.contrasts:
        weights = contrast_weights(design.fixed, change, model.data)
        row = np.zeros(len(names))
        for term, weight in weights.items():
            row[names.index(term)] = weight
        error = float(np.sqrt(row @ found.cov_params()[: len(row), : len(row)] @ row))
        yield SideBySide(
            label, _change_label(change, study), "statsmodels", float(row @ estimates),
            float(row @ found.fe_params), SEARCHED,
            "both search for the maximum; its intervals are normal, ours Kenward and Roger's",
            error,
        )  # fmt: skip
    yield SideBySide(
        label, "residual SD", "statsmodels", sigma, float(np.sqrt(found.scale)), 10 * SEARCHED,
        "both search for the maximum",
    )  # fmt: skip


def _change_label(change: Change, study: Plan) -> str:
    """Of one of several comparisons: which."""
    which = f", {change.level}, {change.start} to {change.end}" * (len(study.contrasts) > 1)
    return f"difference in change{which}"


def seconds_of_independent(study: Plan) -> float:
    """Roughly how long `check_independently` takes."""
    return 1.5 + 5e-5 * len(study.cohort.measurements)


def worst(table: pd.DataFrame) -> Mapping[str, float]:
    """The largest relative difference by library.

    Parameters
    ----------
    table : DataFrame
        Of `check_independently`.
    """
    known = table.dropna(subset=["difference"])
    largest = known.groupby("library", sort=False)["difference"].max()
    return {str(library): float(value) for library, value in largest.items()}
