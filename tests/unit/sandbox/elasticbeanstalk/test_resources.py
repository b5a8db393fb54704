"""The CloudFormation types, as the engine calls them."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cloud import Scope
from sandbox.cloudformation import ResourceFailedError, ResourceType, Stack
from sandbox.elasticbeanstalk.resources import resource_types
from tests.unit.sandbox.elasticbeanstalk.bench import (
    APPLICATION,
    BUCKET,
    ENHANCED,
    PLATFORM,
    Bench,
    bundle,
    settings,
)
from tests.unit.sandbox.local_cloud import ACCOUNT

STACK = Stack(Scope(ACCOUNT, "us-east-1"), "release")


def kind(bench: Bench, name: str) -> ResourceType:
    return resource_types(bench.service)[f"AWS::ElasticBeanstalk::{name}"]


def properties(**more: Any) -> dict[str, Any]:
    return {
        "ApplicationName": APPLICATION,
        "EnvironmentName": "shop-dev",
        "SolutionStackName": PLATFORM,
        "OptionSettings": settings(ENHANCED),
        **more,
    }


def test_there_are_four_types(bench: Bench) -> None:
    assert sorted(resource_types(bench.service)) == [
        "AWS::ElasticBeanstalk::Application",
        "AWS::ElasticBeanstalk::ApplicationVersion",
        "AWS::ElasticBeanstalk::ConfigurationTemplate",
        "AWS::ElasticBeanstalk::Environment",
    ]


def test_an_application_is_made_changed_replaced_and_deleted(bench: Bench) -> None:
    application = kind(bench, "Application")
    first = {
        "Description": "one",
        "ResourceLifecycleConfig": {
            "ServiceRole": "role",
            "VersionLifecycleConfig": {"MaxCountRule": {"Enabled": "true", "MaxCount": "9"}},
        },
    }
    name, attributes = application.create(STACK, "App", first)
    assert name.startswith("release-App-")
    assert attributes == {}
    assert application.update(STACK, "App", name, first, {"Description": "two"})[0] == name
    (found,) = bench.api.describe_applications(ApplicationNames=[name])["Applications"]
    assert found["Description"] == "two"
    rule = found["ResourceLifecycleConfig"]["VersionLifecycleConfig"]["MaxCountRule"]
    assert (rule["Enabled"], rule["MaxCount"]) == (True, 9)
    other, _ = application.update(STACK, "App", name, first, {"ApplicationName": "named"})
    assert other == "named"
    for made in (name, other, other):
        application.delete(STACK, made, {})
    assert len(bench.api.describe_applications()["Applications"]) == 1


def test_an_application_that_exists_fails(bench: Bench) -> None:
    with pytest.raises(ResourceFailedError, match="Application shop already exists"):
        kind(bench, "Application").create(STACK, "App", {"ApplicationName": APPLICATION})


def test_a_version_is_replaced_when_its_bundle_changes(bench: Bench) -> None:
    version = kind(bench, "ApplicationVersion")
    for key in ("one.zip", "two.zip"):
        bench.s3.put_object(Bucket=BUCKET, Key=key, Body=bundle(key))

    def of(key: str) -> dict[str, Any]:
        return {
            "ApplicationName": APPLICATION,
            "SourceBundle": {"S3Bucket": BUCKET, "S3Key": key},
        }

    first, attributes = version.create(STACK, "Release", of("one.zip"))
    assert attributes == {"Id": first}
    second, _ = version.update(STACK, "Release", first, of("one.zip"), of("two.zip"))
    assert second != first
    version.delete(STACK, first, of("one.zip"))
    version.delete(STACK, first, of("one.zip"))
    found = bench.api.describe_application_versions()["ApplicationVersions"]
    assert [one["VersionLabel"] for one in found] == [second]


def test_a_saved_configuration(bench: Bench) -> None:
    template = kind(bench, "ConfigurationTemplate")
    given = {
        "ApplicationName": APPLICATION,
        "SolutionStackName": PLATFORM,
        "OptionSettings": settings({"aws:autoscaling:asg/MaxSize": "2"}),
    }
    name, attributes = template.create(STACK, "Small", given)
    assert attributes == {"TemplateName": name}
    template.update(STACK, "Small", name, given, {**given, "OptionSettings": []})
    (found,) = bench.api.describe_configuration_settings(
        ApplicationName=APPLICATION, TemplateName=name
    )["ConfigurationSettings"]
    assert found["OptionSettings"] == []
    template.delete(STACK, name, given)


def test_an_environment_is_complete_when_it_is_ready(bench: Bench) -> None:
    name, attributes = kind(bench, "Environment").create(
        STACK, "Dev", properties(Tags=[{"Key": "Owner", "Value": "a"}])
    )
    made = bench.environment()
    assert (name, made["Status"], made["HealthStatus"]) == ("shop-dev", "Ready", "Ok")
    assert attributes == {"EndpointURL": made["EndpointURL"]}
    tags = bench.api.list_tags_for_resource(ResourceArn=made["EnvironmentArn"])["ResourceTags"]
    assert {"Key": "Owner", "Value": "a"} in tags


def test_an_environment_without_a_name_gets_a_short_one(bench: Bench) -> None:
    given = properties()
    del given["EnvironmentName"]
    name, _ = kind(bench, "Environment").create(STACK, "DevEnvironment", given)
    assert 4 <= len(name) <= 40


def test_numbers_and_truths_become_the_strings_that_the_api_takes(bench: Bench) -> None:
    options = [
        *settings(ENHANCED),
        {"Namespace": "aws:autoscaling:asg", "OptionName": "MinSize", "Value": 2},
        {
            "Namespace": "aws:elasticbeanstalk:command",
            "OptionName": "IgnoreHealthCheck",
            "Value": False,
        },
    ]
    kind(bench, "Environment").create(STACK, "Dev", properties(OptionSettings=options))
    assert len(bench.instances()) == 2


def test_what_beanstalk_refuses_is_the_reason(bench: Bench) -> None:
    with pytest.raises(ResourceFailedError, match="No Application Version named 'none' found"):
        kind(bench, "Environment").create(STACK, "Dev", properties(VersionLabel="none"))


def test_an_environment_that_does_not_start_fails_and_its_own_events_say_why(
    bench: Bench,
) -> None:
    """CloudFormation does not: https://github.com/aws-samples/aws-cdk-examples/issues/1126"""
    nobody = {**ENHANCED, "aws:autoscaling:launchconfiguration/IamInstanceProfile": "nobody"}
    with pytest.raises(ResourceFailedError) as failed:
        kind(bench, "Environment").create(
            STACK, "Dev", properties(OptionSettings=settings(nobody), EnvironmentName="shop-dev")
        )
    assert "with identifier 'shop-dev' did not stabilize." in str(failed.value)
    assert "nobody" not in str(failed.value)
    assert bench.messages(severity="ERROR") == [
        "The instance profile nobody associated with the environment does not exist.",
        "Failed to launch environment.",
    ]


