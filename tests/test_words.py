"""Counts have the grammar of one and of many, wherever a flag or a message counts something."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from longsurv.errors import LongsurvError
from longsurv.models import LMM, CoxPH, Linear
from longsurv.words import capital, counted, listed, plural, told_apart, verb

WRONG = re.compile(r"\b1 (rows|events|patients|values|observations|chains|draws) |\b1 \w+ are\b")


def test_one_and_many() -> None:
    assert plural(1, "row") == "1 row" and plural(0, "row") == "0 rows"
    assert plural(1945, "visit") == "1,945 visits" and plural(2, "study", "studies") == "2 studies"
    assert verb(1, "was", "were") == "was" and verb(0, "was", "were") == "were"
    assert [counted(e) for e in ("death", "event", "relapsed", "再発")] == ["death", *["event"] * 3]
    assert listed([]) == "" and listed(["a"]) == "a" and listed("abc") == "a, b and c"


@pytest.mark.parametrize("gaps", [1, 2])
def test_flags_count_in_words(gaps: int) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": np.arange(24) // 3, "x": rng.normal(size=24)})
    frame["y"] = rng.normal(size=24)
    frame.loc[: gaps - 1, "x"] = np.nan
    people = frame.drop_duplicates("id").assign(t=np.arange(1.0, 9.0), died=0)
    people.loc[people.index[3 : 3 + gaps], "died"] = 1
    fits = [
        LMM("y ~ x + (1 | id)", frame).fit(df="normal"),
        CoxPH("Surv(t, died) ~ x", people).fit(penalty="firth"),
        Linear("y ~ x", people, "id").fit(),
    ]
    for fit in fits:
        told = " ".join([repr(fit), fit._repr_html_(), *fit.flags])
        assert not WRONG.search(told), told
    assert f"{plural(gaps, 'event')}" in fits[1].method


def test_messages_count_in_words() -> None:
    frame = pd.DataFrame({"t": [1.0, 2.0, np.inf], "died": [1, 0, 1], "x": [0.0, 1.0, 2.0]})
    with pytest.raises(LongsurvError, match=r"in 1 row \(index"):
        CoxPH("Surv(t, died) ~ x", frame).fit()


def test_numbers_that_differ_have_texts_that_differ():
    assert told_apart([0.0, 3.25, 7.123456]) == ["0", "3.25", "7.123"]
    assert told_apart([2015.1, 2015.4, 2015.4, 2016.0]) == [
        "2015.1",
        "2015.4",
        "2015.4",
        "2016",
    ]
    close = [1.0, 1.0 + 2**-52]
    assert len(set(told_apart(close))) == 2


def test_only_the_first_letter_becomes_a_capital() -> None:
    assert capital("crp of Dr. Who") == "Crp of Dr. Who"
    assert capital("") == ""
