"""Environments: launch, description, health, events, logs, end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from sandbox.cloud import Scope
from tests.unit.sandbox.elasticbeanstalk.bench import (
    APPLICATION,
    ENHANCED,
    PLATFORM,
    PROFILE,
    Bench,
    eventually,
    settings,
    without_ids,
)
from tests.unit.sandbox.elasticbeanstalk.test_applications import refused
from tests.unit.sandbox.local_cloud import ACCOUNT


def test_launches_with_the_sample_application(bench: Bench) -> None:
    made = bench.launch()
    assert (made["Status"], made["Health"], made["HealthStatus"]) == ("Ready", "Green", "Ok")
    assert made["VersionLabel"] == "Sample Application"
    assert made["EnvironmentArn"] == (
        f"arn:aws:elasticbeanstalk:us-east-1:{ACCOUNT}:environment/shop/shop-dev"
    )
    assert made["CNAME"] == made["EndpointURL"]
    assert made["EndpointURL"].startswith("127.0.0.1:")
    status, page = bench.served()
    assert (status, "This is the sample application" in page) == (200, True)
    assert bench.versions() == ["Sample Application"]


def test_answers_at_once_that_it_is_launching(bench: Bench) -> None:
    answer = bench.api.create_environment(
        ApplicationName=APPLICATION,
        EnvironmentName="shop-dev",
        SolutionStackName=PLATFORM,
        OptionSettings=settings(ENHANCED),
    )
    assert (answer["Status"], answer["Health"]) == ("Launching", "Grey")
    assert answer["AbortableOperationInProgress"] is False
    assert "EndpointURL" not in answer


def test_launches_a_version_on_as_many_instances_as_its_minimum(bench: Bench) -> None:
    bench.upload("v1")
    made = bench.launch(version="v1", size=3)
    assert made["VersionLabel"] == "v1"
    assert bench.versions() == ["v1", "v1", "v1"]
    running = bench.administration.instances("shop-dev")
    assert len({one.port for one in running}) == 3
    assert [one.deployment for one in running] == [1, 1, 1]


def test_a_single_instance_environment_has_one(bench: Bench) -> None:
    single = {"aws:elasticbeanstalk:environment/EnvironmentType": "SingleInstance"}
    bench.launch(size=3, options=single)
    assert len(bench.instances()) == 1
    resources = bench.api.describe_environment_resources(EnvironmentName="shop-dev")
    assert resources["EnvironmentResources"]["LoadBalancers"] == []


def test_tells_its_launch_in_order(bench: Bench) -> None:
    made = bench.launch()
    group = bench.service.environments(Scope(ACCOUNT, "us-east-1"))[0].names
    assert without_ids(bench.messages()) == [
        "createEnvironment is starting.",
        f"Using elasticbeanstalk-us-east-1-{ACCOUNT} as Amazon S3 storage bucket for environment "
        "data.",
        "Environment health has transitioned to Pending. Initialization in progress (running for "
        "0 seconds). There are no instances.",
        f"Created load balancer named: {group.balancer}",
        f"Created Auto Scaling group named: {group.group}",
        "Waiting for EC2 instances to launch. This may take a few minutes.",
        "Added instance [i-…] to your environment.",
        "Instance deployment completed successfully.",
        f"Application available at {made['EndpointURL']}.",
        "Successfully launched environment: shop-dev",
        "Environment health has transitioned from Pending to Ok. Initialization completed 0 "
        "seconds ago and took 0 seconds.",
    ]


def test_tells_its_launch_on_eventbridge(bench: Bench) -> None:
    made = bench.launch()
    assert [one[:2] for one in bench.bridge()] == [
        ("Environment creation started", "INFO"),
        ("Environment health changed", "INFO"),
        ("Load balancer created", "INFO"),
        ("Auto Scaling group created", "INFO"),
        ("Instance added", "INFO"),
        ("Environment creation successful", "INFO"),
        ("Environment health changed", "INFO"),
    ]
    first = bench.cloud.events[0]
    assert first.detail_type == "Elastic Beanstalk resource status change"
    assert first.resources == (made["EnvironmentArn"],)
    assert first.detail["Message"] == "createEnvironment is starting."
    assert bench.bridge("Health status change")[-1][2].startswith(
        "Environment health has transitioned from Pending to Ok. Initialization completed"
    )


def test_the_application_gets_its_variables_and_nothing_of_ours(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREETING", "leaked")
    bench.upload("v1")
    bench.launch(version="v1")
    assert bench.served(path="/env") == (200, "-")
    bench.launch(
        "shop-test",
        version="v1",
        options={"aws:elasticbeanstalk:application:environment/GREETING": "hello"},
    )
    assert bench.served("shop-test", "/env") == (200, "hello")


def test_health_has_what_is_asked_for(bench: Bench) -> None:
    bench.launch(size=2)
    bench.served()
    bare = bench.api.describe_environment_health(EnvironmentName="shop-dev")
    assert set(bare) == {"EnvironmentName", "ResponseMetadata"}
    some = bench.api.describe_environment_health(
        EnvironmentName="shop-dev", AttributeNames=["HealthStatus", "Causes"]
    )
    assert set(some) == {"EnvironmentName", "HealthStatus", "Causes", "ResponseMetadata"}
    full = bench.health()
    assert (full["HealthStatus"], full["Color"], full["Status"]) == ("Ok", "Green", "Ready")
    assert full["InstancesHealth"]["Ok"] == 2
    assert full["ApplicationMetrics"]["StatusCodes"]["Status2xx"] == 100
    assert full["ApplicationMetrics"]["Latency"]["P99"] >= 0


def test_instances_health_has_the_deployment_of_each(bench: Bench) -> None:
    bench.upload("v1")
    bench.launch()
    bench.deploy("v1")
    bare = bench.api.describe_instances_health(EnvironmentName="shop-dev")
    assert [set(one) for one in bare["InstanceHealthList"]] == [{"InstanceId"}]
    (one,) = bench.instances()
    assert (one["HealthStatus"], one["Color"]) == ("Ok", "Green")
    deployment = one["Deployment"]
    assert (deployment["VersionLabel"], deployment["DeploymentId"], deployment["Status"]) == (
        "v1",
        2,
        "Deployed",
    )
    assert deployment["DeploymentTime"] >= one["LaunchedAt"].replace(microsecond=0)
    assert one["InstanceType"] == "t3.micro"
    assert one["AvailabilityZone"] == "us-east-1a"


def test_basic_health_has_colours_only(bench: Bench) -> None:
    basic = {"aws:elasticbeanstalk:healthreporting:system/SystemType": "basic"}
    made = bench.launch(options=basic)
    assert made["Health"] == "Green"
    assert "HealthStatus" not in made
    for operation in (
        bench.api.describe_environment_health,
        bench.api.describe_instances_health,
    ):
        with pytest.raises(bench.api.exceptions.InvalidRequestException):
            operation(EnvironmentName="shop-dev")
    assert "Environment health has been set to GREEN" in bench.messages()


def test_environment_health_is_a_metric(bench: Bench) -> None:
    bench.launch()
    eventually(
        lambda: (
            ("AWS/ElasticBeanstalk", "EnvironmentHealth", 0.0, {"EnvironmentName": "shop-dev"})
            in bench.cloud.metrics
        )
    )
    seen = len(bench.cloud.metrics)
    eventually(lambda: len(bench.cloud.metrics) > seen)


def test_events_are_filtered_and_paged(bench: Bench) -> None:
    made = bench.launch()
    bench.upload("v1")
    bench.deploy("v1")
    newest = bench.api.describe_events(EnvironmentName="shop-dev")["Events"]
    request = next(one["RequestId"] for one in newest if "RequestId" in one)
    of_v1 = bench.api.describe_events(RequestId=request)["Events"]
    told = [one["Message"] for one in reversed(of_v1)]
    assert told[0] == "Environment update is starting."
    assert told[-1] == "Environment update completed successfully."
    begun = of_v1[-1]["EventDate"]
    since = bench.api.describe_events(EnvironmentName="shop-dev", StartTime=begun)["Events"]
    assert "Environment update is starting." in [one["Message"] for one in since]
    page = bench.api.describe_events(EnvironmentId=made["EnvironmentId"], MaxRecords=3)
    assert len(page["Events"]) == 3
    following = bench.api.describe_events(
        EnvironmentId=made["EnvironmentId"], MaxRecords=3, NextToken=page["NextToken"]
    )
    assert following["Events"][0]["EventDate"] <= page["Events"][-1]["EventDate"]
    assert bench.api.describe_events(ApplicationName="none")["Events"] == []
    with pytest.raises(ClientError):
        bench.api.describe_events(NextToken="made-up")


def test_no_event_of_an_environment_names_the_version(bench: Bench) -> None:
    """Those of application versions do."""
    bench.launch()
    bench.upload("v1")
    bench.deploy("v1")
    told = bench.api.describe_events(EnvironmentName="shop-dev")["Events"]
    assert "Environment update completed successfully." in {one["Message"] for one in told}
    assert not [one for one in told if "VersionLabel" in one]
    [made] = bench.api.describe_events(VersionLabel="v1")["Events"]
    assert made["Message"] == "Created new Application Version: v1"


def test_environments_are_found_by_every_filter(bench: Bench) -> None:
    made = bench.launch()
    other = bench.launch("shop-test")

    def names(**filters: Any) -> list[str]:
        found = bench.api.describe_environments(**filters)["Environments"]
        return [one["EnvironmentName"] for one in found]

    assert names() == ["shop-dev", "shop-test"]
    assert names(EnvironmentIds=[other["EnvironmentId"]]) == ["shop-test"]
    assert names(EnvironmentNames=["shop-dev"], ApplicationName="none") == []
    assert names(VersionLabel="Sample Application") == ["shop-dev", "shop-test"]
    assert names(MaxRecords=1) == ["shop-dev"]
    assert made["EnvironmentId"] != other["EnvironmentId"]


def test_who_may_not_see_environments_finds_none(bench: Bench) -> None:
    bench.launch()
    bench.cloud.denied.add("elasticbeanstalk:DescribeEnvironments")
    assert bench.api.describe_environments()["Environments"] == []


def test_resources_are_named_as_beanstalk_names_them(bench: Bench) -> None:
    made = bench.launch(size=2)
    found = bench.api.describe_environment_resources(EnvironmentId=made["EnvironmentId"])
    resources = found["EnvironmentResources"]
    assert len(resources["Instances"]) == 2
    (group,) = resources["AutoScalingGroups"]
    assert group["Name"].startswith(f"awseb-{made['EnvironmentId']}-stack-AWSEBAutoScalingGroup-")
    (balancer,) = resources["LoadBalancers"]
    assert balancer["Name"].startswith(
        f"arn:aws:elasticloadbalancing:us-east-1:{ACCOUNT}:loadbalancer/app/awseb-"
    )


def test_its_instances_may_read_beanstalks_bucket(bench: Bench) -> None:
    bench.launch()
    bucket = f"elasticbeanstalk-us-east-1-{ACCOUNT}"
    policy = json.loads(bench.s3.get_bucket_policy(Bucket=bucket)["Policy"])
    statements = {one["Sid"]: one for one in policy["Statement"]}
    assert statements[f"eb-read-{PROFILE}"]["Principal"] == {
        "AWS": f"arn:aws:iam::{ACCOUNT}:role/{PROFILE}"
    }
    assert statements["eb-keep"]["Action"] == "s3:DeleteBucket"


def test_logs_are_streamed_when_wanted(bench: Bench) -> None:
    bench.upload("v1")
    bench.launch(
        version="v1",
        options={
            "aws:elasticbeanstalk:cloudwatch:logs/StreamLogs": "true",
            "aws:elasticbeanstalk:cloudwatch:logs/RetentionInDays": "14",
            "aws:elasticbeanstalk:cloudwatch:logs/DeleteOnTerminate": "true",
        },
    )
    (one,) = bench.administration.instances("shop-dev")
    group = "/aws/elasticbeanstalk/shop-dev/var/log/web.stdout.log"
    eventually(lambda: bench.cloud.logs.get((group, one.instance_id)) == ["starting v1"])
    logs = bench.cloud.clients["logs"]
    found = logs.describe_log_groups(logGroupNamePrefix="/aws/elasticbeanstalk/shop-dev/")
    assert {one["logGroupName"]: one["retentionInDays"] for one in found["logGroups"]} == {
        group: 14,
        "/aws/elasticbeanstalk/shop-dev/var/log/eb-engine.log": 14,
    }
    bench.api.terminate_environment(EnvironmentName="shop-dev")
    bench.wait()
    left = logs.describe_log_groups(logGroupNamePrefix="/aws/elasticbeanstalk/shop-dev/")
    assert left["logGroups"] == []


def test_logs_are_not_streamed_unasked(bench: Bench) -> None:
    bench.launch()
    assert bench.cloud.logs == {}


def test_termination_leaves_a_description_for_a_while(bench: Bench) -> None:
    made = bench.launch()
    answer = bench.api.terminate_environment(EnvironmentName="shop-dev")
    assert answer["Status"] == "Terminating"
    assert bench.wait()["Health"] == "Grey"
    assert bench.api.describe_environments()["Environments"] == []
    (left,) = bench.api.describe_environments(IncludeDeleted=True)["Environments"]
    assert (left["Status"], left["EnvironmentId"]) == ("Terminated", made["EnvironmentId"])
    statuses = [one[0] for one in bench.bridge()]
    assert statuses.index("Environment termination started") < statuses.index("Instance removed")
    assert statuses[-1] == "Environment termination successful"
    again = bench.launch()
    assert again["EnvironmentId"] != made["EnvironmentId"]


def test_a_missing_instance_profile_fails_the_launch(bench: Bench) -> None:
    ended = bench.launch(
        options={"aws:autoscaling:launchconfiguration/IamInstanceProfile": "nobody"}
    )
    assert ended["Status"] == "Terminated"
    assert bench.messages(severity="ERROR") == [
        "The instance profile nobody associated with the environment does not exist.",
        "Failed to launch environment.",
    ]
    assert ("Environment creation failed", "ERROR", "Failed to launch environment.") in (
        bench.bridge()
    )


@pytest.fixture
def no_default_vpc(bench: Bench) -> Iterator[None]:
    """A Region whose default VPC somebody deleted, as security teams do."""
    ec2 = bench.cloud.clients["ec2"]
    [vpc] = ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    for subnet in ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])[
        "Subnets"
    ]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=vpc["VpcId"])
    yield
    ec2.create_default_vpc()


@pytest.mark.usefixtures("no_default_vpc")
def test_without_a_default_vpc_an_environment_has_nothing_in_it(bench: Bench) -> None:
    ended = bench.launch()
    assert (ended["Status"], bench.instances()) == ("Ready", [])
    assert "No default VPC for this user" in bench.messages(severity="ERROR")[1]
    bench.api.terminate_environment(EnvironmentName="shop-dev")
    assert bench.wait()["Status"] == "Terminated"


@pytest.mark.usefixtures("no_default_vpc")
def test_an_environment_in_a_vpc_needs_no_default_one(bench: Bench) -> None:
    ended = bench.launch(options={"aws:ec2:vpc/VPCId": "vpc-0123456789abcdef0"})
    assert (ended["Status"], len(bench.instances())) == ("Ready", 1)


def test_no_instance_profile_fails_the_launch(bench: Bench) -> None:
    bench.launch(options={"aws:autoscaling:launchconfiguration/IamInstanceProfile": ""})
    assert bench.messages(severity="ERROR")[0] == (
        "Environment must have instance profile associated with it."
    )


def test_an_instance_profile_without_a_role_fails_the_launch(bench: Bench) -> None:
    bench.cloud.clients["iam"].remove_role_from_instance_profile(
        InstanceProfileName=PROFILE, RoleName=PROFILE
    )
    bench.launch()
    assert "has no role" in bench.messages(severity="ERROR")[0]


@pytest.mark.parametrize("mode", ["dies", "bad"])
def test_a_version_that_does_not_serve_is_launched_with_issues(bench: Bench, mode: str) -> None:
    bench.upload("v1", mode)
    made = bench.launch(version="v1")
    assert (made["Status"], made["Health"]) == ("Ready", "Red")
    assert bench.messages(severity="ERROR")[-1] == (
        "Create environment operation is complete, but with errors. For more information, see "
        "troubleshooting documentation."
    )
    told = [one for one in bench.bridge() if one[0] == "Environment creation successful"]
    assert told[0][2].startswith("Launched environment: shop-dev. However, there were issues")


@pytest.mark.parametrize(
    ("changes", "code", "told"),
    [
        ({"EnvironmentName": "-dash"}, "InvalidParameterValue", "'EnvironmentName'"),
        (
            {"ApplicationName": "none"},
            "InvalidParameterValue",
            "No Application named 'none' found.",
        ),
        (
            {"VersionLabel": "none"},
            "InvalidParameterValue",
            "No Application Version named 'none' found.",
        ),
        (
            {"SolutionStackName": "64bit Windows"},
            "InvalidParameterValue",
            "No Solution Stack named '64bit Windows' found.",
        ),
        (
            {"TemplateName": "none"},
            "InvalidParameterValue",
            "No Configuration Template named 'none' found.",
        ),
        (
            {"OptionSettings": settings({"aws:nothing/Such": "1"})},
            "ConfigurationValidationException",
            "Unknown configuration setting.",
        ),
        ({"Tier": {"Name": "Worker"}}, "NotImplemented", "tier Worker"),
        ({"OperationsRole": "role"}, "NotImplemented", "OperationsRole"),
    ],
)
def test_a_launch_is_refused(bench: Bench, changes: dict[str, Any], code: str, told: str) -> None:
    request = {
        "ApplicationName": APPLICATION,
        "EnvironmentName": "shop-dev",
        "SolutionStackName": PLATFORM,
        "OptionSettings": settings(ENHANCED),
        **changes,
    }
    with pytest.raises(ClientError) as error:
        bench.api.create_environment(**request)
    assert refused(error)[0] == code
    assert told in refused(error)[1]
    assert bench.api.describe_environments()["Environments"] == []


def test_a_name_is_taken_once(bench: Bench) -> None:
    bench.launch()
    with pytest.raises(ClientError) as error:
        bench.launch()
    assert refused(error) == ("InvalidParameterValue", "Environment shop-dev already exists.")


def test_names_have_four_to_forty_characters(bench: Bench) -> None:
    with pytest.raises(ParamValidationError):
        bench.launch("dev")


def test_a_dns_prefix_is_taken_once(bench: Bench) -> None:
    request = {
        "ApplicationName": APPLICATION,
        "SolutionStackName": PLATFORM,
        "CNAMEPrefix": "shop",
        "OptionSettings": settings(ENHANCED),
    }
    free = bench.api.check_dns_availability(CNAMEPrefix="shop")
    assert free["Available"] is True
    assert free["FullyQualifiedCNAME"] == "shop.us-east-1.elasticbeanstalk.com"
    bench.api.create_environment(EnvironmentName="shop-dev", **request)
    assert bench.api.check_dns_availability(CNAMEPrefix="shop")["Available"] is False
    with pytest.raises(ClientError) as error:
        bench.api.create_environment(EnvironmentName="shop-test", **request)
    assert refused(error)[1] == ("DNS name (shop.us-east-1.elasticbeanstalk.com) is not available.")


def test_iam_judges_on_the_resource(bench: Bench) -> None:
    bench.launch()
    scope = Scope(ACCOUNT, "us-east-1")
    version = {"ApplicationName": "a", "VersionLabel": "v"}
    table: list[tuple[str, dict[str, Any], str | None]] = [
        ("CreateApplication", {"ApplicationName": "a"}, "application/a"),
        ("DescribeApplications", {}, None),
        ("CreateApplicationVersion", version, "applicationversion/a/v"),
        ("DescribeApplicationVersions", {"ApplicationName": "a"}, "applicationversion/a/*"),
        ("UpdateEnvironment", {"EnvironmentName": "shop-dev"}, "environment/shop/shop-dev"),
        ("UpdateEnvironment", {"EnvironmentName": "none"}, "environment/*/none"),
        (
            "CreateEnvironment",
            {"ApplicationName": "a", "EnvironmentName": "env1"},
            "environment/a/env1",
        ),
        ("DescribeEvents", {"EnvironmentName": "shop-dev"}, "environment/shop/shop-dev"),
        ("DescribeEvents", {"ApplicationName": "a"}, "application/a"),
        ("DescribeEvents", {}, None),
        (
            "DescribeConfigurationSettings",
            {"ApplicationName": "a", "TemplateName": "t"},
            "configurationtemplate/a/t",
        ),
        ("CheckDNSAvailability", {"CNAMEPrefix": "p"}, None),
    ]
    for operation, request, resource in table:
        expected = scope.arn("elasticbeanstalk", resource) if resource else "*"
        assert bench.service.resource_arn(scope, operation, request) == expected, operation


def test_an_environment_is_found_by_its_id_for_iam(bench: Bench) -> None:
    made = bench.launch()
    scope = Scope(ACCOUNT, "us-east-1")
    found = bench.service.resource_arn(
        scope, "UpdateEnvironment", {"EnvironmentId": made["EnvironmentId"]}
    )
    assert found == made["EnvironmentArn"]
