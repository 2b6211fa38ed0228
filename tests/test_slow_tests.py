"""The list of slow tests names tests that there are."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LISTED = (TESTS / "slow_tests.txt").read_text(encoding="utf-8").splitlines()


@cache
def functions(path: str) -> set[str]:
    text = (TESTS.parent / path).read_text(encoding="utf-8")
    return set(re.findall(r"^\s*def (test_\w+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("path", sorted({name.split("::")[0] for name in LISTED}))
def test_every_one_is_there(path):
    mine = [name.split("::")[-1].partition("[")[0] for name in LISTED if name.startswith(path)]
    assert mine and set(mine) <= functions(path)


def test_they_are_in_order_and_few():
    assert sorted(set(LISTED)) == LISTED and len(LISTED) < 2000


def test_the_mark_is_theirs(request):
    """As pytest collects them: of this file, which is not slow, none has it."""
    mine = [item for item in request.session.items if "test_slow_tests.py" in item.nodeid]
    assert mine and not any(item.get_closest_marker("slow") for item in mine)
    listed = set(LISTED)
    for item in request.session.items:
        assert item.nodeid not in listed or item.get_closest_marker("slow")
