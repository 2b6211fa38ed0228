"""Designs of generalised mixed models: the response coded as its family needs it."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import pandas as pd

from longsurv.arguments import choice
from longsurv.design.expression import Functions
from longsurv.design.formula import parse
from longsurv.design.groupings import Grouping, RandomDesign
from longsurv.design.limits import beyond_alike, limits_of, notes_of
from longsurv.design.merging import NOTHING, Merge, Merged, check_merge
from longsurv.design.mixed import MixedDesign, mixed_design
from longsurv.design.names import is_name, unquoted
from longsurv.design.offset import offset_of_new
from longsurv.design.variables import variable
from longsurv.errors import DataError, FormulaError, LongsurvError
from longsurv.likelihood.glmm.families import FAMILIES
from longsurv.likelihood.glmm.family import Family, kinds_of, middle_of
from longsurv.words import plural


@dataclass(frozen=True, kw_only=True)
class GeneralisedDesign(MixedDesign):
    """Arrays of a generalised mixed model (see `MixedDesign`).

    Attributes
    ----------
    family : str
        One of `FAMILIES`.
    extent : ndarray, shape (n,)
        A value lies between y and y + extent: 0 where it is measured, -inf below a limit, inf
        above one.
    levels : tuple of str
        Categories of an ordinal response that occur, in order; empty otherwise.
    family_names : tuple of str
        Thresholds ("1|2", ...); or sigma and, if it is estimated, nu; or theta or phi of counts.
    notes : tuple of str
        What a reader should know about the response, in sentences.
    merged : Merged
        Which categories of an ordinal response are one.
    merged_words : tuple of str
        That in sentences, which are among the notes.
    falling : bool
        Whether the response has limits and falls where its column rises, as ``-y`` does: what is
        below a limit of the column is above one here.
    """

    family: str
    extent: np.ndarray
    levels: tuple[str, ...]
    family_names: tuple[str, ...]
    notes: tuple[str, ...]
    merged: Merged = NOTHING
    merged_words: tuple[str, ...] = ()
    falling: bool = False

    @property
    def effects(self) -> RandomDesign:
        """The random effects of a patient, its site's last."""
        if not self.outer:
            return self.random
        designs = [grouping.random for grouping in self.terms]
        return RandomDesign(
            tuple(part for d in designs for part in d.parts),
            np.hstack([d.X for d in designs]),
            tuple(name for d in designs for name in d.names),
            tuple(size for d in designs for size in d.blocks),
        )

    @property
    def site(self) -> np.ndarray | None:
        """The site of each patient, an index into the labels of the outer grouping, shape (N,);
        None without sites, and where patients are found at several."""
        if not self.outer or self.crossed:
            return None
        home = np.empty(len(self.labels), dtype=np.int64)
        home[self.group] = self.outer[0].group
        return home

    @property
    def site_of_row(self) -> np.ndarray | None:
        """The site of each row, shape (n,); None without sites."""
        return self.outer[0].group if self.outer else None

    @property
    def units(self) -> Grouping:
        """What is independent of the rest: patients, or the sites that they are nested in; the
        coarsest grouping, of which nothing is independent, where they cross."""
        return self.terms[-1]

    @property
    def deviations(self) -> tuple[str, ...]:
        """Names of the standard deviations of `effects`."""
        return tuple(name for g in self.terms for name in g.random.parameter_names(g.name)[0])

    def with_values(self, y: np.ndarray) -> Self:
        """The same design of other responses, with the limits of these.

        Parameters
        ----------
        y : ndarray, shape (n,)
            Categories of an ordinal response by number.

        Raises
        ------
        LongsurvError
            If a category does not occur, or nothing says which of the values are beyond a limit.
        """
        if np.array_equal(y, self.y):
            return self
        absent = [label for k, label in enumerate(self.levels) if not (y == k).any()]
        if absent:
            raise LongsurvError(
                f"no response is {', '.join(absent)}, and the thresholds of the fit are between "
                f"{', '.join(self.levels)}"
            )
        if not (self.extent != 0.0).any():
            return replace(self, y=y)
        seen, extent = beyond_alike(y, self.y, self.extent)
        if (extent != 0.0).all():
            raise LongsurvError(
                "every value is beyond a limit, so no model of its level can be fitted"
            )
        return replace(self, y=seen, extent=extent, notes=tuple(notes_of(kinds_of(extent))))

    @property
    def response_column(self) -> str:
        """The column that the response is, or its expression."""
        text = self.formula.response
        return unquoted(text) if is_name(text) else text

    @property
    def variance_names(self) -> tuple[str, ...]:
        """The family's own where they are no thresholds, random-effects SDs, their correlations."""
        own = () if self.levels else self.family_names
        return (*own, *self.deviations, *self.random.parameter_names(self.group_name)[1])

    @property
    def kind(self) -> np.ndarray:
        """Censoring of each row, shape (n,): index into none, left, right, interval."""
        return kinds_of(self.extent)

    @property
    def middle(self) -> np.ndarray:
        """The measured value, the limit, or the middle between two, shape (n,)."""
        return middle_of(self.y, self.extent)

    @property
    def offsets(self) -> np.ndarray:
        """What the predictor has besides coefficients and random effects, shape (n,)."""
        return np.zeros(len(self.y)) if self.offset is None else self.offset

    def offset_of(self, data: pd.DataFrame) -> np.ndarray:
        """The same of new rows, shape (m,).

        Raises
        ------
        FormulaError
            If it is missing or cannot be computed.
        """
        if not self.offset_term:
            return np.zeros(len(data))
        return offset_of_new(data, self.offset_term, self.formula.functions)

    @property
    def family_is_log(self) -> bool:
        """Whether the predictor is the logarithm of the mean response."""
        return FAMILIES[self.family].log

    @property
    def family_is_logit(self) -> bool:
        """Whether the mean response is a probability."""
        return FAMILIES[self.family].logit

    @property
    def mean_is_predictor(self) -> bool:
        """Whether the mean response is the predictor itself."""
        return not (self.levels or self.family_is_log or self.family_is_logit)

    @property
    def coefficient_names(self) -> tuple[str, ...]:
        """Fixed effects, then the thresholds of an ordinal response."""
        return (*self.fixed.names, *(self.family_names if self.levels else ()))


