"""Each marker: its unit, limits, codes for missing values, and what is seldom measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from longsurv.cohort.problems import show, show_list
from longsurv.draft import markers
from longsurv.draft.cells import CODES, SheetColumn
from longsurv.draft.guess import Sureness
from longsurv.draft.layout import Place
from longsurv.draft.markers import Known, name_and_unit
from longsurv.draft.names import plain
from longsurv.draft.series import Series
from longsurv.draft.units import tidy_unit
from longsurv.words import plural

_MAY_BE_NEGATIVE = {"base_excess"}


@dataclass(frozen=True)
class FoundMarker:
    """One marker as it was found.

    Attributes
    ----------
    name : str
        As the tidy table calls it.
    known : Known or None
        What the table of markers says.
    unit : str
    unit_reason : str
    unit_sureness : {"sure", "likely", "doubtful"}
    unit_choices : tuple of str
    transform : str
    transform_reason : str
    limit : float or None
        The detection limit, where all values below one have the same.
    codes : tuple of str
        Numbers that mean "missing".
    coded : int
        How many values are such numbers.
    warnings : tuple of str
    count : int
    mixed : bool
        Whether its values have several units.
    unclear : str
        A number that may be another, thousand times as large; "" if none is.
    """

    name: str
    known: Known | None
    unit: str = ""
    unit_reason: str = ""
    unit_sureness: Sureness = "likely"
    unit_choices: tuple[str, ...] = ()
    transform: str = ""
    transform_reason: str = ""
    limit: float | None = None
    codes: tuple[str, ...] = ()
    coded: int = 0
    warnings: tuple[str, ...] = ()
    count: int = 0
    mixed: bool = False
    unclear: str = ""

    @property
    def held(self) -> bool:
        """Whether it is no marker yet: of several units, or of numbers that may be others."""
        return self.mixed or bool(self.unclear)


@dataclass
class _Values:
    """Values of one marker as they are gathered."""

    numbers: list[np.ndarray] = field(default_factory=list)
    censored: list[np.ndarray] = field(default_factory=list)
    units: Counter[str] = field(default_factory=Counter)
    unclear: str = ""


def marker_name(text: str) -> str:
    """The name of a marker without its unit."""
    return name_and_unit(text)[0]


def find_markers(series: Sequence[Series]) -> list[FoundMarker]:
    """Every marker of all tables, in the order in which they appear."""
    gathered: dict[str, _Values] = {}
    names: dict[str, str] = {}
    for part in series:
        for name, numbers, censored, units, unclear in _parts(part):
            key = plain(name).replace(" ", "")
            label = names.setdefault(key, name)
            values = gathered.setdefault(label, _Values())
            values.numbers.append(numbers)
            values.censored.append(censored)
            values.units.update(units)
            values.unclear = values.unclear or unclear
    return [
        _describe(name, values) for name, values in gathered.items()
        if any(np.isfinite(part).any() for part in values.numbers)
    ]  # fmt: skip


Part = tuple[str, np.ndarray, np.ndarray, Mapping[str, int], str]


def _parts(part: Series) -> list[Part]:
    columns = part.sheet.columns
    if part.shape == "visits":
        return [
            (
                *_of_column(columns[n], part.sheet.raw.units.get(n, ""), _beside(columns, n)),
                part.sheet.unclear(n),
            )
            for n in part.columns
        ]
    if part.shape == "columns":
        return [_of_place(part, place) for place in part.places]
    named, value = columns[part.marker], columns[part.value]
    order = np.argsort(named.codes, kind="stable")
    edges = np.searchsorted(named.codes[order], np.arange(named.distinct + 1))
    found: list[Part] = []
    doubt = part.sheet.unclear(part.value)
    for k, text in enumerate(named.texts):
        rows = order[edges[k] : edges[k + 1]]
        bare, stated = name_and_unit(text)
        units: Counter[str] = Counter({stated: len(rows)} if stated else {})
        if part.units:
            of = columns[part.units]
            counts = np.bincount(of.codes[rows] + 1, minlength=of.distinct + 1)[1:]
            units.update({t: int(c) for t, c in zip(of.texts, counts, strict=True) if c})
        elif value.units:
            units.update(_units_in_cells(value, rows))
        found.append((bare, value.numbers[rows], value.censored[rows], units, doubt))
    return found


def _of_place(part: Series, place: Place) -> Part:
    stated = place.unit or part.sheet.raw.units.get(place.column, "")
    found = _of_column(part.sheet.columns[place.column], stated)
    return (place.marker, *found[1:], part.sheet.unclear(place.column))


def _units_in_cells(value: SheetColumn, rows: np.ndarray) -> Counter[str]:
    counts: Counter[str] = Counter()
    codes, amounts = np.unique(value.codes[rows], return_counts=True)
    endings = sorted(value.units, key=len, reverse=True)
    for code, amount in zip(codes, amounts, strict=True):
        text = value.texts[code] if code >= 0 else ""
        unit = next((u for u in endings if text.endswith(u)), "")
        if unit:
            counts[unit] += int(amount)
    return counts


_UNIT_COLUMN = ("unit", "units", "uom", "einheit", "unité", "unite", "単位")


def _beside(columns: Mapping[str, SheetColumn], name: str) -> dict[str, int]:
    """The units in a column that is called after a marker's, such as "CRP unit"."""
    words = {plain(f"{name} {word}") for word in _UNIT_COLUMN}
    found = next((c for n, c in columns.items() if plain(n) in words and c.kind == "text"), None)
    if found is None or not all(tidy_unit(text) for text in found.texts):
        return {}
    counts = np.bincount(found.codes[found.codes >= 0], minlength=found.distinct)
    return {text: int(n) for text, n in zip(found.texts, counts, strict=True)}


