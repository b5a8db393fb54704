"""The report for spreadsheets: a line for each finding, and one for each resource without any."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from tagging_audit.policy import Finding
from tagging_audit.report.build import Report, Row

COLUMNS = (
    "arn",
    "type",
    "region",
    "verdict",
    "owner",
    "tag",
    "problem",
    "text",
    "found",
    "suggestion",
    "reason",
    "logical-id",
    "sources",
    "remedied",
)

_FORMULA = frozenset("=+-@\t\r\n\x00＝＋－＠")
"""What makes a spreadsheet take a cell for a formula; the wide forms are read as the narrow ones.

https://owasp.org/www-community/attacks/CSV_Injection
"""
# Marks that turn the direction of what follows, line ends of their own, and what has no width.
_HIDDEN = frozenset(
    chr(code)
    for codes in (
        (0x061C, 0xFEFF),
        range(0x200B, 0x2010),
        range(0x2028, 0x202F),
        range(0x2060, 0x206A),
    )
    for code in codes
)


def pieces(report: Report) -> Iterator[str]:
    """The report as text, piece by piece."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in report.rows:
        for finding in row.findings or (None,):
            writer.writerow(map(cell, _values(row, finding)))
        if buffer.tell() > 1 << 16:
            yield buffer.getvalue()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue()


def cell(value: str | None) -> str:
    """A text as a cell that no spreadsheet runs, and that hides nothing."""
    if not value:
        return ""
    if not value.isascii() and not value.isprintable():
        value = "".join(
            f"\\u{ord(character):04x}" if character in _HIDDEN else character for character in value
        )
    return f"'{value}" if value[0] in _FORMULA else value


def _values(row: Row, finding: Finding | None) -> tuple[str | None, ...]:
    return (
        row.arn,
        row.type,
        row.region,
        row.verdict.value,
        row.owner,
        finding.tag if finding else None,
        finding.problem.value if finding else None,
        finding.text if finding else None,
        finding.found if finding else None,
        finding.suggestion if finding else None,
        row.reason,
        row.logical_id,
        " ".join(source.value for source in row.sources),
        " ".join(row.remedied),
    )
