"""The way of a message: rules, queues, functions, alarms, topic, and one that travels it."""

from __future__ import annotations

import json
import time
import uuid
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.live.conftest import Live

PATIENCE = 120.0
"""Seconds that one message may take from the bus to the topic."""


def queue_attributes(live: Live, output: str) -> dict[str, Any]:
    found: dict[str, Any] = live.client("sqs").get_queue_attributes(
        QueueUrl=live.outputs[output], AttributeNames=["All"]
    )["Attributes"]
    return found


def test_every_rule_is_on_with_retry_and_dead_letters(live: Live) -> None:
    events = live.client("events")
    rules = live.outputs["EventRuleNames"].split(",")
    if live.outputs["StartRuleName"] != "-":
        rules.append(live.outputs["StartRuleName"])
    assert len(rules) >= 8
    for name in rules:
        assert events.describe_rule(Name=name)["State"] == "ENABLED", name
        targets = events.list_targets_by_rule(Rule=name)["Targets"]
        assert targets, name
        for target in targets:
            assert target["RetryPolicy"]["MaximumRetryAttempts"] > 0, name
            assert target["DeadLetterConfig"]["Arn"].startswith("arn:"), name


@pytest.mark.parametrize(
    "output", ["NotifyQueueUrl", "NotifyDeadLetterQueueUrl", "EmailDeadLetterQueueUrl"]
)
def test_queues_are_encrypted_and_refuse_plain_http(live: Live, output: str) -> None:
    attributes = queue_attributes(live, output)
    assert attributes["SqsManagedSseEnabled"] == "true"
    denied = [
        statement
        for statement in json.loads(attributes["Policy"])["Statement"]
        if statement["Effect"] == "Deny"
    ]
    assert denied[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_notify_queue_gives_up_into_its_dead_letter_queue(live: Live) -> None:
    redrive = json.loads(queue_attributes(live, "NotifyQueueUrl")["RedrivePolicy"])
    assert (
        redrive["deadLetterTargetArn"]
        == (queue_attributes(live, "NotifyDeadLetterQueueUrl")["QueueArn"])
    )
    assert int(redrive["maxReceiveCount"]) >= 5


def test_notify_is_fed_by_its_queue_a_message_at_a_time(live: Live) -> None:
    functions = live.client("lambda")
    mappings = functions.list_event_source_mappings(FunctionName=live.outputs["NotifyFunctionArn"])[
        "EventSourceMappings"
    ]
    [mapping] = mappings
    assert mapping["State"] in {"Enabled", "Creating", "Updating"}
    assert mapping["EventSourceArn"] == queue_attributes(live, "NotifyQueueUrl")["QueueArn"]
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] == 2


@pytest.mark.parametrize("output", ["NotifyFunctionArn", "RollbackFunctionArn"])
def test_functions_are_encrypted_traced_and_lose_nothing(live: Live, output: str) -> None:
    described = live.client("lambda").get_function_configuration(
        FunctionName=_unqualified(live.outputs[output])
    )
    assert described["Runtime"] == "python3.13"
    assert described["KMSKeyArn"] == live.outputs["KmsKeyArn"]
    assert described["TracingConfig"]["Mode"] == "Active"
    assert "dead-letters" in described["DeadLetterConfig"]["TargetArn"]


def test_the_topic_is_encrypted_with_the_key(live: Live) -> None:
    attributes = live.client("sns").get_topic_attributes(
        TopicArn=live.outputs["NotificationTopicArn"]
    )["Attributes"]
    key = live.client("kms").describe_key(KeyId=attributes["KmsMasterKeyId"])["KeyMetadata"]
    assert key["Arn"] == live.outputs["KmsKeyArn"]


def test_somebody_gets_the_mail(live: Live) -> None:
    """A subscription that nobody confirmed yet is told of, not failed: only its owner can."""
    address = live.parameters["NotificationEmail"]
    subscriptions = {
        found["Endpoint"]: found["SubscriptionArn"]
        for found in live.client("sns").list_subscriptions_by_topic(
            TopicArn=live.outputs["NotificationTopicArn"]
        )["Subscriptions"]
    }
    assert address in subscriptions
    assert subscriptions[address] != "Deleted", f"{address} has unsubscribed"
    if subscriptions[address] == "PendingConfirmation":
        warnings.warn(f"{address} has not confirmed: no mail is delivered yet", stacklevel=1)


