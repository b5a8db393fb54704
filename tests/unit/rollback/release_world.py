"""A release path in memory: CodePipeline, Elastic Beanstalk and what is around them, in virtual
time, behind the method names and answers of their boto3 clients.

It models what `rollback` relies on, as sandbox/codepipeline and sandbox/elasticbeanstalk do with
real processes; those are the judges of the stories, this is what thousands of orders and deaths
can be tried on.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from rollback.alarms import Alarms
from rollback.beanstalk import Beanstalk
from rollback.bundles import Bundles
from rollback.desk import Desk
from rollback.executions import Executions
from rollback.handler import run
from rollback.measure import Measures
from rollback.order import BadOrderError, NotForUsError
from rollback.pipeline import Pipeline
from rollback.script import Script
from rollback.settings import EnvironmentSettings, Settings
from tests.unit.rollback.journal import Clock, DeathError, Journal
from tests.unit.trellis.memory_table import MemoryTable
from trellis.bus import Bus
from trellis.errors import LedgerError
from trellis.events import RollbackMode
from trellis.ledger import Ledger

PIPELINE, APPLICATION = "bakery-pipeline-demo", "bakery-demo"
ENVIRONMENTS = {
    "DeployToDev": "bakery-dev-demo",
    "DeployToTest": "bakery-test-demo",
    "DeployToProd": "bakery-prod-demo",
}
_DEPLOYS = timedelta(seconds=20)
MOST_ACTIONS = 500
"""As many of all actions as `rollback.pipeline` reads: five pages of a hundred."""

type Call = tuple[str, str]
"""Client and operation."""


def refused(code: str, message: str = "", status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message or code},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "Operation")


@dataclass
class Version:
    label: str
    revision: str
    bucket: str
    key: str
    is_bad: bool = False
    """It answers 500."""
    turns_bad_after: timedelta | None = None
    fails: bool = False
    """Its deployment fails."""
    created: datetime = field(default=datetime(2026, 1, 1, tzinfo=UTC), kw_only=True)


@dataclass
class Instance:
    id: str
    label: str
    at: datetime


@dataclass
class Environment:
    name: str
    label: str
    instances: list[Instance]
    status: str = "Ready"
    until: datetime | None = None
    """When the update that goes on ends."""
    target: str | None = None
    health: str | None = None
    """Instead of what follows from its instances."""
    heals_by_immutable: bool = False
    """A failed deployment leaves the old instances untouched."""
    never_ready: bool = False
    platform: str = "Python 3.13/4.5.2"
    told: list[dict[str, Any]] = field(default_factory=list)
    told_health: str = "Ok"


@dataclass
class Action:
    id: str
    stage: str
    execution: str
    started: datetime
    status: str = "InProgress"
    updated: datetime | None = None
    label: str | None = None
    message: str | None = None
    artifact: str = ""


@dataclass
class Execution:
    id: str
    version: int
    started: datetime
    revision: str
    summary: str
    status: str = "InProgress"
    kind: str = "STANDARD"
    target: str | None = None
    stop_reason: str | None = None
    variables: dict[str, str] = field(default_factory=dict)


@dataclass
class Release:
    """What a person uploads: the code's behaviour and its words."""

    revision: str
    summary: str = ""
    is_bad: bool = False
    turns_bad_after: timedelta | None = None
    fails: bool = False
    variables: dict[str, str] = field(default_factory=dict)


