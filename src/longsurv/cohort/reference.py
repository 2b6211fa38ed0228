"""The study file's JSON schema and reference page, made from the tables of its keys."""

from __future__ import annotations

from collections.abc import Mapping

from longsurv.cohort.key import Key
from longsurv.cohort.keys import TABLE_DOCS, TABLES
from longsurv.cohort.keys_of_analyses import PRIOR_KEYS
from longsurv.cohort.keys_of_data import MARKER_KEYS
from longsurv.cohort.kinds import PHASE

_HEAD = """# The study file

A study file is TOML: tables in brackets, `key = value` below them. Paths are relative to it. Every
key there is stands here; what is not required may be left out. `longsurv schema` prints the same
as a JSON schema, with which an editor completes and checks a study file. In Python a `Schema` has
the same words.

This page is made from the code that reads study files (`longsurv schema --page`); change it there.
"""


def json_schema() -> dict[str, object]:
    """The JSON schema of a study file.

    Returns
    -------
    dict
        Draft 2020-12. What a key was once called is marked as deprecated.
    """
    tables = {name: _object(keys) for name, keys in TABLES.items()}
    named = {"markers": _object(MARKER_KEYS), "priors": _object(PRIOR_KEYS)}
    named["phases"] = dict(PHASE.schema)
    properties = {
        name: tables.get(name) or {"type": "object", "additionalProperties": named[name]}
        for name in TABLE_DOCS
    }
    for name, text in TABLE_DOCS.items():
        properties[name] = {"description": text, **properties[name]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A study of longsurv",
        "type": "object",
        "additionalProperties": False,
        "required": ["patients", "outcome"],
        "properties": properties,
    }


def _object(keys: Mapping[str, Key]) -> dict[str, object]:
    properties: dict[str, object] = {}
    for name, key in keys.items():
        properties[name] = {"description": _sentence(key), **key.kind.schema}
    for name, key in keys.items():  # the field of a Schema is read, too, and former words are
        if key.field:
            properties.setdefault(key.field, {"description": f"{name}.", **key.kind.schema})
        for old in key.was:
            said = {"description": f"Now called {name}.", "deprecated": True}
            properties.setdefault(old, {**said, **key.kind.schema})
    required = [
        {"anyOf": [{"required": [word]} for word in (name, *key.was)]}
        for name, key in keys.items()
        if key.required and key.was
    ]
    plain = [name for name, key in keys.items() if key.required and not key.was]
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        **({"required": plain} if plain else {}),
        **({"allOf": required} if required else {}),
    }


def _sentence(key: Key) -> str:
    return f"{key.doc} Default: {key.default}." if key.default else key.doc


def reference_page() -> str:
    """The reference of the study file's keys, as Markdown."""
    parts = [_HEAD]
    for name, text in TABLE_DOCS.items():
        parts.append(f"## [{name}]\n\n{text}\n")
        keys = {"markers": MARKER_KEYS, "priors": PRIOR_KEYS}.get(name, TABLES.get(name))
        if keys is not None:
            parts.append(_table(keys))
    return "\n".join(parts)


def _table(keys: Mapping[str, Key]) -> str:
    rows = ["| key | value | meaning | without it |", "|---|---|---|---|"]
    for name, key in keys.items():
        also = f" In a `Schema`: `{key.field}`." if key.field else ""
        also += f" Once called {' or '.join(f'`{old}`' for old in key.was)}." if key.was else ""
        default = "**required**" if key.required else key.default
        cells = (f"`{name}`", str(key.kind), key.doc + also, default)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"
