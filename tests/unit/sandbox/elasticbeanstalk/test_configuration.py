"""Configuration updates: size, variables, instances, platform; and going back."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.unit.sandbox.elasticbeanstalk.bench import (
    SCOPE,
    Bench,
    eventually,
    settings,
    without_ids,
)
from tests.unit.sandbox.elasticbeanstalk.test_applications import refused

VARIABLE = "aws:elasticbeanstalk:application:environment/GREETING"
MINIMUM = "aws:autoscaling:asg/MinSize"
TYPES = "aws:ec2:instances/InstanceTypes"


def configured(bench: Bench, **values: str) -> None:
    bench.api.update_environment(EnvironmentName="shop-dev", OptionSettings=settings(values))
    bench.wait()


def instances(bench: Bench) -> list[str]:
    return [one.instance_id for one in bench.administration.instances("shop-dev")]


@pytest.fixture
def running(bench: Bench) -> Bench:
    bench.upload("v1")
    bench.launch(version="v1", size=2)
    return bench


def test_a_larger_minimum_launches_instances(running: Bench) -> None:
    before = instances(running)
    configured(running, **{MINIMUM: "3"})
    assert instances(running)[:2] == before
    assert running.versions() == ["v1", "v1", "v1"]
    assert {one["Deployment"]["DeploymentId"] for one in running.instances()} == {1}


def test_the_kind_of_load_balancer_is_chosen_once(running: Bench) -> None:
    kind = "aws:elasticbeanstalk:environment/LoadBalancerType"
    alone = "aws:elasticbeanstalk:environment/EnvironmentType"
    with pytest.raises(ClientError, match="LoadBalancerType option cannot be changed"):
        configured(running, **{kind: "network"})
    configured(running, **{alone: "SingleInstance", kind: "classic"})
    with pytest.raises(ClientError, match="LoadBalancerType option cannot be changed"):
        configured(running, **{alone: "LoadBalanced", kind: "application"})


def test_a_smaller_minimum_terminates_instances(running: Bench) -> None:
    before = instances(running)
    configured(running, **{MINIMUM: "1"})
    assert instances(running) == before[:1]
    assert running.environment()["HealthStatus"] == "Ok"


def test_variables_reach_the_application_by_a_new_deployment(running: Bench) -> None:
    before = instances(running)
    configured(running, **{VARIABLE: "hello"})
    assert running.served(path="/env") == (200, "hello")
    assert instances(running) == before
    assert {one["Deployment"]["DeploymentId"] for one in running.instances()} == {2}
    assert running.environment()["VersionLabel"] == "v1"
    running.api.update_environment(
        EnvironmentName="shop-dev",
        OptionsToRemove=[
            {
                "Namespace": "aws:elasticbeanstalk:application:environment",
                "OptionName": "GREETING",
            }
        ],
    )
    running.wait()
    assert running.served(path="/env") == (200, "-")


@pytest.mark.parametrize(
    "more",
    [
        {},
        {
            "aws:autoscaling:updatepolicy:rollingupdate/RollingUpdateEnabled": "true",
            "aws:autoscaling:updatepolicy:rollingupdate/MaxBatchSize": "1",
        },
        {"aws:autoscaling:updatepolicy:rollingupdate/RollingUpdateType": "Immutable"},
    ],
)
def test_another_instance_type_replaces_the_instances(running: Bench, more: dict[str, str]) -> None:
    before = instances(running)
    configured(running, **{TYPES: "t3.large", **more})
    assert not set(before) & set(instances(running))
    assert {one["InstanceType"] for one in running.instances()} == {"t3.large"}
    assert running.versions() == ["v1", "v1"]
    assert running.environment()["HealthStatus"] == "Ok"


def test_another_platform_version_replaces_the_instances(running: Bench) -> None:
    before = instances(running)
    arn = running.environment()["PlatformArn"].replace("4.5.2", "4.6.0")
    running.api.update_environment(EnvironmentName="shop-dev", PlatformArn=arn)
    after = running.wait()
    assert after["PlatformArn"] == arn
    assert after["SolutionStackName"] == "64bit Amazon Linux 2023 v4.6.0 running Python 3.13"
    assert not set(before) & set(instances(running))


def test_an_update_is_told_on_both_ways(running: Bench) -> None:
    configured(running, **{MINIMUM: "3"})
    messages = [
        one
        for one in without_ids(running.messages())
        if not one.startswith("Environment health has")
    ]
    assert messages[messages.index("Environment update is starting.") :] == [
        "Environment update is starting.",
        "Updating environment shop-dev's configuration settings.",
        "Added instance [i-…] to your environment.",
        "Instance deployment completed successfully.",
        "Successfully deployed new configuration to environment.",
        "Environment update completed successfully.",
    ]
    assert [one[0] for one in running.bridge("Elastic Beanstalk resource status change")][-2:] == [
        "Environment update started",
        "Environment update successful",
    ]


def test_a_missing_right_fails_the_update_and_goes_back(running: Bench) -> None:
    running.cloud.denied.add("cloudformation:UpdateStack")
    configured(running, **{MINIMUM: "3", VARIABLE: "hello"})
    assert len(running.instances()) == 2
    assert running.served(path="/env") == (200, "-")
    (found,) = running.api.describe_configuration_settings(
        ApplicationName="shop", EnvironmentName="shop-dev"
    )["ConfigurationSettings"]
    assert {"Namespace": "aws:autoscaling:asg", "OptionName": "MinSize", "Value": "2"} in found[
        "OptionSettings"
    ]
    assert "The environment was reverted to the previous configuration setting." in (
        running.messages()
    )
    failed = ("Environment update failed", "ERROR", "Failed to deploy configuration.")
    assert failed in running.bridge()


def test_variables_that_break_the_application_are_taken_back(bench: Bench) -> None:
    bench.upload("v1", "turns")
    flag = "aws:elasticbeanstalk:application:environment/FLAG"
    bench.launch(version="v1", size=2, options={flag: "/nonexistent"})
    configured(bench, **{flag: "/"})
    assert bench.served() == (200, "v1")
    assert bench.environment()["HealthStatus"] == "Ok"
    assert bench.service.environment(SCOPE, name="shop-dev").settings.variables == {
        "FLAG": "/nonexistent"
    }


def test_a_configuration_update_that_is_aborted_goes_back(bench: Bench) -> None:
    bench.upload("v1", "turns")
    flag = "aws:elasticbeanstalk:application:environment/FLAG"
    bench.launch(version="v1", options={flag: "/nonexistent"})
    bench.api.update_environment(EnvironmentName="shop-dev", OptionSettings=settings({flag: "/"}))
    bench.api.abort_environment_update(EnvironmentName="shop-dev")
    bench.wait()
    assert bench.served() == (200, "v1")


def test_a_wrong_value_is_refused_at_once(running: Bench) -> None:
    with pytest.raises(ClientError) as error:
        configured(running, **{MINIMUM: "9"})
    assert refused(error)[0] == "ConfigurationValidationException"
    assert running.environment()["Status"] == "Ready"


def test_a_description_changes_nothing_else(running: Bench) -> None:
    before = len(running.messages())
    answer = running.api.update_environment(EnvironmentName="shop-dev", Description="the shop")
    assert (answer["Description"], answer["Status"]) == ("the shop", "Ready")
    assert len(running.messages()) == before


def test_a_saved_configuration_is_applied(running: Bench) -> None:
    running.api.create_configuration_template(
        ApplicationName="shop",
        TemplateName="three",
        EnvironmentId=running.environment()["EnvironmentId"],
        OptionSettings=settings({MINIMUM: "3"}),
    )
    running.api.update_environment(EnvironmentName="shop-dev", TemplateName="three")
    running.wait()
    assert len(running.instances()) == 3


def test_a_new_health_path_is_probed(running: Bench) -> None:
    configured(
        running,
        **{"aws:elasticbeanstalk:environment:process:default/MatcherHTTPCode": "204"},
    )
    eventually(lambda: running.environment()["HealthStatus"] == "Severe")
