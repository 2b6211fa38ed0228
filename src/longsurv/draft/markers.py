"""The table of ICU and coagulation markers: which one a name means, and what may be measured."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np

from longsurv.draft.names import plain
from longsurv.draft.units import factor, tidy_unit


@dataclass(frozen=True)
class Known:
    """A marker of the table.

    Attributes
    ----------
    key, label, unit : str
    conversions : dict
        What a number in another unit is multiplied by to be in `unit`.
    transform, direction, family : str
        Empty where the table has no source for it.
    low, high : float
        What can be measured, in `unit`; NaN where the table has no source for it.
    source : str
    """

    key: str
    label: str
    unit: str
    conversions: dict[str, float]
    transform: str
    direction: str
    family: str
    low: float
    high: float
    source: str

    def factor(self, unit: str) -> float | None:
        """What a number in `unit` is multiplied by to be in the table's unit.

        Parameters
        ----------
        unit : str

        Returns
        -------
        float or None
            None for a unit that is not known.
        """
        said = tidy_unit(unit)
        counted = self.unit.startswith("10^") or self.unit.startswith("/")
        if counted and said == "g/L":  # "g/l" written for giga per litre
            said = "10^9/L"
        elif said == "10^9/L" and not counted:
            said = "g/L"
        if said in self.conversions:
            return self.conversions[said]
        direct = factor(said, self.unit)
        if direct is not None:
            return direct
        for other, size in self.conversions.items():
            step = factor(said, other)
            if step is not None:
                return step * size
        return None

    def units(self) -> list[str]:
        """Units that laboratories give it in."""
        if self.unit.startswith("10^9"):
            return [self.unit, "10^4/uL", "/uL"]
        return [self.unit, *self.conversions, *_SIBLINGS.get(self.unit, ())]

    def possible(self, values: np.ndarray, unit: str) -> float:
        """Share of the values that can be measured, in this unit; NaN where nothing is known.

        Parameters
        ----------
        values : ndarray
        unit : str

        Returns
        -------
        float
        """
        size = self.factor(unit)
        if size is None or not np.isfinite(self.high) or not len(values):
            return float("nan")
        scaled = values * size
        return float(np.mean((scaled >= self.low / 2) & (scaled <= self.high)))


_SIBLINGS = {"g/dL": ("g/L",), "g/L": ("mg/dL",), "mg/L": ("mg/dL",), "mg/dL": ("g/L",),
             "ug/mL": ("ng/mL",), "mmol/L": ()}  # fmt: skip
_AROUND = re.compile(
    r"^(serum|plasma|blood|arterial|s|p|b|hs|total|max|min|mean|worst|value|lab|log|ln)\s+"
)


# "Creatinine [Mass/volume] in Serum or Plasma" is creatinine.
_LOINC = re.compile(r"\s*\[[^\]]*/[^\]]*\](?:\s+(?:in|by)\s.*)?$")


def _spell(name: str) -> str:
    return plain(name).replace(" ", "")


@lru_cache(maxsize=1)
def table() -> dict[str, Known]:
    """All markers by key."""
    text = files("longsurv.draft").joinpath("markers.csv").read_text(encoding="utf-8")
    known = {}
    for row in csv.DictReader(text.splitlines()):
        pairs = [pair.split("=") for pair in row["conversions"].split("|") if pair]
        known[row["key"]] = Known(
            row["key"],
            row["label"],
            row["unit"],
            {unit: float(size) for unit, size in pairs},
            row["transform"],
            row["direction"],
            row["family"],
            float(row["low"] or "nan"),
            float(row["high"] or "nan"),
            row["source"],
        )
    return known


@lru_cache(maxsize=1)
def _aliases() -> dict[str, str]:
    text = files("longsurv.draft").joinpath("markers.csv").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for language in ("en", "de", "fr", "ja"):
        for row in csv.DictReader(text.splitlines()):
            for name in (row["label"], row["key"], *row[language].split("|")):
                if _spell(name):
                    found.setdefault(_spell(name), row["key"])
    return found


@lru_cache(maxsize=20000)
def find(name: str) -> Known | None:
    """The marker of the table that a name means, in any of its languages; None if it is none."""
    aliases = _aliases()
    text = _spell(name)
    if text in aliases:
        return table()[aliases[text]]
    shorter = _AROUND.sub("", plain(_LOINC.sub("", str(name)))).replace(" ", "")
    return table()[aliases[shorter]] if shorter in aliases else None


_BRACKET = re.compile(
    r"\s*[\(\[\uff08\uff3b]([^\(\)\[\]\uff08\uff09\uff3b\uff3d]*)[\)\]\uff09\uff3d]"
)
_LAST = re.compile(r"^(?P<name>.*\S)(?:\s+|_|\s*,\s*|\s*/\s*(?=10))(?P<unit>\S+(?:/\S+)?)$")


@lru_cache(maxsize=20000)
def name_and_unit(name: str) -> tuple[str, str]:
    """A column's name without the unit in it, and the unit, "" if it has none.

    "CRP (mg/L)", "CRP [mg/l]", "CRP mg/L" and "crp_mg_l" are CRP in mg/L.
    """
    for match in _BRACKET.finditer(name):
        if tidy_unit(match[1]):
            return (name[: match.start()] + name[match.end() :]).strip(" _-"), match[1].strip()
    last = _LAST.match(name.strip())
    marked = last is not None and ("/" in last["unit"] or last["unit"] == "%")
    if last is not None and marked and tidy_unit(last["unit"]):
        return last["name"].strip(" _-,"), last["unit"]
    bits = re.split(r"[_.]", name)
    if len(bits) >= 3 and "/" not in name:
        unit = f"{bits[-2]}/{bits[-1]}"
        rest = name[: -len(unit) - 1]
        if tidy_unit(unit) and find(rest) is not None:
            return rest, unit
    return name.strip(), ""
