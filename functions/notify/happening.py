"""What can happen, as values: every event that notify knows, whatever shape it arrived in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from trellis.errors import TrellisError


class NotForUsError(TrellisError):
    """When an event is known and nobody needs to hear of it; the text says why."""


class UnrecognisedError(TrellisError):
    """When nothing here knows what an event means; the text names what it looks like."""


class Level(StrEnum):
    PIPELINE = "pipeline"
    STAGE = "stage"
    ACTION = "action"


class State(StrEnum):
    """CodePipeline's states as its events spell them: CANCELED with one L.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
    """

    STARTED = "STARTED"
    RESUMED = "RESUMED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    SUPERSEDED = "SUPERSEDED"
    ABANDONED = "ABANDONED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where and when an event was emitted; samples lack any of it."""

    account: str | None = None
    region: str | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The code that travels: a commit, or a version of an S3 object."""

    revision: str | None = None
    summary: str | None = None
    url: str | None = None
    author: str | None = None
    branch: str | None = None
    provider: str | None = None
    """Where it comes from by CodePipeline's word: `S3`, `CodeStarSourceConnection`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAction:
    """An action that failed, and what it said."""

    name: str
    stage: str | None = None
    reason: str | None = None
    url: str | None = None
    category: str | None = None
    provider: str | None = None
    external_id: str | None = None
    execution_id: str | None = None
    """The action execution's own id, which a retry renews."""
    by: str | None = None
    """Who ended it, where a person did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseEvent:
    """A pipeline execution, one of its stages or one of its actions changed its state."""

    origin: Origin
    level: Level
    pipeline: str
    state: State
    execution_id: str | None = None
    stage: str | None = None
    action: str | None = None
    attempt: int = 1
    """1 for the first try; a retried stage raises it."""
    action_execution_id: str | None = None
    category: str | None = None
    """Source, Build, Test, Deploy, Approval, Invoke, Compute."""
    provider: str | None = None
    action_region: str | None = None
    reason: str | None = None
    """What the provider, or the person who stopped it, said."""
    error_code: str | None = None
    external_url: str | None = None
    external_id: str | None = None
    trigger: str | None = None
    """CodePipeline's trigger type, `CreatePipeline`, or the Git provider."""
    trigger_detail: str | None = None
    change: Change | None = None
    failed_actions: tuple[FailedAction, ...] = ()
    """Only CodeStar notifications name them in the event."""

    @property
    def is_approval(self) -> bool:
        return self.category == "Approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRequest:
    """The message that a manual approval action publishes on its topic.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals-json-format.html
    """

    origin: Origin
    pipeline: str
    stage: str | None
    action: str | None
    token: str | None = None
    expires: datetime | None = None
    review_url: str | None = None
    external_url: str | None = None
    console_url: str | None = None
    message: str | None = None
    """What the approver is asked to look at."""


Happening = ReleaseEvent | ApprovalRequest
