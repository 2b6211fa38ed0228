"""The set-up finds a Python wherever people have one, and says what to do when they have none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("bash", "basename", "cat", "cksum", "dirname", "rm")

# Stands in for an interpreter: it passes the check of versions and writes down what it is asked.
FAKE = """#!/bin/sh
echo "$*" >> "{log}"
case "$1" in
    -) echo {answer} ;;
    --version) echo "Python 3.13.9" ;;
    *) exit 9 ;;
esac
"""
BROKEN_SHIM = "#!/bin/sh\necho 'version 3.13 is not installed' >&2\nexit 127\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the set-up and what it reads, beside a PATH without any Python."""
    if os.name == "nt" or not all(map(shutil.which, TOOLS)):
        pytest.skip("the set-up is a bash script")
    folder = tmp_path / "project"
    folder.mkdir()
    shutil.copytree(ROOT / "tools", folder / "tools")
    shutil.copy(ROOT / "pyproject.toml", folder)
    (tmp_path / "bin").mkdir()
    for name in TOOLS:
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    return folder


def script(path: Path, text: str) -> Path:
    """Write a command that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def set_up(project: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the set-up with nothing in the environment but what is given."""
    home = project.parent
    return subprocess.run(
        [home / "bin" / "bash", "tools/setup.sh"],
        cwd=project,
        env={"PATH": str(home / "bin"), "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_any_python_it_says_where_it_looked_and_what_to_do(project: Path) -> None:
    result = set_up(project)
    assert result.returncode == 1
    assert "needs Python 3.12 to 3.14 and none was found" in result.stderr
    assert "pyenv install 3.13" in result.stderr
    assert not (project / ".venv").exists()


def test_a_pyenv_version_is_found_behind_a_shim_that_does_not_work(project: Path) -> None:
    home, log = project.parent, project / "log"
    script(home / "bin" / "python3.13", BROKEN_SHIM)
    python = script(home / ".pyenv/versions/3.13.9/bin/python", FAKE.format(log=log, answer="yes"))
    result = set_up(project)
    assert f"Making .venv with Python 3.13.9 ({python})" in result.stderr
    assert log.read_text().splitlines()[-1] == "-m venv --clear .venv"
    assert result.returncode == 9  # what the stand-in answered: failures are not swallowed


def test_a_python_without_venv_is_named_with_the_package_that_brings_it(project: Path) -> None:
    fake = FAKE.format(log=project / "log", answer="no-venv")
    script(project.parent / "bin" / "python3.12", fake)
    result = set_up(project)
    assert result.returncode == 1
    assert "python3.12-venv" in result.stderr


def test_a_named_python_that_is_too_old_is_refused(project: Path) -> None:
    fake = FAKE.format(log=project / "log", answer="no")
    old = script(project.parent / "old" / "python3", fake)
    result = set_up(project, PYTHON=str(old))
    assert result.returncode == 1
    assert f"PYTHON={old} cannot be used" in result.stderr
