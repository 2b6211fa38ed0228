#!/usr/bin/env bash
# Pin every package a developer needs, with hashes, for all supported Pythons and platforms at once.
# build.lock holds the build backend alone: it is installed first, so that nothing is built with
# packages from outside the locks. docs.lock has what dev.lock has, in the same versions, and what
# builds the documentation. Needs uv, which is put into .venv when it is not on PATH.
set -euo pipefail
cd "$(dirname "$0")/.."

uv=$(command -v uv || true)
if [ -z "$uv" ]; then
    .venv/bin/python -m pip install --quiet uv
    uv=.venv/bin/uv
fi

compile() {
    "$uv" pip compile --quiet --universal --python-version 3.12 --generate-hashes \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" "$@"
}

echo "setuptools>=77" | compile - --output-file tools/build.lock
compile pyproject.toml --group dev --constraint tools/build.lock --output-file tools/dev.lock
compile pyproject.toml --group dev --group docs --constraint tools/dev.lock \
    --output-file tools/docs.lock
echo "Wrote tools/build.lock, tools/dev.lock and tools/docs.lock."
