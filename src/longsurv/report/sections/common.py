"""What several sections need: names for people, answers for sentences, pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from markupsafe import Markup

from longsurv import numbers
from longsurv.figures.svg import to_svg
from longsurv.numbers import exponential
from longsurv.records import Record
from longsurv.report.sentences import Answer
from longsurv.study.unanswered import unanswered
from longsurv.tables.display import Column
from longsurv.words import listed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.estimands.changes import Change
    from longsurv.study import ModelResult, StudyResults

WIDE, NARROW = 860.0, 358.0
ENGINE_NAMES = {"ml": "Maximum likelihood", "bayes": "Bayes"}


class Line:
    """Something of several parts that a plain document shows as one line of text."""

    @property
    def text(self) -> str:
        """The line."""
        raise NotImplementedError


@dataclass(frozen=True)
class Fact(Line):
    """A name and what it is."""

    name: str
    value: str

    @property
    def text(self) -> str:
        """The line."""
        return f"{self.name}: {self.value}"


NUMBERS_BELOW = "The table below has every number."


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure, drawn when it is asked for.

    Parameters
    ----------
    name : str
        Unique in the page (letters, digits and hyphens).
    draw : callable
        From a width in CSS pixels to Axes.
    label : str
        The text alternative: what the figure shows, in a sentence.
    caption : str
    title : str
        What its fold is called, where it stands behind one.
    beside : str
        What a page adds to the text alternative: where the numbers stand.
    panel : bool
        It is one of many small ones, which have one width only.
    """

    name: str
    draw: Callable[[float], Axes]
    label: str
    caption: str = ""
    title: str = ""
    beside: str = ""
    panel: bool = False

    @property
    def alternative(self) -> str:
        """The text alternative on a page."""
        return f"{self.label} {self.beside}".rstrip()

    @cached_property
    def wide(self) -> Markup:
        """As SVG, for wide screens and paper."""
        return self.svg(WIDE, "wide")

    @cached_property
    def narrow(self) -> Markup:
        """As SVG, for phones."""
        return self.svg(NARROW, "narrow")

    def keep(self, wide: str, narrow: str | None) -> None:
        """Take drawings that another process has made.

        Parameters
        ----------
        wide, narrow : str
            As SVG; no narrow one of a panel.
        """
        vars(self)["wide"] = Markup(wide)
        if narrow is not None:
            vars(self)["narrow"] = Markup(narrow)

    def svg(self, width: float, suffix: str) -> Markup:
        """As an SVG element for the page, whose ids begin with the name and the suffix.

        Parameters
        ----------
        width : float
            In CSS pixels.
        suffix : str
            Tells two drawings of one picture apart.

        Returns
        -------
        Markup
        """
        return Markup(to_svg(self.draw(width).figure, f"{self.name}-{suffix}", self.alternative))


def footnoted(remarks: Sequence[str]) -> tuple[list[str], str]:
    """What is remarked on the rows of a table, each remark once, as its footnotes.

    Parameters
    ----------
    remarks : sequence of str
        Of each row; empty where there is none.

    Returns
    -------
    marks : list of str
        Of each row: a superscript number, or nothing.
    note : str
        The remarks by their marks.
    """
    marks = {
        text: str(k).translate(numbers.SUPERSCRIPTS)
        for k, text in enumerate(dict.fromkeys(filter(None, remarks)), 1)
    }
    note = " ".join(f"{mark} {text.rstrip('.')}." for text, mark in marks.items())
    return [marks.get(text, "") for text in remarks], note


def role_column(results: StudyResults) -> list[Column]:
    """What each marker is to the study, by its name in "marker"; nothing in one that names none."""
    aims = results.study.aims
    return [
        Column("Outcome", lambda row: aims.role(row["marker"]) or "", numeric=False)
    ] * aims.named


def comparison_column(table: pd.DataFrame) -> list[Column]:
    """Of which comparison a row is, by its "level" and "end"; in a table of one there is none."""
    several = len(table[["level", "end"]].drop_duplicates()) > 1
    return [Column("Comparison", lambda r: f"{r['level']}, {r['end']}", numeric=False)] * several


def unit_one(unit: str) -> str:
    """One of a unit: "days" to "day"."""
    return unit.removesuffix("s") or "unit of time"


def unit_text(unit: str) -> str:
    """A unit as it is printed: "10^9/L" with its superscript, "ug/mL" with its mu."""
    unit = re.sub(r"\^(-?\d+)", lambda found: found.group(1).translate(numbers.SUPERSCRIPTS), unit)
    unit = re.sub(
        r"(?<=mm)([23])\b", lambda found: found.group(1).translate(numbers.SUPERSCRIPTS), unit
    )
    return re.sub(r"\bu(?=(g|L|l|mol|M|kat)\b)", "\N{MICRO SIGN}", unit)


def with_unit(label: str, unit: str) -> str:
    """ "IL-6 (pg/mL)", or the label alone."""
    return f"{label} ({unit_text(unit)})" if unit else label


def of_comparisons(said: Iterable[tuple[str, str]]) -> list[str]:
    """Sentences that several comparisons may have in common, each once: with the names of those it
    is of, unless it is of all of them.

    Parameters
    ----------
    said : iterable of (str, str)
        A comparison's name and a sentence about it.
    """
    found: dict[str, list[str]] = {}
    every = set()
    for name, text in said:
        every.add(name)
        found.setdefault(text, []).append(name)
    return [
        text if len(names) == len(every) else f"{listed(names)}: {text[:1].lower()}{text[1:]}"
        for text, names in found.items()
    ]


def change_words(start: object, end: object, unit: str) -> str:
    """ "baseline to after" for phases, "per year" for one unit of time."""
    if isinstance(start, float | int) and isinstance(end, float | int):
        return f"per {unit_one(unit)}"
    return f"{start} to {end}"


def compared_words(change: Change, unit: str) -> str:
    """Which groups a difference in change compares, and when: "a against b, baseline to after"."""
    when = change_words(change.start, change.end, unit)
    return f"{change.level} against {change.reference}, {when}"


def change_answer(row: pd.Series | Record) -> Answer | None:
    """The answer in one row of `StudyResults.changes`, or of a table like it; None where there is
    none."""
    if not math.isfinite(row["estimate"]):
        return None
    return Answer(
        row["estimate"],
        row["conf_low"],
        row["conf_high"],
        row["scale"] == "ratio",
        row["p_value"],
        # Which other differences in change do not have.
        float(row.get("prob_positive", math.nan)),
        float(row.get("mcse", math.nan)),
    )


def hazard_answers(model: ModelResult, term: str) -> dict[str, Answer]:
    """Hazard ratio of one term by each engine that has one, and one that can be relied on.

    The posterior's point estimate is its median, as in the table of priors.
    """
    found = {}
    for engine, result in model.answers.items():
        tidy = result.tidy().set_index("term", drop=False)
        if term in tidy.index and not unanswered(result, tidy.loc[term]):
            row = tidy.loc[term].copy()
            if result.engine == "bayes":
                row["estimate"] = np.median(result.draw(term))
            low, middle, high = (
                exponential(row[name]) for name in ("conf_low", "estimate", "conf_high")
            )
            found[engine] = Answer(
                middle,
                low,
                high,
                True,
                float(row.get("p_value", math.nan)),
                float(row.get("prob_positive", math.nan)),
            )
    return found
