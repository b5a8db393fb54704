"""The state of a pipeline and of what runs through it.

Nothing here acts: the engine changes these records under its lock, the views read them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sandbox.cloud import Scope
from sandbox.codepipeline.pipeline import REFERENCE, Action, Pipeline


class ExecutionStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    SUCCEEDED = "Succeeded"
    SUPERSEDED = "Superseded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing runs any more; a failed or stopped execution can still be retried."""
        return self not in (ExecutionStatus.IN_PROGRESS, ExecutionStatus.STOPPING)


class StageStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


class ActionStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    ABANDONED = "Abandoned"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class ExecutionType(StrEnum):
    STANDARD = "STANDARD"
    ROLLBACK = "ROLLBACK"


class RetryMode(StrEnum):
    FAILED_ACTIONS = "FAILED_ACTIONS"
    ALL_ACTIONS = "ALL_ACTIONS"


@dataclass(frozen=True, slots=True)
class Trigger:
    """What started an execution, in the API's words; the detail is an ARN or an execution id."""

    type: str
    detail: str


@dataclass(frozen=True, slots=True)
class Revision:
    """What a source action picked up."""

    id: str
    summary: str | None
    url: str | None
    created: datetime


@dataclass(frozen=True, slots=True)
class Artifact:
    """A zip in the artifact store, and the label that a deploy action gives a version of it."""

    name: str
    bucket: str
    key: str
    revision: str


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Decision:
    """How somebody answered an approval."""

    is_approved: bool
    summary: str
    by: str
    at: datetime


@dataclass
class ActionExecution:
    """One attempt at one action; a retry makes another with an id of its own."""

    id: str
    stage: str
    action: Action
    started: datetime
    updated: datetime
    inputs: tuple[Artifact, ...]
    configuration: Mapping[str, str]
    status: ActionStatus = ActionStatus.IN_PROGRESS
    updated_by: str | None = None
    external_id: str | None = None
    external_url: str | None = None
    summary: str | None = None
    error: ErrorDetails | None = None
    outputs: tuple[Artifact, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    revision: Revision | None = None
    decision: Decision | None = None
    is_expired: bool = False
    """An approval that nobody answered in time takes no answer any more."""
    wakeup: threading.Event = field(default_factory=threading.Event, repr=False)
    """Set when the action has to look up: it was answered, abandoned, or the sandbox ends."""

    @property
    def token(self) -> str | None:
        """The approval token while an approval waits; it is the action execution's id."""
        waits = self.status is ActionStatus.IN_PROGRESS and self.decision is None
        return self.id if self.action.type.category == "Approval" and waits else None


@dataclass
class StageExecution:
    """One execution's passage through one stage, retries included."""

    stage: str
    execution_id: str
    type: ExecutionType
    started: datetime
    status: StageStatus = StageStatus.IN_PROGRESS
    done: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    running: dict[str, ActionExecution] = field(default_factory=dict)
    automatic_retries: int = 0
    manual_retries: int = 0
    latest_retry: str | None = None
    retried_at: datetime | None = None


@dataclass
class Execution:
    """One run of a pipeline under the structure it started with."""

    id: str
    number: int
    """Counts the executions of a pipeline: the higher, the more recent."""
    pipeline: Pipeline
    trigger: Trigger
    started: datetime
    updated: datetime
    variables: Mapping[str, str]
    overrides: Mapping[str, Mapping[str, str]]
    """By source action: revision type to revision value, as StartPipelineExecution takes them."""
    type: ExecutionType = ExecutionType.STANDARD
    target: str | None = None
    """The execution that a rollback goes back to."""
    status: ExecutionStatus = ExecutionStatus.IN_PROGRESS
    status_summary: str | None = None
    stop_reason: str | None = None
    is_abandoning: bool = False
    attempt: int = 1
    waiting_for: str | None = None
    artifacts: dict[str, Artifact] = field(default_factory=dict)
    revisions: dict[str, tuple[str, Revision]] = field(default_factory=dict)
    """By source action: the output artifact's name and what was picked up."""
    namespaces: dict[str, Mapping[str, str]] = field(default_factory=dict)
    stages: dict[str, StageExecution] = field(default_factory=dict)
    actions: list[ActionExecution] = field(default_factory=list)

    def succeeded_in(self, stage: str) -> bool:
        passage = self.stages.get(stage)
        return passage is not None and passage.status is StageStatus.SUCCEEDED

    def running_stage(self) -> StageExecution | None:
        """The stage that this execution locks."""
        live = (StageStatus.IN_PROGRESS, StageStatus.STOPPING)
        return next((s for s in self.stages.values() if s.status in live), None)


@dataclass
class Transition:
    """Whether executions may cross into, or out of, a stage."""

    is_enabled: bool = True
    reason: str | None = None
    changed_by: str | None = None
    changed_at: datetime | None = None


@dataclass
class StageState:
    inbound: Transition = field(default_factory=Transition)
    outbound: Transition = field(default_factory=Transition)
    latest: StageExecution | None = None
    actions: dict[str, ActionExecution] = field(default_factory=dict)
    """The latest execution of each action."""
    waiting: list[Execution] = field(default_factory=list)
    """Executions in front of the stage, first come first; a stopped one stays until the next."""

    @property
    def is_locked(self) -> bool:
        live = (StageStatus.IN_PROGRESS, StageStatus.STOPPING)
        return self.latest is not None and self.latest.status in live


@dataclass
class PipelineRecord:
    """A pipeline in one account and Region, with all that ever ran through it."""

    scope: Scope
    current: Pipeline
    versions: dict[int, Pipeline]
    created: datetime
    updated: datetime
    tags: dict[str, str]
    stages: dict[str, StageState]
    executions: dict[str, Execution] = field(default_factory=dict)
    requests: dict[str, str] = field(default_factory=dict)
    """Client request tokens, and the executions that they started."""

    @property
    def arn(self) -> str:
        return self.scope.arn("codepipeline", self.current.name)

    def newest_first(self) -> Iterator[Execution]:
        return reversed(self.executions.values())


class UnresolvedVariableError(Exception):
    """When a configuration refers to a variable that nothing has given a value."""


def resolve(
    configuration: Mapping[str, str], namespaces: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """A configuration with every `#{namespace.key}` replaced by its value."""

    def value(reference: str) -> str:
        namespace, _, key = reference.partition(".")
        try:
            return namespaces[namespace][key]
        except KeyError:
            raise UnresolvedVariableError(
                f"The variable #{{{reference}}} has no value in this execution"
            ) from None

    return {
        name: REFERENCE.sub(lambda match: value(match.group(1)), text)
        for name, text in configuration.items()
    }
