"""The mean curves of a mixed model over the data it was fitted to."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import pandas as pd

from longsurv import numbers
from longsurv.errors import LongsurvError
from longsurv.estimands.treatments import levels_of
from longsurv.figures import trajectory
from longsurv.figures.place import described, place_of, warned
from longsurv.figures.trajectories import sampled, where_measured
from longsurv.results.drawable import Headed
from longsurv.results.groupings import group_variable, time_variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from longsurv.design import MixedDesign
    from longsurv.design.generalised import GeneralisedDesign
    from longsurv.inference.specification import TableSpecification
    from longsurv.results.arithmetic import ArithmeticMeans
    from longsurv.results.generalised.means import ResponseMeans
    from longsurv.results.means import Means

PLACES = 40
WIDTH, HEIGHT = 560.0, 360.0


class OfVisits(Headed, Protocol):
    """An answer of a mixed model, of repeated measurements of patients."""

    @property
    def spec(self) -> TableSpecification[object, object]:
        """The model and its data."""

    @property
    def design(self) -> MixedDesign:
        """The arrays it was fitted to."""


class WithMeans(OfVisits, Protocol):
    """An answer of a linear mixed model."""

    def means(self, specs: str | Sequence[str], at: Mapping[str, object] | None = None) -> Means:
        """Marginal means on the scale of the response."""


class WithProbabilities(WithMeans, Protocol):
    """An answer of a generalised mixed model."""

    def response_means(
        self, specs: str | Sequence[str], at: Mapping[str, object] | None = None
    ) -> ResponseMeans | ArithmeticMeans:
        """Means of the response itself: probabilities, or mean scores."""


@dataclass(frozen=True, eq=False)
class _Grid:
    """What curves are of.

    `levels` are the values of the variable along, all of a factor and both ends of a number.
    """

    used: pd.DataFrame
    along: str
    by: str | None
    levels: list[Hashable]
    groups: list[Hashable]
    number: bool

    @classmethod
    def of(cls, result: OfVisits, along: str | None, by: str | None) -> _Grid:
        design = result.design
        used = result.spec.data.iloc[design.rows]
        along = time_variable(along, design.fixed, used, design.group)
        if by == along:
            raise LongsurvError(f"by={by!r} is what the curves are along; give another variable")
        by = group_variable(by, design.fixed, used, apart=along)
        number = bool(pd.api.types.is_numeric_dtype(used[along]))
        levels = levels_of(used[along])
        return cls(used, along, by, levels, ["all"] if by is None else levels_of(used[by]), number)

    @property
    def asked(self) -> dict[str, list[Hashable]]:
        """Values of the variables at which means are wanted."""
        ends = np.array([self.levels[0], self.levels[-1]], dtype=float) if self.number else None
        places = self.levels if ends is None else list(np.linspace(ends[0], ends[1], PLACES))
        return {self.along: places} | ({} if self.by is None else {self.by: self.groups})

    def group(self, frame: pd.DataFrame) -> np.ndarray:
        """The group of each row, as text."""
        if self.by is None:
            return np.full(len(frame), "all", dtype=object)
        return frame[self.by].astype(str).to_numpy()

    def place(self, values: pd.Series) -> np.ndarray:
        """Where values stand on the axis: levels of a factor side by side."""
        if self.number:
            return values.to_numpy(dtype=float)
        at = {value: float(k) for k, value in enumerate(self.levels)}
        return values.astype(object).map(at).to_numpy(dtype=float)


def linear(result: WithMeans, along: str | None, by: str | None, level: float, ax: object) -> Axes:
    """Measurements and mean curves on the scale of the formula's left-hand side."""
    grid = _Grid.of(result, along, by)
    means = result.means(list(grid.asked), grid.asked)
    response = str(result.design.formula.response)
    return _drawn(result, grid, means.cells, means.tidy(level), response, True, ax)


def generalised(
    result: WithProbabilities, along: str | None, by: str | None, level: float, ax: object
) -> Axes:
    """The same; of a binary or ordinal response or a count its mean, without the measurements."""
    design = cast("GeneralisedDesign", result.design)
    if not (design.family_is_logit or design.family_is_log):
        return linear(result, along, by, level, ax)
    grid = _Grid.of(result, along, by)
    found = result.response_means(list(grid.asked), grid.asked)
    return _drawn(result, grid, found.means.cells, found.tidy(level), found.quantity, False, ax)


def _drawn(
    result: OfVisits,
    grid: _Grid,
    cells: pd.DataFrame,
    table: pd.DataFrame,
    quantity: str,
    with_data: bool,
    ax: object,
) -> Axes:
    limits = {name: table[name].to_numpy() for name in ("estimate", "conf_low", "conf_high")}
    curve = pd.DataFrame({"group": grid.group(cells), "x": grid.place(cells[grid.along]), **limits})
    points = pd.DataFrame(
        {
            "patient": result.design.group, "group": grid.group(grid.used),
            "x": grid.place(grid.used[grid.along]), "value": result.design.y,
        }
    )  # fmt: skip
    curve = where_measured(curve, points)
    ticks = None if grid.number else {float(k): str(v) for k, v in enumerate(grid.levels)}
    drawn = trajectory(
        sampled(points) if with_data else points.iloc[:0], curve,
        groups=[str(group) for group in grid.groups], title=quantity, xlabel=grid.along,
        ticks=ticks, legend=grid.by is not None, width=WIDTH, height=HEIGHT, ax=place_of(ax),
    )  # fmt: skip
    warned(drawn, result.headings)
    data = f" over {len(points):,} measurements" if with_data else ""
    said = "; ".join(_ends(curve))
    warnings = "".join(f" {text}." for text in result.headings)
    text = f"Mean of {quantity} along {grid.along}{data}, with intervals: {said}.{warnings}"
    return described(drawn, text)


def _ends(curve: pd.DataFrame) -> Iterator[str]:
    """Where each group's curve begins and ends."""
    for group, part in curve.groupby("group", sort=False):
        ends = part.sort_values("x")["estimate"]
        yield f"{group} from {numbers.number(ends.iloc[0])} to {numbers.number(ends.iloc[-1])}"
