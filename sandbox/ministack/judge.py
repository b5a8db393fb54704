"""IAM's answers for AWS services, which act under a service principal and not a role.

A service is let in by the policy of the resource it comes to, and by nothing else. The keys that
it sends along (aws:SourceArn, aws:SourceAccount) are named by its caller here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.cloud import Scope

Context = Mapping[str, Any]


def service_is_allowed(
    policy: str | Mapping[str, Any] | None,
    scope: Scope,
    service: str,
    action: str,
    resource: str,
    context: Context,
) -> bool:
    """Whether a resource's policy lets a service do one action on it."""
    from ministack.core import iam_evaluator

    if not policy:
        return False
    judged = _context(scope, action, resource, context)
    result = iam_evaluator.evaluate_resource_policy(policy, judged, service=service)
    return bool(result.decision == "Allow")


def service_may_assume(
    trust_policy: str | Mapping[str, Any] | None,
    scope: Scope,
    service: str,
    role_arn: str,
    context: Context,
) -> bool:
    """Whether a role's trust policy lets a service assume it."""
    document = json.loads(trust_policy) if isinstance(trust_policy, str) else trust_policy
    statements = (document or {}).get("Statement", [])
    if isinstance(statements, Mapping):
        statements = [statements]
    # A trust policy names no resource: it stands for the role it belongs to.
    whole = {"Statement": [{**statement, "Resource": "*"} for statement in statements]}
    return service_is_allowed(whole, scope, service, "sts:AssumeRole", role_arn, context)


def key_arn(key: str) -> str | None:
    """The ARN of a customer key that a resource names by id, ARN or alias; None if there is none.

    An AWS managed key (`alias/aws/sns`) is none: its policy admits no other service.
    """
    from ministack.services import kms

    record = kms._resolve_key(key)
    return record["Arn"] if record else None


def service_may_use_key(
    key: str, scope: Scope, service: str, actions: tuple[str, ...], context: Context
) -> bool:
    """Whether a key's policy lets a service do all of these with it, and the key is enabled."""
    from ministack.services import kms

    record = kms._resolve_key(key)
    if record is None or record.get("KeyState", "Enabled") != "Enabled":
        return False
    return all(
        service_is_allowed(record.get("Policy"), scope, service, action, record["Arn"], context)
        for action in actions
    )


def _context(scope: Scope, action: str, resource: str, context: Context) -> Any:
    from ministack.core import iam_evaluator

    return iam_evaluator.EvalContext(
        # No principal of an account: a grant to the account does not let a service in.
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource,
        region=scope.region,
        secure_transport=True,
        service_context={key.lower(): value for key, value in context.items()},
    )
