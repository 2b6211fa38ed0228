"""Reading a study file (TOML): which keys there are, and what each may hold."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from longsurv.arguments import checked
from longsurv.cohort.cohort import Cohort
from longsurv.cohort.files import Source, read_table
from longsurv.cohort.problems import Problems, show, show_list, suggest
from longsurv.cohort.schema import Marker, Phase, Schema
from longsurv.errors import DataError


@dataclass(frozen=True)
class Key:
    """What a key of the study file may hold: a name for people and a test."""

    kind: str
    required: bool = False

    def accepts(self, value: object) -> bool:
        """Tell whether a value is of this kind."""
        return _KINDS[self.kind](value)


def _is_level(value: object) -> bool:
    return isinstance(value, (str, int, float, bool))


def _is_number(value: object) -> bool:
    """Of a size that a float holds: TOML's whole numbers have no end."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) < LARGEST


def _is_list_of(value: object, test: type | tuple[type, ...]) -> bool:
    return isinstance(value, list) and all(isinstance(item, test) for item in value)


LARGEST = 10**300
SEEDS = 2**63
_KINDS = {
    "text": lambda v: isinstance(v, str),
    "a single character": lambda v: isinstance(v, str) and len(v) == 1,
    "true or false": lambda v: isinstance(v, bool),
    "a number": _is_number,
    "a number or the name of a column": lambda v: _is_number(v) or isinstance(v, str),
    "a whole number, 1 or more": lambda v: _is_number(v) and isinstance(v, int) and v >= 1,
    "a whole number, 0 to 9223372036854775807": lambda v: (
        _is_number(v) and isinstance(v, int) and 0 <= v < SEEDS
    ),
    '"." or ","': lambda v: v in (".", ","),
    "a list of text": lambda v: _is_list_of(v, str),
    "a value or a list of values": lambda v: (
        _is_level(v) or (_is_list_of(v, (str, int, float, bool)) and len(v) > 0)
    ),
    "a value or a list of values, [] for none": lambda v: (
        _is_level(v) or _is_list_of(v, (str, int, float, bool))
    ),
    "a list of values": lambda v: _is_list_of(v, (str, int, float, bool)),
    "a value": _is_level,
    "a table": lambda v: isinstance(v, dict),
}

_TEXT, _FLAG, _NUMBER = Key("text"), Key("true or false"), Key("a number")
_NAME = Key("text", required=True)
_FILE = {
    "sheet": _TEXT,
    "separator": Key("a single character"),
    "encoding": _TEXT,
    "missing": Key("a list of text"),
    "decimal": Key('"." or ","'),
}

