#!/usr/bin/env bash
# Make .venv: find a Python, install what the locks pin, then longsurv itself, editable.
# Does nothing when .venv is already up to date. PYTHON=/path/to/python chooses the interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."

oldest=3.12
newest=3.14 # the newest for which every pinned package has been released
stamp=.venv/longsurv.stamp

say() { printf '%s\n' "$*" >&2; }

# All that the environment depends on; the folder too, for an environment does not survive a move.
fingerprint() { { pwd && cat tools/*.lock tools/setup.sh pyproject.toml; } | cksum; }

# Every place where a Python may be, best first. A pyenv version counts even when pyenv has not
# selected it; a shim that points at nothing is tried and passed over.
candidates() {
    local minor python
    for minor in 3.13 3.12 3.14; do
        command -v "python$minor" || true
        for python in "${PYENV_ROOT:-$HOME/.pyenv}/versions/$minor".*/bin/python; do
            echo "$python"
        done
    done
    command -v python3 || true
    command -v python || true
    if command -v uv >/dev/null; then
        uv python find ">=$oldest,<=$newest.99" 2>/dev/null || true
    fi
}

# Prints "yes", "no", or "no-venv" for a right version that cannot make environments.
suits() {
    "$1" - "$oldest" "$newest" 2>/dev/null <<'PYTHON' || echo no
import sys
oldest, newest = (tuple(map(int, text.split("."))) for text in sys.argv[1:])
if not oldest <= sys.version_info[:2] <= newest:
    print("no")
else:
    try:
        import ensurepip, venv
        print("yes")
    except ImportError:
        print("no-venv")
PYTHON
}

# Sets `found`, or stops with a message that says what to do.
find_python() {
    local python without_venv=""
    found=""
    if [ -n "${PYTHON:-}" ]; then
        if [ "$(suits "$PYTHON")" != yes ]; then
            say "PYTHON=$PYTHON cannot be used: longsurv needs Python $oldest to $newest with its venv module."
            exit 1
        fi
        found=$PYTHON
        return
    fi
    while IFS= read -r python; do
        case "$(suits "$python")" in
            yes) found=$python; return ;;
            no-venv) without_venv=$python ;;
        esac
    done < <(candidates)
    if command -v uv >/dev/null; then
        say "No usable Python $oldest to $newest here; asking uv for one."
        if uv python install 3.13 >&2; then
            found=$(uv python find 3.13)
            return
        fi
    fi
    if [ -n "$without_venv" ]; then
        say "$without_venv is the right version, but its venv or ensurepip module is missing."
        say "On Debian and Ubuntu the package $(basename "$without_venv")-venv (or python3-venv) holds them."
    else
        say "longsurv needs Python $oldest to $newest and none was found: not on PATH (python3.13, python3.12,"
        say "python3.14, python3, python), not among pyenv's versions, not by uv. Any one of these brings it:"
        say "    pyenv install 3.13"
        say "    uv python install 3.13"
        say "    conda create --name py313 python=3.13"
    fi
    say "Then run make again, or name the interpreter: make setup PYTHON=/path/to/python3.13"
    exit 1
}

# Twice quiet: errors only.
pip() { .venv/bin/python -m pip --disable-pip-version-check -qq "$@"; }

if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(fingerprint)" ]; then
    exit 0
fi
rm -f "$stamp"

if [ "$(suits .venv/bin/python)" != yes ]; then
    find_python
    say "Making .venv with $("$found" --version) ($found)"
    "$found" -m venv --clear .venv
fi

say "Installing the pinned packages into .venv (a minute or two, once)"
pip install --require-hashes --only-binary :all: -r tools/build.lock
pip install --require-hashes --no-build-isolation -r tools/dev.lock
pip install --no-deps --no-build-isolation --editable .
say "Compiling the kernels (a minute or two, once)"
.venv/bin/longsurv warm --quiet >/dev/null || say "They could not all be compiled now; they will be when they are used."
fingerprint >"$stamp"
