"""The stages that ask more of the markers than how each of them moved.

`fit_adjustments`  the difference in change adjusted for where the groups began
`shrink_effects`   all markers at once, each family's effects drawn towards their common mean
`fit_scores`       scores with a cut-off: the share beyond it, and the score's own categories

They come after the stage of the markers and take its fits. A question that does not arise (a study
without phases, without scores) is an answer with a `reason`, and no failure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import pandas as pd

from longsurv.cohort import Marker
from longsurv.errors import LongsurvError
from longsurv.estimands.changes import Change
from longsurv.records import Record
from longsurv.study.bench import Bench
from longsurv.study.model_result import ModelResult
from longsurv.study.scored import (
    lowest_reaching,
    merged_categories,
    merged_words,
    quantities,
    reaches,
)

if TYPE_CHECKING:
    from longsurv.analyses.markers.marker import PanelMarker
    from longsurv.analyses.markers.panel import Panel
    from longsurv.results.generalised.answers import GeneralisedAnswer
    from longsurv.study.plan import Plan

ADJUSTMENTS, PANEL, SCORES = "adjustments", "panel", "scores"
SCORE_MODELS = {"binary": ("y", "bernoulli"), "ordinal": ("value", "ordinal")}
"""Of a score, by kind: the column that is the response, and its family."""
MOST_CATEGORIES = 15  # an ordinal model has a threshold between any two
NO_PHASES = (
    "{what} compares phases, and the trajectory model of this study has none. It can be done with"
    " [phases] in the study file, baseline = [first, last] and a later one in its own times, and"
    " phase in the trajectory where the file names one."
)


@dataclass(frozen=True)
class AdjustedPart:
    """Each comparison under every adjustment.

    Attributes
    ----------
    tables : tuple of (Change, DataFrame)
        `AdjustedChanges.table` of all markers, a comparison.
    reason : str
        Why the question does not arise; empty if it does.
    """

    tables: tuple[tuple[Change, pd.DataFrame], ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class ShrunkenChange:
    """One comparison of all markers, shrunken by family.

    Attributes
    ----------
    change : Change
    effects : DataFrame
        `PanelResults.tidy(scale="standard")`: one row a marker, in baseline SDs towards benefit.
    families : DataFrame
        Mean and spread of each family's effects (`ShrunkenEffects.tidy(component="hyper")`); empty
        if none is large enough.
    left_out : mapping of str to str
        Marker to why it is not shrunken.
    warning : str
        What is wrong with the chains; empty if nothing is.
    """

    change: Change
    effects: pd.DataFrame
    families: pd.DataFrame
    left_out: Mapping[str, str]
    warning: str = ""


@dataclass(frozen=True)
class ShrunkenPart:
    """Each comparison, shrunken; `reason` says why the question does not arise."""

    changes: tuple[ShrunkenChange, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class ScoreResult:
    """One score with a cut-off, by two models.

    Attributes
    ----------
    marker : Marker
    cutoff : float
        From which on a patient is positive.
    models : mapping of str to ModelResult
        "binary" (positive or not) and "ordinal" (the categories).
    means : mapping of (str, str, str) to (DataFrame, DataFrame)
        Model, engine and quantity ("share" or "mean") to the means by group and phase, and to the
        differences in change (`ResponseMeans.tidy` and `.contrast`, over all patients).
    merged : tuple of str
        Which categories the ordinal model has as one, in sentences; empty if none.
    """

    marker: Marker
    cutoff: float
    models: Mapping[str, ModelResult]
    means: Mapping[tuple[str, str, str], tuple[pd.DataFrame, pd.DataFrame]]
    merged: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScorePart:
    """Every score; `reason` says why there is none."""

    scores: tuple[ScoreResult, ...] = ()
    reason: str = ""


def fit_adjustments(bench: Bench) -> AdjustedPart:
    """Every marker's difference in change under each adjustment, by both engines."""
    study = bench.study
    if study.change_variable != "phase":
        return AdjustedPart(reason=NO_PHASES.format(what="Adjusting for the baseline value"))
    found, total, markers = [], len(study.contrasts), bench.parts["markers"]
    for change in study.contrasts:
        table = bench.keep(
            "adjusted changes",
            _depends_on(study, change, markers),
            partial(_adjusted, study, change, markers),
        )
        found.append((change, table))
        bench.step(f"{change.level}, {change.start} to {change.end}", 1 / total)
    return AdjustedPart(tuple(found))


def _depends_on(study: Plan, change: Change, markers: Iterable[str]) -> Record:
    """All that an adjusted difference in change depends on, for the store to tell apart."""
    cohort = study.cohort
    return {
        "markers": [cohort.markers[name] for name in markers],
        "rows": [cohort.marker_data(name) for name in markers],
        "schema": cohort.schema,
        "randomised": cohort.randomised,
        "change": change,
        "trajectory": study.trajectory,
        "residual_by": study.models.residual_by,
        "beyond_limit": study.models.beyond_limit,
        "sampling": study.sampling,
    }


