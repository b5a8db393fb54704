from __future__ import annotations

import json
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from tagging_audit import kinds
from tagging_audit.kinds import (
    Place,
    arn_of,
    pattern_of,
    refusal_of,
    region_of,
    route_of,
    tidy,
    type_of,
)
from tagging_audit.resource import TagRoute

HERE = Place("aws", "us-west-2", "123456789012")


@pytest.mark.parametrize(
    ("arn", "type_"),
    [
        ("arn:aws:s3:::bucket", "AWS::S3::Bucket"),
        ("arn:aws:sqs:us-west-2:123456789012:orders", "AWS::SQS::Queue"),
        ("arn:aws:sns:us-west-2:123456789012:topic", "AWS::SNS::Topic"),
        ("arn:aws:sns:us-west-2:123456789012:topic:1f-2e", "AWS::SNS::Subscription"),
        ("arn:aws:logs:us-west-2:123456789012:log-group:/aws/lambda/x", "AWS::Logs::LogGroup"),
        ("arn:aws:lambda:us-west-2:123456789012:function:x", "AWS::Lambda::Function"),
        ("arn:aws:codepipeline:us-west-2:123456789012:shop", "AWS::CodePipeline::Pipeline"),
        (
            "arn:aws:elasticbeanstalk:us-west-2:123456789012:applicationversion/shop/v1",
            "AWS::ElasticBeanstalk::ApplicationVersion",
        ),
        ("arn:aws:iam::123456789012:role/path/x", "AWS::IAM::Role"),
        (
            "arn:aws:iam::123456789012:role/aws-service-role/rds.amazonaws.com/X",
            "AWS::IAM::ServiceLinkedRole",
        ),
        (
            "arn:aws:iam::123456789012:role/aws-reserved/sso.amazonaws.com/eu-west-1/X",
            "iam:aws-reserved",
        ),
        (
            "arn:aws:elasticloadbalancing:us-west-2:123456789012:loadbalancer/app/x/1",
            "AWS::ElasticLoadBalancingV2::LoadBalancer",
        ),
        ("arn:aws:kinesis:us-west-2:123456789012:stream/clicks", "kinesis:stream"),
        ("no arn", "unknown"),
    ],
)
def test_an_arn_says_its_type(arn: str, type_: str) -> None:
    assert type_of(arn) == type_


@pytest.mark.parametrize(
    ("type_", "physical_id", "arn"),
    [
        ("AWS::S3::Bucket", "b", "arn:aws:s3:::b"),
        ("AWS::SQS::Queue", "https://sqs.us-west-2.amazonaws.com/1/q", "sqs:us-west-2:{}:q"),
        ("AWS::SNS::Topic", "arn:aws:sns:us-west-2:1:t", "arn:aws:sns:us-west-2:1:t"),
        ("AWS::DynamoDB::Table", "t", "dynamodb:us-west-2:{}:table/t"),
        ("AWS::KMS::Key", "1-2", "kms:us-west-2:{}:key/1-2"),
        ("AWS::Logs::LogGroup", "/a/b", "logs:us-west-2:{}:log-group:/a/b"),
        ("AWS::Lambda::Function", "f", "lambda:us-west-2:{}:function:f"),
        ("AWS::Lambda::EventSourceMapping", "1-2", "lambda:us-west-2:{}:event-source-mapping:1-2"),
        ("AWS::CodePipeline::Pipeline", "p", "codepipeline:us-west-2:{}:p"),
        ("AWS::CodeBuild::Project", "p", "codebuild:us-west-2:{}:project/p"),
        ("AWS::Events::Rule", "r", "events:us-west-2:{}:rule/r"),
        ("AWS::Events::Rule", "bus|r", "events:us-west-2:{}:rule/bus/r"),
        ("AWS::CloudWatch::Alarm", "a", "cloudwatch:us-west-2:{}:alarm:a"),
        ("AWS::CloudWatch::CompositeAlarm", "a", "cloudwatch:us-west-2:{}:alarm:a"),
        ("AWS::CloudWatch::Dashboard", "d", "cloudwatch::{}:dashboard/d"),
        ("AWS::IAM::Role", "r", "iam::{}:role/r"),
        ("AWS::IAM::InstanceProfile", "p", "iam::{}:instance-profile/p"),
        ("AWS::SSM::Parameter", "/a/b", "ssm:us-west-2:{}:parameter/a/b"),
        ("AWS::ElasticBeanstalk::Application", "a", "elasticbeanstalk:us-west-2:{}:application/a"),
        ("AWS::Nobody::Knows", "x", None),
    ],
)
def test_a_templates_id_becomes_an_arn(type_: str, physical_id: str, arn: str | None) -> None:
    expected = arn if arn is None or arn.startswith("arn:") else f"arn:aws:{arn}"
    found = arn_of(type_, physical_id, HERE)
    assert found == (expected and expected.format(HERE.account))
    if found is not None and type_ != "AWS::CloudWatch::CompositeAlarm":
        assert type_of(found) == type_


def test_an_arn_says_its_region_if_it_can() -> None:
    assert region_of("arn:aws:sqs:us-west-2:1:q") == "us-west-2"
    assert region_of("arn:aws:iam::1:role/r") == "global"
    assert region_of("arn:aws:s3:::b") is None
    assert tidy("arn:aws:logs:us-west-2:1:log-group:x:*") == "arn:aws:logs:us-west-2:1:log-group:x"


def registry(type_: str) -> dict[str, Any] | None:
    """What CloudFormation's registry says of a type."""
    schemas = files("cfnlint") / "data" / "schemas"
    index = json.loads((schemas / "providers" / "us-east-1.json").read_text())
    if type_ not in index:
        return None
    found: dict[str, Any] = json.loads((schemas / "resources" / f"{index[type_]}.json").read_text())
    return found


@pytest.mark.parametrize("type_", [*kinds._UNTAGGABLE, *kinds._API_ONLY])
def test_what_is_called_untaggable_is_so_by_the_registry(type_: str) -> None:
    schema = registry(type_)
    if schema is not None:
        assert not (schema.get("tagging") or {}).get("taggable")
    assert refusal_of(type_)


@pytest.mark.parametrize("path", ["aws-reserved", "aws-service-role"])
def test_a_role_that_aws_made_is_untaggable_and_no_other(path: str) -> None:
    arn = f"arn:aws:iam::123456789012:role/{path}/sso.amazonaws.com/X"
    assert route_of(type_of(arn)) is TagRoute.NOBODY
    assert (
        pattern_of(type_of(arn), replace(HERE, region="global"))
        == f"arn:aws:iam::123456789012:role/{path}/*"
    )
    assert type_of(f"arn:aws:iam::123456789012:role/team/{path}/X") == "AWS::IAM::Role"


def test_who_can_tag_a_type() -> None:
    assert route_of("AWS::SQS::Queue") is TagRoute.TEMPLATE
    assert route_of("AWS::ElasticBeanstalk::Application") is TagRoute.API
    assert route_of("AWS::Lambda::Permission") is TagRoute.NOBODY
    assert route_of("Custom::Anything") is TagRoute.NOBODY
    assert (refusal_of("AWS::SQS::Queue"), refusal_of("Custom::X")) == (
        None,
        "a custom resource takes no tags",
    )
