"""What was fitted, with which priors, software and seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from longsurv import numbers
from longsurv.priors import TREATMENT
from longsurv.report.guidelines import BARG, STROBE, Item
from longsurv.report.sections.common import Fact
from longsurv.report.sections.titles import TITLES
from longsurv.tables.display import Column, DisplayTable, display
from longsurv.words import listed

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
        "text": [text(results), *further(results)],
        "models": display(_grouped(models, ["formula", "ml", "bayes"]), "Models fitted", columns),
        "priors": _priors(results),
        "facts": facts(results),
        "guidelines": [_guideline("BARG", BARG), _guideline("STROBE (cohort studies)", STROBE)],
        "references": references(results),
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


def further(results: StudyResults) -> list[str]:
    """What else was done, a sentence for each part of the run that has an answer."""
    cohort, parts = results.cohort, results.parts
    done = {
        key
        for key, part in parts.items()
        if key not in results.failures and not getattr(part, "reason", "")
    }
    covariates = listed(list(cohort.schema.baseline_covariates)) or "no covariate"
    found = {
        "adjustments": "Differences in change were also estimated by analysis of covariance on the"
        f" baseline value, and with overlap weights from a propensity model in {covariates} and the"
        " baseline value (sandwich variance; Bayesian bootstrap).",
        "panel": "Within a family of at least three markers effects were shrunken by a hierarchical"
        " model in baseline standard deviations: mean Normal(0, 1), spread half-normal with scale"
        " 0.5.",
        "scores": "Scores with a cut-off: logistic and cumulative-logit mixed models by adaptive"
        " quadrature, averaged over patients.",
        "priors": "The log hazard ratio was also given the priors "
        + listed([f"{name} {prior}" for name, prior in TREATMENT.items()])
        + ".",
        "competing": "Cumulative incidence: Aalen-Johansen with Gray's test; its posterior from"
        " independent gamma-process hazards of every cause.",
        "tipping": "Unseen deaths: the two risks are independent, each with Jeffreys' prior"
        " Beta(0.5, 0.5).",
        "joint": "Joint models: the hazard depends on the current value of the marker's curve;"
        " random effects integrated out by adaptive Gauss-Hermite quadrature.",
    }
    return [text for key, text in found.items() if key in done]


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


def _guideline(name: str, items: Sequence[Item]) -> DisplayTable:
    """A guideline's items, and the section that answers each."""
    rows = pd.DataFrame(
        [(item.number, item.name, TITLES.get(item.section, ""), item.what) for item in items],
        columns=["number", "name", "section", "what"],
    )
    columns = [
        Column("Item", "number", numeric=False),
        Column("About", "name", numeric=False),
        Column("Section", lambda row: row["section"] or "not in this report", numeric=False),
        Column("What is there", "what", numeric=False, prose=True),
    ]
    return display(rows, f"{name}: where each item is answered", columns)


def references(results: StudyResults) -> list[str]:
    """The papers behind what was fitted, in alphabetical order."""
    methods = " ".join(results.tables["models"][["ml", "bayes"]].to_numpy().ravel())
    words = f"{methods} {_ALWAYS} {' '.join(results.parts)}"
    return sorted(text for key, text in _REFERENCES.items() if key in words)


_ALWAYS = "guidelines multiplicity"
# By a word of the methods' names or a part of the run; two are in every report.
_REFERENCES = {
    "REML": "Laird NM, Ware JH (1982). Random-effects models for longitudinal data. Biometrics"
    " 38:963-974.",
    "Kenward": "Kenward MG, Roger JH (1997). Small sample inference for fixed effects from"
    " restricted maximum likelihood. Biometrics 53:983-997.",
    "partial likelihood": "Cox DR (1972). Regression models and life-tables. J R Stat Soc B"
    " 34:187-220.",
    "Efron": "Efron B (1977). The efficiency of Cox's likelihood function for censored data. J Am"
    " Stat Assoc 72:557-565.",
    "Firth": "Heinze G, Schemper M (2001). A solution to the problem of monotone likelihood in Cox"
    " regression. Biometrics 57:114-119.",
    "NUTS": "Hoffman MD, Gelman A (2014). The No-U-Turn sampler. J Mach Learn Res 15:1593-1623.",
    "joint": "Rizopoulos D (2012). Joint Models for Longitudinal and Time-to-Event Data. Chapman &"
    " Hall/CRC.",
    "adjustments": "Li F, Morgan KL, Zaslavsky AM (2018). Balancing covariates via propensity score"
    " weighting. J Am Stat Assoc 113:390-400.",
    "panel": "Gelman A, Hill J, Yajima M (2012). Why we (usually) don't have to worry about"
    " multiple comparisons. J Res Educ Eff 5:189-211.",
    "competing": "Gray RJ (1988). A class of K-sample tests for comparing the cumulative incidence"
    " of a competing risk. Ann Stat 16:1141-1154.",
    "tipping": "Miettinen O, Nurminen M (1985). Comparative analysis of two rates. Stat Med"
    " 4:213-226.",
    "guidelines": "Kruschke JK (2021). Bayesian analysis reporting guidelines. Nat Hum Behav"
    " 5:1282-1291.",
    "multiplicity": "Benjamini Y, Hochberg Y (1995). Controlling the false discovery rate. J R Stat"
    " Soc B 57:289-300.",
    "marginal likelihood": "Vehtari A, et al. (2021). Rank-normalization, folding, and"
    " localization: an improved R-hat. Bayesian Anal 16:667-718.",
}