def check_options(
    family: str,
    censored: str | None,
    df: float | None,
    nodes: int | None,
    upper: str | None = None,
    merge: Merge | None = None,
) -> None:
    """Refuse a family that does not exist, and options that are not the family's."""
    choice("family", family, FAMILIES)
    own = FAMILIES[family]
    if censored is not None and not own.takes_censored:
        raise LongsurvError(f"censored={censored!r} needs family='censored'")
    if upper is not None and censored is None:
        raise LongsurvError(
            f"upper={upper!r} is of the rows that a column says are known between two bounds only: "
            "give its name, as in censored='censored', beside it"
        )
    if df is not None and not (own.takes_df and df > 0):
        raise LongsurvError(f"df={df!r}: positive degrees of freedom, for family 'student' only")
    check_merge(merge)
    if merge is not None and not own.thresholds:
        raise LongsurvError(f"merge={merge!r} is of categories, of family 'ordinal'")
    if nodes is not None and (not isinstance(nodes, int) or nodes < 1):
        raise LongsurvError(f"nodes is a whole number of at least 1, not {nodes!r}")


def generalised_design(
    formula: str,
    data: pd.DataFrame,
    family: str,
    censored: str | None = None,
    df: float | None = None,
    functions: Functions | None = None,
    upper: str | None = None,
    merge: Merge | None = None,
) -> GeneralisedDesign:
    """Build the design of ``y ~ fixed + (effects | group)`` for a family.

    Raises
    ------
    FormulaError, DataError
        As `mixed_design`, and for a response that does not fit the family.
    """
    parsed = parse(formula)
    name = unquoted(parsed.response) if is_name(parsed.response) else parsed.response
    own = FAMILIES[family]
    labels: tuple[str, ...] = ()
    if name in data and own.response in CODED:
        coded, labels = CODED[own.response](data[name])
        data = data.assign(**{name: coded})
    base = mixed_design(formula, data, structured=True, functions=functions, offsets=True)
    check_groupings(base)
    y, extent = base.y, np.zeros(len(base.y))
    notes: list[str] = []
    merged, said = NOTHING, list[str]()
    falling = False
    check_values(own, y, name, data.index[base.rows])
    if own.thresholds:
        y, labels, notes = _observed_levels(name, y, labels)
        if merge is not None:
            y, labels, merged, said = _merged(name, y, labels, merge)
            notes += said
        base = _without_intercept(base, formula)
    if own.takes_censored:
        known = limits_of(data, name, base, censored, upper, functions)
        y, extent, notes, falling = known.y, known.extent, known.notes, known.falling
    inherited = {f.name: getattr(base, f.name) for f in fields(base)}
    return GeneralisedDesign(
        **(inherited | {"y": y}),
        family=family,
        extent=extent,
        levels=labels,
        family_names=own.names(labels, df),
        notes=tuple(notes),
        merged=merged,
        merged_words=tuple(said),
        falling=falling,
    )


