"""Lines of a study file: where each key stands, also one that a `#` keeps from being read."""

from __future__ import annotations

import re

_HEADING = re.compile(r"\s*(?:#\s*)?\[\s*(?P<table>[^\[\]]+?)\s*\]\s*(?:#.*)?")
_KEY = re.compile(r"\s*(?P<off>#\s*)?(?P<key>[A-Za-z0-9_-]+|\"[^\"]+\")\s*=.*")

type Lines = dict[str, dict[str, str]]


def key_lines(text: str) -> Lines:
    """Of each table the keys, and in words the line that each is first written on.

    A key that is written is told before one behind a `#`. Text in several lines may look like
    keys; these words only help to find a place.
    """
    found: Lines = {}
    off: Lines = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        heading, written = _HEADING.fullmatch(line), _KEY.fullmatch(line)
        if heading is not None:
            table = heading["table"].replace('"', "")
        elif written is not None:
            if written["off"]:
                side, words = off, f"line {number} has it behind #"
            else:
                side, words = found, f"line {number}"
            side.setdefault(table, {}).setdefault(written["key"].strip('"'), words)
    return {name: off.get(name, {}) | found.get(name, {}) for name in off | found}
