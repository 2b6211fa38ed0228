#!/usr/bin/env bash
# Run mypy over the package as it is installed. Its folder models/ is mapped to longsurv.models at
# installation, which mypy cannot know, so it gets a tree of links laid out as the wheel is.
set -euo pipefail
cd "$(dirname "$0")/.."

tree=.mypy_cache/tree
rm -rf "$tree"
mkdir -p "$tree/longsurv"
for entry in "$PWD"/src/longsurv/*; do
    ln -s "$entry" "$tree/longsurv/"
done
ln -s "$PWD/models" "$tree/longsurv/models"

# Report the files under the names people edit them by.
MYPYPATH=$tree /work/main/.venv/bin/python -m mypy "$@" --package longsurv |
    sed -e "s#^$tree/longsurv/models/#models/#" -e "s#^$tree/longsurv/#src/longsurv/#"
