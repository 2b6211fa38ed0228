"""Names that users of other programs type: each has an answer, and the answer is true."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator

import pytest

import longsurv as ls
from longsurv.errors import MissingNameError
from longsurv.models import LMM
from longsurv.tables.elsewhere import ELSEWHERE, advice
from longsurv.tables.result import Result

TYPED = (
    "pvalues", "tvalues", "fittedvalues", "resid", "fixef", "ranef", "coef", "confint", "vcov",
    "summary", "conf_int", "params", "bse", "aic", "logLik", "VarCorr", "emmeans",
)  # fmt: skip


def kinds(of: type = Result) -> Iterator[type]:
    """Every kind of result there is."""
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


def has(kind: type, name: str) -> bool:
    return hasattr(kind, name) or name in getattr(kind, "__dataclass_fields__", {})


@pytest.fixture(scope="module")
def results() -> list[type]:
    import longsurv.simulate.characteristics  # noqa: F401

    for name in ls.models.__all__:
        getattr(ls.models, name)
    return sorted(set(kinds()), key=lambda kind: kind.__name__)


def test_every_advice_names_what_the_result_has(results: list[type]) -> None:
    assert len(results) > 8
    for kind in results:
        for name in ELSEWHERE:
            if has(kind, name):
                continue
            said = advice(kind, name)
            for word in re.findall(r"(?:^use |, or |mean )(\w+)", said):
                assert has(kind, word) or word == "longsurv", (kind.__name__, name, said)


@pytest.mark.parametrize("name", TYPED)
def test_a_name_typed_often_is_there_or_is_answered(results: list[type], name: str) -> None:
    for kind in results:
        if issubclass(kind, (ls.Estimate, ls.Posterior)) and not has(kind, name):
            assert advice(kind, name).startswith("use "), (kind.__name__, name)


def test_asking_is_answered_in_one_sentence() -> None:
    data = ls.read_cohort(ls.example_path("ivig_sepsis") / "study.toml").marker_data("pct")
    fit = LMM("y ~ phase * treatment + (1 | patient)", data=data).fit(df="normal")
    with pytest.raises(MissingNameError, match=r"^MixedEstimate has no vcov; use cov_params\(\)$"):
        _ = fit.vcov
    with pytest.raises(AttributeError, match=r"has no convrged; did you mean converged\?"):
        _ = fit.convrged
    assert not hasattr(fit, "coef") and hasattr(fit, "pvalues")
    tidy = fit.tidy().set_index("term")
    assert list(fit.pvalues) == list(tidy["p_value"]) and list(fit.tvalues.index) == list(fit.names)
    again = pickle.loads(pickle.dumps(fit))
    assert again.params.equals(fit.params)
    with pytest.raises(MissingNameError):
        _ = again.coef


def test_a_property_that_fails_says_why_itself() -> None:
    class Broken(Result):
        @property
        def half(self) -> float:
            return self.whole / 2

    with pytest.raises(MissingNameError, match="Broken has no whole"):
        _ = Broken().half
