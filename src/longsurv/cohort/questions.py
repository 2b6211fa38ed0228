"""What a study file asks beyond its models: published effects as priors, a trial to emulate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from longsurv.errors import DataError
from longsurv.records import Record


@dataclass(frozen=True)
class PublishedRatio:
    """A published ratio with its interval, as a prior of the treatment's hazard ratio.

    Parameters
    ----------
    name : str
        Of the prior.
    ratio, low, high : float
        Point estimate and 95 % interval.
    source : str
        Where they are from.
    outcome : {"hazard_ratio", "odds_ratio", "risk_ratio"}
    baseline_risk : float, optional
        Risk of the reference group at which an odds or risk ratio is made a hazard ratio.
    robust : float
        Probability that it does not apply to this study.
    """

    name: str
    ratio: float
    low: float
    high: float
    source: str
    outcome: Literal["hazard_ratio", "odds_ratio", "risk_ratio"] = "hazard_ratio"
    baseline_risk: float | None = None
    robust: float = 0.2

    def __post_init__(self) -> None:
        where = f"the prior {self.name!r}"
        problems = []
        if not 0.0 < self.low < self.ratio < self.high:
            problems.append(
                f"{where}: expected 0 < low < ratio < high, got {self.low:g}, {self.ratio:g},"
                f" {self.high:g}"
            )
        if self.outcome not in ("hazard_ratio", "odds_ratio", "risk_ratio"):
            problems.append(f"{where}: outcome is hazard_ratio, odds_ratio or risk_ratio")
        risk = self.baseline_risk
        if self.outcome != "hazard_ratio" and (risk is None or not 0.0 < risk < 1.0):
            problems.append(
                f"{where}: an odds or a risk ratio becomes a hazard ratio at the risk of the"
                " reference group: name it, as baseline_risk = 0.2"
            )
        elif self.outcome == "risk_ratio" and risk is not None and risk * self.high >= 1.0:
            problems.append(
                f"{where}: a risk ratio of {self.high:g} at a baseline risk of {risk:g} is a risk"
                " above 1"
            )
        if not 0.0 <= self.robust < 1.0:
            problems.append(f"{where}: robust is a probability from 0 to below 1")
        if not self.source.strip():
            problems.append(f"{where}: source must say where the numbers are from")
        if problems:
            raise DataError(problems)

    @classmethod
    def of(cls, name: str, given: Record) -> PublishedRatio:
        """From a table of a study file.

        Parameters
        ----------
        name : str
        given : mapping
            Of its keys.
        """
        low, high = map(float, given["interval"])
        more = {k: v for k, v in given.items() if k != "interval"}
        return cls(name, low=low, high=high, **more)


@dataclass(frozen=True)
class TrialSettings:
    """The trial to emulate of a treatment that begins after time zero.

    Parameters
    ----------
    begun : str
        Column of the time at which treatment began.
    grace : float
    adjust : str
        Covariates known at time zero.
    markers : tuple of str
        On whose last value beginning may depend.
    eligible : str, optional
        Column that is true of who is eligible.
    """

    begun: str
    grace: float
    adjust: str = ""
    markers: tuple[str, ...] = ()
    eligible: str | None = None
