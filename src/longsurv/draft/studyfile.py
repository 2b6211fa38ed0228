"""The drafted study file: every guess with its reason, every doubt commented out."""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from longsurv.draft.guess import Guess
from longsurv.draft.measured import FoundMarker, marker_name
from longsurv.draft.names import says
from longsurv.draft.straight import file_keys, patient_tables, wide_pattern, words_of
from longsurv.draft.tidy import MARKER, TIME, VALUE, Tidy
from longsurv.draft.understanding import Understanding, covariates
from longsurv.words import plural

WIDTH = 96
NO_UNIT = "time units"


def study_toml(
    found: Understanding, tidy: Tidy, reshaped: Sequence[str], stem: str, folder: Path
) -> str:
    """Write the study file.

    Parameters
    ----------
    found : Understanding
    tidy : Tidy
    reshaped : sequence of str
        Why there is a tidy copy; empty if the study reads the files as they are.
    stem : str
        Of the names of the tidy files.
    folder : Path
        Where the study file will be, from which it names its data.
    """
    parts = [
        _head(found, tidy, reshaped, stem),
        _study(found),
        _patients(found, tidy, bool(reshaped), stem, folder),
        _outcome(found, tidy),
    ]
    if found.series:
        parts.append(_measurements(found, tidy, bool(reshaped), stem, folder))
        parts.append(_phases(tidy))
        # The reader of a long table and that of one with a column a marker differ in the names.
        wide = not reshaped and found.series[0].shape == "visits"
        columns = {marker_name(c): c for c in found.series[0].columns} if wide else {}
        labels = _labels(found.markers)
        for marker in found.markers:
            lines = _marker(marker, columns.get(marker.name, marker.name), labels[marker.name])
            # Numbers of several units in one marker are no marker yet.
            parts.append([f"# {line}" for line in lines] if marker.mixed else lines)
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _note(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(" ".join(text.split()), WIDTH - 2)]


def _quote(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_quote, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quote(name)


def _level(text: str) -> object:
    """A level as a study file says it: whole numbers and truth values as such."""
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):  # as pandas reads them
        return text.lower() == "true"
    return int(text) if re.fullmatch(r"0|-?[1-9]\d{0,9}", text) else text


def _guessed(guess: Guess | None, lines: Sequence[str], *, held: bool = False) -> list[str]:
    """Lines with the reason above them, commented out where the guess is doubtful."""
    if guess is None:
        return list(lines)
    doubtful = held or guess.sureness == "doubtful"
    said = _note(f"{guess.sentence()}.")
    if doubtful:
        said += ["# Choose, and take the # away:"] if lines else []
        return [*said, *(f"# {line}" for line in lines)]
    return [*said, *lines]


def _head(found: Understanding, tidy: Tidy, reshaped: Sequence[str], stem: str) -> list[str]:
    lines = _note(
        "Drafted by longsurv init. Above each line stands why it says what it says and how sure"
        " that is; what is doubtful is commented out, with the choice to make. Then run longsurv"
        " check on this file."
    )
    if reshaped:
        lines += _note(
            f"The data were copied into tidy tables beside this file: {'; '.join(reshaped)}."
            f" {stem}_tidy.py has the pandas lines that made them; your files are unchanged."
        )
    for note in tidy.notes:
        lines += _note(f"- {note}")
    return lines


def _study(found: Understanding) -> list[str]:
    name = found.sheets[0].raw.path
    title = name.stem if name is not None else found.sheets[0].name
    return [
        "[study]",
        f"title = {_quote(title)}",
        "# Was the treatment allocated at random?",
        "# randomised = true",
    ]


def _file(sheet_path: Path | None, folder: Path) -> str:
    assert sheet_path is not None
    try:
        path = os.path.relpath(sheet_path.resolve(), folder.resolve())
    except ValueError:  # another drive
        path = str(sheet_path.resolve())
    return Path(path).as_posix()


