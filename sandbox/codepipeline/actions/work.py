"""What an action provider is given, and what it gives back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sandbox.cloud import AccessDeniedError, Cloud, Scope
from sandbox.codepipeline.artifacts import ArtifactStore
from sandbox.codepipeline.execution import Artifact, Decision, Revision
from sandbox.codepipeline.failures import ActionFailedError
from sandbox.codepipeline.pipeline import Action, Store

PRINCIPAL = "codepipeline.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a pipeline's time goes by: seconds per declared minute, seconds between polls."""

    minute: float = 60.0
    poll: float = 0.2


class ActionAbandonedError(Exception):
    """When nobody waits for an action any more: it was abandoned, or the sandbox ends."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A successful action's result."""

    summary: str | None = None
    external_id: str | None = None
    external_url: str | None = None
    outputs: tuple[Artifact, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    revision: Revision | None = None
    updated_by: str | None = None


class Watch(Protocol):
    """The engine, as far as a running action sees it."""

    def is_abandoned(self) -> bool: ...
    def sleep(self, seconds: float) -> None:
        """Wait, or return early when the action has to look up."""

    def decision(self) -> Decision | None: ...
    def expire(self) -> Decision | None:
        """Take no answer any more; gives the answer that came just before."""

    def report(
        self, external_id: str | None, external_url: str | None, summary: str | None
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt at an action."""

    cloud: Cloud
    scope: Scope
    pipeline: str
    role_arn: str
    execution_id: str
    id: str
    stage: str
    action: Action
    configuration: Mapping[str, str]
    inputs: tuple[Artifact, ...]
    overrides: Mapping[str, str]
    store: Store
    pace: Pace
    clock: Callable[[], datetime]
    watch: Watch
    position: int = 0
    """The stage's, from 0."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def pipeline_arn(self) -> str:
        """What CodePipeline sends along as aws:SourceArn when it assumes a role."""
        arn = self.scope.arn("codepipeline", self.pipeline)
        if self.cloud.assumptions["source-arn"] == "action":
            arn += f"/{self.stage}/{self.action.name}"
        return arn

    def client(self, service: str) -> Any:
        """A client that signs as the action's role, or as the pipeline's where it has none."""
        try:
            return self.cloud.client(
                self.scope,
                service,
                role_arn=self.role_arn,
                service_principal=PRINCIPAL,
                session_name=self.execution_id,
                source_arn=self.pipeline_arn,
            )
        except AccessDeniedError as error:
            raise ActionFailedError(
                "PermissionError",
                f"CodePipeline is not authorized to perform AssumeRole on role {self.role_arn}",
            ) from error

    def artifacts(self) -> ArtifactStore:
        acl = {"none": None, "owner": "bucket-owner-full-control"}
        return ArtifactStore(
            self.client("s3"), self.store, self.pipeline, acl[self.cloud.assumptions["source-acl"]]
        )

    def pause(self, limit_minutes: float) -> None:
        """Wait one poll; raises when the action is abandoned or has reached its limit.

        https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html has the limits.
        """
        self.watch.sleep(self.pace.poll)
        if self.watch.is_abandoned():
            raise ActionAbandonedError
        if time.monotonic() - self.begun > limit_minutes * self.pace.minute:
            raise ActionFailedError(
                "JobFailed",
                f"The action did not complete within {limit_minutes:g} minutes and timed out",
            )


class ActionProvider(Protocol):
    """Does the work of one kind of action; raises ActionFailedError when it cannot."""

    def __call__(self, work: Work) -> Finished: ...
