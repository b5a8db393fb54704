"""A wrong parameter is refused before anything is created, in the user's own words."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from operations.template import Node, load
from sandbox.running import Sandbox
from tests.template.rendered import EXAMPLE, IN_A_VPC
from tests.template.test_parameters import GOOD_AND_BAD

REGION = "us-east-1"


@pytest.fixture(scope="module")
def template() -> Node:
    """The template's parameters and rules, over nothing: small enough for one request."""
    whole = load()
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Parameters": whole["Parameters"],
        "Rules": whole["Rules"],
        "Resources": {"Nothing": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
    }


def refusal(sandbox: Sandbox, template: Node, **parameters: str) -> str:
    """What CloudFormation says to some parameters; empty when it takes them."""
    client = sandbox.client("cloudformation", REGION)
    given = {**EXAMPLE, **parameters}
    try:
        client.create_change_set(
            StackName="refused-parameters",
            ChangeSetName="attempt",
            ChangeSetType="CREATE",
            TemplateBody=json.dumps(template),
            Parameters=[
                {"ParameterKey": name, "ParameterValue": value} for name, value in given.items()
            ],
        )
    except ClientError as refused:
        if refused.response["Error"]["Code"] != "ValidationError":
            raise
        return str(refused.response["Error"]["Message"])
    client.delete_stack(StackName="refused-parameters")
    return ""


def _is_explained(parameter: Node, value: str, said: str) -> bool:
    """Whether a refusal says what would be right.

    The engine of the local cloud lists the allowed values itself, and calls a text that is no
    number just that; everywhere else it is the parameter's own words.
    """
    if "AllowedValues" in parameter:
        return all(str(allowed) in said for allowed in parameter["AllowedValues"])
    if parameter["Type"] == "Number" and not _is_number(value):
        return "not a valid Number" in said
    return " ".join(parameter["ConstraintDescription"].split()) in said


def _is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


@pytest.mark.sandbox
@pytest.mark.parametrize("name", sorted(GOOD_AND_BAD))
def test_wrong_values_are_refused_with_their_constraint(
    name: str, sandbox: Sandbox, template: Node
) -> None:
    for value in GOOD_AND_BAD[name][1]:
        said = refusal(sandbox, template, **{name: value})
        assert name in said, (value, said)
        assert _is_explained(template["Parameters"][name], value, said), (value, said)
    stacks = sandbox.client("cloudformation", REGION).describe_stacks()["Stacks"]
    assert "refused-parameters" not in {stack["StackName"] for stack in stacks}


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"VpcId": IN_A_VPC["VpcId"]}, "A VpcId needs InstanceSubnetIds"),
        ({**IN_A_VPC, "VpcId": ""}, "InstanceSubnetIds need the VpcId"),
        ({"PlainHttp": "closed"}, "PlainHttp closed needs a CertificateArn"),
        (
            {"ChecksBuildspec": "", "ParallelBuildActions": "true"},
            "ParallelBuildActions true needs a ChecksBuildspec",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(
    parameters: dict[str, str], said: str, sandbox: Sandbox, template: Node
) -> None:
    assert said in refusal(sandbox, template, **parameters)


@pytest.mark.sandbox
def test_the_example_is_taken(sandbox: Sandbox, template: Node) -> None:
    assert refusal(sandbox, template) == ""
