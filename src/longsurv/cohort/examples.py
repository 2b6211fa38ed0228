"""The example studies that come with longsurv, found whether it is installed or a checkout."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from longsurv.arguments import checked
from longsurv.errors import LongsurvError

EXAMPLES = ("ivig_sepsis", "pbc", "icu_admissions")


@checked
def example_path(name: str) -> Path:
    """Folder of an example study: its `study.toml`, its CSV files and their provenance.

    Parameters
    ----------
    name : str
        "icu_admissions", 400 *simulated* admissions with a treatment that begins after admission
        and does nothing; "ivig_sepsis", a *reconstructed* cohort of 41 patients with sepsis,
        treated with intravenous immunoglobulin or not; or "pbc", 312 patients of a trial in primary
        biliary cirrhosis.

    Returns
    -------
    pathlib.Path
        The folder; the study file is `example_path(name) / "study.toml"`.

    Raises
    ------
    LongsurvError
        If there is no such example, or longsurv was installed without its examples.
    """
    if name not in EXAMPLES:
        near = get_close_matches(name, EXAMPLES, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        known = ", ".join(map(repr, EXAMPLES))
        raise LongsurvError(f"There is no example study {name!r}.{hint} The examples are {known}.")
    folder = Path(str(files("longsurv.examples"))) / name
    if not (folder / "study.toml").is_file():
        raise LongsurvError(
            f"The example study {name!r} should be in {folder}, but there is no study.toml. "
            "Install longsurv again, from a wheel or from the root of a checkout."
        )
    return folder
