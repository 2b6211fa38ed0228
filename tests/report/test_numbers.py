# ruff: noqa: RUF001 - the minus signs and dashes are the point
from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longsurv import numbers
from longsurv.tables.frame import framed


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.123"), (12.345, "12.3"), (123.45, "123"), (10934, "10,900"), (9.999, "10.0"),
        (0, "0"), (-0.5, "−0.500"), (1234567, "1.23×10⁶"), (2e-5, "2.00×10⁻⁵"), (math.nan, "–"),
    ],
)  # fmt: skip
def test_three_significant_digits(value: float, text: str) -> None:
    assert numbers.number(value) == text


@settings(deadline=None, max_examples=200)
@given(st.floats(min_value=1e-4, max_value=1e6), st.floats(min_value=1e-5, max_value=1e3))
def test_no_error_of_the_draws_makes_a_ratio_nothing(value: float, error: float) -> None:
    text = numbers.shown_ratio(value, value, value, error=error).point.replace(",", "")
    assert any(digit in text for digit in "123456789"), (value, error, text)


@settings(deadline=None, max_examples=200)
@given(st.floats(min_value=1e-4, max_value=1e6, allow_nan=False, exclude_max=True))
def test_number_reads_back_within_half_a_unit_of_the_third_digit(value: float) -> None:
    text = numbers.number(value).replace(",", "")
    if "×10" in text:
        text = text.replace("×10", "e").translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
        text = text.replace("−", "-")
    assert float(text) == pytest.approx(value, rel=0.00501)


@given(st.floats(min_value=0.001, max_value=0.999))
def test_a_p_value_stands_on_its_own_side_of_0_05(value: float) -> None:
    assert (float(numbers.p_value(value)) < 0.05) == (value < 0.05)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0004, "<0.001"),
        (0.0314, "0.031"),
        (0.9996, ">0.999"),
        (1.0, ">0.999"),
        (math.nan, "–"),
        (0.0499, "0.0499"),
        (0.04999, "0.04999"),
        (0.05, "0.050"),
        (0.0501, "0.050"),
        (0.0494, "0.049"),
    ],
)
def test_p_values(value: float, text: str) -> None:
    assert numbers.p_value(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "<0.01"), (0.873, "0.87"), (1.0, ">0.99"), (math.nan, "–")]
)
def test_probabilities_are_never_certain(value: float, text: str) -> None:
    assert numbers.probability(value) == text


def test_a_difference_keeps_one_number_of_decimals_and_true_minus_signs() -> None:
    assert numbers.difference(-0.004, -12.34, 1.2) == "0.0 (−12.3 to 1.2)"
    assert numbers.ratio(0.2371, 0.0263, 2.14) == "0.237 (0.0263 to 2.14)"


def test_data_keep_no_invented_zeros() -> None:
    assert [numbers.datum(v) for v in (4.0, 8.7, 0.9, 10.0, 10900.0, 100.0)] == [
        "4", "8.7", "0.9", "10", "10,900", "100",
    ]  # fmt: skip


def test_percent_plain_and_seconds() -> None:
    assert numbers.percent(1, 19) == "5.3\N{NO-BREAK SPACE}%"
    assert numbers.percent(0, 0) == "–"
    assert [numbers.plain(v) for v in (28.0, 0.5, 1000)] == ["28", "0.5", "1,000"]
    assert [numbers.seconds(v) for v in (0.04, 0.42, 12.3, 185, math.nan)] == [
        "40 ms", "0.4 s", "12 s", "3 min 5 s", "–",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("error", "places"),
    [(0.02, 1), (0.01, 2), (0.0099, 2), (0.3, 0), (4.0, 0), (0.0, 8), (math.nan, 8), (1e-12, 8)],
)
def test_the_last_decimal_is_worth_the_monte_carlo_error(error: float, places: int) -> None:
    assert numbers.decimals_within(error) == places
    assert not 0.0 < error <= 1.0 or error <= 10.0**-places or places == 8


def test_a_posterior_is_printed_to_what_its_draws_tell() -> None:
    row = {
        "term": "x",
        "estimate": 1.23456,
        "std_error": 0.0812,
        "conf_low": 1.08,
        "conf_high": 1.4,
    }
    found = [row, row | {"mcse_mean": 0.002}, row | {"mcse_mean": 0.03}]
    cells = [framed(pd.DataFrame([one])).rows[0] for one in found]
    assert [texts[1] for texts in cells] == ["1.2346", "1.23", "1.2"]


def test_a_signed_number_says_its_direction_and_zero_has_none() -> None:
    assert [numbers.signed(v, 2) for v in (0.123, -0.123, 0.001, -0.001, math.inf)] == [
        "+0.12", "−0.12", "0.00", "0.00", "+∞",
    ]  # fmt: skip
