"""The reference of the study file: one source, every key in it, and the examples keep to it."""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path

import pytest
from small_studies import STUDY, Folder

from longsurv.cli import DONE, main
from longsurv.cohort import Marker, Phase, Schema
from longsurv.cohort.files import Source
from longsurv.cohort.keys import FIELDS, MARKER_KEYS, SOURCE_KEYS, TABLE_DOCS, TABLES
from longsurv.cohort.reference import json_schema, reference_page

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "study_file.md"


def fields(of: type) -> set[str]:
    return {field.name for field in dataclasses.fields(of)}


def errors(given: object, schema: dict) -> list[str]:
    """What the parts of JSON Schema used here say against a value."""
    if "anyOf" in schema and all(errors(given, option) for option in schema["anyOf"]):
        return [f"none of {len(schema['anyOf'])} kinds: {given!r}"]
    found = [text for part in schema.get("allOf", ()) for text in errors(given, part)]
    kinds = {
        "string": str, "number": (int, float), "integer": int, "boolean": bool, "array": list,
        "object": dict,
    }  # fmt: skip
    named = schema.get("type", list(kinds))
    named = [named] if isinstance(named, str) else named
    if not any(
        isinstance(given, kinds[name]) and (name == "boolean" or not isinstance(given, bool))
        for name in named
    ):
        return [f"{given!r} is not {named}"]
    if "enum" in schema and given not in schema["enum"]:
        found.append(f"{given!r} is not one of {schema['enum']}")
    if isinstance(given, str) and not re.search(schema.get("pattern", ""), given):
        found.append(f"{given!r} is not like {schema['pattern']}")
    if isinstance(given, list) and "type" in schema:
        if not schema.get("minItems", 0) <= len(given) <= schema.get("maxItems", 10**9):
            found.append(f"{given!r} has {len(given)} items")
        found += [text for item in given for text in errors(item, schema.get("items", {}))]
    if isinstance(given, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        found += [f"{name} is missing" for name in schema.get("required", ()) if name not in given]
        for name, value in given.items():
            if name in known:
                found += errors(value, known[name])
            elif others is False:
                found.append(f"unknown {name}")
            elif isinstance(others, dict):
                found += errors(value, others)
    return found


def test_every_field_has_a_key_and_every_key_a_field():
    tables = ("patients", "outcome", "measurements")
    of_schema = {FIELDS[table].get(key, key) for table in tables for key in TABLES[table]}
    assert of_schema - {"file", *SOURCE_KEYS} == fields(Schema) - {"phases"}
    assert set(MARKER_KEYS) == fields(Marker) - {"name"}
    assert set(SOURCE_KEYS) == fields(Source) - {"path", "id"}
    assert set(TABLES) == set(TABLE_DOCS) - {"phases", "markers"}
    assert fields(Phase) == {"name", "first", "last", "closed"}


def test_the_page_is_made_from_the_keys(capsys):
    assert main(["schema", "--page"]) == DONE
    assert capsys.readouterr().out == reference_page()
    found = PAGE.read_text(encoding="utf-8")
    assert found == reference_page(), "run: longsurv schema --page > docs/study_file.md"
    for name, keys in {**TABLES, "markers": MARKER_KEYS}.items():
        section = found.split(f"## [{name}]")[1].split("\n## ")[0]
        assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(keys)


def test_the_schema_has_every_key(capsys):
    assert main(["schema"]) == DONE
    found = json.loads(capsys.readouterr().out)
    assert found == json_schema()
    assert list(found["properties"]) == list(TABLE_DOCS)
    for name, keys in TABLES.items():
        assert set(keys) <= set(found["properties"][name]["properties"])
    markers = found["properties"]["markers"]["additionalProperties"]
    assert set(MARKER_KEYS) == set(markers["properties"])
    assert all("description" in part for part in markers["properties"].values())


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/study.toml")), ids=str)
def test_the_examples_validate(path):
    assert errors(tomllib.loads(path.read_text(encoding="utf-8")), json_schema()) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('id = "id"', 'idd = "id"', "unknown idd"),
        ('treatment = "arm"\n', "", "treatment is missing"),
        ('time = "days"', "", "none of 2 kinds"),
        ('unit = "mg/L"', "unit = 3", "3 is not"),
        ('unit = "mg/L"', 'transform = "ln"', "'ln' is not one of"),
        ("[markers.crp]", "[phases]\na = '[0, 1}'\n[markers.crp]", "none of 3 kinds"),
        ("[markers.crp]", "[phases]\na = [0, 1, 2]\n[markers.crp]", "none of 3 kinds"),
        ("[markers.crp]", "[sampling]\nseed = true\n[markers.crp]", "True is not"),
    ],
)
def test_what_is_wrong_does_not_validate(old, new, said):
    assert errors(tomllib.loads(STUDY), json_schema()) == []
    found = errors(tomllib.loads(STUDY.replace(old, new)), json_schema())
    assert any(said in text for text in found)


def test_keys_may_be_called_as_the_fields_they_become(tmp_path):
    folder = Folder(tmp_path)
    plain = folder.cohort()
    folder.change(
        "study.toml",
        ('id = "id"', 'patient = "id"\nbaseline_covariates = []'),
        ('time = "days"\nstatus = "died"', 'exit = "days"\nevent = "died"\nevent_level = 1\n'
         'censored_level = 0\ntime_unit = "days"'),
    )  # fmt: skip
    assert errors(tomllib.loads((tmp_path / "study.toml").read_text()), json_schema()) == []
    assert folder.cohort().schema == plain.schema
    folder.keys("outcome", 'time = "days"')
    assert 'study.toml, [outcome]: "exit" and "time" are one; write "time"' in folder.problems()


def test_a_bad_interval_is_named(tmp_path):
    folder = Folder(tmp_path).change("study.toml", ("[markers", "[phases]\na = '[0, 1'\n[markers"))
    assert "[phases]: a must be a time, [first, last] or half open as text" in folder.problems()
