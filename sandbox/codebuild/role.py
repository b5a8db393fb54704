"""The build's service role: who it is to other services, and what it may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.cloud import Caller, Cloud, Scope

PRINCIPAL = "codebuild.amazonaws.com"


@dataclass(frozen=True, slots=True)
class BuildRole:
    """A service role in the session that one build has of it."""

    cloud: Cloud
    scope: Scope
    arn: str
    session: str
    project_arn: str
    """What CodeBuild sends along as aws:SourceArn when it assumes the role."""

    def environment(self) -> dict[str, str]:
        """What an AWS SDK reads in the build; raises AccessDeniedError without trust."""
        return self.cloud.environment(
            self.scope,
            role_arn=self.arn,
            service_principal=PRINCIPAL,
            session_name=self.session,
            source_arn=self.project_arn,
        )

    def client(self, service: str) -> Any:
        return self.cloud.client(
            self.scope,
            service,
            role_arn=self.arn,
            service_principal=PRINCIPAL,
            session_name=self.session,
            source_arn=self.project_arn,
        )

    def authorize(self, action: str, resource: str) -> None:
        """Judge what CodeBuild does with the role and the sandbox does without a client."""
        role = self.arn.rpartition("/")[2]
        caller = Caller(
            f"arn:{self.scope.partition}:sts::{self.scope.account}:assumed-role/{role}/"
            f"{self.session}",
            self.environment().get("AWS_ACCESS_KEY_ID", ""),
        )
        self.cloud.authorize(self.scope, caller, action, resource)
