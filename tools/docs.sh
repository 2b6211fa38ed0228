#!/usr/bin/env bash
# Build the documentation. What that needs goes into .venv, once: the pages are executed with the
# packages that longsurv itself is tested with, and a second environment would hold all of them twice.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/longsurv-docs.stamp
if [ "$(cat "$stamp" 2>/dev/null)" != "$(cksum <tools/docs.lock)" ]; then
    echo "Installing what builds the documentation into .venv (once)" >&2
    .venv/bin/python -m pip --disable-pip-version-check -qq install \
        --require-hashes --no-build-isolation -r tools/docs.lock
    cksum <tools/docs.lock >"$stamp"
fi
exec .venv/bin/python docs/site/build.py "$@"
