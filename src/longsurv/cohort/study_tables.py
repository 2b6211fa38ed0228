"""The tables and keys of a study file, checked before anything is made of them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from longsurv.cohort.former import tell
from longsurv.cohort.key import Key
from longsurv.cohort.keys import FIELDS, FORMER, TABLE_DOCS, TABLES
from longsurv.cohort.kinds import LEVEL_OR_LEVELS
from longsurv.cohort.lines import Lines, key_lines
from longsurv.cohort.problems import Problems, show, show_list, suggest
from longsurv.errors import DataError
from longsurv.records import Fields, Record


def load(path: Path) -> tuple[Fields, Lines]:
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


def check_tables(given: Record, file: str, lines: Lines, problems: Problems) -> dict[str, Fields]:
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
            check_keys(tables[name], TABLES[name], where, problems, lines.get(name, {}))
    visits = tables["measurements"]
    if "measurements" in given and "time" not in visits and not isinstance(visits.get("wide"), str):
        at = _at("time", lines.get("measurements", {}))
        problems.add(f'{file}, [measurements]: the key "time" is missing; expected text{at}')
    levels = tables["outcome"].get("competing")
    if isinstance(levels, dict):
        key = Key(LEVEL_OR_LEVELS, "")
        check_keys(levels, dict.fromkeys(levels, key), f"{file}, [outcome.competing]", problems)
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


def check_keys(
    table: Record,
    keys: Mapping[str, Key],
    where: str,
    problems: Problems,
    lines: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Add to the problems every key that is unknown, missing or of another kind."""
    _refuse_unknown(table, keys, f"{where}: unknown key", "keys", problems, lines)
    for name, key in keys.items():
        if name not in table:
            if key.required:
                advice = f"; {key.lacking}" if key.lacking else ""
                problems.add(
                    f"{where}: the key {show(name)} is missing; expected {key.kind}"
                    f"{_at(name, lines)}{advice}"
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
