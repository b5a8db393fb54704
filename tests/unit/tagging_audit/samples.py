"""Resources and reports to look at, without any AWS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from tagging_audit.inventory.seen import Trouble, Union
from tagging_audit.judging import Settings
from tagging_audit.policy import Exemption, Glob, Policy, TagRule
from tagging_audit.report.build import Change, Report, compare, coverage, notes, row, unread_rows
from tagging_audit.resource import Source

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ACCOUNT = "123456789012"
POLICY = Policy(
    required=("Project", "Owner", "CostCenter"),
    stack_required=("Environment", "ManagedBy"),
    tags={
        "Project": TagRule("Project", stack_value="bakery"),
        "Owner": TagRule("Owner", stack_value="team-bakery"),
        "CostCenter": TagRule("CostCenter", stack_value="CC-4242"),
        "Environment": TagRule("Environment", is_tier=True),
        "ManagedBy": TagRule("ManagedBy", stack_value="trellis"),
    },
    exemptions=(
        Exemption(
            owner="team-data",
            reason="is replaced in May",
            expires=date(2027, 5, 31),
            resources=(Glob("*legacy*"),),
        ),
    ),
)
GOOD = {"Project": "shop", "Owner": "team-shop", "CostCenter": "CC-1000"}

HOSTILE = (
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example","click")',
    "+1+1",
    "-2+3",
    "@SUM(1)",
    "\t=1+1",
    "\r=1+1",
    "＝1+1",
    "x" * 256,
    "שלום עולם",
    "\u202egnp.exe",
    "\u2066a\u2069",
    "</script><script>document.documentElement.dataset.hacked = 1</script>",
    '<img src=x onerror="document.documentElement.dataset.hacked = 1">',
    "<!--<script>",
    "'\"><svg onload=alert(1)>",
    "{{ 7 * 7 }}",
    "line one\nline two",
    'quotes "and", commas; semicolons',
    "😀",
)
"""Tag values that somebody could write to hurt whoever reads a report."""


def arn(name: str, service: str = "sqs") -> str:
    return (
        f"arn:aws:s3:::{name}"
        if service == "s3"
        else f"arn:aws:{service}:us-east-1:{ACCOUNT}:{name}"
    )


def union(**tags: Mapping[str, str] | None) -> Union:
    """Queues by name, each with its tags."""
    made = Union()
    for name, its in tags.items():
        made.add(arn(name), Source.LIST, region="us-east-1", tags=its)
    made.listed.add(("AWS::SQS::Queue", "us-east-1"))
    made.scanned.add("us-east-1")
    return made


def report(
    seen: Union,
    *,
    policy: Policy = POLICY,
    previous: Mapping[str, Sequence[tuple[str, str]]] | None = None,
    scope: str = "account",
    **more: Any,
) -> Report:
    """A report on what was seen."""
    settings = Settings(policy, NOW)
    rows = [row(one, settings) for one in seen.resources()] + unread_rows(seen, ACCOUNT)
    unread = {(kind, one.region) for one in seen.troubles for kind in one.types}
    return Report(
        **{
            "audit_id": "20261124T090000Z-account-abc123",
            "scope": scope,
            "account": ACCOUNT,
            "regions": ("us-east-1",),
            "trigger": "manual",
            "at": NOW,
            "policy": policy,
            "rows": rows,
            "coverage": coverage(seen, rows, is_account=scope == "account"),
            "troubles": tuple(seen.troubles),
            "notes": notes(seen, policy, NOW),
            "difference": compare(rows, previous, "20261123T090000Z-account-def456", unread),
            "seconds": 4.2,
            "requests": 31,
            **more,
        }
    )


def estate(*, is_hostile: bool = True) -> Report:
    """An account with a bit of everything, as a page to look at."""
    seen = Union()
    teams = ("team-shop", "team-data", "team-search", "platform")
    kinds = ("sqs", "s3", "sns", "lambda", "dynamodb")
    for number in range(160):
        service = kinds[number % 5]
        tags = {"Project": "shop", "CostCenter": "CC-1000", "Owner": teams[number * 7 % 11 % 4]}
        if number % 11 == 3:
            tags.pop("CostCenter")
            tags["costcenter" if number % 2 else "Cost Center"] = "CC-1000"
        if number % 13 == 5:
            tags["Project"] = "  " if number % 2 else ""
        if number % 17 == 6:
            tags = {}
        if number % 23 == 4:
            tags.pop("Owner", None)
        name = f"legacy-{number}" if number % 31 == 6 else f"orders-{number}"
        prefix = {"lambda": "function:", "dynamodb": "table/"}.get(service, "")
        seen.add(arn(prefix + name, service), Source.LIST, region="us-east-1", tags=tags)
    for index, value in enumerate(HOSTILE if is_hostile else ()):
        name = f"hostile-{index}"
        seen.add(arn(name), Source.TAGGING_API, region="us-east-1", tags={"Owner": value})
    seen.add(arn("stream/clicks", "kinesis"), Source.TAGGING_API, region="us-east-1", tags=GOOD)
    for kind in ("SQS::Queue", "S3::Bucket", "Lambda::Function", "DynamoDB::Table"):
        seen.listed.add((f"AWS::{kind}", "us-east-1"))
    seen.scanned.add("us-east-1")
    seen.fail(Trouble("sns:ListTopics was denied", "us-east-1", ("AWS::SNS::Topic",)))
    seen.unsearched["us-east-1"] = "resource-explorer-2:Search was denied"
    was = report(seen)
    previous: dict[str, list[tuple[str, str]]] = {
        one.arn: [(found.tag, found.problem.value) for found in one.findings]
        for one in was.rows
        if one.findings and not one.arn.endswith(("orders-14", "orders-57", "orders-108"))
    }
    previous[arn("orders-1000")] = [("Owner", "missing")]
    previous[arn("function:orders-8", "lambda")] = [("CostCenter", "near-miss")]
    changes = (
        Change(arn=arn("orders-6", "s3"), key="Owner", value="team-shop", is_done=True),
        Change(
            arn=arn("orders-23"),
            key="CostCenter",
            value="CC-1000",
            error="AccessDeniedException: not allowed to tag",
        ),
    )
    return report(seen, previous=previous, changes=changes, remedy="on")


def first_of(made: Report, name: str) -> Any:
    return next(one for one in made.rows if one.arn.endswith(name))