def _patients(
    found: Understanding, tidy: Tidy, reshaped: bool, stem: str, folder: Path
) -> list[str]:
    lines = ["[patients]"]
    sheet = patient_tables(found)[0]
    if reshaped:
        lines.append(f"file = {_quote(f'{stem}_patients.csv')}")
    else:
        lines.append(f"file = {_quote(_file(sheet.raw.path, folder))}")
        for key, value in file_keys(sheet, words_of(sheet, found)).items():
            lines.append(f"{key} = {_quote(value)}")
    lines += _guessed(found.guess("patient"), [f"patient = {_quote(tidy.names['id'])}"])
    guess = found.guess("treatment")
    if found.treatment is None:
        choices = guess.choices if guess is not None else ()
        lines += _guessed(guess, [f"treatment = {choice}" for choice in choices])
        second = found.guess("reference")
        options = second.choices if second is not None else ()
        lines += _guessed(second, [f"reference = {choice}" for choice in options])
    else:
        levels = [_level(text) for text in found.treatment.levels]
        lines += _guessed(guess, [f"treatment = {_quote(found.treatment.field.name)}"])
        # Of another column this is no level, and `check` says so.
        lines += _guessed(found.guess("reference"), [f"reference = {_quote(levels[0])}"])
        if not any(isinstance(level, str) for level in levels):
            said = " and ".join(map(_quote, levels))
            lines += _note(f"Reports will call the groups {said}; names in the file read better.")
        if len(levels) > 2:
            lines += [f"levels = {_quote(levels)}"]
            lines += _note(
                "To compare two of them, and leave the others out and counted, in place of levels:"
            )
            lines += [f"# arms = {_quote(levels[:2])}"]
    chosen = [one.name for one in covariates(found)]
    more = [
        f.name for f in found.fields
        if f.name not in chosen and f.column.kind in ("number", "text") and f.column.distinct >= 2
        and f not in (found.outcome.exit, found.outcome.status, found.outcome.entry)
        and (found.treatment is None or f.name != found.treatment.field.name)
        and (f.column.kind == "number" or f.column.distinct <= 8)
    ]  # fmt: skip
    if chosen:
        lines.append("# For the table of baseline characteristics:")
        lines.append(f"covariates = {_quote(chosen)}")
    if more:
        lines += _note(f"Also there: {', '.join(more[:30])}")
    sites = [f.name for f in found.fields if says(f.name, "site") > 2 and f.column.distinct > 1]
    if sites:
        lines += [*_note("If patients of a site are more alike:"), f"# site = {_quote(sites[0])}"]
    if _incomplete(found, tidy):
        lines += _note("Some patients have no treatment or outcome; they are left out and counted.")
        lines.append("exclude_incomplete = true")
    return lines


def _incomplete(found: Understanding, tidy: Tidy) -> bool:
    names = [tidy.names.get("exit"), tidy.names.get("status")]
    if found.treatment is not None:
        names.append(found.treatment.field.name)
    frame = tidy.patients
    return any(bool(_blank(frame, n)) for n in names if n is not None)


def _blank(frame, name: str) -> bool:  # type: ignore[no-untyped-def]
    column = frame[name]
    return bool((column.isna() | (column.astype("string").str.strip() == "")).any())


def _outcome(found: Understanding, tidy: Tidy) -> list[str]:
    lines = ["[outcome]"]
    time = tidy.names.get("exit")
    guess = found.guess("time")
    if time is None:
        choices = guess.choices if guess is not None else ()
        options = [f"exit = {c}" for c in choices] or ['exit = "days_followed"']
        lines += _guessed(guess, options, held=True)
    else:
        lines += _guessed(guess, [f"exit = {_quote(time)}"])
    lines += _status(found, tidy)
    if found.outcome.entry is not None:
        held = found.doubts("time")
        lines += _guessed(
            found.guess("entry"), [f"entry = {_quote(found.outcome.entry.name)}"], held=held
        )
    if tidy.unit:
        lines.append(f"time_unit = {_quote(tidy.unit)}")
    else:
        lines += _note(
            "doubtful: nothing says the unit of the times; tables and axes will say just that."
            ' Write "days", "months", "years", ...:'
        )
        lines.append(f"time_unit = {_quote(NO_UNIT)}")
    lines += _note(
        "Risks are counted by a time, and a report asks for it. Choose, and take the # away:"
    )
    lines.append(f"# horizon = {_horizon(tidy, time)}")
    zero = found.guess("time_zero")
    if found.outcome.zero is not None and zero is not None:
        lines += [*_note(f"{zero.sentence()}."), f"time_zero = {_quote(zero.value)}"]
    if time is not None and _at_zero(tidy, time):
        lines += _note(
            "Some patients are followed for no time at all (they left at time zero); they are left"
            " out and counted."
        )
        lines.append("exclude_before_entry = true")
    return lines


