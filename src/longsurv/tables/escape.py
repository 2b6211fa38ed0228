"""What may stand in a text: nothing invisible, nothing its reader takes for an instruction."""

from __future__ import annotations

# Control characters; signs that turn the direction of writing, which would reach beyond the label
# they stand in; halves of surrogate pairs; the two that are no characters.
_SILENT = (
    range(9), range(11, 32), range(127, 160), range(0x202A, 0x202F), range(0x2066, 0x206A),
    range(0xD800, 0xE000), range(0xFFFE, 0x10000),
)  # fmt: skip
_UNPRINTABLE = {c: "\N{REPLACEMENT CHARACTER}" for span in _SILENT for c in span}


def printable(text: object) -> str:
    """The text without what XML cannot hold, or what no reader sees but is misled by."""
    return str(text).translate(_UNPRINTABLE)
