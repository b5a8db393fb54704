"""What the sandbox's own services need of the cloud around them, and nothing of who gives it.

CodePipeline, CodeBuild and Elastic Beanstalk are written against `Cloud`. In the running
sandbox it is MiniStack (`sandbox/ministack/`); in unit tests it is a small fake.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sandbox.assumptions import Assumptions


@dataclass(frozen=True, slots=True)
class Scope:
    """One account in one Region: the smallest world a regional service knows."""

    account: str
    region: str
    partition: str = "aws"

    def arn(self, service: str, resource: str) -> str:
        """The ARN of a regional resource, `arn:partition:service:region:account:resource`."""
        return f"arn:{self.partition}:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed a request: the ARN `sts:GetCallerIdentity` prints, and the key that signed."""

    arn: str
    access_key: str


class AccessDeniedError(Exception):
    """When the caller's policies, or a role's trust policy, do not allow an action."""

    def __init__(self, principal: str, action: str, resource: str) -> None:
        self.principal, self.action, self.resource = principal, action, resource
        super().__init__(
            f"{principal} is not authorized to perform: {action} on resource: {resource}"
        )


class Cloud(Protocol):
    """The cloud as one of its services sees it."""

    @property
    def assumptions(self) -> Assumptions:
        """The answers to what AWS's pages leave open."""

    def emit(
        self,
        scope: Scope,
        source: str,
        detail_type: str,
        detail: Mapping[str, Any],
        resources: Sequence[str] = (),
    ) -> None:
        """Put an `aws.*` event on the default bus of a Region; returns at once."""

    def client(
        self,
        scope: Scope,
        service: str,
        *,
        role_arn: str,
        service_principal: str,
        session_name: str,
        source_arn: str | None = None,
    ) -> Any:
        """A boto3 client of this cloud that signs as a role which a service assumed.

        `service_principal` (`codepipeline.amazonaws.com`) is checked against the role's trust
        policy, with `source_arn` (the pipeline) as aws:SourceArn. Raises
        AccessDeniedError when the trust policy refuses or there is no such role.
        """

    def forward(self, scope: Scope, service: str, caller: Caller) -> Any:
        """A boto3 client of this cloud that signs as the caller whose request is being served.

        It is what AWS calls a forward access session: a service that acts on behalf of its caller
        is judged by the caller's policies, and by resource policies that name the caller.
        Raises AccessDeniedError when the caller's key is no longer valid.
        """

    def environment(
        self,
        scope: Scope,
        *,
        role_arn: str,
        service_principal: str,
        session_name: str,
        source_arn: str | None = None,
    ) -> dict[str, str]:
        """The environment variables of a process that runs as a role in this cloud.

        Credentials, Region, endpoint and certificate authority: what boto3 and the AWS CLI read.
        """

    def authorize(
        self,
        scope: Scope,
        caller: Caller,
        action: str,
        resource: str,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        """Raise AccessDeniedError unless the caller's policies allow an action on a resource."""

    def log(self, scope: Scope, group: str, stream: str, lines: Sequence[str]) -> None:
        """Append lines to a CloudWatch Logs stream, which is made when it is not there."""

    def metric(
        self, scope: Scope, namespace: str, name: str, value: float, dimensions: Mapping[str, str]
    ) -> None:
        """Record one data point now, as a service publishes its own metrics."""

    def start(self, name: str, work: Callable[[], None]) -> None:
        """Run work in the background; it ends with the sandbox, and its exceptions are logged."""
