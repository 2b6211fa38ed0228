"""Tables of other libraries, wherever a table is taken."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from longsurv.cohort import Cohort, Marker, Schema
from longsurv.errors import ArgumentError
from longsurv.frames import as_pandas
from longsurv.models import LMM, Linear

PATIENTS = pd.DataFrame(
    {"id": [1, 2, 3], "arm": ["a", "b", "a"], "days": [28.0, 9, 28], "died": [0, 1, 0]}
)
VISITS = pd.DataFrame({"id": [1, 1, 2, 3], "day": [0, 1, 0, 2], "crp": ["5", "<2", "7", None]})
DATA = pd.DataFrame(
    {
        "y": np.random.default_rng(1).normal(size=30),
        "x": np.tile([0.0, 1.0, 2.0], 10),
        "g": np.repeat(list("ababababab"), 3),
        "i": np.repeat(np.arange(10), 3),
    }
)
FORMULA = "y ~ x + g + (1 | i)"


class Stream:
    """A table of a library that nobody knows, which hands over Arrow's stream."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._table = pa.table(frame)

    def __arrow_c_stream__(self, schema: object = None) -> object:
        return self._table.__arrow_c_stream__(schema)


def polars(frame: pd.DataFrame) -> object:
    return pytest.importorskip("polars").DataFrame(frame.to_dict(orient="list"))


def lazy_polars(frame: pd.DataFrame) -> object:
    return polars(frame).lazy()


KINDS = {
    "pyarrow": pa.table,
    "dict of lists": lambda frame: frame.to_dict(orient="list"),
    "dict of arrays": lambda frame: {name: frame[name].to_numpy() for name in frame},
    "dict of arrow": lambda frame: {name: pa.array(frame[name]) for name in frame},
    "stream": Stream,
    "polars": polars,
    "lazy polars": lazy_polars,
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_cohort_of_any_tables(kind):
    schema = Schema(
        patient="id", treatment="arm", reference="a", exit="days", status="died", time="day",
        wide=True,
    )  # fmt: skip
    plain = Cohort(PATIENTS, VISITS, schema, [Marker("crp")])
    other = Cohort(KINDS[kind](PATIENTS), KINDS[kind](VISITS), schema, [Marker("crp")])
    pd.testing.assert_frame_equal(other.measurements, plain.measurements)
    pd.testing.assert_frame_equal(other.survival_data(), plain.survival_data())


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_any_table_and_its_prediction(kind):
    plain, other = LMM(FORMULA, DATA).fit(), LMM(FORMULA, KINDS[kind](DATA)).fit()
    pd.testing.assert_frame_equal(other.tidy(), plain.tidy())
    new = DATA.assign(x=DATA["x"] + 1)
    pd.testing.assert_frame_equal(other.predict(KINDS[kind](new)), plain.predict(new))


@pytest.mark.parametrize("kind", ["pyarrow", "dict of lists", "stream"])
def test_one_table_given_twice_is_one(kind):
    both = KINDS[kind](PATIENTS.merge(VISITS, on="id"))
    schema = Schema(
        patient="id", treatment="arm", reference="a", exit="days", status="died", time="day",
        wide=True,
    )  # fmt: skip
    cohort = Cohort(both, both, schema, [Marker("crp")])
    assert len(cohort.patients) == 3 and len(cohort.measurements) == 3


@pytest.mark.parametrize(
    "given",
    [{"a": 1}, {"a": [1], "b": [1, 2]}, {}, {1: [2]}, {"a": np.zeros((2, 2))}, [1, 2], "text", 3,
     None, object(), pa.array([1, 2]), pd.Series([1]), pa.Table],
    ids=lambda given: type(given).__name__,
)  # fmt: skip
def test_what_is_no_table(given):
    assert as_pandas(given) is None
    with pytest.raises(ArgumentError, match="Linear: data is a pandas DataFrame, not"):
        Linear("y ~ x", given, "i")