class World:
    """One stack, seen through clients; and the durable executions of its rollback function."""

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        self.clock = Clock()
        self.random = random.Random(seed)  # orders of events, no secret
        self.table = MemoryTable()
        self.ledger = Ledger(self.table)
        self.versions: dict[str, Version] = {}
        self.objects: set[tuple[str, str]] = set()
        self.environments = {
            stage: Environment(
                name,
                "sample",
                [
                    Instance(f"i-{stage[8:]}{n}", "sample", self.clock.now() - timedelta(days=1))
                    for n in range(2)
                ],
            )
            for stage, name in ENVIRONMENTS.items()
        }
        self.executions: dict[str, Execution] = {}
        self.actions: list[Action] = []
        self.pipeline_version = 1
        self.external_id: Callable[[Action], str | None] = lambda action: action.label
        """What a deploy action says of itself; AWS does not document it."""
        self.transitions: dict[str, dict[str, Any]] = {}
        self.approval: dict[str, Any] | None = None
        self.inbound: dict[str, list[str]] = {}
        self.holds_rollbacks = False
        """A closed stage holds a rollback as it holds any other execution."""
        self.alarms: dict[str, datetime] = {}
        self.published: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        """Of CodePipeline, not delivered yet."""
        self.invocations: list[dict[str, Any]] = []
        self.journals: list[tuple[Journal, dict[str, Any]]] = []
        self.measured: list[tuple[dict[str, str], dict[str, tuple[str, float]]]] = []
        self.calls: list[Call] = []
        self.acts: list[tuple[str, str, str]] = []
        """Rollbacks that happened: operation, stage or environment, target."""
        self.fault: Callable[[int, Call], str | None] = lambda number, call: None
        """For the number of a call: `death before`, `death after`, `throttle`, `timeout` …"""
        self.deaths = 0
        self.settings = _settings(**settings)
        self._counter = 0

    # What people do ------------------------------------------------------------------------

    def id(self, kind: str) -> str:
        self._counter += 1
        return f"{kind}-{self._counter}"

    def release(self, release: Release, stage: str = "DeployToProd") -> Action:
        """Let a release reach a stage; its deploy action begins."""
        execution = Execution(
            id=self.id("execution"),
            version=self.pipeline_version,
            started=self.clock.now() - timedelta(seconds=30),
            revision=release.revision,
            summary=release.summary,
            variables=dict(release.variables),
        )
        self.executions[execution.id] = execution
        key = f"bakery-pipeline/BuildArti/{execution.id}"
        self.objects.add(("artifacts", key))
        return self._deploy(execution, stage, release, key)

    def _deploy(self, execution: Execution, stage: str, release: Release, artifact: str) -> Action:
        label = f"code-pipeline-{self.id('label')}"
        self.versions[label] = Version(
            label,
            release.revision,
            "artifacts",
            artifact,
            release.is_bad,
            release.turns_bad_after,
            release.fails,
            created=self.clock.now(),
        )
        action = Action(
            self.id("action"), stage, execution.id, self.clock.now(), label=label, artifact=artifact
        )
        self.actions.append(action)
        self._event(action, "STARTED")
        self._update(self.environments[stage], label)
        return action

    def _enter_again(self, execution: Execution, stage: str, done: Action) -> None:
        """A rollback deploys what an action has deployed before."""
        before = self.versions[done.label or ""]
        release = Release(before.revision, fails=before.fails, is_bad=before.is_bad)
        self._deploy(execution, stage, release, done.artifact)

    def retry(self, action: Action) -> Action:
        """RetryStageExecution: the execution's id stays, the action execution's is new."""
        execution = self.executions[action.execution]
        execution.status = "InProgress"
        old = self.versions[action.label or ""]
        release = Release(
            old.revision, is_bad=old.is_bad, turns_bad_after=old.turns_bad_after, fails=old.fails
        )
        return self._deploy(execution, action.stage, release, action.artifact)

    def update_pipeline(self) -> None:
        """A new version of the pipeline: CodePipeline lets go of what is in progress."""
        self.pipeline_version += 1
        for action in self.actions:
            if action.status == "InProgress":
                action.status, action.updated = "Abandoned", self.clock.now()
                self._event(action, "CANCELED")
        for execution in self.executions.values():
            if execution.status == "InProgress":
                execution.status = "Cancelled"

    def _update(self, environment: Environment, label: str) -> None:
        environment.status, environment.target = "Updating", label
        environment.until = self.clock.now() + _DEPLOYS
        self._tell(environment, "Environment update is starting.")

    def force(self, stage: str, version: Version) -> None:
        """Let a person deploy a version by hand, past the pipeline."""
        self.versions[version.label] = version
        self.objects.add((version.bucket, version.key))
        self._update(self.environments[stage], version.label)

    def _tell(self, environment: Environment, message: str) -> None:
        """Say it as DescribeEvents does: an update's events name no version label."""
        environment.told.append(
            {
                "EventDate": self.clock.now(),
                "Message": message,
                "Severity": "INFO",
                "EnvironmentName": environment.name,
            }
        )

    def _event(self, action: Action, state: str) -> None:
        self.events.append(
            {
                "source": "aws.codepipeline",
                "detail-type": "CodePipeline Action Execution State Change",
                "time": self.clock.now().isoformat(),
                "detail": {
                    "pipeline": PIPELINE,
                    "execution-id": action.execution,
                    "stage": action.stage,
                    "action": "Deploy",
                    "action-execution-id": action.id,
                    "state": state,
                    "type": {"category": "Deploy", "provider": "ElasticBeanstalk"},
                },
            }
        )

    # Time ----------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let what is due happen."""
        now = self.clock.now()
        for stage, environment in self.environments.items():
            if environment.until is None or now < environment.until or environment.never_ready:
                continue
            self._arrive(stage, environment)
        for environment in self.environments.values():
            health = self.health(environment)
            if health != environment.told_health:
                before, environment.told_health = environment.told_health, health
                self._tell(
                    environment, f"Environment health has transitioned from {before} to {health}."
                )

    def _arrive(self, stage: str, environment: Environment) -> None:
        label = environment.target or environment.label
        version, now = self.versions[label], self.clock.now()
        environment.status, environment.until, environment.target = "Ready", None, None
        action = next(
            (a for a in reversed(self.actions) if a.label == label and a.status == "InProgress"),
            None,
        )
        if version.fails:
            if not environment.heals_by_immutable:
                environment.instances[0] = Instance(environment.instances[0].id, label, now)
            if action is not None:
                self._end(action, "Failed", "FAILED", "Deployment completed, but with errors")
            return
        environment.label = label
        environment.instances = [Instance(one.id, label, now) for one in environment.instances]
        self._tell(environment, "Environment update completed successfully.")
        if action is not None:
            self._end(action, "Succeeded", "SUCCEEDED", None)

    def _end(self, action: Action, status: str, state: str, message: str | None) -> None:
        action.status, action.updated, action.message = status, self.clock.now(), message
        execution = self.executions[action.execution]
        waits = action.stage == "DeployToTest" and status == "Succeeded"
        if not waits:
            execution.status = "Failed" if status == "Failed" else "Succeeded"
        elif execution.kind == "STANDARD":
            self.approval = {
                "execution": execution.id,
                "token": self.id("token"),
                "since": self.clock.now(),
            }
        self._event(action, state)

    def is_bad(self, environment: Environment, instance: Instance) -> bool:
        version = self.versions.get(instance.label)
        if version is None:
            return False
        turned = (
            version.turns_bad_after is not None
            and self.clock.now() - instance.at >= version.turns_bad_after
        )
        return version.is_bad or turned

    def health(self, environment: Environment) -> str:
        if environment.health is not None:
            return environment.health
        bad = sum(self.is_bad(environment, one) for one in environment.instances)
        if bad == 0:
            return "Info" if environment.status == "Updating" else "Ok"
        return "Severe" if bad == len(environment.instances) else "Degraded"

    # The function -----------------------------------------------------------------------------

    def desk(self) -> Desk:
        clients = {name: _Client(self, name) for name in _OPERATIONS}
        return Desk(
            settings=self.settings,
            pipeline=Pipeline(clients["codepipeline"], clients["codepipeline"], PIPELINE),
            beanstalk=Beanstalk(
                clients["elasticbeanstalk"], clients["elasticbeanstalk"], APPLICATION
            ),
            bundles=Bundles(clients["s3"], "artifacts"),
            alarms=Alarms(clients["cloudwatch"]),
            executions=Executions(clients["lambda"], "function:live"),
            ledger=Ledger(_Table(self)),
            bus=Bus(clients["events"]),
            measures=Measures(lambda where, what: self.measured.append((dict(where), dict(what)))),
            now=self.clock.now,
        )

    def invoke(self, event: Mapping[str, Any]) -> Journal:
        """Begin a durable execution, as an asynchronous invocation does."""
        journal = Journal(f"execution/{len(self.journals) + 1}", self.clock)
        self.journals.append((journal, dict(event)))
        self.resume(journal)
        return journal

    def resume(self, journal: Journal) -> None:
        """Run an execution on; a death is followed by another try, as Lambda makes one."""
        event = next(event for one, event in self.journals if one is journal)

        def work(script: Script) -> Any:
            try:
                return run(script, self.desk(), dict(event))
            except (NotForUsError, BadOrderError) as err:
                return {"outcome": "ignored", "reason": str(err)}

        for _ in range(6):
            try:
                journal.resume(work)
                return
            except DeathError:
                self.deaths += 1
        journal.ended = "failed"

    def deliver(self, event: Mapping[str, Any]) -> Journal:
        """Hand an event of CodePipeline to the function."""
        return self.invoke(event)

    def play(
        self,
        until: timedelta = timedelta(hours=2),
        *,
        delivering: bool = True,
        sweeping: bool = False,
    ) -> None:
        """Let time pass: deliver events as they come, wake who waits, sweep every five minutes."""
        end, next_sweep = self.clock.now() + until, self.clock.now() + timedelta(minutes=5)
        while True:
            self.settle()
            if delivering:
                while self.events:
                    self.deliver(self.events.pop(0))
            while self.invocations:
                self.invoke(self.invocations.pop(0))
            due = [
                journal
                for journal, _ in self.journals
                if journal.ended is None
                and journal.wakes_at is not None
                and journal.wakes_at <= self.clock.now()
            ]
            for journal in due:
                self.resume(journal)
            if sweeping and self.clock.now() >= next_sweep:
                next_sweep = self.clock.now() + timedelta(minutes=5)
                self.invoke({"sweep": {}})
            if due or (delivering and self.events) or self.invocations:
                continue
            upcoming = [j.wakes_at for j, _ in self.journals if j.ended is None and j.wakes_at]
            upcoming += [e.until for e in self.environments.values() if e.until]
            if sweeping:
                upcoming.append(next_sweep)
            later = [at for at in upcoming if at > self.clock.now()]
            if not later or min(later) > end:
                return
            self.clock.at = min(later)

    # What is seen ----------------------------------------------------------------------------

    def states(self, kind: str = "Trellis Rollback State Change") -> list[str]:
        return [one["state"] for one in self.published if one["detail-type"] == kind]

    def last(self, kind: str = "Trellis Rollback State Change") -> dict[str, Any]:
        return [one for one in self.published if one["detail-type"] == kind][-1]

    def running(self, stage: str = "DeployToProd") -> set[str]:
        """The revisions that instances run."""
        return {
            self.versions[one.label].revision if one.label in self.versions else one.label
            for one in self.environments[stage].instances
        }


