"""The report for spreadsheets: a line for each finding, and one for each resource without any."""

from __future__ import annotations

import csv
import io
import re
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
_END = "\r\n"
_COMMAS = len(COLUMNS) - 1
_QUOTED = re.compile(r'["\r\n]')

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
    writer = csv.writer(buffer, lineterminator=_END)
    writer.writerow(COLUMNS)
    for row in report.rows:
        before, after = _before(row), _after(row)
        for finding in row.findings or (None,):
            cells = (*before, *_of(finding), *after)
            # csv.writer looks at each character; most lines have none that needs quoting.
            line = ",".join(cells)
            if line.count(",") == _COMMAS and not _QUOTED.search(line):
                buffer.write(line + _END)
            else:
                writer.writerow(cells)
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


def _before(row: Row) -> tuple[str, ...]:
    return (
        cell(row.arn),
        cell(row.type),
        cell(row.region),
        cell(row.verdict),
        cell(row.owner),
    )


def _of(finding: Finding | None) -> tuple[str, ...]:
    if finding is None:
        return "", "", "", "", ""
    return (
        cell(finding.tag),
        cell(finding.problem),
        cell(finding.text),
        cell(finding.found),
        cell(finding.suggestion),
    )


def _after(row: Row) -> tuple[str, ...]:
    return (
        cell(row.reason),
        cell(row.logical_id),
        cell(" ".join(row.sources)),
        cell(" ".join(row.remedied)),
    )
