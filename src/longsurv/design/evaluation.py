"""The value of an expression for the rows of a table, computed node by node on float64 arrays."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from longsurv.design.expression import Expression, Functions, dotted, refused
from longsurv.design.functions import CONSTANTS, check_options, codings, refuse, table
from longsurv.design.variables import Variable, category, column_of, variable
from longsurv.errors import FormulaError

BINARY: dict[type[ast.operator], np.ufunc] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
LOGICAL: dict[type[ast.operator], np.ufunc] = {
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
}
COMPARED: dict[type[ast.cmpop], np.ufunc] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
SIGNS: dict[type[ast.unaryop], np.ufunc] = {
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}


def evaluate(
    read: Expression,
    data: pd.DataFrame,
    functions: Functions | None = None,
    state: dict[str, object] | None = None,
) -> object:
    """The value of an expression: numbers, truth values, categories or, of a transform, columns.

    Parameters
    ----------
    read : Expression
    data : DataFrame
    functions : mapping of str to callable, optional
        The user's own, by name.
    state : dict, optional
        What its transforms remember, filled at the first call.

    Raises
    ------
    FormulaError, DataError
    """
    with np.errstate(all="ignore"):
        return _Evaluation(read, data, functions or {}, {} if state is None else state).of(
            read.tree
        )


@dataclass(frozen=True)
class _Evaluation:
    whole: Expression
    data: pd.DataFrame
    functions: Functions
    state: dict[str, object]

    def of(self, node: ast.expr) -> object:
        """The value of a node: numbers, truth values, categories or, of a transform, columns."""
        match node:
            case ast.Constant():
                return node.value
            case ast.Name() | ast.Attribute():
                name = dotted(node, self.whole.names) or ""
                if name.startswith("np."):
                    return CONSTANTS[name[3:]]
                if name.startswith("contr."):
                    return codings()[name]
                return self.column(name)
            case ast.BinOp():
                if type(node.op) in LOGICAL:
                    pair = (self.truth(node.left), self.truth(node.right))
                    return LOGICAL[type(node.op)](*pair)
                numbers = (self.number(node.left), self.number(node.right))
                return BINARY[type(node.op)](*numbers)
            case ast.UnaryOp():
                return SIGNS[type(node.op)](self.number(node.operand))
            case ast.Compare(ops=[op], comparators=[right]):
                return self.compared(type(op), node.left, right)
            case ast.List() | ast.Tuple():
                return [self.of(element) for element in node.elts]
            case ast.Call():
                return self.called(node)
        raise refused(self.whole.text, f"not {type(node).__name__}")  # read before: never here

    def column(self, name: str) -> Variable:
        """A column's values."""
        if name not in self.data and name.lower() in ("true", "false", "t", "f"):
            raise FormulaError(f"write True or False in place of {name} in {self.whole.text!r}")
        return variable(self.data, name)

    def number(self, node: ast.expr) -> np.ndarray | np.generic:
        """The value of a node that has to be numbers."""
        value = self.of(node)
        if isinstance(value, bool | int | float):
            return np.float64(value)
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "fiub":
            return value.astype(float)
        what = "text" if isinstance(value, str | pd.Categorical) else "several columns or a factor"
        raise FormulaError(
            f"{ast.unparse(node)!r} is {what}, with which {self.whole.text!r} cannot compute"
        )

    def truth(self, node: ast.expr) -> object:
        """The value of a node that has to be true or false."""
        value = self.of(node)
        if _is_truth(value):
            return value
        if isinstance(value, np.ndarray) and np.isin(value, (0.0, 1.0)).all():
            return value != 0.0
        raise FormulaError(
            f"& and | join comparisons, each in brackets, as in (x > 1) & (z == 0); got "
            f"{self.whole.text!r}"
        )

    def compared(self, op: type[ast.cmpop], left: ast.expr, right: ast.expr) -> np.ndarray:
        """A comparison of numbers, or of categories with a level."""
        pair = [self.of(left), self.of(right)]
        if not any(isinstance(v, pd.Categorical | str) for v in pair):
            return np.asarray(COMPARED[op](self.number(left), self.number(right)))
        try:
            return np.asarray(_SERIES[op](_whole(pair[0]), _whole(pair[1])))
        except (TypeError, ValueError) as error:
            raise FormulaError(f"cannot compare in {self.whole.text!r}: {error}") from error

    def called(self, node: ast.Call) -> object:
        """The value of a call."""
        name = dotted(node.func, self.whole.names) or ""
        if name == "Q":
            return self.column(node.args[0].value)  # type: ignore[attr-defined]
        if name in self.functions:
            values = [self.of(child) for child in node.args]
            named = {str(k.arg): self.of(k.value) for k in node.keywords}
            return self.by_the_user(name, values, named)
        if name in codings():
            options = {str(k.arg): self.of(k.value) for k in node.keywords}
            return codings()[name](*(self.of(child) for child in node.args), **options)
        if name not in table():
            raise refuse(name, self.functions)
        function = table()[name]
        if len(node.args) > len(function.arguments):
            raise FormulaError(
                f"{name}() takes {', '.join(function.arguments)}; {self.whole.text!r} has more"
            )
        given = dict(zip(function.arguments, node.args, strict=False))
        for keyword in node.keywords:
            if keyword.arg not in function.arguments or keyword.arg in given:
                raise FormulaError(
                    f"{name}() takes {', '.join(function.arguments)}, each once; got "
                    f"{keyword.arg!r} in {self.whole.text!r}"
                )
            given[str(keyword.arg)] = keyword.value
        rows = function.arguments[: function.rows]
        lacking = [argument for argument in rows if argument not in given]
        if lacking:
            raise FormulaError(f"{name}() needs {', '.join(rows)} in {self.whole.text!r}")
        values = [self.rows(name, given[argument]) for argument in rows]
        chosen = {
            option: self.of(given[option])
            for option in function.arguments[function.rows :]
            if option in given
        }
        check_options(name, chosen)
        if function.remembers:
            key = ast.unparse(node)
            chosen["_state"] = self.state.setdefault(key, {})
        return function.call(*values, **chosen)

    def by_the_user(self, name: str, values: list[object], named: dict[str, object]) -> object:
        """What a function of the user gives: a value for each row, or columns."""
        try:
            found = self.functions[name](*values, **named)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise FormulaError(
                f"your function {name!r}: {type(error).__name__}: {error}"
            ) from error
        if isinstance(found, pd.Series) and not isinstance(found.dtype, pd.CategoricalDtype):
            found = found.to_numpy()
        if np.shape(found)[:1] != (len(self.data),):
            raise FormulaError(
                f"your function {name!r} gives the shape {np.shape(found)} for {len(self.data)} "
                "rows; it has to give a value for each"
            )
        return found

    def rows(self, name: str, node: ast.expr) -> object:
        """An argument that has a value for each row."""
        if name in ("C", "factor"):
            if isinstance(node, ast.Name | ast.Attribute):
                column = dotted(node, self.whole.names) or ""
                return category(column, column_of(self.data, column))
            value = self.of(node)
            if isinstance(value, pd.Categorical):
                return value
            return category(ast.unparse(node), pd.Series(np.asarray(value)))
        if name in ("I", "isin"):
            return self.of(node)
        if name in ("where", "np.where", "ifelse", "logical_not", "np.logical_not"):
            value = self.of(node)
            return value if _is_truth(value) else self.number(node)
        return self.number(node)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool) or getattr(value, "dtype", None) == np.dtype(bool)


def _whole(value: object) -> object:
    return pd.Series(value) if isinstance(value, pd.Categorical) else value


_SERIES: dict[type[ast.cmpop], Callable[..., object]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
