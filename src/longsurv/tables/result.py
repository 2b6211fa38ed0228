"""What every result can do with what it found, whatever it is of."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING

from longsurv.errors import MissingNameError
from longsurv.tables.elsewhere import advice
from longsurv.tables.summary import Summary


class Written:
    """Something with a summary, which can be written down for elsewhere."""

    @abstractmethod
    def summary(self) -> Summary:
        """The result as a reader sees it."""

    def to_markdown(self) -> str:
        """The summary in Markdown, with pipe tables; nothing in a name or a level is markup."""
        return self.summary().to_markdown()

    def to_latex(self) -> str:
        """The summary in LaTeX: tables that need no package, every special character escaped."""
        return self.summary().to_latex()

    def to_docx(self, path: str | Path) -> Path:
        """Write the summary as a Word document.

        Parameters
        ----------
        path : str or Path
            With the ending .docx; a file of that name is replaced.

        Returns
        -------
        Path
            Of the file written.

        Raises
        ------
        LongsurvError
            For another ending, or if it cannot be written there.
        """
        return self.summary().to_docx(path)


class Result(Written):
    """A result that can be read, written down and asked for by the names of other programs."""

    def _repr_html_(self) -> str:
        return self.summary().to_html()

    if not TYPE_CHECKING:  # a checker knows the names there are

        def __getattr__(self, name: str) -> object:
            """Say what to use in place of a name that there is not."""
            if name.startswith("_"):
                raise AttributeError(name)
            if hasattr(type(self), name):  # a property that failed: let it say why
                return object.__getattribute__(self, name)
            kind = type(self).__name__
            raise MissingNameError(f"{kind} has no {name}; {advice(type(self), name)}")
