from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tagging_audit.command import (
    Audit,
    CommandError,
    Created,
    GoOn,
    LookAgain,
    Nothing,
    TagChange,
    Trigger,
    command_in,
    parcels_in,
)
from tagging_audit.creation import created_arns
from tagging_audit.scope import RemedyMode, ScopeKind


@pytest.mark.parametrize(
    ("content", "command"),
    [
        ({}, Audit(trigger=Trigger.MANUAL)),
        (
            {"scope": "account", "regions": ["us-east-1", "us-west-2"], "remedy": "dry-run"},
            Audit(
                trigger=Trigger.MANUAL,
                scope=ScopeKind.ACCOUNT,
                regions=("us-east-1", "us-west-2"),
                remedy=RemedyMode.DRY_RUN,
            ),
        ),
        (
            {"source": "aws.events", "detail-type": "Scheduled Event"},
            Audit(trigger=Trigger.SCHEDULE),
        ),
        (
            {
                "source": "aws.codepipeline",
                "detail-type": "CodePipeline Pipeline Execution State Change",
                "detail": {"state": "SUCCEEDED"},
            },
            Audit(trigger=Trigger.RELEASE),
        ),
        (
            {
                "source": "aws.codepipeline",
                "detail-type": "CodePipeline Pipeline Execution State Change",
                "detail": {"state": "SUPERSEDED"},
            },
            Nothing("a release that is SUPERSEDED has not ended"),
        ),
        ({"trellis-audit": {"continue": "a-1"}}, GoOn("a-1")),
        ({"trellis-audit": {"look-again": "stack"}}, LookAgain()),
    ],
)
def test_a_message_says_what_it_asks_for(content: dict[str, Any], command: Any) -> None:
    assert command_in(content) == command


CHANGE: dict[str, Any] = {
    "source": "aws.tag",
    "detail-type": "Tag Change on Resource",
    "time": "2026-11-24T09:00:00Z",
    "resources": ["arn:aws:sqs:us-east-1:1:q"],
    "detail": {"changed-tag-keys": ["a", "b"], "version": 5.0, "tags": {"a": "1"}},
}


