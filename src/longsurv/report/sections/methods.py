"""What was fitted, with which priors, software and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from longsurv.report import numbers
from longsurv.report.sections.common import Fact
from longsurv.report.tables.display import Column, DisplayTable, display

if TYPE_CHECKING:
    from longsurv.study import StudyResults


def build(results: StudyResults) -> dict[str, Any]:
    """What the template of this section shows."""
    models = results.tables["models"]
    columns = [
        Column("Model", "label", numeric=False),
        Column("Formula", "formula", numeric=False),
        Column("Maximum likelihood", "ml", numeric=False),
        Column("Bayes", "bayes", numeric=False),
    ]
    return {
        "text": [text(results)],
        "models": display(_grouped(models, ["formula", "ml", "bayes"]), "Models fitted", columns),
        "priors": _priors(results),
        "facts": facts(results),
    }


def text(results: StudyResults) -> str:
    """The methods in a few sentences."""
    sampling = results.study.sampling
    return (
        "Both engines use one likelihood for each model, with the random effects integrated out."
        " Maximum likelihood reports confidence intervals; Bayes adds the priors below and"
        f" samples the posterior with the No-U-Turn sampler ({sampling.chains} chains of"
        f" {sampling.draws:,} draws after warm-up), reporting posterior means and equal-tailed"
        " credible intervals. All intervals are 95 %. P-values are two-sided."
    )


def _grouped(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows that say the same, once, with the labels of all."""
    return table.groupby(by, sort=False, as_index=False)["label"].agg(", ".join)


def _priors(results: StudyResults) -> list[DisplayTable]:
    """One table for the models that share their parameters: a row a model, a column a parameter."""
    table = results.tables["priors"]
    if table.empty:
        return []
    parameters = table.groupby("label", sort=False)["parameter"].agg(tuple)
    found = []
    for names in dict.fromkeys(parameters):
        labels = parameters.index[[p == names for p in parameters]]
        wide = (
            table[table["label"].isin(labels)]
            .pivot(index="label", columns="parameter", values="prior")
            .loc[labels]
            .reset_index()
        )
        columns = [
            Column("Model", "label", numeric=False),
            *(Column(name, name, numeric=False) for name in names),
        ]
        found.append(
            display(
                wide,
                f"Priors: {', '.join(labels)}"
                if len(labels) == 1
                else "Priors of the marker models",
                columns,
                "Scaled to each marker's standard deviation unless stated otherwise."
                if len(labels) > 1
                else "",
            )
        )
    return found


def facts(results: StudyResults) -> list[Fact]:
    """Seed, data, software, time."""
    sampling = results.study.sampling
    versions = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    return [
        Fact(
            "Seed", f"{sampling.seed} (each model's own seed follows from it and the model's name)"
        ),
        Fact(
            "Draws", f"{sampling.chains} \N{MULTIPLICATION SIGN} {sampling.draws:,} for every model"
        ),
        Fact("Data, SHA-256", results.data_hash),
        Fact("Time taken", numbers.seconds(results.seconds)),
        Fact("Software", versions),
    ]
