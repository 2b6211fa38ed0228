"""Full disks, locked folders, odd consoles, Ctrl-C: nothing is lost and nothing half written.

Run as an ordinary user, as root can write everywhere.
"""

from __future__ import annotations

import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bad_studies import good
from ordinary_user import is_ordinary, run, shell, start

import longsurv

pytestmark = [
    pytest.mark.study,
    pytest.mark.skipif(sys.platform == "win32", reason="permissions and signals of POSIX"),
]
INTERRUPTED = 130


@pytest.fixture(scope="module", autouse=True)
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> None:
    if not is_ordinary(tmp_path_factory.mktemp("user")):
        pytest.skip("privileges cannot be dropped here")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen patients, two markers; quick, but with every kind of model."""
    return good().write(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def undisturbed(study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """The page of a run that nothing disturbs, and the seconds that it takes."""
    target = tmp_path_factory.mktemp("undisturbed") / "r.html"
    command = ["report", study, "-o", target, "--no-store"]
    run(*command)  # compiles what is not compiled yet
    began = time.monotonic()
    code, _, err = run(*command)
    assert code in (0, 3), err
    return whole(target), time.monotonic() - began


def whole(page: Path) -> str:
    """A page, which must be complete, without how long things took."""
    text = page.read_text(encoding="utf-8")
    assert text.rstrip().endswith("</html>")
    return re.sub(r"(?<![\d.])\d[\d.]* (ms|s)\b", "TIME", text)


def entries(store: Path) -> set[str]:
    return {path.name for path in store.glob("*.npz")}


def unfinished(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in folder.glob(".unfinished-*")]


def plain(err: str) -> None:
    """What reached standard error is longsurv's own, in sentences or lines of progress."""
    for line in err.splitlines():
        assert re.match(r"longsurv: |\[\d+/\d+\] ", line), err
    assert "unexpected error" not in err, err


def locked(folder: Path) -> Path:
    folder.mkdir(mode=0o555)
    return folder


@pytest.mark.parametrize(
    "words", [["-o", "{}/r.html"], ["-o", "{}/../r.html", "--folder", "{}/all"]]
)
def test_a_locked_folder_is_refused_before_anything_is_fitted(words, study, tmp_path):
    folder = locked(tmp_path / "locked")
    command = ["report", study, "--store", tmp_path / "fits", *(w.format(folder) for w in words)]
    code, out, err = run(*command)
    assert (code, out) == (1, "") and "cannot be written: Permission denied" in err
    plain(err)
    assert not (tmp_path / "fits").exists() and not list(folder.iterdir())


def test_a_locked_store_is_told_once_and_the_report_is_made(study, tmp_path, undisturbed):
    store = locked(tmp_path / "locked") / "fits"
    code, _, err = run("report", study, "-o", tmp_path / "r.html", "--store", store)
    assert code in (0, 3) and err.count("results cannot be stored") == 1
    plain(err)
    assert whole(tmp_path / "r.html") == undisturbed[0]


def test_a_study_that_must_not_be_read(study, tmp_path):
    for name in ("study.toml", "patients.csv"):
        folder = tmp_path / name
        shutil.copytree(study.parent, folder)
        (folder / name).chmod(0)
        code, _, err = run("check", folder / "study.toml")
        assert code == 1 and name in err and "Permission denied" in err
        plain(err)


def small_disk(folder: Path, size: str) -> bool:
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=777", "tmpfs", folder], check=False,
        capture_output=True,
    )  # fmt: skip
    return made.returncode == 0


def test_a_full_disk_is_known_before_anything_is_fitted(study, tmp_path):
    disk = tmp_path / "disk"
    if small_disk(disk, "1m"):
        try:
            code, out, err = run("report", study, "-o", disk / "r.html")
            left = list(disk.iterdir())
        finally:
            subprocess.run(["umount", disk], check=True)
        assert "No space left on device" in err
    else:  # no disk of our own: no file may be longer than this
        limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({2**20},) * 2); "
        from ordinary_user import PROGRAM

        disk = tmp_path
        code, out, err = run("report", study, "-o", disk / "r.html", program=limit + PROGRAM)
        left = [path for path in disk.iterdir() if path.name.startswith((".", "r."))]
        assert "File too large" in err
    assert (code, out, left) == (1, "", [])
    plain(err)


