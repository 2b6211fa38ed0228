"""Reading a study file (TOML)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Literal

from longsurv.arguments import checked
from longsurv.cohort.aims import Aims
from longsurv.cohort.cohort import Cohort
from longsurv.cohort.files import Source, read_table
from longsurv.cohort.keys import FIELDS
from longsurv.cohort.keys_of_analyses import PRIOR_KEYS
from longsurv.cohort.keys_of_data import FILE_KEYS, MARKER_KEYS
from longsurv.cohort.kinds import PHASE
from longsurv.cohort.labels import event_name
from longsurv.cohort.lines import Lines, naming_columns
from longsurv.cohort.phases import Phase, parse_interval
from longsurv.cohort.problems import Problems, show, show_list, suggest
from longsurv.cohort.questions import PublishedRatio, TrialSettings
from longsurv.cohort.schema import BeyondLimit, Marker, Schema
from longsurv.cohort.study_tables import check_keys, check_tables, load
from longsurv.cohort.subgroups import subgroup_problem
from longsurv.errors import DataError
from longsurv.records import Fields, Record


@dataclass(frozen=True)
class ModelSettings:
    """Right-hand sides of the models' formulas.

    Parameters
    ----------
    trajectory : str
        Of each marker, e.g. ``"phase * treatment + (1 | patient)"``.
    mortality : str
        Of the hazard, e.g. ``"treatment"``.
    joint : tuple of str
        Markers to be modelled together with the outcome, each in its own joint model.
    joint_trajectory : str
        Of a marker in its joint model, in the measurement time: the hazard depends on the curve
        between measurements, so a phase will not do.
    residual_by : str
        Column whose groups have a residual standard deviation each in the markers' models; empty
        for one that all share.
    death_in_markers : {"while alive", "worst"}
        Which question about markers that deaths cut short the report answers first.
    beyond_limit : {"censored", "at the limit"}
        What a value beyond a limit of detection counts as in the markers' models.
    least_category : int
        Rows below which a category of a score is merged with a neighbour in its ordinal model; 0
        merges none.
    compare_arms : {"reference", "pairwise"}
        Of several treatment groups, which are compared in the event.
    """

    trajectory: str
    mortality: str
    joint: tuple[str, ...] = ()
    joint_trajectory: str = ""
    residual_by: str = ""
    death_in_markers: str = "while alive"
    beyond_limit: BeyondLimit = "censored"
    least_category: int = 0
    compare_arms: Literal["reference", "pairwise"] = "reference"


@dataclass(frozen=True)
class SamplingSettings:
    """How the posterior is sampled: draws per chain, chains, and the seed of them all."""

    draws: int = 1000
    chains: int = 4
    seed: int = 1


@dataclass(frozen=True)
class StudyFile:
    """A study file as read: the cohort and what is to be done with it.

    Attributes
    ----------
    path : Path
    cohort : Cohort
    models : ModelSettings
    sampling : SamplingSettings
    files : tuple of Path
        The study file and the tables it names: what nobody wants overwritten.
    show_patients : bool
        Whether the report may show single patients.
    aims : Aims
        Its primary and secondary outcomes.
    style : {"plain", "nejm", "jama"}
        How the report writes the table of patients at baseline.
    subgroups : tuple of str
        Covariates in whose levels the treatment's effect on the event is told.
    """

    path: Path
    cohort: Cohort
    models: ModelSettings
    sampling: SamplingSettings
    files: tuple[Path, ...] = ()
    show_patients: bool = False
    aims: Aims = field(default_factory=Aims)
    priors: tuple[PublishedRatio, ...] = ()
    target_trial: TrialSettings | None = None
    style: str = "plain"
    subgroups: tuple[str, ...] = ()


@checked
def read_cohort(path: str | Path) -> Cohort:
    """Read the cohort that a study file describes.

    Parameters
    ----------
    path : str or Path
        A TOML file. The data files it names are found relative to it.

    Raises
    ------
    DataError
        Listing every problem of the study file, or of the data.
    """
    return read_study(path).cohort


@checked
def read_study(path: str | Path) -> StudyFile:
    """Read a study file: the cohort, the models and the sampling.

    Parameters
    ----------
    path : str or Path
        A TOML file. The data files it names are found relative to it.

    Raises
    ------
    DataError
        Listing every problem of the study file, or of the data.
    """
    path = Path(path)
    given, lines = load(path)
    problems = Problems()
    tables = check_tables(given, path.name, lines, problems)
    markers = _read_markers(tables["markers"], path.name, lines, problems)
    phases = _read_phases(tables["phases"], path.name, problems)
    _check_joint(tables["models"], markers, path.name, problems)
    published = _read_priors(tables["priors"], path.name, lines, problems)
    # With a key missing or mistyped the schema would only repeat it in other words.
    schema = None if problems.texts else _read_schema(tables, phases, path.name, problems)
    aims = _read_aims(tables["study"])
    if schema is not None:
        for text in aims.problems([*(marker.name for marker in markers), event_name(schema)]):
            problems.add(f"{path.name}, [study]: {text}")
        _check_subgroups(tables["study"], schema, path.name, problems)
        _check_formulas(tables, path.name, problems)
    problems.raise_if_any()
    assert schema is not None

    folder = path.parent
    sources = _sources(folder, tables, schema, "measurements" in given)
    patients = read_table(sources[0], problems)
    measurements = None
    if sources[1:]:
        same = sources[0] == sources[1]
        measurements = patients if same else read_table(sources[1], problems)
    problems.raise_if_any()
    assert patients is not None
    of_patients, of_measurements = naming_columns(tables, lines, path.name)
    if measurements is patients:
        of_patients = of_measurements = {**of_measurements, **of_patients}
    patients = replace(patients, named=of_patients)
    measurements = measurements and replace(measurements, named=of_measurements)
    of_cohort = {k: v for k, v in tables["study"].items() if k not in _OF_AIMS}
    subgroups = tuple(dict.fromkeys(of_cohort.pop("subgroups", ())))
    cohort = Cohort(patients, measurements, schema, markers, **of_cohort)
    for name in subgroups:
        text = subgroup_problem(cohort.patients, name, schema.treatment)
        if text:
            problems.add(f"{path.name}, [study], subgroups: {text}")
    problems.raise_if_any()
    return StudyFile(
        path,
        cohort,
        _read_models(tables["models"], cohort.schema),
        SamplingSettings(**tables["sampling"]),
        (path, *dict.fromkeys(source.path for source in sources)),
        **tables["report"],
        aims=aims,
        priors=published,
        target_trial=_read_trial(tables["target_trial"]),
        subgroups=subgroups,
    )


def _read_markers(table: Record, file: str, lines: Lines, problems: Problems) -> list[Marker]:
    markers = []
    for name, given in table.items():
        where = f"{file}, [markers.{name}]"
        if not isinstance(given, dict):
            problems.add(f"{where}: must be a table of its own, not {show(given)}")
            continue
        before = len(problems.texts)
        own = lines.get(f"markers.{name}", {})
        check_keys(given, MARKER_KEYS, where, problems, own)
        if len(problems.texts) > before:
            continue
        own_fields: Fields = {key: _as_field(v) for key, v in given.items()}
        try:
            markers.append(Marker(name, **own_fields))
        except DataError as error:
            for text in error.problems:
                problems.add(f"{file}: {text}")
    return markers


def _read_priors(
    table: Record, file: str, lines: Lines, problems: Problems
) -> tuple[PublishedRatio, ...]:
    found = []
    for name, given in table.items():
        where = f"{file}, [priors.{name}]"
        if not isinstance(given, dict):
            problems.add(f"{where}: must be a table of its own, not {show(given)}")
            continue
        before = len(problems.texts)
        check_keys(given, PRIOR_KEYS, where, problems, lines.get(f"priors.{name}", {}))
        if len(problems.texts) > before:
            continue
        try:
            found.append(PublishedRatio.of(name, given))
        except DataError as error:
            for text in error.problems:
                problems.add(f"{file}: {text}")
    return tuple(found)


def _read_trial(given: Record) -> TrialSettings | None:
    own: Fields = {key: _as_field(value) for key, value in given.items()}
    return TrialSettings(**own) if own else None


def _read_phases(table: Record, file: str, problems: Problems) -> tuple[Phase, ...]:
    phases = []
    for name, given in table.items():
        if not PHASE.accepts(given):
            problems.add(f"{file}, [phases]: {name} must be {PHASE}, not {show(given)}")
            continue
        ends = parse_interval(given) if isinstance(given, str) else given
        try:
            phases.append(Phase(name, *(ends if isinstance(ends, (list, tuple)) else (ends, ends))))
        except DataError as error:
            problems.add(f"{file}: {error}")
    return tuple(phases)


def _read_schema(
    tables: Mapping[str, Record],
    phases: tuple[Phase, ...],
    file: str,
    problems: Problems,
) -> Schema | None:
    given: Fields = {"phases": phases}
    for table in ("patients", "outcome", "measurements"):
        for key, value in tables[table].items():
            if key != "file" and key not in FILE_KEYS:
                given[FIELDS[table].get(key, key)] = _as_field(value)
    if "competing" in given:
        given["competing"] = {k: _as_field(level) for k, level in given["competing"].items()}
    try:
        return Schema(**given)
    except DataError as error:
        for text in error.problems:
            problems.add(f"{file}: {text}")
        return None


def _as_field(value: object) -> object:
    """A value of TOML as a specification holds it: what cannot change."""
    return tuple(value) if isinstance(value, list) else value


def _sources(
    folder: Path, tables: Mapping[str, Record], schema: Schema, measured: bool
) -> list[Source]:
    """The patients' file and, where something was measured, that of the measurements."""
    of_patients = _source(folder, tables["patients"], schema.patient)
    if not measured:
        return [of_patients]
    given = tables["measurements"]
    same = given.get("file", tables["patients"]["file"]) == tables["patients"]["file"]
    options = {**tables["patients"], **given} if same else given
    return [of_patients, _source(folder, options, schema.measurement_patient or schema.patient)]


