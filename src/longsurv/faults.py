"""Work that may fail without ending what it is part of: a stage of a run, a section of a report."""

from __future__ import annotations

import logging
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from longsurv.errors import FormerWord, LongsurvError
from longsurv.interrupts import insist

HEAD = "longsurv: what went wrong unexpectedly, for whoever mends it\n"


@dataclass
class Faults:
    """A record of what failed, kept while a study runs and its report is written.

    Attributes
    ----------
    reasons : dict of str to str
        What failed unexpectedly to why, in a sentence for the reader.
    traces : dict of str to str
        What failed unexpectedly to where in the code, for whoever mends it.
    """

    reasons: dict[str, str] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)

    def attempt[T](self, what: str, work: Callable[[], T]) -> tuple[T | None, str]:
        """What `work` returns, or why it returned nothing.

        Parameters
        ----------
        what : str
            What is attempted, for the record.
        work : callable
            Whatever it makes of Ctrl-C, an interrupt is passed on.

        Returns
        -------
        value : object or None
        reason : str
            Empty if all went well.
        """
        try:
            found = work()
            insist()
            return found, ""
        except (KeyboardInterrupt, SystemExit, GeneratorExit):
            raise
        except LongsurvError as error:
            insist()
            return None, str(error)
        except BaseException as error:  # noqa: BLE001 - the one place that keeps the rest of a
            # report; a panic in Rust is no Exception
            insist()
            self.traces[what] = "".join(traceback.format_exception(error))
            reason = (
                f"an unexpected error stopped it ({type(error).__name__}: {error}). This is a fault"
                " of longsurv, not of your data; the log beside the report has the details"
            )
        self.reasons[what] = reason
        return None, reason

    def write_log(self, path: Path) -> Path | None:
        """The traces in a file, or no file of ours where there are none.

        Returns
        -------
        Path or None
            Of the file written; None where there is nothing to write, or no way to.
        """
        try:
            if self.traces:
                parts = [f"\n{what}\n{text}" for what, text in self.traces.items()]
                path.write_text(HEAD + "".join(parts), encoding="utf-8")
                return path
            if path.is_file() and path.read_text("utf-8", "replace").startswith(HEAD):
                path.unlink()  # of an earlier run, in which something had failed
        except OSError:
            return None
        return None


@contextmanager
def libraries_silenced(tell: Callable[[str], None]) -> Iterator[None]:
    """What libraries warn of is for who writes programs: nothing of it on a user's console.

    Parameters
    ----------
    tell : callable
        Is told what we ourselves say of a study file's words.
    """
    shown = warnings.showwarning
    root, handler = logging.getLogger(), logging.NullHandler()

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, FormerWord):
            tell(str(message))

    warnings.showwarning = show
    root.addHandler(handler)
    try:
        yield
    finally:
        warnings.showwarning = shown
        root.removeHandler(handler)
