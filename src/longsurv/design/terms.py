"""The right-hand side of a formula as terms, and the columns of terms.

formulaic knows the algebra of terms (``*``, ``:``, ``/``, ``**``) and how factors are coded without
redundant columns. It sees neither the user's names nor any code: every factor is a stand-in while
terms are multiplied, and is evaluated by `longsurv.design.expression`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache, reduce
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd
from formulaic import Formula, ModelSpec, ModelSpecs, SimpleFormula
from formulaic.errors import FormulaicError
from formulaic.materializers import PandasMaterializer
from formulaic.parser import DefaultFormulaParser, DefaultOperatorResolver
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import Factor, Operator, OrderedSet, Term, Token
from formulaic.utils.variables import Variable
from interface_meta import override

from longsurv.design.evaluation import evaluate
from longsurv.design.expression import expression
from longsurv.design.names import WORDS, quoted, unquoted
from longsurv.design.variables import category, column_of, variable
from longsurv.errors import FormulaError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

LONGEST = 200_000
"""Characters of a right-hand side."""
MOST_TERMS = 5_000
MOST_TOKENS = 4 * MOST_TERMS
MOST_CELLS = 10**9
"""Rows times columns of one term: 8 GB."""
ALGEBRA = frozenset(("+", "-", "*", "/", ":", "**", "^", "in"))
MEANT = re.compile(r"[:`\[\](){}|*'\"]")
"""In names of columns that need quotes to be told from what a formula makes."""


class ColumnFactor(Factor):
    """A factor that knows the columns it needs."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the data."""
        if self.eval_method is Factor.EvalMethod.LOOKUP:
            return (unquoted(self.expr),)
        if self.eval_method is Factor.EvalMethod.PYTHON:
            return expression(self.expr).columns
        return ()

    @property
    def written(self) -> str:
        """The factor as a formula has to write it."""
        return quoted(*self.columns) if self.eval_method.value == "lookup" else self.expr

    @property
    def required_variables(self) -> set[Variable]:
        """As formulaic asks for them."""
        return {Variable(name, roles=("value",), source="data") for name in self.columns}

    def __repr__(self) -> str:
        return self.expr


class Recipe(ModelSpec):
    """What rebuilds the columns of terms for new data."""

    @cached_property
    def required_variables(self) -> set[Variable]:
        """The columns of the data that the terms need."""
        return {Variable(name, source="data") for name in columns_of(self)}


def columns_of(formula: Iterable[Term] | ModelSpec) -> list[str]:
    """The columns of the data that terms or a recipe need, once each."""
    made = formula.formula if isinstance(formula, ModelSpec) else formula
    return sorted({name for term in made for f in term.factors for name in f.columns})


def terms(side: str) -> SimpleFormula:
    """The terms of a right-hand side; an intercept unless it says 0 or - 1.

    Raises
    ------
    FormulaError
        If it cannot be read, or has more than a formula needs.
    """
    # A formula object can be changed, and this one is not: its users only read it.
    return _terms(side)


@lru_cache(maxsize=256)
def _terms(side: str) -> SimpleFormula:
    if len(side) > LONGEST:
        raise FormulaError(f"a formula has at most {LONGEST} characters; got {side[:60]!r}...")
    factors: dict[ColumnFactor, str] = {}  # and what stands for them
    text = []
    try:
        for position, token in enumerate(tokenize(side)):
            if position >= MOST_TOKENS:
                raise FormulaError(f"{side[:60]!r}... has more than {MOST_TERMS} terms")
            if token.kind in (Token.Kind.NAME, Token.Kind.PYTHON):
                factor = _factor(token, side)
                text.append(factors.setdefault(factor, f"f{len(factors)}"))
            else:
                _check_token(token, side)
                text.append(token.token)
        found = Formula(" ".join(text), _parser=_PARSER)
    except (FormulaicError, SyntaxError, RecursionError) as error:
        message = plain_message(error)
        for factor, stand_in in factors.items():
            message = "".join(
                factor.expr if part == stand_in else part
                for part in re.split(rf"\b({stand_in})\b", message)
            )
        raise FormulaError(f"cannot read {side!r}: {message}") from error
    meant = {stand_in: factor for factor, stand_in in factors.items()}
    return SimpleFormula(
        [Term([_meant(f, meant) for f in term.factors]) for term in found], _ordering="none"
    )


def _factor(token: Token, side: str) -> ColumnFactor:
    text = token.token
    start = token.source_start or 0
    if token.kind is Token.Kind.NAME:
        plain = not MEANT.search(text) and text not in WORDS and not _is_number(text)
        if text.strip(".") == "" and "`" not in side[max(start - 1, 0) : start + 1]:
            raise FormulaError(f"'.' stands for no columns; name them in {side!r}")
        return ColumnFactor(text if plain else f"`{text}`", eval_method="lookup")
    found = expression(text)
    if side[start : start + 1] == "{" or not found.text.endswith(")"):
        found = expression(f"I({found.text})")
    return ColumnFactor(found.text, eval_method="python")


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[\d.]+", text) is not None


def _check_token(token: Token, side: str) -> None:
    """Refuse operators that are not part of the algebra of terms."""
    if token.kind is not Token.Kind.OPERATOR:
        return
    for symbol in re.findall(r"\*\*|\w+|[^\w\s]", token.token):
        if symbol not in ALGEBRA:
            raise FormulaError(
                f"cannot read {side!r}: {symbol!r} has no meaning between terms; arithmetic and "
                "comparisons go inside I(), as in I(x > 3)"
            )


