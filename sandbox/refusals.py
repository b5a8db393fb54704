"""What a service refuses although the resource's schema lets it pass.

CloudFormation learns of it when the resource is being made, and the stack rolls back.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from sandbox import event_patterns

Properties = Mapping[str, Any]


def _size(document: Any) -> int:
    """The characters of a policy as IAM counts them: without white space.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    written = document if isinstance(document, str) else json.dumps(document)
    return len("".join(written.split()))


def _failed(text: str, service: str, status: int) -> str:
    return (
        f'Resource handler returned message: "{text} (Service: {service}, Status Code: {status}, '
        f'Request ID: {uuid.uuid4()})"'
    )


def _managed_policy(properties: Properties) -> str | None:
    if _size(properties.get("PolicyDocument", "")) > 6_144:
        return _failed("Cannot exceed quota for PolicySize: 6144", "Iam", 409)
    return None


def _role(properties: Properties) -> str | None:
    if _size(properties.get("AssumeRolePolicyDocument", "")) > 2_048:
        return _failed("Cannot exceed quota for ACLSizePerRole: 2048", "Iam", 409)
    if len(properties.get("ManagedPolicyArns") or ()) > 10:
        return _failed("Cannot exceed quota for PoliciesPerRole: 10", "Iam", 409)
    inline = properties.get("Policies") or ()
    if sum(_size(one.get("PolicyDocument", "")) for one in inline) > 10_240:
        name = properties.get("RoleName", "")
        return _failed(f"Maximum policy size of 10240 bytes exceeded for role {name}", "Iam", 409)
    return None


def _rule(properties: Properties) -> str | None:
    pattern = properties.get("EventPattern")
    if pattern is None:
        return None
    try:
        event_patterns.check(json.loads(pattern) if isinstance(pattern, str) else pattern)
    except event_patterns.EventPatternError as error:
        return _failed(f"Event pattern is not valid. Reason: {error}", "EventBridge", 400)
    except ValueError:
        return _failed("Event pattern is not valid. Reason: Invalid JSON", "EventBridge", 400)
    return None


def _parameter(properties: Properties) -> str | None:
    # https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
    if properties.get("Tier", "Standard") == "Standard" and len(properties["Value"]) > 4_096:
        return _failed(
            "Standard tier parameters support a maximum parameter value of 4096 characters. To "
            "create a larger parameter value, upgrade the parameter to use the advanced-parameter "
            "tier.",
            "Ssm",
            400,
        )
    return None


def _function(properties: Properties) -> str | None:
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    variables = (properties.get("Environment") or {}).get("Variables") or {}
    measured = json.dumps(variables, separators=(",", ":"))
    if len(measured.encode()) > 4_096:
        return _failed(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided exceeded the 4KB limit.",
            "Lambda",
            400,
        )
    return None


_JUDGES: Mapping[str, Callable[[Properties], str | None]] = {
    "AWS::Events::Rule": _rule,
    "AWS::IAM::ManagedPolicy": _managed_policy,
    "AWS::IAM::Role": _role,
    "AWS::Lambda::Function": _function,
    "AWS::SSM::Parameter": _parameter,
}

KINDS = frozenset(_JUDGES)
"""The resource types that are judged."""


def refusal(kind: str, properties: Properties) -> str | None:
    """The reason of the stack's event, or None where the service takes the resource."""
    return _JUDGES[kind](properties)
