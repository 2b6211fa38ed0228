"""Units of time as people write them, and one counted in another."""

from __future__ import annotations

SECONDS = {
    "seconds": 1.0,
    "minutes": 60.0,
    "hours": 3600.0,
    "days": 86400.0,
    "weeks": 7 * 86400.0,
    "months": 30.4375 * 86400.0,
    "years": 365.25 * 86400.0,
}
"""Seconds in a unit; a month is the twelfth part of a year."""
_WORDS = {
    "seconds": "second seconds sec secs s sek sekunden seconde secondes 秒",
    "minutes": "minute minutes min mins minuten 分",
    "hours": "hour hours hr hrs h std std. stunde stunden heure heures 時間",
    "days": "day days d tag tage tagen jour jours 日",
    "weeks": "week weeks wk wks woche wochen semaine semaines 週",
    "months": "month months mo mos monat monate monaten mois",
    "years": "year years yr yrs y jahr jahre jahren an ans année années annee annees 年",
}
_UNIT = {word: unit for unit, words in _WORDS.items() for word in words.split()}
_EXACT = ({"seconds", "minutes", "hours", "days", "weeks"}, {"months", "years"})


def unit_of_time(word: str) -> str:
    """The unit that a word means ("Std." is "hours"), "" if it means none."""
    return _UNIT.get(word.strip().lower(), "")


def in_unit(word: str, unit: str) -> float | None:
    """How many of a unit one of another is: of "h" in "days" a 24th.

    None where one of them is no unit of time, or no whole number of one makes the other: a month
    has no fixed number of days.
    """
    one, other = unit_of_time(word), unit_of_time(unit)
    if not one or not any(one in kin and other in kin for kin in _EXACT):
        return None
    return SECONDS[one] / SECONDS[other]