def test_a_disk_that_fills_up_meanwhile(study, tmp_path, undisturbed):
    disk = tmp_path / "disk"
    if not small_disk(disk, "24m"):
        pytest.skip("nothing may be mounted here")
    try:
        store, page = disk / "fits", disk / "r.html"
        process = start("report", study, "-o", page, "--store", store)
        while not entries(store) and process.poll() is None:
            time.sleep(0.01)
        with open(disk / "filler", "wb", buffering=0) as filler:
            try:
                while filler.write(bytes(2**12)):
                    pass
            except OSError:
                pass
        _, err = process.communicate(timeout=600)
        assert process.returncode == 1 and "r.html cannot be written: No space left" in err
        plain(err)
        assert not page.exists() and not unfinished(disk, store)
        kept = entries(store)
        (disk / "filler").unlink()
        code, out, err = run("report", study, "-o", page, "--store", store)
        assert code in (0, 3) and re.search(rf"Reused {len(kept)} of", out)
        plain(err)
        assert whole(page) == undisturbed[0]
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_output_that_cannot_be_written(study, tmp_path):
    page = tmp_path / "r.html"
    done = shell('"$@" > /dev/full', ["check", study])
    assert done.returncode == 1 and "standard output cannot be written" in done.stderr
    plain(done.stderr)
    done = shell('"$@" > /dev/full 2> /dev/full', ["report", study, "-o", page, "--quick"])
    assert done.returncode == 1
    whole(page)
    page.unlink()
    done = shell('"$@" >&- 2>&-', ["report", study, "-o", page, "--quick"])
    assert done.returncode in (0, 3)
    whole(page)


def test_a_package_and_a_home_that_cannot_be_written(study, tmp_path):
    source = Path(longsurv.__file__).parent
    models = Path(longsurv.models.__file__).parent
    package = tmp_path / "site" / "longsurv"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(source, package, ignore=ignored)
    shutil.copytree(models, package / "models", ignore=ignored)
    for path in [*package.rglob("*"), package]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    env = {"PYTHONPATH": str(package.parent), "HOME": str(locked(tmp_path / "home")),
           "TMPDIR": str(temporary), "XDG_CACHE_HOME": None, "NUMBA_CACHE_DIR": None,
           "MPLCONFIGDIR": None, "LONGSURV_ROOT": None}  # fmt: skip
    where = "import longsurv, sys; print(longsurv.__file__)"
    assert str(package) in run(program=where, env=env)[1]
    try:
        code, out, err = run("check", study, env=env)
        assert (code, err) == (0, "") and "Covariates, as they were read" in out
        page = tmp_path / "r.html"
        code, _, err = run("report", study, "-o", page, "--quick", "--no-store", env=env)
        assert code in (0, 3)
        plain(err)
        whole(page)
        assert not list(package.rglob("__pycache__")), "the package was written to"
        assert not list(temporary.glob("longsurv-kernels-*")), "what was compiled is left behind"
    finally:
        for path in [package, *package.rglob("*")]:
            path.chmod(0o755)


