"""Columns that are one marker at several times: `PCT_d1`, `PCT day 4`, `pct.7`, `Y.t0`."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from longsurv.draft import markers
from longsurv.draft.markers import name_and_unit
from longsurv.draft.names import DAYS, plain

_WORDS = {
    "days": "day|days|d|tag|tage|jour|jours|j|pod|病日|日目|日",
    "hours": "hour|hours|hrs|hr|h|stunde|stunden|std|heure|heures|時間",
    "weeks": "week|weeks|wk|w|woche|wochen|semaine|sem|週",
    "months": "month|months|mo|mon|m|monat|mois|月",
    "years": "year|years|yr|y|jahr|an|année|年",
    "t": "time|t|zeitpunkt|temps|tp|timepoint|zeit",
    "visit": "visit|vis|v|visite|sample|probe|no|nr|messung|回",
}
_UNIT_OF = {word: unit for unit, words in _WORDS.items() for word in words.split("|")}
_WORD = "|".join(sorted(_UNIT_OF, key=len, reverse=True))
_GAP = r"[\s._\-/:|]*"
_SOME = r"[\s._\-/:|]+"
_NUMBER = r"(?P<time>\d+(?:[.,]\d+)?)"
_BASE = r"(?P<base>baseline|base|bl|screening|admission|aufnahme|pre|basal)"
_AFTER = [
    re.compile(rf"(?P<marker>.+?){_SOME}\(?(?P<word>{_WORD}){_GAP}{_NUMBER}\)?", re.I),
    re.compile(rf"(?P<marker>.+?){_SOME}\(?{_NUMBER}\.?{_GAP}(?P<word>{_WORD})\)?", re.I),
    re.compile(rf"(?P<marker>.+?){_SOME}\(?t{_GAP}{_NUMBER}{_GAP}(?P<word>{_WORD})\)?", re.I),
    re.compile(rf"(?P<marker>.+?)\s*\(?第?{_NUMBER}(?P<word>病日|日目|日|時間|週|月)\)?", re.I),
    re.compile(rf"(?P<marker>.+?){_SOME}(?P<word>){_NUMBER}", re.I),
    re.compile(rf"(?P<marker>.+?){_SOME}{_BASE}", re.I),
    re.compile(rf"(?P<marker>.*[^\W\d_]){_GAP}\(?(?P<word>day|tag|jour|week|visit){_GAP}{_NUMBER}\)?",
               re.I),
    re.compile(rf"(?P<marker>[A-Za-z]*[A-Z])(?P<word>d|h|t|w){_NUMBER}"),
    re.compile(rf"(?P<marker>[A-Za-z]*[a-z])(?P<word>D|H|T|W){_NUMBER}"),
]  # fmt: skip
_JOINED = re.compile(rf"(?P<marker>[A-Za-z][A-Za-z0-9]*?)(?P<word>d|h|t|w){_NUMBER}", re.I)
_BEFORE = [
    re.compile(rf"(?P<word>{_WORD}){_GAP}{_NUMBER}{_SOME}(?P<marker>\D.*)", re.I),
    re.compile(rf"第?{_NUMBER}(?P<word>病日|日目|日|時間|週){_GAP}(?P<marker>\D.*)", re.I),
    re.compile(rf"{_NUMBER}{_GAP}(?P<word>{_WORD}){_SOME}(?P<marker>\D.*)", re.I),
    re.compile(rf"{_BASE}{_SOME}(?P<marker>.+)", re.I),
]
_TIME = re.compile(rf"(?P<word>{_WORD})?{_GAP}{_NUMBER}{_GAP}(?P<after>{_WORD})?", re.I)

_CLOCK = re.compile(r"(\d{1,3}):([0-5]\d)(?::([0-5]\d))?")
_ARM = re.compile(r"[\s_]*\(?\barm[\s_]*\d.*$|_arm_\d+$", re.I)  # of events of a database of trials


@dataclass(frozen=True)
class Place:
    """A column of a wide table: whose marker it is, when, and in which unit."""

    column: str
    marker: str
    time: float
    word: str
    unit: str


def split_name(name: str) -> list[Place]:
    """Every way to read a column's name as marker and time."""
    bare, unit = name_and_unit(unicodedata.normalize("NFKC", name))
    if markers.find(bare) is not None:
        return []
    found = []
    for pattern in (*_AFTER, *_BEFORE, _JOINED):
        match = pattern.fullmatch(bare)
        if match is None or (pattern is _JOINED and not _is_joined(match)):
            continue
        groups = match.groupdict()
        word = groups.get("word") or ""
        known = markers.find(groups["marker"]) is not None
        if markers.find(f"{groups['marker']} {word}") is not None and (len(word) > 1 or not known):
            continue  # "Prothrombin time 1" and "factor_v1" have one word of the marker
        base = groups.get("base")
        if base and markers.find(bare.rstrip("0123456789 ._-")) is not None:
            continue  # "base_excess1"
        when = 0.0 if base else float(groups["time"].replace(",", "."))
        word = "base" if base else _UNIT_OF.get(word.casefold(), "")
        marker, inner = name_and_unit(groups["marker"].strip(" ._-/:|"))
        if marker:
            found.append(Place(name, marker, when, word, unit or inner))
    return found


