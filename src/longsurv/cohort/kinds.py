"""What a value of a study file may be: in words, as a test and as a JSON schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from longsurv.cohort.phases import parse_interval

LARGEST = 10**300
SEEDS = 2**63


@dataclass(frozen=True)
class Kind:
    """What a value may be: in words, as a test, and as a JSON schema."""

    words: str
    accepts: Callable[[object], bool]
    schema: Mapping[str, object]

    def __str__(self) -> str:
        return self.words


def _is_number(value: object) -> bool:
    """Of a size that a float holds: TOML's whole numbers have no end.

    Its `inf` is a number; `Schema` and `Marker` say what must be finite (`phases.is_number`).
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) < LARGEST


def _is_level(value: object) -> bool:
    return isinstance(value, (str, int, float, bool))


def _is_list(value: object, test: Callable[[object], bool], least: int = 0) -> bool:
    return isinstance(value, list) and len(value) >= least and all(map(test, value))


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value < high


def _is_pair(value: object) -> bool:
    return _is_list(value, _is_number) and len(value) == 2  # type: ignore[arg-type]


def _is_phase(value: object) -> bool:
    if isinstance(value, str):
        return parse_interval(value) is not None
    return _is_number(value) or _is_pair(value)


def _list_of(items: Mapping[str, object], least: int = 0) -> dict[str, object]:
    return {"type": "array", "items": items, **({"minItems": least} if least else {})}


def choice(*options: str) -> Kind:
    """One of several words; of any other text the specification says which they are."""
    said = ", ".join(f'"{option}"' for option in options[:-1]) + f' or "{options[-1]}"'
    return Kind(said, _is_text, {"enum": list(options)})


def one_of(*options: str) -> Kind:
    """One of several words, where no specification refuses another text."""
    return replace(choice(*options), accepts=lambda value: value in options)


_S: dict[str, object] = {"type": "string"}
_N: dict[str, object] = {"type": "number"}
_B: dict[str, object] = {"type": "boolean"}
_L: dict[str, object] = {"type": ["string", "number", "boolean"]}
_PAIR: dict[str, object] = {"type": "array", "items": _N, "minItems": 2, "maxItems": 2}
_INTERVAL: dict[str, object] = {"type": "string", "pattern": r"^\s*[\[(][^,]+,[^,]+[\])]\s*$"}

TEXT = Kind("text", _is_text, _S)
FLAG = Kind("true or false", lambda v: isinstance(v, bool), _B)
NUMBER = Kind("a number", _is_number, _N)
PAIR = Kind("two numbers, [low, high]", _is_pair, _PAIR)
TEXTS = Kind("a list of text", lambda v: _is_list(v, _is_text), _list_of(_S))
LEVEL = Kind("a value", _is_level, _L)
LEVELS = Kind("a list of values", lambda v: _is_list(v, _is_level), _list_of(_L))
LEVEL_OR_LEVELS = Kind(
    "a value or a list of values",
    lambda v: _is_level(v) or _is_list(v, _is_level, 1),
    {"anyOf": [_L, _list_of(_L, 1)]},
)
LEVELS_OR_NONE = Kind(
    "a value or a list of values, [] for none",
    lambda v: _is_level(v) or _is_list(v, _is_level),
    {"anyOf": [_L, _list_of(_L)]},
)
COMPETING = Kind(
    "a table",
    lambda v: isinstance(v, dict),
    {"type": "object", "additionalProperties": LEVEL_OR_LEVELS.schema},
)
LABELS = Kind(
    "a table of texts",
    lambda v: isinstance(v, dict) and all(map(_is_text, v.values())),
    {"type": "object", "additionalProperties": _S},
)
COUNT = Kind(
    "a whole number, 1 or more",
    lambda v: _is_whole(v, 1, LARGEST),
    {"type": "integer", "minimum": 1},
)
SKIPPED = Kind(
    "a whole number, 0 or more",
    lambda v: _is_whole(v, 0, 10**9),
    {"type": "integer", "minimum": 0},
)
SEED = Kind(
    f"a whole number, 0 to {SEEDS - 1}",
    lambda v: _is_whole(v, 0, SEEDS),
    {"type": "integer", "minimum": 0, "maximum": SEEDS - 1},
)
ENTRY = Kind(
    "a number or the name of a column",
    lambda v: _is_number(v) or _is_text(v),
    {"type": ["number", "string"]},
)
CHARACTER = Kind(
    "a single character",
    lambda v: isinstance(v, str) and len(v) == 1,
    {"type": "string", "minLength": 1, "maxLength": 1},
)
DECIMAL = Kind('"." or ","', lambda v: v in (".", ","), {"enum": [".", ","]})
THOUSANDS = Kind('"," or "."', lambda v: v in (".", ","), {"enum": [",", "."]})
WIDE = Kind(
    'true, false or a pattern such as "{marker}_d{time}"',
    lambda v: isinstance(v, (bool, str)),
    {"type": ["boolean", "string"]},
)
FILL_DOWN = Kind(
    "true, false or a list of columns",
    lambda v: isinstance(v, bool) or _is_list(v, _is_text),
    {"anyOf": [_B, _list_of(_S)]},
)
PHASE = Kind(
    'a time, [first, last] or half open as text, "[first, last)"',
    _is_phase,
    {"anyOf": [_N, _PAIR, _INTERVAL]},
)
