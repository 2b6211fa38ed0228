"""A pytest plugin that writes down every comparison of a test with a number of R's.

A test looks a number up with the fixtures `r_results` or `reference` and compares its own with it,
by `pytest.approx` or `numpy.testing.assert_allclose`. Reference values have seventeen digits, so an
expected value that is bit for bit one that the same test looked up is that one. What a test makes
of a reference value before it compares is not seen here, and not counted.

    pytest -p recorder --record FILE.csv
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

FIXTURES = {"r_results", "reference"}
SCALAR: Any = type(pytest.approx(1.0))
FIELDS = ("file", "model", "quantity", "term", "r", "ours", "test")


class Key(NamedTuple):
    """Where a number of R's is."""

    file: str
    model: str
    quantity: str
    term: str


class Recorder:
    """The numbers that the running test looked up, and all that were compared with one."""

    def __init__(self) -> None:
        self.test = ""
        self.known: dict[float, list[Key]] = {}
        self.found: dict[Key, tuple[float, float, str]] = {}

    def begin(self, test: str) -> None:
        """Forget what another test looked up."""
        self.test, self.known = test, {}

    def learn(self, key: Key, value: float) -> None:
        """A number was looked up; whole ones are counts, or are met by chance."""
        if math.isfinite(value) and value != round(value):
            keys = self.known.setdefault(value, [])
            if key not in keys:
                keys.append(key)

    def compare(self, ours: object, expected: object) -> None:
        """Write down a comparison that held, if it is with one of R's numbers."""
        try:
            pair = float(ours), float(expected)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return
        for mine, theirs in (pair, pair[::-1]):
            keys = self.known.get(theirs)
            if keys:
                key = keys.pop(0)
                keys.append(key)  # of equal numbers each has its turn
                old = self.found.get(key)
                if old is None or abs(mine - theirs) > abs(old[1] - theirs):
                    self.found[key] = (theirs, mine, self.test)
                return

    def write(self, path: Path) -> None:
        """One row a number of R's, in the order of the files."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(FIELDS)
            for key, (theirs, mine, test) in sorted(self.found.items()):
                out.writerow((*key, repr(theirs), repr(mine), test))


RECORDER = Recorder()


def looked_up(name: str, look_up: Callable[..., Any]) -> Callable[..., Any]:
    """The value of a fixture, whose answers are learned."""

    def r_results(topic: str, model: str, quantity: str) -> dict[str, float]:
        found: dict[str, float] = look_up(topic, model, quantity)
        for term, value in found.items():
            RECORDER.learn(Key(topic, model, quantity, term), value)
        return found

    def reference(topic: str, model: str, quantity: str, term: str = "") -> float:
        value: float = look_up(topic, model, quantity, term)
        RECORDER.learn(Key(topic, model, quantity, term), value)
        return value

    return {"r_results": r_results, "reference": reference}[name]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where to write."""
    parser.addoption("--record", type=Path, required=True, help="CSV to write the comparisons to")


def pytest_configure(config: pytest.Config) -> None:
    """Listen to the two ways of comparing."""
    plain_equal, plain_close = SCALAR.__eq__, np.testing.assert_allclose

    def equal(self: Any, actual: object) -> bool:
        held: bool = plain_equal(self, actual)
        if held:
            RECORDER.compare(actual, self.expected)
        return held

    def close(actual: Any, desired: Any, *args: Any, **kwargs: Any) -> None:
        plain_close(actual, desired, *args, **kwargs)
        for mine, theirs in zip(*map(np.ravel, np.broadcast_arrays(actual, desired)), strict=True):
            RECORDER.compare(mine, theirs)

    SCALAR.__eq__ = equal
    np.testing.assert_allclose = close


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that look up numbers of R's."""
    kept = [item for item in items if FIXTURES & set(getattr(item, "fixturenames", ()))]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a test."""
    RECORDER.begin(item.nodeid)


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Put the listening look-up in the place of the plain one."""
    value = yield
    if fixturedef.argname in FIXTURES:
        value = looked_up(fixturedef.argname, value)
        assert fixturedef.cached_result is not None
        fixturedef.cached_result = (value, *fixturedef.cached_result[1:])
    return value


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was compared."""
    RECORDER.write(session.config.getoption("--record"))
