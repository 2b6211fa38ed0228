"""Data, reference results and fits that many tests share; each is made once a session.

Libraries are imported where they are used: the process that only hands out tests needs none.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import NO_BROWSER

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from longsurv.models import LMM, CoxPH

# Look for circles of objects more seldom, and begin with that before libraries make many objects:
# at Python's own pace it is 5 % of the time.
gc.set_threshold(200_000, 20, 20)

TESTS = Path(__file__).parent
EXAMPLES = TESTS.parent / "examples"
TOGETHER = "tests/report"
"""A folder whose files share studies that were run: one worker has them all."""
SLOWEST = (
    TOGETHER, "tests/invariance/test_invariance.py", "tests/test_cli.py",
    "tests/invariance/test_undetermined.py", "tests/studies/test_glmm_calibration.py",
    "tests/test_compare_joint.py", "tests/models/test_joint_posterior.py",
    "tests/study/test_study.py", "tests/study/test_deaths.py",
    "tests/models/test_lmm_posterior.py", "tests/examples/test_scripts.py",
    "tests/test_packaging.py", "tests/simulate/test_simulate.py",
    "tests/robustness/test_wrong_arguments.py", "tests/analyses/markers/test_adjustment.py",
    "tests/estimands/test_standardised.py",
)  # fmt: skip
"""What several workers begin with, so that none is left with a long one when the others are done"""


def pytest_collection_finish() -> None:
    """Leave what has been imported and collected out of every later search."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip what needs lifelines where it is not installed: under pandas 3 (tools/pandas3.sh)."""
    from longsurv.errors import LongsurvError

    try:
        return (yield)
    except (ModuleNotFoundError, LongsurvError) as error:
        from pandas import __version__ as version

        missing = error if isinstance(error, ModuleNotFoundError) else error.__cause__
        lacks = isinstance(missing, ModuleNotFoundError) and missing.name == "lifelines"
        if not lacks or int(version.partition(".")[0]) < 3:
            raise
        pytest.skip("needs lifelines, which does not work with pandas 3")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Say in the last line what was skipped because there is no browser."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(config, "workerinput"):
        return
    unseen = [
        report for report in reporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and NO_BROWSER in report.longrepr[2]
    ]  # fmt: skip
    if unseen:
        reporter.write_line(f"{len(unseen)} tests of the report were skipped: {NO_BROWSER}")


