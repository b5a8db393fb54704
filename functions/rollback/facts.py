"""What is known of a deployment and its environment: values, and what follows from them alone.

Labels are Elastic Beanstalk's version labels; a revision is the source's (a commit id, or the S3
version id of an uploaded bundle). CodePipeline makes a new label for each deployment, also for a
rollback, so two labels may hold the same revision and only revisions are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Cause(StrEnum):
    """Why a deployment is judged."""

    DEPLOY_FAILED = "deploy failed"
    BAKE_FAILED = "bake failed"
    BY_HAND = "by hand"


class Health(StrEnum):
    """Enhanced health, in the API's words.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/health-enhanced-status.html
    """

    NO_DATA = "NoData"
    UNKNOWN = "Unknown"
    PENDING = "Pending"
    OK = "Ok"
    INFO = "Info"
    WARNING = "Warning"
    DEGRADED = "Degraded"
    SEVERE = "Severe"
    SUSPENDED = "Suspended"

    @classmethod
    def of(cls, text: str | None) -> Health:
        """The health a text names; `No Data`, as events spell it, is NoData."""
        found = (text or "").replace(" ", "")
        return cls(found) if found in cls else cls.UNKNOWN

    @property
    def badness(self) -> int | None:
        """How bad it is, from 0; None where it says nothing about the application."""
        return _BADNESS.get(self)


BY_HAND = "by-hand-"
"""How the id begins under which a command acts, where a watch has an action execution's."""

_DEFAULT_SUMMARY = "Amazon S3 version id:"


def named(revision: str | None, summary: str | None) -> str:
    """A revision as people know it: the first words of its message, and enough of its id."""
    short = revision if revision is None or len(revision) <= 12 else revision[:8]
    first = (summary or "").strip().partition("\n")[0].strip()
    if not first or first.startswith(_DEFAULT_SUMMARY):
        return short or "an unknown version"
    words = first if len(first) <= 60 else f"{first[:59].rstrip()}…"
    return f"{words} ({short})" if short else words


