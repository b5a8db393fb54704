"""Pipeline, builds and environments, as the services describe them."""

from __future__ import annotations

import pytest

from operations.template import load
from tests.live.conftest import Live


def test_five_stages_with_the_approval_before_production(live: Live) -> None:
    pipeline = live.client("codepipeline").get_pipeline(name=live.outputs["PipelineName"])
    described = pipeline["pipeline"]
    assert described["pipelineType"] == "V2"
    assert [stage["name"] for stage in described["stages"]] == [
        "Source",
        "Build",
        "DeployToDev",
        "DeployToTest",
        "DeployToProd",
    ]
    actions = [
        (stage["name"], action["name"], action["actionTypeId"]["category"])
        for stage in described["stages"]
        for action in sorted(stage["actions"], key=lambda action: action["runOrder"])
    ]
    approval = actions.index(("DeployToTest", "Approve", "Approval"))
    assert actions[approval + 1][0] == "DeployToProd"
    assert [kind for _, _, kind in actions].count("Approval") == 1


def test_artifacts_are_encrypted_with_the_key(live: Live) -> None:
    described = live.client("codepipeline").get_pipeline(name=live.outputs["PipelineName"])
    store = described["pipeline"]["artifactStore"]
    assert store["location"] == live.outputs["ArtifactBucketName"]
    assert store["encryptionKey"] == {"id": live.outputs["KmsKeyArn"], "type": "KMS"}


def test_builds_are_encrypted_unprivileged_and_logged(live: Live) -> None:
    names = [live.outputs["BuildProjectName"]]
    if live.outputs["ChecksProjectName"] != "-":
        names.append(live.outputs["ChecksProjectName"])
    projects = live.client("codebuild").batch_get_projects(names=names)["projects"]
    assert {project["name"] for project in projects} == set(names)
    for project in projects:
        assert project["encryptionKey"] == live.outputs["KmsKeyArn"], project["name"]
        assert project["environment"]["privilegedMode"] is False, project["name"]
        logs = project["logsConfig"]["cloudWatchLogs"]
        assert logs["status"] == "ENABLED", project["name"]
        assert logs["groupName"] == f"/aws/codebuild/{project['name']}"


def test_three_environments_are_ready_under_enhanced_health(live: Live) -> None:
    beanstalk = live.client("elasticbeanstalk")
    described = beanstalk.describe_environments(
        ApplicationName=live.outputs["ApplicationName"], IncludeDeleted=False
    )["Environments"]
    states = {found["EnvironmentName"]: found["Status"] for found in described}
    assert states == dict.fromkeys(live.environments.values(), "Ready")
    for environment in live.environments.values():
        # Refused for an environment with basic health.
        health = beanstalk.describe_environment_health(
            EnvironmentName=environment, AttributeNames=["All"]
        )
        assert health["HealthStatus"] in {"Ok", "Info", "Pending", "Warning"}, environment


@pytest.mark.parametrize("name", ["Dev", "Test", "Prod"])
def test_environments_have_the_sizes_and_settings_of_the_table(live: Live, name: str) -> None:
    row = load()["Mappings"]["Environment"][name]
    [described] = live.client("elasticbeanstalk").describe_configuration_settings(
        ApplicationName=live.outputs["ApplicationName"], EnvironmentName=live.environments[name]
    )["ConfigurationSettings"]
    found = {
        (option["Namespace"], option["OptionName"]): option.get("Value")
        for option in described["OptionSettings"]
    }
    single = name == "Dev" and live.parameters["DevEnvironmentType"] == "SingleInstance"
    assert found["aws:autoscaling:asg", "MinSize"] == row["MinSize"]
    assert found["aws:autoscaling:asg", "MaxSize"] == ("1" if single else row["MaxSize"])
    assert found["aws:ec2:instances", "InstanceTypes"] == row["InstanceTypes"]
    assert found["aws:elasticbeanstalk:command", "DeploymentPolicy"] == row["DeploymentPolicy"]
    reporting = "aws:elasticbeanstalk:healthreporting:system"
    assert found[reporting, "SystemType"] == "enhanced"
    assert found["aws:autoscaling:launchconfiguration", "DisableIMDSv1"] == "true"
    assert found["aws:elasticbeanstalk:cloudwatch:logs", "StreamLogs"] == "true"
    assert found["aws:elasticbeanstalk:managedactions", "ManagedActionsEnabled"] == "true"


@pytest.mark.aws_only
def test_instances_answer_the_metadata_service_by_token_only(live: Live) -> None:
    """Only AWS has instances; the sandbox's are processes of this machine."""
    pages = (
        live.client("ec2")
        .get_paginator("describe_instances")
        .paginate(
            Filters=[
                {
                    "Name": "tag:elasticbeanstalk:environment-name",
                    "Values": list(live.environments.values()),
                },
                {"Name": "instance-state-name", "Values": ["running"]},
            ]
        )
    )
    instances = [
        instance
        for page in pages
        for reservation in page["Reservations"]
        for instance in reservation["Instances"]
    ]
    assert instances
    for instance in instances:
        assert instance["MetadataOptions"]["HttpTokens"] == "required", instance["InstanceId"]
        tags = {tag["Key"] for tag in instance["Tags"]}
        assert tags >= {"Project", "Owner", "CostCenter"}, instance["InstanceId"]
