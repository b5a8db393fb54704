"""Tags on everything that takes them; names that tell stacks, Regions and accounts apart."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

from tests.template.faults import properties, turns_red_when
from tests.template.rendered import ACCOUNT, FORMS, REGION, Template

TAGS = {
    "Project": "bakery",
    "Owner": "team-bakery",
    "CostCenter": "CC-4242",
    "Environment": "shared",
    "ManagedBy": "trellis",
}

UNTAGGABLE = {
    "AWS::ElasticBeanstalk::Application": "tagged through Elastic Beanstalk's own API",
    "AWS::IAM::InstanceProfile": "CloudFormation has no property for it",
    "AWS::IAM::ManagedPolicy": "CloudFormation has no property for it",
    "AWS::KMS::Alias": "an alias takes no tags",
    "AWS::Lambda::Alias": "a name of a function's version",
    "AWS::Lambda::EventInvokeConfig": "a setting of a function",
    "AWS::Lambda::Permission": "a setting of a function",
    "AWS::Lambda::Version": "a version of a function, which is tagged",
    "AWS::Lambda::LayerVersion": "a layer version takes no tags",
    "AWS::S3::BucketPolicy": "a setting of a bucket",
    "AWS::SNS::Subscription": "a subscription takes no tags",
    "AWS::SNS::TopicPolicy": "a setting of a topic",
    "AWS::SQS::QueuePolicy": "a setting of a queue",
}

NAMES = {
    "AWS::CloudWatch::Alarm": "AlarmName",
    "AWS::CloudWatch::Dashboard": "DashboardName",
    "AWS::CodeBuild::Project": "Name",
    "AWS::CodePipeline::Pipeline": "Name",
    "AWS::DynamoDB::Table": "TableName",
    "AWS::ElasticBeanstalk::Application": "ApplicationName",
    "AWS::ElasticBeanstalk::Environment": "EnvironmentName",
    "AWS::Events::Rule": "Name",
    "AWS::KMS::Alias": "AliasName",
    "AWS::Lambda::Function": "FunctionName",
    "AWS::Lambda::LayerVersion": "LayerName",
    "AWS::Logs::LogGroup": "LogGroupName",
    "AWS::S3::Bucket": "BucketName",
    "AWS::SNS::Topic": "TopicName",
    "AWS::SQS::Queue": "QueueName",
    "AWS::SSM::Parameter": "Name",
}
"""The property that names each kind of resource."""

LONGEST = {
    "AWS::CloudWatch::Alarm": 255,
    "AWS::CloudWatch::Dashboard": 255,
    "AWS::CodeBuild::Project": 150,
    "AWS::CodePipeline::Pipeline": 100,
    "AWS::DynamoDB::Table": 255,
    "AWS::ElasticBeanstalk::Application": 100,
    "AWS::ElasticBeanstalk::Environment": 40,
    "AWS::Events::Rule": 64,
    "AWS::KMS::Alias": 256,
    "AWS::Lambda::Function": 64,
    "AWS::Lambda::LayerVersion": 140,
    "AWS::Logs::LogGroup": 512,
    "AWS::S3::Bucket": 63,
    "AWS::SNS::Topic": 256,
    "AWS::SQS::Queue": 80,
    "AWS::SSM::Parameter": 1011,
}
"""How long AWS lets each name be."""

UNIQUE_BEYOND_A_REGION = {
    "AWS::S3::Bucket": {REGION, ACCOUNT},
    "AWS::CloudWatch::Dashboard": {REGION},
}
"""Bucket names are unique in the world, dashboards in an account."""


@functools.cache
def takes_tags(kind: str) -> bool:
    """Whether the resource's own schema, as cfn-lint ships it, has tags."""
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind).schema
    return "Tags" in schema["properties"]


def tags_of(written: dict[str, Any]) -> dict[str, str]:
    if isinstance(written.get("Tags"), dict):  # as AWS::SSM::Parameter writes them
        return dict(written["Tags"])
    return {tag["Key"]: tag["Value"] for tag in written.get("Tags", [])}


@turns_red_when(
    "an alarm nobody pays for", lambda source: properties(source, "DevHealthAlarm").pop("Tags")
)
@turns_red_when(
    "a function without an owner",
    lambda source: source["Globals"]["Function"]["Tags"].pop("Owner"),
)
@turns_red_when(
    "a mapping that SAM makes",
    lambda source: properties(source, "NotifyQueueMapping").pop("Tags"),
)
@turns_red_when(
    "another key", lambda source: properties(source, "Pipeline")["Tags"][2].update(Key="costcenter")
)
def test_everything_that_takes_tags_carries_the_five(template: Template) -> None:
    for form in FORMS.values():
        resolved = template.resolved(**form)
        for name, resource in resolved.resources.items():
            if not takes_tags(resource["Type"]):
                continue
            tags = tags_of(resource["Properties"])
            own = {"Environment": tags.get("Environment")} if name.endswith("Environment") else {}
            assert {**tags} == {**TAGS, **own}, name


