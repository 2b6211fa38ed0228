#!/usr/bin/env bash
# Run the tests under pandas 3, in an environment of its own (.venv-pandas3): the packages of .venv
# but for pandas itself and for lifelines, whose pin is all that holds ours. What needs lifelines
# is skipped there (tests/conftest.py). Arguments are pytest's.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=.venv-pandas3
python=$folder/bin/python
[ -x "$python" ] || .venv/bin/python -m venv "$folder"
.venv/bin/python -m pip freeze --exclude-editable | grep -viE '^(pandas|lifelines)==' \
    >"$folder/packages.txt"
"$python" -m pip install --quiet --no-deps --requirement "$folder/packages.txt" "pandas>=3,<4"
"$python" -m pip install --quiet --no-deps --no-build-isolation --editable .
exec "$python" -m pytest "$@"
