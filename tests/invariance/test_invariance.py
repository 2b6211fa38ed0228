"""Whatever the clock, the unit and the coding, the same answer: every cell of the table."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from invariance.case import Answer, Case, Family, differences
from invariance.exemptions import EXEMPTIONS, exemption
from invariance.families import FAMILIES, NAMED
from invariance.known_failures import MOVES, MOVES_IN_STUDIES
from invariance.reading import drawn
from invariance.transformations import PAIRS, TRANSFORMATIONS, Transformation

from longsurv.errors import LongsurvError

TABLE = Path(__file__).with_name("table.txt")
SEED, SEEDS = 1, 20
CASES = 300
KINDS = ("rename", "recode", "dtypes")
"""Transformations of several kinds, every one of which is tried on these families:"""
DRAWN = {
    "shift time": 2015.0, "scale time": 365.25, "scale covariate": 88.4, "scale response": 1e-3,
    "recode": PAIRS[1],
}  # fmt: skip
"""Transformations after which draws are compared, and by how much."""
THOROUGH = ("LMM", "CoxPH, Efron", "survival_table")


@cache
def before(name: str, seed: int = SEED) -> tuple[Case, Answer | LongsurvError]:
    """A case of a family and its answer or refusal, once for all transformations."""
    case = NAMED[name].make(seed)
    try:
        return case, NAMED[name].answer(case)
    except LongsurvError as error:
        return case, error


def wrong(
    family: Family, transformation: Transformation, parameter: object, seed: int = SEED
) -> list[str]:
    """What differs after a transformation from what should be."""
    case, answer = before(family.name, seed)
    try:
        after = family.answer(transformation.apply(case, parameter))
    except LongsurvError as error:
        same = isinstance(answer, type(error))
        return [] if same else [f"refused: {error}"]
    if isinstance(answer, LongsurvError):
        return [f"answered, and refused before: {answer}"]
    return differences(answer, after, transformation.units(parameter))


@cache
def first_case(name: str) -> Case:
    """The case that says which transformations there are for a family."""
    return NAMED[name].make(SEED)


def mark(family: Family, transformation: Transformation) -> str:
    """The cell: "=" the same answer, "x" another one, "." there is nothing to change."""
    if not transformation.applies(first_case(family.name)):
        return "."
    return "x" if exemption(family.name, transformation.name) else "="


def cells(kind: str) -> list:
    """All cells of one kind, those known to fail marked as such."""
    out = []
    for family in FAMILIES:
        for transformation in TRANSFORMATIONS:
            if mark(family, transformation) != kind:
                continue
            short = not family.short or transformation.name in family.short
            marks = [] if short else [pytest.mark.study]
            seen = MOVES.get((family.name, transformation.name))
            if seen:
                marks.append(pytest.mark.xfail(reason=seen, strict=True))
            name = f"{family.name}-{transformation.name}"
            out.append(pytest.param(family, transformation, id=name, marks=marks))
    return out


def tried(check: Callable[[], None], examples: int) -> None:
    """Let Hypothesis try some parameters: the first it has is a hard one."""
    how = settings(max_examples=examples, deadline=None, derandomize=True, database=None,
                   phases=[Phase.generate],
                   suppress_health_check=[HealthCheck.filter_too_much])  # fmt: skip
    how(check)()


@pytest.mark.parametrize(("family", "transformation"), cells("="))
def test_the_answer_is_the_same(family: Family, transformation: Transformation) -> None:
    @given(transformation.parameters)
    def check(parameter: object) -> None:
        assert wrong(family, transformation, parameter) == []

    tried(check, 8 if family.name in THOROUGH and transformation.name in KINDS else 1)


@pytest.mark.parametrize(("family", "transformation"), cells("x"))
def test_exempt_answers_do_move(family: Family, transformation: Transformation) -> None:
    """Another answer, or a refusal: an exemption that is not needed is a cell not held."""

    @given(transformation.parameters)
    def check(parameter: object) -> None:
        with suppress(LongsurvError):
            assert wrong(family, transformation, parameter)

    tried(check, 1)


@pytest.mark.study
@pytest.mark.parametrize("family", [f for f in FAMILIES if "posterior" in f.name], ids=repr)
def test_draws_agree(family: Family) -> None:
    """Means and standard deviations of draws, within their Monte Carlo error."""
    case = first_case(family.name)
    some = [t for t in TRANSFORMATIONS if t.name in DRAWN and mark(family, t) == "="]
    assert len(some) > 1
    with drawn(1000):
        answer = family.answer(case)
        for t in some:
            parameter = DRAWN[t.name]
            found = differences(answer, family.answer(t.apply(case, parameter)), t.units(parameter))
            assert found == [], t


@pytest.mark.study
@pytest.mark.parametrize("family", FAMILIES, ids=repr)
def test_generated_cases(family: Family) -> None:
    """Other data, other transformations, other parameters: all are tried before any is told."""
    possible = [
        t
        for t in TRANSFORMATIONS
        if mark(family, t) == "="
        and (family.name, t.name) not in MOVES
        and (family.name, t.name) not in MOVES_IN_STUDIES
    ]

    one_case = st.sampled_from(possible).flatmap(
        lambda t: st.tuples(st.just(t), t.parameters, st.integers(1, SEEDS))
    )
    cases, violations = 0, []

    @given(one_case)
    def check(drawn: tuple[Transformation, object, int]) -> None:
        nonlocal cases
        transformation, parameter, seed = drawn
        # Nobody is at risk before time 0; that such times are refused is tested elsewhere.
        on_clock = transformation.name == "shift time" and "exit" in first_case(family.name).columns
        assume(not (on_clock and parameter < 0))
        cases += 1
        found = wrong(family, transformation, parameter, seed)
        if found:
            violations.append(f"{transformation}, {parameter!r}, case {seed}: {found[:3]}")

    tried(check, CASES)
    answered = [
        not isinstance(before(family.name, seed)[1], LongsurvError) for seed in range(1, SEEDS + 1)
    ]
    print(f"{family}: {cases} cases, {len(violations)} violations", *violations, sep="\n  ")
    assert violations == []
    assert cases == CASES
    assert np.mean(answered) > 0.7


def rendered() -> str:
    """The table as it is read."""
    width = max(len(family.name) for family in FAMILIES) + 2
    height = max(len(t.name) for t in TRANSFORMATIONS)
    heads = [t.name.rjust(height) for t in TRANSFORMATIONS]
    lines = [" " * width + " ".join(h[k] for h in heads) for k in range(height)]
    for family in FAMILIES:
        marks = " ".join(mark(family, t) for t in TRANSFORMATIONS)
        lines.append(family.name.ljust(width) + marks)
    reasons = [f"{of} / {change}: {why}" for of, change, why in EXEMPTIONS]
    head = '"=" the same answer; "x" another one, as listed below; "." there is nothing to change'
    text = "\n".join([head, "", *lines, "", "Why some move:", "", *reasons])
    return "\n".join(line.rstrip() for line in text.split("\n")) + "\n"


def test_the_table_is_as_it_is_written() -> None:
    assert TABLE.read_text(encoding="utf-8") == rendered()


def test_every_exemption_and_known_failure_is_of_a_cell() -> None:
    known = {(f.name, t.name) for f in FAMILIES for t in TRANSFORMATIONS if mark(f, t) != "."}
    assert set(MOVES) <= known
    assert set(MOVES_IN_STUDIES) <= known
    for of, change, _ in EXEMPTIONS:
        assert any(
            exemption(f.name, change) and mark(f, t) == "x"
            for f in FAMILIES
            for t in TRANSFORMATIONS
            if t.name == change
        ), of
