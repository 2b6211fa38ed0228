"""What every result says of the design it was fitted to."""

from __future__ import annotations

from typing import Any


def design_flags(design: Any) -> tuple[str, ...]:
    """What the design left out, in words."""
    flags = []
    if design.n_excluded:
        total = design.n_excluded + len(design.rows)
        flags.append(
            f"{design.n_excluded} of {total} rows were left out: a value the formula needs is "
            "missing."
        )
    if design.fixed.aliased:
        flags.append(
            f"Left out because other columns determine them: {', '.join(design.fixed.aliased)}."
        )
    return tuple(flags)
