"""Formulas taken apart."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv.design import RandomTerm, parse
from longsurv.errors import FormulaError

NAMES = st.text(string.ascii_lowercase + "_", min_size=1, max_size=6)
CALLS = st.builds("{}({})".format, st.sampled_from(["log", "exp", "I", "C"]), NAMES)
SPLINES = st.builds("bs({}, df={})".format, NAMES, st.integers(3, 6))
SUMS = st.builds("I({} - {} + 1)".format, NAMES, NAMES)
TERMS = st.one_of(NAMES, CALLS, SPLINES, SUMS, st.builds("{}:{}".format, NAMES, NAMES))


@settings(max_examples=60, deadline=None)
@given(
    NAMES, st.lists(TERMS, max_size=4), TERMS, NAMES, st.integers(0, 4), st.sampled_from(["", " "])
)
def test_round_trip(left, fixed, effects, group, place, space):
    """Terms in any order, with the random one anywhere among them."""
    random = f"({space}{effects}{space}|{space}{group}{space})"
    terms = [*fixed[:place], random, *fixed[place:]]
    found = parse(f"{left}{space}~{space}" + f"{space}+{space}".join(terms))
    assert found.response == left and found.surv == ()
    assert found.random == (RandomTerm(effects, group),)
    assert found.fixed.replace(" ", "") == ("+".join(fixed) or "1").replace(" ", "")


@settings(max_examples=60, deadline=None)
@given(st.text(string.ascii_lowercase + "~()|+-`,0 ", max_size=20))
def test_any_text_is_read_or_refused(text):
    try:
        found = parse(text)
    except FormulaError:
        return
    assert text.count("~") == 1 and found.fixed


def test_signs():
    assert parse("y ~ x - 1 + (1 | id)").fixed == "x - 1"
    assert parse("y ~ -1 + x + (1 | id)").fixed == "- 1 + x"
    assert parse("y ~ (1 | id) - 1").fixed == "- 1"


def test_brackets_and_quotes_keep_their_signs():
    found = parse("y ~ I(a + b) + `pre-treatment` + C(g, contr.treatment('a-b')) + (I(t - 1) | id)")
    assert found.fixed == "I(a + b) + `pre-treatment` + C(g, contr.treatment('a-b'))"
    assert found.random == (RandomTerm("I(t - 1)", "id"),)


def test_two_random_terms():
    assert [r.group for r in parse("y ~ x + (1 | id) + (t | site)").random] == ["id", "site"]


def test_uncorrelated_and_nested_random_terms():
    (term,) = parse("y ~ x + (t || id)").random
    assert (term.effects, term.group, term.correlated) == ("t", "id", False)
    assert [(r.effects, r.group) for r in parse("y ~ (t | site/id)").random] == [
        ("t", "site"),
        ("t", "site:id"),
    ]
    assert parse("y ~ (t | site / id)").random == parse("y ~ (t |site/id )").random


def test_brackets_without_a_bar_are_fixed():
    assert parse("y ~ (a + b) ** 2").fixed == "(a + b) ** 2"
    assert parse("y ~ (a + b):(c)").random == ()


def test_surv():
    assert parse("Surv(time, died) ~ x").surv == ("time", "died")
    assert parse("Surv( a,b , c ) ~ x").surv == ("a", "b", "c")
    assert parse("Survival ~ x").response == "Survival"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y x", "exactly one '~'"),
        ("y ~ x ~ z", "exactly one '~'"),
        (5, "exactly one '~'"),
        (" ~ x", "both sides"),
        ("y ~ ", "both sides"),
        ("y ~ x + (1 | id", "a bracket does not close"),
        ("y ~ x) + (1 | id)", "a bracket closes that never opened"),
        ("y ~ `x", "a quote does not close"),
        ("y ~ x +", "ends in a sign"),
        ("y ~ x - (1 | id)", "cannot be subtracted"),
        ("y ~ ( | id)", r"reads '\(effects \| group\)'"),
        ("y ~ (1 | )", r"reads '\(effects \| group\)'"),
        ("y ~ (1 | log(id))", "group of"),
        ("y ~ (1 | a b)", "group of .* got 'a b'"),
        ("y ~ (1 || site/a b)", "group of .* got 'site/a b'"),
        ("Surv(time) ~ x", r"Surv\(entry, exit, event\)"),
        ("Surv(log(time), died) ~ x", r"Surv\(time, event\)"),
        ("Surv(a, b, c, d) ~ x", "with column names"),
    ],
)
def test_what_is_wrong(text, message):
    with pytest.raises(FormulaError, match=message):
        parse(text)
