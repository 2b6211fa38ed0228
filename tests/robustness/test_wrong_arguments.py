"""Every argument of every public method given what it cannot be: an answer in words."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

import longsurv as ls
from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.models import GLMM, LMM, CoxPH, Hazard, Linear

WRONG: dict[str, Any] = {
    "None": None, "dict": {"a": 1}, "list": [1, 2, "x"], "text": "xx", "empty": "", "-1": -1,
    "0": 0, "huge": 10**30, "nan": float("nan"), "inf": float("inf"), "1.5": 1.5, "True": True,
    "array": np.zeros((2, 3)), "object": object(), "frame": pd.DataFrame({"q": [1]}),
    "no rows": pd.DataFrame(), "date": pd.Timestamp("2020-01-01"), "type": int,
    "tuple": (1, 2, 3, 4), "complex": 1j,
}  # fmt: skip
LONG = ("bootstrap", "simulate")


@cache
def specs() -> dict[str, Any]:
    rng = np.random.default_rng(1)
    n = 24
    people = pd.DataFrame(
        {
            "id": np.arange(n),
            "arm": np.arange(n) % 2,
            "age": rng.normal(60, 8, n),
            "days": rng.exponential(20, n).clip(0.5, 28),
            "died": (rng.random(n) < 0.5) * 1,
        }
    )
    visits = people.loc[people.index.repeat(4)].reset_index(drop=True)
    visits["t"] = np.tile([0.0, 1.0, 2.0, 4.0], n)
    visits["y"] = rng.normal(size=4 * n) + np.repeat(rng.normal(size=n), 4) + 0.3 * visits["t"]
    visits["positive"] = (visits["y"] > 0) * 1
    hazard = {"data": people, "baseline": "weibull"}
    return {
        "LMM": LMM("y ~ t * arm + (1 | id)", data=visits),
        "GLMM": GLMM("positive ~ t + (1 | id)", data=visits),
        "CoxPH": CoxPH("Surv(days, died) ~ arm", data=people),
        "Hazard": Hazard("Surv(days, died) ~ arm", **hazard),
        "Linear": Linear("age ~ arm", data=people, patient="id"),
    }


@cache
def fit(name: str) -> Any:
    return specs()[name].fit()


@cache
def posterior(name: str) -> Any:
    return specs()[name].sample(draws=20, chains=2, seed=1)


def methods(owner: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in dir(type(owner)):
        found = inspect.isfunction(getattr(type(owner), name, None))
        if found and not name.startswith("_") and name not in LONG:
            yield name, getattr(owner, name)


def faults(function: Callable[..., Any], good: dict[str, Any]) -> list[str]:
    """Calls with one wrong argument that raise what no user should see."""
    out = []
    for name in inspect.signature(function).parameters:
        for label, value in WRONG.items():
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    function(**(good | {name: value}))
            except LongsurvError as error:
                if not str(error).strip():
                    out.append(f"{name}={label}: no words")
            except TypeError as error:
                if "missing" not in str(error) or "argument" not in str(error):
                    out.append(f"{name}={label}: TypeError: {error}")
            except Exception as error:  # noqa: BLE001 - all of them are what this looks for
                out.append(f"{name}={label}: {type(error).__name__}: {error}")
    return out


@pytest.mark.parametrize("name", ["LMM", "GLMM", "CoxPH", "Hazard", "Linear"])
def test_a_specification_says_what_is_wrong(name):
    spec = specs()[name]
    good = {k: v for k, v in vars(spec).items() if k in inspect.signature(type(spec)).parameters}
    assert faults(lambda_of(type(spec)), good) == []


def lambda_of(kind: type) -> Callable[..., Any]:
    def build(**given: Any) -> Any:
        return kind(**given).fit()

    build.__signature__ = inspect.signature(kind)  # type: ignore[attr-defined]
    return build


@pytest.mark.parametrize("name", ["LMM", "GLMM", "CoxPH", "Hazard", "Linear"])
def test_a_fit_says_what_is_wrong(name):
    found = {"fit": faults(specs()[name].fit, {})}
    found |= {method: faults(call, {}) for method, call in methods(fit(name))}
    assert {method: wrong for method, wrong in found.items() if wrong} == {}


@pytest.mark.parametrize("name", ["LMM", "CoxPH", "Linear"])
def test_a_posterior_says_what_is_wrong(name):
    found = {
        "sample": faults(
            specs()[name].sample,
            {"draws": 10, "tune": 10, "chains": 1}
            if name != "Linear"
            else {"draws": 10, "chains": 1},
        )
    }
    found |= {method: faults(call, {}) for method, call in methods(posterior(name))}
    assert {method: wrong for method, wrong in found.items() if wrong} == {}


def test_functions_of_fits_say_what_is_wrong():
    assert faults(ls.compare, {"fit": fit("LMM"), "post": posterior("LMM")}) == []
    assert faults(ls.lrt, {"smaller": fit("LMM"), "larger": fit("LMM")}) == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: specs()["LMM"].fit(REML=False), "fit has no argument REML=; write method="),
        (lambda: specs()["LMM"].sample(random_seed=1), "random_seed=; write seed="),
        (lambda: specs()["LMM"].sample(drwas=1), "did you mean draws=?"),
        (lambda: specs()["CoxPH"].fit(penalizer=0.1), 'write penalty="firth"'),
        (lambda: fit("LMM").tidy(conf_level=0.9), "write level="),
        (lambda: LMM("y ~ t + (1 | id)", {"y": [1, 2]}), "LMM: data is a pandas DataFrame, not a"),
        (lambda: fit("LMM").tidy(level=95), "level is a probability between 0 and 1"),
        (lambda: specs()["LMM"].sample(draws=0), "draws is a whole number, 1 or more, not 0"),
        (
            lambda: specs()["LMM"].sample(priors={"t": 2}),
            "the prior of 't' must be one of longsurv.priors, got 2",
        ),
    ],
)
def test_the_words_name_the_argument_and_what_to_write(call, words):
    with pytest.raises(LongsurvError) as caught:
        call()
    assert words in str(caught.value)


def test_a_missing_argument_is_pythons_own_error():
    with pytest.raises(TypeError, match="missing a required argument: 'of'"):
        fit("LMM").contrast()


def test_numbers_of_numpy_are_numbers():
    @checked
    def take(count: int, size: float, flag: bool, words: list[str] | None = None) -> bool:
        return True

    assert take(np.int64(3), np.float32(1.5), np.bool_(True), ("a", "b"))
    assert take(3, 2, False, pd.Index(["a"]))
    with pytest.raises(LongsurvError, match="words is a list"):
        take(3, 2, False, "ab")
