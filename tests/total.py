"""Add up the results of several pytest runs: the last line of `make test`.

Run as `python -m tests.total FOLDER`, on a folder of JUnit files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree


def total(folder: Path) -> dict[str, int]:
    """Counts over every file of a folder: passed, failed (errors too), skipped."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for file in sorted(folder.glob("*.xml")):
        for suite in ElementTree.parse(file).iter("testsuite"):  # noqa: S314  # our own files
            ran, failed = int(suite.get("tests", 0)), int(suite.get("failures", 0))
            failed += int(suite.get("errors", 0))
            skipped = int(suite.get("skipped", 0))
            counts["passed"] += ran - failed - skipped
            counts["failed"] += failed
            counts["skipped"] += skipped
    return counts


def main(folder: Path) -> int:
    counts = total(folder)
    sys.stdout.write(
        f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped\n"
    )
    return 1 if counts["failed"] or not counts["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