def _settings(**more: Any) -> Settings:
    environment = {
        "mode": RollbackMode.AUTOMATIC,
        "bake": timedelta(minutes=2),
        "alarms": ("bakery-health",),
        **more,
    }
    return Settings(
        project="bakery",
        pipeline=PIPELINE,
        application=APPLICATION,
        bucket="artifacts",
        region="us-east-1",
        function="arn:aws:lambda:us-east-1:123456789012:function:bakery-rollback-demo:live",
        stages=tuple(
            EnvironmentSettings(stage=stage, environment=name, **environment)
            for stage, name in ENVIRONMENTS.items()
        ),
    )


class _Client:
    """A client: every call is counted, may be hit by a fault, and is answered by the world."""

    def __init__(self, world: World, service: str) -> None:
        self._world, self._service = world, service

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = _OPERATIONS[self._service][name]

        def call(**request: Any) -> Any:
            world = self._world
            world.calls.append((self._service, name))
            fault = world.fault(len(world.calls), (self._service, name))
            if fault == "death before":
                raise DeathError
            if fault == "throttle":
                raise refused("ThrottlingException", "Rate exceeded")
            if fault == "denied":
                raise refused("AccessDeniedException", "not authorized", 403)
            if fault == "timeout before":
                raise ReadTimeoutError(endpoint_url="https://aws")
            world.settle()
            answer = operation(world, **request)
            if fault == "death after":
                raise DeathError
            if fault == "timeout after":
                raise ReadTimeoutError(endpoint_url="https://aws")
            return answer

        call.__name__ = name
        return call


