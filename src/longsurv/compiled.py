"""Where numba keeps compiled kernels when neither the package nor the home can be written.

Numba keeps them beside the code, else in the user's cache folder, and where it can write to neither
it refuses to import a kernel at all. Then a private temporary folder serves as long as the process
lives: what is loaded from a cache is executed, so it is never one that somebody else could fill.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def find_a_cache() -> None:
    """Point numba to a folder that can be written, if those it would try cannot."""
    given, beside = os.environ.get(VARIABLE), Path(__file__).absolute().parent / "__pycache__"
    folders = [beside, _users_folder(), *([Path(given).absolute()] if given else [])]
    if any(_writable(folder) for folder in folders):
        return
    try:
        private = tempfile.mkdtemp(prefix="longsurv-kernels-")  # readable by this user alone
    except OSError:
        return  # numba says so when a kernel is wanted
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    os.environ[VARIABLE] = private  # of processes started from here too
    if "numba" in sys.modules:
        sys.modules["numba"].config.CACHE_DIR = private


def _users_folder() -> Path:
    """Where numba keeps what it cannot keep beside the code."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", tempfile.gettempdir())) / "numba" / "Cache"
    home = Path(os.path.expanduser("~"))
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "numba"
    return Path(os.environ.get("XDG_CACHE_HOME", home / ".cache")) / "numba"


def _writable(folder: Path) -> bool:
    if not folder.is_absolute():  # "~" where nobody knows the home: not a folder to be made here
        return False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True
