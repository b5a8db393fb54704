"""The control API on the running sandbox: health, faults of events, refusing targets."""

from __future__ import annotations

import json
import ssl
import urllib.request
from typing import Any

import pytest

from tests.sandbox.behaviours.conftest import Local, let_in, policy
from tests.sandbox.behaviours.test_eventbridge import EVENTS, attributes, put, rule

pytestmark = pytest.mark.sandbox


def ask(local: Local, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(  # noqa: S310  # the sandbox's own address
        f"{local.server.endpoint}/_sandbox/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
    )
    trusted = ssl.create_default_context(cafile=str(local.server.authority))
    with urllib.request.urlopen(request, context=trusted) as answer:  # noqa: S310  # loopback
        return json.load(answer)


def test_health(local: Local) -> None:
    assert ask(local, "GET", "health") == {"status": "ok"}


def uploads(local: Local) -> tuple[str, str]:
    """A queue that hears of uploads, and the bucket to upload to."""
    queue = local.queue("uploads", policy(let_in(EVENTS, "sqs:SendMessage")))
    events, s3, bucket = local.client("events"), local.client("s3"), f"up-{local.account}"
    events.put_rule(Name="uploads", EventPattern=json.dumps({"source": ["aws.s3"]}))
    events.put_targets(Rule="uploads", Targets=[{"Id": "t", "Arn": queue}])
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    return queue, bucket


def test_events_are_dropped_doubled_and_let_through_by_pattern(local: Local) -> None:
    queue, bucket = uploads(local)
    s3 = local.client("s3")
    ours = {"detail": {"bucket": {"name": [bucket]}}}
    try:
        ask(local, "PUT", "faults", {"seed": 1, "drop": 1.0, "pattern": ours})
        s3.put_object(Bucket=bucket, Key="lost", Body=b"1")
        assert local.messages(queue, seconds=1.5) == []
        assert ask(local, "GET", "faults")["dropped"] == 1
        ask(local, "PUT", "faults", {"seed": 1, "copies": 3, "reorder": 0.5, "pattern": ours})
        s3.put_object(Bucket=bucket, Key="thrice", Body=b"1")
        bodies = [json.loads(one["Body"]) for one in local.messages(queue, count=3)]
        assert len(bodies) == 3
        assert len({body["id"] for body in bodies}) == 1
        # A Region's own switch comes first, and another Region's concerns nobody here.
        ask(local, "PUT", f"{local.region}/faults", {"drop": 1.0, "pattern": ours})
        ask(local, "DELETE", "us-west-2/faults")
        s3.put_object(Bucket=bucket, Key="lost-again", Body=b"1")
        assert local.messages(queue, seconds=1.5) == []
    finally:
        ask(local, "DELETE", "faults")
        assert ask(local, "DELETE", f"{local.region}/faults")["dropped"] == 1
    s3.put_object(Bucket=bucket, Key="once", Body=b"1")
    assert len(local.messages(queue, count=2, seconds=2)) == 1


def test_a_target_that_is_told_to_fail_is_retried_and_then_buried(local: Local) -> None:
    queue = local.queue("weak", policy(let_in(EVENTS, "sqs:SendMessage")))
    dead = local.queue("dead", policy(let_in(EVENTS, "sqs:SendMessage")))
    retries = {"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 60}
    rule(local, "weak", queue, RetryPolicy=retries, DeadLetterConfig={"Arn": dead})
    ask(local, "PUT", "refusals", {"target": queue, "times": 1})
    put(local, "weak", n=1)
    assert len(local.messages(queue)) == 1
    ask(local, "PUT", "refusals", {"target": queue, "times": 9, "code": "TIMEOUT"})
    put(local, "weak", n=2)
    found = attributes(local.messages(dead)[0])
    assert (found["ERROR_CODE"], found["RETRY_ATTEMPTS"]) == ("TIMEOUT", "2")
    assert found["EXHAUSTED_RETRY_CONDITION"] == "MaximumRetryAttempts"
    assert local.metric("AWS/Events", "RetryInvocationAttempts", RuleName="weak") == 3


def test_the_link_of_a_confirmation_email_works_without_credentials(local: Local) -> None:
    sns = local.client("sns")
    arn = sns.create_topic(Name="linked")["TopicArn"]
    sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="a@example.com")
    mails = ask(local, "GET", "inbox")["mails"]
    [question] = [mail for mail in mails if mail["topic"] == arn]
    path = question["link"].partition("/_sandbox/")[2]
    assert ask(local, "GET", path) == {"confirmed": arn}
    attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert attributes["SubscriptionsConfirmed"] == "1"
