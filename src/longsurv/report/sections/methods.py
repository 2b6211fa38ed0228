"""What was fitted, with which priors, software and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.report import sentences_answer
from longsurv.report.sections import equations, priors
from longsurv.report.sections.common import Fact
from longsurv.study.lead import leads
from longsurv.study.sites import site_words
from longsurv.study.truncated_stage import TRUNCATED, TruncatedPart
from longsurv.tables.display import Column, display
from longsurv.words import listed, plural

if TYPE_CHECKING:
    from longsurv.study import StudyResults


def build(results: StudyResults) -> dict[str, object]:
    """What the template of this section shows."""
    models = results.tables["models"]
    columns = [
        Column("Model", "label", numeric=False),
        Column("Formula", "formula", numeric=False),
        Column("Maximum likelihood", "ml", numeric=False),
        Column("Bayes", "bayes", numeric=False),
    ]
    alike = [_of_the_same(*row) for row in zip(models["ml"], models["bayes"], strict=True)]
    rows = _grouped(models.assign(bayes=alike), ["formula", "ml", "bayes"])
    return {
        "text": [aims(results), text(results), *further(results)],
        "missing": missing(results),
        "equations": equations.build(results),
        "models": display(rows, "Models fitted", columns, name="models"),
        "priors": priors.build(results),
        "facts": facts(results),
        "references": references(results),
    }


def aims(results: StudyResults) -> str:
    """Which outcomes the study was made for."""
    named, markers = results.study.aims, results.cohort.markers
    labels = [markers[n].label if n in markers else n for n in (named.primary, *named.secondary)]
    return sentences_answer.aims(labels[0], labels[1:], named.prespecified)


def text(results: StudyResults) -> str:
    """The methods in a few sentences."""
    sampling = results.study.sampling
    return (
        "Both engines use one likelihood for each model, with the random effects integrated out."
        " Maximum likelihood reports confidence intervals; Bayes adds the priors below and"
        f" samples the posterior with the No-U-Turn sampler ({sampling.chains} chains of"
        f" {sampling.draws:,} draws after warm-up), reporting posterior means and equal-tailed"
        " credible intervals. P-values are two-sided."
    )


def missing(results: StudyResults) -> str:
    """How many values the models lack, in which pattern, and what leaving them out assumes."""
    if not results.markers:
        return ""
    parts = [
        "Missing values of markers are not filled in: a mixed model uses every value there is.",
        _lacking(results),
        "That is right if whether a value is missing depends on what was observed and is in the"
        " model (missing at random), and wrong if it depends on the value itself; the data cannot"
        " tell which.",
    ]
    if results.cohort.event_name == "death":
        parts.append(
            "A value after death does not exist: what is estimated is the course while patients"
            " were alive and followed."
            + (" What other questions answer stands beside it." if _cut_short(results) else "")
        )
    return " ".join(part for part in parts if part)


def _cut_short(results: StudyResults) -> bool:
    """Whether markers were also compared with death as an outcome."""
    part: TruncatedPart | None = results.parts.get(TRUNCATED)
    return part is not None and not part.table.empty


def _lacking(results: StudyResults) -> str:
    """How many values are missing, of patients without any and of those with some."""
    schema, everyone = results.cohort.schema, len(results.cohort.patients)
    models = results.markers.values()
    without = [everyone - model.data[schema.patient].nunique() for model in models]
    if not schema.phases:
        most = max(without)
        return (
            f"For {plural(most, 'patient')}, in the marker most often missing, there is no value at"
            " all."
            if most
            else "Every patient has a value of every marker."
        )
    phases = len(schema.phases)
    by = [schema.patient, "phase"]
    there = [model.data.groupby(by, observed=True).ngroups for model in models]
    wanted = everyone * phases * len(there)
    lacking = wanted - sum(there)
    asked = (
        f"{wanted:,} values wanted ({plural(everyone, 'patient')}, {plural(phases, 'phase')},"
        f" {plural(len(there), 'marker')})"
    )
    if not lacking:
        return f"None of {asked} is missing."
    never = phases * sum(without)
    return (
        f"Of {asked} {lacking:,} {'is' if lacking == 1 else 'are'} missing: {never:,} of patients"
        f" without any value of that marker, {lacking - never:,} of patients who have one in"
        " another phase."
    )


def _reason(part: object) -> str:
    """Why a part has no answer; a table, which may have a column of that name, has one."""
    reason = getattr(part, "reason", "")
    return reason if isinstance(reason, str) else ""


def further(results: StudyResults) -> list[str]:
    """What else was done and is not said where its answer stands, nor among the equations."""
    cohort, parts = results.cohort, results.parts
    done = {key for key, part in parts.items() if key not in results.failures and not _reason(part)}
    named = [cohort.labels.get(name, name) for name in cohort.schema.covariates]
    covariates = listed(named) or "no covariate"
    found = {
        "adjustments": "Differences in change were also estimated by analysis of covariance on the"
        f" baseline value, and with overlap weights from a propensity model in {covariates} and the"
        " baseline value (sandwich variance; Bayesian bootstrap).",
        "truncated": "Deaths and the markers: Wilcoxon's rank sum test, the probability index with"
        " Brunner and Munzel's interval, and proportional odds, death being the worst outcome.",
    }
    out = [text for key, text in found.items() if key in done]
    if words := site_words(cohort, results.study.models.mortality):
        out.append(words)
    if by := results.study.models.residual_by:
        out.append(
            f"In the markers' trajectories each group of {cohort.label(by)} has a residual standard"
            " deviation of its own; the model of values beyond a limit has one for all."
        )
    return out


def _of_the_same(ml: str, bayes: str) -> str:
    """How a posterior was found, without what its likelihood's maximum ends with, too."""
    parts, others = bayes.split(", "), ml.split(", ")
    while len(parts) > 1 and others and parts[-1] == others[-1]:
        parts.pop()
        others.pop()
    return ", ".join(parts)


