"""What is asked of CloudWatch about a deployed stack, and how it is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from benchmarks.live import QUERY, MeasureError, functions_of, reports, table

UNTIL = datetime(2026, 11, 24, tzinfo=UTC)
SINCE = datetime(2026, 11, 17, tzinfo=UTC)
COLD = {
    "is_cold": "1",
    "invocations": "12",
    "init50": "231.4",
    "init95": "301",
    "duration50": "1204.6",
    "duration95": "1800",
    "memory": "62.5",
    "size": "512",
}
WARM = {"is_cold": "0", "invocations": "1840", "duration50": "44.6", "memory": "63", "size": "512"}


def stubbed(service: str) -> tuple[Any, Stubber]:
    client = boto3.session.Session().client(  # type: ignore[call-overload]  # the name is no literal
        service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="y"
    )
    return client, Stubber(client)


def test_the_functions_of_a_stack_are_found_and_nothing_else() -> None:
    client, stub = stubbed("cloudformation")
    listed = [
        ("NotifyFunction", "shop-notify-main", "AWS::Lambda::Function"),
        ("NotifyQueue", "https://sqs/queue", "AWS::SQS::Queue"),
    ]
    stub.add_response(
        "list_stack_resources",
        {
            "StackResourceSummaries": [
                {
                    "LogicalResourceId": logical,
                    "PhysicalResourceId": physical,
                    "ResourceType": kind,
                    "LastUpdatedTimestamp": UNTIL,
                    "ResourceStatus": "CREATE_COMPLETE",
                }
                for logical, physical, kind in listed
            ]
        },
        {"StackName": "shop"},
    )
    with stub:
        assert functions_of(client, "shop") == {"NotifyFunction": "shop-notify-main"}


def test_a_stack_that_is_not_there_is_named() -> None:
    client, stub = stubbed("cloudformation")
    stub.add_client_error(
        "list_stack_resources", "ValidationError", "Stack with id shop does not exist"
    )
    with stub, pytest.raises(MeasureError, match=r"the stack shop cannot be read: .*not exist"):
        functions_of(client, "shop")


def test_the_reports_of_a_log_group_are_searched_until_they_are_there() -> None:
    client, stub = stubbed("logs")
    stub.add_response(
        "start_query",
        {"queryId": "q"},
        {
            "logGroupName": "/aws/lambda/shop-notify-main",
            "startTime": int(SINCE.timestamp()),
            "endTime": int(UNTIL.timestamp()),
            "queryString": QUERY,
        },
    )
    stub.add_response("get_query_results", {"status": "Scheduled", "results": []}, {"queryId": ANY})
    stub.add_response(
        "get_query_results",
        {
            "status": "Complete",
            "results": [[{"field": "is_cold", "value": "1"}, {"field": "init50", "value": "9"}]],
        },
        {"queryId": "q"},
    )
    with stub:
        found = reports(client, "/aws/lambda/shop-notify-main", SINCE, UNTIL)
    assert found == [{"is_cold": "1", "init50": "9"}]


def test_a_search_that_fails_is_told() -> None:
    client, stub = stubbed("logs")
    stub.add_response("start_query", {"queryId": "q"})
    stub.add_response("get_query_results", {"status": "Failed", "results": []})
    with stub, pytest.raises(MeasureError, match="the search of /aws/lambda/x ended as Failed"):
        reports(client, "/aws/lambda/x", SINCE, UNTIL)


def test_cold_and_warm_stand_below_each_other() -> None:
    said = table({"NotifyFunction": [WARM, COLD], "RollbackFunction": []})
    assert said.splitlines()[2:] == [
        "| NotifyFunction | cold | 12 | 231 | 301 | 1,205 | 1,800 | 62 | 512 |",
        "| NotifyFunction | warm | 1,840 |  |  | 45 |  | 63 | 512 |",
        "| RollbackFunction | not invoked | | | | | | | |",
    ]
