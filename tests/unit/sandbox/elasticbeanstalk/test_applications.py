"""Applications, versions, saved configurations, tags, platforms: the records of the API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.unit.sandbox.elasticbeanstalk.bench import (
    APPLICATION,
    BUCKET,
    PLATFORM,
    SCOPE,
    Bench,
    bundle,
    eventually,
    settings,
)
from tests.unit.sandbox.local_cloud import ACCOUNT, client

ARN = f"arn:aws:elasticbeanstalk:us-east-1:{ACCOUNT}"


def refused(error: pytest.ExceptionInfo[Exception]) -> tuple[str, str]:
    assert isinstance(error.value, ClientError)
    told = error.value.response["Error"]
    return told["Code"], told["Message"]


def labels(bench: Bench) -> list[str]:
    found = bench.api.describe_application_versions(ApplicationName=APPLICATION)
    return [one["VersionLabel"] for one in found["ApplicationVersions"]]


def test_an_application_is_made_changed_and_described(bench: Bench) -> None:
    made = bench.api.create_application(ApplicationName="other", Description="one")["Application"]
    assert made["ApplicationArn"] == f"{ARN}:application/other"
    bench.api.update_application(ApplicationName="other", Description="two")
    (found,) = bench.api.describe_applications(ApplicationNames=["other"])["Applications"]
    assert (found["Description"], found["Versions"]) == ("two", [])
    assert len(bench.api.describe_applications()["Applications"]) == 2


def test_an_application_exists_once(bench: Bench) -> None:
    with pytest.raises(ClientError) as error:
        bench.api.create_application(ApplicationName=APPLICATION)
    assert refused(error) == ("InvalidParameterValue", "Application shop already exists.")


def test_regions_know_nothing_of_each_other(bench: Bench) -> None:
    elsewhere = client(bench.api.meta.endpoint_url, "elasticbeanstalk", "us-west-2")
    assert elsewhere.describe_applications()["Applications"] == []


def test_an_application_with_a_running_environment_is_not_deleted(bench: Bench) -> None:
    bench.launch()
    with pytest.raises(ClientError) as error:
        bench.api.delete_application(ApplicationName=APPLICATION)
    assert refused(error) == (
        "InvalidParameterValue",
        "Unable to delete application shop because it has a version that is deployed to a "
        "running environment.",
    )
    bench.api.delete_application(ApplicationName=APPLICATION, TerminateEnvByForce=True)
    bench.wait()
    assert bench.api.describe_applications()["Applications"] == []


def test_a_version_has_its_bundle(bench: Bench) -> None:
    bench.s3.put_object(Bucket=BUCKET, Key="v1.zip", Body=bundle("v1"))
    source = {"S3Bucket": BUCKET, "S3Key": "v1.zip"}
    made = bench.api.create_application_version(
        ApplicationName=APPLICATION, VersionLabel="v1", SourceBundle=source, Description="first"
    )["ApplicationVersion"]
    assert made["ApplicationVersionArn"] == f"{ARN}:applicationversion/shop/v1"
    assert (made["SourceBundle"], made["Status"]) == (source, "Unprocessed")
    assert ("s3:GetObject", f"arn:aws:s3:::{BUCKET}/v1.zip") in bench.cloud.authorized
    (application,) = bench.api.describe_applications()["Applications"]
    assert application["Versions"] == ["v1"]


def test_versions_are_described_newest_first_and_in_pages(bench: Bench) -> None:
    for label in ("v1", "v2", "v3"):
        bench.upload(label)
    assert labels(bench) == ["v3", "v2", "v1"]
    page = bench.api.describe_application_versions(ApplicationName=APPLICATION, MaxRecords=2)
    rest = bench.api.describe_application_versions(
        ApplicationName=APPLICATION, MaxRecords=2, NextToken=page["NextToken"]
    )
    assert [one["VersionLabel"] for one in page["ApplicationVersions"]] == ["v3", "v2"]
    assert [one["VersionLabel"] for one in rest["ApplicationVersions"]] == ["v1"]
    assert "NextToken" not in rest


def test_a_version_whose_bundle_is_not_there_is_refused(bench: Bench) -> None:
    with pytest.raises(ClientError) as error:
        bench.api.create_application_version(
            ApplicationName=APPLICATION,
            VersionLabel="v1",
            SourceBundle={"S3Bucket": BUCKET, "S3Key": "gone.zip"},
        )
    assert refused(error) == (
        "InvalidParameterCombination",
        "Unable to download from S3 location (Bucket: bundles  Key: gone.zip). Reason: Not Found",
    )
    assert labels(bench) == []


def test_a_version_whose_bundle_the_caller_may_not_read_is_refused(bench: Bench) -> None:
    bench.s3.put_object(Bucket=BUCKET, Key="v1.zip", Body=bundle("v1"))
    bench.cloud.denied.add("s3:GetObject")
    with pytest.raises(ClientError) as error:
        bench.api.create_application_version(
            ApplicationName=APPLICATION,
            VersionLabel="v1",
            SourceBundle={"S3Bucket": BUCKET, "S3Key": "v1.zip"},
        )
    assert refused(error)[1].endswith("Reason: Forbidden")


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (
            {"ApplicationName": "none", "VersionLabel": "v1"},
            ("InvalidParameterValue", "No Application named 'none' found."),
        ),
        (
            {"ApplicationName": APPLICATION, "VersionLabel": "taken"},
            ("InvalidParameterValue", "Application Version taken already exists."),
        ),
    ],
)
def test_a_version_is_refused(
    bench: Bench, request_: dict[str, Any], told: tuple[str, str]
) -> None:
    bench.upload("taken")
    with pytest.raises(ClientError) as error:
        bench.api.create_application_version(**request_)
    assert refused(error) == told


def test_a_version_can_make_its_application(bench: Bench) -> None:
    bench.api.create_application_version(
        ApplicationName="fresh", VersionLabel="v1", AutoCreateApplication=True
    )
    assert bench.api.describe_applications(ApplicationNames=["fresh"])["Applications"]


@pytest.mark.parametrize(("body", "status"), [(bundle("v1"), "Processed"), (b"no zip", "Failed")])
def test_a_version_is_processed_on_demand(bench: Bench, body: bytes, status: str) -> None:
    bench.s3.put_object(Bucket=BUCKET, Key="v1.zip", Body=body)
    made = bench.api.create_application_version(
        ApplicationName=APPLICATION,
        VersionLabel="v1",
        SourceBundle={"S3Bucket": BUCKET, "S3Key": "v1.zip"},
        Process=True,
    )
    assert made["ApplicationVersion"]["Status"] == "Processing"

    def now() -> str:
        (found,) = bench.api.describe_application_versions(VersionLabels=["v1"])[
            "ApplicationVersions"
        ]
        return str(found["Status"])

    eventually(lambda: now() == status)
    told = [one["Message"] for one in bench.api.describe_events(VersionLabel="v1")["Events"]]
    assert told[0] == (
        f"Finished processing application version. Version label: v1 Status: {status.upper()}."
    )


def test_a_version_is_deleted_with_its_bundle(bench: Bench) -> None:
    bench.upload("v1")
    bench.api.delete_application_version(
        ApplicationName=APPLICATION, VersionLabel="v1", DeleteSourceBundle=True
    )
    assert labels(bench) == []
    assert bench.s3.list_objects_v2(Bucket=BUCKET).get("Contents", []) == []


def test_a_bundle_that_may_not_be_deleted_keeps_its_version(bench: Bench) -> None:
    bench.upload("v1")
    bench.cloud.denied.add("s3:DeleteObject")
    with pytest.raises(bench.api.exceptions.SourceBundleDeletionException):
        bench.api.delete_application_version(
            ApplicationName=APPLICATION, VersionLabel="v1", DeleteSourceBundle=True
        )
    assert labels(bench) == ["v1"]


def test_a_deployed_version_is_not_deleted(bench: Bench) -> None:
    bench.upload("v1")
    bench.launch(version="v1")
    with pytest.raises(ClientError) as error:
        bench.api.delete_application_version(ApplicationName=APPLICATION, VersionLabel="v1")
    assert refused(error)[0] == "InvalidParameterValue"
    assert labels(bench) == ["v1"]


def test_the_lifecycle_keeps_the_newest_and_what_is_deployed(bench: Bench) -> None:
    bench.upload("v1")
    bench.launch(version="v1")
    bench.api.update_application_resource_lifecycle(
        ApplicationName=APPLICATION,
        ResourceLifecycleConfig={
            "ServiceRole": f"arn:aws:iam::{ACCOUNT}:role/service",
            "VersionLifecycleConfig": {
                "MaxCountRule": {"Enabled": True, "MaxCount": 2, "DeleteSourceFromS3": True}
            },
        },
    )
    for label in ("v2", "v3", "v4"):
        bench.upload(label)
    assert labels(bench) == ["v4", "v3", "v1"]
    keys = [one["Key"] for one in bench.s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert keys == ["v1.zip", "v3.zip", "v4.zip"]


def test_a_lifecycle_needs_a_role_the_first_time(bench: Bench) -> None:
    with pytest.raises(ClientError) as error:
        bench.api.update_application_resource_lifecycle(
            ApplicationName=APPLICATION,
            ResourceLifecycleConfig={
                "VersionLifecycleConfig": {"MaxCountRule": {"Enabled": True, "MaxCount": 2}}
            },
        )
    assert "ServiceRole" in refused(error)[1]


def test_the_storage_location_is_one_bucket(bench: Bench) -> None:
    for _ in range(2):
        answer = bench.api.create_storage_location()
        assert answer["S3Bucket"] == f"elasticbeanstalk-us-east-1-{ACCOUNT}"
    bench.cloud.denied.add("s3:CreateBucket")
    with pytest.raises(bench.api.exceptions.InsufficientPrivilegesException):
        bench.api.create_storage_location()


def test_tags_are_added_changed_and_removed(bench: Bench) -> None:
    bench.upload("v1")
    for arn in (f"{ARN}:application/shop", f"{ARN}:applicationversion/shop/v1"):
        bench.api.update_tags_for_resource(
            ResourceArn=arn, TagsToAdd=[{"Key": "Owner", "Value": "a"}, {"Key": "x", "Value": "y"}]
        )
        bench.api.update_tags_for_resource(
            ResourceArn=arn, TagsToAdd=[{"Key": "Owner", "Value": "b"}], TagsToRemove=["x"]
        )
        found = bench.api.list_tags_for_resource(ResourceArn=arn)
        assert found["ResourceTags"] == [{"Key": "Owner", "Value": "b"}]
    last = bench.cloud.events[-1]
    assert (last.source, last.detail_type) == ("aws.tag", "Tag Change on Resource")
    assert last.resources == (f"{ARN}:applicationversion/shop/v1",)
    assert last.detail == {
        "changed-tag-keys": ["Owner", "x"],
        "service": "elasticbeanstalk",
        "resource-type": "applicationversion",
        "version": 1,
        "tags": {"Owner": "b"},
    }


def test_an_environment_has_beanstalks_own_tags(bench: Bench) -> None:
    made = bench.launch()
    found = bench.api.list_tags_for_resource(ResourceArn=made["EnvironmentArn"])["ResourceTags"]
    assert {one["Key"]: one["Value"] for one in found} == {
        "Name": "shop-dev",
        "elasticbeanstalk:environment-id": made["EnvironmentId"],
        "elasticbeanstalk:environment-name": "shop-dev",
    }


def test_what_an_environment_runs_on_carries_its_tags(bench: Bench) -> None:
    propagated = "aws:autoscaling:launchconfiguration/LaunchTemplateTagPropagationEnabled"
    made = bench.launch(size=2, options={propagated: "true"})
    tags = dict(bench.service.tagged_resources(SCOPE))
    mine = {arn for arn, its in tags.items() if its == tags[made["EnvironmentArn"]]}
    kinds = sorted(arn.split(":", 5)[5].replace("/", ":").split(":")[0] for arn in mine)
    assert kinds == [
        "autoScalingGroup",
        "environment",
        "instance",
        "instance",
        "launch-template",
        "loadbalancer",
        "targetgroup",
    ]
    bench.launch("shop-test")
    assert sum("launch-template" in arn for arn, _ in bench.service.tagged_resources(SCOPE)) == 1


def test_what_is_not_there_has_no_tags(bench: Bench) -> None:
    with pytest.raises(bench.api.exceptions.ResourceNotFoundException):
        bench.api.list_tags_for_resource(ResourceArn=f"{ARN}:application/none")
    with pytest.raises(bench.api.exceptions.ResourceTypeNotSupportedException):
        bench.api.list_tags_for_resource(ResourceArn=f"{ARN}:rocket/none")


def test_platforms(bench: Bench) -> None:
    assert PLATFORM in bench.api.list_available_solution_stacks()["SolutionStacks"]
    found = bench.api.list_platform_versions(
        Filters=[{"Type": "PlatformName", "Operator": "begins_with", "Values": ["Python 3.13"]}]
    )["PlatformSummaryList"]
    (arn,) = [one["PlatformArn"] for one in found]
    assert arn == (
        "arn:aws:elasticbeanstalk:us-east-1::platform/"
        "Python 3.13 running on 64bit Amazon Linux 2023/4.5.2"
    )
    described = bench.api.describe_platform_version(PlatformArn=arn)["PlatformDescription"]
    assert described["SolutionStackName"] == PLATFORM
    with pytest.raises(ClientError) as error:
        bench.api.describe_platform_version(PlatformArn=arn.replace("Python 3.13", "Cobol 60"))
    assert refused(error)[0] == "InvalidParameterValue"


def test_saved_configurations(bench: Bench) -> None:
    bench.api.create_configuration_template(
        ApplicationName=APPLICATION,
        TemplateName="small",
        SolutionStackName=PLATFORM,
        OptionSettings=settings({"aws:autoscaling:asg/MaxSize": "2"}),
    )
    bench.api.update_configuration_template(
        ApplicationName=APPLICATION,
        TemplateName="small",
        OptionSettings=settings({"aws:autoscaling:asg/MaxSize": "3"}),
    )
    (found,) = bench.api.describe_configuration_settings(
        ApplicationName=APPLICATION, TemplateName="small"
    )["ConfigurationSettings"]
    assert found["OptionSettings"] == [
        {"Namespace": "aws:autoscaling:asg", "OptionName": "MaxSize", "Value": "3"}
    ]
    bench.api.delete_configuration_template(ApplicationName=APPLICATION, TemplateName="small")
    with pytest.raises(ClientError):
        bench.api.describe_configuration_settings(ApplicationName=APPLICATION, TemplateName="small")


def test_configuration_options_are_listed_and_values_validated(bench: Bench) -> None:
    (policy,) = bench.api.describe_configuration_options(
        Options=[{"Namespace": "aws:elasticbeanstalk:command", "OptionName": "DeploymentPolicy"}]
    )["Options"]
    assert policy["DefaultValue"] == "AllAtOnce"
    assert "Immutable" in policy["ValueOptions"]
    found = bench.api.validate_configuration_settings(
        ApplicationName=APPLICATION,
        OptionSettings=settings({"aws:elasticbeanstalk:command/Timeout": "0"}),
    )["Messages"]
    assert [(one["OptionName"], one["Severity"]) for one in found] == [("Timeout", "error")]


def test_what_is_not_modelled_says_so_by_name(bench: Bench) -> None:
    with pytest.raises(ClientError) as error:
        bench.api.swap_environment_cnames(
            SourceEnvironmentName="shop-one", DestinationEnvironmentName="shop-two"
        )
    assert refused(error) == (
        "NotImplemented",
        "The sandbox does not implement elasticbeanstalk:SwapEnvironmentCNAMEs",
    )


def test_quotas(bench: Bench) -> None:
    quotas = bench.api.describe_account_attributes()["ResourceQuotas"]
    assert quotas["ApplicationVersionQuota"] == {"Maximum": 1000}


def test_dates_are_recent(bench: Bench) -> None:
    bench.upload("v1")
    (found,) = bench.api.describe_application_versions()["ApplicationVersions"]
    assert found["DateUpdated"] - found["DateCreated"] < timedelta(seconds=1)
