"""The command `longsurv init`: files in, a drafted study file out, and what was understood."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from longsurv.draft.drafting import Draft, draft_files
from longsurv.errors import LongsurvError
from longsurv.words import plural


def init(files: Sequence[Path], output: Path) -> list[str]:
    """Draft a study from files, write it, and say what was understood.

    Parameters
    ----------
    files : sequence of Path
    output : Path
        The study file to write; it must not exist.

    Returns
    -------
    list of str
        Lines for the terminal.

    Raises
    ------
    LongsurvError
        If a file cannot be read, or something to be written exists already.
    """
    if output.suffix.lower() != ".toml":
        raise LongsurvError(f"{output}: -o is the name of a study file, ending in .toml")
    if output.exists():
        raise LongsurvError(
            f"{output} exists already and is not overwritten; give another name with -o"
        )
    if not output.absolute().parent.is_dir():
        raise LongsurvError(f"the folder {output.parent} does not exist; make it first")
    drafted = draft_files(files)
    written = drafted.write(output)
    return _said(drafted, written)


def _said(drafted: Draft, written: Sequence[Path]) -> list[str]:
    lines = ["What was understood:"]
    lines += [f"  {line}" for line in drafted.summary()]
    markers = drafted.markers
    if markers:
        lines.append(f"  {plural(len(markers), 'marker')}: {', '.join(markers[:12])}"
                     + (f" and {len(markers) - 12} more" if len(markers) > 12 else ""))  # fmt: skip
    if drafted.warnings:
        lines += ["", "Look at:", *(f"  {text}" for text in drafted.warnings)]
    lines += ["", "Written (nothing was overwritten):", *(f"  {path}" for path in written)]
    if drafted.complete:
        lines += ["", f"Next: longsurv check {written[0]}"]
    else:
        open_ = ", ".join(drafted.open)
        lines += [
            "",
            f"Open {written[0]} and choose, where lines begin with #: {open_}.",
            f"Then: longsurv check {written[0]}",
        ]
    lines += ["Before longsurv report, say in it:", *(f"  {text}" for text in drafted.unsaid)]
    return lines