def _horizon(tidy: Tidy, time: str | None) -> str:
    """A time by which risks could be counted: 28 days, or what three in four were followed for."""
    if time is None:
        return "28"
    values = np.array([_number(v) for v in tidy.patients[time].dropna()], dtype=float)
    values = values[np.isfinite(values)]
    if not len(values) or (tidy.unit == "days" and 28 <= values.max() <= 400):
        return "28"
    usual = float(f"{float(np.quantile(values, 0.75)):.2g}")
    return f"{usual:.0f}" if usual >= 10 else f"{usual:g}"


def _at_zero(tidy: Tidy, time: str) -> bool:
    values = np.asarray([_number(v) for v in tidy.patients[time].dropna().unique()], dtype=float)
    return bool(np.any(values == 0))


def _number(value: object) -> float:
    try:
        return float(str(value).replace(",", "."))
    except ValueError:
        return float("nan")


def _status(found: Understanding, tidy: Tidy) -> list[str]:
    guess, name = found.guess("status"), tidy.names.get("status")
    outcome = found.outcome
    if name is None:
        choices = guess.choices if guess is not None else ()
        return _guessed(guess, [f"status = {c}" for c in choices] or ['status = "died"'], held=True)
    if outcome.stop is not None or outcome.status is None:
        return _guessed(guess, [f"status = {_quote(name)}", "event = 1", "censored = 0"])
    event = [_level(t) for t in outcome.event]
    censored = [_level(t) for t in outcome.censored]
    lines = [
        f"status = {_quote(name)}",
        f"event = {_quote(event[0] if len(event) == 1 else event)}",
        f"censored = {_quote(censored[0] if len(censored) == 1 else censored)}",
    ]
    for label, levels in outcome.competing.items():
        lines.append(f"competing.{_key(label)} = {_quote([_level(t) for t in levels])}")
    if (event, censored) == ([1], [0]) and found.doubts("status"):
        lines = [lines[0], *lines[3:]]  # as a study takes it without being told
    return _guessed(guess, lines)


def _measurements(
    found: Understanding, tidy: Tidy, reshaped: bool, stem: str, folder: Path
) -> list[str]:
    lines = ["[measurements]"]
    part, time = found.series[0], found.guess("measurement time")
    first = found.guess("measurements")
    if reshaped:
        lines.append(f"file = {_quote(f'{stem}_measurements.csv')}")
        lines.append(f"patient = {_quote(tidy.names['id'])}")
        lines += _guessed(first, [f"time = {_quote(TIME)}"]) if time is None else [
            *(_note(f"{first.sentence()}.") if first is not None else []),
            *_guessed(time, [f"time = {_quote(TIME)}"]),
        ]  # fmt: skip
        lines += [f"marker = {_quote(MARKER)}", f"value = {_quote(VALUE)}"]
        return [*lines, *_rules(tidy)]
    sheet = part.sheet
    if patient_tables(found) == [sheet]:
        lines += _note("The same file as that of the patients.")
    else:
        lines.append(f"file = {_quote(_file(sheet.raw.path, folder))}")
        for key, value in file_keys(sheet, words_of(sheet, found)).items():
            lines.append(f"{key} = {_quote(value)}")
        lines.append(f"patient = {_quote(sheet.patient)}")
    if part.shape == "columns":
        lines += _guessed(first, [f"wide = {_quote(wide_pattern(part))}"])
    else:
        lines += _note(f"{first.sentence()}.") if first is not None else []
        lines += _guessed(time, [f"time = {_quote(part.time)}"])
    if part.shape == "visits":
        lines.append("wide = true")
    elif part.shape == "long":
        lines += [f"marker = {_quote(part.marker)}", f"value = {_quote(part.value)}"]
    return [*lines, *_rules(tidy)]


