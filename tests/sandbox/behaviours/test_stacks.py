"""Stacks: properties judged, buckets kept, parameters and rules refused, exports, tags."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.behaviours.conftest import Local

pytestmark = pytest.mark.sandbox


def settle(local: Local, name: str, seconds: float = 30.0) -> str:
    """Wait until a stack is at rest; its status."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        [stack] = local.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        status: str = stack["StackStatus"]
        if not status.endswith("IN_PROGRESS"):
            return status
        time.sleep(0.1)
    raise AssertionError(f"{name} is still {status}")


def create(local: Local, name: str, template: dict[str, Any], **options: Any) -> str:
    """The stack's id."""
    made: str = local.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=json.dumps(template),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        **options,
    )["StackId"]
    return made


def reasons(local: Local, stack: str) -> dict[str, str]:
    """Why things failed, by logical id."""
    events = local.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    return {
        event["LogicalResourceId"]: event.get("ResourceStatusReason", "")
        for event in events
        if event["ResourceStatus"].endswith("FAILED")
    }


def resource(kind: str, **properties: Any) -> dict[str, Any]:
    return {"Type": kind, "Properties": properties}


def test_a_faulty_property_fails_before_anything_is_made(local: Local) -> None:
    template = {
        "Parameters": {"Seconds": {"Type": "String", "Default": "soon"}},
        "Resources": {
            "Fine": resource("AWS::SQS::Queue", QueueName="fine"),
            "Misspelt": resource("AWS::SQS::Queue", QueueNam="x", DelaySeconds={"Ref": "Seconds"}),
        },
    }
    stack = create(local, "faulty", template)
    assert settle(local, "faulty") == "ROLLBACK_COMPLETE"
    reason = reasons(local, stack)["Misspelt"]
    assert reason.startswith("Properties validation failed for resource Misspelt with message:")
    assert "#: extraneous key [QueueNam] is not permitted" in reason
    assert "#/DelaySeconds: expected type: Integer, found: String" in reason
    with pytest.raises(ClientError, match="NonExistentQueue"):
        local.client("sqs").get_queue_url(QueueName="fine")


def test_what_only_the_service_refuses_fails_and_is_taken_back(local: Local) -> None:
    statement = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "arn:aws:sqs:::a"}
    long = {
        "Version": "2012-10-17",
        "Statement": [{**statement, "Sid": f"S{n}"} for n in range(90)],
    }
    rule = resource("AWS::Events::Rule", Name="odd", EventPattern={"a": [{"anything-but": [True]}]})
    for name, faulty, reason in (
        ("long", resource("AWS::IAM::ManagedPolicy", PolicyDocument=long), "PolicySize: 6144"),
        ("odd", rule, "Event pattern is not valid. Reason: Inside anything but list"),
    ):
        stack = create(local, name, {"Resources": {"Fault": faulty}})
        assert settle(local, name) == "ROLLBACK_COMPLETE"
        assert reason in reasons(local, stack)["Fault"]


def test_a_change_that_the_service_refuses_leaves_the_rule_as_it_was(local: Local) -> None:
    def template(value: object) -> dict[str, Any]:
        pattern = {"source": [{"anything-but": [value]}]}
        return {
            "Resources": {
                "Rule": resource("AWS::Events::Rule", Name="kept", EventPattern=pattern),
            }
        }

    stack = create(local, "kept", template("aws.s3"))
    assert settle(local, "kept") == "CREATE_COMPLETE"
    local.client("cloudformation").update_stack(
        StackName="kept", TemplateBody=json.dumps(template(None))
    )
    assert settle(local, "kept") == "UPDATE_ROLLBACK_COMPLETE"
    assert "Event pattern is not valid" in reasons(local, stack)["Rule"]
    pattern = local.client("events").describe_rule(Name="kept")["EventPattern"]
    assert json.loads(pattern) == {"source": [{"anything-but": ["aws.s3"]}]}


def test_what_another_resource_gives_and_a_condition_leaves_out_is_no_fault(local: Local) -> None:
    template = {
        "Conditions": {"Never": {"Fn::Equals": ["a", "b"]}},
        "Resources": {
            "Topic": resource("AWS::SNS::Topic"),
            "Queue": resource(
                "AWS::SQS::Queue",
                KmsMasterKeyId={"Fn::If": ["Never", ["wrong"], {"Ref": "AWS::NoValue"}]},
                Tags=[{"Key": "Topic", "Value": {"Ref": "Topic"}}],
            ),
        },
    }
    create(local, "fine", template)
    assert settle(local, "fine") == "CREATE_COMPLETE"


def test_an_update_with_a_faulty_property_leaves_the_stack_as_it_was(local: Local) -> None:
    good = {"Resources": {"Queue": resource("AWS::SQS::Queue", QueueName="kept")}}
    bad = {"Resources": {"Queue": resource("AWS::SQS::Queue", QueueName="kept", Colour="red")}}
    stack = create(local, "updated", good)
    settle(local, "updated")
    local.client("cloudformation").update_stack(StackName="updated", TemplateBody=json.dumps(bad))
    assert settle(local, "updated") == "UPDATE_ROLLBACK_COMPLETE"
    assert "extraneous key [Colour]" in reasons(local, stack)["Queue"]


