"""The wheel and the sdist hold what they should, and the wheel works where there is no checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import venv
import zipfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import longsurv

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STUDIES = ("ivig_sepsis", "pbc")

# Folders of the repository and where the wheel has them.
SHIPPED = {"src/longsurv": "longsurv", "models": "longsurv/models", "examples": "longsurv/examples"}
LITTER = {".pyc", ".nbi", ".nbc"}


def shipped_files() -> dict[str, str]:
    """Every file that has to be in the wheel: its path in the repository -> in the wheel."""
    return {
        path.relative_to(ROOT).as_posix(): f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in SHIPPED.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in LITTER
    }


def run(command: list[str | Path], folder: Path) -> str:
    """Output of a command run in `folder`, away from the repository and its settings."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@dataclass(frozen=True)
class Built:
    """The two files that are published, and their contents by name."""

    wheel: Path
    sdist: Path
    wheel_names: frozenset[str]
    sdist_names: frozenset[str]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist of a clean copy of the repository, and the wheel built from that sdist."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("src", "models", "examples"):
        litter = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.nbi", "*.nbc")
        shutil.copytree(ROOT / name, copy / name, ignore=litter)
    for path in (ROOT / "pyproject.toml", *ROOT.glob("LICENSE"), *ROOT.glob("README.md")):
        shutil.copy(path, copy)
    run([sys.executable, "-m", "build", "--no-isolation", copy], copy)
    (wheel,) = (copy / "dist").glob("*.whl")
    (sdist,) = (copy / "dist").glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        wheel_names = frozenset(archive.namelist())
    with tarfile.open(sdist) as archive:
        sdist_names = frozenset(name.partition("/")[2] for name in archive.getnames())
    return Built(wheel, sdist, wheel_names, sdist_names)


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scripts folder of a new environment: the wheel, and only the dependencies of this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    bin_folder = folder / ("Scripts" if os.name == "nt" else "bin")
    python = bin_folder / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    run([*pip, "install", "--quiet", "--no-deps", "--no-index", built.wheel], folder)
    # A path file adds a folder without reading the path files in it, and an editable longsurv is
    # such a path file: the new environment sees the dependencies and not the checkout.
    purelib = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], folder)
    Path(purelib.strip(), "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return bin_folder


@pytest.mark.slow
def test_the_wheel_and_the_sdist_hold_every_file(built: Built) -> None:
    expected = shipped_files()
    assert {"longsurv/py.typed", "longsurv/models/__init__.py"} <= set(expected.values())
    for study in STUDIES:
        assert f"examples/{study}/study.toml" in expected
        assert f"examples/{study}/patients.csv" in expected
        assert f"examples/{study}/measurements.csv" in expected
    assert sorted(set(expected.values()) - built.wheel_names) == []
    assert sorted(set(expected) - built.sdist_names) == []


@pytest.mark.slow
def test_the_wheel_holds_nothing_else(built: Built) -> None:
    tops = {name.split("/")[0] for name in built.wheel_names}
    assert tops == {"longsurv", f"longsurv-{longsurv.__version__}.dist-info"}
    assert not [name for name in built.wheel_names if "__pycache__" in name or "tests/" in name]
    assert [name for name in built.wheel_names if name.endswith("licenses/LICENSE")]


@pytest.mark.slow
def test_the_installed_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    code = (
        "import longsurv, longsurv.models, importlib.metadata as m\n"
        "print(longsurv.__file__, longsurv.models.__file__, m.version('longsurv'), sep='\\n')"
    )
    package, models, number = run([installed / "python", "-c", code], tmp_path).split("\n")[:3]
    assert Path(package).is_relative_to(installed.parent)
    assert Path(models).is_relative_to(installed.parent)
    assert number == longsurv.__version__ == version("longsurv")


@pytest.mark.slow
@pytest.mark.parametrize("command", [["--help"], ["demo", "--help"], ["check", "--help"]])
def test_the_command_runs_from_any_folder(
    installed: Path, tmp_path: Path, command: list[str]
) -> None:
    assert "usage" in run([installed / "longsurv", *command], tmp_path).lower()


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_an_installed_example_can_be_read(installed: Path, tmp_path: Path, study: str) -> None:
    code = (
        "import longsurv as ls\n"
        f"folder = ls.example_path({study!r})\n"
        "cohort = ls.read_cohort(folder / 'study.toml')\n"
        "print(folder, len(cohort.patients), sep='\\n')"
    )
    folder, patients = run([installed / "python", "-c", code], tmp_path).split("\n")[:2]
    assert Path(folder).is_relative_to(installed.parent)
    assert int(patients) > 30


@pytest.mark.parametrize("study", STUDIES)
def test_an_example_of_a_checkout_is_the_one_people_edit(study: str) -> None:
    assert longsurv.example_path(study) == ROOT / "examples" / study


def test_an_unknown_example_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(longsurv.LongsurvError, match=r"'pbd'.*Did you mean 'pbc'.*'ivig_sepsis'"):
        longsurv.example_path("pbd")


def test_every_folder_with_code_is_a_listed_package() -> None:
    folders = {
        target.rpartition("/")[0].replace("/", ".")
        for path, target in shipped_files().items()
        if path.endswith(".py") and not path.startswith("examples/")
    }
    assert sorted({*folders, "longsurv.examples"}) == PYPROJECT["tool"]["setuptools"]["packages"]


def locked(name: str) -> dict[str, str]:
    """The packages of a lock and their pinned versions."""
    text = (ROOT / "tools" / name).read_text(encoding="utf-8")
    assert "://" not in text
    entries = re.split(r"\n(?=[a-z])", re.sub(r"(?m)^ *#.*\n", "", text).strip())
    pins = {}
    for entry in entries:
        match = re.match(r"([a-z0-9.-]+)==(\S+)", entry)
        assert match, entry
        assert "--hash=sha256:" in entry, entry
        pins[match[1]] = match[2]
    return pins


def test_the_locks_pin_everything_the_project_asks_for() -> None:
    pins = locked("dev.lock")
    asked = PYPROJECT["project"]["dependencies"] + PYPROJECT["dependency-groups"]["dev"]
    for text in asked:
        requirement = Requirement(text)
        assert requirement.specifier.contains(pins[requirement.name]), f"run make lock: {text}"
    assert locked("build.lock") == {"setuptools": pins["setuptools"]}
    assert "torch" not in pins


def test_the_lock_of_the_documentation_has_the_same_versions_and_more() -> None:
    pins, docs = locked("dev.lock"), locked("docs.lock")
    assert pins.items() <= docs.items()
    for text in PYPROJECT["dependency-groups"]["docs"]:
        requirement = Requirement(text)
        assert requirement.specifier.contains(docs[requirement.name]), f"run make lock: {text}"