_BADNESS = {Health.OK: 0, Health.INFO: 0, Health.WARNING: 1, Health.DEGRADED: 2, Health.SEVERE: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One execution of a Deploy action: what a watch is about."""

    pipeline: str
    stage: str
    action: str
    execution_id: str
    action_execution_id: str
    """New for each retry of the stage, where the execution's id stays."""
    application: str
    environment: str
    started: datetime


class ActionState(StrEnum):
    """ActionExecutionStatus: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ActionExecutionDetail.html"""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ABANDONED = "Abandoned"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRun:
    """A Deploy action's execution as CodePipeline lists it."""

    deployment: Deployment
    state: ActionState
    updated: datetime
    external_id: str | None = None
    """What the action says of itself; no page says what that is (`rollback.labels`)."""
    message: str | None = None
    """What it said when it failed."""
    artifact_bucket: str | None = None
    artifact_key: str | None = None
    """Its input, the bundle that it deploys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A pipeline execution."""

    execution_id: str
    status: str
    """PipelineExecutionStatus: InProgress, Stopping, Stopped, Succeeded, Superseded, Failed, …
    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_PipelineExecution.html"""
    started: datetime
    pipeline_version: int | None = None
    revision: str | None = None
    summary: str | None = None
    is_rollback: bool = False
    rollback_target: str | None = None
    trigger: str | None = None
    stop_reason: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def is_cancelled(self) -> bool:
        """The pipeline was updated before the run was over."""
        return self.status == "Cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """The way into a stage."""

    is_enabled: bool
    reason: str | None = None
    changed_by: str | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StageState:
    """A stage as GetPipelineState shows it."""

    pipeline_version: int
    execution_id: str | None
    """The execution that was in it last."""
    status: str | None
    action_execution_id: str | None
    """The Deploy action's last execution."""
    inbound: tuple[str, ...]
    """Executions that wait before it."""
    transition: Transition
    has_approval: bool
    approval_action: str | None = None
    approval_token: str | None = None
    """While an approval waits for its answer."""

    def taken_by_another(self, deployment: Deployment) -> str | None:
        """The execution that has followed a deployment into the stage, if one has.

        It is in the stage a moment before its own deploy action begins.
        """
        if self.status == "InProgress" and self.execution_id != deployment.execution_id:
            return self.execution_id
        if self.action_execution_id not in (None, deployment.action_execution_id):
            return self.execution_id
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingApproval:
    """An approval that nobody has answered yet."""

    stage: str
    action: str
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """What one instance says of itself."""

    id: str
    version_label: str | None
    deployed_at: datetime | None = None
    health: Health = Health.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One look at an environment."""

    at: datetime
    status: str
    """EnvironmentStatus: Ready, Updating, Launching, Aborting, Terminating, Terminated."""
    health: Health
    version_label: str | None
    """The expected version; after a failed deployment Beanstalk resets it to the last good one.
    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/health-enhanced-status.html"""
    platform: str | None = None
    is_abortable: bool = False
    instances: tuple[Instance, ...] = ()
    causes: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        return self.status == "Ready"

    def runs_everywhere(self, label: str) -> bool:
        """The environment and every instance of it run this version."""
        return self.version_label == label and all(
            one.version_label == label for one in self.instances
        )

    def others(self, label: str) -> str | None:
        """What runs there and is not this label, as a phrase; what reports nothing is not."""
        running = {one.version_label for one in self.instances if one.version_label} - {label}
        if running:
            return f"instances run {' and '.join(sorted(running))}, and not {label}"
        if self.version_label not in (None, label):
            return f"the environment is labelled {self.version_label}, and not {label}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One line of DescribeEvents."""

    at: datetime
    message: str
    severity: str = "INFO"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmOff:
    """An alarm that is in ALARM."""

    since: datetime
    window: timedelta
    """How far back it looks: what it saw there may be older than the deployment."""
    period: timedelta = timedelta(minutes=1)
    """How often it looks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How things were before the deployment; `source` says how that is known."""

    source: str
    """`seen`: looked at before anything changed. `events`: nobody looked then, and the health is
    rebuilt from what the environment has told since."""
    health: Health | None = None
    labels: frozenset[str] = frozenset()
    """What the instances and the environment ran."""
    platform: str | None = None
    alarms: frozenset[str] = frozenset()
    """Alarms that were already in ALARM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """A version to go back to, and where it can still be had."""

    revision: str
    version_label: str
    execution_id: str
    since: datetime
    summary: str | None = None
    labels: frozenset[str] = frozenset()
    """Every version label that is known to hold this revision."""
    is_registered: bool = False
    """Its version label exists and its bundle is there: UpdateEnvironment can take it."""
    is_copied: bool = False
    """Its bundle's copy is there: a version can be registered anew."""
    stage_problem: str | None = None
    """Why RollbackStage cannot take its execution as target; None where it can."""

    @property
    def name(self) -> str:
        """What people call it."""
        return named(self.revision, self.summary)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRollback:
    """A rollback of this environment within the window."""

    at: datetime
    bad_revision: str | None
    is_by_hand: bool = False


class Consent(StrEnum):
    """What a person answered where one is asked."""

    NOT_ASKED = "not asked"
    GIVEN = "given"
    REFUSED = "refused"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the decision rests on, read at one time."""

    deployment: Deployment
    cause: Cause
    why: str
    """What went wrong, in one sentence."""
    look: Look
    revision: str | None = None
    """The bad one; None where CodePipeline no longer says."""
    summary: str | None = None
    version_label: str | None = None
    """The label that the bad deployment brought."""
    old_labels: frozenset[str] = frozenset()
    """What ran before, by the baseline."""
    has_update_begun: bool | None = None
    """Whether the environment began an update since the action did; None: not known."""
    newer: str | None = None
    """What has replaced it, or is about to: a phrase."""
    stopped: str | None = None
    """Who or what stopped the run, where it was stopped: a phrase."""
    closed_by_person: str | None = None
    """A person disabled the stage's inbound transition since it began: a phrase."""
    is_cancelled: bool = False
    """The pipeline was updated before the run was over: it failed by no fault of its own."""
    is_rollback: bool = False
    unsafe: str | None = None
    """Where the release says that it is not safe to roll back: a phrase."""
    good: Good | None = None
    quarantined: frozenset[str] = frozenset()
    rollbacks: tuple[PastRollback, ...] = ()
    """Of the window, without this watch's own."""
    has_approval: bool = False
    """The stage holds an approval."""
    consent: Consent = Consent.NOT_ASKED
    is_anothers: bool = False
    """The update that keeps the environment from being Ready is not the deployment's."""
    has_waited: bool = False
    """The environment was given its time to become Ready."""
    has_aborted: bool = False
    """Its update was aborted after that."""

    @property
    def name(self) -> str:
        """The environment, as sentences name it."""
        return self.deployment.environment

    @property
    def is_everywhere_old(self) -> bool:
        """Every instance reports what ran before; never where an instance says nothing."""
        instances = self.look.instances
        return bool(instances) and all(
            (one.version_label in self.old_labels)
            or (
                not self.old_labels
                and one.deployed_at is not None
                and one.deployed_at < self.deployment.started
            )
            for one in instances
        )

    @property
    def is_good_everywhere(self) -> bool:
        """Every instance reports the known-good revision."""
        instances, good = self.look.instances, self.good
        if good is None or not instances:
            return False
        return all(one.version_label in good.labels for one in instances)

    @property
    def is_mixed(self) -> bool:
        """Instances run more than one version, or another one than the environment's label."""
        labels = {one.version_label for one in self.look.instances}
        return len(labels) > 1 or bool(labels and labels != {self.look.version_label})
