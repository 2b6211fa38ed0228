"""Write tests/slow_tests.txt: the tests that `make test` leaves to `make test-all`, by their time.

    make test-all ARGS="--junitxml=times.xml" && .venv/bin/python tools/slow_tests.py times.xml

The slowest tests are listed until the others take the share of all time that is named. A test that
first makes what others share has its time, so measure again without the slow ones and add those
that then are: `make test ARGS="--junitxml=again.xml"` and `--add again.xml`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
LIST = ROOT / "tests" / "slow_tests.txt"
SHARE = 0.12


def node_of(case: ElementTree.Element) -> str:
    """The name by which pytest calls a test of a junit file."""
    parts, inside = case.attrib["classname"].split("."), []
    while not (path := ROOT.joinpath(*parts).with_suffix(".py")).exists():
        inside.insert(0, parts.pop())
    return "::".join([path.relative_to(ROOT).as_posix(), *inside, case.attrib["name"]])


def slowest(times: dict[str, float], share: float) -> set[str]:
    """The tests without which the others take this share of the time of all."""
    budget, left, found = share * sum(times.values()), sum(times.values()), set()
    for name in sorted(times, key=lambda name: times[name], reverse=True):
        if left <= budget:
            break
        found.add(name)
        left -= times[name]
    return found


def main() -> None:
    """Read the times of a run and write the list."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("times", type=Path, help="what --junitxml wrote")
    parser.add_argument("--share", type=float, default=SHARE, help="of the time, that is left")
    parser.add_argument("--add", action="store_true", help="to those listed")
    asked = parser.parse_args()
    cases = ElementTree.parse(asked.times).getroot().iter("testcase")
    found = slowest({node_of(case): float(case.attrib["time"]) for case in cases}, asked.share)
    if asked.add:
        found |= set(LIST.read_text(encoding="utf-8").splitlines())
    LIST.write_text("\n".join(sorted(found)) + "\n", encoding="utf-8")
    print(f"{len(found)} tests in {LIST.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
