"""The posterior under a prior of the reader's own choice."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from markupsafe import Markup

from longsurv.report import explorer
from longsurv.words import capital

if TYPE_CHECKING:
    from longsurv.study import StudyResults


@dataclass(frozen=True)
class Explorer:
    """What the template of this section shows."""

    labels: tuple[str, ...]
    shared: str
    reach: str
    data: Markup
    script: Markup


def build(results: StudyResults) -> Explorer:
    """The effects, and the script that redraws them."""
    found = explorer.effects(results)
    # Every "<" in the data is escaped, and the script is our own file: neither can break out.
    data, code = Markup(explorer.script_data(found)), Markup(script())
    every = {effect.against for effect in found}
    shared = every.pop() if len(every) == 1 else ""
    labels = tuple(effect.brief if shared else effect.label for effect in found)
    return Explorer(labels, shared, reach(found), data, code)


def reach(found: Sequence[explorer.ExploredEffect]) -> str:
    """How wide a prior can be chosen, and why.

    Parameters
    ----------
    found : sequence of ExploredEffect
    """
    wide = any(effect.under is not None for effect in found)
    others = "other effects" if wide else "effects"
    first = (
        "The hazard ratio has draws under the widest named prior, so all of these can be chosen; "
        if wide else ""
    )  # fmt: skip
    last = f"{others} have draws under the fitted prior, which reach no wider one."
    return capital(f"{first}{last}") if not wide or len(found) > 1 else f"{first.rstrip('; ')}."


@lru_cache(maxsize=1)
def script() -> str:
    """The script that redraws the effects."""
    return files("longsurv.report").joinpath("templates/explorer.js").read_text(encoding="utf-8")


def script_hash(text: str) -> str:
    """A script's hash, which the page's content security policy allows and nothing else.

    Parameters
    ----------
    text : str
        The script.
    """
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