def _grouped(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Rows that say the same, once, with the labels of all."""
    return table.groupby(by, sort=False, as_index=False)["label"].agg(", ".join)


def facts(results: StudyResults) -> list[Fact]:
    """Seed, data, software, time."""
    sampling = results.study.sampling
    versions = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    return [
        Fact(
            "Seed", f"{sampling.seed} (each model's own seed follows from it and the model's name)"
        ),
        Fact("Data, SHA-256", results.data_hash),
        Fact("Time taken", numbers.seconds(results.seconds)),
        Fact("Software", versions),
    ]


def references(results: StudyResults) -> list[str]:
    """The papers behind what was fitted, in alphabetical order."""
    methods = " ".join(results.tables["models"][["ml", "bayes"]].to_numpy().ravel())
    design = "randomised" if results.cohort.randomised else "observational"
    parts = [key for key, part in results.parts.items() if _says_something(part)]
    if any(lead.adjusted for lead in leads(results)):
        parts.append("regression to the mean")
    if any(its.parts.get("methods", {}).get("adjust") for its in results.each):
        parts.append("standardised")
    if "methods" in parts:  # of which Firth's penalty is one
        parts.append("Firth's")
    words = f"{methods} {_ALWAYS} {' '.join(parts)} {design}"
    return sorted(text for key, text in _REFERENCES.items() if key in words)


def _says_something(part: object) -> bool:
    """Whether what a stage left behind has an answer in it, and not only why it has none."""
    if isinstance(part, pd.DataFrame):
        return not part.empty
    return not getattr(part, "reason", "")


_ALWAYS = "guidelines multiplicity proportions"
# By a word of the methods' names, a part of the run or the design; some are in every report. What
# each is for stands in place of its title.
_REFERENCES = {
    "REML": "Laird NM, Ware JH (1982). Biometrics 38:963-974: mixed models.",
    "Kenward": "Kenward MG, Roger JH (1997). Biometrics 53:983-997: their degrees of freedom.",
    "partial likelihood": "Cox DR (1972). J R Stat Soc B 34:187-220: proportional hazards.",
    "criticism": "Grambsch PM, Therneau TM (1994). Biometrika 81:515-526: test of proportional"
    " hazards. Gelman A, Meng XL, Stern H (1996). Stat Sinica 6:733-807: predictive checks.",
    "adjusted_curves": "Cole SR, Hernan MA (2004). Comput Methods Programs Biomed 75:45-49:"
    " weighted curves.",
    "Efron": "Efron B (1977). J Am Stat Assoc 72:557-565: tied times.",
    "Firth": "Heinze G, Schemper M (2001). Biometrics 57:114-119: Firth's penalty in Cox models.",
    "NUTS": "Hoffman MD, Gelman A (2014). J Mach Learn Res 15:1593-1623: the sampler.",
    "joint": "Rizopoulos D (2012). Joint Models for Longitudinal and Time-to-Event Data. Chapman &"
    " Hall/CRC.",
    "adjustments": "Li F, Morgan KL, Zaslavsky AM (2018). J Am Stat Assoc 113:390-400: overlap"
    " weights.",
    "imputed": "Carpenter JR, Roger JH, Kenward MG (2013). J Biopharm Stat 23:1352-1371: imputing"
    " under stated assumptions.",
    "truncated": "Lachin JM (1999). Control Clin Trials 20:408-422: death as the worst rank.",
    "beyond": "Hughes JP (1999). Biometrics 55:625-629: mixed models of censored values.",
    "regression to the mean": "Bland JM, Altman DG (1994). BMJ 308:1499: regression to the mean.",
    "carried": "Vittinghoff E, McCulloch CE (2007). Am J Epidemiol 165:710-718: events for each"
    " covariate.",
    "independent": "Davidson-Pilon C (2019). J Open Source Softw 4:1317: lifelines. Seabold S,"
    " Perktold J (2010). Proc 9th Python Sci Conf: statsmodels.",
    "standardised": "Cheng SC, Fine JP, Wei LJ (1998). Biometrics 54:219-228: predicted incidence.",
    "panel": "Gelman A, Hill J, Yajima M (2012). J Res Educ Eff 5:189-211: shrinkage.",
    "competing": "Gray RJ (1988). Ann Stat 16:1141-1154: test of cumulative incidences.",
    "tipping": "Miettinen O, Nurminen M (1985). Stat Med 4:213-226: difference of two risks.",
    "proportions": "Newcombe RG (1998). Stat Med 17:873-890: difference of proportions.",
    "Firth's": "Firth D (1993). Biometrika 80:27-38: penalised likelihood.",
    "methods": "Zou GY, Donner A (2008). Stat Med 27:1693-1702: limits of a difference from two.",
    "priors": "Kallioinen N, Paananen T, Burkner PC, Vehtari A (2024). Stat Comput 34:57: prior"
    " against data.",
    "observational": "VanderWeele TJ, Ding P (2017). Ann Intern Med 167:268-274: E-value. von Elm"
    " E, et al. (2007). Lancet 370:1453-1457: STROBE.",
    "randomised": "Schulz KF, Altman DG, Moher D (2010). BMJ 340:c332: CONSORT.",
    "guidelines": "Kruschke JK (2021). Nat Hum Behav 5:1282-1291: BARG.",
    "multiplicity": "Benjamini Y, Hochberg Y (1995). J R Stat Soc B 57:289-300: false discovery"
    " rate.",
    "marginal likelihood": "Vehtari A, et al. (2021). Bayesian Anal 16:667-718: R-hat.",
}
