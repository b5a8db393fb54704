"""Our own events: what travels is what arrives, and a stranger's schema is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest

from trellis.errors import SchemaError
from trellis.events import (
    AuditFinding,
    BakeState,
    BakeStateChange,
    Revision,
    RollbackMode,
    RollbackRoute,
    RollbackState,
    RollbackStateChange,
    TaggingAuditCompleted,
    Verdict,
)

NOW = datetime(2026, 11, 24, 4, 0, 0, 250_000, tzinfo=UTC)

ROLLBACK = RollbackStateChange(
    watch_id="w-1",
    state=RollbackState.SUCCEEDED,
    pipeline="shop-pipeline-main",
    stage="DeployToProd",
    action="Deploy",
    execution_id="e-2",
    action_execution_id="a-2",
    environment="shop-prod-main",
    mode=RollbackMode.AUTOMATIC,
    route=RollbackRoute.STAGE,
    bad=Revision(revision="bad", version_label="code-pipeline-2", execution_id="e-2"),
    good=Revision(revision="good", summary="Fix the basket", execution_id="e-1"),
    rollback_execution_id="e-3",
    reason="production answered 38 % of requests with 5xx",
    evidence=("health Severe for 4 minutes", "alarm shop-5xx is in ALARM"),
    next_command="make unfreeze STAGE=DeployToProd",
    is_frozen=True,
    is_ordered=True,
    ordered_version="good",
    at=NOW,
)
BAKE = BakeStateChange(
    watch_id="w-1",
    state=BakeState.WATCHING,
    pipeline="shop-pipeline-main",
    stage="DeployToTest",
    action="Deploy",
    execution_id="e-2",
    environment="shop-test-main",
    reason="healthy for 8 of 15 minutes",
    at=NOW,
    until=NOW + timedelta(minutes=7),
    health="Ok",
)
AUDIT = TaggingAuditCompleted(
    audit_id="2026-11-24T04-00-00Z",
    scope="stack",
    regions=("us-east-1", "us-west-2"),
    trigger="schedule",
    counts={Verdict.COMPLIANT: 40, Verdict.NON_COMPLIANT: 2, Verdict.UNKNOWN: 1},
    findings=3,
    new_findings=1,
    resolved_findings=0,
    worst=(AuditFinding("arn:aws:s3:::b", "s3:bucket", "CostCenter", "CostCenter is missing"),),
    mended=(AuditFinding("arn:aws:s3:::c", "s3:bucket", "Owner", "Owner is missing"),),
    report_bucket="reports",
    report_key="2026/11/24/report.html",
    report_url="https://example.com/report.html",
    at=NOW,
)


def test_a_rollback_arrives_as_it_was_sent() -> None:
    travelled = json.loads(json.dumps(ROLLBACK.to_detail()))
    assert RollbackStateChange.from_detail(travelled) == ROLLBACK
    assert travelled["schema-version"] == "1.0"
    assert travelled["from"] == {
        "revision": "bad",
        "version-label": "code-pipeline-2",
        "execution-id": "e-2",
    }


def test_a_bake_arrives_as_it_was_sent() -> None:
    assert BakeStateChange.from_detail(json.loads(json.dumps(BAKE.to_detail()))) == BAKE


def test_an_audit_arrives_as_it_was_sent_with_every_verdict_counted() -> None:
    travelled = json.loads(json.dumps(AUDIT.to_detail()))
    found = TaggingAuditCompleted.from_detail(travelled)
    assert found.counts[Verdict.UNTAGGABLE] == 0
    assert found.counts[Verdict.NON_COMPLIANT] == 2
    assert (found.worst, found.new_findings, found.resolved_findings) == (AUDIT.worst, 1, 0)
    assert (found.report_url, found.mended) == (AUDIT.report_url, AUDIT.mended)


def test_what_is_unknown_is_left_out() -> None:
    detail = RollbackStateChange(
        watch_id="w",
        state=RollbackState.REFUSED,
        pipeline="p",
        stage="s",
        action="a",
        execution_id="e",
        environment="v",
        mode=RollbackMode.OBSERVE,
        reason="no known-good version",
        at=NOW,
    ).to_detail()
    assert not {"from", "to", "route", "evidence", "next-command", "ordered"} & set(detail)
    assert detail["frozen"] is False


def test_times_travel_in_utc() -> None:
    there = NOW.astimezone(timezone(timedelta(hours=9)))
    moved = BakeStateChange.from_detail({**BAKE.to_detail(), "at": there.isoformat()})
    assert moved.at == NOW


@pytest.mark.parametrize("version", [None, "2.0", 1, "", "x"])
def test_refuses_a_major_version_it_does_not_know(version: object) -> None:
    with pytest.raises(SchemaError, match=r"1\.0"):
        RollbackStateChange.from_detail({**ROLLBACK.to_detail(), "schema-version": version})


def test_takes_a_later_minor_version_with_fields_it_does_not_know() -> None:
    detail = {**ROLLBACK.to_detail(), "schema-version": "1.7", "mood": "hopeful"}
    assert RollbackStateChange.from_detail(detail) == ROLLBACK


def test_evidence_is_cut_so_that_the_event_fits_on_the_bus() -> None:
    loud = RollbackStateChange.from_detail(
        {**ROLLBACK.to_detail(), "evidence": ["x" * 100_000] * 500}
    )
    assert len(json.dumps(loud.to_detail())) < 64 * 1024
