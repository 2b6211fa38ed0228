"""One factor of a formula: an expression of columns, numbers and listed functions.

An expression is data. It is parsed, never compiled: what is not column, constant, arithmetic,
comparison or a call of a listed function is refused when it is read, and the rest is computed here,
node by node, on float64 arrays. A name before a bracket is a function and any other a column, so a
column called ``log`` is in nobody's way.
"""

from __future__ import annotations

import ast
import re
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd

from longsurv.design.functions import (
    CONSTANTS,
    check_options,
    codings,
    refuse,
    table,
)
from longsurv.design.names import outside, quoted
from longsurv.design.variables import Variable, category, column_of, variable
from longsurv.errors import FormulaError

LONGEST = 5_000
"""Characters of an expression."""
DEEPEST = 40
"""Brackets within brackets."""
MOST_NODES = 600

BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
LOGICAL: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.BitAnd: np.logical_and,
    ast.BitOr: np.logical_or,
}
COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: np.negative,
    ast.UAdd: np.positive,
}
Functions = Mapping[str, Callable[..., Any]]


@dataclass(frozen=True)
class Expression:
    """An expression that may be evaluated.

    Attributes
    ----------
    text : str
        As it is written in names of columns.
    tree : ast.expr
    names : mapping of str to str
        Columns by the identifiers that stand for them in the tree.
    columns : tuple of str
        Columns it needs.
    """

    text: str
    tree: ast.expr
    names: Mapping[str, str]
    columns: tuple[str, ...]

    def evaluate(
        self, data: pd.DataFrame, functions: Functions | None = None, state: Any = None
    ) -> Any:
        """Its value for the rows of a table.

        Parameters
        ----------
        data : DataFrame
        functions : mapping of str to callable, optional
            The user's own, by name.
        state : dict, optional
            What its transforms remember, filled at the first call.

        Raises
        ------
        FormulaError, DataError
        """
        own = functions or {}
        remembered: dict[str, Any] = {} if state is None else state
        with np.errstate(all="ignore"):
            return _Evaluation(self, data, own, remembered).of(self.tree)


