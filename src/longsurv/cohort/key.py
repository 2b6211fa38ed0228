"""What is said of a key of the study file."""

from __future__ import annotations

from dataclasses import dataclass

from longsurv.cohort.kinds import Kind


@dataclass(frozen=True)
class Key:
    """A key of the study file.

    Attributes
    ----------
    kind : Kind
    doc : str
        What it means, in a sentence or two.
    required : bool
    default : str
        What holds without it, in words.
    field : str
        The name of the field of the `Schema` where it differs, since that has no tables; a study
        file may use that name as well.
    was : tuple of str
        What it was once called; still read, with a word about it.
    lacking : str
        What can be done by whoever has nothing to name here.
    """

    kind: Kind
    doc: str
    required: bool = False
    default: str = ""
    field: str = ""
    was: tuple[str, ...] = ()
    lacking: str = ""