def test_an_environment_whose_application_does_not_serve_fails(bench: Bench) -> None:
    bench.upload("v1", "dies")
    with pytest.raises(ResourceFailedError, match="did not stabilize"):
        kind(bench, "Environment").create(STACK, "Dev", properties(VersionLabel="v1"))


def test_option_settings_platform_release_and_tags_change_in_place(bench: Bench) -> None:
    environment = kind(bench, "Environment")
    bench.upload("v1")
    arn = (
        "arn:aws:elasticbeanstalk:us-east-1::platform/"
        "Python 3.13 running on 64bit Amazon Linux 2023/4.5.2"
    )
    old = properties(
        PlatformArn=arn,
        Tags=[{"Key": "Owner", "Value": "a"}, {"Key": "Old", "Value": "x"}],
        OptionSettings=settings({**ENHANCED, "aws:autoscaling:asg/MaxSize": "9"}),
    )
    del old["SolutionStackName"]
    name, _ = environment.create(STACK, "Dev", old)
    before = bench.environment()
    new = {
        **old,
        "PlatformArn": arn.replace("4.5.2", "4.6.0"),
        "VersionLabel": "v1",
        "Description": "the shop",
        "Tags": [{"Key": "Owner", "Value": "b"}],
        "OptionSettings": settings({**ENHANCED, "aws:autoscaling:asg/MinSize": "2"}),
    }
    again, attributes = environment.update(STACK, "Dev", name, old, new)
    after = bench.environment()
    assert (again, attributes["EndpointURL"]) == (name, before["EndpointURL"])
    assert after["EnvironmentId"] == before["EnvironmentId"]
    assert (after["VersionLabel"], after["Description"]) == ("v1", "the shop")
    assert after["PlatformArn"].endswith("4.6.0")
    assert len(bench.instances()) == 2
    settings_now = bench.service.environment(STACK.scope, name=name).settings
    assert settings_now.get("aws:autoscaling:asg", "MaxSize") == "4"
    tags = bench.service.environment(STACK.scope, name=name).tags
    assert tags["Owner"] == "b"
    assert "Old" not in tags


@pytest.mark.parametrize(
    "change",
    [
        {"EnvironmentName": "shop-new"},
        {"SolutionStackName": PLATFORM.replace("4.5.2", "4.6.0"), "EnvironmentName": "shop-new"},
    ],
)
def test_a_create_only_property_makes_a_replacement(bench: Bench, change: dict[str, str]) -> None:
    environment = kind(bench, "Environment")
    old = properties()
    name, _ = environment.create(STACK, "Dev", old)
    other, attributes = environment.update(STACK, "Dev", name, old, {**old, **change})
    assert other == "shop-new"
    assert attributes["EndpointURL"] == bench.environment("shop-new")["EndpointURL"]
    environment.delete(STACK, name, old)
    assert bench.environment()["Status"] == "Terminated"
    assert bench.environment("shop-new")["Status"] == "Ready"


def test_an_update_that_fails_has_its_reason(bench: Bench) -> None:
    environment = kind(bench, "Environment")
    bench.upload("v1", "bad")
    old = properties()
    name, _ = environment.create(STACK, "Dev", old)
    with pytest.raises(ResourceFailedError, match="Failed to deploy application"):
        environment.update(STACK, "Dev", name, old, {**old, "VersionLabel": "v1"})


def test_deleting_is_no_error_when_it_is_gone(bench: Bench) -> None:
    environment = kind(bench, "Environment")
    name, _ = environment.create(STACK, "Dev", properties())
    for _ in range(2):
        environment.delete(STACK, name, properties())
    assert bench.environment()["Status"] == "Terminated"


def test_an_environment_is_deleted_after_its_operation(bench: Bench) -> None:
    environment = kind(bench, "Environment")
    name, _ = environment.create(STACK, "Dev", properties())
    bench.upload("v1")
    bench.api.update_environment(EnvironmentName=name, VersionLabel="v1")
    environment.delete(STACK, name, properties())
    assert bench.environment()["Status"] == "Terminated"
