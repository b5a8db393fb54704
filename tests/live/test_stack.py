"""The stack as a whole: outputs and exports, tags, and another stack that imports from it."""

from __future__ import annotations

import json
import uuid

from operations.template import load
from tests.live.conftest import Live

TAGS = {"Project", "Owner", "CostCenter", "Environment", "ManagedBy"}


def test_every_output_of_the_template_is_there_with_a_value(live: Live) -> None:
    assert set(live.outputs) == set(load()["Outputs"])
    assert all(live.outputs.values())


def test_every_output_is_exported(live: Live) -> None:
    exports = {
        export["Name"]: export["Value"]
        for page in live.client("cloudformation").get_paginator("list_exports").paginate()
        for export in page["Exports"]
    }
    for name, value in live.outputs.items():
        assert exports.get(f"{live.stack}-{name}") == value, name


def test_all_regions_have_the_same_outputs(everywhere: list[Live]) -> None:
    first = everywhere[0]
    for other in everywhere[1:]:
        assert set(other.outputs) == set(first.outputs), other.region
        assert other.outputs["Version"] == first.outputs["Version"], other.region


def test_another_stack_can_import(live: Live) -> None:
    cloudformation = live.client("cloudformation")
    name = f"{live.stack}-imports-{uuid.uuid4().hex[:8]}"
    imported = ("NotificationTopicArn", "ArtifactBucketName", "KmsKeyArn")
    template = {
        "Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
        "Outputs": {
            output: {"Value": {"Fn::ImportValue": f"{live.stack}-{output}"}} for output in imported
        },
    }
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    try:
        cloudformation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 2, "MaxAttempts": 60}
        )
        [stack] = cloudformation.describe_stacks(StackName=name)["Stacks"]
        assert {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]} == {
            output: live.outputs[output] for output in imported
        }
    finally:
        cloudformation.delete_stack(StackName=name)


def test_what_the_tagging_api_knows_carries_the_five_tags(live: Live) -> None:
    pages = (
        live.client("resourcegroupstaggingapi")
        .get_paginator("get_resources")
        .paginate(
            TagFilters=[{"Key": "Project", "Values": [live.parameters["ProjectName"]]}],
            ResourcesPerPage=100,
        )
    )
    tagged = {
        resource["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in resource["Tags"]}
        for page in pages
        for resource in page["ResourceTagMappingList"]
    }
    wanted = {
        live.outputs["KmsKeyArn"],
        live.outputs["NotificationTopicArn"],
        live.outputs["NotifyFunctionArn"],
        live.arn("codepipeline", live.outputs["PipelineName"]),
        live.arn("codebuild", f"project/{live.outputs['BuildProjectName']}"),
        live.arn("dynamodb", f"table/{live.outputs['LedgerTableName']}"),
        f"arn:{live.partition}:s3:::{live.outputs['ArtifactBucketName']}",
        f"arn:{live.partition}:s3:::{live.outputs['ReportsBucketName']}",
        *(
            live.arn(
                "elasticbeanstalk", f"environment/{live.outputs['ApplicationName']}/{environment}"
            )
            for environment in live.environments.values()
        ),
    }
    missing = wanted - set(tagged)
    assert not missing, missing
    for arn in wanted:
        tags = tagged[arn]
        assert set(tags) >= TAGS, arn
        assert tags["Owner"] == live.parameters["Owner"], arn
        assert tags["CostCenter"] == live.parameters["CostCenter"], arn
        assert tags["ManagedBy"] == "trellis", arn


def test_roles_carry_the_five_tags(live: Live) -> None:
    """The Tagging API does not know roles.

    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/supported-services.html
    """
    roles = [arn for name, arn in live.outputs.items() if name.endswith("RoleArn")]
    assert roles
    for arn in roles:
        tags = live.client("iam").list_role_tags(RoleName=arn.split("/")[-1])["Tags"]
        assert {tag["Key"] for tag in tags} >= TAGS, arn
