"""The report for programs. docs/tagging.md describes every field; fields are only ever added."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from tagging_audit.policy import Finding
from tagging_audit.report.build import Change, Coverage, Key, Report, Row

SCHEMA_VERSION = "1.0"

_dumps = json.JSONEncoder(separators=(",", ":")).encode
"""ASCII only: what hides in a tag value (direction marks, odd line ends) shows as `\\uXXXX`."""


def pieces(report: Report) -> Iterator[str]:
    """The report as text, piece by piece: one resource is in memory twice at a time, not all."""
    head = _dumps(header(report))
    yield f'{head[:-1]},"resources":['
    between = ""
    for one in report.rows:
        yield f"{between}\n{_dumps(resource(one))}"
        between = ","
    yield "\n]}\n"


def header(report: Report) -> dict[str, Any]:
    """All but the resources."""
    return _present(
        {
            "schema-version": SCHEMA_VERSION,
            "audit-id": report.audit_id,
            "scope": report.scope,
            "account": report.account,
            "stack": report.stack,
            "regions": list(report.regions),
            "trigger": report.trigger,
            "at": iso(report.at),
            "seconds": round(report.seconds, 1),
            "requests": report.requests,
            "complete": report.is_whole,
        }
    ) | {
        "policy": {
            "file": report.policy.name,
            "required": list(report.policy.required),
            "stack-required": list(report.policy.stack_required),
        },
        "counts": {verdict.value: count for verdict, count in report.counts.items()},
        "findings": report.findings,
        "problems": {problem.value: count for problem, count in report.problems.items()},
        "difference": {
            "since": report.difference.since,
            "new": [_key(one) for one in report.difference.new],
            "resolved": [_key(one) for one in report.difference.resolved],
        },
        "coverage": [_coverage(one) for one in report.coverage],
        "unread": [
            {"what": one.text, "region": one.region, "types": list(one.types)}
            for one in report.troubles
        ],
        "notes": list(report.notes),
        "remedy": {
            "mode": report.remedy,
            "changes": [_change(one) for one in report.changes],
        },
    }


def resource(row: Row) -> dict[str, Any]:
    """One resource."""
    found: dict[str, Any] = {
        "arn": row.arn,
        "type": row.type,
        "region": row.region,
        "verdict": row.verdict,
        "findings": [_finding(one) for one in row.findings],
    }
    # There are many of them: what is not there costs nothing here.
    if row.reason:
        found["reason"] = row.reason
    if row.owner:
        found["owner"] = row.owner
    if row.logical_id:
        found["logical-id"] = row.logical_id
    if row.sources:
        found["sources"] = row.sources
    if row.remedied:
        found["remedied"] = row.remedied
    return found


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _finding(finding: Finding) -> dict[str, Any]:
    found = {"tag": finding.tag, "problem": finding.problem, "text": finding.text}
    if finding.suggestion:
        found["suggestion"] = finding.suggestion
    if finding.found is not None:
        found["found"] = finding.found
    return found


def _key(key: Key) -> dict[str, str]:
    arn, tag, problem = key
    return {"arn": arn, "tag": tag, "problem": problem}


def _coverage(line: Coverage) -> dict[str, Any]:
    return {
        "type": line.type,
        "region": line.region,
        "resources": line.resources,
        "verdicts": {verdict.value: count for verdict, count in line.verdicts.items()},
        "seen-by": [one.value for one in line.seen_by],
        "complete": line.is_complete,
    } | _present({"note": line.note})


def _change(change: Change) -> dict[str, Any]:
    return {
        "arn": change.arn,
        "tag": change.key,
        "value": change.value,
        "done": change.is_done,
    } | _present({"error": change.error, "drift": change.drift})


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "", [])}
