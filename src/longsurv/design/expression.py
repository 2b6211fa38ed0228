"""One factor of a formula: an expression of columns, numbers and listed functions.

An expression is data. It is parsed, never compiled: what is not column, constant, arithmetic,
comparison or a plain call is refused when it is read, and the rest is computed node by node
(`longsurv.design.evaluation`). A name before a bracket is a function and any other a column, so a
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

from numpy.typing import ArrayLike

from longsurv.design.functions import CONSTANTS, codings, refuse
from longsurv.design.names import outside, quoted
from longsurv.errors import FormulaError

LONGEST = 5_000
"""Characters of an expression."""
DEEPEST = 40
"""Brackets within brackets."""
MOST_NODES = 600

BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)
LOGICAL = (ast.BitAnd, ast.BitOr)
COMPARED = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
SIGNS = (ast.USub, ast.UAdd)
Functions = Mapping[str, Callable[..., ArrayLike]]


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
                raise refused(text, "a dot is part of a column's name or follows np or contr")
            if not name.startswith(("np.", "contr.")):
                found[name] = None
            elif name.startswith("np.") and name[3:] not in CONSTANTS:
                raise refuse(name, {})
            elif name.startswith("contr.") and name not in codings():
                raise FormulaError(f"{name} is none of {sorted(codings())}")
        case ast.BinOp(op=ast.BitXor()):
            raise FormulaError(f"write ** for powers, as in I(x**2); got '^' in {text!r}")
        case ast.BinOp() if isinstance(node.op, BINARY + LOGICAL):
            inside(node.left)
            inside(node.right)
        case ast.UnaryOp() if isinstance(node.op, SIGNS):
            inside(node.operand)
        case ast.Compare(ops=[op], comparators=[right]) if isinstance(op, COMPARED):
            inside(node.left, True)
            inside(right, True)
        case ast.List() | ast.Tuple() if arg and len(node.elts) <= MOST_NODES:
            for element in node.elts:
                inside(element, True)
        case ast.Call(func=ast.Name() | ast.Attribute()):
            name = dotted(node.func, names)
            if name is None or name.startswith("_") or "._" in name or "`" in name:
                raise refused(text, "only a function's plain name stands before a bracket")
            if name == "Q" and len(node.args) == 1 and not node.keywords:
                quoted_name = node.args[0]
                if isinstance(quoted_name, ast.Constant) and isinstance(quoted_name.value, str):
                    found[quoted_name.value] = None
                    return
            for child in node.args:
                inside(child, True)
            for keyword in node.keywords:
                if keyword.arg is None:
                    raise refused(text, "** has no place in a call")
                inside(keyword.value, True)
        case _:
            what = {
                ast.Subscript: "brackets [ ] that pick rows",
                ast.BoolOp: "'and' and 'or'; write & and |, with brackets around comparisons",
                ast.Compare: "chained comparisons and 'in'; write (1 < x) & (x < 3), isin(x, [1])",
                ast.Starred: "*",
            }.get(type(node), type(node).__name__)
            raise refused(text, f"not {what}")


def refused(text: str, why: str) -> FormulaError:
    """Why an expression is none."""
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