def _rules(tidy: Tidy) -> list[str]:
    """Rules for measurements that a study would refuse, with how many there are."""
    lines = []
    outside = [
        f"{plural(count, 'measurement')} {why}"
        for count, why in ((tidy.early, "before time zero"), (tidy.late, "after the end"))
        if count
    ]
    if outside:
        lines += _note(f"{' and '.join(outside)} of follow-up are left out and counted.")
        lines.append('outside = "exclude"')
    if tidy.early:
        lines += _note("A baseline measured shortly before time zero can be kept:")
        lines.append("# baseline_window = [-1, 0]")
    if tidy.twice:
        lines += _note(
            f"likely: {plural(tidy.twice, 'value')} at a time that has one already; the first is"
            ' kept; or "last", "mean".'
        )
        lines.append('duplicates = "first"')
    if tidy.strangers:
        lines += _note(
            f"{plural(tidy.strangers, 'measurement')} of patients who are not in the patient table"
            " are left out and counted."
        )
        lines.append("exclude_other_patients = true")
    return lines


def _phases(tidy: Tidy) -> list[str]:
    frame = tidy.measurements
    if frame is None or not len(frame):
        return ["# [phases]"]
    times = frame[TIME].to_numpy(dtype=float)
    times = times[times >= 0] if np.any(times >= 0) else times  # those before are left out
    first, last = float(np.nanmin(times)), float(np.nanmax(times))
    common = float(np.median(times[times > first])) if np.any(times > first) else last
    return [
        *_note("Without phases each marker is followed over time. To compare a baseline with what"
               " came after, take the # away and set the times:"),
        "# [phases]",
        f"# baseline = [{first:g}, {first:g}]",
        f"# after = [{common:g}, {last:g}]",
    ]  # fmt: skip


def _labels(found: Sequence[FoundMarker]) -> dict[str, str]:
    """What readers see of each marker: two that are known by one label keep names of their own."""
    known = {m.name: m.known.label if m.known is not None else m.name for m in found}
    often = Counter(known.values())
    return {name: label if often[label] == 1 else name for name, label in known.items()}


def _marker(marker: FoundMarker, name: str, label: str) -> list[str]:
    lines = [f"[markers.{_key(name)}]"]
    for warning in marker.warnings:
        lines += _note(f"LOOK: {warning}.")
    if marker.doubtful_codes:
        lines += _note(
            f"LOOK: {', '.join(marker.doubtful_codes)} may stand for a missing value; if so, name"
            " it under [measurements]: missing = [...]"
        )
    known = marker.known
    lines.append(f"label = {_quote(label)}")
    if marker.unit and marker.unit_sureness == "doubtful":
        lines += _note(f"doubtful: {marker.unit_reason}. Choose, and take the # away:")
        lines += [f"# unit = {_quote(u)}" for u in (marker.unit, *marker.unit_choices)]
    elif marker.unit:
        if marker.unit_sureness == "likely":
            lines += _note(f"likely: {marker.unit_reason}.")
        lines.append(f"unit = {_quote(marker.unit)}")
    if marker.transform_reason:
        lines += _note(f"likely: {marker.transform_reason}.")
    lines.append(f"transform = {_quote(marker.transform)}")
    if marker.limit is not None:
        lines += _note("sure: every value below detection is written with this limit.")
        lines.append(f"lower_limit = {_quote(marker.limit)}")
    if known is not None and known.direction:
        lines.append(f"direction = {_quote(known.direction)}")
    if known is not None and known.family:
        lines.append(f"family = {_quote(known.family)}")
    return lines
