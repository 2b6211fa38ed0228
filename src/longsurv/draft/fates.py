"""How follow-up ends, in words: what texts mean death, life, leaving, or being lost."""

from __future__ import annotations

import re

from longsurv.cohort.labels import DEATH_WORDS
from longsurv.draft.names import plain

DEAD = DEATH_WORDS | {"nonsurvivor", "non survivor", "nonsurvivors", "non survivors", "event"}
ALIVE = {"alive", "living", "survived", "survivor", "survivors", "lebt", "lebend", "am leben",
         "lebendig", "uberlebt", "vivant", "vivante", "en vie", "survivant", "生存", "生", "cens",
         "censored", "zensiert", "censure", "打ち切り", "no event", "event free", "vivo", "viva",
         "levend", "in leven", "存活"}  # fmt: skip
AWAY = {"discharged", "discharge", "discharged alive", "transplant", "transplanted", "entlassen",
        "sorti", "退院", "transferred", "verlegt", "transfere", "transplantation", "転院",
        "home", "rehab", "出院"}  # fmt: skip
LOST = {"lost to follow up", "lost", "ltfu", "perdu de vue", "withdrawn", "dropout", "verloren",
        "administrative"}  # fmt: skip
YES = {"yes", "y", "ja", "j", "oui", "o", "true", "t", "1", "あり", "有", "はい", "wahr", "vrai",
       "有り", "si", "sí", "sì", "是"}  # fmt: skip
NO = {"no", "n", "nein", "non", "false", "f", "0", "なし", "無", "いいえ", "falsch", "faux", "無し",
      "nee", "否", "无"}  # fmt: skip
MARKS = ("x", "X", "+", "\u2713", "\u2714", "\u25cf", "\u25cb")
"""What is put into the cells of those who had something, where those of the others are empty."""


def word(text: str) -> str:
    """A level without a number before it: "1 = dead" is "dead"."""
    return plain(re.sub(r"^\d+[_. :=-]+", "", text))


def is_alive(text: str) -> bool:
    """Whether a word says that somebody lives, or did not have the event."""
    return word(text) in ALIVE | AWAY | LOST | NO


def is_fate(text: str) -> bool:
    """Whether a word says how follow-up ended."""
    return word(text) in DEAD | ALIVE | AWAY | LOST


_CODE = re.compile(r"(?<![\w.])(\d)\s*[=:]\s*([^\W\d_][^\d,;/|()\[\]]*)")


def legend_in(name: str) -> tuple[dict[str, str], str]:
    """What a name says of codes, "status (1 = dead, 0 = alive)", and the name without it."""
    found = {code: word.strip() for code, word in _CODE.findall(name)}
    return found, _CODE.sub(" ", name) if found else name
