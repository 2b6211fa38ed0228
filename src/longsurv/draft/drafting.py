"""From tables to the draft of a study."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import numpy as np
import pandas as pd

from longsurv.arguments import checked
from longsurv.cohort import Cohort, read_cohort
from longsurv.cohort.problems import show, show_list
from longsurv.draft.guess import Guess
from longsurv.draft.one_row_each import make_tidy
from longsurv.draft.raw import RawTable
from longsurv.draft.straight import reasons, taken_for_missing
from longsurv.draft.studyfile import NO_UNIT, bare_groups, study_toml
from longsurv.draft.tables import read_files, read_frames
from longsurv.draft.tidy import TIME, Tidy, script
from longsurv.draft.understanding import Understanding, understand
from longsurv.errors import LongsurvError
from longsurv.frames import as_pandas
from longsurv.words import plural

FRAMES = "a pandas DataFrame, a list of them, or a mapping of names to them"


@dataclass(frozen=True)
class Draft:
    """A study as it was understood from tables, ready to be written down.

    Attributes
    ----------
    guesses : tuple of Guess
        What was taken for what, why, and how sure that is.
    reshaped : tuple of str
        Why the data have to be copied into tidy tables; empty if they can be read as they are.
    """

    guesses: tuple[Guess, ...]
    reshaped: tuple[str, ...]
    _found: Understanding = field(repr=False)
    _tidy: Tidy = field(repr=False)

    @property
    def complete(self) -> bool:
        """Whether everything that `longsurv check` needs is at least likely."""
        return self._found.complete

    @property
    def open(self) -> list[str]:
        """What the draft leaves to choose: doubtful, or not found."""
        return list(dict.fromkeys(g.about for g in self.guesses if g.sureness == "doubtful"))

    @property
    def unsaid(self) -> list[str]:
        """What a report needs and tables do not tell, and what it does without."""
        said = [
            "horizon: the time by which risks are counted; without it a report has none",
            "randomised: whether treatment was allocated at random; reports say it is not known",
        ]
        groups = bare_groups(self._found)
        if groups:
            said.append(f"labels: what reports call the groups {show_list(groups)}")
        if not self._tidy.unit:
            said.append(f"time_unit: nothing says it; reports say {show(NO_UNIT)}")
        return said

    @property
    def markers(self) -> list[str]:
        """Names of the markers."""
        return [marker.name for marker in self._found.markers]

    @property
    def patients(self) -> pd.DataFrame:
        """The tidy table with one row a patient."""
        return self._tidy.patients.copy()

    @property
    def measurements(self) -> pd.DataFrame | None:
        """The tidy table with one row a measurement, None if nothing was measured."""
        return None if self._tidy.measurements is None else self._tidy.measurements.copy()

    @property
    def warnings(self) -> list[str]:
        """What to look at: values that cannot be, rows that were left out."""
        marked = [f"{m.name}: {text}" for m in self._found.markers for text in m.warnings]
        counts = (
            (self._tidy.early, "before time zero"),
            (self._tidy.late, "after the end of follow-up"),
            (self._tidy.twice, "at a time that has one already"),
            (self._tidy.strangers, "of patients who are not in the patient table"),
        )
        rules = [f"{plural(n, 'measurement')} {why}" for n, why in counts if n]
        return [*self._tidy.notes, *rules, *marked]

    def to_toml(self, stem: str = "study", folder: str | Path = ".") -> str:
        """Return the study file.

        Parameters
        ----------
        stem : str
            Of the names of the tidy tables it names.
        folder : str or Path
            Where the study file will be: it names its data from there.

        Returns
        -------
        str
        """
        return study_toml(self._found, self._tidy, self.reshaped, stem, Path(folder))

    def to_script(self, stem: str = "study") -> str:
        """Return the pandas lines that make the tidy tables from the files.

        Parameters
        ----------
        stem : str
            Of the study file's name.

        Returns
        -------
        str
        """
        return script(self._found, self._tidy, stem)

    def files(self, path: str | Path) -> list[Path]:
        """Return what `write` would write for a study file of this name, that file first.

        Parameters
        ----------
        path : str or Path
            Of the study file.

        Returns
        -------
        list of Path
        """
        path = Path(path)
        beside = []
        if self.reshaped:
            beside.append(path.with_name(f"{path.stem}_patients.csv"))
            if self._tidy.measurements is not None:
                beside.append(path.with_name(f"{path.stem}_measurements.csv"))
            beside.append(path.with_name(f"{path.stem}_tidy.py"))
        return [path, *beside]

    def write(self, path: str | Path = "study.toml") -> list[Path]:
        """Write the study file, and the tidy tables with their script if they are needed.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        list of Path
            What was written.

        Raises
        ------
        LongsurvError
            If one of the files exists already: nothing is ever overwritten.
        """
        path = Path(path)
        targets = self.files(path)
        there = [str(target) for target in targets if target.exists()]
        if there:
            raise LongsurvError(
                f"{', '.join(there)} exists already and is not overwritten; give another name with"
                " -o, or move it away"
            )
        texts = [self.to_toml(path.stem, path.parent)]
        if self.reshaped:
            texts.append(_csv(self._tidy.patients))
            if self._tidy.measurements is not None:
                texts.append(_csv(self._tidy.measurements))
            texts.append(self.to_script(path.stem))
        # The study file last: it is there only if what it names is.
        for target, text in [*zip(targets, texts, strict=True)][::-1]:
            _new_file(target, text)
        return targets

    def cohort(self) -> Cohort:
        """Read the study as drafted.

        Returns
        -------
        Cohort

        Raises
        ------
        LongsurvError
            If something that a study must say is doubtful; `to_toml` has the choices.
        DataError
            Listing every problem of the data.
        """
        if not self.complete:
            raise LongsurvError(
                f"the draft leaves choices open: {', '.join(self.open)}. to_toml() says which;"
                " write it, choose, and read it with longsurv.read_cohort"
            )
        with TemporaryDirectory() as folder:
            target = Path(folder) / "study.toml"
            self.write(target)
            return read_cohort(target)

    def summary(self) -> list[str]:
        """Say what was understood, one guess a line."""
        shown = [f"{g.about:>16}  {g.value or '-':<28} {g.sentence()}" for g in self.guesses]
        return shown

    def __repr__(self) -> str:
        return "\n".join(["Draft of a study", *self.summary()])

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(g.about)}</td><td>{html.escape(g.value)}</td>"
            f"<td>{g.sureness}</td><td>{html.escape(g.reason)}</td>"
            f"<td>{html.escape('; '.join(g.choices))}</td></tr>"
            for g in self.guesses
        )
        notes = "".join(f"<li>{html.escape(text)}</li>" for text in self.warnings)
        return (
            "<table><thead><tr><th>about</th><th>taken for</th><th>how sure</th><th>why</th>"
            f"<th>or</th></tr></thead><tbody>{rows}</tbody></table>"
            + (f"<ul>{notes}</ul>" if notes else "")
        )


@checked
def draft(
    frames: Annotated[pd.DataFrame | Sequence[pd.DataFrame] | Mapping[str, pd.DataFrame], FRAMES],
) -> Draft:
    """Draft a study from data frames: what is the patient, the treatment, the outcome, a marker?

    Parameters
    ----------
    frames : DataFrame, sequence of DataFrame, or mapping of str to DataFrame
        One table or several: one row a patient, one row a visit, one row a measurement, or a
        column a marker and time; in any of the forms that `longsurv init` reads from files.

    Returns
    -------
    Draft
        With the guesses and their reasons, `to_toml`, `write` and `cohort`.

    Examples
    --------
    >>> import pandas as pd
    >>> visits = pd.DataFrame({
    ...     "id": [1, 1, 2, 2, 3], "day": [0, 3, 0, 3, 0], "CRP (mg/L)": [90, 40, 120, 80, 60],
    ...     "arm": ["placebo", "placebo", "drug", "drug", "drug"],
    ...     "followup_days": [28, 28, 9, 9, 28], "died": [0, 0, 1, 1, 0],
    ... })
    >>> print(draft(visits).to_toml().split("[outcome]")[1].splitlines()[2])
    exit = "followup_days"
    """
    if isinstance(frames, pd.DataFrame):
        named = {"data": frames}
    elif isinstance(frames, Mapping):
        named = {str(name): frame for name, frame in frames.items()}
    else:
        named = {f"table {k}": frame for k, frame in enumerate(frames, 1)}
    tables = {name: _table(name, frame) for name, frame in named.items()}
    if not tables or any(not len(table.columns) for table in tables.values()):
        raise LongsurvError("there is no table to draft a study from")
    return _draft(read_frames(tables))


def _table(name: str, frame: object) -> pd.DataFrame:
    found = as_pandas(frame)
    if found is None:
        raise LongsurvError(
            f"frames: {name!r} is to be a table, as a DataFrame; it is {type(frame).__name__}"
        )
    return found


def draft_files(paths: Iterable[Path]) -> Draft:
    """Draft a study from files, as `longsurv init` does.

    Parameters
    ----------
    paths : iterable of Path

    Returns
    -------
    Draft

    Raises
    ------
    DataError
        Naming each file that cannot be read, and why.
    """
    return _draft(read_files(list(paths)))


def _draft(tables: Sequence[RawTable]) -> Draft:
    found = understand(tables)
    tidy = make_tidy(found)
    tidy.notes += taken_for_missing(found)
    found = _cross_checked(found, tidy)
    return Draft(tuple(found.guesses), tuple(reasons(found, tidy)), found, tidy)


def _cross_checked(found: Understanding, tidy: Tidy) -> Understanding:
    """Doubt guesses that do not go together."""
    exit_ = tidy.names.get("exit")
    if exit_ is not None:
        ends = pd.to_numeric(tidy.patients[exit_], errors="coerce").to_numpy(dtype=float)
        if np.any(ends < 0):
            found = found.doubting("time", "some of these times are negative")
    other = next((p.unit for p in found.series if p.unit not in ("", "days")), "")
    if found.outcome.exit is not None and not found.outcome.unit and other:
        why = f"nothing says its unit, and measurements have {other}: write it behind the name"
        found = found.doubting("time", why)
    if tidy.measurements is None:
        return found
    left = len(tidy.measurements)
    if tidy.strangers > 0.5 * left:
        found = found.doubting("patient", _apart(found, tidy))
    # A database goes on after the discharge that ends follow-up, by dates of one clock; not so
    # after a death, nor where two clocks may differ.
    dated = found.outcome.exit is None and found.outcome.zero is not None
    if (tidy.posthumous if dated else tidy.late) > (0.02 if dated else 0.2) * left:
        found = found.doubting("time", "many measurements are later than this")
    if tidy.early > 0.9 * left:
        found = found.doubting("measurement time", "nearly all of these lie before time zero")
    if not left or tidy.measurements[TIME].nunique() < 2:
        found = found.doubting("measurement time", "all measurements have the same time")
    return found


def _apart(found: Understanding, tidy: Tidy) -> str:
    """Say that the tables call their patients by different names, with one of each."""
    assert tidy.measurements is not None
    ident = tidy.names["id"]
    known = tidy.patients[ident].dropna()
    others = tidy.measurements[ident]
    example = others[~others.isin(known)].iloc[0]
    return (
        f"{plural(tidy.strangers, 'measurement')} of {len(others):,} are of {show(example)} and"
        f" others, who are not among the patients, such as {show(known.iloc[0])}: write them alike"
        " in all files"
    )


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")


def _new_file(path: Path, text: str) -> None:
    """Write a file that is not there yet."""
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(text)
    except FileExistsError:
        raise LongsurvError(f"{path} exists already and is not overwritten") from None
    except OSError as error:
        raise LongsurvError(f"{path} cannot be written: {error.strerror or error}") from error