def _is_joined(match: re.Match[str]) -> bool:
    """Whether a letter before a number is a word of time: in "crpt1", not "ptt1" or "weight1"."""
    known = markers.find(match["marker"]) is not None
    return known and markers.find(match["marker"] + match["word"]) is None


def read_time(text: str) -> tuple[float, str] | None:
    """ "Day 4", "4 h", "D4" or "47:30" as a number and its unit; None if it is none of them."""
    text = _ARM.sub("", unicodedata.normalize("NFKC", text).strip())
    clock = _CLOCK.fullmatch(text)
    if clock is not None:
        return int(clock[1]) + int(clock[2]) / 60 + int(clock[3] or 0) / 3600, "hours"
    match = _TIME.fullmatch(text)
    if match is None:
        if re.fullmatch(_BASE, text, re.I):
            return 0.0, ""
        return None
    word = (match["word"] or match["after"] or "").casefold()
    return float(match["time"].replace(",", ".")), _UNIT_OF.get(word, "")


def read_times(texts: Sequence[str]) -> tuple[dict[str, float], str, bool]:
    """Texts as times of one unit, that unit, and whether every text says its own.

    "24 h" beside "Day 3" are days; what has no unit of its own among several is in doubt.
    """
    read = {text: found for text in texts if (found := read_time(text)) is not None}
    units = {unit for _, unit in read.values() if unit}
    if len(units) < 2:
        return {text: time for text, (time, _) in read.items()}, "".join(units), True
    told = all(unit in DAYS or time == 0 for time, unit in read.values())
    days = {text: round(time * DAYS.get(unit, 1.0), 6) for text, (time, unit) in read.items()}
    return days, "days", told


def find_families(names: Sequence[str]) -> list[Place]:
    """Columns that belong to a marker measured at two times or more.

    A name that can be read in several ways is read as most of the others are.
    """
    ways = {name: split_name(name) for name in names}
    families: dict[str, dict[str, Place]] = defaultdict(dict)
    for name, places in ways.items():
        for place in places:
            families[_key(place.marker)].setdefault(name, place)
    size = {
        key: len({place.time for place in members.values()}) for key, members in families.items()
    }
    chosen = []
    for places in ways.values():
        good = [p for p in places if size[_key(p.marker)] >= 2 or _partner(p, ways, size)]
        if good:
            known = [p for p in good if markers.find(p.marker) is not None]
            first = max(known or good, key=lambda p: (bool(p.word), size[_key(p.marker)]))
            chosen.append(first)
    return _settled(chosen)


def _partner(place: Place, ways: dict[str, list[Place]], size: dict[str, int]) -> bool:
    """A baseline column counts where the marker has a later time as well."""
    return place.word == "base" and size[_key(place.marker)] >= 1 and any(
        _key(p.marker) == _key(place.marker) and p.word != "base" for w in ways.values() for p in w
    )  # fmt: skip


def _settled(places: list[Place]) -> list[Place]:
    """Leave out numbers without a word where others have one, and times said twice."""
    times: dict[str, set[float]] = defaultdict(set)
    kept = []
    worded = any(p.word not in ("", "base") for p in places)
    for place in places:
        if worded and not place.word and markers.find(place.marker) is None:
            continue
        key = _key(place.marker)
        if place.time in times[key]:
            continue
        times[key].add(place.time)
        kept.append(place)
    return [p for p in kept if len(times[_key(p.marker)]) >= 2]


def _key(marker: str) -> str:
    return plain(marker).replace(" ", "")