TABLES: dict[str, dict[str, Key]] = {
    "study": {"title": _TEXT, "note": _TEXT, "reconstructed": _FLAG, "randomised": _FLAG},
    "patients": {
        "file": _NAME,
        "id": _NAME,
        "treatment": _NAME,
        "reference": Key("a value", required=True),
        "levels": Key("a list of values"),
        "covariates": Key("a list of text"),
        "categorical": Key("a list of text"),
        "exclude_incomplete": _FLAG,
        **_FILE,
    },
    "outcome": {
        "time": _NAME,
        "status": _NAME,
        "event": Key("a value or a list of values"),
        "censored": Key("a value or a list of values, [] for none"),
        "competing": Key("a table"),
        "entry": Key("a number or the name of a column"),
        "horizon": _NUMBER,
        "unit": _TEXT,
        "time_zero": _TEXT,
        "exclude_before_entry": _FLAG,
    },
    "measurements": {
        "file": _NAME,
        "patient": _TEXT,
        "time": _NAME,
        "marker": _TEXT,
        "value": _TEXT,
        "wide": _FLAG,
        "tolerance": _NUMBER,
        "exclude_other_markers": _FLAG,
        **_FILE,
    },
    "phases": {},
    "markers": {},
    "models": {
        "trajectory": _TEXT,
        "mortality": _TEXT,
        "joint": Key("a list of text"),
        "joint_trajectory": _TEXT,
    },
    "sampling": {
        "draws": Key("a whole number, 1 or more"),
        "chains": Key("a whole number, 1 or more"),
        "seed": Key("a whole number, 0 to 9223372036854775807"),
    },
    "report": {"show_patients": _FLAG},
}
MARKER_KEYS = {
    "label": _TEXT,
    "unit": _TEXT,
    "transform": _TEXT,
    "lower_limit": _NUMBER,
    "direction": _TEXT,
    "family": _TEXT,
    "positive": _NUMBER,
}
# Where the study file's words differ from those of Schema.
_SCHEMA_NAMES = {
    "patients": {"id": "patient", "covariates": "baseline_covariates"},
    "outcome": {
        "time": "exit",
        "status": "event",
        "event": "event_level",
        "censored": "censored_level",
        "unit": "time_unit",
    },
    "measurements": {"patient": "measurement_patient"},
}


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
    chains: int = 2
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
    """

    path: Path
    cohort: Cohort
    models: ModelSettings
    sampling: SamplingSettings
    files: tuple[Path, ...] = ()
    show_patients: bool = False


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
    given = _load(path)
    problems = Problems()
    tables = _check_tables(given, path.name, problems)
    markers = _read_markers(tables["markers"], path.name, problems)
    phases = _read_phases(tables["phases"], path.name, problems)
    _check_joint(tables["models"], markers, path.name, problems)
    # With a key missing or mistyped the schema would only repeat it in other words.
    schema = None if problems.texts else _read_schema(tables, phases, path.name, problems)
    problems.raise_if_any()
    assert schema is not None

    folder = path.parent
    patients = read_table(_source(folder, tables["patients"], schema.patient), problems)
    measurements = None
    if "measurements" in given:
        name = schema.measurement_patient or schema.patient
        measurements = read_table(_source(folder, tables["measurements"], name), problems)
    problems.raise_if_any()
    assert patients is not None
    cohort = Cohort(patients, measurements, schema, markers, **tables["study"])
    return StudyFile(
        path,
        cohort,
        _read_models(tables["models"], schema),
        SamplingSettings(**tables["sampling"]),
        (path, *(folder / tables[t]["file"] for t in ("patients", "measurements") if t in given)),
        **tables["report"],
    )


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
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


def _check_tables(
    given: Mapping[str, Any], file: str, problems: Problems
) -> dict[str, dict[str, Any]]:
    """Check every key and its kind; return all tables, those not given empty."""
    _refuse_unknown(given, TABLES, f"{file}: unknown table", "tables", problems)
    tables: dict[str, dict[str, Any]] = {}
    for name, keys in TABLES.items():
        table = given.get(name)
        if table is None and name in ("patients", "outcome"):
            problems.add(f"{file}: the table [{name}] is missing")
        elif table is not None and not isinstance(table, dict):
            problems.add(f"{file}: {name} must be a table, written [{name}]")
        elif table is not None and keys:
            _check_keys(table, keys, f"{file}, [{name}]", problems)
        tables[name] = dict(table) if isinstance(table, dict) else {}
    levels = tables["outcome"].get("competing")
    if isinstance(levels, dict):
        kind = Key("a value or a list of values")
        _check_keys(levels, dict.fromkeys(levels, kind), f"{file}, [outcome.competing]", problems)
    return tables


def _check_keys(
    table: Mapping[str, Any], keys: Mapping[str, Key], where: str, problems: Problems
) -> None:
    _refuse_unknown(table, keys, f"{where}: unknown key", "keys", problems)
    for name, key in keys.items():
        if name not in table:
            if key.required:
                problems.add(f"{where}: the key {show(name)} is missing; expected {key.kind}")
        elif not key.accepts(table[name]):
            problems.add(f"{where}: {name} must be {key.kind}, not {show(table[name])}")


def _refuse_unknown(
    table: Mapping[str, Any], known: Mapping[str, Any], what: str, plural: str, problems: Problems
) -> None:
    for name in table:
        if name not in known:
            hint = suggest(name, known) or f"the {plural} are {show_list(known, 30)}"
            problems.add(f"{what} {show(name)}; {hint}")


def _read_markers(table: Mapping[str, Any], file: str, problems: Problems) -> list[Marker]:
    markers = []
    for name, given in table.items():
        where = f"{file}, [markers.{name}]"
        if not isinstance(given, dict):
            problems.add(f"{where}: must be a table of its own, not {show(given)}")
            continue
        before = len(problems.texts)
        _check_keys(given, MARKER_KEYS, where, problems)
        if len(problems.texts) > before:
            continue
        try:
            markers.append(Marker(name, **given))
        except DataError as error:
            for text in error.problems:
                problems.add(f"{file}: {text}")
    return markers


def _read_phases(table: Mapping[str, Any], file: str, problems: Problems) -> tuple[Phase, ...]:
    phases = []
    for name, given in table.items():
        ends = given if isinstance(given, list) else [given, given]
        if len(ends) != 2 or not all(_is_number(end) for end in ends):
            problems.add(
                f"{file}, [phases]: {name} must be a time or [first, last], not {show(given)}"
            )
            continue
        try:
            phases.append(Phase(name, *ends))
        except DataError as error:
            problems.add(f"{file}: {error}")
    return tuple(phases)


def _read_schema(
    tables: Mapping[str, Mapping[str, Any]],
    phases: tuple[Phase, ...],
    file: str,
    problems: Problems,
) -> Schema | None:
    outside = {"file", *_FILE}
    given: dict[str, Any] = {"phases": phases}
    for table, names in _SCHEMA_NAMES.items():
        for key, value in tables[table].items():
            if key not in outside:
                given[names.get(key, key)] = tuple(value) if isinstance(value, list) else value
    if "competing" in given:
        given["competing"] = {
            label: tuple(level) if isinstance(level, list) else level
            for label, level in given["competing"].items()
        }
    try:
        return Schema(**given)
    except DataError as error:
        for text in error.problems:
            problems.add(f"{file}: {text}")
        return None


def _source(folder: Path, table: Mapping[str, Any], id_column: str) -> Source:
    options = {
        key: table[key] for key in ("sheet", "separator", "encoding", "decimal") if key in table
    }
    missing = tuple(table.get("missing", ()))
    return Source(folder / table["file"], id_column, missing=missing, **options)


def _check_joint(
    given: Mapping[str, Any], markers: Sequence[Marker], file: str, problems: Problems
) -> None:
    known = [marker.name for marker in markers]
    names = given.get("joint", ())
    for name in names if isinstance(names, list) else ():
        if name not in known:
            near = suggest(name, known) or f"its markers are {show_list(known)}"
            problems.add(
                f"{file}: [models] joint names {show(name)}, no marker of the study; {near}"
            )


def _read_models(given: Mapping[str, Any], schema: Schema) -> ModelSettings:
    """Fill in the models a study file leaves out: what differs between the groups over time."""
    patient, treatment = _quote(schema.patient), _quote(schema.treatment)
    over_time = f"{_quote(schema.time)} * {treatment} + ({_quote(schema.time)} | {patient})"
    default = ModelSettings(
        trajectory=f"phase * {treatment} + (1 | {patient})" if schema.phases else over_time,
        mortality=treatment,
        joint_trajectory=over_time,
    )
    return replace(default, **{**given, "joint": tuple(given.get("joint", ()))})


def _quote(name: str) -> str:
    return name if name.isidentifier() else f"`{name}`"