def part_of(nodeid: str) -> str:
    """What stays on one worker: a file, or the folder of those that share more."""
    return TOGETHER if nodeid.startswith(f"{TOGETHER}/") else nodeid.split("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep files together as `part_of` says, where workers are given whole files."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Parts(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return part_of(nodeid)

    return Parts(config, log)


@pytest.hookimpl(tryfirst=True)  # before those marked slow are left out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the slow ones; begin with the slowest, then go on from files of many tests to files of
    few."""
    slow = set((TESTS / "slow_tests.txt").read_text(encoding="utf-8").splitlines())
    for item in items:
        if item.nodeid in slow:
            item.add_marker("slow")
    if not hasattr(config, "workerinput"):
        return
    sizes = Counter(part_of(item.nodeid) for item in items)
    rank = {part: k for k, part in enumerate(SLOWEST)}

    def place(item: pytest.Item) -> tuple[int, int, str]:
        part = part_of(item.nodeid)
        return rank.get(part, len(SLOWEST)), -sizes[part], part

    items.sort(key=place)


@cache
def _table(name: str) -> pd.DataFrame:
    import pandas as pd

    if name == "pbc":
        patients = pd.read_csv(EXAMPLES / "pbc" / "patients.csv")
        drug = pd.Categorical(patients["drug"], categories=["placebo", "D-penicillamine"])
        visits = pd.read_csv(EXAMPLES / "pbc" / "measurements.csv")
        bili = visits.query("marker == 'bili'").rename(columns={"value": "bili"})
        return bili.drop(columns="marker").merge(patients.assign(drug=drug), on="id")
    return pd.read_csv(TESTS / "reference" / f"{name}.csv")


@cache
def _results(topic: str) -> dict[tuple[str, str], dict[str, float]]:
    import pandas as pd

    rows = pd.read_csv(TESTS / "reference" / f"{topic}.csv", keep_default_na=False)
    values = pd.to_numeric(rows["value"], errors="coerce")
    out: dict[tuple[str, str], dict[str, float]] = {}
    for model, term, quantity, value in zip(
        rows["model"], rows["term"], rows["quantity"], values, strict=True
    ):
        out.setdefault((model, quantity), {})[term] = float(value)
    return out


class Fits:
    """Named specifications with their cached estimates and posteriors.

    `fits.spec(name)`, `fits(name)` (the default fit), `fits(name, "ML")`, and
    `fits.posterior(name)` (2 chains of 2000 draws, seed 1).
    """

    def __init__(self) -> None:
        self.spec = cache(self._spec)
        self.fit = cache(lambda name, *how: self.spec(name).fit(*how))
        self.posterior = cache(lambda name: self.spec(name).sample(draws=2000, chains=2, seed=1))

    def __call__(self, name: str, *how: str):
        return self.fit(name, *how)

    @staticmethod
    def _spec(name: str) -> LMM | CoxPH:
        from longsurv.models import LMM, CoxPH

        rossi = "Surv(week, arrest) ~ fin + age + race + wexp + mar + paro + prio"
        heart = "Surv(start, stop, event) ~ age + year + surgery + transplant"
        days = "Reaction ~ Days + "
        specs = {
            "sleepstudy": (LMM, days + "(Days | Subject)", "sleepstudy"),
            "sleepstudy_intercept": (LMM, days + "(1 | Subject)", "sleepstudy"),
            "sleepstudy_slope_only": (LMM, days + "(0 + Days | Subject)", "sleepstudy"),
            "gaps": (LMM, days + "(Days | Subject)", "sleepstudy_gaps"),
            "dyestuff": (LMM, "Yield ~ 1 + (1 | Batch)", "dyestuff"),
            "dyestuff2": (LMM, "Yield ~ 1 + (1 | Batch)", "dyestuff2"),
            "sine": (LMM, "y ~ x + (1 | g)", "sine"),
            "pbc": (LMM, "log(bili) ~ year * drug + (year | id)", "pbc"),
            "pbc_intercept": (LMM, "log(bili) ~ year * drug + (1 | id)", "pbc"),
            "rossi_efron": (CoxPH, rossi, "rossi"),
            "rossi_breslow": (CoxPH, rossi, "rossi"),
            "rossi_two_efron": (CoxPH, "Surv(week, arrest) ~ fin + prio", "rossi"),
            "heart_efron": (CoxPH, heart, "heart"),
            "heart_breslow": (CoxPH, heart, "heart"),
            "lung_efron": (CoxPH, "Surv(time, status) ~ age + sex + ecog", "lung"),
            "lung_breslow": (CoxPH, "Surv(time, status) ~ age + sex + ecog", "lung"),
        }
        model, formula, table = specs[name]
        more = {"ties": "breslow"} if name.endswith("breslow") else {}
        return model(formula, data=_table(table), **more)


@pytest.fixture(scope="session")
def table():
    """Reference data by name; tests take copies before they change anything."""
    return _table


@pytest.fixture(scope="session")
def r_results():
    """`r_results("lmm_basic", "sleepstudy_reml", "coef")` is a dict of term to R's value."""
    return lambda topic, model, quantity: _results(topic)[model, quantity]


@pytest.fixture(scope="session")
def fits() -> Fits:
    """Cached fits of the reference models."""
    return Fits()


@pytest.fixture(scope="session")
def numeric_gradient():
    """Fourth-order central differences of a scalar function."""
    import numpy as np

    def gradient(f, x: np.ndarray, h: float = 1e-3) -> np.ndarray:
        out = np.empty(len(x))
        for j in range(len(x)):
            e = np.zeros(len(x))
            e[j] = h * max(1.0, abs(x[j]))
            near, far = f(x + e) - f(x - e), f(x + 2 * e) - f(x - 2 * e)
            out[j] = (8 * near - far) / (12 * e[j])
        return out

    return gradient
