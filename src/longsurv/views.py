"""Who shows a result: named by the package, asked by the result.

What computes imports nothing that shows. So `results.report("report.html")` cannot name the code
of the report; `longsurv/__init__.py`, which sees everything, says here where it is.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Shows(Protocol):
    """What `longsurv.report` does for the results of a study and for a simulation."""

    @property
    def write(self) -> Callable[..., Path]:
        """Write the report of a study's results to a path; returns the file written."""
        ...

    @property
    def answer_html(self) -> Callable[..., str]:
        """A study's short answer, for a notebook."""
        ...

    @property
    def answer_summary(self) -> Callable[..., object]:
        """A study's short answer, a `Summary`."""
        ...

    @property
    def answer_plot(self) -> Callable[..., Axes]:
        """Every marker's difference in change, drawn; or survival where there is no marker."""
        ...

    @property
    def simulation_html(self) -> Callable[..., str]:
        """A simulation's words and table, for a notebook."""
        ...


report: Callable[[], Shows]
"""Imports `longsurv.report`, at the first answer that is shown; set by `longsurv/__init__.py`."""
