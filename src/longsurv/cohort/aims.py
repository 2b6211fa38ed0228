"""What a study was made to find out: its primary and secondary outcomes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from longsurv.cohort.problems import show, show_list, suggest

type Role = Literal["primary", "secondary", "exploratory"]


@dataclass(frozen=True)
class Aims:
    """Which outcomes a study was made for; every other is exploratory.

    Parameters
    ----------
    primary : str
        A marker, or the event by what it is called ("death"); empty where none is named.
    secondary : tuple of str
    prespecified : bool
        Both were chosen before the data were seen.
    """

    primary: str = ""
    secondary: tuple[str, ...] = ()
    prespecified: bool = False

    @property
    def named(self) -> bool:
        """Whether the study says what it was made for."""
        return bool(self.primary or self.secondary)

    def role(self, name: str) -> Role | None:
        """What an outcome is to the study; None in one that does not say.

        Parameters
        ----------
        name : str
            A marker, or the event.
        """
        if not self.named:
            return None
        if name == self.primary:
            return "primary"
        return "secondary" if name in self.secondary else "exploratory"

    def problems(self, known: Iterable[str]) -> list[str]:
        """What is wrong with the names, in words.

        Parameters
        ----------
        known : iterable of str
            The markers, and the event.
        """
        known = list(known)
        found = []
        for key, names in (("primary", (self.primary,)), ("secondary", self.secondary)):
            for name in names:
                if name and name not in known:
                    near = suggest(name, known) or f"it may be {show_list(known, 40)}"
                    found.append(f"{key} names {show(name)}, no outcome of the study; {near}")
        if self.primary and self.primary in self.secondary:
            found.append(f"{show(self.primary)} is both primary and secondary; name it once")
        found += [
            f"secondary names {show(name)} twice"
            for name in dict.fromkeys(self.secondary)
            if self.secondary.count(name) > 1
        ]
        if self.prespecified and not self.named:
            found.append(
                "prespecified is said of the outcomes named as primary and secondary, and none is"
            )
        return found
