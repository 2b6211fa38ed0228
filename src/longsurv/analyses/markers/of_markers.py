"""Effects of many markers: in which units, in which families, and drawn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import pandas as pd

from longsurv.analyses import plots
from longsurv.analyses.markers.marker import PanelMarker
from longsurv.tables.notebook import Readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INTERVAL = ["estimate", "conf_low", "conf_high"]
STANDARD = {"std_estimate": "estimate", "std_low": "conf_low", "std_high": "conf_high"}


class ManyMarkers(Protocol):
    """What is used of a `Panel`."""

    @property
    def members(self) -> Mapping[str, PanelMarker]:
        """The markers."""

    @property
    def left_out(self) -> Mapping[str, str]:
        """Markers without an answer, and why."""


type Drawn = tuple[dict[str, pd.DataFrame], dict[str, str]]
"""By engine the effects in baseline SDs, one row a marker; and the family of each marker."""


class OfMarkers(Readable):
    """Effects of many markers, which can be drawn."""

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """Draw each marker's effect in baseline SDs, above 0 benefit, by family.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Whose place to take; by default those of a new figure of pyplot.

        Returns
        -------
        matplotlib Axes
            Its label (`get_label`) says in a sentence what it shows.
        """
        return plots.markers(*self._drawn(), ax)

    @abstractmethod
    def _drawn(self) -> Drawn:
        """What is drawn."""


def families_of(panel: ManyMarkers) -> dict[str, str]:
    """The family of each marker, those left out among them."""
    known = {name: str(member.family or "") for name, member in panel.members.items()}
    return dict.fromkeys(panel.left_out, "") | known


def standard(table: pd.DataFrame) -> pd.DataFrame:
    """A table of effects in baseline SDs, by marker."""
    return table.set_index("marker")[list(STANDARD)].rename(columns=STANDARD)
