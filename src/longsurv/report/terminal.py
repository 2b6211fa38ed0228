"""What the command line says of a study and of what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from longsurv.cohort.covariates import covariate_kinds
from longsurv.cohort.problems import show_list
from longsurv.numbers import seconds
from longsurv.study.sites import site_words
from longsurv.tables.escape import printable

if TYPE_CHECKING:
    from longsurv.cohort import Cohort
    from longsurv.study import Study, StudyResults


def checked(study: Study) -> Iterator[str]:
    """The cohort, its flow, how covariates were read, and the models: lines for `check`."""
    yield study.cohort.describe()
    for unit, part in study.cohort.flow.groupby("unit", sort=False):
        yield f"\n{str(unit).capitalize()}, from file to model"
        for row in part.to_dict("records"):
            removed = f", {row['removed']:,} removed" if row["removed"] else ""
            reason = f" ({row['reason']})" if row["reason"] else ""
            yield f"  {row['kept']:>9,}  {row['step']}{removed}{reason}"
    silent = unmeasured(study.cohort)
    if silent:
        yield f"\nPatients without measurements: {show_list(silent)}"
    yield "\nCovariates, as they were read"
    for name, kind in covariate_kinds(study.cohort).items():
        yield f"  {printable(name)}: {printable(kind)}"
    yield "\nModels"
    if study.cohort.markers:
        yield f"  each marker:  {study.trajectory_formula}"
    if words := site_words(study.cohort, study.models.mortality):
        yield f"  {words}"
    if study.models.residual_by:
        yield f"                with a residual standard deviation by {study.models.residual_by}"
    if study.models.death_in_markers == "worst":
        yield "                with death as the worst outcome first"
    yield f"  mortality:    {study.mortality_formula}"


def unmeasured(cohort: Cohort) -> list[str]:
    """Patients of whom nothing was measured, where markers are; the report only counts them."""
    if not cohort.markers:
        return []
    patients = cohort.patients[cohort.schema.patient]
    measured = cohort.measurements[cohort.schema.patient].unique()
    return list(patients[~patients.isin(measured)])


def unestimated(results: StudyResults) -> dict[str, str]:
    """What has no answer, and why; what failed unexpectedly is told once."""
    told = set(results.missing.values())
    return results.missing | {
        what: reason for what, reason in results.faults.reasons.items() if reason not in told
    }


def reported(
    results: StudyResults, path: Path, folder: Path | None, store: Path | None, took: float
) -> Iterator[str]:
    """What was run, where it is written, how long both took, and what it could not answer.

    Parameters
    ----------
    results : StudyResults
    path : Path
        Of the report.
    folder : Path or None
        Where everything was exported.
    store : Path or None
        Where finished fits are kept.
    took : float
        Seconds, those of writing the report among them.
    """
    title = printable(results.cohort.title or "Study")
    yield f"{title}: {seconds(took)}\n  {path.resolve()}"
    if folder is not None:
        yield f"  {folder.resolve()}"
    if results.quick:
        yield "  Quick run: few posterior draws, for a first look only."
    if results.reused:
        total = results.reused + results.computed
        yield f"  Reused {results.reused} of {total} results stored in {store}."
    if results.cohort.reconstructed:
        yield "  Reconstructed data: no real patient is in them."
    missing = unestimated(results)
    if missing:
        yield "  Could not be estimated:"
        for what, reason in missing.items():
            yield f"    {printable(what)}: {printable(reason)}"
    if results.faults.traces:
        yield f"  Details of what failed unexpectedly: {path.with_suffix('.log').resolve()}"
