"""Comments, keys and values of a study file as TOML writes them."""

from __future__ import annotations

import json
import re
import textwrap

WIDTH = 96


def toml_comment(text: str) -> list[str]:
    """A comment, in lines of a width."""
    return [f"# {line}" for line in textwrap.wrap(" ".join(text.split()), WIDTH - 2)]


def toml_value(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def toml_key(name: str) -> str:
    """A key as TOML writes it."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else toml_value(name)


def toml_level(text: str) -> object:
    """A level as a study file says it: whole numbers and truth values as such."""
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):  # as pandas reads them
        return text.lower() == "true"
    return int(text) if re.fullmatch(r"0|-?[1-9]\d{0,9}", text) else text