def check_groupings(design: MixedDesign) -> None:
    """Refuse random effects beside those of patients that are not one of each site.

    Raises
    ------
    FormulaError
    """
    text = design.formula.text
    if len(design.outer) > 1:
        names = ", ".join(grouping.name for grouping in design.terms)
        raise FormulaError(
            f"{text!r} has random effects of {len(design.terms)} groupings, {names}; a generalised "
            "mixed model takes two, as of patients and of sites. Of measured values an LMM takes "
            "more"
        )
    for site in design.outer:
        if site.random.names != ("Intercept",):
            raise FormulaError(
                f"{text!r}: beside the random effects of {design.group_name} a generalised mixed "
                f"model takes one of {site.name}, (1 | {site.name}), and no slopes by it"
            )


def check_values(family: Family, y: np.ndarray, name: str, index: pd.Index) -> None:
    """Refuse values that the family cannot have, with their rows."""
    wrong = family.refused(y)
    if not wrong.any():
        return
    values = ", ".join(f"{v:g}" for v in sorted(set(y[wrong]))[:5])
    rows = ", ".join(str(label) for label in index[wrong][:5]) + (
        ", ..." if wrong.sum() > 5 else ""
    )
    raise DataError(
        f"{family.wanted}; {name!r} also has {values}, in {plural(int(wrong.sum()), 'row')} "
        f"(index {rows})"
    )


def _binary(column: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    name = str(column.name)
    found = variable(column.to_frame(name), name)
    if isinstance(found, pd.Categorical):
        values = [str(v) for v in column.dropna().unique()[:4]]
        raise DataError(
            f"a binary response is 0/1 or True/False; {column.name!r} holds {values}. Say which "
            f'one counts, as in data.assign(positive=data["{column.name}"] == "{values[-1]}")'
        )
    return found, ()


def _ordered(column: pd.Series) -> tuple[np.ndarray, tuple[str, ...]]:
    """Codes (missing as NaN) and all categories."""
    name = str(column.name)
    if isinstance(column.dtype, pd.CategoricalDtype):
        if not column.cat.ordered:
            raise DataError(
                f"the categories of {column.name!r} have no order; use "
                f'data["{column.name}"].cat.as_ordered() or numbers'
            )
        categories, codes = column.cat.categories, column.cat.codes.to_numpy()
    elif column.dropna().map(lambda value: isinstance(value, str)).any():
        raise DataError(
            f"an ordinal response is a number or an ordered categorical; {column.name!r} holds "
            "text in no stated order"
        )
    else:
        codes, categories = pd.factorize(variable(column.to_frame(name), name), sort=True)
    coded = np.where(codes < 0, np.nan, codes.astype(float))
    return coded, tuple(f"{c:g}" if isinstance(c, float) else str(c) for c in categories)


CODED = {"binary": _binary, "ordered": _ordered}
"""How a column of a response is read that is not a number already."""


def _observed_levels(
    name: str, y: np.ndarray, labels: tuple[str, ...]
) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    if not labels:
        raise FormulaError(f"an ordinal response must be a column of the data, not {name!r}")
    seen, codes = np.unique(y, return_inverse=True)
    if len(seen) < 2:
        raise DataError(f"{name!r} has one category only, {labels[int(seen[0])]!r}")
    missing = [label for k, label in enumerate(labels) if k not in seen]
    notes = [f"No row has {name} = {', '.join(missing)}; no threshold is estimated there."]
    kept = tuple(labels[int(k)] for k in seen)
    return codes.astype(float), kept, notes if missing else []


def _merged(
    name: str, y: np.ndarray, labels: tuple[str, ...], merge: Merge
) -> tuple[np.ndarray, tuple[str, ...], Merged, list[str]]:
    """Codes and labels of merged categories, which they are, and that in words."""
    counts = np.bincount(y.astype(int), minlength=len(labels)).tolist()
    merged = Merged.asked(merge, labels, counts)
    codes, kept = merged.codes(labels)
    if len(kept) < 2:
        raise DataError(
            f"merge={merge!r} leaves one category of {name!r}, {kept[0]!r}, and nothing to model"
        )
    return codes[y.astype(int)].astype(float), kept, merged, merged.words(name, labels, counts)


def _without_intercept(base: MixedDesign, formula: str) -> MixedDesign:
    if "Intercept" not in base.fixed.names:
        raise FormulaError(
            f"{formula!r}: the thresholds of an ordinal model are its intercepts; leave out '0 +' "
            "or '- 1'"
        )
    return replace(base, fixed=base.fixed.without_intercept())
