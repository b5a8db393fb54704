"""What can happen, as values: every event that notify knows, whatever shape it arrived in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # loaded only when an event of ours comes
    from trellis.events import BakeStateChange, RollbackStateChange, TaggingAuditCompleted


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
    """Who ended it, where a person did: an ARN."""
    environment: str | None = None
    """The Elastic Beanstalk environment it deploys to."""
    application: str | None = None
    phase: str | None = None
    """The phase of its build that failed."""
    log_tail: tuple[str, ...] = ()
    log_url: str | None = None
    evidence: tuple[str, ...] = ()
    """What its environment said about it, newest first."""


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
    began: datetime | None = None
    """When the pipeline, stage or action began, in events of these years."""
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


class BuildStatus(StrEnum):
    """https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html"""

    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    FAULT = "FAULT"
    TIMED_OUT = "TIMED_OUT"
    STOPPED = "STOPPED"
    CLIENT_ERROR = "CLIENT_ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildEvent:
    """A build changed its state, or ended one of its phases."""

    origin: Origin
    project: str
    status: BuildStatus
    build_id: str | None = None
    """`project:uuid`, as CodeBuild's API wants it."""
    is_phase: bool = False
    phase: str | None = None
    """The phase that ended, or the one that failed: INSTALL, BUILD, …"""
    reason: str | None = None
    initiator: str | None = None
    """`codepipeline/<name>` for a build that a pipeline started."""
    log_url: str | None = None
    source_version: str | None = None
    number: int | None = None

    @property
    def pipeline(self) -> str | None:
        prefix, _, name = (self.initiator or "").partition("/")
        return name or None if prefix == "codepipeline" else None


class AlarmState(StrEnum):
    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


_TELLING = frozenset({0.0, 1.0, 15.0})
"""Ok, Info and Warning in CloudWatch; 5 is Unknown and 10 No Data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmEvent:
    """A CloudWatch alarm changed its state."""

    origin: Origin
    name: str
    state: AlarmState
    previous: AlarmState | None = None
    reason: str | None = None
    description: str | None = None
    arn: str | None = None
    metric: str | None = None
    """`AWS/EC2 CPUUtilization`, or the rule of a composite alarm."""
    dimensions: tuple[tuple[str, str], ...] = ()
    suppressed: str | None = None
    """Why the alarm's own actions were held back."""
    datapoints: tuple[float, ...] = ()
    """The values that its reason names; none where it judged by missing data."""

    @property
    def is_bad(self) -> bool:
        return self.state is AlarmState.ALARM and not self.suppressed

    @property
    def is_well(self) -> bool:
        return self.state is AlarmState.OK

    @property
    def was_bad(self) -> bool:
        return self.previous is AlarmState.ALARM

    @property
    def environment(self) -> str | None:
        return dict(self.dimensions).get("EnvironmentName")

    @property
    def is_on_health(self) -> bool:
        """Whether it watches what its environment itself tells of too."""
        is_health = self.metric == "AWS/ElasticBeanstalk EnvironmentHealth"
        return is_health and self.environment is not None

    @property
    def is_silent(self) -> bool:
        """Whether it watches an environment's health and is OK without a value that says how it is.

        https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/health-enhanced-cloudwatch.html
        """
        is_known = bool(self.datapoints) and _TELLING.issuperset(self.datapoints)
        return self.is_on_health and self.is_well and not is_known

    @property
    def pipeline_that_waits(self) -> str | None:
        """The pipeline, where this is the alarm on an approval that nobody answers.

        rollback's sweep writes the metric; the template's StuckApprovalAlarm watches it.
        """
        if self.metric != "Trellis ApprovalWaitSeconds":
            return None
        return dict(self.dimensions).get("pipeline")


class Health(StrEnum):
    """Elastic Beanstalk's enhanced health.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/health-enhanced-status.html
    """

    OK = "Ok"
    INFO = "Info"
    PENDING = "Pending"
    UNKNOWN = "Unknown"
    NO_DATA = "No Data"
    WARNING = "Warning"
    DEGRADED = "Degraded"
    SEVERE = "Severe"
    SUSPENDED = "Suspended"


_BAD_HEALTH = (Health.WARNING, Health.DEGRADED, Health.SEVERE, Health.NO_DATA)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentEvent:
    """Something happened to an Elastic Beanstalk environment."""

    origin: Origin
    application: str | None
    environment: str | None
    message: str
    status: str | None = None
    """Beanstalk's own word for it: `Environment update failed`."""
    severity: str | None = None
    """Beanstalk's own: its failures are INFO at times."""
    health: Health | None = None
    previous_health: Health | None = None
    url: str | None = None

    @property
    def is_bad(self) -> bool:
        return self.health in _BAD_HEALTH

    @property
    def is_well(self) -> bool:
        return self.health is Health.OK

    @property
    def was_bad(self) -> bool:
        return self.previous_health in _BAD_HEALTH


@dataclass(frozen=True, slots=True)
class Over:
    """What is known of something bad when it is told: that it is over."""

    since: datetime
    is_bad_again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnHappening:
    """An event of ours, from rollback or the tagging audit."""

    origin: Origin
    event: RollbackStateChange | BakeStateChange | TaggingAuditCompleted


Happening = (
    ReleaseEvent | ApprovalRequest | BuildEvent | AlarmEvent | EnvironmentEvent | OwnHappening
)