@turns_red_when(
    "an environment that says it is another",
    lambda source: properties(source, "ProdEnvironment")["Tags"][3].update(Value="test"),
)
def test_environments_say_which_they_are(template: Template) -> None:
    environments = template.resolved().of_type("AWS::ElasticBeanstalk::Environment")
    assert {name: tags_of(written)["Environment"] for name, written in environments.items()} == {
        "DevEnvironment": "dev",
        "TestEnvironment": "test",
        "ProdEnvironment": "prod",
    }


@turns_red_when(
    "a type that nobody thought of",
    lambda source: source["Resources"].update(
        Stream={"Type": "AWS::Logs::LogStream", "Properties": {"LogGroupName": "x"}}
    ),
)
def test_what_cannot_be_tagged_is_known_by_name(template: Template) -> None:
    untaggable = {
        resource["Type"]
        for resource in template.resources.values()
        if not takes_tags(resource["Type"])
    }
    assert untaggable == set(UNTAGGABLE)


def _named(template: Template, **parameters: str) -> dict[str, tuple[str, str]]:
    """Logical id to type and name, of everything that has a name of its own."""
    return {
        name: (resource["Type"], resource["Properties"][NAMES[resource["Type"]]])
        for name, resource in template.resolved(**parameters).resources.items()
        if resource["Type"] in NAMES
    }


@turns_red_when(
    "two suffixes share a queue",
    lambda source: properties(source, "NotifyQueue").update(
        QueueName={"Fn::Sub": "${ProjectName}-notify"}
    ),
)
@turns_red_when(
    "a name of nobody",
    lambda source: properties(source, "ProdHealthAlarm").update(AlarmName="production-is-down"),
)
@turns_red_when(
    "a name that CloudFormation invents",
    lambda source: properties(source, "LedgerTable").pop("TableName"),
)
def test_every_name_carries_project_and_suffix(template: Template) -> None:
    for name, (_, given) in _named(template).items():
        assert re.search(r"(^|/)bakery-", given), (name, given)
        assert re.search(r"-demo($|-)", given), (name, given)


@turns_red_when(
    "one bucket in the world",
    lambda source: properties(source, "ReportsBucket").update(
        BucketName={"Fn::Sub": "${ProjectName}-reports-${EnvironmentSuffix}"}
    ),
)
@turns_red_when(
    "both Regions share a dashboard",
    lambda source: properties(source, "Dashboard").update(
        DashboardName={"Fn::Sub": "${ProjectName}-${EnvironmentSuffix}"}
    ),
)
def test_what_is_unique_beyond_the_region_says_where_it_is(template: Template) -> None:
    for name, (kind, given) in _named(template).items():
        for part in UNIQUE_BEYOND_A_REGION.get(kind, set()):
            assert part in given, (name, given)


@turns_red_when(
    "both Regions share a role",
    lambda source: properties(source, "BuildRole").update(
        RoleName={"Fn::Sub": "${ProjectName}-build-${EnvironmentSuffix}"}
    ),
)
def test_roles_and_policies_are_unnamed(template: Template) -> None:
    """IAM is global, so a name of ours would be one for both Regions."""
    for name, written in template.of_type(
        "AWS::IAM::Role", "AWS::IAM::ManagedPolicy", "AWS::IAM::InstanceProfile"
    ).items():
        named = {"RoleName", "ManagedPolicyName", "InstanceProfileName"} & written.keys()
        assert not named, name


@turns_red_when(
    "a longer project",
    lambda source: source["Parameters"]["ProjectName"].update(MaxLength=25),
)
def test_the_longest_names_fit(template: Template) -> None:
    project = "p" * template.source["Parameters"]["ProjectName"]["MaxLength"]
    region_at_worst = "ap-southeast-1"
    for name, (kind, given) in _named(
        template, ProjectName=project, EnvironmentSuffix="s" * 8
    ).items():
        longest = len(given.replace(REGION, region_at_worst))
        assert longest <= LONGEST[kind], (name, given, longest)


@turns_red_when(
    "a shorter project",
    lambda source: properties(source, "DevEnvironment").update(EnvironmentName="dev"),
)
def test_environment_names_are_long_enough_and_distinct(template: Template) -> None:
    names = [
        given
        for kind, given in _named(template, ProjectName="abc", EnvironmentSuffix="x").values()
        if kind == "AWS::ElasticBeanstalk::Environment"
    ]
    assert len(set(names)) == 3
    assert all(4 <= len(name) <= 40 for name in names)


def _same_name_twice(source: dict[str, Any]) -> None:
    properties(source, "StageRule").update(Name=properties(source, "PipelineRule")["Name"])


@turns_red_when("two rules of one name", _same_name_twice)
def test_no_two_resources_share_a_name(template: Template) -> None:
    named = list(_named(template).values())
    assert len(named) == len(set(named)), json.dumps(sorted(named))
