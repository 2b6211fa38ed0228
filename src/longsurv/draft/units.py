"""Units as laboratories spell them: one spelling each, and the factor between two."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_PREFIX = {"k": 1e3, "": 1.0, "d": 1e-1, "c": 1e-2, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12,
           "f": 1e-15}  # fmt: skip
_BASE = {"g": "g", "mol": "mol", "u": "U", "iu": "IU", "ie": "IU", "ui": "IU", "kat": "kat",
         "eq": "Eq", "val": "Eq"}  # fmt: skip
_COUNT = {"k": 3, "tsd": 3, "thou": 3, "thousand": 3, "mio": 6, "mill": 6, "million": 6, "万": 4,
          "千": 3, "gpt": 9, "tpt": 12}  # fmt: skip
_ALONE = {
    "%": "%", "percent": "%", "prozent": "%", "s": "s", "sec": "s", "secs": "s", "sek": "s",
    "seconds": "s", "sekunden": "s", "秒": "s", "min": "min", "mmhg": "mmHg", "kpa": "kPa",
    "cmh2o": "cmH2O", "°c": "degC", "degc": "degC", "celsius": "degC", "℃": "degC", "fl": "fL",
    "pg": "pg", "bpm": "/min", "/min": "/min", "points": "points", "point": "points",
    "punkte": "points", "点": "points", "ratio": "ratio", "mm/h": "mm/h", "mm/hr": "mm/h",
    "ml/min": "mL/min", "ml/min/1.73m2": "mL/min/1.73m2", "ml/min/1.73m^2": "mL/min/1.73m2",
    "ml/kg/h": "mL/kg/h", "ml/h": "mL/h", "ml/d": "mL/d", "ml/24h": "mL/d", "ml/day": "mL/d",
    "ug/kg/min": "ug/kg/min", "inr": "INR", "kg": "kg", "cm": "cm", "mm": "mm",
    "kg/m2": "kg/m2", "kg/m^2": "kg/m2", "ug": "ug", "mg": "mg", "l/l": "L/L",
}  # fmt: skip
_VOLUME = {"l": 1.0, "dl": 1e-1, "cl": 1e-2, "ml": 1e-3, "ul": 1e-6, "nl": 1e-9, "pl": 1e-12,
           "mm3": 1e-6, "cumm": 1e-6, "cmm": 1e-6}  # fmt: skip
_VOLUME_NAMES = {"l": "L", "dl": "dL", "cl": "cL", "ml": "mL", "ul": "uL", "nl": "nL", "pl": "pL",
                 "mm3": "uL", "cumm": "uL", "cmm": "uL"}  # fmt: skip
_TEN = re.compile(r"(?:[x*\u00d7]?10)(?:\^|\*\*|\*|e)?([0-9]{1,2})")
_AMOUNT = re.compile(r"(k|d|c|m|u|n|p|f)?(g|mol|u|iu|ie|ui|kat|eq|val)")


@lru_cache(maxsize=2000)
def tidy_unit(text: str) -> str:
    """One spelling of a unit, e.g. "10^9/L" for "G/l" or "x10^3/µL"; "" if it is no unit."""
    plain = unicodedata.normalize("NFKC", text).strip().strip("[]()").strip()
    giga = re.fullmatch(r"G\s*/\s*[lL]", plain) is not None
    plain = plain.replace("μ", "u").replace("µ", "u").replace(" ", "").casefold()
    plain = plain.replace("mcg", "ug").replace("feu", "").replace("·", "*").replace("\u00d7", "x")
    if not plain:
        return ""
    if giga:
        return "10^9/L"
    if plain in _ALONE:
        return _ALONE[plain]
    if plain in ("gpt/l", "tpt/l"):
        return f"10^{_COUNT[plain[:3]]}/L"
    top, slash, bottom = plain.partition("/")
    if not slash or bottom not in _VOLUME:
        return ""
    volume = _VOLUME_NAMES[bottom]
    top = re.sub(r"(cells|cell|zellen|counts?|個|c)$", "", top)
    if not top:
        return f"/{volume}"
    ten = _TEN.fullmatch(top)
    if ten is not None:
        return f"10^{int(ten[1])}/{volume}"
    if top in _COUNT:
        return f"10^{_COUNT[top]}/{volume}"
    amount = _AMOUNT.fullmatch(top)
    if amount is None:
        return ""
    return f"{amount[1] or ''}{_BASE[amount[2]]}/{volume}"


def factor(unit: str, other: str) -> float | None:
    """What a number in `unit` is to be multiplied by to be in `other`; None if nothing says.

    Only prefixes and volumes are converted here: mg/dL into g/L, 10^3/uL into 10^9/L, and what is
    counted per volume. From mass to amount takes the table of markers.
    """
    first, second = tidy_unit(unit), tidy_unit(other)
    if not first or not second:
        return None
    if first == second:
        return 1.0
    one, two = _parts(first), _parts(second)
    if one is None or two is None or one[0] != two[0]:
        return None
    return one[1] / two[1]


def _parts(unit: str) -> tuple[str, float] | None:
    """What is counted, and its size per litre."""
    top, slash, bottom = unit.partition("/")
    if not slash or bottom.casefold() not in _VOLUME:
        return None
    volume = _VOLUME[bottom.casefold()]
    if not top:
        return "count", 1 / volume
    if top.startswith("10^"):
        return "count", float(10 ** int(top[3:])) / volume
    for base in ("mol", "kat", "IU", "Eq", "U", "g"):
        if top.endswith(base):
            prefix = top.removesuffix(base)
            return (base, _PREFIX[prefix] / volume) if prefix in _PREFIX else None
    return None
