"""What stands for rows that are not kept: it knows how many they are, and refuses all else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

from longsurv.errors import LongsurvError


@dataclass(frozen=True, eq=False)
class RowsElsewhere:
    """Rows of a table that was read in pieces, in place of an array of them.

    Whatever would compute with them is told that it cannot, and so answers nothing.

    Attributes
    ----------
    what : str
        What the array would hold, for messages.
    count : int
        Rows.
    """

    what: str
    count: int

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"<{self.what}, {self.count} rows, not kept>"

    def _refused(self, *_: object, **__: object) -> NoReturn:
        raise LongsurvError(
            f"this needs {self.what} in memory, and a scan reads them in pieces and keeps none; "
            "ask it of a fit to a table, such as a sample of the patients"
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)  # what Python and NumPy look for
        self._refused()

    __array__ = __getitem__ = __iter__ = __matmul__ = __rmatmul__ = _refused
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = _refused
    __truediv__ = __rtruediv__ = __eq__ = __ne__ = __lt__ = __gt__ = _refused
    __le__ = __ge__ = __neg__ = __abs__ = _refused
    __hash__ = object.__hash__