@pytest.mark.parametrize(
    "env",
    [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"},
     {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": None}],
)  # fmt: skip
def test_narrow_consoles(env, tmp_path):
    files = good().toml('"A study"', '"\u6557\u8840\u75c7 \u00e9"')
    study = files.write(tmp_path / "\u6557")
    code, out, err = run("check", study, env=env)
    assert (code, err) == (0, "") and "???" in out
    pages = []
    for name, given in (("wide", {}), ("narrow", env)):
        page = tmp_path / f"{name}.html"
        store = ["--store", tmp_path / "fits"]
        code, _, err = run("report", study, "-o", page, "--quick", *store, env=given)
        assert code in (0, 3)
        plain(err)
        pages.append(whole(page))
    assert pages[0] == pages[1] and "\u6557\u8840\u75c7" in pages[0]


@pytest.mark.parametrize("words", [["check"], ["--help"], ["report", "--quick", "--no-store"]])
def test_a_reader_who_leaves(words, study, tmp_path):
    page = tmp_path / "r.html"
    given = [] if words == ["--help"] else [study]
    given += ["-o", page] if words[0] == "report" else []
    for line in ('"$@" | head -1', '"$@" 2>&1 | head -1', '"$@" | true', '"$@" 2>&1 | true'):
        done = shell(line, [*words, *given])
        assert done.returncode in (0, 3), (line, done)
        plain(done.stderr)
        if words[0] == "report":
            whole(page)
            page.unlink()


def disturb(process: subprocess.Popen[str], seconds: float, what: signal.Signals) -> bool:
    """Send a signal to a run so many seconds after its start; False if it has ended before."""
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(what)
        return True
    return False


def moments(count: int, seconds: float, seed: int) -> list[float]:
    """Random moments, one in each of `count` stretches of a run."""
    r = random.Random(seed)
    return [seconds * (k + r.random()) / count for k in range(count)]


def test_control_c_at_twenty_moments_and_resumed(study, tmp_path, undisturbed):
    for k, moment in enumerate(moments(20, 0.97 * undisturbed[1], seed=1)):
        store, page = tmp_path / f"fits{k}", tmp_path / f"{k}.html"
        with start("report", study, "-o", page, "--store", store) as process:
            sent = disturb(process, moment, signal.SIGINT)
            out, err = process.communicate(timeout=60)
        plain(err)
        if sent and process.returncode == INTERRUPTED:
            assert "longsurv: interrupted; " in err
            assert not entries(store) or "Run the same command again" in err
        else:
            assert process.returncode in (0, 3), (moment, process.returncode, err)
            assert str(page) in out, (moment, "an interrupt was ignored")
        if page.exists():
            assert whole(page) == undisturbed[0]
        assert not unfinished(store, tmp_path)
        kept = entries(store)
        code, out, err = run("report", study, "-o", page, "--store", store)
        assert code in (0, 3)
        plain(err)
        assert not kept or f"Reused {len(kept)} of" in out
        assert whole(page) == undisturbed[0]


def test_kill_at_ten_moments(study, tmp_path, undisturbed):
    for k, moment in enumerate(moments(10, 0.97 * undisturbed[1], seed=2)):
        store, page = tmp_path / f"fits{k}", tmp_path / f"{k}.html"
        command = ["report", study, "-o", page, "--store", store]
        with start(*command) as process:
            if disturb(process, moment, signal.SIGKILL):
                assert process.wait(timeout=60) in (0, 3, -signal.SIGKILL)
            process.communicate()
        assert not page.exists() or whole(page)
        kept = entries(store)
        code, out, err = run(*command)
        assert code in (0, 3)
        plain(err)
        assert not kept or f"Reused {len(kept)} of" in out
        assert whole(page) == undisturbed[0]


def test_two_runs_on_one_store(study, tmp_path, undisturbed):
    store, pages = tmp_path / "fits", [tmp_path / "1.html", tmp_path / "2.html"]
    both = [start("report", study, "-o", page, "--store", store) for page in pages]
    for process, page in zip(both, pages, strict=True):
        _, err = process.communicate(timeout=600)
        assert process.returncode in (0, 3)
        plain(err)
        assert "longsurv: " not in err and whole(page) == undisturbed[0]
    assert not unfinished(store)
    code, out, _ = run("report", study, "-o", pages[0], "--store", store)
    reused, total = re.search(r"Reused (\d+) of (\d+)", out).groups()
    assert code in (0, 3) and reused == total


def test_a_store_of_another_version(study, tmp_path, undisturbed):
    from ordinary_user import PROGRAM

    store, page = tmp_path / "fits", tmp_path / "r.html"
    command = ["report", study, "-o", page, "--store", store]
    older = f"import longsurv.version; longsurv.version.__version__ = '0.0.9'; {PROGRAM}"
    assert run(*command, program=older)[0] in (0, 3)
    before = {path: path.read_bytes() for path in store.glob("*.npz")}
    assert before
    code, out, err = run(*command)
    assert code in (0, 3) and "Reused" not in out
    plain(err)
    assert whole(page) == undisturbed[0]
    assert {path: path.read_bytes() for path in before} == before
    for path in store.glob("*.npz"):  # as if what is in them had changed, too
        path.write_bytes(b"longsurv 7" + path.read_bytes()[10:])
    code, out, err = run(*command)
    assert code in (0, 3) and "Reused" not in out and "cannot be read" in err
    plain(err)
    assert whole(page) == undisturbed[0]
