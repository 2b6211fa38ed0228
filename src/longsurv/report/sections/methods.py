"""What was fitted, with which priors, software and seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from longsurv import numbers
from longsurv.priors import TREATMENT
from longsurv.report import sentences_answer
from longsurv.report.sections import equations, priors
from longsurv.report.sections.common import Fact
from longsurv.report.sections.mortality_part import prior_text
from longsurv.study.beyond import counted_beyond
from longsurv.study.lead import leads
from longsurv.study.marker_stages import ScorePart
from longsurv.study.sites import site_words
from longsurv.study.truncated_stage import TRUNCATED, TruncatedPart
from longsurv.tables.display import Column, display
from longsurv.words import capital, listed, plural

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
    rows = _grouped(models, ["formula", "ml", "bayes"])
    return {
        "text": [aims(results), text(results), likelihoods(results), *further(results)],
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
        " credible intervals. All intervals are 95 %. P-values are two-sided."
    )


def likelihoods(results: StudyResults) -> str:
    """What each kind of model takes its response for."""
    found = []
    if results.markers:
        found.append(
            "a marker, on the scale given in the table of measurements, is normal around its mean,"
            " with normal random effects of the patient"
            + (" and of the site" if results.cohort.schema.site is not None else "")
            + (
                ", and beyond a limit counts by the probability of lying there"
                if counted_beyond(results)
                else ""
            )
        )
    kinds = {
        kind for score in results.part_of("scores", ScorePart()).scores for kind in score.models
    }
    words = {
        "binary": "being at a cut-off or beyond is Bernoulli on the logit scale",
        "ordinal": "a score's categories are cumulative on the logit scale (proportional odds)",
    }
    found += [text for kind, text in words.items() if kind in kinds]
    event = results.cohort.event_name
    found.append(
        f"the hazard of {event} is proportional between patients and otherwise left free (partial"
        " likelihood)"
    )
    if "joint" in results.parts and getattr(results.parts["joint"], "results", None):
        found.append(
            "in a joint model the marker is normal around its curve, and the hazard is that curve's"
            " with a smooth baseline"
        )
    return f"{capital('; '.join(found))}."


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
    """What else was done, a sentence for each part of the run that has an answer."""
    cohort, parts = results.cohort, results.parts
    done = {key for key, part in parts.items() if key not in results.failures and not _reason(part)}
    named = [cohort.labels.get(name, name) for name in cohort.schema.covariates]
    covariates = listed(named) or "no covariate"
    found = {
        "adjustments": "Differences in change were also estimated by analysis of covariance on the"
        f" baseline value, and with overlap weights from a propensity model in {covariates} and the"
        " baseline value (sandwich variance; Bayesian bootstrap).",
        "imputed": "Missing values were imputed from the mixed model's posterior, those of a group"
        " moved by up to two standard deviations, and the answers pooled by Rubin's rules.",
        "panel": "Within a family of at least three markers effects were shrunken by a hierarchical"
        " model in baseline standard deviations: mean Normal(0, 1), spread half-normal with scale"
        " 0.5.",
        "scores": "Scores with a cut-off: logistic and cumulative-logit mixed models by adaptive"
        " quadrature, averaged over patients.",
        "priors": "The log hazard ratio was also given the priors "
        + listed([f"{name} {prior_text(str(prior))}" for name, prior in TREATMENT.items()])
        + ".",
        "competing": "Cumulative incidence: Aalen-Johansen with Gray's test; its posterior from"
        " independent gamma-process hazards of every cause.",
        "tipping": "Unseen events: the two risks are independent, each with Jeffreys' prior"
        " Beta(0.5, 0.5).",
        "truncated": "Deaths and the markers: Wilcoxon's rank sum test, the probability index with"
        " Brunner and Munzel's interval, and proportional odds, death being the worst outcome.",
        "joint": "Joint models: the hazard depends on the current value of the marker's curve;"
        " random effects integrated out by adaptive Gauss-Hermite quadrature.",
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
        Fact(
            "Draws", f"{sampling.chains} \N{MULTIPLICATION SIGN} {sampling.draws:,} for every model"
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
# By a word of the methods' names, a part of the run or the design; some are in every report.
_REFERENCES = {
    "REML": "Laird NM, Ware JH (1982). Random-effects models for longitudinal data. Biometrics"
    " 38:963-974.",
    "Kenward": "Kenward MG, Roger JH (1997). Small sample inference for fixed effects from"
    " restricted maximum likelihood. Biometrics 53:983-997.",
    "partial likelihood": "Cox DR (1972). Regression models and life-tables. J R Stat Soc B"
    " 34:187-220.",
    "criticism": "Grambsch PM, Therneau TM (1994). Proportional hazards tests and diagnostics based"
    " on weighted residuals. Biometrika 81:515-526. Gelman A, Meng XL, Stern H (1996). Posterior"
    " predictive assessment of model fitness via realized discrepancies. Stat Sinica 6:733-807.",
    "adjusted_curves": "Cole SR, Hernan MA (2004). Adjusted survival curves with inverse"
    " probability weights. Comput Methods Programs Biomed 75:45-49.",
    "Efron": "Efron B (1977). The efficiency of Cox's likelihood function for censored data. J Am"
    " Stat Assoc 72:557-565.",
    "Firth": "Heinze G, Schemper M (2001). A solution to the problem of monotone likelihood in Cox"
    " regression. Biometrics 57:114-119.",
    "NUTS": "Hoffman MD, Gelman A (2014). The No-U-Turn sampler. J Mach Learn Res 15:1593-1623.",
    "joint": "Rizopoulos D (2012). Joint Models for Longitudinal and Time-to-Event Data. Chapman &"
    " Hall/CRC.",
    "adjustments": "Li F, Morgan KL, Zaslavsky AM (2018). Balancing covariates via propensity score"
    " weighting. J Am Stat Assoc 113:390-400.",
    "imputed": "Carpenter JR, Roger JH, Kenward MG (2013). Analysis of longitudinal trials with"
    " protocol deviation: a framework for relevant, accessible assumptions, and inference via"
    " multiple imputation. J Biopharm Stat 23:1352-1371.",
    "truncated": "Lachin JM (1999). Worst-rank score analysis with informatively missing"
    " observations in clinical trials. Control Clin Trials 20:408-422.",
    "beyond": "Hughes JP (1999). Mixed effects models with censored data with application to HIV"
    " RNA levels. Biometrics 55:625-629.",
    "regression to the mean": "Bland JM, Altman DG (1994). Regression towards the mean. BMJ"
    " 308:1499.",
    "carried": "Vittinghoff E, McCulloch CE (2007). Relaxing the rule of ten events per variable in"
    " logistic and Cox regression. Am J Epidemiol 165:710-718.",
    "independent": "Davidson-Pilon C (2019). lifelines: survival analysis in Python. J Open Source"
    " Softw 4:1317. Seabold S, Perktold J (2010). statsmodels: econometric and statistical modeling"
    " with Python. Proc 9th Python Sci Conf.",
    "standardised": "Cheng SC, Fine JP, Wei LJ (1998). Prediction of cumulative incidence function"
    " under the proportional hazards model. Biometrics 54:219-228.",
    "panel": "Gelman A, Hill J, Yajima M (2012). Why we (usually) don't have to worry about"
    " multiple comparisons. J Res Educ Eff 5:189-211.",
    "competing": "Gray RJ (1988). A class of K-sample tests for comparing the cumulative incidence"
    " of a competing risk. Ann Stat 16:1141-1154.",
    "tipping": "Miettinen O, Nurminen M (1985). Comparative analysis of two rates. Stat Med"
    " 4:213-226.",
    "proportions": "Newcombe RG (1998). Interval estimation for the difference between independent"
    " proportions. Stat Med 17:873-890.",
    "Firth's": "Firth D (1993). Bias reduction of maximum likelihood estimates. Biometrika"
    " 80:27-38.",
    "methods": "Zou GY, Donner A (2008). Construction of confidence limits about effect measures: a"
    " general approach. Stat Med 27:1693-1702.",
    "priors": "Kallioinen N, Paananen T, Burkner PC, Vehtari A (2024). Detecting and diagnosing"
    " prior and likelihood sensitivity with power-scaling. Stat Comput 34:57.",
    "observational": "VanderWeele TJ, Ding P (2017). Sensitivity analysis in observational"
    " research: introducing the E-value. Ann Intern Med 167:268-274. von Elm E, et al. (2007). The"
    " STROBE statement: guidelines for reporting observational studies. Lancet 370:1453-1457.",
    "randomised": "Schulz KF, Altman DG, Moher D (2010). CONSORT 2010 statement: updated guidelines"
    " for reporting parallel group randomised trials. BMJ 340:c332.",
    "guidelines": "Kruschke JK (2021). Bayesian analysis reporting guidelines. Nat Hum Behav"
    " 5:1282-1291.",
    "multiplicity": "Benjamini Y, Hochberg Y (1995). Controlling the false discovery rate. J R Stat"
    " Soc B 57:289-300.",
    "marginal likelihood": "Vehtari A, et al. (2021). Rank-normalization, folding, and"
    " localization: an improved R-hat. Bayesian Anal 16:667-718.",
}
