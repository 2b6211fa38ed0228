"""Categories of an ordinal response taken as one: against ordinal::clmm, and against the same model
of a column merged by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from longsurv.design.merging import Merged
from longsurv.errors import DataError, LongsurvError
from longsurv.models import GLMM

FORMULA = "rating ~ temp + contact + (1 | judge)"
ASKED = {"named": [[4, 5]], "rare": 9}
BY_HAND = {"named": [1, 2, 3, 4, 4], "rare": [1, 1, 2, 3, 3]}
LEVELS = {"named": ("1", "2", "3", "4 or 5"), "rare": ("1 or 2", "3", "4 or 5")}


@pytest.fixture(scope="module")
def wine(table):
    return table("wine")


def spec(data: pd.DataFrame, merge: object = None, **options) -> GLMM:
    return GLMM(FORMULA, data, family="ordinal", nodes=31, merge=merge, **options)


def by_hand(wine: pd.DataFrame, name: str) -> pd.DataFrame:
    return wine.assign(rating=np.array(BY_HAND[name])[wine["rating"] - 1])


@pytest.mark.parametrize("name", ["named", "rare"])
def test_they_are_the_models_of_r(wine, r_results, name):
    fit = spec(wine, ASKED[name]).fit()
    assert fit.design.levels == LEVELS[name]
    cuts = {f"{k + 1}|{k + 2}": f"{a}|{b}" for k, (a, b) in enumerate(
        zip(LEVELS[name], LEVELS[name][1:], strict=False)
    )}  # fmt: skip
    ours = {**cuts, "tempwarm": "temp[T.warm]", "contactyes": "contact[T.yes]"}
    table = fit.tidy().set_index("term")
    for column, theirs, near in (("estimate", "coef", 2e-5), ("std_error", "se", 2e-4)):
        expected = r_results("ordinal_merged", name, theirs)
        assert set(expected) == set(ours)
        for term, value in expected.items():
            assert table.loc[ours[term], column] == pytest.approx(value, rel=near)
    assert fit.llf == pytest.approx(r_results("ordinal_merged", name, "loglik")[""], abs=1e-6)


def test_contrasts_that_sum_to_zero_are_those_of_r(wine, r_results):
    data = wine.assign(cell=wine["temp"] + "_" + wine["contact"])
    formula = "rating ~ C(cell, contr.sum) + (1 | judge)"
    fit = GLMM(formula, data, family="ordinal", nodes=31).fit()
    levels = sorted(data["cell"].unique())
    for column, theirs, near in (("estimate", "coef", 2e-5), ("std_error", "se", 2e-4)):
        expected, table = r_results("ordinal_merged", "sum", theirs), fit.tidy().set_index("term")
        for k in range(3):
            term = f"C(cell, contr.sum)[S.{levels[k]}]"
            assert table.loc[term, column] == pytest.approx(expected[f"cell{k + 1}"], rel=near)
        assert table.loc["2|3", column] == pytest.approx(expected["2|3"], rel=near)
    # The fourth is minus the sum of the others: a contrast, and priors that no level is apart in.
    last = fit.contrast(dict.fromkeys((f"C(cell, contr.sum)[S.{c}]" for c in levels[:3]), -1.0))
    plain = GLMM("rating ~ cell + (1 | judge)", data, family="ordinal", nodes=31).fit()
    means = plain.means("cell")
    weights = {f"cell={c}": (0.75 if c == levels[3] else -0.25) for c in levels}
    assert last["estimate"].item() == pytest.approx(
        means.combination(weights)["estimate"].item(), rel=1e-4
    )


@pytest.mark.parametrize("name", ["named", "rare"])
def test_they_are_the_model_of_a_column_merged_by_hand(wine, name):
    merged, hand = spec(wine, ASKED[name]).fit(), spec(by_hand(wine, name)).fit()
    numbers = ["estimate", "std_error", "conf_low", "conf_high"]
    np.testing.assert_allclose(merged.tidy()[numbers], hand.tidy()[numbers], rtol=1e-9)
    new = wine.head(3)
    mine, theirs = (f.predict(new, type="response") for f in (merged, hand))
    np.testing.assert_allclose(mine["estimate"], theirs["estimate"], rtol=1e-9)
    assert tuple(mine["category"][: len(LEVELS[name])]) == LEVELS[name]
    share, same = (
        f.response_means("temp", at_least=k).tidy()
        for f, k in ((merged, 4), (hand, BY_HAND[name][3]))
    )
    assert set(share["quantity"]) == {"P(rating >= 4 or 5)"}
    np.testing.assert_allclose(share["estimate"], same["estimate"], rtol=1e-9)


def test_a_posterior_is_that_of_a_column_merged_by_hand(wine):
    options = {"draws": 40, "tune": 60, "chains": 1}
    mine = spec(wine, 9).sample(**options)
    theirs = spec(by_hand(wine, "rare")).sample(**options)
    np.testing.assert_array_equal(mine.coefficients, theirs.coefficients)
    assert any("Merged as asked" in flag for flag in mine.flags)


def test_the_result_says_what_was_merged(wine):
    said = [flag for flag in spec(wine, 9).fit().flags if "Merged" in flag]
    assert said == [
        "Merged as asked: rating = 1 (5 rows) and 2 (22 rows) as one category, '1 or 2'.",
        "Merged as asked: rating = 4 (12 rows) and 5 (7 rows) as one category, '4 or 5'.",
    ]
    assert not [flag for flag in spec(wine, 5).fit().flags if "Merged" in flag]
    assert spec(wine).fit().design.levels == ("1", "2", "3", "4", "5")


@pytest.mark.parametrize(
    ("counts", "least", "groups"),
    [
        ([5, 22, 26, 12, 7], 6, [("a", "b")]),
        ([30, 2, 3, 30, 30], 4, [("b", "c")]),  # two rare ones are enough for each other
        ([30, 2, 3, 30, 30], 6, [("a", "b", "c")]),  # and the lower of equals
        ([3, 9, 9, 3], 4, [("a", "b"), ("c", "d")]),
        ([1, 1, 1], 9, [("a", "b", "c")]),
        ([9, 9], 9, []),
    ],
)
def test_rare_categories_go_to_their_smaller_neighbour(counts, least, groups):
    labels = list("abcde"[: len(counts)])
    found = Merged.asked(least, labels, counts)
    assert list(found.groups) == groups


def test_text_categories_keep_their_order(wine):
    names = ["none", "mild", "moderate", "severe", "worst"]
    data = wine.assign(
        rating=pd.Categorical(np.array(names)[wine["rating"] - 1], names, ordered=True)
    )
    design = spec(data, [["worst", "moderate", "severe"]]).design
    assert design.levels == ("none", "mild", "moderate to worst")


def test_other_rows_are_merged_alike(wine):
    """What is rare in a part of the rows does not change what the categories are."""
    model = spec(wine, 9)
    part = model.with_data(wine[wine["rating"] != 1].head(40))
    assert part.design.levels == ("1 or 2", "3", "4 or 5")
    named = spec(wine, [[4, 5]]).with_data(wine[wine["rating"] != 5])
    assert named.design.levels == ("1", "2", "3", "4 or 5")
    drawn = model.fit().simulate(2, seed=1)
    assert set(np.unique(drawn.to_numpy())) <= set(LEVELS["rare"])
    again = model.fit().refit(drawn.iloc[:, 0])
    assert again.design.levels == LEVELS["rare"]


def test_what_cannot_be_merged_is_refused(wine):
    refusals = {
        "does not occur": [[5, 6]],
        "are not neighbours": [[1, 3]],
        "twice": [[1, 2], [2, 3]],
        "which categories are one": [[4], [5, 3]],
        "merge is a whole number": True,
        "not '45'": "45",
    }
    for words, merge in refusals.items():
        with pytest.raises(LongsurvError, match=words):
            _ = spec(wine, merge).design
    with pytest.raises(DataError, match="leaves one category"):
        _ = spec(wine, 100).design
    with pytest.raises(LongsurvError, match="of family 'ordinal'"):
        GLMM("y ~ 1 + (1 | judge)", wine.assign(y=1), family="poisson", merge=3)
    fit = spec(wine, 9).fit()
    with pytest.raises(LongsurvError, match="is merged with '4'"):
        fit.response_means("temp", at_least=5)
    with pytest.raises(LongsurvError, match="so it has no mean"):
        fit.response_means("temp")