@pytest.mark.parametrize("leftover", ["object", "old version", "delete marker", "nothing"])
def test_a_bucket_goes_only_when_nothing_at_all_is_left_in_it(local: Local, leftover: str) -> None:
    name = f"full-{local.account}-{leftover.replace(' ', '-')}"
    template = {
        "Resources": {
            "Bucket": resource(
                "AWS::S3::Bucket",
                BucketName=name,
                VersioningConfiguration={"Status": "Enabled"},
            )
        }
    }
    stack = create(local, "bucket", template)
    settle(local, "bucket")
    s3 = local.client("s3")
    if leftover != "nothing":
        version = s3.put_object(Bucket=name, Key="k", Body=b"1")["VersionId"]
        if leftover != "object":
            s3.delete_object(Bucket=name, Key="k")
        if leftover == "delete marker":
            s3.delete_object(Bucket=name, Key="k", VersionId=version)
    local.client("cloudformation").delete_stack(StackName="bucket")
    if leftover == "nothing":
        assert settle(local, stack) == "DELETE_COMPLETE"
        with pytest.raises(ClientError):
            s3.head_bucket(Bucket=name)
        return
    assert settle(local, stack) == "DELETE_FAILED"
    assert "not empty" in reasons(local, stack)["Bucket"]
    s3.head_bucket(Bucket=name)


RULED = {
    "Parameters": {
        "Suffix": {
            "Type": "String",
            "AllowedPattern": "[a-z]+",
            "ConstraintDescription": "must be small letters, like main.",
        },
        "Mode": {"Type": "String", "Default": "one"},
    },
    "Rules": {
        "ModeFits": {
            "Assertions": [
                {
                    "Assert": {"Fn::Contains": [["one", "two"], {"Ref": "Mode"}]},
                    "AssertDescription": "Mode is one or two.",
                }
            ]
        }
    },
    "Resources": {"Queue": resource("AWS::SQS::Queue", QueueName="ruled")},
}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"Suffix": "A1"}, "must be small letters, like main"),
        ({"Suffix": "main", "Mode": "three"}, "Mode is one or two"),
    ],
)
def test_a_wrong_parameter_is_refused_in_the_templates_words(
    local: Local, given: dict[str, str], words: str
) -> None:
    parameters = [{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()]
    with pytest.raises(ClientError, match=words):
        create(local, "ruled", RULED, Parameters=parameters)
    assert local.client("sqs").list_queues().get("QueueUrls", []) == []


def test_an_export_in_use_cannot_be_deleted(local: Local) -> None:
    queue = resource("AWS::SQS::Queue", QueueName="exported")
    exporting = {
        "Resources": {"Queue": queue},
        "Outputs": {
            "Arn": {"Value": {"Fn::GetAtt": ["Queue", "Arn"]}, "Export": {"Name": "out-Arn"}}
        },
    }
    importing = {
        "Resources": {
            "Topic": resource("AWS::SNS::Topic", DisplayName={"Fn::ImportValue": "out-Arn"})
        }
    }
    create(local, "out", exporting)
    settle(local, "out")
    create(local, "in", importing)
    assert settle(local, "in") == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="out-Arn is imported by stack in"):
        local.client("cloudformation").delete_stack(StackName="out")
    assert settle(local, "out") == "CREATE_COMPLETE"
    local.client("sqs").get_queue_url(QueueName="exported")


def test_the_stacks_tags_reach_rules_and_alarms(local: Local) -> None:
    template = {
        "Resources": {
            "Rule": resource(
                "AWS::Events::Rule", Name="tagged", EventPattern={"source": ["x"]}, State="ENABLED"
            ),
            "Connection": resource(
                "AWS::CodeConnections::Connection", ConnectionName="c", ProviderType="GitHub"
            ),
        }
    }
    create(local, "tagged", template, Tags=[{"Key": "Team", "Value": "a"}])
    assert settle(local, "tagged") == "CREATE_COMPLETE"
    answer = local.client("events").list_tags_for_resource(
        ResourceARN=local.arn("events", "rule/tagged")
    )
    assert {"Key": "Team", "Value": "a"} in answer["Tags"]


def test_inline_policies_of_queue_topic_and_role(local: Local) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "*",
                "Resource": "*",
            }
        ],
    }
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    template = {
        "Resources": {
            "Queue": resource("AWS::SQS::Queue", QueueName="inline"),
            "QueuePolicy": resource(
                "AWS::SQS::QueueInlinePolicy", Queue={"Ref": "Queue"}, PolicyDocument=document
            ),
            "Topic": resource("AWS::SNS::Topic", TopicName="inline"),
            "TopicPolicy": resource(
                "AWS::SNS::TopicInlinePolicy", TopicArn={"Ref": "Topic"}, PolicyDocument=document
            ),
            "Role": resource("AWS::IAM::Role", RoleName="inline", AssumeRolePolicyDocument=trust),
            "RolePolicy": resource(
                "AWS::IAM::RolePolicy",
                RoleName={"Ref": "Role"},
                PolicyName="p",
                PolicyDocument={
                    "Version": "2012-10-17",
                    "Statement": [{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}],
                },
            ),
        }
    }
    create(local, "inline", template)
    assert settle(local, "inline") == "CREATE_COMPLETE", reasons(local, "inline")
    sqs = local.client("sqs")
    url = sqs.get_queue_url(QueueName="inline")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["Policy"])["Attributes"]
    assert json.loads(attributes["Policy"]) == document
    topic = local.client("sns").get_topic_attributes(TopicArn=local.arn("sns", "inline"))
    assert json.loads(topic["Attributes"]["Policy"]) == document
    assert local.client("iam").list_role_policies(RoleName="inline")["PolicyNames"] == ["p"]