def _adjusted(study: Plan, change: Change, markers: Mapping[str, ModelResult]) -> pd.DataFrame:
    from longsurv.analyses.markers.adjustment import BaselineAdjustment
    from longsurv.analyses.markers.contrasts import AdjustedChanges

    sampling, parts = study.sampling, []
    for name, model in markers.items():
        spec = BaselineAdjustment(
            study.cohort, name, change, study.models.trajectory,
            beyond_limit=study.models.beyond_limit,
        )  # fmt: skip
        parts.append(spec.fit(unadjusted=model.fit))
        parts.append(
            spec.sample(
                draws=sampling.draws,
                chains=sampling.chains,
                seed=sampling.seed,
                unadjusted=model.post,
            )
        )
    return AdjustedChanges.joined(parts).table


def shrink_effects(bench: Bench) -> ShrunkenPart:
    """All markers' differences in change, each family's drawn towards their common mean."""
    study = bench.study
    if len(bench.parts["markers"]) < 2:
        return ShrunkenPart(
            reason="With one marker there is nothing to correct for and nothing to shrink towards."
        )
    found, total = [], len(study.contrasts)
    for change in study.contrasts:
        panel, left_out = _panel(study, change, bench.parts["markers"])
        if panel is not None:
            kept = bench.keep(
                "shrunken effects",
                [panel.members, change, study.sampling],
                partial(_shrunken, study, panel, bench.parts["markers"]),
            )
            found.append(ShrunkenChange(change, left_out=left_out, **kept))
        bench.step(f"{change.level}, {change.start} to {change.end}", 1 / total)
    if not found:
        return ShrunkenPart(reason="No marker has an answer from both engines.")
    return ShrunkenPart(tuple(found))


def _panel(
    study: Plan, change: Change, markers: Mapping[str, ModelResult]
) -> tuple[Panel | None, dict[str, str]]:
    """The markers that both engines answered, and why each other one is left out."""
    from longsurv.analyses.markers.panel import Panel

    members: dict[str, PanelMarker] = {}
    left_out: dict[str, str] = {}
    for name, model in markers.items():
        if model.fit is None or model.post is None:
            left_out[name] = next(iter(model.reasons.values()))
            continue
        try:
            response = study.response(model.data)
            alone = Panel.from_cohort(
                study.cohort, study.trajectory, change, [name],
                residual=study.residual_of(response), beyond_limit=study.models.beyond_limit,
            )  # fmt: skip
        except LongsurvError as error:
            left_out[name] = str(error)
            continue
        if alone.members[name].spread > 0:
            members |= alone.members
        else:
            left_out[name] = "its first values do not differ, so they have no SD to count in"
    if not members:
        return None, left_out
    panel = Panel(members, change)
    shrunken = {name for names in panel.families.values() for name in names}
    for name, member in members.items():
        if name not in shrunken:
            left_out[name] = _unshrunken(member.family, member.direction)
    return panel, {name: left_out[name] for name in markers if name in left_out}


def _unshrunken(family: str, direction: float) -> str:
    from longsurv.analyses.markers.panel import SMALLEST_FAMILY

    if not family:
        return "the study file gives it no family"
    if not direction:
        return "the study file does not say which direction is better"
    return f"its family ({family}) has fewer than {SMALLEST_FAMILY} markers with an answer"


def _shrunken(study: Plan, panel: Panel, markers: Mapping[str, ModelResult]) -> Record:
    from longsurv.analyses.markers.shrunken import PanelEstimate, PanelPosterior, PanelResults

    sampling, shrunken = study.sampling, None
    if panel.families:
        shrunken = panel.shrink(
            draws=sampling.draws, chains=sampling.chains, seed=sampling.seed
        )  # fmt: skip
    members = {name: markers[name] for name in panel.members}
    fits = {name: model.fit for name, model in members.items() if model.fit is not None}
    posts = {name: model.post for name, model in members.items() if model.post is not None}
    results = PanelResults(PanelEstimate(panel, fits), PanelPosterior(panel, posts), shrunken)
    verdict = shrunken.diagnose() if shrunken is not None else None
    return {
        "effects": results.tidy(scale="standard"),
        "families": pd.DataFrame() if shrunken is None else shrunken.tidy(component="hyper"),
        "warning": "" if verdict is None or verdict.ok else verdict.words,
    }


def fit_scores(bench: Bench) -> ScorePart:
    """The scores with a cut-off: positive or not, and their categories."""
    study = bench.study
    scores = {n: m for n, m in study.cohort.endpoints.items() if m.positive is not None}
    if not scores:
        return ScorePart(
            reason="No marker has a cut-off. Where a score has one, as 4 for DIC by the JAAM"
            " score, write positive = 4 under its [markers.NAME] in the study file."
        )
    if study.change_variable != "phase":
        return ScorePart(reason=NO_PHASES.format(what="The analysis of scores"))
    found = []
    for name, marker in scores.items():
        assert marker.positive is not None
        models = dict(_score_models(bench, name, marker.positive, 1 / len(scores)))
        # Where nobody, or everybody, is positive there is no share by either model.
        share = ("share",) if models["binary"].data["y"].nunique() > 1 else ()
        means = {
            (kind, engine, quantity): _means(bench, model, kind, engine, quantity, marker.positive)
            for kind, model in models.items()
            for engine in model.answers
            for quantity in quantities(model, kind, share, marker.positive)
        }
        said = merged_words(models["ordinal"])
        found.append(ScoreResult(marker, marker.positive, models, means, said))
    return ScorePart(tuple(found))


