"""Test reports: what a build's test runner wrote, counted.

https://docs.aws.amazon.com/codebuild/latest/userguide/test-reporting.html
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sandbox.codebuild import files
from sandbox.codebuild.buildspec import Report


class ReportError(Exception):
    """When test results cannot be read."""


@dataclass(frozen=True, slots=True)
class CountedReport:
    """One report: `counts` by SUCCEEDED, FAILED, ERROR and SKIPPED."""

    arn: str
    group_arn: str
    build_arn: str
    created: datetime
    counts: Counter[str] = field(default_factory=Counter)
    nanoseconds: int = 0

    def answer(self) -> dict[str, Any]:
        """The report as BatchGetReports answers it."""
        bad = self.counts["FAILED"] + self.counts["ERROR"]
        return {
            "arn": self.arn,
            "type": "TEST",
            "name": self.arn.rpartition("/")[2],
            "reportGroupArn": self.group_arn,
            "executionId": self.build_arn,
            "status": "FAILED" if bad else "SUCCEEDED",
            "created": self.created,
            "testSummary": {
                "total": self.counts.total(),
                "statusCounts": dict(self.counts),
                "durationInNanoSeconds": self.nanoseconds,
            },
        }


def read(report: Report, source: Path) -> tuple[Counter[str], int]:
    """Count the test cases of a report's files: their outcomes and their time in nanoseconds."""
    if report.file_format != "JUNITXML":
        raise ReportError(f"the sandbox does not model the report format {report.file_format}")
    found = files.matching(source / report.base_directory, report.files or ("**/*",))
    if not found:
        raise ReportError("no matching report files found")
    counts: Counter[str] = Counter()
    nanoseconds = 0
    for path in found:
        for case in _cases(path):
            counts[_outcome(case)] += 1
            nanoseconds += int(float(case.get("time") or 0) * 1e9)
    return counts, nanoseconds


def group_name(report: Report, project: str) -> str:
    """A name in a buildspec makes the group `<project>-<name>`; an ARN names one that is there."""
    if report.group.startswith("arn:"):
        return report.group.rpartition("/")[2]
    return f"{project}-{report.group}"


def _cases(path: Path) -> Sequence[ET.Element]:
    text = path.read_text()
    # Entities of a document type can make a small file huge; no test runner writes one.
    if re.search(r"<!DOCTYPE", text):
        raise ReportError(f"{path.name} holds a document type")
    try:
        return list(ET.fromstring(text).iter("testcase"))  # noqa: S314  # no document type
    except ET.ParseError as error:
        raise ReportError(f"{path.name} is not JUnit XML: {error}") from error


def _outcome(case: ET.Element) -> str:
    for tag, outcome in (("failure", "FAILED"), ("error", "ERROR"), ("skipped", "SKIPPED")):
        if case.find(tag) is not None:
            return outcome
    return "SUCCEEDED"
