"""R's numbers beside ours, from what the tests compared (see `recorder.py`)."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

REFERENCE = Path(__file__).resolve().parents[2] / "tests" / "reference"
COLUMNS = ["model", "term", "quantity", "value"]
TITLES = {
    "lmm_basic": "Linear mixed models: lme4",
    "lmm_crossed": "Several groupings, crossed and nested: lme4, pbkrtest, lmerTest",
    "lmm_kr": "Kenward-Roger, Satterthwaite, marginal means, profiles: pbkrtest, lmerTest, emmeans",
    "lmm_residual": "Residual structures and MMRM",
    "lmm_heteroscedastic": "Residual variances by group and weights",
    "lmm_origin": "Another origin of time",
    "adjustment": "Baseline adjustment",
    "arms": "Mortality in several arms: survival, multcomp",
    "arithmetic_means": "Arithmetic means of logarithms: emmeans, numerical integration",
    "averaging": "Weights of marginal means, their combinations, slopes: emmeans",
    "demos": "Every number of both demo reports: survival, lme4, pbkrtest",
    "glmm": "Generalised mixed models: lme4, ordinal, brute-force integration",
    "glmm_counts": "Counts by mixed models: lme4, glmmTMB",
    "glmm_crossed": "Patients seen at several sites: own integration, lme4, glmmTMB",
    "glmm_means": "Marginal means of generalised mixed models: emmeans",
    "glmm_r2": "R squared of generalised mixed models: lme4, ordinal",
    "glmm_sites": "Patients nested in sites: own integration, lme4, ordinal",
    "cox_basic": "Cox models: survival",
    "cox_small": "Small samples: survival, cmprsk, coin, Firth",
    "frailty": "Site effects of Cox models: coxme, survival",
    "fine_gray": "Fine and Gray's model: survival, cmprsk",
    "gray": "Gray's test: cmprsk",
    "pool": "Pooled imputations: mice",
    "hazard_windows": "Hazard models of events between two times: survival",
    "hazard_sites": "Site effects of parametric and piecewise hazards: lme4, own integration",
    "hazard": "Parametric and piecewise hazards: survival, glm",
    "mixed_posterior": "Posteriors of a mixed model by integration: base R",
    "mortality_times": "Quantiles of survival, analyses of deviance: survival, prodlim",
    "near_ties": "Times that differ by rounding: survival",
    "ordinal_merged": "Ordinal models with merged categories, sum-to-zero contrasts: ordinal",
    "prediction_quality": "Dynamic predictions judged: riskRegression",
    "simultaneous": "Simultaneous comparisons of means: emmeans, mvtnorm",
    "subgroups": "Effects in subgroups: survival",
    "two_by_two": "Two risks compared",
    "weighted_arms": "Three arms weighted to be alike: nnet, survival, own jackknife",
    "weighted_curves": "Weighted curves and doubly robust risks: survival, mets, own jackknife",
    "weighted_log_rank": "Weighted log-rank tests, hazard ratios over time: survival, mvtnorm",
    "worst_rank": "A marker ranked with death as the worst: stats, survival, MASS, ordinal",
}


def shown(value: float) -> str:
    """A number to eight significant digits."""
    return f"{value:.8g}"


def relative(ours: float, theirs: float) -> float:
    """The difference relative to R's value."""
    return abs(ours - theirs) / abs(theirs)


def size(value: float) -> str:
    """A relative difference, or that there is none."""
    return "0" if value == 0 else f"{value:.0e}"


def files() -> dict[str, pd.DataFrame]:
    """Every reference table of R's, by the name of its file."""
    found = {}
    for path in sorted(REFERENCE.glob("*.csv")):
        table = pd.read_csv(path, keep_default_na=False)
        if list(table.columns) == COLUMNS:
            found[path.stem] = table
    return found


def write(folder: Path, recorded: Path) -> int:
    """Write a page for each file of references and one over all; returns the numbers compared.

    Parameters
    ----------
    folder : Path
        The sources of the site.
    recorded : Path
        What `recorder.py` wrote.
    """
    compared = pd.read_csv(recorded, keep_default_na=False)
    compared["relative"] = [
        relative(o, r) for o, r in zip(compared["ours"], compared["r"], strict=True)
    ]
    references = files()
    unknown = set(references) - set(TITLES)
    if unknown:
        raise SystemExit(f"docs/site/validation.py has no title for {sorted(unknown)}")
    (folder / "validation").mkdir(exist_ok=True)
    rows = []
    for name, title in TITLES.items():
        mine = compared[compared["file"] == name]
        if mine.empty:
            raise SystemExit(f"no test compares anything with tests/reference/{name}.csv")
        (folder / "validation" / f"{name}.md").write_text(one(title, name, mine), encoding="utf-8")
        there = references[name]
        worst = mine.loc[mine["relative"].idxmax()]
        rows.append(
            f"| [{title}]({name}.md) | {there['model'].nunique()} | {len(there):,}"
            f" | {len(mine):,} |"
            f" {size(mine['relative'].median())} | {size(worst['relative'])} |"
        )
    text = OVERVIEW.format(
        models=sum(t["model"].nunique() for t in references.values()),
        numbers=f"{sum(map(len, references.values())):,}",
        compared=f"{len(compared):,}",
        close=f"{(compared['relative'] < 1e-6).mean():.1%}",
        rows="\n".join(rows),
        pages="\n".join(TITLES),
    )
    (folder / "validation" / "references.md").write_text(text, encoding="utf-8")
    return len(compared)


def one(title: str, name: str, rows: pd.DataFrame) -> str:
    """The page of one file of references."""
    lines = [
        f"# {title}\n",
        f"`tests/reference/{name}.csv`: R's value, ours and the relative difference, and the test"
        " that holds the two together. `tests/reference/README.md` says which package and version"
        " made each, and the script beside it how.\n",
    ]
    for model, part in rows.groupby("model", sort=False):
        worst = part["relative"].max()
        lines += [
            f":::{{dropdown}} {model}: {len(part)} numbers, largest relative difference"
            f" {size(worst)}",
            "| quantity | term | R | longsurv | relative difference |", "|---|---|---:|---:|---:|",
        ]  # fmt: skip
        lines += [
            f"| {escaped(q)} | {escaped(t)} | {shown(r)} | {shown(o)} | {size(d)} |"
            for q, t, r, o, d in zip(
                part["quantity"],
                part["term"],
                part["r"],
                part["ours"],
                part["relative"],
                strict=True,
            )
        ]
        tests = sorted({test.partition("[")[0] for test in part["test"]})
        lines += ["", "Held by " + ", ".join(f"`{test}`" for test in tests) + ".", ":::\n"]
    return "\n".join(lines)


def escaped(text: str) -> str:
    """A name in a cell of a table."""
    return f"`{text}`".replace("|", "\\|") if text else ""


OVERVIEW = """# Every R reference beside ours

{models} models and tables were computed in R, {numbers} numbers in all; the scripts are in
`tests/reference`. The tests compare longsurv with them. This page is what those tests compared when
the documentation was built: of {compared} numbers R's value, ours, and how far they are apart
relative to R's. {close} of them agree to better than one part in a million. Where they do not, R's
own value has fewer digits: it comes from numerical derivatives, from a search that stops early or
from an approximation of its own; `tests/reference/README.md` says which.

Not in these tables are whole numbers (counts and events, which are tested for equality), missing
and infinite values, and numbers that a test changes before it compares, as a difference of two.

| what | models | numbers of R | shown here | median difference | largest |
|---|---:|---:|---:|---:|---:|
{rows}

```{{toctree}}
:hidden:

{pages}
```
"""
