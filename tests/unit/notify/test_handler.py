"""notify as it is deployed, on SNS, SQS and DynamoDB as moto models them.

moto does not model what notify asks CodePipeline, so here nothing answers at its address: the
messages go out all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from notify import handler, wiring
from tests.unit.notify.samples import in_queue, sample


class Stack:
    """The resources that the template makes, and a mailbox subscribed to the topic."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs")
        sns, dynamodb = boto3.client("sns"), boto3.client("dynamodb")
        self.topic = sns.create_topic(Name="shop")["TopicArn"]
        self.mailbox = self.sqs.create_queue(QueueName="mailbox")["QueueUrl"]
        self.queue = self.sqs.create_queue(QueueName="shop-notify-main")["QueueUrl"]
        sns.subscribe(
            TopicArn=self.topic,
            Protocol="sqs",
            Endpoint="arn:aws:sqs:us-east-1:123456789012:mailbox",
        )
        dynamodb.create_table(
            TableName="ledger",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    def mails(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self._taken(self.mailbox)]

    def sent_back(self) -> list[dict[str, Any]]:
        return [json.loads(body) for body in self._taken(self.queue)]

    def _taken(self, url: str) -> list[str]:
        bodies: list[str] = []
        while True:
            found = self.sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=0
            ).get("Messages", [])
            if not found:
                return bodies
            for message in found:
                bodies.append(message["Body"])
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    handler._config.cache_clear()
    wiring._fittings.cache_clear()
    with mock_aws():
        made = Stack()
        monkeypatch.setenv("AWS_ENDPOINT_URL_CODEPIPELINE", "http://127.0.0.1:9")
        monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", made.topic)
        monkeypatch.setenv("LEDGER_TABLE_NAME", "ledger")
        monkeypatch.setenv("NOTIFY_QUEUE_URL", made.queue)
        monkeypatch.setenv("LONE_ACTION_WAIT_SECONDS", "0")
        monkeypatch.setenv("SILENT_API_WAIT_SECONDS", "0")
        yield made
    handler._config.cache_clear()
    wiring._fittings.cache_clear()


def handle(event: dict[str, Any]) -> dict[str, Any]:
    return handler.lambda_handler(event, None)


def test_tells_by_mail_that_an_approval_is_wanted(stack: Stack) -> None:
    assert handle(in_queue(sample("approval-requested"))) == {"batchItemFailures": []}
    (mail,) = stack.mails()
    assert mail["Subject"].startswith("[ACTION] Your approval is needed: shop-pipeline-main")
    assert "What to do next" in mail["Message"]
    assert "/executions/5b7c9d31-6a0e-4c1f-9d7a-2f8e41c0b6a3/" in mail["Message"]


def test_takes_an_event_that_comes_without_a_queue(stack: Stack) -> None:
    assert handle(sample("pipeline-succeeded")) == {}
    assert [mail["Subject"][:4] for mail in stack.mails()] == ["[OK]"]


def test_a_repeat_is_not_sent_again(stack: Stack) -> None:
    for _ in range(3):
        handle(in_queue(sample("approval-requested"), sample("approval-requested")))
    assert len(stack.mails()) == 1


def test_a_failed_action_goes_back_to_the_queue_once_and_is_then_told(stack: Stack) -> None:
    handle(in_queue(sample("build-action-failed")))
    assert stack.mails() == []
    (again,) = stack.sent_back()
    handle(in_queue(again))
    (mail,) = stack.mails()
    assert mail["Subject"] == "[FAILED] Build failed in shop-pipeline-main (us-east-1)"
    assert "python -m unittest" in mail["Message"]
    assert stack.sent_back() == []


def test_a_failed_run_is_one_mail_that_names_the_action(stack: Stack) -> None:
    handle(in_queue(sample("stage-failed"), sample("pipeline-failed")))
    handle(in_queue(sample("build-action-failed")))
    for _ in range(3):
        if back := stack.sent_back():
            handle(in_queue(*back))
    (mail,) = stack.mails()
    assert "Action: Build" in mail["Message"]
    assert "exit status 1" in mail["Message"]


def test_the_mail_says_what_a_success_recovered_from(stack: Stack) -> None:
    failed = sample("build-action-failed", execution_id="11111111-0000-4000-8000-000000000001")
    handle(in_queue({**failed, "trellis-deferred": "waited"}))
    handle(in_queue(sample("pipeline-succeeded")))
    assert "recovered after 1 failure" in stack.mails()[-1]["Message"]
    later = sample("pipeline-succeeded", execution_id="11111111-0000-4000-8000-000000000002")
    handle(in_queue({**later, "time": "2026-11-25T09:00:00Z"}))
    assert "recovered" not in stack.mails()[-1]["Message"]


def test_one_message_that_nobody_can_read_harms_no_other(stack: Stack) -> None:
    answer = handle(in_queue("no JSON at all", sample("pipeline-succeeded"), {"source": "x"}))
    assert answer == {"batchItemFailures": []}
    assert len(stack.mails()) == 1


def test_only_what_was_not_delivered_comes_again(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", "arn:aws:sns:us-east-1:123456789012:gone")
    handler._config.cache_clear()
    wiring._fittings.cache_clear()
    answer = handle(in_queue(sample("stage-started"), sample("approval-requested")))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    monkeypatch.setenv("NOTIFICATION_TOPIC_ARN", stack.topic)
    handler._config.cache_clear()
    wiring._fittings.cache_clear()
    handle(in_queue(sample("approval-requested"), received=2))
    (mail,) = stack.mails()
    assert "may repeat" not in mail["Message"]


def test_a_dry_run_shows_what_would_be_sent_and_touches_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    handler._config.cache_clear()
    monkeypatch.setenv("DRY_RUN", "true")
    found = handle(sample("approval-requested"))
    assert found["outcome"] == "rendered"
    assert found["would_send"][0] == "email"
    assert found["renderings"]["email"]["subject"].startswith("[ACTION]")
    batch = handle(in_queue(sample("pipeline-started"), "no JSON"))
    assert [item["outcome"] for item in batch["items"]] == ["rendered", "unrecognised"]
    handler._config.cache_clear()
