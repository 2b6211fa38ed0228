"""The drafted study file: every guess with its reason, every doubt commented out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from longsurv.cohort.problems import show_list
from longsurv.draft.fates import legend_in
from longsurv.draft.guess import Guess
from longsurv.draft.measured import FoundMarker, marker_name
from longsurv.draft.names import says
from longsurv.draft.straight import file_keys, patient_tables, wide_pattern, words_of
from longsurv.draft.tidy import MARKER, TIME, VALUE, Tidy
from longsurv.draft.toml import toml_comment, toml_key, toml_level, toml_value
from longsurv.draft.treatment import yes_no
from longsurv.draft.understanding import Understanding, covariates
from longsurv.words import plural

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
            parts.append([f"# {line}" for line in lines] if marker.held else lines)
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _guessed(guess: Guess | None, lines: Sequence[str], *, held: bool = False) -> list[str]:
    """Lines with the reason above them, commented out where the guess is doubtful."""
    if guess is None:
        return list(lines)
    doubtful = held or guess.sureness == "doubtful"
    said = toml_comment(f"{guess.sentence()}.")
    if doubtful:
        said += ["# Choose, and take the # away:"] if lines else []
        return [*said, *(f"# {line}" for line in lines)]
    return [*said, *lines]


def _head(found: Understanding, tidy: Tidy, reshaped: Sequence[str], stem: str) -> list[str]:
    lines = toml_comment(
        "Drafted by longsurv init. Above each line stands why it says what it says and how sure"
        " that is; what is doubtful is commented out, with the choice to make. Then run longsurv"
        " check on this file."
    )
    if reshaped:
        lines += toml_comment(
            f"The data were copied into tidy tables beside this file: {'; '.join(reshaped)}."
            f" {stem}_tidy.py has the pandas lines that made them; your files are unchanged."
        )
    for note in tidy.notes:
        lines += toml_comment(f"- {note}")
    return lines


def _study(found: Understanding) -> list[str]:
    name = found.sheets[0].raw.path
    title = name.stem if name is not None else found.sheets[0].name
    return [
        "[study]",
        f"title = {toml_value(title)}",
        *toml_comment(
            "doubtful: nothing says whether the treatment was allocated at random. Until one of"
            " these is said, the study is analysed as if it was not, and reports say that it is not"
            " known:"
        ),
        "# randomised = true",
        "# randomised = false",
        *_group_labels(found),
    ]


def _group_labels(found: Understanding) -> list[str]:
    """Names for groups that are bare numbers or yes and no, which read badly in sentences."""
    levels = bare_groups(found)
    if found.treatment is None or not levels:
        return []
    name = found.treatment.field.name
    told = legend_in(name)[0]
    # "group 0" is who "0" is; "ivig: yes" is who was given it.
    plainly = {v: f"{name} {v}" if v.isdigit() else f"{name}: {v}" for v in levels}
    named = {v: told.get(v, plainly[v]) for v in levels}
    line = ", ".join(f"{toml_value(v)} = {toml_value(text)}" for v, text in named.items())
    why = "likely: as the column's name says" if set(levels) <= set(told) else (
        f"What reports call the groups {show_list(levels)}; name them better if you can"
    )  # fmt: skip
    mark = "# " if found.doubts("treatment") else ""
    return [*toml_comment(f"{why}."), f"{mark}labels = {{{line}}}"]


def bare_groups(found: Understanding) -> list[str]:
    """The groups where all are called by numbers, or yes and no; else none."""
    if found.treatment is None:
        return []
    levels = found.treatment.levels
    numbers = not any(isinstance(toml_level(text), str) for text in levels)
    return list(levels) if numbers or yes_no(levels) else []


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
        lines.append(f"file = {toml_value(f'{stem}_patients.csv')}")
    else:
        lines.append(f"file = {toml_value(_file(sheet.raw.path, folder))}")
        for key, value in file_keys(sheet, words_of(sheet, found)).items():
            lines.append(f"{key} = {toml_value(value)}")
    lines += _guessed(found.guess("patient"), [f"patient = {toml_value(tidy.names['id'])}"])
    guess = found.guess("treatment")
    if found.treatment is None:
        choices = guess.choices if guess is not None else ()
        lines += _guessed(guess, [f"treatment = {choice}" for choice in choices])
        second = found.guess("reference")
        options = second.choices if second is not None else ()
        lines += _guessed(second, [f"reference = {choice}" for choice in options])
    else:
        levels = [toml_level(text) for text in found.treatment.levels]
        lines += _guessed(guess, [f"treatment = {toml_value(found.treatment.field.name)}"])
        # Of another column this is no level, and `check` says so.
        lines += _guessed(found.guess("reference"), [f"reference = {toml_value(levels[0])}"])
        if len(levels) > 2:
            lines += [f"levels = {toml_value(levels)}"]
            lines += toml_comment(
                "To compare two of them, and leave the others out and counted, in place of levels:"
            )
            lines += [f"# arms = {toml_value(levels[:2])}"]
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
        lines.append(f"covariates = {toml_value(chosen)}")
    if more:
        lines += toml_comment(f"Also there: {', '.join(more[:30])}")
    sites = [f.name for f in found.fields if says(f.name, "site") > 2 and f.column.distinct > 1]
    if sites:
        lines += [
            *toml_comment("If patients of a site are more alike:"),
            f"# site = {toml_value(sites[0])}",
        ]
    if _incomplete(found, tidy):
        lines += toml_comment(
            "Some patients have no treatment or outcome; they are left out and counted."
        )
        lines.append("exclude_incomplete = true")
    return lines


def _incomplete(found: Understanding, tidy: Tidy) -> bool:
    names = [tidy.names.get("exit"), tidy.names.get("status")]
    if found.treatment is not None:
        names.append(found.treatment.field.name)
    frame = tidy.patients
    return any(bool(_blank(frame, n)) for n in names if n is not None)


def _blank(frame: pd.DataFrame, name: str) -> bool:
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
        lines += _guessed(guess, [f"exit = {toml_value(time)}"])
    lines += _status(found, tidy)
    if found.outcome.entry is not None:
        held = found.doubts("time")
        lines += _guessed(
            found.guess("entry"), [f"entry = {toml_value(found.outcome.entry.name)}"], held=held
        )
    if tidy.unit:
        lines.append(f"time_unit = {toml_value(tidy.unit)}")
    else:
        lines += toml_comment(
            "doubtful: nothing says the unit of the times; tables and axes will say just that."
            ' Write "days", "months", "years", ...:'
        )
        lines.append(f"time_unit = {toml_value(NO_UNIT)}")
    lines += toml_comment(
        "Risks are counted by a time, and a report asks for it. Choose, and take the # away:"
    )
    lines.append(f"# horizon = {_horizon(tidy, time)}")
    zero = found.guess("time_zero")
    if found.outcome.zero is not None and zero is not None:
        lines += [*toml_comment(f"{zero.sentence()}."), f"time_zero = {toml_value(zero.value)}"]
    if time is not None and _at_zero(tidy, time):
        lines += toml_comment(
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
        return _guessed(guess, [f"status = {toml_value(name)}", "event = 1", "censored = 0"])
    event = [toml_level(t) for t in outcome.event]
    censored = [toml_level(t) for t in outcome.censored]
    lines = [
        f"status = {toml_value(name)}",
        f"event = {toml_value(event[0] if len(event) == 1 else event)}",
        f"censored = {toml_value(censored[0] if len(censored) == 1 else censored)}",
    ]
    for label, levels in outcome.competing.items():
        lines.append(f"competing.{toml_key(label)} = {toml_value([toml_level(t) for t in levels])}")
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
        lines.append(f"file = {toml_value(f'{stem}_measurements.csv')}")
        lines.append(f"patient = {toml_value(tidy.names['id'])}")
        lines += _guessed(first, [f"time = {toml_value(TIME)}"]) if time is None else [
            *(toml_comment(f"{first.sentence()}.") if first is not None else []),
            *_guessed(time, [f"time = {toml_value(TIME)}"]),
        ]  # fmt: skip
        lines += [f"marker = {toml_value(MARKER)}", f"value = {toml_value(VALUE)}"]
        return [*lines, *_rules(tidy)]
    sheet = part.sheet
    if patient_tables(found) == [sheet]:
        lines += toml_comment("The same file as that of the patients.")
    else:
        lines.append(f"file = {toml_value(_file(sheet.raw.path, folder))}")
        for key, value in file_keys(sheet, words_of(sheet, found)).items():
            lines.append(f"{key} = {toml_value(value)}")
        lines.append(f"patient = {toml_value(sheet.patient)}")
    if part.shape == "columns":
        lines += _guessed(first, [f"wide = {toml_value(wide_pattern(part))}"])
    else:
        lines += toml_comment(f"{first.sentence()}.") if first is not None else []
        lines += _guessed(time, [f"time = {toml_value(part.time)}"])
    if part.shape == "visits":
        lines.append("wide = true")
    elif part.shape == "long":
        lines += [f"marker = {toml_value(part.marker)}", f"value = {toml_value(part.value)}"]
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
        lines += toml_comment(f"{' and '.join(outside)} of follow-up are left out and counted.")
        lines.append('outside = "exclude"')
    if tidy.early:
        lines += toml_comment("A baseline measured shortly before time zero can be kept:")
        lines.append("# baseline_window = [-1, 0]")
    if tidy.twice:
        lines += toml_comment(
            f"likely: {plural(tidy.twice, 'value')} at a time that has one already; the first is"
            ' kept; or "last", "mean".'
        )
        lines.append('duplicates = "first"')
    if tidy.strangers:
        lines += toml_comment(
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
        *toml_comment(
            "Without phases each marker is followed over time. To compare a baseline with what came"
            " after, take the # away and set the times:"
        ),
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
    lines = [f"[markers.{toml_key(name)}]"]
    for warning in marker.warnings:
        lines += toml_comment(f"LOOK: {warning}.")
    known = marker.known
    lines.append(f"label = {toml_value(label)}")
    if marker.unit and marker.unit_sureness == "doubtful":
        lines += toml_comment(f"doubtful: {marker.unit_reason}. Choose, and take the # away:")
        lines += [f"# unit = {toml_value(u)}" for u in (marker.unit, *marker.unit_choices)]
    elif marker.unit:
        if marker.unit_sureness == "likely":
            lines += toml_comment(f"likely: {marker.unit_reason}.")
        lines.append(f"unit = {toml_value(marker.unit)}")
    if marker.transform_reason:
        lines += toml_comment(f"likely: {marker.transform_reason}.")
    lines.append(f"transform = {toml_value(marker.transform)}")
    if marker.limit is not None:
        lines += toml_comment("sure: every value below detection is written with this limit.")
        lines.append(f"lower_limit = {toml_value(marker.limit)}")
    if known is not None and known.direction:
        lines.append(f"direction = {toml_value(known.direction)}")
    if known is not None and known.family:
        lines.append(f"family = {toml_value(known.family)}")
    return lines
