"""Sentences about whether the answers can be trusted."""

from __future__ import annotations

from collections.abc import Mapping

from longsurv.words import listed, plural


def independent(compared: int, apart: int, largest: Mapping[str, float], without: int) -> str:
    """What other libraries say of the same rows.

    Parameters
    ----------
    compared, apart : int
        Numbers compared, and those further apart than they may be.
    largest : mapping of str to float
        The largest relative difference by library.
    without : int
        Answers that another library could not give.
    """
    if not compared:
        return "No answer could be compared with another library's; the table says why."
    by = listed([f"{library} {value:.0e}" for library, value in largest.items()])
    verdict = (
        "all agree within their tolerance" if not apart
        else f"{plural(apart, 'number')} {'do' if apart > 1 else 'does'} not agree"
    )  # fmt: skip
    text = (
        f"{plural(compared, 'number')} of this report {'were' if compared > 1 else 'was'} worked"
        f" out again by other libraries from the same rows: {verdict} (largest relative difference:"
        f" {by})."
    )
    if without:
        text += (
            f" {plural(without, 'answer')} {'have' if without > 1 else 'has'} no counterpart there;"
            " the table says why."
        )
    return text


def no_independent_check(reason: str) -> str:
    """Why nothing was compared.

    Parameters
    ----------
    reason : str
    """
    return f"The answers could not be compared with other libraries'. {reason.rstrip('.')}."
