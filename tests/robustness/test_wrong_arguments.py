"""Every argument of everything public given what it cannot be: an answer in words."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from robustness import public_calls
from robustness.public_calls import NOT_CALLED, arguments_of, fit, methods, specs

import longsurv as ls
from longsurv.arguments import checked
from longsurv.errors import LongsurvError
from longsurv.models import LMM


class FakeTable:
    """A table of another library, as far as anybody looks before asking for numbers."""

    columns = ("id", "arm")
    shape = (2, 2)

    def to_pandas(self) -> pd.DataFrame:
        return pd.DataFrame({"id": [1, 2], "arm": [0, 1]})


FakeTable.__name__, FakeTable.__module__ = "DataFrame", "polars.dataframe.frame"
WRONG: dict[str, Any] = {
    "None": None, "dict": {"a": 1}, "list": [1, 2, "x"], "text": "xx", "empty": "", "-1": -1,
    "0": 0, "huge": 10**30, "nan": float("nan"), "inf": float("inf"), "1.5": 1.5, "True": True,
    "array": np.zeros((2, 3)), "object": object(), "frame": pd.DataFrame({"q": [1]}),
    "no rows": pd.DataFrame(), "date": pd.Timestamp("2020-01-01"), "type": int,
    "tuple": (1, 2, 3, 4), "complex": 1j, "set": {1, 2}, "bytes": b"xx",
    "function": lambda x: x, "period": pd.Period("2020-01", "M"), "polars": FakeTable(),
    "dates": pd.DataFrame({"id": [1, 2], "arm": pd.to_datetime(["2020-01-01", "2021-01-01"])}),
}  # fmt: skip
SAMPLE = 4
"""Wrong values of each argument in a quick run, drawn with a seed; all of them in a long one."""
SLOW = {
    ("bootstrap", "n_jobs", "-1"): "is all processors",
    ("bootstrap", "simulations", "huge"): "is refused beyond a number that takes long",
}
"""Values that are right, and take their time."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch) -> None:
    """What is written to a wrong path is not written into the project."""
    monkeypatch.chdir(tmp_path)


def faults(function: Callable[..., Any], good: dict[str, Any], kinds: Iterable[str]) -> list[str]:
    """Calls with one wrong argument that raise what no user should see, or do not say of what."""
    out, word = [], getattr(function, "__name__", "")
    for name, parameter in inspect.signature(function).parameters.items():
        several = parameter.kind is parameter.VAR_POSITIONAL
        for label in kinds:
            if (word, name, label) in SLOW:
                continue
            value = WRONG[label]
            given = ((value,), good) if several else ((), good | {name: value})
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    function(*given[0], **given[1])
            except LongsurvError as error:
                if not str(error).strip():
                    out.append(f"{name}={label}: no words")
            except TypeError as error:
                if "missing" not in str(error) or "argument" not in str(error):
                    out.append(f"{name}={label}: TypeError: {error}")
            except Exception as error:  # noqa: BLE001 - all of them are what this looks for
                out.append(f"{name}={label}: {type(error).__name__}: {error}")
            finally:
                plt.close("all")  # of a call that was right after all, which has drawn
    return out


def some(name: str) -> list[str]:
    rng = np.random.default_rng(sum(map(ord, name)))
    return [list(WRONG)[k] for k in rng.choice(len(WRONG), SAMPLE, replace=False)]


def called() -> dict[str, Callable[..., Any]]:
    """The public functions that are called here."""
    return {name: f for name, f in public_calls.functions().items() if not is_exempt(name)}


def is_exempt(name: str) -> bool:
    """Whether there is a reason not to call it; one of a module is of what has no own arguments."""
    module = ".".join(name.split(".")[:2])
    return name in NOT_CALLED or (module in NOT_CALLED and name not in public_calls.ENTRANCES)


@pytest.mark.parametrize("name", sorted(public_calls.functions()))
def test_every_public_function_is_called_or_has_a_reason_not_to_be(name):
    function = public_calls.functions()[name]
    if is_exempt(name):
        return
    good = arguments_of(name, function)
    wanted = {
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind is not p.VAR_POSITIONAL
    }
    assert wanted <= set(good), f"{name}: give {wanted - set(good)} in public_calls"


def test_every_reason_is_of_something_that_is_there():
    found = set(public_calls.functions())
    modules = {".".join(name.split(".")[:2]) for name in found}
    assert set(NOT_CALLED) <= found | modules
    assert set(public_calls.ENTRANCES) <= found


@pytest.mark.parametrize("name", sorted(called()))
def test_a_function_says_what_is_wrong(name):
    function = called()[name]
    assert faults(function, arguments_of(name, function), some(name)) == []


@pytest.mark.study
@pytest.mark.parametrize("name", sorted(called()))
def test_a_function_says_what_is_wrong_of_every_kind(name):
    function = called()[name]
    assert faults(function, arguments_of(name, function), WRONG) == []


@cache
def made(name: str) -> Any:
    return public_calls.objects()[name]()


def faults_of_methods(name: str, kinds: Callable[[str], Iterable[str]]) -> dict[str, list[str]]:
    owner = made(name)
    found = {}
    for method, call in methods(owner):
        good = arguments_of(f"{type(owner).__name__}.{method}", call)
        found[method] = faults(call, good, kinds(f"{name}.{method}"))
    return {method: wrong for method, wrong in found.items() if wrong}


@pytest.mark.parametrize("name", sorted(public_calls.objects()))
def test_methods_say_what_is_wrong(name):
    assert faults_of_methods(name, some) == {}


@pytest.mark.study
@pytest.mark.parametrize("name", sorted(public_calls.objects()))
def test_methods_say_what_is_wrong_of_every_kind(name):
    assert faults_of_methods(name, lambda _: WRONG) == {}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: specs()["LMM"].fit(REML=False), "fit has no argument REML=; write method="),
        (lambda: specs()["LMM"].sample(random_seed=1), "random_seed=; write seed="),
        (lambda: specs()["LMM"].sample(drwas=1), "did you mean draws=?"),
        (lambda: specs()["CoxPH"].fit(penalizer=0.1), 'write penalty="firth"'),
        (lambda: fit("LMM").tidy(conf_level=0.9), "write level="),
        (
            lambda: LMM("y ~ t + (1 | id)", {"y": 1}),
            "LMM: data is a pandas DataFrame or a Scan, not a",
        ),
        (lambda: LMM("y ~ t + (1 | id)", FakeTable()), "its to_pandas() makes one"),
        (lambda: fit("LMM").tidy(level=95), "level is a probability between 0 and 1"),
        (lambda: specs()["LMM"].sample(draws=0), "draws is a whole number, 1 or more, not 0"),
        (
            lambda: specs()["LMM"].sample(priors={"t": 2}),
            "the prior of 't' must be one of longsurv.priors, got 2",
        ),
        (lambda: ls.priors.Normal(mu=0, sigma=1), "Normal has no argument mu=; write mean="),
        (
            lambda: public_calls.weights_of(covariates=["age"]),
            "overlap_weights: covariates is text, not a list",
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
