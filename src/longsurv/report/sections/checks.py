"""A traffic light for every fit, with the evidence behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from longsurv import numbers
from longsurv.records import Record
from longsurv.report import sentences
from longsurv.report.sections import criticism, independent
from longsurv.report.sections.common import ENGINE_NAMES, Fact, Line
from longsurv.tables.display import Column, DisplayTable, display

if TYPE_CHECKING:
    import pandas as pd

    from longsurv.study import StudyResults

# A light is never colour alone: each has its sign and its word.
LIGHTS = {"green": "passed", "amber": "passed, with a remark", "red": "not passed"}
SIGNS = {"green": "\N{CHECK MARK}", "amber": "!", "red": "\N{MULTIPLICATION X}"}


@dataclass(frozen=True)
class Light(Line):
    """The verdict on one fit.

    Attributes
    ----------
    label, engine : str
        Model and engine, for people.
    colour : {"green", "amber", "red"}
    words : str
        The verdict in a sentence or two.
    evidence : DisplayTable
        The checks and their limits; no rows where nothing was fitted.
    """

    label: str
    engine: str
    colour: str
    words: str
    evidence: DisplayTable

    @property
    def sign(self) -> str:
        """A sign that needs no colour."""
        return SIGNS[self.colour]

    @property
    def verdict(self) -> str:
        """The colour in words."""
        return LIGHTS[self.colour]

    @property
    def text(self) -> str:
        """The line."""
        return f"{self.label}, {self.engine}: {self.verdict}. {self.words}"


def build(results: StudyResults) -> dict[str, object]:
    """What the template of this section shows."""
    table = results.tables["convergence"]
    failed = [
        f"{row['label']} ({ENGINE_NAMES[row['engine']]})"
        for row in table.to_dict("records")
        if not row["ok"]
    ]
    found = lights(results)
    return {
        "text": [sentences.convergence(failed, len(table))],
        "failed": [light for light in found if light.colour == "red"],
        "summary": _summary(results, found),
        "criticism": criticism.build(results),
        "remarked": remarks(results),
        "independent": independent.build(results),
    }


def lights(results: StudyResults) -> list[Light]:
    """One light a fit, in the order of the models."""
    checks = results.tables["checks"]
    found = []
    for row in results.tables["convergence"].to_dict("records"):
        own = checks[(checks["model"] == row["model"]) & (checks["engine"] == row["engine"])]
        colour = "red" if not row["ok"] else "amber" if row["remarked"] else "green"
        found.append(
            Light(
                row["label"],
                ENGINE_NAMES[row["engine"]],
                colour,
                row["words"],
                display(own, f"Checks of {row['label']}, {ENGINE_NAMES[row['engine']]}", _EVIDENCE),
            )
        )
    return found


def remarks(results: StudyResults) -> list[Fact]:
    """What is remarked on fits that passed: of a model once where it holds of both engines."""
    table = results.tables["convergence"]
    passed = table[table["ok"] & table["remarked"]]
    asked = set(zip(passed["model"], passed["engine"], strict=True))
    found = []
    for label, model in results.all_models:
        flags = {
            ENGINE_NAMES[engine]: results.verdicts[model.name, engine].remarks
            for engine in model.answers if (model.name, engine) in asked
        }  # fmt: skip
        said = {flag: [e for e, own in flags.items() if flag in own]
                for own in flags.values() for flag in own}  # fmt: skip
        parts = [
            flag if len(engines) > 1 else f"{engines[0]}: {flag}" for flag, engines in said.items()
        ]
        found += [Fact(label, " ".join(parts))] if parts else []
    return found


def _value(row: Record) -> str:
    """R-hat to three decimals: its limit is 1.01."""
    value = float(row["value"])
    return _fixed(value, 3) if row["check"] == "largest R-hat" else numbers.number(value)


_EVIDENCE = (
    Column("Check", "check", numeric=False),
    Column("Value", lambda row: _value(row)),
    Column("Wanted", "limit", numeric=False),
    Column("", lambda row: "ok" if row["ok"] else "NOT ok", numeric=False),
)


def _summary(results: StudyResults, found: list[Light]) -> DisplayTable:
    table = results.tables["convergence"]
    fits = zip(table["model"], table["engine"], strict=True)
    light = dict(zip(fits, found, strict=True))
    ml = table[table["engine"] == "ml"].set_index("model")
    bayes = table[table["engine"] == "bayes"].set_index("model")

    def verdict(row: Record, engine: str) -> str:
        return light[row["model"], engine].verdict

    columns = [
        Column("Model", "label", numeric=False),
        Column("Maximum likelihood", lambda row: verdict(row, "ml"), numeric=False),
        Column("Bayes", lambda row: verdict(row, "bayes"), numeric=False),
        Column("Largest R\N{NON-BREAKING HYPHEN}hat", lambda row: r_hat(bayes.loc[row["model"]])),
        Column("Smallest ESS", lambda row: _fixed(bayes.loc[row["model"], "ess"], 0)),
    ]
    note = (
        "R-hat compares chains (1 is perfect, below 1.01 wanted; exact: integrated by quadrature,"
        " without chains); ESS is the smallest effective"
        " number of independent draws (above 400 wanted); divergences and E-BFMI are checked too."
        " Maximum likelihood is judged by its gradient and curvature. How long each took:"
        " convergence.csv of longsurv report --folder."
    )
    return display(ml.reset_index(), "Verdict on every fit", columns, note, name="verdicts")


def r_hat(row: pd.Series) -> str:
    """Of a fit's row; "exact" where draws come from no chain."""
    return "exact" if row["exact"] else _fixed(row["r_hat"], 3)


def _fixed(value: float, places: int) -> str:
    return "" if value != value else numbers.fixed(value, places)
