"""Files that are written: asked for before the work, and then written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from longsurv.errors import LongsurvError
from longsurv.words import shortened

UNFINISHED = ".unfinished-"
"""Beginning of the name of a file that is being written."""

ROOM = 2**22
"""Bytes that must fit where a report is to be written; a large one has about as many."""


def writable(path: str | Path) -> Path:
    """`path` as a file that can be written, or a plain message why not.

    Raises
    ------
    LongsurvError
        If it is no file or cannot be one, its folder does not exist or takes no file, or the disk
        is full.
    """
    target = Path(path)
    with plainly(target):
        try:
            there = os.stat(target)
        except (FileNotFoundError, NotADirectoryError):
            there = None
        if target.is_dir():
            raise LongsurvError(
                f"{target} is a folder; give a file name in it, e.g. {target / 'report.html'}"
            )
        if there is not None and not target.is_file():
            raise LongsurvError(f"{target} is a device or a pipe; give the name of a file")
        if not target.parent.is_dir():
            raise LongsurvError(
                f"the folder {target.parent} does not exist; make it first, or write the report"
                " elsewhere"
            )
        _try(target.parent)
    return target


def writable_folder(path: str | Path) -> Path:
    """`path` as a folder to write into, to be made in one that exists, or why it cannot be.

    Raises
    ------
    LongsurvError
        If it is a file, the folder it is in does not exist, or nothing can be written there.
    """
    folder = Path(path)
    with plainly(folder):
        try:
            os.stat(folder)
        except (FileNotFoundError, NotADirectoryError):
            if not folder.absolute().parent.is_dir():
                raise LongsurvError(
                    f"the folder {folder.parent} does not exist; make it first"
                ) from None
            _try(folder.absolute().parent)
        else:
            if not folder.is_dir():
                raise LongsurvError(f"{folder} is a file; give the name of a folder")
            _try(folder)
    return folder


def _try(folder: Path) -> None:
    """Write what a report needs and take it away: permission, quota and room, all in one."""
    probe = folder / f"{UNFINISHED}{secrets.token_hex(8)}"
    try:
        with open(probe, "xb") as file:
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


@contextmanager
def plainly(path: Path, done: str = "written") -> Iterator[None]:
    """What the system says against something done to `path`, as a plain message.

    Raises
    ------
    LongsurvError
        In place of an OSError, or of a ValueError about the name.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise LongsurvError(f"{shortened(str(path))} cannot be {done}: {why}") from error


def write_text(path: Path, text: str) -> Path:
    """Write a text file whole, in UTF-8, or not at all; the message says why not."""
    return write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Write a file whole or not at all; the message says why not."""
    with plainly(path):
        write_whole(path, lambda file: file.write(content))
    return path


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a binary file so that it appears under its name complete or not at all.

    Parameters
    ----------
    path : Path
    write : callable
        Takes the open file.
    """
    unfinished = path.with_name(f"{UNFINISHED}{secrets.token_hex(8)}")
    try:
        with open(unfinished, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        with suppress(OSError):
            unfinished.unlink(missing_ok=True)