def test_a_bucket_is_what_the_template_says_and_what_it_says_no_more_goes(local: Local) -> None:
    name = f"whole-{local.account}"
    key = local.client("kms").create_key()["KeyMetadata"]["Arn"]
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    whole = resource(
        "AWS::S3::Bucket",
        BucketName=name,
        BucketEncryption={
            "ServerSideEncryptionConfiguration": [
                {"BucketKeyEnabled": True, "ServerSideEncryptionByDefault": by_default}
            ]
        },
        LifecycleConfiguration={
            "Rules": [
                {
                    "Id": "old",
                    "Status": "Enabled",
                    "Prefix": "x/",
                    "ExpirationInDays": "30",
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
                }
            ]
        },
        LoggingConfiguration={"DestinationBucketName": name, "LogFilePrefix": "log/"},
        OwnershipControls={"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        NotificationConfiguration={"EventBridgeConfiguration": {"EventBridgeEnabled": True}},
        Tags=[{"Key": "Owner", "Value": "us"}],
    )
    tags = [{"Key": "Environment", "Value": "test"}]
    create(local, "whole", {"Resources": {"Bucket": whole}}, Tags=tags)
    assert settle(local, "whole") == "CREATE_COMPLETE", reasons(local, "whole")
    s3 = local.client("s3")
    [rule] = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == by_default
    assert rule["BucketKeyEnabled"] is True
    [rule] = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert (rule["ID"], rule["Filter"]["Prefix"]) == ("old", "x/")
    assert rule["Expiration"] == {"Days": 30}
    assert rule["NoncurrentVersionExpiration"]["NoncurrentDays"] == 7
    logging = s3.get_bucket_logging(Bucket=name)["LoggingEnabled"]
    assert (logging["TargetBucket"], logging["TargetPrefix"]) == (name, "log/")
    [owner] = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert owner["ObjectOwnership"] == "BucketOwnerEnforced"
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=name)
    found = {tag["Key"]: tag["Value"] for tag in s3.get_bucket_tagging(Bucket=name)["TagSet"]}
    assert found.items() >= {"Owner": "us", "Environment": "test"}.items()
    s3.put_object(Bucket=name, Key="x", Body=b"")
    assert s3.head_object(Bucket=name, Key="x")["SSEKMSKeyId"] == key

    bare = resource("AWS::S3::Bucket", BucketName=name)
    local.client("cloudformation").update_stack(
        StackName="whole", TemplateBody=json.dumps({"Resources": {"Bucket": bare}}), Tags=tags
    )
    assert settle(local, "whole") == "UPDATE_COMPLETE", reasons(local, "whole")
    with pytest.raises(ClientError, match="NoSuchLifecycleConfiguration"):
        s3.get_bucket_lifecycle_configuration(Bucket=name)
    [rule] = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert "LoggingEnabled" not in s3.get_bucket_logging(Bucket=name)


def test_a_dashboard_has_the_tags_of_its_template_and_of_its_stack(local: Local) -> None:
    def template(owner: str) -> dict[str, Any]:
        return {
            "Resources": {
                "Board": resource(
                    "AWS::CloudWatch::Dashboard",
                    DashboardName="board",
                    DashboardBody='{"widgets": []}',
                    Tags=[{"Key": "Owner", "Value": owner}],
                )
            }
        }

    cloudwatch = local.client("cloudwatch")

    def tags() -> dict[str, str]:
        listed = cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"]
        return {tag["Key"]: tag["Value"] for tag in listed}

    team = [{"Key": "Team", "Value": "a"}]
    create(local, "seen", template("us"), Tags=team)
    assert settle(local, "seen") == "CREATE_COMPLETE", reasons(local, "seen")
    arn = cloudwatch.get_dashboard(DashboardName="board")["DashboardArn"]
    assert tags().items() >= {"Owner": "us", "Team": "a"}.items()
    local.client("cloudformation").update_stack(
        StackName="seen", TemplateBody=json.dumps(template("you")), Tags=team
    )
    assert settle(local, "seen") == "UPDATE_COMPLETE", reasons(local, "seen")
    assert tags()["Owner"] == "you"
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["Owner"])
    assert "Owner" not in tags()
    cloudwatch.delete_dashboards(DashboardNames=["board"])
    with pytest.raises(ClientError, match="ResourceNotFound"):
        tags()
