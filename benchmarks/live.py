"""`make measure-live`: what CloudWatch knows of a deployed stack's cold starts and memory."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from operations.stack import client_of, mended, unanswered

QUERY = """
filter @type = "REPORT"
| fields ispresent(@initDuration) as is_cold
| stats count(*) as invocations,
    pct(@initDuration, 50) as init50, pct(@initDuration, 95) as init95,
    max(@maxMemoryUsed) / 1000 / 1000 as memory,
    max(@memorySize) / 1000 / 1000 as size,
    pct(@duration, 50) as duration50, pct(@duration, 95) as duration95
  by is_cold
"""
"""Lambda's own line at the end of each invocation, read by Logs Insights:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
"""

_LONGEST_WAIT_SECONDS = 60
_MOST_DAYS = 3653
"""No log is kept for longer."""
_COLUMNS = (
    ("invocations", "count"),
    ("init50", "INIT ms, median"),
    ("init95", "95 %"),
    ("duration50", "handler ms, median"),
    ("duration95", "95 %"),
    ("memory", "peak MB"),
    ("size", "of MB"),
)


class MeasureError(Exception):
    """When a stack cannot be measured; the text says why and what to do."""


def functions_of(client: Any, stack: str) -> dict[str, str]:
    """The functions of a stack by their logical ids. Raises MeasureError."""
    try:
        pages = client.get_paginator("list_stack_resources").paginate(StackName=stack)
        found = {
            one["LogicalResourceId"]: one["PhysicalResourceId"]
            for page in pages
            for one in page["StackResourceSummaries"]
            if one["ResourceType"] == "AWS::Lambda::Function"
        }
    except (BotoCoreError, ClientError) as err:
        why = mended(err) or str(err)
        raise MeasureError(f"the stack {stack} cannot be read: {why}") from err
    if not found:
        raise MeasureError(f"the stack {stack} has no function: name the stack of the pipeline")
    return found


def reports(client: Any, group: str, since: datetime, until: datetime) -> list[Mapping[str, str]]:
    """A row for warm and one for cold invocations, of those there were. Raises MeasureError."""
    try:
        query = client.start_query(
            logGroupName=group,
            startTime=int(since.timestamp()),
            endTime=int(until.timestamp()),
            queryString=QUERY,
        )["queryId"]
        for _ in range(_LONGEST_WAIT_SECONDS):
            answer = client.get_query_results(queryId=query)
            if answer["status"] not in ("Scheduled", "Running"):
                break
            time.sleep(1)
    except (BotoCoreError, ClientError) as err:
        why = mended(err) or str(err)
        raise MeasureError(f"the log group {group} cannot be searched: {why}") from err
    if answer["status"] != "Complete":
        raise MeasureError(f"the search of {group} ended as {answer['status']}: try again")
    return [{one["field"]: one["value"] for one in row} for row in answer["results"]]


def table(rows: Mapping[str, Sequence[Mapping[str, str]]]) -> str:
    """What was found, a line for each function's cold and warm invocations."""
    lines = [
        f"| function | | {' | '.join(title for _, title in _COLUMNS)} |",
        f"| --- | --- |{' --- |' * len(_COLUMNS)}",
    ]
    for function, found in rows.items():
        if not found:
            lines.append(f"| {function} | not invoked |{' |' * len(_COLUMNS)}")
        for row in sorted(found, key=lambda one: one.get("is_cold", ""), reverse=True):
            kind = "cold" if row.get("is_cold") in ("1", "true") else "warm"
            values = (_rounded(row.get(name, "")) for name, _ in _COLUMNS)
            lines.append(f"| {function} | {kind} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


def _rounded(value: str) -> str:
    try:
        return f"{float(value):,.0f}"
    except ValueError:
        return ""


def main() -> None:
    """Read, and print."""
    parser = argparse.ArgumentParser(prog="make measure-live")
    parser.add_argument("--stack", help="the stack's name")
    parser.add_argument("--region")
    parser.add_argument("--days", type=int, default=7)
    options = parser.parse_args()
    if not options.stack:
        sys.exit(
            "make measure-live wants STACK=<name of a deployed stack>, and REGION=<its Region>"
        )
    if not 1 <= options.days <= _MOST_DAYS:
        sys.exit(f"DAYS is {options.days}: write a number of days from 1 to {_MOST_DAYS}")
    until = datetime.now(UTC)
    since = until - timedelta(days=options.days)
    try:
        session = boto3.session.Session(region_name=options.region)
        functions = functions_of(client_of(session, "cloudformation"), options.stack)
        logs = client_of(session, "logs")
        rows = {
            logical: reports(logs, f"/aws/lambda/{name}", since, until)
            for logical, name in sorted(functions.items())
        }
    except MeasureError as err:
        sys.exit(str(err))
    except BotoCoreError as err:
        sys.exit(unanswered(err))
    sys.stdout.write(table(rows))


if __name__ == "__main__":
    main()