def test_a_tag_change_carries_all_that_is_needed() -> None:
    assert command_in(CHANGE) == TagChange(
        arn="arn:aws:sqs:us-east-1:1:q",
        tags={"a": "1"},
        changed=("a", "b"),
        version=5,
        at=datetime(2026, 11, 24, 9, tzinfo=UTC),
    )
    no_version = {**CHANGE, "detail": {"changed-tag-keys": [], "tags": {}}, "time": None}
    found = command_in(no_version)
    assert isinstance(found, TagChange)
    assert (found.version, found.at.year) == (0, 1)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("text", "a message is str, not an object: 'text'"),
        ([1], r"a message is list, not an object: \[1\]"),
        ({"regions": "us-east-1"}, r"regions is 'us-east-1': write a list, like \[\"us-east-1\"\]"),
        ({"remedy": "yes"}, "remedy is 'yes': write off or dry-run or on"),
        ({"scope": "arns"}, "scope is 'arns': write stack or account"),
        ({"scop": "stack"}, "unknown part 'scop': did you mean scope?"),
        ({"colour": 1}, "unknown part 'colour': known are scope, regions, remedy"),
        ({"trellis-audit": {}}, "it is this function's own, leave it out"),
        (
            {"source": "aws.ec2", "detail-type": "EC2 Instance State-change Notification"},
            "an event 'EC2 Instance State-change Notification' of 'aws.ec2' asks for nothing",
        ),
        ({**CHANGE, "resources": []}, "a tag change names no resource"),
        ({**CHANGE, "detail": {}}, "a tag change of arn:aws:sqs:us-east-1:1:q has no tags or no"),
    ],
)
def test_what_nobody_understands_is_named_with_its_mend(content: Any, problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        command_in(content)


def test_messages_come_by_the_queue_or_alone() -> None:
    assert [one.message_id for one in parcels_in({"scope": "stack"})] == [None]
    batch = {"Records": [{"messageId": "1", "body": "{}"}, {"messageId": "2", "body": "no JSON"}]}
    assert [(one.message_id, one.content) for one in parcels_in(batch)] == [
        ("1", {}),
        ("2", "no JSON"),
    ]


def call(name: str, source: str, asked: Any, answered: Any, **more: Any) -> dict[str, Any]:
    return {
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "recipientAccountId": "123456789012",
        "requestParameters": asked,
        "responseElements": answered,
        **more,
    }


HERE = "us-east-1:123456789012"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1"
GROUP = f"arn:aws:elasticloadbalancing:{HERE}:targetgroup/g/1"
SECRET = f"arn:aws:secretsmanager:{HERE}:secret:s-AbCdEf"
TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/t"


@pytest.mark.parametrize(
    ("detail", "arns"),
    [
        (call("CreateBucket", "s3", {"bucketName": "b"}, None), ("arn:aws:s3:::b",)),
        (
            call("CreateLogGroup", "logs", {"logGroupName": "/a"}, None),
            ("arn:aws:logs:us-east-1:123456789012:log-group:/a",),
        ),
        (
            call("CreateQueue", "sqs", {}, {"queueUrl": "https://sqs/123456789012/q"}),
            ("arn:aws:sqs:us-east-1:123456789012:q",),
        ),
        (
            call(
                "CreateTable",
                "dynamodb",
                {"sSESpecification": {"kMSMasterKeyId": KEY}},
                {
                    "tableDescription": {
                        "tableArn": TABLE,
                        "latestStreamArn": f"{TABLE}/stream/1",
                        "sSEDescription": {"kMSMasterKeyArn": KEY},
                    }
                },
            ),
            (TABLE,),
        ),
        (
            call(
                "RunInstances",
                "ec2",
                {},
                {"instancesSet": {"items": [{"instanceId": "i-1"}, {"instanceId": "i-2"}]}},
            ),
            (
                "arn:aws:ec2:us-east-1:123456789012:instance/i-1",
                "arn:aws:ec2:us-east-1:123456789012:instance/i-2",
            ),
        ),
        (call("CreateKey", "kms", {}, {"keyMetadata": {"arn": KEY}}), (KEY,)),
        (
            call(
                "CreatePipeline",
                "codepipeline",
                {"pipeline": {"name": "p", "stages": [{"name": "Source"}]}},
                {"pipeline": {"name": "p", "roleArn": "arn:aws:iam::123456789012:role/x"}},
            ),
            (f"arn:aws:codepipeline:{HERE}:p",),
        ),
        (
            call(
                "CreateEventSourceMapping20150331",
                "lambda",
                {},
                {"uUID": "1-2", "functionArn": f"arn:aws:lambda:{HERE}:function:f"},
            ),
            (f"arn:aws:lambda:{HERE}:event-source-mapping:1-2",),
        ),
        (
            call(
                "CreateFunction20150331",
                "lambda",
                {},
                {
                    "functionArn": f"arn:aws:lambda:{HERE}:function:longer",
                    "layers": [{"arn": f"arn:aws:lambda:{HERE}:layer:l:1"}],
                },
            ),
            (f"arn:aws:lambda:{HERE}:function:longer",),
        ),
        (
            call("CreateSecurityGroup", "ec2", {"vpcId": "vpc-1"}, {"groupId": "sg-1"}),
            (f"arn:aws:ec2:{HERE}:security-group/sg-1",),
        ),
        (
            call(
                "CreateLaunchTemplate",
                "ec2",
                {},
                {"CreateLaunchTemplateResponse": {"launchTemplate": {"launchTemplateId": "lt-1"}}},
            ),
            (f"arn:aws:ec2:{HERE}:launch-template/lt-1",),
        ),
        (
            call("CreateSecret", "secretsmanager", {}, {"aRN": SECRET, "name": "s"}),
            (SECRET,),
        ),
        (
            call(
                "CreateTargetGroup",
                "elasticloadbalancing",
                {},
                {"targetGroups": [{"targetGroupArn": GROUP, "loadBalancerArns": []}]},
            ),
            (GROUP,),
        ),
        (call("CreateLoadBalancer", "elasticloadbalancing", {}, {"dNSName": "classic"}), ()),
        (call("CreateSnapshot", "ec2", {}, {"snapshotId": "snap-1", "volumeId": "vol-1"}), ()),
        (call("CreateGrant", "kms", {"keyId": KEY}, {"keyId": KEY}), ()),
        (call("CreateLogStream", "logs", {"logGroupName": "/a"}, None), ()),
        (call("CreateKey", "kms", {}, None, errorCode="AccessDenied"), ()),
        (call("DeleteBucket", "s3", {"bucketName": "b"}, None), ()),
        (call("CreateTags", "ec2", {}, {"_return": True}), ()),
        (call("CreateBucket", "s3", None, None), ()),
    ],
)
def test_a_call_says_what_it_created(detail: dict[str, Any], arns: tuple[str, ...]) -> None:
    assert created_arns(detail) == arns
    event = {
        "source": "aws.x",
        "detail-type": "AWS API Call via CloudTrail",
        "time": "2026-11-24T09:00:00Z",
        "detail": detail,
    }
    found = command_in(event)
    assert isinstance(found, Created if arns else Nothing)
