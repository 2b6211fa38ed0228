"""Four people at work, from the public names alone: the notebooks that they would write.

`make docs` runs each in a kernel of its own, headless, with nbclient; here their cells are run one
after another, and what came of them is looked at. What they stumble over is said in the notebook.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from support.lengths import lengths

import longsurv as ls
from longsurv.cli import main

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "examples" / "notebooks"
PERSONS = ("clinician", "r_user", "bayesian", "researcher")


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LONGSURV_REFERENCE", str(ROOT / "tests" / "reference"))
    yield
    plt.close("all")


def cells(person: str) -> list[dict[str, object]]:
    text = (NOTEBOOKS / f"person_{person}.ipynb").read_text(encoding="utf-8")
    found: list[dict[str, object]] = json.loads(text)["cells"]
    return found


def worked(person: str, *changes: tuple[str, str]) -> dict[str, object]:
    """The names that a person's cells leave; with pieces of them changed."""
    left: dict[str, object] = {"main": main}
    for cell in cells(person):
        if cell["cell_type"] == "code":
            code = "".join(cell["source"])  # type: ignore[arg-type]
            code = re.sub(r"^!longsurv (.*)$", r"assert main('\1'.split()) == 0", code)
            for old, new in changes:
                code = code.replace(old, new)
            exec(compile(code, f"person_{person}", "exec"), left)
    return left


@pytest.mark.parametrize("person", PERSONS)
def test_a_notebook_asks_for_public_names_alone_and_says_where_one_stumbles(person: str) -> None:
    found = cells(person)
    code = "\n".join("".join(c["source"]) for c in found if c["cell_type"] == "code")  # type: ignore[arg-type]
    imported = [line for line in code.splitlines() if "import" in line and "longsurv" in line]
    public = ("import longsurv as ls", "from longsurv import priors", "from longsurv.models import")
    assert imported and all(line.startswith(public) for line in imported)
    assert "stumbles.**" in "".join(found[-1]["source"])  # type: ignore[arg-type]
    assert all(not c.get("outputs") for c in found), "clear the outputs: the page is executed"


def test_a_clinician_with_a_spreadsheet() -> None:
    """Two sheets of Excel; a check, a figure and a table for the paper in Word."""
    left = worked("clinician")
    death, marker = left["death"], left["marker"]
    assert marker.unit == "mg/L" and marker.transform == "log"
    assert "hazard ratio" in str(death.summary())
    assert sum(left["cohort"].n_by_group.values()) == 40
    assert Path("table 2.docx").stat().st_size > 5_000 and Path("figure 1.png").exists()
    text = Path("study.toml").read_text(encoding="utf-8")
    assert "# horizon" in text and "\n# randomised = true" in text


def test_somebody_who_knows_r() -> None:
    """Sleepstudy by lme4's names; the numbers are those of summary(lmer(...))."""
    left = worked("r_user")
    fit, answers = left["fit"], left["answers"]
    assert fit.params["Days"] == pytest.approx(10.46729, abs=2e-5)
    assert fit.bse["Days"] == pytest.approx(1.545790, abs=2e-5)
    assert fit.tvalues["Days"] == pytest.approx(6.771, abs=1e-3)
    assert fit.llf == pytest.approx(-871.8141, abs=1e-4)  # REML, as logLik
    assert left["here"] == pytest.approx(left["r"], abs=6e-4)
    for typed, here in {
        "fixef": "params", "vcov": "cov_params()", "confint": "conf_int()", "AIC": "aic",
        "VarCorr": "random_cov", "logLik": "llf", "resid": "residuals()",
        "emmeans": "means(variables)",
    }.items():  # fmt: skip
        assert here in answers[typed]
    assert 'write method="REML" or method="ML"' in left["told"]
    assert fit.random_cov.loc["Days", "Days"] == pytest.approx(35.07, abs=0.01)
    assert list(fit.anova()["term"]) == ["Days"] and "Days & 10.47" in fit.to_latex()


def test_a_bayesian_with_priors_of_her_own() -> None:
    """Own priors, ArviZ's tables and figures of the draws, and the model to extend in PyMC."""
    left = worked("bayesian")
    post, mine = left["post"], left["mine"]
    assert post.priors["Days"] == mine["Days"] and "Normal(0, 5)" in str(post.summary())
    assert left["forest"] is not None and np.isfinite(post.loo().elpd)
    with pytest.raises(ls.LongsurvError, match="prob_positive: a posterior has no p value"):
        _ = post.pvalues
    assert {"extra", "sigma"} <= set(left["names"])
    assert left["table"].set_index("term").loc["Days", "verdict"] in ("agree", "prior pulls")


@lengths("cohorts", short=60, long=2000)
def test_a_methods_researcher_with_a_loop(cohorts: int) -> None:
    """How often does Firth's interval hold the truth with few deaths? No setting, one loop."""
    few = [("range(50)", "range(5)")] if cohorts < 2000 else []
    began = time.process_time()
    left = worked("researcher", ("cohorts = 2_000", f"cohorts = {cohorts}"), *few)
    seconds = time.process_time() - began
    covered, truth = left["covered"], left["truth"]
    assert len(covered) == cohorts
    assert covered.mean() == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / cohorts) + 0.01)
    assert left["found"]["estimate"].median() == pytest.approx(truth, abs=0.25)
    assert cohorts < 2000 or seconds / cohorts < 0.1  # of one core, where it takes 5 ms
    first = next("".join(c["source"]) for c in cells("researcher") if c["cell_type"] == "code")
    lines = [line for line in first.splitlines() if line.strip() and "import" not in line]
    assert len(lines) <= 20
