"""Reading a study file (TOML)."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType

from longsurv.arguments import checked
from longsurv.cohort.aims import Aims
from longsurv.cohort.cohort import Cohort
from longsurv.cohort.files import Source, read_table
from longsurv.cohort.former import tell
from longsurv.cohort.keys import (
    FIELDS,
    FORMER,
    MARKER_KEYS,
    PRIOR_KEYS,
    SOURCE_KEYS,
    TABLE_DOCS,
    TABLES,
    Key,
)
from longsurv.cohort.kinds import LEVEL_OR_LEVELS, PHASE
from longsurv.cohort.labels import event_name
from longsurv.cohort.lines import Lines, key_lines, naming_columns
from longsurv.cohort.phases import Phase, parse_interval
from longsurv.cohort.problems import Problems, show, show_list, suggest
from longsurv.cohort.questions import PublishedRatio, TrialSettings
from longsurv.cohort.schema import Marker, Schema
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
    """

    trajectory: str
    mortality: str
    joint: tuple[str, ...] = ()
    joint_trajectory: str = ""


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
    given, lines = _load(path)
    problems = Problems()
    tables = _check_tables(given, path.name, lines, problems)
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
    cohort = Cohort(patients, measurements, schema, markers, **of_cohort)
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
    )


def _load(path: Path) -> tuple[Fields, Lines]:
    """The tables of a study file, and the lines that their keys are on."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        return tomllib.loads(text), key_lines(text)
    except FileNotFoundError:
        raise DataError(f"there is no study file {path}") from None
    except IsADirectoryError:
        raise DataError(f"{path} is a folder; name the study file in it") from None
    except UnicodeDecodeError:
        raise DataError(f"{path.name}: a study file must be UTF-8 text") from None
    except RecursionError:
        raise DataError(f"{path.name}: not a study file: brackets are nested too deep") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # TOML's own, and Python's of a whole number without end
        raise DataError(f"{path.name}: not valid TOML: {error}") from None


def _check_tables(given: Record, file: str, lines: Lines, problems: Problems) -> dict[str, Fields]:
    """Check every key and its kind; return all tables in their own words, those not given empty."""
    _refuse_unknown(given, TABLE_DOCS, f"{file}: unknown table", "tables", problems)
    tables: dict[str, Fields] = {}
    for name in TABLE_DOCS:
        table = given.get(name)
        tables[name] = dict(table) if isinstance(table, dict) else {}
        if table is None and name in ("patients", "outcome"):
            problems.add(f"{file}: the table [{name}] is missing")
        elif table is not None and not isinstance(table, dict):
            problems.add(f"{file}: {name} must be a table, written [{name}]")
        elif table is not None and name in TABLES:
            tables[name] = _in_own_words(table, name, f"{file}, [{name}]", problems)
            where = f"{file}, [{name}]"
            _check_keys(tables[name], TABLES[name], where, problems, lines.get(name, {}))
    visits = tables["measurements"]
    if "measurements" in given and "time" not in visits and not isinstance(visits.get("wide"), str):
        at = _at("time", lines.get("measurements", {}))
        problems.add(f'{file}, [measurements]: the key "time" is missing; expected text{at}')
    levels = tables["outcome"].get("competing")
    if isinstance(levels, dict):
        key = Key(LEVEL_OR_LEVELS, "")
        _check_keys(levels, dict.fromkeys(levels, key), f"{file}, [outcome.competing]", problems)
    return tables


def _in_own_words(table: Record, name: str, where: str, problems: Problems) -> Fields:
    """A table whose keys may be called as they once were, or as fields, as the reference does."""
    former = dict(FORMER[name])
    if name == "outcome" and "event_level" in table and "status" not in table:
        former["event"] = "status"  # as a Schema once called the column; event_level says which
    known = former | {field: key for key, field in FIELDS[name].items()}
    tell(where, {show(old): show(new) for old, new in former.items() if old in table})
    own: Fields = {}
    for key, value in table.items():
        word = known.get(key, key)
        if word in own:
            problems.add(f"{where}: {show(key)} and {show(word)} are one; write {show(word)}")
        own[word] = value
    return own


def _check_keys(
    table: Record,
    keys: Mapping[str, Key],
    where: str,
    problems: Problems,
    lines: Mapping[str, str] = MappingProxyType({}),
) -> None:
    _refuse_unknown(table, keys, f"{where}: unknown key", "keys", problems, lines)
    for name, key in keys.items():
        if name not in table:
            if key.required:
                problems.add(
                    f"{where}: the key {show(name)} is missing; expected {key.kind}"
                    f"{_at(name, lines)}"
                )
        elif not key.kind.accepts(table[name]):
            problems.add(
                f"{where}: {name} must be {key.kind}, not {show(table[name])}{_at(name, lines)}"
            )


def _at(key: str, lines: Mapping[str, str]) -> str:
    return f" ({lines[key]})" if key in lines else ""


def _refuse_unknown(
    table: Record,
    known: Record,
    what: str,
    plural: str,
    problems: Problems,
    lines: Mapping[str, str] = MappingProxyType({}),
) -> None:
    for name in table:
        if name not in known:
            hint = suggest(name, known) or f"the {plural} are {show_list(known, 40)}"
            problems.add(f"{what} {show(name)}; {hint}{_at(name, lines)}")


def _read_markers(table: Record, file: str, lines: Lines, problems: Problems) -> list[Marker]:
    markers = []
    for name, given in table.items():
        where = f"{file}, [markers.{name}]"
        if not isinstance(given, dict):
            problems.add(f"{where}: must be a table of its own, not {show(given)}")
            continue
        before = len(problems.texts)
        own = lines.get(f"markers.{name}", {})
        _check_keys(given, MARKER_KEYS, where, problems, own)
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
        _check_keys(given, PRIOR_KEYS, where, problems, lines.get(f"priors.{name}", {}))
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
            if key != "file" and key not in SOURCE_KEYS:
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
    options: Fields = {key: _as_field(table[key]) for key in SOURCE_KEYS if key in table}
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
