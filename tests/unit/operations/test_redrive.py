"""Dead letters go back to the queue with their reason named, on SQS as moto models it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from operations.redrive import Queues, described, main, redrive
from tests.unit.notify.samples import sample

TEMPLATE: dict[str, Any] = {
    "Resources": {
        "Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "notify"}},
        "Grave": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "dead"}},
    },
    "Outputs": {
        "NotifyQueueUrl": {"Value": {"Ref": "Queue"}},
        "NotifyDeadLetterQueueUrl": {"Value": {"Ref": "Grave"}},
    },
}


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        boto3.client("cloudformation").create_stack(
            StackName="shop", TemplateBody=json.dumps(TEMPLATE)
        )
        yield boto3.client("sqs")


def bury(sqs: Any, body: str, code: str = "DeliveryError", reason: str = "slack said 500") -> None:
    sqs.send_message(
        QueueUrl=sqs.get_queue_url(QueueName="dead")["QueueUrl"],
        MessageBody=body,
        MessageAttributes={
            "ERROR_CODE": {"DataType": "String", "StringValue": code},
            "ERROR_MESSAGE": {"DataType": "String", "StringValue": reason},
        },
    )


def bodies(sqs: Any, name: str) -> list[str]:
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found = []
    while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in batch]
    return found


def queues(sqs: Any) -> Queues:
    return Queues(*(sqs.get_queue_url(QueueName=name)["QueueUrl"] for name in ("notify", "dead")))


def test_sends_every_dead_letter_back_unchanged_and_says_why_it_died(
    sqs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [json.dumps(sample("stage-failed", stage=f"Stage{number}")) for number in range(23)]
    for event in events:
        bury(sqs, event)
    assert main(["shop"]) == 0
    assert sorted(bodies(sqs, "notify")) == sorted(events)
    assert bodies(sqs, "dead") == []
    said = capsys.readouterr().out
    assert "Stage7, FAILED | DeliveryError: slack said 500" in said
    assert said.endswith("23 dead letters sent back\n")


def test_shows_them_and_leaves_them_for_the_redrive_that_follows(
    sqs: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    events = [json.dumps(sample("stage-failed", stage=f"Stage{number}")) for number in range(12)]
    for event in events:
        bury(sqs, event)
    assert main(["shop", "--show"]) == 0
    assert capsys.readouterr().out.endswith("12 dead letters found\n")
    assert bodies(sqs, "notify") == []
    assert main(["shop"]) == 0
    assert capsys.readouterr().out.endswith("12 dead letters sent back\n")
    assert sorted(bodies(sqs, "notify")) == sorted(events)


def test_leaves_what_died_meanwhile_in_sight(sqs: Any) -> None:
    bury(sqs, "{}")
    assert list(redrive(sqs, queues(sqs), before=0, is_show=False)) == []
    assert bodies(sqs, "dead") == ["{}"]


def test_asks_all_servers_of_the_queue_before_it_ends(sqs: Any) -> None:
    """A short poll asks a sample of them, and may find nothing in a queue that is not empty."""
    waits: list[int] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        waits.append(params["WaitTimeSeconds"])

    sqs.meta.events.register("provide-client-params.sqs.ReceiveMessage", note)
    assert list(redrive(sqs, queues(sqs), before=time.time(), is_show=False)) == []
    assert len(waits) == 1
    assert min(waits) >= 1


def test_has_nothing_to_do_where_nothing_died(sqs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shop"]) == 0
    assert capsys.readouterr().out == "0 dead letters sent back\n"


def test_names_a_stack_that_is_not_there(sqs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["shop-eu"]) == 2
    assert "there is no stack shop-eu here" in capsys.readouterr().err


def test_names_a_stack_that_is_not_ours(sqs: Any, capsys: pytest.CaptureFixture[str]) -> None:
    other = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    boto3.client("cloudformation").create_stack(StackName="other", TemplateBody=json.dumps(other))
    assert main(["other"]) == 2
    assert "has no output 'NotifyQueueUrl'" in capsys.readouterr().err


def test_asks_for_a_name_where_none_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["", "--region", "us-east-1"]) == 2
    assert "no stack is named: add STACK=name" in capsys.readouterr().err


def test_says_in_one_sentence_that_there_are_no_credentials(
    bare: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shop", "--region", "us-east-1"]) == 1
    said = capsys.readouterr().err
    assert said == "there are no AWS credentials: run `aws configure`, or set AWS_PROFILE\n"


def test_says_in_one_sentence_that_no_region_is_set(
    bare: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shop"]) == 1
    said = capsys.readouterr().err
    assert said == "no Region is set: add REGION=name, like REGION=us-east-1\n"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("hello", "a text of 5 characters"),
        ("[1]", "a JSON list"),
        ("{}", "an object"),
        ('{"Type": "Notification"}', "Notification"),
        ('{"detail-type": "X", "detail": 7}', "X"),
    ],
)
def test_describes_whatever_died(body: str, what: str) -> None:
    assert described({"Body": body}) == f"{what} | no reason was left: the queue gave up on it"
