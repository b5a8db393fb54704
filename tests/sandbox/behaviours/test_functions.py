"""Functions run as their role: credentials, logs that the role may write, queues that feed them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.behaviours.conftest import Local, allow, eventually, policy

pytestmark = pytest.mark.sandbox

WHO = """
import boto3
def handler(event, context):
    print("asked by", event["name"])
    return boto3.client("sts").get_caller_identity()["Arn"]
"""


def invoke(local: Local, name: str, event: Any) -> Any:
    answer = local.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event))
    return json.loads(answer["Payload"].read())


def logged(local: Local, group: str) -> list[str]:
    try:
        found = local.client("logs").filter_log_events(logGroupName=group)["events"]
    except local.client("logs").exceptions.ResourceNotFoundException:
        return []
    return [event["message"] for event in found]


def test_a_function_is_its_role_over_https(local: Local) -> None:
    role = local.role("who", "lambda.amazonaws.com", allow("logs:*"))
    local.function("who", WHO, role)
    arn = invoke(local, "who", {"name": "test"})
    assert arn == f"arn:aws:sts::{local.account}:assumed-role/who/who"
    lines = logged(local, "/aws/lambda/who")
    assert lines[0].startswith("START RequestId: ")
    assert lines[1] == "asked by test"
    assert lines[2].startswith("END RequestId: ")
    assert "Max Memory Used: " in lines[3]


def test_a_role_that_may_not_log_logs_nothing_and_works(local: Local) -> None:
    local.function("mute", WHO, local.role("mute", "lambda.amazonaws.com"))
    assert invoke(local, "mute", {"name": "x"}).endswith("mute/mute")
    assert logged(local, "/aws/lambda/mute") == []


def test_a_role_that_logs_only_into_its_group_cannot_make_it(local: Local) -> None:
    group = local.arn("logs", "log-group:/ours/app")
    statement = allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"{group}:*")
    role = local.role("ours", "lambda.amazonaws.com", statement)
    local.function("ours", WHO, role, LoggingConfig={"LogGroup": "/ours/app", "LogFormat": "JSON"})
    invoke(local, "ours", {"name": "1"})
    assert logged(local, "/ours/app") == []
    local.client("logs").create_log_group(logGroupName="/ours/app")
    invoke(local, "ours", {"name": "2"})
    assert "asked by 2" in logged(local, "/ours/app")


def test_a_role_that_does_not_trust_lambda_is_refused(local: Local) -> None:
    role = local.role("wrong", "codebuild.amazonaws.com")
    with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
        local.function("wrong", WHO, role)


FLAKY = """
import os
def handler(event, context):
    print("batch", len(event["Records"]))
    bad = [record["messageId"] for record in event["Records"] if record["body"] == "bad"]
    return {"batchItemFailures": [{"itemIdentifier": one} for one in bad]}
"""


def mapping(local: Local, queue: str, **options: Any) -> None:
    local.client("lambda").create_event_source_mapping(
        EventSourceArn=queue,
        FunctionName="fed",
        FunctionResponseTypes=["ReportBatchItemFailures"],
        **options,
    )


def fed(local: Local, *statements: dict[str, Any], code: str = FLAKY) -> None:
    role = local.role("fed", "lambda.amazonaws.com", allow("logs:*"), *statements)
    local.function("fed", code, role, Timeout=5)


def send(local: Local, queue: str, *bodies: str) -> None:
    sqs = local.client("sqs")
    url = sqs.get_queue_url(QueueName=queue.rpartition(":")[2])["QueueUrl"]
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)


READ = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]


def test_a_bad_message_of_a_batch_comes_back_alone_and_ends_in_the_dead_letter_queue(
    local: Local,
) -> None:
    dead = local.queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead, "maxReceiveCount": 2})
    queue = local.queue("work", VisibilityTimeout="1", RedrivePolicy=redrive)
    fed(local, allow(READ, queue))
    mapping(local, queue, BatchSize=10)
    send(local, queue, "good", "bad", "good")
    [letter] = local.messages(dead, seconds=15)
    assert letter["Body"] == "bad"
    assert local.metric("AWS/Lambda", "Errors", FunctionName="fed") == 0


def test_a_mapping_waits_its_batching_window(local: Local) -> None:
    queue = local.queue("work")
    fed(local, allow(READ, queue))
    mapping(local, queue, BatchSize=10, MaximumBatchingWindowInSeconds=2)
    send(local, queue, *(f"good {number}" for number in range(5)))
    assert eventually(lambda: any("batch" in line for line in logged(local, "/aws/lambda/fed")))
    assert [line for line in logged(local, "/aws/lambda/fed") if "batch" in line] == ["batch 5"]


@pytest.mark.parametrize("missing", ["sqs:ReceiveMessage", "sqs:DeleteMessage"])
def test_a_role_that_may_not_read_the_queue_cannot_be_mapped(local: Local, missing: str) -> None:
    queue = local.queue("work")
    fed(local, allow([action for action in READ if action != missing], queue))
    with pytest.raises(ClientError, match=missing.removeprefix("sqs:")):
        mapping(local, queue)


def test_a_role_that_loses_the_queue_gets_nothing_more(local: Local) -> None:
    queue = local.queue("work", policy())
    fed(local, allow(READ, queue))
    mapping(local, queue)
    local.client("iam").delete_role_policy(RoleName="fed", PolicyName="all")
    send(local, queue, "good")
    assert [one["Body"] for one in local.messages(queue, seconds=3)] == ["good"]