@lru_cache(maxsize=1024)
def expression(text: str) -> Expression:
    """Read an expression.

    Raises
    ------
    FormulaError
        For anything that is no expression of columns, numbers and functions, or is too long.
    """
    if len(text) > LONGEST:
        raise FormulaError(f"an expression has at most {LONGEST} characters; got {text[:60]!r}...")
    if any(depth > DEEPEST for _, _, depth in outside(text)):
        raise FormulaError(f"more than {DEEPEST} brackets within one another in {text[:60]!r}...")
    source, names = _plain_names(text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in strings
            tree = ast.parse(source.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
        hint = _advice(text)
        raise FormulaError(f"cannot read {text!r}{hint or ': it is no expression'}") from error
    if sum(1 for _ in ast.walk(tree)) > MOST_NODES:
        raise FormulaError(f"{text[:60]!r}... is too long; compute it in the data first")
    found: dict[str, None] = {}
    _check(tree, text, names, found)
    return Expression(_shown(tree, names), tree, names, tuple(found))


def _literally(text: str, _: re.Match[str]) -> str:
    return text


def _plain_names(text: str) -> tuple[str, dict[str, str]]:
    """The text with identifiers in place of quoted names and of those Python would respell."""
    stem = "column_"
    while stem in text:
        stem += "_"
    names: dict[str, str] = {}

    def stand_in(name: str) -> str:
        for known, of in names.items():
            if of == name:
                return known
        names[f"{stem}{len(names)}"] = name
        return f"{stem}{len(names) - 1}"

    def replaced(match: re.Match[str]) -> str:
        whole = match.group()
        if whole[0] == "`":
            return stand_in(whole[1:-1])
        if whole[0] in "'\"" or unicodedata.normalize("NFKC", whole) == whole:
            return whole
        return stand_in(whole)

    pattern = r"`[^`]+`|'[^']*'|\"[^\"]*\"|[^\W\d]\w*"
    return re.sub(pattern, replaced, text), names


def _advice(text: str) -> str:
    found = re.search(r"\bas\.(factor|numeric|integer|Date)\s*\(", text)
    if found:
        to = {"factor": "C(x)"}.get(found.group(1), "a column of numbers, made in the data first")
        return f": in place of as.{found.group(1)}(x) write {to}"
    if re.search(r"%\w*%", text):
        return ": %in% and its like are no part of an expression; write isin(x, [1, 2])"
    return ""


def _check(
    node: ast.expr, text: str, names: Mapping[str, str], found: dict[str, None], arg: bool = False
) -> None:
    """Refuse all that is no column, constant, arithmetic, comparison or plain call.

    `found` collects the columns; `arg` says that the node is an argument, where text and lists may
    stand.
    """

    def inside(child: ast.expr, arg: bool = False) -> None:
        _check(child, text, names, found, arg)

    match node:
        case ast.Constant(value=bool() | int() | float() | None):
            if isinstance(node.value, int) and abs(node.value) > 10**300:
                raise FormulaError(f"a number in {text[:60]!r} is too large")
        case ast.Constant(value=str()):
            if not arg:
                raise FormulaError(f"text has no place in the arithmetic of {text!r}")
        case ast.Name():
            found[names.get(node.id, node.id)] = None
        case ast.Attribute():
            name = dotted(node, names)
            if name is None or name in found:
                raise _refused(text, "a dot is part of a column's name or follows np or contr")
            if not name.startswith(("np.", "contr.")):
                found[name] = None
            elif name.startswith("np.") and name[3:] not in CONSTANTS:
                raise refuse(name, {})
            elif name.startswith("contr.") and name not in codings():
                raise FormulaError(f"{name} is none of {sorted(codings())}")
        case ast.BinOp(op=ast.BitXor()):
            raise FormulaError(f"write ** for powers, as in I(x**2); got '^' in {text!r}")
        case ast.BinOp() if type(node.op) in BINARY or type(node.op) in LOGICAL:
            inside(node.left)
            inside(node.right)
        case ast.UnaryOp() if type(node.op) in SIGNS:
            inside(node.operand)
        case ast.Compare(ops=[op], comparators=[right]) if type(op) in COMPARED:
            inside(node.left, True)
            inside(right, True)
        case ast.List() | ast.Tuple() if arg and len(node.elts) <= MOST_NODES:
            for element in node.elts:
                inside(element, True)
        case ast.Call(func=ast.Name() | ast.Attribute()):
            name = dotted(node.func, names)
            if name is None or name.startswith("_") or "._" in name or "`" in name:
                raise _refused(text, "only a function's plain name stands before a bracket")
            if name == "Q" and len(node.args) == 1 and not node.keywords:
                quoted_name = node.args[0]
                if isinstance(quoted_name, ast.Constant) and isinstance(quoted_name.value, str):
                    found[quoted_name.value] = None
                    return
            for child in node.args:
                inside(child, True)
            for keyword in node.keywords:
                if keyword.arg is None:
                    raise _refused(text, "** has no place in a call")
                inside(keyword.value, True)
        case _:
            what = {
                ast.Subscript: "brackets [ ] that pick rows",
                ast.BoolOp: "'and' and 'or'; write & and |, with brackets around comparisons",
                ast.Compare: "chained comparisons and 'in'; write (1 < x) & (x < 3), isin(x, [1])",
                ast.Starred: "*",
            }.get(type(node), type(node).__name__)
            raise _refused(text, f"not {what}")


def _refused(text: str, why: str) -> FormulaError:
    return FormulaError(
        f"cannot read {text!r}: a formula has columns, numbers, arithmetic, comparisons and calls "
        f"of listed functions; {why}"
    )


def dotted(node: ast.expr, names: Mapping[str, str]) -> str | None:
    """A name with dots, such as np.log or time.in; None if it is anything else."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or (parts and node.id in names):
        return None
    parts.append(names.get(node.id, node.id))
    return None if any(part.startswith("__") for part in parts) else ".".join(reversed(parts))


@dataclass(frozen=True)
class _Evaluation:
    whole: Expression
    data: pd.DataFrame
    functions: Functions
    state: dict[str, Any]

    def of(self, node: ast.expr) -> Any:
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
        raise _refused(self.whole.text, f"not {type(node).__name__}")  # read before: never here

    def column(self, name: str) -> Variable:
        """A column's values."""
        if name not in self.data and name.lower() in ("true", "false", "t", "f"):
            raise FormulaError(f"write True or False in place of {name} in {self.whole.text!r}")
        return variable(self.data, name)

    def number(self, node: ast.expr) -> Any:
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

    def truth(self, node: ast.expr) -> Any:
        """The value of a node that has to be true or false."""
        value = self.of(node)
        if _is_truth(value):
            return value
        raise FormulaError(
            f"& and | join comparisons, each in brackets, as in (x > 1) & (z == 0); got "
            f"{self.whole.text!r}"
        )

    def compared(self, op: type[ast.cmpop], left: ast.expr, right: ast.expr) -> np.ndarray:
        """A comparison of numbers, or of categories with a level."""
        pair = [self.of(left), self.of(right)]
        if not any(isinstance(v, pd.Categorical | str) for v in pair):
            return COMPARED[op](self.number(left), self.number(right))
        try:
            return np.asarray(_SERIES[op](_whole(pair[0]), _whole(pair[1])))
        except (TypeError, ValueError) as error:
            raise FormulaError(f"cannot compare in {self.whole.text!r}: {error}") from error

    def called(self, node: ast.Call) -> Any:
        """The value of a call."""
        name = dotted(node.func, self.whole.names) or ""
        if name == "Q":
            return self.column(node.args[0].value)  # type: ignore[attr-defined]
        if name in self.functions:
            values = [self.of(child) for child in node.args]
            named = {str(k.arg): self.of(k.value) for k in node.keywords}
            return self.functions[name](*values, **named)
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

    def rows(self, name: str, node: ast.expr) -> Any:
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


def _is_truth(value: Any) -> bool:
    return isinstance(value, bool) or getattr(value, "dtype", None) == np.dtype(bool)


def _whole(value: Any) -> Any:
    return pd.Series(value) if isinstance(value, pd.Categorical) else value


_SERIES: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: lambda a, b: a == b,
    ast.NotEq: lambda a, b: a != b,
    ast.Lt: lambda a, b: a < b,
    ast.LtE: lambda a, b: a <= b,
    ast.Gt: lambda a, b: a > b,
    ast.GtE: lambda a, b: a >= b,
}


def logarithm_of(text: str) -> tuple[str, str] | None:
    """The logarithm ("log", "log2" or "log10") and the column it is of; None if text is not that.

    ``log(y + 10)`` is none: its exponential is no mean of y.
    """
    read = expression(text)
    match read.tree:
        case ast.Call(func=func, args=[ast.Name() | ast.Attribute()], keywords=[]):
            name = (dotted(func, read.names) or "").removeprefix("np.")
            return (name, read.columns[0]) if name in ("log", "log2", "log10") else None
    return None


def categorised(factor: str) -> str:
    """What a factor has levels of: x of x, of C(x) and of factor(x, levels=[...])."""
    tree = expression(factor)
    match tree.tree:
        case ast.Call(func=ast.Name(id="C" | "factor"), args=[first, *_]):
            return _shown(first, tree.names)
    return tree.text


def _shown(node: ast.expr, names: Mapping[str, str]) -> str:
    """The text of a node, with the names of columns as a formula writes them."""
    text = ast.unparse(node)
    for stand_in, name in names.items():
        text = re.sub(rf"\b{stand_in}\b", partial(_literally, quoted(name)), text)
    return text