def _source(folder: Path, table: Record, id_column: str) -> Source:
    options: Fields = {key: _as_field(table[key]) for key in FILE_KEYS if key in table}
    if isinstance(options.get("fill_down"), bool):
        options["fill_down"] = (id_column,) if options["fill_down"] else ()
    return Source(folder / table["file"], id_column, **options)


def _check_joint(given: Record, markers: Sequence[Marker], file: str, problems: Problems) -> None:
    known = [marker.name for marker in markers]
    names = given.get("joint", ())
    for name in names if isinstance(names, list) else ():
        if name not in known:
            near = suggest(name, known) or f"its markers are {show_list(known)}"
            problems.add(
                f"{file}: [models] joint names {show(name)}, no marker of the study; {near}"
            )


def _check_subgroups(given: Record, schema: Schema, file: str, problems: Problems) -> None:
    for name in given.get("subgroups", ()):
        if name not in schema.covariates:
            known = list(schema.covariates)
            near = suggest(name, known) or f"they are {show_list(known)}"
            problems.add(
                f"{file}, [study]: subgroups names {show(name)}, none of the covariates of"
                f" [patients]; {near}"
            )


_OF_AIMS = frozenset(f.name for f in fields(Aims))


def _read_aims(given: Record) -> Aims:
    own: Fields = {key: _as_field(value) for key, value in given.items() if key in _OF_AIMS}
    return Aims(**own)


def _check_formulas(tables: Mapping[str, Record], file: str, problems: Problems) -> None:
    """Refuse a formula that names a group by what it no longer is called."""
    for key, formula in tables["models"].items():
        for name, label in tables["study"].get("labels", {}).items():
            quoted = (f'"{name}"', f"'{name}'")
            if isinstance(formula, str) and any(text in formula for text in quoted):
                problems.add(
                    f"{file}, [models]: {key} names {show(name)}, which goes by its label; write"
                    f" {show(label)}"
                )


def _read_models(given: Record, schema: Schema) -> ModelSettings:
    """Fill in the models a study file leaves out: what differs between the groups over time."""
    patient, treatment = _quote(schema.patient), _quote(schema.treatment)
    over_time = f"{_quote(schema.time)} * {treatment} + ({_quote(schema.time)} | {patient})"
    default = ModelSettings(
        trajectory=f"phase * {treatment} + (1 | {patient})" if schema.phases else over_time,
        mortality=treatment,
        joint_trajectory=over_time,
    )
    said: Fields = {**given, "joint": tuple(given.get("joint", ()))}
    return replace(default, **said)


def _quote(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