def _meant(factor: Factor, meant: dict[str, ColumnFactor]) -> ColumnFactor:
    if factor.expr in meant:
        return meant[factor.expr]
    return ColumnFactor(factor.expr, eval_method=factor.eval_method)


def plain_message(error: Exception) -> str:
    """A message of formulaic without its colours."""
    return re.sub(r"\x1b\[[0-9;]*m|⧛\[[0-9;]*m|[⧛⧚]", "", str(error)).strip()


def _bounded(make: Callable[..., Iterable[Term]]) -> Callable[..., OrderedSet[Term]]:
    """Terms from sets of terms, where they do not become too many."""

    def bounded(*sets: OrderedSet[Term]) -> OrderedSet[Term]:
        if reduce(lambda size, terms: size * max(len(terms), 1), sets, 1) > MOST_TERMS:
            raise FormulaError(f"a formula has at most {MOST_TERMS} terms; this one makes more")
        return OrderedSet(make(*sets))

    return bounded


def _power(terms: OrderedSet[Term], power: OrderedSet[Term]) -> OrderedSet[Term]:
    text = next(iter(power)).factors[0].expr if len(power) == 1 else ""
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise FormulaError("the power of terms is a positive whole number, as in (a + b)**2")
    product = _bounded(lambda a, b: (x * y for x in a for y in b))
    found = terms
    for _ in range(min(int(text), len(terms)) - 1):  # more gives no new products
        found = product(found, terms)
    return found


class _Algebra(DefaultOperatorResolver):
    """formulaic's operators between terms, each with a bound on what it makes."""

    @property
    def operators(self) -> list[Operator]:
        """The operators."""
        kept = []
        for operator in super().operators:
            if operator.symbol not in ALGEBRA or operator.structural:
                continue
            if operator.symbol in ("**", "^"):
                operator._to_terms = _power
            elif operator.symbol in ("*", ":", "/", "in"):
                operator._to_terms = _bounded(operator._to_terms)
            kept.append(operator)
        return kept


_PARSER = DefaultFormulaParser(operator_resolver=_Algebra())


class Materializer(PandasMaterializer):
    """Evaluates factors with `longsurv.design.expression` and nothing else."""

    REGISTER_NAME = "longsurv"
    REGISTER_INPUTS = ()
    REGISTER_OUTPUTS = ("pandas", "numpy")

    known: dict[str, tuple[Factor.Kind | None, Mapping[str, list[object]]]]
    """How the factors of a recipe were coded; none where there is no recipe yet."""

    @override
    def _prepare_factor_evaluation_model_spec(
        self, model_specs: ModelSpecs
    ) -> tuple[set[Factor], ModelSpec]:
        # What factors are evaluated by has the transformations of the recipe and not the codings.
        self.known = {}
        model_specs._map(lambda spec: self.known.update(spec.encoder_state))
        return super()._prepare_factor_evaluation_model_spec(model_specs)

    @override
    def _evaluate_factor(self, factor: Factor, spec: ModelSpec, drop_rows: set[int]) -> object:
        found = super()._evaluate_factor(factor, spec, drop_rows)
        values = getattr(found.values, "__wrapped__", None)
        kind, coding = self.known.get(factor.expr, (None, {}))
        if isinstance(values, pd.Series) and isinstance(values.dtype, pd.CategoricalDtype):
            if kind is Factor.Kind.NUMERICAL:
                raise FormulaError(
                    f"the new data: {factor.expr!r} has categories, as"
                    f" {str(values.cat.categories[0])!r}, where the model was fitted to numbers"
                )
            self._affordable(factor.expr, len(values.cat.categories))
            fitted = coding.get("categories", list(values.cat.categories))
            new = [v for v in values.cat.categories if v not in fitted]
            if new:
                raise FormulaError(
                    f"the new data: {factor.expr!r} has levels the model was not fitted to: "
                    f"{new[:5]}; it knows {fitted[:20]}"
                )
        return found

    @override
    def _lookup(self, name: str) -> tuple[object, set[Variable]]:
        column = unquoted(name)
        if self.known.get(name, (None, {}))[0] is Factor.Kind.CATEGORICAL:
            found: object = category(column, column_of(self.data, column))
        else:
            found = variable(self.data, column)
        values = pd.Series(found) if isinstance(found, pd.Categorical) else found
        return values, {Variable(column, roles=("value",), source="data")}

    @override
    def _evaluate(
        self, expr: str, metadata: object, spec: ModelSpec
    ) -> tuple[object, set[Variable]]:
        read = expression(expr)
        state = spec.transform_state.setdefault(expr, {})
        found = evaluate(read, self.data, self.params.get("functions"), state)
        if not state:
            del spec.transform_state[expr]
        if isinstance(found, pd.Categorical):
            found = pd.Series(found)
        bare = cast("ArrayLike", getattr(found, "__wrapped__", found))
        if np.ndim(bare) == 0 and not isinstance(found, dict):
            found = np.full(len(self.data), np.asarray(found, dtype=float))
        return found, {Variable(c, roles=("value",), source="data") for c in read.columns}

    @override
    def _get_columns_for_term(
        self, factors: list[dict[str, object]], spec: ModelSpec, scale: float = 1
    ) -> dict[str, object]:
        names = [next(iter(factor), "") for factor in factors]
        self._affordable(":".join(names), reduce(lambda n, f: n * len(f), factors, 1))
        return super()._get_columns_for_term(factors, spec, scale)

    def _affordable(self, what: str, columns: int) -> None:
        if columns * max(len(self.data), 1) > MOST_CELLS:
            raise FormulaError(
                f"{what!r} makes {columns:,} columns for {len(self.data):,} rows, more than fit; "
                "is it an identifier? Patients and sites are random effects: (1 | site)"
            )