class _Table:
    """The ledger's table, whose operations are calls as the clients' are."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = getattr(self._world.table, name)

        def call(*given: Any) -> Any:
            world = self._world
            world.calls.append(("dynamodb", name))
            fault = world.fault(len(world.calls), ("dynamodb", name))
            if fault == "death before":
                raise DeathError
            if fault in ("throttle", "timeout before", "denied"):
                raise LedgerError(f"the ledger did not answer: {fault}")
            answer = operation(*given)
            if fault == "death after":
                raise DeathError
            if fault == "timeout after":
                raise LedgerError("the ledger did not answer: timeout")
            return answer

        return call


# CodePipeline


def _get_pipeline(world: World, name: str) -> Any:
    def kind(category: str) -> dict[str, Any]:
        return {"category": category, "provider": "Any"}

    stages = []
    for stage in ENVIRONMENTS:
        actions = [{"name": "Deploy", "actionTypeId": kind("Deploy")}]
        if stage == "DeployToTest":
            actions.append({"name": "Approve", "actionTypeId": kind("Approval")})
        stages.append({"name": stage, "actions": actions})
    return {"pipeline": {"stages": stages}}


def _open_approval(waits: dict[str, Any]) -> dict[str, Any]:
    return {"token": waits["token"], "status": "InProgress", "lastStatusChange": waits["since"]}


def _get_pipeline_state(world: World, name: str) -> Any:
    stages = []
    for stage in ENVIRONMENTS:
        actions = [a for a in world.actions if a.stage == stage]
        latest = actions[-1] if actions else None
        waits = (
            world.approval
            if stage == "DeployToTest"
            and world.approval
            and latest
            and latest.execution == world.approval["execution"]
            else None
        )
        status = None
        if latest:
            status = "InProgress" if waits else latest.status
        states: list[dict[str, Any]] = [
            {
                "actionName": "Deploy",
                **({"latestExecution": {"actionExecutionId": latest.id}} if latest else {}),
            }
        ]
        if stage == "DeployToTest":
            states.append(
                {
                    "actionName": "Approve",
                    **({"latestExecution": _open_approval(waits)} if waits else {}),
                }
            )
        stages.append(
            {
                "stageName": stage,
                "actionStates": states,
                "inboundExecutions": [
                    {"pipelineExecutionId": one, "status": "InProgress"}
                    for one in world.inbound.get(stage, [])
                ],
                "inboundTransitionState": world.transitions.get(stage, {"enabled": True}),
                **(
                    {"latestExecution": {"pipelineExecutionId": latest.execution, "status": status}}
                    if latest
                    else {}
                ),
            }
        )
    return {"pipelineVersion": world.pipeline_version, "stageStates": stages}


def _summary(one: Execution) -> dict[str, Any]:
    return {
        "pipelineExecutionId": one.id,
        "status": one.status,
        "startTime": one.started,
        "executionType": one.kind,
        "sourceRevisions": [
            {"actionName": "Source", "revisionId": one.revision, "revisionSummary": one.summary}
        ],
        **(
            {"rollbackMetadata": {"rollbackTargetPipelineExecutionId": one.target}}
            if one.target
            else {}
        ),
        **({"stopTrigger": {"reason": one.stop_reason}} if one.stop_reason else {}),
    }


def _list_pipeline_executions(
    world: World,
    pipelineName: str,  # noqa: N803  # the API's name
    filter: dict[str, Any] | None = None,
    **_: Any,
) -> Any:
    found = list(world.executions.values())
    if filter:
        stage = filter["succeededInStage"]["stageName"]
        done = {a.execution for a in world.actions if a.stage == stage and a.status == "Succeeded"}
        if world.approval:
            done -= {world.approval["execution"]} if stage == "DeployToTest" else set()
        found = [o for o in found if o.id in done and o.version == world.pipeline_version]
    world.random.shuffle(found)
    return {"pipelineExecutionSummaries": [_summary(one) for one in found]}


def _get_pipeline_execution(
    world: World,
    pipelineName: str,  # noqa: N803  # the API's name
    pipelineExecutionId: str,  # noqa: N803  # the API's name
) -> Any:
    one = world.executions[pipelineExecutionId]
    return {
        "pipelineExecution": {
            "status": one.status,
            "pipelineVersion": one.version,
            "executionType": one.kind,
            "artifactRevisions": [{"revisionId": one.revision, "revisionSummary": one.summary}],
            "variables": [
                {"name": name, "resolvedValue": value} for name, value in one.variables.items()
            ],
            **(
                {"rollbackMetadata": {"rollbackTargetPipelineExecutionId": one.target}}
                if one.target
                else {}
            ),
        }
    }


def _list_action_executions(
    world: World,
    pipelineName: str,  # noqa: N803  # the API's name
    filter: dict[str, Any] | None = None,
    **_: Any,
) -> Any:
    wanted = (filter or {}).get("pipelineExecutionId")
    newest = sorted(world.actions, key=lambda one: one.started, reverse=True)
    return {
        "actionExecutionDetails": [
            {
                "pipelineExecutionId": a.execution,
                "actionExecutionId": a.id,
                "stageName": a.stage,
                "actionName": "Deploy",
                "startTime": a.started,
                "lastUpdateTime": a.updated or a.started,
                "status": a.status,
                "input": {
                    "actionTypeId": {"category": "Deploy", "provider": "ElasticBeanstalk"},
                    "configuration": {
                        "ApplicationName": APPLICATION,
                        "EnvironmentName": ENVIRONMENTS[a.stage],
                    },
                    "inputArtifacts": [{"s3location": {"bucket": "artifacts", "key": a.artifact}}],
                },
                "output": {
                    "executionResult": {
                        **({"externalExecutionId": told} if told else {}),
                        **({"errorDetails": {"message": a.message}} if a.message else {}),
                    }
                },
            }
            for a in (newest[:MOST_ACTIONS] if wanted is None else newest)
            if wanted is None or a.execution == wanted
            for told in (world.external_id(a),)
        ]
    }


def _rollback_stage(
    world: World,
    pipelineName: str,  # noqa: N803  # the API's name
    stageName: str,  # noqa: N803  # the API's name
    targetPipelineExecutionId: str,  # noqa: N803  # the API's name
) -> Any:
    target = world.executions.get(targetPipelineExecutionId)
    if target is None:
        raise refused("PipelineExecutionNotFoundException")
    if target.version != world.pipeline_version:
        raise refused("PipelineExecutionOutdatedException", "outdated")
    stage = [a for a in world.actions if a.stage == stageName]
    done = [a for a in stage if a.execution == target.id and a.status == "Succeeded"]
    if target.kind == "ROLLBACK" or not done or stage[-1].status == "InProgress":
        raise refused("UnableToRollbackStageException", "not a target now")
    execution = Execution(
        world.id("execution"),
        world.pipeline_version,
        world.clock.now(),
        target.revision,
        target.summary,
        kind="ROLLBACK",
        target=target.id,
    )
    world.executions[execution.id] = execution
    world.acts.append(("RollbackStage", stageName, target.id))
    if world.holds_rollbacks and not world.transitions.get(stageName, {}).get("enabled", True):
        world.inbound.setdefault(stageName, []).append(execution.id)
    else:
        world._enter_again(execution, stageName, done[-1])
    return {"pipelineExecutionId": execution.id}


def _disable(
    world: World,
    pipelineName: str,  # noqa: N803  # the API's name
    stageName: str,  # noqa: N803  # the API's name
    transitionType: str,  # noqa: N803  # the API's name
    reason: str,
) -> Any:
    world.transitions[stageName] = {
        "enabled": False,
        "disabledReason": reason,
        "lastChangedBy": "arn:aws:sts::123456789012:assumed-role/rollback/bakery",
        "lastChangedAt": world.clock.now(),
    }
    return {}


def _enable(world: World, stageName: str, **_: Any) -> Any:  # noqa: N803  # the API's name
    world.transitions[stageName] = {"enabled": True, "lastChangedAt": world.clock.now()}
    for one in world.inbound.pop(stageName, []):
        if (execution := world.executions.get(one)) and execution.kind == "ROLLBACK":
            done = [a for a in world.actions if a.execution == execution.target]
            world._enter_again(execution, stageName, done[-1])
    return {}


def _put_approval(
    world: World,
    token: str,
    result: dict[str, str],
    **_: Any,
) -> Any:
    if not world.approval or world.approval["token"] != token:
        raise refused("InvalidApprovalTokenException")
    execution = world.executions[world.approval["execution"]]
    execution.status = "Failed" if result["status"] == "Rejected" else "InProgress"
    world.approval = None
    world.acts.append(("PutApprovalResult", result["status"], result["summary"]))
    return {"approvedAt": world.clock.now()}


# Elastic Beanstalk


def _environment(world: World, name: str) -> Environment:
    return next(one for one in world.environments.values() if one.name == name)


def _describe_environments(world: World, EnvironmentNames: list[str], **_: Any) -> Any:  # noqa: N803  # the API's name
    one = _environment(world, EnvironmentNames[0])
    return {
        "Environments": [
            {
                "EnvironmentName": one.name,
                "Status": one.status,
                "VersionLabel": one.label,
                "HealthStatus": world.health(one),
                "PlatformArn": one.platform,
                "AbortableOperationInProgress": one.status == "Updating",
            }
        ]
    }


def _describe_environment_health(world: World, EnvironmentName: str, **_: Any) -> Any:  # noqa: N803  # the API's name
    one = _environment(world, EnvironmentName)
    health = world.health(one)
    causes = ["100.0 % of the requests are failing with HTTP 5xx."]
    return {"HealthStatus": health, "Causes": causes if health in ("Severe", "Degraded") else []}


def _describe_instances_health(world: World, EnvironmentName: str, **_: Any) -> Any:  # noqa: N803  # the API's name
    one = _environment(world, EnvironmentName)
    return {
        "InstanceHealthList": [
            {
                "InstanceId": instance.id,
                "HealthStatus": "Severe" if world.is_bad(one, instance) else "Ok",
                "Deployment": {"VersionLabel": instance.label, "DeploymentTime": instance.at},
            }
            for instance in one.instances
        ]
    }


def _describe_events(
    world: World,
    EnvironmentName: str,  # noqa: N803  # the API's name
    StartTime: datetime,  # noqa: N803  # the API's name
    **_: Any,
) -> Any:
    one = _environment(world, EnvironmentName)
    return {"Events": [said for said in reversed(one.told) if said["EventDate"] >= StartTime]}


def _describe_application_versions(
    world: World,
    VersionLabels: list[str] | None = None,  # noqa: N803  # the API's name
    **_: Any,
) -> Any:
    return {
        "ApplicationVersions": [
            {
                "VersionLabel": one.label,
                "Status": "Processed",
                "DateCreated": one.created,
                "SourceBundle": {"S3Bucket": one.bucket, "S3Key": one.key},
            }
            for one in world.versions.values()
            if VersionLabels is None or one.label in VersionLabels
        ]
    }


def _create_application_version(
    world: World,
    VersionLabel: str,  # noqa: N803  # the API's name
    SourceBundle: dict[str, str],  # noqa: N803  # the API's name
    Description: str,  # noqa: N803  # the API's name
    **_: Any,
) -> Any:
    if VersionLabel in world.versions:
        raise refused(
            "InvalidParameterValue", f"Application Version {VersionLabel} already exists."
        )
    revision = Description.removeprefix("Known good: ")
    world.versions[VersionLabel] = Version(
        VersionLabel,
        revision,
        SourceBundle["S3Bucket"],
        SourceBundle["S3Key"],
        created=world.clock.now(),
    )
    return {}


def _update_environment(
    world: World,
    EnvironmentName: str,  # noqa: N803  # the API's name
    VersionLabel: str,  # noqa: N803  # the API's name
    **_: Any,
) -> Any:
    one = _environment(world, EnvironmentName)
    if one.status != "Ready":
        raise refused(
            "InvalidParameterValue",
            f"Environment named {one.name} is in an invalid state for this operation. "
            "Must be Ready.",
        )
    version = world.versions.get(VersionLabel)
    if version is None or (version.bucket, version.key) not in world.objects:
        raise refused("InvalidParameterValue", f"No Application Version named {VersionLabel} found")
    world.acts.append(("UpdateEnvironment", EnvironmentName, VersionLabel))
    world._update(one, VersionLabel)
    return {}


def _abort(world: World, EnvironmentName: str) -> Any:  # noqa: N803  # the API's name
    one = _environment(world, EnvironmentName)
    one.status, one.until, one.never_ready = "Ready", None, False
    return {}


# The others


def _head_object(world: World, Bucket: str, Key: str) -> Any:  # noqa: N803  # the API's name
    if (Bucket, Key) not in world.objects:
        raise refused("404", "Not Found", 404)
    return {}


def _copy_object(
    world: World,
    Bucket: str,  # noqa: N803  # the API's name
    Key: str,  # noqa: N803  # the API's name
    CopySource: dict[str, str],  # noqa: N803  # the API's name
) -> Any:
    if (CopySource["Bucket"], CopySource["Key"]) not in world.objects:
        raise refused("NoSuchKey", "The specified key does not exist.", 404)
    world.objects.add((Bucket, Key))
    return {}


def _delete_object(world: World, Bucket: str, Key: str) -> Any:  # noqa: N803  # the API's name
    world.objects.discard((Bucket, Key))
    return {}


def _describe_alarms(world: World, AlarmNames: list[str], **_: Any) -> Any:  # noqa: N803  # the API's name
    return {
        "MetricAlarms": [
            {
                "AlarmName": name,
                "StateUpdatedTimestamp": world.alarms[name],
                "Period": 60,
                "EvaluationPeriods": 1,
            }
            for name in AlarmNames
            if name in world.alarms
        ]
    }


def _get_durable_execution(world: World, DurableExecutionArn: str) -> Any:  # noqa: N803  # the API's name
    for journal, _ in world.journals:
        if journal.name == DurableExecutionArn:
            return {"Status": "RUNNING" if journal.ended is None else journal.ended.upper()}
    raise refused("ResourceNotFoundException", "", 404)


def _invoke(world: World, Payload: bytes, **_: Any) -> Any:  # noqa: N803  # the API's name
    world.invocations.append(json.loads(Payload))
    return {"StatusCode": 202}


def _put_events(world: World, Entries: list[dict[str, Any]]) -> Any:  # noqa: N803  # the API's name
    for entry in Entries:
        world.published.append({"detail-type": entry["DetailType"], **json.loads(entry["Detail"])})
    return {"FailedEntryCount": 0, "Entries": [{"EventId": "e"} for _ in Entries]}


_OPERATIONS: dict[str, dict[str, Callable[..., Any]]] = {
    "codepipeline": {
        "get_pipeline": _get_pipeline,
        "get_pipeline_state": _get_pipeline_state,
        "list_pipeline_executions": _list_pipeline_executions,
        "get_pipeline_execution": _get_pipeline_execution,
        "list_action_executions": _list_action_executions,
        "rollback_stage": _rollback_stage,
        "disable_stage_transition": _disable,
        "enable_stage_transition": _enable,
        "put_approval_result": _put_approval,
    },
    "elasticbeanstalk": {
        "describe_environments": _describe_environments,
        "describe_environment_health": _describe_environment_health,
        "describe_instances_health": _describe_instances_health,
        "describe_events": _describe_events,
        "describe_application_versions": _describe_application_versions,
        "create_application_version": _create_application_version,
        "update_environment": _update_environment,
        "abort_environment_update": _abort,
    },
    "s3": {
        "head_object": _head_object,
        "copy_object": _copy_object,
        "delete_object": _delete_object,
    },
    "cloudwatch": {"describe_alarms": _describe_alarms},
    "lambda": {"get_durable_execution": _get_durable_execution, "invoke": _invoke},
    "events": {"put_events": _put_events},
}
