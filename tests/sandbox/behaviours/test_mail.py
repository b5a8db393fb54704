"""E-mail subscriptions wait for their confirmation, and every message becomes a file."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.behaviours.conftest import Local, eventually

pytestmark = pytest.mark.sandbox


def mails(local: Local, topic: str) -> list[dict[str, Any]]:
    folder = local.server.state / "inbox"
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return [mail for mail in found if mail["topic"] == topic]


def topic(local: Local, name: str = "releases") -> str:
    arn: str = local.client("sns").create_topic(Name=name)["TopicArn"]
    return arn


def confirm(local: Local, arn: str) -> str:
    [*_, question] = [mail for mail in mails(local, arn) if mail["kind"] == "confirmation"]
    confirmed: str = local.client("sns").confirm_subscription(
        TopicArn=arn, Token=question["token"]
    )["SubscriptionArn"]
    return confirmed


def test_a_subscription_is_pending_until_its_token_is_confirmed(local: Local) -> None:
    sns, arn = local.client("sns"), topic(local)
    answer = sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="a@example.com")
    assert answer["SubscriptionArn"] == "pending confirmation"
    [listed] = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert listed["SubscriptionArn"] == "PendingConfirmation"
    sns.publish(TopicArn=arn, Message="too early")
    subscription = confirm(local, arn)
    [listed] = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
    assert listed["SubscriptionArn"] == subscription
    attributes = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert attributes["PendingConfirmation"] == "false"
    sns.publish(TopicArn=arn, Subject="Prod serves v1", Message="It is well.")
    [mail] = [one for one in mails(local, arn) if one["kind"] == "notification"]
    assert (mail["to"], mail["subject"]) == ("a@example.com", "Prod serves v1")
    assert mail["body"].startswith("It is well.\n\n--\n")
    assert mail["region"] == "us-east-1"


def test_a_wrong_token_confirms_nothing(local: Local) -> None:
    sns, arn = local.client("sns"), topic(local)
    sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="a@example.com")
    with pytest.raises(ClientError, match="Invalid token"):
        sns.confirm_subscription(TopicArn=arn, Token="made up")


def test_a_reader_gets_the_email_body_and_only_what_the_filter_lets_through(local: Local) -> None:
    sns, arn = local.client("sns"), topic(local)
    sns.subscribe(
        TopicArn=arn,
        Protocol="email",
        Endpoint="a@example.com",
        Attributes={"FilterPolicy": json.dumps({"severity": ["high"]})},
    )
    confirm(local, arn)
    for severity in ("low", "high"):
        sns.publish(
            TopicArn=arn,
            MessageStructure="json",
            Message=json.dumps({"default": "short", "email": f"long {severity}"}),
            MessageAttributes={"severity": {"DataType": "String", "StringValue": severity}},
        )
    bodies = [one["body"] for one in mails(local, arn) if one["kind"] == "notification"]
    assert len(bodies) == 1
    assert bodies[0].startswith("long high\n")


@pytest.mark.parametrize(
    "message", [{"Subject": "x" * 100}, {"Subject": "a\nb"}, {"MessageStructure": "json"}]
)
def test_publish_refuses_with_invalid_parameter(local: Local, message: dict[str, str]) -> None:
    with pytest.raises(ClientError) as refused:
        local.client("sns").publish(TopicArn=topic(local), **{"Message": "x", **message})
    assert refused.value.response["Error"]["Code"] == "InvalidParameter"


def test_a_burst_deactivates_the_subscription(local: Local) -> None:
    sns, arn = local.client("sns"), topic(local)
    sns.subscribe(TopicArn=arn, Protocol="email", Endpoint="a@example.com")
    subscription = confirm(local, arn)
    for number in range(12):
        sns.publish(TopicArn=arn, Message=f"number {number}")
    lines = (local.server.state / "inbox" / "deactivated.jsonl").read_text().splitlines()
    assert [json.loads(line)["topic"] for line in lines].count(arn) == 1
    attributes = sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]
    assert attributes["PendingConfirmation"] == "true"
    assert len([one for one in mails(local, arn) if one["kind"] == "notification"]) == 10


TEMPLATE = {
    "Resources": {
        "Inline": {
            "Type": "AWS::SNS::Topic",
            "Properties": {
                "TopicName": "inline",
                "KmsMasterKeyId": "alias/aws/sns",
                "Subscription": [{"Protocol": "email", "Endpoint": "inline@example.com"}],
            },
        },
        "Apart": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "apart"}},
        "Subscription": {
            "Type": "AWS::SNS::Subscription",
            "Properties": {
                "TopicArn": {"Ref": "Apart"},
                "Protocol": "email",
                "Endpoint": "apart@example.com",
            },
        },
    }
}


def test_subscriptions_that_cloudformation_makes_wait_for_confirmation_too(local: Local) -> None:
    stacks, sns = local.client("cloudformation"), local.client("sns")
    stacks.create_stack(StackName="mail", TemplateBody=json.dumps(TEMPLATE))
    stacks.get_waiter("stack_create_complete").wait(
        StackName="mail", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    for name in ("inline", "apart"):
        arn = local.arn("sns", name)
        [listed] = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
        assert listed["SubscriptionArn"] == "PendingConfirmation"
        [question] = eventually(partial(mails, local, arn))
        assert question["to"] == f"{name}@example.com"
        confirm(local, arn)
    attributes = sns.get_topic_attributes(TopicArn=local.arn("sns", "inline"))["Attributes"]
    assert attributes["KmsMasterKeyId"] == "alias/aws/sns"
    assert attributes["SubscriptionsConfirmed"] == "1"
    assert "aws:sourceowner" in attributes["Policy"].lower()
