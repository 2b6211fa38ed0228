"""Rows of tables and tables of files, whose values have no one type."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

type Record = Mapping[str, Any]  # any: a cell is of its column's type, which pandas does not say
type Fields = dict[str, Any]  # any: checked by their keys, then fields of a dataclass
