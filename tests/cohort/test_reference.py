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
from longsurv.cohort.former import SCHEMA_WORDS
from longsurv.cohort.keys import (
    FIELDS,
    FORMER,
    TABLE_DOCS,
    TABLES,
)
from longsurv.cohort.keys_of_analyses import PRIOR_KEYS
from longsurv.cohort.keys_of_data import FILE_KEYS, MARKER_KEYS
from longsurv.cohort.questions import PublishedRatio, TrialSettings
from longsurv.cohort.reference import json_schema, reference_page
from longsurv.errors import ArgumentError, FormerWord

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
    assert of_schema - {"file", *FILE_KEYS} == fields(Schema) - {"phases"}
    assert set(MARKER_KEYS) == fields(Marker) - {"name"}
    assert set(FILE_KEYS) == fields(Source) - {"path", "id"}
    assert set(TABLES) == set(TABLE_DOCS) - {"phases", "markers", "priors"}
    assert set(PRIOR_KEYS) - {"interval"} == fields(PublishedRatio) - {"name", "low", "high"}
    assert set(TABLES["target_trial"]) == fields(TrialSettings)
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
        ('patient = "id"', 'idd = "id"', "unknown idd"),
        ('treatment = "arm"\n', "", "treatment is missing"),
        ('exit = "days"', "", "none of 2 kinds"),
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


def test_one_word_for_one_thing():
    assert FIELDS == {
        "study": {}, "patients": {}, "outcome": {}, "models": {}, "sampling": {}, "report": {},
        "target_trial": {},
        "measurements": {"patient": "measurement_patient"},  # a Schema has no tables
    }  # fmt: skip
    known = fields(Schema) | fields(Marker)
    assert not {old for words in FORMER.values() for old in words} & (known - {"time", "unit"})
    assert set(SCHEMA_WORDS) <= {old for words in FORMER.values() for old in words}
    assert set(SCHEMA_WORDS.values()) <= fields(Schema)


OLD_KEYS = {
    "patients": {"patient": "id", "covariates": "baseline_covariates"},
    "outcome": {
        "exit": "time", "time_unit": "unit", "event": "event_level", "censored": "censored_level"
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("table", "new", "old"), [(t, n, o) for t, words in OLD_KEYS.items() for n, o in words.items()]
)
def test_former_keys_are_read_and_answered(table, new, old, tmp_path):
    folder = Folder(tmp_path)
    folder.keys("patients", 'covariates = ["age"]')
    folder.keys("outcome", 'time_unit = "days"\nevent = 1\ncensored = 0')
    folder.write("patients.csv", "id,arm,days,died,age\n1,a,28,0,50\n2,b,9,1,60\n3,a,28,0,70\n"
                 "4,b,12,1,80\n")  # fmt: skip
    plain = folder.cohort()
    before, middle, after = (tmp_path / "study.toml").read_text().partition(f"[{table}]")
    assert f"\n{new} = " in after
    (tmp_path / "study.toml").write_text(
        before + middle + after.replace(f"\n{new} = ", f"\n{old} = ", 1), encoding="utf-8"
    )
    assert errors(tomllib.loads((tmp_path / "study.toml").read_text()), json_schema()) == []
    with pytest.warns(FormerWord) as told:
        assert folder.cohort().schema == plain.schema
    assert [str(one.message) for one in told] == [
        f'study.toml, [{table}]: "{old}" is now called "{new}"; the old word is still read.'
    ]
    assert main(["check", str(tmp_path / "study.toml")]) == DONE
    folder.keys(table, f"{new} = 1")
    with pytest.warns(FormerWord):
        assert f'[{table}]: "{old}" and "{new}" are one; write "{new}"' in folder.problems()


def test_the_program_answers_former_keys_in_one_sentence(tmp_path, capsys):
    folder = Folder(tmp_path).change("study.toml", ('exit = "days"', 'time = "days"'))
    assert main(["check", str(tmp_path / "study.toml")]) == DONE
    assert capsys.readouterr().err == (
        'longsurv: study.toml, [outcome]: "time" is now called "exit"; the old word is still'
        " read.\n"
    )
    folder.change("patients.csv", ("3,a,28", "3,a,soon"))
    with pytest.warns(FormerWord):
        assert "(study.toml, line " in folder.problems()


SAID = {"patient": "id", "treatment": "arm", "reference": "a", "exit": "days"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"event": "died"}, {"status": "died"}),
        ({"event": "died", "event_level": 2, "censored_level": (0, 1)},
         {"status": "died", "event": 2, "censored": (0, 1)}),
        ({"status": "died", "event_level": "yes"}, {"status": "died", "event": "yes"}),
        ({"status": "died", "baseline_covariates": ["age"]},
         {"status": "died", "covariates": ("age",)}),
    ],
)  # fmt: skip
def test_a_schema_is_made_with_former_words(old, new):
    with pytest.warns(FormerWord, match=r"Schema: .* is now called .*; the old words? "):
        found = Schema(**SAID, **old)
    assert found == Schema(**SAID, **new)


def test_a_schema_with_both_words_is_refused():
    with pytest.raises(ArgumentError, match="event_level= and event= are one; write event="):
        Schema(**SAID, status="died", event=1, event_level=1)
    with pytest.raises(ArgumentError, match="event_level= and event= are one; write event="):
        dataclasses.replace(Schema(**SAID, status="died"), event_level=2)


def test_an_outcome_without_a_time_is_told_where_to_go(tmp_path):
    said = Folder(tmp_path).change("study.toml", ('exit = "days"\n', "")).problems()
    assert 'the key "exit" is missing; expected text; an outcome of which nothing says when' in said
    assert "longsurv.estimands.two_by_two" in said


def test_a_bad_interval_is_named(tmp_path):
    folder = Folder(tmp_path).change("study.toml", ("[markers", "[phases]\na = '[0, 1'\n[markers"))
    assert "[phases]: a must be a time, [first, last] or half open as text" in folder.problems()
