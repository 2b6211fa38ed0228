"""The examples of the reference of names: `docs/site/examples`, a file a room, a heading a name."""

from __future__ import annotations

import re
from pathlib import Path

from public import ROOMS, Room, names

FOLDER = Path(__file__).parent / "examples"


def of(room: Room) -> dict[str, tuple[str, str]]:
    """The sentence and the code of each name of a room that has an example."""
    text = (FOLDER / f"{room.folder}.md").read_text(encoding="utf-8")
    found = {}
    for part in re.split(r"\n## ", text)[1:]:
        name, _, rest = part.partition("\n")
        words, _, code = rest.partition("```python\n")
        found[name] = (words.strip(), code.partition("```")[0].strip())
    return found


def gaps() -> list[str]:
    """Public names without an example, and examples of what is no public name."""
    found = []
    for room in ROOMS:
        have, asked = set(of(room)), set(names(room))
        found += [f"{room.folder}.{name} has no example" for name in sorted(asked - have)]
        found += [f"{room.folder}.{name} is no public name" for name in sorted(have - asked)]
    return found