def _score_models(
    bench: Bench, name: str, cutoff: float, share: float
) -> Iterator[tuple[str, ModelResult]]:
    """The two models of a score; one that has nothing to fit says why."""
    label = bench.study.cohort.markers[name].label
    for kind in SCORE_MODELS:
        bench.turn(f"{name}, {kind}")
        yield kind, _score_model(bench, name, cutoff, kind)
        bench.step(f"{label}, {kind}", share / len(SCORE_MODELS))


def _score_model(bench: Bench, name: str, cutoff: float, kind: str) -> ModelResult:
    """One of the two; where there is nothing to fit, why."""
    from longsurv.models import GLMM

    study, rows = bench.study, bench.study.marker_data(name)
    if kind == "binary":
        rows = rows.assign(y=reaches(rows, cutoff).astype(float))
    left, family = SCORE_MODELS[kind]
    formula = f"{left} ~ {study.trajectory}"
    reason = _unfit(rows[left], cutoff) if kind == "binary" else _uncountable(rows)
    if reason:
        reasons = {"ml": reason, "bayes": reason}
        return ModelResult(f"{name}, {kind}", formula, rows, reasons=reasons)
    merge = study.models.least_category or None if kind == "ordinal" else None
    model = partial(GLMM, family=family, merge=merge)
    return bench.model(f"{name}, {kind}", formula, rows, model)


def score_models(study: Plan) -> dict[str, Callable[[Bench], ModelResult]]:
    """The models of the scores, each a piece of the stage, the longer one of a score last."""
    if study.change_variable != "phase":
        return {}
    return {
        f"{name}, {kind}": partial(_score_model, name=name, cutoff=marker.positive, kind=kind)
        for name, marker in study.cohort.endpoints.items()
        if marker.positive is not None
        for kind in SCORE_MODELS
    }


def _unfit(positive: pd.Series, cutoff: float) -> str:
    if positive.empty:
        return "there are no values"
    if positive.nunique() == 1:
        side = "at or above" if positive.iloc[0] else "below"
        return f"every value is {side} {cutoff:g}: there is no share to model"
    return ""


def _uncountable(data: pd.DataFrame) -> str:
    count = data["value"].nunique()
    if (data["censored"] != "none").any():
        return "some values are known by a limit only, which is no category"
    if count < 3:
        return "an ordinal model needs three different values or more"
    if count > MOST_CATEGORIES:
        return (
            f"it has {count} different values; an ordinal model is made for at most"
            f" {MOST_CATEGORIES}"
        )
    return ""


def _means(
    bench: Bench, model: ModelResult, kind: str, engine: str, quantity: str, cutoff: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means over all patients by group and phase, and the differences in change."""
    treatment = bench.study.cohort.schema.treatment
    result = model.answers[engine]

    def compute() -> tuple[pd.DataFrame, pd.DataFrame]:
        from longsurv.results.generalised.means import response_means

        at_least = None
        if kind == "ordinal" and quantity == "share":
            at_least = lowest_reaching(model.data, cutoff)
        means = response_means(
            cast("GeneralisedAnswer", result), [treatment, "phase"], at_least=at_least
        )
        differences = means.contrast("phase", treatment, kind="reference")
        return _plain(means.tidy()), _plain(differences)

    merged = merged_categories(model).groups
    inputs = [model.name, model.formula, model.data, bench.study.sampling, engine, cutoff, merged]
    return bench.keep(f"means of a score, {quantity}", inputs, compute)


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """With text instead of categories, which the store does not keep."""
    words = table.select_dtypes(exclude="number").columns
    return table.astype(dict.fromkeys(words, str))


def seconds_of_adjustments(study: Plan) -> float:
    """Roughly how long `fit_adjustments` takes."""
    if study.change_variable != "phase":
        return 0.0
    cohort = study.cohort
    draws = study.sampling.chains * (study.sampling.draws + 300)
    # Several later values of a patient, or one at the start, are correlated by a slower kernel.
    correlated = (len(cohort.schema.phases) > 2) + bool(cohort.randomised)
    each = 0.1 + (4e-5 + 2e-3 * correlated) * draws
    return 0.3 + len(study.contrasts) * len(cohort.endpoints) * each


def seconds_of_panel(study: Plan) -> float:
    """Roughly how long `shrink_effects` takes."""
    draws = study.sampling.chains * (study.sampling.draws + 300)
    return 0.5 + 6e-5 * draws * len(study.cohort.endpoints)


def seconds_of_scores(study: Plan) -> float:
    """Roughly how long `fit_scores` takes."""
    draws = study.sampling.chains * (study.sampling.draws + 300)
    scores = sum(marker.positive is not None for marker in study.cohort.endpoints.values())
    return 0.1 + scores * (1.0 + 1.7e-3 * draws)
