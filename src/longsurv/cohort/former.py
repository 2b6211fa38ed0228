"""Words that were renamed: still read, and each answered by the word that is used now."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Mapping

from longsurv.errors import ArgumentError, FormerWord
from longsurv.words import listed

SCHEMA_WORDS = {
    "event_level": "event",
    "censored_level": "censored",
    "baseline_covariates": "covariates",
}
"""What fields of the Schema were called. `event` was the column that is `status` now."""


def tell(where: str, renamed: Mapping[str, str], level: int = 3) -> None:
    """Say in one sentence what former words are called now.

    Parameters
    ----------
    where : str
        The file, or the class.
    renamed : mapping of str to str
        Of each former word, as it was written, the one that is used now.
    level : int
        How many calls above the one who wrote it is.
    """
    if renamed:
        said = listed([f"{old} is now called {new}" for old, new in renamed.items()])
        warnings.warn(
            f"{where}: {said}; the old {'word is' if len(renamed) == 1 else 'words are'} still"
            " read.",
            FormerWord,
            stacklevel=level + 1,
        )


def reads_former_words[C: type](owner: C) -> C:
    """Let the Schema be made with the words it once had.

    Raises
    ------
    ArgumentError
        If a word is given in its old and in its new form.
    """
    make = vars(owner)["__init__"]

    @functools.wraps(make)
    def made(self: object, *args: object, **given: object) -> None:
        renamed = {old: new for old, new in SCHEMA_WORDS.items() if old in given}
        if "event" in given and "status" not in given:
            renamed = {"event": "status", **renamed}
        both = [f"{old}= and {new}=" for old, new in renamed.items()
                if new in given and not (new == "event" and "event" in renamed)]  # fmt: skip
        if both:
            raise ArgumentError(
                f"{owner.__name__}: {listed(both)} are one; write {listed(list(renamed.values()))}="
            )
        now = {renamed.get(name, name): value for name, value in given.items()}
        tell(owner.__name__, {f"{old}=": f"{new}=" for old, new in renamed.items()})
        make(self, *args, **now)

    owner.__init__ = made  # type: ignore[misc]
    return owner
