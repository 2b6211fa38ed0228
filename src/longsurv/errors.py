"""Errors that say what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence


class LongsurvError(Exception):
    """Base of every error longsurv raises on purpose."""


class DataError(LongsurvError):
    """The data cannot be used as they are.

    Parameters
    ----------
    problems : str or sequence of str
        Every problem found, each naming the file, column, patient and row, what was
        expected and what to do. All are shown, not only the first.

    Attributes
    ----------
    problems : tuple of str
    """

    def __init__(self, problems: str | Sequence[str]) -> None:
        self.problems: tuple[str, ...] = (
            (problems,) if isinstance(problems, str) else tuple(problems)
        )
        if len(self.problems) == 1:
            message = self.problems[0]
        else:
            lines = "\n".join(f"  {k}. {text}" for k, text in enumerate(self.problems, 1))
            message = f"{len(self.problems)} problems in the data:\n{lines}"
        super().__init__(message)


class FormulaError(LongsurvError):
    """A formula cannot be read, or names something the data do not have.

    Parameters
    ----------
    message : str
        Its middle is left out if it is longer than anybody reads, as of a formula of a megabyte.
    """

    LONGEST = 2_000

    def __init__(self, message: str) -> None:
        if len(message) > self.LONGEST:
            half = self.LONGEST // 2
            message = f"{message[:half]} [...] {message[-half:]}"
        super().__init__(message)


class EstimationError(LongsurvError):
    """A model cannot be estimated from these data; the message says why."""


class UnknownError(LongsurvError, KeyError):
    """A name that something does not have, such as that of a marker."""

    def __str__(self) -> str:
        return str(self.args[0])


class ArgumentError(LongsurvError, TypeError):
    """An argument that a function does not have, or of a kind it cannot take."""


class FormerWord(FutureWarning):
    """A word of a study file or of a Schema that is called otherwise now; it is still read."""


class MissingNameError(LongsurvError, AttributeError):
    """A name that an object does not have; the message says what to use instead."""