def _of_column(
    column: SheetColumn, stated: str, beside: Mapping[str, int] | None = None
) -> tuple[str, np.ndarray, np.ndarray, Mapping[str, int]]:
    bare, inner = name_and_unit(column.name)
    said = stated or inner
    if column.kind != "number":
        nothing = np.full(len(column.codes), np.nan)
        return bare, nothing, np.zeros(len(nothing), np.int8), {}
    units = dict(column.units) or ({said: column.filled} if said else dict(beside or {}))
    return bare, column.numbers, column.censored, units


def _describe(name: str, values: _Values) -> FoundMarker:
    known = markers.find(name)
    numbers = np.concatenate(values.numbers)
    censored = np.concatenate(values.censored)[np.isfinite(numbers)]
    numbers = numbers[np.isfinite(numbers)]
    unit, unit_reason, how, choices, warnings = _unit(known, values.units)
    codes, maybe = _codes(known, numbers, unit)
    real = numbers[~np.isin(numbers, [float(c) for c in codes])]
    if not unit and known is not None and len(real):
        unit, unit_reason, how, choices = _unit_from_size(known, real)
    warnings += _unusual(known, unit if how != "doubtful" else "", real)
    if maybe:
        warnings.append(
            f"{', '.join(maybe)} may stand for a missing value; if so, name it under"
            " [measurements]: missing = [...]"
        )
    unclear = "" if known is not None and _told_by_size(known, unit, real) else values.unclear
    if unclear:
        warnings.append(two_ways(unclear))
    limits = np.unique(numbers[censored == 1])
    transform, why = _transform(known, real)
    return FoundMarker(
        name,
        known,
        unit,
        unit_reason,
        how,
        choices,
        transform,
        why,
        float(limits[0]) if len(limits) == 1 and limits[0] > 0 else None,
        codes,
        len(numbers) - len(real),
        tuple(warnings),
        len(real),
        len({tidy_unit(u) or u for u in values.units}) > 1,
        unclear,
    )


def _unit(
    known: Known | None, units: Counter[str]
) -> tuple[str, str, Sureness, tuple[str, ...], list[str]]:
    """The unit the files state: all alike, or doubtful."""
    alike: dict[str, str] = {}
    for unit, _ in units.most_common():
        alike.setdefault(tidy_unit(unit) or unit, unit)
    if not alike:
        return "", "", "doubtful", (), []
    stated = list(alike.values())
    if len(stated) == 1:
        return stated[0], "as the file says", "sure", (), []
    said = ", ".join(f"{u} ({units[u]:,})" for u in stated)
    return (
        stated[0],
        f"the file has several units: {said}",
        "doubtful",
        tuple(stated[1:]),
        [f"several units in one marker: {said}; bring them to one before you analyse it"],
    )


def _unit_from_size(
    known: Known, numbers: np.ndarray
) -> tuple[str, str, Sureness, tuple[str, ...]]:
    """The one unit in which the values could have been measured, if there is only one."""
    if not known.unit:
        return "", "", "likely", ()
    able = [u for u in known.units() if _fits(known, numbers, u)]
    if known.unit == "points":
        return "points", "a score", "sure" if able else "likely", ()
    if len(able) == 1:
        return able[0], "the file does not say; of its usual units only this one fits", "likely", ()
    usual = able or known.units()
    why = "the file does not say its unit"
    if not able and np.isfinite(known.high):
        low, high = float(np.min(numbers)), float(np.max(numbers))
        why += (
            f"; values of {low:.4g} to {high:.4g} fit none of the usual ones, as of a root or log"
        )
    return usual[0], why, "doubtful", tuple(usual[1:])


