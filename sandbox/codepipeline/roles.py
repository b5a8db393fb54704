"""Who a role is once a service has assumed it."""

from __future__ import annotations

from sandbox.cloud import Caller, Cloud, Scope


def assumed(
    cloud: Cloud, scope: Scope, role_arn: str, principal: str, session: str, source_arn: str
) -> Caller:
    """The caller that a role's session is, for questions to the cloud's authorization.

    `source_arn` is what the service acts for: the pipeline, the rule. Raises AccessDeniedError
    when the role does not trust the service, or is not there.
    """
    credentials = cloud.environment(
        scope,
        role_arn=role_arn,
        service_principal=principal,
        session_name=session,
        source_arn=source_arn,
    )
    role = role_arn.rpartition("/")[2]
    return Caller(
        f"arn:{scope.partition}:sts::{scope.account}:assumed-role/{role}/{session}",
        credentials.get("AWS_ACCESS_KEY_ID", ""),
    )
