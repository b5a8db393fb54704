"""Properties judged by the registry's schemas, in CloudFormation's words."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.schemas import UNKNOWN, TagProperty, problems, schema_of, tag_property

QUEUE = "AWS::SQS::Queue"
ENVIRONMENT = "AWS::ElasticBeanstalk::Environment"
ALARM = "AWS::CloudWatch::Alarm"


@pytest.mark.parametrize(
    ("kind", "properties", "problem"),
    [
        (QUEUE, {"QueueNam": "a"}, "#: extraneous key [QueueNam] is not permitted"),
        (ENVIRONMENT, {}, "#: required key [ApplicationName] not found"),
        (
            ENVIRONMENT,
            {"ApplicationName": ["a"]},
            "#/ApplicationName: expected type: String, found: JSONArray",
        ),
        (
            ENVIRONMENT,
            {"ApplicationName": "x" * 101},
            "#/ApplicationName: expected maxLength: 100, actual: 101",
        ),
        (
            ENVIRONMENT,
            {"ApplicationName": "a", "OptionSettings": [{"Namespace": "n"}]},
            "#/OptionSettings/0: required key [OptionName] not found",
        ),
        (
            ENVIRONMENT,
            {"ApplicationName": "a", "Tags": [{"Key": "k", "Value": "v", "Extra": 1}]},
            "#/Tags/0: extraneous key [Extra] is not permitted",
        ),
        (
            "AWS::CodePipeline::Pipeline",
            {"RoleArn": "arn:aws:iam::123456789012:role/x", "PipelineType": "V3", "Stages": []},
            "#/PipelineType: V3 is not a valid enum value",
        ),
        (
            "AWS::Lambda::Function",
            {"Code": {}, "Role": "no arn"},
            "#/Role: failed validation constraint for keyword [pattern]",
        ),
        (
            "AWS::Lambda::Function",
            {"Code": {}, "Role": UNKNOWN, "Timeout": 0},
            "#/Timeout: 0 is not greater or equal to 1",
        ),
    ],
)
def test_a_fault_is_named_where_it_is(kind: str, properties: dict[str, Any], problem: str) -> None:
    assert problem in problems(kind, properties)


def test_scalars_are_converted_as_cloudformation_does() -> None:
    assert problems(QUEUE, {"DelaySeconds": "5", "FifoQueue": "true", "QueueName": 7}) == []
    assert problems(QUEUE, {"DelaySeconds": "soon"}) == [
        "#/DelaySeconds: expected type: Integer, found: String"
    ]


def test_what_another_resource_gives_is_taken_on_trust() -> None:
    alarm = {
        "ComparisonOperator": "GreaterThanThreshold",
        "EvaluationPeriods": UNKNOWN,
        "AlarmActions": [UNKNOWN],
        "Dimensions": [{"Name": "QueueName", "Value": UNKNOWN}],
    }
    assert problems(ALARM, alarm) == []


def test_a_type_outside_the_registry_is_not_judged() -> None:
    assert schema_of("Custom::Thing") is None
    assert problems("Custom::Thing", {"anything": 1}) == []


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (ENVIRONMENT, TagProperty("Tags", is_map=False)),
        ("AWS::SSM::Parameter", TagProperty("Tags", is_map=True)),
        ("AWS::ElasticBeanstalk::Application", None),
        ("AWS::Events::Rule", TagProperty("Tags", is_map=False)),
    ],
)
def test_the_registry_says_where_tags_go(kind: str, expected: TagProperty | None) -> None:
    assert tag_property(kind) == expected