def _fits(known: Known, numbers: np.ndarray, unit: str) -> bool:
    share = known.possible(numbers, unit)
    size = known.factor(unit)
    if np.isnan(share) or size is None:
        return False
    # Ranges of what can be measured are wide: all of it at their foot is another unit.
    return share >= 0.95 and float(np.max(numbers)) * size >= known.high / 200


def _codes(
    known: Known | None, numbers: np.ndarray, unit: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Numbers used as codes that stand apart from all of a marker's values; and those that may."""
    if not len(numbers):
        return (), ()
    found = [c for c in CODES if np.any(numbers == c)]
    if not found:
        return (), ()
    rest = numbers[~np.isin(numbers, found)]
    if not len(rest):
        return (), ()
    sure: list[float] = []
    maybe: list[float] = []
    negative = np.any(rest < 0) or (known is not None and known.key in _MAY_BE_NEGATIVE)
    for code in sorted(found):
        times = int(np.sum(numbers == code))
        if code < 0:
            apart = code < rest.min() - 3 * (rest.max() - rest.min())
            (maybe if negative and not apart else sure).append(code)
        elif known is not None and unit and known.possible(np.array([code]), unit) == 0:
            # Patients have values outside the usual range: among such a code is no code.
            if known.possible(rest, unit) > 0.9:
                (sure if rest.min() > code or rest.max() < code / 1.5 else maybe).append(code)
        elif code > 4 * rest.max() and rest.max() > 0:
            (sure if times >= 2 and code > 10 * rest.max() else maybe).append(code)
    return tuple(f"{c:.0f}" for c in sure), tuple(f"{c:.0f}" for c in maybe)


def _told_by_size(known: Known, unit: str, numbers: np.ndarray) -> bool:
    """Whether the numbers can be measured and a thousandth of them, or thousand times, can not."""
    shares = [known.possible(numbers * size, unit) for size in (1.0, 1e-3, 1e3)]
    return bool(unit) and shares[0] > 0.95 and max(shares[1:]) < 0.5


def two_ways(number: str) -> str:
    """What a number may be whose mark stands before decimals or between thousands."""
    whole = "".join(c for c in number if c.isdigit())
    parts = number.replace(",", ".").split(".")
    choices = 'decimal = "," or thousands = ","' if "," in number else 'thousands = "."'
    return (
        f"{show(number)} may be {'.'.join(parts)} or {whole}, and nothing says which: write"
        f" {choices} beside the file, or correct the column"
    )


def _unusual(known: Known | None, unit: str, numbers: np.ndarray) -> list[str]:
    if known is None or not unit or not len(numbers):
        return []
    size = known.factor(unit)
    if size is None:
        if tidy_unit(unit) and tidy_unit(known.unit):
            return [f"{unit} is no unit of {known.label} that is known here ({known.unit} is)"]
        return []
    share = known.possible(numbers, unit)
    if np.isnan(share) or share == 1.0:
        return []
    low, high = known.low / 2 / size, known.high / size
    bad = np.sort(numbers[(numbers < low) | (numbers > high)])
    others = [u for u in known.units() if u != unit and _fits(known, numbers, u)]
    hint = f"; they would fit {show_list(others, 3)}" if others and share < 0.5 else ""
    shown = np.unique(bad[[0, -2, -1]] if len(bad) > 2 else bad)
    values = ", ".join(f"{v:g}" for v in shown)
    what = f"{plural(len(bad), 'value')} outside {low:.4g} to {high:.4g} {unit}"
    usual = f"the usual range of {known.label}, such as {values}"
    return [f"{what}, {usual}{hint or ': a mistake, another unit, or a rare patient?'}"]


def _transform(known: Known | None, numbers: np.ndarray) -> tuple[str, str]:
    """Log where it is usual or the values are skewed, and possible."""
    if not len(numbers) or numbers.min() <= 0:
        if known is not None and known.transform == "log":
            return "identity", "values of 0 have no logarithm"
        return "identity", ""
    if known is not None and known.transform:
        return known.transform, "usual for this marker"
    if known is not None and known.family == "score":
        return "identity", ""
    if len(np.unique(numbers)) >= 10:
        logs = np.log(numbers)
        if _skew(numbers) > 1.0 and abs(_skew(logs)) < 0.6 * _skew(numbers):
            return "log", "the values are skewed, their logarithms are not"
    return "identity", ""


def _skew(values: np.ndarray) -> float:
    spread = float(np.std(values))
    if spread == 0:
        return 0.0
    return float(np.mean(((values - values.mean()) / spread) ** 3))
