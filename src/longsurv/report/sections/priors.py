"""Every prior of every model; those that models share in the marker's own units, said once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.priors import AT_MEANS, moments
from longsurv.report.sections.mortality_part import prior_text
from longsurv.tables.display import Column, DisplayTable, display

if TYPE_CHECKING:
    from longsurv.priors.stack import Stack
    from longsurv.study import ModelResult, StudyResults

DAGGER = "\N{DAGGER}"
INTERCEPT = "Intercept"


class _Measured(Protocol):
    """Arrays of a marker's model."""

    @property
    def y(self) -> np.ndarray:
        """Its values, on the scale of analysis."""


class _Drawn(Protocol):
    """What is used of the posterior of a marker's model."""

    @property
    def design(self) -> _Measured:
        """Arrays of the model."""

    @property
    def stack(self) -> Stack:
        """Its priors."""


def build(results: StudyResults) -> list[DisplayTable]:
    """One table for the models that share their parameters, and one for all others."""
    table = results.tables["priors"]
    if table.empty:
        return []
    brief = table["prior"].str.replace(AT_MEANS, DAGGER, regex=False)
    marked = brief != table["prior"]
    table = table.assign(prior=brief)
    parameters = table.groupby("label", sort=False)["parameter"].agg(tuple)
    measured = {
        results.cohort.markers[name].label: model for name, model in results.markers.items()
    }
    found: list[DisplayTable] = []
    others: list[str] = []
    for names in dict.fromkeys(parameters):
        labels = list(parameters.index[[p == names for p in parameters]])
        rows = table[table["label"].isin(labels)]
        note = f"{DAGGER}:{AT_MEANS}." if marked[rows.index].any() else ""
        if len(labels) > 1 and set(labels) <= set(measured):
            models = {label: measured[label] for label in labels}
            found += _shared(models, rows[rows["label"] == labels[0]], note)
            continue
        others += labels
    rows = table[table["label"].isin(others)]
    note = f"{DAGGER}:{AT_MEANS}." if marked[rows.index].any() and not found else ""
    return [*found, _own(rows, "Priors of the other models" if found else "Priors", note)]


def _own(rows: pd.DataFrame, caption: str, note: str) -> DisplayTable:
    """The priors of models one by one, parameters of one prior together."""
    rows = rows.groupby(["label", "prior"], sort=False, as_index=False)["parameter"].agg(", ".join)
    rows = rows.assign(model=rows["label"].where(~rows["label"].duplicated(), ""))
    columns = [
        Column("Model", "model", numeric=False),
        Column("Parameter", "parameter", numeric=False),
        Column("Prior", lambda row: prior_text(row["prior"]), numeric=False),
    ]
    return display(rows, caption, columns, note, name="priors")


def _shared(
    models: dict[str, ModelResult], rows: pd.DataFrame, note: str
) -> tuple[DisplayTable, DisplayTable]:
    """The priors of the markers' models in standard deviations of the marker, and those."""
    posts = {label: cast("_Drawn", model.post) for label, model in models.items()}
    units = {
        label: (post.design.y.mean(), post.design.y.std(ddof=1)) for label, post in posts.items()
    }
    of_each: dict[str, list[tuple[str, float, float]]] = {}
    for label, post in posts.items():
        middle, spread = units[label]
        for name, prior in zip(post.stack.names, post.stack.priors, strict=True):
            mean, sd = moments(prior)
            mean -= middle if name == INTERCEPT else 0.0
            kind = type(prior).__name__
            of_each.setdefault(name, []).append((kind, mean / spread, sd / spread))
    described = dict(zip(rows["parameter"], rows["prior"], strict=True))
    stack = next(iter(posts.values())).stack
    levels = {stack.names[j] for at, _ in stack.alike for j in at}
    shown = [
        {
            "parameter": _called(name) + ", any two levels" * (name in levels)
            + DAGGER * (DAGGER in described[name]),
            "kind": " or ".join(dict.fromkeys(kind for kind, _, _ in each)),
            "mean": _span([mean for _, mean, _ in each]),
            "sd": _span([sd for _, _, sd in each]),
        }
        for name, each in of_each.items()
    ]  # fmt: skip
    # What has no scale of the marker's is the same in every model.
    shown += [
        {"parameter": name, "kind": prior, "mean": "", "sd": ""}
        for name, prior in described.items() if name not in of_each
    ]  # fmt: skip
    columns = [
        Column("Parameter", "parameter", numeric=False),
        Column("Prior", "kind", numeric=False),
        Column("Mean", "mean"),
        Column("SD", "sd"),
    ]
    priors = display(
        pd.DataFrame(shown),
        "Priors of the marker models",
        columns,
        "In the marker's SDs, which are in the next table. Model by model: priors.csv of longsurv"
        f" report --folder. {note}".rstrip(),
        name="priors",
    )
    own = pd.DataFrame(
        [(label, *unit) for label, unit in units.items()], columns=["label", "mean", "sd"]
    )
    columns = [
        Column("Marker", "label", numeric=False),
        Column("Mean", lambda row: numbers.number(row["mean"])),
        Column("SD", lambda row: numbers.number(row["sd"])),
    ]
    return priors, display(own, "The markers on the scale of analysis", columns, name="scales")


def _called(name: str) -> str:
    return f"{name}, less the marker's mean" if name == INTERCEPT else name


def _span(values: Sequence[float]) -> str:
    """The least and the largest, or the one where they read alike."""
    least, most = numbers.fixed(min(values), 2), numbers.fixed(max(values), 2)
    return least if least == most else f"{least} to {most}"
