"""What a service refuses although its resource's schema does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.refusals import refusal


def policy(characters: int) -> dict[str, Any]:
    """A document of so many characters, with white space that does not count."""
    empty = len(json.dumps({"Sid": ""}, separators=(",", ":")))
    return {"Sid": "x" * (characters - empty)}


def of(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=4)


@pytest.mark.parametrize(
    ("kind", "fits", "too_much", "reason"),
    [
        (
            "AWS::IAM::ManagedPolicy",
            {"PolicyDocument": policy(6_144)},
            {"PolicyDocument": policy(6_145)},
            "Cannot exceed quota for PolicySize: 6144",
        ),
        (
            "AWS::IAM::ManagedPolicy",
            {"PolicyDocument": of(policy(6_144))},
            {"PolicyDocument": of(policy(6_145))},
            "Cannot exceed quota for PolicySize: 6144",
        ),
        (
            "AWS::IAM::Role",
            {"AssumeRolePolicyDocument": policy(2_048)},
            {"AssumeRolePolicyDocument": policy(2_049)},
            "Cannot exceed quota for ACLSizePerRole: 2048",
        ),
        (
            "AWS::IAM::Role",
            {"ManagedPolicyArns": ["arn"] * 10},
            {"ManagedPolicyArns": ["arn"] * 11},
            "Cannot exceed quota for PoliciesPerRole: 10",
        ),
        (
            "AWS::IAM::Role",
            {"Policies": [{"PolicyDocument": policy(5_120)}] * 2},
            {"RoleName": "r", "Policies": [{"PolicyDocument": policy(5_121)}] * 2},
            "Maximum policy size of 10240 bytes exceeded for role r",
        ),
        (
            "AWS::Events::Rule",
            {"EventPattern": '{"source": ["aws.s3"]}'},
            {"EventPattern": {"source": [{"anything-but": [True]}]}},
            "Event pattern is not valid. Reason: Inside anything but list",
        ),
        (
            "AWS::Events::Rule",
            {"ScheduleExpression": "rate(1 day)"},
            {"EventPattern": "{"},
            "Event pattern is not valid. Reason: Invalid JSON",
        ),
        (
            "AWS::SSM::Parameter",
            {"Value": "x" * 4_096},
            {"Value": "x" * 4_097},
            "Standard tier parameters support a maximum parameter value of 4096 characters",
        ),
        (
            "AWS::SSM::Parameter",
            {"Value": "x" * 4_097, "Tier": "Advanced"},
            {"Value": "x" * 4_097, "Tier": "Standard"},
            "Standard tier parameters",
        ),
        (
            "AWS::Lambda::Function",
            {"Environment": {"Variables": {"A": "x" * (4_096 - 8)}}},
            {"Environment": {"Variables": {"A": "x" * (4_096 - 7)}}},
            "exceeded the 4KB limit",
        ),
    ],
)
def test_the_limit_fits_and_one_more_does_not(
    kind: str, fits: dict[str, Any], too_much: dict[str, Any], reason: str
) -> None:
    assert refusal(kind, fits) is None
    assert reason in (refusal(kind, too_much) or "")


def test_a_function_without_variables_is_taken() -> None:
    assert refusal("AWS::Lambda::Function", {}) is None
