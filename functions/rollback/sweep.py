"""The sweep: finds deployments that nobody watches, because events were lost or a watch died.

And it measures what no event tells: how long an approval waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from rollback.codec import encode
from rollback.desk import Desk
from rollback.facts import ActionRun, Deployment
from rollback.pipeline import Pipeline
from trellis.observability import count, logger
from trellis.records import OpenWatch

_MOST_TRIES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep has begun."""

    begun: tuple[str, ...] = ()
    taken_over: tuple[str, ...] = ()


def sweep(desk: Desk) -> Swept:
    """Begin a watch for each stage's newest deployment that has none, and for each that died.

    Safe to repeat: whoever begins must claim first, and a claim is had once.
    """
    begun = [_begin(desk, run) for run in _unwatched(desk)]
    taken_over = [_take_over(desk, watch) for watch in _dead(desk)]
    return Swept(begun=tuple(begun), taken_over=tuple(taken_over))


def measure_approvals(desk: Desk) -> float:
    """Write how long the approval that waits longest has waited; answers it, in seconds.

    AWS has no metric for it. A pipeline that cannot be read raises an AwsError and writes nothing:
    no number is not the number zero, and the alarm stays as it is.
    """
    waiting = desk.pipeline.approvals()
    longest = max((desk.now() - one.since for one in waiting), default=timedelta(0))
    desk.measures.approval_waits(desk.pipeline.name, longest)
    for one in waiting:
        logger.info(
            "an approval waits",
            pipeline=desk.pipeline.name,
            stage=one.stage,
            action=one.action,
            since=one.since.isoformat(),
        )
    return longest.total_seconds()


def _unwatched(desk: Desk) -> list[ActionRun]:
    """The newest deployment of each of our stages, where it is recent and unclaimed."""
    newest: dict[str, ActionRun] = {}
    for run in desk.pipeline.deploys():
        newest.setdefault(run.deployment.stage, run)
    oldest = desk.now() - desk.settings.sweep_back
    return [
        run
        for stage, run in newest.items()
        if desk.settings.of_stage(stage) is not None
        and run.updated >= oldest
        and desk.ledger.claimed(run.deployment.action_execution_id) is None
        and not _may_still_be_told(desk, run)
    ]


def _may_still_be_told(desk: Desk, run: ActionRun) -> bool:
    """Events need a moment; without one the sweep would race them for the baseline."""
    return (desk.now() - run.deployment.started).total_seconds() < 10


def _begin(desk: Desk, run: ActionRun) -> str:
    deployment = run.deployment
    desk.executions.begin({"watch": encode(deployment)})
    _log("an unwatched deployment was found", deployment)
    count("UnwatchedDeploymentsFound")
    return deployment.action_execution_id


def _dead(desk: Desk) -> list[OpenWatch]:
    return [
        watch
        for watch in desk.ledger.open_watches(desk.pipeline.name)
        if watch.tries < _MOST_TRIES and not desk.executions.is_alive(watch.holder)
    ]


def _take_over(desk: Desk, watch: OpenWatch) -> str:
    deployment = deployment_of(desk.pipeline, watch)
    if deployment is not None and desk.executions.is_stopped(watch.holder):
        _log("a watch that a person stopped is left alone", deployment)
        count("StoppedWatchesFound")
        deployment = None
    if deployment is None:
        desk.ledger.close_watch(watch.pipeline, watch.action_execution_id)
        return watch.action_execution_id
    desk.executions.begin({"watch": encode(deployment), "dead": watch.holder})
    _log("a watch that died is taken over", deployment)
    count("DeadWatchesFound")
    return deployment.action_execution_id


def deployment_of(pipeline: Pipeline, watch: OpenWatch) -> Deployment | None:
    """The deployment of an open watch; None where CodePipeline no longer knows it."""
    run = pipeline.deploy(watch.execution_id, watch.action_execution_id)
    return run.deployment if run else None


def _log(what: str, deployment: Deployment) -> None:
    logger.warning(
        what,
        pipeline=deployment.pipeline,
        execution=deployment.execution_id,
        environment=deployment.environment,
        action_execution=deployment.action_execution_id,
    )