def test_alarms_go_straight_to_the_topic(live: Live) -> None:
    prefix = f"{live.parameters['ProjectName']}-"
    suffix = f"-{live.parameters['EnvironmentSuffix']}"
    pages = (
        live.client("cloudwatch")
        .get_paginator("describe_alarms")
        .paginate(AlarmNamePrefix=prefix, AlarmTypes=["MetricAlarm"])
    )
    alarms = [
        alarm
        for page in pages
        for alarm in page["MetricAlarms"]
        if alarm["AlarmName"].endswith(suffix)
    ]
    assert len(alarms) >= 13
    for alarm in alarms:
        assert alarm["ActionsEnabled"] is True, alarm["AlarmName"]
        assert alarm["AlarmActions"] == [live.outputs["NotificationTopicArn"]], alarm["AlarmName"]


def test_the_dashboard_is_there(live: Live) -> None:
    name = live.outputs["DashboardUrl"].rsplit("/", 1)[1]
    body = json.loads(live.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"])
    assert len(body["widgets"]) >= 9


def test_an_own_event_travels_to_the_topic_and_into_the_ledger(live: Live) -> None:
    """Rule, queue, notify, ledger, topic; whoever reads the mail is told that it is a test."""
    watch = f"live-test-{uuid.uuid4()}"
    execution = str(uuid.uuid4())
    listening = _listen(live, watch)
    try:
        answer = live.client("events").put_events(
            Entries=[
                {
                    "Source": "trellis",
                    "DetailType": "Trellis Rollback State Change",
                    "Time": datetime.now(UTC),
                    "Resources": [],
                    "Detail": json.dumps(
                        {
                            "schema-version": "1.0",
                            "watch-id": watch,
                            "state": "REFUSED",
                            "pipeline": live.outputs["PipelineName"],
                            "stage": "DeployToDev",
                            "action": "Deploy",
                            "execution-id": execution,
                            "action-execution-id": str(uuid.uuid4()),
                            "environment": live.outputs["DevEnvironmentName"],
                            "mode": "observe",
                            "reason": f"This is a test of the way of messages ({watch}); "
                            "nothing happened and nothing is to be done.",
                        }
                    ),
                }
            ]
        )
        assert answer["FailedEntryCount"] == 0
        told = _eventually(lambda: _heard(live, listening["queue"], watch), "a message")
        assert live.outputs["DevEnvironmentName"] in told
        _eventually(lambda: _written_down(live, execution), "an item in the ledger")
    finally:
        live.client("sns").unsubscribe(SubscriptionArn=listening["subscription"])
        live.client("sqs").delete_queue(QueueUrl=listening["queue"])


def _listen(live: Live, name: str) -> dict[str, str]:
    """A queue that gets what the topic gets."""
    sqs, topic = live.client("sqs"), live.outputs["NotificationTopicArn"]
    arn = live.arn("sqs", name)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
            }
        ],
    }
    queue = sqs.create_queue(QueueName=name, Attributes={"Policy": json.dumps(policy)})["QueueUrl"]
    subscription = live.client("sns").subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=arn,
        ReturnSubscriptionArn=True,
        Attributes={"RawMessageDelivery": "true"},
    )["SubscriptionArn"]
    return {"queue": queue, "subscription": subscription}


def _heard(live: Live, queue: str, watch: str) -> str:
    messages = live.client("sqs").receive_message(
        QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=2
    )
    return next(
        (message["Body"] for message in messages.get("Messages", []) if watch in message["Body"]),
        "",
    )


def _written_down(live: Live, execution: str) -> bool:
    """Whether the ledger holds anything about a release."""
    answer = live.client("dynamodb").query(
        TableName=live.outputs["LedgerTableName"],
        KeyConditionExpression="pk = :release",
        ExpressionAttributeValues={
            ":release": {"S": f"release#{live.outputs['PipelineName']}#{execution}"}
        },
        ConsistentRead=True,
    )
    return bool(answer["Items"])


def _eventually[T](look: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.5)
    pytest.fail(f"{what} did not come within {PATIENCE:.0f} seconds")


def _unqualified(arn: str) -> str:
    return ":".join(arn.split(":")[:7])
